"""What the teacher is asked: prompt, question, its id, and the request that it becomes.

What belongs here: pure parts only; the same question has the same id and the same request in every
process. What does not: what stands in a packet or a rubric, asking (`messages`, `batches`), and
reading an answer (`answers`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from data_collection.recordings.errors import ItemError

if TYPE_CHECKING:
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

MAX_PACKET_BYTES = 64 * 1024
"""Evidence is a few kB; ten times that is a fault in making it, and would be paid for."""
CACHE_TTL: Literal["1h"] = "1h"
"""A batch may begin long after its first request wrote the cache."""

Effort = Literal["low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is the same for all questions of a run.

    Attributes:
        system_text: rubric and instructions; cached by the API.
        output_schema: JSON schema of an answer.
        rubric_version: as the rubric calls itself.
        rubric_sha256: of the rubric's content.
    """

    system_text: str
    output_schema: Mapping[str, object]
    rubric_version: str
    rubric_sha256: str


@dataclass(frozen=True, slots=True)
class Question:
    """One segment to be scored.

    Attributes:
        segment_id: never sent.
        packet_text: the evidence, which is the user's turn as it is.
        repeat: 0 for the first asking; 1 and up ask the same again, to see how far answers agree.
    """

    segment_id: str
    packet_text: str
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Teacher:
    """Who is asked.

    Attributes:
        model: as the API names it.
        max_tokens: of an answer at most, thinking included; a longer one is cut off, and paid for.
        effort: how much the model thinks; None for its own default.
    """

    model: str
    max_tokens: int = 4096
    effort: Effort | None = "low"


def custom_id(teacher: Teacher, prompt: Prompt, question: Question) -> str:
    """Id of a question: 64 hexadecimal digits over all that its answer depends on.

    Segments with the same evidence have the same id, and one answer. `max_tokens` is not part of
    it: it changes whether an answer is whole, not which one is asked for.
    """
    depends_on = [
        teacher.model,
        teacher.effort,
        prompt.system_text,
        prompt.rubric_version,
        prompt.rubric_sha256,
        dict(prompt.output_schema),
        question.packet_text,
        question.repeat,
    ]
    canonical = json.dumps(depends_on, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def check(question: Question) -> None:
    """Refuse a question that cannot be asked.

    Raises:
        ItemError: `packet_empty`, `packet_unreadable` or `packet_too_large`.
    """
    try:
        size_bytes = len(question.packet_text.encode())
    except UnicodeEncodeError as error:
        raise ItemError(
            "packet_unreadable", f"{question.segment_id}: its packet is not text ({error.reason})"
        ) from error
    if not question.packet_text.strip():
        raise ItemError("packet_empty", f"{question.segment_id}: its packet says nothing")
    if size_bytes > MAX_PACKET_BYTES:
        raise ItemError(
            "packet_too_large",
            f"{question.segment_id}: its packet has {size_bytes} bytes, and {MAX_PACKET_BYTES} are "
            "the most that is paid for; see what the evidence of this segment holds",
        )


def request(teacher: Teacher, prompt: Prompt, packet_text: str) -> MessageCreateParamsNonStreaming:
    """The body of a request, for a message or as the `params` of one in a batch."""
    params: MessageCreateParamsNonStreaming = {
        "model": teacher.model,
        "max_tokens": teacher.max_tokens,
        "system": [
            {
                "type": "text",
                "text": prompt.system_text,
                "cache_control": {"type": "ephemeral", "ttl": CACHE_TTL},
            }
        ],
        "messages": [{"role": "user", "content": packet_text}],
        "output_config": {
            "format": {"type": "json_schema", "schema": dict(prompt.output_schema)},
        },
    }
    if teacher.effort is not None:
        params["output_config"]["effort"] = teacher.effort
    return params
