"""T2's signal as assets: programmes, jury marks, preferences.

What belongs here: keys, dependencies, what the UI shows. What does not: choosing programmes
(`programmes`), averaging marks (`jury`) and choosing pairs (`preferences`). None is partitioned,
and all are made with the metadata: a description comes with the audio, pairs need all recordings.
"""

import io
from collections import Counter

import dagster as dg

from data_collection.asset_pages import bar_chart, column_schema, markdown_table, table_schema
from data_collection.competition.editions import Edition
from data_collection.competition.jury import (
    JuryMark,
    MeanMark,
    mean_marks,
    noise_ceilings,
    read_jury_marks,
)
from data_collection.competition.listing import ListedRow
from data_collection.competition.preferences import (
    PREFERENCE_COLUMNS,
    PREFERENCE_SCHEMA,
    preference_facts,
    preference_table,
)
from data_collection.competition.programmes import gather_programmes
from data_collection.competition.results import Result
from data_collection.competition.rows import CompetitionRecording, ProgrammeRow
from data_collection.competition.signal import judged_competition
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.collection import read_recordings
from data_collection.recordings.errors import CatalogueError, RecordingError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.stages import read_page
from data_collection.recordings.tier import Tier


def signal_assets(edition: Edition, tier: Tier) -> list[dg.AssetsDefinition]:
    """Make an edition's programmes, its preferences, and its jury marks where it names a file."""
    marks = [_jury_marks(edition, tier)] if edition.jury_marks else []
    return [_programmes(edition, tier), *marks, _preferences(edition, tier)]


def _programmes(edition: Edition, tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "programmes"],
        deps=[
            [*tier.key_prefix, "recordings"],
            dg.AssetDep([*tier.key_prefix, "audio"], partition_mapping=dg.AllPartitionMapping()),
        ],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"jsonl"},
        description=(
            f"**{tier.label}: which work is played when.** From an override file, the video's "
            "description, its chapters, or a piece that the title names; never the title itself. "
            "Lines that were refused stand in `programme_problems.jsonl` with the reason."
        ),
        metadata={
            "dagster/column_schema": column_schema(ProgrammeRow),
            "path": f"{tier.folder('programmes')}.jsonl",
        },
    )
    def programmes(store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            gathered = gather_programmes(
                edition,
                read_rows(opened, f"{tier.folder('recordings')}.jsonl", CompetitionRecording),
                read_rows(opened, f"{tier.folder('listing')}.jsonl", ListedRow),
                lambda recording_id: read_page(opened, tier, recording_id),
            )
        except (CatalogueError, RecordingError) as error:
            raise failure(error) from None
        write_rows(opened, f"{tier.folder('programme_problems')}.jsonl", gathered.problems)
        stored = write_rows(opened, f"{tier.folder('programmes')}.jsonl", gathered.rows)
        sources = Counter(str(row.source or "none") for row in gathered.rows)
        played = [
            (row.performer, row.round, item.piece.title if item.piece else "", item.wording,
             item.start_s, item.end_s)
            for row in gathered.rows
            for item in row.items
        ]  # fmt: skip
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(gathered.rows),
                "works_read": sum(piece != "" for _, _, piece, *_ in played),
                "lines_refused": sum(row.reason == "refused" for row in gathered.problems),
                "sha256": stored.sha256,
                "programmes": markdown_table(
                    ("performer", "round", "piece", "as written", "from s", "to s"), [*played]
                ),
                "without": markdown_table(
                    ("recording", "performer", "round", "why"),
                    [
                        (row.recording_id, row.performer, row.round, row.because)
                        for row in gathered.rows
                        if row.source is None
                    ],
                ),
                "problems": markdown_table(
                    ("recording", "source", "line", "as written", "reason", "why"),
                    [
                        (row.recording_id, row.source, row.line, row.title, row.reason, row.detail)
                        for row in gathered.problems
                    ],
                ),
                "plot": bar_chart(sources, title="Programmes by source", unit="recordings"),
            }
        )

    return programmes


