"""When T4 lists and fetches: the discovery sensor, the night's schedules, the breaker's watch.

What belongs here: ticks, what they ask for and why they skip. What does not: what is listed
(`discovery`), what a night fetches (`night`) and what repair tries again (`repair_job`). Everything
starts stopped: a person switches it on.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from data_collection.asset_pages import cell
from data_collection.recordings.assets import tier_partitions
from data_collection.recordings.errors import RecordingError, SetupError, WorldError
from data_collection.recordings.resources import FetchResource, StoreResource
from data_collection.recordings.rows import write_rows
from data_collection.recordings.tier import Tier
from data_collection.youtube.assets import listing_page
from data_collection.youtube.breaker import ANSWERED, outcome_of
from data_collection.youtube.channels import Channel
from data_collection.youtube.discovery import RECORDINGS, Discovery, catalogue_of, discover
from data_collection.youtube.gate import read_gate
from data_collection.youtube.night import NightBudget, NightPlan
from data_collection.youtube.night_runs import (
    RANGE_END,
    RANGE_START,
    REPAIR_KEYS,
    REPAIR_OP,
    night_job_name,
    tonight,
)
from data_collection.youtube.tier import shared_breaker

TICK_S = 600
LISTING_BUDGET_S = 6.0
"""No further channel is begun after it; the catalogue of 10,000 takes some seconds more."""
NIGHT_HOURS = 10
"""A tick an hour from the night's begin; guests get about 300 videos in each."""
RETRIES_AT_MINUTE = 30


def discovery_sensor(tier: Tier, channels: Sequence[Channel], home: Path) -> dg.SensorDefinition:
    """Make the sensor that lists the channels in turn and registers what is new.

    It launches nothing: what is registered waits for a night.
    """
    partitions = tier_partitions(tier)

    @dg.sensor(
        name="youtube_discovery",
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            f"Lists the channels of {tier.label} in turn, each once a day, and registers at most "
            "500 new recordings a tick. Launches nothing."
        ),
    )
    def youtube_discovery(
        context: dg.SensorEvaluationContext, store: StoreResource, fetcher: FetchResource
    ) -> dg.SensorResult | dg.SkipReason:
        opened = store.open()
        breaker = shared_breaker(opened, home)
        now = datetime.now(UTC)
        known = set(context.instance.get_dynamic_partitions(tier.partitions_name))
        try:
            permit = breaker.ask("discovery")
        except RecordingError as error:
            return dg.SkipReason(cell(str(error), 1000))
        try:
            found = discover(
                channels,
                opened,
                context.cursor,
                LISTING_BUDGET_S,
                now,
                registered=known,
                options=fetcher.options(),
            )
            catalogue = catalogue_of(channels, opened)
            if found.listings or found.new_recordings:
                write_rows(opened, RECORDINGS, catalogue.recordings)
        except RecordingError as error:
            breaker.report(permit, outcome_of(error), "discovery")
            return dg.SkipReason(cell(str(error), 1000))
        refusal = next((failed for failed in found.failures if failed.stops_round), None)
        breaker.report(
            permit,
            outcome_of(WorldError(refusal.reason, refusal.detail)) if refusal else ANSWERED,
            "discovery",
        )
        for failed in found.failures:
            context.log.warning(cell(f"{failed.channel_id}: {failed.detail}", 1000))
        keys = [recording.recording_id for recording in found.new_recordings]
        return dg.SensorResult(
            dynamic_partitions_requests=[partitions.build_add_request(keys)] if keys else [],
            cursor=found.cursor,
            asset_events=[*_listed(tier, found)],
            skip_reason=dg.SkipReason(
                f"{len(found.listings)} channels listed, {len(found.failures)} not; {len(keys)} "
                f"recordings registered, {found.waiting} wait for the next tick"
            ),
        )

    return youtube_discovery


def _listed(tier: Tier, found: Discovery) -> Iterator[dg.AssetMaterialization]:
    for listing in found.listings:
        yield dg.AssetMaterialization(
            [*tier.key_prefix, "channels"],
            partition=listing.channel_id,
            metadata=listing_page(listing),
        )


