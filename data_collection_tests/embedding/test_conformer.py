"""The lean conformer against the package's, layer by layer."""

from __future__ import annotations

from typing import Any

import pytest

from data_collection.embedding.conformer import Conformer, ConformerShape
from data_collection_tests.embedding.models import package_model

EPS = 1e-5


@pytest.fixture(scope="module")
def package() -> Any:
    """The package's conformer with norms that do something, each its own."""
    import torch

    model = package_model().model
    torch.manual_seed(6)
    for name, value in model.state_dict().items():
        if "norm" in name and not name.endswith("num_batches_tracked"):
            spread = torch.rand_like(value) + 0.5
            value.copy_(spread if name.endswith(("weight", "running_var")) else spread - 1.0)
    return model


def lean(model: Any, hidden_states: tuple[int, ...], dtype: Any = None) -> Conformer:
    import torch

    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    shape = ConformerShape(layers=2, heads=4, final_norm_eps=EPS)
    return Conformer(weights, shape, hidden_states, dtype or torch.float32, "cpu")


@pytest.mark.parametrize("frames", [1, 2, 31, 125, 750])
@pytest.mark.parametrize("state", [0, 1, 2])
def test_each_hidden_state_is_the_packages(package: Any, state: int, frames: int) -> None:
    """Every hidden state is the package's, at every length, for each clip of a batch.

    Guards against an off-by-one layer, the final norm left out or applied too early, and positions
    that were kept from another length.
    """
    import torch

    conformer = lean(package, (state,))
    torch.manual_seed(frames)
    with torch.inference_mode():
        for batch in (1, 3):
            for length in (frames, frames + 7):
                x = torch.randn(batch, length, 64)
                true = package.conformer(x, output_hidden_states=True)["hidden_states"][state]
                assert torch.allclose(conformer(x), true, atol=1e-5, rtol=1e-5)


def test_the_mean_of_some(package: Any) -> None:
    """Several hidden states give their mean.

    Guards against a sum, and against a state that later layers wrote over.
    """
    import torch

    x = torch.randn(1, 60, 64)
    with torch.inference_mode():
        states = package.conformer(x, output_hidden_states=True)["hidden_states"]
        for wanted in ((0, 1), (1, 2), (0, 2), (0, 1, 2)):
            true = torch.stack([states[index] for index in wanted]).mean(dim=0)
            assert torch.allclose(lean(package, wanted)(x), true, atol=1e-5)


def test_the_input_is_not_written_to(package: Any) -> None:
    """What is given to the conformer keeps its values.

    Guards against in-place sums that reach the caller's tensor.
    """
    import torch

    x = torch.randn(1, 60, 64)
    before = x.clone()
    lean(package, (0, 2))(x)
    assert torch.equal(x, before)


def test_narrow_factors_keep_positions(package: Any) -> None:
    """In bfloat16 the last frames of a long clip are as near as the first.

    Guards against a rounded table of positions, whose error grows with the frame.
    """
    import torch

    torch.manual_seed(0)
    x = torch.randn(1, 750, 64)
    with torch.inference_mode():
        true = package.conformer(x, output_hidden_states=False)["last_hidden_state"]
        made = lean(package, (2,), torch.bfloat16)(x)
    errors = (made - true).norm(dim=-1)[0]
    assert float(errors[-100:].mean()) < 1.5 * float(errors[:100].mean())
    assert float(torch.cosine_similarity(made, true, dim=-1).min()) > 0.999
