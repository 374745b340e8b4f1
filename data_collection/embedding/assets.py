"""The river's embeddings as a Dagster asset, once for all tiers.

What belongs here: the key, the pool, what the UI shows. What does not: the work (`stage`).
"""

import dagster as dg

from data_collection.batching import run_per_partition
from data_collection.embedding.encoder import FRAMES_PER_SECOND
from data_collection.embedding.resources import MuQResource
from data_collection.embedding.stage import settle_embeddings
from data_collection.recordings.assets import OWNERS, tier_partitions
from data_collection.recordings.receipts import Receipt
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.tier import Tier

GPU_POOL = "gpu"
EMBEDDINGS_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=100)
"""Not the policy of `segments`; `recordings.assets` says why neighbours differ."""


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
            "stay float32; last hidden state."
        ),
        metadata={"path": f"{tier.folder('muq_embeddings')}/<segment_id>.pt"},
    )
    def muq_embeddings(
        context: dg.AssetExecutionContext, store: StoreResource, muq: MuQResource
    ) -> None:
        opened = store.open()

        def describe(receipt: Receipt) -> dict[str, float | int | str]:
            return {
                "segments": int(receipt.facts.get("segments") or 0),
                "duration_s": int(receipt.facts.get("frames") or 0) / FRAMES_PER_SECOND,
                "checkpoint_revision": str(receipt.parameters["checkpoint_revision"]),
                "device": receipt.versions.get("device", ""),
            }

        run_per_partition(
            context,
            lambda key: settle_embeddings(
                opened, tier, key, checkpoint=muq.find, encoder=muq.encoder
            ),
            describe,
        )

    return muq_embeddings
