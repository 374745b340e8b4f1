"""Which segment takes part in which loss term, and how much its target counts.

What belongs here: the tiers' terms, the weights, and what a term needs beside a segment. What does
not: how a trainer adds the terms up, and reading tensors (`data_collection.load`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from data_collection.training_set.manifest_rows import (
    COMPOSITE,
    DIMENSIONS,
    EXCLUDED,
    LOSS_TERMS,
    TEACHER,
    TierId,
    score_columns,
    teacher_columns,
)

CONFIDENCE_WEIGHTS: Final[dict[TierId, float]] = {"t1": 1.0, "t2": 0.6, "t3": 0.4, "t4": 0.3}
"""Of a regression target: people's scores of T1, the teacher's of the others."""


def with_loss_terms(
    table: pl.DataFrame,
    preferences: pl.DataFrame,
    *,
    distillation_open: bool,
    dimensions: Sequence[str] = DIMENSIONS,
) -> pl.DataFrame:
    """Fill `regression_from`, `confidence_weight` and `loss_terms`.

    A segment takes part in ranking where its recording has an opponent in the same split, in
    contrastive where somebody else plays its work there, in invariance where it has a twin, in
    regression where people scored it, or the teacher did and its gate is open.

    Args:
        table: with all other columns of the manifest.
        preferences: pairs of recordings, by their keys: `better, worse`.
        distillation_open: the teacher's gate is open, so that its scores may be trained on.
        dimensions: that are scored.
    """
    used = pl.col("split") != EXCLUDED
    scored = pl.all_horizontal(pl.col(score_columns(dimensions)).is_not_null())
    taught = pl.all_horizontal(pl.col(teacher_columns(dimensions)).is_not_null())
    table = table.with_columns(
        regression_from=pl.when(scored)
        .then(pl.lit(COMPOSITE))
        .when(taught & distillation_open)
        .then(pl.lit(TEACHER))
    )
    has_target = pl.col("regression_from").is_not_null()
    takes_part = {
        "regression": used & has_target,
        "ranking": _of("t2") & used & pl.col("recording").is_in(_compared(table, preferences)),
        "contrastive": _of("t3") & used & _row_key().is_in(_with_positive(table)),
        "invariance": _of("t4") & used & pl.col("twin_path").is_not_null(),
    }
    weight = pl.col("tier").replace_strict(CONFIDENCE_WEIGHTS, return_dtype=pl.Float64)
    return table.with_columns(
        confidence_weight=pl.when(has_target).then(weight),
        loss_terms=pl.concat_list(
            [pl.when(takes_part[term]).then(pl.lit(term)) for term in LOSS_TERMS]
        ).list.drop_nulls(),
    )


def comparable_pairs(table: pl.DataFrame, preferences: pl.DataFrame) -> pl.DataFrame:
    """Preferences whose recordings both have segments in one split: `better, worse, split`."""
    split_of = (
        table.filter((pl.col("split") != EXCLUDED) & pl.col("ranking_group").is_not_null())
        .select("recording", "split")
        .unique()
    )
    return preferences.join(split_of, left_on="better", right_on="recording").join(
        split_of, left_on=["worse", "split"], right_on=["recording", "split"]
    )


def _of(tier: TierId) -> pl.Expr:
    return pl.col("tier") == tier


def _row_key() -> pl.Expr:
    return pl.concat_str("collection", "segment_id", separator="/")


def _compared(table: pl.DataFrame, preferences: pl.DataFrame) -> list[str]:
    pairs = comparable_pairs(table, preferences)
    return sorted(set(pairs["better"]) | set(pairs["worse"]))


def _with_positive(table: pl.DataFrame) -> list[str]:
    """Segments of a work that another performer plays in the same split."""
    held = (
        table.filter(_of("t3") & (pl.col("split") != EXCLUDED) & pl.col("performer").is_not_null())
        .select("split", "performer", _row_key().alias("row"), pl.col("work_ids").alias("work"))
        .explode("work")
        .drop_nulls("work")
    )
    others = pl.col("performer").n_unique().over("split", "work") > 1
    return held.filter(others)["row"].unique().sort().to_list()
