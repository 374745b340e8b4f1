"""Made channels: feeds that a test writes, served on loopback and read by the real yt-dlp."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from data_collection.recordings.listing import ListedVideo
from data_collection.sample.server import FixedPage, Site
from data_collection.youtube.channels import Channel

NIGHT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """One entry of a feed: its guid, and what the feed says of it."""

    guid: str
    title: str = "Nocturne"
    duration_s: int | None = 240
    published: str | None = None


def entries(first: int, last: int) -> list[Entry]:
    """Entries of these numbers, both included, the newest first."""
    return [
        Entry(f"video-{number:04d}", f"Nocturne {number}") for number in range(last, first - 1, -1)
    ]


def feed(listed: Iterable[Entry], title: str = "Made") -> FixedPage:
    """A feed that lists them in this order."""
    items = "".join(
        f"<item><title>{escape(entry.title)}</title><guid>{escape(entry.guid)}</guid>"
        + (f"<itunes:duration>{entry.duration_s}</itunes:duration>" if entry.duration_s else "")
        + (f"<pubDate>{entry.published}</pubDate>" if entry.published else "")
        + f'<enclosure url="http://127.0.0.1:9/{escape(entry.guid)}.mp3" type="audio/mpeg"/></item>'
        for entry in listed
    )
    return FixedPage(
        '<?xml version="1.0"?><rss version="2.0" '
        'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">'
        f"<channel><title>{escape(title)}</title>{items}</channel></rss>",
        content_type="application/rss+xml",
    )


def put(site: Site, name: str, listed: Iterable[Entry]) -> None:
    """Let the site's feed of this name list these."""
    site.pages[f"/{name}.rss"] = feed(listed, title=name)


def feed_channel(site: Site, name: str, /, **fields: Any) -> Channel:
    """The channel whose feed has this name."""
    return made_channel(name, url=f"{site.url}/{name}.rss", **fields)


def made_channel(name: str, /, **fields: Any) -> Channel:
    """A channel; its address is YouTube's where none is given."""
    stated = {
        "id": name,
        "url": f"https://www.youtube.com/@{name}",
        "name": name,
        "category": "pianist",
        "nightly_budget": 10,
        "licence_note": "made",
    }
    return Channel.model_validate({**stated, **fields})


def youtube_video(
    source_id: str,
    *,
    title: str = "Nocturne",
    duration_s: float | None = 240.0,
    live_status: str | None = None,
) -> ListedVideo:
    """A video as a channel at YouTube lists it."""
    return ListedVideo(
        recording_id=f"yt_{source_id}",
        source_id=source_id,
        source_url=f"https://www.youtube.com/watch?v={source_id}",
        title=title,
        duration_s=duration_s,
        live_status=live_status,
    )
