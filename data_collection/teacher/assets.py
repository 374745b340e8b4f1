"""The teacher as Dagster assets: the pilot, and each tier's evidence, packets, plan and labels.

What belongs here: keys, dependencies, who may be asked when, what the UI shows. What does not: the
work (`packet_stage`, `label_stage`, `plans`, `scoring`).

Where a tier may not be asked, its plan and labels are skipped and not failed: nothing is wrong. The
reason stands on the asset's page as an observation, and what follows in the same run is skipped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
import polars as pl

from data_collection.asset_pages import bar_chart, cell, column_schema, markdown_table, table_schema
from data_collection.batching import run_per_partition
from data_collection.recordings.assets import OWNERS, failure, tier_partitions
from data_collection.recordings.errors import CatalogueError, RecordingError
from data_collection.recordings.receipts import Receipt
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.teacher.evidence import TEACHER_EVIDENCE, settle_evidence
from data_collection.teacher.evidence_figures import EVIDENCE_COLUMNS, EVIDENCE_SCHEMA
from data_collection.teacher.label_stage import (
    LABELS,
    WrittenLabels,
    decided_pilot,
    gate_permits,
    prompt_of,
    questions_of,
    settle_pilot,
    write_answers,
)
from data_collection.teacher.labels import TeacherLabel
from data_collection.teacher.ledger import Ledger
from data_collection.teacher.packet_stage import (
    PACKETS,
    GroupOf,
    PacketRow,
    read_packets,
    write_packets,
)
from data_collection.teacher.plans import Plan, make_plan
from data_collection.teacher.resources import TeacherResource
from data_collection.teacher.rubric import Rubric, validator
from data_collection.teacher.scoring import Scoring, score

GROUP = "teacher"
PLAN = "teacher_plan"
PILOT = dg.AssetKey([GROUP, "pilot"])
EVIDENCE_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=150)
"""Not the policy of `segments`; `recordings.assets` says why neighbours differ."""
POOL = "teacher"
Problem = (RecordingError, CatalogueError)


@dataclass(frozen=True, slots=True)
class TaughtTier:
    """A tier whose segments the teacher judges.

    Attributes:
        tier: the tier.
        groups: reads what tells with whom a row's segment is compared.
        after: T2, where this tier is judged only once T2's labels have passed the gate.
    """

    tier: Tier
    groups: Callable[[Store], GroupOf]
    after: Tier | None = None


class PilotConfig(dg.Config):
    """A decision that is written into a run."""

    decision: str | None = None
    """The JSON of a decision file; it decides instead of the file that is set."""


class PacketsConfig(dg.Config):
    """How packets are written."""

    renew: bool = False
    """Write all anew; those that differ are other questions, and are paid for again."""


def teacher_assets(taught: Sequence[TaughtTier]) -> list[dg.AssetsDefinition]:
    """Make the pilot and each tier's evidence, packets, plan and labels."""
    names = tuple(each.tier.group for each in taught)
    return [
        _pilot(),
        *(
            made
            for each in taught
            for made in (_evidence(each.tier), _packets(each), _plan(each, names))
        ),
        *(_labels(each, names) for each in taught),
    ]


def _pilot() -> dg.AssetsDefinition:
    @dg.asset(
        key=PILOT,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"json"},
        description=(
            "**The pilot: whether the teacher is worth asking.** A decision that a person wrote "
            "down, `go` or `no_go` with its report. Without one nothing is asked and nothing spent."
        ),
        metadata={"path": PILOT.to_user_string()},
    )
    def pilot(
        config: PilotConfig, store: StoreResource, teacher: TeacherResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        try:
            found = settle_pilot(store.open(), teacher.read_pilot(config.decision))
        except Problem as error:
            raise failure(error) from None
        return dg.MaterializeResult(metadata={"is_go": found.is_go, "because": cell(found.because)})

    return pilot


def _evidence(tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, TEACHER_EVIDENCE],
        deps=[[*tier.key_prefix, "audio"], [*tier.key_prefix, "segments"]],
        partitions_def=tier_partitions(tier),
        backfill_policy=EVIDENCE_BACKFILL,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"polars", "parquet"},
        description=(
            f"**{tier.label}: what can be measured of the playing.** For each clip: tempo and its "
            "variability, timing of onsets, loudness, attack, brightness, decay, registers. The "
            "teacher hears nothing; this is all that it is told. Free of charge."
        ),
        metadata={
            "dagster/column_schema": table_schema(EVIDENCE_SCHEMA, EVIDENCE_COLUMNS),
            "path": f"{tier.folder(TEACHER_EVIDENCE)}/<recording_id>.parquet",
        },
    )
    def teacher_evidence(context: dg.AssetExecutionContext, store: StoreResource) -> None:
        opened = store.open()

        def describe(receipt: Receipt) -> dict[str, float | int | str]:
            return {
                "clips": int(receipt.facts.get("clips") or 0),
                "known_share": float(receipt.facts.get("known_share") or 0.0),
            }

        run_per_partition(context, lambda key: settle_evidence(opened, tier, key), describe)

    return teacher_evidence


