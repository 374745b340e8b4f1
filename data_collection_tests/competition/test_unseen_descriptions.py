"""Whole descriptions as channels write them, each with what a careful person takes from it.

They were written by somebody who had not seen the parser; the bad ones hold what must never come
out of them.
"""

# ruff: noqa: E501 -- descriptions are written as channels write them
from __future__ import annotations

from itertools import pairwise

import pytest

from data_collection.competition.programme import (
    Programme,
    ProgrammeItem,
    choose_programme,
    read_programme,
)
from data_collection.competition.programme_sessions import Session, read_session

Item = tuple[float | None, float | None, str]
Block = tuple[str, float, float | None, list[str]]

PROGRAMMES: dict[str, tuple[float, str | None, str, list[Item]]] = {
    "2021 stage1": (
        1500.0,
        "chopin",
        """\
XVIII Międzynarodowy Konkurs Pianistyczny im. Fryderyka Chopina w Warszawie
The 18th International Fryderyk Chopin Piano Competition

I etap / First stage, 3 X 2021

JAN NOWICKI (Polska / Poland)

Fryderyk Chopin
Nokturn c-moll op. 48 nr 1 / Nocturne in C minor, Op. 48 No. 1 (0:21)
Etiuda a-moll op. 10 nr 2 / Etude in A minor, Op. 10 No. 2 (6:40)
Etiuda h-moll op. 25 nr 10 / Etude in B minor, Op. 25 No. 10 (8:15)
Ballada f-moll op. 52 / Ballade in F minor, Op. 52 (12:30)

Instrument: Steinway & Sons
Filharmonia Narodowa / Warsaw Philharmonic
www.chopin2020.pl
#chopincompetition #etude
""",
        [
            (21, 400, "op48-no1"),
            (400, 495, "op10-no2"),
            (495, 750, "op25-no10"),
            (750, 1500, "op52"),
        ],
    ),
    "stage2 mixed stamps": (
        2700.0,
        "chopin",
        """\
Barkarola Fis-dur op. 60 / Barcarolle in F sharp major, Op. 60 (00:00:30)
Walc As-dur op. 42 / Waltz in A flat major, Op. 42 (9:41)
Mazurki op. 59 / Mazurkas, Op. 59 (00:13:55)
Andante spianato i Wielki polonez Es-dur op. 22 / Andante spianato and Grande Polonaise brillante in E flat major, Op. 22 (25:00)
""",
        [(30, 581, "op60"), (581, 835, "op42"), (835, 1500, "op59"), (1500, 2700, "op22")],
    ),
    "stage3 sonata with movements": (
        3300.0,
        "chopin",
        """\
Mazurek H-dur op. 56 nr 1 / Mazurka in B major, Op. 56 No. 1 (0:34)
Mazurek C-dur op. 56 nr 2 / Mazurka in C major, Op. 56 No. 2 (5:01)
Mazurek c-moll op. 56 nr 3 / Mazurka in C minor, Op. 56 No. 3 (6:50)
Sonata b-moll op. 35 / Sonata in B flat minor, Op. 35
Grave. Doppio movimento (14:00)
Scherzo (21:30)
Marche funèbre. Lento (28:05)
Finale. Presto (37:00)
Polonez As-dur op. 53 / Polonaise in A flat major, Op. 53 (39:00)
""",
        [
            (34, 301, "op56-no1"),
            (301, 410, "op56-no2"),
            (410, 840, "op56-no3"),
            (840, 1290, "op35 m1"),
            (1290, 1685, "op35 m2"),
            (1685, 2220, "op35 m3"),
            (2220, 2340, "op35 m4"),
            (2340, 3300, "op53"),
        ],
    ),
    "final concerto": (
        2500.0,
        "chopin",
        """\
Koncert fortepianowy e-moll op. 11 / Piano Concerto in E minor, Op. 11
I. Allegro maestoso (0:50)
II. Romance. Larghetto (20:40)
III. Rondo. Vivace (30:20)

Orkiestra Filharmonii Narodowej / Warsaw Philharmonic Orchestra
Andrzej Boreyko – dyrygent / conductor
""",
        [(50, 1240, "op11 m1"), (1240, 1820, "op11 m2"), (1820, 2500, "op11 m3")],
    ),
    "chapters style start stamps": (
        1800.0,
        "chopin",
        """\
0:00 Intro
0:45 Nocturne in E major, Op. 62 No. 2
7:10 Etude in G sharp minor, Op. 25 No. 6
9:30 Etude in C major, Op. 10 No. 1
11:45 Scherzo in E major, Op. 54
22:10 Applause
""",
        [
            (45, 430, "op62-no2"),
            (430, 570, "op25-no6"),
            (570, 705, "op10-no1"),
            (705, 1330, "op54"),
        ],
    ),
    "break ends item": (
        6000.0,
        "chopin",
        """\
Preludia op. 28 / Preludes, Op. 28 (0:30)
Przerwa / Intermission (40:00)
Sonata h-moll op. 58 / Sonata in B minor, Op. 58 (1:01:03)
""",
        [(30, 2400, "op28"), (3663, 6000, "op58")],
    ),
    "no stamps": (
        1500.0,
        "chopin",
        """\
Programme:
Nocturne in C sharp minor, Op. 27 No. 1
Etude in A minor, Op. 10 No. 2
Fantasy in F minor, Op. 49
""",
        [(None, None, "op27-no1"), (None, None, "op10-no2"), (None, None, "op49")],
    ),
    "single work no stamp": (
        500.0,
        "chopin",
        """\
Etude in C minor, Op. 10 No. 12
""",
        [(0, 500, "op10-no12")],
    ),
    "ranges": (
        1800.0,
        "chopin",
        """\
Nocturne in C minor, Op. 48 No. 1 (0:20 – 6:10)
Ballade in G minor, Op. 23 (6:30 – 15:50)
Scherzo in B minor, Op. 20 (16:20–26:00)
""",
        [(20, 370, "op48-no1"), (390, 950, "op23"), (980, 1560, "op20")],
    ),
    "empty": (
        900.0,
        "chopin",
        """\
""",
        [],
    ),
    "prose": (
        900.0,
        "chopin",
        """\
Chopin's Etude Op. 10 No. 12 is one of the hardest pieces ever written, says our guest.
In this film we meet the pianist at home. Watch the 24 Preludes on 12 October at 20:15.
""",
        [],
    ),
    "advert with link": (
        900.0,
        "chopin",
        """\
Nocturne in C minor, Op. 48 No. 1 (0:20)
Ballade in G minor, Op. 23 (6:30)

Watch also: Scherzo in B minor, Op. 20 https://youtu.be/aaaaaaaaaaa
Recorded 3 October 2021, 10:00
""",
        [(20, 390, "op48-no1"), (390, 900, "op23")],
    ),
    "2015 english only": (
        1400.0,
        "chopin",
        """\
Seong-Jin Cho – Nocturne in C minor Op. 48 No. 1 (first stage)
Chopin Competition 2015

00:00 Nocturne in C minor Op. 48 No. 1
06:05 Etude in C major Op. 10 No. 1
08:10 Etude in A minor Op.10 No.2
09:50 Fantasy in F minor Op. 49
""",
        [(0, 365, "op48-no1"), (365, 490, "op10-no1"), (490, 590, "op10-no2"), (590, 1400, "op49")],
    ),
    "2025 waltz and polonaise": (
        2600.0,
        "chopin",
        """\
19th Chopin Competition, second round

Preludes, Op. 28 Nos. 7–12 (0:40)
Polonaise in F sharp minor, Op. 44 (9:30)
Waltz in A flat major, Op. 34 No. 1 (20:40)
Variations in B flat major on 'Là ci darem la mano', Op. 2 (26:10)
""",
        [
            (40, 570, "op28-no7+op28-no8+op28-no9+op28-no10+op28-no11+op28-no12"),
            (570, 1240, "op44"),
            (1240, 1570, "op34-no1"),
            (1570, 2600, "op2"),
        ],
    ),
    "cliburn recital": (
        2500.0,
        None,
        """\
Sixteenth Van Cliburn International Piano Competition
Preliminary Round Recital
June 3, 2022, Van Cliburn Concert Hall at TCU

HAYDN Sonata in C Major, Hob. XVI:50 (0:35)
HOUGH Fanfare Toccata (14:05)
LISZT Mephisto Waltz No. 1, S. 514 (18:50)
SCRIABIN Sonata No. 5, Op. 53 (30:00)
""",
        [
            (35, 845, "hob-xvi-50"),
            (845, 1130, "toccata-fanfare"),
            (1130, 1800, "s514"),
            (1800, 2500, "op53"),
        ],
    ),
    "cliburn concerto": (
        2700.0,
        None,
        """\
RACHMANINOFF Piano Concerto No. 3 in D Minor, Op. 30
0:45 I. Allegro ma non tanto
18:10 II. Intermezzo: Adagio
29:30 III. Finale: Alla breve

Fort Worth Symphony Orchestra
Marin Alsop, conductor
""",
        [(45, 1090, "op30 m1"), (1090, 1770, "op30 m2"), (1770, 2700, "op30 m3")],
    ),
    "cliburn composer headings": (
        2700.0,
        None,
        """\
JOHANN SEBASTIAN BACH
Partita No. 2 in C Minor, BWV 826 (0:30)

LUDWIG VAN BEETHOVEN
Sonata No. 32 in C Minor, Op. 111 (21:00)
I. Maestoso
II. Arietta
""",
        [(30, 1260, "bwv826"), (1260, 2700, "op111")],
    ),
    "encore": (
        5000.0,
        "chopin",
        """\
24 Preludes, Op. 28 (0:30)
Applause (41:00)
Encore: Waltz in A flat major, Op. 42 (43:10)
""",
        [(30, 2460, "op28"), (2590, 5000, "op42")],
    ),
    "bis polish": (
        5000.0,
        "chopin",
        """\
Sonata h-moll op. 58 / Sonata in B minor, Op. 58 (0:30)
Oklaski / Applause (29:00)
Bis / Encore (31:10)
Mazurek a-moll op. 17 nr 4 / Mazurka in A minor, Op. 17 No. 4 (31:20)
""",
        [(30, 1740, "op58"), (1880, 5000, "op17-no4")],
    ),
    "two lines per language": (
        1500.0,
        "chopin",
        """\
Nokturn c-moll op. 48 nr 1
Nocturne in C minor, Op. 48 No. 1 (0:20)
Ballada g-moll op. 23
Ballade in G minor, Op. 23 (6:50)
""",
        [(20, 410, "op48-no1"), (410, 1500, "op23")],
    ),
    "german": (
        1500.0,
        "chopin",
        """\
Nocturne c-Moll op. 48 Nr. 1 (0:20)
Etüde a-Moll op. 10 Nr. 2 (6:30)
Ballade f-Moll op. 52 (8:10)
""",
        [(20, 390, "op48-no1"), (390, 490, "op10-no2"), (490, 1500, "op52")],
    ),
}
BAD_PROGRAMMES: dict[str, tuple[float, str]] = {
    "stamp beyond end": (
        900.0,
        """\
Nocturne in C minor, Op. 48 No. 1 (0:20)
Ballade in G minor, Op. 23 (6:30)
Scherzo in B minor, Op. 20 (16:20)
""",
    ),
    "stamps out of order": (
        1800.0,
        """\
Nocturne in C minor, Op. 48 No. 1 (0:20)
Ballade in G minor, Op. 23 (16:30)
Scherzo in B minor, Op. 20 (7:20)
Etude in A minor, Op. 25 No. 11 (25:00)
""",
    ),
    "same stamps": (
        1800.0,
        """\
Nocturne in C minor, Op. 48 No. 1 (5:20)
Ballade in G minor, Op. 23 (5:20)
Scherzo in B minor, Op. 20 (17:20)
""",
    ),
    "overlapping ranges": (
        1800.0,
        """\
Nocturne in C minor, Op. 48 No. 1 (0:20 – 8:10)
Ballade in G minor, Op. 23 (6:30 – 15:50)
""",
    ),
    "html": (
        900.0,
        """\
<script>alert(1)</script>
<b>Nocturne in C minor, Op. 48 No. 1</b> (0:20)
Ballade in G minor, Op. 23 (6:30)
""",
    ),
}
SESSIONS: dict[str, tuple[float, str | None, str, list[Block]]] = {
    "2021 session": (
        7200.0,
        "chopin",
        """\
XVIII Konkurs Chopinowski, I etap, sesja poranna / 18th Chopin Competition, first round, morning session

10.00 – 10.30
ANNA KOWALSKA (Polska / Poland)
Nokturn H-dur op. 62 nr 1 / Nocturne in B major, Op. 62 No. 1 (2:00)
Etiuda C-dur op. 10 nr 1 / Etude in C major, Op. 10 No. 1 (9:00)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (11:30)

10.30 – 11.00
LI WEI CHEN (Chiny / China)
Nokturn Des-dur op. 27 nr 2 / Nocturne in D flat major, Op. 27 No. 2 (32:00)
Ballada g-moll op. 23 / Ballade in G minor, Op. 23 (38:10)

11.00 – 11.30
Przerwa / Intermission (50:00)

11.30 – 12.00
HIROSHI TANAKA (Japonia / Japan)
Fantazja f-moll op. 49 / Fantasy in F minor, Op. 49 (1:20:10)
Etiuda a-moll op. 25 nr 11 / Etude in A minor, Op. 25 No. 11 (01:33:20)
""",
        [
            ("ANNA KOWALSKA", 120, 1920, ["op62-no1", "op10-no1", "op54"]),
            ("LI WEI CHEN", 1920, 3000, ["op27-no2", "op23"]),
            ("HIROSHI TANAKA", 4810, 7200, ["op49", "op25-no11"]),
        ],
    ),
    "session break between, no clock": (
        7200.0,
        "chopin",
        """\
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)
Przerwa / Intermission (12:30)
LI WEI CHEN (Chiny / China)
Ballada g-moll op. 23 / Ballade in G minor, Op. 23 (38:10)
""",
        [("ANNA KOWALSKA", 90, 750, ["op54"]), ("LI WEI CHEN", 2290, 7200, ["op23"])],
    ),
    "session last break": (
        7200.0,
        "chopin",
        """\
10.00 – 10.30
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)
10.30 – 11.00
LI WEI CHEN (Chiny / China)
Ballada g-moll op. 23 / Ballade in G minor, Op. 23 (38:10)
Przerwa / Break (48:00)
""",
        [("ANNA KOWALSKA", 90, 2290, ["op54"]), ("LI WEI CHEN", 2290, 2880, ["op23"])],
    ),
    "session end dots": (
        9000.0,
        "chopin",
        """\
17:00 – 17:40 Maria Silva (Brazylia / Brazil)
Mazurki op. 24 / Mazurkas, Op. 24 (0:40)
Sonata b-moll op. 35 / Sonata in B flat minor, Op. 35 (13:20)
17:40 – 18:20 Piotr Zieliński (Polska / Poland)
Mazurki op. 33 / Mazurkas, Op. 33 (41:00)
Sonata h-moll op. 58 / Sonata in B minor, Op. 58 (53:00)
""",
        [
            ("Maria Silva", 40, 2460, ["op24", "op35"]),
            ("Piotr Zieliński", 2460, 9000, ["op33", "op58"]),
        ],
    ),
    "withdrawn block": (
        9000.0,
        "chopin",
        """\
10.00 – 10.30
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)

10.30 – 11.00
LI WEI CHEN (Chiny / China) – withdrew / wycofał się

11.00 – 11.30
HIROSHI TANAKA (Japonia / Japan)
Fantazja f-moll op. 49 / Fantasy in F minor, Op. 49 (35:10)
""",
        [("HIROSHI TANAKA", 2110, 9000, ["op49"])],
    ),
    "block without name": (
        9000.0,
        "chopin",
        """\
10.00 – 10.30
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)

10.30 – 11.00
Ballada g-moll op. 23 / Ballade in G minor, Op. 23 (32:10)

11.00 – 11.30
HIROSHI TANAKA (Japonia / Japan)
Fantazja f-moll op. 49 / Fantasy in F minor, Op. 49 (1:05:10)
""",
        [("ANNA KOWALSKA", 90, 1930, ["op54"]), ("HIROSHI TANAKA", 3910, 9000, ["op49"])],
    ),
    "same pianist twice": (
        9000.0,
        "chopin",
        """\
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)
HIROSHI TANAKA (Japonia / Japan)
Fantazja f-moll op. 49 / Fantasy in F minor, Op. 49 (35:10)
ANNA KOWALSKA (Polska / Poland)
Ballada g-moll op. 23 / Ballade in G minor, Op. 23 (1:02:10)
""",
        [
            ("ANNA KOWALSKA", 90, 2110, ["op54"]),
            ("HIROSHI TANAKA", 2110, 3730, ["op49"]),
            ("ANNA KOWALSKA", 3730, 9000, ["op23"]),
        ],
    ),
    "names stamped": (
        9000.0,
        "chopin",
        """\
ANNA KOWALSKA (Polska / Poland) (0:01:00)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54
Etiuda C-dur op. 10 nr 1 / Etude in C major, Op. 10 No. 1
HIROSHI TANAKA (Japonia / Japan) (0:35:10)
Fantazja f-moll op. 49 / Fantasy in F minor, Op. 49
""",
        [
            ("ANNA KOWALSKA", 60, 2110, ["op54", "op10-no1"]),
            ("HIROSHI TANAKA", 2110, 9000, ["op49"]),
        ],
    ),
    "cliburn session": (
        9000.0,
        None,
        """\
CLIBURN 2022 – QUARTERFINAL ROUND – SESSION 2

0:10:00 YEKATERINA IVANOVA (Russia)
BACH Partita No. 2 in C Minor, BWV 826 (10:20)
LISZT Sonata in B Minor, S. 178 (32:00)

1:05:00 Intermission

1:25:00 KEVIN SMITH (United States)
BEETHOVEN Sonata in E Major, Op. 109 (1:25:30)
""",
        [
            ("YEKATERINA IVANOVA", 600, 3900, ["bwv826", "s178"]),
            ("KEVIN SMITH", 5100, 9000, ["op109"]),
        ],
    ),
    "order broken": (
        9000.0,
        "chopin",
        """\
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:01:30)
HIROSHI TANAKA (Japonia / Japan)
Fantazja f-moll op. 49 / Fantasy in F minor, Op. 49 (35:10)
""",
        [],
    ),
    "beyond the end": (
        3000.0,
        "chopin",
        """\
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)
HIROSHI TANAKA (Japonia / Japan)
Fantazja f-moll op. 49 / Fantasy in F minor, Op. 49 (1:35:10)
""",
        [],
    ),
    "break with clock and stamps, applause": (
        9000.0,
        "chopin",
        """\
10:00 – 10:30
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)
Oklaski / Applause (11:30)
10:30 – 11:00
HIROSHI TANAKA (Japonia / Japan)
Fantazja f-moll op. 49 / Fantasy in F minor, Op. 49 (35:10)
PRZERWA / BREAK (50:00)
11:30 – 12:00
MARTA PĘK (Polska/Poland)
Barkarola Fis-dur op. 60 / Barcarolle in F sharp major, Op. 60 (1:20:05)
Ogłoszenie wyników / Announcement of the results (1:40:00)
""",
        [
            ("ANNA KOWALSKA", 90, 2110, ["op54"]),
            ("HIROSHI TANAKA", 2110, 3000, ["op49"]),
            ("MARTA PĘK", 4805, 6000, ["op60"]),
        ],
    ),
    "one pianist is no session": (
        1800.0,
        "chopin",
        """\
10.00 – 10.30
ANNA KOWALSKA (Polska / Poland)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)
""",
        [],
    ),
    "recital is no session": (
        1800.0,
        "chopin",
        """\
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:30)
Ballada g-moll op. 23 / Ballade in G minor, Op. 23 (12:10)
""",
        [],
    ),
}


