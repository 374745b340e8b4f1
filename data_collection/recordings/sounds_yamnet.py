"""YAMNet: what a second of sound sounds like, as the logits of some AudioSet classes.

What belongs here: the network, its log-mel input, loading its shipped weights. What does not: what
the logits mean for a recording (`sounds`). The network is Google's MobileNet v1, trained on
AudioSet (Apache-2.0); `sound_models/README.md` says where the weights come from and what was done
to them. Torch is imported when a network is loaded, not before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data_collection.recordings.errors import SetupError

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).parent / "sound_models" / "yamnet.safetensors"
CLASSES_KEY = "classes"

RATE_HZ = 16_000
WINDOW, HOP, FFT = 400, 160, 512
MEL_BANDS = 64
MEL_RANGE_HZ = (125.0, 7500.0)
LOG_OFFSET = 0.001
PATCH_FRAMES = 96
PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP + WINDOW
REFERENCE_RMS = 0.1
"""What each patch is scaled to: the log's offset makes YAMNet hear a quiet sound as silence."""
LEAST_RMS = 1e-7
"""-140 dBFS, about the rounding noise of 24 bits: nothing is made louder than from here."""

STRIDES = (2, *(1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1))
"""Of the first convolution and of the 13 depthwise ones."""

Mono = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32]


class Yamnet:
    """The network with its weights in memory (13 MB); use `Yamnet.load`."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._tensors = tensors

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Yamnet:
        """Read the shipped weights.

        Raises:
            SetupError: `missing_model`, when the file is not there or not whole.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                classes = tuple(json.loads(file.metadata()[CLASSES_KEY]))
                stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise SetupError(
                "missing_model",
                f"{path} cannot be read ({error}); it ships with data_collection: install again",
            ) from error
        return cls(dequantised(stored), classes)

    def logits(self, patches: Matrix) -> Matrix:
        """Run the network.

        Args:
            patches: log-mel float32 [patches, 96, 64], as `patches_of` makes them.

        Returns:
            float32 [patches, classes], in the order of `classes`.
        """
        import torch
        from torch.nn import functional

        with torch.inference_mode():
            hidden = torch.from_numpy(patches)[:, None]
            for index in range(2 * len(STRIDES) - 1):
                weight, bias = self._tensors[f"{index}.weight"], self._tensors[f"{index}.bias"]
                depthwise = index % 2 == 1
                stride = STRIDES[(index + 1) // 2] if depthwise or index == 0 else 1
                if weight.shape[-1] == 3:
                    # As TensorFlow pads an even length: at stride 2 only behind.
                    before = 2 - stride
                    hidden = functional.pad(hidden, (before, 1, before, 1))
                groups = hidden.shape[1] if depthwise else 1
                hidden = functional.conv2d(hidden, weight, bias, stride=stride, groups=groups)
                hidden = functional.relu(hidden, inplace=True)
            pooled = hidden.mean(dim=(2, 3))
            out = functional.linear(
                pooled, self._tensors["classes.weight"], self._tensors["classes.bias"]
            )
        made: Matrix = out.numpy()
        return made


def dequantised(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The stored tensors as float32: 8-bit weights have a scale for each output channel."""
    tensors = {}
    for name, tensor in stored.items():
        if name.endswith(".scale"):
            continue
        scale = stored.get(name.replace(".weight", ".scale")) if "weight" in name else None
        whole = tensor.float()
        if scale is not None:
            whole = whole * scale.reshape(-1, *[1] * (tensor.dim() - 1))
        tensors[name] = whole
    return tensors


def seconds_of(samples: Mono) -> int:
    """How many seconds a clip is scored by: whole ones, the last rounded, at least one."""
    return max(1, math.floor(samples.size / RATE_HZ + 0.5))


def patches_of(samples: Mono) -> tuple[Matrix, npt.NDArray[np.float64]]:
    """Cut a clip into one log-mel patch a second, each at the same level.

    The last patch ends with the clip; a clip shorter than a patch is repeated until it fills one.

    Args:
        samples: mono float32 at 16 kHz, one sample or more.

    Returns:
        Patches, float32 [seconds, 96, 64], and the RMS level of each before it was scaled.
    """
    seconds = seconds_of(samples)
    padded = np.resize(samples, PATCH_SAMPLES) if samples.size < PATCH_SAMPLES else samples
    starts = np.minimum(np.arange(seconds) * RATE_HZ, padded.size - PATCH_SAMPLES)
    parts = np.stack([padded[start : start + PATCH_SAMPLES] for start in starts])
    rms = np.sqrt(np.mean(parts.astype(np.float64) ** 2, axis=1))
    scaled = parts * (REFERENCE_RMS / np.maximum(rms, LEAST_RMS)).astype(np.float32)[:, None]
    frames = np.lib.stride_tricks.sliding_window_view(scaled, WINDOW, axis=1)[:, ::HOP]
    magnitudes = np.abs(np.fft.rfft(frames * _window(), FFT, axis=2)).astype(np.float32)
    return np.log(magnitudes @ _mel_weights() + np.float32(LOG_OFFSET)), rms


@lru_cache
def _window() -> Mono:
    """A periodic Hann window."""
    return np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)


@lru_cache
def _mel_weights() -> Matrix:
    """Triangles evenly spaced in HTK's mel, straight-sided in mel: float32 [257, 64]."""
    bins = _mel(np.linspace(0, RATE_HZ / 2, FFT // 2 + 1))
    lowest, highest = _mel(np.array(MEL_RANGE_HZ))
    edges = np.linspace(lowest, highest, MEL_BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    weights: Matrix = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    return weights


def _mel(frequency_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    mel: npt.NDArray[np.float64] = 1127.0 * np.log1p(frequency_hz / 700.0)
    return mel
