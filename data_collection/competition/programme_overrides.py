"""Programmes that a person wrote: a CSV or JSON file, taken before every other source.

What belongs here: reading and checking that file. What does not: programmes from descriptions
(`programme`). A row is `recording_id`, `start_s` or `start` (h:mm:ss), `end_s` or `end`,
`composer`, `work` (a key) or `title` (words), `movement`. Without times its one row counts for the
whole recording. Nothing in it is guessed: what cannot be read names the file and the line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_collection.competition.programme import Programme, ProgrammeItem
from data_collection.competition.programme_stamps import seconds
from data_collection.recordings.errors import CatalogueError
from data_collection.repertoire.catalogue import catalogue
from data_collection.repertoire.pieces import Piece
from data_collection.repertoire.reading import read_wording

COLUMNS = (
    "recording_id", "start_s", "start", "end_s", "end", "composer", "work", "title", "movement",
)  # fmt: skip


class ProgrammeOverrideError(CatalogueError):
    """The override file cannot be used; the message names the file, the line and what to do."""


class OverrideRow(BaseModel):
    """A row as it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    recording_id: str = Field(min_length=1)
    start_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    start: str | None = None
    end_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    end: str | None = None
    composer: str | None = None
    work: str | None = None
    title: str | None = None
    movement: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_none(cls, values: object) -> object:
        if not isinstance(values, Mapping):
            return values
        return {
            key: None if isinstance(value, str) and not value.strip() else value
            for key, value in values.items()
        }


def read_programme_overrides(path: Path, *, default_composer: str | None) -> dict[str, Programme]:
    """Read an override file.

    Args:
        path: `.csv` with a header or `.json` with a list of objects; UTF-8.
        default_composer: whose works are meant where a row names no composer.

    Returns:
        The programme of each recording id that the file names.

    Raises:
        ProgrammeOverrideError: the file is missing or not of that form; a time is none, or ends
            before it starts; rows of a recording overlap; a work is not understood.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise ProgrammeOverrideError(f"programmes {path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ProgrammeOverrideError(f"programmes {path}: not UTF-8 ({error})") from error
    numbered = _json_rows(path, text) if path.suffix == ".json" else _csv_rows(path, text)
    found: dict[str, list[tuple[str, ProgrammeItem]]] = {}
    for where, values in numbered:
        row = _validated(where, values)
        item = _item(where, row, default_composer)
        found.setdefault(row.recording_id, []).append((where, item))
    return {recording_id: _programme(rows) for recording_id, rows in found.items()}


def _csv_rows(path: Path, text: str) -> list[tuple[str, object]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    rows: list[tuple[str, object]] = []
    try:
        unknown = [column for column in reader.fieldnames or [] if column not in COLUMNS]
        if "recording_id" not in (reader.fieldnames or []) or unknown:
            problem = (
                f"unknown column {', '.join(unknown)}" if unknown else "no column recording_id"
            )
            raise ProgrammeOverrideError(
                f"programmes {path}, line 1: {problem} (columns: {', '.join(COLUMNS)})"
            )
        for row in reader:
            where = f"programmes {path}, line {reader.line_num}"
            if None in row:
                raise ProgrammeOverrideError(f"{where}: more cells than columns")
            rows.append((where, row))
    except csv.Error as error:
        raise ProgrammeOverrideError(
            f"programmes {path}, line {reader.line_num}: {error}"
        ) from error
    return rows


def _json_rows(path: Path, text: str) -> list[tuple[str, object]]:
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise ProgrammeOverrideError(f"programmes {path}: not JSON: {error}") from error
    if not isinstance(rows, list):
        raise ProgrammeOverrideError(f"programmes {path}: expected a list of rows")
    return [(f"programmes {path}, row {number}", row) for number, row in enumerate(rows, start=1)]


def _validated(where: str, values: object) -> OverrideRow:
    try:
        return OverrideRow.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "row"
        raise ProgrammeOverrideError(f"{where}: {field}: {first['msg']}") from error


def _item(where: str, row: OverrideRow, default_composer: str | None) -> ProgrammeItem:
    start_s = _time(where, "start", row.start_s, row.start)
    end_s = _time(where, "end", row.end_s, row.end)
    if start_s is None and end_s is not None:
        raise ProgrammeOverrideError(f"{where}: an end without a start")
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise ProgrammeOverrideError(f"{where}: ends at {end_s:g} s, before it starts")
    piece = _piece(where, row, default_composer)
    pieces = (piece,) if piece else ()
    return ProgrammeItem(piece, row.title or row.work or "", start_s, end_s, pieces)


def _time(where: str, what: str, in_s: float | None, stamp: str | None) -> float | None:
    if in_s is not None and stamp is not None:
        raise ProgrammeOverrideError(f"{where}: both {what} and {what}_s")
    if stamp is None:
        return in_s
    told = seconds(stamp)
    if told is None:
        raise ProgrammeOverrideError(f"{where}: {what} {stamp!r} is no time such as 1:02:07")
    return told


def _piece(where: str, row: OverrideRow, default_composer: str | None) -> Piece | None:
    """Make the piece; a row with neither work nor title is a stretch without music."""
    composer = row.composer or default_composer
    if row.work is not None:
        if composer is None:
            raise ProgrammeOverrideError(f"{where}: work {row.work} without a composer")
        known = catalogue().work(composer, catalogue().canonical(composer, row.work))
        key, title = (known.key, known.title) if known else (row.work, row.title or row.work)
        try:
            return Piece(composer=composer, work=key, movement=row.movement, title=title)
        except ValidationError as error:
            raise ProgrammeOverrideError(
                f"{where}: {error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}"
            ) from error
    if row.title is None:
        return None
    reading = read_wording(row.title, default_composer=composer)
    if len(reading.pieces) != 1:
        reason = reading.because or f"it names {len(reading.pieces)} works"
        raise ProgrammeOverrideError(
            f"{where}: title {row.title!r} is not understood: {reason}; give composer and work"
        )
    piece = reading.pieces[0]
    return piece.model_copy(update={"movement": row.movement}) if row.movement else piece


def _programme(rows: list[tuple[str, ProgrammeItem]]) -> Programme:
    """Order the rows of a recording; an end that is not given is the next row's start."""
    if len(rows) > 1 and any(item.start_s is None for _, item in rows):
        where = next(where for where, item in rows if item.start_s is None)
        raise ProgrammeOverrideError(f"{where}: several rows of a recording need a start each")
    ordered = sorted(rows, key=lambda pair: pair[1].start_s or 0.0)
    items: list[ProgrammeItem] = []
    for at, (_, item) in enumerate(ordered):
        following = ordered[at + 1] if at + 1 < len(ordered) else None
        next_s = following[1].start_s if following else None
        end_s = item.end_s if item.end_s is not None else next_s
        if following and next_s is not None and (next_s == item.start_s or (end_s or 0.0) > next_s):
            raise ProgrammeOverrideError(f"{following[0]}: overlaps the row before it")
        items.append(
            ProgrammeItem(item.piece, item.wording, item.start_s or 0.0, end_s, item.pieces)
        )
    return Programme(source="override", items=tuple(items))
