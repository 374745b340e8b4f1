"""Every kind of source through its one interface: files, a site's HTML, a CMS's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_collection.competition.editions import Edition, EditionError, read_edition
from data_collection.competition.roster import RosterError
from data_collection.competition.sources.errors import SourceError, UnreachableError
from data_collection.competition.sources.pages import Manners
from data_collection.competition.sources.reading import Reading, read_source, readable
from data_collection.recordings.store import Store
from data_collection.sample.server import FixedPage, Site, serve
from data_collection_tests.competition.sources.wiki_pages import table_a_stage
from data_collection_tests.river import write_edition

ROSTER = "performer,country,reached_stage,prize\nAda Quill,Norway,final,1\n"
FEED = "http://127.0.0.1:9/feed.rss"
QUICK = Manners(retry_wait_s=0.01)
ROUNDS = [
    {"id": "stage1", "title_words": ["first"]},
    {"id": "stage2", "title_words": ["second"]},
    {"id": "final", "title_words": ["final"]},
]


@pytest.fixture
def site() -> Iterator[Site]:
    """A site without pages."""
    with serve([], title="Site") as running:
        yield running


def _edition(folder: Path, *sources: dict[str, object]) -> Edition:
    return read_edition(write_edition(folder, FEED, ROSTER, rounds=ROUNDS, results=list(sources)))


def _read(folder: Path, store: Store, source: dict[str, object]) -> Reading:
    edition = _edition(folder, source)
    return read_source(edition, edition.results[0], store, QUICK)


def _facts(reading: Reading) -> list[tuple[str, str | None, str | None, int | None, bool]]:
    return [
        (s.performer, s.country, s.reached_stage, s.prize, s.withdrew) for s in reading.statements
    ]


FACTS = [
    ("Ada Quill", "Norway", "final", 1, False),
    ("Bruno Rook", "Canada", "final", 2, False),
    ("Gus Wynn", "Peru", "stage2", None, True),
    ("Hal Xeno", None, "stage1", None, False),
]
CSV = (
    "First name;Last name;Nation;Round;Award;Withdrawn\n"
    "Ada;Quill;Norway;Final;1st prize;no\n"
    "Bruno;Rook;Canada;Finals;II ex aequo;\n"
    "Gus;Wynn;Peru;2nd round;;yes\n"
    ";;;;;\n"
    "Hal;Xeno;;Stage 1;–;\n"
)
COLUMNS = {
    "performer": ["First name", "Last name"],
    "country": "Nation",
    "reached_stage": "Round",
    "prize": "Award",
    "withdrew": "Withdrawn",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_of_another_form_is_read_by_its_columns(
    encoding: str, tmp_path: Path, store: Store
) -> None:
    """Semicolons, a byte order mark, names in two columns, an empty line."""
    (tmp_path / "other.csv").write_text(CSV, encoding=encoding)
    reading = _read(tmp_path, store, {"source": "file", "path": "other.csv", "columns": COLUMNS})
    assert _facts(reading) == FACTS
    assert [s.where for s in reading.statements] == ["line 2", "line 3", "line 4", "line 6"]
    assert reading.as_of is None


def test_a_json_file_is_read_where_its_rows_are(tmp_path: Path, store: Store) -> None:
    """Rows below a key, numbers as numbers, true as yes."""
    rows = [
        {"performer": "Ada Quill", "country": "Norway", "reached_stage": "final", "prize": 1},
        {"performer": "Bruno Rook", "country": "Canada", "reached_stage": "final", "prize": 2.0},
        {"performer": "Gus Wynn", "country": "Peru", "reached_stage": "stage2", "withdrew": True},
        {"performer": "Hal Xeno", "country": None, "reached_stage": "stage1", "prize": None},
    ]
    (tmp_path / "other.json").write_text(json.dumps({"data": {"rows": rows}}), encoding="utf-8")
    reading = _read(tmp_path, store, {"source": "file", "path": "other.json", "rows": "data.rows"})
    assert _facts(reading) == FACTS


def test_a_file_on_the_web_is_fetched_and_kept(tmp_path: Path, store: Store, site: Site) -> None:
    """The same file behind an address; its answer is kept with its date."""
    site.pages["/other.csv"] = FixedPage(CSV, content_type="text/csv")
    reading = _read(
        tmp_path,
        store,
        {"source": "file", "path": f"{site.url}/other.csv", "columns": COLUMNS},
    )
    assert _facts(reading) == FACTS
    assert reading.as_of is not None
    assert Path(reading.saved[0]).read_text("utf-8") == CSV


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no rows"),
        ("performer;Round\n", "holds no rows"),
        ("name,Round\nAda,final\n", "no column performer (found: Round, name)"),
        ("performer,Stage\nAda Quill,final\n", "no column Round for reached_stage"),
        ("performer,Round\nAda Quill,quarterfinal\n", "line 2: 'quarterfinal' is no round"),
        (
            "performer,Round,prize\nAda Quill,final,Best mazurka\n",
            "add it to the source's `prizes`",
        ),
        ("performer,Round,prize\nAda Quill,stage1,2\n", "has prize 2 but only reached stage1"),
        ("performer,Round,prize\nAda Quill,final,1\nQuill Ada,final,2\n", "contradicts itself"),
        ("performer,Round,withdrew\nAda Quill,final,maybe\n", "neither yes nor no"),
        ("performer,Round\n<script>x</script>,final\n", "is no name"),
        ('performer,Round\n"Ada,final\n', "no CSV"),
        ("[1, 2]", "is no list of objects"),
        ('{"a": [', "no JSON"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_bad_file_is_an_error_that_names_the_place(
    content: str, said: str, tmp_path: Path, store: Store
) -> None:
    """Each names the source and the file, and what to do."""
    (tmp_path / "bad").write_text(content, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        _read(
            tmp_path,
            store,
            {"source": "file", "path": "bad", "columns": {"reached_stage": "Round"}},
        )
    assert said in str(caught.value)
    assert "source file" in str(caught.value)
    assert "bad" in str(caught.value)


def test_a_missing_file_and_a_bad_roster_are_named(tmp_path: Path, store: Store) -> None:
    """A file that is not there and a roster's own error come through as they are."""
    with pytest.raises(SourceError, match=r"source file: .*nowhere\.csv: no such file"):
        _read(tmp_path, store, {"source": "file", "path": "nowhere.csv"})
    (tmp_path / "latin.csv").write_bytes("performer\nŁucja".encode("iso-8859-2"))
    with pytest.raises(SourceError, match="not UTF-8"):
        _read(tmp_path, store, {"source": "file", "path": "latin.csv"})
    with pytest.raises(RosterError, match="no such file"):
        _read(tmp_path, store, {"source": "roster", "path": "nowhere.csv"})


