"""Titles made by a grammar: any recital is read as its own, anything else is nobody's.

A hand-written list shows what its author thought of. Here names, rounds, pieces and decoration are
drawn apart from each other and put together, so that every rule meets every other.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.competition.names import fold
from data_collection.competition.titles import TitleMatch, TitleParser, TitleRejection
from data_collection_tests.competition.made_editions import PARSERS, PEOPLE, parser_of, roster_of

ROUNDS = {
    "chopin": {
        "stage1": (
            "first round",
            "1st stage",
            "I etap",
            "etap I",
            "Stage 1",
            "1. Runde",
            "pierwszy etap",
            "premier tour",
            "1ère étape",
            "primera ronda",
            "prima prova",
            "Round One",
            "First Stage",
        ),
        "stage2": (
            "second round",
            "2nd stage",
            "II etap",
            "etap 2",
            "Stage II",
            "zweite Runde",
            "drugi etap",
            "deuxième tour",
            "2e étape",
            "segunda ronda",
            "2ª etapa",
            "Round 2",
            "secnd round",
        ),
        "stage3": (
            "third round",
            "3rd round",
            "III etap",
            "3. etap",
            "Stage III",
            "dritte Runde",
            "trzeci etap",
            "troisième tour",
            "3e étape",
            "tercera ronda",
            "terza prova",
            "thrid stage",
            "ROUND THREE",
        ),
        "final": (
            "final round",
            "final",
            "finał",
            "The Final",
            "final stage",
            "Finals",
            "Grand Final",
            "final ronud",
        ),
    },
    "cliburn": {
        "preliminary": (
            "Preliminary Round",
            "Preliminaries",
            "preliminary",
            "Prelims",
            "Preliminary Round Recital",
            "Prelimnary Round",
        ),
        "quarterfinal": (
            "Quarterfinal Round",
            "Quarter-Final",
            "quarterfinals",
            "quart de finale",
            "ćwierćfinał",
            "Viertelfinale",
            "cuartos de final",
            "Quarterfinal Round Recital",
        ),
        "semifinal": (
            "Semifinal Round",
            "Semi-Final",
            "SEMIFINALS",
            "demi-finale",
            "półfinał",
            "Halbfinale",
            "Semi Final Round",
            "semifinale",
        ),
        "final": ("Final Round", "Finals", "Final", "finał", "The Final", "Grand Finals"),
    },
}
PIECES = (
    "Etude in C minor, Op. 10 No. 12", "Ballada g-moll op. 23",
    "Étude in A minor Op. 25 No. 11 “Winter Wind”",
    "LISZT Sonata in B Minor, S. 178", "RAVEL Gaspard de la nuit",
    "Haydn: Sonata in C major, Hob. XVI:50",
    "Schubert: Wanderer Fantasy", "STRAVINSKY Three Movements from Petrushka", "Mazurkas Op. 59",
    "Bach: Partita No. 2 in C minor, BWV 826", "BARTÓK Out of Doors, Sz. 81", "Kreisleriana",
    "Schumann Carnaval",
    "Liebermann: Gargoyles, Op. 29", "RAVEL La valse", "Piano Concerto No. 1 in E minor, Op. 11",
    "Prelude in D flat major Op. 28 No. 15 “Raindrop”", "Sonata in B minor, Op. 58: III. Largo",
    "24 Preludes, Op. 28", "J.S. Bach: Chromatic Fantasy and Fugue",
    "Klavierkonzert Nr. 1 e-Moll op. 11",
    "Concerto en mi mineur", "MESSIAEN Regard de l’Esprit de joie", "Rondo à la mazur, Op. 5",
    "Andante spianato & Grande Polonaise brillante, Op. 22", "MUSSORGSKY Pictures at an Exhibition",
    "Beethoven Sonata No. 29 “Hammerklavier”",
    "Brahms: Klavierstücke, Op. 118; Liszt: Mephisto Waltz No. 1",
)  # fmt: skip
DECORATION = (
    "[4K]", "HD", "🎹", "(full recital)", "LIVE", "Steinway & Sons", "Yamaha CFX",
    "Shigeru Kawai", "Fazioli F278",
    "#17", "No. 17", "nr 40", "part 1", "cz. 2", "(1/2)", "Part 2 of 3", "day 3", "1080p60",
    "Official Video",
    "#piano #pianist", "{country}", "({country})", "10:00", "3 October {year}",
    "October 3, {year}", "3.10.{year}",
    "{year}-10-03", "3 października {year}", "{year}", "{suffix}", "({suffix})", "{place}",
    "{long_name}",
)  # fmt: skip
OF_A_FINAL = (
    "with the Warsaw Philharmonic", "Warsaw Philharmonic / Andrzej Boreyko",
    "Fort Worth Symphony Orchestra",
    "Orkiestra Filharmonii Narodowej, dyr. Andrzej Boreyko",
    "Royal Liverpool Philharmonic Orchestra & Jane Roe",
    "Marin Alsop, conductor", "cond. Andrzej Boreyko",
)  # fmt: skip
OWN_WORDS = {
    "chopin2015": {
        "year": "2015",
        "suffix": "17th Chopin Competition, Warsaw",
        "place": "Warsaw",
        "long_name": "XVII Międzynarodowy Konkurs Pianistyczny im. Fryderyka Chopina",
    },
    "chopin2025": {
        "year": "2025",
        "suffix": "19th Chopin Competition, Warsaw",
        "place": "Filharmonia Narodowa",
        "long_name": "Concours international de piano Frédéric-Chopin",
    },
    "cliburn2025": {
        "year": "2025",
        "suffix": "2025 Cliburn Competition",
        "place": "Bass Hall, Fort Worth",
        "long_name": "17th Van Cliburn International Piano Competition",
    },
}
SEPARATORS = (" – ", " - ", " — ", " | ", ": ", " / ", " • ", "  –  ", " ｜ ")


def rounds_of(edition: str) -> dict[str, tuple[str, ...]]:
    return ROUNDS["chopin" if edition.startswith("chopin") else "cliburn"]


@dataclass(frozen=True)
class Recital:
    """What a title is made of and what it must be read as."""

    edition: str
    performer: str
    round_id: str
    parts: tuple[str, ...]
    separator: str

    @property
    def title(self) -> str:
        """The title in writing."""
        return self.separator.join(self.parts)


@st.composite
def written_names(draw: st.DrawFn, name: str) -> str:
    """Draw a way to write a name: upper case, family name first, unaccented, hyphens dropped."""
    *given_names, family = name.split()
    if not name.startswith("Lin ") and "Jr." not in name and draw(st.booleans()):
        comma = ", " if draw(st.booleans()) else " "
        name = f"{family}{comma}{' '.join(given_names)}"
    if draw(st.booleans()):
        name = name.upper()
    if draw(st.booleans()):
        name = name.replace("-", " ")
    if draw(st.booleans()):
        name = fold(name)
    return name


@st.composite
def recitals(draw: st.DrawFn) -> Recital:
    """Draw one performer's title of one round, its parts in any order after name and round."""
    edition = draw(st.sampled_from(sorted(PARSERS)))
    performer, country = draw(st.sampled_from(sorted(PEOPLE[edition].items())))
    round_id = draw(st.sampled_from(sorted(rounds_of(edition))))
    own = {**OWN_WORDS[edition], "country": country}
    head = [draw(written_names(performer)), draw(st.sampled_from(rounds_of(edition)[round_id]))]
    if draw(st.booleans()):
        head.append(draw(st.sampled_from(PIECES)))
    head = draw(st.permutations(head))
    extra = draw(st.lists(st.sampled_from(DECORATION), max_size=3, unique=True))
    if round_id == "final" and draw(st.booleans()):
        extra.append(draw(st.sampled_from(OF_A_FINAL)))
    parts = [*head, *(word.format(**own) for word in extra)]
    return Recital(edition, performer, round_id, tuple(parts), draw(st.sampled_from(SEPARATORS)))


