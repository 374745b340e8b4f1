"""What the tiers have collected, as the tables that the manifest is made of.

What belongs here: reading each tier's rows, receipts, labels and folders, in bulk, and saying what
is not there. What does not: joining them (`manifest`). A tier that is switched off or half
collected gives fewer rows and a stated reason.
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import polars as pl

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store
from data_collection.training_set.manifest_rows import (
    DIMENSIONS,
    PROBLEM_SCHEMA,
    TIERS,
    TierId,
    score_columns,
    teacher_columns,
)
from data_collection.training_set.percepiano import CACHE as PERCEPIANO
from data_collection.training_set.percepiano import read_percepiano

READERS = 16
"""Threads that read receipts: small files, whose cost is waiting for the disk or the network."""
RECEIPT = ".receipt.json"

RECEIPT_SCHEMA: dict[str, pl.DataType] = {
    "collection": pl.String(),
    "recording_id": pl.String(),
    "state": pl.String(),
    "path": pl.String(),
    "sha256": pl.String(),
    "size_bytes": pl.Int64(),
}
DISK_SCHEMA: dict[str, pl.DataType] = {
    "collection": pl.String(),
    "path": pl.String(),
    "on_disk_bytes": pl.Int64(),
}
PREFERRED_SCHEMA: dict[str, pl.DataType] = {"better": pl.String(), "worse": pl.String()}
DUPLICATE_SCHEMA: dict[str, pl.DataType] = {"recording": pl.String(), "duplicate_of": pl.String()}
TWIN_SCHEMA: dict[str, pl.DataType] = {
    "collection": pl.String(),
    "segment_id": pl.String(),
    "twin_path": pl.String(),
    "twin_sha256": pl.String(),
    "twin_recipe": pl.String(),
    "twin_recipe_version": pl.String(),
    "twin_seed": pl.Int64(),
    "twin_cosine": pl.Float64(),
}

_PIECE = pl.Struct({"composer": pl.String(), "work": pl.String()})
_SHARED_FIELDS: dict[str, pl.DataType | type[pl.DataType]] = {
    "segment_id": pl.String(),
    "recording_id": pl.String(),
    "piece": _PIECE,
    "piece_share": pl.Float64(),
    "segment_start": pl.Float64(),
    "segment_end": pl.Float64(),
    "embedding_path": pl.String(),
    "embedding_sha256": pl.String(),
    "embedding_frames": pl.Int64(),
    "embedding_width": pl.Int64(),
    "audio_sha256": pl.String(),
    "source_url": pl.String(),
    "licence": pl.String(),
}
_TIER_FIELDS: dict[TierId, dict[str, pl.DataType | type[pl.DataType]]] = {
    "t2": {
        "performer": pl.String(),
        "edition": pl.String(),
        "round": pl.String(),
        "placement": pl.Int64(),
        "solo": pl.Boolean(),
    },
    "t3": {
        "performer_id": pl.String(),
        "works": pl.List(pl.String()),
        "work_id": pl.String(),
        "work_place": pl.String(),
        "split": pl.String(),
    },
    "t4": {"channel_id": pl.String()},
}
NEEDED = ("segment_id", "recording_id", "embedding_path", "embedding_sha256", "embedding_frames")


@dataclass(frozen=True, slots=True)
class Collection:
    """A tier's folder.

    Attributes:
        tier: whose.
        folder: below the data root, such as `competition_cache/chopin2021`.
        off_because: why it is not to be used; None where it is.
    """

    tier: TierId
    folder: str
    off_because: str | None = None


def source_schema(dimensions: Sequence[str] = DIMENSIONS) -> dict[str, pl.DataType]:
    """Types of the columns of `Sources.segments`: all tiers' segments, before the joins."""
    return {
        "segment_id": pl.String(),
        "tier": pl.String(),
        "recording_id": pl.String(),
        "collection": pl.String(),
        "segment_start": pl.Float64(),
        "segment_end": pl.Float64(),
        "embedding_path": pl.String(),
        "embedding_key": pl.String(),
        "embedding_sha256": pl.String(),
        "frames": pl.Int64(),
        "width": pl.Int64(),
        "performer": pl.String(),
        "piece": pl.String(),
        "piece_share": pl.Float64(),
        "recording_pieces": pl.List(pl.String()),
        "work_ids": pl.List(pl.String()),
        "channel": pl.String(),
        "ranking_group": pl.String(),
        "ranking_order": pl.Int64(),
        "official_split": pl.String(),
        "audio_sha256": pl.String(),
        "source_url": pl.String(),
        "licence": pl.String(),
        **dict.fromkeys(score_columns(dimensions), pl.Float64()),
    }


