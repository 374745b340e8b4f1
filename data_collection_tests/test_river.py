"""The river, end to end in process: real Dagster, yt-dlp, decoders and MuQ, good and bad input."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file

from data_collection.embedding.resources import MuQResource
from data_collection.recordings.receipts import read_receipt
from data_collection.recordings.resources import ClipGridResource
from data_collection.sample.media import AUDIO, encode
from data_collection.sample.server import Fault, Site, Video, serve
from data_collection.sample.world import CHECKPOINT
from data_collection_tests.river import STAGES, River, river, write_edition

RATE_HZ = 44_100
ROSTER = "performer,country,reached_stage,prize\n" + "".join(
    f"{name},Nowhere,{'final' if prize else 'stage1'},{prize}\n"
    for name, prize in (
        ("Ada Quill", 1),
        ("Ben Rook", 2),
        ("Cleo Stern", 2),
        ("Dov Tamar", ""),
        ("Eve Umber", ""),
        ("Fay Vance", ""),
        ("Gus Wynn", ""),
        ("Hal Xeno", ""),
        ("Ivy Yarrow", ""),
        ("Jon Zabel", ""),
    )
)
FAULTS: dict[str, tuple[str, Fault | None, str, str]] = {
    # source id: (performer, fault, state, reason)
    "gone": ("Dov Tamar", "gone", "failed", "removed"),
    "forbidden": ("Eve Umber", "forbidden", "failed", "login_required"),
    "geo": ("Fay Vance", "geo_blocked", "failed", "geo_blocked"),
    "half": ("Gus Wynn", "truncated", "failed", "truncated"),
    "garbage": ("Hal Xeno", "garbage", "failed", "corrupt_audio"),
    "empty": ("Ivy Yarrow", "empty", "failed", "*"),
    "short": ("Jon Zabel", None, "filtered", "no_usable_clip"),
    "quiet": ("Cleo Stern", None, "filtered", "no_usable_clip"),
}
GOOD = {"good1": "Ada Quill", "good2": "Ben Rook"}


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short media: two of real piano, one of half a second, one of near silence."""
    folder = tmp_path_factory.mktemp("media")
    for name, source in (("good1", "stage1_sol"), ("good2", "final_okafor")):
        encode(AUDIO / f"{source}.opus", folder / f"{source}.flac", "flac")
        samples, rate_hz = soundfile.read(folder / f"{source}.flac")
        soundfile.write(folder / f"{name}.flac", samples[: 36 * rate_hz], rate_hz)
    rng = np.random.default_rng(7)
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ // 2) / RATE_HZ)
    soundfile.write(folder / "short.wav", tone, RATE_HZ)
    soundfile.write(folder / "quiet.wav", 1e-5 * rng.standard_normal(12 * RATE_HZ), RATE_HZ)
    return folder


def _videos(media: Path) -> list[Video]:
    good = [
        Video(id_, f"{name} – first round", media / f"{id_}.flac") for id_, name in GOOD.items()
    ]
    bad = [
        Video(
            id_,
            f"{name} – first round",
            media / {"short": "short.wav", "quiet": "quiet.wav"}.get(id_, "good1.flac"),
            fault=fault,
        )
        for id_, (name, fault, _, _) in FAULTS.items()
    ]
    other = Video("other", "Zed Nobody – first round", media / "good1.flac")
    return [good[0], *bad[:4], good[1], *bad[4:], other, good[0]]


@pytest.fixture(scope="module")
def world(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[River, Site]]:
    """The river after one collection of a channel with eight bad videos among ten."""
    root = tmp_path_factory.mktemp("river")
    with serve(_videos(media), title="Test") as site:
        edition = write_edition(root, site.feed_url, ROSTER)
        with river(edition, root) as opened:
            opened.collect()
            yield opened, site


def test_each_bad_video_has_its_state_and_reason(world: tuple[River, Site]) -> None:
    """Every bad input ends with its own reason; guards a failure that is lost or renamed."""
    found = world[0].standings()
    for source_id, (_, _, state, reason) in FAULTS.items():
        assert found[source_id].state == state, (source_id, found[source_id])
        assert reason in ("*", found[source_id].reason), (source_id, found[source_id].detail)
        assert found[source_id].detail, f"{source_id} must say what happened"


