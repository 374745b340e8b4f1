"""List what a channel, playlist or feed holds, lazily, by yt-dlp.

What belongs here: walking a listing, giving each video an identity that lasts, and asking a video's
page without fetching it. What does not: choosing among videos, and what a page says (`video_page`).
`extract_info(process=False)` is the true generator; `extract_flat` walks every page first. Entries
of a feed have no id of their own: their guid travels inside the URL.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from data_collection.recordings.errors import CatalogueError, ItemError, RecordingError
from data_collection.recordings.fetch import FetchOptions, quiet_options
from data_collection.recordings.fetch_errors import fetch_error
from data_collection.recordings.video_page import (
    VideoPage,
    description_of,
    one_line,
    page_of,
    seconds_of,
)

MAX_DEPTH = 4
"""A channel holds tabs, a tab holds playlists, a playlist holds videos."""
TRANSPARENT = ("title", "duration", "webpage_url")
APPROXIMATE_DATES = {"extractor_args": {"youtubetab": {"approximate_date": ["true"]}}}
"""YouTube's listings say `3 weeks ago`; yt-dlp makes a time of that where it is asked to."""
YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


class ListingError(CatalogueError):
    """A listing could not be read. It is not an empty listing: nothing may be concluded from it."""


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """One video of a listing.

    Attributes:
        recording_id: ours: a safe file name, the same for the same video for ever.
        source_id: yt-dlp's id.
        source_url: where to fetch it.
        title: as the source writes it.
        duration_s: as the source claims; None where it does not.
        description: where the listing itself has it whole, as a feed does; None otherwise.
        uploaded_on: the day; YouTube's listings tell it the less exactly the longer ago it was;
            None where not stated.
        live_status: yt-dlp's, such as `is_upcoming` or `was_live`; None where not stated.
        availability: yt-dlp's, such as `subscriber_only`; None where not stated.
    """

    recording_id: str
    source_id: str
    source_url: str
    title: str
    duration_s: float | None
    description: str | None = None
    uploaded_on: date | None = None
    live_status: str | None = None
    availability: str | None = None


def recording_id_for(*, source_id: str, url: str, is_youtube: bool, id_is_stated: bool) -> str:
    """Name a recording after its source.

    A YouTube id is unique, so `yt_<id>`. Elsewhere the id is a feed's guid, which may hold any
    character, or only the base name of the URL, which collides: so a readable part and a hash of
    the host and the guid or the whole path. The port is left out, because a loopback server has
    another one every time.

    Args:
        source_id: yt-dlp's id.
        url: the video's URL.
        is_youtube: whether yt-dlp's YouTube extractor knows it.
        id_is_stated: the source gave the id itself; otherwise it was read off the URL.
    """
    if is_youtube and YOUTUBE_ID.fullmatch(source_id):
        return f"yt_{source_id}"
    readable = re.sub(r"[^A-Za-z0-9]+", "-", source_id).strip("-")[:40] or "video"
    where = urlsplit(url)
    own = source_id if id_is_stated else f"{where.path}?{where.query}"
    identity = f"{where.hostname or ''}\n{own}"
    return f"web_{readable}_{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def list_videos(url: str, options: FetchOptions | None = None) -> Iterator[ListedVideo]:
    """Walk a listing, page by page as it is consumed.

    Args:
        url: a channel, playlist, feed, or anything else that yt-dlp can list.
        options: pace.

    Yields:
        Its videos in the listing's order; nested playlists are walked through.

    Raises:
        ListingError: the listing cannot be read, also in its middle.
    """
    import yt_dlp
    from yt_dlp.networking.exceptions import RequestError

    try:
        listing_options = quiet_options(url, options or FetchOptions()) | APPROXIMATE_DATES
        with yt_dlp.YoutubeDL(listing_options) as downloader:
            yield from _walk(downloader, url, ie_key=None, depth=0)
    except (yt_dlp.utils.YoutubeDLError, RequestError, OSError) as error:
        cause: RecordingError = fetch_error(str(error), what=url, folder="")
        raise ListingError(
            f"listing {url} could not be read ({cause.reason}): {cause.detail}"
        ) from error


