"""No key lies in two splits, whatever the segments are, and the search loses little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.training_set.manifest_rows import SPLITS, Split
from data_collection.training_set.splits import Assignment, SplitRules, Unit, assign, whole_sets

QUICK = SplitRules(starts=1, kicks=2)
UNITS = st.lists(
    st.builds(
        Unit,
        tier=st.sampled_from(["t1", "t2", "t3", "t4"]),
        keys=st.builds(
            lambda who, pieces: frozenset({f"performer:{who}", *(f"piece:{p}" for p in pieces)}),
            st.integers(0, 7),
            st.sets(st.integers(0, 7), max_size=3),
        ),
        weight=st.floats(0, 1e5),
        only_test=st.booleans(),
    ),
    max_size=30,
)


def shares(units: Sequence[Unit], made: Assignment) -> dict[str, float]:
    total = sum(unit.weight for unit in units)
    kept = dict.fromkeys([*SPLITS, "lost"], 0.0)
    for unit in units:
        kept[made.of(unit.keys, only_test=unit.only_test) or "lost"] += unit.weight / total
    return kept


def everybody_plays_everything(people: int, pieces: int) -> list[Unit]:
    return [
        Unit("t2", frozenset({f"performer:{who}", f"piece:{piece}"}), 1.0)
        for who in range(people)
        for piece in range(pieces)
    ]


@settings(max_examples=40)
@given(UNITS, st.integers(0, 3))
def test_a_segment_is_in_the_split_of_each_of_its_keys_or_in_none(
    units: list[Unit], seed: int
) -> None:
    """Every key has one split, and `of` never answers with another: else a key would leak."""
    made = assign(units, SplitRules(seed=seed, starts=1, kicks=1))
    for unit in units:
        split = made.of(unit.keys, only_test=unit.only_test)
        why = made.why_not(unit.keys, only_test=unit.only_test)
        assert (split is None) == (why is not None)
        if split is not None:
            assert {made.split_of[key] for key in unit.keys} == {split}
            assert split == "test" or not unit.only_test


@settings(max_examples=20)
@given(UNITS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(units: list[Unit], random: object) -> None:
    """Receipts are read in any order; two machines must not train on each other's test."""
    shuffled = list(units)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert assign(units, QUICK) == assign(shuffled, QUICK)


def test_another_process_finds_the_same_split() -> None:
    """Python's hash is salted in each process: an order of sets must not reach the search."""
    code = (
        "from data_collection.training_set.splits import *\n"
        "units = [Unit('t3', frozenset({f'performer:{a}', f'piece:{a * 7 % 11}'}), a + 1.0)"
        " for a in range(40)]\n"
        "print(sorted(assign(units, SplitRules(starts=1, kicks=2)).split_of.items()))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_other_seeds_give_other_splits() -> None:
    """A seed that changes nothing would make a repeated experiment look surer than it is."""
    units = everybody_plays_everything(12, 6)
    made = {
        tuple(assign(units, SplitRules(seed=s, starts=1, kicks=0)).split_of.items()) for s in (0, 1)
    }
    assert len(made) == 2


def test_all_three_splits_hold_something_where_everybody_plays_everything() -> None:
    """One connected component: splitting by components would leave two splits empty."""
    kept = shares(*(units := everybody_plays_everything(20, 10), assign(units, SplitRules())))
    assert min(kept[split] for split in SPLITS) > 0
    assert kept["train"] > 0.4
    assert kept["lost"] < 0.55


def test_nothing_is_lost_where_nothing_crosses() -> None:
    """The search must not cut what is apart already."""
    units = [Unit("t3", frozenset({f"performer:{a}", f"piece:{a}"}), 1.0) for a in range(100)]
    kept = shares(units, assign(units, SplitRules(starts=1, kicks=5)))
    assert kept["lost"] == 0
    assert kept["train"] == pytest.approx(0.7, abs=0.08)
    assert kept["validation"] == pytest.approx(0.15, abs=0.08)


def test_a_small_tier_is_split_although_a_large_one_is_not_in_its_way() -> None:
    """With weights of all tiers in one sum, T1's 1,202 segments would all fall into one split."""
    large = [Unit("t4", frozenset({f"channel:{a}"}), 1000.0) for a in range(30)]
    small = [Unit("t1", frozenset({f"performer:p{a}"}), 1.0) for a in range(10)]
    kept = shares(small, assign([*large, *small], SplitRules(starts=1, kicks=5)))
    assert min(kept[split] for split in SPLITS) > 0


def test_keys_that_go_together_get_one_split() -> None:
    """Two copies of a recording in two splits are a leak that no name tells."""
    units = [Unit("t4", frozenset({f"recording:{a}"}), 1.0) for a in range(30)]
    pairs = [(f"recording:{a}", f"recording:{a + 1}") for a in range(0, 30, 3)]
    made = assign(units, QUICK, together=[*pairs, ("recording:5", "recording:unknown")])
    assert all(made.split_of[one] == made.split_of[other] for one, other in pairs)


def test_what_has_a_split_keeps_it_when_the_collection_grows() -> None:
    """Else a model of last week would be tested on what it was trained on."""
    units = everybody_plays_everything(9, 5)
    before = assign(units[: len(units) // 2], QUICK)
    after = assign(units, SplitRules(seed=5, starts=1, kicks=2), earlier=before.split_of)
    assert {key: after.split_of[key] for key in before.split_of} == before.split_of


def test_of_keys_that_come_together_later_train_wins() -> None:
    """What was trained on may be left out of a test; the reverse cannot be undone."""
    earlier: dict[str, Split] = {"piece:a": "test", "piece:b": "train"}
    units = [Unit("t2", frozenset({key}), 1.0) for key in earlier]
    made = assign(units, QUICK, together=[("piece:a", "piece:b")], earlier=earlier)
    assert made.split_of == {"piece:a": "train", "piece:b": "train"}


def test_why_a_segment_is_left_out_is_said() -> None:
    """`excluded` alone would send a person searching."""
    made = Assignment({"performer:x": "train", "piece:a": "test", "piece:b": "train"})
    assert made.why_not({"performer:x", "piece:a"}) == "performer in train, piece in test"
    assert made.why_not({"performer:x", "piece:b"}) is None
    because = made.why_not({"performer:x", "piece:b"}, only_test=True)
    assert because == "official test, and its performer and piece not in test"


def test_nothing_to_split_is_no_error() -> None:
    """A collection that has just begun."""
    assert assign([], SplitRules()).split_of == {}


@pytest.mark.parametrize("pull", [(1.0, 0.0, 0.0), (0.5, 0.5, 0.5)])
def test_rules_that_cannot_be_are_refused(pull: tuple[float, float, float]) -> None:
    """A pull of 0 has no logarithm, and shares that do not add up are a slip of the pen."""
    with pytest.raises(ValueError, match="pull"):
        SplitRules(pull=pull)


def test_numbers_of_a_set_go_with_the_whole_only_where_that_is_there() -> None:
    """`op28` played whole holds `op28-no15`; without it, the numbers are pieces of their own."""
    assert whole_sets(["chopin/op28-no15", "chopin/op28-no4"]) == {}
    assert whole_sets(["chopin/op28", "chopin/op28-no15", "chopin/op2", "liszt/op28-no1"]) == {
        "chopin/op28-no15": "chopin/op28"
    }
