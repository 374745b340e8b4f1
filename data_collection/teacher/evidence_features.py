"""Measure a clip: samples in memory to figures.

What belongs here: the signal processing, each figure by itself. What does not: which figures there
are (`evidence_figures`), files and receipts (`evidence`). All levels are relative to the clip's own
where the name does not say otherwise, so the gain of a recording moves `loudness_lufs` alone.
"""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.teacher.evidence_figures import CURVE_POINTS

Samples = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

MIN_CLIP_S = 1.0
SILENT_PEAK = 1e-4
"""A clip that stays below -80 dBFS has nothing to be measured but noise."""
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -20.0
FAINTEST_LU = -40.0
"""Against the whole clip: what is fainter is a rest, however quiet the hall."""

HOP = 120
FRAMES_PER_S = SAMPLE_RATE_HZ / HOP
N_FFT = 1024
MEL_BANDS = 80
FLUX_RANGE_DB = 60.0
FLUX_LAG = 4
ONSET_DELTA_DB = 0.3
"""Mean rise over all bands above its surroundings; with more, a hall hides half the onsets."""
ONSET_WAIT_S = 0.045

SHORT_TERM_S = 3.0
SMOOTH_S = 1.0
SWELL_DB = 3.0
NEIGHBOURS = 7
NEARLY_EQUAL = 0.3
PAUSE = 2.0
PULSE_WINDOW_S = 8.0
PULSE_RATE_PER_S = 100.0
PULSE_PER_MIN = (40.0, 240.0)
PULSES_PER_OCTAVE = 36
USUAL_PULSE_PER_MIN = 100.0
PULSE_PRIOR_OCTAVES = 1.0
PULSE_CHANGE_COST = 6.0
CLEAR_PULSE = 0.2
MIN_PULSE_CLIP = 1.25
"""Windows that a clip must be long: less has no course."""
MIN_ONSETS = 8
BRIGHT_HZ = 2000.0
CENTROID_RANGE_DB = 40.0
MIDDLE_C_HZ = 261.6
RINGING_DB = 35.0
LEAD_S = 0.03
"""So long before an onset its window does not hear it yet."""
ACCENT_HZ = 1000.0
ACCENT_RANGE_DB = 15.0


def _median(values: Values, at_least: int = 1) -> float | None:
    """Median of what is finite, None where there is too little of it."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size >= at_least else None


def _db(power: Values) -> Values:
    return 10 * np.log10(np.maximum(power, 1e-12))


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Power `[bins, frames]` of a clip, a frame every 5 ms, centred on its time.

    Attributes:
        power: of each bin; full scale has some 1e5.
        bins_hz: centre of each bin.
        level_db: of each frame, as the energy of all bins.
    """

    power: npt.NDArray[np.float32]
    bins_hz: Values
    level_db: Values


def spectrum(clip: Samples) -> Spectrum:
    """Short-time spectrum of a clip `[n]`."""
    import librosa

    power = np.square(np.abs(librosa.stft(clip, n_fft=N_FFT, hop_length=HOP)))
    bins_hz = np.asarray(librosa.fft_frequencies(sr=SAMPLE_RATE_HZ, n_fft=N_FFT))
    return Spectrum(power, bins_hz, _db(power.sum(axis=0, dtype=np.float64)))


@dataclass(frozen=True, slots=True)
class Onsets:
    """Where notes begin.

    Attributes:
        flux_db: `[frames]`, mean rise of the mel bands.
        frames: frame of each onset, rising.
        times_s: its time, between the frames by a parabola.
    """

    flux_db: Values
    frames: npt.NDArray[np.int64]
    times_s: Values


