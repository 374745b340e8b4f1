"""T1 is read in the shapes that it comes in; another shape is named, never guessed."""

from __future__ import annotations

import io
import json
import math

import polars as pl
import pytest
import torch

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store
from data_collection.repertoire.reading import read_piece
from data_collection.training_set.external import EXTERNAL_FOLDERS, observe
from data_collection.training_set.manifest import build_manifest
from data_collection.training_set.manifest_rows import DIMENSIONS
from data_collection.training_set.percepiano import parse_name, read_percepiano
from data_collection.training_set.sources import find_collections, read_sources

NAMES = ("Beethoven_WoO80_var27_8bars_3_15", "Schubert_D935_no.3_4bars_1_02")
SCORES = dict.fromkeys(DIMENSIONS, 0.25)


def tensor_file(shape: tuple[int, ...] = (93, 8)) -> bytes:
    buffer = io.BytesIO()
    torch.save(torch.zeros(shape), buffer)
    return buffer.getvalue()


def write(store: Store, relative: str, content: object) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    store.write_bytes(relative, data)


@pytest.fixture
def percepiano(store: Store) -> Store:
    """Two segments, one of them with labels of both kinds."""
    for name in NAMES:
        write(store, f"percepiano_cache/_muq_file_cache/{name}.pt", tensor_file())
    write(store, "percepiano_cache/labels.json", {NAMES[0]: [0.5] * 19 + [7]})
    write(store, "composite_labels/composite_labels.json", {NAMES[0]: SCORES})
    return store


def test_a_row_holds_labels_pianist_piece_and_embedding(percepiano: Store) -> None:
    """The 20th value of a row of labels is the pianist, not a score."""
    read = read_percepiano(percepiano)
    labelled, bare = read.segments.sort("segment_id").rows(named=True)
    assert labelled["performer"] == "percepiano 7"
    assert (labelled["piece"], labelled["frames"], labelled["width"]) == ("beethoven/woo80", 93, 8)
    assert labelled["score_timing"] == 0.25
    assert labelled["segment_end"] == pytest.approx(93 / 25)
    assert bare["performer"] == "percepiano 2"  # of its name, where no label tells
    assert bare["score_timing"] is None
    assert ("label_missing", NAMES[1]) in {problem[:2] for problem in read.problems}


def test_an_unlabelled_segment_stays_in_the_manifest_without_a_target(percepiano: Store) -> None:
    """1,202 segments, 1,189 with labels: the other 13 are not lost, and not trained on as 0."""
    table = build_manifest(read_sources(percepiano, find_collections(percepiano))).table
    targets = dict(table.select("segment_id", "regression_from").iter_rows())
    assert targets == {NAMES[0]: "composite", NAMES[1]: None}


def test_pieces_are_named_as_the_repertoire_names_them(percepiano: Store) -> None:
    """MAESTRO holds Schubert's D. 960 as well: by another name it would be in another split."""
    for name, wording in (
        ("Schubert_D960_mv3_8bars_1_01", "Schubert: D. 960"),
        ("Schubert_D935_no.3_4bars_1_02", "Schubert: D. 935 No. 3"),
        ("Beethoven_WoO80_thema_8bars_1_01", "Beethoven: WoO 80"),
    ):
        parsed, piece = parse_name(name), read_piece(wording, default_composer=None)
        assert parsed is not None
        assert piece is not None
        assert parsed.piece == f"{piece.composer}/{piece.work}"


@pytest.mark.parametrize("name", ["", "seg_1", "Schubert_D960_mv3", "a_8bars_1_02", "../x_1_2"])
def test_another_name_is_not_read_as_one_of_them(name: str) -> None:
    """A guess would put a segment beside a piece that it is not."""
    assert parse_name(name) is None


def test_a_segment_of_another_name_takes_its_piece_from_the_mapping(percepiano: Store) -> None:
    """And is named where the mapping does not know it either."""
    for name in ("one", "two"):
        write(percepiano, f"percepiano_cache/_muq_file_cache/{name}.pt", tensor_file())
    write(percepiano, "percepiano_cache/piece_mapping.json", {"A piece": ["one"]})
    read = read_percepiano(percepiano)
    pieces = dict(read.segments.select("segment_id", "piece").iter_rows())
    assert pieces["one"] == "percepiano/A piece"
    assert pieces["two"] is None
    assert ("piece_unknown", "two") in {problem[:2] for problem in read.problems}


