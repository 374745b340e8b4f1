"""What collecting a tier takes: bytes, disk, GPU-hours, nights, dollars, before any is spent.

What belongs here: the sums, what is assumed where nothing was measured yet, and the limits. What
does not: what is known of the recordings (`plan_catalogue`), and where budgets and prices are read
(`plan_command`). A number that nobody can know yet is null, with the reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Literal

from data_collection.recordings.segments import ClipGrid
from data_collection.training_set.plan_catalogue import (
    AUDIO,
    EMBEDDINGS,
    HOUR_S,
    ORIGINALS,
    SEGMENTS,
    TWINS,
    Catalogued,
    Known,
    fact,
    measured_rates,
)

TierId = Literal["t2", "t3", "t4"]
FLAC_BYTES_PER_S = 47_000.0
"""Mono, 24 kHz, 24 bit: 170 MB/h, as measured of a piano recording."""
VIDEO_BYTES_PER_S = 16_000.0
"""128 kbit/s, the usual best audio of a video."""
EMBEDDING_BYTES_PER_S = 25 * 1024 * 2.0
"""25 frames of 1,024 values of two bytes; 1.5 MB a clip of 30 s."""
NIGHT_H = 10.0
LINE_BITS_PER_S = 100e6
GUEST_VIDEOS_PER_H = 300
"""What YouTube gives a guest before it refuses him for an hour."""
WITHOUT_LENGTHS = ("recordings", "left")
"""Numbers that can be known without the length of any recording."""


@dataclass(frozen=True, slots=True)
class ToFetch:
    """What is still to be fetched of a tier.

    Attributes:
        originals: how many, by the group from whose budget they are fetched.
        size_bytes: of all of them; None where no length is known.
    """

    originals: Mapping[str, int]
    size_bytes: int | None

    @property
    def count(self) -> int:
        """How many originals."""
        return sum(self.originals.values())


Nights = Callable[[ToFetch], tuple[int | None, str]]
"""Nights that fetching takes, None where it never ends; and how that was reckoned."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What is assumed of a tier where its receipts do not tell.

    Attributes:
        original_bytes_per_s: fetched, by a second of audio.
        flac_bytes_per_s: stored of it.
        embedding_bytes_per_s: embedded, pooling included.
        grid: how recordings are cut.
        has_twins: whether each clip is embedded twice.
        keeps_original: whether an original lies on the disk while it is decoded.
        clips_per_s: that the model embeds; None where nobody knows.
        no_clips_per_s: why nobody does.
        dollars_per_label: of one segment; None where nobody knows.
        no_dollars: why nobody does.
        notes: where the last two rates are from.
    """

    original_bytes_per_s: float = VIDEO_BYTES_PER_S
    flac_bytes_per_s: float = FLAC_BYTES_PER_S
    embedding_bytes_per_s: float = EMBEDDING_BYTES_PER_S
    grid: ClipGrid = field(default_factory=ClipGrid)
    has_twins: bool = False
    keeps_original: bool = True
    clips_per_s: float | None = None
    no_clips_per_s: str = "how many clips a second are embedded here is not known"
    dollars_per_label: Decimal | None = None
    no_dollars: str = "what a label costs is not known"
    notes: tuple[str, ...] = ()

    @property
    def passes(self) -> tuple[str, ...]:
        """Stages that embed each clip once."""
        return (EMBEDDINGS, TWINS) if self.has_twins else (EMBEDDINGS,)


@dataclass(frozen=True, slots=True)
class TierPlan:
    """What a tier takes; None where `because` says why nobody knows.

    Attributes:
        recordings: to be collected, the finished ones too.
        left: of those, not embedded yet, twins included where the tier has them.
        hours: of all.
        segments: of all; by the grid where they are not cut yet, before any is filtered for what
            is heard in it.
        segments_left: to embed; a twin counts as one.
        bytes_to_move: of originals that are not fetched yet.
        disk_there_bytes: what lies on the disk, by its receipts.
        disk_rest_bytes: what will lie there in the end, that included.
        disk_peak_bytes: the same, and the largest original in flight.
        gpu_hours: of what is left.
        nights: of what is left to fetch.
        label_dollars: of segments without a label.
        because: why a number is null, by its name.
        notes: how the numbers were reckoned.
    """

    recordings: int | None = None
    left: int | None = None
    hours: float | None = None
    segments: int | None = None
    segments_left: int | None = None
    bytes_to_move: int | None = None
    disk_there_bytes: int | None = None
    disk_rest_bytes: int | None = None
    disk_peak_bytes: int | None = None
    gpu_hours: float | None = None
    nights: int | None = None
    label_dollars: float | None = None
    because: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


NUMBERS = tuple(one.name for one in fields(TierPlan) if one.name not in ("because", "notes"))


def unknown_plan(why: str) -> TierPlan:
    """The plan of a tier of which nothing is known."""
    return TierPlan(because=dict.fromkeys(NUMBERS, why))


def plan_tier(
    catalogued: Catalogued, assumed: Rates, nights: Nights, *, labelled: int = 0
) -> TierPlan:
    """Reckon what a tier takes.

    Args:
        catalogued: what is to be collected, and how far that has come.
        assumed: rates; what the receipts tell holds instead.
        nights: how long fetching takes.
        labelled: segments that have a label.
    """
    measured = measured_rates(catalogued.recordings)
    rates = replace(assumed, **measured)  # type: ignore[arg-type]
    recordings, guessed = _with_lengths(catalogued.recordings)
    to_fetch = _to_fetch(recordings, rates)
    until, how = nights(to_fetch)
    plan = TierPlan(
        recordings=len(recordings),
        left=sum(not all(map(one.has, rates.passes)) for one in recordings),
        bytes_to_move=to_fetch.size_bytes,
        nights=until,
        because={} if until is not None else {"nights": how},
        notes=(
            *catalogued.notes,
            *_said(rates, measured),
            *guessed,
            *rates.notes,
            *([how] if until is not None else []),
        ),
    )
    if any(one.duration_s is None for one in recordings):
        names = [name for name in NUMBERS if name not in WITHOUT_LENGTHS]
        because = dict.fromkeys(names, "no recording's length is known yet")
        return replace(plan, bytes_to_move=None, nights=None, because=because)
    return _with_amounts(plan, recordings, rates, labelled)


def _with_amounts(
    plan: TierPlan, recordings: Sequence[Known], rates: Rates, labelled: int
) -> TierPlan:
    segments = sum(_segments(one, rates.grid) for one in recordings)
    left = sum(
        _segments(one, rates.grid)
        for one in recordings
        for stage in rates.passes
        if not one.has(stage)
    )
    there = _there_bytes(recordings)
    rest = there + round(sum(_to_store(one, rates) for one in recordings))
    originals = _originals(recordings).values()
    rest += round(sum(_whole_to_store(parts, rates) for parts in originals))
    in_flight = max(
        (_original_bytes(parts[0], rates) for parts in _unfetched(originals)), default=0
    )
    because = dict(plan.because)
    if left and rates.clips_per_s is None:
        because["gpu_hours"] = rates.no_clips_per_s
    if rates.dollars_per_label is None:
        because["label_dollars"] = rates.no_dollars
    return replace(
        plan,
        hours=sum(one.duration_s or 0.0 for one in recordings) / HOUR_S,
        segments=segments,
        segments_left=left,
        disk_there_bytes=there,
        disk_rest_bytes=rest,
        disk_peak_bytes=rest + (in_flight if rates.keeps_original else 0),
        gpu_hours=_gpu_hours(left, rates.clips_per_s),
        label_dollars=_dollars(max(0, segments - labelled), rates.dollars_per_label),
        because=because,
    )


def _gpu_hours(clips: int, clips_per_s: float | None) -> float | None:
    if not clips:
        return 0.0
    return clips / clips_per_s / HOUR_S if clips_per_s else None


def _dollars(labels: int, each: Decimal | None) -> float | None:
    return None if each is None else float(round(labels * each, 2))


def _said(rates: Rates, measured: Mapping[str, float]) -> list[str]:
    words = {
        "original_bytes_per_s": "originals",
        "flac_bytes_per_s": "FLAC",
        "embedding_bytes_per_s": "embeddings",
    }
    return [
        f"{what}: {getattr(rates, name) / 1e3:,.1f} kB a second of audio, "
        f"{'measured' if name in measured else 'assumed'}"
        for name, what in words.items()
    ]


def _with_lengths(recordings: Sequence[Known]) -> tuple[list[Known], list[str]]:
    """The same, those of unknown length as long as the average; as they are where none is known."""
    lengths = [one.duration_s for one in recordings if one.duration_s is not None]
    missing = len(recordings) - len(lengths)
    if not missing or not lengths:
        return [*recordings], []
    mean_s = sum(lengths) / len(lengths)
    said = f"{missing:,} recordings of unknown length are taken for average ones"
    return [
        one
        if one.duration_s is not None
        else replace(one, duration_s=mean_s, original_duration_s=one.original_duration_s or mean_s)
        for one in recordings
    ], [said]


def clips_of(duration_s: float, grid: ClipGrid) -> int:
    """Clips of a recording, without a tail that is too short."""
    whole, tail_s = divmod(duration_s, grid.clip_s)
    return int(whole) + (tail_s >= grid.min_tail_s)


def _segments(one: Known, grid: ClipGrid) -> int:
    kept = fact(one.receipts.get(SEGMENTS), "clips_kept") if one.has(SEGMENTS) else None
    return int(kept) if kept is not None else clips_of(one.duration_s or 0.0, grid)


def _kept_s(one: Known, grid: ClipGrid) -> float:
    kept = fact(one.receipts.get(SEGMENTS), "kept_s") if one.has(SEGMENTS) else None
    if kept is not None:
        return kept
    duration_s = one.duration_s or 0.0
    tail_s = duration_s % grid.clip_s
    return duration_s - (tail_s if tail_s < grid.min_tail_s else 0.0)


def _originals(recordings: Sequence[Known]) -> dict[str, list[Known]]:
    """Recordings by the whole that they are fetched with."""
    found: dict[str, list[Known]] = {}
    for one in recordings:
        found.setdefault(one.original_id, []).append(one)
    return found


def _unfetched(originals: Iterable[list[Known]]) -> list[list[Known]]:
    """Wholes that some recording still waits for; the longest known length of each first."""
    return [
        sorted(parts, key=lambda one: -(one.original_duration_s or 0.0))
        for parts in originals
        if not all(one.is_fetched for one in parts)
    ]


def _original_bytes(one: Known, rates: Rates) -> int:
    if one.original_bytes is not None:
        return one.original_bytes
    return round((one.original_duration_s or 0.0) * rates.original_bytes_per_s)


def _to_fetch(recordings: Sequence[Known], rates: Rates) -> ToFetch:
    waiting = _unfetched(_originals(recordings).values())
    is_known = all(parts[0].original_duration_s is not None for parts in waiting)
    return ToFetch(
        originals=Counter(parts[0].group for parts in waiting),
        size_bytes=sum(_original_bytes(parts[0], rates) for parts in waiting) if is_known else None,
    )


def _there_bytes(recordings: Sequence[Known]) -> int:
    """What the receipts name, an original once."""
    sizes = {
        output.path: output.size_bytes
        for one in recordings
        for receipt in one.receipts.values()
        for output in receipt.outputs
    }
    return sum(sizes.values())


def _to_store(one: Known, rates: Rates) -> float:
    """Bytes of a recording's audio and embeddings that are not there yet."""
    audio = 0.0 if one.has(AUDIO) else (one.duration_s or 0.0) * rates.flac_bytes_per_s
    missing = sum(not one.has(stage) for stage in rates.passes)
    return audio + missing * _kept_s(one, rates.grid) * rates.embedding_bytes_per_s


