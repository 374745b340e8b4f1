"""The ledger: caps that hold, and money that is counted once, whatever is called and how often."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from data_collection.recordings.errors import SetupError
from data_collection.teacher.ledger import LEDGER_FILE, Ask, Caps, Ledger, Settlement

USD = Decimal
CAPS = Caps(total_usd=USD(10), tier_usd={"t2": USD(8), "t3": USD(6)})


def ledger_in(folder: Path, caps: Caps = CAPS) -> Ledger:
    return Ledger(folder, caps)


def reserve(ledger: Ledger, *asks: Ask, tier: str = "t2") -> list[str]:
    return ledger.reserve(tier, "model", "batch", "http://teacher", [asks])


def answered(custom_id: str, usd: str) -> Settlement:
    return Settlement(custom_id, "answered", USD(usd), "{}")


def test_a_reservation_counts_until_it_is_settled(tmp_path: Path) -> None:
    """By its bound first, by its cost afterwards; guards a cap that forgets what is on its way."""
    ledger = ledger_in(tmp_path)
    (intent,) = reserve(ledger, Ask("a", USD(3)), Ask("b", USD(2)))
    assert ledger.left_usd("t2") == 3
    assert ledger.left_usd("t3") == 5
    ledger.begin_post(intent, None)
    ledger.posted(intent, "batch")
    assert ledger.settle(intent, [answered("a", "0.5")]) == 1
    assert ledger.spending()["t2"].settled_usd == USD("0.5")
    assert ledger.spending()["t2"].reserved_usd == 2
    assert ledger.settle(intent, [answered("a", "0.5"), answered("b", "0.25")]) == 0
    assert ledger.spending()["t2"].committed_usd == USD("0.75")
    assert not ledger.intents("running")


@pytest.mark.parametrize(
    ("tier", "needed", "said"),
    [
        ("t2", "8.01", "the cap of tier t2 is $8.0000"),
        ("t3", "6.000001", "the cap of tier t3 is $6.0000"),
        ("t4", "0.01", "the cap of tier t4 is $0.0000"),
    ],
)
def test_a_cap_is_never_passed(tmp_path: Path, tier: str, needed: str, said: str) -> None:
    """The message names cap, spent, reserved, needed, and what to change; nothing is reserved."""
    ledger = ledger_in(tmp_path)
    with pytest.raises(SetupError) as told:
        reserve(ledger, Ask("a", USD(needed)), tier=tier)
    assert told.value.reason == "teacher_cap_reached"
    for part in (said, "spent $0.0000", "reserved $0.0000", "needed $", "TEACHER_TIER_CAPS_USD"):
        assert part in told.value.detail
    assert not ledger.spending()


def test_the_total_is_a_cap_of_its_own(tmp_path: Path) -> None:
    """Two tiers below theirs may be above it; guards a budget that is spent twice."""
    ledger = ledger_in(tmp_path)
    reserve(ledger, Ask("a", USD(5)))
    with pytest.raises(SetupError, match=r"all tiers is \$10.*reserved \$5.*TEACHER_CAP_USD"):
        reserve(ledger, Ask("b", USD("5.5")), tier="t3")
    assert reserve(ledger, Ask("b", USD(5)), tier="t3")
    assert ledger.left_usd("t2") == 0


@pytest.mark.parametrize("usd", ["-1", "NaN", "Infinity"])
def test_a_cap_is_an_amount(usd: str) -> None:
    """Guards a cap that every comparison is false for."""
    with pytest.raises(SetupError, match="no amount of USD"):
        Caps(total_usd=USD(usd), tier_usd={})


def test_all_groups_are_reserved_or_none(tmp_path: Path) -> None:
    """Guards half of a plan that is paid for before the cap is met."""
    ledger = ledger_in(tmp_path)
    groups = [[Ask("a", USD(5))], [Ask("b", USD(5))]]
    with pytest.raises(SetupError):
        ledger.reserve("t2", "model", "batch", "http://teacher", groups)
    assert not ledger.intents("reserved")


def test_a_question_is_open_once(tmp_path: Path) -> None:
    """Whoever comes second, or with what it knew before, asks nothing; guards paying twice."""
    ledger = ledger_in(tmp_path)
    (first,) = reserve(ledger, Ask("a", USD(1)))
    assert reserve(ledger, Ask("a", USD(1))) == []
    ledger.begin_post(first, None)
    ledger.settle(first, [answered("a", "1")])
    assert reserve(ledger, Ask("a", USD(1), tries=0)) == []
    assert reserve(ledger, Ask("a", USD(1), tries=1))


def test_what_was_never_posted_is_given_back_once(tmp_path: Path) -> None:
    """Guards money that stays reserved after a crash, and a release that frees what is running."""
    ledger = ledger_in(tmp_path)
    running, waiting = ledger.reserve(
        "t2", "model", "batch", "http://teacher", [[Ask("a", USD(1))], [Ask("b", USD(2))]]
    )
    ledger.begin_post(running, None)
    assert ledger.release_reserved() == 1
    assert ledger.release_reserved() == 0
    assert ledger.spending()["t2"].reserved_usd == 1
    with pytest.raises(SetupError, match="no longer reserved"):
        ledger.begin_post(waiting, None)
    assert reserve(ledger, Ask("b", USD(2)))


def test_what_is_lost_counts_in_full(tmp_path: Path) -> None:
    """Guards a cap that is passed by answers which nobody could read."""
    ledger = ledger_in(tmp_path)
    (intent,) = reserve(ledger, Ask("a", USD(3)))
    ledger.begin_post(intent, None)
    ledger.lose(intent)
    ledger.settle(intent, [answered("a", "1")])
    assert ledger.spending()["t2"].settled_usd == 3
    assert ledger.tries(["a"])["a"][0].state == "lost"


def test_a_damaged_ledger_is_not_begun_anew(tmp_path: Path) -> None:
    """Guards a cap that starts at zero because a file was torn."""
    (tmp_path / LEDGER_FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(SetupError, match="Never delete it") as told:
        ledger_in(tmp_path).spending()
    assert told.value.reason == "ledger_unusable"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Guards a bare traceback of sqlite or of the lock."""
    (tmp_path / "file").write_text("")
    ledger = ledger_in(tmp_path / "file")
    with pytest.raises(SetupError, match="can be written to"):
        ledger.spending()
    with pytest.raises(SetupError, match="can be written to"), ledger.submitting(timeout_s=0.1):
        pass


