"""A file on a web server, read by HTTP ranges (RFC 9110, section 14).

What belongs here: HTTP, waiting and trying again, and noticing that the file is not the one it was.
What does not: what the bytes mean (`archive_zip`). A range that is cut off goes on from the last
byte that came; `If-Range` and the validators of each answer hold that it is the same file's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

import stamina

from data_collection.recordings.errors import SetupError, WorldError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.retry_after import retry_after_s

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 10.0
LONGEST_RETRY_AFTER_S = 60.0
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
WHOLE_FILE, PARTIAL, RANGE_NOT_THERE, TOO_MANY = 200, 206, 416, 429
PASSING = (408, 425, TOO_MANY, 500, 502, 503, 504)
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Identity:
    """By what one version of a remote file is told from another.

    Attributes:
        size_bytes: its length.
        etag: as the server states it; None where it does not.
        last_modified: likewise.
    """

    size_bytes: int
    etag: str | None
    last_modified: str | None

    @property
    def is_certain(self) -> bool:
        """Whether more than the length is known."""
        return bool(self.etag or self.last_modified)

    @property
    def validator(self) -> str | None:
        """What `If-Range` may say: an ETag that is not weak, or the date."""
        is_strong = self.etag is not None and not self.etag.startswith("W/")
        return self.etag if is_strong else self.last_modified


@dataclass(slots=True)
class Traffic:
    """What was asked for, and what came: bytes of bodies."""

    requests: int = 0
    moved_bytes: int = 0


class _PassingError(Exception):
    """May be over at the next try; `retry_after_s` is what the server asked for."""

    def __init__(self, reason: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.retry_after_s = retry_after_s


@dataclass
class RemoteFile:
    """A file that is read by ranges. What goes wrong with it concerns every recording in it.

    Attributes:
        url: its address.
        client: for the requests.
        options: how stubbornly to try; the pauses in it are for other servers.
        patience_s: how long a range may come slowly, in seconds of waiting for it.
        least_bytes_s: what is slow after that: bytes a second, on average.
        traffic: of all requests so far.
    """

    url: str
    client: httpx.Client
    options: FetchOptions
    patience_s: float = 120.0
    least_bytes_s: float = 2_000.0
    traffic: Traffic = field(default_factory=Traffic)

    def identity(self) -> Identity:
        """Ask which version of the file is there, by its first byte; raises as `read_block`."""
        with RangeStream(self, 0, 1) as stream:
            stream.read_block()
            if stream.identity is None:
                raise AssertionError("what has been read is some version of the file")
            return stream.identity

    def read(self, start: int, end: int, identity: Identity) -> bytes:
        """Read a range of that version whole; raises as `RangeStream.read_block`."""
        with RangeStream(self, start, end, identity) as stream:
            return b"".join(iter(stream.read_block, b""))

    def changed(self) -> WorldError:
        """The error where the file is not the one that its directory was read from."""
        return WorldError(
            "archive_changed",
            f"{self.url} changed while it was read; run the same again, and its directory is read "
            "anew",
            stops_batch=True,
        )


class RangeStream:
    """A range of a file as it comes, over as many requests as it takes.

    Attributes:
        position: of the next byte in the file.
        identity: the version of the file that every answer must be of; the first one's where None.
    """

    def __init__(
        self, file: RemoteFile, start: int, end: int, identity: Identity | None = None
    ) -> None:
        """Nothing is asked for before the first block; `end` is the byte after the last."""
        self.position = start
        self.identity = identity
        self._file = file
        self._start = start
        self._end = end
        self._response: httpx.Response | None = None
        self._blocks: Iterator[bytes] = iter(())
        self._waited_s = 0.0

    def __enter__(self) -> RangeStream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; what has not come yet is not wanted."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def read_block(self) -> bytes:
        """The next bytes, as many as have come; none at the range's end.

        Only tries in a row without a byte between them are counted: a long range may lose its
        connection often.

        Raises:
            SetupError: `archive_missing`, `archive_forbidden`, `no_ranges` or `bad_base_url`.
            WorldError: `network`, `server_error`, `too_many_requests`, `too_slow` or
                `archive_changed`.
        """
        if self.position >= self._end:
            return b""
        started = time.monotonic()
        try:
            block = self._with_retries()
        except _PassingError as error:
            raise WorldError(error.reason, str(error), stops_batch=True) from error
        self.position += len(block)
        self._file.traffic.moved_bytes += len(block)
        self._waited_s += time.monotonic() - started
        self._refuse_slowness()
        return block

    def _with_retries(self) -> bytes:
        options = self._file.options
        for attempt in stamina.retry_context(
            on=_wait_before_retry,
            attempts=options.attempts,
            wait_initial=options.retry_wait_s,
            wait_max=options.retry_wait_s * 2**options.attempts,
            wait_jitter=options.retry_wait_s / 2,
            timeout=None,
        ):
            with attempt:
                return self._next_block()
        raise AssertionError("stamina always returns or raises")

    def _next_block(self) -> bytes:
        import httpx

        try:
            if self._response is None:
                self._ask()
            block = next(self._blocks, b"")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise SetupError(
                "bad_base_url", f"MAESTRO_BASE_URL: {self._file.url} is no address ({error})"
            ) from error
        except httpx.RequestError as error:
            self.close()
            raise self._lost(str(error) or type(error).__name__) from error
        if not block:
            self.close()
            raise self._lost("the answer ended early")
        return block[: self._end - self.position]

    def _lost(self, why: str) -> _PassingError:
        return _PassingError(
            "network",
            f"{self._file.url}, byte {self.position:,}: {why}; check the network and run the same "
            "again: what is done is kept",
        )

    def _refuse_slowness(self) -> None:
        file, moved = self._file, self.position - self._start
        if self._waited_s > file.patience_s and moved < file.least_bytes_s * self._waited_s:
            raise WorldError(
                "too_slow",
                f"{file.url}: {moved:,} bytes came in {self._waited_s:.0f} s; run the same again "
                "when the network is better",
                stops_batch=True,
            )

    def _ask(self) -> None:
        """Ask for what is left of the range, and look at the answer's head."""
        file, headers = self._file, {"range": f"bytes={self.position}-{self._end - 1}"}
        if self.identity is not None and self.identity.validator is not None:
            headers["if-range"] = self.identity.validator
        file.traffic.requests += 1
        request = file.client.build_request("GET", file.url, headers=headers)
        response = file.client.send(request, stream=True)
        try:
            found = self._identity_of(response)
        except BaseException:
            response.close()
            raise
        self.identity = found
        self._response, self._blocks = response, response.iter_raw()

    def _identity_of(self, response: httpx.Response) -> Identity:
        """The version of the file that an answer is of, where it is the range that was asked for.

        Raises:
            RecordingError: it is anything else.
        """
        url, status = self._file.url, response.status_code
        if status == RANGE_NOT_THERE or (
            status == WHOLE_FILE and self.identity and _differs(response, self.identity)
        ):
            raise self._file.changed() if self.identity else _no_ranges(url, "has no first byte")
        if status == WHOLE_FILE:
            raise _no_ranges(url, "answers a range with the whole file")
        if status != PARTIAL:
            raise _refusal(url, response)
        span = CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if span is None or int(span[1]) != self.position:
            raise _no_ranges(url, f"answers with {response.headers.get('content-range')!r}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _no_ranges(url, "compresses what it sends")
        headers = response.headers
        found = Identity(int(span[3]), headers.get("etag"), headers.get("last-modified"))
        if self.identity is not None and (
            found.size_bytes != self.identity.size_bytes or _differs(response, self.identity)
        ):
            raise self._file.changed()
        return self.identity or found


@contextmanager
def open_remote(url: str, options: FetchOptions) -> Iterator[RemoteFile]:
    """A file on a server, for the while; nothing is asked for yet."""
    import httpx

    trusted = httpx.create_ssl_context()
    # A lab's proxy knows nothing of this machine's own addresses.
    direct = {f"all://{host}": httpx.HTTPTransport(verify=trusted) for host in LOOPBACK}
    with httpx.Client(
        verify=trusted,
        mounts=direct,
        headers={
            "user-agent": f"data-collection/{version('data-collection')}",
            "accept-encoding": "identity",
        },
        timeout=httpx.Timeout(options.socket_timeout_s, connect=CONNECT_TIMEOUT_S),
        follow_redirects=True,
    ) as client:
        yield RemoteFile(url, client, options)


def _differs(response: httpx.Response, identity: Identity) -> bool:
    """Whether an answer states another version; a validator that either lacks proves nothing."""
    headers = response.headers
    stated = (
        (headers.get("etag"), identity.etag),
        (headers.get("last-modified"), identity.last_modified),
    )
    return any(now and then and now != then for now, then in stated)


def _no_ranges(url: str, what: str) -> SetupError:
    return SetupError(
        "no_ranges",
        f"{url}: the server {what}, so that one recording cannot be read without the others; "
        "download the archive by other means and set MAESTRO_BASE_URL to file:///… with the path "
        "of the zip, or of the folder that it was unpacked to",
    )


def _refusal(url: str, response: httpx.Response) -> Exception:
    status = response.status_code
    said = f"{url} answered {status}"
    if status in PASSING:
        pause_s = retry_after_s(response.headers.get("retry-after"))
        asked = f" and asks for a pause of {pause_s:.0f} s" if pause_s else ""
        reason = "too_many_requests" if status == TOO_MANY else "server_error"
        return _PassingError(reason, f"{said}{asked}; run the same again later", pause_s)
    if status in (404, 410):
        return SetupError(
            "archive_missing", f"{said}: there is no archive there; correct MAESTRO_BASE_URL"
        )
    if status in (401, 403):
        return SetupError(
            "archive_forbidden", f"{said}: guests may not read it; correct MAESTRO_BASE_URL"
        )
    return WorldError("server_error", f"{said}; run the same again later", stops_batch=True)


def _wait_before_retry(error: Exception) -> bool | float:
    """Whether to try again, and after how long where the server says so; stamina's hook."""
    if not isinstance(error, _PassingError):
        return False
    if error.retry_after_s is None:
        return True
    return error.retry_after_s <= LONGEST_RETRY_AFTER_S and error.retry_after_s
