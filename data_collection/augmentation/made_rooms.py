"""Rooms that do not exist: a shoebox's first reflections, and a tail of decaying noise.

What belongs here: a room's size and materials, drawn from its number, and its response. What does
not: measured rooms. Distances and levels are physics, the rest is drawn; every operation is one
that all processors round alike, so a room is the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from data_collection.augmentation.draws import Draws
from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples

MADE_ROOMS = 48
VERSION = 1
"""Of all that a room's number leads to. Another version, other names."""

SOUND_M_PER_S = 343.0
IMAGES = 4
"""Mirror images to either side along each axis."""
EARLY_S = 0.06
"""Up to here reflections are counted one by one; from half of it on the tail fades in."""
DECAY_DB = 72.0
"""How far the tail is followed."""
REFLECTED_SHARE = 0.7
"""One-pole low-pass of whatever was reflected: walls and air take the highest first."""
STRONGEST = 0.9
"""Where several walls answer at one moment they would be louder than the direct sound, and nobody
could tell any more which of the two a twin is aligned with."""
BAND_EDGES_HZ = (500.0, 3_000.0)

Values = npt.NDArray[np.float64]
Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Shoebox:
    """A room with six walls.

    Attributes:
        size_m: length, width, height.
        source_m: where the piano is.
        microphone_m: where the microphone is.
        reverberation_s: time to fall by 60 dB at low, middle and high frequencies.
    """

    size_m: Point
    source_m: Point
    microphone_m: Point
    reverberation_s: tuple[float, float, float]

    @property
    def volume_m3(self) -> float:
        """Cubic metres."""
        length, width, height = self.size_m
        return length * width * height

    @property
    def surface_m2(self) -> float:
        """Square metres of all six walls."""
        length, width, height = self.size_m
        return 2 * (length * width + length * height + width * height)

    @property
    def reflected(self) -> float:
        """Share of the pressure that a wall gives back, by Sabine's formula."""
        absorbed = 0.161 * self.volume_m3 / (self.surface_m2 * self.reverberation_s[1])
        return float(np.sqrt(1 - min(0.95, absorbed)))


@dataclass(frozen=True, slots=True)
class MadeRoom:
    """A room and its response: `[n]` at 24 kHz, peak 1, the direct sound at its sample `direct`."""

    shoebox: Shoebox
    samples: Samples = field(repr=False, compare=False)
    direct: int = 0


def made_room_name(number: int) -> str:
    """Name of a made room."""
    return f"made:{VERSION}:{number:03d}"


def make_room(number: int) -> MadeRoom:
    """Make the room of a number, from a practice cell to a concert hall."""
    draws = Draws("room", VERSION, number)
    shoebox = draw_shoebox(draws)
    early = _early(shoebox)
    tail = _tail(shoebox, draws)
    response = np.zeros(max(early.size, tail.size))
    response[: tail.size] += tail * _tail_level(early, tail)
    response[: early.size] += early * _fade(early.size, rising=False)
    response[0] = 0.0  # the direct sound keeps its highs
    made = np.clip(_darkened(response), -STRONGEST, STRONGEST)
    made[0] = 1.0
    return MadeRoom(shoebox, made.astype(np.float32))


def draw_shoebox(draws: Draws) -> Shoebox:
    """Draw a room: larger ones ring longer, and the microphone is further away."""
    length = draws.between(4.0, 9.0, 2)
    if draws.share() < 0.5:
        length = draws.between(9.0, 38.0, 2)
    width = round(length * draws.between(0.5, 0.9, 3), 2)
    height = round(min(16.0, max(2.5, length * draws.between(0.3, 0.6, 3))), 2)
    size = (length, width, height)
    volume = length * width * height
    middle = draws.between(0.28, 0.6, 3) * round((volume / 60) ** 0.25, 4)
    reverberation = (
        round(middle * draws.between(0.9, 1.4, 3), 3),
        round(middle, 3),
        round(middle * draws.between(0.4, 0.8, 3), 3),
    )
    source = (
        round(length * draws.between(0.15, 0.35, 3), 2),
        round(width * draws.between(0.35, 0.6, 3), 2),
        1.0,
    )
    distance = draws.between(1.0, max(1.5, 0.45 * length), 2)
    microphone = (
        round(min(length - 0.4, source[0] + distance), 2),
        round(width * draws.between(0.3, 0.7, 3), 2),
        round(draws.between(1.2, min(3.5, height - 0.4), 2), 2),
    )
    return Shoebox(size, source, microphone, reverberation)


