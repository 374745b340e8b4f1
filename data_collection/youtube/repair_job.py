"""The job that tries again what failed, by reason, with scattered keys in one run.

What belongs here: its configuration, bringing each key on from the stage that it failed at, and
telling Dagster. What does not: which are worth it (`repair`), and the stages themselves. A backfill
would need a run for each stretch of neighbouring keys; this takes one.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import dagster as dg
from pydantic import Field

from data_collection.batching import common_metadata, failure_of
from data_collection.recordings.assets import failure
from data_collection.recordings.collection import STAGES, Standing, standings
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.receipts import FINISHED, Receipt, Settled
from data_collection.recordings.resources import (
    ClipGridResource,
    FetchResource,
    SoundsResource,
    StoreResource,
)
from data_collection.recordings.stages import settle_audio, settle_segments
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.youtube.night_runs import REPAIR_OP
from data_collection.youtube.repair import plan_repair

MOST = 100
LATER = "the sensors of the later stages carry it on from there"


class RepairConfig(dg.Config):
    """What to try again."""

    reasons: list[str] | None = Field(
        default=None,
        description="reasons or their classes, such as `cut_short`; none for all that may help",
    )
    keys: list[str] | None = Field(
        default=None, description="only these recordings, whatever their reasons and attempts"
    )
    max_attempts: int | None = Field(
        default=None, ge=1, description="recordings with so many stay out"
    )
    most: int = Field(default=MOST, ge=1, description="recordings in this run")


def repair_job(tier: Tier) -> dg.JobDefinition:
    """Make a tier's repair job.

    Audio and segments are made again where they failed; embeddings are left to their own runs,
    which have the model to themselves.
    """

    @dg.op(
        name=REPAIR_OP,
        pool=tier.fetch_pool,
        description="Tries again what failed, and tells of each recording that is done now.",
    )
    def repair(
        context: dg.OpExecutionContext,
        config: RepairConfig,
        store: StoreResource,
        fetcher: FetchResource,
        clip_grid: ClipGridResource,
        sounds: SoundsResource,
    ) -> None:
        opened = store.open()
        try:
            found = standings(opened, tier)
            chosen = _chosen(found, config)
        except RecordingError as error:
            raise failure(error) from None
        rows = {item.recording.recording_id: item.recording for item in found}
        context.log.info(f"{len(chosen)} recordings are tried again")
        finished: list[Receipt] = []
        bad: list[Receipt] = []
        originals: dict[str, Settled] = {}
        with ExitStack() as stack:
            try:
                source = stack.enter_context(tier.open_originals(opened, fetcher.options()))
            except RecordingError as error:
                raise failure(error) from None

            def audio(recording: Recording) -> Settled:
                return settle_audio(opened, tier, recording, source, originals)

            def segments(recording: Recording) -> Settled:
                return settle_segments(
                    opened,
                    tier,
                    recording.recording_id,
                    clip_grid.grid(),
                    sounds.scorer(),
                    sounds.thresholds(tier.min_solo_piano),
                )

            stages = {"audio": audio, "segments": segments}
            untried = list(chosen)
            for key, stage in chosen.items():
                untried.remove(key)
                settled = _brought_on(context, tier, rows[key], stage, stages)
                (finished if settled.receipt.state in FINISHED else bad).append(settled.receipt)
                if settled.stops_batch:
                    break
        context.log.info(f"{len(finished)} of {len(chosen)} are done now; {LATER}")
        if bad:
            raise failure_of(bad, untried, done=len(finished))

    @dg.job(
        name=f"{'_'.join(tier.key_prefix)}_repair",
        description=(
            f"{tier.label}: tries again what failed or was blocked, by reason, in one run. "
            "Without configuration: everything that trying again may help."
        ),
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        repair()

    return job


def _chosen(found: Sequence[Standing], config: RepairConfig) -> dict[str, str]:
    """Keys and the stage from which each is brought on, in the catalogue's order."""
    if config.keys is not None:
        wanted = set(config.keys)
        named = [item for item in found if item.recording.recording_id in wanted]
        chosen = {item.recording.recording_id: item.stage for item in named}
    else:
        plan = plan_repair(found, config.reasons, config.max_attempts, most=config.most)
        chosen = {key: plan.from_stage[key] for key in plan.keys}
    return {key: stage for key, stage in chosen.items() if stage != STAGES[-1]}


def _brought_on(
    context: dg.OpExecutionContext,
    tier: Tier,
    recording: Recording,
    first: str,
    stages: Mapping[str, Callable[[Recording], Settled]],
) -> Settled:
    """Settle a recording from a stage on, as far as this job goes; ends where one is not done."""
    names = list(stages)
    for stage in names[names.index(first) :]:
        settled = stages[stage](recording)
        receipt = settled.receipt
        if receipt.state not in FINISHED:
            return settled
        context.log_event(
            dg.AssetMaterialization(
                [*tier.key_prefix, stage],
                partition=recording.recording_id,
                metadata=common_metadata(receipt, reused=settled.skipped),
            )
        )
    return settled
