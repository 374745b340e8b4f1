"""The river as Dagster assets, once for all tiers: recordings, audio, segments, metadata.

What belongs here: keys, dependencies, descriptions and what the UI shows. What does not: the work
(`stages`, `collection`), and the embeddings (`embedding.assets`). An asset's key is its path under
the data root. https://docs.dagster.io/guides/build/partitions-and-backfills

The stages' backfill policies differ on purpose: Dagster puts stages of equal policy into one run,
where one dead video would keep the 99 others from being cut and embedded (a failed step skips what
depends on it). With unequal policies each stage gets runs of its own, after the stage before, for
the recordings that came through.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from data_collection.asset_pages import (
    SHOWN_ROWS,
    bar_chart,
    cell,
    column_schema,
    markdown_table,
    table_schema,
)
from data_collection.batching import run_per_partition
from data_collection.partitions import register_partitions
from data_collection.recordings.collection import (
    collected_rows,
    missing_by_reason,
    read_recordings,
    standings,
)
from data_collection.recordings.errors import CatalogueError, RecordingError, SetupError
from data_collection.recordings.receipts import Receipt, Settled
from data_collection.recordings.resources import (
    ClipGridResource,
    FetchResource,
    SoundsResource,
    StoreResource,
)
from data_collection.recordings.rows import write_rows
from data_collection.recordings.segments import SEGMENT_COLUMNS, SEGMENT_SCHEMA
from data_collection.recordings.sounds import SOUNDS
from data_collection.recordings.stages import (
    read_segments,
    settle_audio,
    settle_segments,
    settle_unknown,
)
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording

OWNERS = ["team:data-collection"]
AUDIO_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=100)
SEGMENTS_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=200)
SHOWN_FILE_COLUMNS = ("title", "reason", "detail", "source_url")
NOT_SHOWN_COLUMNS = frozenset(
    (
        "source_url",
        "source_id",
        "match_margin",
        "listed",
        "block",
        "block_problems",
        "midi_filename",
        "work_evidence",
    )
)
LONGEST_MESSAGE = 4000


def failure(error: Exception) -> dg.Failure:
    """A failure for a person to read; raise it `from None`, for a cause is shown as it is.

    An error's message may quote a page, a file, or a name.
    """
    return dg.Failure(cell(str(error), LONGEST_MESSAGE), allow_retries=False)


def tier_partitions(tier: Tier) -> dg.DynamicPartitionsDefinition:
    """A tier's partitions, one a recording."""
    return dg.DynamicPartitionsDefinition(name=tier.partitions_name)


def river_assets(tier: Tier, upstream: list[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """Make a tier's assets.

    Args:
        tier: what differs between tiers.
        upstream: what its catalogue is made from.
    """
    return [
        _recordings(tier, upstream),
        _audio(tier),
        _segments(tier),
        _metadata(tier),
    ]


def _recordings(tier: Tier, upstream: list[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "recordings"],
        deps=upstream,
        group_name=tier.group,
        owners=OWNERS,
        kinds={tier.source_kind, "jsonl"},
        description=f"**{tier.label}: the catalogue.** {tier.catalogue_says}",
        metadata={
            "dagster/column_schema": column_schema(tier.recording_model),
            "path": f"{tier.folder('recordings')}.jsonl",
        },
    )
    def recordings(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            catalogue = tier.find_recordings(opened)
        except (CatalogueError, RecordingError) as error:
            raise failure(error) from None
        for name, rows in catalogue.files.items():
            write_rows(opened, f"{tier.folder(name)}.jsonl", rows)
        stored = write_rows(opened, f"{tier.folder('recordings')}.jsonl", catalogue.recordings)
        added, removed = register_partitions(
            context.instance,
            tier_partitions(tier),
            [recording.recording_id for recording in catalogue.recordings],
        )
        context.log.info(
            f"{len(catalogue.recordings)} recordings, {len(added)} new, {len(removed)} taken out"
        )
        hours = sum(recording.duration_s or 0.0 for recording in catalogue.recordings) / 3600
        shown = [recording.model_dump() for recording in catalogue.recordings[:SHOWN_ROWS]]
        columns = tuple(
            name for name in tier.recording_model.model_fields if name not in NOT_SHOWN_COLUMNS
        )
        counts = Counter(
            str(getattr(recording, tier.plotted_by)) for recording in catalogue.recordings
        )
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(catalogue.recordings),
                "new_recordings": len(added),
                "recordings_taken_out": len(removed),
                "hours_claimed": round(hours, 4),
                "sha256": stored.sha256,
                **catalogue.facts,
                **{name: _table_of_file(rows) for name, rows in catalogue.files.items()},
                "rows": markdown_table(
                    columns, [tuple(row[name] for name in columns) for row in shown]
                ),
                "plot": bar_chart(
                    counts, title=f"Recordings by {tier.plotted_by}", unit="recordings"
                ),
            }
        )

    return recordings


def _table_of_file(rows: Sequence[Mapping[str, object]]) -> dg.MetadataValue:
    columns = tuple(name for name in SHOWN_FILE_COLUMNS if rows and name in rows[0])
    return markdown_table(columns, [tuple(row.get(name) for name in columns) for row in rows])


def _audio(tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "audio"],
        deps=[[*tier.key_prefix, "recordings"]],
        partitions_def=tier_partitions(tier),
        backfill_policy=AUDIO_BACKFILL,
        pool=tier.fetch_pool,
        group_name=tier.group,
        owners=OWNERS,
        kinds={tier.source_kind, "flac"},
        description=f"**{tier.label}: the audio.** {tier.audio_says}",
        metadata={"path": f"{tier.folder('audio')}/<recording_id>.flac"},
    )
    def audio(
        context: dg.AssetExecutionContext, store: StoreResource, fetcher: FetchResource
    ) -> None:
        opened = store.open()
        catalogue = {row.recording_id: row for row in _catalogue(opened, tier)}
        originals: dict[str, Settled] = {}

        def describe(receipt: Receipt) -> dict[str, float | int | str]:
            facts = receipt.facts
            return {
                "duration_s": round(float(facts["duration_s"] or 0.0), 3),
                "bytes": receipt.outputs[0].size_bytes,
                "original_bytes": int(facts["original_bytes"] or 0),
                "original_format": str(facts["original_format"]),
                **({"cut_from": str(facts["cut_from"])} if "cut_from" in facts else {}),
                "title": cell(catalogue[receipt.recording_id].title),
            }

        def stage(key: str) -> Settled:
            if key not in catalogue:
                return settle_unknown(opened, tier, key)
            return settle_audio(opened, tier, catalogue[key], source, originals)

        try:
            with tier.open_originals(opened, fetcher.options()) as source:
                run_per_partition(context, stage, describe)
        except RecordingError as error:
            raise failure(error) from None

    return audio


