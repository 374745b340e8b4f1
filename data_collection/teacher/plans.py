"""The plan: what is going to be asked and what it will cost, told before any money is spent.

What belongs here: which questions are new, their tokens (counted by the API on some, bounded for
all), and their costs. What does not: reserving and asking (`scoring`, `ledger`). Counting tokens is
free of charge.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from data_collection.recordings.errors import ItemError, SetupError
from data_collection.teacher.answers import (
    AnswerState,
    Reply,
    Validate,
    answer_of,
    may_be_asked_again,
)
from data_collection.teacher.ledger import Ask, Ledger, Try
from data_collection.teacher.messages import read
from data_collection.teacher.prices import PriceList, Usage
from data_collection.teacher.questions import (
    Prompt,
    Question,
    Teacher,
    check,
    custom_id,
    request,
)

if TYPE_CHECKING:
    from anthropic import Anthropic

COUNTED_AT_LEAST = 50
UPPER_QUANTILE = 0.99
MARGIN = Decimal("1.05")
"""The API calls its own count an estimate."""
MOST_DIRECT = 5
"""Fewer are asked one by one, at twice the price and at once."""
MOST_TRIES = 3
ENOUGH_ANSWERS = 20
SHORT_PACKET = "."


@dataclass(frozen=True, slots=True)
class PlannedQuestion:
    """A question that is going to be asked, and the ledger's entry for it."""

    question: Question
    ask: Ask


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one question uses.

    Attributes:
        prompt: tokens of the prompt, which every request repeats and the cache keeps.
        per_byte: of the packet, upper quantile over those that were counted.
        mean_per_byte: of the packet, mean.
        counted: how many requests the API counted.
        mean_output: of the answers there are; None where they are too few to tell.
    """

    prompt: int
    per_byte: float
    mean_per_byte: float
    counted: int
    mean_output: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be asked.

    Attributes:
        tier: whose cap it counts against.
        teacher: who is asked.
        prompt: the same for all.
        prices: the price list.
        questions: all, those that have their answer included.
        to_ask: those that are going to be asked.
        already_answered: questions that need no asking.
        on_their_way: questions that a run has asked; asked again only if that turns out to have
            come to nothing.
        refused: segments whose packet cannot be asked, and why.
        is_batched: posted as batches, at their price.
        tokens: None where nothing is asked.
        upper_usd: what is reserved: no answer longer than `max_tokens`, no cache hit, every
            prompt's cache written anew.
        expected_usd: with the prompt's cache read by all but the first, and answers as long as
            those before; as long as `max_tokens` until there are twenty of these questions.
        tier_cap_usd: the tier's cap.
        total_cap_usd: that of all tiers.
        left_usd: of both, the lesser rest, before this plan.
    """

    tier: str
    teacher: Teacher
    prompt: Prompt
    prices: PriceList
    questions: tuple[Question, ...]
    to_ask: tuple[PlannedQuestion, ...]
    already_answered: int
    on_their_way: tuple[PlannedQuestion, ...]
    refused: tuple[tuple[str, ItemError], ...]
    is_batched: bool
    tokens: Tokens | None
    upper_usd: Decimal
    expected_usd: Decimal
    tier_cap_usd: Decimal
    total_cap_usd: Decimal
    left_usd: Decimal

    @property
    def fits(self) -> bool:
        """Whether what is left covers it."""
        return self.upper_usd <= self.left_usd

    def facts(self) -> dict[str, str | int | float | bool]:
        """What a person is shown."""
        tokens = self.tokens
        return {
            "tier": self.tier,
            "model": self.teacher.model,
            "rubric": self.prompt.rubric_version,
            "questions": len(self.questions),
            "already_answered": self.already_answered,
            "on_their_way": len(self.on_their_way),
            "packets_refused": len(self.refused),
            "to_ask": len(self.to_ask),
            "batched": self.is_batched,
            "requests_counted": tokens.counted if tokens else 0,
            "prompt_tokens": tokens.prompt if tokens else 0,
            "upper_usd": float(self.upper_usd),
            "expected_usd": float(self.expected_usd),
            "tier_cap_usd": float(self.tier_cap_usd),
            "total_cap_usd": float(self.total_cap_usd),
            "left_usd": float(self.left_usd),
            "fits": self.fits,
            "prices_as_of": self.prices.as_of.isoformat(),
        }


