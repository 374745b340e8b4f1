"""T2's catalogue: the edition's listings, matched to its roster.

What belongs here: T2's row models and the steps from listings to rows. What does not: the matching
itself (`matching`, pure) and walking a listing (`recordings.listing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict

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

GONE = re.compile(r"\[(?:private|deleted|unavailable) video\]|", re.IGNORECASE)
"""What a playlist calls a video that can no longer be seen."""


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


class ListedRow(BaseModel):
    """A row of `listing.jsonl`: a video that the sources list, or listed once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="ours")
    source_id: str = Field(description="the source's own id")
    source_url: str = Field(description="where it is fetched from")
    title: str = Field(description="as the source wrote it last")
    duration_s: float | None = Field(description="seconds, as the source claims")
    round_hint: str | None = Field(description="id of the round whose playlist lists it")
    listed: bool = Field(description="false once no source lists it")


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


def with_remembered(
    edition: Edition, listed: Sequence[ListingEntry], remembered: Iterable[ListedRow]
) -> list[ListingEntry]:
    """Add what was listed once and is no more: nothing is forgotten, and all is matched anew.

    A video that went private or was deleted may stay in a playlist under a title that says only
    that; its earlier title is kept.

    Args:
        edition: whose rounds a remembered hint must still be one of.
        listed: what the sources list now.
        remembered: what they have ever listed.
    """
    there = {entry.recording_id: entry for entry in listed if not GONE.fullmatch(entry.title)}
    once = [row for row in remembered if row.recording_id not in there]
    known = {row.recording_id for row in once}
    never_seen = [
        entry
        for entry in listed
        if entry.recording_id not in there and entry.recording_id not in known
    ]
    return [
        *(entry for entry in listed if entry.recording_id in there),
        *never_seen,
        *(
            ListingEntry(
                recording_id=row.recording_id,
                source_id=row.source_id,
                source_url=row.source_url,
                title=row.title,
                duration_s=row.duration_s,
                round_hint=row.round_hint if row.round_hint in edition.round_ids else None,
                listed=False,
            )
            for row in once
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
    store: Store, listing_path: str, edition: Edition, options: FetchOptions
) -> Catalogue:
    """List, match and place: the whole of T2's catalogue.

    Args:
        store: where it is remembered what was listed before.
        listing_path: relative path of that file.
        edition: the edition.
        options: how politely to list.

    Raises:
        ListingError: a listing cannot be read.
        RosterError: the roster cannot be used.
        SetupError: the remembered listing cannot be read.
    """
    roster = edition.roster()
    listed = list_edition(edition, options)
    earlier = read_rows(store, listing_path, ListedRow) if store.path(listing_path).exists() else []
    entries = with_remembered(edition, listed, earlier)
    matched = match_listing(entries, edition, roster)
    rows = catalogue_rows(edition, roster, matched)
    return Catalogue(
        recordings=rows,
        files={
            "unmatched": [row.as_dict() for row in matched.unmatched],
            "listing": [asdict(entry) for entry in _once(entries)],
        },
        facts={
            "videos_listed": len(listed),
            "videos_unmatched": len(matched.unmatched),
            "performers": len({row.performer for row in rows}),
            "no_longer_listed": sum(not row.listed for row in rows),
        },
    )


def _once(entries: Iterable[ListingEntry]) -> list[ListingEntry]:
    """Each recording once, with the hint of a playlist where one of its entries has it."""
    kept: dict[str, ListingEntry] = {}
    for entry in entries:
        first = kept.setdefault(entry.recording_id, entry)
        if first.round_hint is None and entry.round_hint is not None:
            kept[entry.recording_id] = entry
    return list(kept.values())


def competition_tier(edition: Edition, options: FetchOptions) -> Tier:
    """T2 as the river sees it."""
    prefix = ("competition_cache", edition.id)
    listing_path = "/".join((*prefix, "listing.jsonl"))

    return Tier(
        key_prefix=prefix,
        group="competition",
        label=f"{'SAMPLE — ' if edition.sample else ''}{edition.name}",
        partitions_name=f"competition_{edition.id}",
        recording_model=CompetitionRecording,
        row_model=CompetitionSegmentRow,
        find_recordings=lambda store: find_recordings(store, listing_path, edition, options),
        plotted_by="performer",
    )
