"""Weeks unattended: 300 recordings, 40 of them bad in 15 ways, one night with an outage.

    python benchmarks/nights.py [--nights N] [--json]        (pip install time-machine==3.6.0)

The real definitions, sensor, schedules, jobs and conditions, tick by tick, over channels on
loopback that the real yt-dlp reads; in the outage nobody listens there. Only the clock is moved
(time-machine): nights lie in the past and end before now. Ends with exit status 1 and a list of
what does not hold: every good recording is done and every bad one has its reason, nothing is done
twice, the outage costs no attempt, each night keeps its budgets. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import get_args
from xml.sax.saxutils import escape

import av
import dagster as dg
import numpy as np
import soundfile
import time_machine
import yaml
from av.video.stream import VideoStream

from data_collection.build import build_defs
from data_collection.recordings.collection import STAGES, Standing, standings
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.sample.media import AUDIO, MEDIA_TYPES, Container, encode
from data_collection.sample.server import Fault, FixedPage, Site, Video, serve
from data_collection.sample.world import CHECKPOINT
from data_collection.settings import Settings
from data_collection.youtube.channels import read_channels
from data_collection.youtube.night_runs import RANGE_END, RANGE_START
from data_collection.youtube.shared_breaker import SharedBreaker
from data_collection.youtube.tier import shared_breaker, youtube_tier

RECORDINGS = 300
BAD = 40
CHANNELS: Mapping[str, tuple[int, int]] = {"archive": (200, 45), "pianist": (100, 25)}
"""Recordings of each channel, and its budget of a night."""
NIGHT_BUDGET = 60
LATER = 30
"""Newest videos of each channel, published before the second night."""
OUTAGE_NIGHT = 2
OUTAGE = (timedelta(minutes=-30), timedelta(hours=3, minutes=15))
"""From the night's begin."""
BEGINS_AT_H = 20
EVENING = timedelta(minutes=-10)
MORNING = timedelta(hours=10)
EXCERPT_S = 8.0
RATE_HZ = 44_100
LAST_NIGHTS = 2
"""After the last good recording is done: nothing may be done again in them."""
AFTER_AUDIO = STAGES[1:]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

