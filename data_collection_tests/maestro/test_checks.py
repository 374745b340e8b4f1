"""T3's checks, over real files of a data root: each passes on good ones and fails on one fault."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_collection.asset_pages import MAX_PLOT_BYTES, histogram
from data_collection.maestro import stored
from data_collection.maestro.balance import (
    pair_figures,
    pair_problems,
    positives_by_split,
    promised_clips,
)
from data_collection.maestro.catalogue import maestro_tier
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow, MaestroSegmentRow
from data_collection.maestro.checks import maestro_checks
from data_collection.maestro.metadata import RELEASE_RECORDINGS
from data_collection.maestro.pair_checks import FEW_ANCHORS, pair_checks
from data_collection.maestro.pairs import make_pairs
from data_collection.maestro.plots import durations, performers_per_piece, positives_per_segment
from data_collection.maestro.recording_pairs import PairRules
from data_collection.maestro.resources import PairRulesResource
from data_collection.maestro.rows import MaestroRecording
from data_collection.recordings.receipts import Fact, StageResult, settle
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import write_rows
from data_collection.recordings.store import Store
from data_collection_tests.maestro.made_recordings import clips, recording

TIER = maestro_tier("file:///nowhere")
ALL_CHECKS = [*maestro_checks(TIER), *pair_checks(TIER)]
CHECKS = {key.name: check for check in ALL_CHECKS for key in check.check_keys}
PAIR_CHECKS = (
    "no_pair_by_one_performer",
    "no_pair_of_different_works",
    "pairs_stay_within_a_split",
    "pairs_fit_the_catalogue",
)
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
SHA256 = "0" * 64

GOOD = (
    *(recording(f"a{n}", f"p{n}", ["bach:a"], 300 + 10 * n) for n in range(8)),
    *(
        recording(f"{piece[-1]}{n}", f"p{n}", [piece], 300)
        for piece in ("bach:b", "liszt:c", "liszt:d", "ravel:e", "weber:f")
        for n in range(4)
    ),
    *(
        recording(f"{piece[-1]}{n}", f"p{n}", [piece], 200, split="validation")
        for piece in ("haydn:v", "haydn:w", "haydn:x", "bizet:y", "bizet:z")
        for n in range(2)
    ),
)
"""Pieces by several people: six to train with, five to validate; none outweighs the others."""


@dataclass(frozen=True)
class Collected:
    """A data root that holds what a finished collection of T3 does, without the sound."""

    root: Path

    @property
    def store(self) -> Store:
        """The data root as the code sees it."""
        return Store.at(str(self.root))

    def write(self, recordings: Sequence[MaestroRecording], pairs: pl.DataFrame | None) -> None:
        """Write catalogue, receipts, metadata and pairs."""
        segments = clips(recordings)
        self.write_catalogue(recordings)
        for made in recordings:
            data = made.metadata
            kept = segments.filter(recording_id=data.recording_id).height
            self.write_receipts(data.recording_id, data.duration_s, kept)
        self.write_metadata(recordings, segments)
        if pairs is not None:
            self.write_pairs(pairs)

    def write_catalogue(self, recordings: Sequence[MaestroRecording]) -> None:
        """Write `recordings.jsonl`."""
        write_rows(self.store, stored.RECORDINGS, map(catalogue_row, recordings))

    def write_metadata(
        self, recordings: Sequence[MaestroRecording], segments: pl.DataFrame
    ) -> None:
        """Write `metadata.jsonl`, a row a segment."""
        of_id = {made.metadata.recording_id: made for made in recordings}
        write_rows(
            self.store,
            stored.METADATA,
            [
                segment_row(of_id[row["recording_id"]], row)
                for row in segments.iter_rows(named=True)
            ],
        )

    def write_pairs(self, pairs: pl.DataFrame) -> None:
        """Write `pairs.parquet`."""
        buffer = io.BytesIO()
        pairs.write_parquet(buffer)
        self.store.write_bytes(stored.PAIRS, buffer.getvalue())

    def write_receipts(self, recording_id: str, cut_s: float, kept: int) -> None:
        """Receipts of a recording of which so many clips were kept."""
        self._settle("audio", recording_id, {"made_s": cut_s}, {})
        facts = {"clips": kept, "clips_kept": kept, "duration_s": cut_s}
        self._settle("segments", recording_id, {"clip_s": 30.0, "min_tail_s": 5.0}, facts)
        self._settle("muq_embeddings", recording_id, {}, {})

    def _settle(
        self,
        stage: str,
        recording_id: str,
        parameters: Mapping[str, Fact],
        facts: Mapping[str, Fact],
    ) -> None:
        settle(
            self.store,
            TIER.folder(stage),
            recording_id,
            inputs=dict,
            parameters=lambda: {**parameters, **facts},
            work=lambda: StageResult(facts=facts),
        )

    def says(self, name: str, rules: PairRules | None = None) -> dg.AssetCheckResult:
        """What a check says of it."""
        pair_rules = PairRulesResource(across_splits=(rules or PairRules()).across_splits)
        resources = {"store": StoreResource(root=str(self.root)), "pair_rules": pair_rules}
        needed = CHECKS[name].required_resource_keys & resources.keys()
        found = CHECKS[name](**{key: resources[key] for key in needed})
        results = [found] if isinstance(found, dg.AssetCheckResult) else found
        assert isinstance(results, Iterable)
        (result,) = (result for result in results if result.check_name in (None, name))
        assert isinstance(result, dg.AssetCheckResult)
        return result


def catalogue_row(made: MaestroRecording) -> MaestroCatalogueRow:
    """A row of `recordings.jsonl`."""
    data, performance = made.metadata, made.performance
    return MaestroCatalogueRow(
        **data.model_dump(),
        source_id=data.audio_filename,
        source_url=f"file:///nowhere#{data.audio_filename}",
        performer_id=performance.performer_id,
        round=performance.round,
        performer_confidence=performance.confidence,
        performer_evidence=performance.evidence,
        works=tuple(work.work_id for work in made.works),
        work_evidence=made.works,
        works_doubt=None if made.works else "the title names none",
    )


def segment_row(made: MaestroRecording, segment: Mapping[str, object]) -> MaestroSegmentRow:
    """A row of `metadata.jsonl`."""
    data = made.metadata
    return MaestroSegmentRow.model_validate(
        {
            **catalogue_row(made).model_dump(),
            "segment_id": segment["segment_id"],
            "segment_start": segment["start_s"],
            "segment_end": segment["end_s"],
            **dict.fromkeys(("piece", "piece_share", "piece_source", "piece_because")),
            **dict.fromkeys(("work_id", "work_place", "source_cliff_hz", "licence")),
            **dict.fromkeys(("loudness_lufs", "bandwidth_hz", "clipped_share"), None),
            **dict.fromkeys(("rms_dbfs", "peak_dbfs", "true_peak_dbtp", "noise_floor_dbfs"), -20.0),
            **dict.fromkeys(
                ("silent_share", "applause", "speech", "silence", "orchestra", "solo_piano"), 0.0
            ),
            **dict.fromkeys(("embedding_sha256", "audio_sha256", "original_sha256"), SHA256),
            "source_offset_s": 0.0,
            "source_bandwidth_hz": None,
            "embedding_path": f"{TIER.folder('muq_embeddings')}/{segment['segment_id']}.pt",
            "embedding_frames": 750,
            "embedding_width": 1024,
            "checkpoint_revision": "made",
            "title": data.title,
        }
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """A finished collection without a fault, to be copied."""
    made = Collected(tmp_path_factory.mktemp("finished") / "root")
    made.write(GOOD, make_pairs(GOOD, clips(GOOD)).table)
    return made


@pytest.fixture
def good(finished: Collected, tmp_path: Path) -> Collected:
    """A finished collection of the test's own."""
    shutil.copytree(finished.root, tmp_path / "root")
    return Collected(tmp_path / "root")


