"""Fetching by the real yt-dlp from the loopback channel, good and bad."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args

import pytest
import stamina.instrumentation
from stamina.instrumentation import RetryDetails

from data_collection.recordings.errors import ItemError, RecordingError, SetupError, WorldError
from data_collection.recordings.fetch import FetchOptions, fetch, is_loopback
from data_collection.sample.media import Container
from data_collection.sample.server import Fault, Site, Video

TWO_TRIES = FetchOptions(attempts=2, retry_wait_s=0)
LIMITED_FETCH = """
import resource, sys
from pathlib import Path
import yt_dlp.extractor.generic, imageio_ffmpeg, deno
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.fetch import FetchOptions, fetch
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    fetch(sys.argv[1], Path(sys.argv[2]), FetchOptions(attempts=3, retry_wait_s=0))
except RecordingError as error:
    print(type(error).__name__, error.reason, error.stops_batch)
"""


@contextmanager
def on_each_retry(act: object) -> Iterator[None]:
    """Let something happen between two tries, at the moment the second is planned."""
    stamina.instrumentation.set_on_retry_hooks([act])  # type: ignore[list-item]
    try:
        yield
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)


def media_url(site: Site, video: Video) -> str:
    return f"{site.url}/media/{video.id}{video.media.suffix}"


def tries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("container", get_args(Container))
@pytest.mark.parametrize("has_page", [False, True])
def test_each_container_comes_whole(
    loopback: Site, media_folder: Path, tmp_path: Path, container: Container, has_page: bool
) -> None:
    """What is fetched, from a file's or a page's address, is the file, byte by byte, and its hash.

    Guards against a download that is remuxed, cut or renamed on its way.
    """
    media = media_folder / f"stage1_sol.{container}"
    video = Video(id=f"whole-{container}", title="W", media=media, claimed_duration_s=8.0)
    loopback.videos[video.id] = video
    url = f"{loopback.url}/watch/{video.id}" if has_page else media_url(loopback, video)
    fetched = fetch(url, tmp_path, FetchOptions(attempts=1))
    assert fetched.path.read_bytes() == media.read_bytes()
    assert fetched.sha256 == hashlib.sha256(media.read_bytes()).hexdigest()
    assert fetched.size_bytes == media.stat().st_size
    assert fetched.claimed_duration_s == (8.0 if has_page else None)
    assert fetched.path.suffix == f".{container}"


@pytest.mark.parametrize("has_page", [False, True])
@pytest.mark.parametrize(
    ("fault", "reason", "kind", "tried", "stops"),
    [
        ("gone", "removed", ItemError, 1, False),
        ("forbidden", "login_required", ItemError, 1, False),
        ("geo_blocked", "geo_blocked", ItemError, 1, False),
        ("rate_limited", "too_many_requests", WorldError, 1, True),
        ("server_error", "server_error", WorldError, 2, False),
        ("empty", "truncated", ItemError, 2, False),
    ],
)
@pytest.mark.usefixtures("quick_retries")
def test_each_fault_has_its_reason(
    loopback: Site,
    media_folder: Path,
    tmp_path: Path,
    fault: Fault,
    reason: str,
    kind: type[RecordingError],
    tried: int,
    stops: bool,
    has_page: bool,
) -> None:
    """A bad video names its reason and culprit, after as many tries as make sense for it.

    Guards against hammering a server that said 429, and against giving a dead video three tries.
    """
    video = Video(
        id=f"fault-{fault}-{has_page}",
        title="F",
        media=media_folder / "stage1_sol.flac",
        fault=fault,
    )
    loopback.videos[video.id] = video
    path = f"/watch/{video.id}" if has_page else f"/media/{video.id}.flac"
    with pytest.raises(RecordingError) as error:
        fetch(loopback.url + path, tmp_path, TWO_TRIES)
    assert (error.value.reason, type(error.value)) == (reason, kind)
    assert error.value.stops_batch is stops
    assert loopback.url + path in error.value.detail
    assert tries(tmp_path) == [f"try{number}" for number in range(1, tried + 1)]
    if fault != "empty":
        assert loopback.requests[path] == tried


@pytest.mark.usefixtures("quick_retries")
def test_a_dead_host_is_the_worlds_fault(tmp_path: Path) -> None:
    """A host that does not answer costs the item nothing and does not stop the others.

    Guards against one dead mirror that marks its recordings as failed.
    """
    with pytest.raises(WorldError) as error:
        fetch("http://127.0.0.1:1/x.flac", tmp_path, TWO_TRIES)
    assert (error.value.reason, error.value.stops_batch) == ("network", False)
    assert tries(tmp_path) == ["try1", "try2"]


@pytest.mark.parametrize("attempts", [1, 2, 3])
@pytest.mark.usefixtures("quick_retries")
def test_no_more_tries_than_stated(
    loopback: Site, media_folder: Path, tmp_path: Path, attempts: int
) -> None:
    """The server sees exactly the stated number of tries.

    Guards against retries that multiply: ours, yt-dlp's and Dagster's.
    """
    video = Video(
        id=f"stubborn-{attempts}",
        title="S",
        media=media_folder / "stage1_sol.mp3",
        fault="server_error",
    )
    loopback.videos[video.id] = video
    with pytest.raises(WorldError):
        fetch(media_url(loopback, video), tmp_path, FetchOptions(attempts=attempts))
    assert loopback.requests[f"/media/{video.id}.mp3"] == attempts


@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_recovers_is_fetched_from(
    loopback: Site, media_folder: Path, tmp_path: Path
) -> None:
    """A fault that passes between two tries leaves a good file and no error.

    Guards against giving up on the first 503 of a night.
    """
    media = media_folder / "stage1_sol.webm"
    good = Video(id="recovers", title="R", media=media)
    loopback.videos["recovers"] = Video(id="recovers", title="R", media=media, fault="server_error")

    def recover(_: RetryDetails) -> None:
        loopback.videos["recovers"] = good

    with on_each_retry(recover):
        fetched = fetch(media_url(loopback, good), tmp_path, TWO_TRIES)
    assert fetched.path.read_bytes() == media.read_bytes()
    assert fetched.path.parent.name == "try2"


@pytest.mark.usefixtures("quick_retries")
def test_each_try_starts_from_nothing(media_folder: Path, tmp_path: Path) -> None:
    """The second try does not continue the first one's half, which may be of another file.

    Guards against yt-dlp's gluing of a new body onto a stale `.part`.
    """
    good = (media_folder / "stage1_sol.flac").read_bytes()
    answers = {"content": bytes(len(good) // 2)}

    class Short(BaseHTTPRequestHandler):
        """States the good file's length, whatever it then sends; knows no ranges."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "audio/flac")
            self.send_header("Content-Length", str(len(good)))
            self.end_headers()
            self.wfile.write(answers["content"])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    def recover(_: RetryDetails) -> None:
        answers["content"] = good

    with ThreadingHTTPServer(("127.0.0.1", 0), Short) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with on_each_retry(recover):
            url = f"http://127.0.0.1:{server.server_port}/take.flac"
            fetched = fetch(url, tmp_path, TWO_TRIES)
        server.shutdown()
    assert fetched.path.parent.name == "try2"
    assert fetched.path.read_bytes() == good


