"""Partition keys: what they may look like, and that the registered ones are the catalogue's."""

from __future__ import annotations

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.partitions import PARTITION_KEY, check_partition_keys, register_partitions
from data_collection.recordings.listing import recording_id_for

PARTITIONS = dg.DynamicPartitionsDefinition(name="tier")


@pytest.mark.parametrize("key", ["", "a/b", "..", "a b", "é", "-a", "a" * 129, "a\n", "a.b", "a,b"])
def test_unsafe_keys_are_refused(key: str) -> None:
    """A key is a file name on every system; Dagster itself would take all of these."""
    with pytest.raises(ValueError, match="not usable"):
        check_partition_keys([key])


def test_a_key_twice_is_refused() -> None:
    """Two recordings of one name would share a file."""
    with pytest.raises(ValueError, match="stand twice: b"):
        check_partition_keys(["a", "b", "b"])


@given(source_id=st.text(max_size=80), is_youtube=st.booleans(), stated=st.booleans())
def test_any_source_id_makes_a_safe_key(source_id: str, is_youtube: bool, stated: bool) -> None:
    """A guid may hold anything; guards a recording that cannot be registered or stored."""
    key = recording_id_for(
        source_id=source_id,
        url=f"http://host.example/{source_id}",
        is_youtube=is_youtube,
        id_is_stated=stated,
    )
    assert PARTITION_KEY.fullmatch(key)


def test_registration_follows_the_catalogue() -> None:
    """New keys are added in order, in chunks; a key that left is taken out, the rest untouched."""
    instance = dg.DagsterInstance.ephemeral()
    keys = [f"k{index:04d}" for index in range(1201)]
    added, removed = register_partitions(instance, PARTITIONS, keys)
    assert (added, removed) == (keys, [])
    assert list(instance.get_dynamic_partitions("tier")) == keys
    added, removed = register_partitions(instance, PARTITIONS, [*keys[1:], "new"])
    assert (added, removed) == (["new"], ["k0000"])
    assert list(instance.get_dynamic_partitions("tier")) == [*keys[1:], "new"]
