"""Results in the `wikitable`s of a Wikipedia page in English, whatever their layout.

What belongs here: the reading of tables by their header words and headings: prizes, one table a
stage, or one table with a column a stage. What does not: any one page. Tables that are none of
these (jury, repertoire, special prizes) are passed over; a page with none at all is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from data_collection.competition.names import fold, word_set
from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.html import describe_page, page_origin
from data_collection.competition.sources.kept_answers import Page
from data_collection.competition.sources.statements import Mention, Statement, Words, merged
from data_collection.competition.sources.wording import (
    LONGEST_WORDS,
    NO_TEXT,
    UnknownWordError,
    plain_text,
    prize_number,
    says_withdrew,
)

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

Meaning = Literal["performer", "country", "prize", "stage", "outcome"]

PERFORMER_WORDS = word_set(
    "performer pianist pianists competitor competitors contestant contestants participant "
    "participants name winner winners laureate laureates recipient recipients finalist finalists "
    "semifinalist semifinalists artist awardee prizewinner prizewinners medalist medallist"
)
COUNTRY_WORDS = word_set("country countries nationality nation representing nat")
PRIZE_WORDS = word_set("prize prizes award awards")
RANK_WORDS = word_set("place rank ranking placing position")
STAGE_WORDS = word_set("stage round reached eliminated")
OUTCOME_WORDS = word_set("result results outcome progress status")
LAST_RANK = 12
"""A column of ranks beyond this one ranks a stage's competitors; it numbers no prizes."""
NO_PERFORMERS = re.compile(
    r"\b(?:jury|jurors?|judges?|schedule|timetable|repertoire|programmes?|special prizes?"
    r"|special awards?|voting|scores?|broadcast\w*|previous|past)\b"
)
"""Headings under which names are no competitors, or what is said of them is no result."""
OWN_ROUND = re.compile(r"\b(?:preliminar\w+|qualif\w+ rounds?|eliminations?)\b")
"""Headings of an event of its own, unless the edition has a round of that name."""
FOOTNOTE = re.compile(r"\[[^\[\]]{0,20}\]|[*†‡§¶#°^]+")
CODE = re.compile(r"\(([A-Z]{2,3})\)\s*$")
AFTER_NAME = re.compile(r"\s*[-–—,]\s*withdr\w+.*$", re.IGNORECASE)
LAST_BRACKET = re.compile(r"^(.*\S)\s*\(([^()]+)\)$")
TOOK_PART = re.compile(
    r"^(?:[✓✔☑●•○xyv+]+|yes|took part|played|performed|eliminated|(?:green )?(?:tick|check)"
    r"|\d{1,3}(?:[.,]\d+)?|.*\b(?:op|concerto|sonata)\b.*)$"
)
WENT_ON = re.compile(r"^(?:advanced|qualified|passed|q|promoted|through)$")
WAS_NOT_THERE = re.compile(
    r"^(?:|[-–—✗✘×☐]|no|n/?a|did not advance|not qualified|dnq|none|red (?:x|cross))$"
)
BETWEEN_NAMES = re.compile(r"\s+(?:and|&|/)\s+|\s*;\s*")
HIDDEN = "[style*='display:none'], [style*='display: none'], .sortkey, .flagicon, sup"
ORDINAL_ENDINGS = ("st", "nd", "rd", "th")
LONGEST_SPAN = 200
MOST_CELLS = 20_000
"""Of one table, with its spans laid out; a page may claim any span."""


@dataclass(slots=True)
class Cell:
    """A cell of a table, its spans laid out over the grid.

    Attributes:
        text: cleaned; footnotes, sort keys and flags are gone.
        lines: the same, split where the page breaks lines or lists items.
        images: alternative texts of its images, such as medals and ticks.
        flags: the countries whose flags it shows.
        is_header: whether it is a `th`.
        is_struck: whether its text is struck through.
    """

    text: str = ""
    lines: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    is_header: bool = False
    is_struck: bool = False


