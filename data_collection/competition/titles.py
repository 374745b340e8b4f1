"""One video title: whose performance of which round it is, or why it is not taken.

What belongs here: the grammar of titles and its word lists. What does not: how a name is spelt
(`names`), and what several recordings of a listing mean together (`matching`). A title matches
only if every word of it is explained, since a wrong match is far worse than an unmatched one.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import product
from typing import Literal

from data_collection.competition.editions import Edition, Round
from data_collection.competition.names import (
    APOSTROPHES,
    CLOSING_BRACKETS,
    HYPHENS,
    OPENING_BRACKETS,
    FoundName,
    edits_between,
    find_name,
    fold,
    is_middle_name,
    most_edits,
    word_set,
)
from data_collection.competition.roster import Competitor

THRESHOLD = 80.0
"""The lowest score that matches: two misspelt letters, or two of several given names missing."""
MIN_MARGIN = 8.0
"""How far the next performer must be behind: a misspelling that fits two people is nobody's."""
COST_OF_MISSPELT_WORD = 2.0
COST_OF_UNEXPLAINED_NAME_TOKEN = 20.0
MOST_MISSPELT_EDITION_WORDS = 2

ORDINAL_WORDS: Mapping[int, frozenset[str]] = {
    1: word_set(
        "first 1st pierwszy pierwsza pierwszego pierwszej premier premiere 1er 1ere erste "
        "ersten primera primero prima primo"
    ),
    2: word_set(
        "second 2nd drugi druga drugiego drugiej deuxieme 2eme zweite zweiten segunda segundo "
        "seconda secondo"
    ),
    3: word_set(
        "third 3rd trzeci trzecia trzeciego trzeciej troisieme 3eme dritte dritten tercera terza"
    ),
    4: word_set("fourth 4th czwarty czwarta czwartego quatrieme 4eme vierte cuarta quarta"),
    5: word_set("fifth 5th piaty piata piatego cinquieme 5eme funfte quinta"),
    6: word_set("sixth 6th szosty szosta"),
}
ROUND_NOUNS = word_set(
    "round rounds stage stages etap etapu etapie runda rundy rundzie phase faza fase runde ronda "
    "etape etapa epreuve prova"
)
COMPOUND_ROUNDS: Mapping[tuple[str, str], str] = {
    (part, final): whole
    for whole, parts in (
        ("semifinal", ("semi", "demi", "pol", "halb")),
        ("quarterfinal", ("quarter", "cwierc", "viertel")),
    )
    for part in parts
    for final in ("final", "finals", "finale")
}
SAME_ROUND_WORD: Mapping[str, str] = (
    {
        "finals": "final",
        "preliminaries": "preliminary",
        "prelims": "preliminary",
        "eliminacje": "preliminary",
    }
    | {"".join(parts): whole for parts, whole in COMPOUND_ROUNDS.items()}
    | {whole + "s": whole for whole in ("semifinal", "quarterfinal")}
)
NAMED_ROUNDS = word_set("preliminary quarterfinal semifinal final")

COMPETITION_WORDS = word_set(
    "international national piano pianists competition competitions contest edition konkurs "
    "konkursu miedzynarodowy chopinowski chopinowskiego pianistyczny edycja concours wettbewerb "
    "concorso concurso"
)
FILLERS = word_set("the of in at im de la le")
GUARD_WORDS = word_set(
    "interview interviews wywiad wywiady rozmowa entretien entrevista intervista portrait "
    "portraits portret portrety profile backstage kulisy coulisses announcement announcements "
    "ogloszenie zapowiedz results result wyniki ergebnisse resultats resultados risultati session "
    "sessions sesja sesje news aktualnosci wiadomosci rehearsal rehearsals proba proby repetition "
    "masterclass gala galakonzert winners winner prizewinner prizewinners prize prizes nagroda "
    "nagrody laureat laureaci laureatow laureates laureate laureats highlights highlight skrot "
    "trailer teaser zwiastun promo konferencja ceremony ceremonia opening inauguracja "
    "inauguration documentary dokument podcast vlog jury reaction recap compilation livestream "
    "studio speech award awards"
)
GUARD_PHRASES = frozenset((word,) for word in GUARD_WORDS) | {
    ("behind", "the", "scenes"),
    ("za", "kulisami"),
    ("master", "class"),
    ("press", "conference"),
    ("best", "of"),
    ("live", "stream"),
    ("na", "zywo"),
}

