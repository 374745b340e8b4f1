"""Which works a recording holds: recitals as they are, and the whole release where it lies here."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.maestro.metadata import read_metadata
from data_collection.maestro.rows import MetadataRow
from data_collection.maestro.works import WorkReading, read_works, recital_of

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "maestro"
LABELLED = Path(__file__).with_name("works_labelled_pairs.csv")
LABELLED_WHOLE = Path(__file__).with_name("works_labelled_recordings.csv")

BACH, BEETHOVEN, CHOPIN = "Johann Sebastian Bach", "Ludwig van Beethoven", "Frédéric Chopin"
SCHUBERT = "Franz Schubert"


def row(name: str, composer: str, title: str, duration_s: float) -> MetadataRow:
    """A row of the metadata, of which only these four matter here."""
    return MetadataRow(
        recording_id=name,
        audio_filename=f"2009/{name}.wav",
        midi_filename=f"2009/{name}.midi",
        composer=composer,
        title=title,
        year=2009,
        split="train",
        duration_s=duration_s,
    )


def recital(
    competitor: int, composer: str, *tracks: tuple[str, float], first: int = 1
) -> list[MetadataRow]:
    """Recordings of one recital, named as the release names them, in their order."""
    number = f"{competitor:02}"
    name = f"MIDI-Unprocessed_{number}_R2_2009_01_ORIG_MID--AUDIO_{number}_R2_2009"
    return [
        row(f"{name}_{number}_R2_2009_{track:02}_WAV", composer, title, duration_s)
        for track, (title, duration_s) in enumerate(tracks, start=first)
    ]


def held(rows: Sequence[MetadataRow]) -> list[list[str]]:
    """Ids of the works of each row, in the rows' order."""
    readings = read_works(rows)
    return [[work.work_id for work in readings[r.recording_id].works] for r in rows]


def share(one: WorkReading, other: WorkReading) -> bool:
    """Whether two recordings share a work."""
    ids = {work.work_id for work in one.works}
    return any(work.work_id in ids for work in other.works)


@pytest.mark.parametrize(
    ("filename", "recital_name", "place"),
    [
        ("2009/X--AUDIO_07_R2_2009_07_R2_2009_03_WAV.wav", "2009/X--AUDIO_07_R2_2009_07_R2_2009",
         (3, 0)),
        ("2004/X--AUDIO_12_R1_2004_03_Track03_wav--1.wav", "2004/X--AUDIO_12_R1_2004", (3, 1)),
        ("2011/X--AUDIO_R1-D1_02_Track02_wav.wav", "2011/X--AUDIO_R1-D1", (2, 0)),
        ("2008/X--AUDIO_02_R1_2008_wav--4.wav", "2008/X--AUDIO_02_R1", (2008, 4)),
        ("2017/X--AUDIO-split_07-06-17_Piano-e_1-01_wav--2.wav",
         "2017/X--AUDIO-split_07-06-17_Piano-e_1-01", (0, 2)),
        ("no extension", "no extension", (0, 0)),
    ],
)  # fmt: skip
def test_names_tell_recital_and_place(
    filename: str, recital_name: str, place: tuple[int, int]
) -> None:
    """Each year has its form; a wrong order would swap the movements of a sonata."""
    assert recital_of(filename) == (recital_name, place)


def test_a_sonata_whose_number_counts_on_is_one_sonata() -> None:
    """`D. 960` to `D. 963` in B-flat are one sonata's movements: a spreadsheet counted on."""
    rows = recital(
        21, SCHUBERT,
        ("Sonata in B-flat Major D. 960", 909), ("Sonata in B-flat Major D. 961", 635),
        ("Sonata in B-flat Major D. 962", 216), ("Sonata in B-flat Major D. 963", 435),
    )  # fmt: skip
    assert held(rows) == [[f"schubert:d960/{n}"] for n in range(1, 5)]
    assert held(rows[1:2]) == [[]], "on its own it names no sonata"


def test_sonatas_that_are_two_do_not_count_on() -> None:
    """`D. 958` and then `D. 959` in their own keys are two sonatas."""
    rows = recital(
        1, SCHUBERT, ("Sonata in C Minor, D. 958", 1766), ("Sonata in A Major, D. 959", 2245)
    )
    assert [{work.partition("/")[0] for work in works} for works in held(rows)] == [
        {"schubert:d958"}, {"schubert:d959"},
    ]  # fmt: skip


