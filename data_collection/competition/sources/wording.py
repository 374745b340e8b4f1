"""What the words of a source mean: names as plain text, round words as ids, prize words as numbers.

What belongs here: pure functions on single words and cells. What does not: where on a page they
stand (`html`, `wikipedia`, `cms`, `table_file`) and whether two names are one person (`people`).
A word that is not understood is an error, never a guess: a wrong place is worse than none.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from data_collection.competition.names import fold, word_set

LONGEST_NAME = 120
"""Letters; what is longer is a sentence, not a name."""
LONGEST_WORDS = 400
"""Of a heading or a cell; what comes after is prose and names nothing."""
MOST_PRIZES = 20
"""A larger number is a rank, a year or an amount."""
NO_TEXT = "script, style, template, noscript, iframe, object, svg"
"""Elements whose content is nothing that a reader sees."""
ROUND_NOUNS = word_set(
    "stage stages round rounds etap etapy etapu runde tour phase turno prova eliminatoire"
)
FILLERS = word_set(
    "the of in to a an and reached admitted qualified qualifiers competitor competitors "
    "participant participants contestant contestants pianist pianists result results list only "
    "for after"
)


def _by_word(words_of: Mapping[str, str]) -> dict[str, str]:
    """Turn meanings with their spellings into spellings with their meaning."""
    return {word: meaning for meaning, words in words_of.items() for word in word_set(words)}


_ORDINALS = _by_word(
    {
        "1": "1st i first one pierwszy pierwsza pierwszego erste premier primo",
        "2": "2nd ii second two drugi druga drugiego zweite deuxieme secondo",
        "3": "3rd iii third three trzeci trzecia trzeciego dritte troisieme",
        "4": "4th iv fourth four czwarty czwarta vierte quatrieme",
        "5": "5th v fifth five piaty piata funfte cinquieme",
        "6": "6th vi sixth six szosty szosta sechste sixieme",
        "7": "7th vii seventh seven",
        "8": "8th viii eighth eight",
        **{str(number): f"{number}th" for number in range(9, 21)},
    }
)
_STAGE_WORDS = _by_word(
    {
        "final": "finals finale finalist finalists finaly finalowy finalisci",
        "semifinal": "semifinals semifinalist semifinalists polfinal polfinaly halbfinale",
        "quarterfinal": "quarterfinals quarterfinalist quarterfinalists",
        "preliminary": "preliminaries prelim prelims",
    }
)
_MEDALS = {"gold": "1", "silver": "2", "bronze": "3", "zloty": "1", "srebrny": "2", "brazowy": "3"}
_PRIZE_NOUNS = word_set(
    "prize prizes place places award awards medal medals medalist medalists medallist medallists "
    "nagroda nagrody miejsce laureate laureat winner winners ex aequo joint jointly tied tie "
    "shared equal the of and s t us"
)
_NO_PRIZE = word_set(
    "finalist finalists semifinalist semifinal final quarterfinalist quarterfinal participant "
    "none no not awarded honourable honorable mention mentions hm distinction distinctions "
    "wyroznienie wyroznienia diploma diplomas eliminated f n a did advance qualify null 0"
)
_WORD = re.compile(r"\d+(?:st|nd|rd|th)\b|\d+|[^\W\d_]+")
_SPLIT_FINAL = re.compile(r"\b(semi|quarter|pre|cwierc|pol)[\s\-‐‑–]+(?=final)")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_MONEY = re.compile(
    r"(?:us)?[€$£]\s*\d[\d.,\s]*|\d[\d.,\s]*(?:€|\$|£|eur\b|euros?\b|usd\b|pln\b|zl\b)"
)
_WITHDREW = re.compile(
    r"\b(?:withdr[ae]w\w*|resigned|retired|wycofal\w*|zrezygnowal\w*"
    r"|did not (?:play|perform|appear|start)|dn[sp]|wd)\b|\bw/d\b"
)
_YES = frozenset({"1", "true", "yes", "y", "tak", "x"})
_NO = frozenset({"", "0", "false", "no", "n", "nie", "-", "–", "—"})
_BIDI_AND_INVISIBLE = dict.fromkeys(
    [0x061C, 0x00AD, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F),
     *range(0x2060, 0x206A)]
)  # fmt: skip


class UnknownWordError(ValueError):
    """A word whose meaning nobody stated; the message quotes it."""


class RoundNames(Protocol):
    """What of a round is needed here."""

    @property
    def id(self) -> str:
        """The edition's id of it."""
        ...

    @property
    def title_words(self) -> tuple[str, ...]:
        """What titles call it."""
        ...


