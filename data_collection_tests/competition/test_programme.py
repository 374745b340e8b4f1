"""Programmes: which work is played from when to when, and what is refused with a reason."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_collection.competition.programme import (
    Programme,
    ProgrammeItem,
    choose_programme,
    piece_of,
    programme_from_chapters,
    programme_from_title,
    read_programme,
)
from data_collection.competition.programme_lines import MOST_CHARACTERS
from data_collection.competition.programme_stamps import read_stamp, seconds
from data_collection.repertoire.catalogue import Work
from data_collection_tests.repertoire.test_reading import CHOPIN, held_out
from data_collection_tests.repertoire.wordings import wordings

DURATION_S = 10_000.0
NOISE = (
    "Subskrybuj nasz kanał! / Subscribe to our channel!",
    "https://chopin2020.pl/en/etudes/op10",
    "#chopin #etude #ballade",
    "XVIII Konkurs Chopinowski – II etap / second stage",
    "Warsaw, 12 October 2021, 10:00",
    "Fortepian / Piano: Steinway & Sons D-274",
    "Więcej informacji: www.nifc.pl",
    "More Nocturnes and Ballades by Chopin in our playlist",
    "He played the Ballade in G minor, Op. 23 last year",
    "The Etude Op. 10 No. 12 was written in 1831",
    "Jury: Dmitri Alexeev, Sa Chen, Nelson Goerner",
    "Photo: Darek Golik / NIFC",
    "Patron: Ministry of Culture",
    "❤️❤️❤️",
    "BRUCE LIU (Kanada / Canada)",
    "Kontakt: konkurs@nifc.pl",
    "© 2021 The Fryderyk Chopin Institute",
    "Orkiestra Filharmonii Narodowej",
)


def read(text: str, duration_s: float | None = DURATION_S) -> Programme:
    return read_programme(text, default_composer="chopin", duration_s=duration_s)


def works(programme: Programme) -> list[tuple[str | None, float | None, float | None]]:
    return [(i.piece.work if i.piece else None, i.start_s, i.end_s) for i in programme.items]


def stamp(at_s: int, style: int) -> str:
    """Write seconds in one of the ways that are met."""
    hours, minutes, rest = at_s // 3600, at_s // 60 % 60, at_s % 60
    if hours:
        return (
            f"{hours:02d}:{minutes:02d}:{rest:02d}"
            if style % 2
            else f"{hours}:{minutes:02d}:{rest:02d}"
        )
    short = f"{minutes}:{rest:02d}"
    return (short, f"{minutes:02d}:{rest:02d}", f"0:{minutes:02d}:{rest:02d}")[style % 3]


LINES = (
    "{w} ({s})", "{w} [{s}]", "{w} - {s}", "{w} – {s}", "{w} {s}", "{s} {w}", "({s}) {w}",
    "[{s}] {w}", "{s} – {w}", "• {w} ({s})", "1. {w} ({s})", "🎹 {s} {w}", "{w} / {v} ({s})",
    "{w} | {v} ({s})", "{v}\n{w} ({s})",
)  # fmt: skip


@st.composite
def descriptions(draw: st.DrawFn) -> tuple[str, list[tuple[str, int]]]:
    """Draw a description and the works and starts that it was made of."""
    chosen = draw(
        st.lists(st.sampled_from(CHOPIN), min_size=2, max_size=6, unique_by=lambda w: w.key)
    )
    starts = sorted(
        draw(st.sets(st.integers(0, 9_000), min_size=len(chosen), max_size=len(chosen)))
    )
    shape, style = draw(st.sampled_from(LINES)), draw(st.integers(0, 5))
    lines: list[str] = draw(st.lists(st.sampled_from(NOISE), max_size=3))
    for work, at_s in zip(chosen, starts, strict=True):
        lines.append(_line(draw, work, shape, stamp(at_s, style)))
        if draw(st.booleans()):
            lines.append("")
    lines += draw(st.lists(st.sampled_from(NOISE), max_size=3))
    return "\n".join(lines), [(w.key, s) for w, s in zip(chosen, starts, strict=True)]


def _line(draw: st.DrawFn, work: Work, shape: str, at: str) -> str:
    return shape.format(
        w=draw(wordings(work, language="en")), v=draw(wordings(work, language="pl")), s=at
    )


@settings(max_examples=300)
@given(descriptions())
def test_what_is_read_is_what_was_written(drawn: tuple[str, list[tuple[str, int]]]) -> None:
    """Works, starts and ends of any description come back; noise around them is nothing."""
    text, written = drawn
    ends = [*(float(start) for _, start in written[1:]), DURATION_S]
    expected = [(key, float(start), end) for (key, start), end in zip(written, ends, strict=True)]
    assert works(read(text)) == expected, text


@settings(max_examples=300)
@given(descriptions(), st.data())
def test_stamps_in_another_order_give_no_piece_wrongly(
    drawn: tuple[str, list[tuple[str, int]]], data: st.DataObject
) -> None:
    """With two stamps swapped, every item that keeps its times still has those of its own work.

    What was between the swapped ones is in doubt; what is before and after is not.
    """
    _, written = drawn
    first, second = sorted(
        data.draw(st.lists(st.integers(0, len(written) - 1), min_size=2, max_size=2))
    )
    assume(first != second)
    starts = [start for _, start in written]
    starts[first], starts[second] = starts[second], starts[first]
    keys = [key for key, _ in written]
    lines = [f"{_wording(key)} ({stamp(s, 0)})" for key, s in zip(keys, starts, strict=True)]
    ends = dict(zip(keys, [*(s for _, s in written[1:]), DURATION_S], strict=True))
    programme = read("\n".join(lines))
    for key, start, end in works(programme):
        if start is not None and key is not None:  # a wording such as "Variations on" names none
            assert (start, end) == (dict(written)[key], ends[key])
    assert all(i.start_s is None for i in programme.items[first : second + 1])
    assert programme.problems


def _wording(key: str) -> str:
    work = next(work for work in CHOPIN if work.key == key)
    return work.title.partition(" “")[0]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(NOISE), max_size=8), st.integers(0, 3))
def test_noise_is_no_work(lines: list[str], blank: int) -> None:
    """Nothing is read as a work in sponsors, links, prose and names; all of it is reported."""
    programme = read(("\n" * blank + "\n").join(lines))
    assert programme.pieces == ()
    reported = {p.text for p in programme.not_understood} | {p.text for p in programme.problems}
    assert set(lines) <= reported


def test_lines_that_a_careful_person_has_read() -> None:
    """Lines of three editions' styles; each gives what a person reads in it, refusals too."""
    cases = held_out()
    assert len(cases) > 350
    wrong = [
        (text, found, expected)
        for default, text, expected in cases
        if (found := _pieces_of_line(text, default)) != expected
    ]
    assert wrong == []


