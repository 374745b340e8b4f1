"""T3's Dagster resource: which pairs are made.

What belongs here: configuration with a description per field. What does not: what each means for
training, which is in `pairs`.
"""

import dagster as dg
from pydantic import Field

from data_collection.maestro.recording_pairs import PairRules

DEFAULTS = PairRules()


class PairRulesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Which pairs of clips are made of MAESTRO."""

    seed: int = Field(default=DEFAULTS.seed, description="other seeds draw other positives")
    positives_per_anchor: int = Field(
        default=DEFAULTS.positives_per_anchor, ge=1, description="at most so many for an anchor"
    )
    negatives_per_pair: int = Field(
        default=DEFAULTS.negatives_per_pair,
        ge=0,
        description="works to draw negatives from: so many by the composer, and by others",
    )
    min_shared_music: float = Field(
        default=DEFAULTS.min_shared_music,
        ge=0,
        le=1,
        description="least share of the anchor's music that its positive plays too",
    )
    min_work_confidence: float = Field(
        default=DEFAULTS.min_work_confidence,
        ge=0,
        le=1,
        description="less certain works are shared with nobody",
    )
    min_performer_confidence: float = Field(
        default=DEFAULTS.min_performer_confidence,
        ge=0,
        le=1,
        description="recordings of less certain performers are in no pair",
    )
    min_alignment_confidence: float = Field(
        default=DEFAULTS.min_alignment_confidence,
        ge=0,
        le=1,
        description="where recordings are aligned, clips below it are in no pair",
    )
    across_splits: bool = Field(
        default=DEFAULTS.across_splits, description="also pair recordings of different splits"
    )
    unplaced: bool = Field(
        default=DEFAULTS.unplaced,
        description="also pair whole recordings whose works' places are not known",
    )
    piece_balance: float = Field(
        default=DEFAULTS.piece_balance,
        ge=0,
        le=1,
        description="1 weighs all anchors alike, 0 all pieces alike",
    )

    def rules(self) -> PairRules:
        """The rules as plain data."""
        return PairRules(**{name: getattr(self, name) for name in PairRulesResource.model_fields})
