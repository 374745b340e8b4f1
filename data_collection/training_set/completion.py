"""The completion gate: what of the collection is not there yet, by tier, recording and reason.

What belongs here: judging what was read of the tiers. What does not: reading it (`tier_states`),
and what a tier's own rows mean. T2 and T3 have to be there; T4 adds to them and is counted only.
A recording that its source no longer gives is not missing, and neither is one that was heard and
filtered: both are finished, and named with their reason.
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from data_collection.recordings.collection import STAGES, Standing
from data_collection.recordings.store import Store
from data_collection.training_set.tier_states import (
    ReadTier,
    RiverTier,
    Teaching,
    TierState,
    read_tier,
    sizes_on_disk,
)

NEEDED: Final[tuple[RiverTier, ...]] = ("t2", "t3")
"""Tiers without which nothing is complete."""
TAUGHT: Final = "t2"
"""The tier whose labels have to be there if a pilot said so; the gate rests on it alone."""
WITHHELD: Final = frozenset(
    {
        "removed",
        "private",
        "members_only",
        "age_restricted",
        "geo_blocked",
        "copyright",
        "drm",
    }
)
"""Reasons of a failed recording that trying again does not mend: nobody can have it from here."""
PURGED: Final = "purged"
EMBEDDINGS: Final = STAGES[-1]
NAMED: Final = 5
"""So many examples stand in a message."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gap(_Entry):
    """Something that is not there."""

    tier: RiverTier
    collection: str = Field(description="the tier's folder below the data root")
    subject: str = Field(description="recording, file, or the collection")
    stage: str = Field(description="where it stands: a stage of the river, metadata, teacher, …")
    state: str = Field(description="missing, failed, blocked, filtered or accepted")
    reason: str = Field(description="its class, as in receipts")
    detail: str | None = Field(default=None, description="the same in words, and what to do")


class TierCompletion(_Entry):
    """How far one tier is; the four counts of recordings add up to `recordings`."""

    tier: RiverTier
    collection: str = Field(description="the tier's folder below the data root")
    is_needed: bool = Field(description="false for T4, which is never missing")
    recordings: int = Field(ge=0, description="of the catalogue")
    there: int = Field(ge=0, description="embedded, with their rows")
    filtered: int = Field(ge=0, description="finished without rows: nothing usable, or a copy")
    not_to_be_had: int = Field(ge=0, description="withheld by the source, purged, or given up")
    missing: int = Field(ge=0, description="recordings that could be there and are not")
    segments: int = Field(ge=0, description="rows of the metadata")
    because: str = Field(description="what stands in the way, in words; empty where nothing does")


