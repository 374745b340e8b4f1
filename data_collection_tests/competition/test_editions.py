"""Every bundled edition, and one made up here: by their files alone, with no code of their own."""

from __future__ import annotations

import ast
import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import pytest

import data_collection
from data_collection.competition.editions import BUNDLED_EDITIONS, Edition, read_edition
from data_collection.competition.matching import ListingEntry, match_listing
from data_collection.competition.names import compare_names, fold
from data_collection.competition.placement import placements, prize_problems
from data_collection.competition.roster import (
    CONFIDENCES,
    Competitor,
    counts_by_stage,
    played_by_stage,
)
from data_collection.competition.titles import TitleMatch, TitleParser, TitleRejection
from data_collection.sample.media import AUDIO
from data_collection.sample.server import Video, serve
from data_collection_tests.river import river, write_edition

IDS = tuple(sorted(path.stem for path in BUNDLED_EDITIONS.glob("*.yaml")))
PACKAGE = Path(data_collection.__file__).parent
ROSTERS_EXPLAINED = PACKAGE.parent / "docs" / "decisions" / "rosters.md"

ADMITTED = {
    "chopin2015": {"stage2": 43, "stage3": 20, "final": 10},
    "chopin2021": {"stage1": 87, "stage2": 45, "stage3": 23, "final": 12},
    "chopin2025": {"stage1": 84, "stage2": 40, "stage3": 20, "final": 11},
    "cliburn2022": {"preliminary": 30, "quarterfinal": 18, "semifinal": 12, "final": 6},
}
PRIZES = {
    "chopin2015": {
        1: {"Seong-Jin Cho"},
        2: {"Charles Richard-Hamelin"},
        3: {"Kate Liu"},
        4: {"Eric Lu"},
        5: {"Yike (Tony) Yang"},
        6: {"Dmitry Shishkin"},
    },
    "chopin2021": {
        1: {"Bruce (Xiaoyu) Liu"},
        2: {"Alexander Gadjiev", "Kyohei Sorita"},
        3: {"Martin Garcia Garcia"},
        4: {"Aimi Kobayashi", "Jakub Kuszlik"},
        5: {"Leonora Armellini"},
        6: {"J J Jun Li Bui"},
    },
    "chopin2025": {
        1: {"Eric Lu"},
        2: {"Kevin Chen"},
        3: {"Zitong Wang"},
        4: {"Shiori Kuwahara", "Tianyao Lyu"},
        5: {"Piotr Alexewicz", "Vincent Ong"},
        6: {"William Yang"},
    },
    "cliburn2022": {1: {"Yunchan Lim"}, 2: {"Anna Geniushene"}, 3: {"Dmytro Choni"}},
}
# How each channel titles a performance of a round; `{name}` is in capitals too in the tests.
CHOPIN_STAGES = (("stage1", "first", "I"), ("stage2", "second", "II"), ("stage3", "third", "III"))
STYLES: dict[str, dict[str, tuple[str, ...]]] = {
    "chopin2015": {
        **{
            round_id: (
                f"{{name}} – Prelude in A major Op. 28 No. 7 ({word} stage)",
                f"{{name}} – Etude in C minor, Op. 10 No. 12 ({word} stage)",
                f"{{name}} – Mazurka in C sharp minor, Op. 50 No. 3 ({roman} etap)",
            )
            for round_id, word, roman in CHOPIN_STAGES
        },
        "final": (
            "{name} – Piano Concerto in E minor Op. 11 (final stage)",
            "{name} – Piano Concerto in F minor Op. 21 (final of the Chopin Competition 2015)",
        ),
    },
    **{
        edition_id: {
            **{
                round_id: (
                    f"{{name}} – {word} round ({ordinal} Chopin Competition, Warsaw)",
                    f"{{name}} – {roman} etap ({ordinal} Chopin Competition, Warsaw)",
                )
                for round_id, word, roman in CHOPIN_STAGES
            },
            "final": (f"{{name}} – final round ({ordinal} Chopin Competition, Warsaw)",),
        }
        for edition_id, ordinal in (("chopin2021", "18th"), ("chopin2025", "19th"))
    },
    "cliburn2022": {
        round_id: (
            f"{{name}} – {word} Round Recital – 2022 Cliburn Competition",
            f"{{name}} – {word} Round – 2022 Cliburn Competition",
        )
        for round_id, word in (
            ("preliminary", "Preliminary"),
            ("quarterfinal", "Quarterfinal"),
            ("semifinal", "Semifinal"),
            ("final", "Final"),
        )
    },
}
# What a title has that names its edition; 2015's seldom do.
MARKS = {"chopin2015": "2015", "chopin2021": "18th", "chopin2025": "19th", "cliburn2022": "2022"}
# Titles as others quote them, and whose performance of which round they are.
SEEN = (
    (
        "chopin2015",
        "Łukasz Krupiński – Etude in F minor from 'Trois Nouvelles Études' No. 1 (second stage)",
        ("Łukasz Krupiński", "stage2"),
    ),
    (
        "chopin2015",
        "Seong-Jin Cho – Prelude in A major Op. 28 No. 7 (third stage)",
        ("Seong-Jin Cho", "stage3"),
    ),
    (
        "cliburn2022",
        "Yunchan Lim – Semifinal Round Recital – 2022 Cliburn Competition",
        ("Yunchan Lim", "semifinal"),
    ),
)
# Who competed in two editions, and in which.
RETURNED = (
    ("Eric Lu", "chopin2015", "chopin2025"),
    ("Andrzej Wierciński", "chopin2021", "chopin2025"),
    ("Piotr Alexewicz", "chopin2021", "chopin2025"),
    ("Hyuk Lee", "chopin2021", "chopin2025"),
    ("Georgijs Osokins", "chopin2015", "chopin2021"),
    ("Georgijs Osokins", "chopin2021", "cliburn2022"),
    ("Kate Liu", "chopin2015", "cliburn2022"),
    ("Honggi Kim", "chopin2015", "cliburn2022"),
    ("Yutong Sun", "chopin2021", "cliburn2022"),
)
NO_PERFORMANCES = {
    "chopin2015": (
        "Seong-Jin Cho – Piano Concerto in E minor Op. 11 (Prize-winners' Concert)",
        "Kate Liu – Etude in C major Op. 10 No. 1 (preliminary round)",
        "Eric Lu – first round (19th Chopin Competition, Warsaw)",
    ),
    "chopin2021": (
        "AIMI KOBAYASHI – preliminary round (18th Chopin Competition, Warsaw)",
        "HYUK LEE – first round (19th Chopin Competition, Warsaw)",
    ),
    "chopin2025": (
        "ERIC LU – preliminary round (19th Chopin Competition, Warsaw)",
        "HYUK LEE – final round (18th Chopin Competition, Warsaw)",
        "ERIC LU – winner of the 19th Chopin Competition, Warsaw",
    ),
    "cliburn2022": (
        "Yunchan Lim – Semifinal Round Recital – 2025 Cliburn Competition",
        "Yunchan Lim – Screening Audition – 2022 Cliburn Competition",
        "Yunchan Lim – Gold Medalist – 2022 Cliburn Competition",
    ),
}