def teacher_schema(dimensions: Sequence[str] = DIMENSIONS) -> dict[str, pl.DataType]:
    """Types of the columns of `Sources.teacher`."""
    return {
        "collection": pl.String(),
        "segment_id": pl.String(),
        **dict.fromkeys(teacher_columns(dimensions), pl.Float64()),
        "teacher_model": pl.String(),
        "teacher_rubric_version": pl.String(),
    }


def _empty(schema: Mapping[str, pl.DataType]) -> Callable[[], pl.DataFrame]:
    return lambda: pl.DataFrame(schema=schema)


@dataclass(frozen=True)
class Sources:
    """All that a manifest is made of, read from the data root.

    Attributes:
        segments: a row a segment that a tier's metadata name, columns as `source_schema`.
        receipts: a row an embedding that a receipt knows, columns as `RECEIPT_SCHEMA`.
        disk: a row a `.pt` that lies there, columns as `DISK_SCHEMA`.
        teacher: the teacher's labels, columns as `teacher_schema`.
        preferences: pairs of recordings by their keys, columns as `PREFERRED_SCHEMA`.
        twins: augmented twins, columns as `TWIN_SCHEMA`.
        duplicates: recordings that are left out, by their keys, columns as `DUPLICATE_SCHEMA`.
        copies: pairs of keys of recordings that hold the same performance.
        problems: what was found on the way, columns as `PROBLEM_SCHEMA`.
        dimensions: that are scored.
    """

    segments: pl.DataFrame
    receipts: pl.DataFrame = field(default_factory=_empty(RECEIPT_SCHEMA))
    disk: pl.DataFrame = field(default_factory=_empty(DISK_SCHEMA))
    teacher: pl.DataFrame = field(default_factory=_empty(teacher_schema()))
    preferences: pl.DataFrame = field(default_factory=_empty(PREFERRED_SCHEMA))
    twins: pl.DataFrame = field(default_factory=_empty(TWIN_SCHEMA))
    duplicates: pl.DataFrame = field(default_factory=_empty(DUPLICATE_SCHEMA))
    copies: tuple[tuple[str, str], ...] = ()
    problems: pl.DataFrame = field(default_factory=_empty(PROBLEM_SCHEMA))
    dimensions: tuple[str, ...] = DIMENSIONS


def find_collections(store: Store) -> list[Collection]:
    """Every tier's folder, and T2's editions that are there; what is missing is named later."""
    editions = store.path("competition_cache")
    found = sorted(at.name for at in editions.iterdir() if at.is_dir()) if editions.is_dir() else []
    return [
        Collection("t1", PERCEPIANO),
        *(Collection("t2", f"competition_cache/{edition}") for edition in found),
        Collection("t3", "maestro_cache"),
        Collection("t4", "youtube_piano_cache"),
    ]


def read_sources(
    store: Store,
    collections: Sequence[Collection],
    *,
    copies: Iterable[tuple[str, str]] = (),
    dimensions: Sequence[str] = DIMENSIONS,
) -> Sources:
    """Read everything that a manifest is made of.

    Args:
        store: the data root.
        collections: the tiers' folders; those that are off give a reason and no rows.
        copies: pairs of keys `folder/recording_id` that hold the same performance, as the matches
            of fingerprints name them.
        dimensions: that are scored.

    Raises:
        SetupError: a file is there and cannot be read; the message names file and line.
    """
    read = [_read(store, collection, tuple(dimensions)) for collection in collections]
    asked = {collection.tier for collection in collections}
    absent = [
        (tier, "tier_off", tier, "no folder of this tier is collected")
        for tier in TIERS
        if tier not in asked
    ]
    return Sources(
        segments=_stacked([part.segments for part in read], source_schema(dimensions)),
        receipts=_stacked([part.receipts for part in read], RECEIPT_SCHEMA),
        disk=_stacked([part.disk for part in read], DISK_SCHEMA),
        teacher=_stacked([part.teacher for part in read], teacher_schema(dimensions)),
        preferences=_stacked([part.preferences for part in read], PREFERRED_SCHEMA),
        twins=_stacked([part.twins for part in read], TWIN_SCHEMA),
        duplicates=_stacked([part.duplicates for part in read], DUPLICATE_SCHEMA),
        copies=tuple(copies),
        problems=_stacked([*(part.problems for part in read), _problems(absent)], PROBLEM_SCHEMA),
        dimensions=tuple(dimensions),
    )


