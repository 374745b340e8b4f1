"""What the web and a lab's own files can do to the competition tier, through the real assets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import soundfile

from data_collection.competition.programme_lines import MOST_CHARACTERS
from data_collection.recordings.receipts import read_receipt
from data_collection.recordings.video_page import MAX_DESCRIPTION_CHARS
from data_collection.sample.media import AUDIO, duration_s, encode, join
from data_collection.sample.server import FixedPage, Site, Video, serve
from data_collection_tests.river import STAGES, River, river, write_edition

ROSTER = """\
performer,country,reached_stage,prize
Ada Quill,Norway,final,1
Ben Rook,Poland,final,2
Cleo Stern,Japan,stage1,
Dov Tamar,Spain,stage1,
"""
SECOND_START_S = 14.0
TITLE = "First round, session 1"
SESSION = """\
10.00 – 10.30
ADA QUILL (Norwegia / Norway)
Etiuda C-dur / Etude in C major, Op. 10 No. 1 (0:00)

10.30 – 11.00
BEN ROOK (Polska / Poland)
Ballada g-moll / Ballade in G minor, Op. 23 (0:14)
"""
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pianists for 12 s each, one after the other, in one file."""
    folder = tmp_path_factory.mktemp("media")
    both = []
    for name in ("stage1_brandt", "stage1_marlowe"):
        rate_hz = soundfile.info(AUDIO / f"{name}.opus").samplerate
        samples, _ = soundfile.read(AUDIO / f"{name}.opus", frames=12 * rate_hz)
        both.append(folder / f"{name}.wav")
        soundfile.write(both[-1], samples, rate_hz)
    return join(both, folder / "session.flac", starts_s=(0.0, SECOND_START_S))


def rows_of(opened: River, name: str) -> list[dict[str, object]]:
    path = opened.store.path(f"{opened.tier.folder(name)}.jsonl")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Description of a run's only failed asset."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None, "a raw exception says nobody what to do"
    return str(data.description)


def session_page(site: Site, description: object = SESSION, **more: object) -> FixedPage:
    """A session's own page."""
    said = {
        "@context": "https://schema.org",
        "@type": "VideoObject",
        "name": TITLE,
        "description": description,
        "contentUrl": f"{site.url}/media/s1.flac",
        "uploadDate": "2021-10-20",
        **more,
    }
    text = json.dumps(said).replace("<", "\\u003c")
    script = f'<script type="application/ld+json">{text}</script>'
    return FixedPage(f"<!doctype html><html><head><title>x</title>{script}</head></html>")


def list_pages(site: Site, *titles: str) -> str:
    """A feed that links to `/page0`, `/page1`, … and says nothing of them; gives its address."""
    items = "".join(
        f"<item><title>{title}</title><guid isPermaLink='false'>p{at}</guid>"
        f"<link>{site.url}/page{at}</link></item>"
        for at, title in enumerate(titles)
    )
    feed = f'<?xml version="1.0"?><rss version="2.0"><channel>{items}</channel></rss>'
    site.pages["/feed.rss"] = FixedPage(feed, "application/rss+xml")
    return f"{site.url}/feed.rss"


def test_moved_cuts_leave_no_row_of_the_old_ones(media: Path, tmp_path: Path) -> None:
    """Stamps corrected later: ids stay, and what was cut by the old ones waits for its new cut.

    Guards rows of the old audio with the new offsets and the new pieces.
    """
    video = Video("s1", TITLE, media, duration_s(media), description=SESSION)
    with serve([video], title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER, composer="chopin")
        with river(edition, tmp_path) as opened:
            opened.collect()
            before = rows_of(opened, "metadata")
            assert {row["source_offset_s"] for row in before} == {0.0, 14.0}
            ids = opened.keys()
            site.videos["s1"] = replace(video, description=SESSION.replace("(0:14)", "(0:10)"))
            assert opened.materialize("results", "recordings").success
            assert opened.keys() == ids
            assert opened.materialize("metadata").success
            assert rows_of(opened, "metadata") == []
            for stage in STAGES:
                assert opened.materialize(stage, keys=opened.keys()).success
            assert opened.materialize("metadata").success
            assert {row["piece"] is None for row in rows_of(opened, "metadata")} == {True}
            assert opened.materialize(*opened.tier.aggregates).success
            after = rows_of(opened, "metadata")
            assert {(row["performer"], row["source_offset_s"]) for row in after} == {
                ("Ada Quill", 0.0),
                ("Ben Rook", 10.0),
            }
            assert {row["piece"] is None for row in after} == {False}
            assert site.requests["/media/s1.flac"] <= 3, "the original is not fetched again"
            old = {row["embedding_sha256"] for row in before if row["performer"] == "Ben Rook"}
            assert old.isdisjoint(row["embedding_sha256"] for row in after)


