"""From waveforms to the conformer's input: log-mel spectrogram, two residual blocks, projection.

What belongs here: MuQ's front end, run lean. What does not: the conformer, checkpoints.

The two blocks are 820 of the 1,295 GFLOP of a 30 s clip. Batch norms are folded into the
convolutions, and the two that read the same input are one. On a processor the 3x3 layers go by
Winograd's filtering, clip by clip and in pieces of 3 s, each with the edge that it needs of its
neighbours, so that memory stays bounded; a graphics card convolves directly, a batch at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_collection.embedding.winograd import WinogradConvolution, Workspace

if TYPE_CHECKING:
    from torch import Tensor, dtype

SAMPLE_RATE_HZ = 24_000
HOP_FRAMES = 240
WINDOW_FRAMES = 2_048
FRAMES_AT_ONCE = 75
"""Embedding frames of a piece, 10 in a clip of 30 s; the doubled edges cost 3 %."""

STRIDE_2_OUTPUTS = 3
"""Of a tile: 4 multiply 7 % less and take as long, with 23 MB more of kernels."""
STRIDE_1_OUTPUTS = 4
NARROW_STRIDE_1_OUTPUTS = 2
"""In bfloat16 2 cost 1.5 times the error of a direct convolution (0.0029), 4 six times."""


@dataclass(frozen=True, slots=True)
class FoldedLayer:
    """A 3x3 convolution and its batch norm in one.

    Attributes:
        weight: `[out_channels, channels, 3, 3]`, float32.
        bias: `[out_channels]`, float32.
    """

    weight: Tensor
    bias: Tensor

    def beside(self, other: FoldedLayer) -> FoldedLayer:
        """Both layers, which read the same input, as one of twice the channels."""
        import torch

        return FoldedLayer(
            torch.cat((self.weight, other.weight)), torch.cat((self.bias, other.bias))
        )


@dataclass(frozen=True, slots=True)
class FoldedBlock:
    """A residual block: `relu(last(relu(first[:half])) + first[half:])`.

    Attributes:
        first: stride 2; the block's own first layer, then that of its residual path.
        last: stride 1.
    """

    first: FoldedLayer
    last: FoldedLayer


def fold(weights: Mapping[str, Tensor], convolution: str, norm: str, eps: float) -> FoldedLayer:
    """Fold a batch norm in evaluation mode into the convolution before it.

    Args:
        weights: of a checkpoint.
        convolution: prefix of the convolution's names.
        norm: prefix of the batch norm's names.
        eps: the batch norm's.
    """
    variance = weights[f"{norm}.running_var"].double()
    scale = weights[f"{norm}.weight"].double() / (variance + eps).sqrt()
    weight = weights[f"{convolution}.weight"].double()
    shift = -weights[f"{norm}.running_mean"].double()
    if f"{convolution}.bias" in weights:
        shift = shift + weights[f"{convolution}.bias"].double()
    scaled = weight * scale.view(-1, *[1] * (weight.ndim - 1))
    return FoldedLayer(scaled.float(), (shift * scale + weights[f"{norm}.bias"].double()).float())


def folded_blocks(weights: Mapping[str, Tensor], eps: float) -> tuple[FoldedBlock, FoldedBlock]:
    """Both blocks of a checkpoint, folded."""

    def block(prefix: str) -> FoldedBlock:
        first, last, residual = (
            fold(weights, f"{prefix}.conv{index}", f"{prefix}.bn{index}", eps)
            for index in (1, 2, 3)
        )
        return FoldedBlock(first.beside(residual), last)

    return block("model.conv.conv.0"), block("model.conv.conv.1")


class LogMel:
    """Normalised log-mel spectrograms, always in float32."""

    def __init__(self, *, bands: int, mean: float, std: float, device: str) -> None:
        from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

        self._mel = MelSpectrogram(
            sample_rate=SAMPLE_RATE_HZ, n_fft=WINDOW_FRAMES, hop_length=HOP_FRAMES, n_mels=bands
        ).to(device)
        self._decibels = AmplitudeToDB()
        self._mean, self._std = mean, std

    def __call__(self, clips: Tensor) -> Tensor:
        """`[batch, samples]` at 24 kHz to `[batch, time, bands]`, 100 a second; float32."""
        spectrogram: Tensor = self._decibels(self._mel(clips))[..., :-1]
        return spectrogram.sub_(self._mean).div_(self._std).transpose(1, 2)


def patches(mel: Tensor) -> Tensor:
    """What outputs of a first layer see: `[batch, time, bands]` to `[..., 10]` at half of both.

    With one channel in, the layer is a product with these; the tenth value is 1, for the bias.
    """
    from torch.nn.functional import pad

    seen = pad(mel, (1, 1, 1, 1)).unfold(1, 3, 2).unfold(2, 3, 2).transpose(-1, -2)
    return pad(seen.flatten(-2), (0, 1), value=1.0)


def _product_of_patches(layer: FoldedLayer, factors: dtype) -> Tensor:
    """A first layer as the matrix that patches are multiplied by, `[10, out_channels]`.

    For narrower factors `[20, ...]`: the patches as the sum of two keep their float32 precision.
    """
    import torch

    once = torch.cat((layer.weight.flatten(1), layer.bias.unsqueeze(1)), dim=1).t()
    return (once if factors == torch.float32 else torch.cat((once, once))).to(factors).contiguous()


class WinogradFrontEnd:
    """The blocks and the projection for a processor, a clip at a time."""

    def __init__(
        self,
        blocks: tuple[FoldedBlock, FoldedBlock],
        projection: tuple[Tensor, Tensor],
        factors: dtype,
    ) -> None:
        import torch

        first, second = blocks
        self._factors = factors
        self._half = first.last.weight.shape[0]
        self._workspace = Workspace()
        # What comes after both paths of a block have met is added with the residual path's own.
        product = _product_of_patches(first.first, torch.float32)
        product[-1, self._half :] += first.last.bias
        self._first = product[:, : self._half].contiguous(), product[:, self._half :].contiguous()
        self._second_bias = second.first.bias.clone()
        self._second_bias[self._half :] += second.last.bias
        is_exact = factors == torch.float32
        at_stride_1 = STRIDE_1_OUTPUTS if is_exact else NARROW_STRIDE_1_OUTPUTS
        self._first_last, self._second_first, self._second_last = (
            WinogradConvolution(
                layer.weight,
                stride=stride,
                outputs=outputs,
                factors=factors,
                workspace=self._workspace,
            )
            for layer, stride, outputs in (
                (first.last, 1, at_stride_1),
                (second.first, 2, STRIDE_2_OUTPUTS),
                (second.last, 1, at_stride_1),
            )
        )
        self._projection = tuple(part.to(factors) for part in projection)

    def __call__(self, mel: Tensor) -> Tensor:
        """`[batch, time, bands]` to `[batch, frames, width]`, float32."""
        import torch

        return torch.stack([self._clip(clip) for clip in mel])

    def _clip(self, mel: Tensor) -> Tensor:
        import torch

        seen = patches(mel.unsqueeze(0))[0]
        frames = (seen.shape[0] + 1) // 2
        weight, bias = self._projection
        flat = torch.empty(frames, weight.shape[1], dtype=self._factors)
        for start in range(0, frames, FRAMES_AT_ONCE):
            span = Span(start, min(start + FRAMES_AT_ONCE, frames), frames)
            into = flat[span.start : span.stop].view(len(span), self._half, -1)
            into.copy_(self._piece(seen, span).transpose(1, 2))  # bands within a channel
        # For the whole clip at once: the products read 64 MB of weights.
        return torch.nn.functional.linear(flat, weight, bias).float()

    def _piece(self, seen: Tensor, span: Span) -> Tensor:
        """What the projection makes the frames `span` of: `[frames, bands, channels]`."""
        import torch

        between = span.widened()
        outer = between.doubled(seen.shape[0])
        inner = outer.widened()
        own = self._of_patches(seen, inner, self._first[0])
        made = self._first_last(own, *inner.padding(outer), rectify=True)
        made += self._of_patches(seen, outer, self._first[1])
        made = self._second_first(made, *outer.padding_doubled(between), rectify=True)
        both = self._workspace.take("other", tuple(made.shape), torch.float32)
        torch.add(made, self._second_bias, out=both)
        own, rest = both.split(self._half, dim=-1)
        made = self._second_last(own, *between.padding(span), rectify=True)
        made += rest[span.start - between.start : span.stop - between.start]
        return made.relu_()

    def _of_patches(self, seen: Tensor, span: Span, product: Tensor) -> Tensor:
        """One path of the first layer, in the workspace until the next call."""
        import torch

        shape = (len(span), seen.shape[1], product.shape[1])
        made = self._workspace.take("other", shape, torch.float32)
        given = seen[span.start : span.stop].flatten(0, 1)
        torch.mm(given, product, out=made.view(-1, product.shape[1]))
        return made


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive time steps of a layer, and how many the whole clip has there."""

    start: int
    stop: int
    length: int

    def __len__(self) -> int:
        return self.stop - self.start

    def widened(self) -> Span:
        """With what a stride-1 layer sees on both sides."""
        return Span(max(0, self.start - 1), min(self.length, self.stop + 1), self.length)

    def doubled(self, length: int) -> Span:
        """What a stride-2 layer sees of the layer before, which has `length` steps."""
        return Span(max(0, 2 * self.start - 1), min(length, 2 * self.stop), length)

    def padding(self, seen_by: Span) -> tuple[int, int]:
        """Zeros that a stride-1 layer needs before and after this to make `seen_by`."""
        return self.start - (seen_by.start - 1), (seen_by.stop + 1) - self.stop

    def padding_doubled(self, seen_by: Span) -> tuple[int, int]:
        """Zeros that a stride-2 layer needs before and after this to make `seen_by`."""
        return self.start - (2 * seen_by.start - 1), 2 * seen_by.stop - self.stop


