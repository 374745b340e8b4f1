"""Clips of several recordings through one model: who shares a pass, who waits, who fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.embedding.batches import BATCHES_IN_FLIGHT, Clip, ClipBatches, Embedding
from data_collection.embedding.encoder import Encoder
from data_collection.recordings.errors import ItemError, RecordingError, SetupError
from data_collection_tests.embedding.models import tiny_encoder

LOG = logging.getLogger("data_collection_tests.batches")
HANGS_AFTER_S = 120.0
RATE_HZ = 24_000
BAD = -13.0
"""A clip that begins with this value cannot be embedded."""


@dataclass
class SlowModel:
    """A model whose embedding of a clip tells which clip it was, and which remembers its passes.

    Attributes:
        batch_s: as an encoder says it.
        fits_samples: a pass with more samples runs out of memory.
        may_go: passes wait for it.
    """

    batch_s: float = 1.0
    fits_samples: int = 10**9
    may_go: threading.Event = field(default_factory=threading.Event)
    passes: list[tuple[float, ...]] = field(default_factory=list)
    width: int = 2
    pool_frames: int = 1
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=lambda: {"device": "cuda:7"})
    fidelity: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.may_go.set()

    def embed(self, clips: Clip) -> Embedding:
        """Give each clip's first sample and length, or fail as a real model does."""
        assert self.may_go.wait(HANGS_AFTER_S)
        if clips.size > self.fits_samples:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if BAD in clips[:, 0]:
            raise RuntimeError("a bug that one clip meets")
        self.passes.append(tuple(clips[:, 0]))
        return np.stack([np.full((3, 2), [clip[0], clip.size], np.float32) for clip in clips])


def clip(number: float, samples: int) -> Clip:
    """A clip that can be told from others by its first sample."""
    made = np.zeros(samples, np.float32)
    made[0] = number
    return made


def embed_all(batches: ClipBatches, clips: Iterable[Clip]) -> list[Embedding | Exception]:
    """What becomes of each clip of a recording."""
    outcomes: list[Embedding | Exception] = []
    with closing(batches.embed_in_order(clips)) as groups:
        for group in groups:
            for future in group:
                assert future.done()
                outcomes.append(future.exception() or future.result())  # type: ignore[arg-type]
    return outcomes


def opened(model: Encoder, log: logging.Logger = LOG) -> ClipBatches:
    return ClipBatches(lambda: model, log)


@contextmanager
def busy(model: SlowModel, batches: ClipBatches, threads: ThreadPoolExecutor) -> Iterator[None]:
    """Keep the device busy with a clip of its own length, so that others come to wait."""
    model.may_go.clear()
    try:
        first = threads.submit(embed_all, batches, [clip(0, 1)])
        _until(lambda: batches._passes == 1)
        yield
    finally:
        model.may_go.set()
    first.result(HANGS_AFTER_S)


def waiting(batches: ClipBatches) -> int:
    """How many clips wait for their pass."""
    return sum(map(len, list(batches._waiting.values())))


LENGTHS = st.lists(st.sampled_from([1, 3, 2_000, 4_000, 12_000, 24_000, 90_000]), max_size=12)


