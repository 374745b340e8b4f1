"""A control: can the model guess who is playing? If it can, the packets are not blind to it.

What belongs here: the question, the form of its answer, and the odds. What does not: asking. Here,
and only here, names are shown on purpose; no score is asked for in the same breath.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from data_collection.teacher.packets import Packet

GUESS_FIELD = "pianist"


@dataclass(frozen=True, slots=True)
class AboveChance:
    """How often a guess was right.

    Attributes:
        share: of the guesses that were made; None where none was.
        chance: the share that guessing blindly has.
        p: probability of so many right guesses by chance, or more; None without a guess.
        guesses: how many were made.
    """

    share: float | None
    chance: float
    p: float | None
    guesses: int


def shuffled(packet: Packet, candidates: Sequence[str]) -> tuple[str, ...]:
    """The candidates in an order that depends on the packet and on nothing that they are sorted by.

    Raises:
        ValueError: fewer than two, or one twice.
    """
    if len(set(candidates)) != len(candidates) or len(candidates) < 2:
        raise ValueError("a guess needs two candidates or more, each once")

    def place(name: str) -> str:
        return hashlib.sha256(json.dumps([packet.text, name]).encode()).hexdigest()

    return tuple(sorted(candidates, key=place))


def guess_prompt(packet: Packet, candidates: Sequence[str]) -> str:
    """Ask which of some pianists plays, by the packet alone.

    Raises:
        ValueError: fewer than two candidates, or one twice.
    """
    listed = "\n".join(f"- {name}" for name in shuffled(packet, candidates))
    return (
        "These are measurements of half a minute of piano playing. One of the pianists below "
        "plays. Name the one who most likely does, exactly as written.\n\n"
        f"{listed}\n\n{packet.text}"
    )


def guess_schema(candidates: Sequence[str]) -> dict[str, object]:
    """JSON schema of a guess: one of the candidates."""
    return {
        "type": "object",
        "properties": {GUESS_FIELD: {"type": "string", "enum": sorted(candidates)}},
        "required": [GUESS_FIELD],
        "additionalProperties": False,
    }


def above_chance(
    guesses: Sequence[str | None], truths: Sequence[str], candidates: Sequence[str]
) -> AboveChance:
    """Exact one-sided binomial test of the guesses.

    Clips of one recital are not independent: take one clip a pianist.

    Args:
        guesses: a name, or None where the model gave none; those are left out.
        truths: who played, in the same order.
        candidates: whom every guess could choose from.

    Raises:
        ValueError: the lengths differ, there are fewer than two candidates, or one who played could
            not be chosen.
    """
    from scipy.stats import binomtest

    if len(guesses) != len(truths):
        raise ValueError(f"{len(guesses)} guesses of {len(truths)} clips")
    if len(set(candidates)) < 2:
        raise ValueError("a guess needs two candidates or more")
    if strangers := sorted(set(truths) - set(candidates)):
        raise ValueError(f"not among the candidates: {', '.join(strangers)}")
    chance = 1 / len(set(candidates))
    made = [(guess, truth) for guess, truth in zip(guesses, truths, strict=True) if guess]
    if not made:
        return AboveChance(None, chance, None, 0)
    right = sum(guess == truth for guess, truth in made)
    p = float(binomtest(right, len(made), chance, alternative="greater").pvalue)
    return AboveChance(right / len(made), chance, p, len(made))
