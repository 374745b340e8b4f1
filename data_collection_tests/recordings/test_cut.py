"""Parts of one long original: cut to the sample, fetched once, each with its own receipt."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from data_collection.recordings.cut import cut_flac
from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.errors import ItemError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.originals import video_source
from data_collection.recordings.receipts import Settled
from data_collection.recordings.stages import settle_audio
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.sample.server import Fault, Site, Video

ONCE = video_source(FetchOptions(attempts=1, retry_wait_s=0))
LENGTH_S = 23.4567


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in all 24 bits, longer than two blocks and no whole number of seconds."""
    path = tmp_path_factory.mktemp("original") / "original.flac"
    whole = np.random.default_rng(3).integers(-(2**23), 2**23, round(LENGTH_S * SAMPLE_RATE_HZ))
    samples = (whole << 8).astype(np.int32)
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_24", format="FLAC")
    return path


def samples_of(path: Path) -> np.ndarray:
    samples: np.ndarray = soundfile.read(path, dtype="int32")[0]
    return samples


@given(cuts=st.lists(st.floats(0.01, LENGTH_S - 0.01), min_size=1, max_size=3, unique=True))
def test_parts_that_meet_are_the_original(
    original: Path, tmp_path_factory: pytest.TempPathFactory, cuts: list[float]
) -> None:
    """Every sample of the original is in one part, bit for bit, whatever the second it is cut at.

    Guards against a sample lost, doubled or rounded at a cut.
    """
    folder = tmp_path_factory.mktemp("parts")
    edges: list[float] = [0.0, *sorted(cuts)]
    ends: list[float | None] = [*edges[1:], None]
    frames = [round(edge * SAMPLE_RATE_HZ) for edge in edges]
    if len(set(frames)) < len(frames):
        return
    parts = []
    for index, (start_s, end_s) in enumerate(zip(edges, ends, strict=True)):
        part = folder / f"part{index}.flac"
        written = cut_flac(original, part, start_s=start_s, end_s=end_s)
        parts.append(samples_of(part))
        assert written == parts[-1].size
    assert np.array_equal(np.concatenate(parts), samples_of(original))


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(LENGTH_S + 1, None), (5.0, 60.0), (30.0, 40.0), (5.0, 5.0)]
)
def test_a_part_that_is_not_in_the_original_is_refused(
    original: Path, tmp_path: Path, start_s: float, end_s: float | None
) -> None:
    """Wrong time stamps are an error that names the part, never a shorter or an empty file."""
    with pytest.raises(ItemError, match=r"web_a_anna.*time stamps") as caught:
        cut_flac(original, tmp_path / "web_a_anna.flac", start_s=start_s, end_s=end_s)
    assert caught.value.reason == "cut_beyond_end"


def test_an_end_that_the_listing_rounded_up_is_the_end(original: Path, tmp_path: Path) -> None:
    """A listing says 24 s of a video of 23.46 s; its last part is not refused for that."""
    written = cut_flac(original, tmp_path / "p.flac", start_s=20.0, end_s=24.0)
    assert written == round(LENGTH_S * SAMPLE_RATE_HZ) - 20 * SAMPLE_RATE_HZ


def parts_of(site: Site, media: Path, *edges: float, fault: Fault | None = None) -> list[Recording]:
    """Put a session on the channel; its parts as the catalogue would describe them."""
    site.videos["session"] = Video(id="session", title="Session", media=media, fault=fault)
    return [
        Recording(
            recording_id=f"web_session_{index}",
            source_id="session",
            source_url=f"{site.url}/media/session{media.suffix}",
            title=f"Pianist {index}",
            duration_s=end_s - start_s,
            cut_from="web_session",
            source_start_s=start_s,
            source_end_s=end_s,
        )
        for index, (start_s, end_s) in enumerate(pairwise(edges))
    ]


def test_a_session_is_fetched_once_and_cut_into_its_parts(
    store: Store, tier: Tier, loopback: Site, media_folder: Path
) -> None:
    """Three parts, one fetch; each part is its slice of the one stored original, and says where.

    Guards against fetching five hours once a pianist, and against parts cut from different copies.
    """
    media = media_folder / "stage1_sol.webm"
    parts = parts_of(loopback, media, 0.5, 2.0, 5.25, 7.5)
    before = loopback.requests[f"/media/session{media.suffix}"]
    originals: dict[str, Settled] = {}
    settled = [settle_audio(store, tier, part, ONCE, originals) for part in parts]
    assert [item.receipt.state for item in settled] == ["done"] * 3
    fetched = loopback.requests[f"/media/session{media.suffix}"] - before
    whole = samples_of(Path(str(store.path("t9_made/originals/web_session.flac"))))
    for part, item in zip(parts, settled, strict=True):
        first = round((part.source_start_s or 0) * SAMPLE_RATE_HZ)
        end = round((part.source_end_s or 0) * SAMPLE_RATE_HZ)
        stored = samples_of(Path(str(store.path(item.receipt.outputs[0].path))))
        assert np.array_equal(stored, whole[first:end])
        assert item.receipt.facts["source_start_s"] == part.source_start_s
        assert item.receipt.facts["cut_from"] == "web_session"
        assert item.receipt.inputs == {"source_id": "session"}
    again = [settle_audio(store, tier, part, ONCE, {}) for part in parts]
    assert all(item.skipped for item in again)
    assert loopback.requests[f"/media/session{media.suffix}"] - before == fetched


def test_other_time_stamps_cut_anew_without_fetching(
    store: Store, tier: Tier, loopback: Site, media_folder: Path
) -> None:
    """A corrected description moves the cut; the stored original is cut again, not fetched."""
    media = media_folder / "stage1_sol.webm"
    settle_audio(store, tier, parts_of(loopback, media, 1.0, 3.0)[0], ONCE)
    asked = loopback.requests.total()
    moved = settle_audio(store, tier, parts_of(loopback, media, 2.0, 5.0)[0], ONCE)
    assert not moved.skipped
    assert moved.receipt.facts["duration_s"] == 3.0
    assert loopback.requests.total() == asked


def test_a_session_that_cannot_be_had_fails_each_part_and_is_asked_for_once(
    store: Store, tier: Tier, loopback: Site, media_folder: Path
) -> None:
    """Every part carries the session's own reason; one run does not fetch it once a part."""
    media = media_folder / "stage1_sol.webm"
    parts = parts_of(loopback, media, 0.0, 2.0, 4.0, 6.0, fault="truncated")
    originals: dict[str, Settled] = {}
    first = settle_audio(store, tier, parts[0], ONCE, originals)
    asked = loopback.requests.total()
    rest = [settle_audio(store, tier, part, ONCE, originals) for part in parts[1:]]
    assert loopback.requests.total() == asked
    for item in (first, *rest):
        assert item.receipt.state == "failed"
        assert item.receipt.reason in ("truncated", "corrupt_audio")
        assert "web_session" in (item.receipt.detail or "")
    loopback.videos["session"] = Video(id="session", title="Session", media=media)
    assert settle_audio(store, tier, parts[0], ONCE, {}).receipt.state == "done"
