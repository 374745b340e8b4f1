"""The front end's parts against the package's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.embedding import front_end
from data_collection.embedding.front_end import (
    DirectFrontEnd,
    LogMel,
    Span,
    WinogradFrontEnd,
    folded_blocks,
    patches,
)
from data_collection_tests.embedding.models import noise, package_model, tiny_weights

SAMPLES = [1_025, 1_199, 1_200, 1_440, 24_000, 24_239, 24_241, 100_000, 300_123]
EPS = 1e-5


@pytest.fixture(scope="module")
def package() -> Any:
    return package_model().model


@pytest.fixture(scope="module")
def spread_package() -> Any:
    """The package's model with batch norms that do something."""
    import torch

    model = package_model().model
    torch.manual_seed(5)
    for name, value in model.state_dict().items():
        if ".bn" in name or ".batch_norm" in name:
            if name.endswith("running_var"):
                value.copy_(torch.rand_like(value) * 3 + 0.1)
            elif not name.endswith("num_batches_tracked"):
                value.copy_(torch.randn_like(value))
    return model


def parts_of(model: Any) -> tuple[Any, Any]:
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    blocks = folded_blocks(weights, EPS)
    return blocks, (weights["model.conv.linear.weight"], weights["model.conv.linear.bias"])


def log_mel() -> LogMel:
    stat = tiny_weights().shape().stat
    return LogMel(bands=128, mean=stat.melspec_2048_mean, std=stat.melspec_2048_std, device="cpu")


@pytest.mark.parametrize("samples", SAMPLES)
def test_the_mel_is_the_packages(package: Any, samples: int) -> None:
    """The spectrogram is the package's, bit for bit.

    Guards against another window, scale or normalisation.
    """
    import torch

    clip = torch.from_numpy(noise(samples))[None]
    true = package.normalize(package.preprocessing(clip, ["melspec_2048"]))["melspec_2048"]
    assert torch.equal(log_mel()(clip).transpose(1, 2), true)


@pytest.mark.parametrize("kind", ["winograd", "direct"])
@pytest.mark.parametrize("times", [1, 2, 3, 4, 5, 6, 7, 8, 99, 100, 101, 1_003])
def test_the_blocks_are_the_packages(spread_package: Any, kind: str, times: int) -> None:
    """Folded, merged and filtered, the blocks and the projection give the package's numbers.

    Guards against a batch norm folded the wrong way, which fresh weights (mean 0, deviation 1)
    would not show, and against the residual path added at the wrong step.
    """
    import torch

    blocks, projection = parts_of(spread_package)
    made_by = (
        WinogradFrontEnd(blocks, projection, torch.float32)
        if kind == "winograd"
        else DirectFrontEnd(blocks, projection, torch.float32, "cpu")
    )
    torch.manual_seed(times)
    mel = torch.randn(2, times, 128)
    with torch.inference_mode():
        true = spread_package.conv(mel.transpose(1, 2))
        made = made_by(mel)
    assert made.shape == true.shape
    assert torch.allclose(made, true, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 50])
def test_pieces_are_the_whole(
    spread_package: Any, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a clip is cut in pieces, its frames are those of the uncut clip.

    Guards against a seam every ten seconds.
    """
    import torch

    blocks, projection = parts_of(spread_package)
    made_by = WinogradFrontEnd(blocks, projection, torch.float32)
    mel = torch.randn(1, 403, 128)
    whole = made_by(mel)
    monkeypatch.setattr(front_end, "FRAMES_AT_ONCE", -(-whole.shape[1] // pieces))
    assert torch.allclose(made_by(mel), whole, atol=2e-5, rtol=1e-5)


@given(
    start=st.integers(0, 50), more=st.integers(1, 30), after=st.integers(0, 3), odd=st.booleans()
)
def test_spans_are_what_layers_see(start: int, more: int, after: int, odd: bool) -> None:
    """A span and its padding are exactly the steps that the layer's outputs read.

    Guards against zeros inside a clip, or a neighbour's steps beyond its ends.
    """
    span = Span(start, start + more, start + more + after)
    wide = span.widened()
    before, behind = wide.padding(span)
    assert (wide.start - before, wide.stop + behind) == (span.start - 1, span.stop + 1)
    assert 0 <= before <= 1
    assert (before > 0) == (span.start == 0)
    length = 2 * span.length - odd
    seen = span.doubled(length)
    before, behind = seen.padding_doubled(span)
    assert (seen.start - before, seen.stop + behind) == (2 * span.start - 1, 2 * span.stop)
    assert 0 <= seen.start < seen.stop <= length
    assert 0 <= behind <= 1


def test_narrow_patches_keep_the_mel() -> None:
    """The mel as the sum of two bfloat16 numbers loses less than a thousandth of bfloat16's grain.

    Guards against a rounded mel where only the weights need to be.
    """
    import torch

    torch.manual_seed(0)
    seen = patches(torch.randn(1, 50, 128))
    rounded = seen.to(torch.bfloat16)
    rest = (seen - rounded.float()).to(torch.bfloat16)
    lost = (rounded.float() + rest.float() - seen).abs().max()
    assert float(lost) < 2**-8 * float((rounded.float() - seen).abs().max())
