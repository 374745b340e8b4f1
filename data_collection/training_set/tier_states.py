"""How far each tier has come, as the completion gate and the data card look at it.

What belongs here: a tier as it is handed in, and reading its standings, rows and stored files
without believing any one of them alone. What does not: judging what is missing (`completion`), and
counting (`card_figures`). What other folders know of a tier comes in as plain values.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import polars as pl

from data_collection.recordings.collection import Standing, read_recordings, standing
from data_collection.recordings.errors import RecordingError, SetupError
from data_collection.recordings.store import Store
from data_collection.recordings.tier import LeftOut, Tier
from data_collection.recordings.tombstones import Tombstone, read_tombstones

READERS = 16
"""Threads that read receipts: small files, whose cost is waiting for the disk or the network."""
RiverTier = Literal["t2", "t3", "t4"]
Schema = Mapping[str, pl.DataType]

ROW_SCHEMA: dict[str, pl.DataType] = {
    "segment_id": pl.String(),
    "recording_id": pl.String(),
    "segment_start": pl.Float64(),
    "segment_end": pl.Float64(),
    "loudness_lufs": pl.Float64(),
    "source_bandwidth_hz": pl.Float64(),
    "embedding_path": pl.String(),
    "embedding_sha256": pl.String(),
    "checkpoint_revision": pl.String(),
    "source_url": pl.String(),
    "licence": pl.String(),
    "licence_note": pl.String(),
    "performer": pl.String(),
    "edition": pl.String(),
    "placement": pl.Int64(),
}
"""What is looked at in a row of `metadata.jsonl`; null where a tier has no such field."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """What the teacher's own folder knows of a tier.

    Attributes:
        pilot_is_go: the tier was to be scored.
        because: why, or why not, in words.
        judged: ids of the segments that were to be judged.
        scored: ids of those that have a label.
        stated: why others have none, by id, such as `refused`: the teacher was asked and said no.
        verdict: of the gate on the labels; None where it was not run.
    """

    pilot_is_go: bool
    because: str
    judged: frozenset[str] = frozenset()
    scored: frozenset[str] = frozenset()
    stated: Mapping[str, str] = field(default_factory=dict)
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class TierState:
    """A tier's river, and what else is known of it.

    Attributes:
        tier: which.
        river: its description.
        files: paths below the data root of what is made of its rows and has to be there.
        off_because: why it is not collected; None where it is.
        teaching: what the teacher knows of it; None where no teacher is asked.
        accepted: recordings that a person gave up, by id, each with the reason.
    """

    tier: RiverTier
    river: Tier
    files: tuple[str, ...] = ()
    off_because: str | None = None
    teaching: Teaching | None = None
    accepted: Mapping[str, str] = field(default_factory=dict)

    @property
    def collection(self) -> str:
        """Its folder below the data root."""
        return "/".join(self.river.key_prefix)


@dataclass(frozen=True, slots=True)
class ReadTier:
    """What the data root says of a tier.

    Attributes:
        state: the tier.
        standings: of each recording of the catalogue; none without one. A purged recording is
            blocked as `purged`, a done one that another stands for is filtered as `duplicate`.
        rows: of its metadata, columns as `ROW_SCHEMA`; None where they cannot be read.
        problems: why something is not there, as `(reason, detail)`.
    """

    state: TierState
    standings: tuple[Standing, ...] = ()
    rows: pl.DataFrame | None = None
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def collected(self) -> pl.DataFrame:
        """The rows; an empty table where there are none."""
        return self.rows if self.rows is not None else pl.DataFrame(schema=ROW_SCHEMA)


def read_tier(store: Store, state: TierState) -> ReadTier:
    """Read how far a tier has come; what cannot be read is a problem, never an error."""
    if state.off_because is not None:
        return ReadTier(state, problems=(("tier_off", state.off_because),))
    problems: list[tuple[str, str]] = []
    standings: tuple[Standing, ...] = ()
    rows = None
    try:
        recordings = read_recordings(store, state.river)
        with ThreadPoolExecutor(READERS) as threads:
            found = list(threads.map(partial(standing, store, state.river), recordings))
        left_out = _left_out(store, state.river, problems)
        tombstones = read_tombstones(store)
        standings = tuple(_as_used(item, left_out, tombstones) for item in found)
    except RecordingError as error:
        problems.append((error.reason, error.detail))
    try:
        rows = json_lines(store, f"{state.river.folder('metadata')}.jsonl", ROW_SCHEMA)
    except RecordingError as error:
        problems.append((error.reason, error.detail))
    return ReadTier(state, standings, rows, tuple(problems))


def json_lines(store: Store, relative: str, schema: Schema) -> pl.DataFrame:
    """Read JSON lines by their columns' names; other keys are left alone.

    Raises:
        SetupError: `rows_missing`, or `rows_unreadable` where a line is broken.
    """
    path = store.path(relative)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        key = relative.rsplit(".", 1)[0]
        raise SetupError("rows_missing", f"{path} is not there; materialize {key} first") from None
    if not content.strip():
        return pl.DataFrame(schema=schema)
    try:
        return pl.read_ndjson(io.BytesIO(content), schema=schema)
    except pl.exceptions.PolarsError as error:
        said = str(error).split("\n")[0]
        raise SetupError("rows_unreadable", f"{path}: {said}; materialize it again") from error


def json_lines_if_there(store: Store, relative: str, schema: Schema) -> pl.DataFrame:
    """As `json_lines`; an empty table where there is no such file."""
    if not store.path(relative).is_file():
        return pl.DataFrame(schema=schema)
    return json_lines(store, relative, schema)


def sizes_on_disk(store: Store, folder: str) -> dict[str, int]:
    """Sizes of a folder's files, in bytes, by path below the data root; one call, no content."""
    place = store.path(folder)
    if not place.is_dir():
        return {}
    return {
        f"{folder}/{facts['name'].rsplit('/', 1)[1]}": int(facts["size"] or 0)
        for facts in place.fs.ls(place.path, detail=True)
        if facts["type"] == "file"
    }


def _left_out(store: Store, river: Tier, problems: list[tuple[str, str]]) -> LeftOut:
    try:
        return river.left_out(store)
    except RecordingError as error:
        problems.append((error.reason, error.detail))
        return {}


def _as_used(item: Standing, left_out: LeftOut, tombstones: list[Tombstone]) -> Standing:
    purged = next((one for one in tombstones if one.is_of(item.recording)), None)
    if purged is not None:
        detail = f"purged on {purged.purged_at:%Y-%m-%d}: {purged.reason}"
        return replace(item, state="blocked", reason="purged", detail=detail)
    stands_for_it = left_out.get(item.recording.recording_id)
    if stands_for_it is None or item.state != "done":
        return item
    return replace(
        item,
        stage="metadata",
        state="filtered",
        reason="duplicate",
        detail=f"{stands_for_it} stands for it",
    )
