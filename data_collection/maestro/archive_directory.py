"""The directory of a remote archive, kept under the data root so that it is read once.

What belongs here: the kept file, and when it no longer holds. What does not: reading it from the
archive (`archive_zip`). It holds for one version of the archive: ETag, date and length.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from data_collection.maestro.archive_ranges import Identity, RemoteFile
from data_collection.maestro.archive_zip import Directory, read_directory
from data_collection.recordings.store import Store

KEPT_AT = ".http_cache/maestro_directory.bin"


@dataclass(frozen=True, slots=True)
class KeptDirectory:
    """A directory on disk: a line of JSON that says of what it is, and then its bytes.

    Attributes:
        store: the data root.
        path: of the file in it.
    """

    store: Store
    path: str = KEPT_AT

    def of(self, remote: RemoteFile, identity: Identity) -> Directory:
        """The directory of this version of an archive, kept or read now.

        Of an archive of which nothing but the length is known, none is ever kept.

        Raises:
            SetupError: `archive_unreadable`, or as `RangeStream.read_block`.
            WorldError: likewise.
        """
        kept = self._read(remote.url, identity)
        if kept is not None:
            return kept
        directory = read_directory(
            identity.size_bytes,
            lambda start, end: remote.read(start, end, identity),
            place=remote.url,
        )
        if identity.is_certain:
            head = _head(remote.url, identity, directory)
            self.store.write_bytes(self.path, head + directory.content)
        return directory

    def _read(self, url: str, identity: Identity) -> Directory | None:
        """The kept one, where it is of this version and whole."""
        try:
            head, _, content = self.store.path(self.path).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        directory = Directory(identity.size_bytes - len(content), content)
        return directory if head + b"\n" == _head(url, identity, directory) else None


def _head(url: str, identity: Identity, directory: Directory) -> bytes:
    sha256 = hashlib.sha256(directory.content).hexdigest()
    about = {"url": url, **asdict(identity), "start": directory.start, "sha256": sha256}
    return json.dumps(about).encode() + b"\n"
