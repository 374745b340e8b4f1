"""Sessions: whose part of a long video is where, and which parts are not cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.competition.programme_sessions import Session, read_session
from data_collection_tests.competition.test_programme import stamp

DURATION_S = 18_000.0
SESSION = """XVIII Konkurs Chopinowski – I etap, sesja poranna / first stage, morning session
Warszawa, 3 października 2021

10.00 – 10.40
XUANXIANG WU (Chiny / China)
Nokturn H-dur op. 62 nr 1 / Nocturne in B major, Op. 62 No. 1 (0:05:10)
Etiuda C-dur op. 10 nr 1 / Etude in C major, Op. 10 No. 1 (12:00)

10:40-11:20
Piotr Alexewicz (Polska / Poland) (32:10)
Ballada F-dur op. 38 / Ballade in F major, Op. 38 (32:40)

11.20 – 11.40 PRZERWA / BREAK

godz. 11.40
BRUCE (XIAOYU) LIU (Kanada / Canada)
Scherzo E-dur op. 54 / Scherzo in E major, Op. 54 (1:32:40)
Barkarola (1:45:00)

https://chopin2020.pl
"""


def read(text: str, duration_s: float | None = DURATION_S) -> Session:
    return read_session(text, duration_s=duration_s, default_composer="chopin")


def cuts(session: Session) -> list[tuple[str, float, float | None]]:
    return [(block.name, block.start_s, block.end_s) for block in session.blocks]


def test_a_session_is_read_block_by_block() -> None:
    """Names, countries, clocks, cuts and works; a stamp beside the name counts as the start."""
    session = read(SESSION)
    assert session.is_session
    assert cuts(session) == [
        ("XUANXIANG WU", 310.0, 1930.0),
        ("Piotr Alexewicz", 1930.0, 5560.0),
        ("BRUCE (XIAOYU) LIU", 5560.0, DURATION_S),
    ]
    assert [block.country for block in session.blocks] == [
        "Chiny / China", "Polska / Poland", "Kanada / Canada",
    ]  # fmt: skip
    assert [block.clock for block in session.blocks] == [
        "10.00 – 10.40",
        "10:40-11:20",
        "godz. 11.40",
    ]
    items = [(i.piece.work, i.start_s, i.end_s) for i in session.blocks[0].items if i.piece]
    assert items == [("op62-no1", 310.0, 720.0), ("op10-no1", 720.0, 1930.0)]
    assert session.refused == ()


def test_a_wall_clock_is_never_a_time_in_the_video() -> None:
    """A block whose only times are `10:00-10:40` is not cut at the tenth minute."""
    session = read(SESSION.replace("(0:05:10)", "").replace("(12:00)", ""))
    assert [name for name, _, _ in cuts(session)] == ["Piotr Alexewicz", "BRUCE (XIAOYU) LIU"]
    assert [(problem.text, problem.line) for problem in session.refused] == [("XUANXIANG WU", 5)]
    assert "stamp" in session.refused[0].reason


def test_a_block_without_a_name_is_refused_and_bounds_the_one_before() -> None:
    """Nobody's block is nobody's recording; where it starts the one before it still ends."""
    session = read(SESSION.replace("Piotr Alexewicz (Polska / Poland) (32:10)\n", ""))
    assert cuts(session) == [
        ("XUANXIANG WU", 310.0, 1960.0), ("BRUCE (XIAOYU) LIU", 5560.0, DURATION_S),
    ]  # fmt: skip
    assert session.refused[0].reason == "a block without a name"


def test_a_block_before_one_without_stamps_is_not_cut() -> None:
    """Its end is not known: up to the block after next it would hold another pianist."""
    session = read(SESSION.replace(" (32:10)", "").replace(" (32:40)", ""))
    assert [name for name, _, _ in cuts(session)] == ["BRUCE (XIAOYU) LIU"]
    assert [problem.text for problem in session.refused] == ["XUANXIANG WU", "Piotr Alexewicz"]


@pytest.mark.parametrize("wrong", ["(0:30:00)", "(0:04:00)"])
def test_stamps_that_go_backwards_between_blocks(wrong: str) -> None:
    """Two blocks that overlap are both refused, for either may be the wrong one."""
    session = read(SESSION.replace("(1:32:40)", wrong))
    refused = {problem.text for problem in session.refused}
    assert {"Piotr Alexewicz", "BRUCE (XIAOYU) LIU"} <= refused
    assert all(reason for reason in (problem.reason for problem in session.refused))


def test_a_block_beyond_the_end_is_refused() -> None:
    """A stamp later than the video's length is of another video, or a slip."""
    session = read(SESSION, duration_s=5_000.0)
    assert [problem.text for problem in session.refused][-1] == "BRUCE (XIAOYU) LIU"
    assert ("Piotr Alexewicz", 1930.0, 5560.0) not in cuts(session)


