"""Evidence: changes of a clip whose effect is known beforehand, and clips that have nothing."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_collection.recordings.decode import SAMPLE_RATE_HZ, decode_to_flac
from data_collection.recordings.errors import SetupError
from data_collection.recordings.receipts import StageResult, settle
from data_collection.recordings.segments import SEGMENT_SCHEMA, segment_id
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.sample.media import AUDIO
from data_collection.teacher.evidence import (
    evidence_path,
    measure,
    read_evidence,
    settle_evidence,
)
from data_collection.teacher.evidence_features import onsets, spectrum
from data_collection.teacher.evidence_figures import (
    CURVE_POINTS,
    CURVES,
    EVIDENCE_COLUMNS,
    EVIDENCE_SCHEMA,
    FIGURES,
    Evidence,
)
from data_collection.teacher.evidence_image import HEIGHT, WIDTH, spectrogram_png

Samples = npt.NDArray[np.float32]
PIANO_S = 14
SCALARS = [figure.name for figure in FIGURES]


@pytest.fixture(scope="module")
def flac(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample recording as the river stores it."""
    target = tmp_path_factory.mktemp("evidence") / "sol.flac"
    decode_to_flac(AUDIO / "stage1_sol.opus", target)
    return target


@pytest.fixture(scope="module")
def piano(flac: Path) -> Samples:
    """Its first seconds."""
    samples, _ = soundfile.read(flac, frames=PIANO_S * SAMPLE_RATE_HZ, dtype="float32")
    samples.flags.writeable = False
    return np.asarray(samples)


@pytest.fixture(scope="module")
def heard(piano: Samples) -> Evidence:
    """Its evidence."""
    return measure(piano)


def moved(one: Evidence, other: Evidence, share: float = 0.02) -> set[str]:
    """Figures that differ by more than a share of themselves (and a hundredth)."""
    names = set()
    for name in SCALARS:
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None) or (a is not None and abs(a - b) > share * abs(a) + 0.01):
            names.add(name)
    return names


def notes(
    starts_s: npt.ArrayLike,
    duration_s: float,
    *,
    ring_s: float = 0.4,
    gains: npt.ArrayLike = 1.0,
    damped: bool = False,
) -> Samples:
    """Decaying tones, alternately of four pitches; damped ones end when the next begins."""
    clip = np.zeros(round(duration_s * SAMPLE_RATE_HZ))
    starts = np.asarray(starts_s, np.float64)
    levels = np.broadcast_to(np.asarray(gains, np.float64), starts.shape)
    for at, (start_s, gain) in enumerate(zip(starts, levels, strict=True)):
        first = round(start_s * SAMPLE_RATE_HZ)
        t = np.arange(min(clip.size - first, round(4 * ring_s * SAMPLE_RATE_HZ))) / SAMPLE_RATE_HZ
        hz = (262.0, 330.0, 392.0, 494.0)[at % 4]
        tone = sum(np.sin(2 * np.pi * hz * k * t) / k for k in (1, 2, 3, 4))
        tone = tone * np.exp(-t / ring_s) * np.minimum(t / 0.003, 1)
        if damped and at + 1 < starts.size:
            tone = tone * np.clip(1 - (t - (starts[at + 1] - start_s)) / 0.03, 0, 1)
        clip[first : first + t.size] += 0.1 * gain * tone
    return clip.astype(np.float32)


@pytest.mark.parametrize("gain_db", [-30.0])
def test_the_gain_of_a_recording_moves_its_loudness_and_nothing_else(
    piano: Samples, heard: Evidence, gain_db: float
) -> None:
    """Guards figures that would tell how a microphone was set."""
    other = measure(piano * np.float32(10 ** (gain_db / 20)))
    assert moved(heard, other, share=0.002) == {"loudness_lufs"}
    assert other.loudness_lufs == pytest.approx(heard.loudness_lufs + gain_db, abs=0.1)  # type: ignore[operator]
    assert other.loudness_curve_lu == pytest.approx(heard.loudness_curve_lu, abs=0.05)


def test_wider_dynamics_move_range_and_leave_timing(piano: Samples, heard: Evidence) -> None:
    """Guards a range that does not follow the playing, and onsets that follow the loudness."""
    window = np.hanning(SAMPLE_RATE_HZ)
    power = scipy.signal.fftconvolve(np.square(piano), window / window.sum(), mode="same")
    level = np.sqrt(np.maximum(power, 1e-9))
    wider = measure((piano * level / level.max() * 2).astype(np.float32))
    narrower = measure((piano * (np.median(level) / level) ** 0.7).astype(np.float32))
    assert wider.loudness_range_lu > 1.5 * heard.loudness_range_lu  # type: ignore[operator]
    assert narrower.loudness_range_lu < 0.7 * heard.loudness_range_lu  # type: ignore[operator]
    for other in (wider, narrower):
        same = {"gap_unevenness_percent", "centroid_khz", "pulse_per_min", "middle_percent"}
        assert not moved(heard, other, share=0.1) & same


