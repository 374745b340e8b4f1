"""Copies among all tiers, told by real recordings in real codecs, from night to night."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_collection.recordings.decode import decode_to_flac
from data_collection.recordings.errors import SetupError
from data_collection.recordings.fingerprints.stored import fingerprint_path, settle_fingerprint
from data_collection.recordings.receipts import StageResult, settle
from data_collection.recordings.rows import write_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.sample.media import AUDIO, encode
from data_collection.youtube.catalogue_rows import YouTubeRecording
from data_collection.youtube.duplicate_search import (
    Tiers,
    find_leaks,
    read_left_out,
    search,
)
from data_collection.youtube.tier import youtube_tier

SEEN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def flacs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Three performances decoded, and one of them again from another codec."""
    folder = tmp_path_factory.mktemp("flacs")
    sources = {name: AUDIO / f"{name}.opus" for name in ("stage1_sol", "final_sol", "final_okafor")}
    sources["again"] = encode(sources["stage1_sol"], folder / "again.mp3", "mp3")
    made = {}
    for name, source in sources.items():
        made[name] = folder / f"{name}.flac"
        decode_to_flac(source, made[name])
    return made


@pytest.fixture
def tiers(tmp_path: Path, tier: Tier) -> Tiers:
    """T4 without channels, and a tier of another kind in the competition's place."""
    return {"competition": tier, "youtube": youtube_tier((), tmp_path / "home")}


def listed(store: Store, tier: Tier, ids: Mapping[str, Path | None]) -> None:
    """A tier's catalogue, with audio and fingerprint where a recording has audio."""
    rows: list[Recording] = []
    for recording_id, flac in ids.items():
        row = {
            "recording_id": recording_id,
            "source_id": recording_id,
            "source_url": f"https://video.invalid/{recording_id}",
            "title": recording_id,
        }
        own = {
            "channel_id": "made",
            "channel": "Made",
            "category": "pianist",
            "licence_note": "made",
            "uploaded_on": None,
            "first_seen_at": SEEN,
            "listed": True,
            "not_wanted": None,
        }
        is_of_t4 = tier.recording_model is YouTubeRecording
        rows.append(tier.recording_model.model_validate({**row, **(own if is_of_t4 else {})}))
        if flac is not None:
            heard(store, tier, recording_id, flac)
    write_rows(store, f"{tier.folder('recordings')}.jsonl", rows)


def heard(store: Store, tier: Tier, recording_id: str, flac: Path) -> None:
    """Audio of a recording, and what it is recognised by."""
    path = f"{tier.folder('audio')}/{recording_id}.flac"
    settle(
        store,
        tier.folder("audio"),
        recording_id,
        inputs=lambda: {"content": flac.name},
        parameters=dict,
        work=lambda: StageResult(
            outputs=(store.write_bytes(path, flac.read_bytes()),), facts={"duration_s": 50.0}
        ),
    )
    assert settle_fingerprint(store, tier, recording_id).receipt.state == "done"


def test_copies_are_left_out_with_what_stands_for_them(
    store: Store, tiers: Tiers, flacs: Mapping[str, Path]
) -> None:
    """A copy of another tier's goes, one of two uploads stays, and other performances stay.

    Guards a test recording in the training set, and a choice that depends on who was listed first.
    """
    listed(store, tiers["competition"], {"recital": flacs["final_sol"], "to_come": None})
    uploads = {"a": flacs["again"], "b": flacs["stage1_sol"], "c": flacs["final_sol"]}
    listed(store, tiers["youtube"], {**uploads, "d": flacs["final_okafor"], "to_come": None})
    found = search(store, tiers)
    rows = {row.recording_id: row for row in found.choice.duplicates}
    assert {name: (row.duplicate_of, row.tier, row.by) for name, row in rows.items()} == {
        "b": ("a", "youtube", "fingerprint"),
        "c": ("recital", "competition", "pcm_sha256"),
        "to_come": ("to_come", "competition", "ids"),
    }
    assert read_left_out(store) == {
        "b": "a of youtube",
        "c": "recital of competition",
        "to_come": "to_come of competition",
    }
    assert (found.asked, found.recordings) == (7, {"competition": 2, "youtube": 5})
    assert found.with_fingerprint == {"competition": 1, "youtube": 4}


