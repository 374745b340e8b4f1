"""Checks of the embeddings, for every tier, on its `metadata`.

What belongs here: whether the files are what the receipts say. What does not: the rows of
`metadata.jsonl` (`recordings.checks`).
"""

import hashlib

import dagster as dg
import numpy as np

from data_collection.asset_pages import markdown_table
from data_collection.embedding.encoder import frame_count
from data_collection.embedding.stored import read_embedding_file
from data_collection.recordings.collection import Standing, standings
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.stages import read_segments
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier


def completeness_check(tier: Tier) -> dg.AssetChecksDefinition:
    """Make the check that every done recording has all its embeddings, each as it should be."""

    @dg.asset_check(
        asset=[*tier.key_prefix, "metadata"],
        name="every_segment_has_its_embedding",
        description=(
            "Every done recording has all its kept clips, and every clip its `.pt` file: readable, "
            "finite, of the clip's length, the model's width and the receipt's hash."
        ),
    )
    def every_segment_has_its_embedding(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            found = standings(opened, tier)
        except RecordingError as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        done = [item for item in found if item.state == "done"]
        problems: list[tuple[object, ...]] = []
        files = 0
        for item in done:
            looked_at, wrong = _problems_of(opened, tier, item)
            files += looked_at
            problems += wrong
        return dg.AssetCheckResult(
            passed=not problems,
            description=(
                f"{len(problems)} segments are wrong; delete their files and materialize their "
                "recordings again"
                if problems
                else None
            ),
            metadata={
                "recordings_done": float(len(done)),
                "recordings_not_done": float(len(found) - len(done)),
                "files_read": float(files),
                "wrong_segments": float(len(problems)),
                "problems": markdown_table(("segment", "problem"), problems),
            },
        )

    return every_segment_has_its_embedding


def _problems_of(store: Store, tier: Tier, item: Standing) -> tuple[int, list[tuple[object, ...]]]:
    recording_id = item.recording.recording_id
    receipt = item.receipts["muq_embeddings"]
    problems: list[tuple[object, ...]] = []
    try:
        clips = read_segments(store, tier, recording_id).filter(state="kept")
    except RecordingError as error:
        return 0, [(recording_id, error.detail)]
    output_of = {output.path.rsplit("/", 1)[1]: output for output in receipt.outputs}
    if set(output_of) != {f"{segment_id}.pt" for segment_id in clips["segment_id"]}:
        problems.append((recording_id, "the receipt names other segments than the table"))
    for clip in clips.iter_rows(named=True):
        segment_id = clip["segment_id"]
        output = output_of.get(f"{segment_id}.pt")
        if output is None:
            problems.append((segment_id, "no embedding"))
            continue
        frames = frame_count(clip["frame_count"], int(receipt.parameters["pool_frames"] or 1))
        expected = (frames, receipt.facts["width"])
        try:
            content = store.path(output.path).read_bytes()
            embedding = read_embedding_file(content)
        except FileNotFoundError:
            problems.append((segment_id, f"{output.path} is not there"))
        except ValueError as error:
            problems.append((segment_id, str(error)))
        else:
            if embedding.shape != expected:
                problems.append((segment_id, f"shape {embedding.shape}, expected {expected}"))
            elif not np.isfinite(embedding).all():
                problems.append((segment_id, "NaN or infinity"))
            elif hashlib.sha256(content).hexdigest() != output.sha256:
                problems.append((segment_id, "not the file that the receipt knows"))
    return clips.height, problems
