"""Fit the heads of the sound scores: which of YAMNet's logits speak for a sound, and how much.

    python benchmarks/sounds_fit.py FOLDER data_collection/recordings/sound_models/heads.json

FOLDER keeps the rendered clips (`fitting.npz`, 3 GB) and their logits between runs. Each head is a
logistic regression whose weights may only have the sign that the class's name says: rendered music
differs from recorded music in ways that a free fit would learn instead. The held-out clips are not
read.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special
import soxr
from sounds_material import RATE_HZ, SOUNDS, fitting, saved

from data_collection.recordings import sounds_yamnet
from data_collection.recordings.sounds import features

Matrix = npt.NDArray[np.float64]

LOGIT_RANGE = (-14.0, 6.0)
AROUND_S = 7
PENALTY = 3e-3
"""Of the squared weights of standardised features."""
PIANO_COUNTS_MORE = 10.0
"""A clip of music that is filtered is lost, one of applause that is kept is one among many."""

SPEECH = [
    "Speech",
    "Child speech, kid speaking",
    "Conversation",
    "Narration, monologue",
    "Speech synthesizer",
    "Whispering",
]
CLAPS = ["Applause", "Clapping", "Cheering", "Crowd", "Hands"]
PIANO = [
    "Piano",
    "Electric piano",
    "Keyboard (musical)",
    "Harpsichord",
    "Plucked string instrument",
]
MUSIC = ["Music", "Musical instrument", "Classical music"]
ENSEMBLE = [
    "Orchestra",
    "Brass instrument",
    "French horn",
    "Trumpet",
    "Trombone",
    "Bowed string instrument",
    "String section",
    "Violin, fiddle",
    "Pizzicato",
    "Cello",
    "Double bass",
    "Wind instrument, woodwind instrument",
    "Flute",
    "Saxophone",
    "Clarinet",
    "Timpani",
    "Cymbal",
    "Organ",
    "Accordion",
    "Choir",
    "Theme music",
    "Soundtrack music",
]
HALL = [
    "Silence",
    "Inside, small room",
    "Inside, large room or hall",
    "Noise",
    "Environmental noise",
    "Static",
    "Mains hum",
    "Hum",
    "White noise",
    "Pink noise",
    "Wind",
    "Water",
    "Rain",
    "Waterfall",
    "Stream",
    "Vehicle",
    "Cough",
    "Throat clearing",
    "Sneeze",
    "Breathing",
    "Walk, footsteps",
    "Laughter",
]
SIGNS: dict[str, tuple[list[str], list[str]]] = {
    "applause": (CLAPS, [*SPEECH, *PIANO, *MUSIC, *HALL, "Crackle", "Fire"]),
    "speech": (SPEECH, [*CLAPS, *PIANO, *MUSIC, "Singing", "Silence", "Cough"]),
    "silence": (HALL, [*CLAPS, *SPEECH, *PIANO, *MUSIC]),
    "orchestra": (ENSEMBLE, [*CLAPS, *SPEECH, *PIANO, *HALL[:9]]),
}
"""For each sound the classes that may speak for it, and against it."""
MOST_FALSE_ALARMS = {"applause": 0.003, "orchestra": 0.003}
"""The share of the fitted piano's seconds that may be called so; the constant is lowered until."""
LOOKS_AROUND = {"applause", "orchestra"}
"""They go on for longer than a second; speech and silence need not."""
TOO_FAINT = ("applause -6 dB to the piano", "applause +0 dB to the piano")
"""Not fitted on: while the piano is as loud as the applause, the clip is music to keep."""


@dataclass(frozen=True)
class Seconds:
    """All seconds of the fitted clips.

    Attributes:
        here: logits, [seconds, classes].
        around: their mean around each second, [seconds, classes].
        level: below the clip's loudest second, [seconds].
        labels: [seconds, sounds], NaN where open.
        kinds: of its clip, [seconds].
        weights: each kind the same in all, solo piano more.
    """

    here: Matrix
    around: Matrix
    level: Matrix
    labels: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.str_]
    weights: Matrix


def main() -> None:
    """Fit and write."""
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    yamnet = sounds_yamnet.Yamnet.load()
    seconds = seconds_of(heard(folder, yamnet))
    heads = {sound: fitted(sound, yamnet.classes, seconds) for sound in SOUNDS}
    file = {
        "made_by": "benchmarks/sounds_fit.py, on sounds_material.fitting(): "
        f"{len(seconds.labels)} s, of no recording that anything is measured on",
        "logit_range": LOGIT_RANGE,
        "around_s": AROUND_S,
        "heads": heads,
    }
    target.write_text(json.dumps(file, indent=1) + "\n", encoding="utf-8")