def _early(shoebox: Shoebox) -> Values:
    """The direct sound at 0 with amplitude 1, and reflections by the image sources of a box.

    Source: Allen & Berkley, Image method for efficiently simulating small-room acoustics, 1979.
    """
    squared, order = np.zeros((1, 1, 1)), np.zeros((1, 1, 1), dtype=np.int64)
    for axis, (size, source, microphone) in enumerate(
        zip(shoebox.size_m, shoebox.source_m, shoebox.microphone_m, strict=True)
    ):
        images = np.arange(-IMAGES, IMAGES + 1)
        places = np.concatenate((2 * images * size + source, 2 * images * size - source))
        bounces = np.concatenate((np.abs(2 * images), np.abs(2 * images - 1)))
        shape = [1, 1, 1]
        shape[axis] = -1
        squared = squared + np.square(places - microphone).reshape(shape)
        order = order + bounces.reshape(shape)
    distance = np.sqrt(squared.reshape(-1))
    nearest = distance.min()
    delays = np.rint((distance - nearest) * (SAMPLE_RATE_HZ / SOUND_M_PER_S)).astype(np.int64)
    powers = np.cumprod(np.concatenate(([1.0], np.full(int(order.max()), shoebox.reflected))))
    amplitudes = powers[order.reshape(-1)] * (nearest / distance)
    size = round(EARLY_S * SAMPLE_RATE_HZ)
    near = delays < size
    return np.asarray(
        np.bincount(delays[near], weights=amplitudes[near], minlength=size), dtype=np.float64
    )


def _tail(shoebox: Shoebox, draws: Draws) -> Values:
    """Noise that decays by 60 dB in each band's reverberation time."""
    longest = max(shoebox.reverberation_s) * DECAY_DB / 60
    size = round((EARLY_S + longest) * SAMPLE_RATE_HZ)
    white = draws.white_noise(size).astype(np.float64)
    tail = np.zeros(size)
    for band, seconds in zip(_bands(white), shoebox.reverberation_s, strict=True):
        keep = round(10 ** (-3 / (seconds * SAMPLE_RATE_HZ)), 12)
        tail += band * np.cumprod(np.full(size, keep))
    tail[: round(EARLY_S * SAMPLE_RATE_HZ)] *= _fade(round(EARLY_S * SAMPLE_RATE_HZ), rising=True)
    return tail


def _bands(white: Values) -> list[Values]:
    """Three bands that add up to the whole."""
    low, middle = (_low_passed(white, edge_hz) for edge_hz in BAND_EDGES_HZ)
    return [low, middle - low, white - middle]


def _low_passed(samples: Values, corner_hz: float) -> Values:
    """A first-order low-pass."""
    from scipy.signal import lfilter

    share = round(1 - 2.0 ** (-9.0647203 * corner_hz / SAMPLE_RATE_HZ), 9)  # 2 pi / ln 2
    return np.asarray(lfilter([share], [1.0, share - 1.0], samples), dtype=np.float64)


def _darkened(samples: Values) -> Values:
    from scipy.signal import lfilter

    return np.asarray(
        lfilter([REFLECTED_SHARE], [1.0, REFLECTED_SHARE - 1.0], samples), dtype=np.float64
    )


def _tail_level(early: Values, tail: Values) -> float:
    """What makes the tail as strong as the reflections where they meet.

    Reflections there are few, so all of the second half count, each as strong as it would be by
    then were it not for its decay: the two fall alike.
    """
    half = early.size // 2
    reflections, noise = early[half:], tail[half : early.size]
    fade = _fade(early.size, rising=True)[half:]
    full = noise / np.maximum(fade, 1e-3)
    return float(np.sqrt(np.square(reflections).sum() / np.square(full).sum()))


def _fade(size: int, *, rising: bool) -> Values:
    """Over the second half of the early part, from one to the other at equal power."""
    half = size // 2
    share = np.concatenate((np.zeros(half), (np.arange(size - half) + 0.5) / (size - half)))
    return np.sqrt(share if rising else 1 - share)