def text(found: dg.AssetCheckResult, name: str) -> str:
    """A value of a check's metadata as text."""
    return str(found.metadata[name].value)


def number(found: dg.AssetCheckResult, name: str) -> float:
    """A number of a check's metadata."""
    value = found.metadata[name]
    assert isinstance(value, dg.FloatMetadataValue)
    assert value.value is not None
    return value.value


def replaced(**changes: MaestroRecording) -> list[MaestroRecording]:
    """The good recordings with some in others' place."""
    return [changes.get(made.metadata.recording_id, made) for made in GOOD]


def test_what_is_right_passes(good: Collected) -> None:
    """Guards a check that cries wolf; only the number of the release's recordings is not met."""
    for name in CHECKS:
        found = good.says(name)
        assert found.passed == (name != "the_release_is_whole"), (name, found.description)
        assert all(
            isinstance(value, dg.FloatMetadataValue | dg.MarkdownMetadataValue)
            for value in found.metadata.values()
        ), f"{name}: numbers must be floats to be plotted"


def test_checks_run_beside_their_assets(good: Collected) -> None:
    """In a real run, on the assets they name; guards a result that Dagster refuses."""
    # Stand for the tier's assets, whose files are there.
    assets = [
        dg.AssetsDefinition.from_op(dg.op(name=name)(lambda: None), key_prefix=[*TIER.key_prefix])
        for name in ("recordings", "metadata", "pairs")
    ]
    run = dg.materialize(
        [*assets, *ALL_CHECKS],
        resources={
            "store": StoreResource(root=str(good.root)),
            "pair_rules": PairRulesResource(),
        },
    )
    passed = {found.check_name: found.passed for found in run.get_asset_check_evaluations()}
    assert passed == {name: name != "the_release_is_whole" for name in CHECKS}


