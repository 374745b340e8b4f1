"""What a recital's title carries beside name, round and piece, and what of it is harmless.

What belongs here: dates, parts, numbers of competitors, pianos, halls, orchestras with their
conductors, names in their own script. Each finder gives positions that it explains and leaves the
rest alone. What does not: whether a title is taken (`titles`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from data_collection.competition.countries import LANGUAGES
from data_collection.competition.names import CLOSING_BRACKETS, OPENING_BRACKETS, fold
from data_collection.competition.title_grammar import KNOWN_WORDS, ordinal
from data_collection.competition.title_tokens import Token, phrase_positions
from data_collection.competition.title_words import (
    AND_WORDS,
    ANY_ORCHESTRA,
    CARDINALS,
    CLOCK_WORDS,
    COMPETITION_WORDS,
    COMPETITOR_WORDS,
    CONDUCTOR_WORDS,
    CONDUCTORS,
    DAY_WORDS,
    NATIVE_GUARDS,
    ORCHESTRA_NEIGHBOURS,
    ORCHESTRA_WORDS,
    PART_WORDS,
    PIANO_MAKERS,
    PIANO_MODELS,
    ROUND_NOUNS,
    WITH_WORDS,
)

MOST_PARTS = 9
LATEST_COMPETITOR = 400
MOST_NATIVE_LETTERS = 8

_DAY = re.compile(r"(0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|er|a|o)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_DIGITS = re.compile(r"\d{1,2}")
_NATIVE = re.compile(r"[\u1100-\u11ff\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_TIME = re.compile(
    r"(?<![\w:])(?:[01]?\d|2[0-3])(?::[0-5]\d(?:\s?(?:am|pm|h))?|(?:\.[0-5]\d)?\s?(?:am|pm))"
    r"(?:\s?(?:cet|cest|cdt|ct|gmt|utc))?(?!\w|:\d)",
    re.IGNORECASE,
)
_IN_DATES = (".", "/", "-", "‐", "–")
_OF_DATE = frozenset(("of", "de"))


@dataclass(frozen=True)
class Line:
    """A title as the finders see it.

    `text` is the clean title, `people` the words of the roster's names, `named` the positions of
    the performer's name, `year` the edition's, `places` the phrases of where it takes place;
    `phases` is true where the edition does not number its rounds, so that `phase 2` is a part.
    """

    text: str
    tokens: Sequence[Token]
    named: Set[int]
    people: Set[str]
    year: int | None
    places: Sequence[tuple[str, ...]]
    phases: bool = False

    @property
    def words(self) -> list[str]:
        """The folded words."""
        return [token.word for token in self.tokens]

    def raw(self, at: int) -> str:
        """Give a word as it is written."""
        return self.text[self.tokens[at].start : self.tokens[at].end]

    def gap(self, at: int) -> str:
        """Give what stands before a word; nothing after the last."""
        if at >= len(self.tokens):
            return ""
        return self.text[self.tokens[at - 1].end if at else 0 : self.tokens[at].start]


@lru_cache(maxsize=1)
def _months_and_weekdays() -> tuple[frozenset[str], frozenset[str]]:
    """Names of months and weekdays, long and short, folded; from CLDR."""
    from babel import Locale  # its data is opened only where a title has words left over

    months: set[str] = set()
    weekdays: set[str] = set()
    for language in LANGUAGES:
        locale = Locale(language)
        for source, names in ((locale.months, months), (locale.days, weekdays)):
            for context in ("format", "stand-alone"):
                for width in ("wide", "abbreviated"):
                    names |= {fold(name).strip(".") for name in source[context][width].values()}
    return frozenset(months), frozenset(weekdays)


def dates(line: Line, free: Set[int]) -> frozenset[int]:
    """Positions of dates and times of day; a date of another year is not explained."""
    months, weekdays = _months_and_weekdays()
    found: set[int] = set()
    for at in sorted(free):
        found |= set(_written_date(line, at) if line.words[at] in months else ())
        found |= set(_number_date(line, at))
    spans = [match.span() for match in _TIME.finditer(line.text)]
    found |= {
        at
        for at, token in enumerate(line.tokens)
        if any(start <= token.start and token.end <= end for start, end in spans)
    }
    near = {at + step for at in found for step in (-2, -1, 1, 2)} & free
    return frozenset(found & free | {at for at in near if line.words[at] in weekdays | CLOCK_WORDS})


def _written_date(line: Line, at: int) -> Iterator[int]:
    """Read `3 October 2025`, `Oct. 3rd`, `October 2025` around the month's name."""
    words = line.words
    before, after, later = at - 1, at + 1, at + 2
    if before >= 1 and words[before] in _OF_DATE:
        before -= 1
    parted = line.tokens[at].after_break or (before >= 0 and line.tokens[before].numbered)
    day_first = before >= 0 and not parted and _DAY.fullmatch(words[before]) is not None
    if day_first and before >= 1 and words[before - 1] in ROUND_NOUNS:
        # In `Stage 3 October 2025` the number is the round's; in `third stage 3 October` not.
        day_first = before >= 2 and ordinal(words[before - 2]) is not None
    day_after = after < len(words) and _DAY.fullmatch(words[after]) is not None
    if day_first:
        yield from range(before, at + 1)
        later = after
    elif day_after:
        yield from (at, after)
    elif after < len(words) and _is_year(words[after], line.year):
        yield at
        later = after
    if later < len(words) and words[later] in _OF_DATE:
        later += 1
    if later < len(words) and _is_year(words[later], line.year):
        yield later