def performer_key(name: str) -> str:
    """A person's key, the same for the spellings of one name over editions.

    Accents, case, punctuation and the order of names do not count, so `Martín García García` is
    `Garcia Garcia, Martin`. Two people of one name share a key, which costs rows and never a leak.
    """
    folded = "".join(
        c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c)
    )
    words = re.findall(r"[^\W_]+", folded.replace("ł", "l").replace("ø", "o").replace("đ", "d"))
    return " ".join(sorted(words)) or name


def _read(store: Store, collection: Collection, dimensions: tuple[str, ...]) -> Sources:
    schema = source_schema(dimensions)
    nothing = Sources(pl.DataFrame(schema=schema), dimensions=dimensions)
    if collection.off_because is not None:
        return _off(nothing, collection, collection.off_because)
    if collection.tier == "t1":
        return _read_percepiano(store, collection, nothing)
    path = store.path(f"{collection.folder}/metadata.jsonl")
    receipts, states = _receipts(store, collection)
    on_disk = _on_disk(store, collection, f"{collection.folder}/muq_embeddings")
    found = replace(nothing, receipts=receipts, disk=on_disk)
    if not path.is_file():
        because = f"{path} is not there; materialize {collection.folder}/metadata first"
        return _off(found, collection, because)
    rows = _rows(store, collection)
    problems = [*_incomplete(rows, collection), *_unfinished(states, collection)]
    segments = rows.drop_nulls(list(NEEDED)).select(
        *_columns(collection), **_of_tier(collection.tier)
    )
    found = replace(
        found,
        segments=_shaped(segments, schema),
        teacher=_teacher_labels(store, collection, dimensions, problems),
    )
    if collection.tier == "t2":
        found = replace(found, preferences=_preferences(store, collection, problems))
    if collection.tier == "t4":
        twins = _on_disk(store, collection, f"{collection.folder}/augmented_muq_embeddings")
        found = replace(
            found,
            twins=_twins(store, collection),
            duplicates=_duplicates(store, collection),
            disk=pl.concat([on_disk, twins]),
        )
    return replace(found, problems=_problems(problems))


def _off(found: Sources, collection: Collection, because: str) -> Sources:
    return replace(
        found, problems=_problems([(collection.tier, "tier_off", collection.folder, because)])
    )


def _read_percepiano(store: Store, collection: Collection, nothing: Sources) -> Sources:
    read = read_percepiano(store, nothing.dimensions)
    problems = [(collection.tier, *problem) for problem in read.problems]
    if read.off_because is not None:
        problems.append((collection.tier, "tier_off", collection.folder, read.off_because))
    segments = read.segments.with_columns(
        tier=pl.lit(collection.tier), collection=pl.lit(collection.folder)
    )
    return replace(
        nothing,
        segments=_shaped(segments, source_schema(nothing.dimensions)),
        problems=_problems(problems),
    )


def _rows(store: Store, collection: Collection) -> pl.DataFrame:
    schema = {**_SHARED_FIELDS, **_TIER_FIELDS[collection.tier]}
    return _ndjson(store, f"{collection.folder}/metadata.jsonl", schema)


def _ndjson(
    store: Store, relative: str, schema: Mapping[str, pl.DataType | type[pl.DataType]]
) -> pl.DataFrame:
    """Read JSON lines by their columns' names; a key that is not asked for is left alone."""
    path = store.path(relative)
    content = path.read_bytes()
    if not content.strip():
        return pl.DataFrame(schema=schema)
    try:
        return pl.read_ndjson(io.BytesIO(content), schema=schema)
    except pl.exceptions.PolarsError as error:
        raise _broken(str(path), _first_broken(content, schema) or str(error)) from error


def _first_broken(
    content: bytes, schema: Mapping[str, pl.DataType | type[pl.DataType]]
) -> str | None:
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            if line.strip():
                pl.read_ndjson(io.BytesIO(line), schema=schema)
        except pl.exceptions.PolarsError as error:
            return f"line {number}: {error}"
    return None


def _broken(name: str, problem: str) -> SetupError:
    return SetupError("rows_unreadable", f"{name}, {problem}; materialize it again")


def _columns(collection: Collection) -> list[pl.Expr]:
    piece = pl.col("piece")
    return [
        pl.col("segment_id", "recording_id", "segment_start", "segment_end"),
        pl.lit(collection.tier).alias("tier"),
        pl.lit(collection.folder).alias("collection"),
        pl.col("embedding_path", "embedding_sha256", "piece_share"),
        pl.col("embedding_frames").alias("frames"),
        pl.col("embedding_width").alias("width"),
        pl.concat_str(
            piece.struct.field("composer"), piece.struct.field("work"), separator="/"
        ).alias("piece"),
        pl.col("audio_sha256", "source_url", "licence"),
    ]


