"""What T2's files say together: labels of a segment, and the competition that pairs are of.

What belongs here: reading programmes, marks, results and recordings and joining them. What does
not: making any of them, and the rules of pairs (`preferences`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from data_collection.competition.editions import Edition
from data_collection.competition.jury import MeanMark, marks_for_margins
from data_collection.competition.preferences import JudgedCompetition
from data_collection.competition.programme import piece_of
from data_collection.competition.results import Result
from data_collection.competition.rows import CompetitionRecording, ProgrammeRow
from data_collection.recordings.errors import SetupError
from data_collection.recordings.rows import read_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import SegmentLabels
from data_collection.recordings.tier_rows import Recording
from data_collection.repertoire.pieces import Piece, contains

CONCERTO = re.compile(r"\b(?:concert[oi]|koncert|konzert)\b", re.IGNORECASE)
"""A title that names one says that others play too, in a round of recitals as well."""


def names_concerto(title_piece: str | None) -> bool:
    """Whether a title's own wording of what is played names a concerto."""
    return bool(CONCERTO.search(title_piece or ""))


def judged_competition(store: Store, prefix: str, edition: Edition) -> JudgedCompetition:
    """Everything that a preference rests on.

    A concerto within a round of recitals is left out: it is compared with none of them.

    Raises:
        PreferencesError: results and recordings do not fit together.
        SetupError: one of the files has not been made, or cannot be read.
    """
    programmes = read_rows(store, f"{prefix}/programmes.jsonl", ProgrammeRow)
    recordings = read_rows(store, f"{prefix}/recordings.jsonl", CompetitionRecording)
    recitals = {round_.id for round_ in edition.rounds if round_.solo}
    return JudgedCompetition(
        recordings=[
            recording
            for recording in recordings
            if not (recording.round in recitals and names_concerto(recording.title_piece))
        ],
        results=read_rows(store, f"{prefix}/results.jsonl", Result),
        rounds=edition.rounds,
        works=works_played(programmes),
        marks=marks_for_margins(read_means(store, prefix) if edition.jury_marks else ()),
    )


def works_played(programmes: Sequence[ProgrammeRow]) -> dict[str, frozenset[str]]:
    """What each recording holds, as keys that are equal where two recordings share music.

    A whole set holds each of its numbers, and a work each of its movements, that another recording
    has alone. Recordings without a programme are not in it.
    """
    played = {
        row.recording_id: {piece for item in row.items for piece in item.pieces}
        for row in programmes
        if row.source is not None
    }
    known = {piece for pieces in played.values() for piece in pieces}
    return {
        recording_id: frozenset(
            _key(part)
            for part in known
            if any(whole == part or contains(whole, part) for whole in pieces)
        )
        for recording_id, pieces in played.items()
        if pieces
    }


def _key(piece: Piece) -> str:
    parts = (piece.composer, piece.work, piece.movement)
    return "/".join(part for part in parts if part is not None)


def segment_labels(store: Store, prefix: str, *, marks: bool) -> SegmentLabels:
    """What T2 says of a segment: its piece and the jury's mark.

    Raises:
        SetupError: the programmes or the marks have not been made, or cannot be read.
    """
    rows = read_rows(store, f"{prefix}/programmes.jsonl", ProgrammeRow)
    programmes = {row.recording_id: row for row in rows}
    means = read_means(store, prefix) if marks else ()
    mark_of = {(mean.round, mean.performer): mean.mean for mean in means}

    def labels(recording: Recording, start_s: float, end_s: float) -> Mapping[str, object]:
        row = programmes.get(recording.recording_id)
        if isinstance(recording, CompetitionRecording) and _is_of_another_cut(row, recording):
            row = None
        played = piece_label(row, start_s, end_s)
        if isinstance(recording, CompetitionRecording):
            played["jury_mark"] = mark_of.get((recording.round, recording.performer))
        return played

    return labels


def _is_of_another_cut(row: ProgrammeRow | None, recording: CompetitionRecording) -> bool:
    """Whether a part's programme was gathered before its session was read anew."""
    if row is None or row.source != "description" or recording.cut_from is None:
        return False
    return row.items != recording.block


def piece_label(row: ProgrammeRow | None, start_s: float, end_s: float) -> dict[str, object]:
    """The piece of a stretch of a recording, or why there is none."""
    label: dict[str, object] = {
        "piece": None,
        "piece_share": None,
        "piece_source": None,
        "piece_because": "its programme was not gathered, or before it was cut; materialize "
        "programmes",
    }
    programme = row.programme() if row is not None else None
    if row is None or programme is None:
        return label if row is None else {**label, "piece_because": row.because}
    item, share = piece_of(programme, start_s, end_s)
    if item is None:
        because = f"the {programme.source} does not say what is played here"
        return {**label, "piece_because": because}
    if item.piece is None:
        because = f"the {programme.source} says: {item.wording}"
        return {**label, "piece_because": because}
    return {
        "piece": item.piece,
        "piece_share": round(share, 6),
        "piece_source": programme.source,
        "piece_because": None,
    }


def read_means(store: Store, prefix: str) -> list[MeanMark]:
    """Each performer's mean marks.

    Raises:
        SetupError: the marks have not been made.
    """
    path = store.path(f"{prefix}/jury_means.jsonl")
    if not path.exists():
        advice = f"materialize {prefix}/jury_marks first"
        raise SetupError("rows_missing", f"{path} is not there; {advice}")
    return read_rows(store, f"{prefix}/jury_means.jsonl", MeanMark)
