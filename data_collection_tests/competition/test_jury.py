"""A jury's marks: what a file of them may look like, their means, and how far jurors agree."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import spearmanr

from data_collection.competition.jury import (
    LARGEST_MARK,
    JuryMark,
    JuryMarksError,
    juror_agreements,
    marks_for_margins,
    mean_marks,
    noise_ceilings,
    read_jury_marks,
)


@dataclass(frozen=True)
class Marked:
    """A competitor."""

    performer: str
    stages_performed: tuple[str, ...] = ("stage1", "stage2")
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Named:
    """A round."""

    id: str
    title_words: tuple[str, ...]


ROSTER = (
    Marked("Bruce (Xiaoyu) Liu"),
    Marked("Martín García García", aliases=("M. G. Garcia",)),
    Marked("J J Jun Li Bui"),
    Marked("Xuehong Chen", ("stage1",)),
    Marked("Yutong Chen", ("stage1",)),
    Marked("Marcin Wieczorek", ("stage1",)),
)
ROUNDS = (Named("stage1", ("first", "I etap")), Named("stage2", ("second", "II etap")))


def read(
    folder: Path, text: str | bytes, roster: Sequence[Marked] = ROSTER
) -> tuple[JuryMark, ...]:
    """Write a file and read it."""
    path = folder / "marks.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_jury_marks(path, roster, ROUNDS)


def given_marks(table: dict[str, list[float | None]], round_id: str = "r") -> list[JuryMark]:
    """Marks by juror, for performers p0, p1, ..."""
    return [
        JuryMark(juror=juror, performer=f"p{at}", round=round_id, mark=mark)
        for juror, marks in table.items()
        for at, mark in enumerate(marks)
    ]


SPELLINGS = {
    "Bruce (Xiaoyu) Liu": ("Bruce Liu", "LIU Bruce", "Bruce (Xiaoyu) Liu", " Xiaoyu  Liu "),
    "Martín García García": ("Martin Garcia Garcia", "M. G. Garcia", "García García Martín"),
    "J J Jun Li Bui": ("JJ Bui", "J.J. Jun Li Bui"),
}
WRITTEN_ROUNDS = {"stage1": ("stage1", "First", "I ETAP"), "stage2": ("second", " STAGE2 ")}
BLANKS = ("", "s", "S", "-", "–")


@st.composite
def _files(draw: st.DrawFn) -> tuple[bytes, list[JuryMark]]:
    """A file as people write it, and the marks that it means."""
    delimiter = draw(st.sampled_from(",;\t"))
    decimal = draw(st.sampled_from(".,"))
    bom = draw(st.booleans())
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    form = draw(st.sampled_from(["NFC", "NFD"]))
    vote_column = draw(st.sampled_from([None, "advance", "Yes"]))
    order = draw(st.permutations(["juror", "competitor", "round", "mark", "note", "vote"]))
    columns = [c for c in order if c != "vote" or vote_column]
    keys = st.tuples(
        st.sampled_from(["Katarzyna Popowa-Zydroń", "Piotr Paleczny", "Đặng Thái Sơn"]),
        st.sampled_from(sorted(SPELLINGS)),
        st.sampled_from(sorted(WRITTEN_ROUNDS)),
    )
    value = st.one_of(
        st.none(), st.decimals(-5, 100, places=2, allow_nan=False, allow_infinity=False)
    )
    # The first line gives a mark, since a file without any is refused.
    entries = draw(st.lists(st.tuples(keys, value), min_size=1, unique_by=lambda entry: entry[0]))
    entries[0] = (entries[0][0], entries[0][1] or 0)
    meant, lines = [], [[vote_column if c == "vote" else c.upper() for c in columns]]
    for (juror, performer, round_id), number in entries:
        vote = draw(st.sampled_from([("tak", True), ("NO", False), ("", None), ("-", None)]))
        cells = {
            "juror": juror,
            "competitor": draw(st.sampled_from(SPELLINGS[performer])),
            "round": draw(st.sampled_from(WRITTEN_ROUNDS[round_id])),
            "mark": draw(st.sampled_from(BLANKS))
            if number is None
            else str(number).replace(".", decimal),
            "note": draw(st.sampled_from(["", "own student", 'said "bravo", twice;'])),
            "vote": vote[0],
        }
        lines.append([cells[column] for column in columns])
        meant.append(
            JuryMark(
                juror=unicodedata.normalize(form, juror),
                performer=performer,
                round=round_id,
                mark=None if number is None else float(number),
                advance=vote[1] if vote_column else None,
            )
        )
        if draw(st.booleans()):
            lines.append([""] * len(columns))
    quoted = [
        delimiter.join('"' + (cell or "").replace('"', '""') + '"' for cell in line)
        for line in lines
    ]
    text = unicodedata.normalize(form, newline.join(quoted))
    return text.encode("utf-8-sig" if bom else "utf-8"), meant


@given(_files())
def test_every_way_of_writing_a_file_means_the_same_marks(
    tmp_path_factory: pytest.TempPathFactory, example: tuple[bytes, list[JuryMark]]
) -> None:
    """Delimiter, decimal sign, order, spelling and encoding change nothing; guards lost marks."""
    content, meant = example
    assert list(read(tmp_path_factory.mktemp("jury"), content)) == meant


def test_unquoted_cells_are_read(tmp_path: Path) -> None:
    """The plain file that a spreadsheet in Warsaw saves: semicolons and decimal commas."""
    marks = read(
        tmp_path,
        "Juror;Competitor;Round;Mark;Advance\nA;Bruce Liu;stage1;21,5;tak\nB;Bruce Liu;I etap;s;\n",
    )
    assert [(m.juror, m.mark, m.advance) for m in marks] == [("A", 21.5, True), ("B", None, None)]


def test_spellings_of_a_juror_are_one_juror(tmp_path: Path) -> None:
    """A juror split in two would count twice in the noise ceiling; the first spelling is kept."""
    marks = read(
        tmp_path,
        "juror,competitor,round,mark\nPiotr  Paleczny,Bruce Liu,stage1,20\n"
        "PIOTR PALECZNY,JJ Bui,stage1,21\n",
    )
    assert {mark.juror for mark in marks} == {"Piotr Paleczny"}


def test_a_line_said_twice_counts_once(tmp_path: Path) -> None:
    """Two spellings with one mark are one statement; guards means weighted by a repeated line."""
    marks = read(
        tmp_path,
        "juror,competitor,round,mark\nA,Bruce Liu,stage1,20\nA,Liu Bruce,first,20.0\n",
    )
    assert len(marks) == 1


def test_blank_lines_of_rounds_not_played_say_nothing(tmp_path: Path) -> None:
    """A table of everybody in every round is a usual export; its blanks are no abstentions."""
    marks = read(
        tmp_path,
        "juror,competitor,round,mark\nA,Marcin Wieczorek,stage1,20\nA,Marcin Wieczorek,stage2,\n",
    )
    assert [mark.round for mark in marks] == ["stage1"]


HEADER = "juror,competitor,round,mark"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["juror,competitor,mark", "A,Bruce Liu,20"], ["no column round", "found: juror"]),
        ([""], ["no column juror, competitor, round, mark", "found: none"]),
        ([f"{HEADER},mark", "A,Bruce Liu,stage1,20,21"], ["column mark stands twice"]),
        ([f"{HEADER},yes,advance", "A,Bruce Liu,stage1,20,,"], ["yes", "stands twice"]),
        ([HEADER, "A,Chen,stage1,20"], ["line 2", "'Chen' is nobody", "Xuehong Chen"]),
        ([HEADER, "A,B. Liu,stage1,20"], ["'B. Liu' is nobody", "Bruce (Xiaoyu) Liu"]),
        ([HEADER, "A,Jan Kowalski,stage1,20"], ["line 2", "'Jan Kowalski' is nobody"]),
        ([HEADER, "A,—,stage1,20"], ["'—' is nobody"]),
        ([HEADER, "A,Bruce Liu,stage3,20"], ["'stage3' is no round", "i etap"]),
        ([HEADER, "A,Bruce Liu,stage1,x"], ["line 2", "mark 'x' is no number", "21,5"]),
        ([HEADER, "A,Bruce Liu,stage1,nan"], ["mark 'nan'"]),
        ([HEADER, "A,Bruce Liu,stage1,inf"], ["mark 'inf'"]),
        ([HEADER, f"A,Bruce Liu,stage1,{'9' * 400}"], ["no number up to 10000"]),
        ([HEADER, "A,Bruce Liu,stage1,1_0"], ["mark '1_0'"]),
        ([HEADER, "A,Bruce Liu,stage1,٢١"], ["mark '٢١'"]),
        ([HEADER, "A,Bruce Liu,stage1,21,5"], ["5 cells under 4 columns", "double quotes"]),
        ([HEADER, "A,Bruce Liu,stage1"], ["3 cells under 4 columns"]),
        ([f"{HEADER},advance", "A,Bruce Liu,stage1,20,perhaps"], ["vote 'perhaps'"]),
        ([HEADER, ",Bruce Liu,stage1,20"], ["line 2", "juror is blank"]),
        ([HEADER, "A,,,20"], ["competitor, round is blank"]),
        (
            [HEADER, "A,Bruce Liu,stage1,20", "", "A,Liu Bruce,first,21"],
            ["line 4", "'21'", "'20' earlier", "line 2"],
        ),
        (
            [HEADER, "A,Bruce Liu,stage1,20", "a,Bruce Liu,stage1,"],
            ["'blank'", "'20' earlier"],
        ),
        (
            [HEADER, "A,Marcin Wieczorek,stage2,20"],
            ["Marcin Wieczorek did not play", "played: stage1"],
        ),
        ([HEADER, "A,Bruce Liu,stage1,s"], ["no mark in it"]),
        ([HEADER], ["no mark in it"]),
        ([HEADER, 'A,"Bruce Liu,stage1,20'], ["not CSV"]),
    ],
)
def test_a_fault_is_named_with_file_and_line(
    tmp_path: Path, lines: list[str], words: list[str]
) -> None:
    """Nothing is guessed, and whoever mends the file need not search; guards wrong marks."""
    with pytest.raises(JuryMarksError) as caught:
        read(tmp_path, "\n".join(lines))
    for word in [str(tmp_path / "marks.csv"), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "content", ["juror;Zydroń".encode("cp1250"), "juror,mark".encode("utf-16"), b"\xff\x00"]
)
def test_other_encodings_are_refused(tmp_path: Path, content: bytes) -> None:
    """Guards against names with replaced letters, which would match nobody or another."""
    with pytest.raises(JuryMarksError, match="save it as UTF-8"):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_ours_to_mend(tmp_path: Path) -> None:
    """The message says which setting names it, for a missing file and for a folder."""
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(JuryMarksError, match="mend the edition's `jury_marks`"):
            read_jury_marks(path, ROSTER, ROUNDS)


def test_a_name_that_fits_two_is_neither(tmp_path: Path) -> None:
    """A spelling that fits two: guards against giving one pianist another's marks."""
    roster = (Marked("Alexei Voronin"), Marked("Alexey Voronin"))
    with pytest.raises(JuryMarksError, match="may be Alexei Voronin or Alexey Voronin"):
        read(tmp_path, f"{HEADER}\nA,Aleksey Voronin,stage1,20\n", roster)
    assert read(tmp_path, f"{HEADER}\nA,Alexei Voronin,stage1,20\n", roster)


