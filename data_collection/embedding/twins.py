"""Twins: each clip embedded once more as another version of it, and how near the two are.

What belongs here: the stage that makes a recording's twins, its rows, and which twins are of no
use. What does not: how a version is made (`recordings.variants`), the forward pass (`batches`).

The twin's embedding is held against the clean one where both lie at hand; later that would be
reading every embedding of the tier again for one number each.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from data_collection.embedding.batches import ClipBatches
from data_collection.embedding.progress import EmbeddingProgress
from data_collection.embedding.stage import CLEAN, ClipStage, Concluded, settle_embeddings
from data_collection.embedding.stored import read_embedding_file
from data_collection.recordings.errors import SetupError
from data_collection.recordings.receipts import (
    Fact,
    Receipt,
    Settled,
    finished_receipt,
    read_receipt,
)
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier import Tier
from data_collection.recordings.variants import ClipVariant

TWINS = "augmented_muq_embeddings"
ROWS = ".pairs.jsonl"
MEANS = ".means.safetensors"
IDENTICAL = 0.99999
"""Cosine from which two embeddings are one, up to the rounding of float16."""
STRANGERS = 150
LEAST_STRANGERS = 5
LOST = 0.1
"""Share of strangers nearer than its own clip from which a twin is destroyed: of twins that keep
nothing, nine in ten are noticed."""

Flag = Literal["identical", "destroyed"]
Embedding = npt.NDArray[np.float32]


class TwinRow(BaseModel):
    """A row of `pairs.jsonl`: a segment, its twin, and what lies between them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segment_id: str = Field(description="of the clean segment")
    recording_id: str = Field(description="the recording it is cut from")
    embedding_path: str = Field(description="of the clean one, relative to the embeddings root")
    embedding_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="hash of that file")
    twin_path: str = Field(description="of the twin's, relative to the embeddings root")
    twin_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="hash of that file")
    frames: int = Field(gt=0, description="of both; frame k of the one is frame k of the other")
    recipe: str = Field(description="name of the recipe that the parameters were drawn from")
    recipe_version: int = Field(description="its version")
    seed: int = Field(description="that they were drawn with")
    parameters: dict[str, Any] = Field(description="what was drawn: the effects in their order")
    cosine: float = Field(ge=-1.001, le=1.001, description="of the means over the frames")
    frame_cosine: float = Field(ge=-1.001, le=1.001, description="mean over the frames")
    strangers_nearer: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="share of other recordings' clips that are more like the twin than its own; "
        "null where too few recordings are there",
    )
    flag: Flag | None = Field(
        default=None, description="why it is of no use as a pair: identical, destroyed; or null"
    )

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of the effects that were applied, in their order."""
        return tuple(effect["effect"] for effect in self.parameters["effects"])


def settle_twins(
    store: Store,
    tier: Tier,
    recording_id: str,
    variant: ClipVariant,
    *,
    parameters: Callable[[], Mapping[str, Fact]],
    batches: ClipBatches,
    progress: EmbeddingProgress,
) -> Settled:
    """Embed the twin of every kept clip of a recording whose clips are embedded.

    Args:
        store: the data root.
        tier: whose recording it is.
        recording_id: the recording.
        variant: makes the twins.
        parameters: as for `settle_embeddings`.
        batches: as for `settle_embeddings`.
        progress: as for `settle_embeddings`.
    """
    return settle_embeddings(
        store,
        tier,
        recording_id,
        parameters=parameters,
        batches=batches,
        progress=progress,
        stage=twin_stage(store, tier, variant),
    )


def twin_stage(store: Store, tier: Tier, variant: ClipVariant) -> ClipStage:
    """The stage that embeds a version of each clip and holds it against the clean one."""

    def clean(recording_id: str) -> Receipt:
        return finished_receipt(store, tier.folder(CLEAN.name), recording_id)

    def path(recording_id: str, ending: str) -> str:
        return f"{tier.folder(TWINS)}/{recording_id}{ending}"

    def conclude(recording_id: str, twins: Mapping[str, StoredFile]) -> Concluded:
        from safetensors.numpy import save

        stored = {output.path: output for output in clean(recording_id).outputs}
        rows: list[TwinRow] = []
        means: dict[str, npt.NDArray[np.float16]] = {}
        for segment_id, twin in twins.items():
            original = stored.get(f"{tier.folder(CLEAN.name)}/{segment_id}.pt")
            if original is None:
                raise _clean_is_gone(tier, segment_id, "its receipt does not name it")
            both = _both(store, tier, segment_id, original, twin)
            means[segment_id] = _unit(both.mean(axis=1)).astype(np.float16)
            rows.append(_row(recording_id, segment_id, original, twin, both, variant))
        cosines = [row.cosine for row in rows]
        return Concluded(
            outputs=(
                write_rows(store, path(recording_id, ROWS), rows),
                store.write_bytes(path(recording_id, MEANS), save(means)),
            ),
            facts={
                "cosine_median": round(statistics.median(cosines), 6),
                "cosine_least": round(min(cosines), 6),
            },
        )

    return ClipStage(
        name=TWINS,
        hear=variant.make,
        inputs=lambda recording_id: {f"{CLEAN.name}_sha256": _sha256_of(clean(recording_id))},
        parameters=variant.parameters,
        further_paths=lambda recording_id: [path(recording_id, end) for end in (ROWS, MEANS)],
        conclude=conclude,
    )


def read_twins(store: Store, tier: Tier, recording_ids: Sequence[str]) -> list[TwinRow]:
    """The rows of the recordings that have twins of their present embeddings, in their order.

    Raises:
        SetupError: `rows_missing`, `rows_unreadable`.
    """
    rows: list[TwinRow] = []
    for recording_id in recording_ids:
        twins = read_receipt(store, tier.folder(TWINS), recording_id)
        clean = read_receipt(store, tier.folder(CLEAN.name), recording_id)
        if twins is None or clean is None or twins.state != "done":
            continue
        if twins.inputs[f"{CLEAN.name}_sha256"] == _sha256_of(clean):
            rows += read_rows(store, f"{tier.folder(TWINS)}/{recording_id}{ROWS}", TwinRow)
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """Clips of different recordings, one each: what a twin is if nothing of its own is left.

    Attributes:
        recording_ids: whose they are.
        means: of their embeddings over the frames, of length 1, `[clips, width]`.
    """

    recording_ids: tuple[str, ...]
    means: Embedding

    @property
    def span(self) -> tuple[float, float, float]:
        """Cosine that 5 %, half and 95 % of any two of them are below."""
        upper = np.triu_indices(len(self.means), 1)
        low, median, high = np.percentile((self.means @ self.means.T)[upper], (5, 50, 95))
        return float(low), float(median), float(high)


def strangers(store: Store, tier: Tier, rows: Sequence[TwinRow]) -> Strangers | None:
    """Choose them, the same ones each time; None where there are few recordings.

    Raises:
        SetupError: `means_unreadable`.
    """
    one_each: dict[str, TwinRow] = {}
    for row in sorted(rows, key=lambda row: hashlib.sha256(row.segment_id.encode()).digest()):
        one_each.setdefault(row.recording_id, row)
    chosen = list(one_each.values())[:STRANGERS]
    if len(chosen) < LEAST_STRANGERS:
        return None
    means = [_read_means(store, tier, row.recording_id)[row.segment_id][0] for row in chosen]
    return Strangers(tuple(row.recording_id for row in chosen), _unit(np.array(means)))


def flagged(
    store: Store, tier: Tier, rows: Sequence[TwinRow], others: Strangers | None
) -> list[TwinRow]:
    """Say of each twin whether it is of no use.

    Identical: nothing is learnt from it. Destroyed: more than a tenth of the strangers are more
    like it than its own clip is, so what it keeps of the performance is hardly heard. By rank and
    not by the cosine itself: noise moves all twins one way, and leaves each nearest to its own.

    Raises:
        SetupError: `means_unreadable`.
    """
    found: list[TwinRow] = []
    for recording_id, group in groupby(rows, key=lambda row: row.recording_id):
        means = _read_means(store, tier, recording_id) if others is not None else {}
        for row in group:
            nearer = None
            if others is not None:
                clean, twin = _unit(means[row.segment_id])
                apart = [other != recording_id for other in others.recording_ids]
                nearer = float(np.mean(others.means[apart] @ twin > clean @ twin))
            found.append(
                row.model_copy(
                    update={
                        "strangers_nearer": None if nearer is None else round(nearer, 4),
                        "flag": _flag(row, nearer),
                    }
                )
            )
    return found


def _flag(row: TwinRow, nearer: float | None) -> Flag | None:
    if row.frame_cosine >= IDENTICAL:
        return "identical"
    return "destroyed" if nearer is not None and nearer > LOST else None


def _read_means(store: Store, tier: Tier, recording_id: str) -> dict[str, Embedding]:
    """Means of clean and twin by segment id, each `[2, width]`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = store.path(f"{tier.folder(TWINS)}/{recording_id}{MEANS}")
    try:
        return {name: value.astype(np.float32) for name, value in load(path.read_bytes()).items()}
    except (OSError, SafetensorError) as error:
        raise SetupError(
            "means_unreadable",
            f"{path}: {error}; delete it and materialize {tier.folder(TWINS)} of {recording_id}",
            stops_batch=False,
        ) from error


