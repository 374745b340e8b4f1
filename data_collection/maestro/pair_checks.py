"""What must be true of T3's pairs: they mean what they say.

What belongs here: checks on `pairs`. What does not: what is a fault (`balance`). Pairs are held
against the catalogue and the metadata as they are now, never against their own columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg
import polars as pl

from data_collection.asset_pages import cell, markdown_table
from data_collection.maestro.balance import (
    PairFigures,
    PairProblem,
    ProblemKind,
    pair_figures,
    pair_problems,
)
from data_collection.maestro.checks import (
    CANNOT_BE_READ,
    LONGEST_SENTENCE,
    share_of,
    unread,
)
from data_collection.maestro.pairs import Pairs, make_pairs
from data_collection.maestro.plots import positives_per_segment
from data_collection.maestro.resources import PairRulesResource
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.stored import (
    PAIRS,
    read_alignments,
    read_catalogue,
    read_embedded_segments,
    read_pairs,
)
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.tier import Tier

PAIRS_ASSET = PAIRS.removesuffix(".parquet")
NO_PAIRS = "no pairs, nothing to hold against the catalogue"
LEAST_ANCHOR_SHARE = 0.5
"""Of all segments; of the whole release, 0.84 have a positive."""
MOST_OF_ONE_PIECE = 0.25
"""Of a split's weight; of the whole release, no piece has more than 0.08."""
FEW_ANCHORS = 100
"""Below it, shares say nothing: that is five minutes of one piece in ten recordings."""

PAIRS_HOLD: Mapping[str, tuple[ProblemKind, str]] = {
    "no_pair_by_one_performer": (
        "performer",
        "Anchor and positive are by two people, both known, by the catalogue: otherwise the "
        "pianist is learnt instead of the music.",
    ),
    "no_pair_of_different_works": (
        "work",
        "The recordings of anchor and positive share a work by the catalogue.",
    ),
    "pairs_stay_within_a_split": (
        "split",
        "Anchor and positive are of one official split by the catalogue: otherwise what is tested "
        "is trained on. Only a warning where the rules ask for such pairs.",
    ),
    "pairs_fit_the_catalogue": (
        "table",
        "Each pair is of segments in the metadata, once, with the catalogue's recordings, "
        "performers, splits and works, places and shares from 0 to 1, weights that sum to 1 in a "
        "split, and negatives of that split that are other music for certain.",
    ),
}
"""What no pair may be against, and what the check says of it."""


def pair_checks(tier: Tier) -> list[dg.AssetChecksDefinition]:
    """Make the checks of T3's pairs."""
    return [_pairs_hold(tier), _segments_have_positives(tier)]


def _pairs_hold(tier: Tier) -> dg.AssetChecksDefinition:
    """One look at the pairs for all four: reading the metadata takes longer than judging them."""

    @dg.multi_asset_check(
        name="pairs_hold",
        specs=[
            dg.AssetCheckSpec(name, asset=[*tier.key_prefix, "pairs"], description=description)
            for name, (_, description) in PAIRS_HOLD.items()
        ],
    )
    def pairs_hold(
        store: StoreResource, pair_rules: PairRulesResource
    ) -> Iterator[dg.AssetCheckResult]:
        opened = store.open()
        try:
            pairs = read_pairs(opened)
            problems = pair_problems(pairs, read_catalogue(opened), read_embedded_segments(opened))
        except CANNOT_BE_READ as error:
            yield from (unread(error, name) for name in PAIRS_HOLD)
            return
        across_is_meant = pair_rules.rules().across_splits
        for name, (kind, _) in PAIRS_HOLD.items():
            is_meant = across_is_meant and kind == "split"
            # A pair of clips that nobody knows may have any fault.
            wrong = [problem for problem in problems if problem.kind in (kind, "clip")]
            yield _judged(name, wrong, pairs.height, is_meant=is_meant)

    return pairs_hold


