"""Renders the sample recordings: public-domain pieces played by made-up pianists.

Run once by hand, from the repository root:

    python -m data_collection.sample.render.render_audio

Needs what the collection does not: Debian's `fluidsynth` and `musescore-general-soundfont-small`,
and the Python package `mido` (best in an environment of its own, together with numpy, av and
soundfile). The recordings it leaves in `data_collection/sample/audio` are shipped, so a reader or
a test needs none of these.

The same programs give the same files byte for byte: every draw is seeded by the pianist and the
piece. Other versions of fluidsynth or libopus give other bytes of the same performances.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

AUDIO_FOLDER = Path(__file__).resolve().parent.parent / "audio"
DEFAULT_SOUNDFONT = Path("/usr/share/sounds/sf3/default-GM.sf3")
# Licences of the banks this script has been run with, for the manifest.
SOUNDFONT_LICENCES = {"MuseScore_General_Lite.sf3": "MIT"}

SAMPLE_RATE_HZ = 48_000
SYNTH_GAIN = 0.7
# The same for every pianist: a louder player must stay louder.
OUTPUT_GAIN = 2.5
PEAK_RANGE = (0.15, 0.9)
# Variable: a piano takes about a fifth more than asked.
OPUS_BIT_RATE = 64_000
MAX_FILE_BYTES = 1_000_000
MAX_FOLDER_BYTES = 5_500_000

LEAD_S = 0.5
LONGEST_TAIL_S = 6.0
TAIL_ENDS_AT_DBFS = -60.0
FADE_OUT_S = 0.25

# With the MIDI default of 120 quarter notes a minute, a tick is half a millisecond.
TICKS_PER_BEAT = 1000
TICKS_PER_S = 2000
SUSTAIN_PEDAL = 64
PEDAL_CATCH_S = 0.07
SHORTEST_NOTE_S = 0.04
# Keys are let go this long before they are struck again.
KEY_RETURN_S = 0.015

Hand = Literal["left", "right"]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreNote:
    """One written note; beats are quarter notes from the start of the piece."""

    onset_beat: float
    duration_beats: float
    pitch: int
    hand: Hand


@dataclass(frozen=True)
class Phrase:
    """Where a phrase starts, and how loud it is meant: -1 is the softest, 1 the loudest."""

    start_beat: float
    level: float


@dataclass(frozen=True)
class Piece:
    """A piece as the pianists read it."""

    slug: str
    composer: str
    title: str
    tempo_bpm: float
    notes: tuple[ScoreNote, ...]
    phrases: tuple[Phrase, ...]
    pedal_spans_beats: tuple[tuple[float, float], ...]

    @property
    def length_beats(self) -> float:
        """The beat at which the last written note ends."""
        return max(note.onset_beat + note.duration_beats for note in self.notes)


@dataclass(frozen=True)
class Pianist:
    """A made-up pianist, described by how a performance departs from the page.

    Attributes:
        slug: The name the sample world knows the pianist by.
        tempo_factor: 1 plays at the piece's tempo, more is faster.
        base_velocity: MIDI velocity around which the dynamics move.
        dynamic_range: Velocity steps between a phrase at level 0 and one at level 1.
        voicing: Velocity steps by which the right hand stands out from the left.
        velocity_jitter: Standard deviation of unmeant velocity differences.
        rubato_depth: How far the tempo follows the phrases, as a share of it.
        tempo_drift: Standard deviation of tempo changes that follow nothing, as a share.
        timing_jitter_ms: Standard deviation of single onsets.
        hand_asynchrony_ms: How far the left hand falls behind the right, on average.
        wrong_note_share: Share of the written notes that go wrong.
        stumble_s: The pause after a wrong note.
        legato: Share of the written duration for which a key is held.
        pedal_lag_ms: How late the pedal follows the harmony.
        missed_pedal_share: Share of the pedal changes left out, so harmonies blur.
    """

    slug: str
    tempo_factor: float
    base_velocity: float
    dynamic_range: float
    voicing: float
    velocity_jitter: float
    rubato_depth: float
    tempo_drift: float
    timing_jitter_ms: float
    hand_asynchrony_ms: float
    wrong_note_share: float
    stumble_s: float
    legato: float
    pedal_lag_ms: float
    missed_pedal_share: float


@dataclass(frozen=True)
class PlayedNote:
    """One key as it was really played."""

    onset_s: float
    release_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class PedalMove:
    """The sustain pedal going down or up."""

    at_s: float
    is_down: bool


@dataclass(frozen=True)
class Performance:
    """Everything the hands and the foot did."""

    notes: tuple[PlayedNote, ...]
    pedal: tuple[PedalMove, ...]


@dataclass(frozen=True)
class Recording:
    """Who plays what in which round of the sample competition."""

    round: str
    pianist_slug: str
    piece_slug: str

    @property
    def file_name(self) -> str:
        """The name of the shipped file."""
        return f"{self.round}_{self.pianist_slug}.opus"


# From accomplished to struggling: whatever the sample competition's placings say, a listener
# should hear. Expression (range, voicing, rubato) falls as accident (jitter, drift, slips) grows.
PIANISTS = (
    Pianist(
        slug="lindqvist",
        tempo_factor=1.0,
        base_velocity=62,
        dynamic_range=22,
        voicing=10,
        velocity_jitter=1.5,
        rubato_depth=0.10,
        tempo_drift=0.004,
        timing_jitter_ms=4,
        hand_asynchrony_ms=8,
        wrong_note_share=0.0,
        stumble_s=0.0,
        legato=1.02,
        pedal_lag_ms=20,
        missed_pedal_share=0.0,
    ),
    Pianist(
        slug="sol",
        tempo_factor=1.04,
        base_velocity=66,
        dynamic_range=19,
        voicing=9,
        velocity_jitter=2.5,
        rubato_depth=0.08,
        tempo_drift=0.008,
        timing_jitter_ms=7,
        hand_asynchrony_ms=12,
        wrong_note_share=0.004,
        stumble_s=0.0,
        legato=0.98,
        pedal_lag_ms=30,
        missed_pedal_share=0.0,
    ),
    Pianist(
        slug="okafor",
        tempo_factor=0.96,
        base_velocity=60,
        dynamic_range=15,
        voicing=7,
        velocity_jitter=4.0,
        rubato_depth=0.12,
        tempo_drift=0.014,
        timing_jitter_ms=11,
        hand_asynchrony_ms=18,
        wrong_note_share=0.010,
        stumble_s=0.03,
        legato=0.95,
        pedal_lag_ms=50,
        missed_pedal_share=0.03,
    ),
    Pianist(
        slug="brandt",
        tempo_factor=1.09,
        base_velocity=76,
        dynamic_range=9,
        voicing=4,
        velocity_jitter=6.0,
        rubato_depth=0.03,
        tempo_drift=0.024,
        timing_jitter_ms=17,
        hand_asynchrony_ms=22,
        wrong_note_share=0.023,
        stumble_s=0.08,
        legato=0.86,
        pedal_lag_ms=80,
        missed_pedal_share=0.10,
    ),
    Pianist(
        slug="ruzicka",
        tempo_factor=0.95,
        base_velocity=56,
        dynamic_range=6,
        voicing=1,
        velocity_jitter=8.0,
        rubato_depth=0.02,
        tempo_drift=0.045,
        timing_jitter_ms=25,
        hand_asynchrony_ms=32,
        wrong_note_share=0.039,
        stumble_s=0.16,
        legato=0.76,
        pedal_lag_ms=120,
        missed_pedal_share=0.20,
    ),
    Pianist(
        slug="marlowe",
        tempo_factor=0.99,
        base_velocity=70,
        dynamic_range=3,
        voicing=-3,
        velocity_jitter=11.0,
        rubato_depth=0.0,
        tempo_drift=0.075,
        timing_jitter_ms=36,
        hand_asynchrony_ms=45,
        wrong_note_share=0.060,
        stumble_s=0.25,
        legato=0.66,
        pedal_lag_ms=170,
        missed_pedal_share=0.35,
    ),
)

# --- The pieces ------------------------------------------------------------------------------
# All three are out of copyright. What follows are arrangements made for this sample, cut short
# and simplified; they are no editions and nothing to learn the pieces from.

BACH_BWV846_BARS = (
    "C4 E4 G4 C5 E5",
    "C4 D4 A4 D5 F5",
    "B3 D4 G4 D5 F5",
    "C4 E4 G4 C5 E5",
    "C4 E4 A4 E5 A5",
    "C4 D4 F#4 A4 D5",
    "B3 D4 G4 D5 G5",
    "B3 C4 E4 G4 C5",
    "A3 C4 E4 G4 C5",
    "D3 A3 D4 F#4 C5",
    "G3 B3 D4 G4 B4",
    "G3 Bb3 E4 G4 C#5",
    "F3 A3 D4 A4 D5",
    "F3 Ab3 D4 F4 B4",
    "E3 G3 C4 G4 C5",
    "E3 F3 A3 C4 F4",
    "D3 F3 A3 C4 F4",
    "G2 D3 G3 B3 F4",
    "C3 E3 G3 C4 E4",
)

# One hand's line: "pitch:beats", chords joined by "+", bars by "|".
PETZOLD_MINUET_RIGHT = (
    "D5:1 G4:.5 A4:.5 B4:.5 C5:.5 | D5:1 G4:1 G4:1 | E5:1 C5:.5 D5:.5 E5:.5 F#5:.5 |"
    " G5:1 G4:1 G4:1 | C5:1 D5:.5 C5:.5 B4:.5 A4:.5 | B4:1 C5:.5 B4:.5 A4:.5 G4:.5 |"
    " F#4:1 G4:.5 A4:.5 B4:.5 G4:.5 | A4:3 |"
    " D5:1 G4:.5 A4:.5 B4:.5 C5:.5 | D5:1 G4:1 G4:1 | E5:1 C5:.5 D5:.5 E5:.5 F#5:.5 |"
    " G5:1 G4:1 G4:1 | C5:1 D5:.5 C5:.5 B4:.5 A4:.5 | B4:1 C5:.5 B4:.5 A4:.5 G4:.5 |"
    " A4:1 B4:.5 A4:.5 G4:.5 F#4:.5 | G4:3"
)
PETZOLD_MINUET_LEFT = (
    "G3+B3+D4:2 A3:1 | B3:3 | C4:3 | B3:3 | A3:3 | G3:3 | D4:1 B3:1 G3:1 |"
    " D4:1 D3:.5 C4:.5 B3:.5 A3:.5 |"
    " B3:2 A3:1 | G3:1 B3:1 G3:1 | C4:3 | B3:1 C4:.5 B3:.5 A3:.5 G3:.5 | A3:2 F#3:1 |"
    " G3:2 B3:1 | C4:1 D4:1 D3:1 | G3:2 G2:1"
)

# The upbeat is the first "bar". The left hand has two harmonies a bar, each struck four times.
CHOPIN_OP28_NO4_RIGHT = (
    "B3:.75 B4:.25 | B4:3 C5:1 | B4:3 C5:1 | B4:3 C5:1 | B4:3 Bb4:1 | A4:3 B4:1 | A4:3 B4:1 |"
    " A4:3 B4:1 | A4:3 G#4:1 | G#4:1 A4:.5 B4:.5 D5:.5 C5:.5 E4:.5 A4:.5 | F#4:3 A4:1 |"
    " F#4:3 A4:1 | G4:.5 F#4:.5 C4:.5 B3:.5 D#4:2"
)
CHOPIN_OP28_NO4_HARMONIES = (
    ("G3 B3 E4", "G3 B3 E4"),
    ("F#3 A3 E4", "F#3 A3 D#4"),
    ("F3 A3 D#4", "F3 A3 D4"),
    ("E3 G#3 D4", "E3 G3 C#4"),
    ("E3 G3 C4", "E3 F#3 C4"),
    ("E3 F#3 C4", "D#3 F#3 C4"),
    ("D3 F#3 C4", "D3 F#3 C4"),
    ("D3 F3 C4", "D3 F3 B3"),
    ("C3 E3 B3", "C3 E3 A3"),
    ("B2 E3 A3", "B2 D#3 A3"),
    ("B2 E3 A3", "B2 D#3 A3"),
    ("B2 E3 G3", "B2 D#3 A3"),
)

RECORDINGS = (
    *(Recording("stage1", pianist.slug, "bach_bwv846_prelude") for pianist in PIANISTS),
    *(Recording("final", pianist.slug, "chopin_op28_no4_prelude") for pianist in PIANISTS[:3]),
    Recording("encore", "sol", "petzold_anh114_minuet"),
)


def midi_pitch(name: str) -> int:
    """The MIDI number of a pitch such as "F#4" or "Bb3"; C4 is 60.

    Raises:
        ValueError: The name is not a pitch.
    """
    match = re.fullmatch(r"([A-G])([#b]?)(\d)", name)
    if match is None:
        raise ValueError(f"not a pitch: {name!r}")
    letter, accidental, octave = match.groups()
    step = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter]
    return 12 * (int(octave) + 1) + step + {"#": 1, "b": -1, "": 0}[accidental]


def read_line(
    line: str, hand: Hand, bar_beats: float, upbeat_beats: float = 0.0
) -> list[ScoreNote]:
    """Reads one hand's line of "pitch:beats" tokens.

    Raises:
        ValueError: A bar does not add up, which is how a typing slip in the data shows.
    """
    notes = []
    beat = 0.0
    bar_end = upbeat_beats
    for number, bar in enumerate(line.split("|")):
        if number > 0 or upbeat_beats == 0.0:
            bar_end += bar_beats
        for token in bar.split():
            pitches, duration = token.split(":")
            notes += [
                ScoreNote(beat, float(duration), midi_pitch(pitch), hand)
                for pitch in pitches.split("+")
            ]
            beat += float(duration)
        if beat != bar_end:
            raise ValueError(f"bar {number} of the {hand} hand ends at beat {beat}, not {bar_end}")
    return notes


def bach_prelude() -> Piece:
    """The C major prelude: each bar's five pitches broken twice, the lower two held."""
    notes = []
    for bar, names in enumerate(BACH_BWV846_BARS):
        bass, tenor, *upper = (midi_pitch(name) for name in names.split())
        for start_beat in (4.0 * bar, 4.0 * bar + 2.0):
            notes.append(ScoreNote(start_beat, 2.0, bass, "left"))
            notes.append(ScoreNote(start_beat + 0.25, 1.75, tenor, "left"))
            notes += [
                ScoreNote(start_beat + 0.5 + 0.25 * step, 0.25, pitch, "right")
                for step, pitch in enumerate((*upper, *upper))
            ]
    return Piece(
        slug="bach_bwv846_prelude",
        composer="Johann Sebastian Bach",
        title="Prelude in C major, BWV 846 (bars 1-19)",
        tempo_bpm=92.0,
        notes=tuple(notes),
        phrases=(
            Phrase(0.0, -0.6),
            Phrase(16.0, 0.4),
            Phrase(28.0, 0.0),
            Phrase(44.0, 0.7),
            Phrase(60.0, -0.4),
        ),
        pedal_spans_beats=tuple(
            (4.0 * bar, 4.0 * (bar + 1)) for bar in range(len(BACH_BWV846_BARS))
        ),
    )


