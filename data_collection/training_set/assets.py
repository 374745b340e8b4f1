"""What training loads as Dagster assets: what lay there before, and the manifest of all tiers.

What belongs here: keys, dependencies, what the UI shows, the check for leaks. What does not: the
work (`sources`, `manifest`, `leaks`). Folders that others own are observed, and never written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import dagster as dg
import polars as pl
from pydantic import Field

from data_collection.asset_pages import bar_chart, cell, markdown_table, table_schema
from data_collection.load.rows import open_manifest
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.training_set.external import EXTERNAL_FOLDERS, observe
from data_collection.training_set.leaks import leaks, unverifiable
from data_collection.training_set.manifest import Manifest, build_manifest, split_figures
from data_collection.training_set.manifest_files import read_split_keys, write_manifest
from data_collection.training_set.manifest_rows import MANIFEST_COLUMNS, MANIFEST_SCHEMA
from data_collection.training_set.sources import find_collections, read_sources
from data_collection.training_set.splits import SplitRules

GROUP = "training_set"
MANIFEST = dg.AssetKey([GROUP, "manifest"])
SHOWN_PROBLEMS = 25
FEW_PERFORMERS = 5
"""To rank pianists, there must be some."""
Copies = Callable[[Store], Sequence[tuple[str, str]]]
"""Reads pairs of keys `folder/recording_id` that hold the same performance."""
IsOpen = Callable[[Store], bool]
"""Whether the teacher's gate is open."""

OBSERVED_AS = {
    "percepiano_cache": "PercePiano: segments that people have labelled, in 19 dimensions.",
    "composite_labels": "PercePiano's labels, brought down to the six dimensions of the taxonomy.",
    "pretrain_cache": "What the encoder was pretrained on.",
    "masterclass_cache": "Segments of masterclasses.",
}


class SplitResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How the training set is split; another rule begins a new split."""

    seed: int = Field(default=SplitRules().seed, description="of the search for a split")
    pull_train: float = Field(default=SplitRules().pull[0], gt=0, description="how train pulls")
    pull_validation: float = Field(default=SplitRules().pull[1], gt=0, description="likewise")
    pull_test: float = Field(default=SplitRules().pull[2], gt=0, description="likewise")

    def rules(self) -> SplitRules:
        """The rules as plain data."""
        return SplitRules(
            seed=self.seed, pull=(self.pull_train, self.pull_validation, self.pull_test)
        )


def external_assets() -> list[dg.SourceAsset]:
    """Folders that were there before: in the lineage, observed, never written."""
    return [_external(folder) for folder in EXTERNAL_FOLDERS]


def _external(folder: str) -> dg.SourceAsset:
    @dg.observable_source_asset(
        name=folder,
        group_name=GROUP,
        description=f"**{OBSERVED_AS[folder]}** Counted and hashed by names and sizes, never "
        "written.",
        metadata={"path": folder},
    )
    def observed(store: StoreResource) -> dg.ObserveResult:
        try:
            found = observe(store.open(), folder)
        except RecordingError as error:
            raise failure(error) from None
        facts = {name: value for name, value in asdict(found).items() if value is not None}
        if found.newest is not None:
            facts["newest"] = found.newest.isoformat()
        version = dg.DataVersion(found.listing_sha256) if found.listing_sha256 else None
        return dg.ObserveResult(metadata=facts, data_version=version)

    return observed


def manifest_asset(tiers: Sequence[Tier], copies: Copies, is_open: IsOpen) -> dg.AssetsDefinition:
    """Make the manifest.

    Args:
        tiers: T2 to T4.
        copies: of performances among their recordings.
        is_open: whether the teacher's scores are targets.
    """

    @dg.asset(
        key=MANIFEST,
        deps=[
            *(dg.AssetKey([folder]) for folder in EXTERNAL_FOLDERS[:2]),
            *(
                [*tier.key_prefix, name]
                for tier in tiers
                for name in dict.fromkeys(("metadata", *tier.signal_assets, "teacher_labels"))
            ),
        ],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"polars", "parquet"},
        description=(
            "**What training loads.** One row a segment of all tiers: where its embedding lies, "
            "the loss terms that it takes part in, targets, confidence, and a split that no "
            "performer, piece or recording crosses. Five lines of `data_collection.load` read it."
        ),
        metadata={
            "dagster/column_schema": table_schema(MANIFEST_SCHEMA, MANIFEST_COLUMNS),
            "path": f"{MANIFEST.to_user_string()}.parquet",
        },
    )
    def manifest(store: StoreResource, split: SplitResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened, rules = store.open(), split.rules()
        try:
            sources = read_sources(opened, find_collections(opened), copies=copies(opened))
            made = build_manifest(
                sources,
                rules,
                distillation_open=is_open(opened),
                earlier=read_split_keys(opened, rules),
            )
            stored = write_manifest(opened, made, rules)
        except RecordingError as error:
            raise failure(error) from None
        return dg.MaterializeResult(
            metadata={"sha256": stored.manifest.sha256, **manifest_page(made)}
        )

    return manifest


def manifest_page(made: Manifest) -> Mapping[str, dg.MetadataValue | int | float | str]:
    """What the manifest's page shows."""
    figures = split_figures(made.table)
    hours = {
        f"{row['tier']} {row['split']}": round(row["hours"], 3)
        for row in figures.iter_rows(named=True)
    }
    kinds = made.problems["kind"].value_counts(sort=True) if made.problems.height else None
    return {
        "dagster/row_count": made.table.height,
        "problems": made.problems.height,
        "segments_excluded": made.table.filter(split="excluded").height,
        "by_split": markdown_table(tuple(figures.columns), figures.rows()),
        "problems_by_kind": markdown_table(
            ("kind", "rows"), kinds.rows() if kinds is not None else []
        ),
        "first_problems": markdown_table(
            tuple(made.problems.columns), made.problems.head(SHOWN_PROBLEMS).rows()
        ),
        "plot": bar_chart(hours, title="Hours by tier and split", unit="hours"),
    }