LIST = (
    "<html lang=en><title>Results</title><body><ul>{}</ul>" + "<p>text</p>" * 100 + "</body></html>"
)
ITEM = '<li class="p" data-code="{1}"><a>{0}</a><em>{2}</em><b class="prize">{3}</b>{4}</li>'
ITEMS = "".join(
    ITEM.format(*row)
    for row in (
        ("Ada <b>Quill</b>", "Norway", "Final", "1st", ""),
        ("ROOK Bruno", "Canada", "Final", "2nd (tie)", ""),
        ("Gus Wynn", "Peru", "Second stage", "", "<i>withdrew</i>"),
        ("Hal&nbsp;Xeno", "", "First stage", "", ""),
    )
)
HTML: dict[str, object] = {
    "source": "html",
    "row": "li.p",
    "performer": "a",
    "country": "@data-code",
    "stage": "em",
    "prize": ".prize",
    "withdrew": "i",
}


def _html(site: Site, **changes: object) -> dict[str, object]:
    return {**HTML, "pages": [{"url": f"{site.url}/results"}], **changes}


def test_a_site_is_read_by_its_selectors(tmp_path: Path, store: Store, site: Site) -> None:
    """Elements, attributes, nested tags, a tie, a withdrawal."""
    site.pages["/results"] = FixedPage(LIST.format(ITEMS))
    assert [
        (name if name != "ROOK Bruno" else "Bruno Rook", *rest)
        for name, *rest in _facts(_read(tmp_path, store, _html(site)))
    ] == FACTS


def test_a_page_a_round_gives_the_latest_round(tmp_path: Path, store: Store, site: Site) -> None:
    """Three pages, each of one round: a performer reached the latest that lists him."""
    for number, names in enumerate(("Ada Quill|Bo Rook|Cy Sol", "QUILL Ada|Bo Rook", "Ada Quill")):
        items = "".join(f"<li><a>{name}</a></li>" for name in names.split("|"))
        site.pages[f"/{number}"] = FixedPage(LIST.format(items))
    pages = [
        {"url": f"{site.url}/{number}", "round": round_["id"]}
        for number, round_ in enumerate(ROUNDS)
    ]
    reading = _read(
        tmp_path, store, {"source": "html", "row": "li", "performer": "a", "pages": pages}
    )
    assert {s.performer: s.reached_stage for s in reading.statements} == {
        "Ada Quill": "final",
        "Bo Rook": "stage2",
        "Cy Sol": "stage1",
    }


