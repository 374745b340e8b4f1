"""Videos of several pianists: the block of each in the description.

What belongs here: where a pianist's part of a long video starts and ends, and what is played in it.
What does not: who of the roster a name means (`names`), and cutting the audio. A wall clock's time
is never a video's time. A wrong cut is far worse than none, so a block is refused wherever its
start or its end is in doubt, and the reason is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from data_collection.competition.programme import Programme, ProgrammeItem, assemble
from data_collection.competition.programme_lines import (
    MOST_CHARACTERS,
    Line,
    Problem,
    lines_of,
    read_entries,
)
from data_collection.competition.programme_stamps import StampedText, clock_of, read_stamp
from data_collection.repertoire.letters import plain, tokenise
from data_collection.repertoire.reading import read_wording
from data_collection.repertoire.words import COMPOSERS, GENRES, NOISE

FEWEST_BLOCKS = 2
MOST_NAME_WORDS = 6
_NAME_AND_COUNTRY = re.compile(
    r"(?P<name>[^\d\[\]{}]{3,70}?)\s*[(\[](?P<country>[^\d()\[\]]{2,70})[)\]]"
)
_BREAK = re.compile(
    r"\b(?:przerwa|break|intermission|interval|pause|entracte|intervallo|descanso|results|wyniki"
    r"|announcement|ogłoszenie|interviews?|wywiady?|end of (?:the )?session|koniec sesji)\b",
    re.IGNORECASE,
)
MOST_BREAK_WORDS = 4
"""A longer line of which one word is `break` is prose, unless it has a stamp."""


@dataclass(frozen=True)
class SessionBlock:
    """One pianist's part of a video.

    Attributes:
        name: as written, to be looked up in the roster.
        country: what stands in brackets behind it.
        clock: the wall clock's time as written; never a time in the video.
        start_s: the first stamp of the block.
        end_s: where the next block or a break starts, or the end of the video; None where that is
            not known.
        items: what is played, times in the video.
        problems: lines of the block that were refused.
        line: number of the line with the name.
    """

    name: str
    country: str | None
    clock: str | None
    start_s: float
    end_s: float | None
    items: tuple[ProgrammeItem, ...] = ()
    problems: tuple[Problem, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class Session:
    """What a description says of several pianists; `because` says why it is a session or not."""

    is_session: bool
    because: str
    blocks: tuple[SessionBlock, ...] = ()
    refused: tuple[Problem, ...] = ()
    not_understood: tuple[Problem, ...] = ()


@dataclass
class _Draft:
    """A block in the reading."""

    line: Line
    name: str | None = None
    country: str | None = None
    clock: str | None = None
    stamp: StampedText | None = None
    lines: list[Line] = field(default_factory=list)
    programme: Programme | None = None
    starts_s: list[float] = field(default_factory=list)
    doubt: str | None = None

    @property
    def is_break(self) -> bool:
        """Whether it is time between two pianists; with music in it, it is a block."""
        return (
            self.name is None
            and bool(_BREAK.search(" ".join(ln.text for ln in self.lines[:1])))
            and not (self.programme and self.programme.pieces)
        )


def read_session(
    description: str, *, duration_s: float | None, default_composer: str | None
) -> Session:
    """Read the blocks of a session.

    Args:
        description: the video's text.
        duration_s: how long the video is; None where that is not known.
        default_composer: whose works are meant where nobody is named.
    """
    lines, too_long = lines_of(description)
    if too_long:
        because = f"the description is longer than {MOST_CHARACTERS} characters"
        return Session(False, because)
    drafts = [draft for draft in _drafts(lines) if draft.name or draft.lines]
    names = sum(bool(draft.name) for draft in drafts)
    if names < FEWEST_BLOCKS:
        blocks_with = "block with" if names == 1 else "blocks with"
        return Session(False, f"{names} {blocks_with} a pianist's name: no session")
    for draft in drafts:
        _read_draft(draft, duration_s, default_composer)
    seen = [draft for draft in drafts if draft.starts_s or not draft.is_break]
    _doubt_order(seen)
    _doubt_ends(seen)
    pianists = [draft for draft in seen if not draft.is_break]
    refused = tuple(
        Problem(d.line.number, d.name or d.line.text, d.doubt) for d in pianists if d.doubt
    )
    blocks = tuple(
        _block(draft, following, duration_s, default_composer)
        for draft, following in zip(seen, [*seen[1:], None], strict=True)
        if not draft.doubt
    )
    unread = tuple(p for d in seen if d.programme for p in d.programme.not_understood)
    because = f"{len(pianists)} blocks, {len(blocks)} of them can be cut out"
    return Session(True, because, blocks, refused, unread)


def _drafts(lines: Sequence[Line]) -> list[_Draft]:
    """Part the lines: a clock's time or a name starts a block."""
    drafts: list[_Draft] = []
    for line in lines:
        clock = clock_of(line.text)
        rest = clock[1] if clock else line.text
        stamp = read_stamp(rest)
        name = _name_of(stamp.text, alone=_awaits_name(drafts, line) or clock is not None)
        if clock and (not rest or name or _BREAK.search(rest)):
            drafts.append(_Draft(line, clock=clock[0]))
            if not name and rest:
                drafts[-1].lines.append(Line(line.number, rest))
        if name:
            if not drafts or drafts[-1].name or drafts[-1].lines or not drafts[-1].clock:
                drafts.append(_Draft(line))
            draft = drafts[-1]
            draft.name, draft.country = name
            draft.line, draft.stamp = line, stamp if stamp.is_stamped else None
        elif not clock and drafts:
            if _is_break(stamp) and (drafts[-1].name or drafts[-1].lines):
                drafts.append(_Draft(line))
            drafts[-1].lines.append(line)
    return drafts


