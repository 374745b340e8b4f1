"""The gate: whether the teacher's labels of T2 follow what the juries decided.

What belongs here: which rounds count, what is held against what, and the verdict. What does not:
joining tables (`gate_performances`), arithmetic (`gate_statistics`), what must fail
(`gate_controls`), and the report's form (`gate_report`). Error rates of the rules, measured:
`docs/decisions/teacher-gate.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from data_collection.teacher.gate_controls import (
    CONFOUND_P,
    confound_control,
    random_control,
    remaining_control,
    shuffled_control,
)
from data_collection.teacher.gate_performances import (
    JudgedSegment,
    Performances,
    gather_performances,
    matrix,
)
from data_collection.teacher.gate_report import (
    OVERALL,
    Control,
    ControlRow,
    GateReport,
    RhoRow,
    RoundRow,
    RoundState,
    Rule,
    RuleVerdict,
    Target,
    Verdict,
)
from data_collection.teacher.gate_statistics import (
    RHO_BOUND,
    SHARE_NEEDED,
    Array,
    Correlations,
    Draws,
    RankedRound,
    correlations,
    decisive,
    dimensions_needed,
    draw,
    largest_rho,
    split_half_reliability,
)
from data_collection.teacher.labels import TeacherLabel

MIN_PERFORMERS = 8
"""With fewer, the interval of a true rho of 0.8 still reaches below the bound."""
LEAST_LARGEST_RHO = 0.5
"""Where ties keep perfect scores below it, a good teacher cannot be told from a poor one."""
FEWEST_SHOWN = 3
"""A rank correlation of two is 1 or -1 whatever they play."""
KNOWN_SHARE = 0.9
"""A control of fewer performers than that would fail for want of numbers."""
RULES: tuple[Rule, ...] = ("seed", "strict")
TARGETS: tuple[Target, ...] = ("placement", "jury_mark")


class JurorMark(Protocol):
    """What one juror gave one performer; a row of T2's `jury_marks.jsonl` is one."""

    @property
    def juror(self) -> str:
        """Who marked."""
        ...

    @property
    def performer(self) -> str:
        """Who was marked."""
        ...

    @property
    def round(self) -> str:
        """Id of the round."""
        ...

    @property
    def mark(self) -> float | None:
        """On the competition's scale; None where the juror did not mark."""
        ...


@dataclass(frozen=True, slots=True)
class Chances:
    """How much is drawn, and from which seed.

    Attributes:
        seed: of all draws.
        permutations: shuffles of the performers.
        resamples: of the performers, for the intervals.

    Raises:
        ValueError: so few shuffles that no control could ever be beyond chance.
    """

    seed: int = 20211020
    permutations: int = 2000
    resamples: int = 2000

    def __post_init__(self) -> None:
        fewest = round(1 / CONFOUND_P) - 1
        if self.permutations < fewest or self.resamples < fewest:
            raise ValueError(f"a gate needs {fewest} permutations and resamples or more")


@dataclass(frozen=True, slots=True)
class _Found:
    """How rounds follow a target: every dimension, then the mean of all."""

    rounds: tuple[RankedRound, ...]
    values: Correlations


@dataclass(frozen=True, slots=True)
class _Against:
    """All rounds held against one target."""

    rows: list[RoundRow]
    rhos: list[RhoRow]
    counted: tuple[str, ...]
    together: _Found | None


def judge(
    labels: Iterable[TeacherLabel],
    segments: Iterable[JudgedSegment],
    *,
    marks: Iterable[JurorMark] = (),
    decides_on: Rule = "strict",
    chances: Chances | None = None,
) -> GateReport:
    """Hold the teacher's labels against the outcomes of a competition.

    Quality is a performer's mean over the labelled segments of a round. The order within a round is
    that of the final places, as `preferences` has it: those who went further above those who did
    not, in the order of the prizes; equal places are ties. Sign is fixed so that rho is positive
    where the better are scored higher.

    Args:
        labels: of one teacher and rubric. Those of segments that are gone are named and left out.
        segments: all of the competition's, labelled or not. Mark a concerto within a round of
            recitals as not solo: it is left out.
        marks: of single jurors, for the noise ceiling of the marks.
        decides_on: the rule that the verdict follows; both are reported.
        chances: how much is drawn.

    Raises:
        GateError: labels and segments contradict each other or themselves.
    """
    chances = chances or Chances()
    performances = gather_performances(labels, segments)
    return _Gate(performances, _reliabilities(marks, chances.seed), chances).report(decides_on)


