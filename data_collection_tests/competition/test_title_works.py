"""Works that a title's words do not explain: asked of the repertoire, or known by their form.

The danger is a second person: whoever stands in capitals beside the performer may be a composer or
another pianist, a host, a programme. Only what can be nothing but a work may be one.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.competition.editions import BUNDLED_EDITIONS, read_edition
from data_collection.competition.titles import TitleMatch, TitleParser, TitleRejection
from data_collection_tests.competition.made_editions import PARSERS

AROUND = "Yang Xu – {} – Final Round – 2025 Cliburn Competition"
WORKS = (
    "ART TATUM Tea for Two",
    "STEPHEN HOUGH Fanfare Toccata",
    "TAN DUN Eight Memories in Watercolor",
    "JANE ROE Six Dances",
    "ROE Nocturne",
    "Jane Roe: Toccata",
    "Jane Roe: Sonata No. 1, Op. 3",
    "SCHULZ-EVLER Arabesques on “The Blue Danube”",
    "J. STRAUSS/GODOWSKY Symphonic Metamorphosis on “Künstlerleben”",
    "TCHAIKOVSKY (arr. PLETNEV) Concert Suite from The Nutcracker",
    "MOZART Piano Concerto No. 21 in C Major, K. 467 with cadenzas by Jane Roe",
    "BACH (transcribed by Jane Roe) Toccata, Adagio and Fugue in C Major, BWV 564",
    "MOZART/VOLODOS Rondo alla Turca",
)
PEOPLE_AND_TALK = (
    "SMITH Kate", "KATE Smith", "KATE SMITH Smith", "Kate SMITH", "KATE SMITH",
    "GARCÍA Lucía María", "GARCÍA LÓPEZ Lucía María", "NGUYEN THI Minh", "VAN DER BERG Jan",
    "KATE SMITH, violin", "Kate Smith: Final Thoughts", "Stephen Hough: Jury Chair",
    "STEPHEN HOUGH", "MARTHA ARGERICH and Friends", "MARTHA ARGERICH: The Legend",
    "KATE SMITH Teaches Mozart", "STEPHEN HOUGH Introduces Fanfare Toccata",
    "JON ROE Chats with Competitors", "CLIBURN Stories", "TEXAS Welcome for Everyone",
    "LIVE Chat from the Green Room", "NPR From the Top", "WRR Classical Morning with Kate",
    "CBS Sunday Morning", "PRESS ROOM Scenes", "SPOTLIGHT on Brahms", "OPEN MIC Night",
    "THANK YOU for Everything", "RACHMANINOFF Day in Fort Worth", "BRAHMS explained by the jury",
    "BRAHMS Piano Quintet with Takács Quartet", "MOZART with Kate Smith",
    "MOZART Double Concerto with Kate Smith", "MOZART Concerto for Two Pianos and Kate Smith",
    "ROE is Playing for Texas", "FROM Warsaw to Fort Worth",
    "STEPHEN HOUGH Masterpieces and Mistakes", "STEPHEN HOUGH In Conversation",
    "JON KIMURA PARKER In the Booth", "MARTHA ARGERICH Queen of the Piano", "JANE ROE “Light”",
    "YUNCHAN LIM Back in Texas", "JANE ROE Night and Day", "CLARA SCHUMANN Award",
)  # fmt: skip
WITHIN_A_PIECE = (
    "Li",
    "Xu",
    "Robert",
    "by Alexander",
    "for Maria",
    "Franke",
    "& Kate",
    "for Hanna",
)


@pytest.mark.parametrize("work", WORKS)
def test_a_work_is_known_by_its_form(work: str) -> None:
    """Commissioned works, arrangements and cadenzas by anybody; guards lost recitals."""
    result = PARSERS["cliburn2025"].parse(AROUND.format(work))
    assert isinstance(result, TitleMatch), result
    assert result.piece is not None


@pytest.mark.parametrize("stretch", PEOPLE_AND_TALK)
def test_people_and_talk_are_no_work(stretch: str) -> None:
    """A second person or an occasion in a work's place; guards another's music as one's own."""
    for title in (AROUND.format(stretch), AROUND.replace(" – {}", ", {}").format(stretch)):
        assert isinstance(PARSERS["cliburn2025"].parse(title), TitleRejection), title


