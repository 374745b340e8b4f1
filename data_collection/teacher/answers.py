"""What came back: an answer as it was paid for, and what it is worth under the rubric.

What belongs here: reading the API's JSON leniently (an answer that was paid for is kept, whatever a
newer API adds), and telling scored from refused, cut off and invalid. What does not: what a valid
answer is, which is the rubric's `validate`, and keeping it (`ledger`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from data_collection.teacher.ledger import Settlement, Try
from data_collection.teacher.prices import PriceList, Usage
from data_collection.teacher.questions import Question

AnswerState = Literal["scored", "refused", "cut_off", "invalid", "expired", "errored"]
Validate = Callable[[str], Mapping[str, object]]

WHOLE = frozenset({"end_turn", "stop_sequence"})
CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded"})
FOR_GOOD = frozenset({"invalid_request_error", "request_too_large", "canceled"})
"""Errors of a batch's request that another try would meet again; a person canceled on purpose."""


class _CacheCreation(BaseModel):
    ephemeral_1h_input_tokens: int = 0
    ephemeral_5m_input_tokens: int = 0


class _Details(BaseModel):
    thinking_tokens: int | None = None


class _Usage(BaseModel):
    input_tokens: int
    output_tokens: int
    cache_creation: _CacheCreation | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: _Details | None = None

    def counted(self) -> Usage:
        written = self.cache_creation_input_tokens or 0
        kinds = self.cache_creation or _CacheCreation()
        written_5m = kinds.ephemeral_5m_input_tokens
        details = self.output_tokens_details or _Details()
        return Usage(
            input_tokens=self.input_tokens,
            cache_read_tokens=self.cache_read_input_tokens or 0,
            cache_write_5m_tokens=written_5m,
            # Where the API does not tell the kinds apart, the dearer one.
            cache_write_1h_tokens=max(kinds.ephemeral_1h_input_tokens, written - written_5m),
            output_tokens=self.output_tokens,
            thinking_tokens=details.thinking_tokens or 0,
        )


class _Block(BaseModel):
    type: str
    text: str | None = None


class _Message(BaseModel):
    model: str
    content: list[_Block]
    stop_reason: str | None = None
    usage: _Usage


class _Result(BaseModel):
    type: str
    message: _Message | None = None
    error: dict[str, object] | None = None

    @model_validator(mode="after")
    def _an_answer_is_there(self) -> _Result:
        if self.type == "succeeded" and self.message is None:
            raise ValueError("a result that succeeded has no message")
        return self


class ResultLine(BaseModel):
    """A line of a batch's results."""

    custom_id: str
    result: _Result


class Reply(BaseModel):
    """What the API said to one question, as the ledger keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None = None
    stop_reason: str | None = None
    model: str | None = None
    usage: Usage | None = None
    error_type: str | None = None
    error: str | None = None


class Answer(BaseModel):
    """What the teacher said of one segment.

    Attributes:
        custom_id: of the question; segments with the same evidence share one, and its cost.
        segment_id: the segment.
        repeat: which asking of the same.
        state: `scored`, or why there is no score; never guessed.
        content: what the rubric read; None unless `scored`.
        text: what the model wrote, as it is; None where it wrote nothing.
        because: why it is not scored.
        stop_reason: as the API says.
        usage: tokens, all kinds; None where nothing was used.
        cost_usd: of all times that this question was asked.
        model: that answered, as it calls itself; that was asked, where none answered.
        batch_id: None for a single message.
        tries: how often it was asked.
        asked_at: when the last try was posted.
        answered_at: when its answer was read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    custom_id: str
    segment_id: str
    repeat: int
    state: AnswerState
    content: Mapping[str, object] | None = None
    text: str | None = None
    because: str | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    cost_usd: Decimal
    model: str
    batch_id: str | None = None
    tries: int
    asked_at: datetime
    answered_at: datetime | None = None