def torn_catalogue(made: Collected) -> None:
    """The last line ends in its middle."""
    path = made.store.path(stored.RECORDINGS)
    path.write_bytes(path.read_bytes()[:-40])


def no_text(made: Collected) -> None:
    """Not UTF-8, in both JSON lines files."""
    for name in (stored.RECORDINGS, stored.METADATA):
        made.store.path(name).write_bytes(b"\xff\xfe\x00")


def broken_pairs_and_metadata(made: Collected) -> None:
    """A parquet file's head, and a row of another form; the catalogue cannot be read either."""
    made.store.path(stored.PAIRS).write_bytes(b"PAR1")
    made.store.path(stored.METADATA).write_text('{"segment_id": 3}\n')
    made.store.path(stored.RECORDINGS).write_text("[]\n")


def nothing(made: Collected) -> None:
    """No file at all."""
    for name in (stored.PAIRS, stored.METADATA, stored.RECORDINGS):
        made.store.path(name).unlink()


@pytest.mark.parametrize("damage", [torn_catalogue, no_text, broken_pairs_and_metadata, nothing])
def test_files_that_cannot_be_read_fail_the_check_with_a_sentence(
    good: Collected, damage: Callable[[Collected], None]
) -> None:
    """A check that raises stops the run, and shows a traceback where the reason should stand."""
    damage(good)
    for name in CHECKS:
        found = good.says(name)
        assert not found.passed, name
        assert found.severity == ERROR
        assert found.description


def test_an_empty_collection_passes_no_check_of_what_should_be_there(tmp_path: Path) -> None:
    """Nothing is wrong with no pair, but all of nothing is not everything."""
    made = Collected(tmp_path / "root")
    made.write([], make_pairs([], clips([])).table)
    for name in CHECKS:
        found = made.says(name)
        assert found.passed == (name in PAIR_CHECKS), name
        if found.passed:
            assert found.description == "no pairs, nothing to hold against the catalogue"


def test_a_part_of_the_release_is_a_warning_and_the_whole_is_none(tmp_path: Path) -> None:
    """A lab may mean a part; a row lost from the whole must show."""
    made = Collected(tmp_path / "root")
    whole = [recording(f"r{n}", "p", ["bach:a"]) for n in range(RELEASE_RECORDINGS)]
    made.write_catalogue(whole)
    assert made.says("the_release_is_whole").passed
    for changed in (whole[1:], [*whole[1:], whole[1]]):
        made.write_catalogue(changed)
        found = made.says("the_release_is_whole")
        assert (found.passed, found.severity) == (False, WARN)
        assert "1275 files" in str(found.description)