def test_lengths_tell_which_sonata_is_meant() -> None:
    """Of Schubert's three sonatas in A minor only D. 845 has four movements."""
    title = "Sonata in A Min."
    rows = recital(22, SCHUBERT, (title, 570), (title, 795), (title, 463), (title, 309))
    assert held(rows) == [[f"schubert:d845/{n}"] for n in range(1, 5)]
    assert held(rows[:1]) == [[]], "one recording alone leaves it open"


def test_a_whole_holds_each_movement() -> None:
    """A complete sonata is a positive for a first movement, and two movements are none."""
    rows = [
        row("a", BEETHOVEN, "Sonata No. 21 in C Major, Op. 53", 1307),
        row("b", BEETHOVEN, "Sonata No. 21 in C Major, Op. 53, First Movement", 482),
        row("c", BEETHOVEN, "Sonata in C Major, Op. 53 'Waldstein'", 805),
    ]
    assert held(rows) == [
        ["beethoven:op53/1", "beethoven:op53/2", "beethoven:op53/3"],
        ["beethoven:op53/1"],
        ["beethoven:op53/2", "beethoven:op53/3"],
    ]
    readings = read_works(rows)
    assert [readings[name].works[0].certainty for name in "abc"] == ["stated", "stated", "inferred"]


def test_a_prelude_a_fugue_and_both_are_three_things() -> None:
    """A prelude shares with the pair, and not with the fugue."""
    pair = "Prelude and Fugue in F Minor, WTC I, BWV 857"
    rows = [
        *recital(5, BACH, (pair, 114), (pair, 193)),
        row("both", BACH, pair, 313),
        row("prelude", BACH, "Prelude in F Minor, WTC I, BWV 857", 120),
        row("fugue", BACH, "Fugue in F Minor, BWV 857", 200),
    ]
    prelude, fugue = "bach:bwv857/prelude", "bach:bwv857/fugue"
    assert held(rows) == [[prelude], [fugue], [prelude, fugue], [prelude], [fugue]]


def test_numbers_of_a_set() -> None:
    """A set played whole, in two recordings, in part, and one number of it."""
    rows = [
        *recital(5, CHOPIN, ("12 Etudes, Op. 25", 1409), ("12 Etudes, Op. 25", 327)),
        row("part", CHOPIN, "Etudes Op. 25 Nos. 1-5", 657),
        row("one", CHOPIN, "Etude Op. 25 No. 11", 218),
    ]
    numbers = [[int(work.rpartition("-no")[2]) for work in works] for works in held(rows)]
    assert numbers == [[*range(1, 11)], [11, 12], [1, 2, 3, 4, 5], [11]]


def test_listed_pieces_are_told_apart_by_their_order() -> None:
    """Two recordings titled `Nos. 15 and 24` hold one each."""
    title = "Two Preludes from Op. 28, Nos. 15 and 24"
    rows = recital(11, CHOPIN, (title, 282), (title, 117))
    assert held(rows) == [["chopin:op28-no15"], ["chopin:op28-no24"]]


def test_a_missing_book_is_told_by_the_lengths() -> None:
    """`Preludes No. 2, 6, 12` in 338 and 260 s are Debussy's second book."""
    title = "Preludes No. 2, 6, 12"
    rows = recital(12, "Claude Debussy", (title, 338), (title, 260), first=8)
    assert held(rows) == [["debussy:l123-no2", "debussy:l123-no6"], ["debussy:l123-no12"]]
    assert read_works(rows)[rows[0].recording_id].works[0].confidence <= 0.8


def test_a_title_whose_movements_cannot_be_as_long_is_put_right() -> None:
    """`2nd & 3rd Movements` in 317 and 453 s are a first movement, and the two of the title."""
    title = "Sonata No. 26 in 3-flat Major, Op. 81a (2nd & 3rd Movements)"
    rows = recital(9, BEETHOVEN, (title, 317), (title, 453))
    assert held(rows) == [["beethoven:op81a/1"], ["beethoven:op81a/2", "beethoven:op81a/3"]]


