"""Results from several sources: who is who, what counts, and where sources contradict each other.

The last part materializes the real asset with its checks over a loopback site.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.competition.checks import stage_problems
from data_collection.competition.editions import BUNDLED_EDITIONS, Edition, read_edition
from data_collection.competition.results import (
    Result,
    StatementRow,
    cross_check,
    disagreements,
    gather_results,
    lone_names,
)
from data_collection.competition.roster import counts_by_stage, played_by_stage
from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.pages import Manners
from data_collection.competition.sources.reading import Reading
from data_collection.competition.sources.statements import Statement
from data_collection.recordings.store import Store
from data_collection.sample.server import FixedPage, Site, serve
from data_collection_tests.competition.sources.wiki_pages import (
    LAYOUTS,
    PIANISTS,
    STAGES,
    table_a_stage,
    without_tables,
)
from data_collection_tests.river import River, river, write_edition

FEED = "http://127.0.0.1:9/feed.rss"
ROUNDS = [
    {"id": "stage1", "title_words": ["first"], "competitors": 9},
    {"id": "stage2", "title_words": ["second"], "competitors": 7, "played": 6},
    {"id": "final", "title_words": ["final"], "competitors": 5},
]
ROSTER = "performer,country,reached_stage,stages_performed,prize\n" + "".join(
    f"{p.name},,{p.reached},{'stage1' if p.withdrew else ''},{p.prize or ''}\n" for p in PIANISTS
)


def _edition(folder: Path, *sources: dict[str, object], roster: str = ROSTER) -> Edition:
    results = [{"source": "roster", "path": "roster.csv"}, *sources]
    return read_edition(write_edition(folder, FEED, roster, rounds=ROUNDS, results=results))


def _reading(source: str, *said: tuple[str, str | None, int | None]) -> Reading:
    return Reading(
        source,
        source,
        tuple(
            Statement(source=source, performer=name, reached_stage=stage, prize=prize, where="row")
            for name, stage, prize in said
        ),
    )


def _checked(
    folder: Path, *readings: Reading
) -> tuple[tuple[Result, ...], tuple[StatementRow, ...]]:
    """Cross-check readings called roster (required), and a, b … (not required)."""
    others: list[dict[str, object]] = [
        {"source": "wikipedia", "url": "http://x", "name": reading.source}
        for reading in readings
        if reading.source != "roster"
    ]
    return cross_check(_edition(folder, *others), readings)


def test_the_first_source_that_states_a_thing_decides(tmp_path: Path) -> None:
    """Later ones fill what is null: here a prize that the roster does not know yet."""
    rows, statements = _checked(
        tmp_path,
        _reading("roster", ("Ada Quill", "final", None), ("Bo Rook", "stage2", None)),
        _reading("a", ("Quill Ada", "final", 1), ("Bo Rook", None, None)),
    )
    assert [(r.performer, r.reached_stage, r.prize, r.placement) for r in rows] == [
        ("Ada Quill", "final", 1, 1),
        ("Bo Rook", "stage2", None, 2),
    ]
    assert rows[0].sources == ("roster", "a")
    assert rows[0].aliases == ("Quill Ada",)
    assert not disagreements(statements)


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        (("stage2", None), ("stage1", None), "reached_stage"),
        (("final", 2), ("final", 3), "prize"),
        (("final", None), ("final", 6), "prize"),
        (("final", 6), ("final", None), "prize"),
    ],
)
def test_a_contradiction_is_found_whoever_says_it(
    first: tuple[str, int | None], second: tuple[str, int | None], field: str, tmp_path: Path
) -> None:
    """Stage or prize, none against one too, also between two sources that are not required."""
    for sources in (("roster", "a"), ("a", "b")):
        rows, statements = _checked(
            tmp_path,
            *([] if "roster" in sources else [_reading("roster", ("Ada Quill", "final", 1))]),
            _reading(sources[0], ("Ada Quill", "final", 1), ("Bo Rook", *first)),
            _reading(sources[1], ("Ada Quill", "final", 1), ("ROOK, Bo", *second)),
        )
        (found,) = disagreements(statements)
        assert (found.performer, found.field) == ("Bo Rook", field)
        assert [value[0] for value in found.values] == list(sources)
        assert "Bo Rook" in str(found)
        assert {row.performer for row in rows} >= {"Ada Quill"}


def test_a_source_without_prizes_denies_none(tmp_path: Path) -> None:
    """A list of participants says nothing of prizes; guards 12 false contradictions."""
    _, statements = _checked(
        tmp_path,
        _reading("roster", ("Ada Quill", "final", 1)),
        _reading("a", ("Ada Quill", "final", None)),
    )
    assert not disagreements(statements)


def test_a_name_that_fits_two_joins_neither_and_is_reported(tmp_path: Path) -> None:
    """What is said of it is compared with nobody's; guards a prize given to the wrong Li."""
    rows, statements = _checked(
        tmp_path,
        _reading("roster", ("Haochen Wei Li", "final", 1), ("Haochen Min Li", "stage1", None)),
        _reading("a", ("Haochen Li", "final", 1)),
    )
    assert [row.sources for row in rows] == [("roster",), ("roster",)]
    assert not disagreements(statements)
    unsure = [name for name in lone_names(statements) if name.candidates]
    assert [name.candidates for name in unsure] == [("Haochen Wei Li", "Haochen Min Li")]


