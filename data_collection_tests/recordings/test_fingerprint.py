"""Fingerprints: a copy is found whatever was done to it, and another performance never is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.recordings.decode import SAMPLE_RATE_HZ, decode_to_flac
from data_collection.recordings.errors import SetupError
from data_collection.recordings.fingerprints.index import FingerprintIndex
from data_collection.recordings.fingerprints.landmarks import (
    BANDS,
    TICKS_PER_S,
    Landmarks,
    hear,
    landmarks_of,
)
from data_collection.recordings.fingerprints.matches import Known, Match, find_duplicates, index_of
from data_collection.recordings.fingerprints.stored import (
    Fingerprint,
    from_bytes,
    read_fingerprint,
    settle_fingerprint,
    to_bytes,
)
from data_collection.recordings.receipts import Receipt, StageResult, settle
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.sample.media import AUDIO, Container, encode

Samples = npt.NDArray[np.float32]

PIANISTS = ("lindqvist", "sol", "okafor", "brandt", "ruzicka", "marlowe")
TAKES = (*(f"stage1_{name}" for name in PIANISTS), "final_sol", "final_okafor", "encore_sol")


@pytest.fixture(scope="module")
def flacs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Six made-up pianists in one piece and two in another, as the collection stores audio."""
    folder = tmp_path_factory.mktemp("takes")
    for name in TAKES:
        decode_to_flac(AUDIO / f"{name}.opus", folder / f"{name}.flac")
    return {name: folder / f"{name}.flac" for name in TAKES}


@pytest.fixture(scope="module")
def samples(flacs: Mapping[str, Path]) -> Mapping[str, Samples]:
    return {name: soundfile.read(flac, dtype="float32")[0] for name, flac in flacs.items()}


@pytest.fixture(scope="module")
def index(samples: Mapping[str, Samples]) -> FingerprintIndex:
    return FingerprintIndex((name, landmarks_of(one)) for name, one in samples.items())


def ids(index: FingerprintIndex, sound: Samples) -> list[str]:
    return [found.recording_id for found in index.search(landmarks_of(sound))]


@pytest.mark.parametrize("container", ["m4a", "webm", "mp3"])
def test_a_copy_in_another_codec_is_found_where_it_lies(
    container: Container, index: FingerprintIndex, tmp_path: Path
) -> None:
    """Uploads are encoded anew: a hash of the file or of its samples sees two recordings."""
    copy = encode(AUDIO / "stage1_sol.opus", tmp_path / f"copy.{container}", container)
    decode_to_flac(copy, tmp_path / "copy.flac")
    (found,) = index.search(hear(tmp_path / "copy.flac").landmarks)
    (overlap,) = found.overlaps
    assert found.recording_id == "stage1_sol"
    assert abs(overlap.offset_s) < 0.1
    assert overlap.length_s > 40
    assert overlap.score > 0.85


@pytest.mark.parametrize(
    "what", ["quieter", "louder", "noise", "duller", "thinner", "another_rate", "clipped"]
)
def test_a_copy_is_found_whatever_was_done_to_its_sound(
    what: str, samples: Mapping[str, Samples], index: FingerprintIndex
) -> None:
    """A gain, a hiss, a filter, a converter or a hot transfer makes no other performance of it."""
    sound = samples["stage1_okafor"]
    rng = np.random.default_rng(0)
    hiss = rng.standard_normal(sound.size).astype(np.float32) * np.sqrt(np.mean(sound**2)) / 10
    copies = {
        "quieter": sound / 10,
        "louder": np.clip(sound * 1.5, -1, 1),
        "noise": sound + hiss,
        "duller": np.convolve(sound, np.ones(5, np.float32) / 5, "same"),
        "thinner": np.diff(sound, prepend=np.float32(0)),
        "another_rate": soxr.resample(soxr.resample(sound, 24_000, 16_000), 16_000, 24_000),
        "clipped": np.clip(sound, -0.2 * np.abs(sound).max(), 0.2 * np.abs(sound).max()),
    }
    assert ids(index, copies[what].astype(np.float32)) == ["stage1_okafor"]


@settings(max_examples=12)
@given(start=st.integers(0, 18 * SAMPLE_RATE_HZ), before=st.integers(0, 3 * SAMPLE_RATE_HZ))
def test_an_excerpt_of_30_s_is_found_to_the_twentieth_of_a_second(
    start: int, before: int, samples: Mapping[str, Samples], index: FingerprintIndex
) -> None:
    """An encore cut out of a recital starts anywhere, between two windows of the analysis too."""
    cut = samples["stage1_sol"][start : start + 30 * SAMPLE_RATE_HZ]
    (found,) = index.search(landmarks_of(np.concatenate([np.zeros(before, np.float32), cut])))
    assert found.recording_id == "stage1_sol"
    assert abs(found.overlaps[0].offset_s - (start - before) / SAMPLE_RATE_HZ) < 0.05


