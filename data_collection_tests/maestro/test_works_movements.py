"""What lengths tell: never a part that is not played, whatever is divided and how fast."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_collection.maestro.movements import (
    FRAGMENT_CONFIDENCE,
    MARGIN,
    SPREAD,
    Length,
    held_alone,
    held_in_turn,
    parts_of_works,
)
from data_collection.repertoire.catalogue import catalogue

WORKS = sorted({**parts_of_works().movements, **parts_of_works().sets}.items())


@st.composite
def divided(draw: st.DrawFn) -> tuple[list[float], tuple[Length, ...], list[range]]:
    """Draw a work cut into recordings at its breaks, played at some tempo with some repeats."""
    _, lengths = draw(st.sampled_from(WORKS))
    breaks = [at for at in range(1, len(lengths)) if not lengths[at - 1].runs_on]
    assume(breaks)
    cuts = sorted(draw(st.sets(st.sampled_from(breaks), min_size=1, max_size=5)))
    blocks = [range(a, b) for a, b in zip([0, *cuts], [*cuts, len(lengths)], strict=True)]
    repeats = draw(st.floats(0, 1))
    most = SPREAD * math.sqrt(MARGIN / len(blocks)) * 0.99
    tempo = math.exp(draw(st.floats(-most, most)))
    durations_s = [
        tempo
        * sum(
            lengths[at].plain_s + repeats * (lengths[at].repeated_s - lengths[at].plain_s)
            for at in block
        )
        for block in blocks
    ]
    return durations_s, lengths, blocks


@settings(max_examples=400)
@given(divided())
def test_a_recording_never_holds_what_it_does_not(
    drawn: tuple[list[float], tuple[Length, ...], list[range]],
) -> None:
    """Any cut of any work at a plausible tempo; a part too many pairs different music."""
    durations_s, lengths, blocks = drawn
    for held, block in zip(held_in_turn(durations_s, lengths), blocks, strict=True):
        assert set(held.parts) <= set(block)
        assert 0 <= held.confidence <= 1


@given(st.sampled_from(WORKS), st.floats(0, 1))
def test_a_whole_is_a_whole(
    work: tuple[tuple[str, str], tuple[Length, ...]], repeats: float
) -> None:
    """A whole that counted as its first movement would share nothing with the others' finales."""
    _, lengths = work
    duration_s = sum(p.plain_s + repeats * (p.repeated_s - p.plain_s) for p in lengths)
    assert held_alone(duration_s, lengths).parts == tuple(range(len(lengths)))


@given(st.sampled_from(WORKS), st.floats(1, 20_000))
def test_any_length_alone_is_answered(
    work: tuple[tuple[str, str], tuple[Length, ...]], duration_s: float
) -> None:
    """What is told is a row of parts; an absurd length tells none."""
    _, lengths = work
    parts = held_alone(duration_s, lengths).parts
    assert parts == tuple(range(parts[0], parts[-1] + 1)) if parts else True
    if duration_s < 0.5 * min(part.plain_s for part in lengths):
        assert not parts


@given(st.sampled_from(WORKS), st.lists(st.floats(1, 20_000), min_size=2, max_size=6))
def test_recordings_in_turn_hold_parts_in_their_order(
    work: tuple[tuple[str, str], tuple[Length, ...]], durations_s: list[float]
) -> None:
    """Whatever the lengths: none before one played earlier; twice only a part in pieces."""
    held = held_in_turn(durations_s, work[1])
    told = [part for one in held for part in one.parts]
    assert len(held) == len(durations_s)
    assert told == sorted(told if len(durations_s) > len(work[1]) else set(told))


@given(st.data())
def test_a_part_in_pieces_is_never_another(data: st.DataObject) -> None:
    """Wherever tracks were cut within a movement: a piece of the second one is none of the third.

    It is doubted, as it is as long as no movement.
    """
    _, lengths = data.draw(st.sampled_from(WORKS))
    shares = data.draw(
        st.lists(
            st.lists(st.floats(0.1, 1), min_size=1, max_size=3),
            min_size=len(lengths), max_size=len(lengths),
        ).filter(lambda drawn: any(len(of_part) > 1 for of_part in drawn))
    )  # fmt: skip
    most = SPREAD * math.sqrt(MARGIN / len(lengths)) * 0.99
    tempo = math.exp(data.draw(st.floats(-most, most)))
    durations_s = [
        tempo * length.plain_s * share / sum(of_part)
        for length, of_part in zip(lengths, shares, strict=True)
        for share in of_part
    ]
    played = [(part, len(of_part)) for part, of_part in enumerate(shares) for _ in of_part]
    for held, (part, pieces) in zip(held_in_turn(durations_s, lengths), played, strict=True):
        assert held.parts in {(), (part,)}
        assert not held.parts or pieces == 1 or held.confidence <= FRAGMENT_CONFIDENCE


