"""Which works a wording means, or why that cannot be said.

What belongs here: weighing what a wording says against the known works. What does not: finding the
parts of a wording (`mentions`), and lines, stamps and descriptions (a tier's own business). Where
number, tonality, genre and nickname do not fit each other, nothing is read: a wrong work is far
worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from data_collection.repertoire.catalogue import (
    Catalogue,
    Work,
    catalogue,
    parent_key,
    phrase,
    readable_key,
)
from data_collection.repertoire.letters import word_set
from data_collection.repertoire.mentions import (
    Mention,
    Reference,
    composer_of_system,
    may_use,
    read_mentions,
)
from data_collection.repertoire.pieces import Piece, contains
from data_collection.repertoire.words import CARDINALS, COMPOSERS, GENRES, TEMPOS

MOST_UNEXPLAINED = 2
"""So many words of a wording may be unknown where a catalogue's number or a name is known."""
MOST_CHARACTERS = 600
SHORTEST_NAME_ALONE = 7
_SECONDARY = {
    "op": frozenset({"wn", "b"}), "kk": frozenset({"wn", "b"}), "wn": frozenset({"b"}),
    "k": frozenset({"l"}),
}  # fmt: skip
"""Catalogues that are not asked where the first one is quoted too."""
_PROLIFIC = frozenset({"scarlatti", "soler", "bach", "haydn", "mozart", "handel", "clementi"})
"""Who wrote several of a kind in one tonality."""
_SEVERAL_MOVEMENTS = word_set(
    "sonata concerto sonatine suite partita fantasy prelude+fugue variations rhapsody"
)
_PAIR = frozenset({"prelude", "fugue"})
"""Whose first movement a prelude is that is named alone, and the second a fugue."""
_WITH_TITLES = word_set("sonata concerto sonatine suite partita quintet")
_SIDES = re.compile(r"\s/\s|\s?\|\s?|\n|(?<=\d)/(?=[^\W\d_]{4})|\s//\s|(?<=[^\W\d_]{4})/(?=\s)")

Doubt = Literal["nothing", "unclear", "contradiction", "noise"]


@dataclass(frozen=True)
class Reading:
    """What a wording was read as.

    Attributes:
        pieces: the works; none where the wording is refused.
        doubt: why there are none; `nothing` where it does not speak of a work at all.
        because: the reason in words.
        candidates: works it may mean where it is unclear.
        composer: the only composer it names, also where it names no work.
        unexplained: words that say nothing known, of the language that has most of them; a reason
            to doubt a line of prose.
        movements: movements it names, for a line that names nothing else.
        is_tempo: whether there is a tempo in it.
        is_title: whether it is nothing but tempos and kinds, as a movement's title is.
    """

    pieces: tuple[Piece, ...] = ()
    doubt: Doubt | None = None
    because: str = ""
    candidates: tuple[Piece, ...] = ()
    composer: str | None = None
    unexplained: tuple[str, ...] = ()
    movements: tuple[int, ...] = ()
    is_tempo: bool = False
    is_title: bool = False


class _RefusalError(Exception):
    def __init__(self, doubt: Doubt, because: str, candidates: Iterable[Work] = ()) -> None:
        super().__init__(because)
        self.reading = Reading(
            doubt=doubt, because=because, candidates=tuple(work.piece() for work in candidates)
        )


def read_piece(text: str, *, default_composer: str | None) -> Piece | None:
    """Read a wording of one piece; None where it is no work, several, or in doubt.

    Args:
        text: such as `Etiuda c-moll op. 10 nr 12 / Etude in C minor, Op. 10 No. 12`.
        default_composer: whose works are meant where the wording names nobody.
    """
    pieces = read_pieces(text, default_composer=default_composer)
    return pieces[0] if len(pieces) == 1 else None


def read_pieces(text: str, *, default_composer: str | None) -> tuple[Piece, ...]:
    """Read a wording that may name several pieces, in its order; empty where it is in doubt."""
    return read_wording(text, default_composer=default_composer).pieces


def has_movements(piece: Piece) -> bool:
    """Whether a piece is all of a known sonata, concerto or suite."""
    work = catalogue().work(piece.composer, piece.work)
    return work is not None and piece.movement is None and bool(work.genres & _WITH_TITLES)


