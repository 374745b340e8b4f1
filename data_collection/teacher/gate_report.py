"""What the gate found: the verdict, its reasons, and every figure behind it.

What belongs here: the report's models, writing and reading them, and the rows of a table and a plot
for the UI. What does not: finding anything (`gate`, `gate_controls`, `gate_statistics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store, StoredFile

Verdict = Literal["open", "closed", "void", "not_assessable"]
Rule = Literal["seed", "strict"]
Target = Literal["placement", "jury_mark"]
RoundState = Literal["counted", "concerto", "too_small", "tied", "no_outcome"]
Control = Literal["shuffled", "random", "loudness", "duration", "loudness_and_duration"]
OVERALL = "all dimensions"
"""The mean of a segment's scores; shown, and never counted as a dimension."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RoundRow(_Entry):
    """One round against one target."""

    round: str = Field(description="id of the round")
    target: Target = Field(description="what quality is held against")
    state: RoundState = Field(description="counted, or why it is not")
    because: str = Field(description="the state in words")
    performers: int = Field(ge=0, description="with labels and an outcome")
    without_labels: int = Field(ge=0, description="who played the round and have no label")
    levels: int = Field(ge=0, description="different outcomes; performers of one level are ties")
    largest_rho: float = Field(ge=0, le=1, description="what perfect scores would reach, for ties")
    noise_ceiling: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="what the jury's own disagreement leaves: the square root of the split-half "
        "reliability of its mean; null without marks of four jurors",
    )
    meets: dict[Rule, bool] | None = Field(
        description="whether this round alone meets each rule; null where it cannot be told"
    )


class RhoRow(_Entry):
    """How one dimension follows one target, in a round or over the counted rounds."""

    round: str | None = Field(description="id of the round; null for the counted rounds together")
    target: Target = Field(description="what quality is held against")
    dimension: str = Field(description=f"of the rubric, or `{OVERALL}`")
    performers: int = Field(ge=0, description="whose means are compared; over rounds their sum")
    rho: float | None = Field(
        description="Spearman's, positive where the better are scored higher; null without variety"
    )
    p: float | None = Field(description="one-sided, by shuffling performers")
    low: float | None = Field(description="lower end of the 95 % interval, drawing performers anew")
    high: float | None = Field(description="upper end")


class ControlRow(_Entry):
    """Something that is no judgement of quality, put through the same rule."""

    control: Control
    rule: Rule | None = Field(description="whose verdict it can void; null for both")
    rho: float | None = Field(
        description="of the control itself; null where it is drawn many times"
    )
    p: float | None = Field(description="two-sided, by shuffling performers")
    pass_share: float | None = Field(description="of its draws that meet the rule")
    draws: int = Field(ge=0, description="how often it was drawn")
    outcome: Literal["failed", "passed", "not_run"] = Field(description="it has to fail")
    because: str = Field(description="the outcome in words")


class RuleVerdict(_Entry):
    """What one rule says over the counted rounds."""

    rule: Rule = Field(description="seed: rho itself; strict: the lower end of its interval")
    verdict: Verdict
    dimensions_above: int = Field(ge=0, description="dimensions above the bound")
    dimensions_needed: int = Field(ge=0, description="how many are needed")
    decisive: float | None = Field(
        description="the value that has to be above the bound: the smallest of the best dimensions "
        "that are needed; null without a counted round"
    )
    chance: float | None = Field(
        description="share of shuffled orders whose rho does as well as the labels' own"
    )
    because: str = Field(description="the verdict in words")


