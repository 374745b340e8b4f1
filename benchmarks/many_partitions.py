"""What 10,000 registered recordings cost: discovery's ticks, an asset's page, memory.

    python benchmarks/many_partitions.py [--storage sqlite] [--recordings N] [--json]

Needs time-machine==3.6.0 and the extra `postgres`.

Channels of 500 videos on loopback are listed and registered by the real sensor, tick by tick, with
the clock moved by the sensor's interval and then by days (time-machine). The page's query is the
one that the UI sends, asked of the real webserver. The instance is docker/dagster.yaml over a
private Postgres (initdb, pg_ctl) with its defaults; where none can be started it is SQLite, and
`storage` and `because` say so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import time_machine
import yaml
from dagster._core.events import StepMaterializationData  # has no public name

from data_collection.build import build_defs
from data_collection.headless import PROJECT, RunningDagster, running_dagster
from data_collection.sample.media import AUDIO
from data_collection.sample.server import FixedPage, Site, Video, serve
from data_collection.settings import Settings
from data_collection.youtube.channels import read_channels
from data_collection.youtube.night_runs import RANGE_END, RANGE_START
from data_collection.youtube.schedules import TICK_S
from data_collection.youtube.tier import youtube_tier

CHANNEL_VIDEOS = 500
ROUNDS = 3
"""Days on which each channel lists as many new videos as a good day brings."""
NEW_A_DAY = 5
SWEEP_AFTER = timedelta(days=8)
IDLE_TICKS = 30
WARM_TICKS = 5
"""Idle ticks before memory is measured: what Python sets up late is there."""
MATERIALIZED_SHARE = 0.9
FAILED_RUN = 100
QUERIES = 10
BATCH = 500
DATABASE_USER = "dagster"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PARTITIONS_OF_THE_PAGE = """
query PartitionHealthQuery($assetKey: AssetKeyInput!) {
  assetNodeOrError(assetKey: $assetKey) {
    ... on AssetNode {
      id
      partitionKeysByDimension { name type partitionKeys }
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses {
          materializedPartitions materializingPartitions failedPartitions
        }
      }
    }
  }
}"""
"""dagster-webserver 1.13.27, ui-core/src/assets/usePartitionHealthData.tsx, less its other kinds of
partitions."""


class NoPostgresError(RuntimeError):
    """A private Postgres could not be started; the message says why."""


@contextmanager
def private_postgres(folder: Path) -> Iterator[str]:
    """Run a Postgres of one's own on loopback for the while; gives its address.

    Raises:
        NoPostgresError: it is not installed, or did not start.
    """
    programs = _postgres_programs()
    as_user: list[str] = []
    if os.geteuid() == 0:  # Postgres refuses to be root
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(programs / program), "-D", str(data), *arguments]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, cwd=folder, check=False
        )
        if done.returncode:
            raise NoPostgresError(f"{program}: {(done.stderr or done.stdout).strip()[-500:]}")

    run("initdb", "-U", DATABASE_USER, "-A", "trust", "-E", "UTF8")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    # Its output goes to a file of its own: a pipe that it inherited would never end.
    run("pg_ctl", "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://{DATABASE_USER}@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-m", "fast", "-w", "stop")


def _postgres_programs() -> Path:
    on_path = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if on_path is None and not installed:
        raise NoPostgresError("initdb is not there: apt-get install postgresql")
    return Path(on_path).parent if on_path else installed[-1].parent


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def instance_home(folder: Path, storage: str) -> Iterator[tuple[Path, str, str | None]]:
    """DAGSTER_HOME of an instance; gives it, the storage that it has, and why not Postgres."""
    home = folder / "dagster_home"
    home.mkdir()
    because: str | None = "asked for" if storage == "sqlite" else None
    with ExitStack() as running:
        if storage == "postgres":
            database = folder / "postgres"
            database.mkdir()
            folder.chmod(0o755)  # its user has to get there
            try:
                url = running.enter_context(private_postgres(database))
            except NoPostgresError as error:
                storage, because = "sqlite", str(error)
            else:
                os.environ["DAGSTER_POSTGRES_URL"] = url
        theirs = "docker/dagster.yaml" if storage == "postgres" else "dagster.yaml"
        shutil.copyfile(PROJECT / theirs, home / "dagster.yaml")
        yield home, storage, because


@dataclass
class Channels:
    """Made channels on loopback; each lists its newest video first."""

    site: Site
    count: int
    videos: int = CHANNEL_VIDEOS

    @property
    def ids(self) -> list[str]:
        """Of the channels."""
        return [f"made-{number:02d}" for number in range(self.count)]

    def publish(self, new: int = 0) -> None:
        """List so many more videos each."""
        self.videos += new
        for id_ in self.ids:
            entries = "".join(
                f"<item><title>Nocturne {number}</title><guid>{id_}-{number:05d}</guid>"
                f"<itunes:duration>{240 + number % 300}</itunes:duration><enclosure "
                f'url="{self.site.url}/media/{id_}-{number:05d}.mp3" type="audio/mpeg"/></item>'
                for number in reversed(range(self.videos))
            )
            self.site.pages[f"/{id_}.rss"] = FixedPage(
                '<?xml version="1.0"?><rss version="2.0" '
                'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">'
                f"<channel><title>{id_}</title>{entries}</channel></rss>",
                content_type="application/rss+xml",
            )

    def write(self, path: Path) -> None:
        """Write the file of channels."""
        stated = [
            {
                "id": id_,
                "url": f"{self.site.url}/{id_}.rss",
                "name": id_,
                "category": "pianist",
                "nightly_budget": 20,
                "licence_note": "made",
            }
            for id_ in self.ids
        ]
        path.write_text(yaml.safe_dump({"channels": stated}), encoding="utf-8")


def memory_mb() -> float:
    """What this process holds in memory, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of the sensor.

    Attributes:
        phase: what it was for.
        seconds: until what it answered was done.
        listed: channels that it listed.
        added: recordings that it registered.
        registered: recordings that are registered now.
        memory_mb: this process's resident memory afterwards.
    """

    phase: str
    seconds: float
    listed: int
    added: int
    registered: int
    memory_mb: float


@dataclass
class Sensor:
    """The discovery sensor, and the clock that it sees."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    partitions_name: str
    clock: time_machine.Traveller
    cursor: str | None = None
    ticks: list[Tick] = field(default_factory=list)

    def tick(self, phase: str) -> Tick:
        """Evaluate once, at the sensor's interval, and do with the answer what the daemon does."""
        self.clock.shift(TICK_S)
        began_s = time.perf_counter()
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.definitions.get_repository_def(),
            resources=dict(self.definitions.resources or {}),
        ) as context:
            found = self.definitions.resolve_sensor_def("youtube_discovery").evaluate_tick(context)
        added = 0
        for request in found.dynamic_partitions_requests or ():
            keys = list(request.partition_keys)
            self.instance.add_dynamic_partitions(request.partitions_def_name, keys)
            added += len(keys)
        for event in found.asset_events:
            self.instance.report_runless_asset_event(event)
        if found.cursor is None:
            raise RuntimeError(f"the tick was skipped: {found.skip_message}")
        self.cursor = found.cursor
        seconds = time.perf_counter() - began_s
        registered = len(self.instance.get_dynamic_partitions(self.partitions_name))
        self.ticks.append(
            Tick(phase, seconds, len(found.asset_events), added, registered, memory_mb())
        )
        print(self.ticks[-1], flush=True)
        return self.ticks[-1]

    def until_registered(self, phase: str, number: int) -> None:
        """Tick until so many are registered.

        Raises:
            RuntimeError: they never are.
        """
        for _ in range(2 * number // BATCH + 10):
            if self.tick(phase).registered >= number:
                return
        raise RuntimeError(f"{self.ticks[-1].registered} of {number} were registered")

    def of(self, phase: str) -> list[Tick]:
        """The ticks of a phase."""
        return [tick for tick in self.ticks if tick.phase == phase]


def discover_all(sensor: Sensor, channels: Channels, recordings: int) -> None:
    """Register everything, days of few new videos, a week's sweep, and ticks without any news."""
    channels.publish()
    sensor.until_registered("registering", recordings)
    for day in range(ROUNDS):
        channels.publish(NEW_A_DAY)
        sensor.clock.shift(timedelta(days=1))
        sensor.until_registered(
            "a day's round", recordings + (day + 1) * NEW_A_DAY * channels.count
        )
    sensor.clock.shift(SWEEP_AFTER)
    for _ in range(5):
        sensor.tick("a week's sweep")
    for _ in range(IDLE_TICKS):
        sensor.tick("nothing new")


def materialize(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]) -> None:
    """Put down that partitions were materialized, by batches, as a run with a batch size does."""
    for start in range(0, len(keys), BATCH):
        instance.event_log_storage.store_event_batch(
            [
                dg.EventLogEntry(  # type: ignore[no-untyped-call]
                    error_info=None,
                    level="debug",
                    user_message="",
                    run_id="",
                    timestamp=time.time(),
                    dagster_event=dg.DagsterEvent(
                        dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                        job_name="made",
                        event_specific_data=StepMaterializationData(
                            dg.AssetMaterialization(asset, partition=key)
                        ),
                    ),
                )
                for key in keys[start : start + BATCH]
            ]
        )


