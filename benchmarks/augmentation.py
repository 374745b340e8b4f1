"""What augmentation costs beside other libraries' chains, and how good its pitch shift is.

    python benchmarks/augmentation.py [--clips 4] [--rounds 3] [--cents 100] [--bank SF2] [--json]

Speed: the default recipe's effects, all of them, with the same parameters on the same 30 s clips,
by turns in one process; processor time on one thread of torch, medians of the rounds' ratios.
Audiomentations and torchaudio have no compressor: theirs is left out, in their favour. Needs
`audiomentations` (with numpy-minmax and numpy-rms), which nothing else here does; a side that is
not installed is left out. What torchaudio's pitch shift takes depends on the interval: it resamples
by a kernel as long as the ratio's terms, from 0.2 s to half a minute a clip.

Quality: twelve held tones and a passage, shifted by four intervals, against the truth: the same
notes made at the shifted pitch, by a model of decaying inharmonic strings or, with `--bank`, by
fluidsynth and a bank of sampled pianos bent by the interval. Never steady sines.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pedalboard
import soundfile
import soxr

from data_collection.augmentation.chain import apply_effect, draw
from data_collection.augmentation.levels import SAMPLE_RATE_HZ
from data_collection.augmentation.parameters import (
    EffectParameters,
    Equaliser,
    Noise,
    Parameters,
    Phone,
    PitchShift,
    Room,
)
from data_collection.augmentation.pitch import pitch_shift
from data_collection.augmentation.recipe import Recipe, read_recipe
from data_collection.augmentation.rooms import Rooms, made_rooms
from data_collection.recordings.decode import decode_to_flac
from data_collection.sample.media import AUDIO

Samples = npt.NDArray[np.float32]
Effect = Callable[[Samples], Samples]
Side = dict[str, Effect]
Shift = Callable[[Samples, float], Samples]

CLIP_S = 30
SOURCES = ("stage1_marlowe", "final_okafor", "stage1_brandt", "encore_sol")
SHIFTS_CENTS = (-200.0, -60.0, 60.0, 200.0)
HELD = (33, 40, 45, 52, 57, 60, 64, 69, 76, 81, 88, 93)


@dataclass(frozen=True, slots=True)
class Note:
    """A note of the material for quality."""

    onset_s: float
    end_s: float
    pitch: int
    velocity: int


# --- speed ---------------------------------------------------------------------------------------


def piano_clips(folder: Path, count: int) -> list[Samples]:
    """Clips of 30 s of the sample recordings, as they are stored."""
    clips = []
    for name in SOURCES[:count]:
        flac = folder / f"{name}.flac"
        decode_to_flac(AUDIO / f"{name}.opus", flac)
        samples, _ = soundfile.read(flac, frames=CLIP_S * SAMPLE_RATE_HZ, dtype="float32")
        clips.append(np.resize(samples, CLIP_S * SAMPLE_RATE_HZ))
    return clips


def every_effect(recipe: Recipe, cents: float | None) -> Recipe:
    """The recipe with all of its effects in each twin, and pink noise, which all sides have."""
    fixed = None if cents is None else {"cents": (cents, cents)}
    always = [effect.model_copy(update={"probability": 1.0}) for effect in recipe.effects]
    changes = {"noise": {"kinds": {"pink": 1.0}}, "pitch_shift": fixed or {}}
    effects = [e.model_copy(update=changes.get(e.effect, {})) for e in always]
    return recipe.model_copy(update={"effects": tuple(effects)})


def own_side(parameters: Parameters, rooms: Rooms) -> Side:
    """This project's."""

    def bound(effect: EffectParameters) -> Effect:
        return lambda samples: apply_effect(samples, effect, rooms)

    return {effect.effect: bound(effect) for effect in parameters.effects}


def pedalboard_side(parameters: Parameters, rooms: Rooms) -> Side:
    """Pedalboard's plugins; noise by numpy."""
    side: Side = {}
    for effect in parameters.effects:
        match effect:
            case PitchShift():
                plugins = [pedalboard.PitchShift(effect.cents / 100)]
            case Room():
                response = rooms.response(effect.response).samples
                plugins = [pedalboard.Convolution(response, 1.0, SAMPLE_RATE_HZ)]
            case Equaliser():
                kinds = {
                    "low_shelf": pedalboard.LowShelfFilter,
                    "peak": pedalboard.PeakFilter,
                    "high_shelf": pedalboard.HighShelfFilter,
                }
                plugins = [kinds[b.shape](b.frequency_hz, b.gain_db, b.q) for b in effect.bands]
            case Phone():
                plugins = [pedalboard.HighpassFilter(effect.low_cut_hz) for _ in range(6)]
                plugins += [pedalboard.LowpassFilter(effect.high_cut_hz) for _ in range(6)]
                plugins += [
                    pedalboard.Compressor(-30, effect.ratio, effect.attack_ms, effect.release_ms)
                ]
            case Noise():
                side["noise"] = numpy_noise(effect.snr_db)
                continue
        board = pedalboard.Pedalboard(plugins)
        side[effect.effect] = lambda samples, board=board: board(samples, SAMPLE_RATE_HZ)
    return side