GENRES = word_set(
    "etude etudes etiuda etiudy study studies prelude preludes preludium preludia nocturne "
    "nocturnes nokturn nokturny mazurka mazurkas mazurek mazurki waltz waltzes walc walce valse "
    "polonaise polonaises polonez polonezy ballade ballades ballada ballady scherzo scherzi "
    "sonata sonatas sonate concerto koncert fantasy fantasie fantaisie fantazja fantasia "
    "barcarolle barkarola berceuse kolysanka rondo rondos impromptu impromptus variations "
    "variation wariacje bolero tarantella tarantelle toccata fugue fuga suite partita "
    "rhapsody rapsodia intermezzo capriccio spianato krakowiak ecossaises bagatelle bagatelles"
)
PIECE_WORDS = word_set(
    "major minor sharp flat dur moll cis dis fis gis ais des es as ges opus posth posthumous "
    "allegro andante largo presto maestoso vivace adagio lento moderato brillante grande "
    "funebre marche funeral march finale heroic revolutionary military piano non troppo ma "
    "con fuoco molto assai"
)
COMPOSERS = word_set(
    "chopin chopina bach mozart beethoven haydn schubert schumann liszt brahms debussy ravel "
    "rachmaninoff rachmaninov scriabin prokofiev tchaikovsky mendelssohn scarlatti bartok "
    "szymanowski paderewski stravinsky clementi"
)
CATALOGUES = word_set("op opus no nos nr bwv kv k d hob woo l s book zeszyt")
PIECE_CONNECTORS = word_set("in and i et & on a sur la de du from")

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

_TOKEN = re.compile(rf"[^\W_](?:[^\W_]|[\u0300-\u036f]|[{APOSTROPHES}](?=[^\W_]))*|[&+]")
_NOUN_AND_NUMBER = re.compile(r"([^\W\d_]+)(\d+)")
_BREAK = re.compile(rf"[|:;/\\•·~]|\s[{re.escape(HYPHENS)}]|[{re.escape(HYPHENS)}]+\s")
_BRACKET = re.compile(rf"[{re.escape(OPENING_BRACKETS + CLOSING_BRACKETS)}]")
_NUMBER = re.compile(r"\d{1,4}")
_ORDINAL_NUMBER = re.compile(r"(\d{1,3})(?:st|nd|rd|th|er|e|eme|a|o)?")
_ROMAN = re.compile(r"(?=[ivx])(x{0,3})(ix|iv|v?i{0,3})")
_ORDINAL_OF = {word: number for number, words in ORDINAL_WORDS.items() for word in words}
_NOUN = "@"
_KNOWN_WORDS = (
    ROUND_NOUNS | COMPETITION_WORDS | GENRES | PIECE_WORDS | COMPOSERS | CATALOGUES | NAMED_ROUNDS
    | frozenset(_ORDINAL_OF) | GUARD_WORDS
)  # fmt: skip


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
class _Token:
    """A folded word; `start` and `end` are where it stands in the title."""

    word: str
    start: int
    end: int
    segment: int
    after_break: bool


@dataclass(frozen=True)
class _Performer:
    """Where the title has somebody's name, each place once; the first is the best."""

    name: str
    found: tuple[FoundName, ...]

    @property
    def score(self) -> float:
        return self.found[0].match.score


@dataclass(frozen=True)
class _RoundPhrase:
    round_ids: frozenset[str]
    positions: frozenset[int]
    misspelt: int


def _tokenise(title: str) -> list[_Token]:
    """Split a title, which is NFC; a segment ends at a bracket or at a dash between words."""
    tokens: list[_Token] = []
    segment = end = 0
    for found in _TOKEN.finditer(title):
        gap = title[end : found.start()]
        after_break = bool(_BREAK.search(gap))
        segment += after_break or bool(_BRACKET.search(gap))
        word, start, end = fold(found[0]), found.start(), found.end()
        glued = _NOUN_AND_NUMBER.fullmatch(word)
        if glued and glued[1] in ROUND_NOUNS | {"op", "no", "nr"}:
            middle = start + len(glued[1])
            tokens.append(_Token(glued[1], start, middle, segment, after_break))
            word, start, after_break = glued[2], middle, False
        tokens.append(_Token(word, start, end, segment, after_break))
    return tokens


