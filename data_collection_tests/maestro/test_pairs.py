"""Pairs: the same music by different people, evenly drawn, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.maestro.alignment import TimeMap
from data_collection.maestro.balance import (
    catalogue_figures,
    pair_figures,
    pair_problems,
    split_crossings,
)
from data_collection.maestro.draws import keys_of, mixed
from data_collection.maestro.metadata import read_metadata
from data_collection.maestro.pairs import PAIR_COLUMNS, PAIR_SCHEMA, Pairs, make_pairs
from data_collection.maestro.performers import performers_of, read_performer_overrides
from data_collection.maestro.recording_pairs import PairRules, recording_pairs
from data_collection.maestro.rows import MaestroRecording, Split
from data_collection.maestro.work_places import PairingError, WorkPlace, work_places
from data_collection.maestro.works import read_works
from data_collection_tests.maestro.made_recordings import clips, recording, work

RELEASE = Path(__file__).parents[3] / "shared" / "data" / "maestro"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
FAMILIES = ("bach:a", "bach:b", "liszt:c", "liszt:d")


def made(recordings: Sequence[MaestroRecording], rules: PairRules | None = None) -> Pairs:
    """Pairs of made recordings and all their clips."""
    return make_pairs(recordings, clips(recordings), rules)


def positives_of(pairs: Pairs, anchor: str) -> list[str]:
    """The positives of a clip, sorted."""
    return sorted(pairs.table.filter(pl.col("anchor") == anchor)["positive"].to_list())


@st.composite
def catalogues(draw: st.DrawFn) -> list[MaestroRecording]:
    """Catalogues with everything that real ones have: whole works, doubts, unknown people."""
    works = [f"{family}/{part}" for family in FAMILIES for part in (1, 2, 3)]
    return [
        recording(
            f"r{at:02d}",
            draw(st.sampled_from([None, "p1", "p2", "p3", "p4"])),
            [
                work(name, draw(st.sampled_from([0.3, 0.5, 0.98])))
                for name in sorted(draw(st.sets(st.sampled_from(works), max_size=3)))
            ],
            draw(st.floats(20, 400)),
            split=draw(st.sampled_from(SPLITS)),
            performer_confidence=draw(st.sampled_from([0.4, 0.97])),
        )
        for at in range(draw(st.integers(0, 12)))
    ]


@given(catalogues(), st.booleans(), st.booleans(), st.integers(1, 3), st.randoms())
def test_whatever_is_recorded_no_pair_is_wrong_and_every_clip_is_accounted_for(
    recordings: list[MaestroRecording],
    across_splits: bool,
    unplaced: bool,
    per_anchor: int,
    order: Random,
) -> None:
    """One person, other works, one recording, doubtful negatives: none ever, in any order."""
    rules = PairRules(
        positives_per_anchor=per_anchor, across_splits=across_splits, unplaced=unplaced
    )
    pairs = made(recordings, rules)
    table, segments = pairs.table, clips(recordings)
    assert dict(table.schema) == PAIR_SCHEMA
    assert not pair_problems(table, recordings, segments, across_splits=across_splits)
    assert pairs.facts.anchors + sum(pairs.facts.without_positive.values()) == segments.height
    assert table.group_by("anchor").len()["len"].max() in (None, *range(1, per_anchor + 1))
    for _, rows in table.group_by("anchor_split"):
        assert rows["weight"].sum() == pytest.approx(1)
    known = {pair for p in recording_pairs(recordings, rules) for pair in (p.first, p.second)}
    assert set(table["anchor_recording"]) <= known
    shuffled = list(recordings)
    order.shuffle(shuffled)
    again = make_pairs(shuffled, segments.sample(fraction=1, shuffle=True, seed=1), rules)
    assert again.table.equals(table)
    assert again.facts == pairs.facts


def test_columns_say_what_they_mean() -> None:
    """Every column has words, in the table's order."""
    assert list(PAIR_COLUMNS) == list(PAIR_SCHEMA)


