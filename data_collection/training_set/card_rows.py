"""What a data card states: the model of `training_set/data_card.json`.

What belongs here: names, units and meaning of every figure, and the totals that one card is held
against the next by. What does not: finding any of them (`card_figures`), and showing (`card`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from data_collection.training_set.manifest_rows import TierId

SCHEMA_VERSION: Literal[1] = 1
MeasureName = Literal[
    "recording_duration_s",
    "segment_duration_s",
    "loudness_lufs",
    "source_bandwidth_hz",
    "placement",
    "performers_per_piece",
    "twin_cosine",
]
Excluded = Literal["video", "recording", "segment", "twin", "problem"]
"""`problem`: something that the manifest found at odds, such as an embedding without its row."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CollectionFigures(_Entry):
    """How much one folder of a tier holds."""

    tier: TierId
    collection: str = Field(description="folder below the data root")
    label: str = Field(description="what a person calls it")
    off_because: str | None = Field(description="why it is not collected; null where it is")
    recordings: int = Field(ge=0, description="of the catalogue")
    done: int = Field(ge=0, description="recordings that are embedded and used")
    filtered: int = Field(ge=0, description="finished without segments: nothing usable, or a copy")
    failed: int = Field(ge=0, description="the item's fault")
    blocked: int = Field(ge=0, description="the network's fault or ours, or purged")
    not_tried: int = Field(ge=0, description="to be made, or to be made again")
    audio_hours: float = Field(ge=0, description="of stored audio")
    audio_bytes: int = Field(ge=0, description="of the stages' files of audio")
    clips: int = Field(ge=0, description="cut, filtered ones too")
    clips_kept: int = Field(ge=0, description="that were found worth embedding")
    clips_kept_hours: float = Field(ge=0, description="of those")
    embedding_bytes: int = Field(ge=0, description="of the embeddings' files")
    segments: int = Field(ge=0, description="rows of the metadata")
    segment_hours: float = Field(ge=0, description="of those")
    twins: int = Field(ge=0, description="augmented twins")


class SplitRow(_Entry):
    """What one split holds of a tier."""

    tier: TierId
    split: str = Field(description="train, validation, test or excluded")
    segments: int = Field(ge=0)
    hours: float = Field(ge=0)
    recordings: int = Field(ge=0)
    performers: int = Field(ge=0, description="that are known")
    pieces: int = Field(ge=0, description="that are known")
    share: float | None = Field(description="of the tier's hours; null where it has none")


class LossTermRow(_Entry):
    """Segments that take part in a loss term."""

    tier: TierId
    split: str
    term: str
    segments: int = Field(ge=0)


class TargetRow(_Entry):
    """Segments with a regression target."""

    tier: TierId
    split: str
    regression_from: str = Field(description="composite: people's scores; teacher: the teacher's")
    confidence_weight: float | None
    segments: int = Field(ge=0)


class Bin(_Entry):
    """A column of a histogram."""

    start: float = Field(description="from here, inclusive; the next one's start is not")
    count: int = Field(ge=1)


class Distribution(_Entry):
    """How one measure is spread over one tier."""

    measure: MeasureName
    tier: TierId
    count: int = Field(ge=1, description="values")
    unknown: int = Field(ge=0, description="without a value")
    low: float
    p5: float
    median: float
    p95: float
    high: float
    mean: float
    bin_width: float = Field(gt=0)
    bins: tuple[Bin, ...] = Field(description="those that hold something, in order")


class Exclusion(_Entry):
    """Something that is not trained on, counted by its reason."""

    tier: TierId
    what: Excluded
    stage: str = Field(description="where it went out: catalogue, a stage, manifest, split, …")
    reason: str
    count: int = Field(ge=1)


class DeadLink(_Entry):
    """A recording that its source no longer gives, or no longer lists."""

    tier: TierId
    collection: str
    recording_id: str
    title: str
    source_url: str
    reason: str = Field(description="removed, private, …; no_longer_listed")
    found_at: AwareDatetime | None = Field(description="when; null where that was not kept")
    is_collected: bool = Field(description="it was fetched before")


class LicenceRow(_Entry):
    """Segments on one licence."""

    tier: TierId
    licence: str | None = Field(description="as the source states it; null where it does not")
    note: str | None = Field(description="on whose terms it may be used, as the catalogue says")
    recordings: int = Field(ge=0)
    segments: int = Field(ge=0)


class SourceRow(_Entry):
    """Recordings from one host."""

    tier: TierId
    host: str = Field(description="of the address that it was fetched from")
    recordings: int = Field(ge=0)
    segments: int = Field(ge=0)


