"""Results in a CSV or JSON file of any form, its columns named in the edition file.

What belongs here: reading such a file. What does not: the edition's own roster, which has one form
(`competition.roster`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence

from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.specs import FileColumns, FileSource
from data_collection.competition.sources.statements import Mention, Statement, Words, merged
from data_collection.competition.sources.wording import (
    UnknownWordError,
    is_yes,
    plain_text,
    says_withdrew,
)

Row = Mapping[str, object]


def read_table_file(text: str, spec: FileSource, words: Words) -> tuple[Statement, ...]:
    """Read a file.

    Args:
        text: its content; JSON where it begins like it, CSV otherwise.
        spec: which columns mean what.
        words: how its words are read; its origin names the file.

    Raises:
        SourceError: the file has no rows or lacks a column, or a word in it is not known.
    """
    is_json = text.lstrip()[:1] in ("{", "[")
    rows = list(_json_rows(text, spec, words) if is_json else _csv_rows(text, spec, words))
    if not rows:
        raise SourceError(f"source {words.source}, {words.origin}: holds no rows")
    found = {column for _, row in rows for column in row}
    missing = [column for column in spec.columns.performer if column not in found]
    if missing:
        raise SourceError(
            f"source {words.source}, {words.origin}: no column {', '.join(missing)} "
            f"(found: {', '.join(sorted(found)) or 'none'}); name them under `columns`"
        )
    _check_stated(spec.columns, found, words)
    return merged([_mention(row, where, spec.columns, words) for where, row in rows], words)


def _check_stated(columns: FileColumns, found: set[str], words: Words) -> None:
    """A column that the edition file names must be there; a default one need not."""
    for field in columns.model_fields_set:
        missing = [column for column in getattr(columns, field) if column not in found]
        if missing:
            raise SourceError(
                f"source {words.source}, {words.origin}: no column {', '.join(missing)} for "
                f"{field} (found: {', '.join(sorted(found))})"
            )


def _csv_rows(text: str, spec: FileSource, words: Words) -> Iterator[tuple[str, Row]]:
    first = text.split("\n", 1)[0]
    delimiter = spec.delimiter or max(",;\t", key=first.count)
    try:
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
        for row in reader:
            if any(isinstance(value, str) and value.strip() for value in row.values()):
                yield (
                    f"line {reader.line_num}",
                    {k.strip(): v for k, v in row.items() if isinstance(k, str)},
                )
    except csv.Error as error:
        raise SourceError(f"source {words.source}, {words.origin}: no CSV ({error})") from error


def _json_rows(text: str, spec: FileSource, words: Words) -> Iterator[tuple[str, Row]]:
    import jmespath

    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # a number may be too long
        raise SourceError(f"source {words.source}, {words.origin}: no JSON ({error})") from error
    try:
        rows = jmespath.search(spec.rows, content)
    except jmespath.exceptions.JMESPathError:
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SourceError(
            f"source {words.source}, {words.origin}: {spec.rows!r} is no list of objects; "
            "say in `rows` where it is"
        )
    for number, row in enumerate(rows, start=1):
        yield f"row {number}", row


def _mention(row: Row, where: str, columns: FileColumns, words: Words) -> Mention:
    stage = _cell(row, columns.reached_stage)
    try:
        withdrew = is_yes(_cell(row, columns.withdrew)) or says_withdrew(stage)
    except UnknownWordError as error:
        raise words.error(where, error) from error
    return Mention(
        performer=words.name(_cell(row, columns.performer), where),
        where=where,
        country=words.country(_cell(row, columns.country)),
        stage=words.stage(stage, where),
        prize=words.prize(_cell(row, columns.prize), where),
        withdrew=withdrew,
    )


def _cell(row: Row, columns: Sequence[str]) -> str:
    """Text of a row's columns, joined by a space; numbers without a needless `.0`."""
    values = [row.get(column) for column in columns]
    return " ".join(
        plain_text(str(int(v) if isinstance(v, float) and v.is_integer() else v))
        for v in values
        if v is not None and str(v).strip()
    )
