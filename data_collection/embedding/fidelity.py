"""Whether an encoder's numbers are the package's, on a clip that is always the same.

What belongs here: the clip, the measure, the bounds. What does not: the engines. Measured at the
start of every run, because it depends on the weights, the device and the libraries alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from data_collection.embedding.options import Precision
from data_collection.recordings.errors import SetupError

SAMPLE_RATE_HZ = 24_000
CLIP_S: Mapping[Precision, float] = {"float32": 10.0, "bfloat16": 30.0}
"""Narrow numbers are worst at the end of a long clip, where positions are largest."""
MOST_ERROR = 1e-4
LEAST_FRAME_COSINE = 0.999
LEAST_CLIP_COSINE = 0.9999
SEED = 1_810

Samples = npt.NDArray[np.float32]
Embed = Callable[[Samples], npt.NDArray[np.float32]]


def fixed_clip(seconds: float) -> Samples:
    """A clip with what recordings hold: silence, struck and decaying notes, chords, noise.

    Returns:
        `[samples]` at 24 kHz, float32, the same on every machine.
    """
    drawn = np.random.default_rng(SEED)
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    clip = drawn.normal(0.0, 1e-4, time_s.size)
    for start_s in np.arange(0.5, seconds, 0.25):
        since_s = time_s[time_s >= start_s] - start_s
        pitch_hz = 440.0 * 2.0 ** ((drawn.integers(21, 109) - 69) / 12)
        loudness = 10.0 ** drawn.uniform(-2.5, -0.8)
        for partial in range(1, 7):
            if partial * pitch_hz < SAMPLE_RATE_HZ / 2:
                note = np.exp(-since_s * (1.0 + partial)) / partial
                note *= np.sin(2 * np.pi * partial * pitch_hz * since_s)
                clip[-since_s.size :] += loudness * note
    clip[: SAMPLE_RATE_HZ // 4] = 0.0
    return np.clip(clip, -1.0, 1.0).astype(np.float32)


def measure_fidelity(reference: Embed, embed: Embed, seconds: float) -> dict[str, float]:
    """Embed the fixed clip both ways.

    Returns:
        `largest_error`, and the least cosine of a frame (`frame_cosine`) and that of the clip's
        mean (`clip_cosine`).
    """
    clip = fixed_clip(seconds)[np.newaxis]
    true, ours = reference(clip)[0].astype(np.float64), embed(clip)[0].astype(np.float64)
    return {
        "largest_error": float(np.abs(true - ours).max()),
        "frame_cosine": float(_cosines(true, ours).min()),
        "clip_cosine": float(_cosines(true.mean(axis=0), ours.mean(axis=0))),
    }


def require_fidelity(
    reference: Embed, embed: Embed, *, precision: Precision, what: str
) -> dict[str, float]:
    """Measure, and refuse to go on where the numbers are not near enough.

    Raises:
        SetupError: `low_fidelity`, with the figures and the way out.
    """
    found = measure_fidelity(reference, embed, CLIP_S[precision])
    # Written so that NaN fails.
    near = (
        found["largest_error"] <= MOST_ERROR
        if precision == "float32"
        else found["frame_cosine"] >= LEAST_FRAME_COSINE
        and found["clip_cosine"] >= LEAST_CLIP_COSINE
    )
    if not near:
        bound = (
            f"a largest error of {MOST_ERROR:g}"
            if precision == "float32"
            else f"cosines of {LEAST_FRAME_COSINE} and {LEAST_CLIP_COSINE}"
        )
        way_out = "MUQ_ENGINE=reference" if precision == "float32" else "MUQ_PRECISION=float32"
        raise SetupError(
            "low_fidelity",
            f"{what} in {precision} is too far from the muq package: largest error "
            f"{found['largest_error']:.1e}, least cosine of a frame {found['frame_cosine']:.6f}, "
            f"of the clip's mean {found['clip_cosine']:.6f}, where {bound} are required; "
            f"set {way_out}",
        )
    return found


def _cosines(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | np.float64:
    """Cosines along the last axis."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosines: npt.NDArray[np.float64] | np.float64 = (a * b).sum(axis=-1) / lengths
    return cosines