def test_a_round_that_two_share_is_neither(tmp_path: Path) -> None:
    """An id means itself; a title word of two rounds is refused."""
    rounds = (Named("first", ("solo",)), Named("second", ("solo", "first")))
    path = tmp_path / "marks.csv"
    roster = (Marked("Bruce Liu", ("first", "second")),)
    path.write_text(f"{HEADER}\nA,Bruce Liu,first,20\n", encoding="utf-8")
    assert read_jury_marks(path, roster, rounds)[0].round == "first"
    path.write_text(f"{HEADER}\nA,Bruce Liu,solo,20\n", encoding="utf-8")
    with pytest.raises(JuryMarksError, match="may be first or second"):
        read_jury_marks(path, roster, rounds)


@pytest.mark.parametrize("mark", [math.nan, math.inf, LARGEST_MARK * 2])
def test_a_mark_is_a_finite_number_however_it_is_made(mark: float) -> None:
    """Guards the means against a NaN or an overflow that no later step would notice."""
    with pytest.raises(ValidationError):
        JuryMark(juror="A", performer="p", round="r", mark=mark)


def test_means_by_hand() -> None:
    """B skips p2; C gives everybody the same, which says nothing about the order."""
    marks = given_marks({"A": [1, 2, 3], "B": [10, 30, None], "C": [5, 5, 5]})
    rows = {row.performer: row for row in mean_marks(marks)}
    assert [rows[p].mean for p in ("p0", "p1", "p2")] == [
        pytest.approx(16 / 3, abs=1e-6),
        pytest.approx(37 / 3, abs=1e-6),
        4,
    ]
    assert [(rows[p].jurors, rows[p].standardised_jurors) for p in rows] == [(3, 2), (3, 2), (2, 1)]
    low = -math.sqrt(1.5)
    assert [rows[p].standardised_mean for p in ("p0", "p1", "p2")] == [
        pytest.approx((low - 1) / 2, abs=1e-6),
        pytest.approx(0.5, abs=1e-6),
        pytest.approx(-low, abs=1e-6),
    ]


