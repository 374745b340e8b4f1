"""The gate says complete only where all is there that can be, and names what is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.recordings.collection import Standing
from data_collection.recordings.fetch_errors import FETCH_REASONS
from data_collection.recordings.store import Store
from data_collection.recordings.tier_rows import Recording
from data_collection.training_set.completion import (
    PURGED,
    WITHHELD,
    Completion,
    completion,
    is_withheld,
)
from data_collection.training_set.tier_states import Teaching, TierState
from data_collection_tests.training_set.collected_tiers import (
    FOLDERS,
    MAP,
    Disk,
    collect,
    put_receipt,
    rewrite_rows,
    river,
    states,
)
from data_collection_tests.training_set.made_collection import T2, T3, T4

LACKING = ("zz_truncated", "zz_network", "zz_new")
"""Recordings of each made tier that could be there and are not."""


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection in which recordings of each tier are missing; no test changes it."""
    root = tmp_path_factory.mktemp("half")
    collect(Store.at(str(root)))
    return root


@pytest.fixture
def whole(half: Path, tmp_path: Path) -> Store:
    """The same without those recordings: all is there that can be."""
    root = tmp_path / "whole"
    shutil.copytree(half, root)
    store = Store.at(str(root))
    for folder in FOLDERS:
        rows = Disk(root).lines(f"{folder}/recordings.jsonl")
        kept = [json.dumps(row) for row in rows if row["recording_id"] not in LACKING]
        store.write_bytes(f"{folder}/recordings.jsonl", ("\n".join(kept) + "\n").encode())
    return store


def reasons(found: Completion) -> set[tuple[str, str, str]]:
    return {(gap.tier, gap.subject, gap.reason) for gap in found.missing}


def first_of(store: Store, folder: str) -> tuple[str, str]:
    """A recording and one of its embeddings."""
    row = Disk(Path(str(store.root))).lines(f"{folder}/metadata.jsonl")[0]
    return str(row["recording_id"]), str(row["embedding_path"])


def test_a_collection_without_what_nobody_can_have_is_complete(whole: Store) -> None:
    """Else one dead video would keep the gate shut for ever."""
    found = completion(whole, states())
    assert found.is_complete
    assert found.missing == ()
    assert {gap.reason for gap in found.not_missing} == {
        "removed",
        "private",
        "no_usable_clip",
        "duplicate",
    }
    for row in found.tiers:
        assert row.recordings == row.there + row.filtered + row.not_to_be_had + row.missing
        assert (row.not_to_be_had, row.missing, row.because) == (2, 0, "")
        rows = Disk(Path(str(whole.root))).lines(f"{row.collection}/metadata.jsonl")
        assert row.segments == len(rows)


def test_what_could_be_there_is_missing_by_recording_and_reason(half: Path) -> None:
    """A person needs to know what to materialize, not that something is."""
    found = completion(Store.at(str(half)), states())
    assert not found.is_complete
    wanted = {("zz_truncated", "truncated"), ("zz_network", "network"), ("zz_new", "not_tried")}
    assert reasons(found) == {(tier, *one) for tier in ("t2", "t3") for one in wanted}
    assert found.by_reason()["t3 audio: failed: truncated"] == 1
    assert found.by_good_reason()["t2 audio: failed: removed"] == 1
    columns, rows = found.table()
    assert all(len(row) == len(columns) for row in rows)
    columns, rows = found.missing_table()
    assert len(rows) == 6
    assert all(len(row) == len(columns) for row in rows)
    figures = found.figures()
    assert (figures["is_complete"], figures["missing"], figures["t2_missing"]) == (0.0, 6.0, 3.0)


def test_t4_is_counted_and_never_missing(half: Path, whole: Store) -> None:
    """It adds to the others: a channel that is never finished must not keep the gate shut."""
    found = completion(Store.at(str(half)), states())
    t4 = {gap.subject for gap in found.not_missing if gap.tier == "t4"}
    assert t4 > set(LACKING)
    assert found.tiers[2].missing == 3
    assert not found.tiers[2].is_needed
    off = TierState("t4", river(T4), off_because="not wanted yet")
    assert completion(whole, states(t4=off)).is_complete
    assert completion(whole, states()[:2]).is_complete


def lose_a_file(store: Store, path: str) -> None:
    store.path(path).unlink()


def cut_a_file(store: Store, path: str) -> None:
    store.path(path).write_bytes(b"longer than its receipt says")


def lose_a_row(store: Store, path: str) -> None:
    rows = Disk(Path(str(store.root))).lines(f"{T2}/metadata.jsonl")
    rewrite_rows(store, T2, [row for row in rows if row["embedding_path"] != path])