def _number_date(line: Line, at: int) -> Iterator[int]:
    """Read `3.10.2025`, `03/10/2025` and `2025-10-03`; the year decides."""
    three = line.words[at : at + 3]
    gaps = [line.gap(at + step) for step in (1, 2)]
    if len(three) < 3 or any(len(gap) > 2 or gap.strip() not in _IN_DATES for gap in gaps):
        return
    year_last = _DIGITS.fullmatch(three[0]) is not None
    year, others = (three[2], three[:2]) if year_last else (three[0], three[1:])
    if _is_year(year, line.year) and all(_DIGITS.fullmatch(w) and 0 < int(w) < 32 for w in others):
        yield from range(at, at + 3)


def _is_year(word: str, year: int | None) -> bool:
    return _YEAR.fullmatch(word) is not None and (year is None or word == str(year))


def parts(line: Line, free: Set[int]) -> frozenset[int]:
    """Positions of `part 1`, `cz. 2`, `part 2 of 3`, `(1/2)` and `day 3`."""
    words, found = line.words, set[int]()
    nouns = PART_WORDS | {"phase"} if line.phases else PART_WORDS
    for at in sorted(free):
        word, after = words[at], words[at + 1] if at + 1 < len(words) else ""
        counted = word in nouns or word in DAY_WORDS
        if counted and (number := _small(after)):
            found |= {at, at + 1, *_of_how_many(line, at + 2, number)}
        elif after and ((after in nouns and _counts_a_part(line, at)) or _is_fraction(line, at)):
            found |= {at, at + 1}
    return frozenset(found & free)


def _of_how_many(line: Line, at: int, number: int) -> range:
    """Positions of `of 3` or `/3` after `part 2`; none where there are fewer than that."""
    of_words = at < len(line.words) and line.words[at] in {"of", "z", "von", "sur", "de", "di"}
    total = at + 1 if of_words else at
    if total >= len(line.words) or not (of_words or line.gap(at).strip() == "/"):
        return range(0)
    return range(at, total + 1) if (_small(line.words[total]) or 0) >= number else range(0)


def _counts_a_part(line: Line, at: int) -> bool:
    """Whether a word is the `first` of `first part`, and not the number of a round before it."""
    before = line.words[at - 1] if at else ""
    together = line.tokens[at].segment == line.tokens[at + 1].segment
    return (
        ordinal(line.words[at]) in range(1, MOST_PARTS) and together and before not in ROUND_NOUNS
    )


def _small(word: str) -> int | None:
    number = ordinal(CARDINALS.get(word, word))
    return number if number and number <= 2 * MOST_PARTS else None


