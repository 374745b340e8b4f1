"""The one loop over the partition keys of a run.

What belongs here: bringing each key through a stage, one by one or several at once, and telling
Dagster which are materialized and which are not. What does not: what the stage does, and the states
themselves (`receipts`).

Dagster, as measured on 1.13.27: a range run that returns normally marks every key materialized, and
one that raises records nothing; so after a failure the good keys are reported one by one, and then
the run fails. Never both for one key: reporting a key and then returning doubles its events.
`Failure(allow_retries=False)` because retries live in the loop, where they cost one key, not the
range. Run retries are a second mechanism that it does not stop: dagster.yaml turns that off.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from contextlib import closing

import dagster as dg

from data_collection.asset_pages import cell
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.receipts import FINISHED, Receipt, Settled

Metadata = Mapping[str, dg.MetadataValue | str | int | float | bool]
PROGRESS_EVERY_S = 30.0
SHOWN_FAILURES = 20


def run_per_partition(
    context: dg.AssetExecutionContext,
    stage: Callable[[str], Settled],
    describe: Callable[[Receipt], Metadata],
    *,
    executor: Executor | None = None,
    progress: Callable[[], str] | None = None,
) -> None:
    """Bring every partition key of this run through a stage.

    Args:
        context: of an asset partitioned by recording; one key or a range.
        stage: settles one recording; raises nothing that concerns only that recording.
        describe: metadata of a finished recording, for its partition's page.
        executor: settles several keys at once, in its threads; None for one after the other. It
            stays open, so whoever leaves by an interrupt first ends what its threads wait for, and
            then it.
        progress: says how far the run has come, instead of an estimate from the keys.

    Raises:
        dagster.Failure: some keys are not finished; the others are recorded as materialized first.
    """
    keys = context.partition_keys
    ended: dict[str, Settled] = {}
    described: dict[str, Metadata] = {}
    started = time.monotonic()

    def report() -> None:
        not_done = sum(settled.receipt.state not in FINISHED for settled in ended.values())
        pace_s = (time.monotonic() - started) / max(1, len(ended))
        left = f"about {pace_s * (len(keys) - len(ended)) / 60:.0f} min left"
        context.log.info(
            f"{len(ended)} of {len(keys)} recordings, {not_done} not done, "
            f"{progress() if progress else left}"
        )

    with closing(_as_settled(keys, stage, executor, report)) as settling:
        for key, settled in settling:
            ended[key] = settled
            receipt = settled.receipt
            if receipt.state in FINISHED:
                described[key] = common_metadata(receipt, reused=settled.skipped)
                try:
                    described[key] = {**described[key], **describe(receipt)}
                except RecordingError as error:  # a damaged file: said, and the others go on
                    context.log.warning(f"{key} cannot be described: {error}")
            else:
                context.log.warning(f"{key} {receipt.state}: {receipt.reason}: {receipt.detail}")
    good = {key: described[key] for key in keys if key in described}
    bad = [ended[key].receipt for key in keys if key in ended and key not in described]
    untried = [key for key in keys if key not in ended]
    reused = sum(settled.skipped for settled in ended.values())
    context.log.info(
        f"{len(good)} of {len(keys)} recordings finished ({reused} were done before), "
        f"{len(bad)} not done, {len(untried)} not tried{f'; {progress()}' if progress else ''}"
    )
    tell_dagster(context, good, failure_of(bad, untried, done=len(good)) if bad else None)


def tell_dagster(
    context: dg.AssetExecutionContext,
    finished: Mapping[str, Metadata],
    failure: dg.Failure | None,
) -> None:
    """Say which partition keys of a run are materialized, and fail it where some are not.

    Raises:
        dagster.Failure: as given.
    """
    if failure is None:
        for key, metadata in finished.items():
            context.add_asset_metadata(metadata, partition_key=key)
        return
    for key, metadata in finished.items():
        context.log_event(
            dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
        )
    raise failure


def _as_settled(
    keys: Sequence[str],
    stage: Callable[[str], Settled],
    executor: Executor | None,
    report: Callable[[], None],
) -> Generator[tuple[str, Settled], None, None]:
    """Settle keys, as they end; none is begun after one whose fault the next would meet as well.

    Reports every `PROGRESS_EVERY_S`, between keys or, with an executor, while it waits for one.
    """
    stopped = threading.Event()
    reported = time.monotonic()

    def settle(key: str) -> Settled | None:
        if stopped.is_set():
            return None
        settled = stage(key)
        if settled.stops_batch:
            stopped.set()
        return settled

    def report_if_due() -> None:
        nonlocal reported
        if time.monotonic() - reported > PROGRESS_EVERY_S:
            reported = time.monotonic()
            report()

    if executor is None:
        for key in keys:
            if settled := settle(key):
                yield key, settled
                report_if_due()
        return
    futures = {executor.submit(settle, key): key for key in keys}
    pending = set(futures)
    try:
        while pending:
            done, pending = wait(pending, PROGRESS_EVERY_S, FIRST_COMPLETED)
            for future, key in futures.items():
                if future in done and (settled := future.result()):
                    yield key, settled
            report_if_due()
    finally:
        stopped.set()


def common_metadata(receipt: Receipt, *, reused: bool) -> dict[str, str | float | bool | int]:
    """What every stage says of a recording that it has finished."""
    common: dict[str, str | float | bool | int] = {
        "state": receipt.state,
        "seconds": round(receipt.seconds, 3),
        "attempts": receipt.attempts,
        "done_before": reused,
    }
    if receipt.reason:
        common["reason"] = (
            f"{receipt.reason}: {receipt.detail}" if receipt.detail else receipt.reason
        )
    return common


def failure_of(bad: Sequence[Receipt], untried: Sequence[str], *, done: int) -> dg.Failure:
    """The failure of a run of which some recordings are not done; it names them and says why."""
    reasons = Counter(f"{receipt.state}: {receipt.reason}" for receipt in bad)
    lines = "\n".join(
        f"| {receipt.recording_id} | {receipt.state} | {receipt.reason} | "
        f"{cell(receipt.detail or '')} |"
        for receipt in bad[:SHOWN_FAILURES]
    )
    rest = f"\n\n… and {len(bad) - SHOWN_FAILURES} more" if len(bad) > SHOWN_FAILURES else ""
    summary = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    stopped = f"; {len(untried)} not tried, as they would have met the same" if untried else ""
    first = bad[0]
    return dg.Failure(
        description=(
            f"{len(bad)} recordings are not done ({summary}){stopped}; {done} are. "
            f"First: {first.recording_id}: {first.detail}"
        ),
        metadata={
            "not_done": dg.MetadataValue.md(
                f"| recording | state | reason | detail |\n|---|---|---|---|\n{lines}{rest}"
            ),
            "not_done_count": len(bad),
            "not_tried_count": len(untried),
        },
        allow_retries=False,
    )
