"""The columns of `training_set/manifest.parquet` and of the problems that were found making it.

What belongs here: names, types and what each column means. What does not: filling them (`manifest`)
and the split (`splits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

TierId = Literal["t1", "t2", "t3", "t4"]
Split = Literal["train", "validation", "test"]
LossTerm = Literal["regression", "ranking", "contrastive", "invariance"]

FOLDER = "training_set"
MANIFEST = f"{FOLDER}/manifest.parquet"
TIERS: tuple[TierId, ...] = ("t1", "t2", "t3", "t4")
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
EXCLUDED = "excluded"
LOSS_TERMS: tuple[LossTerm, ...] = ("regression", "ranking", "contrastive", "invariance")
DIMENSIONS = ("dynamics", "timing", "pedaling", "articulation", "phrasing", "interpretation")
"""What a performance is scored in."""

COMPOSITE = "composite"
TEACHER = "teacher"


def score_columns(dimensions: Sequence[str] = DIMENSIONS) -> list[str]:
    """Columns of the scores that people gave."""
    return [f"score_{dimension}" for dimension in dimensions]


def teacher_columns(dimensions: Sequence[str] = DIMENSIONS) -> list[str]:
    """Columns of the scores that the teacher gave."""
    return [f"teacher_{dimension}" for dimension in dimensions]


def manifest_schema(dimensions: Sequence[str] = DIMENSIONS) -> dict[str, pl.DataType]:
    """Types of the manifest's columns, by name, for the dimensions that are scored."""
    return {
        "segment_id": pl.String(),
        "tier": pl.String(),
        "recording_id": pl.String(),
        "collection": pl.String(),
        "segment_start": pl.Float64(),
        "segment_end": pl.Float64(),
        "embedding_path": pl.String(),
        "embedding_key": pl.String(),
        "embedding_sha256": pl.String(),
        "frames": pl.Int64(),
        "width": pl.Int64(),
        "twin_path": pl.String(),
        "twin_sha256": pl.String(),
        "twin_recipe": pl.String(),
        "twin_recipe_version": pl.String(),
        "twin_seed": pl.Int64(),
        "twin_cosine": pl.Float64(),
        "loss_terms": pl.List(pl.String()),
        "regression_from": pl.String(),
        **dict.fromkeys(score_columns(dimensions), pl.Float64()),
        **dict.fromkeys(teacher_columns(dimensions), pl.Float64()),
        "teacher_model": pl.String(),
        "teacher_rubric_version": pl.String(),
        "confidence_weight": pl.Float64(),
        "ranking_group": pl.String(),
        "ranking_order": pl.Int64(),
        "work_ids": pl.List(pl.String()),
        "performer": pl.String(),
        "pieces": pl.List(pl.String()),
        "recording": pl.String(),
        "channel": pl.String(),
        "unknown_keys": pl.List(pl.String()),
        "official_split": pl.String(),
        "audio_sha256": pl.String(),
        "source_url": pl.String(),
        "licence": pl.String(),
        "split": pl.String(),
        "excluded_because": pl.String(),
    }


def manifest_columns(dimensions: Sequence[str] = DIMENSIONS) -> dict[str, str]:
    """What each column of the manifest means, by name."""
    scored = {
        name: f"{name.partition('_')[2]}, as people scored it; null where they did not"
        for name in score_columns(dimensions)
    }
    taught = {
        name: (
            f"{name.partition('_')[2]}, as the teacher scored it, 1 to 5; null where it did not. "
            "There whether its gate is open or not; `regression_from` says whether it is used"
        )
        for name in teacher_columns(dimensions)
    }
    return {
        "segment_id": "the clip; one row each",
        "tier": "t1 PercePiano, t2 competition, t3 MAESTRO, t4 YouTube",
        "recording_id": "the recording that it is cut from, in its tier",
        "collection": "folder of the tier under the data root, such as maestro_cache",
        "segment_start": "start in the recording, in seconds; null where not known",
        "segment_end": "end in the recording, in seconds; null where not known",
        "embedding_path": "relative to the data root, or to the embeddings' own root",
        "embedding_key": "its key in that file, where the file holds many; null for one of its own",
        "embedding_sha256": "hash of that file",
        "frames": "rows of the embedding, 25 a second unless pooled",
        "width": "values a frame; 1024 for MuQ-large",
        "twin_path": "embedding of the augmented twin, frame by frame the same music; or null",
        "twin_sha256": "hash of that file",
        "twin_recipe": "how the twin was made",
        "twin_recipe_version": "of that recipe",
        "twin_seed": "of the twin's draws",
        "twin_cosine": "mean cosine between the frames of the two",
        "loss_terms": (
            "what it takes part in: regression, ranking, contrastive, invariance. Only where its "
            "split holds what the term needs beside it, such as an opponent; none where excluded"
        ),
        "regression_from": (
            "composite: scored by people; teacher: by the teacher, whose gate is open; null: no "
            "target. Without distillation, train on composite only"
        ),
        **scored,
        **taught,
        "teacher_model": "which model scored it",
        "teacher_rubric_version": "by which rubric",
        "confidence_weight": (
            "of its regression target in the loss: t1 1.0, t2 0.6, t3 0.4, t4 0.3; null where it "
            "has none"
        ),
        "ranking_group": "competition and round, within which orders compare; null where none does",
        "ranking_order": "final place of the performer in the competition, 1 the best; equal: tie",
        "work_ids": "works that a positive must share; empty where not known",
        "performer": "key of the person, equal over tiers that name people; null where not known",
        "pieces": (
            "keys `composer/work` of all that may sound in it, movements not told apart; also of "
            "the neighbouring piece where the clip holds a bit of it; empty where not known"
        ),
        "recording": "key of the recording among all tiers: `collection/recording_id`",
        "channel": "that published it, where that stands for an unknown performer",
        "unknown_keys": "which of performer and piece nobody knows, so that no check can see them",
        "official_split": "of MAESTRO's release; null elsewhere",
        "audio_sha256": "hash of the stored audio; null where there is none",
        "source_url": "where it was fetched from; null where not known",
        "licence": "as the source states it; null where it does not",
        "split": "train, validation, test, or excluded",
        "excluded_because": "which of its keys lie in other splits, or what else; null where used",
    }


MANIFEST_SCHEMA = manifest_schema()
MANIFEST_COLUMNS = manifest_columns()

PROBLEM_SCHEMA: dict[str, pl.DataType] = {
    "tier": pl.String(),
    "kind": pl.String(),
    "subject": pl.String(),
    "detail": pl.String(),
}
PROBLEM_COLUMNS = {
    "tier": "t1 to t4",
    "kind": (
        "tier_off: not collected, and why; half_collected; signal_missing: no ranking; "
        "embedding_missing: known and not on the disk; "
        "embedding_unknown: on the disk and not known; embedding_truncated: of another size than "
        "its receipt says, or not readable; embedding_replaced: of another content; row_missing: "
        "embedded, without metadata; row_without_receipt; row_incomplete; segment_twice; "
        "label_unknown: of a segment that is not there; label_unusable; label_twice; twin_unknown, "
        "twin_missing, twin_further; label_missing: without target; piece_unknown"
    ),
    "subject": "segment, recording, file or folder",
    "detail": "what is wrong and what to do",
}
