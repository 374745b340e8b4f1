"""Text as it comes from the web made plain: no accents, no control characters, no look-alikes.

What belongs here: characters and tokens. What does not: what a word means (`words`). Everything is
linear in the text's length, whatever the text is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_UNSPLIT = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ı": "i", "ß": "ss", "æ": "ae"}
    | {"Æ": "AE", "œ": "oe", "Œ": "OE", "♯": " sharp ", "♭": " flat ", "♮": " ", "№": " no "}
    | {"&": " and ", "’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "º": "o", "°": "o"}
    | dict.fromkeys("‐‑‒–—―−－", "-")
)
_SHARP_SIGN = re.compile(r"(?<![A-Za-z])([A-Ga-g])#")
_NUMBER_SIGN = re.compile(r"#(?=\s?\d)")
_TOKEN = re.compile(r"[^\W\d_]+|\d+")


def word_set(text: str) -> frozenset[str]:
    """Write a word list as one line of text."""
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a number; `before` is the punctuation since the last one, `written` its form."""

    word: str
    written: str
    before: str
    start: int
    end: int


def clean(text: str) -> str:
    """Drop what does not show: control and format characters, half surrogates; keep newlines."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c
        if c == "\n" or (kind := unicodedata.category(c))[0] != "C"
        else " "
        if kind == "Cc"
        else ""
        for c in text
    )


def plain(text: str) -> str:
    """Fold to unaccented letters, case kept; signs of music become words."""
    text = unicodedata.normalize("NFKC", clean(text).translate(_UNSPLIT)).translate(_UNSPLIT)
    if not text.isascii():
        text = "".join(
            c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn"
        )
    text = _SHARP_SIGN.sub(r"\1 sharp ", text)
    return _NUMBER_SIGN.sub(" no ", text)


def tokenise(text: str) -> list[Token]:
    """Split plain text; letters and digits part, so that `Op10` is two tokens."""
    tokens: list[Token] = []
    end = 0
    for found in _TOKEN.finditer(text):
        written = found[0]
        tokens.append(
            Token(written.lower(), written, text[end : found.start()], found.start(), found.end())
        )
        end = found.end()
    return tokens
