"""What can be wrong with an archive and its server: named, with whose fault it is and a way out."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from data_collection.maestro.archive import open_archive
from data_collection.maestro.archive_ranges import RangeStream, open_remote
from data_collection.recordings.errors import ItemError, RecordingError, SetupError, WorldError
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

QUICK = FetchOptions(attempts=3, retry_wait_s=0.01, socket_timeout_s=0.3)
NAME, OTHER = "2004/first.wav", "2004/second.wav"
NO_VALIDATOR = (None, None)


@pytest.fixture(scope="module")
def wavs() -> dict[str, bytes]:
    return {NAME: made_wav(4.0, seed=1), OTHER: made_wav(3.0, seed=2)}


@pytest.fixture
def server(wavs: dict[str, bytes], tmp_path: Path) -> Iterator[ArchiveServer]:
    """A server of a small release, whose directory has been read without a fault."""
    folder = tmp_path / "release"
    folder.mkdir()
    write_zip(folder / f"{TOP}.zip", {f"{TOP}/{name}": wav for name, wav in wavs.items()})
    with serve_folder(folder) as running:
        yield running


def error_of(base_url: str, store: Store, name: str = NAME, **more: float) -> RecordingError:
    """What decoding one recording raises; whatever it is, it names the way out."""
    target = Path(str(store.root)).parent / "stored.flac"
    with (
        pytest.raises(RecordingError) as caught,
        open_archive(base_url, store, QUICK) as archive,
    ):
        archive.decode(name, target, claimed_duration_s=more.get("claimed_s"))
    return caught.value


def decode(server: ArchiveServer, store: Store, target: Path, faults: list[Fault | None]) -> bytes:
    """Decode one recording, with faults that begin when the directory is known."""
    with open_archive(server.url, store, QUICK) as archive:
        archive.decode(OTHER, target)
        server.forget()
        server.faults = faults
        archive.decode(NAME, target)
    return target.read_bytes()


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(drop_after=0)],
        [Fault(drop_after=1)],
        [Fault(drop_after=33)],
        [Fault(drop_after=300_000)],
        [Fault(drop_after=100_000)] * 6,
        [Fault(stall_after=200_000)],
        [Fault(status=503)] * 2,
        [Fault(status=503, headers={"retry-after": "0"}), None],
        [Fault(drop_after=250_000), Fault(status=429), None],
    ],
    ids=str,
)
@pytest.mark.parametrize("validators", [('"first"', None), (None, "date"), ('W/"x"', None)])
def test_what_passes_is_waited_for(
    server: ArchiveServer,
    wavs: dict[str, bytes],
    store: Store,
    tmp_path: Path,
    faults: list[Fault | None],
    validators: tuple[str | None, str | None],
) -> None:
    """A lost, stalled or refused connection goes on where it stopped; no byte comes twice.

    Guards against a sonata that begins again at 0 each time. Without a validator that `If-Range`
    may use, the ETag of each answer is compared.
    """
    server.etag, server.last_modified = validators
    stored = decode(server, store, tmp_path / "stored.flac", list(faults))
    assert stored == decode(server, store, tmp_path / "again.flac", [])
    server.forget()
    decode(server, store, tmp_path / "stored.flac", list(faults))
    asked_anew = [asked for asked in server.asked if asked.sent_bytes]
    for before, after in pairwise(asked_anew):
        first = int((before.range or "").removeprefix("bytes=").split("-")[0])
        assert (after.range or "").startswith(f"bytes={first + before.sent_bytes}-")
    has_strong = validators[0] == '"first"' or validators[1] is not None
    assert all((asked.if_range is not None) == has_strong for asked in server.asked)
    assert server.sent_bytes <= 1.02 * len(wavs[NAME])


@pytest.mark.parametrize(
    ("always", "reason"),
    [
        (Fault(drop_after=0), "network"),
        (Fault(stall_after=0), "network"),
        (Fault(status=503), "server_error"),
        (Fault(status=418), "server_error"),
        (Fault(status=429), "too_many_requests"),
        (Fault(status=429, headers={"retry-after": "7200"}), "too_many_requests"),
    ],
    ids=str,
)
def test_what_does_not_pass_is_the_worlds_fault(
    server: ArchiveServer, store: Store, always: Fault, reason: str
) -> None:
    """After some tries it is blocked, costs no attempt, and the other recordings are not tried.

    Guards against 1,276 recordings that failed in one outage, and against waiting two hours.
    """
    server.always = always
    error = error_of(server.url, store)
    assert isinstance(error, WorldError)
    assert (error.reason, error.stops_batch) == (reason, True)
    assert f"{TOP}.zip" in error.detail
    assert "run the same again" in error.detail
    assert len(server.asked) <= QUICK.attempts


def test_nobody_listens(server: ArchiveServer, store: Store) -> None:
    """A refused connection is the network's fault.

    Guards against a bare exception of the HTTP library.
    """
    error = error_of("http://127.0.0.1:9/", store)
    assert isinstance(error, WorldError)
    assert error.reason == "network"


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "archive_missing"), (403, "archive_forbidden")]
)
def test_an_address_without_archive_is_ours(
    server: ArchiveServer, store: Store, status: int, reason: str
) -> None:
    """Nothing there, or nothing for guests: the setting's name is in the message.

    Guards against a mistyped address that becomes 1,276 missing recordings.
    """
    server.always = Fault(status=status)
    error = error_of(server.url, store)
    assert isinstance(error, SetupError)
    assert error.reason == reason
    assert "MAESTRO_BASE_URL" in error.detail


@pytest.mark.parametrize(
    "base_url", ["", "/data", "file:data", "file://", "ftp://x/y", "gs://x", "http://"]
)
def test_an_address_of_no_known_kind_is_ours(store: Store, base_url: str) -> None:
    """A plain path or another scheme is refused, with how to write it.

    Guards against a relative folder that means something else for the daemon.
    """
    error = error_of(base_url, store)
    assert isinstance(error, SetupError)
    assert error.reason == "bad_base_url"
    assert "file:///" in error.detail


@pytest.mark.parametrize(
    "always",
    [
        Fault(ignores_ranges=True),
        Fault(shifted=5),
        Fault(headers={"content-encoding": "gzip"}),
        Fault(headers={"content-range": "bytes 0-0/*"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("late", [False, True])
def test_a_server_without_ranges_is_ours(
    server: ArchiveServer, store: Store, tmp_path: Path, always: Fault, late: bool
) -> None:
    """The whole file, another range, a compressed one: refused, with the local folder as way out.

    Guards against 100 GB that begin to flow, and against the wrong recording under a name.
    """
    if late:
        with pytest.raises(SetupError) as caught:
            decode(server, store, tmp_path / "stored.flac", [always])
        error: RecordingError = caught.value
    else:
        with (server.folder / f"{TOP}.zip").open("r+b") as file:
            file.truncate(1 << 30)
        server.always = always
        error = error_of(server.url, store)
    assert isinstance(error, SetupError)
    assert (error.reason, error.stops_batch) == ("no_ranges", True)
    assert "file:///" in error.detail
    assert server.sent_bytes < 1 << 27


def replaced(server: ArchiveServer, wavs: dict[str, bytes]) -> None:
    """Put another archive of the same length in the place."""
    shifted = {f"{TOP}/{name}": wav[:44] + wav[46:] + b"\1\1" for name, wav in wavs.items()}
    write_zip(server.folder / f"{TOP}.zip", shifted)


@pytest.mark.parametrize("kind", ["if-range", "ignored if-range", "size", "gone"])
def test_an_archive_that_changed_is_no_mixture(
    server: ArchiveServer, wavs: dict[str, bytes], store: Store, tmp_path: Path, kind: str
) -> None:
    """A member that was replaced while its connection was down is an error, not half and half.

    Guards against a recording of two versions; the server may honour `If-Range` or not. The next
    recording is read from the new archive.
    """

    class Replacing(list[Fault | None]):
        """Faults of a server whose archive is replaced after the first."""

        def pop(self, index: int = -1) -> Fault | None:  # type: ignore[override]
            if len(self) == 1:
                change()
            return super().pop(index)

    def change() -> None:
        if kind == "size":
            write_zip(server.folder / f"{TOP}.zip", {f"{TOP}/{NAME}": wavs[OTHER]})
        elif kind == "gone":
            write_zip(server.folder / f"{TOP}.zip", {})
        else:
            replaced(server, wavs)
            server.etag = '"second"'

    with open_archive(server.url, store, QUICK) as archive:
        archive.decode(OTHER, tmp_path / "stored.flac")
        before = server.asked[-1].if_range
        assert before == '"first"'
        if kind == "ignored if-range":
            server.ignores_if_range = True
        server.faults = Replacing([Fault(drop_after=200_000), None])
        with pytest.raises(WorldError) as caught:
            archive.decode(NAME, tmp_path / "mixed.flac")
        assert (caught.value.reason, caught.value.stops_batch) == ("archive_changed", True)
        assert "run the same again" in caught.value.detail
        if kind != "gone":
            archive.decode(NAME, tmp_path / "stored.flac")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-10],
        lambda content: content[: len(content) // 3] + content[len(content) // 2 :],
        lambda content: content[len(content) // 2 :],
        lambda content: b"<html>Please sign in</html>",
        lambda content: bytes(5_000_000),
        lambda content: b"",
    ],
)
@pytest.mark.parametrize("is_local", [False, True])
def test_a_truncated_archive_is_named(
    server: ArchiveServer, store: Store, is_local: bool, damage: Callable[[bytes], bytes]
) -> None:
    """An archive whose end, middle or start is missing is refused or its member is, never stored.

    Guards against an interrupted download taken for the release.
    """
    path = server.folder / f"{TOP}.zip"
    path.write_bytes(damage(path.read_bytes()))
    error = error_of(path.as_uri() if is_local else server.url, store)
    assert isinstance(error, SetupError | ItemError)
    assert error.reason in {"archive_unreadable", "corrupt_member", "no_ranges"}
    assert f"{TOP}.zip" in error.detail


def patched(path: Path, name: str, *, where: str, offset: int, value: bytes) -> None:
    """Overwrite some bytes of a member's central record, local header, or content."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info, start = archive.getinfo(name), archive.start_dir
    if where == "central":
        base = content.index(name.encode(), start) - zipfile.sizeCentralDir
    else:
        base = info.header_offset
        if where == "content":
            lengths = struct.unpack("<HH", content[base + 26 : base + 30])
            base += 30 + sum(lengths)
    content[base + offset : base + offset + len(value)] = value
    path.write_bytes(content)


