"""How fast, and how long still: the arithmetic that a person plans a night by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.embedding.progress import Amount, EmbeddingProgress, Pace


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def test_pace_and_what_is_left() -> None:
    """Clips a second, hours an hour and the time left follow from what was done since it began.

    Guards against an estimate by recordings, of which one lasts ten minutes and one an hour.
    """
    clock = Clock()
    progress = EmbeddingProgress({"a": Amount(4, 120.0), "b": Amount(6, 155.0)}, clock)
    clock.now_s += 60  # reading the catalogue and loading the model are no part of the pace
    progress.began("a", Amount(4, 120.0))
    clock.now_s += 10
    progress.embedded("a", Amount(2, 60.0))
    pace = progress.pace()
    assert (pace.done, pace.to_do, pace.elapsed_s) == (Amount(2, 60.0), Amount(8, 215.0), 10.0)
    assert (pace.clips_per_second, pace.audio_hours_per_hour) == (0.2, 6.0)
    assert pace.remaining_s == pytest.approx(215 / 6)
    assert str(pace) == "2 of 10 clips, 0.20 clips/s, 6.0 hours of audio an hour, 0:00:36 left"


def test_nothing_done_is_no_division_by_zero() -> None:
    """Before the first clip there is no estimate, and no error; guards the first 30 seconds."""
    progress = EmbeddingProgress({"a": Amount(4, 120.0)})
    assert str(progress.pace()) == "0 of 4 clips"
    assert progress.pace().remaining_s is None
    assert str(EmbeddingProgress({}).pace()) == "0 of 0 clips"
    assert Pace(Amount(), Amount(), 0.0).clips_per_second == 0.0


def test_what_was_done_before_counts_as_nothing() -> None:
    """Clips of an earlier run are neither done nor to do; guards a pace of a thousand clips/s."""
    clock = Clock()
    progress = EmbeddingProgress({"a": Amount(10, 300.0), "b": Amount(10, 300.0)}, clock)
    progress.ended("a")  # its receipt held
    progress.began("b", Amount(3, 90.0))  # seven were kept
    clock.now_s += 3
    progress.embedded("b", Amount(1, 30.0))
    assert progress.pace().done == Amount(1, 30.0)
    assert progress.pace().to_do == Amount(2, 60.0)
    progress.ended("b")  # the other two failed
    assert progress.pace().to_do == Amount()
    assert progress.pace().remaining_s == 0.0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_counts_from_many_threads_add_up(clips: list[int]) -> None:
    """Nothing is lost between threads, and all done is nothing left, whatever the recordings."""
    planned = {str(key): Amount(count, 30.0 * count) for key, count in enumerate(clips)}
    progress = EmbeddingProgress(planned)

    def embed(key: str) -> None:
        progress.began(key, planned[key])
        for _ in range(planned[key].clips):
            progress.embedded(key, Amount(1, 30.0))
        progress.ended(key)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(embed, planned))
    pace = progress.pace()
    assert (pace.done, pace.to_do) == (Amount(sum(clips), 30.0 * sum(clips)), Amount())
