"""Which of several uploads of one performance T4 keeps, and what it must leave to other tiers.

What belongs here: the choice, as rows with a pointer to the one kept, and the leaks that a check
must not find; all of it pure. What does not: finding the matches (`recordings.fingerprints`), and
reading and writing the rows. A competition's recording is its own, and so is MAESTRO's: what T4
shares with them, if only an encore, it loses. Within T4 a recording goes where half of it or more
is in others that are kept; nothing goes for being like something that itself went.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from data_collection.recordings.fingerprints.matches import By, Match

TierName = Literal["competition", "maestro", "youtube"]
DuplicateKind = Literal["same", "excerpt", "compilation", "shared_part"]

TIERS: tuple[TierName, ...] = ("competition", "maestro", "youtube")
"""The first keeps what it shares with a later one."""
LEAK_TIERS: tuple[TierName, ...] = ("competition",)
MOSTLY = 0.5
"""Share of a recording that others hold, from which it is their duplicate."""
WHOLLY = 0.8
"""From which two are the same, or one is an excerpt of the other: uploads differ in applause."""
DURATION_STEP_S = 10.0
CLIPPED_STEP = 0.001
BANDWIDTH_STEP_HZ = 1000.0
NEVER_SEEN = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the choice looks at in a recording of any tier.

    Attributes:
        key: as in the matches.
        recording_id: its own.
        tier: whose it is.
        duration_s: None where it is not known.
        clipped_share: of the original's samples; None where it was not measured.
        bandwidth_hz: of the original; None where it was not measured.
        first_seen_at: when it was first listed, in UTC; None where that is not known.
    """

    key: str
    recording_id: str
    tier: TierName
    duration_s: float | None = None
    clipped_share: float | None = None
    bandwidth_hz: float | None = None
    first_seen_at: datetime | None = None


class DuplicateRow(BaseModel):
    """A row of `duplicates.jsonl`: a recording of T4 that is not used, and what stands for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="of T4, left out")
    duplicate_of: str = Field(description="the recording that is kept and shares most with it")
    tier: TierName = Field(description="of the one that is kept")
    kind: DuplicateKind = Field(
        description="same; excerpt of a longer one; compilation of several; shared_part: some of it"
    )
    by: By = Field(description="how the longest stretch was found")
    start_s: float = Field(ge=0, description="where that begins in the one left out, in seconds")
    offset_s: float = Field(description="from there to where it begins in the one kept, in seconds")
    overlap_s: float | None = Field(
        ge=0, description="all that the two share, in seconds; null where no length is known"
    )
    covered: float = Field(
        ge=0, le=1, description="share of the one left out that kept recordings hold"
    )
    score: float = Field(ge=0, le=1, description="share of the onsets that agree, in that stretch")
    holds: tuple[str, ...] = Field(description="every kept recording that shares something with it")


class CompilationRow(BaseModel):
    """A kept recording of T4 that holds several others, which are left out for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="of T4, kept")
    holds: tuple[str, ...] = Field(description="recordings of T4 left out for it")


