"""Bring one recording through a stage: audio and segments; `embedding.stage` has the third.

What belongs here: each stage's inputs, parameters and work, settled into a receipt. What does not:
Dagster (`assets`) and the loop over recordings (`batching`).
"""

from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Mapping
from dataclasses import asdict

import polars as pl
from pydantic import ValidationError

from data_collection.recordings import decode
from data_collection.recordings.cut import cut_flac
from data_collection.recordings.errors import ItemError, SetupError, WorldError, room_on
from data_collection.recordings.originals import OriginalSource
from data_collection.recordings.quality import SOURCE_LEVELS_SCHEMA
from data_collection.recordings.receipts import (
    FINISHED,
    Fact,
    Receipt,
    Settled,
    StageResult,
    finished_receipt,
    read_receipt,
    settle,
)
from data_collection.recordings.segments import SEGMENT_SCHEMA, ClipGrid, segment_table
from data_collection.recordings.sounds import (
    SOUND_SCORES_VERSION,
    SoundScorer,
    SoundThresholds,
)
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.recordings.tombstones import refuse_purged
from data_collection.recordings.video_page import VideoPage

AUDIO_CODE_VERSION = "2"
SEGMENTS_CODE_VERSION = "3"

LEVELS = ".levels.parquet"
PAGE = ".page.json"

AUDIO_PARAMETERS: dict[str, Fact] = {
    "code_version": AUDIO_CODE_VERSION,
    "sample_rate_hz": decode.SAMPLE_RATE_HZ,
    "channels": "mean",
    "resampler": decode.RESAMPLER,
    "stored_as": f"FLAC {decode.STORED_SUBTYPE}",
}


def settle_audio(
    store: Store,
    tier: Tier,
    recording: Recording,
    source: OriginalSource,
    originals: dict[str, Settled] | None = None,
) -> Settled:
    """Store one recording's audio: fetched and decoded, or cut from a longer original.

    The inputs are the source's identity, not its URL: an address changes, a performance does not.

    Args:
        store: the data root.
        tier: whose recording it is.
        recording: its catalogue row.
        source: brings originals.
        originals: those that this run has settled already, by id, so that one that cannot be
            fetched is tried once and not once a part.
    """
    folder, recording_id = tier.folder("audio"), recording.recording_id
    if recording.cut_from is None:
        return _settle_fetched(store, folder, recording_id, recording, source)
    settled = originals if originals is not None else {}
    start_s, end_s = recording.source_start_s or 0.0, recording.source_end_s

    def work() -> StageResult:
        original_id = recording.cut_from or recording_id
        if original_id not in settled:
            settled[original_id] = _settle_fetched(
                store, tier.folder("originals"), original_id, recording, source
            )
        original = _finished(settled[original_id])
        with store.local(original.outputs[0].path) as whole, store.scratch() as scratch:
            part = scratch / f"{recording_id}.flac"
            with room_on(scratch):
                frames = cut_flac(whole, part, start_s=start_s, end_s=end_s)
            stored = store.publish(part, f"{folder}/{recording_id}.flac")
        levels = read_source_levels(store, original)
        return StageResult(
            outputs=(stored, _stored_levels(store, folder, recording_id, levels)),
            facts={
                **original.facts,
                "duration_s": frames / decode.SAMPLE_RATE_HZ,
                "cut_from": original_id,
                "cut_from_sha256": original.outputs[0].sha256,
                "source_start_s": start_s,
                "source_end_s": end_s,
            },
            versions=original.versions,
        )

    return settle(
        store,
        folder,
        recording_id,
        inputs=lambda: _source_of(store, recording),
        parameters=lambda: {
            **AUDIO_PARAMETERS,
            "source_start_s": float(start_s),
            "source_end_s": float(end_s) if end_s is not None else None,
        },
        work=work,
    )


