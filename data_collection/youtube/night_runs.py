"""A night's plan made of what lies on disk and what Dagster runs already.

What belongs here: gathering what `night.plan_night` decides from, for schedules and for the repair
job. What does not: the decision (`night`), and launching anything (`schedules`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import dagster as dg

from data_collection.recordings.collection import read_recordings
from data_collection.recordings.receipts import read_receipt
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.youtube.catalogue_rows import YouTubeRecording
from data_collection.youtube.channels import Channel
from data_collection.youtube.night import (
    ChannelBudget,
    NightBudget,
    NightItem,
    NightPlan,
    plan_night,
)

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
REPAIR_KEYS = "youtube/repair_keys"
"""Tag of a repair run; its keys are in its configuration, since a tag has a limit."""
REPAIR_OP = "repair"
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def tonight(
    instance: dg.DagsterInstance,
    store: Store,
    tier: Tier,
    channels: Sequence[Channel],
    budget: NightBudget,
    now: datetime,
    *,
    allowance: int | None,
) -> NightPlan:
    """Plan what to fetch now, of the recordings that are registered.

    Raises:
        SetupError: the catalogue is not there, or broken.
    """
    registered = list(instance.get_dynamic_partitions(tier.partitions_name))
    rows = {row.recording_id: row for row in read_recordings(store, tier)}
    return plan_night(
        [_item(store, tier, rows[key]) for key in registered if key in rows],
        budgets_of(channels),
        budget,
        now,
        allowance=allowance,
        under_way=keys_under_way(instance, tier, registered),
    )


def budgets_of(channels: Sequence[Channel]) -> dict[str, ChannelBudget]:
    """What each channel may have of a night, by its id."""
    return {
        channel.id: ChannelBudget(recordings=channel.nightly_budget, paused=channel.paused)
        for channel in channels
    }


def _item(store: Store, tier: Tier, recording: object) -> NightItem:
    if not isinstance(recording, YouTubeRecording):
        raise TypeError(f"{recording} is no row of T4's catalogue")
    not_wanted = recording.not_wanted if recording.listed else "no_longer_listed"
    return NightItem(
        recording_id=recording.recording_id,
        channel_id=recording.channel_id,
        audio=read_receipt(store, tier.folder("audio"), recording.recording_id),
        not_wanted=not_wanted,
    )


def keys_under_way(
    instance: dg.DagsterInstance, tier: Tier, registered: Sequence[str]
) -> frozenset[str]:
    """Keys of the runs that fetch audio of a tier, or wait to do so."""
    at = {key: position for position, key in enumerate(registered)}
    audio = dg.AssetKey([*tier.key_prefix, "audio"])
    keys: set[str] = set()
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY)):
        run = record.dagster_run
        if REPAIR_KEYS in run.tags:
            keys |= set(repair_keys(run.run_config))
        elif audio in (run.asset_selection or ()) or run.job_name == night_job_name(tier):
            first = run.tags.get(RANGE_START) or run.tags.get(PARTITION)
            last = run.tags.get(RANGE_END) or run.tags.get(PARTITION)
            if first in at and last in at:
                keys |= set(registered[at[str(first)] : at[str(last)] + 1])
    return frozenset(keys)


def repair_keys(run_config: Mapping[str, object]) -> list[str]:
    """The keys that a repair run was given; none where it chooses them by reason."""
    found: object = run_config
    for name in ("ops", REPAIR_OP, "config", "keys"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return [str(key) for key in found] if isinstance(found, list) else []


def night_job_name(tier: Tier) -> str:
    """Name of the job whose runs the night's schedule launches."""
    return f"{'_'.join(tier.key_prefix)}_night"
