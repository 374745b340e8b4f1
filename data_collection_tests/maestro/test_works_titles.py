"""What titles of the release mean: one work in many spellings, another in none of them."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_collection.maestro import works_titles
from data_collection.maestro.works_titles import (
    KNOWN_ERRORS,
    NAMED,
    composer_of,
    read_data,
    title_reader,
)
from data_collection.recordings.errors import SetupError
from data_collection.repertoire.catalogue import phrase

BACH, BEETHOVEN, CHOPIN = "Johann Sebastian Bach", "Ludwig van Beethoven", "Frédéric Chopin"
LISZT, SCHUBERT, MOZART = "Franz Liszt", "Franz Schubert", "Wolfgang Amadeus Mozart"

# Identity, then composer and title of every spelling.
SPELLINGS = {
    "beethoven op53/1": [
        (BEETHOVEN, 'Sonata No. 21 in C Major, Op. 53, "Waldstein", First Movement'),
        (BEETHOVEN, "Sonata No. 21 in C major, Op. 53, 1st mov."),
        (BEETHOVEN, "Sonata No. 21 in C major, Op. 53, “Waldstein,” I. Allegro con brio"),
        (BEETHOVEN, 'Sonata No. 21, Op. 53, "Waldstein", I. Allegro con brio'),
    ],
    "beethoven op53": [
        (BEETHOVEN, "Sonata No. 21 in  C Major, Op. 53"),
        (BEETHOVEN, "Sonata in C Major, Op. 53 'Waldstein'"),
    ],
    "beethoven op31-no1/1-2": [(BEETHOVEN, "Sonata No. 16 in G Major, Op. 31 No. 1, I. and II. ")],
    "beethoven op31-no3": [(BEETHOVEN, "Sonata Op. 31, No. 3 in E-flat Major")],
    "beethoven op10-no3": [(BEETHOVEN, "Sonata Op. 10/3")],
    "beethoven op35": [
        (BEETHOVEN, "Eroica Variations, Op. 35"),
        (CHOPIN, 'Variations and Fugue in E-flat Major, Op. 35, "Eroica"'),
    ],
    "beethoven woo80": [
        (BEETHOVEN, "Thirty-Two Variaions in C Minor, WoO80"),
        (BEETHOVEN, "Thirty-Two Variations in C minor, WoO 80     "),
    ],
    "chopin op35": [(CHOPIN, "Sonata No. 2 in B-flat Minor, Op. 35")],
    "chopin op60": [
        (CHOPIN, "Barcarolle in F#"),
        (CHOPIN, "Barcarolle in F-sharp Major, Op. 60"),
        ("Claude Debussy", "Barcarolle, Op. 60"),
    ],
    "chopin op31": [
        (CHOPIN, "Scherzo No. 2 in B-flat Major, Op. 31"),
        (CHOPIN, "Scherzo No. 2 in B-Flat Minor, Op.31"),
    ],
    "liszt s141-no3": [
        (LISZT, '"La Campanella"'),
        (LISZT, 'Grandes études de Paganini, No. 3 "La campanella", S.141/3'),
        (LISZT, 'Paganini Etude No. 3, S. 141/3 "La Campanella"'),
    ],
    "liszt s141-no6": [("Niccolò Paganini / Franz Liszt", "Etude No. 6 in A Minor")],
    "liszt s162-no3": [
        (LISZT, "Tarantella"),
        (LISZT, "Tarantella from Annees de Pelerinage 2eme Annee"),
        (LISZT, "Tarantella, S. 162 No. 3 from Venezia e Napoli"),
        (LISZT, "Tarantella, Venezia e Napoli in G Minor, S.159"),
    ],
    "liszt s254": [(LISZT, "Rhapsody Esp."), (LISZT, "Spanish Rhapsody")],
    "liszt s407": [
        ("Charles Gounod / Franz Liszt", "Faust Waltz"),
        (LISZT, "Valse de l'opera Faust de Charles Gounod, S.407"),
    ],
    "liszt s434": [
        ("Giuseppe Verdi / Franz Liszt", "Rigoletto Parap."),
        (LISZT, "Paraphrase de concert sur Rigoletto, S.434"),
    ],
    "liszt s447": [
        ("Richard Wagner / Franz Liszt", "IsoldasLiebestod"),
        (LISZT, "Tristan and Isolde - Liebestod, S.447"),
    ],
    "liszt s558-no8": [
        (SCHUBERT, '"Gretchen am Spinnrade"'),
        ("Franz Schubert / Franz Liszt", "Gretchen am Spinnrade"),
    ],
    "liszt s244-no13": [(LISZT, "Hungarian Rhapsody No. 13, S. 244/13")],
    "liszt-volodos s244-no13": [(LISZT, "Hungarian Rhapsody No. 13 (arr. Volodos)")],
    "liszt-horowitz s244-no15": [
        ("Franz Liszt / Vladimir Horowitz", "Hungarian Rhapsody No. 15 (Horowitz edition)")
    ],
    "liszt s244-no15": [(LISZT, "Hungarian Rhapsody No. 15 in A Minor")],
    "bach bwv807/1": [
        (BACH, "English Suite No. 2  in A Minor, BWV 807, I. Prelude"),
        (BACH, "Prelude from the English Suite No. 2 in A Minor, BWV 807"),
    ],
    "bach bwv808/1": [
        (BACH, "English Suite no. 3 in G Minor, Prelude"),
        (BACH, "Prelude from English Suite No. 3 in G Major"),
    ],
    "bach bwv830/1": [(BACH, "Toccata from Partita No. 6 in E Minor, Missing Opening!!!!")],
    "bach bwv848": [
        (BACH, "Prelude and Fugue in D-flat Major, WTC I, BWV 848"),
        (BACH, "Prelude and Fugue in C-sharp Major, WTC I"),
    ],
    "bach bwv889": [
        (BACH, "Prelude and Fugue in A Minor, WTC II,  BWV 889"),
        (BACH, "Prelude and Fugue in A Minor, WTC II, BWV 847"),
    ],
    "bach bwv891": [
        (BACH, "Prelude and Fugue in B-Moll, No. 22 WTKII"),
        (BACH, "Prelude and Fugue in B-flat Minor, WTC II"),
    ],
    "bach bwv865": [(BACH, "Prelude and Fugue in A Minor, WTC I, BWV 865")],
    "bach-busoni bwv1004": [
        ("Johann Sebastian Bach / Ferruccio Busoni", "Chaconne in D Minor"),
        ("Johann Sebastian Bach / Ferruccio Busoni", "Chaconne BWV1004"),
    ],
    "mozart k576": [
        (MOZART, "Sonata in D Major K576"),
        ("Domenico Scarlatti", "Sonata in D Major, K. 576"),
    ],
    "mozart k179": [
        (MOZART, "Twelve Variations, K179 (189a)"),
        (
            "Johann Christian Fischer / Wolfgang Amadeus Mozart",
            "12 Variations on a Theme from a Menuet by Fischer",
        ),
    ],
    "haydn hob-xvi-20/1": [
        ("Joseph Haydn", "Sonata in C Minor, First Movement"),
        ("Joseph Haydn", "Sonata in C Minor, Hob. XVI:20, 1st mov."),
    ],
    "scarlatti k87": [
        ("Domenico Scarlatti", "Sonata in B Minor, K. 87"),
        ("Domenico Scarlatti", "Sonata in B Minor, L. 33"),
    ],
    "schubert d664/1": [
        (SCHUBERT, "Sonata in A Major, Op. 120, I. Allegro moderato"),
        (SCHUBERT, "Sonata in A Major, D. 664, I. Allegro moderato"),
    ],
    "schubert d935-no3": [
        (SCHUBERT, "Impromptu Op.142 No.3, in B-Flat Major, D935"),
        (SCHUBERT, "Impromptu Op. 142 No. 3 in B-flat Major"),
    ],
    "schubert-godowsky op94-no3": [
        ("Franz Schubert / Leopold Godowsky", "Moment Musical Op. 94 No. 3 in F-sharp Minor")
    ],
    "gibbons pavan": [("Orlando Gibbons", "Pavan")],
    "tchaikovsky op72-no5": [("Pyotr Ilyich Tchaikovsky", "Meditation")],
}
ROWS = [(identity, *row) for identity, rows in SPELLINGS.items() for row in rows]


def identities(composer: str, title: str) -> list[str]:
    """What a title is read as, in one word a piece."""
    pieces = title_reader().read(composer, title).pieces
    return [f"{p.composer} {p.work}" + (f"/{p.movement}" if p.movement else "") for p in pieces]


@pytest.mark.parametrize(("identity", "composer", "title"), ROWS)
def test_every_spelling_is_read_as_its_work(identity: str, composer: str, title: str) -> None:
    """Exact titles find a third of the pairs; one spelling read otherwise splits a work in two."""
    assert identities(composer, title) == [identity]


@pytest.mark.parametrize(
    ("composer", "title", "expected"),
    [
        ("Alexander Scriabin", "Etude Op. 2 No.1;  Etudes Op. 8, Nos. 5, 11 and 12",
         ["scriabin op2-no1", "scriabin op8-no5", "scriabin op8-no11", "scriabin op8-no12"]),
        ("Isaac Albéniz", "Iberia, Evocation, Triana",
         ["albeniz iberia-no1", "albeniz iberia-no6"]),
        ("Franz Schubert / Franz Liszt", "Fruelingsglaube, Die Junge Nonne",
         ["liszt s558-no7", "liszt s558-no6"]),
        ("Robert Schumann", "Romances Op. 28, Nos. 2 and 3",
         ["schumann op28-no2", "schumann op28-no3"]),
    ],
)  # fmt: skip
def test_several_works_are_read_in_their_order(
    composer: str, title: str, expected: list[str]
) -> None:
    """The order tells which of a recital's recordings is which; a work left out shares nothing."""
    assert identities(composer, title) == expected


