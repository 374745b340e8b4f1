"""Alignment: the same music is found at the right second, and doubt is said where there is any."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import soundfile
import soxr

from data_collection.maestro import alignment
from data_collection.maestro.alignment import (
    CENTRE_S,
    CHROMA_RATE_HZ,
    TIME_MAP_SCHEMA,
    Chroma,
    TimeMap,
    align,
    either_way,
    read_chroma,
    time_map_table,
    time_maps_of,
)
from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.errors import ItemError, SetupError
from data_collection.sample.media import AUDIO
from data_collection.sample.render.pianists import PIANISTS, Performance, play
from data_collection.sample.render.pieces import PIECES

FloatArray = npt.NDArray[np.float64]
CHORDS = ((48, 64, 67), (45, 60, 64), (53, 65, 69), (43, 59, 62), (52, 55, 59), (50, 65, 69))
LEAD_S = 0.5


def score(seed: int, beats: int) -> list[tuple[int, int]]:
    """A made-up piece: beat and pitch of its notes; a chord every fourth beat, a melody above."""
    rng = np.random.default_rng(seed)
    notes = []
    for bar in range(beats // 4):
        chord = CHORDS[int(rng.integers(len(CHORDS)))]
        shift = 12 * int(rng.integers(2))
        notes += [(4 * bar, pitch) for pitch in chord]
        melody = rng.choice([chord[1], chord[2], chord[1] + 2, chord[0] + 12], size=4)
        notes += [(4 * bar + at, int(pitch) + 12 + shift) for at, pitch in enumerate(melody)]
    return notes


def beat_times_s(seed: int, beats: int, beat_s: float, rubato: float) -> FloatArray:
    """When each beat falls: a tempo that breathes with the phrases and turns within the piece."""
    rng = np.random.default_rng(seed)
    at = np.arange(beats)
    breath = rubato * np.sin(2 * np.pi * (at / 16 + rng.random()))
    turn = 0.8 * rubato * np.cos(2 * np.pi * (at / beats + rng.random()))
    at_s: FloatArray = LEAD_S + beat_s * np.concatenate([[0.0], np.cumsum(1 + breath + turn)])
    return at_s


def sound(notes: Sequence[tuple[int, int]], at_s: FloatArray, seed: int) -> FloatArray:
    """Strings that are struck and die away, each partial by itself, in a hall that hisses."""
    rng = np.random.default_rng(seed)
    samples: FloatArray = rng.normal(0, 3e-4, round((at_s[-1] + 2) * SAMPLE_RATE_HZ))
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for beat, pitch in notes:
        start = round((at_s[beat] + rng.normal(0, 0.01)) * SAMPLE_RATE_HZ)
        loudness = 0.05 * rng.uniform(0.5, 1.5)
        for partial in range(1, 6):
            frequency_hz = 440 * 2 ** ((pitch - 69) / 12) * partial
            decay = np.exp(-time_s * (1.5 + partial)) / partial**1.2
            samples[start : start + time_s.size] += (
                loudness * decay * np.sin(2 * np.pi * frequency_hz * time_s)
            )
    return samples


def stored(samples: FloatArray, path: Path) -> Path:
    """A recording as the collection stores it."""
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_24")
    return path


@pytest.fixture(scope="module")
def two_tempi(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Chroma, FloatArray]]:
    """Two movements at two tempi with different rubato: chroma and true beat times."""
    folder = tmp_path_factory.mktemp("two_tempi")
    made = {}
    for movement, (seed, beats) in {"first": (1, 160), "second": (2, 120)}.items():
        notes = score(seed, beats)
        for tempo, beat_s in {"fast": 0.40, "slow": 0.56}.items():
            at_s = beat_times_s(seed + round(1000 * beat_s), beats, beat_s, 0.15)
            flac = stored(sound(notes, at_s, round(1000 * beat_s)), folder / "one.flac")
            made[f"{movement}_{tempo}"] = (read_chroma(flac), at_s[:-1])
    return made


def errors_s(found: TimeMap, first_s: FloatArray, second_s: FloatArray) -> FloatArray:
    """How far mapped times are from the true ones, in seconds."""
    return np.abs(found.at(first_s)[0] - second_s)


def test_two_tempi_and_rubati_are_aligned_to_a_fraction_of_a_second(
    two_tempi: dict[str, tuple[Chroma, FloatArray]],
) -> None:
    """Relative position alone is off by seconds; a clip's middle must not be."""
    for movement in ("first", "second"):
        (fast, fast_s), (slow, slow_s) = (two_tempi[f"{movement}_{t}"] for t in ("fast", "slow"))
        found = align(fast, slow)
        by_position_s = fast_s * slow.shape[1] / fast.shape[1]
        assert np.abs(by_position_s - slow_s).max() > 2
        assert np.median(errors_s(found, fast_s, slow_s)) < 0.15
        assert errors_s(found, fast_s, slow_s).max() < 1
        assert errors_s(found.inverse(), slow_s, fast_s).max() < 1
        assert (found.at(fast_s)[1] > 0.5).all()