def make_plan(
    client: Anthropic,
    prompt: Prompt,
    questions: Sequence[Question],
    *,
    tier: str,
    teacher: Teacher,
    ledger: Ledger,
    prices: PriceList,
    validate: Validate,
    ask_again: Collection[AnswerState] = (),
    most_direct: int = MOST_DIRECT,
) -> Plan:
    """Find what is new among questions, and what asking it will cost; costs nothing.

    Args:
        client: of `messages.client`; asked for token counts only, and only where something is new.
        prompt: the same for all.
        questions: any number; those of equal evidence and repeat are one.
        tier: whose cap it counts against.
        teacher: who is asked.
        ledger: what was asked before.
        prices: the price list.
        validate: the rubric's, which raises `ValueError`; needed to tell what `ask_again` means.
        ask_again: states whose questions are asked once more, which is paid for once more.
        most_direct: so many questions are asked as single messages.

    Raises:
        SetupError: no price of the model; key, model or request refused.
        WorldError: the API cannot be reached.
    """
    prices.price(teacher.model)
    good, refused = _checked(questions)
    by_id = {custom_id(teacher, prompt, question): question for question in good}
    known = ledger.tries(by_id)
    new = {
        id_: question
        for id_, question in by_id.items()
        if _is_to_ask(question, id_, known.get(id_, []), validate, ask_again)
    }
    on_their_way = tuple(
        PlannedQuestion(by_id[id_], Ask(id_, tries[-1].upper_usd, len(tries) - 1))
        for id_, tries in known.items()
        if tries[-1].state == "open"
    )
    is_batched = len(new) + len(on_their_way) > most_direct or any(
        tries[-1].state == "open" and tries[-1].kind == "batch" for tries in known.values()
    )
    tokens = _tokens(client, prompt, list(new.values()), teacher, known) if new else None
    to_ask = tuple(
        PlannedQuestion(
            question,
            Ask(
                id_,
                _upper_usd(question, tokens, teacher, prices, batched=is_batched),
                len(known.get(id_, [])),
            ),
        )
        for id_, question in new.items()
        if tokens is not None
    )
    return Plan(
        tier=tier,
        teacher=teacher,
        prompt=prompt,
        prices=prices,
        questions=tuple(good),
        to_ask=to_ask,
        already_answered=len(by_id) - len(new) - len(on_their_way),
        on_their_way=on_their_way,
        refused=refused,
        is_batched=is_batched,
        tokens=tokens,
        upper_usd=sum((each.ask.upper_usd for each in to_ask), Decimal(0)),
        expected_usd=_expected_usd(list(new.values()), tokens, teacher, prices, is_batched),
        tier_cap_usd=ledger.caps.of_tier(tier),
        total_cap_usd=ledger.caps.total_usd,
        left_usd=ledger.left_usd(tier),
    )


def _checked(
    questions: Sequence[Question],
) -> tuple[list[Question], tuple[tuple[str, ItemError], ...]]:
    """Questions that can be asked, and the others.

    Raises:
        SetupError: `teacher_question_ambiguous`: a segment has two packets for one repeat.
    """
    good: dict[tuple[str, int], Question] = {}
    refused = []
    for question in questions:
        before = good.get((question.segment_id, question.repeat))
        if before is not None and before != question:
            raise SetupError(
                "teacher_question_ambiguous",
                f"{question.segment_id} is asked about twice, with two packets; a repeat has a "
                "number of its own",
            )
        try:
            check(question)
        except ItemError as error:
            refused.append((question.segment_id, error))
        else:
            good[(question.segment_id, question.repeat)] = question
    return list(good.values()), tuple(refused)


