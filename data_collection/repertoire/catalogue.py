"""The works that are known, from the tables in `works/`: numbers, tonalities, nicknames.

What belongs here: reading the tables and looking works up. What does not: wordings (`mentions`,
`reading`). A row is a fact of the repertoire; a set is known by its numbers and needs a row only
where it has a name of its own.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from data_collection.repertoire.letters import plain, tokenise
from data_collection.repertoire.pieces import Piece
from data_collection.repertoire.words import BOOK_WORDS, CARDINALS, ORDINALS, ROMANS, Speller

TABLES = Path(__file__).parent / "works"
PITCH_CLASSES: Mapping[str, int] = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
COMPLETE: Mapping[str, frozenset[str] | None] = {
    "chopin": None,
    "beethoven": frozenset({"sonata", "concerto"}),
    "mozart": frozenset({"sonata", "concerto"}),
    "schubert": frozenset({"sonata", "impromptu", "moment-musical"}),
    "scriabin": frozenset({"sonata"}),
    "prokofiev": frozenset({"sonata", "concerto"}),
    "rachmaninoff": frozenset({"sonata", "concerto", "prelude", "etude-tableau"}),
    "brahms": frozenset({"sonata", "concerto"}),
    "liszt": frozenset({"sonata", "concerto"}),
    "schumann": frozenset({"sonata", "concerto"}),
    "bach": frozenset({"partita", "toccata"}),
    "ravel": frozenset({"concerto", "sonatine"}),
    "bartok": frozenset({"concerto"}),
    "grieg": frozenset({"concerto", "ballade"}),
}
"""Of what a composer's table lacks nothing; None: everything. What it lacks there is an error."""
_TONALITY = re.compile(r"([A-G])(-sharp|-flat)? (major|minor)")
_PARENT = re.compile(r"(.+)-(?:no|book)\d+")


@dataclass(frozen=True)
class Tonality:
    """A key; `minor` is None where only the note is told."""

    note: str
    sharps: int
    minor: bool | None

    def fits(self, other: Tonality) -> bool:
        """Whether they sound the same and do not contradict each other on the mode."""
        apart = (
            PITCH_CLASSES[self.note] + self.sharps - PITCH_CLASSES[other.note] - other.sharps
        ) % 12
        return not apart and (None in (self.minor, other.minor) or self.minor == other.minor)

    def __str__(self) -> str:
        accidental = {-1: "-flat", 0: "", 1: "-sharp"}[self.sharps]
        mode = {None: "", True: " minor", False: " major"}[self.minor]
        return f"{self.note}{accidental}{mode}"


def tonality(text: str) -> Tonality:
    """Read a table's `C-sharp minor`.

    Raises:
        ValueError: it is none.
    """
    found = _TONALITY.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no tonality")
    return Tonality(found[1], {"-sharp": 1, "-flat": -1, None: 0}[found[2]], found[3] == "minor")


@dataclass(frozen=True)
class Work:
    """A row: a work, one of a set, a set with a name, or a movement with one.

    `genres` are several in `Polonaise-Fantasy`; `numbers` are within the genre, several where
    editions count differently, as are `tonalities`; `names` are phrases of folded words.
    """

    composer: str
    key: str
    movement: str | None = None
    genres: frozenset[str] = frozenset()
    numbers: frozenset[int] = frozenset()
    tonalities: tuple[Tonality, ...] = ()
    also: tuple[str, ...] = ()
    names: tuple[tuple[str, ...], ...] = ()
    title: str = ""

    @property
    def is_posthumous(self) -> bool:
        """Whether it was published after the composer's death, of Chopin's works only."""
        opus = re.match(r"op(\d+)", self.key)
        return self.composer == "chopin" and (int(opus[1]) >= 66 if opus else True)

    def piece(self, movement: str | None = None) -> Piece:
        """Give the piece of this row."""
        return Piece(
            composer=self.composer,
            work=self.key,
            movement=self.movement or movement,
            title=self.title,
        )


@dataclass
class _Shelf:
    """All works of one composer."""

    works: list[Work] = field(default_factory=list)
    by_key: dict[str, Work] = field(default_factory=dict)
    members: defaultdict[str, list[Work]] = field(default_factory=lambda: defaultdict(list))
    alias_of: dict[str, str] = field(default_factory=dict)


def phrase(text: str) -> tuple[str, ...]:
    """Fold a name as wordings are folded: plain words, `Book II` as `book 2`."""
    return tuple(number_books([token.word for token in tokenise(plain(text))]))


def number_books(words: Sequence[str]) -> list[str]:
    """Write `Book II`, `zeszyt 2` and `deuxième livre` in one way: `book 2`."""
    numbered = list(words)
    for at, word in enumerate(words):
        if word not in BOOK_WORDS:
            continue
        before, after = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
        number = ROMANS.get(after) or CARDINALS.get(after) or {"one": 1}.get(after)
        if before in ORDINALS and not number and not after.isdigit():
            numbered[at - 1 : at + 1] = ["book", str(ORDINALS[before])]
        else:
            numbered[at] = "book"
            if number:
                numbered[at + 1] = str(number)
    return numbered


