"""Decoding: the right samples at the right time, and half a file found out."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from collections.abc import Callable
from operator import neg
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
import soundfile
import soxr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_collection.recordings.decode import (
    SAMPLE_RATE_HZ,
    DecodedAudio,
    decode_stream_to_flac,
    decode_to_flac,
)
from data_collection.recordings.errors import ItemError, WorldError

Samples = npt.NDArray[np.float64]
NAMES = ("stage1_sol", "final_okafor")
LOSSLESS_S, LOSSY_S = 0.001, 0.030
PEAK_MEMORY = """
import re, sys
from pathlib import Path
from data_collection.recordings.decode import decode_to_flac
decode_to_flac(Path(sys.argv[1]), Path(sys.argv[2]))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""
LIMITED_DECODE = """
import resource, sys
from pathlib import Path
import pedalboard.io, soundfile, soxr
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.decode import decode_to_flac
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    decode_to_flac(Path(sys.argv[1]), Path(sys.argv[2]))
except RecordingError as error:
    print(type(error).__name__, error.reason, error.stops_batch)
"""


def decoded(original: Path, tmp_path: Path) -> tuple[Samples, DecodedAudio]:
    target = tmp_path / "stored.flac"
    told = decode_to_flac(original, target)
    samples, rate_hz = soundfile.read(target, dtype="float64")
    assert rate_hz == SAMPLE_RATE_HZ
    assert samples.shape == (told.frames,)
    return samples, told


def one_shot(original: Path) -> Samples:
    """The stored form, made in one piece from a file that soundfile can read."""
    samples, rate_hz = soundfile.read(original, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1, dtype=np.float32)
    resampled: Samples = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ).astype(np.float64)
    return resampled


def lag_s(samples: Samples, reference: Samples) -> float:
    """By how much the samples come later than the reference, in seconds."""
    span = min(samples.size, reference.size, 6 * SAMPLE_RATE_HZ)
    found = scipy.signal.correlate(samples[:span], reference[:span], method="fft")
    return float(int(np.argmax(found)) - (span - 1)) / SAMPLE_RATE_HZ


def noise(seconds: float, rate_hz: int, channels: int = 2, seed: int = 0) -> Samples:
    made = np.random.default_rng(seed).normal(0.0, 0.1, (round(seconds * rate_hz), channels))
    return np.clip(made, -0.9, 0.9)