def onsets(heard: Spectrum) -> Onsets:
    """Find the onsets: peaks of the rise of a mel spectrum in dB below the clip's loudest band."""
    import librosa

    mel = librosa.feature.melspectrogram(S=heard.power, sr=SAMPLE_RATE_HZ, n_mels=MEL_BANDS)
    mel_db = librosa.power_to_db(mel, ref=np.max, top_db=FLUX_RANGE_DB)
    flux = librosa.onset.onset_strength(
        S=mel_db, sr=SAMPLE_RATE_HZ, hop_length=HOP, lag=FLUX_LAG, max_size=3, center=False
    ).astype(np.float64)
    wait = round(ONSET_WAIT_S * FRAMES_PER_S)
    frames = np.asarray(
        librosa.util.peak_pick(
            flux,
            pre_max=wait,
            post_max=wait,
            pre_avg=round(0.15 * FRAMES_PER_S),
            post_avg=round(0.1 * FRAMES_PER_S),
            delta=ONSET_DELTA_DB,
            wait=wait,
        ),
        dtype=np.int64,
    )
    inner = frames[(frames > 0) & (frames < flux.size - 1)]
    before, peak, after = (flux[inner + step] for step in (-1, 0, 1))
    bend = before - 2 * peak + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    # The rise over four frames peaks half of that after the onset itself.
    times_s = np.asarray((inner + shift - FLUX_LAG / 2) / FRAMES_PER_S, np.float64)
    return Onsets(flux, inner, times_s)


@dataclass(frozen=True, slots=True)
class Loudness:
    """Loudness of a clip; see `evidence_figures`."""

    integrated_lufs: float | None
    range_lu: float | None
    swells_per_min: float | None
    curve_lu: tuple[float | None, ...] | None


def loudness(clip: Samples) -> Loudness:
    """Loudness figures of a clip `[n]` of at least a second."""
    momentary, integrated = _blocks(clip, 0.4, 0.1)
    if integrated is None:
        return Loudness(None, None, None, None)
    duration_s = clip.size / SAMPLE_RATE_HZ
    relative = np.maximum(momentary - integrated, FAINTEST_LU)
    short_term = _blocks(clip, SHORT_TERM_S, 0.1)[0] if duration_s >= SHORT_TERM_S + 1 else None
    return Loudness(
        integrated,
        _gated_range(short_term) if short_term is not None else None,
        _swells(relative) * 60 / duration_s,
        _curve(relative, how="energy"),
    )


def _blocks(clip: Samples, block_s: float, hop_s: float) -> tuple[Values, float | None]:
    """Loudness of each block in LUFS, at least -120, and of the whole, None if gated away."""
    import pyloudnorm

    meter = pyloudnorm.Meter(
        SAMPLE_RATE_HZ, filter_class="DeMan", block_size=block_s, overlap=1 - hop_s / block_s
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)
        whole = float(meter.integrated_loudness(clip.astype(np.float64)))
    blocks = np.maximum(np.asarray(meter.blockwise_loudness, np.float64), -120.0)
    return blocks, whole if math.isfinite(whole) else None


def _gated_range(short_term: Values) -> float | None:
    loud = short_term[short_term >= ABSOLUTE_GATE_LUFS]
    if loud.size == 0:
        return None
    mean = 10 * math.log10(float(np.mean(10 ** (loud / 10))))
    kept = loud[loud >= mean + RELATIVE_GATE_LU]
    low, high = np.percentile(kept, (10, 95))
    return float(high - low)


def _swells(momentary: Values) -> int:
    """How many peaks of the smoothed loudness stand out on both sides."""
    import scipy.ndimage
    import scipy.signal

    smooth = scipy.ndimage.gaussian_filter1d(momentary, SMOOTH_S / 0.1, mode="nearest")
    peaks, _ = scipy.signal.find_peaks(smooth, prominence=SWELL_DB)
    return int(peaks.size)


