"""When a source may be asked: the breaker as a pure state machine.

What belongs here: phases, what each outcome of a fetch does to them, and for how long. What does
not: where the state lies and who holds it (`shared_breaker`). Times are passed in, never read off
a clock. Why not a breaker library: those open after n errors of any kind for one fixed time, and
their state is a process's own; here the kind decides, and one process of all gets the probe.

Closed until the source refuses us (bot check, 429), cannot be reached, or says the same of one
recording after the other. Then open for that class's time, longer each time in a row; then one
probe; then a ramp, a budget of fetches in each window, which is counted from the end of the open
time: a source that nobody asked for hours is not ramped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from data_collection.recordings.errors import ItemError, RecordingError, SetupError
from data_collection.recordings.retry_after import retry_after_s

Phase = Literal["closed", "open", "half_open", "ramp"]
Told = Literal["answered", "refused", "unreachable", "item_fault", "nothing"]

BREAKER_OPEN = "breaker_open"
"""Reason of a recording that was not asked for."""
NETWORK = "network"
STATE_DAMAGED = "state_damaged"
UNREACHABLE = frozenset({NETWORK, "server_error"})
REFUSED = frozenset({"bot_check", "rate_limited", "too_many_requests"})
LONGEST_DETAIL = 500


class BreakerOptions(BaseModel):
    """How long and how often; the defaults suit a guest of YouTube."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bot_check_s: float = Field(default=4 * 3600.0, gt=0, description="open after a bot check")
    too_many_requests_s: float = Field(
        default=3600.0, gt=0, description="open after a 429 that names no time of its own"
    )
    rate_limited_s: float = Field(
        default=3600.0, gt=0, description="open after the text of a rate limit: up to an hour"
    )
    network_s: float = Field(default=900.0, gt=0, description="open after network errors in a row")
    same_fault_s: float = Field(
        default=6 * 3600.0, gt=0, description="open after one reason many times in a row"
    )
    state_damaged_s: float = Field(
        default=3600.0, gt=0, description="open where the stored state cannot be read"
    )
    shortest_s: float = Field(default=60.0, gt=0, description="of any open time, also a server's")
    longest_s: float = Field(
        default=24 * 3600.0, gt=0, description="of any open time, however often it was doubled"
    )
    network_errors: int = Field(default=3, ge=1, description="in a row that open the breaker")
    same_faults: int = Field(
        default=25,
        ge=1,
        description="recordings in a row with one reason that open the breaker: a page's new "
        "wording, an outdated yt-dlp; above any channel's nightly budget, or a channel that was "
        "closed down stops the others",
    )
    probe_s: float = Field(
        default=1800.0, gt=0, description="a probe that says nothing for so long has died"
    )
    ramp_window_s: float = Field(default=600.0, gt=0, description="length of a ramp's window")
    ramp_fetches: tuple[int, ...] = Field(
        default=(5, 10, 20), description="fetches that may begin in each window; () for no ramp"
    )

    @model_validator(mode="after")
    def _is_possible(self) -> BreakerOptions:
        if self.shortest_s > self.longest_s:
            raise ValueError("shortest_s is longer than longest_s")
        if any(fetches < 1 for fetches in self.ramp_fetches):
            raise ValueError("a window of ramp_fetches without any fetch would end nothing")
        return self

    @property
    def ramp_s(self) -> float:
        """Length of the whole ramp."""
        return self.ramp_window_s * len(self.ramp_fetches)