def read_wording(text: str, *, default_composer: str | None) -> Reading:
    """Read a wording and say why where nothing is read.

    Two languages are separated by ` / `, `|` or a line break and must mean the same; works that are
    separated so are told from them by their language and genre.
    """
    return _read(text, default_composer)


@lru_cache(maxsize=4096)
def _read(text: str, default_composer: str | None) -> Reading:
    if len(text) > MOST_CHARACTERS:
        return Reading(doubt="nothing", because=f"longer than {MOST_CHARACTERS} characters")
    books = catalogue()
    sides = _sides(text)
    read = [(read_mentions(side, books)) for side in sides]
    mentions = [mention for side in read for mention in side]
    if not mentions:
        return Reading(doubt="nothing", because="no words")
    composers = _share_composers(mentions)
    facts = _facts(mentions, composers, read)
    if not any(mention.names_a_work for mention in mentions):
        return replace(facts, doubt="nothing", because="it names no work")
    noise = [word for mention in mentions for word in mention.noise]
    if noise:
        return replace(facts, doubt="noise", because=f"it is prose: {', '.join(noise[:3])}")
    try:
        pieces = _combine(
            [_side(side, default_composer, books) for side in read if _tells(side)],
            [side for side in read if _tells(side)],
        )
    except _RefusalError as refusal:
        refused = refusal.reading
        return replace(
            facts, doubt=refused.doubt, because=refused.because, candidates=refused.candidates
        )
    if len(facts.unexplained) > MOST_UNEXPLAINED and _is_known(pieces, books):
        words = ", ".join(facts.unexplained[:5])
        return replace(facts, doubt="unclear", because=f"too many unknown words: {words}")
    numbers = [word for word in facts.unexplained if word.isdigit()]
    if numbers:
        return replace(
            facts, doubt="unclear", because=f"a number without a meaning: {', '.join(numbers)}"
        )
    return replace(facts, pieces=pieces)


def _sides(text: str) -> list[str]:
    """Cut at what separates languages or works, but not within brackets."""
    sides, start, depth, seen = [], 0, 0, 0
    for found in _SIDES.finditer(text):
        gap = text[seen : found.start()]
        depth = max(0, depth + gap.count("(") + gap.count("[") - gap.count(")") - gap.count("]"))
        seen = found.start()
        if not depth:
            sides.append(text[start : found.start()])
            start = found.end()
    return [side for side in [*sides, text[start:]] if side.strip()]


def _is_known(pieces: Iterable[Piece], books: Catalogue) -> bool:
    return any(books.knows(piece.composer) for piece in pieces)


def _tells(side: Sequence[Mention]) -> bool:
    return any(mention.names_a_work for mention in side)


def _share_composers(mentions: Sequence[Mention]) -> list[str]:
    """Let a composer named once count for the whole wording."""
    named: list[str] = []
    _lend_to_next(mentions)
    for mention in mentions:
        named += [slug for slug in mention.composers if slug not in named]
    current: list[str] = []
    for mention in mentions:
        current = mention.composers or current
        mention.composers = list(current)
    for mention in mentions:
        mention.composers = mention.composers or named
    return named


def _lend_to_next(mentions: Sequence[Mention]) -> None:
    """Join `Bach / Busoni: Chaconne`, where a side is nothing but a composer."""
    for mention, following in pairwise(mentions):
        if mention.composers and not mention.names_a_work and not mention.unexplained:
            own = [slug for slug in following.composers if slug not in mention.composers]
            following.composers = [*mention.composers, *own]


def _facts(
    mentions: Sequence[Mention], composers: Sequence[str], sides: Sequence[Sequence[Mention]]
) -> Reading:
    unexplained = [tuple(word for m in side for word in m.unexplained) for side in sides]
    return Reading(
        composer=composers[0] if len(composers) == 1 else None,
        unexplained=max(unexplained, key=len, default=()),
        movements=tuple(number for mention in mentions for number in mention.movements),
        is_tempo=any(mention.tempos for mention in mentions),
        is_title=all(mention.is_title for mention in mentions),
    )


@dataclass(frozen=True)
class _Side:
    """What one mention was read as; `unclear` where only candidates are known."""

    pieces: tuple[Piece, ...]
    unclear: _RefusalError | None = None