def _whole_to_store(parts: Sequence[Known], rates: Rates) -> float:
    """Bytes of a whole that parts are cut from and that is not there yet."""
    cut = [one for one in parts if one.original_id != one.recording_id]
    if not cut or any(one.has(ORIGINALS) for one in cut):
        return 0.0
    return max(one.original_duration_s or 0.0 for one in cut) * rates.flac_bytes_per_s


# Nights


def nights_on_a_line(
    pause_s: float = 0.0, most_per_hour: int | None = None, line_bits_per_s: float = LINE_BITS_PER_S
) -> Nights:
    """Of a source without a budget of its own: the pauses, and the time that the bytes take.

    Args:
        pause_s: before each fetch, on average.
        most_per_hour: fetches that the source allows; None for any number.
        line_bits_per_s: of the line.
    """

    def nights(to_fetch: ToFetch) -> tuple[int | None, str]:
        moving_s = (to_fetch.size_bytes or 0) * 8 / line_bits_per_s
        waiting_s = to_fetch.count * pause_s
        allowed_s = to_fetch.count / most_per_hour * HOUR_S if most_per_hour else 0.0
        needed_h = max(moving_s + waiting_s, allowed_s) / HOUR_S
        said = f"{needed_h:.1f} h of fetching at {line_bits_per_s / 1e6:g} Mbit/s"
        said += f" and a pause of {pause_s:g} s" if pause_s else ""
        return math.ceil(needed_h / NIGHT_H), f"{said}; a night has {NIGHT_H:g} h"

    return nights


