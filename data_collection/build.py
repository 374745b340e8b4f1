"""Puts the graph together.

What belongs here: which tiers there are and how folders meet; they never import each other. What
does not: any work. Tests and the demo build a variant by keyword instead of patching a module.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import dagster as dg

from data_collection.augmentation.resources import AugmentationResource
from data_collection.automation import nightly, tier_jobs, tier_sensors, when_upstream_is_ready
from data_collection.competition.assets import results_asset
from data_collection.competition.catalogue import competition_tier
from data_collection.competition.checks import competition_checks
from data_collection.competition.editions import Edition, read_edition
from data_collection.competition.signal_assets import signal_assets
from data_collection.competition.signal_checks import signal_checks
from data_collection.competition.sources.pages import Manners
from data_collection.embedding.assets import muq_embeddings_asset
from data_collection.embedding.checks import completeness_check
from data_collection.embedding.resources import MuQResource
from data_collection.embedding.twin_assets import twin_assets, twins_check
from data_collection.maestro.alignment_assets import alignments_asset, same_music_check
from data_collection.maestro.assets import pairs_assets
from data_collection.maestro.catalogue import maestro_tier
from data_collection.maestro.checks import maestro_checks
from data_collection.maestro.pair_checks import pair_checks
from data_collection.maestro.resources import PairRulesResource
from data_collection.recordings.assets import river_assets
from data_collection.recordings.checks import schema_check
from data_collection.recordings.fingerprints.assets import fingerprints_asset
from data_collection.recordings.resources import (
    ClipGridResource,
    FetchResource,
    SoundsResource,
    StoreResource,
)
from data_collection.recordings.tier import Tier
from data_collection.settings import Settings
from data_collection.teacher.assets import teacher_assets
from data_collection.teacher.guess_assets import guess_control_asset
from data_collection.teacher.resources import TeacherResource
from data_collection.teaching import gate_is_open, taught_tiers, teaching_gate, tier_states
from data_collection.training_set.assets import (
    SplitResource,
    external_assets,
    leaks_check,
    manifest_asset,
    splits_check,
)
from data_collection.training_set.card_assets import (
    card_asset,
    completion_check,
    training_set_job,
)
from data_collection.youtube.assets import youtube_assets
from data_collection.youtube.channels import read_channels
from data_collection.youtube.duplicate_assets import duplicates_asset, leak_check
from data_collection.youtube.duplicate_search import Tiers, read_copies
from data_collection.youtube.night import NightBudget
from data_collection.youtube.repair_job import repair_job
from data_collection.youtube.schedules import discovery_sensor, youtube_schedules
from data_collection.youtube.tier import youtube_tier

FOLLOWING_SIGNAL = ("programmes", "preferences", "piece_performer_map", "pairs", "duplicates")
"""Aggregates beside `metadata` that follow by themselves. Jury marks do not: they are a file that a
person changes; nor alignments, which are made where somebody asks for them."""


def build_defs(
    *,
    settings: Settings | None = None,
    edition: Edition | None = None,
    resources: Mapping[str, object] | None = None,
) -> dg.Definitions:
    """Assemble everything.

    Args:
        settings: instead of the environment.
        edition: instead of the file that the settings name.
        resources: instead of single resources, by name.

    Raises:
        EditionError: the edition file cannot be used.
    """
    # Backfill policies are `beta` in the pinned Dagster: known, and not news at every start.
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    settings = settings or Settings()
    edition = edition or read_edition(settings.competition_edition)
    default_resources = build_resources(settings)
    fetcher = (resources or {}).get("fetcher", default_resources["fetcher"])
    if not isinstance(fetcher, FetchResource):
        raise TypeError("the resource `fetcher` must be a FetchResource")
    competition = competition_tier(edition, fetcher.options())
    maestro = maestro_tier(settings.maestro_base_url, settings.maestro_performers)
    home = settings.dagster_home or Path(".dagster")
    channels = read_channels(settings.youtube_channels)
    youtube = youtube_tier(channels, home)
    night = NightBudget(
        recordings=settings.youtube_nightly_budget,
        begins_at=settings.youtube_night_begins_at,
        zone=settings.youtube_night_zone,
    )
    wanted_by, forced = settings.youtube_metrics, settings.youtube_forced
    youtube_repair = repair_job(youtube)
    manners = Manners(contact=settings.source_contact)
    competition_results = results_asset(edition, competition, manners)
    tiers = (competition, maestro, youtube)
    by_name: Tiers = {"competition": competition, "maestro": maestro, "youtube": youtube}
    taught = taught_tiers(competition, maestro, youtube)
    states = partial(tier_states, competition, maestro, youtube)
    signals = [
        *signal_assets(edition, competition),
        *pairs_assets(maestro),
        duplicates_asset(by_name),
    ]
    return dg.Definitions(
        assets=[
            competition_results,
            *build_river(competition, [competition_results.key]),
            *build_river(maestro, []),
            alignments_asset(maestro),
            *youtube_assets(youtube, channels, home, wanted_by, forced=forced),
            *build_river(youtube, [dg.AssetKey([*youtube.key_prefix, "channels"])]),
            *teacher_assets(taught),
            guess_control_asset(taught[0], tuple(each.tier.group for each in taught)),
            *external_assets(),
            manifest_asset(tiers, read_copies, lambda store: gate_is_open(store, competition)),
            card_asset(states, read_copies, {"augmentation": settings.augmentation_seed}),
            *_following(signals, dict.fromkeys(FOLLOWING_SIGNAL, nightly())),
        ],
        asset_checks=[
            *competition_checks(edition, competition),
            *signal_checks(edition, competition),
            *maestro_checks(maestro),
            *pair_checks(maestro),
            same_music_check(maestro),
            leak_check(by_name),
            twins_check(youtube),
            teaching_gate(edition, competition),
            leaks_check(read_copies),
            splits_check(),
            completion_check(states),
            *(check(tier) for tier in tiers for check in (schema_check, completeness_check)),
        ],
        jobs=[
            *(job for tier in tiers for job in tier_jobs(tier)),
            youtube_repair,
            training_set_job(),
        ],
        schedules=youtube_schedules(
            youtube, channels, night, home, wanted_by, forced=forced, repair=youtube_repair
        ),
        sensors=[
            *(sensor for tier in tiers for sensor in tier_sensors(tier)),
            discovery_sensor(youtube, channels, home),
        ],
        resources={**default_resources, **(resources or {})},
        executor=dg.in_process_executor,
    )


def build_resources(settings: Settings) -> dict[str, object]:
    """The resources that the environment describes."""
    return {
        "store": StoreResource(
            root=settings.data_collection_root, embeddings_root=settings.embeddings_root
        ),
        "fetcher": FetchResource(
            sleep_min_s=settings.fetch_sleep_min_s,
            sleep_max_s=settings.fetch_sleep_max_s,
            attempts=settings.fetch_attempts,
            retry_wait_s=settings.fetch_retry_wait_s,
        ),
        "clip_grid": ClipGridResource(),
        "sounds": SoundsResource(),
        "pair_rules": PairRulesResource(),
        "teacher": TeacherResource(
            pilot=str(settings.teacher_pilot) if settings.teacher_pilot else None,
            model=settings.teacher_model,
            rubric=str(settings.teacher_rubric),
            prices=str(settings.teacher_prices),
            cap_usd=str(settings.teacher_cap_usd),
            tier_caps_usd={tier: str(usd) for tier, usd in settings.teacher_tier_caps_usd.items()},
            decides_on=settings.teacher_gate_rule,
            wait_s=settings.teacher_wait_s,
            base_url=settings.anthropic_base_url,
            ledger_folder=str(settings.dagster_home or Path(".dagster")),
        ),
        "split": SplitResource(seed=settings.training_set_seed),
        "twins": AugmentationResource(
            recipe=str(settings.augmentation_recipe),
            rooms=str(settings.augmentation_rooms) if settings.augmentation_rooms else None,
            seed=settings.augmentation_seed,
        ),
        "muq": MuQResource(
            checkpoint=settings.muq_checkpoint,
            revision=settings.muq_revision,
            device=settings.muq_device,
            engine=settings.muq_engine,
            precision=settings.muq_precision,
            batch_s=settings.muq_batch_s,
            layers=None if settings.muq_layers == "last" else settings.muq_layers,
            pool_frames=settings.muq_pool_frames,
        ),
    }


def build_river(tier: Tier, upstream: Sequence[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """A tier's river, each asset with the condition that decides when it follows by itself."""
    when = {
        **{stage: when_upstream_is_ready() for stage in tier.stages if stage != "audio"},
        "metadata": nightly(),
        "pairs": nightly(),
    }
    assets = [*river_assets(tier, list(upstream)), fingerprints_asset(tier)]
    twins = twin_assets(tier) if tier.has_twins else []
    return _following([*assets, muq_embeddings_asset(tier), *twins], when)


def _following(
    assets: Sequence[dg.AssetsDefinition],
    when: Mapping[str, dg.AutomationCondition],  # type: ignore[type-arg]
) -> list[dg.AssetsDefinition]:
    """Assets with the condition that decides when each follows by itself, by its name."""
    return [
        asset.map_asset_specs(
            lambda spec: spec.replace_attributes(automation_condition=when.get(spec.key.path[-1]))
        )
        for asset in assets
    ]
