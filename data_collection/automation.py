"""All that decides *when*: named conditions, their sensors, jobs.

What belongs here: conditions with the reason for each part, one sensor a stage so that a slow stage
holds back no other. What does not: what is done.
https://docs.dagster.io/guides/automate/declarative-automation

Sensors start stopped: the first collection is a backfill that a person launches, since a sensor's
first tick ignores the keys that exist. Switched on, they carry each new recording on from there.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from data_collection.recordings.tier import Tier

if TYPE_CHECKING:
    # What `define_asset_job` returns has no public name.
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

NIGHTLY_CRON = "0 6 * * *"


def when_upstream_is_ready() -> dg.AutomationCondition:  # type: ignore[type-arg]
    """Once a recording's stage before is materialized and this one is missing.

    `on_missing`, not `eager`: a stage that costs GPU hours runs once for a recording, and is not
    repeated because its upstream was materialized again without any change. Its part
    `~any_deps_missing` keeps a recording whose fetch failed from being tried here; it is replaced
    because Dagster's own counts a dependency as there once it is *requested*, and stages run in
    runs of their own here: embeddings would be asked for before the clips are cut.
    """
    upstream_missing = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.missing())
    return (
        dg.AutomationCondition.on_missing()
        .replace("any_deps_missing", upstream_missing.with_label("any_deps_missing"))
        .with_label("when_upstream_is_ready")
    )


def nightly() -> dg.AutomationCondition:  # type: ignore[type-arg]
    """Once a night, for aggregates: cron conditions only ever sit on unpartitioned assets.

    Not after every recording: `metadata` reads all receipts, and 500 recordings a night would make
    it do so 500 times.
    """
    condition = dg.AutomationCondition.cron_tick_passed(NIGHTLY_CRON)
    return (condition & ~dg.AutomationCondition.in_progress()).with_label("nightly")


def tier_sensors(tier: Tier) -> list[dg.AutomationConditionSensorDefinition]:
    """One sensor a stage that follows by itself."""
    name = "_".join(tier.key_prefix)
    # The aggregates share one, so that one run makes them in their order.
    targets = {
        **{stage: (stage,) for stage in tier.stages if stage != "audio"},
        "metadata": tier.aggregates,
    }
    return [
        dg.AutomationConditionSensorDefinition(
            name=f"{name}_{stage}_sensor",
            target=_assets(tier, assets),
            default_status=dg.DefaultSensorStatus.STOPPED,
            description=f"Carries new recordings of {tier.label} on to {stage}.",
        )
        for stage, assets in targets.items()
    ]


def _assets(tier: Tier, names: Sequence[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*([*tier.key_prefix, name] for name in names))


def tier_jobs(tier: Tier) -> "list[UnresolvedAssetJobDefinition]":
    """The two unpartitioned ends of the river; its middle is a backfill of assets.

    There is no job of the middle: a job's backfill puts all stages into one run, where one dead
    video would stop the rest (`recordings.assets`).
    """
    name = "_".join(tier.key_prefix)
    first = _assets(tier, (*tier.catalogue_assets, "recordings"))
    last = _assets(tier, tier.aggregates)
    return [
        dg.define_asset_job(
            f"{name}_catalogue",
            selection=first | dg.AssetSelection.checks_for_assets([*tier.key_prefix, "recordings"]),
            description=f"{tier.label}: results and catalogue, with their checks.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            f"{name}_metadata",
            selection=last,
            description=f"{tier.label}: the rows that training reads, with their checks.",
            executor_def=dg.in_process_executor,
        ),
    ]