def numpy_noise(snr_db: float) -> Effect:
    """Pink noise by shaping a spectrum."""
    generator = np.random.default_rng(1)

    def add(samples: Samples) -> Samples:
        spectrum = np.fft.rfft(generator.standard_normal(samples.size, dtype=np.float32))
        spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size, dtype=np.float32))
        made = np.fft.irfft(spectrum, samples.size).astype(np.float32)
        gain = np.sqrt(np.mean(np.square(samples)) / np.mean(np.square(made)))
        return samples + made * np.float32(gain * 10 ** (-snr_db / 20))

    return add


def audiomentations_side(parameters: Parameters, rooms: Rooms, folder: Path) -> Side:
    """Audiomentations, each transform with its range closed on the value."""
    import audiomentations as am

    side: Side = {}
    for effect in parameters.effects:
        match effect:
            case PitchShift():
                semitones = effect.cents / 100
                transforms = [am.PitchShift(semitones, semitones, p=1)]
            case Room():
                wav = folder / "response.wav"
                samples = rooms.response(effect.response).samples
                soundfile.write(wav, samples, SAMPLE_RATE_HZ, subtype="FLOAT")
                transforms = [am.ApplyImpulseResponse(wav, p=1)]
            case Equaliser():
                transforms = []
                for band in effect.bands:
                    at, gain, q = band.frequency_hz, band.gain_db, band.q
                    kind = {
                        "low_shelf": am.LowShelfFilter,
                        "peak": am.PeakingFilter,
                        "high_shelf": am.HighShelfFilter,
                    }[band.shape]
                    transforms.append(kind(at, at, gain, gain, q, q, p=1))
            case Phone():
                low, high = effect.low_cut_hz, effect.high_cut_hz
                transforms = [
                    am.HighPassFilter(low, low, 36, 36, p=1),
                    am.LowPassFilter(high, high, 36, 36, p=1),
                ]
            case Noise():
                snr = effect.snr_db
                transforms = [am.AddColorNoise(snr, snr, -3.01, -3.01, p=1)]
        chain = am.Compose(transforms)
        side[effect.effect] = lambda samples, chain=chain: chain(samples, SAMPLE_RATE_HZ)
    return side


def torchaudio_side(parameters: Parameters, rooms: Rooms) -> Side:
    """Torchaudio's functions, as its documentation puts them together."""
    import torch
    import torchaudio.functional as taf

    def on_tensor(work: Callable[[torch.Tensor], torch.Tensor]) -> Effect:
        def run(samples: Samples) -> Samples:
            with torch.inference_mode():
                return np.asarray(work(torch.from_numpy(samples)[None])[0].numpy())

        return run

    def pitch(cents: float) -> Effect:
        return on_tensor(
            lambda x: taf.pitch_shift(x, SAMPLE_RATE_HZ, round(cents), bins_per_octave=1200)
        )

    def room(response: Samples) -> Effect:
        taps = torch.from_numpy(response)[None]
        return on_tensor(lambda x: taf.fftconvolve(x, taps)[:, : x.shape[1]])

    def equaliser(effect: Equaliser) -> Effect:
        def run(x: torch.Tensor) -> torch.Tensor:
            for band in effect.bands:
                kind = {
                    "low_shelf": taf.bass_biquad,
                    "peak": taf.equalizer_biquad,
                    "high_shelf": taf.treble_biquad,
                }[band.shape]
                if band.shape == "peak":
                    x = kind(x, SAMPLE_RATE_HZ, band.frequency_hz, band.gain_db, band.q)
                else:
                    x = kind(x, SAMPLE_RATE_HZ, band.gain_db, band.frequency_hz, band.q)
            return x

        return on_tensor(run)

    def phone(effect: Phone) -> Effect:
        def run(x: torch.Tensor) -> torch.Tensor:
            for _ in range(3):
                x = taf.highpass_biquad(x, SAMPLE_RATE_HZ, effect.low_cut_hz)
                x = taf.lowpass_biquad(x, SAMPLE_RATE_HZ, effect.high_cut_hz)
            return x

        return on_tensor(run)

    def noise(snr_db: float) -> Effect:
        def run(x: torch.Tensor) -> torch.Tensor:
            spectrum = torch.fft.rfft(torch.randn_like(x))
            spectrum[:, 1:] /= torch.arange(1, spectrum.shape[1]).sqrt()
            pink = torch.fft.irfft(spectrum, x.shape[1])
            return taf.add_noise(x, pink, torch.tensor([snr_db]))

        return on_tensor(run)

    side: Side = {}
    for effect in parameters.effects:
        match effect:
            case PitchShift():
                side["pitch_shift"] = pitch(effect.cents)
            case Room():
                side["room"] = room(rooms.response(effect.response).samples)
            case Equaliser():
                side["equaliser"] = equaliser(effect)
            case Noise():
                side["noise"] = noise(effect.snr_db)
            case Phone():
                side["phone"] = phone(effect)
    return side