def petzold_minuet() -> Piece:
    """The G major minuet's first half with its repeat."""
    once = read_line(PETZOLD_MINUET_RIGHT, "right", 3.0)
    once += read_line(PETZOLD_MINUET_LEFT, "left", 3.0)
    half_beats = 48.0
    again = [
        ScoreNote(note.onset_beat + half_beats, note.duration_beats, note.pitch, note.hand)
        for note in once
    ]
    return Piece(
        slug="petzold_anh114_minuet",
        composer="Christian Petzold",
        title="Minuet in G major, BWV Anh. 114 (first half, with repeat)",
        tempo_bpm=112.0,
        notes=(*once, *again),
        phrases=(Phrase(0.0, 0.3), Phrase(24.0, 0.5), Phrase(48.0, -0.5), Phrase(72.0, 0.1)),
        # Half a bar only: the running quavers in the third beat stay clear.
        pedal_spans_beats=tuple((3.0 * bar, 3.0 * bar + 1.5) for bar in range(32)),
    )


def chopin_prelude() -> Piece:
    """The E minor prelude's opening up to the half close."""
    upbeat_beats = 1.0
    notes = read_line(CHOPIN_OP28_NO4_RIGHT, "right", 4.0, upbeat_beats)
    pedal_spans_beats = []
    harmonies = [harmony for bar in CHOPIN_OP28_NO4_HARMONIES for harmony in bar]
    for number, harmony in enumerate(harmonies):
        start_beat = upbeat_beats + 2.0 * number
        pedal_spans_beats.append((start_beat, start_beat + 2.0))
        # The half close is held, not repeated.
        is_last = number == len(harmonies) - 1
        strikes = ((0.0, 2.0),) if is_last else tuple((0.5 * strike, 0.5) for strike in range(4))
        notes += [
            ScoreNote(start_beat + offset, duration, midi_pitch(name), "left")
            for offset, duration in strikes
            for name in harmony.split()
        ]
    return Piece(
        slug="chopin_op28_no4_prelude",
        composer="Frédéric Chopin",
        title="Prelude in E minor, Op. 28 No. 4 (opening, simplified)",
        tempo_bpm=62.0,
        notes=tuple(notes),
        phrases=(Phrase(0.0, -0.3), Phrase(17.0, -0.6), Phrase(33.0, 0.6), Phrase(41.0, -0.7)),
        pedal_spans_beats=tuple(pedal_spans_beats),
    )