def test_embeddings_may_lie_in_one_file(store: Store) -> None:
    """The form that some extractors leave: a mapping, of tensors with the batch's dimension."""
    buffer = io.BytesIO()
    torch.save({NAMES[0]: torch.zeros(1, 93, 8), NAMES[1]: torch.zeros(3)}, buffer)
    write(store, "percepiano_cache/muq_embeddings.pt", buffer.getvalue())
    read = read_percepiano(store)
    row = read.segments.row(0, named=True)
    assert (row["embedding_key"], row["frames"], row["width"]) == (NAMES[0], 93, 8)
    assert ("embedding_truncated", NAMES[1]) in {problem[:2] for problem in read.problems}


def test_a_file_that_is_cut_short_is_named_and_the_others_are_read(percepiano: Store) -> None:
    """One torn file of 1,202 must not hide the rest."""
    path = f"percepiano_cache/_muq_file_cache/{NAMES[0]}.pt"
    write(percepiano, path, tensor_file()[:500])
    read = read_percepiano(percepiano)
    assert read.segments["segment_id"].to_list() == [NAMES[1]]
    assert ("embedding_truncated", NAMES[0]) in {problem[:2] for problem in read.problems}
    assert ("label_unknown", NAMES[0]) in {problem[:2] for problem in read.problems}


def test_scores_in_plain_lists_are_read_by_the_taxonomys_order(percepiano: Store) -> None:
    """Another order than ours would swap timing for dynamics and show in nothing."""
    order = list(reversed(DIMENSIONS))
    write(
        percepiano, "composite_labels/taxonomy.json", {"dimensions": [{"name": n} for n in order]}
    )
    values = {NAMES[0]: [at / 10 for at in range(len(order))]}
    write(percepiano, "composite_labels/composite_labels.json", values)
    row = read_percepiano(percepiano).segments.row(
        by_predicate=pl.col("segment_id") == NAMES[0], named=True
    )
    assert row[f"score_{order[2]}"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("percepiano_cache/labels.json", b'{"a": [', "labels.json"),
        ("percepiano_cache/labels.json", [1], "expected an object"),
        ("percepiano_cache/labels.json", {"a": [0.5] * 6}, "19 scores"),
        ("percepiano_cache/labels.json", {"a": [0.5] * 18 + ["x"]}, "is no score"),
        ("composite_labels/composite_labels.json", {"a": {"timing": 1}}, "no score in dynamics"),
        ("composite_labels/composite_labels.json", {"a": 3}, "a score for each dimension"),
        ("composite_labels/composite_labels.json", {"a": [1, 2]}, "taxonomy.json"),
        (
            "composite_labels/composite_labels.json",
            {"a": SCORES | {"timing": math.nan}},
            "no score",
        ),
    ],
)
def test_labels_of_another_shape_are_refused(
    percepiano: Store, file: str, content: object, says: str
) -> None:
    """They are made outside of this project; half of them taken would be worse than none."""
    write(percepiano, file, content)
    with pytest.raises(SetupError, match="labels_unreadable") as raised:
        read_percepiano(percepiano)
    assert says in str(raised.value)


def test_a_folder_that_is_not_there_is_a_reason_and_no_error(store: Store) -> None:
    """T1 is not ours to make."""
    read = read_percepiano(store)
    assert read.segments.is_empty()
    assert "no embeddings of PercePiano" in (read.off_because or "")


def test_what_lies_in_an_external_folder_is_told_and_left_alone(percepiano: Store) -> None:
    """A replaced file changes the listing's hash; a look at it changes nothing."""
    before = observe(percepiano, "percepiano_cache")
    assert (before.absent, before.count) == (False, 3)
    assert before.size_bytes == sum(
        file.stat().st_size
        for file in percepiano.path("percepiano_cache").rglob("*")
        if file.is_file()
    )
    assert before.newest is not None
    assert before.age_s(before.newest) == 0
    assert observe(percepiano, "percepiano_cache") == before
    write(percepiano, "percepiano_cache/labels.json", {})
    assert observe(percepiano, "percepiano_cache").listing_sha256 != before.listing_sha256


def test_the_same_files_elsewhere_have_the_same_listing(store: Store, percepiano: Store) -> None:
    """The hash is of names below the folder, so two machines can be compared."""
    remote = Store.at("memory://observed")
    for file in percepiano.root.rglob("*.*"):
        if file.is_file():
            write(remote, str(file.relative_to(percepiano.root)), file.read_bytes())
    here, there = (observe(at, "percepiano_cache") for at in (percepiano, remote))
    assert here.listing_sha256 == there.listing_sha256
    assert read_percepiano(remote).segments.equals(read_percepiano(percepiano).segments)


def test_an_external_folder_that_is_absent_is_said_to_be(store: Store) -> None:
    """None of the four needs to be there."""
    assert all(observe(store, folder).absent for folder in EXTERNAL_FOLDERS)
