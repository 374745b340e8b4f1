"""The six made-up pianists of the sample recordings, and how a score becomes a performance.

What belongs here: how a pianist departs from the page, and the keys and the pedal that come of it.
What does not: the written notes (`pieces`) and turning a performance into sound (`render_audio`).
Every draw is seeded by the pianist and the piece, so a performance is always the same.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_collection.sample.render.pieces import Phrase, Piece, ScoreNote

LEAD_S = 0.5
PEDAL_CATCH_S = 0.07
SHORTEST_NOTE_S = 0.04
# Keys are let go this long before they are struck again.
KEY_RETURN_S = 0.015

FloatArray = NDArray[np.float64]


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
    # The hands draw before the foot: the other way round would be another performance.
    played = press_keys(piece, pianist, clock, wrong, rng)
    pedal = move_pedal(piece, pianist, clock, rng)
    return Performance(release_before_restrike(played), pedal)


def press_keys(
    piece: Piece,
    pianist: Pianist,
    clock: BeatClock,
    wrong: Collection[int],
    rng: np.random.Generator,
) -> list[PlayedNote]:
    """Plays every note, those at the `wrong` places with a slip."""
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
    return played


def move_pedal(
    piece: Piece, pianist: Pianist, clock: BeatClock, rng: np.random.Generator
) -> tuple[PedalMove, ...]:
    """Moves the pedal with the harmonies: late, and at some changes not at all."""
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
    return tuple(pedal)


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
