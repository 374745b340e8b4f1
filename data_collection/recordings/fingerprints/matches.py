"""Which recordings hold the same performance: by their source, their samples, or their sound.

What belongs here: what is known of a recording, the matches of each two, and the order in which the
three ways are asked. What does not: which of two is kept, which is a tier's business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from data_collection.recordings.errors import SetupError
from data_collection.recordings.fingerprints.index import FingerprintIndex
from data_collection.recordings.fingerprints.overlap import SHORTEST_S, Overlap
from data_collection.recordings.fingerprints.stored import Fingerprint
from data_collection.recordings.tier_rows import Recording

By = Literal["ids", "pcm_sha256", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Known:
    """A recording of any tier, and as much as is known of it.

    Attributes:
        folder: of its tier, such as `competition_cache/chopin2021`: an id may be in two tiers.
        recording: its catalogue row.
        fingerprint: None where its audio is not there yet; its source still tells.
    """

    folder: str
    recording: Recording
    fingerprint: Fingerprint | None = None

    @property
    def key(self) -> str:
        """Its name among all tiers' recordings."""
        return f"{self.folder}/{self.recording.recording_id}"

    @property
    def duration_s(self) -> float | None:
        """As decoded, else as the source claims it of a whole, in seconds."""
        if self.fingerprint is not None:
            return self.fingerprint.duration_s
        start_s, end_s = self.recording.source_start_s or 0.0, self.recording.source_end_s
        if end_s is not None:
            return end_s - start_s
        return None if self.recording.cut_from else self.recording.duration_s

    @property
    def original_id(self) -> str:
        """Of the source's whole, which several recordings may be parts of."""
        return self.recording.cut_from or self.recording.recording_id

    @property
    def source_start_s(self) -> float:
        """Where it begins in that whole, in seconds."""
        return self.recording.source_start_s or 0.0


