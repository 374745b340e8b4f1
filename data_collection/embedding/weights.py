"""A MuQ checkpoint's configuration and tensors, as its files have them.

What belongs here: reading both, memory-mapped, and refusing what is no MuQ checkpoint. What does
not: finding the checkpoint (`checkpoint`), computing with it (`encoder`, `reference`).
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_collection.embedding.checkpoint import CONFIG_NAME, Checkpoint
from data_collection.recordings.errors import SetupError

if TYPE_CHECKING:
    from torch import Tensor

NEEDED = ("model.conv.", "model.conformer.")
"""What an embedding goes through; the training head may be missing from a checkpoint."""


class MelStatistics(BaseModel):
    """Mean and deviation that log-mel values are normalised by, in dB."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    melspec_2048_mean: float
    melspec_2048_std: float = Field(gt=0)


class ConformerConfig(BaseModel):
    """What our engine needs of the conformer's configuration, and the kinds that it knows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    num_attention_heads: int = Field(gt=0)
    hidden_act: Literal["swish", "silu"]
    position_embeddings_type: Literal["rotary"]
    layer_norm_eps: float = 1e-5


class MuQShape(BaseModel):
    """What our engine needs of a configuration, and the kinds of MuQ that it knows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    encoder_depth: int = Field(default=12, gt=0)
    n_mels: int = Field(default=128, gt=0)
    hop_length: Literal[240] = 240
    label_rate: Literal[25] = 25
    stat: MelStatistics
    w2v2_config: ConformerConfig


@dataclass(frozen=True)
class MuQWeights:
    """A checkpoint's content.

    Attributes:
        checkpoint: which one.
        config: `config.json` as it is.
        tensors: by the names of the package's state dict, on the processor, memory-mapped.
    """

    checkpoint: Checkpoint
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def width(self) -> int:
        """Values a frame."""
        return int(self.tensors["model.conv.linear.weight"].shape[0])

    @property
    def depth(self) -> int:
        """Conformer layers."""
        return int(self.config.get("encoder_depth", 12))

    def shape(self) -> MuQShape:
        """The configuration, as far as our engine reads it.

        Raises:
            SetupError: `checkpoint_unusable`, for a kind of MuQ that only the package runs.
        """
        try:
            return MuQShape.model_validate(self.config)
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
            )
            raise SetupError(
                "checkpoint_unusable",
                f"{self.checkpoint.folder}: its configuration is of a kind that the lean engine "
                f"does not know ({said}); MUQ_ENGINE=reference runs what the muq package runs",
            ) from error


def read_weights(checkpoint: Checkpoint) -> MuQWeights:
    """Read a checkpoint: a second for 1.3 GB, as the tensors are paged in when they are used.

    Raises:
        SetupError: `checkpoint_unusable`.
    """
    import torch
    from safetensors.torch import load_file

    with named_when_unusable(checkpoint):
        config = json.loads((checkpoint.folder / CONFIG_NAME).read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise TypeError(f"{CONFIG_NAME} is no object")
        path = checkpoint.weights
        tensors = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, weights_only=True, map_location="cpu", mmap=True)
        )
    return MuQWeights(checkpoint, config, tensors)


@contextmanager
def named_when_unusable(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn what goes wrong with a checkpoint that is none into a fault of the setup, by name."""
    from safetensors import SafetensorError

    try:
        yield
    except (
        RuntimeError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OSError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        raise SetupError(
            "checkpoint_unusable",
            f"{checkpoint.folder}: not a MuQ checkpoint that this muq reads "
            f"({type(error).__name__}: {error})",
        ) from error