def sides_for(parameters: Parameters, rooms: Rooms, folder: Path) -> dict[str, Side]:
    """All sides that can run here."""
    sides = {"own": own_side(parameters, rooms), "pedalboard": pedalboard_side(parameters, rooms)}
    if importlib.util.find_spec("audiomentations"):
        sides["audiomentations"] = audiomentations_side(parameters, rooms, folder)
    if importlib.util.find_spec("torchaudio"):
        import torch

        torch.set_num_threads(1)
        sides["torchaudio"] = torchaudio_side(parameters, rooms)
    return sides


def run_once(side: Side, clip: Samples) -> dict[str, float]:
    """Processor seconds of each effect of a chain."""
    took = {}
    samples = clip
    for effect, work in side.items():
        started = time.process_time()
        samples = np.ascontiguousarray(work(samples), dtype=np.float32)
        took[effect] = time.process_time() - started
    return took


def speed(
    clips: Sequence[Samples], rounds: int, cents: float | None, folder: Path
) -> list[dict[str, dict[str, float]]]:
    """Seconds by round, side and effect, over all clips; the order of sides turns each round."""
    rooms, recipe = made_rooms(), every_effect(read_recipe(), cents)
    drawn = [draw(recipe, f"clip{index}", 1, rooms) for index in range(len(clips))]
    by_clip = []
    for index, parameters in enumerate(drawn):
        (folder / str(index)).mkdir()
        by_clip.append(sides_for(parameters, rooms, folder / str(index)))
    for name, side in by_clip[0].items():  # imports, tables, caches, the allocator's pages
        run_once(side, clips[0] if name != "torchaudio" else clips[0][: 2 * SAMPLE_RATE_HZ])
    measured = []
    for turn in range(rounds):
        names = list(by_clip[0])[:: 1 if turn % 2 == 0 else -1]
        totals: dict[str, dict[str, float]] = {name: {} for name in names}
        for clip, sides in zip(clips, by_clip, strict=True):
            for name in names:
                for effect, took in run_once(sides[name], clip).items():
                    totals[name][effect] = totals[name].get(effect, 0.0) + took
        measured.append(totals)
    return measured


def speed_results(measured: list[dict[str, dict[str, float]]], clips: int) -> dict[str, float]:
    """Seconds a clip of this side, and medians of the ratios within a round."""
    results = {}
    own = [sum(turn["own"].values()) / clips for turn in measured]
    results["own_s_per_clip"] = statistics.median(own)
    for name in sorted(measured[0]):
        if name == "own":
            continue
        ratios = [sum(turn[name].values()) / sum(turn["own"].values()) for turn in measured]
        results[f"speedup_{name}"] = statistics.median(ratios)
        results[f"speedup_{name}_least"] = min(ratios)
        for effect in measured[0]["own"]:
            results[f"speedup_{name}_{effect}"] = statistics.median(
                turn[name][effect] / turn["own"][effect] for turn in measured
            )
    for effect in measured[0]["own"]:
        results[f"own_ms_{effect}"] = 1_000 * statistics.median(
            turn["own"][effect] / clips for turn in measured
        )
    return results


def at_a_semitone(clips: Sequence[Samples], folder: Path) -> dict[str, float]:
    """The ratios where the pitch moves by a semitone: torchaudio's cost hangs on the interval."""
    folder.mkdir()
    found = speed_results(speed(clips, 1, 100.0, folder), len(clips))
    return {
        f"{name}_at_a_semitone": value
        for name, value in found.items()
        if name.startswith("speedup_") and not name.endswith("_least")
    }


