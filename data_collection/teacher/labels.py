"""What the teacher says of each segment: `teacher_labels.json`, a list with a row a segment.

What belongs here: the row, making it from answers, how far repeated answers agree, writing and
reading. What does not: asking (`scoring`), the scale's words (`rubric`), and whether the labels
mean anything (`gate`).
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictInt,
    TypeAdapter,
    ValidationError,
)

from data_collection.recordings.errors import CatalogueError, SetupError
from data_collection.recordings.store import Store, StoredFile

LOWEST, HIGHEST = 1, 5
CONFIDENCE: Mapping[str, float] = {"low": 0.0, "medium": 0.5, "high": 1.0}
"""The teacher's words as numbers; they have an order and are no probabilities."""
DECIMALS = 6
"""Means are rounded, so that equal answers give equal bytes."""

Score = Annotated[float, Field(ge=LOWEST, le=HIGHEST, allow_inf_nan=False)]
Dollars = Annotated[
    Decimal,
    Field(ge=0, allow_inf_nan=False),
    PlainSerializer(float, return_type=float, when_used="json"),
]


class _ScoredDimension(BaseModel):
    """What of an answer on one dimension becomes a label; its reason does not."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    score: StrictInt
    confidence: str


_CONTENT = TypeAdapter(dict[str, _ScoredDimension])


class LabelsError(CatalogueError):
    """Answers that do not make labels; the message names the segment and what to do."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One valid answer of the teacher.

    Attributes:
        segment_id: what was judged.
        repeat: 0 for the first asking, 1 and more for repeats.
        scores: a whole number from 1 to 5 by dimension.
        confidence: the teacher's own word by dimension, one of `CONFIDENCE`.
        model: that answered.
        rubric_version: of the rubric it was given.
        cost_usd: what the answer cost.
    """

    segment_id: str
    repeat: int
    scores: Mapping[str, int]
    confidence: Mapping[str, str]
    model: str
    rubric_version: str
    cost_usd: Decimal

    @classmethod
    def of_content(
        cls,
        segment_id: str,
        repeat: int,
        content: Mapping[str, object],
        *,
        model: str,
        rubric_version: str,
        cost_usd: Decimal,
    ) -> ScoredAnswer:
        """Take an answer's content, `{dimension: {score, confidence, ...}}`, as the rubric read it.

        Raises:
            LabelsError: it is not of that form.
        """
        try:
            read = _CONTENT.validate_python(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise LabelsError(
                f"{segment_id}, repeat {repeat}, {where}: {first['msg']}; an invalid answer is "
                "counted, never a label"
            ) from error
        return cls(
            segment_id=segment_id,
            repeat=repeat,
            scores={name: one.score for name, one in read.items()},
            confidence={name: one.confidence for name, one in read.items()},
            model=model,
            rubric_version=rubric_version,
            cost_usd=cost_usd,
        )


class Repeats(BaseModel):
    """How often a segment was judged, and how far the answers lie apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(ge=1, description="answers that the scores are the mean of")
    spread: dict[str, float] | None = Field(
        description="standard deviation of the answers by dimension; null for a single one"
    )


class TeacherLabel(BaseModel):
    """A row of `teacher_labels.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segment_id: str = Field(min_length=1, description="segment of the tier's `metadata.jsonl`")
    dimension_scores: dict[str, Score] = Field(
        min_length=1, description="1 to 5 by dimension, mean over the repeats"
    )
    teacher_model: str = Field(min_length=1, description="model that answered")
    rubric_version: str = Field(min_length=1, description="of the rubric it was given")
    confidence: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        description="the teacher's own by dimension, 0 low to 1 high, mean over the repeats"
    )
    repeats: Repeats = Field(description="how many answers, and how far they lie apart")
    cost_usd: Dollars = Field(description="what all answers of the segment cost")


class Agreement(BaseModel):
    """How far the teacher says the same when it is asked again, of one dimension."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimension: str = Field(description="of the rubric")
    segments: int = Field(ge=0, description="that were judged more than once")
    pairs: int = Field(ge=0, description="of answers on one segment; k answers make k(k-1)/2")
    kappa: float | None = Field(
        description="quadratically weighted, 1 is perfect and 0 is chance; null where all answers "
        "are one score, which says nothing"
    )
    equal_share: float | None = Field(description="pairs with equal scores; null without pairs")


_ROWS = TypeAdapter(tuple[TeacherLabel, ...])


def labels_of(
    answers: Iterable[ScoredAnswer], dimensions: Sequence[str]
) -> tuple[TeacherLabel, ...]:
    """Average the answers on each segment.

    Args:
        answers: valid ones only, in any order.
        dimensions: of the rubric; every answer has a score for each and no other.

    Returns:
        A label a segment, sorted.

    Raises:
        LabelsError: a score or confidence is outside of the scale or missing, a repeat stands
            twice, or several models or rubrics answered.
    """
    kept = _checked(answers, dimensions)
    return tuple(_label(kept[segment_id], dimensions) for segment_id in sorted(kept))


def retest_agreement(
    answers: Iterable[ScoredAnswer], dimensions: Sequence[str]
) -> tuple[Agreement, ...]:
    """Measure how far repeated answers on one segment agree.

    Weighted kappa over all pairs of answers on one segment, in both directions, since neither is
    the first by right.

    Raises:
        LabelsError: as for `labels_of`.
    """
    repeated = [found for found in _checked(answers, dimensions).values() if len(found) > 1]
    return tuple(_agreement(dimension, repeated) for dimension in dimensions)


