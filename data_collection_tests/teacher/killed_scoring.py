"""Runs of scoring in processes of their own, started by `test_killed_scoring` and killed.

Each is forked from multiprocessing's fork server: clean of threads, with the SDK imported.
"""

from __future__ import annotations

import itertools
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path

from data_collection.recordings.errors import SetupError
from data_collection.teacher import scoring
from data_collection.teacher.ledger import Ask, Caps, Kind, Ledger, Settlement
from data_collection_tests.teacher.made_questions import (
    CAPS,
    KEY,
    TIER,
    client_of,
    questions,
    run,
)

BATCH_OF = 2
APART = 100
"""From one moment's questions to the next one's."""
CAP_REACHED = 3


@dataclass(frozen=True)
class DyingLedger(Ledger):
    """A ledger whose process is killed before a certain write, or after it.

    Giving back what was reserved is not among them: it is the first thing that every run does.

    Attributes:
        dies_at: twice the number of the write, plus one for after it.
    """

    dies_at: int = -1
    moments: itertools.count[int] = field(default_factory=itertools.count)

    @contextmanager
    def _dying(self) -> Iterator[None]:
        self._die_if_due()
        yield
        self._die_if_due()

    def _die_if_due(self) -> None:
        if next(self.moments) == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def reserve(
        self, tier: str, model: str, kind: Kind, base_url: str, groups: Sequence[Sequence[Ask]]
    ) -> list[str]:
        """Reserve, or die."""
        with self._dying():
            return super().reserve(tier, model, kind, base_url, groups)

    def begin_post(self, intent_id: str, newest_before: str | None) -> None:
        """Begin, or die."""
        with self._dying():
            super().begin_post(intent_id, newest_before)

    def posted(self, intent_id: str, batch_id: str) -> None:
        """Note the id, or die."""
        with self._dying():
            super().posted(intent_id, batch_id)

    def settle(self, intent_id: str, settlements: Iterable[Settlement]) -> int:
        """Settle, or die."""
        with self._dying():
            return super().settle(intent_id, settlements)


def dying_run(
    folder: Path, url: str, number: int, dies_at: int, *, direct: bool = False, first: int = 0
) -> None:
    """One run over some questions, in batches of two, that dies at a moment."""
    scoring.MOST_REQUESTS = BATCH_OF  # type: ignore[attr-defined]
    most_direct = number if direct else 0
    ledger = DyingLedger(folder, CAPS, dies_at=dies_at)
    run(url, ledger, questions(number, first), most_direct=most_direct)


def killed_at_every_moment(root: Path, url: str, number: int, *, direct: bool) -> None:
    """A run that dies at each moment in turn, and after each a second one that goes on.

    `root/<moment>` is the ledger of a moment. The first, -1, is here and dies at none: what the SDK
    makes at its first use, the forks then have. Nor does the last.
    """
    dying_run(root / "-1", f"{url}/", number, -1, direct=direct, first=-APART)
    client_of(KEY, url)  # made once and never used here, so that no two forks share a connection
    for moment in itertools.count():
        folder, first = root / str(moment), moment * APART
        status = _in_a_fork(
            partial(dying_run, folder, url, number, moment, direct=direct, first=first)
        )
        again = partial(dying_run, folder, url, number, -1, direct=direct, first=first)
        assert _in_a_fork(again) == 0
        if status != -signal.SIGKILL:
            os._exit(status)


def _in_a_fork(work: Callable[[], None]) -> int:
    """Run in a child; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - it is told, and the child ends here
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def capped_run(folder: Path, url: str, first: int, number: int, cap_usd: str) -> None:
    """One of several runs against one cap; exits with `CAP_REACHED` where it is."""
    ledger = Ledger(folder, Caps(Decimal(cap_usd), {TIER: Decimal(cap_usd)}))
    try:
        run(url, ledger, questions(number, first), most_direct=0, wait_s=0)
    except SetupError as error:
        os._exit(CAP_REACHED if error.reason == "teacher_cap_reached" else 1)