def plain_text(raw: str) -> str:
    """Make one line of text of what a source gave: no tags, scripts or invisible characters.

    Markup within a name is dropped with what scripts and styles hold. The result is text: whoever
    puts it into a page has to escape it there.
    """
    text = raw
    for _ in range(3):  # markup may be escaped once or twice
        if "<" in text:
            text = _without_tags(text)
        unescaped = html.unescape(text)
        if unescaped == text:
            break
        text = unescaped
    visible = text.translate(_BIDI_AND_INVISIBLE)
    plain = "".join(
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c
        for c in visible
        if unicodedata.category(c) not in ("Cs", "Co", "Cn")
    )
    return unicodedata.normalize("NFC", " ".join(plain.split()))


def _without_tags(text: str) -> str:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    for element in tree.css(NO_TEXT):
        element.decompose()
    for element in tree.css("br, p, div, li, td, th, tr, dd, dt"):
        element.insert_before(" ")
        element.insert_after(" ")
    return tree.body.text() if tree.body is not None else ""


def person_name(raw: str) -> str:
    """Clean a name.

    Raises:
        UnknownWordError: nothing that could be a name is left.
    """
    name = plain_text(raw).strip(" ,;:·•|*†‡§#°^")
    if not any(c.isalpha() for c in name) or any(c.isdigit() for c in name):
        raise UnknownWordError(f"{raw[:80]!r} is no name")
    if len(name) > LONGEST_NAME:
        raise UnknownWordError(f"{name[:40]!r}… is {len(name)} characters long, no name")
    return name


def country_name(raw: str | None) -> str | None:
    """Clean a country; None where there is none."""
    text = plain_text(raw or "").strip(" ,;()[]")
    return text[:LONGEST_NAME] if any(c.isalpha() for c in text) else None


def says_withdrew(text: str) -> bool:
    """Whether words say that somebody withdrew."""
    return bool(_WITHDREW.search(fold(text)))


def is_yes(value: object) -> bool:
    """Read a yes or no of a table; also words such as `withdrew`.

    Raises:
        UnknownWordError: it is neither.
    """
    text = fold(plain_text(str(value if value is not None else ""))).strip()
    if text in _YES or says_withdrew(text):
        return True
    if text in _NO or text == "none":
        return False
    raise UnknownWordError(f"{text[:60]!r} is neither yes nor no")


def _tokens(text: str) -> list[str]:
    """Folded words and numbers; ordinals as digits, spellings of one stage as one word."""
    joined = _SPLIT_FINAL.sub(r"\1", fold(text[:LONGEST_WORDS]).replace("_", " "))
    words = _WORD.findall(joined)
    return [_STAGE_WORDS.get(word) or _ORDINALS.get(word) or word for word in words]