def _packets(taught: TaughtTier) -> dg.AssetsDefinition:
    tier = taught.tier

    @dg.asset(
        key=[*tier.key_prefix, PACKETS],
        deps=[
            [*tier.key_prefix, "metadata"],
            dg.AssetDep(
                [*tier.key_prefix, TEACHER_EVIDENCE], partition_mapping=dg.AllPartitionMapping()
            ),
        ],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"jsonl"},
        description=(
            f"**{tier.label}: what the teacher is shown.** Each figure and its percentile among "
            "other performers, with no name, place, title or length; searched for anything that "
            "gives a recording away. Written once and kept, since another packet is paid for again."
        ),
        metadata={
            "dagster/column_schema": column_schema(PacketRow),
            "path": f"{tier.folder(PACKETS)}.jsonl",
        },
    )
    def teacher_packets(config: PacketsConfig, store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            written = write_packets(opened, tier, taught.groups(opened), renew=config.renew)
        except Problem as error:
            raise failure(error) from None
        compared = pl.Series([row.compared_with for row in written.rows], dtype=pl.String)
        counts = dict(compared.value_counts().iter_rows())
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(written.rows),
                "as_before": written.kept,
                "too_short": written.too_short,
                "not_judged": written.not_judged,
                "sha256": written.file.sha256,
                "first": dg.MetadataValue.text(written.rows[0].text if written.rows else ""),
                "plot": bar_chart(counts, title="Whom segments are compared with", unit="segments"),
            }
        )

    return teacher_packets


