"""The file of channels: what it may say, and errors that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_collection.youtube.channels import ChannelsError, read_channels
from data_collection_tests.youtube.made_channels import made_channel

ONE = "id: one, url: 'https://www.youtube.com/@One', name: One, category: pianist"
TWO = "id: two, url: 'https://www.youtube.com/@Two', name: Two, category: pianist"


def written(folder: Path, *channels: str, defaults: str = "{}") -> Path:
    """A file of these channels, each in YAML's short form."""
    path = folder / "channels.yaml"
    lines = "".join(f"  - {{{channel}}}\n" for channel in channels)
    path.write_text(f"defaults: {defaults}\nchannels:\n{lines}", encoding="utf-8")
    return path


def test_the_bundled_channels_are_usable() -> None:
    """20 to 30 channels, each told of; none claims to have been asked.

    Guards against a bundled file that its own reader refuses, and against made-up assurance.
    """
    channels = read_channels()
    assert 20 <= len(channels) <= 30
    assert all(channel.note and channel.licence_note for channel in channels)
    assert not any(channel.verified for channel in channels)
    assert sum(channel.category == "pianist" for channel in channels) >= 10
    assert {"concerto", "lesson"} <= set(channels[0].rules.title_excludes)


def test_no_bundled_channel_is_another_tiers() -> None:
    """The channels of the competitions that other tiers collect are not among them.

    Guards against one performance in two tiers, and so in training and test.
    """
    addresses = " ".join(channel.url for channel in read_channels()).casefold()
    for other in ("chopininstitute", "ucstxol20q01uj-u5yp3iqfg", "cliburn", "e-competition"):
        assert other not in addresses


