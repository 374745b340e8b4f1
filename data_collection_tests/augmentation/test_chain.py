"""The chain: the same bytes wherever, whenever and beside whatever a twin is made."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from data_collection.augmentation.chain import augment, draw, versions
from data_collection.augmentation.levels import SAMPLE_RATE_HZ, Samples, power
from data_collection.augmentation.parameters import Parameters
from data_collection.augmentation.recipe import Recipe, read_recipe
from data_collection.augmentation.rooms import Rooms, made_rooms
from data_collection.recordings.errors import SetupError

DEFAULT = read_recipe()
SEGMENTS = [f"yt_abcdefghijk_seg{index:04d}" for index in range(10)]

REMAKE = """
import hashlib, sys
from pathlib import Path
import numpy as np
from data_collection.augmentation.chain import augment
from data_collection.augmentation.parameters import Parameters
from data_collection.augmentation.rooms import made_rooms
clip = np.load(sys.argv[1])
for line in Path(sys.argv[2]).read_text().splitlines():
    twin = augment(clip, Parameters.model_validate_json(line), made_rooms())
    print(hashlib.sha256(twin.tobytes()).hexdigest())
"""
# What other processors do otherwise, asked of this one: numpy's and the C library's code for those
# without fused multiplication, AVX2 and AVX-512, and other numbers of threads.
MACHINES = {
    "same": {},
    "one_thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "salted": {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "5"},
    "old_processor": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512_SKX AVX512_ICL",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-FMA,-FMA4,-AVX",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "no_avx512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512F AVX512_SKX AVX512_ICL AVX512_SPR"},
}


def all_effects() -> Recipe:
    """The bundled recipe with every effect in every twin."""
    every = tuple(effect.model_copy(update={"probability": 1.0}) for effect in DEFAULT.effects)
    return DEFAULT.model_copy(update={"effects": every})


def sha256(samples: Samples) -> str:
    return hashlib.sha256(samples.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def clip(piano: Samples) -> Samples:
    return np.ascontiguousarray(piano[: 4 * SAMPLE_RATE_HZ])


@pytest.fixture(scope="module")
def drawn(rooms: Rooms) -> list[Parameters]:
    return [draw(all_effects(), segment, 1, rooms) for segment in SEGMENTS]


@pytest.fixture(scope="module")
def expected(clip: Samples, drawn: list[Parameters], rooms: Rooms) -> list[str]:
    return [sha256(augment(clip, parameters, rooms)) for parameters in drawn]


@pytest.mark.parametrize("machine", MACHINES)
def test_another_process_makes_the_same_bytes_from_the_stored_line(
    machine: str,
    clip: Samples,
    drawn: list[Parameters],
    expected: list[str],
    tmp_path: Path,
) -> None:
    """Audio of twins is not kept: whoever doubts an embedding must be able to hear its twin again.

    numpy's complex product, `scipy.signal.oaconvolve` and vectorised sines failed this.
    """
    np.save(tmp_path / "clip.npy", clip)
    lines = tmp_path / "pairs.jsonl"
    lines.write_text("\n".join(parameters.model_dump_json() for parameters in drawn))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REMAKE, str(tmp_path / "clip.npy"), str(lines)],
        env={**os.environ, **MACHINES[machine]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == expected


def test_threads_and_order_change_nothing(
    clip: Samples, drawn: list[Parameters], expected: list[str]
) -> None:
    """Twins of a batch are made in whatever order its threads come to them."""
    rooms = made_rooms()  # cold: threads make the rooms at once, too
    order = list(range(len(drawn))) * 2
    random.Random(1).shuffle(order)  # noqa: S311
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda index: sha256(augment(clip, drawn[index], rooms)), order)
        assert [expected[index] for index in order] == list(made)


def test_the_draw_is_what_it_was_when_the_version_was_given(rooms: Rooms) -> None:
    """A changed draw under an old version makes stored parameters and receipts untrue.

    If this fails on purpose, raise the recipe's version and write down the new hash.
    """
    lines = "\n".join(draw(DEFAULT, s, 1, rooms).model_dump_json() for s in SEGMENTS)
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == "c6c7e66298626e96"


def test_a_twin_is_within_its_peak_and_unlike_its_clip(
    clip: Samples, drawn: list[Parameters], rooms: Rooms
) -> None:
    """The loudest clip, every effect: no sample is cut off, and the music is still there."""
    loud = clip / np.abs(clip).max()
    for parameters in drawn:
        twin = augment(loud, parameters, rooms)
        assert np.abs(twin).max() <= 10 ** (-0.1 / 20) + 1e-7
        assert power(twin - loud) > 1e-3 * power(loud)
        assert power(twin) > 0.01 * power(loud)


def test_the_clip_itself_is_not_changed(
    clip: Samples, drawn: list[Parameters], rooms: Rooms
) -> None:
    """Clip and twin go to the encoder side by side."""
    before = clip.copy()
    for parameters in drawn:
        augment(clip, parameters, rooms)
    assert np.array_equal(clip, before)


def test_a_twin_whose_room_is_gone_is_not_made(clip: Samples, drawn: list[Parameters]) -> None:
    """In another room it would be another twin under the same parameters."""
    gone = next(twin for twin in drawn if "made:1:000" not in twin.model_dump_json())
    with pytest.raises(SetupError, match="not among the 1 at hand"):
        augment(clip, gone, made_rooms(1))


def test_versions_name_what_bytes_depend_on() -> None:
    """A receipt without them would keep twins that another scipy makes otherwise."""
    assert set(versions()) == {"augmentation", "numpy", "scipy", "soxr"}
