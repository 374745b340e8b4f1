"""Wordings of works: what is written is read, what contradicts itself is not, prose never is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_collection.repertoire.catalogue import Work, catalogue
from data_collection.repertoire.letters import plain, tokenise
from data_collection.repertoire.reading import read_piece, read_pieces, read_wording
from data_collection.repertoire.words import COMPOSERS
from data_collection_tests.repertoire.wordings import (
    GENRE_WORDS,
    LANGUAGES,
    WRITABLE,
    wordings,
    written_number,
    written_tonality,
)

HELD_OUT = Path(__file__).with_name("held_out_lines.txt")
CHOPIN = [work for work in WRITABLE if work.composer == "chopin"]


def works() -> st.SearchStrategy[Work]:
    return st.sampled_from(WRITABLE)


@settings(max_examples=600)
@given(works(), st.data())
def test_what_is_written_is_read(work: Work, data: st.DataObject) -> None:
    """Any work in any language and style is read as itself; guards against swapped labels."""
    text = data.draw(wordings(work))
    piece = read_piece(text, default_composer=work.composer)
    assert piece is not None, text
    assert (piece.work, piece.movement) == (work.key, None)


@settings(max_examples=400)
@given(works(), st.data())
def test_a_composer_is_read_wherever_it_stands(work: Work, data: st.DataObject) -> None:
    """As heading, prefix or in brackets; the default counts only where nobody is named."""
    spellings = sorted(word for word, slug in COMPOSERS.items() if slug == work.composer)
    name = data.draw(st.sampled_from(spellings))
    text = data.draw(wordings(work))
    shape = data.draw(
        st.sampled_from(["{n}: {t}", "{N} {t}", "{t} ({n})", "{N} – {t}", "{n}, {t}", "{t} – {n}"])
    )
    wording = shape.format(n=name.title(), N=name.upper(), t=text)
    piece = read_piece(wording, default_composer="clementi")
    assert piece is not None, wording
    assert (piece.composer, piece.work) == (work.composer, work.key)


@settings(max_examples=400)
@given(works(), st.data())
def test_two_languages_are_one_work(work: Work, data: st.DataObject) -> None:
    """A bilingual line is one work, not two and not a contradiction."""
    one, other = data.draw(st.lists(st.sampled_from(LANGUAGES), min_size=2, max_size=2))
    first, second = (
        data.draw(wordings(work, language=one)),
        data.draw(wordings(work, language=other)),
    )
    text = data.draw(st.sampled_from([" / ", " | ", "\n"])).join((first, second))
    pieces = read_pieces(text, default_composer=work.composer)
    assert [piece.work for piece in pieces] == [work.key], text


@settings(max_examples=400)
@given(st.sampled_from(CHOPIN), st.sampled_from(CHOPIN), st.data())
def test_two_languages_that_differ_are_refused(one: Work, two: Work, data: st.DataObject) -> None:
    """A Polish line beside an English one of another work says nothing that can be trusted."""
    words = GENRE_WORDS[next(iter(one.genres))]
    assume(one.key != two.key and words[0].split()[-1] != words[1].split()[0])
    polish, english = data.draw(wordings(one, language="pl")), _english(two)
    reading = read_wording(f"{polish} / {english}", default_composer="chopin")
    assert reading.pieces == (), (polish, english)
    assert reading.because


def _english(work: Work) -> str:
    """Write a work in words that are English beyond doubt."""
    genre = GENRE_WORDS[next(iter(work.genres))][0]
    return (
        f"{genre} {written_tonality(work.tonalities[0], 'en', 'word')}, {written_number(work, 0)}"
    )


@settings(max_examples=600)
@given(works(), st.data())
def test_a_slip_of_one_letter_never_gives_another_work(work: Work, data: st.DataObject) -> None:
    """A typing error in a word costs at most the work, and mostly not even that."""
    text = data.draw(wordings(work))
    spots = list(re.finditer(r"[^\W\d_]{4,}", text))
    assume(spots)
    word = data.draw(st.sampled_from(spots))
    at = data.draw(st.integers(word.start() + 1, word.end() - 1))
    typo = data.draw(st.sampled_from(["", "e", "x", text[at] * 2, "l"]))
    wrong = text[:at] + typo + text[at + 1 :]
    pieces = read_pieces(wrong, default_composer=work.composer)
    assert [piece.work for piece in pieces] in ([], [work.key]), wrong


LONG_GENRES = [w for w in WRITABLE if len(GENRE_WORDS[next(iter(w.genres))][0]) > 6]


@settings(max_examples=300)
@given(st.sampled_from(LONG_GENRES), st.data())
def test_a_misspelt_genre_is_still_the_work(work: Work, data: st.DataObject) -> None:
    """`Balllade` and `Poloniase` happen in real programmes; they must not cost the work."""
    text = _english(work)
    end = text.index(" in ")
    at = data.draw(st.integers(1, end - 3))
    slip = data.draw(st.sampled_from(["double", "swap", "drop"]))
    slips = {
        "double": text[: at + 1] + text[at:],
        "swap": text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        "drop": text[:at] + text[at + 1 :],
    }
    assume(text[at].isalpha() and text[at + 1].isalpha())
    pieces = read_pieces(slips[slip], default_composer=work.composer)
    assert [piece.work for piece in pieces] == [work.key], slips[slip]


@settings(max_examples=400)
@given(st.sampled_from(CHOPIN), st.sampled_from(CHOPIN))
def test_a_number_in_another_tonality_is_refused(work: Work, other: Work) -> None:
    """`Etude in C major, Op. 10 No. 12` is wrong in one of the two, and nobody knows in which."""
    assume(not any(a.fits(b) for a in work.tonalities for b in other.tonalities))
    genre = GENRE_WORDS[next(iter(work.genres))][0]
    tone = written_tonality(other.tonalities[0], "en", "word")
    reading = read_wording(f"{genre} {tone}, {written_number(work, 0)}", default_composer="chopin")
    assert reading.pieces == ()
    assert reading.doubt == "contradiction"


@settings(max_examples=300)
@given(st.sampled_from(CHOPIN), st.sampled_from(sorted(GENRE_WORDS)))
def test_a_number_of_another_kind_is_refused(work: Work, genre: str) -> None:
    """`Ballade Op. 31` is no Scherzo."""
    assume(genre not in work.genres and genre not in ("variations", "rondo", "scherzo"))
    assume(catalogue().work("chopin", work.key) == work)
    text = f"{GENRE_WORDS[genre][0]}, {written_number(work, 0)}"
    assert read_pieces(text, default_composer="chopin") == (), text


@settings(max_examples=200)
@given(st.sampled_from(CHOPIN))
def test_a_tonality_alone_is_enough_only_where_it_is_one_work(work: Work) -> None:
    """`Nocturne in E flat major` may be two; a guess would be wrong half of the time."""
    genre = GENRE_WORDS[next(iter(work.genres))][0]
    text = f"{genre} {written_tonality(work.tonalities[0], 'en', 'dash')}"
    same = {
        w.key
        for w in catalogue().works_of("chopin")
        if w.genres == work.genres and any(t.fits(work.tonalities[0]) for t in w.tonalities)
    }
    pieces = read_pieces(text, default_composer="chopin")
    assert [piece.work for piece in pieces] == ([work.key] if len(same) == 1 else []), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mazurkas Op. 24 Nos. 1–4", ["op24-no1", "op24-no2", "op24-no3", "op24-no4"]),
        ("Mazurki op. 24 nr 1 i 2", ["op24-no1", "op24-no2"]),
        ("Etudes: Op. 10 No. 4, Op. 25 No. 6", ["op10-no4", "op25-no6"]),
        ("24 Preludes, Op. 28", ["op28"]),
        ("4 Mazurkas Op. 24", ["op24"]),
        ("3 Mazurkas Op. 24", []),
        ("Mazurka from Op. 24", []),
        ("Nocturne in C minor, Op. 48 No. 1 / Scherzo in E major, Op. 54", ["op48-no1", "op54"]),
        ("Ballade in G minor, Op. 23, Scherzo in B minor, Op. 20", ["op23", "op20"]),
    ],
)
def test_lines_that_name_several(text: str, expected: list[str]) -> None:
    """A set played whole is one piece, numbers of it are as many; a part of it is no set."""
    assert [piece.work for piece in read_pieces(text, default_composer="chopin")] == expected


def test_a_pianist_with_a_composers_name_is_no_composer() -> None:
    """`Daniel Weber – Ballade, Op. 52` is Chopin's; under Weber it would be another work."""
    text = "Daniel Weber – Ballade in F minor, Op. 52"
    assert read_pieces(text, default_composer="chopin") == ()
    piece = read_piece("Liszt: La campanella", default_composer="chopin")
    assert piece is not None
    assert piece.composer == "liszt"


