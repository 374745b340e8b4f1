"""Two spellings of a name: which are one person and which only look it."""

from __future__ import annotations

import csv
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.competition.editions import BUNDLED_EDITIONS
from data_collection.competition.names import (
    SCORE_OF_INITIALS_ONLY,
    compare_names,
    edits_between,
    normalised_name,
)

REAL_ROSTER = BUNDLED_EDITIONS / "chopin2021.csv"

SAME = [
    ("Bruce Liu", "Bruce (Xiaoyu) Liu"),
    ("Xiaoyu Liu", "Bruce (Xiaoyu) Liu"),
    ("BRUCE (XIAOYU) LIU", "Bruce (Xiaoyu) Liu"),
    ("Liu Bruce", "Bruce (Xiaoyu) Liu"),
    ("Szu-Yu Su", "Szuyu Su"),
    ("Szu Yu Su", "Szuyu Su"),
    ("Shun Shun Tie", "Shunshun Tie"),
    ("Joo-Yeon Ka", "Jooyeon Ka"),
    ("Yeonmin Park", "Yeon-Min Park"),
    ("Suyeon Kim", "Su Yeon Kim"),
    ("JJ Jun Li Bui", "J J Jun Li Bui"),
    ("Martín García García", "Martin Garcia Garcia"),
    ("García García, Martín", "Martin Garcia Garcia"),
    ("Nguyen Viet Trung", "Viet Trung Nguyen"),
    ("Lukasz Ostergard", "Łukasz Østergård"),
]
NEARLY = [
    ("JJ Bui", "J J Jun Li Bui"),
    ("Aleksandra Dąbek", "Aleksandra H. Dąbek"),
    ("Aleksandra H. Dąbek", "Aleksandra Dąbek"),
    ("Szuyu Rachel Su", "Szuyu Su"),
    ("Szuyu (Rachel) Su", "Szuyu Su"),
    ("Szuyu Su (Rachel)", "Szuyu Su"),
    ("Martin Garcia", "Martin Garcia Garcia"),
    ("Aimi Kobayshi", "Aimi Kobayashi"),
]
DIFFERENT = [
    ("Kate Liu", "Bruce (Xiaoyu) Liu"),
    ("Eric Lu", "Eric Guo"),
    ("Hyo Lee", "Hyuk Lee"),
    ("Jaeyoon Lee", "Hyuk Lee"),
    ("Yeon-Min Park", "Jinhyung Park"),
    ("Garcia Garcia", "Martin Garcia Garcia"),
    ("Garcia", "Martin Garcia Garcia"),
    ("Liu", "Bruce (Xiaoyu) Liu"),
    ("Bruce", "Bruce (Xiaoyu) Liu"),
    ("Bruce Xiaoyu", "Bruce (Xiaoyu) Liu"),
    ("Kate Bruce Liu", "Bruce (Xiaoyu) Liu"),
    ("Bruce Liu Chen", "Bruce (Xiaoyu) Liu"),
    ("Aleksandra J. Dąbek", "Aleksandra H. Dąbek"),
    ("Hyuk and Lee", "Hyuk Lee"),
    ("", "Hyuk Lee"),
]


def real_names() -> list[str]:
    """Names of the 87 pianists of 2021."""
    with REAL_ROSTER.open(encoding="utf-8") as file:
        return [row["performer"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(("spelling", "name"), SAME)
def test_equal_spellings_score_in_full(spelling: str, name: str) -> None:
    """Spellings that titles really use are the name itself; guards against lost recordings."""
    for form in ("NFC", "NFD"):
        assert compare_names(unicodedata.normalize(form, spelling), name).score == 100


@pytest.mark.parametrize(("spelling", "name"), NEARLY)
def test_near_spellings_cost_something(spelling: str, name: str) -> None:
    """A missing, extra or misspelt part is allowed but never as good as the name itself."""
    assert 80 <= compare_names(spelling, name).score < 100


@pytest.mark.parametrize(("spelling", "name"), DIFFERENT)
def test_lookalikes_do_not_match(spelling: str, name: str) -> None:
    """A surname alone never decides; guards against giving one pianist another's recording."""
    assert not compare_names(spelling, name)


def test_initials_count_only_with_the_family_name() -> None:
    """`B. Liu` fits but scores too low to match a title; a lone initial is nothing."""
    assert compare_names("B. Liu", "Bruce (Xiaoyu) Liu").score == SCORE_OF_INITIALS_ONLY
    assert not compare_names("K. Liu", "Bruce Liu")
    assert not compare_names("B. L.", "Bruce Liu")


def test_a_match_says_what_it_rests_on() -> None:
    """The evidence names missing and extra parts, so that a reviewer need not guess."""
    match = compare_names("J.J. Bui", "J J Jun Li Bui")
    assert match.missing == ("jun", "li")
    assert ("j j", "jj") in match.matched
    assert compare_names("Szuyu Rachel Su", "Szuyu Su").extra == ("rachel",)


def test_typos_are_allowed_by_length() -> None:
    """Short tokens are exact: in `Lu` or `Guo` one letter is another person."""
    assert compare_names("Hyuk Leee", "Hyuk Lee").score == 0
    assert compare_names("Kamil Pacholek", "Kamil Pacholec").edits == 1
    assert compare_names("Leonardo Pierdomenco", "Leonardo Pierdomenico").edits == 1
    assert not compare_names("Kamill Pacholekk", "Kamil Pacholec")


def test_normalised_name_is_plain_letters() -> None:
    """Roster duplicates are found by this form, whatever the accents and punctuation."""
    assert normalised_name("  O’Brien-Łoś,  J.J. (Ærø) ") == "obrienlos j j aero"
    assert normalised_name("Weiß İnci Đỗ") == "weiss inci do"
    assert normalised_name("—") == ""


def test_real_people_are_told_apart() -> None:
    """No name of the real roster is a spelling of another, and each is a spelling of itself."""
    names = real_names()
    assert [name for name in names if compare_names(name.upper(), name).score != 100] == []
    pairs = [(a, b) for a in names for b in names if a != b]
    assert [pair for pair in pairs if compare_names(*pair)] == []


LETTERS = "abcdefghijklmnoprstuwyząćęłńóśéöü"
NAME = st.lists(st.text(LETTERS, min_size=2, max_size=9), min_size=2, max_size=4).map(" ".join)


@settings(max_examples=60)
@given(NAME, st.sampled_from(["NFC", "NFD"]), st.booleans())
def test_a_name_is_itself_in_any_writing(name: str, form: str, upper: bool) -> None:
    """Case, composition and the family name first change nothing."""
    *given_names, family = name.split()
    for spelling in (name, " ".join([family, *given_names])):
        written = unicodedata.normalize(form, spelling.upper() if upper else spelling)
        match = compare_names(written, name)
        folded = {normalised_name(part) for part in given_names} - {normalised_name(family)}
        assert match.score == (100 if folded else 0)


@settings(max_examples=60)
@given(NAME, NAME)
def test_both_a_family_and_a_given_name_are_needed(left: str, right: str) -> None:
    """Whatever matches has the family name and another token, each within its typo's worth."""
    match = compare_names(left, right)
    if match:
        meant = [unit for _, unit in match.matched]
        assert normalised_name(right).split()[-1] in meant
        assert len(meant) >= 2
        assert all(
            edits_between(written.replace(" ", ""), unit.replace(" ", ""), most=2) is not None
            for written, unit in match.matched
        )
