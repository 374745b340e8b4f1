"""Who was judged better than whom, as pairs of recordings: the table `preferences.parquet`.

What belongs here: which pairs a jury's verdict supports, what is known of each pair, and what must
be true of the table. What does not: places (`placement`), marks (`jury`) and finding recordings
(`catalogue`).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from data_collection.recordings.errors import CatalogueError

WITHIN_ROUND = "within_round"
CROSS_ROUND = "cross_round"

PREFERENCE_SCHEMA: dict[str, pl.DataType] = {
    "better": pl.String(),
    "worse": pl.String(),
    "better_performer": pl.String(),
    "worse_performer": pl.String(),
    "round": pl.String(),
    "worse_round": pl.String(),
    "kind": pl.String(),
    "same_piece": pl.Boolean(),
    "shared_works": pl.List(pl.String()),
    "margin_places": pl.Int32(),
    "margin_marks": pl.Float64(),
    "solo": pl.Boolean(),
}
PREFERENCE_COLUMNS = {
    "better": "recording of the performer with the better final place",
    "worse": "recording of the other performer",
    "better_performer": "who plays in `better`",
    "worse_performer": "who plays in `worse`",
    "round": "round of `better`",
    "worse_round": "round of `worse`; another one only where kind is cross_round",
    "kind": "within_round, or the noisier cross_round: other programme, other day, other field",
    "same_piece": "whether both hold a common work; null where a programme is not known",
    "shared_works": "keys of the common works, sorted; empty where none or not known",
    "margin_places": "how many places lie between the performers, 1 or more",
    "margin_marks": (
        "the better one's mean mark in the round minus the other's, in standard deviations of a "
        "juror's marks; negative where the round's marks contradict the final places; null across "
        "rounds and without marks"
    ),
    "solo": "false where others play too, as in a concerto; never compared with solo rounds",
}

_JUDGED_SCHEMA: dict[str, pl.DataType] = {
    "recording": pl.String(),
    "performer": pl.String(),
    "round": pl.String(),
    "round_index": pl.Int32(),
    "solo": pl.Boolean(),
    "placement": pl.Int32(),
    "last_judged": pl.Int32(),
    "withdrew": pl.Boolean(),
    "works": pl.List(pl.String()),
    "mark": pl.Float64(),
}


class PreferencesError(CatalogueError):
    """The results, recordings and marks do not fit together; no pair of them can be trusted."""


class JudgedRecording(Protocol):
    """A recording whose performer and round are known; a row of `recordings.jsonl` is one."""

    @property
    def recording_id(self) -> str:
        """Its id."""
        ...

    @property
    def performer(self) -> str:
        """Name as the results write it."""
        ...

    @property
    def round(self) -> str:
        """Id of the round."""
        ...

    @property
    def placement(self) -> int:
        """The performer's place."""
        ...

    @property
    def solo(self) -> bool:
        """Whether the performer plays alone."""
        ...


class JudgedPerformer(Protocol):
    """How one performer did; a row of `results.jsonl` is one."""

    @property
    def performer(self) -> str:
        """Name as the competition writes it."""
        ...

    @property
    def placement(self) -> int:
        """Place, 1 the best; equal places are ties."""
        ...

    @property
    def reached_stage(self) -> str:
        """Id of the last round admitted to."""
        ...

    @property
    def stages_performed(self) -> tuple[str, ...]:
        """Ids of the rounds played."""
        ...


class JudgedRound(Protocol):
    """A round; a round of an edition is one."""

    @property
    def id(self) -> str:
        """Id of the round."""
        ...

    @property
    def solo(self) -> bool:
        """Whether the performers play alone."""
        ...


@dataclass(frozen=True, slots=True)
class JudgedCompetition:
    """All that pairs are made of, checked to fit together.

    Attributes:
        recordings: the recordings of known performers and rounds.
        results: everybody's result.
        rounds: the rounds in order.
        works: keys of the works played, by recording id; none where the programme is not known.
        marks: standardised mean marks by (round, performer), where a jury's marks are known.

    Raises:
        PreferencesError: something stands twice, is named but not known, or is said differently in
            two places.
    """

    recordings: Sequence[JudgedRecording]
    results: Sequence[JudgedPerformer]
    rounds: Sequence[JudgedRound]
    works: Mapping[str, Set[str]] = field(default_factory=dict)
    marks: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [*_result_problems(self), *_recording_problems(self), *_mark_problems(self)]
        if problems:
            shown = "; ".join(problems[:5])
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise PreferencesError(
                f"{shown}{more}: mend the roster, or materialize results, recordings and marks anew"
            )


