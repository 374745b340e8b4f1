"""Which moment of one recording is which moment of another of the same music.

What belongs here: chroma of stored audio, its alignment by dynamic time warping, and the map of
times that comes of it. What does not: which recordings to align and what for (`pairs`). The bounds
were measured on the Vienna 4x22 corpus, 8 pianists a piece, rendered with two sound banks: 112
pairs, notes within 0.07 s (median), 0.5 s (99 %) and 2.9 s (worst).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.errors import ItemError, SetupError

FloatArray = npt.NDArray[np.float64]
Chroma = npt.NDArray[np.float32]
"""`[12, frames]`, energy of each pitch class at `CHROMA_RATE_HZ` frames a second."""
TimeMaps = Mapping[tuple[str, str], "TimeMap"]
"""By the ids of the first and the second recording; either order may be asked for."""

CHROMA_RATE_HZ = 10
HOP_FRAMES = SAMPLE_RATE_HZ // CHROMA_RATE_HZ
FFT_FRAMES = 8192
"""A third of a second: tells semitones apart from G2 up, and from harmonics below."""
BLOCK_S = 60
CENTRE_S = FFT_FRAMES / 2 / SAMPLE_RATE_HZ
"""Where the middle of the first frame lies."""

FINEST_POOL = 2
MAX_CELLS = 12_000_000
"""Bounds the memory of one alignment to 0.6 GB. Two recordings of 11 minutes are aligned at 5
frames a second, two of an hour at 1."""
COMPRESSION = 100.0
STEPS = np.array([[1, 1], [1, 2], [2, 1], [1, 0], [0, 1]])
STEP_WEIGHTS = np.array([2.0, 3.0, 3.0, 1.0, 1.0])
STEP_PENALTIES = np.array([0.0, 0.0, 0.0, 0.3, 0.3])
"""Tempi between a half and the double cost nothing; standing still, as at a repeat that only one of
them plays, does."""

AROUND_S = 15.0
"""Half the stretch over which an alignment is judged, as long as a clip."""
STEADY = 2.0
"""Beyond this ratio of tempi, or under its inverse, a path stands still or jumps."""
KNOT_S = 1.0

TIME_MAP_SCHEMA: dict[str, pl.DataType] = {
    "first": pl.String(),
    "second": pl.String(),
    "first_s": pl.Float64(),
    "second_s": pl.Float64(),
    "confidence": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class TimeMap:
    """Times of a first recording and the times of a second at which the same music sounds.

    Attributes:
        first_s: knots, `[n]`, never falling, in seconds.
        second_s: the same knots in the second recording, `[n]`, never falling, in seconds.
        confidence: of each knot, `[n]`, from 0 to 1; see `align`.
    """

    first_s: FloatArray
    second_s: FloatArray
    confidence: FloatArray

    def __post_init__(self) -> None:
        arrays = (self.first_s, self.second_s, self.confidence)
        if any(array.shape != self.first_s.shape or array.ndim != 1 for array in arrays):
            raise ValueError("the knots of a time map are three arrays of one length")
        if not self.first_s.size or any(
            (np.diff(array) < 0).any() or not np.isfinite(array).all() for array in arrays[:2]
        ):
            raise ValueError("the times of a time map never fall, and there is at least one")

    def at(self, first_s: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Map times of the first recording, in seconds.

        Returns:
            Times of the second and their confidences. Outside the map: its nearest end, and 0.
        """
        asked_s = np.asarray(first_s, dtype=np.float64)
        inside = (asked_s >= self.first_s[0]) & (asked_s <= self.first_s[-1])
        confidence = np.interp(asked_s, self.first_s, self.confidence)
        return np.interp(asked_s, self.first_s, self.second_s), np.where(inside, confidence, 0.0)

    def inverse(self) -> TimeMap:
        """Give the map from the second recording to the first."""
        return TimeMap(self.second_s, self.first_s, self.confidence)


