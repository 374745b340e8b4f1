"""`make demo`: the main job, once, on the sample world, through the real Dagster.

What belongs here: bringing up the world, pointing the settings at it, and judging the outcome. What
does not: the job itself (`collect`). The definitions are the same as for the real sources.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from data_collection.collect import Collected, collect, print_report, row_count
from data_collection.competition.catalogue import competition_tier
from data_collection.competition.editions import read_edition
from data_collection.competition.rows import CompetitionRecording
from data_collection.headless import running_dagster
from data_collection.maestro.catalogue import maestro_tier
from data_collection.recordings.collection import read_recordings
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.sample.maestro_world import BROKEN, PAIRS, RECORDINGS, write_release
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
from data_collection.sample.youtube_world import (
    AGAIN,
    OF_THE_COMPETITION,
    sample_uploads,
    uploads_by_state,
    write_channels,
)
from data_collection.sample.youtube_world import CHANNEL_TITLE as UPLOADS_TITLE
from data_collection.youtube.channels import read_channels
from data_collection.youtube.tier import youtube_tier

DAEMON_INTERVAL_S = 4
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
        f"[bold]A sample world[/]: {CHANNEL_TITLE}, a small release in MAESTRO's shape and a "
        "channel of uploads; six made-up pianists on a sampled piano, embeddings by a tiny MuQ "
        "with random weights. Nothing leaves this machine."
    )
    console.print("      encoding the recordings as flac, m4a, webm and mp3, and as a zip of wavs")
    with ThreadPoolExecutor() as pool:
        release = pool.submit(write_release, folder / "world" / "maestro")
        uploads = pool.submit(sample_uploads, folder / "world" / "uploads")
        videos = sample_videos(folder / "world" / "media")
    with (
        serve(videos, title=CHANNEL_TITLE, folders={"maestro": release.result()}) as site,
        serve(uploads.result(), title=UPLOADS_TITLE) as channel,
    ):
        site.pages.update(sample_pages())
        edition_path = write_edition(folder / "world", site.feed_url)
        channels_path = write_channels(folder / "world", channel.feed_url)
        environment = {
            "DATA_COLLECTION_ROOT": str(folder / "data"),
            "EMBEDDINGS_ROOT": "",
            "COMPETITION_EDITION": str(edition_path),
            "MAESTRO_BASE_URL": f"{site.url}/maestro/",
            "MAESTRO_PERFORMERS": "",
            "YOUTUBE_CHANNELS": str(channels_path),
            "YOUTUBE_FORCED": "true",
            "AUGMENTATION_RECIPE": "",
            "AUGMENTATION_ROOMS": "",
            "MUQ_CHECKPOINT": str(CHECKPOINT),
            "MUQ_DEVICE": "cpu",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        competition = competition_tier(read_edition(edition_path), FetchOptions())
        maestro = maestro_tier(environment["MAESTRO_BASE_URL"])
        maestro = replace(maestro, label=f"SAMPLE — {maestro.label}")
        youtube = youtube_tier(read_channels(channels_path), folder / "dagster_home")
        youtube = replace(youtube, label=f"SAMPLE — {youtube.label}")
        store = Store.at(environment["DATA_COLLECTION_ROOT"])
        console.print("      starting Dagster's webserver and daemon")
        with running_dagster(
            folder / "dagster_home",
            environment,
            port=port or (UI_PORT if ui else None),
            daemon_interval_s=DAEMON_INTERVAL_S,
        ) as dagster:
            collected = collect(dagster, [competition, maestro, youtube], store, console)
            for one in collected:
                print_report(one, store, console)
            console.print(f"\n{time.monotonic() - started:.0f} s", highlight=False)
            problems = [
                *_problems(*collected),
                *_pair_problems(store, maestro, PAIRS),
                *_upload_problems(store, youtube),
            ]
            for problem in problems:
                console.print(f"[red]not as it should be:[/] {problem}")
            if ui:
                console.print(f"The UI is up at {dagster.url} — Ctrl-C ends it.", highlight=False)
                _wait_for_ctrl_c()
    return 1 if problems else 0


def _problems(competition: Collected, maestro: Collected, youtube: Collected) -> Iterator[str]:
    """What differs from what the sample world must give."""
    good = {f"{name} {round_}": "done" for name, round_ in good_recordings()}
    videos = {
        f"{item.recording.performer} {item.recording.round}": item.state
        for item in competition.standings
        if isinstance(item.recording, CompetitionRecording)
    }
    yield from _differences(videos, {**good, " ".join(DEAD_RECORDING): "failed"})
    whole = {recording.audio_filename: "done" for recording in RECORDINGS}
    members = {item.recording.source_id: item.state for item in maestro.standings}
    yield from _differences(members, {**whole, BROKEN.audio_filename: "failed"})
    uploads = {item.recording.source_id: item.state for item in youtube.standings}
    yield from _differences(
        uploads, {id_: state for state, ids in uploads_by_state().items() for id_ in ids}
    )
    for collected in (competition, maestro, youtube):
        if collected.error:
            yield f"{collected.tier.label}: {collected.error}"
        for check in collected.failed_checks:
            yield f"check {check.asset}:{check.name}: {check.status} {check.description or ''}"


def _differences(found: Mapping[str, str], expected: Mapping[str, str]) -> Iterator[str]:
    for name, wanted in expected.items():
        if found.get(name) != wanted:
            yield f"{name} is {found.get(name, 'not in the catalogue')}, expected {wanted}"
    for name in found.keys() - expected:
        yield f"{name} should not be in the catalogue"


def _pair_problems(store: Store, tier: Tier, expected: int) -> Iterator[str]:
    pairs = row_count(store, tier, "pairs")
    if pairs != expected:
        yield f"{tier.label}: {pairs} pairs, expected {expected}"


def _upload_problems(store: Store, youtube: Tier) -> Iterator[str]:
    """Which copies are not as they should be left out, and whether all else has its twins."""
    sources = {row.recording_id: row.source_id for row in read_recordings(store, youtube)}
    left_out = {sources[recording_id] for recording_id in youtube.left_out(store)}
    if left_out != {AGAIN, OF_THE_COMPETITION}:
        yield f"left out as copies: {', '.join(sorted(left_out)) or 'nothing'}"
    yield from _pair_problems(store, youtube, row_count(store, youtube, "metadata") or 0)


def _wait_for_ctrl_c() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with contextlib.suppress(KeyboardInterrupt):
        stop.wait()
