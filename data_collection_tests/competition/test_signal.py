"""T2's signal through the real assets: programmes, sessions, marks, pieces of segments, pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl
import pytest
import soundfile

from data_collection.competition.rows import ProgrammeRow
from data_collection.competition.signal import piece_label, works_played
from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.receipts import read_receipt
from data_collection.sample.server import Site, serve
from data_collection.sample.world import (
    CHANNEL_TITLE,
    SECOND_START_S,
    SESSION_ID,
    good_recordings,
    sample_pages,
    sample_videos,
    write_edition,
)
from data_collection_tests.river import River, river

BACH_PRELUDE = {
    "composer": "bach",
    "work": "bwv846",
    "movement": "1",
}
CHOPIN_PRELUDE = {"composer": "chopin", "work": "op28-no4", "movement": None}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[River, Site]]:
    """The sample world, collected to its end in process."""
    root = tmp_path_factory.mktemp("t2")
    with serve(sample_videos(root / "media"), title=CHANNEL_TITLE) as site:
        site.pages.update(sample_pages())
        with river(write_edition(root / "edition", site.feed_url), root) as opened:
            opened.collect()
            yield opened, site


def rows_of(opened: River, name: str) -> list[dict[str, object]]:
    path = opened.store.path(f"{opened.tier.folder(name)}.jsonl")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_performance_is_found_the_session_s_too(world: tuple[River, Site]) -> None:
    """Seven videos and two parts of a session; what is no recital is listed with its reason."""
    opened, _ = world
    recordings = rows_of(opened, "recordings")
    found = {(row["performer"], row["round"]) for row in recordings}
    assert found == {*good_recordings(), ("Ida Falk", "stage1")}
    assert opened.check("results", "sources_agree").passed
    unmatched = {row["source_id"]: row for row in rows_of(opened, "unmatched")}
    assert unmatched[SESSION_ID]["reason"] == "session"
    assert "2 parts cut out of 2" in str(unmatched[SESSION_ID]["detail"])
    assert unmatched["smp-session"]["reason"] == "session"


def test_the_parts_are_cut_from_one_original(world: tuple[River, Site]) -> None:
    """The session is fetched once; each part is its slice of the stored original, to the sample."""
    opened, site = world
    parts = [row for row in rows_of(opened, "recordings") if row["cut_from"]]
    assert {row["source_id"] for row in parts} == {SESSION_ID}
    assert sorted(row["source_start_s"] for row in parts) == [0.0, SECOND_START_S]
    assert site.requests[f"/media/{SESSION_ID}.webm"] <= 3, "asked for its kind, size and content"
    original = parts[0]["cut_from"]
    whole, _ = soundfile.read(
        str(opened.store.path(f"{opened.tier.folder('originals')}/{original}.flac")), dtype="int32"
    )
    for row in parts:
        audio, _ = soundfile.read(
            str(opened.store.path(f"{opened.tier.folder('audio')}/{row['recording_id']}.flac")),
            dtype="int32",
        )
        first = round(float(str(row["source_start_s"])) * SAMPLE_RATE_HZ)
        assert (audio == whole[first : first + audio.size]).all()


def test_each_segment_says_what_is_played_or_why_not(world: tuple[River, Site]) -> None:
    """From description, chapters or a session's block; without any, null with the reason.

    Guards against the video's title where the piece should be.
    """
    opened, _ = world
    segments = rows_of(opened, "metadata")
    by_source: dict[str, set[object]] = {}
    for row in segments:
        piece = row["piece"]
        by_source.setdefault(str(row["source_id"]), set()).add(row["piece_source"])
        if row["source_id"] == "smp-ruzicka-r1":
            assert piece is None
            assert "no work is named" in str(row["piece_because"])
            continue
        wanted = CHOPIN_PRELUDE if row["round"] == "final" else BACH_PRELUDE
        assert isinstance(piece, dict)
        assert {name: piece[name] for name in wanted} == wanted
        assert row["piece_share"] == pytest.approx(1.0, abs=0.03), "a listing rounds lengths"
    assert by_source["smp-sol-r1"] == {"chapters"}
    assert by_source["smp-lindqvist-r1"] == {"description"}
    assert by_source[SESSION_ID] == {"description"}


def test_each_segment_has_its_quality_and_its_sounds(world: tuple[River, Site]) -> None:
    """Loudness, peaks, bandwidth, floor and the four scores are numbers of a piano recording."""
    opened, _ = world
    for row in rows_of(opened, "metadata"):
        assert -60 < float(str(row["loudness_lufs"])) < 0
        assert float(str(row["true_peak_dbtp"])) >= float(str(row["peak_dbfs"])) - 0.01
        assert float(str(row["noise_floor_dbfs"])) <= float(str(row["rms_dbfs"]))
        assert 500 < float(str(row["source_bandwidth_hz"])) <= 24_000
        assert row["clipped_share"] == 0.0
        for sound in ("applause", "speech", "orchestra"):
            assert float(str(row[sound])) < 0.3


def test_marks_and_pairs(world: tuple[River, Site]) -> None:
    """Every pair is of a better and a worse place of one kind of round; ties give none."""
    opened, _ = world
    assert opened.check("preferences", "preferences_follow_the_places").passed
    path = opened.store.path(f"{opened.tier.folder('preferences')}.parquet")
    table = pl.read_parquet(str(path))
    final = table.filter(round="final", kind="within_round")
    assert set(final["better_performer"]) == {"Anna (Mei) Lindqvist"}, "two second prizes tie"
    assert final.height == 2
    within = table.filter(round="stage1", kind="within_round")
    assert within["same_piece"].sum() >= 5
    assert within.filter(pl.col("margin_marks").is_not_null()).height == within.height
    places = {str(row["performer"]): row["placement"] for row in rows_of(opened, "results")}
    assert all(
        places[better] < places[worse]
        for better, worse in table.select("better_performer", "worse_performer").iter_rows()
    )
    marks = rows_of(opened, "jury_marks")
    assert len(marks) == 21
    assert sum(mark["mark"] is None for mark in marks) == 1
    segment = next(row for row in rows_of(opened, "metadata") if row["round"] == "stage1")
    assert segment["jury_mark"] is not None


def test_a_page_comes_with_its_audio_and_costs_no_request(world: tuple[River, Site]) -> None:
    """The programme is read from what came with the audio, so listing asks no recital's page."""
    opened, site = world
    recording = next(
        row for row in rows_of(opened, "recordings") if row["source_id"] == "smp-okafor-f"
    )
    receipt = read_receipt(
        opened.store, opened.tier.folder("audio"), str(recording["recording_id"])
    )
    assert receipt is not None
    assert any(output.path.endswith(".page.json") for output in receipt.outputs)
    asked = site.requests.copy()
    assert opened.materialize("results", "recordings").success
    assert opened.materialize("programmes", "jury_marks", "metadata", "preferences").success
    asked_again = site.requests - asked
    assert {path for path in asked_again if path.startswith(("/watch", "/media"))} == set()


