"""The gate's arithmetic, held against scipy and against what is known by hand."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, spearmanr

from data_collection.teacher.gate_statistics import (
    RHO_BOUND,
    RankedRound,
    combined,
    correlations,
    decisive,
    draw,
    drawn_rho,
    interval,
    largest_rho,
    spearman,
    split_half_reliability,
)

SMALL = settings(max_examples=40)
VALUES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), min_size=3, max_size=20)


def ranked(scores: object, order: object, players: object = None) -> RankedRound:
    columns = np.asarray(scores, dtype=np.float64)
    columns = columns[:, None] if columns.ndim == 1 else columns
    who = np.arange(len(columns)) if players is None else np.asarray(players)
    return RankedRound(who, columns, np.asarray(order, dtype=np.float64))


@SMALL
@given(VALUES)
def test_rho_is_scipys_with_every_kind_of_tie(pairs: list[tuple[int, int]]) -> None:
    """Places and means of whole scores tie all the time; rho must be the field's own."""
    scores, order = np.array(pairs, dtype=np.float64).T
    found = spearman(scores[:, None], order)[0, 0]
    if len(set(scores)) == 1 or len(set(order)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(scores, order).statistic, abs=1e-12)


@SMALL
@given(VALUES, st.randoms(use_true_random=False))
def test_a_performer_drawn_twice_counts_twice(pairs: list[tuple[int, int]], random: object) -> None:
    """The bootstrap weighs instead of copying; both must be one thing."""
    scores, order = np.array(pairs, dtype=np.float64).T
    counts = np.array([random.randint(0, 3) for _ in pairs])  # type: ignore[attr-defined]
    found = spearman(scores[:, None], order, counts[None, :].astype(float))[0, 0]
    copied = np.repeat(np.arange(len(pairs)), counts)
    varies = len(set(scores[copied])) > 1 and len(set(order[copied])) > 1
    if not varies:
        assert math.isnan(found)
    else:
        expected = spearmanr(scores[copied], order[copied]).statistic
        assert found == pytest.approx(expected, abs=1e-9)


@SMALL
@given(st.lists(st.integers(1, 6), min_size=2, max_size=15))
def test_the_largest_rho_is_that_of_perfect_scores(order: list[int]) -> None:
    """Ties cap what a perfect teacher reaches; the report says by how much."""
    perfect = np.argsort(np.argsort(order, kind="stable")).astype(float)
    found = spearman(perfect[:, None], np.array(order, dtype=float))[0, 0]
    assert largest_rho(np.array(order)) == pytest.approx(0 if math.isnan(found) else found)