def test_only_what_changed_is_searched_for(
    store: Store, tiers: Tiers, flacs: Mapping[str, Path]
) -> None:
    """The second night asks for nothing, a new copy alone is asked for, and what goes is forgotten.

    Guards hours of searching each night, and a recording that is left out for one that is gone.
    """
    listed(store, tiers["competition"], {})
    listed(store, tiers["youtube"], {"a": flacs["stage1_sol"], "d": flacs["final_okafor"]})
    assert search(store, tiers).choice.duplicates == ()
    assert search(store, tiers).asked == 0
    listed(store, tiers["competition"], {"recital": flacs["again"]})
    found = search(store, tiers)
    assert (found.asked, [row.recording_id for row in found.choice.duplicates]) == (1, ["a"])
    kept = search(store, tiers)
    assert (kept.asked, kept.matches) == (0, found.matches)
    listed(store, tiers["competition"], {})
    assert search(store, tiers).choice.duplicates == ()
    assert read_left_out(store) == {}


def test_a_tier_that_was_never_collected_is_empty(
    store: Store, tiers: Tiers, flacs: Mapping[str, Path]
) -> None:
    """T4 does not wait for others; but before a search nobody may say that there are no copies."""
    with pytest.raises(SetupError, match="rows_missing"):
        read_left_out(store)
    listed(store, tiers["youtube"], {"a": flacs["stage1_sol"]})
    assert search(store, tiers).recordings == {"competition": 0, "youtube": 1}


def test_the_check_does_not_believe_the_choice(
    store: Store, tiers: Tiers, flacs: Mapping[str, Path]
) -> None:
    """It goes by matches and by what is used, and says whom nobody has compared.

    Guards a check that reads the list of what is left out and finds nothing of it used, and one
    that passes because nobody has listened.
    """
    listed(store, tiers["competition"], {"recital": flacs["again"]})
    listed(store, tiers["youtube"], {"a": flacs["stage1_sol"], "d": flacs["final_okafor"]})
    search(store, tiers)
    sound = find_leaks(store, tiers, ["d"], "competition")
    assert (sound.leaks, sound.not_compared, sound.compared) == ((), [], (1, 1))
    store.write_bytes("youtube_piano_cache/duplicates.jsonl", b"")
    (leak,) = find_leaks(store, tiers, ["a", "d"], "competition").leaks
    assert (leak.recording_id, leak.duplicate_of) == ("a", "recital")
    heard(store, tiers["competition"], "recital", flacs["final_sol"])
    changed = find_leaks(store, tiers, ["d"], "competition")
    assert changed.not_compared == ["t9_made/recital"], "its audio is another since the search"
    store.path(fingerprint_path(tiers["youtube"], "d")).unlink()
    assert find_leaks(store, tiers, ["d"], "competition").not_compared == [
        "youtube_piano_cache/d",
        "t9_made/recital",
    ]


def test_a_damaged_fingerprint_is_named(
    store: Store, tiers: Tiers, flacs: Mapping[str, Path]
) -> None:
    """The search stops and says which file to delete; what was found before stays."""
    listed(store, tiers["competition"], {"recital": flacs["again"]})
    listed(store, tiers["youtube"], {"a": flacs["stage1_sol"]})
    search(store, tiers)
    before = read_left_out(store)
    store.write_bytes(fingerprint_path(tiers["youtube"], "a"), b"torn")
    listed(store, tiers["competition"], {"recital": flacs["again"], "next": None})
    with pytest.raises(SetupError, match=r"fingerprint_unreadable.*a\.safetensors"):
        search(store, tiers)
    assert read_left_out(store) == before
    shutil.rmtree(str(store.path("youtube_piano_cache/fingerprints")))
    assert search(store, tiers).with_fingerprint == {"competition": 1, "youtube": 0}