class Completion(_Entry):
    """Whether the collection is complete, and what is missing where it is not."""

    is_complete: bool
    tiers: tuple[TierCompletion, ...]
    missing: tuple[Gap, ...] = Field(description="of needed tiers; any of them keeps the gate shut")
    not_missing: tuple[Gap, ...] = Field(
        description="not there for good, and so not asked for: withheld, purged, filtered, given "
        "up; and all that T4 has not"
    )

    def by_reason(self) -> dict[str, int]:
        """Count what is missing as `tier stage: state: reason`, the most frequent first."""
        return _by_reason(self.missing)

    def by_good_reason(self) -> dict[str, int]:
        """Count in the same way what is not there for good."""
        return _by_reason(self.not_missing)

    def table(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """Columns and rows of a table, a row a tier."""
        columns = ("tier", "recordings", "there", "filtered", "not to be had", "missing", "because")
        return columns, [
            (
                f"{row.tier} {row.collection}{'' if row.is_needed else ' (additive)'}",
                row.recordings,
                row.there,
                row.filtered,
                row.not_to_be_had,
                row.missing,
                row.because,
            )
            for row in self.tiers
        ]

    def missing_table(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """Columns and rows of a table, a row for each thing that is missing."""
        return ("tier", "what", "stage", "state", "reason", "detail"), [
            (gap.tier, gap.subject, gap.stage, gap.state, gap.reason, gap.detail)
            for gap in self.missing
        ]

    def figures(self) -> dict[str, float]:
        """Figures whose history is worth a plot."""
        figures = {"is_complete": float(self.is_complete), "missing": float(len(self.missing))}
        for name in ("recordings", "there", "missing", "segments"):
            for row in self.tiers:
                key = f"{row.tier}_{name}"
                figures[key] = figures.get(key, 0.0) + float(getattr(row, name))
        return figures


def completion(store: Store, tiers: Sequence[TierState]) -> Completion:
    """Judge what the data root holds.

    Complete means: T2 and T3 have at least one recording with rows each, every recording of theirs
    that can be had has its embeddings, as its receipt says, and a row for each, their `files` are
    there, and where a pilot said that T2 is scored, every judged segment has a label or a stated
    reason and the gate has a verdict. Which verdict does not matter: a teacher that is shown to be
    of no use is a finished question.

    Args:
        store: the data root.
        tiers: T2 (an entry an edition), T3 and T4, also those that are off.

    Returns:
        The same for the same data root; gaps in the order of tiers and catalogues.
    """
    missing: list[Gap] = []
    good: list[Gap] = []
    counted: list[TierCompletion] = []
    for state in tiers:
        read = read_tier(store, state)
        lacking, finished = _of_tier(store, read)
        is_needed = state.tier in NEEDED
        counted.append(_counted(read, lacking, finished))
        missing += lacking if is_needed else []
        good += finished if is_needed else [*finished, *lacking]
    given = {state.tier for state in tiers}
    missing += [_tier_absent(tier) for tier in NEEDED if tier not in given]
    return Completion(
        is_complete=not missing,
        tiers=tuple(counted),
        missing=tuple(missing),
        not_missing=tuple(good),
    )


def is_withheld(item: Standing) -> bool:
    """Whether a recording cannot be had: its source keeps it, or it was purged."""
    return item.reason == PURGED or (item.state == "failed" and item.reason in WITHHELD)


def _of_tier(store: Store, read: ReadTier) -> tuple[list[Gap], list[Gap]]:
    """What a tier lacks, and what is not there for good."""
    lacking = [_gap(read, "collection", reason, detail) for reason, detail in read.problems]
    if read.state.off_because is not None:
        return lacking, []
    finished: list[Gap] = []
    for item in read.standings:
        if item.state == "done":
            continue
        gap, is_finished = _not_done(read, item)
        (finished if is_finished else lacking).append(gap)
    lacking += _unlike_receipts(store, read)
    if not read.problems:
        lacking += _nothing_at_all(read)
        lacking += _files(store, read)
    if read.state.teaching is not None and read.state.tier == TAUGHT:
        lacking += _unscored(read, read.state.teaching)
    accepted = read.state.accepted
    given_up = [
        gap.model_copy(update={"state": "accepted", "detail": accepted[gap.subject]})
        for gap in lacking
        if gap.subject in accepted
    ]
    return [gap for gap in lacking if gap.subject not in accepted], finished + given_up


def _not_done(read: ReadTier, item: Standing) -> tuple[Gap, bool]:
    gap = Gap(
        tier=read.state.tier,
        collection=read.state.collection,
        subject=item.recording.recording_id,
        stage=item.stage,
        state=item.state,
        reason=item.reason or item.state,
        detail=item.detail,
    )
    return gap, item.state == "filtered" or is_withheld(item)


def _unlike_receipts(store: Store, read: ReadTier) -> list[Gap]:
    """Recordings whose receipts say done, and whose files or rows say something else."""
    if not any(item.state == "done" for item in read.standings):
        return []
    on_disk = sizes_on_disk(store, read.state.river.folder(EMBEDDINGS))
    rows: defaultdict[str, dict[str, str]] = defaultdict(dict)
    columns = ("recording_id", "embedding_path", "embedding_sha256")
    for recording_id, path, sha256 in read.collected.select(columns).iter_rows():
        rows[recording_id][path] = sha256
    gaps: list[Gap] = []
    for item in read.standings:
        if item.state == "done":
            has_rows = None if read.rows is None else rows[item.recording.recording_id]
            gaps += _of_embeddings(read, item, on_disk, has_rows)
    return gaps


def _of_embeddings(
    read: ReadTier, item: Standing, on_disk: Mapping[str, int], rows: Mapping[str, str] | None
) -> Iterable[Gap]:
    """What of one recording is not as its receipt says; `rows` is None where none can be read."""
    made = [out for out in item.receipts[EMBEDDINGS].outputs if out.path.endswith(".pt")]
    wrong = {
        "embedding_missing": [out.path for out in made if out.path not in on_disk],
        "embedding_truncated": [
            out.path for out in made if on_disk.get(out.path, out.size_bytes) != out.size_bytes
        ],
    }
    if rows is not None:
        wrong["row_missing"] = [out.path for out in made if out.path not in rows]
        wrong["row_outdated"] = [
            out.path for out in made if rows.get(out.path, out.sha256) != out.sha256
        ]
    for reason, paths in wrong.items():
        if paths:
            stage = "metadata" if reason.startswith("row") else EMBEDDINGS
            detail = f"{len(paths)} of {len(made)}, {_some(paths)}; materialize {stage} again"
            yield _gap(read, stage, reason, detail, subject=item.recording.recording_id)


def _nothing_at_all(read: ReadTier) -> list[Gap]:
    if not read.standings:
        return [_gap(read, "collection", "catalogue_empty", "no recording was found")]
    if read.collected.is_empty():
        return [_gap(read, "metadata", "no_segments", "no recording has rows")]
    return []


def _files(store: Store, read: ReadTier) -> list[Gap]:
    """Files that have to be there, whole as far as their form tells."""
    gaps = []
    for relative in read.state.files:
        problem = _problem_of(store, relative)
        if problem is not None:
            key = relative.rsplit(".", 1)[0]
            detail = f"{store.path(relative)} {problem}; materialize {key}"
            gaps.append(_gap(read, "file", "file_missing", detail, subject=relative))
    return gaps


def _problem_of(store: Store, relative: str) -> str | None:
    try:
        content = store.path(relative).read_bytes()
        if relative.endswith(".parquet"):
            pl.read_parquet_schema(io.BytesIO(content))
        elif relative.endswith(".json"):
            json.loads(content)
    except FileNotFoundError:
        return "is not there"
    except (ValueError, RecursionError, pl.exceptions.PolarsError) as error:
        return f"cannot be read ({str(error).splitlines()[0]})"
    return None if content.strip() else "is empty"


def _unscored(read: ReadTier, teaching: Teaching) -> list[Gap]:
    """What the teacher owes, where a pilot said that it is asked."""
    if not teaching.pilot_is_go:
        return []
    recording_of = dict(read.collected.select("segment_id", "recording_id").iter_rows())
    owed: defaultdict[str, list[str]] = defaultdict(list)
    for segment_id in sorted(teaching.judged - teaching.scored - set(teaching.stated)):
        owed[recording_of.get(segment_id, segment_id)].append(segment_id)
    gaps = [
        _gap(read, "teacher", "label_missing", f"{len(ids)} segments, {_some(ids)}", subject=name)
        for name, ids in owed.items()
    ]
    if not teaching.judged:
        gaps.append(_gap(read, "teacher", "nothing_judged", f"no packets; {teaching.because}"))
    if teaching.verdict is None:
        gaps.append(_gap(read, "teacher", "no_verdict", "the gate on the labels was not run"))
    return gaps


def _counted(read: ReadTier, lacking: Sequence[Gap], finished: Sequence[Gap]) -> TierCompletion:
    named = {item.recording.recording_id for item in read.standings}
    missing = {gap.subject for gap in lacking} & named
    filtered = {gap.subject for gap in finished if gap.state == "filtered"} & named - missing
    given_up = {gap.subject for gap in finished} & named - missing - filtered
    of_the_tier = [gap for gap in lacking if gap.subject not in named]
    said = [f"{gap.subject}: {gap.reason}: {gap.detail}" for gap in of_the_tier]
    said += [
        f"{name} ({count})"
        for name, count in _by_reason(gap for gap in lacking if gap.subject in named).items()
    ]
    return TierCompletion(
        tier=read.state.tier,
        collection=read.state.collection,
        is_needed=read.state.tier in NEEDED,
        recordings=len(named),
        there=len(named - missing - filtered - given_up),
        filtered=len(filtered),
        not_to_be_had=len(given_up),
        missing=len(missing),
        segments=read.collected.height,
        because="; ".join(said[:NAMED]),
    )


def _gap(
    read: ReadTier, stage: str, reason: str, detail: str, *, subject: str | None = None
) -> Gap:
    return Gap(
        tier=read.state.tier,
        collection=read.state.collection,
        subject=subject or read.state.collection,
        stage=stage,
        state="missing",
        reason=reason,
        detail=detail,
    )


def _tier_absent(tier: RiverTier) -> Gap:
    return Gap(
        tier=tier,
        collection=tier,
        subject=tier,
        stage="collection",
        state="missing",
        reason="tier_off",
        detail="this tier is not in the graph",
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _by_reason(gaps: Iterable[Gap]) -> dict[str, int]:
    return dict(
        Counter(f"{gap.tier} {gap.stage}: {gap.state}: {gap.reason}" for gap in gaps).most_common()
    )
