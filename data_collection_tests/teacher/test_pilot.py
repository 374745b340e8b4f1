"""The pilot's decision: nothing is a go unless somebody wrote so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.recordings.errors import SetupError
from data_collection.teacher.pilot import read_pilot

GO = {"decision": "go", "report": "rho 0.4 on 30 clips", "date": "2026-11-20", "by": "A. Lab"}


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "pilot.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_go_is_a_go_and_tells_who_decided_what(tmp_path: Path) -> None:
    """The UI has to show by whom money was allowed; a bare yes would not."""
    pilot = read_pilot(written(tmp_path, json.dumps(GO)))
    assert pilot.is_go
    assert all(part in pilot.because for part in ("A. Lab", "2026-11-20", "rho 0.4"))


def test_no_go_stays_closed_with_its_report(tmp_path: Path) -> None:
    """Skipped assets show the pilot's own words."""
    said = {**GO, "decision": "no_go", "report": "per-dimension rho near 0"}
    pilot = read_pilot(written(tmp_path, json.dumps(said)))
    assert not pilot.is_go
    assert "near 0" in pilot.because


def test_no_setting_and_no_file_are_not_go_and_say_which(tmp_path: Path) -> None:
    """A fresh checkout must not spend; the reason names the file that is missing."""
    assert not read_pilot(None).is_go
    missing = read_pilot(tmp_path / "pilot.json")
    assert not missing.is_go
    assert "pilot.json is not there" in missing.because


def test_a_decision_in_the_configuration_decides_alone(tmp_path: Path) -> None:
    """A run that was configured no_go must not be opened by an older file."""
    path = written(tmp_path, json.dumps(GO))
    assert not read_pilot(path, inline=json.dumps({**GO, "decision": "no_go"})).is_go
    with pytest.raises(SetupError, match="run's configuration"):
        read_pilot(path, inline="")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "pilot.json"),
        ('{"decision": "go"', "JSON"),
        ("[]", "pilot.json"),
        (json.dumps({**GO, "decision": "GO"}), "decision"),
        (json.dumps({**GO, "decision": True}), "decision"),
        (json.dumps({**GO, "report": "  "}), "report"),
        (json.dumps({**GO, "by": ""}), "by"),
        (json.dumps({**GO, "date": "soon"}), "date"),
        (json.dumps({key: GO[key] for key in ("decision", "report", "date")}), "by"),
        (b"\xff\xfe\x00", "utf-8"),
    ],
)
def test_a_damaged_file_is_named_and_never_a_go(
    tmp_path: Path, content: str | bytes, told: str
) -> None:
    """A torn or misspelt decision is our fault to mend; it must neither pass nor vanish."""
    with pytest.raises(SetupError, match=told) as caught:
        read_pilot(written(tmp_path, content))
    assert caught.value.reason == "pilot_unreadable"


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    """A wrong path is not taken for a missing decision."""
    with pytest.raises(SetupError, match="pilot_unreadable"):
        read_pilot(tmp_path)


def test_a_file_saved_by_a_windows_editor_reads(tmp_path: Path) -> None:
    """A byte order mark is no damage."""
    assert read_pilot(written(tmp_path, "\ufeff" + json.dumps(GO))).is_go


@given(st.text(max_size=40))
def test_no_text_opens_it_by_chance(text: str) -> None:
    """Whatever stands there, only a whole decision is a go."""
    with pytest.raises(SetupError):
        read_pilot(None, inline=text)
