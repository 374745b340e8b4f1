"""The plan: its sums by hand, its nights by simulation, and what it does not know said as null."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.__main__ import main
from data_collection.maestro.archive_directory import KEPT_AT
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow
from data_collection.recordings.purge import find_source, purge
from data_collection.recordings.receipts import Fact, Receipt, receipt_path
from data_collection.recordings.rows import write_rows
from data_collection.recordings.segments import ClipGrid
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.teacher.labels import Repeats, TeacherLabel, write_labels
from data_collection.training_set.plan import (
    NUMBERS,
    Limits,
    Rates,
    TierPlan,
    ToFetch,
    clips_of,
    hold,
    nights_of_budgets,
    nights_on_a_line,
    plan_tier,
    totals,
    unknown_plan,
)
from data_collection.training_set.plan_catalogue import (
    Catalogued,
    Known,
    evenly,
    measured_clips_per_s,
    measured_rates,
    read_catalogued,
)

AT = datetime(2026, 11, 23, tzinfo=UTC)
RATES = Rates(clips_per_s=0.5, dollars_per_label=Decimal("0.01"))
NOW = nights_on_a_line()


def receipt(
    stage: str,
    id_: str,
    sizes: Mapping[str, int],
    facts: Mapping[str, Fact],
    *,
    began_s: float = 0.0,
    lasted_s: float = 1.0,
    revision: str = "r1",
) -> Receipt:
    return Receipt(
        stage=stage,
        recording_id=id_,
        state="done",
        fingerprint="f",
        inputs={},
        parameters={"checkpoint_revision": revision},
        outputs=tuple(StoredFile(name, "0" * 64, size) for name, size in sizes.items()),
        facts=dict(facts),
        started_at=AT + timedelta(seconds=began_s),
        finished_at=AT + timedelta(seconds=began_s + lasted_s),
    )


def collected(id_: str, duration_s: float, *stages: str) -> Known:
    """A recording of which some stages are done: 10 kB/s of original, 5 stored, 7 embedded."""
    whole = int(duration_s)
    made = {
        "audio": receipt(
            "audio", id_, {f"{id_}.flac": 5_000 * whole},
            {"duration_s": duration_s, "original_bytes": 10_000 * whole},
        ),
        "segments": receipt(
            "segments", id_, {f"{id_}.parquet": 0},
            {"clips_kept": whole // 30, "kept_s": whole // 30 * 30.0},
        ),
        "muq_embeddings": receipt(
            "muq_embeddings", id_, {f"{id_}.pt": 7_000 * (whole // 30 * 30)},
            {"segments": whole // 30},
        ),
    }  # fmt: skip
    return Known(
        id_, id_, duration_s, duration_s, receipts={stage: made[stage] for stage in stages}
    )


ALL = ("audio", "segments", "muq_embeddings")


def test_sums_by_hand() -> None:
    """Each number of a half-collected tier is what its definition says.

    Guards against counting what is there as left, or paying again for what is labelled.
    """
    three = [collected(str(at), 90.0, *ALL) for at in range(3)]
    left = [Known("l", "l", 100.0, 100.0), collected("half", 60.0, "audio", "segments")]
    plan = plan_tier(Catalogued([*three, *left]), RATES, NOW, labelled=4)
    assert (plan.recordings, plan.left) == (5, 2)
    assert plan.hours == pytest.approx((3 * 90 + 100 + 60) / 3600)
    assert plan.segments == 3 * 3 + 4 + 2
    assert plan.segments_left == 4 + 2
    assert plan.bytes_to_move == 100 * 10_000
    there = 3 * 90 * (5_000 + 7_000) + 60 * 5_000
    assert plan.disk_there_bytes == there
    assert plan.disk_rest_bytes == there + 100 * 5_000 + (100 + 60) * 7_000
    assert plan.disk_peak_bytes == plan.disk_rest_bytes + 100 * 10_000
    assert plan.gpu_hours == pytest.approx(6 / 0.5 / 3600)
    assert plan.label_dollars == pytest.approx((15 - 4) * 0.01)
    assert plan.because == {}


def test_what_is_assumed_until_it_is_measured() -> None:
    """Without receipts the stated rates hold; twins double the embeddings, and nothing else.

    Guards against a plan for half of T4.
    """
    catalogued = Catalogued([Known("a", "a", 3600.0, 3600.0)])
    plan = plan_tier(catalogued, RATES, NOW)
    assert plan.bytes_to_move == 3600 * 16_000
    assert plan.disk_rest_bytes == 3600 * (47_000 + 51_200)
    twins = plan_tier(catalogued, Rates(has_twins=True, clips_per_s=0.5), NOW)
    assert twins.disk_rest_bytes == 3600 * (47_000 + 2 * 51_200)
    assert twins.gpu_hours == pytest.approx(2 * (plan.gpu_hours or 0))
    assert (twins.recordings, twins.segments) == (1, 120)
    assert twins.segments_left == 240
    streamed = plan_tier(catalogued, Rates(keeps_original=False), NOW)
    assert streamed.disk_peak_bytes == streamed.disk_rest_bytes


def test_a_session_is_moved_and_stored_once() -> None:
    """Parts of one original share its fetch, and the original lies beside them.

    Guards against a session of five hours being counted for each of its pianists.
    """
    parts = [Known(f"v_{at}", "v", 1800.0, 18_000.0) for at in range(8)]
    plan = plan_tier(Catalogued(parts), RATES, NOW)
    assert plan.bytes_to_move == 18_000 * 16_000
    assert plan.disk_rest_bytes == (18_000 + 8 * 1800) * 47_000 + 8 * 1800 * 51_200
    there = receipt("originals", "v", {"v.flac": 18_000 * 47_000}, {"duration_s": 18_000.0})
    fetched = [
        Known(one.recording_id, "v", 1800.0, 18_000.0, receipts={"originals": there})
        for one in parts
    ]
    after = plan_tier(Catalogued(fetched), RATES, NOW)
    assert (after.bytes_to_move, after.disk_rest_bytes) == (0, plan.disk_rest_bytes)
    assert after.left == 8


@given(st.integers(0, 8000), st.sampled_from([(30.0, 5.0), (10.0, 10.0), (7.5, 0.5)]))
def test_clips_are_those_of_the_grid(half_seconds: int, grid: tuple[float, float]) -> None:
    """As many clips as cutting one after the other gives, tails that are too short left out.

    Guards against an estimate by a mere division, which is off by one a recording.
    """
    clip_s, min_tail_s = grid
    rest_s, clips = half_seconds / 2, 0
    while rest_s >= min_tail_s:
        rest_s, clips = rest_s - clip_s, clips + 1
    assert clips_of(half_seconds / 2, ClipGrid(clip_s=clip_s, min_tail_s=min_tail_s)) == clips


def test_the_release_before_its_catalogue() -> None:
    """1,276 recordings of 198.65 h give the 24,240 clips that cutting them gives, within 1 %.

    Guards against an estimate from the hours alone, which has no tails.
    """
    plan = plan_tier(evenly(1276, 198.65 * 3600), RATES, NOW)
    assert plan.segments == pytest.approx(24_240, rel=0.01)
    assert plan.hours == pytest.approx(198.65)


def test_lengths_that_are_not_known() -> None:
    """A recording without a length is as long as the others; without any, sums are null.

    Guards against a recording of unknown length weighing nothing, or stopping the plan.
    """
    some = Catalogued([Known("a", "a", 60.0, 60.0), Known("b", "b", None), Known("c", "c", 120.0)])
    plan = plan_tier(some, RATES, NOW)
    assert plan.hours == pytest.approx(270 / 3600)
    assert any("1 recordings of unknown length" in note for note in plan.notes)
    none = plan_tier(Catalogued([Known("a", "a", None)]), RATES, NOW)
    assert (none.recordings, none.left) == (1, 1)
    assert {name for name in NUMBERS if getattr(none, name) is None} == none.because.keys()


def test_an_empty_catalogue_takes_nothing() -> None:
    """A tier without recordings has zeros and no nulls.

    Guards against a division by the number of recordings.
    """
    plan = plan_tier(Catalogued([]), RATES, nights_of_budgets({}, 400))
    assert {getattr(plan, name) for name in NUMBERS} == {0}


def test_what_nobody_knows_is_null_with_its_reason() -> None:
    """Without a pace or a price those two are null and say why; a finished tier needs neither.

    Guards against a made-up number of hours.
    """
    rates = Rates(no_clips_per_s="no model", no_dollars="no price")
    plan = plan_tier(Catalogued([Known("a", "a", 60.0, 60.0)]), rates, NOW)
    assert (plan.gpu_hours, plan.label_dollars) == (None, None)
    assert plan.because == {"gpu_hours": "no model", "label_dollars": "no price"}
    done = plan_tier(Catalogued([collected("a", 60.0, *ALL)]), rates, NOW)
    assert (done.gpu_hours, done.left) == (0.0, 0)


def test_receipts_tell_better_than_assumptions() -> None:
    """From three recordings on, bytes a second are what was fetched, stored and embedded.

    Guards against a plan that never learns; parts of a session tell nothing of what was fetched.
    """
    three = [collected(str(at), 90.0, *ALL) for at in range(3)]
    assert measured_rates(three) == {
        "original_bytes_per_s": 10_000.0,
        "flac_bytes_per_s": 5_000.0,
        "embedding_bytes_per_s": 7_000.0,
    }
    assert measured_rates(three[:2]) == {}
    part = receipt("audio", "p", {"p.flac": 100}, {"duration_s": 1.0, "cut_from": "v"})
    parts = [Known(str(at), "v", 1.0, 9.0, receipts={"audio": part}) for at in range(3)]
    assert measured_rates(parts) == {"flac_bytes_per_s": 100.0}


def test_the_pace_is_of_the_time_in_which_anything_was_embedded() -> None:
    """Recordings that share the model overlap: 40 clips in 20 s are 2 a second, not 4.

    Guards against adding up spans, and against the pace of a model that was used before.
    """

    def embedded(id_: str, began_s: float, revision: str = "r2") -> Known:
        made = receipt(
            "muq_embeddings", id_, {}, {"segments": 20},
            began_s=began_s, lasted_s=15.0, revision=revision,
        )  # fmt: skip
        return Known(id_, id_, 1.0, receipts={"muq_embeddings": made})

    both = [embedded("a", 0.0), embedded("b", 5.0)]
    assert measured_clips_per_s(both) == pytest.approx(2.0)
    apart = [embedded("a", 0.0), embedded("b", 1000.0)]
    assert measured_clips_per_s(apart) == pytest.approx(40 / 30)
    assert measured_clips_per_s([*both, embedded("old", -9000.0, "r1")]) == pytest.approx(2.0)
    assert measured_clips_per_s([]) is None


CHANNELS = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.integers(1, 40), st.integers(1, 9)), min_size=1
)


@settings(max_examples=50)
@given(CHANNELS, st.integers(1, 12))
def test_nights_are_those_of_a_simulation(
    channels: dict[str, tuple[int, int]], all_together: int
) -> None:
    """As many nights as it takes to fetch night by night, whoever needs the most nights first.

    Guards against dividing by the whole night's budget where one channel's own is what lasts.
    """
    left = {name: count for name, (count, _) in channels.items()}
    budgets = {name: budget for name, (_, budget) in channels.items()}
    to_fetch = ToFetch(dict(left), None)
    nights = 0
    while any(left.values()):
        nights += 1
        room, had = all_together, dict.fromkeys(left, 0)
        while room:
            ready = [name for name in left if left[name] and had[name] < budgets[name]]
            if not ready:
                break
            name = max(ready, key=lambda one: left[one] / budgets[one])
            left[name], had[name], room = left[name] - 1, had[name] + 1, room - 1
    planned, _ = nights_of_budgets(budgets, all_together)(to_fetch)
    assert planned == nights


def test_a_budget_of_nothing_never_ends() -> None:
    """A channel that may fetch nothing makes the nights null, and is named.

    Guards against a division by zero, and against a plan that forgets it.
    """
    to_fetch = ToFetch({"a": 3, "gone": 1}, None)
    assert nights_of_budgets({"a": 2}, 10)(to_fetch) == (
        None,
        "gone: a nightly budget of 0 is never done",
    )
    assert nights_of_budgets({"a": 2, "gone": 1}, 0)(to_fetch)[0] is None


def test_nights_of_pauses_and_bytes() -> None:
    """The longer of what the pauses and bytes take together, and of what the source allows.

    Guards against a week of fetching planned as one night.
    """
    nights = nights_on_a_line(15.0, 300, line_bits_per_s=8e6)
    assert nights(ToFetch({"": 6000}, 0))[0] == 3  # 25 h of pauses, 20 h at 300 an hour
    assert nights(ToFetch({"": 3000}, 0))[0] == 2
    assert nights(ToFetch({"": 1}, 36_000 * 10**6))[0] == 2
    assert nights(ToFetch({}, 0))[0] == 0


def test_totals_and_limits() -> None:
    """Sizes add up with one original in flight, nights are the slowest tier's, limits name a cure.

    Guards against a limit that a tier of unknown size slips under without a word.
    """
    one = TierPlan(
        recordings=1, disk_there_bytes=5, disk_rest_bytes=100, disk_peak_bytes=130,
        gpu_hours=2.0, nights=3, label_dollars=1.5,
    )  # fmt: skip
    other = TierPlan(
        recordings=2, disk_there_bytes=0, disk_rest_bytes=50, disk_peak_bytes=60,
        gpu_hours=1.0, nights=7, label_dollars=1.0,
    )  # fmt: skip
    tiers = {"t2": one, "t3": other, "t4": unknown_plan("no catalogue")}
    total = totals(tiers)  # type: ignore[arg-type]
    assert (total["recordings"], total["disk_peak_bytes"], total["nights"]) == (3, 180, 7)
    limits = Limits(disk_bytes=200, gpu_hours=2.5, nights=7, label_dollars=2.0)
    held = hold(tiers, limits, free_bytes=174)  # type: ignore[arg-type]
    assert [(each.setting, each.is_passed) for each in held] == [
        ("PLAN_MAX_DISK_BYTES", False),
        ("what is there and what is free", True),
        ("PLAN_MAX_GPU_HOURS", True),
        ("PLAN_MAX_NIGHTS", False),
        ("PLAN_MAX_LABEL_DOLLARS", True),
    ]
    assert all(each.unknown == ("t4",) and each.change for each in held)
    assert hold(tiers, Limits()) == []  # type: ignore[arg-type]


def test_what_is_read_of_a_catalogue(store: Store, tier: Tier) -> None:
    """Purged rows and unwanted ones are left out and counted; what is there already stays.

    Guards against nights planned for what nobody may fetch; and lengths of parts are their own.
    """
    rows = [
        Recording(
            recording_id=id_, source_id=id_, source_url=f"u/{id_}", title="t", duration_s=60.0
        )
        for id_ in ("wanted", "unwanted", "there", "purged")
    ]
    part = Recording(
        recording_id="v_a", source_id="v", source_url="u/v", title="t",
        cut_from="v", source_start_s=100.0,
    )  # fmt: skip
    write_rows(store, f"{tier.folder('recordings')}.jsonl", [*rows, part])
    made = collected("there", 61.0, "audio").receipts["audio"]
    folder = tier.folder("audio")
    store.write_bytes(receipt_path(folder, "there"), made.model_dump_json().encode())
    purge(store, find_source(store, "purged"), "asked", AT)
    found = read_catalogued(
        store,
        tier,
        is_wanted=lambda row: row.recording_id not in ("unwanted", "there"),
        original_durations_s={"v": 400.0},
    )
    assert found is not None
    assert {one.recording_id: one.duration_s for one in found.recordings} == {
        "wanted": 60.0,
        "there": 61.0,
        "v_a": 300.0,
    }
    assert found.recordings[-1].original_duration_s == 400.0
    assert found.notes == (
        "1 rows are left out: purged",
        "1 rows are left out: no longer listed or wanted",
    )
    assert read_catalogued(Store.at(str(store.root / "none")), tier) is None


@pytest.fixture
def root(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The environment of a command: an own data root, no model on the disk."""
    for name in ("EMBEDDINGS_ROOT", "COMPETITION_EDITION", "MAESTRO_BASE_URL", "TEACHER_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_COLLECTION_ROOT", str(store.root))
    monkeypatch.setenv("MUQ_CHECKPOINT", str(Path(str(store.root)) / "no-such-model"))
    return store


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = json.loads(capsys.readouterr().out)
    return found


