"""Long videos of several pianists: whose part is whose, and all that must not be cut."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest

from data_collection.competition.catalogue import cut_sessions
from data_collection.competition.editions import Edition
from data_collection.competition.listing import ListedRow
from data_collection.competition.matching import match_listing
from data_collection.competition.roster import Competitor
from data_collection.competition.sessions import (
    CutSession,
    cut_session,
    match_parts,
    page_is_due,
)
from data_collection.partitions import check_partition_keys
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.video_page import VideoPage

SUFFIX = "18th Chopin Competition, Warsaw"
ROUNDS = [
    {"id": "stage1", "title_words": ["first", "I etap"]},
    {"id": "stage2", "title_words": ["second", "II etap"]},
    {"id": "final", "title_words": ["final", "finał"], "solo": False},
]
EDITION = Edition.model_validate(
    {
        "id": "made2021",
        "name": "XVIII International Fryderyk Chopin Piano Competition",
        "year": 2021,
        "rounds": ROUNDS,
        "channel": "http://127.0.0.1:1/channel.rss",
        "title_suffix": SUFFIX,
        "composer": "chopin",
        "results": [{"source": "roster", "path": "made2021.csv"}],
    }
)
NAMES = {
    "Hana Morikawa": "final",
    "Tomasz Wrzesień": "stage2",
    "Bruno (Xiaolin) Liu": "stage2",
    "Wei Chen": "stage1",
    "Xue Chen": "stage1",
}
ROSTER = (
    *(Competitor(performer=name, reached_stage=stage) for name, stage in NAMES.items()),
    Competitor(performer="Marek Sobol", reached_stage="stage2", stages_performed=("stage1",)),
)
THREE = """\
Pierwszy etap / First stage

10.00 – 10.25
HANA MORIKAWA (Japonia / Japan)
Etiuda C-dur / Etude in C major, Op. 10 No. 1 (4:10)
Ballada g-moll / Ballade in G minor, Op. 23 (6:31)

10.25 – 10.50
TOMASZ WRZESIEŃ (Polska / Poland)
Nokturn H-dur / Nocturne in B major, Op. 62 No. 1 (31:02)
Scherzo b-moll / Scherzo in B flat minor, Op. 31 (38:00)

10.50 – 11.15
Xue CHEN (Chiny / China)
Barkarola Fis-dur / Barcarolle in F sharp major, Op. 60 (1:02:07)
"""


def row(
    title: str = f"First round, session 1 ({SUFFIX})",
    description: str | None = THREE,
    *,
    hint: str | None = None,
    duration_s: float | None = 4600.0,
) -> ListedRow:
    return ListedRow(
        recording_id="yt_abcdefghijk",
        source_id="abcdefghijk",
        source_url="https://www.youtube.com/watch?v=abcdefghijk",
        title=title,
        duration_s=duration_s,
        round_hint=hint,
        page=VideoPage(description=description) if description else None,
    )


def people(cut: CutSession) -> list[tuple[str, str | None]]:
    return [(part.entry.recording_id, part.entry.round_hint) for part in cut.parts]


def test_each_pianist_of_a_session_is_a_part_of_their_own() -> None:
    """Parts start at a block's first stamp, end at the next block's, and know their programme.

    Guards against a wall clock taken for a time of the video, and against two Chens taken for one.
    """
    cut = cut_session(row(), EDITION, ROSTER)
    assert people(cut) == [
        ("yt_abcdefghijk_hana-morikawa", "stage1"),
        ("yt_abcdefghijk_tomasz-wrzesien", "stage1"),
        ("yt_abcdefghijk_xue-chen", "stage1"),
    ]
    assert [(part.start_s, part.end_s) for part in cut.parts] == [
        (250.0, 1862.0),
        (1862.0, 3727.0),
        (3727.0, 4600.0),
    ]
    first = cut.parts[0]
    assert first.cut_from == "yt_abcdefghijk"
    assert [(item.start_s, item.end_s) for item in first.items] == [(0.0, 141.0), (141.0, 1612.0)]
    assert [item.piece.work for item in first.items if item.piece] == ["op10-no1", "op23"]
    assert cut.refused == ()


@pytest.mark.parametrize(
    "title",
    [
        f"First round, session 1 ({SUFFIX})",
        f"Session 2 – first round ({SUFFIX})",
        f"First round – morning session, day 3 ({SUFFIX})",
        f"I etap, sesja poranna ({SUFFIX})",
        f"First round: Morikawa, Wrzesień, Chen ({SUFFIX})",
        f"HANA MORIKAWA, TOMASZ WRZESIEŃ, XUE CHEN – first round ({SUFFIX})",
    ],
)
def test_titles_of_sessions_are_read(title: str) -> None:
    """A session's number, day and people say nothing of the round; what is left must say it."""
    assert len(cut_session(row(title), EDITION, ROSTER).parts) == 3


