"""The teacher by the real definitions and SDK, on loopback: skipped, planned, paid, judged."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from data_collection.build import build_defs, build_resources
from data_collection.competition.rows import CompetitionRecording
from data_collection.recordings.rows import write_rows
from data_collection.recordings.store import Store
from data_collection.sample.teacher_api import TeacherApi, serve_teacher
from data_collection.settings import Settings
from data_collection.teacher.evidence_figures import CURVE_POINTS, CURVES, EVIDENCE_SCHEMA, FIGURES
from data_collection.teacher.labels import read_labels
from data_collection.teacher.prices import read_prices
from data_collection.teacher.resources import KEY_VARIABLE, TeacherResource
from data_collection.teacher.rubric import DIMENSIONS
from data_collection_tests.river import write_edition
from data_collection_tests.training_set import made_collection as made

ROSTER = "performer,country,reached_stage,prize\nAda Quill,,final,1\n"
SIZES = made.Sizes(competitors=20, maestro=6, videos=4)
GO = {"decision": "go", "report": "scores follow the marks", "date": "2026-11-20", "by": "a lab"}
Scores = Callable[[str, int], Mapping[str, object]]


@dataclass(frozen=True, eq=False)
class School:
    """The definitions over a made collection, an instance, and the loopback teacher."""

    root: Path
    instance: dg.DagsterInstance
    store: Store
    api: TeacherApi
    edition: Path

    def materialize(
        self, *assets: str, prefix: str = made.T2, **changes: object
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets with their checks; keywords are settings."""
        definitions = self._definitions(tuple(sorted(changes.items())))
        keys = [
            dg.AssetKey(asset.split("/") if "/" in asset else [*prefix.split("/"), asset])
            for asset in assets
        ]
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=keys, instance=self.instance, raise_on_error=False
        )

    @cache  # noqa: B019 - a school lives as long as its test
    def _definitions(self, changes: tuple[tuple[str, object], ...]) -> dg.Definitions:
        usual = Settings(
            data_collection_root=str(self.root / "data"),
            competition_edition=self.edition,
            dagster_home=self.root,
            anthropic_base_url=self.api.url,
            teacher_cap_usd=Decimal(50),
            teacher_wait_s=60.0,
        )
        settings = usual.model_copy(update=dict(changes))
        usually = build_resources(settings)["teacher"]
        asked = {name: getattr(usually, name) for name in TeacherResource.model_fields}
        teacher = TeacherResource(**{**asked, "poll_s": 0.05})
        return build_defs(settings=settings, resources={"teacher": teacher})

    def go(self) -> None:
        """Decide that the teacher may be asked."""
        decision = self.root / "pilot.json"
        decision.write_text(json.dumps(GO))
        assert self.materialize("teacher/pilot", teacher_pilot=decision).success

    def skipped_because(self, asset: str, prefix: str = made.T2) -> str:
        """Why an asset was skipped last, from its page."""
        key = dg.AssetKey([*prefix.split("/"), asset])
        assert self.instance.get_latest_materialization_event(key) is None
        (record,) = self.instance.fetch_observations(key, limit=1).records
        observation = record.asset_observation
        assert observation is not None
        return str(observation.metadata["skipped_because"].value)

    def fact(self, asset: str, name: str, prefix: str = made.T2) -> object:
        """A figure on an asset's page."""
        event = self.instance.get_latest_materialization_event(
            dg.AssetKey([*prefix.split("/"), asset])
        )
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata[name].value

    def gate(self) -> tuple[bool, str]:
        """What the gate said last."""
        key = dg.AssetCheckKey(
            dg.AssetKey([*made.T2.split("/"), "teacher_labels"]), "labels_follow_the_places"
        )
        record = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        assert isinstance(evaluation, dg.AssetCheckEvaluation)
        return evaluation.passed, str(evaluation.description)


