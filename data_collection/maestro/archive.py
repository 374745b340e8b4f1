"""MAESTRO's audio, read one recording at a time from the release's archive, wherever that is.

What belongs here: the three places (a server's zip, a local zip, a folder of wavs) and the one
thing that is done with each: decode a member while it comes. What does not: HTTP
(`archive_ranges`), zip (`archive_zip`), the stored form (`recordings.decode`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from data_collection.maestro.archive_directory import KeptDirectory
from data_collection.maestro.archive_ranges import (
    Identity,
    RangeStream,
    RemoteFile,
    Traffic,
    open_remote,
)
from data_collection.maestro.archive_zip import (
    TOP_FOLDER,
    CheckedMember,
    Directory,
    find_member,
    missing_members,
    open_directory,
    open_member,
    open_remote_member,
    open_zip,
)
from data_collection.recordings.decode import (
    DecodedAudio,
    decode_stream_to_flac,
    decode_to_flac,
)
from data_collection.recordings.errors import ItemError, SetupError, WorldError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.store import Store, sha256_of_file

ARCHIVE_NAME = f"{TOP_FOLDER}.zip"
LONGER_SHARE, LONGER_S = 1.05, 5.0
"""The metadata's durations are those of the MIDI files; the sound may go on for a while."""


@dataclass(frozen=True, slots=True)
class StoredOriginal:
    """A recording that was decoded, and what it was decoded from.

    Attributes:
        decoded: what was stored.
        sha256: of the original's bytes, as they are outside an archive.
        size_bytes: of the original.
        source_url: the archive's address, with the member after `#`, or the file's.
        compressed_bytes: of the original as it lies there.
        moved_bytes: that came over the network for it, directory not counted.
    """

    decoded: DecodedAudio
    sha256: str
    size_bytes: int
    source_url: str
    compressed_bytes: int
    moved_bytes: int = 0


class Archive(Protocol):
    """The release's recordings, each readable without the others.

    Attributes:
        place: its address, for messages.
        traffic: what was asked of a server, and what came.
    """

    place: str
    traffic: Traffic

    def decode(
        self, audio_filename: str, target: Path, *, claimed_duration_s: float | None = None
    ) -> StoredOriginal:
        """Decode one recording to FLAC, in one pass over it.

        Args:
            audio_filename: as the metadata give it, such as `2004/….wav`.
            target: the FLAC file to write; the caller publishes it.
            claimed_duration_s: what the metadata say it lasts.

        Raises:
            ItemError: `member_missing`, `corrupt_member`, `wrong_checksum`, `unreadable_member`,
                `duration_mismatch`, or as `decode_to_flac`.
            SetupError: the archive is not there or no zip, its server has no ranges, or there is no
                room.
            WorldError: the server cannot be reached, or the archive changed.
        """

    def missing(self, audio_filenames: Iterable[str]) -> list[str]:
        """Names of recordings that are not there, without reading any.

        Raises:
            SetupError: as `decode`.
            WorldError: as `decode`.
        """


@contextmanager
def open_archive(base_url: str, store: Store, options: FetchOptions) -> Iterator[Archive]:
    """Open the archive that `MAESTRO_BASE_URL` names; nothing is asked for before it is used.

    Args:
        base_url: folder of the release on a server, or `file:///` and a zip, a folder that holds
            the zip, or a folder that it was unpacked to. An address that ends in `.zip` is the zip.
        store: the data root, where a remote archive's directory is kept.
        options: how stubbornly to fetch.

    Raises:
        SetupError: `bad_base_url`, or `archive_missing` for a local one.
    """
    parts = urlsplit(base_url)
    if parts.scheme in ("http", "https") and parts.hostname:
        is_zip = parts.path.endswith(".zip")
        url = base_url if is_zip else f"{base_url.rstrip('/')}/{ARCHIVE_NAME}"
        with open_remote(url, options) as remote:
            yield RemoteZip(remote, KeptDirectory(store))
    elif parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path[:1] == "/":
        yield _local_archive(Path(url2pathname(parts.path)), base_url)
    else:
        raise SetupError(
            "bad_base_url",
            f"MAESTRO_BASE_URL is {base_url!r}; write https://… for a server, or file:///… with "
            "the whole path of a zip or folder",
        )


def _local_archive(path: Path, base_url: str) -> Archive:
    if path.is_file():
        return LocalZip(path)
    if any(_year_folders(path / TOP_FOLDER)) or any(_year_folders(path)):
        return Folder(path)
    if (path / ARCHIVE_NAME).is_file():
        return LocalZip(path / ARCHIVE_NAME)
    raise SetupError(
        "archive_missing",
        f"MAESTRO_BASE_URL is {base_url!r}: {path} is neither a zip nor a folder with "
        f"{ARCHIVE_NAME}, {TOP_FOLDER}/ or the folders of the years",
    )


def _year_folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("[12][0-9][0-9][0-9]") if path.is_dir())


