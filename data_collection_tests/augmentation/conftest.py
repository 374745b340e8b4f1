"""Real piano for the effects, decoded once."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples
from data_collection.augmentation.rooms import Rooms, made_rooms
from data_collection.recordings.decode import decode_to_flac
from data_collection.sample.media import AUDIO

PIANO_S = 12


@pytest.fixture(scope="session")
def piano(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """The first seconds of a sample recording, as the river stores it."""
    flac = tmp_path_factory.mktemp("piano") / "piano.flac"
    decode_to_flac(AUDIO / "stage1_marlowe.opus", flac)
    samples, _ = soundfile.read(flac, frames=PIANO_S * SAMPLE_RATE_HZ, dtype="float32")
    samples.flags.writeable = False
    return np.asarray(samples)


@pytest.fixture(scope="session")
def rooms() -> Rooms:
    """The made rooms."""
    return made_rooms()
