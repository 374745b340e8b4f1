"""What twins cost: clips embedded with their twins against the same clips alone, to `.pt` on disk.

    python -m data_collection.sample.render.make_checkpoint --full --folder /tmp/muq-full
    python benchmarks/twins.py /tmp/muq-full [--clips N] [--rounds N] [--json]

Both sides begin at the stored FLAC and its table of clips and take turns in one process, the order
reversed each round; ratios are taken within a round. The stages are the river's own, with its
recipe, receipts and batches. Fetching, decoding and hearing what is in a clip come before either
and would only bring the ratio down. Says the machine's load, since it is a ratio of times.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from embedding import Spread, Took, alternate, positive
from embedding_cost import machine
from embedding_sides import TIER, Material, embed_by_pipeline, make_material, sample_recordings

from data_collection.augmentation.resources import AugmentationResource
from data_collection.embedding.assets import recordings_at_once
from data_collection.embedding.batches import ClipBatches
from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.encoder import Encoder, load_encoder
from data_collection.embedding.options import EncoderOptions, definite_device, definite_precision
from data_collection.embedding.progress import EmbeddingProgress
from data_collection.embedding.stage import planned
from data_collection.embedding.twins import read_twins, settle_twins
from data_collection.recordings.segments import segment_id
from data_collection.recordings.store import Store
from data_collection.recordings.variants import ClipVariant

CLEAN = "clean only"
WITH_TWINS = "with twins"
TARGET = 2.1
LOG = logging.getLogger("benchmarks.twins")


def embed_twins(
    store: Store, recording_ids: Sequence[str], encoder: Encoder, variant: ClipVariant
) -> None:
    """The twins' stage over recordings, as the asset `augmented_muq_embeddings` runs it.

    Raises:
        RuntimeError: one is not done.
    """
    progress = EmbeddingProgress(planned(store, TIER, recording_ids))

    def embed(name: str) -> None:
        settled = settle_twins(
            store,
            TIER,
            name,
            variant,
            parameters=lambda: encoder.parameters,
            batches=batches,
            progress=progress,
        )
        if settled.receipt.state != "done":
            raise RuntimeError(f"twins of {name}: {settled.receipt.detail}")

    with (
        ThreadPoolExecutor(recordings_at_once()) as recordings,
        ClipBatches(lambda: encoder, LOG) as batches,
    ):
        list(recordings.map(embed, recording_ids))


def take_turns(
    material: Material,
    encoder: Encoder,
    variant: ClipVariant,
    rounds: int,
    folder: Path,
    *,
    device: str,
) -> dict[str, list[Took]]:
    """Embed everything on both sides, round by round."""

    def clean(target: Path) -> None:
        embed_by_pipeline(_store(material, target), material.recording_ids, encoder)

    def with_twins(target: Path) -> None:
        clean(target)
        embed_twins(_store(material, target), material.recording_ids, encoder, variant)

    return alternate({CLEAN: clean, WITH_TWINS: with_twins}, rounds, folder, device)


def _store(material: Material, embeddings: Path) -> Store:
    return Store.at(str(material.root), str(embeddings))


def seconds_to_make(material: Material, variant: ClipVariant) -> float:
    """Seconds that making the audio of a twin takes, of one thread with nothing beside it."""
    clips = material.clips()
    began_s = time.perf_counter()
    for at, clip in enumerate(clips):
        variant.make(segment_id("made", at), clip)
    return (time.perf_counter() - began_s) / len(clips)


def ratios(took: Mapping[str, Sequence[Took]], what: str) -> Spread:
    """How many times longer it takes with twins, paired by round."""
    pairs = zip(took[WITH_TWINS], took[CLEAN], strict=True)
    return Spread.of([getattr(twins, what) / getattr(clean, what) for twins, clean in pairs])


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Make the material, load the model, warm both sides, and measure."""
    load_before = os.getloadavg()[0]
    device = definite_device(arguments.device)
    precision = definite_precision("auto", device)
    encoder = load_encoder(
        find_checkpoint(arguments.checkpoint), EncoderOptions(device=device, precision=precision)
    )
    variant = AugmentationResource().variant()
    sources = sample_recordings()
    one_clip = make_material(sources[:1], folder / "one_clip", 1, 1)
    take_turns(one_clip, encoder, variant, 1, folder / "warm", device=device)
    material = make_material(
        sources, folder / "material", arguments.clips, min(arguments.recordings, arguments.clips)
    )
    took = take_turns(
        material, encoder, variant, arguments.rounds, folder / "rounds", device=device
    )
    last = _store(material, folder / "rounds" / WITH_TWINS)
    rows = read_twins(last, TIER, material.recording_ids)
    if len(rows) != arguments.clips:
        raise RuntimeError(f"{len(rows)} twins of {arguments.clips} clips")
    wall = ratios(took, "wall_s")
    clean_s = statistics.median(one.wall_s for one in took[CLEAN]) / arguments.clips
    return {
        "ratio": statistics.median(one.wall_s for one in took[WITH_TWINS])
        / statistics.median(one.wall_s for one in took[CLEAN]),
        "ratio_by_round": asdict(wall),
        "ratio_cpu_time": asdict(ratios(took, "cpu_s")),
        "target": TARGET,
        "clean_s_a_clip": clean_s,
        "making_a_twin_s": seconds_to_make(material, variant),
        "clips": arguments.clips,
        "rounds": arguments.rounds,
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "seconds": {name: [asdict(one) for one in all_] for name, all_ in took.items()},
        "precision": precision,
        "machine": machine(device),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", help="folder or hub id")
    parser.add_argument("--clips", type=positive, default=4)
    parser.add_argument("--recordings", type=positive, default=2)
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twins-") as name:
        results = measure(arguments, Path(name))
    for label, value in results.items():
        print(f"{label:18} {value:.3f}" if isinstance(value, float) else f"{label:18} {value}")
    if arguments.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
