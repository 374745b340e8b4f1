"""What is collected becomes rows, and what does not fit is named and left out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import polars as pl
import pytest

from data_collection.recordings.errors import SetupError
from data_collection.recordings.rows import write_rows
from data_collection.recordings.store import Store
from data_collection.training_set.leaks import leaks, unverifiable
from data_collection.training_set.manifest import Manifest, build_manifest, split_figures
from data_collection.training_set.manifest_files import (
    SPLIT_KEYS,
    read_split_keys,
    write_manifest,
)
from data_collection.training_set.manifest_rows import (
    DIMENSIONS,
    MANIFEST_COLUMNS,
    MANIFEST_SCHEMA,
    PROBLEM_COLUMNS,
    PROBLEM_SCHEMA,
    manifest_columns,
    manifest_schema,
)
from data_collection.training_set.sources import (
    Collection,
    Sources,
    find_collections,
    performer_key,
    read_sources,
)
from data_collection.training_set.splits import SplitRules
from data_collection_tests.training_set.made_collection import (
    T2,
    T3,
    T4,
    Made,
    Sizes,
    make,
    segments,
    write_receipt,
    write_teacher_labels,
    write_twins,
)

QUICK = SplitRules(starts=1, kicks=3)


@dataclass(frozen=True)
class Whole:
    """A collection that no test changes, and its manifest."""

    store: Store
    made: Made
    sources: Sources
    manifest: Manifest

    @property
    def table(self) -> pl.DataFrame:
        """The manifest's rows."""
        return self.manifest.table


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    store = Store.at(str(tmp_path_factory.mktemp("whole")))
    made = make(store, Sizes())
    sources = read_sources(store, find_collections(store))
    return Whole(store, made, sources, build_manifest(sources, QUICK))


@pytest.fixture
def made(store: Store) -> Made:
    """A small collection that a test may damage."""
    return make(store, Sizes(percepiano=1, competitors=4, maestro=8, videos=6, clips=2))


def built(store: Store, *, distillation_open: bool = False, **more: object) -> Manifest:
    sources = read_sources(store, find_collections(store), **more)  # type: ignore[arg-type]
    return build_manifest(sources, QUICK, distillation_open=distillation_open)


def kinds(manifest: Manifest) -> set[tuple[str, str, str]]:
    return set(manifest.problems.select("tier", "kind", "subject").iter_rows())


def row_of(manifest: Manifest, name: str) -> dict[str, object]:
    return manifest.table.row(by_predicate=pl.col("segment_id") == name, named=True)


def rewrite(store: Store, folder: str, rows: Sequence[object]) -> None:
    write_rows(store, f"{folder}/metadata.jsonl", rows)  # type: ignore[arg-type]


def test_every_sound_segment_is_one_row_and_nothing_leaks(whole: Whole) -> None:
    """The whole point: all that is collected, each once, with no key in two splits."""
    manifest, made = whole.manifest, whole.made
    assert dict(manifest.table.schema) == MANIFEST_SCHEMA
    assert dict(manifest.problems.schema) == PROBLEM_SCHEMA
    counts = dict(manifest.table.group_by("tier").len().iter_rows())
    assert counts == {"t1": 48, "t2": len(made.t2), "t3": len(made.t3), "t4": len(made.t4)}
    assert manifest.problems.is_empty()
    assert leaks(manifest.table) == []
    assert set(manifest.table["split"]) == {"train", "validation", "test", "excluded"}
    excluded = pl.col("split") == "excluded"
    assert manifest.table.filter(excluded)["excluded_because"].null_count() == 0
    assert manifest.table.filter(excluded)["loss_terms"].list.len().max() == 0
    assert manifest.table.filter(~excluded)["excluded_because"].null_count() == (
        manifest.table.filter(~excluded).height
    )


def test_columns_are_described_whatever_the_dimensions() -> None:
    """A column without a meaning in the UI is one that is used wrongly."""
    assert MANIFEST_COLUMNS.keys() == MANIFEST_SCHEMA.keys()
    assert PROBLEM_COLUMNS.keys() == PROBLEM_SCHEMA.keys()
    assert manifest_columns(["touch"]).keys() == manifest_schema(["touch"]).keys()


