"""T4's nights by the real definitions: listed, planned, fetched, stopped, repaired; on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from data_collection.build import build_defs
from data_collection.recordings.collection import Standing, standings
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.sample.server import Fault, Site, Video, serve
from data_collection.sample.world import CHECKPOINT
from data_collection.settings import Settings
from data_collection.youtube.channels import read_channels
from data_collection.youtube.night_runs import keys_under_way
from data_collection.youtube.tier import shared_breaker, youtube_tier

TITLES = [f"Nocturne {number}" for number in range(8)]
BAD: dict[int, Fault] = {2: "gone", 5: "truncated"}
"""By the order in which the channel published them."""


@dataclass(frozen=True)
class Nights:
    """The definitions of one made channel, an instance, a data root, and the site."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    tier: Tier
    store: Store
    site: Site

    def key(self, asset: str) -> dg.AssetKey:
        """Key of one of the tier's assets."""
        return dg.AssetKey([*self.tier.key_prefix, asset])

    def registered(self) -> list[str]:
        """Partition keys, in order."""
        return list(self.instance.get_dynamic_partitions(self.tier.partitions_name))

    def discover(self, cursor: str | None = None) -> dg.SensorResult:
        """Run one tick of the sensor, and do with its answer what the daemon does."""
        sensor = self.definitions.resolve_sensor_def("youtube_discovery")
        # Left open, a context leaves its instance to whatever is loaded after it in this process.
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            repository_def=self.definitions.get_repository_def(),
            resources=dict(self.definitions.resources or {}),
        ) as context:
            found = sensor.evaluate_tick(context)
        assert not found.run_requests
        for request in found.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(
                request.partitions_def_name, list(request.partition_keys)
            )
        for event in found.asset_events:
            self.instance.report_runless_asset_event(event)  # type: ignore[arg-type]
        return found  # type: ignore[return-value]

    def tick(self, schedule: str) -> tuple[list[dg.RunRequest], str | None]:
        """One tick of a schedule: what it asks for, or why it skips."""
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=datetime.now(UTC),
            repository_def=self.definitions.get_repository_def(),
            resources=dict(self.definitions.resources or {}),
        ) as context:
            found = self.definitions.resolve_schedule_def(schedule).evaluate_tick(context)
        return list(found.run_requests or ()), found.skip_message

    def run(self, job: str, request: dg.RunRequest | None = None, **config: object) -> bool:
        """Run a job as a schedule asks for it, or with a configuration."""
        result = self.definitions.resolve_job_def(f"youtube_piano_cache_{job}").execute_in_process(
            instance=self.instance,
            tags=dict(request.tags) if request else {},
            run_config=(dict(request.run_config) if request else None) or config,
            raise_on_error=False,
        )
        return result.success

    def night(self) -> list[bool]:
        """Run what the night's schedule asks for now."""
        requests, _ = self.tick("youtube_nights")
        return [self.run("night", request) for request in requests]

    def standing(self, number: int) -> Standing:
        """How far a video has come."""
        (found,) = (
            item
            for item in standings(self.store, self.tier)
            if item.recording.source_id == f"video-{number}"
        )
        return found

    def states(self) -> dict[int, str]:
        """State of the audio of each video that was tried, by its number."""
        return {
            int(item.recording.source_id.rpartition("-")[2]): item.receipts["audio"].state
            for item in standings(self.store, self.tier)
            if "audio" in item.receipts
        }

    def put(self, number: int, fault: Fault | None) -> None:
        """Break or mend one video."""
        name = f"video-{number}"
        self.site.videos[name] = replace(self.site.videos[name], fault=fault)


@pytest.fixture
def site(media_folder: Path) -> Iterator[Site]:
    """A channel of eight videos, the newest first; two are bad."""
    media = media_folder / "stage1_sol.flac"
    videos = [
        Video(id=f"video-{at}", title=title, media=media, claimed_duration_s=8.0, fault=BAD.get(at))
        for at, title in reversed(list(enumerate(TITLES)))
    ]
    with serve(videos, title="Made") as running:
        yield running