def _of_tier(tier: TierId) -> dict[str, pl.Expr]:
    """What a tier's own columns say, in the manifest's words."""
    if tier == "t2":
        keys = pl.col("performer").map_elements(performer_key, return_dtype=pl.String)
        group = pl.concat_str("edition", "round", separator="/")
        return {
            "performer": keys,
            "ranking_group": pl.when("solo").then(group),
            "ranking_order": pl.when("solo").then("placement"),
        }
    if tier == "t3":
        works = pl.col("works")
        known = pl.col("work_id").is_not_null()
        surely = pl.col("work_place").is_in(["stated", "whole"])
        return {
            "performer": "maestro " + pl.col("performer_id"),
            "work_ids": pl.when(known)
            .then(pl.concat_list("work_id"))
            .when(works.list.len() == 1)
            .then(works)
            .otherwise(pl.lit([], dtype=pl.List(pl.String))),
            # Where a work lies is an estimate: any of the recording's may sound.
            "recording_pieces": pl.when(surely)
            .then(pl.lit([], dtype=pl.List(pl.String)))
            .otherwise(works.list.eval(_piece_of_work(pl.element()))),
            "official_split": pl.col("split"),
        }
    return {"channel": pl.col("channel_id")}


def _piece_of_work(work: pl.Expr) -> pl.Expr:
    """`beethoven:op53/1` as `beethoven/op53`."""
    return work.str.replace(":", "/", literal=True).str.extract(r"^([^/]+/[^/]+)", 1)


def _incomplete(rows: pl.DataFrame, collection: Collection) -> list[tuple[str, str, str, str]]:
    lacking = rows.with_row_index("line", offset=1).filter(
        pl.any_horizontal(pl.col(NEEDED).is_null())
    )
    return [
        (
            collection.tier,
            "row_incomplete",
            row["segment_id"] or f"{collection.folder}/metadata.jsonl, line {row['line']}",
            f"no {', '.join(name for name in NEEDED if row[name] is None)}",
        )
        for row in lacking.iter_rows(named=True)
    ]


def _unfinished(
    states: Mapping[str, int], collection: Collection
) -> list[tuple[str, str, str, str]]:
    """A tier that is half collected is used as far as it goes, and says so."""
    return [
        (
            collection.tier,
            "half_collected",
            collection.folder,
            f"{count} recordings' embeddings are {state}",
        )
        for state, count in sorted(states.items())
        if state not in ("done", "filtered")
    ]


def _listing(store: Store, folder: str, ending: str) -> dict[str, int]:
    """Sizes of a folder's files with this ending, by name, in one call to the file system."""
    place = store.path(folder)
    if not place.is_dir():
        return {}
    found = place.fs.ls(place.path, detail=True)
    return {
        name: int(facts["size"] or 0)
        for facts in found
        if facts["type"] == "file" and (name := facts["name"].rsplit("/", 1)[1]).endswith(ending)
    }


def _on_disk(store: Store, collection: Collection, folder: str) -> pl.DataFrame:
    files = sorted(_listing(store, folder, ".pt").items())
    return pl.DataFrame(
        [(collection.folder, f"{folder}/{name}", size) for name, size in files],
        schema=DISK_SCHEMA,
        orient="row",
    )


def _receipts(store: Store, collection: Collection) -> tuple[pl.DataFrame, dict[str, int]]:
    """Embeddings that receipts know, and how many recordings are in which state.

    Not through the model of a receipt: it would take ten times as long for four of its fields.
    """
    folder = f"{collection.folder}/muq_embeddings"

    def read(name: str) -> list[tuple[str, str, str, str, str, int]] | str:
        try:
            content = json.loads(store.path(f"{folder}/{name}").read_bytes())
            state = str(content["state"])
            outputs = [
                (
                    collection.folder,
                    str(content["recording_id"]),
                    state,
                    str(output["path"]),
                    str(output["sha256"]),
                    int(output["size_bytes"]),
                )
                for output in content["outputs"]
            ]
        except (ValueError, KeyError, TypeError, FileNotFoundError):
            return "unreadable"
        return outputs or state

    names = sorted(_listing(store, folder, RECEIPT))
    with ThreadPoolExecutor(READERS) as threads:
        read_all = list(threads.map(read, names))
    rows = [row for found in read_all if not isinstance(found, str) for row in found]
    states: dict[str, int] = {}
    for found in read_all:
        state = found if isinstance(found, str) else found[0][2]
        states[state] = states.get(state, 0) + 1
    return pl.DataFrame(rows, schema=RECEIPT_SCHEMA, orient="row"), states


