"""Fit the score of solo piano, and measure how often it is wrong.

    python benchmarks/piano.py fit FOLDER
    python benchmarks/piano.py measure FOLDER [--share 0.15]

`fit` is a logistic regression over the 1024 features from which YAMNet makes its classes: none of
those says "and nothing else". It becomes one more class in `sound_models/yamnet.safetensors`, and a
head `solo_piano` in `heads.json`; all else in both files stays (`sounds_yamnet` and `sounds_fit`
write them without it: run `fit` after them). `measure` prints, for clips that nothing was fitted
on, how many are refused by each threshold, by what they are examples of and by what was done to
them. FOLDER keeps what YAMNet says of each clip; `piano_material` says what making them needs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import piano_material
import scipy.optimize
import scipy.special
import soxr
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sounds import wilson
from sounds_fit import AROUND_S
from sounds_material import RATE_HZ

from data_collection.recordings import sounds_yamnet
from data_collection.recordings.sounds import (
    HEADS,
    SOUNDS,
    SoundScores,
    SoundThresholds,
    features,
    filter_reason,
    load_heads,
)

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
SOLO_PIANO = "Solo piano (fitted)"
"""The class that is put beside YAMNet's own; the head `solo_piano` is its mean over `AROUND_S`."""
PENALTY = 0.1
"""Of the squared weights of standardised features, 1024 of them: a weaker one learns the banks."""
MOST_LOST = 0.01
"""The share of the fitted piano's seconds that may score below a half; the constant is raised."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """What YAMNet says of one side's clips.

    Attributes:
        kinds: of each clip.
        sources: of each clip.
        wears: of each clip.
        truths: of each clip, as `Excerpt.is_solo_piano`.
        pooled: what the classes are made of, of each clip, [seconds, 1024].
        rms: of each clip, [seconds].
    """

    kinds: npt.NDArray[np.str_]
    sources: npt.NDArray[np.str_]
    wears: npt.NDArray[np.str_]
    truths: Matrix
    pooled: Sequence[npt.NDArray[np.float32]]
    rms: Sequence[Matrix]


def main() -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("fit", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--share", type=float, default=0.15, help="threshold of the confusion table"
    )
    given = parser.parse_args()
    if given.what == "fit":
        fit(heard(piano_material.fitting, given.folder))
    else:
        clips = heard(piano_material.held_out, given.folder)
        print_confusion(clips, scores_of(clips), given.share)
        print_cost()


def heard(make: Callable[[], Iterator[piano_material.Excerpt]], folder: Path) -> Heard:
    """What YAMNet says of each clip; kept in the folder."""
    path = folder / f"piano_{make.__name__}.npz"
    if not path.exists():
        tensors, _ = stored()
        width = tensors["classes.weight"].shape[1]
        dense = sounds_yamnet.dequantised(tensors)
        dense |= {"classes.weight": torch.eye(width), "classes.bias": torch.zeros(width)}
        yamnet = sounds_yamnet.Yamnet(dense, tuple(map(str, range(width))))
        rows, pooled, rms = [], [], []
        for clip in make():
            samples = soxr.resample(clip.samples, RATE_HZ, sounds_yamnet.RATE_HZ)
            patches, levels = sounds_yamnet.patches_of(samples)
            pooled.append(yamnet.logits(patches))
            rms.append(levels)
            rows.append((clip.kind, clip.source, clip.wear, clip.is_solo_piano))
        kinds, sources, wears, truths = zip(*rows, strict=True)
        np.savez(
            path,
            kinds=kinds,
            sources=sources,
            wears=wears,
            truths=truths,
            sizes=[len(levels) for levels in rms],
            pooled=np.concatenate(pooled),
            rms=np.concatenate(rms),
        )
    held = np.load(path)
    edges = np.cumsum(held["sizes"])[:-1]
    return Heard(
        **{name: held[name] for name in ("kinds", "sources", "wears", "truths")},
        pooled=np.split(held["pooled"].astype(np.float32), edges),
        rms=np.split(held["rms"], edges),
    )


def stored() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The shipped tensors as they lie in the file, and what is written beside them."""
    with safe_open(sounds_yamnet.WEIGHTS, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def fit(clips: Heard) -> None:
    """Fit the class and put it and its head beside the others."""
    matrix = np.concatenate(
        [
            features(pooled, rms, (-np.inf, np.inf), AROUND_S)[1]
            for pooled, rms in zip(clips.pooled, clips.rms, strict=True)
        ]
    )
    sizes = np.array([len(levels) for levels in clips.rms])
    truth, weights = np.repeat(clips.truths, sizes), weights_of(clips, sizes)
    known = ~np.isnan(truth)
    raw, bias = logistic_regression(matrix[known], truth[known], weights[known])
    bias -= min(0.0, float(np.quantile(matrix[truth == 1] @ raw + bias, MOST_LOST)))

    tensors, metadata = stored()
    classes = json.loads(metadata[sounds_yamnet.CLASSES_KEY])
    if SOLO_PIANO not in classes:
        classes.append(SOLO_PIANO)
    others = len(classes) - 1
    row = torch.from_numpy(raw.astype(np.float32))[None]
    constant = torch.tensor([bias], dtype=torch.float32)
    tensors["classes.weight"] = torch.cat([tensors["classes.weight"][:others], row])
    tensors["classes.bias"] = torch.cat([tensors["classes.bias"][:others], constant])
    metadata = {**metadata, sounds_yamnet.CLASSES_KEY: json.dumps(classes)}
    save_file(tensors, sounds_yamnet.WEIGHTS, metadata=metadata)

    heads = json.loads(HEADS.read_text(encoding="utf-8"))
    heads["heads"]["solo_piano"] = {"here": {}, "around": {SOLO_PIANO: 1.0}, "level": 0, "bias": 0}
    HEADS.write_text(json.dumps(heads, indent=1) + "\n", encoding="utf-8")
    print(f"{known.sum()} s of {len(sizes)} clips: {sounds_yamnet.WEIGHTS}, {HEADS}")


def logistic_regression(
    matrix: Matrix, truth: npt.NDArray[np.float64], weights: Matrix
) -> tuple[Matrix, float]:
    """Weights of any sign, and the constant."""
    weights = weights / weights.sum()
    mean = weights @ matrix
    spread = np.sqrt(weights @ (matrix - mean) ** 2) + 1e-6
    standard = (matrix - mean) / spread

    def loss(parameters: Matrix) -> tuple[float, Matrix]:
        weighed = standard @ parameters[:-1] + parameters[-1]
        value = weights @ (np.logaddexp(0, weighed) - truth * weighed)
        error = weights * (scipy.special.expit(weighed) - truth)
        gradient = np.append(standard.T @ error + 2 * PENALTY * parameters[:-1], error.sum())
        return value + PENALTY * np.sum(parameters[:-1] ** 2), gradient

    found = scipy.optimize.minimize(
        loss, np.zeros(matrix.shape[1] + 1), jac=True, method="L-BFGS-B"
    )
    raw = found.x[:-1] / spread
    return raw, float(found.x[-1] - raw @ mean)


def weights_of(clips: Heard, sizes: npt.NDArray[np.int64]) -> Matrix:
    """Of each second: pianos as much as all else, and within both each kind the same."""
    weights = np.zeros(len(sizes))
    for truth in (1.0, 0.0):
        kinds = sorted(set(clips.kinds[clips.truths == truth]))
        for kind in kinds:
            chosen = (clips.kinds == kind) & (clips.truths == truth)
            weights[chosen] = 1 / len(kinds) / sizes[chosen].sum()
    made: Matrix = np.repeat(weights, sizes)
    return made


def scores_of(clips: Heard) -> list[SoundScores]:
    """What `SoundScorer` would say of each clip, from what the network said."""
    heads = load_heads(HEADS, sounds_yamnet.Yamnet.load().classes)
    tensors, _ = stored()
    weight, bias = (tensors[f"classes.{name}"].numpy() for name in ("weight", "bias"))
    made = []
    for pooled, rms in zip(clips.pooled, clips.rms, strict=True):
        per_second = heads.probabilities(pooled @ weight.T + bias, rms)
        shares = dict(zip(SOUNDS, map(float, per_second.mean(axis=0)), strict=True))
        made.append(SoundScores(**shares, per_second=per_second))
    return made


def print_confusion(clips: Heard, scores: Sequence[SoundScores], share: float) -> None:
    """Pianos refused and others kept: by threshold, then at `share` by kind and by wear."""
    print("| smallest share | piano alone refused | others kept |\n|---|---|---|")
    for least in SHARES:
        refused = refusals(scores, least)
        piano, other = clips.truths == 1, clips.truths == 0
        cells = (refused[piano].sum(), piano.sum()), ((~refused)[other].sum(), other.sum())
        print(f"| {least} | " + " | ".join(wilson(int(n), int(of)) for n, of in cells) + " |")
    refused = refusals(scores, share)
    not_music = np.array([filter_reason(score, SoundThresholds()) is not None for score in scores])
    means = np.array([score.solo_piano for score in scores])
    print("\n| kind | clips | sources | score: 5 %, median, 95 % | refused | before: no music |")
    print("|---|---|---|---|---|---|")
    for truth in (1, 0, None):
        those = np.isnan(clips.truths) if truth is None else clips.truths == truth
        for kind in sorted(set(clips.kinds[those])):
            chosen = those & (clips.kinds == kind)
            quantiles = ", ".join(f"{q:.2f}" for q in np.quantile(means[chosen], (0.05, 0.5, 0.95)))
            sources = len(set(clips.sources[chosen]))
            count = f"{refused[chosen].sum()}/{chosen.sum()}"
            print(
                f"| {kind} | {chosen.sum()} | {sources} | {quantiles} | {count} "
                f"| {not_music[chosen].sum()} |"
            )
    print("\n| piano alone | refused |\n|---|---|")
    for wear in sorted(set(clips.wears[clips.truths == 1])):
        chosen = (clips.truths == 1) & (clips.wears == wear)
        print(f"| {wear} | {wilson(int(refused[chosen].sum()), int(chosen.sum()))} |")
    for index in np.flatnonzero((clips.truths == 1) & refused):
        print(f"refused: {clips.sources[index]}, {clips.wears[index]}: {means[index]:.2f}")


def refusals(scores: Sequence[SoundScores], least: float) -> npt.NDArray[np.bool_]:
    """Which clips the rule refuses for not being a piano alone."""
    only = SoundThresholds(None, None, None, None, None, min_solo_piano=least)
    return np.array([filter_reason(score, only) is not None for score in scores])


def print_cost() -> None:
    """Processor time of what is added to a clip's scores: one more column of the weighing."""
    yamnet = sounds_yamnet.Yamnet.load()
    heads = load_heads(HEADS, yamnet.classes)
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.05, 30 * sounds_yamnet.RATE_HZ).astype(np.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        start = time.process_time()
        patches, rms = sounds_yamnet.patches_of(samples)
        logits = yamnet.logits(patches)
        network_s = time.process_time() - start
        start = time.process_time()
        for _ in range(100):
            heads.probabilities(logits, rms)
        weighing_s = (time.process_time() - start) / 100
    finally:
        torch.set_num_threads(threads)
    print(f"\na 30 s clip: network {network_s:.3f} s, all {len(SOUNDS)} heads {weighing_s:.5f} s")


if __name__ == "__main__":
    main()
