"""The tables of works: every row is what it says and is not confused with another."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from data_collection.repertoire.catalogue import Work, catalogue, parent_key
from data_collection.repertoire.pieces import Piece
from data_collection.repertoire.reading import read_piece
from data_collection.repertoire.words import FOLLOWS, GENRES

WORKS = catalogue().works
CHOPIN = [work for work in WORKS if work.composer == "chopin"]
KNOWN_GENRES = {genre.name for genre in GENRES.values()} | set(FOLLOWS.values())


def test_every_row_is_there_once() -> None:
    """Two rows of one identity would make a work ambiguous with itself."""
    identities = Counter((work.composer, work.key, work.movement) for work in WORKS)
    assert [identity for identity, count in identities.items() if count > 1] == []


def test_every_row_makes_a_piece_of_known_genres() -> None:
    """A key or a genre outside the grammar would be found by no wording."""
    for work in WORKS:
        assert isinstance(work.piece(), Piece)
        assert work.genres <= KNOWN_GENRES, work.key
        assert work.genres or work.names, f"{work.composer} {work.key} can be called nothing"


def test_another_catalogues_number_means_one_work() -> None:
    """An alias of two works would read one as the other."""
    seen: dict[tuple[str, str], str] = {}
    for work in WORKS:
        for alias in work.also:
            own = seen.setdefault((work.composer, alias), work.key)
            assert own == work.key, (work.composer, alias, own, work.key)
            assert catalogue().work(work.composer, alias) is None


# Of these the tables hold what is played, not every number.
PARTIAL = {"s163", "s173", "s541", "s172", "s558", "op4"}


def test_sets_have_no_gaps() -> None:
    """A set of which a number is missing would be taken for smaller than it is."""
    members: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for work in WORKS:
        parent = parent_key(work.key)
        if parent and "-book" not in work.key and parent not in PARTIAL:
            members[work.composer, parent].append(int(work.key.rpartition("-no")[2]))
    for (composer, parent), numbers in members.items():
        if (composer, parent) != ("rachmaninoff", "op33"):
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), (composer, parent)


@pytest.mark.parametrize(
    ("genre", "last"),
    [("prelude", 26), ("nocturne", 21), ("mazurka", 51), ("waltz", 19), ("polonaise", 16),
     ("ballade", 4), ("scherzo", 4), ("sonata", 3), ("concerto", 2), ("impromptu", 4)],
)  # fmt: skip
def test_chopins_works_are_numbered_through(genre: str, last: int) -> None:
    """`Mazurka No. 37` finds one work; a slip in the table would shift all that follow."""
    numbers = sorted(n for work in CHOPIN if genre in work.genres for n in work.numbers)
    assert numbers == list(range(1, last + 1))


def test_the_preludes_go_round_the_circle_of_fifths() -> None:
    """Opus 28 and Scriabin's opus 11 go through all keys: a slip in one breaks the circle."""
    for composer, opus in (("chopin", "op28"), ("scriabin", "op11")):
        works = catalogue().members(composer, opus)
        assert len(works) == 24
        pitches = [(7 * (at // 2) + (9 if at % 2 else 0)) % 12 for at in range(24)]
        for work, pitch in zip(works, pitches, strict=True):
            told = work.tonalities[0]
            its = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[told.note]
            assert (its + told.sharps) % 12 == pitch, work.key


def test_the_well_tempered_clavier_rises_by_semitones() -> None:
    """Each book has a major and a minor pair on every semitone, in order."""
    for first in (846, 870):
        for at in range(24):
            work = catalogue().work("bach", f"bwv{first + at}")
            assert work is not None
            told = work.tonalities[0]
            its = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[told.note]
            assert (its + told.sharps) % 12 == at // 2
            assert told.minor is bool(at % 2)


def _is_read_back(work: Work) -> bool:
    piece = read_piece(work.title, default_composer=work.composer)
    return piece is not None and (piece.composer, piece.work) == (work.composer, work.key)


def test_a_works_own_title_is_read_as_the_work() -> None:
    """What the project itself writes for a work leads back to it."""
    works = [work for work in WORKS if work.movement is None]
    assert [work.title for work in works if not _is_read_back(work)] == []
