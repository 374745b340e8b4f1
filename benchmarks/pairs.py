"""What pairing all of MAESTRO costs and gives, and how well recordings are aligned.

    python benchmarks/pairs.py [--maestro FOLDER] [--json]

Makes a catalogue of the release's size (1,276 recordings, some 24,000 clips, pieces as unevenly
spread as there) or, with a folder that holds the release's CSV and JSON, reads the real one, whose
clips are counted from the durations. Aligns the sample's recordings of one piece with each other
and holds them against the notes that were played.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import soundfile
import soxr

from data_collection.maestro.alignment import Chroma, align, read_chroma
from data_collection.maestro.balance import (
    catalogue_figures,
    pair_figures,
    pair_problems,
    split_crossings,
)
from data_collection.maestro.metadata import read_metadata
from data_collection.maestro.pairs import make_pairs
from data_collection.maestro.performers import performers_of, read_performer_overrides
from data_collection.maestro.piece_performer_map import piece_performer_map
from data_collection.maestro.recording_pairs import recording_pairs
from data_collection.maestro.rows import MaestroRecording, Split
from data_collection.maestro.works import read_works
from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.sample.media import AUDIO
from data_collection.sample.render.pianists import PIANISTS, Performance, play
from data_collection.sample.render.pieces import PIECES

sys.path.append(str(Path(__file__).parents[1]))  # the tests are not installed
from data_collection_tests.maestro.made_recordings import clips, recording

RECORDINGS = 1276
PERFORMERS = 218
WORKS = 700
SPLITS: tuple[Split, ...] = ("train", "train", "train", "train", "train", "validation", "test")
PIECE = "bach_bwv846_prelude"
LONG_S = 3600


def made_catalogue() -> list[MaestroRecording]:
    """Recordings as the release has them: a few pieces that many play, many that one plays."""
    rng = np.random.default_rng(0)
    shares = 1 / (10 + np.arange(WORKS))
    made = []
    for at in range(RECORDINGS):
        number = int(rng.choice(WORKS, p=shares / shares.sum()))
        family = f"composer{number % 40}:op{number}"
        movements = 3 if number % 3 == 0 else 1
        first = int(rng.integers(movements)) if rng.random() < 0.5 else None
        parts = range(movements) if first is None else [first]
        duration_s = len(parts) * 265 * float(rng.lognormal(0, 0.12)) * (1 + (number % 7) / 5)
        made.append(
            recording(
                f"r{at:04d}",
                f"p{int(rng.integers(PERFORMERS))}",
                [f"{family}/{part + 1}" for part in parts],
                min(duration_s, 2600),
                split=SPLITS[number % len(SPLITS)],
            )
        )
    return made


def real_catalogue(folder: Path) -> list[MaestroRecording]:
    """The release's recordings."""
    rows = read_metadata(folder.resolve().as_uri()).rows
    performers, works = performers_of(rows, read_performer_overrides()), read_works(rows)
    return [
        MaestroRecording(
            metadata=row,
            performance=performers[row.recording_id],
            works=works[row.recording_id].works,
        )
        for row in rows
    ]


