"""How good a recording sounds: levels and bandwidth, of a stored clip and of the original.

What belongs here: the measurements, on samples in memory. What does not: reading files (`decode`,
`segments`) and deciding what is too bad to keep. Clipping and bandwidth are measured on the
original, a second at a time and before the downmix: the mean of the channels and the resampler
round flat tops off, and the stored 24 kHz end below the low-pass of most codecs.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

SOURCE_LEVELS_SCHEMA: dict[str, pl.DataType] = {
    "second": pl.Int32(),
    "clipped_share": pl.Float64(),
    "bandwidth_hz": pl.Float64(),
    "cliff_hz": pl.Float64(),
}
QUALITY_SCHEMA: dict[str, pl.DataType] = {
    "loudness_lufs": pl.Float64(),
    "true_peak_dbtp": pl.Float64(),
    "noise_floor_dbfs": pl.Float64(),
    "bandwidth_hz": pl.Float64(),
    "clipped_share": pl.Float64(),
    "source_bandwidth_hz": pl.Float64(),
    "source_cliff_hz": pl.Float64(),
}
QUALITY_COLUMNS = {
    "loudness_lufs": "integrated loudness (ITU-R BS.1770-4, gated) of the mono clip; null where "
    "the gate leaves nothing, or under 0.4 s",
    "true_peak_dbtp": "highest level between the samples, dB relative to full scale",
    "noise_floor_dbfs": "RMS level of the quietest twentieth of the clip in windows of 50 ms; in "
    "music without a rest an upper bound",
    "bandwidth_hz": "highest frequency with content in the stored clip, at most 12 kHz; null in "
    "silence",
    "clipped_share": "share of the original's samples, of all channels, that are clipped; in a "
    "lossy original a lower bound",
    "source_bandwidth_hz": "highest frequency with content in the original; null in silence",
    "source_cliff_hz": "where the original's spectrum breaks off, as a codec's low-pass or a lower "
    "sampling rate makes it; null where it fades out by itself",
}
FLOOR_DBFS = -120.0

TRUE_PEAK_OVERSAMPLING = 4
MIN_LOUDNESS_S = 0.4
"""One block of the gate."""
NOISE_WINDOW_S = 0.05
NOISE_PERCENTILE = 5.0

SILENT_DBFS = -70.0
BAND_HZ = 200.0
MIN_BANDS = 10
FRAME_S = 0.085
FRAMES_A_SECOND = 4
WINDOW_BETA = 14.0
"""Side lobes 105 dB down: a loud low note does not reach the top of the spectrum."""
MIN_SPECTRUM_S = 0.5
SMOOTHING_BANDS = 5
"""A median over so many bands keeps edges where they are and forgets a lone whistle."""
FLOOR_END = 0.93
"""Above this share of half the sampling rate, converters' own filters hide the floor."""
SPECTRUM_RANGE_DB = 100.0
FAINTEST_BIN_DBFS = -150.0
"""Below these two lie rounding errors of the codecs, which have edges of their own."""
ABOVE_FLOOR_DB = 6.0
CLIFF_DB = 20.0
"""A drop by so much within 1 kHz is a cliff; a piano fades by some 12 dB a kHz."""
PLATEAU_DB = 3.0
BANDWIDTH_PERCENTILE = 95.0
CLIFF_AGREEMENT_HZ = 600.0
CLIFF_SECONDS = 0.3

MIN_CLIPPED_RUN = 3
MAX_FLAT_S = 0.02
"""Half a period of the lowest note: what stays level for longer is an offset, no clipping."""
LEVEL_TOLERANCE = 1e-4
"""What dither leaves of a flat top, relative to it."""
STEP_16_BIT = 2.0**-15
FLANK_MARGIN = 1.5
FAINTEST_CEILING = 1e-3