@dataclass(frozen=True)
class Opened:
    """An edition with its roster and the parser of its titles."""

    edition: Edition
    roster: tuple[Competitor, ...]
    parser: TitleParser

    def match(self, title: str, *, hint: str | None = None) -> tuple[str, str] | None:
        """Performer and round of a title, or None where it is not taken."""
        found = self.parser.parse(title, round_hint=hint)
        return (found.performer, found.round_id) if isinstance(found, TitleMatch) else None

    def namesakes(self) -> list[list[str]]:
        """Performers who share a family name, group by group."""
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for competitor in self.roster:
            groups[fold(competitor.performer).split()[-1]].append(competitor.performer)
        return [group for group in groups.values() if len(group) > 1]


@lru_cache
def opened(edition_id: str) -> Opened:
    """Open a bundled edition once for all tests."""
    edition = read_edition(BUNDLED_EDITIONS / f"{edition_id}.yaml")
    roster = edition.roster()
    return Opened(edition, roster, TitleParser.for_edition(edition, roster))


def titles(edition_id: str, performer: str) -> Iterator[tuple[str, str]]:
    """Each round's titles of a performer as the edition's channel writes them."""
    for round_id, styles in STYLES[edition_id].items():
        for style in styles:
            for name in (performer, performer.upper()):
                yield round_id, style.format(name=name)