def test_a_strange_page_stops_no_other(media: Path, tmp_path: Path) -> None:
    """Pages that yt-dlp stumbles over are named and asked again; the good session is cut.

    Guards a catalogue that one page of a channel can break for good.
    """
    video = Video("s1", TITLE, media)
    with serve([video], title="Test") as site:
        titles = ("First round, session 1", "First round, session 2", "First round, session 3")
        feed = list_pages(site, *titles)
        site.pages["/page0"] = session_page(site, description=["no", "text"])
        clip = {"@type": "Clip", "name": "x", "startOffset": 10**400, "endOffset": 1}
        site.pages["/page1"] = session_page(
            site, "Watch!", hasPart=[clip], duration="PT" + "9" * 400 + "S"
        )
        site.pages["/page2"] = session_page(site, duration=f"PT{duration_s(media):.0f}S")
        edition = write_edition(tmp_path, feed, ROSTER, composer="chopin")
        with river(edition, tmp_path) as opened:
            for _ in range(2):
                assert opened.materialize("results", "recordings").success
                assert len(opened.keys()) == 2
            details = {
                str(row["source_id"]): str(row["detail"]) for row in rows_of(opened, "unmatched")
            }
            assert "could not be read" in details["p0"]
            assert site.requests["/page0"] > site.requests["/page2"]


def test_after_a_rate_limit_no_page_is_asked_and_it_is_said(media: Path, tmp_path: Path) -> None:
    """The catalogue goes on, names what was not asked, and asks the next time."""
    with serve([Video("s1", TITLE, media)], title="Test") as site:
        feed = list_pages(site, "First round, session 1", "First round, session 2")
        for at in range(2):
            site.pages[f"/page{at}"] = session_page(site)
        site.faults["/page0"] = [FixedPage("slow down", status=429)] * 20
        edition = write_edition(tmp_path, feed, ROSTER, composer="chopin")
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            details = {
                str(row["source_id"]): str(row["detail"]) for row in rows_of(opened, "unmatched")
            }
            assert "too_many_requests" in details["p0"]
            assert "not asked" in details["p1"]
            assert "without a description" not in details["p1"]
            assert site.requests["/page1"] == 0
            site.faults.clear()
            assert opened.materialize("results", "recordings").success
            assert len(opened.keys()) == 2


