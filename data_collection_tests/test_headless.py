"""Driving Dagster without a person: a fresh home, a refusal, a lab's own sources."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import soundfile

from data_collection.headless import HeadlessError, _create_storage, running_dagster
from data_collection.sample.media import AUDIO, encode
from data_collection.sample.server import Video, serve
from data_collection.sample.world import CHECKPOINT
from data_collection_tests.processes import HANGS_AFTER_S, running_under
from data_collection_tests.river import write_edition

ROSTER = "performer,country,reached_stage,prize\nAda Quill,,final,1\nBen Rook,,stage1,\n"


def test_a_fresh_home_has_its_tables_before_anybody_starts(tmp_path: Path) -> None:
    """All three databases exist with one schema version each.

    Guards webserver and daemon making the same tables at once, after which neither loads.
    """
    _create_storage(tmp_path)
    for name in ("history/runs.db", "history/runs/index.db", "schedules/schedules.db"):
        with closing(sqlite3.connect(tmp_path / name)) as database:
            assert len(database.execute("select * from alembic_version").fetchall()) == 1, name


def test_code_that_does_not_load_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    """A malformed edition ends the start with its own message; guards a UI that is up but empty."""
    edition = tmp_path / "edition.yaml"
    edition.write_text("id: [", encoding="utf-8")
    environment = {"COMPETITION_EDITION": str(edition), "NO_PROXY": "127.0.0.1"}
    with (
        pytest.raises(HeadlessError, match=r"edition .*edition\.yaml: not YAML"),
        running_dagster(tmp_path / "home", environment),
    ):
        pytest.fail("it must not start")


def test_collect_runs_the_job_on_the_sources_of_the_environment(tmp_path: Path) -> None:
    """`data-collection collect` brings an edition's recordings to metadata, and says what is not.

    Guards a command that works for the demo's world only, and one that overwrites a lab's own
    instance file.
    """
    source = encode(AUDIO / "stage1_sol.opus", tmp_path / "sol.flac", "flac")
    samples, rate_hz = soundfile.read(source)
    soundfile.write(tmp_path / "short.flac", samples[: 8 * rate_hz], rate_hz)
    videos = [
        Video("v0", "Ada Quill – first round", tmp_path / "short.flac"),
        Video("v1", "Ben Rook – first round", tmp_path / "short.flac", fault="gone"),
    ]
    home = tmp_path / "home"
    home.mkdir()
    own = "telemetry: {enabled: false}\n# a lab's own\n"
    (home / "dagster.yaml").write_text(own, encoding="utf-8")
    with serve(videos, title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        answer = subprocess.run(
            [sys.executable, "-m", "data_collection", "collect", "--daemon-interval", "2"],
            capture_output=True,
            text=True,
            check=False,
            timeout=HANGS_AFTER_S,
            cwd=tmp_path,
            env={
                **os.environ,
                "DAGSTER_HOME": str(home),
                "DATA_COLLECTION_ROOT": str(tmp_path / "data"),
                "COMPETITION_EDITION": str(edition),
                "MUQ_CHECKPOINT": str(CHECKPOINT),
                "MUQ_DEVICE": "cpu",
                "NO_PROXY": "127.0.0.1",
            },
        )
    assert answer.returncode == 1, "one recording is not done: " + answer.stdout + answer.stderr
    assert "failed: removed" in answer.stdout
    folder = tmp_path / "data" / "competition_cache" / "test2021"
    assert len((folder / "metadata.jsonl").read_text("utf-8").splitlines()) == 1
    assert (home / "dagster.yaml").read_text("utf-8") == own


def test_collect_refuses_a_wrong_edition(tmp_path: Path) -> None:
    """A missing edition is exit status 2 and one line that names the variable."""
    answer = subprocess.run(
        [sys.executable, "-m", "data_collection", "collect"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "COMPETITION_EDITION": str(tmp_path / "none.yaml"), "COLUMNS": "200"},
    )
    assert answer.returncode == 2
    assert "COMPETITION_EDITION" in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr


def test_a_terminated_command_leaves_nothing_running_and_nothing_held(tmp_path: Path) -> None:
    """SIGTERM in the middle of a run ends all processes, and the run gives its pool back.

    Guards orphans that hold the port, and a next collection that waits for ever for a dead run.
    """
    if not Path("/proc/self/environ").exists():
        pytest.skip("no /proc on this system to see other processes' environments in")
    folder = tmp_path / "demo"
    home = folder / "dagster_home"
    command = [sys.executable, "-m", "data_collection", "demo", "--folder", str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    audio = folder / "data" / "competition_cache" / "sample2021" / "audio"
    while not list(audio.glob("*.receipt.json")):  # the run of the first stage is under way
        assert child.poll() is None
        time.sleep(0.05)
    assert running_under(home)
    child.terminate()
    assert child.wait(timeout=HANGS_AFTER_S) == 143
    assert running_under(home) == []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        # A queued run is nobody's yet: the next daemon takes it up.
        left = [run.status for run in instance.get_runs() if not run.is_finished]
        assert set(left) <= {dg.DagsterRunStatus.QUEUED}
        assert not instance.event_log_storage.get_concurrency_info("fetch").claimed_slots