def _settle_fetched(
    store: Store, folder: str, stored_id: str, recording: Recording, source: OriginalSource
) -> Settled:
    """Fetch, decode and store a source's whole original under an id in a folder."""

    def work() -> StageResult:
        with store.scratch() as scratch, room_on(scratch):
            flac = scratch / f"{stored_id}.flac"
            original = source(recording, flac, scratch)
            decoded = original.decoded
            stored = [store.publish(flac, f"{folder}/{stored_id}.flac")]
        stored.append(_stored_levels(store, folder, stored_id, decoded.source_levels))
        if original.page is not None:
            page = original.page.model_dump_json(indent=1).encode()
            stored.append(store.write_bytes(f"{folder}/{stored_id}{PAGE}", page))
        return StageResult(
            outputs=tuple(stored),
            facts={
                "duration_s": decoded.duration_s,
                "claimed_duration_s": original.claimed_duration_s,
                "original_sha256": original.sha256,
                "original_bytes": original.size_bytes,
                "original_format": original.format,
                "original_rate_hz": decoded.source_rate_hz,
                "original_channels": decoded.source_channels,
                "extractor": original.extractor,
                "licence": original.licence,
                "decoder": decoded.decoder,
                "peak": decoded.peak,
                "clipped_frames": decoded.clipped_frames,
                "longest_zero_run_s": decoded.longest_zero_run_s,
                "source_url": original.source_url,
                **original.facts,
            },
            versions={name: importlib.metadata.version(name) for name in original.tools},
        )

    return settle(
        store,
        folder,
        stored_id,
        inputs=lambda: _source_of(store, recording),
        parameters=lambda: AUDIO_PARAMETERS,
        work=work,
    )


def _source_of(store: Store, recording: Recording) -> dict[str, str]:
    """What a recording's audio is made from; every tier's audio comes by here.

    Raises:
        SetupError: `purged`: its source was taken out and is not asked for.
    """
    refuse_purged(store, recording)
    return {"source_id": recording.source_id}


def _stored_levels(store: Store, folder: str, stored_id: str, levels: pl.DataFrame) -> StoredFile:
    buffer = io.BytesIO()
    levels.write_parquet(buffer)
    return store.write_bytes(f"{folder}/{stored_id}{LEVELS}", buffer.getvalue())


def read_source_levels(store: Store, audio: Receipt) -> pl.DataFrame:
    """Clipping and bandwidth of each second of the original that some audio comes from.

    A part has those of its whole original: where it begins there is in its receipt.

    Raises:
        SetupError: `levels_unreadable`: the table is not there, damaged, or has other columns.
    """
    path = next((out.path for out in audio.outputs if out.path.endswith(LEVELS)), None)
    try:
        if path is None:
            raise ValueError("the receipt names none")
        table = pl.read_parquet(io.BytesIO(store.path(path).read_bytes()))
        if dict(table.schema) != dict(pl.Schema(SOURCE_LEVELS_SCHEMA)):
            raise ValueError(f"unexpected columns {table.schema}")
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise SetupError(
            "levels_unreadable",
            f"levels of {audio.recording_id}: {error}; delete its FLAC and materialize "
            f"{audio.stage} again",
            stops_batch=False,
        ) from error
    return table


