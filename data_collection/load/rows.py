"""The manifest's rows, and the tables of pairs beside it.

What belongs here: opening them, and choosing rows by split and loss term. What does not: tensors
(`tensors`, `datasets`), and what the columns mean (`training_set.manifest_rows`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store
from data_collection.training_set.manifest_rows import LOSS_TERMS, MANIFEST, SPLITS, LossTerm, Split

NEEDED = ("segment_id", "tier", "collection", "embedding_path", "loss_terms", "recording", "split")


@dataclass(frozen=True)
class TrainingSet:
    """A manifest and where the files that it names lie.

    Attributes:
        store: the data root and the embeddings' root.
        manifest: columns as `training_set.manifest_rows.MANIFEST_COLUMNS`.
    """

    store: Store
    manifest: pl.DataFrame

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What performances are scored in, in the order of a target's values."""
        columns = self.manifest.columns
        return tuple(c.removeprefix("score_") for c in columns if c.startswith("score_"))

    def location(self, relative: str) -> str:
        """Where a file of the manifest lies: a path, or an fsspec URL.

        Raises:
            ValueError: the manifest names a path outside of the root.
        """
        return str(self.store.path(relative))

    def preferences(self) -> pl.DataFrame:
        """Pairs of recordings, by their keys: `better, worse`; within a solo round.

        Raises:
            SetupError: `rows_missing` where a competition of the manifest has none.
        """
        ranked = self.manifest.filter(pl.col("loss_terms").list.contains("ranking"))
        schema: Mapping[str, pl.DataType] = {"better": pl.String(), "worse": pl.String()}
        found = [pl.DataFrame(schema=schema)]
        for folder in ranked["collection"].unique().sort():
            pairs = _read(self.store, f"{folder}/preferences.parquet")
            within = pairs.filter((pl.col("kind") == "within_round") & pl.col("solo"))
            found.append(within.select((f"{folder}/" + pl.col("better", "worse")).name.keep()))
        return pl.concat(found)

    def positives(self) -> pl.DataFrame | None:
        """Pairs of segments of T3 that play the same music: `anchor, positive`, or None."""
        relative = "maestro_cache/pairs.parquet"
        if not self.store.path(relative).is_file():
            return None
        return _read(self.store, relative).select("anchor", "positive")


def open_training_set(root: str, *, embeddings_root: str | None = None) -> TrainingSet:
    """Open what a training run reads.

    Args:
        root: the data root, a folder or an fsspec URL.
        embeddings_root: where `*muq_embeddings/` lie, if not under it.

    Raises:
        SetupError: as `open_manifest`.
    """
    store = Store.at(root, embeddings_root)
    return TrainingSet(store, _checked(store, _read(store, MANIFEST)))


def open_manifest(root: str) -> pl.DataFrame:
    """The manifest, a row a segment, the excluded ones too.

    Args:
        root: the data root, a folder or an fsspec URL.

    Raises:
        SetupError: `rows_missing` where none was made, `rows_unreadable` where it is damaged.
    """
    return open_training_set(root).manifest


def select(
    manifest: pl.DataFrame, split: Split | None = None, term: LossTerm | None = None
) -> pl.DataFrame:
    """Rows of a split that take part in a loss term; those of all splits, or terms, without one.

    Raises:
        ValueError: there is no such split or term.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"{split!r} is no split: {', '.join(SPLITS)}")
    if term is not None and term not in LOSS_TERMS:
        raise ValueError(f"{term!r} is no loss term: {', '.join(LOSS_TERMS)}")
    chosen = pl.col("split").is_in(SPLITS) if split is None else pl.col("split") == split
    if term is not None:
        chosen &= pl.col("loss_terms").list.contains(term)
    return manifest.filter(chosen)


def _read(store: Store, relative: str) -> pl.DataFrame:
    path = store.path(relative)
    key = relative.rsplit(".", 1)[0]
    try:
        return pl.read_parquet(io.BytesIO(path.read_bytes()))
    except FileNotFoundError:
        raise SetupError("rows_missing", f"{path} is not there; materialize {key} first") from None
    except pl.exceptions.PolarsError as error:
        raise SetupError("rows_unreadable", f"{path}: {error}; materialize {key} again") from error


def _checked(store: Store, manifest: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in NEEDED if name not in manifest.columns]
    if missing:
        raise SetupError(
            "rows_unreadable",
            f"{store.path(MANIFEST)}: no column {', '.join(missing)}; materialize it again",
        )
    return manifest
