"""Peak memory of embedding one long 44.1 kHz stereo file, over the model; Linux only.

What belongs here: one measurement, alone in a process, and starting that process. What does not:
timing. *The model* is what importing the libraries takes and the weights that an embedding goes
through, as the checkpoint's file has them; all else counts as over it: transformed kernels,
workspaces, audio, activations. A whole hour need not be embedded: it is decoded, stored and cut in
full, and its first and last clips go through the model, by when nothing is left that grows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import librosa
import pedalboard.io  # noqa: F401 - imports are not memory of a recording
import soundfile
import soxr  # noqa: F401
import torchaudio  # noqa: F401
from embedding_cost import peak_rss_mb, reset_peak, rss_mb
from embedding_sides import (
    CLIP_FRAMES,
    CLIP_S,
    Package,
    embed_by_pipeline,
    kept_clips,
    read_stereo,
    store_audio,
    store_clips,
    write_original,
)

from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.encoder import load_encoder
from data_collection.embedding.options import EncoderOptions
from data_collection.embedding.weights import NEEDED, read_weights
from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.store import Store

MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """One measurement, in MB.

    Attributes:
        engine: `package`, or the precision of this project's encoder.
        minutes: length of the recording.
        clips: how many there are in it.
        embedded_clips: how many of them went through the model.
        model_mb: imports and weights; on another device than the processor, all that is held once
            the model is loaded.
        loading_mb: most that was held while the model was loaded and checked, over the model.
        loaded_mb: what was held when it was: transformed kernels and workspaces, over the model.
        peak_mb: most that was held while the recording was read and embedded, over the model.
    """

    engine: str
    minutes: float
    clips: int
    embedded_clips: int
    model_mb: float
    loading_mb: float
    loaded_mb: float
    peak_mb: float


def measure_memory(
    checkpoint: Path,
    sources: Sequence[Path],
    minutes: Sequence[float],
    engines: Sequence[str],
    *,
    device: str,
    clips: int | None,
) -> list[Memory]:
    """Measure each engine on a recording of each length, each in a process of its own.

    Args:
        checkpoint: the folder.
        sources: audio, joined and repeated.
        minutes: lengths.
        engines: `package`, `float32`, `bfloat16`.
        device: a definite one.
        clips: embed so many of each, from both ends; None: all.
    """
    measured = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = [read_stereo(source, folder) for source in sources]
        for length in minutes:
            count = max(1, round(length * 60 / CLIP_S))
            original = write_original(parts, folder / "made.flac", count)
            for engine in engines:
                print(f"memory of {engine}, {length:g} minutes", flush=True)
                command = [sys.executable, __file__, engine, str(checkpoint), str(original), device]
                done = subprocess.run(  # noqa: S603
                    [*command, *([str(clips)] if clips else [])],
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                measured.append(Memory(**json.loads(done.stdout.splitlines()[-1])))
    return measured


def measure_here(
    engine: str, checkpoint: Path, original: Path, device: str, clips: int | None
) -> Memory:
    """Embed a recording in this process, which has done nothing before."""
    import muq  # noqa: F401 - counted as an import, whoever uses it

    found = find_checkpoint(str(checkpoint))
    tensors = read_weights(found).tensors
    weights_mb = sum(t.nbytes for name, t in tensors.items() if name.startswith(NEEDED)) / MB
    del tensors
    imported_mb = rss_mb()
    if engine == "package":
        package = Package(found.folder, device)
    else:
        encoder = load_encoder(
            found, EncoderOptions.model_validate({"device": device, "precision": engine})
        )
    loading_mb = peak_rss_mb()
    loaded_mb = rss_mb()
    model_mb = imported_mb + weights_mb if device == "cpu" else loaded_mb
    count = round(soundfile.info(original).duration / CLIP_S)
    kept = kept_clips(count, clips)
    reset_peak()
    with tempfile.TemporaryDirectory() as name:
        if engine == "package":
            whole, _ = librosa.load(original, sr=SAMPLE_RATE_HZ)
            package.embed_some(whole, kept, Path(name), "made")
        else:
            store = Store.at(name)
            store_audio(store, "made", original)
            store_clips(store, "made", clips)
            embed_by_pipeline(store, ["made"], encoder)
    return Memory(
        engine=engine,
        minutes=count * CLIP_FRAMES / SAMPLE_RATE_HZ / 60,
        clips=count,
        embedded_clips=len(kept),
        model_mb=model_mb,
        loading_mb=loading_mb - model_mb,
        loaded_mb=loaded_mb - model_mb,
        peak_mb=peak_rss_mb() - model_mb,
    )


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engine", choices=("package", "float32", "bfloat16"))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("original", type=Path)
    parser.add_argument("device")
    parser.add_argument("clips", type=int, nargs="?")
    given = parser.parse_args()
    measured = measure_here(
        given.engine, given.checkpoint, given.original, given.device, given.clips
    )
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
