"""What a training run loads is what was collected, and nothing of Dagster comes with it."""

from __future__ import annotations

import doctest
import os
import pickle
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import data_collection.load
from data_collection.load import (
    ContrastiveDataset,
    InvarianceDataset,
    RankingDataset,
    RegressionDataset,
    TrainingSet,
    load_embedding,
    open_manifest,
    open_training_set,
    padded,
    select,
)
from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store
from data_collection.training_set.manifest import build_manifest
from data_collection.training_set.manifest_files import write_manifest
from data_collection.training_set.manifest_rows import DIMENSIONS, SPLITS
from data_collection.training_set.sources import find_collections, read_sources
from data_collection.training_set.splits import SplitRules
from data_collection_tests.training_set.made_collection import (
    T2,
    T3,
    Sizes,
    make,
    write_teacher_labels,
    write_twins,
)

SIZES = Sizes(percepiano=3, competitors=12, maestro=24, videos=12, clips=2, frames=5, width=8)
RULES = SplitRules(starts=1, kicks=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole collection with a manifest; no test changes it."""
    root = tmp_path_factory.mktemp("load") / "data"
    store = Store.at(str(root))
    made = make(store, SIZES)
    write_twins(store, [row.segment_id for row in made.t4], SIZES)
    write_teacher_labels(store, T2, [row.segment_id for row in made.t2])
    sources = read_sources(store, find_collections(store))
    write_manifest(store, build_manifest(sources, RULES, distillation_open=True), RULES)
    return root


@pytest.fixture(scope="module")
def training(root: Path) -> TrainingSet:
    return open_training_set(str(root))


def row_of(training: TrainingSet, name: str) -> dict[str, object]:
    return training.manifest.row(by_predicate=pl.col("segment_id") == name, named=True)


def test_nothing_of_dagster_and_for_rows_nothing_of_torch_is_imported() -> None:
    """A training machine has no Dagster, and a look at the rows must not wait for torch."""
    code = (
        "import sys\n"
        "from data_collection.load import open_manifest\n"
        "assert 'torch' not in sys.modules\n"
        "from data_collection.load import RankingDataset, load_embedding\n"
        "print(sorted(name for name in sys.modules if name.startswith('dagster')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout == "[]\n", printed.stderr


def test_the_documented_example_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five lines that nobody runs are wrong after a month."""
    monkeypatch.chdir(root.parent)
    found = doctest.testmod(data_collection.load, raise_on_error=True)
    assert found.attempted == 5


def test_the_manifest_is_read_as_it_was_written(root: Path, training: TrainingSet) -> None:
    """Rows, splits and terms as the builder gave them."""
    assert open_manifest(str(root)).equals(training.manifest)
    assert training.dimensions == DIMENSIONS
    chosen = select(training.manifest, "train", "ranking")
    assert set(chosen["split"]) == {"train"}
    assert chosen["loss_terms"].list.contains("ranking").all()
    assert set(select(training.manifest)["split"]) == set(SPLITS)
    with pytest.raises(ValueError, match="no split"):
        select(training.manifest, "excluded")  # type: ignore[arg-type]


def test_regression_gives_peoples_scores_and_with_distillation_the_teachers(
    training: TrainingSet,
) -> None:
    """The two objectives: a target of the teacher must not slip into the first."""
    people = RegressionDataset(training, "train")
    both = RegressionDataset(training, "train", distillation=True)
    assert 0 < len(people) < len(both)
    for dataset in (people, both):
        for at in range(len(dataset)):
            item = dataset[at]
            row = row_of(training, item["segment_id"])
            by_people = row["regression_from"] == "composite"
            assert by_people or dataset is both
            expected = row["score_timing"] if by_people else 0.5  # 3 of 1 to 5
            assert item["target"][DIMENSIONS.index("timing")].item() == pytest.approx(expected)
            assert item["weight"].item() == pytest.approx(1.0 if by_people else 0.6)
            assert item["embedding"].dtype == torch.float32
            assert item["embedding"].shape == (row["frames"], row["width"])


@pytest.mark.parametrize("same_piece", [False, True])
def test_ranking_says_which_of_two_was_judged_better(
    training: TrainingSet, same_piece: bool
) -> None:
    """An order that is always +1 teaches nothing; one that is wrong teaches the reverse."""
    dataset = RankingDataset(training, "train", same_piece=same_piece, draws_per_pair=3)
    orders = set()
    for at in range(len(dataset)):
        item = dataset[at]
        first, second = (row_of(training, item[name]) for name in ("first_id", "second_id"))
        assert first["ranking_group"] == second["ranking_group"]
        assert first["split"] == second["split"] == "train"
        is_better = first["ranking_order"] < second["ranking_order"]  # type: ignore[operator]
        assert item["order"].item() == (1.0 if is_better else -1.0)
        if same_piece:
            assert set(first["pieces"]) & set(second["pieces"])  # type: ignore[call-overload]
        orders.add(item["order"].item())
    assert orders == {1.0, -1.0}


def test_contrastive_gives_another_performer_and_other_music(training: TrainingSet) -> None:
    """A negative that is the anchor's own piece pushes apart what belongs together."""
    dataset = ContrastiveDataset(training, "train", negatives=3)
    for at in range(len(dataset)):
        item = dataset[at]
        anchor, positive = (row_of(training, item[n]) for n in ("anchor_id", "positive_id"))
        assert anchor["performer"] != positive["performer"]
        assert set(anchor["work_ids"]) & set(positive["work_ids"])  # type: ignore[call-overload]
        assert len(item["negatives"]) == 3
        for name in item["negative_ids"]:
            assert set(row_of(training, name)["pieces"]).isdisjoint(anchor["pieces"])  # type: ignore[call-overload]


def test_contrastive_takes_the_positives_that_were_paired(root: Path, tmp_path: Path) -> None:
    """`pairs.parquet` knows the place in the music; a pair into another split is not taken."""
    manifest = open_manifest(str(root))
    rows = select(manifest, "train", "contrastive")["segment_id"].to_list()
    outside = manifest.filter((pl.col("tier") == "t3") & (pl.col("split") != "train"))
    store = Store.at(str(tmp_path))
    (tmp_path / T3).mkdir()
    (tmp_path / T3 / "muq_embeddings").symlink_to(root / T3 / "muq_embeddings")
    pairs = [(rows[0], rows[1]), (rows[0], outside["segment_id"][0]), (rows[1], "nobody")]
    pl.DataFrame(pairs, schema=["anchor", "positive"], orient="row").write_parquet(
        tmp_path / T3 / "pairs.parquet"
    )
    dataset = ContrastiveDataset(TrainingSet(store, manifest), "train", negatives=0)
    assert [(item["anchor_id"], item["positive_id"]) for item in (dataset[0],)] == [pairs[0]]
    assert len(dataset) == 1


def test_invariance_gives_the_clean_one_and_its_twin(training: TrainingSet) -> None:
    """Two of one shape, and not the same file twice."""
    dataset = InvarianceDataset(training, "train")
    item = dataset[0]
    assert item["clean"].shape == item["twin"].shape == (SIZES.frames, SIZES.width)
    assert not torch.equal(item["clean"], item["twin"])


def test_items_are_the_same_with_workers_and_without(training: TrainingSet) -> None:
    """What is drawn follows from the index, so a run can be repeated on another machine."""
    dataset = RankingDataset(training, "train")
    alone, shared = (
        [
            (batch["first_id"], batch["order"].tolist(), batch["first"].sum().item())
            for batch in DataLoader(dataset, batch_size=4, collate_fn=padded, num_workers=workers)
        ]
        for workers in (0, 2)
    )
    assert alone == shared


@pytest.mark.parametrize(
    "make_dataset", [RegressionDataset, RankingDataset, ContrastiveDataset, InvarianceDataset]
)
def test_datasets_are_pickled_for_workers_that_are_spawned(
    training: TrainingSet, make_dataset: type[Dataset[object]]
) -> None:
    """On macOS and Windows workers are spawned, and polars asks for it everywhere."""
    dataset = make_dataset(training, "train")
    again = pickle.loads(pickle.dumps(dataset))  # noqa: S301  # our own bytes
    ids = [name for name in dataset[0] if name.endswith("id")]
    assert {name: again[0][name] for name in ids} == {name: dataset[0][name] for name in ids}


def test_another_epoch_draws_others_and_the_same_one_the_same(training: TrainingSet) -> None:
    """Each epoch the same segment of a recital would waste the rest of it."""
    dataset = RankingDataset(training, "train")
    drawn = []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        drawn.append([dataset[at]["first_id"] for at in range(len(dataset))])
    assert drawn[0] == drawn[2] != drawn[1]


def test_a_dataset_ends(training: TrainingSet) -> None:
    """`for item in dataset` asks until an IndexError; without it, a loop never ends."""
    for dataset in (RankingDataset(training, "train"), InvarianceDataset(training, "train")):
        assert sum(1 for _ in dataset) == len(dataset)


def test_batches_of_unequal_length_are_padded_and_say_how_long_each_is() -> None:
    """A mean over zeros that are no music would change with the batch."""
    items = [
        {"id": name, "a": torch.ones(n, 3), "many": [torch.ones(n + k, 3) for k in (0, 1)]}
        for name, n in (("x", 2), ("y", 4))
    ]
    batch = padded([{**item, "target": torch.ones(6)} for item in items])
    assert batch["id"] == ["x", "y"]
    assert batch["a"].shape == (2, 4, 3)  # type: ignore[attr-defined]
    assert batch["a_frames"].tolist() == [2, 4]  # type: ignore[attr-defined]
    assert batch["a"].sum() == 18  # type: ignore[attr-defined]
    assert batch["many"].shape == (2, 2, 5, 3)  # type: ignore[attr-defined]
    assert batch["many_frames"].tolist() == [[2, 3], [4, 5]]  # type: ignore[attr-defined]
    assert batch["target"].shape == (2, 6)  # type: ignore[attr-defined]


@pytest.mark.parametrize("mapped", [False, True])
def test_an_embedding_is_read_as_it_is_stored(training: TrainingSet, mapped: bool) -> None:
    """float16 as it lies there; a conversion is the reader's choice."""
    row = select(training.manifest, "train", "ranking").row(0, named=True)
    tensor = load_embedding(training.location(row["embedding_path"]), mmap=mapped)
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.float16, (SIZES.frames, SIZES.width))


