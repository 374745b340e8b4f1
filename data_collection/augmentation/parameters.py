"""What was drawn for one twin: all that its bytes depend on, beside the clip and the libraries.

What belongs here: the form of each effect's parameters, and of a twin's as JSON. What does not: the
ranges that they are drawn from (`recipe`), drawing them (`chain`), and what they do (`effects`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NoiseKind = Literal["white", "pink", "hiss", "room_tone", "hum"]
BandShape = Literal["low_shelf", "peak", "high_shelf"]

LOWEST_HZ = 20.0
HIGHEST_HZ = 11_500.0


class Drawn(BaseModel):
    """Values that do not change, written as JSON numbers that read back to the bit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PitchShift(Drawn):
    """Pitch moved, time not."""

    effect: Literal["pitch_shift"] = "pitch_shift"
    cents: float = Field(ge=-200, le=200)


class Band(Drawn):
    """One band of an equaliser, as in the Audio EQ Cookbook."""

    shape: BandShape
    frequency_hz: float = Field(ge=LOWEST_HZ, le=HIGHEST_HZ)
    gain_db: float = Field(ge=-24, le=24)
    q: float = Field(ge=0.1, le=10)


class Equaliser(Drawn):
    """Bands one after the other; the clip's power stays."""

    effect: Literal["equaliser"] = "equaliser"
    bands: tuple[Band, ...] = Field(min_length=1)


class Room(Drawn):
    """A room's response; the clip's power stays."""

    effect: Literal["room"] = "room"
    response: str = Field(min_length=1, description="its name among the rooms")
    tail_gain_db: float = Field(ge=-40, le=12, description="of all that follows the direct sound")


class Noise(Drawn):
    """Noise added to the clip."""

    effect: Literal["noise"] = "noise"
    kind: NoiseKind
    snr_db: float = Field(ge=-20, le=100, description="power of the clip over that of the noise")
    noise_seed: int = Field(ge=0, lt=2**63)
    mains_hz: Literal[50, 60] = 50


class Phone(Drawn):
    """A narrow band and a compressor; the clip's power stays."""

    effect: Literal["phone"] = "phone"
    low_cut_hz: float = Field(ge=50, le=2_000)
    high_cut_hz: float = Field(ge=2_000, le=HIGHEST_HZ)
    threshold_db: float = Field(
        ge=-60, le=0, description="above which it compresses, over the clip's root mean square"
    )
    ratio: Literal[2, 4]
    attack_ms: float = Field(gt=0, le=1_000)
    release_ms: float = Field(gt=0, le=5_000)


EffectParameters = Annotated[
    PitchShift | Equaliser | Room | Noise | Phone, Field(discriminator="effect")
]


class Parameters(Drawn):
    """All that was drawn for one twin, in the order in which it is applied.

    `model_dump_json` writes it and `model_validate_json` reads it back, to the bit.
    """

    segment_id: str = Field(min_length=1)
    seed: int
    recipe: str
    recipe_version: int
    recipe_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    peak_limit_dbfs: float = Field(
        le=0, description="a twin whose peak passes it is scaled down to it, as a whole"
    )
    effects: tuple[EffectParameters, ...] = Field(min_length=1)
