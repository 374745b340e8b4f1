"""The sound scores: what they say of a clip, that they say the same of it everywhere, and the rule.

How often they are wrong is measured by benchmarks/sounds.py on recordings that are not shipped;
here are clips whose answer nobody disputes. The `sounds_*` samples come from a sound bank and a
speech synthesiser.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
import soundfile
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.recordings import sounds, sounds_yamnet
from data_collection.recordings.errors import SetupError
from data_collection.recordings.sounds import (
    SOUNDS,
    SoundScorer,
    SoundScores,
    SoundThresholds,
    filter_reason,
)
from data_collection.sample.media import AUDIO

Mono = npt.NDArray[np.float32]

RATE_HZ = 24_000
CLIP_S = 12
PIANO_SAMPLES = ("stage1_sol", "stage1_lindqvist", "final_sol")
PIANO_ONLY = SoundThresholds(min_solo_piano=0.15)
"""As for a channel of which nobody knows what it carries."""


def sample(name: str) -> Mono:
    """A shipped recording, mono at 24 kHz, 12 s of it or all."""
    samples, rate_hz = soundfile.read(AUDIO / f"{name}.opus", dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ)[: CLIP_S * RATE_HZ])


def repeated(samples: Mono, seconds: float = CLIP_S) -> Mono:
    return np.resize(samples, round(seconds * RATE_HZ))


def applause(seconds: float = CLIP_S) -> Mono:
    return repeated(sample("sounds_applause"), seconds)


def hall_noise(seconds: float = CLIP_S, seed: int = 1) -> Mono:
    """An empty hall: noise that falls by 6 dB an octave, 55 dB below full scale."""
    white = np.random.default_rng(seed).normal(size=round(seconds * RATE_HZ))
    brown = scipy.signal.lfilter([1], [1, -0.98], white)
    return np.asarray(10 ** (-55 / 20) * brown / brown.std(), dtype=np.float32)


@pytest.fixture(scope="module")
def scorer() -> SoundScorer:
    return SoundScorer()


def of_shares(**shares: float) -> SoundScores:
    """Scores of a clip whose sounds do not overlap: as many tenths of it as each share says."""
    per_second = np.zeros((10, len(SOUNDS)), dtype=np.float32)
    first = 0
    for sound in sounds.NOT_MUSIC:
        last = first + round(10 * shares.get(sound, 0.0))
        per_second[first:last, SOUNDS.index(sound)] = 1
        first = last
    for sound in ("orchestra", "solo_piano"):
        per_second[:, SOUNDS.index(sound)] = shares.get(sound, 0.0)
    means = {sound: float(per_second[:, i].mean()) for i, sound in enumerate(SOUNDS)}
    return SoundScores(**means, per_second=per_second)


@pytest.mark.parametrize("name", PIANO_SAMPLES)
def test_solo_piano_is_kept_and_scores_near_nothing(scorer: SoundScorer, name: str) -> None:
    """Guards against losing music, which is the dearer error."""
    scores = scorer.score_clip(sample(name), RATE_HZ)
    assert filter_reason(scores, SoundThresholds()) is None
    assert max(scores.applause, scores.speech) < 0.1
    assert scores.orchestra < 0.2
    assert scores.silence < 0.3


@pytest.mark.parametrize("music_db", [None, -20.0])
def test_applause_is_found(scorer: SoundScorer, music_db: float | None) -> None:
    """Guards against clips of applause among the examples, also over music that still rings."""
    clip = applause()
    if music_db is not None:
        music = sample("final_sol")
        ratio = np.sqrt(np.mean(clip**2) / np.mean(music**2)) * 10 ** (music_db / 20)
        clip = clip + music * np.float32(ratio)
    scores = scorer.score_clip(clip, RATE_HZ)
    assert scores.applause > 0.8
    assert filter_reason(scores, SoundThresholds()) == "applause"


def test_speech_is_found(scorer: SoundScorer) -> None:
    """Guards against announcements among the examples; the voice is a synthesiser's."""
    scores = scorer.score_clip(repeated(sample("sounds_speech")), RATE_HZ)
    assert scores.speech > 0.8
    assert filter_reason(scores, SoundThresholds()) == "speech"


