"""Quality: signals whose loudness, peak, clipping and bandwidth are known beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import scipy.signal
import soxr
from hypothesis import given
from hypothesis import strategies as st

from data_collection.recordings.quality import (
    FLOOR_DBFS,
    QUALITY_COLUMNS,
    QUALITY_SCHEMA,
    SOURCE_LEVELS_SCHEMA,
    SourceLevelMeter,
    SourceQuality,
    segment_quality,
    summarise_source_levels,
)
from data_collection.sample.media import AUDIO

Samples = npt.NDArray[np.float32]
STORED_HZ = 24_000
MONO_LU = -3.01
"""A tone in one channel is this much below the same tone in two, as EBU Tech 3341 gives them."""
EXCERPT_S = 12


def sine(hz: float, dbfs: float, seconds: float, rate_hz: int = STORED_HZ) -> Samples:
    wave = np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return (10 ** (dbfs / 20) * wave).astype(np.float32)


def noise(dbfs: float, seconds: float, rate_hz: int, channels: int = 1) -> Samples:
    made = np.random.default_rng(0).normal(
        0, 10 ** (dbfs / 20), (channels, round(seconds * rate_hz))
    )
    return made.astype(np.float32)


def levels(samples: Samples, rate_hz: int, block: int | None = None) -> pl.DataFrame:
    meter = SourceLevelMeter(rate_hz)
    size = block or 10 * rate_hz
    for start in range(0, samples.shape[1], size):
        meter.add(samples[:, start : start + size])
    return meter.table()


def whole(samples: Samples, rate_hz: int) -> SourceQuality:
    return summarise_source_levels(
        levels(samples, rate_hz), 0.0, math.ceil(samples.shape[1] / rate_hz)
    )


@pytest.fixture(scope="module")
def piano() -> Samples:
    """Twelve seconds of the sample's piano, stereo at 48 kHz, normalised to full scale."""
    with av.open(str(AUDIO / "stage1_marlowe.opus")) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48_000)
        frames = [g for f in container.decode(audio=0) for g in resampler.resample(f)]
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    excerpt = samples[:, : EXCERPT_S * 48_000]
    return (excerpt / np.abs(excerpt).max()).astype(np.float32)


