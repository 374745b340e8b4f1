"""Receipts: what happened to one recording at one stage. They are the truth of the collection.

What belongs here: the receipt, its fingerprint, and `settle`, which skips what is done, runs what
is not, and turns an error into a state; `settle_by_parts` for a stage that makes many files of one
recording and goes on where a killed run stopped. What does not: what a stage does (`fetch`,
`segments`, ...) and how Dagster is told (`batching`). A receipt lies beside its artifact as
`<id>.receipt.json`.
"""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data_collection.recordings.errors import ItemError, NotAskedError, RecordingError, SetupError
from data_collection.recordings.store import Store, StoredFile, sha256_of_file

State = Literal["done", "filtered", "failed", "blocked"]
Fact = str | int | float | bool | None
FINISHED: frozenset[State] = frozenset({"done", "filtered"})


class Receipt(BaseModel):
    """What happened to one recording at one stage.

    `filtered` is finished; `failed` may be tried again; `blocked` was our or the world's fault and
    cost the item no attempt.

    Attributes:
        outputs: files that were made with these inputs and parameters: all of them where it is
            finished, those so far where it is not.
        leftovers: paths that may hold something else: files of other inputs or parameters, or of a
            try that was cut short while it wrote. The next success removes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    recording_id: str
    state: State
    reason: str | None = None
    detail: str | None = None
    attempts: int = 0
    fingerprint: str
    inputs: dict[str, str]
    parameters: dict[str, Fact]
    versions: dict[str, str] = {}
    outputs: tuple[StoredFile, ...] = ()
    leftovers: tuple[str, ...] = ()
    facts: dict[str, Fact] = {}
    started_at: datetime
    finished_at: datetime

    @property
    def seconds(self) -> float:
        """How long the stage took for this recording, in seconds."""
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path below the data root that may hold a file of this recording and stage."""
        return tuple(dict.fromkeys([*(output.path for output in self.outputs), *self.leftovers]))


