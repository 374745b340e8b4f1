"""Rooms: a folder of measured responses, and rooms that are made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_collection.augmentation.chain import apply_effect
from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples
from data_collection.augmentation.made_rooms import MADE_ROOMS, make_room
from data_collection.augmentation.parameters import Room
from data_collection.augmentation.rooms import RoomError, made_rooms, measured_rooms, rooms_at
from data_collection.recordings.errors import SetupError
from data_collection_tests.augmentation.signals import arrival_samples, response_between

SHARED_RESPONSES = Path(__file__).parents[3] / "shared" / "data" / "room_responses"


def response_at(rate_hz: int, arrives_s: float, channels: int = 2) -> Samples:
    """Silence, a direct sound, and an echo of it that is stronger, as behind a pillar."""
    made = np.zeros((rate_hz, channels), dtype=np.float32)
    direct = round(arrives_s * rate_hz)
    made[direct] = 0.4
    made[direct + round(0.02 * rate_hz)] = 0.5
    noise = np.random.default_rng(1).normal(0, 0.02, (rate_hz // 2, channels))
    made[direct + 50 : direct + 50 + rate_hz // 2] += noise[: rate_hz - direct - 50]
    return made


def write(path: Path, samples: Samples, rate_hz: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    return path


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("arrives_s", [0.0, 0.0105, 0.2])
def test_the_clip_stays_where_it_is_however_late_the_response_is(
    rate_hz: int, arrives_s: float, tmp_path: Path, piano: Samples
) -> None:
    """A response measured from afar begins with silence: it must not delay the twin.

    Neither may a reflection that is louder than the direct sound be taken for it.
    """
    write(tmp_path / "late.wav", response_at(rate_hz, arrives_s), rate_hz)
    rooms = measured_rooms(tmp_path)
    clip = piano[: 4 * SAMPLE_RATE_HZ].copy()
    clip[2 * SAMPLE_RATE_HZ :] = 0
    (name,) = rooms.names
    twin = apply_effect(clip, Room(response=name, tail_gain_db=-40), rooms)
    assert abs(arrival_samples(twin, clip)) < 0.6  # a source's sample is up to 0.5 from ours


@pytest.mark.skipif(
    not SHARED_RESPONSES.is_dir(), reason="measured room responses of shared/data are not here"
)
def test_measured_responses_leave_the_clip_where_it_is(piano: Samples) -> None:
    """Real responses, in which reflections are louder than the direct sound.

    Nothing is heard more than a millisecond before the clip, and at its own time something is.
    """
    rooms = measured_rooms(SHARED_RESPONSES)
    clip = piano[: 8 * SAMPLE_RATE_HZ].copy()
    clip[4 * SAMPLE_RATE_HZ :] = 0
    assert len(rooms.names) == 5
    for name in rooms.names:
        twin = apply_effect(clip, Room(response=name, tail_gain_db=0), rooms)
        heard = np.abs(response_between(clip, twin))
        before, here = heard[-24_000:-30], np.concatenate((heard[-2:], heard[:3]))
        assert before.max() < 0.2 * heard.max(), name
        assert here.max() > 1.5 * before.max(), name


def test_a_response_is_named_by_its_bytes(tmp_path: Path) -> None:
    """Parameters that name a path mean another room on the next machine; a copy is no new room."""
    first = write(tmp_path / "hall.wav", response_at(24_000, 0.0), 24_000)
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "again.WAV").write_bytes(first.read_bytes())
    (tmp_path / "._hall.wav").write_bytes(b"a file manager's")
    (tmp_path / "notes.txt").write_text("no room")
    name = f"sha256:{hashlib.sha256(first.read_bytes()).hexdigest()}"
    assert measured_rooms(tmp_path).names == (name,)


def test_channels_are_averaged_and_trimmed(tmp_path: Path) -> None:
    """The mean, as everywhere; half a second of silence behind a tail costs time in every twin."""
    left, right = np.zeros((2, 24_000), dtype=np.float32)
    left[1_000], right[1_000], left[1_500], right[1_600] = 0.8, 0.8, 0.2, 0.4
    write(tmp_path / "pair.wav", np.column_stack([left, right]), 24_000)
    rooms = measured_rooms(tmp_path)
    response = rooms.response(rooms.names[0])
    assert response.direct == 24
    assert response.samples[[24, 524, 624]] == pytest.approx([1, 0.125, 0.25])
    assert response.samples.size == 625


def bad_file(folder: Path, kind: str) -> None:
    samples = np.zeros((4_800, 2), dtype=np.float32)
    if kind == "cancels":
        samples[100] = (0.5, -0.5)
    elif kind == "nan":
        samples[100] = np.nan
    elif kind == "recording":
        samples = np.ones((61 * 8_000, 1), dtype=np.float32) * 0.1
        write(folder / "bad.wav", samples, 8_000)
        return
    elif kind == "empty":
        samples = samples[:0]
    write(folder / "bad.wav", samples, 24_000)
    if kind == "text":
        (folder / "bad.wav").write_text("<html>404</html>")


@pytest.mark.parametrize("kind", ["silent", "empty", "cancels", "nan", "recording", "text"])
def test_a_file_that_is_no_response_is_named_at_once(kind: str, tmp_path: Path) -> None:
    """Found on the first night's thousandth clip, it would have stopped the night."""
    write(tmp_path / "good.wav", response_at(24_000, 0.0), 24_000)
    bad_file(tmp_path, kind)
    with pytest.raises(RoomError, match=r"bad\.wav"):
        measured_rooms(tmp_path)


