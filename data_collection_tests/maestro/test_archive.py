"""MAESTRO's audio out of its archive: the same from wherever it lies, and no byte too many."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.maestro.archive import Archive, StoredOriginal, open_archive
from data_collection.maestro.archive_directory import KEPT_AT
from data_collection.maestro.archive_ranges import Identity, open_remote
from data_collection.recordings.decode import decode_to_flac
from data_collection.recordings.errors import ItemError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.store import Store
from data_collection_tests.maestro.made_archives import (
    TOP,
    ArchiveServer,
    Fault,
    made_wav,
    serve_folder,
    write_zip,
)

OPTIONS = FetchOptions(socket_timeout_s=5.0)
STORED, DEFLATED = "2004/MIDI-Unprocessed_XP_09_R1_2004_wav--1.wav", "2018/a b ü (1).wav"
ENOUGH = 1.02
PEAK_MEMORY = """
import re, sys
from pathlib import Path
from data_collection.maestro.archive import open_archive
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.store import Store
store = Store.at(sys.argv[2])
with open_archive(sys.argv[1], store, FetchOptions()) as archive:
    for name in sys.argv[4:]:
        archive.decode(name, Path(sys.argv[3]))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


@pytest.fixture(scope="module")
def wavs() -> dict[str, bytes]:
    """Two recordings: CD quality, and 24 bits at 48 kHz."""
    return {
        STORED: made_wav(4.0, 44_100, seed=1),
        DEFLATED: made_wav(3.0, 48_000, seed=2, subtype="PCM_24"),
    }


@pytest.fixture(scope="module")
def release(wavs: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip as released: zip64, all below one folder, MIDI files among the wavs."""
    members = {}
    for name, content in wavs.items():
        members[f"{TOP}/{name}"] = content
        members[f"{TOP}/{name.removesuffix('wav')}midi"] = b"MThd" * 1_000
    members[f"{TOP}/LICENSE"] = b"CC BY-NC-SA 4.0\n"
    path = tmp_path_factory.mktemp("release") / f"{TOP}.zip"
    return write_zip(path, members, deflated=frozenset({f"{TOP}/{DEFLATED}"}))


@pytest.fixture
def server(release: Path) -> Iterator[ArchiveServer]:
    """A server of the release's folder."""
    with serve_folder(release.parent) as running:
        yield running


def by_path(content: bytes, folder: Path) -> bytes:
    """The FLAC that the river makes of the same wav as a file."""
    original = folder / "original.wav"
    original.write_bytes(content)
    decode_to_flac(original, folder / "by_path.flac")
    return (folder / "by_path.flac").read_bytes()


def decode(
    base_url: str, store: Store, name: str, target: Path, claimed_s: float | None = None
) -> StoredOriginal:
    with open_archive(base_url, store, OPTIONS) as archive:
        return archive.decode(name, target, claimed_duration_s=claimed_s)


def unpacked(release: Path, folder: Path, *, below: str) -> Path:
    with zipfile.ZipFile(release) as archive:
        archive.extractall(folder)
    return folder if below == TOP else folder / TOP


@pytest.fixture(params=["server", "server's zip", "zip", "folder of zip", TOP, "years"])
def base_url(
    request: pytest.FixtureRequest, release: Path, server: ArchiveServer, tmp_path: Path
) -> str:
    """Every form that `MAESTRO_BASE_URL` may have."""
    return {
        "server": server.url,
        "server's zip": f"{server.url}{TOP}.zip",
        "zip": release.as_uri(),
        "folder of zip": release.parent.as_uri(),
    }.get(request.param) or unpacked(release, tmp_path / "ä b", below=request.param).as_uri()


@pytest.mark.parametrize("name", [STORED, DEFLATED])
def test_every_place_gives_the_same_flac(
    base_url: str, wavs: dict[str, bytes], store: Store, tmp_path: Path, name: str
) -> None:
    """A recording is stored the same, byte for byte, whether from ranges, a zip, or a file.

    Guards against a collection that depends on where it was made.
    """
    original = decode(base_url, store, name, tmp_path / "stored.flac", 4.0)
    assert (tmp_path / "stored.flac").read_bytes() == by_path(wavs[name], tmp_path)
    assert original.size_bytes == len(wavs[name])
    assert original.sha256 == hashlib.sha256(wavs[name]).hexdigest()
    assert original.source_url.endswith(quote(name))


def test_what_is_missing_is_told_in_every_place(base_url: str, store: Store) -> None:
    """Names without a recording are told without reading one; guards a night of 404s."""
    names = [STORED, "2004/gone.wav", "/etc/passwd", "../2004/up.wav", DEFLATED]
    with open_archive(base_url, store, OPTIONS) as archive:
        assert archive.missing(names) == names[1:4]


@pytest.mark.parametrize("name", [STORED, DEFLATED])
def test_only_the_member_is_moved(
    release: Path, server: ArchiveServer, store: Store, tmp_path: Path, name: str
) -> None:
    """Once the directory is known, a recording costs one request and its own compressed bytes.

    Guards against 100 GB for one sonata, and against a zip reader that asks for its end each time.
    """
    with zipfile.ZipFile(release) as local:
        compressed = local.getinfo(f"{TOP}/{name}").compress_size
    with open_archive(server.url, store, OPTIONS) as archive:
        archive.decode(STORED, tmp_path / "first.flac")
        server.forget()
        original = archive.decode(name, tmp_path / "stored.flac")
    assert len(server.asked) == 1
    assert compressed < server.sent_bytes <= ENOUGH * compressed
    assert (original.compressed_bytes, original.moved_bytes) == (compressed, server.sent_bytes)


def test_the_directory_is_read_once(server: ArchiveServer, store: Store, tmp_path: Path) -> None:
    """A second process asks for one byte to see that the archive is the same, and no directory.

    Guards against half a megabyte of directory for each of 1,276 recordings.
    """
    decode(server.url, store, STORED, tmp_path / "stored.flac")
    assert server.asked[0].range == "bytes=0-0"
    assert len(server.asked) == 3
    server.forget()
    decode(server.url, store, STORED, tmp_path / "stored.flac")
    assert server.asked[0].sent_bytes == 1
    assert len(server.asked) == 2


@pytest.mark.parametrize("changed", ["etag", "last_modified", "size"])
def test_another_archive_has_another_directory(
    release: Path,
    server: ArchiveServer,
    wavs: dict[str, bytes],
    store: Store,
    tmp_path: Path,
    changed: str,
) -> None:
    """After the archive changed, its directory is read anew and the new content is stored.

    Guards against old positions in a new file.
    """
    decode(server.url, store, STORED, tmp_path / "stored.flac")
    server.folder = tmp_path / "next"
    server.folder.mkdir()
    content = made_wav(2.0, seed=9)
    members = {"padding.bin": bytes(7_000), f"{TOP}/{STORED}": content}
    write_zip(server.folder / release.name, members)
    if changed != "size":
        setattr(server, changed, '"second"' if changed == "etag" else "Thu, 02 Jan 2020 00:00 GMT")
    original = decode(server.url, store, STORED, tmp_path / "stored.flac")
    assert original.size_bytes == len(content)
    assert (tmp_path / "stored.flac").read_bytes() == by_path(content, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "no head"])