@pytest.mark.parametrize("edition_id", IDS)
def test_a_roster_meets_the_counts_its_edition_states(edition_id: str) -> None:
    """Stated counts are the roster's; guards an edition that its own blocking check refuses."""
    edition, roster = opened(edition_id).edition, opened(edition_id).roster
    stated = {r.id: r.competitors for r in edition.rounds if r.competitors is not None}
    played = {r.id: r.played for r in edition.rounds if r.played is not None}
    assert edition.id == edition_id, "the file is named after the edition"
    assert stated == ADMITTED[edition_id]
    assert counts_by_stage(roster, edition.round_ids).items() >= stated.items()
    assert played_by_stage(roster, edition.round_ids).items() >= played.items()


def test_an_incomplete_roster_states_no_count_for_what_it_lacks() -> None:
    """2015's first stage has 76 of its pianists; guards a count that would call them all."""
    edition = opened("chopin2015").edition
    assert edition.rounds[0].competitors is None
    assert len(opened("chopin2015").roster) == 76


@pytest.mark.parametrize("edition_id", IDS)
def test_prizes_are_those_that_were_awarded(edition_id: str) -> None:
    """Each prize has its winners, ties are ties, no number is skipped; guards a wrong label."""
    edition, roster = opened(edition_id).edition, opened(edition_id).roster
    awarded: defaultdict[int, set[str]] = defaultdict(set)
    for competitor in roster:
        if competitor.prize is not None:
            awarded[competitor.prize].add(competitor.performer)
    assert awarded == PRIZES[edition_id]
    assert not prize_problems([c.prize for c in roster if c.prize is not None])
    places = placements(roster, edition.round_ids)
    for earlier, later in combinations(edition.round_ids, 2):
        best_of_earlier = min(places[c.performer] for c in roster if c.reached_stage == earlier)
        worst_of_later = max(places[c.performer] for c in roster if c.reached_stage == later)
        assert worst_of_later < best_of_earlier, (earlier, later)


@pytest.mark.parametrize("edition_id", IDS)
def test_every_row_says_where_it_comes_from(edition_id: str) -> None:
    """A sourced row names its source; guards a name that nobody can look up."""
    for competitor in opened(edition_id).roster:
        assert competitor.confidence in CONFIDENCES, competitor.performer
    with (BUNDLED_EDITIONS / f"{edition_id}.csv").open(encoding="utf-8", newline="") as file:
        assert not [row["performer"] for row in csv.DictReader(file) if not row["sources"].strip()]


@pytest.mark.parametrize("edition_id", ["chopin2015", "chopin2025", "cliburn2022"])
def test_every_source_is_explained(edition_id: str) -> None:
    """Each short name of a source stands in the document on rosters; guards a private code."""
    if not ROSTERS_EXPLAINED.is_file():
        pytest.skip(f"{ROSTERS_EXPLAINED} is not shipped with an installed package")
    explained = ROSTERS_EXPLAINED.read_text(encoding="utf-8")
    with (BUNDLED_EDITIONS / f"{edition_id}.csv").open(encoding="utf-8", newline="") as file:
        codes = {code for row in csv.DictReader(file) for code in row["sources"].split(",")}
    assert not [code for code in sorted(codes) if f"| {code} |" not in explained]


@pytest.mark.parametrize("edition_id", IDS)
def test_no_name_is_another_ones_spelling(edition_id: str) -> None:
    """Folded, no competitor's name reads as another's; guards a roster with one person twice."""
    for one, other in combinations(opened(edition_id).roster, 2):
        assert not compare_names(one.performer, other.performer), (one, other)
        assert not compare_names(other.performer, one.performer), (one, other)


@pytest.mark.parametrize("edition_id", IDS)
def test_every_round_of_every_finalist_is_read(edition_id: str) -> None:
    """All rounds in the channel's own styles; guards an edition whose words nobody writes."""
    assert STYLES[edition_id].keys() == set(opened(edition_id).edition.round_ids)
    last = opened(edition_id).edition.round_ids[-1]
    for competitor in opened(edition_id).roster:
        if competitor.reached_stage == last:
            for round_id, title in titles(edition_id, competitor.performer):
                assert opened(edition_id).match(title) == (competitor.performer, round_id), title


@pytest.mark.parametrize(("edition_id", "title", "meant"), SEEN)
def test_titles_that_were_seen_are_read(
    edition_id: str, title: str, meant: tuple[str, str]
) -> None:
    """The channels' own titles, as others quote them; guards a grammar of made-up titles only."""
    assert opened(edition_id).match(title) == meant