def age_a_row(store: Store, path: str) -> None:
    rows = Disk(Path(str(store.root))).lines(f"{T2}/metadata.jsonl")
    old = {"embedding_sha256": "0" * 64}
    rewrite_rows(
        store, T2, [{**row, **(old if row["embedding_path"] == path else {})} for row in rows]
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lose_a_file, "embedding_missing"),
        (cut_a_file, "embedding_truncated"),
        (lose_a_row, "row_missing"),
        (age_a_row, "row_outdated"),
    ],
)
def test_a_receipt_alone_is_not_believed(
    whole: Store, damage: Callable[[Store, str], None], reason: str
) -> None:
    """Receipt, file and row must say the same of each embedding; done is not enough."""
    name, path = first_of(whole, T2)
    damage(whole, path)
    found = completion(whole, states())
    assert reasons(found) == {("t2", name, reason)}
    assert path in str(found.missing[0].detail)
    assert found.tiers[0].missing == 1


def test_a_recording_that_was_made_again_further_up_is_missing(whole: Store) -> None:
    """Embeddings of an audio that is no longer there are not those of the collection."""
    name, _ = first_of(whole, T3)
    path = whole.path(f"{T3}/segments/{name}.receipt.json")
    receipt = json.loads(path.read_bytes())
    path.write_text(json.dumps({**receipt, "inputs": {"audio_sha256": "1" * 64}}))
    assert reasons(completion(whole, states())) == {("t3", name, "upstream_changed")}


@pytest.mark.parametrize(
    ("content", "said"), [(None, "is not there"), (b"", "cannot be read"), (b"{", "cannot be read")]
)
def test_the_map_of_pieces_has_to_be_there_and_whole(
    whole: Store, content: bytes | None, said: str
) -> None:
    """T3 is of no use without it, however many embeddings there are."""
    if content is None:
        whole.path(MAP).unlink()
    else:
        whole.path(MAP).write_bytes(content)
    found = completion(whole, states())
    assert reasons(found) == {("t3", MAP, "file_missing")}
    assert said in str(found.missing[0].detail)


def test_a_torn_table_of_pairs_is_missing(whole: Store) -> None:
    """A file that is there and cannot be read is not there."""
    pairs = f"{T3}/pairs.parquet"
    whole.write_bytes(pairs, b"PAR1 torn")
    tier = TierState("t3", river(T3), files=(MAP, pairs))
    assert reasons(completion(whole, states(t3=tier))) == {("t3", pairs, "file_missing")}


def test_nothing_collected_is_not_complete(store: Store) -> None:
    """No recording is missing from an empty catalogue; the gate must not open on that."""
    found = completion(store, states())
    wanted = {(t, f, "rows_missing") for f, t in FOLDERS.items() if t != "t4"}
    assert reasons(found) == wanted
    for folder in (T2, T3):
        store.write_bytes(f"{folder}/recordings.jsonl", b"")
        store.write_bytes(f"{folder}/metadata.jsonl", b"")
    store.write_bytes(MAP, b"{}")
    empty = completion(store, states())
    assert {reason for _, _, reason in reasons(empty)} == {"catalogue_empty"}
    assert not empty.is_complete
    assert {gap.subject for gap in completion(store, []).missing} == {"t2", "t3"}


def test_a_collection_whose_recordings_are_all_gone_is_not_complete(store: Store) -> None:
    """Every recording has a good reason, and still there is nothing to train on."""
    row = {"source_id": "a", "source_url": "https://made.test/a", "title": "A"}
    for folder in (T2, T3):
        line = json.dumps({"recording_id": "a", **row}) + "\n"
        store.write_bytes(f"{folder}/recordings.jsonl", line.encode())
        store.write_bytes(f"{folder}/metadata.jsonl", b"")
        put_receipt(store, folder, "audio", "a", state="failed", reason="removed")
    store.write_bytes(MAP, b"{}")
    found = completion(store, states())
    assert {reason for _, _, reason in reasons(found)} == {"no_segments"}


def test_a_needed_tier_that_is_off_is_named_with_its_reason(whole: Store) -> None:
    """Switching a tier off must not make the collection complete."""
    off = TierState("t3", river(T3), off_because="no room for it")
    (gap,) = completion(whole, states(t3=off)).missing
    assert (gap.tier, gap.reason, gap.detail) == ("t3", "tier_off", "no room for it")


