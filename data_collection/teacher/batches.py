"""Message batches: posted once, found again when their id was lost, and read until they are whole.

What belongs here: one batch's way from intent to settled answers. What does not: what is asked and
whether it may be (`scoring`, `ledger`).

The call that makes a batch has no idempotency key, and a listing tells of a batch its id, its
times and its number of requests, never its questions: those are known from its results, once it has
ended. So an intent without an id is looked for among the batches that were made since. The newest
batch before the post is written into the intent, which needs no clock of ours to agree with the
API's, and shows that the same workspace is listed. A batch of another number is not ours; one that
has ended is ours if its first result is; one still running with the right number is waited for.
Where there is none, and `APPEARS_WITHIN_S` have passed, the post was not accepted, and its
questions may be asked again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from data_collection.recordings.errors import SetupError, WorldError
from data_collection.teacher.answers import ResultLine, settlement_of_result
from data_collection.teacher.ledger import Intent, Ledger
from data_collection.teacher.messages import address_of, post_once, read
from data_collection.teacher.prices import PriceList

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.pagination import SyncPage
    from anthropic.types.messages import MessageBatch
    from anthropic.types.messages.batch_create_params import Request

MOST_REQUESTS = 2000
"""The API takes 100,000, but counts them, and gives them out, when the last of them has ended."""
MOST_BYTES = 200_000_000
"""The API takes 256 MB."""
APPEARS_WITHIN_S = 900.0
"""Longer than a post may take (`TIMEOUT_S`); after that a batch that is not listed is not there."""
LISTED_AT_ONCE = 100
READS = 3

Found = Literal["ours", "undecided", "not_there", "gone"]

log = logging.getLogger(__name__)


def newest_batch_id(client: Anthropic) -> str | None:
    """Id of the workspace's newest batch; None where there is none."""
    page = read(client, "batches", lambda: client.messages.batches.list(limit=1))
    return page.data[0].id if page.data else None


def post_batch(
    client: Anthropic, ledger: Ledger, intent_id: str, requests: Sequence[Request]
) -> str | None:
    """Post a reserved intent.

    Returns:
        The batch's id; None where the answer was lost, and `resolve` has to look for it.

    Raises:
        SetupError: it was refused for a fault of ours; the reservation is released.
        WorldError: it was refused by the API, or never sent; the reservation is released.
    """
    newest_before = newest_batch_id(client)

    def post() -> MessageBatch:
        ledger.begin_post(intent_id, newest_before)
        return client.messages.batches.create(requests=requests)

    try:
        batch = post_once(client, f"batch of {len(requests)}", post, creates=True)
    except (SetupError, WorldError):
        ledger.release(intent_id)
        raise
    if batch is None:
        log.warning("the answer to a batch of %d was lost; it is looked for", len(requests))
        return None
    ledger.posted(intent_id, batch.id)
    return batch.id


def resolve(client: Anthropic, ledger: Ledger, intent: Intent, *, appears_within_s: float) -> str:
    """Find out what became of a post whose answer was lost; only while `submitting`.

    Returns:
        Why it is still open, in words; empty where it no longer is.
    """
    found, batch_id = _find(client, ledger, intent)
    if found == "ours" and batch_id is not None:
        log.info("batch %s is the one of intent %s, adopted", batch_id, intent.intent_id)
        ledger.posted(intent.intent_id, batch_id)
        return ""
    if found == "gone":
        ledger.lose(intent.intent_id)
        return ""
    if found == "undecided":
        return (
            f"batch {batch_id} has as many requests as the lost intent {intent.intent_id} and is "
            "still running; whose it is shows when it has ended"
        )
    begun = intent.posting_at
    if begun and ledger.clock() - begun < timedelta(seconds=appears_within_s):
        until = begun + timedelta(seconds=appears_within_s)
        return f"a batch whose answer was lost may appear until {until:%Y-%m-%d %H:%M:%S} UTC"
    log.info("intent %s was never accepted; its questions may be asked", intent.intent_id)
    ledger.release(intent.intent_id)
    return ""


def _find(client: Anthropic, ledger: Ledger, intent: Intent) -> tuple[Found, str | None]:
    """Whether one of the batches since an intent is its own."""
    waited_for: str | None = None
    gone: str | None = None
    for batch in _batches_since(client, intent):
        if _number_of_requests(batch) != len(intent.custom_ids) or ledger.knows_batch(batch.id):
            continue
        if batch.processing_status != "ended":
            waited_for = batch.id
        elif not batch.results_url or batch.archived_at:
            gone = batch.id
        elif (first := _first_custom_id(client, batch.id)) in intent.custom_ids:
            return "ours", batch.id
        elif not ledger.tries([first]):  # not even of another intent that has lost its id
            ledger.note_batch_of_others(batch.id)
    if waited_for:
        return "undecided", waited_for
    return ("gone", gone) if gone else ("not_there", None)


