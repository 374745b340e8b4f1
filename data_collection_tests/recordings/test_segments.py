"""The clip grid: clips tile a recording, and each filtered one says why."""

from __future__ import annotations

import io
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.recordings.segments import (
    SEGMENT_COLUMNS,
    SEGMENT_SCHEMA,
    ClipGrid,
    segment_table,
)
from data_collection_tests.clips import KEEP_ALL, NO_LEVELS, SCORER, cut

RATE_HZ = 24_000
CLIP_FRAMES = 720_000


def write_flac(path: Path, samples: npt.NDArray[np.float64]) -> Path:
    soundfile.write(path, samples, RATE_HZ, subtype="PCM_24", format="FLAC")
    return path


def noise(seconds: float, level: float = 0.1) -> npt.NDArray[np.float64]:
    made = np.random.default_rng(0).normal(0.0, level, round(seconds * RATE_HZ))
    return np.clip(made, -0.9, 0.9)


@pytest.mark.parametrize(
    ("seconds", "lengths_s", "reasons"),
    [
        (65.0, [30.0, 30.0, 5.0], [None, None, None]),
        (64.9, [30.0, 30.0, 4.9], [None, None, "tail_too_short"]),
        (60.0, [30.0, 30.0], [None, None]),
        (30.0, [30.0], [None]),
        (5.0, [5.0], [None]),
        (0.5, [0.5], ["tail_too_short"]),
        (1 / RATE_HZ, [1 / RATE_HZ], ["tail_too_short"]),
    ],
)
def test_clips_of_known_recordings(
    tmp_path: Path, seconds: float, lengths_s: list[float], reasons: list[str | None]
) -> None:
    """Clips are 30 s, the tail is what is left, and less than 5 s of it is filtered.

    Guards against tails padded with zeros and recordings that vanish without a row.
    """
    table = cut(write_flac(tmp_path / "a.flac", noise(seconds)), "yt_a", ClipGrid())
    assert dict(table.schema) == SEGMENT_SCHEMA
    assert (table["end_s"] - table["start_s"]).to_list() == pytest.approx(lengths_s)
    assert table["reason"].to_list() == reasons
    assert table["state"].to_list() == ["filtered" if reason else "kept" for reason in reasons]
    assert table["segment_id"].to_list() == [
        f"yt_a_seg{index:04d}" for index in range(len(reasons))
    ]
    assert table["start_frame"].to_list() == [CLIP_FRAMES * index for index in range(len(reasons))]


def test_silence_is_filtered_with_its_reason(tmp_path: Path) -> None:
    """A clip of silence or of hiss below the threshold is filtered; a quiet one is kept.

    Guards against embeddings of applause-free pauses, and against throwing away pianissimo.
    """
    digital, hiss, quiet = np.zeros(CLIP_FRAMES), noise(30, 0.0002), noise(30, 0.003)
    samples = np.concatenate([digital, hiss, quiet, noise(30)])
    table = cut(write_flac(tmp_path / "a.flac", samples), "yt_a", ClipGrid())
    assert table["reason"].to_list() == ["silence", "silence", None, None]
    assert table["silent_share"].to_list() == [1.0, 1.0, 0.0, 0.0]
    assert table["rms_dbfs"][0] == -120.0
    assert table["rms_dbfs"][2] == pytest.approx(20 * np.log10(0.003), abs=0.1)


def test_the_share_of_silence_decides(tmp_path: Path) -> None:
    """A clip is kept while at most nine tenths of it are silent.

    Guards against a soft end that is lost with its pause.
    """
    for silent_s, reason in ((26.8, None), (28.0, "silence")):
        samples = noise(30)
        samples[: round(silent_s * RATE_HZ)] = 0
        table = cut(write_flac(tmp_path / "a.flac", samples), "yt_a", ClipGrid())
        assert table["reason"].to_list() == [reason]
        assert table["silent_share"][0] == pytest.approx(silent_s / 30, abs=0.4 / 30)


def test_levels_are_those_of_the_clip(tmp_path: Path) -> None:
    """A full-scale square wave has 0 dBFS peak and RMS; a sine's RMS is 3 dB less.

    Guards against levels over the wrong clip or in the wrong unit.
    """
    sine = np.sin(2 * np.pi * 100 * np.arange(CLIP_FRAMES) / RATE_HZ)
    table = cut(
        write_flac(tmp_path / "a.flac", np.concatenate([sine, 0.5 * sine])), "yt_a", ClipGrid()
    )
    assert table["peak_dbfs"].to_list() == pytest.approx([0.0, -6.02], abs=0.01)
    assert table["rms_dbfs"].to_list() == pytest.approx([-3.01, -9.03], abs=0.01)