@settings(max_examples=60)
@given(
    recordings=st.lists(LENGTHS, min_size=1, max_size=6),
    batch_s=st.sampled_from([0.01, 0.5, 1.0, 4.0]),
    fits_samples=st.sampled_from([90_000, 120_000, 10**9]),
)
def test_everybody_gets_his_own_clips_in_order(
    recordings: list[list[int]], batch_s: float, fits_samples: int
) -> None:
    """Whatever lengths come in whatever batches, each recording gets each clip's own embedding.

    Guards against embeddings under each other's names, a clip that waits for ever, passes of
    unequal lengths, and passes longer than was said.
    """
    model = SlowModel(batch_s, fits_samples)
    sizes: dict[float, int] = {}
    made = []
    for lengths in recordings:
        made.append([clip(100.0 + len(sizes) + index, n) for index, n in enumerate(lengths)])
        sizes |= {float(one[0]): one.size for one in made[-1]}
    with opened(model) as batches, ThreadPoolExecutor(len(recordings)) as threads:
        running = [threads.submit(embed_all, batches, clips) for clips in made]
        outcomes = [future.result(HANGS_AFTER_S) for future in running]
    for clips, found in zip(made, outcomes, strict=True):
        told = [tuple(one[0]) for one in found if isinstance(one, np.ndarray)]
        assert told == [(one[0], one.size) for one in clips]
    for numbers in model.passes:
        (samples,) = {sizes[number] for number in numbers}
        assert len(numbers) == 1 or len(numbers) * samples <= batch_s * RATE_HZ


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_numbers_depend_on_the_clip_alone(precision: str) -> None:
    """Bit for bit the same alone, in batches of any size, and in any order, with the real MuQ.

    Guards against embeddings that depend on which recordings a run happens to hold.
    """
    muq = tiny_encoder(precision=precision)
    random = np.random.default_rng(0)
    clips = [random.normal(0, 0.1, n).astype(np.float32) for n in (48_000,) * 5 + (30_123,) * 2]
    alone = [muq.embed(one[np.newaxis])[0] for one in clips]
    for order in (range(7), (6, 0, 3, 5, 1, 2, 4)):
        for batch_s in (2.0, 4.0, 60.0):
            model = _WithBatches(muq, batch_s)
            with opened(model) as batches:
                found = embed_all(batches, [clips[index] for index in order])
            for index, embedding in zip(order, found, strict=True):
                assert isinstance(embedding, np.ndarray)
                assert np.array_equal(embedding, alone[index])
            assert max(model.sizes) <= batch_s // 1.25


@dataclass
class _WithBatches:
    """A real model with another batch length."""

    model: Encoder
    batch_s: float
    sizes: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def embed(self, clips: Clip) -> Embedding:
        self.sizes.append(len(clips))
        return self.model.embed(clips)


def test_a_full_batch_goes_first_then_the_longest_wait() -> None:
    """The device takes whole batches while there are some, else what waits longest, at once.

    Guards against a device that runs single tails while a full batch waits, or that waits itself.
    """
    model = SlowModel(batch_s=1.0)
    with opened(model) as batches, ThreadPoolExecutor(3) as threads:
        with busy(model, batches, threads):
            lone = threads.submit(embed_all, batches, [clip(2, 3_000)])
            _until(lambda: waiting(batches) == 1)
            pairs = threads.submit(embed_all, batches, [clip(n, 12_000) for n in (3, 4, 5)])
            _until(lambda: waiting(batches) == 4)
        for running in (lone, pairs):
            running.result(HANGS_AFTER_S)
    assert model.passes == [(0,), (3, 4), (2,), (5,)]


def test_nobody_starves() -> None:
    """A lone tail is embedded although full batches never end.

    Guards against a recording that waits for its last clip until all others are done.
    """
    model = SlowModel(batch_s=1.0)
    tail_is_done = threading.Event()

    def endless() -> Iterator[Clip]:
        for _ in range(100_000):
            if tail_is_done.is_set():
                return
            yield clip(1, 12_000)
        raise AssertionError("the tail starved")

    with opened(model) as batches, ThreadPoolExecutor(3) as threads:
        others = [threads.submit(embed_all, batches, endless()) for _ in range(2)]
        threads.submit(embed_all, batches, [clip(2, 3_000)]).result(HANGS_AFTER_S)
        tail_is_done.set()
        for running in others:
            running.result(HANGS_AFTER_S)


def test_audio_in_flight_is_bounded() -> None:
    """However long a recording is and however slow its writer, few clips are read ahead of it.

    Guards against memory that grows with the recording: an hour is 350 MB of samples.
    """
    model = SlowModel(batch_s=1.0)
    read = written = most = 0

    def clips() -> Iterator[Clip]:
        nonlocal read, most
        for number in range(400):
            read += 1
            most = max(most, read - written)
            yield clip(number, 12_000)

    with opened(model) as batches, closing(batches.embed_in_order(clips())) as groups:
        for group in groups:
            written += len(group)
    assert written == 400
    assert most <= BATCHES_IN_FLIGHT * 2 + 1  # and the one that waits for room


def test_a_clip_longer_than_all_room_is_embedded() -> None:
    """A clip that is larger than what may be in flight is let in alone; guards a deadlock."""
    model = SlowModel(batch_s=0.1)
    with opened(model) as batches, ThreadPoolExecutor(2) as threads:
        clips = [clip(number, 90_000) for number in range(4)]
        running = [threads.submit(embed_all, batches, clips) for _ in range(2)]
        assert [len(future.result(HANGS_AFTER_S)) for future in running] == [4, 4]


