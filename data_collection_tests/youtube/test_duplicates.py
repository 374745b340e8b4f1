"""Which upload is kept: always the same one, always one, and never at another tier's cost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.recordings.fingerprints.matches import By, Match
from data_collection.youtube.duplicates import (
    MOSTLY,
    Candidate,
    DuplicateRow,
    TierName,
    choose,
    leaks,
)

FOLDERS: dict[TierName, str] = {
    "competition": "competition_cache/made",
    "maestro": "maestro_cache",
    "youtube": "youtube_piano_cache",
}


def recording(
    name: str, duration_s: float | None = 600.0, tier: TierName = "youtube", **more: object
) -> Candidate:
    return Candidate(
        key=f"{FOLDERS[tier]}/{name}",
        recording_id=name,
        tier=tier,
        duration_s=duration_s,
        **more,  # type: ignore[arg-type]
    )


def match(
    one: Candidate,
    other: Candidate,
    overlap_s: float | None = 600.0,
    *,
    start_s: float = 0.0,
    offset_s: float = 0.0,
    by: By = "fingerprint",
) -> Match:
    """One stretch, seen from the first recording, stored in the order that the finder stores."""
    found = Match(
        recording=one.key,
        other=other.key,
        start_s=start_s,
        offset_s=offset_s,
        overlap_s=overlap_s,
        score=0.9,
        by=by,
    )
    return found.seen_from(min(one.key, other.key))


def only(rows: Sequence[DuplicateRow]) -> DuplicateRow:
    (row,) = rows
    return row


@pytest.mark.parametrize("tier", ["competition", "maestro"])
def test_what_another_tier_holds_goes_even_if_the_upload_is_better(tier: TierName) -> None:
    """A T2 recording in T4 would be trained on without the label that it is tested by."""
    theirs = recording("theirs", 500.0, tier, clipped_share=0.2, bandwidth_hz=3000.0)
    ours = recording("ours", 3600.0, clipped_share=0.0, bandwidth_hz=20_000.0)
    found = [match(ours, theirs, 480.0, start_s=100.0, offset_s=-100.0)]
    row = only(choose([ours, theirs], found).duplicates)
    assert (row.recording_id, row.duplicate_of, row.tier) == ("ours", "theirs", tier)
    assert (row.start_s, row.offset_s, row.overlap_s) == (100.0, -100.0, 480.0)
    assert row.kind == "shared_part"
    assert choose([ours, theirs], []).kept == ("ours",)


def test_an_encore_that_a_competition_has_as_well_is_enough() -> None:
    """Half a minute of a test recording in the training set is a leak, whatever surrounds it."""
    theirs, ours = recording("theirs", 40.0, "competition"), recording("ours", 7200.0)
    found = [match(ours, theirs, 30.0, start_s=7000.0, offset_s=-7000.0)]
    assert choose([ours, theirs], found).kept == ()
    assert only(leaks([ours, theirs], found, ["ours"])).duplicate_of == "theirs"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (recording("b", 620.0), recording("a", 600.0, clipped_share=0.0)),
        (recording("b", clipped_share=0.0), recording("a", clipped_share=0.01)),
        (recording("b", clipped_share=0.0), recording("a", clipped_share=None)),
        (recording("b", bandwidth_hz=20_000.0), recording("a", bandwidth_hz=16_000.0)),
        (
            recording("b", 601.0, first_seen_at=datetime(2026, 1, 1, tzinfo=UTC)),
            recording("a", 602.0, first_seen_at=datetime(2026, 1, 2, tzinfo=UTC)),
        ),
        (recording("b", first_seen_at=datetime(2026, 1, 1, tzinfo=UTC)), recording("a")),
        (recording("a"), recording("b")),
    ],
    ids=["longer", "less clipped", "measured", "wider", "earlier", "dated", "lower id"],
)
def test_the_better_upload_is_kept(better: Candidate, worse: Candidate) -> None:
    """Longer, cleaner, wider, earlier, and then any fixed rule: a choice must not flicker."""
    for order in ([better, worse], [worse, better]):
        choice = choose(order, [match(better, worse)])
        assert choice.kept == (better.recording_id,)
        row = only(choice.duplicates)
        assert (row.recording_id, row.duplicate_of) == (worse.recording_id, better.recording_id)
        assert row.kind == "same"


def test_an_excerpt_is_a_duplicate_of_the_longer_one() -> None:
    """A movement cut out of a recital holds nothing new, and says where it lies."""
    recital, movement = recording("recital", 3600.0), recording("movement", 400.0)
    found = [match(movement, recital, 390.0, start_s=2.0, offset_s=1500.0)]
    row = only(choose([movement, recital], found).duplicates)
    assert (row.kind, row.duplicate_of, row.offset_s) == ("excerpt", "recital", 1500.0)


def test_there_are_no_chains() -> None:
    """A is like B and B like C: if B goes, C, which shares nothing with A, must not go with it."""
    first, middle, last = recording("a", 900.0), recording("b", 610.0), recording("c", 590.0)
    found = [
        match(first, middle, 400.0, start_s=500.0, offset_s=-500.0),
        match(middle, last, 200.0, start_s=405.0, offset_s=-405.0),
    ]
    choice = choose([first, middle, last], found)
    assert choice.kept == ("a", "c")
    assert only(choice.duplicates).holds == ("a",)


def test_a_compilation_of_known_recordings_is_told_as_such() -> None:
    """An hour of the best preludes is nobody's recital: the row names all that it holds."""
    one, two, three = (recording(name, 700.0) for name in ("one", "two", "three"))
    best_of = recording("best_of", 650.0)
    found = [
        match(best_of, one, 200.0, start_s=0.0),
        match(best_of, two, 210.0, start_s=205.0, offset_s=100.0),
        match(best_of, three, 200.0, start_s=430.0, offset_s=-430.0),
    ]
    choice = choose([one, two, three, best_of], found)
    row = only(choice.duplicates)
    assert (row.kind, row.duplicate_of) == ("compilation", "two")
    assert row.holds == ("one", "three", "two")
    assert row.covered > 0.9
    longer = recording("best_of", 7200.0)
    kept = choose(
        [one, two, longer],
        [match(longer, one, 690.0), match(longer, two, 690.0, start_s=800.0, offset_s=-800.0)],
    )
    (compilation,) = kept.compilations
    assert (compilation.recording_id, compilation.holds) == ("best_of", ("one", "two"))
    assert {row.kind for row in kept.duplicates} == {"excerpt"}


