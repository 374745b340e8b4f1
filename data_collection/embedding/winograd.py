"""3x3 convolutions by fewer multiplications, as plain matrix products.

What belongs here: Winograd's minimal filtering for strides 1 and 2 and its exact coefficients. What
does not: which layers use it (`front_end`). Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks" (2016); the coefficients are Toom and Cook's.

A tile of `m` outputs along an axis is made of products, one for each of its inputs: `m + 2` at
stride 1. At stride 2 the even inputs meet the outer two taps, which is a stride-1 filter of two
taps, and the odd inputs meet the middle tap alone: `2m + 1` products, `m` of which share a kernel.
A 3x3 layer does that along both axes. Multiplications for an output, against 9: 2.25 (`m` = 4) or 4
(`m` = 2) at stride 1; 5.06 or 6.25 at stride 2.

`m` = 4 costs an error of 2e-6, float32 rounding included. In bfloat16 its larger coefficients cost
0.017 at stride 1, where `m` = 2 costs 0.0043 and the definition 0.0029.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, dtype

Matrix = tuple[tuple[Fraction, ...], ...]
POINTS = {1: (), 2: (0, -1), 3: (0, 1, -1), 4: (0, 1, -1, 2), 5: (0, 1, -1, 2, Fraction(-1, 2))}
"""Interpolation points by their number, infinity beside; 2 errs less beside -1/2 than -2."""
TILES_AT_ONCE = 320
"""More make larger products, fewer stay in the cache: between 256 and 512 it hardly matters."""


@dataclass(frozen=True, slots=True)
class Filtering:
    """A minimal filtering algorithm along one axis.

    Attributes:
        stride: 1 or 2.
        outputs: outputs of a tile.
        of_inputs: `[products, inputs]`; a tile has as many inputs as products.
        of_kernel: `[kernels, 3]`, the distinct factors that the taps become.
        of_products: `[outputs, products]`.
    """

    stride: int
    outputs: int
    of_inputs: Matrix
    of_kernel: Matrix
    of_products: Matrix

    @property
    def products(self) -> int:
        """Products of a tile, and its inputs."""
        return len(self.of_inputs)

    @property
    def alone(self) -> int:
        """Products with a kernel of their own; those after them share the last one."""
        return len(self.of_kernel) - (self.stride == 2)


def minimal_filtering(outputs: int, stride: int) -> Filtering:
    """The algorithm for three taps.

    Args:
        outputs: of a tile, 2 to 4.
        stride: 1 or 2.
    """
    if stride == 1:
        return Filtering(1, outputs, *toom_cook(outputs, 3))
    even_inputs, outer_taps, even_products = toom_cook(outputs, 2)
    zero = Fraction(0)
    of_inputs = [
        tuple(row[column // 2] if column % 2 == 0 else zero for column in range(2 * outputs + 1))
        for row in even_inputs
    ]
    of_inputs += [_unit(2 * output + 1, 2 * outputs + 1) for output in range(outputs)]
    of_kernel: list[tuple[Fraction, ...]] = [(first, zero, last) for first, last in outer_taps]
    of_kernel.append(_unit(1, 3))
    of_products = [(*row, *_unit(output, outputs)) for output, row in enumerate(even_products)]
    return Filtering(2, outputs, tuple(of_inputs), tuple(of_kernel), tuple(of_products))


def toom_cook(outputs: int, taps: int) -> tuple[Matrix, Matrix, Matrix]:
    """Matrices of inputs, kernel and products of a stride-1 filter, exactly.

    Returns:
        `[products, products]`, `[products, taps]`, `[outputs, products]`; `outputs + taps - 1`
        products.
    """
    points = [Fraction(point) for point in POINTS[outputs + taps - 2]]
    of_inputs, of_kernel = [], []
    for point in points:
        others = [other for other in points if other != point]
        scale = Fraction(1)
        for other in others:
            scale *= point - other
        of_inputs.append((*_polynomial(others), Fraction(0)))
        of_kernel.append(tuple(point**power / scale for power in range(taps)))
    of_inputs.append(_polynomial(points))
    of_kernel.append(_unit(taps - 1, taps))
    of_products = tuple(
        (*(point**power for point in points), Fraction(power == outputs - 1))
        for power in range(outputs)
    )
    return tuple(of_inputs), tuple(of_kernel), of_products


def _polynomial(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Coefficients of the product of `x - root`, the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        scaled = [-root * value for value in coefficients] + [Fraction(0)]
        coefficients = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return tuple(coefficients)


def _unit(index: int, length: int) -> tuple[Fraction, ...]:
    return tuple(Fraction(position == index) for position in range(length))


class Workspace:
    """Tensors that are used again: fresh memory costs a page fault for every 4 kB.

    What was taken under a name holds until that name is taken again.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], of: dtype) -> Tensor:
        """A tensor of a shape, with whatever values it has."""
        import torch

        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.numel() < size or kept.dtype != of:
            kept = self._kept[name] = torch.empty(size, dtype=of)
        return kept[:size].view(shape)


