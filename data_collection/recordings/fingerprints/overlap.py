"""Whether two recordings hold the same performance, from when to when.

What belongs here: following a stretch of one recording through the other by their landmarks. What
does not: guessing where to look among many recordings (`index`). The same performance has the same
onsets at one offset, to within the clock of a tape; another performance of the piece has the same
notes, and agrees for a second here and there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_collection.recordings.fingerprints.landmarks import TICKS_PER_S, Landmarks

WINDOW = 10 * TICKS_PER_S
STEP = WINDOW // 2
FEWEST = 12
"""A window with fewer landmarks says nothing."""
WINDOW_SHARE = 0.5
"""Share of the landmarks that agree where a window is followed; see `docs/decisions`."""
SAME_SHARE = 0.55
"""The same over a whole overlap."""
SHORTEST_S = 20.0
"""A shorter overlap is no duplicate: jingles, and a phrase played alike."""
NEAR = 2
"""Ticks by which an onset may be off."""
SEED_REACH = 20
FOLLOW_REACH = 8
MOST_WRONG_SEEDS = 6
"""After so many the other recording is given up: of a real copy the likeliest are right."""
LONGEST_GAP = 20 * TICKS_PER_S
"""Unlike or silent for so long, and the overlap has ended."""
SPEEDS = np.array([0, 1, -1, 2, -2, 3, -3]) * 0.002
"""Tried within a window, the likeliest first."""
STEADY = 0.0005
"""Copies of one file keep its speed, to within what their windows tell."""
FASTEST = 0.008
"""How far the speed of a bad transfer may be off, as a share."""
LONG_S = 60.0
"""An overlap at another speed is at least so long: over less, a pianist's next take may well be
steadily a little slower."""
WOBBLE = 0.6
"""Root mean square of the ticks by which windows may lie off a constant speed: a machine keeps its
speed (0.4 at most), and a pianist who plays it again in the same way does not."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seed:
    """A guess: at `tick` of a query, another recording is as at `tick + shift` of its own."""

    tick: int
    shift: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """A stretch that two recordings share.

    Attributes:
        start_s: where it begins in the query, in seconds.
        end_s: where it ends there.
        offset_s: what to add to a time of the query at its beginning for the other's time.
        speed: how much longer the other takes for it, as a ratio; 1 for the same.
        score: share of the landmarks that agree, 0 to 1, in the recording where fewer do.
    """

    start_s: float
    end_s: float
    offset_s: float
    speed: float
    score: float

    @property
    def length_s(self) -> float:
        """Of the stretch in the query, in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class _Window:
    """A window of the query, by its middle, that the other has as well, `shift` ticks later."""

    middle: float
    shift: float


def overlaps(query: Landmarks, other: Landmarks, seeds: Iterable[Seed]) -> list[Overlap]:
    """Find the stretches that two recordings share.

    Args:
        query: of one recording.
        other: of the other.
        seeds: where to look, the likeliest first.

    Returns:
        Stretches of 20 s or more, longest first. Those of one offset are one.
    """
    comparison = _Comparison(query, other)
    found: list[Overlap] = []
    followed: list[list[_Window]] = []
    wrong = 0
    for seed in seeds:
        if any(_is_on(seed, path) for path in followed):
            continue
        path = comparison.follow(seed)
        if path:
            followed.append(path)
            found += [o for part in _straight(path) for o in comparison.overlap(part)]
        else:
            wrong += 1
        if wrong == MOST_WRONG_SEEDS:
            break
    kept: list[Overlap] = []
    for one in sorted(found, key=lambda one: (-one.length_s, one.start_s, one.offset_s)):
        if not any(_is_within(one, longer) for longer in kept):
            kept.append(one)
    return kept


def _is_within(one: Overlap, longer: Overlap) -> bool:
    """Whether a stretch is, for the most part, what another already tells."""
    shared_s = min(one.end_s, longer.end_s) - max(one.start_s, longer.start_s)
    offset_s = longer.offset_s + (longer.speed - 1) * (one.start_s - longer.start_s)
    is_near = abs(one.offset_s - offset_s) <= SEED_REACH / TICKS_PER_S
    return is_near and shared_s >= 0.5 * one.length_s


def _is_on(seed: Seed, path: Sequence[_Window]) -> bool:
    middles = [window.middle for window in path]
    if not middles[0] - WINDOW <= seed.tick <= middles[-1] + WINDOW:
        return False
    shift = np.interp(seed.tick, middles, [window.shift for window in path])
    return abs(float(shift) - seed.shift) <= SEED_REACH


def _straight(path: Sequence[_Window]) -> list[Sequence[_Window]]:
    """The parts of a path that keep one speed: cut where a copy lost or gained some hundredths.

    A part of a cut path is at least `LONG_S` long: a shorter one proves nothing.
    """
    middle = np.array([window.middle for window in path])
    shift = np.array([window.shift for window in path])
    slope, wobble = _line(middle, shift)
    if wobble <= WOBBLE:
        return [path] if abs(slope) <= FASTEST else []
    step = np.diff(shift) / np.diff(middle)
    cut = 1 + int(np.argmax(np.abs(step - np.median(step))))
    parts = [path[:cut], path[cut:]]
    long = [part for part in parts if part[-1].middle - part[0].middle >= LONG_S * TICKS_PER_S]
    return [straight for part in long for straight in _straight(part)]


class _Comparison:
    """Two recordings' landmarks, sorted for looking one up in the other."""

    def __init__(self, query: Landmarks, other: Landmarks) -> None:
        self._ticks, self._bands = query.ticks.astype(np.int64), query.bands
        self._other_ticks, self._other_bands = other.ticks.astype(np.int64), other.bands
        self._keys = _sorted_keys(self._other_bands, self._other_ticks)

    def follow(self, seed: Seed) -> list[_Window]:
        """The windows that agree around a seed, both ways, in order; none where it was wrong."""
        found = self._window(seed.tick, seed.shift, SEED_REACH, 0.0)
        if found is None:
            return []
        first, speed = found
        back = self._walk(first, speed, -STEP)
        return [*reversed(back), first, *self._walk(first, speed, STEP)]

    def overlap(self, path: Sequence[_Window]) -> list[Overlap]:
        """The stretch along a path with the most landmarks that agree over those that do not."""
        middle = np.array([window.middle for window in path])
        shift = np.array([window.shift for window in path])
        slope, _ = _line(middle, shift)
        begin, end = np.searchsorted(
            self._ticks, [middle[0] - 1.5 * WINDOW, middle[-1] + 1.5 * WINDOW]
        )
        ticks = self._ticks[begin:end]
        expected = ticks + _extended(ticks, middle, shift, slope)
        agrees = _has_near(self._keys, self._bands[begin:end], expected)
        first, last = _best_stretch(agrees)
        other_from, other_to = np.searchsorted(
            self._other_ticks, [expected[first] - NEAR, expected[last] + NEAR + 1]
        )
        agreeing = int(agrees[first : last + 1].sum())
        score = agreeing / max(last + 1 - first, int(other_to - other_from))
        found = Overlap(
            start_s=float(ticks[first]) / TICKS_PER_S,
            end_s=float(ticks[last]) / TICKS_PER_S,
            offset_s=float(expected[first] - ticks[first]) / TICKS_PER_S,
            speed=1.0 + slope,
            score=score,
        )
        return [found] if _is_same_performance(found) else []

    def _walk(self, first: _Window, speed: float, step: int) -> list[_Window]:
        """Go on from a window, forwards or backwards, for as long as they agree."""
        path: list[_Window] = []
        last, middle = first, first.middle
        end = self._ticks[-1] if self._ticks.size else 0
        while abs(middle + step - last.middle) <= LONGEST_GAP + STEP and 0 <= middle + step <= end:
            middle += step
            expected = last.shift + speed * (middle - last.middle)
            found = self._window(middle, expected, FOLLOW_REACH, speed)
            if found is None:
                continue
            last = found[0]
            path.append(last)
            if abs(last.middle - first.middle) >= 2 * WINDOW:
                speed = (last.shift - first.shift) / (last.middle - first.middle)
        return path

    def _window(
        self, middle: float, shift: float, reach: int, speed: float
    ) -> tuple[_Window, float] | None:
        """The shift near a guess at which most of a window agrees, and the speed in it."""
        begin, end = np.searchsorted(self._ticks, [middle - WINDOW / 2, middle + WINDOW / 2])
        there = np.searchsorted(
            self._other_ticks, [middle + shift - WINDOW / 2, middle + shift + WINDOW / 2]
        )
        most = max(int(end - begin), int(there[1] - there[0]))
        if end - begin < FEWEST:
            return None
        ticks = self._ticks[begin:end]
        at, residual = _near(
            self._keys, self._bands[begin:end], (ticks + shift).astype(np.float64), reach
        )
        if at.size < WINDOW_SHARE * most:
            return None
        from_middle = ticks[at] - middle
        speeds = SPEEDS if speed == 0 else speed + SPEEDS[:3]
        level = residual - np.outer(speeds, from_middle)
        counts, centres = zip(*(_densest(one) for one in level), strict=True)
        best = int(np.argmax(counts))
        if counts[best] < WINDOW_SHARE * most:
            return None
        return _Window(middle, shift + centres[best]), float(speeds[best])


