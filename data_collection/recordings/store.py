"""The data root: where artifacts lie, and how a file comes to lie there whole or not at all.

What belongs here: paths, atomic writes, scratch folders. What does not: the meaning of any file.
A relative path here is an asset key joined by `/`, so the lineage and the folder tell the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from data_collection.recordings.errors import room_on

STALE_SCRATCH_S = 24 * 3600.0
READ_BLOCK_BYTES = 1 << 20


def sha256_of_file(path: Path | UPath) -> str:
    """Hash a file's content, by blocks; returns 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that has been published under the data root."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Store:
    """The data root, local or any fsspec URL.

    Attributes:
        root: everything but embeddings.
        embeddings_root: folders whose name ends with `muq_embeddings`.
    """

    root: UPath
    embeddings_root: UPath

    @classmethod
    def at(cls, root: str, embeddings_root: str | None = None) -> Store:
        """Open a store at a folder or fsspec URL; nothing is created until the first write."""
        return cls(root=_absolute(root), embeddings_root=_absolute(embeddings_root or root))

    def path(self, relative: str) -> UPath:
        """Where a relative path lies.

        Raises:
            ValueError: the path is absolute or leaves the root.
        """
        parts = relative.split("/")
        if relative.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{relative!r} is no path below the data root")
        return self._root_of(relative).joinpath(*parts)

    def _root_of(self, relative: str) -> UPath:
        is_embedding = any(part.endswith("muq_embeddings") for part in relative.split("/"))
        return self.embeddings_root if is_embedding else self.root

    def write_bytes(self, relative: str, content: bytes) -> StoredFile:
        """Publish bytes: the old file stays whole until the new one is.

        Raises:
            SetupError: no room is left.
        """
        target = self.path(relative)
        with room_on(str(target.parent)):
            target.parent.mkdir(parents=True, exist_ok=True)
            if _is_local(target):
                _replace(Path(str(target)), content, _scratch_base(self._root_of(relative)))
            else:  # an object appears under its name only when its upload has ended
                target.write_bytes(content)
        return StoredFile(relative, hashlib.sha256(content).hexdigest(), len(content))

    def publish(self, local: Path, relative: str) -> StoredFile:
        """Publish a finished local file, which is moved away or uploaded.

        Raises:
            SetupError: no room is left.
        """
        target = self.path(relative)
        stored = StoredFile(relative, sha256_of_file(local), local.stat().st_size)
        with room_on(str(target.parent)):
            target.parent.mkdir(parents=True, exist_ok=True)
            if _is_local(target):
                base = _scratch_base(self._root_of(relative))
                same_disk = local.stat().st_dev == base.stat().st_dev
                moved = local if same_disk else base / uuid.uuid4().hex
                if not same_disk:
                    shutil.move(local, moved)
                _sync_file(moved)
                moved.replace(str(target))
                _sync_folder(Path(str(target.parent)))
            else:
                with local.open("rb") as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, READ_BLOCK_BYTES)
                local.unlink()
        return stored

    def holds(self, relative: str, size_bytes: int) -> bool:
        """Whether a published file is there with the size it had."""
        try:
            return int(self.path(relative).stat().st_size) == size_bytes
        except FileNotFoundError:
            return False

    @contextmanager
    def local(self, relative: str) -> Iterator[Path]:
        """A local path to read a published file by; remote files are copied for the while."""
        source = self.path(relative)
        if _is_local(source):
            yield Path(str(source))
            return
        with self.scratch() as folder:
            copy = folder / source.name
            with room_on(folder), source.open("rb") as remote, copy.open("wb") as sink:
                shutil.copyfileobj(remote, sink, READ_BLOCK_BYTES)
            yield copy

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A fresh local folder, gone afterwards, on the root's own disk so that a move is atomic.

        What a killed process left behind is removed by a later call, once it is a day old.
        """
        if _is_local(self.root):
            with room_on(str(self.root)):
                base = _scratch_base(self.root)
                _remove_stale(base)
                folder = base / uuid.uuid4().hex
                folder.mkdir()
        else:
            folder = Path(tempfile.mkdtemp(prefix="data-collection-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _scratch_base(root: UPath) -> Path:
    """Where unfinished files lie: never beside the finished ones, always on their disk."""
    base = Path(str(root)) / ".scratch"
    base.mkdir(parents=True, exist_ok=True)
    return base


def _absolute(root: str) -> UPath:
    path = UPath(root)
    if not _is_local(path):
        return path
    plain = Path(root) if "://" not in root else Path(path.path)
    return UPath(plain.expanduser().resolve())


def _is_local(path: UPath) -> bool:
    return path.protocol in ("", "file", "local")


def _replace(target: Path, content: bytes, scratch: Path) -> None:
    temporary = scratch / uuid.uuid4().hex
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; without it a power cut can lose the name."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_stale(base: Path) -> None:
    oldest = time.time() - STALE_SCRATCH_S
    for leftover in base.iterdir():
        try:
            if leftover.stat().st_mtime >= oldest:
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()
        except FileNotFoundError:  # another process was faster
            continue