State = tuple[str, str, str | None]
"""Stage, state and reason."""
Moment = tuple[datetime, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to be bad, and what is to be said of it.

    Attributes:
        reason: in the receipt of `stage`.
        state: there.
        stage: that it does not pass.
        fault: of the loopback server.
        page: what is answered instead of media.
        media: name of a made file that is given out.
        claimed_duration_s: what feed and source say.
    """

    reason: str
    state: str = "failed"
    stage: str = "audio"
    fault: Fault | None = None
    page: FixedPage | None = None
    media: str | None = None
    claimed_duration_s: float = EXCERPT_S


def _filtered(media: str, seconds: float = EXCERPT_S) -> Way:
    return Way("no_usable_clip", "filtered", "segments", media=media, claimed_duration_s=seconds)


WAYS: Mapping[str, Way] = {
    "gone": Way("removed", fault="gone"),
    "forbidden": Way("login_required", fault="forbidden"),
    "geo_blocked": Way("geo_blocked", fault="geo_blocked"),
    "rate_limited": Way("too_many_requests", "blocked", fault="rate_limited"),
    "server_error": Way("server_error", "blocked", fault="server_error"),
    "half_a_file": Way("truncated", fault="truncated"),
    "empty": Way("truncated", fault="empty"),
    "garbage": Way("corrupt_audio", fault="garbage"),
    "torn_connection": Way(
        "truncated", page=FixedPage(b"ID3" + bytes(5000), content_type="audio/mpeg", torn=True)
    ),
    "no_media_on_its_page": Way("unsupported_source", page=FixedPage("<html>moved</html>")),
    "shorter_than_claimed": Way("truncated", claimed_duration_s=600.0),
    "no_audio_track": Way("no_audio", media="pictures.m4a"),
    "silence": _filtered("silence.flac"),
    "speech": _filtered("sounds_speech.flac", 6.9),
    "applause": _filtered("sounds_applause.flac", 6.0),
}


@dataclass(frozen=True, slots=True)
class Item:
    """A recording as it is published.

    Attributes:
        id: its guid.
        channel: who lists it.
        number: in its channel, from 0, oldest first.
        way: name of its way to be bad; None for a good one.
    """

    id: str
    channel: str
    number: int
    way: str | None

    @property
    def expected(self) -> State:
        """Where it is to end."""
        if self.way is None:
            return (STAGES[-1], "done", None)
        way = WAYS[self.way]
        return (way.stage, way.state, way.reason)


def published() -> list[Item]:
    """All recordings; the bad ones are spread evenly, their ways one after the other."""
    slots = [(channel, number) for channel, (size, _) in CHANNELS.items() for number in range(size)]
    if len(slots) != RECORDINGS:
        raise AssertionError(f"the channels hold {len(slots)} recordings")
    bad_at = {round(RECORDINGS * (at + 0.5) / BAD): at for at in range(BAD)}
    ways = list(WAYS)
    return [
        Item(
            id=f"{channel}-{number:03d}",
            channel=channel,
            number=number,
            way=ways[bad_at[at] % len(ways)] if at in bad_at else None,
        )
        for at, (channel, number) in enumerate(slots)
    ]


def make_media(folder: Path) -> dict[str, Path]:
    """Piano in all four containers, and the files of the bad; by name."""
    folder.mkdir()
    made: dict[str, Path] = {}
    for name in ("stage1_sol", "stage1_okafor", "stage1_marlowe"):
        rate_hz = soundfile.info(AUDIO / f"{name}.opus").samplerate
        samples, _ = soundfile.read(AUDIO / f"{name}.opus", frames=round(EXCERPT_S * rate_hz))
        soundfile.write(folder / f"{name}.wav", samples, rate_hz, subtype="PCM_16")
        for container in get_args(Container):
            path = folder / f"{name}.{container}"
            made[path.name] = encode(folder / f"{name}.wav", path, container)
    soundfile.write(folder / "silence.flac", np.zeros(round(EXCERPT_S * RATE_HZ)), RATE_HZ)
    made["silence.flac"] = folder / "silence.flac"
    for name in ("sounds_speech", "sounds_applause"):
        made[f"{name}.flac"] = encode(AUDIO / f"{name}.opus", folder / f"{name}.flac", "flac")
    made["pictures.m4a"] = _pictures(folder / "pictures.m4a")
    return made


def _pictures(path: Path) -> Path:
    """A video without an audio track."""
    with av.open(str(path), "w", format="mp4") as writing:
        stream = writing.add_stream("mpeg4", rate=5)
        if not isinstance(stream, VideoStream):
            raise TypeError("mpeg4 is no video codec")
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(round(5 * EXCERPT_S)):
            black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            writing.mux(stream.encode(black))
        writing.mux(stream.encode(None))
    return path


class Source:
    """The channels' server, which can go away and come back at the same address.

    Attributes:
        asked: requests by night and by item, as the server counted them.
    """

    def __init__(self, items: Sequence[Item], media: Mapping[str, Path]) -> None:
        self.items = items
        self.asked: dict[int, Counter[str]] = defaultdict(Counter)
        self._good = [path for name, path in media.items() if name.startswith("stage1_")]
        self._videos = [self._video(item, at, media) for at, item in enumerate(items)]
        self._running = ExitStack()
        self._site: Site | None = None
        self._port = 0
        self._all_published = False

    def _video(self, item: Item, at: int, media: Mapping[str, Path]) -> Video:
        way = WAYS[item.way] if item.way else Way("")
        good = self._good[at % len(self._good)]
        return Video(
            id=item.id,
            title=f"Nocturne {item.number} ({item.channel})",
            media=media[way.media] if way.media else good,
            claimed_duration_s=way.claimed_duration_s,
            fault=way.fault,
        )

    def up(self) -> str:
        """Listen; returns the address."""
        site = self._running.enter_context(serve(self._videos, title="Made", port=self._port))
        self._port = int(site.url.rpartition(":")[2])
        self._site = site
        for item in self.items:
            if item.way and (page := WAYS[item.way].page):
                site.pages[f"/page/{item.id}.mp3"] = page
        self._list()
        return site.url

    def down(self) -> None:
        """Let nobody listen there."""
        self._running.close()
        self._site = None

    def publish_all(self) -> None:
        """Publish the videos that were held back."""
        self._all_published = True
        if self._site:
            self._list()

    def count(self, night: int) -> None:
        """Put down what was asked for since the last time as this night's."""
        if self._site:
            known = {item.id for item in self.items}
            for path, times in self._site.requests.items():
                if (id_ := PurePosixPath(path).stem) in known:
                    self.asked[night][id_] += times
            self._site.requests.clear()

    def _list(self) -> None:
        for channel, (size, _) in CHANNELS.items():
            last = size if self._all_published else size - LATER
            listed = [
                (item, video)
                for item, video in zip(self.items, self._videos, strict=True)
                if item.channel == channel and item.number < last
            ]
            page = self._feed(channel, listed[::-1])
            self._require().pages[f"/{channel}.rss"] = page

    def _feed(self, channel: str, listed: Sequence[tuple[Item, Video]]) -> FixedPage:
        entries = "".join(
            f"<item><title>{escape(video.title)}</title><guid>{item.id}</guid>"
            f"<itunes:duration>{video.claimed_duration_s:.0f}</itunes:duration>"
            f'<enclosure url="{self._address(item, video)}" '
            f'type="{MEDIA_TYPES[video.media.suffix]}"/></item>'
            for item, video in listed
        )
        return FixedPage(
            '<?xml version="1.0"?><rss version="2.0" '
            'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">'
            f"<channel><title>{channel}</title>{entries}</channel></rss>",
            content_type="application/rss+xml",
        )

    def _address(self, item: Item, video: Video) -> str:
        url = self._require().url
        if item.way and WAYS[item.way].page:
            return f"{url}/page/{item.id}.mp3"
        return f"{url}/media/{item.id}{video.media.suffix}"

    def _require(self) -> Site:
        if self._site is None:
            raise AssertionError("the source is down")
        return self._site


@dataclass
class Daemon:
    """What Dagster's daemon does for T4, a tick when it is told to."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    tier: Tier
    cursor: str | None = None
    conditions: dg.EvaluateAutomationConditionsResult | None = None
    runs: Counter[str] = field(default_factory=Counter)

    def key(self, asset: str) -> dg.AssetKey:
        """Key of one of the tier's assets."""
        return dg.AssetKey([*self.tier.key_prefix, asset])

    def discover(self) -> None:
        """A tick of the discovery sensor."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.definitions.get_repository_def(),
            resources=dict(self.definitions.resources or {}),
        ) as context:
            found = self.definitions.resolve_sensor_def("youtube_discovery").evaluate_tick(context)
        if found.run_requests:
            raise RuntimeError("the discovery sensor launched a run")
        for request in found.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(
                request.partitions_def_name, list(request.partition_keys)
            )
        for event in found.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = found.cursor or self.cursor

    def tick(self, schedule: str) -> None:
        """A tick of a schedule, and the runs that it asks for."""
        definition = self.definitions.resolve_schedule_def(schedule)
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=datetime.now(UTC).replace(second=0, microsecond=0),
            repository_def=self.definitions.get_repository_def(),
            resources=dict(self.definitions.resources or {}),
        ) as context:
            requests = definition.evaluate_tick(context).run_requests or ()
        for request in requests:
            self.runs[schedule] += 1
            self.definitions.resolve_job_def(definition.job_name).execute_in_process(
                instance=self.instance,
                tags=dict(request.tags),
                run_config={**request.run_config, **QUIET},
                raise_on_error=False,
            )

    def follow(self) -> None:
        """Ticks of the later stages' conditions, one a stage, and the runs that they ask for."""
        for _ in AFTER_AUDIO:
            self.conditions = dg.evaluate_automation_conditions(
                self.definitions,
                self.instance,
                asset_selection=dg.AssetSelection.assets(*map(self.key, AFTER_AUDIO)),
                cursor=self.conditions.cursor if self.conditions else None,
                evaluation_time=datetime.now(UTC),
            )
            for stage in AFTER_AUDIO:
                wanted = self.conditions.get_requested_partitions(self.key(stage))
                for first, last in self._stretches({str(key) for key in wanted}):
                    self.runs[stage] += 1
                    self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                        instance=self.instance,
                        asset_selection=[self.key(stage)],
                        tags={RANGE_START: first, RANGE_END: last},
                        run_config=QUIET,
                        raise_on_error=False,
                    )

    def registered(self) -> list[str]:
        """Partition keys, in order."""
        return list(self.instance.get_dynamic_partitions(self.tier.partitions_name))

    def _stretches(self, keys: set[str]) -> Iterator[tuple[str, str]]:
        """Neighbouring keys as ranges, which is what a backfill puts into one run."""
        first: str | None = None
        last = ""
        for key in [*self.registered(), ""]:
            if key in keys:
                first, last = first or key, key
            elif first:
                yield first, last
                first = None

    def times_materialized(self, asset: str) -> Counter[str]:
        """How often each partition was, by its key."""
        times: Counter[str] = Counter()
        cursor, more = None, True
        while more:
            found = self.instance.fetch_materializations(self.key(asset), 1000, cursor=cursor)
            times.update(str(record.partition_key) for record in found.records)
            cursor, more = found.cursor, found.has_more
        return times


