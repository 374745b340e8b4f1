"""Long videos of several pianists: which are worth reading, and their parts as recordings.

What belongs here: whose part it is, which round, and what is refused. What does not: reading the
description's blocks (`programme_sessions`), reading a title (`titles`), and cutting the audio
(`recordings.cut`). A session is only cut where its title is one of this edition and round, word for
word, and most of its blocks name people of the roster: another edition's session may have a
namesake.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from data_collection.competition.editions import Edition
from data_collection.competition.listing import ListedRow
from data_collection.competition.matching import (
    ListingEntry,
    MatchedListing,
    MatchedRecording,
    UnmatchedReason,
    UnmatchedRecording,
    match_listing,
)
from data_collection.competition.names import fold
from data_collection.competition.programme import Problem, ProgrammeItem
from data_collection.competition.programme_sessions import SessionBlock, read_session
from data_collection.competition.roster import Competitor
from data_collection.competition.title_tokens import words_of
from data_collection.competition.titles import TitleMatch, TitleParser
from data_collection.recordings.fetch import FetchOptions, is_loopback
from data_collection.recordings.listing import read_video_page

SESSION_REASONS = frozenset({"session", "several_performers"})
LONG_S = 4500.0
"""A video as long as this that is nobody's recital may be a session, whatever its title says."""
SESSION_PHRASE = re.compile(
    r"\b(?:(?:morning|afternoon|evening|poranna|popołudniowa|wieczorna)\s+)?"
    r"(?:session|sesja|day|dzień|part|część|cz\.)"
    r"(?:\s+(?:poranna|popołudniowa|wieczorna))?(?:\s*(?:no\.?|nr)?\s*\d{1,2}\b)?"
    r"|\b(?:morning|afternoon|evening|live|transmisja|stream)\b",
    re.IGNORECASE,
)
"""What only a session's title says: `session 1`, `morning session`, `day 3`."""
WORD = re.compile(r"[^\W\d_]+")
PLAIN_NAME = re.compile(r"[a-z0-9-]{1,60}")
PAGE_HOLDS = timedelta(days=7)
"""A page is asked for again after that: descriptions are written late, and corrected."""
KNOWN_SHARE = 0.5
"""With fewer of its names on the roster it is another competition's session."""