EMPTY = Cell()


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        number: among the page's wikitables, from 1.
        caption: its own.
        headings: headings above it, innermost first.
        header: texts of its columns, several header rows joined.
        rows: the others.
    """

    number: int
    caption: str
    headings: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        under = self.caption or next(iter(self.headings), "")
        return f"table {self.number}" + (f" ({under[:60]})" if under else "")


@dataclass
class _Columns:
    """Which columns of a table mean what.

    Attributes:
        meaning: the column of each.
        by_stage: columns named after a round.
        other_prizes: there is a column of prizes that are not numbered.
        bracket_is_country: names end with their country in brackets.
        second_line_is_country: names have their country on a second line.
    """

    meaning: dict[Meaning, int] = field(default_factory=dict)
    by_stage: dict[int, str] = field(default_factory=dict)
    other_prizes: bool = False
    bracket_is_country: bool = False
    second_line_is_country: bool = False


def read_wikipedia(page: Page, words: Words) -> tuple[Statement, ...]:
    """Read a page.

    Args:
        page: the page as fetched.
        words: how its words are read.

    Raises:
        SourceError: no table of it has competitors, or a word in one is not known; the message has
            what was looked for and where the page is kept.
    """
    from selectolax.lexbor import LexborHTMLParser

    there = words.at(page_origin(page))
    tree = LexborHTMLParser(page.text)
    tables = list(_tables(tree.css("h1, h2, h3, h4, h5, h6, table.wikitable")))
    mentions = [mention for table in tables for mention in _mentions(table, there)]
    if not mentions:
        raise SourceError(
            f"source {words.source}, {there.origin}: of {len(tables)} tables matching the selector "
            "'table.wikitable' none has a column for a performer (such as Name or Pianist) and "
            f"says of a round or a prize ({', '.join(words.stages.round_ids)}); "
            f"{describe_page(tree)}"
        )
    return merged(mentions, there)


def _tables(nodes: Sequence[LexborNode]) -> Iterator[Table]:
    """The page's tables in order, each with the headings above it."""
    headings: dict[int, str] = {}
    number = 0
    for node in nodes:
        if node.tag != "table":
            level = int((node.tag or "h6")[1])
            headings = {at: text for at, text in headings.items() if at < level}
            headings[level] = _heading(node)
            continue
        number += 1
        if len(node.css("table")) > 1:  # the first is itself; this one only holds others in place
            continue
        above = tuple(headings[at] for at in sorted(headings, reverse=True) if at > 1)
        yield _table(node, number, above)


def _heading(node: LexborNode) -> str:
    for link in node.css(".mw-editsection"):
        link.decompose()
    return plain_text(node.html or "")


def _table(node: LexborNode, number: int, headings: tuple[str, ...]) -> Table:
    caption = node.css_first("caption")
    grid = _grid(node)
    heads = 0
    while heads < len(grid) and all(c.is_header for c in grid[heads] if c is not EMPTY):
        heads += 1
    if heads == 0 or heads == len(grid):  # a header in bold, or only row headers
        heads = min(1, len(grid))
    width = max((len(row) for row in grid), default=0)
    header = tuple(
        " ".join(dict.fromkeys(row[at].text for row in grid[:heads] if at < len(row)))
        for at in range(width)
    )
    rows = tuple(tuple(row) + (EMPTY,) * (width - len(row)) for row in grid[heads:])
    text = plain_text(caption.html or "") if caption is not None else ""
    return Table(number, text, headings, header, rows)


def _grid(table: LexborNode) -> list[list[Cell]]:
    """Lay out the cells, those that span rows or columns as often as they span."""
    grid: list[list[Cell]] = []
    hanging: dict[int, tuple[Cell, int]] = {}
    cells = 0
    for row in _own_rows(table):
        line: list[Cell] = []
        for node in _children(row, ("td", "th")):
            _fill(line, hanging)
            cell = _cell(node)
            down = _span(node, "rowspan")
            for _ in range(_span(node, "colspan")):
                if down > 1:
                    hanging[len(line)] = (cell, down - 1)
                line.append(cell)
        _fill(line, hanging)
        if line:
            grid.append(line)
        cells += len(line)
        if cells > MOST_CELLS:
            break
    return grid


def _fill(line: list[Cell], hanging: dict[int, tuple[Cell, int]]) -> None:
    """Put what hangs down from the rows above where this row has come to."""
    while len(line) in hanging:
        at = len(line)
        cell, rows = hanging.pop(at)
        if rows > 1:
            hanging[at] = (cell, rows - 1)
        line.append(cell)