@pytest.fixture(scope="module")
def more_forms(media_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared media, and each excerpt as three kinds of wav, Ogg Opus and Vorbis."""
    folder = tmp_path_factory.mktemp("forms")
    for name in NAMES:
        samples, rate_hz = soundfile.read(media_folder / f"{name}.wav", dtype="float64")
        soundfile.write(folder / f"{name}-pcm16.wav", samples, rate_hz, subtype="PCM_16")
        soundfile.write(folder / f"{name}-float.wav", samples, rate_hz, subtype="FLOAT")
        soundfile.write(folder / f"{name}-pcm24.flac", samples, rate_hz, subtype="PCM_24")
        soundfile.write(folder / f"{name}.opus", samples, rate_hz, format="OGG", subtype="OPUS")
        soundfile.write(folder / f"{name}.ogg", samples, rate_hz, format="OGG", subtype="VORBIS")
        (folder / f"{name}-pcm24.wav").write_bytes((media_folder / f"{name}.wav").read_bytes())
        for ending in ("flac", "m4a", "webm", "mp3"):
            (folder / f"{name}.{ending}").write_bytes(
                (media_folder / f"{name}.{ending}").read_bytes()
            )
    return folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("ending", "decoder", "tolerance_s"),
    [
        ("-pcm16.wav", "pedalboard", LOSSLESS_S),
        ("-pcm24.wav", "pedalboard", LOSSLESS_S),
        ("-float.wav", "pedalboard", LOSSLESS_S),
        ("-pcm24.flac", "pedalboard", LOSSLESS_S),
        (".flac", "pedalboard", LOSSLESS_S),
        (".mp3", "PyAV", LOSSY_S),
        (".m4a", "PyAV", LOSSY_S),
        (".webm", "PyAV", LOSSY_S),
        (".opus", "PyAV", LOSSY_S),
        (".ogg", "PyAV", LOSSY_S),
    ],
)
def test_each_form_decodes_in_time(
    more_forms: Path, tmp_path: Path, name: str, ending: str, decoder: str, tolerance_s: float
) -> None:
    """Duration, onset and level are those of the reference, whatever the container.

    Guards against decoders that start late by their priming (23 to 25 ms), drop the end, or halve
    the level: timing and dynamics are what the model is to learn.
    """
    reference = one_shot(more_forms / f"{name}-pcm24.wav")
    samples, told = decoded(more_forms / f"{name}{ending}", tmp_path)
    # Where a file begins in silence, which is decoded a second time, PyAV has the last word.
    assert told.decoder in {decoder, "PyAV"}
    assert told.duration_s == pytest.approx(reference.size / SAMPLE_RATE_HZ, abs=0.05)
    assert abs(lag_s(samples, reference)) <= tolerance_s
    level, expected = (float(np.sqrt(np.mean(part**2))) for part in (samples, reference))
    assert level == pytest.approx(expected, rel=0.1)


def test_stored_form(more_forms: Path, tmp_path: Path) -> None:
    """What is stored is mono, 24 kHz, 24-bit FLAC.

    Guards against 16 bits, which move MuQ's output on quiet passages.
    """
    decode_to_flac(more_forms / "stage1_sol.m4a", tmp_path / "stored.flac")
    info = soundfile.info(tmp_path / "stored.flac")
    assert (info.format, info.subtype, info.channels, info.samplerate) == (
        "FLAC",
        "PCM_24",
        1,
        24_000,
    )


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("case", ["left_only", "opposite"])
def test_downmix_is_the_mean(tmp_path: Path, ending: str, case: str) -> None:
    """One channel alone comes out at half amplitude; opposite channels cancel.

    Guards against taking the left channel, and against libswresample's downmix, 3 dB too loud.
    """
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * 48_000) / 48_000)
    right = -tone if case == "opposite" else 0 * tone
    original = tmp_path / f"stereo.{ending}"
    soundfile.write(original, np.column_stack([tone, right]), 48_000)
    samples, told = decoded(original, tmp_path)
    middle = samples[SAMPLE_RATE_HZ // 2 : SAMPLE_RATE_HZ]
    amplitude = float(np.sqrt(2 * np.mean(middle**2)))
    assert told.source_channels == 2
    assert amplitude == pytest.approx(0.25 if case == "left_only" else 0.0, abs=0.01)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [24_000, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_blocks_do_not_show(tmp_path: Path, ending: str, rate_hz: int, channels: int) -> None:
    """Decoding by blocks of ten seconds equals resampling the whole at once, at every rate.

    Guards against clicks and lost samples at block borders, and a resampler that is not flushed.
    """
    original = tmp_path / f"noise.{ending}"
    soundfile.write(original, noise(21.3, rate_hz, channels), rate_hz, subtype="PCM_24")
    samples, told = decoded(original, tmp_path)
    expected = one_shot(original)
    assert (told.source_rate_hz, told.source_channels) == (rate_hz, channels)
    assert samples.size == expected.size
    assert np.abs(samples - expected).max() < 1e-6


def test_overshoot_is_clipped_and_counted(tmp_path: Path) -> None:
    """Samples above full scale are clipped, not wrapped, and told.

    Guards against a loud chord that turns into its negative.
    """
    loud = np.full(24_000, 1.5)
    loud[::2] = 0.25
    soundfile.write(tmp_path / "loud.wav", loud, 24_000, subtype="FLOAT")
    samples, told = decoded(tmp_path / "loud.wav", tmp_path)
    assert told.peak == pytest.approx(1.5)
    assert told.clipped_frames == 12_000
    assert samples.min() > 0
    assert samples.max() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("ending", ["m4a", "webm", "mp3"])
def test_looking_at_channels_changes_no_stored_sample(
    more_forms: Path, tmp_path: Path, ending: str
) -> None:
    """What is stored is the resampled mean of libav's own channels, to the last of 24 bits.

    Guards against a measurement that touches what it measures.
    """
    original = more_forms / f"stage1_sol.{ending}"
    with av.open(str(original)) as container:
        frames = list(container.decode(audio=0))
    mono = np.concatenate([frame.to_ndarray() for frame in frames], axis=1).mean(axis=0)
    samples, _ = decoded(original, tmp_path)
    expected = soxr.resample(mono, frames[0].sample_rate, SAMPLE_RATE_HZ)
    assert np.abs(samples - expected).max() <= 2.0**-23


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "ending", ["-pcm16.wav", "-float.wav", "-pcm24.flac", ".mp3", ".m4a", ".webm", ".ogg"]
)
def test_each_second_of_the_original_is_measured(
    more_forms: Path, tmp_path: Path, name: str, ending: str
) -> None:
    """Every form gives a row a second, without clipping, and the band of the sampled piano.

    Guards against levels that depend on the decoder; the piano's samples end at 12 kHz.
    """
    _, told = decoded(more_forms / f"{name}{ending}", tmp_path)
    assert told.source_levels["second"].to_list() == list(range(math.ceil(told.duration_s)))
    assert told.source_levels["clipped_share"].to_list() == [0.0] * told.source_levels.height
    # Opus carries on to 20 kHz the dither that its encoder's 16 bits have put there.
    band_hz = told.source_levels["bandwidth_hz"].drop_nulls()
    assert band_hz.min() >= 10_000
    assert band_hz.median() <= (20_600 if ending == ".webm" else 13_000)


@pytest.mark.parametrize("seconds", [2.0, 23.5])
@pytest.mark.parametrize(
    ("ending", "subtype"),
    [
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "FLOAT"),
        ("aiff", "PCM_16"),
        ("flac", "PCM_24"),
    ],
)
def test_one_clipped_channel_is_seen(
    tmp_path: Path, ending: str, subtype: str, seconds: float
) -> None:
    """Clipping of one channel counts for its half, second by second, whichever decoder reads it.

    Guards against measuring the downmix, in which the other channel rounds the flat tops off.
    """
    rate_hz = 44_100
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    loud = np.clip(1.5 * np.sin(2 * np.pi * 220 * time_s), -0.9, 0.9)
    loud[time_s < 1.0] = 0.5 * np.sin(2 * np.pi * 220 * time_s[time_s < 1.0])
    other = 0.4 * np.sin(2 * np.pi * 331 * time_s)
    original = tmp_path / f"clipped.{ending}"
    soundfile.write(original, np.column_stack([loud, other]), rate_hz, subtype=subtype)
    _, told = decoded(original, tmp_path)
    share = told.source_levels["clipped_share"].to_list()
    expected = 0.5 * (1 - 2 / math.pi * math.asin(0.9 / 1.5))
    assert share[0] == 0.0
    assert share[1:] == pytest.approx([expected] * (len(share) - 1), rel=0.02)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.97])
@pytest.mark.parametrize(
    "ending", ["-pcm16.wav", "-float.wav", ".flac", ".mp3", ".m4a", ".webm", ".opus", ".ogg"]
)
def test_a_part_of_a_file_is_found_out(
    more_forms: Path, tmp_path: Path, ending: str, share: float
) -> None:
    """A file that stops early is named truncated or corrupt, never stored as if it were whole.

    Guards against pedalboard's full-length zeros and libav's silent end of file.
    """
    content = (more_forms / f"stage1_sol{ending}").read_bytes()
    half = tmp_path / f"half{ending}"
    half.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ItemError) as error:
        decode_to_flac(half, tmp_path / "stored.flac")
    assert error.value.reason in {"truncated", "corrupt_audio"}
    assert half.name in error.value.detail


@pytest.mark.parametrize("ending", ["-pcm16.wav", ".flac"])
def test_a_lossless_file_must_be_complete(more_forms: Path, tmp_path: Path, ending: str) -> None:
    """A wav or flac whose header counts its samples may lack none of them, not even 0.5 %.

    Guards against 18 missing seconds at the end of an hour, which a share of 0.99 lets through.
    """
    content = (more_forms / f"stage1_sol{ending}").read_bytes()
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(content[: int(len(content) * 0.995)])
    with pytest.raises(ItemError, match=r"truncated|corrupt_audio"):
        decode_to_flac(cut, tmp_path / "stored.flac")


def test_a_damaged_flac_frame_is_found_out(tmp_path: Path) -> None:
    """One flipped byte in the middle of a long flac is corrupt, and its end is not moved forward.

    Guards against libav, which drops the bad frame in silence: all later samples come 0.1 s early.
    """
    original = tmp_path / "damaged.flac"
    soundfile.write(original, noise(30.0, 44_100), 44_100)
    content = bytearray(original.read_bytes())
    content[len(content) // 2] ^= 0xFF
    original.write_bytes(content)
    with pytest.raises(ItemError, match=r"truncated|corrupt_audio"):
        decode_to_flac(original, tmp_path / "stored.flac")


@pytest.mark.parametrize("where", ["end", "start", "middle"])
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_real_silence_is_not_truncation(tmp_path: Path, ending: str, where: str) -> None:
    """Exact zeros that were recorded stay, at their place.

    Guards against a suspicion of zeros that throws away recordings with a faded end.
    """
    sound, silence = noise(2.0, 44_100), np.zeros((2 * 44_100, 2))
    parts = {"end": [sound, silence], "start": [silence, sound], "middle": [sound, silence, sound]}
    original = tmp_path / f"faded.{ending}"
    soundfile.write(original, np.concatenate(parts[where]), 44_100)
    samples, told = decoded(original, tmp_path)
    assert told.duration_s == pytest.approx(2.0 * len(parts[where]))
    assert told.longest_zero_run_s == pytest.approx(2.0, abs=0.01)
    assert np.abs(samples - one_shot(original)).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("zero.mp3", b""),
        ("zeros.m4a", bytes(50_000)),
        ("random.mp3", np.random.default_rng(1).bytes(200_000)),
        ("random.webm", np.random.default_rng(2).bytes(200_000)),
        ("bytes.flac", bytes(range(256)) * 400),
        ("random.flac", b"fLaC" + np.random.default_rng(3).bytes(50_000)),
        ("random.wav", b"RIFF\x10\x00\x00\x00WAVE" + np.random.default_rng(4).bytes(50_000)),
        ("random.ogg", b"OggS" + np.random.default_rng(5).bytes(50_000)),
        ("page.mp3", b"<!doctype html><html><body>Please sign in</body></html>" * 50),
        ("page.txt", b"plain words, line by line\n" * 500),
        ("answer.json", b'{"error": "quota"}'),
    ],
)
def test_what_is_no_audio_is_said_so(tmp_path: Path, name: str, content: bytes) -> None:
    """Bytes that are no recording are the item's fault, with a reason and the file's name.

    Guards against a login page stored as music, and against a decoder's bare exception.
    """
    original = tmp_path / name
    original.write_bytes(content)
    with pytest.raises(ItemError) as error:
        decode_to_flac(original, tmp_path / "stored.flac")
    # Noise can look like the head of a long mp3, hence truncated; it is the item's fault anyway.
    assert error.value.reason in {"corrupt_audio", "no_audio", "truncated"}
    assert name in error.value.detail


def test_a_video_without_sound_is_said_so(tmp_path: Path) -> None:
    """A film without an audio track is `no_audio`.

    Guards against a crash on the first stream that is not there.
    """
    original = tmp_path / "silent.mp4"
    with av.open(str(original), "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            film.mux(stream.encode(picture))
        film.mux(stream.encode(None))
    with pytest.raises(ItemError, match="no_audio"):
        decode_to_flac(original, tmp_path / "stored.flac")


def test_an_empty_wav_is_said_so(tmp_path: Path) -> None:
    """A file with a good head and no samples is `no_audio`.

    Guards against a recording of length 0 in the collection.
    """
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 44_100)
    with pytest.raises(ItemError, match="no_audio"):
        decode_to_flac(tmp_path / "empty.wav", tmp_path / "stored.flac")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_number_are_corrupt(tmp_path: Path, value: float) -> None:
    """One NaN or infinity in a float file is `corrupt_audio`.

    Guards against a NaN that the resampler spreads and the encoder embeds.
    """
    samples = noise(1.0, 44_100, 1)
    samples[20_000] = value
    soundfile.write(tmp_path / "nan.wav", samples, 44_100, subtype="FLOAT")
    with pytest.raises(ItemError, match="corrupt_audio"):
        decode_to_flac(tmp_path / "nan.wav", tmp_path / "stored.flac")


@pytest.mark.parametrize(
    ("claimed_s", "complete"),
    [(None, True), (8.0, True), (8.9, True), (9.0, True), (4.0, True), (9.5, False), (60.0, False)],
)
def test_the_sources_claim_is_held_against_it(
    more_forms: Path, tmp_path: Path, claimed_s: float | None, complete: bool
) -> None:
    """Much less than the source says is truncated; a rounded second is not.

    Guards against a cut that came before the container was made, so that its header agrees.
    """
    original, target = more_forms / "stage1_sol.webm", tmp_path / "stored.flac"
    if complete:
        assert decode_to_flac(original, target, claimed_duration_s=claimed_s).duration_s > 7.9
    else:
        with pytest.raises(ItemError, match=r"truncated.*that the source says"):
            decode_to_flac(original, target, claimed_duration_s=claimed_s)


def test_an_original_opens_no_other_file(more_forms: Path, tmp_path: Path) -> None:
    """A playlist that names another file is no audio: only what was fetched is decoded.

    Guards against a foreign server that hands out an `.m3u8` by which libav reads this machine's
    files, or stores one recording under another one's name and hash.
    """
    playlist = tmp_path / "original.m3u8"
    (tmp_path / "other.mp3").write_bytes((more_forms / "stage1_sol.mp3").read_bytes())
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:8,\nother.mp3\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(ItemError):
        decode_to_flac(playlist, tmp_path / "stored.flac")


@pytest.mark.parametrize("limit_bytes", [100_000, 1_500_000])
def test_full_disk_is_ours(tmp_path: Path, limit_bytes: int) -> None:
    """No room for the FLAC is `disk_full`, however much of it was written before.

    Guards against libsndfile, which keeps no error number: a full disk would be a bug of ours in
    each of ten thousand receipts. The limit is the operating system's own.
    """
    original = tmp_path / "noise.wav"
    soundfile.write(original, noise(40.0, 24_000, 1), 24_000)
    folder = tmp_path / "scratch"
    folder.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            LIMITED_DECODE,
            str(original),
            str(folder / "x.flac"),
            str(limit_bytes),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["SetupError", "disk_full", "True"], done.stderr[-500:]
    assert [path.name for path in folder.iterdir()] in ([], ["x.flac"])


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Twenty minutes of stereo take no more memory than one, within 80 MB.

    Guards against reading a five-hour session whole. The peak is the child's own (`VmHWM`):
    `ru_maxrss` would count the parent's, which holds torch.
    """
    peaks = []
    block = noise(10.0, 44_100)
    for minutes in (1, 20):
        original = tmp_path / f"long{minutes}.wav"
        with soundfile.SoundFile(original, "w", 44_100, 2, subtype="PCM_16") as file:
            for _ in range(6 * minutes):
                file.write(block)
        done = subprocess.run(
            [sys.executable, "-c", PEAK_MEMORY, str(original), str(tmp_path / "stored.flac")],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(re.sub(r"\D", "", done.stdout)) / 1024)
        original.unlink()
    assert peaks[1] - peaks[0] < 80


class OncePast:
    """Bytes that go by once, in whatever pieces they come; counts them, or fails on the way."""

    def __init__(self, content: bytes, fails_at: int | None = None) -> None:
        self.read_bytes = 0
        self._content = content
        self._fails_at = fails_at

    def read(self, size: int, /) -> bytes:
        """The next piece; where it would pass `fails_at`, an error instead."""
        if self._fails_at is not None and self.read_bytes + size > self._fails_at:
            raise WorldError("network", "the line is dead")
        piece = self._content[self.read_bytes : self.read_bytes + size]
        self.read_bytes += len(piece)
        return piece


def told_of(decode: Callable[[Path], DecodedAudio], target: Path) -> tuple[object, ...]:
    """All that came of decoding: what was told and the FLAC's bytes, or the error's reason."""
    try:
        told = decode(target)
    except ItemError as error:
        return (error.reason,)
    return told, told.source_levels.to_dicts(), target.read_bytes()


def both_ways(content: bytes, folder: Path, name: str) -> list[tuple[object, ...]]:
    """What comes of the same bytes as a file, and as a stream that is read to its end."""
    original, stream = folder / name, OncePast(content)
    original.write_bytes(content)
    by_path = told_of(lambda target: decode_to_flac(original, target), folder / "path.flac")
    by_stream = told_of(
        lambda target: decode_stream_to_flac(stream, len(content), target, name=name),
        folder / "stream.flac",
    )
    assert stream.read_bytes == len(content) or len(by_stream) == 1
    return [by_path, by_stream]


@pytest.mark.parametrize(
    "ending",
    [
        *("-pcm16.wav", "-pcm24.wav", "-float.wav", "-pcm24.flac", ".flac"),
        *(".mp3", ".m4a", ".webm", ".opus", ".ogg"),
    ],
)
def test_a_stream_gives_the_files_flac(more_forms: Path, tmp_path: Path, ending: str) -> None:
    """Each form gives the same FLAC, byte for byte, and the same figures, as file and as stream.

    Guards against two ways of decoding, one of which starts late or is louder.
    """
    content = (more_forms / f"stage1_sol{ending}").read_bytes()
    by_path, by_stream = both_ways(content, tmp_path, f"sol{ending}")
    assert len(by_path) == 3
    assert by_stream == by_path


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


@st.composite
def wav_files(draw: st.DrawFn) -> bytes:
    """Wavs as programs write them: chunks before and after the samples, whole or cut anywhere."""
    rate_hz = draw(st.sampled_from((8_000, 22_050, 44_100, 48_000, 96_000)))
    lengths = st.one_of(st.integers(0, 2_000), st.integers(rate_hz // 2, rate_hz))
    frames, channels = draw(lengths), draw(st.integers(1, 3))
    subtype = draw(st.sampled_from(("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ALAW")))
    form = draw(st.sampled_from(("WAV", "WAVEX", "RF64")))
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        noise(frames / rate_hz, rate_hz, channels, seed=frames),
        rate_hz,
        format="WAV" if subtype == "ALAW" else form,
        subtype=subtype,
    )
    plain = buffer.getvalue()
    before = draw(st.lists(st.sampled_from((0, 1, 26, 4_096, 70_000)), max_size=2))
    after = draw(st.lists(st.sampled_from((1, 34, 5_000)), max_size=2))
    first = 12 if plain[:4] == b"RIFF" else 48  # RF64 must begin with its sizes
    made = b"".join(
        [plain[:first], *(chunk(b"LIST", bytes(size)) for size in before), plain[first:]]
        + [chunk(b"id3 ", b"\x07" * size) for size in after]
    )
    if made[:4] == b"RIFF" and draw(st.booleans()):  # some programs append and do not count
        made = made[:4] + (len(made) - 8).to_bytes(4, "little") + made[8:]
    cut = draw(st.one_of(st.none(), st.integers(0, len(made)), st.integers(1, 300).map(neg)))
    return made[:cut]


@given(content=wav_files())
@example(content=b"")
@example(content=b"RIFF")
@example(content=b"RIFF\x10\x00\x00\x00WAVEfmt \xff\xff\xff\xff")
@settings(max_examples=150)
def test_any_wav_is_the_same_as_file_and_as_stream(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever a wav's layout, and wherever it is cut: the same FLAC, or the same kind of error.

    Guards against a stream that takes chunks behind the samples for sound, and against a truncated
    wav which passes one way and not the other.
    """
    by_path, by_stream = both_ways(content, tmp_path_factory.mktemp("wav"), "made.wav")
    if len(by_path) == 1:
        assert len(by_stream) == 1
    else:
        assert by_stream == by_path


@pytest.mark.parametrize("ending", ["-pcm16.wav", ".m4a"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9999])
def test_what_a_stream_raises_comes_out(
    more_forms: Path, tmp_path: Path, ending: str, share: float
) -> None:
    """An error of the stream comes out as it was raised, from the first byte to the last.

    Guards against pedalboard, which would make zeros of it, and a network fault that becomes the
    recording's own.
    """
    content = (more_forms / f"stage1_sol{ending}").read_bytes()
    stream = OncePast(content, fails_at=int(share * len(content)))
    with pytest.raises(WorldError, match="the line is dead"):
        decode_stream_to_flac(stream, len(content), tmp_path / "stored.flac", name=f"sol{ending}")
    assert {path.name for path in tmp_path.iterdir()} <= {"stored.flac"}


def test_a_stream_is_measured_by_its_own_size(more_forms: Path, tmp_path: Path) -> None:
    """A wav that was cut before it was put into an archive is truncated, and the item is named.

    Guards against an archive's check sum, which such a file has right.
    """
    content = (more_forms / "stage1_sol-pcm16.wav").read_bytes()[:-100_000]
    with pytest.raises(ItemError, match=r"truncated: 2004/sol\.wav"):
        decode_stream_to_flac(
            OncePast(content), len(content), tmp_path / "stored.flac", name="2004/sol.wav"
        )