def test_a_low_pass_moves_brightness_and_leaves_loudness_and_timing(
    piano: Samples, heard: Evidence
) -> None:
    """Guards timbre that is blind, and timing that hangs on the treble."""
    sections = scipy.signal.butter(6, 1500, fs=SAMPLE_RATE_HZ, output="sos")
    dull = measure(scipy.signal.sosfilt(sections, piano).astype(np.float32))
    assert dull.bright_percent < 0.2 * heard.bright_percent  # type: ignore[operator]
    assert dull.centroid_khz < 0.97 * heard.centroid_khz  # type: ignore[operator]
    same = {"loudness_range_lu", "pulse_per_min", "low_percent", "crest_db"}
    assert not moved(heard, dull, share=0.1) & same


def test_a_hall_sustains_and_leaves_pitch_and_pulse(piano: Samples, heard: Evidence) -> None:
    """Guards pedal figures that do not hear what rings; a hall and a pedal are one to them."""
    length = round(1.5 * SAMPLE_RATE_HZ)
    tail = np.random.default_rng(0).normal(size=length) * 10 ** (-3 * np.arange(length) / length)
    tail[0] = np.sqrt(np.sum(np.square(tail)))
    wet = measure(scipy.signal.fftconvolve(piano, tail)[: piano.size].astype(np.float32) / 100)
    assert wet.carry_over_db > heard.carry_over_db + 0.3  # type: ignore[operator]
    assert wet.attack_db < heard.attack_db  # type: ignore[operator]
    assert not moved(heard, wet, share=0.1) & {"pulse_per_min", "centroid_khz", "middle_percent"}


def test_faint_noise_moves_nothing(piano: Samples, heard: Evidence) -> None:
    """Guards figures that hear the tape instead of the piano, at 40 dB below it."""
    rms = float(np.sqrt(np.mean(np.square(piano))))
    noise = np.random.default_rng(1).normal(0, rms / 100, piano.size)
    assert not moved(heard, measure((piano + noise).astype(np.float32)), share=0.05)


def test_onsets_are_found_to_a_few_milliseconds() -> None:
    """Guards timing that is the grid of the frames."""
    truth = np.cumsum(np.random.default_rng(2).uniform(0.15, 0.6, 30))
    found = onsets(spectrum(notes(truth, truth[-1] + 1))).times_s
    assert found.size == truth.size
    late_s = found - truth
    assert np.abs(late_s - np.median(late_s)).max() < 0.004
    assert abs(np.median(late_s)) < 0.015


@pytest.mark.parametrize("jitter_ms", [0, 25])
def test_unevenness_is_that_of_the_onsets(jitter_ms: int) -> None:
    """Guards unevenness that is not in the unit it claims."""
    starts = 0.5 + 0.25 * np.arange(50)
    starts = starts + np.random.default_rng(3).normal(0, jitter_ms / 1000, starts.size)
    truth_ms = float(np.median(np.abs(np.diff(starts, 2)))) * 1000
    played = measure(notes(starts, 14))
    assert played.gap_unevenness_ms == pytest.approx(truth_ms, abs=4 + 0.15 * truth_ms)


def test_the_pulse_follows_an_acceleration() -> None:
    """Guards a tempo curve that says nothing of the tempo; its metrical level may be any."""
    beats, at_s, gap_s = [], 0.3, 0.60
    while at_s < 23:
        beats.append(at_s)
        at_s, gap_s = at_s + gap_s, gap_s * 0.994
    sped = measure(notes(beats, 24))
    steady = measure(notes(np.arange(0.3, 23, 0.5), 24))
    curve = np.array(sped.pulse_curve_percent, np.float64)
    truth = (beats[-1] - beats[-2]) / (beats[1] - beats[0])
    assert (np.diff(curve) > -1).all()
    assert curve[0] / curve[-1] == pytest.approx(truth, abs=0.12)
    assert sped.tempo_spread_percent > 4  # type: ignore[operator]
    assert steady.tempo_spread_percent < 0.5  # type: ignore[operator]
    assert steady.pulse_clarity > sped.pulse_clarity  # type: ignore[operator]
    doubled = math.log2(steady.pulse_per_min / 120)  # type: ignore[operator]
    assert doubled == pytest.approx(round(doubled), abs=0.02)