# --- quality -------------------------------------------------------------------------------------


def held_notes() -> list[Note]:
    """One note after the other, from bass to treble."""
    return [Note(0.3 + 2 * n, 2.1 + 2 * n, pitch, 80) for n, pitch in enumerate(HELD)]


def passage() -> list[Note]:
    """Broken chords over a held bass, then a repeated note."""
    generator = np.random.default_rng(3)
    notes, at_s = [], 0.3
    while at_s < 12:
        root = int(generator.integers(36, 60))
        notes.append(Note(at_s, at_s + 1, root, int(generator.integers(50, 100))))
        for step in range(4):
            for above in generator.choice([0, 4, 7, 12, 16, 19, 24], 2, replace=False):
                start = at_s + step * 0.18
                velocity = int(generator.integers(40, 110))
                notes.append(Note(start, start + 0.5, root + 12 + int(above), velocity))
        at_s += 0.75
    return notes + [Note(13 + n * 0.14, 13.06 + n * 0.14, 76, 90) for n in range(12)]


def strings(notes: Sequence[Note], cents: float) -> Samples:
    """Notes by a model of struck strings: inharmonic partials that beat and decay."""
    total = np.zeros(round((max(note.end_s for note in notes) + 1) * SAMPLE_RATE_HZ))
    for note in notes:
        hz = 440 * 2 ** ((note.pitch - 69 + cents / 100) / 12)
        start = round(note.onset_s * SAMPLE_RATE_HZ)
        size = round((note.end_s - note.onset_s + 0.4) * SAMPLE_RATE_HZ)
        since_s = np.arange(min(size, total.size - start)) / SAMPLE_RATE_HZ
        tone = np.zeros(since_s.size)
        for partial in range(1, 31):
            partial_hz = partial * hz * np.sqrt(1 + 4e-4 * partial**2)
            if partial_hz > 0.47 * SAMPLE_RATE_HZ:
                break
            decay = np.exp(-since_s * (0.4 + hz / 1_200 + 0.15 * partial))
            for beat in (-2e-4, 3e-4):
                tone += (
                    np.sin(2 * np.pi * partial_hz * (1 + beat) * since_s + partial)
                    * decay
                    / partial
                )
        shape = 1 - np.exp(-since_s / 0.0015)
        shape *= np.exp(-np.maximum(since_s - (note.end_s - note.onset_s), 0) / 0.04)
        total[start : start + tone.size] += 0.06 * (note.velocity / 100) ** 2 * tone * shape
    return total.astype(np.float32)


def sampled(bank: Path, folder: Path) -> Callable[[Sequence[Note], float], Samples]:
    """Notes by fluidsynth, dry, the whole bent by the interval."""

    def render(notes: Sequence[Note], cents: float) -> Samples:
        (folder / "notes.mid").write_bytes(midi(notes, cents))
        program = shutil.which("fluidsynth") or "fluidsynth"
        options = ["-q", "-ni", "-g", "0.7", "-r", "48000", "-C", "no", "-R", "no", "-T", "wav"]
        files = ["-F", str(folder / "notes.wav"), str(bank), str(folder / "notes.mid")]
        subprocess.run([program, *options, *files], check=True, capture_output=True)  # noqa: S603
        samples, _ = soundfile.read(folder / "notes.wav", dtype="float32", always_2d=True)
        return np.asarray(soxr.resample(samples.mean(axis=1), 48_000, SAMPLE_RATE_HZ))

    return render


def midi(notes: Sequence[Note], cents: float) -> bytes:
    """A MIDI file, half a millisecond a tick, with one bend over its whole length."""

    def length(ticks: int) -> bytes:
        digits = [ticks & 127]
        while ticks := ticks >> 7:
            digits.append((ticks & 127) | 128)
        return bytes(reversed(digits))

    events = [(n.onset_s, 1, bytes([0x90, n.pitch, n.velocity])) for n in notes]
    events += [(n.end_s, 0, bytes([0x80, n.pitch, 64])) for n in notes]
    bend = max(0, min(16_383, 8_192 + round(cents / 200 * 8_192)))
    track, last = b"\0\xc0\0\0\xe0" + bytes([bend & 127, bend >> 7]), 0
    for at_s, _, message in sorted(events):
        tick = round(at_s * 2_000)
        track, last = track + length(tick - last) + message, tick
    track += length(4_000) + b"\xff\x2f\0"
    head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 1_000)
    return head + b"MTrk" + struct.pack(">I", len(track)) + track


