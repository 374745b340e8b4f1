"""What must be true of MAESTRO's pairs, and the figures that say how balanced they are.

What belongs here: faults of a table of pairs, what crosses the official split, counts. What does
not: making the table (`pairs`), and showing any of this (`checks`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from data_collection.maestro.pairs import PAIR_SCHEMA
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.work_places import kept

Key = TypeVar("Key", str, int)

FAR_STRETCH_RATIO = 1.35
"""Two pianists seldom differ more in the length of a piece: a repeat, or another piece."""
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A work or a performer that stands in several official splits.

    Attributes:
        id: of the work or the performer.
        splits: number of recordings by split, sorted by split.
    """

    id: str
    splits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SplitCrossings:
    """What crosses the official split: performers do, works must not.

    Attributes:
        works: sorted by id.
        performers: sorted by id.
    """

    works: tuple[Crossing, ...]
    performers: tuple[Crossing, ...]


@dataclass(frozen=True, slots=True)
class CatalogueFigures:
    """How much there is.

    Attributes:
        recordings: in the catalogue.
        recordings_by_split: likewise.
        segments: kept clips.
        duration_s: of all recordings together, in seconds.
        duration_quantiles_s: of a recording, by quantile from 0 to 1, in seconds.
        performers: different ones that are known.
        without_performer: recordings whose performer is not known.
        without_works: recordings whose works are not known.
        pieces: different works.
        pieces_with_two_performers: those that at least two different performers play.
        performers_per_piece: number of pieces by number of known performers.
    """

    recordings: int
    recordings_by_split: Mapping[str, int]
    segments: int
    duration_s: float
    duration_quantiles_s: Mapping[float, float]
    performers: int
    without_performer: int
    without_works: int
    pieces: int
    pieces_with_two_performers: int
    performers_per_piece: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class PairFigures:
    """How the pairs are spread.

    Attributes:
        pairs: rows.
        anchors: different ones.
        anchor_share: of all kept clips.
        pairs_by_split: by the anchor's split.
        anchors_by_split: likewise.
        across_splits: rows whose two sides are in different splits.
        recording_pairs: different pairs of recordings, whichever way round.
        pairs_by_position: by `position_in`.
        pairs_by_match: by `matched_by`.
        positives_per_anchor: number of anchors by number of their positives.
        performers_per_anchor: number of anchors by number of different performers among them.
        far_stretch_share: of rows whose stretches differ in length by more than
            `FAR_STRETCH_RATIO`.
        shared_music_quantiles: by quantile from 0 to 1.
        largest_piece_rows: share of rows of the piece with most of them.
        largest_piece_weight: largest share of the weight that a piece has in its split.
    """

    pairs: int
    anchors: int
    anchor_share: float
    pairs_by_split: Mapping[str, int]
    anchors_by_split: Mapping[str, int]
    across_splits: int
    recording_pairs: int
    pairs_by_position: Mapping[str, int]
    pairs_by_match: Mapping[str, int]
    positives_per_anchor: Mapping[int, int]
    performers_per_anchor: Mapping[int, int]
    far_stretch_share: float
    shared_music_quantiles: Mapping[float, float]
    largest_piece_rows: float
    largest_piece_weight: float


def split_crossings(recordings: Iterable[MaestroRecording]) -> SplitCrossings:
    """Say which works and performers stand in several official splits."""
    works: defaultdict[str, Counter[str]] = defaultdict(Counter)
    performers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for recording in recordings:
        split = recording.metadata.split
        for work_id in {work.work_id for work in recording.works}:
            works[work_id][split] += 1
        if recording.performance.performer_id is not None:
            performers[recording.performance.performer_id][split] += 1
    return SplitCrossings(_crossings(works), _crossings(performers))