def nights_of_budgets(budgets: Mapping[str, int], all_together: int) -> Nights:
    """Of channels that each have a budget of a night, below one of all together.

    Args:
        budgets: recordings of one night, by group; a group that is not in it has none.
        all_together: recordings of one night.
    """

    def nights(to_fetch: ToFetch) -> tuple[int | None, str]:
        if not to_fetch.count:
            return 0, "nothing is left to fetch"
        starved = sorted(name for name in to_fetch.originals if not budgets.get(name))
        if starved or not all_together:
            who = ", ".join(starved) or "all channels together"
            return None, f"{who}: a nightly budget of 0 is never done"
        longest = max(math.ceil(n / budgets[name]) for name, n in to_fetch.originals.items())
        of_all = math.ceil(to_fetch.count / all_together)
        said = f"the channels' budgets, at most {all_together:,} recordings a night in all"
        return max(longest, of_all), said

    return nights


# Limits


@dataclass(frozen=True, slots=True)
class Limits:
    """What collecting may take at most; None for any amount."""

    disk_bytes: int | None = None
    gpu_hours: float | None = None
    nights: int | None = None
    label_dollars: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A total that was held against its limit.

    Attributes:
        name: of the number.
        total: of all tiers that know it.
        limit: as configured.
        setting: where.
        unknown: tiers that do not know it, which may pass the limit still.
        change: what to do where it is passed.
    """

    name: str
    total: float
    limit: float
    setting: str
    unknown: tuple[str, ...]
    change: str

    @property
    def is_passed(self) -> bool:
        """Whether it is too much, of what is known."""
        return self.total > self.limit


def totals(tiers: Mapping[TierId, TierPlan]) -> dict[str, float | None]:
    """Each number over all tiers that know it; None where none does.

    Disk at the peak counts one original in flight. Tiers are fetched side by side, so nights are
    those of the slowest.
    """
    found: dict[str, float | None] = {}
    for name in NUMBERS:
        known = [value for plan in tiers.values() if (value := getattr(plan, name)) is not None]
        total = max if name == "nights" else sum
        found[name] = total(known) if known else None
    rest = found["disk_rest_bytes"]
    if rest is not None:
        in_flight = [
            (plan.disk_peak_bytes or 0) - (plan.disk_rest_bytes or 0) for plan in tiers.values()
        ]
        found["disk_peak_bytes"] = rest + max(in_flight)
    return found


def hold(
    tiers: Mapping[TierId, TierPlan], limits: Limits, free_bytes: int | None = None
) -> list[Held]:
    """Hold what everything takes against the limits that are set.

    Args:
        tiers: their plans.
        limits: as configured.
        free_bytes: of the data root's disk; None where that cannot be told.
    """
    total = totals(tiers)
    there = total["disk_there_bytes"] or 0.0
    room = "leave a tier out, raise MUQ_POOL_FRAMES, or point DATA_COLLECTION_ROOT and "
    room += "EMBEDDINGS_ROOT at larger disks"
    asked: list[tuple[str, float | None, str, str]] = [
        ("disk_peak_bytes", limits.disk_bytes, "PLAN_MAX_DISK_BYTES", room),
        (
            "disk_peak_bytes",
            there + free_bytes if free_bytes is not None else None,
            "what is there and what is free",
            room,
        ),
        (
            "gpu_hours",
            limits.gpu_hours,
            "PLAN_MAX_GPU_HOURS",
            "embed on a faster device (MUQ_DEVICE, MUQ_PRECISION=bfloat16) or leave a tier out",
        ),
        (
            "nights",
            limits.nights,
            "PLAN_MAX_NIGHTS",
            "raise YOUTUBE_NIGHTLY_BUDGET and the channels' budgets, or pause channels",
        ),
        (
            "label_dollars",
            limits.label_dollars,
            "PLAN_MAX_LABEL_DOLLARS",
            "choose a cheaper TEACHER_MODEL, or label fewer tiers (TEACHER_TIER_CAPS_USD)",
        ),
    ]
    return [
        Held(
            name=name,
            total=total[name] or 0.0,
            limit=limit,
            setting=setting,
            unknown=tuple(tier for tier, plan in tiers.items() if getattr(plan, name) is None),
            change=change,
        )
        for name, limit, setting, change in asked
        if limit is not None
    ]
