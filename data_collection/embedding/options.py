"""What can be chosen about an embedding, and what of it the numbers depend on.

What belongs here: the choices, their limits, and `auto` made definite for a machine. What does not:
the environment's variables (`settings`), Dagster's fields (`resources`), the model (`encoder`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from data_collection.recordings.errors import SetupError

if TYPE_CHECKING:
    from data_collection.embedding.checkpoint import Checkpoint

Engine = Literal["lean", "reference"]
Precision = Literal["float32", "bfloat16"]
STORED_DTYPE = "float16"


class EncoderOptions(BaseModel):
    """How clips become embeddings.

    Attributes:
        engine: `lean` is ours; `reference` is the `muq` package's own forward pass.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: of the factors of matrix products; all else is float32 always. `auto` is
            bfloat16 where the device multiplies it faster than float32.
        batch_s: seconds of audio in one forward pass at most; None: found from free memory.
        layers: `last`, or the hidden states whose mean is taken, 0 (the convolutions' output) to
            the number of layers.
        pool_frames: consecutive frames averaged to one; 1 keeps all 25 a second.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Engine = "lean"
    device: str = "auto"
    precision: Precision | Literal["auto"] = "auto"
    batch_s: float | None = Field(default=None, gt=0)
    layers: Literal["last"] | tuple[int, ...] = "last"
    pool_frames: int = Field(default=1, ge=1)

    @field_validator("layers")
    @classmethod
    def _layers_are_some(
        cls, layers: Literal["last"] | tuple[int, ...]
    ) -> Literal["last"] | tuple[int, ...]:
        if layers == "last":
            return layers
        if not layers or min(layers) < 0:
            raise ValueError("name `last`, or at least one layer, counted from 0")
        return tuple(sorted(set(layers)))


def definite_device(device: str) -> str:
    """What `auto` means here: CUDA before MPS before the processor.

    Raises:
        SetupError: `device_missing`: it cannot be used.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            device = "cuda"
        else:
            device = "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SetupError("device_missing", f"device {device} is not usable: {error}") from error
    return device


def definite_precision(precision: Precision | Literal["auto"], device: str) -> Precision:
    """What `auto` means on a device.

    A processor without instructions for bfloat16 emulates it, many times slower than float32.
    """
    import torch

    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device == "cpu":
        able = torch.cpu.get_capabilities()
        return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"
    return "float32"


def encoder_parameters(checkpoint: Checkpoint, options: EncoderOptions) -> dict[str, str | int]:
    """What an embedding depends on beside the clip; needs no model in memory.

    Raises:
        SetupError: `device_missing`.
    """
    precision = definite_precision(options.precision, definite_device(options.device))
    layers = options.layers
    return {
        "checkpoint_revision": checkpoint.revision,
        "engine": options.engine,
        "layers": layers if layers == "last" else ",".join(map(str, layers)),
        "pool_frames": options.pool_frames,
        "precision": "float32" if options.engine == "reference" else precision,
        "stored_dtype": STORED_DTYPE,
    }