def test_whom_only_another_source_has_is_reported_and_no_result(tmp_path: Path) -> None:
    """Who took part is said by the required source; guards a spelling counted as a person."""
    rows, statements = _checked(
        tmp_path,
        _reading("roster", ("Ada Quill", "final", 1)),
        _reading("a", ("Ada Quill", "final", 1), ("Zoe Zed", "stage2", None)),
    )
    assert [row.performer for row in rows] == ["Ada Quill"]
    assert [(n.performer, n.source) for n in lone_names(statements)] == [("Zoe Zed", "a")]
    assert [row.in_results for row in statements] == [True, True, False]


def test_surnames_never_join(tmp_path: Path) -> None:
    """Two Chens, two Guos, two Lees: a bare surname is nobody's."""
    names = ("Zixi Chen", "Xuehong Chen", "Eric Guo", "Chelsea Guo", "Hyuk Lee", "Jaeyoon Lee")
    _, statements = _checked(
        tmp_path,
        _reading("roster", *((name, "stage1", None) for name in names)),
        _reading(
            "a",
            *(
                (name.split()[1] + sign, "final", 1)
                for name, sign in zip(names, " A" * 3, strict=True)
            ),
        ),
    )
    assert not disagreements(statements)


def test_nobody_knows_how_far_one_came(tmp_path: Path) -> None:
    """Without any stage there is no place: the name is in the error."""
    with pytest.raises(SourceError, match="how far Bo Rook came"):
        _checked(tmp_path, _reading("roster", ("Bo Rook", None, None)))


@given(st.permutations(list(PIANISTS)), st.permutations(list(PIANISTS)))
def test_the_order_of_names_in_a_source_changes_nothing(
    one: list[object], other: list[object]
) -> None:
    """However two sources sort their names, everybody joins and nobody contradicts."""
    edition = Edition.model_validate(
        {
            "id": "made",
            "name": "Made",
            "year": 2021,
            "rounds": ROUNDS,
            "channel": FEED,
            "results": [
                {"source": "roster", "path": "x"},
                {"source": "wikipedia", "url": "http://x", "name": "a"},
            ],
        }
    )
    readings = [
        _reading(source, *((p.name, p.reached, p.prize) for p in PIANISTS if p in listed))
        for source, listed in (("roster", one), ("a", other))
    ]
    rows, statements = cross_check(edition, readings)
    assert len(rows) == len(PIANISTS)
    assert not disagreements(statements)
    assert not lone_names(statements)


def test_one_who_withdrew_has_reached_what_he_did_not_play(tmp_path: Path) -> None:
    """Admitted to the second stage, played in the first; everybody else played all they reached."""
    found = gather_results(_edition(tmp_path), Store.at(str(tmp_path / "root")), Manners())
    for row in found.rows:
        up_to = STAGES[: STAGES.index(row.reached_stage) + 1]
        assert row.stages_performed == (("stage1",) if row.performer == "Gus Wynn" else up_to)


def test_the_bundled_roster_adds_up() -> None:
    """87, 45, 23, 12 were admitted; 87, 44, 23, 12 played: one withdrew."""
    edition = read_edition(BUNDLED_EDITIONS / "chopin2021.yaml")
    roster = edition.roster()
    admitted = counts_by_stage(roster, edition.round_ids)
    played = played_by_stage(roster, edition.round_ids)
    assert list(admitted.values()) == [87, 45, 23, 12]
    assert list(played.values()) == [87, 44, 23, 12]
    assert stage_problems(edition, admitted, played) == []
    assert stage_problems(edition, admitted, {**played, "stage2": 45}) == [
        "stage2: 45 played by the results, 44 by the edition file"
    ]
    assert edition.composer == "chopin"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Ada Quill,,stage2,stage1;final,", "performed in final, which is no round up to stage2"),
        ("Ada Quill,,stage2,stage9,", "performed in stage9"),
    ],
)
def test_a_roster_with_a_false_round_is_refused(line: str, said: str, tmp_path: Path) -> None:
    """A round played beyond the one reached, or unknown, is named with its line."""
    head = ROSTER.split("\n", 1)[0]
    with pytest.raises(SourceError, match="roster: .*line 2: .*" + said):
        gather_results(
            _edition(tmp_path, roster=f"{head}\n{line}\n"),
            Store.at(str(tmp_path / "root")),
            Manners(),
        )