def test_before_anything_is_known(root: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """On an empty root one JSON document has T3 as released, T2 and T4 as null with the reason.

    Guards against a plan that needs a listing first, and against a word beside the document.
    """
    assert main(["plan", "--json"]) in (0, 1)  # all of T3 may be more than this disk has
    tiers = document(capsys)["tiers"]
    assert (tiers["t3"]["recordings"], tiers["t3"]["left"]) == (1276, 1276)
    assert tiers["t3"]["gpu_hours"] is None
    assert "--clips-per-second" in str(tiers["t3"]["because"])
    for name in ("t2", "t4"):
        assert all(tiers[name][number] is None for number in NUMBERS)
        assert "no catalogue yet" in str(tiers[name]["because"])
    assert main(["plan", "--json", "--clips-per-second", "10"]) in (0, 1)
    hours = document(capsys)["tiers"]["t3"]["gpu_hours"]
    assert hours == pytest.approx(24_244 / 10 / 3600)
    assert main(["plan", "--clips-per-second", "10"]) in (0, 1)
    said = capsys.readouterr().out
    assert "1,276" in said
    assert "10 clips a second, as stated" in said


def maestro_row(id_: str, name: str, duration_s: float) -> MaestroCatalogueRow:
    return MaestroCatalogueRow(
        recording_id=id_, source_id=name, source_url=f"u#{name}", title="t",
        duration_s=duration_s, audio_filename=name, midi_filename="m", composer="c", year=2004,
        split="train", performer_id=None, round=None, performer_confidence=0.0,
        performer_evidence="none", works=(), work_evidence=(), works_doubt="none",
    )  # fmt: skip


def test_sizes_of_the_archive_and_labels(root: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """With the archive's directory at hand, bytes are its members'; labels that are there are paid.

    Guards against an estimate where the source has told the size.
    """
    names = ["2004/a.wav", "2004/b.wav"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        for at, name in enumerate(names):
            made.writestr(f"maestro-v3.0.0/{name}", bytes(1000 * (at + 1)))
    content = archive.getvalue()[made.start_dir :]
    head = json.dumps({"start": made.start_dir}).encode()
    root.write_bytes(KEPT_AT, head + b"\n" + content)
    rows = [maestro_row(f"m{at}", name, 60.0) for at, name in enumerate(names)]
    write_rows(root, "maestro_cache/recordings.jsonl", rows)
    assert main(["plan", "--json", "--clips-per-second", "1"]) == 0
    before = document(capsys)["tiers"]["t3"]
    assert before["bytes_to_move"] == 3000
    labels = [
        TeacherLabel(
            segment_id=f"m0_seg000{at}", dimension_scores={"timing": 3.0}, teacher_model="x",
            rubric_version="1", confidence={}, repeats=Repeats(n=1, spread=None),
            cost_usd=Decimal("0.1"),
        )
        for at in range(2)
    ]  # fmt: skip
    write_labels(root, "maestro_cache/teacher_labels.json", labels)
    assert main(["plan", "--json", "--clips-per-second", "1"]) == 0
    after = document(capsys)["tiers"]["t3"]
    assert after["label_dollars"] == pytest.approx(
        float(str(before["label_dollars"])) / 2, abs=0.01
    )
    root.path(KEPT_AT).write_bytes(head + b"\ncut off")
    assert main(["plan", "--json", "--clips-per-second", "1"]) == 0
    assert document(capsys)["tiers"]["t3"]["bytes_to_move"] != 3000


def test_statuses(
    root: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passed limit is status 1 with what to change; a file that cannot be used is 2, and named.

    Guards against a night that fills the disk because a script took the plan for granted.
    """
    catalogue = "maestro_cache/recordings.jsonl"
    write_rows(root, catalogue, [maestro_row("m", "2004/a.wav", 60.0)])
    assert main(["plan", "--clips-per-second", "1"]) == 0
    assert "limit kept" in capsys.readouterr().out
    write_rows(root, catalogue, [maestro_row("m", "2004/a.wav", 1e12)])
    assert main(["plan", "--clips-per-second", "1"]) == 1
    said = capsys.readouterr().out
    assert "limit passed" in said
    assert "DATA_COLLECTION_ROOT" in said
    assert main(["plan", "--clips-per-second", "0"]) == 2
    capsys.readouterr()
    monkeypatch.setenv("TEACHER_MODEL", "no-such-model")
    assert main(["plan", "--json", "--clips-per-second", "1"]) == 1
    assert "no price" in str(document(capsys)["tiers"]["t3"]["because"])
    root.write_bytes(catalogue, b"{broken\n")
    assert main(["plan", "--json"]) == 2
    captured = capsys.readouterr()
    assert "recordings.jsonl, line 1" in captured.err
    assert captured.out == ""