def read_chroma(flac: Path) -> Chroma:
    """Compute a stored recording's chroma, a minute of it in memory at a time.

    Args:
        flac: mono 24 kHz FLAC.

    Returns:
        `[12, frames]`, not normalised, `CHROMA_RATE_HZ` frames a second. Meant for pianos tuned
        near 440 Hz; 443 was tried.

    Raises:
        SetupError: `audio_unreadable`: it is damaged, or no stored recording.
    """
    import librosa
    import soundfile

    try:
        info = soundfile.info(flac)
        if (info.samplerate, info.channels) != (SAMPLE_RATE_HZ, 1):
            raise ValueError(f"{info.channels} channels at {info.samplerate} Hz")
        blocks = librosa.stream(
            flac,
            block_length=BLOCK_S * CHROMA_RATE_HZ,
            frame_length=FFT_FRAMES,
            hop_length=HOP_FRAMES,
            fill_value=0.0,
        )
        found = [
            librosa.feature.chroma_stft(
                y=block,
                sr=SAMPLE_RATE_HZ,
                n_fft=FFT_FRAMES,
                hop_length=HOP_FRAMES,
                center=False,
                tuning=0.0,
                norm=None,
            )
            for block in blocks
        ]
    except (OSError, ValueError, soundfile.LibsndfileError) as error:
        raise SetupError(
            "audio_unreadable",
            f"{flac}: {error}; delete it and materialize the audio again",
            stops_batch=False,
        ) from error
    frames = max(0, 1 + (info.frames - FFT_FRAMES) // HOP_FRAMES)
    whole = np.concatenate([*found, np.zeros((12, 0))], axis=1)
    return np.ascontiguousarray(whole[:, :frames], dtype=np.float32)


def align(first: Chroma, second: Chroma, *, part: bool = False) -> TimeMap:
    """Align two recordings of the same music.

    The confidence of a knot is 1 - c / c0: c is the mean cosine distance of what is aligned within
    `AROUND_S`, c0 the mean distance of everything to everything. It is 0 where the tempi differ by
    more than `STEADY`, so where one plays a repeat and the other not. In the pairs above 0.5 was
    reached by 99 % of the notes, by 97 % with one side in another room, 25 dB above noise and some
    of them 12 cents sharp, and by 0.6 % of the knots between different pieces. Where one side was
    made to repeat a whole piece, 0 to 13 % of the knots above 0.5 were off by more than 5 s; up
    to 46 % in the one piece that has repeats of its own, where a path may take either.

    Args:
        first: chroma of a recording, `[12, n]`.
        second: chroma of another, `[12, m]`.
        part: the shorter one is only a part of the longer; otherwise both begin and end together.

    Returns:
        The map of their times. With `part`, its ends are where the shorter lies in the longer.

    Raises:
        ItemError: `too_short_to_align`: one is shorter than a second.
    """
    if min(first.shape[1], second.shape[1]) < CHROMA_RATE_HZ:
        frames = f"{first.shape[1]} and {second.shape[1]} frames of chroma"
        raise ItemError("too_short_to_align", f"{frames}; {CHROMA_RATE_HZ} are needed")
    if part and first.shape[1] > second.shape[1]:
        return align(second, first, part=True).inverse()
    pool = _pool(first.shape[1], second.shape[1])
    path, cost, chance = _cheapest_path(_features(first, pool), _features(second, pool), part)
    frame_s = pool / CHROMA_RATE_HZ
    times_s = CENTRE_S + path.astype(np.float64) * frame_s
    first_s = np.arange(times_s[0, 0], times_s[-1, 0] + KNOT_S / 2, KNOT_S)
    second_s = np.interp(first_s, *times_s.T)
    confidence = 1 - _around(cost, times_s[:, 0], first_s) / chance if chance > 0 else first_s * 0
    is_steady = _is_steady(first_s, second_s)
    return TimeMap(first_s, second_s, np.where(is_steady, np.clip(confidence, 0, 1), 0.0))


def time_map_table(maps: TimeMaps) -> pl.DataFrame:
    """Write time maps as rows, one a knot, sorted; columns as `TIME_MAP_SCHEMA`."""
    tables = [
        pl.DataFrame(
            {
                "first_s": found.first_s,
                "second_s": found.second_s,
                "confidence": found.confidence,
            }
        ).select(pl.lit(first).alias("first"), pl.lit(second).alias("second"), pl.all())
        for (first, second), found in sorted(maps.items())
    ]
    return pl.concat([pl.DataFrame(schema=TIME_MAP_SCHEMA), *tables])


def time_maps_of(table: pl.DataFrame) -> dict[tuple[str, str], TimeMap]:
    """Read time maps from the rows of `time_map_table`, in whatever order.

    Raises:
        SetupError: `time_maps_unreadable`: other columns, or no map.
    """
    try:
        if dict(table.schema) != TIME_MAP_SCHEMA:
            raise ValueError(f"unexpected columns {table.schema}")
        return {
            (str(first), str(second)): TimeMap(
                *(rows[name].to_numpy() for name in ("first_s", "second_s", "confidence"))
            )
            for (first, second), rows in table.sort("first_s", "second_s")
            .partition_by("first", "second", as_dict=True, maintain_order=True)
            .items()
        }
    except ValueError as error:
        detail = f"{error}; delete the alignments and materialize them again"
        raise SetupError("time_maps_unreadable", detail) from error


def either_way(maps: TimeMaps, first: str, second: str) -> TimeMap | None:
    """Give the map from one recording to another, whichever way round it was made."""
    if (found := maps.get((first, second))) is not None:
        return found
    turned = maps.get((second, first))
    return turned.inverse() if turned is not None else None


def _pool(first_frames: int, second_frames: int) -> int:
    """How many frames are taken together so that the matrix fits."""
    return max(FINEST_POOL, math.ceil(math.sqrt(first_frames * second_frames / MAX_CELLS)))


def _features(chroma: Chroma, pool: int) -> FloatArray:
    """Compressed, smoothed and thinned chroma of unit length; of silence, all classes alike."""
    from scipy.ndimage import convolve1d

    loudest = float(chroma.max())
    scaled = chroma.astype(np.float64) / (loudest if loudest > 0 else 1)
    directions = _unit(np.log1p(COMPRESSION * scaled))
    window = np.hanning(2 * pool + 3)[1:-1]
    return _unit(convolve1d(directions, window / window.sum(), axis=1)[:, ::pool])


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=0, keepdims=True)
    unit: FloatArray = np.where(lengths > 1e-4, vectors / np.maximum(lengths, 1e-4), 12**-0.5)
    return unit


