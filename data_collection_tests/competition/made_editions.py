"""Three made-up editions with their people, for the tests of titles.

What belongs here: rosters of difficult names and the parsers over them. Nobody here exists: the
names share surnames, are Korean, Chinese and Vietnamese in both orders, double, hyphenated,
abbreviated, accented, or differ from each other by a letter or a gender.
"""

from __future__ import annotations

from data_collection.competition.editions import BUNDLED_EDITIONS, Round, read_edition
from data_collection.competition.roster import Competitor
from data_collection.competition.titles import TitleParser

PEOPLE: dict[str, dict[str, str]] = {
    "chopin2015": {
        "Seo-Yeon Park": "South Korea",
        "Yeon-Seo Park": "South Korea",
        "Charles-Henri Delacroix-Roy": "Canada",
        "María del Carmen Ruiz Ortega": "Spain",
        "Aleksandra Wójcik-Nowak": "Poland",
        "Krzysztof Wójcik": "Poland",
        "Dmitri Sokolovsky": "Russia",
        "Ekaterina Sokolovskaya": "Russia",
        "Yuto Nakagawa": "Japan",
        "Rina Nakagawa": "Japan",
        "Xinyi Zhao": "China",
        "Yixin Zhao": "China",
        "Jan Karel van der Meulen": "Netherlands",
        "Lucas O'Hara": "Ireland",
        "Matthias Grünwald": "Germany",
        "Wei Lin Ng": "Singapore",
        "Georgijs Bērziņš": "Latvia",
        "Łucja Żmijewska": "Poland",
        "T. J. Albright": "USA",
        "Thi Ha Nguyen": "Vietnam",
    },
    "chopin2025": {
        "Zi-Xuan Lin": "China",
        "Lin Zixi": "China",
        "Mateusz Gąsior-Kłos": "Poland",
        "Hyun-Woo Choi": "South Korea",
        "Hyun Choi": "South Korea",
        "Ayaka Fujimoto": "Japan",
        "Vincenzo De Santis": "Italy",
        "Sofía Hernández de la Torre": "Mexico",
        "Kai (Jia-Kai) Wu": "Canada",
        "Alice Wu": "USA/Taiwan",
        "Ivan Hrytsenko": "Ukraine",
        "Benedikt von Aschenbach": "Germany",
        "Marie-Ève Tremblay-Côté": "Canada",
        "Jean-Baptiste N'Diaye": "France/Senegal",
        "Tamás Szőke": "Hungary",
        "Wan Ting Cheung": "Hong Kong",
        "Şebnem Çelik": "Turkey",
        "Oskar Bjørnstad": "Norway",
        "Pedro Henrique Souza e Silva": "Brazil",
        "Agnieszka Zając": "Poland",
        "A. R. Mehta": "United Kingdom",
    },
    "cliburn2025": {
        "Min-Jae Seo": "South Korea",
        "Minji Seo": "South Korea",
        "Alexei Voronin": "Russia",
        "Anton Voronov": "Israel",
        "Chloe Xinran Huang": "USA",
        "Federico Bellandi": "Italy",
        "Jonathan St. Clair": "USA",
        "Elia van den Broeck": "Belgium",
        "Ryota Hayashida": "Japan",
        "Sergey Tkachenko-Bell": "Ukraine/United States",
        "Yangyang Xu": "China",
        "Yang Xu": "China",
        "Carter Q. Maddox": "USA",
        "Piotr Żurawski": "Poland",
        "Élodie Marchand": "France",
        "Evren Özkan": "Turkey",
        "Magdalene Wong": "United Kingdom",
        "Ka Ho Wong": "Hong Kong",
        "Roman Lopatynskyi Jr.": "Ukraine",
        "Xiaohui Deng": "China",
    },
}
CHOPIN = read_edition(BUNDLED_EDITIONS / "chopin2025.yaml")
CLIBURN = read_edition(BUNDLED_EDITIONS / "cliburn2022.yaml")
CHOPIN_ROUNDS = (
    Round(id="stage1", title_words=("first", "I etap")),
    Round(id="stage2", title_words=("second", "II etap")),
    Round(id="stage3", title_words=("third", "III etap")),
    Round(id="final", title_words=("final", "finał"), solo=False),
)
CLIBURN_ROUNDS = (
    Round(id="preliminary", title_words=("preliminary",)),
    Round(id="quarterfinal", title_words=("quarterfinal",)),
    Round(id="semifinal", title_words=("semifinal",)),
    Round(id="final", title_words=("final",), solo=False),
)


def roster_of(edition: str) -> list[Competitor]:
    """Everybody of an edition, as if all had reached the final."""
    people = PEOPLE[edition].items()
    return [Competitor(performer=n, country=c, reached_stage="final") for n, c in people]


def parser_of(edition: str, roster: list[Competitor] | None = None) -> TitleParser:
    """The parser of an edition, over its roster or over another one."""
    rounds, name, year, suffix = _FILES[edition]
    bundled = CLIBURN if edition.startswith("cliburn") else CHOPIN
    return TitleParser(
        rounds,
        roster_of(edition) if roster is None else roster,
        edition_name=name,
        year=year,
        title_suffix=suffix,
        places=bundled.places,
        composer=bundled.composer,
    )


_FILES: dict[str, tuple[tuple[Round, ...], str, int, str | None]] = {
    "chopin2015": (
        CHOPIN_ROUNDS,
        "XVII International Fryderyk Chopin Piano Competition",
        2015,
        None,
    ),
    "chopin2025": (
        CHOPIN_ROUNDS,
        "XIX International Fryderyk Chopin Piano Competition",
        2025,
        "19th Chopin Competition, Warsaw",
    ),
    "cliburn2025": (
        CLIBURN_ROUNDS,
        "Seventeenth Van Cliburn International Piano Competition",
        2025,
        "2025 Cliburn Competition",
    ),
}
PARSERS = {edition: parser_of(edition) for edition in _FILES}
