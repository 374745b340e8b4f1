"""T2 on real input: the real roster, real titles of 2021, real short recordings as media."""

from __future__ import annotations

import io
import json
from itertools import cycle
from pathlib import Path

import pytest
import torch
import yaml

from data_collection.competition.editions import BUNDLED_EDITIONS, read_edition
from data_collection.sample.server import Video, serve
from data_collection_tests.river import River, river

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL_TITLES = SHARED / "chopin2021" / "peer_recordings.jsonl"
MEDIA = ("cut_bach.mp3", "cut_liszt.mp3", "percepiano_Beethoven_WoO80_var27_8bars_3_15.wav")
PLACES = {
    "Bruce (Xiaoyu) Liu": 1,
    "Alexander Gadjiev": 2,
    "Kyohei Sorita": 2,
    "Aimi Kobayashi": 4,
    "Jakub Kuszlik": 4,
    "Leonora Armellini": 5,
    "J J Jun Li Bui": 6,
    "Eva Gevorgyan": 7,
    "Hyuk Lee": 7,
    "Kamil Pacholec": 7,
    "Hao Rao": 7,
}


def _videos() -> list[Video]:
    media = cycle(SHARED / "audio" / name for name in MEDIA)
    videos = []
    for line in REAL_TITLES.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        title = row["piece"]
        if "–" not in title:  # that collector kept only what followed the name
            title = f"{row['performer'].upper()} – {title}"
        videos.append(Video(row["source_url"].rsplit("=", 1)[1], title, next(media)))
    return videos


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The 66 listed videos of 33, collected once through the whole river."""
    if not REAL_TITLES.is_file():
        pytest.skip(f"real inputs are not here ({REAL_TITLES}): beside the checkout, unshipped")
    root = tmp_path_factory.mktemp("real")
    videos = _videos()
    with serve(videos, title="a channel") as site:
        edition = yaml.safe_load((BUNDLED_EDITIONS / "chopin2021.yaml").read_text("utf-8"))
        edition = {**edition, "channel": site.feed_url, "playlists": {}}
        (root / "edition.yaml").write_text(yaml.safe_dump(edition), encoding="utf-8")
        roster = (BUNDLED_EDITIONS / "chopin2021.csv").read_bytes()
        (root / "chopin2021.csv").write_bytes(roster)
        with river(root / "edition.yaml", root) as opened:
            opened.collect()
            yield opened


def test_all_performers_have_their_true_places(collected: River) -> None:
    """Places come from the roster, ties and all; guards places counted in the order of a list."""
    rows = [item.recording.model_dump() for item in collected.standings().values()]
    assert {row["performer"]: row["placement"] for row in rows} == PLACES


def test_each_video_is_one_recording(collected: River) -> None:
    """66 listed entries are 33 recordings, 11 a round; guards every video being taken twice."""
    found = collected.standings()
    assert len(found) == len(collected.keys()) == 33
    rounds = [item.recording.model_dump()["round"] for item in found.values()]
    assert {round_: rounds.count(round_) for round_ in rounds} == {
        "stage2": 11,
        "stage3": 11,
        "final": 11,
    }
    assert set(found) == {video.id for video in _videos()}


def test_embeddings_are_on_disk_for_all(collected: River) -> None:
    """Each recording is done, and each clip has a finite tensor that training code opens."""
    assert {item.state for item in collected.standings().values()} == {"done"}
    lines = collected.store.path("competition_cache/chopin2021/metadata.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    assert len(rows) == 44, "11 of 20 s, 11 of 40 s (two clips) and 11 of 14 s"
    for row in rows:
        content = collected.store.path(row["embedding_path"]).read_bytes()
        tensor = torch.load(io.BytesIO(content), weights_only=True)
        assert tensor.dtype == torch.float16
        assert tensor.shape == (row["embedding_frames"], row["embedding_width"])
        assert torch.isfinite(tensor).all()
        assert row["piece"] is None, "a title is not a piece"


def test_the_roster_adds_up(collected: River) -> None:
    """87, 45, 23 and 12 were admitted, and the three recalled rows stay flagged."""
    evaluation = collected.check("results", "results_add_up")
    assert evaluation.passed
    counts = [
        evaluation.metadata[f"admitted_{round_id}"].value
        for round_id in ("stage1", "stage2", "stage3", "final")
    ]
    assert counts == [87, 45, 23, 12]
    assert evaluation.metadata["recalled_rows"].value == 3


def test_the_bundled_edition_lists_four_playlists() -> None:
    """The shipped edition names a playlist for each round; guards a lost address."""
    edition = read_edition(BUNDLED_EDITIONS / "chopin2021.yaml")
    assert set(edition.playlists) == set(edition.round_ids)