def test_a_clip_is_matched_with_the_same_moment_of_a_slower_recording() -> None:
    """Segment 3 of one is not segment 3 of the other: the second takes twice as long."""
    recordings = [
        recording("fast", "p1", ["liszt:s178"], 300),
        recording("slow", "p2", ["liszt:s178"], 600),
    ]
    pairs = made(recordings)
    row = pairs.table.row(by_predicate=pl.col("anchor") == "fast_seg0003", named=True)
    # 90 to 120 s sound at 180 to 240 s, in clips 6 and 7; either plays half of it.
    assert row["positive"] == "slow_seg0006"
    assert row["shared_music"] == pytest.approx(0.5)
    assert row["anchor_position"] == pytest.approx(105 / 300)
    assert row["positive_position"] == pytest.approx(195 / 600)
    assert row["offset_s"] == pytest.approx(195 - 210)
    assert row["duration_ratio"] == row["stretch_ratio"] == pytest.approx(0.5)
    assert (row["position_in"], row["matched_by"]) == ("work", "relative_position")
    # And back: clips 6 and 7 of the slow one both lie in clip 3 of the fast one, whole.
    assert positives_of(pairs, "slow_seg0006") == ["fast_seg0003"]
    assert positives_of(pairs, "slow_seg0007") == ["fast_seg0003"]
    assert pairs.facts.anchors == 10 + 20


def test_a_movement_is_found_in_a_recording_of_the_whole_sonata() -> None:
    """By how long movements are elsewhere; the middle of the whole is not a movement's middle."""
    sonata = ["liszt:a/1", "liszt:a/2", "liszt:a/3"]
    recordings = [
        recording("whole", "p1", sonata, 660),
        *(recording(f"m{n}", "p2", [sonata[n - 1]], s) for n, s in ((1, 300), (2, 120), (3, 180))),
    ]
    table = made(recordings).table
    # Together 600 s elsewhere, 660 here: the second movement lies at 330 to 462 s.
    second = table.filter(pl.col("positive_recording") == "m2").sort("anchor")
    assert second["anchor"].to_list() == [f"whole_seg{at:04d}" for at in (11, 12, 13, 14)]
    assert set(second["position_in"]) == {"estimated_work"}
    assert set(second["work_id"]) == {"liszt:a/2"}
    assert second["anchor_position"][0] == pytest.approx((345 - 330) / 132)
    assert second["positive"].to_list() == ["m2_seg0000", "m2_seg0001", "m2_seg0002", "m2_seg0003"]
    assert set(second["work_overlap"]) == {1 / 3}


def test_a_set_whose_parts_cannot_be_placed_is_left_out_unless_asked_for() -> None:
    """The middle of 24 preludes is not the middle of the fourth: a guess is no positive."""
    recordings = [
        recording("set", "p1", [f"chopin:op28/{n}" for n in range(1, 25)], 2400),
        recording("fourth", "p2", ["chopin:op28/4", "chopin:op28/5"], 150),
    ]
    pairs = made(recordings)
    assert pairs.table.is_empty()
    assert (pairs.facts.recording_pairs, pairs.facts.unplaced) == (1, 1)
    assert pairs.facts.without_positive == {"place_not_known": 80 + 5}
    asked = made(recordings, PairRules(unplaced=True))
    assert set(asked.table["position_in"]) == {"recording"}
    stated = [
        WorkPlace("set", "chopin:op28/4", 300, 420),
        WorkPlace("fourth", "chopin:op28/4", 0, 110),
    ]
    placed = make_pairs(recordings, clips(recordings), stated_places=stated)
    assert set(placed.table["position_in"]) == {"work"}
    assert set(placed.table["anchor"]) == {
        *(f"set_seg{at:04d}" for at in (10, 11, 12, 13)),
        *(f"fourth_seg{at:04d}" for at in (0, 1, 2, 3)),
    }


