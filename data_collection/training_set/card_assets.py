"""The data card as a Dagster asset, and the gate that says what is not there yet.

What belongs here: keys, dependencies, what the UI shows. What does not: counting (`card_figures`),
writing (`card`) and judging (`completion`). What the tiers and the teacher know comes in as a
function that reads it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from data_collection.asset_pages import bar_chart, cell, markdown_table
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.errors import CatalogueError, RecordingError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.store import Store
from data_collection.training_set.assets import GROUP, MANIFEST, Copies, SplitResource
from data_collection.training_set.card import card_markdown, card_metadata, write_card
from data_collection.training_set.card_figures import card_figures
from data_collection.training_set.completion import Completion, completion
from data_collection.training_set.external import EXTERNAL_FOLDERS, observe
from data_collection.training_set.tier_states import TierState

if TYPE_CHECKING:
    # What `define_asset_job` returns has no public name.
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

CARD = dg.AssetKey([GROUP, "data_card"])
SHOWN_CHARACTERS = 60_000
States = Callable[[Store], Sequence[TierState]]
"""Reads what the tiers and the teacher know; may raise `RecordingError` or `CatalogueError`."""


def card_asset(states: States, copies: Copies, seeds: Mapping[str, int]) -> dg.AssetsDefinition:
    """Make the data card.

    Args:
        states: of all tiers.
        copies: of performances among their recordings.
        seeds: of draws outside of the split, by what they are of.
    """

    @dg.asset(
        key=CARD,
        deps=[MANIFEST],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"markdown", "html"},
        description=(
            "**The data card.** Counts, hours, distributions, every exclusion with its reason, "
            "dead links with dates, licences, versions and hashes, how to cite, and what changed "
            "since the card before; as Markdown, as one self-contained page, and as JSON."
        ),
        metadata={"path": f"{CARD.to_user_string()}.html"},
    )
    def data_card(store: StoreResource, split: SplitResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            figures = card_figures(
                opened,
                states(opened),
                at=datetime.now(UTC),
                matches=copies(opened),
                seeds={"split": split.rules().seed, **seeds},
                external=[observe(opened, folder) for folder in EXTERNAL_FOLDERS],
            )
            stored = write_card(opened, figures)
        except (RecordingError, CatalogueError) as error:
            raise failure(error) from None
        return dg.MaterializeResult(
            metadata={
                **card_metadata(figures),
                "page": dg.MetadataValue.path(str(opened.path(stored.html.path))),
                "card": dg.MetadataValue.md(card_markdown(figures)[:SHOWN_CHARACTERS]),
            }
        )

    return data_card


def training_set_job() -> "UnresolvedAssetJobDefinition":
    """The job that makes manifest and card, with their checks."""
    return dg.define_asset_job(
        GROUP,
        selection=dg.AssetSelection.assets(MANIFEST, CARD),
        description="What training loads, and what is in it: manifest and data card.",
        executor_def=dg.in_process_executor,
    )


def completion_check(states: States) -> dg.AssetChecksDefinition:
    """Make the completion gate."""

    @dg.asset_check(
        asset=CARD,
        name="the_collection_is_complete",
        description=(
            "T2 has its metadata and embeddings, T3 its embeddings and map, and, if the pilot said "
            "go, T2's labels are there and judged; T4 adds to them. What a source no longer gives "
            "is finished, not missing. Says what is missing, by recording and reason."
        ),
    )
    def the_collection_is_complete(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            found = completion(opened, states(opened))
        except (RecordingError, CatalogueError) as error:
            return dg.AssetCheckResult(passed=False, description=cell(str(error), 1000))
        reasons = found.by_reason()
        return dg.AssetCheckResult(
            passed=found.is_complete,
            description=None if found.is_complete else cell(_sentence(found, reasons), 1000),
            metadata={
                **found.figures(),
                "tiers": markdown_table(*found.table()),
                "what_is_missing": markdown_table(*found.missing_table()),
                "finished_without": markdown_table(
                    ("reason", "recordings"), [*found.by_good_reason().items()]
                ),
                "plot": bar_chart(reasons, title="What is missing, by reason", unit="gaps"),
            },
        )

    return the_collection_is_complete


def _sentence(found: Completion, reasons: Mapping[str, int]) -> str:
    said = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    first = found.missing[0] if found.missing else None
    return f"{said}; first {first.subject}: {first.detail or first.reason}" if first else said