@pytest.mark.parametrize("is_local", [False, True])
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize(
    ("where", "offset", "value", "reason"),
    [
        ("content", 200_000, b"\xff\x00\x55", {"wrong_checksum", "corrupt_member"}),
        ("content", -4 + 352_800, b"\xff\x00\x55", {"wrong_checksum", "corrupt_member"}),
        ("central", 16, b"\0\0\0\0", {"wrong_checksum"}),
        ("local", 0, b"XXXX", {"corrupt_member"}),
        ("central", 8, b"\x01", {"unreadable_member"}),
        ("central", 10, b"\x63", {"unreadable_member"}),
    ],
    ids=["flipped byte", "flipped at the end", "wrong CRC", "no header", "encrypted", "method"],
)
def test_a_damaged_member_is_the_items_fault(
    wavs: dict[str, bytes],
    store: Store,
    tmp_path: Path,
    where: str,
    offset: int,
    value: bytes,
    reason: set[str],
    deflated: bool,
    is_local: bool,
) -> None:
    """A flipped byte, a wrong CRC, a broken header, a method unknown: this recording only.

    Guards against damage that decodes: a flipped bit of a wav is a click and no error.
    """
    names = {f"{TOP}/{name}": wav for name, wav in wavs.items()}
    path = tmp_path / f"{TOP}.zip"
    write_zip(path, names, zip64=False, deflated=frozenset(names) if deflated else frozenset())
    offset = offset - 100_000 if deflated and offset > 300_000 else offset
    patched(path, f"{TOP}/{NAME}", where=where, offset=offset, value=value)
    with serve_folder(tmp_path) as server:
        base_url = path.as_uri() if is_local else server.url
        error = error_of(base_url, store)
        assert isinstance(error, ItemError)
        assert error.reason in reason
        assert NAME in error.detail
        assert f"{TOP}.zip" in error.detail
        with open_archive(base_url, store, QUICK) as archive:
            archive.decode(OTHER, tmp_path / "other.flac")