def _is_to_ask(
    question: Question,
    id_: str,
    tries: Sequence[Try],
    validate: Validate,
    ask_again: Collection[AnswerState],
) -> bool:
    if not tries:
        return True
    if may_be_asked_again(tries, MOST_TRIES):
        return True
    answer = answer_of(question, id_, tries, validate)
    return answer is not None and answer.state in ask_again


def _size_bytes(question: Question) -> int:
    return len(question.packet_text.encode())


def _tokens(
    client: Anthropic,
    prompt: Prompt,
    questions: Sequence[Question],
    teacher: Teacher,
    known: Mapping[str, Sequence[Try]],
) -> Tokens:
    """Count some requests, from the shortest to the longest, and the prompt alone."""
    shares = sorted(questions, key=_size_bytes)
    sample = [shares[index] for index in _spread(len(shares), COUNTED_AT_LEAST)]
    prompt_tokens = _count(client, prompt, teacher, SHORT_PACKET)
    per_byte = sorted(
        max(0, _count(client, prompt, teacher, question.packet_text) - prompt_tokens)
        / _size_bytes(question)
        for question in sample
    )
    return Tokens(
        prompt=prompt_tokens,
        per_byte=per_byte[math.ceil(UPPER_QUANTILE * len(per_byte)) - 1],
        mean_per_byte=sum(per_byte) / len(per_byte),
        counted=len(per_byte),
        mean_output=_mean_output(known),
    )


def _spread(length: int, wanted: int) -> list[int]:
    """Indices from the first to the last, evenly."""
    if length <= wanted:
        return list(range(length))
    return [round(step * (length - 1) / (wanted - 1)) for step in range(wanted)]


def _count(client: Anthropic, prompt: Prompt, teacher: Teacher, packet_text: str) -> int:
    params = request(teacher, prompt, packet_text)
    return read(
        client,
        f"tokens of a request to {teacher.model}",
        lambda: client.messages.count_tokens(
            model=params["model"],
            system=params["system"],
            messages=params["messages"],
            output_config=params["output_config"],
        ),
    ).input_tokens


def _mean_output(known: Mapping[str, Sequence[Try]]) -> float | None:
    """Tokens of the answers that these questions have already, where there are enough."""
    used = [
        usage.output_tokens
        for tries in known.values()
        for one in tries
        if one.state == "answered" and one.reply
        if (usage := Reply.model_validate_json(one.reply).usage)
    ]
    return sum(used) / len(used) if len(used) >= ENOUGH_ANSWERS else None


def _upper_usd(
    question: Question,
    tokens: Tokens | None,
    teacher: Teacher,
    prices: PriceList,
    *,
    batched: bool,
) -> Decimal:
    if tokens is None:
        return Decimal(0)
    packet = math.ceil(tokens.per_byte * _size_bytes(question) * float(MARGIN))
    # As if the whole request were written into the cache: what the API puts there is its own.
    usage = Usage(
        cache_write_1h_tokens=math.ceil(tokens.prompt * MARGIN),
        input_tokens=packet,
        output_tokens=teacher.max_tokens,
    )
    return prices.cost(usage, teacher.model, batched=batched)


def _expected_usd(
    questions: Sequence[Question],
    tokens: Tokens | None,
    teacher: Teacher,
    prices: PriceList,
    batched: bool,
) -> Decimal:
    if tokens is None:
        return Decimal(0)
    output = tokens.mean_output if tokens.mean_output is not None else teacher.max_tokens
    total = Decimal(0)
    for number, question in enumerate(questions):
        packet = math.ceil(tokens.mean_per_byte * _size_bytes(question))
        usage = Usage(
            cache_write_1h_tokens=0 if number else tokens.prompt,
            cache_read_tokens=tokens.prompt if number else 0,
            input_tokens=packet,
            output_tokens=math.ceil(output),
        )
        total += prices.cost(usage, teacher.model, batched=batched)
    return total
