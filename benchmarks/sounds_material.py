"""Material that the sound scores are fitted and measured on: labelled 30 s clips at 24 kHz.

What belongs here: rendering, mixing and labelling. What does not: fitting (`sounds_fit`) and
measuring (`sounds`). Nothing it makes is kept in the repository. `fitting` and `held_out` share no
sound bank, recording, speaker, applause or measured room; both share the code that mixes, made-up
halls and noises.

Needs, beyond the project: Debian's fluidsynth, espeak-ng, musescore-general-soundfont-small,
timgm6mb-soundfont, csound-soundfont and fluid-soundfont-gm; the Python packages mido and music21;
and in the folder SOUND_PACKAGES each of `DEBIAN_PACKAGES`, unpacked there by
`apt-get download P && dpkg-deb -x P_*.deb x_P`.
"""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import av
import mido
import numpy as np
import numpy.typing as npt
import scipy.signal
import soundfile
import soxr

Mono = npt.NDArray[np.float32]
Labels = npt.NDArray[np.float32]

RATE_HZ = 24_000
CLIP_S = 30
SOUNDS = ("applause", "speech", "silence", "orchestra")
APPLAUSE, SPEECH, SILENCE, ORCHESTRA = range(4)
DEBIAN_PACKAGES = (
    "asterisk-core-sounds-en-wav",
    "asterisk-core-sounds-es-wav",
    "asterisk-core-sounds-fr-wav",
    "asterisk-core-sounds-it-wav",
    "asterisk-core-sounds-ru-wav",
    "circuslinux-data",
    "foobillardplus-data",
    "scratch",
    "wesnoth-1.16-music",
)
PACKAGES = Path(os.environ.get("SOUND_PACKAGES", "/tmp/sound_packages"))  # noqa: S108 - unpacked here
SHARED = Path(os.environ.get("SOUND_RECORDINGS", "../shared/data"))
SAMPLE = Path("data_collection/sample/audio")
MUSESCORE = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
FLUID = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
FITTED_BANKS = (
    MUSESCORE,
    Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
    Path("/usr/share/sounds/sf2/sf_GMbank.sf2"),
)

APPLAUSE_PROGRAM = 126
STRINGS = {"low": (43, 42), "middle": (48, 41, 42), "high": (40, 48, 49)}
WINDS = {"low": (70, 58), "middle": (60, 71, 70), "high": (73, 68, 71)}
FULL = {"low": (43, 42, 70), "middle": (48, 60, 57, 71), "high": (48, 73, 68, 40, 56)}
SOLO_STRINGS = {"low": (42,), "middle": (41, 42), "high": (40, 40)}


@dataclass(frozen=True)
class Clip:
    """A labelled clip.

    Attributes:
        kind: what it is an example of.
        source: the recording or bank it comes from; intervals count these, not only clips.
        samples: mono float32 at 24 kHz.
        labels: float32 [seconds, 4] in the order of `SOUNDS`; 1 it sounds, 0 it does not, NaN open.
    """

    kind: str
    source: str
    samples: Mono
    labels: Labels


@dataclass(frozen=True)
class Note:
    """A note: MIDI pitch and velocity, onset and end in seconds, and who plays it."""

    onset_s: float
    end_s: float
    pitch: int
    velocity: int
    program: int = 0


# Sounds ------------------------------------------------------------------------------------------


def read(path: Path, limit_s: float = 240.0) -> Mono:
    """A recording as mono at 24 kHz."""
    rate_hz = soundfile.info(path).samplerate
    samples, _ = soundfile.read(path, frames=round(limit_s * rate_hz), dtype="float32")
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    return soxr.resample(mono, rate_hz, RATE_HZ).astype(np.float32)


def level(samples: Mono, rms: float = 0.05) -> Mono:
    """The samples at a given RMS level."""
    return (samples * (rms / max(1e-9, float(np.sqrt(np.mean(samples**2)))))).astype(np.float32)