def _ordinal(word: str) -> int | None:
    if word in _ORDINAL_OF:
        return _ORDINAL_OF[word]
    number = _ORDINAL_NUMBER.fullmatch(word)
    if number:
        return int(number[1])
    roman = _ROMAN.fullmatch(word)
    if not roman:
        return None
    ones = {"": 0, "i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8}
    return 10 * len(roman[1]) + (ones | {"ix": 9})[roman[2]]


def _keys(word: str) -> set[str]:
    """What a word may stand for in a round phrase."""
    keys = {SAME_ROUND_WORD.get(word, word)}
    if word in ROUND_NOUNS:
        keys.add(_NOUN)
    number = _ordinal(word)
    return keys if number is None else keys | {f"#{number}"}


def _misspelt_keys(word: str) -> set[str]:
    """What a slightly misspelt word may be meant to stand for; nothing if it is a word itself."""
    if word in _KNOWN_WORDS or len(word) < 5:
        return set()
    meant = [
        known
        for known in ROUND_NOUNS | NAMED_ROUNDS | frozenset(_ORDINAL_OF)
        if len(known) >= 5 and edits_between(word, known, most=1) == 1
    ]
    return {key for known in meant for key in _keys(known) if key != known or known in NAMED_ROUNDS}


def _merged(words: Sequence[str]) -> list[tuple[str, frozenset[int]]]:
    """Join `semi final` and its like, so that `final` is not found inside them."""
    merged: list[tuple[str, frozenset[int]]] = []
    at = 0
    while at < len(words):
        whole = COMPOUND_ROUNDS.get((words[at], words[at + 1])) if at + 1 < len(words) else None
        merged.append((whole or words[at], frozenset(range(at, at + (2 if whole else 1)))))
        at += 2 if whole else 1
    return merged


def _phrase_variants(title_word: str) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """Give the exact forms of a title word, and those in which any round noun is as good."""
    words = [word for word, _ in _merged([token.word for token in _tokenise(title_word)])]
    options = [
        {f"#{number}"} if (number := _ordinal(word)) else {SAME_ROUND_WORD.get(word, word)}
        for word in words
    ]
    exact = {tuple(phrase) for phrase in product(*options)}
    loose = {tuple(_NOUN if key in ROUND_NOUNS else key for key in phrase) for phrase in exact}
    for phrase in tuple(loose):
        heads = [key for key in phrase if key != _NOUN]
        if len(heads) == 1 and len(phrase) <= 2:
            loose |= {(heads[0], _NOUN), (_NOUN, heads[0])}
            if heads[0] in NAMED_ROUNDS:
                loose.add((heads[0],))
    return exact, loose


class _RoundGrammar:
    """Finds the phrases that name a round; the longest wins."""

    def __init__(self, rounds: Iterable[Round]) -> None:
        exact: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        loose: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        for round_ in rounds:
            for title_word in round_.title_words:
                exact_forms, loose_forms = _phrase_variants(title_word)
                for phrase in exact_forms:
                    exact[phrase].add(round_.id)
                for phrase in loose_forms:
                    loose[phrase].add(round_.id)
        # Where an edition has a `first round` and a `first stage`, only the exact words tell.
        own = {phrase: ids for phrase, ids in loose.items() if len(ids) == 1}
        self._phrases = {p: frozenset(ids) for p, ids in (own | exact).items() if p}

    def find(self, tokens: Sequence[_Token], free: Set[int]) -> list[_RoundPhrase]:
        """Find all round phrases on the `free` positions that are not part of a longer one."""
        merged = _merged([token.word for token in tokens])
        keys = [_keys(word) for word, _ in merged]
        near = [_misspelt_keys(word) for word, _ in merged]
        found: list[_RoundPhrase] = []
        for phrase, round_ids in self._phrases.items():
            for at in range(len(merged) - len(phrase) + 1):
                span = range(at, at + len(phrase))
                wrong = [i for i, key in zip(span, phrase, strict=True) if key not in keys[i]]
                positions = frozenset(p for i in span for p in merged[i][1])
                if not positions <= free or any(phrase[i - at] not in near[i] for i in wrong):
                    continue
                lone = len(phrase) == 1
                if wrong and (len(wrong) > 1 or (lone and len(merged[at][0]) < 8)):
                    continue
                if lone and phrase[0].startswith("#") and not _stands_alone(tokens, positions):
                    continue
                found.append(_RoundPhrase(round_ids, positions, len(wrong)))
        return [p for p in found if not any(p.positions < other.positions for other in found)]


def _stands_alone(tokens: Sequence[_Token], positions: Set[int]) -> bool:
    """Whether a bare ordinal, as a word or `1st`, has a bracket or dash segment to itself."""
    (at,) = positions
    segment = [token for token in tokens if token.segment == tokens[at].segment]
    return len(segment) == 1 and tokens[at].word in _ORDINAL_OF


def _catalogued(tokens: Sequence[_Token]) -> frozenset[int]:
    """Positions of numbers that count works, as in `Op. 10 No. 12`, and of `Op.` itself."""
    pairs = [
        {at, at + 1}
        for at, token in enumerate(tokens[:-1])
        if token.word in CATALOGUES and _NUMBER.fullmatch(tokens[at + 1].word)
    ]
    return frozenset().union(*pairs)


def _piece_runs(tokens: Sequence[_Token], free: Set[int]) -> list[range]:
    """Find stretches that are a piece of music: a genre or a work's number, and its details."""
    catalogued = _catalogued(tokens)

    def fits(at: int) -> bool:
        word = tokens[at].word
        if at not in free:
            return False
        if word in GENRES | PIECE_WORDS | COMPOSERS | PIECE_CONNECTORS or at in catalogued:
            return True
        before = tokens[at - 1].word if at else ""
        after = tokens[at + 1].word if at + 1 < len(tokens) else ""
        if len(word) == 1 and word in "abcdefgh":
            return before == "in" or after in PIECE_WORDS | COMPOSERS
        counts = before in GENRES | {"and", "i", "&"} or _NUMBER.fullmatch(before)
        return bool(re.fullmatch(r"\d{1,2}", word) and (counts or after in GENRES))

    runs: list[list[int]] = []
    for at in (at for at in range(len(tokens)) if fits(at)):
        if runs and runs[-1][-1] == at - 1 and tokens[at].segment == tokens[at - 1].segment:
            runs[-1].append(at)
        else:
            runs.append([at])
    pieces: list[range] = []
    for run in runs:
        while run and tokens[run[0]].word in PIECE_CONNECTORS:
            del run[0]
        while run and tokens[run[-1]].word in PIECE_CONNECTORS:
            del run[-1]
        if any(tokens[at].word in GENRES or at in catalogued for at in run):
            pieces.append(range(run[0], run[-1] + 1))
    return pieces


def _phrase_positions(words: Sequence[str], phrase: Sequence[str]) -> frozenset[int]:
    """Positions of every place where a phrase stands as it is."""
    starts = [
        at
        for at in range(len(words) - len(phrase) + 1)
        if phrase and list(words[at : at + len(phrase)]) == list(phrase)
    ]
    return frozenset(at + step for at in starts for step in range(len(phrase)))


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
        self._grammar = _RoundGrammar(rounds)
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
        suffix = [
            token.word for token in _tokenise(unicodedata.normalize("NFC", title_suffix or ""))
        ]
        name = [token.word for token in _tokenise(unicodedata.normalize("NFC", edition_name))]
        self._edition_phrases = (suffix, name)
        self._edition_words = (
            frozenset(suffix + name) | COMPETITION_WORDS | {str(year or 0)}
        ) - FILLERS
        self._edition_numbers = {_ordinal(word) for word in suffix + name} - {None, 0}

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
        tokens = _tokenise(text)
        words = [token.word for token in tokens]
        everywhere = frozenset(range(len(tokens)))
        shielded = frozenset().union(*(_phrase_positions(words, p) for p in self._edition_phrases))
        performers = self._performers(tokens, shielded)
        candidates: Candidates = tuple((p.name, p.score) for p in performers[:3])
        named = self._name_positions(performers[0]) if performers else frozenset()
        if performers and performers[0].score < self._threshold:
            named = frozenset()
        rest = everywhere - shielded - named
        guard = next((p for p in sorted(GUARD_PHRASES) if _phrase_positions(words, p) & rest), None)
        if guard:
            return TitleRejection("guard_word", " ".join(guard), candidates)
        margin = self._choose(performers)
        if isinstance(margin, tuple):
            return TitleRejection(*margin, candidates)
        performer = performers[0]
        rounds = self._grammar.find(tokens, rest - _catalogued(tokens))
        round_ids = frozenset().union(*(phrase.round_ids for phrase in rounds))
        if len(round_ids) > 1:
            return TitleRejection("ambiguous_round", ", ".join(sorted(round_ids)), candidates)
        rest -= frozenset().union(*(phrase.positions for phrase in rounds))
        pieces = _piece_runs(tokens, rest)
        rest -= frozenset(at for run in pieces for at in run)
        left, misspelt = self._unexplained(tokens, rest, performer.name)
        if left:
            return TitleRejection(
                "unexplained_words", " ".join(words[at] for at in left), candidates
            )
        round_id = next(iter(round_ids), round_hint)
        if round_id is None:
            return TitleRejection(
                "no_round", "neither the title nor a playlist names it", candidates
            )
        if round_hint not in (None, round_id):
            return TitleRejection(
                "round_conflict", f"title: {round_id}, playlist: {round_hint}", candidates
            )
        misspelt += sum(phrase.misspelt for phrase in rounds)
        score = performer.score - COST_OF_MISSPELT_WORD * misspelt
        if score < self._threshold:
            return TitleRejection("low_score", f"{score:g} < {self._threshold:g}", candidates)
        spans = [text[tokens[run[0]].start : tokens[run[-1]].end] for run in pieces]
        return TitleMatch(performer.name, round_id, ", ".join(spans) or None, score, margin)

    def _performers(self, tokens: Sequence[_Token], shielded: Set[int]) -> list[_Performer]:
        """Find everyone whose name is in the title, the best first."""
        # Words of the suffix are nobody's: a letter that is no word takes their place.
        words = [" " if at in shielded else token.word for at, token in enumerate(tokens)]
        breaks = {at for at, token in enumerate(tokens) if token.after_break}
        taken = _KNOWN_WORDS | self._edition_words | self._roster_words
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

    def _choose(self, performers: Sequence[_Performer]) -> tuple[Reason, str] | float:
        """Say why the best performer is not it, or by how much they are ahead of the next."""
        if not performers:
            return "no_performer", "no name of the roster"
        best = performers[0]
        if best.score < self._threshold:
            return "low_score", f"{best.name} {best.score:g} < {self._threshold:g}"
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
        self, tokens: Sequence[_Token], rest: Set[int], performer: str
    ) -> tuple[list[int], int]:
        """List the words that nothing explains, and count the misspelt edition words."""
        countries = {
            token.word
            for competitor in self._competitors
            if competitor.performer == performer
            for token in _tokenise(competitor.country or "")
        }
        left: list[int] = []
        misspelt = 0
        for at in sorted(rest):
            word = tokens[at].word
            if word in self._edition_words | countries or _ordinal(word) in self._edition_numbers:
                continue
            if self._is_misspelt_edition_word(word) and misspelt < MOST_MISSPELT_EDITION_WORDS:
                misspelt += 1
            elif word not in FILLERS or not self._near_edition_word(tokens, at):
                left.append(at)
        return left, misspelt

    def _is_misspelt_edition_word(self, word: str) -> bool:
        if word in _KNOWN_WORDS - COMPOSERS:
            return False
        return any(
            edits_between(word, known, most=most_edits(known)) is not None
            for known in self._edition_words
            if known.isalpha()
        )

    def _near_edition_word(self, tokens: Sequence[_Token], at: int) -> bool:
        """Whether `of`, `the` or the like stands among the edition's words."""
        near = range(max(0, at - 2), min(len(tokens), at + 3))
        return any(tokens[i].word in self._edition_words for i in near)