def read_video_page(url: str, options: FetchOptions | None = None) -> VideoPage:
    """Ask a video's page for its description and chapters; fetches no media.

    Args:
        url: the video's page, or its media file, which says nothing.
        options: pace.

    Raises:
        RecordingError: the page cannot be read, with the class that says who is at fault.
    """
    import yt_dlp
    from yt_dlp.networking.exceptions import RequestError

    options = options or FetchOptions()
    try:
        with yt_dlp.YoutubeDL(quiet_options(url, options)) as downloader:
            info = _first_page(downloader, url, depth=0)
    except (yt_dlp.utils.YoutubeDLError, RequestError, OSError) as error:
        raise fetch_error(str(error), what=url, folder="") from error
    except Exception as error:  # yt-dlp stumbles over pages whose fields have other types
        raise ItemError(
            "page_unreadable",
            f"{url}: yt-dlp cannot read this page ({type(error).__name__}: {error}); look at it",
        ) from error
    return page_of(info)


def _first_page(downloader: Any, url: str, *, depth: int) -> Mapping[str, Any]:
    """The page itself: redirects are followed, the media behind it is not asked."""
    info: Mapping[str, Any] | None = downloader.extract_info(url, download=False, process=False)
    if info is not None and info.get("_type") == "url" and depth < MAX_DEPTH:
        return _first_page(downloader, info["url"], depth=depth + 1)
    return info or {}


def _walk(
    downloader: Any,
    url: str,
    *,
    ie_key: str | None,
    depth: int,
    known: Mapping[str, Any] | None = None,
) -> Iterator[ListedVideo]:
    if depth > MAX_DEPTH:
        raise ListingError(f"listing {url}: playlists within playlists, more than {MAX_DEPTH} deep")
    info = downloader.extract_info(url, download=False, ie_key=ie_key, process=False)
    if info is None:
        raise ListingError(f"listing {url}: yt-dlp gave no answer")
    # What a page says of its one video holds over what is read off the media file behind it.
    said = {**info, **{name: value for name, value in (known or {}).items() if value}}
    kind = info.get("_type", "video")
    if kind in ("url", "url_transparent"):  # a redirect, as from a handle to its tab of videos
        kept = {name: said.get(name) for name in TRANSPARENT if kind == "url_transparent"}
        yield from _walk(
            downloader, info["url"], ie_key=info.get("ie_key"), depth=depth + 1, known=kept
        )
    elif kind in ("playlist", "multi_video"):
        for entry in info.get("entries") or ():
            if entry is None:  # a deleted video leaves a hole
                continue
            if _is_listing(entry):
                yield from _walk(
                    downloader, entry["url"], ie_key=entry.get("ie_key"), depth=depth + 1
                )
            else:
                yield _video(downloader, entry, listing=url)
    else:
        page = said.get("webpage_url") or url
        yield _video(downloader, {**said, "url": page}, listing=url)


def _is_listing(entry: Mapping[str, Any]) -> bool:
    return entry.get("_type") == "playlist" or entry.get("ie_key") in (
        "YoutubeTab",
        "YoutubePlaylist",
    )


def _video(downloader: Any, entry: Mapping[str, Any], *, listing: str) -> ListedVideo:
    from yt_dlp.utils import unsmuggle_url

    smuggling_url = entry.get("url") or next(
        # An entry that yt-dlp has resolved already carries formats and no URL of its own.
        (found["url"] for found in reversed(entry.get("formats") or ()) if found.get("url")),
        None,
    )
    if not smuggling_url:
        raise ListingError(f"listing {listing}: entry {entry.get('id')!r} has no address")
    url, smuggled = unsmuggle_url(smuggling_url, {})
    extractor = entry.get("ie_key") or entry.get("extractor_key")
    guid = smuggled.get("force_videoid")
    # The generic extractor's id is the address's base name: nobody stated it.
    stated_id = guid or (entry.get("id") if extractor not in (None, "Generic") else None)
    generic_id = downloader.get_info_extractor("Generic")._generic_id(url)
    source_id = one_line(str(stated_id or entry.get("id") or generic_id))
    return ListedVideo(
        recording_id=recording_id_for(
            source_id=source_id,
            url=url,
            is_youtube=extractor == "Youtube",
            id_is_stated=bool(stated_id),
        ),
        source_id=source_id,
        source_url=url,
        title=one_line(str(entry.get("title") or "")),
        duration_s=seconds_of(entry.get("duration")) or None,
        # YouTube's listings cut descriptions short; a feed has them whole.
        description=None if extractor == "Youtube" else description_of(entry.get("description")),
        uploaded_on=_day_of(entry.get("timestamp")),
        live_status=entry.get("live_status"),
        availability=entry.get("availability"),
    )


def _day_of(timestamp: object) -> date | None:
    """The day of a time in seconds since 1970; None for anything that is none."""
    if not isinstance(timestamp, int | float):
        return None
    try:
        return datetime.fromtimestamp(timestamp, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None