def fail(sensor: Sensor, keys: Sequence[str]) -> None:
    """A night's run over keys of which the source has none; after 25 the breaker ends it.

    Raises:
        RuntimeError: it did not fail.
    """
    result = sensor.definitions.resolve_job_def("youtube_piano_cache_night").execute_in_process(
        instance=sensor.instance,
        tags={RANGE_START: keys[0], RANGE_END: keys[-1]},
        run_config=QUIET,
        raise_on_error=False,
    )
    if result.success:
        raise RuntimeError("a run over videos that are not there did not fail")


def page_queries(dagster: RunningDagster, asset: dg.AssetKey) -> dict[str, object]:
    """How long the page's query takes, the first time and then; and what it answers."""
    seconds: list[float] = []
    for _ in range(QUERIES + 1):
        began_s = time.perf_counter()
        answer = dagster.ask(PARTITIONS_OF_THE_PAGE, {"assetKey": {"path": list(asset.path)}})
        seconds.append(time.perf_counter() - began_s)
    node = answer["assetNodeOrError"]
    return {
        "first_s": seconds[0],
        "median_s": statistics.median(seconds[1:]),
        "most_s": max(seconds[1:]),
        "keys": len(node["partitionKeysByDimension"][0]["partitionKeys"]),
        **{name: len(keys) for name, keys in node["assetPartitionStatuses"].items()},
    }