def test_a_movement_in_pieces_is_told_and_doubted() -> None:
    """Four recordings of a sonata in three movements: who drops the second loses six pianists."""
    title = "Sonata No. 2 in B-Flat Minor Op. 36 (1913)"
    rows = recital(12, "Sergei Rachmaninoff", *[(title, s) for s in (582, 293, 92, 345)])
    assert held(rows) == [[f"rachmaninoff:op36/{n}"] for n in (1, 2, 2, 3)]
    readings = read_works(rows)
    confident = [readings[r.recording_id].works[0].confidence >= 0.5 for r in rows]
    assert confident == [True, False, False, True]


@pytest.mark.parametrize(
    ("title", "duration_s", "family"),
    [("Fantasy in C Min", 692, "mozart:k475"), ("Sonata in F", 1075, "mozart:k533")],
)
def test_a_number_left_out_is_told_by_the_length(
    title: str, duration_s: float, family: str
) -> None:
    """Mozart wrote two fantasies in C minor and three sonatas in F; one of each is as long."""
    reading = read_works([row("a", "Wolfgang Amadeus Mozart", title, duration_s)])["a"]
    assert {work.family_id for work in reading.works} == {family}
    assert all(work.confidence < 0.9 for work in reading.works)


def test_of_a_piece_twice_in_a_recital_one_is_it() -> None:
    """Nobody plays a nocturne twice: the recording that is as long as others' is it."""
    twice = recital(19, CHOPIN, ("Nocturne in Db", 424), ("Nocturne in Db", 355), first=6)
    others = [
        row("x", CHOPIN, "Nocturne Op. 27 No. 2 in D-flat Major", 341),
        row("y", CHOPIN, "Nocturne Op. 27 No. 2 in D-flat Major", 352),
    ]
    assert held([*twice, *others])[:2] == [[], ["chopin:op27-no2"]]
    assert held(twice) == [[], []]


def test_half_as_long_as_others_is_doubted() -> None:
    """45 s of a prelude and fugue of 5 minutes are a fragment; it is said, not hidden."""
    title = "Prelude and Fugue in G Minor, WTC II, BWV 885"
    rows = [row(f"r{n}", BACH, title, s) for n, s in enumerate([45, 304, 312, 330])]
    readings = read_works(rows)
    assert all(work.confidence < 0.5 for work in readings["r0"].works)
    assert "where others take 308 s" in readings["r0"].works[0].evidence
    assert all(work.confidence > 0.9 for work in readings["r1"].works)


def test_a_movement_that_the_work_has_not_is_refused() -> None:
    """A fourth movement of a sonata of three would be shared with nobody, or with another slip."""
    reading = read_works([row("a", BEETHOVEN, "Sonata No. 21, Op. 53, 4th mov.", 300)])["a"]
    assert not reading.works
    assert "movement" in reading.doubt


def test_what_is_not_known_says_why() -> None:
    """A recording without works is listed with its reason."""
    readings = read_works([row("a", "Nobody Known", "Two Fairy Tales", 413)])
    assert not readings["a"].works
    assert readings["a"].doubt


MIXED = [
    *recital(14, SCHUBERT, *[("Sonata in B-flat Major, D960", s) for s in (902, 596, 225, 456)]),
    *recital(
        5, SCHUBERT,
        ("Son. in Bb D.960", 776), ("Son. in Bb D.961", 468), ("Son. in Bb D.962", 710),
    ),
    *recital(19, CHOPIN, ("Nocturne in Db", 424), ("Nocturne in Db", 355)),
    row("w", SCHUBERT, "Sonata in B-flat Major, D. 960 (Complete)", 2213),
    row("x", CHOPIN, "Nocturne Op. 27 No. 2 in D-flat Major", 341),
    row("y", CHOPIN, "Nocturne Op. 27 No. 2 in D-flat Major", 352),
]  # fmt: skip


@settings(max_examples=25)
@given(st.permutations(MIXED))
def test_the_rows_order_does_not_matter(rows: list[MetadataRow]) -> None:
    """The metadata's order is nobody's promise."""
    assert read_works(rows) == read_works(MIXED)