def test_an_orchestra_is_marked_and_kept(scorer: SoundScorer) -> None:
    """A concerto's tutti is marked; whether it is filtered is a choice, by default it is not."""
    scores = scorer.score_clip(sample("sounds_orchestra"), RATE_HZ)
    assert scores.orchestra > 0.7
    assert filter_reason(scores, SoundThresholds()) is None
    assert filter_reason(scores, SoundThresholds(orchestra=0.5)) == "orchestra"


@pytest.mark.parametrize("name", PIANO_SAMPLES)
@pytest.mark.parametrize("telephone", [False, True])
def test_a_piano_alone_is_kept(scorer: SoundScorer, name: str, telephone: bool) -> None:
    """Guards against a channel that loses its recordings, also those by a bad microphone."""
    clip = sample(name)
    if telephone:
        band = scipy.signal.butter(4, (300, 3400), "bandpass", fs=RATE_HZ, output="sos")
        clip = scipy.signal.sosfilt(band, clip).astype(np.float32)
    scores = scorer.score_clip(clip, RATE_HZ)
    assert scores.solo_piano > 0.5
    assert filter_reason(scores, PIANO_ONLY) is None


def test_what_is_no_piano_alone_is_refused(scorer: SoundScorer) -> None:
    """An orchestra, with and without a piano, an oscillator: none is taught as piano playing."""
    orchestra, piano = sample("sounds_orchestra"), sample("final_sol")
    level = np.float32(np.sqrt(np.mean(orchestra**2) / np.mean(piano**2)))
    phase = np.cumsum(np.repeat([220.0, 277.2, 329.6, 440.0] * 6, RATE_HZ // 2)) / RATE_HZ
    saw = (0.1 * (2 * (phase % 1) - 1)).astype(np.float32)
    for clip in (orchestra, orchestra + level * piano[: orchestra.size], saw):
        scores = scorer.score_clip(clip, RATE_HZ)
        assert filter_reason(scores, PIANO_ONLY) == "not_solo_piano"
        assert filter_reason(scores, SoundThresholds()) is None, "by default it is only marked"


@pytest.mark.parametrize(
    "clip",
    [
        np.zeros(CLIP_S * RATE_HZ, dtype=np.float32),
        np.full(CLIP_S * RATE_HZ, 1e-9, dtype=np.float32),
        hall_noise(),
        hall_noise() * np.float32(0.03),
    ],
    ids=["digital", "below 24 bits", "hall", "quiet hall"],
)
def test_an_empty_hall_is_silence(scorer: SoundScorer, clip: Mono) -> None:
    """Silence is what has nothing in it, at any level: not only samples near zero."""
    scores = scorer.score_clip(clip, RATE_HZ)
    assert scores.silence > 0.8
    assert filter_reason(scores, SoundThresholds()) == "silence"


def test_each_second_says_what_sounds_in_it(scorer: SoundScorer) -> None:
    """Piano, then applause, then the hall: guards against scores that belong to other seconds."""
    clip = np.concatenate([sample("stage1_sol")[: 8 * RATE_HZ], applause(8), hall_noise(8)])
    per_second = scorer.score_clip(clip, RATE_HZ).per_second >= 0.5
    assert per_second.shape == (24, len(SOUNDS))
    found = {sound: np.flatnonzero(per_second[:, i]) for i, sound in enumerate(SOUNDS)}
    assert set(range(9, 15)) <= set(found["applause"]) <= set(range(6, 18))
    assert set(range(17, 24)) <= set(found["silence"])
    assert not set(found["solo_piano"]) & set(range(12, 24))
    assert not set(found["silence"]) & set(range(1, 15))


@pytest.mark.parametrize("gain_db", [-20, 20])
def test_scores_do_not_depend_on_the_level(scorer: SoundScorer, gain_db: float) -> None:
    """A recording mastered 20 dB lower is the same recording."""
    clip = np.concatenate([sample("final_sol")[: 4 * RATE_HZ], applause(3), hall_noise(3)])
    gain = np.float32(10 ** (gain_db / 20))
    before = scorer.score_clip(clip, RATE_HZ).per_second
    after = scorer.score_clip(clip * gain, RATE_HZ).per_second
    np.testing.assert_allclose(before, after, atol=1e-3)


def test_scores_do_not_depend_on_the_threads_nor_on_the_scorer(scorer: SoundScorer) -> None:
    """A clip's row must not change with the machine that made it."""
    clip = sample("stage1_sol")
    threads = torch.get_num_threads()
    several = scorer.score_clip(clip, RATE_HZ).per_second
    assert torch.get_num_threads() == threads, "the scorer leaves torch's threads as they are"
    torch.set_num_threads(1)
    try:
        alone = SoundScorer().score_clip(clip, RATE_HZ).per_second
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(several, alone, atol=1e-3)


@settings(max_examples=15)
@given(
    frames=st.integers(1, 3 * RATE_HZ),
    rate_hz=st.sampled_from([8_000, 16_000, 24_000, 48_000]),
    level=st.sampled_from([0.0, 1e-12, 1e-4, 1.0, 50.0]),
    seed=st.integers(0, 3),
)
def test_any_clip_has_scores_between_0_and_1(
    scorer: SoundScorer, frames: int, rate_hz: int, level: float, seed: int
) -> None:
    """One sample or seconds, silent or clipped: guards against empty arrays and logarithms of 0."""
    clip = (np.random.default_rng(seed).normal(size=frames) * level).astype(np.float32)
    scores = scorer.score_clip(clip, rate_hz)
    assert scores.per_second.shape == (max(1, int(frames / rate_hz + 0.5)), 5)
    assert scores.per_second.dtype == np.float32
    assert np.isfinite(scores.per_second).all()
    assert ((scores.per_second >= 0) & (scores.per_second <= 1)).all()
    shares = [getattr(scores, sound) for sound in SOUNDS]
    assert shares == pytest.approx(scores.per_second.mean(axis=0), abs=1e-6)
    assert max(shares[:3]) - 1e-6 <= scores.not_music <= 1


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (np.zeros(0, dtype=np.float32), "shape"),
        (np.zeros((2, RATE_HZ), dtype=np.float32), "shape"),
        (np.array([0.0, np.nan], dtype=np.float32), "no number"),
        (np.array([0.0, np.inf], dtype=np.float32), "no number"),
    ],
)
def test_what_is_no_clip_is_refused(scorer: SoundScorer, clip: Mono, words: str) -> None:
    """Guards against scores of something that is not mono sound."""
    with pytest.raises(ValueError, match=words):
        scorer.score_clip(clip, RATE_HZ)


