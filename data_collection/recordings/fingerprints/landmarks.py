"""Landmarks of a recording: which semitone begins to sound when, the strongest of each moment.

What belongs here: from stored audio to landmarks and the hash of its samples, a minute of it in
memory at a time. What does not: the file that they lie in (`stored`), and finding them again
(`index`, `overlap`). Two pianists play the same notes; what tells them apart is when. So landmarks
are onsets, to a hundredth of a second, and not a spectrum. A semitone is coarse enough for a
transfer that runs half a percent too fast. Nothing depends on the level or on where the recording
starts: a landmark is kept for being stronger than its neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.errors import SetupError

LANDMARKS_VERSION = "1"
"""Raise it with whatever changes a landmark: those of two versions are never compared."""

TICKS_PER_S = 100
HOP_FRAMES = 480
TICKS_PER_HOP = TICKS_PER_S * HOP_FRAMES // SAMPLE_RATE_HZ
FFT_FRAMES = 4096
LOWEST_PITCH = 57
BANDS = 48
"""Semitones from A3 (220 Hz) to G#7: lower notes are heard by their partials, and the top is below
what any codec or telephone cuts off."""
BLOCK_HOPS = 3000
NEAR_HOPS = 3
NEAR_S = 0.5
DENSITY = 10
"""A landmark has fewer than so many stronger ones within half a second on either side."""
DETECTABLE = 1e-5
"""Onsets below this full-scale amplitude are the last bits of a file."""

Ticks = npt.NDArray[np.uint32]
Bands = npt.NDArray[np.uint8]
Spectrum = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Onsets of a recording, in order of time, then of band.

    Attributes:
        ticks: when, `[n]`, in hundredths of a second, never falling.
        bands: which semitone above `LOWEST_PITCH`, `[n]`, below `BANDS`.
        ranks: how many stronger ones there are within half a second on either side, `[n]`.
    """

    ticks: Ticks
    bands: Bands
    ranks: Bands

    def __post_init__(self) -> None:
        arrays = (self.ticks, self.bands, self.ranks)
        if [a.dtype for a in arrays] != [np.uint32, np.uint8, np.uint8] or any(
            a.ndim != 1 or a.size != self.ticks.size for a in arrays
        ):
            raise ValueError("landmarks are three arrays of one length: uint32, uint8, uint8")
        if (self.ticks[1:] < self.ticks[:-1]).any() or (self.bands >= BANDS).any():
            raise ValueError("the times of landmarks never fall, and their bands are known ones")

    @property
    def count(self) -> int:
        """How many."""
        return int(self.ticks.size)


@dataclass(frozen=True, slots=True)
class HeardAudio:
    """What one pass over a stored recording gives.

    Attributes:
        landmarks: its onsets.
        pcm_sha256: hash of its samples: equal where the sound is, whatever wrote the file.
        duration_s: of its samples.
    """

    landmarks: Landmarks
    pcm_sha256: str
    duration_s: float


def hear(flac: Path) -> HeardAudio:
    """Find the landmarks of a stored recording and hash its samples.

    Args:
        flac: mono 24 kHz FLAC.

    Raises:
        SetupError: `audio_unreadable`: it is damaged, or no stored recording.
    """
    import soundfile

    digest = hashlib.sha256()
    finder = _Finder()
    frames = 0
    try:
        with soundfile.SoundFile(flac) as file:
            if (file.samplerate, file.channels) != (SAMPLE_RATE_HZ, 1):
                raise ValueError(f"{file.channels} channels at {file.samplerate} Hz")
            for block in _blocks(file):
                digest.update(block.astype("<i4", copy=False).tobytes())
                finder.add(block.astype(np.float32) * np.float32(2.0**-31))
                frames += block.size
    except (OSError, ValueError, soundfile.LibsndfileError) as error:
        raise SetupError(
            "audio_unreadable",
            f"{flac}: {error}; delete it and materialize its audio again",
            stops_batch=False,
        ) from error
    return HeardAudio(finder.landmarks(), digest.hexdigest(), frames / SAMPLE_RATE_HZ)


def landmarks_of(samples: Spectrum) -> Landmarks:
    """Find the landmarks of samples `[n]`, mono, 24 kHz, full scale is 1."""
    finder = _Finder()
    finder.add(samples)
    return finder.landmarks()


