"""What a title is made of besides names: its words, the phrases of rounds and the pieces of music.

What belongs here: the word lists, and finding a round or a piece among tokens. What does not: whose
title it is and whether it is taken (`titles`), and words of one competition or edition only, which
come from the edition's file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from data_collection.competition.editions import Round
from data_collection.competition.names import (
    APOSTROPHES,
    CLOSING_BRACKETS,
    HYPHENS,
    OPENING_BRACKETS,
    edits_between,
    fold,
    word_set,
)

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
CARDINALS: Mapping[str, str] = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
}  # fmt: skip
"""They count a round only after its noun: `two rounds` is not the second."""
AMBIGUOUS_ALONE = word_set(
    "premier premiere prima primo primera primero seconda secondo terza quarta quinta"
)
"""Ordinals that without a noun may be a première or a part of a duet, as `1st` may be a place."""
ROUND_NOUNS = word_set(
    "round stage etap etapu etapie runda rundzie phase faza fase runde ronda etape etapa epreuve "
    "prova"
)
LOOKALIKES = word_set(
    "rounds stages phases etapy etapow rundy fazy fases runden rondas etapes etapas firsts seconds "
    "thirds sound ground found bound hound mound pound wound around rounded rondo ronde state "
    "stale stake stave staged stager phrase chase face base case ease vase prove proof este "
    "forth thirst finalist finalists finales"
)
"""Words one letter from a round word; plurals too, since `2 rounds` is not the second."""
COMPOUND_ROUNDS: Mapping[tuple[str, str], str] = {
    (part, final): whole
    for whole, parts in (
        ("semifinal", ("semi", "demi", "pol", "halb")),
        ("quarterfinal", ("quarter", "cwierc", "viertel")),
    )
    for part in parts
    for final in ("final", "finals", "finale")
} | {("grand", "final"): "final", ("grand", "finals"): "final"}
SAME_ROUND_WORD: Mapping[str, str] = (
    {
        "finals": "final",
        "finale": "final",
        "preliminaries": "preliminary",
        "prelims": "preliminary",
        "eliminacje": "preliminary",
    }
    | {"".join(parts): whole for parts, whole in COMPOUND_ROUNDS.items()}
    | {whole + "s": whole for whole in ("semifinal", "quarterfinal")}
)
NAMED_ROUNDS = word_set("preliminary quarterfinal semifinal final")

COMPETITION_WORDS = word_set(
    "international piano pianist pianists competition competitions contest edition konkurs "
    "konkursu miedzynarodowy pianistyczny edycja concours wettbewerb concorso concurso"
)
"""What any competition calls itself. Not `national` or `junior`: those are other competitions."""
NAME_ENDINGS = word_set("a s owski owska owskiego owskiej owskim")
"""What is added to a name when a competition is called after it: `Chopina`, `Chopinowski`."""
FILLERS = word_set("the of in at im de la le from")
DECORATION = word_set(
    "hd uhd fhd fullhd hq 4k 8k live full uncut official video performance perform performs "
    "performed plays playing by recital solo"
)
"""Words that say how it was filmed, or that somebody plays: nothing about who or which round."""
TAG_WORDS = word_set("the classical music classicalmusic pianomusic youtube")
"""Words that explain a hashtag and nothing else."""
GUARD_WORDS = word_set(
    "interview interviews wywiad wywiady rozmowa entretien entrevista intervista portrait "
    "portraits portret portrety profile backstage kulisy coulisses announcement announcements "
    "ogloszenie zapowiedz results result wyniki ergebnisse resultats resultados risultati session "
    "sessions sesja sesje news aktualnosci wiadomosci rehearsal rehearsals proba proby repetition "
    "masterclass gala galakonzert winners winner prizewinner prizewinners prize prizes nagroda "
    "nagrody laureat laureaci laureatow laureates laureate laureats highlights highlight skrot "
    "trailer teaser zwiastun promo konferencja ceremony ceremonia opening inauguracja "
    "inauguration documentary dokument podcast vlog jury reaction recap compilation livestream "
    "studio speech award awards lesson lessons lekcja lekcje tutorial workshop excerpt excerpts "
    "fragment fragmenty analysis review commentary juror jurors jurorzy shorts"
)
GUARD_PHRASES = frozenset(
    tuple(phrase.split())
    for phrase in (
        *GUARD_WORDS, "behind the scenes", "za kulisami", "master class", "press conference",
        "best of", "live stream", "na zywo",
    )
)  # fmt: skip

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
    "con fuoco molto assai fortepianowy"
)
COMPOSERS = word_set(
    "chopin chopina bach mozart beethoven haydn schubert schumann liszt brahms debussy ravel "
    "rachmaninoff rachmaninov scriabin prokofiev tchaikovsky mendelssohn scarlatti bartok "
    "szymanowski paderewski stravinsky clementi"
)
COMPOSERS_GIVEN_NAMES = word_set(
    "frederic fryderyk fryderyka frederick franz ludwig van johann sebastian wolfgang amadeus "
    "robert johannes claude maurice sergei alexander joseph domenico felix"
)
CATALOGUES = word_set("op opus no nos nr bwv kv k d hob woo l s book zeszyt")
PIECE_CONNECTORS = word_set("in and i et & on a sur la de du from by")

SHORTEST_MISSPELT = 4
SHORTEST_MISSPELT_ALONE = 8

_TOKEN = re.compile(rf"[^\W_](?:[^\W_]|[\u0300-\u036f]|[{APOSTROPHES}](?=[^\W_]))*|[&+]")
_NOUN_AND_NUMBER = re.compile(r"([^\W\d_]+)(\d+)")
_BREAK = re.compile(rf"[|:;/\\•·~]|\s[{re.escape(HYPHENS)}]|[{re.escape(HYPHENS)}]+\s")
_BRACKET = re.compile(rf"[{re.escape(OPENING_BRACKETS + CLOSING_BRACKETS)}]")
_NUMBER = re.compile(r"\d{1,4}")
_ORDINAL_NUMBER = re.compile(r"(\d{1,3})(?:st|nd|rd|th|er|e|eme|a|o)?")
_ROMAN = re.compile(r"(?=[ivx])(x{0,3})(ix|iv|v?i{0,3})")
_RESOLUTION = re.compile(r"\d{3,4}p(?:\d\d)?|\d\dfps")
_ROMAN_ONES = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_ORDINAL_OF = {word: number for number, words in ORDINAL_WORDS.items() for word in words}
_NOUN = "@"
_MAY_STAND_ALONE = {w for w in (*_ORDINAL_OF, "finale") if w.isalpha()} - AMBIGUOUS_ALONE
KNOWN_WORDS = (
    ROUND_NOUNS | COMPETITION_WORDS | GENRES | PIECE_WORDS | COMPOSERS | CATALOGUES | NAMED_ROUNDS
    | frozenset(_ORDINAL_OF) | frozenset(CARDINALS) | GUARD_WORDS | LOOKALIKES | DECORATION
    | frozenset(SAME_ROUND_WORD)
)  # fmt: skip
"""Words with a meaning of their own: nobody's middle name and no misspelling of another."""