@dataclass
class Weeks:
    """The nights, one after the other, and what is seen of them from outside."""

    daemon: Daemon
    source: Source
    store: Store
    clock: time_machine.Traveller
    first: datetime
    hit_by_outage: set[str] = field(default_factory=set)
    lost_in_outage: dict[str, tuple[int, int]] = field(default_factory=dict)
    before_outage: dict[str, int] = field(default_factory=dict)
    good_were_done_after: int | None = None

    def run(self, most: int) -> int:
        """Nights until all good ones are done, and two more; returns how many."""
        for night in range(most):
            began_s = time.perf_counter()
            for moment, action in sorted(self.moments(night), key=lambda each: each[0]):
                self.clock.move_to(moment)
                action()
            self.source.count(night)
            states = Counter(item.state for item in self.standings().values())
            print(
                f"night {night + 1}: {len(self.source.asked[night])} asked for, "
                f"{dict(states)}, {time.perf_counter() - began_s:.0f} s",
                flush=True,
            )
            if self.good_were_done_after is None and self._good_are_done():
                self.good_were_done_after = night + 1
            if self.good_were_done_after and night + 1 >= self.good_were_done_after + LAST_NIGHTS:
                return night + 1
        return most

    def moments(self, night: int) -> Iterator[Moment]:
        """What happens in a night, and when."""
        begins = self.first + timedelta(days=night)
        if night == 1:
            yield begins + EVENING - timedelta(minutes=10), self.source.publish_all
        if night == OUTAGE_NIGHT:
            yield begins + OUTAGE[0], self._go_down
            yield begins + OUTAGE[1], self._come_back
        yield begins + EVENING, self.daemon.discover
        for schedule in ("youtube_nights", "youtube_retries"):
            cron = str(self.daemon.definitions.resolve_schedule_def(schedule).cron_schedule)
            minute, hours, *_ = cron.split()
            for hour in map(int, hours.split(",")):
                after_h = (hour - begins.hour) % 24
                at = begins + timedelta(hours=after_h, minutes=int(minute))
                yield at, lambda schedule=schedule: self.daemon.tick(schedule)  # type: ignore[misc]
        yield begins + MORNING, self.daemon.follow

    def standings(self) -> dict[str, Standing]:
        """How far each recording has come, by its guid; nothing before the first listing."""
        if not self.store.path(f"{self.daemon.tier.folder('recordings')}.jsonl").exists():
            return {}
        return {item.recording.source_id: item for item in standings(self.store, self.daemon.tier)}

    def _good_are_done(self) -> bool:
        found = self.standings()
        return all(
            item.id in found and _state(found[item.id]) == item.expected
            for item in self.source.items
            if item.way is None
        )

    def _attempts(self) -> dict[str, int]:
        return {id_: _attempts_of(item) for id_, item in self.standings().items()}

    def _go_down(self) -> None:
        self.before_outage = self._attempts()
        self.source.count(OUTAGE_NIGHT)
        self.source.down()

    def _come_back(self) -> None:
        for id_, attempts in self._attempts().items():
            if attempts != self.before_outage.get(id_, 0):
                self.lost_in_outage[id_] = (self.before_outage.get(id_, 0), attempts)
        self.hit_by_outage = {
            id_ for id_, item in self.standings().items() if item.reason == "network"
        }
        self.source.up()