@pytest.mark.parametrize("edition_id", IDS)
def test_everybody_is_read_in_the_first_round(edition_id: str) -> None:
    """No name of any roster trips the parser; guards a name that is a round's or a piece's word."""
    first = opened(edition_id).edition.round_ids[0]
    style = STYLES[edition_id][first][0]
    for competitor in opened(edition_id).roster:
        for name in (competitor.performer, competitor.performer.upper()):
            title = style.format(name=name)
            assert opened(edition_id).match(title) == (competitor.performer, first), title


@pytest.mark.parametrize("edition_id", IDS)
def test_namesakes_are_told_apart(edition_id: str) -> None:
    """Sisters, brothers, four Lis: in either order each is only themselves."""
    groups = opened(edition_id).namesakes()
    assert groups, "every edition so far has two people of one family name"
    style = STYLES[edition_id][opened(edition_id).edition.round_ids[0]][0]
    for performer in (name for group in groups for name in group):
        *given, family = performer.split()
        for written in (performer, f"{family} {' '.join(given)}", f"{family}, {' '.join(given)}"):
            found = opened(edition_id).match(style.format(name=written))
            assert found is not None, written
            assert found[0] == performer, (written, found)


@pytest.mark.parametrize("edition_id", IDS)
def test_a_name_that_several_share_is_nobodys(edition_id: str) -> None:
    """A family name, alone or with an initial, matches none of those who bear it."""
    style = STYLES[edition_id][opened(edition_id).edition.round_ids[0]][0]
    for group in opened(edition_id).namesakes():
        family = group[0].split()[-1]
        initials = {f"{performer[0]}. {family}" for performer in group}
        for written in (family, family.upper(), *initials):
            assert opened(edition_id).match(style.format(name=written)) is None, written


def test_a_misspelling_between_two_brothers_is_nobodys() -> None:
    """`Hyu` is a letter from Hyo and from Hyuk; guards a coin toss between them."""
    for _, title in titles("chopin2025", "Hyu Lee"):
        assert opened("chopin2025").match(title) is None, title


@pytest.mark.parametrize(
    ("performer", "own", "other"),
    [(p, a, b) for p, *pair in RETURNED for a, b in (pair, pair[::-1])],
)
def test_a_title_that_names_its_edition_is_no_other_ones(
    performer: str, own: str, other: str
) -> None:
    """Who came back is not matched by the other edition's title; guards a label of other years."""
    assert performer in {c.performer for c in opened(own).roster}
    assert performer in {c.performer for c in opened(other).roster}
    named = [title for _, title in titles(own, performer) if MARKS[own] in title]
    assert named
    for title in named:
        assert opened(own).match(title) is not None, title
        assert opened(other).match(title) is None, title


@pytest.mark.parametrize("performer", ["Eric Lu", "Arisa Onoda", "Yuanfan Yang"])
def test_an_earlier_editions_bare_title_displaces_no_recital(performer: str) -> None:
    """2015's titles name no edition and lie on the same channel: the recital that does is kept."""
    bare = f"{performer} – Etude in C minor, Op. 10 No. 12 (first stage)"
    named = f"{performer.upper()} – first round (19th Chopin Competition, Warsaw)"
    for order in (1, -1):
        entries = [
            ListingEntry("old", "old", "https://example.org/old", bare, 160.0),
            ListingEntry("new", "new", "https://example.org/new", named, 1_700.0),
        ][::order]
        edition = opened("chopin2025")
        matched = match_listing(entries, edition.edition, edition.roster).matched
        assert [row.entry.recording_id for row in matched] == ["new"]


@pytest.mark.parametrize(
    ("edition_id", "title"),
    [(edition_id, title) for edition_id, all_ in NO_PERFORMANCES.items() for title in all_],
)
def test_what_is_no_performance_of_the_edition_is_refused(edition_id: str, title: str) -> None:
    """Preliminaries, concerts after it, other years: a full name is not enough."""
    assert isinstance(opened(edition_id).parser.parse(title), TitleRejection)


def test_a_concerto_without_a_round_needs_its_playlist() -> None:
    """The Cliburn plays concertos in two rounds and titles name neither; guards a guess."""
    title = "Yunchan Lim – Rachmaninoff: Piano Concerto No. 3 in D Minor, op. 30 – 2022 Cliburn"
    title += " Competition"
    assert opened("cliburn2022").match(title) is None
    assert opened("cliburn2022").match(title, hint="final") == ("Yunchan Lim", "final")


