"""Many recordings' landmarks in memory, and which of them a recording may share a stretch with.

What belongs here: hashes of three landmarks, the table of them, and the search. What does not:
making sure (`overlap`), and what a match means (`matches`). A hash holds three semitones and the
times between them, to a twentieth of a second; where a recording gives the same hashes as another
in the same order, they agree on one shift. The table is a sorted array: four bytes a hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_collection.recordings.errors import SetupError
from data_collection.recordings.fingerprints.landmarks import TICKS_PER_S, Landmarks
from data_collection.recordings.fingerprints.overlap import Overlap, Seed, overlaps

HASHED_RANK = 5
"""Landmarks with fewer stronger ones around them make hashes: about half of them."""
FAN_INDEXED = 3
FAN_ASKED = 4
"""A landmark is hashed with each two of so many that follow; more are asked for than are stored, so
that one that is missing hides nothing."""
SOONEST = 8
LATEST = 200
TIME_STEP = 5
FEWEST_BITS, MOST_BITS = 12, 24
VOTING_WINDOW = 10 * TICKS_PER_S
VOTE_TICKS = 12
FEWEST_VOTES = 5
MOST_HITS = 4_000_000
"""Bounds a search to a second and 0.3 GB: the commonest hashes beyond are not looked at."""
FEWEST_SEEDS, SEEDS_A_WINDOW = 1500, 25
"""How many are followed, of those with most votes: a copy has dozens in each window of ten seconds,
chance has five."""
GAP_TICKS = 60 * TICKS_PER_S
"""Between two recordings on the common axis of times."""
MOST_TICKS = 1 << 32
CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Found:
    """A recording of the index that shares stretches with the one that was asked for."""

    recording_id: str
    overlaps: tuple[Overlap, ...]


class FingerprintIndex:
    """Landmarks of many recordings, searchable.

    For 10,000 recordings of ten minutes it takes 0.8 GB, their landmarks among them, and another
    1 GB while it is made.
    """

    def __init__(self, recordings: Iterable[tuple[str, Landmarks]]) -> None:
        """Index recordings by their ids.

        Raises:
            SetupError: `index_full`: they last longer than 11,900 hours together.
            ValueError: an id comes twice.
        """
        self.recording_ids: list[str] = []
        self._landmarks: list[Landmarks] = []
        starts = [0]
        for recording_id, landmarks in recordings:
            self.recording_ids.append(recording_id)
            self._landmarks.append(landmarks)
            last = int(landmarks.ticks[-1]) if landmarks.count else 0
            starts.append(starts[-1] + last + GAP_TICKS)
        self._at = {recording_id: at for at, recording_id in enumerate(self.recording_ids)}
        if len(self._at) != len(self.recording_ids):
            raise ValueError("a recording is indexed once")
        if starts[-1] >= MOST_TICKS:
            raise SetupError(
                "index_full",
                f"{len(self.recording_ids)} recordings last too long for one index; search them "
                "in two",
            )
        self._starts = np.array(starts, dtype=np.int64)
        self._bits, self._buckets, self._places = self._table()

    @property
    def size_bytes(self) -> int:
        """Of its arrays, in memory."""
        kept = sum(a.nbytes for one in self._landmarks for a in (one.ticks, one.bands, one.ranks))
        return kept + self._buckets.nbytes + self._places.nbytes

    def search(self, landmarks: Landmarks, *, apart_from: str | None = None) -> list[Found]:
        """Find the recordings that share a stretch of 20 s or more with one.

        Args:
            landmarks: of any recording.
            apart_from: a recording of the index that is not asked for: itself.

        Returns:
            In the index's order.
        """
        seeds: dict[int, list[Seed]] = {}
        for which, seed in self._seeds(landmarks, apart_from):
            seeds.setdefault(which, []).append(seed)
        found = []
        for which in sorted(seeds):
            shared = overlaps(landmarks, self._landmarks[which], seeds[which])
            if shared:
                found.append(Found(self.recording_ids[which], tuple(shared)))
        return found

    def _table(self) -> tuple[int, npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Bits of a hash; where each hash's places begin; the places, in ticks of all in a row."""
        room = sum(int((one.ranks < HASHED_RANK).sum()) for one in self._landmarks)
        room *= FAN_INDEXED * (FAN_INDEXED - 1) // 2
        packed, count = np.empty(room, np.uint64), 0
        bits = min(MOST_BITS, max(FEWEST_BITS, room.bit_length()))
        for start, landmarks in zip(self._starts, self._landmarks, strict=False):
            hashes, ticks = hashes_of(landmarks, FAN_INDEXED)
            place = (ticks + int(start)).astype(np.uint64)
            packed[count : count + hashes.size] = (hashes >> np.uint64(64 - bits) << 32) | place
            count += hashes.size
        packed = packed[:count]
        packed.sort()
        sizes = np.zeros(1 << bits, np.int64)
        places = np.empty(count, np.uint32)
        for begin in range(0, count, CHUNK):
            part = packed[begin : begin + CHUNK]
            sizes += np.bincount((part >> 32).astype(np.int64), minlength=1 << bits)
            places[begin : begin + CHUNK] = part & np.uint64(0xFFFFFFFF)
        buckets = np.concatenate(([0], np.cumsum(sizes))).astype(np.uint32)
        return bits, buckets, places

    def _seeds(self, landmarks: Landmarks, apart_from: str | None) -> list[tuple[int, Seed]]:
        """Which recordings to look at and where, those with the most votes first.

        A recording is most like itself: its own places are dropped before the votes are counted.
        """
        hashes, ticks = hashes_of(landmarks, FAN_ASKED)
        asked, place = self._hits(hashes)
        if apart_from in self._at:
            own = self._at[apart_from]
            others = (place < self._starts[own]) | (place >= self._starts[own + 1])
            asked, place = asked[others], place[others]
        if not asked.size:
            return []
        window = ticks[asked] // VOTING_WINDOW
        keys = np.sort((window << 34) + (place - ticks[asked] + (1 << 33)))
        votes = np.searchsorted(keys, keys + VOTE_TICKS, side="right") - np.arange(keys.size)
        chosen = _peaks(keys, votes)
        most = max(FEWEST_SEEDS, SEEDS_A_WINDOW * (1 + int(window.max())))
        chosen = chosen[np.argsort(-votes[chosen], kind="stable")][:most]
        middle = keys[chosen + votes[chosen] // 2]
        tick = ((middle >> 34) * VOTING_WINDOW) + VOTING_WINDOW // 2
        shift = (middle & ((1 << 34) - 1)) - (1 << 33)
        # The middle of a window may lie a little before the first place that voted in it.
        borders = self._starts[1:-1] - VOTING_WINDOW
        which = np.searchsorted(borders, shift + tick, side="right")
        own_shift = shift - self._starts[which]
        return [
            (int(one), Seed(int(at), float(by)))
            for one, at, by in zip(which, tick, own_shift, strict=True)
        ]

    def _hits(
        self, hashes: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
        """Which hash was found, and where; the rarest hashes first, until there are enough."""
        bucket = (hashes >> np.uint64(64 - self._bits)).astype(np.int64)
        begin = self._buckets[bucket].astype(np.int64)
        count = self._buckets[bucket + 1].astype(np.int64) - begin
        rarest = np.argsort(count, kind="stable")
        rarest = rarest[np.cumsum(count[rarest]) <= MOST_HITS]
        count = count[rarest]
        asked = np.repeat(rarest, count)
        place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return asked, self._places[np.repeat(begin[rarest], count) + place].astype(np.int64)


def hashes_of(
    landmarks: Landmarks, fan: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Hash each landmark with each two of those that follow it.

    Args:
        landmarks: of a recording.
        fan: how many of those that follow are taken.

    Returns:
        Hashes of 64 bits, of which the first are the best mixed, and the ticks of the first
        landmark of each.
    """
    strong = landmarks.ranks < HASHED_RANK
    ticks = landmarks.ticks[strong].astype(np.int64)
    bands = landmarks.bands[strong].astype(np.uint64)
    first = np.searchsorted(ticks, ticks + SOONEST)
    anchors = np.arange(ticks.size)
    hashes, at = [], []
    for near in range(fan):
        for far in range(near + 1, fan):
            kept = anchors[first + far < ticks.size]
            second, third = first[kept] + near, first[kept] + far
            in_time = ticks[third] - ticks[kept] <= LATEST
            kept, second, third = kept[in_time], second[in_time], third[in_time]
            words = [bands[kept], bands[second], bands[third]]
            words += [
                ((ticks[o] - ticks[kept]) // TIME_STEP).astype(np.uint64) for o in (second, third)
            ]
            hashes.append(_mixed(words))
            at.append(ticks[kept])
    return np.concatenate(hashes), np.concatenate(at)


def _mixed(words: Sequence[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    """One number of several, each below 64, spread over 64 bits (Fibonacci hashing)."""
    packed = words[0]
    for word in words[1:]:
        packed = (packed << np.uint64(6)) | word
    packed ^= packed >> np.uint64(15)
    return packed * np.uint64(0x9E3779B97F4A7C15)


def _peaks(keys: npt.NDArray[np.int64], votes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Of each run of places that lie close together, the one with the most votes, if enough."""
    enough = np.flatnonzero(votes >= FEWEST_VOTES)
    if not enough.size:
        return enough
    run = np.cumsum(np.diff(keys[enough], prepend=keys[enough[0]]) > VOTE_TICKS)
    order = np.lexsort((-votes[enough], run))
    return enough[order[np.diff(run[order], prepend=-1) > 0]]