@pytest.mark.parametrize(
    ("composer", "title"),
    [
        ("Johannes Brahms", "Fantasias Op. 116 (Selections)"),
        ("Jean-Philippe Rameau", "RameauSelections"),
        ("Domenico Scarlatti", "Two Sonatas"),
        (BACH, "Prelude & Fugue"),
        (LISZT, "Hungarian Rhapsody"),
        (MOZART, "Fantasy in C Minor"),
        ("Alexander Scriabin", "Etude Op. 8, No. 13"),
        ("Sergei Rachmaninoff", "Etudes-Tableaux"),
        (SCHUBERT, "Sonata in A D961"),
        ("", ""),
        ("/", "Prelude"),
    ],
)
def test_what_does_not_tell_is_not_read(composer: str, title: str) -> None:
    """A guess here pairs two pianists who play different music."""
    reading = title_reader().read(composer, title)
    assert not reading.pieces
    assert reading.doubt


@given(st.text(max_size=60), st.text(max_size=120))
def test_any_title_is_read_without_an_error(composer: str, title: str) -> None:
    """One odd row must not stop the catalogue."""
    reading = title_reader().read(composer, title)
    assert reading.pieces or reading.doubt
    assert 0 < reading.confidence <= 1


@pytest.mark.parametrize(
    ("column", "slug"),
    [
        ("Johann Sebastian Bach / Ferruccio Busoni", "bach-busoni"),
        ("Franz Schubert / Franz Liszt", "liszt"),
        ("Robert Schumann / Franz Liszt", "liszt"),
        ("Nikolai Rimsky-Korsakov / Sergei Rachmaninoff", "rimsky-korsakov-rachmaninoff"),
        ("César Franck", "franck"),
        ("Johann Sebastian Bach / Egon Petri", "bach-petri"),
        ("Leoš Janáček", "janacek"),
        ("", "anonymous"),
    ],
)
def test_the_arranger_is_part_of_the_composer(column: str, slug: str) -> None:
    """Busoni's Bach is not Bach's; Liszt's own catalogue counts his transcriptions."""
    assert composer_of(column) == slug