@pytest.mark.parametrize(
    ("page", "changes", "said"),
    [
        (LIST.format(ITEMS.replace('class="p"', 'class="q"')), {}, "'li.p' (row) found nothing"),
        (LIST.format(ITEMS), {"performer": "h3"}, "'h3' (performer of row 1) found nothing"),
        (LIST.format(ITEMS), {"stage": ".stage"}, "'.stage' (stage) found nothing"),
        (LIST.format(ITEMS), {"prize": ".award"}, "'.award' (prize) found nothing"),
        ("", {}, "all but empty"),
        ("<title>Wyniki</title><div id=app></div><script src=x></script>", {}, "JavaScript"),
        ("<html lang=pl><title>Przerwa techniczna</title>" + "p " * 400, {}, "Przerwa techniczna"),
        (LIST.format(ITEMS.replace("Final", "Halfway")), {}, "'Halfway' is no round"),
    ],
)
def test_a_page_that_changed_names_selector_address_and_copy(
    page: str, changes: dict[str, object], said: str, tmp_path: Path, store: Store, site: Site
) -> None:
    """Layout, language, emptiness, a shell: the error has all that a person needs to mend it."""
    site.pages["/results"] = FixedPage(page)
    with pytest.raises(SourceError) as caught:
        _read(tmp_path, store, _html(site, **changes))
    message = str(caught.value)
    assert said in message
    assert "source html" in message
    assert f"{site.url}/results" in message
    saved = next(Path(str(store.path("competition_cache/test2021/sources/html"))).glob("*.html"))
    assert str(saved) in message
    assert saved.read_text("utf-8") == page


CMS_RECORDS: dict[int, object] = {
    1: {"name": "Ada Quill", "country": "Norway", "stages": ["First stage", "Final"], "prize": 1},
    2: {
        "data": {
            "attributes": {
                "first_name": "Bruno",
                "last_name": "Rook",
                "countries": [{"name": "Canada"}],
                "rounds": [{"name": "1st round"}, {"name": "Final"}],
                "prize": {"name": "2nd prize"},
            }
        }
    },
    4: {
        "fullName": {"pl": "Gus Wynn", "en": "Gus Wynn"},
        "country": {"name": {"en": "Peru"}},
        "stage": {"title": "Stage II"},
        "withdrew": True,
    },
    5: {"participant": {"name": "Hal Xeno", "reached_stage": "stage1", "prize": None}},
}


def _cms(site: Site, records: dict[int, object], **changes: object) -> dict[str, object]:
    for number, record in records.items():
        site.pages[f"/participants/{number}"] = FixedPage(
            json.dumps(record), content_type="application/json"
        )
    return {
        "source": "cms",
        "url": f"{site.url}/participants/{{number}}",
        "numbers": {"first": 1, "last": 400, "stop_after_missing": 3},
        **changes,
    }


def test_records_of_several_shapes_are_read(tmp_path: Path, store: Store, site: Site) -> None:
    """Flat, wrapped, in languages, with lists: the defaults find names, rounds and prizes."""
    reading = _read(tmp_path, store, _cms(site, CMS_RECORDS))
    assert _facts(reading) == FACTS
    assert reading.statements[1].where == "participant 2"
    assert site.requests["/participants/8"] == 1
    assert site.requests["/participants/9"] == 0


def test_an_index_has_the_records_or_their_numbers(
    tmp_path: Path, store: Store, site: Site
) -> None:
    """A list of records is enough; with a template its numbers are asked for."""
    spec = _cms(site, CMS_RECORDS, index=f"{site.url}/participants")
    site.pages["/participants"] = FixedPage(
        json.dumps({"data": list(CMS_RECORDS.values())}), content_type="application/json"
    )
    alone = {name: value for name, value in spec.items() if name not in ("url", "numbers")}
    assert _facts(_read(tmp_path, store, alone)) == FACTS
    site.pages["/participants"] = FixedPage(
        json.dumps([{"id": number} for number in CMS_RECORDS]), content_type="application/json"
    )
    assert _facts(_read(tmp_path, store, spec)) == FACTS