class WinogradConvolution:
    """A 3x3 layer over `[time, bands, channels]`, of equal stride along time and bands.

    Time is padded by what the caller says, so that a long input can go through in pieces; bands by
    one on both sides. Not for two threads at once: they would share the workspace.
    """

    def __init__(
        self,
        weight: Tensor,
        *,
        stride: int,
        outputs: int,
        factors: dtype,
        workspace: Workspace,
    ) -> None:
        """Transform a layer's kernels.

        Args:
            weight: `[out_channels, channels, bands 3, time 3]`, as `torch.nn.Conv2d` keeps it.
            stride: 1 or 2.
            outputs: of a tile along an axis.
            factors: dtype of the factors of the products; all else is float32.
            workspace: where all that is computed lies, the result too.
        """
        import torch

        self._filtering = filtering = minimal_filtering(outputs, stride)
        self._factors = factors
        self._workspace = workspace
        self.out_channels, self.channels = weight.shape[:2]
        of_kernel = _tensor(filtering.of_kernel)
        kernels = torch.einsum("pt,qf,ocft->pqco", of_kernel, of_kernel, weight.double())
        self._kernels = kernels.to(factors).contiguous()
        self._of_inputs = _tensor(filtering.of_inputs).float()
        self._of_products = _tensor(filtering.of_products).float()

    def __call__(
        self, x: Tensor, pad_before: int, pad_after: int, *, rectify: bool = False
    ) -> Tensor:
        """Convolve.

        Args:
            x: `[time, bands, channels]`, float32.
            pad_before: zeros before the first time step.
            pad_after: zeros after the last.
            rectify: take negative inputs for zero, which spares a pass over them.

        Returns:
            `[time', bands', out_channels]`, float32, in the workspace until the next call.
        """
        import torch

        filtering = self._filtering
        outputs, products = filtering.outputs, filtering.products
        step = outputs * filtering.stride
        times = (x.shape[0] + pad_before + pad_after - 3) // filtering.stride + 1
        bands = (x.shape[1] + 2 - 3) // filtering.stride + 1
        time_tiles, band_tiles = -(-times // outputs), -(-bands // outputs)
        edge = products - step
        shape = (time_tiles * step + edge, band_tiles * step + edge, self.channels)
        padded = self._workspace.take("padded", shape, torch.float32).zero_()
        inside = padded[pad_before : pad_before + x.shape[0], 1 : 1 + x.shape[1]]
        given = x[: inside.shape[0], : inside.shape[1]]
        if rectify:
            torch.clamp_min(given, 0.0, out=inside)
        else:
            inside.copy_(given)
        shape = (time_tiles * outputs, band_tiles * outputs, self.out_channels)
        made = self._workspace.take("made", shape, torch.float32)
        rows = max(1, TILES_AT_ONCE // band_tiles)
        by_time, by_band, _ = padded.stride()
        for row in range(0, time_tiles, rows):
            count = min(rows, time_tiles - row)
            tiles = padded[row * step :].as_strided(
                (products, products, count, band_tiles, self.channels),
                (by_time, by_band, by_time * step, by_band * step, 1),
            )
            target = made[row * outputs : (row + count) * outputs].view(
                count, outputs, band_tiles, outputs, self.out_channels
            )
            done = self._filter(tiles, count * band_tiles)
            target.permute(1, 3, 0, 2, 4).copy_(
                done.view(outputs, outputs, count, band_tiles, self.out_channels)
            )
        return made[:times, :bands]

    def _filter(self, tiles: Tensor, count: int) -> Tensor:
        """Inputs of tiles, `[products, products, ...]`, to `[outputs, outputs, tiles * out]`."""
        import torch

        take, filtering = self._workspace.take, self._filtering
        products = filtering.products
        gathered = take("even", tuple(tiles.shape), torch.float32)
        gathered.copy_(tiles)
        inputs = self._along_both_axes(self._of_inputs, gathered, "odd", "even")
        if self._factors != torch.float32:
            inputs = take("factors", tuple(inputs.shape), self._factors).copy_(inputs)
        inputs = inputs.view(products, products, count, self.channels)
        shape = (products, products, count, self.out_channels)
        rounded = self._factors != torch.float32
        multiplied = take("products" if rounded else "odd", shape, self._factors)
        self._multiply(inputs, multiplied)
        if rounded:
            multiplied = take("odd", shape, torch.float32).copy_(multiplied)
        return self._along_both_axes(self._of_products, multiplied, "even", "odd")

    def _multiply(self, inputs: Tensor, multiplied: Tensor) -> None:
        """The products of all planes, as few calls: threads wait for each other at every call."""
        import torch

        filtering, alone = self._filtering, self._filtering.alone
        if filtering.stride == 1:
            torch.bmm(
                inputs.flatten(0, 1), self._kernels.flatten(0, 1), out=multiplied.flatten(0, 1)
            )
            return
        for plane in range(filtering.products):
            kernels = self._kernels[min(plane, alone)]
            torch.bmm(inputs[plane, :alone], kernels[:alone], out=multiplied[plane, :alone])
            torch.mm(
                inputs[plane, alone:].view(-1, self.channels),
                kernels[alone],
                out=multiplied[plane, alone:].view(-1, self.out_channels),
            )

    def _along_both_axes(self, matrix: Tensor, planes: Tensor, half_done: str, done: str) -> Tensor:
        """`matrix @ planes @ matrix.T` over the first two axes; the rest becomes one.

        As batched products: one of so few rows and so many columns keeps to one thread.
        """
        import torch

        take = self._workspace.take
        rows, columns = matrix.shape
        by_plane = planes.view(columns, columns, -1)
        rest = by_plane.shape[2]
        once = take(half_done, (columns, rows, rest), torch.float32)
        torch.bmm(matrix.expand(columns, rows, columns), by_plane.transpose(0, 1), out=once)
        twice = take(done, (rows, rows, rest), torch.float32)
        return torch.bmm(matrix.expand(rows, rows, columns), once.transpose(0, 1), out=twice)


def _tensor(matrix: Matrix) -> Tensor:
    import torch

    return torch.tensor([[float(value) for value in row] for row in matrix], dtype=torch.float64)
