"""Aligning the recordings that pair: chroma once a recording, a time map once a pair.

What belongs here: what is to do and what of earlier runs still holds, and the worker processes.
What does not: the alignment itself (`alignment`), which recordings pair (`recording_pairs`), what
is stored and judged of it (`aligned_pairs`), and what the UI shows (`alignment_assets`).
"""

from __future__ import annotations

import difflib
import io
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from data_collection.maestro.aligned_pairs import (
    CONFIDENT,
    AlignedPair,
    AlignmentBook,
    read_book,
)
from data_collection.maestro.alignment import (
    CHROMA_RATE_HZ,
    FFT_FRAMES,
    Chroma,
    TimeMap,
    align,
    read_chroma,
)
from data_collection.maestro.recording_pairs import PairRules, RecordingPair, recording_pairs
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.stored import FOLDER
from data_collection.recordings.errors import ItemError, RecordingError, SetupError
from data_collection.recordings.receipts import (
    Receipt,
    Settled,
    StageResult,
    read_receipt,
    settle,
)
from data_collection.recordings.store import Store, StoredFile

AUDIO = f"{FOLDER}/audio"
CHROMA = f"{FOLDER}/alignments/chroma"
CHROMA_CODE_VERSION = "1"
ALIGNMENT_CODE_VERSION = f"{CHROMA_CODE_VERSION}.1"
"""Raise the last number with whatever changes a time map; chroma's, with whatever changes that."""

SAVE_EVERY_S = 60.0
REPORT_EVERY_S = 30.0
ANY_CERTAINTY = PairRules(min_work_confidence=0, min_performer_confidence=0, across_splits=True)
"""What was aligned stays as long as two recordings share a work, whatever the rules of the day."""

_Key = tuple[str, str]
_Task = TypeVar("_Task")
_Outcome = TypeVar("_Outcome")


