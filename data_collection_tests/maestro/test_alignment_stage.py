"""Alignments: each pair once, whatever happens in between, and different music is found out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from shutil import copyfile

import dagster as dg
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.maestro import alignment_stage
from data_collection.maestro.aligned_pairs import (
    ALIGNED_PAIRS,
    DOUBTFUL,
    AlignedPair,
    doubtful_pairs,
    read_aligned_pairs,
    suspects,
)
from data_collection.maestro.alignment_assets import alignments_asset, same_music_check
from data_collection.maestro.alignment_stage import AUDIO, CHROMA, align_recordings, alignable_pairs
from data_collection.maestro.catalogue import maestro_tier
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow
from data_collection.maestro.recording_pairs import PairRules
from data_collection.maestro.resources import PairRulesResource
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.stored import ALIGNMENTS, RECORDINGS, read_alignments
from data_collection.recordings.decode import SAMPLE_RATE_HZ, decode_to_flac
from data_collection.recordings.errors import SetupError
from data_collection.recordings.receipts import StageResult, settle
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import write_rows
from data_collection.recordings.store import Store
from data_collection.sample.media import AUDIO as SAMPLE
from data_collection_tests.maestro.made_recordings import recording, work

BACH, CHOPIN = "bach:bwv846/prelude", "chopin:op28-no4"
TAKES = {
    "bach_sol": "stage1_sol",
    "bach_okafor": "stage1_okafor",
    "bach_brandt": "stage1_brandt",
    "bach_marlowe": "stage1_marlowe",
    "chopin_sol": "final_sol",
    "chopin_okafor": "final_okafor",
}
CATALOGUE = [
    recording(name, name.partition("_")[2], [BACH if name.startswith("bach") else CHOPIN], 50.0)
    for name in TAKES
]
PREPARED = {r.metadata.recording_id: r for r in CATALOGUE}


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Made-up pianists playing the same two pieces, as the collection stores audio."""
    folder = tmp_path_factory.mktemp("takes")
    for name, sample in TAKES.items():
        decode_to_flac(SAMPLE / f"{sample}.opus", folder / f"{name}.flac")
    return {name: folder / f"{name}.flac" for name in TAKES}


def collect(store: Store, audio: Mapping[str, Path]) -> None:
    """Store audio with its receipt, as the river does; audio that has changed replaces the old."""
    for recording_id, flac in audio.items():
        settle(
            store,
            AUDIO,
            recording_id,
            inputs=partial(dict, source_id=str(flac)),
            parameters=dict,
            work=partial(_published, store, recording_id, flac),
        )


def _published(store: Store, recording_id: str, flac: Path) -> StageResult:
    with store.scratch() as scratch:
        copy = scratch / flac.name
        copyfile(flac, copy)
        stored = store.publish(copy, f"{AUDIO}/{recording_id}.flac")
    return StageResult((stored,), facts={"duration_s": soundfile.info(flac).duration})


def files(store: Store) -> dict[str, bytes]:
    """Everything that alignment has stored."""
    kept = [store.path(ALIGNMENTS), store.path(ALIGNED_PAIRS), *store.path(CHROMA).iterdir()]
    return {path.name: path.read_bytes() for path in kept}


def keys(rows: Iterable[AlignedPair]) -> set[tuple[str, str]]:
    return {row.key for row in rows}


def bachs(*names: str) -> list[MaestroRecording]:
    return [PREPARED[f"bach_{name}"] for name in names]


def test_what_is_aligned_is_read_back_and_a_rerun_does_nothing(
    store: Store, takes: dict[str, Path]
) -> None:
    """Half an hour of work for the whole release must not be done twice."""
    collect(store, takes)
    first = align_recordings(store, CATALOGUE)
    assert (first.asked, first.done, first.aligned) == (7, 7, 7)
    assert first.audio_hours_per_hour > 0
    assert min(row.median_confidence for row in first.rows) > 0.8
    maps = read_alignments(store)
    assert set(maps) == keys(first.rows) == keys(read_aligned_pairs(store))
    assert all(maps[row.key].confidence.size == row.knots for row in first.rows)
    before = files(store)
    again = align_recordings(store, CATALOGUE)
    assert (again.done, again.aligned, again.no_longer_holding) == (7, 0, 0)
    assert again.rows == first.rows
    assert again.table == first.table
    assert files(store) == before


