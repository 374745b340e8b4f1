"""One recording through the embedding stage, with real clips and the real tiny MuQ."""

from __future__ import annotations

import io
import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from upath import UPath

from data_collection.embedding.batches import BATCHES_IN_FLIGHT, Clip, ClipBatches, Embedding
from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.encoder import Encoder
from data_collection.embedding.options import EncoderOptions, encoder_parameters
from data_collection.embedding.progress import EmbeddingProgress
from data_collection.embedding.stage import CODE_VERSION, planned, settle_embeddings
from data_collection.embedding.stored import read_embedding_file
from data_collection.recordings.errors import disk_full
from data_collection.recordings.receipts import (
    Fact,
    Settled,
    StageResult,
    read_receipt,
    receipt_path,
    settle,
)
from data_collection.recordings.segments import ClipGrid
from data_collection.recordings.stages import LEVELS, settle_segments
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier import Tier
from data_collection.sample.world import CHECKPOINT
from data_collection_tests.clips import KEEP_ALL, NO_LEVELS, SCORER
from data_collection_tests.embedding import killed_run
from data_collection_tests.embedding.models import tiny_encoder

ID = killed_run.RECORDING
GRID = ClipGrid(clip_s=2.0, min_tail_s=1.0)
LOG = logging.getLogger("data_collection_tests.stage")
HANGS_AFTER_S = 120.0


@dataclass
class Model:
    """The real tiny MuQ, counting its clips, and failing as told.

    Attributes:
        nan_at: clips, as they come, whose embedding is no number.
        error_at: clips whose pass raises.
    """

    inner: Encoder
    nan_at: frozenset[int] = frozenset()
    error_at: Mapping[int, BaseException] = field(default_factory=dict)
    width: int = 64
    batch_s: float = 2.0
    clips: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def embed(self, clips: Clip) -> Embedding:
        """Embed as the real one does, but for what was told."""
        embeddings = self.inner.embed(clips)
        for row in embeddings:
            if self.clips in self.error_at:
                raise self.error_at[self.clips]
            if self.clips in self.nan_at:
                row[3, 5] = np.nan
            self.clips += 1
        return embeddings


@dataclass(frozen=True)
class FailingStore(Store):
    """A store in which the write of some paths fails."""

    fails: Callable[[str], BaseException | None] = lambda _: None

    def write_bytes(self, relative: str, content: bytes) -> StoredFile:
        """Write, or fail."""
        if error := self.fails(relative):
            raise error
        return super().write_bytes(relative, content)


@dataclass
class River:
    """A store with recordings, whose stages can be run one by one."""

    store: Store
    tier: Tier
    model: Model
    loads: int = field(default=0)
    progress: EmbeddingProgress = field(default_factory=lambda: EmbeddingProgress({}))

    def audio(
        self, seconds: float, *, level: float = 0.1, seed: int = 0, recording_id: str = ID
    ) -> Settled:
        """Store audio of its own as the audio stage would."""
        folder = self.tier.folder("audio")

        def work() -> StageResult:
            samples = np.random.default_rng(seed).normal(0, level, round(seconds * 24_000))
            with self.store.scratch() as scratch:
                flac = scratch / f"{recording_id}.flac"
                soundfile.write(flac, np.clip(samples, -1, 1), 24_000, subtype="PCM_24")
                stored = self.store.publish(flac, f"{folder}/{recording_id}.flac")
            buffer = io.BytesIO()
            NO_LEVELS.write_parquet(buffer)
            levels = self.store.write_bytes(f"{folder}/{recording_id}{LEVELS}", buffer.getvalue())
            return StageResult(outputs=(stored, levels))

        return settle(
            self.store,
            folder,
            recording_id,
            inputs=lambda: {"source_id": f"{seconds} {level} {seed}"},
            parameters=dict,
            work=work,
        )

    def segments(self, grid: ClipGrid = GRID, recording_id: str = ID) -> Settled:
        """Cut it."""
        return settle_segments(self.store, self.tier, recording_id, grid, SCORER, KEEP_ALL)

    def cut(self, seconds: float) -> None:
        """Store and cut."""
        self.audio(seconds)
        assert self.segments().receipt.state == "done"

    def parameters(self) -> Mapping[str, Fact]:
        """Those of the tiny checkpoint."""
        return encoder_parameters(find_checkpoint(str(CHECKPOINT)), EncoderOptions(device="cpu"))

    def embed(
        self,
        parameters: Callable[[], Mapping[str, Fact]] | None = None,
        *,
        store: Store | None = None,
        model: Model | None = None,
    ) -> Settled:
        """Embed it in a run of its own, counting how often a model was asked for."""

        def load() -> Encoder:
            self.loads += 1
            return model or self.model

        with ClipBatches(load, LOG) as batches:
            settled = settle_embeddings(
                store or self.store,
                self.tier,
                ID,
                parameters=parameters or self.parameters,
                batches=batches,
                progress=self.progress,
            )
            assert batches._room.taken == 0
        return settled

    def path(self, stage: str, name: str) -> UPath:
        """A file of a stage."""
        return self.store.path(f"{self.tier.folder(stage)}/{name}")

    def files(self) -> list[str]:
        """Embeddings that lie there."""
        return sorted(path.name for path in self.path("muq_embeddings", "x").parent.glob("*.pt"))