def test_a_movement_is_found_within_the_whole_whichever_is_first(
    two_tempi: dict[str, tuple[Chroma, FloatArray]],
) -> None:
    """A sonata's recording beside one of its second movement; outside of it nothing is sure."""
    first, _ = two_tempi["first_slow"]
    second, slow_s = two_tempi["second_slow"]
    part, fast_s = two_tempi["second_fast"]
    whole = np.concatenate([first, second], axis=1)
    offset_s = first.shape[1] / CHROMA_RATE_HZ
    found = align(part, whole, part=True)
    assert errors_s(found, fast_s, slow_s + offset_s).max() < 1
    turned = align(whole, part, part=True)
    assert errors_s(turned, slow_s + offset_s, fast_s).max() < 1
    assert (turned.at(offset_s * np.array([0.1, 0.5, 0.9]))[1] == 0).all()


def test_a_repeat_that_only_one_plays_is_doubted_and_the_rest_is_right(
    two_tempi: dict[str, tuple[Chroma, FloatArray]],
) -> None:
    """A path must wait somewhere during the repeat; no clip of that may be trusted blindly."""
    (fast_first, fast_s), (fast_second, fast_second_s) = (
        two_tempi[f"{movement}_fast"] for movement in ("first", "second")
    )
    (slow_first, slow_s), (slow_second, slow_second_s) = (
        two_tempi[f"{movement}_slow"] for movement in ("first", "second")
    )
    lap_s, slow_lap_s = (c.shape[1] / CHROMA_RATE_HZ for c in (fast_first, slow_first))
    found = align(
        np.concatenate([fast_first, fast_first, fast_second], axis=1),
        np.concatenate([slow_first, slow_second], axis=1),
    )
    after = errors_s(found, fast_second_s + 2 * lap_s, slow_second_s + slow_lap_s)
    assert np.median(after) < 0.1
    assert after[fast_second_s > 10].max() < 1
    played_s = np.concatenate([fast_s, fast_s + lap_s, fast_second_s + 2 * lap_s])
    mapped_s, confidence = found.at(played_s)
    wrong = np.abs(mapped_s - np.concatenate([slow_s, slow_s, slow_second_s + slow_lap_s])) > 5
    assert wrong.mean() > 0.2
    assert (confidence[wrong] > 0.5).mean() < 0.2


def test_other_music_is_not_believed(two_tempi: dict[str, tuple[Chroma, FloatArray]]) -> None:
    """A path is always found; only its confidence says that it means nothing."""
    first, other = two_tempi["first_fast"][0], two_tempi["second_slow"][0]
    same = align(first, two_tempi["first_slow"][0]).confidence
    # Six chords in one key, in another order: the hardest case, told from the same piece only.
    assert align(first, other).confidence.max() < np.percentile(same, 5)
    in_another_key = np.roll(other, 6, axis=0)
    assert (align(first, in_another_key).confidence < 0.5).all()


def test_real_pianists_on_a_sampled_piano_are_aligned_note_by_note(tmp_path: Path) -> None:
    """The sample's recordings, whose notes are known: from steady to stumbling."""
    recordings = {
        pianist.slug: (_sampled(pianist.slug, tmp_path), play(PIECES[PIECE], pianist))
        for pianist in PIANISTS
        if pianist.slug in ("lindqvist", "sol", "brandt", "marlowe")
    }
    for one, other in combinations(recordings, 2):
        (first, first_played), (second, second_played) = recordings[one], recordings[other]
        true_s = _same_notes(first_played, second_played)
        found = align(first, second)
        errors = errors_s(found, *true_s.T)
        assert np.median(errors) < 0.15, (one, other)
        assert np.percentile(errors, 95) < 1, (one, other)
        assert np.median(found.confidence) > 0.7


PIECE = "bach_bwv846_prelude"


def _sampled(slug: str, folder: Path) -> Chroma:
    samples, rate_hz = soundfile.read(AUDIO / f"stage1_{slug}.opus")
    mono = soxr.resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ)
    return read_chroma(stored(mono, folder / f"{slug}.flac"))


def _same_notes(first: Performance, second: Performance) -> FloatArray:
    """Onsets of the notes that both struck equally often, `[n, 2]`, in seconds."""
    onsets: list[dict[int, list[float]]] = [{}, {}]
    for performance, by_pitch in zip((first, second), onsets, strict=True):
        for note in performance.notes:
            by_pitch.setdefault(note.pitch, []).append(note.onset_s)
    common = [p for p in onsets[0] if len(onsets[0][p]) == len(onsets[1].get(p, []))]
    return np.array([both for p in common for both in zip(*(o[p] for o in onsets), strict=True)])