def test_the_good_ones_go_on(world: tuple[River, Site]) -> None:
    """Bad neighbours stop nobody; guards a range run that loses its good recordings."""
    opened, _ = world
    found = opened.standings()
    assert {source_id for source_id, item in found.items() if item.state == "done"} == set(GOOD)
    ids = {source_id: item.recording.recording_id for source_id, item in found.items()}
    finished = {ids[source_id] for source_id in (*GOOD, "short", "quiet")}
    for stage in STAGES:
        assert opened.materialized(stage) == finished, stage


def test_what_matched_nobody_is_kept_with_its_reason(world: tuple[River, Site]) -> None:
    """An unmatched title is a row with candidates, not a silent loss, and is not registered."""
    opened, _ = world
    path = opened.store.path("competition_cache/test2021/unmatched.jsonl")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [(row["source_id"], bool(row["candidates"])) for row in rows] == [("other", True)]
    assert rows[0]["reason"]
    assert len(opened.keys()) == len(GOOD) + len(FAULTS)


def test_metadata_has_only_what_is_embedded(world: tuple[River, Site]) -> None:
    """36 s give a clip of 30 s and a tail of 6 s each; filtered and failed ones give no row."""
    opened, _ = world
    path = opened.store.path("competition_cache/test2021/metadata.jsonl")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [(row["performer"], row["segment_start"], row["segment_end"]) for row in rows] == [
        ("Ada Quill", 0.0, 30.0),
        ("Ada Quill", 30.0, 36.0),
        ("Ben Rook", 0.0, 30.0),
        ("Ben Rook", 30.0, 36.0),
    ]
    assert [row["placement"] for row in rows] == [1, 1, 2, 2]
    for name in ("rows_have_the_schema", "every_segment_has_its_embedding"):
        assert opened.check("metadata", name).passed


def test_a_second_run_redoes_only_what_is_not_done(world: tuple[River, Site], media: Path) -> None:
    """Done and filtered recordings are not fetched again, and a repaired one now comes through."""
    opened, site = world
    found = opened.standings()
    embeddings = opened.store.path("competition_cache/test2021/muq_embeddings")
    written = {path.name: path.stat().st_mtime_ns for path in embeddings.glob("*.pt")}
    site.videos["gone"] = Video("gone", "Dov Tamar – first round", media / "good1.flac")
    site.requests.clear()
    opened.collect()
    asked = {path.split("/")[2].split(".")[0] for path in site.requests if "media" in path}
    finished = {*GOOD, "short", "quiet"}
    assert asked == set(FAULTS) - finished, "only what was not finished is asked for"
    now = opened.standings()
    assert now["gone"].state == "done"
    assert now["gone"].receipts["audio"].attempts == 2
    assert now["half"].receipts["audio"].attempts == 2
    for source_id in finished:
        assert now[source_id].receipts == found[source_id].receipts
    for name, mtime_ns in written.items():
        assert (embeddings / name).stat().st_mtime_ns == mtime_ns, f"{name} was written again"


def test_a_failing_listing_changes_nothing(world: tuple[River, Site]) -> None:
    """A listing that cannot be read is not an empty one: rows and partitions stay as they were."""
    opened, site = world
    path = opened.store.path("competition_cache/test2021/recordings.jsonl")
    before, keys = path.read_bytes(), opened.keys()
    site.feed_fault = 503
    try:
        assert not opened.materialize("recordings").success
    finally:
        site.feed_fault = None
    assert path.read_bytes() == before
    assert opened.keys() == keys


def test_a_video_that_is_no_longer_listed_is_kept(world: tuple[River, Site]) -> None:
    """What the source removes from its listing stays in the catalogue, marked."""
    opened, site = world
    video = site.videos.pop("good2")
    try:
        assert opened.materialize("recordings").success
        row = opened.standings()["good2"].recording.model_dump()
        assert row["listed"] is False
        assert opened.standings()["good2"].state == "done"
    finally:
        site.videos["good2"] = video
        assert opened.materialize("recordings").success
    assert opened.standings()["good2"].recording.model_dump()["listed"] is True


def test_a_damaged_embedding_is_found(world: tuple[River, Site]) -> None:
    """The completeness check fails where a file is cut or gone; guards a check that cannot fail."""
    opened, _ = world
    item = opened.standings()["good1"]
    output = item.receipts["muq_embeddings"].outputs[0]
    path = opened.store.path(output.path)
    whole = path.read_bytes()
    try:
        for damage in (whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1]), None):
            path.unlink(missing_ok=True)
            if damage is not None:
                path.write_bytes(damage)
            opened.materialize("metadata")
            assert not opened.check("metadata", "every_segment_has_its_embedding").passed
    finally:
        path.write_bytes(whole)
    opened.materialize("metadata")
    assert opened.check("metadata", "every_segment_has_its_embedding").passed


