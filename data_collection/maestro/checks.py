"""What must be true of T3's catalogue and segments: nothing missing, nobody unknown unsaid.

What belongs here: checks on `recordings` and `metadata`, and what its checks have in common. What
does not: the pairs (`pair_checks`), the figures themselves (`balance`), and checks of every tier
(`recordings.checks`, `embedding.checks`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg
import polars as pl

from data_collection.asset_pages import cell, markdown_table
from data_collection.maestro.balance import (
    catalogue_figures,
    performers_by_piece,
    promised_clips,
    split_crossings,
)
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow
from data_collection.maestro.metadata import RELEASE, RELEASE_RECORDINGS
from data_collection.maestro.plots import durations, performers_per_piece
from data_collection.maestro.rows import MaestroRecording
from data_collection.maestro.stored import (
    RECORDINGS,
    read_catalogue,
    read_embedded_segments,
)
from data_collection.recordings.collection import Standing, standings
from data_collection.recordings.errors import CatalogueError, RecordingError
from data_collection.recordings.receipts import Fact
from data_collection.recordings.resources import StoreResource
from data_collection.recordings.rows import read_rows
from data_collection.recordings.tier import Tier

CANNOT_BE_READ = (RecordingError, CatalogueError, OSError, ValueError, pl.exceptions.PolarsError)
LONGEST_SENTENCE = 600


def maestro_checks(tier: Tier) -> list[dg.AssetChecksDefinition]:
    """Make the checks of T3's catalogue and its metadata."""
    return [
        _the_release_is_whole(tier),
        _every_performer_is_known(tier),
        _every_work_is_known(tier),
        _no_work_crosses_the_split(tier),
        _segments_are_as_promised(tier),
        _pieces_have_two_performers(tier),
    ]


def unread(error: Exception, name: str | None = None) -> dg.AssetCheckResult:
    """What a check says that has nothing to judge; an error's message may quote a file."""
    said = cell(str(error), LONGEST_SENTENCE)
    return dg.AssetCheckResult(passed=False, check_name=name, description=said)


def share_of(part: float, whole: float) -> float:
    """A share, 0 of nothing."""
    return part / whole if whole else 0.0


def _the_release_is_whole(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "recordings"],
        name="the_release_is_whole",
        description=(
            f"As many recordings as {RELEASE} has: {RELEASE_RECORDINGS}. A warning: a part of it "
            "may be meant."
        ),
    )
    def the_release_is_whole(store: StoreResource) -> dg.AssetCheckResult:
        try:
            recordings = read_catalogue(store.open())
        except CANNOT_BE_READ as error:
            return unread(error)
        files = {recording.metadata.audio_filename for recording in recordings}
        by_split = Counter(recording.metadata.split for recording in recordings)
        duration_s = sum(recording.metadata.duration_s for recording in recordings)
        return dg.AssetCheckResult(
            passed=len(recordings) == len(files) == RELEASE_RECORDINGS,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(recordings)} recordings of {len(files)} files, {RELEASE} has "
            f"{RELEASE_RECORDINGS}",
            metadata={
                "recordings": float(len(recordings)),
                "share_of_the_release": len(files) / RELEASE_RECORDINGS,
                "hours": duration_s / 3600,
                **{f"recordings_{split}": float(n) for split, n in sorted(by_split.items())},
                "plot": durations(recordings),
            },
        )

    return the_release_is_whole


def _every_performer_is_known(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "recordings"],
        name="every_performer_is_known",
        description=(
            "Every recording has a performer. A warning: one without is in no pair; a wrong one "
            "would be worse. The overrides' file may say who it is."
        ),
    )
    def every_performer_is_known(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = read_rows(store.open(), RECORDINGS, MaestroCatalogueRow)
        except CANNOT_BE_READ as error:
            return unread(error)
        unknown = [row for row in rows if row.performer_id is None]
        return dg.AssetCheckResult(
            passed=bool(rows) and not unknown,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(unknown)} of {len(rows)} recordings are by somebody not known",
            metadata={
                "share_known": share_of(len(rows) - len(unknown), len(rows)),
                "performers": float(len({row.performer_id for row in rows} - {None})),
                "least_confidence": min((row.performer_confidence for row in rows), default=0.0),
                "unknown": markdown_table(
                    ("recording", "title", "audio file", "why"),
                    [
                        (row.recording_id, row.title, row.audio_filename, row.performer_evidence)
                        for row in unknown
                    ],
                ),
            },
        )

    return every_performer_is_known


