"""A split that no performer, piece or recording crosses, found so that little is lost.

What belongs here: keys of a segment, which keys go together, and their assignment to train,
validation and test; pure, and the same on every machine. What does not: reading rows and columns
of the manifest (`manifest`), and checking that it is sound (`leaks`).

Pianists and pieces hang together: in MAESTRO 1,275 of 1,276 recordings are one connected component.
So keys are assigned, not components, and a segment whose keys lie in different splits is excluded.
Which assignment loses least is searched for; see docs/decisions/training-set.md for the figures.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from data_collection.training_set.manifest_rows import SPLITS, Split, TierId

TEST = SPLITS.index("test")
PRESENCE = 1e-4
"""Added to shares, so that an empty split is very bad and not infinitely so."""
LEAST_GAIN = 1e-12
KICKED_SHARE = 0.04
"""Of the keys that are moved at random before a search goes on from there."""


@dataclass(frozen=True, slots=True)
class SplitRules:
    """How to split.

    Attributes:
        seed: of the search; the same seed and data give the same split.
        pull: how strongly train, validation and test pull. A share of what is kept only
            where nothing crosses: with many crossings, the largest ends up larger still.
        starts: searches from random assignments.
        kicks: times that each goes on from its best, disturbed.
    """

    seed: int = 0
    pull: tuple[float, float, float] = (0.7, 0.15, 0.15)
    starts: int = 3
    kicks: int = 25

    def __post_init__(self) -> None:
        if min(self.pull) <= 0 or not math.isclose(sum(self.pull), 1.0, abs_tol=1e-6):
            raise ValueError(f"pull {self.pull}: three numbers above 0 that add up to 1")
        if self.starts < 1 or self.kicks < 0:
            raise ValueError("at least one start, and no fewer than no kicks")


@dataclass(frozen=True, slots=True)
class Unit:
    """Segments that have the same keys.

    Attributes:
        tier: whose they are.
        keys: performer, pieces and whatever else may lie in one split only.
        weight: how much of the tier they are, such as seconds.
        only_test: they may be in test and nowhere else, as MAESTRO's official test.
    """

    tier: TierId
    keys: frozenset[str]
    weight: float
    only_test: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which key is in which split.

    Attributes:
        split_of: by key; a key that was never seen is not in it.
        together: for each key, the smallest of those that it is one group with.
    """

    split_of: Mapping[str, Split] = field(default_factory=dict)
    together: Mapping[str, str] = field(default_factory=dict)

    def of(self, keys: Collection[str], *, only_test: bool = False) -> Split | None:
        """The split of a segment with these keys; None where they lie in several."""
        found = {self.split_of[key] for key in keys}
        if len(found) != 1:
            return None
        split = found.pop()
        return None if only_test and split != "test" else split

    def why_not(self, keys: Collection[str], *, only_test: bool = False) -> str | None:
        """Why a segment with these keys is in no split; None where it is in one."""
        if self.of(keys, only_test=only_test) is not None:
            return None
        of_kind: dict[str, set[Split]] = defaultdict(set)
        for key in keys:
            of_kind[key.partition(":")[0]].add(self.split_of[key])
        if len({split for splits in of_kind.values() for split in splits}) == 1:
            return f"official test, and its {' and '.join(sorted(of_kind))} not in test"
        return ", ".join(
            f"{kind} in {' and '.join(sorted(splits))}" for kind, splits in sorted(of_kind.items())
        )


def whole_sets(pieces: Iterable[str]) -> dict[str, str]:
    """Pieces that are numbers of a whole that is there too, each with that whole.

    Args:
        pieces: keys `composer/work`, such as `chopin/op28` and `chopin/op28-no15`.
    """
    there = set(pieces)
    whole_of = {}
    for piece in there:
        head = piece
        while (cut := max(head.rfind("-no"), head.rfind("-book"))) > 0:
            head = head[:cut]
            if head in there:
                whole_of[piece] = head
    return whole_of


