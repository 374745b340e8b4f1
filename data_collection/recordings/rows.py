"""JSON lines files of typed rows: `recordings.jsonl`, `metadata.jsonl`, `unmatched.jsonl`.

What belongs here: reading and writing them whole. What does not: what a row means. They are written
atomically, so a torn last line does not happen; a hand-edited one is named with its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store, StoredFile

Row = TypeVar("Row", bound=BaseModel)


def write_rows(
    store: Store, relative: str, rows: Iterable[BaseModel | Mapping[str, object]]
) -> StoredFile:
    """Write rows, one JSON object a line, in the order given."""
    lines = [
        row.model_dump_json()
        if isinstance(row, BaseModel)
        else json.dumps(row, ensure_ascii=False, allow_nan=False)
        for row in rows
    ]
    return store.write_bytes(relative, "".join(f"{line}\n" for line in lines).encode())


def read_rows(store: Store, relative: str, model: type[Row]) -> list[Row]:
    """Read rows.

    Raises:
        SetupError: `rows_missing` where the file is not there, `rows_unreadable` where a line is
            not of the model's form.
    """
    path = store.path(relative)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        key = relative.rsplit(".", 1)[0]
        raise SetupError("rows_missing", f"{path} is not there; materialize {key} first") from None
    rows = []
    # Not `splitlines`: it also splits at U+2028 and others, which a title may hold.
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), start=1):
        try:
            rows.append(model.model_validate_json(line))
        except ValidationError as error:
            raise SetupError(
                "rows_unreadable", f"{path}, line {number}: {error.errors()[0]['msg']}"
            ) from error
    return rows