def _curve(values: Values, *, how: str) -> tuple[float | None, ...]:
    """Average each of `CURVE_POINTS` equal stretches; of dB values the energy."""
    edges = np.linspace(0, values.size, CURVE_POINTS + 1)
    points: list[float | None] = []
    for begin, end in itertools.pairwise(edges):
        part = values[int(begin) : max(int(end), int(begin) + 1)]
        part = part[np.isfinite(part)]
        if part.size == 0:
            points.append(None)
        elif how == "energy":
            points.append(10 * math.log10(float(np.mean(10 ** (part / 10)))))
        else:
            points.append(float(np.mean(part)))
    return tuple(points)


@dataclass(frozen=True, slots=True)
class Timing:
    """Timing of the onsets; see `evidence_figures`."""

    unevenness_percent: float | None
    unevenness_ms: float | None
    pauses_per_min: float | None
    rate_curve_per_s: tuple[float | None, ...]


def timing(times_s: Values, duration_s: float) -> Timing:
    """Gaps between onsets against those around them."""
    import scipy.ndimage

    at_s = (np.arange(CURVE_POINTS) + 0.5) / CURVE_POINTS * duration_s
    rate = _smoothed_rate(times_s, at_s, duration_s)
    curve = tuple(float(value) for value in rate)
    if times_s.size <= MIN_ONSETS:
        return Timing(None, None, None, curve)
    gaps_s = np.diff(times_s)
    usual_s = scipy.ndimage.median_filter(gaps_s, NEIGHBOURS, mode="nearest")
    pauses = int(np.count_nonzero(gaps_s > PAUSE * usual_s))
    away_s = gaps_s - usual_s
    even = np.abs(away_s) < NEARLY_EQUAL * usual_s
    # A centred median would take the gap itself for the usual one, so neighbours alone are asked.
    first, second = gaps_s[:-1], gaps_s[1:]
    pairs = even[:-1] & even[1:]
    if np.count_nonzero(pairs) < MIN_ONSETS:
        return Timing(None, None, pauses * 60 / duration_s, curve)
    differ_s = np.abs(second - first)[pairs]
    mean_s = (second + first)[pairs] / 2
    return Timing(
        float(np.median(differ_s / mean_s)) * 100,
        float(np.median(differ_s)) * 1000,
        pauses * 60 / duration_s,
        curve,
    )


def _smoothed_rate(times_s: Values, at_s: Values, duration_s: float) -> Values:
    """Onsets a second by a Gaussian window, corrected for what lies outside of the clip."""
    from scipy.special import ndtr

    weights = np.exp(-0.5 * np.square((at_s[:, None] - times_s) / SMOOTH_S))
    inside = ndtr((duration_s - at_s) / SMOOTH_S) - ndtr(-at_s / SMOOTH_S)
    rate: Values = weights.sum(axis=1) / (SMOOTH_S * math.sqrt(2 * math.pi) * inside)
    return rate


@dataclass(frozen=True, slots=True)
class Pulse:
    """The local pulse; see `evidence_figures`."""

    per_min: float | None
    clarity: float | None
    spread_percent: float | None
    curve_percent: tuple[float | None, ...] | None


