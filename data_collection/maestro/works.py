"""Which works a recording holds: its title, its neighbours in the recital, and its length.

What belongs here: bringing these together, and the identity of works and their parts. What does
not: what a title says (`works_titles`) and what lengths say (`movements`). A recording of a whole
sonata, suite or set holds each of its parts, so that it shares one with a recording of that part
alone. Where it stays open which part it is, it holds none: a wrong work is worse than none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median

from data_collection.maestro.movements import (
    FRAGMENT_CONFIDENCE,
    TOO_FAR,
    Held,
    Length,
    doubt_in_turn,
    held_alone,
    held_in_turn,
    parts_of_works,
)
from data_collection.maestro.rows import Certainty, MetadataRow, Work
from data_collection.maestro.works_titles import TitleReader, TitleReading, respelt, title_reader
from data_collection.repertoire.catalogue import catalogue, parent_key
from data_collection.repertoire.pieces import Piece

COUNTED_ON_CONFIDENCE = 0.9
REPEATED_CONFIDENCE = 0.7
FEWEST_TO_COMPARE = 3
HALF, DOUBLE = 0.5, 2.0
MOST_MOVEMENTS = 30
_PAIR = ("prelude", "fugue")

_TRACK = re.compile(
    r"(?P<recital>.+?)(?:_(?P<track>\d+))?(?:_Track\d+)?(?:_wav)?(?:--(?P<part>\d+))?\.\w+",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?P<before>.*\bsonata\b.*\bD\.?\s?)(?P<number>\d{3})", re.IGNORECASE)


@dataclass(frozen=True)
class WorkReading:
    """What one recording holds.

    Attributes:
        recording_id: of the row.
        works: works and parts of works, in their order; none where it is in doubt.
        doubt: why there are none.
    """

    recording_id: str
    works: tuple[Work, ...] = ()
    doubt: str = ""


@dataclass(frozen=True)
class _Part:
    """What can be shared: a work, a movement, a number of a set."""

    work_id: str
    family_id: str
    length: Length | None = None


@dataclass(frozen=True)
class _Recording:
    row: MetadataRow
    title: TitleReading


def read_works(
    rows: Iterable[MetadataRow], *, reader: TitleReader | None = None
) -> dict[str, WorkReading]:
    """Say of each recording which works it holds.

    Deterministic, and independent of the rows' order. All rows are needed at once: a recital's
    recordings tell each other's movements.

    Args:
        rows: of the catalogue.
        reader: of titles; the bundled one if left out.

    Returns:
        By recording id, one reading for each row.

    Raises:
        SetupError: a bundled file is damaged.
    """
    reader = reader or title_reader()
    recordings = [_Recording(row, reader.read(row.composer, row.title)) for row in rows]
    readings: dict[str, WorkReading] = {}
    repeated: list[list[_Recording]] = []
    for recital in _recitals(recordings):
        for group in _same_work(_count_on(recital)):
            pieces = _settled(group)
            parts = [part for piece in pieces for part in _parts_of(piece)]
            if len(parts) == 1 < len(group):
                repeated.append(group)
                continue
            for reading in _read_group(group, pieces, parts):
                readings[reading.recording_id] = reading
    for group in repeated:
        readings |= {r.recording_id: r for r in _closest_to_others(group, recordings, readings)}
    return _with_unusual_lengths(recordings, readings)


def recital_of(audio_filename: str) -> tuple[str, tuple[int, int]]:
    """Give the recital that a recording was cut from, and its place in it.

    Args:
        audio_filename: such as `2009/…AUDIO_01_R1_2009_01_R1_2009_02_WAV.wav`.
    """
    found = _TRACK.fullmatch(audio_filename)
    if not found:
        return audio_filename, (0, 0)
    return found["recital"], (int(found["track"] or 0), int(found["part"] or 0))


def _recitals(recordings: Iterable[_Recording]) -> list[list[_Recording]]:
    recitals: defaultdict[str, list[_Recording]] = defaultdict(list)
    for recording in recordings:
        recitals[recital_of(recording.row.audio_filename)[0]].append(recording)
    return [
        sorted(
            recital,
            key=lambda r: (recital_of(r.row.audio_filename)[1], r.row.audio_filename),
        )
        for _, recital in sorted(recitals.items())
    ]


def _count_on(recital: Sequence[_Recording]) -> list[_Recording]:
    """Mend numbers that a spreadsheet counted on: `D. 960`, `D. 961`, `D. 962` are one sonata.

    They follow each other in a recital, differ by one, and the later ones name no sonata.
    """
    mended: list[_Recording] = []
    first: _Recording | None = None
    for before, recording in zip([None, *recital], recital, strict=False):
        if before and _is_next(before.row, recording.row) and not recording.title.pieces:
            first = first or before
            recording = replace(
                recording,
                title=replace(
                    first.title,
                    certainty="corrected",
                    confidence=min(first.title.confidence, COUNTED_ON_CONFIDENCE),
                    evidence=f"{recording.row.title!r} counts on from {first.row.title!r}",
                ),
            )
        else:
            first = None
        mended.append(recording)
    return mended


def _is_next(before: MetadataRow, row: MetadataRow) -> bool:
    one, other = (_NUMBERED.fullmatch(respelt(r.title)) for r in (before, row))
    return (
        one is not None
        and other is not None
        and before.composer == row.composer
        and one["before"] == other["before"]
        and int(other["number"]) == int(one["number"]) + 1
    )


def _same_work(recital: Iterable[_Recording]) -> list[list[_Recording]]:
    """Group neighbours of a recital whose titles mean the same."""

    def meant(recording: _Recording) -> tuple[object, ...]:
        title = recording.title
        pieces = tuple(piece.identity for piece in title.pieces)
        return pieces or (recording.row.composer, recording.row.title)

    return [list(group) for _, group in groupby(recital, key=meant)]


def _settled(group: Sequence[_Recording]) -> tuple[Piece, ...]:
    """Give the pieces of a group; which of several sonatas, its recordings' lengths may tell."""
    title = group[0].title
    if title.pieces or len(group) == 1:
        return title.pieces
    durations_s = [recording.row.duration_s for recording in group]
    known = parts_of_works().movements
    fitting = [
        piece
        for piece in title.candidates
        if doubt_in_turn(durations_s, known.get((piece.composer, piece.work), ()))
        <= TOO_FAR * len(group)
    ]
    return tuple(fitting) if len(fitting) == 1 else ()


