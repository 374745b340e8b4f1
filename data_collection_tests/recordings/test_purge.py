"""Purging a source: nothing of it is left, nothing of others is lost, and it does not come back."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.__main__ import main
from data_collection.recordings.errors import ItemError
from data_collection.recordings.originals import Original
from data_collection.recordings.purge import (
    AmbiguousSourceError,
    Source,
    UnknownSourceError,
    find_source,
    plan_purge,
    purge,
)
from data_collection.recordings.receipts import StageResult, read_receipt, settle
from data_collection.recordings.rows import write_rows
from data_collection.recordings.stages import settle_audio
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.recordings.tombstones import TOMBSTONES, read_tombstones

NOW = datetime(2026, 11, 23, tzinfo=UTC)
T2 = "competition_cache/made2021"
T3 = "maestro_cache"
T4 = "youtube_piano_cache"
VIDEO = "yt_AAAAAAAAAAA"
"""A session of two in T2, also listed by a channel of T4."""
PARTS = (f"{VIDEO}_anna", f"{VIDEO}_segal")
LONGER = "yt_AAAAAAAAAAAB"
"""No YouTube id, and a recording of its own: its id begins with the video's."""
OTHER = "yt_BBBBBBBBBBB"
MAESTRO = "maestro_2004_x"


def snapshot(store: Store) -> dict[str, bytes]:
    """Every file under the data root but scratch, by its name."""
    root = Path(str(store.root))
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".scratch" not in path.parts
    }


def catalogue_row(id_: str, source_id: str, **more: object) -> dict[str, object]:
    return {
        "recording_id": id_,
        "source_id": source_id,
        "source_url": f"https://www.youtube.com/watch?v={source_id}",
        "title": f"Title of {source_id}",
        **more,
    }


def make_stage(
    store: Store,
    folder: str,
    id_: str,
    names: Sequence[str],
    facts: Mapping[str, str] | None = None,
) -> None:
    """A receipt with its files, as a stage leaves them."""
    settle(
        store,
        folder,
        id_,
        inputs=lambda: {"source_id": id_.split("_")[1]},
        parameters=dict,
        work=lambda: StageResult(
            outputs=tuple(store.write_bytes(f"{folder}/{name}", b"sound") for name in names),
            facts=facts or {},
        ),
    )


def make_recording(
    store: Store, tier: str, id_: str, facts: Mapping[str, str] | None = None
) -> None:
    clips = [f"{id_}_seg{at:04d}" for at in range(2)]
    make_stage(store, f"{tier}/audio", id_, [f"{id_}.flac", f"{id_}.levels.parquet"], facts)
    make_stage(store, f"{tier}/fingerprints", id_, [f"{id_}.safetensors"])
    make_stage(store, f"{tier}/segments", id_, [f"{id_}.parquet"])
    make_stage(store, f"{tier}/teacher_evidence", id_, [f"{id_}.parquet"])
    embeddings = [f"{clip}.pt" for clip in clips]
    make_stage(store, f"{tier}/muq_embeddings", id_, embeddings)
    twins = [*embeddings, f"{id_}.pairs.jsonl", f"{id_}.means.safetensors"]
    make_stage(store, f"{tier}/augmented_muq_embeddings", id_, twins)


def segment_rows(ids: Sequence[str]) -> list[dict[str, object]]:
    return [
        {
            "segment_id": f"{id_}_seg{at:04d}",
            "recording_id": id_,
            "embedding_path": f"x/muq_embeddings/{id_}_seg{at:04d}.pt",
        }
        for id_ in ids
        for at in range(2)
    ]


