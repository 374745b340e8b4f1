"""The measure that stops a run whose numbers are not the package's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from data_collection.embedding import encoder as encoder_module
from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.encoder import load_encoder
from data_collection.embedding.fidelity import (
    LEAST_CLIP_COSINE,
    LEAST_FRAME_COSINE,
    MOST_ERROR,
    fixed_clip,
    measure_fidelity,
    require_fidelity,
)
from data_collection.embedding.options import EncoderOptions, Precision
from data_collection.recordings.errors import SetupError
from data_collection.sample.world import CHECKPOINT
from data_collection_tests.embedding.models import tiny_encoder

Array = npt.NDArray[np.float32]


def test_the_clip_is_the_same_everywhere() -> None:
    """The clip is drawn from a fixed seed, in range, with silence and sound.

    Guards against figures that cannot be compared between runs.
    """
    clip = fixed_clip(3.0)
    assert hashlib.sha256(clip).digest() == hashlib.sha256(fixed_clip(3.0)).digest()
    assert (clip.shape, clip.dtype) == ((72_000,), np.dtype(np.float32))
    assert np.abs(clip).max() <= 1.0
    assert not clip[:6_000].any()
    assert float(np.sqrt(np.mean(clip[24_000:] ** 2))) > 0.01


def turned(by: float) -> Callable[[Array], Array]:
    """An encoder whose vectors are the true ones, turned by an angle in radians."""

    def embed(clips: Array) -> Array:
        true = truth(clips)
        other = np.roll(true, 1, axis=-1) * np.where(np.arange(8) % 2, 1.0, -1.0)
        return (np.cos(by) * true + np.sin(by) * other).astype(np.float32)

    return embed


def truth(clips: Array) -> Array:
    drawn = np.random.default_rng(1).normal(size=(len(clips), 50, 4)).astype(np.float32)
    return np.repeat(drawn, 2, axis=-1)


@pytest.mark.parametrize(
    ("precision", "off", "passes"),
    [
        ("float32", 1e-6, True),
        ("float32", 2e-4, False),
        ("bfloat16", 0.012, True),
        ("bfloat16", 0.02, False),
        ("bfloat16", 0.5, False),
    ],
)
def test_the_bounds_hold(precision: Precision, off: float, passes: bool) -> None:
    """Numbers just within the bound pass, and those just beyond stop the batch and say what to set.

    Guards against a check that cannot fail.
    """
    if passes:
        found = require_fidelity(truth, turned(off), precision=precision, what="it")
        assert found == measure_fidelity(truth, turned(off), 1.0)
        return
    with pytest.raises(SetupError, match=f"low_fidelity: it in {precision}") as error:
        require_fidelity(truth, turned(off), precision=precision, what="it")
    assert error.value.stops_batch
    assert "MUQ_" in error.value.detail


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_number_is_low_fidelity(precision: Precision) -> None:
    """NaN never passes.

    Guards against a comparison that is false for NaN the convenient way.
    """

    def nan(clips: Array) -> Array:
        return np.full_like(truth(clips), np.nan)

    with pytest.raises(SetupError, match="low_fidelity"):
        require_fidelity(truth, nan, precision=precision, what="it")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_engine_keeps_the_bounds(precision: Precision) -> None:
    """Our engine on the real architecture is within its bounds, and says how far.

    Guards against an engine that only the check's own bounds let through: they are the promise.
    """
    found = tiny_encoder(precision=precision).fidelity
    if precision == "float32":
        assert found["largest_error"] <= MOST_ERROR
    assert found["frame_cosine"] >= LEAST_FRAME_COSINE
    assert found["clip_cosine"] >= LEAST_CLIP_COSINE


def test_a_wrong_engine_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that leaves out a part of the model is found out when it is loaded.

    Guards against a fidelity check that compares the engine with itself.
    """
    real = encoder_module._lean_model

    def without_the_last_layer(weights: Any, wanted: Any, options: Any, device: str) -> Any:
        return real(weights, (1,), options, device)

    monkeypatch.setattr(encoder_module, "_lean_model", without_the_last_layer)
    with pytest.raises(SetupError, match="low_fidelity"):
        load_encoder(find_checkpoint(str(CHECKPOINT)), EncoderOptions(device="cpu"))
