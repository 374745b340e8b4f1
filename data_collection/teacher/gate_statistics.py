"""Rank correlations of the gate: ties, permutations and a bootstrap of whole performers.

What belongs here: arithmetic on arrays, the same for the gate, its controls and its simulation.
What does not: what is compared (`gate`), what must fail (`gate_controls`), and words for a person
(`gate_report`). All draws come from one seed: equal tables give equal reports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

RHO_BOUND = 0.2
SHARE_NEEDED = 0.6
"""The seed's rule: rho above the bound on this share of the dimensions."""
CONFIDENCE = 0.95
DECIMALS = 9
"""Means are rounded, so that equal ones tie however floating point added them up."""
_LARGEST = 1 - 1e-9
"""Fisher's z of 1 is infinite."""
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class RankedRound:
    """The performers of one round, as numbers.

    Attributes:
        players: [n], which performer of the competition each row is.
        scores: [n, dimensions], a performer's mean scores; more is better.
        order: [n], what the outcome says; more is better, equal values are ties.
    """

    players: Indices
    scores: Array
    order: Array

    @property
    def size(self) -> int:
        """How many performers."""
        return len(self.players)


@dataclass(frozen=True, slots=True)
class Draws:
    """What chance decides, drawn once for all rounds and dimensions.

    A performer is shuffled and drawn as a whole. One who is liked in the first round is liked in
    the second, so rounds shuffled or drawn apart would look more certain together than they are.
    Shuffled whole they look a little less certain: those who are left in a late round share fewer
    places of the first than those of a shuffle do.

    Attributes:
        keys: [permutations, performers]; a shuffled order is that of these keys.
        counts: [resamples, performers], how often each performer is drawn.
    """

    keys: Array
    counts: Array


@dataclass(frozen=True, slots=True)
class Correlations:
    """How scores follow an order, over one round or several; not a number where nothing varies.

    Attributes:
        rho: [dimensions], Spearman's; over several rounds the mean of Fisher's z, weighted n - 3.
        p: [dimensions], how often a shuffled order does as well, one-sided.
        low: [dimensions], lower end of the bootstrap's interval.
        high: [dimensions], upper end.
        shuffled: [permutations, dimensions], rho of each shuffled order; 0 where nothing varies.
    """

    rho: Array
    p: Array
    low: Array
    high: Array
    shuffled: Array


def draw(performers: int, *, seed: int, permutations: int, resamples: int) -> Draws:
    """Draw the shuffles and the resamples of a competition's performers."""
    rng = np.random.default_rng(seed)
    share = np.full(performers, 1 / performers)
    return Draws(
        keys=rng.random((permutations, performers)),
        counts=rng.multinomial(performers, share, size=resamples).astype(np.float64),
    )


def correlations(rounds: Sequence[RankedRound], draws: Draws) -> Correlations:
    """Correlate scores and order within each round and combine the rounds.

    Args:
        rounds: one or more, of the same dimensions.
        draws: of all performers of the competition.
    """
    observed = [spearman(round_.scores, round_.order)[0] for round_ in rounds]
    rho = combined(observed, rounds)
    shuffled = shuffled_rho(rounds, draws)
    low, high = interval(rounds, draws)
    varies = ~np.all(np.isnan(observed), axis=0)
    nothing = np.full(rho.shape, np.nan)
    return Correlations(
        rho=np.where(varies, rho, nothing),
        p=np.where(varies, _chance(rho, shuffled, exact=_is_exact(rounds, draws)), nothing),
        low=np.where(varies, low, nothing),
        high=np.where(varies, high, nothing),
        shuffled=shuffled,
    )


def spearman(scores: Array, order: Array, counts: Array | None = None) -> Array:
    """Spearman's rho with ties at their mean rank.

    Args:
        scores: [n, dimensions].
        order: [n].
        counts: [resamples, n], how often each row is drawn; without them once, in one resample.

    Returns:
        [resamples, dimensions]; not a number where one side does not vary.
    """
    counts = np.ones((1, len(order))) if counts is None else counts
    target = _standardised(order, counts)
    return np.stack(
        [(target * _standardised(column, counts) * counts).sum(axis=1) for column in scores.T],
        axis=1,
    )


def combined(rhos: Sequence[Array], rounds: Sequence[RankedRound]) -> Array:
    """Average rho over rounds by Fisher's z, each weighted by n - 3, the inverse of its variance.

    A round in which a dimension does not vary says that it does not follow: 0.
    """
    weights = np.array([max(round_.size - 3, 1) for round_ in rounds], dtype=np.float64)
    z = [np.arctanh(np.clip(np.nan_to_num(rho), -_LARGEST, _LARGEST)) for rho in rhos]
    mean: Array = np.tanh(np.tensordot(weights / weights.sum(), np.stack(z), axes=1))
    return mean


def shuffled_rho(rounds: Sequence[RankedRound], draws: Draws) -> Array:
    """Rho of every shuffle, [permutations, dimensions]."""
    found = []
    for round_, places in zip(rounds, shuffled_places(rounds, draws), strict=True):
        once = np.ones((1, round_.size))
        orders = _standardised(np.sort(round_.order), once)[0][places]
        scores = np.stack([_standardised(column, once)[0] for column in round_.scores.T], axis=1)
        found.append(np.nan_to_num(orders) @ np.nan_to_num(scores))
    return combined(found, rounds)


