"""One recording through fetch, decode and cut, from the loopback channel to its receipts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.originals import video_source
from data_collection.recordings.receipts import Settled
from data_collection.recordings.segments import ClipGrid
from data_collection.recordings.sounds import SoundThresholds
from data_collection.recordings.stages import read_segments, settle_audio, settle_segments
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.sample.media import Container
from data_collection.sample.server import Fault, Site, Video
from data_collection_tests.clips import SCORER

ONCE = video_source(FetchOptions(attempts=1, retry_wait_s=0))


def published(
    site: Site,
    media: Path,
    id_: str,
    *,
    fault: Fault | None = None,
    claimed_s: float | None = None,
) -> Recording:
    """Put a video on the channel and describe it as the catalogue would."""
    site.videos[id_] = Video(id=id_, title="T", media=media, fault=fault)
    return Recording(
        recording_id=f"web_{id_}",
        source_id=id_,
        source_url=f"{site.url}/media/{id_}{media.suffix}",
        title="T",
        duration_s=claimed_s,
    )


def clips_of(store: Store, tier: Tier, recording_id: str, grid: ClipGrid) -> Settled:
    return settle_segments(store, tier, recording_id, grid, SCORER, SoundThresholds())


def scratch_of(store: Store) -> list[Path]:
    return list(Path(str(store.root / ".scratch")).iterdir())


@pytest.mark.parametrize("container", ["flac", "m4a", "webm", "mp3"])
def test_a_good_recording_is_done(
    store: Store, tier: Tier, loopback: Site, media_folder: Path, container: Container
) -> None:
    """Audio and clips are stored with receipts that name them; a second run fetches nothing.

    Guards against a receipt that says done without its file, and against fetching twice.
    """
    media = media_folder / f"stage1_sol.{container}"
    recording = published(loopback, media, f"stage-{container}", claimed_s=8.0)
    audio = settle_audio(store, tier, recording, ONCE)
    assert (audio.receipt.state, audio.receipt.reason) == ("done", None)
    stored = audio.receipt.outputs[0]
    assert stored.path == f"t9_made/audio/{recording.recording_id}.flac"
    assert hashlib.sha256(store.path(stored.path).read_bytes()).hexdigest() == stored.sha256
    expected = hashlib.sha256(media.read_bytes()).hexdigest()
    assert audio.receipt.facts["original_sha256"] == expected
    assert audio.receipt.facts["duration_s"] == pytest.approx(8.0, abs=0.05)
    asked = loopback.requests.total()
    assert settle_audio(store, tier, recording, ONCE).skipped
    assert loopback.requests.total() == asked
    assert scratch_of(store) == []
    segments = clips_of(store, tier, recording.recording_id, ClipGrid())
    assert (segments.receipt.state, segments.receipt.facts["clips_kept"]) == ("done", 1)
    assert read_segments(store, tier, recording.recording_id)["frame_count"][0] == pytest.approx(
        8 * 24_000, abs=1_200
    )


@pytest.mark.parametrize("container", ["flac", "m4a", "webm", "mp3"])
@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        ("truncated", {"truncated", "corrupt_audio"}),
        ("garbage", {"truncated", "corrupt_audio", "no_audio"}),
    ],
)
def test_what_only_decoding_finds_out(
    store: Store,
    tier: Tier,
    loopback: Site,
    media_folder: Path,
    container: Container,
    fault: Fault,
    reasons: set[str],
) -> None:
    """Half a body and rubbish are successes to yt-dlp; the stage fails them, and leaves no file.

    Guards against half a recital in the training set.
    """
    id_ = f"bad-{fault}-{container}"
    recording = published(loopback, media_folder / f"stage1_sol.{container}", id_, fault=fault)
    settled = settle_audio(store, tier, recording, ONCE)
    assert (settled.receipt.state, settled.receipt.attempts) == ("failed", 1)
    assert settled.receipt.reason in reasons
    assert not settled.stops_batch
    assert not store.path(f"t9_made/audio/{recording.recording_id}.flac").exists()
    assert scratch_of(store) == []
    loopback.videos[id_] = Video(id=id_, title="T", media=media_folder / f"stage1_sol.{container}")
    again = settle_audio(store, tier, recording, ONCE)
    assert (again.receipt.state, again.receipt.attempts) == ("done", 2)


def test_an_outage_costs_nothing(
    store: Store, tier: Tier, loopback: Site, media_folder: Path
) -> None:
    """A rate limit blocks, stops the batch and counts no attempt.

    Guards against a night of 429 that leaves everything failed.
    """
    media = media_folder / "stage1_sol.mp3"
    recording = published(loopback, media, "limited", fault="rate_limited")
    settled = settle_audio(store, tier, recording, ONCE)
    assert (settled.receipt.state, settled.receipt.attempts) == ("blocked", 0)
    assert settled.stops_batch


def test_another_address_is_the_same_recording(
    store: Store, tier: Tier, loopback: Site, media_folder: Path
) -> None:
    """A changed URL or title of the same source id is no reason to fetch again.

    Guards against a channel's renaming that costs a night of downloads.
    """
    recording = published(loopback, media_folder / "stage1_sol.mp3", "moves")
    settle_audio(store, tier, recording, ONCE)
    moved = recording.model_copy(update={"source_url": "http://127.0.0.1:1/x.mp3", "title": "U"})
    assert settle_audio(store, tier, moved, ONCE).skipped


def test_another_grid_cuts_anew_and_other_audio_too(
    store: Store, tier: Tier, loopback: Site, media_folder: Path
) -> None:
    """Clips depend on the grid and on the audio's hash, and on nothing else.

    Guards against clips of an earlier recording under a later one's id.
    """
    recording = published(loopback, media_folder / "stage1_sol.flac", "grid")
    settle_audio(store, tier, recording, ONCE)
    name = recording.recording_id
    assert clips_of(store, tier, name, ClipGrid()).receipt.facts["clips"] == 1
    assert clips_of(store, tier, name, ClipGrid()).skipped
    finer = ClipGrid(clip_s=2.0, min_tail_s=1.0)
    assert clips_of(store, tier, name, finer).receipt.facts["clips"] == 4
    other = published(loopback, media_folder / "final_okafor.flac", "grid").model_copy(
        update={"source_id": "grid-2"}
    )
    assert not settle_audio(store, tier, other, ONCE).skipped
    assert not clips_of(store, tier, name, finer).skipped


def test_silence_is_filtered_not_failed(
    store: Store, tier: Tier, loopback: Site, tmp_path: Path
) -> None:
    """A recording of silence is finished as filtered, with words.

    Guards against trying to embed it every night.
    """
    soundfile.write(tmp_path / "silence.flac", np.zeros(24_000 * 6), 24_000)
    recording = published(loopback, tmp_path / "silence.flac", "silent")
    assert settle_audio(store, tier, recording, ONCE).receipt.state == "done"
    receipt = clips_of(store, tier, recording.recording_id, ClipGrid()).receipt
    assert (receipt.state, receipt.reason) == ("filtered", "no_usable_clip")
    assert receipt.detail == "all 1 clips are filtered: silence"


def test_segments_wait_for_audio(store: Store, tier: Tier) -> None:
    """Without audio the stage is blocked and says what to materialize.

    Guards against a traceback where an order of work is missing.
    """
    settled = clips_of(store, tier, "web_none", ClipGrid())
    assert (settled.receipt.state, settled.receipt.reason) == ("blocked", "upstream_not_done")
    assert "t9_made/audio of web_none" in str(settled.receipt.detail)
    assert not settled.stops_batch
