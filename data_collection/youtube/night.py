"""What a night fetches: the plan, made of the catalogue, its receipts and the budgets.

What belongs here: the choice of recordings and why the others wait, all pure. What does not: when a
night begins to run (a schedule's), which recordings there are (`discovery`), and which failures a
person has tried again (`repair`). A plan can be made at any time of the night and as often as one
likes: what was fetched is read from receipts, so a budget holds over runs, ticks and restarts.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from data_collection.recordings.receipts import FINISHED, Receipt
from data_collection.youtube.repair import NOT_ASKED, due_at, is_worn_out, reason_class

Why = Literal[
    "under_way", "unknown_channel", "paused", "not_wanted", "pending", "retry_later",
    "only_by_repair", "worn_out", "channel_budget", "night_budget", "breaker", "too_many_runs",
]  # fmt: skip
"""Why a recording waits; `Left` has the words."""
NEVER = datetime.min.replace(tzinfo=UTC)
LONGEST_NIGHT = timedelta(hours=25)


class ChannelBudget(BaseModel):
    """What a channel may have of a night.

    Attributes:
        recordings: fetches in one night, at most.
        weight: a channel of weight 2 gets two where one of weight 1 gets one.
        paused: nothing is fetched; nothing is lost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    recordings: int = Field(ge=0)
    weight: float = Field(default=1.0, gt=0)
    paused: bool = False


class NightBudget(BaseModel):
    """What all channels together may have of a night, and when a night begins.

    Attributes:
        recordings: fetches in one night; guests of YouTube get about 300 videos an hour.
        runs: contiguous runs of one plan.
        keys_per_run: what the asset's backfill policy puts into one run.
        retry_share: of a plan, kept for retries while there are new recordings.
        begins_at: a night lasts until the next one begins, so a day's repair counts in it.
        zone: the time zone of `begins_at`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    recordings: int = Field(default=400, ge=0)
    runs: int = Field(default=20, ge=1)
    keys_per_run: int = Field(default=100, ge=1)
    retry_share: float = Field(default=0.1, ge=0, le=1)
    begins_at: time = time(20, 0)
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            return ZoneInfo(zone).key
        except (OSError, ValueError, KeyError):  # `ZoneInfoNotFoundError` is a KeyError
            raise ValueError(f"{zone!r} is no time zone such as Europe/Berlin") from None


@dataclass(frozen=True, slots=True)
class NightItem:
    """A recording as the plan sees it.

    Attributes:
        recording_id: its partition key.
        channel_id: whose budget it takes from.
        audio: receipt of its audio; None where it was never tried.
        not_wanted: why nobody wants it any more, such as a channel's new rule; None where it is.
        out_at: when a premiere or a live stream is out; None for others.
    """

    recording_id: str
    channel_id: str
    audio: Receipt | None = None
    not_wanted: str | None = None
    out_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        """Whether its audio is there, or was found to be of no use."""
        return self.audio is not None and self.audio.state in FINISHED

    @property
    def asked_at(self) -> datetime | None:
        """When the source was last asked for it; None where it never was."""
        if self.audio is None:
            return None
        row = reason_class(self.audio.state, self.audio.reason)
        was_asked = self.is_finished or row.name != NOT_ASKED
        return self.audio.started_at if was_asked else None


@dataclass(frozen=True, slots=True)
class Left:
    """A recording that the plan leaves for another time."""

    recording_id: str
    channel_id: str
    why: Why
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class NightPlan:
    """What to fetch now.

    Attributes:
        began_at: when the night began.
        runs: contiguous keys in the catalogue's order, the most urgent run first.
        retries: scattered keys for one repair run, to go last: what was refused before may be so
            again, and stops what comes after it.
        spent: recordings of each channel that this night has had already, or that are under way.
        planned: recordings of each channel in this plan.
        left: every unfinished recording that is not in it, and why.
    """

    began_at: datetime
    runs: tuple[tuple[str, ...], ...]
    retries: tuple[str, ...]
    spent: Mapping[str, int]
    planned: Mapping[str, int]
    left: tuple[Left, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys of the plan."""
        return (*(key for run in self.runs for key in run), *self.retries)

    def left_by_reason(self) -> dict[str, int]:
        """How many wait for what, the most frequent first."""
        return dict(Counter(item.why for item in self.left).most_common())


def night_began_at(now: datetime, budget: NightBudget) -> datetime:
    """The last time that a night began, in UTC; a night of a changing clock has 23 or 25 hours."""
    zone = ZoneInfo(budget.zone)
    today = now.astimezone(zone).date()
    began = _begin_of(today, budget.begins_at, zone)
    return began if began <= now else _begin_of(today - timedelta(days=1), budget.begins_at, zone)


def _begin_of(day: date, begins_at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, begins_at, tzinfo=zone).astimezone(UTC)


