"""A listing of videos, matched to the performers and rounds of an edition.

What belongs here: what several recordings mean together, such as one listed twice, two of one
performer in one round, or a round that the performer did not reach or play. What does not: reading
a title (`titles`) and fetching a listing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, NamedTuple

from rapidfuzz import fuzz, process

from data_collection.competition.editions import Edition
from data_collection.competition.names import normalised_name
from data_collection.competition.roster import Competitor
from data_collection.competition.titles import (
    MIN_MARGIN,
    THRESHOLD,
    Candidates,
    Reason,
    TitleMatch,
    TitleParser,
    TitleRejection,
)

UnmatchedReason = (
    Reason
    | Literal[
        "duplicate_of",
        "beyond_reached_stage",
        "did_not_play",
        "conflicting_hints",
        "block_refused",
        "performer_twice",
    ]
)


@dataclass(frozen=True)
class ListingEntry:
    """One video as a playlist or channel lists it.

    `source_id` is the platform's id and `recording_id` ours; `round_hint` is the round whose
    playlist it is in; `listed` is false once the source no longer lists it.
    """

    recording_id: str
    source_id: str
    source_url: str
    title: str
    duration_s: float | None
    round_hint: str | None = None
    listed: bool = True


class MatchedRecording(NamedTuple):
    """A recording whose performer and round are known."""

    entry: ListingEntry
    match: TitleMatch


@dataclass(frozen=True)
class UnmatchedRecording:
    """A recording that is not used, why, and whom it may show; nothing is dropped silently.

    `duplicate_of` is the recording that was kept instead, with the reason of that name.
    """

    recording_id: str
    source_id: str
    source_url: str
    title: str
    reason: UnmatchedReason
    detail: str
    candidates: Candidates
    duplicate_of: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Give the row as plain JSON values."""
        candidates = [{"performer": name, "score": score} for name, score in self.candidates]
        return {**asdict(self), "candidates": candidates}


@dataclass(frozen=True)
class MatchedListing:
    """Every recording of a listing once, in one list or the other, in the listing's order."""

    matched: tuple[MatchedRecording, ...]
    unmatched: tuple[UnmatchedRecording, ...]


@dataclass(frozen=True)
class _Recording:
    """A recording with every hint it was listed under."""

    entry: ListingEntry
    hints: frozenset[str]


def match_listing(
    entries: Sequence[ListingEntry],
    edition: Edition,
    competitors: Sequence[Competitor],
    *,
    threshold: float = THRESHOLD,
    min_margin: float = MIN_MARGIN,
) -> MatchedListing:
    """Match a listing.

    Args:
        entries: the videos, in order; one that two playlists list may stand twice.
        edition: the competition's edition.
        competitors: its roster.
        threshold: lowest score that counts.
        min_margin: lead over the next performer that counts.

    Returns:
        The matched recordings and the others.

    Raises:
        ValueError: a hint is no round of the edition.
    """
    parser = TitleParser.for_edition(
        edition, competitors, threshold=threshold, min_margin=min_margin
    )
    results = [
        _match_one(recording, parser, edition, competitors) for recording in _merged(entries)
    ]
    kept = _best_of_each(results, edition)
    matched: list[MatchedRecording] = []
    unmatched: list[UnmatchedRecording] = []
    for result in results:
        if isinstance(result, UnmatchedRecording):
            unmatched.append(result)
            continue
        best = kept.get((result.match.performer, result.match.round_id), result)
        if best is result:
            matched.append(result)
        else:
            unmatched.append(_duplicate(result, best))
    return MatchedListing(tuple(matched), tuple(unmatched))


