"""Which recordings of T4 are copies, told by all tiers' fingerprints, night after night.

What belongs here: gathering what is known of each tier's recordings, searching only for what has
changed since the last time, and the files of what was found. What does not: how a copy is found
(`recordings.fingerprints`) and which of two is kept (`duplicates`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from data_collection.recordings.collection import read_recordings
from data_collection.recordings.errors import SetupError
from data_collection.recordings.fingerprints.matches import Known, Match, find_duplicates
from data_collection.recordings.fingerprints.stored import (
    FINGERPRINTS,
    fingerprint_path,
    read_fingerprint,
)
from data_collection.recordings.receipts import FINISHED, Receipt, read_receipt
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.stages import read_source_levels
from data_collection.recordings.store import Store
from data_collection.recordings.tier import LeftOut, Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.youtube.catalogue_rows import YouTubeRecording
from data_collection.youtube.discovery import CACHE
from data_collection.youtube.duplicates import (
    Candidate,
    Choice,
    DuplicateRow,
    TierName,
    choose,
    leaks,
)

DUPLICATES = "duplicates"
MATCHES = "matches"
SEARCHED = "matches_searched"
Tiers = Mapping[TierName, Tier]
Row = TypeVar("Row", bound=BaseModel)


class SearchedRow(BaseModel):
    """A recording as it was when copies of it were last searched for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(description="its tier's folder and its id")
    state: str = Field(description="its source's part and its fingerprint; changed means again")


@dataclass(frozen=True, slots=True)
class Present:
    """A recording of any tier as it is now, its fingerprint not read yet.

    Attributes:
        tier: whose it is.
        recording: its catalogue row.
        audio: the receipt of its audio, if that is done.
        fingerprint: the receipt of its fingerprint, if that is of this audio.
    """

    tier: Tier
    recording: Recording
    audio: Receipt | None
    fingerprint: Receipt | None

    @property
    def key(self) -> str:
        """Its name among all tiers' recordings."""
        return f"{'/'.join(self.tier.key_prefix)}/{self.recording.recording_id}"

    @property
    def searched(self) -> SearchedRow:
        """What a search for it depends on."""
        row = self.recording
        part = f"{row.cut_from or row.recording_id} {row.source_start_s} {row.source_end_s}"
        heard = self.fingerprint.fingerprint if self.fingerprint else "no fingerprint"
        return SearchedRow(key=self.key, state=f"{part} {heard}")


@dataclass(frozen=True, slots=True)
class Search:
    """What looking for copies gave.

    Attributes:
        choice: which recordings of T4 are kept, and why others are not.
        matches: all that any two recordings share.
        recordings: how many there are, by tier.
        with_fingerprint: how many of them could be listened to, by tier.
        asked: how many were searched for now; the others were before.
    """

    choice: Choice
    matches: Sequence[Match]
    recordings: Mapping[TierName, int]
    with_fingerprint: Mapping[TierName, int]
    asked: int


def search(store: Store, tiers: Tiers, log: Callable[[str], None] = lambda line: None) -> Search:
    """Search for copies among all tiers, and write what was found beside T4's catalogue.

    Only what is new or changed is searched for, against everything; what was found of the others
    still holds.

    Args:
        store: the data root.
        tiers: by name; T4 is one of them. One whose catalogue was never made has no recordings.
        log: is told how far it has come.

    Raises:
        SetupError: rows or a fingerprint cannot be read.
    """
    own = tiers["youtube"]
    present = {name: _present(store, tier) for name, tier in tiers.items()}
    everybody = [one for found in present.values() for one in found]
    before = {row.key: row for row in _rows(store, own, SEARCHED, SearchedRow)}
    now = {one.key: one.searched for one in everybody}
    asked = {key for key, row in now.items() if before.get(key) != row}
    still = now.keys() - asked
    matches = [
        match
        for match in _rows(store, own, MATCHES, Match)
        if match.recording in still and match.other in still
    ]
    if asked:
        matches += find_duplicates([_known(store, one) for one in everybody], asked, log=log)
    matches.sort(key=lambda match: (match.recording, match.other, match.start_s, match.offset_s))
    choice = choose(_candidates(store, present, matches), matches)
    # The marks last: whoever is stopped here searches again, and loses nothing.
    write_rows(store, _path(own, MATCHES), matches)
    write_rows(store, _path(own, DUPLICATES), choice.duplicates)
    write_rows(store, _path(own, SEARCHED), now.values())
    return Search(
        choice=choice,
        matches=matches,
        recordings={name: len(found) for name, found in present.items()},
        with_fingerprint={
            name: sum(one.fingerprint is not None for one in found)
            for name, found in present.items()
        },
        asked=len(asked),
    )


def read_left_out(store: Store) -> LeftOut:
    """Recordings of T4 that another stands for, by id.

    Raises:
        SetupError: `rows_missing`: copies were never searched for; `rows_unreadable`.
    """
    rows = read_rows(store, f"{CACHE}/{DUPLICATES}.jsonl", DuplicateRow)
    return {row.recording_id: f"{row.duplicate_of} of {row.tier}" for row in rows}


