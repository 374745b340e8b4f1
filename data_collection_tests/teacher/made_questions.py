"""Questions, a rubric's reading of answers, and runs, which several tests of scoring share."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from anthropic import Anthropic

from data_collection.teacher.answers import AnswerState
from data_collection.teacher.ledger import Caps, Ledger
from data_collection.teacher.messages import client
from data_collection.teacher.plans import MOST_DIRECT, Plan, make_plan
from data_collection.teacher.prices import read_prices
from data_collection.teacher.questions import Prompt, Question, Teacher
from data_collection.teacher.scoring import Scoring, score

KEY = "sk-made-0123456789"
TIER = "competition"
MODEL = "claude-sonnet-5-5"
PRICES = read_prices()
TEACHER = Teacher(MODEL, max_tokens=200)
PROMPT = Prompt(
    system_text="Score the dynamics of a performance from 1 to 5. " * 40,
    output_schema={
        "type": "object",
        "properties": {"dynamics": {"enum": [1, 2, 3, 4, 5]}},
        "required": ["dynamics"],
        "additionalProperties": False,
    },
    rubric_version="1",
    rubric_sha256="0" * 64,
)
CAPS = Caps(total_usd=Decimal(10), tier_usd={TIER: Decimal(10)})


@lru_cache(maxsize=8)
def client_of(key: str, url: str) -> Anthropic:
    """A client that is made once: reading the certificates takes longer than a run here."""
    return client(key, url)


def validate(text: str) -> Mapping[str, object]:
    """Read an answer as a rubric does."""
    content = json.loads(text)
    if content.get("dynamics") not in range(1, 6):
        raise ValueError(f"dynamics: {content.get('dynamics')!r} is not of 1 to 5")
    return dict(content)


def scores(packet_text: str, repeat: int) -> Mapping[str, object]:
    """Something that depends on packet and repeat."""
    return {"dynamics": 1 + (len(packet_text) + repeat) % 5, "reason": "as it is"}


def questions(number: int, first: int = 0) -> list[Question]:
    """Questions of different packets."""
    return [
        Question(
            f"yt_made_seg{index:04d}", f"loudness range {index} dB; onsets a second: 7.{index}"
        )
        for index in range(first, first + number)
    ]


def plan_of(
    url: str,
    ledger: Ledger,
    asked: Sequence[Question],
    *,
    teacher: Teacher = TEACHER,
    key: str = KEY,
    ask_again: Collection[AnswerState] = (),
    most_direct: int = MOST_DIRECT,
) -> Plan:
    """The plan of one run."""
    return make_plan(
        client_of(key, url),
        PROMPT,
        asked,
        tier=TIER,
        teacher=teacher,
        ledger=ledger,
        prices=PRICES,
        validate=validate,
        ask_again=ask_again,
        most_direct=most_direct,
    )


def run(
    url: str,
    ledger: Ledger,
    asked: Sequence[Question],
    *,
    teacher: Teacher = TEACHER,
    key: str = KEY,
    ask_again: Collection[AnswerState] = (),
    most_direct: int = MOST_DIRECT,
    wait_s: float = 5.0,
    appears_within_s: float = 0.0,
) -> Scoring:
    """One run as an asset makes it: plan, then score."""
    plan = plan_of(
        url, ledger, asked, teacher=teacher, key=key, ask_again=ask_again, most_direct=most_direct
    )
    return score(
        client_of(key, url),
        plan,
        ledger=ledger,
        validate=validate,
        wait_s=wait_s,
        poll_s=0.01,
        appears_within_s=appears_within_s,
    )


def ledger_in(folder: Path, caps: Caps = CAPS) -> Ledger:
    """A ledger with room for everything here, unless told otherwise."""
    return Ledger(folder, caps)
