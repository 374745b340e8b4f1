"""MuQ as a Dagster resource.

What belongs here: configuration and the one model a process keeps. What does not: the forward pass.
"""

import dagster as dg
from pydantic import Field, PrivateAttr

from data_collection.embedding.checkpoint import Checkpoint, find_checkpoint
from data_collection.embedding.encoder import Encoder, load_muq


class MuQResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The encoder: found when first asked for, loaded when a clip really has to be embedded."""

    checkpoint: str = Field(description="folder, or id on the Hugging Face hub")
    revision: str | None = Field(default=None, description="hub branch, tag or commit")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps")

    _found: Checkpoint | None = PrivateAttr(default=None)
    _encoder: Encoder | None = PrivateAttr(default=None)

    def find(self) -> Checkpoint:
        """Which weights these are; loads no model.

        Raises:
            SetupError: the checkpoint is missing.
        """
        if self._found is None:
            self._found = find_checkpoint(self.checkpoint, self.revision)
        return self._found

    def encoder(self) -> Encoder:
        """The loaded model, one a process.

        Raises:
            SetupError: the checkpoint or the device is missing or unusable.
        """
        if self._encoder is None:
            self._encoder = load_muq(self.find(), self.device)
        return self._encoder