Samples = npt.NDArray[np.float32]
Levels = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SegmentQuality:
    """What is heard in a stored clip.

    Attributes:
        loudness_lufs: integrated loudness, None where the gate leaves nothing or the clip is
            shorter than 0.4 s.
        true_peak_dbtp: highest level between samples, at least -120.
        rms_dbfs: root mean square level; a full-scale sine has -3.01, silence -120.
        noise_floor_dbfs: level of the quietest stretches, at least -120.
        bandwidth_hz: highest frequency with content, None in silence.
    """

    loudness_lufs: float | None
    true_peak_dbtp: float
    rms_dbfs: float
    noise_floor_dbfs: float
    bandwidth_hz: float | None


@dataclass(frozen=True, slots=True)
class SourceQuality:
    """What the original was like during a segment.

    Attributes:
        clipped_share: share of clipped samples, None where nothing was measured.
        source_bandwidth_hz: highest frequency with content, None in silence.
        source_cliff_hz: where the spectrum breaks off, None where it fades out.
    """

    clipped_share: float | None
    source_bandwidth_hz: float | None
    source_cliff_hz: float | None


def segment_quality(clip: Samples, sample_rate_hz: int) -> SegmentQuality:
    """Measure a clip.

    Args:
        clip: mono samples `[n]`, full scale is 1.
        sample_rate_hz: its sampling rate.

    Returns:
        Its levels, to within 0.1 dB (0.1 LU), and its bandwidth, to within 400 Hz.

    Raises:
        ValueError: the clip is empty, or not mono.
    """
    if clip.ndim != 1 or clip.size == 0:
        raise ValueError(f"expected mono samples, not an array of shape {clip.shape}")
    seconds = _seconds(clip[np.newaxis], sample_rate_hz)
    bandwidth_hz, _ = _typical_edges(*_edges(seconds, sample_rate_hz))
    return SegmentQuality(
        loudness_lufs=_loudness_lufs(clip, sample_rate_hz),
        true_peak_dbtp=dbfs(_true_peak(clip, sample_rate_hz)),
        rms_dbfs=dbfs(float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))),
        noise_floor_dbfs=_noise_floor_dbfs(clip, sample_rate_hz),
        bandwidth_hz=bandwidth_hz,
    )


def dbfs(level: float) -> float:
    """A linear level in dB relative to full scale, at least -120."""
    return max(FLOOR_DBFS, 20 * math.log10(level)) if level > 0 else FLOOR_DBFS


def _loudness_lufs(clip: Samples, sample_rate_hz: int) -> float | None:
    import pyloudnorm

    if clip.size < MIN_LOUDNESS_S * sample_rate_hz:
        return None
    # The default filters are 0.05 LU off the standard's own; these are 0.03 off at 24 kHz.
    meter = pyloudnorm.Meter(sample_rate_hz, filter_class="DeMan")
    loudness = float(meter.integrated_loudness(clip.astype(np.float64)))
    return loudness if math.isfinite(loudness) else None


def _true_peak(clip: Samples, sample_rate_hz: int) -> float:
    """Peak of the curve through the samples: oversampled, and a parabola through each maximum.

    The parabola finds what four points a sample leave between them: without it 0.3 dB at a third of
    the sampling rate.
    """
    import soxr

    finer = soxr.resample(
        clip.astype(np.float32, copy=False), sample_rate_hz, sample_rate_hz * TRUE_PEAK_OVERSAMPLING
    )
    magnitude = np.abs(finer)
    sampled = float(max(np.abs(clip).max(), magnitude.max(initial=0.0)))
    near = np.flatnonzero(magnitude[1:-1] >= 0.9 * sampled) + 1
    before, peak, after = (finer[near + step].astype(np.float64) for step in (-1, 0, 1))
    bend = 2 * peak - before - after
    is_maximum = (np.abs(peak) >= np.abs(before)) & (np.abs(peak) >= np.abs(after)) & (bend != 0)
    rise = np.square(after - before)[is_maximum] / (8 * bend[is_maximum])
    return max(sampled, float(np.abs(peak[is_maximum] + rise).max(initial=0.0)))


