"""What the manifest of 100,000 segments costs, what its split keeps, and how fast items are read.

    python benchmarks/manifest.py [--maestro FOLDER] [--quick] [--json]

Writes a made-up collection of all four tiers (rows and receipts; the embeddings are empty files),
reads and joins it, and reports what each split holds. Compares ways to split a competition in which
87 pianists share a small repertoire and, with a folder that holds the release's CSV and JSON,
MAESTRO's real catalogue. Then reads 1.5 MB embeddings one by one, by `torch.load` alone, mapped,
and through a dataset. Files are in the page cache, so disks do not count.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.cluster.hierarchy import DisjointSet

from data_collection.load import RegressionDataset, open_training_set
from data_collection.recordings.store import Store
from data_collection.training_set.leaks import leaks
from data_collection.training_set.manifest import build_manifest, split_figures
from data_collection.training_set.manifest_files import write_manifest
from data_collection.training_set.manifest_rows import SPLITS
from data_collection.training_set.sources import find_collections, read_sources
from data_collection.training_set.splits import Assignment, SplitRules, Unit, assign

sys.path.append(str(Path(__file__).parents[1]))  # the tests are not installed
from benchmarks.pairs import real_catalogue
from data_collection_tests.training_set.made_collection import T3, Sizes, make, write_teacher_labels

LARGE = Sizes(percepiano=100, competitors=300, maestro=1276, videos=6000, clips=13)
QUICK = Sizes(percepiano=10, competitors=40, maestro=200, videos=400, clips=5)
READ_FILES = 200
REPEATS = 3
FRAMES, WIDTH = 750, 1024
RULES = SplitRules()
ETUDES = [f"op{opus}-no{number}" for opus in (10, 25) for number in (1, 4, 5, 6, 8, 10, 11, 12)]
NOCTURNES = [
    f"op{o}" for o in ("62-no1", "48-no1", "55-no2", "62-no2", "27-no2", "9-no3", "37-no2")
]
BALLADES = [f"op{o}" for o in (52, 49, 60, 61, 54, 23, 38, 47, 39, 31, 20)]
DANCES = [f"op{o}" for o in ("42", "18", "34-no1", "64-no3")]
POLONAISES = [f"op{o}" for o in ("22", "53", "44", "26-no1", "26-no2")]
MAZURKAS = [f"op{o}" for o in (24, 17, 56, 50, 59, 33, 30, 41)]
SONATAS = ["op58", "op35", "op28"]
ASKED = (
    (87, ((ETUDES, 130.0), (ETUDES, 130.0), (NOCTURNES, 370.0), (BALLADES, 600.0))),
    (45, ((BALLADES, 600.0), (DANCES, 280.0), (POLONAISES, 650.0), (BALLADES, 600.0))),
    (23, ((SONATAS, 1700.0), (MAZURKAS, 650.0), (BALLADES, 600.0))),
    (12, ((["op11", "op21"], 2300.0),)),
)
"""Pianists of each round, and what each plays there: pieces, the most liked first, and seconds."""


def of_building(sizes: Sizes) -> dict[str, float]:
    """Seconds and memory of reading and joining, and what the split keeps of each tier."""
    with tempfile.TemporaryDirectory() as name:
        store = Store.at(name)
        made = make(store, sizes)
        write_teacher_labels(store, T3, [row.segment_id for row in made.t3])
        del made
        before_gb = _peak_gb()
        started = (time.perf_counter(), time.process_time())
        sources = read_sources(store, find_collections(store))
        read_s = time.perf_counter() - started[0]
        built = build_manifest(sources, distillation_open=True)
        build_s = time.perf_counter() - started[0]
        cpu_s = time.process_time() - started[1]
        stored = write_manifest(store, built, SplitRules())
        shares = {
            f"{tier}_{split}_share": share
            for tier, split, share in split_figures(built.table)
            .select("tier", "split", "share")
            .iter_rows()
        }
    return {
        "segments": built.table.height,
        "read_wall_s": read_s,
        "build_wall_s": build_s,
        "build_cpu_s": cpu_s,
        "peak_gb": _peak_gb(),
        "peak_before_gb": before_gb,
        "manifest_mb": stored.manifest.size_bytes / 1e6,
        "problems": built.problems.height,
        "leaks": len(leaks(built.table)),
        **shares,
    }


@dataclass(frozen=True, slots=True)
class Played:
    """Music that somebody plays: keys of person and pieces, seconds, the official split or none."""

    who: str
    pieces: frozenset[str]
    seconds: float
    official: str | None = None

    @property
    def unit(self) -> Unit:
        """As the search takes it."""
        keys = self.pieces | {self.who}
        return Unit("t3", keys, self.seconds, only_test=self.official == "test")


def maestro(folder: Path) -> list[Played]:
    """The release's recordings."""
    return [
        Played(
            f"performer:{recording.performance.performer_id}",
            frozenset(_piece(work.work_id) for work in recording.works),
            recording.metadata.duration_s,
            recording.metadata.split,
        )
        for recording in real_catalogue(folder)
    ]


