"""Runs whose process was killed: they are ended, and give back what they held."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from data_collection.orphans import end_orphaned_runs

HANGING = """
import sys, time
import dagster as dg

@dg.asset(pool="fetch")
def hanging():
    open(sys.argv[2], "w").close()
    time.sleep(600)

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    dg.materialize([hanging], instance=instance)
"""


def test_a_killed_run_gives_its_place_back(tmp_path: Path) -> None:
    """A run that was killed in its step is failed and its pool free; a living one is left alone.

    Guards a collection that waits for ever, after a reboot, for a run that nobody runs.
    """
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\nconcurrency: {pools: {default_limit: 1, granularity: op}}\n"
    )
    sign = tmp_path / "in_its_step"
    child = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(tmp_path), str(sign)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not sign.exists():
        assert child.poll() is None
        time.sleep(0.05)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        storage = instance.event_log_storage
        assert end_orphaned_runs(instance) == []
        assert storage.get_concurrency_info("fetch").claimed_slots
        child.kill()
        child.wait()
        run = instance.get_runs()[0]
        assert end_orphaned_runs(instance) == [run.run_id]
        ended = instance.get_run_by_id(run.run_id)
        assert ended is not None
        assert ended.status is dg.DagsterRunStatus.FAILURE
        assert not storage.get_concurrency_info("fetch").claimed_slots


def test_a_run_that_nobody_starts_is_ended(tmp_path: Path) -> None:
    """Once the servers are gone, a run that was about to start is failed; a queued one waits on.

    Guards runs that take a place for as long as Dagster waits for their start.
    """
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    @dg.job
    def nothing() -> None:
        pass

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTING)
        assert end_orphaned_runs(instance) == []
        assert end_orphaned_runs(instance, nobody_launches=True) == [run.run_id]
        ended = instance.get_run_by_id(run.run_id)
        assert ended is not None
        assert ended.is_finished
