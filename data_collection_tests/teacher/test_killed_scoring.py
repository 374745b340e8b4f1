"""Scoring that is killed between every two of its steps, and that runs four times at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from data_collection.sample.teacher_api import TeacherApi, serve_teacher
from data_collection.teacher.ledger import Ledger
from data_collection.teacher.scoring import Scoring, answers_of
from data_collection_tests.teacher.killed_scoring import (
    APART,
    BATCH_OF,
    CAP_REACHED,
    capped_run,
    dying_run,
    killed_at_every_moment,
)
from data_collection_tests.teacher.made_questions import (
    KEY,
    PRICES,
    TIER,
    ledger_in,
    plan_of,
    questions,
    run,
    scores,
    validate,
)

ENDS_WITHIN_S = 120.0
PRELOADED = [
    "anthropic.resources.messages",
    "data_collection.teacher.scoring",
    "data_collection.teacher.plans",
    "httpx2",
    "opentelemetry.propagate",
    "pytest",
    "stamina",
]
"""Installed packages only: the fork server does not know where the tests lie."""


@pytest.fixture(scope="module")
def served() -> Iterator[TeacherApi]:
    """One teacher for all tests."""
    with serve_teacher(scores, key=KEY) as running:
        yield running


@pytest.fixture
def api(served: TeacherApi) -> TeacherApi:
    """As if it had just started."""
    served.begin_anew(scores)
    return served


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that start quickly, with the SDK imported and no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def exit_code(process: BaseProcess) -> int | None:
    process.join(ENDS_WITHIN_S)
    return process.exitcode


def billed_usd(api: TeacherApi) -> Decimal:
    return sum(
        (PRICES.cost(bill.usage, bill.model, batched=bool(bill.batch_id)) for bill in api.bills),
        Decimal(0),
    )


def nothing_is_left_open(ledger: Ledger) -> bool:
    return not any(ledger.intents(state) for state in ("reserved", "posting", "running"))


def moments_of(root: Path) -> list[int]:
    return sorted(int(folder.name) for folder in root.iterdir())


def known_to(ledger: Ledger, api: TeacherApi, number: int, moment: int) -> Scoring:
    plan = plan_of(api.url, ledger, questions(number, moment * APART), most_direct=0)
    assert not plan.to_ask
    return answers_of(plan, ledger, validate)


def test_a_batched_run_may_be_killed_at_any_moment(
    api: TeacherApi, processes: ForkServerContext, tmp_path: Path
) -> None:
    """Kill -9 before and after each write; the next run ends it, with nothing paid twice.

    Guards a batch whose id was never written, money that stays reserved, and answers counted
    twice.
    """
    number = 2 * BATCH_OF
    process = processes.Process(
        target=killed_at_every_moment,
        args=(tmp_path, api.url, number),
        kwargs={"direct": False},
    )
    process.start()
    assert exit_code(process) == 0
    moments = moments_of(tmp_path)
    for moment in moments:
        ledger = ledger_in(tmp_path / str(moment))
        done = known_to(ledger, api, number, moment)
        assert done.counts == {"scored": number}, moment
        assert done.cost_usd == ledger.spending()[TIER].committed_usd, moment
        assert nothing_is_left_open(ledger), moment
    assert len(moments) == 2 + 14  # reserve; begin, posted and settle of two batches; both sides
    assert len(api.bills) == number * len(moments)
    assert not api.billed_twice
    spent = [ledger_in(tmp_path / str(moment)).spending()[TIER] for moment in moments]
    assert sum(each.settled_usd for each in spent) == billed_usd(api)


def test_a_run_may_be_killed_while_its_batch_is_on_the_wire(
    api: TeacherApi, processes: ForkServerContext, tmp_path: Path
) -> None:
    """Accepted and carried out, with nobody there to read the answer; guards a second batch."""
    ledger = ledger_in(tmp_path)
    process = processes.Process(target=dying_run, args=(tmp_path, api.url, 2, -1))

    def scores_and_kills(packet_text: str, repeat: int) -> dict[str, object]:
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGKILL)
        return dict(scores(packet_text, repeat))

    api.scores = scores_and_kills
    process.start()
    assert exit_code(process) == -signal.SIGKILL
    assert len(ledger.intents("posting")) == 1
    done = run(api.url, ledger, questions(2), most_direct=0)
    assert done.counts == {"scored": 2}
    assert len(api.batches) == 1
    assert done.cost_usd == billed_usd(api) == ledger.spending()[TIER].committed_usd


def test_single_messages_are_never_paid_twice(
    api: TeacherApi, processes: ForkServerContext, tmp_path: Path
) -> None:
    """A killed one cannot be read again: it is counted at its bound, and not asked again."""
    process = processes.Process(
        target=killed_at_every_moment, args=(tmp_path, api.url, 1), kwargs={"direct": True}
    )
    process.start()
    assert exit_code(process) == 0
    states: Counter[str] = Counter()
    spent_usd = Decimal(0)
    for moment in moments_of(tmp_path):
        ledger = ledger_in(tmp_path / str(moment))
        states.update(known_to(ledger, api, 1, moment).counts)
        spent_usd += ledger.spending()[TIER].committed_usd
        assert nothing_is_left_open(ledger), moment
    assert states["errored"] == 2  # between the intent and the answer that is written
    assert states.total() == len(moments_of(tmp_path)) == 2 + 6
    assert set(Counter(bill.packet_text for bill in api.bills).values()) == {1}
    assert spent_usd >= billed_usd(api)


def test_four_runs_of_the_same_questions_pay_once(
    api: TeacherApi, processes: ForkServerContext, tmp_path: Path
) -> None:
    """At once, one of them killed; guards a batch a process, and a search for one on its way."""
    runs = [
        processes.Process(target=dying_run, args=(tmp_path, api.url, 6, moment))
        for moment in (-1, -1, -1, 4)
    ]
    for each in runs:
        each.start()
    codes = {exit_code(each) for each in runs}
    assert codes <= {0, -signal.SIGKILL}
    done = run(api.url, ledger_in(tmp_path), questions(6), most_direct=0)
    assert done.counts == {"scored": 6}
    assert len(api.bills) == 6
    assert done.cost_usd == billed_usd(api)


def test_four_runs_cannot_pass_one_cap(
    api: TeacherApi, processes: ForkServerContext, tmp_path: Path
) -> None:
    """Each has questions of its own and room for itself; the cap has room for two and a half."""
    each_usd = plan_of(api.url, ledger_in(tmp_path / "plan"), questions(6), most_direct=0).upper_usd
    cap_usd = each_usd * Decimal("2.5")
    api.polls_until_ended = 10**6
    runs = [
        processes.Process(target=capped_run, args=(tmp_path, api.url, first, 6, str(cap_usd)))
        for first in (0, 10, 20, 30)
    ]
    for each in runs:
        each.start()
    for each in runs:
        exit_code(each)
    ledger = ledger_in(tmp_path)
    assert ledger.spending()[TIER].committed_usd <= cap_usd
    assert [each.exitcode for each in runs].count(CAP_REACHED) == 2
    assert len(api.batches) == 2