def test_a_skipped_student_gains_nothing_from_a_strict_teacher() -> None:
    """Equal pianists: the raw mean rises where the strict juror is missing, margins do not."""
    rows = {
        row.performer: row
        for row in mean_marks(
            given_marks({"strict": [1, 3, 2, None], "mild": [21, 23, 22, 22], "x": [1, 3, 2, 2]})
        )
    }
    assert rows["p3"].mean > rows["p2"].mean + 3
    assert rows["p3"].standardised_mean == rows["p2"].standardised_mean == 0


def test_without_any_spread_there_is_no_standardised_mean() -> None:
    """One performer, or equal marks only: null, not a division by zero."""
    rows = mean_marks(given_marks({"A": [0.1, 0.1, 0.1], "B": [7, None, None]}))
    assert all(row.standardised_mean is None and row.standardised_jurors == 0 for row in rows)
    assert marks_for_margins(rows) == {}


tables = st.dictionaries(
    st.sampled_from(["A", "B", "C", "D"]),
    st.lists(
        st.one_of(st.none(), st.integers(0, 4).map(lambda n: n / 2 + 0.1)), min_size=6, max_size=6
    ),
)


@given(tables, st.permutations(range(48)))
def test_numbers_are_those_of_the_textbook(
    table: dict[str, list[float | None]], order: list[int]
) -> None:
    """Held against scipy and the statistics module, in any order of lines, and never a NaN."""
    both_rounds = given_marks(table, "r1") + given_marks(table, "r2")
    shuffled = [both_rounds[at] for at in order if at < len(both_rounds)]
    means = mean_marks(shuffled)
    assert means == mean_marks(both_rounds)
    for row in means:
        at = int(row.performer[1:])
        jurors = {j: m[at] for j, m in table.items() if m[at] is not None}
        assert row.jurors == len(jurors)
        assert row.mean == pytest.approx(fmean(jurors.values()), abs=1e-6)
        scores = []
        for juror, mark in jurors.items():
            own = [m for m in table[juror] if m is not None]
            if len(set(own)) > 1:
                scores.append((mark - fmean(own)) / pstdev(own))
        assert row.standardised_jurors == len(scores)
        expected = pytest.approx(fmean(scores), abs=1e-5) if scores else None
        assert row.standardised_mean == expected

    agreements = juror_agreements(shuffled)
    assert agreements == juror_agreements(both_rounds)
    for row in agreements:
        assert row.spearman == textbook_agreement(table, row.juror)


