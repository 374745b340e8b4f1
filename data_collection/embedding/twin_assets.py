"""Twins as Dagster assets: their embeddings, the pairs, and the check of what each effect does.

What belongs here: keys, dependencies, what the UI shows. What does not: the work (`twins`), and how
a clip becomes its twin, which is the resource `twins`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import dagster as dg
import numpy as np

from data_collection.asset_pages import (
    bar_chart,
    column_schema,
    markdown_table,
    span_chart,
)
from data_collection.embedding.assets import GPU_POOL, embed_partitions
from data_collection.embedding.resources import MuQResource
from data_collection.embedding.twins import (
    TWINS,
    Strangers,
    TwinRow,
    flagged,
    read_twins,
    settle_twins,
    strangers,
)
from data_collection.recordings.assets import OWNERS, failure, tier_partitions
from data_collection.recordings.collection import read_recordings
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.receipts import Receipt
from data_collection.recordings.resources import ClipVariantResource, StoreResource
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import SegmentRow

TWINS_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=120)
"""Not the policy of `muq_embeddings`; `recordings.assets` says why neighbours differ."""
PAIRS = "pairs"
MOST_FLAGGED = 0.05
"""Share of twins; from it on the recipe is at fault and not a clip."""
FEW_TWINS = 100
"""Below it a share says nothing."""
SHOWN_FLAGGED = 20


def twin_assets(tier: Tier) -> list[dg.AssetsDefinition]:
    """Make a tier's twins and their pairs."""
    return [_twins(tier), _pairs(tier)]


def _twins(tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, TWINS],
        deps=[[*tier.key_prefix, name] for name in ("audio", "segments", "muq_embeddings")],
        partitions_def=tier_partitions(tier),
        backfill_policy=TWINS_BACKFILL,
        pool=GPU_POOL,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"torch", "muq"},
        description=(
            f"**{tier.label}: the twins' embeddings.** Each kept clip once more, in another room, "
            "by another microphone, with noise, through a phone, at another pitch, as the recipe "
            "and the seed draw it: the same tensor shape, and frame k of the twin is frame k of "
            "the clean one. The twin's audio is not kept; its parameters make it again to the byte."
        ),
        metadata={"path": f"{tier.folder(TWINS)}/<segment_id>.pt"},
    )
    def augmented_muq_embeddings(
        context: dg.AssetExecutionContext,
        store: StoreResource,
        muq: MuQResource,
        twins: ClipVariantResource,
    ) -> None:
        opened = store.open()
        try:
            variant = twins.variant()
        except RecordingError as error:
            raise failure(error) from None

        def describe(receipt: Receipt) -> dict[str, float | int | str]:
            return {
                **{name: receipt.parameters[name] or 0 for name in ("recipe", "seed")},
                "cosine_median": float(receipt.facts.get("cosine_median") or 0.0),
                "cosine_least": float(receipt.facts.get("cosine_least") or 0.0),
            }

        embed_partitions(
            context,
            opened,
            tier,
            muq,
            lambda key, **model: settle_twins(opened, tier, key, variant, **model),
            describe,
        )

    return augmented_muq_embeddings


def _pairs(tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, PAIRS],
        deps=[
            [*tier.key_prefix, "metadata"],
            dg.AssetDep([*tier.key_prefix, TWINS], partition_mapping=dg.AllPartitionMapping()),
        ],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"jsonl"},
        description=(
            f"**{tier.label}: clean and augmented.** One row a segment of the metadata that has a "
            "twin: both files with their hashes, recipe, seed, what was drawn, and how alike the "
            "two embeddings are. A twin that is identical or destroyed is flagged."
        ),
        metadata={
            "dagster/column_schema": column_schema(TwinRow),
            "path": f"{tier.folder(PAIRS)}.jsonl",
        },
    )
    def pairs(store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            used = {row.segment_id for row in _metadata_rows(opened, tier)}
            found = read_twins(
                opened, tier, [row.recording_id for row in read_recordings(opened, tier)]
            )
            found = [row for row in found if row.segment_id in used]
            others = strangers(opened, tier, found)
            rows = flagged(opened, tier, found, others)
            stored = write_rows(opened, f"{tier.folder(PAIRS)}.jsonl", rows)
        except RecordingError as error:
            raise failure(error) from None
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(rows),
                "segments_without_twin": len(used) - len(rows),
                "flagged": sum(row.flag is not None for row in rows),
                "sha256": stored.sha256,
                **_strangers_page(others),
                "by_effect": _table_by_effect(rows),
                "plot": bar_chart(
                    {effect: len(of_it) for effect, of_it in by_effect(rows).items()},
                    title="Twins with each effect",
                    unit="twins",
                ),
            }
        )

    return pairs


