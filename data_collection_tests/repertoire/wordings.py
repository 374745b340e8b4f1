"""Wordings of known works as programmes write them, in six languages, for tests that draw them.

What belongs here: how a work of the tables is written down. What does not: reading it back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hypothesis import strategies as st

from data_collection.repertoire.catalogue import Tonality, Work, catalogue

LANGUAGES = ("en", "pl", "de", "fr", "es", "it")
GENRE_WORDS: Mapping[str, tuple[str, ...]] = {
    "etude": ("Etude", "Etiuda", "Etüde", "Étude", "Estudio", "Studio"),
    "prelude": ("Prelude", "Preludium", "Präludium", "Prélude", "Preludio", "Preludio"),
    "nocturne": ("Nocturne", "Nokturn", "Nocturne", "Nocturne", "Nocturno", "Notturno"),
    "mazurka": ("Mazurka", "Mazurek", "Mazurka", "Mazurka", "Mazurka", "Mazurca"),
    "waltz": ("Waltz", "Walc", "Walzer", "Valse", "Vals", "Valzer"),
    "polonaise": ("Polonaise", "Polonez", "Polonaise", "Polonaise", "Polonesa", "Polacca"),
    "ballade": ("Ballade", "Ballada", "Ballade", "Ballade", "Balada", "Ballata"),
    "scherzo": ("Scherzo",) * 6,
    "sonata": ("Sonata", "Sonata", "Sonate", "Sonate", "Sonata", "Sonata"),
    "concerto": (
        "Piano Concerto", "Koncert fortepianowy", "Konzert", "Concerto", "Concierto", "Concerto",
    ),
    "rondo": ("Rondo",) * 6,
    "impromptu": ("Impromptu",) * 5 + ("Improvviso",),
    "fantasy": ("Fantasy", "Fantazja", "Fantasie", "Fantaisie", "Fantasía", "Fantasia"),
    "variations": (
        "Variations", "Wariacje", "Variationen", "Variations", "Variaciones", "Variazioni",
    ),
    "berceuse": ("Berceuse",) * 6,
    "barcarolle": ("Barcarolle", "Barkarola", "Barcarolle", "Barcarolle", "Barcarola", "Barcarola"),
    "tarantella": (
        "Tarantella", "Tarantela", "Tarantella", "Tarantelle", "Tarantela", "Tarantella",
    ),
}  # fmt: skip
WRITABLE = tuple(
    work
    for work in catalogue().works
    if len(work.genres) == 1
    and next(iter(work.genres)) in GENRE_WORDS
    and work.tonalities
    and re.fullmatch(r"op\d+[a-d]?(-no\d+)?", work.key)
    and work.movement is None
)
"""Works with an opus number, one kind and a tonality: those of which most lines are made."""
_GERMAN = {("B", 0): "h", ("B", -1): "b", ("A", -1): "as", ("E", -1): "es"}
_SOLFEGE = {"C": "do", "D": "ré", "E": "mi", "F": "fa", "G": "sol", "A": "la", "B": "si"}
_ACCIDENTALS = {
    "fr": ("bémol", "dièse"), "es": ("bemol", "sostenido"), "it": ("bemolle", "diesis"),
}  # fmt: skip
_MODES = {"fr": ("majeur", "mineur"), "es": ("mayor", "menor"), "it": ("maggiore", "minore")}
_PREPOSITION = {"fr": "en", "es": "en", "it": "in"}


def german_tonality(told: Tonality, *, capital: bool = False) -> str:
    """Write `cis-moll`, or `cis-Moll`."""
    ending = {-1: "es", 0: "", 1: "is"}[told.sharps]
    tone = _GERMAN.get((told.note, told.sharps)) or told.note.lower() + ending
    mode = "moll" if told.minor else "dur"
    return f"{tone if told.minor else tone.capitalize()}-{mode.capitalize() if capital else mode}"


def written_tonality(told: Tonality, language: str, sharp: str) -> str:
    """Write a tonality as a language does; `sharp` is how English signs are written."""
    if language in ("pl", "de"):
        return german_tonality(told, capital=language == "de")
    if language == "en":
        words = {
            "word": (" flat", "", " sharp"),
            "dash": ("-flat", "", "-sharp"),
            "sign": ("♭", "", "♯"),
        }
        return f"in {told.note}{words[sharp][told.sharps + 1]} {'minor' if told.minor else 'major'}"
    accidental = {-1: f" {_ACCIDENTALS[language][0]}", 0: "", 1: f" {_ACCIDENTALS[language][1]}"}
    mode = _MODES[language][bool(told.minor)]
    return f"{_PREPOSITION[language]} {_SOLFEGE[told.note]}{accidental[told.sharps]} {mode}"


def written_number(work: Work, style: int) -> str:
    """Write an opus number in one of the ways that are met."""
    opus, _, item = work.key.removeprefix("op").partition("-no")
    if not item:
        return (f"Op. {opus}", f"op. {opus}", f"Op.{opus}", f"op {opus}", f"Opus {opus}")[style % 5]
    return (
        f"Op. {opus} No. {item}",
        f"op. {opus} nr {item}",
        f"Op.{opus} No.{item}",
        f"op {opus} no {item}",
        f"Op. {opus}, No. {item}",
        f"op. {opus}/{item}",
        f"Op. {opus}. No. {item}",
        f"op. {opus} n° {item}",
    )[style % 8]


@st.composite
def wordings(draw: st.DrawFn, work: Work, *, language: str | None = None) -> str:
    """Draw a wording of a work, without its composer."""
    spoken = language or draw(st.sampled_from(LANGUAGES))
    genre = GENRE_WORDS[next(iter(work.genres))][LANGUAGES.index(spoken)]
    told = draw(st.sampled_from(work.tonalities))
    sharp = draw(st.sampled_from(("word", "dash", "sign")))
    number = written_number(work, draw(st.integers(0, 39)))
    tone = written_tonality(told, spoken, sharp)
    shape = draw(
        st.sampled_from(("{g} {t}, {n}", "{g} {t} {n}", "{g} {n} {t}", "{g}, {n}", "{g} {n}"))
    )
    return shape.format(g=genre, t=tone, n=number)