def _pieces_of_line(text: str, default: str | None) -> list[str]:
    programme = read_programme(text, default_composer=default, duration_s=36_000.0)
    return [
        f"{p.composer}:{p.work}" + (f"#{p.movement}" if p.movement else "")
        for item in programme.items
        for p in item.pieces
    ]


def test_movements_stand_under_their_work() -> None:
    """A concerto's movements have stamps of their own; the heading is no item beside them."""
    programme = read(
        "FRYDERYK CHOPIN\nPiano Concerto in E minor, Op. 11\n"
        "I. Allegro maestoso (0:50)\nII. Romance. Larghetto (20:10)\nIII. Rondo. Vivace (30:00)"
    )
    assert [(i.piece.work, i.piece.movement, i.start_s) for i in programme.items if i.piece] == [
        ("op11", "1", 50.0),
        ("op11", "2", 1210.0),
        ("op11", "3", 1800.0),
    ]


def test_a_movement_without_a_work_is_refused() -> None:
    """`II. Larghetto` alone is of nobody knows what."""
    programme = read("II. Larghetto (3:00)")
    assert programme.pieces == ()
    assert "no work above" in programme.problems[0].reason


def test_movements_without_stamps_are_details() -> None:
    """A list of tempi under a sonata neither ends it nor takes its times."""
    programme = read(
        "Sonata in B minor, Op. 58 (0:10)\nI. Allegro maestoso\nII. Scherzo. Molto vivace\n"
        "III. Largo\nIV. Finale. Presto non tanto\nBarcarolle, Op. 60 (26:00)"
    )
    assert works(programme) == [("op58", 10.0, 1560.0), ("op60", 1560.0, DURATION_S)]