def _segments(tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "segments"],
        deps=[[*tier.key_prefix, "audio"]],
        partitions_def=tier_partitions(tier),
        backfill_policy=SEGMENTS_BACKFILL,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"polars", "parquet"},
        description=(
            f"**{tier.label}: the clips.** A table per recording: 30 s clips, a tail of 5 s or "
            "more, with loudness, true peak, clipping, bandwidth and noise floor. Applause, speech "
            "and silence are filtered with a reason, and so is what is no solo piano where a tier "
            "asks for that; an orchestra is marked. No audio is copied."
        ),
        metadata={
            "dagster/column_schema": table_schema(SEGMENT_SCHEMA, SEGMENT_COLUMNS),
            "path": f"{tier.folder('segments')}/<recording_id>.parquet",
        },
    )
    def segments(
        context: dg.AssetExecutionContext,
        store: StoreResource,
        clip_grid: ClipGridResource,
        sounds: SoundsResource,
    ) -> None:
        opened, grid = store.open(), clip_grid.grid()
        scorer, thresholds = sounds.scorer(), sounds.thresholds(tier.min_solo_piano)

        def describe(receipt: Receipt) -> dict[str, float | int | dg.MetadataValue]:
            table = read_segments(opened, tier, receipt.recording_id)
            columns = (
                "segment_index",
                "start_s",
                "end_s",
                "loudness_lufs",
                "true_peak_dbtp",
                "source_bandwidth_hz",
                *SOUNDS,
                "state",
                "reason",
            )
            rounded = table.select(columns).with_columns(pl.col(pl.Float64).round(2))
            return {
                "clips": int(receipt.facts["clips"] or 0),
                "clips_kept": int(receipt.facts["clips_kept"] or 0),
                "duration_s": round(float(receipt.facts["duration_s"] or 0.0), 3),
                "rows": markdown_table(columns, rounded.rows()),
            }

        run_per_partition(
            context,
            lambda key: settle_segments(opened, tier, key, grid, scorer, thresholds),
            describe,
        )

    return segments


def _metadata(tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "metadata"],
        deps=[
            [*tier.key_prefix, "recordings"],
            *([*tier.key_prefix, name] for name in tier.label_assets),
            dg.AssetDep(
                [*tier.key_prefix, "muq_embeddings"], partition_mapping=dg.AllPartitionMapping()
            ),
        ],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"jsonl"},
        description=(
            f"**{tier.label}: what training reads.** One row a segment that has an embedding, with "
            "its labels, quality and provenance. Lists what is missing and why."
        ),
        metadata={
            "dagster/column_schema": column_schema(tier.row_model),
            "path": f"{tier.folder('metadata')}.jsonl",
        },
    )
    def metadata(store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            rows, found = collected_rows(opened, tier, standings(opened, tier))
            stored = write_rows(opened, f"{tier.folder('metadata')}.jsonl", rows)
        except RecordingError as error:
            raise failure(error) from None
        done = [item for item in found if item.state == "done"]
        not_done = [item for item in found if item.state != "done"]
        by_label = Counter(str(getattr(row, tier.plotted_by, "")) for row in rows)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(rows),
                "recordings_done": len(done),
                "recordings_not_done": len(not_done),
                "hours_embedded": round(
                    sum(row.segment_end - row.segment_start for row in rows) / 3600, 4
                ),
                "sha256": stored.sha256,
                "not_done_by_reason": dg.MetadataValue.json(missing_by_reason(found)),
                "not_done": markdown_table(
                    ("recording", "title", "stage", "state", "reason", "detail"),
                    [
                        (
                            item.recording.recording_id,
                            item.recording.title,
                            item.stage,
                            item.state,
                            item.reason,
                            item.detail,
                        )
                        for item in not_done
                    ],
                ),
                "plot": bar_chart(
                    by_label, title=f"Segments by {tier.plotted_by}", unit="segments"
                ),
            }
        )

    return metadata


def _catalogue(store: Store, tier: Tier) -> list[Recording]:
    try:
        return read_recordings(store, tier)
    except SetupError as error:
        raise failure(error) from None
