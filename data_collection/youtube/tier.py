"""T4 as the river sees it.

What belongs here: joining channels, breaker and river. What does not: listing (`discovery`), when a
night fetches what (`night`), and what a breaker does (`breaker`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.originals import OriginalSource, video_source
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.youtube.catalogue_rows import YouTubeRecording, YouTubeSegmentRow
from data_collection.youtube.channels import Channel
from data_collection.youtube.discovery import CACHE, catalogue_of
from data_collection.youtube.duplicate_search import DUPLICATES, read_left_out
from data_collection.youtube.shared_breaker import SharedBreaker, guarded

MIN_SOLO_PIANO = 0.15
"""Refuses no piano of 153 held-out clips, and half of 278 of everything else."""


def youtube_tier(channels: Sequence[Channel], home: Path) -> Tier:
    """Make T4's description.

    Args:
        channels: in the file's order.
        home: local folder for the breaker where the data root is none.
    """

    @contextmanager
    def guarded_videos(store: Store, options: FetchOptions) -> Iterator[OriginalSource]:
        breaker = shared_breaker(store, home)
        if breaker.allowance() == 0:
            # Before any receipt is touched: what a recording failed of is not to be overwritten.
            breaker.ask()
        yield guarded(video_source(options), breaker)

    return Tier(
        key_prefix=(CACHE,),
        group="youtube",
        label="YouTube channels",
        partitions_name="youtube",
        recording_model=YouTubeRecording,
        row_model=YouTubeSegmentRow,
        find_recordings=lambda store: catalogue_of(channels, store),
        catalogue_partitions={"channels": tuple(channel.id for channel in channels)},
        plotted_by="channel_id",
        open_originals=guarded_videos,
        min_solo_piano=MIN_SOLO_PIANO,
        label_assets=(DUPLICATES,),
        left_out=read_left_out,
        has_twins=True,
        signal_assets=("pairs",),
        catalogue_says=(
            "Every video that the channels' rules take, oldest first, from what the channels have "
            "listed so far; asks nobody. A row never moves and never goes away: a video that is no "
            "longer listed or wanted is marked."
        ),
    )


def shared_breaker(store: Store, home: Path) -> SharedBreaker:
    """The breaker of all runs: under the data root, or in a local folder where that is none."""
    is_local = store.root.protocol in ("", "file", "local")
    return SharedBreaker(store if is_local else Store.at(str(home)))
