"""The labels file: what answers become, how far they agree, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store
from data_collection.teacher.labels import (
    LabelsError,
    ScoredAnswer,
    TeacherLabel,
    known_labels,
    labels_of,
    read_labels,
    retest_agreement,
    write_labels,
)

DIMENSIONS = ("timing", "dynamics")
FILE = "competition_cache/x/teacher_labels.json"


def answer(segment_id: str, scores: Sequence[int], repeat: int = 0) -> ScoredAnswer:
    return ScoredAnswer(
        segment_id=segment_id,
        repeat=repeat,
        scores=dict(zip(DIMENSIONS, scores, strict=True)),
        confidence=dict.fromkeys(DIMENSIONS, "high" if repeat else "low"),
        model="teacher-1",
        rubric_version="1",
        cost_usd=Decimal("0.000123"),
    )


def of_content(scored: Mapping[str, object]) -> ScoredAnswer:
    return ScoredAnswer.of_content(
        "a_seg0000",
        0,
        dict.fromkeys(DIMENSIONS, scored),
        model="teacher-1",
        rubric_version="1",
        cost_usd=Decimal(0),
    )


ANSWERS = [answer("a_seg0000", (2, 5)), answer("a_seg0000", (4, 5), 1), answer("b_seg0000", (1, 3))]


def test_repeats_become_a_mean_with_their_spread_and_whole_cost() -> None:
    """Training weighs a label by how sure it is, and a budget is held against what all cost."""
    first, second = labels_of(ANSWERS, DIMENSIONS)
    assert first.dimension_scores == {"timing": 3.0, "dynamics": 5.0}
    assert first.repeats.n == 2
    assert first.repeats.spread == pytest.approx({"timing": np.sqrt(2), "dynamics": 0}, abs=1e-6)
    assert first.confidence == {"timing": 0.5, "dynamics": 0.5}
    assert first.cost_usd == Decimal("0.000246")
    assert second.repeats.spread is None


@given(st.permutations(ANSWERS))
def test_the_order_of_answers_changes_nothing(answers: list[ScoredAnswer]) -> None:
    """Results of a batch come unordered; the file must not move with them."""
    assert labels_of(answers, DIMENSIONS) == labels_of(ANSWERS, DIMENSIONS)


def test_what_is_written_is_read_and_has_the_seeds_fields(tmp_path: Path) -> None:
    """The training code reads rows by these names; equal labels are equal bytes."""
    store = Store.at(str(tmp_path))
    labels = labels_of(ANSWERS, DIMENSIONS)
    stored = write_labels(store, FILE, reversed(labels))
    assert read_labels(store, FILE) == labels
    assert write_labels(store, FILE, labels).sha256 == stored.sha256
    rows = json.loads(store.path(FILE).read_bytes())
    assert {"segment_id", "dimension_scores", "teacher_model", "rubric_version"} <= set(rows[0])
    assert rows[0]["cost_usd"] == 0.000246
    write_labels(store, FILE, [])
    assert read_labels(store, FILE) == ()


@settings(max_examples=50)
@given(st.decimals(min_value=0, max_value=100, places=9))
def test_a_cost_survives_the_file_to_the_last_digit(cost: Decimal) -> None:
    """Costs are summed again from the file; a float must not eat a cent."""
    (label,) = labels_of([replace(ANSWERS[2], cost_usd=cost)], DIMENSIONS)
    assert TeacherLabel.model_validate_json(label.model_dump_json()).cost_usd == cost


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (replace(ANSWERS[2], scores={"timing": 6, "dynamics": 3}), "timing is 6"),
        (replace(ANSWERS[2], scores={"timing": 0, "dynamics": 3}), "timing is 0"),
        (replace(ANSWERS[2], scores={"timing": True, "dynamics": 3}), "timing is True"),
        (replace(ANSWERS[2], scores={"timing": 2.5, "dynamics": 3}), "timing is 2.5"),
        (replace(ANSWERS[2], scores={"timing": 2}), "dynamics"),
        (replace(ANSWERS[2], scores={"timing": 2, "dynamics": 3, "grace": 1}), "grace"),
        (replace(ANSWERS[2], confidence={"timing": "low", "dynamics": "sure"}), "sure"),
        (replace(ANSWERS[2], segment_id="a_seg0000"), "stands twice"),
        (replace(ANSWERS[2], model="teacher-2"), "teacher-2"),
        (replace(ANSWERS[2], rubric_version="2"), "rubric 2"),
    ],
)
def test_answers_that_make_no_label_are_refused(bad: ScoredAnswer, told: str) -> None:
    """A score from outside the scale, or of another teacher, is never averaged in."""
    with pytest.raises(LabelsError, match=told):
        labels_of([*ANSWERS[:2], bad], DIMENSIONS)


def test_an_answers_content_is_taken_as_the_rubric_read_it() -> None:
    """The kept answer has a reason too, which is no label; a wrong form is named."""
    taken = of_content({"score": 4, "reason": "even", "confidence": "medium"})
    assert labels_of([taken], DIMENSIONS)[0].dimension_scores == {"timing": 4, "dynamics": 4}
    with pytest.raises(LabelsError, match=r"a_seg0000, repeat 0, timing\.score"):
        of_content({"score": "4", "reason": "even", "confidence": "low"})


def test_labels_of_segments_that_are_gone_are_named() -> None:
    """Segments are cut anew now and then; an old label must not be joined to nothing silently."""
    kept, gone = known_labels(labels_of(ANSWERS, DIMENSIONS), {"b_seg0000", "c_seg0000"})
    assert [label.segment_id for label in kept] == ["b_seg0000"]
    assert gone == ("a_seg0000",)


ROW = {
    "segment_id": "a_seg0000",
    "dimension_scores": {"timing": 3.0},
    "teacher_model": "m",
    "rubric_version": "1",
    "confidence": {"timing": 0.5},
    "repeats": {"n": 1, "spread": None},
    "cost_usd": 0.1,
}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "file"),
        ('[{"segment_id"', "file"),
        ('{"a": 1}', "file"),
        (json.dumps([{**ROW, "dimension_scores": {"timing": 5.5}}]), "dimension_scores.timing"),
        (json.dumps([{**ROW, "dimension_scores": {}}]), "dimension_scores"),
        (json.dumps([ROW]).replace("3.0", "NaN"), "timing"),
        (json.dumps([{**ROW, "cost_usd": -1}]), "cost_usd"),
        (json.dumps([{**ROW, "performer": "x"}]), "performer"),
        (json.dumps([ROW, ROW]), "a_seg0000 stands twice"),
    ],
)
def test_a_damaged_file_is_named_with_its_place(tmp_path: Path, content: str, told: str) -> None:
    """A hand-edited score of 5.5 must stop the gate, not bend it."""
    store = Store.at(str(tmp_path))
    store.write_bytes(FILE, content.encode())
    with pytest.raises(SetupError, match=told) as caught:
        read_labels(store, FILE)
    assert caught.value.reason == "labels_unreadable"


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """Nobody has to guess which asset makes it."""
    with pytest.raises(SetupError, match="materialize competition_cache/x/teacher_labels first"):
        read_labels(Store.at(str(tmp_path)), FILE)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=30))
def test_agreement_is_weighted_kappa_in_both_directions(pairs: list[tuple[int, int]]) -> None:
    """The published figure is the field's own, held against scikit-learn's."""
    answers = [
        answer(f"s{at:02d}", (score, score), repeat)
        for at, pair in enumerate(pairs)
        for repeat, score in enumerate(pair)
    ]
    found = retest_agreement(answers, DIMENSIONS)[0]
    one, other = np.array(pairs).T
    both = (np.concatenate([one, other]), np.concatenate([other, one]))
    if len(set(both[0])) == 1:
        assert found.kappa is None
    else:
        expected = cohen_kappa_score(*both, weights="quadratic", labels=[1, 2, 3, 4, 5])
        assert found.kappa == pytest.approx(expected, abs=1e-6)
    assert found.pairs == len(pairs)
    assert found.equal_share == pytest.approx(np.mean(one == other), abs=1e-6)


def test_agreement_without_repeats_is_not_known() -> None:
    """No repeats are no agreement, and surely not a perfect one."""
    found = retest_agreement(ANSWERS[2:], DIMENSIONS)[0]
    assert (found.segments, found.pairs, found.kappa, found.equal_share) == (0, 0, None, None)