def test_the_configured_pause_is_kept(loopback: Site, media_folder: Path, tmp_path: Path) -> None:
    """The pause before the second try is at least the one that was asked for.

    Guards against stamina's own upper bound of 5 s, which makes FETCH_RETRY_WAIT_S=60 a lie.
    """
    video = Video(
        id="paused", title="P", media=media_folder / "stage1_sol.mp3", fault="server_error"
    )
    loopback.videos[video.id] = video
    planned: list[float] = []

    class SeenEnoughError(Exception):
        """Ends the wait before it begins."""

    def note(details: RetryDetails) -> None:
        planned.append(details.wait_for)
        raise SeenEnoughError

    with on_each_retry(note), pytest.raises(SeenEnoughError):
        fetch(media_url(loopback, video), tmp_path, FetchOptions(attempts=2, retry_wait_s=60.0))
    assert planned[0] >= 60.0


def test_full_disk_is_ours_and_stops(loopback: Site, media_folder: Path, tmp_path: Path) -> None:
    """No room while downloading is `disk_full`, told at once, at no item's cost.

    Guards against a full disk that fails every recording of the batch, one by one, three times.
    """
    video = Video(id="large", title="L", media=media_folder / "stage1_sol.flac")
    assert video.media.stat().st_size > 100_000
    loopback.videos[video.id] = video
    done = subprocess.run(
        [sys.executable, "-c", LIMITED_FETCH, media_url(loopback, video), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-3:] == [SetupError.__name__, "disk_full", "True"]
    assert tries(tmp_path) == ["try1"]


def test_nothing_is_printed(
    loopback: Site, media_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """yt-dlp writes neither to stdout nor to stderr, on success or failure.

    Guards against progress bars in Dagster's captured logs.
    """
    good = Video(id="quiet", title="Q", media=media_folder / "stage1_sol.mp3")
    bad = Video(id="quiet-gone", title="Q", media=good.media, fault="gone")
    loopback.videos |= {good.id: good, bad.id: bad}
    fetch(media_url(loopback, good), tmp_path / "good", FetchOptions(attempts=1))
    with pytest.raises(ItemError):
        fetch(media_url(loopback, bad), tmp_path / "bad", FetchOptions(attempts=1))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/a", True),
        ("http://localhost/a", True),
        ("http://[::1]:9/a", True),
        ("https://www.youtube.com/watch?v=x", False),
        ("http://127.0.0.1.example.org/a", False),
        ("http://localhost.example.org/", False),
        ("http://10.0.0.1/", False),
        ("not a url", False),
    ],
)
def test_only_this_machine_is_spared_politeness(url: str, expected: bool) -> None:
    """Pauses are left out for loopback alone.

    Guards against hammering a host whose name merely begins like ours.
    """
    assert is_loopback(url) is expected


def test_a_proxy_is_not_asked_for_this_machine(
    loopback: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback is fetched directly whatever the environment's proxy; guards a lab's own mirror."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    video = loopback.videos["first"]
    url = f"{loopback.url}/media/first{video.media.suffix}"
    fetched = fetch(url, tmp_path, FetchOptions(attempts=1))
    assert fetched.size_bytes == video.media.stat().st_size