def coded(samples: Samples, target: Path, codec: str, bit_rate: int, rate_hz: int) -> Samples:
    """What a lossy codec leaves of stereo samples at 48 kHz."""
    with av.open(str(target), "w") as writing:
        stream = writing.add_stream(codec, rate=rate_hz, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = bit_rate
        context = stream.codec_context
        resampler = av.AudioResampler(
            format=context.format, layout="stereo", rate=rate_hz, frame_size=context.frame_size
        )
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts = 48_000, 0
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            writing.mux(stream.encode(part))
        writing.mux(stream.encode(None))
    with av.open(str(target)) as reading:
        frames = [frame.to_ndarray() for frame in reading.decode(audio=0)]
    decoded: Samples = np.concatenate(frames, axis=1)
    return decoded


@pytest.mark.parametrize(
    ("parts", "expected_lufs"),
    [
        ([(0, 20)], 0),
        ([(-23, 20)], -23),
        ([(-33, 20)], -33),
        ([(-36, 10), (-23, 60), (-36, 10)], -23),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
    ],
    ids=["full scale", "3341-1", "3341-2", "3341-3", "3341-4", "3341-5"],
)
def test_loudness_of_the_standards_signals(
    parts: list[tuple[float, float]], expected_lufs: float
) -> None:
    """The EBU's tones have the loudness that Tech 3341 gives them, within its 0.1 LU.

    Guards against filters designed for 48 kHz used at 24, and against a missing gate.
    """
    clip = np.concatenate([sine(997, dbfs, seconds) for dbfs, seconds in parts])
    found = segment_quality(clip, STORED_HZ).loudness_lufs
    assert found == pytest.approx(expected_lufs + MONO_LU, abs=0.1)


@pytest.mark.parametrize(
    "clip",
    [
        np.zeros(10 * STORED_HZ, np.float32),
        sine(997, -75, 10),
        sine(997, -10, 0.39),
        np.ones(1, np.float32),
    ],
    ids=["silence", "under the gate", "short", "one sample"],
)
def test_what_has_no_loudness_is_none(clip: Samples) -> None:
    """Silence, what lies under the gate, and less than one block have no loudness, not -inf.

    Guards against an infinity in a table and a crash on a short tail; the rest stays finite.
    """
    found = segment_quality(clip, STORED_HZ)
    assert found.loudness_lufs is None
    told = (found.true_peak_dbtp, found.rms_dbfs, found.noise_floor_dbfs)
    assert all(math.isfinite(value) and value >= FLOOR_DBFS for value in told)


@pytest.mark.parametrize("shape", [(0,), (2, 100), (100, 1)])
def test_what_is_no_mono_clip_is_refused(shape: tuple[int, ...]) -> None:
    """An empty or two-dimensional array is an error of the caller's, said so.

    Guards against levels of the wrong axis.
    """
    with pytest.raises(ValueError, match="mono"):
        segment_quality(np.zeros(shape, np.float32), STORED_HZ)


def test_a_peak_between_samples_is_found() -> None:
    """A tone at a quarter of the rate, sampled beside its crests, peaks 3.01 dB above its samples.

    Guards against a sample peak that is called a true peak.
    """
    clip = np.sin(2 * np.pi * np.arange(STORED_HZ) / 4 + np.pi / 4).astype(np.float32)
    clip *= 0.5 * np.hanning(clip.size).astype(np.float32) ** 0.1
    found = segment_quality(clip, STORED_HZ).true_peak_dbtp
    assert 20 * math.log10(np.abs(clip).max()) == pytest.approx(-9.03, abs=0.01)
    assert found == pytest.approx(-6.02, abs=0.02)


@given(hz=st.floats(30, 0.44 * STORED_HZ), phase=st.floats(0, 6.3), dbfs=st.floats(-40, 3))
def test_true_peak_of_any_tone(hz: float, phase: float, dbfs: float) -> None:
    """Whatever its frequency and phase, a tone's true peak is its amplitude within 0.1 dB.

    Guards against the 0.3 dB that lie between the points of a fourfold oversampling.
    """
    time_s = np.arange(STORED_HZ // 2) / STORED_HZ
    fade = np.clip(10 * np.minimum(time_s, 0.5 - time_s), 0, 1)
    clip = (10 ** (dbfs / 20) * fade * np.sin(2 * np.pi * hz * time_s + phase)).astype(np.float32)
    assert segment_quality(clip, STORED_HZ).true_peak_dbtp == pytest.approx(dbfs, abs=0.1)


@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 6.0])
def test_gain_moves_levels_and_nothing_else(piano: Samples, gain_db: float) -> None:
    """A gain moves loudness, RMS, true peak and noise floor by itself; the bandwidth stays.

    Guards against thresholds that are not relative.
    """
    clip = soxr.resample(piano.mean(axis=0), 48_000, STORED_HZ).astype(np.float32)
    before = segment_quality(clip, STORED_HZ)
    after = segment_quality((clip * 10 ** (gain_db / 20)).astype(np.float32), STORED_HZ)
    assert before.loudness_lufs is not None
    assert after.loudness_lufs == pytest.approx(before.loudness_lufs + gain_db, abs=0.001)
    assert after.rms_dbfs == pytest.approx(before.rms_dbfs + gain_db, abs=0.001)
    assert after.true_peak_dbtp == pytest.approx(before.true_peak_dbtp + gain_db, abs=0.001)
    assert after.noise_floor_dbfs == pytest.approx(before.noise_floor_dbfs + gain_db, abs=0.001)
    assert after.bandwidth_hz == pytest.approx(before.bandwidth_hz, abs=200)


