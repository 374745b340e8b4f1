"""The gate: it opens to a teacher that hears, stays shut to one that does not, and says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.competition.rows import CompetitionSegmentRow
from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store
from data_collection.teacher.gate import Chances, judge
from data_collection.teacher.gate_performances import GateError
from data_collection.teacher.gate_report import (
    OVERALL,
    GateReport,
    control_table,
    gate_bars,
    gate_figures,
    gate_table,
    read_report,
    write_report,
)
from data_collection.teacher.labels import TeacherLabel
from data_collection_tests.teacher.made_competition import (
    DIMENSIONS,
    MadeSegment,
    World,
    compete,
    label,
)

FEW = Chances(permutations=250, resamples=250)
HEARS = World(segments=2, teacher=0.9)
FILE = "competition_cache/x/teacher_gate.json"
Made = tuple[list[TeacherLabel], list[MadeSegment]]


def made(world: World, seed: int = 1) -> Made:
    competition = compete(world, np.random.default_rng(seed))
    return competition.labels(), competition.segments()


@pytest.fixture(scope="module")
def heard() -> Made:
    return made(HEARS)


@pytest.fixture(scope="module")
def opened(heard: Made) -> GateReport:
    return judge(*heard, chances=FEW)


def over_rounds(report: GateReport) -> dict[str, float | None]:
    return {row.dimension: row.rho for row in report.correlations if row.round is None}


def changed(made_up: Made, change: Callable[[MadeSegment], MadeSegment]) -> Made:
    labels, segments = made_up
    return labels, [change(segment) for segment in segments]


def test_a_teacher_that_hears_opens_it_on_both_rules(opened: GateReport) -> None:
    """A gate that never opens would waste what it guards."""
    assert opened.verdict == "open"
    assert [rule.verdict for rule in opened.rules] == ["open", "open"]
    assert all(row.outcome == "failed" for row in opened.controls)
    assert {row.control for row in opened.controls} == {
        "shuffled",
        "random",
        "loudness",
        "duration",
        "loudness_and_duration",
    }
    assert all(rho is not None and rho > 0.3 for rho in over_rounds(opened).values())


def test_noise_leaves_it_closed() -> None:
    """Money would be spent on labels that mean nothing."""
    report = judge(*made(replace(HEARS, teacher=0.0)), chances=FEW)
    assert report.verdict == "closed"
    assert [rule.verdict for rule in report.rules] == ["closed", "closed"]
    assert "4 are needed" in report.because[0]


def test_a_teacher_that_prefers_the_worse_is_not_let_in(heard: Made) -> None:
    """Place 1 is the best and a high score too; with the sign wrong, spite would open the gate."""
    labels, segments = heard
    turned = [
        label(row.segment_id, [6 - s for s in row.dimension_scores.values()]) for row in labels
    ]
    report = judge(turned, segments, chances=FEW)
    assert report.verdict == "closed"
    assert all(rho is not None and rho < 0 for rho in over_rounds(report).values())


def test_labels_that_follow_loudness_void_it() -> None:
    """Where the better play louder, a level meter would pass for a judge."""
    world = replace(HEARS, teacher=0.95, loudness=0.6, hears_loudness=True)
    report = judge(*made(world), chances=FEW)
    assert [rule.verdict for rule in report.rules] == ["void", "void"]
    passed = {row.control for row in report.controls if row.outcome == "passed"}
    assert "loudness" in passed
    assert "loudness alone follows the outcome" in report.because[0]


def test_a_weak_confound_that_is_all_there_is_voids_it_too() -> None:
    """Loudness may be within chance by itself and still be everything that labels follow."""
    world = replace(HEARS, teacher=0.95, loudness=0.35, hears_loudness=True)
    report = judge(*made(world, 4), chances=FEW)
    outcomes = {row.control: row.outcome for row in report.controls if row.rule is None}
    assert outcomes["loudness"] == "failed"
    assert outcomes["loudness_and_duration"] == "passed"
    assert report.rules[0].dimensions_above >= 4
    assert report.rules[0].verdict == "void"
    assert "at equal loudness and duration" in report.because[0]


def test_a_quiet_confound_voids_it_as_well_as_a_loud_one(heard: Made) -> None:
    """Better pianists who play softer are as much a confound as those who play louder."""
    softer = changed(
        heard,
        lambda segment: replace(segment, loudness_lufs=-40.0 + float(segment.placement or 0)),
    )
    report = judge(*softer, chances=FEW)
    loudness = next(row for row in report.controls if row.control == "loudness")
    assert loudness.rho is not None
    assert loudness.rho < -0.9
    assert report.verdict == "void"


def test_a_rule_that_cannot_say_no_to_few_performers_is_void() -> None:
    """With ten performers one shuffle in five meets the seed's rule: an open gate is luck there."""
    report = judge(*made(World(sizes=(10,), concertos=0, segments=4, teacher=0.95)), chances=FEW)
    seed, strict = report.rules
    shuffled = next(row for row in report.controls if row.control == "shuffled")
    assert shuffled.pass_share is not None
    assert shuffled.pass_share > 0.05
    assert seed.verdict == "void"
    assert strict.verdict in ("open", "closed")


