"""Who is who: which names of one list are people of another.

What belongs here: joining two lists of names, pure. What does not: comparing two single names
(`competition.names`). A surname alone joins nobody, a misspelling neither: it is reported, and a
person adds an alias to the roster. A name that fits two people joins neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from data_collection.competition.names import compare_names, normalised_name

SAME_PERSON = 80.0
"""The lowest score of `compare_names` that joins: two of several given names missing."""

Spellings = Sequence[str]


@dataclass(frozen=True, slots=True)
class Fit:
    """Whom a name fits.

    Attributes:
        person: index of the one it is; None for nobody, or where it is not certain.
        candidates: indices of those it might be, where that is more than one or is taken twice.
    """

    person: int | None = None
    candidates: tuple[int, ...] = ()


def name_key(name: str) -> str:
    """The words of a name, folded, in no order: equal for the same name in any order."""
    return " ".join(sorted(normalised_name(name).split()))


def same_person(one: str, other: str) -> bool:
    """Whether two spellings are one name: reversed, accented, joined, or without a middle name."""
    for written, meant in ((one, other), (other, one)):
        match = compare_names(written, meant)
        if match.score >= SAME_PERSON and not match.edits:
            return True
    return False


def fits(names: Sequence[Spellings], people: Sequence[Spellings]) -> list[Fit]:
    """Join names to people.

    Args:
        names: spellings of each name, of one source; each is another person.
        people: spellings of each person known.

    Returns:
        For each name whom it fits. Equal words decide first; a name that is near another one is
        then no candidate for it.
    """
    exact = [_exact(spellings, people) for spellings in names]
    taken = Counter(fit.person for fit in exact if fit.person is not None)
    found: list[Fit] = []
    for spellings, fit in zip(names, exact, strict=True):
        found.append(fit if fit.person is not None or fit.candidates else _near(spellings, people))
    wanted = Counter(fit.person for fit in found if fit.person is not None)
    return [
        _settled(fit, first.person is not None, taken, wanted)
        for fit, first in zip(found, exact, strict=True)
    ]


def _settled(fit: Fit, is_exact: bool, taken: Counter[int], wanted: Counter[int]) -> Fit:
    """Two names for one person: the one with equal words has it, otherwise neither."""
    if fit.person is None or wanted[fit.person] == 1:
        return fit
    if is_exact and taken[fit.person] == 1:
        return fit
    return Fit(candidates=(fit.person,))


def _exact(spellings: Spellings, people: Sequence[Spellings]) -> Fit:
    keys = {name_key(name) for name in spellings}
    return _only(
        [at for at, known in enumerate(people) if keys & {name_key(name) for name in known}]
    )


def _near(spellings: Spellings, people: Sequence[Spellings]) -> Fit:
    return _only(
        [
            at
            for at, known in enumerate(people)
            if any(same_person(one, other) for one in spellings for other in known)
        ]
    )


def _only(found: list[int]) -> Fit:
    return Fit(person=found[0]) if len(found) == 1 else Fit(candidates=tuple(found))