def textbook_agreement(table: dict[str, list[float | None]], juror: str) -> object:
    """One juror against the mean of the others by scipy."""
    own, others = [], []
    for at, mark in enumerate(table[juror]):
        rest = [m[at] for j, m in table.items() if j != juror and m[at] is not None]
        if mark is not None and rest:
            own.append(mark)
            others.append(round(fmean(rest), 6))
    if len(own) < 3 or len(set(own)) == 1 or len(set(others)) == 1:
        return None
    return pytest.approx(spearmanr(own, others).statistic, abs=1e-9)


def test_noise_ceiling_by_hand() -> None:
    """A and B agree, C is turned round, D is constant and E met too few: both not assessable."""
    marks = given_marks(
        {
            "A": [1, 2, 3, 4],
            "B": [11, 12, 13, 14],
            "C": [4, 3, 2, 1],
            "D": [5, 5, 5, 5],
            "E": [1, 2, None, None],
        }
    )
    (of_round, overall) = noise_ceilings(marks)
    coefficients = [row.spearman for row in juror_agreements(marks)]
    assert coefficients[3:] == [None, None]
    found = [c for c in coefficients if c is not None]
    assert found[2] == pytest.approx(-1)
    assert of_round.spearman == pytest.approx(fmean(found))
    assert of_round.spearman_sd == pytest.approx(stdev(found))
    assert (of_round.jurors, of_round.not_assessable, of_round.competitors) == (3, 2, 4)
    assert overall == of_round.model_copy(update={"round": None})