class _Gate:
    """The steps from performances to a report, with what all of them need."""

    def __init__(
        self, performances: Performances, reliabilities: Mapping[str, float], chances: Chances
    ) -> None:
        self._performances = performances
        self._reliabilities = reliabilities
        self._chances = chances
        self._dimensions = performances.dimensions
        self._shown = (*performances.dimensions, OVERALL)
        players = performances.performers
        self._players = {performer: at for at, performer in enumerate(players)}
        self._draws: Draws = draw(
            max(len(players), 1),
            seed=chances.seed,
            permutations=chances.permutations,
            resamples=chances.resamples,
        )

    def report(self, decides_on: Rule) -> GateReport:
        by_place = self._against("placement")
        by_mark = [self._against("jury_mark")] if self._has_marks() else []
        controls = self._controls(by_place)
        rules = tuple(self._rule(rule, by_place, controls) for rule in RULES)
        deciding = next(rule for rule in rules if rule.rule == decides_on)
        gathered = self._performances
        return GateReport(
            verdict=deciding.verdict,
            decides_on=decides_on,
            because=(deciding.because, *_other_reasons(rules, deciding)),
            rules=rules,
            teacher_model=gathered.teacher_model,
            rubric_version=gathered.rubric_version,
            segments=gathered.segments,
            performers=gathered.rows.filter(pl.col("labelled") > 0)["performer"].n_unique(),
            unknown_segments=gathered.unknown_segments,
            not_solo_segments=gathered.not_solo_segments,
            rho_bound=RHO_BOUND,
            share_needed=SHARE_NEEDED,
            rounds=tuple(row for held in (by_place, *by_mark) for row in held.rows),
            correlations=tuple(row for held in (by_place, *by_mark) for row in held.rhos),
            controls=controls,
            seed=self._chances.seed,
            permutations=self._chances.permutations,
            resamples=self._chances.resamples,
        )

    def _has_marks(self) -> bool:
        return self._performances.rows["jury_mark"].count() > 0

    def _against(self, target: Target) -> _Against:
        """Every round against a target, then the counted ones together."""
        rows: list[RoundRow] = []
        rhos: list[RhoRow] = []
        counted: dict[str, RankedRound] = {}
        for round_id in self._performances.rounds:
            ranked = self._ranked(round_id, target, self._shown)
            found = self._correlated([ranked]) if ranked.size >= FEWEST_SHOWN else None
            rows.append(self._round_row(round_id, target, ranked, found))
            rhos += self._rho_rows(round_id, target, found)
            if rows[-1].state == "counted":
                counted[round_id] = ranked
        together = self._correlated([*counted.values()]) if counted else None
        rhos += self._rho_rows(None, target, together)
        return _Against(rows, rhos, tuple(counted), together)

    def _correlated(self, rounds: Sequence[RankedRound]) -> _Found:
        return _Found(tuple(rounds), correlations(rounds, self._draws))

    def _ranked(self, round_id: str, target: Target, columns: Sequence[str]) -> RankedRound:
        """The labelled performers of a round who have the outcome and the columns."""
        rows = self._labelled(round_id).drop_nulls([target, *columns])
        sign = -1.0 if target == "placement" else 1.0
        return RankedRound(
            players=np.array([self._players[p] for p in rows["performer"]], dtype=np.int64),
            scores=matrix(rows, columns),
            order=sign * matrix(rows, [target])[:, 0],
        )

    def _labelled(self, round_id: str) -> pl.DataFrame:
        return self._performances.rows.filter(pl.col("labelled") > 0, round=round_id)

    def _round_row(
        self, round_id: str, target: Target, ranked: RankedRound, found: _Found | None
    ) -> RoundRow:
        played = self._performances.rows.filter(round=round_id)
        state, because = _state(bool(played["solo"].any()), played[target].count(), ranked)
        unlabelled = played.filter(labelled=0).height
        reliability = self._reliabilities.get(round_id) if target == "jury_mark" else None
        told = found if state in ("counted", "concerto") else None
        return RoundRow(
            round=round_id,
            target=target,
            state=state,
            because=f"{because}; {unlabelled} more have no labels" if unlabelled else because,
            performers=ranked.size,
            without_labels=unlabelled,
            levels=len(np.unique(ranked.order)),
            largest_rho=largest_rho(ranked.order),
            noise_ceiling=None if reliability is None else reliability**0.5,
            meets={rule: self._decisive(rule, told) > RHO_BOUND for rule in RULES}
            if told
            else None,
        )

    def _rho_rows(self, round_id: str | None, target: Target, found: _Found | None) -> list[RhoRow]:
        if found is None:
            return []
        values = found.values
        return [
            RhoRow(
                round=round_id,
                target=target,
                dimension=dimension,
                performers=sum(round_.size for round_ in found.rounds),
                rho=_known(values.rho[at]),
                p=_known(values.p[at]),
                low=_known(values.low[at]),
                high=_known(values.high[at]),
            )
            for at, dimension in enumerate(self._shown)
        ]

    def _decided_on(self, rule: Rule, found: _Found) -> Array:
        """What a rule looks at, of the dimensions without their mean."""
        values = found.values.rho if rule == "seed" else found.values.low
        return values[: len(self._dimensions)]

    def _decisive(self, rule: Rule, found: _Found) -> float:
        return float(decisive(self._decided_on(rule, found)))

    def _controls(self, held: _Against) -> tuple[ControlRow, ...]:
        if held.together is None:
            return ()
        size = len(self._dimensions)
        rounds = [RankedRound(r.players, r.scores[:, :size], r.order) for r in held.together.rounds]
        labelled = [
            self._labelled(round_id).drop_nulls("placement")["labelled"].to_numpy()
            for round_id in held.counted
        ]
        return (
            *shuffled_control(rounds, held.together.values.shuffled[:, :size], self._draws),
            *random_control(rounds, labelled, self._draws, seed=self._chances.seed),
            self._confound("loudness", "loudness_lufs", held.counted),
            self._confound("duration", "duration_s", held.counted),
            self._remaining(self._decisive("seed", held.together), held.counted),
        )

    def _known(self, columns: Sequence[str], counted: Sequence[str]) -> list[RankedRound]:
        """The counted rounds with these columns; none where too many of a round lack them."""
        rounds = [self._ranked(round_id, "placement", columns) for round_id in counted]
        sizes = [self._ranked(round_id, "placement", self._shown).size for round_id in counted]
        enough = all(r.size >= KNOWN_SHARE * size for r, size in zip(rounds, sizes, strict=True))
        return rounds if enough else []

    def _confound(self, control: Control, column: str, counted: Sequence[str]) -> ControlRow:
        return confound_control(control, self._known([column], counted), self._draws)

    def _remaining(self, own: float, counted: Sequence[str]) -> ControlRow:
        size = len(self._dimensions)
        known = self._known((*self._dimensions, "loudness_lufs", "duration_s"), counted)
        rounds = [RankedRound(r.players, r.scores[:, :size], r.order) for r in known]
        return remaining_control(own, rounds, [r.scores[:, size:] for r in known])

    def _rule(self, rule: Rule, held: _Against, controls: Sequence[ControlRow]) -> RuleVerdict:
        needed = dimensions_needed(len(self._dimensions))
        if held.together is None:
            return RuleVerdict(
                rule=rule,
                verdict="not_assessable",
                dimensions_above=0,
                dimensions_needed=needed,
                decisive=None,
                chance=None,
                because=self._why_none_counts(held.rows),
            )
        value, own = (self._decisive(name, held.together) for name in (rule, "seed"))
        shuffled = decisive(held.together.values.shuffled[:, : len(self._dimensions)])
        reached = int((self._decided_on(rule, held.together) > RHO_BOUND).sum())
        verdict, objection = _verdict(value, [c for c in controls if c.rule in (None, rule)])
        what = "rho" if rule == "seed" else "the lower end of rho's interval"
        return RuleVerdict(
            rule=rule,
            verdict=verdict,
            dimensions_above=reached,
            dimensions_needed=needed,
            decisive=value,
            chance=float(((shuffled >= own).sum() + 1) / (len(shuffled) + 1)),
            because=(
                f"{objection}{what} is above {RHO_BOUND} in {reached} of {len(self._dimensions)} "
                f"dimensions over {', '.join(held.counted)}; {needed} are needed"
            ),
        )

    def _why_none_counts(self, rows: Sequence[RoundRow]) -> str:
        gathered = self._performances
        if not gathered.segments:
            gone = len(gathered.unknown_segments)
            return "no label is of a segment that exists" if gone else "there are no labels of T2"
        if not gathered.rows["placement"].count():
            return "no performer has a placement; materialize T2's results and metadata"
        return "no round counts: " + "; ".join(
            f"{row.round} {row.because}" for row in rows if row.target == "placement"
        )


