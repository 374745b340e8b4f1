"""T1, PercePiano, as others have made it: embeddings, labels, and whose playing of what they are.

What belongs here: reading `percepiano_cache/` and `composite_labels/`, in the shapes that they come
in, and saying plainly where a file is of another shape. What does not: writing any of it, ever.

    percepiano_cache/_muq_file_cache/<segment>.pt, or muq_embeddings/<segment>.pt
                                       a tensor [frames, 1024], 25 frames a second
    percepiano_cache/muq_embeddings.pt the same as one mapping {segment: tensor}
    percepiano_cache/labels.json       {segment: 19 scores of 0 to 1, and the pianist's index}
    percepiano_cache/piece_mapping.json  {piece: [segment, ...]}; optional
    composite_labels/composite_labels.json or labels.json
                                       {segment: {dimension: score}}, made of the 19
    composite_labels/taxonomy.json     the dimensions' names, for scores in a plain list
"""

from __future__ import annotations

import json
import math
import pickle
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store, sha256_of_file
from data_collection.training_set.manifest_rows import DIMENSIONS

if TYPE_CHECKING:
    from upath import UPath

CACHE = "percepiano_cache"
COMPOSITE = "composite_labels"
FOLDERS = (f"{CACHE}/muq_embeddings", f"{CACHE}/_muq_file_cache")
ONE_FILE = f"{CACHE}/muq_embeddings.pt"
LABELS = f"{CACHE}/labels.json"
PIECES = f"{CACHE}/piece_mapping.json"
COMPOSITE_LABELS = (f"{COMPOSITE}/composite_labels.json", f"{COMPOSITE}/labels.json")
TAXONOMY = f"{COMPOSITE}/taxonomy.json"
RAW_DIMENSIONS = 19
PIANIST = RAW_DIMENSIONS
"""Place of the pianist's index in a row of labels, after the 19 scores."""
FRAME_RATE_HZ = 25.0