def test_an_alignment_beats_the_relative_position_and_its_doubt_leaves_clips_out() -> None:
    """One played a repeat: half the first is at the start of the second, as only sound can tell."""
    recordings = [
        recording("repeated", "p1", ["bach:a"], 240),
        recording("plain", "p2", ["bach:a"], 120),
    ]
    knots_s = np.arange(0.0, 241.0)
    found = TimeMap(knots_s, np.maximum(knots_s - 120, 0), np.where(knots_s < 120, 0.0, 0.9))
    for maps in ({("repeated", "plain"): found}, {("plain", "repeated"): found.inverse()}):
        pairs = make_pairs(recordings, clips(recordings), time_maps=maps)
        of_repeated = pairs.table.filter(pl.col("anchor_recording") == "repeated")
        assert dict(of_repeated.select("anchor", "positive").iter_rows()) == {
            f"repeated_seg{at + 4:04d}": f"plain_seg{at:04d}" for at in range(4)
        }
        assert set(of_repeated["matched_by"]) == {"chroma_dtw"}
        assert set(of_repeated["alignment_confidence"]) == {0.9}
        assert set(of_repeated["shared_music"]) == {1.0}
        assert pairs.facts.without_positive == {"nothing_matches": 4}


def test_an_alignment_places_what_nothing_else_can() -> None:
    """The fourth of 24 preludes, found by its sound at 300 to 420 s of the whole set."""
    recordings = [
        recording("set", "p1", [f"chopin:op28/{n}" for n in range(1, 25)], 2400),
        recording("fourth", "p2", ["chopin:op28/4", "chopin:op28/5"], 120),
    ]
    knots_s = np.arange(0.0, 121.0)
    found = TimeMap(knots_s, knots_s + 300, np.full(121, 0.9))
    pairs = make_pairs(recordings, clips(recordings), time_maps={("fourth", "set"): found})
    assert dict(pairs.table.select("anchor", "positive").iter_rows()) == {
        **{f"fourth_seg{at:04d}": f"set_seg{at + 10:04d}" for at in range(4)},
        **{f"set_seg{at + 10:04d}": f"fourth_seg{at:04d}" for at in range(4)},
    }
    assert set(pairs.table["position_in"]) == {"aligned"}
    assert pairs.table["anchor_position"].to_list() == pytest.approx(
        pairs.table["positive_position"].to_list()
    )
    assert pairs.facts.unplaced == 0
    assert pairs.facts.without_positive == {"nothing_matches": 76}


def test_recordings_to_align_are_told_with_which_holds_which() -> None:
    """An alignment needs to know whether both begin together or one lies in the other."""
    recordings = [
        recording("a", "p1", ["bach:a/1", "bach:a/2"]),
        recording("b", "p2", ["bach:a/1"]),
        recording("c", "p3", ["bach:a/1"]),
        recording("d", "p4", ["bach:a/2", "bach:a/3"]),
        recording("e", "p1", ["bach:a/1"]),
        recording("f", "p5", ["bach:a/1"], split="test"),
    ]
    told = {
        (p.first, p.second): (p.same_works, p.part, p.alignable)
        for p in recording_pairs(recordings)
    }
    assert told == {
        ("a", "b"): (False, True, True),
        ("a", "c"): (False, True, True),
        ("a", "d"): (False, False, False),
        ("b", "c"): (True, False, True),
        ("b", "e"): (True, False, True),
        ("c", "e"): (True, False, True),
    }
    assert len(recording_pairs(recordings, PairRules(across_splits=True))) == 6 + 4


