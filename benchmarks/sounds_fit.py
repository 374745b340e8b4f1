"""Fit the heads of the sound scores: which of YAMNet's logits speak for a sound, and how much.

    python benchmarks/sounds_fit.py FOLDER data_collection/recordings/sound_models/heads.json

FOLDER keeps the rendered clips (`fitting.npz`, 0.5 GB) between runs. Each head is a logistic
regression whose weights may only have the sign that the class's name says: rendered music differs
from recorded music in ways that a free fit would learn instead. The held-out clips are not read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special
import soxr
from sounds_material import RATE_HZ, SOUNDS, Clip, fitting, saved

from data_collection.recordings import sounds_yamnet
from data_collection.recordings.sounds import features

Matrix = npt.NDArray[np.float64]

LOGIT_RANGE = (-14.0, 6.0)
AROUND_S = 5
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
LOOKS_AROUND = {"applause", "orchestra"}
"""They go on for longer than a second; speech and silence need not."""
TOO_FAINT = ("applause -6 dB to the piano", "applause +0 dB to the piano")
"""Not fitted on: while the piano is as loud as the applause, the clip is music to keep."""


def main() -> None:
    """Fit and write."""
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    made = saved(fitting(), folder / "fitting.npz")
    clips = [clip for clip in made if clip.kind not in TOO_FAINT]
    yamnet = sounds_yamnet.Yamnet.load()
    parts = [clip_features(clip, yamnet) for clip in clips]
    here, around, level = (np.concatenate(column) for column in zip(*parts, strict=True))
    labels = np.concatenate([clip.labels for clip in clips])
    weights = seconds_weights(clips, labels)
    heads = {}
    for column, sound in enumerate(SOUNDS):
        known = ~np.isnan(labels[:, column])
        head = fitted(sound, yamnet.classes, here, around, level, labels[:, column], weights, known)
        heads[sound] = head
    file = {
        "made_by": "benchmarks/sounds_fit.py, on sounds_material.fitting(): "
        f"{len(clips)} clips, {len(labels)} s, no recording that anything is measured on",
        "logit_range": LOGIT_RANGE,
        "around_s": AROUND_S,
        "heads": heads,
    }
    target.write_text(json.dumps(file, indent=1) + "\n", encoding="utf-8")


def clip_features(clip: Clip, yamnet: sounds_yamnet.Yamnet) -> tuple[Matrix, Matrix, Matrix]:
    """What the heads weigh, of one clip."""
    samples = soxr.resample(clip.samples, RATE_HZ, sounds_yamnet.RATE_HZ)
    patches, rms = sounds_yamnet.patches_of(samples)
    return features(yamnet.logits(patches), rms, LOGIT_RANGE, AROUND_S)


def seconds_weights(clips: list[Clip], labels: npt.NDArray[np.float32]) -> Matrix:
    """Each kind of clip counts the same, however many there are; solo piano counts more."""
    kinds = np.concatenate([[clip.kind] * len(clip.labels) for clip in clips])
    weights = np.zeros(len(labels))
    for kind in np.unique(kinds):
        weights[kinds == kind] = (PIANO_COUNTS_MORE if kind == "piano" else 1) / (
            kinds == kind
        ).sum()
    return weights


def fitted(
    sound: str,
    classes: tuple[str, ...],
    here: Matrix,
    around: Matrix,
    level: Matrix,
    labels: npt.NDArray[np.float32],
    weights: Matrix,
    known: npt.NDArray[np.bool_],
) -> dict[str, object]:
    """One head: a logistic regression with weights of given signs."""
    speaks_for, against = SIGNS[sound]
    names = [*speaks_for, *against]
    signs = np.array([1.0] * len(speaks_for) + [-1.0] * len(against))
    columns = [classes.index(name) for name in names]
    matrix = here[:, columns]
    if sound in LOOKS_AROUND:
        matrix, signs = np.hstack([matrix, around[:, columns]]), np.concatenate([signs, signs])
    matrix = np.hstack([matrix, level[:, None]])
    signs = np.concatenate([signs, [1.0 if sound == "silence" else 0.0]])
    matrix, truth = matrix[known], labels[known].astype(np.float64)
    weights = weights[known] / weights[known].sum()
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
    bias = found.x[-1] - raw @ mean
    weighed = matrix @ raw + bias
    miss = weights @ ((weighed < 0) & (truth == 1)) / max(1e-9, weights @ (truth == 1))
    alarm = weights @ ((weighed >= 0) & (truth == 0)) / (weights @ (truth == 0))
    print(f"{sound:10} fitted: misses {miss:.2%}, false alarms {alarm:.2%} of seconds, weighted")
    halves = np.split(raw[:-1], 2) if sound in LOOKS_AROUND else (raw[:-1], np.zeros(len(names)))
    here_of, around_of = (
        {name: float(f"{w:.4g}") for name, w in zip(names, half, strict=True) if abs(w) > 1e-4}
        for half in halves
    )
    return {
        "here": here_of,
        "around": around_of,
        "level": float(f"{raw[-1]:.4g}"),
        "bias": float(f"{bias:.4g}"),
    }


if __name__ == "__main__":
    main()