def competition_like() -> list[Played]:
    """87, 45, 23 and 12 pianists who choose, by lot, among what such a competition asks for."""
    rng = random.Random(3)  # noqa: S311  # made-up data
    played: defaultdict[tuple[str, str], float] = defaultdict(float)
    for count, asked in ASKED:
        for who in range(count):
            for pieces, seconds in asked:
                weights = [1 / (2 + at) for at in range(len(pieces))]
                played[f"performer:{who}", rng.choices(pieces, weights)[0]] += seconds
    return [
        Played(who, frozenset({f"piece:chopin/{piece}"}), seconds)
        for (who, piece), seconds in played.items()
    ]


def of_policies(label: str, played: list[Played]) -> dict[str, float]:
    """What ways to split keep, as shares of the hours."""
    components = DisjointSet()
    of_person: defaultdict[str, float] = defaultdict(float)
    officially: defaultdict[str, set[str | None]] = defaultdict(set)
    for row in played:
        components.add(row.who)
        for piece in row.pieces:
            components.add(piece)
            components.merge(row.who, piece)
        of_person[row.who] += row.seconds
        officially[row.who].add(row.official)
    total = sum(of_person.values())
    largest = max(sum(of_person.get(at, 0.0) for at in found) for found in components.subsets())
    by_person = assign([Unit("t3", frozenset({row.who}), row.seconds) for row in played], RULES)
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for row in played:
        for piece in row.pieces:
            holders[piece].add(by_person.split_of[row.who])
    crossing = sum(r.seconds for r in played if any(len(holders[p]) > 1 for p in r.pieces))
    units = [row.unit for row in played]
    free = [Unit(unit.tier, unit.keys, unit.weight) for unit in units]
    found = {
        "largest_component": largest / total,
        "official_split_performers_crossing": sum(
            seconds for who, seconds in of_person.items() if len(officially[who]) > 1
        )
        / total,
        "performer_split_pieces_crossing": crossing / total,
        **_kept("by_chance", units, _drawn(units, RULES)),
        **_kept("one_climb", units, assign(units, SplitRules(starts=1, kicks=0))),
        **_kept("default", units, assign(units, RULES)),
        **_kept("pull_80", units, assign(units, SplitRules(pull=(0.8, 0.1, 0.1)))),
        **_kept("pull_60", units, assign(units, SplitRules(pull=(0.6, 0.2, 0.2)))),
        **_kept("without_official_test", free, assign(free, RULES)),
    }
    return {f"{label}_{name}": share for name, share in found.items()}


def _drawn(units: Iterable[Unit], rules: SplitRules) -> Assignment:
    """Each key by chance, as a plain grouped split would have it."""
    keys = sorted({key for unit in units for key in unit.keys})
    generator = torch.Generator().manual_seed(rules.seed)
    drawn = torch.multinomial(torch.tensor(rules.pull), len(keys), True, generator=generator)
    return Assignment({key: SPLITS[at] for key, at in zip(keys, drawn.tolist(), strict=True)})


