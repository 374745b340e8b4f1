"""Which clips play the same music by different people: the table `pairs.parquet`.

What belongs here: the pairs that contrastive training draws from, what is known of each, and what
was left out and why. What does not: who plays what (`performers`, `works`), where works lie
(`work_places`), alignment of sound (`alignment`), and what must be true of the table (`balance`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from data_collection.maestro.alignment import TimeMaps
from data_collection.maestro.draws import keys_of, mixed
from data_collection.maestro.negatives import NEGATIVE_COLUMNS, NEGATIVE_SCHEMA, NegativePool
from data_collection.maestro.pair_matching import is_unplaced, matched_clips, targets_of
from data_collection.maestro.recording_pairs import (
    KnownRecording,
    PairRules,
    RecordingPair,
    by_one_performer,
    known_recordings,
    paired,
)
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.work_places import (
    PairingError,
    WorkPlace,
    clips_of_works,
    kept,
    work_places,
)

PAIR_SCHEMA: dict[str, pl.DataType] = {
    "anchor": pl.String(),
    "positive": pl.String(),
    "anchor_recording": pl.String(),
    "positive_recording": pl.String(),
    "anchor_performer": pl.String(),
    "positive_performer": pl.String(),
    "anchor_split": pl.String(),
    "positive_split": pl.String(),
    "anchor_year": pl.Int32(),
    "positive_year": pl.Int32(),
    "work_id": pl.String(),
    "shared_works": pl.List(pl.String()),
    "work_overlap": pl.Float64(),
    "anchor_position": pl.Float64(),
    "positive_position": pl.Float64(),
    "position_in": pl.String(),
    "matched_by": pl.String(),
    "alignment_confidence": pl.Float64(),
    "offset_s": pl.Float64(),
    "shared_music": pl.Float64(),
    "duration_ratio": pl.Float64(),
    "stretch_ratio": pl.Float64(),
    "confidence": pl.Float64(),
    "weight": pl.Float64(),
    **NEGATIVE_SCHEMA,
}
PAIR_COLUMNS = {
    "anchor": "segment id",
    "positive": "segment id: about the same music, by another performer",
    "anchor_recording": "recording of the anchor",
    "positive_recording": "recording of the positive",
    "anchor_performer": "who plays the anchor",
    "positive_performer": "who plays the positive",
    "anchor_split": "official split of the anchor",
    "positive_split": "official split of the positive",
    "anchor_year": "of the anchor; between two years, a person who came back has two ids",
    "positive_year": "of the positive",
    "work_id": "the shared work that the anchor's middle lies in; null where not known",
    "shared_works": "works that both recordings hold, sorted",
    "work_overlap": "shared works as a share of the works of both recordings together",
    "anchor_position": "of the anchor's middle in `position_in`, 0 the start and 1 the end",
    "positive_position": "the same of the positive's middle",
    "position_in": (
        "work: places of the shared work are known; aligned: the stretches that were aligned; "
        "same_works: recordings of the same works, so both whole; estimated_work: places follow "
        "from how long the works are elsewhere; recording: both whole, though their works differ, "
        "so the positions say little"
    ),
    "matched_by": "relative_position or chroma_dtw",
    "alignment_confidence": "of the alignment at the anchor's middle, 0 to 1; null without",
    "offset_s": "positive's middle minus the moment that matches the anchor's, in its own time",
    "shared_music": "share of the anchor's music that the positive plays too, as matched",
    "duration_ratio": "duration of the anchor's recording over that of the positive's",
    "stretch_ratio": "the same of the stretches in which the positions are; far from 1: a repeat "
    "left out, or a wrong work",
    "confidence": "least of those of the shared works and of both performers, 0 to 1",
    "weight": "how often to draw the pair; sums to 1 in each split of the anchor",
    **NEGATIVE_COLUMNS,
}


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What stands behind a table of pairs, and what is not in it.

    Attributes:
        clips: kept clips that were given, but for those of recordings longer than stated.
        longer_than_stated: recordings left out since a clip ends after the stated duration.
        recording_pairs: pairs of recordings that share a work, by different performers, in scope.
        across_splits: pairs of recordings in different official splits; left out unless asked for.
        same_performer: pairs of recordings that share a work and are by one person; left out.
        unplaced: of `recording_pairs`, those of different works whose places are not known, not
            aligned either; left out unless asked for.
        anchors: clips with a positive.
        without_positive: clips without one, by reason: `works_not_known`, `performer_not_known`,
            `nobody_else_plays_it`, `only_in_other_splits`, `place_not_known`, `nothing_matches`.
    """

    clips: int
    longer_than_stated: tuple[str, ...]
    recording_pairs: int
    across_splits: int
    same_performer: int
    unplaced: int
    anchors: int
    without_positive: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The table, columns as `PAIR_SCHEMA`, and what stands behind it."""

    table: pl.DataFrame
    facts: PairFacts


def make_pairs(
    recordings: Sequence[MaestroRecording],
    segments: pl.DataFrame,
    rules: PairRules | None = None,
    *,
    stated_places: Iterable[WorkPlace] = (),
    time_maps: TimeMaps | None = None,
) -> Pairs:
    """Pair clips that play the same music by different people.

    A contrastive trainer draws anchors, pulls each towards one of its positives and pushes it from
    the rest of the batch. What it needs of the table:

    * A positive must be the same music, or the model learns nothing that the piece has in common
      with itself. So the positive is the clip of the other recording that plays most of the
      anchor's music: by the anchor's relative position in the shared work, or, for recordings that
      were aligned, by the alignment. A clip that matches nothing is in no pair.
    * It must be by another person, or the pianist is learnt instead of the music. A performer who
      is not known is in no pair.
    * Every anchor counts, and none twice as much because many play its piece: an anchor has at most
      `positives_per_anchor` rows, of different performers as long as there are any, so a trainer
      that draws one row an anchor and epoch sees each anchor once. `weight` is for one that draws
      rows: pieces are weighed by the number of their anchors to the power of `piece_balance`, and
      within a piece performers, their anchors, and an anchor's rows alike. So with the default of
      0.5 a piece with a hundred times the anchors is drawn ten times as often.
    * A negative must be other music for certain. A work's whole family is kept out (the movements
      of its sonata, the numbers of its set), and so is everything that stands in one recording
      with any of it. The works to draw from come in two lists, by the same composer and by
      others, drawn evenly over works. Negatives within a batch are those of none of
      `not_negative_families`.
    * What is tested must not be trained on: pairs stay within an official split, and so do
      negatives. Performers do cross the splits.

    The draw is by SHA-256 of the seed and the ids: the same on every machine and for every order of
    the rows, and nearly the same after a recording is added.

    Args:
        recordings: the catalogue.
        segments: the clips, at least with the columns `work_places.SEGMENT_COLUMNS`; rows whose
            `state` is not `kept` are passed over.
        rules: which pairs to make.
        stated_places: where works lie in recordings, where somebody says so.
        time_maps: alignments of recording pairs, by their ids in either order.

    Returns:
        The pairs, sorted by anchor and then in the order of the draw, and what was left out.

    Raises:
        PairingError: the tables do not fit together.
    """
    rules = rules or PairRules()
    _refuse_twice(recordings)
    places = work_places(recordings, stated_places)
    clips = clips_of_works(recordings, segments, places)
    known = known_recordings(recordings, rules)
    sharing = paired(known)
    within = [pair for pair in sharing if rules.across_splits or not pair.across_splits]
    targets = targets_of(clips, within, known, places, time_maps or {})
    placed = targets if rules.unplaced else targets.filter(~is_unplaced())
    drawn = _drawn(matched_clips(placed, clips, rules), rules)
    table = _described(drawn, within, known, clips, recordings, rules)
    facts = PairFacts(
        clips=clips.height,
        longer_than_stated=_left_out(segments, clips),
        recording_pairs=len(within),
        across_splits=sum(pair.across_splits for pair in sharing),
        same_performer=by_one_performer(known),
        unplaced=_pair_count(targets.filter(is_unplaced())),
        anchors=table["anchor"].n_unique(),
        without_positive=_without_positive(
            clips, table, recordings, known, sharing, targets, rules
        ),
    )
    return Pairs(table, facts)


def _refuse_twice(recordings: Iterable[MaestroRecording]) -> None:
    counts = Counter(recording.metadata.recording_id for recording in recordings)
    twice = sorted(recording_id for recording_id, count in counts.items() if count > 1)
    if twice:
        raise PairingError(
            f"{twice[0]} stands twice in the catalogue, and {len(twice) - 1} others do; "
            "materialize the recordings anew"
        )


def _pair_count(rows: pl.DataFrame) -> int:
    """How many pairs of recordings there are, whichever way round."""
    one, other = "anchor_recording", "positive_recording"
    ordered = rows.select(first=pl.min_horizontal(one, other), second=pl.max_horizontal(one, other))
    return ordered.n_unique()


def _drawn(matched: pl.DataFrame, rules: PairRules) -> pl.DataFrame:
    """Draw an anchor's positives: each performer once before any is drawn again."""
    anchor = keys_of(rules.seed, "anchor", matched["anchor"])
    return (
        matched.with_columns(
            pl.Series(
                f"{what}_key", mixed(anchor, keys_of(rules.seed, what, matched[f"positive_{what}"]))
            )
            for what in ("recording", "performer")
        )
        .sort("anchor", "recording_key", "positive_recording")
        .with_columns(turn=pl.int_range(pl.len()).over("anchor", "positive_performer"))
        .sort("anchor", "turn", "performer_key", "positive_performer")
        .with_columns(draw=pl.int_range(pl.len()).over("anchor"))
        .filter(pl.col("draw") < rules.positives_per_anchor)
    )


