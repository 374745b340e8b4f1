"""The rows of T3's files: recordings and segments.

What belongs here: the models, whose descriptions are the columns' in the UI, and the way from a row
back to what was read. What does not: making them (`catalogue`, `segment_labels`).
"""

from __future__ import annotations

from pydantic import Field, model_validator

from data_collection.maestro.rows import MaestroRecording, MetadataRow, Performance, Split, Work
from data_collection.maestro.work_places import PlaceKnown
from data_collection.recordings.tier_rows import Recording, SegmentRow


class MaestroCatalogueRow(Recording):
    """A row of T3's `recordings.jsonl`."""

    audio_filename: str = Field(description="the recording in the release's archive")
    midi_filename: str = Field(description="its MIDI file there")
    composer: str = Field(description="as released")
    year: int = Field(description="of the competition")
    split: Split = Field(description="official split: train, validation, test")
    duration_s: float = Field(gt=0, description="seconds, as released; that of the MIDI file")
    performer_id: str | None = Field(
        description="equal for one person, such as 2004_03; null where the file's name does not say"
    )
    round: int | None = Field(description="of the competition, from 1; null where not known")
    performer_confidence: float = Field(ge=0, le=1, description="that it is this performer")
    performer_evidence: str = Field(description="the part of the name that says so, or why not")
    works: tuple[str, ...] = Field(
        description="ids of all works that it holds; recordings that share an id share a work"
    )
    work_evidence: tuple[Work, ...] = Field(
        description="of each of `works`, in its order: certainty, confidence, and what was read"
    )
    works_doubt: str | None = Field(description="why there are no works; null where there are")

    @model_validator(mode="after")
    def _one_evidence_a_work(self) -> MaestroCatalogueRow:
        if self.works != tuple(work.work_id for work in self.work_evidence):
            raise ValueError("works and work_evidence name other works")
        return self

    def recording(self) -> MaestroRecording:
        """Metadata, performer and works as they were read."""
        return MaestroRecording(
            metadata=MetadataRow(
                recording_id=self.recording_id,
                audio_filename=self.audio_filename,
                midi_filename=self.midi_filename,
                composer=self.composer,
                title=self.title,
                year=self.year,
                split=self.split,
                duration_s=self.duration_s,
            ),
            performance=Performance(
                performer_id=self.performer_id,
                round=self.round,
                confidence=self.performer_confidence,
                evidence=self.performer_evidence,
            ),
            works=self.work_evidence,
        )


class MaestroSegmentRow(SegmentRow):
    """A row of T3's `metadata.jsonl`."""

    composer: str = Field(description="as released")
    title: str = Field(description="as released")
    year: int = Field(description="of the competition")
    split: Split = Field(description="official split: train, validation, test")
    performer_id: str | None = Field(description="equal for one person; null where not known")
    round: int | None = Field(description="of the competition, from 1; null where not known")
    works: tuple[str, ...] = Field(description="ids of all works that the recording holds")
    work_id: str | None = Field(
        description="the one of them that the segment's middle lies in; null where not known"
    )
    work_place: PlaceKnown | None = Field(
        description="how that is known: stated, whole (it holds nothing else), or estimated"
    )
    audio_filename: str = Field(description="the recording in the release's archive")
    midi_filename: str = Field(description="its MIDI file there")
