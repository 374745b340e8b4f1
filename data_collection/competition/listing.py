"""What an edition's sources list, and what they have ever listed.

What belongs here: the row of `listing.jsonl`, asking the sources, and remembering. What does not:
walking a listing (`recordings.listing`) and what a video is (`matching`, `sessions`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from data_collection.competition.editions import Edition
from data_collection.competition.matching import ListingEntry
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.listing import ListingError, list_videos
from data_collection.recordings.video_page import VideoPage

GONE = re.compile(r"\[(?:private|deleted|unavailable) video\]|", re.IGNORECASE)
"""What a playlist calls a video that can no longer be seen."""


class ListedRow(BaseModel):
    """A row of `listing.jsonl`: a video that the sources list, or listed once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="ours")
    source_id: str = Field(description="the source's own id")
    source_url: str = Field(description="where it is fetched from")
    title: str = Field(description="as the source wrote it last")
    duration_s: float | None = Field(description="seconds, as the source claims")
    round_hint: str | None = Field(description="id of the round whose playlist lists it")
    listed: bool = Field(default=True, description="false once no source lists it")
    page: VideoPage | None = Field(
        default=None, description="description and chapters, where the listing or the page was read"
    )
    page_read_at: datetime | None = Field(
        default=None, description="when the video's page was read; null where it never was"
    )

    def entry(self) -> ListingEntry:
        """The row as the matching sees it."""
        return ListingEntry(
            recording_id=self.recording_id,
            source_id=self.source_id,
            source_url=self.source_url,
            title=self.title,
            duration_s=self.duration_s,
            round_hint=self.round_hint,
            listed=self.listed,
        )


def list_edition(edition: Edition, options: FetchOptions) -> list[ListedRow]:
    """List all the edition's playlists and its channel; a playlist gives its round as a hint.

    Raises:
        ListingError: one of them cannot be read, or is empty. Nothing may be concluded then.
    """
    listings: list[tuple[str, str | None]] = [
        (url, round_id) for round_id, url in edition.playlists.items()
    ]
    if edition.channel:
        listings.append((edition.channel, None))
    rows: list[ListedRow] = []
    for url, hint in listings:
        found = [
            ListedRow(
                recording_id=video.recording_id,
                source_id=video.source_id,
                source_url=video.source_url,
                title=video.title,
                duration_s=video.duration_s,
                round_hint=hint,
                page=VideoPage(description=video.description) if video.description else None,
            )
            for video in list_videos(url, options)
        ]
        if not found:
            raise ListingError(f"listing {url} holds no videos; is the address right?")
        rows += found
    return rows


def with_remembered(
    edition: Edition, listed: Sequence[ListedRow], remembered: Iterable[ListedRow]
) -> list[ListedRow]:
    """Add what was listed once and is no more: nothing is forgotten, and all is matched anew.

    A video that went private or was deleted may stay in a playlist under a title that says only
    that; its earlier title is kept. A page that was read once is kept until it is read again.

    Args:
        edition: whose rounds a remembered hint must still be one of.
        listed: what the sources list now.
        remembered: what they have ever listed.
    """
    earlier = {row.recording_id: row for row in remembered}
    there = {row.recording_id for row in listed if not GONE.fullmatch(row.title)}
    now = [
        row if row.page else _with_page_of(row, earlier.get(row.recording_id))
        for row in listed
        # First sight of a video that is gone already: all that is known is that it is gone.
        if row.recording_id in there or row.recording_id not in earlier
    ]
    return [
        *(row for row in now if row.recording_id in there),
        *(row for row in now if row.recording_id not in there),
        *(
            row.model_copy(
                update={
                    "listed": False,
                    "round_hint": row.round_hint if row.round_hint in edition.round_ids else None,
                }
            )
            for row in earlier.values()
            if row.recording_id not in there
        ),
    ]


def _with_page_of(row: ListedRow, earlier: ListedRow | None) -> ListedRow:
    if earlier is None:
        return row
    return row.model_copy(update={"page": earlier.page, "page_read_at": earlier.page_read_at})


def each_once(rows: Iterable[ListedRow]) -> list[ListedRow]:
    """Each video once, with the hint of a playlist where one of its rows has it."""
    kept: dict[str, ListedRow] = {}
    for row in rows:
        first = kept.setdefault(row.recording_id, row)
        if first.round_hint is None and row.round_hint is not None:
            kept[row.recording_id] = first.model_copy(update={"round_hint": row.round_hint})
    return list(kept.values())