def test_who_plays_or_what_is_not_known_is_listed(good: Collected) -> None:
    """A recording that is in no pair, and why; guards a gap that nobody sees."""
    changed = replaced(a0=recording("a0", None, ["bach:a"], 300), c0=recording("c0", "p0", [], 300))
    good.write_catalogue(changed)
    performers, works = good.says("every_performer_is_known"), good.says("every_work_is_known")
    for found, name in ((performers, "a0"), (works, "c0")):
        assert (found.passed, found.severity) == (False, WARN)
        assert number(found, "share_known") == pytest.approx((len(GOOD) - 1) / len(GOOD))
        assert f"| {name} |" in text(found, "unknown")
    assert "the title names none" in text(works, "unknown")
    assert number(performers, "performers") == 8
    assert number(works, "works") == 11


def test_a_work_in_two_splits_is_listed_with_its_recordings(good: Collected) -> None:
    """The model has heard in training what it is tested with."""
    assert number(good.says("no_work_crosses_the_split"), "performers_crossing") == 2
    good.write_catalogue(replaced(a7=recording("a7", "p7", ["bach:a"], 370, split="test")))
    found = good.says("no_work_crosses_the_split")
    assert (found.passed, found.severity) == (False, WARN)
    assert number(found, "works_crossing") == 1
    assert "| bach:a | test | a7 |" in text(found, "works")
    assert "| bach:a | train | a6 |" in text(found, "works")


