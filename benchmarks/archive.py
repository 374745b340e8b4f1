"""What one recording costs out of a remote archive: bytes, requests, memory, and after a drop.

    python benchmarks/archive.py [--size-gb 1.2] [--members 6] [--json]

Makes an archive as the release is (one folder, wavs of 44.1 and 48 kHz in stereo with a MIDI file
beside each, long records) with every third wav deflated, serves it on loopback and decodes members
in a process of its own, whose memory is looked at. The connection of one member is cut in the
middle.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from data_collection.maestro.archive import open_archive
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.store import Store
from data_collection.sample.media import AUDIO, encode

sys.path.append(str(Path(__file__).parents[1]))  # the tests are not installed
from data_collection_tests.maestro.made_archives import TOP, Fault, serve_folder

BYTES_PER_FRAME = 4
RATES_HZ = (44_100, 48_000)
DEFLATED_EVERY = 3
CHILD = [sys.executable, __file__, "--decode"]


def piano(folder: Path, rate_hz: int) -> Path:
    """The sample's piano as a wav of 16 bits in stereo."""
    source = encode(AUDIO / "stage1_sol.opus", folder / "sol.flac", "flac")
    samples, _ = soundfile.read(source, dtype="int16", always_2d=True)
    wav = folder / f"sol{rate_hz}.wav"
    soundfile.write(wav, np.broadcast_to(samples, (len(samples), 2)), rate_hz)
    return wav


def long_wav(source: Path, target: Path, size_bytes: int) -> Path:
    """A wav over and over, up to a size."""
    samples, rate_hz = soundfile.read(source, dtype="int16")
    with soundfile.SoundFile(target, "w", rate_hz, 2, subtype="PCM_16") as file:
        for _ in range(max(1, size_bytes // (len(samples) * BYTES_PER_FRAME))):
            file.write(samples)
    return target


def make_archive(folder: Path, size_bytes: int, members: int) -> dict[str, int]:
    """Write the archive; gives each wav's size in it."""
    sources = [piano(folder, rate_hz) for rate_hz in RATES_HZ]
    sizes = {}
    with zipfile.ZipFile(folder / f"{TOP}.zip", "w") as archive:
        for number in range(members):
            wav = long_wav(sources[number % 2], folder / "member.wav", size_bytes // members)
            name = f"{2004 + number}/recording_{number:02d}.wav"
            info = zipfile.ZipInfo(f"{TOP}/{name}", (2020, 1, 1, 0, 0, 0))
            is_deflated = number % DEFLATED_EVERY == DEFLATED_EVERY - 1
            info.compress_type = zipfile.ZIP_DEFLATED if is_deflated else zipfile.ZIP_STORED
            with wav.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while block := source.read(1 << 20):
                    target.write(block)
            sizes[name] = archive.getinfo(info.filename).compress_size
            archive.writestr(f"{TOP}/{name.removesuffix('wav')}midi", bytes(40_000))
    return sizes


def peak_mb() -> float:
    """Most memory that this process has held, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def decode_members(base_url: str, root: Path, names: list[str]) -> Iterator[dict[str, float]]:
    """The measured process: decode each member and say what it took."""
    import av  # noqa: F401 - what decoding imports is no memory of a member
    import httpx  # noqa: F401
    import pedalboard.io  # noqa: F401
    import soxr  # noqa: F401

    root.mkdir(exist_ok=True)
    start_mb = peak_mb()
    with open_archive(base_url, Store.at(str(root)), FetchOptions(retry_wait_s=0.1)) as archive:
        for name in names:
            requests, moved = archive.traffic.requests, archive.traffic.moved_bytes
            started = time.monotonic()
            stored = archive.decode(name, root / "stored.flac")
            yield {
                "requests": archive.traffic.requests - requests,
                "moved_bytes": archive.traffic.moved_bytes - moved,
                "audio_s": stored.decoded.duration_s,
                "seconds": time.monotonic() - started,
                "peak_over_start_mb": peak_mb() - start_mb,
            }


def measure(size_bytes: int, members: int) -> dict[str, object]:
    """Make, serve, decode in another process, and compare with what the server sent."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = make_archive(folder, size_bytes, members)
        first, *others = sizes
        with serve_folder(folder) as server:
            # One byte, the directory, then the members; the third of them is cut in the middle.
            cut = list(sizes)[2]
            server.faults = [None] * 4 + [Fault(drop_after=sizes[cut] // 2)]
            done = subprocess.run(  # noqa: S603
                [*CHILD, server.url, str(folder / "root"), first, *others],
                capture_output=True,
                text=True,
                check=True,
            )
            sent_bytes = server.sent_bytes
        # What is tried again is logged there as well.
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        rows = [json.loads(line) for line in lines]
        archive_bytes = (folder / f"{TOP}.zip").stat().st_size
    for row, (member, compressed) in zip(rows, sizes.items(), strict=True):
        row["member"], row["compressed_bytes"] = member, compressed
        row["moved_over_member"] = row["moved_bytes"] / compressed
        row["is_cut"] = member == cut
    return {
        "archive_bytes": archive_bytes,
        "sent_bytes": sent_bytes,
        "directory_bytes": rows[0]["moved_bytes"] - sizes[first],
        "max_moved_over_member": max(row["moved_over_member"] for row in rows[1:]),
        "cut_moved_over_member": next(row["moved_over_member"] for row in rows if row["is_cut"]),
        "cut_requests": next(row["requests"] for row in rows if row["is_cut"]),
        "peak_over_start_mb": max(row["peak_over_start_mb"] for row in rows),
        "members": rows,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size-gb", type=float, default=1.2, help="of the archive, about")
    parser.add_argument("--members", type=int, default=6, help="wavs in it, at least 3")
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    parser.add_argument("--decode", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.decode:
        base_url, root, *names = arguments.decode
        for row in decode_members(base_url, Path(root), names):
            print(json.dumps(row))
        return
    results = measure(round(arguments.size_gb * 1e9), max(3, arguments.members))
    print(f"archive {results['archive_bytes']:,} bytes")
    for row in results["members"]:  # type: ignore[attr-defined]
        note = "  its connection was cut" if row["is_cut"] else ""
        print(
            f"{row['member']}  {row['compressed_bytes']:>12,} bytes  moved "
            f"{row['moved_over_member']:.6f} times  {row['requests']} requests  "
            f"{row['audio_s']:.0f} s of audio in {row['seconds']:.1f} s  "
            f"{row['peak_over_start_mb']:.0f} MB{note}"
        )
    if arguments.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
