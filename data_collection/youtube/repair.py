"""What to try again, by the class of its reason, and in one run.

What belongs here: what each class of reasons means, whether and when trying again can help, and the
choice of recordings. What does not: a night's new recordings (`night`), and running it. A repair's
keys are scattered, and only contiguous ones share a run of a backfill: a job of its own takes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from data_collection.recordings.collection import Standing
from data_collection.recordings.errors import SetupError
from data_collection.recordings.receipts import Receipt

Helps = Literal["helps", "may_help", "hopeless"]
NOT_ASKED = "not_asked"
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class ReasonClass:
    """Reasons for which trying again promises the same.

    Attributes:
        name: by which a person asks for it.
        reasons: as they stand in receipts.
        meaning: what is the matter, in words.
        retrying: whether trying again can help.
        retry_after_s: the night tries again so long after the last try; None: only a repair does.
        max_attempts: attempts after which neither does; None for any number.
    """

    name: str
    reasons: frozenset[str]
    meaning: str
    retrying: Helps
    retry_after_s: float | None
    max_attempts: int | None = None


REASON_CLASSES: tuple[ReasonClass, ...] = (
    ReasonClass(
        NOT_ASKED,
        frozenset({"breaker_open", "interrupted", "not_in_catalogue", "upstream_not_done"}),
        "nothing was asked of the source yet",
        "helps",
        0.0,
    ),
    ReasonClass(
        "outage",
        frozenset({"network", "server_error"}),
        "the source could not be reached, or has trouble of its own",
        "helps",
        HOUR_S,
    ),
    ReasonClass(
        "refused",
        frozenset({"bot_check", "rate_limited", "too_many_requests"}),
        "the source wanted us to stop; the breaker knows until when",
        "helps",
        6 * HOUR_S,
    ),
    ReasonClass(
        "ours",
        frozenset({"disk_full", "tool_missing", "internal_error"}),
        "a disk, a tool, a model or a bug of ours; mend that first",
        "helps",
        6 * HOUR_S,
    ),
    ReasonClass(
        "cut_short",
        frozenset({"truncated", "forbidden_media", "no_file", "empty_file", "duration_mismatch"}),
        "less came than was promised",
        "may_help",
        DAY_S,
        4,
    ),
    ReasonClass(
        "damaged",
        frozenset({"corrupt_audio", "no_audio", "cut_beyond_end", "clip_too_short"}),
        "what came cannot be decoded; a source may still be converting a new video",
        "may_help",
        7 * DAY_S,
        3,
    ),
    ReasonClass(
        "not_out_yet",
        frozenset({"not_yet_available"}),
        "a premiere or live stream before its time",
        "helps",
        DAY_S,
        30,
    ),
    ReasonClass(
        "not_understood",
        frozenset(
            {
                "no_audio_format",
                "unsupported_source",
                "login_required",
                "page_unreadable",
                "unknown",
            }
        ),
        "yt-dlp cannot read the page: update it, run `data-collection doctor`",
        "may_help",
        14 * DAY_S,
        3,
    ),
    ReasonClass(
        "withheld",
        frozenset({"private", "members_only", "age_restricted", "geo_blocked", "copyright", "drm"}),
        "the uploader or the law keeps it from guests, or from this country",
        "hopeless",
        None,
        3,
    ),
    ReasonClass(
        "taken_out",
        frozenset({"purged"}),
        "it was taken out on purpose; its tombstone keeps it out",
        "hopeless",
        None,
    ),
    ReasonClass("gone", frozenset({"removed"}), "it is no longer there", "hopeless", None, 3),
    ReasonClass(
        "unfit",
        frozenset({"non_finite_embedding", "embedding_overflow"}),
        "the model makes no numbers of it; another model, precision or version may",
        "may_help",
        None,
        3,
    ),
)
"""Every reason stands in one class; `reason_class` knows what becomes of others."""

CLASS_OF: Mapping[str, ReasonClass] = {
    reason: row for row in REASON_CLASSES for reason in row.reasons
}
BY_NAME: Mapping[str, ReasonClass] = {row.name: row for row in REASON_CLASSES}
UNFINISHED = ("failed", "blocked")

WhyNot = Literal["attempts", "no_room"]


def reason_class(state: str, reason: str | None) -> ReasonClass:
    """The class of a receipt's reason; of an unknown one by whose fault the state says it is."""
    return CLASS_OF.get(reason or "") or BY_NAME["ours" if state == "blocked" else "not_understood"]