@dataclass(frozen=True)
class Token:
    """A folded word; `start` and `end` are where it stands in the title."""

    word: str
    start: int
    end: int
    segment: int
    after_break: bool
    tagged: bool = False


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


def tokenise(title: str) -> list[Token]:
    """Split a title, which is NFC; a segment ends at a bracket, a hashtag or a dash."""
    tokens: list[Token] = []
    segment = end = 0
    for found in _TOKEN.finditer(title):
        gap = title[end : found.start()]
        tagged = gap.endswith("#") and found[0][0].isalpha()
        after_break = tagged or bool(_BREAK.search(gap))
        segment += after_break or bool(_BRACKET.search(gap))
        word, start, end = fold(found[0]), found.start(), found.end()
        glued = _NOUN_AND_NUMBER.fullmatch(word)
        if glued and glued[1] in ROUND_NOUNS | {"op", "no", "nr"}:
            middle = start + len(glued[1])
            tokens.append(Token(glued[1], start, middle, segment, after_break))
            word, start, after_break = glued[2], middle, False
        tokens.append(Token(word, start, end, segment, after_break, tagged))
    return tokens


def ordinal(word: str) -> int | None:
    """Read `first`, `1st`, `1` or `I`."""
    if word in _ORDINAL_OF:
        return _ORDINAL_OF[word]
    number = _ORDINAL_NUMBER.fullmatch(word)
    if number:
        return int(number[1])
    roman = _ROMAN.fullmatch(word)
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
    if word in KNOWN_WORDS or len(word) < SHORTEST_MISSPELT:
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
    found: list[_RoundWord] = []
    at = 0
    while at < len(tokens):
        word = tokens[at].word
        pair = (word, tokens[at + 1].word) if at + 1 < len(tokens) else (word, "")
        if pair in COMPOUND_ROUNDS:
            found.append(_RoundWord(COMPOUND_ROUNDS[pair], (at, at + 1)))
        elif at and tokens[at - 1].word in ROUND_NOUNS:
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

    def __init__(self, rounds: Iterable[Round]) -> None:
        exact: defaultdict[_Pattern, set[str]] = defaultdict(set)
        loose: defaultdict[_Pattern, set[str]] = defaultdict(set)
        for round_ in rounds:
            for title_word in round_.title_words:
                stated, same = _patterns_of(title_word)
                exact[stated].add(round_.id)
                for pattern in same:
                    loose[pattern].add(round_.id)
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
                if misspelt is not None and positions <= free and _holds_together(span, tokens):
                    found.append(RoundPhrase(round_ids, positions, misspelt))
        return [p for p in found if not any(p.positions < other.positions for other in found)]


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


