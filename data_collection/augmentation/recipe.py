"""A recipe: the YAML file that says which effects a twin may have, how often, and how strong.

What belongs here: the file's form, its validation, and drawing one effect's parameters from its
ranges. What does not: which draws a segment gets (`chain`) and what an effect does (`effects`).
A recipe whose draws would change gets a new version: the version is part of every draw.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from data_collection.augmentation.draws import Draws, digest
from data_collection.augmentation.parameters import (
    HIGHEST_HZ,
    LOWEST_HZ,
    Band,
    BandShape,
    Equaliser,
    Noise,
    NoiseKind,
    Phone,
    PitchShift,
    Room,
)
from data_collection.recordings.errors import SetupError

BUNDLED_RECIPE = Path(__file__).parent / "recipes" / "default.yaml"


class RecipeError(SetupError):
    """A recipe cannot be used; the message names the file, the effect and the field."""

    def __init__(self, detail: str) -> None:
        super().__init__("recipe_unusable", detail)


def _in_order(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError(f"the range begins at {span[0]:g} and ends below, at {span[1]:g}")
    return span


def _span(low: float, high: float) -> AfterValidator:
    def inside(span: tuple[float, float]) -> tuple[float, float]:
        if not low <= span[0] <= span[1] <= high:
            raise ValueError(f"{span[0]:g} to {span[1]:g} is not within {low:g} to {high:g}")
        return span

    return AfterValidator(inside)


Span = Annotated[tuple[float, float], AfterValidator(_in_order)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Effect(_Form):
    probability: float = Field(ge=0, le=1)


class PitchShiftRecipe(_Effect):
    """How far the pitch may move."""

    effect: Literal["pitch_shift"]
    cents: Annotated[Span, _span(-200, 200)]

    def draw(self, draws: Draws, room_names: tuple[str, ...]) -> PitchShift:
        """Draw its parameters."""
        return PitchShift(cents=draws.between(*self.cents, decimals=2))


class BandRecipe(_Form):
    """Where one band of the equaliser may lie, and what it may do."""

    shape: BandShape
    frequency_hz: Annotated[Span, _span(LOWEST_HZ, HIGHEST_HZ)]
    gain_db: Annotated[Span, _span(-24, 24)]
    q: Annotated[Span, _span(0.1, 10)]

    def draw(self, draws: Draws) -> Band:
        """Draw its parameters; frequencies evenly over octaves."""
        return Band(
            shape=self.shape,
            frequency_hz=_over_octaves(draws, self.frequency_hz),
            gain_db=draws.between(*self.gain_db, decimals=2),
            q=draws.between(*self.q, decimals=2),
        )


class EqualiserRecipe(_Effect):
    """Bands of the equaliser; all of them are used."""

    effect: Literal["equaliser"]
    bands: tuple[BandRecipe, ...] = Field(min_length=1)

    def draw(self, draws: Draws, room_names: tuple[str, ...]) -> Equaliser:
        """Draw its parameters."""
        return Equaliser(bands=tuple(band.draw(draws) for band in self.bands))


class RoomRecipe(_Effect):
    """How much of a room's tail may be heard."""

    effect: Literal["room"]
    tail_gain_db: Annotated[Span, _span(-40, 12)]

    def draw(self, draws: Draws, room_names: tuple[str, ...]) -> Room:
        """Draw its parameters.

        The room is the one whose name ranks highest for this draw: a room that is added takes its
        share of the segments and leaves the others where they were.
        """
        if not room_names:
            raise SetupError("no_rooms", "the recipe wants rooms, and there are none to draw from")
        place = draws.integer()
        return Room(
            response=max(room_names, key=lambda name: digest(place, name)),
            tail_gain_db=draws.between(*self.tail_gain_db, decimals=2),
        )