def _named(item: ProgrammeItem) -> str:
    return "+".join(p.work + (f" m{p.movement}" if p.movement else "") for p in item.pieces)


def _items(programme: Programme) -> list[Item]:
    return [(i.start_s, i.end_s, _named(i)) for i in programme.items if i.pieces]


def _blocks(session: Session) -> list[Block]:
    return [
        (b.name, b.start_s, b.end_s, [_named(i) for i in b.items if i.pieces])
        for b in session.blocks
    ]


@pytest.mark.parametrize("name", PROGRAMMES)
def test_a_programme_is_read_as_a_person_reads_it(name: str) -> None:
    """Works, movements and times of a whole description, sponsors and breaks among them."""
    duration_s, composer, text, expected = PROGRAMMES[name]
    read = read_programme(text, default_composer=composer, duration_s=duration_s)
    assert _items(read) == expected


@pytest.mark.parametrize("name", BAD_PROGRAMMES)
def test_bad_stamps_and_markup_give_no_time_twice(name: str) -> None:
    """Stamps out of order, equal, overlapping or beyond the end leave no overlap behind."""
    duration_s, text = BAD_PROGRAMMES[name]
    read = read_programme(text, default_composer="chopin", duration_s=duration_s)
    times = [(i.start_s, i.end_s) for i in read.items if i.start_s is not None]
    assert read.pieces
    assert all(end is not None and start < end <= duration_s for start, end in times)
    assert all(one[1] is None or one[1] <= two[0] for one, two in pairwise(times))


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_is_cut_as_a_person_cuts_it(name: str) -> None:
    """Each pianist's part and nobody else's; a part in doubt is not cut."""
    duration_s, composer, text, expected = SESSIONS[name]
    read = read_session(text, default_composer=composer, duration_s=duration_s)
    assert _blocks(read) == expected


