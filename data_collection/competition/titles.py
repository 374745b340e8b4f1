"""One video title: whose performance of which round it is, or why it is not taken.

What belongs here: the parser and its results. What does not: how rounds (`title_grammar`), pieces
(`title_pieces`), the rest of a title (`title_details`) and names (`names`) are written, and what
several recordings mean together (`matching`). A title
matches only if every word of it is explained: a wrong match is far worse than an unmatched one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from data_collection.competition.countries import (
    countries_of,
    country_names,
    country_of_code,
    longest_name,
)
from data_collection.competition.editions import Edition, Round
from data_collection.competition.names import (
    FoundName,
    edits_between,
    find_name,
    fold,
    is_middle_name,
    is_other_gender,
    most_edits,
    normalised_name,
    spellings_of,
)
from data_collection.competition.roster import Competitor
from data_collection.competition.title_details import (
    AFTER_PIECES,
    BEFORE_ROUNDS,
    Finder,
    Line,
)
from data_collection.competition.title_grammar import (
    KNOWN_WORDS,
    RoundGrammar,
    is_decoration,
    ordinal,
)
from data_collection.competition.title_music import COMPOSERS, GENRES, GIVEN_NAMES
from data_collection.competition.title_pieces import catalogued, piece_runs
from data_collection.competition.title_tokens import (
    Token,
    clean,
    phrase_positions,
    tokenise,
    words_of,
)
from data_collection.competition.title_words import (
    COMPETITION_WORDS,
    DECORATION,
    FILLERS,
    GUARD_PHRASES,
    NAME_ENDINGS,
    PLAYING_WORDS,
    SESSION_PHRASES,
    TAG_WORDS,
)
from data_collection.competition.title_works import (
    versions,
    works_by_form,
    works_of_repertoire,
)

EXACT = 100.0
THRESHOLD = 80.0
"""The lowest score that matches: two misspelt letters, or two of several given names missing."""
MIN_MARGIN = 8.0
"""How far the next performer must be behind: a misspelling that fits two people is nobody's."""
COST_OF_MISSPELT_WORD = 2.0
COST_OF_UNEXPLAINED_NAME_TOKEN = 20.0
MOST_MISSPELT_EDITION_WORDS = 2

PEOPLE_OF_A_SESSION = 3
"""As many names make a title a session's; two may be a duo, a gift or a comparison."""

