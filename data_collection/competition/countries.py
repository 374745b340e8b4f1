"""Countries as titles and rosters write them: names, codes and adjectives, in six languages.

What belongs here: from words to ISO 3166 codes; the names are those of Unicode CLDR. What does not:
whose country it is (`roster`) and what a title means by it (`titles`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from data_collection.competition.names import fold

LANGUAGES = ("en", "pl", "de", "fr", "es", "it")
OTHER_NAMES: Mapping[str, str] = {
    "usa": "US", "u s a": "US", "us": "US", "america": "US", "united states of america": "US",
    "stany zjednoczone ameryki": "US", "uk": "GB", "great britain": "GB", "britain": "GB",
    "england": "GB", "scotland": "GB", "wales": "GB", "wielka brytania": "GB", "korea": "KR",
    "republic of korea": "KR", "korea poludniowa": "KR", "hong kong": "HK", "hongkong": "HK",
    "macau": "MO", "macao": "MO", "chinese taipei": "TW", "taiwan": "TW",
    "russian federation": "RU", "turkey": "TR", "czech republic": "CZ", "czechy": "CZ",
    "holland": "NL", "vietnam": "VN",
    "viet nam": "VN", "macedonia": "MK", "peoples republic of china": "CN", "p r china": "CN",
    "china mainland": "CN", "moldova": "MD", "ivory coast": "CI",
}  # fmt: skip
OTHER_CODES: Mapping[str, str] = {
    "GER": "DE", "SUI": "CH", "NED": "NL", "GRE": "GR", "POR": "PT", "DEN": "DK", "CRO": "HR",
    "SLO": "SI", "BUL": "BG", "LAT": "LV", "TPE": "TW", "VIE": "VN", "MAS": "MY", "INA": "ID",
    "PHI": "PH", "RSA": "ZA", "CHI": "CL", "URU": "UY", "PAR": "PY", "ROC": "TW", "UK": "GB",
    "GBR": "GB", "KOS": "XK", "MGL": "MN", "IRI": "IR", "PUR": "PR",
}  # fmt: skip
"""Codes of the Olympic committee that are not ISO's."""
ADJECTIVES: Mapping[str, str] = {
    "american": "US", "british": "GB", "english": "GB", "scottish": "GB", "polish": "PL",
    "japanese": "JP", "chinese": "CN", "korean": "KR", "italian": "IT", "canadian": "CA",
    "russian": "RU", "ukrainian": "UA", "french": "FR", "german": "DE", "austrian": "AT",
    "swiss": "CH", "spanish": "ES", "portuguese": "PT", "brazilian": "BR", "mexican": "MX",
    "argentinian": "AR", "argentine": "AR", "chilean": "CL", "cuban": "CU", "colombian": "CO",
    "peruvian": "PE", "vietnamese": "VN", "taiwanese": "TW", "thai": "TH", "indonesian": "ID",
    "malaysian": "MY", "singaporean": "SG", "filipino": "PH", "indian": "IN", "israeli": "IL",
    "turkish": "TR", "greek": "GR", "hungarian": "HU", "czech": "CZ", "slovak": "SK",
    "slovenian": "SI", "croatian": "HR", "serbian": "RS", "bulgarian": "BG", "romanian": "RO",
    "latvian": "LV", "lithuanian": "LT", "estonian": "EE", "finnish": "FI", "swedish": "SE",
    "norwegian": "NO", "danish": "DK", "dutch": "NL", "belgian": "BE", "irish": "IE",
    "georgian": "GE", "armenian": "AM", "azerbaijani": "AZ", "kazakh": "KZ", "belarusian": "BY",
    "moldovan": "MD", "australian": "AU", "nigerian": "NG", "egyptian": "EG", "senegalese": "SN",
    "icelandic": "IS", "mongolian": "MN", "lebanese": "LB", "iranian": "IR",
}  # fmt: skip

_WORD = re.compile(r"[^\W_]+")
_JOINED = re.compile(r"[/,;&+|]|\band\b")


def _plain(name: str) -> str:
    return " ".join(_WORD.findall(fold(name)))


@lru_cache(maxsize=1)
def country_names() -> Mapping[str, str]:
    """Give the ISO code of every folded name and adjective; read from CLDR at first use."""
    from babel import Locale  # its data is opened only where a title has words left over

    names = {
        _plain(name): code
        for language in LANGUAGES
        for code, name in Locale(language).territories.items()
        if len(code) == 2 and code.isalpha()
    }
    return {**names, **ADJECTIVES, **OTHER_NAMES}


@lru_cache(maxsize=1)
def longest_name() -> int:
    """How many words the longest name has."""
    return max(len(name.split()) for name in country_names())


@lru_cache(maxsize=1024)
def country_of_code(code: str) -> str | None:
    """Read a code of two or three capitals, of ISO or of the Olympic committee."""
    from babel import Locale
    from babel.core import get_global

    if code in OTHER_CODES:
        return OTHER_CODES[code]
    if len(code) == 2:
        return code if code in Locale("en").territories else None
    alpha2 = get_global("territory_aliases").get(code) if len(code) == 3 else None
    return alpha2[0] if alpha2 else None


@lru_cache(maxsize=1024)
def countries_of(text: str) -> frozenset[str]:
    """Read a roster's entry, which may name two: `Canada/China`, `KOR`, `Korea (South)`."""
    found: set[str] = set()
    for part in _JOINED.split(text.replace("(", "/").replace(")", "/")):
        name = _plain(part)
        code = country_names().get(name) or country_of_code(part.strip().upper())
        if code:
            found.add(code)
    return frozenset(found)