@pytest.mark.parametrize("hiss_dbfs", [-80.0, -60.0, -40.0])
def test_noise_floor_is_that_of_the_pauses(hiss_dbfs: float) -> None:
    """Decaying tones over a hiss: the floor is the hiss, however loud the tones, within 1 dB.

    Guards against a mean level that is called a floor. An offset is no noise.
    """
    time_s = np.arange(30 * STORED_HZ) / STORED_HZ
    tones = 0.3 * np.sin(2 * np.pi * 440 * time_s) * np.exp(-8 * (time_s % 3))
    clip = (tones + 0.01 + noise(hiss_dbfs, 30, STORED_HZ)[0]).astype(np.float32)
    found = segment_quality(clip, STORED_HZ)
    assert found.noise_floor_dbfs == pytest.approx(hiss_dbfs, abs=1)
    assert found.rms_dbfs > -30


def test_rms_of_a_sine_and_the_floor_of_silence() -> None:
    """A full-scale sine has -3.01 dBFS, digital silence the floor and no bandwidth.

    Guards against another convention than the segments' own levels, and against log of zero.
    """
    assert segment_quality(sine(997, 0, 2), STORED_HZ).rms_dbfs == pytest.approx(-3.01, abs=0.01)
    silent = segment_quality(np.zeros(STORED_HZ, np.float32), STORED_HZ)
    assert (silent.rms_dbfs, silent.true_peak_dbtp, silent.noise_floor_dbfs) == (FLOOR_DBFS,) * 3
    assert silent.bandwidth_hz is None


def runs_of(flags: npt.NDArray[np.bool_], shortest: int) -> int:
    """Samples in runs of at least so many, counted one by one."""
    total = run = 0
    for flag in [*flags.tolist(), False]:
        if not flag and run >= shortest:
            total += run
        run = run + 1 if flag else 0
    return total


@pytest.mark.parametrize("ceiling", [1.0, 0.98, 0.1])
@pytest.mark.parametrize("drive", [1.5, 2.0, 4.0])
def test_clipped_samples_are_counted(piano: Samples, drive: float, ceiling: float) -> None:
    """Clipped piano shows the share that was clipped, also when it was turned down afterwards.

    Guards against a ceiling that is looked for at full scale only: a file that was normalised to
    0.98, or lowered by 20 dB, has flat tops as well.
    """
    hot = piano * drive
    clipped = (np.clip(hot, -1, 1) * ceiling).astype(np.float32)
    expected = sum(runs_of(side, 3) for channel in hot for side in (channel >= 1, channel <= -1))
    told = levels(clipped, 48_000)["clipped_share"]
    assert told.sum() * 2 * 48_000 == pytest.approx(expected, rel=0.02)


def test_gain_does_not_move_the_clipped_share(piano: Samples) -> None:
    """Clipped and then lowered by 20 dB is as clipped as before, second by second.

    Guards against an absolute tolerance.
    """
    clipped = np.clip(piano * 3, -1, 1).astype(np.float32)
    lower = levels((clipped * 0.1).astype(np.float32), 48_000)["clipped_share"].to_numpy()
    assert lower == pytest.approx(levels(clipped, 48_000)["clipped_share"].to_numpy(), rel=0.005)


def test_rounding_to_16_bits_with_dither_hides_no_clipping(piano: Samples) -> None:
    """Flat tops that dither has roughened by a step or two are still flat.

    Guards against a search for equal samples, which finds none in a dithered master.
    """
    hot = np.clip(piano * 3, -1, 1) * 0.98
    dither = np.random.default_rng(0).triangular(-1, 0, 1, hot.shape)
    rounded = (np.round(hot * 32_767 + dither) / 32_768).astype(np.float32)
    exact = levels(hot.astype(np.float32), 48_000)["clipped_share"].sum()
    assert levels(rounded, 48_000)["clipped_share"].sum() == pytest.approx(exact, rel=0.15)


def band_limited_square() -> Samples:
    time_s = np.arange(3 * 48_000) / 48_000
    odd = range(1, 60, 2)
    return sum(np.sin(2 * np.pi * 196 * k * time_s) / k for k in odd).astype(np.float32)  # type: ignore[union-attr]


