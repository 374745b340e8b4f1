"""How loud a clip is, and how an effect keeps it from being louder than can be written.

What belongs here: power, matching it, and full scale. What does not: an effect. Sums are of float64
values by numpy's pairwise addition, never by BLAS, whose order of addition depends on the machine.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from data_collection.recordings.errors import ItemError

Samples = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 24_000
MIN_SAMPLES = 1_025
"""The encoder hears nothing in fewer."""
SILENT_POWER = 1e-14
"""-140 dB below full scale; nothing is matched to less."""


def checked(samples: Samples) -> Samples:
    """The clip itself, if an effect can be applied to it.

    Raises:
        ItemError: fewer samples than the encoder needs, or some that are not finite.
        ValueError: not a float32 array of one axis.
    """
    if samples.dtype != np.float32 or samples.ndim != 1:
        raise ValueError(f"a clip is float32 [n], not {samples.dtype} {list(samples.shape)}")
    if samples.size < MIN_SAMPLES:
        raise ItemError(
            "clip_too_short", f"{samples.size} samples; at least {MIN_SAMPLES} can be embedded"
        )
    if not np.isfinite(samples).all():
        raise ItemError("corrupt_audio", "the clip holds samples that are not finite")
    return np.ascontiguousarray(samples)


def power(samples: Samples) -> float:
    """Mean square."""
    return float(np.mean(np.square(samples, dtype=np.float64)))


def with_power_of(samples: Samples, reference: Samples) -> Samples:
    """Scaled to the mean square of a reference; as it is where either is silent."""
    own, wanted = power(samples), power(reference)
    if own < SILENT_POWER or wanted < SILENT_POWER:
        return samples
    return samples * np.float32(np.sqrt(wanted / own))


def within(samples: Samples, peak_limit: float = 1.0) -> Samples:
    """Scaled down to a peak, as a whole; as it is where it does not pass it."""
    peak = float(np.abs(samples).max())
    if peak <= peak_limit:
        return samples
    limit = np.float32(peak_limit)
    scaled = samples * np.float32(peak_limit / peak)
    return cast(Samples, np.clip(scaled, -limit, limit))  # rounding only