def _cheapest_path(
    first: FloatArray, second: FloatArray, part: bool
) -> tuple[npt.NDArray[np.int64], FloatArray, float]:
    """Warp features; returns the path `[n, 2]`, its costs `[n]` and the mean cost of all cells."""
    import librosa

    distances = np.maximum(1 - first.T @ second, 0)
    _, backwards = librosa.sequence.dtw(
        C=distances,
        step_sizes_sigma=STEPS,
        weights_mul=STEP_WEIGHTS,
        weights_add=STEP_PENALTIES,
        subseq=part,
    )
    path = backwards[::-1].astype(np.int64)
    costs: FloatArray = distances[path[:, 0], path[:, 1]]
    return path, costs, float(distances.mean())


def _around(values: FloatArray, at_s: FloatArray, asked_s: FloatArray) -> FloatArray:
    """Mean of values within `AROUND_S` of each time; `at_s` never falls."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    start = np.searchsorted(at_s, asked_s - AROUND_S, side="left")
    end = np.searchsorted(at_s, asked_s + AROUND_S, side="right")
    means: FloatArray = (sums[end] - sums[start]) / np.maximum(end - start, 1)
    return means


def _is_steady(first_s: FloatArray, second_s: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether the tempi are alike around each knot."""
    start_s = np.maximum(first_s - AROUND_S, first_s[0])
    end_s = np.minimum(first_s + AROUND_S, first_s[-1])
    first_took = np.maximum(end_s - start_s, KNOT_S)
    second_took = np.interp(end_s, first_s, second_s) - np.interp(start_s, first_s, second_s)
    ratio = second_took / first_took
    steady: npt.NDArray[np.bool_] = (ratio >= 1 / STEADY) & (ratio <= STEADY)
    return steady
