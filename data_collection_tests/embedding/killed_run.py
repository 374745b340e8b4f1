"""Runs of the embedding stage that are ended at every moment; `test_stage` starts it.

    python killed_run.py killed ROOT     # kill -9 before each write in turn, then a second run
    python killed_run.py interrupted ROOT    # a Dagster run that waits to be interrupted

Each prints lines of JSON. A process of its own, so that it can be killed and imports torch once.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch  # noqa: F401 - before the first fork

from data_collection.embedding.batches import Clip, ClipBatches, Embedding
from data_collection.embedding.encoder import frame_count
from data_collection.embedding.progress import EmbeddingProgress
from data_collection.embedding.stage import settle_embeddings
from data_collection.recordings.receipts import Settled
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier import Catalogue, Tier
from data_collection.recordings.tier_rows import Recording, SegmentRow

TIER = Tier(
    key_prefix=("t9_made",),
    group="t9_made",
    label="Made",
    partitions_name="t9_made",
    recording_model=Recording,
    row_model=SegmentRow,
    find_recordings=lambda _: Catalogue(recordings=()),
)
RECORDING = "web_made_1"


@dataclass
class PlainModel:
    """A model without weights: an embedding is the clip's level, and clips are counted."""

    batch_s: float = 2.0
    pool_frames: int = 1
    width: int = 4
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    fidelity: Mapping[str, float] = field(default_factory=dict)
    clips: int = 0

    def embed(self, clips: Clip) -> Embedding:
        """Count and embed."""
        self.clips += len(clips)
        level = np.sqrt(np.mean(np.square(clips), axis=1, dtype=np.float32))
        shape = (len(clips), frame_count(clips.shape[1]), self.width)
        return np.ascontiguousarray(np.broadcast_to(level[:, None, None], shape))


@dataclass(frozen=True)
class DyingStore(Store):
    """A store whose process is killed before a certain write."""

    dies_before: int = -1
    writes: itertools.count[int] = field(default_factory=itertools.count)

    def write_bytes(self, relative: str, content: bytes) -> StoredFile:
        """Write, or die."""
        if next(self.writes) == self.dies_before:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write_bytes(relative, content)


def embed(store: Store, model: PlainModel) -> Settled:
    """One run over the one recording."""
    with ClipBatches(lambda: model, logging.getLogger()) as batches:
        return settle_embeddings(
            store,
            TIER,
            RECORDING,
            parameters=lambda: {"weights": "none"},
            batches=batches,
            progress=EmbeddingProgress({}),
        )


def killed(root: Path) -> None:
    """Kill a run before each of its writes, and say what the next one finds and does."""
    for moment in itertools.count():
        embeddings = root / f"killed_{moment}"
        store = Store.at(str(root), str(embeddings))
        dying = DyingStore(store.root, store.embeddings_root, moment)
        status = _in_a_fork(partial(embed, dying, PlainModel()))
        files = len(list(embeddings.rglob("*.pt")))
        _in_a_fork(partial(_tell, store, files, was_killed=os.WIFSIGNALED(status)))
        if not os.WIFSIGNALED(status):
            return


def _in_a_fork(run: Callable[[], object]) -> int:
    """Run in a child that starts without threads, as polars and torch want it; its status."""
    child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - it is told, and the child ends here
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def _tell(store: Store, files: int, *, was_killed: bool) -> None:
    model = PlainModel()
    receipt = embed(store, model).receipt
    told = {
        "was_killed": was_killed,
        "files_before": files,
        "embedded_again": model.clips,
        "state": receipt.state,
        "attempts": receipt.attempts,
        "hashes": [output.sha256 for output in receipt.outputs],
    }
    print(json.dumps(told), flush=True)


def interrupted(root: Path) -> None:
    """Materialize through Dagster with a model that never ends its second pass by itself."""
    import dagster as dg

    from data_collection.embedding.assets import muq_embeddings_asset
    from data_collection.embedding.checkpoint import Checkpoint
    from data_collection.embedding.encoder import Encoder
    from data_collection.embedding.resources import MuQResource
    from data_collection.recordings.resources import StoreResource

    class Waiting(PlainModel):
        def embed(self, clips: Clip) -> Embedding:
            if self.clips:
                print(json.dumps({"embedding": self.clips}), flush=True)
                threading.Event().wait(2.0)
            return super().embed(clips)

    class Resource(MuQResource):
        def find(self) -> Checkpoint:
            return Checkpoint("none", "none", root)

        def encoder(self) -> Encoder:
            return Waiting(batch_s=2.0)

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(TIER.partitions_name, [RECORDING])
        dg.materialize(
            [muq_embeddings_asset(TIER)],
            instance=instance,
            partition_key=RECORDING,
            resources={
                "store": StoreResource(root=str(root)),
                "muq": Resource(checkpoint="none", device="cpu"),
            },
        )


if __name__ == "__main__":
    {"killed": killed, "interrupted": interrupted}[sys.argv[1]](Path(sys.argv[2]))