def test_nothing_from_the_web_reaches_the_ui_as_markup(media: Path, tmp_path: Path) -> None:
    """Titles, descriptions, chapters, names and errors are harmless in every event of every run.

    Guards against a script, a link or an image that somebody wrote into a video's title.
    """
    link = "[x](javascript:alert(1))"
    works = (
        f"0:00 Etude in C major, Op. 10 No. 1 {SCRIPT}\n0:30 {link} {SCRIPT}\n0:10 Ballade {SCRIPT}"
    )
    videos = [
        Video("v0", f"{SCRIPT} – first round", media, description=works),
        Video("v1", "Ada Quill – first round", media, fault="garbage", description=works),
        Video(
            "v2",
            "Ben Rook – first round",
            media,
            has_page=True,
            description=works,
            chapters=((0.0, 30.0, f"{SCRIPT} {link}"),),
        ),
        Video(
            "s1",
            f"First round, session 1 {SCRIPT}",
            media,
            duration_s(media),
            description=SESSION.replace("ADA QUILL", SCRIPT),
        ),
    ]
    marks = f"juror;competitor;round;mark\nA;{SCRIPT}{link};first;22\n"
    (tmp_path / "marks.csv").write_text(marks)
    with serve(videos, title="Test") as site:
        results = [
            {"source": "roster", "path": "roster.csv"},
            {"source": "wikipedia", "url": f"{site.url}/wiki"},
        ]
        winner = "Ada &lt;script&gt;alert(1)&lt;/script&gt; Quillix [x](javascript:alert)"
        site.pages["/wiki"] = FixedPage(
            '<html><h2>Awards</h2><table class="wikitable"><tr><th>Prize</th><th>Winner</th></tr>'
            f"<tr><td>1</td><td>{winner}</td></tr></table></html>"
        )
        edition = write_edition(
            tmp_path,
            site.feed_url,
            ROSTER,
            composer="chopin",
            jury_marks="marks.csv",
            results=results,
        )
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            for stage in STAGES:
                opened.materialize(stage, keys=opened.keys())
            assert not opened.materialize(*opened.tier.aggregates).success
            site.feed_fault = 503
            assert not opened.materialize("recordings").success
            events = [
                dg.serialize_value(entry)
                for run in opened.instance.get_runs()
                for entry in opened.instance.all_logs(run.run_id)
            ]
            assert any("&#60;script" in event for event in events), "it is shown, as text"
            for markup in ("<script", "](javascript"):
                assert [event for event in events if markup in event] == []


def test_a_description_that_goes_on_is_no_session(media: Path, tmp_path: Path) -> None:
    """Of ten megabytes only a part is read, so where the last block ends is not known.

    Guards a last part that holds everybody whose block was not read.
    """
    assert MAX_DESCRIPTION_CHARS > MOST_CHARACTERS
    endless = SESSION.replace("\n", "\r\n") + "Watch the others as well!\r\n" * 400_000
    videos = [
        Video("s1", TITLE, media, duration_s(media), description=endless),
    ]
    with serve(videos, title="Test") as site:
        feed = list_pages(site, TITLE)
        site.pages["/page0"] = session_page(site, endless)
        for address in (site.feed_url, feed):
            edition = write_edition(tmp_path, address, ROSTER, composer="chopin")
            with river(edition, tmp_path) as opened:
                assert opened.materialize("results", "recordings").success
                assert opened.keys() == []
                details = [str(row["detail"]) for row in rows_of(opened, "unmatched")]
                assert any("longer than" in detail for detail in details)


def test_contradicting_sources_stop_the_catalogue_job(tmp_path: Path) -> None:
    """The job that a person starts lists nothing while two sources contradict each other.

    Guards places from the wrong one of them.
    """
    with serve([], title="Test") as site:
        prizes = "<tr><td>1</td><td>Ada Quill</td></tr><tr><td>3</td><td>Ben Rook</td></tr>"
        site.pages["/wiki"] = FixedPage(
            '<html><h2>Awards</h2><table class="wikitable">'
            f"<tr><th>Prize</th><th>Winner</th></tr>{prizes}</table></html>"
        )
        results = [
            {"source": "roster", "path": "roster.csv"},
            {"source": "wikipedia", "url": f"{site.url}/wiki"},
        ]
        edition = write_edition(tmp_path, site.feed_url, ROSTER, results=results)
        with river(edition, tmp_path) as opened:
            job = opened.definitions.resolve_job_def("competition_cache_test2021_catalogue")
            ran = job.execute_in_process(instance=opened.instance, raise_on_error=False)
            assert not ran.success
            check = opened.check("results", "sources_agree")
            assert not check.passed
            assert "Ben Rook" in str(check.description)
            assert not opened.materialize("recordings").success, "nor on its own"
            assert not opened.store.path(f"{opened.tier.folder('recordings')}.jsonl").exists()
            assert site.requests["/channel.rss"] == 0