def test_the_same_collection_gives_the_same_bytes(store: Store, whole: Whole) -> None:
    """A manifest whose hash changes by itself makes every model look outdated."""
    first, second = (
        write_manifest(store, build_manifest(whole.sources, QUICK), QUICK) for _ in range(2)
    )
    assert first == second


def test_maestros_official_test_is_never_trained_or_validated_on(whole: Whole) -> None:
    """Whoever compares with published figures would otherwise compare with what was learnt."""
    table = whole.table
    official = table.filter(pl.col("official_split") == "test")
    assert official.height > 0
    assert set(official["split"]) <= {"test", "excluded"}


def test_terms_and_weights_are_those_of_the_tiers(store: Store) -> None:
    """A wrong weight trains quietly on the wrong thing."""
    made = make(store, Sizes(percepiano=2, competitors=10, maestro=24, videos=8, clips=2))
    write_twins(store, [row.segment_id for row in made.t4[:-1]], Sizes())
    for folder, rows in ((T2, made.t2), (T3, made.t3), (T4, made.t4)):
        write_teacher_labels(store, folder, [row.segment_id for row in rows])
    closed, opened = built(store), built(store, distillation_open=True)
    used = pl.col("split") != "excluded"
    terms = {
        tier: set(found)
        for tier, found in closed.table.filter(used)
        .explode("loss_terms")
        .group_by("tier")
        .agg(pl.col("loss_terms").drop_nulls().unique())
        .iter_rows()
    }
    assert terms == {
        "t1": {"regression"},
        "t2": {"ranking"},
        "t3": {"contrastive"},
        "t4": {"invariance"},
    }
    assert closed.table.filter(pl.col("tier") != "t1")["confidence_weight"].null_count() == (
        closed.table.filter(pl.col("tier") != "t1").height
    )
    assert closed.table.filter(pl.col("tier") == "t2")["teacher_timing"].null_count() == 0
    weights = dict(opened.table.select("tier", "confidence_weight").unique().iter_rows())
    assert weights == {"t1": 1.0, "t2": 0.6, "t3": 0.4, "t4": 0.3}
    taught = opened.table.filter(used & (pl.col("tier") != "t1"))
    assert set(taught["regression_from"]) == {"teacher"}
    assert taught.select(pl.col("loss_terms").list.contains("regression").all()).item()
    # Both objectives come out of one table: nothing else moves.
    assert closed.table["split"].equals(opened.table["split"])
    lacking = row_of(closed, made.t4[-1].segment_id)
    assert lacking["twin_path"] is None
    assert "invariance" not in lacking["loss_terms"]  # type: ignore[operator]


def test_a_term_is_only_where_its_partner_is_in_the_same_split(whole: Whole) -> None:
    """A trainer that draws an opponent from another split trains on the test."""
    table = whole.table
    ranked = table.filter(pl.col("loss_terms").list.contains("ranking"))
    assert ranked.height > 0
    assert ranked["ranking_group"].null_count() == 0  # a concerto is compared with nobody
    sides = ranked.group_by("split", "ranking_group").agg(pl.col("ranking_order").n_unique())
    assert sides["ranking_order"].min() >= 2  # type: ignore[operator]
    contrasted = table.filter(pl.col("loss_terms").list.contains("contrastive"))
    played = contrasted.explode("work_ids").group_by("split", "work_ids")
    assert played.agg(pl.col("performer").n_unique())["performer"].min() >= 2  # type: ignore[operator]


def test_a_clip_at_the_seam_of_two_pieces_belongs_to_both(whole: Whole) -> None:
    """Half of a test piece in a training clip is a leak that the clip's own label hides."""
    table = whole.table
    seam = table.filter((pl.col("tier") == "t2") & pl.col("segment_id").str.ends_with("seg0001"))
    assert (seam["pieces"].list.len() >= 2).all()
    inner = table.filter((pl.col("tier") == "t2") & pl.col("segment_id").str.ends_with("seg0004"))
    assert (inner["pieces"].list.len() == 1).all()