def _judged(
    name: str, wrong: Sequence[PairProblem], pairs: int, *, is_meant: bool
) -> dg.AssetCheckResult:
    description = None if pairs else NO_PAIRS
    if wrong:
        said = f"materialize {PAIRS_ASSET} again: {'; '.join(map(str, wrong))}"
        description = cell(said, LONGEST_SENTENCE)
    return dg.AssetCheckResult(
        passed=not wrong,
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN if is_meant else dg.AssetCheckSeverity.ERROR,
        description=description,
        metadata={
            "pairs": float(pairs),
            "faults": float(sum(problem.pairs for problem in wrong)),
            "problems": markdown_table(
                ("pairs", "anchor", "positive"),
                [(problem.what, *pair) for problem in wrong for pair in problem.examples],
            ),
        },
    )


def _segments_have_positives(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "pairs"],
        name="segments_have_positives",
        description=(
            "Enough segments have a positive, in each split that has any, no piece outweighs the "
            "others, and the table is what catalogue, segments, alignments and rules give now. A "
            "warning: fewer pairs are no wrong ones."
        ),
    )
    def segments_have_positives(
        store: StoreResource, pair_rules: PairRulesResource
    ) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            pairs, recordings = read_pairs(opened), read_catalogue(opened)
            segments = read_embedded_segments(opened)
            now = make_pairs(
                recordings, segments, pair_rules.rules(), time_maps=read_alignments(opened)
            )
        except CANNOT_BE_READ as error:
            return unread(error)
        figures = pair_figures(pairs, now.facts.clips)
        oddities = [
            *_thin_coverage(figures, _splits_of(recordings, segments)),
            *_differs_from(now, pairs),
        ]
        covered = f"{figures.anchors} of {now.facts.clips} segments have a positive"
        without = sorted(now.facts.without_positive.items())
        return dg.AssetCheckResult(
            passed=not oddities,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join([covered, *oddities]),
            metadata={
                "pairs": float(figures.pairs),
                "anchors": float(figures.anchors),
                "anchor_share": figures.anchor_share,
                **{f"pairs_{split}": float(n) for split, n in figures.pairs_by_split.items()},
                **{f"anchors_{split}": float(n) for split, n in figures.anchors_by_split.items()},
                "largest_piece_rows": figures.largest_piece_rows,
                "largest_piece_weight": figures.largest_piece_weight,
                "far_stretch_share": figures.far_stretch_share,
                "between_years_share": share_of(figures.between_years, figures.pairs),
                **{f"without_{reason}": float(count) for reason, count in without},
                "without_positive": markdown_table(("reason", "segments"), [*without]),
                "plot": positives_per_segment(pairs, recordings, segments),
            },
        )

    return segments_have_positives


def _splits_of(recordings: Sequence[MaestroRecording], segments: pl.DataFrame) -> set[str]:
    embedded = set(segments["recording_id"])
    return {r.metadata.split for r in recordings if r.metadata.recording_id in embedded}


def _thin_coverage(figures: PairFigures, splits: Iterable[str]) -> list[str]:
    """What is odd about how the pairs are spread, in words."""
    oddities = [
        f"{split} has segments and no pair"
        for split in sorted(splits)
        if split not in figures.anchors_by_split
    ]
    if figures.anchor_share < LEAST_ANCHOR_SHARE:
        oddities.append(f"less than {LEAST_ANCHOR_SHARE:.0%} of them")
    if figures.largest_piece_weight > MOST_OF_ONE_PIECE:
        share = f"{figures.largest_piece_weight:.0%}"
        oddities.append(f"one piece has {share} of the weight of its split")
    if figures.anchors < FEW_ANCHORS:
        oddities.append("so few that shares say little")
    return oddities


def _differs_from(now: Pairs, pairs: pl.DataFrame) -> list[str]:
    """Whether the stored table is of an earlier catalogue, other segments or other rules."""
    sides = ["anchor", "positive"]
    gone = pairs.join(now.table, on=sides, how="anti").height
    new = now.table.join(pairs, on=sides, how="anti").height
    if not gone and not new:
        return []
    return [
        f"{gone} pairs would not be made now and {new} are missing: materialize {PAIRS_ASSET} again"
    ]