def test_two_languages_on_two_lines_that_differ() -> None:
    """The Polish and the English line name two works: neither counts, the time stays a boundary."""
    programme = read(
        "Barkarola Fis-dur op. 60\nBarcarolle in F sharp major, Op. 60 (0:10)\n"
        "Ballada g-moll op. 23\nScherzo in B minor, Op. 20 (9:00)\n"
        "Walc As-dur op. 42\nWaltz in A flat major, Op. 42 (19:00)"
    )
    assert works(programme) == [
        ("op60", 10.0, 540.0), (None, 540.0, 1140.0), ("op42", 1140.0, DURATION_S),
    ]  # fmt: skip
    assert "differ" in programme.problems[0].reason
    assert programme.problems[0].line == 4


def test_applause_ends_a_work_and_an_encore_is_one() -> None:
    """Clapping is not music of the ballade; an encore is a work like any other."""
    programme = read(
        "Start (0:00)\nBallade No. 1 (0:20)\nOklaski / Applause (9:40)\nBis: Walc op. 42 (11:00)"
    )
    assert works(programme) == [
        (None, 0.0, 20.0), ("op23", 20.0, 580.0), (None, 580.0, 660.0), ("op42", 660.0, DURATION_S),
    ]  # fmt: skip


def test_one_work_without_a_stamp_lasts_as_long_as_the_recording() -> None:
    """A final's description names the concerto and nothing else."""
    assert works(read("Koncert e-moll op. 11 / Concerto in E minor, Op. 11\n\nthanks")) == [
        ("op11", 0.0, DURATION_S)
    ]


def test_several_works_without_stamps_are_known_but_not_when() -> None:
    """The works are on the programme; giving one of them to a segment would be a guess."""
    programme = read("Ballade in G minor, Op. 23\nScherzo in B minor, Op. 20")
    assert works(programme) == [("op23", None, None), ("op20", None, None)]
    assert piece_of(programme, 0, 30) == (None, 0.0)


def test_a_work_without_a_stamp_leaves_the_one_before_in_doubt() -> None:
    """Between two stamps two works are played, and nobody says where the second starts."""
    programme = read("Ballade Op. 23 (0:10)\nScherzo Op. 20\nBarcarolle Op. 60 (20:00)")
    assert works(programme) == [
        ("op23", None, None), ("op20", None, None), ("op60", 1200.0, DURATION_S),
    ]  # fmt: skip
    assert programme.problems[0].line == 1


@pytest.mark.parametrize("bad", ["(99:99)", "(2:99:00)", "(5:00:00)"])
def test_a_stamp_that_is_no_time_or_beyond_the_end(bad: str) -> None:
    """What starts nobody knows when has no times, nor has the work before it; the rest keeps."""
    programme = read(f"Etude Op. 10 No. 1 (0:10)\nBallade Op. 23 (3:00)\nWaltz Op. 42 {bad}")
    assert works(programme) == [
        ("op10-no1", 10.0, 180.0), ("op23", None, None), ("op42", None, None),
    ]  # fmt: skip
    assert {problem.line for problem in programme.problems} == {2, 3}