def programme(*items: tuple[str | None, float | None, float | None]) -> ProgrammeRow:
    """A programme of works by their opus number, with starts and ends."""
    return ProgrammeRow.model_validate(
        {
            "recording_id": "yt_a",
            "performer": "A",
            "round": "stage1",
            "source": "description",
            "because": "",
            "items": [
                {
                    "wording": f"Op. {opus}" if opus else "applause",
                    "piece": opus and {"composer": "chopin", "work": opus, "title": opus},
                    "pieces": [{"composer": "chopin", "work": opus, "title": opus}] if opus else [],
                    "start_s": start_s,
                    "end_s": end_s,
                }
                for opus, start_s, end_s in items
            ],
        }
    )


def test_a_segment_has_the_piece_that_covers_most_of_it() -> None:
    """At a border the longer share decides and is stated; applause in between is no piece."""
    row = programme(("op10-no1", 0.0, 100.0), (None, 100.0, 170.0), ("op23", 170.0, 400.0))
    assert piece_label(row, 90.0, 120.0)["piece"] is None
    assert piece_label(row, 90.0, 120.0)["piece_because"] == "the description says: applause"
    label = piece_label(row, 85.0, 110.0)
    assert (label["piece_share"], label["piece_source"]) == (0.6, "description")
    assert piece_label(row, 390.0, 420.0)["piece_share"] == pytest.approx(1 / 3, abs=1e-6)
    assert piece_label(row, 500.0, 530.0)["piece"] is None
    assert "materialize programmes" in str(piece_label(None, 0.0, 30.0)["piece_because"])


def test_a_whole_set_shares_its_numbers_and_a_sonata_its_movements() -> None:
    """All preludes share No. 15 with who plays that alone; No. 15 and No. 4 share nothing."""
    alone = programme(("op28-no15", 0.0, 300.0))
    other = programme(("op28-no4", 0.0, 120.0)).model_copy(update={"recording_id": "yt_b"})
    whole = programme(("op28", 0.0, 2400.0)).model_copy(update={"recording_id": "yt_c"})
    works = works_played([alone, other, whole])
    assert works["yt_a"] & works["yt_c"] == {"chopin/op28-no15"}
    assert works["yt_b"] & works["yt_c"] == {"chopin/op28-no4"}
    assert not works["yt_a"] & works["yt_b"]
