"""The rows of T2's files: recordings, programmes, segments.

What belongs here: the models, whose descriptions are the columns' in the UI. What does not: making
rows (`catalogue`, `programmes`); a listing's and a result's row stand with what makes them.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from data_collection.competition.programme import (
    Problem,
    Programme,
    ProgrammeItem,
    ProgrammeSource,
)
from data_collection.recordings.tier_rows import Recording, SegmentRow
from data_collection.repertoire.pieces import Piece


class ProgrammeItemRow(BaseModel):
    """A stretch of a recording."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wording: str = Field(description="as it is written")
    piece: Piece | None = Field(description="what is played; null where not one piece is known")
    pieces: tuple[Piece, ...] = Field(default=(), description="all that the wording names")
    start_s: float | None = Field(description="start in the recording; null where not known")
    end_s: float | None = Field(description="end in the recording; null where not known")

    @classmethod
    def of(cls, item: ProgrammeItem) -> ProgrammeItemRow:
        """The row of a parsed item."""
        return cls(
            wording=item.wording,
            piece=item.piece,
            pieces=item.pieces,
            start_s=item.start_s,
            end_s=item.end_s,
        )

    def item(self) -> ProgrammeItem:
        """The item as the parser gave it."""
        return ProgrammeItem(self.piece, self.wording, self.start_s, self.end_s, self.pieces)


class ProgrammeProblemRow(BaseModel):
    """A row of `programme_problems.jsonl`: a line that was refused or not understood."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="the recording")
    source: ProgrammeSource = Field(description="where the line stands")
    line: int = Field(description="its number, from 1; 0 for the whole text")
    title: str = Field(description="the line as it is written")
    reason: str = Field(description="refused, or not_understood")
    detail: str = Field(description="why")

    @classmethod
    def of(
        cls, recording_id: str, source: ProgrammeSource, reason: str, problem: Problem
    ) -> ProgrammeProblemRow:
        """The row of a line that the parser names."""
        return cls(
            recording_id=recording_id,
            source=source,
            line=problem.line,
            title=problem.text,
            reason=reason,
            detail=problem.reason,
        )


class CompetitionRecording(Recording):
    """A row of T2's `recordings.jsonl`."""

    performer: str = Field(description="name as the competition writes it")
    country: str | None = Field(default=None, description="country or countries")
    round: str = Field(description="id of the round")
    placement: int = Field(ge=1, description="the performer's place; equal places are ties")
    solo: bool = Field(description="false where others play too, as in a concerto")
    title_piece: str | None = Field(
        default=None, description="the title's own wording of what is played; never the title"
    )
    block: tuple[ProgrammeItemRow, ...] = Field(
        default=(), description="programme of a session's part, as the session's description has it"
    )
    block_problems: tuple[ProgrammeProblemRow, ...] = Field(
        default=(), description="lines of that block which were refused"
    )
    match_score: float = Field(ge=0, le=100, description="how well the title names the performer")
    match_margin: float = Field(description="distance to the next best performer's score")
    listed: bool = Field(default=True, description="false once the source no longer lists it")
    edition: str = Field(description="id of the competition's edition")
    sample: bool = Field(default=False, description="true in a made-up world")


class CompetitionSegmentRow(SegmentRow):
    """A row of T2's `metadata.jsonl`."""

    performer: str = Field(description="name as the competition writes it")
    country: str | None = Field(description="country or countries")
    round: str = Field(description="id of the round")
    placement: int = Field(ge=1, description="the performer's place, 1 the best; ties are equal")
    solo: bool = Field(description="false where others play too; not compared with solo rounds")
    jury_mark: float | None = Field(
        default=None, description="the jury's mean mark of the performer in the round, where given"
    )
    edition: str = Field(description="id of the competition's edition")
    sample: bool = Field(description="true in a made-up world")


class ProgrammeRow(BaseModel):
    """A row of `programmes.jsonl`: what is played in one recording, and how that is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="the recording")
    performer: str = Field(description="who plays")
    round: str = Field(description="id of the round")
    source: ProgrammeSource | None = Field(
        description="override, description, chapters or title; null without a programme"
    )
    because: str = Field(description="why this source, or why there is none")
    items: tuple[ProgrammeItemRow, ...] = Field(description="in the recording's order")

    def programme(self) -> Programme | None:
        """The programme as the parser gave it; None without one."""
        if self.source is None:
            return None
        return Programme(self.source, tuple(row.item() for row in self.items))