Reason = Literal[
    "guard_word",
    "session",
    "no_performer",
    "several_performers",
    "ambiguous_performer",
    "low_score",
    "ambiguous_round",
    "round_conflict",
    "unexplained_words",
    "no_round",
    "edition_not_named",
]
GENERATIONS = frozenset(("jr", "sr", "junior", "senior", "ii", "iii"))
FILLERS_OF_A_ROUND = FILLERS | {"w", "during", "podczas", "di", "du", "en"}
"""Explained beside a round where somebody plays: `Eric Lu in the final` alone is news."""
MOST_CANDIDATES = 3
_GUARDS: tuple[tuple[Reason, frozenset[tuple[str, ...]]], ...] = (
    ("guard_word", GUARD_PHRASES),
    ("session", SESSION_PHRASES),
)
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
    names_the_edition: bool


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
        places: Sequence[str] = (),
        composer: str | None = None,
        titles_name_the_edition: bool = False,
        threshold: float = THRESHOLD,
        min_margin: float = MIN_MARGIN,
    ) -> None:
        self._round_ids = frozenset(round_.id for round_ in rounds)
        self._grammar = RoundGrammar(rounds)
        self._competitors = tuple(competitors)
        # Somebody else's name is no middle name: `Hyuk Eric Lee` may be a list of two.
        self._roster_words = frozenset(
            word
            for competitor in competitors
            for spelling in _spellings(competitor)
            for word in fold(spelling).replace("-", " ").split()
            if len(word) > 1
        )
        self._threshold = threshold
        self._min_margin = min_margin
        self._year = year
        self._composer = composer
        self._must_name_the_edition = titles_name_the_edition
        self._places = [tuple(words_of(place)) for place in places]
        suffix, name = words_of(title_suffix or ""), words_of(edition_name)
        self._edition_phrases = (suffix, name)
        own = frozenset(suffix + name)
        self._namesake = own - COMPETITION_WORDS
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
            places=edition.places,
            composer=edition.composer,
            titles_name_the_edition=edition.titles_name_the_edition,
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
        text = clean(title)
        tokens = tokenise(text)
        words = [token.word for token in tokens]
        shielded = frozenset().union(*(phrase_positions(words, p) for p in self._edition_phrases))
        performers = self._performers(tokens, shielded)
        named = self._name_positions(performers[0]) if performers else frozenset()
        rest = frozenset(range(len(tokens))) - shielded - named
        several = self._others(performers)
        shown = several if several else performers[:MOST_CANDIDATES]
        candidates: Candidates = tuple((p.name, p.score) for p in shown)
        guarded = _guarded(words, rest, len(several))
        if guarded:
            return TitleRejection(*guarded, candidates)
        if several:
            return TitleRejection(
                "several_performers", ", ".join(p.name for p in several), candidates
            )
        margin = self._choose(performers)
        if isinstance(margin, tuple):
            return TitleRejection(*margin, candidates)
        line = Line(
            text,
            tokens,
            named,
            self._roster_words,
            self._year,
            self._places,
            not self._grammar.numbered,
        )
        reading = self._read_rest(line, rest, performers[0])
        if isinstance(reading, tuple):
            return TitleRejection(*reading, candidates)
        round_id = reading.round_id or round_hint
        if round_id is None:
            detail = "neither the title nor a playlist names it"
            return TitleRejection("no_round", detail, candidates)
        if round_hint not in (None, round_id):
            detail = f"title: {round_id}, playlist: {round_hint}"
            return TitleRejection("round_conflict", detail, candidates)
        if self._must_name_the_edition and round_hint is None and not reading.names_the_edition:
            detail = "it names neither the edition nor its year, and is in no round's playlist"
            return TitleRejection("edition_not_named", detail, candidates)
        score = performers[0].score - COST_OF_MISSPELT_WORD * reading.misspelt
        if score < self._threshold:
            return TitleRejection("low_score", f"{score:g} < {self._threshold:g}", candidates)
        spans = [text[tokens[run[0]].start : tokens[run[-1]].end] for run in reading.pieces]
        return TitleMatch(performers[0].name, round_id, ", ".join(spans) or None, score, margin)

    def _read_rest(
        self, line: Line, rest: frozenset[int], performer: _Performer
    ) -> _Reading | _Refusal:
        """Explain every word that is not the name."""
        tokens = line.tokens
        numbers = catalogued(tokens)
        rest -= _explained(BEFORE_ROUNDS, line, rest - numbers)
        rounds = self._grammar.find(tokens, rest - numbers)
        round_ids = sorted({round_id for phrase in rounds for round_id in phrase.round_ids})
        if len(round_ids) > 1:
            return "ambiguous_round", ", ".join(round_ids)
        of_round = frozenset(at for phrase in rounds for at in phrase.positions)
        rest -= of_round
        grown = _grown_names(tokens, line.named, of_round)
        if grown:
            return "unexplained_words", " ".join(tokens[at].word for at in grown)
        credited = versions(line, rest)
        rest -= credited
        pieces = piece_runs(
            tokens, rest, title=line.text, people=self._roster_words, namesake=self._namesake
        )
        of_music = {at for run in pieces for at in run}
        rest -= of_music
        rest -= _explained(AFTER_PIECES, line, rest)
        rest -= self._countries(line, rest, performer.name)
        left, misspelt = self._unexplained(line, rest, of_round, performer.name)
        named = self._names_the_edition(line, rest)
        if left:
            sure = bool(rounds) and named and performer.score == EXACT
            small = {at for at in rest if tokens[at].word in FILLERS}
            free = of_music | credited | small | set(left)
            works = self._works(line, free, set(left), sure=sure)
            left = [at for at in left if not any(at in work for work in works)]
            pieces = [run for run in pieces if not any(run[0] in work for work in works)]
            pieces = sorted([*pieces, *works], key=lambda run: run[0])
        if left:
            return "unexplained_words", " ".join(tokens[at].word for at in left)
        misspelt += sum(phrase.misspelt for phrase in rounds)
        return _Reading(next(iter(round_ids), None), tuple(pieces), misspelt, named)

    def _works(self, line: Line, free: Set[int], left: Set[int], *, sure: bool) -> list[range]:
        """Find works among words that nothing explains; by form alone only where all else is sure.

        In a competition of one composer nobody else's work is played.
        """
        works = works_of_repertoire(line, free, left, self._composer)
        if sure and self._composer is None:
            left = left - {at for work in works for at in work}
            places = {word for place in self._places for word in place}
            works += works_by_form(line, free, left, self._edition_words | places)
        return works

    def _names_the_edition(self, line: Line, rest: Set[int]) -> bool:
        """Whether a title has the edition's suffix, year or number; `rest` may hold the number."""
        words = line.words
        suffix = self._edition_phrases[0]
        if str(self._year) in words or (suffix and phrase_positions(words, suffix)):
            return True
        named = frozenset(rest) | phrase_positions(words, self._edition_phrases[1])
        return any(ordinal(words[at]) in self._edition_numbers for at in named)

    def _countries(self, line: Line, rest: Set[int], performer: str) -> frozenset[int]:
        """Positions of the performer's countries, and of others named beside one of them.

        `Poland` beside somebody from Spain is another person's title, and `Chopin Competition
        Japan` another competition.
        """
        country = next(c.country for c in self._competitors if c.performer == performer)
        own = countries_of(country or "")
        found = dict(_country_names(line, rest))
        if own and own.isdisjoint(found.values()):
            return frozenset()
        kept = [positions for positions in found if not self._in_a_contest(line.tokens, positions)]
        literal = {at for at in rest if line.tokens[at].word in words_of(country or "")}
        return frozenset().union(*kept) | (frozenset() if own else frozenset(literal))

    def _in_a_contest(self, tokens: Sequence[Token], positions: Set[int]) -> bool:
        """Whether a country names a competition, right before its words or right after them."""
        first, last = min(positions), max(positions)
        nouns = COMPETITION_WORDS - {"piano", "pianist", "pianists"}
        around = self._edition_words | FILLERS
        # A number begins the edition's own words: `Canada 18th Chopin Competition`.
        after = takewhile(
            lambda t: not t.after_break and t.word in around and ordinal(t.word) is None,
            tokens[last + 1 :],
        )
        before: list[Token] = []
        for at in range(first - 1, -1, -1):
            if tokens[at + 1].after_break or tokens[at].word not in around:
                break
            before.append(tokens[at])
        segment = tokens[first].segment
        return any(t.word in nouns and t.segment == segment for t in (*after, *before))

    def _performers(self, tokens: Sequence[Token], shielded: Set[int]) -> list[_Performer]:
        """Find everyone whose name is in the title, the best first."""
        # Words of the suffix are nobody's: a letter that is no word takes their place.
        words = [" " if at in shielded else token.word for at, token in enumerate(tokens)]
        breaks = {at for at, token in enumerate(tokens) if token.after_break}
        taken = KNOWN_WORDS | self._edition_words | self._roster_words
        barred = {
            at
            for at, word in enumerate(words)
            if (len(word) > 1 and word in taken)
            or not is_middle_name(word)
            # `Anna Nowak-Kowalska` is not Anna Kowalska.
            or tokens[at].hyphenated
            or (at + 1 < len(tokens) and tokens[at + 1].hyphenated)
        }
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
                for spelling in _spellings(competitor)
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

    def _others(self, performers: Sequence[_Performer]) -> list[_Performer]:
        """Give everyone named if that is more than one person, each in a place of their own."""
        if not performers or performers[0].score < self._threshold:
            return []
        taken = set(self._name_positions(performers[0]))
        named = [performers[0]]
        for other in performers[1:]:
            own = [
                frozenset(range(name.start, name.end))
                for name in other.found
                if name.match.score >= self._threshold
            ]
            apart = next((span for span in own if not span & taken), None)
            if apart is not None:
                taken |= apart
                named.append(other)
        return named if len(named) > 1 else []

    def _choose(self, performers: Sequence[_Performer]) -> _Refusal | float:
        """Say why the best performer is not it, or by how much they are ahead of the next."""
        if not performers:
            return "no_performer", "no name of the roster"
        best = performers[0]
        if best.score < self._threshold:
            return "low_score", f"{best.name} {best.score:g} < {self._threshold:g}"
        for written, meant in best.found[0].match.matched:
            if is_other_gender(written, meant, family=normalised_name(best.name).split()[-1]):
                return "ambiguous_performer", f"{written} may be another person than {meant}"
        taken = self._name_positions(best)
        margin = best.score
        for other in performers[1:]:
            for name in other.found:
                mine, theirs = best.found[0].positions, name.positions
                lead = len(mine - theirs) - len(theirs - mine)
                rival = name.match.score - COST_OF_UNEXPLAINED_NAME_TOKEN * lead
                if taken & frozenset(range(name.start, name.end)):
                    margin = min(margin, best.score - rival)
        if margin < self._min_margin:
            return "ambiguous_performer", f"{best.name} is ahead by {margin:g} only"
        return margin

    def _unexplained(
        self, line: Line, rest: Set[int], of_round: Set[int], performer: str
    ) -> tuple[list[int], int]:
        """List the words that nothing explains, and count the misspelt edition words."""
        tokens = line.tokens
        suffixes = set(words_of(performer)) & GENERATIONS
        explained = self._edition_words | suffixes
        of_tags = explained | GIVEN_NAMES | DECORATION | TAG_WORDS | set(words_of(performer))
        plays = any(t.word in PLAYING_WORDS | GENRES for t in tokens)
        left: list[int] = []
        misspelt = 0
        for at in sorted(rest):
            word = tokens[at].word
            if word in explained or ordinal(word) in self._edition_numbers or is_decoration(word):
                continue
            if word in GIVEN_NAMES and self._is_namesake(tokens, at + 1):
                continue
            if tokens[at].tagged and (_is_made_of(word, of_tags) or word in COMPOSERS):
                continue
            if word.endswith(str(self._year)) and _is_made_of(word, explained):
                continue
            near = set(range(at - 2, at + 3))
            if word == "the" and near & of_round:
                continue
            if word in FILLERS_OF_A_ROUND and plays and near & of_round:
                continue
            if self._is_misspelt_edition_word(word) and misspelt < MOST_MISSPELT_EDITION_WORDS:
                misspelt += 1
            elif word not in FILLERS or not self._near_edition_word(tokens, at):
                left.append(at)
        return left, misspelt

    def _is_namesake(self, tokens: Sequence[Token], at: int) -> bool:
        """Whether the edition's own name stands there: `Frédéric Chopin`, `Van Cliburn`."""
        forms = self._namesake | {name + end for name in self._namesake for end in NAME_ENDINGS}
        joined = at < len(tokens) and tokens[at].segment == tokens[at - 1].segment
        return joined and tokens[at].word in forms

    def _is_misspelt_edition_word(self, word: str) -> bool:
        return word not in KNOWN_WORDS | self._roster_words and any(
            edits_between(word, known, most=most_edits(known)) is not None
            for known in self._edition_words
            if known.isalpha()
        )

    def _near_edition_word(self, tokens: Sequence[Token], at: int) -> bool:
        """Whether `of`, `the` or the like stands among the edition's words."""
        near = range(max(0, at - 2), min(len(tokens), at + 3))
        return any(tokens[i].word in self._edition_words for i in near)