@pytest.mark.parametrize(
    "title",
    [
        "First round, session 1 (17th Chopin Competition, Warsaw)",
        "First round, session 1 – Chopin Competition 2015",
        "First round, session 1 – Leeds International Piano Competition",
        f"First and second round, session 1 ({SUFFIX})",
        f"Winners' concert, session 1 ({SUFFIX})",
        f"Interviews, session 1 – first round ({SUFFIX})",
        f"Session 1 ({SUFFIX})",
    ],
)
def test_a_session_of_another_event_is_not_cut(title: str) -> None:
    """Another edition, another competition, no round or two: nothing is cut, and it is said why.

    Guards against a namesake of five years before who gets this year's place.
    """
    cut = cut_session(row(title), EDITION, ROSTER)
    assert cut.parts == ()
    assert cut.because
    assert {refusal.reason for refusal in cut.refused} == {"block_refused"}


def test_a_playlist_says_the_round_where_the_title_does_not() -> None:
    """In a round's playlist a session needs no round in its title; one that differs is out."""
    title = f"Session 1 ({SUFFIX})"
    assert len(cut_session(row(title, hint="stage1"), EDITION, ROSTER).parts) == 3
    assert cut_session(row(hint="stage2"), EDITION, ROSTER).parts == ()


def test_a_session_of_strangers_is_not_cut() -> None:
    """With most names not on the roster, the one that is has a namesake.

    Guards against one pianist cut out of another competition's day.
    """
    description = THREE.replace("TOMASZ WRZESIEŃ", "ADAM NOWAK").replace("Xue CHEN", "IGOR LEM")
    cut = cut_session(row(description=description), EDITION, ROSTER)
    assert cut.parts == ()
    assert "1 of 3 blocks" in cut.because
    assert sum("no_performer" in refusal.detail for refusal in cut.refused) == 2


def test_a_name_that_is_not_certain_costs_its_block_only() -> None:
    """A surname alone, shared by two, is nobody; the others are cut where they were."""
    cut = cut_session(row(description=THREE.replace("Xue CHEN", "CHEN Yu")), EDITION, ROSTER)
    assert [part.entry.recording_id[15:] for part in cut.parts] == [
        "hana-morikawa",
        "tomasz-wrzesien",
    ]
    assert [refusal.title for refusal in cut.refused] == ["CHEN Yu (Chiny / China)"]
    assert cut.refused[0].recording_id == "yt_abcdefghijk_line14"


def test_a_pianist_who_stands_twice_is_not_cut() -> None:
    """Two blocks of one name: one of them is somebody else's, so neither is taken."""
    cut = cut_session(row(description=THREE.replace("Xue CHEN", "Hana Morikawa")), EDITION, ROSTER)
    assert [part.entry.recording_id for part in cut.parts] == ["yt_abcdefghijk_tomasz-wrzesien"]
    assert [refusal.reason for refusal in cut.refused] == ["performer_twice"] * 2


@pytest.mark.parametrize(
    "description",
    [None, "Watch the session again!\n\nSubscribe: https://example.org", "10.00\n" * 9],
)
def test_without_blocks_nothing_is_cut(description: str | None) -> None:
    """No description, or one that says nothing of parts: no parts, with a reason."""
    cut = cut_session(row(description=description), EDITION, ROSTER)
    assert cut.parts == ()
    assert cut.because