def of_pairs(recordings: Sequence[MaestroRecording]) -> dict[str, float]:
    """What pairing takes and gives."""
    segments = clips(recordings)
    started = (time.perf_counter(), time.process_time())
    pairs = make_pairs(recordings, segments)
    took = {"pairs_wall_s": time.perf_counter() - started[0]}
    took["pairs_cpu_s"] = time.process_time() - started[1]
    started_s = time.perf_counter()
    found = piece_performer_map(recordings, segments).model_dump_json(indent=1)
    took["map_wall_s"] = time.perf_counter() - started_s
    catalogue, spread = (
        catalogue_figures(recordings, segments),
        pair_figures(pairs.table, len(segments)),
    )
    crossings = split_crossings(recordings)
    return {
        **took,
        "map_megabytes": len(found) / 1e6,
        "recordings": catalogue.recordings,
        "segments": catalogue.segments,
        "pieces": catalogue.pieces,
        "pieces_with_two_performers": catalogue.pieces_with_two_performers,
        "works_across_splits": len(crossings.works),
        "performers_across_splits": len(crossings.performers),
        "recording_pairs": pairs.facts.recording_pairs,
        "recording_pairs_across_splits": pairs.facts.across_splits,
        "recording_pairs_by_one_performer": pairs.facts.same_performer,
        "recording_pairs_unplaced": pairs.facts.unplaced,
        "recording_pairs_alignable": sum(p.alignable for p in recording_pairs(recordings)),
        "pairs": spread.pairs,
        "anchor_share": spread.anchor_share,
        **{f"clips_{why}": count for why, count in pairs.facts.without_positive.items()},
        **{f"pairs_in_{where}": count for where, count in spread.pairs_by_position.items()},
        "shared_music_median": spread.shared_music_quantiles.get(0.5, 0.0),
        "far_stretch_share": spread.far_stretch_share,
        "largest_piece_rows": spread.largest_piece_rows,
        "largest_piece_weight": spread.largest_piece_weight,
        "problems": len(pair_problems(pairs.table, recordings, segments)),
    }


def of_alignment() -> dict[str, float]:
    """How far the sample's recordings of one piece are off, and what an alignment costs."""
    errors, confidences, seconds = [], [], 0.0
    with tempfile.TemporaryDirectory() as name:
        stored = {p.slug: _stored(p.slug, Path(name)) for p in PIANISTS}
        chroma: dict[str, Chroma] = {}
        started = time.process_time()
        for slug, flac in stored.items():
            chroma[slug] = read_chroma(flac)
            seconds += soundfile.info(flac).duration
        chroma_cpu_s = time.process_time() - started
    for one, other in combinations(PIANISTS, 2):
        true_s = _same_notes(play(PIECES[PIECE], one), play(PIECES[PIECE], other))
        found_s, confidence = align(chroma[one.slug], chroma[other.slug]).at(true_s[:, 0])
        errors.append(np.abs(found_s - true_s[:, 1]))
        confidences.append(confidence)
    error_s = np.concatenate(errors)
    hour = np.tile(chroma["sol"], 50)[:, : LONG_S * 10]
    started = time.process_time()
    align(hour, hour)
    return {
        "alignment_median_s": float(np.median(error_s)),
        "alignment_p95_s": float(np.percentile(error_s, 95)),
        "alignment_p99_s": float(np.percentile(error_s, 99)),
        "confidence_p05": float(np.percentile(np.concatenate(confidences), 5)),
        "chroma_times_real_time": seconds / chroma_cpu_s,
        "align_two_hours_cpu_s": time.process_time() - started,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def _stored(slug: str, folder: Path) -> Path:
    samples, rate_hz = soundfile.read(AUDIO / f"stage1_{slug}.opus")
    mono = soxr.resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ)
    soundfile.write(folder / f"{slug}.flac", mono, SAMPLE_RATE_HZ, subtype="PCM_24")
    return folder / f"{slug}.flac"


def _same_notes(
    first: Performance, second: Performance
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Onsets of the notes that both struck equally often, `[n, 2]`, in seconds."""
    onsets = [
        pl.DataFrame([(n.pitch, n.onset_s) for n in performed.notes], ["pitch", "at"], orient="row")
        .group_by("pitch")
        .agg(pl.col("at").sort(), pl.len())
        for performed in (first, second)
    ]
    both = onsets[0].join(onsets[1], on=["pitch", "len"]).explode("at", "at_right")
    return both.select("at", "at_right").to_numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--maestro", type=Path, help="folder with the release's CSV and JSON")
    parser.add_argument("--json", action="store_true", help="one last line of JSON")
    options = parser.parse_args()
    recordings = real_catalogue(options.maestro) if options.maestro else made_catalogue()
    results = {**of_pairs(recordings), **of_alignment()}
    for label, value in results.items():
        print(f"{label:36} {value:12.4f}")
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
