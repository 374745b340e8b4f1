"""What a tier is: a catalogue plus its own signal; everything else is the river's.

What belongs here: the rows that all tiers have in common and the description by which the factories
build a tier's assets. What does not: any one tier (`competition`, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from data_collection.recordings.originals import OpenOriginals, videos
from data_collection.recordings.store import Store
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


SegmentLabels = Callable[[Recording, float, float], Mapping[str, object]]
"""Fields of a tier's rows that depend on the recording and on the segment's start and end in it, in
seconds: `(recording, start_s, end_s)`."""


def no_labels(store: Store) -> SegmentLabels:
    """Labels of a tier that has none of its own: the piece is not known."""
    return lambda recording, start_s, end_s: {
        "piece": None,
        "piece_share": None,
        "piece_source": None,
        "piece_because": "the tier has no programmes",
    }


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What looking for a tier's recordings gave.

    Attributes:
        recordings: rows of the tier's model, in a stable order.
        files: further JSON lines files, by name without ending; such as `unmatched`.
        facts: numbers for the asset's page.
    """

    recordings: Sequence[Recording]
    files: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    facts: Mapping[str, int | float | str] = field(default_factory=dict)


CATALOGUE_OF_VIDEOS = (
    "Lists the sources, decides which video is which recording, and registers one partition a "
    "recording. What was not taken stands in `unmatched.jsonl` with the reason."
)
AUDIO_OF_VIDEOS = (
    "Fetches each original, decodes it whole (half a file is found out) and stores mono 24 kHz "
    "24-bit FLAC with a receipt beside it. A part of a longer video is cut to the sample from its "
    "original, which is stored once."
)


@dataclass(frozen=True, slots=True)
class Tier:
    """What the river's factories need to know of a tier.

    Attributes:
        key_prefix: asset key prefix, which is the folder under the data root.
        group: Dagster group.
        label: what a person calls it.
        partitions_name: name of its dynamic partitions.
        recording_model: model of its `recordings.jsonl`.
        row_model: model of its `metadata.jsonl`.
        find_recordings: makes the catalogue, given the store, where earlier rows lie; raises
            `CatalogueError` where it cannot.
        plotted_by: row field by which the metadata's plot counts segments.
        label_assets: names of the tier's own assets that its rows' labels come from.
        signal_assets: names of further assets that are made with the rows.
        open_originals: opens what brings the audio.
        fetch_pool: Dagster's pool of the runs that fetch.
        catalogue_says: what the catalogue's page says of how it is made.
        audio_says: the same of the audio.
        source_kind: the label of what is asked for both.
        segment_labels: reads those once and gives what labels a segment; raises `RecordingError`
            where they are not there.
    """

    key_prefix: tuple[str, ...]
    group: str
    label: str
    partitions_name: str
    recording_model: type[Recording]
    row_model: type[SegmentRow]
    find_recordings: Callable[[Store], Catalogue]
    plotted_by: str = "recording_id"
    label_assets: tuple[str, ...] = ()
    signal_assets: tuple[str, ...] = ()
    segment_labels: Callable[[Store], SegmentLabels] = no_labels
    open_originals: OpenOriginals = videos
    fetch_pool: str = "fetch"
    source_kind: str = "yt-dlp"
    catalogue_says: str = CATALOGUE_OF_VIDEOS
    audio_says: str = AUDIO_OF_VIDEOS

    @property
    def aggregates(self) -> tuple[str, ...]:
        """Names of the unpartitioned assets at the river's end, in order."""
        return (*self.label_assets, "metadata", *self.signal_assets)

    def folder(self, stage: str) -> str:
        """Relative path of a stage's folder, or of a file without its ending."""
        return "/".join((*self.key_prefix, stage))
