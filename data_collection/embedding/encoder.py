"""From clips to embeddings: MuQ run lean, or by its package, behind one interface.

What belongs here: putting a model together from a checkpoint and the chosen options, and running
it. What does not: its parts (`front_end`, `conformer`, `reference`), reading clips and grouping
them (`batches`), files (`stored`). Torch takes seconds to import: nothing here does at import.

Waveform and mel stay float32 whatever the precision: casting the waveform to half is the largest
single error there is (0.063 relative, against 0.026 for all of bfloat16).
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from data_collection.embedding.checkpoint import Checkpoint
from data_collection.embedding.fidelity import require_fidelity
from data_collection.embedding.options import (
    EncoderOptions,
    definite_device,
    definite_precision,
    encoder_parameters,
)
from data_collection.embedding.reference import load_reference
from data_collection.embedding.stored import embedding_file, read_embedding_file
from data_collection.embedding.weights import MuQWeights, named_when_unusable, read_weights
from data_collection.recordings.errors import ItemError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Model = Callable[[Tensor], Tensor]

__all__ = ["Encoder", "MuQEncoder", "embedding_file", "load_encoder", "read_embedding_file"]

SAMPLE_RATE_HZ = 24_000
HOP_FRAMES = 240
HOPS_PER_FRAME = 4
FRAMES_PER_SECOND = 25
MIN_CLIP_FRAMES = 1_025
"""The mel's window reflects half of 2,048 samples, so more than 1,024 are needed."""
PROCESSOR_BATCH_S = 30.0
"""On a processor a larger batch only takes memory: the products are large enough."""
LARGEST_BATCH_S = 960.0
"""32 clips of 30 s keep the largest card busy."""
SHARE_OF_FREE_MEMORY = 0.7
BATCH_NORM_EPS = 1e-5


class Encoder(Protocol):
    """What turns clips into embeddings."""

    @property
    def width(self) -> int:
        """Values a frame."""
        ...

    @property
    def pool_frames(self) -> int:
        """Frames averaged to one; see `frame_count`."""
        ...

    @property
    def batch_s(self) -> float:
        """Seconds of audio that one forward pass may hold."""
        ...

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """What the numbers depend on; goes into every receipt's fingerprint."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """Library versions and the device, for the record."""
        ...

    @property
    def fidelity(self) -> Mapping[str, float]:
        """How near the package's numbers this encoder's are, as measured when it was loaded."""
        ...

    def embed(self, clips: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Embed clips of equal length; see `MuQEncoder.embed`."""
        ...


