"""The rows that join MAESTRO's parts: metadata, performers, works, and the catalogue made of them.

What belongs here: frozen types, with their units. What does not: how any of them is found out
(`metadata`, `performers`, `works`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Split = Literal["train", "validation", "test"]
Certainty = Literal["stated", "corrected", "inferred"]


class MetadataRow(BaseModel):
    """One recording as the release's metadata describe it.

    Attributes:
        recording_id: ours: a safe file name, derived from the audio file's name, never changed.
        audio_filename: member of the archive below `maestro-v3.0.0/`, such as `2004/….wav`.
        midi_filename: likewise.
        composer: canonical composer as released.
        title: canonical title as released.
        year: of the competition.
        split: official split.
        duration_s: seconds, as released.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str
    audio_filename: str
    midi_filename: str
    composer: str
    title: str
    year: int
    split: Split
    duration_s: float = Field(gt=0)


class Performance(BaseModel):
    """Who played a recording, and in which round, as its file name tells.

    Attributes:
        performer_id: equal for one person, such as `2004_03`; None where the name does not tell.
        round: number of the round, counted from 1; None where unknown.
        confidence: 0 to 1.
        evidence: the part of the name that was read, or why nothing could be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    performer_id: str | None
    round: int | None
    confidence: float = Field(ge=0, le=1)
    evidence: str


class Work(BaseModel):
    """A work, or one of its parts, that a recording holds.

    Attributes:
        work_id: canonical and stable, such as `beethoven:op53/1`, `bach:bwv846/prelude`,
            `chopin:op10-no3`; two recordings share a work when they share an id.
        family_id: the whole that it is part of, such as `beethoven:op53`; for negatives.
        certainty: `stated` by the title, `corrected` by the list of known errors, or `inferred`.
        confidence: 0 to 1.
        evidence: what was read, or how it was inferred.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work_id: str
    family_id: str
    certainty: Certainty
    confidence: float = Field(ge=0, le=1)
    evidence: str


class MaestroRecording(BaseModel):
    """A row of the catalogue: metadata, performer and works together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metadata: MetadataRow
    performance: Performance
    works: tuple[Work, ...]
