"""The data card: what is in the training set, for somebody who opens no other file.

What belongs here: the card's pages, made of its figures alone, and writing them. What does not:
finding the figures (`card_figures`) and drawing (`card_plots`). Text from the web is text on every
page, and the HTML loads nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_collection.recordings.store import Store, StoredFile
from data_collection.training_set.card_figures import CARD
from data_collection.training_set.card_pages import (
    MEASURES,
    TIER_NAMES,
    sections,
    spreads_of,
)
from data_collection.training_set.card_plots import plot_uri
from data_collection.training_set.card_rows import CardFigures, totals
from data_collection.training_set.manifest_rows import FOLDER

HTML = f"{FOLDER}/data_card.html"
MARKDOWN = f"{FOLDER}/data_card.md"
TEMPLATES = Path(__file__).parent
SHOWN_ROWS = 300
"""Rows of a table on the pages; the JSON has all of them."""
LONGEST = 400
MARKUP = str.maketrans({character: f"&#{ord(character)};" for character in "&<>|[]*`\\~:"})
"""Also the colon, without which no address becomes a link."""


@dataclass(frozen=True, slots=True)
class StoredCard:
    """The files that were written."""

    figures: StoredFile
    markdown: StoredFile
    html: StoredFile


def write_card(store: Store, figures: CardFigures) -> StoredCard:
    """Write `training_set/data_card.{md,html,json}`; equal figures give equal bytes.

    The JSON is written last: the next card compares with it, so a run that is killed before leaves
    what the card before said.
    """
    html = store.write_bytes(HTML, card_html(figures).encode())
    markdown = store.write_bytes(MARKDOWN, card_markdown(figures).encode())
    content = figures.model_dump_json(indent=1).encode() + b"\n"
    return StoredCard(store.write_bytes(CARD, content), markdown, html)


def card_html(figures: CardFigures) -> str:
    """The card as one page: readable on a phone and in print, light and dark, without a script."""
    return _rendered("card.html.jinja", figures, is_html=True)


def card_markdown(figures: CardFigures) -> str:
    """The card as Markdown, with tables where the page has plots."""
    return _rendered("card.md.jinja", figures, is_html=False)


def card_metadata(figures: CardFigures) -> Mapping[str, float | int | str]:
    """The card's main numbers for an asset's page: plain names, whose history is a plot."""
    return {
        "made_at": figures.made_at.isoformat(),
        **totals(figures),
        "notes": len(figures.notes),
        "changed_totals": len(figures.changes.totals) if figures.changes else 0,
    }


def plain(text: object, limit: int = LONGEST) -> str:
    """Text from the web on one line, not too long, without characters that nobody sees.

    Controls and marks that turn the direction of what follows could make a row read as another.
    """
    seen = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(text))
    line = " ".join(seen.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(value: float) -> str:
    """A number as the pages write it: three digits behind the point at most."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")


def _markdown_cell(text: object) -> str:
    """Text in a cell of a Markdown table: no markup, no link, no image, no line break."""
    return plain(text).translate(MARKUP).replace("www.", "www&#46;")


def _rendered(template: str, figures: CardFigures, *, is_html: bool) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(("html.jinja",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": plain if is_html else _markdown_cell, "figure": number}
    return environment.get_template(template).render(
        card=figures,
        tier_names=TIER_NAMES,
        totals=totals(figures),
        sections=sections(figures),
        shown=SHOWN_ROWS,
        plot=lambda measure: plot_uri(spreads_of(figures, measure), of=MEASURES[measure][1]),
    )