def test_notes_that_ring_on_are_told_from_damped_ones() -> None:
    """Guards a pedal figure that does not tell a pedal."""
    starts = 0.3 + 0.35 * np.arange(20)
    rings, stops = (
        measure(notes(starts, 8, ring_s=1.5, damped=damped)) for damped in (False, True)
    )
    assert rings.carry_over_db > stops.carry_over_db + 6  # type: ignore[operator]


def test_accents_are_told_from_even_strength() -> None:
    """Guards an accent figure that only follows the pitch."""
    starts = 0.3 + 0.3 * np.arange(40)
    even = measure(notes(starts, 13))
    uneven = measure(
        notes(starts, 13, gains=10 ** (np.random.default_rng(4).normal(0, 5, 40) / 20))
    )
    assert uneven.accent_spread_db > even.accent_spread_db + 2  # type: ignore[operator]


def test_what_cannot_be_known_is_none_and_never_zero() -> None:
    """Guards a made-up number, of which a percentile would be made."""
    silence = measure(np.zeros(8 * SAMPLE_RATE_HZ, np.float32))
    known = {name for name in Evidence.model_fields if getattr(silence, name) is not None}
    assert known == {"onsets_per_s"}
    single = measure(notes([1.0], 10))
    timed = ("pulse_per_min", "tempo_spread_percent", "gap_unevenness_ms", "pauses_per_min")
    assert all(getattr(single, name) is None for name in (*timed, "attack_db", "carry_over_db"))
    assert single.onsets_per_s == pytest.approx(0.1)
    short = measure(notes(np.arange(0.2, 4.8, 0.2), 5))
    assert short.pulse_per_min is None
    assert short.gap_unevenness_ms is not None


