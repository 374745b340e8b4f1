"""Packets: percentiles known by hand, the same bytes, and nothing that tells who plays."""

from __future__ import annotations

import json
import math
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.teacher.evidence_figures import (
    CURVE_POINTS,
    CURVES,
    EVIDENCE_SCHEMA,
    FIGURES,
)
from data_collection.teacher.guess_control import (
    above_chance,
    guess_prompt,
    guess_schema,
    shuffled,
)
from data_collection.teacher.packet_leaks import leaks
from data_collection.teacher.packets import COMPARED_WITH, MIN_OTHERS, Packet, packets

TITLE = "Polonaise-fantaisie in A flat major, Op. 61 – SZUYU SU (third round, Warsaw 2021)"


def evidence(values: dict[str, float | None]) -> pl.DataFrame:
    """Clips by id; every figure has the clip's value, every curve climbs to it."""
    rows = [
        {
            "segment_id": segment_id,
            **dict.fromkeys((figure.name for figure in FIGURES), value),
            **{
                curve.name: None if value is None else [value * at for at in range(CURVE_POINTS)]
                for curve in CURVES
            },
        }
        for segment_id, value in values.items()
    ]
    return pl.DataFrame(rows, schema=EVIDENCE_SCHEMA)


def groups(rows: list[tuple[str, str | None, str | None, str | None]]) -> pl.DataFrame:
    columns = ("segment_id", "performer_group", "piece", "round")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def one_clip_each(count: int, *, piece: str | None = "p", round_: str | None = "r") -> pl.DataFrame:
    return groups([(f"s{at}", f"who{at}", piece, round_) for at in range(count)])


def made(values: list[float | None], table: pl.DataFrame | None = None) -> list[Packet]:
    clips = {f"s{at}": value for at, value in enumerate(values)}
    return packets(evidence(clips), one_clip_each(len(values)) if table is None else table)


def percentile(packet: Packet, name: str = "attack_db") -> int | None:
    rank = json.loads(packet.text)["figures"][name][1]
    assert rank is None or isinstance(rank, int)
    return rank


def test_a_percentile_is_among_the_others_of_the_piece() -> None:
    """Guards a rank that counts oneself: the lowest would not be 0, the highest not 100."""
    asked = made([float(at) for at in range(MIN_OTHERS + 1)])
    assert [percentile(packet) for packet in asked] == [0, 15, 25, 40, 50, 65, 75, 90, 100]
    assert {packet.compared_with for packet in asked} == {"piece"}
    assert made([2.0] * 12)[3].text == made([2.0] * 12)[7].text
    assert percentile(made([2.0] * 12)[0]) == 50


