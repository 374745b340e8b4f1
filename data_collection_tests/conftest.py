"""Media that several tests share, encoded once a session from the shipped sample recordings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
import stamina
from hypothesis import settings

from data_collection.recordings.store import Store
from data_collection.recordings.tier import Catalogue, Tier
from data_collection.recordings.tier_rows import Recording, SegmentRow
from data_collection.sample.media import AUDIO, Container, encode
from data_collection.sample.server import Site, Video, serve

# A lab's proxy does not know this machine's loopback.
for _name in ("NO_PROXY", "no_proxy"):
    os.environ[_name] = "127.0.0.1,localhost"

# The same examples everywhere, and no time limit: a busy machine is no failure.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")

LONGEST = (
    "test_demo.py",
    "test_river.py",
    "test_headless.py",
    "test_river_of_maestro.py",
    "test_nights_in_dagster.py",
    "test_teacher_in_dagster.py",
)
"""Files that take minutes; last, one of them would keep one process busy and the other idle."""

SAMPLE_NAMES = ("stage1_sol", "final_okafor")
EXCERPT_S = 8.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files where several processes share them; alone, they come last."""
    shared = os.environ.get("PYTEST_XDIST_WORKER") is not None
    order = {name: at - len(LONGEST) if shared else at + 1 for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, 0))


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two excerpts of 8 s as `<name>.wav` (24 bits, the reference) and in all four containers."""
    folder = tmp_path_factory.mktemp("media")
    for name in SAMPLE_NAMES:
        source = AUDIO / f"{name}.opus"
        rate_hz = soundfile.info(source).samplerate
        samples, _ = soundfile.read(source, frames=round(EXCERPT_S * rate_hz), dtype="float64")
        reference = folder / f"{name}.wav"
        if samples.ndim == 1:
            samples = np.column_stack([samples, samples])
        soundfile.write(reference, samples, rate_hz, subtype="PCM_24")
        for container in get_args(Container):
            encode(reference, folder / f"{name}.{container}", container)
    return folder


@pytest.fixture(scope="session")
def loopback(media_folder: Path) -> Iterator[Site]:
    """One running channel for the session; a test puts its own videos into `videos`."""
    first = Video(id="first", title="First", media=media_folder / f"{SAMPLE_NAMES[0]}.flac")
    with serve([first], title="Loopback") as site:
        yield site


@pytest.fixture
def quick_retries() -> Iterator[None]:
    """Retries without their pauses, never more than the code asks for."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A data root of the test's own."""
    return Store.at(str(tmp_path / "root"))


@pytest.fixture
def tier() -> Tier:
    """A tier with an empty catalogue, for stages that are called one by one."""
    return Tier(
        key_prefix=("t9_made",),
        group="t9_made",
        label="Made",
        partitions_name="t9_made",
        recording_model=Recording,
        row_model=SegmentRow,
        find_recordings=lambda _: Catalogue(recordings=()),
    )
