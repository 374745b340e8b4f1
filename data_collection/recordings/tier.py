"""What a tier is: a catalogue plus its own signal; everything else is the river's.

What belongs here: the rows that all tiers have in common and the description by which the factories
build a tier's assets. What does not: any one tier (`competition`, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from data_collection.recordings.store import Store


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
    piece: str | None = Field(
        default=None, description="the piece, where a source names it; never the title"
    )


class SegmentRow(BaseModel):
    """A row of a tier's `metadata.jsonl`: one embedded segment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    segment_id: str = Field(description="`<recording_id>_seg<index:04d>`, name of the `.pt` file")
    recording_id: str = Field(description="the recording it is cut from")
    piece: str | None = Field(description="the piece, where a source names it; null otherwise")
    segment_start: float = Field(ge=0, description="start in the recording, in seconds")
    segment_end: float = Field(gt=0, description="end in the recording, in seconds")
    rms_dbfs: float = Field(le=3.1, description="level of the segment, dB below full scale")
    peak_dbfs: float = Field(le=0.1, description="sample peak of the segment, dB below full scale")
    silent_share: float = Field(ge=0, le=1, description="share of silent 0.4 s windows")
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
    """

    key_prefix: tuple[str, ...]
    group: str
    label: str
    partitions_name: str
    recording_model: type[Recording]
    row_model: type[SegmentRow]
    find_recordings: Callable[[Store], Catalogue]
    plotted_by: str = "recording_id"

    def folder(self, stage: str) -> str:
        """Relative path of a stage's folder, or of a file without its ending."""
        return "/".join((*self.key_prefix, stage))
