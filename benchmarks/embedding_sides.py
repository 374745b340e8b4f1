"""The two ways from files on disk to `.pt` files on disk, and the audio that both are given.

What belongs here: recordings of whole clips, the package's usage as its documentation has it, and
this project's stages over a real store. What does not: timing (`embedding`), memory
(`embedding_memory`), counting (`embedding_cost`).
"""

from __future__ import annotations

import io
import logging
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import numpy.typing as npt
import polars as pl
import soundfile
import torch

from data_collection.embedding.assets import recordings_at_once
from data_collection.embedding.batches import ClipBatches
from data_collection.embedding.encoder import Encoder
from data_collection.embedding.progress import EmbeddingProgress
from data_collection.embedding.stage import planned, settle_embeddings
from data_collection.recordings.decode import SAMPLE_RATE_HZ, decode_to_flac
from data_collection.recordings.receipts import Settled, StageResult, finished_receipt, settle
from data_collection.recordings.segments import SEGMENT_SCHEMA, segment_id
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Catalogue, Tier
from data_collection.recordings.tier_rows import Recording, SegmentRow
from data_collection.sample.media import AUDIO, encode

Samples = npt.NDArray[np.float32]

CLIP_S = 30
CLIP_FRAMES = CLIP_S * SAMPLE_RATE_HZ
ORIGINAL_RATE_HZ = 44_100
TIER = Tier(
    key_prefix=("benchmark",),
    group="benchmark",
    label="Benchmark",
    partitions_name="benchmark",
    recording_model=Recording,
    row_model=SegmentRow,
    find_recordings=lambda _: Catalogue(recordings=()),
)
LOG = logging.getLogger("benchmarks.embedding")


def sample_recordings() -> list[Path]:
    """The piano recordings that the repository ships."""
    return sorted(path for path in AUDIO.glob("*.opus") if not path.stem.startswith("sounds_"))


def read_stereo(source: Path, scratch: Path) -> Samples:
    """Any audio file as 44.1 kHz stereo, `[samples, 2]`."""
    flac = encode(source, scratch / f"{source.stem}.flac", "flac")
    samples: Samples
    samples, _ = soundfile.read(flac, dtype="float32", always_2d=True)
    flac.unlink()
    return samples


def write_original(parts: Sequence[Samples], target: Path, clips: int, *, first: int = 0) -> Path:
    """Join recordings, over and over, into a 44.1 kHz stereo FLAC of whole clips.

    Args:
        parts: `[samples, 2]` at 44.1 kHz each.
        target: the file to write.
        clips: how many it holds.
        first: with which part to begin.
    """
    missing = clips * CLIP_S * ORIGINAL_RATE_HZ
    with soundfile.SoundFile(target, "w", ORIGINAL_RATE_HZ, 2, subtype="PCM_16") as file:
        for part in islice(cycle(parts), first % len(parts), None):
            file.write(part[:missing])
            missing -= len(part[:missing])
            if missing <= 0:
                return target
    raise AssertionError("a cycle does not end")


@dataclass(frozen=True, slots=True)
class Material:
    """Recordings before anything is embedded.

    Attributes:
        root: data root with their stored audio and their tables of clips.
        originals: 44.1 kHz stereo files, by recording.
    """

    root: Path
    originals: Mapping[str, Path]

    @property
    def recording_ids(self) -> list[str]:
        """The recordings."""
        return list(self.originals)

    def stored(self, recording_id: str) -> Path:
        """A recording's FLAC: mono, 24 kHz, 24 bit."""
        return self.root / TIER.folder("audio") / f"{recording_id}.flac"

    def clips(self) -> Samples:
        """All clips, `[clips, samples]`, as they are stored."""
        wholes = [
            soundfile.read(self.stored(name), dtype="float32")[0] for name in self.recording_ids
        ]
        return np.concatenate([whole.reshape(-1, CLIP_FRAMES) for whole in wholes])