@dataclass(frozen=True, slots=True)
class PreferenceFacts:
    """What stands behind a table of preferences, and what is not in it.

    Attributes:
        within_round: pairs within a round.
        cross_round: pairs across rounds.
        cross_round_left_out: those above the bound that was asked for.
        same_piece: pairs with a common work.
        with_marks: pairs with a margin in marks.
        contradicted_by_marks: of those, pairs whose round's marks say the opposite of the places.
        ties: pairs of recordings of one round with equal places, so without a verdict.
        withdrawals: pairs of recordings of one round whose order rests on a withdrawal.
        not_played: recordings of a round that the results say was not played; in no pair.
        several_in_a_round: performers with several recordings of a round (each is paired), with
            the round and the number.
    """

    within_round: int
    cross_round: int
    cross_round_left_out: int
    same_piece: int
    with_marks: int
    contradicted_by_marks: int
    ties: int
    withdrawals: int
    not_played: tuple[str, ...]
    several_in_a_round: tuple[tuple[str, str, int], ...]


def preference_table(
    competition: JudgedCompetition, *, max_cross_round_pairs: int | None = None
) -> pl.DataFrame:
    """Pair every two recordings that the jury's verdict orders.

    The order is that of the final places, in early rounds too: a finalist's first round beats a
    semifinalist's. What a jury learnt later is still about the person, and within one round the
    places are the only order that is always known. Where the marks of the round say otherwise the
    pair stays, with a negative `margin_marks`: the reader decides.

    No pair is made of equal places, of one performer, or of a solo round with one that is not. Who
    withdrew was judged up to his last round only: he beats those who left in a round that he
    passed, and stands in no order with those judged after it. Across rounds only solo rounds are
    compared. Several recordings of one performer in a round are each paired.

    Args:
        competition: what was judged.
        max_cross_round_pairs: keep no more pairs across rounds than this, drawn by the SHA-256 of
            their ids: the same on every machine, and nearly the same after a recording is added.

    Returns:
        A row a pair, columns as `PREFERENCE_SCHEMA`; within rounds first, then by the rounds'
        order and the ids.
    """
    pairs = (
        _comparisons(competition)
        .filter(_is_ordered())
        .with_columns(is_cross=_is_cross())
        .sort("is_cross", "better_round_index", "worse_round_index", "better", "worse")
        .select("better", "worse", *_pair_columns())
    )
    return pairs if max_cross_round_pairs is None else _bounded(pairs, max_cross_round_pairs)


def preference_facts(competition: JudgedCompetition, table: pl.DataFrame) -> PreferenceFacts:
    """Count what a table holds and what it had to leave out.

    Args:
        competition: what was judged.
        table: its table of preferences.
    """
    comparisons = _comparisons(competition)
    within = comparisons.filter(~_is_cross())
    across = comparisons.filter(_is_cross() & _is_ordered())
    cross_round = table.filter(pl.col("kind") == CROSS_ROUND).height
    several = (
        _judged(competition)
        .group_by("performer", "round")
        .len()
        .filter(pl.col("len") > 1)
        .sort("performer", "round")
    )
    return PreferenceFacts(
        within_round=table.height - cross_round,
        cross_round=cross_round,
        cross_round_left_out=across.height - cross_round,
        same_piece=table.filter(pl.col("same_piece")).height,
        with_marks=table["margin_marks"].count(),
        contradicted_by_marks=table.filter(pl.col("margin_marks") < 0).height,
        ties=within.filter(_is_tie()).height // 2,
        withdrawals=within.filter(_is_better() & _rests_on_withdrawal()).height,
        not_played=_not_played(competition),
        several_in_a_round=tuple(several.iter_rows()),
    )


