"""Which work is played when in a recording: from its description, its chapters or its title.

What belongs here: the programme, its times, and which source of one is taken. What does not: lines
(`programme_lines`), files that a person wrote (`programme_overrides`), and videos of several
pianists (`programme_sessions`). Text in, data out. What is refused is a problem with its line, text
and reason; a wrong work is far worse than none.

A stamp is in order if no stamp before it is later and none after it is earlier. An item has times
only if its own stamp is in order and what ends it is known: its own end, the next line's stamp in
order, or the end of the recording. A work without a stamp stands somewhere in between, so the one
before it has no times either.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

from data_collection.competition.programme_lines import (
    MOST_CHARACTERS,
    Entry,
    Line,
    Problem,
    lines_of,
    read_entries,
)
from data_collection.competition.programme_stamps import StampedText
from data_collection.repertoire.pieces import Piece
from data_collection.repertoire.reading import read_pieces

__all__ = [
    "Problem",
    "Programme",
    "ProgrammeChoice",
    "ProgrammeItem",
    "ProgrammeSource",
    "choose_programme",
    "piece_of",
    "programme_from_chapters",
    "programme_from_title",
    "read_programme",
]

ProgrammeSource = Literal["override", "description", "chapters", "title"]


@dataclass(frozen=True)
class ProgrammeItem:
    """A stretch of a recording.

    Attributes:
        piece: what is played; None where it is not music, not understood, or several pieces.
        wording: as it is written.
        start_s: where it starts in the recording; None where that is not known.
        end_s: where it ends; None where that is not known.
        pieces: all that is named, where one line names several.
    """

    piece: Piece | None
    wording: str
    start_s: float | None = None
    end_s: float | None = None
    pieces: tuple[Piece, ...] = ()

    @property
    def is_timed(self) -> bool:
        """Whether it is known from when to when it lasts."""
        return self.start_s is not None and self.end_s is not None


@dataclass(frozen=True)
class Programme:
    """What is played in a recording, as one source tells.

    `not_understood` are lines that say nothing about music; `problems` are those that seem to and
    were refused.
    """

    source: ProgrammeSource
    items: tuple[ProgrammeItem, ...] = ()
    not_understood: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All pieces, timed or not, each once."""
        named = [piece for item in self.items for piece in item.pieces]
        return tuple({piece.identity: piece for piece in named}.values())

    @property
    def timed(self) -> tuple[ProgrammeItem, ...]:
        """Items with one piece and with times."""
        return tuple(item for item in self.items if item.piece and item.is_timed)


@dataclass(frozen=True)
class ProgrammeChoice:
    """The programme that is taken, or why there is none."""

    programme: Programme | None
    because: str


def read_programme(
    description: str, *, default_composer: str | None, duration_s: float | None
) -> Programme:
    """Read the programme in a description.

    Args:
        description: the video's text, of any length and with anything in it.
        default_composer: whose works are meant where nobody is named, such as `chopin`.
        duration_s: how long the recording is; None where that is not known.

    Returns:
        The items in the text's order; works without any stamp are items without times, and a work
        that is alone lasts as long as the recording.
    """
    lines, too_long = lines_of(description)
    entries = read_entries(lines, default_composer=default_composer)
    programme = assemble(entries, source="description", start_s=0.0, end_s=duration_s)
    return _cut_off(programme) if too_long else programme


def _cut_off(programme: Programme) -> Programme:
    """Forget when the last item ends, for what comes after it was not read."""
    reason = f"the description is longer than {MOST_CHARACTERS} characters; the rest was not read"
    items = programme.items
    if items:
        items = (*items[:-1], replace(items[-1], start_s=None, end_s=None))
    return replace(programme, items=items, problems=(*programme.problems, Problem(0, "", reason)))


def programme_from_chapters(
    chapters: Sequence[Mapping[str, object]] | None,
    *,
    default_composer: str | None,
    duration_s: float | None,
) -> Programme:
    """Read yt-dlp's chapters: `start_time`, `end_time` in seconds and `title`."""
    lines = [Line(n, str(c.get("title") or "")) for n, c in enumerate(chapters or (), start=1)]
    read = read_entries(
        [replace(line, text=line.text or "-") for line in lines], default_composer=default_composer
    )
    by_line = {entry.line.number: entry for entry in read}
    entries = []
    for line, chapter in zip(lines, chapters or (), strict=True):
        entry = by_line[line.number]
        entries.append(_as_chapter(entry, chapter))
    return assemble(entries, source="chapters", start_s=0.0, end_s=duration_s)