def looped(samples: Mono, seconds: float, fade_s: float = 0.25) -> Mono:
    """Repeat a short sound with cross-fades until it is long enough."""
    wanted, fade = round(seconds * RATE_HZ), round(fade_s * RATE_HZ)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    made = samples.copy()
    while made.size < wanted:
        joint = made[-fade:] * np.sqrt(1 - ramp) + samples[:fade] * np.sqrt(ramp)
        made = np.concatenate([made[:-fade], joint, samples[fade:]])
    return made[:wanted]


def mixed(loud: Mono, other: Mono, other_db: float) -> Mono:
    """Two sounds, the other `other_db` above the first (RMS)."""
    length = min(loud.size, other.size)
    return level(loud[:length]) + level(other[:length]) * np.float32(10 ** (other_db / 20))


def in_room(samples: Mono, response: Mono) -> Mono:
    """The sound in a room."""
    return scipy.signal.fftconvolve(samples, response)[: samples.size].astype(np.float32)


def hall(rng: np.random.Generator, decay_s: float = 2.5) -> Mono:
    """A made-up hall: a direct sound and an exponentially decaying, darkening tail."""
    time = np.arange(round(decay_s * RATE_HZ)) / RATE_HZ
    tail = rng.normal(size=time.size) * 10 ** (-3 * time / decay_s)
    tail = scipy.signal.lfilter([0.4], [1, -0.6], tail) * 0.02
    tail[0] = 1.0
    return tail.astype(np.float32)


def room_noise(rng: np.random.Generator, seconds: float, slope: float, hum: float) -> Mono:
    """An empty hall: noise of `slope` dB an octave and mains hum."""
    size = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(rng.normal(size=size))
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / RATE_HZ), 30)
    noise = level(np.fft.irfft(spectrum * frequency ** (slope / 6.02), size).astype(np.float32))
    time = np.arange(size) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3, 6))
    return (noise + hum * level(tone.astype(np.float32))).astype(np.float32)


def old_recording(samples: Mono, rng: np.random.Generator) -> Mono:
    """A shellac transfer: 100 to 4,500 Hz, hiss, crackle."""
    band = scipy.signal.butter(4, (100, 4500), "bandpass", fs=RATE_HZ, output="sos")
    dull = level(scipy.signal.sosfilt(band, samples).astype(np.float32))
    hiss = level(rng.normal(size=dull.size).astype(np.float32), 0.05 * 10 ** (-22 / 20))
    crackle = (rng.random(dull.size) < 12 / RATE_HZ) * rng.normal(0, 0.15, dull.size)
    return (dull + hiss + scipy.signal.lfilter([1], [1, -0.7], crackle)).astype(np.float32)


def coded(samples: Mono, codec: str, bit_rate: int) -> Mono:
    """Through a lossy codec and back."""
    rate_hz = {"libopus": 48_000, "libmp3lame": 24_000}[codec]
    source = soxr.resample(samples / max(1.0, float(np.abs(samples).max())), RATE_HZ, rate_hz)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format={"libopus": "ogg", "libmp3lame": "mp3"}[codec]) as out:
        stream = out.add_stream(codec, rate=rate_hz, layout="mono")
        stream.bit_rate = bit_rate
        planar = np.ascontiguousarray(source, dtype=np.float32)[None]
        frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        converter = av.AudioResampler(format=stream.codec_context.format, layout="mono")
        for ready in converter.resample(frame):
            out.mux(stream.encode(ready))
        out.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as back:
        decoded = np.concatenate(
            [f.to_ndarray().mean(axis=0).astype(np.float32) for f in back.decode(audio=0)]
        )
        rate_back_hz = back.streams.audio[0].rate
    return soxr.resample(decoded, rate_back_hz, RATE_HZ)[: samples.size].astype(np.float32)