def _is_same_performance(found: Overlap) -> bool:
    is_steady = abs(found.speed - 1) <= STEADY
    return found.length_s >= (SHORTEST_S if is_steady else LONG_S) and found.score >= SAME_SHARE


def _sorted_keys(
    bands: npt.NDArray[np.uint8], ticks: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Band and tick in one number, so that the landmarks of a band lie together."""
    return np.sort((bands.astype(np.int64) << 40) + ticks)


def _near(
    keys: npt.NDArray[np.int64], bands: npt.NDArray[np.uint8], expected: FloatArray, reach: int
) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Every landmark within reach of an expected one: which that is, and how many ticks later."""
    wanted = (bands.astype(np.int64) << 40) + np.rint(np.maximum(expected, 0)).astype(np.int64)
    begin = np.searchsorted(keys, wanted - reach)
    count = np.searchsorted(keys, wanted + reach, side="right") - begin
    which = np.repeat(np.arange(wanted.size), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    ticks = keys[np.repeat(begin, count) + place] & ((1 << 40) - 1)
    return which, ticks - expected[which]


def _has_near(
    keys: npt.NDArray[np.int64], bands: npt.NDArray[np.uint8], expected: FloatArray
) -> npt.NDArray[np.bool_]:
    which, _ = _near(keys, bands, expected, NEAR)
    found = np.zeros(bands.size, bool)
    found[which] = True
    return found


def _densest(residual: FloatArray) -> tuple[int, float]:
    """How many residuals lie within `NEAR` of one place, at most, and the mean of those."""
    ordered = np.sort(residual)
    count = np.searchsorted(ordered, ordered + 2 * NEAR, side="right") - np.arange(ordered.size)
    first = int(np.argmax(count))
    return int(count[first]), float(ordered[first : first + count[first]].mean())


def _line(middle: FloatArray, shift: FloatArray) -> tuple[float, float]:
    """The slope of a path, and how far its windows lie off it (root mean square)."""
    if middle.size < 2:
        return 0.0, 0.0
    slope, start = np.polyfit(middle - middle[0], shift, 1)
    off = shift - start - slope * (middle - middle[0])
    return float(slope), float(np.sqrt(np.mean(off**2)))


def _extended(
    ticks: npt.NDArray[np.int64], middle: FloatArray, shift: FloatArray, slope: float
) -> FloatArray:
    """The shift at any tick: between windows as they say, beyond them at the path's slope."""
    beyond = ticks - np.clip(ticks, middle[0], middle[-1])
    extended: FloatArray = np.interp(ticks, middle, shift) + slope * beyond
    return extended


def _best_stretch(agrees: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """First and last index of the stretch with the highest sum of agreement over the threshold."""
    total = np.concatenate(([0.0], np.cumsum(np.where(agrees, 1.0, 0.0) - WINDOW_SHARE)))
    gain = total[1:] - np.minimum.accumulate(total)[:-1]
    last = int(np.argmax(gain))
    first = int(np.argmin(total[: last + 1]))
    return first, last
