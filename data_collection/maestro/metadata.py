"""MAESTRO's metadata: the release's CSV and JSON, held against each other.

What belongs here: the two tables, what a row must look like, and our recording ids. What does not:
where the files lie (`metadata_files`) and what file names and titles mean (`performers`, `works`).
CSV and JSON say the same in another form, so that a difference tells a damaged or edited copy. Only
quotes may differ: v3.0.0's JSON has dropped those around 7 titles ("La Campanella"), so the CSV's
title is taken, which has lost nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data_collection.maestro.metadata_files import MetadataError, read_release_file
from data_collection.maestro.rows import MetadataRow, Split

if TYPE_CHECKING:
    import httpx

RELEASE = "maestro-v3.0.0"
CSV_NAME = f"{RELEASE}.csv"
JSON_NAME = f"{RELEASE}.json"
RELEASE_RECORDINGS = 1276
"""Recordings of v3.0.0, for a check to compare with; the reader takes any number."""

COLUMNS = (
    "canonical_composer", "canonical_title", "split", "year", "midi_filename", "audio_filename",
    "duration",
)  # fmt: skip
"""Columns that both files must have; further ones are not read."""

DURATION_TOLERANCE_S = 1e-6
"""Apart from the last digits that another program's floats may change."""

LONGEST_ID = 110
"""Characters of a recording id; a partition key may have 128. The release's have up to 95."""

MOST_PROBLEMS = 5
"""Problems that a message lists; a changed column is one in each of 1,276 rows."""

QUOTES = re.compile("[\"'“”„«»‘’‚]")


@dataclass(frozen=True, slots=True)
class TitleDifference:
    """A title whose quotes differ between the two files; the CSV's is taken."""

    audio_filename: str
    csv_title: str
    json_title: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """A release's metadata.

    Attributes:
        rows: one a recording, in the order of their ids.
        csv_sha256: of the CSV file's bytes, 64 hexadecimal digits.
        json_sha256: of the JSON file's.
        differences: titles whose quotes differ, in the order of `rows`.
    """

    rows: tuple[MetadataRow, ...]
    csv_sha256: str
    json_sha256: str
    differences: tuple[TitleDifference, ...]


def read_metadata(base_url: str, *, client: httpx.Client | None = None) -> Metadata:
    """Read the metadata of the release that lies at `MAESTRO_BASE_URL`.

    Args:
        base_url: `http(s)://…/`, `file:///folder` or `file:///….zip`.
        client: to ask a web server with; None for one of its own.

    Raises:
        MetadataUnreachableError: the server does not answer now.
        MetadataError: a file is missing or not of the release's form, or the two contradict each
            other; the message names file, row and column.
    """
    return reconciled_metadata(
        read_release_file(base_url, RELEASE, CSV_NAME, client=client),
        read_release_file(base_url, RELEASE, JSON_NAME, client=client),
    )


def reconciled_metadata(csv_content: bytes, json_content: bytes) -> Metadata:
    """Read both files' bytes and hold them against each other.

    Raises:
        MetadataError: see `read_metadata`.
    """
    by_csv = _checked_rows(CSV_NAME, _csv_rows(csv_content))
    by_json = _checked_rows(JSON_NAME, _json_rows(json_content))
    _refuse(_contradictions(by_csv, by_json))
    rows = tuple(sorted((_row(stated) for stated in by_csv.values()), key=_recording_id))
    _refuse(_shared_ids(rows))
    return Metadata(
        rows=rows,
        csv_sha256=hashlib.sha256(csv_content).hexdigest(),
        json_sha256=hashlib.sha256(json_content).hexdigest(),
        differences=tuple(
            TitleDifference(row.audio_filename, row.title, in_json)
            for row in rows
            if (in_json := by_json[row.audio_filename].canonical_title) != row.title
        ),
    )


