"""T3's plots for the pages of assets and checks: who plays a piece, durations, positives.

What belongs here: what is counted and how a plot names it. What does not: drawing
(`asset_pages`), and the figures beside a plot (`balance`).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from data_collection.asset_pages import histogram
from data_collection.maestro.balance import performers_by_piece, positives_by_split
from data_collection.maestro.rows import MaestroRecording

SPLIT_ORDER = ("train", "validation", "test")
DURATION_BIN_MIN = 2


def performers_per_piece(recordings: Sequence[MaestroRecording]) -> dg.MetadataValue:
    """Number of pieces by number of their known performers."""
    counts = Counter(len(performers) for performers in performers_by_piece(recordings).values())
    return histogram(
        {"pieces": {float(number): count for number, count in counts.items()}},
        title="Performers per piece",
        of="performers that are known",
        unit="pieces",
    )


def durations(recordings: Sequence[MaestroRecording]) -> dg.MetadataValue:
    """Number of recordings by their duration, in bins of two minutes, by split."""
    bins: defaultdict[str, Counter[float]] = defaultdict(Counter)
    for recording in recordings:
        data = recording.metadata
        at_min = data.duration_s / 60 // DURATION_BIN_MIN * DURATION_BIN_MIN
        bins[data.split][at_min] += 1
    return histogram(
        _in_order(bins),
        title="Durations of recordings by split",
        of="minutes",
        unit="recordings",
        width=DURATION_BIN_MIN,
        align="edge",
    )


def positives_per_segment(
    pairs: pl.DataFrame, recordings: Sequence[MaestroRecording], segments: pl.DataFrame
) -> dg.MetadataValue:
    """Number of segments by the number of their positives, those without any too, by split.

    Args:
        pairs: columns as `pairs.PAIR_SCHEMA`.
        recordings: the catalogue.
        segments: the clips that could be anchors.
    """
    counts = positives_by_split(pairs, recordings, segments)
    return histogram(
        _in_order(counts),
        title="Positives of a segment by split",
        of="positives",
        unit="segments",
    )


def _in_order(
    by_split: Mapping[str, Mapping[int, int]] | Mapping[str, Mapping[float, int]],
) -> dict[str, dict[float, int]]:
    return {
        split: {float(number): count for number, count in by_split[split].items()}
        for split in SPLIT_ORDER
        if split in by_split
    }