def _own_rows(table: LexborNode) -> Iterator[LexborNode]:
    for child in _children(table, ("thead", "tbody", "tfoot", "tr")):
        if child.tag == "tr":
            yield child
        else:
            yield from _children(child, ("tr",))


def _children(node: LexborNode, tags: Sequence[str]) -> Iterator[LexborNode]:
    return (child for child in node.iter() if child.tag in tags)


def _span(node: LexborNode, name: str) -> int:
    value = (node.attributes.get(name) or "1").strip()
    return min(max(int(value[:6]), 1), LONGEST_SPAN) if value.isdecimal() else 1


def _cell(node: LexborNode) -> Cell:
    from selectolax.lexbor import LexborHTMLParser

    inner = LexborHTMLParser(f"<div>{node.inner_html or ''}</div>")
    flags = _alternatives(inner.css(".flagicon img"), inner.css(".flagicon a[title]"))
    images = _alternatives(inner.css("img"), ())
    struck = inner.css_first("s, del, strike") is not None
    for element in inner.css(f"{NO_TEXT}, {HIDDEN}"):
        if element.tag != "sup" or element.text().strip() not in ORDINAL_ENDINGS:
            element.decompose()
    for element in inner.css("br, li, p, dd"):
        element.insert_before("\n")
        element.insert_after("\n")
    body = inner.body.text() if inner.body is not None else ""
    lines = tuple(
        text[:LONGEST_WORDS]
        for line in body.split("\n")
        if (text := _without_footnotes(plain_text(line)))
    )
    return Cell(
        " ".join(lines)[: 2 * LONGEST_WORDS], lines, images, flags, node.tag == "th", struck
    )


def _alternatives(images: Sequence[LexborNode], links: Sequence[LexborNode]) -> tuple[str, ...]:
    """What images show, by their alternative text, else by the title of their link."""
    shown = [image.attributes.get("alt") or "" for image in images]
    if not any(shown):
        shown = [link.attributes.get("title") or "" for link in links]
    return tuple(dict.fromkeys(text for alt in shown if (text := plain_text(alt)[:60])))


def _without_footnotes(text: str) -> str:
    return " ".join(FOOTNOTE.sub(" ", text).split()).strip(" ,;")


def _mentions(table: Table, words: Words) -> list[Mention]:
    """What a table says of performers; nothing where it is not about results."""
    columns = _columns(table, words)
    at = columns.meaning.get("performer")
    if at is None or _is_elsewhere(table, words):
        return []
    if columns.other_prizes and "prize" not in columns.meaning and not columns.by_stage:
        return []  # of special prizes, which anybody may win
    stage = words.stages.later(_stage_of(table, words), words.stages.named_in(table.header[at]))
    says = stage or columns.by_stage or {"prize", "stage", "outcome"} & set(columns.meaning)
    if not says and not _lists_participants(table):
        return []
    mentions: list[Mention] = []
    for number, row in enumerate(table.rows, start=1):
        where = f"{table.place}, row {number}"
        if not _is_no_row(row, row[at]):
            mentions += _row_mentions(row, columns, words, where, stage)
    return mentions


def _row_mentions(
    row: Sequence[Cell], columns: _Columns, words: Words, where: str, stage: str | None
) -> list[Mention]:
    """The performers of a row: one, or those who share a prize."""
    prize = _prize(row, columns, words)
    if isinstance(prize, UnknownWordError):
        if not columns.by_stage and not {"stage", "outcome"} & set(columns.meaning):
            return []  # a special prize among the others
        prize = None
    reached, withdrew = _reached(row, columns, words, where)
    if prize is None and (outcome := _outcome(row, columns, words)) is not None:
        prize = outcome
    names = row[columns.meaning["performer"]]
    people = _people(names, columns)
    countries = _countries(row, columns, len(people))
    found = []
    for line, country in zip(people, countries, strict=True):
        name, in_brackets = _name_and_country(line, names, columns)
        if not any(c.isalpha() for c in name) or _is_nobody(name):
            continue
        found.append(
            Mention(
                performer=words.name(name, where),
                where=where,
                country=words.country(country or in_brackets),
                stage=words.stages.later(reached, stage),
                prize=prize,
                withdrew=withdrew or says_withdrew(line) or names.is_struck,
                block=where.split(",")[0],
            )
        )
    return found