def test_a_batch_that_does_not_fit_is_halved_for_good(caplog: pytest.LogCaptureFixture) -> None:
    """Out of memory costs one pass: the batch is run in parts, and later ones are smaller.

    Guards against a run that ends because somebody else took a part of the card, and against one
    that tries the same size again and again.
    """
    model = SlowModel(batch_s=8.0, fits_samples=3 * 24_000)
    with opened(model) as batches, ThreadPoolExecutor(2) as threads:
        with busy(model, batches, threads):
            clips = [clip(number, 24_000) for number in range(40)]
            running = threads.submit(embed_all, batches, clips)
            _until(lambda: waiting(batches) >= 8)
        found = running.result(HANGS_AFTER_S)
    assert [float(one[0, 0]) for one in found if isinstance(one, np.ndarray)] == list(range(40))
    assert max(map(len, model.passes)) == 2
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "8 clips of 1.0 s do not fit into the memory of cuda:7" in said[0]
    assert "2 at most" in said[1]


def test_one_clip_that_does_not_fit_is_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Where not even one clip fits, the batch of recordings stops with what to change.

    Guards against a failure that counts as the recording's, a thousand times.
    """
    with opened(SlowModel(fits_samples=10)) as batches:
        (error,) = embed_all(batches, [clip(1, 24_000)])
    assert isinstance(error, SetupError)
    assert (error.reason, error.stops_batch) == ("out_of_device_memory", True)
    assert "cuda:7" in error.detail
    assert "MUQ_DEVICE" in error.detail


def test_a_clip_fails_nobody_but_itself() -> None:
    """An error that one clip of a batch meets reaches that clip; the others are embedded.

    Guards against recordings that fail because of whom they shared a pass with.
    """
    model = SlowModel(batch_s=8.0)
    with opened(model) as batches, ThreadPoolExecutor(2) as threads:
        with busy(model, batches, threads):
            clips = [clip(BAD if number == 5 else number, 24_000) for number in range(8)]
            running = threads.submit(embed_all, batches, clips)
            _until(lambda: waiting(batches) == 8)
        found = running.result(HANGS_AFTER_S)
    failed = [index for index, one in enumerate(found) if isinstance(one, Exception)]
    assert failed == [5]
    assert "a bug that one clip meets" in str(found[5])


@pytest.mark.parametrize("samples", [0, 1, 1_024])
def test_a_clip_too_short_for_muq_says_so(samples: int) -> None:
    """A clip of no or too few samples fails as the item's, its neighbours do not."""
    clips = [np.zeros(n, np.float32) for n in (24_000, samples, 24_000)]
    with opened(tiny_encoder()) as batches:
        first, error, last = embed_all(batches, clips)
    assert isinstance(error, ItemError)
    assert error.reason == "clip_too_short"
    assert isinstance(first, np.ndarray)
    assert isinstance(last, np.ndarray)


def test_a_model_that_gives_too_few_is_a_bug_not_a_hang() -> None:
    """Fewer embeddings than clips are an error for each of them; guards a shift by one."""

    class Forgetful(SlowModel):
        def embed(self, clips: Clip) -> Embedding:
            return super().embed(clips)[1:]

    with opened(Forgetful()) as batches:
        found = embed_all(batches, [clip(number, 12_000) for number in range(3)])
    assert all(isinstance(one, RuntimeError) for one in found)


def test_an_embedding_does_not_keep_its_batch() -> None:
    """Each embedding of a batch owns its memory.

    Guards against one clip that is written late and keeps sixty others in memory.
    """
    model = SlowModel(batch_s=8.0)
    with opened(model) as batches, ThreadPoolExecutor(2) as threads:
        with busy(model, batches, threads):
            running = threads.submit(embed_all, batches, [clip(n, 24_000) for n in range(8)])
            _until(lambda: waiting(batches) == 8)
        found = running.result(HANGS_AFTER_S)
        assert model.passes[-1] == tuple(range(8))
        for one in found:
            assert isinstance(one, np.ndarray)
            assert one.base is None or one.base.nbytes == one.nbytes


