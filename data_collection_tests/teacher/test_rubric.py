"""The rubric: files that must be refused, answers that must not be mended, one cached text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.recordings.errors import SetupError
from data_collection.teacher.evidence_figures import CURVES
from data_collection.teacher.packet_leaks import leaks
from data_collection.teacher.packets import SHOWN
from data_collection.teacher.rubric import (
    BUNDLED_RUBRIC,
    DIMENSIONS,
    Rubric,
    RubricError,
    output_schema,
    read_rubric,
    read_taxonomy,
    system_text,
    validated,
    validator,
)


@pytest.fixture(scope="module")
def rubric() -> Rubric:
    """The bundled one."""
    return read_rubric()


def content() -> dict[str, Any]:
    """The bundled rubric as plain values, to be damaged."""
    return dict(yaml.safe_load(BUNDLED_RUBRIC.read_text("utf-8")))


def written(tmp_path: Path, given: object) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(given, allow_unicode=True), "utf-8")
    return path


def answer(**changed: object) -> dict[str, Any]:
    """A whole answer; a dimension may be given something else."""
    good = {"reason": "even", "score": 4, "confidence": "medium"}
    return {**{name: dict(good) for name in DIMENSIONS}, **changed}


def test_the_bundled_rubric_has_the_six_dimensions_and_rests_on_what_is_shown(
    rubric: Rubric,
) -> None:
    """Guards anchors that ask for figures no packet has."""
    assert set(rubric.names) == set(DIMENSIONS)
    shown = {figure.name for figure in SHOWN} | {curve.name for curve in CURVES}
    assert {name for dimension in rubric.dimensions for name in dimension.figures} <= shown
    assert all(list(d.anchors.by_score()) == [1, 2, 3, 4, 5] for d in rubric.dimensions)


def test_the_hash_is_of_what_it_says(rubric: Rubric, tmp_path: Path) -> None:
    """Guards paying again for a line break, and keeping labels of another wording."""
    again = read_rubric(written(tmp_path, content()))
    assert again.sha256 == rubric.sha256
    changed = content()
    changed["dimensions"][2]["anchors"][3] += " Mostly."
    assert read_rubric(written(tmp_path, changed)).sha256 != rubric.sha256


def damage(at: str) -> dict[str, Any]:
    given = content()
    timing = given["dimensions"][1]
    if at == "anchor":
        del timing["anchors"][5]
    elif at == "empty":
        timing["definition"] = " "
    elif at == "figure":
        timing["figures"] = ["rubato_of_the_soul"]
    elif at == "field":
        timing["weight"] = 2
    elif at == "twice":
        given["dimensions"].append(timing)
    elif at == "version":
        given["version"] = "1"
    elif at == "missing":
        del given["dimensions"][1]
    return given


@pytest.mark.parametrize(
    ("at", "named"),
    [
        ("anchor", "dimension timing, anchors, 5"),
        ("empty", "dimension timing, definition"),
        ("figure", "rubato_of_the_soul"),
        ("field", "dimension timing, weight"),
        ("twice", "described twice: timing"),
        ("version", "version"),
        ("missing", "lacks the dimension timing"),
    ],
)
def test_a_damaged_rubric_is_refused_by_name(tmp_path: Path, at: str, named: str) -> None:
    """Guards money spent on half a rubric; the message says where it is wrong."""
    path = written(tmp_path, damage(at))
    with pytest.raises(RubricError, match=re.escape(named)) as caught:
        read_rubric(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, SetupError)


@pytest.mark.parametrize("text", ["", "- a\n- b", "a: [", "\ttab", "version: 1", "null"])
def test_what_is_no_rubric_is_refused(tmp_path: Path, text: str) -> None:
    """Guards a traceback of the parser where a sentence is due."""
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(RubricError, match=r"mine\.yaml"):
        read_rubric(path)
    with pytest.raises(RubricError, match="nowhere"):
        read_rubric(tmp_path / "nowhere.yaml")


def test_the_taxonomy_decides_which_dimensions_are_needed(tmp_path: Path) -> None:
    """Guards labels that lack what the training reads."""
    path = tmp_path / "taxonomy.json"
    path.write_text(json.dumps(["timing", "tone_colour"]), "utf-8")
    with pytest.raises(RubricError, match="lacks the dimension tone_colour"):
        read_rubric(expected=read_taxonomy(path))


@pytest.mark.parametrize(
    "given",
    [
        ["timing", "tone colour"],
        [{"name": "Timing"}, {"name": "Tone-Colour", "of": [1, 2]}],
        {"timing": ["a", "b"], "tone_colour": {"from": []}},
        {"version": 2, "dimensions": ["timing", "tone_colour"]},
        {"dimensions": {"timing": {}, "tone_colour": {}}, "source": "x"},
        {"version": 2, "timing": "when", "tone_colour": "how"},
    ],
)
def test_a_taxonomy_is_read_in_each_likely_shape(tmp_path: Path, given: object) -> None:
    """Guards a file of somebody else's form that is refused for nothing."""
    path = tmp_path / "taxonomy.json"
    path.write_text(json.dumps(given), "utf-8")
    assert read_taxonomy(path) == ("timing", "tone_colour")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "3", '["a", 3]', '["a", "A"]', '[""]', '[{"id": 1}]', "[" * 100_000]
)
def test_what_is_no_taxonomy_is_refused(tmp_path: Path, text: str) -> None:
    """Guards a rubric that is held against nothing."""
    path = tmp_path / "taxonomy.json"
    path.write_text(text, "utf-8")
    with pytest.raises(RubricError, match=r"taxonomy\.json"):
        read_taxonomy(path)


