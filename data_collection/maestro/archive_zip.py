"""Members of a zip of which only the parts that are needed are read.

What belongs here: giving `zipfile` the bytes that it asks for, and checking what it gives. What
does not: where the bytes come from (`archive_ranges`), keeping a directory (`archive_directory`).
`zipfile` knows zip64, deflate and CRC-32; it reads an archive's end first and then each member from
its header on, straight through, so a window at the end and one stream is all that it needs.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

from data_collection.maestro.archive_ranges import RangeStream
from data_collection.recordings.errors import ItemError, SetupError

TOP_FOLDER = "maestro-v3.0.0"
FIRST_GUESS_BYTES = 1 << 20
"""The release's directory has 2,552 entries in about half of that."""
MOST_DIRECTORY_BYTES = 1 << 26
LOCAL_HEADER_BYTES = 30
MOST_EXTRA_BYTES = 0xFFFF + 24
"""A local header's extra field, and the record that may follow a member's data."""
READ_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Directory:
    """A zip's end, from its central directory on.

    Attributes:
        start: of the directory in the archive, in bytes.
        content: all bytes from there to the end.
    """

    start: int
    content: bytes

    @property
    def archive_bytes(self) -> int:
        """Size of the whole archive."""
        return self.start + len(self.content)


def read_directory(size_bytes: int, read: Callable[[int, int], bytes], *, place: str) -> Directory:
    """Read an archive's directory, in one go where it is not longer than was guessed.

    Args:
        size_bytes: of the archive.
        read: gives the bytes between two positions.
        place: of the archive, for messages.

    Raises:
        SetupError: `archive_unreadable`: it is cut off, or no zip.
    """
    first = max(0, size_bytes - FIRST_GUESS_BYTES)
    window = _Window(Directory(first, read(first, size_bytes)))

    def read_before(position: int, size: int) -> bytes:
        if size_bytes - position > MOST_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of more than {MOST_DIRECTORY_BYTES:,} bytes")
        known = window.end
        window.end = Directory(position, read(position, known.start) + known.content)
        return window.end.content[:size]

    window.read_before = read_before
    with open_zip(window, place=place) as archive:
        start = archive.start_dir
    return Directory(start, window.end.content[start - window.end.start :])


@contextmanager
def open_zip(file: object, *, place: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose directory must be whole.

    Raises:
        SetupError: `archive_unreadable`: it is cut off, or no zip.
    """
    try:
        archive = zipfile.ZipFile(cast(IO[bytes], file))
        if any(info.header_offset < 0 for info in archive.infolist()):
            raise zipfile.BadZipFile("there are fewer bytes before it than it says")
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
        raise SetupError(
            "archive_unreadable",
            f"{place} has no zip directory that fits it at its end ({error}): it is cut off "
            "or no zip; download it again, or correct MAESTRO_BASE_URL",
        ) from error
    with archive:
        yield archive


@contextmanager
def open_directory(directory: Directory, *, place: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip of which nothing but the directory can be read."""
    with open_zip(_Window(directory), place=place) as archive:
        yield archive


@contextmanager
def open_remote_member(
    directory: Directory, name: str, stream: Callable[[int, int], RangeStream], *, place: str
) -> Iterator[CheckedMember]:
    """Open a member for reading once, from one range of the archive.

    Args:
        directory: of the archive.
        name: as the metadata give it, such as `2004/….wav`.
        stream: gives the bytes between two positions as they come.
        place: of the archive, for messages.

    Raises:
        ItemError: it is not there, or not as the directory says.
    """
    window = _Window(directory)
    with open_zip(window, place=place) as archive:
        info = find_member(archive, name, place=place)
        with stream(info.header_offset, _end_of(archive, info, directory)) as source:
            window.read_before = _Forward(source).read_at
            with open_member(archive, info, place=place) as member:
                yield member


@contextmanager
def open_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, place: str
) -> Iterator[CheckedMember]:
    """Open a member of an open zip; raises `ItemError` where it cannot be read."""
    with _faults_of(info.filename, place):
        opened = archive.open(info)
    with opened as content:
        yield CheckedMember(content, info, place)


def find_member(archive: zipfile.ZipFile, name: str, *, place: str) -> zipfile.ZipInfo:
    """Find a member, below the release's own folder or not.

    Raises:
        ItemError: `member_missing`.
    """
    for candidate in _candidates(name):
        try:
            return archive.getinfo(candidate)
        except KeyError:
            continue
    raise ItemError(
        "member_missing",
        f"{name} is not in {place}, neither below {TOP_FOLDER}/ nor on top; are metadata and "
        "archive of one release?",
    )