def test_a_piece_of_many_performers_does_not_drown_the_rest() -> None:
    """An anchor has so many rows, by different people; a piece weighs by its anchors' root."""
    recordings = [
        *(recording(f"many{n:02d}", f"p{n}", ["bach:a"]) for n in range(20)),
        *(recording(f"few{n}", f"p{n}", ["liszt:c"]) for n in range(2)),
    ]
    pairs = made(recordings)
    many = pairs.table.filter(pl.col("work_id") == "bach:a")
    assert set(many.group_by("anchor").len()["len"]) == {4}
    assert set(many.group_by("anchor").agg(n=pl.col("positive_performer").n_unique())["n"]) == {4}
    assert set(many["positive_performer"]) == {f"p{n}" for n in range(20)}
    assert many["weight"].sum() == pytest.approx(np.sqrt(80) / (np.sqrt(80) + np.sqrt(8)))
    figures = pair_figures(pairs.table, 88)
    assert figures.positives_per_anchor == {1: 8, 4: 80}
    assert figures.largest_piece_weight == pytest.approx(many["weight"].sum())
    for balance, share in ((1.0, 80 / 88), (0.0, 0.5)):
        weighed = made(recordings, PairRules(piece_balance=balance)).table
        of_many = weighed.filter(pl.col("work_id") == "bach:a")
        assert of_many["weight"].sum() == pytest.approx(share)


def test_a_performer_with_many_recordings_weighs_as_much_as_one_with_a_single_one() -> None:
    """Rounds of one person would otherwise count as so many people."""
    recordings = [
        *(recording(f"often{n}", "p1", ["bach:a"]) for n in range(5)),
        recording("once", "p2", ["bach:a"]),
        recording("too", "p3", ["bach:a"]),
    ]
    table = made(recordings).table
    weights = dict(table.group_by("anchor_performer").agg(pl.col("weight").sum()).iter_rows())
    assert weights == pytest.approx({"p1": 1 / 3, "p2": 1 / 3, "p3": 1 / 3})
    # Each performer once before anybody twice.
    once = table.filter(pl.col("anchor") == "once_seg0000")["positive_performer"].to_list()
    assert sorted(once) == ["p1", "p1", "p1", "p3"]
    assert set(once[:2]) == {"p1", "p3"}


def test_seeds_draw_differently_and_keys_are_fixed() -> None:
    """The same on every machine: a library's own hash may change, Python's is salted."""
    recordings = [recording(f"r{n}", f"p{n}", ["bach:a"]) for n in range(12)]
    one, other = (made(recordings, PairRules(seed=seed)).table for seed in (1, 2))
    assert not one.equals(other)
    assert one.equals(made(recordings, PairRules(seed=1)).table)
    keys = keys_of(7, "anchor", ["a", "b", "a"])
    assert keys.tolist() == [8425226459857576052, 13368082441752937193, 8425226459857576052]
    assert mixed(keys[:1], keys[1:2]).tolist() == [11017811049534995990]


def test_pairs_stay_within_a_split_and_what_was_left_out_is_counted() -> None:
    """A positive from the test split would train on what is tested."""
    recordings = [
        recording("a", "p1", ["bach:a"]),
        recording("b", "p2", ["bach:a"], split="test"),
        recording("c", "p3", ["bach:b"]),
        recording("d", "p3", ["bach:b"]),
    ]
    pairs = made(recordings)
    assert pairs.table.is_empty()
    assert (pairs.facts.across_splits, pairs.facts.same_performer) == (1, 1)
    assert pairs.facts.without_positive == {"only_in_other_splits": 8, "nobody_else_plays_it": 8}
    asked = made(recordings, PairRules(across_splits=True)).table
    assert set(asked.select("anchor_split", "positive_split").iter_rows()) == {
        ("train", "test"),
        ("test", "train"),
    }
    problems = pair_problems(asked, recordings, clips(recordings))
    assert [str(problem) for problem in problems] == [
        "pairs across splits: 8, such as a_seg0000 and b_seg0000",
    ]