def test_a_performers_own_clips_do_not_count_and_many_clips_count_once() -> None:
    """Guards a pianist who is compared with the own playing, or outvotes the rest."""
    rows: list[tuple[str, str | None, str | None, str | None]] = [("s0", "me", "p", "r")]
    rows += [(f"s{at}", "me", "p", "r") for at in range(1, 20)]
    rows += [(f"s{20 + at}", f"who{at}", "p", "r") for at in range(MIN_OTHERS)]
    rows += [(f"s{40 + at}", "who0", "p", "r") for at in range(50)]
    below = [5.0] + [1.0] * 19 + [9.0] * (MIN_OTHERS // 2) + [2.0] * (MIN_OTHERS // 2)
    clips = {f"s{at}": value for at, value in enumerate(below)}
    clips |= {f"s{40 + at}": 9.0 for at in range(50)}
    asked = packets(evidence(clips), groups(rows))
    assert percentile(asked[0]) == 50


@pytest.mark.parametrize(
    ("in_piece", "in_round", "basis"),
    [(9, 9, "piece"), (8, 9, "round"), (8, 8, "nobody"), (1, 30, "round"), (3, 3, "nobody")],
)
def test_too_few_in_the_piece_falls_back_to_the_round_and_says_so(
    in_piece: int, in_round: int, basis: str
) -> None:
    """Guards a percentile among three, and one among other music that passes for the same."""
    rows: list[tuple[str, str | None, str | None, str | None]] = [
        (f"s{at}", f"who{at}", "p" if at < in_piece else f"other{at}", "r")
        for at in range(in_round)
    ]
    rows += [(f"t{at}", f"elsewhere{at}", "p", "r2") for at in range(20)]
    first = packets(evidence({f"s{at}": float(at) for at in range(in_round)}), groups(rows))[0]
    assert first.compared_with == basis
    assert json.loads(first.text)["compared_with"] == COMPARED_WITH[first.compared_with]
    assert (percentile(first) is None) == (basis == "nobody")


def test_a_figure_that_is_not_known_has_no_percentile_and_is_in_nobodys() -> None:
    """Guards silence that counts as the lowest."""
    asked = made([None, *(float(at) for at in range(MIN_OTHERS + 1))])
    assert json.loads(asked[0].text)["figures"]["attack_db"] == [None, None]
    assert json.loads(asked[0].text)["curves"]["loudness_curve_lu"] is None
    assert percentile(asked[1]) == 0
    few = made([1.0] * MIN_OTHERS + [None] * 5)[0]
    assert (few.compared_with, percentile(few)) == ("piece", None)
    assert percentile(made([1.0] * (MIN_OTHERS + 1) + [None] * 5)[0]) == 50


def test_a_clip_without_a_piece_or_round_is_compared_as_far_as_it_can_be() -> None:
    """Guards clips without a piece that are compared as if they shared one."""
    values = [float(at) for at in range(12)]
    asked = packets(
        evidence({f"s{at}": value for at, value in enumerate(values)}),
        one_clip_each(12, piece=None),
    )
    assert {packet.compared_with for packet in asked} == {"round"}
    asked = packets(
        evidence({f"s{at}": value for at, value in enumerate(values)}),
        one_clip_each(12, round_=None),
    )
    assert {packet.compared_with for packet in asked} == {"nobody"}


@settings(max_examples=25)
@given(
    values=st.lists(st.floats(-60, 60) | st.none(), min_size=2, max_size=25),
    people=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_packets_are_the_same_bytes_in_any_order_and_ranks_follow_values(
    values: list[float | None], people: int, seed: int
) -> None:
    """Guards paying twice because rows came in another order; and ranks that are none."""
    rows: list[tuple[str, str | None, str | None, str | None]] = [
        (f"s{at}", f"who{at % people}", "p", "r") for at in range(len(values))
    ]
    clips = evidence({f"s{at}": value for at, value in enumerate(values)})
    first = packets(clips, groups(rows))
    mixed = clips.sample(fraction=1, shuffle=True, seed=seed)
    random.Random(seed).shuffle(rows)  # noqa: S311 - an order, no secret
    again = packets(mixed, groups(rows))
    assert {p.segment_id: p.text for p in first} == {p.segment_id: p.text for p in again}
    for packet, value in zip(first, values, strict=True):
        rank = percentile(packet)
        others = [v for at, v in enumerate(values) if v is not None and at % people != 0]
        if rank is None or value is None or len(values) > people or packet.segment_id != "s0":
            continue
        exact = sum((v < value) + (v == value) / 2 for v in others) / len(others) * 100
        assert abs(rank - exact) <= 2.5 + 1e-6


def test_packets_are_small_and_hold_names_of_figures_and_numbers_only() -> None:
    """Guards a field that slips in, and a price that nobody expected."""
    for packet in made([-1234.567891, *(float(at) for at in range(20))]):
        given = json.loads(packet.text)
        assert set(given) == {"compared_with", "figures", "curves"}
        assert "loudness_lufs" not in given["figures"]
        leaves = [x for pair in given["figures"].values() for x in pair]
        leaves += [x for points in given["curves"].values() for x in points]
        assert all(x is None or isinstance(x, int | float) for x in leaves)
        assert all(len(points) == CURVE_POINTS for points in given["curves"].values())
        assert len(packet.text) < 2000
        assert packet.segment_id not in packet.text


def test_the_size_of_the_comparison_does_not_show() -> None:
    """Guards a round that is told by how many took part in it."""
    texts = {made([5.0] * size)[0].text for size in (MIN_OTHERS + 1, 12, 23, 45, 87)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (groups([("s0", None, "p", "r"), ("s1", "a", "p", "r")]), "s0"),
        (groups([("s1", "a", "p", "r")]), "s0"),
        (groups([("s0", "a", "p", "r"), ("s0", "b", "p", "r")]), "twice"),
        (pl.DataFrame({"segment_id": ["s0"]}), "performer_group"),
    ],
)
def test_groups_that_do_not_tell_people_apart_are_refused(table: pl.DataFrame, said: str) -> None:
    """Guards a pianist who is ranked among the own clips for want of a name."""
    with pytest.raises(ValueError, match=said):
        made([1.0, 2.0], table)


SECRETS = [
    "Bruce (Xiaoyu) Liu",
    "Martín García García",
    "Łukasz Krupiński",
    "劉曉禹",
    "Poland",
    "Stage 3",
    TITLE,
    "yt_dQw4w9WgXcQ",
    "dQw4w9WgXcQ",
    "chopin2021",
    "2021",
    "1834.25",
    "@chopininstitute",
    "Yu",
]


@pytest.mark.parametrize(
    "text",
    [
        "played by liu",
        "XIAOYU",
        "brucexiaoyuliu",
        "bruce_liu.flac",
        "Garcia",
        "Martin",
        "Lukasz",
        "KRUPINSKI",
        "這是劉曉禹演奏",
        "a pianist from POLAND",
        "stage 3",
        "polonaise",
        "Su",
        "Warsaw",
        "third",
        "dQw4w9WgXcQ",
        "yt_dqw4w9wgxcq",
        "chopin2021",
        "in 2021.",
        "1834.25 s",
        "ChopinInstitute",
        "yu",
        '{"figures": {"crest_db": [3.0, 50]}, "by": "Liu"}',
        '{"figures": {"poland": [3.0, 50]}}',
        '{"figures": {"crest_db": [1834.25, 50]}}',
        '{"compared_with": "44 others in stage 3"}',
    ],
)
def test_every_kind_of_secret_is_found(text: str) -> None:
    """Guards a name that the model recognises: it very likely knows who won."""
    assert leaks(text, SECRETS)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.net/a",
        "www.example",
        "youtu.be/x",
        "in 1999",
        "Op. 2015)",
        "abc_seg0007",
        "xY3_9kLmN-q",
        "9f86d081884c7d659a2feaa0c55ad015",
        '{"figures": {"pulse_per_min": [2021, 50]}}',
    ],
)
def test_ids_years_and_addresses_are_found_without_being_told(text: str) -> None:
    """Guards what nobody thought of listing."""
    assert leaks(text, [])