def _is_fraction(line: Line, at: int) -> bool:
    """Whether `1/2` stands alone in brackets; `1/8 final` does not."""
    if at + 1 >= len(line.tokens) or line.gap(at + 1) != "/":
        return False
    end = line.text[line.tokens[at + 1].end :].lstrip()
    opened, closed = line.gap(at).rstrip()[-1:], end[:1]
    bracketed = opened and closed and opened in OPENING_BRACKETS and closed in CLOSING_BRACKETS
    first, last = _small(line.words[at]), _small(line.words[at + 1])
    return bool(bracketed) and first is not None and last is not None and first <= last


def competitor_numbers(line: Line, free: Set[int]) -> frozenset[int]:
    """Positions of `#17`, `No. 17` and `competitor 17`, where no work is counted."""
    words, found = line.words, set[int]()
    for at in sorted(free):
        if not words[at].isdigit() or int(words[at]) > LATEST_COMPETITOR:
            continue
        start = at
        while start - 1 in free and words[start - 1] in COMPETITOR_WORDS:
            start -= 1
        first = at == 0 and 1 in line.named and line.gap(1).startswith(".")
        if start < at or line.tokens[at].numbered or first:
            found |= set(range(start, at + 1))
    return frozenset(found)


def pianos(line: Line, free: Set[int]) -> frozenset[int]:
    """Positions of a piano's maker and model; `Steinway Competition` and its like are none."""
    tokens, words, found = line.tokens, line.words, set[int]()
    contest = COMPETITION_WORDS - {"piano"}
    for at in sorted(free):
        if words[at] not in PIANO_MAKERS:
            continue
        end = at + 1
        while end in free and (words[end] in PIANO_MODELS or words[end] in {"&", "and", "piano"}):
            end += 1
        while words[end - 1] in {"&", "and"}:
            end -= 1
        before = words[at - 1] if at and not tokens[at].after_break else ""
        after = words[end] if end < len(words) and not tokens[end].after_break else ""
        if contest.isdisjoint((before, after)):
            found |= set(range(at, end))
            found |= {at - 1} if at - 1 in free and words[at - 1] in {"on", "na"} else set()
    return frozenset(found)


def places(line: Line, free: Set[int]) -> frozenset[int]:
    """Positions of where the competition takes place, with `in` and `at` before them."""
    words, found = line.words, set[int]()
    for phrase in line.places:
        if phrase[0] in words:
            found |= phrase_positions(words, phrase) & free
    before = {at - 1 for at in found if at - 1 in free and words[at - 1] in {"in", "at", "w"}}
    return frozenset(found | before)


def orchestras(line: Line, free: Set[int]) -> frozenset[int]:
    """Positions of an orchestra with what names it, and of a conductor beside it.

    A conductor is a known one, or two or three capitalised words that nothing else explains, of
    nobody on the roster, after `cond.`, `dyr.`, `conducted by`, or after the orchestra and `/`, a
    comma or `&`. Elsewhere somebody unknown may be another soloist.
    """
    words, found = line.words, set[int]()
    for at in sorted(free):
        if words[at] in ORCHESTRA_WORDS and at not in found:
            found |= _orchestra(line, free, at)
    for conductor in CONDUCTORS:
        if conductor[0] in words:
            named = phrase_positions(words, conductor) & free
            joining = AND_WORDS | WITH_WORDS
            links = {at - 1 for at in named if at - 1 in free and words[at - 1] in joining}
            found |= named | links
    for at in sorted(free - found):
        if words[at] in CONDUCTOR_WORDS:
            found |= _credited(line, free, found, at)
    for at in sorted(found):
        if at + 1 not in found and words[at] in ORCHESTRA_WORDS:
            found |= _after_orchestra(line, free - found, at + 1)
    return frozenset(found)


