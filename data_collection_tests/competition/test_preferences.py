"""Pairs of recordings: which a verdict supports, and what must be true of their table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.competition.preferences import (
    CROSS_ROUND,
    PREFERENCE_COLUMNS,
    PREFERENCE_SCHEMA,
    WITHIN_ROUND,
    JudgedCompetition,
    PreferencesError,
    preference_facts,
    preference_problems,
    preference_table,
)


@dataclass(frozen=True)
class Played:
    """A recording."""

    recording_id: str
    performer: str
    round: str
    placement: int
    solo: bool


@dataclass(frozen=True)
class Judged:
    """A result."""

    performer: str
    placement: int
    reached_stage: str
    stages_performed: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """A round."""

    id: str
    solo: bool = True


ROUNDS = (Stage("stage1"), Stage("stage2"), Stage("final", solo=False))


def judged(performer: str, placement: int, reached: str, *, withdrew: bool = False) -> Judged:
    """A result in the three rounds."""
    ids = [stage.id for stage in ROUNDS]
    played = ids[: ids.index(reached) + (not withdrew)]
    return Judged(performer, placement, reached, tuple(played))


def everything_recorded(
    results: tuple[Judged, ...], rounds: tuple[Stage, ...] = ROUNDS
) -> tuple[Played, ...]:
    """One recording of every round that was played."""
    return tuple(
        Played(
            f"{stage.id}_{result.performer}",
            result.performer,
            stage.id,
            result.placement,
            stage.solo,
        )
        for stage in rounds
        for result in results
        if stage.id in result.stages_performed
    )


RESULTS = (
    judged("winner", 1, "final"),
    judged("second", 2, "final"),
    judged("tied", 2, "final"),
    judged("ill", 3, "stage2", withdrew=True),
    judged("semi", 3, "stage2"),
    judged("early", 4, "stage1"),
)
SMALL = JudgedCompetition(everything_recorded(RESULTS), RESULTS, ROUNDS)


def pairs_of(table: pl.DataFrame) -> set[tuple[str, str]]:
    """The two ids of every row."""
    return set(table.select("better", "worse").iter_rows())


def test_a_small_competition_by_hand() -> None:
    """Ties give no pair, the ill one beats only who left before, the final stays by itself."""
    table = preference_table(SMALL)
    within = table.filter(pl.col("kind") == WITHIN_ROUND)
    assert pairs_of(within) == {
        (f"{stage}_{better}", f"{stage}_{worse}")
        for stage, order in {
            "stage1": [
                ("winner", "second"), ("winner", "tied"), ("winner", "semi"), ("winner", "early"),
                ("second", "semi"), ("second", "early"), ("tied", "semi"), ("tied", "early"),
                ("semi", "early"), ("ill", "early"),
            ],
            "stage2": [
                ("winner", "second"), ("winner", "tied"), ("winner", "semi"), ("second", "semi"),
                ("tied", "semi"),
            ],
            "final": [("winner", "second"), ("winner", "tied")],
        }.items()
        for better, worse in order
    }  # fmt: skip
    cross = table.filter(pl.col("kind") == CROSS_ROUND)
    # stage1 against stage2: the 5 orders of those in both, twice, and 4 over `early` from stage2.
    assert cross.height == 2 * 5 + 4
    assert set(cross["round"]) | set(cross["worse_round"]) == {"stage1", "stage2"}
    facts = preference_facts(SMALL, table)
    assert (facts.within_round, facts.cross_round, facts.cross_round_left_out) == (17, 14, 0)
    # Equal places: second and tied in three rounds, ill and semi in one.
    assert (facts.ties, facts.withdrawals) == (4, 3)


def test_columns_say_what_they_mean() -> None:
    """Every column has words; margins, rounds and flags are those of the pair."""
    assert list(PREFERENCE_COLUMNS) == list(PREFERENCE_SCHEMA)
    table = preference_table(SMALL)
    row = table.row(by_predicate=pl.col("worse") == "final_second", named=True)
    assert row == {
        "better": "final_winner",
        "worse": "final_second",
        "better_performer": "winner",
        "worse_performer": "second",
        "round": "final",
        "worse_round": "final",
        "kind": WITHIN_ROUND,
        "same_piece": None,
        "shared_works": [],
        "margin_places": 1,
        "margin_marks": None,
        "solo": False,
    }


def test_same_piece_is_known_only_where_both_programmes_are() -> None:
    """An unknown programme is no `false`: it would turn missing data into a statement."""
    works = {
        "stage1_winner": {"chopin op10 no4", "chopin op23"},
        "stage1_second": {"chopin op23", "chopin op10 no4", "chopin op9 no2"},
        "stage1_semi": {"chopin op52"},
    }
    table = preference_table(replace(SMALL, works=works))
    found = {
        row["worse"]: (row["same_piece"], row["shared_works"])
        for row in table.filter(pl.col("better") == "stage1_winner").iter_rows(named=True)
        if row["kind"] == WITHIN_ROUND
    }
    assert found == {
        "stage1_second": (True, ["chopin op10 no4", "chopin op23"]),
        "stage1_semi": (False, []),
        "stage1_tied": (None, []),
        "stage1_early": (None, []),
    }


def test_marks_that_contradict_the_places_are_shown() -> None:
    """The pair stays by place, with a negative margin, and is counted; equal means give zero."""
    marks = {
        ("stage1", "winner"): 0.1 + 0.2,
        ("stage1", "second"): 0.3,
        ("stage1", "semi"): 1.0,
        ("stage2", "winner"): 2.0,
        ("stage2", "semi"): 0.5,
    }
    competition = replace(SMALL, marks=marks)
    table = preference_table(competition)
    margins = {
        (row["better"], row["worse"]): row["margin_marks"]
        for row in table.iter_rows(named=True)
        if row["margin_marks"] is not None
    }
    assert margins == {
        ("stage1_winner", "stage1_second"): 0,
        ("stage1_winner", "stage1_semi"): pytest.approx(-0.7),
        ("stage1_second", "stage1_semi"): pytest.approx(-0.7),
        ("stage2_winner", "stage2_semi"): 1.5,
    }
    facts = preference_facts(competition, table)
    assert (facts.with_marks, facts.contradicted_by_marks) == (4, 2)


def test_several_recordings_of_a_round_each_pair_and_are_named() -> None:
    """A recital in two videos is not two people: no pair of its own, and the reader is told."""
    twice = Played("stage1_winner_b", "winner", "stage1", 1, True)
    competition = replace(SMALL, recordings=(*SMALL.recordings, twice))
    table = preference_table(competition)
    both = {"stage1_winner", "stage1_winner_b"}
    assert not any(set(pair) <= both for pair in pairs_of(table))
    better = Counter(table.filter(pl.col("kind") == WITHIN_ROUND)["better"])
    assert better["stage1_winner"] == better["stage1_winner_b"] == 4
    assert preference_facts(competition, table).several_in_a_round == (("winner", "stage1", 2),)


def test_a_recording_of_a_round_not_played_is_in_no_pair() -> None:
    """The results say he was ill, a title says he played: neither is believed, both are shown."""
    odd = Played("stage2_ill", "ill", "stage2", 3, True)
    competition = replace(SMALL, recordings=(*SMALL.recordings, odd))
    table = preference_table(competition)
    assert table.equals(preference_table(SMALL))
    assert preference_facts(competition, table).not_played == ("stage2_ill",)


def test_nobody_tells_two_who_withdrew_apart() -> None:
    """Both left after the first round, whatever place a roster gives them."""
    results = (
        judged("a", 1, "stage2", withdrew=True),
        judged("b", 2, "stage2", withdrew=True),
        judged("c", 3, "stage1"),
        Judged("d", 4, "stage1", ()),
    )
    competition = JudgedCompetition(everything_recorded(results), results, ROUNDS)
    assert pairs_of(preference_table(competition)) == {
        ("stage1_a", "stage1_c"),
        ("stage1_b", "stage1_c"),
    }


def test_a_place_given_to_the_absent_is_no_verdict() -> None:
    """A roster may rank who was ill above who played on; the jury has not."""
    results = (judged("ill", 1, "stage2", withdrew=True), judged("semi", 2, "stage2"))
    competition = JudgedCompetition(everything_recorded(results), results, ROUNDS)
    assert preference_table(competition).is_empty()


def test_nothing_recorded_gives_an_empty_table() -> None:
    """The schema holds for no rows too, so that a first run can be read."""
    competition = replace(SMALL, recordings=())
    table = preference_table(competition, max_cross_round_pairs=3)
    assert (table.height, dict(table.schema)) == (0, PREFERENCE_SCHEMA)
    assert preference_problems(table, competition) == []
    assert preference_facts(competition, table).within_round == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rounds": (*ROUNDS, ROUNDS[0])}, "round stage1 stands twice"),
        ({"results": (*RESULTS, RESULTS[0])}, "winner has two results"),
        ({"results": RESULTS[1:]}, "of winner, who has no result"),
        ({"results": (replace(RESULTS[0], placement=3), *RESULTS[1:])}, "place 1, the results 3"),
        ({"results": (replace(RESULTS[0], placement=0), *RESULTS[1:])}, "winner has place 0"),
        ({"rounds": ROUNDS[1:]}, "was in stage1, which is no round"),
        ({"rounds": (Stage("stage1", False), *ROUNDS[1:])}, "stage1 differ in `solo`"),
        ({"recordings": SMALL.recordings[:1] * 2}, "recording stage1_winner stands twice"),
        ({"recordings": (replace(SMALL.recordings[0], round="gala"),)}, "of gala, which is no"),
        ({"marks": {("gala", "winner"): 1.0}}, "of gala, which is no round"),
        ({"marks": {("stage1", "nobody"): 1.0}}, "of nobody, who has no result"),
        ({"marks": {("stage1", "winner"): math.nan}}, "winner in stage1 is nan"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object], words: str) -> None:
    """Results corrected after the recordings were matched would make false pairs silently."""
    with pytest.raises(
        PreferencesError, match="materialize results, recordings and marks anew"
    ) as e:
        replace(SMALL, **change)
    assert words in str(e.value)


def chopin_like(groups: tuple[int, int, int, int]) -> JudgedCompetition:
    """A competition of four rounds, the last not solo; who left in one round share a place."""
    rounds = (Stage("stage1"), Stage("stage2"), Stage("stage3"), Stage("final", solo=False))
    ids = tuple(stage.id for stage in rounds)
    results = []
    for at, count in enumerate(groups):
        for number in range(count):
            name = f"{ids[at]}_{number:02d}"
            results.append(Judged(name, len(groups) - at, ids[at], ids[: at + 1]))
    return JudgedCompetition(everything_recorded(tuple(results), rounds), results, rounds)


def test_eighty_seven_pianists_make_as_many_pairs_as_the_formula() -> None:
    """Pairs of groups with different places, a round at a time: no pair is lost or made twice."""
    groups = (42, 22, 11, 12)
    table = preference_table(competition := chopin_like(groups))

    def ordered(counts: tuple[int, ...]) -> int:
        return (sum(counts) ** 2 - sum(n * n for n in counts)) // 2

    by_round = dict(
        table.filter(pl.col("kind") == WITHIN_ROUND)["round"].value_counts().iter_rows()
    )
    assert by_round == {f"stage{number}": ordered(groups[number - 1 :]) for number in (1, 2, 3)}
    # Two rounds: everybody of the earlier against everybody of the later, less equal places.
    across = sum(
        sum(groups[early:]) * sum(groups[late:]) - sum(n * n for n in groups[late:])
        for early, late in ((0, 1), (0, 2), (1, 2))
    )
    facts = preference_facts(competition, table)
    assert facts.cross_round == across
    assert preference_problems(table, competition) == []


def test_a_bound_keeps_the_same_pairs_everywhere() -> None:
    """Pairs across rounds are drawn by a hash: a sample that does not depend on the machine."""
    competition = chopin_like((5, 4, 3, 2))
    table = preference_table(competition)
    bounded = preference_table(competition, max_cross_round_pairs=10)
    within = table.filter(pl.col("kind") == WITHIN_ROUND)
    assert bounded.head(within.height).equals(within)
    assert bounded.height == within.height + 10
    assert pairs_of(bounded) < pairs_of(table)
    facts = preference_facts(competition, bounded)
    assert facts.cross_round + facts.cross_round_left_out == table.height - within.height
    one = preference_table(competition, max_cross_round_pairs=1)
    assert one.row(-1)[:2] == ("stage2_final_00", "stage1_stage3_02")
    more = preference_table(competition, max_cross_round_pairs=11)
    assert pairs_of(bounded) < pairs_of(more)
    assert preference_table(competition, max_cross_round_pairs=10**9).equals(table)
    with pytest.raises(ValueError, match="max_cross_round_pairs is -1"):
        preference_table(competition, max_cross_round_pairs=-1)


@st.composite
def _competitions(draw: st.DrawFn) -> JudgedCompetition:
    """Any competition: ties, withdrawals, missing and repeated recordings, some marks and works."""
    rounds = tuple(
        Stage(f"r{number}", draw(st.booleans())) for number in range(draw(st.integers(1, 4)))
    )
    ids = tuple(stage.id for stage in rounds)
    results, recordings, works, marks = [], [], {}, {}
    for number in range(draw(st.integers(0, 7))):
        reached = draw(st.integers(0, len(ids) - 1))
        withdrew = draw(st.integers(0, 3)) == 0
        in_final = reached == len(ids) - 1 and not withdrew
        prize = draw(st.integers(1, 4)) if in_final and draw(st.booleans()) else None
        results.append(
            Judged(
                f"p{number}",
                prize or 5 + len(ids) - reached,
                ids[reached],
                ids[: reached + (not withdrew)],
            )
        )
        for stage in rounds[: reached + 1]:
            for copy in range(draw(st.integers(0, 2))):
                recording_id = f"{draw(st.integers(0, 9))}_{stage.id}_{number}_{copy}"
                recordings.append(
                    Played(recording_id, f"p{number}", stage.id, results[-1].placement, stage.solo)
                )
                works[recording_id] = draw(st.sets(st.sampled_from("abc"), max_size=2))
            if draw(st.booleans()):
                marks[stage.id, f"p{number}"] = draw(st.integers(0, 8)) / 4
    return JudgedCompetition(draw(st.permutations(recordings)), results, rounds, works, marks)


def pairs_by_the_rules(competition: JudgedCompetition) -> Iterator[tuple[str, str, str]]:
    """Every pair, found one by one from the rules in words."""
    ids = [stage.id for stage in competition.rounds]
    result = {r.performer: r for r in competition.results}

    def left_in(r: Judged) -> str | None:
        return r.reached_stage if r.reached_stage in r.stages_performed else None

    def passed(r: Judged) -> set[str]:
        return set(r.stages_performed) & set(ids[: ids.index(r.reached_stage)])

    for a, b in permutations(competition.recordings, 2):
        first, second = result[a.performer], result[b.performer]
        if a.round not in first.stages_performed or b.round not in second.stages_performed:
            continue
        if a.round != b.round and not (a.solo and b.solo):
            continue
        if left_in(first) is None:
            better = left_in(second) in passed(first)
        elif left_in(second) is None:
            better = False
        else:
            better = first.placement < second.placement
        if better:
            kind = WITHIN_ROUND if a.round == b.round else CROSS_ROUND
            yield a.recording_id, b.recording_id, kind


@given(_competitions(), st.integers(0, 20))
def test_every_competition_keeps_the_rules(competition: JudgedCompetition, most: int) -> None:
    """The table is what the rules give one by one, whatever the order of the recordings."""
    table = preference_table(competition)
    found = list(table.select("better", "worse", "kind").iter_rows())
    assert len(set(found)) == len(found)
    assert set(found) == set(pairs_by_the_rules(competition))
    assert preference_problems(table, competition) == []
    turned = replace(competition, recordings=competition.recordings[::-1])
    assert preference_table(turned).equals(table)
    bounded = preference_table(competition, max_cross_round_pairs=most)
    assert preference_problems(bounded, competition) == []
    assert Counter(bounded["kind"])[CROSS_ROUND] == min(most, Counter(table["kind"])[CROSS_ROUND])


@given(_competitions())
def test_every_row_is_true(competition: JudgedCompetition) -> None:
    """Margins, works and marks of each row are those of its two recordings; never a NaN."""
    recording = {r.recording_id: r for r in competition.recordings}
    table = preference_table(competition)
    contradicted = 0
    for row in table.iter_rows(named=True):
        a, b = recording[row["better"]], recording[row["worse"]]
        assert (row["better_performer"], row["worse_performer"]) == (a.performer, b.performer)
        assert (row["round"], row["worse_round"], row["solo"]) == (a.round, b.round, a.solo)
        assert row["margin_places"] == b.placement - a.placement >= 1
        first, second = competition.works[a.recording_id], competition.works[b.recording_id]
        assert row["shared_works"] == sorted(first & second)
        assert row["same_piece"] == (bool(first & second) if first and second else None)
        both = [competition.marks.get((r.round, r.performer)) for r in (a, b)]
        if a.round != b.round or None in both:
            assert row["margin_marks"] is None
        else:
            assert row["margin_marks"] == both[0] - both[1]
            contradicted += both[0] < both[1]
    assert preference_facts(competition, table).contradicted_by_marks == contradicted


def test_the_table_survives_its_file(tmp_path: Path) -> None:
    """Parquet gives back the schema, lists and nulls included; the check reads it from there."""
    competition = replace(SMALL, works={"stage1_winner": {"a"}, "stage1_second": {"a"}})
    table = preference_table(competition)
    table.write_parquet(tmp_path / "preferences.parquet")
    again = pl.read_parquet(tmp_path / "preferences.parquet")
    assert again.equals(table)
    assert preference_problems(again, competition) == []


def _with(table: pl.DataFrame, **values: object) -> pl.DataFrame:
    """The table with the first row changed."""
    first = table.head(1).with_columns(
        pl.lit(value, dtype=PREFERENCE_SCHEMA[name]).alias(name) for name, value in values.items()
    )
    return pl.concat([first, table[1:]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"worse": "stage1_ill"}, "of a recording with itself"),
        ({"worse": "gone"}, "of a recording that is not known: 1, such as"),
        ({"better": "stage2_winner", "worse": "stage1_winner"}, "of a performer with himself"),
        ({"better": "stage1_tied", "worse": "stage1_second"}, "of equal places"),
        ({"better": "stage1_early", "worse": "stage1_winner"}, "against the places"),
        ({"better": "stage1_winner", "worse": "stage1_ill"}, "rests on a withdrawal"),
        ({"better": "stage1_winner", "worse": "final_second"}, "of a solo round with another"),
        ({"better_performer": "second"}, "with a wrong better_performer"),
        ({"round": "stage2"}, "with a wrong round"),
        ({"kind": CROSS_ROUND}, "with a wrong kind"),
        ({"margin_places": 9}, "with a wrong margin_places"),
        ({"margin_marks": 0.5}, "with a wrong margin_marks"),
        ({"margin_marks": math.nan}, "with a wrong margin_marks"),
        ({"same_piece": False}, "with a wrong same_piece"),
        ({"solo": False}, "with a wrong solo"),
        ({"better": "stage2_winner"}, "missing: 1, such as stage1_ill > stage1_early"),
    ],
)
def test_a_false_row_is_found(change: dict[str, object], words: str) -> None:
    """A check that cannot fail is worthless: each kind of fault is named with its pair."""
    table = preference_table(SMALL)
    assert table.row(0)[:2] == ("stage1_ill", "stage1_early")
    problems = preference_problems(_with(table, **change), SMALL)
    assert any(words in problem for problem in problems), problems


def test_faults_of_the_table_as_a_whole_are_found() -> None:
    """Rows twice, turned round or missing, other columns, and places that have changed since."""
    table = preference_table(SMALL)
    turned = table.head(1).with_columns(better="worse", worse="better")
    for words, wrong in {
        "pairs twice": pl.concat([table, table.head(1)]),
        "pairs in both directions": pl.concat([table, turned]),
        "pairs missing: 1": table[1:],
        "columns are": table.drop("solo"),
    }.items():
        assert any(words in problem for problem in preference_problems(wrong, SMALL))
    results = tuple(replace(r, placement=5) if r.performer == "winner" else r for r in RESULTS)
    changed = JudgedCompetition(everything_recorded(results), results, ROUNDS)
    assert any("against the places" in p for p in preference_problems(table, changed))


def test_two_rounds_with_an_orchestra_are_not_compared() -> None:
    """A chamber round and a concerto are different things: pairs within each only."""
    rounds = (Stage("chamber", solo=False), Stage("concerto", solo=False))
    played = ("chamber", "concerto")
    results = (Judged("a", 1, "concerto", played), Judged("b", 2, "concerto", played))
    competition = JudgedCompetition(everything_recorded(results, rounds), results, rounds)
    table = preference_table(competition)
    assert pairs_of(table) == {("chamber_a", "chamber_b"), ("concerto_a", "concerto_b")}
    wrong = _with(table, worse="concerto_b")
    problems = preference_problems(wrong, competition)
    assert any("across rounds that are not solo" in problem for problem in problems)
