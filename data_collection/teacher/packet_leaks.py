"""What a packet must not hold: names, places, titles, ids, years, addresses.

What belongs here: finding them in a text. What does not: writing packets (`packets`). The search
reads what differs between packets; the names of figures and the fixed phrases are in every one, so
that a pianist called Low does not stop the work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from data_collection.repertoire.letters import plain, word_set
from data_collection.teacher.evidence_figures import CURVES
from data_collection.teacher.packets import COMPARED_WITH, SHOWN

FIXED = frozenset(
    {"compared_with", "figures", "curves"}
    | {figure.name for figure in SHOWN}
    | {curve.name for curve in CURVES}
    | set(COMPARED_WITH.values())
)
FUNCTION_WORDS = word_set(
    "a an and as at by de der des di du e et for from i in is la le mr ms no nr of on op or the to "
    "und w with z"
)
"""Parts of a secret that tell nothing by themselves; the whole of it still counts."""
MIN_JOINED_CHARACTERS = 6
MIN_DIGITS = 4
"""A shorter number cannot be told from a figure."""

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_YEAR = re.compile(r"(?<![\d.])(?:1[5-9]|20)\d\d(?!\d)(?!\.\d)")
_URL = re.compile(r"https?:|www\.|\b[\w-]+\.(?:be|com|de|edu|fr|io|jp|net|org|pl|tv|uk)\b", re.I)
_SEGMENT_ID = re.compile(r"\w+_seg\d{2,}", re.I)
_VIDEO_ID = re.compile(r"(?<![\w-])[\w-]{11}(?![\w-])", re.ASCII)
_HASH = re.compile(r"\b[0-9a-f]{16,}\b", re.I)


def leaks(packet_text: str, secrets: Iterable[str]) -> list[str]:
    """Find what gives a recording away.

    Args:
        packet_text: a packet; any other text is searched whole.
        secrets: names, countries, titles, places, channels, ids, years, lengths. Case, accents and
            punctuation do not matter. Every word of one counts by itself, but for function words;
            a number counts whole, and from four digits on.

    Returns:
        Each finding in words, in order, none twice; empty for a clean packet. Addresses, ids,
        hashes and years are found without being told.
    """
    written = " \n ".join(_variable_parts(packet_text))
    folded = _folded(written)
    words = frozenset(_WORD.findall(folded))
    numbers = frozenset(_NUMBER.findall(written))
    joined = "".join(_WORD.findall(re.sub(r"\d", " ", folded)))
    found = [*_patterns(written)]
    for secret in secrets:
        found.extend(_traces(secret, words, numbers, joined, folded))
    return list(dict.fromkeys(found))


def _variable_parts(text: str) -> Iterator[str]:
    """A packet's text without what all packets share; another text as it is."""
    try:
        given = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        yield text
        return
    yield from _leaves(given)


def _leaves(given: object) -> Iterator[str]:
    if isinstance(given, dict):
        for key, value in given.items():
            yield from _leaves(key)
            yield from _leaves(value)
    elif isinstance(given, list):
        for value in given:
            yield from _leaves(value)
    elif isinstance(given, str) and given not in FIXED:
        yield given


def _folded(text: str) -> str:
    return plain(text).casefold()


def _patterns(text: str) -> Iterator[str]:
    yield from (f"address: {found[0]}" for found in _URL.finditer(text))
    yield from (f"segment id: {found[0]}" for found in _SEGMENT_ID.finditer(text))
    yield from (f"hash: {found[0]}" for found in _HASH.finditer(text))
    yield from (f"year: {found[0]}" for found in _YEAR.finditer(text))
    yield from (f"video id: {found[0]}" for found in _VIDEO_ID.finditer(text) if _mixed(found[0]))


def _mixed(word: str) -> bool:
    """Whether letters and digits are mixed as in an id, and not as in a word or a number."""
    kinds = (
        any(c.isdigit() for c in word),
        any(c.islower() for c in word),
        any(c.isupper() for c in word[1:]),
    )
    return sum(kinds) >= 2 and any(c.isalpha() for c in word)


def _traces(
    secret: str, words: frozenset[str], numbers: frozenset[str], joined: str, folded: str
) -> Iterator[str]:
    """What is left of one secret in the text."""
    parts = _WORD.findall(_folded(secret))
    whole = "".join(parts)
    if not whole:
        return
    if whole.isdigit():  # also a length such as 1834.25
        number = _NUMBER.search(secret)
        if len(whole) >= MIN_DIGITS and number is not None and number[0] in numbers:
            yield f"{secret}: {number[0]}"
        return
    for part in parts:
        is_number = part.isdigit()
        if part in FUNCTION_WORDS or (is_number and len(part) < MIN_DIGITS):
            continue
        if part in numbers if is_number else _is_in(part, words, folded):
            yield f"{secret}: {part}"
    sequence = r"[\W_]+".join(parts)
    is_joined = len(whole) >= MIN_JOINED_CHARACTERS and whole.isalpha() and whole in joined
    if is_joined or (len(parts) > 1 and re.search(rf"(?<!\w){sequence}(?!\w)", folded)):
        yield f"{secret}: the whole"


def _is_in(part: str, words: frozenset[str], folded: str) -> bool:
    """Whether a word is there; scripts without spaces are searched inside of words as well."""
    return part in words or (not part.isascii() and len(part) > 1 and part in folded)
