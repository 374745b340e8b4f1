"""Which failures are tried again: by class, by name, within their attempts, in one run."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import data_collection.recordings
from data_collection.recordings.collection import STAGES, Standing
from data_collection.recordings.errors import SetupError
from data_collection.recordings.fetch_errors import FETCH_REASONS, UNKNOWN
from data_collection.recordings.receipts import Receipt, State
from data_collection.recordings.tier_rows import Recording
from data_collection.youtube.breaker import BREAKER_OPEN
from data_collection.youtube.repair import (
    BY_NAME,
    CLASS_OF,
    NOT_ASKED,
    REASON_CLASSES,
    due_at,
    plan_repair,
    reason_class,
    repairable,
)

NOW = datetime(2026, 11, 10, tzinfo=UTC)


def receipt(
    key: str, stage: str, state: State, reason: str | None, attempts: int, days_ago: float
) -> Receipt:
    return Receipt(
        stage=f"youtube_piano_cache/{stage}",
        recording_id=key,
        state=state,
        reason=reason,
        attempts=attempts,
        fingerprint="",
        inputs={},
        parameters={},
        started_at=NOW - timedelta(days=days_ago),
        finished_at=NOW - timedelta(days=days_ago),
    )


def standing(
    number: int,
    state: State | None,
    reason: str | None = None,
    *,
    stage: str = "audio",
    attempts: int = 1,
    days_ago: float = 1,
) -> Standing:
    key = f"yt_{number}"
    row = Recording(recording_id=key, source_id=key, source_url="u", title="T")
    if state is None:
        return Standing(row, {}, stage, "missing", "not_tried", None)
    before = STAGES[: STAGES.index(stage)]
    receipts = {name: receipt(key, name, "done", None, 1, days_ago) for name in before}
    receipts[stage] = receipt(key, stage, state, reason, attempts, days_ago)
    return Standing(row, receipts, stage, state, reason, None)


MIXED = [
    standing(0, "done", stage="muq_embeddings"),
    standing(1, "failed", "truncated"),
    standing(2, "failed", "private"),
    standing(3, None),
    standing(4, "blocked", "disk_full", stage="segments", attempts=0),
    standing(5, "failed", "removed", attempts=3),
    standing(6, "blocked", "network", attempts=0),
    standing(7, "failed", "truncated", attempts=4),
    standing(8, "filtered", "no_usable_clip", stage="segments"),
    standing(9, "failed", "some_new_reason"),
    standing(10, "blocked", "checkpoint_missing", stage="muq_embeddings", attempts=0),
]


def test_all_that_can_help_and_nothing_else() -> None:
    """Without names, every failure but the hopeless and the worn out, from any stage, in order.

    Guards against a repair that asks for removed videos every week, and one that forgets a stage.
    """
    plan = plan_repair(MIXED)
    assert plan.keys == ("yt_1", "yt_4", "yt_6", "yt_9", "yt_10")
    assert plan.from_stage["yt_4"] == "segments"
    assert plan.from_stage["yt_10"] == "muq_embeddings"
    assert plan.left == {"yt_7": "attempts"}
    assert sum(plan.by_reason.values()) == 5


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["truncated"], ("yt_1",)),
        (["cut_short"], ("yt_1",)),
        (["outage", "ours"], ("yt_4", "yt_6", "yt_10")),
        (["withheld"], ("yt_2",)),
        (["private"], ("yt_2",)),
        (["some_new_reason"], ("yt_9",)),
        (["not_understood"], ("yt_9",)),
        (["checkpoint_missing"], ("yt_10",)),
        (["drm"], ()),
        ([], ()),
        ("private", ("yt_2",)),
    ],
)
def test_a_name_is_a_reason_or_a_class(names: list[str], keys: tuple[str, ...]) -> None:
    """Exactly what is named is tried, also what is hopeless, also a reason that no table has.

    Guards against a class that takes its neighbours along, and a word read as its letters.
    """
    assert repairable(MIXED, names) == keys


def test_a_mistyped_name_is_refused() -> None:
    """It is an error that lists the classes.

    Guards against `--reason pivate` that repairs nothing and says that all is well.
    """
    with pytest.raises(SetupError, match=r"'pivate'.*outage.*withheld") as raised:
        repairable(MIXED, ["pivate", "truncated"])
    assert raised.value.reason == "unknown_reason"


def test_attempts_bound_it_and_a_person_may_move_the_bound() -> None:
    """`max_attempts` holds instead of each class's own; what cost no attempt is not bound.

    Guards against a recording that is tried for ever, and an outage that counts as attempts.
    """
    assert repairable(MIXED, ["truncated"], max_attempts=10) == ("yt_1", "yt_7")
    assert repairable(MIXED, ["truncated", "removed"], max_attempts=1) == ()
    assert repairable(MIXED, ["network"], max_attempts=1) == ("yt_6",)


def test_a_bounded_run_takes_what_waits_the_longest() -> None:
    """With room for two, the two that were tried the longest time ago, in the catalogue's order.

    Guards against the same two that are tried at every repair.
    """
    waiting = [
        standing(n, "failed", "truncated", days_ago=days) for n, days in enumerate((1, 9, 5))
    ]
    plan = plan_repair(waiting, most=2)
    assert plan.keys == ("yt_1", "yt_2")
    assert plan.left == {"yt_0": "no_room"}


def test_every_reason_of_a_fetch_has_its_class() -> None:
    """All reasons of yt-dlp's messages, and of what decoding and cutting fail an item for.

    Guards against a new reason that nobody decided about, and two classes for one.
    """
    fetched = {row.reason for row in FETCH_REASONS} | {UNKNOWN.reason}
    folder = Path(data_collection.recordings.__file__).parent
    items = {reason for path in folder.glob("*.py") for reason in _item_reasons(path)}
    assert "corrupt_audio" in items
    assert fetched | items <= CLASS_OF.keys()
    assert sum(len(row.reasons) for row in REASON_CLASSES) == len(CLASS_OF)
    assert len(BY_NAME) == len(REASON_CLASSES)
    assert not BY_NAME.keys() & CLASS_OF.keys()
    assert CLASS_OF[BREAKER_OPEN].name == NOT_ASKED


def _item_reasons(path: Path) -> set[str]:
    """First arguments of `ItemError(...)` in a module, where they stand there as text."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id == "ItemError"
        and isinstance(call.args[0], ast.Constant)
    }


