"""Winograd's filtering against the convolution that it replaces."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.embedding.winograd import (
    WinogradConvolution,
    Workspace,
    minimal_filtering,
)

ALGORITHMS = [(1, 2), (1, 3), (1, 4), (2, 2), (2, 3), (2, 4)]


@pytest.mark.parametrize(("stride", "outputs"), ALGORITHMS)
def test_the_algorithm_is_exact(stride: int, outputs: int) -> None:
    """In exact arithmetic a tile's outputs are the correlation's, whatever inputs and taps.

    Guards against a coefficient that is a little off, which float32 would hide. Each output is
    bilinear in inputs and taps, so unit inputs and unit taps decide.
    """
    filtering = minimal_filtering(outputs, stride)
    kernel_of = [min(product, filtering.alone) for product in range(filtering.products)]
    for tap in range(3):
        for position in range(filtering.products):
            multiplied = [
                filtering.of_inputs[product][position]
                * filtering.of_kernel[kernel_of[product]][tap]
                for product in range(filtering.products)
            ]
            for output, row in enumerate(filtering.of_products):
                made = sum((a * b for a, b in zip(row, multiplied, strict=True)), Fraction(0))
                assert made == (position == output * stride + tap)


@pytest.mark.parametrize(
    ("stride", "outputs", "per_output"),
    [(1, 2, 4.0), (1, 4, 2.25), (2, 2, 6.25), (2, 4, 5.0625)],
)
def test_it_multiplies_less(stride: int, outputs: int, per_output: float) -> None:
    """Multiplications for an output are fewer than the nine of the definition.

    Guards against an algorithm that is right and no faster.
    """
    assert (minimal_filtering(outputs, stride).products / outputs) ** 2 == per_output < 9


@given(
    algorithm=st.sampled_from(ALGORITHMS),
    times=st.integers(1, 40),
    bands=st.integers(1, 11),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    rectify=st.booleans(),
    seed=st.integers(0, 9),
)
def test_it_is_the_convolution(
    algorithm: tuple[int, int],
    times: int,
    bands: int,
    padding: tuple[int, int],
    rectify: bool,
    seed: int,
) -> None:
    """For any size and padding the outputs are those of torch's own convolution.

    Guards against lost last rows where sizes are no multiple of a tile, and against values that an
    earlier call left in the workspace.
    """
    import torch

    stride, outputs = algorithm
    if times + sum(padding) < 3:
        return
    torch.manual_seed(seed)
    weight = torch.randn(7, 5, 3, 3)
    layer = WinogradConvolution(
        weight, stride=stride, outputs=outputs, factors=torch.float32, workspace=WORKSPACE
    )
    x = torch.randn(times, bands, 5)
    given_x = x.relu() if rectify else x
    image = torch.nn.functional.pad(given_x.permute(2, 1, 0), (*padding, 1, 1))
    expected = torch.nn.functional.conv2d(image[None], weight, stride=stride)[0].permute(2, 1, 0)
    made = layer(x, *padding, rectify=rectify)
    assert made.shape == expected.shape
    assert torch.allclose(made, expected, atol=2e-4)


WORKSPACE = Workspace()


def test_many_tiles_go_in_turns() -> None:
    """A layer of more tiles than go at once is the same convolution.

    Guards against a seam between one lot of tiles and the next.
    """
    import torch

    torch.manual_seed(0)
    weight, x = torch.randn(4, 3, 3, 3), torch.randn(301, 64, 3)
    expected = torch.nn.functional.conv2d(x.permute(2, 1, 0)[None], weight, padding=1)[0]
    for outputs in (2, 4):
        layer = WinogradConvolution(
            weight, stride=1, outputs=outputs, factors=torch.float32, workspace=Workspace()
        )
        assert torch.allclose(layer(x, 1, 1), expected.permute(2, 1, 0), atol=1e-4)


def test_narrow_factors_cost_what_narrow_numbers_cost() -> None:
    """With bfloat16 factors the error is bfloat16's grain, not a multiple of it.

    Guards against the coefficients of four outputs in narrow numbers, whose error is larger.
    """
    import torch

    torch.manual_seed(0)
    weight, x = torch.randn(16, 64, 3, 3), torch.randn(20, 12, 64)
    expected = torch.nn.functional.conv2d(x.permute(2, 1, 0)[None], weight, padding=1)[0]
    layer = WinogradConvolution(
        weight, stride=1, outputs=2, factors=torch.bfloat16, workspace=Workspace()
    )
    error = (layer(x, 1, 1) - expected.permute(2, 1, 0)).norm() / expected.norm()
    assert 1e-4 < float(error) < 0.01
