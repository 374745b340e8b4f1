"""Pitch shift: a phase vocoder for small shifts of piano, at the speed of its Fourier transforms.

What belongs here: the stretch, its onsets, and the resampling after it. What does not: any other
effect. The clip is stretched in time by the pitch ratio and resampled back, so that every onset
stays where it was.

How it differs from the textbook's (Laroche & Dolson 1999, identity phase locking):

* Each output frame looks at two input frames exactly one output hop apart, so that phase advance is
  measured, not unwrapped from a guess: no trigonometry, and every operation is one that IEEE 754
  defines to the bit.
* Where a note begins, the bins that it brings take the phases of the input, delayed to the note's
  place (after Röbel 2003). Without that an attack is smeared over the window; the bins that were
  sounding before keep their own phases.

How it compares: `docs/decisions/augmentation.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_collection.augmentation.fourier import Spectra, hann, product, unit_circle
from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples, checked, within

WINDOW = 2_048
OVERLAP = 4
HOP = WINDOW // OVERLAP
BINS = WINDOW // 2 + 1
HANN_SQUARED_SUM = 3 / 8 * OVERLAP
"""What squared Hann windows add up to at this overlap."""
SETTLE = round(0.19 * WINDOW)
"""How far a note's beginning is behind a frame's centre when its phases run freely again: before,
the centre of the window still holds the attack."""
NEW_BIN_RISE = 2.0
"""A bin belongs to a note that begins if its power rises by this over a window."""

ONSET_WINDOW, ONSET_HOP, ONSET_LAG = 512, 256, 2
ONSET_CONTEXT = 29
"""Frames to either side that an onset stands out from: 0.3 s."""
ONSET_RISE, ONSET_FLOOR = 1.7, 1.0
ONSET_APART = 6
"""Frames to either side among which an onset is the strongest: 64 ms."""

Indices = npt.NDArray[np.int64]


def pitch_shift(samples: Samples, cents: float) -> Samples:
    """Shift the pitch; onsets and duration stay.

    Meant for two semitones and less to either side.

    Args:
        samples: `[n]` at 24 kHz.
        cents: hundredths of a semitone.

    Returns:
        `[n]`, scaled down where it would pass full scale.
    """
    import soxr

    samples = checked(samples)
    ratio = pitch_ratio(cents)
    if ratio == 1.0:
        return samples.copy()
    stretched = _stretched(samples, ratio)
    shifted = soxr.resample(stretched, SAMPLE_RATE_HZ * ratio, SAMPLE_RATE_HZ)[: samples.size]
    return within(np.pad(shifted, (0, samples.size - shifted.size)))


def pitch_ratio(cents: float) -> float:
    """Frequency ratio of an interval; rounded, since machines differ in the last bit of a power."""
    return round(math.pow(2.0, cents / 1200), 9)


def _stretched(samples: Samples, ratio: float) -> Samples:
    """The clip lasting `ratio` times as long, at its pitch."""
    size = math.ceil(samples.size * ratio)
    frames = -(-size // HOP) + 1
    centres = np.rint(np.arange(frames) * (HOP / ratio)).astype(np.int64)
    spectra = _spectra(samples, centres)
    earlier = _spectra(samples, centres - HOP)
    attacks = _attacks(samples, spectra, centres, ratio)
    turned = product(spectra, _rotations(spectra, earlier, attacks))
    return _overlapped(turned)[WINDOW // 2 : WINDOW // 2 + size]


def _frames(samples: Samples, starts: Indices, size: int) -> Samples:
    """Windowed frames `[len(starts), size]`; what lies outside the clip is silent."""
    before = max(0, -int(starts[0]))
    after = max(0, int(starts[-1]) + size - samples.size)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (before, after)), size)
    return windows[starts + before] * hann(size)


def _spectra(samples: Samples, centres: Indices) -> Spectra:
    from scipy import fft

    found: Spectra = fft.rfft(
        _frames(samples, centres - WINDOW // 2, WINDOW), overwrite_x=True, workers=1
    )
    return found


def _overlapped(spectra: Spectra) -> Samples:
    """Overlap and add; sample `WINDOW // 2` is the centre of the first frame."""
    from scipy import fft

    frames: Samples = fft.irfft(spectra, WINDOW, overwrite_x=True, workers=1)
    frames *= hann(WINDOW) * np.float32(1 / HANN_SQUARED_SUM)
    count = len(frames)
    added = np.zeros((count + OVERLAP - 1, HOP), dtype=np.float32)
    for part in range(OVERLAP):
        added[part : part + count] += frames[:, part * HOP : (part + 1) * HOP]
    return added.reshape(-1)


@dataclass(frozen=True, slots=True)
class _Attack:
    """What a beginning note does to one frame: these bins are rotated so, whatever they were."""

    bins: Indices
    rotations: Spectra


def _attacks(
    samples: Samples, spectra: Spectra, centres: Indices, ratio: float
) -> dict[int, list[_Attack]]:
    """The attacks of each frame whose window a beginning note has entered and not yet settled in.

    All frames of one note put it to the same place in the output, so it stays as sharp as it was.
    """
    found: dict[int, list[_Attack]] = {}
    last = len(centres) - 1
    for onset in onsets(samples):
        first = int(np.searchsorted(centres, onset - WINDOW // 2))
        settled = min(last, int(np.searchsorted(centres, onset + SETTLE, side="right")))
        after = min(last, int(np.searchsorted(centres, onset + WINDOW // 2)))
        rise = NEW_BIN_RISE * _power(spectra[max(0, first - 1)])
        bins = np.flatnonzero(_power(spectra[after]) > rise)
        for frame in range(max(1, first), settled + 1):
            delay = round(ratio * onset) - frame * HOP - (onset - int(centres[frame]))
            turn = unit_circle(WINDOW)[(bins * delay) % WINDOW]
            found.setdefault(frame, []).append(_Attack(bins, turn))
    return found


def onsets(samples: Samples) -> list[int]:
    """Samples at which notes begin, to 10 ms; weak notes under strong ones are not found.

    Compressed spectral flux over 21 ms, where it stands out from its neighbourhood.
    """
    from scipy import fft

    starts = np.arange(-(ONSET_WINDOW // 2), samples.size, ONSET_HOP)
    spectra = fft.rfft(_frames(samples, starts, ONSET_WINDOW), overwrite_x=True, workers=1)
    compressed = np.sqrt(np.sqrt(_power(spectra)))
    flux = np.zeros(len(starts))
    rise = np.maximum(compressed[ONSET_LAG:] - compressed[:-ONSET_LAG], np.float32(0))
    flux[ONSET_LAG:] = rise.sum(axis=1, dtype=np.float64)
    total = np.concatenate(([0.0], np.cumsum(np.pad(flux, ONSET_CONTEXT))))
    width = 2 * ONSET_CONTEXT + 1
    around = (total[width:] - total[:-width]) / width
    stands_out = flux > ONSET_RISE * around + ONSET_FLOOR
    for apart in range(1, ONSET_APART + 1):
        stands_out[apart:] &= flux[apart:] > flux[:-apart]
        stands_out[:-apart] &= flux[:-apart] >= flux[apart:]
    found = (np.flatnonzero(stands_out) - ONSET_LAG // 2) * ONSET_HOP
    return [max(0, int(onset)) for onset in found]


def _power(spectra: Spectra) -> Samples:
    return np.square(spectra.real) + np.square(spectra.imag)


def _rotations(spectra: Spectra, earlier: Spectra, attacks: dict[int, list[_Attack]]) -> Spectra:
    """By how much each bin is rotated, `[frames, BINS]`: each as the peak next to it.

    A peak of a frame goes on from the rotation that its bin had in the frame before, turned by as
    much as the input turned less than one output hop's worth.
    """
    peaks, widths = _peaks(_power(spectra))
    frame_of, bin_of = peaks // BINS, peaks % BINS
    starts = np.searchsorted(frame_of, np.arange(len(spectra) + 1))
    region_of = np.repeat(np.arange(len(peaks), dtype=np.int32), widths)
    came_from = region_of[np.maximum(peaks - BINS, 0)]
    turns = _turns(spectra.reshape(-1), earlier.reshape(-1), peaks)
    rotations = np.ones(len(peaks), dtype=np.complex64)
    for frame in range(1, len(spectra)):
        here = slice(starts[frame], starts[frame + 1])
        before = rotations[came_from[here]]
        if frame - 1 in attacks:
            _settle(before, bin_of[here], attacks[frame - 1])
        rotations[here] = product(before, turns[here])
    every = np.repeat(rotations, widths).reshape(spectra.shape)
    for frame, notes in attacks.items():
        for note in notes:
            every[frame, note.bins] = note.rotations
    return every


def _settle(rotations: Spectra, bins: Indices, notes: Iterable[_Attack]) -> None:
    """Give peaks at the bins of beginning notes the rotation that those had."""
    for note in notes:
        place = np.minimum(np.searchsorted(note.bins, bins), max(0, len(note.bins) - 1))
        if len(note.bins):
            new = note.bins[place] == bins
            rotations[new] = note.rotations[place[new]]


def _peaks(power: Samples) -> tuple[Indices, Indices]:
    """Flat places of the peaks of all frames, and how many bins are nearest to each.

    The first and the last bin of a frame count as peaks, so that no region leaves its frame.
    """
    is_peak = np.ones(power.shape, dtype=bool)
    np.greater(power[:, 1:], power[:, :-1], out=is_peak[:, 1:])
    is_peak[:, 1:-1] &= power[:, 1:-1] >= power[:, 2:]
    is_peak[:, -1] = True
    peaks = np.flatnonzero(is_peak)
    borders = (peaks[:-1] + peaks[1:] + 1) // 2
    return peaks, np.diff(borders, prepend=0, append=power.size)


def _turns(spectra: Spectra, earlier: Spectra, peaks: Indices) -> Spectra:
    """At each peak, the unit number that turns the input an output hop ago to the frame before."""
    turns = product(spectra[np.maximum(peaks - BINS, 0)], np.conj(earlier[peaks]))
    size = np.sqrt(_power(turns))
    silent = size < 1e-30
    turns[silent], size[silent] = 1, 1
    turns.real /= size
    turns.imag /= size
    return turns