@dataclass(frozen=True, slots=True)
class SessionPart:
    """One pianist's part of a session.

    Attributes:
        entry: what a video of this part alone would be listed as; its title is the block's name.
        cut_from: id of the session's original.
        start_s: where the part begins in it, in seconds.
        end_s: where it ends; None for the session's end.
        items: the programme, in seconds of the part.
        problems: lines of the block that were refused.
    """

    entry: ListingEntry
    cut_from: str
    start_s: float
    end_s: float | None
    items: tuple[ProgrammeItem, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class CutSession:
    """What became of one long video.

    Attributes:
        parts: its pianists' parts, whose names are on the roster.
        refused: blocks that were not taken, with the reason.
        because: the outcome in words.
    """

    because: str
    parts: tuple[SessionPart, ...] = ()
    refused: tuple[UnmatchedRecording, ...] = ()


def may_be_session(row: UnmatchedRecording, duration_s: float | None) -> bool:
    """Whether an unmatched video is worth asking for its description."""
    return row.reason in SESSION_REASONS or (duration_s or 0.0) >= LONG_S


def page_is_due(row: ListedRow) -> bool:
    """Whether a video's page should be asked for: not known yet, or not looked at for long."""
    if row.page_read_at is not None:
        return row.listed and datetime.now(UTC) - row.page_read_at > PAGE_HOLDS
    return row.listed and (row.page is None or row.page.description is None)


def with_page(row: ListedRow, options: FetchOptions) -> ListedRow:
    """Read a video's page, politely.

    Raises:
        RecordingError: it cannot be read.
    """
    if not is_loopback(row.source_url):
        time.sleep(options.sleep_min_s)
    page = read_video_page(row.source_url, options)
    known = row.page
    if page.description is None and known is not None:
        page = page.model_copy(update={"description": known.description})
    return row.model_copy(update={"page": page, "page_read_at": datetime.now(UTC)})


def cut_session(row: ListedRow, edition: Edition, competitors: Sequence[Competitor]) -> CutSession:
    """Divide a session into its pianists' parts.

    Args:
        row: the video, with its description.
        edition: whose session it must be.
        competitors: the roster.

    Returns:
        The parts, or why there are none.
    """
    description = row.page.description if row.page else None
    if not description:
        return CutSession("a session without a description")
    duration_s = (row.page.duration_s if row.page else None) or row.duration_s
    session = read_session(description, duration_s=duration_s, default_composer=edition.composer)
    if not session.is_session:
        return CutSession(session.because)
    refused = [
        _refused(row, problem.line, problem.text, "block_refused", problem.reason)
        for problem in session.refused
    ]
    parser = TitleParser.for_edition(edition, competitors)
    frame = _title_without_people(row.title, competitors)
    found: list[tuple[SessionBlock, TitleMatch]] = []
    because = "no block names anybody of the roster"
    for block in session.blocks:
        name = _name_with_country(block)
        match = parser.parse(name, round_hint=row.round_hint or edition.rounds[0].id)
        if not isinstance(match, TitleMatch):
            detail = f"{match.reason}: {match.detail}"
            refused.append(_refused(row, block.line, name, "block_refused", detail))
            continue
        # The title must be what a recital's would be: of this edition, and of one round.
        titled = parser.parse(f"{frame} – {match.performer}", round_hint=row.round_hint)
        if not isinstance(titled, TitleMatch):
            because = f"its title is not one of this edition ({titled.reason}: {titled.detail})"
            refused.append(_refused(row, block.line, name, "block_refused", because))
            continue
        found.append((block, titled))
    named = len(session.blocks) + len(session.refused)
    if len(found) < max(1.0, KNOWN_SHARE * named):
        return CutSession(
            f"{len(found)} of {named} blocks can be used: {because}", (), tuple(refused)
        )
    times = Counter(match.performer for _, match in found)
    parts = []
    for block, match in found:
        if times[match.performer] > 1:
            detail = f"{match.performer} stands {times[match.performer]} times in the session"
            refused.append(_refused(row, block.line, block.name, "performer_twice", detail))
        else:
            parts.append(_part(row, block, match))
    return CutSession(f"{len(parts)} parts cut out of {named}", tuple(parts), tuple(refused))


def _part(row: ListedRow, block: SessionBlock, match: TitleMatch) -> SessionPart:
    """One pianist's part; its id holds the name as the results have it, which does not change."""
    entry = ListingEntry(
        recording_id=f"{row.recording_id}_{_name_in_id(match.performer)}",
        source_id=row.source_id,
        source_url=row.source_url,
        title=_name_with_country(block),
        duration_s=block.end_s - block.start_s if block.end_s is not None else None,
        round_hint=match.round_id,
        listed=row.listed,
    )
    items = tuple(
        replace(
            item,
            start_s=item.start_s - block.start_s if item.start_s is not None else None,
            end_s=item.end_s - block.start_s if item.end_s is not None else None,
        )
        for item in block.items
    )
    return SessionPart(
        entry, row.recording_id, block.start_s, block.end_s, items, tuple(block.problems)
    )


def _name_in_id(performer: str) -> str:
    """A name as a file name may hold it; one in another script, or a long one, by its hash too."""
    name = "-".join(words_of(performer))
    if PLAIN_NAME.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{re.sub('[^a-z0-9]+', '-', name)[:40]}-{digest}".lstrip("-")


def match_parts(
    parts: Sequence[SessionPart],
    whole: MatchedListing,
    edition: Edition,
    competitors: Sequence[Competitor],
) -> MatchedListing:
    """Match the parts like videos of their own, behind those that are.

    A performance that has a video of its own is not taken from a session as well: one performance
    must not count twice.
    """
    matched = match_listing([part.entry for part in parts], edition, competitors)
    taken = {(m.match.performer, m.match.round_id): m.entry.recording_id for m in whole.matched}
    kept: list[MatchedRecording] = []
    unmatched = list(matched.unmatched)
    for recording in matched.matched:
        key = (recording.match.performer, recording.match.round_id)
        first = taken.setdefault(key, recording.entry.recording_id)
        if first == recording.entry.recording_id:
            kept.append(recording)
            continue
        unmatched.append(
            UnmatchedRecording(
                recording_id=recording.entry.recording_id,
                source_id=recording.entry.source_id,
                source_url=recording.entry.source_url,
                title=recording.entry.title,
                reason="duplicate_of",
                detail=f"{first} is kept for {key[0]}, {key[1]}",
                candidates=((key[0], recording.match.score),),
                duplicate_of=first,
            )
        )
    return MatchedListing(tuple(kept), tuple(unmatched))


def _refused(
    row: ListedRow, line: int, title: str, reason: UnmatchedReason, detail: str
) -> UnmatchedRecording:
    return UnmatchedRecording(
        recording_id=f"{row.recording_id}_line{line}",
        source_id=row.source_id,
        source_url=row.source_url,
        title=title,
        reason=reason,
        detail=f"in the session {row.recording_id}: {detail}",
        candidates=(),
    )


def _name_with_country(block: SessionBlock) -> str:
    return f"{block.name} ({block.country})" if block.country else block.name


def _title_without_people(title: str, competitors: Sequence[Competitor]) -> str:
    """A session's title without what only a session's has: its number, its day, its people."""
    people = {
        word
        for competitor in competitors
        for spelling in (competitor.performer, *competitor.aliases)
        for word in words_of(spelling)
    }
    frame = SESSION_PHRASE.sub(" ", title)
    return WORD.sub(lambda found: "" if fold(found[0]) in people else found[0], frame)