def test_a_concerto_round_is_shown_and_not_counted(opened: GateReport) -> None:
    """The orchestra is what one hears there."""
    concerto = next(row for row in opened.rounds if row.state == "concerto")
    assert concerto.performers == 12
    shown = [row for row in opened.correlations if row.round == concerto.round]
    assert len(shown) == len(DIMENSIONS) + 1
    together = next(row for row in opened.correlations if row.round is None)
    assert together.performers == 87 + 45 + 23


def test_a_concerto_within_a_round_of_recitals_is_left_out(heard: Made) -> None:
    """A title may name a concerto in a round of recitals; its labels would mix two things."""
    first = heard[1][0]
    labels, segments = changed(
        heard, lambda s: replace(s, solo=False) if s.performer == first.performer else s
    )
    report = judge(labels, segments, chances=FEW)
    assert report.not_solo_segments > 0
    found = next(row for row in report.rounds if row.round == first.round)
    assert (found.state, found.performers) == ("counted", 86)


def test_more_segments_of_the_same_recital_are_no_more_evidence(heard: Made) -> None:
    """Segments of one recital are not independent: only performers count."""
    labels, segments = heard
    doubled = judge(
        [
            *labels,
            *(label(f"{row.segment_id}b", [*row.dimension_scores.values()]) for row in labels),
        ],
        [*segments, *(replace(s, segment_id=f"{s.segment_id}b") for s in segments)],
        chances=FEW,
    )
    once = judge(labels, segments, chances=FEW)
    assert doubled.correlations == once.correlations
    assert doubled.segments == 2 * once.segments


def test_the_order_of_rows_changes_nothing(heard: Made, opened: GateReport) -> None:
    """Equal tables give equal reports, whatever order a file came in."""
    labels, segments = heard
    mixed = np.random.default_rng(5)
    assert (
        judge(
            [labels[at] for at in mixed.permutation(len(labels))],
            [segments[at] for at in mixed.permutation(len(segments))],
            chances=FEW,
        )
        == opened
    )


def test_a_dimension_that_never_varies_counts_against_it(heard: Made) -> None:
    """Three dimensions of one score each leave three of six: not the four that are needed."""
    labels, segments = heard
    flat = [
        label(row.segment_id, [3, 3, 3, *[*row.dimension_scores.values()][3:]]) for row in labels
    ]
    report = judge(flat, segments, chances=FEW)
    assert report.verdict == "closed"
    assert [report.rules[0].dimensions_above, report.rules[0].dimensions_needed] == [3, 4]
    assert over_rounds(report)["dynamics"] is None


NOT_ASSESSABLE: list[tuple[str, Callable[[Made], Made], str]] = [
    ("no labels", lambda m: ([], m[1]), "there are no labels"),
    ("no segments", lambda m: (m[0], []), "no label is of a segment that exists"),
    ("nothing", lambda m: ([], []), "there are no labels"),
    (
        "no placements",
        lambda m: changed(m, lambda s: replace(s, placement=None)),
        "has a placement",
    ),
    ("all tied", lambda m: changed(m, lambda s: replace(s, placement=4)), "rho 0.00"),
    ("concertos", lambda m: changed(m, lambda s: replace(s, solo=False)), "orchestra"),
    ("no loudness", lambda m: changed(m, lambda s: replace(s, loudness_lufs=None)), "loudness is"),
    (
        "little loudness",
        lambda m: changed(
            m, lambda s: replace(s, loudness_lufs=None) if s.performer > "p060" else s
        ),
        "loudness is",
    ),
    (
        "few",
        lambda m: (m[0], [s for s in m[1] if s.performer < "p007"]),
        "labelled performers, below 8",
    ),
]