def shifters() -> dict[str, Shift]:
    """Every pitch shift that can run here."""
    import librosa

    def by_librosa(samples: Samples, cents: float) -> Samples:
        return librosa.effects.pitch_shift(
            samples, sr=SAMPLE_RATE_HZ, n_steps=cents / 100, res_type="soxr_hq"
        )

    found: dict[str, Shift] = {
        "own": pitch_shift,
        "pedalboard": lambda x, cents: pedalboard.PitchShift(cents / 100)(x, SAMPLE_RATE_HZ),
        "librosa": by_librosa,
    }
    if importlib.util.find_spec("python_stretch"):
        import python_stretch

        def signalsmith(samples: Samples, cents: float) -> Samples:
            stretch = python_stretch.Signalsmith.Stretch()
            stretch.preset(1, SAMPLE_RATE_HZ)
            stretch.setTransposeSemitones(cents / 100)
            return np.asarray(stretch.process(samples[None])[0])

        found["signalsmith"] = signalsmith
    return found


def magnitudes(samples: Samples, size: int, hop: int) -> Samples:
    """Spectrogram, zero at the outside."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, size // 2), size)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32)))


def spectral_error(found: Samples, truth: Samples) -> float:
    """Norm of the difference of spectrograms over that of the truth's; 0.3 s windows."""
    one, other = (magnitudes(signal, 8_192, 1_024) for signal in (found, truth))
    return float(np.sqrt(np.square(one - other).sum() / np.square(other).sum()))


def mel_error_db(found: Samples, truth: Samples) -> float:
    """Root mean square difference of what the encoder hears, over 70 dB."""
    import librosa

    bands = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=2_048, n_mels=128)
    one, other = (
        10 * np.log10(np.square(magnitudes(signal, 2_048, 240)) @ bands.T + 1e-8)
        for signal in (found, truth)
    )
    heard = other > other.max() - 70
    return float(np.sqrt(np.square((one - other)[heard]).mean()))


def attack_error_db(found: Samples, truth: Samples, notes: Sequence[Note]) -> float:
    """How far the level of each 2 ms is from the truth's, 40 ms around each note's beginning."""
    levels = [
        10
        * np.log10(
            np.convolve(np.square(signal.astype(np.float64)), np.ones(48) / 48, "same") + 1e-9
        )
        for signal in (found, truth)
    ]
    errors = []
    for onset in {round(note.onset_s * SAMPLE_RATE_HZ) for note in notes}:
        around = slice(max(0, onset - 960), onset + 960, 24)
        errors.append(np.sqrt(np.square(levels[0][around] - levels[1][around]).mean()))
    return float(np.mean(errors))


def quality(render: Callable[[Sequence[Note], float], Samples]) -> dict[str, float]:
    """Means over intervals, by shifter, material and measure."""
    results: dict[str, list[float]] = {}
    for material, notes in (("held", held_notes()), ("passage", passage())):
        plain = render(notes, 0.0)
        for cents in SHIFTS_CENTS:
            truth = render(notes, cents)
            for name, shift in shifters().items():
                size = min(plain.size, truth.size)
                found = np.asarray(shift(plain[:size], cents))[:size]
                wanted = truth[: found.size]
                for measure, error in (
                    ("spectral_error", spectral_error(found, wanted)),
                    ("mel_error_db", mel_error_db(found, wanted)),
                    ("attack_error_db", attack_error_db(found, wanted, notes)),
                ):
                    results.setdefault(f"quality_{material}_{measure}_{name}", []).append(error)
    return {label: statistics.mean(errors) for label, errors in results.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=4, choices=range(1, len(SOURCES) + 1))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cents", type=float, help="one interval, not what the recipe draws")
    parser.add_argument("--bank", type=Path, help="sound font of a piano, for fluidsynth")
    parser.add_argument("--only", choices=["speed", "quality"])
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    options = parser.parse_args()
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only != "quality":
            clips = piano_clips(folder, options.clips)
            results |= speed_results(
                speed(clips, options.rounds, options.cents, folder), len(clips)
            )
            if options.cents is None:
                results |= at_a_semitone(clips[:1], folder / "semitone")
        if options.only != "speed":
            render = sampled(options.bank, folder) if options.bank else strings
            results |= quality(render)
    for label, value in results.items():
        print(f"{label:48} {value:.4f}")
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
