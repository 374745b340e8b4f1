"""Who is who among lists of names: a doubt joins nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.competition.editions import BUNDLED_EDITIONS, read_edition
from data_collection.competition.sources.people import Fit, fits, same_person

PEOPLE = [
    ["Bruce (Xiaoyu) Liu"],
    ["J J Jun Li Bui"],
    ["Zixi Chen"],
    ["Xuehong Chen"],
    ["Hyuk Lee"],
    ["Jaeyoon Lee"],
    ["Martin Garcia Garcia"],
    ["Viet Trung Nguyen", "Trung Viet"],
]


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("LIU Bruce", 0),
        ("Bruce Xiaoyu Liu", 0),
        ("JJ Bui", 1),
        ("Chen Zixi", 2),
        ("Lee Hyuk", 4),
        ("Martín García García", 6),
        ("Nguyễn Việt Trung", 7),
        ("Trung Viet", 7),
        ("Chen", None),
        ("X. Chen", None),
        ("Lee", None),
        ("Zixi", None),
        ("Zibi Chen", None),
        ("Bo Chen", None),
    ],
)
def test_a_name_joins_its_person_or_nobody(name: str, person: int | None) -> None:
    """Order, accents, joined and missing names join; a surname, an initial, a typo do not."""
    assert fits([[name]], PEOPLE)[0].person == person


def test_a_name_that_fits_two_joins_neither() -> None:
    """And says whom it might be; guards the first of two being taken."""
    assert fits([["Haochen Li"]], [["Haochen Wei Li"], ["Haochen Min Li"]]) == [
        Fit(candidates=(0, 1))
    ]


def test_two_names_of_one_source_are_two_people() -> None:
    """Equal words take the person; the other name is reported, not joined to the same one."""
    assert fits([["Haochen Wei Li"], ["Haochen Li"]], [["Haochen Li"]]) == [
        Fit(candidates=(0,)),
        Fit(person=0),
    ]
    assert fits([["Haochen Wei Li"], ["Haochen Min Li"]], [["Haochen Li"]]) == [
        Fit(candidates=(0,)),
        Fit(candidates=(0,)),
    ]


def test_nobody_of_the_shipped_roster_fits_another() -> None:
    """87 people are 87, two Chens, two Guos and two Lees among them."""
    edition = read_edition(Path(BUNDLED_EDITIONS / "chopin2021.yaml"))
    names = [[c.performer, *c.aliases] for c in edition.roster()]
    backwards = [[" ".join(reversed(name[0].split()))] for name in names]
    assert [fit.person for fit in fits(names, names)] == list(range(87))
    assert [fit.person for fit in fits(backwards, names)] == list(range(87))
    for at, name in enumerate(names):
        surname = [[name[0].split()[-1]]]
        assert fits(surname, names)[0].person is None, at


@given(st.text(max_size=20), st.text(max_size=20))
def test_sameness_has_no_direction(one: str, other: str) -> None:
    """The order in which sources are listed changes no join."""
    assert same_person(one, other) == same_person(other, one)
