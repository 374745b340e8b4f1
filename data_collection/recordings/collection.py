"""What a tier holds, read from the receipts: rows for training, and what is missing and why.

What belongs here: joining catalogue, receipts and clip tables. What does not: making any of them,
and showing them (`assets`, `checks`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data_collection.recordings.errors import RecordingError
from data_collection.recordings.receipts import FINISHED, Receipt, read_receipt
from data_collection.recordings.rows import read_rows
from data_collection.recordings.stages import read_segments
from data_collection.recordings.store import Store
from data_collection.recordings.tier import SegmentLabels, Tier
from data_collection.recordings.tier_rows import Recording, SegmentRow

STAGES = ("audio", "segments", "muq_embeddings")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one recording has come.

    Attributes:
        recording: its catalogue row.
        receipts: its receipts by stage, in the river's order, up to the last one there is.
        stage: the first stage that is not done, or the last stage.
        state: `done`, `filtered`, `failed`, `blocked` or `missing` (never tried).
        reason: why it is not done.
        detail: the same in words.
    """

    recording: Recording
    receipts: dict[str, Receipt]
    stage: str
    state: str
    reason: str | None
    detail: str | None


def read_recordings(store: Store, tier: Tier) -> list[Recording]:
    """Read a tier's catalogue.

    Raises:
        SetupError: it has not been made, or a line is broken.
    """
    return list(read_rows(store, f"{tier.folder('recordings')}.jsonl", tier.recording_model))


def standing(store: Store, tier: Tier, recording: Recording) -> Standing:
    """How far a recording has come, from its receipts."""
    receipts: dict[str, Receipt] = {}
    made: dict[str, str] = {}
    for stage in STAGES:
        receipt = read_receipt(store, tier.folder(stage), recording.recording_id)
        if receipt is None:
            return Standing(recording, receipts, stage, "missing", "not_tried", None)
        receipts[stage] = receipt
        if stage == "audio" and _is_cut_elsewhere(recording, receipt):
            detail = "the catalogue has moved where it is cut; materialize audio again"
            return Standing(recording, receipts, stage, "missing", "cut_moved", detail)
        changed = [name for name in made if receipt.inputs.get(name, made[name]) != made[name]]
        if receipt.state == "done" and changed:
            detail = f"{', '.join(changed)} is not what it was made from; materialize it again"
            return Standing(recording, receipts, stage, "missing", "upstream_changed", detail)
        if receipt.outputs:
            made[f"{stage}_sha256"] = receipt.outputs[0].sha256
        if receipt.state != "done":
            return Standing(
                recording, receipts, stage, receipt.state, receipt.reason, receipt.detail
            )
    return Standing(recording, receipts, STAGES[-1], "done", None, None)


def _is_cut_elsewhere(recording: Recording, audio: Receipt) -> bool:
    """Whether the stored part has other bounds than the catalogue's: its labels are not of it."""
    if recording.cut_from is None or audio.state not in FINISHED:
        return False
    stated = (recording.source_start_s or 0.0, recording.source_end_s)
    return stated != tuple(audio.parameters.get(f"source_{at}_s") for at in ("start", "end"))


def standings(store: Store, tier: Tier) -> list[Standing]:
    """How far every recording of the catalogue has come."""
    return [standing(store, tier, recording) for recording in read_recordings(store, tier)]


def collected_rows(
    store: Store, tier: Tier, standings: Sequence[Standing]
) -> tuple[list[SegmentRow], list[Standing]]:
    """The rows of `metadata.jsonl`, one for each embedded clip of each done recording.

    Returns:
        The rows, and the standings again: a recording whose table of clips cannot be read is no
        longer done, and keeps no other from its rows; one that another stands for is filtered.

    Raises:
        RecordingError: what the rows are labelled with cannot be read.
    """
    labels, left_out = tier.segment_labels(store), tier.left_out(store)
    rows: list[SegmentRow] = []
    checked: list[Standing] = []
    for item in standings:
        stands_for_it = left_out.get(item.recording.recording_id)
        if stands_for_it is not None and item.state == "done":
            detail = f"{stands_for_it} stands for it"
            checked.append(
                replace(item, stage="metadata", state="filtered", reason="duplicate", detail=detail)
            )
            continue
        try:
            rows += _rows_of(store, tier, item, labels) if item.state == "done" else []
        except RecordingError as error:
            item = replace(
                item, stage="segments", state="blocked", reason=error.reason, detail=error.detail
            )
        checked.append(item)
    return rows, checked


def _rows_of(store: Store, tier: Tier, item: Standing, labels: SegmentLabels) -> list[SegmentRow]:
    audio, _, embeddings = (item.receipts[stage] for stage in STAGES)
    output_of = {output.path.rsplit("/", 1)[1]: output for output in embeddings.outputs}
    frames = json.loads(str(embeddings.facts["frames_by_segment"]))
    clips = read_segments(store, tier, item.recording.recording_id).filter(state="kept")
    return [
        tier.row_model.model_validate(
            {
                **item.recording.model_dump(),
                **clip,
                **labels(item.recording, clip["start_s"], clip["end_s"]),
                "source_offset_s": item.recording.source_start_s or 0.0,
                "segment_start": clip["start_s"],
                "segment_end": clip["end_s"],
                "embedding_path": output_of[f"{clip['segment_id']}.pt"].path,
                "embedding_sha256": output_of[f"{clip['segment_id']}.pt"].sha256,
                "embedding_frames": frames[clip["segment_id"]],
                "embedding_width": embeddings.facts["width"],
                "checkpoint_revision": embeddings.parameters["checkpoint_revision"],
                "audio_sha256": audio.outputs[0].sha256,
                "original_sha256": audio.facts["original_sha256"],
                "licence": audio.facts["licence"],
            }
        )
        for clip in clips.iter_rows(named=True)
    ]


def missing_by_reason(standings: Sequence[Standing]) -> dict[str, int]:
    """Count what is not done as `stage: state: reason`, the most frequent first."""
    return dict(
        Counter(
            f"{item.stage}: {item.state}: {item.reason}"
            for item in standings
            if item.state != "done"
        ).most_common()
    )