def test_a_performance_with_its_own_video_is_not_taken_twice() -> None:
    """The pianist's own video is kept, the part points at it; so does the second of two sessions.

    Guards against one performance that counts as two.
    """
    own = row(f"HANA MORIKAWA – first round ({SUFFIX})", None).model_copy(
        update={"recording_id": "yt_ownvideo001", "source_id": "ownvideo001"}
    )
    whole = match_listing([own.entry()], EDITION, ROSTER)
    parts = cut_session(row(), EDITION, ROSTER).parts
    again = cut_session(
        row().model_copy(update={"recording_id": "yt_secondcopy1"}), EDITION, ROSTER
    ).parts
    matched = match_parts([*parts, *again], whole, EDITION, ROSTER)
    assert [(m.match.performer, m.match.round_id) for m in matched.matched] == [
        ("Tomasz Wrzesień", "stage1"),
        ("Xue Chen", "stage1"),
    ]
    assert [(u.recording_id, u.reason, u.duplicate_of) for u in matched.unmatched] == [
        ("yt_abcdefghijk_hana-morikawa", "duplicate_of", "yt_ownvideo001"),
        ("yt_secondcopy1_hana-morikawa", "duplicate_of", "yt_ownvideo001"),
        ("yt_secondcopy1_tomasz-wrzesien", "duplicate_of", "yt_abcdefghijk_tomasz-wrzesien"),
        ("yt_secondcopy1_xue-chen", "duplicate_of", "yt_abcdefghijk_xue-chen"),
    ]


def test_who_withdrew_has_no_part_of_that_round() -> None:
    """A block of somebody admitted who did not play is not used, nor one of a round not reached."""
    description = THREE.replace("HANA MORIKAWA", "MAREK SOBOL").replace("Xue CHEN", "Wei CHEN")
    title = f"Second round, session 1 ({SUFFIX})"
    parts = cut_session(row(title, description), EDITION, ROSTER).parts
    matched = match_parts(parts, match_listing([], EDITION, ROSTER), EDITION, ROSTER)
    assert [m.match.performer for m in matched.matched] == ["Tomasz Wrzesień"]
    assert [u.reason for u in matched.unmatched] == ["did_not_play", "beyond_reached_stage"]


def test_a_name_in_another_script_gives_an_id_that_a_file_may_have() -> None:
    """Its hash tells it, the same for every accent; guards an id that no partition may have."""
    roster = (*ROSTER, Competitor(performer="Пётр Звонарёв", reached_stage="stage1"))
    blocks = THREE.replace("HANA MORIKAWA", "Пётр Звонарёв")
    ids = [
        part.entry.recording_id
        for part in cut_session(row(description=blocks), EDITION, roster).parts
    ]
    check_partition_keys(ids)
    assert "yt_abcdefghijk_tomasz-wrzesien" in ids
    decomposed = unicodedata.normalize("NFD", blocks)
    again = cut_session(row(description=decomposed), EDITION, roster).parts
    assert [part.entry.recording_id for part in again] == ids
    assert len(ids) == 3


def test_a_page_is_asked_again_after_a_week() -> None:
    """One that was read this week is not, one without a description neither, nor one that is gone.

    Guards stamps that the channel corrected and nobody reads, and a page asked at every run.
    """
    now = datetime.now(UTC)
    bare = row(description=None)
    assert page_is_due(bare)
    assert not page_is_due(row()), "the listing has its description"
    for one in (bare, row()):
        assert not page_is_due(one.model_copy(update={"page_read_at": now - timedelta(days=6)}))
        old = one.model_copy(update={"page_read_at": now - timedelta(days=8)})
        assert page_is_due(old)
        assert not page_is_due(old.model_copy(update={"listed": False}))


def test_an_old_page_that_cannot_be_read_again_still_counts() -> None:
    """Its parts stay, and the next run asks again; guards parts that an outage takes."""
    gone = row().model_copy(
        update={
            "source_url": "http://127.0.0.1:9/nowhere",
            "page_read_at": datetime.now(UTC) - timedelta(days=30),
        }
    )
    whole = match_listing([gone.entry()], EDITION, ROSTER)
    found = cut_sessions(EDITION, ROSTER, [gone], whole, FetchOptions())
    assert len(found.parts) == 3
    assert found.unread == 1
    assert "3 parts cut" in found.outcome[gone.recording_id]
    assert "could not be read" in found.outcome[gone.recording_id]
    assert found.listing == [gone]