def test_a_size_that_is_not_the_members(store: Store, wavs: dict[str, bytes]) -> None:
    """A directory that says more bytes than there are makes the member corrupt.

    Guards against a short member whose CRC is that of the short one.
    """
    path = Path(str(store.root)).parent / f"{TOP}.zip"
    write_zip(path, {f"{TOP}/{NAME}": wavs[NAME]}, zip64=False)
    size = (len(wavs[NAME]) + 1_000).to_bytes(4, "little")
    patched(path, f"{TOP}/{NAME}", where="central", offset=24, value=size)
    error = error_of(path.as_uri(), store)
    assert isinstance(error, ItemError)
    assert error.reason == "corrupt_member"
    assert "in the directory" in error.detail


@pytest.mark.parametrize("kind", ["server", "zip", "folder"])
@pytest.mark.parametrize("name", ["2004/none.wav", "../outside.wav", "/etc/hostname"])
def test_a_missing_member_is_named(
    server: ArchiveServer, store: Store, tmp_path: Path, kind: str, name: str
) -> None:
    """A recording that the archive lacks fails alone, with both places that were looked at.

    Guards against metadata of another release, and against names that leave the folder.
    """
    path = server.folder / f"{TOP}.zip"
    (tmp_path / "outside.wav").write_bytes(made_wav(1.0))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    base_url = {
        "server": server.url,
        "zip": path.as_uri(),
        "folder": (tmp_path / "unpacked").as_uri(),
    }[kind]
    error = error_of(base_url, store, name)
    assert isinstance(error, ItemError)
    assert error.reason == "member_missing"
    assert name in error.detail