def _jury_marks(edition: Edition, tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "jury_marks"],
        deps=[[*tier.key_prefix, "results"]],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"csv", "jsonl"},
        description=(
            f"**{tier.label}: what each juror gave whom.** Means by performer and round stand in "
            "`jury_means.jsonl`. The noise ceiling is one juror against the mean of the others: no "
            "model can be expected to agree better."
        ),
        metadata={
            "dagster/column_schema": column_schema(JuryMark),
            "path": f"{tier.folder('jury_marks')}.jsonl",
        },
    )
    def jury_marks(store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        path = edition.folder / str(edition.jury_marks)
        try:
            results = read_rows(opened, f"{tier.folder('results')}.jsonl", Result)
            marks = read_jury_marks(path, results, edition.rounds)
        except (CatalogueError, RecordingError) as error:
            raise failure(error) from None
        means = mean_marks(marks)
        write_rows(opened, f"{tier.folder('jury_means')}.jsonl", means)
        stored = write_rows(opened, f"{tier.folder('jury_marks')}.jsonl", marks)
        ceilings = noise_ceilings(marks)
        columns = tuple(type(ceilings[0]).model_fields) if ceilings else ()
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(marks),
                "jurors": len({mark.juror for mark in marks}),
                "sha256": stored.sha256,
                **{
                    f"noise_ceiling_{ceiling.round or 'all_rounds'}": ceiling.spearman
                    for ceiling in ceilings
                    if ceiling.spearman is not None
                },
                "noise_ceilings": markdown_table(
                    columns, [tuple(ceiling.model_dump().values()) for ceiling in ceilings]
                ),
                "means": markdown_table(
                    tuple(MeanMark.model_fields),
                    [
                        tuple(mean.model_dump().values())
                        for mean in sorted(means, key=lambda mean: (mean.round, -mean.mean))
                    ],
                ),
            }
        )

    return jury_marks


def _preferences(edition: Edition, tier: Tier) -> dg.AssetsDefinition:
    upstream = ["results", "recordings", *tier.label_assets]

    @dg.asset(
        key=[*tier.key_prefix, "preferences"],
        deps=[[*tier.key_prefix, name] for name in upstream],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"polars", "parquet"},
        description=(
            f"**{tier.label}: who was judged better than whom.** A row a pair of recordings: "
            "within a round by final place; across rounds too, marked as noisier. Ties give no "
            "pair, a concerto is never compared with a solo round."
        ),
        metadata={
            "dagster/column_schema": table_schema(PREFERENCE_SCHEMA, PREFERENCE_COLUMNS),
            "path": f"{tier.folder('preferences')}.parquet",
        },
    )
    def preferences(store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            competition = judged_competition(opened, "/".join(tier.key_prefix), edition)
            recordings = read_recordings(opened, tier)
            table = preference_table(competition)
        except (CatalogueError, RecordingError) as error:
            raise failure(error) from None
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        stored = opened.write_bytes(f"{tier.folder('preferences')}.parquet", buffer.getvalue())
        facts = preference_facts(competition, table)
        by_round = table.group_by("round", "kind").len().rows()
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": table.height,
                "within_round": facts.within_round,
                "cross_round": facts.cross_round,
                "same_piece": facts.same_piece,
                "ties_without_a_pair": facts.ties,
                "left_out_for_a_withdrawal": facts.withdrawals,
                "concertos_left_out": len(recordings) - len(competition.recordings),
                "with_marks": facts.with_marks,
                "contradicted_by_marks": facts.contradicted_by_marks,
                "sha256": stored.sha256,
                "not_played": markdown_table(
                    ("recording",), [(recording,) for recording in facts.not_played]
                ),
                "several_in_a_round": markdown_table(
                    ("performer", "round", "recordings"), [*facts.several_in_a_round]
                ),
                "rows": markdown_table(tuple(table.columns), table.head(25).rows()),
                "plot": bar_chart(
                    {f"{round_}, {kind.replace('_', ' ')}": n for round_, kind, n in by_round},
                    title="Pairs by round",
                    unit="pairs",
                ),
            }
        )

    return preferences
