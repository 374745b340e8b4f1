"""One video title: whose performance of which round it is, or why it is not taken.

What belongs here: the parser and its results. What does not: the words of titles (`title_grammar`),
how a name is spelt (`names`), and what several recordings mean together (`matching`). A title
matches only if every word of it is explained: a wrong match is far worse than an unmatched one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from data_collection.competition.editions import Edition, Round
from data_collection.competition.names import (
    FoundName,
    edits_between,
    find_name,
    fold,
    is_middle_name,
    most_edits,
    normalised_name,
)
from data_collection.competition.roster import Competitor
from data_collection.competition.title_grammar import (
    COMPETITION_WORDS,
    DECORATION,
    FILLERS,
    GUARD_PHRASES,
    KNOWN_WORDS,
    NAME_ENDINGS,
    TAG_WORDS,
    RoundGrammar,
    Token,
    catalogued,
    is_decoration,
    ordinal,
    piece_runs,
    tokenise,
)

THRESHOLD = 80.0
"""The lowest score that matches: two misspelt letters, or two of several given names missing."""
MIN_MARGIN = 8.0
"""How far the next performer must be behind: a misspelling that fits two people is nobody's."""
COST_OF_MISSPELT_WORD = 2.0
COST_OF_UNEXPLAINED_NAME_TOKEN = 20.0
MOST_MISSPELT_EDITION_WORDS = 2

Reason = Literal[
    "guard_word",
    "no_performer",
    "several_performers",
    "ambiguous_performer",
    "low_score",
    "ambiguous_round",
    "round_conflict",
    "unexplained_words",
    "no_round",
]
Candidates = tuple[tuple[str, float], ...]
_Refusal = tuple[Reason, str]


@dataclass(frozen=True)
class TitleMatch:
    """A title read to the last word; `piece` is its own wording of what is played."""

    performer: str
    round_id: str
    piece: str | None
    score: float
    margin: float


@dataclass(frozen=True)
class TitleRejection:
    """A title that is not taken, why, and whom it may mean, the likeliest first."""

    reason: Reason
    detail: str
    candidates: Candidates = ()


@dataclass(frozen=True)
class _Performer:
    """Where the title has somebody's name, each place once; the first is the best."""

    name: str
    found: tuple[FoundName, ...]

    @property
    def score(self) -> float:
        return self.found[0].match.score


@dataclass(frozen=True)
class _Reading:
    """What the words beside the name say; `pieces` are positions."""

    round_id: str | None
    pieces: tuple[range, ...]
    misspelt: int


