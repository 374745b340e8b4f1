"""What in a clip is no music (applause, speech, silence), an orchestra, or a piano alone.

What belongs here: scores for each second and each clip, and the rule that turns them into a reason
to filter. What does not: cutting clips and keeping rows (`segments`), the network whose logits are
weighed here (`sounds_yamnet`). How often the scores are wrong, on what, and how to measure it
again, stands in docs/decisions/sounds.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from data_collection.recordings.errors import SetupError
from data_collection.recordings.sounds_yamnet import (
    LEAST_RMS,
    RATE_HZ,
    Matrix,
    Mono,
    Yamnet,
    patches_of,
)

Sound = Literal["applause", "speech", "silence", "orchestra", "solo_piano"]
SOUNDS: tuple[Sound, ...] = ("applause", "speech", "silence", "orchestra", "solo_piano")
"""The order of the columns of `SoundScores.per_second`."""
NOT_MUSIC: tuple[Sound, ...] = ("applause", "speech", "silence")
MAY_BE = (*NOT_MUSIC, "orchestra", "not_music")
"""The shares that have a largest value, in `SoundThresholds` under the same names."""
SOUND_SCORES_VERSION = "yamnet-1/heads-2"
"""Belongs in the fingerprint of whatever keeps these scores."""

HEADS = Path(__file__).parent / "sound_models" / "heads.json"


@dataclass(frozen=True, slots=True, eq=False)
class SoundScores:
    """How much of a clip is what.

    Attributes:
        applause: expected share of the clip's seconds with applause, 0 to 1.
        speech: the same for somebody speaking.
        silence: the same for seconds with nothing but the hall (noise, a cough).
        orchestra: the same for seconds in which orchestral instruments sound.
        solo_piano: the same for seconds in which a piano sounds and nothing else does.
        per_second: float32 [seconds, 5], the probability of each of `SOUNDS` in each second.
    """

    applause: float
    speech: float
    silence: float
    orchestra: float
    solo_piano: float
    per_second: Matrix

    @property
    def not_music(self) -> float:
        """Expected share of seconds with applause, speech or silence, each counted once."""
        columns = [SOUNDS.index(sound) for sound in NOT_MUSIC]
        return float(self.per_second[:, columns].max(axis=1).mean())


@dataclass(frozen=True, slots=True)
class SoundThresholds:
    """How much of a clip each sound may be, or must be; None never filters.

    Attributes:
        applause: the largest share of applause.
        speech: the largest share of speech.
        silence: the largest share of silence.
        orchestra: the largest share of the orchestra; a concerto's clips are marked, and by default
            kept.
        not_music: the largest share of applause, speech and silence together.
        min_solo_piano: the smallest share that a piano alone must have of the seconds with music in
            them, so that a piece's last chord and the pause after it are not held against it. For
            sources that are not known to be a piano's.
    """

    applause: float | None = 0.5
    speech: float | None = 0.5
    silence: float | None = 0.7
    orchestra: float | None = None
    not_music: float | None = 0.7
    min_solo_piano: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            share = getattr(self, field.name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{field.name}: a share of {share} is not within 0 and 1")


def filter_reason(scores: SoundScores, thresholds: SoundThresholds) -> str | None:
    """Why a clip is filtered.

    Returns:
        `applause`, `speech`, `silence`, `orchestra` or `not_music`: what exceeds its threshold by
        most; `not_solo_piano` where nothing does and too little of the music is a piano alone; None
        for a clip to keep.
    """
    excess = {
        name: getattr(scores, name) - largest
        for name in MAY_BE
        if (largest := getattr(thresholds, name)) is not None
    }
    worst = max(excess, key=lambda name: excess[name], default=None)
    if worst is not None and excess[worst] > 0:
        return worst
    least = thresholds.min_solo_piano
    if least is not None and scores.solo_piano < least * (1 - scores.not_music):
        return "not_solo_piano"
    return None


class SoundScorer:
    """Scores clips; reads its two models when the first clip comes.

    Args:
        weights: YAMNet's weights, where they are not the shipped ones.
        heads: the weighing of its logits, where it is not the shipped one.
    """

    def __init__(self, weights: Path | None = None, heads: Path = HEADS) -> None:
        self._weights_path = weights
        self._heads_path = heads

    def score_clip(self, clip: npt.NDArray[np.floating], sample_rate_hz: int) -> SoundScores:
        """Score a clip, a second at a time.

        The scores do not depend on the clip's level: each second is heard at the same one. They
        are the same on any number of threads to 1e-3.

        Args:
            clip: mono samples, of any length; meant are 30 s.
            sample_rate_hz: their rate.

        Raises:
            ValueError: no samples, several channels, samples that are no number.
            SetupError: `missing_model`.
        """
        samples = _at_model_rate(clip, sample_rate_hz)
        patches, rms = patches_of(samples)
        is_empty = rms <= LEAST_RMS
        per_second = self._heads.probabilities(self._yamnet.logits(patches), rms)
        per_second[is_empty] = np.array([sound == "silence" for sound in SOUNDS])
        shares = {
            sound: float(share)
            for sound, share in zip(SOUNDS, per_second.mean(axis=0), strict=True)
        }
        return SoundScores(**shares, per_second=per_second)

    @cached_property
    def _yamnet(self) -> Yamnet:
        return Yamnet.load() if self._weights_path is None else Yamnet.load(self._weights_path)

    @cached_property
    def _heads(self) -> Heads:
        return load_heads(self._heads_path, self._yamnet.classes)


def _at_model_rate(clip: npt.NDArray[np.floating], sample_rate_hz: int) -> Mono:
    if clip.ndim != 1 or clip.size == 0:
        raise ValueError(f"expected mono samples, got an array of shape {clip.shape}")
    if not np.isfinite(clip).all():
        raise ValueError("samples that are no number: decode the recording again")
    samples = clip.astype(np.float32)
    if sample_rate_hz == RATE_HZ:
        return samples
    import soxr

    resampled: Mono = soxr.resample(samples, sample_rate_hz, RATE_HZ)
    return resampled if resampled.size else samples[:1]


class HeadWeights(BaseModel):
    """A logistic regression over the logits of one second and of those around it.

    Attributes:
        here: weight of a class's logit in the second itself.
        around: weight of its mean over the seconds around.
        level: weight of the second's level below the clip's loudest second, in tens of dB.
        bias: the constant.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    here: dict[str, float]
    around: dict[str, float]
    level: float
    bias: float


