"""Listing a channel by the real yt-dlp: order, identity, and failures that are not emptiness."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data_collection.partitions import PARTITION_KEY
from data_collection.recordings.listing import ListedVideo, ListingError, list_videos
from data_collection.recordings.listing import recording_id_for as id_for
from data_collection.sample.server import Video, serve

ODD_TITLE = "Ondřej Růžička – “Étude” <b>op. 25</b> & 練習曲 🎹 ]]> (1st round)"


class Pages:
    """Pages of a test's own under a loopback address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: dict[str, tuple[str, bytes]] = {}

    def put(self, path: str, body: str | bytes, media_type: str = "text/html") -> str:
        """Put a page and return its address."""
        content = body if isinstance(body, bytes) else body.encode()
        self.bodies[path] = (media_type, content)
        return self.url + path


@pytest.fixture
def pages() -> Iterator[Pages]:
    class Answer(BaseHTTPRequestHandler):
        """Gives out what was put."""

        def do_GET(self) -> None:
            if self.path not in made.bodies:
                self.send_error(404)
                return
            media_type, body = made.bodies[self.path]
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        made = Pages(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        server.shutdown()


def feed_of(*items: str) -> str:
    inside = "".join(items)
    return f'<?xml version="1.0"?><rss version="2.0"><channel>{inside}</channel></rss>'


def enclosed(url: str) -> str:
    return f'<item><title>t</title><enclosure url="{url}" type="audio/mpeg"/></item>'


@pytest.fixture
def videos(media_folder: Path) -> list[Video]:
    media = media_folder / "stage1_sol.mp3"
    plain = Video(id="smp-a", title="A", media=media, claimed_duration_s=8.0)
    return [
        replace(plain, id="smp-c", title=ODD_TITLE),
        plain,
        replace(plain, id="tag:a/b?c=ż #1", title="B", has_page=True, claimed_duration_s=None),
        plain,
    ]


def test_a_feed_keeps_its_order_its_guids_and_its_duplicates(videos: list[Video]) -> None:
    """Entries come as listed, under their guid, with title and claimed duration, twice if twice.

    Guards against ids read off URLs, which collide, and against a listing that hides duplicates
    from the catalogue, whose business they are.
    """
    with serve(videos, title="Channel") as site:
        listed = list(list_videos(site.feed_url))
    assert [video.source_id for video in listed] == [video.id for video in videos]
    assert [video.title for video in listed] == [video.title for video in videos]
    assert [video.duration_s for video in listed] == [8.0, 8.0, None, 8.0]
    assert listed[1] == listed[3]
    assert len({video.recording_id for video in listed}) == 3
    assert listed[0].source_url == f"{site.url}/media/smp-c.mp3"


def test_identity_outlives_the_port(videos: list[Video]) -> None:
    """The same feed on another port gives the same recording ids.

    Guards against a demo whose second run finds nothing of the first.
    """

    def ids() -> tuple[str, list[str]]:
        with serve(videos, title="Channel") as site:
            return site.url, [video.recording_id for video in list_videos(site.feed_url)]

    with serve([], title="holds another port"):
        (first_url, first), (second_url, second) = ids(), ids()
    assert first == second
    assert first_url.rsplit(":", 1)[0] == second_url.rsplit(":", 1)[0]


def test_a_listing_is_walked_lazily(videos: list[Video]) -> None:
    """The first video is there before the rest is consumed.

    Guards against walking a channel of 3,000 videos to see its newest.
    """
    with serve(videos, title="Channel") as site:
        walk = list_videos(site.feed_url)
        assert next(walk).source_id == "smp-c"
        walk.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500, 503])
def test_an_error_is_not_an_empty_listing(videos: list[Video], status: int) -> None:
    """A feed that answers with an error raises, naming its address and status.

    Guards against an outage that looks like an empty channel and takes out all partitions.
    """
    with serve(videos, title="Channel") as site:
        site.feed_fault = status
        with pytest.raises(ListingError, match=f"{site.feed_url}.*{status}"):
            list(list_videos(site.feed_url))


def test_a_dead_host_is_not_an_empty_listing() -> None:
    """No answer at all raises as well.

    Guards against the same as above, at the network's level.
    """
    with pytest.raises(ListingError, match="network"):
        list(list_videos("http://127.0.0.1:1/channel.rss"))