def _is_break(stamp: StampedText) -> bool:
    """Whether a line ends a pianist's block: `Przerwa / Intermission (1:02:03)`."""
    if not _BREAK.search(stamp.text):
        return False
    return stamp.is_stamped or len(tokenise(stamp.text)) <= MOST_BREAK_WORDS


def _awaits_name(drafts: Sequence[_Draft], line: Line) -> bool:
    """Whether the line above was a clock's time, so that a name may stand without a country."""
    return bool(drafts) and not drafts[-1].name and not drafts[-1].lines and bool(drafts[-1].clock)


def _name_of(text: str, *, alone: bool) -> tuple[str, str | None] | None:
    """Read `NAME (Kraj / Country)`; a name `alone` needs no country."""
    found = _NAME_AND_COUNTRY.fullmatch(text.strip(" \t:-–—*•"))
    if found and _is_name(found["name"]) and _is_country(found["country"]):
        return found["name"].strip(" \t:-–—,"), found["country"].strip()
    bare = text.strip(" \t:-–—*•")
    return (bare, None) if alone and _is_name(bare) and not _BREAK.search(bare) else None


def _is_name(text: str) -> bool:
    """Whether a text may be somebody's name: two to six words, none of them of music."""
    words = [token.word for token in tokenise(plain(text))]
    if not 2 <= len(words) <= MOST_NAME_WORDS or not all(word.isalpha() for word in words):
        return False
    telling = GENRES.keys() | NOISE - {"i", "he", "she", "you", "are"}
    if any(word in telling for word in words) or set(text) & set(":;!?/|@#"):
        return False
    if not any(len(word) > 1 for word in words) or COMPOSERS.get(words[-1]) == "chopin":
        return False
    return not read_wording(text, default_composer=None).pieces and _is_capitalised(text)


def _is_capitalised(text: str) -> bool:
    starts = [part[0] for part in re.split(r"[\s\-()]+", text) if part and part[0].isalpha()]
    return sum(not c.islower() for c in starts) * 2 >= len(starts)


def _is_country(text: str) -> bool:
    words = [token.word for token in tokenise(plain(text))]
    return bool(words) and not any(w in COMPOSERS or w in GENRES or w == "op" for w in words)


def _read_draft(draft: _Draft, duration_s: float | None, default_composer: str | None) -> None:
    """Find the stamps of a block, and doubt it where it has no name or no start."""
    entries = read_entries(draft.lines, default_composer=default_composer)
    stamps = ([draft.stamp] if draft.stamp else []) + [
        e.stamp for e in entries if e.stamp.is_stamped
    ]
    starts = [s.start_s for s in stamps if s.start_s is not None]
    draft.starts_s = starts
    draft.programme = assemble(entries, source="description", start_s=0.0, end_s=duration_s)
    if not draft.name:
        draft.doubt = "a block without a name"
    elif not stamps:
        draft.doubt = "no line of the block has a stamp, so where it starts is not known"
    elif stamps[0].start_s is None:
        draft.doubt = f"where it starts is not known: {stamps[0].bad}"
    elif starts[0] != min(starts):
        draft.doubt = "its stamps go backwards: its first is not the earliest"
    elif duration_s is not None and starts[0] >= duration_s:
        draft.doubt = f"it starts beyond the video's end at {duration_s:g} s"


def _doubt_order(drafts: Sequence[_Draft]) -> None:
    """Refuse blocks whose stamps go backwards against another block's."""
    latest = [-math.inf, *accumulate((max(d.starts_s, default=-math.inf) for d in drafts), max)]
    firsts = [min(d.starts_s, default=math.inf) for d in drafts]
    earliest = [*list(accumulate(reversed(firsts), min))[::-1], math.inf]
    for at, draft in enumerate(drafts):
        if not draft.starts_s or draft.doubt:
            continue
        if firsts[at] <= latest[at] or max(draft.starts_s) >= earliest[at + 1]:
            draft.doubt = "its stamps go backwards against another block's"


def _doubt_ends(drafts: Sequence[_Draft]) -> None:
    """Refuse a block where the next one's start is not known: it would hold another pianist."""
    unknown = [not d.starts_s or bool(d.doubt and d.name) for d in drafts]
    for draft, following, in_doubt in zip(drafts, drafts[1:], unknown[1:], strict=False):
        if in_doubt and not draft.doubt:
            who = following.name or "a block without a name"
            draft.doubt = f"where it ends is not known, for the start of the next ({who}) is not"


def _block(
    draft: _Draft, following: _Draft | None, duration_s: float | None, default_composer: str | None
) -> SessionBlock:
    start_s = draft.starts_s[0]
    ends = [following.starts_s[0] if following else None, duration_s]
    end_s = min((end for end in ends if end is not None), default=None)
    entries = read_entries(draft.lines, default_composer=default_composer)
    programme = assemble(entries, source="description", start_s=start_s, end_s=end_s)
    return SessionBlock(
        name=draft.name or "",
        country=draft.country,
        clock=draft.clock,
        start_s=start_s,
        end_s=end_s,
        items=programme.items,
        problems=programme.problems,
        line=draft.line.number,
    )
