"""What a manifest must not have: anything that lies in two splits, or in two tiers at once.

What belongs here: finding leaks in the finished table, by its columns alone, so that a check does
not believe what it checks. What does not: avoiding them (`splits`, `manifest`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from data_collection.training_set.manifest_rows import EXCLUDED
from data_collection.training_set.splits import whole_sets

LeakKind = Literal[
    "performer", "piece", "recording", "channel", "near_duplicate", "official_test", "audio"
]


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that is where it must not be.

    Attributes:
        kind: what it is; `near_duplicate` is two recordings of one performance, `audio` the same
            stored sound under two names, `official_test` a recording of MAESTRO's test.
        subject: its key, or both keys.
        splits: where it lies.
        tiers: whose rows these are.
        segments: rows that are concerned.
    """

    kind: LeakKind
    subject: str
    splits: tuple[str, ...]
    tiers: tuple[str, ...]
    segments: int


def leaks(manifest: pl.DataFrame, matches: Iterable[tuple[str, str]] = ()) -> list[Leak]:
    """Find every leak between splits, and every performance that two tiers hold.

    Args:
        manifest: the table; excluded rows do not count.
        matches: pairs of keys of recordings, `folder/recording_id`, that hold the same performance.

    Returns:
        Sorted by kind and subject; none where the manifest is sound.
    """
    used = manifest.filter(pl.col("split") != EXCLUDED)
    found = [
        *_across_splits("performer", used.select("split", "tier", of="performer")),
        *_across_splits("piece", _pieces(used)),
        *_across_splits("recording", used.select("split", "tier", of="recording")),
        *_across_splits(
            "channel",
            used.filter(pl.col("performer").is_null()).select("split", "tier", of="channel"),
        ),
        *_official_test(used),
        *_same_audio(used),
        *_near_duplicates(used, matches),
    ]
    return sorted(found, key=lambda leak: (leak.kind, leak.subject))


def unverifiable(manifest: pl.DataFrame) -> pl.DataFrame:
    """Rows of which no check can say whether they leak: `tier, split, key, segments`.

    A performer or piece that nobody knows may be one that lies in another split.
    """
    return (
        manifest.filter(pl.col("split") != EXCLUDED)
        .select("tier", "split", key="unknown_keys")
        .explode("key")
        .drop_nulls("key")
        .group_by("tier", "split", "key")
        .agg(pl.len().alias("segments"))
        .sort("tier", "split", "key")
    )


def _across_splits(kind: LeakKind, keys: pl.DataFrame) -> list[Leak]:
    crossing = (
        keys.drop_nulls("of")
        .group_by("of")
        .agg(pl.col("split").unique().sort(), pl.col("tier").unique().sort(), pl.len())
        .filter(pl.col("split").list.len() > 1)
    )
    return [
        Leak(kind, subject, tuple(splits), tuple(tiers), segments)
        for subject, splits, tiers, segments in crossing.iter_rows()
    ]


def _pieces(used: pl.DataFrame) -> pl.DataFrame:
    """Each row under each of its pieces, a number of a set also under the whole that is there."""
    held = used.select("split", "tier", of="pieces").explode("of").drop_nulls("of")
    whole_of = whole_sets(held["of"].unique().to_list())
    return held.with_columns(pl.col("of").replace(whole_of))


def _official_test(used: pl.DataFrame) -> list[Leak]:
    return [
        Leak("official_test", subject, (split,), (tier,), segments)
        for subject, split, tier, segments in used.filter(
            (pl.col("official_split") == "test") & (pl.col("split") != "test")
        )
        .group_by("recording", "split", "tier")
        .len()
        .iter_rows()
    ]


def _same_audio(used: pl.DataFrame) -> list[Leak]:
    """The same stored sound in two splits, or in two tiers, whatever its recordings are called."""
    shared = (
        used.drop_nulls("audio_sha256")
        .group_by("audio_sha256")
        .agg(
            pl.col("recording").unique().sort(),
            pl.col("split").unique().sort(),
            pl.col("tier").unique().sort(),
            pl.len(),
        )
        .filter(
            (pl.col("recording").list.len() > 1)
            & ((pl.col("split").list.len() > 1) | (pl.col("tier").list.len() > 1))
        )
    )
    return [
        Leak("audio", " and ".join(recordings), tuple(splits), tuple(tiers), segments)
        for _, recordings, splits, tiers, segments in shared.iter_rows()
    ]


def _near_duplicates(used: pl.DataFrame, matches: Iterable[tuple[str, str]]) -> list[Leak]:
    lies_in = {
        recording: (splits, tiers, segments)
        for recording, splits, tiers, segments in used.group_by("recording")
        .agg(pl.col("split").unique(), pl.col("tier").unique(), pl.len())
        .iter_rows()
    }
    found = []
    for one, other in sorted({(min(pair), max(pair)) for pair in matches}):
        if one == other or one not in lies_in or other not in lies_in:
            continue
        splits = tuple(sorted({*lies_in[one][0], *lies_in[other][0]}))
        tiers = tuple(sorted({*lies_in[one][1], *lies_in[other][1]}))
        if len(splits) > 1 or len(tiers) > 1:
            segments = lies_in[one][2] + lies_in[other][2]
            found.append(Leak("near_duplicate", f"{one} and {other}", splits, tiers, segments))
    return found