def _every_work_is_known(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "recordings"],
        name="every_work_is_known",
        description=(
            "Every recording has at least one work. A warning: one without is in no pair; a wrong "
            "one would be worse."
        ),
    )
    def every_work_is_known(store: StoreResource) -> dg.AssetCheckResult:
        try:
            rows = read_rows(store.open(), RECORDINGS, MaestroCatalogueRow)
        except CANNOT_BE_READ as error:
            return unread(error)
        unknown = [row for row in rows if not row.works]
        certainty = Counter(work.certainty for row in rows for work in row.work_evidence)
        return dg.AssetCheckResult(
            passed=bool(rows) and not unknown,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(unknown)} of {len(rows)} recordings hold works not known",
            metadata={
                "share_known": share_of(len(rows) - len(unknown), len(rows)),
                "works": float(len({work_id for row in rows for work_id in row.works})),
                **{
                    f"share_{how}": share_of(count, certainty.total())
                    for how, count in sorted(certainty.items())
                },
                "unknown": markdown_table(
                    ("recording", "composer", "title", "why"),
                    [
                        (row.recording_id, row.composer, row.title, row.works_doubt)
                        for row in unknown
                    ],
                ),
            },
        )

    return every_work_is_known


def _no_work_crosses_the_split(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "recordings"],
        name="no_work_crosses_the_split",
        description=(
            "No work is in two official splits. A warning: the release itself has some; a model "
            "has seen them when it is tested. Performers do cross, and are only counted."
        ),
    )
    def no_work_crosses_the_split(store: StoreResource) -> dg.AssetCheckResult:
        try:
            recordings = read_catalogue(store.open())
        except CANNOT_BE_READ as error:
            return unread(error)
        crossings = split_crossings(recordings)
        crossing = [work.id for work in crossings.works]
        works = len(performers_by_piece(recordings))
        performers = len({r.performance.performer_id for r in recordings} - {None})
        return dg.AssetCheckResult(
            passed=bool(recordings) and not crossing,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(crossing)} of {works} works are in several splits, "
            f"{len(crossings.performers)} of {performers} performers are",
            metadata={
                "works_crossing": float(len(crossing)),
                "works_crossing_share": share_of(len(crossing), works),
                "performers_crossing": float(len(crossings.performers)),
                "performers_crossing_share": share_of(len(crossings.performers), performers),
                "works": markdown_table(
                    ("work", "split", "recording", "title"), _holders(recordings, crossing)
                ),
            },
        )

    return no_work_crosses_the_split