def heard(folder: Path, yamnet: sounds_yamnet.Yamnet) -> dict[str, npt.NDArray[np.generic]]:
    """What YAMNet says of each fitted clip; kept in the folder."""
    path = folder / "fitting_logits.npz"
    if not path.exists():
        clips = saved(fitting(), folder / "fitting.npz")
        parts = []
        for clip in clips:
            samples = soxr.resample(clip.samples, RATE_HZ, sounds_yamnet.RATE_HZ)
            patches, rms = sounds_yamnet.patches_of(samples)
            parts.append((yamnet.logits(patches), rms))
        np.savez(
            path,
            logits=np.concatenate([logits for logits, _ in parts]),
            rms=np.concatenate([rms for _, rms in parts]),
            sizes=[len(rms) for _, rms in parts],
            labels=np.concatenate([clip.labels for clip in clips]),
            kinds=[clip.kind for clip in clips],
        )
    return dict(np.load(path))


def seconds_of(clips: dict[str, npt.NDArray[np.generic]]) -> Seconds:
    """The seconds of all clips, weighted."""
    edges = np.cumsum(clips["sizes"])[:-1]
    pairs = zip(np.split(clips["logits"], edges), np.split(clips["rms"], edges), strict=True)
    parts = [features(logits, rms, LOGIT_RANGE, AROUND_S) for logits, rms in pairs]
    here, around, level = (np.concatenate(column) for column in zip(*parts, strict=True))
    kinds = np.repeat(clips["kinds"], clips["sizes"])
    weights = np.zeros(len(kinds))
    for kind in set(kinds) - set(TOO_FAINT):
        share = PIANO_COUNTS_MORE if kind == "piano" else 1.0
        weights[kinds == kind] = share / np.count_nonzero(kinds == kind)
    return Seconds(here, around, level, clips["labels"], kinds, weights)


def fitted(sound: str, classes: tuple[str, ...], seconds: Seconds) -> dict[str, object]:
    """One head, as `heads.json` has it."""
    names = [name for side in SIGNS[sound] for name in side]
    signs = np.repeat([1.0, -1.0], [len(side) for side in SIGNS[sound]])
    columns = [classes.index(name) for name in names]
    blocks = [seconds.here[:, columns]]
    if sound in LOOKS_AROUND:
        blocks.append(seconds.around[:, columns])
    matrix = np.column_stack([*blocks, seconds.level])
    signs = np.append(np.tile(signs, len(blocks)), 1.0 if sound == "silence" else 0.0)
    truth = seconds.labels[:, SOUNDS.index(sound)]
    known = ~np.isnan(truth)
    raw, bias = logistic_regression(matrix[known], truth[known], seconds.weights[known], signs)
    if sound in MOST_FALSE_ALARMS:
        piano = known & (seconds.kinds == "piano")
        highest = np.quantile(matrix[piano] @ raw + bias, 1 - MOST_FALSE_ALARMS[sound])
        bias -= max(0.0, float(highest))
    report(sound, matrix[known] @ raw + bias, truth[known], seconds.kinds[known])
    weights = np.split(raw[:-1], len(blocks))
    here, around = (
        {name: float(f"{w:.4g}") for name, w in zip(names, part, strict=True) if abs(w) > 1e-4}
        for part in [*weights, np.zeros(len(names))][:2]
    )
    level, constant = float(f"{raw[-1]:.4g}"), float(f"{bias:.4g}")
    return {"here": here, "around": around, "level": level, "bias": constant}


def logistic_regression(
    matrix: Matrix, truth: npt.NDArray[np.float32], weights: Matrix, signs: Matrix
) -> tuple[Matrix, float]:
    """Weights of the given signs (0 for none at all) and the constant."""
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

    bounds = [(0, None) if s > 0 else (None, 0) if s < 0 else (0, 0) for s in signs]
    start = np.zeros(len(signs) + 1)
    found = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)]
    )
    raw = found.x[:-1] / spread
    return raw, float(found.x[-1] - raw @ mean)


def report(
    sound: str,
    weighed: Matrix,
    truth: npt.NDArray[np.float32],
    kinds: npt.NDArray[np.str_],
) -> None:
    """Print how the head does on what it was fitted on."""
    for there, word in ((1, "misses"), (0, "false alarms")):
        wrong = (weighed < 0) if there else (weighed >= 0)
        shares = {
            str(kind): f"{wrong[(kinds == kind) & (truth == there)].mean():.1%}"
            for kind in np.unique(kinds[truth == there])
        }
        print(sound, word, shares)


if __name__ == "__main__":
    main()
