"""T2's catalogue: the edition's listings, matched to the people of its results.

What belongs here: the steps from listings to rows. What does not: walking a listing (`listing`),
the matching (`matching`, `sessions`, both pure) and the rows' form (`rows`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data_collection.competition.editions import Edition
from data_collection.competition.listing import (
    ListedRow,
    each_once,
    list_edition,
    with_remembered,
)
from data_collection.competition.matching import (
    MatchedListing,
    UnmatchedRecording,
    match_listing,
)
from data_collection.competition.results import Result, StatementRow, disagreements
from data_collection.competition.roster import Competitor
from data_collection.competition.rows import (
    CompetitionRecording,
    CompetitionSegmentRow,
    ProgrammeItemRow,
    ProgrammeProblemRow,
)
from data_collection.competition.sessions import (
    SessionPart,
    cut_session,
    match_parts,
    may_be_session,
    page_is_due,
    with_page,
)
from data_collection.competition.signal import names_concerto, segment_labels
from data_collection.recordings.errors import CatalogueError, RecordingError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.rows import read_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Catalogue, Tier

MOST_PAGES = 60
"""Asked for at one time: a channel may hold hundreds of long concerts, and a page costs a pause."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CutSessions:
    """What the long videos gave.

    Attributes:
        parts: by recording id.
        matched: the parts that are used, and those that are not.
        outcome: by the video's id, what became of it in words.
        listing: the rows of the listing, with the pages that were read for it.
        unread: videos whose page could not be read this time.
    """

    parts: dict[str, SessionPart]
    matched: MatchedListing
    outcome: dict[str, str]
    listing: list[ListedRow]
    unread: int


def competitors_of(results: Sequence[Result]) -> tuple[Competitor, ...]:
    """The people of the results, with every spelling that a source has for them."""
    return tuple(
        Competitor(
            performer=result.performer,
            country=result.country,
            reached_stage=result.reached_stage,
            prize=result.prize,
            stages_performed=result.stages_performed,
            aliases=result.aliases,
            confidence=result.confidence,
        )
        for result in results
    )


def missing_rounds(
    edition: Edition, competitors: Sequence[Competitor], matched: MatchedListing
) -> set[str]:
    """Ids of rounds in which somebody played who has no recording of it."""
    found = {(m.match.performer, m.match.round_id) for m in matched.matched}
    return {
        round_id
        for competitor in competitors
        for round_id in edition.round_ids
        if competitor.performed_in(round_id, edition.round_ids)
        and (competitor.performer, round_id) not in found
    }


def cut_sessions(
    edition: Edition,
    competitors: Sequence[Competitor],
    listing: Sequence[ListedRow],
    matched: MatchedListing,
    options: FetchOptions,
) -> CutSessions:
    """Look for missing performances in videos of several pianists.

    A video's description is asked for only while somebody is missing, politely, and again only
    after a week. What cannot be read now is read the next time; what was read before still counts.
    """
    rows = {row.recording_id: row for row in listing}
    missing = missing_rounds(edition, competitors, matched)
    parts: dict[str, SessionPart] = {}
    refused: list[UnmatchedRecording] = []
    outcome: dict[str, str] = {}
    pages = _Pages(options)
    for video in matched.unmatched:
        row = rows[video.recording_id]
        is_of_interest = row.round_hint is None or row.round_hint in missing
        if not (missing and is_of_interest and may_be_session(video, row.duration_s)):
            continue
        row, not_read = pages.of(row)
        rows[row.recording_id] = row
        cut = cut_session(row, edition, competitors)
        has_text = row.page is not None and row.page.description is not None
        said = [cut.because] if has_text or not not_read else []
        outcome[row.recording_id] = "; ".join([*said, *not_read])
        parts |= {part.entry.recording_id: part for part in cut.parts}
        refused += cut.refused
    part_matches = match_parts([*parts.values()], matched, edition, competitors)
    return CutSessions(
        parts=parts,
        matched=MatchedListing(part_matches.matched, (*part_matches.unmatched, *refused)),
        outcome=outcome,
        listing=[rows[row.recording_id] for row in listing],
        unread=pages.unread,
    )


@dataclass(slots=True)
class _Pages:
    """Pages of videos, asked for until the site refuses one or enough have been asked for.

    Attributes:
        options: how politely.
        asked: how many were asked for.
        may_ask: no site has refused yet.
        unread: how many were due and are not read.
    """

    options: FetchOptions
    asked: int = 0
    may_ask: bool = True
    unread: int = 0

    def of(self, row: ListedRow) -> tuple[ListedRow, list[str]]:
        """The row, with its page where that was due, and what kept it from being read."""
        if not page_is_due(row):
            return row, []
        if not self.may_ask:
            self.unread += 1
            return row, ["its page was not asked for, since the site had refused another"]
        if self.asked == MOST_PAGES:
            self.unread += 1
            return row, [f"its page is asked for the next time, after {MOST_PAGES} others"]
        self.asked += 1
        try:
            return with_page(row, self.options), []
        except RecordingError as error:
            log.warning(f"the page of {row.recording_id} was not read: {error}")
            self.unread += 1
            self.may_ask = not error.stops_batch
            return row, [f"its page could not be read: {error}"]


