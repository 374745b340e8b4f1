"""What Dagster is told of a range of recordings of which some are not done."""

import html
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime

import dagster as dg
import pytest

from data_collection import batching
from data_collection.asset_pages import cell
from data_collection.batching import run_per_partition
from data_collection.recordings.receipts import Receipt, Settled, State

KEYS = ["a", "b", "c", "d", "e"]
PARTITIONS = dg.StaticPartitionsDefinition(KEYS)


def _settled(key: str, state: State, *, stops_batch: bool = False) -> Settled:
    now = datetime.now(UTC)
    receipt = Receipt(
        stage="stage",
        recording_id=key,
        state=state,
        reason=None if state == "done" else "some_reason",
        detail=None if state == "done" else "<b>markup</b> | and a pipe",
        fingerprint="0" * 64,
        inputs={},
        parameters={},
        started_at=now,
        finished_at=now,
    )
    return Settled(receipt, stops_batch=stops_batch)


def _run(
    states: Mapping[str, Settled],
    keys: list[str] = KEYS,
    *,
    at_once: int | None = None,
    meanwhile: Callable[[str], None] = lambda _: None,
    progress: Callable[[], str] | None = None,
) -> tuple[dg.ExecuteInProcessResult, dg.DagsterInstance, list[str]]:
    """Materialize keys, one after the other or several at once."""
    tried: list[str] = []

    @dg.asset(partitions_def=PARTITIONS, backfill_policy=dg.BackfillPolicy.multi_run(100))
    def stage(context: dg.AssetExecutionContext) -> None:
        def settle(key: str) -> Settled:
            tried.append(key)
            meanwhile(key)
            return states[key]

        with ThreadPoolExecutor(at_once) if at_once else nullcontext() as executor:
            run_per_partition(
                context,
                settle,
                lambda receipt: {"letter": receipt.recording_id},
                executor=executor,
                progress=progress,
            )

    instance = dg.DagsterInstance.ephemeral()
    result = dg.materialize(
        [stage],
        instance=instance,
        tags={
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        },
        raise_on_error=False,
    )
    return result, instance, tried


def _events(instance: dg.DagsterInstance) -> Counter[str]:
    records = instance.fetch_materializations(dg.AssetKey("stage"), limit=100).records
    return Counter(str(record.partition_key) for record in records)


@pytest.mark.parametrize("at_once", [None, 1, 3])
def test_all_good_is_one_event_a_key_and_success(at_once: int | None) -> None:
    """Each key is recorded once with its own metadata; guards doubled or lost events."""
    result, instance, _ = _run({key: _settled(key, "done") for key in KEYS}, at_once=at_once)
    assert result.success
    assert _events(instance) == dict.fromkeys(KEYS, 1)
    records = instance.fetch_materializations(dg.AssetKey("stage"), limit=9).records
    letters = {
        record.partition_key: record.asset_materialization.metadata["letter"].value
        for record in records
        if record.asset_materialization
    }
    assert letters == {key: key for key in KEYS}


@pytest.mark.parametrize("at_once", [None, 3])
@pytest.mark.parametrize("state", ["failed", "blocked"])
def test_good_keys_are_recorded_and_the_run_fails(state: State, at_once: int | None) -> None:
    """One bad key fails the run, the others are materialized once, the bad one is marked failed."""
    states = {key: _settled(key, state if key == "c" else "done") for key in KEYS}
    result, instance, tried = _run(states, at_once=at_once)
    assert not result.success
    assert sorted(tried) == KEYS
    assert _events(instance) == {"a": 1, "b": 1, "d": 1, "e": 1}
    status = instance.get_status_by_partition(dg.AssetKey("stage"), KEYS, PARTITIONS)
    assert status is not None
    assert {key: found.name for key, found in status.items() if found is not None} == {
        "a": "MATERIALIZED",
        "b": "MATERIALIZED",
        "c": "FAILED",
        "d": "MATERIALIZED",
        "e": "MATERIALIZED",
    }


def test_filtered_is_finished() -> None:
    """A filtered recording is materialized: nobody tries it again."""
    states = {key: _settled(key, "filtered" if key == "b" else "done") for key in KEYS}
    result, instance, _ = _run(states)
    assert result.success
    assert _events(instance)["b"] == 1


def test_a_fault_that_the_next_would_meet_stops_the_batch() -> None:
    """After a full disk or a rate limit the rest is not tried, and what was done is kept."""
    states = {key: _settled(key, "done") for key in KEYS}
    states["c"] = _settled("c", "blocked", stops_batch=True)
    result, instance, tried = _run(states)
    assert not result.success
    assert tried == ["a", "b", "c"]
    assert _events(instance) == {"a": 1, "b": 1}
    failure = next(event for event in result.all_events if event.is_step_failure)
    said = str(failure.step_failure_data.user_failure_data.description)
    assert "2 not tried" in said


def test_keys_under_way_end_when_the_batch_stops() -> None:
    """With several at once, none is begun after the fault, and those under way are recorded.

    Guards against a recording that was embedded and is not known to be, and against ninety more
    that meet the same full disk.
    """
    a_may_end = threading.Event()
    states = {key: _settled(key, "done") for key in KEYS}
    states["b"] = _settled("b", "blocked", stops_batch=True)

    def meanwhile(key: str) -> None:
        if key == "b":  # a is under way, and ends when b's fault is known
            threading.Timer(0.2, a_may_end.set).start()
        if key == "a":
            assert a_may_end.wait(60)

    result, instance, tried = _run(states, at_once=2, meanwhile=meanwhile)
    assert not result.success
    assert sorted(tried) == ["a", "b"]
    assert _events(instance) == {"a": 1}
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "3 not tried" in str(failure.step_failure_data.user_failure_data.description)


def test_progress_is_said_while_a_long_recording_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log tells how far it is although no recording has ended; guards an hour of silence."""
    monkeypatch.setattr(batching, "PROGRESS_EVERY_S", 0.01)
    said = threading.Event()

    def progress() -> str:
        said.set()
        return "7 of 120 clips"

    def meanwhile(_: str) -> None:
        assert said.wait(60)

    states = {key: _settled(key, "done") for key in KEYS}
    result, _, _ = _run(states, at_once=2, meanwhile=meanwhile, progress=progress)
    assert result.success


def test_an_exception_of_the_stage_ends_the_run() -> None:
    """A bug outside what a stage settles fails the run, and no further key is begun."""

    def meanwhile(key: str) -> None:
        raise RuntimeError(f"a bug with {key}")

    states = {key: _settled(key, "done") for key in KEYS}
    result, instance, tried = _run(states, at_once=1, meanwhile=meanwhile)
    assert not result.success
    assert len(tried) < len(KEYS)
    assert _events(instance) == {}


def test_one_key_alone_behaves_like_a_range() -> None:
    """A single partition, as clicked in the UI, is recorded or failed in the same way."""
    good, instance, _ = _run({"b": _settled("b", "done")}, ["b"])
    assert good.success
    assert _events(instance) == {"b": 1}
    bad, instance, _ = _run({"b": _settled("b", "failed")}, ["b"])
    assert not bad.success
    assert _events(instance) == {}


def test_nothing_reaches_a_report_unescaped() -> None:
    """Titles and messages come from the web: markup and table bars are made harmless."""
    made = cell("<script>x</script> ![i](http://a) a | b\nc & d `e` *f*")
    assert not set("<>[]|`*\n") & set(made)
    assert html.unescape(made) == "<script>x</script> ![i](http://a) a | b c & d `e` *f*"
    assert len(cell("x" * 1000)) == 200