class BreakerState(BaseModel):
    """What all processes agree on.

    Attributes:
        phase: `closed` asks freely, `open` not at all, `half_open` by one probe, `ramp` by a
            budget.
        since: when the phase began; None for one that was never left.
        until: end of the last open time, also in `half_open` and `ramp`; None where closed.
        reason: why it was last opened; None where closed.
        openings: how often it was opened since it was last closed.
        generation: how often it was ever opened; permits of an earlier generation are stale.
        probe: number of the last probe.
        probe_until: when that probe counts as dead; None where nobody has it.
        ramp_window: the window that `ramp_begun` counts, from 0.
        ramp_begun: fetches begun in it.
        streak_reason: reason of the last outcomes; None after a success.
        streak: how many they are.
        seen_at: time of the last change; a clock that shows less was set back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: Phase = "closed"
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    reason: str | None = None
    openings: int = Field(default=0, ge=0)
    generation: int = Field(default=0, ge=0)
    probe: int = Field(default=0, ge=0)
    probe_until: AwareDatetime | None = None
    ramp_window: int = Field(default=0, ge=0)
    ramp_begun: int = Field(default=0, ge=0)
    streak_reason: str | None = None
    streak: int = Field(default=0, ge=0)
    seen_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _has_its_times(self) -> BreakerState:
        if self.phase != "closed" and None in (self.since, self.until, self.seen_at):
            raise ValueError(f"a breaker that is {self.phase} needs since, until and seen_at")
        return self


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to fetch one recording; its outcome is told with it.

    Attributes:
        generation: of the state that gave it.
        probe: the probe's number; None for any other fetch.
    """

    generation: int
    probe: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """No leave to fetch.

    Attributes:
        until: the earliest time at which asking again can help.
        because: why, in words.
    """

    until: datetime
    because: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fetch tells of the source.

    Attributes:
        told: `answered` (it works), `refused` (it wants us to stop), `unreachable`, `item_fault`
            (it answers, and something is wrong with this recording), `nothing` (our own fault).
        reason: the error's.
        detail: the error's.
        retry_after_s: seconds that the server asks to wait.
    """

    told: Told
    reason: str | None = None
    detail: str | None = None
    retry_after_s: float | None = None


ANSWERED = Outcome("answered")


def outcome_of(error: BaseException) -> Outcome:
    """What an error tells of the source; an interrupt, a bug or a full disk tell nothing."""
    if not isinstance(error, RecordingError) or error.reason == BREAKER_OPEN:
        return Outcome("nothing")
    if isinstance(error, SetupError):
        return Outcome("nothing", error.reason, error.detail)
    if isinstance(error, ItemError):
        return Outcome("item_fault", error.reason, error.detail)
    stops_us = error.stops_batch and error.reason not in UNREACHABLE
    told: Told = "refused" if stops_us or error.reason in REFUSED else "unreachable"
    return Outcome(told, error.reason, error.detail, _stated_wait_s(error))


def _stated_wait_s(error: BaseException) -> float | None:
    """`Retry-After` of the answer behind an error of yt-dlp, which wraps it once or twice."""
    for cause in _causes(error):
        headers = getattr(getattr(cause, "response", None), "headers", None)
        if headers is not None:
            return retry_after_s(headers.get("Retry-After"))
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        wrapped = getattr(cause, "exc_info", None) or (None, None)
        waiting += [wrapped[1], getattr(cause, "cause", None), cause.__cause__]


def at(state: BreakerState, now: datetime, options: BreakerOptions) -> BreakerState:
    """The state as time has made it.

    A clock that was set back takes the state's times along, so that what was left to wait is left
    still; one that was set forward opens early, which the probe finds out.
    """
    state = _with_clock(state, now, options)
    if state.phase == "open" and state.until and now >= state.until:
        state = _changed(state, now, phase="half_open", since=state.until, probe_until=None)
    if state.phase == "half_open" and state.probe_until and now >= state.probe_until:
        state = _changed(state, now, probe_until=None)
    if state.phase == "ramp" and _ramp_window(state, now, options) >= len(options.ramp_fetches):
        state = _closed(state, now, since=_plus(_reopened_at(state), options.ramp_s))
    return state


def ask(
    state: BreakerState, now: datetime, options: BreakerOptions
) -> tuple[BreakerState, Permit | Refusal]:
    """Ask for leave to fetch one recording.

    Returns:
        The state with the permit taken off it, and the permit, or why there is none.
    """
    state = at(state, now, options)
    if state.phase == "open":
        return state, Refusal(_reopened_at(state), f"{state.reason}, {_times(state.openings)}")
    if state.phase == "half_open":
        return _ask_for_probe(state, now, options)
    if state.phase == "ramp":
        return _ask_on_ramp(state, now, options)
    return state, Permit(state.generation)


def _ask_for_probe(
    state: BreakerState, now: datetime, options: BreakerOptions
) -> tuple[BreakerState, Permit | Refusal]:
    if state.probe_until is not None:
        return state, Refusal(
            state.probe_until, f"another fetch tries whether {state.reason} is over"
        )
    state = _changed(state, now, probe=state.probe + 1, probe_until=_plus(now, options.probe_s))
    return state, Permit(state.generation, probe=state.probe)


def _ask_on_ramp(
    state: BreakerState, now: datetime, options: BreakerOptions
) -> tuple[BreakerState, Permit | Refusal]:
    window = _ramp_window(state, now, options)
    begun = state.ramp_begun if window == state.ramp_window else 0
    if begun >= options.ramp_fetches[window]:
        until = _plus(_reopened_at(state), (window + 1) * options.ramp_window_s)
        return state, Refusal(until, f"a slow start after {state.reason}")
    state = _changed(state, now, ramp_window=window, ramp_begun=begun + 1)
    return state, Permit(state.generation)


def after(
    state: BreakerState, permit: Permit, outcome: Outcome, now: datetime, options: BreakerOptions
) -> BreakerState:
    """The state after a fetch.

    A stale permit (the breaker was opened since, or its probe counts as dead) tells only that the
    source refuses: a success that began before a bot check does not end it.
    """
    state = at(state, now, options)
    if outcome.told == "refused":
        return _opened(state, now, outcome, _refused_s(outcome, options), options)
    if not _is_current(state, permit):
        return state
    if outcome.told == "nothing":
        gives_back = permit.probe is not None and state.probe_until is not None
        return _changed(state, now, probe_until=None) if gives_back else state
    if outcome.told == "answered":
        state = _streak_ended(state, now)
        return _reopened(state, now, options) if state.phase == "half_open" else state
    return _after_fault(state, outcome, now, options)


def _after_fault(
    state: BreakerState, outcome: Outcome, now: datetime, options: BreakerOptions
) -> BreakerState:
    """One more of a kind; enough of them, or one where that kind had opened it, open."""
    unreachable = outcome.told == "unreachable"
    kind = NETWORK if unreachable else (outcome.reason or "unknown")
    streak = state.streak + 1 if kind == state.streak_reason else 1
    state = _changed(state, now, streak_reason=kind, streak=streak)
    probing = state.phase == "half_open"
    most = options.network_errors if unreachable else options.same_faults
    if streak >= most or (probing and (unreachable or kind == state.reason)):
        base_s = options.network_s if unreachable else options.same_fault_s
        stated_s = max(base_s, outcome.retry_after_s or 0.0)
        opening = Outcome(outcome.told, kind, outcome.detail)
        return _opened(state, now, opening, stated_s, options)
    return _reopened(state, now, options) if probing else state


def opened_by_damage(now: datetime, options: BreakerOptions) -> BreakerState:
    """The cautious state where nobody knows the last one."""
    outcome = Outcome("nothing", STATE_DAMAGED)
    return _opened(BreakerState(), now, outcome, options.state_damaged_s, options)


def allowance(state: BreakerState, now: datetime, options: BreakerOptions) -> int | None:
    """How many fetches may begin now if the first goes well; None for any number."""
    state = at(state, now, options)
    if state.phase == "open" or state.probe_until is not None:
        return 0
    window = _ramp_window(state, now, options) if state.until else len(options.ramp_fetches)
    if window >= len(options.ramp_fetches):
        return None
    if state.phase == "half_open":
        return 1 + options.ramp_fetches[window]
    begun = state.ramp_begun if window == state.ramp_window else 0
    return max(0, options.ramp_fetches[window] - begun)


def _refused_s(outcome: Outcome, options: BreakerOptions) -> float:
    by_reason = {"bot_check": options.bot_check_s, "rate_limited": options.rate_limited_s}
    base_s = by_reason.get(outcome.reason or "", options.too_many_requests_s)
    if outcome.retry_after_s is None:
        return base_s
    # A 429 that names its time is believed; beside a bot check the header is some proxy's.
    is_429 = outcome.reason == "too_many_requests"
    return outcome.retry_after_s if is_429 else max(base_s, outcome.retry_after_s)


def _opened(
    state: BreakerState, now: datetime, outcome: Outcome, base_s: float, options: BreakerOptions
) -> BreakerState:
    """Open, or stay open for longer: what was under way when it opened tells of the same event."""
    if state.phase == "open":
        until = _plus(now, _bounded_s(base_s, options))
        if until <= _reopened_at(state):
            return state
        return _changed(state, now, until=until, reason=outcome.reason)
    doubled_s = base_s * 2.0 ** min(state.openings, 32)
    return _changed(
        state,
        now,
        phase="open",
        since=now,
        until=_plus(now, _bounded_s(doubled_s, options)),
        reason=outcome.reason,
        openings=state.openings + 1,
        generation=state.generation + 1,
        probe_until=None,
        streak_reason=None,
        streak=0,
    )


def _bounded_s(seconds: float, options: BreakerOptions) -> float:
    return min(max(seconds, options.shortest_s), options.longest_s)


def _reopened(state: BreakerState, now: datetime, options: BreakerOptions) -> BreakerState:
    """On to the ramp after a probe, or past it where its time is over."""
    state = _changed(
        state, now, phase="ramp", since=now, probe_until=None, ramp_window=0, ramp_begun=0
    )
    is_over = _ramp_window(state, now, options) >= len(options.ramp_fetches)
    return _closed(state, now, since=now) if is_over else state


def _closed(state: BreakerState, now: datetime, *, since: datetime) -> BreakerState:
    return _changed(state, now, phase="closed", since=since, until=None, reason=None, openings=0)


def _streak_ended(state: BreakerState, now: datetime) -> BreakerState:
    return _changed(state, now, streak_reason=None, streak=0) if state.streak else state


def _is_current(state: BreakerState, permit: Permit) -> bool:
    is_probe = permit.probe in (None, state.probe)
    return is_probe and permit.generation == state.generation


def _with_clock(state: BreakerState, now: datetime, options: BreakerOptions) -> BreakerState:
    """Move the state's times along with a clock that was set back, and bound what is left."""
    if state.seen_at is None:
        return state
    back = max(timedelta(0), state.seen_at - now)
    latest = _plus(now, options.longest_s)
    probe_latest = _plus(now, options.probe_s)
    moved = {
        "since": _moved(state.since, back),
        "until": _moved(state.until, back, latest),
        "probe_until": _moved(state.probe_until, back, probe_latest),
    }
    is_same = all(getattr(state, name) == value for name, value in moved.items())
    return state if not back and is_same else _changed(state, now, **moved)