class Match(BaseModel):
    """A stretch that two recordings share. Two recordings may share several, at other offsets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording: str = Field(description="key of one: its tier's folder and its id")
    other: str = Field(description="key of the other, which comes later in the alphabet")
    start_s: float = Field(ge=0, description="where the stretch begins in the one, in seconds")
    offset_s: float = Field(description="from there to where it begins in the other, in seconds")
    overlap_s: float | None = Field(
        ge=0, description="its length; null where the length of neither is known: it is all"
    )
    score: float = Field(ge=0, le=1, description="share of the onsets that agree")
    by: By = Field(description="how it was found; ids before samples, samples before sound")

    def seen_from(self, key: str) -> Match:
        """The match with a recording of it first, whatever its place in the alphabet."""
        if key == self.recording:
            return self
        if key != self.other:
            raise ValueError(f"{key} is not of this match")
        return self.model_copy(
            update={
                "recording": self.other,
                "other": self.recording,
                "start_s": max(0.0, self.start_s + self.offset_s),
                "offset_s": -self.offset_s,
            }
        )


def find_duplicates(
    recordings: Sequence[Known],
    asked: Collection[str] | None = None,
    *,
    index: FingerprintIndex | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> list[Match]:
    """Find the stretches that recordings of any tier share.

    Args:
        recordings: all of them, each once.
        asked: keys: only matches of one of these with any other. None for all.
        index: of the fingerprints of these recordings, by their keys; None makes it.
        log: is told how far it has come.

    Returns:
        Sorted by keys, then by place. The same whatever the order of the recordings.

    Raises:
        SetupError: `index_full`.
        ValueError: a key comes twice, or none of the recordings has it.
    """
    by_key = {known.key: known for known in recordings}
    if len(by_key) != len(recordings):
        raise ValueError("each recording is given once")
    wanted = sorted(by_key if asked is None else {*asked})
    unknown = [key for key in wanted if key not in by_key]
    if unknown:
        raise ValueError(f"{unknown[0]} is none of the recordings")
    found: dict[tuple[str, str], list[Match]] = {}
    for same in (_by_source, _by_samples):
        for match in same(by_key, wanted):
            found.setdefault((match.recording, match.other), [match])
    searched = index or index_of(recordings)
    for number, key in enumerate(wanted, start=1):
        for match in _by_sound(by_key[key], by_key, searched):
            pair = (match.recording, match.other)
            before = found.setdefault(pair, [])
            if all(one.by == "fingerprint" for one in before):
                _add(before, match)
        if number % 500 == 0:
            log(f"{number} of {len(wanted)} recordings searched for")
    return sorted(
        (match for matches in found.values() for match in matches),
        key=lambda match: (match.recording, match.other, match.start_s, match.offset_s),
    )


def index_of(recordings: Iterable[Known]) -> FingerprintIndex:
    """Index the fingerprints that there are, by the recordings' keys.

    Raises:
        SetupError: `index_full`.
    """
    return FingerprintIndex(
        (known.key, known.fingerprint.landmarks)
        for known in sorted(recordings, key=lambda known: known.key)
        if known.fingerprint is not None
    )


def _by_source(by_key: Mapping[str, Known], wanted: Iterable[str]) -> Iterable[Match]:
    """Recordings, or parts, of one original: the source says that they are the same."""
    of_original: dict[str, list[Known]] = defaultdict(list)
    for known in by_key.values():
        of_original[known.original_id].append(known)
    for key in wanted:
        for other in of_original[by_key[key].original_id]:
            match = _shared_source(*_in_order(by_key[key], other)) if other.key != key else None
            if match is not None:
                yield match


def _shared_source(one: Known, other: Known) -> Match | None:
    """The stretch of the original that two recordings have in common, if that is no mere rim."""
    ends = [
        known.source_start_s + known.duration_s
        for known in (one, other)
        if known.duration_s is not None
    ]
    start_s = max(one.source_start_s, other.source_start_s)
    overlap_s = min(ends) - start_s if ends else None
    lengths = [known.duration_s for known in (one, other) if known.duration_s is not None]
    if overlap_s is not None and overlap_s < min(SHORTEST_S, 0.5 * min(lengths)):
        return None
    return Match(
        recording=one.key,
        other=other.key,
        start_s=start_s - one.source_start_s,
        offset_s=one.source_start_s - other.source_start_s,
        overlap_s=overlap_s,
        score=1.0,
        by="ids",
    )


def _by_samples(by_key: Mapping[str, Known], wanted: Iterable[str]) -> Iterable[Match]:
    of_samples: dict[str, list[Known]] = defaultdict(list)
    for known in by_key.values():
        if known.fingerprint is not None:
            of_samples[known.fingerprint.pcm_sha256].append(known)
    for key in wanted:
        fingerprint = by_key[key].fingerprint
        for other in of_samples[fingerprint.pcm_sha256] if fingerprint is not None else ():
            if other.key != key and fingerprint is not None:
                one, second = _in_order(by_key[key], other)
                yield Match(
                    recording=one.key,
                    other=second.key,
                    start_s=0.0,
                    offset_s=0.0,
                    overlap_s=fingerprint.duration_s,
                    score=1.0,
                    by="pcm_sha256",
                )


def _by_sound(
    asked: Known, by_key: Mapping[str, Known], index: FingerprintIndex
) -> Iterable[Match]:
    if asked.fingerprint is None:
        return
    for found in index.search(asked.fingerprint.landmarks, apart_from=asked.key):
        if found.recording_id not in by_key:
            raise SetupError(
                "index_outdated", f"{found.recording_id} is indexed and no longer there; index anew"
            )
        for overlap in found.overlaps:
            yield _heard(asked.key, found.recording_id, overlap)


def _heard(asked: str, other: str, overlap: Overlap) -> Match:
    match = Match(
        recording=asked,
        other=other,
        start_s=overlap.start_s,
        offset_s=round(overlap.offset_s, 3),
        overlap_s=round(overlap.length_s, 3),
        score=round(overlap.score, 3),
        by="fingerprint",
    )
    return match.seen_from(min(asked, other))


def _add(matches: list[Match], new: Match) -> None:
    """Add a stretch, or the longer of two findings of one: each pair is asked for both ways."""
    for at, match in enumerate(matches):
        if _is_same_stretch(match, new):
            matches[at] = max(match, new, key=_length_and_place)
            return
    matches.append(new)


def _is_same_stretch(one: Match, other: Match) -> bool:
    middle_s = max(one.start_s, other.start_s)
    ends_s = (one.start_s + (one.overlap_s or 0.0), other.start_s + (other.overlap_s or 0.0))
    return middle_s < min(ends_s) and abs(one.offset_s - other.offset_s) < SHORTEST_S / 4


def _length_and_place(match: Match) -> tuple[float, float, float]:
    return match.overlap_s or 0.0, match.score, -match.start_s


def _in_order(one: Known, other: Known) -> tuple[Known, Known]:
    return (one, other) if one.key < other.key else (other, one)