def read(edition: str, title: str) -> tuple[str, str] | str:
    """Give performer and round, or the reason with its detail."""
    result = PARSERS[edition].parse(title)
    if isinstance(result, TitleMatch):
        return result.performer, result.round_id
    return f"{result.reason}: {result.detail}"


@settings(max_examples=400)
@given(recital=recitals(), composed=st.booleans())
def test_a_recital_is_read_as_what_it_was_made_of(recital: Recital, *, composed: bool) -> None:
    """Whatever stands beside name and round, in whatever order; guards against lost recordings."""
    title = unicodedata.normalize("NFC" if composed else "NFD", recital.title)
    assert read(recital.edition, title) == (recital.performer, recital.round_id), title


GUARDS = (
    "Interview", "portrait", "behind the scenes", "rehearsal", "masterclass", "winner's concert",
    "Prizewinners",
    "gala", "encore", "announcement of the results", "news", "kulisy", "wywiad", "wyniki",
    "session 2", "sesja poranna",
    "recap", "podcast", "jury", "Meet the competitors", "talks about it", "after", "before",
    "reacts", "lecture recital",
    "road to", "why I love Chopin", "teacher of", "highlights", "#shorts", "dinner", "portret",
    "press conference",
    "opening concert", "laureaci", "audition", "period instruments", "amateur", "junior",
    "학생 인터뷰",
)  # fmt: skip
STRANGERS = (
    "Hanna Nowak", "Kate Smith", "& Kate Smith", "Nowak", "with Martha Argerich",
    "Dang Thai Son", "and his sister",
    "Kowalska Anna", "feat. Jane Roe", "and friends", "vs. John Roe", "Prof. Roe",
)  # fmt: skip
OTHER_EVENTS = (
    "18th Chopin Competition", "16th Chopin Competition", "2019", "2021",
    "1st Chopin Competition", "XVI Konkurs",
    "Tchaikovsky Competition", "National Chopin Competition", "Queen Elisabeth Competition",
    "Leeds 2024",
    "Hamamatsu International Piano Competition", "Steinway Competition", "Fifteenth Cliburn",
    "Concerto Competition",
    "3 October 2022", "Chopin Competition Darmstadt", "Paderewski Competition", "Liszt Utrecht",
    "fifth round", "1/8 final",
)  # fmt: skip