def test_where_works_lie_by_estimate_all_of_the_recording_count(whole: Whole) -> None:
    """An estimated seam may be a minute off."""
    table = whole.table.filter(pl.col("tier") == "t3")
    several = {row.recording_id: set(row.works) for row in whole.made.t3}  # type: ignore[attr-defined]
    for recording, pieces in table.select("recording_id", "pieces").iter_rows():
        assert set(pieces) == {work.replace(":", "/") for work in several[recording]}


@pytest.mark.parametrize("fault", ["missing", "truncated", "replaced", "no_receipt"])
def test_an_embedding_that_is_not_what_its_receipt_says_is_named_and_left_out(
    store: Store, made: Made, fault: str
) -> None:
    """A training run that meets it in its third day stops there, or learns from half a clip."""
    row = made.t3[0]
    path = store.path(row.embedding_path)
    if fault == "missing":
        path.unlink()
    elif fault == "truncated":
        path.write_bytes(b"torn")
    elif fault == "replaced":
        changed = row.model_copy(update={"embedding_sha256": "0" * 64})
        rewrite(store, T3, [changed, *made.t3[1:]])
    else:
        store.path(f"{T3}/muq_embeddings/{row.recording_id}.receipt.json").unlink()
    manifest = built(store)
    name = "row_without_receipt" if fault == "no_receipt" else f"embedding_{fault}"
    assert ("t3", name, row.segment_id) in kinds(manifest)
    assert row.segment_id not in set(manifest.table["segment_id"])


def test_an_embedding_that_no_receipt_or_row_knows_is_named(store: Store, made: Made) -> None:
    """The reverse: files that nobody made, and recordings whose metadata are older than they."""
    store.write_bytes(f"{T3}/muq_embeddings/stray.pt", b"")
    rewrite(store, T3, made.t3[1:])
    manifest = built(store)
    assert ("t3", "embedding_unknown", f"{T3}/muq_embeddings/stray.pt") in kinds(manifest)
    assert ("t3", "row_missing", made.t3[0].embedding_path) in kinds(manifest)


def test_an_embedding_that_receipts_know_and_neither_rows_nor_disk_is_named(
    store: Store, made: Made
) -> None:
    """Else a lost file is found only by whoever counts."""
    rewrite(store, T3, made.t3[1:])
    store.path(made.t3[0].embedding_path).unlink()
    assert ("t3", "embedding_missing", made.t3[0].embedding_path) in kinds(built(store))


def test_labels_and_twins_of_unknown_segments_are_named(store: Store, made: Made) -> None:
    """They were paid for; that they are of nothing must not go unseen."""
    write_teacher_labels(store, T2, ["nobody", made.t2[0].segment_id])
    write_twins(store, ["nobody_either", made.t4[0].segment_id], Sizes())
    store.path(f"{T4}/augmented_muq_embeddings/{made.t4[0].segment_id}.pt").unlink()
    manifest = built(store, distillation_open=True)
    assert ("t2", "label_unknown", "nobody") in kinds(manifest)
    twins = f"{T4}/augmented_muq_embeddings"
    assert ("t4", "twin_unknown", f"{twins}/nobody_either.pt") in kinds(manifest)
    assert ("t4", "twin_missing", f"{twins}/{made.t4[0].segment_id}.pt") in kinds(manifest)
    assert row_of(manifest, made.t4[0].segment_id)["twin_path"] is None


@pytest.mark.parametrize("touch", [None, "good", math.nan, True, 0, 6])
def test_a_label_without_a_score_in_each_dimension_is_no_target(
    store: Store, made: Made, touch: object
) -> None:
    """A missing score that is taken for 0 teaches that somebody plays without dynamics."""
    name = made.t2[0].segment_id
    scores = dict.fromkeys(DIMENSIONS, 3) | {"dynamics": touch}
    broken = [{"segment_id": name, "dimension_scores": scores, "teacher_model": "m"}]
    store.write_bytes(f"{T2}/teacher_labels.json", json.dumps(broken).encode())
    manifest = built(store, distillation_open=True)
    assert ("t2", "label_unusable", name) in kinds(manifest)
    assert row_of(manifest, name)["confidence_weight"] is None


