"""The manifest's files under the data root: `training_set/`.

What belongs here: where they lie, writing them whole, and reading back what the next manifest keeps
of the last. What does not: making them (`manifest`), and reading them to train on
(`data_collection.load`).
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass

import polars as pl

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store, StoredFile
from data_collection.training_set.manifest import Manifest
from data_collection.training_set.manifest_rows import FOLDER, MANIFEST, SPLITS, Split
from data_collection.training_set.splits import SplitRules

PROBLEMS = f"{FOLDER}/problems.parquet"
SPLIT_KEYS = f"{FOLDER}/split_keys.json"


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """The files that were written."""

    manifest: StoredFile
    problems: StoredFile
    split_keys: StoredFile


def write_manifest(store: Store, made: Manifest, rules: SplitRules) -> StoredManifest:
    """Write the three files; equal manifests give equal bytes.

    The split's keys are written last: a run that is killed before leaves those of the manifest
    before, from which the same ones follow.
    """
    keys = {"rules": asdict(rules), "splits": dict(sorted(made.assignment.split_of.items()))}
    content = json.dumps(keys, ensure_ascii=False, indent=1).encode()
    return StoredManifest(
        store.write_bytes(MANIFEST, _parquet(made.table)),
        store.write_bytes(PROBLEMS, _parquet(made.problems)),
        store.write_bytes(SPLIT_KEYS, content + b"\n"),
    )


def read_split_keys(store: Store, rules: SplitRules) -> dict[str, Split]:
    """Splits that keys have already; none where no manifest was made, or by other rules.

    Raises:
        SetupError: `split_keys_unreadable`: the file is damaged. Without it, what was trained on
            could be tested on; so a person has to decide.
    """
    path = store.path(SPLIT_KEYS)
    try:
        found = json.loads(path.read_bytes())
        splits, made_by = dict(found["splits"]), dict(found["rules"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(str(path), str(error)) from error
    if any(split not in SPLITS for split in splits.values()):
        raise _unreadable(str(path), "a split of another name")
    return splits if made_by == json.loads(json.dumps(asdict(rules))) else {}


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _unreadable(name: str, problem: str) -> SetupError:
    return SetupError(
        "split_keys_unreadable",
        f"{name}: {problem}; put back the file of the last manifest, or delete it to split anew",
    )
