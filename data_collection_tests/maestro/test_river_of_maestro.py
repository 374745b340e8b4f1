"""T3 end to end in process: real Dagster, a real zip on loopback, real decoders and MuQ."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from data_collection.maestro.metadata import recording_id_of
from data_collection.maestro.piece_performer_map import read_piece_performer_map
from data_collection.maestro.stored import MAP, RECORDINGS, read_catalogue, read_pairs
from data_collection.sample import maestro_world as sample
from data_collection.sample.maestro_world import RELEASE, ReleaseRecording, write_release
from data_collection_tests.maestro.made_archives import ArchiveServer, Fault, serve_folder
from data_collection_tests.river import STAGES, River, maestro_river

EXCERPT_S = 36.0
"""Of each recording: a clip of 30 s and a tail."""


def _excerpt(recording: ReleaseRecording, length_s: float = EXCERPT_S) -> ReleaseRecording:
    return replace(recording, length_s=length_s)


AGAIN, BROKEN = _excerpt(sample.AGAIN, EXCERPT_S - 0.5), _excerpt(sample.BROKEN)
ELSEWHERE, IN_DOUBT = _excerpt(sample.ELSEWHERE), _excerpt(sample.IN_DOUBT)
OKAFOR, OKAFOR_CHOPIN, LINDQVIST, LINDQVIST_CHOPIN = (
    _excerpt(recording)
    for recording in sample.RECORDINGS
    if recording.pianist in ("okafor", "lindqvist") and recording is not sample.AGAIN
)
GOOD = (OKAFOR, OKAFOR_CHOPIN, AGAIN, IN_DOUBT, LINDQVIST, LINDQVIST_CHOPIN, ELSEWHERE)
RELEASED = (*GOOD, BROKEN)
WINDOW_BYTES = 1 << 20
"""Read at the archive's end for the directory."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small part of the sample's release, all its traps in it."""
    return write_release(tmp_path_factory.mktemp("release"), RELEASED)


@pytest.fixture(scope="module")
def world(
    release: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[River, ArchiveServer]]:
    """The river after one collection of it from a server."""
    with (
        serve_folder(release) as server,
        maestro_river(server.url, tmp_path_factory.mktemp("river")) as opened,
    ):
        opened.collect()
        yield opened, server


def id_of(recording: ReleaseRecording) -> str:
    """Its recording id."""
    return recording_id_of(recording.audio_filename)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Description of a run's only failed asset."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None, "a raw exception says nobody what to do"
    return str(data.description)


def test_all_but_the_broken_one_are_collected(world: tuple[River, ArchiveServer]) -> None:
    """Its receipt says `wrong_checksum`, and no audio of it is published; the others go on.

    Guards a damaged member that is stored as if it were whole, or that stops its neighbours.
    """
    opened, _ = world
    found = opened.standings()
    for recording in GOOD:
        item = found[recording.audio_filename]
        assert item.state == "done", (recording, item.detail)
        assert item.receipts["audio"].facts["duration_s"] == pytest.approx(
            recording.duration_s, abs=0.01
        )
    broken = found[BROKEN.audio_filename]
    assert (broken.stage, broken.state, broken.reason) == ("audio", "failed", "wrong_checksum")
    assert BROKEN.audio_filename in str(broken.detail)
    assert not list(opened.store.path("maestro_cache/audio").glob(f"{id_of(BROKEN)}*.flac"))
    for stage in STAGES:
        assert opened.materialized(stage) == {id_of(recording) for recording in GOOD}


def test_each_recording_moved_its_own_bytes_only(world: tuple[River, ArchiveServer]) -> None:
    """A member's bytes and no more; guards a river that reads 100 GB for one recording."""
    opened, _ = world
    for recording in GOOD:
        facts = opened.standings()[recording.audio_filename].receipts["audio"].facts
        compressed, moved = facts["compressed_bytes"], facts["moved_bytes"]
        directory = WINDOW_BYTES if recording is OKAFOR else 0
        assert isinstance(compressed, int)
        assert isinstance(moved, int)
        assert compressed <= moved <= 1.02 * compressed + directory