def preference_problems(table: pl.DataFrame, competition: JudgedCompetition) -> list[str]:
    """What is wrong with a table of preferences, say one made before the results changed.

    Since every pair is held against the places, no chain of pairs can lead back to its start.

    Args:
        table: the table, as read.
        competition: what was judged.

    Returns:
        A sentence for each kind of fault with its first pair; empty where there is none.
    """
    if dict(table.schema) != PREFERENCE_SCHEMA:
        return [f"columns are {dict(table.schema)}, not {PREFERENCE_SCHEMA}"]
    judged = _judged(competition)
    found = (
        table.select("better", "worse")
        .join(_side(judged, "better"), on="better", how="left", maintain_order="left")
        .join(_side(judged, "worse"), on="worse", how="left", maintain_order="left")
    )
    faults = {what: found.filter(is_so) for what, is_so in _pair_faults().items()}
    expected = found.select(_pair_columns())
    is_known = found.select(~_is_unknown()).to_series()
    for column in expected.columns:
        is_wrong = table[column].ne_missing(expected[column])
        faults[f"with a wrong {column}"] = found.filter(is_wrong & is_known)
    turned = table.select(better="worse", worse="better")
    faults["in both directions"] = table.join(turned, on=["better", "worse"], how="semi")
    within = preference_table(competition, max_cross_round_pairs=0)
    faults["missing"] = within.join(table, on=["better", "worse"], how="anti")
    return [
        f"pairs {what}: {rows.height}, such as {rows['better'][0]} > {rows['worse'][0]}"
        for what, rows in faults.items()
        if rows.height
    ]


def _pair_faults() -> dict[str, pl.Expr]:
    """What no pair may be, in words, of pairs beside what is known of their recordings."""
    return {
        "of a recording with itself": pl.col("better") == pl.col("worse"),
        "twice": pl.struct("better", "worse").is_duplicated(),
        "of a recording that is not known": _is_unknown(),
        "of a performer with himself": pl.col("better_performer") == pl.col("worse_performer"),
        "of equal places": _is_tie(),
        "against the places": pl.col("better_placement") > pl.col("worse_placement"),
        "whose order rests on a withdrawal": _rests_on_withdrawal(),
        "of a solo round with another": pl.col("better_solo") != pl.col("worse_solo"),
        "across rounds that are not solo": _is_cross() & ~pl.col("better_solo"),
    }


def _pair_columns() -> list[pl.Expr]:
    """The table's columns after the two ids, from what is known of the recordings."""
    shared = pl.col("better_works").list.set_intersection("worse_works").list.sort()
    programmes_known = (pl.col("better_works").list.len() > 0) & (
        pl.col("worse_works").list.len() > 0
    )
    # Rounded, and without negative zero, so that equal means differ by exactly nothing.
    margin_marks = (pl.col("better_mark") - pl.col("worse_mark")).round(9) + 0.0
    columns = {
        "better_performer": pl.col("better_performer"),
        "worse_performer": pl.col("worse_performer"),
        "round": pl.col("better_round"),
        "worse_round": pl.col("worse_round"),
        "kind": pl.when(_is_cross()).then(pl.lit(CROSS_ROUND)).otherwise(pl.lit(WITHIN_ROUND)),
        "same_piece": pl.when(programmes_known).then(shared.list.len() > 0),
        "shared_works": shared,
        "margin_places": pl.col("worse_placement") - pl.col("better_placement"),
        "margin_marks": pl.when(~_is_cross()).then(margin_marks),
        "solo": pl.col("better_solo"),
    }
    return [value.cast(PREFERENCE_SCHEMA[name]).alias(name) for name, value in columns.items()]


def _judged(competition: JudgedCompetition) -> pl.DataFrame:
    """One row a recording of a round that was played: what its performer's verdict is."""
    round_ids = [round_.id for round_ in competition.rounds]
    result_of = {result.performer: result for result in competition.results}
    rows = []
    for recording in competition.recordings:
        result = result_of[recording.performer]
        if recording.round not in result.stages_performed:
            continue
        rows.append(
            {
                "recording": recording.recording_id,
                "performer": recording.performer,
                "round": recording.round,
                "round_index": round_ids.index(recording.round),
                "solo": recording.solo,
                "placement": result.placement,
                "last_judged": max(map(round_ids.index, result.stages_performed)),
                "withdrew": result.reached_stage not in result.stages_performed,
                "works": list(competition.works.get(recording.recording_id, ())),
                "mark": competition.marks.get((recording.round, recording.performer)),
            }
        )
    return pl.DataFrame(rows, schema=_JUDGED_SCHEMA)


def _not_played(competition: JudgedCompetition) -> tuple[str, ...]:
    """Recordings of rounds that the results say their performers did not play."""
    played = set(_judged(competition)["recording"])
    return tuple(
        sorted(r.recording_id for r in competition.recordings if r.recording_id not in played)
    )


def _side(judged: pl.DataFrame, side: str) -> pl.DataFrame:
    """The recordings as one side of a pair: the id as `better`, its round as `better_round`."""
    return judged.rename(lambda name: side if name == "recording" else f"{side}_{name}")