def test_a_packet_is_clean_whoever_plays_and_whatever_the_title() -> None:
    """Guards a leak through the packet, and names like figures that would stop the work."""
    rows: list[tuple[str, str | None, str | None, str | None]] = [
        (f"chopin2021_su_{at}_seg0003", "Szuyu Su" if at == 0 else f"who{at}", TITLE, "stage3")
        for at in range(12)
    ]
    clips = {row[0]: 3.14159 * (at + 1) for at, row in enumerate(rows)}
    like_figures = ["Kate Low", "Song High", "Crest", "Onsets Middle", "Other Performers", "15"]
    for packet in packets(evidence(clips), groups(rows)):
        assert leaks(packet.text, [*SECRETS, *like_figures, *(row[0] for row in rows)]) == []


def test_a_name_that_is_also_a_figures_is_found_where_it_is_a_name() -> None:
    """Guards a pianist called Low who could be named freely."""
    assert leaks('{"figures": {"low_percent": [3.0, 50]}, "note": "low"}', ["Kate Low"])
    assert not leaks('{"figures": {"low_percent": [3.0, 50]}}', ["Kate Low"])


def test_words_that_tell_nothing_are_no_leak() -> None:
    """Guards a search that cries at every sentence and is switched off."""
    assert leaks("the attack is clear and the pulse holds in most of it, 12 of 15", SECRETS) == []


@settings(max_examples=30)
@given(text=st.text(max_size=60), secrets=st.lists(st.text(max_size=12), max_size=4))
def test_any_text_is_searched(text: str, secrets: list[str]) -> None:
    """Guards an exception, a pattern that a name breaks, and the whole secret overlooked."""
    leaks(text, secrets)
    assert leaks(f"x {text} Krupinski x", ["Łukasz Krupiński"])


def test_the_guess_offers_all_candidates_in_an_order_that_tells_nothing() -> None:
    """Guards a winner who always stands first."""
    asked = made([float(at) for at in range(12)])
    names = ["Ann", "Ben", "Cem", "Dai", "Eve"]
    orders = {shuffled(packet, names) for packet in asked}
    assert len(orders) > 3
    assert shuffled(asked[0], names) == shuffled(asked[0], names[::-1])
    prompt = guess_prompt(asked[0], names)
    assert asked[0].text in prompt
    assert all(f"- {name}\n" in prompt for name in names)
    assert guess_schema(names)["required"] == ["pianist"]
    for wrong in (["Ann"], ["Ann", "Ann"]):
        with pytest.raises(ValueError, match="two candidates"):
            guess_prompt(asked[0], wrong)


def test_above_chance_is_the_exact_binomial() -> None:
    """Guards a control that is never alarmed, or always."""
    names = ["a", "b", "c", "d"]
    control = above_chance(["a", "b", "c", None], ["a", "b", "d", "a"], names)
    exact = sum(math.comb(3, k) * 0.25**k * 0.75 ** (3 - k) for k in (2, 3))
    assert (control.share, control.guesses) == (pytest.approx(2 / 3), 3)
    assert control.p == pytest.approx(exact)
    assert above_chance([None], ["a"], names).p is None
    assert above_chance(["a"] * 40, ["a"] * 40, names).p < 1e-20  # type: ignore[operator]
    with pytest.raises(ValueError, match="not among"):
        above_chance(["a"], ["z"], names)
    with pytest.raises(ValueError, match="1 guesses of 2"):
        above_chance(["a"], ["a", "b"], names)