@pytest.mark.parametrize("content", [b"[{", b"3", b'{"labels": [1]}'])
def test_a_damaged_file_of_labels_stops_rather_than_counts_as_none(
    store: Store, made: Made, content: bytes
) -> None:
    """Labels that were paid for would otherwise be left out without a word."""
    store.write_bytes(f"{T2}/teacher_labels.json", content)
    with pytest.raises(SetupError, match=r"teacher_labels\.json"):
        built(store)


def test_of_labels_that_stand_twice_one_is_taken_and_it_is_said(store: Store, made: Made) -> None:
    """A join with both would make two rows of one segment."""
    name = made.t2[0].segment_id
    write_teacher_labels(store, T2, [name, name])
    manifest = built(store, distillation_open=True)
    assert manifest.table.filter(pl.col("segment_id") == name).height == 1
    assert ("t2", "label_twice", name) in kinds(manifest)


def test_a_tier_that_is_off_or_absent_or_half_there_says_so(store: Store, made: Made) -> None:
    """Fewer rows and a stated reason, never a crash."""
    store.path(f"{T3}/metadata.jsonl").unlink()
    write_receipt(store, T2, "yt_failed", (), state="failed", reason="private")
    sources = read_sources(
        store,
        [Collection("t2", T2), Collection("t3", T3), Collection("t4", T4, "YOUTUBE is closed")],
    )
    manifest = build_manifest(sources, QUICK)
    assert set(manifest.table["tier"]) == {"t2"}
    found = {
        (tier, kind): detail
        for tier, kind, detail in manifest.problems.select("tier", "kind", "detail").iter_rows()
    }
    assert "metadata first" in found["t3", "tier_off"]
    assert found["t4", "tier_off"] == "YOUTUBE is closed"
    assert found["t1", "tier_off"] == "no folder of this tier is collected"
    assert "failed" in found["t2", "half_collected"]


def test_an_empty_data_root_gives_an_empty_manifest(store: Store) -> None:
    """The first day."""
    manifest = built(store)
    assert manifest.table.is_empty()
    assert dict(manifest.table.schema) == MANIFEST_SCHEMA
    assert set(manifest.problems["kind"]) == {"tier_off"}
    assert split_figures(manifest.table).is_empty()


def test_without_preferences_nothing_is_ranked_and_it_is_said(store: Store, made: Made) -> None:
    """The competition is collected before its signal is made."""
    store.path(f"{T2}/preferences.parquet").unlink()
    manifest = built(store)
    assert not manifest.table.filter(pl.col("loss_terms").list.contains("ranking")).height
    assert "signal_missing" in set(manifest.problems["kind"])


@pytest.mark.parametrize("line", ['{"segment_id": "torn', '{"segment_id": 3.5, "works": "no"}'])
def test_a_broken_line_is_named(store: Store, made: Made, line: str) -> None:
    """Polars names the character and not the line."""
    path = store.path(f"{T3}/metadata.jsonl")
    path.write_bytes(path.read_bytes() + line.encode())
    with pytest.raises(SetupError, match=rf"metadata.jsonl, line {len(made.t3) + 1}:"):
        built(store)


def test_a_row_that_lacks_what_training_needs_is_named(store: Store, made: Made) -> None:
    """A hand-edited row must not become one without a file."""
    rows = [row.model_dump(mode="json") for row in made.t3]
    del rows[0]["embedding_sha256"]
    rewrite(store, T3, rows)
    manifest = built(store)
    assert ("t3", "row_incomplete", made.t3[0].segment_id) in kinds(manifest)