class VersionRow(_Entry):
    """What a stage's artifacts were made with."""

    tier: TierId
    stage: str
    kind: Literal["version", "parameter"]
    name: str
    value: str
    recordings: int = Field(ge=1)


class FileRow(_Entry):
    """A file that training or its judge rests on."""

    path: str = Field(description="below the data root")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class TeacherRow(_Entry):
    """Labels of a teacher."""

    tier: TierId
    collection: str
    teacher_model: str
    rubric_version: str
    segments: int = Field(ge=0)
    cost_usd: float = Field(ge=0)
    verdict: str | None = Field(description="of the gate on T2's labels; null where not run")


class TwinRecipeRow(_Entry):
    """How twins were made."""

    tier: TierId
    recipe: str
    recipe_version: str
    seed: int | None
    twins: int = Field(ge=1)


class LeakRow(_Entry):
    """Keys that lie in two splits, or in two tiers."""

    kind: str
    keys: int = Field(ge=1)
    segments: int = Field(ge=1)


class UnknownKeyRow(_Entry):
    """Segments of which nobody can say whether they leak."""

    tier: TierId
    split: str
    key: str
    segments: int = Field(ge=1)


class ExternalRow(_Entry):
    """A folder that others fill."""

    folder: str
    files: int = Field(ge=0)
    size_bytes: int = Field(ge=0)
    listing_sha256: str | None = Field(description="of paths and sizes; null where it is absent")
    newest: AwareDatetime | None


class MovedTotal(_Entry):
    """A total that is another one than on the card before."""

    name: str
    before: float
    after: float


class MovedRecordings(_Entry):
    """Recordings with segments that came or went since the card before."""

    collection: str
    new: int = Field(ge=0)
    gone: int = Field(ge=0)
    first_new: tuple[str, ...] = Field(description="the first ids, sorted")
    first_gone: tuple[str, ...]


class Changes(_Entry):
    """What is different from the card before."""

    since: AwareDatetime = Field(description="when that one was made")
    totals: tuple[MovedTotal, ...]
    recordings: tuple[MovedRecordings, ...]
    files: tuple[str, ...] = Field(description="files of other content, that came, or that went")

    @property
    def is_empty(self) -> bool:
        """Whether nothing is different."""
        return not (self.totals or self.recordings or self.files)


class CardFigures(_Entry):
    """Every figure of the card."""

    schema_version: Literal[1] = SCHEMA_VERSION
    made_at: AwareDatetime
    notes: tuple[str, ...] = Field(description="what is not there, and why")
    collections: tuple[CollectionFigures, ...]
    splits: tuple[SplitRow, ...]
    loss_terms: tuple[LossTermRow, ...]
    targets: tuple[TargetRow, ...]
    distributions: tuple[Distribution, ...]
    exclusions: tuple[Exclusion, ...]
    dead_links: tuple[DeadLink, ...]
    licences: tuple[LicenceRow, ...]
    sources: tuple[SourceRow, ...]
    versions: tuple[VersionRow, ...]
    files: tuple[FileRow, ...]
    seeds: dict[str, str]
    teachers: tuple[TeacherRow, ...]
    twin_recipes: tuple[TwinRecipeRow, ...]
    leaks: tuple[LeakRow, ...]
    unknown_keys: tuple[UnknownKeyRow, ...]
    external: tuple[ExternalRow, ...]
    recording_ids: dict[str, tuple[str, ...]] = Field(
        description="recordings with segments by collection, for the next card to compare"
    )
    changes: Changes | None = Field(description="null on the first card")


def totals(figures: CardFigures) -> dict[str, float]:
    """The card's main numbers by name, summed over the folders of a tier."""
    found: defaultdict[str, float] = defaultdict(float)
    for row in figures.collections:
        for name in ("recordings", "done", "segments", "segment_hours", "audio_hours", "twins"):
            found[f"{row.tier}_{name}"] += getattr(row, name)
    for split in figures.splits:
        found[f"manifest_{split.tier}_{split.split}_segments"] += split.segments
        found[f"manifest_{split.split}_hours"] += split.hours
        found["manifest_segments"] += split.segments
    for term in figures.loss_terms:
        found[f"term_{term.term}_segments"] += term.segments
    found["dead_links"] = len(figures.dead_links)
    found["leaks"] = sum(row.keys for row in figures.leaks)
    return {name: round(value, 3) for name, value in sorted(found.items())}
