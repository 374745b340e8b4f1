"""Results in the JSON of a headless CMS whose form nobody documents.

What belongs here: walking the records and finding names, rounds and prizes in them by JMESPath
expressions of the edition file, with defaults that fit what such systems usually give. What does
not: fetching (`pages`). A record without a name is an error: its form is another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Protocol

from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.html import page_origin
from data_collection.competition.sources.kept_answers import Page
from data_collection.competition.sources.specs import NUMBER_FIELD, CmsSource
from data_collection.competition.sources.statements import Mention, Statement, Words, merged
from data_collection.competition.sources.wording import (
    UnknownWordError,
    is_yes,
    plain_text,
)


class Fetches(Protocol):
    """Gives pages by their address."""

    def get(self, url: str, *, missing_ok: bool = False) -> Page:
        """Give a page; with `missing_ok` a 404 too."""
        ...


LANGUAGES = ("en", "en-US", "en_GB", "pl")
"""Of a value in several languages, the first of these that it has."""


def read_cms(pages: Fetches, spec: CmsSource, words: Words) -> tuple[Statement, ...]:
    """Read a CMS.

    Args:
        pages: the source's pages.
        spec: addresses and fields.
        words: how its words are read.

    Raises:
        SourceError: an answer is not JSON or has another form, with its address and where it is
            kept; no number has a record; or a word is not known.
    """
    mentions: list[Mention] = []
    origin = ""
    for page, where, record in _records(pages, spec, words):
        there = words.at(page_origin(page))
        origin = origin or there.origin
        mentions.append(_mention(record, where, spec, there))
    return merged(mentions, words.at(origin or (spec.index or spec.url or "")))


def _records(pages: Fetches, spec: CmsSource, words: Words) -> Iterator[tuple[Page, str, object]]:
    """Each record with the answer it stands in."""
    if spec.index is None:
        yield from _by_number(pages, spec, range(spec.numbers.first, spec.numbers.last + 1), words)
        return
    page = pages.get(spec.index)
    there = words.at(page_origin(page))
    content = _json(page, there)
    entries = _first(content, spec.entries)
    if not isinstance(entries, list) or not entries:
        raise SourceError(
            f"source {words.source}, {there.origin}: no list of records at "
            f"{_shown(spec.entries)}; {_described(content)}"
        )
    if spec.url is None:
        yield from ((page, f"record {n}", entry) for n, entry in enumerate(entries, start=1))
        return
    numbers = [_number(entry, spec, there) for entry in entries]
    yield from _by_number(pages, spec, numbers, words)


def _number(entry: object, spec: CmsSource, words: Words) -> int:
    value = entry if isinstance(entry, (int, str)) else _first(entry, spec.number)
    if isinstance(value, (int, str)) and str(value).isdecimal():
        return int(value)
    raise SourceError(
        f"source {words.source}, {words.origin}: an entry has no number at {_shown(spec.number)}"
    )


def _by_number(
    pages: Fetches, spec: CmsSource, numbers: Sequence[int], words: Words
) -> Iterator[tuple[Page, str, object]]:
    missing = found = 0
    for number in numbers:
        page = pages.get((spec.url or "").replace(NUMBER_FIELD, str(number)), missing_ok=True)
        if page.status == 200:
            missing, found = 0, found + 1
            yield page, f"participant {number}", _json(page, words.at(page_origin(page)))
            continue
        missing += 1
        if missing >= spec.numbers.stop_after_missing:
            break
    if not found:
        raise SourceError(
            f"source {words.source}: no record at {spec.url} for any number from "
            f"{min(numbers, default=0)} on; correct `numbers`, or give an `index`"
        )


def _json(page: Page, words: Words) -> object:
    try:
        return json.loads(page.text)
    except (ValueError, RecursionError) as error:  # a number may be too long
        raise SourceError(
            f"source {words.source}, {words.origin}: no JSON ({error}); it begins with "
            f"{plain_text(page.text[:80])[:60]!r}, of type {page.media_type!r}"
        ) from error


def _mention(record: object, where: str, spec: CmsSource, words: Words) -> Mention:
    inner = next(
        (
            found
            for path in spec.fields.record
            if isinstance(found := _search(path, record), dict)
            and "error" not in found
            and _first_text(found, spec.fields.performer)
        ),
        None,
    )
    if inner is None:
        raise SourceError(
            f"source {words.source}, {words.origin}, {where}: no name at "
            f"{_shown(spec.fields.performer)}; {_described(record)}. Say in `fields` where it is"
        )
    name = words.name(_first_text(inner, spec.fields.performer), where)
    country = words.country(_first_text(inner, spec.fields.country))
    prize = words.prize(_first_text(inner, spec.fields.prize), where)
    withdrew = _withdrew(inner, where, spec, words)
    stages = [words.stage(text, where) for text in _stage_words(inner, spec, words, where)]
    reached: str | None = None
    for stage in stages:
        reached = words.stages.later(reached, stage)
    return Mention(name, where, country, reached, prize, withdrew)


def _withdrew(record: object, where: str, spec: CmsSource, words: Words) -> bool:
    value = _first(record, spec.fields.withdrew)
    try:
        return is_yes(value)
    except UnknownWordError as error:
        raise words.error(where, error) from error


def _stage_words(record: object, spec: CmsSource, words: Words, where: str) -> list[str]:
    """Words for rounds: one, or a list. Numbers may be the database's ids: only stated ones count.

    Raises:
        SourceError: there is a value, but none that is a word.
    """
    value = _first(record, spec.fields.stages)
    values = value if isinstance(value, list) else [value]
    texts = [_text(item) for item in values if item not in (None, "", False)]
    for item, text in zip([v for v in values if v not in (None, "", False)], texts, strict=True):
        if not text or (isinstance(item, int) and words.stages.stated.get(text) is None):
            raise words.error(
                where,
                f"{str(item)[:60]!r} does not say which round it is; say in `fields` where the "
                "words are, or in `stages` what the numbers mean",
            )
    return texts


def _first(content: object, paths: Sequence[str]) -> object:
    """What the first expression gives that gives something."""
    for path in paths:
        found = _search(path, content)
        if found not in (None, "", [], {}) and not (isinstance(found, str) and not found.strip()):
            return found
    return None


def _first_text(content: object, paths: Sequence[str]) -> str:
    """The first text that an expression gives; empty where none does."""
    return next((text for path in paths if (text := _text(_search(path, content)))), "")


def _search(path: str, content: object) -> object:
    """What an expression gives; nothing where the content has not the form that it needs."""
    import jmespath

    try:
        return jmespath.search(path, content)
    except jmespath.exceptions.JMESPathError:
        return None


def _text(value: object) -> str:
    """Text of a value; of one in several languages, the first that is known."""
    if isinstance(value, dict):
        value = next((value[key] for key in LANGUAGES if isinstance(value.get(key), str)), None)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return plain_text(str(value))
    return ""


def _shown(paths: Sequence[str]) -> str:
    return " | ".join(paths)


def _described(content: object) -> str:
    """The form of an answer, for a message: its keys, not its content."""
    if isinstance(content, dict):
        keys = ", ".join(plain_text(str(key))[:30] for key in list(content)[:12])
        return f"the answer has the keys {keys or 'none'}"
    if isinstance(content, list):
        return f"the answer is a list of {len(content)}"
    return f"the answer is a {type(content).__name__}"
