"""T3's alignments as an asset, made only where a person asks for them, and its check.

What belongs here: key, dependencies, what can be asked for, what the UI shows. What does not: the
work (`alignment_stage`) and what pairs of clips make of it (`pairs`).
"""

import os
from dataclasses import replace
from datetime import timedelta
from statistics import median

import dagster as dg
from pydantic import Field

from data_collection.asset_pages import cell, markdown_table, table_schema
from data_collection.maestro.aligned_pairs import (
    DOUBTFUL,
    AlignedPair,
    doubtful_pairs,
    read_aligned_pairs,
    suspects,
)
from data_collection.maestro.alignment import TIME_MAP_SCHEMA
from data_collection.maestro.alignment_stage import AlignmentResult, align_recordings
from data_collection.maestro.resources import PairRulesResource
from data_collection.maestro.stored import ALIGNMENTS, read_catalogue
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.tier import Tier

MAX_WORKERS = 4
SHOWN_PAIR = ("first", "second", "works", "median confidence", "above 0.5", "lengths")

KNOT_COLUMNS = {
    "first": "recording id",
    "second": "recording id, sorted after the first",
    "first_s": "a moment of the first, in seconds",
    "second_s": "the moment of the second at which the same music sounds, in seconds",
    "confidence": "0 to 1, over the 30 s around it; 0 where their tempi have nothing in common",
}


class AlignmentConfig(dg.Config):
    """What to align; without any, all that can be."""

    works: list[str] = Field(
        default=[],
        description="only pairs that share one of these works, or a work of one of these families: "
        "chopin:op28-no4, beethoven:op53; empty for all",
    )
    max_pairs: int | None = Field(
        default=None, ge=1, description="at most so many now; the next run goes on"
    )
    across_splits: bool = Field(
        default=False, description="also pairs of recordings of different official splits"
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description=f"processes, 0.7 GB each; by default one a core, at most {MAX_WORKERS}",
    )


def alignments_asset(tier: Tier) -> dg.AssetsDefinition:
    """Make the tier's `alignments`."""

    @dg.asset(
        key=[*tier.key_prefix, "alignments"],
        deps=[
            [*tier.key_prefix, "recordings"],
            dg.AssetDep([*tier.key_prefix, "audio"], partition_mapping=dg.AllPartitionMapping()),
        ],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"librosa", "parquet"},
        description=(
            f"**{tier.label}: which moment of one recording is which of another.** Time maps of "
            "the recordings that pair, by chroma and dynamic time warping: a knot a second. Made "
            "only where asked for; what was aligned before is kept, so a run goes on where the "
            "last one stopped. What each map is worth stands in `aligned_pairs.jsonl`."
        ),
        metadata={
            "dagster/column_schema": table_schema(TIME_MAP_SCHEMA, KNOT_COLUMNS),
            "path": ALIGNMENTS,
        },
    )
    def alignments(
        context: dg.AssetExecutionContext,
        config: AlignmentConfig,
        store: StoreResource,
        pair_rules: PairRulesResource,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened, rules = store.open(), pair_rules.rules()
        try:
            result = align_recordings(
                opened,
                read_catalogue(opened),
                replace(rules, across_splits=rules.across_splits or config.across_splits),
                works=config.works,
                max_pairs=config.max_pairs,
                workers=config.workers or min(MAX_WORKERS, os.cpu_count() or 1),
                log=lambda line: context.log.info(cell(line)),
            )
        except RecordingError as error:
            raise failure(error) from None
        return dg.MaterializeResult(metadata=_page(result))

    return alignments


def same_music_check(tier: Tier) -> dg.AssetChecksDefinition:
    """Make the check that aligned recordings hold the same music."""

    @dg.asset_check(
        asset=[*tier.key_prefix, "alignments"],
        name="aligned_recordings_are_the_same_music",
        description=(
            f"Every aligned pair has a median confidence of {DOUBTFUL} or more. A warning: below, "
            "one of the two is likely another work than its title says, or it repeats all that the "
            "other plays once, which shows in the lengths and in a third or so above 0.5. Clips "
            "at knots of less confidence are in no pair."
        ),
    )
    def aligned_recordings_are_the_same_music(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = read_aligned_pairs(store.open())
        except RecordingError as error:
            return dg.AssetCheckResult(passed=False, description=cell(str(error)))
        doubtful, suspected = doubtful_pairs(rows), suspects(rows)
        return dg.AssetCheckResult(
            passed=not doubtful,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(doubtful)} of {len(rows)} aligned pairs are likely of different "
            f"music; {len(suspected)} recordings are so in most of their pairs",
            metadata={
                "aligned_pairs": float(len(rows)),
                "doubtful_pairs": float(len(doubtful)),
                "doubtful_share": len(doubtful) / len(rows) if rows else 0.0,
                "least_confidence": min((row.median_confidence for row in rows), default=0.0),
                "suspects": markdown_table(
                    ("recording", "doubtful pairs", "of", "its shared works"),
                    [(one, n, of, _works_of(one, rows)) for one, n, of in suspected],
                ),
                "doubtful": markdown_table(SHOWN_PAIR, [*map(_shown, doubtful)]),
            },
        )

    return aligned_recordings_are_the_same_music


def _page(result: AlignmentResult) -> dict[str, dg.MetadataValue | int | float | str]:
    rows = result.rows
    knots = sum(row.knots for row in rows)
    confident = sum(row.confident_share * row.knots for row in rows)
    least = sorted(rows, key=lambda row: (row.median_confidence, row.key))
    left_s = result.left_s
    return {
        "dagster/row_count": knots,
        "pairs": len(rows),
        "asked_for": result.asked,
        "asked_for_and_done": result.done,
        "aligned_by_this_run": result.aligned,
        "left_for_the_next": result.left,
        "left_takes": "not known" if left_s is None else str(timedelta(seconds=round(left_s))),
        "waiting_for_audio": result.waiting,
        "no_longer_holding": result.no_longer_holding,
        "faults": len(result.faults),
        "doubtful_pairs": len(doubtful_pairs(rows)),
        "median_confidence": median(row.median_confidence for row in rows) if rows else 0.0,
        "confident_share": confident / knots if knots else 0.0,
        "hours_of_audio_an_hour": round(result.audio_hours_per_hour, 1),
        "sha256": result.table.sha256,
        "not_aligned": markdown_table(
            ("recordings", "reason", "detail"),
            [(", ".join(f.recordings), f.reason, f.detail) for f in result.faults],
        ),
        "without_audio": markdown_table(
            ("recording",), [(recording,) for recording in result.without_audio]
        ),
        "least_confident": markdown_table(SHOWN_PAIR, [*map(_shown, least)]),
    }


def _shown(row: AlignedPair) -> tuple[object, ...]:
    return (
        row.first,
        row.second,
        ", ".join(row.works),
        f"{row.median_confidence:.2f}",
        f"{row.confident_share:.0%}",
        f"{row.first_duration_s:.0f} and {row.second_duration_s:.0f} s",
    )


def _works_of(recording: str, rows: list[AlignedPair]) -> str:
    return ", ".join(sorted({w for row in rows if recording in row.key for w in row.works}))
