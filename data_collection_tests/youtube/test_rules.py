"""Which videos are taken: words of any script, lengths, dates, shorts, and what is not out yet."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_collection.youtube.channels import read_channels
from data_collection.youtube.rules import (
    LeftOut,
    ListedFacts,
    Pending,
    Rules,
    Taken,
    decide,
    is_shorts_address,
    is_youtube,
    words_of,
)

WATCH = "https://www.youtube.com/watch?v=abcdefghijk"
SHORT = "https://www.youtube.com/shorts/abcdefghijk"
FEED_FILE = "https://example.org/media/nocturne.mp3"
LETTERS = st.characters(categories=("L", "N"), max_codepoint=0x24F)
WORDS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda text: len(words_of(text)) == 1)


def reason_of(rules: Rules, **said: Any) -> str | None:
    """Why a video is not taken; None where it is."""
    video = ListedFacts(**{"title": "Nocturne", "url": WATCH, "duration_s": 240.0, **said})
    decision = decide(video, rules)
    return None if isinstance(decision, Taken) else decision.reason


@pytest.mark.parametrize(
    ("phrase", "title"),
    [
        ("etude", "Chopin – ÉTUDE op. 25"),
        ("étude", "Etude No. 3"),
        ("Etude", unicodedata.normalize("NFD", "Étude")),
        ("orchestra", "Bach: Concerto per pianoforte e l’orchestra"),
        ("piano concerto", "PIANO-CONCERTO No. 2"),
        ("q&a", "Live Q & A with everybody"),
        ("ząbek", "ZABEK plays"),
        ("Łódź", "Recital in Lodz"),
        ("straße", "STRASSE"),
        ("интервью", "Большое ИНТЕРВЬЮ"),
        ("συνέντευξη", "ΣΥΝΕΝΤΕΥΞΗ"),
        ("協奏曲", "ラフマニノフ:ピアノ協奏曲第2番"),
        ("ピアノ", "ﾋﾟｱﾉ練習"),
        ("협주곡", "피아노협주곡"),
        ("पियानो", "मेरा पियानो"),
        ("piano", "𝐏𝐢𝐚𝐧𝐨 cover"),
        ("lesson", "#lesson: scales"),
    ],
)
def test_a_word_is_found_as_a_word(phrase: str, title: str) -> None:
    """Case, accents, letter forms and scripts without spaces hide no word.

    Guards against rules that work for English titles only.
    """
    assert reason_of(Rules(title_excludes=(phrase,)), title=title) == "title_excluded"
    assert reason_of(Rules(title_includes=(phrase,)), title=title) is None


@pytest.mark.parametrize(
    ("phrase", "title"),
    [
        ("duo", "Duomo recital"),
        ("trio", "Patriotic march"),
        ("organ", "Organic motion"),
        ("talk", "Stalker theme"),
        ("op", "Opus"),
        ("10 hours", "10 minutes, 2 hours"),
        ("how to play", "how I play"),
        ("ヒアノ", "ピアノ"),
        ("कि", "का"),
    ],
)
def test_a_part_of_a_word_is_no_word(phrase: str, title: str) -> None:
    """A phrase is found as whole words, one after the other.

    Guards against `organ` that loses every `Organic`.
    """
    assert reason_of(Rules(title_excludes=(phrase,)), title=title) is None
    assert reason_of(Rules(title_includes=(phrase,)), title=title) == "title_not_included"


@given(st.lists(WORDS, max_size=4), st.lists(WORDS, min_size=1, max_size=3), st.lists(WORDS))
def test_a_phrase_is_found_wherever_it_stands(
    before: list[str], phrase: list[str], after: list[str]
) -> None:
    """Whatever stands around it, in whatever case, a phrase is found.

    Guards against phrases that are missed at a title's beginning or end.
    """
    title = " – ".join([*before, " ".join(phrase), *after])
    rules = Rules(title_excludes=(", ".join(phrase),))
    assert reason_of(rules, title=title) == "title_excluded"
    assert reason_of(rules, title=unicodedata.normalize("NFD", title)) == "title_excluded"


@given(st.text(max_size=80))
def test_any_title_has_words(title: str) -> None:
    """Folding words again changes nothing, and no text breaks it.

    Guards against a title of control characters or half an emoji that stops a channel.
    """
    words = words_of(title)
    assert all(words)
    assert words_of(" ".join(words)) == words


def test_an_exception_covers_only_its_own_words() -> None:
    """`Italian Concerto` is taken though concertos are not, and a concerto beside it is not.

    Guards against losing solo works that are called concerto, and against a title that names one
    of them and a real one.
    """
    rules = Rules(title_excludes=("concerto",), title_exceptions=("Italian Concerto",))
    assert reason_of(rules, title="Bach: ITALIAN CONCERTO, BWV 971") is None
    assert reason_of(rules, title="Concerto No. 1") == "title_excluded"
    assert reason_of(rules, title="Italian Concerto & Concerto No. 1") == "title_excluded"


@pytest.mark.parametrize("live_status", ["is_upcoming", "is_live", "post_live"])
def test_what_is_not_out_yet_is_pending(live_status: str) -> None:
    """Premières and live streams wait, whatever the rules; afterwards the rules decide.

    Guards against refusing a première for ever because it had no length when it was seen.
    """
    rules = Rules(title_excludes=("nocturne",), min_duration_s=60)
    video = ListedFacts("Nocturne", WATCH, duration_s=None, live_status=live_status)
    decision = decide(video, rules)
    assert isinstance(decision, Pending)
    assert decision.reason == live_status
    assert reason_of(rules, title="Waltz", live_status=None) is None


def test_a_video_without_a_length_is_pending_at_youtube_only() -> None:
    """YouTube states no length of what is live or announced; a feed need not state any.

    Guards against a running live stream in the night's batch, and against a feed without lengths
    that is never taken.
    """
    assert reason_of(Rules(), duration_s=None) == "length_not_stated"
    assert reason_of(Rules(min_duration_s=60), duration_s=None, url=FEED_FILE) is None


def test_recordings_of_live_streams_follow_the_rule() -> None:
    """A stream that is over is taken where the rules say so.

    Guards against taking hours of a stream's waiting screen, and against losing recitals that
    were streamed.
    """
    assert reason_of(Rules(live=False), live_status="was_live") == "live_recording"
    assert reason_of(Rules(live=True), live_status="was_live") is None


def test_shorts_are_known_by_address_hashtag_or_length() -> None:
    """All three tell a short; where shorts are taken, none of them matters.

    Guards against the shorts of 180 s, which no length tells.
    """
    for said in (
        {"url": SHORT, "duration_s": None},
        {"url": SHORT, "duration_s": 170.0},
        {"title": "Nocturne #Shorts"},
        {"duration_s": 60.0},
    ):
        assert reason_of(Rules(), **said) == "short"
        assert reason_of(Rules(shorts=True), **said) is None
    assert reason_of(Rules(), duration_s=61.0) is None
    assert reason_of(Rules(), title="In short: no shorts") is None


def test_lengths_are_bounds_that_are_taken() -> None:
    """Both bounds belong to what is taken.

    Guards against losing what has exactly the stated length.
    """
    rules = Rules(min_duration_s=90, max_duration_s=600)
    said = {length: reason_of(rules, duration_s=length) for length in (89.0, 90.0, 600.0, 601.0)}
    assert list(said.values()) == ["too_short", None, None, "too_long"]


def test_dates_are_bounds_that_are_taken_and_unknown_ones_wait() -> None:
    """Both days belong to what is taken; without a stated day the video is pending.

    Guards against a rule that asks for a date and is passed by every video that has none.
    """
    rules = Rules(uploaded_from=date(2015, 1, 1), uploaded_to=date(2015, 12, 31))
    days = (date(2014, 12, 31), date(2015, 1, 1), date(2015, 12, 31), date(2016, 1, 1), None)
    assert [reason_of(rules, uploaded_on=day) for day in days] == [
        "too_old",
        None,
        None,
        "too_new",
        "date_not_stated",
    ]
    assert reason_of(Rules(), uploaded_on=None) is None


def test_what_guests_do_not_get_is_left_out() -> None:
    """Members' videos are not taken, also while they are live.

    Guards against an attempt a night that can never succeed.
    """
    said = {"availability": "subscriber_only", "live_status": "is_live", "duration_s": None}
    assert reason_of(Rules(), **said) == "not_for_guests"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"title_excludes": ["—"]}, "holds no word"),
        ({"title_includes": [""]}, "holds no word"),
        ({"min_duration_s": 600, "max_duration_s": 60}, "no video is taken"),
        ({"uploaded_from": "2020-01-02", "uploaded_to": "2020-01-01"}, "no video is taken"),
        ({"min_duration_s": float("nan")}, "finite"),
        ({"min_duration_s": -1}, "greater"),
        ({"titel_excludes": ["x"]}, "titel_excludes"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(fields: dict[str, Any], said: str) -> None:
    """A rule that no video or every video fulfils by mistake is an error.

    Guards against a typing error that empties a channel or lets everything in.
    """
    with pytest.raises(ValidationError, match=said):
        Rules.model_validate(fields)


@pytest.mark.parametrize(
    ("url", "is_it", "short"),
    [
        (WATCH, True, False),
        (SHORT, True, True),
        ("https://m.youtube.com/shorts/abc", True, True),
        ("https://youtu.be/abc", True, False),
        ("https://notyoutube.com/shorts/abc", False, False),
        ("https://youtube.com.example.org/shorts/abc", False, False),
    ],
)
def test_youtube_is_told_by_its_host(url: str, is_it: bool, short: bool) -> None:
    """A host that only looks like YouTube's is not.

    Guards against YouTube's rules for a feed of another site.
    """
    assert (is_youtube(url), is_shorts_address(url)) == (is_it, short)


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("Chopin - Ballade No. 1 in G Minor", None),
        ("Liszt – La Campanella (Grandes études de Paganini No. 3)", None),
        ("J.S. Bach: Italian Concerto in F major, BWV 971", None),
        ("Schumann: Concerto without Orchestra, Op. 14", None),
        (
            "Beethoven: Sonata No. 29, Op. 106 'Hammerklavier' (live at the Berlin Philharmonie)",
            None,
        ),
        ("Debussy: Les sons et les parfums tournent dans l'air du soir", None),
        ("ショパン:幻想即興曲", None),
        ("Alkan: Concerto for Solo Piano, Op. 39", None),
        ("Rachmaninoff: Piano Concerto No. 2 in C minor", "title_excluded"),
        ("Brahms: Sonata for violin and piano", "title_excluded"),
        ("Schubert: Fantasie in f-Moll, vierhändig", "title_excluded"),
        ("How to play Für Elise | Piano Tutorial", "title_excluded"),
        ("Masterclass: Chopin's Barcarolle", "title_excluded"),
        ("ラフマニノフ:ピアノ協奏曲第2番", "title_excluded"),
        ("Interview with the jury", "title_excluded"),
    ],
)
def test_the_bundled_rules_know_a_solo_from_its_title(title: str, reason: str | None) -> None:
    """What most channels share leaves solo pieces in and concertos, chamber music and talk out.

    Guards against a word in the shared list that costs a part of the solo repertoire.
    """
    shared = next(channel for channel in read_channels() if channel.id == "rousseau").rules
    assert reason_of(shared, title=title) == reason


def test_a_reason_comes_with_words() -> None:
    """Whatever is not taken says why, naming what was found.

    Guards against a list of refusals that nobody can check.
    """
    decision = decide(ListedFacts("A Lesson", WATCH, 100.0), Rules(title_excludes=("lesson",)))
    assert decision == LeftOut("title_excluded", "its title holds “lesson”")
