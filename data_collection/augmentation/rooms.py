"""The rooms at hand: a folder of measured responses, or rooms that are made.

What belongs here: reading and trimming responses, and giving each its name. What does not: making
rooms (`made_rooms`), convolution (`effects`). A measured response is named by the SHA-256 of its
file, so that parameters say which room they mean wherever the folder lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from data_collection.augmentation.draws import digest
from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples
from data_collection.augmentation.made_rooms import MADE_ROOMS, made_room_name, make_room
from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import sha256_of_file

LONGEST_S = 10.0
"""Tails are cut here; a file of more than `UNLIKELY_S` is no response at all."""
UNLIKELY_S = 60.0
DIRECT_BELOW_PEAK = 0.1
"""The direct sound is the largest within 1 ms of the first that reaches this share of the peak."""
DIRECT_WINDOW_S = 0.001
BEFORE_DIRECT_S = 0.001
TAIL_BELOW_PEAK = 1e-4
"""What comes after the last sample of this share of the peak (-80 dB) is not heard."""


class RoomError(SetupError):
    """A room's response cannot be used; the message names the file and what to do."""

    def __init__(self, detail: str) -> None:
        super().__init__("room_unusable", detail)


@dataclass(frozen=True, slots=True)
class Response:
    """A room impulse response, mono at 24 kHz.

    Attributes:
        name: `sha256:<of the file>` or `made:<version>:<number>`.
        samples: `[n]`, peak 1.
        direct: the sample at which the direct sound arrives: convolution takes it as no delay.
    """

    name: str
    samples: Samples = field(repr=False, compare=False)
    direct: int


@dataclass(frozen=True, slots=True)
class Rooms:
    """Rooms by name, each read or made when it is first asked for.

    Two threads that ask at once may both make it; they make the same.
    """

    sources: Mapping[str, Callable[[], Response]]
    _ready: dict[str, Response] = field(default_factory=dict, repr=False, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """All rooms, in the order of their names."""
        return tuple(sorted(self.sources))

    @property
    def sha256(self) -> str:
        """Hash of all names: whoever draws from other rooms has other twins."""
        return digest(*self.names).hex()

    def response(self, name: str) -> Response:
        """A room's response.

        Raises:
            SetupError: the room is not at hand, or its file cannot be read any more.
        """
        if name not in self._ready:
            if name not in self.sources:
                raise SetupError(
                    "room_missing",
                    f"the room {name} is not among the {len(self.sources)} at hand; give the "
                    "folder of responses that the twin was drawn from",
                )
            self._ready[name] = self.sources[name]()
        return self._ready[name]


def rooms_at(folder: Path | None) -> Rooms:
    """The responses of a folder, or made rooms where none is given.

    Raises:
        RoomError: the folder is missing, or one of its files cannot be used.
    """
    return made_rooms() if folder is None else measured_rooms(folder)


def made_rooms(count: int = MADE_ROOMS) -> Rooms:
    """Rooms that do not exist, the same on every machine."""

    def made(number: int) -> Response:
        room = make_room(number)
        return Response(made_room_name(number), room.samples, room.direct)

    return Rooms({made_room_name(number): partial(made, number) for number in range(count)})


def measured_rooms(folder: Path) -> Rooms:
    """Every wav of a folder and its subfolders; files of the same content are one room.

    All are read at once, so that a bad file is found before the night and not in it.

    Raises:
        RoomError: no folder, no wav in it, or one that is not a room's response.
    """
    if not folder.is_dir():
        raise RoomError(f"{folder}: no such folder; it should hold room responses as wav files")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() == ".wav" and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise RoomError(f"{folder}: no wav file in it; leave the folder away to use made rooms")
    read = [read_response(path) for path in files]
    return Rooms({response.name: partial(_itself, response) for response in read})


def _itself(response: Response) -> Response:
    return response


def read_response(path: Path) -> Response:
    """Read a measured response.

    The mean of its channels, resampled by soxr, from 1 ms before its direct sound to where it can
    no longer be heard.

    Raises:
        RoomError: it is not audio, silent, not finite, or too long to be a response.
    """
    import soundfile
    import soxr

    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise RoomError(f"{path}: cannot be read as audio ({error}); remove it") from error
    if not np.isfinite(samples).all():
        raise RoomError(f"{path}: it holds samples that are not finite; remove it")
    if len(samples) > UNLIKELY_S * rate_hz:
        raise RoomError(
            f"{path}: {len(samples) / rate_hz:.0f} s, longer than a room rings; is it a recording?"
        )
    mono = samples.mean(axis=1)
    if not np.any(mono):
        raise RoomError(f"{path}: it is empty, silent, or its channels cancel out; remove it")
    at_rate = mono if rate_hz == SAMPLE_RATE_HZ else soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    trimmed, direct = _trimmed(np.asarray(at_rate, dtype=np.float32))
    return Response(f"sha256:{sha256_of_file(path)}", trimmed, direct)


def _trimmed(samples: Samples) -> tuple[Samples, int]:
    """From just before the direct sound to the end of the tail, peak 1; and where it is."""
    size = np.abs(samples)
    peak = size.max()
    arrives = int(np.argmax(size >= DIRECT_BELOW_PEAK * peak))
    window = round(DIRECT_WINDOW_S * SAMPLE_RATE_HZ)
    direct = arrives + int(np.argmax(size[arrives : arrives + window]))
    start = max(0, direct - round(BEFORE_DIRECT_S * SAMPLE_RATE_HZ))
    heard = int(np.flatnonzero(size >= TAIL_BELOW_PEAK * peak)[-1]) + 1
    end = min(heard, direct + round(LONGEST_S * SAMPLE_RATE_HZ))
    return np.ascontiguousarray(samples[start:end] / (samples[direct] * peak / size[direct])), (
        direct - start
    )