@lru_cache(maxsize=256)
def spoken(text: str, voice: str, speed: int, pitch: int) -> Mono:
    """espeak-ng saying a text."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    answer = subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own words
    samples, rate_hz = soundfile.read(io.BytesIO(answer.stdout), dtype="float32")
    return soxr.resample(samples, rate_hz, RATE_HZ).astype(np.float32)


# Notes -------------------------------------------------------------------------------------------


def notes_of(path: Path) -> list[Note]:
    """The notes of a MIDI file, held by its pedal."""
    notes: list[Note] = []
    down: dict[int, tuple[float, int]] = {}
    held: list[tuple[float, int, int]] = []
    now_s, pedal = 0.0, False
    for message in mido.MidiFile(path):
        now_s += message.time
        if message.type == "control_change" and message.control == 64:
            pedal = message.value >= 64
            if not pedal:
                notes += [Note(on, now_s, pitch, velocity) for on, pitch, velocity in held]
                held = []
        elif message.type == "note_on" and message.velocity:
            down[message.note] = (now_s, message.velocity)
        elif message.type in ("note_on", "note_off") and message.note in down:
            onset_s, velocity = down.pop(message.note)
            if pedal:
                held.append((onset_s, message.note, velocity))
            else:
                notes.append(Note(onset_s, now_s, message.note, velocity))
    return sorted(notes, key=lambda note: note.onset_s)


def score_notes(name: str) -> list[Note]:
    """The notes of a score of music21's corpus."""
    import music21

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "score.mid"
        music21.corpus.parse(name).write("midi", fp=path)
        return notes_of(path)


def orchestrated(
    notes: Sequence[Note], band: dict[str, tuple[int, ...]], rng: np.random.Generator
) -> list[Note]:
    """The same notes for an orchestra: each register to a few instruments, played legato."""
    made = []
    for note in notes:
        register = "low" if note.pitch < 48 else "middle" if note.pitch < 67 else "high"
        length_s = max(note.end_s - note.onset_s, rng.uniform(0.25, 1.2))
        for program in rng.permutation(band[register])[:2]:
            end_s = note.onset_s + min(length_s, 4.0)
            made.append(replace(note, end_s=end_s, program=int(program)))
    return made


