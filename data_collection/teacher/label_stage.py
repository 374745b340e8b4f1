"""From packets to `teacher_labels.json`, and the gate that opens the way to other tiers.

What belongs here: which questions a tier's packets make, the labels of their answers, and whether
T2's labels have earned that others are made. What does not: money and the API (`plans`, `scoring`,
`ledger`), statistics (`gate`), and Dagster (`assets`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from data_collection.recordings.receipts import StageResult, read_receipt, settle
from data_collection.recordings.rows import write_rows
from data_collection.recordings.store import Store, StoredFile, sha256_of_file
from data_collection.recordings.tier import Tier
from data_collection.teacher.answers import Answer
from data_collection.teacher.gate import Chances, JurorMark, judge
from data_collection.teacher.gate_performances import JudgedSegment
from data_collection.teacher.gate_report import GateReport, Rule, read_report, write_report
from data_collection.teacher.labels import (
    Agreement,
    ScoredAnswer,
    TeacherLabel,
    labels_of,
    read_labels,
    retest_agreement,
    write_labels,
)
from data_collection.teacher.packet_stage import PacketRow
from data_collection.teacher.pilot import Pilot, read_pilot
from data_collection.teacher.questions import Prompt, Question
from data_collection.teacher.rubric import Rubric, output_schema, system_text

LABELS = "teacher_labels"
GATE = "teacher_gate"
UNSCORED = "teacher_unscored"
PILOT_FILE = "teacher/pilot.json"
GATE_CODE_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Repeats:
    """How many segments are asked about more than once, to see whether answers agree.

    Attributes:
        times: how often they are asked in all; 1 for no repeats.
        share: of the segments, chosen by a hash of their ids.
    """

    times: int = 2
    share: float = 0.1


def settle_pilot(store: Store, pilot: Pilot) -> Pilot:
    """Keep a pilot's decision for the tiers that wait for it; without one, take away the last."""
    path = store.path(PILOT_FILE)
    if pilot.decision is not None:
        store.write_bytes(PILOT_FILE, pilot.decision.model_dump_json(indent=1).encode())
    elif path.exists():
        path.unlink()
    return pilot


def decided_pilot(store: Store) -> Pilot:
    """The decision that was kept last.

    Raises:
        SetupError: `pilot_unreadable`.
    """
    path = store.path(PILOT_FILE)
    if not path.exists():
        return Pilot(False, "no pilot was decided on: set TEACHER_PILOT, materialize teacher/pilot")
    return read_pilot(None, inline=path.read_text(encoding="utf-8"))


def prompt_of(rubric: Rubric) -> Prompt:
    """What is the same for all questions under a rubric."""
    return Prompt(system_text(rubric), output_schema(rubric), str(rubric.version), rubric.sha256)


def questions_of(rows: Iterable[PacketRow], repeats: Repeats) -> list[Question]:
    """One question a packet, and the repeats of some."""
    return [
        Question(row.segment_id, row.text, repeat)
        for row in rows
        for repeat in range(repeats.times if _is_repeated(row.segment_id, repeats) else 1)
    ]


def _is_repeated(segment_id: str, repeats: Repeats) -> bool:
    drawn = int.from_bytes(hashlib.sha256(segment_id.encode()).digest()[:4], "big") / 2**32
    return drawn < repeats.share


