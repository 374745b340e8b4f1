"""Runs the real definitions in process, stage by stage, for the tests of the river."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import yaml

from data_collection.build import build_defs
from data_collection.competition.catalogue import competition_tier
from data_collection.competition.editions import read_edition
from data_collection.maestro.catalogue import maestro_tier
from data_collection.recordings.collection import Standing, standings
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.sample.world import CHECKPOINT
from data_collection.settings import Settings

STAGES = ("audio", "segments", "muq_embeddings")
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class River:
    """The definitions, one tier of them, an instance and a data root."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    tier: Tier
    store: Store
    catalogue: tuple[str, ...]

    def key(self, asset: str) -> dg.AssetKey:
        """Key of one of the tier's assets."""
        return dg.AssetKey([*self.tier.key_prefix, asset])

    def materialize(self, *assets: str, keys: Sequence[str] = ()) -> dg.ExecuteInProcessResult:
        """Materialize assets with their checks in one run, over a range of keys or without any."""
        selection = dg.AssetSelection.assets(*(self.key(asset) for asset in assets))
        tags = {RANGE_START: keys[0], RANGE_END: keys[-1]} if keys else {}
        return dg.materialize(
            [*(self.definitions.assets or ()), *(self.definitions.asset_checks or ())],  # type: ignore[arg-type]
            selection=selection,
            instance=self.instance,
            resources=dict(self.definitions.resources or {}),
            tags=tags,
            raise_on_error=False,
        )

    def keys(self) -> list[str]:
        """Registered partition keys, in order."""
        return list(self.instance.get_dynamic_partitions(self.tier.partitions_name))

    def collect(self) -> None:
        """Catalogue, then each stage over all keys, then metadata, whatever fails on the way."""
        assert self.materialize(*self.catalogue).success
        for stage in STAGES:
            self.materialize(stage, keys=self.keys())
        assert self.materialize(*self.tier.aggregates).success

    def standings(self) -> dict[str, Standing]:
        """How far each recording has come, by source id."""
        return {item.recording.source_id: item for item in standings(self.store, self.tier)}

    def materialized(self, asset: str) -> set[str]:
        """Partition keys that Dagster calls materialized."""
        return set(self.instance.get_materialized_partitions(self.key(asset)))

    def check(self, asset: str, name: str) -> dg.AssetCheckEvaluation:
        """The latest evaluation of a check."""
        key = dg.AssetCheckKey(self.key(asset), name)
        record = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        assert isinstance(evaluation, dg.AssetCheckEvaluation)
        return evaluation


@contextmanager
def river(edition_path: Path, root: Path, *, checkpoint: Path = CHECKPOINT) -> Iterator[River]:
    """Open the definitions of an edition with a data root and an instance of their own."""
    settings = _settings(root, competition_edition=edition_path, muq_checkpoint=str(checkpoint))
    tier = competition_tier(read_edition(edition_path), FetchOptions())
    with _river(settings, tier, root, ("results", "recordings")) as opened:
        yield opened


@contextmanager
def maestro_river(base_url: str, root: Path) -> Iterator[River]:
    """Open the definitions of a release with a data root and an instance of their own."""
    settings = _settings(root, maestro_base_url=base_url, muq_checkpoint=str(CHECKPOINT))
    with _river(settings, maestro_tier(base_url), root, ("recordings",)) as opened:
        yield opened


def _settings(root: Path, **changes: object) -> Settings:
    usual = Settings(
        data_collection_root=str(root / "data"),
        muq_device="cpu",
        fetch_attempts=2,
        fetch_retry_wait_s=0.0,
    )
    return usual.model_copy(update=changes)


@contextmanager
def _river(
    settings: Settings, tier: Tier, root: Path, catalogue: tuple[str, ...]
) -> Iterator[River]:
    home = root / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield River(
            definitions=build_defs(settings=settings),
            instance=instance,
            tier=tier,
            store=Store.at(settings.data_collection_root),
            catalogue=catalogue,
        )


def write_edition(folder: Path, feed_url: str, roster: str, **changes: object) -> Path:
    """Write a two-round edition with its roster; keywords replace fields, None takes one out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roster.csv").write_text(roster, encoding="utf-8")
    edition: dict[str, object] = {
        "id": "test2021",
        "name": "Test Competition",
        "year": 2021,
        "rounds": [
            {"id": "stage1", "title_words": ["first"]},
            {"id": "final", "title_words": ["final"]},
        ],
        "channel": feed_url,
        "results": [{"source": "roster", "path": "roster.csv"}],
        **changes,
    }
    path = folder / "edition.yaml"
    kept = {name: value for name, value in edition.items() if value is not None}
    path.write_text(yaml.safe_dump(kept, allow_unicode=True), encoding="utf-8")
    return path