@dataclass(frozen=True)
class StageResult:
    """What a stage made of a recording: `done`, or `filtered` where a reason is given."""

    outputs: tuple[StoredFile, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    filtered_because: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Settled:
    """A receipt and whether it was there already.

    Attributes:
        receipt: the receipt, as it now lies on disk.
        skipped: the stage was finished before with the same fingerprint; nothing was done.
        stops_batch: the fault is one that the next recording would meet as well.
    """

    receipt: Receipt
    skipped: bool = False
    stops_batch: bool = False


def fingerprint(inputs: Mapping[str, str], parameters: Mapping[str, Fact]) -> str:
    """Hash what a stage's output depends on; equal on every machine and in every process."""
    canonical = json.dumps(
        {"inputs": dict(inputs), "parameters": dict(parameters)},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def receipt_path(folder: str, recording_id: str) -> str:
    """Relative path of a recording's receipt in a stage's folder."""
    return f"{folder}/{recording_id}.receipt.json"


def read_receipt(store: Store, folder: str, recording_id: str) -> Receipt | None:
    """Read a receipt; None where there is none or where it cannot be read, so that it is redone."""
    path = store.path(receipt_path(folder, recording_id))
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def finished_receipt(store: Store, folder: str, recording_id: str) -> Receipt:
    """The receipt of the stage before, which must be finished.

    Raises:
        SetupError: it is not; the message says what it waits for. Costs no attempt.
    """
    receipt = read_receipt(store, folder, recording_id)
    if receipt is None or receipt.state not in FINISHED:
        state = "not there" if receipt is None else f"{receipt.state} ({receipt.reason})"
        raise SetupError(
            "upstream_not_done",
            f"{folder} of {recording_id} is {state}; materialize that first",
            stops_batch=False,
        )
    return receipt


class Parts:
    """The files of one recording at one stage, made one by one and kept if the run is killed.

    The receipt names every path before a file is written there, and every file, with its hash, as
    soon as it has been: a later try of the same fingerprint goes on from those, and none is ever
    unknown to a later success or a purge.
    """

    def __init__(self, store: Store, unfinished: Receipt, save: Callable[[Receipt], None]) -> None:
        self._store = store
        self._save = save
        self.receipt = unfinished

    def begin(self, paths: Sequence[str]) -> dict[str, StoredFile]:
        """Name all files that the stage is going to make of this recording.

        Returns:
            Those, by path, that are there already: made by an earlier try with the same inputs and
            parameters, and still whole, which is read from their content.

        Raises:
            SetupError: no room is left for the receipt.
        """
        wanted = set(paths)
        kept = tuple(
            output
            for output in self.receipt.outputs
            if output.path in wanted and _is_whole(self._store, output)
        )
        self._write(kept, [*self.receipt.paths, *paths])
        return {output.path: output for output in kept}

    def save(self, made: Iterable[StoredFile]) -> None:
        """Note files that have just been published; one call for several costs one receipt.

        Raises:
            SetupError: no room is left for the receipt.
        """
        self._write((*self.receipt.outputs, *made), self.receipt.leftovers)

    def _write(self, outputs: tuple[StoredFile, ...], others: Sequence[str]) -> None:
        made = {output.path for output in outputs}
        leftovers = tuple(path for path in dict.fromkeys(others) if path not in made)
        receipt = self.receipt.model_copy(
            update={
                "outputs": outputs,
                "leftovers": leftovers,
                "finished_at": datetime.now(UTC),
            }
        )
        self._save(receipt)
        self.receipt = receipt


def settle(
    store: Store,
    folder: str,
    recording_id: str,
    *,
    inputs: Callable[[], Mapping[str, str]],
    parameters: Callable[[], Mapping[str, Fact]],
    work: Callable[[], StageResult],
) -> Settled:
    """Bring one recording through one stage, or find that it has been.

    Args:
        store: the data root.
        folder: the stage's folder, which is its asset key joined by `/`.
        recording_id: the recording.
        inputs: gives the hashes or ids of what goes in; may raise a `RecordingError`.
        parameters: gives what else the output depends on, the stage's code version included; may
            raise a `RecordingError`.
        work: does it; called only where no finished receipt has the same fingerprint.

    Returns:
        The receipt. Faults are in its state, never raised: the other recordings go on.
    """
    return settle_by_parts(
        store, folder, recording_id, inputs=inputs, parameters=parameters, work=lambda _: work()
    )


def settle_by_parts(
    store: Store,
    folder: str,
    recording_id: str,
    *,
    inputs: Callable[[], Mapping[str, str]],
    parameters: Callable[[], Mapping[str, Fact]],
    work: Callable[[Parts], StageResult],
) -> Settled:
    """Bring one recording through a stage that makes many files of it, as `settle` does.

    Args:
        store: the data root.
        folder: the stage's folder.
        recording_id: the recording.
        inputs: as for `settle`.
        parameters: as for `settle`.
        work: does it, and tells the `Parts` that it is given what it has made. Those stay if it
            fails or the run is killed, at no cost of attempts.
    """
    started_at = datetime.now(UTC)
    previous: Receipt | None = None
    known_inputs: dict[str, str] = {}
    known_parameters: dict[str, Fact] = {}

    def receipt(state: State, **more: object) -> Receipt:
        return Receipt.model_validate(
            {
                "stage": folder,
                "recording_id": recording_id,
                "state": state,
                "attempts": previous.attempts if previous else 0,
                "fingerprint": fingerprint(known_inputs, known_parameters),
                "inputs": known_inputs,
                "parameters": known_parameters,
                "started_at": started_at,
                "finished_at": datetime.now(UTC),
                **more,
            }
        )

    try:
        previous = read_receipt(store, folder, recording_id)
        known_parameters.update(parameters())
        known_inputs.update(inputs())
        wanted = fingerprint(known_inputs, known_parameters)
    except Exception as error:  # noqa: BLE001 - nothing was tried yet, so nothing is known of the item
        outcome = _blocked(previous or receipt("blocked"), started_at, error)
        # What an earlier run finished stays finished: a mistyped setting must not cost GPU hours.
        keeps = previous is not None and previous.state in FINISHED
        return outcome if keeps else _written(store, folder, outcome)
    if previous and _still_holds(store, previous, wanted):
        return Settled(previous, skipped=True)
    attempts = (previous.attempts if previous else 0) + 1
    unfinished = receipt(
        "blocked",
        reason="interrupted",
        detail="it was being made; materialize it again, and it goes on from there",
        **_files_before(previous, wanted),
    )
    if previous and previous.state in FINISHED:
        # Its files are about to be replaced one by one: should that be cut short, what it says of
        # them no longer holds, and nobody may skip it.
        written = _written(store, folder, Settled(unfinished))
        if written.receipt is not unfinished:
            return written
    parts = Parts(store, unfinished, lambda now: _write(store, folder, now))
    try:
        result = work(parts)
        settled = receipt(
            "filtered" if result.filtered_because else "done",
            reason=result.filtered_because,
            detail=_clean(result.detail),
            attempts=attempts,
            outputs=result.outputs,
            facts=dict(result.facts),
            versions=dict(result.versions),
        )
        _remove_superseded(store, parts.receipt, settled)
        outcome = Settled(settled)
    except NotAskedError as error:
        if previous is not None and previous.state not in FINISHED:
            return Settled(previous, stops_batch=error.stops_batch)
        outcome = _blocked(parts.receipt, started_at, error)
    except ItemError as error:
        outcome = Settled(_ended(parts.receipt, started_at, "failed", error, attempts=attempts))
    except Exception as error:  # noqa: BLE001 - the world's fault or a bug: the others go on
        outcome = _blocked(parts.receipt, started_at, error)
    return _written(store, folder, outcome)


def _files_before(previous: Receipt | None, wanted: str) -> dict[str, object]:
    """What a new try inherits: files of the same fingerprint as outputs, others by their paths."""
    if previous is None:
        return {}
    if previous.fingerprint == wanted:
        return {"outputs": previous.outputs, "leftovers": previous.leftovers}
    return {"leftovers": previous.paths}


def _ended(
    receipt: Receipt, started_at: datetime, state: State, error: RecordingError, *, attempts: int
) -> Receipt:
    """A receipt that a fault ended; its files stay named."""
    return receipt.model_copy(
        update={
            "state": state,
            "reason": error.reason,
            "detail": _clean(error.detail),
            "attempts": attempts,
            "started_at": started_at,
            "finished_at": datetime.now(UTC),
        }
    )


def _blocked(receipt: Receipt, started_at: datetime, error: Exception) -> Settled:
    """The state of a fault that is not the item's; a bug is ours as well."""
    if not isinstance(error, RecordingError):
        detail = "".join(traceback.format_exception(error)[-3:]).strip()
        error = SetupError("internal_error", detail, stops_batch=False)
    ended = _ended(receipt, started_at, "blocked", error, attempts=receipt.attempts)
    return Settled(ended, stops_batch=error.stops_batch)


def _write(store: Store, folder: str, receipt: Receipt) -> None:
    store.write_bytes(receipt_path(folder, receipt.recording_id), _serialised(receipt))


def _written(store: Store, folder: str, outcome: Settled) -> Settled:
    """Write a receipt; where that fails (a full disk) the state still reaches the run's log."""
    try:
        _write(store, folder, outcome.receipt)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not the item's fault
        return _blocked(outcome.receipt, outcome.receipt.started_at, error)
    return outcome


def _clean(text: str | None) -> str | None:
    """Text from the web may hold half a surrogate pair, which no file can."""
    return text.encode("utf-8", "replace").decode() if text is not None else None


def _serialised(receipt: Receipt) -> bytes:
    return (receipt.model_dump_json(indent=1) + "\n").encode()


def _still_holds(store: Store, previous: Receipt, wanted: str) -> bool:
    return (
        previous.state in FINISHED
        and previous.fingerprint == wanted
        and all(store.holds(output.path, output.size_bytes) for output in previous.outputs)
    )


def _is_whole(store: Store, output: StoredFile) -> bool:
    """Whether a file is what was written, by its content: a torn disk keeps names and sizes."""
    try:
        return sha256_of_file(store.path(output.path)) == output.sha256
    except FileNotFoundError:
        return False


def _remove_superseded(store: Store, before: Receipt, current: Receipt) -> None:
    """Remove files that only the receipt before names: another grid leaves no stale clip."""
    kept = {output.path for output in current.outputs}
    for path in before.paths:
        if path not in kept:
            store.path(path).unlink(missing_ok=True)
