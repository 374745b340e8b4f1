"""How fast an original becomes stored audio, against librosa.load, and which decoder is faster.

    python benchmarks/decode.py [--json]

Alternates the candidates in one process on five minutes of the sample's piano and prints ratios of
processor time: medians, and the spread. Machines differ and drift; the ratios hold better. Both
sides write the same FLAC. librosa reads neither m4a nor webm without a system's ffmpeg.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import soundfile

from data_collection.recordings import decode
from data_collection.sample.media import AUDIO, Container, encode

MINUTES = 5
ROUNDS = 3


def long_original(folder: Path, container: Container | None) -> Path:
    """Five minutes of piano at 44.1 kHz stereo, as wav or in another container."""
    wav = folder / "long.wav"
    if not wav.exists():
        source = encode(AUDIO / "stage1_sol.opus", folder / "sol.flac", "flac")
        samples, rate_hz = soundfile.read(source, dtype="int16")
        times = round(MINUTES * 60 * rate_hz / len(samples))
        soundfile.write(wav, np.tile(samples, (times, 1)), rate_hz)
    return encode(wav, folder / f"long.{container}", container) if container else wav


def cpu_s(work: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def read_all(opener: Callable[[Path], object], path: Path) -> int:
    """Decode to mono blocks at the original's rate, and drop them."""
    with opener(path) as opened:  # type: ignore[attr-defined]
        return sum(block.size for block in opened.blocks)


def with_librosa(path: Path, target: Path) -> None:
    """The usual way: everything in memory at once."""
    samples, rate_hz = librosa.load(path, sr=decode.SAMPLE_RATE_HZ, mono=True)
    soundfile.write(target, samples, int(rate_hz), subtype=decode.STORED_SUBTYPE)


def ratios(first: Callable[[], object], second: Callable[[], object]) -> dict[str, float]:
    """How many times the first takes of the second, alternated."""
    first(), second()
    pairs = [cpu_s(first) / cpu_s(second) for _ in range(ROUNDS)]
    return {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    as_json = parser.parse_args().json
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stored = folder / "stored.flac"
        containers: tuple[Container | None, ...] = (None, "flac", "mp3")
        for container in containers:
            path = long_original(folder, container)
            label = container or "wav"
            results[f"librosa_over_ours_{label}"] = ratios(
                lambda path=path: with_librosa(path, stored),  # type: ignore[misc]
                lambda path=path: decode.decode_to_flac(path, stored),  # type: ignore[misc]
            )
            if container in (None, "flac"):
                results[f"pyav_over_pedalboard_{label}"] = ratios(
                    lambda path=path: read_all(decode._open_with_pyav, path),  # type: ignore[misc]
                    lambda path=path: read_all(decode._open_with_pedalboard, path),  # type: ignore[misc]
                )
    for label, found in results.items():
        print(f"{label:32} {found['median']:.2f}  ({found['min']:.2f} to {found['max']:.2f})")
    if as_json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
