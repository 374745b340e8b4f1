"""What must be true of T2's signal: programmes and preferences.

What belongs here: checks on `programmes` and `preferences`. What does not: those of results and
recordings (`checks`) and those of every tier (`recordings.checks`).
"""

import io
from collections import Counter

import dagster as dg
import polars as pl

from data_collection.asset_pages import cell, markdown_table
from data_collection.competition.editions import Edition
from data_collection.competition.preferences import (
    PREFERENCE_SCHEMA,
    preference_problems,
)
from data_collection.competition.rows import ProgrammeProblemRow, ProgrammeRow
from data_collection.competition.signal import judged_competition
from data_collection.recordings.errors import CatalogueError, RecordingError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import read_rows
from data_collection.recordings.tier import Tier


def signal_checks(edition: Edition, tier: Tier) -> list[dg.AssetChecksDefinition]:
    """Make the checks of one edition's signal."""
    return [_programmes_are_known(tier), _preferences_follow_the_places(edition, tier)]


def _programmes_are_known(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "programmes"],
        name="programmes_are_known",
        description=(
            "Every recording has a programme with times, and no line of one was refused. A "
            "warning: without it `piece` is null, which is true; a wrong piece would not be."
        ),
    )
    def programmes_are_known(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            rows = read_rows(opened, f"{tier.folder('programmes')}.jsonl", ProgrammeRow)
            problems = read_rows(
                opened, f"{tier.folder('programme_problems')}.jsonl", ProgrammeProblemRow
            )
        except RecordingError as error:
            return dg.AssetCheckResult(passed=False, description=cell(str(error)))
        timed = [row for row in rows if any(i.piece and i.start_s is not None for i in row.items)]
        refused = [row for row in problems if row.reason == "refused"]
        lines = sum(len(row.items) for row in rows) + len(refused)
        return dg.AssetCheckResult(
            passed=len(timed) == len(rows) and not refused,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(rows) - len(timed)} of {len(rows)} recordings have no programme "
            f"with times, {len(refused)} of {lines} lines were refused",
            metadata={
                "recordings_with_times": len(timed) / len(rows) if rows else 0.0,
                "lines_refused": len(refused) / lines if lines else 0.0,
                "refused": markdown_table(
                    ("recording", "line", "as written", "why"),
                    [(row.recording_id, row.line, row.title, row.detail) for row in refused],
                ),
            },
        )

    return programmes_are_known


def _preferences_follow_the_places(edition: Edition, tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "preferences"],
        name="preferences_follow_the_places",
        description=(
            "No pair is of one performer, of a tie, in both directions, against the places, or of "
            "a concerto with a solo round; and no pair within a round is missing."
        ),
    )
    def preferences_follow_the_places(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        path = opened.path(f"{tier.folder('preferences')}.parquet")
        try:
            table = pl.read_parquet(io.BytesIO(path.read_bytes()))
            if dict(table.schema) != PREFERENCE_SCHEMA:
                raise ValueError(f"unexpected columns {table.schema}")
            competition = judged_competition(opened, "/".join(tier.key_prefix), edition)
        except (
            RecordingError,
            CatalogueError,
            OSError,
            ValueError,
            pl.exceptions.PolarsError,
        ) as e:
            return dg.AssetCheckResult(passed=False, description=cell(f"{path}: {e}"))
        problems = preference_problems(table, competition)
        kinds = Counter(table["kind"].to_list())
        return dg.AssetCheckResult(
            passed=not problems,
            description=cell("; ".join(problems[:5])) if problems else None,
            metadata={
                "pairs": float(table.height),
                "wrong": float(len(problems)),
                **{kind: float(count) for kind, count in kinds.items()},
                "problems": markdown_table(("problem",), [(problem,) for problem in problems]),
            },
        )

    return preferences_follow_the_places