def assign(
    units: Iterable[Unit],
    rules: SplitRules,
    *,
    together: Iterable[tuple[str, str]] = (),
    earlier: Mapping[str, Split] | None = None,
) -> Assignment:
    """Assign every key to a split, so that few segments have keys in several.

    What is maximised is the sum over tiers and splits of `pull * log(share kept there)`: it grows
    with what is kept and falls where a split is starved, and a small tier counts as much as a
    large one. Local moves of single keys from random starts, each disturbed and repaired many
    times; the best is taken.

    Args:
        units: all segments, gathered by their keys.
        rules: seed and shares.
        together: pairs of keys that must lie in one split, such as two copies' recordings.
        earlier: keys that have a split already keep it, so that what was once trained on is never
            tested on, however the collection grows. Where keys that now go together had several,
            train wins.

    Returns:
        The same for the same arguments, whatever their order, on every machine.
    """
    units = sorted(units, key=lambda u: (u.tier, sorted(u.keys), u.only_test, u.weight))
    root_of = _roots({key for unit in units for key in unit.keys}, together)
    fixed = _fixed(root_of, earlier or {})
    problem = _Problem.of(units, root_of, fixed, rules)
    labels = _searched(problem, rules)
    split_of = {
        key: fixed.get(root) or SPLITS[labels[problem.number_of[root]]]
        for key, root in root_of.items()
        if root in problem.number_of
    }
    return Assignment(split_of, root_of)