def test_a_segment_that_stands_twice_is_taken_once(store: Store, made: Made) -> None:
    """Twice in the table is twice the weight in the loss."""
    rewrite(store, T3, [*made.t3, made.t3[0]])
    manifest = built(store)
    assert manifest.table.filter(pl.col("tier") == "t3").height == len(made.t3)
    assert ("t3", "segment_twice", made.t3[0].segment_id) in kinds(manifest)


def test_two_spellings_of_a_person_are_one() -> None:
    """An edition later the accents are gone; the person is not another one."""
    spellings = ("Martín García García", "GARCIA GARCIA, Martin", "Marti\u0301n Garcia Garcia")
    assert len({performer_key(name) for name in spellings}) == 1
    assert performer_key("Szuyu Su") != performer_key("Shunshun Tie")
    assert performer_key("…") == "…"


def test_of_copies_in_two_tiers_the_first_tiers_is_used(store: Store, made: Made) -> None:
    """A competition's recording that a channel also carries is the competition's."""
    one, other = f"{T2}/{made.t2[0].recording_id}", f"{T4}/{made.t4[0].recording_id}"
    manifest = built(store, copies=[(other, one)])
    assert row_of(manifest, made.t4[0].segment_id)["excluded_because"] == f"copy of {one}"
    assert leaks(manifest.table, [(one, other)]) == []


def test_copies_in_one_tier_are_in_one_split(store: Store, made: Made) -> None:
    """Uploaded to two channels, a performance would be in two splits."""
    recordings = sorted({row.recording_id for row in made.t4})
    copies = [(f"{T4}/{a}", f"{T4}/{b}") for a, b in pairwise(recordings)]
    manifest = built(store, copies=copies)
    used = manifest.table.filter((pl.col("tier") == "t4") & (pl.col("split") != "excluded"))
    assert used["split"].n_unique() == 1
    assert leaks(manifest.table, copies) == []


def test_a_recording_that_t4_left_out_is_not_used(store: Store, made: Made) -> None:
    """Its rows may be older than the choice."""
    name = made.t4[0].recording_id
    row = {"recording_id": name, "duplicate_of": "yt_kept", "tier": "youtube"}
    write_rows(store, f"{T4}/duplicates.jsonl", [row])
    manifest = built(store)
    assert row_of(manifest, made.t4[0].segment_id)["excluded_because"] == "copy of yt_kept"


def test_one_source_in_two_tiers_is_a_copy_and_in_one_tier_is_none(
    store: Store, made: Made
) -> None:
    """Parts of one session share a video, and an archive is one source of all its recordings."""
    url = {"source_url": "https://video/1"}
    rewrite(store, T2, [row.model_copy(update=url) for row in made.t2])
    rewrite(store, T4, [made.t4[0].model_copy(update=url), *made.t4[1:]])
    manifest = built(store)
    assert row_of(manifest, made.t4[0].segment_id)["split"] == "excluded"
    assert manifest.table.filter(pl.col("tier") == "t2")["split"].n_unique() > 1


def test_a_grown_collection_keeps_the_splits_that_it_had(store: Store, made: Made) -> None:
    """Through the files, as a second run finds them."""
    write_manifest(store, first := built(store), QUICK)
    kept = read_split_keys(store, QUICK)
    assert kept == first.assignment.split_of
    more = segments(
        store, T4, "yt_later", 2, lambda _: made.t4[0].model_dump(include={"channel_id"}), Sizes()
    )
    rows = [row.model_dump(mode="json") for row in made.t4]
    rewrite(store, T4, [*rows, *({**rows[0], **row} for row in more)])
    sources = read_sources(store, find_collections(store))
    again = build_manifest(sources, SplitRules(seed=9, starts=1, kicks=0), earlier=kept)
    before = dict(first.table.select("segment_id", "split").iter_rows())
    after = dict(again.table.select("segment_id", "split").iter_rows())
    assert {name: after[name] for name in before} == before
    assert read_split_keys(store, SplitRules(seed=9)) == {}  # another seed is another split