def plan_night(
    items: Sequence[NightItem],
    channels: Mapping[str, ChannelBudget],
    budget: NightBudget,
    now: datetime,
    *,
    allowance: int | None = None,
    under_way: Collection[str] = (),
) -> NightPlan:
    """Plan what to fetch now.

    New recordings go first, the oldest of each channel, shared out among the channels by what they
    have had tonight and then by who was served the longest time ago. A share is kept for retries,
    but never the only place: a probe is a new recording, as one that was refused may be refused for
    its own sake.

    A recording is asked for once a night at most, so that receipts, of which each recording has
    one, tell what the night has had; a try that a bot check or the network ended counts. What they
    cannot tell: a try whose process was killed, and what a person had repaired twice.

    Args:
        items: the whole catalogue in the order of its partitions: contiguous means neighbours here.
        channels: budgets by channel id.
        budget: the night's.
        now: with its zone.
        allowance: how many the breaker lets begin; None for any number.
        under_way: keys of runs that wait or run: they count, and are not planned again.

    Raises:
        ValueError: a recording stands twice, or `now` has no zone.
    """
    if now.tzinfo is None:
        raise ValueError("a night needs a time with its zone")
    twice = [key for key, n in Counter(item.recording_id for item in items).items() if n > 1]
    if twice:
        raise ValueError(f"recordings that stand twice: {', '.join(twice[:5])}")
    began_at = night_began_at(now, budget)
    queued = frozenset(under_way)
    spent = Counter(item.channel_id for item in items if _counts(item, began_at, queued))
    choice = _Choice(items, channels, budget, spent, allowance)
    for position, item in enumerate(items):
        choice.sort_in(position, _waits(item, channels, now, began_at, queued))
    choice.choose()
    return NightPlan(
        began_at=began_at,
        runs=choice.runs(),
        retries=tuple(items[position].recording_id for position in sorted(choice.retried)),
        spent=dict(spent),
        planned=dict(choice.planned),
        left=choice.left(),
    )


def _counts(item: NightItem, began_at: datetime, queued: frozenset[str]) -> bool:
    """Whether this night has had a recording already, or is about to."""
    is_queued = item.recording_id in queued and not item.is_finished
    return is_queued or _is_tonight(item.asked_at, began_at)


def _is_tonight(asked_at: datetime | None, began_at: datetime) -> bool:
    """Whether it was this night; later than a night lasts is a clock that was wrong."""
    return asked_at is not None and began_at <= asked_at < began_at + LONGEST_NIGHT


@dataclass(frozen=True, slots=True)
class _Waits:
    why: Why
    detail: str | None = None


_Kind = Literal["finished", "new", "retry"]


def _waits(
    item: NightItem,
    channels: Mapping[str, ChannelBudget],
    now: datetime,
    began_at: datetime,
    queued: frozenset[str],
) -> _Kind | _Waits:
    """What a recording is to this night, before any budget."""
    if item.is_finished:
        return "finished"
    if item.recording_id in queued:
        return _Waits("under_way")
    if item.channel_id not in channels:
        return _Waits("unknown_channel", f"no channel {item.channel_id} is configured")
    if channels[item.channel_id].paused:
        return _Waits("paused")
    if item.not_wanted is not None:
        return _Waits("not_wanted", item.not_wanted)
    if item.out_at is not None and item.out_at > now:
        return _Waits("pending", f"out at {_said(item.out_at)}")
    if item.audio is None or item.asked_at is None:
        return "new"
    return _retry(item.audio, now, began_at)


def _retry(audio: Receipt, now: datetime, began_at: datetime) -> _Kind | _Waits:
    if is_worn_out(audio):
        return _Waits("worn_out", f"{audio.reason}, {audio.attempts} attempts")
    due = due_at(audio)
    if due is None:
        return _Waits("only_by_repair", audio.reason)
    if _is_tonight(audio.started_at, began_at):
        return _Waits("retry_later", f"{audio.reason}, and was asked for tonight")
    is_of_the_future = audio.started_at > now
    if now < due and not is_of_the_future:
        return _Waits("retry_later", f"{audio.reason}, again at {_said(due)}")
    return "retry"


