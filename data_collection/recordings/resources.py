"""The river's Dagster resources: data root, clip grid, what is heard, the fetcher's manners.

What belongs here: configuration with a description per field. What does not: behaviour, which is in
`store`, `segments`, `sounds` and `fetch`.
"""

from abc import ABC, abstractmethod

import dagster as dg
from pydantic import Field, PrivateAttr

from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.segments import ClipGrid
from data_collection.recordings.sounds import SoundScorer, SoundThresholds
from data_collection.recordings.store import Store
from data_collection.recordings.variants import ClipVariant

DEFAULT_THRESHOLDS = SoundThresholds()


class StoreResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where artifacts lie."""

    root: str = Field(description="folder or fsspec URL")
    embeddings_root: str | None = Field(
        default=None, description="where `*muq_embeddings/` lie, if elsewhere"
    )

    def open(self) -> Store:
        """The store; nothing is created before the first write."""
        return Store.at(self.root, self.embeddings_root)


class ClipGridResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How recordings are cut; another grid makes other embeddings."""

    clip_s: float = Field(default=30.0, gt=0.1, description="length of a clip, in seconds")
    min_tail_s: float = Field(default=5.0, ge=0.1, description="a shorter last clip is filtered")
    silence_dbfs: float = Field(
        default=-60.0, lt=0, description="a 0.4 s window below this level is silent"
    )
    max_silent_share: float = Field(
        default=0.9, ge=0, le=1, description="a clip with more silent windows is filtered"
    )

    def grid(self) -> ClipGrid:
        """The grid as plain data."""
        return ClipGrid(self.clip_s, self.min_tail_s, self.silence_dbfs, self.max_silent_share)


class SoundsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How much of a clip may be no music and must be a piano alone; null never filters."""

    max_applause: float | None = Field(
        default=DEFAULT_THRESHOLDS.applause, description="largest share of applause"
    )
    max_speech: float | None = Field(
        default=DEFAULT_THRESHOLDS.speech, description="largest share of speech"
    )
    max_silence: float | None = Field(
        default=DEFAULT_THRESHOLDS.silence, description="largest share of hall and silence"
    )
    max_orchestra: float | None = Field(
        default=DEFAULT_THRESHOLDS.orchestra,
        description="largest share of orchestra; by default it is only marked",
    )
    max_not_music: float | None = Field(
        default=DEFAULT_THRESHOLDS.not_music,
        description="largest share of applause, speech and silence together",
    )
    min_solo_piano: float | None = Field(
        default=DEFAULT_THRESHOLDS.min_solo_piano,
        description="smallest share of the seconds with music that must be a piano alone; null "
        "for each tier's own, 0 for any",
    )

    _scorer: SoundScorer = PrivateAttr(default_factory=SoundScorer)

    def scorer(self) -> SoundScorer:
        """What hears them; its models are read once, when the first clip comes."""
        return self._scorer

    def thresholds(self, usual_min_solo_piano: float | None = None) -> SoundThresholds:
        """The thresholds as plain data.

        Args:
            usual_min_solo_piano: a tier's own, where none is configured.
        """
        configured = self.min_solo_piano
        return SoundThresholds(
            applause=self.max_applause,
            speech=self.max_speech,
            silence=self.max_silence,
            orchestra=self.max_orchestra,
            not_music=self.max_not_music,
            min_solo_piano=usual_min_solo_piano if configured is None else configured,
        )


class ClipVariantResource(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """What makes the twins of clips."""

    @abstractmethod
    def variant(self) -> ClipVariant:
        """How a clip becomes its twin.

        Raises:
            SetupError: what it is made with is missing or cannot be used.
        """


class FetchResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How politely and how stubbornly originals are fetched."""

    sleep_min_s: float = Field(
        default=10.0, ge=0, description="shortest pause before a download, not on loopback"
    )
    sleep_max_s: float = Field(default=20.0, ge=0, description="longest such pause")
    attempts: int = Field(default=3, ge=1, description="tries within a run for passing errors")
    retry_wait_s: float = Field(default=2.0, ge=0, description="pause before the second try")
    rate_limit_bytes_s: int | None = Field(default=None, description="upper bound of the rate")

    def options(self) -> FetchOptions:
        """The options as plain data."""
        return FetchOptions(
            sleep_min_s=self.sleep_min_s,
            sleep_max_s=max(self.sleep_min_s, self.sleep_max_s),
            attempts=self.attempts,
            retry_wait_s=self.retry_wait_s,
            rate_limit_bytes_s=self.rate_limit_bytes_s,
        )
