"""A `torch.utils.data.Dataset` for each loss term.

What belongs here: what an item of each term is, and batches of items of unequal length. What does
not: rows (`rows`), reading a file (`tensors`), losses. Nothing of polars is kept in a dataset: its
threads do not survive the fork by which a `DataLoader` makes its workers.

Every embedding is `[frames, width]`, 25 frames a second unless pooled, width 1024 for MuQ-large, of
the type that is asked for (float32). What is drawn at random follows from seed, epoch and index
alone, whatever the number of workers.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import polars as pl
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from data_collection.load.rows import TrainingSet, select
from data_collection.load.tensors import load_embedding
from data_collection.recordings.errors import SetupError
from data_collection.training_set.manifest_rows import (
    COMPOSITE,
    LossTerm,
    Split,
    score_columns,
    teacher_columns,
)

DRAWS = 64
"""Tries to find a negative by chance, before all are looked through."""


class RegressionItem(TypedDict):
    """An embedding and its scores.

    `target` is `[dimensions]` float32 in the order of `TrainingSet.dimensions`; people's scores run
    from 0 to 1, the teacher's from 1 to 5, and are given as (score - 1) / 4. `weight`, a float32
    scalar, is that of the target in the loss.
    """

    segment_id: str
    embedding: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


class RankingItem(TypedDict):
    """Two embeddings; `order` is +1.0 where the first was judged better, -1.0 where the second."""

    first_id: str
    second_id: str
    first: torch.Tensor
    second: torch.Tensor
    order: torch.Tensor


class ContrastiveItem(TypedDict):
    """An anchor, the same music by somebody else, and other music."""

    anchor_id: str
    positive_id: str
    negative_ids: list[str]
    anchor: torch.Tensor
    positive: torch.Tensor
    negatives: list[torch.Tensor]


class InvarianceItem(TypedDict):
    """A clean embedding and that of its augmented twin, frame by frame the same music."""

    segment_id: str
    clean: torch.Tensor
    twin: torch.Tensor


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a segment's embedding lies, and what is drawn by.

    Attributes:
        segment_id: its id.
        location: path or URL of the file.
        key: in a file of many; None for one of its own.
        pieces: what may sound in it.
        performer: who plays; None where not known.
    """

    segment_id: str
    location: str
    key: str | None
    pieces: frozenset[str]
    performer: str | None


def segments_of(training: TrainingSet, rows: pl.DataFrame) -> list[Segment]:
    """The rows as plain values."""
    columns = ("segment_id", "embedding_path", "embedding_key", "pieces", "performer")
    return [
        Segment(name, training.location(path), key, frozenset(pieces), performer)
        for name, path, key, pieces, performer in rows.select(columns).iter_rows()
    ]


