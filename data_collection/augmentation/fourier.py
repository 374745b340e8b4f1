"""Tables of the Fourier transform, and convolution that keeps a clip in its place.

What belongs here: what filters, rooms and the pitch shift share. What does not: their shapes.
Whatever a processor's kind could change is left out: tables come from the C library's sines in
double precision, complex numbers are multiplied by real operations, and `scipy.fft`, which is built
for one instruction set, takes one thread. `scipy.signal` and numpy's complex product would differ
between processors with and without fused multiplication.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from data_collection.augmentation.levels import Samples

Spectra = npt.NDArray[np.complex64]


@cache
def cosines(size: int) -> npt.NDArray[np.float64]:
    """cos(2 pi m / size) for m in 0 to size - 1; not to be written to."""
    table = np.array([math.cos(2 * math.pi * index / size) for index in range(size)])
    table.flags.writeable = False
    return table


@cache
def unit_circle(size: int) -> Spectra:
    """exp(-2 pi i m / size) for m in 0 to size - 1; not to be written to."""
    sines = [math.sin(2 * math.pi * index / size) for index in range(size)]
    table = (cosines(size) - 1j * np.array(sines)).astype(np.complex64)
    table.flags.writeable = False
    return table


@cache
def hann(size: int) -> Samples:
    """A periodic Hann window; not to be written to."""
    window = (0.5 - 0.5 * cosines(size)).astype(np.float32)
    window.flags.writeable = False
    return window


@cache
def blackman(size: int) -> npt.NDArray[np.float64]:
    """A periodic Blackman window; not to be written to."""
    window = 0.42 - 0.5 * cosines(size) + 0.08 * cosines(size)[2 * np.arange(size) % size]
    window.flags.writeable = False
    return window


def product(one: Spectra, other: Spectra) -> Spectra:
    """Product of complex numbers, by real operations.

    numpy's own rounds once less where the processor can multiply and add in one step.
    """
    made = np.empty(np.broadcast_shapes(one.shape, other.shape), dtype=np.complex64)
    np.multiply(one.real, other.real, out=made.real)
    made.real -= one.imag * other.imag
    np.multiply(one.real, other.imag, out=made.imag)
    made.imag += one.imag * other.real
    return made


def convolved(samples: Samples, response: Samples, centre: int) -> Samples:
    """A clip through a response, of which one sample stands for no delay; by overlap and add.

    Args:
        samples: `[n]`.
        response: `[m]`.
        centre: the sample of the response that leaves the clip in its place.

    Returns:
        `[n]`.
    """
    from scipy import fft

    size = _block_size(samples.size, response.size)
    step = size - response.size + 1
    count = -(-samples.size // step)
    blocks = np.pad(samples, (0, count * step - samples.size)).reshape(count, step)
    spectra = product(fft.rfft(blocks, size, workers=1), fft.rfft(response, size, workers=1))
    parts: Samples = fft.irfft(spectra, size, overwrite_x=True, workers=1)
    through = np.zeros((count + -(-size // step), step), dtype=np.float32)
    for first in range(0, size, step):
        part = parts[:, first : first + step]
        row = first // step
        through[row : row + count, : part.shape[1]] += part
    return through.reshape(-1)[centre : centre + samples.size]


def _block_size(samples: int, response: int) -> int:
    """The power of two that takes the fewest operations."""
    smallest = (2 * response - 1).bit_length()
    largest = max(smallest, (samples + response - 1).bit_length())

    def operations(exponent: int) -> int:
        size = 1 << exponent
        return -(-samples // (size - response + 1)) * exponent * size

    return 1 << min(range(smallest, largest + 1), key=operations)