def _comparisons(competition: JudgedCompetition) -> pl.DataFrame:
    """Every two recordings that may be compared, both ways round."""
    judged = _judged(competition)
    both_solo = pl.col("better_solo") & pl.col("worse_solo")
    return (
        _side(judged, "better")
        .join(_side(judged, "worse"), how="cross")
        .filter(
            (pl.col("better_performer") != pl.col("worse_performer")) & (~_is_cross() | both_solo)
        )
    )


def _is_unknown() -> pl.Expr:
    return pl.col("better_performer").is_null() | pl.col("worse_performer").is_null()


def _is_cross() -> pl.Expr:
    return pl.col("better_round") != pl.col("worse_round")


def _is_ordered() -> pl.Expr:
    return _is_better() & ~_rests_on_withdrawal()


def _is_better() -> pl.Expr:
    return pl.col("better_placement") < pl.col("worse_placement")


def _is_tie() -> pl.Expr:
    return pl.col("better_placement") == pl.col("worse_placement")


def _rests_on_withdrawal() -> pl.Expr:
    """Whether one of the two withdrew, and the jury heard the other in a later round.

    Also where both withdrew after the same round: nobody told them apart.
    """
    last, worse_last = pl.col("better_last_judged"), pl.col("worse_last_judged")
    withdrew, worse_withdrew = pl.col("better_withdrew"), pl.col("worse_withdrew")
    return (
        (withdrew & (worse_last > last))
        | (worse_withdrew & (last > worse_last))
        | (withdrew & worse_withdrew & (last == worse_last))
    )


def _bounded(pairs: pl.DataFrame, most: int) -> pl.DataFrame:
    """Keep that many of the pairs across rounds: those whose ids hash lowest."""
    if most < 0:
        raise ValueError(f"max_cross_round_pairs is {most}; 0 or more, or None for all")
    within = pairs.filter(pl.col("kind") == WITHIN_ROUND)
    cross = pairs.filter(pl.col("kind") == CROSS_ROUND)
    draws = [
        hashlib.sha256(f"{better}\n{worse}".encode()).digest()
        for better, worse in cross.select("better", "worse").iter_rows()
    ]
    drawn = sorted(sorted(range(cross.height), key=draws.__getitem__)[:most])
    return pl.concat([within, cross[drawn]])


def _result_problems(competition: JudgedCompetition) -> Iterator[str]:
    round_ids = [round_.id for round_ in competition.rounds]
    for name in _twice(round_ids):
        yield f"round {name} stands twice"
    for name in _twice([result.performer for result in competition.results]):
        yield f"{name} has two results"
    for result in competition.results:
        if result.placement < 1:
            yield f"{result.performer} has place {result.placement}"
        unknown = {result.reached_stage, *result.stages_performed} - set(round_ids)
        if unknown:
            yield f"{result.performer} was in {', '.join(sorted(unknown))}, which is no round"


def _recording_problems(competition: JudgedCompetition) -> Iterator[str]:
    result_of = {result.performer: result for result in competition.results}
    solo_of = {round_.id: round_.solo for round_ in competition.rounds}
    for name in _twice([recording.recording_id for recording in competition.recordings]):
        yield f"recording {name} stands twice"
    for recording in competition.recordings:
        name = recording.recording_id
        result = result_of.get(recording.performer)
        if result is None:
            yield f"recording {name} is of {recording.performer}, who has no result"
        elif recording.placement != result.placement:
            yield (
                f"recording {name} gives {recording.performer} place {recording.placement}, the "
                f"results {result.placement}"
            )
        if recording.round not in solo_of:
            yield f"recording {name} is of {recording.round}, which is no round"
        elif recording.solo != solo_of[recording.round]:
            yield f"recording {name} and its round {recording.round} differ in `solo`"


def _mark_problems(competition: JudgedCompetition) -> Iterator[str]:
    performers = {result.performer for result in competition.results}
    round_ids = {round_.id for round_ in competition.rounds}
    for (round_id, performer), mark in competition.marks.items():
        if round_id not in round_ids:
            yield f"a mark of {performer} is of {round_id}, which is no round"
        if performer not in performers:
            yield f"a mark in {round_id} is of {performer}, who has no result"
        if not math.isfinite(mark):
            yield f"the mark of {performer} in {round_id} is {mark}"


def _twice(names: Sequence[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
