"""MuQ's conformer, run lean: only the layers asked for, batch norm folded, no training head.

What belongs here: the layers and their numeric care. What does not: the front end, checkpoints.

Factors of matrix products may be bfloat16. What carries precision from layer to layer stays
float32: the residual stream, layer norms, and the table of rotary positions, which in half
precision is 0.33 rad off at frame 749.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_collection.embedding.front_end import fold

if TYPE_CHECKING:
    from torch import Tensor, dtype

LAYER_NORM_EPS = 1e-5
BATCH_NORM_EPS = 1e-5
"""What torch gives a norm for which MuQ's configuration names none."""


@dataclass(frozen=True, slots=True)
class ConformerShape:
    """What the weights alone do not tell.

    Attributes:
        layers: conformer layers.
        heads: attention heads.
        final_norm_eps: of the norm after the last layer.
    """

    layers: int
    heads: int
    final_norm_eps: float


class Conformer:
    """Layers as far as they are asked for, and the mean of the hidden states asked for."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        shape: ConformerShape,
        hidden_states: tuple[int, ...],
        factors: dtype,
        device: str,
    ) -> None:
        """Prepare the layers up to the last hidden state asked for.

        Args:
            weights: of a checkpoint, by its names.
            shape: of the same checkpoint.
            hidden_states: to average: 0 is the input, `shape.layers` the normalised output.
            factors: dtype of the factors of matrix products.
            device: where to run.
        """
        self._shape = shape
        self._wanted = frozenset(hidden_states)
        self._layers = [
            _Layer(weights, f"model.conformer.layers.{index}", shape.heads, factors, device)
            for index in range(max(hidden_states))
        ]
        self._final_norm = _norm(weights, "model.conformer.layer_norm", device)
        frequencies = weights["model.conformer.embed_positions.inv_freq"]
        self._frequencies = frequencies.float().to(device)
        self._positions: tuple[int, Tensor, Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """`[batch, frames, width]` to the mean of the hidden states, same shape; float32."""
        from torch.nn.functional import layer_norm

        positions = self._rotary(x)
        total = x.clone() if 0 in self._wanted else None
        for index, layer in enumerate(self._layers, start=1):
            x = layer(x, *positions)
            if index == self._shape.layers:
                x = layer_norm(x, x.shape[-1:], *self._final_norm, self._shape.final_norm_eps)
            if index in self._wanted:
                total = x if total is None else total + x
        if total is None:
            raise RuntimeError("no hidden state was asked for")
        return total if len(self._wanted) == 1 else total / len(self._wanted)

    def _rotary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines `[frames, 1, head]` of the positions, the sines' first half negated."""
        import torch

        frames = x.shape[1]
        if self._positions is None or self._positions[0] != frames:
            times = torch.arange(frames, dtype=torch.float32, device=x.device)
            angles = torch.outer(times, self._frequencies).unsqueeze(1)
            sines = torch.cat((-angles.sin(), angles.sin()), dim=-1)
            cosines = torch.cat((angles.cos(), angles.cos()), dim=-1)
            self._positions = frames, cosines, sines
        return self._positions[1:]


class _Layer:
    """One conformer layer: half a feed-forward, attention, convolution, half a feed-forward."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        prefix: str,
        heads: int,
        factors: dtype,
        device: str,
    ) -> None:
        def linear(name: str) -> tuple[Tensor, Tensor]:
            weight, bias = weights[f"{prefix}.{name}.weight"], weights[f"{prefix}.{name}.bias"]
            return weight.to(device, factors), bias.to(device, factors)

        def pointwise(name: str) -> Tensor:
            return weights[f"{prefix}.conv_module.{name}.weight"].squeeze(-1).to(device, factors)

        def norm(name: str) -> tuple[Tensor, Tensor]:
            return _norm(weights, f"{prefix}.{name}", device)

        self._heads = heads
        self._factors = factors
        self._norms = {
            name: norm(f"{name}_layer_norm") for name in ("ffn1", "self_attn", "ffn2", "final")
        }
        self._norms["conv"] = norm("conv_module.layer_norm")
        self._ffn = {
            name: (linear(f"{name}.intermediate_dense"), linear(f"{name}.output_dense"))
            for name in ("ffn1", "ffn2")
        }
        self._query, self._key, self._value, self._out = (
            linear(f"self_attn.linear_{name}") for name in ("q", "k", "v", "out")
        )
        self._gate, self._mix = pointwise("pointwise_conv1"), pointwise("pointwise_conv2")
        depthwise = fold(
            weights,
            f"{prefix}.conv_module.depthwise_conv",
            f"{prefix}.conv_module.batch_norm",
            BATCH_NORM_EPS,
        )
        self._depthwise = depthwise.weight.to(device), depthwise.bias.to(device)

    def __call__(self, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        x = x.add(self._feed_forward(x, "ffn1"), alpha=0.5)
        x = x.add_(self._attention(x, cosines, sines))
        x = x.add_(self._convolution(x))
        x = x.add_(self._feed_forward(x, "ffn2"), alpha=0.5)
        return self._normalised(x, "final")

    def _normalised(self, x: Tensor, name: str) -> Tensor:
        from torch.nn.functional import layer_norm

        return layer_norm(x, x.shape[-1:], *self._norms[name], LAYER_NORM_EPS)

    def _feed_forward(self, x: Tensor, name: str) -> Tensor:
        from torch.nn.functional import linear, silu

        inner, outer = self._ffn[name]
        x = silu(linear(self._normalised(x, name).to(self._factors), *inner), inplace=True)
        return linear(x, *outer)

    def _attention(self, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        """Positions turn the input of queries and keys, head by head, before their projections."""
        from torch.nn.functional import linear, scaled_dot_product_attention

        batch, frames, width = x.shape
        plain = self._normalised(x, "self_attn")
        by_head = plain.view(batch, frames, self._heads, -1)
        swapped = by_head.roll(by_head.shape[-1] // 2, dims=-1)
        turned = (by_head * cosines).addcmul_(swapped, sines).view_as(plain).to(self._factors)

        def heads(projected: Tensor) -> Tensor:
            return projected.view(batch, frames, self._heads, -1).transpose(1, 2)

        mixed = scaled_dot_product_attention(
            heads(linear(turned, *self._query)),
            heads(linear(turned, *self._key)),
            heads(linear(plain.to(self._factors), *self._value)),
        )
        return linear(mixed.transpose(1, 2).reshape(batch, frames, width), *self._out)

    def _convolution(self, x: Tensor) -> Tensor:
        from torch.nn.functional import conv1d, glu, linear, silu

        x = glu(linear(self._normalised(x, "conv").to(self._factors), self._gate), dim=-1)
        weight, bias = self._depthwise
        x = conv1d(
            x.float().transpose(1, 2), weight, bias, padding=weight.shape[-1] // 2, groups=len(bias)
        )
        return linear(silu(x, inplace=True).transpose(1, 2).to(self._factors), self._mix)


def _norm(weights: Mapping[str, Tensor], name: str, device: str) -> tuple[Tensor, Tensor]:
    return weights[f"{name}.weight"].float().to(device), weights[f"{name}.bias"].float().to(device)