MADE_UP = """performer,country,reached_stage,prize
Ada Quill,Nowhere,showdown,1
Bente Ørsted,Nowhere,showdown,2
Bente Rook,Elsewhere,showdown,2
Cleo Stern,Elsewhere,knockout,
Dov Stern,Nowhere,heat,
"""
MADE_UP_TITLES = {
    "v1": "ADA QUILL – heat (3rd Sandbank Competition, Nowhere)",
    "v2": "Ada Quill – Knockout Round (3rd Sandbank Competition, Nowhere)",
    "v3": "Ada Quill – Showdown (3rd Sandbank Competition, Nowhere)",
    "v4": "BENTE ØRSTED – heat (3rd Sandbank Competition, Nowhere)",
    "v5": "Rook, Bente – showdown (3rd Sandbank Competition, Nowhere)",
    "v6": "Cleo Stern – Ballade No. 1 in G minor, Op. 23 (knockout)",
    "v7": "Dov Stern – heat (3rd Sandbank Competition, Nowhere)",
    "n1": "Dov Stern – knockout round (3rd Sandbank Competition, Nowhere)",
    "n2": "Stern – heat (3rd Sandbank Competition, Nowhere)",
    "n3": "Ada Quill – heat (2nd Sandbank Competition, Nowhere)",
    "n4": "Ada Quill – first round (3rd Sandbank Competition, Nowhere)",
    "n5": "Meet the jury of the Sandbank Competition",
}
MADE_UP_ROWS = {
    "v1": ("Ada Quill", "heat", 1, True),
    "v2": ("Ada Quill", "knockout", 1, True),
    "v3": ("Ada Quill", "showdown", 1, False),
    "v4": ("Bente Ørsted", "heat", 2, True),
    "v5": ("Bente Rook", "showdown", 2, False),
    "v6": ("Cleo Stern", "knockout", 3, True),
    "v7": ("Dov Stern", "heat", 4, True),
}


def test_an_edition_nobody_foresaw_works_from_its_files(tmp_path: Path) -> None:
    """Rounds of other names, from a file and a roster to recordings.jsonl; guards `if edition`."""
    media = AUDIO / "stage1_sol.opus"
    videos = [Video(id_, title, media) for id_, title in MADE_UP_TITLES.items()]
    with serve(videos, title="Sandbank") as site:
        edition = write_edition(
            tmp_path,
            site.feed_url,
            MADE_UP,
            id="sandbank2031",
            name="Third Sandbank Piano Competition",
            year=2031,
            title_suffix="3rd Sandbank Competition, Nowhere",
            rounds=[
                {"id": "heat", "title_words": ["heat"], "competitors": 5},
                {"id": "knockout", "title_words": ["knockout"], "competitors": 4},
                {"id": "showdown", "title_words": ["showdown"], "solo": False, "competitors": 3},
            ],
        )
        with river(edition, tmp_path) as opened_river:
            assert opened_river.materialize("results", "recordings").success
            assert opened_river.check("results", "results_add_up").passed
            folder = "competition_cache/sandbank2031"
            recordings, unmatched = (
                [
                    json.loads(line)
                    for line in opened_river.store.path(f"{folder}/{name}.jsonl")
                    .read_text("utf-8")
                    .splitlines()
                ]
                for name in ("recordings", "unmatched")
            )
            keys = opened_river.keys()
    assert {
        row["source_id"]: (row["performer"], row["round"], row["placement"], row["solo"])
        for row in recordings
    } == MADE_UP_ROWS
    assert {row["source_id"] for row in unmatched} == MADE_UP_TITLES.keys() - MADE_UP_ROWS.keys()
    assert sorted(keys) == sorted(row["recording_id"] for row in recordings)


def test_no_code_knows_an_edition() -> None:
    """No module holds an edition's id or compares an edition with a constant."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant):
                assert node.value not in IDS, where
            if isinstance(node, ast.Compare):
                sides = (node.left, *node.comparators)
                named = any(
                    isinstance(side, ast.Attribute)
                    and side.attr in ("id", "name", "year", "sample")
                    and ast.unparse(side.value).split(".")[-1] in ("edition", "_edition")
                    for side in sides
                )
                assert not (named and any(isinstance(s, ast.Constant) for s in sides)), where
