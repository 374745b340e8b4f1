"""Tombstones: sources that were taken out of the collection and must not be fetched again.

What belongs here: the rows of `tombstones.jsonl` under the data root, and whether a recording is of
such a source. What does not: taking a source out (`purge`). The file holds ids, addresses, a date
and a reason, and nothing that was made of a source; deleting a line lets its source in again.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from data_collection.recordings.errors import SetupError
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier_rows import Recording

TOMBSTONES = "tombstones.jsonl"


class Tombstone(BaseModel):
    """A row of `tombstones.jsonl`: a source that was purged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_id: str = Field(description="the source's own id")
    recording_ids: tuple[str, ...] = Field(
        min_length=1, description="of the whole original and of all parts cut from it, sorted"
    )
    source_urls: tuple[str, ...] = Field(description="where it was fetched from, sorted")
    purged_at: AwareDatetime = Field(description="when it was purged first")
    reason: str = Field(min_length=1, description="why, in a person's words")

    def is_of(self, recording: Recording) -> bool:
        """Whether a recording is of this source, also one that nobody had cut from it before."""
        return (
            not {recording.recording_id, recording.cut_from}.isdisjoint(self.recording_ids)
            or recording.source_url in self.source_urls
        )


def read_tombstones(store: Store) -> list[Tombstone]:
    """All tombstones, in the order in which they were made; none where nothing was ever purged.

    Raises:
        SetupError: `rows_unreadable`, naming the line. Nothing may be fetched then: the line may be
            the one that forbids it.
    """
    if not store.path(TOMBSTONES).exists():
        return []
    return read_rows(store, TOMBSTONES, Tombstone)


def write_tombstones(store: Store, tombstones: Sequence[Tombstone]) -> None:
    """Write them whole."""
    write_rows(store, TOMBSTONES, tombstones)


def refuse_purged(store: Store, recording: Recording) -> None:
    """Make sure that a recording's source was not purged; asks no network.

    Raises:
        SetupError: `purged`, which costs the recording no attempt and keeps no other from being
            fetched; `rows_unreadable`.
    """
    found = next((one for one in read_tombstones(store) if one.is_of(recording)), None)
    if found is not None:
        raise SetupError(
            "purged",
            f"{recording.recording_id}: its source {found.source_id} was purged on "
            f"{found.purged_at:%Y-%m-%d} ({found.reason}) and is not fetched again; to let it in, "
            f"take its line out of {store.path(TOMBSTONES)}",
            stops_batch=False,
        )