def test_fields_are_where_the_edition_says(tmp_path: Path, store: Store, site: Site) -> None:
    """Other keys, and the database's ids for rounds, by configuration alone."""
    spec = _cms(
        site,
        {1: {"person": {"label": "Ada Quill"}, "etap_id": 9, "miejsce": "Grand Prix"}},
        fields={"performer": "person.label", "stages": "etap_id", "prize": ["x.y", "miejsce"]},
        stages={"9": "final"},
        prizes={"Grand Prix": 1},
    )
    assert _facts(_read(tmp_path, store, spec)) == [("Ada Quill", None, "final", 1, False)]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"error": {"name": "NotFoundError", "status": 404}}, "the keys error"),
        ({"statusCode": 404, "message": "Not Found"}, "the keys statusCode, message"),
        ({"nom": "Ada Quill"}, "no name at"),
        ([], "the answer is a list of 0"),
        ("Ada Quill", "the answer is a str"),
        ({"name": "Ada Quill", "stages": [17, 18]}, "'17' does not say which round"),
        ({"name": "Ada Quill", "stage": "Quarterfinal"}, "'Quarterfinal' is no round"),
        ({"name": "Ada Quill", "prize": "Best sonata"}, "is no prize that is known"),
    ],
)
def test_json_of_another_shape_is_an_error(
    record: object, said: str, tmp_path: Path, store: Store, site: Site
) -> None:
    """It names the source, the address, what was looked for and the kept answer."""
    with pytest.raises(SourceError) as caught:
        _read(tmp_path, store, _cms(site, {1: record}))
    for part in (said, "source cms", f"{site.url}/participants/1", "kept as"):
        assert part in str(caught.value)


def test_a_page_where_json_should_be_is_an_error(tmp_path: Path, store: Store, site: Site) -> None:
    """An HTML shell behind the API's address says what it begins with."""
    spec = _cms(site, {})
    site.pages["/participants/1"] = FixedPage("<html><script>app()</script></html>")
    with pytest.raises(SourceError, match=r"no JSON .*'text/html'"):
        _read(tmp_path, store, spec)
    del site.pages["/participants/1"]
    with pytest.raises(SourceError, match=r"no record at .*from 1 on"):
        _read(tmp_path, store, spec)


def test_a_parse_is_repeated_without_the_network(tmp_path: Path, store: Store) -> None:
    """Wikipedia, CMS with a hole in its numbers: the same facts from the kept answers."""
    with serve([], title="Site") as site:
        site.pages["/wiki"] = FixedPage(table_a_stage())
        wiki = {"source": "wikipedia", "url": f"{site.url}/wiki"}
        cms = _cms(site, CMS_RECORDS)
        first = [_read(tmp_path, store, source) for source in (wiki, cms)]
    again = [_read(tmp_path, store, source) for source in (wiki, cms)]
    for before, after in zip(first, again, strict=True):
        assert after.statements == before.statements
        assert before.stale_because is None
        assert after.stale_because is not None
        assert after.as_of == before.as_of


def test_whether_a_source_can_be_read_is_said_in_a_sentence(tmp_path: Path, site: Site) -> None:
    """For a person who asks before collecting: counts, or the reason; nothing is kept."""
    edition = _edition(tmp_path, {"source": "wikipedia", "url": f"{site.url}/wiki"})
    with pytest.raises(UnreachableError, match="answered 404"):
        readable(edition, edition.results[0], QUICK)
    site.pages["/wiki"] = FixedPage(table_a_stage())
    said = readable(edition, edition.results[0], QUICK)
    assert said.endswith("9 performers, 9 with their stage, 4 with a prize")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"source": "html", "row": "li"}, "results.0.html.pages: Field required"),
        ({**HTML, "pages": [{"url": "ftp://x"}]}, "starts with http"),
        ({**HTML, "row": "li[", "pages": [{"url": "http://x"}]}, "no CSS selector"),
        ({**HTML, "pages": [{"url": "http://x", "round": "nope"}]}, "nope is no round"),
        ({"source": "cms", "url": "http://x/1"}, "has no {number}"),
        ({"source": "cms"}, "neither url nor index"),
        ({"source": "cms", "index": "http://x", "fields": {"prize": "a["}}, "no JMESPath"),
        ({"source": "wikipedia", "url": "http://x", "stages": {"A": "nope"}}, "nope is no round"),
        ({"source": "telepathy"}, "results.0"),
        ({"source": "roster", "path": "a.csv", "name": "Bad Name"}, "name: String should match"),
        ({"source": "cms", "index": "http://x", "numbers": {"first": 9, "last": 1}}, "less than"),
    ],
)
def test_a_malformed_source_is_refused_by_field(
    source: dict[str, object], said: str, tmp_path: Path
) -> None:
    """A bad selector or expression is found when the edition is read, not in a run."""
    with pytest.raises(EditionError) as caught:
        _edition(tmp_path, source)
    assert said in str(caught.value)


def test_two_sources_of_one_kind_need_names(tmp_path: Path) -> None:
    """Their folders and rows would be one; guards answers of two sites in one folder."""
    wiki: dict[str, object] = {"source": "wikipedia", "url": "http://x/1"}
    with pytest.raises(EditionError, match="two sources are called wikipedia"):
        _edition(tmp_path, wiki, wiki)
    named = _edition(tmp_path, wiki, {**wiki, "name": "wikipedia-pl"})
    assert [source.name for source in named.results] == ["wikipedia", "wikipedia-pl"]
    assert not named.results[0].required