def test_known_errors_change_what_is_read() -> None:
    """An entry that changes nothing hides that the rule or the title has moved on."""
    errors = title_reader().errors
    assert len(errors) == len(yaml.safe_load(KNOWN_ERRORS.read_text())["errors"])
    for (composer, title), error in errors.items():
        reading = title_reader().read(composer, title)
        assert reading.pieces, title
        assert reading.confidence <= error.confidence
        assert error.reason in reading.evidence
        if error.becomes:
            assert reading.certainty == "corrected"
            uncorrected = works_titles.TitleReader({}, title_reader().named)
            before = [piece.identity for piece in uncorrected.read(composer, title).pieces]
            assert before != [piece.identity for piece in reading.pieces], title


def test_a_name_means_one_work_of_its_composer() -> None:
    """A name of two works would give the first of them, silently."""
    for composer, works in yaml.safe_load(NAMED.read_text()).items():
        names = Counter(phrase(name) for known in works.values() for name in known)
        assert [name for name, count in names.items() if count > 1] == [], composer


def test_spellings_of_different_works_are_different() -> None:
    """The table above would not notice two identities that mean the same."""
    for one, other in combinations(SPELLINGS, 2):
        assert identities(*SPELLINGS[one][0]) != identities(*SPELLINGS[other][0])


@pytest.mark.parametrize("content", ["errors: [{composer: x}]", "[", "\xff", ""])
def test_a_damaged_file_is_our_fault_and_named(tmp_path: Path, content: str) -> None:
    """Without its corrections the catalogue would be wrong and look right."""
    path = tmp_path / "works_known_errors.yaml"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(SetupError, match=r"works_known_errors\.yaml"):
        read_data(path, works_titles._KnownErrors.model_validate)
