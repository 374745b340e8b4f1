"""What must be true of T2: the arithmetic of its results, and the honesty of its matching.

What belongs here: checks on `results` and `recordings`. What does not: checks that hold for every
tier (`recordings.checks`). Only the arithmetic blocks: a wrong place is worse than a missing one.
"""

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from data_collection.asset_pages import markdown_table
from data_collection.competition.catalogue import CompetitionRecording, Result
from data_collection.competition.editions import Edition
from data_collection.competition.placement import prize_problems
from data_collection.competition.roster import counts_by_stage
from data_collection.competition.titles import MIN_MARGIN
from data_collection.recordings.errors import SetupError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import read_rows
from data_collection.recordings.tier import Tier

CLOSE_MARGIN = 2 * MIN_MARGIN
"""Accepted, but near enough to another performer to be looked at by a person."""


def competition_checks(edition: Edition, tier: Tier) -> list[dg.AssetChecksDefinition]:
    """Make the checks of one edition."""
    return [
        _results_add_up(edition, tier),
        _prizes_have_no_hole(tier),
        _every_round_is_covered(edition, tier),
    ]


def _results_add_up(edition: Edition, tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "results"],
        name="results_add_up",
        blocking=True,
        description=("As many in each round as the edition states, and somebody in each."),
    )
    def results_add_up(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = read_rows(store.open(), f"{tier.folder('results')}.jsonl", Result)
        except SetupError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        counts = counts_by_stage(rows, edition.round_ids)
        problems = stage_problems(edition, counts)
        return dg.AssetCheckResult(
            passed=not problems,
            description="; ".join(problems) or None,
            metadata={
                "performers": float(len(rows)),
                **{f"admitted_{round_id}": float(count) for round_id, count in counts.items()},
                "recalled_rows": float(sum(row.confidence == "recalled" for row in rows)),
            },
        )

    return results_add_up


def _prizes_have_no_hole(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "results"],
        name="prizes_have_no_hole",
        description=(
            "Prizes are numbered without a hole. A warning: a jury may withhold one, as Warsaw's "
            "has; otherwise the roster lacks a row."
        ),
    )
    def prizes_have_no_hole(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = read_rows(store.open(), f"{tier.folder('results')}.jsonl", Result)
        except SetupError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        prizes = [row.prize for row in rows if row.prize is not None]
        problems = prize_problems(prizes)
        return dg.AssetCheckResult(
            passed=not problems,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(problems) or None,
            metadata={"prizes": float(len(prizes)), "holes": float(len(problems))},
        )

    return prizes_have_no_hole


def stage_problems(edition: Edition, counts: dict[str, int]) -> list[str]:
    """Rounds whose count is not what the edition states, or that nobody reached."""
    problems = [
        f"{round_.id}: {counts[round_.id]} in the roster, {round_.competitors} in the edition file"
        for round_ in edition.rounds
        if round_.competitors is not None and counts[round_.id] != round_.competitors
    ]
    problems += [f"{round_id}: nobody reached it" for round_id, n in counts.items() if n == 0]
    return problems


def _every_round_is_covered(edition: Edition, tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "recordings"],
        name="every_performer_is_found",
        description=(
            "Every performer has a recording of every round reached, and no match is a close call. "
            "A gap is a warning: a video may not exist; a wrong match would be worse."
        ),
    )
    def every_performer_is_found(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            results = read_rows(opened, f"{tier.folder('results')}.jsonl", Result)
            rows = read_rows(opened, f"{tier.folder('recordings')}.jsonl", CompetitionRecording)
        except SetupError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        gaps = coverage_gaps(edition, results, rows)
        close = [row for row in rows if row.match_margin < CLOSE_MARGIN]
        wanted = sum(counts_by_stage(results, edition.round_ids).values())
        return dg.AssetCheckResult(
            passed=not gaps and not close,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(gaps)} of {wanted} performer-rounds have no recording, "
            f"{len(close)} matches are close calls",
            metadata={
                "coverage": 1.0 - len(gaps) / wanted if wanted else 0.0,
                "close_calls": float(len(close)),
                "gaps": markdown_table(("round", "performer"), [*gaps]),
                "gaps_by_round": dg.MetadataValue.json(dict(Counter(gap[0] for gap in gaps))),
                "close_call_rows": markdown_table(
                    ("title", "performer", "score", "margin"),
                    [
                        (row.title, row.performer, row.match_score, row.match_margin)
                        for row in close
                    ],
                ),
            },
        )

    return every_performer_is_found


def coverage_gaps(
    edition: Edition, results: Sequence[Result], rows: Sequence[CompetitionRecording]
) -> list[tuple[str, str]]:
    """Rounds and performers for which there is no recording, in the rounds' order."""
    found = {(row.round, row.performer) for row in rows}
    ids = edition.round_ids
    return [
        (round_id, result.performer)
        for index, round_id in enumerate(ids)
        for result in results
        if ids.index(result.reached_stage) >= index and (round_id, result.performer) not in found
    ]
