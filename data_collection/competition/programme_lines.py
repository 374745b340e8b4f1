"""The lines of a description: which are works, movements, headings, boundaries, and which nothing.

What belongs here: one line after the other, and lines that belong together. What does not: when
each work is played (`programme`), and what a wording means (`repertoire`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

from data_collection.competition.programme_stamps import StampedText, read_stamp
from data_collection.repertoire.letters import plain, tokenise
from data_collection.repertoire.pieces import Piece
from data_collection.repertoire.reading import Reading, has_movements, read_wording
from data_collection.repertoire.words import COMPOSERS

MOST_CHARACTERS = 200_000
"""YouTube allows 5,000; more than this is no description, and what follows is not read."""
LONGEST_LINE = 600
MOST_UNEXPLAINED_IN_FORM = 3
"""So many where a stamp or a composer in capitals shows that it is of a programme; else none."""

Kind = Literal["work", "refused", "movement", "heading", "boundary", "detail", "other", "title"]
_LINK = re.compile(r"https?://|www\.|\b[\w-]+\.(?:com|org|net|pl|tv|be)\b|^\s*[#@]\w")
_LABEL = re.compile(
    r"^\s*(?:programme?|repertoire|repertuar|program recitalu|recital programme?|works|utwory)"
    r"\s*[:\-–—]\s*",
    re.IGNORECASE,
)
_BOUNDARY = re.compile(
    r"\b(?:start|intro|introduction|outro|end|koniec|applause|oklaski|brawa|applaus|beifall|przerwa"
    r"|break|intermission|interval|pause|tuning|strojenie|entrance|wejście|bows|ukłony|credits)\b",
    re.IGNORECASE,
)
FEWEST_MOVEMENTS = 3
_LATER_MOVEMENT = re.compile(r"\W*(?:scherzo|fin|trauer|march|marsz|larg|menu|minu)", re.IGNORECASE)
_LINE_BREAK = re.compile(r"\r\n|[\n\r\u2028\u2029\u0085]")


@dataclass(frozen=True)
class Line:
    """A line that is not blank, with its number from 1; `follows` tells that none is between."""

    number: int
    text: str
    follows: bool = False


@dataclass(frozen=True)
class Problem:
    """Something that was refused; never dropped silently."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """What a line says; `pieces` of a `work` are those that it names, in order.

    A `title` is a movement's, and it is not told which movement that is.
    """

    line: Line
    kind: Kind
    stamp: StampedText
    pieces: tuple[Piece, ...] = ()
    because: str = ""
    wording: str = ""

    @property
    def is_understood(self) -> bool:
        """Whether it is known what the line is for, if not for music: applause, a break."""
        if self.kind == "boundary":
            return bool(_BOUNDARY.search(self.line.text))
        return self.kind != "other"

    @property
    def has_movement(self) -> bool:
        """Whether it says itself which movement it is."""
        return self.kind == "movement" or any(piece.movement for piece in self.pieces)

    @property
    def has_piece(self) -> bool:
        """Whether it speaks of music that is played, understood or not."""
        return self.kind in ("work", "refused", "movement", "title")


def lines_of(description: str) -> tuple[list[Line], bool]:
    """Part a description into lines; the second value tells whether it was too long to be read."""
    cut = description[:MOST_CHARACTERS]
    lines: list[Line] = []
    blank = True
    for number, text in enumerate(_LINE_BREAK.split(cut), start=1):
        if text.strip():
            lines.append(Line(number, text.strip(), follows=not blank))
        blank = not text.strip()
    return lines, len(description) > MOST_CHARACTERS


def read_entries(lines: Iterable[Line], *, default_composer: str | None) -> list[Entry]:
    """Read lines in order; a composer's name on a line of its own counts for those that follow."""
    entries: list[Entry] = []
    composer = default_composer
    parent: tuple[Piece, ...] = ()
    titles: set[int] = set()
    for line in lines:
        entry, reading = _read_line(line, composer)
        if reading.is_title and entry.stamp.is_stamped and not entry.has_movement:
            titles.add(line.number)
        if entry.kind == "heading":
            composer, parent = reading.composer, ()
        elif entry.kind == "movement":
            entry = _movement(entry, reading, parent)
        elif entry.kind in ("work", "refused"):
            parent = entry.pieces
        entries.append(entry)
    return _without_headed(_in_two_languages(_titled(entries, titles), default_composer))


def _titled(entries: Sequence[Entry], titles: Set[int]) -> list[Entry]:
    """Count the stamped titles below a sonata's line: `Grave (0:20)`, `Scherzo (8:01)` and so on.

    They are counted only where they may be all of its movements; else none of them is told, for
    `Scherzo` below a sonata is no work of that kind.
    """
    counted = list(entries)
    at = 0
    while at < len(counted):
        below = _run_below(counted, at, titles)
        if below and len(counted[at].pieces) == 1 and has_movements(counted[at].pieces[0]):
            counted[at + 1 : at + 1 + len(below)] = _count(counted[at], below)
        at += 1 + len(below)
    return counted


def _run_below(entries: Sequence[Entry], at: int, titles: Set[int]) -> list[Entry]:
    if entries[at].kind != "work":
        return []
    below = (entries[position] for position in range(at + 1, len(entries)))
    return list(takewhile(lambda entry: entry.line.number in titles, below))


def _count(whole: Entry, titles: Sequence[Entry]) -> list[Entry]:
    starts_late = whole.stamp.start_s not in (None, titles[0].stamp.start_s)
    starts_inside = _LATER_MOVEMENT.match(titles[0].wording) is not None
    if len(titles) < FEWEST_MOVEMENTS or starts_late or starts_inside:
        because = "a movement's title, and not which movement"
        return [replace(entry, kind="title", pieces=(), because=because) for entry in titles]
    piece = whole.pieces[0]
    return [
        replace(entry, kind="movement", pieces=(piece.model_copy(update={"movement": str(n)}),))
        for n, entry in enumerate(titles, start=1)
    ]


