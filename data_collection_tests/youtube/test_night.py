"""The night's plan: budgets, fairness, contiguous runs, and whole weeks of nights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.recordings.receipts import Receipt, State
from data_collection.youtube.night import (
    ChannelBudget,
    NightBudget,
    NightItem,
    NightPlan,
    night_began_at,
    plan_night,
)

NOW = datetime(2026, 11, 10, 23, 0, tzinfo=UTC)
BEGAN = datetime(2026, 11, 10, 20, 0, tzinfo=UTC)


def receipt(
    recording_id: str,
    state: State,
    reason: str | None = None,
    *,
    at: datetime = NOW - timedelta(days=60),
    attempts: int = 1,
) -> Receipt:
    return Receipt(
        stage="youtube_piano_cache/audio",
        recording_id=recording_id,
        state=state,
        reason=reason,
        attempts=attempts,
        fingerprint="",
        inputs={},
        parameters={},
        started_at=at,
        finished_at=at + timedelta(seconds=20),
    )


def item(
    number: int,
    channel: str = "a",
    state: State | None = None,
    reason: str | None = None,
    *,
    at: datetime = NOW - timedelta(days=60),
    attempts: int = 1,
    not_wanted: str | None = None,
    out_at: datetime | None = None,
) -> NightItem:
    key = f"yt_{number:04d}"
    audio = receipt(key, state, reason, at=at, attempts=attempts) if state else None
    return NightItem(key, channel, audio, not_wanted, out_at)


def channels(**recordings: int) -> dict[str, ChannelBudget]:
    return {name: ChannelBudget(recordings=number) for name, number in recordings.items()}


def plan(items: Sequence[NightItem], budget: NightBudget | None = None, **more: int) -> NightPlan:
    return plan_night(items, channels(**more), budget or NightBudget(), NOW)


def numbers(keys: Iterable[str]) -> list[int]:
    return [int(key.removeprefix("yt_")) for key in keys]


def waits(planned: NightPlan) -> dict[str, tuple[str, str | None]]:
    return {left.recording_id: (left.why, left.detail) for left in planned.left}


def test_the_oldest_of_a_channel_go_first() -> None:
    """A channel's budget goes to its first missing recordings, as one run.

    Guards against new uploads that keep an archive's end from ever being fetched.
    """
    planned = plan([item(n, state="done" if n < 5 else None) for n in range(40)], a=10)
    assert [numbers(run) for run in planned.runs] == [list(range(5, 15))]
    assert planned.left_by_reason() == {"channel_budget": 25}
    assert (dict(planned.planned), dict(planned.spent)) == ({"a": 10}, {})


def test_a_channel_of_thousands_starves_nobody() -> None:
    """Three channels share a night evenly; what the small one leaves goes to the others.

    Guards against an archive of 3,000 that takes every night for a month.
    """
    items = [item(n, "a") for n in range(3000)]
    items += [item(n, "b") for n in range(3000, 3100)] + [item(n, "c") for n in range(3100, 3104)]
    planned = plan(items, NightBudget(recordings=60), a=1000, b=1000, c=1000)
    assert dict(planned.planned) == {"a": 28, "b": 28, "c": 4}
    assert planned.left_by_reason() == {"night_budget": 3044}


def test_weights_decide_the_shares() -> None:
    """A channel of weight 2 gets twice as many as its neighbour.

    Guards against priorities that are written down and do nothing.
    """
    items = [item(n, "ab"[n % 2]) for n in range(200)]
    budgets = {
        "a": ChannelBudget(recordings=100, weight=2),
        "b": ChannelBudget(recordings=100),
    }
    night = NightBudget(recordings=30, runs=1000)
    assert plan_night(items, budgets, night, NOW).planned == {"a": 20, "b": 10}


def test_small_nights_go_round_all_channels() -> None:
    """With two recordings a night, seven channels each get their turn.

    Guards against the first two of the alphabet that are served every night.
    """
    items = [item(n, f"c{n // 100}") for n in range(700)]
    budgets = {f"c{n}": ChannelBudget(recordings=20) for n in range(7)}
    for night in range(14):
        now = NOW + timedelta(days=night)
        planned = plan_night(items, budgets, NightBudget(recordings=2), now)
        assert len(planned.keys) == 2
        for number, key in enumerate(planned.keys):
            position = numbers([key])[0]
            fetched = receipt(key, "done", at=now + timedelta(seconds=20 * number))
            items[position] = NightItem(key, items[position].channel_id, fetched)
    done = Counter(one.channel_id for one in items if one.audio)
    assert set(done.values()) == {4}


def test_a_budget_holds_over_runs_and_restarts() -> None:
    """What receipts say of tonight counts, whoever fetched it; so do runs that are queued.

    Guards against a night of five hourly ticks that fetches five budgets.
    """
    tonight = BEGAN + timedelta(minutes=5)
    items = [
        item(0, state="done", at=tonight),
        item(1, state="failed", reason="private", at=tonight),
        item(2, state="blocked", reason="network", at=tonight, attempts=0),
        item(3, state="blocked", reason="breaker_open", at=tonight, attempts=0),
        item(4, state="done", at=BEGAN - timedelta(minutes=1)),
        item(5),
        *(item(n) for n in range(6, 30)),
    ]
    budgets = channels(a=6)
    planned = plan_night(
        items, budgets, NightBudget(), NOW, under_way=["yt_0005", "yt_0004", "yt_0000"]
    )
    assert dict(planned.spent) == {"a": 4}
    assert numbers(planned.keys) == [3, 6]
    assert waits(planned)["yt_0005"] == ("under_way", None)
    assert waits(planned)["yt_0002"] == ("retry_later", "network, and was asked for tonight")
    assert waits(planned)["yt_0001"] == ("only_by_repair", "private")


def test_a_clock_that_was_wrong_costs_one_night_at_most() -> None:
    """Receipts of next year count for no night, and their failures are tried again.

    Guards against a budget that is used up until the year comes that a clock once showed.
    """
    next_year = NOW + timedelta(days=365)
    items = [item(n, state="done", at=next_year) for n in range(10)]
    items += [item(10, state="blocked", reason="network", at=next_year), item(11)]
    planned = plan(items, a=5)
    assert dict(planned.spent) == {}
    assert (planned.retries, planned.runs) == (("yt_0010",), (("yt_0011",),))


def test_everything_that_waits_says_why() -> None:
    """Paused, unknown, unwanted, not out yet, failed for good or for now: each has its reason.

    Guards against a recording that is missing for weeks while nobody can say what it waits for.
    """
    day_ago = NOW - timedelta(days=1, hours=5)
    items = [
        item(0, "paused"),
        item(1, "nobody"),
        item(2, not_wanted="left out by a title word"),
        item(3, out_at=NOW + timedelta(hours=2)),
        item(4, out_at=NOW - timedelta(hours=2)),
        item(5, state="failed", reason="removed"),
        item(6, state="failed", reason="corrupt_audio", at=day_ago),
        item(7, state="failed", reason="corrupt_audio"),
        item(8, state="failed", reason="corrupt_audio", attempts=3),
        item(9, state="failed", reason="not_yet_available", at=day_ago),
        item(10, state="filtered"),
    ]
    budgets = channels(a=50) | {"paused": ChannelBudget(recordings=9, paused=True)}
    planned = plan_night(items, budgets, NightBudget(), NOW)
    assert (planned.runs, numbers(planned.retries)) == ((("yt_0004",),), [7, 9])
    assert waits(planned) == {
        "yt_0000": ("paused", None),
        "yt_0001": ("unknown_channel", "no channel nobody is configured"),
        "yt_0002": ("not_wanted", "left out by a title word"),
        "yt_0003": ("pending", "out at 2026-11-11 01:00 UTC"),
        "yt_0005": ("only_by_repair", "removed"),
        "yt_0006": ("retry_later", "corrupt_audio, again at 2026-11-16 18:00 UTC"),
        "yt_0008": ("worn_out", "corrupt_audio, 3 attempts"),
    }


def test_a_probe_is_a_new_recording() -> None:
    """Where the breaker lets one begin, it is none that was refused before, in any channel.

    Guards against one video that always answers 429 and, as every night's first, stops them all.
    """
    items = [item(0, "a", "blocked", "too_many_requests", attempts=0), item(1, "b"), item(2, "b")]
    budgets = channels(a=9, b=9)
    planned = plan_night(items, budgets, NightBudget(), NOW, allowance=1)
    assert planned.keys == ("yt_0001",)
    assert planned.left_by_reason() == {"breaker": 2}
    assert plan_night(items, budgets, NightBudget(), NOW, allowance=0).keys == ()
    free = plan_night(items, budgets, NightBudget(), NOW)
    assert (free.runs, free.retries) == ((("yt_0001", "yt_0002"),), ("yt_0000",))


def test_retries_have_a_share_while_there_is_new_work() -> None:
    """A tenth of a night is theirs, the longest untried first; all of it once nothing is new.

    Guards against an outage's recordings that wait for weeks, and dead ones that eat the nights.
    """
    items = [
        item(n, state="blocked", reason="network", at=NOW - timedelta(days=n + 2)) for n in range(9)
    ]
    more = [item(n) for n in range(100, 200)]
    planned = plan([*items, *more], a=20)
    assert (numbers(planned.retries), len(planned.keys)) == ([7, 8], 20)
    assert numbers(plan(items, a=20).retries) == list(range(9))
    assert numbers(plan([*items, *more], NightBudget(retry_share=0), a=20).retries) == []


def test_scattered_recordings_keep_to_the_runs() -> None:
    """Where every second one is paused, only so many runs begin, and the oldest have them.

    Guards against a night of 200 process starts.
    """
    items = [item(n, "ab"[n % 2]) for n in range(100)]
    budgets = channels(a=50) | {"b": ChannelBudget(recordings=9, paused=True)}
    planned = plan_night(items, budgets, NightBudget(runs=4), NOW)
    assert [numbers(run) for run in planned.runs] == [[0], [2], [4], [6]]
    assert planned.left_by_reason() == {"paused": 50, "too_many_runs": 46}
    again = plan([item(n) for n in range(250)], NightBudget(runs=2, keys_per_run=100), a=250)
    assert [len(run) for run in again.runs] == [100, 100]


def test_bad_input_is_refused() -> None:
    """A recording that stands twice, a time without zone, budgets below nothing, no such zone.

    Guards against a budget counted twice and a night that begins in a zone nobody named.
    """
    with pytest.raises(ValueError, match="stand twice: yt_0001"):
        plan([item(1), item(1)], a=1)
    with pytest.raises(ValueError, match="zone"):
        plan_night([], {}, NightBudget(), NOW.replace(tzinfo=None))
    for wrong in ({"zone": "Moon/Base"}, {"zone": "../etc"}, {"runs": 0}, {"retry_share": 2}):
        with pytest.raises(ValueError, match="1 validation error"):
            NightBudget.model_validate(wrong)
    for bad in ({"recordings": -1}, {"recordings": 1, "weight": 0}, {"recordings": 1, "weigth": 1}):
        with pytest.raises(ValueError, match="validation error"):
            ChannelBudget.model_validate(bad)


def test_an_empty_catalogue_is_an_empty_plan() -> None:
    """Nothing to do is no error.

    Guards against a schedule that fails every night before the first channel is listed.
    """
    planned = plan_night([], {}, NightBudget(), NOW)
    assert (planned.keys, planned.left, planned.began_at) == ((), (), BEGAN)


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"])


@given(
    st.timedeltas(timedelta(0), timedelta(days=3650)).map(lambda passed: NOW + passed),
    st.times(),
    ZONES,
)
def test_a_night_is_a_day_long(now: datetime, begins_at: time, zone: str) -> None:
    """Every moment lies in a night that began at most 25 hours ago, at its hour where it exists.

    Guards against two nights, and two budgets, on the day that clocks change.
    """
    budget = NightBudget(begins_at=begins_at, zone=zone)
    began_at = night_began_at(now, budget)
    assert timedelta(0) <= now - began_at < timedelta(hours=25)
    assert night_began_at(began_at, budget) == began_at
    assert night_began_at(began_at - timedelta(microseconds=1), budget) < began_at


REASONS: list[tuple[State | None, str | None]] = [
    (None, None),
    (None, None),
    ("done", None),
    ("filtered", "no_usable_clip"),
    ("failed", "private"),
    ("failed", "truncated"),
    ("failed", "something_new"),
    ("blocked", "network"),
    ("blocked", "breaker_open"),
    ("blocked", "disk_full"),
]


@st.composite
def catalogues(draw: st.DrawFn) -> list[NightItem]:
    """Any recordings of five channels, of which one is not configured."""
    found = []
    for number in range(draw(st.integers(0, 40))):
        state, reason = draw(st.sampled_from(REASONS))
        hours = draw(st.sampled_from([-9000, -1, 0.5, 2, 30, 200, 2000]))
        found.append(
            item(
                number,
                draw(st.sampled_from("abcde")),
                state,
                reason,
                at=NOW - timedelta(hours=hours),
                attempts=draw(st.integers(0, 4)),
                not_wanted=draw(st.sampled_from([None, None, None, "a rule"])),
                out_at=draw(st.sampled_from([None, None, NOW - timedelta(1), NOW + timedelta(1)])),
            )
        )
    return found


BUDGETS = st.fixed_dictionaries(
    {
        channel: st.builds(
            ChannelBudget,
            recordings=st.integers(0, 15),
            weight=st.sampled_from([0.5, 1.0, 3.0]),
            paused=st.sampled_from([False, False, False, True]),
        )
        for channel in "abcd"
    }
)
NIGHTS = st.builds(
    NightBudget,
    recordings=st.integers(0, 40),
    runs=st.integers(1, 12),
    keys_per_run=st.integers(1, 8),
    retry_share=st.sampled_from([0.0, 0.1, 1.0]),
)


@given(catalogues(), BUDGETS, NIGHTS, st.one_of(st.none(), st.integers(0, 10)), st.data())
def test_any_plan_keeps_its_promises(
    items: list[NightItem],
    budgets: dict[str, ChannelBudget],
    night: NightBudget,
    allowance: int | None,
    data: st.DataObject,
) -> None:
    """Whatever the catalogue: nothing twice, no budget broken, runs contiguous, all accounted for.

    Guards against the plans that no example thought of.
    """
    ids = [one.recording_id for one in items]
    queued = data.draw(st.lists(st.sampled_from(ids), max_size=5)) if ids else []
    planned = plan_night(items, budgets, night, NOW, allowance=allowance, under_way=queued)
    again = plan_night(items, budgets, night, NOW, allowance=allowance, under_way=queued)
    assert planned == again
    keys, left = planned.keys, [one.recording_id for one in planned.left]
    unfinished = {one.recording_id for one in items if not one.is_finished}
    assert len(set(keys)) == len(keys)
    assert sorted([*keys, *left]) == sorted(unfinished)
    assert not set(keys) & set(queued)

    spent, total = planned.spent, sum(planned.spent.values())
    assert len(keys) <= max(0, night.recordings - total)
    assert allowance is None or len(keys) <= allowance
    of = {one.recording_id: one for one in items}
    assert Counter(of[key].channel_id for key in keys) == planned.planned
    for channel, number in planned.planned.items():
        assert number == 0 or number + spent.get(channel, 0) <= budgets[channel].recordings
        assert not budgets[channel].paused

    assert len(planned.runs) <= night.runs
    for run in planned.runs:
        assert 0 < len(run) <= night.keys_per_run
        assert all(ids.index(b) == ids.index(a) + 1 for a, b in pairwise(run))
        assert all(of[key].asked_at is None for key in run)
    assert all(of[key].asked_at is not None for key in planned.retries)
    assert _nobody_was_passed_over(items, planned)
    for one in planned.left:
        if one.why == "channel_budget":
            had = spent.get(one.channel_id, 0) + planned.planned.get(one.channel_id, 0)
            assert had >= budgets[one.channel_id].recordings
        if one.why == "night_budget":
            assert total + len(keys) >= night.recordings
        if one.why == "breaker":
            assert len(keys) == allowance


def _nobody_was_passed_over(items: Sequence[NightItem], planned: NightPlan) -> bool:
    """No new recording waits for a budget while a later one of its channel goes."""
    why, keys = waits(planned), set(planned.keys)
    passed: set[str] = set()
    for one in items:
        if one.asked_at is None and one.recording_id in keys and one.channel_id in passed:
            return False
        if why.get(one.recording_id, ("", None))[0] in ("channel_budget", "night_budget"):
            passed |= {one.channel_id} if one.asked_at is None else set()
    return True