class TitleParser:
    """Reads titles of one edition."""

    def __init__(
        self,
        rounds: Sequence[Round],
        competitors: Sequence[Competitor],
        *,
        edition_name: str = "",
        year: int | None = None,
        title_suffix: str | None = None,
        threshold: float = THRESHOLD,
        min_margin: float = MIN_MARGIN,
    ) -> None:
        self._round_ids = frozenset(round_.id for round_ in rounds)
        self._grammar = RoundGrammar(rounds)
        self._competitors = tuple(competitors)
        # Somebody else's name is no middle name: `Hyuk Eric Lee` may be a list of two.
        self._roster_words = {
            word
            for competitor in competitors
            for spelling in (competitor.performer, *competitor.aliases)
            for word in fold(spelling).split()
            if len(word) > 1
        }
        self._threshold = threshold
        self._min_margin = min_margin
        suffix, name = _words(title_suffix or ""), _words(edition_name)
        self._edition_phrases = (suffix, name)
        own = frozenset(suffix + name)
        forms = {word + ending for word in own if len(word) > 4 for ending in NAME_ENDINGS}
        self._edition_words = (own | forms | COMPETITION_WORDS | {str(year or 0)}) - FILLERS
        self._edition_numbers = {ordinal(word) for word in own} - {None, 0}

    @classmethod
    def for_edition(
        cls,
        edition: Edition,
        competitors: Sequence[Competitor],
        *,
        threshold: float = THRESHOLD,
        min_margin: float = MIN_MARGIN,
    ) -> TitleParser:
        """Make the parser of an edition."""
        return cls(
            edition.rounds,
            competitors,
            edition_name=edition.name,
            year=edition.year,
            title_suffix=edition.title_suffix,
            threshold=threshold,
            min_margin=min_margin,
        )

    def parse(self, title: str, *, round_hint: str | None = None) -> TitleMatch | TitleRejection:
        """Read one title.

        Args:
            title: the video's title.
            round_hint: id of the round whose playlist the video is in, if it is in one.

        Returns:
            The performer and the round, or why the title is not taken.

        Raises:
            ValueError: the hint is no round of the edition.
        """
        if round_hint is not None and round_hint not in self._round_ids:
            raise ValueError(f"round hint {round_hint!r} is no round of the edition")
        text = unicodedata.normalize("NFC", title)
        tokens = tokenise(text)
        words = [token.word for token in tokens]
        shielded = frozenset().union(*(_phrase_positions(words, p) for p in self._edition_phrases))
        performers = self._performers(tokens, shielded)
        candidates: Candidates = tuple((p.name, p.score) for p in performers[:3])
        named = self._name_positions(performers[0]) if performers else frozenset()
        rest = frozenset(range(len(tokens))) - shielded - named
        guard = next((p for p in sorted(GUARD_PHRASES) if _phrase_positions(words, p) & rest), None)
        if guard:
            return TitleRejection("guard_word", " ".join(guard), candidates)
        margin = self._choose(performers)
        if isinstance(margin, tuple):
            return TitleRejection(*margin, candidates)
        reading = self._read_rest(tokens, rest, performers[0])
        if isinstance(reading, tuple):
            return TitleRejection(*reading, candidates)
        round_id = reading.round_id or round_hint
        if round_id is None:
            detail = "neither the title nor a playlist names it"
            return TitleRejection("no_round", detail, candidates)
        if round_hint not in (None, round_id):
            detail = f"title: {round_id}, playlist: {round_hint}"
            return TitleRejection("round_conflict", detail, candidates)
        score = performers[0].score - COST_OF_MISSPELT_WORD * reading.misspelt
        if score < self._threshold:
            return TitleRejection("low_score", f"{score:g} < {self._threshold:g}", candidates)
        spans = [text[tokens[run[0]].start : tokens[run[-1]].end] for run in reading.pieces]
        return TitleMatch(performers[0].name, round_id, ", ".join(spans) or None, score, margin)

    def _read_rest(
        self, tokens: Sequence[Token], rest: Set[int], performer: _Performer
    ) -> _Reading | _Refusal:
        """Explain every word that is not the name."""
        rounds = self._grammar.find(tokens, rest - catalogued(tokens))
        round_ids = sorted({round_id for phrase in rounds for round_id in phrase.round_ids})
        if len(round_ids) > 1:
            return "ambiguous_round", ", ".join(round_ids)
        rest -= {at for phrase in rounds for at in phrase.positions}
        pieces = piece_runs(tokens, rest)
        rest -= {at for run in pieces for at in run}
        left, misspelt = self._unexplained(tokens, rest, performer.name)
        if left:
            return "unexplained_words", " ".join(tokens[at].word for at in left)
        misspelt += sum(phrase.misspelt for phrase in rounds)
        return _Reading(next(iter(round_ids), None), tuple(pieces), misspelt)

    def _performers(self, tokens: Sequence[Token], shielded: Set[int]) -> list[_Performer]:
        """Find everyone whose name is in the title, the best first."""
        # Words of the suffix are nobody's: a letter that is no word takes their place.
        words = [" " if at in shielded else token.word for at, token in enumerate(tokens)]
        breaks = {at for at, token in enumerate(tokens) if token.after_break}
        taken = KNOWN_WORDS | self._edition_words | self._roster_words
        barred = {at for at, w in enumerate(words) if w in taken or not is_middle_name(w)}
        strict = self._search(words, breaks, barred, lax=False)
        if strict and strict[0].found[0].match.edits:
            # A misspelt name may be anybody's whose name is as near, however short it is.
            best = strict[0]
            lax = self._search(words, breaks, barred, lax=True)
            strict = [best, *(p for p in lax if p.name != best.name)]
        return strict

    def _search(
        self, words: Sequence[str], breaks: Set[int], barred: Set[int], *, lax: bool
    ) -> list[_Performer]:
        performers = []
        for competitor in self._competitors:
            found = [
                name
                for spelling in (competitor.performer, *competitor.aliases)
                for name in find_name(words, spelling, breaks=breaks, barred=barred, lax=lax)
            ]
            found.sort(key=lambda name: (-name.match.score, -len(name.positions), name.start))
            if found:
                performers.append(_Performer(competitor.performer, tuple(found)))
        return sorted(performers, key=lambda p: (-p.score, -len(p.found[0].positions)))

    def _name_positions(self, performer: _Performer) -> frozenset[int]:
        """Where the name stands, also where it stands twice, each time well enough to count."""
        taken: frozenset[int] = frozenset()
        for name in performer.found:
            span = frozenset(range(name.start, name.end))
            if name.match.score >= self._threshold and not span & taken:
                taken |= span
        return taken

    def _choose(self, performers: Sequence[_Performer]) -> _Refusal | float:
        """Say why the best performer is not it, or by how much they are ahead of the next."""
        if not performers:
            return "no_performer", "no name of the roster"
        best = performers[0]
        if best.score < self._threshold:
            return "low_score", f"{best.name} {best.score:g} < {self._threshold:g}"
        for written, meant in best.found[0].match.matched:
            if _is_other_gender(written, meant, family=normalised_name(best.name).split()[-1]):
                return "ambiguous_performer", f"{written} may be another person than {meant}"
        taken = self._name_positions(best)
        margin = best.score
        for other in performers[1:]:
            for name in other.found:
                apart = not taken & frozenset(range(name.start, name.end))
                if apart and name.match.score >= self._threshold:
                    return "several_performers", f"{best.name}, {other.name}"
                mine, theirs = best.found[0].positions, name.positions
                lead = len(mine - theirs) - len(theirs - mine)
                rival = name.match.score - COST_OF_UNEXPLAINED_NAME_TOKEN * lead
                margin = margin if apart else min(margin, best.score - rival)
        if margin < self._min_margin:
            return "ambiguous_performer", f"{best.name} is ahead by {margin:g} only"
        return margin

    def _unexplained(
        self, tokens: Sequence[Token], rest: Set[int], performer: str
    ) -> tuple[list[int], int]:
        """List the words that nothing explains, and count the misspelt edition words."""
        countries = {
            word
            for competitor in self._competitors
            if competitor.performer == performer
            for word in _words(competitor.country or "")
        }
        explained = self._edition_words | countries
        of_tags = explained | DECORATION | TAG_WORDS | set(_words(performer))
        left: list[int] = []
        misspelt = 0
        for at in sorted(rest):
            word = tokens[at].word
            if word in explained or ordinal(word) in self._edition_numbers or is_decoration(word):
                continue
            if tokens[at].tagged and _is_made_of(word, of_tags):
                continue
            if self._is_misspelt_edition_word(word) and misspelt < MOST_MISSPELT_EDITION_WORDS:
                misspelt += 1
            elif word not in FILLERS or not self._near_edition_word(tokens, at):
                left.append(at)
        return left, misspelt

    def _is_misspelt_edition_word(self, word: str) -> bool:
        return word not in KNOWN_WORDS and any(
            edits_between(word, known, most=most_edits(known)) is not None
            for known in self._edition_words
            if known.isalpha()
        )

    def _near_edition_word(self, tokens: Sequence[Token], at: int) -> bool:
        """Whether `of`, `the` or the like stands among the edition's words."""
        near = range(max(0, at - 2), min(len(tokens), at + 3))
        return any(tokens[i].word in self._edition_words for i in near)