def test_more_cannot_have_played_than_were_admitted(tmp_path: Path) -> None:
    """The edition file's own numbers must be possible."""
    rounds = [{"id": "a", "title_words": ["a"], "competitors": 3, "played": 4}]
    with pytest.raises(ValueError, match="4 played, but only 3 were admitted"):
        read_edition(write_edition(tmp_path, FEED, ROSTER, rounds=rounds))


# The asset and its checks, over a loopback site.


@pytest.fixture
def site() -> Iterator[Site]:
    """A site with a page in the manner of Wikipedia's."""
    with serve([], title="Site") as running:
        running.pages["/wiki"] = FixedPage(table_a_stage())
        yield running


def _wiki(site: Site) -> dict[str, object]:
    return {"source": "wikipedia", "url": f"{site.url}/wiki"}


def _rows(opened: River, name: str) -> list[dict[str, object]]:
    text = opened.store.path(f"competition_cache/test2021/{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _run(folder: Path, *sources: dict[str, object], roster: str = ROSTER) -> Iterator[River]:
    _edition(folder, *sources, roster=roster)
    with river(folder / "edition.yaml", folder) as opened:
        yield opened


def _text(check: dg.AssetCheckEvaluation) -> str:
    return check.description or ""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sources_that_agree_pass_every_check(layout: str, tmp_path: Path, site: Site) -> None:
    """Roster and page give one set of rows, countries filled in from the page."""
    site.pages["/wiki"] = FixedPage(LAYOUTS[layout]())
    for opened in _run(tmp_path, _wiki(site)):
        assert opened.materialize("results").success
        for name in (
            "results_add_up",
            "prizes_have_no_hole",
            "sources_agree",
            "names_in_one_source",
            "sources_were_read",
        ):
            check = opened.check("results", name)
            assert check.passed, (name, check.description)
        rows = _rows(opened, "results")
        assert [row["performer"] for row in rows] == [p.name for p in PIANISTS]
        assert [row["country"] for row in rows] == [p.country for p in PIANISTS]
        assert [row["placement"] for row in rows] == [1, 2, 2, 3, 4, 5, 5, 6, 6]
        assert rows[6]["stages_performed"] == ["stage1"]
        assert {str(row["sources"]) for row in rows} == {"['roster', 'wikipedia']"}
        assert len(_rows(opened, "statements")) == 2 * len(PIANISTS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("Dov Tamar,,final,,3", "Dov Tamar,,final,,4"), "Dov Tamar, prize: roster says prize 4"),
        (
            ("Hal Xeno,,stage1,,", "Hal Xeno,,stage2,,"),
            "Hal Xeno, reached_stage: roster says stage2 (roster.csv, line 9)",
        ),
    ],
)
def test_a_contradiction_blocks_and_names_the_rows(
    wrong: tuple[str, str], said: str, tmp_path: Path, site: Site
) -> None:
    """The page is not required, and blocks all the same: what follows does not run."""
    for opened in _run(tmp_path, _wiki(site), roster=ROSTER.replace(*wrong)):
        assert not opened.materialize("results", "recordings").success
        check = opened.check("results", "sources_agree")
        assert not check.passed
        assert said in _text(check)
        assert "wikipedia says" in _text(check)
        assert "table " in _text(check)
        assert "take that source out" in _text(check)
        assert not opened.store.path("competition_cache/test2021/recordings.jsonl").exists()


def test_one_source_alone_says_that_nothing_was_compared(tmp_path: Path) -> None:
    """A pass without a comparison is no silent pass."""
    for opened in _run(tmp_path):
        assert opened.materialize("results").success
        for name in ("sources_agree", "names_in_one_source"):
            check = opened.check("results", name)
            assert check.passed
            assert _text(check) == "one source only, nothing to compare"


def test_a_source_that_cannot_be_read_costs_a_warning(tmp_path: Path, site: Site) -> None:
    """A changed page and one that is gone: results stand, the check says what and why."""
    site.pages["/wiki"] = FixedPage(without_tables(table_a_stage()))
    gone: dict[str, object] = {"source": "cms", "index": f"{site.url}/gone"}
    for opened in _run(tmp_path, _wiki(site), gone):
        assert opened.materialize("results").success
        check = opened.check("results", "sources_were_read")
        assert not check.passed
        assert check.severity == dg.AssetCheckSeverity.WARN
        assert "wikipedia was not read" in _text(check)
        assert "table.wikitable" in _text(check)
        assert "cms was not read" in _text(check)
        assert "answered 404" in _text(check)
        assert [row["state"] for row in _rows(opened, "sources")] == [
            "read",
            "not_read",
            "not_read",
        ]