def test_the_model_is_loaded_once_and_only_for_a_clip() -> None:
    """Several threads share one model, and a run without clips has none.

    Guards against two models on one card, and nine seconds for nothing.
    """
    loads = []

    def load() -> Encoder:
        loads.append(threading.current_thread().name)
        return SlowModel()

    with ClipBatches(load, LOG) as batches, ThreadPoolExecutor(4) as threads:
        assert batches.loaded_encoder is None
        assert loads == []
        running = [threads.submit(embed_all, batches, [clip(1, 10)]) for _ in range(8)]
        for future in running:
            future.result(HANGS_AFTER_S)
        assert batches.loaded_encoder is batches.encoder
    assert len(loads) == 1


def test_a_model_that_cannot_be_loaded_is_told_to_all() -> None:
    """Every waiting thread gets the reason, after one try; guards a run that hangs."""
    tries = []

    def load() -> Encoder:
        tries.append(1)
        raise SetupError("checkpoint_unusable", "no such layer")

    with ClipBatches(load, LOG) as batches, ThreadPoolExecutor(4) as threads:
        running = [threads.submit(embed_all, batches, [clip(1, 10)]) for _ in range(4)]
        for future in running:
            with pytest.raises(SetupError, match="no such layer"):
                future.result(HANGS_AFTER_S)
        assert batches.loaded_encoder is None
    assert len(tries) == 1


def test_closing_wakes_everybody() -> None:
    """Threads that wait for a clip or for room end with `interrupted`, and so do later ones.

    Guards against a run that cannot be ended: Dagster would kill it, and a person would wait.
    """
    model = SlowModel(batch_s=1.0)
    model.may_go.clear()
    threads = ThreadPoolExecutor(5)
    batches = opened(model)
    clips = [clip(number, 12_000) for number in range(50)]
    running = [threads.submit(embed_all, batches, clips) for _ in range(5)]
    _until(lambda: len(batches._room.queue) > 0 and batches._passes == 1)
    closing_ = threading.Thread(target=batches.close)
    closing_.start()
    _until(lambda: batches._room.is_closed)
    model.may_go.set()
    closing_.join(HANGS_AFTER_S)
    assert not closing_.is_alive()
    for future in running:
        assert _reason(future) == "interrupted"
    threads.shutdown()
    with pytest.raises(SetupError, match="interrupted"):
        embed_all(batches, clips)
    assert len(model.passes) <= 1


def test_giving_up_frees_what_was_taken() -> None:
    """A recording that stops in the middle leaves its room to others, and its clips are dropped.

    Guards against a disk error in one recording that slowly stops all others.
    """
    model = SlowModel(batch_s=1.0)
    with opened(model) as batches:
        for _ in range(20):
            with closing(batches.embed_in_order(clip(n, 12_000) for n in range(50))) as groups:
                next(groups)
        assert len(embed_all(batches, [clip(n, 12_000) for n in range(10)])) == 10
        assert batches._room.taken == 0
        assert not batches._waiting


def test_an_error_while_reading_ends_only_that_recording() -> None:
    """What the reader raises reaches its own thread, and its room is free again."""

    def broken() -> Iterator[Clip]:
        yield clip(1, 12_000)
        raise SetupError("audio_unreadable", "damaged")

    with opened(SlowModel()) as batches:
        with pytest.raises(SetupError, match="damaged"):
            embed_all(batches, broken())
        assert len(embed_all(batches, [clip(2, 12_000)])) == 1
        assert batches._room.taken == 0


def _reason(future: Future[list[Embedding | Exception]]) -> str:
    """How a recording ended that was interrupted: while it asked, or with its clips."""
    try:
        outcomes: Sequence[Embedding | Exception] = future.result(HANGS_AFTER_S)
    except RecordingError as error:
        return error.reason
    reasons = {one.reason for one in outcomes if isinstance(one, RecordingError)}
    return ", ".join(sorted(reasons))


def _until(condition: Callable[[], bool]) -> None:
    """Wait for another thread to come to a point."""
    patience = threading.Event()
    for _ in range(round(HANGS_AFTER_S / 0.002)):
        if condition():
            return
        patience.wait(0.002)
    raise AssertionError("it never came to that")
