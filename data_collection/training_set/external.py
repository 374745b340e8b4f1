"""Folders that others fill: what lies in them, without touching it.

What belongs here: counting and hashing a folder's listing. What does not: reading its content
(`percepiano`). Content is not hashed: `pretrain_cache` alone is tens of gigabytes, and names and
sizes tell that something was replaced.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from data_collection.recordings.store import Store

EXTERNAL_FOLDERS = ("percepiano_cache", "composite_labels", "pretrain_cache", "masterclass_cache")
MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "modified")
"""What fsspec's file systems call the time of the last change."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What lies in a folder.

    Attributes:
        folder: below the data root.
        absent: it is not there; the rest is then empty.
        count: files, in all folders below it.
        size_bytes: of all of them.
        listing_sha256: of each file's path and size, sorted; None where absent.
        newest: when the last one was changed, in UTC; None where no file tells.
    """

    folder: str
    absent: bool
    count: int = 0
    size_bytes: int = 0
    listing_sha256: str | None = None
    newest: datetime | None = None

    def age_s(self, now: datetime) -> float | None:
        """Seconds since the last change; None where that is not known."""
        return (now - self.newest).total_seconds() if self.newest is not None else None


def observe(store: Store, folder: str) -> Observed:
    """Look at a folder below the data root; one that is not there is no error."""
    root = store.path(folder)
    if not root.is_dir():
        return Observed(folder, absent=True)
    base = root.path.rstrip("/")
    found = root.fs.find(base, detail=True)
    listing = sorted(
        (name.removeprefix(base).lstrip("/"), int(facts["size"] or 0))
        for name, facts in found.items()
    )
    changed = [at for facts in found.values() if (at := _changed_at(facts)) is not None]
    digest = hashlib.sha256("".join(f"{name}\t{size}\n" for name, size in listing).encode())
    return Observed(
        folder,
        absent=False,
        count=len(listing),
        size_bytes=sum(size for _, size in listing),
        listing_sha256=digest.hexdigest(),
        newest=max(changed, default=None),
    )


def _changed_at(facts: dict[str, object]) -> datetime | None:
    for name in MODIFIED:
        value = facts.get(name)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
    return None