def test_two_that_share_an_encore_are_both_kept_and_told() -> None:
    """Half an hour is not thrown away for three minutes, nor kept twice in silence."""
    one, other = recording("one", 2000.0), recording("other", 1800.0)
    found = [match(one, other, 180.0, start_s=1800.0, offset_s=-200.0)]
    choice = choose([one, other], found)
    assert choice.kept == ("one", "other")
    assert choice.duplicates == ()
    (part,) = choice.shared_parts
    assert (part.recording_id, part.shares_with, part.overlap_s) == ("other", "one", 180.0)
    assert (part.start_s, part.offset_s) == (1600.0, 200.0)


def test_stretches_that_lie_over_each_other_are_counted_once() -> None:
    """Two offsets of a piece with a repeat must not make two thirds of a third."""
    one, other = recording("one", 700.0), recording("other", 600.0)
    found = [
        match(other, one, 200.0, start_s=100.0),
        match(other, one, 200.0, start_s=110.0, offset_s=40.0),
    ]
    choice = choose([one, other], found)
    assert choice.duplicates == ()
    assert choice.shared_parts[0].overlap_s == 210.0


def test_the_same_source_is_the_same_whatever_lengths_are_known() -> None:
    """A video that a competition lists is left to it before either has been fetched."""
    theirs = recording("yt_a", None, "competition")
    ours = recording("yt_a", None)
    found = [match(ours, theirs, None, by="ids")]
    row = only(choose([ours, theirs], found).duplicates)
    assert (row.by, row.overlap_s, row.covered, row.tier) == ("ids", None, 1.0, "competition")
    assert choose([recording("yt_b", None)], found).duplicates == ()


def test_a_leak_is_found_without_the_choice_and_only_among_what_is_used() -> None:
    """The check must not believe the choice that it checks."""
    theirs = recording("theirs", 600.0, "competition")
    release = recording("release", 600.0, "maestro")
    bad, good, of_maestro = recording("bad"), recording("good"), recording("of_maestro")
    everything = [theirs, release, bad, good, of_maestro]
    found = [match(bad, theirs), match(of_maestro, release), match(theirs, release)]
    used = ["bad", "good", "of_maestro"]
    assert [row.recording_id for row in leaks(everything, found, used)] == ["bad"]
    assert leaks(everything, found, choose(everything, found).kept) == ()
    both = leaks(everything, found, used, tiers=("competition", "maestro"))
    assert [row.recording_id for row in both] == ["bad", "of_maestro"]


def test_a_candidate_given_twice_is_refused() -> None:
    """It would be kept and left out at once."""
    with pytest.raises(ValueError, match="once"):
        choose([recording("a"), recording("a")], [])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Candidate], list[Match]]:
    tiers = draw(st.lists(st.sampled_from([*FOLDERS]), min_size=1, max_size=8))
    candidates = [
        recording(
            f"r{at}",
            draw(st.sampled_from([None, 30.0, 300.0, 304.0, 900.0])),
            tier,
            clipped_share=draw(st.sampled_from([None, 0.0, 0.01])),
        )
        for at, tier in enumerate(tiers)
    ]
    matches = []
    for at, one in enumerate(candidates):
        for other in candidates[:at]:
            for _ in range(draw(st.integers(0, 2))):
                start_s = draw(st.floats(0, 200))
                overlap_s = draw(st.sampled_from([None, 20.0, 150.0, 300.0]))
                offset_s = draw(st.floats(-start_s, 300))
                matches.append(match(one, other, overlap_s, start_s=start_s, offset_s=offset_s))
    return candidates, matches


@given(world=worlds(), order=st.randoms(use_true_random=False))
def test_every_upload_is_kept_or_points_to_one_that_is(
    world: tuple[list[Candidate], list[Match]], order: random.Random
) -> None:
    """Whatever matches there are: no pointer to what is gone, no leak, and no luck of the order."""
    candidates, matches = world
    choice = choose(candidates, matches)
    ours = {one.recording_id for one in candidates if one.tier == "youtube"}
    out = {row.recording_id: row for row in choice.duplicates}
    assert {*choice.kept} | {*out} == ours
    assert not {*choice.kept} & {*out}
    pairs = {frozenset((m.recording, m.other)) for m in matches}
    keys = {one.recording_id: one.key for one in candidates}
    for row in choice.duplicates:
        assert row.duplicate_of in choice.kept or row.tier != "youtube"
        assert frozenset((keys[row.recording_id], keys[row.duplicate_of])) in pairs
        assert row.tier != "youtube" or row.covered >= MOSTLY
    assert leaks(candidates, matches, choice.kept, tiers=("competition", "maestro")) == ()
    shuffled, mixed = list(candidates), list(matches)
    order.shuffle(shuffled)
    order.shuffle(mixed)
    assert choose(shuffled, mixed) == choice
