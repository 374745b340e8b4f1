"""The manifest and its checks by the real definitions, over a made collection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from data_collection.build import build_defs
from data_collection.load import open_manifest, select
from data_collection.recordings.store import Store
from data_collection.settings import Settings
from data_collection.training_set.assets import MANIFEST
from data_collection.training_set.card_assets import CARD
from data_collection_tests.river import write_edition
from data_collection_tests.training_set import made_collection as made

ROSTER = "performer,country,reached_stage,prize\nAda Quill,,final,1\n"


@dataclass(frozen=True)
class Set:
    """The definitions over a made collection, and an instance."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    store: Store

    def materialize(self, *keys: dg.AssetKey) -> bool:
        """Make the manifest, or other assets, with their checks."""
        result = dg.materialize(
            [*(self.definitions.assets or ()), *(self.definitions.asset_checks or ())],  # type: ignore[arg-type]
            selection=dg.AssetSelection.assets(*(keys or (MANIFEST,))),
            instance=self.instance,
            resources=dict(self.definitions.resources or {}),
            raise_on_error=False,
        )
        return result.success

    def check(self, name: str, asset: dg.AssetKey = MANIFEST) -> dg.AssetCheckEvaluation:
        """What a check said last."""
        key = dg.AssetCheckKey(asset, name)
        record = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        assert isinstance(evaluation, dg.AssetCheckEvaluation)
        return evaluation


@pytest.fixture
def training_set(tmp_path: Path) -> Iterator[Set]:
    """A made collection of all four tiers."""
    store = Store.at(str(tmp_path / "data"))
    made.make(store)
    edition = write_edition(tmp_path, "http://127.0.0.1:9/feed.rss", ROSTER, id=made.EDITION)
    settings = Settings(
        data_collection_root=str(tmp_path / "data"),
        competition_edition=edition,
        dagster_home=tmp_path,
    )
    home = tmp_path / "dagster_home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield Set(build_defs(settings=settings), instance, store)


def test_the_manifest_is_made_and_nothing_crosses(training_set: Set) -> None:
    """All tiers are in it, its page counts its rows, and a second time is the same to the byte.

    Guards a split that is drawn anew each night, so that what was tested is trained on.
    """
    assert training_set.materialize()
    first = training_set.store.path("training_set/manifest.parquet").read_bytes()
    table = open_manifest(str(training_set.store.root))
    assert set(table["tier"]) == {"t1", "t2", "t3", "t4"}
    assert training_set.check("nothing_crosses_the_split").passed
    event = training_set.instance.get_latest_materialization_event(MANIFEST)
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["dagster/row_count"].value == table.height
    assert training_set.materialize()
    assert training_set.store.path("training_set/manifest.parquet").read_bytes() == first


def test_the_card_says_what_is_there_and_the_gate_what_is_not(training_set: Set) -> None:
    """The page is one file, its numbers are the manifest's, and a half collection is not complete.

    Guards a card of another manifest, and a gate that passes since nothing was looked at.
    """
    assert training_set.materialize(MANIFEST, CARD) is True
    table = open_manifest(str(training_set.store.root))
    figures = json.loads(training_set.store.path("training_set/data_card.json").read_text())
    assert sum(split["segments"] for split in figures["splits"]) == table.height
    assert "<html" in training_set.store.path("training_set/data_card.html").read_text()
    found = training_set.check("the_collection_is_complete", CARD)
    assert not found.passed, "the made collection has no catalogues"
    assert "recordings.jsonl" in str(found.description)


def test_a_leak_fails_the_check(training_set: Set) -> None:
    """A performer in two splits is found by the rows; so is a copy that was found since.

    Guards a check that asks the split whether the split is sound.
    """
    training_set.materialize()
    table = open_manifest(str(training_set.store.root))
    train = select(table.filter(tier="t2"), "train")
    test = select(table.filter(tier="t2"), "test")
    match = {
        "recording": f"{made.T2}/{min(train['recording_id'][0], test['recording_id'][0])}",
        "other": f"{made.T2}/{max(train['recording_id'][0], test['recording_id'][0])}",
        "start_s": 0.0,
        "offset_s": 0.0,
        "overlap_s": 30.0,
        "score": 0.9,
        "by": "fingerprint",
    }
    training_set.store.write_bytes(
        "youtube_piano_cache/matches.jsonl", f"{json.dumps(match)}\n".encode()
    )
    key = dg.AssetCheckKey(MANIFEST, "nothing_crosses_the_split")
    dg.materialize(
        [*(training_set.definitions.assets or ()), *(training_set.definitions.asset_checks or ())],  # type: ignore[arg-type]
        selection=dg.AssetSelection.checks(key),
        instance=training_set.instance,
        resources=dict(training_set.definitions.resources or {}),
        raise_on_error=False,
    )
    found = training_set.check("nothing_crosses_the_split")
    assert not found.passed
    assert "near_duplicate" in str(found.description)


def test_folders_of_others_are_observed_and_not_written(training_set: Set) -> None:
    """Counted and hashed; one that is not there says so, and nothing is made of it.

    Guards a collection that changes labels it does not own.
    """
    before = sorted(
        (str(path), path.stat().st_mtime_ns)
        for path in Path(str(training_set.store.root)).joinpath("percepiano_cache").rglob("*")
    )
    sources = [
        one for one in training_set.definitions.assets or () if isinstance(one, dg.SourceAsset)
    ]
    mine = [one for one in sources if len(one.key.path) == 1]
    assert {one.key.path[0] for one in mine} >= {"percepiano_cache", "masterclass_cache"}
    from dagster._core.definitions.observe import observe

    assert observe(
        mine,
        instance=training_set.instance,
        resources=dict(training_set.definitions.resources or {}),
    ).success

    def seen(folder: str) -> dict[str, object]:
        (record,) = training_set.instance.fetch_observations(dg.AssetKey([folder]), limit=1).records
        assert record.asset_observation is not None
        return {name: value.value for name, value in record.asset_observation.metadata.items()}

    assert int(str(seen("percepiano_cache")["count"])) > 0
    assert seen("masterclass_cache")["absent"] is True
    assert before == sorted(
        (str(path), path.stat().st_mtime_ns)
        for path in Path(str(training_set.store.root)).joinpath("percepiano_cache").rglob("*")
    )


def test_twins_of_no_use_are_not_loaded(training_set: Set) -> None:
    """A flagged twin is in `pairs.jsonl` and not in the manifest."""
    rows = [
        json.loads(line)
        for line in training_set.store.path(f"{made.T4}/metadata.jsonl").read_text().splitlines()
    ]
    pairs = []
    for row, flag in zip(rows[:2], (None, "destroyed"), strict=True):
        twin = training_set.store.write_bytes(
            f"{made.T4}/augmented_muq_embeddings/{row['segment_id']}.pt", b"twin"
        )
        pairs.append(
            {
                "segment_id": row["segment_id"],
                "twin_path": twin.path,
                "twin_sha256": twin.sha256,
                "recipe": "default",
                "recipe_version": 1,
                "seed": 0,
                "parameters": {"effects": [{"effect": "room"}]},
                "cosine": 0.9,
                "flag": flag,
            }
        )
    content = "".join(f"{json.dumps(pair)}\n" for pair in pairs)
    training_set.store.write_bytes(f"{made.T4}/pairs.jsonl", content.encode())
    assert training_set.materialize()
    table = open_manifest(str(training_set.store.root)).filter(pl.col("twin_path").is_not_null())
    assert table["segment_id"].to_list() == [rows[0]["segment_id"]]
