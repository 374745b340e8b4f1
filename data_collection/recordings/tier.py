"""What a tier is: a catalogue plus its own signal; everything else is the river's.

What belongs here: the description by which the factories build a tier's assets. What does not: the
rows that all tiers have in common (`tier_rows`), and any one tier (`competition`, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from data_collection.recordings.originals import OpenOriginals, videos
from data_collection.recordings.store import Store
from data_collection.recordings.tier_rows import Recording, SegmentRow

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


LeftOut = Mapping[str, str]
"""Why recordings that are done have no rows, by id: for each the recording that stands for it."""


def nothing_left_out(store: Store) -> LeftOut:
    """Of a tier that uses all that it has."""
    return {}


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
        catalogue_assets: names of the tier's own assets that are made with its catalogue.
        catalogue_partitions: names of the tier's own assets that its catalogue is read from, and
            the partitions of each.
        plotted_by: row field by which the metadata's plot counts segments.
        label_assets: names of the tier's own assets that its rows' labels come from.
        signal_assets: names of further assets that are made with the rows.
        left_out: reads which recordings are copies of others and have no rows for that; raises
            `RecordingError` where that is not known.
        has_twins: whether each clip is embedded once more as another version of it.
        open_originals: opens what brings the audio.
        min_solo_piano: smallest share of a clip's music that is a piano alone; None where the
            source is a piano's by itself.
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
    catalogue_assets: tuple[str, ...] = ()
    catalogue_partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plotted_by: str = "recording_id"
    label_assets: tuple[str, ...] = ()
    signal_assets: tuple[str, ...] = ()
    segment_labels: Callable[[Store], SegmentLabels] = no_labels
    left_out: Callable[[Store], LeftOut] = nothing_left_out
    has_twins: bool = False
    open_originals: OpenOriginals = videos
    min_solo_piano: float | None = None
    fetch_pool: str = "fetch"
    source_kind: str = "yt-dlp"
    catalogue_says: str = CATALOGUE_OF_VIDEOS
    audio_says: str = AUDIO_OF_VIDEOS

    @property
    def aggregates(self) -> tuple[str, ...]:
        """Names of the unpartitioned assets at the river's end, in order."""
        return (*self.label_assets, "metadata", *self.signal_assets)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the assets with a partition a recording, in the order of a backfill."""
        twins = ("augmented_muq_embeddings",) if self.has_twins else ()
        return ("audio", "fingerprints", "segments", "muq_embeddings", *twins)

    def folder(self, stage: str) -> str:
        """Relative path of a stage's folder, or of a file without its ending."""
        return "/".join((*self.key_prefix, stage))