def test_equal_stamps_leave_both_in_doubt_and_the_others_alone() -> None:
    """Two works at one time are a copying error; what comes before still ends there."""
    programme = read(
        "Etude Op. 10 No. 1 (0:10)\nBallade Op. 23 (3:00)\nWaltz Op. 42 (3:00)\nBerceuse (20:00)"
    )
    assert works(programme) == [
        ("op10-no1", 10.0, 180.0), ("op23", None, None), ("op42", None, None),
        ("op57", 1200.0, DURATION_S),
    ]  # fmt: skip


def test_a_written_end_is_taken_and_an_overlap_is_not() -> None:
    """`0:10 – 9:00` ends at 9:00 though the next starts later; one that runs over is refused."""
    programme = read(
        "Ballade Op. 23 (0:10 – 9:00)\nScherzo Op. 20 (9:30 – 20:00)\nBarcarolle Op. 60 (19:00)"
    )
    assert works(programme) == [
        ("op23", 10.0, 540.0), ("op20", None, None), ("op60", 1140.0, DURATION_S),
    ]  # fmt: skip


def test_a_headline_is_not_played_twice() -> None:
    """The work of the title line is the stamped one below, not another before it."""
    programme = read(
        "Ballade in F major, Op. 38\n\nBallade Op. 38 (0:10)\nEtude Op. 10 No. 1 (8:00)"
    )
    assert works(programme) == [("op38", 10.0, 480.0), ("op10-no1", 480.0, DURATION_S)]


def test_several_works_under_one_stamp_are_kept_together() -> None:
    """One line with two études is one stretch with two pieces, and no single piece."""
    item = read("Etudes: Op. 10 No. 4, Op. 25 No. 6 (0:10)\nBerceuse (5:00)").items[0]
    assert item.piece is None
    assert [piece.work for piece in item.pieces] == ["op10-no4", "op25-no6"]
    assert (item.start_s, item.end_s) == (10.0, 300.0)


def test_line_numbers_are_those_of_the_text() -> None:
    """A person looks a problem up by its line; blank lines count."""
    programme = read("\n\nEtude in C major, Op. 10 No. 12 (0:10)\r\n\r\nBerceuse (5:00)")
    assert [problem.line for problem in programme.problems] == [3]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        "Etude in C minr, Op. 10 No. 12 (0:10) lorem\n" * 230_000,
        "(" * 300_000 + "\n" + "1:00" * 200_000,
        " / " * 400_000,
        "0:00 – " * 300_000,
        "Etude " * 300_000,
        "\n" * 1_000_000,
        "\ud800\u202e\x00♯♭" * 200_000,
    ],
    ids=["one line", "lines", "brackets", "slashes", "ranges", "genres", "blank", "surrogates"],
)
def test_ten_megabytes_are_read_as_far_as_a_description_goes(text: str) -> None:
    """A hostile description costs neither minutes nor a crash, and says what was not read."""
    programme = read(text)
    assert "not read" in programme.problems[-1].reason
    assert len(text) > MOST_CHARACTERS
    assert not programme.items or programme.items[-1].start_s is None


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(), max_size=300))
def test_no_text_breaks_a_programme(text: str) -> None:
    """Whatever stands in a description, there is a programme, ordered and within the recording."""
    timed = [i for i in read(text).items if i.start_s is not None and i.end_s is not None]
    assert all(0 <= (i.start_s or 0) < (i.end_s or 0) <= DURATION_S for i in timed)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(["Ballade Op. 23", "Scherzo Op. 20", "Applause", "Op. 60", ""]),
                  st.sampled_from(["(0:10)", "(5:00)", "3:00", "(99:99)", "(4:00:00)", "",
                                   "(1:00-2:00)"])),
        max_size=10,
    )
)  # fmt: skip
def test_no_two_items_overlap(lines: list[tuple[str, str]]) -> None:
    """A segment belongs to one item; whatever the stamps are, items do not run into each other."""
    timed = [i for i in read("\n".join(" ".join(x) for x in lines)).items if i.is_timed]
    assert all((a.end_s or 0) <= (b.start_s or 0) for a, b in pairwise(timed))


