"""The real tiny MuQ: shapes, determinism, and checkpoints that are not what they claim."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from data_collection.embedding.checkpoint import Checkpoint, find_checkpoint
from data_collection.embedding.encoder import (
    MIN_CLIP_FRAMES,
    MuQEncoder,
    frame_count,
    is_out_of_memory,
    load_encoder,
)
from data_collection.embedding.options import EncoderOptions, encoder_parameters
from data_collection.embedding.stored import embedding_file, read_embedding_file
from data_collection.recordings.errors import ItemError, SetupError
from data_collection.sample.world import CHECKPOINT
from data_collection_tests.embedding.models import noise, package_model, tiny_encoder

Change = Callable[[Path], None]


PROCESSOR = EncoderOptions(device="cpu")


@pytest.fixture(scope="module")
def encoder() -> MuQEncoder:
    return tiny_encoder()


def one(encoder: MuQEncoder, clip: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A clip's embedding, alone in its batch."""
    return encoder.embed(clip[np.newaxis])[0]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkpoint folder that may be damaged."""
    return Path(shutil.copytree(CHECKPOINT, tmp_path / "checkpoint"))


def with_config(**changed: object) -> Change:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changed}))

    return change


def rewrite(name: str, content: bytes) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def halve_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def other_weights(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"bert.embeddings.weight": torch.zeros(3)}, folder / "model.safetensors")


def some_weights_missing(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "conformer.layers.1." not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors")


@pytest.mark.parametrize(
    "samples", [1_025, 1_199, 1_200, 1_439, 1_440, 24_000, 24_001, 120_000, 123_457, 720_000]
)
def test_frame_count_is_the_models(encoder: MuQEncoder, samples: int) -> None:
    """The formula gives the number of frames that the model gives.

    Guards against segments whose embedding and duration disagree by a frame.
    """
    hidden = one(encoder, noise(samples))
    assert hidden.shape == (frame_count(samples), 64)
    assert hidden.dtype == np.float32
    assert np.isfinite(hidden).all()


def test_thirty_seconds_are_750_frames() -> None:
    """30 s give 750 frames, 5 s give 125: 25 a second.

    Guards against a change of the formula together with its test.
    """
    assert (frame_count(720_000), frame_count(120_000), frame_count(1_025)) == (750, 125, 1)


def test_same_clip_same_numbers(encoder: MuQEncoder) -> None:
    """The same clip gives the same bits, also after others and by a model loaded anew.

    Guards against dropout left on. (Weights that a file lacks show up elsewhere: MuQ seeds torch
    while it is built, so what is drawn at random is the same at every start.)
    """
    clip = noise(48_000)
    first = one(encoder, clip)
    one(encoder, noise(30_000, seed=1))
    again = load_encoder(find_checkpoint(str(CHECKPOINT)), PROCESSOR)
    assert np.array_equal(first, one(encoder, clip))
    assert np.array_equal(first, one(again, clip))
    assert not np.allclose(first, one(encoder, noise(48_000, seed=2)))


@pytest.mark.parametrize("samples", [0, 1, 1_024])
def test_too_short_a_clip_is_the_items(encoder: MuQEncoder, samples: int) -> None:
    """A clip that the mel cannot window is named as such.

    Guards against torch's padding error as a bug of ours.
    """
    assert samples < MIN_CLIP_FRAMES
    with pytest.raises(ItemError, match="clip_too_short"):
        one(encoder, noise(samples))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_clip_that_is_no_number_spoils_no_other(encoder: MuQEncoder, value: float) -> None:
    """A NaN in a clip makes its own embedding none, and leaves those of its batch as they are.

    Guards against one damaged clip that fails, or changes, the others beside it.
    """
    clips = np.stack([noise(24_000, seed) for seed in range(3)])
    whole = encoder.embed(clips)
    clips[1, 7] = value
    spoilt = encoder.embed(clips)
    assert not np.isfinite(spoilt[1]).all()
    assert np.array_equal(spoilt[0], whole[0])
    assert np.array_equal(spoilt[2], whole[2])


@pytest.mark.parametrize("engine", ["lean", "reference"])
@pytest.mark.parametrize("samples", [1_025, 24_001, 123_457, 720_000])
def test_both_engines_give_the_packages_numbers(engine: str, samples: int) -> None:
    """Either engine is within 1e-4 of what a person gets who runs the package by hand.

    Guards against an engine that agrees with our reading of the package only.
    """
    import torch

    clip = noise(samples, seed=samples)
    with torch.inference_mode():
        states = package_model()(torch.from_numpy(clip)[None]).hidden_states
    for layers, true in (("last", states[2]), ((1, 2), (states[1] + states[2]) / 2)):
        made = one(tiny_encoder(engine=engine, layers=layers), clip)
        assert np.abs(made - true[0].numpy()).max() < 1e-4
        if engine == "reference" and layers == "last":
            assert np.array_equal(made, true[0].numpy())


def test_reduced_precision_is_near(encoder: MuQEncoder) -> None:
    """In bfloat16 a frame's cosine to the exact one is 0.999 or more, a clip's mean 0.9999.

    Guards against half-precision waveforms, positions or norms, each of which costs more than that.
    """
    narrow = tiny_encoder(precision="bfloat16")
    for seed in range(3):
        clip = noise(240_000, seed)
        true, made = one(encoder, clip), one(narrow, clip)
        assert not np.array_equal(true, made)
        assert cosine(true, made).min() >= 0.999
        assert cosine(true.mean(axis=0), made.mean(axis=0)) >= 0.9999


def cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray((a * b).sum(axis=-1) / lengths)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("samples", [24_000, 100_003])
def test_a_batch_is_its_clips(precision: str, samples: int) -> None:
    """On a processor a clip's embedding is the same bits alone, in any batch, in any place of it.

    Guards against embeddings that depend on what else was in the collection that night.
    """
    encoder = tiny_encoder(precision=precision)
    clips = np.stack([noise(samples, seed) for seed in range(5)])
    alone = np.stack([one(encoder, clip) for clip in clips])
    assert np.array_equal(encoder.embed(clips), alone)
    assert np.array_equal(encoder.embed(clips[::-1].copy())[::-1], alone)
    assert np.array_equal(encoder.embed(clips[1:3]), alone[1:3])


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 25, 1_000])
def test_pooling_averages_frames(encoder: MuQEncoder, frames: int) -> None:
    """Pooled frames are means of consecutive ones, the last of what is left.

    Guards against a last frame that is dropped, or averaged with nothing.
    """
    clip = noise(123_457)
    whole, pooled = one(encoder, clip), one(tiny_encoder(pool_frames=frames), clip)
    assert pooled.shape == (frame_count(clip.size, frames), 64)
    for index, mean in enumerate(pooled):
        expected = whole[index * frames : (index + 1) * frames].mean(axis=0)
        assert np.allclose(mean, expected, atol=1e-6)


def test_the_wrong_form_of_clip_is_our_bug(encoder: MuQEncoder) -> None:
    """A clip without a batch, or double precision, is refused as a programming error.

    Guards against a clip taken for a batch of single samples.
    """
    with pytest.raises(ValueError, match="expected float32"):
        encoder.embed(np.zeros(24_000, np.float32))
    with pytest.raises(ValueError, match="expected float32"):
        encoder.embed(np.zeros((2, 24_000)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (halve_weights, "half a file"),
        (rewrite("model.safetensors", b""), "no byte"),
        (rewrite("model.safetensors", b"<html>Sign in</html>" * 99), "a login page"),
        (rewrite("config.json", b"{"), "broken JSON"),
        (rewrite("config.json", b"[]"), "not an object"),
        (rewrite("config.json", b"{}"), "an empty object"),
        (with_config(encoder_dim=96), "another width"),
        (with_config(encoder_depth=3), "a layer more than the weights have"),
        (with_config(stat={}), "no mean and deviation"),
        (with_config(w2v2_config=None), "no conformer"),
        (other_weights, "another model's weights"),
        (some_weights_missing, "a layer's weights missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unusable_checkpoint_is_named(copy: Path, change: Change, what: str) -> None:
    """A checkpoint that cannot be what MuQ needs is a setup fault that names the folder.

    Guards against two silences: an exception taken for a bug of ours, item by item, and weights
    that are missing from the file and stay random, which embeds the whole collection as noise.
    """
    change(copy)
    with pytest.raises(SetupError) as error:
        load_encoder(find_checkpoint(str(copy)), PROCESSOR)
    assert error.value.reason in {"checkpoint_unusable", "checkpoint_missing"}
    assert str(copy) in error.value.detail
    assert error.value.stops_batch


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_an_incomplete_folder_is_named(copy: Path, missing: str) -> None:
    """A folder without weights or configuration says what was expected in it.

    Guards against a half-finished copy of the weights.
    """
    (copy / missing).unlink()
    with pytest.raises(SetupError, match=r"checkpoint_missing.*expected config\.json") as error:
        find_checkpoint(str(copy))
    assert str(copy) in error.value.detail


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./none", "~/none-at-all", "none", "", "a/b/c"]
)
def test_a_missing_checkpoint_is_named(name: str, tmp_path: Path) -> None:
    """A name that is neither folder nor hub id is named, without asking the network.

    Guards against a mistyped path that is sought on the hub for minutes.
    """
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(SetupError, match=f"checkpoint_missing: MUQ_CHECKPOINT={name}"):
            find_checkpoint(name)
    finally:
        os.chdir(before)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_the_revision_names_the_bytes(copy: Path, name: str) -> None:
    """One changed byte of weights or configuration is another revision; a copy is the same.

    Guards against embeddings of retrained weights that pass for the old ones.
    """
    original = find_checkpoint(str(CHECKPOINT))
    assert find_checkpoint(str(copy)).revision == original.revision
    content = bytearray((copy / name).read_bytes())
    content[-2] ^= 0x01
    (copy / name).write_bytes(content)
    changed = find_checkpoint(str(copy))
    assert changed.revision != original.revision
    assert encoder_parameters(changed, PROCESSOR) != encoder_parameters(original, PROCESSOR)


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "xpu"])
def test_a_missing_device_is_named(device: str) -> None:
    """A device that is not there is a setup fault that says which.

    Guards against a traceback from torch per recording.
    """
    with pytest.raises(SetupError, match=f"device_missing: device {device}"):
        load_encoder(find_checkpoint(str(CHECKPOINT)), EncoderOptions(device=device))


def test_a_layer_that_is_not_there_is_named() -> None:
    """A hidden state beyond the last layer is a setup fault.

    Guards against the mean of fewer layers than were asked for.
    """
    asked = EncoderOptions(device="cpu", layers=(1, 3))
    with pytest.raises(SetupError, match=r"layers_missing: layer 3 .* has 2"):
        load_encoder(find_checkpoint(str(CHECKPOINT)), asked)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"position_embeddings_type": "relative", "max_source_positions": 5_000},
    ],
)
def test_a_kind_of_muq_that_only_the_package_knows(copy: Path, change: dict[str, object]) -> None:
    """A configuration that our engine does not know is refused, and says that the package's may.

    Guards against the one activation, or the one kind of positions, computed for another.
    """
    config = json.loads((copy / "config.json").read_text())
    with_config(w2v2_config={**config["w2v2_config"], **change})(copy)
    if "hidden_act" in change:
        load_encoder(find_checkpoint(str(copy)), EncoderOptions(device="cpu", engine="reference"))
        with pytest.raises(SetupError, match=r"hidden_act.*MUQ_ENGINE=reference"):
            load_encoder(find_checkpoint(str(copy)), PROCESSOR)
        return
    with pytest.raises(SetupError, match="checkpoint_unusable"):  # its weights are others too
        load_encoder(find_checkpoint(str(copy)), PROCESSOR)


def test_a_pickled_checkpoint_gives_the_same(copy: Path, encoder: MuQEncoder) -> None:
    """Weights in torch's older container give the same embedding.

    Guards against checkpoints that only one of the two formats is read from.
    """
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    clip = noise(48_000)
    again = load_encoder(find_checkpoint(str(copy)), PROCESSOR)
    assert np.array_equal(one(again, clip), one(encoder, clip))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_out_of_memory_is(error: Exception, expected: bool) -> None:
    """Each device's way to say that memory is out is known, and nothing else is.

    Guards against a bug that is met by ever smaller batches.
    """
    import torch

    assert is_out_of_memory(error) == expected
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_the_processor_that_is_out_of_memory_says_so() -> None:
    """What torch really raises for a tensor that fits nowhere is known as such.

    Guards against a changed wording.
    """
    import torch

    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_graphics_card_gives_the_same(encoder: MuQEncoder, precision: str) -> None:
    """On CUDA the embeddings are the processor's, within the precision's bounds.

    Guards against the direct convolutions, which only a card runs.
    """
    card = load_encoder(
        find_checkpoint(str(CHECKPOINT)),
        EncoderOptions.model_validate({"device": "cuda", "precision": precision}),
    )
    clips = np.stack([noise(240_000, seed) for seed in range(4)])
    for true, made in zip(encoder.embed(clips), card.embed(clips), strict=True):
        if precision == "float32":
            assert np.abs(true - made).max() < 1e-4
        assert cosine(true, made).min() >= 0.999
    assert card.batch_s >= 30.0


def test_the_encoder_says_what_it_is(encoder: MuQEncoder) -> None:
    """Its parameters are those that the receipt gets without loading a model.

    Guards against a fingerprint that differs between asking and embedding.
    """
    found = find_checkpoint(str(CHECKPOINT))
    assert encoder.parameters == encoder_parameters(found, PROCESSOR)
    assert encoder.parameters["checkpoint_revision"] == found.revision
    assert {"torch", "muq", "checkpoint"} <= encoder.versions.keys()


def test_an_embedding_file_is_what_training_reads(encoder: MuQEncoder) -> None:
    """The file is a float16 tensor that loads with `weights_only=True`, equal within half's grain.

    Guards against pickled numpy arrays and against views that carry a whole batch along.
    """
    import torch

    hidden = one(encoder, noise(48_000))
    content = embedding_file(hidden)
    tensor = torch.load(io.BytesIO(content), weights_only=True)
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.float16, hidden.shape)
    assert np.array_equal(read_embedding_file(content), hidden.astype(np.float16))
    assert len(content) < hidden.size * 2 + 4_096
    assert embedding_file(hidden) == content


def test_a_view_is_stored_alone(encoder: MuQEncoder) -> None:
    """A slice or a transposed array is stored as itself.

    Guards against a file a hundred times too large.
    """
    large = np.linspace(0, 1, 100_000, dtype=np.float32).reshape(100, 1_000)
    for view in (large[3:5, 10:20], large[:10, :10].T):
        content = embedding_file(view)
        assert np.array_equal(read_embedding_file(content), view.astype(np.float16))
        assert len(content) < 4_096


@pytest.mark.parametrize("value", [70_000.0, -70_000.0, 65_520.0, np.inf, -np.inf, np.nan])
def test_what_half_precision_cannot_hold_is_the_items(value: float) -> None:
    """A value beyond 65,504, and one that is no number, is refused, never stored as infinity.

    Guards against infinities that appear only in the file.
    """
    hidden = np.zeros((3, 4), np.float32)
    hidden[1, 1] = value
    with pytest.raises(ItemError):
        embedding_file(hidden)


def test_largest_half_is_stored() -> None:
    """65,504 itself can be stored.

    Guards against a bound that is too strict by one.
    """
    hidden = np.full((1, 1), 65_504.0, np.float32)
    assert float(read_embedding_file(embedding_file(hidden))[0, 0]) == 65_504.0


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.mark,))


def test_a_file_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    """A pickle that would run code is refused, in torch's container and bare.

    Guards against an embeddings folder from elsewhere that takes over the training machine.
    """
    import torch

    mark = tmp_path / "was-run"
    buffer = io.BytesIO()
    torch.save(Trap(mark), buffer)
    for content in (buffer.getvalue(), pickle.dumps(Trap(mark))):
        with pytest.raises(ValueError, match="not a readable tensor file"):
            read_embedding_file(content)
    assert not mark.exists()


def other_tensors() -> list[bytes]:
    import torch

    made = []
    for content in (
        torch.zeros(3, 4),
        torch.zeros(3, dtype=torch.float16),
        {"a": torch.zeros(3, 4, dtype=torch.float16)},
        [1, 2],
    ):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        made.append(buffer.getvalue())
    return made


def test_what_is_no_embedding_is_refused(encoder: MuQEncoder) -> None:
    """Other types and shapes, half a file, no byte, and words are all `ValueError`.

    Guards against a check that passes on anything torch can load, or dies on what it cannot.
    """
    whole = embedding_file(one(encoder, noise(24_000)))
    for content in [*other_tensors(), b"", b"words", whole[: len(whole) // 2], whole[:-10]]:
        with pytest.raises(ValueError, match="tensor"):
            read_embedding_file(content)


def test_importing_imports_no_torch() -> None:
    """The embedding modules can be imported without torch, muq or transformers.

    Guards against nine seconds at each start of the code location and of every command.
    """
    code = (
        "import sys\n"
        "import data_collection.embedding.assets, data_collection.embedding.checkpoint\n"
        "import data_collection.embedding.encoder, data_collection.embedding.resources\n"
        "import data_collection.embedding.stage, data_collection.embedding.reference\n"
        "import data_collection.embedding.front_end, data_collection.embedding.conformer\n"
        "import data_collection.embedding.winograd, data_collection.embedding.fidelity\n"
        "print(sorted({'torch', 'muq', 'transformers', 'huggingface_hub'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_checkpoint_is_plain_data() -> None:
    """A checkpoint compares by value.

    Guards against a resource that loads the same weights twice.
    """
    assert find_checkpoint(str(CHECKPOINT)) == Checkpoint(
        "checkpoint", find_checkpoint(str(CHECKPOINT)).revision, CHECKPOINT.resolve()
    )