@pytest.mark.parametrize(
    "body", ["<html><title>Sign in</title>please</html>", feed_of(enclosed("http://x/a.mp3"))[:90]]
)
def test_an_answer_that_is_no_listing_is_an_error(pages: Pages, body: str) -> None:
    """A login page or half a feed, with status 200, raises.

    Guards against a wall in front of the channel that empties the catalogue.
    """
    with pytest.raises(ListingError):
        list(list_videos(pages.put("/channel.rss", body)))


def test_an_empty_feed_is_empty(pages: Pages) -> None:
    """A feed without entries is no error.

    Guards against calling a new channel broken.
    """
    assert list(list_videos(pages.put("/c.rss", feed_of(), "application/rss+xml"))) == []


def test_equal_base_names_are_different_recordings_in_a_feed(pages: Pages) -> None:
    """Two files of one name in two folders, without guid, have two ids.

    Guards against one recital that overwrites another because both are `take1.mp3`.
    """
    one, two = (enclosed(f"{pages.url}/{folder}/take1.mp3") for folder in ("lee", "bui"))
    listed = list(list_videos(pages.put("/c.rss", feed_of(one, two), "application/rss+xml")))
    assert [video.source_url for video in listed] == [
        f"{pages.url}/lee/take1.mp3",
        f"{pages.url}/bui/take1.mp3",
    ]
    assert listed[0].recording_id != listed[1].recording_id


def test_equal_base_names_are_different_recordings_by_their_addresses(
    pages: Pages, media_folder: Path
) -> None:
    """The same holds where the two files are given as addresses of their own.

    Guards against yt-dlp's generic id, the URL's base name, being taken for an id that the source
    stated.
    """
    content = (media_folder / "stage1_sol.mp3").read_bytes()
    listed: list[ListedVideo] = []
    for folder in ("lee", "bui"):
        listed += list_videos(pages.put(f"/{folder}/take1.mp3", content, "audio/mpeg"))
    assert len(listed) == 2
    assert listed[0].recording_id != listed[1].recording_id


def test_a_page_with_two_videos_is_listed(pages: Pages, media_folder: Path) -> None:
    """A page that embeds two files gives two videos, or an error of ours, never a KeyError.

    Guards against entries that yt-dlp has already resolved: they carry formats and no `url`.
    """
    content = (media_folder / "stage1_sol.mp3").read_bytes()
    first = pages.put("/lee/take1.mp3", content, "audio/mpeg")
    second = pages.put("/bui/take2.mp3", content, "audio/mpeg")
    url = pages.put(
        "/recitals",
        f'<html><title>R</title><video src="{first}"></video><video src="{second}"></video></html>',
    )
    listed = list(list_videos(url))
    assert len({video.recording_id for video in listed}) == 2


def test_a_single_page_is_a_listing_of_one(videos: list[Video]) -> None:
    """A video's own page can be given instead of a channel.

    Guards against hints in an edition that name one video.
    """
    with serve([replace(videos[1], has_page=True)], title="Channel") as site:
        listed = list(list_videos(f"{site.url}/watch/smp-a"))
    assert [(video.title, video.duration_s) for video in listed] == [("A", 8.0)]


def test_recording_ids_are_stable_and_safe() -> None:
    """Ids of recordings are what they were: renaming one orphans its audio.

    Guards against a change of the naming rule, which would fetch everything again.
    """
    youtube = "https://www.youtube.com/watch?v=-dQw4w9WgX_"
    assert id_for(source_id="-dQw4w9WgX_", url=youtube, is_youtube=True, id_is_stated=True) == (
        "yt_-dQw4w9WgX_"
    )
    stated = id_for(
        source_id="smp-sol-r1", url="http://127.0.0.1:1/x", is_youtube=False, id_is_stated=True
    )
    moved = id_for(
        source_id="smp-sol-r1", url="http://127.0.0.1:2/y", is_youtube=False, id_is_stated=True
    )
    elsewhere = id_for(
        source_id="smp-sol-r1", url="http://example.org/x", is_youtube=False, id_is_stated=True
    )
    assert stated == moved == "web_smp-sol-r1_74a4273cb9"
    assert elsewhere != stated


@pytest.mark.parametrize(
    "source_id", ["../../etc", "a/b", "", "練習曲", "x" * 500, "a b\n", "--", "🎹"]
)
def test_any_source_id_gives_a_partition_key(source_id: str) -> None:
    """Whatever a feed calls its entries, our name is a safe file name and partition key.

    Guards against guids that climb out of a folder or that Dagster cannot store.
    """
    for is_stated in (True, False):
        made = id_for(
            source_id=source_id, url="http://h/p?q", is_youtube=False, id_is_stated=is_stated
        )
        assert PARTITION_KEY.fullmatch(made)