def test_chapters_are_a_programme() -> None:
    """YouTube's chapters name works too; one without a title is a stretch of nothing known."""
    programme = programme_from_chapters(
        [
            {"start_time": 0, "end_time": 12.5, "title": "<Untitled Chapter 1>"},
            {"start_time": 12.5, "end_time": 500.0, "title": "Ballade in G minor, Op. 23"},
            {"start_time": 500.0, "end_time": 400.0, "title": "Scherzo, Op. 20"},
            {"start_time": "soon", "end_time": None, "title": None},
        ],
        default_composer="chopin",
        duration_s=DURATION_S,
    )
    assert works(programme) == [
        (None, 0.0, 12.5), ("op23", 12.5, 500.0), ("op20", None, None), (None, None, None),
    ]  # fmt: skip
    assert programme.source == "chapters"
    assert programme_from_chapters(None, default_composer=None, duration_s=None).items == ()


def test_the_share_of_a_segment_decides() -> None:
    """A segment over a boundary is the work's that fills more of it, and says how much."""
    programme = read("Ballade Op. 23 (0:00)\nScherzo Op. 20 (1:40)")
    item, share = piece_of(programme, 80.0, 110.0)
    assert item is not None
    assert item.piece is not None
    assert (item.piece.work, round(share, 3)) == ("op23", 0.667)
    assert piece_of(programme, DURATION_S + 1, DURATION_S + 31) == (None, 0.0)
    assert piece_of(programme, 10.0, 10.0) == (None, 0.0)


def title(wording: str) -> Programme:
    return programme_from_title(wording, default_composer="chopin", duration_s=DURATION_S)


def test_sources_come_in_order() -> None:
    """Override before description before chapters before title, and a sentence says why none."""
    override = Programme("override", (ProgrammeItem(None, "tuning", 0.0, 10.0),))
    described = read("Ballade Op. 23 (0:00)\nScherzo Op. 20 (1:40)")
    chapters = programme_from_chapters(
        [{"start_time": 0, "end_time": 9, "title": "Berceuse, Op. 57"}],
        default_composer="chopin", duration_s=9.0,
    )  # fmt: skip
    assert choose_programme(override=override, description=described).programme is override
    assert choose_programme(description=described, chapters=chapters).programme is described
    assert choose_programme(description=read("hello"), chapters=chapters).programme is chapters
    assert choose_programme(title=title("Etude Op. 10 No. 1")).programme is not None
    nothing = choose_programme(description=read("hello"), title=title("Jane Doe – first round"))
    assert nothing.programme is None
    assert nothing.because == "no work is named in description, title"


def test_a_title_does_not_stand_for_a_recital() -> None:
    """Where the description names five works without times, the title's one is not all of it."""
    described = read("Ballade Op. 23\nScherzo Op. 20")
    choice = choose_programme(description=described, title=title("Ballade Op. 23"))
    assert choice.programme is described
    assert "other works" in choice.because


def test_a_description_and_a_title_that_contradict_give_none() -> None:
    """One of the two is about another video; nobody knows which."""
    choice = choose_programme(description=read("Ballade Op. 23"), title=title("Scherzo Op. 20"))
    assert choice.programme is None
    assert "op23" in choice.because
    assert "op20" in choice.because


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8:38", 518.0), ("01:02:07", 3727.0), ("75:30", 4530.0), ("99:99", None), ("1:60:00", None),
     ("8", None), ("", None)],
)  # fmt: skip
def test_stamps_are_seconds(text: str, expected: float | None) -> None:
    """Minutes may pass 60 where no hours are written; seconds never."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "line",
    ["Warsaw, 12 October 2021, 10:00", "godz. 10:00 sesja", "From 10:00 to 12:00 in the hall",
     "Haydn Sonata Hob. XVI:50", "Starts 10:00 CET", "ratio 16:9"],
)  # fmt: skip
def test_a_clock_is_no_stamp(line: str) -> None:
    """A time of day taken for a time in the video would cut a recital at random."""
    assert not read_stamp(line).is_stamped
