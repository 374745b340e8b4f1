"""Weeks of nights over a made channel: 300 recordings, 40 of them bad in 15 ways, one outage.

Plan, breaker, receipts and stage are the real ones, read from disk anew at every tick; only the
source and the clock are made, so that a fetch takes 20 s of a night and none of ours.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_collection.recordings.collection import standings
from data_collection.recordings.decode import DecodedAudio
from data_collection.recordings.errors import ItemError, RecordingError
from data_collection.recordings.fetch_errors import fetch_error
from data_collection.recordings.originals import Original
from data_collection.recordings.receipts import Receipt, Settled, read_receipt, receipt_path
from data_collection.recordings.rows import write_rows
from data_collection.recordings.stages import settle_audio
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.youtube.night import (
    ChannelBudget,
    NightBudget,
    NightItem,
    NightPlan,
    plan_night,
)
from data_collection.youtube.repair import plan_repair
from data_collection.youtube.shared_breaker import SharedBreaker, guarded
from data_collection_tests.clips import NO_LEVELS

WAYS: dict[str, str] = {
    "private": "[youtube] x: Private video. Sign in if you've been granted access to this video",
    "removed": "[youtube] x: Video unavailable. This video has been removed by the uploader",
    "copyright": "[youtube] x: This video is no longer available due to a copyright claim by A",
    "geo_blocked": "[youtube] x: The uploader has not made this video available in your country",
    "members_only": "[youtube] x: Join this channel to get access to members-only content",
    "age_restricted": "[youtube] x: Sign in to confirm your age. This video may be inappropriate",
    "drm": "[youtube] x: This video is DRM protected",
    "no_audio_format": "[youtube] x: Requested format is not available",
    "unsupported_source": "Unsupported URL: https://example.org/page",
    "login_required": "[generic] Unable to download webpage: HTTP Error 401: Unauthorized",
    "truncated": "[download] Got error: 1048576 bytes read, 7340032 more expected",
    "not_yet_available": "[youtube] x: Premieres in 3 hours",
    "server_error": "[youtube] x: Unable to download webpage: HTTP Error 503: Unavailable",
    "too_many_requests": "[youtube] x: HTTP Error 429: Too Many Requests",
    "corrupt_audio": "",
}
OUTAGE = "[youtube] x: Unable to download webpage: [Errno 101] Network is unreachable"
FIRST_NIGHT = datetime(2026, 11, 1, 20, 0, tzinfo=UTC)
OUT = (
    FIRST_NIGHT + timedelta(days=2, minutes=10),
    FIRST_NIGHT + timedelta(days=2, hours=2, minutes=30),
)
TICKS_H = (0.1, 1.1, 2.1, 3.1, 5.1)
BUDGET = NightBudget(recordings=60, runs=8, keys_per_run=20)
CHANNELS = {
    "large": ChannelBudget(recordings=40),
    "small": ChannelBudget(recordings=15),
    "tiny": ChannelBudget(recordings=10, weight=2),
}


def channel_of(number: int) -> str:
    """Blocks as discovery registers them: an archive, then new videos of all."""
    if number < 150:
        return "large"
    return ("small", "large", "tiny")[number // 10 % 3]


@dataclass
class World:
    """A source that fails as it should, the clock that it takes, and what was asked of it."""

    bad: dict[str, str]
    now: datetime = FIRST_NIGHT
    asked: list[tuple[int, str]] = field(default_factory=list)
    own_outcomes: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    killed_at: int | None = None

    @property
    def night(self) -> int:
        """Number of the night, from 0."""
        return (self.now - FIRST_NIGHT).days

    def clock(self) -> datetime:
        """The time."""
        return self.now

    def fetch(self, recording: Recording, flac: Path, scratch: Path) -> Original:
        """Bring a recording, or say what is wrong with it."""
        key = recording.recording_id
        if len(self.asked) == self.killed_at:
            self.killed_at = None
            raise KeyboardInterrupt  # an end without a receipt, as that of a killed process
        self.asked.append((self.night, key))
        self.now += timedelta(seconds=20)
        if OUT[0] <= self.now < OUT[1]:
            raise fetch_error(OUTAGE, what=key, folder="")
        if error := self._fault(key):
            self.own_outcomes[key] += isinstance(error, ItemError)
            raise error
        self.own_outcomes[key] += 1
        self.done[key] += 1
        flac.write_bytes(key.encode())
        return Original(
            decoded=DecodedAudio(60.0, 1_440_000, 48_000, 2, "made", 0.5, 0, 0.0, NO_LEVELS),
            sha256="0" * 64,
            size_bytes=9,
            format="made",
            extractor="made",
            licence=None,
            source_url=recording.source_url,
            claimed_duration_s=60.0,
        )

    def _fault(self, key: str) -> RecordingError | None:
        way = self.bad.get(key)
        if way is None:
            return None
        if way == "corrupt_audio":
            return ItemError(way, f"{key}: it cannot be decoded")
        return fetch_error(WAYS[way], what=key, folder="")


@dataclass
class Nights:
    """The loop that a schedule and an asset make."""

    store: Store
    tier: Tier
    world: World
    catalogue: dict[str, Recording]

    def breaker(self) -> SharedBreaker:
        """As another process would open it."""
        store = Store.at(str(self.store.root))
        return SharedBreaker(store, "loopback", clock=self.world.clock)

    def receipt(self, key: str) -> Receipt | None:
        """What lies on the disk."""
        return read_receipt(self.store, self.tier.folder("audio"), key)

    def plan(self) -> NightPlan:
        """As a tick makes it."""
        items = [
            NightItem(key, channel_of(number), self.receipt(key))
            for number, key in enumerate(self.catalogue)
        ]
        allowance = self.breaker().allowance()
        return plan_night(items, CHANNELS, BUDGET, self.world.now, allowance=allowance)

    def tick(self, hours: float, night: int) -> NightPlan:
        """Plan at an hour of a night, and run the plan."""
        begins = FIRST_NIGHT + timedelta(days=night, hours=hours)
        self.world.now = max(self.world.now, begins)
        plan = self.plan()
        for keys in (*plan.runs, plan.retries):
            self.run(keys)
        return plan

    def run(self, keys: tuple[str, ...]) -> None:
        """One run: it does not begin while the breaker is open, and ends at what stops a batch."""
        if self.breaker().allowance() == 0:
            return
        source = guarded(self.world.fetch, self.breaker())
        for key in keys:
            began_at = self.world.now
            try:
                settled = settle_audio(self.store, self.tier, self.catalogue[key], source)
            except KeyboardInterrupt:
                return
            self._restamp(settled, began_at)
            if settled.stops_batch:
                return

    def _restamp(self, settled: Settled, began_at: datetime) -> None:
        """Receipts take the machine's time; these nights have their own."""
        times = {"started_at": began_at, "finished_at": self.world.now}
        receipt = settled.receipt.model_copy(update=times)
        path = receipt_path(receipt.stage, receipt.recording_id)
        self.store.write_bytes(path, receipt.model_dump_json().encode())