@settings(max_examples=400)
@given(
    recitals(),
    st.one_of(*map(st.sampled_from, (GUARDS, STRANGERS, OTHER_EVENTS))),
    st.integers(0, 9),
)
def test_one_strange_part_makes_a_title_nobodys(recital: Recital, strange: str, at: int) -> None:
    """An occasion, another person or another event anywhere in it; guards wrong labels."""
    parts = list(recital.parts)
    parts.insert(at % (len(parts) + 1), strange)
    # After an orchestra and a stroke, who is nobody's competitor is the conductor.
    separator = " – " if any(part in OF_A_FINAL for part in parts) else recital.separator
    title = separator.join(parts)
    assert isinstance(read(recital.edition, title), str), title


@settings(max_examples=150)
@given(recitals(), st.data())
def test_a_second_pianist_makes_a_title_nobodys(recital: Recital, data: st.DataObject) -> None:
    """Two people of the roster are a session, a gift or a quarrel, never one's recital."""
    others = sorted(set(PEOPLE[recital.edition]) - {recital.performer})
    other = data.draw(written_names(data.draw(st.sampled_from(others))))
    joint = data.draw(st.sampled_from([" & ", ", ", " / ", " and ", " i ", " – "]))
    title = recital.title + joint + other
    assert isinstance(read(recital.edition, title), str), title


@settings(max_examples=150)
@given(recitals())
def test_who_is_not_on_the_roster_is_nobody_else(recital: Recital) -> None:
    """With the performer struck off, a title gives no namesake, sibling or neighbour."""
    others = [c for c in roster_of(recital.edition) if c.performer != recital.performer]
    result = parser_of(recital.edition, others).parse(recital.title)
    assert isinstance(result, TitleRejection), (recital.title, result)


