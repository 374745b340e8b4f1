"""The `muq` package's own forward pass: what every other engine is measured against.

What belongs here: running the package unchanged, in float32. What does not: our engine
(`encoder`). Importing the package takes 4 to 9 s, so that is done when a model is loaded.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from data_collection.embedding.weights import NEEDED, MuQWeights, named_when_unusable
from data_collection.recordings.errors import SetupError

if TYPE_CHECKING:
    from torch import Tensor


class ReferenceModel:
    """The package's model on a device: its hidden states, in float32."""

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device

    def __call__(self, clips: Tensor, hidden_states: tuple[int, ...]) -> Tensor:
        """`[batch, samples]` to the mean of the hidden states `[batch, frames, width]`."""
        import torch

        states = self._model(clips, output_hidden_states=True).hidden_states
        return torch.stack([states[index] for index in hidden_states]).mean(dim=0)


def load_reference(weights: MuQWeights, device: str) -> ReferenceModel:
    """Build the package's model around a checkpoint's tensors, in evaluation mode.

    Nothing is drawn at random only to be replaced, and the model takes the tensors as they are, so
    that its 1.3 GB exist once on a processor.

    Raises:
        SetupError: `checkpoint_unusable`: the weights are another model's, or some are missing.
            The package loads what fits and leaves the rest at random values, without a word.
    """
    import torch
    from muq import MuQ, MuQConfig
    from transformers.modeling_utils import no_init_weights

    checkpoint = weights.checkpoint
    with named_when_unusable(checkpoint):
        known = {field.name for field in dataclasses.fields(MuQConfig)}
        config = MuQConfig(**{key: weights.config[key] for key in weights.config if key in known})
        with no_init_weights():
            model = MuQ(config)
        missing = sorted(
            name
            for name in model.load_state_dict(weights.tensors, strict=False, assign=True)[0]
            if name.startswith(NEEDED)
        )
        if missing:
            raise SetupError(
                "checkpoint_unusable",
                f"{checkpoint.folder}: {len(missing)} weights are not in the file, {missing[0]} "
                "first; it belongs to another model or configuration",
            )
        inner = model.model
        inner.linear = torch.nn.Identity()  # the training head, which a checkpoint may lack
        for part in (inner.conv, inner.conformer):
            part.float().to(device)
        return ReferenceModel(model.eval(), device)