def youtube_schedules(
    tier: Tier,
    channels: Sequence[Channel],
    budget: NightBudget,
    home: Path,
    metrics: Path | None,
    *,
    forced: bool,
    repair: dg.JobDefinition,
) -> list[dg.ScheduleDefinition]:
    """Make the night's schedules: new recordings on the hour, retries half an hour later.

    They tick every hour, since a plan may be made as often as one likes: what a night has had is
    read from receipts. A tick that finds the breaker open does nothing, and the next one goes on.
    """
    night_job = dg.define_asset_job(
        night_job_name(tier),
        selection=dg.AssetSelection.assets([*tier.key_prefix, "audio"]),
        description=f"{tier.label}: fetch the audio of one stretch of recordings.",
        executor_def=dg.in_process_executor,
    )

    def planned(
        context: dg.ScheduleEvaluationContext, store: StoreResource
    ) -> NightPlan | dg.SkipReason:
        opened = store.open()
        try:
            gate = read_gate(metrics, forced=forced)
            if not gate.is_open:
                return dg.SkipReason(f"T4 is not wanted yet: {gate.because}")
            breaker = shared_breaker(opened, home)
            allowance = breaker.allowance()
            if allowance == 0:
                return dg.SkipReason(f"the breaker is {breaker.read().state.phase}")
            now = context.scheduled_execution_time.astimezone(UTC)
            plan = tonight(
                context.instance, opened, tier, channels, budget, now, allowance=allowance
            )
        except SetupError as error:
            return dg.SkipReason(cell(str(error), 1000))
        context.log.info(
            f"spent {dict(plan.spent)}, planned {dict(plan.planned)}, left {plan.left_by_reason()}"
        )
        return plan

    @dg.schedule(
        name="youtube_nights",
        job=night_job,
        cron_schedule=night_cron(budget, 0),
        execution_timezone=budget.zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Fetches the oldest missing recordings, within the night's budgets.",
    )
    def youtube_nights(
        context: dg.ScheduleEvaluationContext, store: StoreResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        plan = planned(context, store)
        if isinstance(plan, dg.SkipReason):
            return plan
        if not plan.runs:
            return dg.SkipReason(f"nothing to fetch now; waiting: {plan.left_by_reason()}")
        return [
            dg.RunRequest(
                run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}-{run[0]}",
                tags={RANGE_START: run[0], RANGE_END: run[-1]},
            )
            for run in plan.runs
        ]

    @dg.schedule(
        name="youtube_retries",
        job=repair,
        cron_schedule=night_cron(budget, RETRIES_AT_MINUTE),
        execution_timezone=budget.zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Tries again what is due, within the night's budgets, in one run.",
    )
    def youtube_retries(
        context: dg.ScheduleEvaluationContext, store: StoreResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        plan = planned(context, store)
        if isinstance(plan, dg.SkipReason):
            return plan
        if not plan.retries:
            return dg.SkipReason("nothing is due")
        if plan.runs and shared_breaker(store.open(), home).allowance() is not None:
            return dg.SkipReason("new recordings try first whether the source answers again")
        return [
            dg.RunRequest(
                run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}",
                run_config={"ops": {REPAIR_OP: {"config": {"keys": list(plan.retries)}}}},
                tags={REPAIR_KEYS: json.dumps(len(plan.retries))},
            )
        ]

    @dg.schedule(
        name="youtube_breaker_watch",
        target=dg.AssetSelection.assets([*tier.key_prefix, "breaker"]),
        cron_schedule="15 * * * *",
        execution_timezone=budget.zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Observes the breaker, so that its page shows the last nights.",
    )
    def youtube_breaker_watch() -> dg.RunRequest:
        return dg.RunRequest()

    return [youtube_nights, youtube_retries, youtube_breaker_watch]


def night_cron(budget: NightBudget, minute: int) -> str:
    """Every hour of the night, at a minute; a night that begins at 20:00 ends before 6."""
    hours = [(budget.begins_at.hour + offset) % 24 for offset in range(NIGHT_HOURS)]
    return f"{minute} {','.join(map(str, sorted(hours)))} * * *"
