"""Which recordings are paired: those of one work by different performers.

What belongs here: the rules, what is certain enough of a recording, and pairs of recordings. What
does not: which clip of one plays the music of a clip of the other (`pair_matching`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from data_collection.maestro.rows import MaestroRecording


@dataclass(frozen=True, slots=True)
class PairRules:
    """Which pairs are made.

    Attributes:
        seed: other seeds draw other positives and negatives.
        positives_per_anchor: at most so many positives for an anchor.
        negatives_per_pair: so many works of the same composer, and as many of others.
        min_shared_music: least share of the anchor's music that its positive plays too.
        min_work_confidence: works that are less certain are shared with nobody.
        min_performer_confidence: recordings whose performer is less certain are in no pair.
        min_alignment_confidence: where a recording pair was aligned, clips below it are in no pair.
        across_splits: also pair recordings of different official splits.
        unplaced: also pair recordings of different works whose places in them are not known, by
            their whole lengths: a prelude's middle with that of the whole set. Alignments place
            them better.
        piece_balance: 1 weighs all anchors alike, 0 all pieces alike.
    """

    seed: int = 0
    positives_per_anchor: int = 4
    negatives_per_pair: int = 8
    min_shared_music: float = 0.25
    min_work_confidence: float = 0.5
    min_performer_confidence: float = 0.5
    min_alignment_confidence: float = 0.5
    across_splits: bool = False
    unplaced: bool = False
    piece_balance: float = 0.5

    def __post_init__(self) -> None:
        shares = {
            "min_shared_music": self.min_shared_music,
            "min_work_confidence": self.min_work_confidence,
            "min_performer_confidence": self.min_performer_confidence,
            "min_alignment_confidence": self.min_alignment_confidence,
            "piece_balance": self.piece_balance,
        }
        wrong = [f"{name}={value}" for name, value in shares.items() if not 0 <= value <= 1]
        if self.positives_per_anchor < 1 or self.negatives_per_pair < 0:
            wrong.append(
                f"{self.positives_per_anchor} positives, {self.negatives_per_pair} negatives"
            )
        if wrong:
            raise ValueError(f"no pairs can be made by {', '.join(wrong)}")


@dataclass(frozen=True, slots=True)
class RecordingPair:
    """Two recordings by different performers that share a work.

    Attributes:
        first: id of a recording.
        second: id of another one, sorted after it.
        shared_works: works that both hold, sorted.
        same_works: both hold these and nothing else.
        part: one holds all that the other does, and more.
        across_splits: they are of different official splits.
    """

    first: str
    second: str
    shared_works: tuple[str, ...]
    same_works: bool
    part: bool
    across_splits: bool

    @property
    def alignable(self) -> bool:
        """Whether one holds all that the other does: the sound of one is found in the other."""
        return self.same_works or self.part


@dataclass(frozen=True)
class KnownRecording:
    """What is certain enough of a recording to pair it.

    Attributes:
        recording: its catalogue row.
        performer_id: who plays.
        works: confidence by work id.
    """

    recording: MaestroRecording
    performer_id: str
    works: Mapping[str, float]

    @property
    def recording_id(self) -> str:
        """Of the recording."""
        return self.recording.metadata.recording_id


def recording_pairs(
    recordings: Sequence[MaestroRecording], rules: PairRules | None = None
) -> tuple[RecordingPair, ...]:
    """Say which recordings are to be paired, so which to align.

    Args:
        recordings: the catalogue.
        rules: which pairs to make.

    Returns:
        Each two recordings once, sorted by id.
    """
    rules = rules or PairRules()
    known = known_recordings(recordings, rules)
    return tuple(p for p in paired(known) if rules.across_splits or not p.across_splits)


def known_recordings(
    recordings: Sequence[MaestroRecording], rules: PairRules
) -> dict[str, KnownRecording]:
    """Recordings of which performer and a work are certain enough, by id."""
    return {r.metadata.recording_id: known for r in recordings if (known := _known(r, rules))}


def _known(recording: MaestroRecording, rules: PairRules) -> KnownRecording | None:
    performance = recording.performance
    if performance.performer_id is None:
        return None
    if performance.confidence < rules.min_performer_confidence:
        return None
    works: dict[str, float] = {}
    for work in recording.works:
        if work.confidence >= rules.min_work_confidence:
            works[work.work_id] = max(work.confidence, works.get(work.work_id, 0.0))
    return KnownRecording(recording, performance.performer_id, works) if works else None


def _sharing(
    known: Mapping[str, KnownRecording],
) -> Iterator[tuple[KnownRecording, KnownRecording]]:
    """Each two recordings with a common work once, the first id before the second."""
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for recording_id in sorted(known):
        for work_id in known[recording_id].works:
            holders[work_id].append(recording_id)
    together = {pair for ids in holders.values() for pair in combinations(ids, 2)}
    for first, second in sorted(together):
        yield known[first], known[second]


def paired(known: Mapping[str, KnownRecording]) -> list[RecordingPair]:
    """All pairs, across splits too, sorted by id."""
    return [
        _pair(first, second)
        for first, second in _sharing(known)
        if first.performer_id != second.performer_id
    ]


def by_one_performer(known: Mapping[str, KnownRecording]) -> int:
    """How many pairs of recordings share a work and a performer."""
    return sum(first.performer_id == second.performer_id for first, second in _sharing(known))


def _pair(first: KnownRecording, second: KnownRecording) -> RecordingPair:
    # All works count here, uncertain ones too: a recording with one of them is not the same.
    one, other = ({w.work_id for w in known.recording.works} for known in (first, second))
    return RecordingPair(
        first=first.recording_id,
        second=second.recording_id,
        shared_works=tuple(sorted(first.works.keys() & second.works.keys())),
        same_works=one == other,
        part=one < other or other < one,
        across_splits=first.recording.metadata.split != second.recording.metadata.split,
    )
