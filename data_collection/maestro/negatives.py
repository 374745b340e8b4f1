"""Works that are other music than a pair's for certain: what its negatives are drawn from.

What belongs here: which works may be negatives of which recordings, and the draw. What does not:
which clips are paired (`pairs`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from data_collection.maestro.draws import Keys, keys_of, mixed
from data_collection.maestro.rows import MaestroRecording

NEGATIVE_SCHEMA: dict[str, pl.DataType] = {
    "negatives_same_composer": pl.List(pl.String()),
    "negatives_other_composer": pl.List(pl.String()),
    "not_negative_families": pl.List(pl.String()),
}
NEGATIVE_COLUMNS = {
    "negatives_same_composer": "works to draw hard negatives from, in the anchor's split",
    "negatives_other_composer": "works to draw easy negatives from, in the anchor's split",
    "not_negative_families": "families (whole works, sets) that no negative may touch, sorted",
}


@dataclass(frozen=True)
class NegativePool:
    """The works that have clips, and what they may be confused with.

    Attributes:
        families: by recording id, the families of all its works, uncertain ones too.
        near: by family, those that stand in one recording with it, and itself.
        works: by split, works with clips, sorted, each with its family.
    """

    families: Mapping[str, frozenset[str]]
    near: Mapping[str, Set[str]]
    works: Mapping[str, Sequence[tuple[str, str]]]

    @classmethod
    def of(
        cls,
        recordings: Iterable[MaestroRecording],
        with_clips: Set[str],
        min_work_confidence: float,
    ) -> NegativePool:
        """Gather the works.

        Args:
            recordings: the catalogue.
            with_clips: ids of the recordings that have clips.
            min_work_confidence: less certain works are not drawn, but kept out all the same.
        """
        families: dict[str, frozenset[str]] = {}
        near: defaultdict[str, set[str]] = defaultdict(set)
        works: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for recording in recordings:
            recording_id = recording.metadata.recording_id
            families[recording_id] = frozenset(work.family_id for work in recording.works)
            for family in families[recording_id]:
                near[family] |= families[recording_id]
            if recording_id in with_clips:
                works[recording.metadata.split] |= {
                    (work.work_id, work.family_id)
                    for work in recording.works
                    if work.confidence >= min_work_confidence
                }
        return cls(families, near, {split: sorted(found) for split, found in works.items()})

    def near_to(self, recording_ids: Iterable[str]) -> frozenset[str]:
        """Families of which nothing may be a negative of these recordings."""
        own = (family for recording_id in recording_ids for family in self.families[recording_id])
        return frozenset().union(*(self.near[family] for family in own))

    def draw(self, pairs: pl.DataFrame, *, seed: int, count: int) -> pl.DataFrame:
        """Draw works for each pair, evenly over works.

        Args:
            pairs: at least anchor, positive, their recordings, anchor_split and shared_works.
            seed: other seeds draw other works.
            count: so many by a composer of the shared works, and as many by others.

        Returns:
            Columns as `NEGATIVE_SCHEMA`, in the order of `pairs`; lists are sorted, and shorter
            where a split has too few works.
        """
        row_keys = mixed(
            keys_of(seed, "negatives", pairs["anchor"]),
            keys_of(seed, "negatives", pairs["positive"]),
        )
        drawn = [pl.DataFrame(schema={"row": pl.Int64(), **NEGATIVE_SCHEMA})]
        for (split, near, composers), rows in self._alike(pairs).items():
            eligible = [w for w, family in self.works.get(split, ()) if family not in near]
            same = [work_id for work_id in eligible if composer_of(work_id) in composers]
            others = [work_id for work_id in eligible if composer_of(work_id) not in composers]
            lists = [_drawn(works, row_keys[rows], seed, count) for works in (same, others)]
            kept_out = pl.Series([sorted(near)], dtype=pl.List(pl.String()))
            columns = [pl.Series(rows), *lists, kept_out.new_from_index(0, len(rows))]
            drawn.append(pl.DataFrame(dict(zip(drawn[0].columns, columns, strict=True))))
        return pl.concat(drawn).sort("row").drop("row")

    def _alike(
        self, pairs: pl.DataFrame
    ) -> Mapping[tuple[str, frozenset[str], frozenset[str]], list[int]]:
        """Rows that have the same works to draw from."""
        near_to = cache(lambda one, other: self.near_to((one, other)))
        alike: defaultdict[tuple[str, frozenset[str], frozenset[str]], list[int]]
        alike = defaultdict(list)
        columns = ("anchor_recording", "positive_recording", "anchor_split", "shared_works")
        for at, (one, other, split, shared) in enumerate(pairs.select(columns).iter_rows()):
            composers = frozenset(composer_of(work_id) for work_id in shared)
            alike[split, near_to(one, other), composers].append(at)
        return alike


def _drawn(works: Sequence[str], row_keys: Keys, seed: int, count: int) -> pl.Series:
    """Draw works for each row, without repeats; a list a row."""
    size = min(count, len(works))
    if not size:
        return pl.Series([[]], dtype=pl.List(pl.String())).new_from_index(0, len(row_keys))
    keys = mixed(row_keys[:, None], keys_of(seed, "work", works)[None, :])
    chosen = np.sort(np.argpartition(keys, size - 1, axis=1)[:, :size], axis=1)
    names = pl.Series(works).gather(chosen.ravel())
    return names.reshape((len(row_keys), size)).arr.to_list()


def composer_of(work_id: str) -> str:
    """The composer's part of a work's or family's id, `beethoven` of `beethoven:op53/1`."""
    return work_id.partition(":")[0]