@pytest.fixture(params=["disk", "memory"])
def river(request: pytest.FixtureRequest, tmp_path: Path, tier: Tier) -> River:
    """An empty river, on this machine's disk and on a store that is none."""
    root = str(tmp_path) if request.param == "disk" else f"memory://{tmp_path}"
    return River(Store.at(root), tier, Model(tiny_encoder()))


@pytest.fixture
def local_river(store: Store, tier: Tier) -> River:
    return River(store, tier, Model(tiny_encoder()))


def names(*indices: int) -> list[str]:
    return [f"{ID}_seg{index:04d}.pt" for index in indices]


def test_every_kept_clip_is_embedded(river: River) -> None:
    """Each kept clip has a file with the embedding of exactly its samples; the tail has none.

    Guards against clips read from the wrong place and embeddings under each other's names.
    """
    river.audio(6.5)
    river.segments()
    receipt = river.embed().receipt
    assert (receipt.state, receipt.reason) == ("done", None)
    assert river.files() == names(0, 1, 2)
    with river.path("audio", f"{ID}.flac").open("rb") as flac:
        whole, _ = soundfile.read(flac, dtype="float32")
    for index, output in enumerate(receipt.outputs):
        stored = read_embedding_file(river.store.path(output.path).read_bytes())
        clip = whole[np.newaxis, index * 48_000 : (index + 1) * 48_000]
        assert np.array_equal(stored, tiny_encoder().embed(clip)[0].astype(np.float16))
    assert json.loads(str(receipt.facts["frames_by_segment"])) == {
        f"{ID}_seg000{index}": 50 for index in range(3)
    }
    facts = receipt.facts
    assert (facts["width"], facts["segments"], facts["frames"]) == (64, 3, 150)
    assert (receipt.parameters["code_version"], receipt.leftovers) == (CODE_VERSION, ())
    assert receipt.versions == river.model.versions


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
    assert river.files() == names(0, 1)


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
    settled = river.embed(lambda: _parameters_of("/no/such/weights"))
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


def test_pooled_frames_are_counted_as_stored(local_river: River) -> None:
    """With pooling the receipt counts the frames of the files; guards rows that name others."""
    local_river.cut(5.5)
    options = EncoderOptions(device="cpu", pool_frames=8)
    model = Model(tiny_encoder(pool_frames=8))
    receipt = local_river.embed(
        lambda: encoder_parameters(find_checkpoint(str(CHECKPOINT)), options), model=model
    ).receipt
    frames = [
        read_embedding_file(local_river.store.path(output.path).read_bytes()).shape[0]
        for output in receipt.outputs
    ]
    assert frames == [7, 7, 5]
    assert list(json.loads(str(receipt.facts["frames_by_segment"])).values()) == frames
    assert receipt.facts["frames"] == 19