@contextmanager
def opened(site: Site, root: Path, **changes: object) -> Iterator[Nights]:
    """T4 of that channel, five recordings a night; keywords are settings."""
    channels = root / "channels.yaml"
    channel = {
        "id": "made",
        "url": site.feed_url,
        "name": "Made",
        "category": "pianist",
        "nightly_budget": 5,
        "licence_note": "made",
        "rules": {"shorts": True},  # the videos last 8 s
    }
    broken = {**channel, "id": "broken", "name": "Broken", "url": f"{site.url}/gone.rss"}
    channels.write_text(yaml.safe_dump({"channels": [channel, broken]}), encoding="utf-8")
    began = datetime.now(UTC) - timedelta(hours=1)
    usual = Settings(
        data_collection_root=str(root / "data"),
        youtube_channels=channels,
        youtube_forced=True,
        youtube_night_begins_at=began.time().replace(microsecond=0),
        muq_checkpoint=str(CHECKPOINT),
        muq_device="cpu",
        fetch_attempts=1,
    )
    settings = usual.model_copy(update=changes)
    home = root / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield Nights(
            definitions=build_defs(settings=settings),
            instance=instance,
            tier=youtube_tier(read_channels(channels), home),
            store=Store.at(settings.data_collection_root),
            site=site,
        )


@pytest.fixture
def nights(site: Site, tmp_path: Path, quick_retries: None) -> Iterator[Nights]:
    """T4 of that channel, listed and registered."""
    with opened(site, tmp_path) as made:
        made.discover()
        yield made


def test_discovery_registers_and_launches_nothing(site: Site, tmp_path: Path) -> None:
    """A tick lists each channel, registers its recordings oldest first, and says who failed.

    Guards against a sensor that fetches, a failed channel that hides the others, and a second tick
    that registers or lists anything twice.
    """
    with opened(site, tmp_path) as nights:
        found = nights.discover()
        assert [key.split("_")[1] for key in nights.registered()] == [
            f"video-{n}" for n in range(8)
        ]
        assert "1 channels listed, 1 not; 8 recordings registered" in str(found.skip_message)
        assert nights.instance.get_materialized_partitions(nights.key("channels")) == {"made"}
        listings = site.requests["/channel.rss"]
        again = nights.discover(found.cursor)
        assert not again.dynamic_partitions_requests
        assert site.requests["/channel.rss"] == listings
        assert not any(path.startswith("/media") for path in site.requests)


def test_a_night_keeps_its_budget(nights: Nights) -> None:
    """The five oldest are fetched, whatever fails; the same night has no more, the bad are told.

    Guards against a budget that each tick begins anew, and against newest first, which never comes
    to the rest.
    """
    assert nights.night() == [False]
    assert nights.states() == {0: "done", 1: "done", 2: "failed", 3: "done", 4: "done"}
    assert nights.standing(2).reason == "removed"
    requests, because = nights.tick("youtube_nights")
    assert not requests
    assert "channel_budget" in str(because)


def test_a_night_that_is_not_wanted(site: Site, tmp_path: Path) -> None:
    """Until an evaluation asks for T4 the schedules skip, and say why; then they run.

    Guards against weeks of traffic for a tier that nobody needs.
    """
    metrics = tmp_path / "metrics.json"
    figures = {
        "clean_pairwise_accuracy": 0.8,
        "augmented_pairwise_accuracy": 0.78,
        "cross_condition_pearson": 0.95,
    }
    metrics.write_text(json.dumps(figures))
    with opened(site, tmp_path, youtube_forced=False, youtube_metrics=metrics) as nights:
        nights.discover()
        requests, because = nights.tick("youtube_nights")
        assert (requests, "the model is robust" in str(because)) == ([], True)
        metrics.write_text(json.dumps({**figures, "cross_condition_pearson": 0.85}))
        assert nights.tick("youtube_nights")[0]


