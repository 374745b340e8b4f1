"""This project's embedding against the package's own usage, from file on disk to `.pt` on disk.

    python -m data_collection.sample.render.make_checkpoint --full --folder /tmp/muq-full
    python benchmarks/embedding.py /tmp/muq-full [--clips N] [--rounds N] [--original] [--json]

Both sides, and bare forward passes, take turns in one process: the order is reversed each round and
ratios are taken within a round, so that a machine that slows down slows all. Models are loaded and
warm before; every round writes into a fresh folder. Both begin at the FLAC that the project stores
(mono, 24 kHz), or with `--original` at 44.1 kHz stereo. Prints rows for docs/performance.md.
`embedding_sides` has the two sides, `embedding_memory` what peak memory means.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from embedding_cost import counted_flop, machine, matmul_gflops, synchronise
from embedding_memory import Memory, measure_memory
from embedding_sides import (
    CLIP_S,
    Material,
    Package,
    Samples,
    bare_passes,
    embed_by_pipeline,
    embed_from_originals,
    fresh_store,
    make_material,
    sample_recordings,
)

from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.encoder import Encoder, load_encoder
from data_collection.embedding.options import (
    EncoderOptions,
    Precision,
    definite_device,
    definite_precision,
)

PACKAGE = "package"
MEMORY_MINUTES = (10.0, 60.0)
MEMORY_CLIPS = 4


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the clock, and of processor time in all threads."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g} to {self.most:.3g})"


Run = Callable[[Path], object]
"""Embeds everything once; what it writes goes below the folder that it is given."""


def alternate(
    sides: Mapping[str, Run], rounds: int, folder: Path, device: str
) -> dict[str, list[Took]]:
    """Run all sides, round by round, and keep the files of the last round as `<folder>/<side>`."""
    took: dict[str, list[Took]] = {name: [] for name in sides}
    for index in range(rounds):
        for name, run in list(sides.items())[:: 1 if index % 2 == 0 else -1]:
            target = folder / name
            shutil.rmtree(target, ignore_errors=True)
            gc.collect()
            synchronise(device)
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            run(target)
            synchronise(device)
            took[name].append(Took(time.perf_counter() - wall_s, time.process_time() - cpu_s))
            print(f"round {index + 1}, {name}: {took[name][-1].wall_s:.2f} s", flush=True)
    return took


def sides_of(
    material: Material, package: Package, encoders: Mapping[Precision, Encoder], *, original: bool
) -> dict[str, Run]:
    """What takes turns: the package, this project in each precision, and its bare passes."""
    files = {
        name: path if original else material.stored(name)
        for name, path in material.originals.items()
    }
    clips = material.clips()

    def pipeline(encoder: Encoder) -> Run:
        def run(folder: Path) -> None:
            store = fresh_store(material, folder, from_originals=original)
            if original:
                embed_from_originals(store, material.originals, encoder)
            else:
                embed_by_pipeline(store, material.recording_ids, encoder)

        return run

    def bare(encoder: Encoder) -> Run:
        def run(_: Path) -> None:
            with ThreadPoolExecutor(1) as thread:  # as in the pipeline: OpenMP waits otherwise
                thread.submit(bare_passes, encoder, clips).result()

        return run

    return {
        PACKAGE: lambda folder: package.embed_files(files, folder),
        **{name: pipeline(encoder) for name, encoder in encoders.items()},
        **{bare_name(name): bare(encoder) for name, encoder in encoders.items()},
    }


def bare_name(precision: Precision) -> str:
    """Name of the side that only runs the model."""
    return f"{precision}, bare passes"


def cosines(a: Samples, b: Samples) -> npt.NDArray[np.float64]:
    """Cosines along the last axis, in double precision."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return np.asarray((x * y).sum(axis=-1) / lengths)


def fidelity(true: Samples, ours: Samples) -> dict[str, float]:
    """How near embeddings `[clips, frames, width]` are to the package's."""
    return {
        "cosine_min": min(float(cosines(*pair).min()) for pair in zip(true, ours, strict=True)),
        "clip_cosine_min": float(cosines(true.mean(axis=1), ours.mean(axis=1)).min()),
        "largest_error": float(np.abs(true - ours).max()),
    }