@pytest.fixture
def nights(store: Store, tier: Tier) -> Nights:
    """300 recordings of three channels; every seventh or so is bad."""
    rows = [
        Recording(
            recording_id=f"yt_{number:011d}",
            source_id=f"{number:011d}",
            source_url="https://www.youtube.com/watch?v=x",
            title="T",
        )
        for number in range(300)
    ]
    ways = list(WAYS)
    bad = {rows[7 * n + 3].recording_id: ways[n % len(ways)] for n in range(40)}
    write_rows(store, f"{tier.folder('recordings')}.jsonl", rows)
    return Nights(store, tier, World(bad), {row.recording_id: row for row in rows})


def test_weeks_of_nights_end_well(nights: Nights) -> None:
    """All good ones are done, once; bad ones have their reason; no budget and no attempt is lost.

    Guards against all that goes wrong unattended: a night that ends at its first dead video, an
    outage that is counted against whoever was next, a video that always answers 429 and is asked
    first every night, budgets that each restart begins anew.
    """
    world, good = nights.world, set(nights.catalogue) - set(nights.world.bad)
    world.killed_at = 100
    for night in range(12):
        for hours in TICKS_H if night < 6 else TICKS_H[:1]:
            nights.tick(hours, night)
        if night == 5:
            finished_early = good <= set(world.done)
    assert finished_early
    assert {key: world.done[key] for key in good} == dict.fromkeys(good, 1)

    receipts = {key: nights.receipt(key) for key in nights.catalogue}
    for key, receipt in receipts.items():
        assert receipt is not None
        assert receipt.attempts == world.own_outcomes[key]
        expected = ("done", None) if key in good else (receipt.state, world.bad[key])
        assert (receipt.state, receipt.reason) == expected
        assert receipt.state in ("done", "failed", "blocked")
    assert max(receipt.attempts for receipt in receipts.values() if receipt) <= 12

    order = {key: number for number, key in enumerate(nights.catalogue)}
    a_night = Counter(night for night, _ in world.asked)
    a_channel = Counter((night, channel_of(order[key])) for night, key in world.asked)
    assert max(a_night.values()) <= BUDGET.recordings
    assert all(n <= CHANNELS[channel].recordings for (_, channel), n in a_channel.items())
    assert len(set(world.asked)) == len(world.asked), "asked for twice in a night"

    history = nights.breaker().read().history
    assert {change.reason for change in history if change.phase == "open"} == {
        "network",
        "too_many_requests",
    }
    world.now += timedelta(days=1)
    assert nights.plan().left_by_reason().keys() <= {"only_by_repair", "retry_later", "worn_out"}


def test_an_outage_costs_the_night_and_no_more(nights: Nights) -> None:
    """While the network is gone three are asked for, and a probe at each tick; then it goes on.

    Guards against 60 timeouts a night, and against recordings that stay behind afterwards.
    """
    world = nights.world
    world.bad.clear()
    for night in range(3):
        for hours in TICKS_H:
            nights.tick(hours, night)
    failed = [
        receipt
        for key in nights.catalogue
        if (receipt := nights.receipt(key)) and receipt.state != "done"
    ]
    assert 3 <= len(failed) <= 5
    assert {(receipt.state, receipt.attempts) for receipt in failed} == {("blocked", 0)}
    assert Counter(night for night, _ in world.asked)[2] == BUDGET.recordings
    for night in (3, 4):
        nights.tick(TICKS_H[0], night)
    assert {receipt.recording_id for receipt in failed} <= set(world.done)


def test_a_person_repairs_what_a_class_names(nights: Nights) -> None:
    """What was private and is no longer is done by one repair run over scattered keys.

    Guards against 40 runs for 40 recordings, and against trying what nobody asked for.
    """
    world = nights.world
    private = [key for key, way in world.bad.items() if way == "private"]
    nights.run((*list(nights.catalogue)[:8], *private))
    world.bad.clear()
    world.now += timedelta(days=1)
    found = standings(nights.store, nights.tier)
    plan = plan_repair(found, ["private"])
    assert list(plan.keys) == private
    assert plan.by_reason == {"private": len(private)}
    assert set(plan.from_stage.values()) == {"audio"}
    asked = len(world.asked)
    nights.run(plan.keys)
    assert len(world.asked) == asked + len(private)
    assert all(world.done[key] == 1 for key in private)