@lru_cache
def _with_the_people_of(people: str, edition: str) -> TitleParser:
    return parser_of(edition, roster_of(people))


@settings(max_examples=150)
@given(recitals())
def test_another_editions_recital_is_not_this_ones(recital: Recital) -> None:
    """A title that names its edition is taken by that edition alone."""
    title = f"{recital.title} ({OWN_WORDS[recital.edition]['suffix']})"
    for edition in set(PARSERS) - {recital.edition}:
        parser = _with_the_people_of(recital.edition, edition)
        assert isinstance(parser.parse(title), TitleRejection), (edition, title)


SIBLINGS = (
    ("Maria Nowak", "Marta Nowak"),
    ("Hanna Lis", "Anna Lis"),
    ("Jinho Kim", "Minho Kim"),
    ("Hyun Choi", "Hyun Jin Choi"),
    ("Jaehyun Park", "Jaehyuk Park"),
    ("Hang Zheng", "Hang Zhang"),
    ("Takashi Mori", "Takeshi Mori"),
    ("Gabriel Roux", "Gabriele Roux"),
    ("Alexandra Weiss", "Alexander Weiss"),
    ("Su Yeon Kim", "Su Kim"),
    ("Anna Kowalska", "Anna Nowak-Kowalska"),
    ("Anna Kowalska", "Anna-Maria Kowalska"),
    ("Karol Mazur", "Karel Mazur"),
    ("Olga Ivanova", "Olga Ivanov"),
    ("Ilia Sokolovsky", "Ilia Sokolovskaya"),
    ("Yuriko Abe", "Yurika Abe"),
    ("Minjung Han", "Minjeong Han"),
    ("Christian Falk", "Christina Falk"),
    ("Peter Finch", "Peter French"),
    ("Ayaka Fujimoto", "Ayaka Fujimori"),
    ("Jan Nowicki", "Jan Nowacki"),
    ("Ka Yan Fong", "Ka Fai Fong"),
)


@pytest.mark.parametrize(("on_roster", "other"), [*SIBLINGS, *((b, a) for a, b in SIBLINGS)])
def test_a_name_a_letter_apart_is_another_person(on_roster: str, other: str) -> None:
    """Siblings and namesakes differ by a letter or a syllable; guards one's round for another's."""
    roster = [c.model_copy(update={"performer": on_roster}) for c in roster_of("chopin2025")[:1]]
    parser = parser_of("chopin2025", roster)
    assert isinstance(parser.parse(f"{on_roster} – first round"), TitleMatch)
    assert isinstance(parser.parse(f"{other} – first round"), TitleRejection)


MISSPELT = (
    ("Aimi Kobayashi", "Aimi Kobayshi"),
    ("Alexander Gadjiev", "Alexander Gadijev"),
    ("Dmitri Orlov", "Dmitry Orlov"),
    ("Alexei Voronin", "Aleksey Voronin"),
    ("Krzysztof Zalewski", "Krzystof Zalewski"),
    ("Kamil Pacholec", "Kamil Pacholek"),
    ("Leonora Armellini", "Leonora Armelini"),
    ("Oskar Bjørnstad", "Oskar Bjoernstad"),
    ("Jörg Müller", "Joerg Mueller"),
    ("Vincenzo De Santis", "Vincenzo DeSantis"),
    ("Nikolay Petrov", "Nikolai Petrov"),
    ("Martin Xu", "Matrin Xu"),
)


@pytest.mark.parametrize(("name", "written"), MISSPELT)
def test_a_likely_misspelling_is_still_the_person(name: str, written: str) -> None:
    """Another spelling of a sound, swapped or doubled letters, a letter lost in a long name."""
    roster = [c.model_copy(update={"performer": name}) for c in roster_of("chopin2025")[:1]]
    result = parser_of("chopin2025", roster).parse(f"{written} – first round")
    assert isinstance(result, TitleMatch)