@dataclass(frozen=True, slots=True)
class AlignmentFault:
    """Why something was not aligned.

    Attributes:
        recordings: ids: one whose audio cannot be read, or two that cannot be aligned.
        reason: a short class.
        detail: what happened and what to do.
    """

    recordings: tuple[str, ...]
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class AlignmentResult:
    """How far the alignments have come.

    Attributes:
        rows: all pairs in the table, sorted.
        table: the table, as stored.
        asked: pairs that were asked for.
        done: of those, how many are in the table.
        aligned: of those, how many this run aligned.
        left: of those, how many `max_pairs` left for the next run.
        left_audio_s: mean duration of each two of the left, summed, in seconds.
        waiting: of those asked for, how many wait for audio.
        without_audio: recordings of these whose audio is not done, sorted.
        no_longer_holding: pairs of earlier runs that were taken out: a recording is gone or was
            replaced, or its works are others now.
        faults: what could not be aligned; it is tried again by the next run.
        audio_s: like `left_audio_s`, of those that this run aligned.
        elapsed_s: that this run took, chroma included.
    """

    rows: tuple[AlignedPair, ...]
    table: StoredFile
    asked: int
    done: int
    aligned: int
    left: int
    left_audio_s: float
    waiting: int
    without_audio: tuple[str, ...]
    no_longer_holding: int
    faults: tuple[AlignmentFault, ...]
    audio_s: float
    elapsed_s: float

    @property
    def audio_hours_per_hour(self) -> float:
        """Hours of audio aligned an hour, by all workers together; 0 if none were."""
        return self.audio_s / self.elapsed_s if self.aligned else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds that the left ones will take at this pace; None where none was measured."""
        if not self.left:
            return 0.0
        pace = self.audio_hours_per_hour
        return self.left_audio_s / pace if pace > 0 else None


def align_recordings(
    store: Store,
    recordings: Sequence[MaestroRecording],
    rules: PairRules | None = None,
    *,
    works: Iterable[str] = (),
    max_pairs: int | None = None,
    workers: int = 1,
    log: Callable[[str], None] = lambda line: None,
) -> AlignmentResult:
    """Align each two recordings that pair and of which one holds all that the other does.

    What an earlier run aligned is kept as long as the audio of both is the same; a killed run loses
    a minute. Pairs of a part and a whole come first, as without alignment their places are
    estimated at best; those of a recording that could not be read before come last, or they would
    use up every run's `max_pairs`.

    Args:
        store: the data root.
        recordings: the catalogue.
        rules: which recordings pair.
        works: only pairs that share one of these works, or a work of one of these families.
        max_pairs: at most so many are aligned now, the others by later runs.
        workers: processes, each of at most 0.7 GB; with 1 it is done in this one.
        log: is told how far it has come.

    Returns:
        What `alignments.parquet` and `aligned_pairs.jsonl` now hold, and what is missing.

    Raises:
        SetupError: `work_unknown`; `worker_died`; the disk is full.
    """
    began = time.monotonic()
    asked = alignable_pairs(recordings, rules, works)
    lasting = {_key(p): p for p in recording_pairs(recordings, ANY_CERTAINTY)}
    audio = _audio_done(store, {one for key in lasting for one in key})
    before = _book_before(store, log)
    book = _still_holding(before, lasting, audio)
    waiting = [p for p in asked if p.first not in audio or p.second not in audio]
    missing = _to_be_aligned(store, (_key(p) for p in asked), lasting, audio, book)
    to_do = missing[:max_pairs]
    left = missing[len(to_do) :]
    held = len(book.rows)
    log(f"{len(asked)} pairs of recordings, {len(to_do)} to align now, {len(left)} later")
    try:
        with _worker_processes(workers if to_do else 1) as processes:
            faults = _align_all(store, to_do, audio, book, processes, log)
    finally:
        table = book.save(store)
    new = [*book.rows.values()][held:]
    return AlignmentResult(
        rows=book.sorted_rows(),
        table=table,
        asked=len(asked),
        done=sum(_key(p) in book.rows for p in asked),
        aligned=len(new),
        left=len(left),
        left_audio_s=sum(_pair_audio_s(p, audio) for p in left),
        waiting=len(waiting),
        without_audio=tuple(sorted({one for p in waiting for one in _key(p)} - {*audio})),
        no_longer_holding=len(before.rows) - held,
        faults=tuple(faults),
        audio_s=sum(row.audio_s for row in new),
        elapsed_s=time.monotonic() - began,
    )


def alignable_pairs(
    recordings: Sequence[MaestroRecording],
    rules: PairRules | None = None,
    works: Iterable[str] = (),
) -> tuple[RecordingPair, ...]:
    """Say which pairs of recordings to align, those of a part and a whole first.

    Args:
        recordings: the catalogue.
        rules: which recordings pair.
        works: only pairs that share one of these works, or a work of one of these families.

    Raises:
        SetupError: `work_unknown`: no recording holds it.
    """
    families = {work.work_id: work.family_id for r in recordings for work in r.works}
    wanted = set(works)
    _refuse_unknown(wanted, {*families, *families.values()})

    def is_wanted(pair: RecordingPair) -> bool:
        named = {name for work in pair.shared_works for name in (work, families[work])}
        return pair.alignable and (not wanted or not wanted.isdisjoint(named))

    found = filter(is_wanted, recording_pairs(recordings, rules))
    return tuple(sorted(found, key=lambda pair: (not pair.part, *_key(pair))))


def settle_chroma(store: Store, audio: Receipt) -> Settled:
    """Compute and store the chroma of a recording whose audio is done, unless it is there."""

    def work() -> StageResult:
        with store.local(audio.outputs[0].path) as flac:
            chroma = read_chroma(flac)
        if chroma.shape[1] < CHROMA_RATE_HZ:
            raise ItemError("too_short_to_align", "its audio is shorter than a second")
        buffer = io.BytesIO()
        np.save(buffer, chroma, allow_pickle=False)
        stored = store.write_bytes(_chroma_path(audio.recording_id), buffer.getvalue())
        return StageResult(outputs=(stored,), facts={"frames": chroma.shape[1]})

    return settle(
        store,
        CHROMA,
        audio.recording_id,
        inputs=lambda: {"audio_sha256": audio.outputs[0].sha256},
        parameters=lambda: {
            "code_version": CHROMA_CODE_VERSION,
            "frames_per_second": CHROMA_RATE_HZ,
            "fft_frames": FFT_FRAMES,
        },
        work=work,
    )


class _Processes:
    """Does the same to many things, in other processes or in this one."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        self._pool = pool

    def outcomes(
        self, work: Callable[[_Task], _Outcome], tasks: Sequence[_Task]
    ) -> Iterator[_Outcome]:
        """As they end."""
        if self._pool is None:
            yield from map(work, tasks)
            return
        try:
            for future in as_completed([self._pool.submit(work, task) for task in tasks]):
                yield future.result()
        except BrokenProcessPool as error:
            raise SetupError(
                "worker_died",
                "a worker process was killed, likely for its memory; align with fewer workers: "
                "what is done is kept",
            ) from error


