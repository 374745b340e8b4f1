"""Cut a stored recording into clips: a table, no audio is copied.

What belongs here: the clip grid, what is known of each clip, and which are worth embedding. What
does not: measuring a clip (`quality`, `sounds`) and reading it for the model (`embedding`). The
grid is part of the result, since the model sees the whole clip: it stands in the receipt's
fingerprint.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.quality import (
    QUALITY_COLUMNS,
    QUALITY_SCHEMA,
    dbfs,
    segment_quality,
    summarise_source_levels,
)
from data_collection.recordings.sounds import SOUNDS, SoundScorer, SoundThresholds, filter_reason

SEGMENT_SCHEMA: dict[str, pl.DataType] = {
    "segment_id": pl.String(),
    "recording_id": pl.String(),
    "segment_index": pl.Int32(),
    "start_s": pl.Float64(),
    "end_s": pl.Float64(),
    "start_frame": pl.Int64(),
    "frame_count": pl.Int64(),
    "rms_dbfs": pl.Float64(),
    "peak_dbfs": pl.Float64(),
    **QUALITY_SCHEMA,
    "silent_share": pl.Float64(),
    **dict.fromkeys(SOUNDS, pl.Float64()),
    "state": pl.String(),
    "reason": pl.String(),
}
SEGMENT_COLUMNS = {
    "segment_id": "`<recording_id>_seg<index:04d>`",
    "recording_id": "the recording it is cut from",
    "segment_index": "place in the recording, from 0",
    "start_s": "start in the recording, in seconds",
    "end_s": "end in the recording, in seconds",
    "start_frame": "first sample in the stored FLAC (24 kHz)",
    "frame_count": "samples in the stored FLAC (24 kHz)",
    "rms_dbfs": "root mean square level, dB below full scale",
    "peak_dbfs": "sample peak, dB below full scale",
    **QUALITY_COLUMNS,
    "silent_share": "share of 0.4 s windows below the grid's silence level",
    "applause": "expected share of seconds with applause",
    "speech": "expected share of seconds in which somebody speaks",
    "silence": "expected share of seconds with nothing but the hall, however loud it is",
    "orchestra": "expected share of seconds in which orchestral instruments sound",
    "solo_piano": "expected share of seconds in which a piano sounds and nothing else does",
    "state": "kept or filtered",
    "reason": "why it is filtered: tail_too_short, silence, applause, speech, not_music, "
    "orchestra, not_solo_piano",
}
LEVEL_WINDOW_S = 0.4


@dataclass(frozen=True, slots=True)
class ClipGrid:
    """How a recording is cut.

    Attributes:
        clip_s: length of a clip, in seconds.
        min_tail_s: a shorter last clip is filtered.
        silence_dbfs: a 0.4 s window below this RMS level is silent.
        max_silent_share: a clip with a larger share of silent windows is filtered.
    """

    clip_s: float = 30.0
    min_tail_s: float = 5.0
    silence_dbfs: float = -60.0
    max_silent_share: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.min_tail_s <= self.clip_s:
            raise ValueError(
                f"clips of {self.clip_s} s and a shortest tail of {self.min_tail_s} s keep nothing"
            )


def segment_id(recording_id: str, index: int) -> str:
    """Name of a segment."""
    return f"{recording_id}_seg{index:04d}"


def segment_table(
    flac: Path,
    recording_id: str,
    grid: ClipGrid,
    *,
    sounds: SoundScorer,
    thresholds: SoundThresholds,
    source_levels: pl.DataFrame,
    source_offset_s: float = 0.0,
) -> pl.DataFrame:
    """Cut a stored recording, one clip in memory at a time.

    Args:
        flac: mono 24 kHz FLAC.
        recording_id: its id.
        grid: how to cut.
        sounds: what hears applause, speech, silence, an orchestra and a piano alone.
        thresholds: how much of each a clip may, or must, have.
        source_levels: of the original's seconds, columns as `SOURCE_LEVELS_SCHEMA`.
        source_offset_s: where the recording begins in its original, in seconds.

    Returns:
        One row a clip, filtered ones with their reason; columns as `SEGMENT_SCHEMA`.

    Raises:
        SetupError: the models that hear are not there.
    """
    import soundfile

    clip_frames = round(grid.clip_s * SAMPLE_RATE_HZ)
    rows: list[dict[str, object]] = []
    with soundfile.SoundFile(flac) as file:
        if file.samplerate != SAMPLE_RATE_HZ or file.channels != 1:
            raise ValueError(f"{flac}: expected mono at {SAMPLE_RATE_HZ} Hz")
        for index in range(math.ceil(file.frames / clip_frames)):
            clip = file.read(clip_frames, dtype="float32")
            start_frame = index * clip_frames
            start_s, end_s = (at / SAMPLE_RATE_HZ for at in (start_frame, start_frame + clip.size))
            silent_share = _silent_share(clip, grid.silence_dbfs)
            scores = sounds.score_clip(clip, SAMPLE_RATE_HZ)
            reason = filter_reason(scores, thresholds)
            if clip.size < grid.min_tail_s * SAMPLE_RATE_HZ:
                reason = "tail_too_short"
            elif silent_share > grid.max_silent_share:
                reason = "silence"
            rows.append(
                {
                    "segment_id": segment_id(recording_id, index),
                    "recording_id": recording_id,
                    "segment_index": index,
                    "start_s": start_s,
                    "end_s": end_s,
                    "start_frame": start_frame,
                    "frame_count": clip.size,
                    "peak_dbfs": dbfs(float(np.abs(clip).max())),
                    **asdict(segment_quality(clip, SAMPLE_RATE_HZ)),
                    **asdict(
                        summarise_source_levels(
                            source_levels, start_s, end_s, offset_s=source_offset_s
                        )
                    ),
                    "silent_share": silent_share,
                    **{sound: getattr(scores, sound) for sound in SOUNDS},
                    "state": "filtered" if reason else "kept",
                    "reason": reason,
                }
            )
    return pl.DataFrame(rows, schema=SEGMENT_SCHEMA)


def _silent_share(clip: npt.NDArray[np.float32], silence_dbfs: float) -> float:
    window = min(clip.size, round(LEVEL_WINDOW_S * SAMPLE_RATE_HZ))
    usable = clip[: clip.size // window * window].astype(np.float64).reshape(-1, window)
    rms = np.sqrt(np.mean(np.square(usable), axis=1))
    return float(np.mean(rms < 10 ** (silence_dbfs / 20)))