def due_at(receipt: Receipt) -> datetime | None:
    """When a night may try a failed or blocked recording again; None where only a repair does."""
    after_s = reason_class(receipt.state, receipt.reason).retry_after_s
    return None if after_s is None else receipt.started_at + timedelta(seconds=after_s)


def is_worn_out(receipt: Receipt, max_attempts: int | None = None) -> bool:
    """Whether a recording has had as many attempts as its class, or a person, gives it."""
    most = max_attempts
    if most is None:
        most = reason_class(receipt.state, receipt.reason).max_attempts
    return most is not None and receipt.attempts >= most


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """One run over scattered keys.

    Attributes:
        keys: recordings, in the catalogue's order.
        from_stage: the stage that each of them is to be brought on from.
        by_reason: how many of each reason.
        left: recordings that were asked for and stay out, and why.
    """

    keys: tuple[str, ...]
    from_stage: Mapping[str, str]
    by_reason: Mapping[str, int]
    left: Mapping[str, WhyNot]


def repairable(
    standings: Sequence[Standing],
    reasons: Collection[str] | None = None,
    max_attempts: int | None = None,
) -> tuple[str, ...]:
    """Recordings worth another try, in the catalogue's order; see `plan_repair`."""
    return plan_repair(standings, reasons, max_attempts).keys


def plan_repair(
    standings: Sequence[Standing],
    reasons: Collection[str] | None = None,
    max_attempts: int | None = None,
    *,
    most: int | None = None,
) -> RepairPlan:
    """Choose what one repair run tries again.

    Args:
        standings: of the whole catalogue, in its order.
        reasons: names of reasons or of their classes. A hopeless one is tried where it is named:
            somebody may have got leave. None for every class that is not hopeless.
        max_attempts: recordings with so many stay out; None for what their class gives them.
        most: recordings in the run; those that were not tried for the longest time go first.

    Raises:
        SetupError: `unknown_reason`: a name is neither, and the message lists those there are.
    """
    names = _checked(reasons, standings)
    wanted = [item for item in standings if _is_wanted(item, names)]
    worn_out = [item for item in wanted if is_worn_out(_receipt(item), max_attempts)]
    worn_out_ids = {_id(item) for item in worn_out}
    tried = [item for item in wanted if _id(item) not in worn_out_ids]
    longest_ago = sorted(tried, key=lambda item: _receipt(item).started_at)[:most]
    chosen_ids = {_id(item) for item in longest_ago}
    chosen = [item for item in tried if _id(item) in chosen_ids]
    left: dict[str, WhyNot] = {_id(item): "attempts" for item in worn_out}
    left |= {_id(item): "no_room" for item in tried if _id(item) not in chosen_ids}
    return RepairPlan(
        keys=tuple(_id(item) for item in chosen),
        from_stage={_id(item): item.stage for item in chosen},
        by_reason=dict(Counter(str(item.reason) for item in chosen).most_common()),
        left=left,
    )


def _checked(
    reasons: Collection[str] | None, standings: Sequence[Standing]
) -> frozenset[str] | None:
    """The names that were asked for; also such as only these standings know."""
    if reasons is None:
        return None
    names = frozenset([reasons] if isinstance(reasons, str) else reasons)
    unknown = names - {*BY_NAME, *CLASS_OF, *(str(item.reason) for item in standings)}
    if unknown:
        raise SetupError(
            "unknown_reason",
            f"{', '.join(map(repr, sorted(unknown)))}: no reason and no class of reasons; the "
            f"classes are {', '.join(BY_NAME)}",
        )
    return names


def _is_wanted(item: Standing, names: frozenset[str] | None) -> bool:
    if item.state not in UNFINISHED or item.stage not in item.receipts:
        return False
    row = reason_class(item.state, item.reason)
    if names is None:
        return row.retrying != "hopeless"
    return not names.isdisjoint({row.name, str(item.reason)})


def _receipt(item: Standing) -> Receipt:
    return item.receipts[item.stage]


def _id(item: Standing) -> str:
    return item.recording.recording_id
