"""One recording through the embedding stage, with real clips and the real tiny MuQ."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_collection.embedding.checkpoint import Checkpoint, find_checkpoint
from data_collection.embedding.encoder import Encoder, MuQEncoder, load_muq, read_embedding_file
from data_collection.embedding.stage import settle_embeddings
from data_collection.recordings.receipts import Settled, StageResult, settle
from data_collection.recordings.segments import ClipGrid
from data_collection.recordings.stages import LEVELS, settle_segments
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.sample.world import CHECKPOINT
from data_collection_tests.clips import KEEP_ALL, NO_LEVELS, SCORER

ID = "web_made_1"
GRID = ClipGrid(clip_s=2.0, min_tail_s=1.0)


@pytest.fixture(scope="module")
def encoder() -> MuQEncoder:
    return load_muq(find_checkpoint(str(CHECKPOINT)), "cpu")


@dataclass
class River:
    """A store with one recording, whose stages can be run one by one."""

    store: Store
    tier: Tier
    encoder: Encoder
    loads: int = field(default=0)

    def audio(self, seconds: float, *, level: float = 0.1, seed: int = 0) -> Settled:
        """Store audio of its own as the audio stage would."""

        def work() -> StageResult:
            samples = np.random.default_rng(seed).normal(0, level, round(seconds * 24_000))
            with self.store.scratch() as folder:
                flac = folder / f"{ID}.flac"
                soundfile.write(flac, np.clip(samples, -1, 1), 24_000, subtype="PCM_24")
                stored = self.store.publish(flac, f"{self.tier.folder('audio')}/{ID}.flac")
            buffer = io.BytesIO()
            NO_LEVELS.write_parquet(buffer)
            levels = f"{self.tier.folder('audio')}/{ID}{LEVELS}"
            return StageResult(outputs=(stored, self.store.write_bytes(levels, buffer.getvalue())))

        return settle(
            self.store,
            self.tier.folder("audio"),
            ID,
            inputs=lambda: {"source_id": f"{seconds} {level} {seed}"},
            parameters=dict,
            work=work,
        )

    def segments(self, grid: ClipGrid = GRID) -> Settled:
        """Cut it."""
        return settle_segments(self.store, self.tier, ID, grid, SCORER, KEEP_ALL)

    def embed(self, checkpoint: Callable[[], Checkpoint] | None = None) -> Settled:
        """Embed it, counting how often a model was asked for."""

        def load() -> Encoder:
            self.loads += 1
            return self.encoder

        return settle_embeddings(
            self.store,
            self.tier,
            ID,
            checkpoint=checkpoint or (lambda: find_checkpoint(str(CHECKPOINT))),
            encoder=load,
        )

    def files(self) -> list[str]:
        """Embeddings that lie there."""
        folder = Path(str(self.store.path(self.tier.folder("muq_embeddings"))))
        return sorted(path.name for path in folder.glob("*.pt"))


@pytest.fixture
def river(store: Store, tier: Tier, encoder: MuQEncoder) -> River:
    return River(store, tier, encoder)


def test_every_kept_clip_is_embedded(river: River) -> None:
    """Each kept clip has a file with the embedding of exactly its samples; the tail has none.

    Guards against clips read from the wrong place and embeddings under each other's names.
    """
    river.audio(6.5)
    river.segments()
    receipt = river.embed().receipt
    assert (receipt.state, receipt.reason) == ("done", None)
    assert river.files() == [f"{ID}_seg000{index}.pt" for index in range(3)]
    whole, _ = soundfile.read(
        Path(str(river.store.path(f"t9_made/audio/{ID}.flac"))), dtype="float32"
    )
    for index, output in enumerate(receipt.outputs):
        stored = read_embedding_file(river.store.path(output.path).read_bytes())
        expected = river.encoder.embed(whole[index * 48_000 : (index + 1) * 48_000])
        assert np.array_equal(stored, expected.astype(np.float16))
    assert json.loads(str(receipt.facts["frames_by_segment"])) == {
        f"{ID}_seg000{index}": 50 for index in range(3)
    }
    assert (receipt.facts["width"], receipt.facts["segments"]) == (64, 3)


def test_a_second_run_loads_no_model(river: River) -> None:
    """Where the receipt holds, nothing is embedded and no model is loaded.

    Guards against nine seconds of import per run that has nothing to do.
    """
    river.audio(4.0)
    river.segments()
    river.embed()
    assert river.embed().skipped
    assert river.loads == 1


def test_another_grid_leaves_no_stale_clip(river: River) -> None:
    """After a coarser grid only its clips' files lie there.

    Guards against clips of two grids in one folder.
    """
    river.audio(6.0)
    river.segments()
    river.embed()
    river.segments(ClipGrid(clip_s=5.0, min_tail_s=1.0))
    river.embed()
    assert river.files() == [f"{ID}_seg0000.pt", f"{ID}_seg0001.pt"]


def test_silence_is_filtered_and_its_old_embeddings_go(river: River) -> None:
    """A recording without a usable clip is filtered, and nothing of an earlier one stays.

    Guards against embeddings whose audio was replaced by silence.
    """
    river.audio(4.0)
    river.segments()
    river.embed()
    river.audio(4.0, level=0.0)
    river.segments()
    receipt = river.embed().receipt
    assert (receipt.state, receipt.reason) == ("filtered", "no_usable_clip")
    assert river.files() == []
    assert river.loads == 1


def test_it_waits_for_its_upstream(river: River) -> None:
    """Without clips the stage is blocked and says so, without loading a model.

    Guards against a run in the wrong order that counts as failure.
    """
    river.audio(4.0)
    receipt = river.embed().receipt
    assert (receipt.state, receipt.reason) == ("blocked", "upstream_not_done")
    assert river.loads == 0


def test_a_missing_checkpoint_is_ours(river: River) -> None:
    """Missing weights block the recording at no cost and stop the batch.

    Guards against a thousand failures of one cause.
    """
    river.audio(4.0)
    river.segments()
    settled = river.embed(lambda: find_checkpoint("/no/such/weights"))
    assert (settled.receipt.state, settled.receipt.attempts) == ("blocked", 0)
    assert settled.stops_batch


def test_clips_of_other_audio_are_not_embedded(river: River) -> None:
    """Where the audio was replaced and not cut again, the stage waits for the cut.

    Guards against clip borders, levels and silences of an earlier file applied to a later one:
    metadata would then describe audio that no longer exists.
    """
    river.audio(6.0)
    river.segments()
    river.audio(6.0, seed=1)
    settled = river.embed()
    assert (settled.receipt.state, settled.receipt.reason) == ("blocked", "upstream_not_done")


def test_shorter_audio_under_old_clips_is_no_bug(river: River) -> None:
    """The same with shorter audio, where the old clips lie past its end.

    Guards against libsndfile's seek error as an internal error.
    """
    river.audio(6.0)
    river.segments()
    river.audio(2.5, seed=1)
    assert river.embed().receipt.reason == "upstream_not_done"
