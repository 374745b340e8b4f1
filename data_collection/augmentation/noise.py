"""Noises that recordings have, each of mean square 1 and as long as it is needed.

What belongs here: white, pink, hiss, the tone of an empty room, mains hum. What does not: how loud
a noise is beside a clip (`effects`). None holds voices: speech would be a label of its own.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from data_collection.augmentation.draws import Draws
from data_collection.augmentation.levels import SAMPLE_RATE_HZ, SILENT_POWER, Samples, power
from data_collection.augmentation.parameters import NoiseKind

SETTLING_S = 0.2
"""A filter begins from silence: what it gives before this is thrown away."""
PINK_LOWEST_POLE_HZ, PINK_OCTAVES, PINK_PAIRS = 8.0, 2.0, 5
"""Poles two octaves apart with a zero midway fall by 3 dB an octave, from 10 Hz to 10 kHz."""
ROOM_TONE_CORNER_HZ = 200.0
HISS_CORNER = 0.7
HUM_SLOPE = 0.7
"""Each harmonic's amplitude is its predecessor's times this; even ones are at half."""
HUM_HARMONICS = 12


def noise(kind: NoiseKind, size: int, seed: int, mains_hz: int = 50) -> Samples:
    """Make a noise.

    Args:
        kind: which.
        size: samples, at 24 kHz.
        seed: of its draws.
        mains_hz: 50 or 60, for `hum`.

    Returns:
        `[size]`, mean square 1.
    """
    draws = Draws("noise", kind, seed)
    made = _hum(draws, size, mains_hz) if kind == "hum" else _coloured(draws, kind, size)
    return made * np.float32(1 / math.sqrt(max(power(made), SILENT_POWER)))


def _coloured(draws: Draws, kind: NoiseKind, size: int) -> Samples:
    if kind == "white":
        return draws.white_noise(size)
    if kind == "hiss":
        white = draws.white_noise(size + 1)
        return white[1:] - np.float32(HISS_CORNER) * white[:-1]
    return _filtered(draws.white_noise(size + round(SETTLING_S * SAMPLE_RATE_HZ)), kind)[-size:]


def _filtered(white: Samples, kind: NoiseKind) -> Samples:
    from scipy.signal import lfilter

    poles_hz = [PINK_LOWEST_POLE_HZ * 2 ** (PINK_OCTAVES * pair) for pair in range(PINK_PAIRS)]
    zeros_hz = [pole_hz * 2 ** (PINK_OCTAVES / 2) for pole_hz in poles_hz]
    if kind == "room_tone":
        poles_hz.append(ROOM_TONE_CORNER_HZ)
    filtered = lfilter(_polynomial(zeros_hz), _polynomial(poles_hz), white.astype(np.float64))
    return np.asarray(filtered, dtype=np.float32)


def _polynomial(corners_hz: list[float]) -> npt.NDArray[np.float64]:
    """The product of one first-order factor for each corner."""
    product = [1.0]
    for corner_hz in corners_hz:
        root = math.exp(-2 * math.pi * corner_hz / SAMPLE_RATE_HZ)
        product = [a - root * b for a, b in zip([*product, 0.0], [0.0, *product], strict=True)]
    return np.array(product)


def _hum(draws: Draws, size: int, mains_hz: int) -> Samples:
    """Harmonics of the mains, whose period is a whole number of samples."""
    period = SAMPLE_RATE_HZ // mains_hz
    cycle = [0.0] * period
    amplitude = 1.0
    for harmonic in range(1, HUM_HARMONICS + 1):
        phase = draws.share()
        strength = amplitude if harmonic % 2 else amplitude / 2
        for place in range(period):
            turn = (harmonic * place / period + phase) % 1.0
            cycle[place] += strength * math.sin(2 * math.pi * turn)
        amplitude *= HUM_SLOPE
    return np.resize(np.array(cycle, dtype=np.float32), size)