class GateReport(_Entry):
    """Whether labels may be trusted, and all that this rests on."""

    schema_version: Literal[1] = 1
    verdict: Verdict = Field(description="of the rule that decides")
    decides_on: Rule
    because: tuple[str, ...] = Field(description="in words, what decides first")
    rules: tuple[RuleVerdict, ...]
    teacher_model: str | None = Field(description="whose labels; null without any")
    rubric_version: str | None = Field(description="of those labels")
    segments: int = Field(ge=0, description="labels that were used")
    performers: int = Field(ge=0, description="performers in them")
    unknown_segments: tuple[str, ...] = Field(
        description="labels left out: their segments no longer exist"
    )
    not_solo_segments: int = Field(
        ge=0, description="labels left out: others play too, in a round of recitals"
    )
    rho_bound: float
    share_needed: float
    rounds: tuple[RoundRow, ...]
    correlations: tuple[RhoRow, ...]
    controls: tuple[ControlRow, ...]
    seed: int
    permutations: int
    resamples: int

    def permits(self, teacher_model: str, rubric_version: str) -> tuple[bool, str]:
        """Whether other tiers may be scored, by the teacher that earned it and no other.

        Returns:
            Whether, and why or why not, for the UI.
        """
        if self.verdict != "open":
            return False, f"the gate is {self.verdict}: {'; '.join(self.because)}"
        earned = (self.teacher_model, self.rubric_version)
        if (teacher_model, rubric_version) != earned:
            return False, (
                f"the gate was opened by {self.teacher_model} with rubric {self.rubric_version}, "
                f"not by {teacher_model} with rubric {rubric_version}; score T2 with it first"
            )
        return True, "; ".join(self.because)


def write_report(store: Store, relative: str, report: GateReport) -> StoredFile:
    """Write a report whole; equal reports give equal bytes."""
    return store.write_bytes(relative, f"{report.model_dump_json(indent=1)}\n".encode())


def read_report(store: Store, relative: str) -> GateReport:
    """Read a report back.

    Raises:
        SetupError: `gate_missing` where it is not there, `gate_unreadable` where it is damaged or
            of another version.
    """
    path = store.path(relative)
    try:
        return GateReport.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise SetupError("gate_missing", f"{path} is not there; run the gate first") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise SetupError(
            "gate_unreadable", f"{path}, {where}: {first['msg']}; run the gate again"
        ) from error


def gate_table(
    report: GateReport, target: Target = "placement"
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Columns and rows of a table: a row a dimension, a column a round, the counted ones together.

    A cell is `rho [low, high] p`.
    """
    rounds: list[str | None] = [row.round for row in report.rounds if row.target == target]
    found = {(r.round, r.dimension): r for r in report.correlations if r.target == target}
    dimensions = list(dict.fromkeys(dimension for _, dimension in found))
    heads = [_head(row) for row in report.rounds if row.target == target]
    return (
        ("dimension", *heads, "counted rounds"),
        [
            (name, *(_cell(found.get((round_, name))) for round_ in [*rounds, None]))
            for name in dimensions
        ],
    )


def control_table(report: GateReport) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Columns and rows of a table of the controls."""
    return (
        ("control", "can void", "outcome", "why"),
        [(row.control, row.rule or "both", row.outcome, row.because) for row in report.controls],
    )


def gate_bars(report: GateReport, target: Target = "placement") -> dict[str, float]:
    """Rho over the counted rounds by dimension, and of the controls that have one, for a plot."""
    bars = {
        row.dimension: row.rho
        for row in report.correlations
        if row.round is None and row.target == target and row.rho is not None
    }
    if target == "placement":
        bars |= {
            f"{row.control} only (has to fail)": row.rho
            for row in report.controls
            if row.control in ("loudness", "duration") and row.rho is not None
        }
    return bars


def gate_figures(report: GateReport) -> Mapping[str, float]:
    """Figures whose history is worth a plot: a name in plain letters and a number each."""
    figures: dict[str, float] = {
        "labelled_segments": float(report.segments),
        "labelled_performers": float(report.performers),
    }
    for verdict in report.rules:
        if verdict.decisive is not None:
            figures[f"decisive_{verdict.rule}"] = verdict.decisive
            figures[f"dimensions_above_{verdict.rule}"] = float(verdict.dimensions_above)
    for row in report.controls:
        value = row.rho if row.pass_share is None else row.pass_share
        if value is not None:
            figures["_".join(("control", row.control, *([row.rule] if row.rule else [])))] = value
    return figures


def _head(row: RoundRow) -> str:
    note = "" if row.state == "counted" else f", {row.state.replace('_', ' ')}: not counted"
    return f"{row.round} ({row.performers}{note})"


def _cell(row: RhoRow | None) -> str:
    if row is None or row.rho is None or row.low is None or row.high is None or row.p is None:
        return "–"
    return f"{row.rho:+.2f} [{row.low:+.2f}, {row.high:+.2f}] p {row.p:.3f}"
