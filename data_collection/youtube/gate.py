"""Whether T4 is wanted at all: only where the model is weak against recording conditions.

What belongs here: reading what an evaluation found, and the decision. What does not: evaluating.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_collection.recordings.errors import SetupError

LARGEST_DROP = 0.10
LEAST_PEARSON = 0.9


class ConditionMetrics(BaseModel):
    """What an evaluation file says; JSON, with other fields left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    clean_pairwise_accuracy: float = Field(gt=0, le=1, description="on clean audio")
    augmented_pairwise_accuracy: float = Field(ge=0, le=1, description="on its augmented twins")
    cross_condition_pearson: float = Field(
        ge=-1, le=1, description="between the scores of clean clips and their twins"
    )

    @property
    def accuracy_drop(self) -> float:
        """Lost share of the clean accuracy; below 0 where the twins do better."""
        return 1 - self.augmented_pairwise_accuracy / self.clean_pairwise_accuracy


@dataclass(frozen=True, slots=True)
class Gate:
    """The decision.

    Attributes:
        is_open: recordings are to be collected.
        because: why, in words.
        metrics: what it follows from; None without an evaluation.
    """

    is_open: bool
    because: str
    metrics: ConditionMetrics | None = None


def read_gate(path: Path | None, *, forced: bool) -> Gate:
    """Decide from an evaluation's file.

    Args:
        path: of the file; None where there is none yet.
        forced: a person wants T4 whatever the evaluation says.

    Raises:
        SetupError: `metrics_unreadable`: the file is named, and is not there or not of that form.
    """
    metrics = _read(path) if path else None
    if forced:
        return Gate(True, "YOUTUBE_FORCED is set", metrics)
    if metrics is None:
        return Gate(False, "no evaluation yet: YOUTUBE_METRICS names no file")
    return decide(metrics)


def decide(metrics: ConditionMetrics) -> Gate:
    """T4 is wanted where accuracy drops by more than a tenth, or the conditions correlate badly."""
    drop, pearson = metrics.accuracy_drop, metrics.cross_condition_pearson
    found = []
    if drop > LARGEST_DROP:
        found.append(f"the accuracy drops by {drop:.1%}, more than {LARGEST_DROP:.0%}")
    if pearson < LEAST_PEARSON:
        found.append(f"scores across conditions correlate at {pearson:.3f}, below {LEAST_PEARSON}")
    if found:
        return Gate(True, " and ".join(found), metrics)
    said = f"the accuracy drops by {drop:.1%} only, and r is {pearson:.3f}: the model is robust"
    return Gate(False, said, metrics)


def _read(path: Path) -> ConditionMetrics:
    try:
        return ConditionMetrics.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SetupError("metrics_unreadable", f"YOUTUBE_METRICS {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise SetupError(
            "metrics_unreadable", f"YOUTUBE_METRICS {path}, {where}: {first['msg']}"
        ) from error