def test_chroma_by_blocks_equals_chroma_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seam between blocks would be a click that no music has."""
    samples = np.random.default_rng(0).normal(0, 0.1, 7 * SAMPLE_RATE_HZ + 1234)
    flac = stored(samples, tmp_path / "noise.flac")
    whole = read_chroma(flac)
    assert whole.shape == (12, 68)
    monkeypatch.setattr(alignment, "BLOCK_S", 1)
    np.testing.assert_allclose(read_chroma(flac), whole, rtol=1e-4)


def test_a_frame_lies_where_its_sound_is(tmp_path: Path) -> None:
    """An onset that is off by half a window moves every map."""
    samples = np.zeros(10 * SAMPLE_RATE_HZ)
    at = np.arange(SAMPLE_RATE_HZ // 20) / SAMPLE_RATE_HZ
    samples[5 * SAMPLE_RATE_HZ :][: at.size] = np.sin(2 * np.pi * 440 * at)
    loudest = read_chroma(stored(samples, tmp_path / "click.flac"))[9].argmax()
    assert loudest / CHROMA_RATE_HZ + CENTRE_S == pytest.approx(5.025, abs=0.1)


def test_memory_is_bounded_for_hours() -> None:
    """Two hours at full rate would ask for 26 GB."""
    for frames in ((3000, 3000), (36_000, 36_000), (72_000, 36_000), (144_000, 600)):
        pool = alignment._pool(*frames)
        cells = np.prod([np.ceil(n / pool) for n in frames])
        assert cells <= alignment.MAX_CELLS * 1.01


def test_silence_is_aligned_without_confidence() -> None:
    """A recording whose music was lost has no moment that is like another."""
    silent = np.zeros((12, 300), dtype=np.float32)
    assert (align(silent, silent).confidence == 0).all()


def test_what_is_too_short_is_named() -> None:
    """A second of chroma is no piece."""
    with pytest.raises(ItemError, match="too_short_to_align"):
        align(np.ones((12, 9), dtype=np.float32), np.ones((12, 300), dtype=np.float32))


@pytest.mark.parametrize("what", ["missing", "text", "stereo", "other rate"])
def test_audio_that_is_not_as_stored_is_named(what: str, tmp_path: Path) -> None:
    """A chroma at another rate would look right and map everything wrongly."""
    flac = tmp_path / "one.flac"
    if what == "text":
        flac.write_text("no audio")
    elif what == "stereo":
        soundfile.write(flac, np.zeros((SAMPLE_RATE_HZ, 2)), SAMPLE_RATE_HZ)
    elif what == "other rate":
        soundfile.write(flac, np.zeros(44_100), 44_100)
    with pytest.raises(SetupError, match=r"audio_unreadable.*one\.flac.*materialize"):
        read_chroma(flac)


def test_time_maps_are_read_back_from_their_table_in_any_order() -> None:
    """Alignment costs a second a pair: it is made once and kept."""
    maps = {
        ("b", "c"): TimeMap(np.arange(3.0), np.array([0.0, 0.5, 0.5]), np.array([0.5, 1, 0])),
        ("a", "b"): TimeMap(np.array([7.0]), np.array([9.0]), np.array([0.25])),
    }
    table = time_map_table(maps)
    assert dict(table.schema) == TIME_MAP_SCHEMA
    back = time_maps_of(table.sample(fraction=1, shuffle=True, seed=3))
    assert back.keys() == maps.keys()
    for key, found in back.items():
        for name in ("first_s", "second_s", "confidence"):
            np.testing.assert_array_equal(getattr(found, name), getattr(maps[key], name))
    turned = either_way(back, "c", "b")
    assert turned is not None
    assert turned.at([0.25])[0].tolist() == [0.5]
    assert either_way(back, "a", "c") is None
    assert time_map_table({}).is_empty()
    assert time_maps_of(time_map_table({})) == {}


def test_a_map_that_goes_back_in_time_is_refused() -> None:
    """A torn table would else give a map that means nothing."""
    backwards = pl.DataFrame(
        {
            "first": ["a"] * 2,
            "second": ["b"] * 2,
            "first_s": [0.0, 1.0],
            "second_s": [5.0, 4.0],
            "confidence": [1.0, 1.0],
        }
    )
    for table in (backwards, backwards.drop("confidence")):
        with pytest.raises(SetupError, match=r"time_maps_unreadable.*materialize"):
            time_maps_of(table)
