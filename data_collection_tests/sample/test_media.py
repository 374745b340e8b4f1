"""The sample's media: real files in four containers, as the other tests rely on."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import av
import pytest

from data_collection.sample.media import CODECS, Container, duration_s, encode


@pytest.mark.parametrize("container", get_args(Container))
def test_media_are_what_they_claim(media_folder: Path, container: Container) -> None:
    """Each file holds its codec, in stereo, at its rate, as long as its source.

    Guards against a fixture that tests four times the same container.
    """
    path = media_folder / f"stage1_sol.{container}"
    codec, rate_hz = CODECS[container]
    with av.open(str(path)) as opened:
        stream = opened.streams.audio[0]
        found = stream.codec_context.name
        assert found in {codec, codec.removeprefix("lib"), "mp3float", "mp3", "opus"}
        assert (stream.rate, stream.channels) == (rate_hz, 2)
    assert duration_s(path) == pytest.approx(8.0, abs=0.1)


def test_an_existing_target_is_left(media_folder: Path, tmp_path: Path) -> None:
    """Encoding twice keeps the first file, and no unfinished one stays.

    Guards against a demo that encodes for half a minute on each start.
    """
    target = tmp_path / "new" / "a.flac"
    encode(media_folder / "stage1_sol.wav", target, "flac")
    before = target.stat()
    assert encode(media_folder / "final_okafor.wav", target, "flac") == target
    assert (target.stat().st_mtime_ns, target.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert [path.name for path in target.parent.iterdir()] == ["a.flac"]