def _said(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


class _Ranges:
    """Contiguous positions, and how many runs they take."""

    def __init__(self, most_runs: int, keys_per_run: int) -> None:
        self._most_runs = most_runs
        self._keys_per_run = keys_per_run
        self._last_of: dict[int, int] = {}
        self._first_of: dict[int, int] = {}
        self._runs = 0

    def add(self, position: int) -> bool:
        """Add a position, unless that takes more runs than there may be."""
        first = self._first_of.get(position - 1, position)
        last = self._last_of.get(position + 1, position)
        before = self._runs_of(first, position - 1) + self._runs_of(position + 1, last)
        runs = self._runs - before + self._runs_of(first, last)
        if runs > self._most_runs:
            return False
        self._runs = runs
        self._first_of[last], self._last_of[first] = first, last
        return True

    def _runs_of(self, first: int, last: int) -> int:
        return math.ceil((last - first + 1) / self._keys_per_run)


@dataclass(slots=True)
class _Choice:
    """The recordings of one plan while it is made."""

    items: Sequence[NightItem]
    channels: Mapping[str, ChannelBudget]
    budget: NightBudget
    spent: Mapping[str, int]
    allowance: int | None
    planned: Counter[str] = field(default_factory=Counter)
    chosen: dict[int, int] = field(default_factory=dict)
    """Rank of each chosen new position."""
    retried: list[int] = field(default_factory=list)
    waiting: dict[int, _Waits] = field(default_factory=dict)
    new: dict[str, deque[int]] = field(default_factory=dict)
    retries: dict[str, deque[int]] = field(default_factory=dict)

    def sort_in(self, position: int, kind: _Kind | _Waits) -> None:
        channel_id = self.items[position].channel_id
        if isinstance(kind, _Waits):
            self.waiting[position] = kind
        elif kind != "finished":
            queues = self.new if kind == "new" else self.retries
            queues.setdefault(channel_id, deque()).append(position)

    def choose(self) -> None:
        ranges = _Ranges(self.budget.runs, self.budget.keys_per_run)

        def take_new(position: int) -> bool:
            if not ranges.add(position):
                self.waiting[position] = _Waits("too_many_runs")
                return False
            self.chosen[position] = len(self.chosen)
            return True

        def take_retry(position: int) -> bool:
            self.retried.append(position)
            return True

        for channel_id, queue in self.retries.items():
            self.retries[channel_id] = deque(sorted(queue, key=self._asked))
        kept = self._share_of_retries(self._slots)
        self._share_out(self.retries, kept, take_retry, self._share_of_retries)
        self._share_out(self.new, self._slots, take_new)
        self._share_out(self.retries, self._slots, take_retry)

    @property
    def _slots(self) -> int:
        slots = self.budget.recordings - sum(self.spent.values())
        if self.allowance is not None:
            slots = min(slots, self.allowance)
        return max(0, slots - self.planned.total())

    def _room(self, channel_id: str) -> int:
        had = self.spent.get(channel_id, 0) + self.planned[channel_id]
        return max(0, self.channels[channel_id].recordings - had)

    def _share_of_retries(self, places: int) -> int:
        return math.ceil(places * self.budget.retry_share) if places > 1 else 0

    def _share_out(
        self,
        queues: Mapping[str, deque[int]],
        slots: int,
        take: Callable[[int], bool],
        room_of: Callable[[int], int] = lambda room: room,
    ) -> None:
        """Give places to the channel that has had least, one by one, until there are none."""
        room = {channel_id: room_of(self._room(channel_id)) for channel_id in queues}
        served_at = self._served_at()
        turns = [(self._had(id_), served_at.get(id_, NEVER), id_) for id_ in queues if room[id_]]
        heapq.heapify(turns)
        while slots and turns:
            _, served, channel_id = heapq.heappop(turns)
            queue = queues[channel_id]
            while queue:
                if take(queue.popleft()):
                    slots -= 1
                    room[channel_id] -= 1
                    self.planned[channel_id] += 1
                    break
            if queue and room[channel_id]:
                heapq.heappush(turns, (self._had(channel_id), served, channel_id))

    def _had(self, channel_id: str) -> float:
        had = self.spent.get(channel_id, 0) + self.planned[channel_id]
        return had / self.channels[channel_id].weight

    def _served_at(self) -> dict[str, datetime]:
        """When each channel was last served."""
        served: dict[str, datetime] = {}
        for item in self.items:
            if item.asked_at is not None:
                last = served.get(item.channel_id, NEVER)
                served[item.channel_id] = max(last, item.asked_at)
        return served

    def _asked(self, position: int) -> datetime:
        return self.items[position].asked_at or NEVER

    def runs(self) -> tuple[tuple[str, ...], ...]:
        """The chosen new recordings as runs, the one with the first choice first."""
        ranges: list[list[int]] = []
        for position in sorted(self.chosen):
            if ranges and ranges[-1][-1] == position - 1:
                ranges[-1].append(position)
            else:
                ranges.append([position])
        ranges.sort(key=lambda positions: min(self.chosen[position] for position in positions))
        size = self.budget.keys_per_run
        return tuple(
            tuple(self.items[position].recording_id for position in positions[start : start + size])
            for positions in ranges
            for start in range(0, len(positions), size)
        )

    def left(self) -> tuple[Left, ...]:
        """Everything unfinished that was not chosen, in the catalogue's order."""
        for queue in (*self.new.values(), *self.retries.values()):
            for position in queue:
                self.waiting[position] = _Waits(self._limit(self.items[position].channel_id))
        return tuple(
            Left(item.recording_id, item.channel_id, waits.why, waits.detail)
            for position, waits in sorted(self.waiting.items())
            for item in (self.items[position],)
        )

    def _limit(self, channel_id: str) -> Why:
        """The budget that is used up."""
        if not self._room(channel_id):
            return "channel_budget"
        night = self.budget.recordings - sum(self.spent.values()) - self.planned.total()
        return "night_budget" if night <= 0 else "breaker"