@pytest.mark.parametrize("place", ["nothing", "empty"])
def test_a_local_place_without_recordings_is_ours(store: Store, tmp_path: Path, place: str) -> None:
    """A folder that is not there, or holds no release, is said once and before any recording.

    Guards against a mount that is missing and 1,276 recordings "not there".
    """
    (tmp_path / "empty").mkdir()
    error = error_of((tmp_path / place).as_uri(), store)
    assert isinstance(error, SetupError)
    assert error.reason == "archive_missing"
    assert str(tmp_path / place) in error.detail


@pytest.mark.parametrize(
    ("claimed_s", "reason"),
    [(4.0, None), (4.5, None), (3.0, None), (30.0, "truncated"), (0.5, None)],
)
def test_a_duration_that_is_not_the_files(
    server: ArchiveServer, store: Store, tmp_path: Path, claimed_s: float, reason: str | None
) -> None:
    """Far less than the metadata say is refused, naming both durations; a little is not."""
    if reason is None:
        with open_archive(server.url, store, QUICK) as archive:
            archive.decode(NAME, tmp_path / "stored.flac", claimed_duration_s=claimed_s)
        return
    error = error_of(server.url, store, claimed_s=claimed_s)
    assert isinstance(error, ItemError)
    assert error.reason == reason
    assert "4.00 s" in error.detail
    assert f"{claimed_s:.2f} s" in error.detail


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_recording_far_longer_than_its_row(store: Store, tmp_path: Path, is_folder: bool) -> None:
    """A recording of 12 s whose row says 5 s is another recording.

    Guards against a name that means another member in the archive than in the metadata.
    """
    folder = tmp_path / "release"
    (folder / "2004").mkdir(parents=True)
    (folder / NAME).write_bytes(made_wav(12.0))
    write_zip(folder / "x.zip", {NAME: made_wav(12.0)})
    base_url = folder.as_uri() if is_folder else (folder / "x.zip").as_uri()
    error = error_of(base_url, store, claimed_s=5.0)
    assert isinstance(error, ItemError)
    assert error.reason == "duration_mismatch"
    assert NAME in error.detail


def test_a_drip_is_given_up(server: ArchiveServer) -> None:
    """A range that hardly moves is given up after a while, although every try moves a byte.

    Guards against a night spent on one recording.
    """
    url = f"{server.url}{TOP}.zip"
    options = FetchOptions(attempts=3, retry_wait_s=0.05)
    with open_remote(url, options) as remote:
        remote.patience_s = 0.2
        server.always = Fault(drop_after=1)
        with RangeStream(remote, 0, 100_000) as stream, pytest.raises(WorldError) as caught:
            list(iter(stream.read_block, b""))
    assert (caught.value.reason, caught.value.stops_batch) == ("too_slow", True)


def test_nothing_of_a_bad_member_is_left(server: ArchiveServer, store: Store) -> None:
    """After an error no connection, no scratch file and no kept directory is half done.

    Guards against a leftover that a later run takes for its own.
    """
    server.faults = [None, Fault(drop_after=10), Fault(status=404)]
    error = error_of(server.url, store)
    assert error.reason == "archive_missing"
    assert not Path(str(store.root)).exists() or not list(Path(str(store.root)).rglob("*.bin"))
