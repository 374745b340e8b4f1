"""The evidence of a recording: every kept clip measured, as a table with a receipt.

What belongs here: measuring one clip, the stage, reading it back. What does not: the figures
themselves (`evidence_figures`, `evidence_features`) and what the teacher is shown (`packets`).
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import polars as pl

from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.errors import ItemError, SetupError
from data_collection.recordings.receipts import (
    Receipt,
    Settled,
    StageResult,
    finished_receipt,
    settle,
)
from data_collection.recordings.stages import read_segments
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.teacher import evidence_features as features
from data_collection.teacher.evidence_features import Samples
from data_collection.teacher.evidence_figures import (
    EVIDENCE_SCHEMA,
    EVIDENCE_VERSION,
    FIGURES,
    Evidence,
)

TEACHER_EVIDENCE = "teacher_evidence"
_NAMES = [figure.name for figure in FIGURES]
STORED_DECIMALS = 4
"""Finer than anything that is shown, and coarse enough to be the same on another processor."""


def measure(samples: Samples) -> Evidence:
    """Measure one clip.

    Args:
        samples: mono `[n]` at 24 kHz, full scale is 1; 5 to 30 s as the river cuts them, at least
            one second.

    Returns:
        Its figures, None where one cannot be known. The same samples give the same figures.

    Raises:
        ValueError: it is not mono, shorter than a second, or holds values that are not finite.
    """
    clip = np.ascontiguousarray(samples, dtype=np.float32)
    if clip.ndim != 1 or clip.size < features.MIN_CLIP_S * SAMPLE_RATE_HZ:
        raise ValueError(f"expected mono samples of a second or more, not shape {clip.shape}")
    if not np.isfinite(clip).all():
        raise ValueError("the clip holds values that are not finite")
    peak = float(np.abs(clip).max())
    if peak < features.SILENT_PEAK:
        return Evidence.model_validate({**dict.fromkeys(Evidence.model_fields), "onsets_per_s": 0})
    duration_s = clip.size / SAMPLE_RATE_HZ
    heard = features.spectrum(clip / np.float32(peak))
    found = features.onsets(heard)
    loud = features.loudness(clip)
    timed = features.timing(found.times_s, duration_s)
    pulse = features.pulse(found)
    touch = features.touch(heard, found)
    timbre = features.timbre(heard)
    rms = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
    return Evidence(
        loudness_lufs=_stored(loud.integrated_lufs),
        loudness_range_lu=_stored(loud.range_lu),
        accent_spread_db=_stored(touch.accent_spread_db),
        crest_db=_stored(20 * math.log10(peak / rms)),
        swells_per_min=_stored(loud.swells_per_min),
        onsets_per_s=_stored(found.frames.size / duration_s),
        pulse_per_min=_stored(pulse.per_min),
        pulse_clarity=_stored(pulse.clarity),
        tempo_spread_percent=_stored(pulse.spread_percent),
        gap_unevenness_percent=_stored(timed.unevenness_percent),
        gap_unevenness_ms=_stored(timed.unevenness_ms),
        pauses_per_min=_stored(timed.pauses_per_min),
        attack_db=_stored(touch.attack_db),
        gap_drop_db=_stored(touch.gap_drop_db),
        decay_db_per_s=_stored(touch.decay_db_per_s),
        carry_over_db=_stored(touch.carry_over_db),
        centroid_khz=_stored(timbre.centroid_khz),
        bright_percent=_stored(timbre.bright_percent),
        low_percent=_stored(timbre.low_percent),
        middle_percent=_stored(timbre.middle_percent),
        high_percent=_stored(timbre.high_percent),
        loudness_curve_lu=_stored_curve(loud.curve_lu),
        onset_rate_curve_per_s=_stored_curve(timed.rate_curve_per_s),
        pulse_curve_percent=_stored_curve(pulse.curve_percent),
        centroid_curve_khz=_stored_curve(timbre.curve_khz),
    )


def _stored(value: float | None) -> float | None:
    return None if value is None else round(float(value), STORED_DECIMALS) + 0.0


def _stored_curve(points: tuple[float | None, ...] | None) -> tuple[float | None, ...] | None:
    return None if points is None else tuple(_stored(point) for point in points)


def evidence_path(tier: Tier, recording_id: str) -> str:
    """Relative path of a recording's evidence."""
    return f"{tier.folder(TEACHER_EVIDENCE)}/{recording_id}.parquet"


