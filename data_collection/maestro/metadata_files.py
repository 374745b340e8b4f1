"""Where a release's small files lie: on a web server, in a folder, in a zip.

What belongs here: getting the bytes of a named file below `MAESTRO_BASE_URL`, with retries. What
does not: what the files say (`metadata`) and the audio, which is read by ranges (`archive`). A
release's metadata are two files of 0.3 and 0.5 MB, fetched whole whenever the catalogue is made.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

import stamina

from data_collection.recordings.errors import CatalogueError

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 10_000_000
"""Of one file: twenty times the release's; whatever is larger is something else."""

PASSING = (408, 425, 429, 500, 502, 503, 504)
ATTEMPTS = 4
LONGEST_RETRY_AFTER_S = 60.0


class MetadataError(CatalogueError):
    """The release's metadata cannot be used; the message names file, row and column."""


class MetadataUnreachableError(MetadataError):
    """The metadata's server cannot be reached now; the same may succeed later."""


class _PassingError(Exception):
    """May be over at the next try; `retry_after_s` is the pause that the server asked for."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def read_release_file(
    base_url: str, release: str, name: str, *, client: httpx.Client | None = None
) -> bytes:
    """Read a small file of a release.

    Args:
        base_url: `http(s)://…/` or `file:///…` of a folder that holds the files, or of the
            release's zip; beside a remote zip, and in or beside a local one, they are looked for.
        release: the archive's name without ending, which is its top folder's name too.
        name: the file's.
        client: to ask with; None for one of its own.

    Raises:
        MetadataUnreachableError: the server did not answer, however often it was asked.
        MetadataError: the address is none that can be read, or the file is not there.
    """
    try:
        parts = urlsplit(base_url)
    except ValueError as error:
        raise MetadataError(f"MAESTRO_BASE_URL {base_url!r} is no address ({error})") from error
    if parts.scheme == "file":
        return _read_local(parts, release, name)
    if parts.scheme not in ("http", "https"):
        raise MetadataError(
            f"MAESTRO_BASE_URL {base_url!r} is neither http(s):// nor file:///; a folder of this "
            "machine is written file:///path/of/the/folder"
        )
    return _fetch(_file_url(parts, name), client)


def _file_url(parts: SplitResult, name: str) -> str:
    """Address of a file in the folder, or beside the zip, that a base URL names."""
    folder = parts.path.rpartition("/")[0] if parts.path.lower().endswith(".zip") else parts.path
    return parts._replace(path=f"{folder.rstrip('/')}/{name}", fragment="").geturl()


def _fetch(url: str, client: httpx.Client | None) -> bytes:
    retried = stamina.retry_context(on=_wait_before_retry, attempts=ATTEMPTS, timeout=None)
    try:
        with _client(client) as asking:
            for attempt in retried:
                with attempt:
                    return _request(url, asking)
    except _PassingError as error:
        raise MetadataUnreachableError(
            f"{error}; try again later, or download the release and set MAESTRO_BASE_URL to "
            "file:///path/of/its/folder"
        ) from error
    raise AssertionError("stamina always returns or raises")


@contextmanager
def _client(given: httpx.Client | None) -> Iterator[httpx.Client]:
    """The given client, left open; or one of our own."""
    import httpx

    if given is not None:
        yield given
        return
    with httpx.Client(
        follow_redirects=True,
        timeout=httpx.Timeout(30.0, connect=5.0),
        headers={"user-agent": f"data-collection/{version('data-collection')}"},
        # A lab's proxy knows nothing of this machine's own addresses.
        mounts={f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")},
    ) as own:
        yield own


def _wait_before_retry(error: Exception) -> bool | float:
    """Whether to try again, and after how long where the server says so; stamina's hook."""
    if not isinstance(error, _PassingError):
        return False
    if error.retry_after_s is None:
        return True
    return error.retry_after_s <= LONGEST_RETRY_AFTER_S and error.retry_after_s


def _request(url: str, client: httpx.Client) -> bytes:
    import httpx

    try:
        with client.stream("GET", url) as response:
            if response.status_code in PASSING:
                asked = response.headers.get("retry-after", "")
                raise _PassingError(
                    f"{url} answered {response.status_code}",
                    float(asked) if asked.isdecimal() else None,
                )
            if response.status_code != httpx.codes.OK:
                raise MetadataError(
                    f"{url} answered {response.status_code}; MAESTRO_BASE_URL must be the folder "
                    "that holds the release's metadata beside its zip"
                )
            content = bytearray()
            for block in response.iter_bytes():
                content += block
                _refuse_size(url, len(content))
            return bytes(content)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise MetadataError(f"{url} is no address ({error})") from error
    except httpx.RequestError as error:
        raise _PassingError(f"{url} cannot be read: {error or type(error).__name__}") from error


def _read_local(parts: SplitResult, release: str, name: str) -> bytes:
    base = Path(url2pathname(parts.path))
    said = f"MAESTRO_BASE_URL {parts.geturl()}"
    if parts.netloc not in ("", "localhost") or not base.is_absolute():
        raise MetadataError(f"{said} is no absolute path; three slashes: file:///path")
    try:
        if not base.exists():
            raise MetadataError(f"{said}: there is no {base}")
        places = (base, base / f"{release}.zip") if base.is_dir() else (base, base.parent)
        for place in places:
            read = _read_in_folder if place.is_dir() else _read_in_zip
            content = read(place, release, name)
            if content is not None:
                return content
    except OSError as error:
        raise MetadataError(f"{said}: {name} cannot be read: {error}") from error
    raise MetadataError(
        f"{said}: {name} is in neither of {places[0]} and {places[1]}; it comes with the release, "
        "put it there"
    )


def _read_in_folder(folder: Path, release: str, name: str) -> bytes | None:
    """Content of a file in a folder or in the release's own folder there; None where it is not."""
    for file in (folder / name, folder / release / name):
        if file.is_file():
            _refuse_size(str(file), file.stat().st_size)
            return file.read_bytes()
    return None


def _read_in_zip(archive: Path, release: str, name: str) -> bytes | None:
    """Content of a zip's member, its CRC checked; None where there is no such zip or member."""
    if not archive.is_file():
        return None
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {info.filename: info for info in opened.infolist()}
            member = members.get(f"{release}/{name}") or members.get(name)
            if member is None:
                return None
            _refuse_size(f"{archive}: {member.filename}", member.file_size)
            return opened.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise MetadataError(
            f"{archive} is no whole zip ({error}); it was cut off or damaged: download it again"
        ) from error
    except RuntimeError as error:  # encrypted, or a compression that Python does not know
        raise MetadataError(f"{archive}: {name} cannot be read: {error}") from error


def _refuse_size(what: str, size_bytes: int) -> None:
    if size_bytes > MAX_BYTES:
        raise MetadataError(f"{what} is larger than {MAX_BYTES:,} bytes; is it the metadata?")