def _state(item: Standing) -> State:
    return (item.stage, item.state, item.reason)


def _attempts_of(item: Standing) -> int:
    return item.receipts["audio"].attempts if "audio" in item.receipts else 0


def what_does_not_hold(weeks: Weeks, nights: int, breaker: SharedBreaker) -> list[str]:
    """Each recording and night that one of the promises does not hold for."""
    found = weeks.standings()
    items = {item.id: item for item in weeks.source.items}
    return [
        *_not_as_expected(items, found),
        *_done_twice(weeks, items, found),
        *_attempts_lost(weeks, items, found),
        *_budgets_broken(weeks, items, nights),
        *_outage_not_noticed(weeks, breaker),
    ]


def _not_as_expected(items: Mapping[str, Item], found: Mapping[str, Standing]) -> Iterator[str]:
    yield from (f"{id_} is not in the catalogue" for id_ in items.keys() - found.keys())
    for id_, item in found.items():
        if _state(item) != items[id_].expected:
            yield (
                f"{id_} ({items[id_].way or 'good'}) is {_state(item)} instead of "
                f"{items[id_].expected}: {item.detail}"
            )


def _done_twice(
    weeks: Weeks, items: Mapping[str, Item], found: Mapping[str, Standing]
) -> Iterator[str]:
    ids = {item.recording.recording_id: id_ for id_, item in found.items()}
    for stage in STAGES:
        for key, times in weeks.daemon.times_materialized(stage).items():
            if times != 1:
                yield f"{ids[key]}: {stage} was materialized {times} times"
    for id_, item in items.items():
        nights = [night for night, asked in weeks.source.asked.items() if asked[id_]]
        if item.way is None and len(nights) != 1:
            yield f"{id_} (good) was asked for in {len(nights)} nights: {nights}"
    of_good = {
        id_: sum(asked[id_] for asked in weeks.source.asked.values())
        for id_, item in items.items()
        if item.way is None
    }
    usual = min(of_good.values())
    for id_, times in of_good.items():
        if times != usual:
            yield f"{id_} (good) was asked for {times} times where others were {usual} times"