class HeadsFile(BaseModel):
    """`sound_models/heads.json`, written by benchmarks/sounds_fit.py.

    Attributes:
        made_by: the command and what it was fitted on.
        logit_range: logits are clipped to this.
        around_s: how many seconds, an odd number, the mean around a second takes in.
        heads: the weights of each sound.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_by: str
    logit_range: tuple[float, float]
    around_s: int
    heads: dict[Sound, HeadWeights]


class Heads:
    """The heads of all sounds as matrices; use `load_heads`."""

    def __init__(self, file: HeadsFile, classes: tuple[str, ...]) -> None:
        self._range = file.logit_range
        self._around_s = file.around_s
        heads = [file.heads[sound] for sound in SOUNDS]
        self._here = np.array([[h.here.get(name, 0.0) for h in heads] for name in classes])
        self._around = np.array([[h.around.get(name, 0.0) for h in heads] for name in classes])
        self._level = np.array([head.level for head in heads])
        self._bias = np.array([head.bias for head in heads])

    def probabilities(self, logits: Matrix, rms: npt.NDArray[np.float64]) -> Matrix:
        """Weigh the logits of a clip's seconds.

        Args:
            logits: float32 [seconds, classes].
            rms: level of each second, [seconds].

        Returns:
            float32 [seconds, 5], in the order of `SOUNDS`.
        """
        here, around, level = features(logits, rms, self._range, self._around_s)
        weighed = here @ self._here + around @ self._around + level[:, None] * self._level
        probabilities: Matrix = (1 / (1 + np.exp(-(weighed + self._bias)))).astype(np.float32)
        return probabilities


def features(
    logits: Matrix,
    rms: npt.NDArray[np.float64],
    logit_range: tuple[float, float],
    around_s: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What the heads weigh: logits here, their mean around, level below the loudest second.

    Returns:
        [seconds, classes], [seconds, classes], and [seconds] in tens of dB, 0 to 6.
    """
    here = np.clip(logits.astype(np.float64), *logit_range)
    half = around_s // 2
    count = len(here)
    around = np.stack(
        [here[max(0, i - half) : min(count, i + half + 1)].mean(axis=0) for i in range(count)]
    )
    audible = np.maximum(rms, LEAST_RMS)
    return here, around, np.clip(2 * np.log10(audible.max() / audible), 0.0, 6.0)


def load_heads(path: Path, classes: tuple[str, ...]) -> Heads:
    """Read the heads.

    Raises:
        SetupError: `missing_model`, when the file is not there, not whole, or asks for a class that
            the network does not give.
    """
    try:
        file = HeadsFile.model_validate_json(path.read_text(encoding="utf-8"))
        unknown = {n for h in file.heads.values() for n in (*h.here, *h.around)} - set(classes)
        if unknown or set(file.heads) != set(SOUNDS):
            raise ValueError(f"classes that YAMNet does not give ({unknown}), or a sound missing")
    except (OSError, ValidationError, ValueError) as error:
        raise SetupError(
            "missing_model",
            f"{path} cannot be used ({error}); it ships with data_collection: install again",
        ) from error
    return Heads(file, classes)
