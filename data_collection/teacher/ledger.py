"""The ledger: what may be spent, what is promised and paid, and every answer that was paid for.

What belongs here: one SQLite file, and the changes that keep it true at every moment, each a single
transaction. What does not: the API (`messages`, `batches`), and what an answer says (`answers`).

An *intent* is one thing that is posted: a batch, or a single message. It is written, with the upper
bound of what each of its questions can cost, before anything is posted:

    reserved → posting → running → ended       `void` where nothing came to be posted

and counts against the caps from then on: by its bounds while a question is open, by its costs
afterwards. SQLite keeps that between processes and over a `kill -9`; who posts, or looks for what
another process posted, holds `submitting` besides, whose lock ends with the process. The file lies
in a folder of this machine: several machines have several ledgers, and each its own caps.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Literal

import filelock

from data_collection.recordings.errors import SetupError, disk_full, room_on

LEDGER_FILE = "teacher_ledger.sqlite"
VERSION = 1
E12 = 10**12
"""USD are stored as integers of 1e-12: a token of the cheapest cached input is 5e-10."""
BUSY_TIMEOUT_S = 60.0
SUBMISSION_TIMEOUT_S = 1800.0
"""Posting a few batches takes a minute or two; who waits longer waits for a stopped process."""
LOCK_POLL_S = 0.05
MOST_PARAMETERS = 500

Kind = Literal["batch", "direct"]
IntentState = Literal["reserved", "posting", "running", "ended", "void"]
AskState = Literal["open", "answered", "expired", "errored", "canceled", "lost", "released"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    intent_id TEXT PRIMARY KEY,
    tier TEXT NOT NULL,
    model TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('batch', 'direct')),
    base_url TEXT NOT NULL,
    requests INTEGER NOT NULL CHECK (requests > 0),
    state TEXT NOT NULL CHECK (state IN ('reserved', 'posting', 'running', 'ended', 'void')),
    newest_before TEXT,
    batch_id TEXT UNIQUE,
    reserved_at TEXT NOT NULL,
    posting_at TEXT,
    ended_at TEXT
);
CREATE TABLE IF NOT EXISTS asks (
    intent_id TEXT NOT NULL REFERENCES intents,
    custom_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN
        ('open', 'answered', 'expired', 'errored', 'canceled', 'lost', 'released')),
    upper_e12 INTEGER NOT NULL CHECK (upper_e12 >= 0),
    cost_e12 INTEGER NOT NULL DEFAULT 0 CHECK (cost_e12 >= 0),
    reply TEXT,
    answered_at TEXT,
    PRIMARY KEY (intent_id, custom_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS one_open_ask ON asks (custom_id) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS asks_of_a_question ON asks (custom_id);
CREATE TABLE IF NOT EXISTS batches_of_others (batch_id TEXT PRIMARY KEY);
"""


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent at most, ever; 0 for nothing.

    Attributes:
        total_usd: over all tiers.
        tier_usd: of each tier; a tier that is not named may spend nothing.
        total_setting: what a person changes to raise the first.
        tier_setting: what a person changes to raise the second.
    """

    total_usd: Decimal
    tier_usd: Mapping[str, Decimal]
    total_setting: str = "TEACHER_CAP_USD"
    tier_setting: str = "TEACHER_TIER_CAPS_USD"

    def __post_init__(self) -> None:
        for name, usd in {self.total_setting: self.total_usd, **self.tier_usd}.items():
            if not usd.is_finite() or usd < 0:
                raise SetupError("teacher_cap_unreadable", f"cap {name}: {usd} is no amount of USD")

    def of_tier(self, tier: str) -> Decimal:
        """A tier's own cap, USD."""
        return self.tier_usd.get(tier, Decimal(0))


@dataclass(frozen=True, slots=True)
class Spending:
    """What a tier, or all of them, have promised and paid, USD.

    Attributes:
        settled_usd: of answers, and the bounds of those that were paid for and lost.
        reserved_usd: bounds of what is on its way.
    """

    settled_usd: Decimal = Decimal(0)
    reserved_usd: Decimal = Decimal(0)

    @property
    def committed_usd(self) -> Decimal:
        """What counts against the caps."""
        return self.settled_usd + self.reserved_usd


