"""How often the gate opens to a teacher that hears quality, and to one that does not.

    python benchmarks/gate_simulation.py [--quick] [--competitions N] [--curve] [--json]

Plays made-up competitions of 87, 45, 23 and 12 performers whose outcomes are what rounds give
(those who go on, places in the final only, ties as in 2021), lets teachers of known worth score 13
segments of each performance from 1 to 5 in six correlated dimensions, and runs the gate on the
labels. A share of zero in N competitions is below 3/N with 95 % confidence, so the seed's rule is
also tried without the rest of the gate, more often. The curve is of teachers between noise and a
good one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from data_collection.teacher.gate import Chances, judge
from data_collection.teacher.gate_report import GateReport
from data_collection.teacher.gate_statistics import (
    DECIMALS,
    RHO_BOUND,
    RankedRound,
    combined,
    decisive,
    spearman,
)

sys.path.append(str(Path(__file__).parents[1]))  # the tests are not installed
from data_collection_tests.teacher.made_competition import MadeCompetition, World, compete

COMPETITIONS = 200
QUICK = 20
TRUE_RHO = 0.5
RULE_ALONE = 20
"""Times the competitions that the whole gate judges."""
ORDERS = ("placement", "advancing")
CURVE = (0.15, 0.3, 0.4, 0.6)
CALIBRATED_ON = 60
STEPS = 10
SEED = 7


def ranked(made: MadeCompetition, *, advancing: bool = False) -> list[RankedRound]:
    """The rounds of recitals as the gate ranks them, or by who goes on and nothing else."""
    recitals = made.rounds[: made.solo_rounds]
    orders = (
        [np.isin(r.present, after.present) for r, after in pairwise(made.rounds)]
        if advancing
        else [-made.placement[r.present] for r in recitals]
    )
    return [
        RankedRound(r.present, r.scores.mean(axis=1).round(DECIMALS), order.astype(float))
        for r, order in zip(recitals, orders, strict=True)
    ]


def with_playing(made: MadeCompetition) -> float:
    """Correlation of mean scores with how well they played in the first round, by dimension."""
    first = made.rounds[0]
    means = first.scores.mean(axis=1)
    return float(np.mean([np.corrcoef(column, first.played)[0, 1] for column in means.T]))


def with_order(made: MadeCompetition) -> float:
    """Spearman with the outcomes over the rounds, mean over the dimensions."""
    rounds = ranked(made)
    return float(combined([spearman(r.scores, r.order)[0] for r in rounds], rounds).mean())


def calibrated(world: World, reads: Callable[[MadeCompetition], float]) -> World:
    """Make a teacher's correlation, as read, the true rho."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = replace(world, teacher=(low + high) / 2)
        if expected(middle, reads) < TRUE_RHO:
            low = middle.teacher
        else:
            high = middle.teacher
    return replace(world, teacher=(low + high) / 2)


def expected(world: World, reads: Callable[[MadeCompetition], float]) -> float:
    """A reading's mean over competitions."""
    rng = np.random.default_rng(SEED + 1)
    return float(np.mean([reads(compete(world, rng)) for _ in range(CALIBRATED_ON)]))


def reports(world: World, competitions: int) -> list[GateReport]:
    """The gate's report of each competition."""
    rng = np.random.default_rng(SEED)
    found = []
    for number in range(competitions):
        made = compete(world, rng)
        chances = Chances(seed=number, permutations=500, resamples=500)
        found.append(judge(made.labels(), made.segments(), chances=chances))
    return found


