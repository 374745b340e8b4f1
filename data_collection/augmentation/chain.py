"""From a recipe to a twin: what a segment draws, and the effects applied in their order.

What belongs here: drawing parameters and applying them. What does not: a recipe's form (`recipe`)
and the effects themselves. The same segment, recipe version, seed and rooms draw the same
parameters; the same clip, parameters and versions of numpy, scipy and soxr give the same bytes, in
every process, thread and order.
"""

from __future__ import annotations

from importlib.metadata import version

from data_collection.augmentation.draws import Draws
from data_collection.augmentation.effects import by_phone, in_room, through_equaliser, with_noise
from data_collection.augmentation.levels import Samples, checked, within
from data_collection.augmentation.parameters import (
    EffectParameters,
    Equaliser,
    Noise,
    Parameters,
    Phone,
    PitchShift,
    Room,
)
from data_collection.augmentation.pitch import pitch_shift
from data_collection.augmentation.recipe import Recipe
from data_collection.augmentation.rooms import Rooms

CODE_VERSION = "1"
"""Of what the effects do with their parameters."""


def versions() -> dict[str, str]:
    """All that a twin's bytes depend on beside its clip and parameters, for a receipt."""
    libraries = {name: version(name) for name in ("numpy", "scipy", "soxr")}
    return {"augmentation": CODE_VERSION, **libraries}


def draw(recipe: Recipe, segment_id: str, seed: int, rooms: Rooms) -> Parameters:
    """Draw a segment's parameters; no other segment's draw has a part in it.

    Each effect draws from a stream of its own, so that a changed range of one leaves the others'
    draws as they are.

    Raises:
        SetupError: the recipe wants a room and there are none.
    """
    parts = (recipe.name, recipe.version, seed, segment_id)
    applied = recipe.applied(Draws(*parts, "applied"))
    return Parameters(
        segment_id=segment_id,
        seed=seed,
        recipe=recipe.name,
        recipe_version=recipe.version,
        recipe_sha256=recipe.sha256,
        peak_limit_dbfs=recipe.peak_limit_dbfs,
        effects=tuple(
            effect.draw(Draws(*parts, effect.effect, place), rooms.names)
            for place, effect in enumerate(recipe.effects)
            if place in applied
        ),
    )


def augment(samples: Samples, parameters: Parameters, rooms: Rooms) -> Samples:
    """Make the twin of a clip: as long as it, and every sound where it was.

    Args:
        samples: `[n]`, float32, 24 kHz.
        parameters: what was drawn for it.
        rooms: the rooms it was drawn from; others may be among them.

    Returns:
        `[n]`, float32, finite, its peak within the limit.

    Raises:
        ItemError: the clip is shorter than the encoder hears, or not finite.
        SetupError: a room is not at hand.
    """
    twin = checked(samples)
    for effect in parameters.effects:
        twin = apply_effect(twin, effect, rooms)
    return within(twin, round(10 ** (parameters.peak_limit_dbfs / 20), 9))


def apply_effect(samples: Samples, effect: EffectParameters, rooms: Rooms) -> Samples:
    """Apply one effect.

    Raises:
        ItemError: as `augment`.
        SetupError: as `augment`.
    """
    match effect:
        case PitchShift():
            return pitch_shift(samples, effect.cents)
        case Equaliser():
            return through_equaliser(samples, effect)
        case Room():
            return in_room(samples, effect, rooms.response(effect.response))
        case Noise():
            return with_noise(samples, effect)
        case Phone():
            return by_phone(samples, effect)
