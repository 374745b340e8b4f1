"""T2's catalogue: the edition's listings, matched to its roster.

What belongs here: T2's row models and the steps from listings to rows. What does not: the matching
itself (`matching`, pure) and walking a listing (`recordings.listing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from data_collection.competition.editions import Edition
from data_collection.competition.matching import ListingEntry, MatchedListing, match_listing
from data_collection.competition.placement import placements
from data_collection.competition.roster import Competitor
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.listing import ListingError, list_videos
from data_collection.recordings.rows import read_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Catalogue, Recording, SegmentRow, Tier


class Result(BaseModel):
    """A row of `results.jsonl`: how one performer did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    performer: str = Field(description="name as the competition writes it")
    country: str | None = Field(description="country or countries; null where not known")
    reached_stage: str = Field(description="id of the last round reached")
    prize: int | None = Field(description="prize number; null without a prize")
    placement: int = Field(ge=1, description="place, 1 the best; equal places are ties")
    confidence: str | None = Field(description="sourced or recalled; null where not stated")
    source: str = Field(description="where the result comes from")
    sample: bool = Field(description="true in a made-up world")


class CompetitionRecording(Recording):
    """A row of T2's `recordings.jsonl`."""

    performer: str = Field(description="name as the competition writes it")
    country: str | None = Field(default=None, description="country or countries")
    round: str = Field(description="id of the round")
    placement: int = Field(ge=1, description="the performer's place; equal places are ties")
    solo: bool = Field(description="false where others play too, as in a concerto")
    match_score: float = Field(ge=0, le=100, description="how well the title names the performer")
    match_margin: float = Field(description="distance to the next best performer's score")
    listed: bool = Field(default=True, description="false once the source no longer lists it")
    edition: str = Field(description="id of the competition's edition")
    sample: bool = Field(default=False, description="true in a made-up world")


class CompetitionSegmentRow(SegmentRow):
    """A row of T2's `metadata.jsonl`."""

    performer: str = Field(description="name as the competition writes it")
    country: str | None = Field(description="country or countries")
    round: str = Field(description="id of the round")
    placement: int = Field(ge=1, description="the performer's place, 1 the best; ties are equal")
    solo: bool = Field(description="false where others play too; not compared with solo rounds")
    edition: str = Field(description="id of the competition's edition")
    sample: bool = Field(description="true in a made-up world")


def results(edition: Edition) -> list[Result]:
    """Places of everybody, in the roster's order.

    Raises:
        RosterError: the roster cannot be used.
    """
    roster = edition.roster()
    place = placements(roster, edition.round_ids)
    return [
        Result(
            performer=competitor.performer,
            country=competitor.country,
            reached_stage=competitor.reached_stage,
            prize=competitor.prize,
            placement=place[competitor.performer],
            confidence=competitor.confidence,
            source=f"roster:{edition.results[0].path}",
            sample=edition.sample,
        )
        for competitor in roster
    ]


def list_edition(edition: Edition, options: FetchOptions) -> list[ListingEntry]:
    """List all the edition's playlists and its channel; a playlist gives its round as a hint.

    Raises:
        ListingError: one of them cannot be read, or is empty. Nothing may be concluded then.
    """
    listings: list[tuple[str, str | None]] = [
        (url, round_id) for round_id, url in edition.playlists.items()
    ]
    if edition.channel:
        listings.append((edition.channel, None))
    entries: list[ListingEntry] = []
    for url, hint in listings:
        found = [
            ListingEntry(
                recording_id=video.recording_id,
                source_id=video.source_id,
                source_url=video.source_url,
                title=video.title,
                duration_s=video.duration_s,
                round_hint=hint,
            )
            for video in list_videos(url, options)
        ]
        if not found:
            raise ListingError(f"listing {url} holds no videos; is the address right?")
        entries += found
    return entries


def with_unlisted(
    entries: Sequence[ListingEntry], earlier: Iterable[CompetitionRecording]
) -> list[ListingEntry]:
    """Add what an earlier catalogue held and the source no longer lists: never forgotten."""
    known = {entry.recording_id for entry in entries}
    return [
        *entries,
        *(
            ListingEntry(
                recording_id=row.recording_id,
                source_id=row.source_id,
                source_url=row.source_url,
                title=row.title,
                duration_s=row.duration_s,
                round_hint=row.round,
                listed=False,
            )
            for row in earlier
            if row.recording_id not in known
        ),
    ]


def catalogue_rows(
    edition: Edition, roster: Sequence[Competitor], matched: MatchedListing
) -> list[CompetitionRecording]:
    """Rows of `recordings.jsonl` for what matched, with places."""
    place = placements(roster, edition.round_ids)
    country = {competitor.performer: competitor.country for competitor in roster}
    solo = {round_.id: round_.solo for round_ in edition.rounds}
    return [
        CompetitionRecording(
            recording_id=entry.recording_id,
            source_id=entry.source_id,
            source_url=entry.source_url,
            title=entry.title,
            duration_s=entry.duration_s,
            piece=match.piece,
            performer=match.performer,
            country=country[match.performer],
            round=match.round_id,
            placement=place[match.performer],
            solo=solo[match.round_id],
            match_score=match.score,
            match_margin=match.margin,
            listed=entry.listed,
            edition=edition.id,
            sample=edition.sample,
        )
        for entry, match in matched.matched
    ]


def find_recordings(
    store: Store, recordings_path: str, edition: Edition, options: FetchOptions
) -> Catalogue:
    """List, match and place: the whole of T2's catalogue.

    Args:
        store: where an earlier catalogue lies.
        recordings_path: its relative path.
        edition: the edition.
        options: how politely to list.

    Raises:
        ListingError: a listing cannot be read.
        RosterError: the roster cannot be used.
    """
    roster = edition.roster()
    listed = list_edition(edition, options)
    earlier = (
        read_rows(store, recordings_path, CompetitionRecording)
        if store.path(recordings_path).exists()
        else []
    )
    matched = match_listing(with_unlisted(listed, earlier), edition, roster)
    rows = catalogue_rows(edition, roster, matched)
    return Catalogue(
        recordings=rows,
        files={"unmatched": [row.as_dict() for row in matched.unmatched]},
        facts={
            "videos_listed": len(listed),
            "videos_unmatched": len(matched.unmatched),
            "performers": len({row.performer for row in rows}),
            "no_longer_listed": sum(not row.listed for row in rows),
        },
    )


def competition_tier(edition: Edition, options: FetchOptions) -> Tier:
    """T2 as the river sees it."""
    prefix = ("competition_cache", edition.id)
    recordings_path = "/".join((*prefix, "recordings.jsonl"))

    return Tier(
        key_prefix=prefix,
        group="competition",
        label=f"{'SAMPLE — ' if edition.sample else ''}{edition.name}",
        partitions_name=f"competition_{edition.id}",
        recording_model=CompetitionRecording,
        row_model=CompetitionSegmentRow,
        find_recordings=lambda store: find_recordings(store, recordings_path, edition, options),
        plotted_by="performer",
    )
