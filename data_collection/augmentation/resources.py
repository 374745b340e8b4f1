"""The resource that makes twins: recipe, rooms and seed.

What belongs here: configuration, and how the chain looks to the stage that embeds twins. What does
not: the chain.
"""

import threading
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr

from data_collection.augmentation.chain import augment, draw, versions
from data_collection.augmentation.recipe import BUNDLED_RECIPE, read_recipe
from data_collection.augmentation.rooms import rooms_at
from data_collection.recordings.resources import ClipVariantResource
from data_collection.recordings.variants import ClipVariant


class AugmentationResource(ClipVariantResource):
    """By which recipe clips become their twins; another recipe, room or seed makes other twins."""

    recipe: str = Field(default=str(BUNDLED_RECIPE), description="path of the recipe's YAML")
    rooms: str | None = Field(
        default=None, description="folder of measured room responses as wav; null for made rooms"
    )
    seed: int = Field(default=0, description="of every draw, together with the segment's id")

    _variant: ClipVariant | None = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    def variant(self) -> ClipVariant:
        """How a clip becomes its twin; recipe and rooms are read once.

        Raises:
            SetupError: the recipe or a room cannot be used.
        """
        with self._lock:
            if self._variant is None:
                self._variant = self._read()
            return self._variant

    def _read(self) -> ClipVariant:
        recipe = read_recipe(Path(self.recipe))
        rooms = rooms_at(Path(self.rooms) if self.rooms else None)

        def describe(segment_id: str) -> dict[str, object]:
            return {
                "recipe": recipe.name,
                "recipe_version": recipe.version,
                "seed": self.seed,
                "parameters": draw(recipe, segment_id, self.seed, rooms).model_dump(mode="json"),
            }

        return ClipVariant(
            parameters={
                "recipe": recipe.name,
                "recipe_version": recipe.version,
                "recipe_sha256": recipe.sha256,
                "rooms_sha256": rooms.sha256,
                "seed": self.seed,
                **{f"{name}_version": version for name, version in versions().items()},
            },
            describe=describe,
            make=lambda segment_id, clip: augment(
                clip, draw(recipe, segment_id, self.seed, rooms), rooms
            ),
        )