def _read_line(line: Line, composer: str | None) -> tuple[Entry, Reading]:
    if len(line.text) > LONGEST_LINE:
        nothing = Reading(doubt="nothing", because=f"longer than {LONGEST_LINE} characters")
        return Entry(line, "other", StampedText(line.text[:80])), nothing
    stamp = read_stamp(line.text)
    wording = _LABEL.sub("", stamp.text)
    if _LINK.search(line.text):
        return Entry(line, "boundary" if stamp.start_s is not None else "other", stamp), Reading()
    reading = read_wording(wording, default_composer=composer)
    kind = _kind(stamp, reading)
    pieces = reading.pieces if kind == "work" else ()
    because = reading.because or f"too many unknown words: {', '.join(reading.unexplained[:5])}"
    return Entry(line, kind, stamp, pieces, because, wording), reading


def _kind(stamp: StampedText, reading: Reading) -> Kind:
    in_form = stamp.is_stamped or _is_led_by_composer(stamp.text)
    most = MOST_UNEXPLAINED_IN_FORM if in_form else 0
    if reading.pieces and len(reading.unexplained) <= most:
        return "work"
    if reading.pieces or reading.doubt in ("contradiction", "unclear"):
        clear = stamp.is_stamped or not reading.unexplained
        return "refused" if clear else "other"
    if reading.doubt == "noise":
        return "boundary" if stamp.is_stamped else "other"
    if reading.movements and (reading.is_tempo or not reading.unexplained):
        return "movement"
    if reading.composer and not reading.unexplained and not stamp.is_stamped:
        return "heading"
    if stamp.is_stamped:
        return "boundary"
    return "detail" if reading.is_tempo and not reading.unexplained else "other"


def _is_led_by_composer(text: str) -> bool:
    """Whether a composer in capitals stands before a title: `KAPUSTIN Eight Concert Etudes`."""
    words = tokenise(plain(text))
    leading = [token.word for token in takewhile(lambda token: token.written.isupper(), words)]
    return len(leading) < len(words) and not COMPOSERS.keys().isdisjoint(leading)


def _movement(entry: Entry, reading: Reading, parent: Sequence[Piece]) -> Entry:
    """Give a movement's line the work above it; without a stamp it is a detail of that work."""
    if not entry.stamp.is_stamped:
        return replace(entry, kind="detail")
    if len(parent) != 1 or parent[0].work.count("-no") > 1:
        because = "a movement, and no work above it tells of what"
        return replace(entry, kind="refused", because=because)
    numbers = sorted(set(reading.movements))
    label = f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    if numbers != list(range(numbers[0], numbers[-1] + 1)) or numbers[-1] > 20:
        return replace(entry, kind="refused", because="movements that do not follow each other")
    return replace(entry, pieces=(parent[0].model_copy(update={"movement": label}),))


def _without_headed(entries: Sequence[Entry]) -> list[Entry]:
    """Leave out a work's own line where its first movement starts with it or stamps itself."""
    kept: list[Entry] = []
    following: Entry | None = None
    for entry in reversed(entries):
        movement = following if following and following.kind == "movement" else None
        heads = entry.kind == "work" and movement is not None
        if movement and heads and entry.stamp.start_s in (None, movement.stamp.start_s):
            kept.append(replace(entry, kind="detail"))
        else:
            kept.append(entry)
        following = entry if entry.kind not in ("detail", "other") else following
    return kept[::-1]


def _in_two_languages(entries: Sequence[Entry], default_composer: str | None) -> list[Entry]:
    """Join a stamped line with its translation on the line above or, where that is how, below.

    Where the two lines contradict each other, the joined line is refused.
    """
    above = _joined(entries, default_composer, after=False)
    below = _joined(entries, default_composer, after=True)
    return below if len(_agreeing(below)) > len(_agreeing(above)) else above


def _agreeing(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if "\n" in entry.wording and entry.kind == "work"]


def _joined(entries: Sequence[Entry], default_composer: str | None, *, after: bool) -> list[Entry]:
    joined: list[Entry] = []
    at = 0
    while at < len(entries):
        pair = entries[at : at + 2]
        both = _join(pair[0], pair[1], default_composer, after=after) if len(pair) == 2 else None
        joined.append(both or entries[at])
        at += 2 if both else 1
    return joined


def _join(one: Entry, two: Entry, default_composer: str | None, *, after: bool) -> Entry | None:
    """Read two lines as one wording, where one has a stamp and the other follows without."""
    stamped, bare = (one, two) if after else (two, one)
    kinds = {one.kind, two.kind}
    both_stamped = one.stamp.is_stamped and one.stamp.start_s == two.stamp.start_s
    if not two.line.follows or not kinds <= {"work", "refused"}:
        return None
    if not both_stamped and (bare.stamp.is_stamped or not stamped.stamp.is_stamped):
        return None
    if not both_stamped and " / " in stamped.wording:
        return None
    wording = f"{one.wording}\n{two.wording}"
    reading = read_wording(wording, default_composer=default_composer)
    pieces = {piece.identity for piece in reading.pieces}
    if pieces and pieces in ({p.identity for p in one.pieces}, {p.identity for p in two.pieces}):
        return replace(stamped, kind="work", pieces=reading.pieces, wording=wording)
    if reading.pieces or both_stamped:
        return None
    because = f"its two languages differ: {reading.because}"
    return replace(stamped, kind="refused", pieces=(), because=because, wording=wording)
