"""Which parts of a work a recording holds where its title does not say: its length tells.

What belongs here: usual lengths of movements and the numbers of sets, and what they say of one
recording or of several of one recital. What does not: titles (`works_titles`) and the identity of
works (`works`). A recital's recordings of one work hold its parts in their order; every division
that the lengths allow is weighed, and only what all the likely ones agree on is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from data_collection.maestro.works_titles import read_data

T = TypeVar("T")
MOVEMENTS = Path(__file__).with_name("works_movements.yaml")

SPREAD = 0.08
"""How far tempi lie apart, as a logarithm: 8 % beyond the usual is one unit of doubt, squared."""
MARGIN = 2.0
"""A reading so much worse than the best one is not likely (a factor of e in likelihood)."""
TOO_FAR = 9.0
"""A recording's doubt above which its length fits nothing: 24 % beyond the usual."""
FIRST_ALONE, FROM_FIRST, OTHERS_ALONE = 2.0, 4.0, 6.0
"""Doubt of a recording on its own being the first movement, more from there, or later ones, and no
whole: in MAESTRO's first rounds a first movement is the rule, the others are what was left over."""
LEFT_OUT = 4.0
"""Doubt of a division of a recital's recordings that leaves parts out."""
FRAGMENT_CONFIDENCE = 0.4
"""In a work of which a recording holds a fragment, by its length: too little to make a pair."""
_LENGTH = re.compile(r"(\d+)(?:-(\d+))?(>)?")


@dataclass(frozen=True)
class Length:
    """A part's usual length.

    Attributes:
        plain_s: without any repeat, in seconds.
        repeated_s: with all that are written.
        runs_on: whether the next part follows without a break.
    """

    plain_s: float
    repeated_s: float
    runs_on: bool = False


@dataclass(frozen=True)
class Held:
    """What a recording holds of a work's parts.

    Attributes:
        parts: positions from 0; none where the length leaves it open.
        confidence: 0 to 1.
        because: how the length told.
    """

    parts: tuple[int, ...]
    confidence: float
    because: str


