"""`make demo`: the main job, once, on the sample world, through the real Dagster.

What belongs here: bringing up the world, pointing the settings at it, and judging the outcome. What
does not: the job itself (`collect`). The definitions are the same as for the real sources.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from pathlib import Path

from rich.console import Console

from data_collection.collect import Collected, collect, print_report
from data_collection.competition.catalogue import competition_tier
from data_collection.competition.editions import read_edition
from data_collection.competition.rows import CompetitionRecording
from data_collection.headless import running_dagster
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.store import Store
from data_collection.sample.server import serve
from data_collection.sample.world import (
    CHANNEL_TITLE,
    CHECKPOINT,
    DEAD_RECORDING,
    good_recordings,
    sample_pages,
    sample_videos,
    write_edition,
)

DAEMON_INTERVAL_S = 2
UI_PORT = 3000


def run_demo(folder: Path, *, ui: bool, console: Console, port: int | None = None) -> int:
    """Run the demo; returns the exit status, 0 where everything is as it should be.

    Args:
        folder: where the demo keeps its data and Dagster's instance; a second run finds them.
        ui: leave the UI up until Ctrl-C.
        console: where to print.
        port: the UI's.
    """
    started = time.monotonic()
    folder = folder.resolve()
    console.print(
        f"[bold]A sample world[/]: {CHANNEL_TITLE}, six made-up pianists on a sampled piano, "
        "embeddings by a tiny MuQ with random weights. Nothing leaves this machine."
    )
    console.print("      encoding the recordings as flac, m4a, webm and mp3")
    videos = sample_videos(folder / "world" / "media")
    with serve(videos, title=CHANNEL_TITLE) as site:
        site.pages.update(sample_pages())
        edition_path = write_edition(folder / "world", site.feed_url)
        edition = read_edition(edition_path)
        store = Store.at(str(folder / "data"))
        environment = {
            "DATA_COLLECTION_ROOT": str(folder / "data"),
            "EMBEDDINGS_ROOT": "",
            "COMPETITION_EDITION": str(edition_path),
            "MUQ_CHECKPOINT": str(CHECKPOINT),
            "MUQ_DEVICE": "cpu",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        console.print("      starting Dagster's webserver and daemon")
        with running_dagster(
            folder / "dagster_home",
            environment,
            port=port or (UI_PORT if ui else None),
            daemon_interval_s=DAEMON_INTERVAL_S,
        ) as dagster:
            tier = competition_tier(edition, FetchOptions())
            collected = collect(dagster, tier, store, console)
            print_report(collected, tier, store, console)
            console.print(f"\n{time.monotonic() - started:.0f} s", highlight=False)
            problems = _problems(collected)
            for problem in problems:
                console.print(f"[red]not as it should be:[/] {problem}")
            if ui:
                console.print(f"The UI is up at {dagster.url} — Ctrl-C ends it.", highlight=False)
                _wait_for_ctrl_c()
    return 1 if problems else 0


def _problems(collected: Collected) -> list[str]:
    """What differs from what the sample world must give."""
    state = {
        (item.recording.performer, item.recording.round): item.state
        for item in collected.standings
        if isinstance(item.recording, CompetitionRecording)
    }
    expected = {**dict.fromkeys(good_recordings(), "done"), DEAD_RECORDING: "failed"}
    problems = [
        f"{' '.join(key)} is {state.get(key, 'not in the catalogue')}, expected {wanted}"
        for key, wanted in expected.items()
        if state.get(key) != wanted
    ]
    problems += [f"{' '.join(key)} should not have matched" for key in state.keys() - expected]
    problems += [
        f"check {check.asset}:{check.name}: {check.status} {check.description or ''}"
        for check in collected.failed_checks
    ]
    return problems


def _wait_for_ctrl_c() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with contextlib.suppress(KeyboardInterrupt):
        stop.wait()