def _holds_together(span: Sequence[_RoundWord], tokens: Sequence[Token]) -> bool:
    """Whether a phrase is one where it stands, and not words of something else."""
    first = span[0]
    if len(span) > 1:
        # `Sonata 2 – round 1` is no second round.
        return not (first.word.isdigit() and tokens[span[1].positions[0]].after_break)
    at = first.positions[0]
    segment = [token for token in tokens if token.segment == tokens[at].segment]
    if ordinal(first.word) is not None or first.word == "finale":
        # A movement too is the second or the finale.
        names_a_piece = catalogued(tokens) or any(token.word in GENRES for token in tokens)
        return first.word in _MAY_STAND_ALONE and len(segment) == 1 and not names_a_piece
    # `Final Mazurka` is the last one; `final, Mazurka` is not.
    next_word = [token.word for token in segment if token.start == tokens[at].end + 1]
    return first.word != "final" or GENRES.isdisjoint(next_word)


def catalogued(tokens: Sequence[Token]) -> frozenset[int]:
    """Positions of numbers that count works, as in `Op. 10 No. 12`, and of `Op.` itself."""
    pairs = [
        {at, at + 1}
        for at, token in enumerate(tokens[:-1])
        if token.word in CATALOGUES and _NUMBER.fullmatch(tokens[at + 1].word)
    ]
    return frozenset().union(*pairs)


def piece_runs(tokens: Sequence[Token], free: Set[int]) -> list[range]:
    """Find stretches that are a piece of music: a genre or a work's number, and its details."""
    numbers = catalogued(tokens)
    runs: list[list[int]] = []
    for at in sorted(free):
        if not _is_piece_word(tokens, at) and at not in numbers:
            continue
        # `Haydn: Sonata` is one piece.
        same = tokens[at].segment == tokens[at - 1].segment or tokens[at - 1].word in COMPOSERS
        if runs and runs[-1][-1] == at - 1 and same:
            runs[-1].append(at)
        else:
            runs.append([at])
    trimmed = [_without_connectors(tokens, run) for run in runs]
    return [
        range(run[0], run[-1] + 1)
        for run in trimmed
        if any(tokens[at].word in GENRES or at in numbers for at in run)
    ]


def _is_piece_word(tokens: Sequence[Token], at: int) -> bool:
    word = tokens[at].word
    before = tokens[at - 1].word if at else ""
    after = tokens[at + 1].word if at + 1 < len(tokens) else ""
    if word in COMPOSERS | GENRES or word.removesuffix("s") in COMPOSERS:
        return not _names_a_competition(tokens, at)
    if word in PIECE_WORDS | PIECE_CONNECTORS:
        return True
    if word in COMPOSERS_GIVEN_NAMES:
        return after in COMPOSERS | COMPOSERS_GIVEN_NAMES
    if len(word) == 1 and word in "abcdefgh":
        return before == "in" or after in PIECE_WORDS | COMPOSERS
    counts = before in GENRES | {"and", "i", "&"} or _NUMBER.fullmatch(before)
    return bool(re.fullmatch(r"\d{1,2}", word) and (counts or after in GENRES))


def _names_a_competition(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word stands in `Tchaikovsky Piano Competition` or `Concerto Competition`.

    Such a word is no piece, and the competition perhaps another than the edition's.
    """
    contest = COMPETITION_WORDS - PIECE_WORDS
    segment = [token.word for token in tokens[at + 1 :] if token.segment == tokens[at].segment]
    after = takewhile(COMPETITION_WORDS.__contains__, segment)
    of_contest = at > 0 and tokens[at - 1].word in contest and tokens[at].word in COMPOSERS
    return of_contest or not contest.isdisjoint(after)


def _without_connectors(tokens: Sequence[Token], run: Sequence[int]) -> list[int]:
    """Leave out the `in` or `and` that a run starts or ends with."""
    telling = [at for at in run if tokens[at].word not in PIECE_CONNECTORS]
    return [at for at in run if telling and telling[0] <= at <= telling[-1]]