@dataclass(frozen=True, slots=True)
class Ask:
    """One question that is about to be asked.

    Attributes:
        custom_id: of the question.
        upper_usd: what it can cost at most.
        tries: how often it had been asked when somebody decided to ask it; where that has changed
            since, another process was first, and it is not asked.
    """

    custom_id: str
    upper_usd: Decimal
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that is posted, or is about to be.

    Attributes:
        custom_ids: of its questions.
        newest_before: id of the newest batch that was there before it was posted.
        batch_id: once it is known.
        posting_at: when the post began; None where it has not.
    """

    intent_id: str
    tier: str
    model: str
    kind: Kind
    base_url: str
    state: IntentState
    newest_before: str | None
    batch_id: str | None
    posting_at: datetime | None
    custom_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one question of an intent.

    Attributes:
        state: `answered` is paid for, whatever the answer says; the others cost nothing.
        cost_usd: from the usage.
        reply: the answer or the error, as JSON.
    """

    custom_id: str
    state: Literal["answered", "expired", "errored", "canceled"]
    cost_usd: Decimal
    reply: str


@dataclass(frozen=True, slots=True)
class Try:
    """One asking of a question, the posted ones only."""

    custom_id: str
    intent_id: str
    tier: str
    model: str
    kind: Kind
    batch_id: str | None
    state: AskState
    upper_usd: Decimal
    cost_usd: Decimal
    reply: str | None
    asked_at: datetime
    answered_at: datetime | None


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Ledger:
    """The ledger in a folder of this machine; made by the first who writes.

    Every method may raise a `SetupError` `ledger_unusable` (not to be opened, damaged, of a newer
    version, locked for a minute) or `disk_full`. A damaged ledger is never begun anew: it would
    forget what was spent.

    Attributes:
        folder: local, such as `DAGSTER_HOME`; never on a share that several machines write to.
        caps: what may be spent.
        clock: tells the time, with its zone.
    """

    folder: Path
    caps: Caps
    clock: Callable[[], datetime] = field(default=_utc_now, repr=False)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / LEDGER_FILE

    # What is spent

    def spending(self) -> dict[str, Spending]:
        """What each tier has promised and paid."""
        with self._transaction() as db:
            return _spending(db)

    def left_usd(self, tier: str) -> Decimal:
        """What a tier may still promise: the lesser of its own cap's rest and the total's."""
        spending = self.spending()
        own = self.caps.of_tier(tier) - spending.get(tier, Spending()).committed_usd
        total = self.caps.total_usd - sum(
            (each.committed_usd for each in spending.values()), Decimal(0)
        )
        return max(Decimal(0), min(own, total))

    def reserve(
        self, tier: str, model: str, kind: Kind, base_url: str, groups: Sequence[Sequence[Ask]]
    ) -> list[str]:
        """Promise money to questions and write them down as intents, all of them or none.

        Args:
            tier: whose cap it is.
            model: that is asked.
            kind: how it is posted.
            base_url: where it is posted to.
            groups: the questions of each intent. Those that somebody else has asked meanwhile are
                left out, so that one is never asked twice.

        Returns:
            The ids of the intents, in order; a group of which nothing is left has none.

        Raises:
            SetupError: `teacher_cap_reached`: a cap would be passed; nothing is written.
        """
        with self._transaction() as db:
            tries = _count_tries(db, [ask.custom_id for group in groups for ask in group])
            kept = [
                [ask for ask in group if tries.get(ask.custom_id, 0) == ask.tries]
                for group in groups
            ]
            needed = sum((ask.upper_usd for group in kept for ask in group), Decimal(0))
            self._check_caps(_spending(db), tier, needed)
            return [self._insert(db, tier, model, kind, base_url, group) for group in kept if group]

    def _check_caps(self, spending: Mapping[str, Spending], tier: str, needed: Decimal) -> None:
        own = spending.get(tier, Spending())
        total = Spending(
            sum((each.settled_usd for each in spending.values()), Decimal(0)),
            sum((each.reserved_usd for each in spending.values()), Decimal(0)),
        )
        for name, cap, spent, setting in (
            (f"tier {tier}", self.caps.of_tier(tier), own, self.caps.tier_setting),
            ("all tiers", self.caps.total_usd, total, self.caps.total_setting),
        ):
            if needed > 0 and spent.committed_usd + needed > cap:
                raise SetupError(
                    "teacher_cap_reached",
                    f"the cap of {name} is ${cap:.4f}; spent ${spent.settled_usd:.4f}, reserved "
                    f"${spent.reserved_usd:.4f}, needed ${needed:.4f}: nothing was asked. Raise "
                    f"{setting}, or ask fewer questions or a cheaper model",
                )

    def _insert(
        self,
        db: sqlite3.Connection,
        tier: str,
        model: str,
        kind: Kind,
        base_url: str,
        asks: Sequence[Ask],
    ) -> str:
        intent_id = uuid.uuid4().hex
        db.execute(
            "INSERT INTO intents (intent_id, tier, model, kind, base_url, requests, state,"
            " reserved_at) VALUES (?, ?, ?, ?, ?, ?, 'reserved', ?)",
            (intent_id, tier, model, kind, base_url, len(asks), self._now()),
        )
        db.executemany(
            "INSERT INTO asks (intent_id, custom_id, state, upper_e12) VALUES (?, ?, 'open', ?)",
            [(intent_id, ask.custom_id, _to_e12(ask.upper_usd)) for ask in asks],
        )
        return intent_id

    # What becomes of an intent

    def begin_post(self, intent_id: str, newest_before: str | None) -> None:
        """Write that an intent is about to be posted, or once more after it was surely refused.

        From here on it may have been paid for.

        Raises:
            SetupError: `teacher_not_reserved`: its reservation has been released.
        """
        with self._transaction() as db:
            changed = db.execute(
                "UPDATE intents SET state = 'posting', newest_before = ?, posting_at = ?"
                " WHERE intent_id = ? AND state IN ('reserved', 'posting')",
                (newest_before, self._now(), intent_id),
            ).rowcount
            if changed != 1:
                raise SetupError(
                    "teacher_not_reserved",
                    f"intent {intent_id} is no longer reserved; nothing was asked: run it again",
                )

    def posted(self, intent_id: str, batch_id: str) -> None:
        """Write under which id a batch runs, told by the API or found afterwards."""
        with self._transaction() as db:
            db.execute(
                "UPDATE intents SET state = 'running', batch_id = ?"
                " WHERE intent_id = ? AND state = 'posting'",
                (batch_id, intent_id),
            )

    def settle(self, intent_id: str, settlements: Iterable[Settlement]) -> int:
        """Write what became of questions; each counts once, however often it is told.

        Returns:
            How many questions of the intent are still open. With the last, it has ended.
        """
        now = self._now()
        with self._transaction() as db:
            db.executemany(
                "UPDATE asks SET state = ?, cost_e12 = ?, reply = ?, answered_at = ?"
                " WHERE intent_id = ? AND custom_id = ? AND state = 'open'",
                [
                    (each.state, _to_e12(each.cost_usd), each.reply, now, intent_id, each.custom_id)
                    for each in settlements
                ],
            )
            return self._end_if_settled(db, intent_id)

    def lose(self, intent_id: str) -> None:
        """Write that answers were paid for, or may have been, and cannot be had any more.

        They are counted at their upper bounds.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE asks SET state = 'lost', cost_e12 = upper_e12, answered_at = ?"
                " WHERE intent_id = ? AND state = 'open'",
                (self._now(), intent_id),
            )
            self._end_if_settled(db, intent_id)

    def release(self, intent_id: str) -> None:
        """Give back what is reserved for an intent that was surely never accepted."""
        with self._transaction() as db:
            _release(db, [intent_id], self._now())

    def release_reserved(self) -> int:
        """Give back what is reserved for intents whose post never began; only while `submitting`.

        Returns:
            How many intents; their process is gone, or has given up.
        """
        with self._transaction() as db:
            rows = db.execute("SELECT intent_id FROM intents WHERE state = 'reserved'").fetchall()
            _release(db, [row["intent_id"] for row in rows], self._now())
        return len(rows)

    def _end_if_settled(self, db: sqlite3.Connection, intent_id: str) -> int:
        (still_open,) = db.execute(
            "SELECT COUNT(*) FROM asks WHERE intent_id = ? AND state = 'open'", (intent_id,)
        ).fetchone()
        if not still_open:
            db.execute(
                "UPDATE intents SET state = 'ended', ended_at = ?"
                " WHERE intent_id = ? AND state IN ('posting', 'running')",
                (self._now(), intent_id),
            )
        return int(still_open)

    # What is known

    def intents(self, state: IntentState) -> list[Intent]:
        """Intents of a state, the oldest first."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT * FROM intents WHERE state = ? ORDER BY reserved_at, rowid", (state,)
            ).fetchall()
            return [_intent(db, row) for row in rows]

    def custom_ids(self, intent_id: str) -> list[str]:
        """The questions of an intent, in their order."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT custom_id FROM asks WHERE intent_id = ? ORDER BY rowid", (intent_id,)
            ).fetchall()
        return [row["custom_id"] for row in rows]

    def tries(self, custom_ids: Collection[str]) -> dict[str, list[Try]]:
        """How questions were asked before, the latest last; those that never were are not in it."""
        found: dict[str, list[Try]] = {}
        with self._transaction() as db:
            for marks, chunk in _chunks(custom_ids):
                rows = db.execute(
                    "SELECT asks.*, tier, model, kind, batch_id, posting_at, reserved_at FROM asks "  # noqa: S608 - question marks only
                    f"JOIN intents USING (intent_id) WHERE custom_id IN ({marks})"
                    " AND asks.state != 'released' ORDER BY asks.rowid",
                    chunk,
                ).fetchall()
                for row in rows:
                    found.setdefault(row["custom_id"], []).append(_try(row))
        return found

    def knows_batch(self, batch_id: str) -> bool:
        """Whether a batch is one of ours, or has been found to be somebody else's."""
        with self._transaction() as db:
            known = db.execute(
                "SELECT 1 FROM intents WHERE batch_id = ?1"
                " UNION ALL SELECT 1 FROM batches_of_others WHERE batch_id = ?1",
                (batch_id,),
            ).fetchone()
        return known is not None

    def note_batch_of_others(self, batch_id: str) -> None:
        """Write that a batch has none of our questions, so that it is not read again."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO batches_of_others VALUES (?)", (batch_id,))

    # Files and locks

    @contextmanager
    def submitting(self, timeout_s: float = SUBMISSION_TIMEOUT_S) -> Iterator[None]:
        """Be the only process that posts, or looks for what a killed one posted.

        Raises:
            SetupError: `ledger_unusable`: another process has held the lock for too long.
        """
        # Of its own each time: a `FileLock` that is held lets its own thread in again.
        lock = filelock.FileLock(
            self.folder / f"{LEDGER_FILE}.lock",
            timeout=timeout_s,
            poll_interval=LOCK_POLL_S,
            fallback_to_soft=False,
        )
        try:
            with room_on(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.acquire()
        except (OSError, NotImplementedError) as error:  # `filelock.Timeout` is an OSError
            raise self._unusable(error) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other process comes between; undone where the block raises."""
        try:
            with room_on(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                # Autocommit: BEGIN and COMMIT are said here, and nowhere else.
                db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            with closing(db):
                db.row_factory = sqlite3.Row
                # A rollback journal: WAL is quicker, wants shared memory, and two files more.
                db.execute("PRAGMA synchronous = EXTRA")
                db.execute("BEGIN IMMEDIATE")
                try:
                    self._prepare(db)
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _prepare(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return
        if version > VERSION:
            raise SetupError(
                "ledger_unusable",
                f"{self.path} was written by a newer version of this package; use that one",
            )
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")

    def _unusable(self, error: Exception) -> SetupError:
        if isinstance(error, sqlite3.Error) and "full" in str(error):
            return disk_full(self.folder, error)
        return SetupError(
            "ledger_unusable",
            f"{self.path} or its lock: {error or type(error).__name__}; see that its folder can be "
            "written to, that it is a local disk, and that no process is stopped while it uses it. "
            "Never delete it: what was spent, and every answer that was paid for, is in it",
        )

    def _now(self) -> str:
        return self.clock().astimezone(UTC).isoformat()


def _to_e12(usd: Decimal) -> int:
    """Rounded up, so that no cost is forgotten."""
    return int((usd * E12).to_integral_value(rounding=ROUND_CEILING))


def _to_usd(e12: int) -> Decimal:
    return Decimal(e12) / E12


def _spending(db: sqlite3.Connection) -> dict[str, Spending]:
    rows = db.execute(
        "SELECT tier, SUM(cost_e12) AS settled,"
        " SUM(CASE WHEN asks.state = 'open' THEN upper_e12 ELSE 0 END) AS reserved"
        " FROM asks JOIN intents USING (intent_id) GROUP BY tier"
    ).fetchall()
    return {
        row["tier"]: Spending(_to_usd(row["settled"]), _to_usd(row["reserved"])) for row in rows
    }


def _count_tries(db: sqlite3.Connection, custom_ids: Collection[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for marks, chunk in _chunks(custom_ids):
        rows = db.execute(
            f"SELECT custom_id, COUNT(*) AS tries FROM asks WHERE custom_id IN ({marks})"  # noqa: S608 - question marks only
            " AND state != 'released' GROUP BY custom_id",
            chunk,
        )
        counts.update({row["custom_id"]: row["tries"] for row in rows})
    return counts


def _chunks(custom_ids: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Parts that fit into one statement, each with its question marks."""
    every = list(custom_ids)
    for start in range(0, len(every), MOST_PARAMETERS):
        chunk = every[start : start + MOST_PARAMETERS]
        yield ", ".join("?" * len(chunk)), chunk


def _release(db: sqlite3.Connection, intent_ids: Iterable[str], now: str) -> None:
    for intent_id in intent_ids:
        changed = db.execute(
            "UPDATE intents SET state = 'void', ended_at = ?"
            " WHERE intent_id = ? AND state IN ('reserved', 'posting')",
            (now, intent_id),
        ).rowcount
        if changed:
            db.execute(
                "UPDATE asks SET state = 'released' WHERE intent_id = ? AND state = 'open'",
                (intent_id,),
            )


def _intent(db: sqlite3.Connection, row: sqlite3.Row) -> Intent:
    asks = db.execute("SELECT custom_id FROM asks WHERE intent_id = ?", (row["intent_id"],))
    posting_at = row["posting_at"]
    return Intent(
        intent_id=row["intent_id"],
        tier=row["tier"],
        model=row["model"],
        kind=row["kind"],
        base_url=row["base_url"],
        state=row["state"],
        newest_before=row["newest_before"],
        batch_id=row["batch_id"],
        posting_at=datetime.fromisoformat(posting_at) if posting_at else None,
        custom_ids=frozenset(ask["custom_id"] for ask in asks),
    )


def _try(row: sqlite3.Row) -> Try:
    answered_at = row["answered_at"]
    return Try(
        custom_id=row["custom_id"],
        intent_id=row["intent_id"],
        tier=row["tier"],
        model=row["model"],
        kind=row["kind"],
        batch_id=row["batch_id"],
        state=row["state"],
        upper_usd=_to_usd(row["upper_e12"]),
        cost_usd=_to_usd(row["cost_e12"]),
        reply=row["reply"],
        asked_at=datetime.fromisoformat(row["posting_at"] or row["reserved_at"]),
        answered_at=datetime.fromisoformat(answered_at) if answered_at else None,
    )