def test_the_same_name_twice_gives_two_blocks() -> None:
    """Who is meant is settled elsewhere; here nothing is lost and nothing joined."""
    session = read(SESSION.replace("BRUCE (XIAOYU) LIU (Kanada / Canada)", "XUANXIANG WU (China)"))
    assert [name for name, _, _ in cuts(session)].count("XUANXIANG WU") == 2


def test_without_a_duration_the_last_block_has_no_end() -> None:
    """The end of the last block is the video's, which is not guessed."""
    assert cuts(read(SESSION, duration_s=None))[-1] == ("BRUCE (XIAOYU) LIU", 5560.0, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BRUCE LIU (Kanada / Canada)\nBallade Op. 38 (0:10)\nWaltz Op. 42 (8:00)",
        "Ballade in F major, Op. 38 (Chopin)\nEtude in C major, Op. 10 No. 1 (Chopin)",
        "The competition takes place in Warsaw (Poland) and lasts three weeks.\n"
        "Recorded in the hall (Warsaw)",
        "x" * 10_000_000,
    ],
    ids=["empty", "one pianist", "works", "prose", "ten megabytes"],
)
def test_what_is_no_session_says_why(text: str) -> None:
    """A recital taken for a session would be cut up; fewer than two pianists are none."""
    session = read(text)
    assert not session.is_session
    assert session.blocks == ()
    assert session.because


NAMES = (
    "BRUCE (XIAOYU) LIU (Kanada / Canada)", "Martín García García (Hiszpania / Spain)",
    "J J JUN LI BUI (Kanada / Canada)", "Leonora Armellini (Italy)",
    "Kyohei SORITA (Japonia / Japan)",
    "YUTONG SUN (China)", "Szuyu Su (Chińskie Tajpej / Chinese Taipei)",
)  # fmt: skip


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=6),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
)
def test_blocks_that_are_written_are_read(
    names: list[str], style: int, clocked: bool, blank: bool
) -> None:
    """Any names, stamps and clocks: as many blocks as written, each from its first stamp."""
    lines: list[str] = ["Sesja wieczorna / Evening session"]
    starts = [600 + 1_800 * at for at in range(len(names))]
    for at, (name, start) in enumerate(zip(names, starts, strict=True)):
        lines += [""] if blank else []
        lines += [f"{17 + at // 2}.{30 * (at % 2):02d} – {18 + at // 2}.00"] if clocked else []
        lines += [
            name,
            f"Ballada f-moll op. 52 / Ballade in F minor, Op. 52 ({stamp(start, style)})",
        ]
        lines += [f"Waltz in A flat major, Op. 42 ({stamp(start + 700, style)})"]
    session = read("\n".join(lines))
    ends = [*map(float, starts[1:]), DURATION_S]
    assert [(s, e) for _, s, e in cuts(session)] == list(zip(map(float, starts), ends, strict=True))
    assert [f"{b.name} ({b.country})" for b in session.blocks] == names
    assert all(b.items[0].piece and b.items[0].piece.work == "op52" for b in session.blocks)


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [*NAMES, "10.00 – 10.40", "11:00-11:40", "Ballade Op. 52 (10:00)", "Berceuse (0:20)",
             "Etude Op. 10 No. 1 (1:00:00)", "Waltz Op. 42 (99:99)", "", "(2:00:00)", "PRZERWA"]
        ),
        max_size=14,
    )
)  # fmt: skip
def test_no_two_blocks_overlap(lines: list[str]) -> None:
    """Whatever is written, no second of the video belongs to two pianists."""
    blocks = read("\n".join(lines)).blocks
    for one, other in pairwise(blocks):
        assert one.end_s is not None
        assert one.start_s < one.end_s <= other.start_s
