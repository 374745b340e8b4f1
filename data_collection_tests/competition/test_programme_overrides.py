"""The file in which a person says what is played: taken as it is, or refused with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_collection.competition.programme_overrides import (
    ProgrammeOverrideError,
    read_programme_overrides,
)

HEADER = "recording_id,start,end,composer,work,title,movement\n"


def write(tmp_path: Path, text: str, name: str = "programmes.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_are_programmes(tmp_path: Path) -> None:
    """Keys or titles, h:mm:ss; an end that is left out is the next start, order does not matter."""
    path = write(
        tmp_path,
        HEADER
        + "yt_a,8:38,,,,Scherzo in E major Op. 54,\n"
        + "yt_a,0:12,8:00,,op38,,\n"
        + "yt_b,,,beethoven,op57,,2\n"
        + "yt_a,1:02:07,1:10:00,,,,\n",
    )
    programmes = read_programme_overrides(path, default_composer="chopin")
    items = [
        (i.piece.work if i.piece else None, i.start_s, i.end_s) for i in programmes["yt_a"].items
    ]
    assert items == [("op38", 12.0, 480.0), ("op54", 518.0, 3727.0), (None, 3727.0, 4200.0)]
    whole = programmes["yt_b"].items[0]
    assert whole.piece is not None
    assert whole.piece.identity == ("beethoven", "op57", "2")
    assert (whole.start_s, whole.end_s) == (0.0, None)
    assert programmes["yt_a"].source == "override"


def test_json_says_the_same(tmp_path: Path) -> None:
    """A list of objects with the same fields; seconds as numbers."""
    rows = [{"recording_id": "yt_a", "start_s": 1.5, "end_s": 9, "title": "Berceuse"}]
    path = write(tmp_path, json.dumps(rows), "programmes.json")
    item = read_programme_overrides(path, default_composer="chopin")["yt_a"].items[0]
    assert item.piece is not None
    assert (item.piece.work, item.start_s, item.end_s) == ("op57", 1.5, 9.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("start,end\n1:00,2:00\n", "line 1: no column recording_id"),
        ("recording_id,piece\nyt_a,x\n", "line 1: unknown column piece"),
        (HEADER + "yt_a,99:99,,,op38,,\n", "line 2: start '99:99' is no time"),
        (HEADER + "yt_a,2:00,1:00,,op38,,\n", "line 2: ends at 60 s, before it starts"),
        (HEADER + "yt_a,,1:00,,op38,,\n", "line 2: an end without a start"),
        (HEADER + "yt_a,0:00,,,,Etude in C major Op. 10 No. 12,\n", "line 2: title"),
        (HEADER + "yt_a,0:00,,,Op. 38,,\n", "line 2: work"),
        (HEADER + ",0:00,,,op38,,\n", "line 2: recording_id"),
        (HEADER + "yt_a,0:00,9:00,,op38,,\nyt_a,8:00,,,op20,,\n", "line 3: overlaps"),
        (HEADER + "yt_a,0:00,,,op38,,\nyt_a,,,,op20,,\n", "line 3: several rows"),
        (HEADER + "yt_a,0:00,,,op38,,,extra\n", "line 2: more cells than columns"),
        (HEADER + 'yt_a,"0:00,,,op38,,\n', "unexpected end of data"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    """A person mends the file from the message alone; nothing in it is guessed or skipped."""
    with pytest.raises(ProgrammeOverrideError, match=r"programmes\.csv") as raised:
        read_programme_overrides(write(tmp_path, text), default_composer="chopin")
    assert complaint in str(raised.value)


@pytest.mark.parametrize("text", ["{", "{}", '[{"recording_id": "a", "start_s": "soon"}]', "[1]",
                                  '[{"recording_id": "a", "start_s": NaN}]'])  # fmt: skip
def test_json_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    """Half a file, an object, a word for a number: an error of ours, not a traceback."""
    path = write(tmp_path, text, "programmes.json")
    with pytest.raises(ProgrammeOverrideError, match=r"programmes\.json"):
        read_programme_overrides(path, default_composer="chopin")


def test_a_missing_file_and_one_of_another_encoding(tmp_path: Path) -> None:
    """Both say what to do with which file."""
    with pytest.raises(ProgrammeOverrideError, match="no such file"):
        read_programme_overrides(tmp_path / "none.csv", default_composer=None)
    path = tmp_path / "latin.csv"
    path.write_bytes((HEADER + "yt_a,0:00,,,,Étude,\n").encode("latin-1"))
    with pytest.raises(ProgrammeOverrideError, match="not UTF-8"):
        read_programme_overrides(path, default_composer=None)


def test_a_composer_is_a_slug_and_a_number_of_another_catalogue_is_canonical(
    tmp_path: Path,
) -> None:
    """`op90-no3` of Schubert is D. 899: two spellings of one piece must compare equal."""
    path = write(tmp_path, HEADER + "yt_a,,,schubert,op90-no3,,\n")
    item = read_programme_overrides(path, default_composer=None)["yt_a"].items[0]
    assert item.piece is not None
    assert item.piece.work == "d899-no3"
