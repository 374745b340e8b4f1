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
from data_collection.sample.maestro_world import PAIRS
from data_collection_tests.processes import HANGS_AFTER_S, running_under

RIVER = ("audio", "fingerprints", "segments", "muq_embeddings")
STAGES = {
    ("competition_cache", "sample2021"): RIVER,
    ("maestro_cache",): RIVER,
    ("youtube_piano_cache",): (*RIVER, "augmented_muq_embeddings"),
}
COLLECTED = {
    ("competition_cache", "sample2021"): 9,
    ("maestro_cache",): 11,
    ("youtube_piano_cache",): 8,
}
"""Recordings that each tier gets, by its folder; one of each fails on purpose."""


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
        timeout=HANGS_AFTER_S,
        cwd=folder,
        env={**environment, "HOME": str(folder), "COLUMNS": "120"},
    )
    return answer, folder / "demo"


def test_the_demo_succeeds_and_says_what_it_did(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """Exit status 0, tables with every recording, each bad one with its reason, and the places."""
    answer, folder = demo
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.count(" done ") == sum(COLLECTED.values())
    for said in (
        "failed: removed",
        "failed: wrong_checksum",
        "2017_43",
        f", {PAIRS} rows",
        ", 12 rows",
    ):
        assert said in answer.stdout
    for prefix in COLLECTED:
        assert str(folder.joinpath("data", *prefix, "metadata.jsonl")) in answer.stdout
    assert answer.stdout.count("SAMPLE —") == len(COLLECTED)


def test_the_backfills_gave_each_stage_runs_of_its_own(
    demo: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """One backfill a tier, one of the channel; no run holds two stages, so nothing bad stops all.

    Guards a demo in which a dead video keeps its neighbours from being cut.
    """
    _, folder = demo
    with dg.DagsterInstance.from_config(str(folder / "dagster_home")) as instance:
        runs = [run for run in instance.get_runs() if run.tags.get("dagster/backfill")]
        assert len({run.tags["dagster/backfill"] for run in runs}) == len(COLLECTED) + 1
        assets = [{*(run.asset_selection or ())} for run in runs]
        assert all(len(found) == 1 for found in assets), assets
        failed = Counter(
            next(iter(found))
            for found, run in zip(assets, runs, strict=True)
            if run.status is dg.DagsterRunStatus.FAILURE
        )
        assert failed == {dg.AssetKey([*prefix, "audio"]): 1 for prefix in COLLECTED}, (
            "the run of the bad recording says so, and nothing else fails"
        )
        for prefix, count in COLLECTED.items():
            for stage in STAGES[prefix]:
                key = dg.AssetKey([*prefix, stage])
                assert len(instance.get_materialized_partitions(key)) == count


@pytest.mark.parametrize("prefix", COLLECTED)
def test_receipts_lie_beside_the_artifacts(
    demo: tuple[subprocess.CompletedProcess[str], Path], prefix: tuple[str, ...]
) -> None:
    """Each recording has a receipt a stage, with hashes and versions, and no scratch is left."""
    _, folder = demo
    store = Store.at(str(folder / "data"))
    base = "/".join(prefix)
    ids = [path.stem for path in store.path(f"{base}/audio").glob("*.flac")]
    assert len(ids) == COLLECTED[prefix]
    for recording_id in ids:
        for stage in STAGES[prefix]:
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