def write_table(store: Store, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    store.write_bytes(name, buffer.getvalue())


def write_json(store: Store, name: str, content: object) -> None:
    store.write_bytes(name, json.dumps(content, indent=1).encode())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three tiers with a session, a recording of a longer id, and two others."""
    root = tmp_path_factory.mktemp("made")
    write_collection(Store.at(str(root)))
    return root


@pytest.fixture
def collection(made: Path, store: Store) -> Store:
    """A copy of it, of the test's own."""
    shutil.copytree(made, str(store.root))
    return store


def write_collection(store: Store) -> None:
    page = {"description": "Anna plays, then Segal", "chapters": [], "duration_s": 9.0}
    parts = [
        catalogue_row(id_, VIDEO[3:], cut_from=VIDEO, block=[{"wording": "Etude"}]) for id_ in PARTS
    ]
    alone = catalogue_row(LONGER, LONGER[3:], block=[{"wording": "Nocturne"}])
    write_rows(store, f"{T2}/recordings.jsonl", [*parts, alone])
    listed = [(VIDEO, page), (LONGER, page)]
    write_rows(
        store,
        f"{T2}/listing.jsonl",
        [catalogue_row(id_, id_[3:], page=said) for id_, said in listed],
    )
    write_rows(store, f"{T2}/programmes.jsonl", [{"recording_id": id_} for id_ in (*PARTS, LONGER)])
    write_rows(store, f"{T2}/metadata.jsonl", segment_rows([*PARTS, LONGER]))
    write_rows(store, f"{T2}/teacher_packets.jsonl", segment_rows([*PARTS, LONGER]))
    write_json(store, f"{T2}/teacher_labels.json", segment_rows([*PARTS, LONGER]))
    judged = [(PARTS[0], PARTS[1]), (PARTS[0], LONGER), (LONGER, "yt_CCCCCCCCCCC")]
    write_table(store, f"{T2}/preferences.parquet", [{"better": a, "worse": b} for a, b in judged])
    make_stage(store, f"{T2}/originals", VIDEO, [f"{VIDEO}.flac", f"{VIDEO}.page.json"])
    for part in PARTS:
        make_recording(store, T2, part, {"cut_from": VIDEO})
    make_recording(store, T2, LONGER)

    write_rows(store, f"{T3}/recordings.jsonl", [catalogue_row(MAESTRO, "2004/x.wav")])
    write_rows(store, f"{T3}/metadata.jsonl", segment_rows([MAESTRO]))
    make_recording(store, T3, MAESTRO)
    performers = {
        who: {"recordings": {id_: {"segment_ids": [f"{id_}_seg0000"]}}}
        for who, id_ in (("p", MAESTRO), ("q", "maestro_2004_y"))
    }
    write_json(
        store, f"{T3}/piece_performer_map.json", {"pieces": {"w": {"performers": performers}}}
    )

    write_rows(
        store,
        f"{T4}/recordings.jsonl",
        [catalogue_row(id_, id_[3:]) for id_ in (VIDEO, OTHER)],
    )
    write_rows(store, f"{T4}/channels/made.jsonl", [catalogue_row(VIDEO, VIDEO[3:])])
    write_rows(store, f"{T4}/metadata.jsonl", segment_rows([VIDEO, OTHER]))
    write_rows(store, f"{T4}/pairs.jsonl", segment_rows([VIDEO, OTHER]))
    write_rows(
        store,
        f"{T4}/matches.jsonl",
        [{"recording": f"{T4}/{VIDEO}", "other": f"{T4}/{OTHER}", "by": "fingerprint"}],
    )
    write_rows(store, f"{T4}/matches_searched.jsonl", [{"key": f"{T4}/{VIDEO}", "state": "s"}])
    write_rows(
        store,
        f"{T4}/duplicates.jsonl",
        [{"recording_id": "yt_DDDDDDDDDDD", "duplicate_of": OTHER, "holds": [OTHER, VIDEO]}],
    )
    for id_ in (VIDEO, OTHER):
        make_recording(store, T4, id_)

    write_table(
        store,
        "training_set/manifest.parquet",
        [
            {
                "segment_id": f"{id_}_seg0000",
                "recording": f"{T4}/{id_}",
                "alike": [f"{VIDEO}_seg0001", f"{LONGER}_seg0001"],
            }
            for id_ in (VIDEO, OTHER)
        ],
    )
    write_json(
        store,
        "training_set/split_keys.json",
        {"rules": {}, "splits": {f"recording:{T4}/{id_}": "train" for id_ in (VIDEO, OTHER)}},
    )
    store.write_bytes("training_set/data_card.html", f"<p>{VIDEO}_seg0000</p>".encode())
    store.write_bytes("percepiano_cache/labels.json", b"{}")


def bury(store: Store, query: str = VIDEO) -> None:
    after = purge(store, find_source(store, query), "asked by its uploader", NOW)
    assert after.is_empty
    assert after.left == {}


def test_nothing_of_the_source_is_left(collection: Store) -> None:
    """No file is called after it, no text names one of its segments, and no table does.

    Guards against an embedding or a twin that survives a takedown in a corner of some tier.
    """
    made = re.compile(rf"{VIDEO}(_anna|_segal)?(_seg\d{{4}}|\.)")
    assert sum(bool(made.search(name)) for name in snapshot(collection)) > 50
    bury(collection)
    for name, content in snapshot(collection).items():
        assert not made.search(name)
        if name.endswith(".parquet") and content != b"sound":
            assert not made.search(str(pl.read_parquet(io.BytesIO(content)).to_dicts()))
        assert not made.search(content.decode(errors="replace"))


def test_nothing_of_others_is_lost(collection: Store) -> None:
    """Files of other recordings stay to the byte, and so do their rows in every aggregate.

    Guards against an id that begins with another's taking that one's embeddings along.
    """
    before = snapshot(collection)
    bury(collection)
    after = snapshot(collection)
    ours = re.compile(rf"{VIDEO}(_anna|_segal)?(\.|_seg\d)")
    aggregates = {name for name in before if name.count("/") < 3 and not ours.search(name)}
    for name in before.keys() - aggregates:
        assert ours.search(name) or after[name] == before[name]

    def rows(name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in after[name].decode().splitlines()]

    assert rows(f"{T2}/metadata.jsonl") == segment_rows([LONGER])
    assert rows(f"{T2}/programmes.jsonl") == [{"recording_id": LONGER}]
    assert json.loads(after[f"{T2}/teacher_labels.json"]) == segment_rows([LONGER])
    assert rows(f"{T4}/pairs.jsonl") == segment_rows([OTHER])
    assert rows(f"{T4}/duplicates.jsonl") == [
        {"recording_id": "yt_DDDDDDDDDDD", "duplicate_of": OTHER, "holds": [OTHER]}
    ]
    assert pl.read_parquet(io.BytesIO(after[f"{T2}/preferences.parquet"])).rows() == [
        (LONGER, "yt_CCCCCCCCCCC")
    ]
    assert pl.read_parquet(io.BytesIO(after["training_set/manifest.parquet"])).rows() == [
        (f"{OTHER}_seg0000", f"{T4}/{OTHER}", [f"{LONGER}_seg0001"])
    ]
    assert json.loads(after["training_set/split_keys.json"])["splits"] == {
        f"recording:{T4}/{OTHER}": "train"
    }
    assert after[f"{T3}/metadata.jsonl"] == before[f"{T3}/metadata.jsonl"]


def test_a_listing_keeps_its_row_and_loses_the_page(collection: Store) -> None:
    """Catalogues keep every row, so that no partition goes; what the video's page said is gone.

    Guards against a description that outlives its video, and against a partition renamed by a gap.
    """
    bury(collection)
    after = snapshot(collection)
    listing = [json.loads(line) for line in after[f"{T2}/listing.jsonl"].decode().splitlines()]
    assert [(row["recording_id"], row["page"] is None) for row in listing] == [
        (VIDEO, True),
        (LONGER, False),
    ]
    rows = [json.loads(line) for line in after[f"{T2}/recordings.jsonl"].decode().splitlines()]
    assert [(row["recording_id"], len(row["block"])) for row in rows] == [
        (PARTS[0], 0),
        (PARTS[1], 0),
        (LONGER, 1),
    ]
    assert f"Title of {VIDEO[3:]}" in after[f"{T4}/channels/made.jsonl"].decode()


@pytest.mark.parametrize(
    "query",
    [
        VIDEO,
        VIDEO[3:],
        PARTS[0],
        f"https://www.youtube.com/watch?v={VIDEO[3:]}",
        f"https://youtu.be/{VIDEO[3:]}?t=12",
        f"youtube.com/shorts/{VIDEO[3:]}",
        f"https://m.youtube.com/watch?list=PL1&v={VIDEO[3:]}&t=1s",
    ],
)
def test_one_source_by_many_names(collection: Store, query: str) -> None:
    """Any id and any form of the address, also a part's id, stand for the whole source.

    Guards against a takedown that removes one part and leaves the session that holds its sound.
    """
    assert find_source(collection, query).recording_ids == (VIDEO, *PARTS)


def test_recordings_of_other_tiers_are_found(collection: Store) -> None:
    """A file of the archive is a source like any other, by its name there.

    Guards against a purge that knows videos only; and its map keeps the form that readers expect.
    """
    bury(collection, "2004/x.wav")
    after = snapshot(collection)
    assert after[f"{T3}/metadata.jsonl"] == b""
    assert not [name for name in after if f"{MAESTRO}_seg" in name or f"{MAESTRO}." in name]
    performers = json.loads(after[f"{T3}/piece_performer_map.json"])["pieces"]["w"]["performers"]
    assert performers["p"] == {"recordings": {}}
    assert performers["q"]["recordings"].keys() == {"maestro_2004_y"}


def test_a_part_that_no_catalogue_has_any_more(collection: Store) -> None:
    """A part that left the catalogue, and whose receipt says only that it failed, is its video's.

    Guards against the files of an earlier cut staying for ever.
    """
    gone = f"{VIDEO}_zoe"

    def work() -> StageResult:
        raise ItemError("cut_beyond_end", "its part begins after the end")

    settle(
        collection,
        f"{T2}/audio",
        gone,
        inputs=lambda: {"source_id": VIDEO[3:]},
        parameters=dict,
        work=work,
    )
    collection.write_bytes(f"{T2}/muq_embeddings/{gone}_seg0000.pt", b"sound")
    assert gone in find_source(collection, VIDEO[3:]).recording_ids
    bury(collection)
    assert not [name for name in snapshot(collection) if f"{gone}_" in name or f"{gone}." in name]


def test_what_is_not_there_is_refused_with_what_is_like_it(collection: Store) -> None:
    """A mistyped id changes nothing and names its neighbours; an id of two sources names both.

    Guards against a purge of nothing that says it has succeeded, and against one of too much.
    """
    before = snapshot(collection)
    with pytest.raises(UnknownSourceError, match=OTHER):
        find_source(collection, "yt_BBBBBBBBBBC")
    with pytest.raises(UnknownSourceError, match=OTHER):
        find_source(collection, "title of bbbbbbbbbbb")
    rows = [
        {**catalogue_row(f"web_{host}", "video"), "source_url": f"http://{host}.example/video.mp3"}
        for host in ("a", "b")
    ]
    write_rows(collection, "competition_cache/made2025/recordings.jsonl", rows)
    with pytest.raises(AmbiguousSourceError, match=r"web_a .*; web_b "):
        find_source(collection, "video")
    assert find_source(collection, "http://a.example/video.mp3").recording_ids == ("web_a",)
    assert before.items() <= snapshot(collection).items()


OF_A_RECORDING = (".flac", ".receipt.json", "_seg0000.pt", "_seg12345", "")
IDS = st.from_regex(r"[ab](?:_seg|_|-|[ab]){0,4}", fullmatch=True)


@settings(max_examples=40)
@given(st.sets(IDS, min_size=1, max_size=6), st.data())
def test_every_file_is_of_one_recording(ids: set[str], data: st.DataObject) -> None:
    """However ids begin with one another, a stage's file is of the recording that it was made of.

    Guards against the prefix: `yt_a_segal` is no clip of `yt_a`, and `yt_ab` none of its files.
    """
    mine = data.draw(st.sampled_from(sorted(ids)))
    source = Source(mine, (mine,), (), (), frozenset(ids))
    for id_ in ids:
        for ending in OF_A_RECORDING:
            assert source.owns(f"any/folder/{id_}{ending}") == (id_ == mine)


def test_unknown_files_called_after_it_go_too(collection: Store) -> None:
    """What nobody's receipt names is found by its name, in any folder.

    Guards against files that a later version of the river will make, or a person has copied.
    """
    for name in (
        f"{T2}/new_stage/{PARTS[1]}.npy",
        f"{T2}/muq_embeddings/{PARTS[1]}_seg0000_old.pt",
        f"backup/{VIDEO}.wav",
    ):
        collection.write_bytes(name, b"sound")
    bury(collection)
    assert not [name for name in snapshot(collection) if VIDEO in name and LONGER not in name]


def test_folders_on_other_disks(collection: Store, tmp_path: Path) -> None:
    """A stage's folder that is a link is looked through, and a link that leads back is not endless.

    Guards against embeddings that survive because a tier was moved to a larger disk.
    """
    folder, moved = Path(str(collection.root)) / T4 / "muq_embeddings", tmp_path / "larger disk"
    folder.rename(moved)
    folder.symlink_to(moved, target_is_directory=True)
    (moved / "back").symlink_to(str(collection.root), target_is_directory=True)
    bury(collection)
    assert sorted(path.name for path in moved.iterdir()) == [
        "back",
        f"{OTHER}.receipt.json",
        f"{OTHER}_seg0000.pt",
        f"{OTHER}_seg0001.pt",
    ]


def test_embeddings_with_a_root_of_their_own(made: Path, tmp_path: Path) -> None:
    """What lies below the embeddings' own root goes as well.

    Guards against a purge of the data root alone.
    """
    shutil.copytree(made, tmp_path / "root")
    for tier in (T2, T4):
        for stage in ("muq_embeddings", "augmented_muq_embeddings"):
            shutil.move(tmp_path / "root" / tier / stage, tmp_path / "embeddings" / tier / stage)
    bury(Store.at(str(tmp_path / "root"), str(tmp_path / "embeddings")))
    left = [path.name for path in (tmp_path / "embeddings").rglob("*.*")]
    assert left
    assert not [name for name in left if name.startswith(VIDEO) and not name.startswith(LONGER)]


def test_a_root_that_is_no_folder() -> None:
    """On an object store everything goes as well.

    Guards against names below a URL that are read as paths of this machine.
    """
    store = Store.at("memory://purged/root")
    write_collection(store)
    bury(store)
    left = [path.name for path in store.root.rglob("*")]
    assert f"{OTHER}_seg0000.pt" in left
    assert not [name for name in left if name.startswith((f"{VIDEO}_", f"{VIDEO}."))]


def test_leftovers_that_receipts_name(collection: Store) -> None:
    """A file that a receipt names is removed, whatever it is called.

    Guards against a killed run's leftover under a name of its own.
    """
    make_stage(collection, f"{T4}/resampled", VIDEO, ["r-77.raw"])
    bury(collection)
    assert f"{T4}/resampled/r-77.raw" not in snapshot(collection)


def test_scratch_of_killed_runs(collection: Store) -> None:
    """Scratch called after the source goes with all beside it, and so does what is idle for long.

    Guards against the original that a killed fetch left; and against pulling one from under a run.
    """
    scratch = Path(str(collection.root)) / ".scratch"
    for name, idle_s in (("own/try1/original.webm", 0), (f"own/{VIDEO}.flac", 0), ("idle", 7200)):
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")
        os.utime(path, (time.time() - idle_s, time.time() - idle_s))
    bury(collection)
    assert not [path for path in scratch.rglob("*") if path.is_file() and path.suffix != ".lock"]
    (scratch / "busy").write_bytes(b"sound")
    assert ".scratch" in plan_purge(collection, find_source(collection, VIDEO)).left


def test_what_cannot_be_read_is_said(collection: Store) -> None:
    """A damaged table, another's folder and a note by hand are named and left alone.

    Guards against a purge that passes over what it cannot look into and calls it done.
    """
    collection.write_bytes(f"{T4}/matched.parquet", b"PAR1 cut off")
    collection.write_bytes("notes.csv", f"{VIDEO},5\n".encode())
    collection.write_bytes("more.txt", f"{LONGER} and {LONGER}_seg0000\n".encode())
    collection.write_bytes(f"percepiano_cache/{VIDEO}.pt", b"theirs")
    after = purge(collection, find_source(collection, VIDEO), "asked", NOW)
    assert after.left.keys() == {
        f"{T4}/matched.parquet",
        "notes.csv",
        f"percepiano_cache/{VIDEO}.pt",
    }
    assert snapshot(collection)[f"percepiano_cache/{VIDEO}.pt"] == b"theirs"


def test_a_torn_line(collection: Store) -> None:
    """A line that is no JSON goes if it holds an id of the source, and stays otherwise.

    Guards against a torn last line that keeps a row alive, or stops the purge.
    """
    path = f"{T4}/pairs.jsonl"
    torn = f'{{"segment_id": "{VIDEO}_seg00\n{{"segment_id": "{OTHER}_se'.encode()
    collection.write_bytes(path, snapshot(collection)[path] + torn)
    bury(collection)
    assert snapshot(collection)[path].decode().splitlines()[2:] == [f'{{"segment_id": "{OTHER}_se']


def test_purging_twice(collection: Store) -> None:
    """The second time changes nothing; one tombstone stays, with its date and reason.

    Guards against a tombstone per try.
    """
    bury(collection)
    before = snapshot(collection)
    after = purge(collection, find_source(collection, PARTS[0]), "again", datetime.now(UTC))
    assert after.is_empty
    assert snapshot(collection) == before
    (tombstone,) = read_tombstones(collection)
    assert (tombstone.reason, tombstone.purged_at) == ("asked by its uploader", NOW)
    assert tombstone.recording_ids == (VIDEO, *PARTS)


def test_a_source_is_known_by_its_tombstone(collection: Store) -> None:
    """With all catalogues gone, its tombstone still names it, and what came back goes again.

    Guards against a run that wrote an embedding while its source was purged.
    """
    bury(collection)
    for name in (f"{T2}/recordings.jsonl", f"{T2}/listing.jsonl", f"{T4}/recordings.jsonl"):
        collection.path(name).unlink()
    collection.path(f"{T4}/channels/made.jsonl").unlink()
    late = f"{T2}/muq_embeddings/{PARTS[0]}_seg0001.pt"
    collection.write_bytes(late, b"sound")
    bury(collection)
    assert late not in snapshot(collection)


KILLED = """
import os, sys
from datetime import UTC, datetime
from data_collection.recordings.purge import find_source, purge
from data_collection.recordings.store import Store

store = Store.at(sys.argv[1])
source = find_source(store, sys.argv[2])
changes = 0

def stop(event, arguments):
    global changes
    if event in ("os.remove", "os.rename"):
        changes += 1
        if changes > int(sys.argv[3]):
            os._exit(9)

sys.addaudithook(stop)
purge(store, source, "asked by its uploader", datetime.now(UTC))
"""


@pytest.mark.parametrize("changes", [0, 40])
def test_a_killed_purge_is_run_again(collection: Store, changes: int) -> None:
    """Killed before or after any change, the same command ends what was begun.

    Guards against a source that can no longer be found because its receipts went first.
    """
    root = str(collection.root)
    command = [sys.executable, "-c", KILLED, root, VIDEO, str(changes)]
    assert subprocess.run(command, check=False).returncode == 9
    assert (TOMBSTONES in snapshot(collection)) == (changes > 0)
    after = purge(collection, find_source(collection, VIDEO), "again", NOW)
    assert after.is_empty
    left = [name for name in snapshot(collection) if f"{VIDEO}_seg" in name]
    assert left == []


def _never(recording: Recording, flac: Path, scratch: Path) -> Original:
    raise AssertionError(f"{recording.recording_id} was asked for")


@pytest.mark.parametrize(
    "recording",
    [
        Recording(recording_id=VIDEO, source_id="s", source_url="u", title="the video"),
        Recording(
            recording_id=f"{VIDEO}_new", source_id="s", source_url="u", title="a new part",
            cut_from=VIDEO, source_start_s=1.0,
        ),
        Recording(
            recording_id="web_1", source_id="s", title="the same address",
            source_url=f"https://www.youtube.com/watch?v={VIDEO[3:]}",
        ),
    ],
    ids=lambda recording: recording.title,
)  # fmt: skip
def test_a_purged_source_is_not_fetched_again(
    collection: Store, tier: Tier, recording: Recording
) -> None:
    """In any tier its audio is blocked, at no cost of attempts, and nobody is asked.

    Guards against the next listing or backfill bringing back what was taken down.
    """
    bury(collection)
    settled = settle_audio(collection, tier, recording, _never)
    assert (settled.receipt.state, settled.receipt.reason) == ("blocked", "purged")
    assert (settled.receipt.attempts, settled.stops_batch) == (0, False)
    assert "2026-11-23" in (settled.receipt.detail or "")
    stored = read_receipt(collection, tier.folder("audio"), recording.recording_id)
    assert stored == settled.receipt


def test_tombstones_that_cannot_be_read_stop_every_fetch(store: Store, tier: Tier) -> None:
    """While a line of the file is broken, nothing is fetched: it may be the one that forbids it.

    Guards against an edit by hand that silently lets a source in again.
    """
    store.write_bytes(TOMBSTONES, b'{"source_id": "x"\n')
    recording = Recording(recording_id="yt_x", source_id="x", source_url="u", title="t")
    settled = settle_audio(store, tier, recording, _never)
    assert (settled.receipt.state, settled.receipt.reason) == ("blocked", "rows_unreadable")
    assert settled.stops_batch


def test_the_command(
    collection: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run changes nothing and lists what would go; `--really` does it; unknown is status 2.

    Guards against a takedown by accident, and against one that a script believes it has made.
    """
    monkeypatch.setenv("DATA_COLLECTION_ROOT", str(collection.root))
    monkeypatch.setenv("EMBEDDINGS_ROOT", "")
    monkeypatch.setenv("COLUMNS", "120")
    before = snapshot(collection)
    assert main(["purge", VIDEO]) == 0
    said = capsys.readouterr().out
    assert snapshot(collection) == before
    for part in (f"{T2}/originals/", f"{T4}/augmented_muq_embeddings/", "training_set/data_card"):
        assert part in said
    assert f"purge them too where that is meant: {OTHER}" in said
    assert main(["purge", "nothing like it"]) == 2
    assert main(["purge", VIDEO, "--really", "--reason", "its uploader asked"]) == 0
    assert read_tombstones(collection)[0].reason == "its uploader asked"
    assert main(["purge", VIDEO, "--really"]) == 0
    assert "nothing of it is there" in capsys.readouterr().out
