"""Which videos the channels list: asked bit by bit, remembered for ever.

What belongs here: walking a channel's listings, what a walk says of the videos that were known, and
the round over all channels within a time budget. What does not: deciding about a video (`rules`),
and registering or fetching one. A listing that failed, or that yt-dlp gave up in its middle without
a word, is not an empty one: nothing is concluded from it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from data_collection.recordings.errors import SetupError
from data_collection.recordings.fetch import FetchOptions, quiet_options
from data_collection.recordings.fetch_errors import fetch_error
from data_collection.recordings.listing import ListedVideo, ListingError, list_videos
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Catalogue
from data_collection.youtube.catalogue_rows import (
    ChannelVideo,
    YouTubeRecording,
    first_listed,
    recordings_of,
)
from data_collection.youtube.channels import Channel
from data_collection.youtube.rules import LeftOut, ListedFacts, Pending, decide, words_of

CACHE = "youtube_piano_cache"
RECORDINGS = f"{CACHE}/recordings.jsonl"
PAGE_VIDEOS = 30
"""Videos on one page of a channel's listing at YouTube."""
KNOWN_IN_A_ROW = PAGE_VIDEOS
"""After so many known videos the rest is known too: a channel lists its newest first."""
SWEEP_EVERY = timedelta(days=7)
"""How often a channel is walked to its end, to notice what was removed."""
ROUND_EVERY = timedelta(hours=20)
"""How long after the beginning of a round the next may begin."""
MOST_NEW = 500
SHRUNK_FROM = 10
"""Known videos from which the loss of more than half of them is not believed."""
GONE = re.compile(r"\[(?:private|deleted|unavailable) video\]", re.IGNORECASE)
"""What a playlist calls a video that can no longer be seen."""
NO_SUCH_TAB = re.compile(r"does not have an? \w+ tab")

Ended = Literal["at_the_known", "at_the_end", "at_the_budget"]


class ListingInDoubtError(ListingError):
    """A listing lacks so much of what was known that nothing is concluded from it."""


class RowsUnreadableError(SetupError):
    """What is remembered of a channel cannot be read; look at the line that is named."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What was read of a channel's listings.

    Attributes:
        videos: each once, oldest first as far as the listing's order tells.
        ended: where the walk stopped; `at_the_end` only where every listing was read whole.
    """

    videos: tuple[ListedVideo, ...]
    ended: Ended


@dataclass(frozen=True, slots=True)
class ChannelListing:
    """What listing one channel gave.

    Attributes:
        channel_id: the channel.
        videos: all that it lists or has ever listed, oldest first, as they are stored.
        walked: videos that were read.
        ended: where the walk stopped.
        new: recording ids that were never seen there before.
        gone: those that it no longer lists.
        back: those that it lists again.
    """

    channel_id: str
    videos: tuple[ChannelVideo, ...]
    walked: int
    ended: Ended
    new: tuple[str, ...]
    gone: tuple[str, ...]
    back: tuple[str, ...]

    @property
    def decisions(self) -> Counter[str]:
        """How many of the listed videos are taken, pending or left out, by reason."""
        return Counter(row.reason or row.decision for row in self.videos if row.listed)


