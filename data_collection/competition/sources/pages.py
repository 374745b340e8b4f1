"""Fetching a source's pages politely.

What belongs here: HTTP. What does not: the answers that are kept (`kept_answers`) and what a page
says (`html`, `wikipedia`, `cms`, `table_file`). Caching follows RFC 9111 (hishel with
`rfc=True`; without it every 200 would be kept for ever), robots.txt RFC 9309 (protego: the standard
library's parser knows no wildcards and takes the first rule, not the longest). A page that cannot
be fetched now is answered by the newest kept one, which says as of when it is.
"""

from __future__ import annotations

import logging
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import stamina

from data_collection.competition.sources.errors import SourceError, UnreachableError
from data_collection.competition.sources.kept_answers import Answer, KeptAnswers, Page
from data_collection.recordings.retry_after import retry_after_s
from data_collection.recordings.store import Store

if TYPE_CHECKING:
    import httpx
    from protego import Protego

logger = logging.getLogger(__name__)

ROBOT_NAME = "data-collection"
NOT_THERE = (404, 410)
PASSING = (408, 425, 429, 500, 502, 503, 504)
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Manners:
    """How politely and how stubbornly pages are fetched.

    Attributes:
        contact: e-mail or page of whoever runs this, for the user agent.
        attempts: tries for errors that may pass; a name that does not resolve and a connection
            that times out are not tried again, so that a machine without a network is soon done.
        retry_wait_s: pause before the second try; it doubles, with jitter.
        longest_retry_after_s: a site that asks for a longer pause is left alone for this run.
        connect_timeout_s: for a connection.
        read_timeout_s: for the next bytes.
        max_bytes: of one answer, counted while it streams, after decompression.
        max_redirects: followed for one page.
        pause_s: between two requests to one host; none on loopback. A longer crawl delay of the
            host's robots.txt is obeyed up to `longest_pause_s`.
        longest_pause_s: see there.
    """

    contact: str | None = None
    attempts: int = 3
    retry_wait_s: float = 0.5
    longest_retry_after_s: float = 30.0
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 20.0
    max_bytes: int = 10_000_000
    max_redirects: int = 5
    pause_s: float = 1.0
    longest_pause_s: float = 10.0

    @property
    def user_agent(self) -> str:
        """What the sites see: the program, its version, and whom to write to."""
        contact = f"; {self.contact}" if self.contact else ""
        return f"{ROBOT_NAME}/{version('data-collection')} (piano competition results{contact})"


class _PassingError(UnreachableError):
    """May be over at the next try; `retry_after_s` is what the site asked for."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class _MissingError(UnreachableError):
    """The site is there, the page is not."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


