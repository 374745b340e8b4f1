"""A recording's twins: real clips, the real tiny MuQ, the real chain of effects."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_collection.augmentation.resources import AugmentationResource
from data_collection.embedding.batches import ClipBatches
from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.options import EncoderOptions, encoder_parameters
from data_collection.embedding.progress import EmbeddingProgress
from data_collection.embedding.stage import settle_embeddings
from data_collection.embedding.stored import read_embedding_file
from data_collection.embedding.twins import (
    IDENTICAL,
    LEAST_STRANGERS,
    MEANS,
    ROWS,
    TWINS,
    TwinRow,
    flagged,
    read_twins,
    settle_twins,
    strangers,
)
from data_collection.recordings.errors import ItemError, SetupError
from data_collection.recordings.receipts import Settled, StageResult, settle
from data_collection.recordings.segments import ClipGrid
from data_collection.recordings.stages import LEVELS, settle_segments
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.variants import Clip, ClipVariant
from data_collection.sample.media import AUDIO
from data_collection.sample.world import CHECKPOINT
from data_collection_tests.clips import KEEP_ALL, NO_LEVELS, SCORER
from data_collection_tests.embedding.models import tiny_encoder

GRID = ClipGrid(clip_s=2.0, min_tail_s=1.0)
LOG = logging.getLogger("data_collection_tests.twins")
NAMES = ("one", "two", "three", "four", "five", "six")
PARAMETERS = encoder_parameters(find_checkpoint(str(CHECKPOINT)), EncoderOptions(device="cpu"))


@pytest.fixture
def batches() -> Iterator[ClipBatches]:
    """Clips for the real tiny MuQ."""
    with ClipBatches(lambda: tiny_encoder(), LOG) as running:
        yield running


@pytest.fixture(scope="module")
def piano() -> Clip:
    """A minute of piano at 24 kHz."""
    import soxr

    samples, rate_hz = soundfile.read(AUDIO / "stage1_sol.opus", dtype="float32", always_2d=True)
    resampled: Clip = soxr.resample(samples.mean(axis=1), rate_hz, 24_000)
    return resampled


def variant(seed: int = 0) -> ClipVariant:
    """The bundled recipe with made rooms."""
    return AugmentationResource(seed=seed).variant()


def given_clips(store: Store, tier: Tier, piano: Clip, at: int) -> str:
    """A recording of three clips of its own, cut."""
    name = NAMES[at]
    part = piano[at * 120_000 : at * 120_000 + 120_000]
    content = io.BytesIO()
    soundfile.write(content, part, 24_000, subtype="PCM_24", format="FLAC")

    def audio() -> StageResult:
        flac = store.write_bytes(f"{tier.folder('audio')}/{name}.flac", content.getvalue())
        levels = io.BytesIO()
        NO_LEVELS.write_parquet(levels)
        path = f"{tier.folder('audio')}/{name}{LEVELS}"
        return StageResult(outputs=(flac, store.write_bytes(path, levels.getvalue())))

    settle(store, tier.folder("audio"), name, inputs=dict, parameters=dict, work=audio)
    settle_segments(store, tier, name, GRID, SCORER, KEEP_ALL)
    return name


def embedded(store: Store, tier: Tier, name: str, batches: ClipBatches) -> Settled:
    """The clean embeddings."""
    return settle_embeddings(
        store,
        tier,
        name,
        parameters=lambda: PARAMETERS,
        batches=batches,
        progress=EmbeddingProgress({}),
    )


def twinned(
    store: Store, tier: Tier, name: str, batches: ClipBatches, made: ClipVariant
) -> Settled:
    """The twins."""
    return settle_twins(
        store,
        tier,
        name,
        made,
        parameters=lambda: PARAMETERS,
        batches=batches,
        progress=EmbeddingProgress({}),
    )


def test_a_twin_is_the_embedding_of_the_augmented_clip(
    store: Store,
    tier: Tier,
    piano: Clip,
    batches: ClipBatches,
) -> None:
    """Each row's parameters make the twin again, and its cosines are those of the two files.

    Guards twins of another clip, rows that name other draws than were used, and figures that are
    not of the files that they stand beside.
    """
    name = given_clips(store, tier, piano, 0)
    embedded(store, tier, name, batches)
    receipt = twinned(store, tier, name, batches, variant()).receipt
    assert (receipt.state, receipt.facts["segments"]) == ("done", 3)
    rows = read_twins(store, tier, [name])
    assert [row.segment_id for row in rows] == [f"{name}_seg{at:04d}" for at in range(3)]
    for at, row in enumerate(rows):
        clip = piano[at * 48_000 : at * 48_000 + (48_000 if at < 2 else 24_000)]
        stored, _ = soundfile.read(
            str(store.path(f"{tier.folder('audio')}/{name}.flac")),
            start=at * 48_000,
            frames=clip.size,
            dtype="float32",
        )
        again = tiny_encoder().embed(variant().make(row.segment_id, stored)[np.newaxis])[0]
        twin = read_embedding_file(store.path(row.twin_path).read_bytes()).astype(np.float32)
        clean = read_embedding_file(store.path(row.embedding_path).read_bytes()).astype(np.float32)
        np.testing.assert_allclose(twin, again, atol=2e-3)
        assert len(twin) == len(clean) == row.frames
        by_frame = (twin * clean).sum(axis=1)
        by_frame /= np.linalg.norm(twin, axis=1) * np.linalg.norm(clean, axis=1)
        assert row.frame_cosine == pytest.approx(by_frame.mean(), abs=1e-4)
        assert row.frame_cosine < IDENTICAL
        assert row.effects
    assert not list(store.path(tier.folder(TWINS)).glob("*.wav"))


def test_another_seed_makes_other_twins_and_the_same_seed_none(
    store: Store,
    tier: Tier,
    piano: Clip,
    batches: ClipBatches,
) -> None:
    """What is done is skipped; another seed or another clean embedding is made anew, to the byte.

    Guards twins that stay when their recipe changes, and rows beside embeddings that are gone.
    """
    name = given_clips(store, tier, piano, 1)
    waiting = twinned(store, tier, name, batches, variant()).receipt
    assert (waiting.state, waiting.reason, waiting.attempts) == ("blocked", "upstream_not_done", 0)
    embedded(store, tier, name, batches)
    first = twinned(store, tier, name, batches, variant()).receipt
    assert twinned(store, tier, name, batches, variant()).skipped
    other = twinned(store, tier, name, batches, variant(seed=1)).receipt
    assert {file.sha256 for file in other.outputs}.isdisjoint(
        {file.sha256 for file in first.outputs}
    )
    again = twinned(store, tier, name, batches, variant()).receipt
    assert again.outputs[:3] == first.outputs[:3]
    receipt = store.path(f"{tier.folder('muq_embeddings')}/{name}.receipt.json")
    content = json.loads(receipt.read_text())
    content["outputs"][0]["sha256"] = "0" * 64
    receipt.write_text(json.dumps(content))
    assert read_twins(store, tier, [name]) == [], "its clean embeddings are others by now"


def test_a_clip_that_cannot_be_changed_fails_alone(
    store: Store,
    tier: Tier,
    piano: Clip,
    batches: ClipBatches,
) -> None:
    """The item fails and names the segment; the other twins are kept for the next try."""
    name = given_clips(store, tier, piano, 2)
    embedded(store, tier, name, batches)
    usual = variant()

    def make(segment_id: str, clip: Clip) -> Clip:
        if segment_id.endswith("0001"):
            raise ItemError("corrupt_audio", "the clip holds samples that are not finite")
        return usual.make(segment_id, clip)

    broken = ClipVariant(usual.parameters, usual.describe, make)
    receipt = twinned(store, tier, name, batches, broken).receipt
    assert (receipt.state, receipt.reason) == ("failed", "corrupt_audio")
    assert f"{name}_seg0001" in str(receipt.detail)
    assert len(receipt.outputs) == 2
    assert read_twins(store, tier, [name]) == []


def test_twins_of_no_use_are_flagged(
    store: Store,
    tier: Tier,
    piano: Clip,
    batches: ClipBatches,
) -> None:
    """A clip that was not changed is identical, and one that is another's is destroyed.

    Guards a flag that a common shift of all twins sets, or that nothing sets.
    """
    usual = variant()
    names = [given_clips(store, tier, piano, at) for at in range(len(NAMES))]
    for name in names:
        embedded(store, tier, name, batches)

    def unchanged(segment_id: str, clip: Clip) -> Clip:
        if segment_id == "one_seg0000":
            return clip
        if segment_id.startswith("two"):
            return np.random.default_rng(0).normal(0, 0.1, clip.size).astype(np.float32)
        return clip * np.float32(0.9) + np.float32(1e-3) * np.roll(clip, 7)

    for name in names:
        made = ClipVariant(usual.parameters, usual.describe, unchanged)
        assert twinned(store, tier, name, batches, made).receipt.state == "done"
    rows = read_twins(store, tier, names)
    others = strangers(store, tier, rows)
    assert others is not None
    assert len(set(others.recording_ids)) == len(names) >= LEAST_STRANGERS
    found = {row.segment_id: row.flag for row in flagged(store, tier, rows, others) if row.flag}
    assert found.pop("one_seg0000") == "identical"
    assert {(name.partition("_")[0], flag) for name, flag in found.items()} == {
        ("two", "destroyed")
    }, "by chance one in ten is not noticed, so all three clips of it are noise"
    few = rows[:6]
    assert strangers(store, tier, few) is None
    assert next(row.flag for row in flagged(store, tier, few, None)) == "identical"
    store.path(f"{tier.folder(TWINS)}/one{MEANS}").write_bytes(b"torn")
    with pytest.raises(SetupError, match="means_unreadable"):
        flagged(store, tier, rows, others)


def test_rows_are_of_the_model(
    store: Store,
    tier: Tier,
    piano: Clip,
    batches: ClipBatches,
) -> None:
    """A recording's rows read back; a torn line is said with its file."""
    name = given_clips(store, tier, piano, 3)
    embedded(store, tier, name, batches)
    twinned(store, tier, name, batches, variant())
    path = store.path(f"{tier.folder(TWINS)}/{name}{ROWS}")
    first = TwinRow.model_validate_json(path.read_text().splitlines()[0])
    assert (first.recipe, first.recipe_version, first.seed) == ("default", 1, 0)
    path.write_text(path.read_text()[:-40])
    with pytest.raises(SetupError, match="rows_unreadable"):
        read_twins(store, tier, [name])


def test_a_recipe_that_cannot_be_used_is_told_before_anything(tmp_path: Path) -> None:
    """The resource names the file; guards a night of blocked recordings for a mistyped path."""
    with pytest.raises(SetupError, match=r"nowhere\.yaml"):
        AugmentationResource(recipe=str(tmp_path / "nowhere.yaml")).variant()
    with pytest.raises(SetupError, match="no such folder"):
        AugmentationResource(rooms=str(tmp_path / "nowhere")).variant()