def _parts_of(piece: Piece) -> list[_Part]:
    """Give what a piece consists of: movements, prelude and fugue, numbers of a set, or itself.

    Nothing where it names a movement that the work has not.
    """
    key = (piece.composer, piece.work)
    known = parts_of_works()
    work = catalogue().work(*key)
    if key in known.movements:
        lengths = known.movements[key]
        return [
            replace(_movement(piece, n), length=lengths[n - 1]) for n in _told(piece, len(lengths))
        ]
    if work and work.genres == {"prelude", "fugue"}:
        return [_movement(piece, _PAIR[n - 1]) for n in _told(piece, len(_PAIR))]
    if piece.movement:
        return [_movement(piece, n) for n in _told(piece, MOST_MOVEMENTS)]
    in_book = known.books.get(key)
    numbers = in_book or [member.key for member in catalogue().members(*key)] or [piece.work]
    return [_undivided(piece.composer, number) for number in numbers]


def _undivided(composer: str, work: str) -> _Part:
    family = parent_key(work) or work
    in_set = parts_of_works().sets.get((composer, family), ())
    number = work.rpartition("-no")[2]
    length = in_set[int(number) - 1] if number.isdigit() and int(number) <= len(in_set) else None
    return _Part(f"{composer}:{work}", f"{composer}:{family}", length)


def _movement(piece: Piece, name: int | str) -> _Part:
    family = f"{piece.composer}:{piece.work}"
    return _Part(f"{family}/{name}", family)


def _told(piece: Piece, last: int) -> Sequence[int]:
    """Give the movements a piece names, of so many; all where it names none."""
    if not piece.movement:
        return range(1, last + 1)
    first, _, until = piece.movement.partition("-")
    return range(int(first), min(int(until or first), last) + 1)


def _read_group(
    group: Sequence[_Recording], pieces: Sequence[Piece], parts: Sequence[_Part]
) -> list[WorkReading]:
    """Say what each of a recital's recordings of one title holds."""
    if not parts:
        doubt = group[0].title.doubt or "it names a movement that the work has not"
        return [WorkReading(r.row.recording_id, doubt=doubt) for r in group]
    if len(group) == 1:
        return [_read_alone(group[0], pieces, parts)]
    lengths = [part.length for part in parts if part.length]
    durations_s = [recording.row.duration_s for recording in group]
    if len(lengths) == len(parts):
        held = held_in_turn(durations_s, lengths)
    elif len(parts) == len(group):
        told = f"one of {len(group)} recordings of as many parts"
        held = tuple(Held((at,), 0.9, told) for at in range(len(group)))
    else:
        told = f"one of {len(group)} recordings of {len(parts)} parts"
        held = (Held((), 0, told),) * len(group)
    return [
        _reading(recording, parts, what, "inferred")
        for recording, what in zip(group, held, strict=True)
    ]