def test_negatives_are_other_music_for_certain() -> None:
    """No sibling movement, nothing that shares a recording with one, nothing of another split."""
    recordings = [
        recording("a", "p1", ["bach:a/1"]),
        recording("b", "p2", ["bach:a/1"]),
        recording("sibling", "p3", ["bach:a/2"]),
        recording("medley", "p3", ["bach:b/1", "bach:a/3"]),
        recording("beside", "p4", ["bach:b/2"]),
        recording("doubt", "p4", [work("bach:e", 0.3)]),
        recording("tested", "p5", ["bach:f"], split="test"),
        recording("hard", "p1", ["bach:g"]),
        recording("easy", "p5", ["liszt:c"]),
        recording("nobody", None, ["liszt:d"]),
    ]
    (row, *_) = made(recordings).table.iter_rows(named=True)
    assert row["negatives_same_composer"] == ["bach:g"]
    assert row["negatives_other_composer"] == ["liszt:c", "liszt:d"]
    assert row["not_negative_families"] == ["bach:a", "bach:b"]
    none = made(recordings, PairRules(negatives_per_pair=0)).table
    assert none["negatives_same_composer"].to_list() == [[]] * none.height


def test_negatives_are_drawn_evenly_over_works() -> None:
    """A work with many recordings would otherwise be everybody's negative."""
    recordings = [
        *(recording(f"a{n:02d}", f"p{n}", ["bach:a"]) for n in range(20)),
        *(recording(f"b{n:02d}", f"p{n}", ["bach:b"]) for n in range(40)),
        *(recording(f"c{n:02d}", f"p{n}", [f"bach:c{n:02d}"]) for n in range(19)),
    ]
    table = made(recordings, PairRules(negatives_per_pair=5)).table
    of_a = table.filter(pl.col("work_id") == "bach:a")["negatives_same_composer"]
    assert {len(works) for works in of_a} == {5}
    assert all(works == sorted(set(works)) for works in of_a.to_list())
    shares = of_a.explode().value_counts(normalize=True)["proportion"]
    assert shares.len() == 20
    assert shares.min() > 0.03  # type: ignore[operator]
    assert shares.max() < 0.07  # type: ignore[operator]


def test_a_recording_longer_than_the_catalogue_says_is_in_no_pair() -> None:
    """Positions in it would all be wrong."""
    recordings = [recording(name, name, ["bach:a"]) for name in ("a", "b", "c")]
    segments = clips([*recordings[:2], recording("c", "c", ["bach:a"], 200)])
    pairs = make_pairs(recordings, segments)
    assert pairs.facts.longer_than_stated == ("c",)
    assert set(pairs.table["anchor_recording"]) == {"a", "b"}


def test_filtered_clips_are_no_anchors_and_no_positives() -> None:
    """Applause and silence stand in the table of clips with their reason."""
    recordings = [recording(name, name, ["bach:a"]) for name in ("a", "b")]
    is_last = pl.col("segment_id").str.ends_with("0003")
    segments = clips(recordings).with_columns(
        state=pl.when(is_last).then(pl.lit("filtered")).otherwise(pl.lit("kept"))
    )
    pairs = make_pairs(recordings, segments)
    assert pairs.facts.clips == 6
    assert positives_of(pairs, "a_seg0002") == ["b_seg0002"]
    assert "a_seg0003" not in {*pairs.table["anchor"], *pairs.table["positive"]}


def test_a_moment_whose_clip_is_missing_has_no_positive() -> None:
    """The nearest clip that is left may be of other music."""
    recordings = [recording(name, name, ["bach:a"], 300) for name in ("a", "b")]
    segments = clips(recordings).filter(
        ~pl.col("segment_id").is_in(["b_seg0004", "b_seg0005", "b_seg0006"])
    )
    pairs = make_pairs(recordings, segments)
    assert not positives_of(pairs, "a_seg0005")
    assert pairs.facts.without_positive == {"nothing_matches": 3}


BAD_CLIPS = {
    "no end_s": clips([recording("a", "p", ["bach:a"])]).drop("end_s"),
    "stands twice": pl.concat([clips([recording("a", "p", ["bach:a"])])] * 2),
    "not in the catalogue": clips([recording("z", "p", ["bach:a"])]),
    "is empty": clips([recording("a", "p", ["bach:a"])]).with_columns(end_s=pl.col("start_s")),
    "lacks a value": clips([recording("a", "p", ["bach:a"])]).with_columns(start_s=pl.lit("x")),
}


