"""What must be true of MAESTRO's pairs, and the figures that say how balanced they are.

What belongs here: faults of a table of pairs, what crosses the official split, counts, how many
clips a duration promises. What does not: making the table (`pairs`), and showing any of this
(`checks`, `plots`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import isfinite
from typing import Literal, TypeVar

import polars as pl

from data_collection.maestro.pairs import PAIR_SCHEMA
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.work_places import DURATION_TOLERANCE_S, kept

Key = TypeVar("Key", str, int)
ProblemKind = Literal["clip", "performer", "work", "split", "table"]
"""What a fault of pairs is against. `clip`: it is not known, so neither is who plays what in it,
and the pair cannot be held against anything."""

FAR_STRETCH_RATIO = 1.35
"""Two pianists seldom differ more in the length of a piece: a repeat, or another piece."""
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
WEIGHT_TOLERANCE = 1e-6
EXAMPLES = 5


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
        between_years: rows of two years; a person who came back has two ids, unless somebody said.
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
    between_years: int
    recording_pairs: int
    pairs_by_position: Mapping[str, int]
    pairs_by_match: Mapping[str, int]
    positives_per_anchor: Mapping[int, int]
    performers_per_anchor: Mapping[int, int]
    far_stretch_share: float
    shared_music_quantiles: Mapping[float, float]
    largest_piece_rows: float
    largest_piece_weight: float


@dataclass(frozen=True, slots=True)
class PairProblem:
    """A fault that pairs have.

    Attributes:
        kind: what it is against.
        what: what is wrong with them, such as "by one performer".
        pairs: how many have it.
        examples: the first of them, anchor and positive.
    """

    kind: ProblemKind
    what: str
    pairs: int
    examples: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        such_as = "".join(f", such as {one} and {other}" for one, other in self.examples[:1])
        return f"pairs {self.what}: {self.pairs}{such_as}"


def promised_clips(
    duration_s: float,
    *,
    clip_s: float,
    min_tail_s: float,
    tolerance_s: float = DURATION_TOLERANCE_S,
) -> tuple[int, int]:
    """Say how many clips a recording of a stated duration has, at least and at most.

    Args:
        duration_s: as stated, in seconds; the sound may be that much longer or shorter.
        clip_s: length of a clip, in seconds.
        min_tail_s: a shorter last clip does not count, in seconds.
        tolerance_s: by how much the statement may be wrong, in seconds.
    """
    least, most = (
        int((length_s + clip_s - min_tail_s) // clip_s)
        for length_s in (max(duration_s - tolerance_s, 0.0), duration_s + tolerance_s)
    )
    return least, most


def positives_by_split(
    pairs: pl.DataFrame, recordings: Iterable[MaestroRecording], segments: pl.DataFrame
) -> dict[str, dict[int, int]]:
    """Count the kept clips of each split by the number of their positives, from 0."""
    counted = (
        kept(segments)
        .select("segment_id", told_recording="recording_id")
        .join(_told(recordings), on="told_recording")
        .join(
            pairs.group_by(segment_id="anchor").agg(positives=pl.len()),
            on="segment_id",
            how="left",
        )
        .group_by("told_split", pl.col("positives").fill_null(0))
        .len()
        .sort("told_split", "positives")
    )
    found: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for split, positives, clips in counted.iter_rows():
        found[split][positives] = clips
    return dict(found)


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


def performers_by_piece(recordings: Iterable[MaestroRecording]) -> dict[str, set[str]]:
    """Known performers by work id; none for a work that only somebody unknown plays."""
    performers: defaultdict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        performer = recording.performance.performer_id
        for work in recording.works:
            performers[work.work_id] |= {performer} if performer is not None else set()
    return dict(performers)


def catalogue_figures(
    recordings: Sequence[MaestroRecording], segments: pl.DataFrame
) -> CatalogueFigures:
    """Count what there is.

    Args:
        recordings: the catalogue.
        segments: the clips; of a table with a `state`, those kept are counted.
    """
    performers = performers_by_piece(recordings)
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
        between_years=pairs.filter(pl.col("anchor_year") != pl.col("positive_year")).height,
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
) -> list[PairProblem]:
    """What is wrong with a table of pairs, say one made before the catalogue changed.

    Everything is held against the catalogue, not against the table's own columns.

    Args:
        pairs: the table, as read.
        recordings: the catalogue.
        segments: the clips.
        across_splits: whether pairs of different splits are meant to be there.

    Returns:
        A problem for each fault that some pairs have; empty where there is none.
    """
    if dict(pairs.schema) != PAIR_SCHEMA:
        what = f"whose columns are {dict(pairs.schema)}, not {PAIR_SCHEMA}"
        return [PairProblem("table", what, pairs.height, ())]
    of_clip = segments.select(clip="segment_id", told_recording="recording_id").unique(
        "clip", keep="first", maintain_order=True
    )
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
    found = found.with_columns(
        may_be_the_same=_may_be_the_same(found, recordings),
        is_elsewhere=_is_elsewhere(found, recordings, set(of_clip["told_recording"])),
    )
    faults = [*_faults(), *(() if across_splits else (_ACROSS_SPLITS,))]
    return [
        problem
        for fault in faults
        if (problem := _problem(fault, found.filter(fault.is_so.fill_null(value=False))))
    ]


@dataclass(frozen=True, slots=True)
class _Fault:
    """What no pair may be: against what, in words, and of pairs beside what the catalogue tells."""

    kind: ProblemKind
    what: str
    is_so: pl.Expr


_NEGATIVES = ("negatives_same_composer", "negatives_other_composer")
_ACROSS_SPLITS = _Fault(
    "split", "across splits", pl.col("anchor_told_split") != pl.col("positive_told_split")
)


def _problem(fault: _Fault, wrong: pl.DataFrame) -> PairProblem | None:
    if not wrong.height:
        return None
    sides = wrong.select("anchor", "positive").head(EXAMPLES).iter_rows()
    examples = tuple((str(anchor), str(positive)) for anchor, positive in sides)
    return PairProblem(fault.kind, fault.what, wrong.height, examples)


def _faults() -> list[_Fault]:
    told = {
        name: pl.col(f"anchor_told_{name}") for name in ("recording", "performer", "split", "works")
    }
    theirs = {name: pl.col(f"positive_told_{name}") for name in told}
    works = told["works"].list.set_intersection(theirs["works"])
    shared, work_id, weight = pl.col("shared_works"), pl.col("work_id"), pl.col("weight")
    positions = ("anchor_position", "positive_position", "shared_music", "work_overlap")
    # The one thing that a recording of the catalogue always has.
    is_clip_unknown = told["split"].is_null() | theirs["split"].is_null()
    return [
        _Fault("clip", "of a clip that is not known", is_clip_unknown),
        _Fault("performer", "within one recording", told["recording"] == theirs["recording"]),
        _Fault("performer", "by one performer", told["performer"] == theirs["performer"]),
        _Fault(
            "performer",
            "by somebody who is not known",
            ~is_clip_unknown & (told["performer"].is_null() | theirs["performer"].is_null()),
        ),
        _Fault("work", "of different works", works.list.len() == 0),
        _Fault(
            "table",
            "of a work that both do not share",
            (shared.list.set_difference(works).list.len() > 0)
            | shared.is_null()
            | (shared.list.len() == 0)
            | (work_id.is_not_null() & ~shared.list.contains(work_id)),
        ),
        _Fault("table", "twice", pl.struct("anchor", "positive").is_duplicated()),
        _Fault(
            "table",
            "with a wrong recording, performer or split",
            ~is_clip_unknown
            & pl.any_horizontal(
                pl.col(f"{side}_{name}").ne_missing(pl.col(f"{side}_told_{name}"))
                for side in ("anchor", "positive")
                for name in ("recording", "performer", "split")
            ),
        ),
        _Fault(
            "table",
            "with a place or share outside 0 to 1",
            pl.any_horizontal(
                pl.col(name).is_null() | ~pl.col(name).is_between(0, 1) for name in positions
            ),
        ),
        _Fault("table", "without a weight", weight.is_null() | ~weight.is_finite() | (weight <= 0)),
        _Fault(
            "table",
            "of a split whose weights do not sum to 1",
            (weight.sum().over("anchor_split") - 1).abs() > WEIGHT_TOLERANCE,
        ),
        _Fault("table", "with a negative that may be the same music", pl.col("may_be_the_same")),
        _Fault("table", "with a negative that their split does not have", pl.col("is_elsewhere")),
    ]


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


def _may_be_the_same(found: pl.DataFrame, recordings: Iterable[MaestroRecording]) -> pl.Series:
    """Whether some recording of a pair's negatives touches a family of one of its two."""
    families = {r.metadata.recording_id: {work.family_id for work in r.works} for r in recordings}
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        for work in recording.works:
            beside[work.work_id] |= families[recording.metadata.recording_id]
    columns = ("anchor_told_recording", "positive_told_recording", *_NEGATIVES)
    is_so = [
        any(
            work_id not in beside or beside[work_id] & own
            for work_id in (*(same or ()), *(others or ()))
        )
        for one, other, same, others in found.select(columns).iter_rows()
        for own in (families.get(one, set()) | families.get(other, set()),)
    ]
    return pl.Series(is_so, dtype=pl.Boolean())


def _is_elsewhere(
    found: pl.DataFrame, recordings: Iterable[MaestroRecording], with_clips: Set[str]
) -> pl.Series:
    """Whether some negative of a pair has no clip in the anchor's split."""
    works: defaultdict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        if recording.metadata.recording_id in with_clips:
            works[recording.metadata.split] |= {work.work_id for work in recording.works}
    is_so = [
        split is not None and not works[split].issuperset((*(same or ()), *(others or ())))
        for split, same, others in found.select("anchor_told_split", *_NEGATIVES).iter_rows()
    ]
    return pl.Series(is_so, dtype=pl.Boolean())


def _crossings(counts: Mapping[str, Counter[str]]) -> tuple[Crossing, ...]:
    return tuple(
        Crossing(id_, tuple(sorted(splits.items())))
        for id_, splits in sorted(counts.items())
        if len(splits) > 1
    )


def _counts(values: Iterable[Key | None]) -> dict[Key, int]:
    return dict(sorted(Counter(value for value in values if value is not None).items()))


def _quantiles(values: pl.Series) -> dict[float, float]:
    if not len(values):
        return {}
    return {at: _number(values.quantile(at, "linear")) for at in QUANTILES}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and isfinite(value) else 0.0