def _plan(taught: TaughtTier, names: tuple[str, ...]) -> dg.AssetsDefinition:
    tier = taught.tier

    @dg.asset(
        key=[*tier.key_prefix, PLAN],
        deps=[[*tier.key_prefix, PACKETS], PILOT, *_gate_deps(taught)],
        output_required=False,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"anthropic"},
        description=(
            f"**{tier.label}: what asking will cost.** Questions that are new, their tokens as the "
            "API counts them, dated prices, an upper bound, and what the caps leave. Spends "
            "nothing. Skipped, with the reason, until it may be asked."
        ),
        metadata={"path": tier.folder(PLAN)},
    )
    def teacher_plan(
        context: dg.AssetExecutionContext, store: StoreResource, teacher: TeacherResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        try:
            asked = _asked(context, store.open(), taught, teacher, names)
        except Problem as error:
            raise failure(error) from None
        if asked is None:
            return
        plan, ledger = asked.plan, asked.ledger
        yield dg.MaterializeResult(
            metadata={
                **plan.facts(),
                "refused": markdown_table(
                    ("segment", "why"), [(name, str(error)) for name, error in plan.refused]
                ),
                "plot": _spending_plot(ledger, plan),
            }
        )

    return teacher_plan


def _labels(taught: TaughtTier, names: tuple[str, ...]) -> dg.AssetsDefinition:
    tier = taught.tier

    @dg.asset(
        key=[*tier.key_prefix, LABELS],
        deps=[[*tier.key_prefix, PLAN]],
        output_required=False,
        pool=POOL,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"anthropic", "json"},
        description=(
            f"**{tier.label}: the teacher's scores.** Six dimensions from 1 to 5 for each segment, "
            "asked once and paid once, within the caps. Refusals and broken answers are counted "
            "and never guessed. While a batch is under way there is nothing new: materialize it "
            "again later."
        ),
        metadata={
            "dagster/column_schema": column_schema(TeacherLabel),
            "path": f"{tier.folder(LABELS)}.json",
        },
    )
    def teacher_labels(
        context: dg.AssetExecutionContext, store: StoreResource, teacher: TeacherResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        opened = store.open()
        try:
            asked = _asked(context, opened, taught, teacher, names)
            if asked is None:
                return
            rubric, plan, ledger = asked.rubric, asked.plan, asked.ledger
            context.log.info(
                f"{len(plan.to_ask)} questions, at most {plan.upper_usd:.4f} USD, "
                f"{plan.left_usd:.2f} USD left"
            )
            found = score(
                teacher.client(),
                plan,
                ledger=ledger,
                validate=validator(rubric),
                wait_s=teacher.wait_s,
                poll_s=teacher.poll_s,
            )
            if not found.is_complete:
                waiting = f"{found.waiting} of {len(plan.questions)} answers are waited for"
                observe_skip(context, "; ".join([waiting, *found.because]))
                return
            written = write_answers(opened, tier, found.answers, model=teacher.model, rubric=rubric)
        except Problem as error:
            raise failure(error) from None
        yield dg.MaterializeResult(metadata=_labels_page(written, found, plan, ledger))

    return teacher_labels


def closed_because(
    store: Store, taught: TaughtTier, teacher: TeacherResource, rubric: Rubric
) -> str | None:
    """Why a tier may not be asked; None where it may.

    Raises:
        SetupError: a decision or a report cannot be read.
    """
    pilot = decided_pilot(store)
    if not pilot.is_go:
        return pilot.because
    if taught.after is None:
        return None
    permitted, because = gate_permits(store, taught.after, teacher.model, str(rubric.version))
    return None if permitted else because


def _gate_deps(taught: TaughtTier) -> list[dg.AssetKey]:
    return [] if taught.after is None else [dg.AssetKey([*taught.after.key_prefix, LABELS])]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked, by which rubric, and where its money is counted."""

    rubric: Rubric
    ledger: Ledger
    plan: Plan


def _asked(
    context: dg.AssetExecutionContext,
    store: Store,
    taught: TaughtTier,
    teacher: TeacherResource,
    names: tuple[str, ...],
) -> _Asked | None:
    """The plan of a tier; None where it may not be asked, which its page then says."""
    rubric = teacher.read_rubric(store)
    closed = closed_because(store, taught, teacher, rubric)
    if closed:
        observe_skip(context, closed)
        return None
    ledger = teacher.ledger(names)
    plan = make_plan(
        teacher.client(),
        prompt_of(rubric),
        questions_of(read_packets(store, taught.tier), teacher.asked_repeats()),
        tier=taught.tier.group,
        teacher=teacher.teacher(),
        ledger=ledger,
        prices=teacher.read_prices(),
        validate=validator(rubric),
    )
    return _Asked(rubric, ledger, plan)


def observe_skip(context: dg.AssetExecutionContext, because: str) -> None:
    """Leave the reason on the asset's page; it is skipped, and what follows with it."""
    context.log.warning(f"skipped: {because}")
    context.log_event(
        dg.AssetObservation(
            context.asset_key,
            description=cell(because, 1000),
            metadata={"skipped_because": because},
        )
    )


def _labels_page(
    written: WrittenLabels, found: Scoring, plan: Plan, ledger: Ledger
) -> dict[str, dg.MetadataValue | str | int | float]:
    labels = written.labels
    dimensions = list(labels[0].dimension_scores) if labels else []
    means = {
        name: sum(label.dimension_scores[name] for label in labels) / len(labels)
        for name in dimensions
    }
    return {
        "dagster/row_count": len(labels),
        "cost_usd": float(found.cost_usd),
        "upper_usd": float(plan.upper_usd),
        "input_tokens": found.usage.input_tokens,
        "output_tokens": found.usage.output_tokens,
        "sha256": written.file.sha256,
        **{f"answers_{state}": count for state, count in written.not_scored.items()},
        "agreement": markdown_table(
            ("dimension", "segments asked twice", "weighted kappa", "equal"),
            [
                (row.dimension, row.segments, row.kappa, row.equal_share)
                for row in written.agreement
            ],
        ),
        "mean_scores": markdown_table(
            ("dimension", "mean"), [(name, f"{mean:.2f}") for name, mean in means.items()]
        ),
        "plot": _spending_plot(ledger, plan),
    }


def _spending_plot(ledger: Ledger, plan: Plan) -> dg.MetadataValue:
    bars: dict[str, float] = {}
    for name, spent in ledger.spending().items():
        bars[f"{name}: paid"] = float(spent.settled_usd)
        if spent.reserved_usd:
            bars[f"{name}: promised"] = float(spent.reserved_usd)
    bars["all tiers: cap"] = float(plan.total_cap_usd)
    return bar_chart(bars, title="Money", unit="USD")
