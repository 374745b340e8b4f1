"""Another version of a tier's clips, made on the way to the model and never stored.

What belongs here: what the embedding of such a version needs to know of how it is made. What does
not: making it (`augmentation`), and embedding it (`embedding`); so neither needs the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_collection.recordings.receipts import Fact

Clip = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClipVariant:
    """How a clip is changed before it is embedded.

    Attributes:
        parameters: all that the result depends on beside the clip and its segment; goes into the
            receipts' fingerprint.
        describe: fields of a twin's row that say what was done, by segment id: `recipe`,
            `recipe_version`, `seed` and `parameters`.
        make: the change: `(segment_id, samples [n] float32 at 24 kHz) -> samples [n]`, where every
            sound stays where it was. Raises `ItemError` for a clip that it cannot change.
    """

    parameters: Mapping[str, Fact]
    describe: Callable[[str], Mapping[str, object]]
    make: Callable[[str, Clip], Clip]