# --- The playing -----------------------------------------------------------------------------


def phrase_position(piece: Piece, beat: float) -> tuple[Phrase, float]:
    """The phrase a beat lies in, and how far through it, from 0 to 1."""
    starts = [phrase.start_beat for phrase in piece.phrases]
    index = max(0, int(np.searchsorted(starts, beat, side="right")) - 1)
    end_beat = starts[index + 1] if index + 1 < len(starts) else piece.length_beats
    share = (beat - starts[index]) / (end_beat - starts[index])
    return piece.phrases[index], float(np.clip(share, 0.0, 1.0))


@dataclass(frozen=True)
class BeatClock:
    """When each beat of one performance falls, pauses after slips included."""

    grid_beats: FloatArray
    grid_s: FloatArray
    stumble_beats: tuple[float, ...]
    stumble_s: float

    def at_s(self, beat: float) -> float:
        """Seconds from the start of the recording."""
        pauses = sum(1 for stumble in self.stumble_beats if stumble < beat)
        return (
            LEAD_S
            + float(np.interp(beat, self.grid_beats, self.grid_s))
            + (pauses * self.stumble_s)
        )


def keep_time(
    piece: Piece, pianist: Pianist, stumble_beats: Iterable[float], rng: np.random.Generator
) -> BeatClock:
    """Bends the tempo: by the phrases as the pianist means to, and by drift as they do not."""
    step_beats = 0.125
    grid_beats = np.arange(0.0, piece.length_beats + 1.0, step_beats)
    whole_beats = np.arange(0.0, piece.length_beats + 2.0)
    drift = np.zeros(len(whole_beats))
    for index in range(1, len(whole_beats)):
        # Half of the last beat's drift is carried on, so the tempo wanders and comes back.
        drift[index] = 0.5 * drift[index - 1] + rng.normal(0.0, pianist.tempo_drift)
    tempo_share = 1.0 + np.interp(grid_beats, whole_beats, drift)
    for index, beat in enumerate(grid_beats):
        _, share = phrase_position(piece, float(beat))
        # sin's mean over the arch is 0.64: the phrase breathes without slowing the piece.
        tempo_share[index] += pianist.rubato_depth * (np.sin(np.pi * share) - 0.64)
        beats_left = piece.length_beats - beat
        tempo_share[index] -= 1.5 * pianist.rubato_depth * np.clip(1.0 - beats_left / 4.0, 0, 1)
    tempo_bpm = piece.tempo_bpm * pianist.tempo_factor * np.maximum(tempo_share, 0.4)
    steps_s = step_beats * 60.0 / tempo_bpm
    grid_s = np.concatenate(([0.0], np.cumsum(steps_s)[:-1]))
    return BeatClock(grid_beats, grid_s, tuple(stumble_beats), pianist.stumble_s)