@dataclass
class Pages:
    """Pages of one source.

    Attributes:
        source: its name, for messages.
        kept: its answers.
        manners: how to fetch.
    """

    source: str
    kept: KeptAnswers
    manners: Manners
    _client: httpx.Client
    _robots: dict[str, Protego | None] = field(default_factory=dict)
    _last_request: dict[str, float] = field(default_factory=dict)
    _down: str | None = None

    def get(self, url: str, *, missing_ok: bool = False) -> Page:
        """Fetch a page, or give the newest kept answer where it cannot be reached.

        Args:
            url: its address.
            missing_ok: give a 404 as a page with that status.

        Raises:
            UnreachableError: it cannot be reached, and no answer of it is kept.
            SourceError: the answer is too large, or the address is none.
        """
        try:
            if self._down is not None:
                raise UnreachableError(self._down)
            answer = self._with_retries(url)
        except _MissingError as error:
            if not missing_ok:
                return self._kept_instead(url, error, missing_ok=False)
            answer = error.answer
        except UnreachableError as error:
            # One page that cannot be reached is enough: the others would only take as long.
            self._down = self._down or str(error)
            return self._kept_instead(url, error, missing_ok=missing_ok)
        return self.kept.keep(url, answer)

    def _kept_instead(self, url: str, error: UnreachableError, *, missing_ok: bool) -> Page:
        page = self.kept.newest(url, because=str(error), missing_ok=missing_ok)
        if page is None:
            raise UnreachableError(
                f"source {self.source}: {error}; no earlier answer of {url} is kept"
            ) from error
        logger.warning("source %s: an answer of %s is read instead", self.source, page.as_of)
        return page

    def _with_retries(self, url: str) -> Answer:
        manners = self.manners
        for attempt in stamina.retry_context(
            on=self._wait_before_retry,
            attempts=manners.attempts,
            timeout=None,
            wait_initial=manners.retry_wait_s,
            wait_jitter=manners.retry_wait_s,
        ):
            with attempt:
                return self._follow(url)
        raise AssertionError("unreachable: the last try returns or raises")

    def _wait_before_retry(self, error: Exception) -> bool | float:
        """Whether to try again, and after how long where the site says so; stamina's hook."""
        if not isinstance(error, _PassingError):
            return False
        if error.retry_after_s is None:
            return True
        return error.retry_after_s <= self.manners.longest_retry_after_s and error.retry_after_s

    def _follow(self, url: str) -> Answer:
        """Fetch one page, each redirect asked for only if its host's robots.txt allows it."""
        import httpx

        here = url
        for _ in range(self.manners.max_redirects + 1):
            self._ask_robots(here)
            answer = self._request(here)
            location = answer.headers.get("location")
            if answer.status not in REDIRECTS or not location:
                _refuse_bad_status(answer)
                return answer
            try:
                here = str(httpx.URL(here).join(location))
            except httpx.InvalidURL as error:
                raise SourceError(f"{here} redirects to {location!r}, no address") from error
            if urlsplit(here).scheme not in ("http", "https"):
                raise SourceError(f"{url} redirects to {here}, which is no web page")
        raise SourceError(
            f"source {self.source}: {url} redirects more than {self.manners.max_redirects} times"
        )

    def _ask_robots(self, url: str) -> None:
        """Refuse what the host's robots.txt forbids."""
        rules = self._robots_of(url)
        if rules is not None and not rules.can_fetch(url, ROBOT_NAME):
            raise UnreachableError(f"{url}: the site's robots.txt forbids it to {ROBOT_NAME}")

    def _robots_of(self, url: str) -> Protego | None:
        """Rules of a host; None where it has none. One that cannot be read forbids all (9309)."""
        from protego import Protego

        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._robots:
            answer = self._request(f"{origin}/robots.txt")
            if answer.status in PASSING:
                raise _passing_status(answer)
            found = answer.status == 200
            self._robots[origin] = (
                Protego.parse(answer.content.decode("utf-8", "replace")) if found else None
            )
        return self._robots[origin]

    def _request(self, url: str) -> Answer:
        import httpx

        self._pause(url)
        try:
            with self._client.stream("GET", url) as response:
                return Answer(
                    url=url,
                    status=response.status_code,
                    content=self._read(response),
                    headers=dict(response.headers),
                    from_cache=_is_unasked(response),
                )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise SourceError(f"source {self.source}: {url} is no address ({error})") from error
        except httpx.RequestError as error:
            raise _network_error(url, error) from error

    def _read(self, response: httpx.Response) -> bytes:
        """The content, decompressed, as long as it is not too much."""
        most = self.manners.max_bytes
        content = bytearray()
        for block in response.iter_bytes():
            content += block
            if len(content) > most:
                raise SourceError(
                    f"source {self.source}: {response.url} is larger than {most:,} bytes; "
                    "is the address right?"
                )
        if _may_be_torn(response, bytes(content)):
            raise _PassingError(f"{response.url} ended before the page did, without </html>")
        return bytes(content)

    def _pause(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not _is_loopback(host):
            rules = self._robots.get(f"{parts.scheme}://{parts.netloc}")
            asked = (rules.crawl_delay(ROBOT_NAME) if rules is not None else None) or 0.0
            pause_s = min(max(self.manners.pause_s, asked), self.manners.longest_pause_s)
            wait_s = self._last_request.get(host, -pause_s) + pause_s - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
        self._last_request[host] = time.monotonic()


@contextmanager
def open_pages(source: str, store: Store, folder: str, manners: Manners) -> Iterator[Pages]:
    """Open a source's pages for the while.

    Args:
        source: its name.
        store: the data root; the HTTP cache lies in it too, where it is a local folder.
        folder: relative path of the source's kept answers.
        manners: how to fetch.
    """
    with _client(store, manners) as client:
        yield Pages(source, KeptAnswers(store, folder), manners, client)


def _client(store: Store, manners: Manners) -> httpx.Client:
    import hishel
    import httpx
    from hishel.httpx import CacheClient, CacheTransport

    if store.root.protocol in ("", "file", "local"):
        storage = hishel.SqliteStorage(
            database_path=f"{store.root}/.http_cache/sources.db", max_stream_size=manners.max_bytes
        )
    else:
        storage = hishel.SqliteStorage(
            connection=sqlite3.connect(":memory:", check_same_thread=False)
        )
    # A lab's proxy knows nothing of this machine's own addresses.
    trusted = httpx.create_ssl_context()
    direct = CacheTransport(httpx.HTTPTransport(verify=trusted), storage=storage, rfc=True)
    return CacheClient(
        storage=storage,
        rfc=True,
        verify=trusted,
        mounts={f"all://{host}": direct for host in ("127.0.0.1", "localhost", "[::1]")},
        headers={"user-agent": manners.user_agent, "accept-encoding": "gzip, deflate"},
        timeout=httpx.Timeout(manners.read_timeout_s, connect=manners.connect_timeout_s),
        follow_redirects=False,
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_unasked(response: httpx.Response) -> bool:
    """Whether the cache answered without asking the site."""
    status = response.extensions.get("caching") or {}
    return bool(status.get("from_cache")) and not status.get("revalidated")


def _may_be_torn(response: httpx.Response, content: bytes) -> bool:
    """Whether a page ends early and HTTP could not tell: no length, and no end of the document."""
    is_html = "html" in response.headers.get("content-type", "")
    no_length = "content-length" not in response.headers
    return is_html and no_length and b"</html>" not in content[-2000:].lower()


def _refuse_bad_status(answer: Answer) -> None:
    if answer.status == 200:
        return
    if answer.status in PASSING:
        raise _passing_status(answer)
    said = f"{answer.url} answered {answer.status}"
    if answer.status in NOT_THERE:
        raise _MissingError(said, answer)
    raise UnreachableError(said)


def _passing_status(answer: Answer) -> _PassingError:
    pause_s = retry_after_s(answer.headers.get("retry-after"))
    asked = f" and asks for a pause of {pause_s:.0f} s" if pause_s is not None else ""
    return _PassingError(f"{answer.url} answered {answer.status}{asked}", pause_s)


def _network_error(url: str, error: httpx.RequestError) -> UnreachableError:
    """Sort out what may pass: not a name that does not resolve, nor a bad certificate."""
    import httpx

    said = f"{url} cannot be reached: {error or type(error).__name__}"
    for_good = (socket.gaierror, ssl.SSLError, ConnectionRefusedError)
    if isinstance(error, (httpx.ConnectTimeout, httpx.ProxyError, httpx.DecodingError)):
        return UnreachableError(said)
    if isinstance(error, httpx.ConnectError) and any(
        isinstance(cause, for_good) for cause in _causes(error)
    ):
        return UnreachableError(said)
    return _PassingError(said)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