def test_damaged_split_keys_stop_rather_than_split_anew(store: Store) -> None:
    """Splitting anew would test on what was trained on, and nobody would see it."""
    store.write_bytes(SPLIT_KEYS, b'{"splits": {"performer:x": "tra')
    with pytest.raises(SetupError, match="put back the file"):
        read_split_keys(store, QUICK)


def test_what_nobody_can_know_is_counted(whole: Whole) -> None:
    """T4 names neither performer nor piece: no leak is found there, which is not none."""
    found = unverifiable(whole.table)
    assert {(row["tier"], row["key"]) for row in found.iter_rows(named=True)} == {
        ("t4", "performer"),
        ("t4", "piece"),
    }


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("performer", {"performer": "somebody"}),
        ("piece", {"pieces": ["chopin/op28"]}),
        ("recording", {"recording": "somewhere/one"}),
        ("channel", {"performer": None, "channel": "one"}),
        ("audio", {"audio_sha256": "a" * 64}),
    ],
)
def test_each_kind_of_leak_is_found(whole: Whole, kind: str, change: dict[str, object]) -> None:
    """A check that cannot fail is worthless."""
    table = whole.table
    train, test = (
        table.filter((pl.col("tier") == "t4") & (pl.col("split") == split)).head(1)
        for split in ("train", "test")
    )
    both = pl.concat([train, test])
    changed = both.with_columns(
        pl.lit(value, dtype=MANIFEST_SCHEMA[name]).alias(name) for name, value in change.items()
    )
    assert leaks(both) == []
    assert [leak.kind for leak in leaks(changed)] == [kind]
    assert leaks(changed)[0].splits == ("test", "train")


def test_a_number_in_one_split_and_the_whole_set_in_another_is_a_leak(whole: Whole) -> None:
    """All preludes in the training set hold the one that is tested."""
    table = whole.table
    parts = [
        table.filter((pl.col("tier") == "t4") & (pl.col("split") == split))
        .head(1)
        .with_columns(pl.lit([piece], dtype=pl.List(pl.String)).alias("pieces"))
        for split, piece in (("train", "chopin/op28"), ("test", "chopin/op28-no15"))
    ]
    assert [leak.kind for leak in leaks(pl.concat(parts))] == ["piece"]


def test_near_duplicates_across_splits_and_tiers_are_leaks(whole: Whole) -> None:
    """The matches are believed more than the manifest that was to heed them."""
    table = whole.table
    of = {
        (tier, split): recording
        for tier, split, recording in table.select("tier", "split", "recording").iter_rows()
    }
    across_splits = (of["t4", "train"], of["t4", "test"])
    across_tiers = (of["t2", "train"], of["t4", "train"])
    unknown = ("nowhere/one", of["t4", "train"])
    found = leaks(table, [across_splits, across_tiers, unknown])
    assert [leak.kind for leak in found] == ["near_duplicate"] * 2


def test_an_official_test_row_that_is_trained_on_is_a_leak(whole: Whole) -> None:
    """Held by the check also where the builder forgets it."""
    table = whole.table
    row = table.filter((pl.col("tier") == "t3") & (pl.col("split") == "train")).head(1)
    changed = row.with_columns(official_split=pl.lit("test"))
    assert [leak.kind for leak in leaks(changed)] == ["official_test"]


def test_figures_add_up_to_the_table(whole: Whole) -> None:
    """The card prints them."""
    manifest = whole.manifest
    figures = split_figures(manifest.table)
    assert figures["segments"].sum() == manifest.table.height
    assert figures.group_by("tier").agg(pl.col("share").sum())["share"].to_list() == (
        pytest.approx([1.0] * 4)
    )


def test_sources_read_in_another_order_give_the_same_manifest(whole: Whole) -> None:
    """A folder's listing has no order."""
    sources = whole.sources
    reversed_tables = {
        name: value.reverse()
        for name, value in vars(sources).items()
        if isinstance(value, pl.DataFrame)
    }
    backwards = replace(sources, **reversed_tables)  # type: ignore[arg-type]
    first, second = (build_manifest(each, QUICK) for each in (sources, backwards))
    assert first.table.equals(second.table)
    assert first.problems.equals(second.problems)