def _attempts_lost(
    weeks: Weeks, items: Mapping[str, Item], found: Mapping[str, Standing]
) -> Iterator[str]:
    for id_, (before, after) in weeks.lost_in_outage.items():
        yield f"{id_}: the outage took it from {before} to {after} attempts"
    for id_, item in found.items():
        nights = sum(asked[id_] > 0 for asked in weeks.source.asked.values())
        is_blocked = items[id_].expected[1] == "blocked"
        if _attempts_of(item) != (0 if is_blocked else nights):
            yield f"{id_}: {_attempts_of(item)} attempts, asked for in {nights} nights"


def _budgets_broken(weeks: Weeks, items: Mapping[str, Item], nights: int) -> Iterator[str]:
    for night in range(nights):
        asked = [items[id_].channel for id_, times in weeks.source.asked[night].items() if times]
        if len(asked) > NIGHT_BUDGET:
            yield f"night {night + 1} asked for {len(asked)} of {NIGHT_BUDGET}"
        for channel, times in Counter(asked).items():
            if times > CHANNELS[channel][1]:
                yield f"night {night + 1} asked {channel} for {times} of {CHANNELS[channel][1]}"


def _outage_not_noticed(weeks: Weeks, breaker: SharedBreaker) -> Iterator[str]:
    if not weeks.hit_by_outage:
        yield "no recording met the outage: nothing was measured"
    reasons = {change.reason for change in breaker.read().history if change.phase == "open"}
    if "network" not in reasons:
        yield f"the outage did not open the breaker; what did: {sorted(map(str, reasons))}"


