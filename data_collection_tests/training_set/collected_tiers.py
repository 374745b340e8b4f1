"""A made collection with its catalogues, receipts of every stage, and what went wrong on the way.

What the card counts beyond what the manifest reads; written as plain files.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from data_collection.recordings.receipts import Receipt
from data_collection.recordings.rows import write_rows
from data_collection.recordings.segments import SEGMENT_SCHEMA
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier import Catalogue, Tier
from data_collection.recordings.tier_rows import Recording, SegmentRow
from data_collection.training_set.manifest import build_manifest
from data_collection.training_set.manifest_files import write_manifest
from data_collection.training_set.sources import find_collections, read_sources
from data_collection.training_set.splits import SplitRules
from data_collection.training_set.tier_states import RiverTier, TierState
from data_collection_tests.training_set.made_collection import (
    T2,
    T3,
    T4,
    Sizes,
    make,
    write_teacher_labels,
    write_twins,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = SplitRules(starts=1, kicks=2)
SIZES = Sizes(percepiano=2, competitors=6, maestro=14, videos=7, clips=2)
HOSTILE = '</td><script>alert(1)</script><img src="http://evil.test/x.png">|[x](http://evil.test)'
MAP = f"{T3}/piece_performer_map.json"
FOLDERS: dict[str, RiverTier] = {T2: "t2", T3: "t3", T4: "t4"}


class Video(Recording):
    """A recording that may be listed no more."""

    listed: bool = True


def river(folder: str) -> Tier:
    """The description of a tier's folder."""
    return Tier(
        key_prefix=tuple(folder.split("/")),
        group=folder,
        label=f"Made {folder}",
        partitions_name=folder,
        recording_model=Video,
        row_model=SegmentRow,
        find_recordings=lambda _: Catalogue(recordings=()),
        left_out=duplicates if folder == T4 else lambda _: {},
        has_twins=folder == T4,
    )


def duplicates(store: Store) -> dict[str, str]:
    path = store.path(f"{T4}/duplicates.jsonl")
    rows = map(json.loads, path.read_text().splitlines()) if path.is_file() else ()
    return {row["recording_id"]: row["duplicate_of"] for row in rows}


def states(**more: object) -> list[TierState]:
    """The three tiers, T2 or another changed by `t2=...`."""
    made = {
        "t2": TierState("t2", river(T2)),
        "t3": TierState("t3", river(T3), files=(MAP,)),
        "t4": TierState("t4", river(T4)),
    }
    return list({**made, **more}.values())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Disk:
    """The data root, read as plain files."""

    root: Path

    def lines(self, relative: str) -> list[dict[str, Any]]:
        """Rows of a JSON lines file."""
        text = (self.root / relative).read_text()
        return [json.loads(line) for line in text.split("\n") if line]

    def receipts(self, folder: str) -> list[dict[str, Any]]:
        """Receipts of a stage."""
        found = sorted((self.root / folder).glob("*.receipt.json"))
        return [json.loads(path.read_text()) for path in found]

    def clips(self, folder: str) -> list[dict[str, Any]]:
        """Rows of all tables of clips."""
        found = sorted((self.root / folder / "segments").glob("*.parquet"))
        return [row for path in found for row in pl.read_parquet(path).iter_rows(named=True)]


def collect(store: Store) -> None:
    """Write the collection: most of it whole, and in each tier recordings that are not."""
    made = make(store, SIZES)
    for folder, rows in ((T2, made.t2), (T3, made.t3), (T4, made.t4)):
        varied = [_varied(row, at) for at, row in enumerate(rows)]
        write_rows(store, f"{folder}/metadata.jsonl", varied)
        _catalogue(store, folder, varied)
    _t4_lists(store, sorted({row.recording_id for row in made.t4}))
    write_rows(store, f"{T2}/unmatched.jsonl", [{"reason": "not_a_round"}] * 3)
    write_rows(store, f"{T3}/in_doubt.jsonl", [{"reason": "works_not_known"}])
    store.write_bytes(MAP, b'{"pieces": {}}')
    write_teacher_labels(store, T2, [row.segment_id for row in made.t2[:9]])
    write_the_manifest(store)


def write_the_manifest(store: Store) -> None:
    sources = read_sources(store, find_collections(store))
    write_manifest(store, build_manifest(sources, RULES), RULES)


def put_receipt(store: Store, folder: str, stage: str, recording_id: str, **more: object) -> None:
    """Write a receipt, done unless it says something else."""
    receipt = Receipt.model_validate(
        {
            "stage": f"{folder}/{stage}",
            "recording_id": recording_id,
            "state": "done",
            "fingerprint": "f",
            "inputs": {},
            "parameters": {"code_version": "3"},
            "started_at": AT,
            "finished_at": AT,
            **more,
        }
    )
    path = f"{folder}/{stage}/{recording_id}.receipt.json"
    store.write_bytes(path, receipt.model_dump_json().encode())


def rewrite_rows(store: Store, folder: str, rows: Iterable[Mapping[str, object]]) -> None:
    write_rows(store, f"{folder}/metadata.jsonl", rows)


def _varied(row: SegmentRow, at: int) -> SegmentRow:
    return row.model_copy(
        update={
            "loudness_lufs": None if at % 11 == 0 else -18.0 - 0.37 * (at % 23),
            "source_bandwidth_hz": None if at % 13 == 0 else 11000.0 + 517.0 * (at % 19),
            "licence": HOSTILE if at == 3 else None if at % 5 else "CC BY 4.0",
        }
    )