def parent_key(key: str) -> str | None:
    """The set a number belongs to: `op10` of `op10-no12`."""
    found = _PARENT.fullmatch(key)
    return found[1] if found else None


def readable_key(key: str) -> str:
    """Write `op10-no12` as `Op. 10 No. 12`."""
    hoboken = re.fullmatch(r"hob-([ivx]+)-(\d+)", key)
    if hoboken:
        return f"Hob. {hoboken[1].upper()}:{hoboken[2]}"
    kobylanska = re.fullmatch(r"kk-(?:(anh)-)?([ivx]+)([a-c]?)-(\d+)(?:-no(\d+))?", key)
    if kobylanska:
        annex, roman, letter, number, item = kobylanska.groups()
        shown = f"KK {'Anh. ' if annex else ''}{roman.upper()}{letter}/{number}"
        return f"{shown} No. {item}" if item else shown
    found = re.fullmatch(r"([a-z]+?)(\d+)([a-d]?)(?:-(?:no|book)(\d+))?", key)
    if not found:
        return key.replace("-", " ").title()
    system = {"op": "Op. ", "bwv": "BWV ", "woo": "WoO ", "sz": "Sz. ", "hwv": "HWV "}.get(
        found[1], f"{found[1].upper()}. "
    )
    part = " Book " if "-book" in key else " No. "
    return f"{system}{found[2]}{found[3]}" + (f"{part}{found[4]}" if found[4] else "")


def _default_title(genres: str, names: str, tonalities: tuple[Tonality, ...], key: str) -> str:
    genre = {
        "etude-tableau": "Étude-Tableau",
        "etude": "Étude",
        "prelude+fugue": "Prelude and Fugue",
    }.get(genres, genres.replace("moment-musical", "Moment musical").replace("+", "-").title())
    name = names.split(";")[0]
    head = genre or name
    in_tonality = f" in {tonalities[0]}" if tonalities else ""
    nickname = f" “{name}”" if name and genre and name.lower() != genre.lower() else ""
    return f"{head}{in_tonality}, {readable_key(key)}{nickname}"


def _work(row: Mapping[str, str]) -> Work:
    tonalities = tuple(tonality(part) for part in row["tonality"].split("/") if part)
    return Work(
        composer=row["composer"],
        key=row["work"],
        movement=row["movement"] or None,
        genres=frozenset(filter(None, row["genre"].split("+"))),
        numbers=frozenset(int(part) for part in row["number"].split("/") if part),
        tonalities=tonalities,
        also=tuple(filter(None, row["also"].split(";"))),
        names=tuple(phrase(name) for name in row["nicknames"].split(";") if name),
        title=row["title"]
        or _default_title(row["genre"], row["nicknames"], tonalities, row["work"]),
    )


class Catalogue:
    """The known works of all composers."""

    def __init__(self, works: list[Work]) -> None:
        self._shelves: defaultdict[str, _Shelf] = defaultdict(_Shelf)
        names: defaultdict[str, list[tuple[tuple[str, ...], Work]]] = defaultdict(list)
        for work in works:
            self._put(work)
            for name in work.names:
                names[name[0]].append((name, work))
        self.names_by_first = dict(names)
        self.works = tuple(works)
        self.speller = Speller(word for work in works for name in work.names for word in name)

    def _put(self, work: Work) -> None:
        shelf = self._shelves[work.composer]
        shelf.works.append(work)
        if work.movement is None:
            shelf.by_key[work.key] = work
        for alias in work.also:
            shelf.alias_of[alias] = work.key
            if (parent := parent_key(alias)) and (own := parent_key(work.key)):
                shelf.alias_of[parent] = own
        if (parent := parent_key(work.key)) and "-book" not in work.key:
            shelf.members[parent].append(work)

    def knows(self, composer: str) -> bool:
        """Whether any work of the composer is known."""
        return composer in self._shelves

    def works_of(self, composer: str) -> list[Work]:
        """All rows of a composer."""
        return self._shelves[composer].works if self.knows(composer) else []

    def canonical(self, composer: str, key: str) -> str:
        """The key under which a work is kept, whichever catalogue's number is given."""
        if not self.knows(composer):
            return key
        aliases = self._shelves[composer].alias_of
        if key in aliases:
            return aliases[key]
        parent = parent_key(key)
        return aliases[parent] + key[len(parent) :] if parent and parent in aliases else key

    def work(self, composer: str, key: str) -> Work | None:
        """The row of a canonical key."""
        return self._shelves[composer].by_key.get(key) if self.knows(composer) else None

    def members(self, composer: str, key: str) -> list[Work]:
        """The numbers of a set, in order; none where it is no set or not known as one."""
        return self._shelves[composer].members.get(key, []) if self.knows(composer) else []

    def is_complete(self, composer: str, genres: frozenset[str]) -> bool:
        """Whether a work of these genres that is not in the table does not exist."""
        if composer not in COMPLETE:
            return False
        known = COMPLETE[composer]
        return known is None or bool(genres and genres <= known)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The bundled tables, read once."""
    works = []
    for table in sorted(TABLES.glob("*.csv")):
        with table.open(encoding="utf-8", newline="") as file:
            works += [_work(row) for row in csv.DictReader(file)]
    return Catalogue(works)
