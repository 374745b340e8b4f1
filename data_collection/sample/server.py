"""A loopback web server that looks like a channel, and like any site: feed, videos, pages, files.

What belongs here: HTTP, and the ways in which a video can be bad. What does not: which videos there
are (`world`, or a test). yt-dlp reads it as it reads the web: the feed as RSS with enclosures, the
pages by their JSON-LD. Folders of files are given out by byte ranges, as any store of objects does.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from data_collection.sample.media import MEDIA_TYPES

Fault = Literal[
    "gone", "forbidden", "geo_blocked", "rate_limited", "server_error", "truncated", "empty",
    "garbage",
]  # fmt: skip
STATUS_OF: dict[str, int] = {
    "gone": 404,
    "forbidden": 403,
    "geo_blocked": 451,
    "rate_limited": 429,
    "server_error": 503,
}
START_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a loopback channel.

    Attributes:
        id: its guid in the feed, which yt-dlp takes as its id.
        title: as a channel would write it.
        media: the file it gives out.
        claimed_duration_s: what feed and page say; None says nothing.
        has_page: the feed links to a page with JSON-LD instead of enclosing the file.
        fault: how it is bad; None for a good one.
        description: the page's and feed's text.
        chapters: start, end and title of each, as the page states them.
    """

    id: str
    title: str
    media: Path
    claimed_duration_s: float | None = None
    has_page: bool = False
    fault: Fault | None = None
    description: str = ""
    chapters: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FixedPage:
    """A page of any site.

    Attributes:
        content: text (UTF-8) or bytes.
        content_type: as the site states it.
        status: of the answer.
        headers: further ones, such as `retry-after` or `location`; one with an `etag` is answered
            by 304 where the client has it already.
        torn: the connection ends before the content does.
    """

    content: str | bytes
    content_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    torn: bool = False


@dataclass(slots=True)
class Site:
    """A running channel.

    Attributes:
        url: its address, `http://127.0.0.1:<port>`.
        videos: by id; may be replaced while it runs.
        requests: how often each path was asked for.
        pages: fixed pages by path, `/robots.txt` too; may be changed while it runs.
        faults: by path, what is answered instead, one after the other, before the page itself.
    """

    url: str
    videos: dict[str, Video]
    requests: Counter[str]
    feed_fault: int | None = None
    pages: dict[str, FixedPage] = field(default_factory=dict)
    faults: dict[str, list[FixedPage]] = field(default_factory=dict)

    @property
    def feed_url(self) -> str:
        """The channel's address for yt-dlp."""
        return f"{self.url}/channel.rss"


@contextmanager
def serve(
    videos: Sequence[Video],
    *,
    title: str,
    port: int = 0,
    folders: Mapping[str, Path] | None = None,
) -> Iterator[Site]:
    """Serve a channel on 127.0.0.1 for the while.

    Args:
        videos: in the feed's order; the same id may stand twice.
        title: the channel's.
        port: 0 for a free one.
        folders: of files, by the first part of their address: `maestro` is at `/maestro/`.

    Raises:
        RuntimeError: the server did not start.
    """
    order = [video.id for video in videos]
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        site = Site(
            url=f"http://127.0.0.1:{listener.getsockname()[1]}",
            videos={video.id: video for video in videos},
            requests=Counter(),
        )
        server = uvicorn.Server(
            uvicorn.Config(
                _app(site, order, title, folders or {}), log_level="critical", lifespan="off"
            )
        )
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RuntimeError("the loopback server did not start")
            time.sleep(0.01)
        try:
            yield site
        finally:
            server.should_exit = True
            thread.join(timeout=START_TIMEOUT_S)


