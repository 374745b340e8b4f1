"""T4's copies as a Dagster asset, and the check that nothing of the competition is in T4.

What belongs here: keys, dependencies, what the UI shows. What does not: the search
(`duplicate_search`) and the choice (`duplicates`).
"""

from collections import Counter

import dagster as dg

from data_collection.asset_pages import bar_chart, cell, column_schema, markdown_table
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.fingerprints.stored import FINGERPRINTS
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import read_rows
from data_collection.youtube.duplicate_search import DUPLICATES, Tiers, find_leaks, search
from data_collection.youtube.duplicates import DuplicateRow

SHOWN_KEYS = 5


def duplicates_asset(tiers: Tiers) -> dg.AssetsDefinition:
    """Make T4's `duplicates` asset.

    Args:
        tiers: of all recordings that are compared, by name; T4's is `youtube`.
    """
    own = tiers["youtube"]

    @dg.asset(
        key=[*own.key_prefix, DUPLICATES],
        deps=[
            dg.AssetDep([*tier.key_prefix, name], partition_mapping=mapping)
            for tier in tiers.values()
            for name, mapping in (
                ("recordings", None),
                (FINGERPRINTS, dg.AllPartitionMapping()),
            )
        ],
        group_name=own.group,
        owners=OWNERS,
        kinds={"jsonl"},
        description=(
            f"**{own.label}: copies.** The same performance uploaded twice, and what the "
            "competition or MAESTRO also holds, by source, samples or sound: one row for each "
            "recording that is left out, with the one that stands for it. Only what is new or "
            "changed is searched for."
        ),
        metadata={
            "dagster/column_schema": column_schema(DuplicateRow),
            "path": f"{own.folder(DUPLICATES)}.jsonl",
        },
    )
    def duplicates(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        try:
            found = search(store.open(), tiers, context.log.info)
        except RecordingError as error:
            raise failure(error) from None
        rows = found.choice.duplicates
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(rows),
                "kept": len(found.choice.kept),
                "searched_for_now": found.asked,
                **{f"{name}_recordings": count for name, count in found.recordings.items()},
                **{f"{name}_fingerprints": count for name, count in found.with_fingerprint.items()},
                "left_out": markdown_table(
                    ("recording", "kind", "stands for it", "of", "by", "covered", "score"),
                    [
                        (
                            row.recording_id,
                            row.kind,
                            row.duplicate_of,
                            row.tier,
                            row.by,
                            row.covered,
                            row.score,
                        )
                        for row in rows
                    ],
                ),
                "compilations": markdown_table(
                    ("recording", "holds"),
                    [(row.recording_id, ", ".join(row.holds)) for row in found.choice.compilations],
                ),
                "both_kept_with_a_shared_part": markdown_table(
                    ("shorter", "longer", "seconds"),
                    [
                        (row.recording_id, row.shares_with, row.overlap_s)
                        for row in found.choice.shared_parts
                    ],
                ),
                "plot": bar_chart(
                    Counter(f"{row.kind} of {row.tier}" for row in rows),
                    title="Why recordings are left out",
                    unit="recordings",
                ),
            }
        )

    return duplicates


def leak_check(tiers: Tiers) -> dg.AssetChecksDefinition:
    """Make the blocking check that no recording of T4's metadata is also in T2."""
    own, other = tiers["youtube"], tiers["competition"]

    @dg.asset_check(
        asset=[*own.key_prefix, "metadata"],
        name="no_recording_is_also_in_the_competition",
        blocking=True,
        description=(
            f"No recording with rows here shares a performance with {other.label}, by source, "
            "samples or sound, and each has been compared: what is tested must not be trained on."
        ),
    )
    def no_recording_is_also_in_the_competition(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            rows = read_rows(opened, f"{own.folder('metadata')}.jsonl", own.row_model)
            used = sorted({row.recording_id for row in rows})
            found = find_leaks(opened, tiers, used, "competition")
        except RecordingError as error:
            return dg.AssetCheckResult(passed=False, description=cell(str(error), 1000))
        mine, others = found.compared
        said = []
        if found.leaks:
            said.append(
                f"{len(found.leaks)} recordings are also in {other.label}; first "
                f"{found.leaks[0].recording_id}, which is {found.leaks[0].duplicate_of}: "
                f"materialize {own.folder(DUPLICATES)} and metadata again"
            )
        if found.not_compared:
            said.append(
                f"{len(found.not_compared)} recordings were not compared; materialize "
                f"{FINGERPRINTS} and {DUPLICATES}; first "
                f"{', '.join(found.not_compared[:SHOWN_KEYS])}"
            )
        return dg.AssetCheckResult(
            passed=not said,
            description=cell("; ".join(said), 1000) if said else None,
            metadata={
                "recordings": float(mine),
                "competition_recordings": float(others),
                "leaks": float(len(found.leaks)),
                "not_compared": float(len(found.not_compared)),
                "also_there": markdown_table(
                    ("recording", "is", "by", "covered"),
                    [
                        (row.recording_id, row.duplicate_of, row.by, row.covered)
                        for row in found.leaks
                    ],
                ),
            },
        )

    return no_recording_is_also_in_the_competition
