"""Where the teacher meets the tiers: whom a segment is compared with, and who was judged by a jury.

What belongs here: the few lines that join `teacher` with tiers, which know nothing of each other.
What does not: either side's work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import dagster as dg

from data_collection.competition.editions import Edition
from data_collection.competition.jury import JuryMark
from data_collection.competition.rows import CompetitionRecording, CompetitionSegmentRow
from data_collection.competition.signal import names_concerto
from data_collection.maestro.catalogue_rows import MaestroSegmentRow
from data_collection.recordings.rows import read_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import SegmentRow
from data_collection.teacher.assets import TaughtTier
from data_collection.teacher.checks import gate_check
from data_collection.teacher.gate_report import GateReport
from data_collection.teacher.label_stage import (
    UNSCORED,
    UnscoredRow,
    decided_pilot,
    gate_report,
    labels_path,
)
from data_collection.teacher.labels import read_labels
from data_collection.teacher.packet_stage import Group, GroupOf, read_packets
from data_collection.training_set.tier_states import Teaching, TierState

ONE_OCCASION = "all"
"""The round of a tier that has none."""


def taught_tiers(competition: Tier, maestro: Tier, youtube: Tier) -> list[TaughtTier]:
    """The tiers whose segments are judged; the others wait for the competition's gate."""
    return [
        TaughtTier(competition, partial(competition_groups, competition)),
        TaughtTier(maestro, lambda store: maestro_group, after=competition),
        TaughtTier(youtube, lambda store: youtube_group, after=competition),
    ]


def teaching_gate(edition: Edition, competition: Tier) -> dg.AssetChecksDefinition:
    """The gate on the competition's labels."""

    def segments(store: Store) -> Sequence[CompetitionSegmentRow]:
        rows = read_rows(store, f"{competition.folder('metadata')}.jsonl", CompetitionSegmentRow)
        concertos = _concertos(store, competition)
        return [
            row.model_copy(update={"solo": False}) if row.recording_id in concertos else row
            for row in rows
        ]

    def marks(store: Store) -> Iterable[JuryMark]:
        if not edition.jury_marks:
            return ()
        return read_rows(store, f"{competition.folder('jury_marks')}.jsonl", JuryMark)

    return gate_check(competition, segments, marks)


def _concertos(store: Store, competition: Tier) -> frozenset[str]:
    """Recordings whose title names a concerto: within a round of recitals they are no recital."""
    path = f"{competition.folder('recordings')}.jsonl"
    return frozenset(
        row.recording_id
        for row in read_rows(store, path, CompetitionRecording)
        if names_concerto(row.title_piece)
    )


def gate_is_open(store: Store, competition: Tier) -> bool:
    """Whether the teacher's scores may be trained on.

    Raises:
        SetupError: the gate's report is damaged.
    """
    report = gate_report(store, competition)
    return isinstance(report, GateReport) and report.verdict == "open"


def tier_states(competition: Tier, maestro: Tier, youtube: Tier, store: Store) -> list[TierState]:
    """What the tiers and the teacher know, for the data card and the completion gate.

    Raises:
        SetupError: a decision, labels or a report cannot be read.
    """
    made = {"t2": ("preferences.parquet",), "t3": ("piece_performer_map.json", "pairs.parquet")}
    return [
        TierState(
            "t2",
            competition,
            files=_below(competition, made["t2"]),
            teaching=_teaching(store, competition),
        ),
        TierState("t3", maestro, files=_below(maestro, made["t3"])),
        TierState("t4", youtube),
    ]


def _below(tier: Tier, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(tier.folder(name) for name in names)


def _teaching(store: Store, tier: Tier) -> Teaching:
    pilot = decided_pilot(store)
    if not pilot.is_go:
        return Teaching(pilot_is_go=False, because=pilot.because)
    labels = store.path(labels_path(tier)).exists()
    unscored = f"{tier.folder(UNSCORED)}.jsonl"
    stated = read_rows(store, unscored, UnscoredRow) if store.path(unscored).exists() else []
    report = gate_report(store, tier)
    return Teaching(
        pilot_is_go=True,
        because=pilot.because,
        judged=frozenset(row.segment_id for row in read_packets(store, tier)),
        scored=frozenset(
            label.segment_id for label in (read_labels(store, labels_path(tier)) if labels else ())
        ),
        stated={row.segment_id: row.state for row in stated},
        verdict=report.verdict if isinstance(report, GateReport) else None,
    )


def competition_groups(competition: Tier, store: Store) -> GroupOf:
    """Performers of one round in one piece; concertos are not judged by what an orchestra plays."""
    concertos = _concertos(store, competition)

    def group(row: SegmentRow) -> Group | None:
        if not isinstance(row, CompetitionSegmentRow):
            raise TypeError(f"{row.segment_id} is no row of T2's metadata")
        if not row.solo or row.recording_id in concertos:
            return None
        piece = "/".join(map(str, row.piece.identity)) if row.piece else None
        return Group(performer=row.performer, piece=piece, round=row.round)

    return group


def maestro_group(row: SegmentRow) -> Group | None:
    """Pianists in one work; who is not known is taken for one person a recording."""
    if not isinstance(row, MaestroSegmentRow):
        raise TypeError(f"{row.segment_id} is no row of T3's metadata")
    return Group(
        performer=row.performer_id or row.recording_id, piece=row.work_id, round=ONE_OCCASION
    )


def youtube_group(row: SegmentRow) -> Group | None:
    """Recordings: neither who plays nor what is known."""
    return Group(performer=row.recording_id, piece=None, round=ONE_OCCASION)