def test_one_clip_that_is_no_number_keeps_the_others(river: River) -> None:
    """The recording fails and names the clip; the others are stored, and a retry redoes only it.

    Guards against an hour of good clips thrown away for one, and against NaN in training.
    """
    river.cut(12.0)
    river.model.nan_at = frozenset({1, 4})
    receipt = river.embed().receipt
    assert (receipt.state, receipt.reason, receipt.attempts) == (
        "failed",
        "non_finite_embedding",
        1,
    )
    assert f"segment {ID}_seg0001: " in str(receipt.detail)
    assert f"segment {ID}_seg0004: " in str(receipt.detail)
    assert river.files() == names(0, 2, 3, 5)
    river.model.nan_at, river.model.clips = frozenset(), 0
    again = river.embed().receipt
    assert (again.state, again.attempts, river.model.clips) == ("done", 2, 2)
    assert [output.path.rsplit("/")[-1] for output in again.outputs] == names(*range(6))


def test_a_file_that_was_changed_is_made_again(river: River) -> None:
    """Only what a cut-short run stored whole is kept, by its content, not its size.

    Guards against half a file from a torn disk among the embeddings.
    """
    river.cut(8.0)
    whole = [river.store.path(output.path).read_bytes() for output in river.embed().receipt.outputs]
    river.path("muq_embeddings", names(2)[0]).unlink()
    changed = river.path("muq_embeddings", names(1)[0])
    changed.write_bytes(whole[1][:-7] + b"changed")
    river.model.clips = 0
    receipt = river.embed().receipt
    assert (receipt.state, river.model.clips) == ("done", 2)
    assert [river.store.path(output.path).read_bytes() for output in receipt.outputs] == whole


def test_a_full_disk_stops_the_batch_and_keeps_what_is_there(local_river: River) -> None:
    """The clips before the disk was full are kept, at no cost of an attempt.

    Guards against a night's work that is lost with its last file, and a receipt that names files
    which were never written.
    """
    river = local_river
    river.cut(12.0)

    def fails(path: str) -> BaseException | None:
        return disk_full("/", "no room") if path.endswith(names(3)[0]) else None

    store = FailingStore(river.store.root, river.store.embeddings_root, fails)
    settled = river.embed(store=store)
    assert (settled.receipt.reason, settled.receipt.attempts) == ("disk_full", 0)
    assert settled.stops_batch
    assert river.files() == names(0, 1, 2)
    river.model.clips = 0
    assert river.embed().receipt.state == "done"
    assert river.model.clips == 3


def test_killed_at_every_moment(tmp_path: Path, tier: Tier) -> None:
    """A run killed before any of its writes is taken up where it was, and ends in the same files.

    Guards against a reboot in the tenth hour that costs ten hours, against a file that is taken
    for whole, and against a kill that counts as an attempt.
    """
    river = River(Store.at(str(tmp_path)), tier, Model(tiny_encoder()))
    river.cut(30.0)
    clips, in_flight = 15, BATCHES_IN_FLIGHT  # the model takes one clip a pass
    told = [json.loads(line) for line in _run("killed", tmp_path).communicate()[0].splitlines()]
    assert len(told) > clips + 2  # a write a clip, the receipt's first and last, those between
    assert [run["was_killed"] for run in told] == [True] * (len(told) - 1) + [False]
    for run in told[:-1]:
        assert (run["state"], run["attempts"]) == ("done", 1)
        assert run["hashes"] == told[-1]["hashes"]
        assert run["embedded_again"] <= clips - run["files_before"] + in_flight


def test_what_a_killed_run_left_is_known(river: River) -> None:
    """A file that no receipt had noted yet is removed by a later grid that has no use for it.

    Guards against orphans that no later success and no purge would find.
    """
    river.cut(8.0)

    def fails(path: str) -> BaseException | None:
        # How many clips share a note is a matter of timing: the third may come with the fourth.
        notes = path.endswith(".receipt.json") and len(river.files()) >= 3
        return KeyboardInterrupt() if notes else None

    store = FailingStore(river.store.root, river.store.embeddings_root, fails)
    with pytest.raises(KeyboardInterrupt):
        river.embed(store=store)
    left = read_receipt(river.store, river.tier.folder("muq_embeddings"), ID)
    assert left is not None
    assert (left.state, left.reason, left.attempts) == ("blocked", "interrupted", 0)
    assert len(left.outputs) < len(river.files())
    assert {path.rsplit("/")[-1] for path in left.paths} >= set(river.files())
    river.segments(ClipGrid(clip_s=5.0, min_tail_s=1.0))
    receipt = river.embed().receipt
    assert (receipt.state, receipt.leftovers) == ("done", ())
    assert river.files() == names(0, 1)


