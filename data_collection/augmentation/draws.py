"""Random numbers that are the same on every machine, in every order, for every version of numpy.

What belongs here: streams of raw bits seeded by a SHA-256, and numbers made of them exactly. What
does not: what is drawn. numpy promises that a bit generator's raw output never changes, and does
not promise it of its distributions; so only raw output is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Choice = TypeVar("Choice")

_MAX_SUM = 4 * 65_535
_NOISE_SCALE = np.float32(1 / 37_837.0)
"""Standard deviation of a sum of four 16-bit numbers: sqrt(4 * (2^32 - 1) / 12)."""


def digest(*parts: str | int) -> bytes:
    """SHA-256 of parts that cannot run into each other."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).digest()


class Draws:
    """A stream of numbers that belongs to some parts, such as a seed and a segment."""

    def __init__(self, *parts: str | int) -> None:
        self._bits = np.random.PCG64(int.from_bytes(digest(*parts)[:16], "big"))

    def share(self) -> float:
        """The next number of [0, 1), on a grid of 2^-53."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def between(self, low: float, high: float, decimals: int) -> float:
        """The next number of [low, high], rounded: what is stored is exactly what is used."""
        return min(high, max(low, round(low + (high - low) * self.share(), decimals)))

    def one_of(self, choices: Sequence[Choice], weights: Sequence[float]) -> Choice:
        """One choice, each as probable as its weight."""
        left = self.share() * sum(weights)
        for choice, weight in zip(choices, weights, strict=True):
            left -= weight
            if left < 0:
                return choice
        return next(c for c, w in zip(reversed(choices), reversed(weights), strict=True) if w > 0)

    def integer(self) -> int:
        """The next number of 63 bits."""
        return int(self._bits.random_raw()) >> 1

    def white_noise(self, size: int) -> Samples:
        """Independent samples of mean 0 and variance 1, nearly normal: sums of four integers.

        Their excess kurtosis is -0.3 and none is beyond 3.5; any filter brings them closer to
        normal. Integers add exactly, so no processor can round them otherwise.
        """
        raw = self._bits.random_raw(size)
        words = np.frombuffer(raw.tobytes(), np.uint16).reshape(size, 4)
        sums = words[:, 0].astype(np.int32)
        for column in range(1, 4):
            sums += words[:, column]
        return (2 * sums - _MAX_SUM).astype(np.float32) * (_NOISE_SCALE / 2)