def test_results_that_changed_since_give_no_pair_of_the_old_places(
    media: Path, tmp_path: Path
) -> None:
    """Until the recordings are made anew the preferences fail and name who; guards wrong pairs."""
    names = ("Ada Quill", "Ben Rook")
    videos = [Video(f"v{at}", f"{name} – first round", media) for at, name in enumerate(names)]
    with serve(videos, title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings", "programmes").success
            assert opened.materialize("preferences").success
            (tmp_path / "roster.csv").write_text(ROSTER.replace("final,2", "final,3"))
            assert opened.materialize("results").success
            said = failure_of(opened.materialize("preferences"))
            assert "Ben Rook" in said
            assert "recordings" in said
            assert opened.materialize("recordings").success
            assert opened.materialize("preferences").success


def test_metadata_before_programmes_says_what_to_make_first(media: Path, tmp_path: Path) -> None:
    """An advice names an asset that there is; guards rows without their labels."""
    (tmp_path / "marks.csv").write_text("juror;competitor;round;mark\nA;Ada Quill;first;22\n")
    with serve([Video("v0", "Ada Quill – first round", media)], title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER, jury_marks="marks.csv")
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            assert "test2021/programmes first" in failure_of(opened.materialize("metadata"))
            assert opened.materialize("programmes").success
            assert "test2021/jury_marks first" in failure_of(opened.materialize("metadata"))
            assert "test2021/jury_marks first" in failure_of(opened.materialize("preferences"))


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        (None, "No such file"),
        ("juror;competitor;round;mark\nA;Zed Nobody;first;22\n", "Zed Nobody"),
    ],
)
def test_wrong_marks_name_the_line_and_stop_no_programme(
    marks: str | None, said: str, media: Path, tmp_path: Path
) -> None:
    """The marks fail, with what to do; what needs them waits, and nothing else does."""
    if marks is not None:
        (tmp_path / "marks.csv").write_text(marks)
    with serve([Video("v0", "Ada Quill – first round", media)], title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER, jury_marks="marks.csv")
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            ran = opened.materialize(*opened.tier.aggregates)
            assert said in failure_of(ran)
            made = [event.asset_key for event in ran.get_asset_materialization_events()]
            assert made == [opened.key("programmes")]


def test_a_concerto_among_recitals_costs_no_other_its_pairs(media: Path, tmp_path: Path) -> None:
    """It is compared with nobody; guards one title that keeps all preferences from being made."""
    titles = (
        "Ada Quill – first round",
        "Ben Rook – first round",
        "Cleo Stern – Piano Concerto in E minor, Op. 11 (first round)",
    )
    videos = [Video(f"v{at}", title, media) for at, title in enumerate(titles)]
    with serve(videos, title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER)
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings", "programmes").success
            solo = {row["performer"]: row["solo"] for row in rows_of(opened, "recordings")}
            assert solo == {"Ada Quill": True, "Ben Rook": True, "Cleo Stern": False}
            assert opened.materialize("preferences").success
            assert opened.check("preferences", "preferences_follow_the_places").passed
            path = opened.store.path(f"{opened.tier.folder('preferences')}.parquet")
            pairs = pl.read_parquet(str(path)).select("better_performer", "worse_performer")
            assert pairs.rows() == [("Ada Quill", "Ben Rook")]


def test_what_is_refused_in_a_programme_is_said(media: Path, tmp_path: Path) -> None:
    """An override of an unknown recording and a refused line of a session's block are rows.

    Guards a correction that is never used because its id was mistyped.
    """
    (tmp_path / "programmes.csv").write_text("recording_id,start,work\nyt_typo,0:00,op23\n")
    description = SESSION.replace(
        "\n\n10.30", "\nBallada F-dur / Ballade in F major, Op. 38 (0:99)\n\n10.30"
    )
    video = Video("s1", TITLE, media, duration_s(media), description=description)
    with serve([video], title="Test") as site:
        edition = write_edition(
            tmp_path, site.feed_url, ROSTER, composer="chopin", programmes="programmes.csv"
        )
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings", "programmes").success
            problems = rows_of(opened, "programme_problems")
            assert [(row["recording_id"], row["source"]) for row in problems] == [
                ("yt_typo", "override"),
                (opened.keys()[0], "description"),  # the line before it now ends nowhere
                (opened.keys()[0], "description"),
            ]
            assert not opened.check("programmes", "programmes_are_known").passed


