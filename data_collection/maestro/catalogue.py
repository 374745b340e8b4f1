"""T3's catalogue: the release's metadata, with who plays what in each recording.

What belongs here: the steps from metadata to rows, and the tier. What does not: reading the
metadata (`metadata`), file names (`performers`) and titles (`works`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from data_collection.maestro.catalogue_rows import MaestroCatalogueRow, MaestroSegmentRow
from data_collection.maestro.metadata import RELEASE, Metadata, read_metadata
from data_collection.maestro.originals import archive_members
from data_collection.maestro.performers import (
    BUNDLED_OVERRIDES,
    PerformerOverrides,
    performers_of,
    read_performer_overrides,
    unmet_overrides,
)
from data_collection.maestro.rows import MetadataRow, Performance
from data_collection.maestro.segment_labels import segment_labels
from data_collection.maestro.stored import FOLDER
from data_collection.maestro.works import WorkReading, read_works
from data_collection.recordings.tier import Catalogue, Tier

PAIRS_ASSETS = ("piece_performer_map", "pairs")
"""The tier's own assets beside the river's; alignments are made only where somebody asks."""


def maestro_tier(base_url: str, overrides: Path = BUNDLED_OVERRIDES) -> Tier:
    """T3 as the river sees it.

    Args:
        base_url: `MAESTRO_BASE_URL`.
        overrides: what is known of performers beyond the file names.
    """
    return Tier(
        key_prefix=(FOLDER,),
        group="maestro",
        label="MAESTRO v3",
        partitions_name="maestro",
        recording_model=MaestroCatalogueRow,
        row_model=MaestroSegmentRow,
        find_recordings=lambda _: find_recordings(base_url, overrides),
        plotted_by="composer",
        signal_assets=PAIRS_ASSETS,
        segment_labels=segment_labels,
        open_originals=archive_members(base_url),
        fetch_pool="archive",
        source_kind="zip",
        catalogue_says=(
            "Reads the release's CSV and JSON and holds them against each other; who plays is read "
            "from the file's name, what is played from title, recital and length, each with its "
            "evidence. Moves the metadata only."
        ),
        audio_says=(
            "Reads one member of the remote archive by byte ranges, decodes it while it comes, "
            "checks its CRC, and stores mono 24 kHz 24-bit FLAC with a receipt beside it. Nothing "
            "else of the archive is moved or kept."
        ),
    )


def find_recordings(base_url: str, overrides: Path = BUNDLED_OVERRIDES) -> Catalogue:
    """Make the catalogue of the release at `MAESTRO_BASE_URL`.

    Raises:
        CatalogueError: the metadata or the overrides cannot be used.
        SetupError: a bundled file is damaged.
    """
    known = read_performer_overrides(overrides)
    return catalogue_of(read_metadata(base_url), known, base_url)


def catalogue_of(metadata: Metadata, overrides: PerformerOverrides, base_url: str) -> Catalogue:
    """Make the catalogue of a release's metadata; deterministic, whatever the rows' order."""
    performances = performers_of(metadata.rows, overrides)
    works = read_works(metadata.rows)
    rows = [
        _row(row, performances[row.recording_id], works[row.recording_id], base_url)
        for row in metadata.rows
    ]
    certainty = Counter(work.certainty for row in rows for work in row.work_evidence)
    unmet = unmet_overrides(metadata.rows, overrides)
    return Catalogue(
        recordings=rows,
        files={
            "in_doubt": [*map(_doubt, filter(_is_in_doubt, rows))],
            "metadata_differences": [
                {
                    "title": difference.csv_title,
                    "detail": f"{difference.audio_filename}: the JSON has {difference.json_title}",
                }
                for difference in metadata.differences
            ],
        },
        facts={
            "release": RELEASE,
            "metadata_csv_sha256": metadata.csv_sha256,
            "metadata_json_sha256": metadata.json_sha256,
            "performers": len({row.performer_id for row in rows} - {None}),
            "works": len({work_id for row in rows for work_id in row.works}),
            "without_performer": sum(row.performer_id is None for row in rows),
            "without_works": sum(not row.works for row in rows),
            **{f"works_{how}": count for how, count in sorted(certainty.items())},
            "overrides_without_recording": ", ".join(unmet) or "none",
        },
    )


def _row(
    row: MetadataRow, performance: Performance, reading: WorkReading, base_url: str
) -> MaestroCatalogueRow:
    return MaestroCatalogueRow(
        **row.model_dump(),
        source_id=row.audio_filename,
        source_url=f"{base_url.rstrip('/')}#{quote(row.audio_filename)}",
        performer_id=performance.performer_id,
        round=performance.round,
        performer_confidence=performance.confidence,
        performer_evidence=performance.evidence,
        works=tuple(work.work_id for work in reading.works),
        work_evidence=reading.works,
        works_doubt=reading.doubt or None,
    )


def _is_in_doubt(row: MaestroCatalogueRow) -> bool:
    return row.performer_id is None or not row.works


def _doubt(row: MaestroCatalogueRow) -> Mapping[str, object]:
    """A row of `in_doubt.jsonl`: a recording that can be in no pair, and why."""
    nobody = row.performer_id is None
    return {
        "recording_id": row.recording_id,
        "title": row.title,
        "reason": "performer_not_known" if nobody else "works_not_known",
        "detail": row.performer_evidence if nobody else row.works_doubt,
        "audio_filename": row.audio_filename,
    }