@contextmanager
def opened(folder: Path, source: Source, first: datetime) -> Iterator[Weeks]:
    """The definitions, an instance and a data root below a folder; the clock before the nights."""
    url = source.up()
    channels = folder / "channels.yaml"
    stated = [
        {
            "id": name,
            "url": f"{url}/{name}.rss",
            "name": name,
            "category": "pianist",
            "nightly_budget": budget,
            "licence_note": "made",
            "rules": {"shorts": True},  # the videos last 8 s
        }
        for name, (_, budget) in CHANNELS.items()
    ]
    channels.write_text(yaml.safe_dump({"channels": stated}), encoding="utf-8")
    settings = Settings(
        data_collection_root=str(folder / "data"),
        youtube_channels=channels,
        youtube_nightly_budget=NIGHT_BUDGET,
        youtube_night_begins_at=first.time(),
        youtube_forced=True,
        muq_checkpoint=str(CHECKPOINT),
        muq_device="cpu",
        fetch_attempts=2,
        fetch_retry_wait_s=0.0,
    )
    home = folder / "dagster_home"
    home.mkdir()
    with (
        dg.DagsterInstance.local_temp(str(home)) as instance,
        time_machine.travel(first - timedelta(hours=2), tick=True) as clock,
    ):
        daemon = Daemon(
            build_defs(settings=settings), instance, youtube_tier(read_channels(channels), home)
        )
        daemon.follow()  # a condition's first tick only looks at what is there
        try:
            yield Weeks(daemon, source, Store.at(settings.data_collection_root), clock, first)
        finally:
            source.down()


def first_night(nights: int) -> datetime:
    """When to begin so that the last night is over; to a clock ahead of now, new files are old."""
    today = datetime.now(UTC).replace(hour=BEGINS_AT_H, minute=0, second=0, microsecond=0)
    return today - timedelta(days=nights + 2)


def summary(weeks: Weeks, nights: int, breaker: SharedBreaker) -> dict[str, object]:
    """Figures of the nights."""
    states = Counter("/".join(map(str, _state(item))) for item in weeks.standings().values())
    asked = [
        sum(times > 0 for times in weeks.source.asked[night].values()) for night in range(nights)
    ]
    bad = Counter(item.way for item in weeks.source.items if item.way)
    return {
        "recordings": len(weeks.source.items),
        "bad": bad.total(),
        "ways": len(bad),
        "nights": nights,
        "good_were_done_after": weeks.good_were_done_after,
        "asked_for_by_night": asked,
        "met_the_outage": len(weeks.hit_by_outage),
        "breaker_openings": Counter(
            str(change.reason) for change in breaker.read().history if change.phase == "open"
        ),
        "runs": weeks.daemon.runs,
        "states": dict(states.most_common()),
    }


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nights", type=int, default=14, help="at most")
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    options = parser.parse_args()
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="nights-") as name:
        folder = Path(name)
        source = Source(published(), make_media(folder / "media"))
        with opened(folder, source, first_night(options.nights)) as weeks:
            nights = weeks.run(options.nights)
            breaker = shared_breaker(weeks.store, folder)
            broken = what_does_not_hold(weeks, nights, breaker)
            phases = [
                f"{change.at:%m-%d %H:%M} {change.phase} {change.reason} {change.recording_id}"
                for change in breaker.read().history
            ]
            results = {
                **summary(weeks, nights, breaker),
                "does_not_hold": broken,
                "minutes": round((time.perf_counter() - began_s) / 60, 1),
            }
    for label, value in results.items():
        if label != "does_not_hold":
            print(f"{label:24} {value}")
    print("\n".join(phases))
    print("\n".join(broken) if broken else "everything holds")
    if options.json:
        print(json.dumps(results))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