class NoiseRecipe(_Effect):
    """Which noises, as weights, and how loud."""

    effect: Literal["noise"]
    kinds: dict[NoiseKind, Annotated[float, Field(ge=0)]] = Field(min_length=1)
    snr_db: Annotated[Span, _span(-20, 100)]

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not sum(self.kinds.values()) > 0:
            raise ValueError("kinds: no kind has a weight above 0")
        return self

    def draw(self, draws: Draws, room_names: tuple[str, ...]) -> Noise:
        """Draw its parameters."""
        kinds = sorted(self.kinds)
        return Noise(
            kind=draws.one_of(kinds, [self.kinds[kind] for kind in kinds]),
            snr_db=draws.between(*self.snr_db, decimals=2),
            noise_seed=draws.integer(),
            mains_hz=draws.one_of((50, 60), (1, 1)),
        )


class PhoneRecipe(_Effect):
    """How narrow the band may be and how hard the compressor."""

    effect: Literal["phone"]
    low_cut_hz: Annotated[Span, _span(50, 2_000)]
    high_cut_hz: Annotated[Span, _span(2_000, HIGHEST_HZ)]
    threshold_db: Annotated[Span, _span(-60, 0)]
    ratios: tuple[Literal[2, 4], ...] = Field(min_length=1)
    attack_ms: Annotated[Span, _span(0.1, 1_000)]
    release_ms: Annotated[Span, _span(0.1, 5_000)]

    def draw(self, draws: Draws, room_names: tuple[str, ...]) -> Phone:
        """Draw its parameters."""
        return Phone(
            low_cut_hz=_over_octaves(draws, self.low_cut_hz),
            high_cut_hz=_over_octaves(draws, self.high_cut_hz),
            threshold_db=draws.between(*self.threshold_db, decimals=2),
            ratio=draws.one_of(self.ratios, [1.0] * len(self.ratios)),
            attack_ms=draws.between(*self.attack_ms, decimals=2),
            release_ms=draws.between(*self.release_ms, decimals=2),
        )


EffectRecipe = Annotated[
    PitchShiftRecipe | EqualiserRecipe | RoomRecipe | NoiseRecipe | PhoneRecipe,
    Field(discriminator="effect"),
]


class Recipe(_Form):
    """Effects in the order in which they are applied."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    peak_limit_dbfs: float = Field(ge=-20, le=0)
    effects: tuple[EffectRecipe, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _some_effect(self) -> Self:
        if not any(effect.probability > 0 for effect in self.effects):
            raise ValueError("effects: none has a probability above 0; every twin would be clean")
        return self

    @property
    def sha256(self) -> str:
        """Hash of what the recipe says, whatever its layout and comments."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def applied(self, draws: Draws) -> frozenset[int]:
        """Draw which effects are applied, by their place.

        Where chance leaves none it is the one that was nearest to being applied: a twin that equals
        its clip teaches nothing.
        """
        missed_by = [draws.share() - effect.probability for effect in self.effects]
        possible = [place for place, effect in enumerate(self.effects) if effect.probability > 0]
        hit = frozenset(place for place in possible if missed_by[place] < 0)
        return hit or frozenset({min(possible, key=lambda place: missed_by[place])})


def _over_octaves(draws: Draws, span: tuple[float, float]) -> float:
    low, high = span
    drawn = low * math.pow(high / low, draws.share())
    return min(high, max(low, round(drawn, 1)))


def read_recipe(path: Path = BUNDLED_RECIPE) -> Recipe:
    """Read and validate a recipe.

    Raises:
        RecipeError: the file is missing, is not YAML, or does not have a recipe's form.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"recipe {path}: cannot be read ({error.strerror}); the bundled one is {BUNDLED_RECIPE}"
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"recipe {path}: not UTF-8 ({error})") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path}: expected fields such as `name:` and `effects:`")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{_place(item['loc'])}: {item['msg']}" for item in error.errors(include_url=False)
        )
        raise RecipeError(f"recipe {path}: {problems}") from error


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the file: `effects[2] noise.snr_db`, counted from 1 as a reader does."""
    if not location:
        return "file"
    if location[0] != "effects" or len(location) < 2:
        return ".".join(str(part) for part in location)
    inner = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in location[3:]]
    kind = f" {location[2]}" if len(location) > 2 else ""
    return f"effects[{int(location[1]) + 1}]{kind}{''.join(inner)}"
