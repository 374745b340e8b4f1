"""A made-up collection of all four tiers on a disk, in the shapes that the tiers write.

Embeddings are empty files unless a width is asked for: most of what is tested are rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import torch

from data_collection.competition.preferences import PREFERENCE_SCHEMA
from data_collection.competition.rows import CompetitionSegmentRow
from data_collection.maestro.catalogue_rows import MaestroSegmentRow
from data_collection.recordings.receipts import Receipt, receipt_path
from data_collection.recordings.rows import write_rows
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier_rows import SegmentRow
from data_collection.repertoire.pieces import Piece
from data_collection.training_set.manifest_rows import DIMENSIONS
from data_collection.youtube.catalogue_rows import YouTubeSegmentRow

EDITION = "made2021"
T2 = f"competition_cache/{EDITION}"
T3 = "maestro_cache"
T4 = "youtube_piano_cache"
CLIP_S = 30.0
AT = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = ("stage1", "stage2", "final")
SETS = [f"op{opus}-no{number}" for opus in (10, 25) for number in range(1, 13)]
WORKS = [f"op{opus}" for opus in (20, 22, 23, 28, 31, 35, 38, 39, 42, 44, 47, 49, 52, 53, 58, 60)]


@dataclass(frozen=True)
class Sizes:
    """How large the tiers are.

    Attributes:
        percepiano: pianists in each of three works.
        competitors: of the competition.
        maestro: recordings.
        videos: on the channels.
        clips: of each recording of T3 and T4.
        frames, width: of the embeddings' files; no content where the width is 0.
    """

    percepiano: int = 4
    competitors: int = 16
    maestro: int = 60
    videos: int = 20
    clips: int = 3
    frames: int = 6
    width: int = 0


@dataclass
class Made:
    """Rows that were made, before they are written; a test changes them."""

    t2: list[SegmentRow] = field(default_factory=list)
    t3: list[SegmentRow] = field(default_factory=list)
    t4: list[SegmentRow] = field(default_factory=list)
    preferences: list[dict[str, object]] = field(default_factory=list)


def make(store: Store, sizes: Sizes | None = None, *, seed: int = 0) -> Made:
    """Write the collection, every tier whole."""
    sizes = sizes or Sizes()
    rng = random.Random(seed)  # noqa: S311  # made-up data
    write_percepiano(store, sizes)
    made = Made()
    made.t2, made.preferences = competition(store, sizes, rng)
    made.t3 = maestro(store, sizes, rng)
    made.t4 = youtube(store, sizes, rng)
    for folder, rows in ((T2, made.t2), (T3, made.t3), (T4, made.t4)):
        write_rows(store, f"{folder}/metadata.jsonl", rows)
    write_preferences(store, made.preferences)
    return made


def write_preferences(store: Store, rows: Sequence[dict[str, object]]) -> None:
    buffer = io.BytesIO()
    pl.DataFrame(rows, schema=PREFERENCE_SCHEMA).write_parquet(buffer)
    store.write_bytes(f"{T2}/preferences.parquet", buffer.getvalue())


def competition(
    store: Store, sizes: Sizes, rng: random.Random
) -> tuple[list[SegmentRow], list[dict[str, object]]]:
    """Fewer competitors in each round, who share a small repertoire."""
    rows: list[dict[str, object]] = []
    preferences: list[dict[str, object]] = []
    left = list(range(sizes.competitors))
    for round_ in ROUNDS:
        for who in left:
            recording = f"yt_{round_}{who:03d}"
            works = rng.sample(SETS, 2) + rng.sample(WORKS, 2)
            pieces = [Piece(composer="chopin", work=work, title=work) for work in works]

            def labels(
                at: int, pieces: list[Piece] = pieces, who: int = who, round_: str = round_
            ) -> dict[str, object]:
                return {
                    "piece": pieces[at // 2],
                    "piece_share": 0.5 if at == 1 else 1.0,
                    "performer": f"Pianist Nº {who}",
                    "country": None,
                    "round": round_,
                    "placement": who + 1,
                    "solo": round_ != "final",
                    "edition": EDITION,
                    "sample": True,
                }

            rows += segments(store, T2, recording, 2 * len(pieces), labels, sizes)
        preferences += [
            {
                **dict.fromkeys(PREFERENCE_SCHEMA),
                "better": f"yt_{round_}{one:03d}",
                "worse": f"yt_{round_}{other:03d}",
                "round": round_,
                "worse_round": round_,
                "kind": "within_round",
                "solo": round_ != "final",
                "margin_places": other - one,
            }
            for one in left
            for other in left
            if one < other
        ]
        left = left[: max(2, len(left) // 2)]
    return [CompetitionSegmentRow.model_validate(row) for row in rows], preferences


def maestro(store: Store, sizes: Sizes, rng: random.Random) -> list[SegmentRow]:
    """A few works that many play and many that few do; several numbers of a person."""
    rows = []
    people = max(4, sizes.maestro // 6)
    works = [f"composer{'abcdefgh'[at % 8]}:op{at}" for at in range(max(6, sizes.maestro // 2))]
    for at in range(sizes.maestro):
        held = sorted(
            {works[int(rng.random() ** 2 * len(works))] for _ in range(rng.choice((1, 2)))}
        )
        split = rng.choices(("train", "validation", "test"), (75, 10, 15))[0]
        who = rng.randrange(people)

        def labels(
            place: int, held: list[str] = held, split: str = split, who: int = who
        ) -> dict[str, object]:
            work = held[place % len(held)]
            composer, _, rest = work.partition(":")
            return {
                "piece": Piece(composer=composer, work=rest, title=work),
                "composer": composer,
                "title": work,
                "year": 2011,
                "split": split,
                "performer_id": f"2011_{who:02d}",
                "round": 1,
                "works": held,
                "work_id": work,
                "work_place": "whole" if len(held) == 1 else "estimated",
                "audio_filename": "2011/a.wav",
                "midi_filename": "2011/a.midi",
            }

        rows += segments(store, T3, f"maestro_2011_{at:05d}", sizes.clips, labels, sizes)
    return [MaestroSegmentRow.model_validate(row) for row in rows]


def youtube(store: Store, sizes: Sizes, rng: random.Random) -> list[SegmentRow]:
    rows = []
    for at in range(sizes.videos):
        channel = f"channel{rng.randrange(max(4, min(28, sizes.videos // 4)))}"

        def labels(place: int, channel: str = channel) -> dict[str, object]:
            return {
                "title": "a video",
                "channel_id": channel,
                "channel": channel,
                "category": "pianist",
                "licence_note": "the uploader's",
                "uploaded_on": None,
                "first_seen_at": AT,
            }

        rows += segments(store, T4, f"yt_{at:011d}", sizes.clips, labels, sizes)
    return [YouTubeSegmentRow.model_validate(row) for row in rows]


def segments(
    store: Store,
    folder: str,
    recording: str,
    count: int,
    labels: Callable[[int], dict[str, object]],
    sizes: Sizes,
) -> list[dict[str, object]]:
    """Rows of a recording, whose embeddings and receipt are written."""
    rows, outputs = [], []
    for at in range(count):
        name = f"{recording}_seg{at:04d}"
        stored = write_embedding(store, f"{folder}/muq_embeddings/{name}.pt", sizes)
        outputs.append(stored)
        rows.append(
            {
                **_measured(),
                "segment_id": name,
                "recording_id": recording,
                "segment_start": at * CLIP_S,
                "segment_end": (at + 1) * CLIP_S,
                "embedding_path": stored.path,
                "embedding_sha256": stored.sha256,
                "embedding_frames": sizes.frames,
                "embedding_width": sizes.width or 1024,
                "audio_sha256": _sha256(f"{folder}/{recording}"),
                "original_sha256": _sha256(recording),
                "source_id": recording,
                "source_url": f"http://127.0.0.1/{folder}/{recording}",
                **labels(at),
            }
        )
    write_receipt(store, folder, recording, outputs)
    return rows


def write_embedding(store: Store, path: str, sizes: Sizes) -> StoredFile:
    """A `.pt` whose values follow from its name; empty, and not renamed to it, at width 0."""
    if not sizes.width:
        target = Path(str(store.root), path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        return StoredFile(path, _sha256(path), 0)
    generator = torch.Generator().manual_seed(int(_sha256(path)[:8], 16))
    values = torch.randn(sizes.frames, sizes.width, generator=generator).to(torch.float16)
    buffer = io.BytesIO()
    torch.save(values, buffer)
    return store.write_bytes(path, buffer.getvalue())


def write_receipt(
    store: Store,
    folder: str,
    recording: str,
    outputs: Iterable[StoredFile],
    **more: object,
) -> None:
    receipt = Receipt.model_validate(
        {
            "stage": f"{folder}/muq_embeddings",
            "recording_id": recording,
            "state": "done",
            "fingerprint": "f",
            "inputs": {},
            "parameters": {},
            "outputs": tuple(outputs),
            "started_at": AT,
            "finished_at": AT,
            **more,
        }
    )
    path = store.path(receipt_path(f"{folder}/muq_embeddings", recording))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(receipt.model_dump_json())


def write_percepiano(store: Store, sizes: Sizes) -> None:
    """Three works, each by its pianists; one segment in fifty without composite labels."""
    raw: dict[str, list[float]] = {}
    composite: dict[str, dict[str, float]] = {}
    cache = store.path("percepiano_cache/_muq_file_cache")
    cache.mkdir(parents=True, exist_ok=True)
    for number, work in enumerate(("Schubert_D960_mv3", "Schubert_D935_no.3", "Beethoven_WoO80")):
        for who in range(sizes.percepiano):
            for bar in range(4):
                name = f"{work}_8bars_{bar + 1}_{who + 1:02d}"
                pianist = number * sizes.percepiano + who
                raw[name] = [0.5] * 19 + [float(pianist)]
                if len(raw) % 50:
                    composite[name] = dict.fromkeys(DIMENSIONS, pianist % 10 / 10)
                torch.save(torch.zeros(93, sizes.width or 4), str(cache / f"{name}.pt"))
    store.write_bytes("percepiano_cache/labels.json", json.dumps(raw).encode())
    store.write_bytes("composite_labels/composite_labels.json", json.dumps(composite).encode())


def write_teacher_labels(store: Store, folder: str, names: Iterable[str]) -> None:
    rows = [
        {
            "segment_id": name,
            "dimension_scores": dict.fromkeys(DIMENSIONS, 3.0),
            "teacher_model": "made",
            "rubric_version": 1,
            "confidence": 0.5,
            "repeats": 1,
            "cost_usd": "0.01",
        }
        for name in names
    ]
    store.write_bytes(f"{folder}/teacher_labels.json", json.dumps(rows).encode())


def write_twins(store: Store, names: Iterable[str], sizes: Sizes) -> None:
    """An augmented twin of each segment, and the rows of `pairs.jsonl`."""
    rows = []
    for name in names:
        stored = write_embedding(store, f"{T4}/augmented_muq_embeddings/{name}.pt", sizes)
        rows.append(
            {
                "segment_id": name,
                "twin_path": stored.path,
                "twin_sha256": stored.sha256,
                "recipe": "default",
                "recipe_version": 1,
                "seed": 7,
                "parameters": {"gain_db": 1.5},
                "cosine": 0.9,
            }
        )
    write_rows(store, f"{T4}/pairs.jsonl", rows)


def _measured() -> dict[str, object]:
    """What all tiers' rows must hold, and no test of the training set looks at."""
    shares = ("silent_share", "applause", "speech", "silence", "orchestra", "solo_piano")
    return {
        **dict.fromkeys(shares, 0.0),
        "piece": None,
        "piece_share": 1.0,
        "piece_source": None,
        "piece_because": None,
        "source_offset_s": 0.0,
        "rms_dbfs": -20.0,
        "peak_dbfs": -3.0,
        "loudness_lufs": -20.0,
        "true_peak_dbtp": -3.0,
        "noise_floor_dbfs": -60.0,
        "bandwidth_hz": 12000.0,
        "clipped_share": 0.0,
        "source_bandwidth_hz": 16000.0,
        "source_cliff_hz": None,
        "checkpoint_revision": "made",
        "licence": "made up",
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