def meant_velocity(piece: Piece, pianist: Pianist, note: ScoreNote) -> float:
    """The velocity the pianist aims at: phrase, hand and beat."""
    phrase, share = phrase_position(piece, note.onset_beat)
    arch = np.sin(np.pi * share) - 0.5
    velocity = pianist.base_velocity + pianist.dynamic_range * (phrase.level + 0.6 * arch)
    velocity += pianist.voicing * (0.5 if note.hand == "right" else -0.5)
    if note.onset_beat % 1.0 == 0.0:
        velocity += 2.0
    return float(velocity)


def slip(note: PlayedNote, chosen_kind: int, rng: np.random.Generator) -> tuple[PlayedNote, ...]:
    """What sounds in place of a note that goes wrong: a neighbour, two keys, or hardly any."""
    neighbour = note.pitch + int(rng.choice([-2, -1, 1, 2]))
    if chosen_kind == 0:
        return (PlayedNote(note.onset_s, note.release_s, neighbour, note.velocity),)
    if chosen_kind == 1:
        second = PlayedNote(
            note.onset_s + 0.01, note.release_s, neighbour, max(1, note.velocity - 10)
        )
        return (note, second)
    return (PlayedNote(note.onset_s, note.release_s, note.pitch, 12),)


def play(piece: Piece, pianist: Pianist) -> Performance:
    """Plays a piece; the same pianist plays the same piece the same way every time."""
    seed = hashlib.sha256(f"{pianist.slug}/{piece.slug}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed, "big"))

    # A number fixed by the share, at drawn places: a lucky draw must not make a weak pianist clean.
    wrong_count = round(pianist.wrong_note_share * len(piece.notes))
    wrong = {int(index) for index in rng.choice(len(piece.notes), wrong_count, replace=False)}
    clock = keep_time(piece, pianist, sorted(piece.notes[i].onset_beat for i in wrong), rng)

    played: list[PlayedNote] = []
    for index, note in enumerate(piece.notes):
        late_ms = rng.normal(0.0, pianist.timing_jitter_ms)
        if note.hand == "left":
            late_ms += rng.normal(pianist.hand_asynchrony_ms, pianist.hand_asynchrony_ms / 2)
        velocity = meant_velocity(piece, pianist, note) + rng.normal(0, pianist.velocity_jitter)
        written_s = clock.at_s(note.onset_beat)
        onset_s = max(0.0, written_s + late_ms / 1000)
        end_s = clock.at_s(note.onset_beat + note.duration_beats)
        held_s = max(SHORTEST_NOTE_S, pianist.legato * (end_s - written_s))
        key = PlayedNote(
            onset_s, onset_s + held_s, note.pitch, int(np.clip(round(velocity), 18, 112))
        )
        played += slip(key, int(rng.integers(3)), rng) if index in wrong else (key,)

    pedal: list[PedalMove] = []
    for number, (down_beat, up_beat) in enumerate(piece.pedal_spans_beats):
        lag_s = abs(rng.normal(pianist.pedal_lag_ms, pianist.pedal_lag_ms / 3)) / 1000
        is_missed = number > 0 and rng.random() < pianist.missed_pedal_share
        if is_missed:
            # The foot stays where it is: drop the lift before this harmony.
            pedal.pop()
        else:
            # The foot cannot come down before it has come up, however late that was.
            lifted_s = pedal[-1].at_s if pedal else 0.0
            down_s = max(clock.at_s(down_beat) + lag_s, lifted_s) + PEDAL_CATCH_S
            pedal.append(PedalMove(down_s, is_down=True))
        is_last = number == len(piece.pedal_spans_beats) - 1
        ring_s = 2.0 if is_last else 0.0
        pedal.append(PedalMove(clock.at_s(up_beat) + lag_s + ring_s, is_down=False))
    return Performance(release_before_restrike(played), tuple(pedal))


def release_before_restrike(notes: Iterable[PlayedNote]) -> tuple[PlayedNote, ...]:
    """Shortens a note whose key is struck again: one key cannot sound two notes at once."""
    next_onset_s: dict[int, float] = {}
    shortened = []
    for note in sorted(notes, key=lambda note: (note.onset_s, note.pitch), reverse=True):
        release_s = note.release_s
        if note.pitch in next_onset_s:
            release_s = min(release_s, next_onset_s[note.pitch] - KEY_RETURN_S)
        next_onset_s[note.pitch] = note.onset_s
        # Struck twice in one instant, by a slip: only the later strike sounds.
        if release_s > note.onset_s:
            shortened.append(PlayedNote(note.onset_s, release_s, note.pitch, note.velocity))
    return tuple(reversed(shortened))


# --- The recording ---------------------------------------------------------------------------


def write_midi(performance: Performance, path: Path) -> None:
    """Writes a performance as a standard MIDI file with room for the last notes to ring."""
    # Here and not above, so that the pieces and pianists can be read where mido is missing.
    import mido  # type: ignore[import-not-found]

    # At one tick, keys come up before the pedal moves and the pedal moves before keys go down.
    events = []
    for note in performance.notes:
        on = mido.Message("note_on", note=note.pitch, velocity=note.velocity)
        off = mido.Message("note_off", note=note.pitch, velocity=64)
        events.append((round(note.onset_s * TICKS_PER_S), 2, note.pitch, on))
        events.append((round(note.release_s * TICKS_PER_S), 0, note.pitch, off))
    for move in performance.pedal:
        value = 127 if move.is_down else 0
        change = mido.Message("control_change", control=SUSTAIN_PEDAL, value=value)
        events.append((round(move.at_s * TICKS_PER_S), 1, value, change))
    events.sort(key=lambda event: event[:3])

    track = mido.MidiTrack([mido.Message("program_change", program=0)])
    tick = 0
    for at_tick, _, _, message in events:
        track.append(message.copy(time=at_tick - tick))
        tick = at_tick
    # The synthesiser stops where the track ends.
    track.append(mido.MetaMessage("end_of_track", time=round(LONGEST_TAIL_S * TICKS_PER_S)))
    mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track]).save(path)