def _both(
    store: Store, tier: Tier, segment_id: str, clean: StoredFile, twin: StoredFile
) -> Embedding:
    """Clean and twin, `[2, frames, width]`."""
    one, other = _read(store, clean.path, segment_id), _read(store, twin.path, segment_id)
    if one.shape != other.shape:
        raise _clean_is_gone(tier, segment_id, f"it is {one.shape}, and its twin {other.shape}")
    return np.stack([one, other])


def _row(
    recording_id: str,
    segment_id: str,
    clean: StoredFile,
    twin: StoredFile,
    both: Embedding,
    variant: ClipVariant,
) -> TwinRow:
    by_frame, (one, other) = _unit(both), _unit(both.mean(axis=1))
    return TwinRow.model_validate(
        {
            "segment_id": segment_id,
            "recording_id": recording_id,
            "embedding_path": clean.path,
            "embedding_sha256": clean.sha256,
            "twin_path": twin.path,
            "twin_sha256": twin.sha256,
            "frames": both.shape[1],
            "cosine": round(float(one @ other), 6),
            "frame_cosine": round(float((by_frame[0] * by_frame[1]).sum(axis=1).mean()), 6),
            **variant.describe(segment_id),
        }
    )


def _read(store: Store, path: str, segment_id: str) -> Embedding:
    try:
        return read_embedding_file(store.path(path).read_bytes()).astype(np.float32)
    except (OSError, ValueError) as error:
        raise SetupError(
            "embedding_unreadable",
            f"{path} of {segment_id}: {error}; delete it and materialize its asset again",
            stops_batch=False,
        ) from error


def _clean_is_gone(tier: Tier, segment_id: str, problem: str) -> SetupError:
    return SetupError(
        "upstream_not_done",
        f"the embedding of {segment_id}: {problem}; materialize {tier.folder(CLEAN.name)} again",
        stops_batch=False,
    )


def _unit(vectors: Embedding) -> Embedding:
    """Vectors of length 1 along the last axis; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Embedding = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit


def _sha256_of(receipt: Receipt) -> str:
    """Hash of all that a receipt says was made."""
    made = json.dumps([(output.path, output.sha256) for output in receipt.outputs])
    return hashlib.sha256(made.encode()).hexdigest()