def by_unevenness(packet: str, repeat: int) -> Mapping[str, object]:
    """A teacher who hears how even the playing is, and nothing else."""
    _, percentile = json.loads(packet)["figures"]["gap_unevenness_percent"]
    score = 5 - min(4, (percentile or 0) // 20)
    return {name: _said(score) for name in DIMENSIONS}


def by_chance(packet: str, repeat: int) -> Mapping[str, object]:
    """A teacher who throws dice, the same for the same packet."""
    drawn = hashlib.sha256(packet.encode()).digest()
    return {name: _said(1 + drawn[at] % 5) for at, name in enumerate(DIMENSIONS)}


def _said(score: int) -> dict[str, object]:
    return {"score": score, "reason": "as the figures have it", "confidence": "medium"}


@contextmanager
def school(root: Path, scores: Scores, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """A made competition whose better pianists play more evenly, and a teacher."""
    store = Store.at(str(root / "data"))
    rows = made.make(store, SIZES)
    rng = random.Random(0)  # noqa: S311  # made-up data
    catalogue = {}
    for row in rows.t2:
        catalogue[row.recording_id] = CompetitionRecording(
            recording_id=row.recording_id,
            source_id=row.source_id,
            source_url=row.source_url,
            title=f"{row.performer} – {row.round}",  # type: ignore[attr-defined]
            performer=row.performer,  # type: ignore[attr-defined]
            round=row.round,  # type: ignore[attr-defined]
            placement=row.placement,  # type: ignore[attr-defined]
            solo=row.solo,  # type: ignore[attr-defined]
            match_score=100.0,
            match_margin=50.0,
            edition=made.EDITION,
        )
    write_rows(store, f"{made.T2}/recordings.jsonl", list(catalogue.values()))
    write_evidence(store, made.T2, rows.t2, rng)
    edition = write_edition(root, "http://127.0.0.1:9/feed.rss", ROSTER, id=made.EDITION)
    monkeypatch.setenv(KEY_VARIABLE, "sk-sample")
    home = root / "dagster_home"
    home.mkdir()
    with (
        serve_teacher(scores) as api,
        dg.DagsterInstance.local_temp(str(home)) as instance,
    ):
        yield School(root, instance, store, api, edition)


def write_evidence(store: Store, folder: str, rows: list, rng: random.Random) -> None:  # type: ignore[type-arg]
    """Figures of chance, but for one that follows the places."""
    tables: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        figures: dict[str, object] = {figure.name: rng.uniform(1, 9) for figure in FIGURES}
        figures |= {curve.name: [rng.uniform(0, 1)] * CURVE_POINTS for curve in CURVES}
        figures["gap_unevenness_percent"] = getattr(row, "placement", 8) + rng.uniform(0, 8)
        tables.setdefault(row.recording_id, []).append({"segment_id": row.segment_id, **figures})
    for recording_id, found in tables.items():
        buffer = io.BytesIO()
        pl.DataFrame(found, schema=EVIDENCE_SCHEMA).write_parquet(buffer)
        store.write_bytes(f"{folder}/teacher_evidence/{recording_id}.parquet", buffer.getvalue())


def test_nothing_is_asked_until_somebody_said_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a decision, and with a no, plan and labels are skipped with the reason; no failure.

    Guards a teacher that is paid because nobody decided, and a skip that looks like a fault.
    """
    with school(tmp_path, by_unevenness, monkeypatch) as opened:
        below = ("teacher_packets", "teacher_plan", "teacher_labels")
        assert opened.materialize("teacher/pilot", *below).success
        assert "no pilot was decided on" in opened.skipped_because("teacher_plan")
        no = tmp_path / "no.json"
        no.write_text(json.dumps({**GO, "decision": "no_go", "report": "correlation near 0"}))
        assert opened.materialize("teacher/pilot", *below, teacher_pilot=no).success
        assert "correlation near 0" in opened.skipped_because("teacher_plan")
        assert not opened.api.requests
        no.write_text("{}")
        assert not opened.materialize("teacher/pilot", teacher_pilot=no).success


def test_the_plan_is_shown_and_the_cap_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cap of 0 shows what asking would cost, and refuses it by name; no key is said as such.

    Guards money that is spent to find out what it would cost.
    """
    with school(tmp_path, by_unevenness, monkeypatch) as opened:
        opened.go()
        assert opened.materialize(
            "teacher_packets", "teacher_plan", teacher_cap_usd=Decimal(0)
        ).success
        # Concertos are not judged; a tenth of the rest is asked twice.
        segments = [row for row in made_rows(opened) if row["solo"]]
        assert opened.fact("teacher_packets", "dagster/row_count") == len(segments)
        assert len(segments) < int(str(opened.fact("teacher_plan", "to_ask"))) < 1.2 * len(segments)
        assert float(str(opened.fact("teacher_plan", "upper_usd"))) > 0
        assert opened.fact("teacher_plan", "fits") is False
        refused = opened.materialize("teacher_labels", teacher_cap_usd=Decimal(0))
        assert "TEACHER_CAP_USD" in _failure(refused)
        assert opened.api.bills == []
        monkeypatch.delenv(KEY_VARIABLE)
        assert KEY_VARIABLE in _failure(opened.materialize("teacher_plan"))


def test_true_scores_open_the_gate_and_are_paid_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels follow the places, the next tier may be planned, and asking again costs nothing.

    Guards a gate that cannot open, costs that are not the API's own, and a tier that is scored by
    another teacher than the one that earned it.
    """
    with school(tmp_path, by_unevenness, monkeypatch) as opened:
        opened.go()
        assert opened.materialize("teacher_packets", "teacher_plan", "teacher_labels").success
        passed, because = opened.gate()
        assert passed, because
        prices = read_prices()
        billed = sum(
            (prices.cost(bill.usage, bill.model, batched=True) for bill in opened.api.bills),
            Decimal(0),
        )
        assert opened.fact("teacher_labels", "cost_usd") == pytest.approx(float(billed))
        labels = read_labels(opened.store, f"{made.T2}/teacher_labels.json")
        assert sum((label.cost_usd for label in labels), Decimal(0)) == billed
        asked = len(opened.api.bills)
        assert opened.materialize("teacher_packets", "teacher_plan", "teacher_labels").success
        assert (len(opened.api.bills), opened.fact("teacher_plan", "to_ask")) == (asked, 0)
        assert opened.fact("teacher_packets", "as_before") == len(labels)
        other = opened.materialize("teacher_plan", prefix=made.T3, teacher_model="claude-opus-5-5")
        assert other.success
        assert "opened by claude-sonnet-5-5" in opened.skipped_because("teacher_plan", made.T3)
        assert opened.materialize("teacher_plan", prefix=made.T3).success
        assert opened.fact("teacher_plan", "questions", made.T3) == 0
        write_rows(opened.store, f"{made.T2}/metadata.jsonl", made_rows(opened)[:-1])
        assert opened.materialize("teacher_labels", prefix=made.T4).success
        because = opened.skipped_because("teacher_labels", made.T4)
        assert "have changed since the gate was asked" in because


def test_scores_of_chance_leave_the_other_tiers_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check fails and blocks; T3 and T4 are skipped with its report, and nothing is spent.

    Guards a gate that cannot fail.
    """
    with school(tmp_path, by_chance, monkeypatch) as opened:
        opened.go()
        opened.materialize("teacher_packets", "teacher_plan", "teacher_labels")
        passed, because = opened.gate()
        assert not passed
        assert "closed" in because
        asked = len(opened.api.bills)
        for prefix in (made.T3, made.T4):
            assert opened.materialize("teacher_plan", "teacher_labels", prefix=prefix).success
            assert "the gate is closed" in opened.skipped_because("teacher_plan", prefix)
        assert len(opened.api.bills) == asked


def test_a_batch_under_way_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that does not wait says how many answers are on their way; a later one has them.

    Guards a second batch for questions that are being answered.
    """
    with school(tmp_path, by_unevenness, monkeypatch) as opened:
        opened.go()
        opened.api.polls_until_ended = 2
        assert opened.materialize("teacher_packets").success
        assert opened.materialize("teacher_labels", teacher_wait_s=0.0).success
        assert "are waited for" in opened.skipped_because("teacher_labels")
        batches = len(opened.api.batches)
        assert opened.materialize("teacher_labels").success
        assert (len(opened.api.batches), opened.gate()[0]) == (batches, True)


def test_a_teacher_that_knows_who_plays_is_told_by_its_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guesses that are all right are far above chance; they count against the same caps.

    Guards packets that look blind, and a control that is asked outside of the budget.
    """

    def knows(packet: str, repeat: int) -> Mapping[str, object]:
        return {"pianist": known[packet.rpartition("\n\n")[2]]}

    with school(tmp_path, knows, monkeypatch) as opened:
        opened.go()
        assert opened.materialize("teacher_packets").success
        performers = {str(row["segment_id"]): str(row["performer"]) for row in made_rows(opened)}
        packets = opened.store.path(f"{made.T2}/teacher_packets.jsonl").read_text().splitlines()
        known = {
            packet["text"]: performers[packet["segment_id"]] for packet in map(json.loads, packets)
        }
        refused = opened.materialize("teacher_guess_control", teacher_cap_usd=Decimal(0))
        assert "TEACHER_CAP_USD" in _failure(refused)
        assert opened.materialize("teacher_guess_control").success
        assert opened.fact("teacher_guess_control", "guesses") == SIZES.competitors
        assert opened.fact("teacher_guess_control", "right_share") == 1.0
        assert opened.fact("teacher_guess_control", "likely_known") is True
        assert len(opened.api.bills) == SIZES.competitors


def test_a_packet_that_names_somebody_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that the rows say of a recording is looked for in its packet.

    Guards a teacher that knows who won. A duration of the recording stands in for a name here:
    packets hold nothing but figures, so that only a number can get in.
    """
    with school(tmp_path, by_unevenness, monkeypatch) as opened:
        (row, *rest) = made_rows(opened)
        evidence = opened.store.path(f"{made.T2}/teacher_evidence/{row['recording_id']}.parquet")
        table = pl.read_parquet(io.BytesIO(evidence.read_bytes()))
        buffer = io.BytesIO()
        table.with_columns(onsets_per_s=pl.lit(2021.5)).write_parquet(buffer)
        evidence.write_bytes(buffer.getvalue())
        write_rows(opened.store, f"{made.T2}/metadata.jsonl", [{**row, "edition": "2021.5"}, *rest])
        assert "gives its recording away" in _failure(opened.materialize("teacher_packets"))
        assert not opened.store.path(f"{made.T2}/teacher_packets.jsonl").exists()


def made_rows(opened: School) -> list[dict[str, object]]:
    """The rows of T2's metadata."""
    text = opened.store.path(f"{made.T2}/metadata.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def _failure(result: dg.ExecuteInProcessResult) -> str:
    """What a failed run says."""
    assert not result.success
    (event,) = (event for event in result.all_events if event.is_step_failure)
    error = event.step_failure_data.error
    assert error is not None
    told = [error.message, str(error.cause)]
    failure = event.step_failure_data.user_failure_data
    return " ".join([*told, str(failure.description if failure else "")])
