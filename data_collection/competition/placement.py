"""Places from stages and prizes.

What belongs here: the arithmetic of places. What does not: reading results (`roster`, `sources`)
and choosing between sources (`results`).
"""

from __future__ import annotations

from collections.abc import Sequence

from data_collection.competition.roster import Competitor


def placements(competitors: Sequence[Competitor], round_ids: Sequence[str]) -> dict[str, int]:
    """Give each performer a place, 1 the best; equal places are ties.

    A prize's own number is the place: two second prizes are both 2 and a third prize after them is
    3, as the jury announced it. Those without a prize share one place a stage: finalists one below
    the last prize, then each earlier stage one below that. A stage that nobody left in takes no
    place.

    Args:
        competitors: everybody who took part.
        round_ids: ids of the rounds, in order.

    Returns:
        Place by performer.
    """
    lowest_prize = max((c.prize for c in competitors if c.prize is not None), default=0)
    unplaced_stages = {c.reached_stage for c in competitors if c.prize is None}
    stage_place: dict[str, int] = {}
    for round_id in reversed(round_ids):
        if round_id in unplaced_stages:
            stage_place[round_id] = lowest_prize + 1 + len(stage_place)
    return {
        c.performer: c.prize if c.prize is not None else stage_place[c.reached_stage]
        for c in competitors
    }


def prize_problems(prizes: Sequence[int]) -> list[str]:
    """What is wrong with a jury's prize numbers.

    Two ways of counting are in use after a tie: the next number (1, 2, 2, 3) and the next free
    place (1, 2, 2, 4). Anything else has a hole, which is a prize that the roster lacks.

    Args:
        prizes: the numbers awarded, in any order.

    Returns:
        A sentence for each hole; empty where the numbers are right.
    """
    ordered = sorted(prizes)
    problems = []
    for index, prize in enumerate(ordered):
        before = ordered[index - 1] if index else 0
        if prize not in (before, before + 1, index + 1):
            problems.append(f"prize {prize} follows prize {before}: one between them is missing")
    return problems