def catalogue_figures(
    recordings: Sequence[MaestroRecording], segments: pl.DataFrame
) -> CatalogueFigures:
    """Count what there is.

    Args:
        recordings: the catalogue.
        segments: the clips; of a table with a `state`, those kept are counted.
    """
    performers: defaultdict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        performer = recording.performance.performer_id
        for work in recording.works:
            performers[work.work_id] |= {performer} if performer is not None else set()
    durations_s = pl.Series([r.metadata.duration_s for r in recordings], dtype=pl.Float64())
    known = {r.performance.performer_id for r in recordings} - {None}
    return CatalogueFigures(
        recordings=len(recordings),
        recordings_by_split=_counts(r.metadata.split for r in recordings),
        segments=kept(segments).height,
        duration_s=float(durations_s.sum()),
        duration_quantiles_s=_quantiles(durations_s),
        performers=len(known),
        without_performer=sum(r.performance.performer_id is None for r in recordings),
        without_works=sum(not r.works for r in recordings),
        pieces=len(performers),
        pieces_with_two_performers=sum(len(found) > 1 for found in performers.values()),
        performers_per_piece=_counts(len(found) for found in performers.values()),
    )


def pair_figures(pairs: pl.DataFrame, clips: int) -> PairFigures:
    """Say how pairs are spread.

    Args:
        pairs: columns as `PAIR_SCHEMA`.
        clips: number of kept clips.
    """
    piece = pl.coalesce("work_id", pl.col("shared_works").list.first())
    by_anchor = pairs.group_by("anchor", "anchor_split").agg(
        positives=pl.len(), performers=pl.col("positive_performer").n_unique()
    )
    by_piece = pairs.group_by(piece.alias("piece"), "anchor_split").agg(
        pl.len(), pl.col("weight").sum()
    )
    ratio = pl.col("stretch_ratio")
    is_far = (ratio > FAR_STRETCH_RATIO) | (ratio < 1 / FAR_STRETCH_RATIO)
    one, other = "anchor_recording", "positive_recording"
    recordings = pairs.select(
        pl.min_horizontal(one, other), pl.max_horizontal(one, other).alias("b")
    )
    most = by_piece.group_by("piece").agg(pl.col("len").sum())["len"].max()
    return PairFigures(
        pairs=pairs.height,
        anchors=by_anchor.height,
        anchor_share=by_anchor.height / clips if clips else 0.0,
        pairs_by_split=_counts(pairs["anchor_split"]),
        anchors_by_split=_counts(by_anchor["anchor_split"]),
        across_splits=pairs.filter(pl.col("anchor_split") != pl.col("positive_split")).height,
        recording_pairs=recordings.n_unique() if pairs.height else 0,
        pairs_by_position=_counts(pairs["position_in"]),
        pairs_by_match=_counts(pairs["matched_by"]),
        positives_per_anchor=_counts(by_anchor["positives"]),
        performers_per_anchor=_counts(by_anchor["performers"]),
        far_stretch_share=pairs.filter(is_far).height / max(pairs.height, 1),
        shared_music_quantiles=_quantiles(pairs["shared_music"]),
        largest_piece_rows=_number(most) / max(pairs.height, 1),
        largest_piece_weight=_number(by_piece["weight"].max()),
    )


def pair_problems(
    pairs: pl.DataFrame,
    recordings: Sequence[MaestroRecording],
    segments: pl.DataFrame,
    *,
    across_splits: bool = False,
) -> list[str]:
    """What is wrong with a table of pairs, say one made before the catalogue changed.

    Everything is held against the catalogue, not against the table's own columns.

    Args:
        pairs: the table, as read.
        recordings: the catalogue.
        segments: the clips.
        across_splits: whether pairs of different splits are meant to be there.

    Returns:
        A sentence for each kind of fault with its number and first pair; empty where there is none.
    """
    if dict(pairs.schema) != PAIR_SCHEMA:
        return [f"columns are {dict(pairs.schema)}, not {PAIR_SCHEMA}"]
    of_clip = segments.select(clip="segment_id", told_recording="recording_id").unique("clip")
    of_recording = _told(recordings)
    found = pairs
    for side in ("anchor", "positive"):
        told = of_clip.join(of_recording, on="told_recording", how="left")
        found = found.join(
            told.rename({name: f"{side}_{name}" for name in told.columns}).rename(
                {f"{side}_clip": side}
            ),
            on=side,
            how="left",
            maintain_order="left",
        )
    faults = _faults()
    if not across_splits:
        faults["across splits"] = pl.col("anchor_told_split") != pl.col("positive_told_split")
    wrong = {what: found.filter(is_so.fill_null(value=False)) for what, is_so in faults.items()}
    wrong["with a negative that may be the same music"] = _doubtful_negatives(pairs, recordings)
    return [
        f"pairs {what}: {rows.height}, such as {rows['anchor'][0]} and {rows['positive'][0]}"
        for what, rows in wrong.items()
        if rows.height
    ]


