"""How a title names a round: `first round`, `II etap`, `3. Runde`, `Semi-Finals`.

What belongs here: finding a round among a title's words, misspelt or not. What does not: the words
themselves (`title_words`), the music (`title_pieces`), and which rounds there are: an edition's
file says what its titles call them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from data_collection.competition.editions import Round
from data_collection.competition.names import edits_between
from data_collection.competition.title_music import CONCERTOS, GENRES, words_of_names
from data_collection.competition.title_pieces import MUSIC_WORDS, names_a_piece
from data_collection.competition.title_tokens import Token, tokenise
from data_collection.competition.title_words import (
    AMBIGUOUS_ALONE,
    CARDINALS,
    COMPETITION_WORDS,
    COMPOUND_ROUNDS,
    DECORATION,
    FRENCH_ORDINALS,
    GUARD_WORDS,
    LOOKALIKES,
    NAMED_ROUNDS,
    ORDINAL_WORDS,
    ROUND_NOUNS,
    SAME_ROUND_WORD,
    SESSION_WORDS,
)

SHORTEST_MISSPELT = 4
SHORTEST_MISSPELT_ALONE = 8

_ORDINAL_NUMBER = re.compile(r"(\d{1,3})(?:st|nd|rd|th|er|e|eme|a|o)?")
_ROMAN = re.compile(r"(?=[ivx])(x{0,3})(ix|iv|v?i{0,3})")
_RESOLUTION = re.compile(r"\d{3,4}p(?:\d\d)?|\d\dfps")
_ROMAN_ONES = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_ORDINAL_OF = {word: number for number, words in ORDINAL_WORDS.items() for word in words}
_NOUN = "@"
_MAY_STAND_ALONE = {w for w in (*_ORDINAL_OF, "finale") if w.isalpha()} - AMBIGUOUS_ALONE
KNOWN_WORDS = (
    ROUND_NOUNS | COMPETITION_WORDS | MUSIC_WORDS | NAMED_ROUNDS | frozenset(_ORDINAL_OF)
    | frozenset(CARDINALS) | GUARD_WORDS | SESSION_WORDS | LOOKALIKES | DECORATION
    | frozenset(SAME_ROUND_WORD)
)  # fmt: skip
"""Words with a meaning of their own: nobody's middle name and no misspelling of another."""


@dataclass(frozen=True)
class RoundPhrase:
    """Where a title names a round, and in how many words it is misspelt."""

    round_ids: frozenset[str]
    positions: frozenset[int]
    misspelt: int


@dataclass(frozen=True)
class _RoundWord:
    """A word as round phrases see it: one or, where it is `semi final`, two tokens."""

    word: str
    positions: tuple[int, ...]


_Pattern = tuple[str, ...]


def ordinal(word: str) -> int | None:
    """Read `first`, `1st`, `1` or `I`."""
    if word in _ORDINAL_OF:
        return _ORDINAL_OF[word]
    number = _ORDINAL_NUMBER.fullmatch(word)
    if number:
        return int(number[1])
    # `XIXe Concours` is French.
    roman = _ROMAN.fullmatch(word.removesuffix("e") if len(word) > 2 else word)
    return 10 * len(roman[1]) + _ROMAN_ONES.index(roman[2]) if roman else None


def is_decoration(word: str) -> bool:
    """Whether a word tells neither who plays nor in which round, such as `HD`."""
    return word in DECORATION or bool(_RESOLUTION.fullmatch(word))


@lru_cache(maxsize=4096)
def _keys(word: str) -> frozenset[str]:
    """What a word stands for in a round phrase."""
    keys = {SAME_ROUND_WORD.get(word, word)}
    if word in ROUND_NOUNS:
        keys.add(_NOUN)
    number = ordinal(word)
    return frozenset(keys if number is None else keys | {f"#{number}"})


@lru_cache(maxsize=4096)
def _misspelt_keys(word: str) -> frozenset[str]:
    """What a misspelt word must be meant for; nothing if it is a word itself or fits two."""
    if word in KNOWN_WORDS or len(word) < SHORTEST_MISSPELT or word in words_of_names():
        return frozenset()
    meant = [
        known
        for known in ROUND_NOUNS | NAMED_ROUNDS | frozenset(_ORDINAL_OF)
        if len(known) >= SHORTEST_MISSPELT and edits_between(word, known, most=1) == 1
    ]
    meanings = {key for known in meant for key in _keys(known) - {known} or {known}}
    return frozenset(meanings if len(meanings) == 1 else ())


def _round_words(tokens: Sequence[Token]) -> list[_RoundWord]:
    """Join `semi final` and its like, so that `final` is not found inside; read `round one`."""
    words = [token.word for token in tokens]
    found: list[_RoundWord] = []
    at = 0
    while at < len(tokens):
        word = tokens[at].word
        parts = next(
            (
                p
                for p in map(tuple, (words[at : at + 3], words[at : at + 2]))
                if p in COMPOUND_ROUNDS
            ),
            (),
        )
        if parts:
            found.append(_RoundWord(COMPOUND_ROUNDS[parts], tuple(range(at, at + len(parts)))))
        elif at and word == "tour" and words[at - 1] in FRENCH_ORDINALS:
            found.append(_RoundWord("round", (at,)))
        elif at and words[at - 1] in ROUND_NOUNS:
            found.append(_RoundWord(CARDINALS.get(word, word), (at,)))
        else:
            found.append(_RoundWord(word, (at,)))
        at += len(found[-1].positions)
    return found