def known_labels(
    labels: Iterable[TeacherLabel], segment_ids: Set[str]
) -> tuple[tuple[TeacherLabel, ...], tuple[str, ...]]:
    """Part labels of segments that exist from those whose segments are gone.

    Returns:
        The labels that can be used, and the ids of the segments that no longer exist, sorted.
    """
    rows = tuple(labels)
    kept = tuple(row for row in rows if row.segment_id in segment_ids)
    return kept, tuple(sorted(row.segment_id for row in rows if row.segment_id not in segment_ids))


def write_labels(store: Store, relative: str, labels: Iterable[TeacherLabel]) -> StoredFile:
    """Write labels whole, a line a segment; equal labels give equal bytes."""
    rows = sorted(labels, key=lambda label: label.segment_id)
    lines = [json.dumps(row.model_dump(mode="json"), ensure_ascii=False) for row in rows]
    body = ",\n".join(lines)
    return store.write_bytes(relative, (f"[\n{body}\n]\n" if lines else "[]\n").encode())


def read_labels(store: Store, relative: str) -> tuple[TeacherLabel, ...]:
    """Read labels back.

    Raises:
        SetupError: `labels_missing` where the file is not there, `labels_unreadable` where it is
            damaged, a score is outside of the scale, or a segment stands twice.
    """
    path = store.path(relative)
    try:
        labels = _ROWS.validate_json(path.read_bytes())
    except FileNotFoundError:
        key = relative.rsplit(".", 1)[0]
        advice = f"materialize {key} first"
        raise SetupError("labels_missing", f"{path} is not there; {advice}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise _unreadable(f"{path}, {where}: {first['msg']}") from error
    if twice := sorted(_twice(label.segment_id for label in labels)):
        raise _unreadable(f"{path}: {twice[0]} stands twice")
    return labels


def _unreadable(problem: str) -> SetupError:
    return SetupError("labels_unreadable", f"{problem}; materialize it again, answers are kept")


def _twice(names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def _checked(
    answers: Iterable[ScoredAnswer], dimensions: Sequence[str]
) -> dict[str, list[ScoredAnswer]]:
    """The answers by segment, in the order of their repeats."""
    by_segment: defaultdict[str, dict[int, ScoredAnswer]] = defaultdict(dict)
    asked: set[tuple[str, str]] = set()
    for answer in answers:
        _require_scores(answer, dimensions)
        if answer.repeat in by_segment[answer.segment_id]:
            raise LabelsError(f"{answer.segment_id}: repeat {answer.repeat} stands twice; keep one")
        by_segment[answer.segment_id][answer.repeat] = answer
        asked.add((answer.model, answer.rubric_version))
    if len(asked) > 1:
        told = ", ".join(f"{model} with rubric {version}" for model, version in sorted(asked))
        raise LabelsError(f"answers of {told}; scores of two teachers do not mix: take one")
    return {name: [found[key] for key in sorted(found)] for name, found in by_segment.items()}


def _require_scores(answer: ScoredAnswer, dimensions: Sequence[str]) -> None:
    where = f"{answer.segment_id}, repeat {answer.repeat}"
    for given in (answer.scores, answer.confidence):
        if set(given) != set(dimensions):
            differ = ", ".join(sorted(set(given) ^ set(dimensions)))
            raise LabelsError(f"{where}: {differ} is in the answer or in the rubric, not in both")
    for dimension, score in answer.scores.items():
        if type(score) is not int or not LOWEST <= score <= HIGHEST:
            raise LabelsError(
                f"{where}: {dimension} is {score!r}, no whole number from {LOWEST} to {HIGHEST}; "
                "an invalid answer is counted, never a label"
            )
    for dimension, word in answer.confidence.items():
        if word not in CONFIDENCE:
            raise LabelsError(
                f"{where}: confidence in {dimension} is {word!r}, none of {', '.join(CONFIDENCE)}"
            )


def _label(answers: Sequence[ScoredAnswer], dimensions: Sequence[str]) -> TeacherLabel:
    scores = {name: [answer.scores[name] for answer in answers] for name in dimensions}
    told = {name: [CONFIDENCE[answer.confidence[name]] for answer in answers] for name in scores}
    several = len(answers) > 1
    return TeacherLabel(
        segment_id=answers[0].segment_id,
        dimension_scores={name: _rounded(np.mean(found)) for name, found in scores.items()},
        teacher_model=answers[0].model,
        rubric_version=answers[0].rubric_version,
        confidence={name: _rounded(np.mean(found)) for name, found in told.items()},
        repeats=Repeats(
            n=len(answers),
            spread={name: _rounded(np.std(found, ddof=1)) for name, found in scores.items()}
            if several
            else None,
        ),
        cost_usd=sum((answer.cost_usd for answer in answers), Decimal(0)),
    )


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), DECIMALS)


def _agreement(dimension: str, repeated: Sequence[Sequence[ScoredAnswer]]) -> Agreement:
    pairs = np.array(
        [
            (one.scores[dimension], other.scores[dimension])
            for answers in repeated
            for one, other in combinations(answers, 2)
        ],
        dtype=np.float64,
    ).reshape(-1, 2)
    kappa = _symmetric_kappa(pairs)
    return Agreement(
        dimension=dimension,
        segments=len(repeated),
        pairs=len(pairs),
        kappa=None if math.isnan(kappa) else _rounded(kappa),
        equal_share=_rounded(np.mean(pairs[:, 0] == pairs[:, 1])) if len(pairs) else None,
    )


def _symmetric_kappa(pairs: npt.NDArray[np.float64]) -> float:
    """Quadratically weighted kappa of [pairs, 2] scores taken in both directions.

    Both sides then have one distribution, for which the squared distance that chance would give is
    twice its variance.
    """
    by_chance = 2 * float(np.var(pairs)) if len(pairs) else 0.0
    if by_chance == 0:
        return math.nan
    return 1 - float(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2)) / by_chance