def test_a_refusal_stops_the_night_for_all_runs(nights: Nights) -> None:
    """A 429 opens the breaker: no attempt is lost, no other recording is asked for, ticks skip.

    Guards against a night that goes on asking a site that said no, and against recordings that are
    given up for an outage.
    """
    nights.put(1, "rate_limited")
    assert nights.night() == [False]
    assert nights.states() == {0: "done", 1: "blocked"}
    receipt = nights.standing(1).receipts["audio"]
    assert (receipt.reason, receipt.attempts) == ("too_many_requests", 0)
    requests, because = nights.tick("youtube_nights")
    assert not requests
    assert "the breaker is open" in str(because)
    asked = nights.site.requests.copy()
    key = receipt.recording_id
    assert not nights.run("night", dg.RunRequest(tags={"dagster/partition": key}))
    assert nights.site.requests == asked
    assert nights.standing(1).receipts["audio"] == receipt
    breaker = shared_breaker(nights.store, Path())
    assert breaker.read().state.phase == "open"


def test_repair_takes_scattered_keys_in_one_run(nights: Nights) -> None:
    """What failed is tried again by its reason, only that, and is told to Dagster where it is done.

    Guards against a run for each recording, and a repaired recording that Dagster calls failed.
    """
    nights.night()
    nights.put(2, None)
    config = {"ops": {"repair": {"config": {"reasons": ["cut_short"]}}}}
    assert nights.run("repair", None, **config)
    assert nights.states()[2] == "failed"
    assert nights.run("repair", None, ops={"repair": {"config": {"reasons": ["gone"]}}})
    assert nights.states()[2] == "done"
    key = nights.standing(2).recording.recording_id
    assert key in nights.instance.get_materialized_partitions(nights.key("audio"))
    assert nights.standing(2).stage == "muq_embeddings"


def test_runs_under_way_are_known(nights: Nights) -> None:
    """Keys of a waiting range, and of a waiting repair, are not planned a second time."""
    keys = nights.registered()
    (request,) = nights.tick("youtube_nights")[0]
    assert keys_under_way(nights.instance, nights.tier, keys) == frozenset()
    for job, one in (
        ("night", request),
        (
            "repair",
            dg.RunRequest(
                run_config={"ops": {"repair": {"config": {"keys": [keys[6]]}}}},
                tags={"youtube/repair_keys": "1"},
            ),
        ),
    ):
        nights.instance.create_run_for_job(
            nights.definitions.resolve_job_def(f"youtube_piano_cache_{job}"),
            tags=dict(one.tags),
            run_config=dict(one.run_config),
            status=dg.DagsterRunStatus.NOT_STARTED,
        )
    assert keys_under_way(nights.instance, nights.tier, keys) == {*keys[:5], keys[6]}
    assert not nights.tick("youtube_nights")[0]


def test_a_channel_listed_by_hand(nights: Nights) -> None:
    """Materializing all channels names the one that fails and keeps the other's listing."""
    result = dg.materialize(
        [*(nights.definitions.assets or ())],  # type: ignore[arg-type]
        selection=dg.AssetSelection.assets(nights.key("channels")),
        instance=nights.instance,
        resources=dict(nights.definitions.resources or {}),
        tags={
            "dagster/asset_partition_range_start": "made",
            "dagster/asset_partition_range_end": "broken",
        },
        raise_on_error=False,
    )
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "broken" in str(failed.step_failure_data.user_failure_data)
    last = nights.instance.get_latest_materialization_event(nights.key("channels"))
    assert last is not None
    assert last.run_id == result.run_id
    assert last.asset_materialization.partition == "made"  # type: ignore[union-attr]


def test_the_breaker_and_the_gate_have_pages(nights: Nights) -> None:
    """Observing the breaker gives its phase and a plot; the gate says why it is open."""
    assets = [*(nights.definitions.assets or ())]
    (observable,) = [
        one
        for one in assets
        if isinstance(one, dg.SourceAsset) and one.key == nights.key("breaker")
    ]
    job = nights.definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=nights.instance, asset_selection=[nights.key("breaker")]
    )
    (observation,) = result.asset_observations_for_node(observable.op.name)
    assert observation.metadata["phase"].value == "closed"
    assert "data:image/png" in str(observation.metadata["plot"].value)
    made = dg.materialize(
        assets,  # type: ignore[arg-type]
        selection=dg.AssetSelection.assets(nights.key("gate")),
        instance=nights.instance,
        resources=dict(nights.definitions.resources or {}),
    )
    (gate,) = made.asset_materializations_for_node("youtube_piano_cache__gate")
    assert gate.metadata["because"].value == "YOUTUBE_FORCED is set"
