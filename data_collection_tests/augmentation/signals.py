"""Signals whose truth is known, and measures of what an effect did to a clip."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples


def piano_tone(frequency_hz: float, onset_s: float, duration_s: float, total_s: float) -> Samples:
    """A struck string: 14 inharmonic partials that beat and decay, higher ones sooner."""
    times_s = np.arange(round(total_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ - onset_s
    sounding = times_s >= 0
    since_s = np.where(sounding, times_s, 0)
    tone = np.zeros(times_s.size)
    for partial in range(1, 15):
        partial_hz = partial * frequency_hz * np.sqrt(1 + 4e-4 * partial**2)
        if partial_hz > 0.45 * SAMPLE_RATE_HZ:
            break
        for detuned in (-0.0002, 0.0003):
            tone += (
                np.sin(2 * np.pi * partial_hz * (1 + detuned) * since_s + partial)
                * np.exp(-since_s * (0.8 + 0.25 * partial))
                / partial
            )
    rise = 1 - np.exp(-since_s / 0.0015)
    release = np.clip((duration_s - since_s) / 0.05, 0, 1)
    return np.asarray(0.15 * tone * rise * release * sounding, dtype=np.float32)


def lag_samples(twin: Samples, clip: Samples) -> float:
    """Delay of one signal against another by cross-correlation, to a fraction of a sample."""
    size = 2 ** int(np.ceil(np.log2(2 * clip.size)))
    one, other = (np.fft.rfft(signal.astype(np.float64), size) for signal in (twin, clip))
    return _peak(np.fft.irfft(one * np.conj(other)))


def arrival_samples(twin: Samples, clip: Samples) -> float:
    """When a clip's sound arrives most strongly in a twin: its lag in an echoing room.

    A plain cross-correlation peaks where the harmonics of chords and echoes happen to agree.
    """
    return _peak(response_between(clip, twin))


def response_between(clip: Samples, twin: Samples) -> npt.NDArray[np.float64]:
    """What lies between a clip and its twin; lag 0 is the first, negative ones are at the end.

    The cross-correlation, made flat by the clip's own power.
    """
    size = 2 ** int(np.ceil(np.log2(2 * clip.size)))
    one, other = (np.fft.rfft(signal.astype(np.float64), size) for signal in (twin, clip))
    strength = np.square(np.abs(other))
    return np.fft.irfft(one * np.conj(other) / (strength + 1e-8 * strength.max()))


def _peak(correlation: npt.NDArray[np.float64]) -> float:
    size = correlation.size
    peak = int(np.argmax(np.abs(correlation)))
    before, at, after = (abs(correlation[(peak + step) % size]) for step in (-1, 0, 1))
    fraction = 0.5 * (before - after) / (before - 2 * at + after)
    return float((peak if peak < size // 2 else peak - size) + fraction)


def rises(samples: Samples, hop: int = 24) -> Samples:
    """How fast the highs' level rises, in steps of 1 ms: what stays where the pitch changes.

    Lows are left out: their periods are as long as what is to be measured.
    """
    highs = np.diff(samples.astype(np.float64), 2)
    blocks = highs[: highs.size // hop * hop].reshape(-1, hop)
    level = np.sqrt(np.convolve(np.square(blocks).mean(axis=1), np.hanning(9) / 4, "same"))
    return np.asarray(np.maximum(level[3:] - level[:-3], 0), dtype=np.float32)


def power_db(samples: Samples, low_hz: float, high_hz: float) -> float:
    """Power of a band, in dB."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2 / samples.size**2
    frequencies_hz = np.fft.rfftfreq(samples.size, 1 / SAMPLE_RATE_HZ)
    band = (frequencies_hz >= low_hz) & (frequencies_hz < high_hz)
    return float(10 * np.log10(spectrum[band].sum() + 1e-30))
