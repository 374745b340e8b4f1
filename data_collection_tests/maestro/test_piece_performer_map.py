"""The map of pieces, performers, recordings and clips: what it holds, and reading it back."""

from __future__ import annotations

import json

import pytest

from data_collection.maestro.piece_performer_map import (
    PiecePerformerMap,
    piece_performer_map,
    read_piece_performer_map,
    write_piece_performer_map,
)
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.work_places import WorkPlace
from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store
from data_collection_tests.maestro.made_recordings import clips, recording, work

PATH = "maestro_cache/piece_performer_map.json"
RECORDINGS = [
    recording("whole", "p1", ["bach:a/1", "bach:a/2"], 180),
    recording("first", "p2", ["bach:a/1"], 60),
    recording("second", "p2", [work("bach:a/2", 0.4)], 120, split="test"),
    recording("anybody", None, ["bach:a/1"], 60),
    recording("uncut", "p3", ["bach:a/1"], 60),
    recording("unplaced", "p3", ["liszt:c", "liszt:d"], 60),
]
CLIPPED = [made for made in RECORDINGS if made.metadata.recording_id != "uncut"]


def made(recordings: list[MaestroRecording] = RECORDINGS) -> PiecePerformerMap:
    """The map of the recordings above; one of them has no clips."""
    return piece_performer_map(recordings, clips(CLIPPED))


def test_a_piece_leads_to_performers_recordings_and_clips_with_evidence() -> None:
    """Each level by id, each row with what it rests on; clips of another movement are not there."""
    pieces = made().pieces
    assert list(pieces) == ["bach:a/1", "bach:a/2", "liszt:c", "liszt:d"]
    first = pieces["bach:a/1"]
    assert first.family_id == "bach:a"
    assert list(first.performers) == ["p1", "p2", "p3"]
    assert list(first.unknown_performers) == ["anybody"]
    whole = first.performers["p1"].recordings["whole"]
    assert (whole.place, whole.start_s, whole.end_s) == ("estimated", 0, 60)
    assert whole.segment_ids == ("whole_seg0000", "whole_seg0001")
    assert (whole.split, whole.round, whole.work_evidence) == ("train", 1, "bach:a/1")
    assert whole.performer_evidence == "whole"
    assert first.performers["p3"].recordings["uncut"].segment_ids == ()
    second = pieces["bach:a/2"].performers
    assert second["p1"].recordings["whole"].segment_ids == tuple(
        f"whole_seg{at:04d}" for at in (2, 3, 4, 5)
    )
    assert second["p2"].recordings["second"].work_confidence == 0.4
    unplaced = pieces["liszt:c"].performers["p3"].recordings["unplaced"]
    assert (unplaced.place, unplaced.start_s) == (None, None)
    assert len(unplaced.segment_ids) == 2


def test_a_stated_place_decides_which_clips_are_of_a_piece() -> None:
    """An estimate gives way to somebody who knows."""
    stated = [WorkPlace("whole", "bach:a/1", 0, 90), WorkPlace("whole", "bach:a/2", 95, 180)]
    pieces = piece_performer_map(RECORDINGS, clips(CLIPPED), stated_places=stated).pieces
    whole = pieces["bach:a/1"].performers["p1"].recordings["whole"]
    assert (whole.place, len(whole.segment_ids)) == ("stated", 3)


def test_the_file_is_read_back_as_it_was_and_does_not_depend_on_the_order(store: Store) -> None:
    """A map that changes its bytes without reason would remake everything after it."""
    written = write_piece_performer_map(store, PATH, made())
    assert read_piece_performer_map(store, PATH) == made()
    again = write_piece_performer_map(store, PATH, made(RECORDINGS[::-1]))
    assert again.sha256 == written.sha256


def test_a_map_that_cannot_be_read_says_where_and_what_to_do(store: Store) -> None:
    """Missing, torn, of a later version, or with a column more: never half a map."""
    with pytest.raises(SetupError, match=r"map_missing.*materialize maestro_cache"):
        read_piece_performer_map(store, PATH)
    whole = made().model_dump_json()
    later = json.dumps({**json.loads(whole), "schema_version": 2})
    more = whole.replace('"family_id"', '"colour":"red","family_id"', 1)
    for content, where in ((whole[:-9], "file"), (later, "schema_version"), (more, "colour")):
        store.write_bytes(PATH, content.encode())
        with pytest.raises(SetupError, match=rf"map_unreadable.*{where}.*materialize it again"):
            read_piece_performer_map(store, PATH)
