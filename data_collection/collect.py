"""The main job over some tiers, and the tables that say what it gave.

What belongs here: the order of the three steps and the report, for the demo and for a lab's cron.
What does not: starting Dagster (`headless`). Tiers go side by side: each waits for a server of its
own, and what they must not share is kept apart by Dagster's pools.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx
import polars as pl
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table
from upath import UPath

from data_collection.competition.catalogue import competition_tier
from data_collection.competition.editions import EditionError, read_edition
from data_collection.competition.rows import CompetitionRecording
from data_collection.headless import CheckResult, HeadlessError, RunningDagster, running_dagster
from data_collection.maestro.catalogue import maestro_tier
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow
from data_collection.recordings.collection import Standing, standings
from data_collection.recordings.errors import SetupError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.receipts import FINISHED
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.settings import Settings
from data_collection.youtube.catalogue_rows import YouTubeRecording

UNFINISHED = 1
REFUSED = 2
TIERS: Mapping[str, Callable[[Settings], Tier]] = {
    "competition": lambda settings: competition_tier(
        read_edition(settings.competition_edition), FetchOptions()
    ),
    "maestro": lambda settings: maestro_tier(
        settings.maestro_base_url, settings.maestro_performers
    ),
}
"""By their Dagster group."""

SHOWN: Mapping[type[Recording], Mapping[str, str]] = {
    CompetitionRecording: {"performer": "performer", "round": "round", "place": "placement"},
    MaestroCatalogueRow: {
        "performer": "performer_id",
        "works": "works",
        "split": "split",
    },
    YouTubeRecording: {"title": "title", "channel": "channel"},
}
"""What a tier's table shows of a recording: headings and fields of its row."""
NUMBERS = ("place", "seconds", "segments")
LONGEST_CELL = 24
POLL_S = 0.5
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Collected:
    """What the main job gave of one tier.

    Attributes:
        tier: which.
        standings: how far each recording has come.
        checks: what the checks said.
        error: why the job itself stopped; single recordings that failed stop nothing.
    """

    tier: Tier
    standings: Sequence[Standing] = ()
    checks: Sequence[CheckResult] = ()
    error: str | None = None

    @property
    def failed_checks(self) -> list[CheckResult]:
        """Checks that did not pass and are more than warnings."""
        return [
            check
            for check in self.checks
            if check.status != "SUCCEEDED" and check.severity != "WARN"
        ]


def run_collect(
    names: Sequence[str],
    *,
    console: Console,
    port: int | None = None,
    daemon_interval_s: int | None = None,
) -> int:
    """Run the main job once on the sources that the environment names.

    Args:
        names: of the tiers, as in `TIERS`.
        console: where to print.
        port: the UI's, while it runs.
        daemon_interval_s: how often the daemon looks at backfills; Dagster's own 30 s by default.

    Returns:
        0 where every recording is finished and no check failed, 1 where some are not, 2 where the
        job itself was refused for some tier.
    """
    settings = Settings()
    home = settings.dagster_home or Path(".dagster")
    try:
        tiers = [TIERS[name](settings) for name in dict.fromkeys(names)]
    except EditionError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return REFUSED
    store = Store.at(settings.data_collection_root, settings.embeddings_root)
    with running_dagster(home, {}, port=port, daemon_interval_s=daemon_interval_s) as dagster:
        console.print(f"the UI is up at {dagster.url} while this runs", highlight=False)
        collected = collect(dagster, tiers, store, console)
    for one in collected:
        print_report(one, store, console)
    if any(one.error for one in collected):
        return REFUSED
    unfinished = any(item.state not in FINISHED for one in collected for item in one.standings)
    return UNFINISHED if unfinished or any(one.failed_checks for one in collected) else 0


def collect(
    dagster: RunningDagster, tiers: Sequence[Tier], store: Store, console: Console
) -> list[Collected]:
    """Run catalogue, backfill and metadata of each tier; one that cannot go on stops no other.

    The metadata of all come after the backfills of all: which recording of a tier is a copy is
    known once the others' can be listened to.
    """

    def say(tier: Tier, line: str) -> None:
        console.print(f"{tier.group:<12}{line}", highlight=False)

    pool = ThreadPoolExecutor(max_workers=max(1, len(tiers)))
    try:
        errors = _side_by_side(
            pool, [partial(_stopped_by, _fill, dagster, tier, store, say) for tier in tiers]
        )
        return _side_by_side(
            pool,
            [
                partial(_concluded, dagster, tier, store, say, error)
                for tier, error in zip(tiers, errors, strict=True)
            ],
        )
    finally:
        # After Ctrl-C: a thread ends by itself as soon as Dagster does.
        pool.shutdown(wait=False, cancel_futures=True)


Say = Callable[[Tier, str], None]


def _side_by_side(pool: Executor, work: Sequence[Callable[[], Result]]) -> list[Result]:
    running = [pool.submit(one) for one in work]
    # By turns: a signal may reach another thread, and only this one acts on it.
    while wait(running, timeout=POLL_S).not_done:
        pass
    return [one.result() for one in running]


