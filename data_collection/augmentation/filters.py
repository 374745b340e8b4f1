"""Equaliser and band limit as filters of linear phase: all frequencies stay in their place.

What belongs here: magnitudes and the filters that have them. What does not: levels and compression.
A recursive filter delays what lies near its corners by milliseconds, differently for each frequency
and band; a symmetric one by half its length exactly, which is taken off again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from data_collection.augmentation.fourier import blackman, convolved, cosines
from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples
from data_collection.augmentation.parameters import Band

GRID = 8_192
"""Points of the circle on which magnitudes are given: 2.9 Hz apart."""
EQUALISER_TAPS = 4_095
"""Resolves 18 Hz, enough for a shelf at 80 Hz."""
BAND_TAPS = 511
"""Passes from all to nothing within 0.2 kHz, and rings for 10 ms."""

Magnitudes = npt.NDArray[np.float64]


def equalised(samples: Samples, bands: Iterable[Band]) -> Samples:
    """The clip through bands one after the other."""
    magnitudes = np.ones(GRID // 2 + 1)
    for band in bands:
        magnitudes *= band_magnitudes(band)
    return _filtered(samples, magnitudes, EQUALISER_TAPS)


def band_limited(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """The clip without what lies below and above."""
    frequencies_hz = np.arange(GRID // 2 + 1) * (SAMPLE_RATE_HZ / GRID)
    passes = (frequencies_hz >= low_hz) & (frequencies_hz <= high_hz)
    return _filtered(samples, passes.astype(np.float64), BAND_TAPS)


def band_magnitudes(band: Band) -> Magnitudes:
    """Magnitude of one band on the grid, `[GRID // 2 + 1]`.

    Source: Bristow-Johnson, Cookbook formulae for audio EQ biquad filter coefficients.
    """
    above, below = _biquad(band)
    return np.sqrt(_power(above) / _power(below))


def _biquad(band: Band) -> tuple[tuple[float, ...], tuple[float, ...]]:
    gain = 10 ** (band.gain_db / 40)
    angle = 2 * math.pi * band.frequency_hz / SAMPLE_RATE_HZ
    cosine, alpha = math.cos(angle), math.sin(angle) / (2 * band.q)
    if band.shape == "peak":
        return (
            (1 + alpha * gain, -2 * cosine, 1 - alpha * gain),
            (1 + alpha / gain, -2 * cosine, 1 - alpha / gain),
        )
    side = 1 if band.shape == "low_shelf" else -1
    more, less = gain + 1, gain - 1
    slope = 2 * math.sqrt(gain) * alpha
    above = (
        gain * (more - side * less * cosine + slope),
        side * 2 * gain * (less - side * more * cosine),
        gain * (more - side * less * cosine - slope),
    )
    below = (
        more + side * less * cosine + slope,
        -side * 2 * (less + side * more * cosine),
        more + side * less * cosine - slope,
    )
    return above, below


def _power(coefficients: tuple[float, ...]) -> Magnitudes:
    """Squared magnitude of a polynomial of the second degree on the unit circle."""
    first, second, third = coefficients
    places = np.arange(GRID // 2 + 1)
    table = cosines(GRID)
    return np.maximum(
        (first * first + second * second + third * third)
        + 2 * (first * second + second * third) * table[places]
        + 2 * first * third * table[2 * places % GRID],
        1e-20,
    )


def _filtered(samples: Samples, magnitudes: Magnitudes, taps: int) -> Samples:
    """The clip through the symmetric filter of some length that comes nearest to magnitudes."""
    from scipy import fft

    whole = fft.irfft(magnitudes, GRID, workers=1)
    half = taps // 2
    centred = np.concatenate((whole[-half:], whole[: half + 1]))
    window = blackman(taps + 1)[1:]
    return convolved(samples, (centred * window).astype(np.float32), half)
