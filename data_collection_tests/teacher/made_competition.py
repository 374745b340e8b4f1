"""A made-up competition and a teacher whose worth is known: for the gate's tests and simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from data_collection.teacher.labels import Repeats, TeacherLabel

DIMENSIONS = ("dynamics", "timing", "pedaling", "articulation", "phrasing", "interpretation")
PRIZES = (1, 2, 2, 3, 4, 4, 5, 6)
"""As the jury of 2021 gave them, ties and all; other finalists share the place below."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MadeSegment:
    """A segment with what T2's metadata says of it."""

    segment_id: str
    performer: str
    round: str
    placement: int | None
    solo: bool = True
    jury_mark: float | None = None
    loudness_lufs: float | None = -20.0
    segment_start: float = 0.0
    segment_end: float = 30.0


@dataclass(frozen=True)
class World:
    """How performers, juries and the teacher behave; shares are of variance, 0 to 1.

    Attributes:
        sizes: performers of each round; those of the next are the best of the one before.
        concertos: how many of the last rounds are played with an orchestra.
        segments: labelled, of each performer and round.
        persistence: of how well one plays, from round to round.
        jury_reliability: of what decides a round.
        teacher: correlation of the teacher's taste with how well one plays, before the noise of
            segments and the rounding to whole scores.
        dimensions_alike: of what the teacher gets wrong, the share common to all dimensions.
        taste: of it, the share that sticks to a performer through all rounds.
        segment_noise: standard deviation of a segment around its performer's mean, in those
            between performers.
        score_sd: standard deviation of scores before rounding.
        loudness: correlation of a performer's loudness with how well one plays.
        hears_loudness: the teacher scores loudness instead of quality.
    """

    sizes: tuple[int, ...] = (87, 45, 23, 12)
    concertos: int = 1
    segments: int = 13
    persistence: float = 0.8
    jury_reliability: float = 0.9
    teacher: float = 0.52
    dimensions_alike: float = 0.6
    taste: float = 0.5
    segment_noise: float = 1.0
    score_sd: float = 0.8
    loudness: float = 0.0
    hears_loudness: bool = False


@dataclass(frozen=True)
class MadeRound:
    """One round of a competition.

    Attributes:
        present: [n], numbers of the performers.
        played: [n], how well each played.
        loudness_lufs: [n].
        last_s: [n], length of the last segment.
        scores: [n, segments, dimensions], whole ones from 1 to 5.
    """

    present: npt.NDArray[np.int64]
    played: Array
    loudness_lufs: Array
    last_s: Array
    scores: Array


@dataclass(frozen=True)
class MadeCompetition:
    """One draw of a world.

    Attributes:
        rounds: in their order.
        placement: [performers of the first round], as T2 has it.
        solo_rounds: how many rounds are recitals.
    """

    rounds: tuple[MadeRound, ...]
    placement: npt.NDArray[np.int64]
    solo_rounds: int

    def segments(self) -> list[MadeSegment]:
        """All segments, as T2's metadata has them."""
        return [
            MadeSegment(
                segment_id=_segment_id(at, who, number),
                performer=f"p{who:03d}",
                round=f"round{at + 1}",
                placement=int(self.placement[who]),
                solo=at < self.solo_rounds,
                loudness_lufs=float(loudness),
                segment_end=float(last_s) if number + 1 == round_.scores.shape[1] else 30.0,
            )
            for at, round_ in enumerate(self.rounds)
            for who, loudness, last_s in zip(
                round_.present, round_.loudness_lufs, round_.last_s, strict=True
            )
            for number in range(round_.scores.shape[1])
        ]

    def labels(self) -> list[TeacherLabel]:
        """A label for each segment."""
        return [
            label(_segment_id(at, who, number), row)
            for at, round_ in enumerate(self.rounds)
            for who, rows in zip(round_.present, round_.scores, strict=True)
            for number, row in enumerate(rows)
        ]


def compete(world: World, rng: np.random.Generator) -> MadeCompetition:
    """Play a competition and let the teacher score it."""
    n = world.sizes[0]
    ability, style = rng.normal(size=n), rng.normal(size=n)
    sticks = _errors(rng, n, world)
    placement = np.zeros(n, dtype=np.int64)
    present = np.arange(n)
    rounds = []
    for at, size in enumerate((*world.sizes[1:], 0)):
        played = _mixed(world.persistence, ability[present], rng.normal(size=len(present)))
        loud = _mixed(world.loudness**2, played, style[present])
        wrong = _mixed(world.taste, sticks[present], _errors(rng, len(present), world))
        source = loud if world.hears_loudness else played
        scores = _scores(rng, _mixed(world.teacher**2, source[:, None], wrong), world)
        last_s = rng.uniform(5, 30, size=len(present))
        rounds.append(MadeRound(present, played, 3 * loud - 20, last_s, scores))
        heard = _mixed(world.jury_reliability, played, rng.normal(size=len(present)))
        best = present[np.argsort(-heard)]
        if size:
            placement[best[size:]] = len(PRIZES) + len(world.sizes) - at
            present = np.sort(best[:size])
        else:
            placement[best] = [*PRIZES, *[PRIZES[-1] + 1] * len(best)][: len(best)]
    return MadeCompetition(tuple(rounds), placement, len(world.sizes) - world.concertos)


def _segment_id(at: int, who: int, number: int) -> str:
    return f"r{at}_p{who:03d}_seg{number:04d}"


def label(
    segment_id: str,
    scores: Sequence[float] | Array,
    *,
    model: str = "made-up",
    rubric: str = "1",
    dimensions: Sequence[str] = DIMENSIONS,
) -> TeacherLabel:
    """A label without its validation, of which a simulation makes millions."""
    return TeacherLabel.model_construct(
        segment_id=segment_id,
        dimension_scores=dict(zip(dimensions, map(float, scores), strict=True)),
        teacher_model=model,
        rubric_version=rubric,
        confidence=dict.fromkeys(dimensions, 0.5),
        repeats=Repeats.model_construct(n=1, spread=None),
        cost_usd=Decimal("0.03"),
    )


def _mixed(share: float, one: Array, other: Array) -> Array:
    mixed: Array = np.sqrt(share) * one + np.sqrt(1 - share) * other
    return mixed


def _errors(rng: np.random.Generator, n: int, world: World) -> Array:
    """What the teacher gets wrong, [n, dimensions], unit variance."""
    common = rng.normal(size=(n, 1))
    return _mixed(world.dimensions_alike, common, rng.normal(size=(n, len(DIMENSIONS))))


def _scores(rng: np.random.Generator, taste: Array, world: World) -> Array:
    """Whole scores from 1 to 5, [n, segments, dimensions]."""
    n, dimensions = taste.shape
    noise = world.segment_noise * rng.normal(size=(n, world.segments, dimensions))
    spread = world.score_sd / np.sqrt(1 + world.segment_noise**2)
    scores: Array = np.clip(np.rint(3 + spread * (taste[:, None, :] + noise)), 1, 5)
    return scores
