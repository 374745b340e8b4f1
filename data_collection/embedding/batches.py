"""Clips of many recordings, batched by length for the one model of a process.

What belongs here: which clips share a forward pass, how much audio may be in memory, and what a
pass that fails does to whom. What does not: the model (`encoder`), reading and writing (`stage`).

Clips of equal length share a pass, and only they: padding changes the numbers (by 0.34 of them with
the package's mask), so a tail runs among its equals, mostly alone. A pass takes what is there when
the device is free: a full batch where there is one, and it never waits for one to fill.

Not torch's DataLoader: its batches are fixed before a clip is read, so they can neither follow the
lengths that come nor shrink when memory runs out; each of its worker processes imports torch and
cannot share the local copy of a remote recording; and a clip that cannot be read ends its batch.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import takewhile
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from data_collection.embedding.encoder import Encoder, is_out_of_memory
from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.errors import SetupError

Clip = npt.NDArray[np.float32]
Embedding = npt.NDArray[np.float32]

BATCHES_IN_FLIGHT = 3
"""One that is computed, one that waits, one that is read or written."""
PATIENCE_PASSES = 4
"""Full batches go first; a clip that so many passes have left behind goes before them."""


class ClipBatches:
    """Embeds the clips of several recordings at once; each thread gets its own back, in order.

    A context manager: leaving it wakes every thread that still waits for a clip, with an error.
    """

    def __init__(self, load: Callable[[], Encoder], log: logging.Logger) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            load: gives the model; called once, when a clip really has to be embedded.
            log: where it is said that a batch did not fit.
        """
        self._load = load
        self._log = log
        self._model_thread = ThreadPoolExecutor(1, "model")
        self._lock = threading.Lock()
        self._loading: Future[Encoder] | None = None
        self._waiting: dict[int, deque[_WaitingClip]] = {}
        self._passes = 0
        self._batch_samples = 0
        self._room = _Room()
        self._closed = False

    @property
    def encoder(self) -> Encoder:
        """The model, loaded on the first call.

        Raises:
            SetupError: it cannot be loaded, said to everybody who asks; or this is closed.
        """
        with self._lock:
            if self._closed:
                raise _interrupted()
            if self._loading is None:
                self._loading = self._model_thread.submit(self._loaded)
        try:
            return self._loading.result()
        except CancelledError:
            raise _interrupted() from None

    @property
    def loaded_encoder(self) -> Encoder | None:
        """The model where it has been loaded, else None."""
        found = self._loading
        is_there = found and found.done() and not found.cancelled() and not found.exception()
        return found.result() if found and is_there else None

    def embed_in_order(
        self, clips: Iterable[Clip]
    ) -> Generator[list[Future[Embedding]], None, None]:
        """Embed a recording's clips, reading ahead and handing over what is done.

        Close the generator where it is not used to its end, so that its clips are given up.

        Args:
            clips: mono samples at 24 kHz, float32, `[samples]`. One is asked for as long as the
                audio in flight, of all recordings, leaves room.

        Yields:
            The next embeddings in the clips' order, as many as are ready: futures that are done,
            of `[frames, width]`, float32, NaN not excluded. Their audio counts as in flight until
            the next are asked for. The error of a future is its clip's own: `clip_too_short`,
            `out_of_device_memory`, `interrupted`, or a bug.

        Raises:
            SetupError: the model cannot be loaded; or `interrupted`: this is closed.
        """
        _ = self.encoder
        under_way: deque[tuple[Future[Embedding], int]] = deque()

        def ready() -> Iterator[list[Future[Embedding]]]:
            wait([under_way[0][0]])
            ended = list(takewhile(lambda item: item[0].done(), under_way))
            yield [future for future, _ in ended]
            for _, samples in ended:
                under_way.popleft()
                self._room.give_back(samples)

        try:
            for clip in clips:
                while not self._room.take(clip.size, may_wait=not under_way):
                    yield from ready()
                future: Future[Embedding] = Future()
                under_way.append((future, clip.size))
                self._submit(_WaitingClip(clip, future, self._passes))
                if under_way[0][0].done():
                    yield from ready()
            while under_way:
                yield from ready()
        finally:
            for future, samples in under_way:
                future.cancel()
                self._room.give_back(samples)

    def close(self) -> None:
        """Give up what waits; returns when the pass under way has ended."""
        with self._lock:
            self._closed = True
            given_up = [clip for queue in self._waiting.values() for clip in queue]
            self._waiting.clear()
        _fail(_running(given_up), _interrupted())
        self._room.close()
        self._model_thread.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _loaded(self) -> Encoder:
        encoder = self._load()
        self._batch_samples = round(encoder.batch_s * SAMPLE_RATE_HZ)
        self._room.open(BATCHES_IN_FLIGHT * self._batch_samples)
        return encoder

    def _submit(self, clip: _WaitingClip) -> None:
        with self._lock:
            if self._closed:
                raise _interrupted()
            self._waiting.setdefault(clip.samples.size, deque()).append(clip)
            self._model_thread.submit(self._next_pass)

    def _next_pass(self) -> None:
        """Run one batch; there is a call a clip, so those after a larger batch find none."""
        with self._lock:
            batch = self._next_batch()
            self._passes += bool(batch)
        running = _running(batch)
        try:
            self._embed(running)
        finally:  # whatever happens here, nobody waits for ever
            _fail([clip for clip in running if not clip.future.done()], _interrupted())

    def _next_batch(self) -> list[_WaitingClip]:
        queues = [queue for queue in self._waiting.values() if queue]
        if not queues:
            return []
        queue = min(queues, key=lambda queue: queue[0].passes_before)
        full = [queue for queue in queues if len(queue) >= self._batch_size(queue[0])]
        if full and self._passes - queue[0].passes_before < PATIENCE_PASSES:
            queue = min(full, key=lambda queue: queue[0].passes_before)
        batch = [queue.popleft() for _ in range(min(len(queue), self._batch_size(queue[0])))]
        if not queue:
            del self._waiting[batch[0].samples.size]
        return batch

    def _batch_size(self, clip: _WaitingClip) -> int:
        return max(1, self._batch_samples // max(1, clip.samples.size))

    def _embed(self, batch: Sequence[_WaitingClip]) -> None:
        """Embed clips of one length; those that fail together are tried apart.

        So a clip can fail nobody but itself, and a batch that does not fit is run in parts.
        """
        if not batch or self._closed:
            return
        size = self._batch_size(batch[0])
        if len(batch) > size:  # it has shrunk since the batch was taken
            self._embed(batch[:size])
            self._embed(batch[size:])
            return
        try:
            embeddings = self._pass(batch)
        except Exception as error:  # noqa: BLE001 - it is for those who wait for these clips
            failure = self._failure(batch, error)
        else:
            for clip, embedding in zip(batch, embeddings, strict=True):
                # A copy, so that a clip that is written late does not keep its batch in memory.
                clip.future.set_result(embedding.copy() if len(batch) > 1 else embedding)
            return
        if len(batch) == 1:
            _fail(batch, failure)
            return
        del failure  # and with it what the pass that failed still holds of the device's memory
        self._embed(batch[: len(batch) // 2])
        self._embed(batch[len(batch) // 2 :])

    def _pass(self, batch: Sequence[_WaitingClip]) -> npt.NDArray[np.float32]:
        clips = [clip.samples for clip in batch]
        embeddings = self.encoder.embed(np.stack(clips) if len(clips) > 1 else clips[0][np.newaxis])
        if len(embeddings) != len(batch):
            raise RuntimeError(f"the model gave {embeddings.shape} for {len(batch)} clips")
        return embeddings

    def _failure(self, batch: Sequence[_WaitingClip], error: Exception) -> Exception:
        """What a failed pass means for its clips."""
        if not is_out_of_memory(error):
            return error
        clip_s = batch[0].samples.size / SAMPLE_RATE_HZ
        device = self.encoder.versions.get("device", "the device")
        self._batch_samples = min(self._batch_samples, len(batch) * batch[0].samples.size // 2)
        if len(batch) > 1:
            self._log.warning(
                f"{len(batch)} clips of {clip_s:.1f} s do not fit into the memory of {device}; "
                f"from now on {self._batch_size(batch[0])} at most"
            )
        return SetupError(
            "out_of_device_memory",
            f"not even one clip of {clip_s:.1f} s fits into the memory of {device} ({error}); end "
            "what else runs there, set MUQ_DEVICE to another device, or cut shorter clips",
        )


@dataclass(frozen=True, slots=True)
class _WaitingClip:
    """A clip before its pass; `passes_before` is how many had begun when it came."""

    samples: Clip
    future: Future[Embedding]
    passes_before: int


@dataclass(slots=True)
class _Room:
    """Samples that may be in flight, taken first come, first served.

    A clip that is larger than all of the room is let in alone.
    """

    samples: int = 0
    taken: int = 0
    is_closed: bool = False
    queue: deque[object] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def open(self, samples: int) -> None:
        """Say how much room there is."""
        with self.changed:
            self.samples = samples
            self.changed.notify_all()

    def take(self, samples: int, *, may_wait: bool) -> bool:
        """Take room for a clip; false where there is none and the caller may not wait.

        Whoever has clips in flight may not: room comes from finishing those.

        Raises:
            SetupError: `interrupted`.
        """
        with self.changed:
            if not may_wait and (self.queue or not self._fits(samples)):
                return False
            me = object()
            self.queue.append(me)
            self.changed.wait_for(
                lambda: self.is_closed or (self.queue[0] is me and self._fits(samples))
            )
            self.queue.remove(me)
            self.changed.notify_all()
            if self.is_closed:
                raise _interrupted()
            self.taken += samples
            return True

    def give_back(self, samples: int) -> None:
        """Free what was taken."""
        with self.changed:
            self.taken -= samples
            self.changed.notify_all()

    def close(self) -> None:
        """Wake up who waits, with an error."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def _fits(self, samples: int) -> bool:
        return not self.taken or self.taken + samples <= self.samples


def _running(batch: Iterable[_WaitingClip]) -> list[_WaitingClip]:
    """Those that nobody has given up meanwhile."""
    return [clip for clip in batch if clip.future.set_running_or_notify_cancel()]


def _fail(batch: Iterable[_WaitingClip], error: Exception) -> None:
    for clip in batch:
        clip.future.set_exception(error)


def _interrupted() -> SetupError:
    return SetupError(
        "interrupted", "the run was ended; materialize the same again, and it goes on from there"
    )