def test_replaced_audio_is_redone_only_for_its_own_pairs(
    store: Store, takes: dict[str, Path]
) -> None:
    """A map of audio that is no longer there would put every clip at the wrong second."""
    catalogue = bachs("sol", "okafor", "brandt")
    collect(store, {name: takes[name] for name in ("bach_sol", "bach_okafor", "bach_brandt")})
    before = {row.key: row for row in align_recordings(store, catalogue).rows}
    collect(store, {"bach_sol": takes["bach_marlowe"]})
    result = align_recordings(store, catalogue)
    assert (result.aligned, result.no_longer_holding) == (2, 2)
    for row in result.rows:
        assert (row != before[row.key]) == ("bach_sol" in row.key)
    slower = read_alignments(store)["bach_okafor", "bach_sol"]
    assert slower.second_s[-1] == pytest.approx(58, abs=1)


def test_a_pair_disappears_with_its_recording_its_work_or_its_audio(
    store: Store, takes: dict[str, Path]
) -> None:
    """What the catalogue takes back must not go on placing clips; rules of the day take nothing."""
    catalogue = bachs("sol", "okafor", "brandt")
    collect(store, {name: takes[name] for name in ("bach_sol", "bach_okafor", "bach_brandt")})
    align_recordings(store, catalogue)
    strict = align_recordings(store, catalogue, PairRules(min_work_confidence=1.0))
    assert (strict.asked, len(strict.rows)) == (0, 3)
    renamed = recording("bach_brandt", "brandt", [CHOPIN], 50.0)
    of_other_work = align_recordings(store, [*catalogue[:2], renamed])
    assert keys(of_other_work.rows) == {("bach_okafor", "bach_sol")}
    assert of_other_work.no_longer_holding == 2
    store.path(f"{AUDIO}/bach_sol.receipt.json").unlink()
    without = align_recordings(store, catalogue[:2])
    assert (without.rows, without.waiting, without.without_audio) == ((), 1, ("bach_sol",))
    assert read_alignments(store) == {}


def test_a_part_is_found_where_it_lies_in_the_whole(
    store: Store, takes: dict[str, Path], tmp_path: Path
) -> None:
    """A recording of one movement beside one of both: relative position would be off by half."""
    chopin, bach = (soundfile.read(takes[name])[0] for name in ("chopin_sol", "bach_sol"))
    both = tmp_path / "both.flac"
    soundfile.write(both, np.concatenate([chopin, bach]), SAMPLE_RATE_HZ, subtype="PCM_24")
    whole = recording("both_sol", "sol", [CHOPIN, BACH], 99.0)
    collect(store, {"both_sol": both, "bach_okafor": takes["bach_okafor"]})
    (row,) = align_recordings(store, [whole, PREPARED["bach_okafor"]]).rows
    assert row.part
    assert row.works == (BACH,)
    assert row.median_confidence > 0.8
    found = read_alignments(store)["bach_okafor", "both_sol"]
    begins_s = chopin.size / SAMPLE_RATE_HZ
    assert found.second_s[0] == pytest.approx(begins_s, abs=1)
    corrected = recording("both_sol", "sol", [BACH], 99.0)
    again = align_recordings(store, [corrected, PREPARED["bach_okafor"]])
    assert (again.aligned, again.no_longer_holding, again.rows[0].part) == (1, 1, False)


def test_a_wrong_work_is_found_out_and_the_recording_that_has_it_is_named(
    store: Store, takes: dict[str, Path]
) -> None:
    """A path is found between any two pieces: a wrong title would go unseen into the pairs."""
    wrong = recording("mislabelled", "marlowe", [BACH], 50.0)
    right = bachs("sol", "okafor", "brandt")
    collect(store, {"mislabelled": takes["chopin_okafor"], **takes})
    rows = align_recordings(store, [*right, wrong]).rows
    assert keys(doubtful_pairs(rows)) == {(r.metadata.recording_id, "mislabelled") for r in right}
    assert suspects(rows) == [("mislabelled", 3, 3)]
    in_doubt = max(row.median_confidence for row in doubtful_pairs(rows))
    sure = min(row.median_confidence for row in rows if row.median_confidence >= DOUBTFUL)
    assert sure - in_doubt > 0.3