def _side(side: Sequence[Mention], default: str | None, books: Catalogue) -> list[_Side]:
    read = []
    genres: list[str] = []
    for mention in side:
        if not mention.genres and mention.references and not mention.names:
            mention.genres = list(genres)
        genres = mention.genres or genres
        if not mention.names_a_work:
            continue
        try:
            read.append(_Side(tuple(_Resolver(mention, default, books).pieces())))
        except _RefusalError as refusal:
            if refusal.reading.doubt != "unclear":
                raise
            read.append(_Side((), refusal))
    return read


def _combine(
    sides: Sequence[Sequence[_Side]], read: Sequence[Sequence[Mention]]
) -> tuple[Piece, ...]:
    """Bring the sides together: the same work in two languages, or several works.

    Raises:
        _RefusalError: two languages contradict each other, or nothing tells one side from another.
    """
    if len(sides) == 1:
        return _all_of(sides[0])
    merged = list(sides[0])
    spoken = read[0]
    for side, mentions in zip(sides[1:], read[1:], strict=True):
        agreed = _agreed(merged, side)
        if agreed is not None:
            merged = agreed
            continue
        if not _are_several(spoken, mentions):
            raise _RefusalError("contradiction", _disagreement(merged, side))
        merged += side
        spoken = mentions
    return _all_of(merged)


def _all_of(side: Sequence[_Side]) -> tuple[Piece, ...]:
    for part in side:
        if part.unclear:
            raise part.unclear
    pieces = [piece for part in side for piece in part.pieces]
    known: dict[tuple[str, str, str | None], Piece] = {}
    for piece in pieces:
        known.setdefault(piece.identity, piece)
    return tuple(known.values())


def _agreed(one: Sequence[_Side], other: Sequence[_Side]) -> list[_Side] | None:
    """What two languages say together, the clearer of the two; None where they differ."""
    if len(one) != len(other):
        whole = {p.identity for part in one for p in part.pieces}
        return list(one) if whole == {p.identity for part in other for p in part.pieces} else None
    agreed = []
    for mine, theirs in zip(one, other, strict=True):
        if {p.identity for p in mine.pieces} == {p.identity for p in theirs.pieces} and mine.pieces:
            agreed.append(mine)
        elif mine.unclear and theirs.pieces and _allows(mine.unclear, theirs.pieces):
            agreed.append(theirs)
        elif theirs.unclear and mine.pieces and _allows(theirs.unclear, mine.pieces):
            agreed.append(mine)
        elif mine.unclear and theirs.unclear:
            agreed.append(_narrowed(mine.unclear, theirs.unclear))
        elif len(mine.pieces) == len(theirs.pieces) == 1 and _same_but_movement(mine, theirs):
            agreed.append(mine if mine.pieces[0].movement else theirs)
        else:
            return None
    return agreed


def _same_but_movement(mine: _Side, theirs: _Side) -> bool:
    one, other = mine.pieces[0], theirs.pieces[0]
    return (one.composer, one.work) == (other.composer, other.work) and None in (
        one.movement,
        other.movement,
    )


def _allows(unclear: _RefusalError, pieces: Sequence[Piece]) -> bool:
    candidates = unclear.reading.candidates
    return not candidates or all(
        any(contains(candidate, piece) or contains(piece, candidate) for candidate in candidates)
        for piece in pieces
    )


def _narrowed(mine: _RefusalError, theirs: _RefusalError) -> _Side:
    """Two languages that each leave it open may settle it together."""
    keys = {piece.identity for piece in theirs.reading.candidates}
    both = [piece for piece in mine.reading.candidates if piece.identity in keys]
    return _Side((both[0],)) if len(both) == 1 else _Side((), mine)


def _are_several(one: Sequence[Mention], other: Sequence[Mention]) -> bool:
    """Whether two sides are two works and not two languages that contradict each other."""
    mine = frozenset.intersection(*(m.languages for m in one))
    theirs = frozenset.intersection(*(m.languages for m in other))
    if not mine & theirs:
        return False
    genres = {g for m in one for g in m.genres}, {g for m in other for g in m.genres}
    if not genres[0] & genres[1]:
        return True
    return mine == theirs and len(mine) <= 2