def test_rows_that_cannot_be_read_are_named_with_their_file(whole: Store) -> None:
    """A torn table is one fault, not one of each recording."""
    whole.path(f"{T2}/metadata.jsonl").write_text('{"segment_id": ')
    (gap,) = completion(whole, states()).missing
    assert (gap.tier, gap.reason) == ("t2", "rows_unreadable")
    assert "metadata.jsonl" in str(gap.detail)


def test_what_was_purged_is_not_missing(half: Path, tmp_path: Path) -> None:
    """Who asks for a takedown must not be asked for again."""
    shutil.copytree(half, tmp_path / "purged")
    store = Store.at(str(tmp_path / "purged"))
    tombstone = {
        "source_id": "zz_new",
        "recording_ids": ["zz_new"],
        "source_urls": [],
        "purged_at": "2026-02-01T00:00:00Z",
        "reason": "asked for",
    }
    store.write_bytes("tombstones.jsonl", (json.dumps(tombstone) + "\n").encode())
    found = completion(store, states())
    assert "zz_new" not in {gap.subject for gap in found.missing}
    purged = [gap for gap in found.not_missing if gap.reason == PURGED]
    assert [gap.tier for gap in purged] == ["t2", "t3", "t4"]
    assert "2026-02-01" in str(purged[0].detail)


def test_a_person_may_give_a_recording_up(half: Path) -> None:
    """A file that is damaged at its source must not keep the gate shut; the reason is said."""
    given_up = dict.fromkeys(LACKING, "damaged in the release")
    tiers = [
        TierState("t2", river(T2), accepted=given_up),
        TierState("t3", river(T3), files=(MAP,), accepted=given_up),
    ]
    found = completion(Store.at(str(half)), tiers)
    assert found.is_complete
    accepted = [gap for gap in found.not_missing if gap.state == "accepted"]
    assert len(accepted) == 6
    assert {gap.detail for gap in accepted} == {"damaged in the release"}
    assert {row.not_to_be_had for row in found.tiers} == {5}


def taught(store: Store, teaching: Teaching) -> Completion:
    return completion(store, states(t2=TierState("t2", river(T2), teaching=teaching)))


def test_the_teacher_owes_nothing_unless_a_pilot_said_go(whole: Store) -> None:
    """No pilot, or one that found nothing, is a finished question."""
    assert taught(whole, Teaching(False, "no go")).is_complete


def test_after_a_go_every_judged_segment_has_a_label_or_a_stated_reason(whole: Store) -> None:
    """Half the labels look like all of them to whoever reads the file."""
    rows = Disk(Path(str(whole.root))).lines(f"{T2}/metadata.jsonl")[:4]
    names = [str(row["segment_id"]) for row in rows]
    judged = frozenset(names)
    partly = Teaching(
        True, "go", judged, frozenset(names[:1]), stated={names[1]: "refused"}, verdict="closed"
    )
    found = taught(whole, partly)
    (gap,) = found.missing
    assert (gap.subject, gap.reason) == (rows[2]["recording_id"], "label_missing")
    assert names[2] in str(gap.detail)
    assert names[3] in str(gap.detail)
    assert names[1] not in str(gap.detail)
    all_of_them = Teaching(True, "go", judged, judged, verdict="closed")
    assert taught(whole, all_of_them).is_complete


def test_after_a_go_the_gate_has_to_have_a_verdict_whichever_it_is(whole: Store) -> None:
    """Scored is not validated; a teacher found to be of no use is as good an end as another."""
    judged = frozenset({"a"})
    for verdict in ("open", "closed", "void", "not_assessable"):
        assert taught(whole, Teaching(True, "go", judged, judged, verdict=verdict)).is_complete
    found = taught(whole, Teaching(True, "go", judged, judged))
    assert {gap.reason for gap in found.missing} == {"no_verdict"}
    found = taught(whole, Teaching(True, "go", verdict="open"))
    assert {gap.reason for gap in found.missing} == {"nothing_judged"}


def test_every_withheld_reason_is_one_that_a_fetch_gives() -> None:
    """A reason that is renamed must not silently count as missing again."""
    assert {row.reason for row in FETCH_REASONS if row.fault == "item"} >= WITHHELD


@given(
    state=st.sampled_from(["done", "filtered", "failed", "blocked", "missing"]),
    reason=st.sampled_from([*sorted(WITHHELD), "truncated", "network", "disk_full", "new", None]),
)
def test_only_the_items_own_fault_can_be_withheld(state: str, reason: str | None) -> None:
    """What we or the network are at fault for can be had: the gate must ask for it."""
    recording = Recording(recording_id="a", source_id="a", source_url="u", title="t")
    item = Standing(recording, {}, "audio", state, reason, None)
    assert is_withheld(item) == (state == "failed" and reason in WITHHELD)