class SharedPartRow(BaseModel):
    """Two kept recordings of T4 that share less than half of either: for a person to look at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="the shorter")
    shares_with: str = Field(description="the longer")
    by: By = Field(description="how the longest stretch was found")
    start_s: float = Field(ge=0, description="where that begins in the shorter, in seconds")
    offset_s: float = Field(description="from there to where it begins in the longer, in seconds")
    overlap_s: float = Field(ge=0, description="all that the two share, in seconds")


@dataclass(frozen=True, slots=True)
class Choice:
    """What T4 keeps.

    Attributes:
        kept: ids of T4, sorted.
        duplicates: one row for each that is left out, sorted by id.
        compilations: kept recordings for which several others are left out, sorted by id.
        shared_parts: pairs that are both kept, sorted by ids.
    """

    kept: tuple[str, ...]
    duplicates: tuple[DuplicateRow, ...]
    compilations: tuple[CompilationRow, ...]
    shared_parts: tuple[SharedPartRow, ...]


@dataclass(frozen=True, slots=True)
class _Shared:
    """All that one recording shares with another; the matches are seen from the one."""

    other: Candidate
    matches: tuple[Match, ...]

    @property
    def longest(self) -> Match:
        return max(
            self.matches, key=lambda m: (_or_all(m.overlap_s), m.score, -m.start_s, -m.offset_s)
        )

    @property
    def overlap_s(self) -> float | None:
        return _union_s(self.matches)


def choose(candidates: Sequence[Candidate], matches: Iterable[Match]) -> Choice:
    """Choose which recordings of T4 are kept.

    Those of other tiers come first and are all kept; then T4's, the better before the worse: longer
    (by 10 s), less clipped, of more bandwidth, seen earlier, lower id. Each is held against the
    ones kept so far, and only by matches of its own, so there are no chains.

    Args:
        candidates: of all tiers.
        matches: of any of them; those with recordings that are no candidates are ignored.

    Returns:
        The same whatever the order of both.

    Raises:
        ValueError: a key comes twice.
    """
    by_key = {one.key: one for one in candidates}
    if len(by_key) != len(candidates):
        raise ValueError("each candidate is given once")
    shared = _shared(by_key, matches)
    kept: set[str] = set()
    duplicates: list[DuplicateRow] = []
    parts: list[SharedPartRow] = []
    for one in sorted(candidates, key=_better_first):
        with_kept = [found for found in shared[one.key] if found.other.key in kept]
        row = _duplicate(one, with_kept) if one.tier == "youtube" else None
        if row is not None:
            duplicates.append(row)
            continue
        kept.add(one.key)
        if one.tier == "youtube":
            parts += [_shared_part(one, found) for found in with_kept]
    return Choice(
        kept=tuple(sorted(by_key[key].recording_id for key in kept if _is_of_t4(by_key[key]))),
        duplicates=tuple(sorted(duplicates, key=lambda row: row.recording_id)),
        compilations=_compilations(duplicates),
        shared_parts=tuple(sorted(parts, key=lambda row: (row.recording_id, row.shares_with))),
    )


def leaks(
    candidates: Iterable[Candidate],
    matches: Iterable[Match],
    used: Collection[str],
    *,
    tiers: Collection[TierName] = LEAK_TIERS,
) -> tuple[DuplicateRow, ...]:
    """Name the recordings of T4 that are used although another tier holds some of them.

    Made from the matches and not from the choice, so that a check by it does not believe what it
    checks.

    Args:
        candidates: of all tiers.
        matches: of any of them.
        used: ids of T4 that have rows in its metadata.
        tiers: the other tiers.

    Returns:
        One row each, sorted by id; none where all is well.
    """
    by_key = {one.key: one for one in candidates}
    shared = _shared(by_key, matches)
    rows = []
    for one in by_key.values():
        if _is_of_t4(one) and one.recording_id in used:
            row = _duplicate(one, [found for found in shared[one.key] if found.other.tier in tiers])
            rows += [row] if row is not None else []
    return tuple(sorted(rows, key=lambda row: row.recording_id))


def _shared(
    by_key: Mapping[str, Candidate], matches: Iterable[Match]
) -> Mapping[str, Sequence[_Shared]]:
    """What each recording shares with which others."""
    of_pair: dict[tuple[str, str], list[Match]] = defaultdict(list)
    for match in matches:
        if match.recording in by_key and match.other in by_key:
            for key in (match.recording, match.other):
                seen = match.seen_from(key)
                of_pair[seen.recording, seen.other].append(seen)
    shared: dict[str, list[_Shared]] = defaultdict(list)
    for (key, other), seen_matches in sorted(of_pair.items()):
        shared[key].append(_Shared(by_key[other], tuple(seen_matches)))
    return shared


def _better_first(one: Candidate) -> tuple[int, float, float, float, datetime, str]:
    """Rounded, so that a breath of silence does not outweigh a clipped recording."""
    return (
        TIERS.index(one.tier),
        -round((one.duration_s or 0.0) / DURATION_STEP_S),
        round(
            1.0 / CLIPPED_STEP if one.clipped_share is None else one.clipped_share / CLIPPED_STEP
        ),
        -round((one.bandwidth_hz or 0.0) / BANDWIDTH_STEP_HZ),
        one.first_seen_at or NEVER_SEEN,
        one.key,
    )


def _duplicate(one: Candidate, with_kept: Sequence[_Shared]) -> DuplicateRow | None:
    """The row of a recording of T4 that is not kept for what others hold of it."""
    if not with_kept:
        return None
    covered = _covered(one, [match for found in with_kept for match in found.matches])
    of_other_tier = [found for found in with_kept if not _is_of_t4(found.other)]
    if covered < MOSTLY and not of_other_tier:
        return None
    most = min(with_kept, key=lambda found: _most_first(found))
    longest = most.longest
    return DuplicateRow(
        recording_id=one.recording_id,
        duplicate_of=most.other.recording_id,
        tier=most.other.tier,
        kind=_kind(one, most, with_kept, covered),
        by=longest.by,
        start_s=longest.start_s,
        offset_s=longest.offset_s,
        overlap_s=most.overlap_s,
        covered=round(covered, 3),
        score=longest.score,
        holds=tuple(sorted({found.other.recording_id for found in with_kept})),
    )


def _most_first(found: _Shared) -> tuple[int, float, str]:
    return TIERS.index(found.other.tier), -_or_all(found.overlap_s), found.other.key


def _kind(
    one: Candidate, most: _Shared, with_kept: Sequence[_Shared], covered: float
) -> DuplicateKind:
    if _covered(one, most.matches) >= WHOLLY:
        return "same" if _covered_the_other_way(most) >= WHOLLY else "excerpt"
    apart = [found for found in with_kept if found is not most and not _is_inside(found, most)]
    if apart:
        return "compilation"
    return "excerpt" if covered >= MOSTLY else "shared_part"


def _is_inside(found: _Shared, most: _Shared) -> bool:
    """Whether what is shared with one adds little to what is shared with another."""
    both_s = _union_s([*found.matches, *most.matches])
    alone_s, most_s = found.overlap_s, most.overlap_s
    if both_s is None or alone_s is None or most_s is None:
        return True
    return both_s - most_s < MOSTLY * alone_s


def _covered(one: Candidate, matches: Sequence[Match]) -> float:
    """Share of a recording that its matches hold; all of it where no length is known."""
    shared_s = _union_s(matches)
    if shared_s is None or one.duration_s is None:
        return 1.0
    return min(1.0, shared_s / one.duration_s) if one.duration_s > 0 else 0.0


def _covered_the_other_way(found: _Shared) -> float:
    return _covered(found.other, [match.seen_from(found.other.key) for match in found.matches])


def _union_s(matches: Iterable[Match]) -> float | None:
    """Seconds that matches cover together; None where the length of one is not known."""
    total_s, end_s = 0.0, 0.0
    for match in sorted(matches, key=lambda match: match.start_s):
        if match.overlap_s is None:
            return None
        begin_s = max(match.start_s, end_s)
        end_s = max(end_s, match.start_s + match.overlap_s)
        total_s += max(0.0, end_s - begin_s)
    return total_s


def _shared_part(one: Candidate, found: _Shared) -> SharedPartRow:
    longest = found.longest
    return SharedPartRow(
        recording_id=one.recording_id,
        shares_with=found.other.recording_id,
        by=longest.by,
        start_s=longest.start_s,
        offset_s=longest.offset_s,
        overlap_s=found.overlap_s or 0.0,
    )


def _compilations(duplicates: Iterable[DuplicateRow]) -> tuple[CompilationRow, ...]:
    held: dict[str, set[str]] = defaultdict(set)
    for row in duplicates:
        if row.tier == "youtube" and row.kind == "excerpt":
            held[row.duplicate_of].add(row.recording_id)
    return tuple(
        CompilationRow(recording_id=longer, holds=tuple(sorted(parts)))
        for longer, parts in sorted(held.items())
        if len(parts) > 1
    )


def _is_of_t4(one: Candidate) -> bool:
    return one.tier == "youtube"


def _or_all(overlap_s: float | None) -> float:
    return float("inf") if overlap_s is None else overlap_s