def _faults() -> dict[str, pl.Expr]:
    """What no pair may be, in words, of pairs beside what the catalogue tells of both sides."""
    told = {
        name: pl.col(f"anchor_told_{name}") for name in ("recording", "performer", "split", "works")
    }
    theirs = {name: pl.col(f"positive_told_{name}") for name in told}
    works = told["works"].list.set_intersection(theirs["works"])
    positions = ("anchor_position", "positive_position", "shared_music", "work_overlap")
    return {
        "of a clip that is not known": told["recording"].is_null() | theirs["recording"].is_null(),
        "within one recording": told["recording"] == theirs["recording"],
        "by one performer": told["performer"] == theirs["performer"],
        "by somebody who is not known": told["performer"].is_null() | theirs["performer"].is_null(),
        "of different works": works.list.len() == 0,
        "of a work that both do not share": (
            (pl.col("shared_works").list.set_difference(works).list.len() > 0)
            | (pl.col("shared_works").list.len() == 0)
            | (
                pl.col("work_id").is_not_null()
                & ~pl.col("shared_works").list.contains(pl.col("work_id"))
            )
        ),
        "twice": pl.struct("anchor", "positive").is_duplicated(),
        "with a wrong recording, performer or split": pl.any_horizontal(
            (pl.col(f"{side}_{name}") != pl.col(f"{side}_told_{name}"))
            for side in ("anchor", "positive")
            for name in ("recording", "performer", "split")
        ),
        "with a place or share outside 0 to 1": pl.any_horizontal(
            ~pl.col(name).is_between(0, 1) for name in positions
        ),
        "without a weight": ~(pl.col("weight") > 0) | pl.col("weight").is_null(),
    }


def _told(recordings: Iterable[MaestroRecording]) -> pl.DataFrame:
    """What the catalogue tells of each recording."""
    rows = [
        (
            r.metadata.recording_id,
            r.performance.performer_id,
            r.metadata.split,
            sorted({work.work_id for work in r.works}),
        )
        for r in recordings
    ]
    schema = {
        "told_recording": pl.String(),
        "told_performer": pl.String(),
        "told_split": pl.String(),
        "told_works": pl.List(pl.String()),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _doubtful_negatives(
    pairs: pl.DataFrame, recordings: Iterable[MaestroRecording]
) -> pl.DataFrame:
    """Pairs with a negative of which some recording touches a family of one of theirs."""
    families = {r.metadata.recording_id: {work.family_id for work in r.works} for r in recordings}
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        for work in recording.works:
            beside[work.work_id] |= families[recording.metadata.recording_id]
    columns = (
        "anchor_recording",
        "positive_recording",
        "negatives_same_composer",
        "negatives_other_composer",
    )
    is_doubtful = [
        any(beside[work_id] & own or work_id not in beside for work_id in (*same, *others))
        for one, other, same, others in pairs.select(columns).iter_rows()
        for own in (families.get(one, set()) | families.get(other, set()),)
    ]
    return pairs.filter(pl.Series(is_doubtful, dtype=pl.Boolean()))


def _crossings(counts: Mapping[str, Counter[str]]) -> tuple[Crossing, ...]:
    return tuple(
        Crossing(id_, tuple(sorted(splits.items())))
        for id_, splits in sorted(counts.items())
        if len(splits) > 1
    )


def _counts(values: Iterable[Key]) -> dict[Key, int]:
    return dict(sorted(Counter(values).items()))


def _quantiles(values: pl.Series) -> dict[float, float]:
    if not len(values):
        return {}
    return {at: _number(values.quantile(at, "linear")) for at in QUANTILES}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
