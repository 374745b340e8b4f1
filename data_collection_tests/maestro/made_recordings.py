"""Made catalogues: recordings of works by performers, and their clips."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import polars as pl

from data_collection.maestro.rows import MaestroRecording, MetadataRow, Performance, Split, Work

CLIP_S = 30.0
MIN_TAIL_S = 5.0


def work(work_id: str, confidence: float = 0.98) -> Work:
    """A work; what stands before `/` is its family."""
    return Work(
        work_id=work_id,
        family_id=work_id.partition("/")[0],
        certainty="stated",
        confidence=confidence,
        evidence=work_id,
    )


def recording(
    name: str,
    performer: str | None,
    works: Sequence[str | Work],
    duration_s: float = 120.0,
    *,
    split: Split = "train",
    performer_confidence: float = 0.97,
) -> MaestroRecording:
    """A recording."""
    return MaestroRecording(
        metadata=MetadataRow(
            recording_id=name,
            audio_filename=f"2018/{name}.wav",
            midi_filename=f"2018/{name}.midi",
            composer="Made Up",
            title=name,
            year=2018,
            split=split,
            duration_s=duration_s,
        ),
        performance=Performance(
            performer_id=performer,
            round=1 if performer else None,
            confidence=performer_confidence if performer else 0.0,
            evidence=name,
        ),
        works=tuple(work(one) if isinstance(one, str) else one for one in works),
    )


def clips(recordings: Iterable[MaestroRecording]) -> pl.DataFrame:
    """The clips of recordings: 30 s, the last one shorter, none under 5 s."""
    rows = [
        (f"{data.recording_id}_seg{at:04d}", data.recording_id, start_s, end_s)
        for data in (made.metadata for made in recordings)
        for at in range(math.ceil(data.duration_s / CLIP_S))
        for start_s, end_s in [(at * CLIP_S, min((at + 1) * CLIP_S, data.duration_s))]
        if end_s - start_s >= MIN_TAIL_S
    ]
    schema = {
        "segment_id": pl.String(),
        "recording_id": pl.String(),
        "start_s": pl.Float64(),
        "end_s": pl.Float64(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
