"""Who plays which piece where: `piece_performer_map.json`.

What belongs here: the file's form, making it, and reading it back. What does not: pairs of clips
(`pairs`), and how works and performers are found out (`works`, `performers`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_collection.maestro.rows import Certainty, MaestroRecording, Split, Work
from data_collection.maestro.work_places import (
    PlaceKnown,
    WorkPlace,
    clips_of_works,
    work_places,
)
from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store, StoredFile

SCHEMA_VERSION: Literal[1] = 1


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PieceRecording(_Entry):
    """A recording that holds a piece.

    Attributes:
        split: official split.
        year: of the competition.
        round: of the competition, from 1; None where unknown.
        duration_s: of the whole recording, in seconds.
        work_certainty: how it is known that it holds the piece.
        work_confidence: of that, 0 to 1.
        work_evidence: what was read, or how it was inferred.
        performer_confidence: that it is this performer, 0 to 1.
        performer_evidence: the part of the file's name that says so.
        place: where the piece lies in it: `stated`, the `whole` recording, or `estimated` from how
            long its works are elsewhere; None where not known.
        start_s: where the piece begins, in seconds; None with `place`.
        end_s: where it ends; None with `place`.
        segment_ids: clips whose middle lies in that place, in their order; without a place, all
            clips of the recording, of which some are of other pieces.
    """

    split: Split
    year: int
    round: int | None
    duration_s: float = Field(gt=0)
    work_certainty: Certainty
    work_confidence: float = Field(ge=0, le=1)
    work_evidence: str
    performer_confidence: float = Field(ge=0, le=1)
    performer_evidence: str
    place: PlaceKnown | None
    start_s: float | None = Field(ge=0)
    end_s: float | None = Field(gt=0)
    segment_ids: tuple[str, ...]


class PiecePerformer(_Entry):
    """A performer of a piece; `recordings` by recording id."""

    recordings: dict[str, PieceRecording]


class Piece(_Entry):
    """A work that recordings hold.

    Attributes:
        family_id: the whole that it is part of.
        performers: by performer id.
        unknown_performers: recordings of nobody known, by recording id.
    """

    family_id: str
    performers: dict[str, PiecePerformer]
    unknown_performers: dict[str, PieceRecording]


class PiecePerformerMap(_Entry):
    """The whole map, sorted by ids on every level.

    Attributes:
        schema_version: of this form.
        pieces: by work id.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    pieces: dict[str, Piece]


def piece_performer_map(
    recordings: Sequence[MaestroRecording],
    segments: pl.DataFrame,
    *,
    stated_places: Iterable[WorkPlace] = (),
) -> PiecePerformerMap:
    """Gather who plays which piece in which recording and clips.

    Nothing is left out for its confidence: the reader decides. Recordings without clips are there
    too, with an empty list.

    Args:
        recordings: the catalogue.
        segments: the clips, as for `work_places.clips_of_works`.
        stated_places: where works lie in recordings, where somebody says so.

    Raises:
        PairingError: the tables do not fit together.
    """
    places = work_places(recordings, stated_places)
    clips = clips_of_works(recordings, segments, places).sort("recording_id", "start_s")
    clips_of: defaultdict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for recording_id, clip, work_id in clips.select(
        "recording_id", "segment_id", "work_id"
    ).iter_rows():
        clips_of[recording_id].append((clip, work_id))
    families: dict[str, str] = {}
    held: defaultdict[str, defaultdict[str | None, dict[str, PieceRecording]]]
    held = defaultdict(lambda: defaultdict(dict))
    for recording, work in _works(recordings):
        recording_id = recording.metadata.recording_id
        place = places.get((recording_id, work.work_id))
        families[work.work_id] = work.family_id
        held[work.work_id][recording.performance.performer_id][recording_id] = _entry(
            recording, work, place, clips_of[recording_id]
        )
    return PiecePerformerMap(
        pieces={
            work_id: Piece(
                family_id=families[work_id],
                performers={
                    performer: PiecePerformer(recordings=found)
                    for performer, found in sorted(
                        (performer, found)
                        for performer, found in held[work_id].items()
                        if performer is not None
                    )
                },
                unknown_performers=held[work_id][None],
            )
            for work_id in sorted(held)
        }
    )


def write_piece_performer_map(store: Store, relative: str, made: PiecePerformerMap) -> StoredFile:
    """Write the map whole; equal maps give equal bytes."""
    return store.write_bytes(relative, f"{made.model_dump_json(indent=1)}\n".encode())


def read_piece_performer_map(store: Store, relative: str) -> PiecePerformerMap:
    """Read the map back.

    Raises:
        SetupError: `map_missing` where it is not there, `map_unreadable` where it is damaged or of
            another version.
    """
    path = store.path(relative)
    try:
        return PiecePerformerMap.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        key = relative.rsplit(".", 1)[0]
        raise SetupError("map_missing", f"{path} is not there; materialize {key} first") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise SetupError(
            "map_unreadable", f"{path}, {where}: {first['msg']}; materialize it again"
        ) from error


def _works(recordings: Iterable[MaestroRecording]) -> Iterator[tuple[MaestroRecording, Work]]:
    """Each work of each recording, by recording id; of a work told twice, the surer one."""
    for recording in sorted(recordings, key=lambda r: r.metadata.recording_id):
        surest: dict[str, Work] = {}
        for work in recording.works:
            told = surest.setdefault(work.work_id, work)
            if work.confidence > told.confidence:
                surest[work.work_id] = work
        for work in surest.values():
            yield recording, work


def _entry(
    recording: MaestroRecording,
    work: Work,
    place: WorkPlace | None,
    clips: Iterable[tuple[str, str | None]],
) -> PieceRecording:
    data, performance = recording.metadata, recording.performance
    return PieceRecording(
        split=data.split,
        year=data.year,
        round=performance.round,
        duration_s=data.duration_s,
        work_certainty=work.certainty,
        work_confidence=work.confidence,
        work_evidence=work.evidence,
        performer_confidence=performance.confidence,
        performer_evidence=performance.evidence,
        place=place.known if place else None,
        start_s=place.start_s if place else None,
        end_s=place.end_s if place else None,
        segment_ids=tuple(
            clip for clip, work_id in clips if place is None or work_id == work.work_id
        ),
    )
