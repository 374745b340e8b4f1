"""One breaker for all runs and processes of a data root: its file, its lock, its guard of a source.

What belongs here: reading and changing the state under a lock, and asking it before a fetch. What
does not: what a state means (`breaker`), and waiting, which is the schedule's. The lock is the
kernel's (flock), so a killed process leaves none behind; it holds between the processes of one
machine. An object store has no locks: where the data root is one, the breaker lies in a local
folder and holds for that machine, which is also how far a source's limits per address reach.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import filelock
from pydantic import BaseModel, ConfigDict, ValidationError

from data_collection.recordings.errors import (
    NotAskedError,
    RecordingError,
    SetupError,
    WorldError,
    room_on,
)
from data_collection.recordings.originals import Original, OriginalSource
from data_collection.recordings.store import Store
from data_collection.recordings.tier_rows import Recording
from data_collection.youtube.breaker import (
    ANSWERED,
    BREAKER_OPEN,
    BreakerOptions,
    BreakerState,
    Outcome,
    Permit,
    Refusal,
    Transition,
    after,
    allowance,
    ask,
    at,
    opened_by_damage,
    outcome_of,
    transition,
)

FOLDER = "breakers"
KEPT_TRANSITIONS = 500
"""Weeks of nights: a bad night has about ten."""
LOCK_TIMEOUT_S = 30.0
"""A change takes milliseconds; who waits longer waits for a stopped process."""
LOCK_POLL_S = 0.01

log = logging.getLogger(__name__)

Change = Callable[[BreakerState, datetime], BreakerState]


class BreakerRecord(BaseModel):
    """What the breaker's file holds: the state and its last transitions, the oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: BreakerState = BreakerState()
    history: tuple[Transition, ...] = ()


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SharedBreaker:
    """The breaker of one source, kept in `breakers/<source>.json`; deleting the file closes it.

    Every method may raise a `SetupError`: `breaker_unusable` where the file or its lock cannot be
    had, `disk_full`.

    Attributes:
        store: a local data root, or a local folder where the data root is none.
        source: host class that is asked, such as `youtube`.
        options: times and counts.
        clock: tells the time, with its zone.
    """

    store: Store
    source: str = "youtube"
    options: BreakerOptions = field(default_factory=BreakerOptions)
    clock: Callable[[], datetime] = _utc_now

    @property
    def relative_path(self) -> str:
        """Where the state lies below the data root."""
        return f"{FOLDER}/{self.source}.json"

    def read(self) -> BreakerRecord:
        """State, as time has made it, and history."""
        return self._change(lambda state, now: state)

    def allowance(self) -> int | None:
        """How many fetches may begin now if the first goes well; None for any number."""
        return allowance(self.read().state, self.clock(), self.options)

    def ask(self, recording_id: str | None = None) -> Permit:
        """Take leave to fetch; whoever has it reports.

        Raises:
            WorldError: `breaker_open`: nothing is asked, and the recording keeps its attempts.
        """
        answers: list[Permit | Refusal] = []

        def asked(state: BreakerState, now: datetime) -> BreakerState:
            state, answer = ask(state, now, self.options)
            answers.append(answer)
            return state

        self._change(asked)
        answer = answers[-1]
        if isinstance(answer, Refusal):
            raise self._refused(answer, recording_id)
        return answer

    def report(self, permit: Permit, outcome: Outcome, recording_id: str | None = None) -> None:
        """Tell what became of a fetch."""
        self._change(
            lambda state, now: after(state, permit, outcome, now, self.options),
            recording_id=recording_id,
            detail=outcome.detail,
        )

    @contextmanager
    def asking(self, recording_id: str | None = None) -> Iterator[None]:
        """Ask before something that goes to the source, and report what becomes of it.

        Raises:
            WorldError: `breaker_open`, before anything is asked of the source.
        """
        permit = self.ask(recording_id)
        try:
            yield
        except BaseException as error:
            self._report_or_log(permit, outcome_of(error), recording_id)
            raise
        self._report_or_log(permit, ANSWERED, recording_id)

    def _report_or_log(self, permit: Permit, outcome: Outcome, recording_id: str | None) -> None:
        """A report that is lost must not lose what was fetched; a lost probe's time runs out."""
        try:
            self.report(permit, outcome, recording_id)
        except SetupError as error:
            log.warning("%s: the breaker could not be told: %s", recording_id, error)

    def _refused(self, refusal: Refusal, recording_id: str | None) -> WorldError:
        until = refusal.until.astimezone(UTC)
        subject = f"{recording_id}: " if recording_id else ""
        return NotAskedError(
            BREAKER_OPEN,
            f"{subject}{self.source} is not asked before {until:%Y-%m-%d %H:%M:%S} UTC "
            f"({refusal.because}); this costs no attempt: run it again after that, or delete "
            f"{self.store.root}/{self.relative_path} to ask at once",
            stops_batch=True,
        )

    def _change(
        self, change: Change, *, recording_id: str | None = None, detail: str | None = None
    ) -> BreakerRecord:
        """Read, change and write under the lock; nothing is written where nothing changed."""
        with self._locked():
            now = self.clock()  # not before: who waited for the lock would bring an older time
            stored = self._stored(now)
            record = self._noted(stored, at(stored.state, now, self.options))
            record = self._noted(record, change(record.state, now), recording_id, detail)
            if record != stored:
                self._write(record)
        return record

    def _noted(
        self,
        record: BreakerRecord,
        state: BreakerState,
        recording_id: str | None = None,
        detail: str | None = None,
    ) -> BreakerRecord:
        noted = transition(record.state, state, recording_id=recording_id, detail=detail)
        if noted is None:
            return BreakerRecord(state=state, history=record.history)
        said = f"{self.source} is {noted.phase}" + (f" ({noted.reason})" if noted.reason else "")
        log.log(logging.WARNING if noted.phase == "open" else logging.INFO, "%s", said)
        return BreakerRecord(state=state, history=(*record.history, noted)[-KEPT_TRANSITIONS:])

    def _stored(self, now: datetime) -> BreakerRecord:
        path = self.store.path(self.relative_path)
        try:
            return BreakerRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return BreakerRecord()
        except ValidationError as error:
            return self._damaged(now, str(error.errors()[0]["msg"]))

    def _damaged(self, now: datetime, problem: str) -> BreakerRecord:
        """Open, since nobody knows what the file said; it is kept aside to look at."""
        path = self.store.path(self.relative_path)
        aside = path.with_name(f"{self.source}.damaged.json")
        path.replace(aside)
        said = f"{path} could not be read ({problem}) and is now {aside.name}"
        log.warning("%s; %s is not asked for a while", said, self.source)
        record = self._noted(BreakerRecord(), opened_by_damage(now, self.options), detail=said)
        self._write(record)
        return record

    def _write(self, record: BreakerRecord) -> None:
        self.store.write_bytes(self.relative_path, f"{record.model_dump_json(indent=1)}\n".encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        folder = self._folder()
        # Of its own each time: a `FileLock` that is held lets its own thread in again.
        lock = filelock.FileLock(
            folder / f"{self.source}.lock",
            timeout=LOCK_TIMEOUT_S,
            poll_interval=LOCK_POLL_S,
            fallback_to_soft=False,
        )
        try:
            with room_on(folder):
                folder.mkdir(parents=True, exist_ok=True)
                with lock:
                    yield
        except RecordingError:
            raise
        except (OSError, NotImplementedError) as error:  # `filelock.Timeout` is an OSError
            raise SetupError(
                "breaker_unusable",
                f"{folder}/{self.source}.json or its lock: {error or type(error).__name__}; see "
                "that the folder can be written to, that its disk knows flock, and that no process "
                "is stopped while it holds the lock",
            ) from error

    def _folder(self) -> Path:
        path = self.store.path(FOLDER)
        if path.protocol not in ("", "file", "local"):
            raise SetupError(
                "breaker_unusable",
                f"{path} is no local folder, and only such a one can be locked; keep the breaker "
                "in a folder of this machine, such as DAGSTER_HOME: `Store.at(<folder>)`",
            )
        return Path(str(path))


def guarded(source: OriginalSource, breaker: SharedBreaker) -> OriginalSource:
    """Ask a breaker before each fetch and tell it what became of it.

    The source that is returned raises a `WorldError` `breaker_open`, which stops the batch and
    costs no attempt, instead of asking a source that is to be left alone.
    """

    def asked(recording: Recording, flac: Path, scratch: Path) -> Original:
        with breaker.asking(recording.recording_id):
            return source(recording, flac, scratch)

    return asked