def test_an_embedding_in_a_file_of_many_is_read_by_its_key(tmp_path: Path) -> None:
    """T1 may lie in one file of gigabytes, which is mapped once."""
    path = str(tmp_path / "many.pt")
    torch.save({"a": torch.ones(1, 4, 2), "b": torch.zeros(3, 2)}, path)
    assert load_embedding(path, "a").shape == (4, 2)
    with pytest.raises(SetupError, match="no embedding of c"):
        load_embedding(path, "c")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", None])
def test_a_file_that_is_gone_or_torn_is_named(tmp_path: Path, content: bytes | None) -> None:
    """`unexpected EOF` in a worker does not say which of 100,000 files it is."""
    path = tmp_path / "one.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SetupError, match=r"one\.pt"):
        load_embedding(str(path))


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    """A pickle from elsewhere can do anything; only tensors are taken."""

    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save(Harmful(), tmp_path / "one.pt")
    with pytest.raises(SetupError, match="embedding_unreadable"):
        load_embedding(str(tmp_path / "one.pt"))
    assert not (tmp_path / "made").exists()


def test_no_manifest_a_torn_one_and_one_of_another_shape_are_named(tmp_path: Path) -> None:
    """The first mistake that anybody makes is another folder."""
    with pytest.raises(SetupError, match="materialize training_set/manifest first"):
        open_manifest(str(tmp_path))
    (tmp_path / "training_set").mkdir()
    path = tmp_path / "training_set" / "manifest.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(SetupError, match="rows_unreadable"):
        open_manifest(str(tmp_path))
    pl.DataFrame({"split": ["train"]}).write_parquet(path)
    with pytest.raises(SetupError, match="no column segment_id"):
        open_manifest(str(tmp_path))


def test_a_term_that_no_row_takes_part_in_is_said(root: Path, training: TrainingSet) -> None:
    """An empty dataset would train on nothing without a word."""
    nothing = TrainingSet(training.store, training.manifest.clear())
    for make_dataset in (RegressionDataset, RankingDataset, ContrastiveDataset, InvarianceDataset):
        with pytest.raises(SetupError, match="takes part in"):
            make_dataset(nothing, "train")
