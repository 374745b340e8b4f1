"""A listing as a whole: duplicates, hints, rounds that were not reached."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from data_collection.competition.editions import Edition, Round
from data_collection.competition.matching import ListingEntry, MatchedListing, match_listing
from data_collection.competition.roster import Competitor
from data_collection.competition.sources.specs import RosterSource

EDITION = Edition(
    id="made_2031",
    name="Made Piano Competition",
    year=2031,
    rounds=(
        Round(id="first", title_words=("first round",), one_video_per_performer=True),
        Round(id="second", title_words=("second round",)),
    ),
    playlists={"first": "https://example.org/first"},
    results=(RosterSource(source="roster", path="roster.csv"),),
)
ROSTER = (
    Competitor(performer="Anna Żelazna", country="Poland", reached_stage="second"),
    Competitor(performer="Tomas (Li) Ortega", country="Spain", reached_stage="first"),
)


def entry(
    number: int,
    title: str,
    *,
    hint: str | None = None,
    duration_s: float | None = 1800.0,
    source_id: str | None = None,
) -> ListingEntry:
    name = source_id or f"video{number}"
    return ListingEntry(
        f"rec{number}", name, f"https://example.org/{name}", title, duration_s, hint
    )


def match(*entries: ListingEntry) -> MatchedListing:
    return match_listing(entries, EDITION, ROSTER)


def test_every_recording_comes_out_once_and_in_order() -> None:
    """Nothing is dropped silently and the order is the listing's."""
    result = match(
        entry(1, "TOMAS ORTEGA – first round"),
        entry(2, "Interview with Anna Żelazna"),
        entry(3, "Anna Żelazna – second round"),
        entry(4, "Somebody Else – first round"),
    )
    assert [m.entry.recording_id for m in result.matched] == ["rec1", "rec3"]
    assert [u.recording_id for u in result.unmatched] == ["rec2", "rec4"]
    assert [u.reason for u in result.unmatched] == ["guard_word", "no_performer"]


def test_unmatched_rows_carry_three_candidates() -> None:
    """A person resolving a row sees whom it may mean, even where the parser found nobody."""
    (row,) = match(entry(1, "Anna Z. Zelaznowska – first round")).unmatched
    assert row.candidates[0][0] == "Anna Żelazna"
    assert 0 < row.candidates[0][1] <= 100
    assert json.loads(json.dumps(row.as_dict()))["candidates"][0]["performer"] == "Anna Żelazna"


def test_one_video_in_two_listings_is_one_recording() -> None:
    """A video in a playlist and in the channel takes the playlist's hint and counts once."""
    result = match(
        entry(1, "Anna Żelazna", duration_s=None),
        entry(1, "Anna Żelazna", hint="second"),
    )
    (matched,) = result.matched
    assert (matched.match.round_id, matched.entry.duration_s) == ("second", 1800.0)
    assert not result.unmatched


def test_equal_file_names_are_two_recordings() -> None:
    """Two files `final.mp3` of two folders share yt-dlp's id, not ours; guards a lost pianist."""
    result = match(
        entry(1, "Anna Żelazna – first round", source_id="final"),
        entry(2, "Anna Żelazna – second round", source_id="final"),
    )
    assert [row.match.round_id for row in result.matched] == ["first", "second"]


def test_conflicting_hints_match_nothing() -> None:
    """Two playlists that disagree are a person's to resolve, whatever the title says."""
    title = "Anna Żelazna – first round"
    (row,) = match(entry(1, title, hint="first"), entry(1, title, hint="second")).unmatched
    assert row.reason == "conflicting_hints"


@pytest.mark.parametrize(
    ("titles", "durations", "kept"),
    [
        (("Anna Zelazn – first round", "Anna Żelazna – first round"), (1800, 60), 2),
        (("Anna Żelazna – first round", "Żelazna Anna (first round)"), (60, 1800), 2),
        (("Anna Żelazna – first round", "Żelazna Anna (first round)"), (60, 60), 1),
    ],
)
def test_one_video_per_performer_keeps_the_best(
    titles: tuple[str, str], durations: tuple[int, int], kept: int
) -> None:
    """The score decides, then the length, then the order; the other points to it."""
    pair = zip(titles, durations, strict=True)
    result = match(*(entry(i, t, duration_s=d) for i, (t, d) in enumerate(pair, start=1)))
    assert [m.entry.recording_id for m in result.matched] == [f"rec{kept}"]
    (row,) = result.unmatched
    assert (row.reason, row.duplicate_of) == ("duplicate_of", f"rec{kept}")


def test_a_round_may_have_several_videos() -> None:
    """Where an edition films piece by piece, all of a performer's videos are kept."""
    result = match(
        entry(1, "Anna Żelazna – Etude in C minor, Op. 10 No. 12 (second round)"),
        entry(2, "Anna Żelazna – Ballade No. 1 (second round)"),
    )
    assert [m.match.piece for m in result.matched] == [
        "Etude in C minor, Op. 10 No. 12",
        "Ballade No. 1",
    ]


def test_a_round_beyond_the_one_reached_is_not_matched() -> None:
    """A final of somebody who left in the first round is an error somewhere: never a label."""
    (row,) = match(entry(1, "Tomas Ortega – second round")).unmatched
    assert row.reason == "beyond_reached_stage"
    assert row.candidates[0][0] == "Tomas (Li) Ortega"


def test_a_round_that_was_not_played_is_not_matched() -> None:
    """Who was admitted and withdrew has no recording of that round: another one is mislabelled."""
    withdrew = Competitor(
        performer="Ida Moreau", reached_stage="second", stages_performed=("first",)
    )
    result = match_listing(
        [entry(1, "Ida Moreau – first round"), entry(2, "Ida Moreau – second round")],
        EDITION,
        (*ROSTER, withdrew),
    )
    assert [row.entry.recording_id for row in result.matched] == ["rec1"]
    (row,) = result.unmatched
    assert (row.reason, row.candidates[0][0]) == ("did_not_play", "Ida Moreau")


@pytest.mark.parametrize(
    "title",
    [
        "First round – session 2 – Anna Żelazna, Tomas Ortega",
        "Sesja poranna: Anna Żelazna i inni, first round",
        "Second round: Anna Żelazna, Tomas Li Ortega, Ida Moreau",
    ],
)
def test_a_session_says_so_and_names_its_people(title: str) -> None:
    """A part of a day is cut up elsewhere, which needs its reason and everyone it names."""
    people = (*ROSTER, Competitor(performer="Ida Moreau", reached_stage="second"))
    (row,) = match_listing([entry(1, title)], EDITION, people).unmatched
    assert row.reason == "session"
    named = {c.performer for c in people if c.performer.split()[-1] in title}
    assert named <= {name for name, _ in row.candidates}


def test_an_unknown_hint_is_the_callers_error() -> None:
    """A hint that is no round cannot come from a valid edition and is not swallowed."""
    with pytest.raises(ValueError, match="no round"):
        match(entry(1, "Anna Żelazna", hint="third"))


def test_a_video_that_is_gone_gives_way_to_its_new_upload() -> None:
    """What is no longer listed is a second choice, however long it was; guards a dead source."""
    gone = replace(entry(1, "Anna Żelazna – first round", duration_s=2000.0), listed=False)
    result = match(entry(2, "Anna Żelazna – first round", duration_s=1990.0), gone)
    assert [row.entry.recording_id for row in result.matched] == ["rec2"]
    assert [(row.reason, row.duplicate_of) for row in result.unmatched] == [
        ("duplicate_of", "rec2")
    ]