def frame_count(samples: int, pool_frames: int = 1) -> int:
    """Frames of an embedding of so many samples at 24 kHz; a last one may pool fewer."""
    return math.ceil(math.ceil(samples // HOP_FRAMES / HOPS_PER_FRAME) / pool_frames)


class MuQEncoder:
    """A model on a device, with what is asked of its hidden states."""

    def __init__(
        self,
        model: Model,
        *,
        weights: MuQWeights,
        options: EncoderOptions,
        device: str,
        batch_s: float,
    ) -> None:
        self._model = model
        self._weights = weights
        self._options = options
        self._device = device
        self.batch_s = batch_s
        self.width = weights.width
        self.pool_frames = options.pool_frames
        self.fidelity: Mapping[str, float] = {}

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """Revision, engine, layers, pooling, precision and storage."""
        return encoder_parameters(self._weights.checkpoint, self._options)

    @property
    def versions(self) -> Mapping[str, str]:
        """Checkpoint's name, device, and versions of what computes."""
        import torch

        device = self._device
        if device.startswith("cuda"):
            device = f"{device} ({torch.cuda.get_device_name(device)})"
        return {
            "checkpoint": self._weights.checkpoint.name,
            "device": device,
            "torch": importlib.metadata.version("torch"),
            "muq": importlib.metadata.version("muq"),
        }

    def embed(self, clips: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Embed clips of equal length; padding would change the numbers.

        Args:
            clips: mono samples at 24 kHz in [-1, 1], float32, shape `[batch, samples]`.

        Returns:
            Float32, `[batch, frames, width]`; 25 frames a second if none are pooled. A clip that
            is no number gives an embedding that is none; the others in its batch are not touched.

        Raises:
            ItemError: `clip_too_short`.
        """
        import torch

        if clips.ndim != 2 or clips.dtype != np.float32:
            raise ValueError(
                f"expected float32 of shape [batch, samples], got {clips.dtype} {clips.shape}"
            )
        samples = clips.shape[1]
        if samples < MIN_CLIP_FRAMES:
            raise ItemError(
                "clip_too_short", f"{samples} samples; MuQ needs at least {MIN_CLIP_FRAMES}"
            )
        with torch.inference_mode():
            hidden = self._model(torch.from_numpy(clips).to(self._device))
            pooled = _pooled(hidden, self.pool_frames)
            made: npt.NDArray[np.float32] = pooled.cpu().numpy()
        expected = (len(clips), frame_count(samples, self.pool_frames), self.width)
        if made.shape != expected:
            raise RuntimeError(f"MuQ gave {made.shape}, expected {expected}")
        return made


def load_encoder(checkpoint: Checkpoint, options: EncoderOptions) -> MuQEncoder:
    """Load a checkpoint, unchanged, and hold it against the package's own forward pass.

    Args:
        checkpoint: as found.
        options: what is asked of it.

    Raises:
        SetupError: `device_missing`, `checkpoint_unusable`, `layers_missing`, or `low_fidelity`:
            its numbers are not the package's.
    """
    import torch

    device = definite_device(options.device)
    torch.backends.cudnn.allow_tf32 = False  # cuDNN convolves in TF32 by default: not float32
    weights = read_weights(checkpoint)
    wanted = (weights.depth,) if options.layers == "last" else options.layers
    if max(wanted) > weights.depth:
        raise SetupError(
            "layers_missing",
            f"layer {max(wanted)} was asked for; {checkpoint.name} has {weights.depth}",
        )
    reference = load_reference(weights, device)

    def by_package(clips: Tensor) -> Tensor:
        return reference(clips, wanted)

    def encoder(model: Model) -> MuQEncoder:
        batch_s = options.batch_s or _fitting_batch_s(weights, device)
        return MuQEncoder(model, weights=weights, options=options, device=device, batch_s=batch_s)

    if options.engine == "reference":
        made = encoder(by_package)
        with named_when_unusable(checkpoint):
            made.embed(np.zeros((1, MIN_CLIP_FRAMES), np.float32))
        return made
    with named_when_unusable(checkpoint):
        made = encoder(_lean_model(weights, wanted, options, device))
        made.fidelity = require_fidelity(
            encoder(by_package).embed,
            made.embed,
            precision=definite_precision(options.precision, device),
            what=f"{checkpoint.name} on {device}",
        )
    return made


def _lean_model(
    weights: MuQWeights, wanted: tuple[int, ...], options: EncoderOptions, device: str
) -> Model:
    import torch

    from data_collection.embedding.conformer import Conformer, ConformerShape
    from data_collection.embedding.front_end import (
        DirectFrontEnd,
        LogMel,
        WinogradFrontEnd,
        folded_blocks,
    )

    shape, tensors = weights.shape(), weights.tensors
    precision = definite_precision(options.precision, device)
    factors = torch.float32 if precision == "float32" else torch.bfloat16
    mel = LogMel(
        bands=shape.n_mels,
        mean=shape.stat.melspec_2048_mean,
        std=shape.stat.melspec_2048_std,
        device=device,
    )
    blocks = folded_blocks(tensors, BATCH_NORM_EPS)
    projection = tensors["model.conv.linear.weight"], tensors["model.conv.linear.bias"]
    front_end = (
        WinogradFrontEnd(blocks, projection, factors)
        if device == "cpu"
        else DirectFrontEnd(blocks, projection, factors, device)
    )
    conformer = Conformer(
        tensors,
        ConformerShape(
            layers=shape.encoder_depth,
            heads=shape.w2v2_config.num_attention_heads,
            final_norm_eps=shape.w2v2_config.layer_norm_eps,
        ),
        wanted,
        factors,
        device,
    )
    return lambda clips: conformer(front_end(mel(clips)))


def _pooled(hidden: Tensor, frames: int) -> Tensor:
    """Means of so many consecutive frames, the last of what is left."""
    import torch

    if frames == 1:
        return hidden
    return torch.stack([part.mean(dim=1) for part in hidden.split(frames, dim=1)], dim=1)


def _fitting_batch_s(weights: MuQWeights, device: str) -> float:
    """Seconds of audio whose activations fit into a device's free memory, one clip at least.

    The first block's are the largest: 50 steps a second of half the bands and twice the channels,
    of which three tensors exist at a time. What does not fit after all is halved when it is met.
    """
    import torch

    if device == "cpu":
        return PROCESSOR_BATCH_S
    if device.startswith("cuda"):
        free_bytes = int(torch.cuda.mem_get_info(device)[0])
    elif device == "mps":
        free_bytes = int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    else:
        return PROCESSOR_BATCH_S
    channels = int(weights.tensors["model.conv.conv.0.conv1.weight"].shape[0])
    bands = int(weights.config.get("n_mels", 128)) // 2
    bytes_per_s = 50 * bands * 2 * channels * 4 * 3
    fitting_s = SHARE_OF_FREE_MEMORY * free_bytes / bytes_per_s
    return min(max(fitting_s, PROCESSOR_BATCH_S), LARGEST_BATCH_S)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of torch says that a device's memory did not suffice."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in said or "can't allocate memory" in said
    )