def test_a_small_round_is_shuffled_in_all_ways() -> None:
    """Five performers have 120 orders; drawing some of them would add noise to a known p."""
    scores, order = np.array([1.0, 3, 2, 4, 4]), np.array([1.0, 2, 2, 3, 4])
    found = correlations([ranked(scores, order)], draw(5, seed=1, permutations=1000, resamples=10))
    assert len(found.shuffled) == math.factorial(5)
    expected = permutation_test(
        (scores,),
        lambda x: spearmanr(x, order).statistic,
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    assert found.p[0] == pytest.approx(expected.pvalue)


def test_shuffled_p_is_small_no_more_often_than_it_says() -> None:
    """Rounds share performers whom the teacher likes; shuffled apart, chance would look rare."""
    rng = np.random.default_rng(0)
    ps = []
    for number in range(80):
        liked = rng.normal(size=(40, 1))
        ability = rng.normal(size=40)
        second = np.argsort(-ability)[:20]
        rounds = [
            ranked(liked, ability),
            ranked(liked[second] + 0.1 * rng.normal(size=(20, 1)), ability[second], second),
        ]
        ps.append(correlations(rounds, draw(40, seed=number, permutations=200, resamples=2)).p[0])
    assert np.mean(np.array(ps) <= 0.1) <= 0.15


def test_the_interval_holds_the_true_rho_about_as_often_as_it_says() -> None:
    """The strict rule is only as strict as its interval."""
    rng = np.random.default_rng(1)
    true = 6 / np.pi * np.arcsin(0.4 / 2)
    held = []
    for number in range(100):
        x = rng.normal(size=60)
        y = 0.4 * x + np.sqrt(1 - 0.16) * rng.normal(size=60)
        low, high = interval([ranked(y, x)], draw(60, seed=number, permutations=1, resamples=200))
        held.append(low[0] <= true <= high[0])
    assert 0.88 <= np.mean(held) <= 0.99


def test_rounds_are_combined_by_their_size_and_silence_counts_as_none() -> None:
    """A round of 8 must not outvote one of 80, and a constant dimension follows nothing."""
    big, small = ranked(np.arange(80), np.arange(80)), ranked(np.arange(8), np.arange(8))
    rho = combined([np.array([0.5]), np.array([-0.5])], [big, small])[0]
    assert np.arctanh(rho) == pytest.approx(np.arctanh(0.5) * (77 - 5) / 82)
    assert combined([np.array([0.5]), np.array([np.nan])], [big, big])[0] < 0.5
    assert combined([np.array([1.0])], [big])[0] == pytest.approx(1, abs=1e-6)


@SMALL
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_what_decides_is_above_the_bound_where_enough_dimensions_are(rhos: list[float]) -> None:
    """The seed's rule, share for share, for any number of dimensions."""
    above = sum(rho > RHO_BOUND for rho in rhos)
    assert (decisive(np.array(rhos)) > RHO_BOUND) == (10 * above >= 6 * len(rhos))


def test_many_scores_at_once_are_the_same_as_one_by_one() -> None:
    """Random scores are ranked in bulk; that may change nothing but the time."""
    rng = np.random.default_rng(2)
    order = rng.integers(0, 4, 12).astype(float)
    scores = rng.integers(1, 6, (5, 12)).astype(float)
    scores[4] = 3.0
    found = drawn_rho([scores], [ranked(scores[0], order)])
    expected = [np.nan_to_num(spearman(row[:, None], order)[0, 0]) for row in scores]
    assert found[:, 0] == pytest.approx(expected)


def test_everything_is_drawn_from_the_seed() -> None:
    """A report that changes between two runs of one table could be run until it opens."""
    rng = np.random.default_rng(3)
    rounds = [ranked(rng.normal(size=(20, 2)), rng.normal(size=20))]
    one, same, other = (
        correlations(rounds, draw(20, seed=seed, permutations=50, resamples=50))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one.low, same.low)
    assert np.array_equal(one.shuffled, same.shuffled)
    assert not np.array_equal(one.low, other.low)


def test_the_ceiling_of_a_jury_that_agrees_is_one_and_of_noise_is_low() -> None:
    """No teacher can follow marks better than the jury follows itself."""
    rng = np.random.default_rng(4)
    true = rng.normal(size=40)
    agreed = split_half_reliability(np.tile(true, (8, 1)), seed=1)
    assert agreed == pytest.approx(1)
    noisy = true + rng.normal(size=(8, 40))
    found = split_half_reliability(noisy, seed=1, splits=30)
    assert found is not None
    assert found == pytest.approx(8 / 9, abs=0.1)  # of a mean of eight, each half signal
    gaps = np.where(rng.random(noisy.shape) < 0.1, np.nan, noisy)
    assert split_half_reliability(gaps, seed=1, splits=30) == pytest.approx(found, abs=0.1)
    nothing = split_half_reliability(rng.normal(size=(8, 40)), seed=1, splits=30)
    assert nothing is not None
    assert nothing < 0.5
    assert split_half_reliability(noisy[:3], seed=1) is None
    assert split_half_reliability(np.ones((8, 40)), seed=1) is None


def test_all_orders_of_a_round_have_mean_rho_zero() -> None:
    """Shuffles favour no direction."""
    order = np.arange(5.0)
    found = [
        spearman(np.array(places, float)[:, None], order)[0, 0] for places in permutations(range(5))
    ]
    assert np.mean(found) == pytest.approx(0)