def catalogue_rows(
    edition: Edition,
    results: Sequence[Result],
    matched: MatchedListing,
    parts: dict[str, SessionPart],
    titles: dict[str, str],
) -> list[CompetitionRecording]:
    """Rows of `recordings.jsonl` for what matched, with places."""
    result_of = {result.performer: result for result in results}
    solo = {round_.id: round_.solo for round_ in edition.rounds}
    rows = []
    for entry, match in matched.matched:
        result = result_of[match.performer]
        part = parts.get(entry.recording_id)
        rows.append(
            CompetitionRecording(
                recording_id=entry.recording_id,
                source_id=entry.source_id,
                source_url=entry.source_url,
                title=titles[part.cut_from] if part else entry.title,
                duration_s=entry.duration_s,
                cut_from=part.cut_from if part else None,
                source_start_s=part.start_s if part else None,
                source_end_s=part.end_s if part else None,
                performer=match.performer,
                country=result.country,
                round=match.round_id,
                placement=result.placement,
                solo=solo[match.round_id] and not names_concerto(match.piece),
                title_piece=match.piece,
                block=tuple(ProgrammeItemRow.of(item) for item in part.items) if part else (),
                block_problems=tuple(
                    ProgrammeProblemRow.of(entry.recording_id, "description", "refused", problem)
                    for problem in (part.problems if part else ())
                ),
                match_score=match.score,
                match_margin=match.margin,
                listed=entry.listed,
                edition=edition.id,
                sample=edition.sample,
            )
        )
    return rows


def find_recordings(
    store: Store, prefix: str, edition: Edition, options: FetchOptions
) -> Catalogue:
    """List, match, look into sessions and place: the whole of T2's catalogue.

    Args:
        store: where the results lie, and what was listed before.
        prefix: the tier's folder.
        edition: the edition.
        options: how politely to list.

    Raises:
        CatalogueError: the results' sources contradict each other, or a listing cannot be read.
        SetupError: the results have not been made, or what was listed before cannot be read.
    """
    results = read_rows(store, f"{prefix}/results.jsonl", Result)
    # The check on the results stops only the run that made them.
    contradictions = disagreements(read_rows(store, f"{prefix}/statements.jsonl", StatementRow))
    if contradictions:
        said = "; ".join(str(contradiction) for contradiction in contradictions[:5])
        raise CatalogueError(f"the results' sources contradict each other: {said}")
    competitors = competitors_of(results)
    path = f"{prefix}/listing.jsonl"
    earlier = read_rows(store, path, ListedRow) if store.path(path).exists() else []
    listed = list_edition(edition, options)
    rows = with_remembered(edition, listed, earlier)
    matched = match_listing([row.entry() for row in rows], edition, competitors)
    sessions = cut_sessions(edition, competitors, each_once(rows), matched, options)
    together = MatchedListing((*matched.matched, *sessions.matched.matched), ())
    titles = {row.recording_id: row.title for row in rows}
    recordings = catalogue_rows(edition, results, together, sessions.parts, titles)
    unmatched = [
        *(_with_outcome(row, sessions.outcome) for row in matched.unmatched),
        *sessions.matched.unmatched,
    ]
    return Catalogue(
        recordings=recordings,
        files={
            "unmatched": [row.as_dict() for row in unmatched],
            "listing": [row.model_dump(mode="json") for row in sessions.listing],
        },
        facts={
            "videos_listed": len(listed),
            "videos_unmatched": len(matched.unmatched),
            "performers": len({row.performer for row in recordings}),
            "cut_from_sessions": sum(row.cut_from is not None for row in recordings),
            "sessions_not_read": sessions.unread,
            "no_longer_listed": sum(not row.listed for row in recordings),
        },
    )


def _with_outcome(row: UnmatchedRecording, outcome: dict[str, str]) -> UnmatchedRecording:
    said = outcome.get(row.recording_id)
    return replace(row, detail=f"{row.detail}; {said}" if row.detail else said) if said else row


def competition_tier(edition: Edition, options: FetchOptions) -> Tier:
    """T2 as the river sees it."""
    prefix = ("competition_cache", edition.id)
    marks = ("jury_marks",) if edition.jury_marks else ()
    return Tier(
        key_prefix=prefix,
        group="competition",
        label=f"{'SAMPLE — ' if edition.sample else ''}{edition.name}",
        partitions_name=f"competition_{edition.id}",
        recording_model=CompetitionRecording,
        row_model=CompetitionSegmentRow,
        find_recordings=lambda store: find_recordings(store, "/".join(prefix), edition, options),
        catalogue_assets=("results",),
        plotted_by="performer",
        label_assets=("programmes", *marks),
        signal_assets=("preferences",),
        segment_labels=lambda store: segment_labels(
            store, prefix="/".join(prefix), marks=bool(marks)
        ),
    )