def _moved(
    time: datetime | None, back: timedelta, latest: datetime | None = None
) -> datetime | None:
    if time is None:
        return None
    moved = time - back
    return min(moved, latest) if latest else moved


def _ramp_window(state: BreakerState, now: datetime, options: BreakerOptions) -> int:
    reopened_s = (now - _reopened_at(state)).total_seconds()
    return max(0, math.floor(reopened_s / options.ramp_window_s))


def _reopened_at(state: BreakerState) -> datetime:
    if state.until is None:
        raise AssertionError(f"a breaker that is {state.phase} has no end of its open time")
    return state.until


def _plus(time: datetime, seconds: float) -> datetime:
    return time + timedelta(seconds=seconds)


def _times(number: int) -> str:
    return "for the first time" if number == 1 else f"{number} times in a row"


def _changed(state: BreakerState, now: datetime, **update: object) -> BreakerState:
    return state.model_copy(update={**update, "seen_at": now})


class Transition(BaseModel):
    """A change of phase, for the plot of the last nights.

    Attributes:
        at: when the phase began.
        phase: the new phase.
        until: end of the open time.
        reason: why it was opened.
        detail: the error's words.
        recording_id: whose fetch changed it; None where time did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    phase: Phase
    until: AwareDatetime | None = None
    reason: str | None = None
    detail: str | None = None
    recording_id: str | None = None


def transition(
    before: BreakerState, now: BreakerState, *, recording_id: str | None, detail: str | None
) -> Transition | None:
    """What to note of a change; None where neither the phase nor the open time is another."""
    is_same = (before.phase, before.generation) == (now.phase, now.generation)
    is_longer = now.phase == "open" and before.reason != now.reason
    if now.since is None or (is_same and not is_longer):
        return None
    return Transition(
        at=now.since,
        phase=now.phase,
        until=now.until if now.phase == "open" else None,
        reason=now.reason,
        detail=detail[:LONGEST_DETAIL] if detail and now.phase == "open" else None,
        recording_id=recording_id,
    )


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A bar of the plot: a phase, from when to when, and why it was opened."""

    phase: Phase
    start: datetime
    end: datetime
    reason: str | None


def phase_spans(
    history: Sequence[Transition], start: datetime, end: datetime
) -> tuple[PhaseSpan, ...]:
    """The phases between two times, without gaps; closed before the first transition."""
    first = Transition(at=start, phase="closed")
    # A clock that was set back leaves transitions out of order.
    ordered = sorted(history, key=lambda change: change.at)
    return tuple(_spans([first, *ordered], start, end))


def _spans(changes: Iterable[Transition], start: datetime, end: datetime) -> Iterator[PhaseSpan]:
    last = Transition(at=end, phase="closed")
    for change, following in pairwise([*changes, last]):
        begin, finish = max(change.at, start), min(following.at, end)
        if begin < finish:
            yield PhaseSpan(change.phase, begin, finish, change.reason)
