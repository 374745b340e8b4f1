"""T2's own asset: the results. The rest of T2 is the river's (`recordings.assets`).

What belongs here: `results`. What does not: reading sources and comparing them (`results`,
`sources`). What came from the web is made harmless before it is shown.
"""

from collections import Counter

import dagster as dg

from data_collection.asset_pages import bar_chart, column_schema, markdown_table
from data_collection.competition.editions import Edition
from data_collection.competition.results import Result, Results, gather_results
from data_collection.competition.sources.pages import Manners
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.errors import CatalogueError, SetupError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import write_rows
from data_collection.recordings.tier import Tier


def results_asset(edition: Edition, tier: Tier, manners: Manners) -> dg.AssetsDefinition:
    """Make the asset of an edition's results.

    Args:
        edition: whose results.
        tier: T2 as the river sees it.
        manners: how sources on the web are fetched.
    """

    @dg.asset(
        key=[*tier.key_prefix, "results"],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"csv", "jsonl"},
        description=(
            f"**{tier.label}: who took part and what place each won.** Read from all sources of "
            "the edition, which are compared with each other. Ties are ties; those without a prize "
            "share one place a stage."
        ),
        metadata={
            "dagster/column_schema": column_schema(Result),
            "path": f"{tier.folder('results')}.jsonl",
        },
    )
    def results_(store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            found = gather_results(edition, opened, manners)
        except (CatalogueError, SetupError) as error:
            raise failure(error) from None
        write_rows(opened, f"{tier.folder('statements')}.jsonl", found.statements)
        write_rows(opened, f"{tier.folder('sources')}.jsonl", found.sources)
        stored = write_rows(opened, f"{tier.folder('results')}.jsonl", found.rows)
        return dg.MaterializeResult(metadata={"sha256": stored.sha256, **_shown(found)})

    return results_


def _shown(found: Results) -> dict[str, dg.MetadataValue | int]:
    """What the asset's page shows of the results."""
    ranked = sorted(found.rows, key=lambda row: row.placement)
    stages = Counter(row.reached_stage for row in found.rows)
    return {
        "dagster/row_count": len(found.rows),
        "prizes": sum(row.prize is not None for row in found.rows),
        "recalled_rows": sum(row.confidence == "recalled" for row in found.rows),
        "statements": len(found.statements),
        "sources": markdown_table(
            ("source", "state", "performers", "as of", "address"),
            [(s.source, s.state, s.statements, s.as_of, s.origin) for s in found.sources],
        ),
        "rows": markdown_table(
            (
                "placement",
                "performer",
                "country",
                "reached_stage",
                "prize",
                "confidence",
                "sources",
            ),
            [
                (
                    row.placement,
                    row.performer,
                    row.country,
                    row.reached_stage,
                    row.prize,
                    row.confidence,
                    ", ".join(row.sources),
                )
                for row in ranked
            ],
        ),
        "plot": bar_chart(
            {f"left in {stage}": count for stage, count in stages.items()},
            title="How far they came",
            unit="pianists",
        ),
    }