class UnscoredRow(BaseModel):
    """A row of `teacher_unscored.jsonl`: a segment that was asked about and has no label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segment_id: str = Field(description="of the tier's metadata")
    state: str = Field(description="refused, cut_off, invalid, expired or errored")
    because: str | None = Field(description="the same in words")


@dataclass(frozen=True, slots=True)
class WrittenLabels:
    """What the answers gave.

    Attributes:
        labels: a row a segment that has a valid answer.
        agreement: of repeated answers, by dimension.
        not_scored: answers that are no scores, by their state.
        file: as it was stored.
    """

    labels: Sequence[TeacherLabel]
    agreement: Sequence[Agreement]
    not_scored: Mapping[str, int]
    file: StoredFile


def write_answers(
    store: Store,
    tier: Tier,
    answers: Sequence[Answer],
    *,
    model: str,
    rubric: Rubric,
) -> WrittenLabels:
    """Write a tier's labels from the answers that are scores; the others are counted.

    Args:
        store: the data root.
        tier: whose segments were judged.
        answers: of one model under one rubric.
        model: as it was asked for; what it calls itself may name a day.
        rubric: that it was given.

    Raises:
        LabelsError: answers contradict each other.
    """
    scored: list[ScoredAnswer] = []
    paid_for: set[str] = set()
    for answer in answers:
        if answer.state != "scored" or answer.content is None:
            continue
        # Equal evidence is one question with one price, which is counted once.
        is_first = answer.custom_id not in paid_for
        paid_for.add(answer.custom_id)
        scored.append(
            ScoredAnswer.of_content(
                answer.segment_id,
                answer.repeat,
                answer.content,
                model=model,
                rubric_version=str(rubric.version),
                cost_usd=answer.cost_usd if is_first else Decimal(0),
            )
        )
    labels = labels_of(scored, rubric.names)
    labelled = {label.segment_id for label in labels}
    unscored = {
        answer.segment_id: UnscoredRow(
            segment_id=answer.segment_id, state=answer.state, because=answer.because
        )
        for answer in answers
        if answer.segment_id not in labelled
    }
    write_rows(store, f"{tier.folder(UNSCORED)}.jsonl", unscored.values())
    return WrittenLabels(
        labels=labels,
        agreement=retest_agreement(scored, rubric.names),
        not_scored=Counter(answer.state for answer in answers if answer.state != "scored"),
        file=write_labels(store, labels_path(tier), labels),
    )


def labels_path(tier: Tier) -> str:
    """Relative path of a tier's labels."""
    return f"{tier.folder(LABELS)}.json"


def settle_gate(
    store: Store,
    tier: Tier,
    segments: Callable[[], Sequence[JudgedSegment]],
    marks: Callable[[], Iterable[JurorMark]],
    *,
    decides_on: Rule,
    chances: Chances | None = None,
) -> GateReport:
    """Hold T2's labels against its outcomes, and keep the report for the other tiers.

    Args:
        store: the data root.
        tier: T2.
        segments: reads its metadata.
        marks: reads its jury's marks; none where there are none.
        decides_on: the rule that the verdict follows.
        chances: how much is drawn.

    Raises:
        SetupError: labels or rows cannot be read.
        GateError: they contradict each other.
    """
    chances = chances or Chances()
    inputs = _inputs(store, tier)
    labels = read_labels(store, labels_path(tier))
    report = judge(labels, segments(), marks=marks(), decides_on=decides_on, chances=chances)
    stored = write_report(store, f"{tier.folder(GATE)}.json", report)
    settle(
        store,
        tier.folder(GATE),
        tier.partitions_name,
        inputs=lambda: inputs,
        parameters=lambda: {
            "code_version": GATE_CODE_VERSION,
            "decides_on": decides_on,
            "seed": chances.seed,
            "permutations": chances.permutations,
            "resamples": chances.resamples,
        },
        work=lambda: StageResult(outputs=(stored,), facts={"verdict": report.verdict}),
    )
    return report


def gate_permits(store: Store, tier: Tier, model: str, rubric_version: str) -> tuple[bool, str]:
    """Whether other tiers may be scored, by the report on T2's present labels.

    Args:
        store: the data root.
        tier: T2.
        model: that would be asked.
        rubric_version: of the rubric that it would be given.

    Returns:
        Whether, and why or why not.

    Raises:
        SetupError: the report is damaged.
    """
    report = gate_report(store, tier)
    return (
        report.permits(model, rubric_version) if isinstance(report, GateReport) else (False, report)
    )


def gate_report(store: Store, tier: Tier) -> GateReport | str:
    """The gate's report on T2's present labels, or why there is none.

    Raises:
        SetupError: the report is damaged.
    """
    receipt = read_receipt(store, tier.folder(GATE), tier.partitions_name)
    if receipt is None or receipt.state != "done":
        return f"the gate was never asked; materialize {tier.folder(LABELS)} first"
    if receipt.inputs != _inputs(store, tier):
        return (
            "T2's labels or rows have changed since the gate was asked; execute the check of "
            f"{tier.folder(LABELS)} again"
        )
    return read_report(store, f"{tier.folder(GATE)}.json")


def _inputs(store: Store, tier: Tier) -> dict[str, str]:
    paths = {
        "labels_sha256": labels_path(tier),
        "metadata_sha256": f"{tier.folder('metadata')}.jsonl",
    }
    return {
        name: sha256_of_file(store.path(path)) if store.path(path).exists() else ""
        for name, path in paths.items()
    }
