"""The effects: each a pure function of a clip and its parameters, that leaves every sound in place.

What belongs here: room, noise, phone, equaliser. What does not: the pitch shift (`pitch`), how
filters and noises are made, and the order of effects (`chain`). All take and return float32 `[n]`
at 24 kHz, raise `ItemError` for clips that cannot be embedded (see `levels.checked`), and scale the
clip down as a whole where it would pass full scale.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from data_collection.augmentation.filters import band_limited, equalised
from data_collection.augmentation.fourier import convolved
from data_collection.augmentation.levels import (
    SAMPLE_RATE_HZ,
    Samples,
    checked,
    power,
    with_power_of,
    within,
)
from data_collection.augmentation.noise import noise
from data_collection.augmentation.parameters import Equaliser, Noise, Phone, Room
from data_collection.augmentation.rooms import Response

FAINT_POWER = 1e-8
"""-80 dB below full scale: a fainter clip gets the noise that would suit this one."""
DIRECT_END_S, TAIL_BEGIN_S = 0.0025, 0.005
"""The direct sound with the ground's reflection, and where the tail's gain holds fully."""
CONTROL = 48
"""Samples between two looks of the compressor at the level: 2 ms."""


def in_room(samples: Samples, parameters: Room, response: Response) -> Samples:
    """The clip in a room, with the power it had."""
    samples = checked(samples)
    shaped = response.samples * _tail_gain(response, parameters.tail_gain_db)
    wet = convolved(samples, shaped, response.direct)
    return within(with_power_of(wet, samples))


def _tail_gain(response: Response, gain_db: float) -> Samples:
    """1 up to the direct sound's end, then over to the gain."""
    begin = response.direct + round(DIRECT_END_S * SAMPLE_RATE_HZ)
    end = response.direct + round(TAIL_BEGIN_S * SAMPLE_RATE_HZ)
    places = np.arange(response.samples.size)
    share = np.clip((places - begin) / (end - begin), 0.0, 1.0)
    return (1.0 + share * (10 ** (gain_db / 20) - 1.0)).astype(np.float32)


def with_noise(samples: Samples, parameters: Noise) -> Samples:
    """The clip and a noise, at a ratio of their powers over the whole clip."""
    samples = checked(samples)
    made = noise(parameters.kind, samples.size, parameters.noise_seed, parameters.mains_hz)
    level = math.sqrt(max(power(samples), FAINT_POWER)) * 10 ** (-parameters.snr_db / 20)
    return within(samples + np.float32(level) * made)


def by_phone(samples: Samples, parameters: Phone) -> Samples:
    """The clip through a narrow band and a compressor, with the power it had."""
    samples = checked(samples)
    narrow = band_limited(samples, parameters.low_cut_hz, parameters.high_cut_hz)
    return within(with_power_of(_compressed(narrow, parameters), samples))


def through_equaliser(samples: Samples, parameters: Equaliser) -> Samples:
    """The clip through an equaliser, with the power it had."""
    samples = checked(samples)
    return within(with_power_of(equalised(samples, parameters.bands), samples))


def _compressed(samples: Samples, parameters: Phone) -> Samples:
    """A feed-forward compressor that looks at the root mean square of each 2 ms.

    Ratios are 2 and 4 because their gains are square roots, which every processor rounds alike; a
    power is not.
    """
    blocks = -(-samples.size // CONTROL)
    padded = np.pad(samples, (0, blocks * CONTROL - samples.size))
    squares = np.square(padded, dtype=np.float64).reshape(blocks, CONTROL).sum(axis=1) / CONTROL
    threshold = power(samples) * 10 ** (parameters.threshold_db / 10)
    levels = _followed(squares, parameters.attack_ms, parameters.release_ms)
    over = np.sqrt(threshold / np.maximum(levels, max(threshold, 1e-30)))
    gains = np.sqrt(over) if parameters.ratio == 2 else np.sqrt(over) * np.sqrt(np.sqrt(over))
    return (padded.reshape(blocks, CONTROL) * _between(gains)).reshape(-1)[: samples.size]


def _followed(
    squares: npt.NDArray[np.float64], attack_ms: float, release_ms: float
) -> npt.NDArray[np.float64]:
    """Mean squares that rise with one time constant and fall with another."""
    block_ms = 1_000 * CONTROL / SAMPLE_RATE_HZ
    rise, fall = (1 - math.exp(-block_ms / time_ms) for time_ms in (attack_ms, release_ms))
    level, followed = float(squares[0]), []
    for square in squares.tolist():
        level += (rise if square > level else fall) * (square - level)
        followed.append(level)
    return np.array(followed)


def _between(gains: npt.NDArray[np.float64]) -> Samples:
    """Gains in the middle of blocks, over to the next block's in a straight line."""
    edges = np.concatenate((gains[:1], (gains[:-1] + gains[1:]) / 2, gains[-1:]))
    ramp = (np.arange(CONTROL) + 0.5) / CONTROL
    return (edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * ramp).astype(np.float32)