def tremolo(rng: np.random.Generator) -> list[Note]:
    """A dense bass tremolo under a slow melody, all in the pedal."""
    made, at_s = [], 0.0
    while at_s < 32:
        pitch = 31 + 2 * int(at_s // 4 % 5)
        for step, interval in enumerate((0, 12)):
            made.append(Note(at_s + step * 0.06, at_s + 1.5, pitch + interval, 60))
        at_s += 0.12
    made += [Note(s, s + 3.5, 60 + int(rng.integers(0, 20)), 80) for s in np.arange(0, 32, 2.0)]
    return sorted(made, key=lambda note: note.onset_s)


def slow_chords(rng: np.random.Generator) -> list[Note]:
    """Slow legato chords, each ringing for four seconds."""
    made = []
    for at_s in np.arange(0, 32, 3.5):
        root = 40 + int(rng.integers(0, 8))
        pitches = [root + interval for interval in (0, 7, 12, 16, 19, 24)]
        made += [Note(float(at_s), float(at_s) + 4, pitch, 45) for pitch in pitches]
    return made


def figures(rng: np.random.Generator) -> list[Note]:
    """Fast figures in the high register, in the pedal."""
    made = []
    for index in range(300):
        at_s = index * 0.11
        pitch = 72 + (0, 4, 7, 12, 16, 12, 7, 4)[index % 8] + int(at_s // 4 % 4)
        made.append(Note(at_s, at_s + 1.0, pitch, 50 + int(rng.integers(0, 30))))
    return made


def stride(rng: np.random.Generator) -> list[Note]:
    """A left hand that leaps under syncopated chords, dry and loud."""
    made = []
    for beat in range(110):
        at_s, root = beat * 0.29, 36 + (0, 5, 7, 0)[beat // 8 % 4]
        if beat % 2:
            made += [Note(at_s, at_s + 0.2, root + i, 85) for i in (16, 19, 24)]
        else:
            made += [Note(at_s, at_s + 0.22, root + i, 92) for i in (0, 12)]
        for offset_s in (0, 0.145):
            if rng.random() < 0.75:
                top = 72 + int(rng.choice([0, 2, 4, 7, 9, 12]))
                made += [
                    Note(at_s + offset_s, at_s + offset_s + 0.14, top + i, 95) for i in (0, -8)
                ]
    return sorted(made, key=lambda note: note.onset_s)


def two_voices(rng: np.random.Generator) -> list[Note]:
    """Two voices in running notes, without pedal."""
    scale = [0, 2, 4, 5, 7, 9, 11]
    made = []
    for base, step_s, length in ((60, 0.14, 225), (43, 0.28, 112)):
        place = 7
        for index in range(length):
            place = int(np.clip(place + rng.integers(-2, 3), 0, 14))
            pitch = base + 12 * (place // 7) + scale[place % 7]
            made.append(Note(index * step_s, (index + 0.95) * step_s, pitch, 72))
    return sorted(made, key=lambda note: note.onset_s)


def rendered(notes: Sequence[Note], bank: Path) -> Mono:
    """The notes through a sound bank."""
    programs = sorted({note.program for note in notes})
    channels = [channel for channel in range(16) if channel != 9]
    track = mido.MidiTrack()
    events = []
    for program in programs:
        channel = channels[programs.index(program) % 15]
        track.append(mido.Message("program_change", channel=channel, program=program))
    for note in notes:
        channel = channels[programs.index(note.program) % 15]
        velocity = note.velocity
        for at_s, kind in ((note.onset_s, "note_on"), (note.end_s, "note_off")):
            message = mido.Message(kind, channel=channel, note=note.pitch, velocity=velocity)
            events.append((round(at_s * 1000), kind == "note_on", note.pitch, message))
    now = 0
    for tick, _, _, message in sorted(events, key=lambda event: event[:3]):
        track.append(message.copy(time=tick - now))
        now = tick
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "notes.mid", Path(folder) / "notes.wav"
        mido.MidiFile(type=0, ticks_per_beat=500, tracks=[track]).save(midi)
        command = ["fluidsynth", "-q", "-ni", "-g", "0.5", "-C", "no", "-F", wav, bank, midi]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments
        return read(wav)


# Labels ------------------------------------------------------------------------------------------


def labelled(kind: str, source: str, samples: Mono, **sounding: bool) -> Iterator[Clip]:
    """Cut into clips that sound the same all through.

    A second of music more than 45 dB below the loudest one is nobody's example of anything.
    """
    for first in range(0, samples.size, CLIP_S * RATE_HZ):
        part = samples[first : first + CLIP_S * RATE_HZ]
        if part.size < 4 * RATE_HZ:
            continue
        seconds = part.size // RATE_HZ
        part = part[: seconds * RATE_HZ]
        labels = np.zeros((seconds, 4), dtype=np.float32)
        for sound, is_there in sounding.items():
            labels[:, SOUNDS.index(sound)] = is_there
        if not sounding.get("silence"):
            labels[faint(part)] = np.nan
        yield Clip(kind, source, part, labels)


def faint(samples: Mono) -> npt.NDArray[np.bool_]:
    """Which seconds are more than 45 dB below the loudest second."""
    rms = np.sqrt(np.mean(samples.reshape(-1, RATE_HZ).astype(np.float64) ** 2, axis=1))
    return rms < rms.max() * 10 ** (-45 / 20)


def followed(kind: str, first: Clip, second: Clip, at_s: int, overlap_s: int = 2) -> Clip:
    """One clip going over into another; the seconds of the change are left open."""
    fade = np.linspace(1, 0, overlap_s * RATE_HZ, dtype=np.float32)
    samples, other = first.samples.copy(), second.samples
    end = min(samples.size, other.size) // RATE_HZ
    samples, labels = samples[: end * RATE_HZ], first.labels[:end].copy()
    cut, after = at_s * RATE_HZ, (at_s + overlap_s) * RATE_HZ
    samples[cut:after] *= fade
    samples[after:] = 0
    samples[cut:after] += other[cut:after] * (1 - fade)
    samples[after:] = other[after : end * RATE_HZ]
    labels[at_s : at_s + overlap_s] = np.nan
    labels[at_s + overlap_s :] = second.labels[at_s + overlap_s : end]
    return Clip(kind, f"{first.source} then {second.source}", samples, labels)


# What is fitted on --------------------------------------------------------------------------------

FITTING_WORDS = {
    "en-us": "Ladies and gentlemen, please welcome our next competitor, who will play a sonata.",
    "en-gb": "The results of the second stage will be announced this evening after the jury meets.",
    "pl": "Proszę państwa, za chwilę wystąpi następny uczestnik konkursu. Życzymy powodzenia.",
    "de": "Meine Damen und Herren, wir bitten Sie, Ihre Mobiltelefone jetzt auszuschalten.",
    "ja": "つぎの えんそうしゃを ごしょうかい します。 ショパンの ソナタ です。",
    "cmn": "女士们先生们，下面请欣赏肖邦的奏鸣曲。",
    "pt": "Boa noite, senhoras e senhores. O próximo concorrente tocará uma balada.",
}
FITTED_SAMPLES = (
    "encore_sol",
    "final_okafor",
    "stage1_brandt",
    "stage1_marlowe",
    "stage1_ruzicka",
)
FITTED_SCORES = (
    "bach/bwv846.mxl",
    "schumann_clara/polonaise_op1n3.mxl",
    "mozart/k80/movement3.mxl",
    "haydn/opus1no1/movement1.mxl",
    "mozart/k156/movement1.mxl",
)
HELD_OUT_LANGUAGES = ("en", "es", "fr", "it", "ru")


def first_minute(notes: Sequence[Note]) -> list[Note]:
    """The notes of the first minute."""
    start_s = notes[0].onset_s
    return [
        replace(note, onset_s=note.onset_s - start_s, end_s=note.end_s - start_s)
        for note in notes
        if note.onset_s - start_s < 58
    ]


WEAR = ("bare", "room", "hall", "codec", "old")


def worn(samples: Mono, how: str, rng: np.random.Generator, rooms: Sequence[Mono]) -> Mono:
    """A recording as it comes, in a room, in a hall with noise, over a codec, or an old one."""
    if how == "room":
        return in_room(samples, rooms[int(rng.integers(len(rooms)))])
    if how == "hall":
        wet = in_room(samples, hall(rng, rng.uniform(1.5, 4)))
        return mixed(wet, room_noise(rng, wet.size / RATE_HZ, rng.uniform(-9, -2), 0.2), -28)
    if how == "codec":
        codec, rate = (("libopus", 20_000), ("libmp3lame", 32_000))[int(rng.integers(2))]
        return coded(level(samples), codec, rate)
    return old_recording(samples, rng) if how == "old" else samples


def coloured(samples: Mono, rng: np.random.Generator) -> Mono:
    """The sound by another microphone: a smooth random equaliser, up to 4 % in speed."""
    size = samples.size
    edges = np.log2([20, 125, 300, 700, 1500, 3000, 6000, 12_000])
    gains_db = rng.normal(0, 5, edges.size)
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / RATE_HZ), 20)
    gains = 10 ** (np.interp(np.log2(frequency), edges, gains_db) / 20)
    heard = np.fft.irfft(np.fft.rfft(samples) * gains, size).astype(np.float32)
    return soxr.resample(heard, RATE_HZ, RATE_HZ * rng.uniform(0.96, 1.04)).astype(np.float32)


def fitting() -> Iterator[Clip]:
    """Clips to fit on: three banks, espeak-ng, three rooms."""
    rng = np.random.default_rng(20211021)
    names = ("pymixconsole_small_room", "pymixconsole_large_room", "spatialaudio_rir_clap_cc0")
    rooms = [read(SHARED / "room_responses" / f"{name}.wav") for name in names]
    played = sorted((SHARED / "midi" / "vienna4x22").glob("*.mid"))[::11]
    scores = [first_minute(notes_of(path)) for path in played]
    scores += [first_minute(score_notes(name)) for name in FITTED_SCORES]
    recordings = [read(SAMPLE / f"{name}.opus", 60) for name in FITTED_SAMPLES]
    pianos = recordings.copy()
    for bank in FITTED_BANKS:
        solo = [rendered(notes, bank) for notes in scores]
        textures = (tremolo, slow_chords, figures, stride, two_voices)
        pianos += solo + [rendered(make(rng), bank) for make in textures]
        yield from _fitting_orchestra(rng, rooms, bank, scores, solo)
    for piano in pianos:
        for how in WEAR:
            sound = worn(coloured(piano, rng), how, rng, rooms)
            yield from labelled("piano", "rendered piano", sound)
    noises = np.random.default_rng(20211022)
    applause, speech = _fitting_applause(), _fitting_speech(noises)
    yield from _noises(noises, rooms, 3 * recordings, applause, speech)


def _fitting_orchestra(
    rng: np.random.Generator,
    rooms: Sequence[Mono],
    bank: Path,
    scores: Sequence[Sequence[Note]],
    solo: Sequence[Mono],
) -> Iterator[Clip]:
    for index, notes in enumerate(scores):
        band = (STRINGS, WINDS, FULL, SOLO_STRINGS)[index % 4]
        alone = rendered(orchestrated(notes, band, rng), bank)
        for how in ("bare", WEAR[1 + index % 4]):
            sound = worn(coloured(alone, rng), how, rng, rooms)
            yield from labelled("orchestra", bank.stem, sound, orchestra=True)
        for other_db in (-8, 0, 8):
            piano = solo[(index + int(rng.integers(2))) % len(solo)]
            both = coloured(mixed(piano, alone, other_db), rng)
            sound = worn(both, WEAR[int(rng.integers(5))], rng, rooms)
            yield from labelled("orchestra with piano", bank.stem, sound, orchestra=True)


def _fitting_applause() -> list[tuple[str, Mono]]:
    made = []
    for bank in FITTED_BANKS[:2]:
        for pitches in ((55, 60, 64), (50, 57), (66, 72)):
            sound = rendered(held_applause(pitches), bank)[: CLIP_S * RATE_HZ]
            made.append((f"{bank.stem} applause", sound))
    return made


def held_applause(pitches: Sequence[int]) -> list[Note]:
    """General MIDI's applause, held for a clip by overlapping notes."""
    starts = range(0, CLIP_S, 3)
    return [Note(s, s + 5, pitch, 100, APPLAUSE_PROGRAM) for s in starts for pitch in pitches]


def _fitting_speech(rng: np.random.Generator) -> list[tuple[str, Mono]]:
    made = []
    for voice, text in FITTING_WORDS.items():
        for variant in ("m1", "m3", "f2", "f5"):
            speed, pitch = int(rng.integers(130, 190)), int(rng.integers(30, 70))
            words = spoken(text, f"{voice}+{variant}", speed, pitch)
            made.append((f"espeak-ng {voice}+{variant}", looped(words, 15, 0.05)))
    return made


def _noises(
    rng: np.random.Generator,
    rooms: Sequence[Mono],
    pianos: Sequence[Mono],
    applause: Sequence[tuple[str, Mono]],
    speech: Sequence[tuple[str, Mono]],
    coughs: Sequence[Mono] = (),
) -> Iterator[Clip]:
    """Applause, speech and empty halls: alone, worn, over the last chord, after the music."""
    quiet = [
        room_noise(rng, CLIP_S, slope, hum)
        for slope in (-12, -9, -6, -4.5, -3, 0)
        for hum in (0.0, 0.3, 1.0)
    ]
    for noise in quiet:
        yield from labelled("silence", "made-up hall", noise, silence=True)
        coughed = coughing(noise, rng, coughs)
        yield from labelled("silence with coughs", "made-up hall", coughed, silence=True)
    for source, claps in applause:
        for how in ("bare", "room", "codec"):  # it has had its hall already
            sound = worn(claps, how, rng, rooms)
            yield from labelled("applause", source, sound, applause=True)
        for applause_db in (-6, 0, 6, 15):
            piano = pianos[int(rng.integers(len(pianos)))][: claps.size]
            over = mixed(in_room(piano, hall(rng, 4)), claps, applause_db)
            kind = f"applause {applause_db:+d} dB to the piano"
            yield from labelled(kind, source, over, applause=True)
        music = next(labelled("piano", "piano", level(pianos[int(rng.integers(len(pianos)))])))
        ovation = next(labelled("applause", source, level(claps), applause=True))
        at_s = int(rng.integers(8, 20))
        yield followed("piano then applause", music, ovation, at_s)
        yield followed("applause then piano", ovation, music, at_s)
    for index, (source, words) in enumerate(speech):
        for how in WEAR[:4]:
            sound = worn(words, how, rng, rooms)
            yield from labelled("speech", source, sound, speech=True)
        noise = quiet[index % len(quiet)]
        for noise_db in (-20, -10):
            hallspeech = mixed(in_room(words, rooms[index % len(rooms)]), noise, noise_db)
            yield from labelled("speech over hall noise", source, hallspeech, speech=True)
    for piano in pianos:
        music = next(labelled("piano", "piano", level(piano)))
        noise = quiet[int(rng.integers(len(quiet)))] * np.float32(10 ** (-rng.uniform(25, 45) / 20))
        empty = next(labelled("silence", "hall", noise, silence=True))
        if music.samples.size == empty.samples.size:
            yield followed("piano then silence", music, empty, int(rng.integers(6, 22)), 3)


def coughing(noise: Mono, rng: np.random.Generator, coughs: Sequence[Mono]) -> Mono:
    """An empty hall with somebody coughing every few seconds."""
    made = noise.copy()
    for at_s in np.arange(1, CLIP_S - 2, rng.uniform(2.5, 5)):
        if coughs:
            cough = level(coughs[int(rng.integers(len(coughs)))])
        else:
            size = round(rng.uniform(0.15, 0.4) * RATE_HZ)
            band = scipy.signal.butter(2, (300, 3500), "bandpass", fs=RATE_HZ)
            cough = scipy.signal.lfilter(*band, rng.normal(size=size) * np.hanning(size))
            cough = level(cough.astype(np.float32))
        first = round(float(at_s) * RATE_HZ)
        room = made[first : first + cough.size]
        room += cough[: room.size] * np.float32(10 ** (rng.uniform(0, 15) / 20))
    return made


# What is measured on ------------------------------------------------------------------------------

REAL_PIANO = (
    "cut_bach.mp3",
    "cut_liszt.mp3",
    "librosa_lena-orsa_pistachio-ragtime.hq.ogg",
    "percepiano_Beethoven_WoO80_var27_8bars_3_15.wav",
)
PIANO_SCORES = (
    "joplin/maple_leaf_rag.mxl",
    "schumann_clara/opus17/movement3.xml",
    "schumann_clara/polonaise_op1n1.mxl",
    "mozart/k545/movement1_exposition.xml",
    "cpebach/h186.mxl",
)
QUARTET_SCORES = (
    "beethoven/opus18no1/movement1.mxl",
    "beethoven/opus59no2/movement3.mxl",
    "mozart/k155/movement1.mxl",
    "mozart/k80/movement1.mxl",
    "schumann_robert/opus41no1/movement2.xml",
    "corelli/opus3no1/1grave.xml",
)


def held_out() -> Iterator[Clip]:
    """Clips never fitted on: real recordings where there are any, another bank, other rooms."""
    rng = np.random.default_rng(1849)
    rooms = [
        read(SHARED / "room_responses" / f"{name}.wav")
        for name in ("pymixconsole_medium_room", "audiomentations_rir48000")
    ]
    real = {name: read(SHARED / "audio" / name) for name in REAL_PIANO}
    for name, piano in real.items():
        for how in WEAR:
            yield from labelled("real piano", name, worn(piano, how, rng, rooms))
    banked: list[Mono] = []
    maestro = first_minute(notes_of(next((SHARED / "midi").glob("*.midi"))))
    scores = {name: first_minute(score_notes(name)) for name in PIANO_SCORES}
    scores |= {"MAESTRO performance": maestro}
    scores |= {make.__name__: make(rng) for make in (tremolo, slow_chords, figures)}
    for name, notes in scores.items():
        piano = rendered(notes, FLUID)
        banked.append(piano)
        for how in WEAR:
            yield from labelled("rendered piano", name, worn(piano, how, rng, rooms))
    pianos = [piano for piano in real.values() if piano.size >= 20 * RATE_HZ] + banked
    yield from _held_out_orchestra(rng, rooms, list(real.values()), maestro)
    human = PACKAGES / "x_scratch/usr/share/scratch/Media/Sounds/Human"
    coughs = [read(human / f"{name}.wav") for name in ("Cough-male", "Laugh-male1", "Laugh-female")]
    yield from _noises(rng, rooms, pianos, _held_out_applause(), _held_out_speech(rng), coughs)


def _held_out_orchestra(
    rng: np.random.Generator,
    rooms: Sequence[Mono],
    pianos: Sequence[Mono],
    maestro: Sequence[Note],
) -> Iterator[Clip]:
    for index, name in enumerate(QUARTET_SCORES):
        notes = first_minute(score_notes(name))
        for band in ((SOLO_STRINGS, STRINGS, FULL, WINDS)[index % 4], FULL):
            sound = rendered(orchestrated(notes, band, rng), FLUID)
            for how in WEAR[:4]:
                part = worn(sound, how, rng, rooms)
                yield from labelled("rendered orchestra", name, part, orchestra=True)
    full = rendered(orchestrated(maestro, FULL, rng), FLUID)
    for other_db in (-8, 0, 8):
        both = mixed(rendered(maestro, FLUID), full, other_db)
        kind = f"orchestra {other_db:+d} dB to the piano"
        yield from labelled(kind, "MAESTRO performance", both, orchestra=True)
    music = PACKAGES / "x_wesnoth-1.16-music/usr/share/games/wesnoth/1.16/data/core/music"
    for index, path in enumerate(sorted(music.glob("*.ogg"))):
        if path.stem == "silence":
            continue
        track = read(path, 60)
        yield from labelled("produced orchestra", path.stem, track, orchestra=True)
        for other_db in (-8, 0, 8):
            both = mixed(pianos[index % len(pianos)], track, other_db)
            yield from labelled(
                f"orchestra {other_db:+d} dB to the piano", path.stem, both, orchestra=True
            )


def _held_out_applause() -> list[tuple[str, Mono]]:
    circus = PACKAGES / "x_circuslinux-data/usr/share/games/circuslinux/data/sounds"
    billard = PACKAGES / "x_foobillardplus-data/usr/share/games/foobillardplus/data"
    made = [
        ("circuslinux applause", looped(read(circus / "applause.wav"), CLIP_S)),
        ("foobillardplus applause", looped(read(billard / "applause.wav"), CLIP_S)),
    ]
    held = rendered(held_applause((57, 62)), FLUID)
    made.append(("FluidR3_GM applause", held[: CLIP_S * RATE_HZ]))
    return made


def _held_out_speech(rng: np.random.Generator) -> list[tuple[str, Mono]]:
    made = []
    for language in HELD_OUT_LANGUAGES:
        folder = PACKAGES / f"x_asterisk-core-sounds-{language}-wav/usr/share/asterisk/sounds"
        prompts = sorted(path for path in folder.rglob("*.wav") if path.stat().st_size > 40_000)
        for _ in range(4):
            chosen = rng.permutation(len(prompts))[:14]
            words = np.concatenate([level(spoken_part(read(prompts[i]))) for i in chosen])
            made.append((f"asterisk {language}", words[: CLIP_S * RATE_HZ]))
    return made


def spoken_part(samples: Mono) -> Mono:
    """A prompt without the silence around it."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + round(0.15 * RATE_HZ)]


def saved(clips: Iterator[Clip], path: Path) -> list[Clip]:
    """The clips, made once and kept beside the repository."""
    if not path.exists():
        kept = list(clips)
        np.savez(
            path,
            kinds=[clip.kind for clip in kept],
            sources=[clip.source for clip in kept],
            sizes=[clip.samples.size for clip in kept],
            samples=np.concatenate([clip.samples for clip in kept]),
            labels=np.concatenate([clip.labels for clip in kept]),
        )
    held = np.load(path)
    sizes = held["sizes"]
    parts = np.split(held["samples"], np.cumsum(sizes)[:-1])
    labels = np.split(held["labels"], np.cumsum(sizes // RATE_HZ)[:-1])
    return [
        Clip(str(kind), str(source), part, label)
        for kind, source, part, label in zip(
            held["kinds"], held["sources"], parts, labels, strict=True
        )
    ]