def test_a_damaged_kept_directory_is_read_again(
    server: ArchiveServer, store: Store, tmp_path: Path, damage: str
) -> None:
    """A kept directory that is not as it was written is not believed.

    Guards against a hand-edited or half-restored cache that hides recordings.
    """
    decode(server.url, store, STORED, tmp_path / "stored.flac")
    kept = Path(str(store.path(KEPT_AT)))
    content = kept.read_bytes()
    kept.write_bytes(
        {
            "cut": content[:-9],
            "flipped": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
            "emptied": b"",
            "no head": content.partition(b"\n")[2],
        }[damage]
    )
    server.forget()
    decode(server.url, store, STORED, tmp_path / "stored.flac")
    assert len(server.asked) == 3
    assert kept.read_bytes() == content


def test_nothing_is_kept_of_an_archive_without_a_name_for_its_versions(
    server: ArchiveServer, store: Store, tmp_path: Path
) -> None:
    """Where the server states neither ETag nor date, the directory is read each time.

    Guards against positions of an archive that was replaced by one of the same length.
    """
    server.etag = server.last_modified = None
    for _ in range(2):
        server.forget()
        decode(server.url, store, STORED, tmp_path / "stored.flac")
        assert len(server.asked) == 3
    assert not store.path(KEPT_AT).exists()


def test_what_is_never_used_is_never_asked(server: ArchiveServer, store: Store) -> None:
    """Opening an archive makes no request.

    Guards against a run whose recordings are all done, and which fails on a dead network.
    """
    with open_archive(server.url, store, OPTIONS):
        pass
    assert not server.asked


def test_a_directory_longer_than_guessed(store: Store, tmp_path: Path) -> None:
    """A directory of 2 MB behind a long comment is read in two more requests, whole.

    Guards against a fixed guess at its length.
    """
    members = {f"{TOP}/2004/{'long' * 50}{number}.midi": b"" for number in range(8_000)}
    content = made_wav(2.0)
    path = tmp_path / f"{TOP}.zip"
    write_zip(path, {f"{TOP}/{STORED}": content, **members}, comment=b"c" * 60_000)
    with serve_folder(tmp_path) as server:
        decode(server.url, store, STORED, tmp_path / "stored.flac")
        assert len(server.asked) <= 4
        assert server.sent_bytes < path.stat().st_size + 100
    assert (tmp_path / "stored.flac").read_bytes() == by_path(content, tmp_path)