def pulse(found: Onsets) -> Pulse:
    """Follow the pulse by the autocorrelation of the onset curve in windows of 8 s.

    One smooth path goes through the windows, so that the metrical level, whichever it is, stays.
    """
    step = round(FRAMES_PER_S / PULSE_RATE_PER_S)
    flux = found.flux_db
    coarse = flux[: flux.size // step * step].reshape(-1, step).max(axis=1)
    window = round(PULSE_WINDOW_S * PULSE_RATE_PER_S)
    if coarse.size < MIN_PULSE_CLIP * window or found.frames.size < MIN_ONSETS:
        return Pulse(None, None, None, None)
    strength = _periodicity(coarse, window)
    if strength is None:
        return Pulse(None, None, None, None)
    candidates = _pulse_candidates()
    path = _smooth_path(strength, candidates)
    clarity = float(np.clip(np.mean(strength[np.arange(path.size), path]), 0, 1))
    if clarity < CLEAR_PULSE:
        return Pulse(None, clarity, None, None)
    followed = _refined(strength, candidates, path)
    middle = float(np.median(followed))
    relative = followed / middle * 100
    return Pulse(middle, clarity, float(np.std(relative)), tuple(float(p) for p in relative))


def _pulse_candidates() -> Values:
    low, high = PULSE_PER_MIN
    count = round(math.log2(high / low) * PULSES_PER_OCTAVE) + 1
    return np.geomspace(low, high, count)


def _periodicity(coarse: Values, window: int) -> Values | None:
    """Correlation `[windows, candidates]` of each window with itself, a pulse later."""
    import librosa

    starts = np.linspace(0, coarse.size - window, CURVE_POINTS).astype(int)
    parts = np.stack([coarse[start : start + window] for start in starts])
    parts = (parts - parts.mean(axis=1, keepdims=True)) * np.hanning(window)
    if not np.all(np.any(np.abs(parts) > 1e-9, axis=1)):
        return None
    correlation = np.asarray(librosa.autocorrelate(parts, axis=1))
    taper = np.asarray(librosa.autocorrelate(np.hanning(window)))
    correlation = correlation / correlation[:, :1] / np.maximum(taper / taper[0], 0.1)
    lags = 60 * PULSE_RATE_PER_S / _pulse_candidates()
    return np.stack([np.interp(lags, np.arange(window), row) for row in correlation])


def _smooth_path(strength: Values, candidates: Values) -> npt.NDArray[np.int64]:
    octaves = np.log2(candidates)
    prior = -0.5 * np.square((octaves - math.log2(USUAL_PULSE_PER_MIN)) / PULSE_PRIOR_OCTAVES)
    change = PULSE_CHANGE_COST * np.abs(octaves[:, None] - octaves)
    score = strength[0] + 0.1 * prior
    came_from = []
    for row in strength[1:]:
        total = score - change
        best = np.argmax(total, axis=1)
        came_from.append(best)
        score = total[np.arange(best.size), best] + row + 0.1 * prior
    path = [int(np.argmax(score))]
    for best in reversed(came_from):
        path.append(int(best[path[-1]]))
    return np.array(path[::-1])


def _refined(strength: Values, candidates: Values, path: npt.NDArray[np.int64]) -> Values:
    """The pulse between two candidates, by a parabola."""
    rows = np.arange(path.size)
    inner = np.clip(path, 1, candidates.size - 2)
    before, peak, after = (strength[rows, inner + step] for step in (-1, 0, 1))
    bend = before - 2 * peak + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    shift = np.where(inner == path, np.clip(shift, -0.5, 0.5), 0.0)
    refined: Values = candidates[path] * 2 ** (shift / PULSES_PER_OCTAVE)
    return refined


@dataclass(frozen=True, slots=True)
class Touch:
    """How notes begin, last and end; see `evidence_figures`."""

    accent_spread_db: float | None
    attack_db: float | None
    gap_drop_db: float | None
    decay_db_per_s: float | None
    carry_over_db: float | None


def touch(heard: Spectrum, found: Onsets) -> Touch:
    """Levels around the onsets."""
    frames = found.frames
    count = heard.level_db.size
    lead, tail = round(LEAD_S * FRAMES_PER_S), round(0.1 * FRAMES_PER_S)
    frames = frames[(frames >= lead) & (frames < count - tail)]
    if frames.size < MIN_ONSETS:
        return Touch(None, None, None, None, None)
    level = heard.level_db
    peaks = np.array([level[at : at + tail].max() for at in frames])
    before = level[frames - lead]
    return Touch(
        _accents(heard, frames, tail),
        _median(peaks - before),
        _median(peaks[:-1] - before[1:]),
        _decay(level, frames),
        _carry_over(heard, frames),
    )


def _accents(heard: Spectrum, frames: npt.NDArray[np.int64], tail: int) -> float:
    """Spread of what each onset adds above 1 kHz, against the course of its neighbours.

    What earlier notes still ring with is taken off first; up there the strength of a hammer's blow
    shows most, and the pitch least.
    """
    import scipy.ndimage

    upper = heard.power[heard.bins_hz > ACCENT_HZ].sum(axis=0, dtype=np.float64)
    before = upper[frames - round(LEAD_S * FRAMES_PER_S)]
    added_db = _db(np.array([upper[at : at + tail].max() for at in frames]) - before)
    added_db = np.maximum(added_db, np.median(added_db) - ACCENT_RANGE_DB)
    around = scipy.ndimage.median_filter(added_db, NEIGHBOURS, mode="nearest")
    return float(np.std(added_db - around))


def _decay(level_db: Values, frames: npt.NDArray[np.int64]) -> float | None:
    """Median slope from 60 ms after an onset until 30 ms before the next, turned round."""
    skip, stop = round(0.06 * FRAMES_PER_S), round(0.03 * FRAMES_PER_S)
    slopes = []
    for begin, end in itertools.pairwise(frames):
        if end - begin < 0.25 * FRAMES_PER_S:
            continue
        part = level_db[begin + skip : min(end - stop, begin + skip + round(FRAMES_PER_S))]
        slopes.append(-np.polyfit(np.arange(part.size) / FRAMES_PER_S, part, 1)[0])
    return _median(np.array(slopes), at_least=MIN_ONSETS)


def _carry_over(heard: Spectrum, frames: npt.NDArray[np.int64]) -> float | None:
    """What partials that sounded before an onset and are not struck anew have lost 0.12 s later."""
    before, after = round(0.04 * FRAMES_PER_S), round(0.12 * FRAMES_PER_S)
    usable = frames[(frames >= before) & (frames < heard.level_db.size - after)]
    below = heard.bins_hz < 4000
    old = _db(heard.power[below][:, usable - before].astype(np.float64))
    new = _db(heard.power[below][:, usable + after].astype(np.float64))
    sounded = old > old.max(axis=0, keepdims=True) - RINGING_DB
    higher = np.vstack([old[1:], old[-1:]])
    lower = np.vstack([old[:1], old[:-1]])
    is_partial = sounded & (old >= higher) & (old >= lower)
    change = new - old
    is_old = is_partial & (change < 1.0)
    losses = np.array([np.median(c[o]) for c, o in zip(change.T, is_old.T, strict=True) if o.any()])
    return _median(losses, at_least=MIN_ONSETS)


@dataclass(frozen=True, slots=True)
class Timbre:
    """Where the energy lies; see `evidence_figures`."""

    centroid_khz: float
    bright_percent: float
    low_percent: float
    middle_percent: float
    high_percent: float
    curve_khz: tuple[float | None, ...]


def timbre(heard: Spectrum) -> Timbre:
    """Centre and balance of the spectrum; loud frames count as much as they are loud."""
    frame_energy = heard.power.sum(axis=0, dtype=np.float64)
    audible = frame_energy > frame_energy.max() * 1e-6
    centroid = np.full(frame_energy.size, math.nan)
    magnitude = np.sqrt(heard.power[:, audible])
    # Of many empty bins even faint noise has more amplitude than the few that sound.
    magnitude[magnitude < magnitude.max(axis=0) * 10 ** (-CENTROID_RANGE_DB / 20)] = 0.0
    centroid[audible] = (heard.bins_hz @ magnitude) / magnitude.sum(axis=0)
    of_bin = heard.power.sum(axis=1, dtype=np.float64) / frame_energy.sum()
    low = float(of_bin[heard.bins_hz < MIDDLE_C_HZ].sum())
    high = float(of_bin[heard.bins_hz >= 4 * MIDDLE_C_HZ].sum())
    return Timbre(
        float(np.median(centroid[audible])) / 1000,
        100 * float(of_bin[heard.bins_hz >= BRIGHT_HZ].sum()),
        100 * low,
        max(0.0, 100 * (1 - low - high)),
        100 * high,
        _curve(centroid / 1000, how="mean"),
    )