def _stopped_by(
    work: Callable[[RunningDagster, Tier, Store, Say], None],
    dagster: RunningDagster,
    tier: Tier,
    store: Store,
    say: Say,
) -> str | None:
    """Why a step of a tier could not be done; None where it was."""
    try:
        work(dagster, tier, store, say)
    except (HeadlessError, SetupError) as error:
        return str(error)
    except httpx.TransportError as error:
        return f"Dagster does not answer: {error or type(error).__name__}"
    return None


def _fill(dagster: RunningDagster, tier: Tier, store: Store, say: Say) -> None:
    say(tier, "[bold]1/3[/] catalogue: what there is, a partition a recording")
    for asset, partitions in tier.catalogue_partitions.items():
        dagster.backfill(
            [[*tier.key_prefix, asset]],
            partitions,
            title=f"{tier.label}: {asset}",
            progress=lambda line: say(tier, f"    {line}"),
        )
    _must_succeed(dagster, f"{'_'.join(tier.key_prefix)}_catalogue")
    keys = [item.recording.recording_id for item in standings(store, tier)]
    say(tier, f"[bold]2/3[/] backfill of {len(keys)} recordings: {' → '.join(tier.stages)}")
    if keys:
        dagster.backfill(
            [[*tier.key_prefix, stage] for stage in tier.stages],
            keys,
            title=f"{tier.label}: all recordings",
            progress=lambda line: say(tier, f"    {line}"),
        )


def _conclude(dagster: RunningDagster, tier: Tier, store: Store, say: Say) -> None:
    say(tier, f"[bold]3/3[/] {', '.join(tier.aggregates)} and checks")
    _must_succeed(dagster, f"{'_'.join(tier.key_prefix)}_metadata")


def _concluded(
    dagster: RunningDagster, tier: Tier, store: Store, say: Say, error: str | None
) -> Collected:
    error = error or _stopped_by(_conclude, dagster, tier, store, say)
    if error:
        return Collected(tier, error=error)
    checks = [
        result
        for asset in ("results", "recordings", *tier.aggregates)
        for result in dagster.checks([*tier.key_prefix, asset])
    ]
    return Collected(tier, standings(store, tier), checks)


def print_report(collected: Collected, store: Store, console: Console) -> None:
    """Print what was collected and where, what was not and why, and what the checks said."""
    tier = collected.tier
    if collected.error:
        console.print(f"\n[bold]{escape(tier.label)}[/] [red]{escape(collected.error)}[/]")
        return
    console.print()
    console.print(_table(collected))
    for check in collected.checks:
        passed = check.status == "SUCCEEDED"
        mark = "[green]passed[/]" if passed else f"[yellow]{check.severity or check.status}[/]"
        said = f": {escape(check.description)}" if check.description and not passed else ""
        console.print(f"check {check.asset}:{check.name} {mark}{said}", highlight=False)
    console.print(f"\ndata       {store.path(tier.folder('metadata'))}.jsonl", highlight=False)
    console.print(f"embeddings {store.path(tier.folder('muq_embeddings'))}/", highlight=False)
    for name in tier.signal_assets:
        rows = row_count(store, tier, name)
        if rows is not None:
            path = store.path(tier.folder(name))
            console.print(f"{name:<10} {path}{ending_of(path)}, {rows:,} rows", highlight=False)


def row_count(store: Store, tier: Tier, asset: str) -> int | None:
    """How many rows the file of an asset has, Parquet or JSON lines; None where there is none."""
    path = store.path(tier.folder(asset))
    ending = ending_of(path)
    if ending is None:
        return None
    content = path.with_name(f"{path.name}{ending}").read_bytes()
    if ending == ".jsonl":
        return content.count(b"\n")
    return int(pl.scan_parquet(io.BytesIO(content)).select(pl.len()).collect().item())


def ending_of(path: UPath) -> str | None:
    """Which of the two endings the file of an asset has; None where there is none."""
    endings = (".parquet", ".jsonl")
    return next((end for end in endings if path.with_name(f"{path.name}{end}").exists()), None)


def _table(collected: Collected) -> Table:
    tier = collected.tier
    shown = SHOWN.get(tier.recording_model, {"title": "title"})
    table = Table(
        title=tier.label, title_justify="left", header_style="underline", box=None, pad_edge=False
    )
    for heading in (*shown, "seconds", "segments", "state"):
        justify: JustifyMethod = "right" if heading in NUMBERS else "left"
        table.add_column(heading, justify=justify, no_wrap=True, max_width=LONGEST_CELL)
    for item in collected.standings:
        audio, embeddings = item.receipts.get("audio"), item.receipts.get("muq_embeddings")
        seconds = audio.facts.get("duration_s") if audio else None
        segments = embeddings.facts.get("segments") if embeddings else None
        table.add_row(
            *(_cell(getattr(item.recording, field)) for field in shown.values()),
            f"{seconds:.1f}" if isinstance(seconds, float) else "",
            _cell(segments),
            "[green]done[/]" if item.state == "done" else f"[yellow]{item.state}: {item.reason}[/]",
        )
    return table


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return escape(", ".join(map(str, value)))
    return "" if value is None else escape(str(value))


def _must_succeed(dagster: RunningDagster, job: str) -> None:
    status = dagster.run_job(job)
    if status != "SUCCESS":
        raise HeadlessError(f"{job} ended with {status}; open its run in the UI for the reason")
