"""Cut a stored recording into clips: a table, no audio is copied.

What belongs here: the clip grid and which clips are worth embedding. What does not: reading the
clips for the model (`embedding`). The grid is part of the result, since the model sees the whole
clip: it stands in the receipt's fingerprint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from data_collection.recordings.decode import SAMPLE_RATE_HZ

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
    "silent_share": pl.Float64(),
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
    "silent_share": "share of 0.4 s windows below the silence threshold",
    "state": "kept or filtered",
    "reason": "why it is filtered: silence, tail_too_short",
}
LEVEL_WINDOW_S = 0.4
FLOOR_DBFS = -120.0


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


def segment_table(flac: Path, recording_id: str, grid: ClipGrid) -> pl.DataFrame:
    """Cut a stored recording, one clip in memory at a time.

    Args:
        flac: mono 24 kHz FLAC.
        recording_id: its id.
        grid: how to cut.

    Returns:
        One row a clip, filtered ones with their reason; columns as `SEGMENT_SCHEMA`.
    """
    import soundfile

    clip_frames = round(grid.clip_s * SAMPLE_RATE_HZ)
    rows = []
    with soundfile.SoundFile(flac) as file:
        if file.samplerate != SAMPLE_RATE_HZ or file.channels != 1:
            raise ValueError(f"{flac}: expected mono at {SAMPLE_RATE_HZ} Hz")
        for index in range(math.ceil(file.frames / clip_frames)):
            clip = file.read(clip_frames, dtype="float32")
            start_frame = index * clip_frames
            silent_share = _silent_share(clip, grid.silence_dbfs)
            reason = None
            if clip.size < grid.min_tail_s * SAMPLE_RATE_HZ:
                reason = "tail_too_short"
            elif silent_share > grid.max_silent_share:
                reason = "silence"
            rows.append(
                {
                    "segment_id": segment_id(recording_id, index),
                    "recording_id": recording_id,
                    "segment_index": index,
                    "start_s": start_frame / SAMPLE_RATE_HZ,
                    "end_s": (start_frame + clip.size) / SAMPLE_RATE_HZ,
                    "start_frame": start_frame,
                    "frame_count": clip.size,
                    "rms_dbfs": _dbfs(float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))),
                    "peak_dbfs": _dbfs(float(np.abs(clip).max())),
                    "silent_share": silent_share,
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


def _dbfs(level: float) -> float:
    return max(FLOOR_DBFS, 20 * math.log10(level)) if level > 0 else FLOOR_DBFS