# Work, lengths of a recital's recordings in seconds, the movements that each holds.
RECITALS = [
    (("schubert", "d894"), [1025, 1298], [(1,), (2, 3, 4)]),
    (("schubert", "d894"), [755, 433, 686], [(1,), (2,), (3, 4)]),
    (("schubert", "d894"), [749, 418, 224, 507], [(1,), (2,), (3,), (4,)]),
    (("schubert", "d958"), [693, 526, 746], [(1,), (2,), (3, 4)]),
    (("schubert", "d958"), [453, 465, 705], [(1,), (2,), (3, 4)]),
    (("schubert", "d959"), [677, 428, 844], [(1,), (2,), (3, 4)]),
    (("beethoven", "op110"), [363, 733], [(1,), (2, 3)]),
    (("beethoven", "op31-no2"), [497, 782], [(1,), (2, 3)]),
    (("brahms", "op5"), [477, 994, 662], [(1,), (2, 3), (4, 5)]),
    (("chopin", "op58"), [493, 155, 768], [(1,), (2,), (3, 4)]),
    (("bach", "bwv816"), [793, 131], [(1, 2, 3, 4, 5, 6), (7,)]),
    # A recording between them is missing.
    (("schumann", "op16"), [701, 706], [(1, 2), (6, 7, 8)]),
    # The first without its repeat; 317 s are too long for the second.
    (("beethoven", "op81a"), [317, 453], [(1,), (2, 3)]),
    # More recordings than movements: the second one in two pieces, and two that fit nothing.
    (("rachmaninoff", "op36"), [582, 293, 92, 345], [(1,), (2,), (2,), (3,)]),
    (("rachmaninoff", "op36"), [582, 293, 20, 20, 345], [(1,), (2,), (), (), (3,)]),
    (("rachmaninoff", "op36"), [60, 50, 40, 30], [(), (), (), ()]),
]


@pytest.mark.parametrize(("work", "durations_s", "expected"), RECITALS)
def test_recitals_are_divided_as_a_listener_would(
    work: tuple[str, str], durations_s: list[float], expected: list[tuple[int, ...]]
) -> None:
    """Real recitals, read by hand from lengths and order."""
    held = held_in_turn(durations_s, parts_of_works().movements[work])
    assert [tuple(part + 1 for part in one.parts) for one in held] == expected


@pytest.mark.parametrize(
    ("work", "duration_s", "expected"),
    [
        (("beethoven", "op53"), 1344, (1, 2, 3)),
        (("beethoven", "op53"), 484, (1,)),
        (("beethoven", "op53"), 805, (2, 3)),
        (("beethoven", "op78"), 603, (1, 2)),
        (("beethoven", "op78"), 398, (1,)),  # the first with repeats or all without: so the first
        (("schubert", "d840"), 1579, (1, 2)),
        (("tchaikovsky-pletnev", "nutcracker"), 310, ()),
    ],
)
def test_a_recording_alone(
    work: tuple[str, str], duration_s: float, expected: tuple[int, ...]
) -> None:
    """Only what every likely reading agrees on is told."""
    held = held_alone(duration_s, parts_of_works().movements[work])
    assert tuple(part + 1 for part in held.parts) == expected


def test_sets_have_a_length_for_each_number() -> None:
    """A number too few would shift all that follow."""
    for (composer, work), lengths in parts_of_works().sets.items():
        assert len(lengths) == len(catalogue().members(composer, work)), (composer, work)


def test_books_hold_works_that_are_known() -> None:
    """A slip in a book's number would name a work that nobody else plays."""
    for (composer, book), works in parts_of_works().books.items():
        assert catalogue().work(composer, book)
        assert all(catalogue().work(composer, work) for work in works), book


def test_no_work_ends_without_a_break() -> None:
    """A last part that runs on would let no recording end with it."""
    assert [work for work, lengths in WORKS if lengths[-1].runs_on] == []