@dataclass(frozen=True, slots=True)
class _Aligned:
    pair: RecordingPair
    time_map: TimeMap


def _key(pair: RecordingPair) -> _Key:
    return pair.first, pair.second


def _to_be_aligned(
    store: Store,
    asked: Iterable[_Key],
    lasting: Mapping[_Key, RecordingPair],
    audio: Mapping[str, Receipt],
    book: AlignmentBook,
) -> list[RecordingPair]:
    """Pairs that are asked for, have audio, and are not in the book."""
    missing = [lasting[k] for k in asked if k not in book.rows and k[0] in audio and k[1] in audio]
    receipts = {one: read_receipt(store, CHROMA, one) for pair in missing for one in _key(pair)}
    failed = {one for one, found in receipts.items() if found and found.state != "done"}
    return sorted(missing, key=lambda pair: not failed.isdisjoint(_key(pair)))


def _refuse_unknown(wanted: Iterable[str], known: set[str]) -> None:
    for name in sorted(set(wanted) - known):
        near = difflib.get_close_matches(name, sorted(known), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise SetupError(
            "work_unknown", f"no recording holds {name!r}, as a work or a family of works{hint}"
        )


def _audio_done(store: Store, recording_ids: Iterable[str]) -> dict[str, Receipt]:
    receipts = {one: read_receipt(store, AUDIO, one) for one in sorted(recording_ids)}
    return {one: found for one, found in receipts.items() if found and found.state == "done"}


def _book_before(store: Store, log: Callable[[str], None]) -> AlignmentBook:
    try:
        return read_book(store)
    except SetupError as error:
        log(f"all pairs are aligned anew, as what was made before cannot be read: {error}")
        return AlignmentBook()


def _still_holding(
    before: AlignmentBook,
    lasting: Mapping[_Key, RecordingPair],
    audio: Mapping[str, Receipt],
) -> AlignmentBook:
    """What would be aligned again as it was, with the works that the catalogue says now."""
    held = [
        row.model_copy(update={"works": lasting[key].shared_works})
        for key, row in before.rows.items()
        if key in lasting and _holds(row, lasting[key], audio)
    ]
    return AlignmentBook(held, before.maps)


def _holds(row: AlignedPair, pair: RecordingPair, audio: Mapping[str, Receipt]) -> bool:
    """Whether a pair would be aligned as it was."""
    now = tuple(audio[one].outputs[0].sha256 if one in audio else None for one in row.key)
    return (
        pair.alignable
        and row.part == pair.part
        and row.code_version == ALIGNMENT_CODE_VERSION
        and (row.first_audio_sha256, row.second_audio_sha256) == now
    )


def _align_all(
    store: Store,
    pairs: Sequence[RecordingPair],
    audio: Mapping[str, Receipt],
    book: AlignmentBook,
    processes: _Processes,
    log: Callable[[str], None],
) -> list[AlignmentFault]:
    """Bring pairs into the book; returns what could not be."""
    needed = [audio[one] for one in sorted({one for p in pairs for one in _key(p)})]
    unreadable: dict[str, AlignmentFault] = {}
    reports = _Reports(log, len(needed), "recordings have their chroma")
    for settled in processes.outcomes(partial(settle_chroma, store), needed):
        if fault := _chroma_fault(settled):
            unreadable[settled.receipt.recording_id] = fault
        reports.one_more()
    able = [p for p in pairs if p.first not in unreadable and p.second not in unreadable]
    unable: list[AlignmentFault] = []
    reports = _Reports(log, len(able), "pairs are aligned")
    saved_at = time.monotonic()
    for made in processes.outcomes(partial(_align_pair, store), able):
        if isinstance(made, AlignmentFault):
            unable.append(made)
        else:
            book.add(_row(made, audio), made.time_map)
        if time.monotonic() - saved_at >= SAVE_EVERY_S:
            book.save(store)
            saved_at = time.monotonic()
        reports.one_more()
    return [*(unreadable[one] for one in sorted(unreadable)), *unable]


class _Reports:
    """Counts, and says now and then how far it has come."""

    def __init__(self, log: Callable[[str], None], total: int, what: str) -> None:
        self._log = log
        self._total = total
        self._what = what
        self._count = 0
        self._began_at = self._said_at = time.monotonic()

    def one_more(self) -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._said_at >= REPORT_EVERY_S:
            self._said_at = now
            left_min = (now - self._began_at) / self._count * (self._total - self._count) / 60
            done = f"{self._count} of {self._total} {self._what}"
            self._log(f"{done}, about {left_min:.0f} min left")


def _chroma_fault(settled: Settled) -> AlignmentFault | None:
    """Why there is no chroma, if there is none.

    Raises:
        SetupError: the next recording would meet the same.
    """
    receipt = settled.receipt
    if receipt.state == "done":
        return None
    reason, detail = receipt.reason or receipt.state, receipt.detail or ""
    if settled.stops_batch:
        raise SetupError(reason, detail)
    return AlignmentFault((receipt.recording_id,), reason, detail)


def _align_pair(store: Store, pair: RecordingPair) -> _Aligned | AlignmentFault:
    try:
        first, second = (_stored_chroma(store, one) for one in _key(pair))
        return _Aligned(pair, align(first, second, part=pair.part))
    except RecordingError as error:
        return AlignmentFault(_key(pair), error.reason, error.detail)
    except Exception as error:  # noqa: BLE001 - out of memory or a bug: the others go on
        return AlignmentFault(_key(pair), "internal_error", f"{type(error).__name__}: {error}")


def _chroma_path(recording_id: str) -> str:
    return f"{CHROMA}/{recording_id}.npy"


def _stored_chroma(store: Store, recording_id: str) -> Chroma:
    path = store.path(_chroma_path(recording_id))
    try:
        chroma: Chroma = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        if chroma.ndim != 2 or chroma.shape[0] != 12 or chroma.dtype != np.float32:
            raise ValueError(f"{chroma.dtype} of shape {chroma.shape}")
    except (OSError, ValueError, EOFError) as error:
        raise SetupError(
            "chroma_unreadable",
            f"{path}: {error}; delete it and materialize {FOLDER}/alignments again",
            stops_batch=False,
        ) from error
    return chroma


def _row(made: _Aligned, audio: Mapping[str, Receipt]) -> AlignedPair:
    pair, confidence = made.pair, made.time_map.confidence
    first, second = audio[pair.first], audio[pair.second]
    return AlignedPair(
        first=pair.first,
        second=pair.second,
        works=pair.shared_works,
        part=pair.part,
        median_confidence=float(np.median(confidence)),
        confident_share=float((confidence > CONFIDENT).mean()),
        knots=confidence.size,
        first_duration_s=_duration_s(first),
        second_duration_s=_duration_s(second),
        first_audio_sha256=first.outputs[0].sha256,
        second_audio_sha256=second.outputs[0].sha256,
        code_version=ALIGNMENT_CODE_VERSION,
    )


def _pair_audio_s(pair: RecordingPair, audio: Mapping[str, Receipt]) -> float:
    return (_duration_s(audio[pair.first]) + _duration_s(audio[pair.second])) / 2


def _duration_s(audio: Receipt) -> float:
    return float(audio.facts["duration_s"] or 0.0)


@contextmanager
def _worker_processes(count: int) -> Iterator[_Processes]:
    """Processes of their own; spawned, since a fork of Dagster's threads can hang."""
    if count == 1:
        yield _Processes(None)
        return
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=spawned, initializer=_end_with_parent)
    try:
        yield _Processes(pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End a worker whose run was killed; it would wait for its next task for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