@pytest.mark.parametrize(
    "wording",
    [
        "Sonata in B minor, Op. 58: Finale. Presto non tanto",
        "Sonata b-moll op. 35: Marche funèbre",
        "Sonata in B minor, Op. 58 – Largo",
        "PROKOFIEV Sonata No. 7: Precipitato",
        "MUSSORGSKY Pictures at an Exhibition: Promenade",
    ],
)
def test_a_part_is_not_taken_for_the_whole(wording: str) -> None:
    """A movement or number that is not known is refused; as the whole it would pair wrongly."""
    read = read_programme(f"{wording} (0:10)", default_composer="chopin", duration_s=900.0)
    assert read.pieces == ()
    assert read.problems


def test_titles_below_a_sonata_are_counted_only_where_all_stand_there() -> None:
    """`Scherzo` below a sonata is its movement and never the pianist's Scherzo Op. 20."""
    text = "Sonata b-moll op. 35\nScherzo (1:00)\nMarche funèbre (8:00)\nFinale (16:00)\n"
    read = read_programme(text, default_composer="chopin", duration_s=1200.0)
    assert [p.identity for p in read.pieces] == [("chopin", "op35", None)]
    assert all(not item.pieces for item in read.items if item.start_s is not None)


def test_what_follows_a_break_without_a_name_is_nobodys() -> None:
    """The next pianist's line is missing: the music after the break is not the last one's."""
    text = (
        "ANNA KOWALSKA (Polska / Poland)\nScherzo E-dur op. 54 (1:30)\n"
        "Przerwa / Intermission (12:30)\nBallada g-moll op. 23 (30:00)\n"
        "LI WEI CHEN (Chiny / China)\nBallada F-dur op. 38 (50:00)\n"
    )
    read = read_session(text, default_composer="chopin", duration_s=4000.0)
    assert [(b.name, b.start_s, b.end_s) for b in read.blocks] == [
        ("ANNA KOWALSKA", 90.0, 750.0),
        ("LI WEI CHEN", 3000.0, 4000.0),
    ]
    assert [problem.reason for problem in read.refused] == ["a block without a name"]


def test_a_choice_says_why_in_a_sentence() -> None:
    """`the chapters say`, `the title says`: it is read by people."""
    title = read_programme("Etude Op. 10 No. 1", default_composer="chopin", duration_s=100.0)
    chosen = choose_programme(description=title)
    assert chosen.because == "the description says what is played when"
    plural = Programme("chapters", title.items)
    assert choose_programme(chapters=plural).because == "the chapters say what is played when"
