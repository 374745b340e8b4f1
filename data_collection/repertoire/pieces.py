"""A piece of music as all tiers name it: composer, work and movement.

What belongs here: the model and how two pieces relate. What does not: which works there are
(`catalogue`), and reading a wording (`reading`).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Piece(BaseModel):
    """What is played: a work, a number of a set, a movement, or a whole set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    composer: str = Field(
        pattern=r"^[a-z]+(-[a-z]+)*$",
        description="slug such as chopin; bach-busoni where somebody transcribed it",
    )
    work: str = Field(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        description="catalogue identity: op10-no12, bwv826, hob-xvi-50; a slug where there is none",
    )
    movement: str | None = Field(
        default=None, pattern=r"^[1-9]\d?(-[1-9]\d?)?$", description="`1`, `1-2`; None: all of it"
    )
    title: str = Field(min_length=1, description="for reading, not for comparing")

    @property
    def identity(self) -> tuple[str, str, str | None]:
        """What two spellings of one piece have in common."""
        return self.composer, self.work, self.movement


def contains(whole: Piece, part: Piece) -> bool:
    """Whether `part` is `whole`, one of its numbers, or one or more of its movements."""
    if whole.composer != part.composer:
        return False
    if whole.work != part.work:
        return whole.movement is None and part.work.startswith(
            (f"{whole.work}-no", f"{whole.work}-book")
        )
    if whole.movement is None:
        return True
    return part.movement is not None and _movements(part) <= _movements(whole)


def shares_work(one: Piece, other: Piece) -> bool:
    """Whether some music is in both, so that two recordings of them can be compared.

    `op28` shares with `op28-no15`, a sonata with its movements; movements 1 and 3 share nothing.
    """
    if contains(one, other) or contains(other, one):
        return True
    same = (one.composer, one.work) == (other.composer, other.work)
    return same and bool(_movements(one) & _movements(other))


def _movements(piece: Piece) -> frozenset[int]:
    first, _, last = (piece.movement or "").partition("-")
    return frozenset(range(int(first), int(last or first) + 1)) if first else frozenset()
