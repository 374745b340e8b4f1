"""What follows by itself, driven by real automation ticks."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg

from data_collection.build import build_defs
from data_collection.partitions import register_partitions
from data_collection.settings import Settings
from data_collection_tests.river import write_edition

ROSTER = "performer,country,reached_stage,prize\nAda Quill,,final,1\n"
PREFIX = ("competition_cache", "test2021")


def _key(asset: str) -> dg.AssetKey:
    return dg.AssetKey([*PREFIX, asset])


class Ticks:
    """Evaluates all conditions again and again, as the daemon's sensors do."""

    def __init__(self, tmp_path: Path) -> None:
        edition = write_edition(tmp_path, "http://127.0.0.1:9/x.rss", ROSTER)
        self.definitions = build_defs(settings=Settings(competition_edition=edition))
        self.instance = dg.DagsterInstance.ephemeral()
        self._last: dg.EvaluateAutomationConditionsResult | None = None

    def register(self, *keys: str) -> None:
        """Add recordings to those that are registered."""
        partitions = dg.DynamicPartitionsDefinition(name="competition_test2021")
        known = self.instance.get_dynamic_partitions("competition_test2021")
        register_partitions(self.instance, partitions, [*known, *keys])

    def materialize(self, asset: str, *keys: str) -> None:
        """Report partitions as materialized."""
        for key in keys:
            event = dg.AssetMaterialization(_key(asset), partition=key)
            self.instance.report_runless_asset_event(event)

    def tick(self, time: str = "2026-11-22 12:00") -> dict[str, set[str]]:
        """Evaluate once; returns the requested partition keys by asset."""
        self._last = dg.evaluate_automation_conditions(
            self.definitions,
            self.instance,
            cursor=self._last.cursor if self._last else None,
            evaluation_time=datetime.fromisoformat(time).replace(tzinfo=ZoneInfo("UTC")),
        )
        requested = {}
        for asset in ("audio", "segments", "muq_embeddings"):
            keys = self._last.get_requested_partitions(_key(asset))
            if keys:
                requested[asset] = {str(key) for key in keys}
        for asset in ("programmes", "metadata", "preferences"):
            if self._last.get_num_requested(_key(asset)):
                requested[asset] = {"*"}
        return requested


NIGHTLY = {asset: {"*"} for asset in ("programmes", "metadata", "preferences")}


def test_a_new_recording_is_carried_on_stage_by_stage(tmp_path: Path) -> None:
    """Audio done requests its clips, clips done requests its embeddings; each once."""
    ticks = Ticks(tmp_path)
    ticks.tick()
    ticks.register("r1", "r2")
    assert ticks.tick() == {}, "fetching is never launched by itself"
    ticks.materialize("audio", "r1")
    assert ticks.tick() == {"segments": {"r1"}}
    assert ticks.tick() == {}, "requested once, not at every tick"
    ticks.materialize("segments", "r1")
    assert ticks.tick() == {"muq_embeddings": {"r1"}}
    ticks.materialize("muq_embeddings", "r1")
    assert ticks.tick() == {}


def test_what_failed_upstream_is_not_tried_downstream(tmp_path: Path) -> None:
    """A recording whose audio is missing requests nothing, however often others succeed."""
    ticks = Ticks(tmp_path)
    ticks.tick()
    ticks.register("good", "dead")
    ticks.tick()
    ticks.materialize("audio", "good")
    assert ticks.tick() == {"segments": {"good"}}
    ticks.materialize("segments", "good")
    assert ticks.tick() == {"muq_embeddings": {"good"}}


def test_fetching_again_does_not_embed_again(tmp_path: Path) -> None:
    """A stage that costs GPU hours runs once for a recording; guards `eager` in its place."""
    ticks = Ticks(tmp_path)
    ticks.tick()
    ticks.register("r1")
    ticks.tick()
    for stage in ("audio", "segments", "muq_embeddings"):
        ticks.materialize(stage, "r1")
        ticks.tick()
    ticks.materialize("audio", "r1")
    assert ticks.tick() == {}


def test_metadata_follows_once_a_night(tmp_path: Path) -> None:
    """The aggregate is made after six in the morning, once, not after every recording."""
    ticks = Ticks(tmp_path)
    ticks.tick("2026-11-22 05:58")
    assert ticks.tick("2026-11-22 05:59") == {}
    assert ticks.tick("2026-11-22 06:01") == NIGHTLY
    assert ticks.tick("2026-11-22 06:02") == {}
    assert ticks.tick("2026-11-23 06:01") == NIGHTLY


def test_sensors_start_stopped(tmp_path: Path) -> None:
    """Nothing runs by itself on a fresh machine: a person launches the first backfill."""
    definitions = Ticks(tmp_path).definitions
    for sensor in definitions.sensors or ():
        assert isinstance(sensor, dg.SensorDefinition)
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    for schedule in definitions.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_a_tier_has_partitions_of_its_own(tmp_path: Path) -> None:
    """All stages of a tier share one set of keys; guards a stage that never sees a recording."""
    graph = Ticks(tmp_path).definitions.resolve_asset_graph()
    names = {
        graph.get(_key(stage)).partitions_def for stage in ("audio", "segments", "muq_embeddings")
    }
    assert names == {dg.DynamicPartitionsDefinition(name="competition_test2021")}