def missing_members(archive: zipfile.ZipFile, names: Iterable[str]) -> list[str]:
    """Those of some names that `find_member` would not find."""
    there = set(archive.namelist())
    return [name for name in names if there.isdisjoint(_candidates(name))]


def _candidates(name: str) -> tuple[str, str]:
    return f"{TOP_FOLDER}/{name}", name


class CheckedMember(io.RawIOBase):
    """A member's content, whose size and CRC-32 have been checked once its end was read.

    Attributes:
        size_bytes: as the directory says.
        compressed_bytes: likewise, as it lies in the archive.
    """

    def __init__(self, content: IO[bytes], info: zipfile.ZipInfo, place: str) -> None:
        """Take over an open member."""
        super().__init__()
        self.size_bytes = info.file_size
        self.compressed_bytes = info.compress_size
        self._content = content
        self._name = info.filename
        self._place = place
        self._digest = hashlib.sha256()
        self._read_bytes = 0

    @property
    def sha256(self) -> str:
        """Hash of what has been read so far."""
        return self._digest.hexdigest()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read on.

        Raises:
            ItemError: `wrong_checksum` or `corrupt_member`, with the last block at the latest.
        """
        with _faults_of(self._name, self._place):
            block = self._content.read(len(buffer))
            self._read_bytes += len(block)
            if not block and self._read_bytes != self.size_bytes:
                raise zipfile.BadZipFile(
                    f"{self._read_bytes:,} bytes, and {self.size_bytes:,} in the directory"
                )
        self._digest.update(block)
        buffer[: len(block)] = block
        return len(block)

    def buffered(self) -> io.BufferedReader:
        """The same, to be read in whatever pieces."""
        return io.BufferedReader(self, READ_BLOCK_BYTES)


@contextmanager
def _faults_of(name: str, place: str) -> Iterator[None]:
    """What `zipfile` says of a member, as the member's fault."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error, struct.error) as error:
        reason = "wrong_checksum" if "CRC" in str(error) else "corrupt_member"
        raise ItemError(
            reason,
            f"{name} in {place} is damaged ({str(error) or 'it ends early'}); try again, and if "
            "it stays so, this copy of the archive is bad",
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise ItemError(
            "unreadable_member",
            f"{name} in {place} cannot be read ({error}); unpack the archive by other means and "
            "set MAESTRO_BASE_URL to file:///… with that folder",
        ) from error


def _end_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo, directory: Directory) -> int:
    """Where a member's bytes end at the latest; the local header's own length is not known yet."""
    after = [other.header_offset for other in archive.infolist()]
    following = min(
        (start for start in after if start > info.header_offset), default=directory.start
    )
    head = LOCAL_HEADER_BYTES + len(info.orig_filename.encode()) + MOST_EXTRA_BYTES
    return min(following, info.header_offset + head + info.compress_size)


def _nothing_before(position: int, size: int) -> bytes:
    raise zipfile.BadZipFile(f"nothing is known of the {size} bytes at {position:,}")


class _Window:
    """An archive as a file of which only the end is at hand; `read_before` gives what lies before.

    What it gives may be less than asked for only where the archive has no more.
    """

    def __init__(self, end: Directory) -> None:
        self.end = end
        self.read_before: Callable[[int, int], bytes] = _nothing_before
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = self.end.archive_bytes
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence]
        if base + offset < 0:
            raise OSError(f"position {base + offset} of a file")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        start = self._position
        end = self.end.archive_bytes if size < 0 else start + size
        content = b""
        if start < self.end.start:
            content = self.read_before(start, min(end, self.end.start) - start)
        if start + len(content) >= self.end.start:
            offset = start + len(content) - self.end.start
            content += self.end.content[offset : max(offset, end - self.end.start)]
        self._position += len(content)
        return content


class _Forward:
    """A range as it comes, read at positions that only grow."""

    def __init__(self, stream: RangeStream) -> None:
        self._stream = stream
        self._position = stream.position
        self._block = b""

    def read_at(self, position: int, size: int) -> bytes:
        if position < self._position:
            raise zipfile.BadZipFile(f"byte {position:,} is asked for after {self._position:,}")
        self._take(position - self._position)
        return self._take(size)

    def _take(self, size: int) -> bytes:
        parts, missing = [], size
        while missing > 0:
            if not self._block:
                self._block = self._stream.read_block()
            if not self._block:
                break
            part, self._block = self._block[:missing], self._block[missing:]
            parts.append(part)
            missing -= len(part)
        content = b"".join(parts)
        self._position += len(content)
        return content