def twins_check(tier: Tier) -> dg.AssetChecksDefinition:
    """Make the check that twins are neither identical to their clips nor destroyed."""

    @dg.asset_check(
        asset=[*tier.key_prefix, PAIRS],
        name="twins_are_neither_identical_nor_destroyed",
        description=(
            "Every segment of the metadata has its twin, no twin equals its clip, and each is more "
            "like its own clip than nine in ten of all others are. A warning, unless a "
            "twentieth of many fails: then the recipe is at fault."
        ),
    )
    def twins_are_neither_identical_nor_destroyed(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            rows = read_rows(opened, f"{tier.folder(PAIRS)}.jsonl", TwinRow)
            segments = len(_metadata_rows(opened, tier))
            others = strangers(opened, tier, rows)
            wrong = [row for row in flagged(opened, tier, rows, others) if row.flag is not None]
        except RecordingError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        missing = segments - len(rows)
        share = len(wrong) / len(rows) if rows else 0.0
        return dg.AssetCheckResult(
            passed=not wrong and not missing and bool(rows),
            severity=(
                dg.AssetCheckSeverity.ERROR
                if share > MOST_FLAGGED and len(rows) >= FEW_TWINS
                else dg.AssetCheckSeverity.WARN
            ),
            description=_what_is_wrong(wrong, missing, rows, others),
            metadata={
                "twins": float(len(rows)),
                "segments_without_twin": float(missing),
                "identical": float(sum(row.flag == "identical" for row in wrong)),
                "destroyed": float(sum(row.flag == "destroyed" for row in wrong)),
                **_strangers_page(others),
                "by_effect": _table_by_effect(rows),
                "flagged": markdown_table(
                    ("segment", "flag", "cosine", "strangers nearer", "effects"),
                    [
                        (
                            row.segment_id,
                            row.flag,
                            row.cosine,
                            row.strangers_nearer,
                            ", ".join(row.effects),
                        )
                        for row in wrong[:SHOWN_FLAGGED]
                    ],
                ),
                "plot": span_chart(
                    spans_by_effect(rows, others),
                    title="How like their clips the twins are (5 %, median, 95 %)",
                    of="cosine of the means over the frames",
                ),
            },
        )

    return twins_are_neither_identical_nor_destroyed


def by_effect(rows: Sequence[TwinRow]) -> dict[str, list[TwinRow]]:
    """The twins that have each effect, by its name; a twin with two is in both."""
    found: dict[str, list[TwinRow]] = defaultdict(list)
    for row in rows:
        for effect in row.effects:
            found[effect].append(row)
    return dict(sorted(found.items()))


def _metadata_rows(store: Store, tier: Tier) -> list[SegmentRow]:
    return read_rows(store, f"{tier.folder('metadata')}.jsonl", tier.row_model)


def _what_is_wrong(
    wrong: Sequence[TwinRow], missing: int, rows: Sequence[TwinRow], others: Strangers | None
) -> str | None:
    if not rows:
        return f"no twins; materialize {TWINS}"
    said = []
    if missing:
        said.append(f"{missing} segments have no twin; materialize {TWINS}")
    if wrong:
        said.append(f"{len(wrong)} of {len(rows)} twins are of no use; first {wrong[0].segment_id}")
    if others is None:
        said.append(
            "too few recordings to say how alike strangers are, so none counts as destroyed"
        )
    return "; ".join(said) or None


def _strangers_page(others: Strangers | None) -> Mapping[str, float]:
    if others is None:
        return {}
    names = ("5_percent", "median", "95_percent")
    return {
        f"strangers_cosine_{name}": round(at, 4)
        for name, at in zip(names, others.span, strict=True)
    }


def spans_by_effect(
    rows: Sequence[TwinRow], others: Strangers | None
) -> dict[str, tuple[float, float, float]]:
    """Cosine that 5 %, half and 95 % of an effect's twins are below; and of strangers, last."""
    spans = {
        effect: _span([row.cosine for row in of_it]) for effect, of_it in by_effect(rows).items()
    }
    if others is not None:
        spans["two strangers"] = others.span
    return spans


def _span(cosines: Sequence[float]) -> tuple[float, float, float]:
    low, median, high = np.percentile(cosines, (5, 50, 95))
    return float(low), float(median), float(high)


def _table_by_effect(rows: Sequence[TwinRow]) -> dg.MetadataValue:
    return markdown_table(
        ("effect", "twins", "5 % below", "median", "5 % above"),
        [
            (effect, len(of_it), *(f"{at:.4f}" for at in _span([row.cosine for row in of_it])))
            for effect, of_it in by_effect(rows).items()
        ],
    )