class RemoteZip:
    """The zip on a server, read by ranges."""

    def __init__(self, remote: RemoteFile, kept: KeptDirectory) -> None:
        """Nothing is asked for before the first recording."""
        self.place = remote.url
        self.traffic = remote.traffic
        self._remote = remote
        self._kept = kept
        self._opened: tuple[Identity, Directory] | None = None

    def decode(
        self, audio_filename: str, target: Path, *, claimed_duration_s: float | None = None
    ) -> StoredOriginal:
        """See `Archive`."""
        try:
            identity, directory = self._open()
            before = self.traffic.moved_bytes

            def stream(start: int, end: int) -> RangeStream:
                return RangeStream(self._remote, start, end, identity)

            opened = open_remote_member(directory, audio_filename, stream, place=self.place)
            original = _decode_member(
                opened, self.place, audio_filename, target, claimed_duration_s
            )
            return replace(original, moved_bytes=self.traffic.moved_bytes - before)
        except WorldError as error:
            if error.reason == "archive_changed":
                self._opened = None
            raise

    def missing(self, audio_filenames: Iterable[str]) -> list[str]:
        """See `Archive`."""
        with open_directory(self._open()[1], place=self.place) as archive:
            return missing_members(archive, audio_filenames)

    def _open(self) -> tuple[Identity, Directory]:
        if self._opened is None:
            identity = self._remote.identity()
            self._opened = identity, self._kept.of(self._remote, identity)
        return self._opened


class LocalZip:
    """The zip on a disk of this machine."""

    def __init__(self, path: Path) -> None:
        """The zip is opened anew for each recording."""
        self.place = path.as_uri()
        self.traffic = Traffic()
        self._path = path

    def decode(
        self, audio_filename: str, target: Path, *, claimed_duration_s: float | None = None
    ) -> StoredOriginal:
        """See `Archive`."""
        return _decode_member(
            self._member(audio_filename), self.place, audio_filename, target, claimed_duration_s
        )

    def missing(self, audio_filenames: Iterable[str]) -> list[str]:
        """See `Archive`."""
        with open_zip(self._path, place=self.place) as archive:
            return missing_members(archive, audio_filenames)

    @contextmanager
    def _member(self, audio_filename: str) -> Iterator[CheckedMember]:
        with open_zip(self._path, place=self.place) as archive:
            info = find_member(archive, audio_filename, place=self.place)
            with open_member(archive, info, place=self.place) as member:
                yield member


class Folder:
    """The folder that the zip was unpacked to. Nothing there says what a file's bytes should be."""

    def __init__(self, path: Path) -> None:
        """The files may lie in the folder or in the release's own folder below it."""
        self.place = path.as_uri()
        self.traffic = Traffic()
        self._path = path

    def decode(
        self, audio_filename: str, target: Path, *, claimed_duration_s: float | None = None
    ) -> StoredOriginal:
        """See `Archive`."""
        original = self._find(audio_filename)
        decoded = decode_to_flac(original, target, claimed_duration_s=claimed_duration_s)
        _refuse_longer(decoded.duration_s, claimed_duration_s, original.as_uri())
        size_bytes = original.stat().st_size
        return StoredOriginal(
            decoded, sha256_of_file(original), size_bytes, original.as_uri(), size_bytes
        )

    def missing(self, audio_filenames: Iterable[str]) -> list[str]:
        """See `Archive`."""
        return [name for name in audio_filenames if self._found(name) is None]

    def _found(self, audio_filename: str) -> Path | None:
        name = PurePosixPath(audio_filename)
        candidates = [self._path / TOP_FOLDER / name, self._path / name]
        is_inside = not name.is_absolute() and ".." not in name.parts
        return next((path for path in candidates if is_inside and path.is_file()), None)

    def _find(self, audio_filename: str) -> Path:
        found = self._found(audio_filename)
        if found is None:
            raise ItemError(
                "member_missing",
                f"{audio_filename} is not in {self.place}, neither below {TOP_FOLDER}/ nor on top; "
                "unpack the whole archive, or correct MAESTRO_BASE_URL",
            )
        return found


def _decode_member(
    opened: AbstractContextManager[CheckedMember],
    place: str,
    audio_filename: str,
    target: Path,
    claimed_duration_s: float | None,
) -> StoredOriginal:
    source_url = f"{place}#{quote(audio_filename)}"
    with opened as member:
        decoded = decode_stream_to_flac(
            member.buffered(),
            member.size_bytes,
            target,
            name=audio_filename,
            claimed_duration_s=claimed_duration_s,
        )
        original = StoredOriginal(
            decoded, member.sha256, member.size_bytes, source_url, member.compressed_bytes
        )
    _refuse_longer(decoded.duration_s, claimed_duration_s, source_url)
    return original


def _refuse_longer(decoded_s: float, claimed_s: float | None, what: str) -> None:
    """A recording far longer than its row says is another one; a shorter one is truncated."""
    if claimed_s is not None and decoded_s > LONGER_SHARE * claimed_s + LONGER_S:
        raise ItemError(
            "duration_mismatch",
            f"{what} lasts {decoded_s:.2f} s, and the metadata say {claimed_s:.2f} s; are metadata "
            "and archive of one release?",
        )
