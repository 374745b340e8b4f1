"""What the gate compares: one row a performer and round, made of labels and a tier's segments.

What belongs here: joining, averaging, and refusing tables that contradict themselves. What does
not: correlating (`gate`). A row of T2's `metadata.jsonl` is a judged segment as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from data_collection.recordings.errors import CatalogueError
from data_collection.teacher.gate_report import OVERALL
from data_collection.teacher.gate_statistics import DECIMALS, Array
from data_collection.teacher.labels import HIGHEST, LOWEST, TeacherLabel, known_labels

_SEGMENTS: dict[str, pl.DataType] = {
    "segment_id": pl.String(),
    "performer": pl.String(),
    "round": pl.String(),
    "placement": pl.Int64(),
    "solo": pl.Boolean(),
    "jury_mark": pl.Float64(),
    "loudness_lufs": pl.Float64(),
    "duration_s": pl.Float64(),
}


class GateError(CatalogueError):
    """Labels and segments contradict each other or themselves; nothing may be concluded."""


class JudgedSegment(Protocol):
    """A segment whose performer a jury judged; a row of T2's `metadata.jsonl` is one."""

    @property
    def segment_id(self) -> str:
        """Its id."""
        ...

    @property
    def performer(self) -> str:
        """Who plays."""
        ...

    @property
    def round(self) -> str:
        """Id of the round."""
        ...

    @property
    def placement(self) -> int | None:
        """The performer's final place, 1 the best; equal places are ties."""
        ...

    @property
    def solo(self) -> bool:
        """False where others play too, as in a concerto."""
        ...

    @property
    def jury_mark(self) -> float | None:
        """The jury's mean mark of the performer in the round, more is better."""
        ...

    @property
    def loudness_lufs(self) -> float | None:
        """Integrated loudness."""
        ...

    @property
    def segment_start(self) -> float:
        """Start in the recording, in seconds."""
        ...

    @property
    def segment_end(self) -> float:
        """End in the recording, in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Performances:
    """All performances of a competition, as the gate sees them.

    Attributes:
        rows: a row a performer and round, sorted: performer, round, solo, placement, jury_mark,
            loudness_lufs, duration_s (of all segments), labelled (how many segments are), and the
            mean of each dimension and of them all, null where none is labelled.
        dimensions: of the labels.
        teacher_model: whose labels; None without any.
        rubric_version: of the labels.
        segments: labels that are used.
        unknown_segments: ids of labels whose segments no longer exist.
        not_solo_segments: labels of segments with others in a round of recitals.
    """

    rows: pl.DataFrame
    dimensions: tuple[str, ...]
    teacher_model: str | None
    rubric_version: str | None
    segments: int
    unknown_segments: tuple[str, ...]
    not_solo_segments: int

    @property
    def rounds(self) -> list[str]:
        """Ids of the rounds: the one with the most performers first, as a competition goes."""
        counted = self.rows.group_by("round").len().sort("len", "round", descending=[True, False])
        return counted["round"].to_list()

    @property
    def performers(self) -> list[str]:
        """Everybody, sorted."""
        return self.rows["performer"].unique().sort().to_list()


def gather_performances(
    labels: Iterable[TeacherLabel], segments: Iterable[JudgedSegment]
) -> Performances:
    """Average each performer's labels of each round.

    A segment with others in a round of recitals is left out; where all play with others, the round
    is one of concertos and stays.

    Raises:
        GateError: a segment or label stands twice, several teachers or rubrics are mixed, labels
            differ in their dimensions or leave the scale, or a performer has two places or a
            round's two marks.
    """
    judged = _segment_table(segments)
    kept, unknown = known_labels(labels, set(judged["segment_id"]))
    dimensions, (model, version) = _one_teacher(kept)
    scored = _label_table(kept, dimensions)
    is_recital = pl.col("solo").any().over("round")
    alike = judged.filter(pl.col("solo") | ~is_recital)
    used = scored.join(alike, on="segment_id", how="semi")
    return Performances(
        rows=_averaged(alike, used, dimensions),
        dimensions=dimensions,
        teacher_model=model,
        rubric_version=version,
        segments=used.height,
        unknown_segments=unknown,
        not_solo_segments=scored.height - used.height,
    )


def matrix(rows: pl.DataFrame, columns: Sequence[str]) -> Array:
    """Columns as numbers, [rows, columns], rounded so that equal means tie."""
    return rows.select(columns).to_numpy().astype(np.float64).round(DECIMALS)


def _segment_table(segments: Iterable[JudgedSegment]) -> pl.DataFrame:
    rows = [
        (
            s.segment_id,
            s.performer,
            s.round,
            s.placement,
            s.solo,
            s.jury_mark,
            s.loudness_lufs,
            s.segment_end - s.segment_start,
        )
        for s in segments
    ]
    table = pl.DataFrame(rows, schema=_SEGMENTS, orient="row").sort("segment_id")
    _require_once(table["segment_id"], "segment")
    _require_one(table, ["performer"], "placement")
    _require_one(table, ["performer", "round"], "jury_mark")
    return table


def _one_teacher(
    labels: Sequence[TeacherLabel],
) -> tuple[tuple[str, ...], tuple[str | None, str | None]]:
    """The dimensions, model and rubric that all labels share."""
    if not labels:
        return (), (None, None)
    teachers = sorted({(label.teacher_model, label.rubric_version) for label in labels})
    if len(teachers) > 1:
        told = ", ".join(f"{model} with rubric {version}" for model, version in teachers)
        raise GateError(f"labels of {told}: a gate is of one teacher; score T2 with one of them")
    dimensions = tuple(labels[0].dimension_scores)
    for label in labels:
        if set(label.dimension_scores) != set(dimensions):
            differ = ", ".join(sorted(set(label.dimension_scores) ^ set(dimensions)))
            raise GateError(
                f"{label.segment_id} and {labels[0].segment_id} differ in {differ}; label anew"
            )
    return dimensions, teachers[0]


def _label_table(labels: Sequence[TeacherLabel], dimensions: Sequence[str]) -> pl.DataFrame:
    rows = [
        (label.segment_id, *(label.dimension_scores[d] for d in dimensions)) for label in labels
    ]
    schema = {"segment_id": pl.String(), **dict.fromkeys(dimensions, pl.Float64())}
    table = pl.DataFrame(rows, schema=schema, orient="row").sort("segment_id")
    _require_once(table["segment_id"], "label of")
    for dimension in dimensions:
        outside = table.filter(~pl.col(dimension).is_between(LOWEST, HIGHEST))
        if outside.height:
            raise GateError(
                f"{outside['segment_id'][0]}: {dimension} is {outside[dimension][0]:g}, outside of "
                f"{LOWEST} to {HIGHEST}; label it anew"
            )
    mean = pl.mean_horizontal(*dimensions) if rows else pl.lit(None, pl.Float64())
    return table.with_columns(mean.alias(OVERALL))


def _averaged(alike: pl.DataFrame, scored: pl.DataFrame, dimensions: Sequence[str]) -> pl.DataFrame:
    key = ["round", "performer"]
    shown = [*dimensions, OVERALL]
    played = alike.group_by(key).agg(
        pl.col("solo", "placement", "jury_mark").first(),
        pl.col("loudness_lufs").mean(),
        pl.col("duration_s").sum(),
    )
    means = (
        alike.join(scored, on="segment_id", how="inner")
        .group_by(key)
        .agg(pl.len().cast(pl.Int64()).alias("labelled"), pl.col(shown).mean())
    )
    return (
        played.join(means, on=key, how="left")
        .with_columns(pl.col("labelled").fill_null(0))
        .sort("round", "performer")
    )


def _require_once(ids: pl.Series, what: str) -> None:
    twice = ids.filter(ids.is_duplicated())
    if len(twice):
        raise GateError(f"{what} {twice[0]} stands twice; materialize it again")


def _require_one(table: pl.DataFrame, key: Sequence[str], column: str) -> None:
    """Refuse a column that says two things of one key, a null beside a value among them."""
    several = table.group_by(key).agg(pl.col(column).unique()).filter(pl.col(column).list.len() > 1)
    if several.height:
        whom, found = ", ".join(several.row(0)[: len(key)]), several[column][0].to_list()
        raise GateError(
            f"{whom} has {column} {' and '.join(map(str, found))}; materialize the metadata again"
        )
