"""Receipts: what happened to one recording at one stage. They are the truth of the collection.

What belongs here: the receipt, its fingerprint, and `settle`, which skips what is done, runs what
is not, and turns an error into a state. What does not: what a stage does (`fetch`, `segments`, ...)
and how Dagster is told (`batching`). A receipt lies beside its artifact as `<id>.receipt.json`.
"""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data_collection.recordings.errors import ItemError, RecordingError, SetupError
from data_collection.recordings.store import Store, StoredFile

State = Literal["done", "filtered", "failed", "blocked"]
Fact = str | int | float | bool | None
FINISHED: frozenset[State] = frozenset({"done", "filtered"})


class Receipt(BaseModel):
    """What happened to one recording at one stage.

    `filtered` is finished; `failed` may be tried again; `blocked` was our or the world's fault and
    cost the item no attempt.
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
    facts: dict[str, Fact] = {}
    started_at: datetime
    finished_at: datetime

    @property
    def seconds(self) -> float:
        """How long the stage took for this recording, in seconds."""
        return (self.finished_at - self.started_at).total_seconds()


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
                # After a failure the files of an earlier success still lie there: keep their names,
                # so that a later success or a purge can remove them.
                "outputs": previous.outputs if previous else (),
                "started_at": started_at,
                "finished_at": datetime.now(UTC),
                **more,
            }
        )

    def blocked(error: Exception) -> Settled:
        """The state of a fault that is not the item's; a bug is ours as well."""
        if isinstance(error, RecordingError):
            reason, detail, stops_batch = error.reason, error.detail, error.stops_batch
        else:
            reason, stops_batch = "internal_error", False
            detail = "".join(traceback.format_exception(error)[-3:]).strip()
        settled = receipt("blocked", reason=reason, detail=_clean(detail))
        return Settled(settled, stops_batch=stops_batch)

    try:
        previous = read_receipt(store, folder, recording_id)
        known_parameters.update(parameters())
        known_inputs.update(inputs())
        wanted = fingerprint(known_inputs, known_parameters)
    except Exception as error:  # noqa: BLE001 - nothing was tried yet, so nothing is known of the item
        # What an earlier run finished stays finished: a mistyped setting must not cost GPU hours.
        outcome = blocked(error)
        keeps = previous is not None and previous.state in FINISHED
        return outcome if keeps else _written(store, folder, outcome, blocked)
    if previous and _still_holds(store, previous, wanted):
        return Settled(previous, skipped=True)
    attempts = (previous.attempts if previous else 0) + 1
    if previous and previous.state in FINISHED:
        # Its files are about to be replaced one by one: should that be cut short, what it says of
        # them no longer holds, and nobody may skip it.
        unfinished = receipt("blocked", reason="interrupted", detail="it was being made again")
        written = _written(store, folder, Settled(unfinished), blocked)
        if written.receipt is not unfinished:
            return written
    try:
        result = work()
        settled = receipt(
            "filtered" if result.filtered_because else "done",
            reason=result.filtered_because,
            detail=_clean(result.detail),
            attempts=attempts,
            outputs=result.outputs,
            facts=dict(result.facts),
            versions=dict(result.versions),
        )
        _remove_superseded(store, previous, settled)
        outcome = Settled(settled)
    except ItemError as error:
        detail = _clean(error.detail)
        outcome = Settled(receipt("failed", reason=error.reason, detail=detail, attempts=attempts))
    except Exception as error:  # noqa: BLE001 - the world's fault or a bug: the others go on
        outcome = blocked(error)
    return _written(store, folder, outcome, blocked)


def _written(
    store: Store, folder: str, outcome: Settled, blocked: Callable[[Exception], Settled]
) -> Settled:
    """Write a receipt; where that fails (a full disk) the state still reaches the run's log."""
    path = receipt_path(folder, outcome.receipt.recording_id)
    try:
        store.write_bytes(path, _serialised(outcome.receipt))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not the item's fault
        return blocked(error)
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


def _remove_superseded(store: Store, previous: Receipt | None, current: Receipt) -> None:
    """Remove files that only the previous receipt names: another grid leaves no stale clip."""
    kept = {output.path for output in current.outputs}
    for output in previous.outputs if previous else ():
        if output.path not in kept:
            store.path(output.path).unlink(missing_ok=True)
