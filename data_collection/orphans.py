"""End runs whose process is gone.

What belongs here: finding them and freeing what they hold. What does not: starting anything again
(the run retries of dagster.yaml do). Dagster's default launcher cannot tell a dead run from a slow
one: after a killed UI or a reboot such a run stays STARTED and keeps its place in a pool, and every
later run waits for it for ever.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
ABOUT_TO_START = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]


def end_orphaned_runs(instance: dg.DagsterInstance, *, nobody_launches: bool = False) -> list[str]:
    """Report runs as failed whose process on this machine no longer lives, and free their places.

    Receipts keep what such a run had done; the next one goes on from there. Queued runs stay: they
    wait for the next daemon.

    Args:
        instance: whose runs.
        nobody_launches: the servers of this instance have ended, so that a run that was about to
            start has nobody left to start it.

    Returns:
        Ids of the runs that were ended.
    """
    ended = []
    statuses = [*UNDER_WAY, *ABOUT_TO_START] if nobody_launches else UNDER_WAY
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=statuses)):
        process_ids = _process_ids(instance, run.run_id)
        never_began = nobody_launches and run.status in ABOUT_TO_START
        if any(map(_lives, process_ids)) or not (process_ids or never_began):
            continue
        instance.report_run_failed(run, "its process is gone; what it had done is kept")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended


def end_orphaned_runs_of(home: Path, *, nobody_launches: bool = False) -> list[str]:
    """The same for the instance of a folder; nothing where it has none yet."""
    if not (home / "dagster.yaml").is_file():
        return []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return end_orphaned_runs(instance, nobody_launches=nobody_launches)


def _process_ids(instance: dg.DagsterInstance, run_id: str) -> set[int]:
    """Processes that a run's steps ran in, as its engine events say."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT).records
    found = set()
    for record in records:
        event = record.event_log_entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None and str(pid.value).isdigit():
            found.add(int(str(pid.value)))
    return found


def _lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:  # no /proc here, or it ended meanwhile: the next call will see
        return True
    return status.rpartition(")")[2].split()[0] != "Z"  # dead, and its parent has not looked yet