@pytest.mark.parametrize("what", BAD_CLIPS)
def test_clips_that_do_not_fit_are_named(what: str) -> None:
    """A pair of a torn table is worse than none."""
    with pytest.raises(PairingError, match=what):
        make_pairs([recording("a", "p", ["bach:a"])], BAD_CLIPS[what])


def test_a_catalogue_with_a_recording_twice_is_refused() -> None:
    """Which of the two is right cannot be known here."""
    twice = [recording("a", "p1", ["bach:a"]), recording("a", "p2", ["bach:b"])]
    with pytest.raises(PairingError, match="a stands twice"):
        make_pairs(twice, clips(twice[:1]))


BAD_PLACES = {
    "no such work": [WorkPlace("a", "bach:z", 0, 10)],
    "correct it": [WorkPlace("a", "bach:a", 0, 500)],
    "overlap": [WorkPlace("a", "bach:a", 0, 50), WorkPlace("a", "bach:b", 40, 90)],
}


@pytest.mark.parametrize("what", BAD_PLACES)
def test_stated_places_that_do_not_fit_are_named(what: str) -> None:
    """A person's typing error must not move a positive."""
    with pytest.raises(PairingError, match=what):
        work_places([recording("a", "p", ["bach:a", "bach:b"])], BAD_PLACES[what])


def test_works_without_lengths_are_placed_from_both_ends() -> None:
    """What is known at the start and the end is used; a single gap between is what is left."""
    parts = [f"bach:a/{n}" for n in (1, 2, 3, 4)]

    def places(
        known: dict[int, float], duration_s: float = 400
    ) -> list[tuple[float, float] | None]:
        recordings = [
            recording("whole", "p", parts, duration_s),
            *(recording(f"m{n}", "q", [parts[n - 1]], s) for n, s in known.items()),
        ]
        found = work_places(recordings)
        of_whole = [found.get(("whole", part)) for part in parts]
        return [(place.start_s, place.end_s) if place else None for place in of_whole]

    assert places({1: 100, 2: 50, 4: 80}) == [(0, 100), (100, 150), (150, 320), (320, 400)]
    assert places({1: 100, 4: 80}) == [(0, 100), None, None, (320, 400)]
    assert places({2: 100, 3: 80}) == [None] * 4
    assert places({1: 300, 4: 150}) == [None] * 4
    assert places({1: 10, 2: 10, 3: 10, 4: 10}) == [None] * 4
    assert places({}) == [None] * 4


def test_rules_that_make_no_pairs_are_refused() -> None:
    """A share of 40 % is 0.4."""
    with pytest.raises(ValueError, match="min_shared_music=40"):
        PairRules(min_shared_music=40)
    with pytest.raises(ValueError, match="0 positives"):
        PairRules(positives_per_anchor=0)