def test_pairs_mean_what_they_say(world: tuple[River, ArchiveServer]) -> None:
    """The same work by two people, in one split; never the doubtful or the broken recording.

    Held against who really plays what in the sample, not against the catalogue. Guards contrastive
    training on somebody paired with themself, or on two pieces called one.
    """
    opened, _ = world
    pairs = read_pairs(opened.store)
    of_id = {id_of(recording): recording for recording in RELEASED}
    sides = {
        tuple(of_id[id_] for id_ in row)
        for row in pairs.select("anchor_recording", "positive_recording").iter_rows()
    }
    for anchor, positive in sides:
        assert anchor.pianist != positive.pianist
        assert anchor.composer == positive.composer
        assert anchor.split == positive.split
    paired = {recording for side in sides for recording in side}
    assert paired == set(RELEASED) - {IN_DOUBT, BROKEN, ELSEWHERE}
    assert any(positive is AGAIN for _, positive in sides)
    assert pairs.height == pairs.select("anchor", "positive").n_unique() > len(sides)
    negatives = pairs.select(
        pl.col("negatives_same_composer").list.concat("negatives_other_composer").explode()
    )
    assert set(negatives.to_series()) == {"bach:bwv846/prelude", "chopin:op28-no4"}
    embedded = opened.store.path("maestro_cache/muq_embeddings")
    for clip in {*pairs["anchor"], *pairs["positive"]}:
        assert (embedded / f"{clip}.pt").exists()


def test_the_map_says_who_plays_what(world: tuple[River, ArchiveServer]) -> None:
    """Piece, performers, recordings, clips; guards a performer counted twice for two recitals."""
    opened, _ = world
    pieces = read_piece_performer_map(opened.store, MAP).pieces
    performers = {work_id: set(piece.performers) for work_id, piece in pieces.items()}
    assert performers["chopin:op28-no4"] == {"2008_05", "2017_43", "2018_16"}
    assert performers["bach:bwv846/prelude"] == {"2008_05", "2017_43"}
    bach = pieces["bach:bwv846/prelude"].performers["2008_05"].recordings
    assert set(bach) == {id_of(OKAFOR), id_of(AGAIN)}
    assert all(len(recording.segment_ids) == 2 for recording in bach.values())
    broken = pieces["chopin:op28-no4"].performers["2018_16"].recordings
    assert [recording.segment_ids for recording in broken.values()] == [()]