def stored_cosine_min(true: Path, ours: Path) -> float:
    """The least cosine of a frame between the `.pt` files of two folders.

    Raises:
        RuntimeError: they do not hold the same clips.
    """
    found = [{path.name: path for path in folder.rglob("*.pt")} for folder in (true, ours)]
    if not found[0] or found[0].keys() != found[1].keys():
        raise RuntimeError(f"{true} and {ours} hold {len(found[0])} and {len(found[1])} clips")
    least = 1.0
    for name in found[0]:
        pair = [torch.load(files[name], weights_only=True).float().numpy() for files in found]
        least = min(least, float(cosines(*pair).min()))
    return least


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was measured; `default` is the precision that `auto` or the caller chose."""

    default: Precision
    clips: int
    took: Mapping[str, Sequence[Took]]
    fidelity: Mapping[Precision, Mapping[str, float]]
    stored_cosine_min: Mapping[Precision, float]
    flop: Mapping[str, int]
    matmul_gflops: Mapping[Precision, float]
    memory: Sequence[Memory]

    def ratio(self, slow: str, fast: str, what: str = "wall_s") -> Spread:
        """How many times longer one side took than another, paired by round."""
        pairs = zip(self.took[slow], self.took[fast], strict=True)
        return Spread.of([getattr(a, what) / getattr(b, what) for a, b in pairs])

    def clip_s(self, side: str, what: str = "wall_s") -> Spread:
        """Seconds a clip."""
        return Spread.of([getattr(took, what) / self.clips for took in self.took[side]])

    def share_of_peak(self, side: str) -> float:
        """The share of the matrix products' peak that a side's own operations make."""
        engine = side.split(",")[0]
        gflops = self.flop[engine] / 1e9 / self.clip_s(side).median
        return gflops / self.matmul_gflops["bfloat16" if engine == "bfloat16" else "float32"]

    def overhead(self) -> Spread:
        """What the pipeline takes over its bare passes, as a share of these."""
        found = self.ratio(self.default, bare_name(self.default))
        return Spread(found.median - 1, found.least - 1, found.most - 1)

    def longest(self, engine: str) -> Memory | None:
        """The memory measurement of an engine on the longest recording."""
        of_engine = [memory for memory in self.memory if memory.engine == engine]
        return max(of_engine, key=lambda memory: memory.minutes, default=None)

    def as_json(self) -> dict[str, object]:
        """One flat object, and the details beside."""
        longest = self.longest(self.default)
        pace = 1 / self.clip_s(self.default).median
        return {
            "speedup": self.ratio(PACKAGE, self.default).median,
            "speedup_float32": self.ratio(PACKAGE, "float32").median,
            "speedup_spread": asdict(self.ratio(PACKAGE, self.default)),
            "speedup_float32_spread": asdict(self.ratio(PACKAGE, "float32")),
            "speedup_cpu_time": self.ratio(PACKAGE, self.default, "cpu_s").median,
            **self.fidelity[self.default],
            "stored_cosine_min": self.stored_cosine_min[self.default],
            "peak_rss_mb_over_model": longest and longest.peak_mb,
            "peak_rss_mb_over_loaded": longest and longest.peak_mb - longest.loaded_mb,
            "pipeline_overhead": self.overhead().median,
            "pipeline_overhead_spread": asdict(self.overhead()),
            "clips_per_s": pace,
            "audio_hours_per_hour": pace * CLIP_S,
            "flop_per_clip_package": self.flop[PACKAGE],
            "flop_per_clip_lean": self.flop[self.default],
            "matmul_gflops": self.matmul_gflops[self.default],
            "share_of_matmul_peak": self.share_of_peak(self.default),
            "share_of_matmul_peak_bare": self.share_of_peak(bare_name(self.default)),
            "share_of_matmul_peak_package": self.share_of_peak(PACKAGE),
            "precision": self.default,
            "clips": self.clips,
            "fidelity": self.fidelity,
            "memory": [asdict(memory) for memory in self.memory],
            "seconds": {name: [asdict(took) for took in all_] for name, all_ in self.took.items()},
        }


def measure(arguments: argparse.Namespace, device: str, folder: Path) -> Measured:
    """Make the material, load the models, warm them, and measure."""
    checkpoint = find_checkpoint(arguments.checkpoint)
    default = definite_precision(arguments.precision, device)
    precisions: list[Precision] = ["float32"]
    precisions += [default] if default != "float32" else []
    sources = arguments.audio or sample_recordings()
    memory = measure_memory(
        checkpoint.folder,
        sources,
        arguments.rss_minutes,
        [PACKAGE, *precisions],
        device=device,
        clips=arguments.rss_clips or None,
    )
    recordings = min(arguments.recordings, arguments.clips)
    material = make_material(sources, folder / "material", arguments.clips, recordings)
    package = Package(checkpoint.folder, device)
    encoders: dict[Precision, Encoder] = {
        precision: load_encoder(
            checkpoint,
            EncoderOptions(device=device, precision=precision, batch_s=arguments.batch_s),
        )
        for precision in precisions
    }
    clips = material.clips()
    true = np.stack([package.last_hidden_state(clip[np.newaxis])[0].cpu() for clip in clips])
    near = {name: fidelity(true, bare_passes(encoder, clips)) for name, encoder in encoders.items()}
    one_clip = make_material(sources[:1], folder / "one_clip", 1, 1)
    for name, run in sides_of(one_clip, package, encoders, original=arguments.original).items():
        run(folder / "warm" / name)  # what is imported late, and what torch sets up, is there
    flop = {PACKAGE: counted_flop(partial(package.last_hidden_state, clips[:1]))}
    for precision, encoder in encoders.items():
        flop[precision] = counted_flop(partial(encoder.embed, clips[:1]))
    sides = sides_of(material, package, encoders, original=arguments.original)
    took = alternate(sides, arguments.rounds, folder / "rounds", device)
    return Measured(
        default=default,
        clips=len(clips),
        took=took,
        fidelity=near,
        stored_cosine_min={
            name: stored_cosine_min(folder / "rounds" / PACKAGE, folder / "rounds" / name)
            for name in encoders
        },
        flop=flop,
        matmul_gflops={name: matmul_gflops(device, getattr(torch, name)) for name in encoders},
        memory=memory,
    )


def print_tables(found: Measured, what: str) -> None:
    """Rows to paste into docs/performance.md."""
    print(f"\n{what}; {found.clips} clips of {CLIP_S} s, {len(found.took[PACKAGE])} rounds\n")
    print("| side | seconds a clip | processor time a clip | times the package, wall | in ", end="")
    print("processor time | GFLOP a clip | share of matmul peak |\n|---|---|---|---|---|---|---|")
    for side in found.took:
        engine = side.split(",")[0]
        print(
            f"| {side} | {found.clip_s(side)} | {found.clip_s(side, 'cpu_s')} | "
            f"{found.ratio(PACKAGE, side)} | {found.ratio(PACKAGE, side, 'cpu_s')} | "
            f"{found.flop[engine] / 1e9:.4g} | {found.share_of_peak(side):.0%} |"
        )
    print("\n| precision | least cosine of a frame | of a clip's mean | largest error | ", end="")
    print("of a frame between `.pt` files |\n|---|---|---|---|---|")
    for name, near in found.fidelity.items():
        print(
            f"| {name} | {near['cosine_min']:.7f} | {near['clip_cosine_min']:.7f} | "
            f"{near['largest_error']:.1e} | {found.stored_cosine_min[name]:.7f} |"
        )
    if found.memory:
        print(
            "\n| engine | recording | model, MB | over it: peak | once loaded | while loading | ",
            end="",
        )
        print("clips embedded |\n|---|---|---|---|---|---|---|")
    for memory in found.memory:
        print(
            f"| {memory.engine} | {memory.minutes:.0f} min | {memory.model_mb:.0f} | "
            f"{memory.peak_mb:.0f} | {memory.loaded_mb:.0f} | {memory.loading_mb:.0f} | "
            f"{memory.embedded_clips} of {memory.clips} |"
        )
    rates = ", ".join(f"{rate:.4g} ({name})" for name, rate in found.matmul_gflops.items())
    pace = 1 / found.clip_s(found.default).median
    print(f"\nmatrix products: {rates} GFLOP/s at best")
    print(f"pipeline over bare passes, {found.default}: {found.overhead()}")
    print(f"{found.default}: {pace:.3g} clips/s, {pace * CLIP_S:.3g} hours of audio an hour")


def positive(text: str) -> int:
    """A count of at least one."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def file(text: str) -> Path:
    """A file that is there."""
    if not (path := Path(text)).is_file():
        raise argparse.ArgumentTypeError(f"no file {path}")
    return path


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("checkpoint", help="folder or hub id")
    add("--audio", type=file, nargs="+", help="instead of the sample's; joined and repeated")
    add("--clips", type=positive, default=8)
    add("--recordings", type=positive, default=4, help="files that the clips are spread over")
    add("--rounds", type=positive, default=5)
    add("--device", default="auto")
    add("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    add("--batch-s", type=float, help="seconds of audio in a pass; found from memory if not given")
    add("--original", action="store_true", help="begin at 44.1 kHz stereo, not at the stored FLAC")
    add(
        "--rss-minutes",
        type=float,
        nargs="*",
        default=MEMORY_MINUTES,
        help="lengths of recordings for peak memory; none to leave it out",
    )
    add(
        "--rss-clips",
        type=int,
        default=MEMORY_CLIPS,
        help="embed so many of such a recording's clips, half of them its last; 0: all",
    )
    add("--json", action="store_true", help="one last line of JSON")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments = parsed()
    device = definite_device(arguments.device)
    with tempfile.TemporaryDirectory() as name:
        found = measure(arguments, device, Path(name))
    about = machine(device)
    begin = "44.1 kHz stereo" if arguments.original else "the stored FLAC"
    print_tables(found, f"{about['name']}, {about['cores']} cores, {device}, from {begin}")
    if arguments.json:
        run = {"machine": about, "device": device, "original": arguments.original}
        print(json.dumps({**found.as_json(), **run}))


if __name__ == "__main__":
    main()
