"""What storing clips in 16 or 24 bits does to their embeddings.

    python -m data_collection.sample.render.make_checkpoint --full --folder /tmp/muq-full
    python benchmarks/stored_audio.py /tmp/muq-full [RECORDING]

Embeds one clip as it was resampled, and as 16 and 24 bits would give it back, at its own level and
40 dB below, and prints the least cosine of a frame and the relative error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.encoder import load_encoder
from data_collection.embedding.options import EncoderOptions
from data_collection.recordings import decode
from data_collection.sample.media import AUDIO

CLIP_S = 30


def rounded(clip: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.float32]:
    """What integers of so many bits give back."""
    scale = 2.0 ** (bits - 1)
    return (np.round(clip.astype(np.float64) * scale) / scale).astype(np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", help="folder or hub id")
    parser.add_argument("recording", type=Path, nargs="?", default=AUDIO / "stage1_sol.opus")
    arguments = parser.parse_args()
    encoder = load_encoder(find_checkpoint(arguments.checkpoint), EncoderOptions(device="cpu"))
    with decode._open_with_pyav(arguments.recording) as opened:
        mono = np.concatenate(list(opened.blocks))
        clip = soxr.resample(mono, opened.rate_hz, decode.SAMPLE_RATE_HZ)
    clip = clip[: CLIP_S * decode.SAMPLE_RATE_HZ].astype(np.float32)
    for name, gain in (("as it is", 1.0), ("40 dB quieter", 0.01)):
        exact = (clip * np.float32(gain)).astype(np.float32)
        true = encoder.embed(exact[np.newaxis])[0]
        for bits in (16, 24):
            stored = encoder.embed(rounded(exact, bits)[np.newaxis])[0]
            norms = np.linalg.norm(true, axis=1) * np.linalg.norm(stored, axis=1)
            cosine = float((np.sum(true * stored, axis=1) / norms).min())
            error = float(np.linalg.norm(true - stored) / np.linalg.norm(true))
            print(f"{name:14} {bits} bit: least cosine {cosine:.7f}, relative error {error:.1e}")


if __name__ == "__main__":
    main()