def ticks_summary(sensor: Sensor) -> dict[str, object]:
    """Figures of the ticks."""
    listing = [tick for tick in sensor.ticks if tick.listed]
    others = [tick for tick in sensor.ticks if not tick.listed]
    idle = sensor.of("nothing new")
    warm = idle[WARM_TICKS:]
    return {
        "registered": sensor.ticks[-1].registered,
        "ticks": len(sensor.ticks),
        "most_added_in_a_tick": max(tick.added for tick in sensor.ticks),
        "most_listed_in_a_tick": max(tick.listed for tick in listing),
        "tick_most_s": max(tick.seconds for tick in sensor.ticks),
        "tick_listing_median_s": statistics.median(tick.seconds for tick in listing),
        "tick_without_listing_most_s": max(tick.seconds for tick in others),
        "tick_idle_median_s": statistics.median(tick.seconds for tick in idle),
        "memory_mb": warm[-1].memory_mb,
        "memory_growth_mb": warm[-1].memory_mb - warm[0].memory_mb,
        "memory_growth_ticks": len(warm) - 1,
    }


def measure(folder: Path, storage: str, recordings: int) -> dict[str, object]:
    """Measure everything below a folder."""
    root = folder / "data"
    nobody = Video(id="nobody", title="Nobody", media=AUDIO / "stage1_sol.opus")
    with instance_home(folder, storage) as (home, stored_in, because), ExitStack() as running:
        site = running.enter_context(serve([nobody], title="Made"))
        channels = Channels(site, recordings // CHANNEL_VIDEOS)
        channels.write(folder / "channels.yaml")
        settings = Settings(
            data_collection_root=str(root),
            youtube_channels=folder / "channels.yaml",
            fetch_attempts=1,
        )
        tier = youtube_tier(read_channels(settings.youtube_channels), home)
        instance = running.enter_context(dg.DagsterInstance.from_config(str(home)))
        began_at = datetime.now(UTC) - timedelta(days=20)  # files of the future are never stale
        with time_machine.travel(began_at, tick=True) as clock:
            sensor = Sensor(build_defs(settings=settings), instance, tier.partitions_name, clock)
            discover_all(sensor, channels, recordings)
            keys = list(instance.get_dynamic_partitions(tier.partitions_name))
            audio = dg.AssetKey([*tier.key_prefix, "audio"])
            done = round(MATERIALIZED_SHARE * len(keys))
            materialize(instance, audio, keys[:done])
            fail(sensor, keys[done : done + FAILED_RUN])
        environment = {
            "DATA_COLLECTION_ROOT": str(root),
            "YOUTUBE_CHANNELS": str(settings.youtube_channels),
        }
        dagster = running.enter_context(running_dagster(home, environment))
        return {
            "storage": stored_in,
            "because": because,
            **ticks_summary(sensor),
            **{f"page_{name}": of for name, of in page_queries(dagster, audio).items()},
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--storage", choices=("postgres", "sqlite"), default="postgres")
    parser.add_argument("--recordings", type=int, default=10_000, help=f"by {CHANNEL_VIDEOS}")
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="many-") as name:
        results = measure(Path(name), options.storage, options.recordings)
    for label, value in results.items():
        shown = f"{value:.3f}" if isinstance(value, float) else value
        print(f"{label:28} {shown}")
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