PLANTED = {
    "by one performer": {"a": recording("a", "p2", ["bach:a"])},
    "of different works": {"a": recording("a", "p1", ["bach:z"])},
    "across splits": {"a": recording("a", "p1", ["bach:a"], split="test")},
    "by somebody who is not known": {"a": recording("a", None, ["bach:a"])},
    "with a negative that may be the same music": {
        "c": recording("c", "p3", ["bach:c", "bach:a"]),
    },
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_table_that_the_catalogue_has_outrun_is_found_out(what: str) -> None:
    """A performer joined, a work corrected after the pairs were made: the check must see it."""
    recordings = {
        "a": recording("a", "p1", ["bach:a"]),
        "b": recording("b", "p2", ["bach:a"]),
        "c": recording("c", "p3", ["bach:c"]),
    }
    table, segments = made(list(recordings.values())).table, clips(recordings.values())
    assert pair_problems(table, list(recordings.values()), segments) == []
    problems = pair_problems(table, list((recordings | PLANTED[what]).values()), segments)
    assert any(str(found).startswith(f"pairs {what}: 8, such as a_seg0000") for found in problems)


def test_faults_of_the_table_itself_are_found() -> None:
    """A torn or hand-edited table does not pass for lack of a look."""
    recordings = [recording("a", "p1", ["bach:a"]), recording("b", "p2", ["bach:a"])]
    table, segments = made(recordings).table, clips(recordings)
    faults = {
        "twice": pl.concat([table, table]),
        "within one recording": table.with_columns(positive=pl.col("anchor")),
        "of a clip that is not known": table.with_columns(anchor=pl.lit("gone")),
        "with a place or share outside 0 to 1": table.with_columns(anchor_position=pl.lit(1.5)),
        "without a weight": table.with_columns(weight=pl.lit(0.0)),
        "of a work that both do not share": table.with_columns(work_id=pl.lit("bach:z")),
        "with a wrong recording, performer or split": table.with_columns(
            anchor_performer=pl.lit("p9")
        ),
    }
    for what, torn in faults.items():
        problems = pair_problems(torn, recordings, segments)
        assert any(str(found).startswith(f"pairs {what}: ") for found in problems), what
    assert "columns are" in str(pair_problems(table.drop("weight"), recordings, segments)[0])


def test_figures_of_a_small_catalogue_by_hand() -> None:
    """Plots and checks rest on these numbers."""
    recordings = [
        recording("a", "p1", ["bach:a", "bach:b"], 60),
        recording("b", "p2", ["bach:a"], 120),
        recording("c", "p1", ["bach:a"], 180, split="test"),
        recording("d", None, ["bach:a"], 30),
        recording("e", "p3", [], 30),
    ]
    segments = clips(recordings)
    figures = catalogue_figures(recordings, segments)
    assert (figures.recordings, figures.segments, figures.duration_s) == (5, 14, 420)
    assert figures.recordings_by_split == {"test": 1, "train": 4}
    assert (figures.performers, figures.without_performer, figures.without_works) == (3, 1, 1)
    assert (figures.pieces, figures.pieces_with_two_performers) == (2, 1)
    assert figures.performers_per_piece == {1: 1, 2: 1}
    assert figures.duration_quantiles_s[0.5] == 60
    crossings = split_crossings(recordings)
    assert [(c.id, c.splits) for c in crossings.works] == [("bach:a", (("test", 1), ("train", 3)))]
    assert [c.id for c in crossings.performers] == ["p1"]


def test_an_empty_catalogue_has_empty_tables_and_figures() -> None:
    """The first run of a new folder, before anything is there."""
    pairs = made([])
    assert dict(pairs.table.schema) == PAIR_SCHEMA
    assert pair_figures(pairs.table, 0).anchor_share == 0
    assert catalogue_figures([], clips([])).duration_quantiles_s == {}
    assert pair_problems(pairs.table, [], clips([])) == []
    assert replace(pairs.facts, without_positive={}).anchors == 0


@pytest.mark.skipif(not RELEASE.is_dir(), reason="the release's metadata are not there")
def test_the_real_catalogue_gives_pairs_without_a_fault() -> None:
    """Titles, file names and lengths as they are: the figures that the checks show."""
    rows = read_metadata(RELEASE.as_uri()).rows
    performers, works = performers_of(rows, read_performer_overrides()), read_works(rows)
    recordings = [
        MaestroRecording(
            metadata=row,
            performance=performers[row.recording_id],
            works=works[row.recording_id].works,
        )
        for row in rows
    ]
    segments = clips(recordings)
    pairs = make_pairs(recordings, segments)
    assert pair_problems(pairs.table, recordings, segments) == []
    assert abs(segments.height - 24_240) <= 5
    crossings = split_crossings(recordings)
    assert len(crossings.performers) == 170
    assert len(crossings.works) <= 3
    assert pairs.facts.anchors > 0.8 * segments.height
    # Two pianists differ little in length; where a third did, movements would be mixed up.
    assert pair_figures(pairs.table, segments.height).far_stretch_share < 0.06