def leaks_check(copies: Copies) -> dg.AssetChecksDefinition:
    """Make the blocking check that nothing crosses the split."""

    @dg.asset_check(
        asset=MANIFEST,
        name="nothing_crosses_the_split",
        blocking=True,
        description=(
            "No performer, piece, recording or copy of one lies in two splits, and MAESTRO's "
            "official test is in no training. By the manifest's rows, not by how it was split."
        ),
    )
    def nothing_crosses_the_split(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            table = read_manifest(opened)
            found = leaks(table, copies(opened))
        except RecordingError as error:
            return dg.AssetCheckResult(passed=False, description=cell(str(error), 1000))
        unknown = unverifiable(table)
        return dg.AssetCheckResult(
            passed=not found,
            description=(
                f"{len(found)} leaks; first {found[0].kind} {cell(found[0].subject)}"
                if found
                else None
            ),
            metadata={
                "rows": float(table.height),
                "leaks": float(len(found)),
                "leaking_segments": float(sum(leak.segments for leak in found)),
                "rows_nobody_can_check": float(unknown["segments"].sum() if unknown.height else 0),
                "first": markdown_table(
                    ("kind", "what", "splits", "tiers", "segments"),
                    [
                        (
                            leak.kind,
                            leak.subject,
                            ", ".join(leak.splits),
                            ", ".join(leak.tiers),
                            leak.segments,
                        )
                        for leak in found
                    ],
                ),
                "unknown": markdown_table(tuple(unknown.columns), unknown.rows()),
            },
        )

    return nothing_crosses_the_split


def splits_check() -> dg.AssetChecksDefinition:
    """Make the warning that a split is too small to say anything."""

    @dg.asset_check(
        asset=MANIFEST,
        name="every_split_says_something",
        description=(
            f"Each tier that has performers has {FEW_PERFORMERS} or more in train, validation and "
            "test. A warning: with fewer, an order of them says little."
        ),
    )
    def every_split_says_something(store: StoreResource) -> dg.AssetCheckResult:
        try:
            figures = split_figures(read_manifest(store.open()))
        except RecordingError as error:
            return dg.AssetCheckResult(passed=False, description=cell(str(error), 1000))
        used = figures.filter(pl.col("split") != "excluded")
        few = used.filter(pl.col("performers") < FEW_PERFORMERS)
        return dg.AssetCheckResult(
            passed=used.height > 0 and not few.height,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                "no segment in any split"
                if not used.height
                else f"{few.height} splits have fewer than {FEW_PERFORMERS} performers"
                if few.height
                else None
            ),
            metadata={
                "splits": float(used.height),
                "small_splits": float(few.height),
                "by_split": markdown_table(tuple(figures.columns), figures.rows()),
            },
        )

    return every_split_says_something


def read_manifest(store: Store) -> pl.DataFrame:
    """The manifest, columns as `MANIFEST_SCHEMA`.

    Raises:
        SetupError: it was not made, or cannot be read.
    """
    return open_manifest(str(store.root))
