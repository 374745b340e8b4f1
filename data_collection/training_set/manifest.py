"""The manifest: one row a segment of T1 to T4, with all that training asks of it.

What belongs here: joining what the tiers hold, naming what does not fit, and giving each row its
split and loss terms; pure, over tables. What does not: reading and writing (`sources`,
`manifest_files`), the search for a split (`splits`), and checking what was made (`leaks`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from data_collection.training_set.loss_terms import with_loss_terms
from data_collection.training_set.manifest_rows import (
    EXCLUDED,
    PROBLEM_SCHEMA,
    TIERS,
    Split,
    manifest_schema,
)
from data_collection.training_set.sources import Sources
from data_collection.training_set.splits import Assignment, SplitRules, Unit, assign, whole_sets

WHOLLY = 0.999
"""Share of a clip that its piece covers, from which nothing else sounds in it."""
FRAMES_PER_S = 25.0
BETWEEN = "\x1f"
"""Between the keys of a row, where they are one text; in no name."""
_ADVICE = "materialize its recording's muq_embeddings again, then the metadata"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest and what stands behind it.

    Attributes:
        table: columns as `manifest_schema`, sorted by tier, recording and place in it.
        problems: what was found and left out, columns as `PROBLEM_SCHEMA`, sorted.
        assignment: the split of each key, for the next manifest to keep.
    """

    table: pl.DataFrame
    problems: pl.DataFrame
    assignment: Assignment


def build_manifest(
    sources: Sources,
    rules: SplitRules | None = None,
    *,
    distillation_open: bool = False,
    earlier: Mapping[str, Split] | None = None,
) -> Manifest:
    """Make the manifest.

    Args:
        sources: what the tiers hold.
        rules: how to split.
        distillation_open: the teacher's gate is open: its scores are targets.
        earlier: splits of keys in the manifest before, which are kept.

    Returns:
        The same for the same arguments, whatever the order of the sources' rows.
    """
    rules = rules or SplitRules()
    segments, problems = _sound_segments(sources)
    table = _with_keys(segments)
    table, more = _with_signals(table, sources)
    table, assignment = _with_split(table, sources, rules, earlier or {})
    table = with_loss_terms(
        table,
        sources.preferences,
        distillation_open=distillation_open,
        dimensions=sources.dimensions,
    )
    schema = manifest_schema(sources.dimensions)
    return Manifest(
        table=table.select(pl.col(name).cast(dtype) for name, dtype in schema.items()).sort(
            "tier", "collection", "recording_id", "segment_start", "segment_id"
        ),
        problems=pl.concat([sources.problems, *problems, *more]).unique().sort(*PROBLEM_SCHEMA),
        assignment=assignment,
    )


def split_figures(table: pl.DataFrame) -> pl.DataFrame:
    """What each split holds: `tier, split, segments, hours, recordings, performers, pieces`.

    Also `share`, of the tier's hours. The rows of excluded segments say what the split costs.
    """
    counted = table.group_by("tier", "split").agg(
        pl.len().alias("segments"),
        (_seconds().sum() / 3600).alias("hours"),
        pl.col("recording").n_unique().alias("recordings"),
        pl.col("performer").drop_nulls().n_unique().alias("performers"),
        pl.col("pieces").explode().drop_nulls().n_unique().alias("pieces"),
    )
    share = (pl.col("hours") / pl.col("hours").sum().over("tier")).alias("share")
    return counted.with_columns(share).sort("tier", "split")


