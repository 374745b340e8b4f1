"""Draws that are the same on every machine, in every order, and for every version of a library.

What belongs here: keys of ids, by which rows are ranked. What does not: what is drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]


def keys_of(seed: int, purpose: str, ids: Iterable[str]) -> Keys:
    """Give each id 64 bits of the SHA-256 of the seed, the purpose and itself."""
    ids = list(ids)
    of_id = {
        one: int.from_bytes(
            hashlib.sha256(f"{seed}\n{purpose}\n{one}".encode()).digest()[:8], "big"
        )
        for one in set(ids)
    }
    return np.array([of_id[one] for one in ids], dtype=np.uint64)


def mixed(one: Keys, other: Keys) -> Keys:
    """Mix two keys into one, by the finalising steps of splitmix64; not symmetric."""
    found = one * np.uint64(0x9E3779B97F4A7C15) + other
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