@pytest.mark.parametrize("kind", ["page", "feed"])
def test_a_session_that_cannot_be_fetched_fails_each_part_once(
    kind: str, media: Path, tmp_path: Path
) -> None:
    """Gone or cut short, each part has the original's reason; repaired, all come through.

    Guards a part that is cut from half a file, and one request for every part.
    """
    mp3 = encode(media, tmp_path / "session.mp3", "mp3")
    video = Video("s1", TITLE, mp3, duration_s(media), has_page=kind == "page", description=SESSION)
    with serve([replace(video, fault="truncated")], title="Test") as site:
        edition = write_edition(tmp_path, site.feed_url, ROSTER, composer="chopin")
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings").success
            assert len(opened.keys()) == 2
            assert not opened.materialize("audio", keys=opened.keys()).success
            assert reasons(opened) == ["truncated"] * 2
            site.videos["s1"] = replace(video, fault="forbidden")
            site.requests.clear()
            assert not opened.materialize("audio", keys=opened.keys()).success
            assert reasons(opened) == ["login_required"] * 2
            assert site.requests["/media/s1.mp3"] <= 2
            site.videos["s1"] = video
            assert opened.materialize("audio", keys=opened.keys()).success
            folder = opened.tier.folder("audio")
            keys = opened.keys()
            for key in keys:
                opened.store.path(f"{folder}/{key}.receipt.json").unlink()
            site.requests.clear()
            assert opened.materialize("audio", keys=keys).success
            assert not site.requests, "killed after the original: it is not fetched again"


def reasons(opened: River) -> list[str | None]:
    """Why the audio of each recording is not there."""
    keys, folder = opened.keys(), opened.tier.folder("audio")
    found = [read_receipt(opened.store, folder, key) for key in keys]
    return [receipt.reason if receipt else None for receipt in found]


def test_an_edition_without_a_roster_is_matched_and_paired(media: Path, tmp_path: Path) -> None:
    """Results from the web alone, one who withdrew among them: expected nowhere, in no pair."""
    titles = ("Ada Quill – first round", "Ben Rook – first round", "Cleo Stern – final round")
    videos = [Video(f"v{at}", title, media) for at, title in enumerate(titles)]
    people = (("Ada Quill", "Final round", ""), ("Ben Rook", "First round", ""),
              ("Cleo Stern", "Final round", "withdrew"))  # fmt: skip
    page = "".join(
        f'<li><b class="n">{name}</b><i class="s">{stage}</i><u class="w">{left}</u></li>'
        for name, stage, left in people
    )
    with serve(videos, title="Test") as site:
        site.pages["/people"] = FixedPage(f"<html><ul>{page}</ul></html>")
        source = {
            "source": "html", "pages": [{"url": f"{site.url}/people"}], "row": "li",
            "performer": ".n", "stage": ".s", "withdrew": ".w:not(:empty)",
        }  # fmt: skip
        edition = write_edition(tmp_path, site.feed_url, ROSTER, results=[source])
        with river(edition, tmp_path) as opened:
            assert opened.materialize("results", "recordings", "programmes").success
            assert {row["performer"] for row in rows_of(opened, "recordings")} == {
                "Ada Quill",
                "Ben Rook",
            }
            unmatched = rows_of(opened, "unmatched")
            assert [(row["source_id"], row["reason"]) for row in unmatched] == [
                ("v2", "did_not_play")
            ]
            gaps = opened.check("recordings", "every_performer_is_found").description
            assert str(gaps).startswith("2 of 4"), "Ada's final and Cleo's first round"
            assert opened.materialize("preferences").success
