"""Controls of the gate: what is no judgement of quality and has to fail the same rule.

What belongs here: shuffled labels, random scores, loudness and duration alone, and what is done
with one that passes. What does not: the labels' own figures (`gate`) and arithmetic
(`gate_statistics`).

A single shuffle would pass the seed's rule now and then and void an honest signal, or fail it and
prove nothing. So what is drawn is drawn often, and the share that meets the rule is what must be
small; what cannot be drawn again has to be beyond chance as well as above the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from data_collection.teacher.gate_report import Control, ControlRow, Rule
from data_collection.teacher.gate_statistics import (
    DECIMALS,
    RHO_BOUND,
    Array,
    Draws,
    RankedRound,
    combined,
    correlations,
    decisive,
    drawn_rho,
    interval,
    shuffled_places,
    spearman,
)

MAX_PASS_SHARE = 0.05
"""A rule that more draws meet cannot say no to these rounds."""
CONFOUND_P = 0.005
"""The two void an honest signal by chance in one competition of a hundred."""
RANDOM_DRAWS = 1000
MOST_INTERVALS = 40
"""Intervals computed for draws that meet the seed's rule; the share among more is taken from so
many."""

Replaced = Callable[[int], Sequence[RankedRound]]


def shuffled_control(
    rounds: Sequence[RankedRound], shuffled: Array, draws: Draws
) -> tuple[ControlRow, ...]:
    """The labels themselves against orders that mean nothing.

    Args:
        rounds: those counted.
        shuffled: [permutations, dimensions], rho of each shuffle.
        draws: that the shuffles are of.
    """
    places = shuffled_places(rounds, draws)

    def replaced(at: int) -> Sequence[RankedRound]:
        return [
            RankedRound(r.players, r.scores, np.sort(r.order)[found[at]])
            for r, found in zip(rounds, places, strict=True)
        ]

    return _drawn("shuffled", shuffled, replaced, draws)


def random_control(
    rounds: Sequence[RankedRound],
    segments: Sequence[npt.NDArray[np.int64]],
    draws: Draws,
    *,
    seed: int,
) -> tuple[ControlRow, ...]:
    """A whole number from 1 to 5 for each segment by a die, the same in every dimension.

    All dimensions saying the same is what chance meets the rule with most often.

    Args:
        rounds: those counted.
        segments: of each round [n], how many of a performer's segments are labelled.
        draws: of performers.
        seed: of the die.
    """
    rng = np.random.default_rng(seed)
    scores = [_thrown(rng, counts) for counts in segments]

    def replaced(at: int) -> Sequence[RankedRound]:
        return [
            RankedRound(r.players, drawn[at][:, None], r.order)
            for r, drawn in zip(rounds, scores, strict=True)
        ]

    return _drawn("random", drawn_rho(scores, rounds), replaced, draws)


def confound_control(control: Control, rounds: Sequence[RankedRound], draws: Draws) -> ControlRow:
    """One figure of the recordings as the only score, in the direction that suits it.

    Args:
        control: what the figure is.
        rounds: those counted in which it is known, with the figure as their only dimension.
        draws: of performers.
    """
    if not rounds:
        return _not_run(control, control)
    found = correlations(rounds, draws)
    if np.isnan(found.rho[0]):
        rho, p = 0.0, 1.0
    else:
        rho = float(found.rho[0])
        as_well = int((np.abs(found.shuffled[:, 0]) >= abs(rho)).sum())
        p = (as_well + 1) / (len(found.shuffled) + 1)
    passed = abs(rho) > RHO_BOUND and p <= CONFOUND_P
    says = "follows" if passed else "does not follow"
    return ControlRow(
        control=control,
        rule=None,
        rho=rho,
        p=p,
        pass_share=None,
        draws=1,
        outcome="passed" if passed else "failed",
        because=f"{control} alone {says} the outcome (rho {rho:+.2f}, p {p:.3f})",
    )


def remaining_control(
    own: float, rounds: Sequence[RankedRound], confounds: Sequence[Array]
) -> ControlRow:
    """Loudness and duration together: what they leave of labels that meet the seed's rule.

    A weak confound is not beyond chance by itself, and still may be all that labels follow.

    Args:
        own: what decides of the labels themselves.
        rounds: those counted in which both figures are known.
        confounds: of each round [n, figures].
    """
    if not rounds:
        return _not_run("loudness_and_duration", "loudness or duration")
    left = [
        spearman(_residual_ranks(r.scores, known), r.order)[0]
        for r, known in zip(rounds, confounds, strict=True)
    ]
    rho = float(decisive(combined(left, rounds)))
    passed = own > RHO_BOUND >= rho
    return ControlRow(
        control="loudness_and_duration",
        rule=None,
        rho=rho,
        p=None,
        pass_share=None,
        draws=1,
        outcome="passed" if passed else "failed",
        because=f"at equal loudness and duration the labels' rho is {rho:+.2f} where it decides, "
        f"{own:+.2f} as they are" + (f": not above {RHO_BOUND}" if passed else ""),
    )


def _residual_ranks(scores: Array, confounds: Array) -> Array:
    """What the ranks of confounds do not explain of the ranks of scores, [n, dimensions]."""
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=0)
    known = np.column_stack([np.ones(len(ranks)), rankdata(confounds, axis=0)])
    explained = known @ np.linalg.lstsq(known, ranks, rcond=None)[0]
    residual: Array = (ranks - explained).round(DECIMALS)
    return residual


def _not_run(control: Control, figure: str) -> ControlRow:
    return ControlRow(
        control=control,
        rule=None,
        rho=None,
        p=None,
        pass_share=None,
        draws=0,
        outcome="not_run",
        because=f"{figure} is not known of enough performers; materialize the metadata again",
    )


def _thrown(rng: np.random.Generator, counts: npt.NDArray[np.int64]) -> Array:
    """Means of `counts` throws each, [draws, n]."""
    throws = rng.integers(1, 6, size=(RANDOM_DRAWS, int(counts.sum())), dtype=np.int8)
    starts = np.concatenate([[0], counts.cumsum()[:-1]])
    means: Array = np.add.reduceat(throws, starts, axis=1, dtype=np.int64) / counts
    return means.round(DECIMALS)


def _drawn(
    control: Control, rhos: Array, replaced: Replaced, draws: Draws
) -> tuple[ControlRow, ...]:
    """What share of the draws meets either rule."""
    met = np.flatnonzero(decisive(rhos) > RHO_BOUND)
    shares: dict[Rule, float] = {"seed": len(met) / len(rhos), "strict": 0.0}
    if len(met):
        tried = met[:MOST_INTERVALS]
        lows = [decisive(interval(replaced(int(at)), draws)[0]) for at in tried]
        shares["strict"] = shares["seed"] * float(np.mean(np.array(lows) > RHO_BOUND))
    return tuple(_drawn_row(control, rule, share, len(rhos)) for rule, share in shares.items())


def _drawn_row(control: Control, rule: Rule, share: float, drawn: int) -> ControlRow:
    name = "shuffled labels" if control == "shuffled" else "random scores"
    passed = share > MAX_PASS_SHARE
    return ControlRow(
        control=control,
        rule=rule,
        rho=None,
        p=None,
        pass_share=share,
        draws=drawn,
        outcome="passed" if passed else "failed",
        because=f"{share:.1%} of {drawn} {name} meet the {rule} rule, "
        + (f"more than {MAX_PASS_SHARE:.0%}: " if passed else f"at most {MAX_PASS_SHARE:.0%}: ")
        + ("it cannot say no here" if passed else "it can say no"),
    )