def _orchestra(line: Line, free: Set[int], at: int) -> set[int]:
    """Positions of an orchestra's whole name around one of its words, `with the` included."""
    tokens, words = line.tokens, line.words
    of_places = {word for place in line.places for word in place} - WITH_WORDS
    known = ORCHESTRA_WORDS | ORCHESTRA_NEIGHBOURS | of_places

    def joined(right: int) -> bool:
        same = tokens[right].segment == tokens[right - 1].segment
        return {right - 1, right} <= free and same and not tokens[right].after_break

    start = end = at
    while end + 1 < len(words) and joined(end + 1) and words[end + 1] in known | {"hall"}:
        end += 1
    while start and joined(start) and words[start - 1] in known:
        start -= 1
    # `Eric Lu Thanks Warsaw Philharmonic`: strange words count only where a phrase begins.
    most = 2 if words[start] in ORCHESTRA_WORDS and end > start else 1
    first = start
    while start - first < most and first and joined(first) and _like_a_name(line, first - 1):
        first -= 1
    begins = not first or not joined(first) or words[first - 1] in WITH_WORDS
    goes_on = first - 1 in line.named and tokens[first].segment == tokens[first - 1].segment
    start = first if begins and not goes_on else start
    if start == end and words[at] in ANY_ORCHESTRA and start and not tokens[start].after_break:
        return set()
    while start and joined(start) and words[start - 1] in WITH_WORDS:
        start -= 1
    return set(range(start, end + 1))


def _like_a_name(line: Line, at: int) -> bool:
    word, raw = line.tokens[at].word, line.raw(at)
    known = word in KNOWN_WORDS | line.people | CONDUCTOR_WORDS | WITH_WORDS
    return raw[0].isupper() and word.isalpha() and not known and not line.tokens[at].tagged


def _after_orchestra(line: Line, free: Set[int], at: int) -> set[int]:
    """Positions of `/ Jane Roe`, `& Jane Roe` right after an orchestra."""
    linked = {at} if at in free and line.words[at] in AND_WORDS else set()
    name = _name_from(line, free, at + len(linked))
    introduced = bool(linked) or line.gap(at).strip() in ("/", ",", "(")
    return linked | name if name and introduced else set()


def _credited(line: Line, free: Set[int], credited: Set[int], at: int) -> set[int]:
    """Positions of `cond. Jane Roe`, `conducted by Jane Roe`, `Jane Roe, conductor`, or none."""
    after = at + 1
    while after in free and line.words[after] in {"by", "of"} | CONDUCTOR_WORDS:
        after += 1
    named = _name_from(line, free - credited, after)
    if not named:
        for start in (at - 3, at - 2):
            named = named or {p for p in _name_from(line, free - credited, start) if p < at}
            named = named if named and max(named) == at - 1 else set()
    beside_known = {at - 1, after} & credited
    return {*range(at, after), *named} if named or beside_known else set()


def _name_from(line: Line, free: Set[int], start: int) -> set[int]:
    """Positions of two or three words that look like a name; none where something precedes it."""
    if start < 0 or start >= len(line.tokens):
        return set()
    before = line.words[start - 1] if start else ""
    begins = not start or line.gap(start).strip() or before in AND_WORDS | CONDUCTOR_WORDS | {"by"}
    name: list[int] = []
    for at in range(start, min(start + 3, len(line.tokens))):
        if at not in free or not _like_a_name(line, at) or (name and line.tokens[at].after_break):
            break
        name.append(at)
    return set(name) if begins and len(name) > 1 else set()


def native_names(line: Line, free: Set[int]) -> frozenset[int]:
    """Positions of a name in Chinese, Japanese or Korean script right beside the same in Latin."""
    found: set[int] = set()
    for edge, step in ((min(line.named, default=0) - 1, -1), (max(line.named, default=-2) + 1, 1)):
        run: list[int] = []
        while edge in free and _NATIVE.fullmatch(line.raw(edge)):
            run.append(edge)
            edge += step
        letters = "".join(line.raw(at) for at in run)
        guarded = any(guard in letters for guard in NATIVE_GUARDS)
        found |= set(run) if len(letters) <= MOST_NATIVE_LETTERS and not guarded else set()
    return frozenset(found)


Finder = Callable[[Line, Set[int]], frozenset[int]]
BEFORE_ROUNDS: Sequence[Finder] = (dates, parts)
AFTER_PIECES: Sequence[Finder] = (native_names, competitor_numbers, pianos, orchestras, places)