@dataclass(frozen=True, slots=True)
class ListingFailure:
    """A channel that could not be listed; what was known of it stands as it was.

    Attributes:
        channel_id: the channel.
        reason: the class of the failure, as of a fetch; `unreadable` where it is none of those.
        detail: what happened, in words.
        stops_round: the next channel would meet the same, such as a bot check.
    """

    channel_id: str
    reason: str
    detail: str
    stops_round: bool


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one call of `discover` gave.

    Attributes:
        new_recordings: collectable and not registered yet, oldest first, 500 at most; those beyond
            come with the next call.
        cursor: to be given to the next call.
        failures: channels that could not be listed.
        listings: channels that were.
        waiting: collectable recordings beyond the 500.
    """

    new_recordings: tuple[YouTubeRecording, ...]
    cursor: str
    failures: tuple[ListingFailure, ...]
    listings: tuple[ChannelListing, ...]
    waiting: int


class Cursor(BaseModel):
    """Where the round over the channels stands.

    Attributes:
        round_began: when; null before the first.
        visited: ids of the channels that this round has listed or failed to list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    round_began: AwareDatetime | None = None
    visited: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """Read a cursor; what is none of ours begins anew."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()

    def at(self, now: datetime, channels: Sequence[Channel]) -> Cursor:
        """The round that is on: a new one once the last is over and was long enough ago."""
        is_over = not self.left(channels)
        if self.round_began is None or (is_over and now - self.round_began >= ROUND_EVERY):
            return Cursor(round_began=now)
        return self

    def left(self, channels: Sequence[Channel]) -> list[Channel]:
        """The channels that this round has not come to yet."""
        return [each for each in channels if not each.paused and each.id not in self.visited]

    def past(self, channel: Channel) -> Cursor:
        """The round after this channel."""
        return self.model_copy(update={"visited": (*self.visited, channel.id)})


def discover(
    channels: Sequence[Channel],
    store: Store,
    cursor: str | None,
    budget_s: float,
    now: datetime,
    *,
    registered: Collection[str],
    options: FetchOptions | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Discovery:
    """List as many channels as the time allows, and tell which recordings are to be registered.

    A channel that fails is told and passed; its turn comes again in the next round. After a failure
    that the next channel would meet as well, no further channel is asked in this call.

    Args:
        channels: in the file's order; the paused ones are not listed.
        store: where the channels' videos are remembered.
        cursor: of the last call; None for the first.
        budget_s: seconds after which no further channel is begun; one is always listed.
        now: the time that rows are stamped with, with its zone.
        registered: recording ids that are registered already; for the membership test, a set.
        options: pace of the listings.
        clock: seconds that only go up.

    Raises:
        SetupError: there is no room to remember what was listed.
    """
    began_s = clock()
    at = Cursor.read(cursor).at(now, channels)
    failures: list[ListingFailure] = []
    listings: list[ChannelListing] = []
    for channel in at.left(channels):
        if (failures or listings) and clock() - began_s >= budget_s:
            break
        at = at.past(channel)
        try:
            listings.append(list_channel(channel, store, now, options))
        except (ListingError, RowsUnreadableError) as error:
            failures.append(listing_failure(channel, error))
            if failures[-1].stops_round:
                break
    new = unregistered(channels, store, registered)
    return Discovery(
        new_recordings=tuple(new[:MOST_NEW]),
        cursor=at.model_dump_json(),
        failures=tuple(failures),
        listings=tuple(listings),
        waiting=len(new[MOST_NEW:]),
    )


def list_channel(
    channel: Channel,
    store: Store,
    now: datetime,
    options: FetchOptions | None = None,
    *,
    accept_losses: bool = False,
) -> ChannelListing:
    """List one channel and remember what it lists.

    Its newest videos are read until a row of known ones; every seven days all of them are, and only
    then is a video that is missing taken for removed. The rules are asked anew about every video,
    so that a change of the file holds for the known ones too.

    Args:
        channel: which.
        store: where its videos are remembered.
        now: the time that rows are stamped with, with its zone.
        options: pace of the listing.
        accept_losses: believe a listing without videos, or without most of those that were known.

    Raises:
        ListingError: it could not be listed, or what it lists cannot be believed; then nothing has
            changed.
        SetupError: what is remembered of it cannot be read, or there is no room.
    """
    earlier = read_channel_videos(store, channel.id)
    walk = walk_channel(channel, earlier, now, options)
    if not accept_losses:
        check_losses(channel, earlier, walk)
    videos = remembered(channel, earlier, walk, now)
    write_rows(store, _path(channel.id), videos)
    was_listed = {row.recording_id: row.listed for row in earlier}
    return ChannelListing(
        channel_id=channel.id,
        videos=tuple(videos),
        walked=len(walk.videos),
        ended=walk.ended,
        new=_ids(row for row in videos if row.recording_id not in was_listed),
        gone=_ids(row for row in videos if not row.listed and was_listed[row.recording_id]),
        back=_ids(
            row for row in videos if row.listed and not was_listed.get(row.recording_id, True)
        ),
    )


def walk_channel(
    channel: Channel,
    earlier: Sequence[ChannelVideo],
    now: datetime,
    options: FetchOptions | None = None,
) -> Walk:
    """Read a channel's listings, as far as is needed.

    Raises:
        ListingError: one of them cannot be read, also in its middle.
    """
    known = frozenset(row.recording_id for row in earlier)
    stops_at = known if channel.newest_first and not sweep_is_due(earlier, now) else frozenset()
    videos: dict[str, ListedVideo] = {}
    endings: set[Ended] = set()
    no_such_tab: ListingError | None = None
    for url in channel.listings:
        try:
            read, ended = _read_listing(url, stops_at, channel.most_videos, options)
        except ListingError as error:
            if not NO_SUCH_TAB.search(str(error)):
                raise
            no_such_tab = error
            continue
        endings.add(ended)
        oldest_first = reversed(read) if channel.newest_first else read
        videos |= {video.recording_id: video for video in oldest_first}
    if no_such_tab and not endings:
        raise no_such_tab
    ended_first: tuple[Ended, ...] = ("at_the_budget", "at_the_known", "at_the_end")
    return Walk(tuple(videos.values()), next(each for each in ended_first if each in endings))


def sweep_is_due(earlier: Sequence[ChannelVideo], now: datetime) -> bool:
    """Whether a channel is to be walked to its end: some of its videos were not seen for long."""
    oldest = min((row.last_seen_at for row in earlier if row.listed), default=None)
    # A clock that was set back must not put the next sweep off for years.
    return oldest is None or not timedelta(0) <= now - oldest < SWEEP_EVERY


def check_losses(channel: Channel, earlier: Sequence[ChannelVideo], walk: Walk) -> None:
    """Refuse a listing that lacks so much of what was known that it is hardly true.

    An address that passed to somebody else lists none of it. And where YouTube answers a page
    without data, yt-dlp ends its walk as if that had been the last page.

    Raises:
        ListingInDoubtError: saying what is missing, and what to do.
    """
    seen = {video.recording_id for video in walk.videos}
    lost = [row.recording_id not in seen for row in earlier if row.listed]
    if not lost or (seen and walk.ended != "at_the_end"):
        return
    towards_end = lost if channel.newest_first else lost[::-1]
    lost_at_end = next((at for at, is_lost in enumerate(towards_end) if not is_lost), len(lost))
    is_shrunk = len(lost) >= SHRUNK_FROM and 2 * sum(lost) > len(lost)
    if not seen or is_shrunk or lost_at_end >= PAGE_VIDEOS:
        where = ", all of them at its end" if seen and lost_at_end == sum(lost) else ""
        raise ListingInDoubtError(
            f"channel {channel.id}: {channel.url} lists {len(seen)} videos and lacks {sum(lost)} "
            f"of the {len(lost)} that were known{where}; nothing was changed. Look at the address; "
            "if they are really gone, list this channel once with accept_losses"
        )


def remembered(
    channel: Channel, earlier: Sequence[ChannelVideo], walk: Walk, now: datetime
) -> list[ChannelVideo]:
    """What is known of a channel after a walk: no row goes away, new ones come at the end."""
    seen = {video.recording_id: video for video in walk.videos}
    known = {row.recording_id for row in earlier}
    rows = [
        _seen_again(row, seen[row.recording_id], now)
        if row.recording_id in seen
        else row.model_copy(update={"listed": row.listed and walk.ended != "at_the_end"})
        for row in earlier
    ]
    rows += [_first_seen(video, now) for id_, video in seen.items() if id_ not in known]
    return [row.decided(decide(row.facts(), channel.rules)) for row in rows]


def unregistered(
    channels: Sequence[Channel], store: Store, registered: Collection[str]
) -> list[YouTubeRecording]:
    """Collectable recordings that are not registered yet, oldest first; lists nothing.

    A channel whose videos cannot be read is passed: whoever lists it is told.
    """
    videos: dict[str, list[ChannelVideo]] = {}
    for channel in channels:
        with suppress(RowsUnreadableError):
            videos[channel.id] = read_channel_videos(store, channel.id)
    return [
        recording
        for recording in first_listed(channels, videos)
        if recording.is_collectable and recording.recording_id not in registered
    ]


def read_channel_videos(store: Store, channel_id: str) -> list[ChannelVideo]:
    """What a channel has ever listed, oldest first; nothing where it was never listed.

    Raises:
        RowsUnreadableError: a line is broken.
    """
    if not store.path(_path(channel_id)).exists():
        return []
    try:
        return read_rows(store, _path(channel_id), ChannelVideo)
    except SetupError as error:
        raise RowsUnreadableError(error.reason, error.detail) from error


def catalogue_of(channels: Sequence[Channel], store: Store) -> Catalogue:
    """T4's catalogue, from what the channels have listed so far; asks nobody.

    Raises:
        SetupError: a channel's videos, or the earlier catalogue, cannot be read.
    """
    videos = {channel.id: read_channel_videos(store, channel.id) for channel in channels}
    there = store.path(RECORDINGS).exists()
    earlier = read_rows(store, RECORDINGS, YouTubeRecording) if there else []
    rows = [row for of_channel in videos.values() for row in of_channel]
    return Catalogue(
        recordings=recordings_of(channels, videos, earlier),
        facts={
            "channels": len(channels),
            "videos_listed": sum(row.listed for row in rows),
            "videos_gone": sum(not row.listed for row in rows),
            **Counter(f"videos_{row.decision}" for row in rows if row.listed),
            **Counter(f"left_out_{row.reason}" for row in rows if row.decision == "left_out"),
        },
    )


def listing_failure(channel: Channel, error: ListingError | RowsUnreadableError) -> ListingFailure:
    """Say of which class a failure is, from what yt-dlp said."""
    reason, stops_round = "unreadable", False
    if isinstance(error, RowsUnreadableError):
        reason = error.reason
    elif isinstance(error, ListingInDoubtError):
        reason = "in_doubt"
    elif error.__cause__ is not None:
        cause = fetch_error(str(error.__cause__), what=channel.url, folder="")
        reason, stops_round = cause.reason, cause.stops_batch
    return ListingFailure(channel.id, reason, str(error), stops_round)


def verify_channel(channel: Channel, options: FetchOptions | None = None) -> str:
    """Ask whether a channel is there, is the one that is meant, and what its rules would take.

    Returns:
        One line for a person.

    Raises:
        ListingError: it cannot be read, has no videos, or calls itself otherwise than the file.
    """
    name = _name_at(channel.listings[0], options)
    stated, found = set(words_of(channel.name)), set(words_of(name))
    if found and not (stated <= found or found <= stated):
        raise ListingError(
            f"channel {channel.id}: {channel.url} calls itself “{name}”, not “{channel.name}”; "
            "correct its `url` or its `name`"
        )
    newest = list(islice(list_videos(channel.listings[0], options), PAGE_VIDEOS))
    if not newest:
        raise ListingError(f"channel {channel.id}: {channel.url} lists no videos")
    decisions = [decide(_facts(video), channel.rules) for video in newest]
    why = Counter(each.reason for each in decisions if isinstance(each, Pending | LeftOut))
    said = "".join(f", {times} {reason}" for reason, times in why.most_common())
    taken = len(decisions) - sum(why.values())
    return f"{channel.id}: “{name or channel.name}”; of {len(newest)} videos {taken} taken{said}"


def _read_listing(
    url: str, stops_at: Collection[str], most_videos: int, options: FetchOptions | None
) -> tuple[list[ListedVideo], Ended]:
    read: list[ListedVideo] = []
    known_in_a_row = 0
    try:
        for video in list_videos(url, options):
            if len(read) == most_videos:
                return read, "at_the_budget"
            known_in_a_row = known_in_a_row + 1 if video.recording_id in stops_at else 0
            if not GONE.fullmatch(video.title):
                read.append(video)
            if known_in_a_row == KNOWN_IN_A_ROW:
                return read, "at_the_known"
    except ListingError:
        raise
    except Exception as error:  # yt-dlp stumbles over pages whose fields have other types
        raise ListingError(
            f"listing {url}: yt-dlp cannot read it ({type(error).__name__}: {error})"
        ) from error
    return read, "at_the_end"


def _facts(video: ListedVideo) -> ListedFacts:
    return ListedFacts(
        title=video.title,
        url=video.source_url,
        duration_s=video.duration_s,
        uploaded_on=video.uploaded_on,
        live_status=video.live_status,
        availability=video.availability,
    )


def _first_seen(video: ListedVideo, now: datetime) -> ChannelVideo:
    return ChannelVideo(
        recording_id=video.recording_id,
        source_id=video.source_id,
        source_url=video.source_url,
        title=video.title,
        duration_s=video.duration_s,
        uploaded_on=video.uploaded_on,
        live_status=video.live_status,
        availability=video.availability,
        first_seen_at=now,
        last_seen_at=now,
    )


def _seen_again(row: ChannelVideo, video: ListedVideo, now: datetime) -> ChannelVideo:
    return row.model_copy(
        update={
            "source_url": video.source_url,
            "title": video.title or row.title,
            "duration_s": video.duration_s or row.duration_s,
            "uploaded_on": row.uploaded_on or video.uploaded_on,
            "live_status": video.live_status,
            "availability": video.availability,
            "last_seen_at": now,
            "listed": True,
        }
    )


def _name_at(url: str, options: FetchOptions | None) -> str:
    """What a listing calls itself; nothing where it does not say."""
    import yt_dlp
    from yt_dlp.networking.exceptions import RequestError

    try:
        with yt_dlp.YoutubeDL(quiet_options(url, options or FetchOptions())) as downloader:
            info = downloader.extract_info(url, download=False, process=False) or {}
    except (yt_dlp.utils.YoutubeDLError, RequestError, OSError) as error:
        cause = fetch_error(str(error), what=url, folder="")
        raise ListingError(f"listing {url} could not be read: {cause.detail}") from error
    return str(info.get("channel") or info.get("title") or "")


def _ids(rows: Iterable[ChannelVideo]) -> tuple[str, ...]:
    return tuple(row.recording_id for row in rows)


def _path(channel_id: str) -> str:
    return f"{CACHE}/channels/{channel_id}.jsonl"