def _roots(keys: Iterable[str], together: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each key's group, named by the smallest key in it."""
    parent = {key: key for key in sorted(keys)}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for one, other in together:
        if one in parent and other in parent:
            first, second = sorted((root(one), root(other)))
            parent[second] = first
    return {key: root(key) for key in parent}


def _fixed(root_of: Mapping[str, str], earlier: Mapping[str, Split]) -> dict[str, Split]:
    fixed: dict[str, Split] = {}
    for key, root in root_of.items():
        if (split := earlier.get(key)) is not None:
            fixed[root] = min(split, fixed.get(root, split), key=SPLITS.index)
    return fixed


@dataclass(frozen=True, slots=True)
class _Problem:
    """Groups of keys and units, by number.

    Attributes:
        number_of: number of each group.
        members: groups of each unit.
        units_of: units of each group.
        tier: number of each unit's tier.
        weight: share of its tier that each unit is.
        only_test: of each unit.
        tiers: how many there are.
        fixed: split of groups that have one already, by group.
        pull: of train, validation, test.
    """

    number_of: Mapping[str, int]
    members: Sequence[tuple[int, ...]]
    units_of: Sequence[Sequence[int]]
    tier: Sequence[int]
    weight: Sequence[float]
    only_test: Sequence[bool]
    tiers: int
    fixed: Mapping[int, int]
    pull: tuple[float, float, float]

    @classmethod
    def of(
        cls,
        units: Sequence[Unit],
        root_of: Mapping[str, str],
        fixed: Mapping[str, Split],
        rules: SplitRules,
    ) -> _Problem:
        merged: dict[tuple[TierId, tuple[str, ...], bool], float] = defaultdict(float)
        total: dict[TierId, float] = defaultdict(float)
        for unit in units:
            groups = tuple(sorted({root_of[key] for key in unit.keys}))
            merged[unit.tier, groups, unit.only_test] += unit.weight
            total[unit.tier] += unit.weight
        cells = [
            (tier, groups, only_test, weight)
            for (tier, groups, only_test), weight in merged.items()
        ]
        number_of = {root: at for at, root in enumerate(sorted(set(root_of.values())))}
        tier_number = {tier: at for at, tier in enumerate(sorted(total))}
        units_of: list[list[int]] = [[] for _ in number_of]
        for at, (_, groups, _, _) in enumerate(cells):
            for group in groups:
                units_of[number_of[group]].append(at)
        return cls(
            number_of=number_of,
            members=[tuple(number_of[group] for group in groups) for _, groups, _, _ in cells],
            units_of=units_of,
            tier=[tier_number[tier] for tier, _, _, _ in cells],
            weight=[weight / total[tier] if total[tier] else 0.0 for tier, _, _, weight in cells],
            only_test=[only_test for _, _, only_test, _ in cells],
            tiers=len(total),
            fixed={number_of[root]: SPLITS.index(split) for root, split in fixed.items()},
            pull=rules.pull,
        )


def _searched(problem: _Problem, rules: SplitRules) -> list[int]:
    best: _State | None = None
    for start in range(rules.starts):
        rng = random.Random(f"{rules.seed}/{start}")  # noqa: S311  # a search, no secret
        drawn = rng.choices(range(len(SPLITS)), problem.pull, k=len(problem.units_of))
        state = _State(problem, [problem.fixed.get(at, split) for at, split in enumerate(drawn)])
        state.climb(rng)
        for _ in range(rules.kicks):
            other = _State(problem, _kicked(state.labels, problem.fixed, rng))
            other.climb(rng)
            if other.worth > state.worth:
                state = other
        if best is None or state.worth > best.worth:
            best = state
    return best.labels if best is not None else []


def _kicked(labels: Sequence[int], fixed: Mapping[int, int], rng: random.Random) -> list[int]:
    return [
        rng.randrange(len(SPLITS)) if at not in fixed and rng.random() < KICKED_SHARE else label
        for at, label in enumerate(labels)
    ]


class _State:
    """An assignment under search, and what it keeps."""

    def __init__(self, problem: _Problem, labels: Sequence[int]) -> None:
        self.problem = problem
        self.labels = list(labels)
        self._count = [[0] * len(SPLITS) for _ in problem.members]
        self._kept = [[PRESENCE] * len(SPLITS) for _ in range(problem.tiers)]
        for unit, members in enumerate(problem.members):
            for group in members:
                self._count[unit][self.labels[group]] += 1
            for split in range(len(SPLITS)):
                if self._count[unit][split] == len(members) and self._allowed(unit, split):
                    self._kept[problem.tier[unit]][split] += problem.weight[unit]

    def _allowed(self, unit: int, split: int) -> bool:
        return split == TEST or not self.problem.only_test[unit]

    @property
    def worth(self) -> float:
        """What is maximised."""
        pull = self.problem.pull
        return sum(
            pull[split] * math.log(kept[split]) for kept in self._kept for split in range(len(kept))
        )

    def climb(self, rng: random.Random) -> None:
        """Move single groups as long as that is worth something."""
        order = [at for at in range(len(self.labels)) if at not in self.problem.fixed]
        moved = True
        while moved:
            rng.shuffle(order)
            moved = False
            for group in order:
                moved = self._move(group) or moved

    def _move(self, group: int) -> bool:
        """Move a group to the split that is worth most, if that is another."""
        here = self.labels[group]
        lost, won = self._changes(group)
        gain, split = max(
            (self._gain(lost, here) + self._gain(won[split], split), split)
            for split in range(len(SPLITS))
            if split != here
        )
        if gain <= LEAST_GAIN:
            return False
        for at, change in ((here, lost), (split, won[split])):
            for tier, weight in change.items():
                self._kept[tier][at] = max(PRESENCE, self._kept[tier][at] + weight)
        for unit in self.problem.units_of[group]:
            self._count[unit][here] -= 1
            self._count[unit][split] += 1
        self.labels[group] = split
        return True

    def _changes(self, group: int) -> tuple[dict[int, float], list[dict[int, float]]]:
        """What its split would lose of each tier, and what each other split would win."""
        here, problem = self.labels[group], self.problem
        lost: dict[int, float] = {}
        won: list[dict[int, float]] = [{} for _ in SPLITS]
        for unit in problem.units_of[group]:
            count, beside = self._count[unit], len(problem.members[unit]) - 1
            tier, weight = problem.tier[unit], problem.weight[unit]
            if count[here] > beside and self._allowed(unit, here):
                lost[tier] = lost.get(tier, 0.0) - weight
            for split, gained in enumerate(won):
                if count[split] == beside and split != here and self._allowed(unit, split):
                    gained[tier] = gained.get(tier, 0.0) + weight
        return lost, won

    def _gain(self, change: Mapping[int, float], split: int) -> float:
        return self.problem.pull[split] * sum(
            math.log(max(PRESENCE, self._kept[tier][split] + weight) / self._kept[tier][split])
            for tier, weight in change.items()
        )