UNCLIPPED: dict[str, Callable[[], npt.NDArray[np.floating]]] = {
    "silence": lambda: np.zeros(3 * 48_000, np.float32),
    "offset": lambda: np.full(3 * 48_000, 0.98, np.float32),
    "steps": lambda: np.repeat([0.9, 0.0, -0.9], 48_000),
    "dithered silence": lambda: np.round(noise(0, 3, 48_000)[0]) / 32_768,
    "full-scale sine": lambda: sine(997, 0, 3, 48_000),
    "lowest note": lambda: sine(27.5, 0, 3, 48_000),
    "lowest note in 16 bits": lambda: np.round(sine(27.5, -0.1, 3, 48_000) * 32_767) / 32_768,
    "faint note in 16 bits": lambda: np.round(sine(220, -50, 3, 48_000) * 32_767) / 32_768,
    "square of few partials": lambda: band_limited_square() / 1.1,
    "loud noise": lambda: np.clip(noise(-14, 3, 48_000)[0], -0.999, 0.999),
}


@pytest.mark.parametrize("name", UNCLIPPED)
def test_what_is_not_clipped_is_not_counted(name: str) -> None:
    """Silence, an offset, a slow crest, a square-ish or a loud sound have a share of exactly 0.

    Guards against runs of equal samples that are called clipping.
    """
    samples = UNCLIPPED[name]().astype(np.float32)
    assert levels(samples[np.newaxis], 48_000)["clipped_share"].to_list() == [0.0] * 3


@given(hz=st.floats(27.5, 5000), dbfs=st.floats(-40, 0), rate_hz=st.sampled_from([16_000, 44_100]))
def test_no_sine_is_clipped(hz: float, dbfs: float, rate_hz: int) -> None:
    """A sine of any note and level, in 16 bits, is not clipped.

    Guards against a tolerance that is wider than a crest is round.
    """
    stepped = np.round(sine(hz, dbfs, 1, rate_hz) * 32_767) / 32_768
    assert levels(stepped[np.newaxis].astype(np.float32), rate_hz)["clipped_share"][0] == 0.0


def test_overshoot_beyond_full_scale_is_clipped() -> None:
    """Runs beyond full scale count, of one channel as of a half; single samples do not.

    Guards against a codec's one overshoot that becomes the ceiling and hides all the rest.
    """
    samples = np.tile(sine(440, -6, 1, 48_000), (2, 1))
    samples[0, 1000:1010] = np.array([1.01, 1.03, 1.1, 1.02, 1.01] * 2)
    samples[0, 5000] = 1.2
    samples[1, 7000:7003] = -1.05
    assert levels(samples, 48_000)["clipped_share"].to_list() == [13 / 96_000]