def test_the_schema_accepts_what_is_validated_and_is_closed(rubric: Rubric) -> None:
    """Guards a schema that allows an answer which is then thrown away, paid for."""
    schema = output_schema(rubric)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(answer(), schema)
    wrong: list[dict[str, object]] = [
        answer(timing={"reason": "", "score": 6, "confidence": "low"}),
        answer(timing={"score": 3, "confidence": "low"}),
        answer(mood={"reason": "", "score": 3, "confidence": "low"}),
        {name: value for name, value in answer().items() if name != "timing"},
    ]
    for refused in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(refused, schema)
        with pytest.raises(ValueError, match=r"timing|mood"):
            validated(json.dumps(refused))


def test_a_good_answer_comes_back_as_it_was(rubric: Rubric) -> None:
    """Guards scores that change between the answer and the labels."""
    assert validator(rubric)(json.dumps(answer())) == answer()
    assert validated(json.dumps(answer())).dimensions["timing"].score == 4


@pytest.mark.parametrize("score", [0, 6, 3.5, 3.0, "3", True, None, [3]])
def test_a_score_outside_of_the_scale_is_refused(score: object) -> None:
    """Guards a score that is rounded, clipped or read from text."""
    given = answer(phrasing={"reason": "r", "score": score, "confidence": "low"})
    with pytest.raises(ValueError, match=r"phrasing\.score"):
        validated(json.dumps(given))


def test_an_answer_cut_off_anywhere_is_refused() -> None:
    """Guards half an answer that is taken for a whole one."""
    text = json.dumps(answer())
    for end in range(0, len(text) - 1, 7):
        with pytest.raises(ValueError, match=r"cut off|JSON"):
            validated(text[:end])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "no object"),
        ("Here are the scores: 3, 4", "no JSON"),
        ('{"timing": {}, "timing": {}}', "twice"),
        (json.dumps(answer(timing=4)), "timing"),
        (json.dumps(answer(timing={"reason": "r", "score": 3, "confidence": "sure"})), "confid"),
        (json.dumps(answer(timing={"reason": "r" * 9999, "score": 3, "confidence": "low"})), "rea"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_other_answers_are_refused_with_their_fault(text: str, said: str) -> None:
    """Guards an answer that is mended by guessing."""
    with pytest.raises(ValueError, match=said):
        validated(text)


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*DIMENSIONS, "score"]), inner, max_size=6)
        ),
        max_leaves=8,
    )
)
def test_nothing_but_a_value_error_comes_of_any_answer(given: object) -> None:
    """Guards a night's batch that ends in an exception nobody expects."""
    with pytest.raises(ValueError):  # noqa: PT011 - which of them is of no matter here
        validated(json.dumps(given))


def test_the_system_text_holds_all_that_a_question_needs_and_names_nobody(rubric: Rubric) -> None:
    """Guards a packet whose figures are nowhere explained, and a prefix that gives things away."""
    text = system_text(rubric)
    assert text == system_text(read_rubric())
    for name in (*(f.name for f in SHOWN), *(c.name for c in CURVES), *DIMENSIONS):
        assert name in text
    assert all(
        anchor in text for d in rubric.dimensions for anchor in d.anchors.by_score().values()
    )
    assert leaks(text, ["Chopin", "Warsaw", "MAESTRO", "YouTube", "competition", "jury"]) == []
