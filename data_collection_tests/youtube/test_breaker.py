"""The breaker's state machine: what opens it, for how long, and that it always opens the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from data_collection.recordings.errors import ItemError, RecordingError, SetupError, WorldError
from data_collection.recordings.fetch_errors import FETCH_REASONS, fetch_error
from data_collection.youtube.breaker import (
    ANSWERED,
    BreakerOptions,
    BreakerState,
    Outcome,
    Permit,
    Phase,
    Refusal,
    Told,
    Transition,
    after,
    allowance,
    ask,
    at,
    opened_by_damage,
    outcome_of,
    phase_spans,
    transition,
)

START = datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
OPTIONS = BreakerOptions()
BOT_CHECK = Outcome("refused", "bot_check", "not a bot")
TIMED_OUT = Outcome("unreachable", "network", "timed out")
PRIVATE = Outcome("item_fault", "private", "private")
CLOSED = BreakerState()


def later(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def hours_open(state: BreakerState) -> float:
    assert state.until is not None
    assert state.since is not None
    return (state.until - state.since).total_seconds() / 3600


def permit_of(state: BreakerState, now: datetime) -> tuple[BreakerState, Permit]:
    state, answer = ask(state, now, OPTIONS)
    assert isinstance(answer, Permit)
    return state, answer


def told(state: BreakerState, *outcomes: Outcome, now: datetime = START) -> BreakerState:
    """The state after fetches, one after the other at one time."""
    for outcome in outcomes:
        state, permit = permit_of(state, now)
        state = after(state, permit, outcome, now, OPTIONS)
    return state


@pytest.mark.parametrize(
    ("message", "hours"),
    [
        ("[youtube] x: Sign in to confirm you’re not a bot.", 4.0),
        ("[youtube] x: HTTP Error 429: Too Many Requests", 1.0),
        ("[youtube] x: This content isn't available, try again later.", 1.0),
    ],
)
def test_a_refusal_opens_at_once_for_its_time(message: str, hours: float) -> None:
    """One bot check, 429 or rate-limit text opens the breaker for that class's time.

    Guards against a source that is asked on after it said no, which makes blocks longer.
    """
    outcome = outcome_of(fetch_error(message, what="https://u.example/x", folder="f"))
    state = told(CLOSED, outcome)
    assert (state.phase, hours_open(state)) == ("open", hours)
    _, answer = ask(state, later(hours - 0.01), OPTIONS)
    assert isinstance(answer, Refusal)
    assert answer.until == state.until
    _, permit = permit_of(state, later(hours))
    assert permit.probe == 1


@pytest.mark.parametrize(
    ("reason", "stated_s", "seconds"),
    [
        ("too_many_requests", None, 3600),
        ("too_many_requests", 120.0, 120),
        ("too_many_requests", 0.0, 60),
        ("too_many_requests", 1e300, 24 * 3600),
        ("bot_check", 120.0, 4 * 3600),
        ("bot_check", 5 * 3600.0, 5 * 3600),
    ],
)
def test_a_servers_own_time_is_obeyed_within_bounds(
    reason: str, stated_s: float | None, seconds: float
) -> None:
    """A 429's `Retry-After` replaces the hour; it never shortens a bot check or lasts for ever.

    Guards against asking sooner than a server allows, and against a header of a thousand years.
    """
    state = told(CLOSED, Outcome("refused", reason, None, stated_s))
    assert hours_open(state) * 3600 == pytest.approx(seconds)


def test_network_errors_count_only_in_a_row() -> None:
    """Three recordings that meet no network open it for 15 minutes; an answer between starts anew.

    Guards against one host that is down, which would stop all, and against 10,000 timeouts.
    """
    broken = told(CLOSED, TIMED_OUT, TIMED_OUT)
    assert broken.phase == "closed"
    assert told(broken, ANSWERED, TIMED_OUT, TIMED_OUT).phase == "closed"
    assert told(broken, PRIVATE, TIMED_OUT, TIMED_OUT).phase == "closed"
    mixed = told(broken, Outcome("unreachable", "server_error"))
    assert (mixed.phase, mixed.reason, hours_open(mixed)) == ("open", "network", 0.25)


def test_an_outage_doubles_its_time_and_ends() -> None:
    """A probe that meets the outage again doubles the time, up to a day; a success starts anew.

    Guards against a probe every 15 minutes of a week's outage, and a breaker that never forgets.
    """
    state, now = told(CLOSED, TIMED_OUT, TIMED_OUT, TIMED_OUT), START
    seen = []
    for _ in range(9):
        seen.append(hours_open(state))
        assert state.until is not None
        now = state.until
        state = told(state, TIMED_OUT, now=now)
    assert seen == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 24.0]
    assert state.until is not None
    now = state.until
    state = told(state, ANSWERED, now=now)
    assert state.phase == "ramp"
    ended = at(state, now + timedelta(seconds=OPTIONS.ramp_s), OPTIONS)
    assert (ended.phase, ended.openings, ended.reason) == ("closed", 0, None)
    assert hours_open(told(ended, TIMED_OUT, TIMED_OUT, TIMED_OUT, now=later(900))) == 0.25


def test_one_reason_many_times_in_a_row_opens() -> None:
    """Twenty-five recordings in a row that fail alike open it; different reasons never do.

    Guards against a page's new wording that fails ten thousand recordings in a week of nights.
    """
    alike = [Outcome("item_fault", "no_audio_format")] * OPTIONS.same_faults
    assert told(CLOSED, *alike[1:]).phase == "closed"
    state = told(CLOSED, *alike)
    assert (state.phase, state.reason, hours_open(state)) == ("open", "no_audio_format", 6.0)
    assert told(state, alike[0], now=later(6)).phase == "open"
    assert told(state, PRIVATE, now=later(6)).phase == "ramp"
    mixed = [Outcome("item_fault", reason) for reason in ("removed", "private")] * 60
    assert told(CLOSED, *mixed).phase == "closed"


def test_the_ramp_gives_a_budget_a_window() -> None:
    """After the probe, 5, 10 and 20 fetches may begin in windows of ten minutes; then all may.

    Guards against a hundred fetches in the minute after a block.
    """
    state = told(told(CLOSED, BOT_CHECK), ANSWERED, now=later(4))
    assert state.phase == "ramp"
    for minutes, budget in ((0, 5), (10, 10), (20, 20)):
        now = later(4) + timedelta(minutes=minutes)
        assert allowance(state, now, OPTIONS) == budget
        state = told(state, *[ANSWERED] * budget, now=now)
        assert allowance(state, now, OPTIONS) == 0
        state, answer = ask(state, now, OPTIONS)
        assert isinstance(answer, Refusal)
        assert answer.until == later(4) + timedelta(minutes=minutes + 10)
    assert allowance(state, later(4.5), OPTIONS) is None
    assert told(state, *[ANSWERED] * 100, now=later(4.5)).phase == "closed"


def test_a_refusal_on_the_ramp_opens_for_longer() -> None:
    """A second bot check on the ramp doubles the time of the first.

    Guards against a rhythm of one bot check every four hours for weeks.
    """
    state = told(told(CLOSED, BOT_CHECK), ANSWERED, BOT_CHECK, now=later(4))
    assert (state.phase, hours_open(state), state.openings) == ("open", 8.0, 2)


def test_a_source_that_rested_is_not_ramped() -> None:
    """A probe hours after the open time goes straight to closed.

    Guards against a night of five fetches because the night before ended with a 429.
    """
    state = told(told(CLOSED, BOT_CHECK), ANSWERED, now=later(20))
    assert (state.phase, state.openings) == ("closed", 0)


def test_no_ramp_is_a_ramp_of_no_windows() -> None:
    """With `ramp_fetches=()` a probe's success closes at once.

    Guards against an empty setting that leaves a breaker on a ramp without end.
    """
    options = BreakerOptions(ramp_fetches=())
    state = told(CLOSED, BOT_CHECK)
    state, answer = ask(state, later(4), options)
    assert isinstance(answer, Permit)
    assert after(state, answer, ANSWERED, later(4), options).phase == "closed"


def test_what_began_before_it_opened_closes_nothing() -> None:
    """A success or a timeout of a fetch that was under way says nothing of an open breaker.

    Guards against a long download that ends well and lets everybody back in.
    """
    state, early = permit_of(CLOSED, START)
    state = told(state, BOT_CHECK)
    for outcome in (ANSWERED, TIMED_OUT, PRIVATE, Outcome("nothing")):
        assert after(state, early, outcome, later(1), OPTIONS) == state
        half_open = at(state, later(5), OPTIONS)
        assert after(half_open, early, outcome, later(5), OPTIONS) == half_open


def test_one_block_met_by_many_is_one_opening() -> None:
    """Several fetches under way that meet the same bot check open it once, not doubled each.

    Guards against four processes that turn four hours into thirty-two.
    """
    state, permits = CLOSED, []
    for _ in range(4):
        state, permit = permit_of(state, START)
        permits.append(permit)
    for permit in permits:
        state = after(state, permit, BOT_CHECK, START, OPTIONS)
    assert (state.openings, hours_open(state)) == (1, 4.0)
    shorter, longer = (Outcome("refused", "too_many_requests", None, s) for s in (60.0, 21600.0))
    assert after(state, permits[0], shorter, START, OPTIONS) == state
    assert hours_open(after(state, permits[0], longer, START, OPTIONS)) == 6.0


def test_a_probe_that_meets_no_network_opens_again() -> None:
    """One timeout of the probe is enough, whatever had opened it.

    Guards against a ramp into a network that is not there.
    """
    state = told(told(CLOSED, BOT_CHECK), TIMED_OUT, now=later(4))
    assert (state.phase, state.reason, hours_open(state)) == ("open", "network", 0.5)


def test_a_probe_that_tells_nothing_is_given_back() -> None:
    """A full disk or an interrupt during the probe lets the next one probe at once.

    Guards against half an hour of waiting for a probe that nobody has.
    """
    state = told(told(CLOSED, BOT_CHECK), Outcome("nothing"), now=later(4))
    assert state.phase == "half_open"
    _, second = permit_of(state, later(4))
    assert second.probe == 2


def test_a_dead_probe_is_replaced_and_its_ghost_ignored() -> None:
    """After its time another may probe; what the first one says then is stale.

    Guards against a killed process that keeps a source shut for ever.
    """
    state, first = permit_of(told(CLOSED, BOT_CHECK), later(4))
    state, answer = ask(state, later(4.4), OPTIONS)
    assert isinstance(answer, Refusal)
    assert answer.until == later(4.5)
    state, second = permit_of(state, later(4.5))
    assert after(state, first, ANSWERED, later(4.6), OPTIONS) == state
    assert after(state, second, ANSWERED, later(4.6), OPTIONS).phase == "closed"


def test_a_clock_that_is_set_back_waits_no_longer() -> None:
    """A year back, what was left to wait is left still; a year ahead, the probe finds out.

    Guards against a machine whose clock was wrong while it opened, and which would wait a year.
    """
    state = told(CLOSED, BOT_CHECK)
    year_ago = START - timedelta(days=365)
    moved = at(state, year_ago, OPTIONS)
    assert moved.until == year_ago + timedelta(hours=4)
    assert permit_of(moved, year_ago + timedelta(hours=4))[1].probe == 1
    assert permit_of(state, START + timedelta(days=365))[1].probe == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ItemError("private", "d"), "item_fault"),
        (ItemError("corrupt_audio", "d"), "item_fault"),
        (WorldError("network", "d"), "unreachable"),
        (WorldError("server_error", "d"), "unreachable"),
        (WorldError("something_new", "d"), "unreachable"),
        (WorldError("something_new", "d", stops_batch=True), "refused"),
        (WorldError("bot_check", "d"), "refused"),
        (WorldError("breaker_open", "d", stops_batch=True), "nothing"),
        (SetupError("disk_full", "d"), "nothing"),
        (KeyboardInterrupt(), "nothing"),
        (ValueError("a bug"), "nothing"),
    ],
)
def test_whose_fault_decides_what_is_told(error: BaseException, expected: Told) -> None:
    """Only the world's faults open; ours tell nothing; an item's fault is an answer.

    Guards against a full disk that opens the breaker, and a bug that counts as an outage.
    """
    assert outcome_of(error).told == expected


def test_every_reason_of_a_fetch_is_told() -> None:
    """Each reason that yt-dlp's messages give is classed by its fault.

    Guards against a new reason of the world that nobody counts.
    """
    kinds: dict[str, type[RecordingError]] = {
        "item": ItemError,
        "world": WorldError,
        "us": SetupError,
    }
    for row in FETCH_REASONS:
        error = kinds[row.fault](row.reason, "d", stops_batch=row.stops_batch)
        expected = {
            "item": {"item_fault"},
            "world": {"refused", "unreachable"},
            "us": {"nothing"},
        }
        assert outcome_of(error).told in expected[row.fault]


def test_options_that_cannot_work_are_refused() -> None:
    """Times that are no times, a window without a fetch, a longest below the shortest.

    Guards against a ramp that never ends and a breaker that is never open.
    """
    for wrong in (
        {"network_s": 0},
        {"network_s": float("nan")},
        {"longest_s": float("inf")},
        {"ramp_fetches": (5, 0)},
        {"shortest_s": 100, "longest_s": 50},
        {"network_errors": 0},
        {"unknown": 1},
    ):
        with pytest.raises(ValueError, match="1 validation error"):
            BreakerOptions.model_validate(wrong)


def test_the_plot_has_no_gaps() -> None:
    """The phases of two nights follow each other from end to end, whatever the order of notes.

    Guards against a plot with holes where the clock was set back, and bars beyond its edges.
    """
    opened = told(CLOSED, BOT_CHECK)
    half_open = at(opened, later(9), OPTIONS)
    closed = told(half_open, ANSWERED, now=later(9))
    states = [CLOSED, opened, half_open, closed]
    changes = [
        transition(before, now, recording_id="yt_x", detail="d") for before, now in pairwise(states)
    ]
    history = [change for change in changes if change]
    spans = phase_spans(history[::-1], later(-1), later(24))
    assert [(span.phase, span.start, span.end, span.reason) for span in spans] == [
        ("closed", later(-1), START, None),
        ("open", START, later(4), "bot_check"),
        ("half_open", later(4), later(9), "bot_check"),
        ("closed", later(9), later(24), None),
    ]
    assert [span.phase for span in phase_spans(history, later(1), later(2))] == ["open"]
    assert [span.phase for span in phase_spans([], START, later(1))] == ["closed"]
    assert phase_spans(history, later(2), later(1)) == ()


OUTCOMES = st.one_of(
    st.just(ANSWERED),
    st.builds(
        Outcome,
        st.sampled_from(get_args(Told)),
        st.sampled_from(["bot_check", "too_many_requests", "network", "removed", "new", None]),
        st.none(),
        st.one_of(st.none(), st.floats(0, 1e12)),
    ),
)
ALL_OPTIONS = st.builds(
    BreakerOptions,
    network_errors=st.integers(1, 3),
    same_faults=st.integers(1, 4),
    ramp_fetches=st.lists(st.integers(1, 3), max_size=3).map(tuple),
    probe_s=st.sampled_from([60.0, 1800.0]),
)


@dataclass
class Asked:
    """A fetch that is under way, and how far the clock has gone forward since it began."""

    permit: Permit
    forward_s: float = 0.0


class AnyNights(RuleBasedStateMachine):
    """Fetches of several processes, in any order, under a clock that may be set."""

    @initialize(options=ALL_OPTIONS, damaged=st.booleans())
    def begin(self, options: BreakerOptions, damaged: bool) -> None:
        """Begin closed, or with a file that could not be read."""
        self.options = options
        self.now = START
        self.state = opened_by_damage(self.now, options) if damaged else CLOSED
        self.under_way: list[Asked] = []
        self.history: list[Transition] = []

    def change(self, state: BreakerState) -> None:
        """Take a state over and note its change of phase."""
        noted = transition(self.state, state, recording_id=None, detail=None)
        self.history += [noted] if noted else []
        self.state = state

    @rule(seconds=st.one_of(st.floats(0, 2000), st.floats(0, 3 * 86_400)))
    def wait(self, seconds: float) -> None:
        """Let the clock go on, or be set forward."""
        self.now += timedelta(seconds=seconds)
        for asked in self.under_way:
            asked.forward_s += seconds

    @rule(seconds=st.floats(0, 400 * 86_400))
    def set_clock_back(self, seconds: float) -> None:
        """Set the clock back, also by a year."""
        self.now -= timedelta(seconds=seconds)

    @rule()
    def ask_for_one(self) -> None:
        """Ask for a fetch: a second probe never stands beside a live one."""
        could = allowance(self.state, self.now, self.options)
        state, answer = ask(self.state, self.now, self.options)
        self.change(state)
        assert isinstance(answer, Permit) is (could is None or could > 0)
        if isinstance(answer, Refusal):
            assert answer.until > self.now
            return
        if answer.probe is not None:
            for asked in self.under_way:
                same = asked.permit.generation == answer.generation and asked.permit.probe
                assert not same or asked.forward_s >= self.options.probe_s - 1e-3
        self.under_way.append(Asked(answer))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=OUTCOMES)
    def report_one(self, data: st.DataObject, outcome: Outcome) -> None:
        """Tell what became of any fetch that is under way."""
        index = data.draw(st.integers(0, len(self.under_way) - 1))
        permit = self.under_way.pop(index).permit
        was = at(self.state, self.now, self.options)
        self.change(after(self.state, permit, outcome, self.now, self.options))
        if outcome.told == "refused":
            assert self.state.phase == "open"
        if outcome.told in ("answered", "nothing") and was.phase == "open":
            assert self.state == was
        if outcome.told == "nothing":
            assert self.state.phase == was.phase

    @invariant()
    def is_never_open_for_ever(self) -> None:
        """Who has looked once has leave within the longest time."""
        longest_s = max(self.options.longest_s, self.options.probe_s, self.options.ramp_window_s)
        seen = at(self.state, self.now, self.options)
        then = self.now + timedelta(seconds=longest_s)
        assert isinstance(ask(seen, then, self.options)[1], Permit)

    @invariant()
    def comes_back_from_its_file(self) -> None:
        """No state is damaged by being written."""
        assert BreakerState.model_validate_json(self.state.model_dump_json()) == self.state

    @invariant()
    def time_alone_changes_nothing_twice(self) -> None:
        """Looking again at the same time sees the same."""
        once = at(self.state, self.now, self.options)
        assert at(once, self.now, self.options) == once

    @invariant()
    def a_good_source_is_soon_asked_freely(self) -> None:
        """One good probe and a ramp's time close it."""
        seen = at(self.state, self.now, self.options)
        wait_s = self.options.longest_s + self.options.probe_s
        now = self.now + timedelta(seconds=wait_s)
        state, answer = ask(seen, now, self.options)
        assert isinstance(answer, Permit)
        state = after(state, answer, ANSWERED, now, self.options)
        now += timedelta(seconds=self.options.ramp_s)
        assert at(state, now, self.options).phase == "closed"

    @invariant()
    def the_plot_is_whole(self) -> None:
        """The bars of a day fill it."""
        spans = phase_spans(self.history, START, START + timedelta(days=1))
        assert sum((span.end - span.start).total_seconds() for span in spans) == 86_400
        assert {span.phase for span in spans} <= set(get_args(Phase))


def test_whatever_happens_it_holds() -> None:
    """Any fetches and clocks: never two probes, never open for ever, always closed in the end.

    Guards against the states that nobody thought of: late reports, dead probes, clocks that jump.
    """
    run_state_machine_as_test(
        AnyNights, settings=settings(max_examples=100, stateful_step_count=25)
    )