def test_other_pianists_in_the_same_piece_are_not_duplicates(
    samples: Mapping[str, Samples], index: FingerprintIndex
) -> None:
    """The piece is the same, note for note: only when they sound tells."""
    for name, sound in samples.items():
        assert ids(index, sound) == [name]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(TAKES))
def test_the_same_pianist_playing_it_again_is_not_a_duplicate(
    seed: int, name: str, samples: Mapping[str, Samples]
) -> None:
    """A second take is as like as two performances get: its tempo wanders by two percent."""
    take = landmarks_of(samples[name])
    rng = np.random.default_rng(seed)
    seconds = take.ticks / TICKS_PER_S
    tempo = 1 + np.interp(seconds, np.arange(80), rng.normal(0, 0.02, 80))
    again = np.cumsum(np.diff(seconds, prepend=0) * tempo) + rng.normal(0, 0.01, take.count)
    ticks = np.rint(np.maximum(again, 0) * TICKS_PER_S).astype(np.uint32)
    order = np.argsort(ticks, kind="stable")
    second = Landmarks(ticks[order], take.bands[order], take.ranks[order])
    assert FingerprintIndex([("take", take)]).search(second) == []


def long_recital(samples: Mapping[str, Samples], pause_s: float = 4.0) -> Samples:
    pause = np.zeros(round(pause_s * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([part for one in samples.values() for part in (pause, one)])


def test_each_piece_of_a_long_recital_is_found_at_its_place(
    samples: Mapping[str, Samples], index: FingerprintIndex
) -> None:
    """A compilation of known recordings must name them all, also those that come minutes late."""
    found = {
        one.recording_id: one.overlaps for one in index.search(landmarks_of(long_recital(samples)))
    }
    assert sorted(found) == sorted(samples)
    begins_s = 0.0
    for name, sound in samples.items():
        begins_s += 4.0
        assert abs(found[name][0].offset_s + begins_s) < 0.05
        assert abs(found[name][0].length_s - sound.size / SAMPLE_RATE_HZ) < 10
        begins_s += sound.size / SAMPLE_RATE_HZ


def test_a_recording_is_found_beside_itself(samples: Mapping[str, Samples]) -> None:
    """It is most like itself: its own repeats must not use up the places that are looked at."""
    recital = landmarks_of(long_recital(samples))
    parts = {name: landmarks_of(sound) for name, sound in samples.items()}
    index = FingerprintIndex({"recital": recital, **parts}.items())
    found = index.search(recital, apart_from="recital")
    assert sorted(one.recording_id for one in found) == sorted(parts)
    assert index.search(parts["stage1_sol"], apart_from="stage1_sol")[0].recording_id == "recital"


@pytest.mark.parametrize("speed", [0.995, 1.005])
def test_a_transfer_at_a_slightly_wrong_speed_is_found(
    speed: float, samples: Mapping[str, Samples]
) -> None:
    """A tape that ran half a percent off moves every onset and the pitch by a twelfth of a tone."""
    sound = np.concatenate([samples["stage1_sol"], samples["encore_sol"]])
    index = FingerprintIndex([("tape", landmarks_of(sound))])
    copy = soxr.resample(sound, 24_000, 24_000 * speed).astype(np.float32)
    (found,) = index.search(landmarks_of(copy))
    assert abs(found.overlaps[0].speed - 1 / speed) < 0.0005
    assert found.overlaps[0].length_s > 80


def test_a_copy_that_lost_a_moment_is_still_found(samples: Mapping[str, Samples]) -> None:
    """A stream drops 50 ms: the two halves lie at two offsets, and no one line goes through."""
    sound = np.concatenate([samples[name] for name in ("stage1_sol", "encore_sol", "final_sol")])
    index = FingerprintIndex([("whole", landmarks_of(sound))])
    half = sound.size // 2
    copy = np.concatenate([sound[:half], sound[half + SAMPLE_RATE_HZ // 20 :]])
    (found,) = index.search(landmarks_of(copy))
    first, second = sorted(found.overlaps, key=lambda one: one.start_s)
    assert abs(first.offset_s) < 0.03
    assert abs(second.offset_s - 0.05) < 0.03
    assert first.length_s + second.length_s > 130


def test_landmarks_do_not_depend_on_how_the_file_is_read(
    flacs: Mapping[str, Path], samples: Mapping[str, Samples], tmp_path: Path
) -> None:
    """A recording is read a minute at a time: a border in it must leave no trace."""
    whole = long_recital(samples)
    soundfile.write(tmp_path / "long.flac", whole, SAMPLE_RATE_HZ, subtype="PCM_24")
    by_blocks = hear(tmp_path / "long.flac").landmarks
    stored = soundfile.read(tmp_path / "long.flac", dtype="float32")[0]
    at_once = landmarks_of(stored)
    for name in ("ticks", "bands", "ranks"):
        assert np.array_equal(getattr(by_blocks, name), getattr(at_once, name))
    assert whole.size > 60 * SAMPLE_RATE_HZ


@pytest.mark.parametrize("length", [0, 1, 479, 480, 5000])
def test_very_short_or_silent_sound_has_no_landmarks_and_matches_nothing(
    length: int, index: FingerprintIndex
) -> None:
    """An empty upload must neither crash the night nor be a duplicate of everything."""
    landmarks = landmarks_of(np.zeros(length, np.float32))
    assert landmarks.count == 0
    assert index.search(landmarks) == []
    assert FingerprintIndex([("empty", landmarks)]).search(landmarks) == []
    assert FingerprintIndex([]).search(landmarks) == []


def test_noise_matches_nothing(index: FingerprintIndex) -> None:
    """Applause is noise: minutes of it in two recitals are no shared performance."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 60 * SAMPLE_RATE_HZ)).astype(np.float32) / 10
    assert ids(index, noise[0]) == []
    assert (
        FingerprintIndex([("noise", landmarks_of(noise[0]))]).search(landmarks_of(noise[1])) == []
    )


landmark_lists = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, BANDS - 1), st.integers(0, 255)),
    max_size=50,
).map(sorted)


@given(rows=landmark_lists, duration_s=st.floats(0, 1e6))
def test_a_fingerprint_comes_back_from_its_file(
    rows: list[tuple[int, int, int]], duration_s: float
) -> None:
    """The same fingerprint gives the same bytes, and these give it back, on every machine."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    landmarks = Landmarks(
        np.array(columns[0], np.uint32),
        np.array(columns[1], np.uint8),
        np.array(columns[2], np.uint8),
    )
    made = Fingerprint("ab" * 32, "0f" * 32, duration_s, landmarks)
    read = from_bytes(to_bytes(made))
    assert (read.audio_sha256, read.pcm_sha256, read.duration_s) == (
        "ab" * 32,
        "0f" * 32,
        duration_s,
    )
    assert np.array_equal(read.landmarks.ticks, landmarks.ticks)
    assert to_bytes(read) == to_bytes(made)


@given(cut=st.integers(0, 10_000), flip=st.integers(0, 10_000))
def test_a_damaged_file_is_no_fingerprint(cut: int, flip: int) -> None:
    """A torn file is told, never half a fingerprint that finds half of the duplicates."""
    landmarks = Landmarks(
        np.arange(40, dtype=np.uint32), np.zeros(40, np.uint8), np.zeros(40, np.uint8)
    )
    content = to_bytes(Fingerprint("ab" * 32, "0f" * 32, 1.0, landmarks))
    with pytest.raises(ValueError, match="not a fingerprint"):
        from_bytes(content[: cut % len(content)])
    head = bytearray(content)
    head[flip % 8] ^= 0xFF
    with pytest.raises(ValueError, match="not a fingerprint"):
        from_bytes(bytes(head))


def audio_of(store: Store, tier: Tier, recording_id: str, flac: Path) -> Receipt:
    return settle(
        store,
        tier.folder("audio"),
        recording_id,
        inputs=lambda: {"source_id": recording_id, "content": flac.name},
        parameters=dict,
        work=lambda: StageResult(
            outputs=(
                store.write_bytes(f"{tier.folder('audio')}/{recording_id}.flac", flac.read_bytes()),
            )
        ),
    ).receipt


def test_a_fingerprint_is_made_once_and_again_for_other_audio(
    store: Store, tier: Tier, flacs: Mapping[str, Path]
) -> None:
    """What is done is skipped; a recording fetched anew must not keep the old one's fingerprint."""
    waiting = settle_fingerprint(store, tier, "one").receipt
    assert (waiting.state, waiting.reason, waiting.attempts) == ("blocked", "upstream_not_done", 0)
    audio = audio_of(store, tier, "one", flacs["stage1_sol"])
    first = settle_fingerprint(store, tier, "one")
    assert first.receipt.state == "done"
    assert settle_fingerprint(store, tier, "one").skipped
    read = read_fingerprint(store, tier, "one")
    assert read.audio_sha256 == audio.outputs[0].sha256
    assert first.receipt.outputs[0].size_bytes < 50_000 / 600 * read.duration_s + 1000
    other = audio_of(store, tier, "one", flacs["stage1_okafor"])
    assert not settle_fingerprint(store, tier, "one").skipped
    assert read_fingerprint(store, tier, "one").audio_sha256 == other.outputs[0].sha256


def test_audio_that_is_no_stored_recording_blocks_and_says_so(store: Store, tier: Tier) -> None:
    """Half a FLAC is our fault, not the item's: no attempt is lost, and the file is named."""
    broken = Path(str(store.path("broken.flac")))
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"fLaC" + bytes(100))
    audio_of(store, tier, "one", broken)
    receipt = settle_fingerprint(store, tier, "one").receipt
    assert (receipt.state, receipt.reason, receipt.attempts) == ("blocked", "audio_unreadable", 0)
    with pytest.raises(SetupError, match="fingerprint_missing"):
        read_fingerprint(store, tier, "one")
    store.write_bytes(f"{tier.folder('fingerprints')}/one.safetensors", b"no such thing")
    with pytest.raises(SetupError, match="fingerprint_unreadable"):
        read_fingerprint(store, tier, "one")


def known(folder: str, recording_id: str, sound: Samples | None, **more: object) -> Known:
    row = Recording.model_validate(
        {"recording_id": recording_id, "source_id": "x", "source_url": "x", "title": "x", **more}
    )
    if sound is None:
        return Known(folder, row)
    pcm = hashlib.sha256(sound.tobytes()).hexdigest()
    made = Fingerprint("00" * 32, pcm, sound.size / SAMPLE_RATE_HZ, landmarks_of(sound))
    return Known(folder, row, made)


def test_the_source_tells_before_the_samples_and_those_before_the_sound(
    samples: Mapping[str, Samples],
) -> None:
    """One pair is told once, by the surest sign, whichever order the tiers are read in."""
    sol, okafor, brandt = (samples[f"stage1_{name}"] for name in ("sol", "okafor", "brandt"))
    recordings = [
        known("t2", "yt_a", sol),
        known("t4", "yt_a", sol * np.float32(0.5)),
        known("t3", "m1", okafor),
        known("t4", "yt_b", okafor),
        known("t4", "yt_c", brandt),
        known("t4", "yt_d", brandt[:-SAMPLE_RATE_HZ] * np.float32(0.5)),
        known("t4", "yt_e", None),
    ]
    found = find_duplicates(recordings)
    assert [(m.recording, m.other, m.by) for m in found] == [
        ("t2/yt_a", "t4/yt_a", "ids"),
        ("t3/m1", "t4/yt_b", "pcm_sha256"),
        ("t4/yt_c", "t4/yt_d", "fingerprint"),
    ]
    assert find_duplicates(recordings[::-1]) == found
    only = find_duplicates(recordings, ["t4/yt_d"], index=index_of(recordings))
    assert [(m.recording, m.other) for m in only] == [("t4/yt_c", "t4/yt_d")]


def test_parts_of_one_session_are_not_each_other_but_are_in_the_whole() -> None:
    """Two pianists are cut from one video: only the video is like both."""
    first = known("t2", "p1", None, cut_from="yt_s", source_start_s=10.0, source_end_s=300.0)
    second = known("t2", "p2", None, cut_from="yt_s", source_start_s=299.0, source_end_s=700.0)
    whole = known("t4", "yt_s", None, duration_s=3600.0)
    of_unknown_length = known("t5", "yt_s", None)
    found = find_duplicates([first, second, whole])
    assert [(m.recording, m.other, m.start_s, m.offset_s, m.overlap_s) for m in found] == [
        ("t2/p1", "t4/yt_s", 0.0, 10.0, 290.0),
        ("t2/p2", "t4/yt_s", 0.0, 299.0, 401.0),
    ]
    (match,) = find_duplicates([known("t4", "yt_s", None), of_unknown_length])
    assert match.overlap_s is None


def test_every_pair_of_copies_is_told_once(samples: Mapping[str, Samples]) -> None:
    """Each pair is asked for both ways; a row for each way would count every duplicate twice."""
    recordings = [
        known("t4", f"yt_{at}", samples["stage1_sol"][at * 7000 :] * np.float32(0.9))
        for at in range(4)
    ]
    found = find_duplicates(recordings)
    keys = [one.key for one in recordings]
    assert [(m.recording, m.other) for m in found] == sorted(combinations(keys, 2))
    assert all(isinstance(m, Match) and m.seen_from(m.other).other == m.recording for m in found)


def test_a_recording_given_twice_or_not_at_all_is_refused() -> None:
    """A key that means two recordings would exclude one for being like itself."""
    one = known("t4", "yt_a", None)
    with pytest.raises(ValueError, match="once"):
        find_duplicates([one, one])
    with pytest.raises(ValueError, match="none of the recordings"):
        find_duplicates([one], ["t4/yt_b"])
    with pytest.raises(ValueError, match="indexed once"):
        FingerprintIndex([("a", landmarks_of(np.zeros(0, np.float32)))] * 2)