def test_files_of_other_weights_are_not_taken_for_these(river: River) -> None:
    """A run with other weights that is cut short, and goes on, makes every file again.

    Guards against embeddings of two models under one receipt: their sizes and names are equal, and
    the first model's files are whole.
    """
    river.cut(8.0)
    river.embed()

    def fails(path: str) -> BaseException | None:
        return KeyboardInterrupt() if path.endswith(names(2)[0]) else None

    def others() -> Mapping[str, Fact]:
        return {**river.parameters(), "checkpoint_revision": "another"}

    with pytest.raises(KeyboardInterrupt):
        river.embed(
            others, store=FailingStore(river.store.root, river.store.embeddings_root, fails)
        )
    river.model.clips = 0
    assert river.embed(others).receipt.state == "done"
    assert river.model.clips >= 2
    river.model.clips = 0
    river.embed()
    assert river.model.clips == 4


def test_a_mistyped_setting_does_not_lose_what_was_begun(river: River) -> None:
    """A run that cannot even name its weights keeps the clips of one that was cut short.

    Guards against GPU hours lost to one start with a wrong MUQ_CHECKPOINT.
    """
    river.cut(8.0)
    river.model.nan_at = frozenset({3})
    river.embed()
    assert river.embed(lambda: _parameters_of("/no/such/weights")).receipt.state == "blocked"
    river.model.nan_at, river.model.clips = frozenset(), 0
    assert river.embed().receipt.state == "done"
    assert river.model.clips == 1


def test_interrupted_in_dagster(tmp_path: Path, tier: Tier) -> None:
    """A run that is told to end ends within a pass, and what it had stored is kept.

    Guards against threads that keep a terminated run alive until Dagster kills it, and against an
    interrupt that is recorded as the recording's failure.
    """
    river = River(Store.at(str(tmp_path)), tier, Model(tiny_encoder()))
    river.cut(60.0)
    process = _run("interrupted", tmp_path)
    assert process.stdout is not None
    for _ in range(2):
        assert "embedding" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANGS_AFTER_S)
    assert process.returncode != 0
    receipt = read_receipt(river.store, river.tier.folder("muq_embeddings"), ID)
    assert receipt is not None
    assert (receipt.state, receipt.reason, receipt.attempts) == ("blocked", "interrupted", 0)
    assert 1 <= len(receipt.outputs) < 10
    assert river.files() == [output.path.rsplit("/")[-1] for output in receipt.outputs]


def _run(how: str, root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, killed_run.__file__, how, str(root)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("damage", ["gone", "shorter", "torn"])
def test_damaged_audio_is_said_before_anything_is_embedded(river: River, damage: str) -> None:
    """A FLAC that is not what its receipt says blocks its recording alone, and names itself.

    Guards against noise embedded as music: a FLAC with a torn block decodes without an error.
    """
    river.cut(8.0)
    flac = river.path("audio", f"{ID}.flac")
    content = flac.read_bytes()
    flac.unlink()
    if damage != "gone":
        half = len(content) // 2
        flac.write_bytes(content[:half] + (bytes(len(content) - half) if damage == "torn" else b""))
    settled = river.embed()
    assert (settled.receipt.state, settled.receipt.reason) == ("blocked", "audio_unreadable")
    assert f"{ID}.flac" in str(settled.receipt.detail)
    assert not settled.stops_batch
    assert river.model.clips == 0


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("frame_count", 0, "clip_too_short"),
        ("frame_count", 1_000, "clip_too_short"),
        ("frame_count", 10**6, "audio_unreadable"),
        ("start_frame", 10**7, "audio_unreadable"),
        ("start_frame", -5, "audio_unreadable"),
    ],
)
def test_a_table_that_does_not_fit_its_audio(
    local_river: River, column: str, value: int, reason: str
) -> None:
    """A clip without samples, or beyond the end, is told by its name, never as a bug.

    Guards against a half-written or foreign table of clips that ends in a traceback.
    """
    river = local_river
    river.cut(8.0)
    path = river.path("segments", f"{ID}.parquet")
    table = pl.read_parquet(io.BytesIO(path.read_bytes()))
    is_second = pl.col("segment_index") == 1
    changed = pl.when(is_second).then(pl.lit(value, pl.Int64)).otherwise(pl.col(column))
    buffer = io.BytesIO()
    table.with_columns(changed.alias(column)).write_parquet(buffer)
    path.write_bytes(buffer.getvalue())
    receipt = river.embed().receipt
    assert receipt.reason == reason
    assert f"{ID}_seg0001" in str(receipt.detail)