def _app(site: Site, order: Sequence[str], title: str, folders: Mapping[str, Path]) -> Starlette:
    def count(request: Request) -> None:
        site.requests[request.url.path] += 1

    def feed(request: Request) -> Response:
        count(request)
        if site.feed_fault:
            return PlainTextResponse("out of order", status_code=site.feed_fault)
        items = "".join(_item(site, site.videos[id_]) for id_ in order if id_ in site.videos)
        return Response(
            '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" '
            'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel>'
            f"<title>{escape(title)}</title>{items}</channel></rss>",
            media_type="application/rss+xml",
        )

    def page(request: Request) -> Response:
        count(request)
        video = site.videos.get(request.path_params["id"])
        if video is None or video.fault == "gone":
            return PlainTextResponse("not found", status_code=404)
        return HTMLResponse(_page(site, video))

    def media(request: Request) -> Response:
        count(request)
        video = site.videos.get(request.path_params["name"].rsplit(".", 1)[0])
        return PlainTextResponse("not found", status_code=404) if video is None else _media(video)

    def fixed(request: Request) -> Response:
        count(request)
        path = request.url.path
        faults = site.faults.get(path)
        page = faults.pop(0) if faults else site.pages.get(path)
        if page is None:
            return PlainTextResponse("not found", status_code=404)
        return _fixed_page(page, request)

    def files_of(folder: Path) -> Callable[[Request], Awaitable[Response]]:
        files = StaticFiles(directory=folder)

        async def file(request: Request) -> Response:
            count(request)
            return await files.get_response(request.path_params["path"], request.scope)

        return file

    return Starlette(
        routes=[
            Route("/channel.rss", feed),
            Route("/watch/{id}", page),
            Route("/media/{name}", media),
            *(
                Route(f"/{name}/{{path:path}}", files_of(folder))
                for name, folder in folders.items()
            ),
            Route("/{path:path}", fixed),
        ]
    )


def _fixed_page(page: FixedPage, request: Request) -> Response:
    etag = page.headers.get("etag")
    if etag is not None and request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=dict(page.headers))
    content = page.content.encode() if isinstance(page.content, str) else page.content
    headers = {**page.headers, "content-type": page.content_type}
    if page.torn:
        headers["content-length"] = str(len(content) + 1000)
    return Response(content, status_code=page.status, headers=headers)


def _media_url(site: Site, video: Video) -> str:
    return f"{site.url}/media/{video.id}{video.media.suffix}"


def _item(site: Site, video: Video) -> str:
    target = (
        f"<link>{escape(f'{site.url}/watch/{video.id}')}</link>"
        if video.has_page
        else f"<enclosure url={quoteattr(_media_url(site, video))} "
        f'type={quoteattr(MEDIA_TYPES[video.media.suffix])} length="0"/>'
    )
    duration = (
        f"<itunes:duration>{video.claimed_duration_s:.0f}</itunes:duration>"
        if video.claimed_duration_s
        else ""
    )
    return (
        f'<item><title>{escape(video.title)}</title><guid isPermaLink="false">'
        f"{escape(video.id)}</guid>{duration}"
        f"<description>{escape(video.description)}</description>{target}</item>"
    )


def _page(site: Site, video: Video) -> str:
    described: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "VideoObject",
        "name": video.title,
        "description": video.description,
        "contentUrl": _media_url(site, video),
        "uploadDate": "2021-10-20",
    }
    if video.claimed_duration_s:
        described["duration"] = f"PT{video.claimed_duration_s:.0f}S"
    if video.chapters:
        described["hasPart"] = [
            {"@type": "Clip", "name": name, "startOffset": start, "endOffset": end}
            for start, end, name in video.chapters
        ]
    embedded = json.dumps(described, ensure_ascii=False).replace("<", "\\u003c")
    name = escape(video.title)
    return (
        f"<!doctype html><html><head><title>{name}</title>"
        f'<script type="application/ld+json">{embedded}</script></head>'
        f"<body><h1>{name}</h1></body></html>"
    )


def _media(video: Video) -> Response:
    media_type = MEDIA_TYPES[video.media.suffix]
    if video.fault in STATUS_OF:
        return PlainTextResponse(video.fault, status_code=STATUS_OF[video.fault])
    if video.fault == "truncated":
        content = video.media.read_bytes()
        return Response(content[: len(content) // 2], media_type=media_type)
    if video.fault == "empty":
        return Response(b"", media_type=media_type)
    if video.fault == "garbage":
        return Response(bytes(range(256)) * 400, media_type=media_type)
    return FileResponse(video.media, media_type=media_type)