def test_positions_beyond_four_gigabytes(store: Store, tmp_path: Path) -> None:
    """A member that begins behind 5 GiB is found at its long position.

    Guards against 32-bit offsets: nine tenths of the release lie beyond them. The archive is a
    sparse file, whose gap takes no room.
    """
    content = made_wav(2.0)
    path = tmp_path / f"{TOP}.zip"
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{TOP}/LICENSE", b"CC")
        file.seek(5 << 30)
        archive.start_dir = file.tell()
        archive.writestr(f"{TOP}/{STORED}", content)
    with serve_folder(tmp_path) as server:
        decode(server.url, store, STORED, tmp_path / "stored.flac")
        assert int(re.findall(r"\d+", server.asked[-1].range or "")[0]) == 5 << 30
        assert server.asked[-1].sent_bytes <= ENOUGH * len(content)
    assert (tmp_path / "stored.flac").read_bytes() == by_path(content, tmp_path)


def test_what_is_no_wav_is_decoded_all_the_same(
    media_folder: Path, store: Store, tmp_path: Path
) -> None:
    """Members in other forms give the FLAC that they give as files, and leave nothing behind.

    Guards against an archive repacked to save room.
    """
    members = {f"2004/{end}.{end}": (media_folder / f"stage1_sol.{end}") for end in ("flac", "m4a")}
    contents = {name: path.read_bytes() for name, path in members.items()}
    write_zip(tmp_path / f"{TOP}.zip", contents)
    (tmp_path / "scratch").mkdir()
    with serve_folder(tmp_path) as server:
        for name, original in members.items():
            decode(server.url, store, name, tmp_path / "scratch" / "stored.flac")
            decode_to_flac(original, tmp_path / "by_path.flac")
            stored = (tmp_path / "scratch" / "stored.flac").read_bytes()
            assert stored == (tmp_path / "by_path.flac").read_bytes()
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["stored.flac"]


def test_a_stream_keeps_nothing_of_a_member(store: Store, tmp_path: Path) -> None:
    """A member of 53 MB takes no more memory than one of 5 MB, within 30 MB.

    Guards against members that are held whole. The peak is the child's own (`VmHWM`).
    """
    names = {"2004/short.wav": made_wav(30.0), "2004/long.wav": made_wav(30.0, times=10)}
    write_zip(tmp_path / f"{TOP}.zip", names)
    peaks, flac = [], tmp_path / "stored.flac"
    with serve_folder(tmp_path) as server:
        for name in names:
            done = subprocess.run(
                [sys.executable, "-c", PEAK_MEMORY, server.url, str(store.root), str(flac), name],
                capture_output=True,
                text=True,
                check=True,
            )
            peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 30


@given(
    pieces=st.lists(st.integers(1, 70_000), min_size=1, max_size=8),
    deflated=st.booleans(),
    zip64=st.booleans(),
    drops=st.lists(st.integers(0, 60_000), max_size=3),
)
@settings(max_examples=40)
def test_any_layout_and_any_interruption_give_every_byte_once(
    tmp_path_factory: pytest.TempPathFactory,
    quick_retries_for_examples: None,
    pieces: list[int],
    deflated: bool,
    zip64: bool,
    drops: list[int],
) -> None:
    """Members of any size, stored or deflated, long records or short, dropped anywhere: all right.

    Guards against a byte that is lost or doubled where a connection was taken up again.
    """
    folder = tmp_path_factory.mktemp("any")
    wavs = {
        f"2004/{number}.wav": made_wav(size / 44_100, seed=number)
        for number, size in enumerate(pieces)
    }
    names = frozenset(wavs) if deflated else frozenset()
    write_zip(folder / f"{TOP}.zip", wavs, zip64=zip64, deflated=names)
    store = Store.at(str(folder / "root"))
    with (
        serve_folder(folder) as server,
        open_archive(server.url, store, OPTIONS) as archive,
    ):
        _first_opened(archive, folder)
        for name, content in wavs.items():
            server.faults = [Fault(drop_after=after) for after in drops[:2]]
            decoded = archive.decode(name, folder / "stored.flac")
            assert decoded.size_bytes == len(content)
            assert (folder / "stored.flac").read_bytes() == by_path(content, folder)


def _first_opened(archive: Archive, folder: Path) -> None:
    """Have the directory read, without a fault."""
    with pytest.raises(ItemError, match="member_missing"):
        archive.decode("2004/none.wav", folder / "none.flac")


@pytest.fixture(scope="module")
def quick_retries_for_examples() -> Iterator[None]:
    """As `quick_retries`, for all examples of a property."""
    import stamina

    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def test_a_range_knows_whose_it_is(server: ArchiveServer) -> None:
    """Length, ETag and date are told by one byte; a weak ETag is no validator for a range.

    Guards against `If-Range` with what RFC 9110 forbids there, which servers then ignore.
    """
    with open_remote(f"{server.url}{TOP}.zip", OPTIONS) as remote:
        size = (server.folder / f"{TOP}.zip").stat().st_size
        assert remote.identity() == Identity(size, server.etag, server.last_modified)
        assert remote.traffic.moved_bytes == 1
        server.etag = 'W/"weak"'
        assert remote.identity().validator == server.last_modified