def synthesise(
    performance: Performance, fluidsynth: str, soundfont: Path, work_folder: Path
) -> NDArray[np.float32]:
    """Renders a performance through the sampled piano; returns stereo samples, frames first."""
    midi_path = work_folder / "performance.mid"
    wav_path = work_folder / "performance.wav"
    write_midi(performance, midi_path)
    command = [fluidsynth, "-q", "-ni", "-g", str(SYNTH_GAIN), "-r", str(SAMPLE_RATE_HZ)]
    # A piano has no chorus; the bank's reverberation stands in for the room.
    command += ["-C", "no", "-F", str(wav_path), "-T", "wav", str(soundfont), str(midi_path)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments
    samples, sample_rate_hz = soundfile.read(wav_path, dtype="float32", always_2d=True)
    if sample_rate_hz != SAMPLE_RATE_HZ:
        raise ValueError(f"fluidsynth wrote {sample_rate_hz} Hz, not {SAMPLE_RATE_HZ}")
    recorded: NDArray[np.float32] = samples * np.float32(OUTPUT_GAIN)
    return recorded


def trim_tail(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ends the recording where the last notes have died away; the lead stays as played."""
    window = SAMPLE_RATE_HZ // 20
    whole = samples[: len(samples) // window * window]
    power = np.mean(whole.reshape(-1, window * 2).astype(np.float64) ** 2, axis=1)
    audible = np.flatnonzero(power > 10 ** (TAIL_ENDS_AT_DBFS / 10))
    kept = samples[: (int(audible[-1]) + 1) * window].copy()
    fade = round(FADE_OUT_S * SAMPLE_RATE_HZ)
    kept[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None]
    return kept


def check_level(samples: NDArray[np.float32], file_name: str) -> float:
    """Returns the peak.

    Raises:
        ValueError: The recording clips or is too quiet; the fixed gain needs another value.
    """
    peak = float(np.abs(samples).max())
    low, high = PEAK_RANGE
    if not low < peak < high:
        raise ValueError(f"{file_name} peaks at {peak:.2f}, outside {low}-{high}")
    return peak


def encode_opus(samples: NDArray[np.float32], path: Path, tags: dict[str, str]) -> None:
    """Writes Ogg/Opus, with a fixed stream number so that the same sound gives the same bytes."""
    with av.open(path, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        container.metadata.update(tags)
        stream = container.add_stream("libopus", rate=SAMPLE_RATE_HZ, layout="stereo")
        stream.bit_rate = OPUS_BIT_RATE
        stream.options = {"application": "audio", "vbr": "on", "compression_level": "10"}
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout="stereo"
        )
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def fluidsynth_version(fluidsynth: str) -> str:
    """The version of the synthesiser, such as "2.3.1"."""
    command = [fluidsynth, "--version"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    match = re.search(r"version (\d+(?:\.\d+)+)", answer.stdout)
    if match is None:
        raise ValueError(f"no version in what {fluidsynth} says: {answer.stdout!r}")
    return match.group(1)


def render(soundfont: Path, folder: Path) -> list[dict[str, str | float]]:
    """Renders every recording into a folder and returns the manifest's entries.

    Raises:
        FileNotFoundError: fluidsynth or the sound bank is not installed.
        ValueError: A recording is too loud, too quiet or too large to ship.
    """
    fluidsynth = shutil.which("fluidsynth")
    if fluidsynth is None or not soundfont.exists():
        raise FileNotFoundError(f"needs fluidsynth on the path and a sound bank at {soundfont}")
    # The default is a link: the manifest names the bank behind it.
    bank_name = soundfont.resolve().name
    licence = SOUNDFONT_LICENCES.get(bank_name, "licence not recorded")
    rendered_with = f"fluidsynth {fluidsynth_version(fluidsynth)}, {bank_name} ({licence})"

    pianists = {pianist.slug: pianist for pianist in PIANISTS}
    pieces = {piece.slug: piece for piece in (bach_prelude(), petzold_minuet(), chopin_prelude())}
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, str | float]] = []
    folder_bytes = 0
    for recording in RECORDINGS:
        pianist = pianists[recording.pianist_slug]
        piece = pieces[recording.piece_slug]
        performance = play(piece, pianist)
        with tempfile.TemporaryDirectory() as work_folder:
            samples = synthesise(performance, fluidsynth, soundfont, Path(work_folder))
        samples = trim_tail(samples)
        peak = check_level(samples, recording.file_name)
        path = folder / recording.file_name
        tags = {
            "title": piece.title,
            "composer": piece.composer,
            "artist": recording.pianist_slug,
            "comment": f"Made-up performer; rendered with {rendered_with}",
        }
        encode_opus(samples, path, tags)
        file_bytes = path.stat().st_size
        folder_bytes += file_bytes
        if file_bytes >= MAX_FILE_BYTES or folder_bytes > MAX_FOLDER_BYTES:
            raise ValueError(f"{path.name} makes the sample too large; lower OPUS_BIT_RATE")
        duration_s = round(len(samples) / SAMPLE_RATE_HZ, 3)
        print(f"{path.name:24} {file_bytes:7} bytes {duration_s:7.3f} s, peak {peak:.2f}")
        entries.append(
            {
                "file": path.name,
                "round": recording.round,
                "pianist": recording.pianist_slug,
                "piece": piece.slug,
                "composer": piece.composer,
                "title": piece.title,
                "duration_s": duration_s,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "rendered_with": rendered_with,
            }
        )
    return entries


def main(arguments: Sequence[str] | None = None) -> None:
    """Renders the recordings and writes their manifest."""
    parser = argparse.ArgumentParser(description="Render the sample recordings.")
    parser.add_argument("--soundfont", type=Path, default=DEFAULT_SOUNDFONT)
    parser.add_argument("--folder", type=Path, default=AUDIO_FOLDER)
    options = parser.parse_args(arguments)
    entries = render(options.soundfont, options.folder)
    text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
    (options.folder / "MANIFEST.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
