"""A recording's fingerprint as a file, and the stage that makes it.

What belongs here: the file's form, writing it with a receipt, reading it back. What does not: what
is heard (`landmarks`), and what is found by it (`index`, `matches`). The form is safetensors,
some 36 kB for ten minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data_collection.recordings.errors import SetupError
from data_collection.recordings.fingerprints.landmarks import (
    BANDS,
    DENSITY,
    LANDMARKS_VERSION,
    LOWEST_PITCH,
    TICKS_PER_S,
    Landmarks,
    hear,
)
from data_collection.recordings.receipts import Settled, StageResult, finished_receipt, settle
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier import Tier

FINGERPRINTS = "fingerprints"
SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What a stored recording is recognised by.

    Attributes:
        audio_sha256: of the FLAC that it was made of.
        pcm_sha256: of its samples.
        duration_s: of its samples.
        landmarks: its onsets.
    """

    audio_sha256: str
    pcm_sha256: str
    duration_s: float
    landmarks: Landmarks


def fingerprint_path(tier: Tier, recording_id: str) -> str:
    """Relative path of a recording's fingerprint."""
    return f"{tier.folder(FINGERPRINTS)}/{recording_id}.safetensors"


def settle_fingerprint(store: Store, tier: Tier, recording_id: str) -> Settled:
    """Make and store the fingerprint of a recording whose audio is done, unless it is there."""

    def audio() -> StoredFile:
        return finished_receipt(store, tier.folder("audio"), recording_id).outputs[0]

    def work() -> StageResult:
        stored_audio = audio()
        with store.local(stored_audio.path) as flac:
            heard = hear(flac)
        made = Fingerprint(stored_audio.sha256, heard.pcm_sha256, heard.duration_s, heard.landmarks)
        stored = store.write_bytes(fingerprint_path(tier, recording_id), to_bytes(made))
        return StageResult(
            outputs=(stored,),
            facts={
                "landmarks": heard.landmarks.count,
                "pcm_sha256": heard.pcm_sha256,
                "duration_s": heard.duration_s,
            },
        )

    return settle(
        store,
        tier.folder(FINGERPRINTS),
        recording_id,
        inputs=lambda: {"audio_sha256": audio().sha256},
        parameters=lambda: {
            "landmarks_version": LANDMARKS_VERSION,
            "ticks_per_second": TICKS_PER_S,
            "lowest_pitch": LOWEST_PITCH,
            "bands": BANDS,
            "density": DENSITY,
        },
        work=work,
    )


def read_fingerprint(store: Store, tier: Tier, recording_id: str) -> Fingerprint:
    """Read a stored fingerprint.

    Raises:
        SetupError: `fingerprint_missing`; `fingerprint_unreadable`: it is damaged, or of another
            version.
    """
    path = store.path(fingerprint_path(tier, recording_id))
    again = f"materialize {tier.folder(FINGERPRINTS)} of {recording_id}"
    try:
        return from_bytes(path.read_bytes())
    except FileNotFoundError:
        raise SetupError(
            "fingerprint_missing", f"{path} is not there; {again}", stops_batch=False
        ) from None
    except (OSError, ValueError) as error:
        raise SetupError(
            "fingerprint_unreadable", f"{path}: {error}; delete it and {again}", stops_batch=False
        ) from error


def to_bytes(fingerprint: Fingerprint) -> bytes:
    """The file of a fingerprint; the same for the same fingerprint.

    The few facts are arrays as well: safetensors writes its own metadata in a random order.
    """
    from safetensors.numpy import save

    landmarks = fingerprint.landmarks
    return save(
        {
            "version": np.array([int(LANDMARKS_VERSION)], np.uint32),
            "audio_sha256": np.frombuffer(bytes.fromhex(fingerprint.audio_sha256), np.uint8),
            "pcm_sha256": np.frombuffer(bytes.fromhex(fingerprint.pcm_sha256), np.uint8),
            "duration_s": np.array([fingerprint.duration_s], np.float64),
            "ticks": landmarks.ticks,
            "bands": landmarks.bands,
            "ranks": landmarks.ranks,
        }
    )


def from_bytes(content: bytes) -> Fingerprint:
    """Read the file of a fingerprint.

    Raises:
        ValueError: it is damaged, or of another version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        version = arrays["version"].tolist()
        if version != [int(LANDMARKS_VERSION)]:
            raise ValueError(f"version {version}, not {LANDMARKS_VERSION}")
        audio_sha256 = arrays["audio_sha256"].tobytes().hex()
        pcm_sha256 = arrays["pcm_sha256"].tobytes().hex()
        (duration_s,) = arrays["duration_s"].tolist()
        landmarks = Landmarks(arrays["ticks"], arrays["bands"], arrays["ranks"])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"not a fingerprint: {error!r}") from error
    if not len(audio_sha256) == len(pcm_sha256) == SHA256_DIGITS:
        raise ValueError("its hashes are none")
    if not (math.isfinite(duration_s) and duration_s >= 0):
        raise ValueError(f"a recording of {duration_s} s")
    return Fingerprint(audio_sha256, pcm_sha256, duration_s, landmarks)
