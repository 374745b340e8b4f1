"""T2's own asset: the results. The rest of T2 is the river's (`recordings.assets`).

What belongs here: `results`. What does not: reading a roster and computing places (`catalogue`).
"""

from collections import Counter

import dagster as dg

from data_collection.asset_pages import bar_chart, column_schema, markdown_table
from data_collection.competition.catalogue import Result, results
from data_collection.competition.editions import Edition
from data_collection.competition.roster import RosterError
from data_collection.recordings.assets import OWNERS
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import write_rows
from data_collection.recordings.tier import Tier


def results_asset(edition: Edition, tier: Tier) -> dg.AssetsDefinition:
    """Make the asset of an edition's results."""

    @dg.asset(
        key=[*tier.key_prefix, "results"],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"csv", "jsonl"},
        description=(
            f"**{tier.label}: who took part and what place each won.** Ties are ties; those "
            "without a prize share one place a stage."
        ),
        metadata={
            "dagster/column_schema": column_schema(Result),
            "path": f"{tier.folder('results')}.jsonl",
        },
    )
    def results_(store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        try:
            rows = results(edition)
        except RosterError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        stored = write_rows(store.open(), f"{tier.folder('results')}.jsonl", rows)
        ranked = sorted(rows, key=lambda row: row.placement)
        columns = ("placement", "performer", "country", "reached_stage", "prize", "confidence")
        stages = Counter(row.reached_stage for row in rows)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(rows),
                "prizes": sum(row.prize is not None for row in rows),
                "recalled_rows": sum(row.confidence == "recalled" for row in rows),
                "sha256": stored.sha256,
                "rows": markdown_table(
                    columns, [tuple(getattr(row, name) for name in columns) for row in ranked]
                ),
                "plot": bar_chart(
                    {f"left in {stage}": count for stage, count in stages.items()},
                    title="How far they came",
                    unit="pianists",
                ),
            }
        )

    return results_