def _state(solo: bool, outcomes: int, ranked: RankedRound) -> tuple[RoundState, str]:
    """Whether a round counts, and why or why not."""
    if not outcomes:
        return "no_outcome", "has no outcome"
    if not solo:
        return "concerto", "is of concertos, an orchestra plays: shown, not counted"
    if ranked.size < MIN_PERFORMERS:
        return "too_small", f"has {ranked.size} labelled performers, below {MIN_PERFORMERS}"
    largest = largest_rho(ranked.order)
    if largest < LEAST_LARGEST_RHO:
        return "tied", f"has so many ties that perfect scores would reach rho {largest:.2f}"
    return "counted", f"counts with {ranked.size} performers"


def _verdict(value: float, controls: Sequence[ControlRow]) -> tuple[Verdict, str]:
    """The verdict of counted rounds, and what a control says against it."""
    passed = [row.because for row in controls if row.outcome == "passed"]
    if passed:
        return "void", f"a control passed: {'; '.join(passed)}. Without it: "
    missing = [row.because for row in controls if row.outcome == "not_run"]
    if missing:
        return "not_assessable", f"a control could not be run: {'; '.join(missing)}. Without it: "
    return ("open" if value > RHO_BOUND else "closed"), ""


def _other_reasons(rules: Sequence[RuleVerdict], deciding: RuleVerdict) -> tuple[str, ...]:
    """What the rule that does not decide would say, where it says otherwise."""
    return tuple(
        f"by the {other.rule} rule it would be {other.verdict}: {other.because}"
        for other in rules
        if other.verdict != deciding.verdict
    )


def _reliabilities(marks: Iterable[JurorMark], seed: int) -> dict[str, float]:
    """Split-half reliability of each round's mean mark, where four jurors or more marked."""
    by_round: defaultdict[str, list[tuple[str, str, float]]] = defaultdict(list)
    for row in marks:
        if row.mark is not None:
            by_round[row.round].append((row.juror, row.performer, row.mark))
    found = {
        round_id: split_half_reliability(_on_one_scale(given), seed=seed)
        for round_id, given in by_round.items()
    }
    return {round_id: value for round_id, value in found.items() if value is not None}


def _on_one_scale(given: Sequence[tuple[str, str, float]]) -> Array:
    """Marks as [jurors, performers] z-scores of each juror; not a number where none was given."""
    jurors = sorted({juror for juror, _, _ in given})
    performers = sorted({performer for _, performer, _ in given})
    table = np.full((len(jurors), len(performers)), np.nan)
    for juror, performer, mark in given:
        table[jurors.index(juror), performers.index(performer)] = mark
    spread = np.nanstd(table, axis=1, keepdims=True)
    centred: Array = table - np.nanmean(table, axis=1, keepdims=True)
    return centred / np.where(spread > 0, spread, 1)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
