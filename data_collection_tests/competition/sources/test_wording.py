"""Words of sources: rounds, prizes, names. What is not understood is an error, never a guess."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.competition.editions import Round
from data_collection.competition.sources.wording import (
    Stages,
    UnknownWordError,
    country_name,
    is_yes,
    person_name,
    plain_text,
    prize_number,
    says_withdrew,
)

STAGES = Stages.of(
    (
        Round(id="stage1", title_words=("first", "I etap")),
        Round(id="stage2", title_words=("second", "II etap")),
        Round(id="stage3", title_words=("third", "III etap")),
        Round(id="final", title_words=("final", "finał")),
    ),
    {"Recital": "stage2", "5": "stage3"},
)


@pytest.mark.parametrize(
    ("words", "round_id"),
    [
        ("stage1", "stage1"),
        ("Stage I", "stage1"),
        ("1st round", "stage1"),
        ("First stage", "stage1"),
        ("I etap", "stage1"),
        ("II. etap", "stage2"),
        ("2", "stage2"),
        ("recital", "stage2"),
        ("5", "stage3"),
        ("reached the third stage", "stage3"),
        ("THIRD ROUND (14 October)", "stage3"),
        ("Finalist", "final"),
        ("finał", "final"),
        ("The Final", "final"),
        ("Finals", "final"),
        ("Semi-final", None),
        ("semifinalist", None),
        ("Stage 4", None),
        ("First prize", None),
        ("", None),
        ("Session 2", None),
    ],
)
def test_a_round_word_means_one_round_or_none(words: str, round_id: str | None) -> None:
    """Ordinals, Roman numerals, Polish, the source's own words; a semifinal is no final."""
    assert STAGES.id_of(words) == round_id


@pytest.mark.parametrize(
    ("heading", "round_id"),
    [
        ("Second stage (9–12 October)", "stage2"),
        ("Stage 3: 14–16 October 2021", "stage3"),
        ("Competitors of the first stage", "stage1"),
        ("Qualified for Stage II", "stage2"),
        ("Withdrew (second round)", "stage2"),
        ("The final, 18–20 October", "final"),
        ("First and second stage", None),
        ("Stages 1 to 3", None),
        ("Third stage and final", None),
        ("Stage 7", None),
        ("First prize", None),
        ("3 October 2021", None),
        ("Semifinal and final", "final"),
    ],
)
def test_a_heading_names_one_round_or_none(heading: str, round_id: str | None) -> None:
    """Dates and prizes beside it do not count, and two rounds are none."""
    assert STAGES.named_in(heading) == round_id


def test_a_word_of_two_rounds_means_neither() -> None:
    """Both rounds are called `final`: what says `final` says nothing."""
    rounds = (Round(id="a", title_words=("final",)), Round(id="b", title_words=("final",)))
    assert Stages.of(rounds).id_of("final") is None
    assert Stages.of(rounds).id_of("a") == "a"


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("1", 1),
        ("1st Prize", 1),
        ("2nd prize (ex aequo)", 2),
        ("II nagroda ex aequo", 2),
        ("=2", 2),
        ("T2", 2),
        ("Joint third", 3),
        ("3rd place, bronze medalist(s) €20,000", 3),
        ("Gold medal", 1),
        ("VI", 6),
        ("US$ 4,000 sixth prize", 6),
        ("Winner", 1),
        ("Grand Prix", 1),
        ("", None),
        ("–", None),
        ("0", None),
        ("Finalist", None),
        ("Honourable Mention", None),
        ("Wyróżnienie", None),
        ("not awarded", None),
    ],
)
def test_a_prize_word_is_its_number_or_none(words: str, number: int | None) -> None:
    """Ordinals, numerals, medals, ties, money; distinctions are no prize."""
    assert prize_number(words, {"Grand Prix": 1}) == number


@pytest.mark.parametrize(
    "words",
    ["Best mazurka", "€7,000", "2021", "21", "1st and 2nd", "Special prize", "Polonaise", "1.5"],
)
def test_a_word_that_is_no_prize_is_an_error(words: str) -> None:
    """A special prize, an amount, a year or two numbers are no place; guards a false placing."""
    with pytest.raises(UnknownWordError):
        prize_number(words)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("<script>alert(1)</script>Ann Ash", "Ann Ash"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;Ann Ash", "Ann Ash"),
        ("Ann<br>Ash", "Ann Ash"),
        ("An<b>n</b> Ash", "Ann Ash"),
        ("Ann&nbsp;Ash *", "Ann Ash"),
        ("\u202eAnn\u200b Ash\u2069", "Ann Ash"),
        ("Ann\x00\r\nAsh", "Ann Ash"),
        ("<img src=x onerror=alert(1)>Ann Ash", "Ann Ash"),
        ("Zólc\u0301", "Zólć"),
        ("d'Arcy O’Neill", "d'Arcy O’Neill"),
    ],
)
def test_a_name_is_text(raw: str, name: str) -> None:
    """No scripts, tags, invisible or control characters; composed letters."""
    assert person_name(raw) == name


@pytest.mark.parametrize("raw", ["", "<script>x</script>", "  – ", "12", "1st", "x" * 200])
def test_what_is_no_name_is_refused(raw: str) -> None:
    """An empty cell or a paragraph is an error, not a competitor."""
    with pytest.raises(UnknownWordError):
        person_name(raw)


@given(st.text(max_size=60))
def test_plain_text_is_one_clean_line_and_stays_so(raw: str) -> None:
    """Whatever comes, no control character, line break or script is left in it."""
    text = plain_text(raw)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)
    assert text == " ".join(text.split())
    assert "<script" not in text.lower()


@given(st.text(max_size=40))
def test_no_text_breaks_the_readers(raw: str) -> None:
    """Any cell is read or refused by our own error."""
    STAGES.id_of(raw)
    STAGES.named_in(raw)
    says_withdrew(raw)
    country_name(raw)
    for read in (prize_number, person_name, is_yes):
        with contextlib.suppress(UnknownWordError):
            read(raw)


@pytest.mark.parametrize("text", ["withdrew", "Withdrawn", "wycofał się", "did not play", "DNS"])
def test_withdrawals_are_seen(text: str) -> None:
    """In words of the field, in two languages."""
    assert says_withdrew(text)
    assert is_yes(text)


@pytest.mark.parametrize("text", ["advanced", "drew", "eliminated", ""])
def test_other_words_are_no_withdrawal(text: str) -> None:
    """One who was eliminated played."""
    assert not says_withdrew(text)
