"""Make the sample's MuQ checkpoint: the real architecture, tiny, with random weights.

Run once by hand; its output is kept in `data_collection/sample/checkpoint/`:

    python -m data_collection.sample.render.make_checkpoint

Its embeddings mean nothing. It lets the river run end to end in seconds and without a download.
With `--full` the weights have MuQ-large's size, which shows what a real clip costs on a machine:

    python -m data_collection.sample.render.make_checkpoint --full --folder /tmp/muq-full
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from data_collection.sample.world import CHECKPOINT

SEED = 2021
MEL_STATISTICS = {
    "melspec_2048_mean": 6.768444971712967,
    "melspec_2048_std": 18.417922652295623,
}


def build(
    *, width: int, layers: int, heads: int, feed_forward: int, conv_width: int, codebook_size: int
) -> Any:
    """Build MuQ without the hub, with seeded random weights.

    Args:
        width: values a frame.
        layers: conformer layers.
        heads: attention heads.
        feed_forward: inner width of a feed-forward block.
        conv_width: channels of the convolutional front end.
        codebook_size: classes of the training head, which embeddings do not use.
    """
    import torch
    from muq import MuQ, MuQConfig
    from transformers import Wav2Vec2ConformerConfig

    conformer = Wav2Vec2ConformerConfig(  # type: ignore[no-untyped-call]
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        hidden_act="swish",
        position_embeddings_type="rotary",
        rotary_embedding_base=10_000,
        conv_depthwise_kernel_size=31,
        layer_norm_eps=1e-5,
    )
    # muq keeps the configuration in an EasyDict, which chokes on dicts with integer keys.
    plain = {k: v for k, v in conformer.to_dict().items() if not isinstance(v, dict)}
    torch.manual_seed(SEED)
    return MuQ(
        MuQConfig(
            conv_dim=conv_width,
            codebook_size=codebook_size,
            encoder_dim=width,
            encoder_depth=layers,
            stat=MEL_STATISTICS,
            w2v2_config=plain,
        )
    ).eval()


def main() -> None:
    """Write a checkpoint folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=CHECKPOINT)
    parser.add_argument("--full", action="store_true", help="MuQ-large's size: 1.3 GB")
    arguments = parser.parse_args()
    model = (
        build(
            width=1024, layers=12, heads=16, feed_forward=4096, conv_width=512, codebook_size=4096
        )
        if arguments.full
        else build(width=64, layers=2, heads=4, feed_forward=128, conv_width=16, codebook_size=64)
    )
    model.save_pretrained(arguments.folder)
    size = sum(path.stat().st_size for path in arguments.folder.iterdir())
    print(f"{arguments.folder}: {size / 1e6:.1f} MB, random weights from seed {SEED}")


if __name__ == "__main__":
    main()
