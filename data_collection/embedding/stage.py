"""The embedding stage for one recording.

What belongs here: reading the kept clips from the stored FLAC, one at a time, and writing a `.pt`
for each. What does not: the forward pass (`encoder`) and Dagster (`assets`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from data_collection.embedding.checkpoint import Checkpoint
from data_collection.embedding.encoder import Encoder, embedding_file, encoder_parameters
from data_collection.recordings.errors import ItemError, SetupError
from data_collection.recordings.receipts import (
    Receipt,
    Settled,
    StageResult,
    finished_receipt,
    settle,
)
from data_collection.recordings.stages import read_segments
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier

CODE_VERSION = "1"


def embedding_path(tier: Tier, segment_id: str) -> str:
    """Relative path of a segment's embedding."""
    return f"{tier.folder('muq_embeddings')}/{segment_id}.pt"


def settle_embeddings(
    store: Store,
    tier: Tier,
    recording_id: str,
    *,
    checkpoint: Callable[[], Checkpoint],
    encoder: Callable[[], Encoder],
) -> Settled:
    """Embed every kept clip of one recording.

    Args:
        store: the data root.
        tier: whose recording it is.
        recording_id: the recording.
        checkpoint: says which weights; raises `SetupError` where they are missing.
        encoder: loads the model; not called where the receipt holds already.
    """

    def upstream(stage: str) -> Receipt:
        return finished_receipt(store, tier.folder(stage), recording_id)

    def inputs() -> Mapping[str, str]:
        audio, segments = upstream("audio"), upstream("segments")
        audio_sha256 = audio.outputs[0].sha256
        if segments.inputs["audio_sha256"] != audio_sha256:
            raise SetupError(
                "upstream_not_done",
                f"the clips of {recording_id} are of audio that was replaced; materialize "
                f"{tier.folder('segments')} first",
                stops_batch=False,
            )
        return {"audio_sha256": audio_sha256, "segments_sha256": segments.outputs[0].sha256}

    def work() -> StageResult:
        if upstream("segments").state == "filtered":
            return StageResult(
                filtered_because="no_usable_clip", detail=upstream("segments").detail
            )
        return _embed(store, tier, recording_id, encoder(), upstream("audio").outputs[0].path)

    def parameters() -> dict[str, str | int | float | bool | None]:
        return {"code_version": CODE_VERSION, **encoder_parameters(checkpoint())}

    return settle(
        store,
        tier.folder("muq_embeddings"),
        recording_id,
        inputs=inputs,
        parameters=parameters,
        work=work,
    )


def _embed(
    store: Store, tier: Tier, recording_id: str, encoder: Encoder, audio_path: str
) -> StageResult:
    import soundfile

    kept = read_segments(store, tier, recording_id).filter(state="kept")
    outputs = []
    frames: dict[str, int] = {}
    width = 0
    with store.local(audio_path) as flac, soundfile.SoundFile(flac) as file:
        for segment in kept.iter_rows(named=True):
            segment_id = segment["segment_id"]
            file.seek(segment["start_frame"])
            clip = file.read(segment["frame_count"], dtype="float32")
            try:
                hidden = encoder.embed(clip)
                content = embedding_file(hidden)
            except ItemError as error:
                raise ItemError(error.reason, f"segment {segment_id}: {error.detail}") from error
            outputs.append(store.write_bytes(embedding_path(tier, segment_id), content))
            frames[segment_id], width = hidden.shape
    return StageResult(
        outputs=tuple(outputs),
        facts={
            "segments": len(outputs),
            "frames": sum(frames.values()),
            "frames_by_segment": json.dumps(frames),
            "width": width,
        },
        versions=encoder.versions,
    )
