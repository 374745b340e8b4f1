"""The fingerprints of a tier's recordings as a Dagster asset.

What belongs here: the key, its dependency, what the UI shows. What does not: the fingerprint
(`stored`), and what is found by it, which is the tiers' business.
"""

import dagster as dg

from data_collection.batching import run_per_partition
from data_collection.recordings.assets import OWNERS, tier_partitions
from data_collection.recordings.fingerprints.stored import FINGERPRINTS, settle_fingerprint
from data_collection.recordings.receipts import Receipt
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.tier import Tier

FINGERPRINTS_BACKFILL = dg.BackfillPolicy.multi_run(max_partitions_per_run=300)
"""Not the policy of `audio`; `recordings.assets` says why neighbours differ."""


def fingerprints_asset(tier: Tier) -> dg.AssetsDefinition:
    """Make a tier's `fingerprints` asset."""

    @dg.asset(
        key=[*tier.key_prefix, FINGERPRINTS],
        deps=[[*tier.key_prefix, "audio"]],
        partitions_def=tier_partitions(tier),
        backfill_policy=FINGERPRINTS_BACKFILL,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"numpy"},
        description=(
            f"**{tier.label}: what a performance is recognised by.** The strongest onsets in 48 "
            "semitones, to a hundredth of a second, and a hash of the samples. A copy in another "
            "codec, room or loudness has the same; another pianist's performance has not."
        ),
        metadata={"path": f"{tier.folder(FINGERPRINTS)}/<recording_id>.safetensors"},
    )
    def fingerprints(context: dg.AssetExecutionContext, store: StoreResource) -> None:
        opened = store.open()

        def describe(receipt: Receipt) -> dict[str, float | int | str]:
            return {
                "landmarks": int(receipt.facts.get("landmarks") or 0),
                "duration_s": round(float(receipt.facts.get("duration_s") or 0.0), 3),
                "pcm_sha256": str(receipt.facts.get("pcm_sha256", "")),
            }

        run_per_partition(context, lambda key: settle_fingerprint(opened, tier, key), describe)

    return fingerprints
