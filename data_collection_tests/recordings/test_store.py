"""The data root: a file is there whole or not at all, wherever the root lies."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store, StoredFile

VERSION_BYTES = 3_000_000
ENDLESS_WRITER = """
import sys
from data_collection.recordings.store import Store
store = Store.at(sys.argv[1])
number = 0
while True:
    number = (number + 1) % 256
    store.write_bytes("t/version.bin", bytes([number]) * int(sys.argv[2]))
    print(number, flush=True)
"""
LIMITED_WRITER = """
import resource, sys
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.store import Store
store = Store.at(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.write_bytes("t/version.bin", bytes(1_000_000))
except RecordingError as error:
    print(type(error).__name__, error.reason, error.stops_batch)
"""


def all_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("writes_before_the_kill", [1, 2, 5, 9])
def test_killed_writer_leaves_a_whole_version(tmp_path: Path, writes_before_the_kill: int) -> None:
    """Whatever moment a writer dies at, the published file is one complete version.

    Guards against writing in place: `kill -9` would leave half an embedding under its final name,
    and its receipt's size is the only thing that could tell.
    """
    command = [sys.executable, "-c", ENDLESS_WRITER, str(tmp_path), str(VERSION_BYTES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(writes_before_the_kill):
            assert writer.stdout.readline()
        writer.kill()
    content = (tmp_path / "t" / "version.bin").read_bytes()
    assert len(content) == VERSION_BYTES
    assert len(set(content)) == 1
    visible = [path.name for path in (tmp_path / "t").iterdir() if not path.name.startswith(".")]
    assert visible == ["version.bin"]


def test_full_disk_keeps_the_old_file_and_leaves_no_temporary_one(tmp_path: Path) -> None:
    """Where no room is left, the old version stays and nothing of the new one does.

    Guards against a full disk that destroys what was there, and against leftovers that keep it
    full. The limit is the operating system's own.
    """
    store = Store.at(str(tmp_path))
    store.write_bytes("t/version.bin", b"old")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED_WRITER, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["SetupError", "disk_full", "True"]
    assert all_files(tmp_path) == ["t/version.bin"]
    assert (tmp_path / "t" / "version.bin").read_bytes() == b"old"


@pytest.mark.parametrize(
    "relative",
    ["/etc/passwd", "../outside", "t/../../outside", "t/./x", "t//x", "", ".", "..", "t/", "t/.."],
)
def test_a_path_never_leaves_the_root(store: Store, relative: str) -> None:
    """A path that is absolute, empty or climbs is refused, for reading and for writing.

    Guards against an id from a foreign web page that writes outside the data root.
    """
    with pytest.raises(ValueError, match="no path below the data root"):
        store.path(relative)
    with pytest.raises(ValueError, match="no path below the data root"):
        store.write_bytes(relative, b"x")


def test_what_was_stored_is_told(store: Store) -> None:
    """A write answers with path, hash and size of exactly the bytes given.

    Guards against hashes of something else than what lies on disk.
    """
    content = "Żółć".encode() * 1000
    stored = store.write_bytes("a/b/c.bin", content)
    assert stored == StoredFile("a/b/c.bin", hashlib.sha256(content).hexdigest(), len(content))
    assert Path(str(store.path("a/b/c.bin"))).read_bytes() == content


def test_stored_files_are_readable_by_others(store: Store) -> None:
    """A published file has the mode of an ordinary file.

    Guards against the private mode of a temporary file, which a training job of another user
    cannot read.
    """
    store.write_bytes("a/b.bin", b"x")
    assert Path(str(store.path("a/b.bin"))).stat().st_mode & 0o777 == 0o644


def test_publish_moves_a_file_and_replaces_the_old_one(store: Store) -> None:
    """A published local file is gone from where it was and lies whole under its name.

    Guards against copies that pile up in the scratch folder.
    """
    store.write_bytes("t/a.flac", b"old")
    with store.scratch() as folder:
        local = folder / "made.flac"
        local.write_bytes(b"new and longer")
        stored = store.publish(local, "t/a.flac")
        assert not local.exists()
    assert stored == StoredFile("t/a.flac", hashlib.sha256(b"new and longer").hexdigest(), 14)
    assert store.path("t/a.flac").read_bytes() == b"new and longer"


def test_holds_compares_the_size(store: Store) -> None:
    """A file counts as held only with the size it had; a missing one does not.

    Guards against skipping a recording whose artifact was cut or deleted.
    """
    store.write_bytes("t/a.bin", b"12345")
    assert store.holds("t/a.bin", 5)
    assert not store.holds("t/a.bin", 4)
    assert not store.holds("t/b.bin", 5)
    assert not store.holds("nowhere/b.bin", 5)


def test_embeddings_lie_under_their_own_root(tmp_path: Path) -> None:
    """Folders named `*muq_embeddings` go to the second root, everything else to the first.

    Guards against filling the small fast disk with embeddings, or scattering receipts.
    """
    store = Store.at(str(tmp_path / "data"), str(tmp_path / "large"))
    store.write_bytes("t2/muq_embeddings/a.pt", b"1")
    store.write_bytes("t4/augmented_muq_embeddings/a.pt", b"2")
    store.write_bytes("t2/audio/a.flac", b"3")
    store.write_bytes("t2/muq_embeddings_report/a.txt", b"4")
    assert all_files(tmp_path / "large") == [
        "t2/muq_embeddings/a.pt",
        "t4/augmented_muq_embeddings/a.pt",
    ]
    assert all_files(tmp_path / "data") == ["t2/audio/a.flac", "t2/muq_embeddings_report/a.txt"]


def test_opening_a_store_creates_nothing(tmp_path: Path) -> None:
    """A store that is only opened or asked leaves no folder behind.

    Guards against a mistyped root that springs into being when the UI loads.
    """
    store = Store.at(str(tmp_path / "typo"))
    assert not store.holds("t/a.bin", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_root_is_fixed_when_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative root keeps its meaning when the process changes folder later.

    Guards against two data roots, one for each working directory of Dagster's processes.
    """
    monkeypatch.chdir(tmp_path)
    store = Store.at("data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.write_bytes("a.bin", b"x")
    assert all_files(tmp_path) == ["data/a.bin"]


def test_scratch_is_gone_afterwards_also_after_an_error(store: Store, tmp_path: Path) -> None:
    """A scratch folder is fresh, on the root's disk, and removed however its block ends.

    Guards against originals that stay behind after each failed fetch and fill the disk.
    """
    seen: list[Path] = []

    def fail_in_scratch() -> None:
        with store.scratch() as folder:
            assert list(folder.iterdir()) == []
            assert folder.is_relative_to(tmp_path / "root")
            (folder / "original.webm").write_bytes(b"x")
            seen.append(folder)
            raise RuntimeError("on purpose")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="on purpose"):
            fail_in_scratch()
    assert seen[0] != seen[1]
    assert not any(folder.exists() for folder in seen)


def test_a_remote_root_works_the_same(tmp_path: Path) -> None:
    """Writing, publishing, reading and asking work on a root that is no folder.

    Guards against local paths creeping into the code: an object store has no rename.
    """
    store = Store.at(f"memory://made-{uuid.uuid4().hex}")
    stored = store.write_bytes("t/a.bin", b"one")
    assert store.path("t/a.bin").read_bytes() == b"one"
    assert store.holds("t/a.bin", stored.size_bytes)
    assert not store.holds("t/a.bin", 99)
    assert not store.holds("t/none.bin", 3)
    local = tmp_path / "b.flac"
    local.write_bytes(b"two" * 700_000)
    published = store.publish(local, "t/b.flac")
    assert not local.exists()
    assert published.sha256 == hashlib.sha256(b"two" * 700_000).hexdigest()
    with store.local("t/b.flac") as copy:
        assert copy.read_bytes() == b"two" * 700_000
        assert copy.suffix == ".flac"
    assert not copy.exists()
    store.write_bytes("t/a.bin", b"three")
    assert store.path("t/a.bin").read_bytes() == b"three"


def test_disk_full_names_the_place_and_the_cure(store: Store) -> None:
    """The error of a full disk says where and what to do.

    Guards against a bare `[Errno 28]` at three in the morning.
    """
    from data_collection.recordings.errors import room_on

    with (
        pytest.raises(SetupError, match=r"/data/here.*DATA_COLLECTION_ROOT"),
        room_on("/data/here"),
    ):
        raise OSError(28, "No space left on device")
    with pytest.raises(PermissionError), room_on("/data/here"):
        raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("scheme", ["file://", "local://"])
def test_a_local_url_is_that_folder(tmp_path: Path, scheme: str) -> None:
    """`file:///…` with a space in it writes there; guards a folder named `file:` below the cwd."""
    folder = tmp_path / "a lab's data"
    store = Store.at(f"{scheme}{folder}")
    store.write_bytes("t9/x.bin", b"content")
    assert (folder / "t9" / "x.bin").read_bytes() == b"content"