def make_material(sources: Sequence[Path], folder: Path, clips: int, recordings: int) -> Material:
    """Write originals, store them as the project stores audio, and cut them."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [read_stereo(source, folder) for source in sources]
    store = Store.at(str(folder / "root"))
    originals = {}
    for index in range(recordings):
        name = f"made_{index:03d}"
        count = clips // recordings + (index < clips % recordings)
        originals[name] = write_original(parts, folder / f"{name}.flac", count, first=index)
        store_audio(store, name, originals[name])
        store_clips(store, name)
    return Material(folder / "root", originals)


def store_audio(store: Store, recording_id: str, original: Path) -> None:
    """The audio stage from the file on: decode, resample, store as mono 24-bit FLAC."""

    def work() -> StageResult:
        with store.scratch() as scratch:
            flac = scratch / f"{recording_id}.flac"
            decode_to_flac(original, flac)
            stored = store.publish(flac, f"{TIER.folder('audio')}/{recording_id}.flac")
        return StageResult(outputs=(stored,))

    _done(
        settle(
            store,
            TIER.folder("audio"),
            recording_id,
            inputs=lambda: {"source_id": original.name},
            parameters=dict,
            work=work,
        )
    )


def store_clips(store: Store, recording_id: str, at_most: int | None = None) -> None:
    """A table of clips by the grid alone: what is heard in them is no part of embedding.

    Args:
        store: the data root.
        recording_id: whose audio is stored.
        at_most: keep so many, half of them from the end; None: all.
    """
    audio = finished_receipt(store, TIER.folder("audio"), recording_id)
    flac = str(store.path(audio.outputs[0].path))
    kept = kept_clips(soundfile.info(flac).frames // CLIP_FRAMES, at_most)

    def work() -> StageResult:
        rows = [
            {
                "segment_id": segment_id(recording_id, index),
                "recording_id": recording_id,
                "segment_index": index,
                "start_frame": index * CLIP_FRAMES,
                "frame_count": CLIP_FRAMES,
                "state": "kept",
            }
            for index in kept
        ]
        buffer = io.BytesIO()
        pl.DataFrame(rows, schema=SEGMENT_SCHEMA).write_parquet(buffer)
        path = f"{TIER.folder('segments')}/{recording_id}.parquet"
        return StageResult(
            outputs=(store.write_bytes(path, buffer.getvalue()),),
            facts={"clips_kept": len(kept), "kept_s": float(len(kept) * CLIP_S)},
        )

    _done(
        settle(
            store,
            TIER.folder("segments"),
            recording_id,
            inputs=lambda: {"audio_sha256": audio.outputs[0].sha256},
            parameters=dict,
            work=work,
        )
    )


def kept_clips(clips: int, at_most: int | None) -> list[int]:
    """Indices of the clips to embed: all, or the first and the last ones."""
    if at_most is None or at_most >= clips:
        return list(range(clips))
    last = at_most // 2
    return [*range(at_most - last), *range(clips - last, clips)]


def embed_by_pipeline(store: Store, recording_ids: Sequence[str], encoder: Encoder) -> None:
    """This project's stage over recordings, as the asset `muq_embeddings` runs it."""
    embed_recordings(store, recording_ids, encoder, before=lambda _: None)


def embed_from_originals(store: Store, originals: Mapping[str, Path], encoder: Encoder) -> None:
    """The same, and before it each recording's audio stage, which the model need not wait for."""
    embed_recordings(
        store,
        list(originals),
        encoder,
        before=lambda name: store_audio(store, name, originals[name]),
    )


def embed_recordings(
    store: Store,
    recording_ids: Sequence[str],
    encoder: Encoder,
    *,
    before: Callable[[str], None],
) -> None:
    """Embed recordings, several at once; `before` is called in a recording's own thread."""
    progress = EmbeddingProgress(planned(store, TIER, recording_ids))

    def embed(name: str) -> None:
        before(name)
        _done(
            settle_embeddings(
                store,
                TIER,
                name,
                parameters=lambda: encoder.parameters,
                batches=batches,
                progress=progress,
            )
        )

    with (
        ThreadPoolExecutor(recordings_at_once()) as recordings,
        ClipBatches(lambda: encoder, LOG) as batches,
    ):
        list(recordings.map(embed, recording_ids))


def fresh_store(material: Material, folder: Path, *, from_originals: bool) -> Store:
    """A store without embeddings; where audio is part of the work, without audio as well."""
    if not from_originals:
        return Store.at(str(material.root), str(folder))
    segments = TIER.folder("segments")
    shutil.copytree(material.root / segments, folder / segments)
    return Store.at(str(folder))


class Package:
    """The `muq` package, used as its documentation says: one clip at a time, saved after each."""

    def __init__(self, checkpoint: Path, device: str) -> None:
        from muq import MuQ

        self._device = device
        self.model: Any = MuQ.from_pretrained(str(checkpoint)).to(device).eval()

    def embed_files(self, files: Mapping[str, Path], folder: Path) -> None:
        """Read each file whole, cut it, embed, save as float16.

        Args:
            files: by the recording's name.
            folder: where the `.pt` files go, under the names that the project gives them.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with torchs_own_settings():
            for name, path in files.items():
                whole, _ = librosa.load(path, sr=SAMPLE_RATE_HZ)
                clips = len(whole) // CLIP_FRAMES
                self.embed_some(whole, range(clips), folder, name)

    def embed_some(self, whole: Samples, kept: Sequence[int], folder: Path, name: str) -> None:
        """Embed and save clips of a recording that is in memory."""
        for index in kept:
            clip = whole[index * CLIP_FRAMES : (index + 1) * CLIP_FRAMES]
            hidden = self.last_hidden_state(clip[np.newaxis])[0]
            torch.save(hidden.half().cpu(), folder / f"{segment_id(name, index)}.pt")

    def last_hidden_state(self, clips: Samples) -> torch.Tensor:
        """`[batch, samples]` to `[batch, frames, width]` on the device."""
        wavs = torch.tensor(clips).to(self._device)
        with torch.no_grad():
            output = self.model(wavs, output_hidden_states=True)
        hidden: torch.Tensor = output.last_hidden_state
        return hidden


@contextmanager
def torchs_own_settings() -> Iterator[None]:
    """The settings that a user of the package has: cuDNN may convolve in TF32.

    Loading this project's encoder forbids that for the whole process.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def bare_passes(encoder: Encoder, clips: Samples) -> Samples:
    """Forward passes alone, in the batches that the encoder takes: `[clips, frames, width]`."""
    size = max(1, math.floor(encoder.batch_s * SAMPLE_RATE_HZ / clips.shape[1]))
    return np.concatenate(
        [encoder.embed(clips[start : start + size]) for start in range(0, len(clips), size)]
    )


def _done(settled: Settled) -> None:
    receipt = settled.receipt
    if receipt.state != "done":
        raise RuntimeError(f"{receipt.stage} of {receipt.recording_id}: {receipt.detail}")