def _holders(
    recordings: Iterable[MaestroRecording], work_ids: Iterable[str]
) -> list[tuple[object, ...]]:
    """Each of these works with its recordings, by split."""
    wanted = set(work_ids)
    return sorted(
        {
            (work.work_id, r.metadata.split, r.metadata.recording_id, r.metadata.title)
            for r in recordings
            for work in r.works
            if work.work_id in wanted
        }
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """What a duration promises of segments, and what has become of it.

    Attributes:
        recording_id: the recording.
        stated_s: its duration by the catalogue, in seconds.
        cut_s: that of the sound that was cut, in seconds.
        least: segments that the stated duration promises at least.
        most: at most.
        filtered: clips that are long enough, and were filtered for how they sound.
        rows: of the metadata.
    """

    recording_id: str
    stated_s: float
    cut_s: float
    least: int
    most: int
    filtered: int
    rows: int

    @property
    def is_as_promised(self) -> bool:
        return self.least <= self.rows + self.filtered <= self.most


def _segments_are_as_promised(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "metadata"],
        name="segments_are_as_many_as_promised",
        description=(
            "As many segments as the durations of the done recordings promise, each of which may "
            "be stated wrong by a second. A warning: what is filtered for how it sounds is missing "
            "rightly; a recording whose sound is of another length is named."
        ),
    )
    def segments_are_as_many_as_promised(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            done = [item for item in standings(opened, tier) if item.state == "done"]
            segments = read_embedded_segments(opened)
        except CANNOT_BE_READ as error:
            return unread(error)
        rows = Counter(segments["recording_id"].to_list())
        cuts = [_cut(item, rows.pop(item.recording.recording_id, 0)) for item in done]
        least, most = sum(cut.least for cut in cuts), sum(cut.most for cut in cuts)
        filtered = sum(cut.filtered for cut in cuts)
        wrong = [cut for cut in cuts if not cut.is_as_promised]
        found = segments.height - rows.total()
        return dg.AssetCheckResult(
            passed=bool(done) and not wrong and not rows and least <= found <= most,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{found} segments of {len(done)} done recordings, whose durations promise "
            f"{least} to {most}; {filtered} were filtered, {len(wrong)} recordings are not as "
            f"promised, {len(rows)} have segments and are not done",
            metadata={
                "segments": float(found),
                "promised_at_least": float(least),
                "promised_at_most": float(most),
                "filtered_share": share_of(filtered, found + filtered),
                "recordings_not_as_promised": float(len(wrong)),
                "segments_of_recordings_not_done": float(rows.total()),
                "not_as_promised": markdown_table(
                    ("recording", "stated s", "cut s", "promised", "filtered", "rows"),
                    [
                        (
                            cut.recording_id,
                            round(cut.stated_s, 2),
                            round(cut.cut_s, 2),
                            f"{cut.least} to {cut.most}",
                            cut.filtered,
                            cut.rows,
                        )
                        for cut in wrong
                    ],
                ),
                "not_done": markdown_table(("recording", "rows"), sorted(rows.items())),
            },
        )

    return segments_are_as_many_as_promised


def _cut(item: Standing, rows: int) -> _Cut:
    receipt = item.receipts["segments"]
    stated_s, cut_s = item.recording.duration_s or 0.0, _number(receipt.facts["duration_s"])
    clip_s, min_tail_s = (_number(receipt.parameters[name]) for name in ("clip_s", "min_tail_s"))
    least, most = promised_clips(stated_s, clip_s=clip_s, min_tail_s=min_tail_s)
    long_enough, _ = promised_clips(cut_s, clip_s=clip_s, min_tail_s=min_tail_s, tolerance_s=0.0)
    kept = int(_number(receipt.facts["clips_kept"]))
    return _Cut(item.recording.recording_id, stated_s, cut_s, least, most, long_enough - kept, rows)


def _number(fact: Fact) -> float:
    return float(fact or 0.0)


def _pieces_have_two_performers(tier: Tier) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[*tier.key_prefix, "metadata"],
        name="pieces_have_two_performers",
        description=(
            "Every piece that two people play within a split by the catalogue is there by two "
            "people: only such pieces give pairs. A warning: recordings may be yet to come."
        ),
    )
    def pieces_have_two_performers(store: StoreResource) -> dg.AssetCheckResult:
        opened = store.open()
        try:
            recordings = read_catalogue(opened)
            segments = read_embedded_segments(opened)
        except CANNOT_BE_READ as error:
            return unread(error)
        embedded = set(segments["recording_id"])
        here = [r for r in recordings if r.metadata.recording_id in embedded]
        figures = catalogue_figures(here, segments)
        promised, found = _played_by_two(recordings), _played_by_two(here)
        lost = sorted(promised.keys() - found.keys())
        return dg.AssetCheckResult(
            passed=bool(found) and not lost,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(found)} of {len(promised)} pieces that two people play within a "
            "split have segments by two",
            metadata={
                "pieces": float(figures.pieces),
                "pieces_with_two_performers": float(figures.pieces_with_two_performers),
                "share_with_two_performers": share_of(
                    figures.pieces_with_two_performers, figures.pieces
                ),
                "within_a_split": float(len(found)),
                "within_a_split_by_the_catalogue": float(len(promised)),
                "lost": markdown_table(
                    ("split", "piece", "performers by the catalogue"),
                    [(*key, promised[key]) for key in lost],
                ),
                "plot": performers_per_piece(here),
            },
        )

    return pieces_have_two_performers


def _played_by_two(recordings: Iterable[MaestroRecording]) -> dict[tuple[str, str], int]:
    """Number of performers by split and piece, where there are two at least."""
    by_split: defaultdict[str, list[MaestroRecording]] = defaultdict(list)
    for recording in recordings:
        by_split[recording.metadata.split].append(recording)
    return {
        (split, piece): len(performers)
        for split, within in by_split.items()
        for piece, performers in performers_by_piece(within).items()
        if len(performers) > 1
    }