@pytest.mark.parametrize("name", ["trill", "full_scale", "one_click", "offset"])
def test_extreme_clips_have_finite_figures(name: str) -> None:
    """Guards a division by nothing; the model itself refuses what is not finite."""
    n = 10 * SAMPLE_RATE_HZ
    clips = {
        "trill": notes(np.arange(0.2, 9.8, 1 / 14), 10, ring_s=0.05),
        "full_scale": np.sign(np.sin(np.arange(n) / 9)).astype(np.float32),
        "one_click": np.eye(1, n, n // 2, dtype=np.float32)[0],
        "offset": np.full(n, 0.5, np.float32),
    }
    measured = measure(clips[name])
    assert measured.crest_db is not None
    if name == "trill":
        assert measured.onsets_per_s == pytest.approx(14, abs=0.5)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 1000),
    seconds=st.floats(1, 3),
    level=st.sampled_from([1e-6, 2e-4, 0.1, 5.0]),
    silent_share=st.floats(0, 1),
)
def test_any_clip_is_measured_alike_each_time(
    seed: int, seconds: float, level: float, silent_share: float
) -> None:
    """Guards chance and an exception in the middle of a night."""
    clip = np.random.default_rng(seed).normal(0, level, round(seconds * SAMPLE_RATE_HZ))
    clip[: round(silent_share * clip.size)] = 0
    first, second = (measure(clip.astype(np.float32)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "clip",
    [
        np.zeros((2, SAMPLE_RATE_HZ), np.float32),
        np.zeros(100, np.float32),
        np.full(SAMPLE_RATE_HZ, np.nan, np.float32),
    ],
)
def test_what_is_no_clip_is_refused(clip: Samples) -> None:
    """Guards figures of two channels read as one, or of damaged samples."""
    with pytest.raises(ValueError, match=r"mono|finite"):
        measure(clip)


def test_every_figure_is_a_field_and_a_described_column() -> None:
    """Guards a figure that is measured and never shown, or shown and never measured."""
    assert [*SCALARS, *(curve.name for curve in CURVES)] == list(Evidence.model_fields)
    assert list(EVIDENCE_SCHEMA) == list(EVIDENCE_COLUMNS)


def test_naming_the_figures_loads_no_heavy_library() -> None:
    """Guards the graph's loading time: figures, packets and rubric are read at definition time."""
    code = (
        "import sys; from data_collection.teacher import evidence, packet_leaks, rubric, "
        "guess_control, evidence_image; print([m for m in ('dagster', 'torch', 'librosa', 'scipy', "
        "'soundfile', 'matplotlib', 'pyloudnorm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


RECORDING = "a_recording"
CLIP_S = 6


def put(store: Store, tier: Tier, flac: Path, clips: int, *, kept: int) -> None:
    """Store a recording and its table of clips, with their receipts."""
    samples, _ = soundfile.read(flac, frames=clips * CLIP_S * SAMPLE_RATE_HZ, dtype="float32")

    def audio() -> StageResult:
        with store.scratch() as scratch:
            part = scratch / "part.flac"
            soundfile.write(part, samples, SAMPLE_RATE_HZ, subtype="PCM_24")
            stored = store.publish(part, f"{tier.folder('audio')}/{RECORDING}.flac")
        return StageResult(outputs=(stored,))

    def segments() -> StageResult:
        rows = [
            {
                "segment_id": segment_id(RECORDING, at),
                "recording_id": RECORDING,
                "segment_index": at,
                "start_frame": at * CLIP_S * SAMPLE_RATE_HZ,
                "frame_count": CLIP_S * SAMPLE_RATE_HZ,
                "state": "kept" if at < kept else "filtered",
            }
            for at in range(clips)
        ]
        buffer = io.BytesIO()
        pl.DataFrame(rows, schema=SEGMENT_SCHEMA).write_parquet(buffer)
        path = f"{tier.folder('segments')}/{RECORDING}.parquet"
        return StageResult(outputs=(store.write_bytes(path, buffer.getvalue()),))

    for stage, work in (("audio", audio), ("segments", segments)):
        told = {"made_of": f"{clips} {kept}"}
        settle(
            store,
            tier.folder(stage),
            RECORDING,
            inputs=lambda told=told: told,  # type: ignore[misc]
            parameters=dict,
            work=work,
        )


def test_a_recording_has_a_row_for_each_kept_clip_and_is_measured_once(
    store: Store, tier: Tier, flac: Path
) -> None:
    """Guards evidence of clips that nobody keeps, of another place, and doing it all again."""
    put(store, tier, flac, 3, kept=2)
    done = settle_evidence(store, tier, RECORDING)
    assert done.receipt.state == "done", done.receipt.detail
    table = read_evidence(store, tier, RECORDING)
    assert table["segment_id"].to_list() == [segment_id(RECORDING, at) for at in (0, 1)]
    second, _ = soundfile.read(
        flac, start=CLIP_S * SAMPLE_RATE_HZ, frames=CLIP_S * SAMPLE_RATE_HZ, dtype="float32"
    )
    row = table.row(1, named=True)
    expected = measure(second)
    assert row["centroid_khz"] == pytest.approx(expected.centroid_khz, abs=1e-3)
    assert len(row["loudness_curve_lu"]) == CURVE_POINTS
    assert settle_evidence(store, tier, RECORDING).skipped
    put(store, tier, flac, 3, kept=3)
    assert settle_evidence(store, tier, RECORDING).receipt.facts["clips"] == 3


def test_without_clips_it_waits_and_with_none_kept_it_is_filtered(
    store: Store, tier: Tier, flac: Path
) -> None:
    """Guards a failure that is nobody's, and an attempt charged for it."""
    waiting = settle_evidence(store, tier, RECORDING).receipt
    assert (waiting.state, waiting.reason, waiting.attempts) == ("blocked", "upstream_not_done", 0)
    with pytest.raises(SetupError, match="materialize t9_made/teacher_evidence"):
        read_evidence(store, tier, RECORDING)
    put(store, tier, flac, 1, kept=0)
    assert settle_evidence(store, tier, RECORDING).receipt.state == "filtered"
    assert read_evidence(store, tier, RECORDING).is_empty()


def test_damaged_files_are_named(store: Store, tier: Tier, flac: Path) -> None:
    """Guards a short FLAC measured as if it were whole, and a table of another version."""
    put(store, tier, flac, 2, kept=2)
    audio = store.path(f"{tier.folder('audio')}/{RECORDING}.flac")
    with audio.open("wb") as sink:
        silence = np.zeros(CLIP_S * SAMPLE_RATE_HZ + 5000)
        soundfile.write(sink, silence, SAMPLE_RATE_HZ, format="FLAC")
    cut = settle_evidence(store, tier, RECORDING).receipt
    assert (cut.state, cut.reason) == ("failed", "truncated")
    assert segment_id(RECORDING, 1) in str(cut.detail)
    buffer = io.BytesIO()
    pl.DataFrame({"segment_id": ["x"]}).write_parquet(buffer)
    for content in (b"not parquet", buffer.getvalue()):
        store.write_bytes(evidence_path(tier, RECORDING), content)
        with pytest.raises(SetupError, match="delete it"):
            read_evidence(store, tier, RECORDING)


def test_the_picture_is_of_one_size_and_says_nothing(piano: Samples) -> None:
    """Guards a picture whose width is the clip's length, or that carries text."""
    pictures = [
        Image.open(io.BytesIO(spectrogram_png(clip)))
        for clip in (piano, piano[: 5 * SAMPLE_RATE_HZ], np.zeros(30_000, np.float32))
    ]
    assert {picture.size for picture in pictures} == {(WIDTH, HEIGHT)}
    assert not any("Software" in picture.info or "Title" in picture.info for picture in pictures)
    assert spectrogram_png(piano) == spectrogram_png(piano)
    with pytest.raises(ValueError, match="mono"):
        spectrogram_png(piano[:100])