def _blocks(file: Any) -> Iterator[npt.NDArray[np.int32]]:
    while (block := file.read(BLOCK_HOPS * HOP_FRAMES, dtype="int32")).size:
        yield block


class _Finder:
    """Landmarks of samples that come block by block; the blocks' borders leave no trace."""

    def __init__(self) -> None:
        self._rest = np.zeros(FFT_FRAMES // 2, np.float32)
        self._levels: list[Spectrum] = []

    def add(self, block: Spectrum) -> None:
        samples = np.concatenate((self._rest, block))
        while (hops := min(BLOCK_HOPS, 1 + (samples.size - FFT_FRAMES) // HOP_FRAMES)) > 0:
            self._levels.append(_levels(samples, hops))
            samples = samples[hops * HOP_FRAMES :]
        self._rest = samples

    def landmarks(self) -> Landmarks:
        self.add(np.zeros(FFT_FRAMES // 2, np.float32))
        empty = np.zeros((0, BANDS), np.float32)
        return _strongest(*_onsets(np.concatenate([empty, *self._levels])))


def _levels(samples: Spectrum, hops: int) -> Spectrum:
    """The root of each semitone's amplitude in consecutive windows, `[hops, BANDS]`."""
    import scipy.fft

    windows = np.lib.stride_tricks.sliding_window_view(samples, FFT_FRAMES)
    spectra = scipy.fft.rfft(windows[: hops * HOP_FRAMES : HOP_FRAMES] * _window(), axis=1)
    borders = _borders()
    heard = spectra[:, borders[0] : borders[-1]]
    power = np.square(heard.real) + np.square(heard.imag)
    in_band = np.add.reduceat(power, borders[:-1] - borders[0], axis=1)
    levels: Spectrum = np.sqrt(np.sqrt(in_band, dtype=np.float32))
    return levels


@lru_cache(maxsize=1)
def _window() -> Spectrum:
    window = np.hanning(FFT_FRAMES + 1)[:-1]
    scaled: Spectrum = (window / (window.sum() / 2)).astype(np.float32)
    return scaled


@lru_cache(maxsize=1)
def _borders() -> npt.NDArray[np.intp]:
    pitches = LOWEST_PITCH - 0.5 + np.arange(BANDS + 1)
    hertz = 440.0 * 2.0 ** ((pitches - 69) / 12)
    return np.rint(hertz * FFT_FRAMES / SAMPLE_RATE_HZ).astype(np.intp)


def _onsets(
    levels: Spectrum,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Where a semitone's level rises faster than at its neighbours' and just before and after.

    Returns:
        Times in ticks, bands, and how much the level rises; by time, then band.
    """
    from scipy.ndimage import maximum_filter

    if levels.shape[0] < 3:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    rise = np.zeros_like(levels)
    rise[1:-1] = np.maximum(levels[2:] - levels[:-2], 0)
    highest = maximum_filter(rise, size=(2 * NEAR_HOPS + 1, 3), mode="constant")
    hop, band = np.nonzero((rise == highest) & (rise > np.sqrt(DETECTABLE)))
    peak = rise[hop, band]
    before, after = rise[hop - 1, band], rise[np.minimum(hop + 1, len(rise) - 1), band]
    bend = 2 * peak - before - after
    shift = np.divide(after - before, 2 * bend, out=np.zeros_like(peak), where=bend > 0)
    ticks = np.rint((hop + np.clip(shift, -0.5, 0.5)) * TICKS_PER_HOP).astype(np.int64)
    order = np.lexsort((band, ticks))
    return ticks[order], band[order], peak[order]


def _strongest(
    ticks: npt.NDArray[np.int64], bands: npt.NDArray[np.int64], strength: npt.NDArray[np.float32]
) -> Landmarks:
    """Keep those with few stronger ones around them."""
    ranks = np.zeros(ticks.size, np.int64)
    for step in range(1, ticks.size):
        near = ticks[step:] - ticks[:-step] <= NEAR_S * TICKS_PER_S
        if not near.any():
            break
        earlier_wins = strength[:-step] >= strength[step:]
        ranks[step:] += near & earlier_wins
        ranks[:-step] += near & ~earlier_wins
    kept = ranks < DENSITY
    return Landmarks(
        ticks[kept].astype(np.uint32), bands[kept].astype(np.uint8), ranks[kept].astype(np.uint8)
    )
