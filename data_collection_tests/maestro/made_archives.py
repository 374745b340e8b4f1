"""Archives for tests and the benchmark: zips of made-up wavs, and a server that has faults.

What belongs here: writing a zip as the release is (zip64 where asked), and HTTP ranges with
everything that can go wrong with them. What does not: what the code makes of it.
"""

from __future__ import annotations

import io
import re
import socket
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import soundfile

BLOCK_BYTES = 1 << 16
TOP = "maestro-v3.0.0"


def made_wav(
    seconds: float,
    rate_hz: int = 44_100,
    *,
    seed: int = 0,
    subtype: str = "PCM_16",
    times: int = 1,
) -> bytes:
    """A stereo wav of faint noise under a chord, some times over, as bytes."""
    buffer = io.BytesIO()
    samples = np.tile(made_samples(seconds, rate_hz, seed), (times, 1))
    soundfile.write(buffer, samples, rate_hz, subtype=subtype, format="WAV")
    return buffer.getvalue()


def made_samples(seconds: float, rate_hz: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """Samples `[n, 2]`: three sines and noise."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    chord = sum(np.sin(2 * np.pi * pitch_hz * time_s) for pitch_hz in (220.0, 277.2, 329.6))
    hiss = np.random.default_rng(seed).normal(0.0, 0.01, (time_s.size, 2))
    return 0.2 * np.asarray(chord)[:, np.newaxis] + hiss


def write_zip(
    path: Path,
    members: Mapping[str, bytes],
    *,
    zip64: bool = True,
    deflated: frozenset[str] = frozenset(),
    comment: bytes = b"",
) -> Path:
    """Write a zip; `zip64` forces the long records that a small one does not need."""
    limit = 100 if zip64 else zipfile.ZIP64_LIMIT
    count = 0 if zip64 else zipfile.ZIP_FILECOUNT_LIMIT
    with (
        mock.patch.object(zipfile, "ZIP64_LIMIT", limit),
        mock.patch.object(zipfile, "ZIP_FILECOUNT_LIMIT", count),
        zipfile.ZipFile(path, "w", allowZip64=True) as archive,
    ):
        archive.comment = comment
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if name in deflated else zipfile.ZIP_STORED
            with archive.open(info, "w", force_zip64=zip64) as member:
                member.write(content)
    return path


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        status: answered instead of the file.
        headers: in place of the usual ones, or beside them.
        drop_after: bytes of the body, after which the connection is reset.
        stall_after: bytes of the body, after which nothing comes any more.
        ignores_ranges: the whole file is sent, with status 200.
        shifted: bytes by which the range that is sent starts late.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    stall_after: int | None = None
    ignores_ranges: bool = False
    shifted: int = 0


@dataclass(slots=True)
class Asked:
    """A request that came, and how much of the body was sent before the client hung up."""

    path: str
    range: str | None
    if_range: str | None
    sent_bytes: int = 0


@dataclass(slots=True)
class ArchiveServer:
    """A running server of a folder, on loopback.

    Attributes:
        url: its address, with a slash at the end.
        folder: what it serves; files may be replaced while it runs.
        etag: of every file; None sends none.
        last_modified: likewise.
        asked: every request so far.
        faults: of the requests to come, one each; None is a good answer.
        always: the fault of all requests after those.
        ignores_if_range: it sends the range of whatever file is there.
    """

    url: str
    folder: Path
    etag: str | None = '"first"'
    last_modified: str | None = "Wed, 01 Jan 2020 00:00:00 GMT"
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault | None] = field(default_factory=list)
    always: Fault | None = None
    ignores_if_range: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def sent_bytes(self) -> int:
        """Bytes of all bodies."""
        return sum(asked.sent_bytes for asked in self.asked)

    def forget(self) -> None:
        """Count from here on."""
        self.asked.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: ArchiveServer

    def do_GET(self) -> None:
        site = self.site
        asked = Asked(self.path, self.headers.get("range"), self.headers.get("if-range"))
        site.asked.append(asked)
        fault = (site.faults.pop(0) if site.faults else site.always) or Fault()
        path = site.folder / self.path.lstrip("/")
        if fault.status is not None or not path.is_file():
            self._answer(fault.status or 404, {"content-length": "0", **fault.headers})
            return
        size = path.stat().st_size
        validators = {"etag": site.etag, "last-modified": site.last_modified}
        headers = {name: value for name, value in validators.items() if value is not None}
        is_same = asked.if_range in (None, *headers.values()) or site.ignores_if_range
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.range or "")
        first, last, status = 0, size - 1, 200
        if found and is_same and not fault.ignores_ranges:
            first, last = _range(found[1], found[2], size)
            if first > last:
                self._answer(416, {"content-range": f"bytes */{size}", "content-length": "0"})
                return
            first, last, status = first + fault.shifted, last + fault.shifted, 206
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        headers["content-length"] = str(last - first + 1)
        self._answer(status, {**headers, **fault.headers})
        self._send(path, first, last, asked, fault)

    def _answer(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, path: Path, first: int, last: int, asked: Asked, fault: Fault) -> None:
        limits = [last - first + 1]
        limits += [stop for stop in (fault.drop_after, fault.stall_after) if stop is not None]
        try:
            with path.open("rb") as file:
                file.seek(first)
                while asked.sent_bytes < min(limits):
                    block = file.read(min(BLOCK_BYTES, min(limits) - asked.sent_bytes))
                    self.wfile.write(block)
                    asked.sent_bytes += len(block)
        except ConnectionError:
            self.close_connection = True
            return
        if fault.stall_after is not None:
            self.site.stopping.wait(30.0)
        if asked.sent_bytes < limits[0]:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _range(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: that clients hang up is what is tried here."""


@contextmanager
def serve_folder(folder: Path) -> Iterator[ArchiveServer]:
    """Serve a folder on 127.0.0.1 for the while."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        site = ArchiveServer(f"http://127.0.0.1:{server.server_port}/", folder)
        handler.site = site
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield site
        finally:
            site.stopping.set()
            server.shutdown()
            thread.join()
