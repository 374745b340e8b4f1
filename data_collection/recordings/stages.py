"""Bring one recording through a stage: audio and segments; `embedding.stage` has the third.

What belongs here: each stage's inputs, parameters and work, settled into a receipt. What does not:
Dagster (`assets`) and the loop over recordings (`batching`).
"""

from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Mapping

import polars as pl

from data_collection.recordings import decode
from data_collection.recordings.errors import SetupError, room_on
from data_collection.recordings.fetch import FetchOptions, fetch
from data_collection.recordings.receipts import (
    Fact,
    Receipt,
    Settled,
    StageResult,
    finished_receipt,
    settle,
)
from data_collection.recordings.segments import SEGMENT_SCHEMA, ClipGrid, segment_table
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Recording, Tier

AUDIO_CODE_VERSION = "1"
SEGMENTS_CODE_VERSION = "1"

AUDIO_PARAMETERS: dict[str, Fact] = {
    "code_version": AUDIO_CODE_VERSION,
    "sample_rate_hz": decode.SAMPLE_RATE_HZ,
    "channels": "mean",
    "resampler": decode.RESAMPLER,
    "stored_as": f"FLAC {decode.STORED_SUBTYPE}",
}


def settle_audio(store: Store, tier: Tier, recording: Recording, options: FetchOptions) -> Settled:
    """Fetch, decode and store one recording.

    The inputs are the source's identity, not its URL: an address changes, a performance does not.
    """
    folder, recording_id = tier.folder("audio"), recording.recording_id

    def work() -> StageResult:
        with store.scratch() as scratch, room_on(scratch):
            fetched = fetch(recording.source_url, scratch, options)
            flac = scratch / f"{recording_id}.flac"
            decoded = decode.decode_to_flac(
                fetched.path,
                flac,
                claimed_duration_s=fetched.claimed_duration_s or recording.duration_s,
            )
            stored = store.publish(flac, f"{folder}/{recording_id}.flac")
        return StageResult(
            outputs=(stored,),
            facts={
                "duration_s": decoded.duration_s,
                "claimed_duration_s": fetched.claimed_duration_s or recording.duration_s,
                "original_sha256": fetched.sha256,
                "original_bytes": fetched.size_bytes,
                "original_format": fetched.format,
                "original_rate_hz": decoded.source_rate_hz,
                "original_channels": decoded.source_channels,
                "extractor": fetched.extractor,
                "licence": fetched.licence,
                "decoder": decoded.decoder,
                "peak": decoded.peak,
                "clipped_frames": decoded.clipped_frames,
                "longest_zero_run_s": decoded.longest_zero_run_s,
                "source_url": recording.source_url,
            },
            versions={
                name: importlib.metadata.version(name)
                for name in ("yt-dlp", "av", "pedalboard", "soxr", "soundfile")
            },
        )

    return settle(
        store,
        folder,
        recording_id,
        inputs=lambda: {"source_id": recording.source_id},
        parameters=lambda: AUDIO_PARAMETERS,
        work=work,
    )


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


def settle_segments(store: Store, tier: Tier, recording_id: str, grid: ClipGrid) -> Settled:
    """Cut one stored recording into a table of clips; filtered where no clip is worth embedding."""
    folder = tier.folder("segments")

    def audio() -> Receipt:
        return finished_receipt(store, tier.folder("audio"), recording_id)

    def work() -> StageResult:
        with store.local(audio().outputs[0].path) as flac:
            table = segment_table(flac, recording_id, grid)
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
