"""Results on a site's own pages, by the CSS selectors of the edition file.

What belongs here: reading such pages, and saying which selector found nothing. What does not:
fetching (`pages`) and Wikipedia, whose tables need no selectors (`wikipedia`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.kept_answers import Page
from data_collection.competition.sources.specs import HtmlPage, HtmlSource
from data_collection.competition.sources.statements import Mention, Statement, Words, merged
from data_collection.competition.sources.wording import plain_text, says_withdrew

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

FEW_LETTERS = 400
"""A page with less text than this and with scripts is a shell that a browser would fill."""


def read_html(
    pages: Sequence[tuple[HtmlPage, Page]], spec: HtmlSource, words: Words
) -> tuple[Statement, ...]:
    """Read a site's pages.

    Args:
        pages: each with what the edition file says of it.
        spec: the selectors.
        words: how the site's words are read.

    Raises:
        SourceError: a selector finds nothing, with the page's address and where it is kept; or a
            word is not known.
    """
    mentions: list[Mention] = []
    for stated, page in pages:
        there = words.at(page_origin(page))
        mentions += _read_page(page, stated.round, spec, there)
    return merged(mentions, words.at(", ".join(page_origin(page) for _, page in pages)))


def page_origin(page: Page) -> str:
    """A page's address and where its answer is kept."""
    return f"{page.url} (kept as {page.saved})"


def describe_page(tree: LexborHTMLParser) -> str:
    """What kind of page it is, for a message: its title, its language, whether it is a shell."""
    title = tree.css_first("title")
    html = tree.css_first("html")
    language = (html.attributes.get("lang") if html is not None else None) or "not stated"
    scripts = len(tree.css("script"))
    body = tree.body
    letters = len(_visible_text(body)) if body is not None else 0
    kind = (
        "; it needs a browser's JavaScript, or it is an error page"
        if letters < FEW_LETTERS and scripts
        else "; it is all but empty"
        if letters < FEW_LETTERS
        else ""
    )
    shown = plain_text(title.text()) if title is not None else ""
    return f"the page is titled {shown[:80]!r}, in language {language[:20]!r}{kind}"


def _visible_text(body: LexborNode) -> str:
    from selectolax.lexbor import LexborHTMLParser

    copy = LexborHTMLParser(body.html or "")
    for element in copy.css("script, style, noscript, template"):
        element.decompose()
    return " ".join(copy.text().split())


def _read_page(page: Page, round_id: str | None, spec: HtmlSource, words: Words) -> list[Mention]:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(page.text)
    rows = [row for row in tree.css(spec.row) if _is_data(row)]
    if not rows:
        raise _nothing_found("row", spec.row, tree, words)
    for field in ("country", "stage", "prize"):
        selector = getattr(spec, field)
        if selector is not None and not any(_found(row, selector) for row in rows):
            raise _nothing_found(field, selector, tree, words)
    mentions = []
    for number, row in enumerate(rows, start=1):
        if not _found(row, spec.performer):
            raise _nothing_found(f"performer of row {number}", spec.performer, tree, words)
        mentions.append(_mention(row, f"row {number}", round_id, spec, words))
    return mentions


def _nothing_found(field: str, selector: str, tree: LexborHTMLParser, words: Words) -> SourceError:
    return SourceError(
        f"source {words.source}, {words.origin}: the selector {selector!r} ({field}) found "
        f"nothing; {describe_page(tree)}. If the layout has changed, correct the selector"
    )


def _is_data(row: LexborNode) -> bool:
    """Not a table's header: a row of `th` alone."""
    return not (row.css("th") and not row.css("td"))


def _mention(
    row: LexborNode, where: str, round_id: str | None, spec: HtmlSource, words: Words
) -> Mention:
    stage_words = _text(row, spec.stage)
    withdrew = spec.withdrew is not None and (
        _found(row, spec.withdrew) and (_text(row, spec.withdrew) or "yes").lower() != "no"
    )
    stage = words.stage(stage_words, where)
    return Mention(
        performer=words.name(_text(row, spec.performer), where),
        where=where,
        country=words.country(_text(row, spec.country)),
        stage=words.stages.later(stage, round_id),
        prize=words.prize(_text(row, spec.prize), where),
        withdrew=withdrew or says_withdrew(stage_words),
        block=words.origin,
    )


def _found(row: LexborNode, selector: str) -> bool:
    css, _, _ = selector.partition("@")
    return not css or row.css_first(css) is not None


def _text(row: LexborNode, selector: str | None) -> str:
    """Text or attribute of what a selector finds in a row, cleaned; empty where there is none."""
    if selector is None:
        return ""
    css, _, attribute = selector.partition("@")
    element = row.css_first(css) if css else row
    if element is None:
        return ""
    if attribute:
        return plain_text(element.attributes.get(attribute) or "")
    return plain_text(element.html or "")