def test_a_hopeless_class_is_never_tried_by_a_night() -> None:
    """What retrying cannot help has no retry time; what the world did has one and no last attempt.

    Guards against removed videos in every night, and an outage that wears a recording out.
    """
    for row in REASON_CLASSES:
        for reason in row.reasons:
            due = due_at(receipt("yt_x", "audio", "failed", reason, 1, 0))
            if row.retrying == "hopeless":
                assert due is None
            if row.name in ("outage", "refused", "not_asked", "ours"):
                assert due is not None
                assert row.max_attempts is None
    assert reason_class("blocked", "never_seen").name == "ours"
    assert reason_class("failed", None).name == "not_understood"


ANY = st.builds(
    standing,
    st.integers(0, 10**6),
    st.sampled_from(["done", "failed", "blocked", "filtered", None]),
    st.sampled_from([*sorted(CLASS_OF), "never_seen"]),
    stage=st.sampled_from(STAGES),
    attempts=st.integers(0, 6),
    days_ago=st.floats(0, 100),
)


@given(
    st.lists(ANY, max_size=30, unique_by=lambda one: one.recording.recording_id),
    st.one_of(st.none(), st.lists(st.sampled_from(sorted([*BY_NAME, *CLASS_OF])), max_size=4)),
    st.one_of(st.none(), st.integers(0, 5)),
    st.one_of(st.none(), st.integers(0, 10)),
)
def test_any_repair_keeps_its_promises(
    found: list[Standing], names: list[str] | None, max_attempts: int | None, most: int | None
) -> None:
    """Only unfinished ones, once each, in order, within attempts and room; the rest is said.

    Guards against a repair that redoes what is done or loses what it was asked for.
    """
    plan = plan_repair(found, names, max_attempts, most=most)
    ids = [one.recording.recording_id for one in found]
    of = dict(zip(ids, found, strict=True))
    assert list(plan.keys) == [key for key in ids if key in set(plan.keys)]
    assert not set(plan.keys) & set(plan.left)
    assert most is None or len(plan.keys) <= most
    for key in (*plan.keys, *plan.left):
        assert of[key].state in ("failed", "blocked")
        row = reason_class(of[key].state, of[key].reason)
        assert names is None or {row.name, of[key].reason} & set(names)
        assert names is not None or row.retrying != "hopeless"
    if max_attempts is not None:
        assert all(of[key].receipts[of[key].stage].attempts < max_attempts for key in plan.keys)