def test_a_clip_read_by_its_frames_is_the_slice(tmp_path: Path) -> None:
    """Seeking to `start_frame` and reading `frame_count` gives the recording's samples, bitwise.

    Guards against FLAC seeking that lands a block away, which shifts every label in time.
    """
    flac = write_flac(tmp_path / "a.flac", noise(65))
    whole, _ = soundfile.read(flac, dtype="float32")
    table = cut(flac, "yt_a", ClipGrid())
    with soundfile.SoundFile(flac) as file:
        for row in reversed(list(table.iter_rows(named=True))):
            file.seek(row["start_frame"])
            clip = file.read(row["frame_count"], dtype="float32")
            expected = whole[row["start_frame"] : row["start_frame"] + row["frame_count"]]
            assert clip.size == row["frame_count"]
            assert np.array_equal(clip, expected)


@settings(max_examples=40)
@given(
    frames=st.integers(min_value=1, max_value=150_000),
    clip_s=st.sampled_from([0.5, 0.7, 1.0, 1.1, 3.3]),
)
def test_clips_tile_the_recording(frames: int, clip_s: float) -> None:
    """Whatever the length, clips follow each other without gap or overlap, from 0 to the end.

    Guards against rounding seconds to frames twice, which drifts over an hour.
    """
    with tempfile.TemporaryDirectory() as folder:
        flac = write_flac(Path(folder) / "a.flac", np.full(frames, 0.25))
        table = cut(flac, "yt_a", ClipGrid(clip_s=clip_s, min_tail_s=0.1))
    starts, counts = table["start_frame"].to_list(), table["frame_count"].to_list()
    ends = [start + count for start, count in zip(starts, counts, strict=True)]
    assert starts == [0, *ends[:-1]]
    assert ends[-1] == frames
    assert all(count == round(clip_s * RATE_HZ) for count in counts[:-1])
    assert table["start_s"].to_list() == pytest.approx([start / RATE_HZ for start in starts])
    assert table["end_s"].to_list() == pytest.approx([end / RATE_HZ for end in ends])
    assert table["segment_index"].to_list() == list(range(table.height))


def test_the_schema_survives_parquet_and_is_described(tmp_path: Path) -> None:
    """Types come back from parquet as they went in, and each column has a description.

    Guards against an all-null `reason` that turns into another type.
    """
    table = cut(write_flac(tmp_path / "a.flac", noise(6)), "yt_a", ClipGrid())
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    assert pl.read_parquet(io.BytesIO(buffer.getvalue())).equals(table)
    assert dict(pl.read_parquet(io.BytesIO(buffer.getvalue())).schema) == SEGMENT_SCHEMA
    assert SEGMENT_COLUMNS.keys() == SEGMENT_SCHEMA.keys()


def test_what_is_no_piano_alone_is_filtered_where_that_is_asked(tmp_path: Path) -> None:
    """The share stands in the row either way; the reason only where a smallest share is set.

    Guards against a channel's other music among the examples, and against a threshold that filters
    sources which are a piano's by construction.
    """
    phase = np.cumsum(np.repeat([220.0, 277.2, 329.6, 440.0] * 6, RATE_HZ // 2)) / RATE_HZ
    flac = write_flac(tmp_path / "a.flac", 0.1 * (2 * (phase % 1) - 1))
    marked = cut(flac, "yt_a", ClipGrid())
    asked = replace(KEEP_ALL, min_solo_piano=0.15)
    refused = segment_table(
        flac,
        "yt_a",
        ClipGrid(),
        sounds=SCORER,
        thresholds=asked,
        source_levels=NO_LEVELS,
    )
    assert marked["solo_piano"].to_list() == refused["solo_piano"].to_list()
    assert 0 <= marked["solo_piano"][0] < 0.15
    assert marked["reason"].to_list() == [None]
    assert refused["reason"].to_list() == ["not_solo_piano"]
    assert refused["state"].to_list() == ["filtered"]


@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 1), (24_000, 2)])
def test_only_the_stored_form_is_cut(tmp_path: Path, rate_hz: int, channels: int) -> None:
    """A file that is not mono at 24 kHz is refused.

    Guards against clips of half the length they claim.
    """
    soundfile.write(tmp_path / "a.flac", np.zeros((rate_hz, channels)), rate_hz)
    with pytest.raises(ValueError, match="expected mono at 24000 Hz"):
        cut(tmp_path / "a.flac", "yt_a", ClipGrid())