def _merged(entries: Sequence[ListingEntry]) -> list[_Recording]:
    """Make one recording of all entries of one id; a source's own id may be a mere file name."""
    groups: dict[str, list[ListingEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.recording_id, []).append(entry)
    return [_recording(group) for group in groups.values()]


def _recording(group: Sequence[ListingEntry]) -> _Recording:
    """Merge entries: the first one's title, any hint, the first known duration."""
    duration_s = next((entry.duration_s for entry in group if entry.duration_s is not None), None)
    listed = any(entry.listed for entry in group)
    hints = frozenset(entry.round_hint for entry in group if entry.round_hint is not None)
    hint = next(iter(hints)) if len(hints) == 1 else None
    entry = replace(group[0], duration_s=duration_s, listed=listed, round_hint=hint)
    return _Recording(entry, hints)


def _match_one(
    recording: _Recording,
    parser: TitleParser,
    edition: Edition,
    competitors: Sequence[Competitor],
) -> MatchedRecording | UnmatchedRecording:
    entry = recording.entry
    if len(recording.hints) > 1:
        detail = f"in the playlists of {', '.join(sorted(recording.hints))}"
        return _unmatched(entry, "conflicting_hints", detail, _nearest(entry.title, competitors))
    result = parser.parse(entry.title, round_hint=entry.round_hint)
    if isinstance(result, TitleRejection):
        candidates = result.candidates or _nearest(entry.title, competitors)
        return _unmatched(entry, result.reason, result.detail, candidates)
    competitor = next(c for c in competitors if c.performer == result.performer)
    impossible = _impossible(competitor, result.round_id, edition.round_ids)
    if impossible is not None:
        return _unmatched(entry, *impossible, ((result.performer, result.score),))
    return MatchedRecording(entry, result)


def _impossible(
    competitor: Competitor, round_id: str, round_ids: Sequence[str]
) -> tuple[UnmatchedReason, str] | None:
    """Say why nobody can have recorded the competitor in a round: never reached, or withdrew."""
    name, reached = competitor.performer, competitor.reached_stage
    if round_ids.index(round_id) > round_ids.index(reached):
        return "beyond_reached_stage", f"{name} reached {reached}, the recording is of {round_id}"
    if not competitor.performed_in(round_id, round_ids):
        return "did_not_play", f"{name} was admitted to {round_id} and did not play"
    return None


def _best_of_each(
    results: Sequence[MatchedRecording | UnmatchedRecording], edition: Edition
) -> dict[tuple[str, str], MatchedRecording]:
    """Choose among a performer's videos of a round: still listed, score, length, order."""
    single = {round_.id for round_ in edition.rounds if round_.one_video_per_performer}
    best: dict[tuple[str, str], MatchedRecording] = {}
    for result in results:
        if isinstance(result, UnmatchedRecording) or result.match.round_id not in single:
            continue
        key = (result.match.performer, result.match.round_id)
        if key not in best or _rank(result) > _rank(best[key]):
            best[key] = result
    return best


def _rank(recording: MatchedRecording) -> tuple[bool, float, float]:
    entry = recording.entry
    return entry.listed, recording.match.score, entry.duration_s or 0.0


def _duplicate(recording: MatchedRecording, kept: MatchedRecording) -> UnmatchedRecording:
    unmatched = _unmatched(
        recording.entry,
        "duplicate_of",
        f"{kept.entry.recording_id} is kept for {kept.match.performer}, {kept.match.round_id}",
        ((recording.match.performer, recording.match.score),),
    )
    return replace(unmatched, duplicate_of=kept.entry.recording_id)


def _unmatched(
    entry: ListingEntry, reason: UnmatchedReason, detail: str, candidates: Candidates
) -> UnmatchedRecording:
    return UnmatchedRecording(
        recording_id=entry.recording_id,
        source_id=entry.source_id,
        source_url=entry.source_url,
        title=entry.title,
        reason=reason,
        detail=detail,
        candidates=candidates,
    )


def _nearest(title: str, competitors: Sequence[Competitor]) -> Candidates:
    """Give the three names most like a title, for a person to look at; never used to match."""
    names = {c.performer: normalised_name(c.performer) for c in competitors}
    nearest = process.extract(normalised_name(title), names, scorer=fuzz.token_set_ratio, limit=3)
    return tuple((name, round(score, 1)) for _, score, name in nearest)