def _described(
    drawn: pl.DataFrame,
    pairs: Iterable[RecordingPair],
    known: Mapping[str, KnownRecording],
    clips: pl.DataFrame,
    recordings: Sequence[MaestroRecording],
    rules: PairRules,
) -> pl.DataFrame:
    """The table's columns, in its order."""
    table = (
        drawn.join(_of_recordings(known, "anchor"), on="anchor_recording")
        .join(_of_recordings(known, "positive"), on="positive_recording")
        .join(_of_pairs(pairs, known), on=["anchor_recording", "positive_recording"])
        .join(clips.select(anchor="segment_id", clip_work="work_id"), on="anchor")
        .with_columns(
            work_id=pl.when(pl.col("shared_works").list.contains(pl.col("clip_work"))).then(
                "clip_work"
            ),
            anchor_position=_position("middle_s", "anchor"),
            positive_position=_position("positive_middle_s", "positive"),
            offset_s=pl.col("positive_middle_s") - pl.col("target_middle_s"),
            duration_ratio=pl.col("anchor_duration_s") / pl.col("positive_duration_s"),
            stretch_ratio=(pl.col("anchor_to_s") - pl.col("anchor_from_s"))
            / (pl.col("positive_to_s") - pl.col("positive_from_s")),
        )
        .sort("anchor", "draw")
        .with_columns(weight=_weight(rules.piece_balance))
    )
    pool = NegativePool.of(recordings, set(clips["recording_id"]), rules.min_work_confidence)
    negatives = pool.draw(table, seed=rules.seed, count=rules.negatives_per_pair)
    return table.hstack(negatives).select(
        pl.col(name).cast(dtype) for name, dtype in PAIR_SCHEMA.items()
    )


