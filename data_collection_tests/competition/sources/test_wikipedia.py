"""Wikitables in several layouts give the same facts; what is no result is passed over."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from data_collection.competition.editions import Round
from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.kept_answers import Page
from data_collection.competition.sources.people import same_person
from data_collection.competition.sources.statements import Statement, Words
from data_collection.competition.sources.wikipedia import read_wikipedia
from data_collection.competition.sources.wording import Stages
from data_collection_tests.competition.sources.wiki_pages import (
    LAYOUTS,
    PIANISTS,
    Pianist,
    _page,
    table_a_stage,
    without_tables,
)

ROUNDS = (
    Round(id="stage1", title_words=("first",)),
    Round(id="stage2", title_words=("second",)),
    Round(id="final", title_words=("final",)),
)


def _read(html: str, rounds: tuple[Round, ...] = ROUNDS) -> dict[str, Statement]:
    page = Page("http://wiki/x", 200, html.encode(), {}, datetime.now(UTC), "/kept/x.html")
    words = Words("wikipedia", Stages.of(rounds), {})
    return {statement.performer: statement for statement in read_wikipedia(page, words)}


def _of(pianist: Pianist, statements: dict[str, Statement]) -> Statement:
    found = [s for name, s in statements.items() if same_person(name, pianist.name)]
    assert len(found) == 1, (pianist.name, list(statements))
    return found[0]


def _table(header: str, *rows: str, heading: str = "Participants", tag: str = "h2") -> str:
    cells = "".join(f"<tr>{row}</tr>" for row in rows)
    return _page(
        f'<{tag}>{heading}</{tag}><table class="wikitable"><tbody><tr>{header}</tr>{cells}'
        "</tbody></table>"
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_facts(layout: str) -> None:
    """Stage, prize, tie, withdrawal and country of all nine; guards a reader of one page only."""
    statements = _read(LAYOUTS[layout]())
    assert len(statements) == len(PIANISTS)
    for pianist in PIANISTS:
        said = _of(pianist, statements)
        assert said.reached_stage == pianist.reached, pianist.name
        assert said.prize == pianist.prize, pianist.name
        assert said.withdrew == pianist.withdrew, pianist.name
        assert said.country == pianist.country, pianist.name
        assert "table" in said.where
        assert "row" in said.where


def test_one_who_withdrew_did_not_play_in_that_stage() -> None:
    """Admitted to stage 2, played in stage 1 only; guards a withdrawal taken for a defeat."""
    said = _read(table_a_stage())["Gus Wynn"]
    assert said.reached_stage == "stage2"
    assert said.stages_performed == ("stage1",)


def test_names_are_clean() -> None:
    """No footnote, flag, dagger or sort key is part of a name."""
    assert {name for html in LAYOUTS.values() for name in _read(html())} == {
        pianist.name for pianist in PIANISTS
    }


@pytest.mark.parametrize(
    "cells",
    [
        "<td>2nd (ex aequo)</td><td>Ann Ash</td>|<td>2nd (ex aequo)</td><td>Bo Birch</td>",
        '<td rowspan="2">II</td><td>Ann Ash</td>|<td>Bo Birch</td>',
        "<td>2=</td><td>Ann Ash</td>|<td>=2</td><td>Bo Birch</td>",
        "<td>Second prize (shared)</td><td>Ann Ash<br>Bo Birch</td>",
        "<td>Silver</td><td>Ann Ash and Bo Birch</td>",
        "<td>2</td><td><ul><li>Ann Ash</li><li>Bo Birch</li></ul></td>",
    ],
)
def test_a_tie_is_a_tie_however_it_is_written(cells: str) -> None:
    """Two second prizes, by span, sign, words or lines; guards one of the two going without."""
    said = _read(_table("<th>Place</th><th>Pianist</th>", *cells.split("|")))
    assert {name: s.prize for name, s in said.items()} == {"Ann Ash": 2, "Bo Birch": 2}
    assert {s.reached_stage for s in said.values()} == {"final"}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("<th>Name</th><th>Country</th>", "<td>Ann Ash</td><td>Peru</td>"),
        ("<th>Special prize</th><th>Winner</th>", "<td>Best sonata</td><td>Ann Ash</td>"),
        ("<th>Year</th><th>City</th>", "<td>1990</td><td>Lima</td>"),
    ],
)
@pytest.mark.parametrize("heading", ["Jury", "Repertoire", "History"])
def test_tables_without_results_are_no_results(header: str, row: str, heading: str) -> None:
    """A jury is no field of competitors and a special prize no placing."""
    with pytest.raises(SourceError, match="none has a column"):
        _read(_table(header, row, heading=heading))


def test_a_special_prize_takes_nobody_to_the_final() -> None:
    """Anybody may win it, also under the heading of the final."""
    html = _page(
        '<h2>Final</h2><table class="wikitable"><tr><th>Name</th></tr><tr><td>Ann Ash</td></tr>'
        '</table><h3>Other awards</h3><table class="wikitable"><tr><th>Award</th><th>Winner</th>'
        "</tr><tr><td>Best sonata</td><td>Bo Birch</td></tr></table>"
    )
    assert set(_read(html)) == {"Ann Ash"}


def test_another_event_on_the_page_is_not_this_one() -> None:
    """A preliminary round that the edition has not is passed over, with its stages."""
    html = _page(
        "<h2>Preliminary round</h2><h3>First stage</h3>"
        '<table class="wikitable"><tr><th>Name</th></tr><tr><td>Ann Ash</td></tr></table>'
        "<h2>First stage</h2>"
        '<table class="wikitable"><tr><th>Name</th></tr><tr><td>Bo Birch</td></tr></table>'
    )
    assert set(_read(html)) == {"Bo Birch"}


def test_ranks_of_a_stage_are_no_prizes() -> None:
    """Thirty competitors ranked by score give no thirty prizes."""
    rows = [f"<td>{n}</td><td>Ann{chr(64 + n)} Ash{chr(64 + n)}</td>" for n in range(1, 27)]
    said = _read(_table("<th>Rank</th><th>Name</th>", *rows, heading="First stage"))
    assert {s.prize for s in said.values()} == {None}
    assert {s.reached_stage for s in said.values()} == {"stage1"}


def test_other_round_names_work_by_configuration_alone() -> None:
    """Preliminaries, quarterfinals and medals; guards words of one competition in the code."""
    rounds = (
        Round(id="preliminary", title_words=("preliminary round", "preliminaries")),
        Round(id="quarterfinal", title_words=("quarterfinal round",)),
        Round(id="semifinal", title_words=("semifinal round",)),
        Round(id="final", title_words=("final round",)),
    )
    html = _table(
        "<th>Competitor</th><th>Nationality</th><th>Result</th>",
        "<td>Ann Ash</td><td>Peru</td><td>Gold medalist</td>",
        "<td>Bo Birch</td><td>Peru</td><td>Finalist</td>",
        "<td>Cy Cedar</td><td>Peru</td><td>Semi-finalist</td>",
        "<td>Di Dogwood</td><td>Peru</td><td>Quarterfinals</td>",
        "<td>Ed Elm</td><td>Peru</td><td>Preliminary round</td>",
        "<td>Flo Fir</td><td>Peru</td><td>Withdrew</td>",
    )
    said = _read(html, rounds)
    assert [(s.reached_stage, s.prize) for s in said.values()] == [
        ("final", 1),
        ("final", None),
        ("semifinal", None),
        ("quarterfinal", None),
        ("preliminary", None),
        (None, None),
    ]
    assert said["Flo Fir"].withdrew


@pytest.mark.parametrize(
    ("first", "second", "reached"),
    [
        ("✓", "–", "stage1"),
        ("Yes", "Yes", "stage2"),
        ("Advanced", "", "stage2"),
        ("Eliminated", "", "stage1"),
        ("21.47", "20,9", "stage2"),
        ("Q", "Eliminated", "stage2"),
        ('<img alt="Green tick">', '<img alt="Red X">', "stage1"),
        ("Sonata Op. 35", "Mazurkas Op. 24", "stage2"),
    ],
)
def test_signs_in_the_columns_of_stages(first: str, second: str, reached: str) -> None:
    """Ticks, words, marks, works: one who advanced from a stage reached the next."""
    html = _table(
        "<th>Name</th><th>Stage I</th><th>Stage II</th>",
        f"<td>Ann Ash</td><td>{first}</td><td>{second}</td>",
    )
    assert _read(html)["Ann Ash"].reached_stage == reached


def test_a_page_made_to_be_slow_is_refused_in_time() -> None:
    """Huge spans, thousands of names, a cell of a million digits: an error or no result."""
    letters = "abcdefghijklmnop"
    names = "".join(
        f"<tr><td>Ann{a}{b}{c} Ash{a}{b}{c}</td></tr>"
        for a in letters
        for b in letters
        for c in letters
    )
    with pytest.raises(SourceError, match="more than any competition"):
        _read(_table("<th>Name</th>", heading="Final").replace("</tbody>", names + "</tbody>"))
    digits = "1 " * 500_000
    html = _table(
        "<th>Prize</th><th>Name</th>",
        f"<td>{digits}</td><td>Ann Ash</td>",
        '<td rowspan="9999999999" colspan="99999">1st</td><td>Bo Birch</td>',
        f"<td>2</td><td>{'(' * 100_000}</td>",
    )
    with pytest.raises(SourceError):
        _read(html)


def test_two_people_of_one_table_stay_two() -> None:
    """Names that would fit each other stand in one table: they are two people."""
    said = _read(
        _table(
            "<th>Name</th>",
            "<td>Haochen Li</td>",
            "<td>Haochen Wei Li</td>",
            heading="Second stage",
        )
    )
    assert set(said) == {"Haochen Li", "Haochen Wei Li"}


def test_a_page_without_its_tables_says_what_was_looked_for() -> None:
    """A redesign: selector, address and the kept page are in the error."""
    with pytest.raises(SourceError) as caught:
        _read(without_tables(table_a_stage()))
    for part in ("wikipedia", "http://wiki/x", "/kept/x.html", "table.wikitable", "stage2"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("", "empty"),
        ("<html lang='pl'><title>Konkurs</title><p>" + "Zażółć gęślą jaźń. " * 60, "'pl'"),
        ("<title>App</title><div id=root></div><script src=a.js></script>", "JavaScript"),
        ("<title>503 Service Unavailable</title><h1>Sorry</h1>", "503 Service Unavailable"),
        ("\x00\xff<table class=wikitable><tr><td rowspan=99999999 colspan=9999999>x", "wikitable"),
    ],
)
def test_what_is_no_results_page_is_an_error_that_describes_it(html: str, said: str) -> None:
    """Empty, in another language, a shell, an error page with status 200, rubbish."""
    with pytest.raises(SourceError, match="kept as") as caught:
        _read(html)
    assert said in str(caught.value)


def test_scripts_in_names_are_gone() -> None:
    """A name is text: neither its scripts nor its tags come through."""
    html = _table(
        "<th>Name</th>",
        "<td><script>alert(1)</script><b onclick=x()>Ann</b> <i>Ash</i></td>",
        "<td>&lt;img src=x onerror=alert(1)&gt;Bo Birch</td>",
        heading="First stage",
    )
    assert set(_read(html)) == {"Ann Ash", "Bo Birch"}


def test_a_page_that_contradicts_itself_is_refused() -> None:
    """A prize in one table and another in the next: neither is taken."""
    first = '<table class="wikitable"><tr><th>Prize</th><th>Name</th></tr>'
    html = _page(
        f"{first}<tr><td>1st</td><td>Ann Ash</td></tr></table>"
        f"{first}<tr><td>2nd</td><td>Ann Ash</td></tr></table>"
    )
    with pytest.raises(SourceError, match="contradicts itself"):
        _read(html)


def test_an_unknown_sign_in_a_stage_is_an_error() -> None:
    """A cell that says neither yes nor no is named with its place; guards a guess."""
    html = _table("<th>Name</th><th>Stage I</th>", "<td>Ann Ash</td><td>perhaps</td>")
    with pytest.raises(SourceError, match=r"table 1 .*row 1.*'perhaps'"):
        _read(html)