def read_copies(store: Store) -> list[tuple[str, str]]:
    """Keys of recordings of any tier that share a performance; none before the first search.

    Raises:
        SetupError: `rows_unreadable`.
    """
    path = f"{CACHE}/{MATCHES}.jsonl"
    rows = read_rows(store, path, Match) if store.path(path).exists() else []
    return sorted({(match.recording, match.other) for match in rows})


@dataclass(frozen=True, slots=True)
class LeakReport:
    """Whether T4 uses what another tier holds.

    Attributes:
        leaks: recordings that are used and must not be.
        not_compared: keys of recordings that nobody has listened to since they are there.
        compared: how many of T4's were held against how many of the other tier's.
    """

    leaks: Sequence[DuplicateRow]
    not_compared: Sequence[str]
    compared: tuple[int, int]


def find_leaks(store: Store, tiers: Tiers, used: Sequence[str], of: TierName) -> LeakReport:
    """Look for recordings of T4 that are used although another tier holds some of them.

    Made from the stored matches and from the metadata's rows, not from the choice.

    Args:
        store: the data root.
        tiers: by name.
        used: ids of T4 that have rows in its metadata.
        of: the other tier.

    Raises:
        SetupError: rows cannot be read, or copies were never searched for.
    """
    own = tiers["youtube"]
    wanted = set(used)
    mine = [one for one in _present(store, own) if one.recording.recording_id in wanted]
    others = [one for one in _present(store, tiers[of]) if one.audio is not None]
    searched = {row.key: row for row in read_rows(store, _path(own, SEARCHED), SearchedRow)}
    not_compared = [
        one.key
        for one in [*mine, *others]
        if one.fingerprint is None or searched.get(one.key) != one.searched
    ]
    matches = read_rows(store, _path(own, MATCHES), Match)
    candidates = _candidates(store, {"youtube": mine, of: _present(store, tiers[of])}, matches)
    return LeakReport(
        leaks=leaks(candidates, matches, wanted, tiers=(of,)),
        not_compared=not_compared,
        compared=(len(mine), len(others)),
    )


def _present(store: Store, tier: Tier) -> list[Present]:
    if not store.path(f"{tier.folder('recordings')}.jsonl").exists():
        return []
    return [_as_present(store, tier, row) for row in read_recordings(store, tier)]


def _as_present(store: Store, tier: Tier, recording: Recording) -> Present:
    audio, made = (
        read_receipt(store, tier.folder(stage), recording.recording_id)
        for stage in ("audio", FINGERPRINTS)
    )
    is_there = audio is not None and audio.state in FINISHED
    is_of_it = (
        is_there
        and audio is not None
        and made is not None
        and made.state in FINISHED
        and made.inputs.get("audio_sha256") == audio.outputs[0].sha256
        and store.path(fingerprint_path(tier, recording.recording_id)).exists()
    )
    return Present(tier, recording, audio if is_there else None, made if is_of_it else None)


def _known(store: Store, one: Present) -> Known:
    fingerprint = None
    if one.fingerprint is not None:
        fingerprint = read_fingerprint(store, one.tier, one.recording.recording_id)
    return Known("/".join(one.tier.key_prefix), one.recording, fingerprint)


def _candidates(
    store: Store, present: Mapping[TierName, Sequence[Present]], matches: Sequence[Match]
) -> list[Candidate]:
    """All recordings; the sound's quality only of those that are like another."""
    alike = {key for match in matches for key in (match.recording, match.other)}
    return [
        _with_quality(store, one, candidate) if one.key in alike else candidate
        for name, found in present.items()
        for one in found
        for candidate in [_candidate(one, name)]
    ]


def _candidate(one: Present, tier: TierName) -> Candidate:
    row = one.recording
    claimed_s = row.duration_s if row.cut_from is None else None
    decoded_s = one.audio.facts.get("duration_s") if one.audio else None
    return Candidate(
        key=one.key,
        recording_id=row.recording_id,
        tier=tier,
        duration_s=float(decoded_s) if decoded_s is not None else claimed_s,
        first_seen_at=row.first_seen_at if isinstance(row, YouTubeRecording) else None,
    )


def _with_quality(store: Store, one: Present, candidate: Candidate) -> Candidate:
    if one.audio is None:
        return candidate
    try:
        levels = read_source_levels(store, one.audio)
    except SetupError:  # the choice goes by what else is known
        return candidate
    clipped, bandwidth = levels["clipped_share"].mean(), levels["bandwidth_hz"].median()
    return replace(
        candidate,
        clipped_share=float(clipped) if isinstance(clipped, float) else None,
        bandwidth_hz=float(bandwidth) if isinstance(bandwidth, float) else None,
    )


def _rows(store: Store, tier: Tier, name: str, model: type[Row]) -> list[Row]:
    """Rows of an earlier search; none before the first."""
    path = _path(tier, name)
    return read_rows(store, path, model) if store.path(path).exists() else []


def _path(tier: Tier, name: str) -> str:
    return f"{tier.folder(name)}.jsonl"
