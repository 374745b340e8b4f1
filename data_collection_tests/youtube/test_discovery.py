"""Listing channels bit by bit by the real yt-dlp: what is new, gone, or not to be believed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.recordings.errors import SetupError
from data_collection.recordings.listing import ListingError
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.store import Store
from data_collection.sample.server import FixedPage, Site, serve
from data_collection.youtube.catalogue_rows import (
    ChannelVideo,
    YouTubeRecording,
    YouTubeSegmentRow,
    first_listed,
    recordings_of,
)
from data_collection.youtube.channels import Channel
from data_collection.youtube.discovery import (
    KNOWN_IN_A_ROW,
    MOST_NEW,
    RECORDINGS,
    ROUND_EVERY,
    SWEEP_EVERY,
    ChannelListing,
    Cursor,
    Discovery,
    ListingInDoubtError,
    Walk,
    catalogue_of,
    discover,
    list_channel,
    read_channel_videos,
    remembered,
    sweep_is_due,
    verify_channel,
)
from data_collection_tests.youtube.made_channels import (
    NIGHT,
    Entry,
    entries,
    feed_channel,
    made_channel,
    put,
    youtube_video,
)

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def host() -> Iterator[Site]:
    """A host for feeds."""
    with serve([], title="Unused") as running:
        yield running


@pytest.fixture
def site(host: Site) -> Site:
    """The host without any feed."""
    host.pages.clear()
    host.faults.clear()
    host.requests.clear()
    return host


def titles(listing: ChannelListing, ids: Sequence[str]) -> list[str]:
    title_of = {row.recording_id: row.title for row in listing.videos}
    return [title_of[id_] for id_ in ids]


def kept(store: Store, channel: Channel) -> bytes:
    return store.path(f"youtube_piano_cache/channels/{channel.id}.jsonl").read_bytes()


def whole_round(
    channels: Sequence[Channel], store: Store, *, cursor: str | None = None, days: int = 0
) -> Discovery:
    """One call with time enough for all channels; nothing is registered."""
    return discover(channels, store, cursor, 1e9, NIGHT + days * DAY, registered=frozenset())


def test_a_channel_of_300_that_grows_is_read_to_the_known_only(site: Site, store: Store) -> None:
    """All is read once; a night later the new ones and one page of known ones.

    Guards against walking 300 videos every night to find seven, and against rows that move.
    """
    channel = feed_channel(site, "one")
    put(site, "one", entries(1, 300))
    first = list_channel(channel, store, NIGHT)
    assert (len(first.new), first.walked, first.ended) == (300, 300, "at_the_end")
    assert titles(first, first.new[:2]) == ["Nocturne 1", "Nocturne 2"]

    put(site, "one", entries(1, 307))
    second = list_channel(channel, store, NIGHT + DAY)
    assert (second.walked, second.ended) == (7 + KNOWN_IN_A_ROW, "at_the_known")
    assert titles(second, second.new) == [f"Nocturne {number}" for number in range(301, 308)]
    assert [row.recording_id for row in second.videos[:300]] == list(first.new)
    assert second.videos[-1].first_seen_at == NIGHT + DAY
    assert read_channel_videos(store, "one") == list(second.videos)


def test_a_video_between_known_ones_is_found(site: Site, store: Store) -> None:
    """A new video that stands below fewer than a page of known ones is seen.

    Guards against a première, dated before its neighbours, that is missed for a week.
    """
    channel = feed_channel(site, "one")
    put(site, "one", entries(1, 100))
    list_channel(channel, store, NIGHT)
    listed = entries(1, 100)
    put(site, "one", [*listed[:20], Entry("late", "Late"), *listed[20:]])
    second = list_channel(channel, store, NIGHT + DAY)
    assert titles(second, second.new) == ["Late"]
    assert second.ended == "at_the_known"


def test_a_removed_video_is_marked_by_the_next_sweep_and_comes_back(
    site: Site, store: Store
) -> None:
    """Only a whole listing tells that a video is gone; its row stays, and is listed again later.

    Guards against concluding from a part, and against forgetting when it was first seen.
    """
    channel = feed_channel(site, "one")
    put(site, "one", entries(1, 100))
    list_channel(channel, store, NIGHT)
    without = [entry for entry in entries(1, 100) if entry.guid != "video-0050"]
    put(site, "one", without)
    assert list_channel(channel, store, NIGHT + DAY).gone == ()

    swept = list_channel(channel, store, NIGHT + SWEEP_EVERY)
    assert (swept.ended, titles(swept, swept.gone)) == ("at_the_end", ["Nocturne 50"])
    gone = swept.videos[49]
    assert (gone.listed, gone.first_seen_at, gone.last_seen_at) == (False, NIGHT, NIGHT)
    assert sum(row.listed for row in swept.videos) == 99

    put(site, "one", entries(1, 100))
    back = list_channel(channel, store, NIGHT + 2 * SWEEP_EVERY)
    assert titles(back, back.back) == ["Nocturne 50"]
    assert back.videos[49].listed
    assert back.videos[49].first_seen_at == NIGHT


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (FixedPage("", status=503), "server_error"),
        (FixedPage("", status=404), "removed"),
        (FixedPage("<html>Please sign in</html>"), "unsupported_source"),
        (FixedPage('<?xml version="1.0"?><rss><chan'), "unsupported_source"),
    ],
)
def test_a_listing_that_fails_changes_nothing_and_stops_nobody(
    site: Site, store: Store, fault: FixedPage, reason: str
) -> None:
    """The failing channel keeps its state byte for byte; the others are listed.

    Guards against an outage that empties a channel, and against one dead channel that starves the
    rest.
    """
    channels = [feed_channel(site, name) for name in ("one", "two", "three")]
    for channel in channels:
        put(site, channel.id, entries(1, 40))
    first = whole_round(channels, store)
    before = kept(store, channels[1])

    put(site, "three", entries(1, 41))
    site.pages["/two.rss"] = fault
    second = whole_round(channels, store, cursor=first.cursor, days=1)
    assert [(each.channel_id, each.reason) for each in second.failures] == [("two", reason)]
    assert "two.rss" in second.failures[0].detail
    assert kept(store, channels[1]) == before
    assert [each.channel_id for each in second.listings] == ["one", "three"]
    assert len(second.listings[1].new) == 1


def test_a_limit_on_requests_ends_the_call_but_not_the_round(site: Site, store: Store) -> None:
    """After a 429 no further channel is asked; the next call goes on behind the one that met it.

    Guards against asking thirty channels while blocked, and against a channel whose 429 keeps all
    after it from ever being listed.
    """
    channels = [feed_channel(site, name) for name in ("one", "two", "three")]
    for channel in channels:
        put(site, channel.id, entries(1, 3))
    site.pages["/one.rss"] = FixedPage("", status=429)
    first = whole_round(channels, store)
    assert [each.reason for each in first.failures] == ["too_many_requests"]
    assert first.failures[0].stops_round
    assert site.requests["/two.rss"] == 0

    second = whole_round(channels, store, cursor=first.cursor)
    assert [each.channel_id for each in second.listings] == ["two", "three"]


def test_an_empty_listing_of_a_known_channel_is_an_error(site: Site, store: Store) -> None:
    """No videos where there were some is not believed; a person may say that it is so.

    Guards against a channel's page that came without its grid, taken for a deleted channel.
    """
    channel = feed_channel(site, "one")
    put(site, "one", [])
    assert list_channel(channel, store, NIGHT).videos == ()
    put(site, "one", entries(1, 3))
    list_channel(channel, store, NIGHT + DAY)
    before = kept(store, channel)

    put(site, "one", [])
    with pytest.raises(ListingInDoubtError, match="lacks 3 of the 3"):
        list_channel(channel, store, NIGHT + 2 * DAY)
    assert kept(store, channel) == before
    accepted = list_channel(channel, store, NIGHT + 2 * DAY, accept_losses=True)
    assert len(accepted.gone) == 3
    put(site, "one", [])
    assert list_channel(channel, store, NIGHT + 3 * DAY).gone == ()


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (entries(400, 500), "lacks 100 of the 100"),
        (entries(60, 100), "lacks 59 of the 100"),
        (entries(31, 100), "lacks 30 of the 100 that were known, all of them at its end"),
    ],
)
def test_a_listing_that_lacks_too_much_is_not_believed(
    site: Site, store: Store, listed: list[Entry], said: str
) -> None:
    """Another channel's videos, half of one's own, or a lost last page change nothing.

    Guards against an address that passed to somebody else, and against yt-dlp's silent end where
    YouTube answers a page without data.
    """
    channel = feed_channel(site, "one")
    put(site, "one", entries(1, 100))
    list_channel(channel, store, NIGHT)
    before = kept(store, channel)
    put(site, "one", listed)
    found = whole_round([channel], store, days=7)
    assert [each.reason for each in found.failures] == ["in_doubt"]
    assert said in found.failures[0].detail
    assert kept(store, channel) == before


def test_losses_that_happen_are_believed(site: Site, store: Store) -> None:
    """Some videos from the middle, and most of a very small channel, may be removed.

    Guards against a channel that is never listed again because its owner tidied up.
    """
    big, small = feed_channel(site, "big"), feed_channel(site, "small")
    put(site, "big", entries(1, 100))
    put(site, "small", entries(1, 5))
    whole_round([big, small], store)
    put(site, "big", entries(80, 100) + entries(1, 30))
    put(site, "small", entries(5, 5))
    found = whole_round([big, small], store, days=7)
    assert found.failures == ()
    assert [len(each.gone) for each in found.listings] == [49, 4]


def test_a_channel_that_moved_keeps_its_recordings(site: Site, store: Store) -> None:
    """Under a new address, or behind a redirect, the same videos are the same recordings.

    Guards against fetching a channel twice because its handle changed.
    """
    put(site, "old", entries(1, 20))
    first = list_channel(feed_channel(site, "old"), store, NIGHT)
    put(site, "new", entries(1, 21))
    moved = made_channel("old", url=f"{site.url}/new.rss")
    second = list_channel(moved, store, NIGHT + DAY)
    assert titles(second, second.new) == ["Nocturne 21"]
    assert [row.recording_id for row in second.videos[:20]] == list(first.new)

    site.pages["/old.rss"] = FixedPage("", status=301, headers={"location": "/new.rss"})
    assert list_channel(feed_channel(site, "old"), store, NIGHT + 2 * DAY).new == ()


def test_a_video_of_two_channels_is_the_first_ones(site: Site, store: Store) -> None:
    """It is registered once, for the channel that listed it first, whatever the file's order.

    Guards against one performance with two owners, budgets and licences.
    """
    early, late = feed_channel(site, "early"), feed_channel(site, "late")
    put(site, "early", entries(1, 5))
    list_channel(early, store, NIGHT)
    put(site, "late", entries(3, 8))
    list_channel(late, store, NIGHT + DAY)
    found = discover([late, early], store, None, 1e9, NIGHT + 2 * DAY, registered=frozenset())
    owners = Counter(row.channel_id for row in found.new_recordings)
    assert owners == {"early": 5, "late": 3}
    assert len({row.recording_id for row in found.new_recordings}) == 8


def test_what_the_first_channel_leaves_out_does_not_come_by_the_second(
    site: Site, store: Store
) -> None:
    """A video belongs to the channel that listed it first, also where that leaves it out.

    Guards against an owner that changes with each change of the rules.
    """
    put(site, "one", [Entry("a", "Lesson")])
    put(site, "two", [Entry("a", "Lesson")])
    one = feed_channel(site, "one", rules={"title_excludes": ["lesson"]})
    assert whole_round([one, feed_channel(site, "two")], store).new_recordings == ()


def test_new_recordings_come_by_500_and_each_once(site: Site, store: Store) -> None:
    """What is registered does not come again; the rest follows, oldest first.

    Guards against a sensor that is overrun, and against recordings lost beyond its limit.
    """
    channels = [feed_channel(site, name) for name in ("one", "two")]
    put(site, "one", entries(1, 700))
    put(site, "two", entries(701, 1300))
    registered: list[str] = []
    cursor, sizes = None, []
    for _ in range(4):
        found = discover(channels, store, cursor, 1e9, NIGHT, registered=set(registered))
        cursor = found.cursor
        sizes.append((len(found.new_recordings), found.waiting))
        registered += [row.recording_id for row in found.new_recordings]
    assert sizes == [(MOST_NEW, 800), (MOST_NEW, 300), (300, 0), (0, 0)]
    assert registered == [row.recording_id for row in catalogue_of(channels, store).recordings]
    assert len(set(registered)) == 1300
    assert site.requests["/one.rss"] <= 2  # yt-dlp asks for the head first; one walk in all


def test_a_call_keeps_to_its_time_and_the_next_goes_on(site: Site, store: Store) -> None:
    """When the time is over no channel is begun; calls after it reach all, each once a round.

    Guards against a tick that runs into its timeout, and against one that lists the first channels
    for ever.
    """
    channels = [feed_channel(site, f"c{number}") for number in range(5)]
    for channel in channels:
        put(site, channel.id, entries(1, 2))
    asked: list[list[str]] = []
    cursor = None
    for call in range(4):
        tens = itertools.count(step=10.0)
        now = NIGHT + call * timedelta(minutes=1)
        found = discover(channels, store, cursor, 15, now, registered=(), clock=tens.__next__)
        cursor = found.cursor
        asked.append([each.channel_id for each in found.listings])
    assert asked == [["c0", "c1"], ["c2", "c3"], ["c4"], []]
    again = discover(channels, store, cursor, 1e9, NIGHT + ROUND_EVERY, registered=())
    assert len(again.listings) == 5


def test_a_paused_channel_is_not_asked_and_loses_nothing(site: Site, store: Store) -> None:
    """Its recordings stay in the catalogue, unwanted for the while, and it takes no new ones.

    Guards against a pause that deletes, and one that goes on fetching.
    """
    put(site, "one", entries(1, 3))
    channel = feed_channel(site, "one")
    whole_round([channel], store)
    write_rows(store, RECORDINGS, catalogue_of([channel], store).recordings[:2])
    paused = channel.model_copy(update={"paused": True})
    found = whole_round([paused], store, days=1)
    assert (found.listings, found.new_recordings) == ((), ())
    rows = catalogue_of([paused], store).recordings
    assert [getattr(row, "not_wanted", "") for row in rows] == ["channel_paused"] * 2
    assert len(whole_round([channel], store, cursor=found.cursor, days=2).new_recordings) == 3


def test_rules_that_change_hold_for_known_videos(site: Site, store: Store) -> None:
    """The next listing decides anew; a recording in the catalogue stays there, and says why.

    Guards against rules that hold for tomorrow's videos only, and against rows that vanish under
    what was collected from them.
    """
    put(site, "one", [Entry("a", "Lesson 1"), Entry("b", "Waltz")])
    channel = feed_channel(site, "one")
    whole_round([channel], store)
    write_rows(store, RECORDINGS, catalogue_of([channel], store).recordings)
    stricter = feed_channel(site, "one", rules={"title_excludes": ["lesson"]})
    listing = list_channel(stricter, store, NIGHT + DAY)
    assert listing.decisions == {"title_excluded": 1, "taken": 1}
    rows = catalogue_of([stricter], store).recordings
    assert [(row.title, getattr(row, "not_wanted", "")) for row in rows] == [
        ("Waltz", None),
        ("Lesson 1", "title_excluded"),
    ]
    assert list_channel(channel, store, NIGHT + 2 * DAY).decisions == {"taken": 2}


def test_a_recording_outlives_its_channel(site: Site, store: Store) -> None:
    """A channel that leaves the file, or the videos that it loses, take no row from the catalogue.

    Guards against partitions whose audio is there and whose row is not.
    """
    put(site, "one", entries(1, 3))
    put(site, "two", entries(4, 5))
    channels = [feed_channel(site, "one"), feed_channel(site, "two")]
    whole_round(channels, store)
    before = list(catalogue_of(channels, store).recordings)
    write_rows(store, RECORDINGS, before)
    assert list(catalogue_of(channels[1:], store).recordings) == before

    put(site, "one", entries(2, 3))
    list_channel(channels[0], store, NIGHT + 7 * DAY)
    after = catalogue_of(channels, store)
    assert [row.recording_id for row in after.recordings] == [row.recording_id for row in before]
    assert [getattr(row, "listed", None) for row in after.recordings] == [False, *[True] * 4]
    assert after.facts["videos_gone"] == 1


def test_a_removed_video_is_not_registered_any_more(site: Site, store: Store) -> None:
    """What is gone before it was registered is not registered.

    Guards against a night spent on videos that are known to be removed.
    """
    put(site, "one", entries(1, 3))
    channel = feed_channel(site, "one")
    list_channel(channel, store, NIGHT)
    put(site, "one", entries(2, 3))
    found = whole_round([channel], store, days=7)
    assert [row.title for row in found.new_recordings] == ["Nocturne 2", "Nocturne 3"]


def test_a_listing_longer_than_allowed_ends_and_concludes_nothing(site: Site, store: Store) -> None:
    """No more videos are read than the channel may have; what was not read is not gone.

    Guards against a listing without end, and against taking its unread part for removed.
    """
    put(site, "one", entries(1, 100))
    list_channel(feed_channel(site, "one"), store, NIGHT)
    bounded = feed_channel(site, "one", most_videos=40)
    listing = list_channel(bounded, store, NIGHT + 7 * DAY)
    assert (listing.walked, listing.ended, listing.gone) == (40, "at_the_budget", ())
    assert sweep_is_due(listing.videos, NIGHT + 7 * DAY)


def test_a_playlist_that_grows_at_its_end_is_walked_whole(site: Site, store: Store) -> None:
    """Where the newest are not first, known videos end no walk, and rows are in the list's order.

    Guards against a playlist whose additions are seen once a week.
    """
    channel = feed_channel(site, "one", newest_first=False)
    put(site, "one", entries(1, 50)[::-1])
    list_channel(channel, store, NIGHT)
    put(site, "one", entries(1, 52)[::-1])
    listing = list_channel(channel, store, NIGHT + DAY)
    assert titles(listing, listing.new) == ["Nocturne 51", "Nocturne 52"]
    put(site, "one", entries(1, 20)[::-1])
    with pytest.raises(ListingInDoubtError, match="all of them at its end"):
        list_channel(channel, store, NIGHT + 2 * DAY)


def test_a_video_that_a_playlist_calls_private_is_gone(site: Site, store: Store) -> None:
    """Its row keeps its title and is no longer listed; one that was never seen is no row.

    Guards against recordings called `[Private video]`.
    """
    channel = feed_channel(site, "one", newest_first=False)
    put(site, "one", [Entry("a", "Waltz"), Entry("b", "Étude")])
    list_channel(channel, store, NIGHT)
    dead = [Entry("a", "[Private video]"), Entry("b", "Étude"), Entry("c", "[Deleted video]")]
    put(site, "one", dead)
    rows = list_channel(channel, store, NIGHT + DAY).videos
    assert [(row.title, row.listed) for row in rows] == [("Waltz", False), ("Étude", True)]


class TwoTabs(Channel):
    """A channel whose two listings are feeds, the second named as yt-dlp names a missing tab."""

    @property
    def listings(self) -> tuple[str, ...]:
        """Videos, then streams."""
        return (self.url, f"{self.url}/../does not have a streams tab")


def test_a_channel_without_one_of_its_tabs_is_listed_by_the_others(
    site: Site, store: Store
) -> None:
    """A tab that is not there holds nothing; a channel that is not there is an error.

    Guards against a channel that is never listed because it never streamed.
    """
    put(site, "one", entries(1, 3))
    channel = TwoTabs.model_validate(feed_channel(site, "one").model_dump())
    listing = list_channel(channel, store, NIGHT)
    assert (len(listing.new), listing.ended) == (3, "at_the_end")
    site.pages.clear()
    with pytest.raises(ListingError, match="404"):
        list_channel(channel, store, NIGHT + DAY)


def test_known_videos_of_one_tab_do_not_end_the_next(site: Site, store: Store) -> None:
    """Each listing of a channel is read to its own known videos.

    Guards against streams that are never seen because the newest videos are all known.
    """
    put(site, "one", entries(1, 60))
    put(site, "does not have a streams tab", entries(101, 160))
    site.pages["/does not have a streams tab"] = site.pages.pop("/does not have a streams tab.rss")
    channel = TwoTabs.model_validate(feed_channel(site, "one").model_dump())
    assert len(list_channel(channel, store, NIGHT).new) == 120
    put(site, "x", entries(101, 161))
    site.pages["/does not have a streams tab"] = site.pages["/x.rss"]
    second = list_channel(channel, store, NIGHT + DAY)
    assert titles(second, second.new) == ["Nocturne 161"]
    assert second.walked == 2 * KNOWN_IN_A_ROW + 1


def test_a_video_that_stands_twice_is_one(site: Site, store: Store) -> None:
    """A feed that names an entry twice gives one row.

    Guards against a catalogue that is refused because a key stands twice.
    """
    put(site, "one", [*entries(1, 3), *entries(2, 3)])
    assert len(list_channel(feed_channel(site, "one"), store, NIGHT).videos) == 3


def test_what_the_source_corrects_is_taken_over(site: Site, store: Store) -> None:
    """A new title or length holds; one that is no longer stated does not erase the old.

    Guards against rules that decide by the title of years ago.
    """
    channel = feed_channel(site, "one")
    put(site, "one", [Entry("a", "Waltz?", duration_s=None), Entry("b", "Étude", 100)])
    list_channel(channel, store, NIGHT)
    put(site, "one", [Entry("a", "Waltz", duration_s=200), Entry("b", "Étude", None)])
    rows = list_channel(channel, store, NIGHT + DAY).videos
    assert {row.title: row.duration_s for row in rows} == {"Étude": 100.0, "Waltz": 200.0}


def test_the_first_stated_day_holds(site: Site, store: Store) -> None:
    """The day by which a rule decides is the one that was stated first.

    Guards against `3 days ago` that becomes `2 years ago` and leaves out what was taken.
    """
    put(site, "one", [Entry("a", published="Tue, 05 May 2026 20:00:00 GMT"), Entry("b")])
    channel = feed_channel(site, "one", rules={"uploaded_from": "2026-01-01"})
    listing = list_channel(channel, store, NIGHT)
    assert listing.decisions == {"taken": 1, "date_not_stated": 1}
    put(site, "one", [Entry("a", published="Sun, 05 May 2024 20:00:00 GMT"), Entry("b")])
    rows = list_channel(channel, store, NIGHT + DAY).videos
    assert [str(row.uploaded_on) for row in rows] == ["None", "2026-05-05"]


def test_a_broken_line_costs_one_channel(site: Site, store: Store) -> None:
    """What cannot be read of one channel is told, with its line; the others go on.

    Guards against an edited file that stops discovery for weeks.
    """
    channels = [feed_channel(site, name) for name in ("one", "two")]
    put(site, "one", entries(1, 2))
    put(site, "two", entries(3, 4))
    whole_round(channels, store)
    store.path("youtube_piano_cache/channels/one.jsonl").write_text("{\n", encoding="utf-8")
    found = whole_round(channels, store)
    assert [(each.channel_id, each.reason) for each in found.failures] == [
        ("one", "rows_unreadable")
    ]
    assert "line 1" in found.failures[0].detail
    assert [row.channel_id for row in found.new_recordings] == ["two"] * 2
    with pytest.raises(SetupError, match=r"one\.jsonl"):
        catalogue_of(channels, store)


def test_a_clock_that_was_set_back_does_not_put_off_the_sweep() -> None:
    """Rows from the future make a sweep due.

    Guards against a machine that ran with next year's date for an hour and then misses every
    removal for a year.
    """
    video = youtube_video("abcdefghijk")
    rows = remembered(made_channel("one"), [], Walk((video,), "at_the_end"), NIGHT)
    assert not sweep_is_due(rows, NIGHT + SWEEP_EVERY / 2)
    assert sweep_is_due(rows, NIGHT + SWEEP_EVERY)
    assert sweep_is_due(rows, NIGHT - timedelta(seconds=1))


def test_a_live_stream_is_taken_once_it_has_a_length() -> None:
    """A video that YouTube lists without a length is pending, and taken when it has one.

    Guards against a première that is refused for ever, and against one fetched before it is out.
    """
    channel = made_channel("one")
    announced = youtube_video("abcdefghijk", duration_s=None, live_status="is_upcoming")
    rows = remembered(channel, [], Walk((announced,), "at_the_end"), NIGHT)
    assert [(row.decision, row.reason) for row in rows] == [("pending", "is_upcoming")]
    assert not first_listed([channel], {"one": rows})[0].is_collectable
    out = Walk((youtube_video("abcdefghijk"),), "at_the_known")
    rows = remembered(channel, rows, out, NIGHT + DAY)
    assert [(row.decision, row.reason) for row in rows] == [("taken", None)]
    assert first_listed([channel], {"one": rows})[0].first_seen_at == NIGHT


def test_a_channel_is_verified_by_its_name_and_its_newest_videos(site: Site, store: Store) -> None:
    """The line tells the name and what the rules take; another name or no channel is an error.

    Guards against a handle that is somebody else's, and against rules that take nothing.
    """
    put(site, "rousseau", [Entry("a"), Entry("b", "A Lesson"), Entry("c", duration_s=20)])
    rules = {"title_excludes": ["lesson"]}
    channel = feed_channel(site, "rousseau", name="Rousseau (Piano)", rules=rules)
    said = verify_channel(channel)
    assert "“rousseau”; of 3 videos 1 taken" in said
    assert "1 title_excluded" in said
    with pytest.raises(ListingError, match=r"calls itself “rousseau”, not “Somebody”"):
        verify_channel(channel.model_copy(update={"name": "Somebody"}))
    with pytest.raises(ListingError, match="404"):
        verify_channel(feed_channel(site, "nobody"))
    put(site, "empty", [])
    with pytest.raises(ListingError, match="lists no videos"):
        verify_channel(feed_channel(site, "empty"))
    assert read_channel_videos(store, "rousseau") == []


def test_rows_of_segments_take_what_recordings_have() -> None:
    """Whatever a segment's row says of its video stands in the recording's row.

    Guards against metadata that cannot be made because a field has no source.
    """
    own = set(YouTubeSegmentRow.__annotations__)
    assert own <= set(YouTubeRecording.model_fields)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"visited": 3}', '{"seen": []}', "null"])
def test_a_cursor_of_another_form_begins_anew(text: str | None) -> None:
    """Whatever stands in the cursor, a round begins.

    Guards against a sensor that fails at every tick because of an old cursor.
    """
    assert Cursor.read(text) == Cursor()


@given(
    names=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True),
    steps=st.lists(st.integers(0, 4), min_size=1, max_size=12),
)
def test_every_channel_has_its_turn_once_a_round(names: list[str], steps: list[int]) -> None:
    """However many channels each call manages, none is visited twice before all were once.

    Guards against a channel that is starved by those before it.
    """
    channels = [made_channel(name) for name in names]
    cursor, now = Cursor(), NIGHT
    visited: list[str] = []
    for step in steps:
        cursor = Cursor.read(cursor.model_dump_json()).at(now, channels)
        for channel in cursor.left(channels)[:step]:
            cursor = cursor.past(channel)
            visited.append(channel.id)
        now += ROUND_EVERY
    times = Counter(visited)
    assert max(times.values(), default=0) - min(times[name] for name in names) <= 1


VIDEO_IDS = st.lists(st.sampled_from([f"id_{number:08d}" for number in range(8)]), unique=True)
WALKS = st.lists(st.tuples(VIDEO_IDS, st.sampled_from(["at_the_end", "at_the_known"])), max_size=8)


@given(WALKS)
def test_no_row_ever_moves_or_goes_away(walks: list[tuple[list[str], str]]) -> None:
    """After any walks: rows keep their order and dates, and only a whole walk unlists.

    Guards against a catalogue whose order, and with it the nights' work, changes by the weather.
    """
    channel = made_channel("one")
    rows: list[ChannelVideo] = []
    catalogue: list[YouTubeRecording] = []
    listed: set[str] = set()
    for night, (ids, ended) in enumerate(walks):
        before, recorded = rows, catalogue
        walk = Walk(tuple(youtube_video(id_) for id_ in ids), ended)  # type: ignore[arg-type]
        rows = remembered(channel, rows, walk, NIGHT + night * DAY)
        there = {f"yt_{id_}" for id_ in ids}
        listed = there if ended == "at_the_end" else listed | there
        assert [(row.recording_id, row.first_seen_at) for row in rows][: len(before)] == [
            (row.recording_id, row.first_seen_at) for row in before
        ]
        assert {row.recording_id for row in rows if row.listed} == listed
        catalogue = recordings_of([channel], {"one": rows}, catalogue)
        assert [row.recording_id for row in catalogue][: len(recorded)] == [
            row.recording_id for row in recorded
        ]
        assert listed <= {row.recording_id for row in catalogue}


def test_rows_are_read_as_they_were_written(site: Site, store: Store) -> None:
    """The catalogue's rows survive their file, titles of any kind included.

    Guards against rows that are refused by the next reader.
    """
    put(site, "one", [Entry("a", "練習曲 “Étude” <b> & \u2028 🎹")])
    channel = feed_channel(site, "one")
    list_channel(channel, store, NIGHT)
    rows = catalogue_of([channel], store).recordings
    write_rows(store, RECORDINGS, rows)
    assert read_rows(store, RECORDINGS, YouTubeRecording) == list(rows)