def _columns(table: Table, words: Words) -> _Columns:
    """Read the header: first what names performers, then a round, then the plain words."""
    columns = _Columns()
    meaning = columns.meaning
    for at, text in enumerate(table.header):
        stage = words.stages.named_in(text)
        tokens = set(re.findall(r"[^\W\d_]+", fold(text)))
        if tokens & PERFORMER_WORDS and "performer" not in meaning:
            meaning["performer"] = at
        elif tokens & (PRIZE_WORDS | RANK_WORDS):
            if "prize" not in meaning and _numbers_prizes(table, at, tokens, words):
                meaning["prize"] = at
            elif tokens & PRIZE_WORDS:
                columns.other_prizes = True
        elif stage is not None:
            columns.by_stage[at] = stage
        elif tokens & COUNTRY_WORDS:
            meaning.setdefault("country", at)
        elif tokens & STAGE_WORDS:
            meaning.setdefault("stage", at)
        elif tokens & OUTCOME_WORDS:
            meaning.setdefault("outcome", at)
    if "performer" in meaning:
        _read_second_parts(table, columns)
    return columns


def _read_second_parts(table: Table, columns: _Columns) -> None:
    """Whether names end with a country in brackets, or have one on a second line.

    It takes nearly all rows of a table to say so: a single bracket may be part of a name.
    """
    cells = [cell for row in table.rows if (cell := row[columns.meaning["performer"]]).text]
    if "country" in columns.meaning or len(cells) < 2:
        return
    lines = [line for cell in cells for line in cell.lines]
    bracketed = sum(LAST_BRACKET.match(line) is not None for line in lines)
    columns.bracket_is_country = bracketed >= 0.8 * len(lines)
    columns.second_line_is_country = all(len(cell.lines) == 2 for cell in cells) and any(
        len(cell.lines[1].split()) == 1 for cell in cells
    )


def _numbers_prizes(table: Table, at: int, tokens: set[str], words: Words) -> bool:
    """Whether a column numbers prizes, and is not one of special prizes or of a stage's ranks."""
    numbers = [number for row in table.rows if isinstance(number := _prize_in(row[at], words), int)]
    if not numbers or "special" in tokens:
        return False
    if tokens & PRIZE_WORDS:
        return True
    in_final = _stage_of(table, words) in (None, words.stages.round_ids[-1])
    ranks = [int(row[at].text) for row in table.rows if row[at].text.isdecimal()]
    return in_final and max(ranks, default=0) <= LAST_RANK


def _is_elsewhere(table: Table, words: Words) -> bool:
    """Whether a heading says that this is about something else, or about an earlier event."""
    for text in (table.caption, *table.headings):
        folded = fold(text)
        if NO_PERFORMERS.search(folded):
            return True
        if OWN_ROUND.search(folded) and words.stages.named_in(text) is None:
            return True
    return False


def _stage_of(table: Table, words: Words) -> str | None:
    """The round that the caption or the nearest heading names."""
    found = (words.stages.named_in(text) for text in (table.caption, *table.headings) if text)
    return next((stage for stage in found if stage is not None), None)


def _lists_participants(table: Table) -> bool:
    told = fold(" ".join((table.caption, *table.headings[:1])))
    return bool(re.search(r"\b(?:participants|competitors|contestants|pianists)\b", told))


def _prize(row: Sequence[Cell], columns: _Columns, words: Words) -> int | UnknownWordError | None:
    """The prize that a row's column says; the error where it is another kind of prize."""
    at = columns.meaning.get("prize")
    return None if at is None else _prize_in(row[at], words)


def _prize_in(cell: Cell, words: Words) -> int | UnknownWordError | None:
    """The prize of a cell by its text, else by the medal in it."""
    error: UnknownWordError | None = None
    for text in (cell.text, *cell.images):
        try:
            number = prize_number(text, words.prizes)
        except UnknownWordError as unknown:
            error = unknown
            continue
        if number is not None or text:
            return number
    return error