@given(st.lists(st.floats(1, 10_000), min_size=1, max_size=4), st.text(max_size=30))
def test_every_row_gets_one_reading(durations_s: list[float], title: str) -> None:
    """Whatever title and lengths: nobody is lost, and who holds nothing has a reason."""
    rows = recital(1, BEETHOVEN, *[(f"Sonata, Op. 53 {title}", s) for s in durations_s])
    readings = read_works(rows)
    assert readings.keys() == {r.recording_id for r in rows}
    assert all(reading.works or reading.doubt for reading in readings.values())


@pytest.fixture(scope="module")
def release() -> tuple[tuple[MetadataRow, ...], dict[str, WorkReading]]:
    """The release's rows and their readings."""
    if not (SHARED / "maestro-v3.0.0.csv").exists():
        pytest.skip(f"the release's metadata are not in {SHARED}")
    rows = read_metadata(SHARED.as_uri()).rows
    return rows, read_works(rows)


Release = tuple[tuple[MetadataRow, ...], dict[str, WorkReading]]


def test_nearly_every_recording_of_the_release_is_read(release: Release) -> None:
    """17 of 1,276 leave open what they hold; more would be a rule that broke."""
    rows, readings = release
    assert len(readings) == len(rows) == 1276
    assert sum(not reading.works for reading in readings.values()) <= 17


def test_hardly_a_work_crosses_the_official_split(release: Release) -> None:
    """Who made the split kept pieces together, by their own grouping: 4 of 3,494 pairs disagree."""
    rows, readings = release
    pairs = [
        one.split == other.split
        for one, other in combinations(rows, 2)
        if share(readings[one.recording_id], readings[other.recording_id])
    ]
    assert len(pairs) >= 3400
    assert pairs.count(False) <= 4


def test_a_work_is_divided_everywhere_or_nowhere(release: Release) -> None:
    """A whole that holds `op53` shares nothing with a movement that holds `op53/1`."""
    _, readings = release
    ids = {work.work_id for reading in readings.values() for work in reading.works}
    assert [i for i in sorted(ids) if "/" in i and i.partition("/")[0] in ids] == []


def test_pairs_labelled_by_hand(release: Release) -> None:
    """399 pairs, labelled by reading titles, lengths and recitals before any output was seen.

    Strata: one title; titles alike by 80 % or more; by 55 to 80 %; any two of a composer. The files
    are named by the start of the SHA-256 of their names.
    """
    rows, readings = release
    by_hash = {
        hashlib.sha256(r.audio_filename.encode()).hexdigest()[:10]: readings[r.recording_id]
        for r in rows
    }
    outcomes: Counter[tuple[bool, bool]] = Counter()
    with LABELLED.open(encoding="utf-8", newline="") as file:
        for pair in csv.DictReader(file):
            told = share(by_hash[pair["one"]], by_hash[pair["other"]])
            outcomes[told, pair["shares"] == "yes"] += 1
    assert outcomes.total() == 399
    precision = outcomes[True, True] / (outcomes[True, True] + outcomes[True, False])
    recall = outcomes[True, True] / (outcomes[True, True] + outcomes[False, True])
    assert precision >= 0.99
    assert recall >= 0.99


def test_the_release_labelled_by_hand(release: Release) -> None:
    """All pairs of 1,255 recordings, labelled from the metadata before any code or output was seen.

    Pieces are movements, where a title or a length tells them. The other 21 were left open, as
    nobody could tell. Readings that proved wrong here (1 and 19 of 3,480 pairs) have been mended
    since: this guards, and measures no more. The files are named as above.
    """
    with LABELLED_WHOLE.open(encoding="utf-8", newline="") as file:
        labels = {line["recording"]: {*line["pieces"].split(";")} for line in csv.DictReader(file)}
    rows, readings = release
    labelled = [
        (readings[r.recording_id], labels[name])
        for r in rows
        if labels[name := hashlib.sha256(r.audio_filename.encode()).hexdigest()[:10]] != {"?"}
    ]
    outcomes = Counter(
        (share(one, other), not pieces.isdisjoint(others))
        for (one, pieces), (other, others) in combinations(labelled, 2)
    )
    assert len(labelled) == 1255
    same = outcomes[True, True]
    assert same / (same + outcomes[True, False]) >= 0.999
    assert same / (same + outcomes[False, True]) >= 0.999
