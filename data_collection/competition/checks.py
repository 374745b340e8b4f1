"""What must be true of T2: results that add up and that sources agree on, and honest matching.

What belongs here: checks on `results` and `recordings`. What does not: checks that hold for every
tier (`recordings.checks`). The arithmetic and a contradiction between sources block: a wrong place
is worse than a missing one.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from data_collection.asset_pages import cell, markdown_table
from data_collection.competition.editions import Edition
from data_collection.competition.placement import prize_problems
from data_collection.competition.results import (
    Result,
    SourceRow,
    StatementRow,
    disagreements,
    lone_names,
)
from data_collection.competition.roster import counts_by_stage, played_by_stage
from data_collection.competition.rows import CompetitionRecording
from data_collection.competition.titles import MIN_MARGIN
from data_collection.recordings.errors import SetupError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import read_rows
from data_collection.recordings.tier import Tier

SHOWN_IN_TEXT = 10
"""Contradictions named in a check's description; the table beside it has more."""
CLOSE_MARGIN = 2 * MIN_MARGIN
"""Accepted, but near enough to another performer to be looked at by a person."""


def competition_checks(edition: Edition, tier: Tier) -> list[dg.AssetChecksDefinition]:
    """Make the checks of one edition."""
    return [
        _results_add_up(edition, tier),
        _prizes_have_no_hole(tier),
        _sources_agree(tier),
        _names_in_one_source(tier),
        _sources_were_read(tier),
        _every_round_is_covered(edition, tier),
    ]


def _results_add_up(edition: Edition, tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "results"],
        name="results_add_up",
        blocking=True,
        description=(
            "As many admitted to each round, and as many who played in it, as the edition states; "
            "and somebody in each."
        ),
    )
    def results_add_up(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = read_rows(store.open(), f"{tier.folder('results')}.jsonl", Result)
        except SetupError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        counts = counts_by_stage(rows, edition.round_ids)
        played = played_by_stage(rows, edition.round_ids)
        problems = stage_problems(edition, counts, played)
        return dg.AssetCheckResult(
            passed=not problems,
            description="; ".join(problems) or None,
            metadata={
                "performers": float(len(rows)),
                **{f"admitted_{round_id}": float(count) for round_id, count in counts.items()},
                **{f"played_{round_id}": float(count) for round_id, count in played.items()},
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


def stage_problems(edition: Edition, counts: dict[str, int], played: dict[str, int]) -> list[str]:
    """Rounds whose count is not what the edition states, or that nobody reached."""
    stated = [
        (round_.id, what, found[round_.id], wanted)
        for round_ in edition.rounds
        for what, found, wanted in (
            ("admitted", counts, round_.competitors),
            ("played", played, round_.played),
        )
        if wanted is not None
    ]
    problems = [
        f"{round_id}: {found} {what} by the results, {wanted} by the edition file"
        for round_id, what, found, wanted in stated
        if found != wanted
    ]
    problems += [f"{round_id}: nobody reached it" for round_id, n in counts.items() if n == 0]
    return problems


NOTHING_TO_COMPARE = "one source only, nothing to compare"
WHAT_TO_DO = "correct the one that is wrong, or take that source out of the edition file"


def _sources_agree(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "results"],
        name="sources_agree",
        blocking=True,
        description=(
            "No two sources contradict each other on the stage that a performer reached or on a "
            "prize. Which of them is right is for a person to say."
        ),
    )
    def sources_agree(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = _statements(store, tier)
        except SetupError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        sources = {row.source for row in rows}
        if len(sources) < 2:
            return dg.AssetCheckResult(passed=True, description=NOTHING_TO_COMPARE)
        found = disagreements(rows)
        said = "; ".join(cell(str(item), 400) for item in found[:SHOWN_IN_TEXT])
        more = f"; and {len(found) - SHOWN_IN_TEXT} more" if len(found) > SHOWN_IN_TEXT else ""
        return dg.AssetCheckResult(
            passed=not found,
            description=f"{said}{more}. To settle it: {WHAT_TO_DO}" if found else None,
            metadata={
                "sources": float(len(sources)),
                "disagreements": float(len(found)),
                "rows": markdown_table(
                    ("performer", "field", "source", "says", "where"),
                    [
                        (item.performer, item.field, *value)
                        for item in found
                        for value in item.values
                    ],
                ),
            },
        )

    return sources_agree


def _names_in_one_source(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "results"],
        name="names_in_one_source",
        description=(
            "Every name is in two sources at least, so that what is said of it was compared. A "
            "warning: a source may list only some, or spell a name in a way that fits nobody, or "
            "several; an alias in the roster joins it."
        ),
    )
    def names_in_one_source(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = _statements(store, tier)
        except SetupError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        sources = {row.source for row in rows}
        if len(sources) < 2:
            return dg.AssetCheckResult(passed=True, description=NOTHING_TO_COMPARE)
        found = lone_names(rows)
        named = ", ".join(cell(f"{name.performer} ({name.source})") for name in found)
        return dg.AssetCheckResult(
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(found)} names in one source only: {named}" if found else None,
            metadata={
                "names_in_one_source": float(len(found)),
                "not_in_results": float(len({r.person for r in rows if not r.in_results})),
                "rows": markdown_table(
                    ("performer", "source", "where", "may be"),
                    [(n.performer, n.source, n.where, ", ".join(n.candidates)) for n in found],
                ),
            },
        )

    return names_in_one_source


def _sources_were_read(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "results"],
        name="sources_were_read",
        description=(
            "Every source of the edition was read, and from its site, not from an earlier answer. "
            "A warning: the others are there, but less was compared."
        ),
    )
    def sources_were_read(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = read_rows(store.open(), f"{tier.folder('sources')}.jsonl", SourceRow)
        except SetupError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        behind = [row for row in rows if row.state != "read"]
        return dg.AssetCheckResult(
            passed=not behind,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(cell(_what_became_of(row), 600) for row in behind) or None,
            metadata={
                "sources_read": float(sum(row.state != "not_read" for row in rows)),
                "sources_not_read": float(sum(row.state == "not_read" for row in rows)),
                "rows": markdown_table(
                    ("source", "state", "performers", "as of", "because", "address"),
                    [(r.source, r.state, r.statements, r.as_of, r.because, r.origin) for r in rows],
                ),
            },
        )

    return sources_were_read


def _statements(store: StoreResource, tier: Tier) -> list[StatementRow]:
    return read_rows(store.open(), f"{tier.folder('statements')}.jsonl", StatementRow)


def _what_became_of(row: SourceRow) -> str:
    """Why a source was not read, or as of when the answer is that was read instead."""
    if row.as_of is None:
        return f"{row.source} was not read: {row.because}"
    days = (datetime.now(UTC) - row.as_of).days
    return f"{row.source} is as of {row.as_of:%Y-%m-%d %H:%M} UTC ({days} days ago): {row.because}"


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
        wanted = sum(played_by_stage(results, edition.round_ids).values())
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
    """Rounds that performers played without a recording, in the rounds' order."""
    found = {(row.round, row.performer) for row in rows}
    ids = edition.round_ids
    return [
        (round_id, result.performer)
        for round_id in ids
        for result in results
        if round_id in result.stages_performed and (round_id, result.performer) not in found
    ]