def test_a_folder_without_rooms_says_so(tmp_path: Path) -> None:
    """A wrong folder must not quietly become another set of rooms."""
    with pytest.raises(RoomError, match="no such folder"):
        rooms_at(tmp_path / "typo")
    with pytest.raises(RoomError, match="no wav file"):
        rooms_at(tmp_path)


def test_a_room_that_is_not_at_hand_is_our_fault() -> None:
    """A twin in another room than its parameters say would never be noticed."""
    with pytest.raises(SetupError, match="sha256:gone"):
        made_rooms().response("sha256:gone")


def reverberation_s(samples: Samples) -> float:
    """Time to fall by 60 dB, from the 20 dB below the first 5 (ISO 3382)."""
    energy = np.cumsum(np.square(samples.astype(np.float64))[::-1])[::-1]
    level_db = 10 * np.log10(energy / energy[0])
    begin, end = (int(np.argmax(level_db < below)) for below in (-5, -25))
    return 3 * (end - begin) / SAMPLE_RATE_HZ


@pytest.mark.parametrize("number", range(MADE_ROOMS))
def test_a_made_room_rings_as_long_as_its_walls_say(number: int) -> None:
    """Parametric rooms are worth their name only if their parameters hold."""
    room = make_room(number)
    low, middle, high = room.shoebox.reverberation_s
    assert 0.75 * min(high, middle) < reverberation_s(room.samples) < 1.25 * max(low, middle)
    assert room.direct == 0
    assert room.samples[0] == 1
    assert np.abs(room.samples[1:]).max() <= 0.9
    assert np.isfinite(room.samples).all()
    for place, size in zip(room.shoebox.microphone_m, room.shoebox.size_m, strict=True):
        assert 0 < place < size


def test_made_rooms_differ() -> None:
    """From a practice cell to a hall, or it is one room by many names."""
    volumes = [make_room(number).shoebox.volume_m3 for number in range(MADE_ROOMS)]
    times = [make_room(number).shoebox.reverberation_s[1] for number in range(MADE_ROOMS)]
    assert min(volumes) < 60
    assert max(volumes) > 5_000
    assert min(times) < 0.5
    assert max(times) > 1.5