def _preferences(
    store: Store, collection: Collection, problems: list[tuple[str, str, str, str]]
) -> pl.DataFrame:
    path = store.path(f"{collection.folder}/preferences.parquet")
    if not path.is_file():
        problems.append(
            (collection.tier, "signal_missing", str(path), "no ranking; materialize preferences")
        )
        return pl.DataFrame(schema=PREFERRED_SCHEMA)
    try:
        pairs = pl.read_parquet(io.BytesIO(path.read_bytes()))
        within = pairs.filter((pl.col("kind") == "within_round") & pl.col("solo"))
        key = f"{collection.folder}/" + pl.col("better", "worse")
        return within.select(key.name.keep())
    except pl.exceptions.PolarsError as error:
        raise _broken(str(path), str(error)) from error


def _twins(store: Store, collection: Collection) -> pl.DataFrame:
    relative = f"{collection.folder}/pairs.jsonl"
    if not store.path(relative).is_file():
        return pl.DataFrame(schema=TWIN_SCHEMA)
    rows = _ndjson(
        store,
        relative,
        {
            "segment_id": pl.String(),
            "twin_path": pl.String(),
            "twin_sha256": pl.String(),
            "recipe": pl.String(),
            "recipe_version": pl.String(),
            "seed": pl.Int64(),
            "cosine": pl.Float64(),
            "flag": pl.String(),
        },
    )
    named = {name: f"twin_{name}" for name in ("recipe", "recipe_version", "seed", "cosine")}
    # A twin that is identical or destroyed teaches nothing.
    return (
        rows.filter(pl.col("flag").is_null())
        .rename(named)
        .select(pl.lit(collection.folder).alias("collection"), *list(TWIN_SCHEMA)[1:])
    )


def _duplicates(store: Store, collection: Collection) -> pl.DataFrame:
    relative = f"{collection.folder}/duplicates.jsonl"
    if not store.path(relative).is_file():
        return pl.DataFrame(schema=DUPLICATE_SCHEMA)
    rows = _ndjson(store, relative, {"recording_id": pl.String(), "duplicate_of": pl.String()})
    key = pl.lit(f"{collection.folder}/") + pl.col("recording_id")
    return rows.select(key.alias("recording"), "duplicate_of")


def _teacher_labels(
    store: Store,
    collection: Collection,
    dimensions: Sequence[str],
    problems: list[tuple[str, str, str, str]],
) -> pl.DataFrame:
    """Labels that have a score in each dimension; the others are named."""
    path = store.path(f"{collection.folder}/teacher_labels.json")
    if not path.is_file():
        return pl.DataFrame(schema=teacher_schema(dimensions))
    rows = []
    for label in _labels(str(path), path.read_bytes()):
        name = str(label.get("segment_id"))
        scores = label.get("dimension_scores")
        scores = scores if isinstance(scores, dict) else {}
        lacking = [at for at in dimensions if not _is_score(scores.get(at))]
        if lacking:
            detail = f"no score of 1 to 5 in {', '.join(lacking)}"
            problems.append((collection.tier, "label_unusable", name, detail))
            continue
        rows.append(
            {
                "collection": collection.folder,
                "segment_id": name,
                **{f"teacher_{at}": float(scores[at]) for at in dimensions},
                "teacher_model": _text(label.get("teacher_model")),
                "teacher_rubric_version": _text(label.get("rubric_version")),
            }
        )
    return pl.DataFrame(rows, schema=teacher_schema(dimensions))


def _labels(name: str, content: bytes) -> list[Mapping[str, object]]:
    """The rows of a file of labels: a list, or an object that holds one as `labels` or `rows`."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _broken(name, str(error)) from error
    if isinstance(found, dict):
        found = next((found[key] for key in ("labels", "rows") if key in found), None)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise _broken(name, "expected a list of labels")
    return found


def _is_score(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 1 <= value <= 5  # type: ignore[operator]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _problems(rows: Iterable[tuple[str, str, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=PROBLEM_SCHEMA, orient="row")


def _stacked(frames: Sequence[pl.DataFrame], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def _shaped(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The frame with the schema's columns in their order, null where it has none."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