def _kept(label: str, units: list[Unit], made: Assignment) -> dict[str, float]:
    total = sum(unit.weight for unit in units)
    kept: defaultdict[str, float] = defaultdict(float)
    for unit in units:
        kept[made.of(unit.keys, only_test=unit.only_test) or "lost"] += unit.weight / total
    return {f"{label}_{split}": kept[split] for split in (*SPLITS, "lost")}


def _piece(work_id: str) -> str:
    composer, _, work = work_id.partition(":")
    return f"piece:{composer}/{work.partition('/')[0]}"


def of_reading() -> dict[str, float]:
    """Items a second of single files and of a dataset, the best of some rounds."""
    with tempfile.TemporaryDirectory() as name:
        store = Store.at(name)
        folder = store.path("percepiano_cache/muq_embeddings")
        folder.mkdir(parents=True)
        for at in range(READ_FILES):
            values = torch.randn(FRAMES, WIDTH).to(torch.float16)
            torch.save(values, str(folder / f"Schubert_D{at % 40 + 900}_8bars_1_{at:03d}.pt"))
        files = [str(file) for file in sorted(folder.iterdir())]
        labels = {Path(file).stem: dict.fromkeys(_DIMENSIONS, 0.5) for file in files}
        store.write_bytes("composite_labels/labels.json", json.dumps(labels).encode())
        built = build_manifest(read_sources(store, find_collections(store)))
        write_manifest(store, built, SplitRules())
        as_stored = RegressionDataset(open_training_set(name), "train", dtype=torch.float16)
        as_float = RegressionDataset(open_training_set(name), "train")

        def read(load: Callable[[str], torch.Tensor]) -> Callable[[], int]:
            return lambda: sum(load(file).shape[0] // FRAMES for file in files)

        ways: Mapping[str, Callable[[], int]] = {
            "torch_load": read(lambda file: torch.load(file, weights_only=True)),
            "torch_load_mapped": read(lambda file: torch.load(file, weights_only=True, mmap=True)),
            "torch_load_float32": read(lambda f: torch.load(f, weights_only=True).float()),
            "torch_load_mapped_float32": read(
                lambda f: torch.load(f, weights_only=True, mmap=True).float()
            ),
            "dataset": lambda: sum(1 for at in range(len(as_stored)) if as_stored[at]),
            "dataset_float32": lambda: sum(1 for at in range(len(as_float)) if as_float[at]),
        }
        best: defaultdict[str, float] = defaultdict(float)
        lightest: defaultdict[str, float] = defaultdict(float)
        for _ in range(REPEATS):  # alternated, so that a busy machine slows all of them
            for label, way in ways.items():
                started = (time.perf_counter(), time.process_time())
                items = way()
                best[label] = max(best[label], items / (time.perf_counter() - started[0]))
                of_cpu = items / (time.process_time() - started[1])
                lightest[label] = max(lightest[label], of_cpu)
    rates = {f"{label}_items_per_s": rate for label, rate in best.items()}
    rates |= {f"{label}_items_per_cpu_s": rate for label, rate in lightest.items()}
    of_single_files = lightest["dataset_float32"] / lightest["torch_load_float32"]
    return {**rates, "dataset_of_torch_load": of_single_files}


_DIMENSIONS = ("dynamics", "timing", "pedaling", "articulation", "phrasing", "interpretation")


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--maestro", type=Path, help="folder with the release's CSV and JSON")
    parser.add_argument("--quick", action="store_true", help="a small collection")
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = of_building(QUICK if options.quick else LARGE)
    results |= of_policies("competition", competition_like())
    results |= of_policies("maestro", maestro(options.maestro)) if options.maestro else {}
    results |= of_reading()
    for label, value in results.items():
        print(f"{label:44} {value:14.4f}")
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
