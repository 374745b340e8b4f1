"""What a training run reads: rows as polars frames, embeddings as tensors, a dataset a loss term.

What belongs here: a small typed reader of `training_set/manifest.parquet` and of what it names; it
needs polars and torch, and nothing of Dagster. What does not: collecting, and how a trainer adds
its losses up.

    >>> from torch.utils.data import DataLoader
    >>> from data_collection.load import RankingDataset, open_training_set, padded
    >>> training = open_training_set("data")
    >>> pairs = RankingDataset(training, "train")
    >>> batch = next(iter(DataLoader(pairs, batch_size=8, collate_fn=padded)))

`batch["first"]` and `batch["second"]` are `[8, frames, 1024]` float32, zero beyond
`batch["first_frames"]`, `[8]` int64, at 25 frames a second unless pooled; `batch["order"]`, `[8]`
float32, is +1 where the first was judged better and -1 where the second was.

Which rows there are, without any tensor: `open_manifest("data")`, columns as
`training_set.manifest_rows.MANIFEST_COLUMNS` describes them; `select(manifest, "train", "ranking")`
for those of a split that take part in a loss term. Both objectives are in the one table:
`RegressionDataset(training, "train")` trains on people's scores, with `distillation=True` also on
the teacher's, each weighed by `confidence_weight`.

torch is imported when a dataset is first asked for, so rows alone are quick to open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_collection.load.rows import TrainingSet, open_manifest, open_training_set, select

if TYPE_CHECKING:
    from data_collection.load.datasets import (
        ContrastiveDataset,
        InvarianceDataset,
        RankingDataset,
        RegressionDataset,
        padded,
    )
    from data_collection.load.tensors import load_embedding

__all__ = [
    "ContrastiveDataset",
    "InvarianceDataset",
    "RankingDataset",
    "RegressionDataset",
    "TrainingSet",
    "load_embedding",
    "open_manifest",
    "open_training_set",
    "padded",
    "select",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "load_embedding":
        from data_collection.load import tensors

        return tensors.load_embedding
    from data_collection.load import datasets

    return getattr(datasets, name)
