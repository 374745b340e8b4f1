"""The rows that all tiers have in common: a recording of the catalogue, a segment of the metadata.

What belongs here: the models, whose descriptions are the columns' in the UI; tiers add fields of
their own. What does not: what a tier is (`tier`), and reading and writing rows (`rows`).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from data_collection.repertoire.pieces import Piece


class Recording(BaseModel):
    """A row of a tier's `recordings.jsonl`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="partition key and file name, never renamed")
    source_id: str = Field(description="the source's own id (yt-dlp's)")
    source_url: str = Field(description="where it is fetched from")
    title: str = Field(description="as the source writes it")
    duration_s: float | None = Field(
        default=None, description="seconds, as the source claims; null where it does not"
    )
    cut_from: str | None = Field(
        default=None, description="id of the longer original that it is a part of; null for a whole"
    )
    source_start_s: float | None = Field(
        default=None, ge=0, description="where the part begins in that original, in seconds"
    )
    source_end_s: float | None = Field(
        default=None, gt=0, description="where it ends there; null for the original's end"
    )


class SegmentRow(BaseModel):
    """A row of a tier's `metadata.jsonl`: one embedded segment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    segment_id: str = Field(description="`<recording_id>_seg<index:04d>`, name of the `.pt` file")
    recording_id: str = Field(description="the recording it is cut from")
    piece: Piece | None = Field(description="what is played for most of it; null where not known")
    piece_share: float | None = Field(
        ge=0, le=1, description="share of the segment that the piece covers"
    )
    piece_source: str | None = Field(description="override, description, chapters or title")
    piece_because: str | None = Field(description="why there is no piece")
    segment_start: float = Field(ge=0, description="start in the recording, in seconds")
    segment_end: float = Field(gt=0, description="end in the recording, in seconds")
    source_offset_s: float = Field(
        ge=0, description="where the recording begins in the source's video, in seconds"
    )
    rms_dbfs: float = Field(le=3.1, description="level of the segment, dB below full scale")
    peak_dbfs: float = Field(le=0.1, description="sample peak of the segment, dB below full scale")
    loudness_lufs: float | None = Field(description="integrated, BS.1770-4; null where gated away")
    true_peak_dbtp: float = Field(description="highest level between samples, dB full scale")
    noise_floor_dbfs: float = Field(description="level of the quietest twentieth of the segment")
    bandwidth_hz: float | None = Field(ge=0, description="of the stored clip, at most 12 kHz")
    clipped_share: float | None = Field(ge=0, le=1, description="of the original's samples")
    source_bandwidth_hz: float | None = Field(ge=0, description="highest frequency of the original")
    source_cliff_hz: float | None = Field(
        ge=0, description="where the original's spectrum breaks off, as a codec makes it; or null"
    )
    silent_share: float = Field(ge=0, le=1, description="share of silent 0.4 s windows")
    applause: float = Field(ge=0, le=1, description="expected share of seconds with applause")
    speech: float = Field(ge=0, le=1, description="expected share of seconds with speech")
    silence: float = Field(ge=0, le=1, description="expected share of seconds of hall noise only")
    orchestra: float = Field(ge=0, le=1, description="expected share of seconds with orchestra")
    solo_piano: float = Field(ge=0, le=1, description="expected share of seconds of piano alone")
    embedding_path: str = Field(description="relative to the embeddings root")
    embedding_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="hash of the `.pt` file")
    embedding_frames: int = Field(gt=0, description="frames, 25 a second")
    embedding_width: int = Field(gt=0, description="values a frame; 1024 for MuQ-large")
    checkpoint_revision: str = Field(description="commit or hash of the MuQ weights")
    audio_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="hash of the stored FLAC")
    original_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="hash of what was fetched")
    source_id: str = Field(description="the source's own id")
    source_url: str = Field(description="where it was fetched from")
    licence: str | None = Field(description="as the source states it; null where it does not")