def test_rounds_together_count_a_juror_once_by_competitors() -> None:
    """Means of two rounds differ by far; pooled, even jurors who disagree would seem to agree."""
    first = given_marks({"A": [1, 2, 3, 4, 5, 6], "B": [6, 5, 4, 3, 2, 1]}, "first")
    second = given_marks({"A": [91, 92, 93], "B": [91, 92, 93]}, "second")
    rows = {row.round: row for row in noise_ceilings(first + second)}
    assert rows["first"].spearman == pytest.approx(-1)
    assert rows["second"].spearman == pytest.approx(1)
    assert rows[None].spearman == pytest.approx((-1 * 6 + 1 * 3) / 9)
    assert (rows[None].jurors, rows[None].competitors) == (2, 9)


def test_a_jury_of_one_has_no_ceiling() -> None:
    """Null and a count, not a NaN, and no marks at all are no error here."""
    (of_round, overall) = noise_ceilings(given_marks({"A": [1, 2, 3]}))
    for row in (of_round, overall):
        assert (row.spearman, row.spearman_sd, row.jurors, row.not_assessable) == (None, None, 0, 1)
    (nothing,) = noise_ceilings([])
    assert (nothing.round, nothing.spearman, nothing.jurors) == (None, None, 0)


def test_equal_means_tie_however_they_were_added() -> None:
    """0.1 + 0.2 is not twice 0.15 in floating point; guards ranks against that."""
    marks = given_marks({"A": [0.1, 0.15, 0.9], "B": [0.2, 0.15, 0.9], "C": [1, 2, 3]})
    rows = {row.juror: row for row in juror_agreements(marks)}
    assert rows["C"].spearman == pytest.approx(spearmanr([1, 2, 3], [1, 1, 2]).statistic)
    means = mean_marks(given_marks({"A": [0.1, 0.15], "B": [0.2, 0.15]}))
    assert means[0].mean == means[1].mean