def test_defaults_hold_where_a_channel_says_nothing(tmp_path: Path) -> None:
    """A channel's lists are added to the defaults', its values hold instead of them.

    Guards against a channel that names one more word and loses all the shared ones.
    """
    path = written(
        tmp_path,
        ONE,
        TWO
        + ", nightly_budget: 3, rules: {title_excludes: [jazz], max_duration_s: 900, live: true}",
        defaults="{nightly_budget: 7, licence_note: ours, "
        "rules: {title_excludes: [lesson], min_duration_s: 60, max_duration_s: 600}}",
    )
    one, two = read_channels(path)
    assert (one.nightly_budget, one.licence_note, one.rules.max_duration_s) == (7, "ours", 600)
    assert two.nightly_budget == 3
    assert two.rules.title_excludes == ("lesson", "jazz")
    assert (two.rules.min_duration_s, two.rules.max_duration_s) == (60, 900)
    assert (one.rules.live, two.rules.live) == (False, True)


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ((ONE, ONE.replace("@One", "@Other")), "channel one: id: two channels have it"),
        ((ONE, TWO.replace("@Two", "@one")), "channel two: url: .* is that of one"),
        ((ONE, TWO.replace("www.youtube.com/@Two", "m.youtube.com/@ONE/")), "is that of one"),
        ((ONE, TWO.replace("id: two", "id: Two Words")), "channel Two Words: id"),
        ((ONE, TWO.replace("id: two", "id: 2")), "channel number 2: id"),
        ((ONE, TWO.replace("category: pianist", "category: jazz")), "channel two: category"),
        ((ONE + ", nightly_budget: -1",), "channel one: nightly_budget"),
        ((ONE + ", nightly_budget: many",), "channel one: nightly_budget"),
        ((ONE + ", licence_note: ''",), "channel one: licence_note"),
        ((ONE + ", rules: {min_duration: 3}",), r"channel one: rules\.min_duration: "),
        ((ONE + ", rules: {uploaded_from: soon}",), r"channel one: rules\.uploaded_from: "),
        ((ONE + ", rules: {title_excludes: [a, '!']}",), r"rules\.title_excludes\.1: .*no word"),
        ((ONE + ", rules: {title_excludes: lesson}",), r"channel one: rules\.title_excludes: "),
        ((ONE + ", rules:",), "channel one: rules: "),
        ((ONE + ", verified: perhaps",), "channel one: verified"),
        ((ONE + ", speed: 3",), "channel one: speed"),
        ((ONE + ", name: Other",), "name stands twice"),
        ((ONE.replace(", name: One", ""),), "channel one: name: Field required"),
        (("a", ONE), "channel number 1: id: "),
    ],
)
def test_an_error_names_the_channel_and_the_field(
    tmp_path: Path, channels: tuple[str, ...], said: str
) -> None:
    """Every mistake is told with file, channel and field; channels that stand twice are refused.

    Guards against a night without discovery that nobody can explain.
    """
    path = written(tmp_path, *channels)
    with pytest.raises(ChannelsError, match=said) as caught:
        read_channels(path)
    assert str(path) in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Two wrong channels are both named.

    Guards against mending a file of 30 channels one run at a time.
    """
    path = written(tmp_path, ONE + ", nightly_budget: x", TWO + ", paused: x")
    with pytest.raises(ChannelsError, match=r"channel one: nightly_budget.*channel two: paused"):
        read_channels(path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://www.youtube.com/watch?v=abcdefghijk", "is no channel"),
        ("https://youtu.be/abcdefghijk", "is no channel"),
        ("https://www.youtube.com/", "is no channel"),
        ("https://www.youtube.com/@One/videos", "one tab of a channel"),
        ("https://www.youtube.com/playlist?list=PLabc", "newest_first"),
        ("www.youtube.com/@One", "no web address"),
        ("file:///etc/passwd", "no web address"),
        ("@One", "no web address"),
    ],
)
def test_an_address_that_lists_no_channel_is_refused(tmp_path: Path, url: str, said: str) -> None:
    """A video, a tab or a bare handle is told for what it is.

    Guards against a channel of one video, and one whose streams are silently never seen.
    """
    path = written(tmp_path, ONE.replace("https://www.youtube.com/@One", url))
    with pytest.raises(ChannelsError, match=f"channel one: .*{said}"):
        read_channels(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "expected `channels:`"),
        ("- a", "expected `channels:`"),
        ("channels: []", "at least one channel"),
        ("channels: {a: b}", "at least one channel"),
        ("channels: [", "not YAML"),
        ("chanels: []", "chanels: no such field"),
        ("defaults: {rules: {live: x}}\nchannels: [{}]", r"defaults: rules\.live"),
        ("defaults: 3\nchannels: [{}]", "defaults: "),
        ("channels: [{id: a, seen: 2021-02-31}]", "not YAML"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str | bytes, said: str) -> None:
    """Whatever the file holds, the error names it and what is wrong.

    Guards against a traceback where a person needs a line to mend.
    """
    path = tmp_path / "channels.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ChannelsError, match=said):
        read_channels(path)


def test_a_missing_file_says_which_setting_names_it(tmp_path: Path) -> None:
    """No file: the setting is named.

    Guards against a mistyped path that a person cannot trace.
    """
    with pytest.raises(ChannelsError, match="YOUTUBE_CHANNELS"):
        read_channels(tmp_path / "none.yaml")


def test_a_default_that_contradicts_a_channel_is_told(tmp_path: Path) -> None:
    """Bounds that only together hold nothing are refused with the channel's name.

    Guards against a channel that never takes a video, each half of the reason in another place.
    """
    path = written(
        tmp_path, ONE + ", rules: {max_duration_s: 30}", defaults="{rules: {min_duration_s: 60}}"
    )
    with pytest.raises(ChannelsError, match=r"channel one: .*no video is taken"):
        read_channels(path)


def test_a_channel_is_listed_by_the_tabs_that_its_rules_take() -> None:
    """Videos always; streams and shorts where they may be taken; anything else by its own address.

    Guards against walking a thousand shorts to leave them all out, and against stopping at a known
    video before the second tab.
    """
    at = "https://www.youtube.com/@one"
    assert made_channel("one").listings == (f"{at}/videos",)
    both = made_channel(
        "one", url="https://m.youtube.com/@one/", rules={"live": True, "shorts": True}
    )
    assert both.listings == (f"{at}/videos", f"{at}/streams", f"{at}/shorts")
    playlist = "https://www.youtube.com/playlist?list=PLabc"
    assert made_channel("one", url=playlist, newest_first=False).listings == (playlist,)
    feed = "https://example.org/channel.rss"
    assert made_channel("one", url=feed).listings == (feed,)


def test_ids_of_channels_at_youtube_keep_their_case() -> None:
    """Two `UC…` ids that differ in case are two channels; two handles are one.

    Guards against refusing a channel because another's id looks like it.
    """
    ids = ("UCabcdefghijklmnopqrstuv", "UCabcdefghijklmnopqrstuV")
    first, second = (
        made_channel("one", url=f"https://www.youtube.com/channel/{id_}").identity for id_ in ids
    )
    assert first != second
    assert made_channel("ONE".lower(), url="https://youtube.com/@ONE").identity == (
        made_channel("one").identity
    )