def _noise_floor_dbfs(clip: Samples, sample_rate_hz: int) -> float:
    window = min(clip.size, round(NOISE_WINDOW_S * sample_rate_hz))
    windows = clip[: clip.size // window * window].astype(np.float64).reshape(-1, window)
    return dbfs(float(np.percentile(windows.std(axis=1), NOISE_PERCENTILE)))


class SourceLevelMeter:
    """Clipping and bandwidth of an original, second by second, while it is decoded.

    It keeps less than a second of samples. Clipped is a sample in a run of three or more beyond
    full scale, or on a flat top: a run at the second's highest (or lowest) level whose flanks fall
    faster than those of any smooth wave that stays level for so long. So it finds what was clipped
    and turned down afterwards, and not the crest of a low note, silence or an offset. A lossy codec
    ripples flat tops, so of those only what overshoots full scale is found.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._rest: Samples | None = None
        self._clipped: list[Levels] = []
        self._edges: list[tuple[Levels, Levels]] = []

    def add(self, block: Samples) -> None:
        """Measure a block `[channels, n]`, full scale is 1; a broken second waits for the next."""
        if self._rest is not None and self._rest.shape[1]:
            block = np.concatenate((self._rest, block), axis=1)
        whole = block.shape[1] // self._rate_hz * self._rate_hz
        if whole:
            self._measure(_seconds(block[:, :whole], self._rate_hz))
        self._rest = block[:, whole:].copy()

    def table(self) -> pl.DataFrame:
        """End the measurement: one row a second, columns as `SOURCE_LEVELS_SCHEMA`.

        A last second that is shorter has a row of its own. `bandwidth_hz` is null in silence.
        """
        if self._rest is not None and self._rest.shape[1]:
            self._measure(self._rest[:, np.newaxis])
            self._rest = None
        clipped = np.concatenate([np.empty(0), *self._clipped])
        bandwidth_hz, cliff_hz = (
            np.concatenate([np.empty(0), *(edges[which] for edges in self._edges)])
            for which in (0, 1)
        )
        return pl.DataFrame(
            {
                "second": np.arange(clipped.size),
                "clipped_share": clipped,
                "bandwidth_hz": pl.Series(bandwidth_hz, nan_to_null=True),
                "cliff_hz": pl.Series(cliff_hz, nan_to_null=True),
            },
            schema=SOURCE_LEVELS_SCHEMA,
        )

    def _measure(self, seconds: Samples) -> None:
        self._clipped.append(_clipped_share(seconds, self._rate_hz))
        self._edges.append(_edges(seconds, self._rate_hz))


def summarise_source_levels(
    source_levels: pl.DataFrame, start_s: float, end_s: float, *, offset_s: float = 0.0
) -> SourceQuality:
    """What the original was like during a segment.

    Args:
        source_levels: of the whole original, columns as `SOURCE_LEVELS_SCHEMA`.
        start_s: start of the segment in its recording.
        end_s: end of the segment in its recording.
        offset_s: where the recording starts in the original, if it is a part of it.

    Returns:
        The clipped share, a second that is only partly inside counting by its part; the bandwidth
        that one second in twenty exceeds, so that a soft passage does not hide what the source can
        carry; and the cliff, where three seconds in ten agree on it.
    """
    second = source_levels["second"].to_numpy().astype(np.float64)
    begin_s, stop_s = offset_s + start_s, offset_s + end_s
    inside_s = np.minimum(second + 1, stop_s) - np.maximum(second, begin_s)
    clipped, bandwidth_hz, cliff_hz = (
        source_levels[column].cast(pl.Float64).to_numpy()[inside_s > 0]
        for column in ("clipped_share", "bandwidth_hz", "cliff_hz")
    )
    told = np.isfinite(clipped)
    weight = inside_s[inside_s > 0][told]
    typical_hz, typical_cliff_hz = _typical_edges(bandwidth_hz, cliff_hz)
    return SourceQuality(
        clipped_share=float(np.average(clipped[told], weights=weight)) if told.any() else None,
        source_bandwidth_hz=typical_hz,
        source_cliff_hz=typical_cliff_hz,
    )


def _typical_edges(bandwidth_hz: Levels, cliff_hz: Levels) -> tuple[float | None, float | None]:
    """Bandwidth and cliff of some seconds, from those of each (NaN where there is none)."""
    heard = bandwidth_hz[np.isfinite(bandwidth_hz)]
    if heard.size == 0:
        return None, None
    cliffs = cliff_hz[np.isfinite(cliff_hz)]
    cliff = float(np.median(cliffs)) if cliffs.size else math.nan
    agreeing = np.count_nonzero(np.abs(cliffs - cliff) <= CLIFF_AGREEMENT_HZ)
    has_cliff = agreeing >= max(1.0, CLIFF_SECONDS * heard.size)
    typical = float(np.percentile(heard, BANDWIDTH_PERCENTILE, method="lower"))
    return typical, cliff if has_cliff else None


def _seconds(block: Samples, sample_rate_hz: int) -> Samples:
    """Cut `[channels, n]` into `[channels, seconds, n]`; a rest is dropped, unless it is all."""
    length = min(block.shape[1], sample_rate_hz)
    whole = block.shape[1] // length
    return block[:, : whole * length].reshape(block.shape[0], whole, length)


def _clipped_share(seconds: Samples, sample_rate_hz: int) -> Levels:
    channels, count, length = seconds.shape
    clipped = sum(
        _clipped_samples(seconds.reshape(-1, length), sign, round(MAX_FLAT_S * sample_rate_hz))
        for sign in (1, -1)
    )
    share: Levels = np.reshape(clipped, (channels, count)).sum(axis=0) / (channels * length)
    return share


def _clipped_samples(rows: Samples, sign: int, longest: int) -> npt.NDArray[np.int64]:
    """How many samples of each row `[rows, n]` are clipped at its top (sign 1) or bottom (-1)."""
    count, length = rows.shape
    top = rows.max(axis=1) if sign > 0 else -rows.min(axis=1)
    overshoots = top > 1.0 + LEVEL_TOLERANCE
    lowest = np.where(overshoots, np.float32(1.0), top * np.float32(1.0 - LEVEL_TOLERANCE))
    lowest[top < FAINTEST_CEILING] = np.inf
    lowest = lowest[:, np.newaxis]
    at_top = np.flatnonzero(rows >= lowest if sign > 0 else rows <= -lowest)
    if at_top.size == 0:
        return np.zeros(count, np.int64)
    starts_run = (np.diff(at_top, prepend=-2) > 1) | (at_top % length == 0)
    first = at_top[starts_run]
    run = np.diff(np.flatnonzero(starts_run), append=at_top.size)
    keep = (run >= MIN_CLIPPED_RUN) & (overshoots[first // length] | (run <= longest))
    first, run = first[keep], run[keep]
    row = first // length
    is_clipped = overshoots[row] | _has_steep_flanks(rows, sign, first, run)
    return np.bincount(row[is_clipped], run[is_clipped], count).astype(np.int64)


def _has_steep_flanks(
    rows: Samples, sign: int, first: npt.NDArray[np.int64], run: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether two samples beyond its ends a flat run has fallen further than a parabola would.

    A smooth crest that stays within a tolerance for `run` samples has fallen by less than
    ((run + 3) / (run - 1))² times the tolerance there. At an edge of the row the other flank tells.
    """
    samples, length = rows.reshape(-1), rows.shape[1]
    start = first % length
    level = sign * samples[first].astype(np.float64)
    fall, flanks = np.zeros(first.size), np.zeros(first.size)
    for distance in (np.full(first.size, -2), run + 1):
        inside = (start + distance >= 0) & (start + distance < length)
        beyond = samples[np.where(inside, first + distance, first)]
        fall += level - sign * beyond
        flanks += inside
    tolerance = np.maximum(LEVEL_TOLERANCE * level, STEP_16_BIT)
    curve = np.square((run + 3) / (run - 1))
    steep: npt.NDArray[np.bool_] = fall > FLANK_MARGIN * tolerance * curve * np.maximum(flanks, 1)
    return steep


def _edges(seconds: Samples, sample_rate_hz: int) -> tuple[Levels, Levels]:
    """Bandwidth and cliff of each second of `[channels, seconds, n]`, in Hz; NaN for none."""
    channels, count, length = seconds.shape
    bands = int(sample_rate_hz / 2 // BAND_HZ)
    if bands < MIN_BANDS or length < MIN_SPECTRUM_S * sample_rate_hz:
        return np.full(count, np.nan), np.full(count, np.nan)
    last_band, is_cliff, ends = _ends(_smooth(_band_levels_dbfs(seconds, sample_rate_hz)))
    edge_hz = np.where(ends, (last_band + 1) * BAND_HZ, sample_rate_hz / 2)
    power = np.vecdot(seconds, seconds).sum(axis=0) / (channels * length)
    edge_hz[power < 10 ** (SILENT_DBFS / 10)] = np.nan
    return edge_hz, np.where(is_cliff, edge_hz, np.nan)


def _ends(
    levels: Levels,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The highest band with content of spectra `[seconds, bands]`, whether by a cliff, and at all.

    The floor is a spectrum's lowest band. Where the spectrum drops to it, there is a cliff; where
    it fades into it and stays, the content ends; where it is still falling at the last band, or
    never falls, it does not end.
    """
    lowest = np.maximum(levels.max(axis=1) - SPECTRUM_RANGE_DB, FAINTEST_BIN_DBFS)
    levels = np.maximum(levels, lowest[:, np.newaxis])
    count, bands = levels.shape
    usable = levels[:, : int(FLOOR_END * bands)]
    above = usable > usable.min(axis=1, keepdims=True) + ABOVE_FLOOR_DB
    end = usable.shape[1] - 1
    edge = np.where(above.any(axis=1), end - np.argmax(above[:, ::-1], axis=1), end)
    each = np.arange(count)
    drop = levels[each, np.maximum(edge - 3, 0)] - levels[each, np.minimum(edge + 2, bands - 1)]
    is_cliff = (drop >= CLIFF_DB) & (edge < end)
    settles = [_is_plateau(usable[second, edge[second] + 1 :]) for second in each]
    return edge, is_cliff, is_cliff | np.array(settles, dtype=bool)


def _is_plateau(levels: Levels) -> bool:
    """Whether the levels of consecutive bands are those of a floor, which does not fall on."""
    half = levels.size // 2
    return bool(half and levels[:half].mean() - levels[-half:].mean() <= PLATEAU_DB)


def _band_levels_dbfs(seconds: Samples, sample_rate_hz: int) -> Levels:
    """Mean level of a bin in each band of 200 Hz, over four frames a second or more.

    The channels take turns: half the work, and nothing cancels as in a downmix.
    """
    import scipy.fft

    channels, count, length = seconds.shape
    size = 1 << math.ceil(math.log2(FRAME_S * sample_rate_hz))
    window = _window(size)
    frames = max(FRAMES_A_SECOND, channels)
    power = np.zeros((count, size // 2 + 1), np.float32)
    for frame, start in enumerate(np.linspace(0, length - size, frames).astype(int)):
        spectrum = scipy.fft.rfft(seconds[frame % channels, :, start : start + size] * window)
        power += np.square(spectrum.real) + np.square(spectrum.imag)
    bands = int(sample_rate_hz / 2 // BAND_HZ)
    borders = (np.arange(bands + 1) * BAND_HZ * size / sample_rate_hz).astype(int)
    in_band = np.add.reduceat(power[:, : borders[-1]], borders[:-1], axis=1) / np.diff(borders)
    full_scale = frames * float(window.sum() / 2) ** 2
    levels: Levels = 10 * np.log10(np.maximum(in_band.astype(np.float64) / full_scale, 1e-30))
    return levels


@functools.lru_cache(maxsize=8)
def _window(size: int) -> Samples:
    return np.kaiser(size, WINDOW_BETA).astype(np.float32)


def _smooth(levels: Levels) -> Levels:
    half = SMOOTHING_BANDS // 2
    padded = np.pad(levels, ((0, 0), (half, half)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING_BANDS, axis=1)
    smooth: Levels = np.median(windows, axis=-1)
    return smooth
