"""What is known of a tier's recordings before they are collected, and how far each has come.

What belongs here: reading catalogues with their receipts for the plan, and what the receipts tell
of bytes a second and clips a second. What does not: what collecting the rest takes (`plan`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from data_collection.recordings.collection import read_recordings
from data_collection.recordings.errors import SetupError
from data_collection.recordings.receipts import FINISHED, Receipt, read_receipt
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.recordings.tombstones import read_tombstones

AUDIO = "audio"
ORIGINALS = "originals"
SEGMENTS = "segments"
EMBEDDINGS = "muq_embeddings"
TWINS = "augmented_muq_embeddings"
MEASURED_FROM = 3
"""Recordings from which a rate is taken as measured."""
PACE_FROM_CLIPS = 20
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Known:
    """A recording as it is known now.

    Attributes:
        recording_id: its id.
        original_id: of the whole that is fetched, which several parts may share.
        duration_s: decoded, else as the catalogue says it; None where it does not.
        original_duration_s: of the whole, likewise.
        group: from whose budget it is fetched, such as a channel's.
        original_bytes: of the whole, where the source tells; None where it must be estimated.
        receipts: by stage, those there are; `originals` has that of its whole.
    """

    recording_id: str
    original_id: str
    duration_s: float | None
    original_duration_s: float | None = None
    group: str = ""
    original_bytes: int | None = None
    receipts: Mapping[str, Receipt] = field(default_factory=dict)

    def has(self, stage: str) -> bool:
        """Whether it is finished there."""
        receipt = self.receipts.get(stage)
        return receipt is not None and receipt.state in FINISHED

    def done(self, stage: str) -> Receipt | None:
        """Its receipt, where that names what was made."""
        receipt = self.receipts.get(stage)
        return receipt if receipt is not None and receipt.state == "done" else None

    @property
    def is_fetched(self) -> bool:
        """Whether its original need not be fetched any more."""
        return self.has(AUDIO) or self.has(ORIGINALS)


@dataclass(frozen=True, slots=True)
class Catalogued:
    """The recordings of a tier that are to be collected.

    Attributes:
        recordings: all of them, the finished ones too.
        notes: what else there is to know of them.
    """

    recordings: Sequence[Known]
    notes: tuple[str, ...] = ()


def read_catalogued(
    store: Store,
    tier: Tier,
    *,
    is_wanted: Callable[[Recording], bool] = lambda _: True,
    group_of: Callable[[Recording], str] = lambda _: "",
    original_durations_s: Mapping[str, float] | None = None,
    original_bytes: Mapping[str, int] | None = None,
) -> Catalogued | None:
    """Read a tier's catalogue with its receipts; None where it has not been made.

    Args:
        store: the data root.
        tier: which.
        is_wanted: whether a row would be fetched today; what is there already counts whatever it
            says.
        group_of: from whose budget a row is fetched.
        original_durations_s: of wholes that parts are cut from, by id, where somebody knows.
        original_bytes: of originals by the recording's id, where the source tells.

    Raises:
        SetupError: the catalogue or the tombstones are damaged.
    """
    try:
        rows = read_recordings(store, tier)
    except SetupError as error:
        if error.reason == "rows_missing":
            return None
        raise
    tombstones = read_tombstones(store)
    kept: list[Known] = []
    left_out = {"purged": 0, "no longer listed or wanted": 0}
    for row in rows:
        if any(one.is_of(row) for one in tombstones):
            left_out["purged"] += 1
            continue
        receipts = _receipts(store, tier, row)
        known = Known(
            recording_id=row.recording_id,
            original_id=row.cut_from or row.recording_id,
            duration_s=None,
            group=group_of(row),
            original_bytes=(original_bytes or {}).get(row.recording_id),
            receipts=receipts,
        )
        if not known.is_fetched and not is_wanted(row):
            left_out["no longer listed or wanted"] += 1
            continue
        kept.append(_with_lengths(known, row, original_durations_s or {}))
    notes = [f"{count:,} rows are left out: {why}" for why, count in left_out.items() if count]
    failed = sum(one.receipts[AUDIO].state == "failed" for one in kept if AUDIO in one.receipts)
    if failed:
        notes.append(f"{failed:,} could not be fetched so far, and count as left")
    return Catalogued(kept, tuple(notes))


def evenly(recordings: int, duration_s: float) -> Catalogued:
    """Recordings of which only the number, and the duration of all in seconds, are known."""
    each_s = duration_s / recordings
    return Catalogued(
        [Known(str(at), str(at), each_s, each_s) for at in range(recordings)],
        (f"no catalogue yet: {recordings:,} recordings of {duration_s / HOUR_S:.1f} h in all",),
    )


def _receipts(store: Store, tier: Tier, row: Recording) -> dict[str, Receipt]:
    stages = (AUDIO, SEGMENTS, EMBEDDINGS, *((TWINS,) if tier.has_twins else ()))
    found = {stage: read_receipt(store, tier.folder(stage), row.recording_id) for stage in stages}
    if row.cut_from is not None:
        found[ORIGINALS] = read_receipt(store, tier.folder(ORIGINALS), row.cut_from)
    return {stage: receipt for stage, receipt in found.items() if receipt is not None}


def _with_lengths(known: Known, row: Recording, original_durations_s: Mapping[str, float]) -> Known:
    decoded_s = fact(known.receipts.get(AUDIO), "duration_s")
    if row.cut_from is None:
        duration_s = decoded_s or row.duration_s
        return replace(known, duration_s=duration_s, original_duration_s=duration_s)
    whole_s = fact(known.receipts.get(ORIGINALS), "duration_s")
    whole_s = whole_s or original_durations_s.get(row.cut_from)
    start_s, end_s = row.source_start_s or 0.0, row.source_end_s or whole_s
    duration_s = decoded_s or (max(0.0, end_s - start_s) if end_s else row.duration_s)
    if whole_s is None and duration_s is not None:
        whole_s = start_s + duration_s
    return replace(known, duration_s=duration_s, original_duration_s=whole_s)


def fact(receipt: Receipt | None, name: str) -> float | None:
    """A number of a receipt; None where it has none."""
    value = receipt.facts.get(name) if receipt is not None else None
    return float(value) if isinstance(value, int | float) else None


def measured_rates(recordings: Sequence[Known]) -> dict[str, float]:
    """Bytes a second of audio that the receipts tell, by name; what too few tell is not in it.

    Returns:
        `original_bytes_per_s` fetched, `flac_bytes_per_s` stored, `embedding_bytes_per_s` embedded.
    """
    fetched, stored, embedded = [], [], []
    for one in recordings:
        audio, segments, embeddings = (one.done(at) for at in (AUDIO, SEGMENTS, EMBEDDINGS))
        duration_s = fact(audio, "duration_s")
        if audio is not None and audio.outputs:
            stored.append((float(audio.outputs[0].size_bytes), duration_s))
            if "cut_from" not in audio.facts:
                moved = fact(audio, "moved_bytes") or fact(audio, "original_bytes")
                fetched.append((moved, duration_s))
        if embeddings is not None:
            made = float(sum(output.size_bytes for output in embeddings.outputs))
            embedded.append((made, fact(segments, "kept_s")))
    found = {
        "original_bytes_per_s": _rate(fetched),
        "flac_bytes_per_s": _rate(stored),
        "embedding_bytes_per_s": _rate(embedded),
    }
    return {name: rate for name, rate in found.items() if rate is not None}


def _rate(measured: Iterable[tuple[float | None, float | None]]) -> float | None:
    whole = [(size, duration_s) for size, duration_s in measured if size and duration_s]
    if len(whole) < MEASURED_FROM:
        return None
    return sum(size for size, _ in whole) / sum(duration_s for _, duration_s in whole)


def measured_clips_per_s(recordings: Iterable[Known]) -> float | None:
    """How fast clips were embedded, by the receipts; None where they tell of too few.

    Recordings share forward passes, so their receipts overlap: what counts is the time in which any
    was under way. Of the model, precision and device of the last receipt only.
    """
    by_model: dict[tuple[str, ...], list[Receipt]] = defaultdict(list)
    for one in recordings:
        for stage in (EMBEDDINGS, TWINS):
            receipt = one.done(stage)
            if receipt is not None and fact(receipt, "segments"):
                by_model[_model_of(receipt)].append(receipt)
    if not by_model:
        return None
    last = max(by_model.values(), key=lambda some: max(one.finished_at for one in some))
    clips = sum(fact(one, "segments") or 0.0 for one in last)
    busy_s = _union_s((one.started_at, one.finished_at) for one in last)
    return clips / busy_s if clips >= PACE_FROM_CLIPS and busy_s > 0 else None


def _model_of(receipt: Receipt) -> tuple[str, ...]:
    names = ("checkpoint_revision", "engine", "precision")
    return (
        *(str(receipt.parameters.get(name)) for name in names),
        receipt.versions.get("device", ""),
    )


def _union_s(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds that lie in any of the spans."""
    total_s, until = 0.0, None
    for start, end in sorted(spans):
        begin = start if until is None or start > until else until
        total_s += max(0.0, (end - begin).total_seconds())
        until = end if until is None else max(until, end)
    return total_s