@given(st.floats(0, 3000), st.sampled_from([(30.0, 5.0), (10.0, 10.0), (7.5, 0.1)]))
def test_a_duration_promises_the_clips_that_are_cut_of_it(
    duration_s: float, grid: tuple[float, float]
) -> None:
    """Counted one by one, as the cutter does; a second more or less changes one at most."""
    clip_s, min_tail_s = grid
    starts_s = [n * clip_s for n in range(int(duration_s // clip_s) + 1)]
    counted = sum(min(clip_s, duration_s - start_s) >= min_tail_s for start_s in starts_s)
    exactly = promised_clips(duration_s, clip_s=clip_s, min_tail_s=min_tail_s, tolerance_s=0)
    assert abs(exactly[0] - counted) <= (duration_s % clip_s > min_tail_s - 1e-6)
    assert exactly[0] == exactly[1]
    least, most = promised_clips(duration_s, clip_s=clip_s, min_tail_s=min_tail_s)
    assert 0 <= least <= exactly[0] <= most <= least + 1


def test_sound_of_another_length_is_named(good: Collected) -> None:
    """A recording cut short gives fewer segments than its duration promises."""
    segments = clips(GOOD)
    fewer = segments.filter(~pl.col("segment_id").is_in(["a0_seg0008", "a0_seg0009"]))
    good.write_receipts("a0", 240.0, 8)
    good.write_metadata(GOOD, fewer)
    found = good.says("segments_are_as_many_as_promised")
    assert (found.passed, found.severity) == (False, WARN)
    assert "| a0 | 300.0 | 240.0 | 10 to 10 | 0 | 8 |" in text(found, "not_as_promised")
    assert number(found, "recordings_not_as_promised") == 1


def test_segments_that_were_filtered_are_no_fault_of_their_recording(good: Collected) -> None:
    """What is filtered rightly is counted as such, but its number shows."""
    fewer = clips(GOOD).filter(pl.col("segment_id") != "a0_seg0000")
    good.write_receipts("a0", 300.0, 9)
    good.write_metadata(GOOD, fewer)
    found = good.says("segments_are_as_many_as_promised")
    assert number(found, "recordings_not_as_promised") == 0
    assert number(found, "filtered_share") == pytest.approx(1 / (fewer.height + 1))
    assert number(found, "segments") == fewer.height
    promised = number(found, "promised_at_least")
    assert found.passed == (promised <= fewer.height)
    assert "1 were filtered" in str(found.description)


def test_metadata_that_the_receipts_have_outrun_is_found_out(good: Collected) -> None:
    """A recording done since, or no longer: its segments must be there, or must not."""
    good.write_metadata(GOOD, clips(GOOD[1:]))
    found = good.says("segments_are_as_many_as_promised")
    assert not found.passed
    assert "| a0 | 300.0 | 300.0 | 10 to 10 | 0 | 0 |" in text(found, "not_as_promised")
    good.write_metadata(GOOD, clips(GOOD))
    good.store.path(f"{TIER.folder('muq_embeddings')}/a0.receipt.json").unlink()
    found = good.says("segments_are_as_many_as_promised")
    assert not found.passed
    assert "| a0 | 10 |" in text(found, "not_done")


def test_a_piece_left_with_one_performer_is_listed(good: Collected) -> None:
    """Two recordings make a piece of pairs; one of them lost is the piece lost."""
    good.write_metadata(GOOD, clips([made for made in GOOD if made.metadata.recording_id != "v1"]))
    found = good.says("pieces_have_two_performers")
    assert (found.passed, found.severity) == (False, WARN)
    assert "| validation | haydn:v | 2 |" in text(found, "lost")
    assert number(found, "within_a_split") == 10
    assert number(found, "within_a_split_by_the_catalogue") == 11


def test_pieces_by_two_people_in_two_splits_give_no_pairs(tmp_path: Path) -> None:
    """Two performers in all, one in each split: counted, and not enough."""
    made = Collected(tmp_path / "root")
    recordings = [
        recording("a", "p1", ["bach:a"]),
        recording("b", "p2", ["bach:a"], split="test"),
    ]
    made.write(recordings, None)
    found = made.says("pieces_have_two_performers")
    assert not found.passed
    assert number(found, "pieces_with_two_performers") == 1
    assert number(found, "within_a_split") == 0


OUTRUN = {
    "no_pair_by_one_performer": recording("a0", "p1", ["bach:a"], 300),
    "no_pair_of_different_works": recording("a0", "p0", ["bach:other"], 300),
    "pairs_stay_within_a_split": recording("a0", "p0", ["bach:a"], 300, split="test"),
}


@pytest.mark.parametrize("name", OUTRUN)
def test_pairs_that_the_catalogue_has_outrun_fail(good: Collected, name: str) -> None:
    """The table's own columns still say that all is well; the catalogue says otherwise."""
    good.write_catalogue(replaced(a0=OUTRUN[name]))
    found = good.says(name)
    assert (found.passed, found.severity) == (False, ERROR)
    assert "materialize maestro_cache/pairs again" in str(found.description)
    assert number(found, "faults") > 0
    assert "a0_seg0000" in text(found, "problems")
    # The table says of a0 what the catalogue no longer does; the other truths still hold.
    failing = {other for other in PAIR_CHECKS if not good.says(other).passed}
    assert failing == {name, "pairs_fit_the_catalogue"}


def test_somebody_who_is_not_known_may_be_the_same_person(good: Collected) -> None:
    """A performer withdrawn from the catalogue: nobody can say that they are two."""
    good.write_catalogue(replaced(a0=recording("a0", None, ["bach:a"], 300)))
    found = good.says("no_pair_by_one_performer")
    assert not found.passed
    assert "by somebody who is not known" in str(found.description)


def test_a_planted_row_is_found_whatever_it_says_of_itself(good: Collected) -> None:
    """One row of one performer, other works and another split, whose columns claim otherwise."""
    changed = [
        *GOOD,
        recording("same", "p0", ["bach:a"], 300),
        recording("other", "p9", ["bach:q"], 300),
        recording("tested", "p9", ["bach:a"], 300, split="test"),
    ]
    table = stored.read_pairs(good.store)
    good.write(changed, table)
    row = table.filter(anchor="a0_seg0004").head(1)
    for clip, name in (
        ("same_seg0004", "no_pair_by_one_performer"),
        ("other_seg0004", "no_pair_of_different_works"),
        ("tested_seg0004", "pairs_stay_within_a_split"),
    ):
        planted = row.with_columns(positive=pl.lit(clip))
        good.write_pairs(pl.concat([table, planted]))
        found = good.says(name)
        assert (found.passed, found.severity) == (False, ERROR), name
        assert number(found, "faults") == 1
        assert f"| a0_seg0004 | {clip} |" in text(found, "problems")


TORN: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "twice": lambda table: pl.concat([table, table.head(1)]),
    "with a wrong recording": lambda table: table.with_columns(anchor_split=pl.lit("test")),
    "recording, performer or split": lambda table: table.with_columns(
        positive_performer=pl.lit(None, pl.String())
    ),
    "outside 0 to 1": lambda table: table.with_columns(shared_music=pl.lit(1.1)),
    "without a weight": lambda table: table.with_columns(weight=pl.lit(float("nan"))),
    "do not sum to 1": lambda table: table.with_columns(weight=pl.col("weight") * 2),
    "may be the same music": lambda table: table.with_columns(
        negatives_same_composer=pl.lit(["haydn:never"])
    ),
    "their split does not have": lambda table: table.filter(anchor_split="train").with_columns(
        negatives_other_composer=pl.lit(["haydn:v"])
    ),
    "of a clip that is not known": lambda table: table.with_columns(positive=pl.lit("gone")),
}


@pytest.mark.parametrize("what", TORN)
def test_a_table_that_does_not_fit_fails(good: Collected, what: str) -> None:
    """Each part of the table that a trainer reads; guards a hand-edited or half-written one."""
    good.write_pairs(TORN[what](stored.read_pairs(good.store)))
    found = good.says("pairs_fit_the_catalogue")
    assert (found.passed, found.severity) == (False, ERROR)
    assert what in text(found, "problems")


def test_a_table_with_empty_cells_is_read_to_its_end(good: Collected) -> None:
    """Lists that are null, clips that are null: a sentence, no traceback."""
    table = stored.read_pairs(good.store)
    good.write_pairs(pl.concat([table, table.head(1).clear(n=1)]))
    for name in PAIR_CHECKS:
        found = good.says(name)
        assert not found.passed
        assert "of a clip that is not known" in str(found.description)
    assert "1 pairs would not be made now" in str(good.says("segments_have_positives").description)
    good.write_pairs(table.with_columns(weight=pl.lit(float("nan"))))
    assert number(good.says("segments_have_positives"), "largest_piece_weight") == 0


def test_pairs_that_nothing_can_be_said_of_pass_no_check(good: Collected) -> None:
    """Segments gone from the metadata, recordings from the catalogue: not judged is not right."""
    good.write_metadata(GOOD, clips(GOOD[1:]))
    assert not any(good.says(name).passed for name in PAIR_CHECKS)
    good.write_metadata(GOOD, clips(GOOD))
    assert all(good.says(name).passed for name in PAIR_CHECKS)
    good.write_catalogue(GOOD[1:])
    assert not any(good.says(name).passed for name in PAIR_CHECKS)


def test_pairs_across_splits_are_a_warning_where_they_are_asked_for(good: Collected) -> None:
    """Meant, but never quiet: a model that is trained with them cannot be tested."""
    rules = PairRules(across_splits=True)
    recordings = replaced(a7=recording("a7", "p7", ["bach:a"], 370, split="test"))
    good.write(recordings, make_pairs(recordings, clips(recordings), rules).table)
    for asked_for, severity in ((rules, WARN), (None, ERROR)):
        found = good.says("pairs_stay_within_a_split", asked_for)
        assert (found.passed, found.severity) == (False, severity)


def test_coverage_says_how_many_and_why_not(good: Collected) -> None:
    """Figures by split and the reasons; guards a table that is right and useless."""
    found = good.says("segments_have_positives")
    segments, pairs = clips(GOOD), stored.read_pairs(good.store)
    figures = pair_figures(pairs, segments.height)
    assert figures.anchors >= FEW_ANCHORS
    assert number(found, "anchor_share") == figures.anchor_share
    assert number(found, "pairs_train") == figures.pairs_by_split["train"]
    assert number(found, "anchors_validation") == figures.anchors_by_split["validation"]
    alone = [*GOOD, recording("alone", "p0", ["bach:solo"], 3000)]
    good.write(alone, make_pairs(alone, clips(alone)).table)
    found = good.says("segments_have_positives")
    assert number(found, "without_nobody_else_plays_it") == 100


def test_thin_coverage_is_a_warning(good: Collected) -> None:
    """Most segments without, a split without, one piece with all the weight, or few in all."""
    table = stored.read_pairs(good.store)
    of_one = (pl.col("anchor_split") == "train") & (pl.col("work_id") == "bach:a")
    thin = {
        "validation has segments and no pair": table.filter(anchor_split="train"),
        "less than 50% of them": table.filter(work_id="bach:a"),
        "one piece has 90% of the weight": table.with_columns(
            weight=pl.when(of_one).then(0.9 / of_one.sum()).otherwise(pl.col("weight") / 10)
        ),
        "so few that shares say little": table.head(40),
        "are missing: materialize maestro_cache/pairs again": table.head(-1),
    }
    for said, pairs in thin.items():
        good.write_pairs(pairs)
        found = good.says("segments_have_positives")
        assert (found.passed, found.severity) == (False, WARN)
        assert said in str(found.description)


def test_positives_are_counted_for_segments_without_any_too() -> None:
    """A plot of those that have one says nothing of those that have not."""
    segments, pairs = clips(GOOD), make_pairs(GOOD, clips(GOOD)).table
    found = positives_by_split(pairs, GOOD, segments)
    assert sum(found["train"].values()) + sum(found["validation"].values()) == segments.height
    rows = sum(number * count for split in found.values() for number, count in split.items())
    assert rows == pairs.height
    assert positives_by_split(pairs.clear(), GOOD, segments)["validation"] == {0: 70}


def test_a_negative_that_no_recording_holds_is_doubtful() -> None:
    """An id that was renamed since: nobody can say what music it is."""
    segments, pairs = clips(GOOD), make_pairs(GOOD, clips(GOOD)).table
    renamed = pairs.with_columns(negatives_other_composer=pl.lit(["bach:renamed"]))
    problems = {problem.what: problem.pairs for problem in pair_problems(renamed, GOOD, segments)}
    assert problems["with a negative that may be the same music"] == pairs.height


def image_of(plot: dg.MetadataValue) -> Image.Image:
    """The picture inside a plot's Markdown."""
    encoded = str(plot.value).partition("base64,")[2].removesuffix(")")
    content = base64.b64decode(encoded, validate=True)
    assert len(content) <= MAX_PLOT_BYTES
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_plots_are_pictures_and_say_when_there_is_nothing() -> None:
    """An asset's page with a broken image, or an error because nothing is there yet."""
    segments, pairs = clips(GOOD), make_pairs(GOOD, clips(GOOD)).table
    for plot in (
        performers_per_piece(GOOD),
        durations(GOOD),
        positives_per_segment(pairs, GOOD, segments),
    ):
        assert image_of(plot).width > 300
    for plot in (
        performers_per_piece([]),
        durations([]),
        positives_per_segment(pairs.clear(), [], clips([])),
    ):
        assert "nothing to plot yet" in str(plot.value)


def test_columns_stand_one_on_the_other_in_the_order_of_their_numbers() -> None:
    """Heights add up: a series hidden behind another would be lost; the top one is the last."""
    stacked = image_of(
        histogram({"one": {1: 2}, "two": {1: 2, 3: 4}}, title="t", of="n", unit="things")
    ).convert("RGB")
    alone = image_of(histogram({"one": {1: 4, 3: 4}}, title="t", of="n", unit="things"))
    blue, sand = (0x4F, 0x6D, 0x9A), (0xD9, 0xA2, 0x5F)

    def area(image: Image.Image, colour: tuple[int, int, int]) -> int:
        counts = {found: count for count, found in image.getcolors(1 << 20) or []}
        return int(counts.get(colour, 0))

    whole = area(alone.convert("RGB"), blue)
    assert area(stacked, blue) == pytest.approx(whole / 4, rel=0.05)
    # The legend's patch is of the same colour.
    assert area(stacked, sand) == pytest.approx(whole * 3 / 4, rel=0.05)


def test_a_histogram_of_many_columns_stays_small() -> None:
    """Inline pictures lie in the event log, once for every run."""
    counts = {name: {float(n): n % 7 for n in range(100)} for name in "abcdef"}
    assert image_of(histogram(counts, title="many", of="n", unit="things")).width > 300