def test_a_width_that_changes_is_our_bug(river: River) -> None:
    """Embeddings of another width than the model says are not stored, and cost no attempt."""
    river.cut(4.0)
    river.model.width = 1024
    receipt = river.embed().receipt
    assert (receipt.state, receipt.reason, receipt.attempts) == ("blocked", "internal_error", 0)
    assert "expected (50, 1024)" in str(receipt.detail)
    assert river.files() == []


def test_a_bug_in_one_pass_keeps_the_clips_before(river: River) -> None:
    """An exception of the model blocks the recording with its words; earlier clips are kept."""
    river.cut(8.0)
    river.model.error_at = {2: KeyError("a bug")}
    receipt = river.embed().receipt
    assert (receipt.state, receipt.reason, receipt.attempts) == ("blocked", "internal_error", 0)
    assert "a bug" in str(receipt.detail)
    assert river.files() == names(0, 1)


def test_an_unreadable_interim_receipt_is_begun_anew(river: River) -> None:
    """Where the receipt of a cut-short run is damaged, everything is made again; nothing breaks."""
    river.cut(6.0)
    river.model.nan_at = frozenset({2})
    river.embed()
    river.store.path(receipt_path(river.tier.folder("muq_embeddings"), ID)).write_bytes(b"{")
    river.model.nan_at, river.model.clips = frozenset(), 0
    assert river.embed().receipt.state == "done"
    assert river.model.clips == 3


def test_progress_counts_what_this_run_does(river: River) -> None:
    """What is planned comes from the tables of clips; what was done before counts as nothing.

    Guards against an estimate that halves whenever a run is taken up again.
    """
    river.cut(8.0)
    plan = planned(river.store, river.tier, [ID, "web_never_cut"])
    assert {key: (amount.clips, amount.audio_s) for key, amount in plan.items()} == {ID: (4, 8.0)}
    river.model.nan_at = frozenset({1})
    river.progress = EmbeddingProgress(plan)
    river.embed()
    assert river.progress.pace().done.clips == 3
    river.model.nan_at, river.progress = frozenset(), EmbeddingProgress(plan)
    assert river.progress.pace().to_do.clips == 4
    river.embed()
    pace = river.progress.pace()
    assert (pace.done.clips, pace.done.audio_s, pace.to_do.clips) == (1, 2.0, 0)
    river.progress = EmbeddingProgress(plan)
    assert river.embed().skipped
    assert river.progress.pace().to_do.clips == 0


def test_several_recordings_share_passes(local_river: River) -> None:
    """Recordings that are settled at once get the embeddings they get alone.

    Guards against clips that change places between recordings.
    """
    river = local_river
    river.model.batch_s = 8.0
    found: dict[str, dict[str, list[str]]] = {"alone": {}, "together": {}}
    ids = [f"web_made_{index}" for index in range(4)]
    for index, recording_id in enumerate(ids):
        river.audio(7.0 + index, seed=index, recording_id=recording_id)
        river.segments(recording_id=recording_id)

    def settle_one(recording_id: str, batches: ClipBatches, store: Store, how: str) -> None:
        settled = settle_embeddings(
            store,
            river.tier,
            recording_id,
            parameters=river.parameters,
            batches=batches,
            progress=river.progress,
        )
        found[how][recording_id] = [output.sha256 for output in settled.receipt.outputs]

    elsewhere = replace(river.store, embeddings_root=river.store.root / "elsewhere")
    with ClipBatches(lambda: river.model, LOG) as batches:
        for recording_id in ids:
            settle_one(recording_id, batches, elsewhere, "alone")
        threads = [
            threading.Thread(target=settle_one, args=(one, batches, river.store, "together"))
            for one in ids
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANGS_AFTER_S)
    assert found["together"] == found["alone"]
    assert all(found["alone"].values())


def _parameters_of(checkpoint: str) -> Mapping[str, Fact]:
    return encoder_parameters(find_checkpoint(checkpoint), EncoderOptions(device="cpu"))