NAME = re.compile(
    r"(?P<composer>[A-Za-z]+)_(?P<work>(?:WoO|Op|BWV|Hob|D|K|S|L)\.?\d+[a-z]?)"
    r"(?:_(?P<part>.+?))?_(?P<bars>\d+)bars_(?P<number>\d+)_(?P<pianist>\d+)"
)
"""Such as `Beethoven_WoO80_var27_8bars_3_15`: composer, work, part, length, number, pianist."""
NUMBER_OF_SET = re.compile(r"no\.?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SegmentName:
    """What a segment's name says.

    Attributes:
        piece: key `composer/work`, such as `schubert/d935-no3`.
        part: movement or variation as written; empty for none.
        pianist: number in the name, as written.
    """

    piece: str
    part: str
    pianist: str


@dataclass(frozen=True, slots=True)
class Percepiano:
    """What T1 holds.

    Attributes:
        segments: a row a segment with an embedding: `segment_id, recording_id, embedding_path,
            embedding_key, embedding_sha256, frames, width, segment_start, segment_end, performer,
            piece`, and `score_<dimension>` for each dimension, null where there is no label.
        problems: `(kind, subject, detail)`, kinds as in `PROBLEM_COLUMNS`.
        off_because: why there is nothing; None where there is something.
    """

    segments: pl.DataFrame
    problems: tuple[tuple[str, str, str], ...] = ()
    off_because: str | None = None


def percepiano_schema(dimensions: Sequence[str] = DIMENSIONS) -> dict[str, pl.DataType]:
    """Types of the columns of `Percepiano.segments`."""
    return {
        "segment_id": pl.String(),
        "recording_id": pl.String(),
        "embedding_path": pl.String(),
        "embedding_key": pl.String(),
        "embedding_sha256": pl.String(),
        "frames": pl.Int64(),
        "width": pl.Int64(),
        "segment_start": pl.Float64(),
        "segment_end": pl.Float64(),
        "performer": pl.String(),
        "piece": pl.String(),
        **{f"score_{dimension}": pl.Float64() for dimension in dimensions},
    }


def parse_name(segment_id: str) -> SegmentName | None:
    """Read a segment's name; None where it is not of the known form."""
    found = NAME.fullmatch(segment_id)
    if found is None:
        return None
    work = found["work"].lower().replace(".", "")
    part = found["part"] or ""
    if number := NUMBER_OF_SET.fullmatch(part):
        work, part = f"{work}-no{int(number[1])}", ""
    return SegmentName(f"{found['composer'].lower()}/{work}", part, found["pianist"])


def read_percepiano(store: Store, dimensions: Sequence[str] = DIMENSIONS) -> Percepiano:
    """Read T1.

    A folder that is not there is no error: the tier is off, with a reason. A segment without labels
    stays, without a target; a label without a segment is named.

    Raises:
        SetupError: `labels_unreadable`: a file of labels is there and of another shape.
    """
    problems: list[tuple[str, str, str]] = []
    embeddings = _embeddings(store, problems)
    if not embeddings:
        searched = ", ".join((*FOLDERS, ONE_FILE))
        because = f"no embeddings of PercePiano in {searched} under the data root"
        return Percepiano(
            pl.DataFrame(schema=percepiano_schema(dimensions)), tuple(problems), because
        )
    raw, composite = _raw_labels(store), _composite_labels(store, dimensions)
    pieces = _pieces(store)
    rows = []
    for embedding in embeddings:
        name = embedding.segment_id
        parsed, scores = parse_name(name), composite.get(name)
        pianist = raw[name][1] if name in raw and raw[name][1] is not None else None
        if pianist is None and parsed is not None:
            pianist = str(int(parsed.pianist))
        if scores is None:
            problems.append(("label_missing", name, "it is in no file of composite labels"))
        piece = parsed.piece if parsed else pieces.get(name)
        if piece is None:
            problems.append(("piece_unknown", name, f"nor does {PIECES} name it"))
        rows.append(
            {
                "segment_id": name,
                "recording_id": _recording_id(name, parsed, pianist),
                "embedding_path": embedding.path,
                "embedding_key": embedding.key,
                "embedding_sha256": embedding.sha256,
                "frames": embedding.frames,
                "width": embedding.width,
                "segment_start": 0.0,
                "segment_end": embedding.frames / FRAME_RATE_HZ,
                "performer": f"percepiano {pianist}" if pianist is not None else None,
                "piece": piece,
                **{f"score_{at}": (scores or {}).get(at) for at in dimensions},
            }
        )
    there = {embedding.segment_id for embedding in embeddings}
    problems += [
        ("label_unknown", name, "it has labels and no embedding")
        for name in sorted((raw.keys() | composite.keys()) - there)
    ]
    return Percepiano(
        pl.DataFrame(rows, schema=percepiano_schema(dimensions)), tuple(sorted(problems))
    )


def _recording_id(name: str, parsed: SegmentName | None, pianist: str | None) -> str:
    """Segments of one pianist in one piece and part are of one performance."""
    if parsed is None:
        return name
    parts = (parsed.piece.replace("/", "_"), parsed.part, pianist or parsed.pianist)
    return "_".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _Embedding:
    segment_id: str
    path: str
    key: str | None
    sha256: str
    frames: int
    width: int


def _embeddings(store: Store, problems: list[tuple[str, str, str]]) -> list[_Embedding]:
    """The first place that holds any, sorted by segment."""
    for folder in FOLDERS:
        place = store.path(folder)
        files = sorted(place.glob("*.pt"), key=lambda file: file.name) if place.is_dir() else []
        if not files:
            continue
        with ThreadPoolExecutor(4) as threads:
            read = list(threads.map(partial(_of_file, folder), files))
        problems += [
            ("embedding_truncated", file.stem, f"{file}: {found}")
            for file, found in zip(files, read, strict=True)
            if isinstance(found, str)
        ]
        return [found for found in read if not isinstance(found, str)]
    return _of_one_file(store, problems) if store.path(ONE_FILE).is_file() else []


def _of_file(folder: str, file: UPath) -> _Embedding | str:
    """The embedding of a file, or what is wrong with it."""
    try:
        shape = _shape(_loaded(file))
    except ValueError as error:
        return str(error)
    return _Embedding(file.stem, f"{folder}/{file.name}", None, sha256_of_file(file), *shape)


def _of_one_file(store: Store, problems: list[tuple[str, str, str]]) -> list[_Embedding]:
    file = store.path(ONE_FILE)
    try:
        loaded = _loaded(file)
        if not isinstance(loaded, dict):
            raise ValueError("expected a mapping of segments to tensors")
    except ValueError as error:
        problems.append(("embedding_truncated", ONE_FILE, f"{file}: {error}"))
        return []
    sha256 = sha256_of_file(file)
    found = []
    for name, tensor in sorted(loaded.items()):
        try:
            found.append(_Embedding(str(name), ONE_FILE, str(name), sha256, *_shape(tensor)))
        except ValueError as error:
            problems.append(("embedding_truncated", str(name), f"{file}: {error}"))
    return found


def _loaded(file: UPath) -> object:
    """A file's content, its values left on the disk where that is local.

    Raises:
        ValueError: it is not readable.
    """
    import torch

    try:
        if file.protocol in ("", "file", "local"):
            return torch.load(str(file), weights_only=True, map_location="cpu", mmap=True)
        with file.open("rb") as opened:
            return torch.load(opened, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, OSError) as error:
        raise ValueError(f"not a readable tensor file ({str(error).splitlines()[0]})") from error


def _shape(tensor: object) -> tuple[int, int]:
    import torch

    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        raise ValueError("expected a tensor of floats")
    shape = tuple(tensor.shape[1:] if tensor.ndim == 3 and tensor.shape[0] == 1 else tensor.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"shape {tuple(tensor.shape)}, expected [frames, width]")
    return int(shape[0]), int(shape[1])


def _raw_labels(store: Store) -> dict[str, tuple[tuple[float, ...], str | None]]:
    """The 19 scores of each segment and its pianist's index, which a row need not have."""
    labels: dict[str, tuple[tuple[float, ...], str | None]] = {}
    for name, row in _mapping(store, LABELS).items():
        if not isinstance(row, list) or len(row) not in (RAW_DIMENSIONS, RAW_DIMENSIONS + 1):
            raise _unreadable(
                store.path(LABELS),
                f"{name}: expected {RAW_DIMENSIONS} scores and the pianist's index",
            )
        values = [_number(store.path(LABELS), name, value) for value in row]
        pianist = str(int(values[PIANIST])) if len(values) > PIANIST else None
        labels[name] = (tuple(values[:RAW_DIMENSIONS]), pianist)
    return labels


def _composite_labels(store: Store, dimensions: Sequence[str]) -> dict[str, dict[str, float]]:
    path = next((path for path in COMPOSITE_LABELS if store.path(path).is_file()), None)
    if path is None:
        return {}
    labels = {}
    rows = _mapping(store, path)
    names = _taxonomy(store) if any(isinstance(row, list) for row in rows.values()) else []
    for name, row in rows.items():
        scores = dict(zip(names, row, strict=False)) if isinstance(row, list) else row
        if not isinstance(scores, dict):
            raise _unreadable(store.path(path), f"{name}: expected a score for each dimension")
        missing = [dimension for dimension in dimensions if dimension not in scores]
        if missing:
            raise _unreadable(store.path(path), f"{name}: no score in {', '.join(missing)}")
        labels[name] = {at: _number(store.path(path), name, scores[at]) for at in dimensions}
    return labels


def _taxonomy(store: Store) -> list[str]:
    """Names of the dimensions in their order, from any of the forms that such a file has."""
    path = store.path(TAXONOMY)
    content = _json(path)
    if isinstance(content, dict):
        content = content.get("dimensions", content)
    names = [
        entry.get("name") if isinstance(entry, dict) else entry
        for entry in (content if isinstance(content, list | dict) else ())
    ]
    if not names or not all(isinstance(name, str) for name in names):
        raise _unreadable(path, "expected names of dimensions, as the scores are plain lists")
    return [str(name) for name in names]


def _pieces(store: Store) -> dict[str, str]:
    """Piece of each segment that the mapping names, as written there."""
    if not store.path(PIECES).is_file():
        return {}
    pieces = {}
    for piece, names in _mapping(store, PIECES).items():
        if not isinstance(names, list):
            raise _unreadable(store.path(PIECES), f"{piece}: expected a list of segments")
        pieces.update({str(name): f"percepiano/{piece}" for name in names})
    return pieces


def _mapping(store: Store, relative: str) -> Mapping[str, object]:
    path = store.path(relative)
    if not path.is_file():
        return {}
    content = _json(path)
    if not isinstance(content, dict):
        raise _unreadable(path, "expected an object by segment")
    return content


def _json(path: UPath) -> object:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise _unreadable(path, str(error)) from error


def _number(path: UPath, name: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):  # type: ignore[arg-type]
        raise _unreadable(path, f"{name}: {str(value)[:40]!r} is no score")
    return float(value)  # type: ignore[arg-type]


def _unreadable(path: UPath, problem: str) -> SetupError:
    return SetupError(
        "labels_unreadable",
        f"{path}: {problem}; it is made outside of this project: put a whole one there",
    )
