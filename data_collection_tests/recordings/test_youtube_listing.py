"""A channel in the shape that yt-dlp's YouTube extractors give, walked by the real yt-dlp.

YouTube cannot be reached in a test. The extractor here answers in its place with the shape of a
real flat answer (handle → tabs → videos); everything between it and us is yt-dlp's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yt_dlp
from yt_dlp.extractor.common import InfoExtractor

from data_collection.recordings.listing import ListedVideo, ListingError, _walk

CHANNEL = "https://www.youtube.com/@someone"
asked: list[str] = []


def _flat(id_: str, title: str | None, duration_s: int | None) -> dict[str, Any]:
    return {
        "_type": "url",
        "ie_key": "Youtube",
        "id": id_,
        "url": f"https://www.youtube.com/watch?v={id_}",
        "title": title,
        "description": None,
        "duration": duration_s,
        "availability": None,
        "live_status": None,
    }


class YoutubeTabIE(InfoExtractor):  # type: ignore[misc]
    """Answers for a handle, its tabs, and a playlist that breaks in its middle."""

    _VALID_URL = r"https://www\.youtube\.com/(?:@|playlist).*"

    def _real_extract(self, url: str) -> dict[str, Any]:
        asked.append(url)
        if url == CHANNEL:
            tabs = [
                self.url_result(f"{url}/{tab}", ie="YoutubeTab") for tab in ("videos", "streams")
            ]
            result: dict[str, Any] = self.playlist_result(tabs, "UC1", "Someone")
            return result
        return self.playlist_result(self._videos(url), "PL1", "Someone - Videos")

    def _videos(self, url: str) -> Iterator[dict[str, Any] | None]:
        if url.endswith("/streams"):
            yield _flat("5HoursLive0", "First stage, session 1", 18_000)
            return
        yield _flat("0ev9NzuZBlg", "BRUCE (XIAOYU) LIU – second round", 2060)
        yield None
        yield _flat("-_dashes-_1", None, None)
        if "playlist" in url:
            self.raise_no_formats("the page broke", expected=True)
            yield _flat("neverListed", "not reached", 1)


def _listed(url: str) -> Iterator[ListedVideo]:
    asked.clear()
    options = {"quiet": True, "no_warnings": True, "cachedir": False}
    with yt_dlp.YoutubeDL(options, auto_init=False) as downloader:
        downloader.add_info_extractor(YoutubeTabIE())
        downloader.add_info_extractor(yt_dlp.extractor.get_info_extractor("Generic")())
        yield from _walk(downloader, url, ie_key=None, depth=0)


def test_a_handle_is_walked_through_its_tabs() -> None:
    """Tabs are listings, not videos; a deleted video's hole is skipped, ids become `yt_<id>`.

    Guards a tab that is registered as a recording, and an id that is made anew.
    """
    assert list(_listed(CHANNEL)) == [
        ListedVideo(
            "yt_0ev9NzuZBlg",
            "0ev9NzuZBlg",
            "https://www.youtube.com/watch?v=0ev9NzuZBlg",
            "BRUCE (XIAOYU) LIU – second round",
            2060.0,
        ),
        ListedVideo(
            "yt_-_dashes-_1",
            "-_dashes-_1",
            "https://www.youtube.com/watch?v=-_dashes-_1",
            "",
            None,
        ),
        ListedVideo(
            "yt_5HoursLive0",
            "5HoursLive0",
            "https://www.youtube.com/watch?v=5HoursLive0",
            "First stage, session 1",
            18_000.0,
        ),
    ]


def test_the_walk_is_lazy() -> None:
    """Taking the first video asks for no second tab; guards walking 10,000 videos for one."""
    videos = _listed(CHANNEL)
    assert next(videos).source_id == "0ev9NzuZBlg"
    assert asked == [CHANNEL, f"{CHANNEL}/videos"]


def test_a_listing_that_breaks_in_its_middle_is_no_short_listing() -> None:
    """The error comes out of the generator; guards half a playlist being taken for all of it."""
    with pytest.raises((ListingError, yt_dlp.utils.YoutubeDLError)):
        list(_listed("https://www.youtube.com/playlist?list=PL1"))
