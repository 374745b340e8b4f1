"""Scoring: ask what a plan asks, once, and say what is known so far.

What belongs here: the order of the steps, each of which may be the last of a killed process. What
does not: the steps (`ledger`, `batches`, `messages`). Nothing is remembered but in the ledger: what
a run leaves unfinished, for whatever reason, the next one of the same questions goes on with.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import ValidationError

from data_collection.recordings.errors import SetupError, WorldError
from data_collection.teacher.answers import (
    Answer,
    AnswerState,
    Validate,
    answer_of,
    may_be_asked_again,
    settlement_of_message,
)
from data_collection.teacher.batches import (
    APPEARS_WITHIN_S,
    MOST_BYTES,
    MOST_REQUESTS,
    collect,
    post_batch,
    resolve,
)
from data_collection.teacher.ledger import Ask, Intent, Kind, Ledger
from data_collection.teacher.messages import address_of, post_once
from data_collection.teacher.plans import MOST_TRIES, Plan, PlannedQuestion
from data_collection.teacher.prices import PriceList, Usage
from data_collection.teacher.questions import Question, custom_id, request

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
    from anthropic.types.messages.batch_create_params import Request

POLL_S = 30.0


@dataclass(frozen=True, slots=True)
class Scoring:
    """What is known of a plan's questions.

    Attributes:
        answers: of those that have one, in the order of the questions; failed ones included.
        waiting: questions without one; a later run reads their answers.
        because: what is waited for, where it is more than the end of a batch.
        cost_usd: of all answers here, those of earlier runs included, each once.
        usage: tokens of all answers here, each once.
    """

    answers: tuple[Answer, ...]
    waiting: int
    because: tuple[str, ...]
    cost_usd: Decimal
    usage: Usage

    @property
    def is_complete(self) -> bool:
        """Whether nothing is waited for; otherwise it is still running, which is no fault."""
        return self.waiting == 0

    @property
    def counts(self) -> Mapping[AnswerState, int]:
        """How many answers are of each state."""
        return Counter(answer.state for answer in self.answers)


def score(
    client: Anthropic,
    plan: Plan,
    *,
    ledger: Ledger,
    validate: Validate,
    wait_s: float = 0.0,
    poll_s: float = POLL_S,
    appears_within_s: float = APPEARS_WITHIN_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Scoring:
    """Ask what a plan asks and read what has been answered.

    What a killed process posted is found first, then what has ended is read, then what is new is
    reserved, all of it or nothing, and posted; requests that expired or failed at no cost are
    posted again, a few times. Any number of processes may do this at once.

    Args:
        client: of `messages.client`.
        plan: of `plans.make_plan`.
        ledger: where money and answers are kept.
        validate: the rubric's, which reads an answer or raises `ValueError`.
        wait_s: how long to wait for answers, in seconds; a batch may take a day.
        poll_s: how often to ask meanwhile, in seconds.
        appears_within_s: how long a batch may stay unlisted after its post, in seconds.
        sleep: waits.

    Raises:
        SetupError: `teacher_cap_reached`, before anything is posted; or key, model or request are
            refused.
        WorldError: the network or the API. What was answered, and what is on its way, is kept.
    """
    until = time.monotonic() + wait_s
    while True:
        because = _advance(client, plan, ledger, appears_within_s)
        scoring = answers_of(plan, ledger, validate, because)
        left_s = until - time.monotonic()
        if scoring.is_complete or left_s <= 0:
            return scoring
        sleep(min(poll_s, left_s))


def answers_of(
    plan: Plan, ledger: Ledger, validate: Validate, because: Sequence[str] = ()
) -> Scoring:
    """What the ledger knows of a plan's questions; asks nobody."""
    ids = [custom_id(plan.teacher, plan.prompt, question) for question in plan.questions]
    known = ledger.tries(dict.fromkeys(ids))
    answers = [
        answer_of(question, id_, known[id_], validate)
        for id_, question in zip(ids, plan.questions, strict=True)
        if id_ in known
    ]
    told = tuple(answer for answer in answers if answer is not None)
    each_once = list({answer.custom_id: answer for answer in told}.values())
    return Scoring(
        answers=told,
        waiting=len(set(ids)) - len(each_once),
        because=tuple(because),
        cost_usd=sum((answer.cost_usd for answer in each_once), Decimal(0)),
        usage=sum((answer.usage for answer in each_once if answer.usage), Usage()),
    )


def _advance(client: Anthropic, plan: Plan, ledger: Ledger, appears_within_s: float) -> list[str]:
    """One pass over everything that may have changed; what is still unclear, in words."""
    with ledger.submitting():
        ledger.release_reserved()  # whoever reserved that held this lock, and is gone
        because = _resolve_all(client, ledger, appears_within_s)
        because += _collect_all(client, ledger, plan.prices)
        try:
            _submit(client, plan, ledger)
        finally:
            ledger.release_reserved()
    return because


