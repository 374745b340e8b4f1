"""What can be chosen, and what of it an embedding depends on."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.options import (
    EncoderOptions,
    definite_device,
    definite_precision,
    encoder_parameters,
)
from data_collection.embedding.resources import MuQResource
from data_collection.recordings.errors import SetupError
from data_collection.sample.world import CHECKPOINT

BAD: list[dict[str, Any]] = [
    {"engine": "fast"},
    {"precision": "float16"},
    {"batch_s": 0.0},
    {"batch_s": -1.0},
    {"pool_frames": 0},
    {"layers": ()},
    {"layers": (-1,)},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_what_cannot_be_is_refused_when_it_is_configured(bad: dict[str, Any]) -> None:
    """A wrong option is refused where it is written, in the options and in the resource.

    Guards against a run that waits for its turn and then dies of a typing error.
    """
    with pytest.raises(ValidationError):
        EncoderOptions.model_validate(bad)
    in_resource = {key: list(value) if key == "layers" else value for key, value in bad.items()}
    with pytest.raises(ValidationError):
        MuQResource(checkpoint="a/b", **in_resource)


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ({"engine": "reference"}, True),
        ({"precision": "bfloat16"}, True),
        ({"layers": (1, 2)}, True),
        ({"layers": (2,)}, True),
        ({"pool_frames": 2}, True),
        ({"batch_s": 60.0}, False),
    ],
    ids=str,
)
def test_the_fingerprint_holds_what_the_numbers_depend_on(
    changed: dict[str, Any], matters: bool
) -> None:
    """What changes the numbers changes the parameters, and nothing else does.

    Guards against two kinds of embedding in one folder, and against one made twice.
    """
    found = find_checkpoint(str(CHECKPOINT))
    usual = EncoderOptions(device="cpu", precision="float32")
    other = EncoderOptions.model_validate(usual.model_dump() | changed)
    assert (encoder_parameters(found, usual) != encoder_parameters(found, other)) == matters


def test_layers_are_a_set() -> None:
    """The same layers in another order, or one twice, are the same choice.

    Guards against a collection embedded again for a reordered setting.
    """
    first = EncoderOptions.model_validate({"layers": [12, 9, 9, 10, 11]})
    assert first == EncoderOptions.model_validate({"layers": [9, 10, 11, 12]})


def test_auto_is_definite_here() -> None:
    """`auto` becomes a device that works, and a precision that it is fast in.

    Guards against a receipt that says `auto`, which means another thing on the next machine.
    """
    import torch

    device = definite_device("auto")
    torch.empty(1, device=device)
    assert definite_precision("auto", device) in {"float32", "bfloat16"}
    able = torch.cpu.get_capabilities()
    fast = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    assert definite_precision("auto", "cpu") == ("bfloat16" if fast else "float32")
    assert definite_precision("bfloat16", "cpu") == "bfloat16"
    assert definite_precision("auto", "mps") == "float32"


def test_a_device_that_is_not_there() -> None:
    """A device that this machine lacks is our fault, and named.

    Guards against a fingerprint for a device that nothing ran on.
    """
    with pytest.raises(SetupError, match="device_missing: device cuda:99"):
        definite_device("cuda:99")


def test_the_resource_hands_its_options_on() -> None:
    """What the resource is configured with is what the encoder is asked for.

    Guards against a field that nobody reads.
    """
    resource = MuQResource(
        checkpoint=str(CHECKPOINT),
        device="cpu",
        engine="reference",
        precision="float32",
        batch_s=60.0,
        layers=[1, 2],
        pool_frames=5,
    )
    encoder = resource.encoder()
    assert resource.options() == EncoderOptions(
        engine="reference",
        device="cpu",
        precision="float32",
        batch_s=60.0,
        layers=(1, 2),
        pool_frames=5,
    )
    assert encoder is resource.encoder()
    assert (encoder.pool_frames, encoder.batch_s) == (5, 60.0)
    assert encoder.parameters["layers"] == "1,2"