def _patterns_of(title_word: str) -> tuple[_Pattern, set[_Pattern]]:
    """Give the phrase an edition states for a round, and others that mean the same.

    A round called `first` is also the `1st stage` and the `etap I`; one called `final`, the
    `final round`.
    """
    words = [found.word for found in _round_words(tokenise(title_word))]
    exact = tuple(
        f"#{number}" if (number := ordinal(word)) else SAME_ROUND_WORD.get(word, word)
        for word in words
    )
    loose = {tuple(_NOUN if key in ROUND_NOUNS else key for key in exact)}
    heads = [key for key in exact if key not in ROUND_NOUNS]
    if len(heads) == 1 and len(exact) <= 2:
        loose |= {(heads[0], _NOUN), (_NOUN, heads[0])}
        if heads[0] in NAMED_ROUNDS:
            loose.add((heads[0],))
    return exact, loose


class RoundGrammar:
    """Finds the phrases that name a round; the longest wins."""

    def __init__(self, rounds: Sequence[Round]) -> None:
        concertos = [round_.id for round_ in rounds if not round_.solo]
        self._only_final_has_concertos = concertos == [round_.id for round_ in rounds[-1:]]
        exact: defaultdict[_Pattern, set[str]] = defaultdict(set)
        loose: defaultdict[_Pattern, set[str]] = defaultdict(set)
        for round_ in rounds:
            for title_word in round_.title_words:
                stated, same = _patterns_of(title_word)
                exact[stated].add(round_.id)
                for pattern in same:
                    loose[pattern].add(round_.id)
        self.numbered = any(key.startswith("#") for pattern in exact for key in pattern)
        # Where an edition has a `first round` and a `first stage`, only the exact words tell.
        own = {pattern: ids for pattern, ids in loose.items() if len(ids) == 1}
        self._patterns = {p: frozenset(ids) for p, ids in (own | exact).items() if p}

    def find(self, tokens: Sequence[Token], free: Set[int]) -> list[RoundPhrase]:
        """Find all round phrases on the `free` positions that are not part of a longer one."""
        words = _round_words(tokens)
        found: list[RoundPhrase] = []
        for pattern, round_ids in self._patterns.items():
            for at in range(len(words) - len(pattern) + 1):
                span = words[at : at + len(pattern)]
                positions = frozenset(position for word in span for position in word.positions)
                misspelt = _misspellings(span, pattern)
                if (
                    misspelt is not None
                    and positions <= free
                    and _holds_together(span, tokens, concertos=self._only_final_has_concertos)
                ):
                    found.append(RoundPhrase(round_ids, positions, misspelt))
        longest = [p for p in found if not any(p.positions < o.positions for o in found)]
        return [p for p in longest if not any(_repeats(p, other) for other in longest)]


def _repeats(phrase: RoundPhrase, earlier: RoundPhrase) -> bool:
    """Whether `round 2nd` only repeats `second round`: the number counts something else."""
    starts_within = min(earlier.positions) < min(phrase.positions) <= max(earlier.positions)
    return starts_within and phrase.round_ids == earlier.round_ids


def _misspellings(span: Sequence[_RoundWord], pattern: _Pattern) -> int | None:
    """Count the misspelt words; None if it is another phrase or too much of it is a guess."""
    wrong = [
        (word, key) for word, key in zip(span, pattern, strict=True) if key not in _keys(word.word)
    ]
    if not wrong:
        return 0
    word, key = wrong[0][0].word, wrong[0][1]
    sure = len(span) > 1 or len(word) >= SHORTEST_MISSPELT_ALONE
    return 1 if len(wrong) == 1 and key in _misspelt_keys(word) and sure else None


def _holds_together(
    span: Sequence[_RoundWord], tokens: Sequence[Token], *, concertos: bool
) -> bool:
    """Whether a phrase is one where it stands, and not words of something else.

    Where `concertos` are played in the final alone, a concerto's `Finale` is in the final.
    """
    first = span[0]
    if len(span) > 1:
        # `Sonata 2 – round 1` is no second round, nor is `round (2nd Competition)`.
        segments = {tokens[at].segment for word in span for at in word.positions}
        counted = any(ordinal(word.word) is not None for word in span)
        return not (counted and len(segments) > 1)
    at = first.positions[0]
    segment = [token for token in tokens if token.segment == tokens[at].segment]
    if ordinal(first.word) is not None or first.word == "finale":
        # A movement too is the second or the finale.
        concerto = concertos and not CONCERTOS.isdisjoint(token.word for token in tokens)
        told = not names_a_piece(tokens) or (first.word == "finale" and concerto)
        return first.word in _MAY_STAND_ALONE and len(segment) == 1 and told
    # `Final Mazurka` is the last one; `final, Mazurka` is not.
    next_word = [token.word for token in segment if token.start == tokens[at].end + 1]
    return first.word != "final" or GENRES.isdisjoint(next_word)
