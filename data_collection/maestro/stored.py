"""T3's own files under the data root: where they lie, and reading them back.

What belongs here: paths and reading. What does not: making any of them.
"""

from __future__ import annotations

import io

import polars as pl

from data_collection.maestro.alignment import TimeMaps, time_maps_of
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow, MaestroSegmentRow
from data_collection.maestro.pairs import PAIR_SCHEMA
from data_collection.maestro.rows import MaestroRecording
from data_collection.recordings.errors import SetupError
from data_collection.recordings.rows import read_rows
from data_collection.recordings.store import Store

FOLDER = "maestro_cache"
RECORDINGS = f"{FOLDER}/recordings.jsonl"
METADATA = f"{FOLDER}/metadata.jsonl"
MAP = f"{FOLDER}/piece_performer_map.json"
PAIRS = f"{FOLDER}/pairs.parquet"
ALIGNMENTS = f"{FOLDER}/alignments.parquet"
SEGMENT_SCHEMA: dict[str, pl.DataType] = {
    "segment_id": pl.String(),
    "recording_id": pl.String(),
    "start_s": pl.Float64(),
    "end_s": pl.Float64(),
}


def read_catalogue(store: Store) -> list[MaestroRecording]:
    """Read `recordings.jsonl`, in its order.

    Raises:
        SetupError: it has not been made, or a line is broken.
    """
    return [row.recording() for row in read_rows(store, RECORDINGS, MaestroCatalogueRow)]


def read_embedded_segments(store: Store) -> pl.DataFrame:
    """Segments that have an embedding, from `metadata.jsonl`, columns as `SEGMENT_SCHEMA`.

    Raises:
        SetupError: it has not been made, or a line is broken.
    """
    rows = read_rows(store, METADATA, MaestroSegmentRow)
    return pl.DataFrame(
        [(row.segment_id, row.recording_id, row.segment_start, row.segment_end) for row in rows],
        schema=SEGMENT_SCHEMA,
        orient="row",
    )


def read_pairs(store: Store) -> pl.DataFrame:
    """Read `pairs.parquet`, columns as `PAIR_SCHEMA`.

    Raises:
        SetupError: `pairs_missing`, or `pairs_unreadable`.
    """
    path = store.path(PAIRS)
    try:
        table = pl.read_parquet(io.BytesIO(path.read_bytes()))
        if dict(table.schema) != PAIR_SCHEMA:
            raise ValueError(f"unexpected columns {table.schema}")
    except FileNotFoundError:
        detail = f"{path} is not there; materialize {FOLDER}/pairs first"
        raise SetupError("pairs_missing", detail) from None
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        detail = f"{path}: {error}; materialize {FOLDER}/pairs again"
        raise SetupError("pairs_unreadable", detail) from error
    return table


def read_alignments(store: Store) -> TimeMaps:
    """Read the time maps of all aligned recordings; none where none were made.

    Raises:
        SetupError: `time_maps_unreadable`.
    """
    path = store.path(ALIGNMENTS)
    try:
        table = pl.read_parquet(io.BytesIO(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, pl.exceptions.PolarsError) as error:
        detail = f"{path}: {error}; delete it and materialize {FOLDER}/alignments again"
        raise SetupError("time_maps_unreadable", detail) from error
    return time_maps_of(table)