def read_page(store: Store, tier: Tier, recording_id: str) -> VideoPage | None:
    """What the video's page said when its audio was fetched; None where it is not fetched.

    The length is that of the stored audio, which is the truth of it.
    """
    receipt = read_receipt(store, tier.folder("audio"), recording_id)
    if receipt is None or receipt.state not in FINISHED:
        return None
    path = next((out.path for out in receipt.outputs if out.path.endswith(PAGE)), None)
    if path is None:
        return None
    try:
        page = VideoPage.model_validate_json(store.path(path).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return page.model_copy(update={"duration_s": receipt.facts["duration_s"]})


def _finished(original: Settled) -> Receipt:
    """The original's receipt; what went wrong with it is what goes wrong with each of its parts.

    Raises:
        ItemError: the original failed.
        WorldError: it is blocked, whoever is at fault: its receipt says no more than that.
    """
    receipt = original.receipt
    if receipt.state in FINISHED:
        return receipt
    detail = f"the original {receipt.recording_id}: {receipt.detail}"
    if receipt.state == "failed":
        raise ItemError(receipt.reason or "failed", detail)
    raise WorldError(receipt.reason or "blocked", detail, stops_batch=original.stops_batch)


def settle_unknown(store: Store, tier: Tier, recording_id: str) -> Settled:
    """Block a partition that the catalogue no longer has, so that its neighbours go on."""

    def inputs() -> Mapping[str, str]:
        raise SetupError(
            "not_in_catalogue",
            f"{recording_id} is not in {tier.folder('recordings')}.jsonl; materialize "
            f"{tier.folder('recordings')} first",
            stops_batch=False,
        )

    return settle(
        store,
        tier.folder("audio"),
        recording_id,
        inputs=inputs,
        parameters=lambda: AUDIO_PARAMETERS,
        work=StageResult,
    )


def settle_segments(
    store: Store,
    tier: Tier,
    recording_id: str,
    grid: ClipGrid,
    sounds: SoundScorer,
    thresholds: SoundThresholds,
) -> Settled:
    """Cut one stored recording into a table of clips; filtered where no clip is worth embedding."""
    folder = tier.folder("segments")

    def audio() -> Receipt:
        return finished_receipt(store, tier.folder("audio"), recording_id)

    def work() -> StageResult:
        with store.local(audio().outputs[0].path) as flac:
            table = segment_table(
                flac,
                recording_id,
                grid,
                sounds=sounds,
                thresholds=thresholds,
                source_levels=read_source_levels(store, audio()),
                source_offset_s=float(audio().facts.get("source_start_s") or 0.0),
            )
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        stored = store.write_bytes(f"{folder}/{recording_id}.parquet", buffer.getvalue())
        kept = int((table["state"] == "kept").sum())
        reasons = sorted(set(table["reason"].drop_nulls()))
        return StageResult(
            outputs=(stored,),
            facts={
                "clips": table.height,
                "clips_kept": kept,
                "duration_s": float(table["end_s"].max() or 0.0),  # type: ignore[arg-type]
                "kept_s": float((table.filter(state="kept")["frame_count"]).sum())
                / decode.SAMPLE_RATE_HZ,
            },
            filtered_because=None if kept else "no_usable_clip",
            detail=None if kept else f"all {table.height} clips are filtered: {', '.join(reasons)}",
        )

    return settle(
        store,
        folder,
        recording_id,
        inputs=lambda: {"audio_sha256": audio().outputs[0].sha256},
        parameters=lambda: {
            "code_version": SEGMENTS_CODE_VERSION,
            "clip_s": float(grid.clip_s),
            "min_tail_s": float(grid.min_tail_s),
            "silence_dbfs": float(grid.silence_dbfs),
            "max_silent_share": float(grid.max_silent_share),
            "sound_scores": SOUND_SCORES_VERSION,
            **{f"sounds_{name}": share for name, share in asdict(thresholds).items()},
        },
        work=work,
    )


def read_segments(store: Store, tier: Tier, recording_id: str) -> pl.DataFrame:
    """Read a recording's table of clips, columns as `SEGMENT_SCHEMA`.

    Raises:
        SetupError: `clips_unreadable`: it is not there, damaged, or has other columns.
    """
    path = store.path(f"{tier.folder('segments')}/{recording_id}.parquet")
    try:
        table = pl.read_parquet(io.BytesIO(path.read_bytes()))
        if dict(table.schema) != dict(pl.Schema(SEGMENT_SCHEMA)):
            raise ValueError(f"unexpected columns {table.schema}")
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise SetupError(
            "clips_unreadable",
            f"{path}: {error}; delete it and materialize {tier.folder('segments')} again",
            stops_batch=False,
        ) from error
    return table