def _catalogue(store: Store, folder: str, rows: Sequence[SegmentRow]) -> None:
    clips: defaultdict[str, list[SegmentRow]] = defaultdict(list)
    for row in rows:
        clips[row.recording_id].append(row)
    unlisted = sorted(clips)[-1]
    recordings = [
        _recording(name, title=HOSTILE if at == 0 else f"Title {at}", listed=name != unlisted)
        for at, name in enumerate(sorted(clips))
    ]
    for at, (name, own) in enumerate(sorted(clips.items())):
        _stages(store, folder, name, own, at)
    gone = {"removed": "failed", "private": "failed", "truncated": "failed", "network": "blocked"}
    for reason, state in gone.items():
        name = f"zz_{reason}"
        recordings.append(_recording(name, title=HOSTILE))
        put_receipt(store, folder, "audio", name, state=state, reason=reason, detail="made up")
    recordings += [_recording("zz_new"), _recording("zz_silent")]
    _stored(store, folder, "zz_silent", 41.5)
    filtered = [{"start_s": 0.0, "end_s": 30.0, "state": "filtered", "reason": "applause"}]
    table = _table(store, folder, "zz_silent", filtered)
    more = {"state": "filtered", "reason": "no_usable_clip", "outputs": (table,)}
    put_receipt(store, folder, "segments", "zz_silent", **more)
    write_rows(store, f"{folder}/recordings.jsonl", recordings)


def _recording(name: str, *, title: str = "A title", listed: bool = True) -> Video:
    url = f"https://made.test/{name}"
    return Video(recording_id=name, source_id=name, source_url=url, title=title, listed=listed)


def _stages(store: Store, folder: str, name: str, own: Sequence[SegmentRow], at: int) -> None:
    _stored(store, folder, name, own[-1].segment_end + 7.25 * (at % 4))
    kept = [
        {"start_s": row.segment_start, "end_s": row.segment_end, "state": "kept"} for row in own
    ]
    end_s = own[-1].segment_end
    tail = {"start_s": end_s, "end_s": end_s + 3.5, "state": "filtered", "reason": "tail_too_short"}
    table = _table(store, folder, name, [*kept, tail])
    put_receipt(store, folder, "segments", name, outputs=(table,))
    path = store.path(f"{folder}/muq_embeddings/{name}.receipt.json")
    embedded = Receipt.model_validate_json(path.read_bytes())
    made_with = {"checkpoint_revision": f"r{at % 2}", "precision": "float32"}
    said = {"parameters": made_with, "versions": {"muq": "0.1.0", "torch": "2.11.0"}}
    path.write_text(embedded.model_copy(update=said).model_dump_json())


def _stored(store: Store, folder: str, name: str, duration_s: float) -> None:
    flac = StoredFile(f"{folder}/audio/{name}.flac", "0" * 64, round(1000 * duration_s))
    put_receipt(
        store,
        folder,
        "audio",
        name,
        outputs=(flac,),
        facts={"duration_s": duration_s},
        parameters={"resampler": "soxr HQ", "source_start_s": duration_s},
        versions={"yt-dlp": "2026.10.26"},
    )


def _table(
    store: Store, folder: str, name: str, clips: Sequence[Mapping[str, object]]
) -> StoredFile:
    buffer = io.BytesIO()
    pl.DataFrame(clips, schema=SEGMENT_SCHEMA).write_parquet(buffer)
    return store.write_bytes(f"{folder}/segments/{name}.parquet", buffer.getvalue())


def _t4_lists(store: Store, names: Sequence[str]) -> None:
    seen = {"last_seen_at": "2026-02-03T04:05:06Z", "first_seen_at": "2026-01-01T00:00:00Z"}
    videos = [
        *({**seen, "recording_id": name, "listed": True, "decision": "taken"} for name in names),
        {**seen, "recording_id": "yt_x", "listed": True, "decision": "left_out", "reason": "short"},
        {**seen, "recording_id": "yt_y", "listed": True, "decision": "pending", "reason": "live"},
    ]
    for video in videos:
        video["listed"] = video["recording_id"] != names[-1]
    write_rows(store, f"{T4}/channels/one.jsonl", videos[::2])
    write_rows(store, f"{T4}/channels/two.jsonl", videos[1::2])
    copy = {"recording_id": names[0], "duplicate_of": "yt_stage1000", "tier": "competition"}
    write_rows(store, f"{T4}/duplicates.jsonl", [{**copy, "kind": "excerpt"}])
    segments = [
        row["segment_id"] for row in Disk(Path(str(store.root))).lines(f"{T4}/metadata.jsonl")
    ]
    write_twins(store, map(str, segments), SIZES)
    pairs = Disk(Path(str(store.root))).lines(f"{T4}/pairs.jsonl")
    for at, pair in enumerate(pairs):
        pair |= {"cosine": 0.99 - 0.031 * (at % 9), "flag": "destroyed" if at % 6 == 5 else None}
    write_rows(store, f"{T4}/pairs.jsonl", pairs)
    for name in names:
        made_with = {"recipe_sha256": "ab", "seed": 7}
        put_receipt(store, T4, "augmented_muq_embeddings", name, parameters=made_with)
