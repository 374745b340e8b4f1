"""Pages in the manner of Wikipedia's, about a competition that never was, in three layouts.

The people are the same in all three, so that each layout must give the same statements.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Pianist:
    """What a page should say of one."""

    name: str
    country: str
    reached: str
    prize: int | None = None
    withdrew: bool = False


PIANISTS = (
    Pianist("Ada Quill", "Norway", "final", 1),
    Pianist("Bruno (Li) Rook", "Canada", "final", 2),
    Pianist("Cleo Stern García", "Spain", "final", 2),
    Pianist("Dov Tamar", "Israel", "final", 3),
    Pianist("Ewa Żółć", "Poland", "final"),
    Pianist("Fay Vance", "United States", "stage2"),
    Pianist("Gus Wynn", "United States", "stage2", withdrew=True),
    Pianist("Hal Xeno", "Greece", "stage1"),
    Pianist("Ivy Yarrow", "Ireland", "stage1"),
)
STAGES = ("stage1", "stage2", "final")


def _flag(country: str) -> str:
    return (
        f'<span class="flagicon"><span class="mw-image-border" typeof="mw:File"><span>'
        f'<img alt="{country}" src="//upload.example/{country}.svg.png" width="23" height="15">'
        "</span></span></span>"
    )


def _link(name: str) -> str:
    return f'<a href="/wiki/X" title="{name}">{name}</a>'


def _sort_key(name: str) -> str:
    first, *_, last = name.split()
    return f'<span data-sort-value="{last}, {first}"></span>'


def _page(body: str, *, title: str = "II Example Piano Competition") -> str:
    return (
        '<!DOCTYPE html><html class="client-nojs" lang="en" dir="ltr"><head><meta charset="UTF-8">'
        f"<title>{title} - Wikipedia</title><script>RLCONF={{}};</script></head>"
        f'<body class="skin-vector"><h1 id="firstHeading"><span>{title}</span></h1>'
        f'<div id="mw-content-text"><div class="mw-parser-output"><p>The competition …</p>{body}'
        "</div></div></body></html>"
    )


def _heading(level: int, text: str) -> str:
    return (
        f'<div class="mw-heading mw-heading{level}"><h{level} id="x">{text}</h{level}>'
        '<span class="mw-editsection"><span>[</span><a href="/w">edit</a>]</span></div>'
    )


JURY = (
    _heading(2, "Jury")
    + '<table class="wikitable"><tbody><tr><th>Name</th><th>Country</th></tr>'
    + "<tr><td>Zoe Judge</td><td>Peru</td></tr><tr><td>Ada Quill</td><td>Norway</td></tr>"
    + "</tbody></table>"
)
SPECIAL_PRIZES = (
    '<table class="wikitable"><tbody><tr><th>Special prize</th><th>Winner</th></tr>'
    "<tr><td>Best performance of a mazurka</td><td>Hal Xeno</td></tr>"
    "<tr><td>Best concerto (€5,000)</td><td>Not awarded</td></tr></tbody></table>"
)


def table_a_stage() -> str:
    """One table a stage; prizes with medals, money, ties by rowspan, footnotes and sort keys."""
    prizes = """
    <tr><td><span typeof="mw:File"><img alt="1st place, gold medalist(s)" src="g.svg"></span>
      €40,000</td><td><b>{}</b></td><td>{}</td></tr>
    <tr><td rowspan="2"><span typeof="mw:File"><img alt="2nd place, silver medalist(s)"></span>
      €30,000 <i>(ex aequo)</i></td><td>{}<sup id="cite_ref-4" class="reference"><a href="#c">
      <span>[</span>4<span>]</span></a></sup></td><td>{}</td></tr>
    <tr><td>{}</td><td>{}</td></tr>
    <tr><td>3<sup>rd</sup> prize</td><td>{}†</td><td>{}</td></tr>
    <tr><td>4th</td><td>Not awarded</td><td>–</td></tr>
    <tr><td>Finalist</td><td>{}</td><td>{}</td></tr>
    <tr><td>Audience prize</td><td>Fay Vance</td><td>United States</td></tr>
    """
    cells = [
        part for p in PIANISTS[:5] for part in (_link(p.name), _flag(p.country) + " " + p.country)
    ]
    body = _heading(2, "Awards") + (
        '<table class="wikitable"><tbody><tr><th>Prize</th><th>Winner</th><th>Country</th></tr>'
        + prizes.format(*cells)
        + "</tbody></table>"
        + SPECIAL_PRIZES
    )
    body += JURY + _heading(2, "Participants")
    for level, (stage, heading) in enumerate(
        zip(STAGES, ("First stage (3–7 October)", "Second stage", "Final"), strict=True)
    ):
        rows = "".join(
            f"<tr><td>{n}</td><td>{_sort_key(p.name)}{_link(p.name)}"
            f"{' <small>(withdrew)</small>' if p.withdrew and stage == p.reached else ''}</td>"
            f"<td>{_flag(p.country)}&#160;{p.country}</td></tr>"
            for n, p in enumerate(PIANISTS, start=1)
            if STAGES.index(p.reached) >= level
        )
        body += _heading(3, heading) + (
            '<table class="wikitable sortable"><thead><tr><th>No.</th><th>Name</th>'
            f"<th>Nationality</th></tr></thead><tbody>{rows}</tbody></table>"
        )
    return _page(body)


def one_matrix() -> str:
    """One table with a column a stage under a common header, ticks, and prizes at its end."""
    head = (
        '<tr><th rowspan="2">Competitor</th><th colspan="3">Rounds</th>'
        '<th rowspan="2">Prize</th></tr>'
        '<tr><th scope="col">Stage I</th><th>Stage II</th><th>Final</th></tr>'
    )
    words = {1: "First prize", 2: "Second prize (ex&#160;aequo)", 3: "III"}
    rows = ""
    for p in PIANISTS:
        reached = STAGES.index(p.reached)
        ticks = "".join(
            '<td class="table-no">–</td>'
            if level > reached
            else '<td><span style="display:none">x</span>Withdrew</td>'
            if p.withdrew and level == reached
            else '<td class="table-yes2">✓</td>'
            for level in range(3)
        )
        prize = words.get(p.prize or 0, "Honourable mention" if reached == 2 else "")
        rows += (
            f'<tr><th scope="row">{_flag(p.country)} {_link(p.name)}[a]</th>{ticks}'
            f"<td>{prize}</td></tr>"
        )
    return _page(
        _heading(2, "Competitors")
        + f'<table class="wikitable plainrowheaders"><caption>Results</caption><tbody>{head}{rows}'
        + "</tbody></table>"
        + JURY
    )


def lists_and_outcomes() -> str:
    """Prizes with several names in a cell; participants with their outcome in words, no flags."""

    def named(prize: int | None) -> str:
        return "<br />".join(
            f"{p.name} ({p.country})" for p in PIANISTS if p.reached == "final" and p.prize == prize
        )

    prizes = (
        f"<tr><td>Gold medal</td><td>{named(1)}</td></tr>"
        f"<tr><td>Silver medal</td><td><ul><li>{named(2).replace('<br />', '</li><li>')}</li></ul>"
        f"</td></tr><tr><td>Bronze medal</td><td>{named(3)}</td></tr>"
        f"<tr><td>Finalist</td><td>{named(None)}</td></tr>"
    )
    outcome = {"final": "Finalist", "stage2": "Eliminated in round 2", "stage1": "First round"}
    rows = "".join(
        f"<tr><td>{p.name} ({p.country})</td>"
        f"<td>{'Withdrew (second round)' if p.withdrew else outcome[p.reached]}</td></tr>"
        for p in PIANISTS
    )
    return _page(
        _heading(2, "Results")
        + '<table class="wikitable"><tbody><tr><td><b>Award</b></td><td><b>Laureate</b></td></tr>'
        + f"{prizes}</tbody></table>"
        + _heading(2, "Contestants")
        + '<table class="wikitable"><tbody><tr><th>Pianist</th><th>Round reached</th></tr>'
        + f"{rows}</tbody></table>"
    )


LAYOUTS = {
    "table a stage": table_a_stage,
    "one matrix": one_matrix,
    "lists and outcomes": lists_and_outcomes,
}


def without_tables(page: str) -> str:
    """The page after a redesign: the same words, other elements."""
    return re.sub(r"wikitable", "data-grid", page)
