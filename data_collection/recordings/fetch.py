"""Fetch one recording's original by the `yt_dlp.YoutubeDL` API.

What belongs here: yt-dlp's options and its one call. What does not: which error means what
(`fetch_errors`), reading the audio (`decode`), listing a channel (`listing`). yt-dlp takes 0.5 s to
import, so it is imported where it is called. Measured traps that shape the options: the API's
`retries` default to 0 where the command line's are 10; success is a file, not a return value; a
stale `.part` of another file is continued without complaint, hence a fresh folder for every try.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import stamina

from data_collection.recordings.errors import ItemError
from data_collection.recordings.fetch_errors import fetch_error, is_transient
from data_collection.recordings.store import sha256_of_file
from data_collection.recordings.video_page import VideoPage, page_of

AUDIO_FORMAT = "/".join(
    f"{kind}[format_id!*=?-drc][format_note!*=?DRC][format_note!*=?dubbed]"
    for kind in ("bestaudio", "best")
)
"""Best audio, never a `-drc` variant (its dynamics are flattened, and dynamics are the label) nor a
dubbed track; `!*=?` because a plain negated filter rejects formats that lack the field."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How politely and how stubbornly to fetch.

    Attributes:
        sleep_min_s: shortest pause before a download from a host that is not loopback, in seconds.
        sleep_max_s: longest such pause; guests get about 300 videos an hour from YouTube.
        attempts: tries within one run for errors that may pass.
        retry_wait_s: pause before the second try, doubling after that.
        socket_timeout_s: give up on a silent connection after this.
        rate_limit_bytes_s: upper bound of the download rate; None for none.
    """

    sleep_min_s: float = 10.0
    sleep_max_s: float = 20.0
    attempts: int = 3
    retry_wait_s: float = 2.0
    socket_timeout_s: float = 30.0
    rate_limit_bytes_s: int | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """An original as it came.

    Attributes:
        path: the file, in the folder that was given.
        sha256: hash of its bytes.
        size_bytes: its size.
        claimed_duration_s: what the source says it lasts; None where it does not say.
        extractor: yt-dlp's extractor.
        format: the format's id and codec.
        licence: as the source states it; None where it does not.
        page: description and chapters, which come with the same request.
    """

    path: Path
    sha256: str
    size_bytes: int
    claimed_duration_s: float | None
    extractor: str
    format: str
    licence: str | None
    page: VideoPage


def fetch(url: str, folder: Path, options: FetchOptions | None = None) -> Fetched:
    """Fetch a recording's original, trying again where the error may pass.

    Args:
        url: anything yt-dlp can read.
        folder: an empty folder; each try gets a fresh one inside it.
        options: pace and stubbornness.

    Returns:
        The file and what is known of it.

    Raises:
        ItemError: removed, private, truncated, empty, ...
        WorldError: network, rate limit, bot check.
        SetupError: no room, a tool is missing.
    """
    options = options or FetchOptions()
    retried = stamina.retry_context(
        on=is_transient,
        attempts=options.attempts,
        wait_initial=options.retry_wait_s,
        wait_max=options.retry_wait_s * 2**options.attempts,
        wait_jitter=options.retry_wait_s / 2,
        timeout=None,
    )
    for attempt in retried:
        with attempt:
            fresh = folder / f"try{attempt.num}"
            fresh.mkdir(parents=True)
            return _fetch_once(url, fresh, options)
    raise AssertionError("stamina always returns or raises")


def quiet_options(url: str, options: FetchOptions) -> dict[str, Any]:
    """Options of every `YoutubeDL` of this project: silent, JavaScript runtime from the package."""
    import deno

    try:
        runtime: dict[str, str] = {"path": deno.find_deno_bin()}
    except FileNotFoundError:  # yt-dlp then looks on PATH; `doctor` says so
        runtime = {}
    direct = {"proxy": ""} if is_loopback(url) else {}  # a lab's proxy does not know this machine
    return {
        **direct,
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Messages(),
        "cachedir": False,
        "socket_timeout": options.socket_timeout_s,
        "retries": 5,
        "fragment_retries": 5,
        "extractor_retries": 3,
        "js_runtimes": {"deno": runtime},
    }


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, to which no politeness is due."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fetch_once(url: str, folder: Path, options: FetchOptions) -> Fetched:
    import imageio_ffmpeg
    import yt_dlp
    from yt_dlp.networking.exceptions import RequestError

    parameters = {
        **quiet_options(url, options),
        "format": AUDIO_FORMAT,
        "outtmpl": {"default": "original.%(ext)s"},
        "paths": {"home": str(folder)},
        "noplaylist": True,
        "playlist_items": "1",
        "ffmpeg_location": imageio_ffmpeg.get_ffmpeg_exe(),
        "ratelimit": options.rate_limit_bytes_s,
        "overwrites": True,
    }
    if not is_loopback(url):
        parameters |= {
            "sleep_interval": options.sleep_min_s,
            "max_sleep_interval": options.sleep_max_s,
            "sleep_interval_requests": 1,
        }
    try:
        with yt_dlp.YoutubeDL(parameters) as downloader:
            info = downloader.extract_info(url, download=True)
    except (yt_dlp.utils.YoutubeDLError, RequestError, OSError) as error:
        raise fetch_error(str(error), what=url, folder=str(folder)) from error
    return _checked(url, info)


def _checked(url: str, info: Mapping[str, Any] | None) -> Fetched:
    if info and info.get("_type") == "playlist":
        info = next(iter(info.get("entries") or ()), None)
    downloads = (info or {}).get("requested_downloads") or [{}]
    path = Path(downloads[0].get("filepath") or "")
    if info is None or not path.is_file():
        raise ItemError("no_file", f"{url}: yt-dlp reported success but left no file")
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise ItemError("empty_file", f"{url}: the file has 0 bytes")
    duration = info.get("duration")
    return Fetched(
        path=path,
        sha256=sha256_of_file(path),
        size_bytes=size_bytes,
        claimed_duration_s=float(duration) if duration else None,
        extractor=str(info.get("extractor_key") or info.get("extractor") or "unknown"),
        format=f"{info.get('format_id')} {info.get('acodec') or info.get('ext')}",
        licence=info.get("license"),
        page=page_of(info),
    )


class _Messages:
    """yt-dlp's logger: its words go to ours, so that nothing is printed past Dagster."""

    def debug(self, message: str) -> None:
        log.debug(message)

    def info(self, message: str) -> None:
        log.debug(message)

    def warning(self, message: str) -> None:
        log.info(message)

    def error(self, message: str) -> None:
        log.info(message)
