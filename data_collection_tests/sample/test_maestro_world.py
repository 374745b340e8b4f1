"""The sample release: MAESTRO's shape and its traps, and a server that gives it out by ranges."""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import soundfile

from data_collection.maestro.catalogue import catalogue_of
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow
from data_collection.maestro.metadata import read_metadata
from data_collection.maestro.performers import PerformerOverrides
from data_collection.sample.maestro_world import (
    AGAIN,
    BROKEN,
    ELSEWHERE,
    IN_DOUBT,
    RECORDINGS,
    RELEASE,
    write_release,
)
from data_collection.sample.server import Site, serve

ZIP64_RECORD = b"\x01\x00"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole release."""
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def rows(release: Path) -> dict[str, MaestroCatalogueRow]:
    """Its catalogue, as the tier makes it, by audio file."""
    base_url = release.as_uri()
    made = catalogue_of(read_metadata(base_url), PerformerOverrides(), base_url)
    found = [row for row in made.recordings if isinstance(row, MaestroCatalogueRow)]
    return {row.audio_filename: row for row in found}


@pytest.fixture(scope="module")
def site(release: Path) -> Iterator[Site]:
    """The release on loopback, as the demo serves it."""
    with serve([], title="Release", folders={"maestro": release}) as running:
        yield running


def test_the_names_tell_the_pianists_apart(rows: dict[str, MaestroCatalogueRow]) -> None:
    """One performer id a pianist, over rounds and recitals; guards pairs of somebody with themself.

    The names have the traps of six years: numbers that contradict, two recitals of one person.
    """
    ids = defaultdict(set)
    for recording in RECORDINGS:
        ids[recording.pianist].add(rows[recording.audio_filename].performer_id)
    assert all(len(found) == 1 for found in ids.values()), ids
    assert len(set.union(*ids.values())) == len(ids)
    rounds = {rows[one.audio_filename].round for one in RECORDINGS if one.pianist == "lindqvist"}
    assert rounds == {1, 2}


def test_the_titles_tell_the_works(rows: dict[str, MaestroCatalogueRow]) -> None:
    """Three works in five spellings, one in doubt, none in two splits.

    Guards a sample whose pairs come of equal titles, or cross the split.
    """
    works = defaultdict(set)
    titles = defaultdict(set)
    for row in rows.values():
        assert (row.audio_filename == IN_DOUBT.audio_filename) == (not row.works)
        for work_id in row.works:
            works[work_id].add(row.split)
            titles[work_id].add(row.title)
    assert works == {
        "bach:bwv846/prelude": {"train"},
        "chopin:op28-no4": {"train"},
        rows[ELSEWHERE.audio_filename].works[0]: {"validation"},
    }
    assert all(len(titles[work_id]) > 2 for work_id in ("bach:bwv846/prelude", "chopin:op28-no4"))
    same = {
        one.pianist
        for one in RECORDINGS
        if rows[one.audio_filename].works == ("bach:bwv846/prelude",)
    }
    assert AGAIN.pianist in same


def test_csv_and_json_differ_in_quotes_only(release: Path) -> None:
    """As in the real release; guards a reader that was only ever given two equal files."""
    (difference,) = read_metadata(release.as_uri()).differences
    assert difference.audio_filename == ELSEWHERE.audio_filename
    assert '"' in difference.csv_title
    assert '"' not in difference.json_title


def test_everything_says_that_it_is_a_sample(
    release: Path, rows: dict[str, MaestroCatalogueRow]
) -> None:
    """Each row's composer does, README and LICENSE do; guards data that is taken for MAESTRO's."""
    assert all("SAMPLE" in row.composer for row in rows.values())
    with zipfile.ZipFile(release / f"{RELEASE}.zip") as archive:
        for name in ("README", "LICENSE"):
            text = (release / name).read_text("utf-8")
            assert text.startswith("SAMPLE")
            assert archive.read(f"{RELEASE}/{name}").decode() == text


def test_the_archive_has_the_real_ones_forms(release: Path) -> None:
    """Stored, deflated and zip64 members of 44.1 kHz, 16 bits, stereo, and one damaged on purpose.

    Guards a demo that only ever reads the simplest zip.
    """
    content = (release / f"{RELEASE}.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() == f"{RELEASE}/{BROKEN.audio_filename}"
        for recording in RECORDINGS:
            info = archive.getinfo(f"{RELEASE}/{recording.audio_filename}")
            is_deflated = info.compress_type == zipfile.ZIP_DEFLATED
            assert is_deflated == recording.is_deflated
            start = info.header_offset + 30 + len(info.filename)
            assert (content[start : start + 2] == ZIP64_RECORD) == recording.has_zip64
            assert archive.read(f"{RELEASE}/{recording.midi_filename}").startswith(b"MThd")
            if recording is not BROKEN:
                wav = soundfile.info(io.BytesIO(archive.read(info)))
                assert (wav.samplerate, wav.channels, wav.subtype) == (44_100, 2, "PCM_16")
                assert wav.duration == pytest.approx(recording.duration_s, abs=0.001)
    assert any(recording.is_deflated for recording in RECORDINGS)
    assert any(recording.has_zip64 for recording in RECORDINGS)


def test_a_release_is_written_once_and_always_alike(tmp_path: Path) -> None:
    """The same bytes anywhere; one that is there is left, one of other metadata is written anew.

    Guards a demo that makes 100 MB at each start, and one that goes on with an old release.
    """
    folder = write_release(tmp_path / "one", [AGAIN, BROKEN])
    archive = folder / f"{RELEASE}.zip"
    first = archive.read_bytes()
    made_at = archive.stat().st_mtime_ns
    write_release(folder, [AGAIN, BROKEN])
    assert archive.stat().st_mtime_ns == made_at
    other = write_release(tmp_path / "other", [AGAIN, BROKEN])
    assert (other / archive.name).read_bytes() == first
    write_release(folder, [AGAIN])
    assert archive.read_bytes() != first
    assert not list(tmp_path.rglob("*.part"))


def test_the_server_gives_ranges_of_one_version(site: Site, release: Path) -> None:
    """206 with its place, for the version that `If-Range` names only; the whole file otherwise.

    Guards a resumed member that is glued from two versions of the archive.
    """
    path = release / f"{RELEASE}.json"
    content = path.read_bytes()
    with httpx.Client(base_url=site.url, trust_env=False) as client:
        address = f"/maestro/{path.name}"
        part = client.get(address, headers={"range": "bytes=100-199"})
        assert part.status_code == 206
        assert part.content == content[100:200]
        assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
        for validator in (part.headers["etag"], part.headers["last-modified"]):
            assert not validator.startswith("W/")
            asked = {"range": "bytes=100-", "if-range": validator}
            assert client.get(address, headers=asked).content == content[100:]
        asked = {"range": "bytes=100-", "if-range": '"another"'}
        assert client.get(address, headers=asked).status_code == 200
        beyond = client.get(address, headers={"range": f"bytes={len(content)}-"})
        assert beyond.status_code == 416
    assert site.requests[address] == 5


@pytest.mark.parametrize(
    "address", ["/maestro/", "/maestro/none.zip", "/maestro/%2e%2e/%2e%2e/etc/passwd", "/none/a"]
)
def test_nothing_else_is_served(site: Site, address: str) -> None:
    """404 for folders, what is not there, and what lies outside; guards a server of the disk."""
    with httpx.Client(base_url=site.url, trust_env=False) as client:
        assert client.get(address).status_code == 404
