"""The rubric: what the teacher judges by, how its answer must look, and reading that answer.

What belongs here: the file's form and hash, the text that every question begins with, the schema
of an answer and its validation. What does not: asking (`scoring`) and the evidence of a clip
(`packets`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from data_collection.recordings.errors import SetupError
from data_collection.teacher.evidence_figures import CURVE_POINTS, CURVES, FIGURES
from data_collection.teacher.packets import SHOWN

BUNDLED_RUBRIC = Path(__file__).parent / "rubric.yaml"
DIMENSIONS = ("dynamics", "timing", "pedaling", "articulation", "phrasing", "interpretation")
SCALE = (1, 2, 3, 4, 5)
MAX_REASON_CHARACTERS = 2000
"""The schema cannot bound it; what is longer is no reason but a runaway."""

Confidence = Literal["low", "medium", "high"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


INTRODUCTION = f"""\
You judge how well a pianist plays, from measurements. You cannot hear the playing: a program has \
measured one clip of it, of half a minute or less, and you are given its figures. Who plays, what, \
when and where is withheld on purpose. Do not guess it and do not let a guess decide anything.

Each question is one JSON object.
- "compared_with" says among whom the percentiles are. The others play the same piece where it \
says so; where they play other music, a percentile tells as much of the piece as of the playing: \
lean on it less. Where it says nobody there are none: judge by values and curves, with less \
confidence.
- "figures" maps a name to [value, percentile]. The percentile is the share of others with a lower \
value, in steps of 5: 50 is the middle, 0 and 100 are the ends. High is not good by itself.
- "curves" maps a name to {CURVE_POINTS} points, evenly from the beginning to the end of the clip.
null is a thing that cannot be known of this clip. It is no fault of the pianist and no zero: \
leave it out and lower your confidence."""

HOW_TO_JUDGE = """\
How to judge
- The clip is a stretch of a longer piece, cut without regard for the music. Nobody else's clip \
holds exactly the same bars. Small differences mean nothing.
- Hall, piano, microphones and coding move the level, the brightness, the decay and the attack. \
Figures of low trust may support a judgement that others make; they never make one alone.
- Judge each dimension by itself, from the figures that it names first. Do not carry an overall \
impression from one to the next.
- Read figures together. Many onsets a second shorten every gap, so that less can be heard to fall \
between them; slow music shows more pedal.
- Use the whole scale. 3 is what is usual among the others, who are all well trained; 1 and 5 \
are the ends that a tenth of them or so reach.
- Where the figures say little, give the score that they favour, 3 if none, and confidence low. \
Confidence high is for several figures of high or medium trust that agree.
- The reason is one sentence of at most 25 words; it names the figures that decided."""


class RubricError(SetupError):
    """A rubric or a taxonomy cannot be used; the message names the file, dimension and field."""

    def __init__(self, detail: str) -> None:
        super().__init__("rubric_unusable", detail)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Anchors(_Form):
    """What each score means."""

    one: Text = Field(alias="1")
    two: Text = Field(alias="2")
    three: Text = Field(alias="3")
    four: Text = Field(alias="4")
    five: Text = Field(alias="5")

    @model_validator(mode="before")
    @classmethod
    def _keys_as_text(cls, given: object) -> object:
        # YAML reads 1: as a number.
        return (
            {str(key): value for key, value in given.items()} if isinstance(given, dict) else given
        )

    def by_score(self) -> dict[int, str]:
        """The five texts, the lowest first."""
        return dict(zip(SCALE, (self.one, self.two, self.three, self.four, self.five), strict=True))


class Dimension(_Form):
    """One thing that is judged.

    Attributes:
        name: as in the taxonomy.
        definition: what it is.
        figures: names of the evidence to weigh first.
        anchors: what each score means.
    """

    name: Name
    definition: Text
    figures: tuple[str, ...] = Field(min_length=1)
    anchors: Anchors

    @model_validator(mode="after")
    def _figures_are_measured(self) -> Self:
        known = {figure.name for figure in FIGURES} | {curve.name for curve in CURVES}
        if unknown := [name for name in self.figures if name not in known]:
            raise ValueError(f"figures that are not measured: {', '.join(unknown)}")
        return self


class Rubric(_Form):
    """All dimensions of one version."""

    version: int = Field(ge=1, strict=True)
    dimensions: tuple[Dimension, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = self.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"described twice: {', '.join(twice)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions' names, in the file's order."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def sha256(self) -> str:
        """Hash of what it says, whatever the file's layout: 64 hexadecimal digits."""
        content = json.dumps(
            self.model_dump(by_alias=True),
            sort_keys=True,
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return hashlib.sha256(content.encode()).hexdigest()


def read_rubric(path: Path = BUNDLED_RUBRIC, expected: Iterable[str] = DIMENSIONS) -> Rubric:
    """Read a rubric.

    Args:
        path: a YAML file.
        expected: dimensions that it must have, such as those of `read_taxonomy`.

    Raises:
        RubricError: it is not there, is no YAML, lacks a dimension, or a field of one is wrong; the
            message names the file, the dimension and the field.
    """
    given = _parsed(path, yaml.safe_load)
    try:
        rubric = Rubric.model_validate(given)
    except ValidationError as error:
        raise RubricError(f"{path}: {_first_fault(error, given)}") from error
    if missing := [name for name in expected if name not in rubric.names]:
        raise RubricError(
            f"{path}: lacks the dimension {', '.join(missing)}; it has {', '.join(rubric.names)}. "
            "Describe it there, with five anchors, and raise the version"
        )
    return rubric


def _parsed(path: Path, parse: Callable[[str], object]) -> object:
    try:
        return parse(path.read_text("utf-8-sig"))
    except (OSError, UnicodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RubricError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error


def _first_fault(error: ValidationError, given: object) -> str:
    """The first fault in words, with the dimension's name where it has one."""
    fault = error.errors()[0]
    place = [str(step) for step in fault["loc"]]
    if len(place) > 1 and place[0] == "dimensions":
        place[:2] = [f"dimension {_name_of(given, int(place[1]))}"]
    return f"{', '.join(place) or 'the file'}: {fault['msg']}"


def _name_of(given: object, index: int) -> str:
    entries = given.get("dimensions") if isinstance(given, dict) else None
    entry = entries[index] if isinstance(entries, list) and index < len(entries) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else f"number {index + 1}"


LISTS = ("dimensions", "composite_dimensions", "composites", "composite_labels", "labels")
ABOUT = frozenset({"version", "description", "source", "created", "date", "notes", "metadata"})


def read_taxonomy(path: Path) -> tuple[str, ...]:
    """The names of the dimensions in a `taxonomy.json`.

    A list of names, a list of objects with a `name`, or an object by name; each by itself or under
    `dimensions` or one of the other `LISTS`. Names are put into lower case with underscores.

    Raises:
        RubricError: it is not there, is no JSON, or has none of these shapes.
    """
    found = _taxonomy_names(_parsed(path, json.loads))
    names = tuple("_".join(name.casefold().replace("-", " ").split()) for name in found or ())
    if not names or not all(names) or len(set(names)) != len(names):
        raise RubricError(
            f"{path}: expected a list of names, a list of objects with a name, or an object by "
            f"name, each name once; also under one of {', '.join(LISTS)}"
        )
    return names


def _taxonomy_names(given: object) -> list[str] | None:
    if isinstance(given, list):
        names = [entry.get("name") if isinstance(entry, dict) else entry for entry in given]
        return [name for name in names if isinstance(name, str)] if _all_text(names) else None
    if not isinstance(given, dict):
        return None
    for key in LISTS:
        if isinstance(given.get(key), list | dict):
            return _taxonomy_names(given[key])
    return [name for name in given if name not in ABOUT]


def _all_text(names: Sequence[object]) -> bool:
    return all(isinstance(name, str) for name in names)


def output_schema(rubric: Rubric) -> dict[str, object]:
    """JSON schema of an answer: each dimension with a reason, a score and a confidence.

    The reason comes first, so that the score follows from it.
    """
    one = {
        "type": "object",
        "properties": {
            "reason": {
                "type": "string",
                "description": "one sentence of at most 25 words that names the figures used",
            },
            "score": {"type": "integer", "enum": list(SCALE)},
            "confidence": {"type": "string", "enum": list(get_args(Confidence))},
        },
        "required": ["reason", "score", "confidence"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": dict.fromkeys(rubric.names, one),
        "required": list(rubric.names),
        "additionalProperties": False,
    }


class DimensionScore(_Form):
    """What was said of one dimension."""

    score: Literal[1, 2, 3, 4, 5]
    reason: str = Field(max_length=MAX_REASON_CHARACTERS)
    confidence: Confidence


class Scores(_Form):
    """A whole answer, by dimension."""

    dimensions: dict[str, DimensionScore]

    def as_mapping(self) -> dict[str, dict[str, object]]:
        """Plain values, as they were sent: dimension to score, reason and confidence."""
        return {name: scored.model_dump() for name, scored in self.dimensions.items()}


def validated(text: str, expected: Sequence[str] = DIMENSIONS) -> Scores:
    """Read an answer; nothing in it is repaired or guessed.

    Args:
        text: what the model wrote.
        expected: the rubric's dimensions.

    Raises:
        ValueError: it is no JSON or cut off, a dimension is missing or unknown, a score is not a
            whole number of the scale, or a reason or confidence is not as the schema has it.
    """
    given = _answer(text)
    if not isinstance(given, dict):
        raise ValueError(f"the answer is no object of dimensions but {type(given).__name__}")
    if missing := [name for name in expected if name not in given]:
        raise ValueError(f"the answer lacks {', '.join(missing)}")
    if unknown := [str(name) for name in given if name not in expected]:
        raise ValueError(f"the answer scores what was not asked: {', '.join(unknown)[:200]}")
    scored: dict[str, DimensionScore] = {}
    for name in expected:
        try:
            if type(score := _field(given[name], "score")) is not int:  # true and 3.0 equal 1 and 3
                raise ValueError(f"{name}.score: {score!r} is not a whole number from 1 to 5")
            scored[name] = DimensionScore.model_validate(given[name])
        except ValidationError as error:
            fault = error.errors()[0]
            field = ".".join([name, *(str(step) for step in fault["loc"])])
            raise ValueError(f"{field}: {fault['msg']}") from None
    return Scores(dimensions=scored)


def _field(given: object, name: str) -> object:
    return given.get(name) if isinstance(given, dict) else None


def _answer(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            raise ValueError(
                f"the answer is cut off after {len(text)} characters ({error.msg})"
            ) from None
        raise ValueError(f"the answer is no JSON: {error}") from None
    except RecursionError:
        raise ValueError("the answer is no JSON of dimensions: it is nested too deep") from None


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("the answer names a field twice")
    return made


def validator(rubric: Rubric) -> Callable[[str], Mapping[str, object]]:
    """What scoring reads answers with: text to plain scores by dimension, or a `ValueError`."""
    return lambda text: validated(text, rubric.names).as_mapping()


def system_text(rubric: Rubric) -> str:
    """All that is the same in every question: what the evidence is, how to use it, the rubric.

    It is sent as one block and cached, so that it is paid for once in a while and not once a clip.
    """
    return "\n\n".join([INTRODUCTION, _figure_list(), HOW_TO_JUDGE, _dimension_list(rubric)])


def _figure_list() -> str:
    figures = [f"- {f.name} (trust: {f.trust}): {f.meaning}." for f in SHOWN]
    curves = [f"- {curve.name}: {curve.meaning}." for curve in CURVES]
    return "\n".join(["The figures", *figures, "", "The curves", *curves])


def _dimension_list(rubric: Rubric) -> str:
    return "\n\n".join(["The dimensions", *map(_described, rubric.dimensions)])


def _described(dimension: Dimension) -> str:
    anchors = [f"{score}: {text}" for score, text in dimension.anchors.by_score().items()]
    figures = f"Figures first: {', '.join(dimension.figures)}."
    return "\n".join([f"{dimension.name}: {dimension.definition}", figures, *anchors])