@pytest.mark.parametrize(
    ("change", "told"),
    [pytest.param(change, told, id=name) for name, change, told in NOT_ASSESSABLE],
)
def test_what_cannot_be_told_is_never_passed(
    heard: Made, change: Callable[[Made], Made], told: str
) -> None:
    """No data is no proof: the gate stays shut and says what is missing."""
    report = judge(*change(heard), chances=FEW)
    assert [rule.verdict for rule in report.rules] == ["not_assessable"] * 2
    assert told in report.because[0]
    assert not report.permits("made-up", "1")[0]


def test_labels_of_segments_that_are_gone_are_named_and_left_out(
    heard: Made, opened: GateReport
) -> None:
    """Old labels of clips cut anew must not count, and must not vanish silently."""
    labels, segments = heard
    report = judge([*labels, label("gone_seg0000", [1] * 6)], segments, chances=FEW)
    assert report.unknown_segments == ("gone_seg0000",)
    assert report.correlations == opened.correlations


def test_performers_without_labels_are_counted_in_words(heard: Made) -> None:
    """A gate of half the field has to say that it is one."""
    labels, segments = heard
    report = judge(labels[: -10 * HEARS.segments], segments, chances=FEW)
    assert sum(row.without_labels for row in report.rounds) == 10
    assert any("10 more have no labels" in row.because for row in report.rounds)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: (m[0], [*m[1], m[1][0]]), "segment .* stands twice"),
        (lambda m: ([*m[0], m[0][0]], m[1]), "label of .* stands twice"),
        (
            lambda m: ([label(m[0][0].segment_id, [1] * 6, model="other"), *m[0][1:]], m[1]),
            "other with rubric 1",
        ),
        (lambda m: ([label(m[0][0].segment_id, [7] * 6), *m[0][1:]], m[1]), "is 7, outside of 1"),
        (lambda m: ([label(m[0][0].segment_id, [0] * 6), *m[0][1:]], m[1]), "is 0, outside of 1"),
        (
            lambda m: (
                [label(m[0][0].segment_id, [1], dimensions=["timing"]), *m[0][1:]],
                m[1],
            ),
            "differ in",
        ),
        (lambda m: (m[0], [replace(m[1][0], placement=40), *m[1][1:]]), "placement"),
        (lambda m: (m[0], [replace(m[1][0], jury_mark=40.0), *m[1][1:]]), "jury_mark"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(
    heard: Made, change: Callable[[Made], Made], told: str
) -> None:
    """A verdict from mixed teachers or doubled rows would look like any other."""
    with pytest.raises(GateError, match=told):
        judge(*change(heard), chances=FEW)


@dataclass(frozen=True)
class Mark:
    """What one juror gave one performer."""

    juror: str
    performer: str
    round: str
    mark: float | None


def test_jury_marks_are_a_second_target_with_their_ceiling() -> None:
    """Marks tell more than places with ties; what jurors disagree on no teacher can follow."""
    competition = compete(HEARS, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    marks = [
        Mark(f"j{juror}", f"p{who:03d}", f"round{at + 1}", None if rng.random() < 0.05 else mark)
        for at, round_ in enumerate(competition.rounds)
        for juror in range(9)
        for who, mark in zip(
            round_.present,
            (20 + juror + round_.played + rng.normal(size=len(round_.present))).round(1).tolist(),
            strict=True,
        )
    ]
    given: dict[tuple[str, str], list[float]] = {}
    for mark in marks:
        if mark.mark is not None:
            given.setdefault((mark.performer, mark.round), []).append(mark.mark)
    mean = {key: float(np.mean(found)) for key, found in given.items()}
    segments = [replace(s, jury_mark=mean[s.performer, s.round]) for s in competition.segments()]
    report = judge(competition.labels(), segments, marks=marks, chances=FEW)
    rows = {row.round: row for row in report.rounds if row.target == "jury_mark"}
    assert rows["round1"].levels > 40
    ceiling = rows["round1"].noise_ceiling
    assert ceiling is not None
    assert ceiling == pytest.approx(np.sqrt(0.9), abs=0.05)
    by_mark = {r.dimension: r.rho for r in report.correlations if r.target == "jury_mark"}
    assert all(rho is not None and rho > 0.3 for rho in by_mark.values())
    without = judge(competition.labels(), competition.segments(), chances=FEW)
    assert report.rules == without.rules


def test_rows_of_the_metadata_are_judged_as_they_are() -> None:
    """The gate reads T2's `metadata.jsonl` without a table in between."""
    labels, segments = made(World(sizes=(20,), concertos=0, segments=2))
    rows: Sequence[CompetitionSegmentRow] = [
        CompetitionSegmentRow.model_construct(
            segment_id=s.segment_id,
            performer=s.performer,
            round=s.round,
            placement=s.placement or 1,
            solo=s.solo,
            jury_mark=None,
            loudness_lufs=s.loudness_lufs,
            segment_start=s.segment_start,
            segment_end=s.segment_end,
        )
        for s in segments
    ]
    assert judge(labels, rows, chances=FEW) == judge(labels, segments, chances=FEW)


def test_only_the_teacher_that_earned_it_is_let_through(opened: GateReport) -> None:
    """Labels of a cheap model must not buy a run of another one, or of another rubric."""
    assert opened.permits("made-up", "1")[0]
    allowed, because = opened.permits("made-up", "2")
    assert not allowed
    assert "rubric 2" in because
    closed = opened.model_copy(update={"verdict": "closed"})
    allowed, because = closed.permits("made-up", "1")
    assert not allowed
    assert "the gate is closed" in because


def test_the_rule_that_decides_is_the_one_asked_for() -> None:
    """Both rules are reported; where they differ, the reader learns it."""
    world = replace(HEARS, teacher=0.5)
    labels, segments = made(world)
    by_seed = judge(labels, segments, decides_on="seed", chances=FEW)
    by_strict = judge(labels, segments, chances=FEW)
    assert by_seed.rules == by_strict.rules
    assert [by_seed.verdict, by_strict.verdict] == ["open", "closed"]
    assert any("by the seed rule it would be open" in told for told in by_strict.because)


def test_a_report_is_read_back_and_a_damaged_one_is_refused(
    tmp_path: Path, opened: GateReport
) -> None:
    """Later tiers spend on what this file says; a torn one must not be taken for an open gate."""
    store = Store.at(str(tmp_path))
    with pytest.raises(SetupError, match="run the gate first"):
        read_report(store, FILE)
    stored = write_report(store, FILE, opened)
    assert read_report(store, FILE) == opened
    assert write_report(store, FILE, opened).sha256 == stored.sha256
    content = store.path(FILE).read_bytes()
    for damaged in (content[:-40], b"{}", content.replace(b'"open"', b'"ajar"')):
        store.write_bytes(FILE, damaged)
        with pytest.raises(SetupError, match="gate_unreadable"):
            read_report(store, FILE)


def test_every_class_of_outcome_has_a_table_and_a_plot(heard: Made, opened: GateReport) -> None:
    """The check shows figures whatever came out of it."""
    columns, rows = gate_table(opened)
    assert columns[-1] == "counted rounds"
    assert [row[0] for row in rows] == [*DIMENSIONS, OVERALL]
    assert all(len(row) == len(columns) for row in rows)
    assert len(control_table(opened)[1]) == len(opened.controls)
    assert set(DIMENSIONS) < set(gate_bars(opened))
    assert all(isinstance(value, float) for value in gate_figures(opened).values())
    empty = judge([], heard[1], chances=FEW)
    for table in (gate_table(empty), control_table(empty)):
        assert all(len(row) == len(table[0]) for row in table[1])
    assert gate_bars(empty) == {}


def test_too_few_draws_are_refused() -> None:
    """With a hundred shuffles no confound could be beyond chance, and every control would fail."""
    with pytest.raises(ValueError, match="199"):
        Chances(permutations=100)


@settings(max_examples=6)
@given(
    sizes=st.lists(st.integers(1, 14), min_size=1, max_size=3).map(
        lambda found: tuple(sorted(found, reverse=True))
    ),
    concertos=st.integers(0, 1),
    seed=st.integers(0, 99),
)
def test_any_small_competition_gets_a_report(
    sizes: tuple[int, ...], concertos: int, seed: int
) -> None:
    """One performer, two, all tied: no shape of a competition may crash the check or open it."""
    world = World(sizes=sizes, concertos=concertos, segments=2, teacher=0.0)
    report = judge(*made(world, seed), chances=FEW)
    assert report.verdict != "open"
    if max(sizes) < 8:
        assert report.verdict == "not_assessable"
