"""The rows of T4's files: what a channel has ever listed, the recordings made of it, segments.

What belongs here: the models, whose descriptions are the columns' in the UI, and the way from the
channels' videos to recordings, which is pure. What does not: listing, reading and writing
(`discovery`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from data_collection.recordings.tier_rows import Recording, SegmentRow
from data_collection.youtube.channels import Category, Channel
from data_collection.youtube.rules import Decision, LeftOut, ListedFacts, Pending

DecisionName = Literal["taken", "pending", "left_out"]


class ChannelVideo(BaseModel):
    """A row of `channels/<channel_id>.jsonl`: a video that the channel lists, or listed once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str = Field(description="ours, the same for the same video for ever")
    source_id: str = Field(description="the source's own id (yt-dlp's)")
    source_url: str = Field(description="where it is fetched from")
    title: str = Field(description="as the source wrote it last")
    duration_s: float | None = Field(description="seconds, as the source claims")
    uploaded_on: date | None = Field(
        default=None, description="the day, as it was first stated; later it is told less exactly"
    )
    live_status: str | None = Field(default=None, description="yt-dlp's, where the listing says")
    availability: str | None = Field(default=None, description="yt-dlp's, where the listing says")
    first_seen_at: AwareDatetime = Field(description="when the channel was first seen to list it")
    last_seen_at: AwareDatetime = Field(description="when it was last seen there")
    listed: bool = Field(default=True, description="false once a whole listing is without it")
    decision: DecisionName = Field(default="pending", description="what the rules say of it")
    reason: str | None = Field(default=None, description="why it is pending or left out")
    detail: str | None = Field(default=None, description="the same in words")

    def facts(self) -> ListedFacts:
        """The row as the rules see it."""
        return ListedFacts(
            title=self.title,
            url=self.source_url,
            duration_s=self.duration_s,
            uploaded_on=self.uploaded_on,
            live_status=self.live_status,
            availability=self.availability,
        )

    def decided(self, decision: Decision) -> ChannelVideo:
        """The row with what the rules say of it now."""
        name: DecisionName = "taken"
        reason = detail = None
        if isinstance(decision, Pending | LeftOut):
            name = "pending" if isinstance(decision, Pending) else "left_out"
            reason, detail = decision.reason, decision.detail
        return self.model_copy(update={"decision": name, "reason": reason, "detail": detail})


class YouTubeRecording(Recording):
    """A row of T4's `recordings.jsonl`."""

    channel_id: str = Field(description="of the channel that listed it first")
    channel: str = Field(description="that channel's name")
    category: Category = Field(description="that channel's")
    licence_note: str = Field(description="on whose terms it may be used")
    uploaded_on: date | None = Field(description="the day; null where the listing does not say")
    first_seen_at: AwareDatetime = Field(description="when the channel was first seen to list it")
    listed: bool = Field(description="false once a whole listing of the channel is without it")
    not_wanted: str | None = Field(
        description="why it would not be taken today: a rule's reason, or `channel_paused`"
    )

    @property
    def is_collectable(self) -> bool:
        """Whether it should be fetched, if it is not there yet."""
        return self.listed and self.not_wanted is None


class YouTubeSegmentRow(SegmentRow):
    """A row of T4's `metadata.jsonl`."""

    title: str = Field(description="of the video, as the source writes it")
    channel_id: str = Field(description="of the channel that listed it first")
    channel: str = Field(description="that channel's name")
    category: Category = Field(description="that channel's")
    licence_note: str = Field(description="on whose terms it may be used")
    uploaded_on: date | None = Field(description="the day; null where the listing does not say")
    first_seen_at: AwareDatetime = Field(description="when the channel was first seen to list it")


ChannelVideos = Mapping[str, Sequence[ChannelVideo]]
"""What each channel has ever listed, by the channel's id; oldest first."""


def first_listed(channels: Sequence[Channel], videos: ChannelVideos) -> list[YouTubeRecording]:
    """Each video once, as a recording of the channel that listed it first; oldest first.

    Also those that are not collectable: a video that its channel's rules leave out is not taken by
    the way of another channel.

    Args:
        channels: in the file's order, which decides where two saw a video at the same time.
        videos: by channel; one that was never listed may be missing.
    """
    seen = sorted(
        ((row, channel) for channel in channels for row in videos.get(channel.id, ())),
        key=lambda found: found[0].first_seen_at,
    )
    first: dict[str, YouTubeRecording] = {}
    for row, channel in seen:
        if row.recording_id not in first:
            first[row.recording_id] = _recording(row, channel)
    return list(first.values())


def recordings_of(
    channels: Sequence[Channel], videos: ChannelVideos, earlier: Iterable[YouTubeRecording]
) -> list[YouTubeRecording]:
    """The catalogue: earlier rows where they stood, then what is new, oldest first.

    A row never moves and never goes away: what its channel lists is refreshed in it, also that the
    video is no longer listed or wanted. It stays with the channel that it had, also when that
    channel is no longer in the file.

    Args:
        channels: in the file's order.
        videos: by channel.
        earlier: the catalogue as it was.
    """
    of_today = {
        (channel.id, row.recording_id): _recording(row, channel)
        for channel in channels
        for row in videos.get(channel.id, ())
    }
    kept = [of_today.get((row.channel_id, row.recording_id), row) for row in earlier]
    there = {row.recording_id for row in kept}
    return kept + [
        row
        for row in first_listed(channels, videos)
        if row.is_collectable and row.recording_id not in there
    ]


def _recording(row: ChannelVideo, channel: Channel) -> YouTubeRecording:
    return YouTubeRecording(
        recording_id=row.recording_id,
        source_id=row.source_id,
        source_url=row.source_url,
        title=row.title,
        duration_s=row.duration_s,
        channel_id=channel.id,
        channel=channel.name,
        category=channel.category,
        licence_note=channel.licence_note,
        uploaded_on=row.uploaded_on,
        first_seen_at=row.first_seen_at,
        listed=row.listed,
        not_wanted=row.reason or ("channel_paused" if channel.paused else None),
    )
