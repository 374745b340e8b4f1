"""Where in a recording each of its works lies, and which clip is of which work.

What belongs here: the place of a work that a recording holds alone, that somebody states, or that
the lengths of other recordings suggest; and the clips with their works. What does not: which works
a recording holds (`works`), and pairs of clips (`pairs`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

import polars as pl

from data_collection.maestro.rows import MaestroRecording
from data_collection.recordings.errors import CatalogueError

PlaceKnown = Literal["stated", "whole", "estimated"]
WorkPlaces = Mapping[tuple[str, str], "WorkPlace"]
"""By recording id and work id; works whose place is not known are not in it."""

CLIP_SCHEMA: dict[str, pl.DataType] = {
    "segment_id": pl.String(),
    "recording_id": pl.String(),
    "start_s": pl.Float64(),
    "end_s": pl.Float64(),
    "middle_s": pl.Float64(),
    "work_id": pl.String(),
}
SEGMENT_COLUMNS = ("segment_id", "recording_id", "start_s", "end_s")
DURATION_TOLERANCE_S = 1.0
CERTAIN_ENOUGH = 0.5
TEMPO_RANGE = 1.5
"""A whole recording this much longer or shorter than its works elsewhere is cut otherwise."""


class PairingError(CatalogueError):
    """Recordings, clips and places do not fit together; no pair of them can be trusted."""


@dataclass(frozen=True, slots=True)
class WorkPlace:
    """Where a work lies in a recording.

    Attributes:
        recording_id: the recording.
        work_id: a work that it holds.
        start_s: where the work begins, in seconds.
        end_s: where it ends, in seconds.
        known: `stated` by somebody, the `whole` recording since it holds nothing else, or
            `estimated` from how long its works are elsewhere.
    """

    recording_id: str
    work_id: str
    start_s: float
    end_s: float
    known: PlaceKnown = "stated"


def work_places(
    recordings: Sequence[MaestroRecording], stated: Iterable[WorkPlace] = ()
) -> dict[tuple[str, str], WorkPlace]:
    """Place the works of each recording.

    A recording of one work is all of it. In a recording of several, in the order in which they
    stand in it, each is given a length: the median of the recordings that hold it alone. Where all
    have one, they share the recording in proportion; where some have none, those at either end are
    placed at that length, and a single one between them gets what is left. Nothing is placed where
    the lengths do not go together with the recording's.

    Args:
        recordings: the catalogue.
        stated: places that are known from elsewhere; all works of such a recording are placed by
            these alone.

    Raises:
        PairingError: a stated place is not in the recording, overlaps another, or is of a work that
            the recording does not hold.
    """
    by_recording = _stated_places(recordings, stated)
    lengths_s = _lengths_alone(recordings)
    placed = [
        place
        for recording in recordings
        for place in by_recording.get(
            recording.metadata.recording_id, _own_places(recording, lengths_s)
        )
    ]
    return {(place.recording_id, place.work_id): place for place in placed}


def clips_of_works(
    recordings: Sequence[MaestroRecording], segments: pl.DataFrame, places: WorkPlaces
) -> pl.DataFrame:
    """Say of each clip in which work its middle lies.

    Args:
        recordings: the catalogue.
        segments: at least the columns `SEGMENT_COLUMNS`; of a table with a `state`, only the rows
            that are `kept`.
        places: where the works lie.

    Returns:
        Clips of the recordings, sorted by id, columns as `CLIP_SCHEMA`; `work_id` is null where it
        is not known. Recordings that are longer than the catalogue says are left out whole: no
        place in them can be trusted.

    Raises:
        PairingError: a column is missing, a clip stands twice, is empty or of no known recording.
    """
    clips = _checked_clips(recordings, segments)
    longer = clips.join(_durations(recordings), on="recording_id").filter(
        pl.col("end_s") > pl.col("duration_s") + DURATION_TOLERANCE_S
    )
    starts = pl.DataFrame(
        [(p.recording_id, p.start_s, p.end_s, p.work_id) for p in places.values()],
        schema={
            "recording_id": pl.String(),
            "work_start_s": pl.Float64(),
            "work_end_s": pl.Float64(),
            "work_id": pl.String(),
        },
        orient="row",
    )
    return (
        clips.join(longer, on="recording_id", how="anti")
        .with_columns(middle_s=(pl.col("start_s") + pl.col("end_s")) / 2)
        .sort("middle_s")
        .join_asof(
            starts.sort("work_start_s"),
            left_on="middle_s",
            right_on="work_start_s",
            by="recording_id",
            check_sortedness=False,
        )
        .with_columns(
            work_id=pl.when(pl.col("middle_s") <= pl.col("work_end_s")).then("work_id"),
        )
        .select(*CLIP_SCHEMA)
        .sort("segment_id")
    )


def kept(segments: pl.DataFrame) -> pl.DataFrame:
    """The rows of a table of clips that are worth anything; all where it has no `state`."""
    return segments.filter(pl.col("state") == "kept") if "state" in segments.columns else segments


def _checked_clips(recordings: Sequence[MaestroRecording], segments: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in SEGMENT_COLUMNS if name not in segments.columns]
    if missing:
        raise PairingError(
            f"the clips have no {', '.join(missing)}; their columns are "
            f"{', '.join(segments.columns)}"
        )
    clips = kept(segments).select(
        pl.col(name).cast(CLIP_SCHEMA[name], strict=False) for name in SEGMENT_COLUMNS
    )
    known = {recording.metadata.recording_id for recording in recordings}
    faults = {
        "stands twice": pl.col("segment_id").is_duplicated(),
        "lacks a value": pl.any_horizontal(pl.all().is_null()),
        "is empty": ~(
            (pl.col("start_s") >= 0)
            & (pl.col("end_s") > pl.col("start_s"))
            & pl.col("end_s").is_finite()
        ),
        "is of a recording that is not in the catalogue": ~pl.col("recording_id").is_in(
            list(known)
        ),
    }
    for what, is_so in faults.items():
        wrong = clips.filter(is_so)["segment_id"]
        if len(wrong):
            raise PairingError(
                f"clip {wrong[0]} {what}, and {len(wrong) - 1} more; materialize the segments anew"
            )
    return clips


def _durations(recordings: Iterable[MaestroRecording]) -> pl.DataFrame:
    rows = [(r.metadata.recording_id, r.metadata.duration_s) for r in recordings]
    schema = {"recording_id": pl.String(), "duration_s": pl.Float64()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _stated_places(
    recordings: Iterable[MaestroRecording], stated: Iterable[WorkPlace]
) -> dict[str, list[WorkPlace]]:
    known = {recording.metadata.recording_id: recording for recording in recordings}
    places: defaultdict[str, list[WorkPlace]] = defaultdict(list)
    for place in sorted(stated, key=lambda p: (p.recording_id, p.start_s, p.end_s)):
        recording = known.get(place.recording_id)
        if recording is None or place.work_id not in {w.work_id for w in recording.works}:
            raise PairingError(
                f"a place is stated for {place.work_id} in {place.recording_id}, which holds no "
                "such work; take it out"
            )
        limit_s = recording.metadata.duration_s + DURATION_TOLERANCE_S
        if not 0 <= place.start_s < place.end_s <= limit_s:
            raise PairingError(
                f"{place.recording_id}: {place.work_id} is said to lie at {place.start_s} to "
                f"{place.end_s} s of {recording.metadata.duration_s} s; correct it"
            )
        places[place.recording_id].append(place)
    for recording_id, in_one in places.items():
        for one, other in pairwise(in_one):
            if other.start_s < one.end_s or other.work_id == one.work_id:
                raise PairingError(
                    f"{recording_id}: the places of {one.work_id} and {other.work_id} overlap, or "
                    "one work stands twice; correct them"
                )
    return places


def _lengths_alone(recordings: Iterable[MaestroRecording]) -> dict[str, float]:
    """Median length of each work in the recordings that hold it and nothing else, in seconds.

    Fragments and works that are hardly certain do not say how long a work is.
    """
    lengths_s: defaultdict[str, list[float]] = defaultdict(list)
    for recording in recordings:
        if len(recording.works) == 1 and recording.works[0].confidence >= CERTAIN_ENOUGH:
            lengths_s[recording.works[0].work_id].append(recording.metadata.duration_s)
    return {work_id: median(found) for work_id, found in lengths_s.items()}


def _own_places(recording: MaestroRecording, lengths_s: Mapping[str, float]) -> list[WorkPlace]:
    recording_id, duration_s = recording.metadata.recording_id, recording.metadata.duration_s
    works = list(dict.fromkeys(work.work_id for work in recording.works))
    if len(works) == 1:
        return [WorkPlace(recording_id, works[0], 0.0, duration_s, "whole")]
    bounds_s = _bounds([lengths_s.get(work_id) for work_id in works], duration_s)
    return [
        WorkPlace(recording_id, work_id, *bounds, "estimated")
        for work_id, bounds in zip(works, bounds_s, strict=True)
        if bounds is not None
    ]


def _bounds(
    lengths_s: Sequence[float | None], duration_s: float
) -> list[tuple[float, float] | None]:
    """Lay lengths into a recording one after the other, as far as they are known."""
    known_s = [length_s for length_s in lengths_s if length_s is not None]
    unknown = len(lengths_s) - len(known_s)
    nowhere: list[tuple[float, float] | None] = [None] * len(lengths_s)
    if not known_s or (unknown and sum(known_s) >= duration_s):
        return nowhere
    if not unknown:
        tempo = duration_s / sum(known_s)
        if not 1 / TEMPO_RANGE <= tempo <= TEMPO_RANGE:
            return nowhere
        return list(_one_after_another([tempo * length_s for length_s in known_s]))
    if unknown == 1:
        rest_s = duration_s - sum(known_s)
        return list(_one_after_another([rest_s if s is None else s for s in lengths_s]))
    first, last = lengths_s.index(None), lengths_s[::-1].index(None)
    before = _one_after_another([s for s in lengths_s[:first] if s is not None])
    after = _one_after_another([s for s in lengths_s[::-1][:last] if s is not None])
    from_end = [(duration_s - end_s, duration_s - start_s) for start_s, end_s in after]
    between = len(lengths_s) - first - last
    return [*before, *[None] * between, *reversed(from_end)]


def _one_after_another(lengths_s: Sequence[float]) -> list[tuple[float, float]]:
    at_s, bounds = 0.0, []
    for length_s in lengths_s:
        bounds.append((at_s, at_s + length_s))
        at_s += length_s
    return bounds
