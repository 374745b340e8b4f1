"""What tests cut clips with: the real scorer, loaded once, and thresholds that filter nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from data_collection.recordings.quality import SOURCE_LEVELS_SCHEMA
from data_collection.recordings.segments import ClipGrid, segment_table
from data_collection.recordings.sounds import SoundScorer, SoundThresholds

SCORER = SoundScorer()
KEEP_ALL = SoundThresholds(applause=None, speech=None, silence=None, orchestra=None, not_music=None)
NO_LEVELS = pl.DataFrame(schema=SOURCE_LEVELS_SCHEMA)


def cut(flac: Path, recording_id: str, grid: ClipGrid) -> pl.DataFrame:
    """Cut by the grid alone: tests of it use noise, which sounds like applause."""
    return segment_table(
        flac,
        recording_id,
        grid,
        sounds=SCORER,
        thresholds=KEEP_ALL,
        source_levels=NO_LEVELS,
    )