@settings(max_examples=300)
@given(st.text(max_size=120))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Control characters, half surrogates, any script: a reading or none, never an exception."""
    read_wording(text, default_composer="chopin")
    read_wording(text, default_composer=None)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["op", ".", "no", "10", "12", "/", "-", "(", ")", "etude", "i", "and", ",", "ii", "c",
             "sharp", "minor", ":", "1", "2", "nos", "posth", "book", "movement", "chopin", "4th",
             "hob", "xvi", "kk", "iva", "d", "s", "k", "\"", "sonata", "preludes", "24", "&"]
        ),
        max_size=40,
    )
)  # fmt: skip
def test_no_heap_of_telling_words_breaks_the_reader(words: list[str]) -> None:
    """Words of the grammar in any order: a reading or none, and every key is a key."""
    for piece in read_pieces(" ".join(words), default_composer="chopin"):
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", piece.work)


def test_characters_that_do_not_show_change_nothing() -> None:
    """A bidi mark or a NUL within a line must not make another work of it."""
    text = "Etude\u200b in C\u00a0minor,\u202e Op.\x0010 No.\ufeff 12\ud800"
    piece = read_piece(text, default_composer="chopin")
    assert piece is not None
    assert piece.work == "op10-no12"
    assert [token.word for token in tokenise(plain("Ｏｐ．１０"))] == ["op", "10"]


def held_out() -> list[tuple[str | None, str, list[str]]]:
    """Lines with what a careful person reads in them."""
    default: str | None = None
    cases = []
    for line in HELD_OUT.read_text(encoding="utf-8").splitlines():
        if re.fullmatch(r"\[[a-z]+\]", line):
            default = None if line == "[none]" else line.strip("[]")
        elif line and not line.startswith("# "):
            text, _, expected = line.rpartition(" => ")
            pieces = [] if expected.strip() == "-" else [p.strip() for p in expected.split(";")]
            cases.append((default, text, pieces))
    return cases