@given(
    applause=st.integers(0, 10),
    speech=st.integers(0, 10),
    silence=st.integers(0, 10),
    limit=st.floats(0, 1),
)
def test_the_rule_names_what_exceeds_its_threshold_most(
    applause: int, speech: int, silence: int, limit: float
) -> None:
    """A reason is always true, and there is none only where nothing exceeds anything."""
    if applause + speech + silence > 10:
        return
    scores = of_shares(applause=applause / 10, speech=speech / 10, silence=silence / 10)
    thresholds = SoundThresholds(limit, limit, limit, None, None)
    reason = filter_reason(scores, thresholds)
    largest = max(applause, speech, silence) / 10
    if reason is None:
        assert largest <= limit + 1e-6
    else:
        assert getattr(scores, reason) == pytest.approx(largest)
        assert getattr(scores, reason) > limit


def test_a_clip_with_a_little_of_everything_but_music_is_filtered() -> None:
    """The end of a recital: applause, an announcement, an empty hall, none of them half of it."""
    scores = of_shares(applause=0.4, speech=0.3, silence=0.2)
    assert filter_reason(scores, SoundThresholds()) == "not_music"
    assert filter_reason(scores, SoundThresholds(not_music=None)) is None


@given(
    solo_piano=st.floats(0, 1),
    silence=st.integers(0, 7),
    least=st.floats(0, 1),
)
def test_only_the_seconds_with_music_must_be_a_piano_alone(
    solo_piano: float, silence: int, least: float
) -> None:
    """A pause before or after the piece counts neither for the piano nor against it."""
    scores = of_shares(silence=silence / 10, solo_piano=solo_piano * (1 - silence / 10))
    thresholds = SoundThresholds(silence=None, not_music=None, min_solo_piano=least)
    reason = filter_reason(scores, thresholds)
    if abs(solo_piano - least) > 1e-5:
        assert reason == (None if solo_piano > least else "not_solo_piano")