def test_an_earlier_answer_stands_in_and_says_as_of_when(tmp_path: Path) -> None:
    """The site is gone: its kept answer is compared, and the warning has its date."""
    with serve([], title="Site") as site:
        site.pages["/wiki"] = FixedPage(table_a_stage())
        for opened in _run(tmp_path, _wiki(site)):
            assert opened.materialize("results").success
            before = _rows(opened, "statements")
    for opened in _run(tmp_path, _wiki(site)):
        assert opened.materialize("results").success
        assert _rows(opened, "statements") == before
        assert opened.check("results", "sources_agree").passed
        check = opened.check("results", "sources_were_read")
        assert not check.passed
        assert "wikipedia is as of 2" in _text(check)
        assert "(0 days ago)" in _text(check)
        assert _rows(opened, "sources")[1]["state"] == "read_from_kept"


def test_a_required_source_that_is_missing_fails_and_each_is_named(
    tmp_path: Path, site: Site
) -> None:
    """Two of them: both names and both reasons."""
    missing: dict[str, object] = {"source": "file", "path": "nowhere.csv"}
    wiki = {**_wiki(site), "url": f"{site.url}/gone", "required": True}
    for opened in _run(tmp_path, missing, wiki):
        result = opened.materialize("results")
        assert not result.success
        event = result.filter_events(lambda e: e.is_step_failure)[0]
        said = str(event.event_specific_data)
        assert "nowhere.csv: no such file" in said
        assert "/gone answered 404" in said


def test_names_in_one_source_are_listed(tmp_path: Path, site: Site) -> None:
    """A person only the page has, and one only the roster has."""
    roster = ROSTER.replace("Ivy Yarrow", "Ines Yew")
    for opened in _run(tmp_path, _wiki(site), roster=roster):
        assert opened.materialize("results").success
        check = opened.check("results", "names_in_one_source")
        assert not check.passed
        assert check.severity == dg.AssetCheckSeverity.WARN
        assert "Ivy Yarrow (wikipedia)" in _text(check)
        assert "Ines Yew (roster)" in _text(check)


def test_nothing_from_the_web_reaches_a_report_unescaped(tmp_path: Path, site: Site) -> None:
    """Scripts in names, in words that are not understood, in titles: no `<` in anything shown."""
    evil = "&lt;img src=x onerror=alert(1)&gt;[x](javascript:alert(1))"
    page = table_a_stage().replace("Hal Xeno", f"Hal Xeno<script>alert(2)</script> {evil}")
    site.pages["/wiki"] = FixedPage(page)
    site.pages["/cms"] = FixedPage(
        json.dumps([{"name": "Ada Quill", "stage": "<b onclick=x>](javascript:y)"}])
    )
    cms: dict[str, object] = {"source": "cms", "index": f"{site.url}/cms", "required": True}
    for sources in ((_wiki(site),), (cms,)):
        for opened in _run(tmp_path / str(len(sources[0])), *sources):
            result = opened.materialize("results")
            shown = [
                str(check.description) + str([v.value for v in check.metadata.values()])
                for check in result.get_asset_check_evaluations()
            ]
            for event in result.get_asset_materialization_events():
                shown += [
                    str(value.value)
                    for name, value in event.materialization.metadata.items()
                    if name != "plot"
                ]
            failures = result.filter_events(lambda e: e.is_step_failure)
            shown += [
                str(e.event_specific_data.error_display_string)  # type: ignore[union-attr]
                for e in failures
            ]
            assert shown
            for text in shown:
                assert "<script" not in text
                assert "<img" not in text
                assert "<b " not in text
                assert "](javascript" not in text


def test_without_a_network_the_bundled_edition_stands(tmp_path: Path) -> None:
    """Two sources whose hosts cannot be reached cost no result: the roster's 87 are there."""
    edition = read_edition(BUNDLED_EDITIONS / "chopin2021.yaml")
    sources = [
        source.model_copy(
            update={
                "url": source.url.replace("en.wikipedia.org", "a.invalid").replace(
                    "cms.chopin2020.pl", "b.invalid"
                )
            }
        )
        if source.source in ("wikipedia", "cms")
        else source
        for source in edition.results
    ]
    changed = edition.model_copy(update={"results": tuple(sources)})
    found = gather_results(changed, Store.at(str(tmp_path)), Manners())
    assert len(found.rows) == 87
    assert [row.state for row in found.sources] == ["read", "not_read", "not_read"]