@dataclass(frozen=True)
class Stages:
    """What a source calls the rounds.

    Attributes:
        round_ids: the rounds, in order.
        stated: round id by a source's own words, folded; they decide first.
        keys: round id by the words of an id or a title, without nouns such as `stage`.
    """

    round_ids: tuple[str, ...]
    stated: Mapping[str, str]
    keys: Mapping[tuple[str, ...], str]

    @classmethod
    def of(cls, rounds: Sequence[RoundNames], stated: Mapping[str, str] | None = None) -> Stages:
        """Gather what the rounds' ids and title words mean; what fits two rounds means neither."""
        keys: dict[tuple[str, ...], str] = {}
        twice: set[tuple[str, ...]] = set()
        for round_ in rounds:
            for phrase in (round_.id, *round_.title_words):
                key = tuple(t for t in _tokens(phrase) if t not in ROUND_NOUNS)
                if key and keys.setdefault(key, round_.id) != round_.id:
                    twice.add(key)
        return cls(
            round_ids=tuple(round_.id for round_ in rounds),
            stated={_plain_key(words): id_ for words, id_ in (stated or {}).items()},
            keys={key: id_ for key, id_ in keys.items() if key not in twice},
        )

    def id_of(self, words: str) -> str | None:
        """The round that a value such as `Stage II`, `2nd round` or `finalist` names; or None."""
        if (known := self.stated.get(_plain_key(words))) is not None:
            return known
        if words in self.round_ids:
            return words
        bare = _BRACKETS.sub(" ", words)
        key = tuple(t for t in _tokens(bare) if t not in ROUND_NOUNS and t not in FILLERS)
        return self.keys.get(key)

    def named_in(self, heading: str) -> str | None:
        """The one round that a heading names among other words; None for none or several.

        A number counts only beside a word such as `stage`: a heading has dates and prizes too.
        """
        if (known := self.id_of(heading)) is not None:
            return known
        found = self._mentioned(_BRACKETS.sub(" ", heading)) or self._mentioned(heading)
        known_ids = found & set(self.round_ids)
        return known_ids.pop() if len(found) == 1 and known_ids else None

    def _mentioned(self, text: str) -> set[str]:
        """Rounds that a text mentions, also such as the edition has not."""
        tokens = _tokens(text)
        found = {self.keys[key] for key in self.keys if not _is_number(key) and _holds(tokens, key)}
        for at, token in enumerate(tokens):
            if token in ROUND_NOUNS:
                numbers = _numbers(tokens[:at][::-1]) or _numbers(tokens[at + 1 :])
                found |= {self.keys.get((number,), f"round {number}") for number in numbers}
        return found

    def later(self, one: str | None, other: str | None) -> str | None:
        """The later of two rounds; None is before all."""
        if one is None or other is None:
            return one or other
        return max(one, other, key=self.round_ids.index)


def _numbers(tokens: Sequence[str]) -> set[str]:
    """The numbers with which tokens begin: one, or several with `and` between."""
    found: set[str] = set()
    for at, token in enumerate(tokens):
        if at % 2 == 0 and token.isdigit():
            found.add(token)
        elif at % 2 == 0 or token not in ("and", "or", "to"):
            break
    return found


def _is_number(key: tuple[str, ...]) -> bool:
    return len(key) == 1 and key[0].isdigit()


def _holds(tokens: Sequence[str], key: tuple[str, ...]) -> bool:
    return any(tuple(tokens[at : at + len(key)]) == key for at in range(len(tokens)))


def _plain_key(words: str) -> str:
    return " ".join(fold(plain_text(words)).split())


def prize_number(words: str, stated: Mapping[str, int | None] | None = None) -> int | None:
    """Read a prize: `1st Prize (ex aequo)`, `II`, `2=`, `Gold medal`, `Finalist`, or nothing.

    Args:
        words: the cell's text.
        stated: numbers by a source's own words; they decide first.

    Returns:
        The number; None where the words say that there is no prize.

    Raises:
        UnknownWordError: the words say neither, such as a special prize.
    """
    own = {_plain_key(key): number for key, number in (stated or {}).items()}
    if _plain_key(words) in own:
        return own[_plain_key(words)]
    if len(words) > LONGEST_WORDS:
        raise UnknownWordError(f"{words[:60]!r}… is prose, no prize")
    bracketless = _BRACKETS.sub(" ", fold(plain_text(words)))
    bare = _MONEY.sub(" ", bracketless)
    left = [_MEDALS.get(t, t) for t in _tokens(bare) if t not in _PRIZE_NOUNS]
    if not left:
        if "winner" in _tokens(bare):
            return 1
        if not _tokens(bracketless) or "laureate" in _tokens(bare):
            return None
        raise UnknownWordError(f"{words[:60]!r} names no prize")
    if all(word in _NO_PRIZE for word in left):
        return None
    numbers = {int(word) for word in left if word.isdigit()}
    if len(numbers) == 1 and all(word.isdigit() for word in left) and max(numbers) <= MOST_PRIZES:
        return numbers.pop()
    raise UnknownWordError(f"{words[:60]!r} is no prize that is known")
