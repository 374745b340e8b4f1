"""The main job, and the table that says what it gave.

What belongs here: the order of the three steps and the report, for the demo and for a lab's cron.
What does not: starting Dagster (`headless`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_collection.competition.catalogue import competition_tier
from data_collection.competition.editions import EditionError, read_edition
from data_collection.headless import CheckResult, HeadlessError, RunningDagster, running_dagster
from data_collection.recordings.collection import STAGES, Standing, standings
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.receipts import FINISHED
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.settings import Settings

UNFINISHED = 1
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Collected:
    """What the main job gave.

    Attributes:
        standings: how far each recording has come.
        checks: what the checks said.
    """

    standings: Sequence[Standing]
    checks: Sequence[CheckResult]

    @property
    def failed_checks(self) -> list[CheckResult]:
        """Checks that did not pass and are more than warnings."""
        return [
            check
            for check in self.checks
            if check.status != "SUCCEEDED" and check.severity != "WARN"
        ]


def run_collect(
    *, console: Console, port: int | None = None, daemon_interval_s: int | None = None
) -> int:
    """Run the main job once on the sources that the environment names.

    Args:
        console: where to print.
        port: the UI's, while it runs.
        daemon_interval_s: how often the daemon looks at backfills; Dagster's own 30 s by default.

    Returns:
        0 where every recording is finished and no check failed, 1 where some are not, 2 where the
        job itself was refused.
    """
    settings = Settings()
    home = settings.dagster_home or Path(".dagster")
    try:
        edition = read_edition(settings.competition_edition)
        tier = competition_tier(edition, FetchOptions())
        store = Store.at(settings.data_collection_root, settings.embeddings_root)
        with running_dagster(home, {}, port=port, daemon_interval_s=daemon_interval_s) as dagster:
            console.print(f"the UI is up at {dagster.url} while this runs", highlight=False)
            collected = collect(dagster, tier, store, console)
            print_report(collected, tier, store, console)
    except EditionError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return REFUSED
    unfinished = [item for item in collected.standings if item.state not in FINISHED]
    return UNFINISHED if unfinished or collected.failed_checks else 0


def collect(dagster: RunningDagster, tier: Tier, store: Store, console: Console) -> Collected:
    """Run catalogue, backfill and metadata of one tier.

    Raises:
        HeadlessError: the catalogue or the metadata failed; single recordings that fail do not
            raise, they stand in the result.
    """
    job = "_".join(tier.key_prefix)
    console.print("[bold]1/3[/] catalogue: list the sources, match titles, register partitions")
    _must_succeed(dagster, f"{job}_catalogue")
    found = standings(store, tier)
    keys = [item.recording.recording_id for item in found]
    console.print(f"[bold]2/3[/] backfill of {len(keys)} recordings: {' → '.join(STAGES)}")
    if keys:
        dagster.backfill(
            [[*tier.key_prefix, stage] for stage in STAGES],
            keys,
            title=f"{tier.label}: all recordings",
            progress=lambda line: console.print(f"      {line}", highlight=False),
        )
    console.print(f"[bold]3/3[/] {', '.join(tier.aggregates)} and checks")
    _must_succeed(dagster, f"{job}_metadata")
    checks = [
        result
        for stage in ("results", "recordings", *tier.aggregates)
        for result in dagster.checks([*tier.key_prefix, stage])
    ]
    return Collected(standings(store, tier), checks)


def print_report(collected: Collected, tier: Tier, store: Store, console: Console) -> None:
    """Print what was collected and where, what was not and why, and what the checks said."""
    table = Table(title=tier.label, title_justify="left", show_lines=False)
    for name in ("performer", "round", "place", "seconds", "segments", "state"):
        table.add_column(
            name, justify="right" if name in ("place", "seconds", "segments") else "left"
        )
    for item in collected.standings:
        row = item.recording.model_dump()
        audio, embeddings = item.receipts.get("audio"), item.receipts.get("muq_embeddings")
        seconds = audio.facts.get("duration_s") if audio else None
        segments = embeddings.facts.get("segments") if embeddings else None
        table.add_row(
            escape(str(row.get("performer", row["recording_id"]))),
            str(row.get("round", "")),
            str(row.get("placement", "")),
            f"{seconds:.1f}" if isinstance(seconds, float) else "",
            str(segments if segments is not None else ""),
            "[green]done[/]" if item.state == "done" else f"[yellow]{item.state}: {item.reason}[/]",
        )
    console.print(table)
    for check in collected.checks:
        passed = check.status == "SUCCEEDED"
        mark = "[green]passed[/]" if passed else f"[yellow]{check.severity or check.status}[/]"
        said = f": {escape(check.description)}" if check.description and not passed else ""
        console.print(f"check {check.asset}:{check.name} {mark}{said}", highlight=False)
    console.print(f"\ndata       {store.path(tier.folder('metadata'))}.jsonl", highlight=False)
    console.print(f"embeddings {store.path(tier.folder('muq_embeddings'))}/", highlight=False)


def _must_succeed(dagster: RunningDagster, job: str) -> None:
    status = dagster.run_job(job)
    if status != "SUCCESS":
        raise HeadlessError(f"{job} ended with {status}; open its run in the UI for the reason")
