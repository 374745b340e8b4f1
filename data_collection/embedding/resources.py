"""MuQ as a Dagster resource.

What belongs here: configuration and the one model a process keeps. What does not: the forward pass.
"""

import threading
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr, field_validator

from data_collection.embedding.checkpoint import Checkpoint, find_checkpoint
from data_collection.embedding.encoder import Encoder, load_encoder
from data_collection.embedding.options import EncoderOptions


class MuQResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The encoder: found when first asked for, loaded when a clip really has to be embedded."""

    checkpoint: str = Field(description="folder, or id on the Hugging Face hub")
    revision: str | None = Field(default=None, description="hub branch, tag or commit")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps")
    engine: str = Field(default="lean", description="lean, or reference: the muq package's own")
    precision: str = Field(
        default="auto", description="float32, bfloat16, or auto: bfloat16 where that is faster"
    )
    batch_s: float | None = Field(
        default=None, description="seconds of audio at once; found from free memory if not given"
    )
    layers: list[int] | None = Field(
        default=None, description="hidden states to average, 0 to 12; the last if not given"
    )
    pool_frames: int = Field(default=1, description="frames averaged to one; 1 keeps 25 a second")

    _found: Checkpoint | None = PrivateAttr(default=None)
    _encoder: Encoder | None = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @field_validator("engine", "precision", "batch_s", "pool_frames", "layers")
    @classmethod
    def _is_an_option(cls, value: object, info: Any) -> object:
        """Refuse at definition time what the encoder would refuse in the run."""
        asked = "last" if info.field_name == "layers" and value is None else value
        EncoderOptions.model_validate({info.field_name: asked})
        return value

    def options(self) -> EncoderOptions:
        """How clips become embeddings."""
        return EncoderOptions.model_validate(
            {
                "engine": self.engine,
                "device": self.device,
                "precision": self.precision,
                "batch_s": self.batch_s,
                "layers": "last" if self.layers is None else tuple(self.layers),
                "pool_frames": self.pool_frames,
            }
        )

    def find(self) -> Checkpoint:
        """Which weights these are; loads no model.

        Raises:
            SetupError: the checkpoint is missing.
        """
        with self._lock:
            if self._found is None:
                self._found = find_checkpoint(self.checkpoint, self.revision)
            return self._found

    def encoder(self) -> Encoder:
        """The loaded model, one a process; the first call loads it, others wait for that.

        Raises:
            SetupError: the checkpoint or the device is missing or unusable, or its numbers are
                not the package's.
        """
        found = self.find()
        with self._lock:
            if self._encoder is None:
                self._encoder = load_encoder(found, self.options())
            return self._encoder
