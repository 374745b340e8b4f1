"""The pieces of the sample recordings: three public-domain works, cut short, as data.

What belongs here: the written notes, their phrases and where the pedal changes. What does not: who
plays them and how (`pianists`). These are arrangements made for this sample; they are no editions
and nothing to learn the pieces from.
"""

import re
from dataclasses import dataclass
from typing import Literal

Hand = Literal["left", "right"]


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


PIECES = {piece.slug: piece for piece in (bach_prelude(), petzold_minuet(), chopin_prelude())}