def _as_chapter(entry: Entry, chapter: Mapping[str, object]) -> Entry:
    start_s, end_s = _time(chapter.get("start_time")), _time(chapter.get("end_time"))
    if start_s is None or (end_s is not None and end_s <= start_s):
        stamp = StampedText(entry.stamp.text, bad="the chapter has no start")
    else:
        stamp = StampedText(entry.stamp.text, start_s, end_s)
    kind = entry.kind if entry.has_piece else "boundary"
    return replace(entry, stamp=stamp, kind=kind)


def _time(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def programme_from_title(
    wording: str | None, *, default_composer: str | None, duration_s: float | None
) -> Programme:
    """Take the one work that a title names for the whole recording."""
    pieces = read_pieces(wording or "", default_composer=default_composer)
    if len(pieces) != 1:
        problem = Problem(1, wording or "", "the title names no work, or several")
        return Programme(source="title", problems=(problem,) if wording else ())
    item = ProgrammeItem(pieces[0], wording or "", 0.0, duration_s, pieces)
    return Programme(source="title", items=(item,))


def choose_programme(
    *,
    override: Programme | None = None,
    description: Programme | None = None,
    chapters: Programme | None = None,
    title: Programme | None = None,
) -> ProgrammeChoice:
    """Take the first source that tells when a work is played, else the first that names works.

    An override is taken whatever it says. A title counts for a whole recording, so it is not taken
    where another source names other works.
    """
    if override is not None:
        return ProgrammeChoice(override, "a person wrote it down")
    named = [p for p in (description, chapters, title) if p is not None and p.pieces]
    if not named:
        seen = [p.source for p in (description, chapters, title) if p is not None]
        return ProgrammeChoice(None, f"no work is named in {', '.join(seen) or 'any source'}")
    best = next((p for p in named if p.timed), None)
    if best is None:
        return ProgrammeChoice(named[0], f"{_the(named[0], 'names')} works, but not when")
    others = [p for p in named if p is not best]
    if best.source == "title" and any(p.pieces != best.pieces for p in others):
        return ProgrammeChoice(others[0], f"{_the(others[0], 'names')} other works than the title")
    if _whole(best) and title in others and title is not None and title.pieces != best.pieces:
        because = f"{_the(best, 'names')} {best.pieces[0].work}, the title {title.pieces[0].work}"
        return ProgrammeChoice(None, because)
    return ProgrammeChoice(best, f"{_the(best, 'says')} what is played when")


def _the(programme: Programme, verb: str) -> str:
    """Write `the title says`, `the chapters say`."""
    return (
        f"the {programme.source} {verb.removesuffix('s') if programme.source[-1] == 's' else verb}"
    )


def _whole(programme: Programme) -> bool:
    return len(programme.items) == 1 and programme.items[0].start_s == 0.0


def piece_of(
    programme: Programme, start_s: float, end_s: float
) -> tuple[ProgrammeItem | None, float]:
    """Find the item that covers most of a segment.

    Returns:
        The item, which may be none of music, and the share of the segment it covers; None and 0
        where none covers any of it.
    """
    length_s = end_s - start_s
    if length_s <= 0:
        return None, 0.0
    covered = [
        (min(end_s, item.end_s) - max(start_s, item.start_s), item)
        for item in programme.items
        if item.start_s is not None and item.end_s is not None
    ]
    most_s, item = max(covered, key=lambda pair: pair[0], default=(0.0, None))
    return (item, most_s / length_s) if item is not None and most_s > 0 else (None, 0.0)


def assemble(
    entries: Sequence[Entry], *, source: ProgrammeSource, start_s: float, end_s: float | None
) -> Programme:
    """Give entries their times.

    Args:
        entries: lines as they were read.
        source: where they come from.
        start_s: before this no stamp counts.
        end_s: after this no stamp counts, and the last item ends there; None where not known.
    """
    placed = _placed(entries)
    stamps, problems = _starts(placed, start_s, end_s)
    problems += [
        Problem(e.line.number, e.line.text, e.because)
        for e in entries
        if e.kind in ("refused", "title")
    ]
    alone = len(placed) == 1 and placed[0].kind == "work" and not placed[0].stamp.is_stamped
    items = []
    for at, entry in enumerate(placed):
        times = (start_s, end_s) if alone else _times(placed, stamps, at, end_s)
        if times is None and entry.stamp.start_s is not None and stamps[at] is not None:
            reason = "when it ends is not known, for what follows has no stamp that can be trusted"
            problems.append(Problem(entry.line.number, entry.line.text, reason))
        items.append(_item(entry, times))
    unread = tuple(
        Problem(e.line.number, e.line.text, e.because or "says nothing about a work")
        for e in entries
        if not e.is_understood
    )
    return Programme(source, tuple(items), unread, tuple(sorted(problems, key=lambda p: p.line)))


def _item(entry: Entry, times: tuple[float, float | None] | None) -> ProgrammeItem:
    piece = entry.pieces[0] if len(entry.pieces) == 1 else None
    start_s, end_s = times or (None, None)
    return ProgrammeItem(piece, entry.wording or entry.stamp.text, start_s, end_s, entry.pieces)


def _placed(entries: Sequence[Entry]) -> list[Entry]:
    """Keep what takes time: works and everything stamped, each once.

    A work that is named without a stamp and again with one, as in a headline, is not played twice;
    a `Start` with the stamp of the first work is not a thing of its own.
    """
    stamped = {
        p.identity for e in entries if e.stamp.is_stamped and e.kind == "work" for p in e.pieces
    }
    works_at = {e.stamp.start_s for e in entries if e.has_piece and e.stamp.start_s is not None}
    placed: list[Entry] = []
    unstamped: set[tuple[object, ...]] = set()
    for entry in entries:
        named = {piece.identity for piece in entry.pieces}
        if not (entry.stamp.is_stamped or entry.has_piece) or entry.kind == "detail":
            continue
        if entry.kind == "boundary" and entry.stamp.start_s in works_at:
            continue
        if not entry.stamp.is_stamped and named:
            if named <= stamped or named <= unstamped:
                continue
            unstamped |= named
        placed.append(entry)
    return placed


def _starts(
    placed: Sequence[Entry], start_s: float, end_s: float | None
) -> tuple[list[float | None], list[Problem]]:
    """The stamps that can be trusted, and a problem for each that cannot."""
    problems: list[Problem] = []
    stamps: list[float | None] = []
    for entry in placed:
        at_s = entry.stamp.start_s
        reason = entry.stamp.bad
        if at_s is not None and (at_s < start_s or (end_s is not None and at_s >= end_s)):
            at_s, reason = (
                None,
                f"its stamp lies beyond the recording's end at {end_s:g} s" if end_s else "",
            )
        stamps.append(at_s)
        if reason:
            problems.append(Problem(entry.line.number, entry.line.text, reason))
    known = [-math.inf if s is None else s for s in stamps]
    latest = [-math.inf, *accumulate(known, max)]
    backwards = accumulate((math.inf if s is None else s for s in reversed(stamps)), min)
    earliest = [*list(backwards)[::-1], math.inf]
    for at, (entry, stamp) in enumerate(zip(placed, list(stamps), strict=True)):
        if stamp is not None and (latest[at] > stamp or earliest[at + 1] < stamp):
            stamps[at] = None
            reason = "its stamp is out of order with others, so it is not known when it is played"
            problems.append(Problem(entry.line.number, entry.line.text, reason))
    times = Counter(stamps)
    for at, stamp in enumerate(stamps):
        if stamp is not None and times[stamp] > 1:
            reason = "another line has the same stamp"
            problems.append(Problem(placed[at].line.number, placed[at].line.text, reason))
    return stamps, problems


def _times(
    placed: Sequence[Entry], stamps: Sequence[float | None], at: int, end_s: float | None
) -> tuple[float, float | None] | None:
    """From when to when an entry lasts; stamps in order that are equal stand side by side."""
    start = stamps[at]
    is_last = at == len(placed) - 1
    if start is None or start in stamps[max(0, at - 1) : at] or start in stamps[at + 1 : at + 2]:
        return None
    following = None if is_last else stamps[at + 1]
    own_end = placed[at].stamp.end_s
    if own_end is not None:
        limit = end_s if following is None else following
        slack = 1.0 if is_last else 0.0
        fits = limit is None or own_end <= limit + slack
        return (start, own_end if limit is None else min(own_end, limit)) if fits else None
    if is_last:
        return start, end_s
    return None if following is None else (start, following)
