"""The one loop over the partition keys of a run.

What belongs here: bringing each key through a stage, and telling Dagster which are materialized and
which are not. What does not: what the stage does, and the states themselves (`receipts`).

Dagster, as measured on 1.13.27: a range run that returns normally marks every key materialized, and
one that raises records nothing; so after a failure the good keys are reported one by one, and then
the run fails. Never both for one key: reporting a key and then returning doubles its events.
`Failure(allow_retries=False)` because retries live in the loop, where they cost one key, not the
range. Run retries are a second mechanism that it does not stop: dagster.yaml turns that off.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

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
) -> None:
    """Bring every partition key of this run through a stage.

    Args:
        context: of an asset partitioned by recording; one key or a range.
        stage: settles one recording; raises nothing that concerns only that recording.
        describe: metadata of a finished recording, for its partition's page.

    Raises:
        dagster.Failure: some keys are not finished; the others are recorded as materialized first.
    """
    keys = context.partition_keys
    good: dict[str, Metadata] = {}
    bad: list[Receipt] = []
    untried: Sequence[str] = ()
    reused = 0
    started = reported = time.monotonic()
    for index, key in enumerate(keys):
        settled = stage(key)
        receipt = settled.receipt
        if receipt.state in FINISHED:
            good[key] = _common(receipt, reused=settled.skipped)
            try:
                good[key] = {**good[key], **describe(receipt)}
            except RecordingError as error:  # a damaged file: said, and the others go on
                context.log.warning(f"{key} cannot be described: {error}")
            reused += settled.skipped
        else:
            bad.append(receipt)
            context.log.warning(f"{key} {receipt.state}: {receipt.reason}: {receipt.detail}")
        if settled.stops_batch:
            untried = keys[index + 1 :]
            break
        if time.monotonic() - reported > PROGRESS_EVERY_S:
            reported = time.monotonic()
            pace_s = (reported - started) / (index + 1)
            context.log.info(
                f"{index + 1} of {len(keys)} recordings, {len(bad)} not done, "
                f"about {pace_s * (len(keys) - index - 1) / 60:.0f} min left"
            )
    context.log.info(
        f"{len(good)} of {len(keys)} recordings finished ({reused} were done before), "
        f"{len(bad)} not done, {len(untried)} not tried"
    )
    if not bad:
        for key, metadata in good.items():
            context.add_asset_metadata(metadata, partition_key=key)
        return
    for key, metadata in good.items():
        context.log_event(
            dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
        )
    raise _failure(bad, untried, done=len(good))


def _common(receipt: Receipt, *, reused: bool) -> dict[str, str | float | bool | int]:
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


def _failure(bad: Sequence[Receipt], untried: Sequence[str], *, done: int) -> dg.Failure:
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