def _outcome(row: Sequence[Cell], columns: _Columns, words: Words) -> int | None:
    """The prize in a column such as `Result`, of prizes and rounds; a bare number is none."""
    at = columns.meaning.get("outcome")
    found = None if at is None else _prize_in(row[at], words)
    return found if at is not None and isinstance(found, int) and _has_words(row[at]) else None


def _has_words(cell: Cell) -> bool:
    return any(character.isalpha() for character in cell.text)


def _reached(
    row: Sequence[Cell], columns: _Columns, words: Words, where: str
) -> tuple[str | None, bool]:
    """The latest round by the row's own cells, and whether they say that the performer withdrew."""
    reached: str | None = None
    withdrew = False
    for at, stage in columns.by_stage.items():
        was_there, left = _took_part(row[at], stage, words, where)
        reached = words.stages.later(reached, was_there)
        withdrew = withdrew or left
    meanings: tuple[Meaning, ...] = ("stage", "outcome", "prize")
    for meaning in meanings:
        of_meaning = columns.meaning.get(meaning)
        if of_meaning is None:
            continue
        cell = row[of_meaning]
        withdrew = withdrew or says_withdrew(cell.text)
        if meaning == "stage" or (_has_words(cell) and not isinstance(_prize_in(cell, words), int)):
            reached = words.stages.later(reached, words.stages.named_in(cell.text))
    return reached, withdrew


def _took_part(cell: Cell, stage: str, words: Words, where: str) -> tuple[str | None, bool]:
    """The round that a cell of a round's column stands for, and whether it says `withdrew`."""
    text = fold(cell.text or " ".join(cell.images)).strip(" .")
    if says_withdrew(text):
        return stage, True
    if WAS_NOT_THERE.match(text):
        return None, False
    if WENT_ON.match(text):
        after = words.stages.round_ids.index(stage) + 1
        return words.stages.round_ids[min(after, len(words.stages.round_ids) - 1)], False
    if TOOK_PART.match(text) or not isinstance(_prize_in(cell, words), UnknownWordError):
        return stage, False
    raise words.error(
        where,
        f"{cell.text[:60]!r} in the column of {stage} says neither that one took part nor not",
    )


def _is_no_row(row: Sequence[Cell], names: Cell) -> bool:
    """A heading within the table: one cell over all columns, or nothing but headers."""
    return not names.text or (len(row) > 1 and all(cell is row[0] for cell in row))


def _people(names: Cell, columns: _Columns) -> list[str]:
    """The performers of a cell: one, or one a line where the lines are names of their own."""
    lines = [line for line in names.lines if not _is_note(line)]
    if columns.second_line_is_country:
        return lines[:1]
    if len(lines) > 1 and all(len(line.split()) > 1 for line in lines):
        return lines
    parts = BETWEEN_NAMES.split(names.text)
    return parts if len(parts) > 1 and all(len(p.split()) > 1 for p in parts) else [names.text]


def _is_note(line: str) -> bool:
    return line.startswith("(") and line.endswith(")")


def _is_nobody(name: str) -> bool:
    return bool(re.match(r"^(?:not awarded|none|no prize|vacant|tba|tbd|n/?a)\b", fold(name)))


def _name_and_country(line: str, cell: Cell, columns: _Columns) -> tuple[str, str | None]:
    """Take note and country off a name; a flag says the country where nothing else does."""
    name = line
    found = LAST_BRACKET.match(name)
    if found is not None and says_withdrew(found[2]):
        name = found[1]
        found = LAST_BRACKET.match(name)
    country = None
    if found is not None and (
        columns.bracket_is_country or CODE.search(name) or found[2] in cell.flags
    ):
        name, country = found[1], found[2]
    return AFTER_NAME.sub("", name), country


def _countries(row: Sequence[Cell], columns: _Columns, people: int) -> list[str | None]:
    """The country of each performer of a row, by its column, second line or flags."""
    names = row[columns.meaning["performer"]]
    at = columns.meaning.get("country")
    if at is not None:
        said = row[at].lines or row[at].flags or row[at].images
    else:
        said = names.lines[1:2] if columns.second_line_is_country else names.flags
    if people == 1:
        return ["/".join(said) or None]
    return list(said) if len(said) == people else [said[0] if len(said) == 1 else None] * people