def test_what_is_no_music_is_called_so_before_it_is_called_no_piano() -> None:
    """Guards against a reason that hides the applause: the reasons are what a person reads."""
    scores = of_shares(applause=0.9)
    assert filter_reason(scores, PIANO_ONLY) == "applause"
    assert filter_reason(of_shares(orchestra=0.9), PIANO_ONLY) == "not_solo_piano"
    silent = of_shares(silence=1.0)
    only_piano = SoundThresholds(None, None, None, None, None, min_solo_piano=1.0)
    assert filter_reason(silent, only_piano) is None, "nothing sounds that were no piano"


def test_without_thresholds_nothing_is_filtered() -> None:
    """Each may be switched off alone."""
    nothing = SoundThresholds(None, None, None, None, None, None)
    assert filter_reason(of_shares(applause=1.0), nothing) is None
    assert filter_reason(of_shares(applause=1.0), replace(nothing, applause=0.5)) == "applause"


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_share(share: float) -> None:
    """Guards against per cent where a share is meant."""
    with pytest.raises(ValueError, match="speech"):
        SoundThresholds(speech=share)


def test_without_its_weights_the_scorer_says_what_to_do(tmp_path: Path) -> None:
    """A missing, cut or foreign file is our fault, not the recording's."""
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(sounds_yamnet.WEIGHTS.read_bytes()[:10_000])
    for path in (tmp_path / "none.safetensors", cut):
        with pytest.raises(SetupError, match="install again") as caught:
            SoundScorer(weights=path).score_clip(hall_noise(1), RATE_HZ)
        assert caught.value.reason == "missing_model"


@pytest.mark.parametrize("change", ["class", "sound", "field", "text"])
def test_heads_that_do_not_fit_the_network_are_refused(tmp_path: Path, change: str) -> None:
    """A class that YAMNet does not give would otherwise weigh nothing, in silence."""
    path = tmp_path / "heads.json"
    shutil.copyfile(sounds.HEADS, path)
    file = json.loads(path.read_text())
    if change == "class":
        file["heads"]["speech"]["here"]["Yodelling"] = 1.0
    elif change == "sound":
        del file["heads"]["silence"]
    elif change == "field":
        file["heads"]["speech"]["treble"] = 1.0
    path.write_text("{" if change == "text" else json.dumps(file))
    with pytest.raises(SetupError, match="install again"):
        SoundScorer(heads=path).score_clip(hall_noise(1), RATE_HZ)


def test_importing_the_scorer_imports_no_torch() -> None:
    """Torch takes seconds; Dagster's code location must not wait for it."""
    program = (
        "import sys; import data_collection.recordings.sounds as s; s.SoundScorer(); "
        "print([m for m in ('torch', 'soxr', 'scipy', 'dagster') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert answer.stdout.decode().strip() == "[]"