class DirectFrontEnd:
    """The blocks and the projection for a graphics card, a batch at a time."""

    def __init__(
        self,
        blocks: tuple[FoldedBlock, FoldedBlock],
        projection: tuple[Tensor, Tensor],
        factors: dtype,
        device: str,
    ) -> None:
        import torch

        self._factors = factors
        first, second = blocks
        self._half = first.last.weight.shape[0]
        self._first = _product_of_patches(first.first, factors).to(device)
        self._layers = [
            (
                layer.weight.transpose(2, 3).to(device, factors, memory_format=torch.channels_last),
                layer.bias.to(device, factors),
            )
            for layer in (first.last, second.first, second.last)
        ]
        self._projection = tuple(part.to(device, factors) for part in projection)

    def __call__(self, mel: Tensor) -> Tensor:
        """`[batch, time, bands]` to `[batch, frames, width]`, float32."""
        import torch
        from torch.nn.functional import conv2d, linear

        seen = patches(mel)
        if self._factors != torch.float32:
            rounded = seen.to(self._factors)
            seen = torch.cat((rounded, (seen - rounded.float()).to(self._factors)), dim=-1)
        # [batch, time, bands, channels] is channels-last memory of [batch, channels, time, bands]
        both = (seen @ self._first).permute(0, 3, 1, 2)
        last, second_first, second_last = self._layers
        x = self._block_end(both, last)
        both = conv2d(x, *second_first, stride=2, padding=1)
        x = self._block_end(both, second_last)
        flat = x.permute(0, 2, 1, 3).flatten(2)  # bands within a channel
        return linear(flat, *self._projection).float()

    def _block_end(self, both: Tensor, layer: tuple[Tensor, Tensor]) -> Tensor:
        from torch.nn.functional import conv2d

        made = conv2d(both[:, : self._half].relu(), *layer, padding=1)
        return made.add_(both[:, self._half :]).relu_()
