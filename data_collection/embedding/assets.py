"""The river's embeddings as a Dagster asset, once for all tiers.

What belongs here: the key, the pool, what the UI shows, and that several recordings are settled at
once so that the model is never without clips. What does not: the work (`stage`, `batches`).
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import dagster as dg

from data_collection.batching import run_per_partition
from data_collection.embedding.batches import ClipBatches
from data_collection.embedding.encoder import FRAMES_PER_SECOND
from data_collection.embedding.options import encoder_parameters
from data_collection.embedding.progress import EmbeddingProgress
from data_collection.embedding.resources import MuQResource
from data_collection.embedding.stage import planned, settle_embeddings
from data_collection.recordings.assets import OWNERS, tier_partitions
from data_collection.recordings.receipts import Fact, Receipt, Settled
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier

GPU_POOL = "gpu"
EMBEDDINGS_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=100)
"""Not the policy of `segments`; `recordings.assets` says why neighbours differ."""
MAX_RECORDINGS_AT_ONCE = 16
SHOWN_PARAMETERS = ("checkpoint_revision", "engine", "precision", "layers", "pool_frames")


def muq_embeddings_asset(tier: Tier) -> dg.AssetsDefinition:
    """Make a tier's `muq_embeddings` asset."""

    @dg.asset(
        key=[*tier.key_prefix, "muq_embeddings"],
        deps=[[*tier.key_prefix, "audio"], [*tier.key_prefix, "segments"]],
        partitions_def=tier_partitions(tier),
        backfill_policy=EMBEDDINGS_BACKFILL,
        pool=GPU_POOL,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"torch", "muq"},
        description=(
            f"**{tier.label}: the embeddings.** One float16 tensor `[frames, 1024]` at 25 frames a "
            "second for each kept clip: `torch.load(path, weights_only=True)`. Waveform and mel "
            "stay float32; the last hidden state, unless other layers or pooling are asked for."
        ),
        metadata={"path": f"{tier.folder('muq_embeddings')}/<segment_id>.pt"},
    )
    def muq_embeddings(
        context: dg.AssetExecutionContext, store: StoreResource, muq: MuQResource
    ) -> None:
        opened = store.open()
        embed_partitions(
            context,
            opened,
            tier,
            muq,
            lambda key, **model: settle_embeddings(opened, tier, key, **model),
        )

    return muq_embeddings


class SettleClips(Protocol):
    """Brings one recording through a stage that embeds its clips."""

    def __call__(
        self,
        recording_id: str,
        /,
        *,
        parameters: Callable[[], Mapping[str, Fact]],
        batches: ClipBatches,
        progress: EmbeddingProgress,
    ) -> Settled:
        """Settle the recording, with the model of this run."""
        ...


def embed_partitions(
    context: dg.AssetExecutionContext,
    store: Store,
    tier: Tier,
    muq: MuQResource,
    settle: SettleClips,
    describe_more: Callable[[Receipt], Mapping[str, float | int | str]] = lambda receipt: {},
) -> None:
    """Bring every recording of a run through a stage that embeds its clips, several at once.

    Args:
        context: of the stage's asset.
        store: the data root.
        tier: whose recordings they are.
        muq: the model.
        settle: the stage.
        describe_more: what a recording's page shows beside what all such stages show.

    Raises:
        dagster.Failure: some recordings are not finished.
    """
    progress = EmbeddingProgress(planned(store, tier, context.partition_keys))

    def describe(receipt: Receipt) -> dict[str, float | int | str]:
        frames = int(receipt.facts.get("frames") or 0)
        pooled = int(receipt.parameters["pool_frames"] or 1)
        pace = progress.pace()
        encoder = batches.loaded_encoder
        return {
            "segments": int(receipt.facts.get("segments") or 0),
            "duration_s": frames * pooled / FRAMES_PER_SECOND,
            "device": receipt.versions.get("device", ""),
            "run_clips_per_second": round(pace.clips_per_second, 3),
            "run_audio_hours_per_hour": round(pace.audio_hours_per_hour, 2),
            **{name: receipt.parameters[name] or 0 for name in SHOWN_PARAMETERS},
            **(
                {f"fidelity_{name}": figure for name, figure in encoder.fidelity.items()}
                if encoder
                else {}
            ),
            **describe_more(receipt),
        }

    # Left from the right: what waits for the model is ended before the threads are waited for.
    with (
        ThreadPoolExecutor(recordings_at_once(), "recording") as recordings,
        ClipBatches(muq.encoder, context.log) as batches,
    ):
        run_per_partition(
            context,
            lambda key: settle(
                key,
                parameters=lambda: encoder_parameters(muq.find(), muq.options()),
                batches=batches,
                progress=progress,
            ),
            describe,
            executor=recordings,
            progress=lambda: str(progress.pace()),
        )


def recordings_at_once() -> int:
    """Recordings read and written at the same time; reading a clip takes a core some 15 ms."""
    return min(MAX_RECORDINGS_AT_ONCE, max(2, os.cpu_count() or 1))