def test_rows_are_labelled(world: tuple[River, ArchiveServer]) -> None:
    """Two rows a recording with performer, work and licence; the doubtful one says why it has none.

    Guards rows that training cannot tell apart.
    """
    opened, _ = world
    text = opened.store.path("maestro_cache/metadata.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) == 2 * len(GOOD)
    for row in rows:
        assert row["licence"] == "CC BY-NC-SA 4.0"
        assert "SAMPLE" in row["composer"]
        is_in_doubt = row["recording_id"] == id_of(IN_DOUBT)
        assert (row["piece"] is None) == (row["work_id"] is None) == is_in_doubt
        assert bool(row["piece_because"]) == is_in_doubt
    doubts = opened.store.path("maestro_cache/in_doubt.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["recording_id"] for line in doubts] == [id_of(IN_DOUBT)]


def test_no_check_that_is_an_error_fails(world: tuple[River, ArchiveServer]) -> None:
    """A good release passes all its checks; guards a check that nobody can satisfy."""
    opened, _ = world
    tier = {opened.key(name) for name in ("recordings", *opened.tier.aggregates)}
    checks = [
        key
        for check in opened.definitions.asset_checks or ()
        if isinstance(check, dg.AssetChecksDefinition)
        for key in check.check_keys
        if key.asset_key in tier
    ]
    assert checks
    for key in checks:
        said = opened.check(key.asset_key.path[-1], key.name)
        assert said.passed or said.severity == dg.AssetCheckSeverity.WARN, (key, said.description)


def test_a_second_run_moves_no_bytes(world: tuple[River, ArchiveServer]) -> None:
    """What is done is not asked for again; only the broken one is tried, once more.

    Guards a nightly run that reads the archive anew.
    """
    opened, server = world
    server.forget()
    assert opened.materialize("recordings").success
    good = [id_of(recording) for recording in GOOD]
    for stage in STAGES:
        assert opened.materialize(stage, keys=good).success
    assert {asked.path for asked in server.asked} == {f"/{RELEASE}.csv", f"/{RELEASE}.json"}
    before = opened.store.path(MAP).read_bytes(), read_pairs(opened.store)
    assert opened.materialize(*opened.tier.aggregates).success
    assert opened.store.path(MAP).read_bytes() == before[0]
    assert read_pairs(opened.store).equals(before[1])
    assert not opened.materialize("audio", keys=[id_of(BROKEN)]).success
    receipt = opened.standings()[BROKEN.audio_filename].receipts["audio"]
    assert (receipt.reason, receipt.attempts) == ("wrong_checksum", 2)


def test_a_server_without_ranges_blocks_and_says_what_to_do(release: Path, tmp_path: Path) -> None:
    """The first recording is blocked without an attempt, the others are left; a folder is offered.

    Guards 100 GB that are fetched once a recording.
    """
    with serve_folder(release) as server, maestro_river(server.url, tmp_path) as opened:
        assert opened.materialize("recordings").success
        server.forget()
        server.always = Fault(ignores_ranges=True)
        said = failure_of(opened.materialize("audio", keys=opened.keys()))
        assert "no_ranges" in said
        assert "file:///" in said
        states = {item.reason: item for item in opened.standings().values()}
        assert set(states) == {"no_ranges", "not_tried"}
        receipt = states["no_ranges"].receipts["audio"]
        assert (receipt.state, receipt.attempts) == ("blocked", 0)
        assert "MAESTRO_BASE_URL" in str(receipt.detail)
        assert len(server.asked) == 1


def test_zip_folder_and_server_give_the_same(
    world: tuple[River, ArchiveServer], tmp_path: Path
) -> None:
    """The same audio from all three, and the same pairs from a local zip and its folder.

    Guards a lab with the archive on its disk from training on something else.
    """
    few = [OKAFOR, LINDQVIST, BROKEN]
    folder = write_release(tmp_path / "release", few)
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(folder / f"{RELEASE}.zip") as archive:
        whole = [name for name in archive.namelist() if BROKEN.name not in name]
        archive.extractall(unpacked, whole)
    (folder / f"{RELEASE}.csv").unlink()  # so that the zip's own is read
    (folder / f"{RELEASE}.json").unlink()
    served = world[0].standings()
    made = {}
    for name, path in (("zip", folder / f"{RELEASE}.zip"), ("folder", unpacked)):
        with maestro_river(path.as_uri(), tmp_path / name) as opened:
            opened.collect()
            found = opened.standings()
            made[name] = read_pairs(opened.store)
            for recording in few[:-1]:
                receipts = [
                    one[recording.audio_filename].receipts["audio"] for one in (served, found)
                ]
                assert receipts[0].outputs[0].sha256 == receipts[1].outputs[0].sha256
                hashes = [receipt.facts["original_sha256"] for receipt in receipts]
                assert hashes[0] == hashes[1]
            broken = found[BROKEN.audio_filename]
            expected = {"zip": "wrong_checksum", "folder": "member_missing"}[name]
            assert (broken.state, broken.reason) == ("failed", expected)
    assert made["zip"].equals(made["folder"])
    recordings = {*made["zip"]["anchor_recording"], *made["zip"]["positive_recording"]}
    assert recordings == {id_of(recording) for recording in few[:-1]}


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_a_changed_column_leaves_the_earlier_catalogue(
    release: Path, tmp_path: Path, ending: str
) -> None:
    """The failure names the column; rows and partitions stay as they were.

    Guards a catalogue that empties itself when the release's form changes.
    """
    folder = tmp_path / "release"
    folder.mkdir()
    for suffix in ("csv", "json"):
        shutil.copy(release / f"{RELEASE}.{suffix}", folder)
    with maestro_river(folder.as_uri(), tmp_path) as opened:
        assert opened.materialize("recordings").success
        before, keys = opened.store.path(RECORDINGS).read_bytes(), opened.keys()
        path = folder / f"{RELEASE}.{ending}"
        text = path.read_text("utf-8")
        path.write_text(re.sub("canonical_title", "title", text, count=1), "utf-8")
        said = failure_of(opened.materialize("recordings"))
        assert path.name in said
        assert "canonical_title" in said.replace("\\", "")
        assert opened.store.path(RECORDINGS).read_bytes() == before
        assert opened.keys() == keys
        assert len(read_catalogue(opened.store)) == len(RELEASED)