def _words(text: str) -> list[str]:
    return [token.word for token in tokenise(unicodedata.normalize("NFC", text))]


def _phrase_positions(words: Sequence[str], phrase: Sequence[str]) -> frozenset[int]:
    """Positions of every place where a phrase stands as it is."""
    starts = [
        at
        for at in range(len(words) - len(phrase) + 1)
        if phrase and list(words[at : at + len(phrase)]) == list(phrase)
    ]
    return frozenset(at + step for at in starts for step in range(len(phrase)))


def _is_made_of(word: str, parts: Collection[str]) -> bool:
    """Whether a hashtag such as `#leedscompetition` is nothing but known words."""
    return not word or any(
        _is_made_of(word[len(part) :], parts)
        for part in parts
        if len(part) > 1 and word.startswith(part)
    )


def _is_other_gender(written: str, meant: str, *, family: str) -> bool:
    """Whether a word is the other gender's form of a name, and so no misspelling of it.

    A family name that only lacks its `a` is still taken for misspelt: no man is a Kowalsk.
    """
    if written[:-1] == meant[:-1]:
        return {written[-1], meant[-1]} in ({"a", "i"}, {"a", "y"}, {"a", "o"}, {"a", "e"})
    return written == meant + "a" or (written + "a" == meant and meant != family)