@pytest.mark.parametrize(
    "title",
    [
        "Yang Xu – ART TATUM Tea for Two – Final Round",
        "Yang Xu – ART TATUM Tea for Two – 2025 Cliburn Competition",
        "Yangg Xu – ART TATUM Tea for Two – Final Round – 2025 Cliburn Competition",
        "YANG XU – ART TATUM TEA FOR TWO – FINAL ROUND – 2025 CLIBURN COMPETITION",
        "Yang Xu, ART TATUM Tea for Two – Final Round – 2025 Cliburn Competition",
        "Yang Xu ART TATUM Tea for Two – Final Round – 2025 Cliburn Competition",
    ],
)
def test_form_alone_needs_name_round_and_edition_beside_it(title: str) -> None:
    """Where anything else is in doubt, so is a stretch that no word explains."""
    result = PARSERS["cliburn2025"].parse(title)
    assert isinstance(result, TitleRejection), result


def test_in_a_competition_of_one_composer_nobody_elses_work_is_known_by_form() -> None:
    """Only one composer is played there; guards a name in capitals in its recitals."""
    title = "Alice Wu – ART TATUM Tea for Two – first round (19th Chopin Competition, Warsaw)"
    assert isinstance(PARSERS["chopin2025"].parse(title), TitleRejection)


@settings(max_examples=200)
@given(
    st.sampled_from(
        ("Nocturne c-moll op. 48/1", "Mazurken op. 59 (Nr. 1–3)", "Scherzo #2 in Bb minor, Op. 31")
    ),
    st.sampled_from(WITHIN_A_PIECE),
    st.integers(0, 5),
)
def test_a_strange_word_within_a_piece_is_no_part_of_it(piece: str, strange: str, at: int) -> None:
    """The repertoire forgives names and short words; a title does not: they may be people."""
    words = piece.split()
    words.insert(min(at, len(words)), strange)
    parser = PARSERS["chopin2015"]
    assert isinstance(parser.parse(f"Rina Nakagawa – {piece} (first stage)"), TitleMatch)
    result = parser.parse(f"Rina Nakagawa – {' '.join(words)} (first stage)")
    assert isinstance(result, TitleRejection), words


@pytest.mark.parametrize("edition", ["chopin2021", "chopin2025", "cliburn2022"])
def test_a_title_must_name_an_edition_whose_titles_always_do(edition: str) -> None:
    """The channel has other editions too: guards a finalist's recital of ten years before."""
    found = read_edition(BUNDLED_EDITIONS / f"{edition}.yaml")
    performer, round_ = found.roster()[0].performer, found.rounds[0]
    bare = f"{performer} – {round_.title_words[0]} round"
    parser = TitleParser.for_edition(found, found.roster())
    unnamed = parser.parse(bare)
    assert isinstance(unnamed, TitleRejection)
    assert unnamed.reason == "edition_not_named"
    for named in (
        f"{bare} ({found.title_suffix})",
        f"{bare} {found.year}",
        f"{bare}, {found.name}",
    ):
        assert isinstance(parser.parse(named), TitleMatch), named
    assert isinstance(parser.parse(bare, round_hint=round_.id), TitleMatch)


def test_an_edition_with_bare_titles_takes_them() -> None:
    """2015 was published piece by piece without a suffix; guards an edition with no recording."""
    found = read_edition(BUNDLED_EDITIONS / "chopin2015.yaml")
    title = f"{found.roster()[0].performer} – Mazurka in C major Op. 56 No. 2 (first stage)"
    assert isinstance(TitleParser.for_edition(found, found.roster()).parse(title), TitleMatch)


def test_places_are_an_editions_own() -> None:
    """Fort Worth explains nothing in Warsaw: guards another competition's recital."""
    parts = {"chopin2025": "first round", "cliburn2025": "Final Round"}
    people = {"chopin2025": "Alice Wu", "cliburn2025": "Yang Xu"}
    places = {"chopin2025": "Warszawa", "cliburn2025": "Bass Performance Hall"}
    for edition, parser in ((e, PARSERS[e]) for e in parts):
        for host, place in places.items():
            result = parser.parse(f"{people[edition]} – {parts[edition]} – {place}")
            assert isinstance(result, TitleMatch) == (host == edition), (edition, place)