def test_another_checkpoint_embeds_anew(world: tuple[River, Site], tmp_path: Path) -> None:
    """The weights are part of the fingerprint; guards embeddings of two models in one folder."""
    opened, _ = world
    weights = load_file(CHECKPOINT / "model.safetensors")
    changed = {name: np.asarray(values * 1.01, values.dtype) for name, values in weights.items()}
    save_file(changed, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((CHECKPOINT / "config.json").read_bytes())
    item = opened.standings()["good1"]
    recording_id = item.recording.recording_id
    resources = opened.definitions.resources
    assert isinstance(resources, dict)
    original = resources["muq"]
    try:
        resources["muq"] = MuQResource(checkpoint=str(tmp_path), device="cpu")
        assert opened.materialize("muq_embeddings", keys=[recording_id]).success
        folder = "competition_cache/test2021/muq_embeddings"
        receipt = read_receipt(opened.store, folder, recording_id)
        assert receipt is not None
        assert receipt.fingerprint != item.receipts["muq_embeddings"].fingerprint
        assert receipt.outputs[0].sha256 != item.receipts["muq_embeddings"].outputs[0].sha256
    finally:
        resources["muq"] = original
        assert opened.materialize("muq_embeddings", keys=[recording_id]).success


def test_a_missing_checkpoint_blocks_without_costing_an_attempt(
    media: Path, tmp_path: Path
) -> None:
    """A missing model is our fault: the run says which folder, and items keep their attempts."""
    video = Video("good1", "Ada Quill – first round", media / "good1.flac")
    with serve([video], title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path, checkpoint=tmp_path / "nowhere") as opened:
            assert opened.materialize("results", "recordings").success
            for stage in STAGES[:2]:
                assert opened.materialize(stage, keys=opened.keys()).success
            failed = opened.materialize("muq_embeddings", keys=opened.keys())
            assert not failed.success
            item = opened.standings()["good1"]
            assert (item.state, item.reason) == ("blocked", "checkpoint_missing")
            assert str(tmp_path / "nowhere") in str(item.detail)
            assert item.receipts["muq_embeddings"].attempts == 0


def test_a_rate_limit_stops_the_batch_and_costs_nothing(media: Path, tmp_path: Path) -> None:
    """After a 429 the rest is not asked for; guards hammering a source that said no."""
    names = ("Ada Quill", "Ben Rook", "Cleo Stern")
    videos = [
        Video(
            f"v{index}",
            f"{name} – first round",
            media / "good1.flac",
            fault="rate_limited" if index == 1 else None,
        )
        for index, name in enumerate(names)
    ]
    with serve(videos, title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            assert not opened.materialize("audio", keys=opened.keys()).success
            found = opened.standings()
            assert found["v0"].receipts["audio"].state == "done"
            assert (found["v1"].state, found["v1"].reason) == ("blocked", "too_many_requests")
            assert found["v1"].receipts["audio"].attempts == 0
            assert found["v2"].state == "missing"
            assert not any("v2" in path for path in site.requests)


@pytest.mark.parametrize(
    ("roster", "said"),
    [
        (ROSTER + "Quill Ada,Nowhere,stage1,\n", "stands twice"),
        (ROSTER.replace("Ada Quill,Nowhere,final", "Ada Quill,Nowhere,finals"), "no round"),
        (ROSTER.replace(",prize", ",award"), "no column prize"),
        (ROSTER.replace("final,1", "final,first"), "prize"),
        ("performer,country,reached_stage,prize\n", "no competitors"),
    ],
)
def test_a_wrong_roster_stops_the_catalogue(roster: str, said: str, tmp_path: Path) -> None:
    """A roster that cannot be right fails `results` with the line; nothing is matched to it."""
    edition = write_edition(tmp_path, "http://127.0.0.1:9/nothing.rss", roster)
    with river(edition, tmp_path) as opened:
        result = opened.materialize("results", "recordings")
        assert not result.success
        failures = [event for event in result.all_events if event.is_step_failure]
        assert [event.step_key.rsplit("__", 1)[-1] for event in failures] == ["results"]
        assert said in str(failures[0].step_failure_data.user_failure_data.description)


def test_a_wrong_count_blocks_the_catalogue_and_a_withheld_prize_warns(tmp_path: Path) -> None:
    """A roster short of a row lists nothing; a prize that the jury withheld is only a warning.

    Guards places from half a roster, and a true roster that would have to be falsified.
    """
    roster = "performer,country,reached_stage,prize\nAda Quill,,final,1\nBen Rook,,final,3\n"
    rounds = [
        {"id": "stage1", "title_words": ["first"], "competitors": 3},
        {"id": "final", "title_words": ["final"], "competitors": 2},
    ]
    with serve([], title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, roster, rounds=rounds)
        with river(edition, tmp_path) as opened:
            assert not opened.materialize("results", "recordings").success
            assert not opened.check("results", "results_add_up").passed
            holes = opened.check("results", "prizes_have_no_hole")
            assert (holes.passed, holes.severity.value) == (False, "WARN")
            assert not site.requests


def test_a_killed_run_loses_nothing_and_leaves_no_half_file(media: Path, tmp_path: Path) -> None:
    """After kill -9 in mid-range the done recordings are kept and not fetched again.

    Guards lost work, and a half-written file that a later stage would take for whole.
    """
    names = ("Ada Quill", "Ben Rook", "Cleo Stern", "Dov Tamar", "Eve Umber", "Fay Vance")
    videos = [
        Video(f"v{index}", f"{name} – first round", media / "good1.flac")
        for index, name in enumerate(names)
    ]
    code = (
        "import sys; from pathlib import Path; from data_collection_tests.river import river\n"
        "with river(Path(sys.argv[1]), Path(sys.argv[2])) as opened:\n"
        "    opened.materialize('results', 'recordings')\n"
        "    opened.materialize('audio', keys=opened.keys())\n"
    )
    with serve(videos, title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        folder = tmp_path / "data" / "competition_cache" / "test2021" / "audio"
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(edition), str(tmp_path)],
            cwd=Path(__file__).resolve().parent.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while child.poll() is None and len(list(folder.glob("*.receipt.json"))) < 2:
            time.sleep(0.01)
        child.kill()
        child.wait()
        done = {path.name.split(".")[0] for path in folder.glob("*.receipt.json")}
        assert 2 <= len(done) < len(names), "it was killed in the middle"
        for path in folder.iterdir():
            assert not path.name.startswith("."), "no temporary file stays in sight"
            if path.suffix == ".flac":
                assert soundfile.info(path).duration == pytest.approx(36.0, abs=0.01)
        site.requests.clear()
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            assert opened.materialize("audio", keys=opened.keys()).success
            assert len(opened.materialized("audio")) == len(names)
        asked = {path.split("/")[2].split(".")[0] for path in site.requests if "media" in path}
        assert len(asked) == len(names) - len(done)


def test_a_playlist_gives_the_round_and_the_channel_adds_nothing_twice(
    media: Path, tmp_path: Path
) -> None:
    """A playlist a round beside the channel: titles need no round, and each video is one recording.

    Guards a video that is collected twice, and a playlist that overrules what a title says.
    """
    first = [
        Video("p1", "Ada Quill", media / "good1.flac"),
        Video("p2", "Ben Rook – final round", media / "good1.flac"),
    ]
    final = [Video("p3", "Cleo Stern", media / "good1.flac")]
    both = [*first, *final, Video("p4", "Ben Rook – first round", media / "good1.flac")]
    with (
        serve(first, title="First") as stage1,
        serve(final, title="Final") as last,
        serve(both, title="All") as channel,
    ):
        playlists = {"stage1": stage1.feed_url, "final": last.feed_url}
        edition = write_edition(tmp_path, channel.feed_url, ROSTER, playlists=playlists)
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            rows = {id_: item.recording.model_dump() for id_, item in opened.standings().items()}
            assert {id_: (row["performer"], row["round"]) for id_, row in rows.items()} == {
                "p1": ("Ada Quill", "stage1"),
                "p3": ("Cleo Stern", "final"),
                "p4": ("Ben Rook", "stage1"),
            }
            path = opened.store.path("competition_cache/test2021/unmatched.jsonl")
            unmatched = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            assert [(row["source_id"], row["reason"]) for row in unmatched] == [
                ("p2", "round_conflict")
            ]


def test_a_key_that_left_the_catalogue_stops_no_other(media: Path, tmp_path: Path) -> None:
    """A backfill that was queued before the catalogue changed still brings the others through."""
    videos = [
        Video("v0", "Ada Quill – first round", media / "good1.flac"),
        Video("v1", "Ben Rook – first round", media / "good1.flac"),
    ]
    with serve(videos, title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            known = opened.keys()
            opened.instance.add_dynamic_partitions(opened.tier.partitions_name, ["web_gone"])
            assert not opened.materialize("audio", keys=opened.keys()).success
            assert opened.materialized("audio") == set(known)
            folder = "competition_cache/test2021/audio"
            receipt = read_receipt(opened.store, folder, "web_gone")
            assert receipt is not None
            assert (receipt.state, receipt.reason) == ("blocked", "not_in_catalogue")


def test_what_goes_private_keeps_its_title_and_its_place(media: Path, tmp_path: Path) -> None:
    """A playlist then calls it `[Private video]`; the catalogue remembers whose it was.

    Guards a recording that was collected and drops out of the training rows, and a roster's typo
    that makes the catalogue forget for good.
    """
    video = Video("v0", "Ada Quill – first round", media / "good1.flac")
    other = Video("v1", "Cleo Stern –\u2028first round", media / "good1.flac")
    with serve([video, other], title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path) as opened:
            opened.collect()
            site.videos["v0"] = replace(video, title="[Private video]", fault="gone")
            write_edition(tmp_path, site.feed_url, ROSTER.replace("Ada Quill", "Ada Quillx Y"))
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            assert set(opened.standings()) == {"v1"}, "nobody of that name is on the roster"
            write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            row = opened.standings()["v0"].recording.model_dump()
            assert (row["performer"], row["listed"], row["title"]) == (
                "Ada Quill",
                False,
                "Ada Quill – first round",
            )
            assert opened.standings()["v0"].state == "done"
            assert opened.materialize("metadata").success
            path = opened.store.path("competition_cache/test2021/metadata.jsonl")
            assert '"performer":"Ada Quill"' in path.read_text("utf-8")


def test_clips_cut_anew_are_not_paired_with_old_embeddings(media: Path, tmp_path: Path) -> None:
    """After another grid the rows wait for the embeddings; guards rows that name other seconds."""
    with serve([Video("v0", "Ada Quill – first round", media / "good1.flac")], title="T") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path) as opened:
            opened.collect()
            resources = opened.definitions.resources
            assert isinstance(resources, dict)
            resources["clip_grid"] = ClipGridResource(clip_s=20.0)
            assert opened.materialize("segments", keys=opened.keys()).success
            assert opened.materialize("metadata").success
            item = opened.standings()["v0"]
            assert (item.stage, item.reason) == ("muq_embeddings", "upstream_changed")
            path = opened.store.path("competition_cache/test2021/metadata.jsonl")
            assert path.read_text("utf-8") == ""
            assert opened.materialize("muq_embeddings", keys=opened.keys()).success
            assert opened.materialize("metadata").success
            ends = [
                json.loads(line)["segment_end"] for line in path.read_text("utf-8").splitlines()
            ]
            assert ends == [20.0, 36.0]


def test_a_damaged_table_of_clips_stops_no_other(media: Path, tmp_path: Path) -> None:
    """Zeros in one recording's table: it is named, and the other keeps its rows and its page."""
    videos = [
        Video("v0", "Ada Quill – first round", media / "good1.flac"),
        Video("v1", "Ben Rook – first round", media / "good1.flac"),
    ]
    with serve(videos, title="T") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path) as opened:
            opened.collect()
            item = opened.standings()["v0"]
            path = opened.store.path(item.receipts["segments"].outputs[0].path)
            path.write_bytes(bytes(path.stat().st_size))
            assert opened.materialize("segments", keys=opened.keys()).success
            assert opened.materialize("metadata").success
            rows = opened.store.path("competition_cache/test2021/metadata.jsonl").read_text("utf-8")
            assert [json.loads(line)["performer"] for line in rows.splitlines()] == ["Ben Rook"] * 2
            check = opened.check("metadata", "every_segment_has_its_embedding")
            assert not check.passed
            path.unlink()
            assert opened.materialize("segments", keys=opened.keys()).success
            assert opened.materialize("metadata").success