def settle_evidence(store: Store, tier: Tier, recording_id: str) -> Settled:
    """Measure every kept clip of one recording, unless that is done.

    The table has one row a kept clip, columns as `EVIDENCE_SCHEMA`; a recording that has none is
    filtered, and its table is empty.
    """
    folder = tier.folder(TEACHER_EVIDENCE)

    def before(stage: str) -> Receipt:
        return finished_receipt(store, tier.folder(stage), recording_id)

    def work() -> StageResult:
        clips = read_segments(store, tier, recording_id).filter(state="kept")
        with store.local(before("audio").outputs[0].path) as flac:
            table = _table(flac, clips)
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        stored = store.write_bytes(evidence_path(tier, recording_id), buffer.getvalue())
        values = table.select(_NAMES)
        known = 1 - sum(values.null_count().row(0)) / max(1, values.height * values.width)
        return StageResult(
            outputs=(stored,),
            facts={"clips": table.height, "known_share": round(known, 4)},
            filtered_because=None if table.height else "no_usable_clip",
        )

    return settle(
        store,
        folder,
        recording_id,
        inputs=lambda: {
            "audio_sha256": before("audio").outputs[0].sha256,
            "segments_sha256": before("segments").outputs[0].sha256,
        },
        parameters=lambda: {"code_version": EVIDENCE_VERSION},
        work=work,
    )


def _table(flac: Path, clips: pl.DataFrame) -> pl.DataFrame:
    """Measure the clips of a stored recording, one in memory at a time."""
    import soundfile

    rows: list[dict[str, object]] = []
    with soundfile.SoundFile(flac) as file:
        if file.samplerate != SAMPLE_RATE_HZ or file.channels != 1:
            raise ValueError(f"{flac}: expected mono at {SAMPLE_RATE_HZ} Hz")
        for segment_id, start, count in clips.select(
            "segment_id", "start_frame", "frame_count"
        ).iter_rows():
            file.seek(start)
            samples = file.read(count, dtype="float32")
            if samples.size != count:
                raise ItemError(
                    "truncated",
                    f"{segment_id}: {samples.size} of {count} samples in {flac.name}; delete it "
                    "and materialize audio again",
                )
            rows.append({"segment_id": segment_id, **measure(samples).model_dump()})
    return pl.DataFrame(rows, schema=EVIDENCE_SCHEMA)


def read_evidence(store: Store, tier: Tier, recording_id: str) -> pl.DataFrame:
    """Read a recording's evidence, columns as `EVIDENCE_SCHEMA`.

    Raises:
        SetupError: `evidence_missing`; `evidence_unreadable`: it is damaged, or has other columns.
    """
    path = store.path(evidence_path(tier, recording_id))
    again = f"materialize {tier.folder(TEACHER_EVIDENCE)} of {recording_id}"
    try:
        table = pl.read_parquet(io.BytesIO(path.read_bytes()))
        if dict(table.schema) != dict(pl.Schema(EVIDENCE_SCHEMA)):
            raise ValueError(f"unexpected columns {table.schema}")
    except FileNotFoundError:
        raise SetupError(
            "evidence_missing", f"{path} is not there; {again}", stops_batch=False
        ) from None
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise SetupError(
            "evidence_unreadable", f"{path}: {error}; delete it and {again}", stops_batch=False
        ) from error
    return table