def shares(found: list[GateReport]) -> dict[str, float]:
    """How often each rule is met, opens the gate, and is voided; and each round's own rule."""
    result: dict[str, float] = {}
    for at, rule in enumerate(("seed", "strict")):
        verdicts = [report.rules[at] for report in found]
        met = [v.decisive is not None and v.decisive > RHO_BOUND for v in verdicts]
        result[f"meets_{rule}"] = float(np.mean(met))
        result[f"opens_{rule}"] = float(np.mean([v.verdict == "open" for v in verdicts]))
    result["void"] = float(np.mean([report.rules[0].verdict == "void" for report in found]))
    for control in ("loudness", "duration", "loudness_and_duration"):
        rows = [row for report in found for row in report.controls if row.control == control]
        result[f"{control}_passes"] = float(np.mean([row.outcome == "passed" for row in rows]))
    for at, name in enumerate(row.round for row in found[0].rounds[:3]):
        own = [report.rounds[at].meets for report in found]
        result[f"meets_seed_in_{name}"] = float(np.mean([bool(m and m["seed"]) for m in own]))
    drawn = [row.pass_share or 0.0 for report in found for row in report.controls[:1]]
    result["shuffled_meet_seed"] = float(np.mean(drawn))
    return result


def meets_seed(world: World, competitions: int, *, advancing: bool = False) -> float:
    """How often the seed's rule alone is met, by rho and nothing else."""
    rng = np.random.default_rng(SEED + 2)
    met = 0
    for _ in range(competitions):
        rounds = ranked(compete(world, rng), advancing=advancing)
        rho = combined([spearman(r.scores, r.order)[0] for r in rounds], rounds)
        met += bool(decisive(rho) > RHO_BOUND)
    return met / competitions


def worlds() -> dict[str, World]:
    """Teachers worth something, worth nothing, and led by loudness."""
    usual = World()
    return {
        "hears how well they play": calibrated(usual, with_playing),
        "follows the outcomes": calibrated(usual, with_order),
        **noises(),
        "hears loudness (0.5 with playing)": replace(
            usual, teacher=0.95, loudness=0.5, hears_loudness=True
        ),
        "hears loudness (0.35 with playing)": replace(
            usual, teacher=0.95, loudness=0.35, hears_loudness=True
        ),
    }


def noises() -> dict[str, World]:
    """Teachers worth nothing: the usual one, and one whose errors are chance's best case."""
    noise = World(teacher=0.0)
    return {
        "noise": noise,
        "noise, dimensions alike, sticking": replace(noise, dimensions_alike=0.95, taste=0.95),
    }


def curve() -> dict[str, World]:
    """Teachers between noise and a good one."""
    return {f"taste {teacher}": World(teacher=teacher) for teacher in CURVE}


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} competitions")
    parser.add_argument("--competitions", type=int, default=COMPETITIONS)
    parser.add_argument("--curve", action="store_true", help="more teachers")
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    options = parser.parse_args()
    competitions = QUICK if options.quick else options.competitions
    begun = time.process_time()
    found: dict[str, dict[str, float]] = {}
    teachers = worlds()
    for name, world in (teachers | (curve() if options.curve else {})).items():
        found[name] = {
            "teacher": world.teacher,
            "rho_with_playing": expected(world, with_playing),
            "rho_with_order": expected(world, with_order),
            **shares(reports(world, competitions)),
        }
        print(name, *(f"  {key:24} {value:.3f}" for key, value in found[name].items()), sep="\n")
    true, noise = found["hears how well they play"], found["noise"]
    alone = {name: meets_seed(world, RULE_ALONE * competitions) for name, world in noises().items()}
    hears = teachers["hears how well they play"]
    by = {way: meets_seed(hears, competitions, advancing=way == "advancing") for way in ORDERS}
    print(f"seed's rule alone for one that hears, by how rounds are ordered: {by}")
    print(f"seed's rule alone on noise, {RULE_ALONE * competitions} competitions: {alone}")
    figures = {
        "power_seed_rule": true["opens_seed"],
        "power_strict_rule": true["opens_strict"],
        "power_seed_rule_by_order": found["follows the outcomes"]["opens_seed"],
        "power_strict_rule_by_order": found["follows the outcomes"]["opens_strict"],
        "false_positive_strict_rule": noise["meets_strict"],
        "false_positive_seed_rule": alone["noise"],
        "false_positive_seed_rule_alike": alone["noise, dimensions alike, sticking"],
        "meets_seed_rule_by_orders": by,
        "true_signal_voided": true["void"],
        "competitions": competitions,
        "processor_s": round(time.process_time() - begun, 1),
        "worlds": found,
    }
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
