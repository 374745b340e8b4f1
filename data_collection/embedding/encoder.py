"""From a clip's samples to MuQ's last hidden state.

What belongs here: the one forward pass and its numeric care. What does not: reading clips, writing
files (`recordings.assets`). Torch and muq take 9 s to import, so both are imported in `load_muq`.

Waveform and mel stay float32: casting the waveform to half is the largest single error there is
(0.063 relative, against 0.026 for all of bfloat16). `Encoder` is the seam for faster engines.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from data_collection.embedding.checkpoint import Checkpoint
from data_collection.recordings.errors import ItemError, SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOP_FRAMES = 240
HOPS_PER_FRAME = 4
FRAMES_PER_SECOND = 25
MIN_CLIP_FRAMES = 1_025
"""The mel's window reflects half of 2,048 samples, so more than 1,024 are needed."""
HIDDEN_STATE = "last"
PRECISION = "float32"
STORED_DTYPE = "float16"
NEEDED_WEIGHTS = ("model.conv.", "model.conformer.")
"""What an embedding goes through; the training head may be missing from a checkpoint."""


class Encoder(Protocol):
    """What turns one clip into one embedding."""

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """What the numbers depend on; goes into every receipt's fingerprint."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """Library versions, for the record."""
        ...

    def embed(self, clip: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Embed mono samples at 24 kHz, shape `[samples]`; returns `[frames, width]` at 25 Hz."""
        ...


def frame_count(samples: int) -> int:
    """Frames MuQ makes of so many samples at 24 kHz."""
    return math.ceil(samples // HOP_FRAMES / HOPS_PER_FRAME)


def encoder_parameters(checkpoint: Checkpoint) -> dict[str, str | int]:
    """What an embedding depends on beside the clip; needs no model in memory."""
    return {
        "checkpoint_revision": checkpoint.revision,
        "hidden_state": HIDDEN_STATE,
        "precision": PRECISION,
        "stored_dtype": STORED_DTYPE,
    }


class MuQEncoder:
    """The `muq` package's own forward pass, one clip at a time, in float32."""

    def __init__(self, model: Any, checkpoint: Checkpoint, device: str) -> None:
        self._model = model
        self._checkpoint = checkpoint
        self._device = device
        self.width = int(model.config.encoder_dim)

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """Revision, hidden state, precision and storage."""
        return encoder_parameters(self._checkpoint)

    @property
    def versions(self) -> Mapping[str, str]:
        """Checkpoint's name and versions of torch and muq."""
        import importlib.metadata

        return {
            "checkpoint": self._checkpoint.name,
            "device": self._device,
            "torch": importlib.metadata.version("torch"),
            "muq": importlib.metadata.version("muq"),
        }

    def embed(self, clip: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Embed one clip.

        Args:
            clip: mono samples at 24 kHz in [-1, 1], float32, shape `[samples]`.

        Returns:
            Last hidden state, float32, shape `[frames, width]`, 25 frames a second.

        Raises:
            ItemError: `clip_too_short` or `non_finite_embedding`.
        """
        import torch

        if clip.ndim != 1 or clip.dtype != np.float32:
            raise ValueError(f"expected float32 of shape [samples], got {clip.dtype} {clip.shape}")
        if clip.size < MIN_CLIP_FRAMES:
            raise ItemError(
                "clip_too_short", f"{clip.size} samples; MuQ needs at least {MIN_CLIP_FRAMES}"
            )
        waveform = torch.from_numpy(clip).unsqueeze(0).to(self._device)
        with torch.inference_mode():
            answer = self._model(waveform, output_hidden_states=False)
        hidden: npt.NDArray[np.float32] = answer.last_hidden_state[0].float().cpu().numpy()
        if hidden.shape != (frame_count(clip.size), self.width):
            raise RuntimeError(
                f"MuQ gave {hidden.shape}, expected {(frame_count(clip.size), self.width)}"
            )
        if not np.isfinite(hidden).all():
            raise ItemError("non_finite_embedding", "MuQ gave NaN or infinity for this clip")
        return hidden


def load_muq(checkpoint: Checkpoint, device: str = "auto") -> MuQEncoder:
    """Load a checkpoint, unchanged, in evaluation mode.

    Args:
        checkpoint: as found.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...

    Raises:
        SetupError: `device_missing` or `checkpoint_unusable`.
    """
    import torch
    from muq import MuQ
    from safetensors import SafetensorError

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):  # cuDNN convolves in TF32 by default, which is not float32
        torch.backends.cudnn.allow_tf32 = False
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SetupError("device_missing", f"device {device} is not usable: {error}") from error
    try:
        stored = _stored_names(checkpoint)
        model = MuQ.from_pretrained(str(checkpoint.folder)).float().eval().to(device)
        encoder = MuQEncoder(model, checkpoint, device)
        encoder.embed(np.zeros(MIN_CLIP_FRAMES, np.float32))
    except (
        RuntimeError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OSError,
        ItemError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        raise SetupError(
            "checkpoint_unusable",
            f"{checkpoint.folder}: not a MuQ checkpoint that this muq reads "
            f"({type(error).__name__}: {error})",
        ) from error
    # muq loads what fits and leaves the rest at random values, without a word.
    needed = {name for name in model.state_dict() if name.startswith(NEEDED_WEIGHTS)}
    missing = sorted(needed - stored)
    if missing:
        raise SetupError(
            "checkpoint_unusable",
            f"{checkpoint.folder}: {len(missing)} weights are not in the file, {missing[0]} first; "
            "it belongs to another model or configuration",
        )
    return encoder


def _stored_names(checkpoint: Checkpoint) -> set[str]:
    """Names of the weights in a checkpoint's file."""
    import torch
    from safetensors import safe_open

    weights = checkpoint.weights
    if weights.suffix == ".safetensors":
        with safe_open(weights, framework="pt") as file:
            return set(file.keys())
    return set(torch.load(weights, weights_only=True, map_location="cpu", mmap=True))


def embedding_file(hidden: npt.NDArray[np.float32]) -> bytes:
    """Serialise an embedding as the training code reads it.

    Args:
        hidden: `[frames, width]`, float32.

    Returns:
        A `torch.save`d float16 tensor of that shape, for `torch.load(..., weights_only=True)`.

    Raises:
        ItemError: `embedding_overflow`, where float16 (largest 65,504) cannot hold a value.
    """
    import torch

    if hidden.size and not float(np.abs(hidden).max()) <= float(np.finfo(np.float16).max):
        raise ItemError("embedding_overflow", "a value is no number, or too large for float16")
    buffer = io.BytesIO()
    torch.save(torch.from_numpy(hidden).to(torch.float16).contiguous(), buffer)
    return buffer.getvalue()


def read_embedding_file(content: bytes) -> npt.NDArray[np.float16]:
    """Read an embedding back, `[frames, width]`, float16, without unpickling code.

    Raises:
        ValueError: it is not a tensor file, or not of that kind.
    """
    import torch

    try:
        tensor = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise ValueError(f"not a readable tensor file ({error})") from error
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.float16 or tensor.ndim != 2:
        raise ValueError("expected a float16 tensor of shape [frames, width]")
    array: npt.NDArray[np.float16] = tensor.numpy()
    return array
