"""A clip as a picture, for trying whether a picture adds anything; off unless somebody asks.

What belongs here: the image. What does not: the figures (`evidence`), which are what the teacher
gets. There is no axis, no text and no metadata in it, and every clip is as wide as any other.
"""

from __future__ import annotations

import io

import numpy as np

from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.teacher.evidence_features import Samples, spectrum

WIDTH, HEIGHT = 768, 128
RANGE_DB = 70.0


def spectrogram_png(samples: Samples) -> bytes:
    """Draw a mel spectrogram.

    Args:
        samples: mono `[n]` at 24 kHz, a second or more.

    Returns:
        A PNG of 768 x 128 pixels: time to the right, 30 Hz to 12 kHz upwards on the mel scale,
        70 dB below the loudest as brightness. The same bytes for the same samples.

    Raises:
        ValueError: it is not mono, or shorter than a second.
    """
    import librosa
    from matplotlib.image import imsave

    if samples.ndim != 1 or samples.size < SAMPLE_RATE_HZ:
        raise ValueError(f"expected mono samples of a second or more, not shape {samples.shape}")
    power = spectrum(np.ascontiguousarray(samples, np.float32)).power
    mel = librosa.feature.melspectrogram(S=power, sr=SAMPLE_RATE_HZ, n_mels=HEIGHT, fmin=30.0)
    columns = np.linspace(0, mel.shape[1], WIDTH + 1).astype(int)[:-1]
    drawn = np.maximum.reduceat(mel, columns, axis=1)
    level_db = librosa.power_to_db(drawn, ref=max(float(drawn.max()), 1e-10), top_db=RANGE_DB)
    buffer = io.BytesIO()
    imsave(
        buffer,
        level_db[::-1],
        vmin=-RANGE_DB,
        vmax=0.0,
        cmap="gray",
        format="png",
        metadata={"Software": None},  # type: ignore[dict-item]  # None leaves it out
    )
    return buffer.getvalue()