def _disagreement(one: Sequence[_Side], other: Sequence[_Side]) -> str:
    mine, theirs = (
        ", ".join(piece.work for part in side for piece in part.pieces) or "something else"
        for side in (one, other)
    )
    return f"one side means {mine}, the other {theirs}"


class _Resolver:
    """Finds the works of one mention."""

    def __init__(self, mention: Mention, default: str | None, books: Catalogue) -> None:
        self.mention = mention
        self.books = books
        self.default = default
        self.genres = frozenset(mention.genres)
        self.composer = self._composer()

    def pieces(self) -> list[Piece]:
        """Give the pieces.

        Raises:
            _RefusalError: the mention contradicts itself or does not tell.
        """
        if self.composer is None:
            raise _RefusalError("nothing", "it names no composer")
        self._refuse_strange_numbers()
        usable = [r for r in self.mention.references if may_use(r.key, self.composer)]
        if self.mention.references and not usable:
            key = readable_key(self.mention.references[0].key)
            raise _RefusalError("contradiction", f"{self.composer} has no {key}")
        usable = self._without_announced(usable)
        found = [self._by_reference(reference) for reference in usable]
        if not found:
            found = [self._by_description()]
        pieces = self._counted(self._reconciled(found, usable))
        return [piece for one in pieces for piece in self._with_movements(one)]

    def _refuse_strange_numbers(self) -> None:
        """Refuse a `Book II` that no work of the composer has; words alone may be anything."""
        own = {name for name, work in self.mention.names if work.composer == self.composer}
        for name, _ in self.mention.names:
            if name not in own and name[-1].isdigit() and "-" not in (self.composer or ""):
                raise _RefusalError("unclear", f"{' '.join(name)} is not known of {self.composer}")

    def _without_announced(self, references: Sequence[Reference]) -> list[Reference]:
        """Leave out the set where another catalogue tells the number: `Op. 90 No. 3, D. 899`."""
        composer = self.composer or ""
        sets = {
            self.books.canonical(composer, f"{r.key}-no{r.items[0]}").rpartition("-no")[0]
            for r in references
            if r.items
        }
        systems = {_system(r.key) for r in references}
        minor = frozenset().union(*(_SECONDARY[system] for system in systems & _SECONDARY.keys()))
        references = [r for r in references if _system(r.key) not in minor]
        kept = [
            r for r in references if r.items or self.books.canonical(composer, r.key) not in sets
        ]
        return kept or list(references)

    def _composer(self) -> str | None:
        named = self.mention.composers
        if len(named) > 1:
            return self._composer_of_transcription(named)
        if named:
            return named[0]
        strange = [r for r in self.mention.references if not may_use(r.key, self.default or "")]
        own = {slug for r in strange if (slug := composer_of_system(r.key))}
        if len(own) == 1:
            return own.pop()
        default = self.default
        strong = {
            w.composer
            for n, w in self.mention.names
            if self._is_strong(n, w) and not all(word in TEMPOS for word in n)
        }
        theirs = default is None or default not in {w.composer for _, w in self.mention.names}
        alone = len(strong) == 1 and not self.mention.unexplained
        if theirs and alone and (default is None or not self.mention.references):
            return strong.pop()
        return default

    def _composer_of_transcription(self, named: Sequence[str]) -> str:
        joined = "-".join(named[:3])
        if self.books.knows(joined):
            return joined
        titled = {w.composer for _, w in self.mention.names} & set(named)
        return titled.pop() if len(titled) == 1 else joined

    def _is_strong(self, name: tuple[str, ...], work: Work) -> bool:
        """Whether a name tells the work without a genre beside it."""
        if all(word in COMPOSERS or word in GENRES for word in name):
            return False
        return len(name) > 1 or not work.genres or len(name[0]) >= SHORTEST_NAME_ALONE

    def _names(self) -> list[Work]:
        return [
            work
            for name, work in self.mention.names
            if work.composer == self.composer
            and not (self.mention.references and all(word in TEMPOS for word in name))
            and (self._genre_fits(work) or len(name) > 1)
            and (
                self.genres
                or self.mention.references
                or self._is_strong(name, work)
                or len(self.mention.names) > 1
            )
        ]

    def _by_reference(self, reference: Reference) -> list[Piece]:
        composer = self.composer or ""
        key = self.books.canonical(composer, reference.key)
        items = reference.items or self._number_as_item(key)
        if not items:
            return [self._whole(reference.key, key)]
        return [
            self._item(self.books.canonical(composer, f"{reference.key}-no{n}"), n) for n in items
        ]

    def _number_as_item(self, key: str) -> tuple[int, ...]:
        """Read `Etude No. 5, Op. 10`: a number of the set or, as in `Nocturne No. 13`, of all."""
        members = self.books.members(self.composer or "", key)
        numbers = self.mention.numbers
        if not numbers or not members:
            return ()
        by_set = [w for n in numbers for w in members if w.key == f"{key}-no{n}"]
        by_genre = [w for n in numbers for w in members if n in w.numbers]
        fitting = [
            ws for ws in (by_set, by_genre) if len(ws) == len(numbers) and all(map(self._fits, ws))
        ]
        keys = {tuple(w.key for w in ws) for ws in fitting}
        if len(keys) == 1:
            return tuple(int(k.rpartition("no")[2]) for k in keys.pop())
        doubt: Doubt = "unclear" if keys else "contradiction"
        raise _RefusalError(
            doubt,
            f"No. {numbers[0]} and {readable_key(key)} do not tell which it is",
            by_set + by_genre,
        )

    def _item(self, key: str, number: int) -> Piece:
        work = self.books.work(self.composer or "", key)
        parent = parent_key(key) or key
        if work:
            self._require_fit(work)
            return work.piece()
        if self.books.members(self.composer or "", parent):
            raise _RefusalError("contradiction", f"{readable_key(parent)} has no No. {number}")
        whole = self.books.work(self.composer or "", parent)
        if whole and whole.genres & _SEVERAL_MOVEMENTS:
            raise _RefusalError("contradiction", f"{readable_key(parent)} has no numbers")
        return self._unlisted(key)

    def _whole(self, written: str, key: str) -> Piece:
        composer = self.composer or ""
        members = self.books.members(composer, key)
        work = self.books.work(composer, key)
        books = [w for w in self._names() if parent_key(w.key) == key and "-book" in w.key]
        if len({w.key for w in books}) == 1:
            work = books[0]
        elif members:
            return self._set(key, work, members)
        if work is None:
            return self._unlisted(key)
        self._require_fit(work)
        return work.piece()

    def _set(self, key: str, work: Work | None, members: Sequence[Work]) -> Piece:
        """A set played whole, or the number of it that tonality or nickname tells."""
        named = {w.key for w in self._names()}
        telling = [
            w for w in members
            if self._fits(w) and (self.mention.tonalities or w.key in named)
        ]  # fmt: skip
        if len(telling) == 1:
            self._require_fit(telling[0])
            return telling[0].piece()
        if self.mention.tonalities or self.mention.selection:
            doubt: Doubt = "unclear" if telling or self.mention.selection else "contradiction"
            raise _RefusalError(doubt, f"which of {readable_key(key)}?", telling or members)
        if self.mention.count and self.mention.count != len(members):
            raise _RefusalError(
                "unclear",
                f"{self.mention.count} of the {len(members)} of {readable_key(key)}",
                members,
            )
        titled = work is not None and (key in named or not work.genres)
        fitting = not self.genres or any(self._genre_fits(w) for w in members) or titled
        if not fitting:
            raise _RefusalError("contradiction", f"{readable_key(key)} is none of the kind")
        if not (self.mention.plural or self.mention.count or titled):
            raise _RefusalError("unclear", f"which of {readable_key(key)}?", members)
        return work.piece() if work else _set_piece(self.composer or "", key, members)

    def _unlisted(self, key: str) -> Piece:
        """A work that the tables lack, taken at its number unless the table lacks nothing."""
        composer = self.composer or ""
        self._refuse_namesake()
        if self.books.is_complete(composer, self.genres):
            raise _RefusalError(
                "contradiction", f"{composer} has no such work: {readable_key(key)}"
            )
        strangers = [w for w in self._names() if len(w.names[0]) > 1 or not w.genres]
        if strangers:
            raise _RefusalError(
                "contradiction", f"{strangers[0].title} is not {readable_key(key)}", strangers
            )
        return Piece(composer=composer, work=key, title=_tidy(self.mention.wording) or key)

    def _refuse_namesake(self) -> None:
        """Refuse `Jane Weber – Ballade, Op. 52` where Chopin is meant: she only has a name like it.

        Another composer than the expected one is believed where the work is known to be theirs.
        """
        if self.default not in (None, self.composer):
            raise _RefusalError(
                "unclear", f"no such work of {self.composer} is known, and {self.default} is meant"
            )

    def _genre_fits(self, work: Work) -> bool:
        if not self.genres or not work.genres:
            return True
        parent = self.books.work(work.composer, parent_key(work.key) or "")
        related = (work, parent) if parent else (work,)
        named = {g for w in related for name in w.names for word in name for g in _genres_of(word)}
        named |= parent.genres if parent else frozenset()
        return bool(self.genres & (work.genres | named)) and self.genres <= (
            work.genres | named | _ASIDE
        )

    def _tonality_fits(self, work: Work) -> bool:
        told = self.mention.tonalities
        return (
            not told
            or not work.tonalities
            or any(mine.fits(its) for mine in told for its in work.tonalities)
        )

    def _tonality_is(self, work: Work) -> bool:
        """Whether a work is in the tonality that is told; `in D flat` alone means major."""
        told = [
            t if t.minor is not None else replace(t, minor=False) for t in self.mention.tonalities
        ]
        return not told or any(mine.fits(its) for mine in told for its in work.tonalities)

    def _number_fits(self, work: Work) -> bool:
        numbers = self.mention.numbers
        if not numbers or not work.numbers:
            return True
        own = re.search(r"(?:-no|hob-xvi-)(\d+)$", work.key)
        return any(n in work.numbers or (own and str(n) == own[1]) for n in numbers)

    def _fits(self, work: Work) -> bool:
        return self._genre_fits(work) and self._tonality_fits(work) and self._number_fits(work)

    def _require_fit(self, work: Work) -> None:
        """Refuse a number whose work is another than the rest of the wording says."""
        if not self._genre_fits(work):
            said = " ".join(self.mention.genres)
            raise _RefusalError("contradiction", f"{work.title} is no {said}", (work,))
        if not self._tonality_fits(work):
            raise _RefusalError(
                "contradiction",
                f"{work.title} is not in {self.mention.tonalities[0]}",
                (work,),
            )
        if not self._number_fits(work):
            raise _RefusalError(
                "contradiction", f"{work.title} is not No. {self.mention.numbers[0]}", (work,)
            )
        names = [w for w in self._names() if w.genres & work.genres or not w.genres]
        if names and not any(_related(w.key, work.key) for w in names) and not self._is_list():
            raise _RefusalError("contradiction", f"{names[0].title} is not {work.title}", names)

    def _is_list(self) -> bool:
        references = self.mention.references
        return len(references) > 1 or any(len(r.items) > 1 for r in references)

    def _by_description(self) -> list[Piece]:
        """Find a work by nickname, genre, number and tonality where no catalogue is quoted."""
        named = self._names()
        if named:
            return self._by_name(named)
        if not self.genres:
            raise _RefusalError("nothing", "it names no work")
        if self.mention.plural and not (self.mention.numbers or self.mention.count):
            raise _RefusalError("unclear", "it names a kind of work, none in particular")
        if self.mention.plural and not self.mention.numbers:
            return [self._set_by_count()]
        numbers = self.mention.numbers or (None,)
        return [self._described(number) for number in numbers]

    def _by_name(self, named: Sequence[Work]) -> list[Piece]:
        numbers = self.mention.numbers
        fitting = [w for w in named if self._genre_fits(w) and self._tonality_fits(w)]
        if not fitting:
            raise _RefusalError("contradiction", f"the rest does not fit {named[0].title}", named)
        sets = [w for w in fitting if self.books.members(w.composer, w.key)]
        whole = sets and not (numbers or self.mention.plural)
        if whole and self.genres and len(fitting) == 1:
            raise _RefusalError("unclear", f"which of {sets[0].title}?", sets)
        if sets and self.mention.tonalities and len(fitting) == len(sets):
            return [
                self._set(sets[0].key, sets[0], self.books.members(sets[0].composer, sets[0].key))
            ]
        if numbers and sets:
            members = [f"{w.key}-no{n}" for w in sets[:1] for n in numbers]
            return [self._item(key, int(key.rpartition("no")[2])) for key in members]
        by_number = [w for w in fitting if self._number_fits(w)]
        if not by_number:
            raise _RefusalError(
                "contradiction", f"{fitting[0].title} is not No. {numbers[0]}", fitting
            )
        return self._most_specific(by_number)

    def _most_specific(self, works: Sequence[Work]) -> list[Piece]:
        """Keep what is named within a set that is named too; all of a set are the set."""
        unique = list({(w.key, w.movement): w for w in works}.values())
        own = {g for name, _ in self.mention.names for word in name for g in _genres_of(word)}
        exact = [w for w in unique if w.genres == self.genres and not self.genres <= own]
        if len(exact) == 1 and len({w.key for w in unique}) > 1 and self.genres:
            unique = exact
        wholes = [
            w for w in unique
            if any(w is not o and contains(w.piece(), o.piece()) for o in unique)
        ]  # fmt: skip
        parts = [w for w in unique if w not in wholes]
        if (
            wholes
            and len(parts) == max(len(self.books.members(w.composer, w.key)) for w in wholes) > 0
        ):
            return [wholes[0].piece()]
        longest = max((len(n) for n, w in self.mention.names if w in parts), default=0)
        several = len({n for n, w in self.mention.names if w in parts}) > 1
        if len(parts) > 1 and not several:
            if wholes:
                return [wholes[0].piece()]
            raise _RefusalError("unclear", "the name is that of several works", parts)
        if len(parts) > 1 and wholes and longest and len(parts) >= 3:
            movements = [w for w in self.books.works_of(parts[0].composer) if w.key == parts[0].key]
            if len(movements) - 1 == len(parts) and parts[0].movement:
                return [wholes[0].piece()]
        if (
            len(parts) > 1
            and any(w.genres and not w.movement for w in parts)
            and not self.mention.plural
        ):
            raise _RefusalError("contradiction", f"{parts[0].title} is not {parts[1].title}", parts)
        return [w.piece() for w in parts]

    def _set_by_count(self) -> Piece:
        """Find `24 Preludes`: the only set of so many."""
        composer = self.composer or ""
        parents = {
            parent
            for w in self.books.works_of(composer)
            if w.genres == self.genres and (parent := parent_key(w.key))
        }
        fitting = [p for p in parents if len(self.books.members(composer, p)) == self.mention.count]
        if len(fitting) == 1:
            work = self.books.work(composer, fitting[0])
            return (
                work.piece()
                if work
                else _set_piece(composer, fitting[0], self.books.members(composer, fitting[0]))
            )
        raise _RefusalError("unclear", f"which {self.mention.count} works is not said")

    def _described(self, number: int | None) -> Piece:
        composer = self.composer or ""
        works = [w for w in self.books.works_of(composer) if w.genres == self.genres]
        candidates = [
            w for w in works
            if self._tonality_is(w)
            and (number is None or number in w.numbers)
            and (not self.mention.posthumous or w.is_posthumous)
            and (w.tonalities or not self.mention.tonalities)
            and w.movement is None
        ]  # fmt: skip
        complete = self.books.is_complete(composer, self.genres)
        lone = len(works) == 1 and not works[0].numbers
        told = bool(number or self.mention.tonalities or self.mention.posthumous)
        if not told and self.genres <= _ASIDE:
            raise _RefusalError("unclear", "it may be a movement", candidates)
        if len(candidates) == 1 and (lone or number or (complete and (told or len(works) == 1))):
            return candidates[0].piece()
        if len(candidates) > 1:
            keys = ", ".join(w.key for w in candidates[:4])
            raise _RefusalError("unclear", f"it may be any of {keys}", candidates)
        if complete:
            raise _RefusalError("contradiction", f"{composer} wrote no such work")
        if works or (len(self.genres) > 1 and self.books.knows(composer)):
            raise _RefusalError(
                "unclear", "without a catalogue's number it is not told from others"
            )
        return self._slug(number)

    def _slug(self, number: int | None) -> Piece:
        """Name a work that is in no table by what the wording says of it."""
        mention = self.mention
        self._refuse_namesake()
        if not mention.composers:
            raise _RefusalError("unclear", "a work that is not known, by nobody who is named")
        told = [str(t).lower().replace(" ", "-") for t in mention.tonalities[:1]]
        extra = [w for w in mention.unexplained if w.isalpha()]
        if not (number or extra or (told and self.composer not in _PROLIFIC)):
            raise _RefusalError("unclear", "it names a kind of work, none in particular")
        parts = ["-".join(mention.genres), *([f"no{number}"] if number else []), *told, *extra[:4]]
        return Piece(
            composer=self.composer or "",
            work="-".join(parts),
            title=_tidy(mention.wording) or parts[0],
        )

    def _reconciled(
        self, found: Sequence[Sequence[Piece]], references: Sequence[Reference]
    ) -> list[Piece]:
        """Bring together what two catalogues say of one work; several of one catalogue add up."""
        pieces: list[Piece] = []
        for step, group in enumerate(found):
            for piece in group:
                if any(
                    piece.identity == known.identity or contains(piece, known) for known in pieces
                ):
                    continue
                wider = [known for known in pieces if contains(known, piece)]
                if wider:
                    pieces[pieces.index(wider[0])] = piece
                    continue
                if pieces and step and _system(references[step].key) != _system(references[0].key):
                    raise _RefusalError(
                        "contradiction", f"{pieces[0].work} and {piece.work} are two works"
                    )
                pieces.append(piece)
        return pieces

    def _counted(self, pieces: list[Piece]) -> list[Piece]:
        """Hold `3 Mazurkas` against how many are named; all 24 of `24 Preludes` are the set."""
        count = self.mention.count
        listed = any(r.items for r in self.mention.references)
        if not (count and listed and len(pieces) > 1):
            return pieces
        key = parent_key(pieces[0].work) or ""
        members = self.books.members(pieces[0].composer, key)
        if [piece.work for piece in pieces] == [work.key for work in members]:
            work = self.books.work(pieces[0].composer, key)
            return [work.piece() if work else _set_piece(pieces[0].composer, key, members)]
        if count not in (len(pieces), len(members)):
            raise _RefusalError("contradiction", f"{count} are announced, {len(pieces)} named")
        return pieces

    def _with_movements(self, piece: Piece) -> list[Piece]:
        numbers = sorted(set(self.mention.movements))
        work = self.books.work(piece.composer, piece.work)
        kinds = work.genres if work is not None else self.genres
        if kinds == _PAIR and len(self.genres) == 1 and not numbers:
            half = "1" if "prelude" in self.genres else "2"
            return [piece.model_copy(update={"movement": half})]
        single = bool(kinds) and not kinds & _SEVERAL_MOVEMENTS
        in_part = self.mention.selection or self.mention.part
        cycle = work is not None and not kinds and not self.mention.references
        strange = set(self.mention.unexplained) - set(phrase(piece.title)) - CARDINALS.keys()
        in_part = in_part or (cycle and bool(strange))
        if in_part and not numbers and not single and not piece.movement:
            raise _RefusalError("unclear", f"a part of {piece.title}, and not which", [])
        if not numbers or piece.movement or single:
            return [piece]
        if numbers[0] == 1 and len(numbers) >= 3 and numbers == list(range(1, len(numbers) + 1)):
            return [piece]
        if numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 1:
            return [piece.model_copy(update={"movement": f"{numbers[0]}-{numbers[-1]}"})]
        return [piece.model_copy(update={"movement": str(number)}) for number in numbers]


_ASIDE = frozenset({"march", "fugue", "romance", "scherzo", "rondo", "variation", "variations"})
"""Kinds that are also movements and so contradict no other."""


def _genres_of(word: str) -> tuple[str, ...]:
    return (GENRES[word].name,) if word in GENRES else ()


def _related(one: str, other: str) -> bool:
    return one == other or parent_key(one) == other or parent_key(other) == one


def _system(key: str) -> str:
    found = re.match(r"[a-z]+", key)
    return found[0] if found else key


def _set_piece(composer: str, key: str, members: Sequence[Work]) -> Piece:
    genres = sorted({"-".join(sorted(w.genres)) for w in members})
    kind = genres[0].replace("-", " ").title() + "s" if len(genres) == 1 and genres[0] else "Pieces"
    return Piece(composer=composer, work=key, title=f"{len(members)} {kind}, {readable_key(key)}")


def _tidy(wording: str) -> str:
    return " ".join(wording.split()).strip(" -–—,;:./|")
