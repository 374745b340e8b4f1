"""T3's signal as assets: who plays which piece where, and the pairs that training draws from.

What belongs here: keys, dependencies, what the UI shows. What does not: choosing pairs (`pairs`)
and aligning recordings (`alignment_assets`). Both are made of the segments that have an embedding,
so that no pair names a file that is not there.
"""

import io
from dataclasses import asdict

import dagster as dg

from data_collection.asset_pages import SHOWN_ROWS, markdown_table, table_schema
from data_collection.maestro.pairs import PAIR_COLUMNS, PAIR_SCHEMA, make_pairs
from data_collection.maestro.piece_performer_map import (
    PiecePerformerMap,
    piece_performer_map,
    write_piece_performer_map,
)
from data_collection.maestro.plots import performers_per_piece, positives_per_segment
from data_collection.maestro.resources import PairRulesResource
from data_collection.maestro.stored import (
    MAP,
    PAIRS,
    read_alignments,
    read_catalogue,
    read_embedded_segments,
)
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.errors import CatalogueError, RecordingError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.tier import Tier


def pairs_assets(tier: Tier) -> list[dg.AssetsDefinition]:
    """Make the piece-performer map and the pairs."""
    return [_piece_performer_map(tier), _pairs(tier)]


def _piece_performer_map(tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "piece_performer_map"],
        deps=[[*tier.key_prefix, name] for name in ("recordings", "metadata")],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"json"},
        description=(
            f"**{tier.label}: who plays which piece where.** Piece, performers, recordings, "
            "segments, each with its evidence and confidence. Nothing is left out for being "
            "uncertain: the reader decides."
        ),
        metadata={"path": MAP},
    )
    def piece_performer_map_(store: StoreResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = store.open()
        try:
            recordings = read_catalogue(opened)
            made = piece_performer_map(recordings, read_embedded_segments(opened))
        except (CatalogueError, RecordingError) as error:
            raise failure(error) from None
        stored = write_piece_performer_map(opened, MAP, made)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(made.pieces),
                "pieces_with_two_performers": sum(
                    len(piece.performers) > 1 for piece in made.pieces.values()
                ),
                "performers": len(
                    {who for piece in made.pieces.values() for who in piece.performers}
                ),
                "sha256": stored.sha256,
                "most_played": markdown_table(
                    ("piece", "performers", "recordings", "segments"), _most_played(made)
                ),
                "plot": performers_per_piece(recordings),
            }
        )

    return piece_performer_map_


def _most_played(made: PiecePerformerMap) -> list[tuple[object, ...]]:
    rows = []
    for work_id, piece in made.pieces.items():
        recordings = {
            recording_id: recording
            for performer in piece.performers.values()
            for recording_id, recording in performer.recordings.items()
        }
        segments = sum(len(recording.segment_ids) for recording in recordings.values())
        rows.append((work_id, len(piece.performers), len(recordings), segments))
    return [*sorted(rows, key=lambda row: (-row[1], row[0]))[:SHOWN_ROWS]]


def _pairs(tier: Tier) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "pairs"],
        deps=[[*tier.key_prefix, name] for name in ("recordings", "metadata", "alignments")],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"polars", "parquet"},
        description=(
            f"**{tier.label}: the same music by different people.** A row for an anchor segment "
            "and a positive: where both lie in the shared work, how surely, how often to draw it, "
            "and works to draw negatives from. Within the official splits; no alignments are "
            "needed, those that there are place the segments better."
        ),
        metadata={
            "dagster/column_schema": table_schema(PAIR_SCHEMA, PAIR_COLUMNS),
            "path": PAIRS,
        },
    )
    def pairs(store: StoreResource, pair_rules: PairRulesResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened, rules = store.open(), pair_rules.rules()
        try:
            recordings, segments = read_catalogue(opened), read_embedded_segments(opened)
            made = make_pairs(recordings, segments, rules, time_maps=read_alignments(opened))
        except (CatalogueError, RecordingError) as error:
            raise failure(error) from None
        buffer = io.BytesIO()
        made.table.write_parquet(buffer)
        stored = opened.write_bytes(PAIRS, buffer.getvalue())
        facts = made.facts
        shown = ("anchor", "positive", "work_id", "position_in", "matched_by", "shared_music")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": made.table.height,
                "anchors": facts.anchors,
                "recording_pairs": facts.recording_pairs,
                "left_out_as_one_performer": facts.same_performer,
                "left_out_across_splits": facts.across_splits,
                "left_out_without_places": facts.unplaced,
                "sha256": stored.sha256,
                "rules": dg.MetadataValue.json(asdict(rules)),
                "without_positive": markdown_table(
                    ("reason", "segments"), [*facts.without_positive.items()]
                ),
                "longer_than_stated": markdown_table(
                    ("recording",), [(name,) for name in facts.longer_than_stated]
                ),
                "rows": markdown_table(shown, made.table.head(SHOWN_ROWS).select(shown).rows()),
                "plot": positives_per_segment(made.table, recordings, segments),
            }
        )

    return pairs
