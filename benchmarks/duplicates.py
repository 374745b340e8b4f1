"""How often copies are found and other performances are taken for copies, and what it costs.

    python benchmarks/duplicates.py [--audio FOLDER] [--performances FOLDER] [--hours H] [--json]

Copies are the sample's recordings, and the files of --audio, put through codecs, filters, noise,
another speed, whole and cut to 30 s. Other performances are the sample's six pianists and the files
of --performances, named `<piece>_<who>.wav`, such as the Vienna 4x22 corpus rendered at 24 kHz.
Takes are the same with a tempo that wanders, made of the landmarks. The index is filled with
pieces of all these, transposed and at other tempi, to --hours (1,667: 10,000 recordings of ten
minutes).
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from data_collection.recordings.decode import SAMPLE_RATE_HZ, decode_to_flac
from data_collection.recordings.fingerprints.index import FingerprintIndex
from data_collection.recordings.fingerprints.landmarks import (
    BANDS,
    TICKS_PER_S,
    Landmarks,
    hear,
    landmarks_of,
)
from data_collection.recordings.fingerprints.stored import Fingerprint, to_bytes
from data_collection.sample.media import AUDIO

Samples = npt.NDArray[np.float32]
Treatment = Callable[[Samples], Samples]

RECORDING_S = 600.0
CUT_S = 30.0
LEAST_S = 35.0
CODECS = {
    "aac_128k": ("aac", "m4a", 128_000, 44_100),
    "aac_48k": ("aac", "m4a", 48_000, 44_100),
    "opus_96k": ("libopus", "webm", 96_000, 48_000),
    "opus_48k": ("libopus", "webm", 48_000, 48_000),
    "mp3_128k": ("libmp3lame", "mp3", 128_000, 44_100),
    "mp3_64k": ("libmp3lame", "mp3", 64_000, 44_100),
}


def through_codec(samples: Samples, name: str) -> Samples:
    """Encode, decode, and be back at 24 kHz."""
    import av
    from av.audio.stream import AudioStream

    codec, container, bit_rate, rate_hz = CODECS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"copy.{container}")
        with av.open(str(path), "w") as writing:
            stream = writing.add_stream(codec, rate=rate_hz, layout="mono")
            if not isinstance(stream, AudioStream):
                raise TypeError(f"{codec} is no audio codec")
            stream.bit_rate = bit_rate
            context = stream.codec_context
            resampler = av.AudioResampler(
                context.format, "mono", rate_hz, frame_size=context.frame_size or 0
            )
            sound = _resampled(samples, SAMPLE_RATE_HZ, rate_hz)
            frame = av.AudioFrame.from_ndarray(sound[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, 0
            for part in (frame, None):
                for resampled in resampler.resample(part):
                    writing.mux(stream.encode(resampled))
            writing.mux(stream.encode(None))
        decode_to_flac(path, Path(folder, "copy.flac"))
        decoded: Samples = soundfile.read(Path(folder, "copy.flac"), dtype="float32")[0]
    return decoded


def _resampled(samples: Samples, from_hz: float, to_hz: float) -> Samples:
    resampled: Samples = soxr.resample(samples, from_hz, to_hz).astype(np.float32)
    return resampled


def at_speed(samples: Samples, speed: float) -> Samples:
    """A tape that runs at another speed."""
    return _resampled(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)


def with_noise(samples: Samples, ratio_db: float) -> Samples:
    """White noise, so many dB below the sound."""
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-ratio_db / 20)
    noise = np.random.default_rng(0).standard_normal(samples.size).astype(np.float32)
    noisy: Samples = samples + np.float32(level) * noise
    return noisy


def clipped(samples: Samples) -> Samples:
    """Clipped at 16 dB below its peak."""
    top = np.float32(0.15 * np.abs(samples).max())
    return np.clip(samples, -top, top)


def in_a_room(samples: Samples, reverberation_s: float) -> Samples:
    """Played through loudspeakers in a room, and recorded there: a tail as loud as the sound."""
    from scipy.signal import oaconvolve

    seconds = np.arange(round(reverberation_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = np.random.default_rng(0).standard_normal(seconds.size)
    tail *= 10 ** (-3 * seconds / reverberation_s)
    tail /= np.sqrt(np.sum(tail**2))
    tail[0] += 1
    heard: Samples = oaconvolve(samples, tail)[: samples.size].astype(np.float32) / 4
    return heard


TREATMENTS: Mapping[str, Treatment] = {
    "gain_-18_db": lambda samples: samples / np.float32(8),
    **{name: partial(through_codec, name=name) for name in CODECS},
    "three_codecs": lambda samples: through_codec(
        through_codec(through_codec(samples, "opus_48k"), "aac_128k"), "mp3_128k"
    ),
    "noise_at_20_db": lambda samples: with_noise(samples, 20),
    "noise_at_10_db": lambda samples: with_noise(samples, 10),
    "clipped": clipped,
    "16_khz": lambda samples: _resampled(
        _resampled(samples, SAMPLE_RATE_HZ, 16_000), 16_000, SAMPLE_RATE_HZ
    ),
    "room_0.4_s": lambda samples: in_a_room(samples, 0.4),
    "room_1.5_s": lambda samples: in_a_room(samples, 1.5),
    "speed_+0.5_percent": lambda samples: at_speed(samples, 1.005),
    "speed_-0.5_percent": lambda samples: at_speed(samples, 0.995),
}


def read_mono(path: Path) -> Samples:
    """Any file, as the collection stores it."""
    with tempfile.TemporaryDirectory() as folder:
        decode_to_flac(path, Path(folder, "stored.flac"))
        samples: Samples = soundfile.read(Path(folder, "stored.flac"), dtype="float32")[0]
    return samples


def of_copies(
    sounds: Mapping[str, Samples], index: FingerprintIndex
) -> Iterator[dict[str, object]]:
    """How many copies are found, for each treatment, whole and cut; and who else is."""
    for name, treatment in TREATMENTS.items():
        for cut in (False, True):
            found, wrong, scores = 0, 0, []
            for which, samples in sounds.items():
                first = round(3.3 * SAMPLE_RATE_HZ) + 77
                part = samples[first : first + round(CUT_S * SAMPLE_RATE_HZ)] if cut else samples
                for one in index.search(landmarks_of(treatment(part))):
                    found += one.recording_id == which
                    wrong += one.recording_id != which
                    scores.append(one.overlaps[0].score)
            yield {
                "treatment": name,
                "cut_to_30_s": cut,
                "copies": len(sounds),
                "found": found,
                "wrong": wrong,
                "least_score": round(min(scores, default=0.0), 2),
            }


def of_performances(performances: Mapping[str, Landmarks]) -> dict[str, int]:
    """How many pairs of different performances are taken for one."""
    index = FingerprintIndex(performances.items())
    found = {
        tuple(sorted((name, one.recording_id)))
        for name, landmarks in performances.items()
        for one in index.search(landmarks, apart_from=name)
    }
    pieces = [name.rpartition("_")[0] for name in performances]
    return {
        "same_piece_pairs": sum(a == b for a, b in combinations(pieces, 2)),
        "other_pairs": sum(a != b for a, b in combinations(pieces, 2)),
        "taken_for_one": len(found),
    }


def another_take(
    landmarks: Landmarks, rng: np.random.Generator, wander: float, jitter_s: float
) -> Landmarks:
    """The same notes with a tempo that wanders from second to second, and onsets that are off."""
    seconds = landmarks.ticks / TICKS_PER_S
    length = int(seconds[-1]) + 2
    tempo = 1 + np.interp(seconds, np.arange(length), rng.normal(0, wander, length))
    again = np.cumsum(np.diff(seconds, prepend=0) * tempo) + rng.normal(0, jitter_s, seconds.size)
    return _sorted(again * TICKS_PER_S, landmarks.bands, landmarks.ranks)


def of_takes(performances: Mapping[str, Landmarks]) -> Iterator[dict[str, float]]:
    """How many second takes are taken for the first."""
    index = FingerprintIndex(performances.items())
    rng = np.random.default_rng(0)
    for wander in (0.0, 0.005, 0.01, 0.02, 0.03):
        takes = {name: another_take(one, rng, wander, 0.01) for name, one in performances.items()}
        taken = sum(
            any(found.recording_id == name for found in index.search(take))
            for name, take in takes.items()
        )
        yield {"tempo_wanders_by": wander, "takes": len(takes), "taken_for_one": taken}


def made_recordings(
    performances: Sequence[Landmarks], hours: float
) -> Iterator[tuple[str, Landmarks]]:
    """Recordings of ten minutes: stretches of 20 s of others, transposed, at other tempi."""
    rng = np.random.default_rng(0)
    stretch = 20 * TICKS_PER_S
    for number in range(round(hours * 3600 / RECORDING_S)):
        ticks, bands, ranks = [], [], []
        for at in range(0, round(RECORDING_S * TICKS_PER_S), stretch):
            source = performances[int(rng.integers(len(performances)))]
            tempo, up = rng.uniform(0.7, 1.4), int(rng.integers(-6, 7))
            start = rng.uniform(0, max(1.0, float(source.ticks[-1]) - stretch / tempo))
            first, last = np.searchsorted(source.ticks, [start, start + stretch / tempo])
            ticks.append(at + (source.ticks[first:last] - start) * tempo)
            bands.append((source.bands[first:last].astype(int) + up) % BANDS)
            ranks.append(source.ranks[first:last])
        yield (
            f"made{number:05d}",
            _sorted(np.concatenate(ticks), np.concatenate(bands), np.concatenate(ranks)),
        )


def _sorted(
    ticks: npt.NDArray[np.float64], bands: npt.NDArray[np.integer], ranks: npt.NDArray[np.uint8]
) -> Landmarks:
    whole = np.rint(np.maximum(ticks, 0)).astype(np.uint32)
    order = np.argsort(whole, kind="stable")
    return Landmarks(whole[order], bands[order].astype(np.uint8), ranks[order])


def of_index(performances: Mapping[str, Landmarks], hours: float) -> dict[str, float]:
    """What an index costs, and a search of one recording of ten minutes in it."""
    made = list(made_recordings(list(performances.values()), hours))
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started_s = time.process_time()
    index = FingerprintIndex(made)
    build_cpu_s = time.process_time() - started_s
    searches, hits = [], 0
    for name, landmarks in made[:: max(1, len(made) // 20)]:
        started_s = time.process_time()
        found = index.search(landmarks)
        searches.append(time.process_time() - started_s)
        hits += name in [one.recording_id for one in found]
    return {
        "recordings": len(made),
        "build_cpu_s": round(build_cpu_s, 1),
        "index_mb": round(index.size_bytes / 1e6),
        "peak_mb_over_landmarks": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
        ),
        "search_cpu_s_median": round(float(np.median(searches)), 3),
        "search_cpu_s_worst": round(max(searches), 3),
        "found_themselves": hits,
        "searches": len(searches),
    }


def of_hearing(sounds: Mapping[str, Samples]) -> dict[str, float]:
    """What the fingerprint of ten minutes costs, FLAC decoding and hashing included."""
    whole = np.concatenate(list(sounds.values()))
    whole = np.resize(whole, round(RECORDING_S * SAMPLE_RATE_HZ))
    with tempfile.TemporaryDirectory() as folder:
        flac = Path(folder, "ten_minutes.flac")
        soundfile.write(flac, whole, SAMPLE_RATE_HZ, subtype="PCM_24")
        took = []
        for _ in range(3):
            started_s = time.process_time()
            heard = hear(flac)
            took.append(time.process_time() - started_s)
    stored = to_bytes(Fingerprint("00" * 32, heard.pcm_sha256, heard.duration_s, heard.landmarks))
    return {
        "times_real_time": round(RECORDING_S / float(np.median(took))),
        "bytes_for_ten_minutes": len(stored),
        "landmarks_a_second": round(heard.landmarks.count / RECORDING_S, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--performances", type=Path)
    parser.add_argument("--hours", type=float, default=RECORDING_S * 10_000 / 3600)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sounds = {path.stem: read_mono(path) for path in sorted(AUDIO.glob("*_*.opus"))}
    sounds = {name: one for name, one in sounds.items() if not name.startswith("sounds_")}
    performances = {name: landmarks_of(one) for name, one in sounds.items()}
    if options.performances:
        for path in sorted(options.performances.glob("*.wav")):
            performances[path.stem] = landmarks_of(read_mono(path))
    if options.audio:
        sounds |= {p.stem: read_mono(p) for p in sorted(options.audio.iterdir()) if p.is_file()}
    sounds = {name: one for name, one in sounds.items() if one.size >= LEAST_S * SAMPLE_RATE_HZ}
    everything = {**performances, **{name: landmarks_of(one) for name, one in sounds.items()}}
    figures: dict[str, object] = {"copies": [], "takes": []}
    for copies in of_copies(sounds, FingerprintIndex(everything.items())):
        _note(figures, "copies", copies)
    figures["performances"] = of_performances(performances)
    print(figures["performances"], flush=True)
    for takes in of_takes(performances):
        _note(figures, "takes", takes)
    figures["hearing"] = of_hearing(sounds)
    print(figures["hearing"], flush=True)
    figures["index"] = of_index(performances, options.hours)
    print(figures["index"], flush=True)
    if options.json:
        print(json.dumps(figures))


def _note(figures: dict[str, object], name: str, row: Mapping[str, object]) -> None:
    rows = figures[name]
    if isinstance(rows, list):
        rows.append(row)
    print(row, flush=True)


if __name__ == "__main__":
    main()