@given(
    block=st.integers(1, 30_000),
    rate_hz=st.sampled_from([8_000, 16_000]),
    seconds=st.floats(0.01, 3.7),
    channels=st.integers(1, 3),
)
def test_blocks_do_not_show(block: int, rate_hz: int, seconds: float, channels: int) -> None:
    """However the samples arrive, the table is the same, a row for each second that has begun.

    Guards against clipping or frames that are lost at the border of two blocks.
    """
    samples = np.clip(noise(-6, seconds, rate_hz, channels), -0.5, 0.5)
    at_once = levels(samples, rate_hz)
    assert levels(samples, rate_hz, max(block, rate_hz // 20)).equals(at_once)
    assert dict(at_once.schema) == dict(pl.Schema(SOURCE_LEVELS_SCHEMA))
    assert at_once["second"].to_list() == list(range(math.ceil(samples.shape[1] / rate_hz)))


def test_nothing_decoded_is_an_empty_table() -> None:
    """A meter that saw no samples has no rows, and a segment of it no figures.

    Guards against a crash where a decoder gives up at once.
    """
    empty = SourceLevelMeter(44_100).table()
    assert dict(empty.schema) == dict(pl.Schema(SOURCE_LEVELS_SCHEMA))
    assert empty.height == 0
    assert summarise_source_levels(empty, 0, 30) == SourceQuality(None, None, None)


@given(cut_hz=st.floats(3_000, 19_000), dbfs=st.floats(-45, -12))
def test_a_low_pass_shows_where_it_is(cut_hz: float, dbfs: float) -> None:
    """Noise that a steep filter cuts has its bandwidth and its cliff there, within 600 Hz.

    Guards against a bandwidth that follows the level.
    """
    taps = scipy.signal.firwin(801, cut_hz, fs=48_000, window=("kaiser", 12.0))
    samples = scipy.signal.fftconvolve(noise(dbfs, 3, 48_000)[0], taps, mode="same")
    found = whole(samples[np.newaxis].astype(np.float32), 48_000)
    assert found.source_bandwidth_hz == pytest.approx(cut_hz, abs=600)
    assert found.source_cliff_hz == pytest.approx(cut_hz, abs=600)


def test_a_spectrum_without_an_end_has_all_the_band() -> None:
    """Loud white noise has content up to half the sampling rate, and no cliff.

    Guards against a floor that is seen where there is only signal.
    """
    found = whole(noise(-20, 4, 44_100, 2), 44_100)
    assert (found.source_bandwidth_hz, found.source_cliff_hz) == (22_050, None)


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_music_that_fades_into_hiss_ends_there(gain: float) -> None:
    """A spectrum that falls by 10 dB a kHz into a hiss ends where it meets it, without a cliff.

    Guards against hiss that counts as content, and a piano's roll-off that is called a codec.
    """
    size = 4 * 48_000
    hz = np.fft.rfftfreq(size, 1 / 48_000)
    shape = np.fft.rfft(noise(0, 4, 48_000)[0]) * 10 ** (-10 * hz / 1000 / 20)
    music = np.fft.irfft(shape, size)
    hiss = np.random.default_rng(9).normal(0, 10 ** (-70 / 20), size)
    samples = (gain * 0.1 * (music + hiss) / np.abs(music).max())[np.newaxis].astype(np.float32)
    found = whole(samples, 48_000)
    assert found.source_bandwidth_hz == pytest.approx(7_000, abs=800)
    assert found.source_cliff_hz is None


@dataclass(frozen=True)
class Form:
    """What a codec or a lower rate leaves of a wide-band recording."""

    codec: str
    bit_rate: int
    rate_hz: int
    low_hz: float
    high_hz: float


FORMS = [
    Form("libmp3lame", 128_000, 44_100, 15_500, 17_500),
    Form("libmp3lame", 32_000, 44_100, 3_000, 7_000),
    Form("aac", 128_000, 44_100, 15_500, 18_000),
    Form("aac", 32_000, 44_100, 3_000, 6_000),
    Form("libopus", 64_000, 48_000, 11_500, 20_600),
]
SUFFIXES = {"libmp3lame": ".mp3", "aac": ".m4a", "libopus": ".webm"}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.codec}-{form.bit_rate // 1000}k")
def test_a_lossy_codec_shows(piano: Samples, tmp_path: Path, form: Form) -> None:
    """Piano recorded with a hiss, as microphones have it, breaks off where the codec's band ends.

    Guards against a lossy source that passes for a full one: the uncoded recording has no cliff.
    """
    recorded = (0.5 * piano + noise(-70, EXCERPT_S, 48_000, 2)).astype(np.float32)
    assert whole(recorded, 48_000).source_cliff_hz is None
    file = tmp_path / f"coded{SUFFIXES[form.codec]}"
    found = whole(coded(recorded, file, form.codec, form.bit_rate, form.rate_hz), form.rate_hz)
    assert found.source_bandwidth_hz is not None
    assert form.low_hz <= found.source_bandwidth_hz <= form.high_hz
    assert found.source_cliff_hz is not None
    assert found.source_cliff_hz <= form.high_hz


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_a_lower_sampling_rate_shows(piano: Samples, gain: float) -> None:
    """A 16 kHz source stays within 8 kHz, as it is and blown up to 44.1 kHz, at any level.

    Guards against a telephone recording that passes for a full one by its header.
    """
    narrow = soxr.resample(gain * 0.5 * piano.T, 48_000, 16_000)
    blown_up = soxr.resample(narrow, 16_000, 44_100).T
    found = whole(narrow.T.astype(np.float32), 16_000)
    assert found.source_bandwidth_hz is not None
    assert found.source_bandwidth_hz <= 8_000
    found = whole(blown_up.astype(np.float32), 44_100)
    assert found.source_bandwidth_hz == pytest.approx(7_800, abs=400)
    assert found.source_cliff_hz == pytest.approx(7_800, abs=400)
    assert whole(gain * piano, 48_000).source_bandwidth_hz == pytest.approx(12_000, abs=400)


def test_opposite_channels_do_not_cancel(piano: Samples) -> None:
    """A recording whose channels are each other's negative has its bandwidth all the same.

    Guards against measuring the downmix, which is silent.
    """
    opposite = np.stack([piano[0], -piano[0]])
    assert whole(opposite, 48_000).source_bandwidth_hz == pytest.approx(12_000, abs=400)


def test_a_whistle_above_the_music_is_no_bandwidth(piano: Samples) -> None:
    """One tone at 15.6 kHz, as old screens sing, does not widen the band.

    Guards against a bandwidth that one bin decides.
    """
    with_tone = piano + sine(15_625, -60, EXCERPT_S, 48_000)
    assert whole(with_tone, 48_000).source_bandwidth_hz == pytest.approx(12_000, abs=400)


@pytest.mark.parametrize("rate_hz", [2_000, 8_000, 11_025, 22_050, 96_000, 192_000])
def test_any_sampling_rate_can_be_measured(rate_hz: int) -> None:
    """From 2 to 192 kHz there is a table; where the rate is too low for a spectrum it has nulls.

    Guards against a crash on an odd file.
    """
    table = levels(noise(-20, 2.3, rate_hz, 2), rate_hz)
    assert table.height == 3
    expected = None if rate_hz == 2_000 else rate_hz / 2
    assert table["bandwidth_hz"].to_list() == [expected, expected, None]


def table_of(clipped: list[float], bandwidth_hz: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "second": range(len(clipped)),
            "clipped_share": clipped,
            "bandwidth_hz": bandwidth_hz,
            "cliff_hz": [None] * len(clipped),
        },
        schema=SOURCE_LEVELS_SCHEMA,
    )


def test_a_segment_takes_its_own_seconds() -> None:
    """Seconds count by how much of them is inside, from where the part begins in the original.

    Guards against the figures of another pianist of the same session.
    """
    table = table_of([0.0, 0.1, 0.2, 0.4], [1_000, None, 3_000, 4_000])
    inner = summarise_source_levels(table, 0.5, 2.0)
    assert inner.clipped_share == pytest.approx(0.1 / 1.5)
    assert inner.source_bandwidth_hz == 1_000
    later = summarise_source_levels(table, 0.0, 1.5, offset_s=2.0)
    assert later.clipped_share == pytest.approx((0.2 + 0.5 * 0.4) / 1.5)
    assert later.source_bandwidth_hz == 3_000
    beyond = summarise_source_levels(table, 30.0, 60.0)
    assert beyond == SourceQuality(None, None, None)
    assert summarise_source_levels(table, 1.0, 2.0).source_bandwidth_hz is None


@given(
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=40),
    start_s=st.floats(0, 40),
    length_s=st.floats(0.1, 40),
)
def test_a_segments_share_lies_among_its_seconds(
    shares: list[float], start_s: float, length_s: float
) -> None:
    """Whatever the segment, its share lies between the least and the largest of its seconds.

    Guards against weights that do not add up at the edges.
    """
    table = table_of(shares, [None] * len(shares))
    found = summarise_source_levels(table, start_s, start_s + length_s).clipped_share
    inside = shares[int(start_s) : math.ceil(start_s + length_s)]
    if found is None:
        assert not inside
    else:
        assert min(inside) - 1e-12 <= found <= max(inside) + 1e-12


def test_every_column_is_described() -> None:
    """The table of descriptions has the columns of the schema.

    Guards against a column that nobody can read.
    """
    assert list(QUALITY_COLUMNS) == list(QUALITY_SCHEMA)
