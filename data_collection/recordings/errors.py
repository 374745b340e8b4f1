"""Who is at fault when a recording is not done: the item, the world, or us.

What belongs here: the exception classes and the reasons they carry. What does not: recognising a
reason in a library's message (`fetch_errors`), and deciding when to try again.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RecordingError(Exception):
    """A recording is not done.

    Attributes:
        reason: a short class such as `private` or `truncated`, the same for every such case.
        detail: what happened, in words, naming the thing and what to do.
        stops_batch: whether trying the next recording would only make it worse.
    """

    stops_batch: bool = False

    def __init__(self, reason: str, detail: str, *, stops_batch: bool | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        if stops_batch is not None:
            self.stops_batch = stops_batch


class CatalogueError(Exception):
    """A tier's catalogue cannot be made; nothing may be concluded from that."""


class ItemError(RecordingError):
    """The item is at fault: it is removed, private, corrupt. Counts as an attempt."""


class WorldError(RecordingError):
    """The world is at fault: the network, a rate limit. Costs the item no attempt."""


class NotAskedError(WorldError):
    """Nothing was asked of the source, so nothing new is known of the item."""


class SetupError(RecordingError):
    """We are at fault: a full disk, a missing tool or model. Costs the item no attempt."""

    stops_batch = True


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def room_on(place: Path | str) -> Iterator[None]:
    """Turn 'no space left' (also a quota or a file-size limit) into a `SetupError`.

    Raises:
        SetupError: with reason `disk_full`, naming the place.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise disk_full(place, error) from error
        raise


def disk_full(place: Path | str, error: object) -> SetupError:
    """The error for a place with no room left."""
    return SetupError(
        "disk_full",
        f"no room to write under {place} ({error}); free some space or point "
        "DATA_COLLECTION_ROOT at a larger disk, then run the same again: what is done is kept",
    )
