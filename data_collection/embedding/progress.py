"""How fast a run embeds, and how long it will take.

What belongs here: counting clips and the arithmetic over them. What does not: embedding (`stage`)
and when it is said (`batching`). What an earlier run has done counts neither as done nor as to do:
it would make every pace look better than it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Amount:
    """Some clips and how long they last together."""

    clips: int = 0
    audio_s: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.clips + other.clips, self.audio_s + other.audio_s)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.clips - other.clips, self.audio_s - other.audio_s)


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a run has come.

    Attributes:
        done: embedded by this run.
        to_do: still to be embedded by it.
        elapsed_s: seconds since it began to embed.
    """

    done: Amount
    to_do: Amount
    elapsed_s: float

    @property
    def clips_per_second(self) -> float:
        """Clips embedded a second; 0 before the first."""
        return self.done.clips / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def audio_hours_per_hour(self) -> float:
        """Hours of audio embedded an hour; 0 before the first clip."""
        return self.done.audio_s / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds until all is done, by audio since tails are short; None before the first clip."""
        pace = self.audio_hours_per_hour
        return max(0.0, self.to_do.audio_s) / pace if pace > 0 else None

    def __str__(self) -> str:
        so_far = f"{self.done.clips} of {self.done.clips + self.to_do.clips} clips"
        if self.remaining_s is None:
            return so_far
        left = timedelta(seconds=round(self.remaining_s))
        return (
            f"{so_far}, {self.clips_per_second:.2f} clips/s, "
            f"{self.audio_hours_per_hour:.1f} hours of audio an hour, {left} left"
        )


class EmbeddingProgress:
    """What a run has embedded and what it has still to, counted from several threads."""

    def __init__(
        self, planned: Mapping[str, Amount], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with what seems to be there to do.

        Args:
            planned: kept clips of each recording of the run.
            clock: seconds, never going back.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._to_do = dict(planned)
        self._done = Amount()
        self._began_at: float | None = None

    def began(self, recording_id: str, missing: Amount) -> None:
        """A recording is being embedded, of which an earlier run has left so much to do."""
        with self._lock:
            self._to_do[recording_id] = missing
            if self._began_at is None:
                self._began_at = self._clock()

    def embedded(self, recording_id: str, amount: Amount) -> None:
        """Some of a recording's clips are stored."""
        with self._lock:
            self._to_do[recording_id] = self._to_do.get(recording_id, Amount()) - amount
            self._done += amount

    def ended(self, recording_id: str) -> None:
        """Nothing more comes of a recording: it is done, was before, or cannot be."""
        with self._lock:
            self._to_do.pop(recording_id, None)

    def pace(self) -> Pace:
        """How far it has come now."""
        with self._lock:
            elapsed_s = 0.0 if self._began_at is None else self._clock() - self._began_at
            return Pace(self._done, sum(self._to_do.values(), Amount()), elapsed_s)