def recording_id_of(audio_filename: str) -> str:
    """Our id of a recording: `maestro_` and the audio file's path without ending.

    It depends on that name alone, so it stays when rows come or go. A name with other characters
    than letters, digits, `_` and `-`, or a very long one, also gets eight digits of its hash.

    Args:
        audio_filename: such as `2008/MIDI-Unprocessed_03_R2_2008_….wav`.

    Returns:
        A safe file name and partition key, such as `maestro_2008_MIDI-Unprocessed_03_R2_2008_…`.
    """
    name = str(PurePosixPath(audio_filename).with_suffix("")).replace("/", "_")
    safe = re.sub("[^A-Za-z0-9_-]", "-", f"maestro_{name}")
    if safe == f"maestro_{name}" and len(safe) <= LONGEST_ID:
        return safe
    digest = hashlib.sha256(audio_filename.encode()).hexdigest()[:8]
    return f"{safe[: LONGEST_ID - len(digest) - 1]}-{digest}"


class _Stated(BaseModel):
    """A row as one of the files states it; its fields are the columns."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    canonical_composer: str = Field(pattern=r"\S")
    canonical_title: str = Field(pattern=r"\S")
    split: Split
    year: int = Field(ge=1900, le=2100)
    midi_filename: str
    audio_filename: str
    duration: float = Field(gt=0, allow_inf_nan=False)

    @field_validator("midi_filename", "audio_filename")
    @classmethod
    def _below_the_archive(cls, value: str) -> str:
        parts = value.split("/")
        if (
            len(parts) < 2
            or any(part.strip() in ("", ".", "..") for part in parts)
            or "\\" in value
            or not value.isprintable()
            or not PurePosixPath(value).suffix
        ):
            raise ValueError(f"{value!r} is no path such as 2004/name.wav")
        return value

    @model_validator(mode="after")
    def _in_the_folder_of_its_year(self) -> Self:
        for name in (self.audio_filename, self.midi_filename):
            if not name.startswith(f"{self.year}/"):
                raise ValueError(f"year is {self.year}, but the file is {name!r}")
        return self


@dataclass(frozen=True, slots=True)
class _Line:
    """A row before it is validated, and where it stands."""

    where: str
    values: Mapping[str, object]


def _csv_rows(content: bytes) -> Iterator[_Line]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetadataError(f"{CSV_NAME}: not UTF-8 ({error})") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        _refuse_columns(CSV_NAME, reader.fieldnames or ())
        for values in reader:
            where = f"{CSV_NAME}, line {reader.line_num}"
            if None in values or None in values.values():
                raise MetadataError(f"{where}: not as many cells as columns; is the file whole?")
            yield _Line(where, values)
    except csv.Error as error:
        raise MetadataError(f"{CSV_NAME}, line {reader.line_num}: {error}") from error


def _json_rows(content: bytes) -> Iterator[_Line]:
    """Rows of a table that is written column by column: `{column: {row: value}}`."""
    try:
        table = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_named_once)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{JSON_NAME}: not JSON ({error}); is the file whole?") from error
    if not isinstance(table, dict):
        raise MetadataError(f"{JSON_NAME}: expected an object of columns")
    _refuse_columns(JSON_NAME, tuple(table))
    columns = {column: table[column] for column in COLUMNS}
    for column, cells in columns.items():
        if not isinstance(cells, dict):
            raise MetadataError(f"{JSON_NAME}, column {column}: expected an object of rows")
    every = dict.fromkeys(row for cells in columns.values() for row in cells)
    _refuse(
        f"{JSON_NAME}, row {row}: nothing in column {column}"
        for column, cells in columns.items()
        for row in every
        if row not in cells
    )
    for row in every:
        values = {column: cells[row] for column, cells in columns.items()}
        yield _Line(f"{JSON_NAME}, row {row}", values)


def _named_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON, whose later namesakes would silently replace the earlier ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MetadataError(f"{JSON_NAME}: {twice!r} stands twice in an object")
    return found


def _refuse_columns(file: str, found: Sequence[str]) -> None:
    missing = [column for column in COLUMNS if column not in found]
    twice = sorted({column for column in found if column in COLUMNS and found.count(column) > 1})
    if missing:
        others = ", ".join(repr(column[:40]) for column in found if column not in COLUMNS)
        raise MetadataError(
            f"{file}: no column {', '.join(missing)} (others that it has: {others or 'none'}); "
            "this reads the columns of MAESTRO v3.0.0: rename them back, or fetch the file again"
        )
    if twice:
        raise MetadataError(f"{file}: column {', '.join(twice)} stands twice")


def _checked_rows(file: str, lines: Iterable[_Line]) -> dict[str, _Stated]:
    """Validate each row, and that no audio file has two.

    Returns:
        Rows by audio file name.
    """
    found: dict[str, _Stated] = {}
    first_at: dict[str, str] = {}
    problems: list[str] = []
    for line in lines:
        try:
            stated = _Stated.model_validate(line.values)
        except ValidationError as error:
            problems += [f"{line.where}, {problem}" for problem in _said(error)]
            continue
        name = stated.audio_filename
        if name in found:
            problems.append(f"{line.where}: audio_filename {name} stands in {first_at[name]} too")
            continue
        found[name] = stated
        first_at[name] = line.where
    _refuse(problems)
    if not found:
        raise MetadataError(f"{file}: no rows; is the file whole?")
    return found


def _said(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        if item["loc"]:
            yield f"column {item['loc'][0]}: {item['msg']} (it says {str(item['input'])[:60]!r})"
        else:
            yield f"column year: {item['msg']}"


def _contradictions(by_csv: Mapping[str, _Stated], by_json: Mapping[str, _Stated]) -> Iterator[str]:
    for name in sorted(by_csv.keys() ^ by_json.keys()):
        has, lacks = (CSV_NAME, JSON_NAME) if name in by_csv else (JSON_NAME, CSV_NAME)
        yield f"{name} has a row in {has} and none in {lacks}"
    for name in sorted(by_csv.keys() & by_json.keys()):
        for column in COLUMNS:
            in_csv, in_json = getattr(by_csv[name], column), getattr(by_json[name], column)
            if not _same(column, in_csv, in_json):
                yield f"{name}, column {column}: {in_csv!r} in {CSV_NAME}, {in_json!r} in the JSON"


def _same(column: str, in_csv: object, in_json: object) -> bool:
    if isinstance(in_csv, float) and isinstance(in_json, float):
        return math.isclose(in_csv, in_json, rel_tol=0.0, abs_tol=DURATION_TOLERANCE_S)
    if column == "canonical_title":
        return _without_quotes(str(in_csv)) == _without_quotes(str(in_json))
    return in_csv == in_json


def _without_quotes(title: str) -> str:
    return " ".join(QUOTES.sub("", title).split())


def _row(stated: _Stated) -> MetadataRow:
    return MetadataRow(
        recording_id=recording_id_of(stated.audio_filename),
        audio_filename=stated.audio_filename,
        midi_filename=stated.midi_filename,
        composer=stated.canonical_composer,
        title=stated.canonical_title,
        year=stated.year,
        split=stated.split,
        duration_s=stated.duration,
    )


def _recording_id(row: MetadataRow) -> str:
    return row.recording_id


def _shared_ids(rows: Iterable[MetadataRow]) -> Iterator[str]:
    """Ids that two rows share; letters' case does not tell files apart on every disk."""
    first: dict[str, MetadataRow] = {}
    for row in rows:
        other = first.setdefault(row.recording_id.casefold(), row)
        if other is not row:
            yield (
                f"{CSV_NAME}: {other.audio_filename} and {row.audio_filename} would both be the "
                f"recording {row.recording_id}"
            )


def _refuse(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        more = len(found) - MOST_PROBLEMS
        listed = "; ".join(found[:MOST_PROBLEMS])
        raise MetadataError(f"{listed}; and {more:,} more" if more > 0 else listed)
