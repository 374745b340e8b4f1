"""The gate as an asset check: do T2's labels follow the places?

What belongs here: what the check says and shows. What does not: the statistics (`gate`). It blocks:
what depends on T2's labels is not made in the same run, and later runs read its report.
"""

from collections.abc import Callable, Iterable, Sequence

import dagster as dg

from data_collection.asset_pages import bar_chart, cell, markdown_table
from data_collection.recordings.errors import CatalogueError, RecordingError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.teacher.gate import JurorMark
from data_collection.teacher.gate_performances import JudgedSegment
from data_collection.teacher.gate_report import (
    GateReport,
    Rule,
    control_table,
    gate_bars,
    gate_figures,
    gate_table,
)
from data_collection.teacher.label_stage import LABELS, settle_gate
from data_collection.teacher.resources import TeacherResource


def gate_check(
    tier: Tier,
    segments: Callable[[Store], Sequence[JudgedSegment]],
    marks: Callable[[Store], Iterable[JurorMark]],
) -> dg.AssetChecksDefinition:
    """Make T2's gate.

    Args:
        tier: T2.
        segments: reads its metadata.
        marks: reads its jury's marks, or gives none.
    """

    @dg.asset_check(
        asset=[*tier.key_prefix, LABELS],
        name="labels_follow_the_places",
        blocking=True,
        description=(
            "Within each round the better placed are scored higher: Spearman above 0.2 on 60 % of "
            "the dimensions or more, by performers, decided on the lower end of the 95 % interval, "
            "while loudness, length, chance and shuffled places fail. Only then may other tiers be "
            "scored."
        ),
    )
    def labels_follow_the_places(
        store: StoreResource, teacher: TeacherResource
    ) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            rule: Rule = "seed" if teacher.decides_on == "seed" else "strict"
            report = settle_gate(
                opened, tier, lambda: segments(opened), lambda: marks(opened), decides_on=rule
            )
        except (RecordingError, CatalogueError) as error:
            return dg.AssetCheckResult(passed=False, description=cell(str(error), 1000))
        return dg.AssetCheckResult(
            passed=report.verdict == "open",
            description=cell(f"{report.verdict}: {'; '.join(report.because)}", 2000),
            metadata={
                "verdict": report.verdict,
                **gate_figures(report),
                **_pages(report),
            },
        )

    return labels_follow_the_places


def _pages(report: GateReport) -> dict[str, dg.MetadataValue]:
    return {
        "rules": markdown_table(
            ("rule", "verdict", "why"),
            [(row.rule, row.verdict, row.because) for row in report.rules],
        ),
        "by_round": markdown_table(*gate_table(report)),
        "by_jury_mark": markdown_table(*gate_table(report, "jury_mark")),
        "controls": markdown_table(*control_table(report)),
        "rounds": markdown_table(
            ("round", "against", "state", "performers", "noise ceiling", "why"),
            [
                (row.round, row.target, row.state, row.performers, row.noise_ceiling, row.because)
                for row in report.rounds
            ],
        ),
        "plot": bar_chart(gate_bars(report), title="Spearman over the counted rounds", unit="rho"),
    }