def _of_recordings(known: Mapping[str, KnownRecording], side: str) -> pl.DataFrame:
    rows = [
        (k.recording_id, k.performer_id, data.split, data.year, data.duration_s)
        for k in known.values()
        for data in (k.recording.metadata,)
    ]
    schema = {
        f"{side}_recording": pl.String(),
        f"{side}_performer": pl.String(),
        f"{side}_split": pl.String(),
        f"{side}_year": pl.Int32(),
        f"{side}_duration_s": pl.Float64(),
    }
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return table if side == "anchor" else table.drop(f"{side}_performer")


def _of_pairs(pairs: Iterable[RecordingPair], known: Mapping[str, KnownRecording]) -> pl.DataFrame:
    rows = []
    for pair in pairs:
        one, other = known[pair.first], known[pair.second]
        both = one.works.keys() | other.works.keys()
        confidence = min(
            *(k.works[work_id] for work_id in pair.shared_works for k in (one, other)),
            *(k.recording.performance.confidence for k in (one, other)),
        )
        facts = (list(pair.shared_works), len(pair.shared_works) / len(both), confidence)
        rows += [(pair.first, pair.second, *facts), (pair.second, pair.first, *facts)]
    schema = {
        "anchor_recording": pl.String(),
        "positive_recording": pl.String(),
        "shared_works": pl.List(pl.String()),
        "work_overlap": pl.Float64(),
        "confidence": pl.Float64(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _position(middle: str, side: str) -> pl.Expr:
    start, end = pl.col(f"{side}_from_s"), pl.col(f"{side}_to_s")
    return ((pl.col(middle) - start) / (end - start)).clip(0, 1)


def _weight(piece_balance: float) -> pl.Expr:
    piece = pl.coalesce("work_id", pl.col("shared_works").list.first())
    split, performer, anchor = "anchor_split", "anchor_performer", "anchor"
    share = pl.col(anchor).n_unique().over(split, piece).cast(pl.Float64()).pow(piece_balance) / (
        pl.col(performer).n_unique().over(split, piece)
        * pl.col(anchor).n_unique().over(split, piece, performer)
        * pl.len().over(split, piece, anchor)
    )
    return share / share.sum().over(split)


def _left_out(segments: pl.DataFrame, clips: pl.DataFrame) -> tuple[str, ...]:
    """Recordings whose clips were all passed over, since they are longer than stated."""
    return tuple(sorted(set(kept(segments)["recording_id"]) - set(clips["recording_id"])))


def _without_positive(
    clips: pl.DataFrame,
    table: pl.DataFrame,
    recordings: Iterable[MaestroRecording],
    known: Mapping[str, KnownRecording],
    sharing: Iterable[RecordingPair],
    targets: pl.DataFrame,
    rules: PairRules,
) -> dict[str, int]:
    """Count the clips without a positive, by the first reason that holds."""
    doubtful = [
        r.metadata.recording_id
        for r in recordings
        if not any(work.confidence >= rules.min_work_confidence for work in r.works)
    ]
    elsewhere = {r for p in sharing if p.across_splits for r in (p.first, p.second)}
    placed = targets.filter(~is_unplaced() | pl.lit(rules.unplaced))["anchor"].to_list()
    recording = pl.col("recording_id")
    reason = (
        pl.when(recording.is_in(doubtful))
        .then(pl.lit("works_not_known"))
        .when(~recording.is_in(sorted(known)))
        .then(pl.lit("performer_not_known"))
        .when(pl.col("segment_id").is_in(placed))
        .then(pl.lit("nothing_matches"))
        .when(pl.col("segment_id").is_in(targets["anchor"].to_list()))
        .then(pl.lit("place_not_known"))
        .when(recording.is_in(sorted(elsewhere)))
        .then(pl.lit("only_in_other_splits"))
        .otherwise(pl.lit("nobody_else_plays_it"))
    )
    lone = clips.join(table, left_on="segment_id", right_on="anchor", how="anti")
    counted = lone.select(reason=reason).group_by("reason").len().sort("reason")
    return {str(name): int(count) for name, count in counted.iter_rows()}