def test_pairs_of_one_lone_doubt_accuse_nobody() -> None:
    """Of two recordings that agree with nobody else, either may be the wrong one."""

    def row(first: str, second: str, confidence: float) -> AlignedPair:
        return AlignedPair(
            first=first,
            second=second,
            works=(BACH,),
            part=False,
            median_confidence=confidence,
            confident_share=confidence,
            knots=50,
            first_duration_s=50,
            second_duration_s=50,
            first_audio_sha256="a",
            second_audio_sha256="b",
            code_version="1",
        )

    assert suspects([row("a", "b", 0.1)]) == []
    assert suspects([row("a", "b", 0.1), row("a", "c", 0.9), row("b", "c", 0.9)]) == []
    most = [row("a", "b", 0.1), row("a", "c", 0.2), row("b", "c", 0.9), row("a", "d", 0.9)]
    assert suspects(most) == [("a", 2, 3)]
    assert [r.key for r in doubtful_pairs(reversed(most))] == [("a", "b"), ("a", "c")]


def test_audio_that_cannot_be_read_is_named_once_and_the_rest_goes_on(
    store: Store, takes: dict[str, Path], tmp_path: Path
) -> None:
    """One damaged file of 1,276 must not cost the other pairs, nor a run's `max_pairs`."""
    short = tmp_path / "short.flac"
    soundfile.write(short, np.zeros(SAMPLE_RATE_HZ // 2), SAMPLE_RATE_HZ, subtype="PCM_24")
    collect(store, {**takes, "bach_marlowe": short})
    damaged = store.path(f"{AUDIO}/bach_brandt.flac")
    damaged.write_bytes(damaged.read_bytes()[:100_000])
    catalogue = bachs("sol", "okafor", "brandt", "marlowe")
    result = align_recordings(store, catalogue)
    assert keys(result.rows) == {("bach_okafor", "bach_sol")}
    assert [(f.recordings, f.reason) for f in result.faults] == [
        (("bach_brandt",), "audio_unreadable"),
        (("bach_marlowe",), "too_short_to_align"),
    ]
    assert "materialize the audio again" in result.faults[0].detail
    store.path(ALIGNED_PAIRS).unlink()
    assert align_recordings(store, catalogue, max_pairs=1).aligned == 1


def test_a_damaged_chroma_is_named_and_the_rest_goes_on(
    store: Store, takes: dict[str, Path]
) -> None:
    """A disk that lost a block must not align noise."""
    catalogue = bachs("sol", "okafor", "brandt")
    collect(store, takes)
    align_recordings(store, catalogue)
    chroma = store.path(f"{CHROMA}/bach_sol.npy")
    chroma.write_bytes(bytes(chroma.stat().st_size))
    store.path(ALIGNED_PAIRS).unlink()
    result = align_recordings(store, catalogue)
    assert keys(result.rows) == {("bach_brandt", "bach_okafor")}
    assert {fault.reason for fault in result.faults} == {"chroma_unreadable"}
    assert "delete it" in result.faults[0].detail


@pytest.mark.parametrize("lost", [ALIGNMENTS, ALIGNED_PAIRS])
@pytest.mark.parametrize("how", ["gone", "torn", "of an older form"])
def test_tables_that_cannot_be_read_are_made_anew(
    lost: str, how: str, store: Store, takes: dict[str, Path]
) -> None:
    """Nobody may have to know which file to delete; chroma, the larger part, is still there."""
    catalogue = bachs("sol", "okafor")
    collect(store, takes)
    made = align_recordings(store, catalogue)
    chroma = store.path(f"{CHROMA}/bach_sol.npy").stat().st_mtime_ns
    path = store.path(lost)
    content = {"torn": path.read_bytes()[:-20], "of an older form": b'{"first": "bach_sol"}\n'}
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(content[how])
    assert align_recordings(store, catalogue).rows == made.rows
    assert len(read_alignments(store)) == 1
    assert store.path(f"{CHROMA}/bach_sol.npy").stat().st_mtime_ns == chroma


def test_works_and_families_and_their_number_can_be_asked_for(
    store: Store, takes: dict[str, Path]
) -> None:
    """Somebody who needs one sonata does not wait for the release; what is there is kept."""
    collect(store, takes)
    asked = align_recordings(store, CATALOGUE, works=["bach:bwv846"], max_pairs=4)
    assert (asked.asked, asked.aligned, asked.left) == (6, 4, 2)
    assert asked.left_s is not None
    assert asked.left_s == pytest.approx(asked.elapsed_s / 2, rel=0.2)
    other = align_recordings(store, CATALOGUE, works=[CHOPIN])
    assert (other.asked, other.aligned, len(other.rows)) == (1, 1, 5)
    rest = align_recordings(store, CATALOGUE)
    assert (rest.aligned, rest.left, len(rest.rows)) == (2, 0, 7)


def test_an_unknown_work_is_refused_with_what_it_may_be() -> None:
    """A typing error would else align nothing and look like success."""
    with pytest.raises(SetupError, match=r"work_unknown.*'chopin:op28-no5'.*chopin:op28-no4"):
        alignable_pairs(CATALOGUE, works=["chopin:op28-no5"])


def test_only_what_can_be_aligned_is_asked_for() -> None:
    """Two recordings that share one of several works each have no common end to align."""
    a, b, c = "liszt:a", "liszt:b", "liszt:c"
    catalogue = [
        recording("ab", "p1", [a, b]),
        recording("bc", "p2", [b, c]),
        recording("a", "p3", [a]),
        recording("a_again", "p3", [a]),
        recording("a_test", "p4", [a], split="test"),
        recording("a_unknown", None, [a]),
        recording("ab_doubt", "p5", [a, work(b, 0.1)]),
    ]
    within = alignable_pairs(catalogue)
    assert [(p.first, p.second, p.part) for p in within] == [
        ("a", "ab", True),
        ("a", "ab_doubt", True),
        ("a_again", "ab", True),
        ("a_again", "ab_doubt", True),
        ("ab", "ab_doubt", False),
    ]
    everywhere = alignable_pairs(catalogue, PairRules(across_splits=True))
    assert len(everywhere) == len(within) + 4


KILLED = """
import os, signal, sys
from data_collection.maestro import alignment_stage
from data_collection.maestro.stored import read_catalogue
from data_collection.recordings.store import Store

def die_at_the_third_pair(line):
    if line.startswith("3 of") and "pairs" in line:
        with open(f"/proc/self/task/{os.getpid()}/children") as children:
            print(children.read(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    alignment_stage.SAVE_EVERY_S = alignment_stage.REPORT_EVERY_S = 0.0
    store = Store.at(sys.argv[1])
    alignment_stage.align_recordings(
        store, read_catalogue(store), workers=2, log=die_at_the_third_pair
    )
"""


def test_a_killed_run_goes_on_where_it_was_and_leaves_no_process(
    store: Store, takes: dict[str, Path], tmp_path: Path
) -> None:
    """Out of memory, a reboot: what was aligned stays, and no worker waits for ever.

    Nor does it show in the tables which process made what, and when.
    """
    collect(store, takes)
    write_rows(store, RECORDINGS, map(catalogue_row, CATALOGUE))
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, script, str(store.root)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(read_aligned_pairs(store)) == 3
    workers = [int(pid) for pid in killed.stdout.split()]
    assert len(workers) >= 2
    _wait_until_gone(workers)
    result = align_recordings(store, CATALOGUE)
    assert (result.aligned, result.done) == (4, 7)
    at_once = Store.at(str(tmp_path / "at_once"))
    collect(at_once, takes)
    undisturbed = align_recordings(at_once, CATALOGUE)
    assert (result.rows, result.table) == (undisturbed.rows, undisturbed.table)


def _wait_until_gone(pids: Iterable[int]) -> None:
    for pid in pids:
        tries = 0
        while _is_running(pid) and (tries := tries + 1) < 600:
            time.sleep(0.1)
        if _is_running(pid):
            os.kill(pid, signal.SIGKILL)
            pytest.fail(f"worker {pid} outlives its run")


def _is_running(pid: int) -> bool:
    """Whether a process is there and no zombie that nobody has waited for."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_worker_that_is_killed_says_what_to_do() -> None:
    """The kernel kills what takes the most memory; nobody should read a broken pool's traceback."""
    with (
        pytest.raises(SetupError, match=r"worker_died.*fewer workers"),
        alignment_stage._worker_processes(2) as processes,
    ):
        list(processes.outcomes(os._exit, [9]))


NAMES = tuple("abcd")


@pytest.fixture(scope="module")
def hums(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three sounds of 4 s that have nothing in common but their length."""
    folder = tmp_path_factory.mktemp("hums")
    found = []
    for semitone in (0, 4, 7):
        time_s = np.arange(4 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        tone: npt.NDArray[np.float64] = 0.1 * np.sin(
            2 * np.pi * 220 * 2 ** (semitone / 12) * time_s
        )
        soundfile.write(folder / f"{semitone}.flac", tone, SAMPLE_RATE_HZ, subtype="PCM_24")
        found.append(folder / f"{semitone}.flac")
    return found


@settings(max_examples=15)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("audio"), st.sampled_from(NAMES), st.integers(0, 2)),
            st.tuples(st.just("work"), st.sampled_from(NAMES), st.integers(0, 1)),
            st.tuples(st.just("align"), st.just(""), st.integers(1, 3)),
        ),
        max_size=8,
    )
)
def test_whatever_happened_before_all_pairs_are_of_what_there_is_now(
    hums: list[Path], events: list[tuple[str, str, int]]
) -> None:
    """Audio comes and is replaced, works are corrected, runs stop early, in any order."""
    works = dict.fromkeys(NAMES, 0)
    audio: dict[str, Path] = {}

    def catalogue() -> list[MaestroRecording]:
        return [recording(name, name, [f"liszt:{works[name]}"], 4.0) for name in NAMES]

    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        for what, name, number in events:
            if what == "audio":
                audio[name] = hums[number]
                collect(store, {name: hums[number]})
            elif what == "work":
                works[name] = number
            else:
                align_recordings(store, catalogue(), max_pairs=number)
        result = align_recordings(store, catalogue())
        wanted = {pair for pair in combinations(NAMES, 2) if works[pair[0]] == works[pair[1]]}
        there = {pair for pair in wanted if set(pair) <= audio.keys()}
        assert keys(result.rows) == set(read_alignments(store)) == there
        assert (result.asked, result.waiting) == (len(wanted), len(wanted) - len(there))
        for row in result.rows:
            same = audio[row.first] == audio[row.second]
            assert same == (row.first_audio_sha256 == row.second_audio_sha256)


TIER = maestro_tier("file:///nowhere")


def catalogue_row(made: MaestroRecording) -> MaestroCatalogueRow:
    data, played = made.metadata, made.performance
    return MaestroCatalogueRow(
        **data.model_dump(),
        source_id=data.audio_filename,
        source_url=f"file:///nowhere#{data.audio_filename}",
        performer_id=played.performer_id,
        round=played.round,
        performer_confidence=played.confidence,
        performer_evidence=played.evidence,
        works=tuple(one.work_id for one in made.works),
        work_evidence=made.works,
        works_doubt=None,
    )


def materialize(store: Store, **asked: object) -> dg.ExecuteInProcessResult:
    """Make the alignments with their check as a person at the UI does."""
    config = {"workers": 1, **asked}
    return dg.materialize(
        [alignments_asset(TIER), same_music_check(TIER)],
        resources={"store": StoreResource(root=str(store.root)), "pair_rules": PairRulesResource()},
        run_config={"ops": {"maestro_cache__alignments": {"config": config}}},
        raise_on_error=False,
    )


def page(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = result.asset_materializations_for_node("maestro_cache__alignments")
    return {name: value.value for name, value in event.metadata.items()}


def test_the_page_says_how_far_it_is_and_the_check_names_the_wrong_work(
    store: Store, takes: dict[str, Path]
) -> None:
    """A person sees whether to run it again, and which title to look at."""
    collect(store, {**takes, "mislabelled": takes["chopin_okafor"]})
    catalogue = [*bachs("sol", "okafor", "brandt"), recording("mislabelled", "who", [BACH], 50.0)]
    write_rows(store, RECORDINGS, map(catalogue_row, catalogue))
    begun = materialize(store, max_pairs=2)
    assert begun.success
    shown = page(begun)
    assert (shown["asked_for"], shown["asked_for_and_done"], shown["left_for_the_next"]) == (
        6,
        2,
        4,
    )
    assert str(shown["left_takes"]).startswith("0:0")
    ended = materialize(store, works=["bach:bwv846"], across_splits=True)
    shown = page(ended)
    assert (shown["pairs"], shown["doubtful_pairs"]) == (6, 3)
    assert shown["hours_of_audio_an_hour"]
    assert "mislabelled" in str(shown["least_confident"]).splitlines()[2]
    (checked,) = ended.get_asset_check_evaluations()
    assert not checked.passed
    assert checked.severity == dg.AssetCheckSeverity.WARN
    assert "3 of 6" in str(checked.description)
    assert "mislabelled" in str(checked.metadata["suspects"].value)


def test_an_unknown_work_or_no_catalogue_fails_the_run_in_words(store: Store) -> None:
    """What a person mistyped is said where the person looks."""
    assert not materialize(store).success
    write_rows(store, RECORDINGS, map(catalogue_row, CATALOGUE))
    failed = materialize(store, works=["chopin:op28-no5"])
    assert not failed.success
    (event,) = failed.get_step_failure_events()
    assert "chopin:op28-no4" in str(event.step_failure_data)
    empty = materialize(store)
    assert empty.success
    assert (page(empty)["pairs"], page(empty)["waiting_for_audio"]) == (0, 7)