class _Tables(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    movements: dict[str, dict[str, tuple[str | int, ...]]]
    sets: dict[str, dict[str, tuple[str | int, ...]]]
    books: dict[str, dict[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Parts:
    """What is known of the parts of works, by composer and work.

    Attributes:
        movements: lengths of the movements.
        sets: lengths of the numbers of a set, in their order.
        books: works that a book of a set holds.
    """

    movements: Mapping[tuple[str, str], tuple[Length, ...]]
    sets: Mapping[tuple[str, str], tuple[Length, ...]]
    books: Mapping[tuple[str, str], tuple[str, ...]]


def held_alone(duration_s: float, lengths: Sequence[Length]) -> Held:
    """Say what a recording holds that is the only one of its work in a recital.

    Args:
        duration_s: of the recording.
        lengths: of the work's parts.
    """
    last = len(lengths)
    doubts = {
        (start, end): _doubt(duration_s, lengths[start:end]) + _alone(start, end, last)
        for start, end in _blocks(lengths)
    }
    if doubts[0, last] == 0:
        return Held(tuple(range(last)), 0.95, "as long as the whole")
    best = min(doubts, key=lambda block: (doubts[block], block))
    if doubts[best] > TOO_FAR:
        return Held((), 0, "as long as no part and not as the whole")
    likely = [block for block, doubt in doubts.items() if doubt <= doubts[best] + MARGIN]
    sure = frozenset.intersection(*(frozenset(range(*block)) for block in likely))
    if not sure:
        return Held((), 0, "as long as several parts")
    confidence = 0.9 if doubts[best] <= FIRST_ALONE else 0.8
    return Held(tuple(sorted(sure)), confidence, f"{duration_s:.0f} s")


def held_in_turn(durations_s: Sequence[float], lengths: Sequence[Length]) -> tuple[Held, ...]:
    """Say what each of a recital's recordings of one work holds, in the order they were played.

    Args:
        durations_s: of the recordings, two or more.
        lengths: of the work's parts.
    """
    if len(durations_s) > len(lengths):
        return _in_pieces(durations_s, lengths)
    divisions = _weighed(durations_s, lengths)
    if not divisions:
        return tuple(Held((), 0, "in no division of the work") for _ in durations_s)
    least = min(doubt for _, doubt in divisions)
    likely = [blocks for blocks, doubt in divisions if doubt <= least + MARGIN]
    confidence = 0.95 if least <= len(durations_s) else 0.85 if least < LEFT_OUT else 0.7
    return tuple(
        Held(
            parts := tuple(
                sorted(
                    frozenset.intersection(*(frozenset(range(*blocks[at])) for blocks in likely))
                )
            ),
            confidence if parts else 0,
            f"the recital's {at + 1} of {len(durations_s)} recordings of it, {duration_s:.0f} s",
        )
        for at, duration_s in enumerate(durations_s)
    )


def doubt_in_turn(durations_s: Sequence[float], lengths: Sequence[Length]) -> float:
    """Say how ill a recital's recordings divide a work, 0 for well; infinite for not at all."""
    return min((doubt for _, doubt in _weighed(durations_s, lengths)), default=math.inf)


Blocks = tuple[tuple[int, int], ...]


def _weighed(durations_s: Sequence[float], lengths: Sequence[Length]) -> list[tuple[Blocks, float]]:
    """Give the possible divisions with their doubt, sums of squares in units of `SPREAD`.

    Where each part has its recording, nothing else is possible, whatever the lengths.
    """
    count = len(durations_s)
    forced = count == len(lengths)
    each = tuple((at, at + 1) for at in range(count))
    weighed = []
    for blocks in [each] if forced else _divisions(lengths, count):
        doubts = [
            _doubt(duration_s, lengths[start:end])
            for duration_s, (start, end) in zip(durations_s, blocks, strict=True)
        ]
        complete = sum(end - start for start, end in blocks) == len(lengths)
        if forced or max(doubts) <= TOO_FAR:
            weighed.append((blocks, sum(doubts) + (0 if complete else LEFT_OUT)))
    return weighed


def _divisions(lengths: Sequence[Length], count: int, start: int = 0) -> Iterator[Blocks]:
    """Divide the parts from `start` among so many recordings, in their order.

    The first recording begins with the first part, the last one ends with the last; a recording
    that the release lacks may leave parts out between them.
    """
    for block in _blocks(lengths):
        begin, end = block
        if begin < start or (start == 0 and begin > 0):
            continue
        if count == 1 and end == len(lengths):
            yield (block,)
        elif count > 1:
            yield from ((block, *rest) for rest in _divisions(lengths, count - 1, end))


def _in_pieces(durations_s: Sequence[float], lengths: Sequence[Length]) -> tuple[Held, ...]:
    """Say what each of a recital's recordings holds where a part was recorded in several.

    All divisions are weighed at once, from both ends: there are too many to list them.
    """
    count, parts = len(durations_s), len(lengths)
    before = _least_doubts(durations_s, lengths)
    after = _least_doubts(durations_s[::-1], lengths[::-1])
    least = before[parts][count]
    if math.isinf(least):
        return tuple(Held((), 0, "in no division of the work") for _ in durations_s)
    likely: list[set[tuple[int, int]]] = [set() for _ in durations_s]
    for part, start, end in product(range(parts), range(count), range(1, count + 1)):
        if start < end:
            around = before[part][start] + after[parts - part - 1][count - end]
            doubt = around + _doubt_if_near(sum(durations_s[start:end]), lengths[part])
            if doubt <= least + MARGIN:
                for one in likely[start:end]:
                    one.add((part, end - start))
    return tuple(
        _piece(each, f"the recital's {at} of {count} recordings of {parts} parts")
        for at, each in enumerate(likely, start=1)
    )


def _least_doubts(durations_s: Sequence[float], lengths: Sequence[Length]) -> list[list[float]]:
    """Give the least doubt of the first `i` recordings being the first `n` parts, at `[n][i]`."""
    table = [[0.0] + [math.inf] * len(durations_s)]
    for length in lengths:
        table.append(
            [
                min(
                    (
                        table[-1][start] + _doubt_if_near(sum(durations_s[start:end]), length)
                        for start in range(end)
                    ),
                    default=math.inf,
                )
                for end in range(len(durations_s) + 1)
            ]
        )
    return table


def _doubt_if_near(duration_s: float, part: Length) -> float:
    doubt = _doubt(duration_s, [part])
    return doubt if doubt <= TOO_FAR else math.inf


def _piece(likely: set[tuple[int, int]], because: str) -> Held:
    """Say what a recording holds that may be one of so many recordings of these parts."""
    parts = tuple({part for part, _ in likely})
    if len(parts) != 1:
        return Held((), 0, because)
    if max(pieces for _, pieces in likely) > 1:
        return Held(parts, FRAGMENT_CONFIDENCE, f"{because}, a piece of one")
    return Held(parts, 0.7, because)


def _blocks(lengths: Sequence[Length]) -> Iterator[tuple[int, int]]:
    """Give what may be played of a work by itself: parts in a row that no break would tear."""
    for start in range(len(lengths)):
        if start and lengths[start - 1].runs_on:
            continue
        for end in range(start + 1, len(lengths) + 1):
            if end == len(lengths) or not lengths[end - 1].runs_on:
                yield start, end


def _doubt(duration_s: float, parts: Sequence[Length]) -> float:
    shortest = sum(part.plain_s for part in parts)
    longest = sum(part.repeated_s for part in parts)
    beyond = max(0.0, math.log(shortest / duration_s), math.log(duration_s / longest))
    return (beyond / SPREAD) ** 2


def _alone(start: int, end: int, last: int) -> float:
    if (start, end) == (0, last):
        return 0.0
    if start:
        return OTHERS_ALONE
    return FIRST_ALONE if end == 1 else FROM_FIRST


@lru_cache(maxsize=1)
def parts_of_works() -> Parts:
    """Read the bundled lengths, once.

    Raises:
        SetupError: the file is damaged.
    """
    return read_data(MOVEMENTS, lambda data: _parts(TypeAdapter(_Tables).validate_python(data)))


def _parts(tables: _Tables) -> Parts:
    return Parts(
        movements={key: _lengths(key, told) for key, told in _flat(tables.movements)},
        sets={key: _lengths(key, told) for key, told in _flat(tables.sets)},
        books=dict(_flat(tables.books)),
    )


def _flat(tables: Mapping[str, Mapping[str, T]]) -> Iterator[tuple[tuple[str, str], T]]:
    for composer, works in tables.items():
        for work, told in works.items():
            yield (composer, work), told


def _lengths(key: tuple[str, str], told: Iterable[str | int]) -> tuple[Length, ...]:
    lengths = []
    for text in map(str, told):
        found = _LENGTH.fullmatch(text)
        if not found or int(found[1]) > int(found[2] or found[1]) or not int(found[1]):
            raise ValueError(f"{':'.join(key)}: {text!r} is no length")
        lengths.append(Length(int(found[1]), int(found[2] or found[1]), bool(found[3])))
    return tuple(lengths)
