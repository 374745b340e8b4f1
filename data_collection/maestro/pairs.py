"""Which clips play the same music by different people: the table `pairs.parquet`.

What belongs here: the pairs that contrastive training draws from, what is known of each, and what
was left out and why. What does not: who plays what (`performers`, `works`), where works lie
(`work_places`), alignment of sound (`alignment`), and what must be true of the table (`balance`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from data_collection.maestro.alignment import TimeMap, TimeMaps, either_way
from data_collection.maestro.draws import keys_of, mixed
from data_collection.maestro.negatives import NEGATIVE_COLUMNS, NEGATIVE_SCHEMA, NegativePool
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.work_places import (
    PairingError,
    WorkPlace,
    WorkPlaces,
    clips_of_works,
    kept,
    work_places,
)

IN_WORK = "work"
IN_SAME_WORKS = "same_works"
IN_ESTIMATED_WORK = "estimated_work"
IN_ALIGNED = "aligned"
IN_RECORDING = "recording"
BY_POSITION = "relative_position"
BY_CHROMA = "chroma_dtw"

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
class PairRules:
    """Which pairs are made.

    Attributes:
        seed: other seeds draw other positives and negatives.
        positives_per_anchor: at most so many positives for an anchor.
        negatives_per_pair: so many works of the same composer, and as many of others.
        min_shared_music: least share of the anchor's music that its positive plays too.
        min_work_confidence: works that are less certain are shared with nobody.
        min_performer_confidence: recordings whose performer is less certain are in no pair.
        min_alignment_confidence: where a recording pair was aligned, clips below it are in no pair.
        across_splits: also pair recordings of different official splits.
        unplaced: also pair recordings of different works whose places in them are not known, by
            their whole lengths: a prelude's middle with that of the whole set. Alignments place
            them better.
        piece_balance: 1 weighs all anchors alike, 0 all pieces alike.
    """

    seed: int = 0
    positives_per_anchor: int = 4
    negatives_per_pair: int = 8
    min_shared_music: float = 0.25
    min_work_confidence: float = 0.5
    min_performer_confidence: float = 0.5
    min_alignment_confidence: float = 0.5
    across_splits: bool = False
    unplaced: bool = False
    piece_balance: float = 0.5

    def __post_init__(self) -> None:
        shares = {
            "min_shared_music": self.min_shared_music,
            "min_work_confidence": self.min_work_confidence,
            "min_performer_confidence": self.min_performer_confidence,
            "min_alignment_confidence": self.min_alignment_confidence,
            "piece_balance": self.piece_balance,
        }
        wrong = [f"{name}={value}" for name, value in shares.items() if not 0 <= value <= 1]
        if self.positives_per_anchor < 1 or self.negatives_per_pair < 0:
            wrong.append(
                f"{self.positives_per_anchor} positives, {self.negatives_per_pair} negatives"
            )
        if wrong:
            raise ValueError(f"no pairs can be made by {', '.join(wrong)}")


@dataclass(frozen=True, slots=True)
class RecordingPair:
    """Two recordings by different performers that share a work.

    Attributes:
        first: id of a recording.
        second: id of another one, sorted after it.
        shared_works: works that both hold, sorted.
        same_works: both hold these and nothing else.
        part: one holds all that the other does, and more.
        across_splits: they are of different official splits.
    """

    first: str
    second: str
    shared_works: tuple[str, ...]
    same_works: bool
    part: bool
    across_splits: bool

    @property
    def alignable(self) -> bool:
        """Whether one holds all that the other does: the sound of one is found in the other."""
        return self.same_works or self.part


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


@dataclass(frozen=True)
class _Known:
    """What is certain enough of a recording to pair it."""

    recording: MaestroRecording
    performer_id: str
    works: Mapping[str, float]
    """Confidence by work id."""

    @property
    def recording_id(self) -> str:
        return self.recording.metadata.recording_id


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
    known = {r.metadata.recording_id: k for r in recordings if (k := _known(r, rules))}
    paired = _paired(known)
    within = [pair for pair in paired if rules.across_splits or not pair.across_splits]
    links = _links(within, known, places, time_maps or {})
    targets = _targets(_candidates(clips, links, known), time_maps or {})
    placed = targets if rules.unplaced else targets.filter(~_is_unplaced())
    drawn = _drawn(_matched(placed, clips, rules), rules)
    table = _described(drawn, within, known, clips, recordings, rules)
    facts = PairFacts(
        clips=clips.height,
        longer_than_stated=_left_out(segments, clips),
        recording_pairs=len(within),
        across_splits=sum(pair.across_splits for pair in paired),
        same_performer=_by_one_performer(known),
        unplaced=_pair_count(targets.filter(_is_unplaced())),
        anchors=table["anchor"].n_unique(),
        without_positive=_without_positive(clips, table, recordings, known, paired, targets, rules),
    )
    return Pairs(table, facts)


def recording_pairs(
    recordings: Sequence[MaestroRecording], rules: PairRules | None = None
) -> tuple[RecordingPair, ...]:
    """Say which recordings are to be paired, so which to align.

    Args:
        recordings: the catalogue.
        rules: which pairs to make.

    Returns:
        Each two recordings once, sorted by id.
    """
    rules = rules or PairRules()
    known = {r.metadata.recording_id: k for r in recordings if (k := _known(r, rules))}
    return tuple(p for p in _paired(known) if rules.across_splits or not p.across_splits)


def _refuse_twice(recordings: Iterable[MaestroRecording]) -> None:
    counts = Counter(recording.metadata.recording_id for recording in recordings)
    twice = sorted(recording_id for recording_id, count in counts.items() if count > 1)
    if twice:
        raise PairingError(
            f"{twice[0]} stands twice in the catalogue, and {len(twice) - 1} others do; "
            "materialize the recordings anew"
        )


def _known(recording: MaestroRecording, rules: PairRules) -> _Known | None:
    performance = recording.performance
    if performance.performer_id is None:
        return None
    if performance.confidence < rules.min_performer_confidence:
        return None
    works: dict[str, float] = {}
    for work in recording.works:
        if work.confidence >= rules.min_work_confidence:
            works[work.work_id] = max(work.confidence, works.get(work.work_id, 0.0))
    return _Known(recording, performance.performer_id, works) if works else None


def _sharing(known: Mapping[str, _Known]) -> Iterator[tuple[_Known, _Known]]:
    """Each two recordings with a common work once, the first id before the second."""
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for recording_id in sorted(known):
        for work_id in known[recording_id].works:
            holders[work_id].append(recording_id)
    together = {pair for ids in holders.values() for pair in combinations(ids, 2)}
    for first, second in sorted(together):
        yield known[first], known[second]


def _paired(known: Mapping[str, _Known]) -> list[RecordingPair]:
    return [
        _pair(first, second)
        for first, second in _sharing(known)
        if first.performer_id != second.performer_id
    ]


def _by_one_performer(known: Mapping[str, _Known]) -> int:
    return sum(first.performer_id == second.performer_id for first, second in _sharing(known))


def _pair(first: _Known, second: _Known) -> RecordingPair:
    # All works count here, uncertain ones too: a recording with one of them is not the same.
    one, other = ({w.work_id for w in known.recording.works} for known in (first, second))
    return RecordingPair(
        first=first.recording_id,
        second=second.recording_id,
        shared_works=tuple(sorted(first.works.keys() & second.works.keys())),
        same_works=one == other,
        part=one < other or other < one,
        across_splits=first.recording.metadata.split != second.recording.metadata.split,
    )


_LINK_SCHEMA: dict[str, pl.DataType] = {
    "recording_id": pl.String(),
    "positive_recording": pl.String(),
    "work_id": pl.String(),
    "anchor_from_s": pl.Float64(),
    "anchor_to_s": pl.Float64(),
    "positive_from_s": pl.Float64(),
    "positive_to_s": pl.Float64(),
    "position_in": pl.String(),
}


def _links(
    pairs: Iterable[RecordingPair],
    known: Mapping[str, _Known],
    places: WorkPlaces,
    time_maps: TimeMaps,
) -> pl.DataFrame:
    """Both directions of each pair: from which stretch to which, for one work or for all."""
    rows = []
    for pair in pairs:
        for anchor, positive in ((pair.first, pair.second), (pair.second, pair.first)):
            for work_id, of_anchor, of_positive, position_in in _stretches(
                pair,
                known[anchor],
                known[positive],
                places,
                either_way(time_maps, anchor, positive),
            ):
                rows.append((anchor, positive, work_id, *of_anchor, *of_positive, position_in))
    return pl.DataFrame(rows, schema=_LINK_SCHEMA, orient="row")


_Stretch = tuple[float, float]


def _stretches(
    pair: RecordingPair,
    anchor: _Known,
    positive: _Known,
    places: WorkPlaces,
    time_map: TimeMap | None,
) -> Iterator[tuple[str | None, _Stretch, _Stretch, str]]:
    """Where to look, the surest first: known places, alignment, same works, estimated places."""
    placed = {
        work_id: (of_anchor, of_positive)
        for work_id in pair.shared_works
        if (of_anchor := places.get((anchor.recording_id, work_id)))
        and (of_positive := places.get((positive.recording_id, work_id)))
    }
    certain = {
        work_id
        for work_id, both in placed.items()
        if all(place.known != "estimated" for place in both)
    }
    whole, other_whole = (
        (0.0, known.recording.metadata.duration_s) for known in (anchor, positive)
    )
    if not certain and (stretches := _aligned(time_map)):
        yield None, *stretches, IN_ALIGNED
    elif not certain and pair.same_works:
        yield None, whole, other_whole, IN_SAME_WORKS
    elif not placed:
        yield None, whole, other_whole, IN_RECORDING
    else:
        for work_id, (one, other) in placed.items():
            position_in = IN_WORK if work_id in certain else IN_ESTIMATED_WORK
            yield work_id, (one.start_s, one.end_s), (other.start_s, other.end_s), position_in


def _aligned(time_map: TimeMap | None) -> tuple[_Stretch, _Stretch] | None:
    """The stretches that an alignment covers, if it covers any."""
    if time_map is None:
        return None
    first, second = ((float(s[0]), float(s[-1])) for s in (time_map.first_s, time_map.second_s))
    return (first, second) if first[0] < first[1] and second[0] < second[1] else None


def _candidates(
    clips: pl.DataFrame, links: pl.DataFrame, known: Mapping[str, _Known]
) -> pl.DataFrame:
    """One row for each clip and each recording that may have its positive."""
    performers = pl.DataFrame(
        [(k.recording_id, k.performer_id) for k in known.values()],
        schema={"positive_recording": pl.String(), "positive_performer": pl.String()},
        orient="row",
    )
    of_work = clips.join(links.drop_nulls("work_id"), on=["recording_id", "work_id"])
    of_any = clips.join(
        links.filter(pl.col("work_id").is_null()).drop("work_id"), on="recording_id"
    )
    return (
        pl.concat([of_work.select(of_any.columns), of_any])
        .rename({"segment_id": "anchor", "recording_id": "anchor_recording"})
        .join(performers, on="positive_recording")
    )


def _targets(candidates: pl.DataFrame, time_maps: TimeMaps) -> pl.DataFrame:
    """Where in the positive's recording the anchor's start, middle and end would sound."""
    scale = (pl.col("positive_to_s") - pl.col("positive_from_s")) / (
        pl.col("anchor_to_s") - pl.col("anchor_from_s")
    )
    by_position = candidates.with_columns(
        (pl.col("positive_from_s") + (pl.col(f"{at}_s") - pl.col("anchor_from_s")) * scale).alias(
            f"target_{at}_s"
        )
        for at in ("start", "middle", "end")
    ).with_columns(alignment_confidence=pl.lit(None, pl.Float64()), matched_by=pl.lit(BY_POSITION))
    if not time_maps:
        return by_position
    return pl.concat(
        _by_alignment(rows, time_maps)
        for rows in by_position.partition_by("anchor_recording", "positive_recording")
    )


def _by_alignment(rows: pl.DataFrame, time_maps: TimeMaps) -> pl.DataFrame:
    """The same for the clips of one recording and those of another, by their alignment if any."""
    found = either_way(time_maps, rows["anchor_recording"][0], rows["positive_recording"][0])
    if found is None:
        return rows
    targets = {at: found.at(rows[f"{at}_s"].to_numpy()) for at in ("start", "middle", "end")}
    return rows.with_columns(
        *(pl.Series(f"target_{at}_s", target_s) for at, (target_s, _) in targets.items()),
        pl.Series("alignment_confidence", targets["middle"][1]),
        matched_by=pl.lit(BY_CHROMA),
    )


def _is_unplaced() -> pl.Expr:
    return pl.col("position_in") == IN_RECORDING


def _pair_count(rows: pl.DataFrame) -> int:
    """How many pairs of recordings there are, whichever way round."""
    one, other = "anchor_recording", "positive_recording"
    ordered = rows.select(first=pl.min_horizontal(one, other), second=pl.max_horizontal(one, other))
    return ordered.n_unique()


def _matched(targets: pl.DataFrame, clips: pl.DataFrame, rules: PairRules) -> pl.DataFrame:
    """The clip on either side of the target that plays more of the anchor's music, if enough."""
    theirs = clips.select(
        positive="segment_id",
        positive_recording="recording_id",
        positive_start_s="start_s",
        positive_middle_s="middle_s",
        positive_end_s="end_s",
    ).sort("positive_middle_s", "positive")
    is_aligned = pl.col("alignment_confidence") >= rules.min_alignment_confidence
    usable = (
        targets.filter(pl.col("alignment_confidence").is_null() | is_aligned)
        .filter(pl.col("target_end_s") > pl.col("target_start_s"))
        .sort("target_middle_s")
    )
    common_s = pl.min_horizontal("target_end_s", "positive_end_s") - pl.max_horizontal(
        "target_start_s", "positive_start_s"
    )
    either_side = pl.concat(
        usable.join_asof(
            theirs,
            left_on="target_middle_s",
            right_on="positive_middle_s",
            by="positive_recording",
            strategy=strategy,
            coalesce=False,
            check_sortedness=False,
        )
        for strategy in ("backward", "forward")
    )
    return (
        either_side.drop_nulls("positive")
        .with_columns(
            shared_music=(common_s / (pl.col("target_end_s") - pl.col("target_start_s"))).clip(0, 1)
        )
        .filter(pl.col("shared_music") >= max(rules.min_shared_music, 1e-9))
        .sort(
            ["anchor", "positive_recording", "shared_music", "positive"],
            descending=[False, False, True, False],
        )
        .unique(["anchor", "positive_recording"], keep="first", maintain_order=True)
    )


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
    known: Mapping[str, _Known],
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


def _of_recordings(known: Mapping[str, _Known], side: str) -> pl.DataFrame:
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


def _of_pairs(pairs: Iterable[RecordingPair], known: Mapping[str, _Known]) -> pl.DataFrame:
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
    known: Mapping[str, _Known],
    paired: Iterable[RecordingPair],
    targets: pl.DataFrame,
    rules: PairRules,
) -> dict[str, int]:
    """Count the clips without a positive, by the first reason that holds."""
    doubtful = [
        r.metadata.recording_id
        for r in recordings
        if not any(work.confidence >= rules.min_work_confidence for work in r.works)
    ]
    elsewhere = {r for p in paired if p.across_splits for r in (p.first, p.second)}
    placed = targets.filter(~_is_unplaced() | pl.lit(rules.unplaced))["anchor"].to_list()
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