def _resolve_all(client: Anthropic, ledger: Ledger, appears_within_s: float) -> list[str]:
    because = []
    for intent in ledger.intents("posting"):
        if intent.kind == "direct":
            # Nobody can ask for the answer to a single message again.
            ledger.lose(intent.intent_id)
        elif _is_elsewhere(client, intent):
            because.append(f"intent {intent.intent_id} was posted to {intent.base_url}")
        elif unclear := resolve(client, ledger, intent, appears_within_s=appears_within_s):
            because.append(unclear)
    return because


def _collect_all(client: Anthropic, ledger: Ledger, prices: PriceList) -> list[str]:
    """Settle every batch that has ended; one that cannot be read does not stop the others."""
    because = []
    faults: list[WorldError] = []
    for intent in ledger.intents("running"):
        if _is_elsewhere(client, intent):
            because.append(f"batch {intent.batch_id} runs at {intent.base_url}")
            continue
        try:
            collect(client, ledger, intent, prices)
        except WorldError as error:
            faults.append(error)
    if faults:
        raise faults[0]
    return because


def _is_elsewhere(client: Anthropic, intent: Intent) -> bool:
    return intent.base_url != address_of(client)


def _submit(client: Anthropic, plan: Plan, ledger: Ledger) -> None:
    due = _due(plan, ledger)
    if not due:
        return
    by_id = {planned.ask.custom_id: planned.question for planned in due}
    kind: Kind = "batch" if plan.is_batched else "direct"
    groups = _batches_of(plan, due) if plan.is_batched else [[planned.ask] for planned in due]
    address = address_of(client)
    for intent_id in ledger.reserve(plan.tier, plan.teacher.model, kind, address, groups):
        _post(client, plan, ledger, intent_id, by_id)


def _post(
    client: Anthropic,
    plan: Plan,
    ledger: Ledger,
    intent_id: str,
    by_id: Mapping[str, Question],
) -> None:
    ids = ledger.custom_ids(intent_id)
    bodies = {id_: _body(plan, by_id[id_]) for id_ in ids}
    if plan.is_batched:
        requests: list[Request] = [
            {"custom_id": id_, "params": body} for id_, body in bodies.items()
        ]
        post_batch(client, ledger, intent_id, requests)
        return
    for id_, body in bodies.items():
        _ask_directly(client, plan, ledger, intent_id, id_, body)


def _ask_directly(
    client: Anthropic,
    plan: Plan,
    ledger: Ledger,
    intent_id: str,
    id_: str,
    body: MessageCreateParamsNonStreaming,
) -> None:
    ledger.begin_post(intent_id, None)
    try:
        message = post_once(client, "message", lambda: client.messages.create(**body))
    except (SetupError, WorldError):
        ledger.release(intent_id)
        raise
    if message is None:
        ledger.lose(intent_id)
        return
    try:
        said = message.model_dump()
        settlement = settlement_of_message(id_, said, plan.teacher.model, plan.prices)
    except ValidationError:
        ledger.lose(intent_id)
        return
    ledger.settle(intent_id, [settlement])


def _due(plan: Plan, ledger: Ledger) -> list[PlannedQuestion]:
    """What is to be posted now: what nobody has asked since the plan, and what failed for free."""
    unanswered = (*plan.to_ask, *plan.on_their_way)
    known = ledger.tries([planned.ask.custom_id for planned in unanswered])
    due = []
    for planned in unanswered:
        ask = planned.ask
        tries = known.get(ask.custom_id, [])
        if len(tries) == ask.tries:
            due.append(planned)
        elif tries and may_be_asked_again(tries, max(MOST_TRIES, ask.tries + 1)):
            again = Ask(ask.custom_id, ask.upper_usd, len(tries))
            due.append(PlannedQuestion(planned.question, again))
    return due


def _body(plan: Plan, question: Question) -> MessageCreateParamsNonStreaming:
    return request(plan.teacher, plan.prompt, question.packet_text)


def _batches_of(plan: Plan, due: Sequence[PlannedQuestion]) -> list[list[Ask]]:
    """The questions of each batch, within the limits of number and size."""
    return list(_cut((each.ask, len(json.dumps(_body(plan, each.question)))) for each in due))


def _cut(sized: Iterator[tuple[Ask, int]]) -> Iterator[list[Ask]]:
    batch: list[Ask] = []
    size_bytes = 0
    for ask, more_bytes in sized:
        if batch and (len(batch) == MOST_REQUESTS or size_bytes + more_bytes > MOST_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(ask)
        size_bytes += more_bytes
    if batch:
        yield batch
