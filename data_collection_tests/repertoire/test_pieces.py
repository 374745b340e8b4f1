"""Pieces that share music, and those that do not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from data_collection.repertoire.pieces import Piece, contains, shares_work


def piece(work: str, movement: str | None = None, composer: str = "chopin") -> Piece:
    return Piece(composer=composer, work=work, movement=movement, title=work)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (piece("op28"), piece("op28-no15"), True),
        (piece("op28-no15"), piece("op28-no16"), False),
        (piece("op2"), piece("op28-no15"), False),
        (piece("op10-no1"), piece("op10-no12"), False),
        (piece("op35"), piece("op35", "3"), True),
        (piece("op35", "1"), piece("op35", "3"), False),
        (piece("op35", "1-2"), piece("op35", "2"), True),
        (piece("op35", "1-2"), piece("op35", "2-4"), True),
        (piece("op35"), piece("op35", composer="brahms"), False),
        (piece("op35", composer="brahms"), piece("op35-book2", composer="brahms"), True),
    ],
)
def test_two_pieces_share_a_work_where_the_same_music_is_in_both(
    one: Piece, other: Piece, shared: bool
) -> None:
    """Pairs of one piece rest on this; `op1` is no part of `op10`, movement 1 none of 3."""
    assert shares_work(one, other) is shared
    assert shares_work(other, one) is shared


def test_containing_goes_one_way() -> None:
    """A movement does not hold its sonata, though both share it."""
    assert contains(piece("op35"), piece("op35", "1"))
    assert not contains(piece("op35", "1"), piece("op35"))


@pytest.mark.parametrize("work", ["Op10", "op10 no1", "", "op10--no1", "<b>"])
def test_a_key_is_safe_to_write_anywhere(work: str) -> None:
    """A work's key becomes part of rows and names; it is letters, digits and dashes."""
    with pytest.raises(ValidationError):
        piece(work)