def test_one_process_submits_at_a_time(tmp_path: Path) -> None:
    """Guards two that look for the same lost batch; the lock is let go afterwards."""
    ledger = ledger_in(tmp_path)
    with (
        ledger.submitting(),
        pytest.raises(SetupError, match="no process is stopped"),
        ledger.submitting(timeout_s=0.05),
    ):
        pass
    with ledger.submitting(timeout_s=0.05):
        pass


def _reserve_in_a_process(folder: Path, name: str, start: Callable[[], object]) -> None:
    start()
    ledger = ledger_in(folder)
    for number in range(10):
        try:
            reserve(ledger, Ask(f"{name}{number}", USD("0.7")))
        except SetupError:
            return


def test_four_processes_cannot_pass_a_cap_together(tmp_path: Path) -> None:
    """40 times $0.70 against $8 is eleven times; guards a check that is not one with its write."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [
        context.Process(target=_reserve_in_a_process, args=(tmp_path, name, barrier.wait))
        for name in "abcd"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert ledger_in(tmp_path).spending()["t2"].reserved_usd == USD("7.7")


class AnyOrder(RuleBasedStateMachine):
    """Anything may be called in any order and again: caps hold, and each answer counts once."""

    root: Path

    @initialize()
    def begin(self) -> None:
        """Start with a ledger of its own."""
        self.ledger = ledger_in(Path(tempfile.mkdtemp(dir=self.root)))
        self.intents: list[str] = []
        self.paid: dict[str, Decimal] = {}

    @rule(ids=st.sets(st.sampled_from("abcdef"), min_size=1), usd=st.integers(1, 4))
    def reserve(self, ids: set[str], usd: int) -> None:
        """Promise, where the cap lets."""
        try:
            self.intents += reserve(self.ledger, *(Ask(id_, USD(usd)) for id_ in sorted(ids)))
        except SetupError as error:
            assert error.reason == "teacher_cap_reached"  # noqa: PT017

    @rule(number=st.integers(0, 3))
    def post(self, number: int) -> None:
        """Post one, if it still may be."""
        for intent in self.intents[number : number + 1]:
            try:
                self.ledger.begin_post(intent, None)
                self.ledger.posted(intent, f"batch of {intent}")
            except SetupError as error:
                assert error.reason == "teacher_not_reserved"  # noqa: PT017

    @rule(number=st.integers(0, 3), id_=st.sampled_from("abcdef"))
    def answer(self, number: int, id_: str) -> None:
        """Tell of one answer, perhaps not for the first time."""
        running = [intent.intent_id for intent in self.ledger.intents("running")]
        for intent in running[number : number + 1]:
            is_open = id_ in self.ledger.custom_ids(intent) and id_ not in self.paid
            self.ledger.settle(intent, [answered(id_, "0.5")])
            if is_open:
                self.paid[id_] = USD("0.5")

    @rule()
    def restart(self) -> None:
        """Give back what a killed process had reserved."""
        self.ledger.release_reserved()

    @invariant()
    def holds(self) -> None:
        """Below the cap, and each answer once."""
        spent = self.ledger.spending().get("t2")
        if spent:
            assert spent.committed_usd <= 8
            assert spent.settled_usd == sum(self.paid.values())


def test_any_order(tmp_path: Path) -> None:
    """Guards a state that only an unusual order of crashes and repeats leads to."""
    machine = type("InAFolder", (AnyOrder,), {"root": tmp_path})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=12))
