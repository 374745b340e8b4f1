"""What measuring quality costs, and what it finds, on the sample's piano.

    python benchmarks/quality.py [--json]

Prints the processor time of one stored clip of 30 s and of a second of an original (stereo, at its
own rate), medians; how far the two loudness filters are from the standard on its own tone; and the
share of clipped samples that is found after a lossy codec.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyloudnorm
import soundfile
import soxr

from data_collection.recordings import decode
from data_collection.recordings.quality import SourceLevelMeter, segment_quality
from data_collection.sample.media import AUDIO, Container, encode

ROUNDS = 9
CLIP_S = 30
DRIVE = 2.0
LOSSY: tuple[Container, ...] = ("m4a", "webm", "mp3")


def piano(folder: Path) -> tuple[npt.NDArray[np.float32], int]:
    """A sample recording as `[channels, n]`, normalised, at its own rate."""
    flac = encode(AUDIO / "stage1_marlowe.opus", folder / "piano.flac", "flac")
    samples, rate_hz = soundfile.read(flac, dtype="float32", always_2d=True)
    samples = samples[: CLIP_S * rate_hz].T
    return np.ascontiguousarray(samples / np.abs(samples).max()), int(rate_hz)


def median_ms(work: Callable[[], object]) -> float:
    """Processor milliseconds of one call."""
    work()
    took = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        took.append(1000 * (time.process_time() - started))
    return statistics.median(took)


def measured(samples: npt.NDArray[np.float32], rate_hz: int) -> SourceLevelMeter:
    """A meter that has seen all samples, ten seconds at a time."""
    meter = SourceLevelMeter(rate_hz)
    size = int(decode.BLOCK_S * rate_hz)
    for start in range(0, samples.shape[1], size):
        meter.add(samples[:, start : start + size])
    return meter


def loudness_errors_lu() -> dict[str, float]:
    """How far a full-scale 997 Hz sine is from its -3.01 LUFS, in the stored form."""
    rate_hz = decode.SAMPLE_RATE_HZ
    tone = np.sin(2 * np.pi * 997 * np.arange(CLIP_S * rate_hz) / rate_hz)
    return {
        f"loudness_error_lu_{name}": float(
            pyloudnorm.Meter(rate_hz, filter_class=name).integrated_loudness(tone.copy())
        )
        + 3.0103
        for name in ("K-weighting", "DeMan")
    }


def clipped_shares(
    samples: npt.NDArray[np.float32], rate_hz: int, folder: Path
) -> dict[str, float]:
    """Share of clipped samples in a wav that was overdriven, and in what codecs make of it."""
    wav = folder / "clipped.wav"
    soundfile.write(wav, np.clip(samples * DRIVE, -1, 1).T, rate_hz, subtype="PCM_24")
    forms = [wav, *(encode(wav, folder / f"clipped.{lossy}", lossy) for lossy in LOSSY)]
    found = {"clipped_share_true": float(np.mean(np.abs(samples * DRIVE) >= 1))}
    for form in forms:
        told = decode.decode_to_flac(form, folder / "stored.flac").source_levels
        found[f"clipped_share_{form.suffix[1:]}"] = float(told["clipped_share"].to_numpy().mean())
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples, rate_hz = piano(folder)
        clip = soxr.resample(samples.mean(axis=0), rate_hz, decode.SAMPLE_RATE_HZ)
        results = {
            "clip_ms": median_ms(lambda: segment_quality(clip, decode.SAMPLE_RATE_HZ)),
            "source_second_ms": median_ms(lambda: measured(samples, rate_hz).table()) / CLIP_S,
            **loudness_errors_lu(),
            **clipped_shares(samples, rate_hz, folder),
        }
    for label, value in results.items():
        print(f"{label:32} {value:.5f}")
    if as_json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