def _sound_segments(sources: Sources) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Segments whose embedding is there as its receipt says, and what is wrong with the others.

    T1 has no receipts: its embeddings were opened when they were read.
    """
    segments = sources.segments.sort(
        "tier", "collection", "segment_id", "embedding_path", "embedding_sha256"
    )
    first = pl.struct("collection", "segment_id").is_first_distinct()
    twice = segments.filter(~first)
    segments = segments.filter(first)
    has_rows = pl.col("collection").is_in(segments["collection"].unique().to_list())
    receipts = sources.receipts.filter(has_rows).unique(["collection", "path"], keep="first")
    disk = sources.disk.filter(has_rows)
    checked = segments.with_columns(fault=None).filter(pl.col("tier") == "t1")
    others = _with_faults(segments.filter(pl.col("tier") != "t1"), receipts, disk)
    checked = pl.concat([checked.cast({"fault": pl.String}), others])
    is_sound = pl.col("fault").is_null()
    return checked.filter(is_sound).drop("fault"), [
        _named(twice, pl.lit("segment_twice"), "segment_id", "the first row is taken"),
        _named(checked.filter(~is_sound), pl.col("fault"), "segment_id", _ADVICE),
        *_without_rows(segments, receipts, disk, sources.duplicates),
    ]


def _with_faults(
    segments: pl.DataFrame, receipts: pl.DataFrame, disk: pl.DataFrame
) -> pl.DataFrame:
    """What is wrong with the embedding of each segment, in `fault`; null where nothing is."""
    keys = ["collection", "path"]
    known = receipts.select(*keys, "sha256", "size_bytes").join(disk, on=keys, how="left")
    fault = (
        pl.when(pl.col("sha256").is_null())
        .then(pl.lit("row_without_receipt"))
        .when(pl.col("on_disk_bytes").is_null())
        .then(pl.lit("embedding_missing"))
        .when(pl.col("on_disk_bytes") != pl.col("size_bytes"))
        .then(pl.lit("embedding_truncated"))
        .when(pl.col("embedding_sha256") != pl.col("sha256"))
        .then(pl.lit("embedding_replaced"))
    )
    joined = segments.join(
        known, left_on=["collection", "embedding_path"], right_on=keys, how="left"
    )
    return joined.with_columns(fault=fault).select(*segments.columns, "fault")


def _without_rows(
    segments: pl.DataFrame, receipts: pl.DataFrame, disk: pl.DataFrame, duplicates: pl.DataFrame
) -> list[pl.DataFrame]:
    """Embeddings that no row names, of receipts and of the disk; copies have no rows on purpose."""
    keys = ["collection", "path"]
    tier_of = segments.select("collection", "tier").unique()
    unnamed = (
        receipts.filter(pl.col("state") == "done")
        .join(segments.select("collection", path="embedding_path"), on=keys, how="anti")
        .join(tier_of, on="collection")
        .with_columns(recording=pl.concat_str("collection", pl.lit("/"), "recording_id"))
        .join(duplicates, on="recording", how="anti")
        .drop("recording")
    )
    stray = (
        disk.filter(~pl.col("path").str.contains("augmented_muq_embeddings/"))
        .join(receipts, on=keys, how="anti")
        .join(tier_of, on="collection")
    )
    return [
        _named(
            unnamed,
            pl.lit("row_missing"),
            "path",
            "embedded, and not in metadata.jsonl; materialize the metadata",
        ),
        _named(
            unnamed.join(disk, on=keys, how="anti"), pl.lit("embedding_missing"), "path", _ADVICE
        ),
        _named(stray, pl.lit("embedding_unknown"), "path", "no receipt knows it; it is not used"),
    ]


def _named(frame: pl.DataFrame, kind: pl.Expr, subject: str, detail: str) -> pl.DataFrame:
    return frame.select(
        pl.col("tier"),
        kind.alias("kind"),
        pl.col(subject).alias("subject"),
        pl.lit(detail).alias("detail"),
    )


def _with_keys(segments: pl.DataFrame) -> pl.DataFrame:
    """The columns that say whose playing of what a segment is."""
    ordered = segments.sort("collection", "recording_id", "segment_start", "segment_id")
    recording = pl.concat_str("collection", "recording_id", separator="/")
    partly = pl.col("piece_share") < WHOLLY
    neighbours = [
        pl.when(partly).then(pl.col("piece").shift(by).over("collection", "recording_id"))
        for by in (1, -1)
    ]
    pieces = pl.concat_list(
        pl.concat_list("piece", *neighbours),
        pl.col("recording_pieces").fill_null(pl.lit([], dtype=pl.List(pl.String))),
    )
    unknown = [
        pl.when(pl.col("performer").is_null()).then(pl.lit("performer")),
        pl.when(pl.col("pieces").list.len() == 0).then(pl.lit("piece")),
    ]
    return ordered.with_columns(
        recording=recording, pieces=pieces.list.drop_nulls().list.unique().list.sort()
    ).with_columns(
        work_ids=pl.col("work_ids").fill_null(pl.lit([], dtype=pl.List(pl.String))),
        unknown_keys=pl.concat_list(unknown).list.drop_nulls(),
    )


def _with_signals(table: pl.DataFrame, sources: Sources) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Teacher's labels and twins beside their segments, and those that belong to none."""
    keys = ["collection", "segment_id"]
    tier_of = table.select("collection", "tier").unique()
    taught = sources.teacher.sort(*sources.teacher.columns)
    scored_twice = taught.filter(~pl.struct(keys).is_first_distinct())
    labels = taught.unique(keys, keep="first", maintain_order=True)
    twins = sources.twins.sort("twin_recipe", "twin_seed", "twin_path")
    further = twins.filter(~pl.struct(keys).is_first_distinct())
    twins = twins.unique(keys, keep="first", maintain_order=True)
    on_disk = sources.disk.select(twin_path="path").unique()
    lost = twins.join(on_disk, on="twin_path", how="anti")
    found = twins.join(on_disk, on="twin_path", how="semi")
    known = table.select(keys)

    def strangers(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.join(known, on=keys, how="anti").join(tier_of, on="collection")

    return (
        table.join(labels, on=keys, how="left").join(found, on=keys, how="left"),
        [
            _named(
                strangers(labels),
                pl.lit("label_unknown"),
                "segment_id",
                "the teacher scored it, and no segment of this name is used",
            ),
            _named(
                scored_twice.join(tier_of, on="collection"),
                pl.lit("label_twice"),
                "segment_id",
                "the teacher's file has several rows of it; the lowest scores are taken",
            ),
            _named(
                strangers(twins),
                pl.lit("twin_unknown"),
                "twin_path",
                "no segment that it is a twin of is used",
            ),
            _named(
                lost.join(tier_of, on="collection"),
                pl.lit("twin_missing"),
                "twin_path",
                "it is not on the disk; make the pairs again",
            ),
            _named(
                further.join(tier_of, on="collection"),
                pl.lit("twin_further"),
                "twin_path",
                "the segment has another twin already, which is used",
            ),
        ],
    )


def _with_split(
    table: pl.DataFrame, sources: Sources, rules: SplitRules, earlier: Mapping[str, Split]
) -> tuple[pl.DataFrame, Assignment]:
    copies = _copies(table, sources.copies)
    left_out = _left_out(table, sources, copies)
    linked = {recording for pair in copies for recording in pair}
    table = table.with_columns(
        copy_of=pl.col("recording").replace_strict(left_out, default=None, return_dtype=pl.String),
        keys=_split_keys(linked),
        only_test=(pl.col("official_split") == "test").fill_null(False),
    )
    candidates = table.filter(pl.col("copy_of").is_null())
    pieces = candidates["pieces"].explode().drop_nulls().unique().sort().to_list()
    together = [
        *((f"piece:{part}", f"piece:{whole}") for part, whole in whole_sets(pieces).items()),
        *((f"recording:{one}", f"recording:{other}") for one, other in copies),
    ]
    assignment = assign(_units(candidates), rules, together=together, earlier=earlier)
    decided = [
        (keys, only_test, assignment.of(split_keys, only_test=only_test), why)
        for keys, only_test in candidates.select("keys", "only_test").unique().iter_rows()
        for split_keys in [keys.split(BETWEEN)]
        for why in [assignment.why_not(split_keys, only_test=only_test)]
    ]
    decisions = pl.DataFrame(
        decided,
        schema={
            "keys": pl.String(),
            "only_test": pl.Boolean(),
            "split": pl.String(),
            "excluded_because": pl.String(),
        },
        orient="row",
    )
    is_copy = pl.col("copy_of").is_not_null()
    return (
        table.join(decisions, on=["keys", "only_test"], how="left").with_columns(
            split=pl.when(is_copy).then(None).otherwise("split").fill_null(EXCLUDED),
            excluded_because=pl.when(is_copy)
            .then("copy of " + pl.col("copy_of"))
            .otherwise("excluded_because"),
        ),
        assignment,
    )


def _split_keys(linked: Iterable[str]) -> pl.Expr:
    """What of a row may lie in one split only, as one text.

    A performer stands for all of his recordings. Where nobody knows him, the channel does, which
    is often one person's; where there is none either, the recording has to.
    """
    nameless = pl.col("performer").is_null() & pl.col("channel").is_null()
    alone = nameless | pl.col("recording").is_in(sorted(linked))
    return pl.concat_str(
        "performer:" + pl.col("performer"),
        pl.when(pl.col("performer").is_null()).then("channel:" + pl.col("channel")),
        pl.when(alone).then("recording:" + pl.col("recording")),
        pl.when(pl.col("pieces").list.len() > 0).then(
            pl.col("pieces").list.eval("piece:" + pl.element()).list.join(BETWEEN)
        ),
        separator=BETWEEN,
        ignore_nulls=True,
    )


def _units(candidates: pl.DataFrame) -> list[Unit]:
    gathered = candidates.group_by("tier", "keys", "only_test").agg(_seconds().sum())
    return [
        Unit(tier, frozenset(keys.split(BETWEEN)), round(weight, 3), only_test)
        for tier, keys, only_test, weight in gathered.iter_rows()
    ]


def _seconds() -> pl.Expr:
    stated = pl.col("segment_end") - pl.col("segment_start")
    return pl.coalesce(stated, pl.col("frames") / FRAMES_PER_S).alias("seconds")


def _copies(table: pl.DataFrame, stated: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of recordings that hold the same: as stated, by their sound's hash, by their source."""
    recordings = table.select("recording", "collection", "audio_sha256", "source_url").unique()
    there = set(recordings["recording"])
    pairs = {(min(pair), max(pair)) for pair in stated if set(pair) <= there}
    for column, within in (("audio_sha256", True), ("source_url", False)):
        same: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for value, recording, collection in (
            recordings.drop_nulls(column).select(column, "recording", "collection").iter_rows()
        ):
            same[value].append((recording, collection))
        for found in same.values():
            # Parts of one session, or an archive, share a source within their tier.
            if within or len({collection for _, collection in found}) > 1:
                pairs |= {
                    (one, other)
                    for one, here in found
                    for other, elsewhere in found
                    if one < other and (within or here != elsewhere)
                }
    return sorted(pair for pair in pairs if pair[0] != pair[1])


def _left_out(
    table: pl.DataFrame, sources: Sources, copies: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """Recordings that are used in another place already, each with the one that stands for it.

    Of two in different tiers the first tier's is used; of two in one tier both, in one split.
    """
    tier_of = dict(table.select("recording", "tier").unique().iter_rows())
    out = dict(sources.duplicates.select("recording", "duplicate_of").iter_rows())
    for one, other in copies:
        first, second = sorted((one, other), key=lambda at: (TIERS.index(tier_of[at]), at))
        if tier_of[first] != tier_of[second]:
            out.setdefault(second, first)
    return out