def _batches_since(client: Anthropic, intent: Intent) -> Iterator[MessageBatch]:
    """The workspace's batches, the newest first, down to the newest before an intent's post.

    Raises:
        SetupError: `teacher_other_workspace`: that one is not listed.
    """
    after: str | None = None
    while True:
        page = _listed(client, after)
        for batch in page.data:
            if batch.id == intent.newest_before:
                return
            yield batch
        if not page.has_more or not page.data:
            break
        after = page.data[-1].id
    if intent.newest_before is not None:
        raise SetupError(
            "teacher_other_workspace",
            f"batch {intent.newest_before} was there before intent {intent.intent_id} was posted, "
            f"and is not listed at {address_of(client)}: use the key of the workspace that it was "
            "posted with. If that batch was deleted by hand, see in the console whether a batch of "
            f"{len(intent.custom_ids)} requests runs there; if none does, "
            f"`Ledger.release({intent.intent_id!r})` gives its money back",
        )


def _listed(client: Anthropic, after: str | None) -> SyncPage[MessageBatch]:
    listing = client.messages.batches.list
    if after is None:
        return read(client, "batches", lambda: listing(limit=LISTED_AT_ONCE))
    return read(client, "batches", lambda: listing(limit=LISTED_AT_ONCE, after_id=after))


def _number_of_requests(batch: MessageBatch) -> int:
    counts = batch.request_counts
    return counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired


def _first_custom_id(client: Anthropic, batch_id: str) -> str:
    def first() -> str:
        lines = client.messages.batches.results(batch_id)
        try:
            return _line(next(iter(lines), None)).custom_id
        finally:
            lines.close()

    return read(client, f"results of batch {batch_id}", first)


def collect(client: Anthropic, ledger: Ledger, intent: Intent, prices: PriceList) -> bool:
    """Settle a running batch, if it has ended.

    Returns:
        Whether it had.

    Raises:
        SetupError: `teacher_other_workspace`: the key's workspace has no such batch.
        WorldError: `teacher_results_cut`: its results cannot be read to their end; what could be
            read is kept.
    """
    batch_id = intent.batch_id or ""
    batch = _retrieved(client, intent, batch_id)
    if batch.processing_status != "ended":
        return False
    if batch.archived_at or not batch.results_url:
        log.warning("the results of batch %s are no longer kept; counted as paid", batch_id)
        ledger.lose(intent.intent_id)
        return True
    left = len(intent.custom_ids)
    for _ in range(READS):
        lines, fault = _results(client, batch_id)
        settlements = [settlement_of_result(line, intent.model, prices) for line in lines]
        left = ledger.settle(intent.intent_id, settlements)
        if not left:
            return True
    raise WorldError(
        "teacher_results_cut",
        f"batch {batch_id}: {left} of {len(intent.custom_ids)} results could not be read "
        f"({fault or 'they are not in it'}); run it again: the others are kept",
        stops_batch=True,
    )


def _retrieved(client: Anthropic, intent: Intent, batch_id: str) -> MessageBatch:
    try:
        return read(client, f"batch {batch_id}", lambda: client.messages.batches.retrieve(batch_id))
    except SetupError as error:
        if error.reason != "teacher_not_found":
            raise
    raise SetupError(
        "teacher_other_workspace",
        f"batch {batch_id} is not at {address_of(client)}: use the key of the workspace that it "
        "was posted with; if it was deleted by hand, "
        f"`Ledger.lose({intent.intent_id!r})` counts it as paid, and its questions may be asked "
        "again by `ask_again`",
    )


def _results(client: Anthropic, batch_id: str) -> tuple[list[ResultLine], str]:
    """The lines of a batch's results, in whatever order, and what cut them short."""
    import anthropic
    import httpx2

    stream = read(
        client, f"results of batch {batch_id}", lambda: client.messages.batches.results(batch_id)
    )
    lines: list[ResultLine] = []
    try:
        for line in stream:
            lines.append(_line(line))  # noqa: PERF401 - kept if it is cut
    except (anthropic.AnthropicError, httpx2.HTTPError, ValueError) as error:
        return lines, type(error).__name__
    finally:
        stream.close()
    return lines, ""


def _line(line: object) -> ResultLine:
    """A line as the SDK gives it, which checks nothing.

    Raises:
        ValueError: it is no result.
    """
    return ResultLine.model_validate(line.model_dump() if isinstance(line, BaseModel) else line)