class RegressionDataset(Dataset[RegressionItem]):  # type: ignore[misc]
    """Segments with scores.

    Args:
        training: the opened training set.
        split: of which rows.
        distillation: also the teacher's scores, where its gate was open; without it people's only.
        dtype: of the embeddings.

    Raises:
        SetupError: `rows_missing`: the split has no such row.
    """

    def __init__(
        self,
        training: TrainingSet,
        split: Split,
        *,
        distillation: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        rows = select(training.manifest, split, "regression")
        if not distillation:
            rows = rows.filter(pl.col("regression_from") == COMPOSITE)
        _refuse_empty(rows.height, split, "regression")
        by_people = pl.col("regression_from") == COMPOSITE
        targets = [
            pl.when(by_people).then(score).otherwise((pl.col(taught) - 1) / 4).alias(score)
            for score, taught in zip(
                score_columns(training.dimensions),
                teacher_columns(training.dimensions),
                strict=True,
            )
        ]
        self.dtype = dtype
        self.segments = segments_of(training, rows)
        self.targets = torch.from_numpy(rows.select(targets).to_numpy().copy()).to(torch.float32)
        self.weights = torch.tensor(rows["confidence_weight"].to_list(), dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> RegressionItem:
        segment = self.segments[index]
        return {
            "segment_id": segment.segment_id,
            "embedding": _read(segment, self.dtype),
            "target": self.targets[index],
            "weight": self.weights[index],
        }


class RankingDataset(Dataset[RankingItem]):  # type: ignore[misc]
    """Pairs of segments whose performers a jury ordered, within a round.

    An item is a pair of recordings, of which a segment each is drawn; either may come first.

    Args:
        training: the opened training set.
        split: in which both lie.
        same_piece: only segments of a piece that both play.
        draws_per_pair: items that each pair of recordings has in an epoch.
        seed: of the draws.
        dtype: of the embeddings.

    Raises:
        SetupError: `rows_missing`: the split has no such pair.
    """

    def __init__(
        self,
        training: TrainingSet,
        split: Split,
        *,
        same_piece: bool = False,
        draws_per_pair: int = 1,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        rows = select(training.manifest, split, "ranking")
        self.segments = segments_of(training, rows)
        self.dtype, self.seed, self.epoch = dtype, seed, 0
        self.draws_per_pair = draws_per_pair
        of_recording: defaultdict[str, list[int]] = defaultdict(list)
        for at, recording in enumerate(rows["recording"]):
            of_recording[recording].append(at)
        self.pairs = [
            choices
            for better, worse in training.preferences().select("better", "worse").iter_rows()
            if better in of_recording and worse in of_recording
            for choices in [self._choices(of_recording[better], of_recording[worse], same_piece)]
            if choices
        ]
        _refuse_empty(len(self.pairs), split, "ranking")

    def _choices(
        self, better: list[int], worse: list[int], same_piece: bool
    ) -> list[tuple[list[int], list[int]]]:
        """Segments to draw one of each from, in as many ways as there are pieces."""
        if not same_piece:
            return [(better, worse)]
        held = [self._by_piece(segments) for segments in (better, worse)]
        return [(held[0][piece], held[1][piece]) for piece in sorted(held[0].keys() & held[1])]

    def _by_piece(self, segments: list[int]) -> Mapping[str, list[int]]:
        held: defaultdict[str, list[int]] = defaultdict(list)
        for at in segments:
            for piece in self.segments[at].pieces:
                held[piece].append(at)
        return held

    def set_epoch(self, epoch: int) -> None:
        """Draw other segments; call it before the `DataLoader` starts its workers."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.pairs) * self.draws_per_pair

    def __getitem__(self, index: int) -> RankingItem:
        choices = self.pairs[range(len(self))[index] // self.draws_per_pair]
        rng = _draws(self.seed, self.epoch, range(len(self))[index])
        from_better, from_worse = rng.choice(choices)
        better, worse = (self.segments[rng.choice(of)] for of in (from_better, from_worse))
        swapped = rng.random() < 0.5
        first, second = (worse, better) if swapped else (better, worse)
        return {
            "first_id": first.segment_id,
            "second_id": second.segment_id,
            "first": _read(first, self.dtype),
            "second": _read(second, self.dtype),
            "order": torch.tensor(-1.0 if swapped else 1.0),
        }


class ContrastiveDataset(Dataset[ContrastiveItem]):  # type: ignore[misc]
    """Anchors, each with the same music by another performer and with other music.

    Positives are those of `maestro_cache/pairs.parquet`, which are the same place in the music;
    without that file, any segment of the anchor's work by somebody else. A negative shares no piece
    with the anchor, movements not told apart.

    Args:
        training: the opened training set.
        split: in which all lie.
        negatives: of each item.
        seed: of the draws.
        dtype: of the embeddings.

    Raises:
        SetupError: `rows_missing`: the split has no anchor with a positive and negatives.
    """

    def __init__(
        self,
        training: TrainingSet,
        split: Split,
        *,
        negatives: int = 4,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        rows = select(training.manifest, split, "contrastive")
        self.segments = segments_of(training, rows)
        self.dtype, self.seed, self.epoch, self.negatives = dtype, seed, 0, negatives
        paired = training.positives()
        found = self._by_works(rows) if paired is None else self._by_pairs(paired)
        self.anchors = [
            (anchor, positives)
            for anchor, positives in sorted(found.items())
            if positives and (not negatives or self._negatives_of(anchor))
        ]
        _refuse_empty(len(self.anchors), split, "contrastive")

    def _by_pairs(self, paired: pl.DataFrame) -> dict[int, list[int]]:
        at_of = {segment.segment_id: at for at, segment in enumerate(self.segments)}
        found: defaultdict[int, list[int]] = defaultdict(list)
        for anchor, positive in paired.iter_rows():
            if anchor in at_of and positive in at_of:
                found[at_of[anchor]].append(at_of[positive])
        return found

    def _by_works(self, rows: pl.DataFrame) -> dict[int, list[int]]:
        of_work: defaultdict[str, list[int]] = defaultdict(list)
        works_of = rows["work_ids"].to_list()
        for at, works in enumerate(works_of):
            for work in works:
                of_work[work].append(at)
        return {
            at: sorted(
                {
                    other
                    for work in works
                    for other in of_work[work]
                    if self.segments[other].performer != self.segments[at].performer
                }
            )
            for at, works in enumerate(works_of)
        }

    def _negatives_of(self, anchor: int) -> bool:
        """Whether there is any segment of other music."""
        return any(self._is_other_music(anchor, other) for other in range(len(self.segments)))

    def _is_other_music(self, anchor: int, other: int) -> bool:
        pieces = self.segments[other].pieces
        return bool(pieces) and pieces.isdisjoint(self.segments[anchor].pieces)

    def set_epoch(self, epoch: int) -> None:
        """Draw others; call it before the `DataLoader` starts its workers."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.anchors)

    def __getitem__(self, index: int) -> ContrastiveItem:
        anchor, positives = self.anchors[index]
        rng = _draws(self.seed, self.epoch, range(len(self))[index])
        positive = self.segments[rng.choice(positives)]
        negatives = [self.segments[self._negative(anchor, rng)] for _ in range(self.negatives)]
        return {
            "anchor_id": self.segments[anchor].segment_id,
            "positive_id": positive.segment_id,
            "negative_ids": [negative.segment_id for negative in negatives],
            "anchor": _read(self.segments[anchor], self.dtype),
            "positive": _read(positive, self.dtype),
            "negatives": [_read(negative, self.dtype) for negative in negatives],
        }

    def _negative(self, anchor: int, rng: random.Random) -> int:
        for _ in range(DRAWS):
            drawn = rng.randrange(len(self.segments))
            if self._is_other_music(anchor, drawn):
                return drawn
        others = range(len(self.segments))
        return rng.choice([other for other in others if self._is_other_music(anchor, other)])


class InvarianceDataset(Dataset[InvarianceItem]):  # type: ignore[misc]
    """Clean segments with their augmented twins.

    Args:
        training: the opened training set.
        split: of which rows.
        dtype: of the embeddings.

    Raises:
        SetupError: `rows_missing`: the split has no such row.
    """

    def __init__(
        self, training: TrainingSet, split: Split, *, dtype: torch.dtype = torch.float32
    ) -> None:
        rows = select(training.manifest, split, "invariance")
        _refuse_empty(rows.height, split, "invariance")
        self.dtype = dtype
        self.segments = segments_of(training, rows)
        self.twins = [training.location(path) for path in rows["twin_path"]]

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> InvarianceItem:
        segment = self.segments[index]
        clean = _read(segment, self.dtype)
        twin = load_embedding(self.twins[index]).to(self.dtype, copy=True)
        if clean.shape != twin.shape:
            raise SetupError(
                "embedding_unreadable",
                f"{self.twins[index]}: shape {tuple(twin.shape)}, its clean one has "
                f"{tuple(clean.shape)}; make the pairs again",
            )
        return {"segment_id": segment.segment_id, "clean": clean, "twin": twin}


def padded(items: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Make a batch of items of unequal length; give it to a `DataLoader` as `collate_fn`.

    Returns:
        By name: embeddings as `[batch, frames, width]`, zero beyond each one's end, with
        `<name>_frames`, `[batch]` int64; lists of embeddings as `[batch, many, frames, width]`,
        their frames as `[batch, many]`; other tensors stacked; the rest as lists.
    """
    return {name: value for key in items[0] for name, value in _column(key, items).items()}


def _column(name: str, items: Sequence[Mapping[str, object]]) -> dict[str, object]:
    values = [item[name] for item in items]
    if all(isinstance(value, torch.Tensor) for value in values):
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        if tensors[0].ndim < 2:
            return {name: torch.stack(tensors)}
        return {name: pad_sequence(tensors, batch_first=True), f"{name}_frames": _frames(tensors)}
    if all(isinstance(value, list) and _are_tensors(value) for value in values):
        flat = [tensor for value in values if isinstance(value, list) for tensor in value]
        stacked = pad_sequence(flat, batch_first=True)
        return {
            name: stacked.reshape(len(items), -1, *stacked.shape[1:]),
            f"{name}_frames": _frames(flat).reshape(len(items), -1),
        }
    return {name: values}


def _are_tensors(values: Sequence[object]) -> bool:
    return bool(values) and all(isinstance(value, torch.Tensor) for value in values)


def _frames(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.tensor([tensor.shape[0] for tensor in tensors], dtype=torch.int64)


def _read(segment: Segment, dtype: torch.dtype) -> torch.Tensor:
    return load_embedding(segment.location, segment.key).to(dtype, copy=True)


def _draws(seed: int, epoch: int, index: int) -> random.Random:
    return random.Random(f"{seed}/{epoch}/{index}")  # noqa: S311  # a draw, no secret


def _refuse_empty(count: int, split: Split, term: LossTerm) -> None:
    if not count:
        raise SetupError(
            "rows_missing",
            f"no segment of {split} takes part in {term}; the manifest's problems say what is "
            "missing, training_set/problems.parquet",
        )
