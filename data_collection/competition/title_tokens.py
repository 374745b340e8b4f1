"""A title cut into folded words, each with its place.

What belongs here: cleaning a title's characters and splitting it. What does not: what any word
means (`title_grammar`, `title_pieces`, `title_details`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from data_collection.competition.names import (
    APOSTROPHES,
    CLOSING_BRACKETS,
    HYPHENS,
    OPENING_BRACKETS,
    fold,
)
from data_collection.competition.title_words import ORDINAL_WORDS, ROUND_NOUNS

_TOKEN = re.compile(rf"[^\W_](?:[^\W_]|[\u0300-\u036f]|[{APOSTROPHES}](?=[^\W_]))*|[&+]")
_NOUN_AND_NUMBER = re.compile(r"([^\W\d_]+)(\d+)")
_BREAK = re.compile(rf"[|:;/\\•·~]|\s[{re.escape(HYPHENS)}]|[{re.escape(HYPHENS)}]+\s")
_BRACKET = re.compile(rf"[{re.escape(OPENING_BRACKETS + CLOSING_BRACKETS)}]")
_WITH = re.compile(r"(?<!\w)w/(?=\s)")
_HYPHEN = re.compile(rf"[{re.escape(HYPHENS)}]")
_GLUED = re.compile(
    rf"({'|'.join(sorted({w for words in ORDINAL_WORDS.values() for w in words}))})"
    rf"({'|'.join(sorted(noun for noun in ROUND_NOUNS if len(noun) > 3))})"
)
_COUNTING = ROUND_NOUNS | {"op", "no", "nr", "part", "cz"}


@dataclass(frozen=True)
class Token:
    """A folded word; `start` and `end` are where it stands in the cleaned title.

    `segment` counts stretches between brackets, hashtags and dashes; `hyphenated` is true where a
    hyphen joins the word to the one before it, `numbered` where `#` stands before a number.
    """

    word: str
    start: int
    end: int
    segment: int
    after_break: bool
    tagged: bool = False
    hyphenated: bool = False
    numbered: bool = False


def clean(title: str) -> str:
    """Give full-width, mathematical and other dressed-up characters their plain form.

    Apostrophes are put aside first, since compatibility forms of some are a space and an accent.
    Invisible characters go, and `w/` is `with`.
    """
    plain = "".join("'" if c in APOSTROPHES else c for c in title)
    composed = unicodedata.normalize("NFKC", plain)
    visible = "".join(c for c in composed if unicodedata.category(c) != "Cf")
    return _WITH.sub("with", visible)


def tokenise(title: str) -> list[Token]:
    """Split a title that is clean; a segment ends at a bracket, a hashtag or a dash."""
    tokens: list[Token] = []
    segment = end = 0
    for found in _TOKEN.finditer(title):
        gap = title[end : found.start()]
        after_hash = gap.endswith("#")
        tagged = after_hash and found[0][0].isalpha()
        after_break = tagged or bool(_BREAK.search(gap))
        segment += after_break or bool(_BRACKET.search(gap))
        word, start, end = fold(found[0]), found.start(), found.end()
        hyphenated = bool(tokens) and bool(_HYPHEN.fullmatch(gap))
        cut = _glue(word)
        if cut:
            middle = start + cut
            tokens.append(Token(word[:cut], start, middle, segment, after_break))
            word, start, after_break = word[cut:], middle, False
        numbered = after_hash and word.isdigit()
        tokens.append(Token(word, start, end, segment, after_break, tagged, hyphenated, numbered))
    return tokens


def words_of(text: str) -> list[str]:
    """Give the folded words of any text, as a title's are."""
    return [token.word for token in tokenise(clean(text))]


def phrase_positions(words: Sequence[str], phrase: Sequence[str]) -> frozenset[int]:
    """Positions of every place where a phrase stands as it is."""
    starts = [
        at
        for at in range(len(words) - len(phrase) + 1)
        if phrase and list(words[at : at + len(phrase)]) == list(phrase)
    ]
    return frozenset(at + step for at in starts for step in range(len(phrase)))


def _glue(word: str) -> int:
    """Tell where `op10`, `stage2` and `firstround` are to be cut; 0 where nothing is glued."""
    glued = _NOUN_AND_NUMBER.fullmatch(word)
    if glued and glued[1] in _COUNTING:
        return len(glued[1])
    twice = _GLUED.fullmatch(word)
    return len(twice[1]) if twice else 0
