"""What labels a segment of T3: whose playing it is, of which work.

What belongs here: a work id as a `Piece`, and which work a segment is of. What does not: where
works lie in a recording (`work_places`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from data_collection.maestro.catalogue_rows import MaestroCatalogueRow
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.stored import read_catalogue
from data_collection.maestro.work_places import WorkPlace, work_places
from data_collection.recordings.store import Store
from data_collection.recordings.tier import SegmentLabels
from data_collection.recordings.tier_rows import Recording
from data_collection.repertoire.pieces import Piece

_MOVEMENT_OF = {"prelude": "1", "fugue": "2"}
"""The parts of a pair in the Well-Tempered Clavier are its movements."""


def piece_of(work_id: str, title: str) -> Piece:
    """A work id such as `beethoven:op53/1` as all tiers name pieces."""
    composer, _, rest = work_id.partition(":")
    work, _, part = rest.partition("/")
    return Piece(
        composer=composer, work=work, movement=_MOVEMENT_OF.get(part, part or None), title=title
    )


def segment_labels(store: Store) -> SegmentLabels:
    """Read the catalogue, and label segments by it.

    Raises:
        SetupError: the catalogue has not been made, or is broken.
    """
    recordings = read_catalogue(store)
    of_id = {recording.metadata.recording_id: recording for recording in recordings}
    places: defaultdict[str, list[WorkPlace]] = defaultdict(list)
    for place in work_places(recordings).values():
        places[place.recording_id].append(place)

    def labels(recording: Recording, start_s: float, end_s: float) -> Mapping[str, object]:
        if not isinstance(recording, MaestroCatalogueRow):
            raise TypeError(f"{recording.recording_id} is no row of MAESTRO's catalogue")
        own = places[recording.recording_id]
        return _labels(of_id[recording.recording_id], own, start_s, end_s)

    return labels


def _labels(
    recording: MaestroRecording, places: list[WorkPlace], start_s: float, end_s: float
) -> dict[str, object]:
    middle_s = (start_s + end_s) / 2
    here = next((place for place in places if place.start_s <= middle_s <= place.end_s), None)
    if here is None:
        return {
            "piece": None,
            "piece_share": None,
            "piece_source": None,
            "piece_because": (
                "its works lie where nobody says" if recording.works else "its works are not known"
            ),
            "work_id": None,
            "work_place": None,
        }
    within_s = min(end_s, here.end_s) - max(start_s, here.start_s)
    certainty = {work.work_id: work.certainty for work in recording.works}
    return {
        "piece": piece_of(here.work_id, recording.metadata.title),
        # A last note that rings on after the stated end is still of the piece that is all of it.
        "piece_share": 1.0 if here.known == "whole" else within_s / (end_s - start_s),
        "piece_source": f"title, {certainty[here.work_id]}",
        "piece_because": None,
        "work_id": here.work_id,
        "work_place": here.known,
    }
