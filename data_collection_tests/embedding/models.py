"""MuQ models for the tests: the real architecture, tiny, in shapes of their own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.encoder import MuQEncoder, load_encoder
from data_collection.embedding.options import EncoderOptions
from data_collection.embedding.weights import MuQWeights, read_weights
from data_collection.sample.world import CHECKPOINT


@cache
def tiny_encoder(**options: Any) -> MuQEncoder:
    """The sample's checkpoint on the processor, one for each set of options."""
    return load_encoder(
        find_checkpoint(str(CHECKPOINT)), EncoderOptions.model_validate({"device": "cpu"} | options)
    )


@cache
def tiny_weights() -> MuQWeights:
    """The sample's checkpoint's weights."""
    return read_weights(find_checkpoint(str(CHECKPOINT)))


def package_model(folder: Path = CHECKPOINT) -> Any:
    """The checkpoint as the package loads it."""
    from muq import MuQ

    return MuQ.from_pretrained(str(folder)).float().eval()


def noise(samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """A clip of noise, `[samples]`."""
    made = np.random.default_rng(seed).normal(0.0, 0.1, samples)
    return np.clip(made, -0.9, 0.9).astype(np.float32)
