"""The packet: all that the teacher is shown of a clip, blind, as the same bytes every time.

What belongs here: which figures are shown and against whom they are ranked. What does not:
measuring (`evidence`), and finding what should not be in a packet (`packet_leaks`). A packet holds
names of figures and numbers and nothing else; nothing of a recording's page, nor a clip's place or
length, can reach it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from data_collection.teacher.evidence_figures import CURVES, FIGURES, Curve, Figure

MIN_OTHERS = 8
PERCENTILE_STEP = 5
"""Coarse, so that neither the size of a group shows nor one more recording changes every packet."""
NOT_SHOWN = frozenset({"loudness_lufs"})
"""The gain of a recording tells the session and the round, and little of the playing."""
SHOWN = tuple(figure for figure in FIGURES if figure.name not in NOT_SHOWN)

ComparedWith = Literal["piece", "round", "nobody"]
COMPARED_WITH: Mapping[ComparedWith, str] = {
    "piece": "eight or more other performers in the same piece",
    "round": "eight or more other performers, whatever they play",
    "nobody": "nobody: fewer than eight others",
}
GROUP_COLUMNS = ("segment_id", "performer_group", "piece", "round")

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Packet:
    """What is asked about one clip.

    Attributes:
        segment_id: whose it is; never part of the text.
        text: compact JSON: `compared_with`, `figures` as name to [value, percentile], `curves`.
        compared_with: whom the percentiles are among.
    """

    segment_id: str
    text: str
    compared_with: ComparedWith


def packets(evidence: pl.DataFrame, groups: pl.DataFrame) -> list[Packet]:
    """Write the packet of every clip.

    A percentile is the share of other performers' clips with a lower value, each performer
    counting once however many clips there are, equal values by half, to the nearest 5. A
    performer's own clips are left out. With fewer than eight others in the piece the whole round is
    taken, with fewer in that nobody; the packet says which. A figure that fewer than eight of them
    have gets none.

    Args:
        evidence: a row a clip, columns as `EVIDENCE_SCHEMA`.
        groups: `segment_id`, `performer_group` (who is one person), `piece` and `round`, all text;
            a clip without a piece is compared within its round only, one without a round with
            nobody. A tier without rounds says the same for all. Clips without evidence may be
            in it.

    Returns:
        The packets, in the order of `evidence`; the same text for the same rows in any order.

    Raises:
        ValueError: columns are missing, a clip is there twice, in no group, or of nobody.
    """
    joined = _joined(evidence, groups)
    performers = _codes(joined["performer_group"])
    in_both = pl.concat_str("piece", "round", separator="\x00")
    by_piece = _codes(joined.select(in_both).to_series())
    by_round = _codes(joined["round"])
    values = np.array([joined[figure.name].to_numpy() for figure in SHOWN], np.float64)
    in_piece, piece_others = _percentiles(values, performers, by_piece)
    in_round, round_others = _percentiles(values, performers, by_round)
    made = []
    for at, row in enumerate(joined.iter_rows(named=True)):
        basis: ComparedWith = "nobody"
        ranks: Sequence[float] = [math.nan] * len(SHOWN)
        if piece_others[at] >= MIN_OTHERS:
            basis, ranks = "piece", in_piece[:, at].tolist()
        elif round_others[at] >= MIN_OTHERS:
            basis, ranks = "round", in_round[:, at].tolist()
        made.append(Packet(row["segment_id"], _text(row, ranks, basis), basis))
    return made


def _joined(evidence: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    wanted = ["segment_id", *(figure.name for figure in SHOWN), *(curve.name for curve in CURVES)]
    for table, columns in ((evidence, wanted), (groups, GROUP_COLUMNS)):
        if missing := [column for column in columns if column not in table.columns]:
            raise ValueError(f"columns are missing: {', '.join(missing)}")
        twice = table.filter(pl.col("segment_id").is_duplicated())["segment_id"]
        if twice.len():
            raise ValueError(f"{twice[0]} is there twice")
    joined = evidence.select(wanted).join(
        groups.select(GROUP_COLUMNS), on="segment_id", how="left", maintain_order="left"
    )
    unknown = joined.filter(pl.col("performer_group").is_null())["segment_id"]
    if unknown.len():
        raise ValueError(
            f"{unknown[0]} and {unknown.len() - 1} more: nobody is said to play, so nobody can be "
            "told apart; name the performer, or the recording where that is not known"
        )
    return joined


def _codes(keys: pl.Series) -> Codes:
    """A number for each different key, -1 for none."""
    return keys.rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()


def _percentiles(values: Values, performers: Codes, groups: Codes) -> tuple[Values, Codes]:
    """Rank `[figures, clips]` within each group; and how many other performers each clip has."""
    ranked = np.full(values.shape, math.nan)
    others = np.zeros(groups.size, np.int64)
    for group in np.unique(groups[groups >= 0]):
        members = np.flatnonzero(groups == group)
        who = np.unique(performers[members], return_inverse=True)[1]
        others[members] = who.max()
        if who.max() < MIN_OTHERS:
            continue
        for figure in range(values.shape[0]):
            ranked[figure, members] = _among_others(values[figure, members], who)
    return ranked, others


def _among_others(values: Values, who: Codes) -> Values:
    """Percentile of each value among those of others; NaN where fewer than eight have one."""
    ranked = np.full(values.size, math.nan)
    known = np.flatnonzero(np.isfinite(values))
    people, person, clips = np.unique(who[known], return_inverse=True, return_counts=True)
    if people.size <= MIN_OTHERS:
        return ranked
    of_all = _share_below(values[known], values[known], 1 / clips[person])
    by_person = np.split(np.argsort(person, kind="stable"), np.cumsum(clips)[:-1])
    for own in by_person:
        mine = values[known[own]]
        of_own = _share_below(mine, mine, np.full(own.size, 1 / own.size))
        ranked[known[own]] = (of_all[own] - of_own) / (people.size - 1) * 100
    return ranked


def _share_below(values: Values, among: Values, weights: Values) -> Values:
    """Weight of those below each value, equal ones by half."""
    order = np.argsort(among, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    below = total[np.searchsorted(among[order], values, side="left")]
    up_to = total[np.searchsorted(among[order], values, side="right")]
    share: Values = (below + up_to) / 2
    return share


def _text(row: Mapping[str, object], ranks: Sequence[float], basis: ComparedWith) -> str:
    figures = {
        figure.name: [_number(row[figure.name], figure), _percentile(rank)]
        for figure, rank in zip(SHOWN, ranks, strict=True)
    }
    curves = {curve.name: _points(row[curve.name], curve) for curve in CURVES}
    content = {"compared_with": COMPARED_WITH[basis], "figures": figures, "curves": curves}
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _number(value: object, shown: Figure | Curve) -> float | int | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    rounded = round(float(value), shown.decimals) + 0.0
    return int(rounded) if shown.decimals == 0 else rounded


def _points(values: object, curve: Curve) -> list[float | int | None] | None:
    return [_number(value, curve) for value in values] if isinstance(values, list) else None


def _percentile(rank: float) -> int | None:
    # Sums in another order differ in the last digit: that must not decide between two steps.
    if math.isnan(rank):
        return None
    return math.floor(round(rank / PERCENTILE_STEP, 6) + 0.5) * PERCENTILE_STEP