def _spellings(competitor: Competitor) -> list[str]:
    return [s for name in (competitor.performer, *competitor.aliases) for s in spellings_of(name)]


def _guarded(words: Sequence[str], rest: Set[int], people: int) -> _Refusal | None:
    """Say which word makes a title none of a single recital, or that too many play in it."""
    for reason, phrases in _GUARDS:
        guard = next((p for p in sorted(phrases) if phrase_positions(words, p) & rest), None)
        if guard:
            return reason, " ".join(guard)
    return ("session", f"{people} names") if people >= PEOPLE_OF_A_SESSION else None


def _explained(finders: Sequence[Finder], line: Line, rest: frozenset[int]) -> frozenset[int]:
    """Positions that one finder after another explains."""
    left = rest
    for find in finders:
        left -= find(line, left)
    return rest - left


def _country_names(line: Line, rest: Set[int]) -> Iterator[tuple[frozenset[int], str]]:
    """Find countries, the longest name first, each with its code."""
    names, taken = country_names(), set[int]()
    for count in range(longest_name(), 0, -1):
        for at in range(len(line.tokens) - count + 1):
            span = frozenset(range(at, at + count))
            if not span <= rest or span & taken:
                continue
            code = names.get(" ".join(line.words[at : at + count]))
            raw = line.raw(at)
            if code is None and count == 1 and raw.isupper() and raw.isascii() and len(raw) < 4:
                code = country_of_code(raw)
            if code is not None:
                taken |= span
                yield span, code


def _grown_names(tokens: Sequence[Token], named: Set[int], of_round: Set[int]) -> list[int]:
    """Positions that a hyphen joins to the name: `Hyun-Woo` is not Hyun, whatever `Woo` is."""
    joined = {(at - 1, at) for at, token in enumerate(tokens) if token.hyphenated}
    halves = {half for pair in joined if set(pair) & named for half in pair}
    return sorted(halves - named - of_round)


def _is_made_of(word: str, parts: Collection[str]) -> bool:
    """Whether a hashtag such as `#leedscompetition` is nothing but known words."""
    return not word or any(
        _is_made_of(word[len(part) :], parts)
        for part in parts
        if len(part) > 1 and word.startswith(part)
    )