def shuffled_places(rounds: Sequence[RankedRound], draws: Draws) -> list[Indices]:
    """Which place of a round's sorted order each performer gets, [permutations, n] of each round.

    Of a single small round all orders that there are.
    """
    if _is_exact(rounds, draws):
        return [np.array([*permutations(range(rounds[0].size))])]
    return [draws.keys[:, r.players].argsort(axis=1).argsort(axis=1) for r in rounds]


def interval(rounds: Sequence[RankedRound], draws: Draws) -> tuple[Array, Array]:
    """Percentile interval of the combined rho when whole performers are drawn anew."""
    resampled = combined(
        [spearman(r.scores, r.order, draws.counts[:, r.players]) for r in rounds], rounds
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return low, high


def decisive(values: Array) -> Array:
    """The value that decides: the largest that the share needed of the dimensions reaches.

    Args:
        values: [..., dimensions]; what is not a number counts as 0.

    Returns:
        [...]; above the bound exactly where enough dimensions are.
    """
    dimensions = values.shape[-1]
    place = dimensions - dimensions_needed(dimensions)
    found: Array = np.sort(np.nan_to_num(values), axis=-1)[..., place]
    return found


def dimensions_needed(dimensions: int) -> int:
    """How many dimensions the share needed is, rounded up."""
    return math.ceil(SHARE_NEEDED * dimensions - 1e-9)


def drawn_rho(scores: Sequence[Array], rounds: Sequence[RankedRound]) -> Array:
    """Combined rho of many scores for the same orders.

    Args:
        scores: of each round [draws, n].
        rounds: whose orders they are held against.

    Returns:
        [draws, 1].
    """
    from scipy.stats import rankdata

    found = []
    for drawn, round_ in zip(scores, rounds, strict=True):
        ranks = rankdata(drawn, axis=1) - (round_.size + 1) / 2
        length = np.sqrt((ranks**2).sum(axis=1))
        order = np.nan_to_num(_standardised(round_.order, np.ones((1, round_.size)))[0])
        found.append(((ranks @ order) / np.where(length > 0, length, 1))[:, None])
    return combined(found, rounds)


def largest_rho(order: Array) -> float:
    """Rho of scores that are all different and never contradict an order; below 1 for its ties."""
    n = len(order)
    if n < 2:
        return 0.0
    _, tied = np.unique(order, return_counts=True)
    return math.sqrt(max(0.0, 1 - float((tied**3 - tied).sum()) / (n**3 - n)))


def split_half_reliability(marks: Array, *, seed: int, splits: int = 50) -> float | None:
    """How well one half of a jury foretells the other, stepped up to the whole (Spearman-Brown).

    Args:
        marks: [jurors, performers], not a number where a juror did not mark. Put on one scale a
            juror first, or the strict ones who skip a performer raise that mean.
        seed: of the splits.
        splits: random halves, averaged.

    Returns:
        Reliability of the whole jury's mean, 0 to 1; its square root bounds what any score can
        correlate with that mean. None under four jurors, or where nothing varies.
    """
    if len(marks) < 4:
        return None
    rng = np.random.default_rng(seed)
    found = [_halves_agree(rng.permutation(marks)) for _ in range(splits)]
    known = [rho for rho in found if rho is not None]
    if not known:
        return None
    half = min(1.0, max(0.0, float(np.mean(known))))
    return 2 * half / (1 + half)


def _halves_agree(marks: Array) -> float | None:
    half = len(marks) // 2
    sides = np.ma.masked_invalid(marks)
    first, second = sides[:half].mean(axis=0), sides[half:].mean(axis=0)
    both = ~(np.ma.getmaskarray(first) | np.ma.getmaskarray(second))
    if both.sum() < 3:
        return None
    rounded = [np.asarray(side[both], dtype=np.float64).round(DECIMALS) for side in (first, second)]
    rho = float(spearman(rounded[0][:, None], rounded[1])[0, 0])
    return None if math.isnan(rho) else rho


def _midranks(values: Array, counts: Array) -> Array:
    """Mean ranks of [n] values in each of [resamples, n] draws, up to a constant."""
    _, group = np.unique(values, return_inverse=True)
    members = np.zeros((len(values), int(group.max(initial=-1)) + 1))
    members[np.arange(len(values)), group] = 1
    held = counts @ members
    ranks: Array = (held.cumsum(axis=1) - held / 2)[:, group]
    return ranks


def _standardised(values: Array, counts: Array) -> Array:
    """Ranks with weighted mean 0 and sum of squares 1 in each draw; not a number if constant."""
    ranks = _midranks(values, counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = ranks - ((counts * ranks).sum(axis=1) / counts.sum(axis=1))[:, None]
        squares = (counts * centred**2).sum(axis=1)
        varies = squares > _SAME * ranks.shape[1] ** 3
        scaled: Array = centred / np.sqrt(np.where(varies, squares, np.nan))[:, None]
    return scaled


def _is_exact(rounds: Sequence[RankedRound], draws: Draws) -> bool:
    return len(rounds) == 1 and math.factorial(min(rounds[0].size, 20)) <= len(draws.keys)


def _chance(rho: Array, shuffled: Array, *, exact: bool) -> Array:
    """Share of shuffles that do as well; the order itself is one of them."""
    as_well = (shuffled >= rho - _SAME * 1e3).sum(axis=0)
    share: Array = as_well / len(shuffled) if exact else (as_well + 1) / (len(shuffled) + 1)
    return share