def _read_alone(
    recording: _Recording, pieces: Sequence[Piece], parts: Sequence[_Part]
) -> WorkReading:
    title = recording.title
    everything = tuple(range(len(parts)))
    lengths = [part.length for part in parts if part.length]
    listed = len(pieces) > 1 or any(piece.movement for piece in pieces)
    if len(parts) == 1 or listed or len(lengths) < len(parts):
        return _reading(recording, parts, Held(everything, 1, ""), title.certainty)
    held = held_alone(recording.row.duration_s, lengths)
    as_told = held.parts == everything or (title.complete and not held.parts)
    if as_told:
        return _reading(recording, parts, Held(everything, 1, held.because), title.certainty)
    return _reading(recording, parts, held, "inferred")


def _reading(
    recording: _Recording, parts: Sequence[_Part], held: Held, certainty: Certainty
) -> WorkReading:
    if not held.parts:
        return WorkReading(recording.row.recording_id, doubt=f"which part: {held.because}")
    title = recording.title
    evidence = f"{title.evidence}; {held.because}" if held.because else title.evidence
    return WorkReading(
        recording.row.recording_id,
        tuple(
            Work(
                work_id=parts[at].work_id,
                family_id=parts[at].family_id,
                certainty=certainty,
                confidence=round(min(title.confidence, held.confidence), 2),
                evidence=evidence,
            )
            for at in held.parts
        ),
    )


def _closest_to_others(
    group: Sequence[_Recording],
    recordings: Iterable[_Recording],
    readings: Mapping[str, WorkReading],
) -> list[WorkReading]:
    """Read one title of one piece that a recital has twice: at most one recording is of it.

    It is the one as long as other people's recordings of the piece; without any, none is told.
    """
    (part,) = [part for piece in _settled(group) for part in _parts_of(piece)]
    lengths = [
        r.row.duration_s
        for r in recordings
        if (told := readings.get(r.row.recording_id))
        and [work.work_id for work in told.works] == [part.work_id]
    ]
    doubt = f"one of {len(group)} recordings of {part.work_id} in one recital"
    if not lengths:
        return [WorkReading(r.row.recording_id, doubt=doubt) for r in group]
    usual_s = median(lengths)
    closest = min(group, key=lambda r: (abs(r.row.duration_s - usual_s), r.row.recording_id))
    because = f"as long as others, {usual_s:.0f} s, of {len(group)} recordings with that title"
    return [
        _reading(r, [part], Held((0,), REPEATED_CONFIDENCE, because), "inferred")
        if r is closest
        else WorkReading(r.row.recording_id, doubt=doubt)
        for r in group
    ]


def _with_unusual_lengths(
    recordings: Iterable[_Recording], readings: Mapping[str, WorkReading]
) -> dict[str, WorkReading]:
    """Doubt recordings half or twice as long as others of the same: a fragment, a wrong title."""
    of_same: defaultdict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for recording in recordings:
        reading = readings[recording.row.recording_id]
        held = tuple(work.work_id for work in reading.works)
        of_same[held][reading.recording_id] = recording.row.duration_s
    doubted = dict(readings)
    for held, durations_s in of_same.items():
        if not held or len(durations_s) < FEWEST_TO_COMPARE:
            continue
        usual_s = median(durations_s.values())
        for recording_id, duration_s in durations_s.items():
            if not HALF * usual_s <= duration_s <= DOUBLE * usual_s:
                doubted[recording_id] = _doubted(doubted[recording_id], duration_s, usual_s)
    return doubted


def _doubted(reading: WorkReading, duration_s: float, usual_s: float) -> WorkReading:
    because = f"{duration_s:.0f} s, where others take {usual_s:.0f} s"
    works = tuple(
        work.model_copy(
            update={
                "confidence": min(work.confidence, FRAGMENT_CONFIDENCE),
                "evidence": f"{work.evidence}; {because}",
            }
        )
        for work in reading.works
    )
    return replace(reading, works=works)