def settlement_of_message(
    custom_id: str, message: object, model: str, prices: PriceList
) -> Settlement:
    """A single message's answer, priced.

    Args:
        custom_id: of the question.
        message: the API's JSON, as Python objects.
        model: that was asked; its price holds, whatever the answering one calls itself.
        prices: the list.

    Raises:
        ValidationError: it is no message.
    """
    return _settlement(custom_id, _Message.model_validate(message), model, prices, batched=False)


def settlement_of_result(line: ResultLine, model: str, prices: PriceList) -> Settlement:
    """A line of a batch's results, priced; only an answer costs."""
    result = line.result
    if result.message is not None:
        return _settlement(line.custom_id, result.message, model, prices, batched=True)
    if result.type == "expired":
        return _free(line.custom_id, "expired", "expired", "its batch ended before its turn came")
    if result.type == "canceled":
        return _free(line.custom_id, "canceled", "canceled", "somebody canceled its batch")
    told = (result.error or {}).get("error")
    error = told if isinstance(told, dict) else {}
    kind, message = str(error.get("type", "error")), str(error.get("message", ""))
    return _free(line.custom_id, "errored", kind, message)


def _free(
    custom_id: str, state: Literal["expired", "errored", "canceled"], error_type: str, error: str
) -> Settlement:
    reply = Reply(error_type=error_type, error=error)
    return Settlement(custom_id, state, Decimal(0), reply.model_dump_json())


def _settlement(
    custom_id: str, message: _Message, model: str, prices: PriceList, *, batched: bool
) -> Settlement:
    usage = message.usage.counted()
    text = "".join(block.text or "" for block in message.content if block.type == "text")
    reply = Reply(text=text, stop_reason=message.stop_reason, model=message.model, usage=usage)
    cost_usd = prices.cost(usage, model, batched=batched)
    return Settlement(custom_id, "answered", cost_usd, reply.model_dump_json())


def may_be_asked_again(tries: Sequence[Try], most_tries: int) -> bool:
    """Whether a question that got no answer at no cost is asked again without being told to."""
    last = tries[-1]
    if last.state not in ("expired", "errored") or len(tries) >= most_tries:
        return False
    return _reply(last).error_type not in FOR_GOOD


def answer_of(
    question: Question, custom_id: str, tries: Sequence[Try], validate: Validate
) -> Answer | None:
    """What is known of a question, of its last try; None where it is still on its way."""
    last = tries[-1]
    if last.state == "open":
        return None
    reply = _reply(last)
    state, content, because = _judged(last, reply, validate)
    return Answer(
        custom_id=custom_id,
        segment_id=question.segment_id,
        repeat=question.repeat,
        state=state,
        content=content,
        text=reply.text,
        because=because,
        stop_reason=reply.stop_reason,
        usage=reply.usage,
        cost_usd=sum((each.cost_usd for each in tries), Decimal(0)),
        model=reply.model or last.model,
        batch_id=last.batch_id,
        tries=len(tries),
        asked_at=last.asked_at,
        answered_at=last.answered_at,
    )


def _reply(one: Try) -> Reply:
    return Reply.model_validate_json(one.reply) if one.reply else Reply()


def _judged(
    last: Try, reply: Reply, validate: Validate
) -> tuple[AnswerState, Mapping[str, object] | None, str | None]:
    if last.state == "lost":
        return "errored", None, "its answer was lost on the way; counted as paid in full"
    if last.state == "expired":
        return "expired", None, reply.error
    if last.state != "answered":
        return "errored", None, f"{reply.error_type}: {reply.error}"
    if reply.stop_reason == "refusal":
        return "refused", None, "the model refused"
    if reply.stop_reason in CUT_OFF:
        return "cut_off", None, f"the answer was cut off ({reply.stop_reason})"
    if reply.stop_reason not in WHOLE:
        return "invalid", None, f"the answer stopped for {reply.stop_reason}"
    try:
        return "scored", validate(reply.text or ""), None
    except ValueError as error:
        return "invalid", None, " ".join(str(error).split())
