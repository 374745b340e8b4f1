"""What is measured in a clip for the teacher: its figures, their units, what each can tell.

What belongs here: the names, and the form of a clip's evidence. What does not: how a figure is
measured (`evidence_features`), and what is shown of it to whom (`packets`). A figure whose way of
measuring changes gets a new `EVIDENCE_VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

EVIDENCE_VERSION = "1"
CURVE_POINTS = 15

Trust = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a clip.

    Attributes:
        name: a field of `Evidence`, its unit included.
        decimals: how many a reader is shown; chosen so that no value looks like a year.
        trust: how far it follows the playing, as measured (docs/decisions/evidence.md).
        meaning: what it is and what else moves it.
    """

    name: str
    decimals: int
    trust: Trust
    meaning: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One figure over the clip, in `CURVE_POINTS` steps from its beginning to its end."""

    name: str
    decimals: int
    meaning: str


FIGURES = (
    Figure(
        "loudness_lufs",
        1,
        "low",
        "loudness of the whole clip (BS.1770). Mostly the gain of the recording, not the playing",
    ),
    Figure(
        "loudness_range_lu",
        1,
        "high",
        "distance between soft and loud passages: 10th to 95th percentile of the loudness of 3 s "
        "windows",
    ),
    Figure(
        "accent_spread_db",
        1,
        "medium",
        "how much notes differ in strength from those around them. Accents and shaping, or uneven "
        "touch",
    ),
    Figure("crest_db", 1, "low", "peak above the root mean square level; small if compressed"),
    Figure(
        "swells_per_min",
        1,
        "low",
        "how often the loudness rises and falls again by 3 dB or more within some seconds",
    ),
    Figure(
        "onsets_per_s",
        1,
        "medium",
        "note beginnings that were heard, chords counting once. Depends on the music first of all",
    ),
    Figure(
        "pulse_per_min",
        0,
        "low",
        "the regular pulse that fits the onsets best. It may be half, double or a third of the "
        "beat that a musician would count",
    ),
    Figure("pulse_clarity", 2, "medium", "0 to 1: how regular the onsets are at that pulse"),
    Figure(
        "tempo_spread_percent",
        1,
        "medium",
        "how much the pulse moves over the clip (standard deviation). Changes within less than 8 s "
        "are smoothed away",
    ),
    Figure(
        "gap_unevenness_percent",
        1,
        "medium",
        "among runs of nearly equal gaps between onsets: how far a gap is from those around it",
    ),
    Figure("gap_unevenness_ms", 0, "medium", "the same in milliseconds; below 8 it is measuring"),
    Figure(
        "pauses_per_min",
        1,
        "low",
        "gaps between onsets of more than twice the gap that is usual around them",
    ),
    Figure(
        "attack_db",
        1,
        "medium",
        "how far the level jumps at a typical onset. Less with a soft touch, with pedal, in a "
        "reverberant hall",
    ),
    Figure(
        "gap_drop_db",
        1,
        "low",
        "how far the level falls after an onset before the next one comes. Large when detached, "
        "small when connected, pedalled or fast",
    ),
    Figure(
        "decay_db_per_s",
        1,
        "medium",
        "how fast the sound dies between onsets that are at least 0.25 s apart",
    ),
    Figure(
        "carry_over_db",
        1,
        "medium",
        "what becomes of the partials of earlier notes when a new one begins: near 0 they ring on "
        "(pedal, held keys, or the hall), far below they are damped",
    ),
    Figure(
        "centroid_khz", 2, "medium", "centre of the spectrum. Brightness of touch, piano and mikes"
    ),
    Figure("bright_percent", 2, "medium", "share of the energy above 2 kHz"),
    Figure("low_percent", 1, "high", "share of the energy below middle C (262 Hz)"),
    Figure("middle_percent", 1, "high", "share of the energy in the two octaves above middle C"),
    Figure("high_percent", 1, "high", "share of the energy above those; partials count as well"),
)
CURVES = (
    Curve("loudness_curve_lu", 1, "loudness against that of the whole clip"),
    Curve("onset_rate_curve_per_s", 1, "onsets a second around that moment (about 2 s)"),
    Curve("pulse_curve_percent", 0, "pulse around that moment (8 s); 100 is the clip's median"),
    Curve("centroid_curve_khz", 2, "centre of the spectrum"),
)

Points = Annotated[
    tuple[float | None, ...], Field(min_length=CURVE_POINTS, max_length=CURVE_POINTS)
]
Percent = Annotated[float, Field(ge=0, le=100)]


class Evidence(BaseModel):
    """The figures and curves of one clip, described in `FIGURES` and `CURVES`.

    None is what cannot be known of this clip: of the pulse of a single note, or the loudness of
    silence. Within a curve it is a moment of which that holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    loudness_lufs: float | None
    loudness_range_lu: float | None = Field(ge=0)
    accent_spread_db: float | None = Field(ge=0)
    crest_db: float | None = Field(ge=0)
    swells_per_min: float | None = Field(ge=0)
    onsets_per_s: float | None = Field(ge=0)
    pulse_per_min: float | None = Field(gt=0)
    pulse_clarity: float | None = Field(ge=0, le=1)
    tempo_spread_percent: float | None = Field(ge=0)
    gap_unevenness_percent: float | None = Field(ge=0)
    gap_unevenness_ms: float | None = Field(ge=0)
    pauses_per_min: float | None = Field(ge=0)
    attack_db: float | None
    gap_drop_db: float | None
    decay_db_per_s: float | None
    carry_over_db: float | None
    centroid_khz: float | None = Field(ge=0)
    bright_percent: Percent | None
    low_percent: Percent | None
    middle_percent: Percent | None
    high_percent: Percent | None
    loudness_curve_lu: Points | None
    onset_rate_curve_per_s: Points | None
    pulse_curve_percent: Points | None
    centroid_curve_khz: Points | None


EVIDENCE_SCHEMA: dict[str, pl.DataType] = {
    "segment_id": pl.String(),
    **{figure.name: pl.Float64() for figure in FIGURES},
    **{curve.name: pl.List(pl.Float64()) for curve in CURVES},
}
EVIDENCE_COLUMNS = {
    "segment_id": "`<recording_id>_seg<index:04d>`",
    **{figure.name: figure.meaning for figure in FIGURES},
    **{curve.name: f"{curve.meaning}; {CURVE_POINTS} points" for curve in CURVES},
}
