"""Dynamic partitions by recording, and the grammar of their keys.

What belongs here: what a key may look like (Dagster checks nothing) and registering keys. What does
not: which recordings there are (each tier's catalogue).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import dagster as dg

PARTITION_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
REGISTRATION_CHUNK = 500
"""Keys added in one transaction; 10,000 at once hold the database's lock too long."""


def check_partition_keys(keys: Sequence[str]) -> None:
    """Make sure that keys are safe file names and stand once.

    Raises:
        ValueError: naming the offending keys.
    """
    bad = [key for key in keys if not PARTITION_KEY.fullmatch(key)]
    if bad:
        raise ValueError(f"not usable as recording ids: {', '.join(map(repr, bad[:5]))}")
    if len(set(keys)) != len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"recording ids that stand twice: {', '.join(twice[:5])}")


def register_partitions(
    instance: dg.DagsterInstance, partitions: dg.DynamicPartitionsDefinition, keys: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Make a tier's registered keys equal to its catalogue's.

    A key that left the catalogue is taken out, so that no backfill fails over it; its artifacts and
    receipts stay.

    Returns:
        Keys that were added and keys that were taken out.

    Raises:
        ValueError: a key is no safe file name, or stands twice.
    """
    check_partition_keys(keys)
    if partitions.name is None:
        raise ValueError("a tier's partitions need a name")
    known = set(instance.get_dynamic_partitions(partitions.name))
    added = [key for key in keys if key not in known]
    removed = sorted(known - set(keys))
    for start in range(0, len(added), REGISTRATION_CHUNK):
        instance.add_dynamic_partitions(partitions.name, added[start : start + REGISTRATION_CHUNK])
    for key in removed:
        instance.delete_dynamic_partition(partitions.name, key)
    return added, removed
