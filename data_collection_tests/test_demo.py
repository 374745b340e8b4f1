"""`make demo`'s command, as a person runs it: real webserver, daemon, backfill and runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from data_collection.recordings.receipts import read_receipt
from data_collection.recordings.store import Store
from data_collection_tests.processes import running_under

STAGES = ("audio", "segments", "muq_embeddings")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The demo, run once in a folder of its own with an empty home."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "data_collection", "demo", "--folder", str(folder / "demo")]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DAGSTER", "MUQ_", "DATA_COLLECTION", "COMPETITION_"))
    }
    answer = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        cwd=folder,
        env={**environment, "HOME": str(folder), "COLUMNS": "120"},
    )
    return answer, folder / "demo"


def test_the_demo_succeeds_and_says_what_it_did(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """Exit status 0, a table with every recording, the dead one with its reason, and the place."""
    answer, folder = demo
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.count(" done ") == 9
    assert "failed: removed" in answer.stdout
    assert str(folder / "data" / "competition_cache" / "sample2021" / "metadata.jsonl") in (
        answer.stdout
    )
    assert "SAMPLE" in answer.stdout


def test_the_backfill_gave_each_stage_runs_of_its_own(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """One backfill; no run holds two stages, so the dead video stopped none of the nine others."""
    _, folder = demo
    with dg.DagsterInstance.from_config(str(folder / "dagster_home")) as instance:
        runs = [run for run in instance.get_runs() if run.tags.get("dagster/backfill")]
        assert len({run.tags["dagster/backfill"] for run in runs}) == 1
        stages = [
            {key.path[-1] for key in (run.asset_selection or ())} & set(STAGES) for run in runs
        ]
        assert all(len(stage) == 1 for stage in stages), stages
        status = Counter(
            (next(iter(stage)), run.status.value) for stage, run in zip(stages, runs, strict=True)
        )
        assert status["audio", "FAILURE"] == 1, "the run of the dead video says so"
        assert not status["segments", "FAILURE"]
        assert not status["muq_embeddings", "FAILURE"]
        for stage in STAGES:
            key = dg.AssetKey(["competition_cache", "sample2021", stage])
            assert len(instance.get_materialized_partitions(key)) == 9


def test_receipts_lie_beside_the_artifacts(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """Each recording has a receipt a stage, with hashes and versions, and no scratch is left."""
    _, folder = demo
    store = Store.at(str(folder / "data"))
    base = "competition_cache/sample2021"
    ids = [path.stem for path in store.path(f"{base}/audio").glob("*.flac")]
    assert len(ids) == 9
    for recording_id in ids:
        for stage in STAGES:
            receipt = read_receipt(store, f"{base}/{stage}", recording_id)
            assert receipt is not None
            assert receipt.state == "done"
            assert receipt.outputs
    assert not list((folder / "data" / ".scratch").iterdir())


def test_nothing_is_left_running(demo: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Webserver, daemon and code servers end with the demo; guards orphans that hold the port."""
    _, folder = demo
    if not Path("/proc/self/environ").exists():
        pytest.skip("no /proc on this system to see other processes' environments in")
    assert running_under(folder / "dagster_home") == []
