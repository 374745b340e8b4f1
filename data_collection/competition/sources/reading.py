"""Reading one source of an edition, whichever kind it is: the one interface to all of them.

What belongs here: choosing the reader, and what is known of a reading: statements, dates, kept
answers. What does not: the readers themselves and comparing sources (`competition.results`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from data_collection.competition.editions import Edition
from data_collection.competition.roster import read_roster_lines
from data_collection.competition.sources.cms import read_cms
from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.html import page_origin, read_html
from data_collection.competition.sources.kept_answers import Page
from data_collection.competition.sources.pages import Manners, Pages, open_pages
from data_collection.competition.sources.specs import (
    CmsSource,
    FileSource,
    HtmlSource,
    ResultSource,
    RosterSource,
    WikipediaSource,
)
from data_collection.competition.sources.statements import Statement, Words
from data_collection.competition.sources.table_file import read_table_file
from data_collection.competition.sources.wikipedia import read_wikipedia
from data_collection.competition.sources.wording import Stages
from data_collection.recordings.store import Store

WebSource = WikipediaSource | HtmlSource | CmsSource | FileSource


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a source gave.

    Attributes:
        source: its name.
        origin: its file or address.
        statements: what it says of each performer.
        as_of: when the oldest of its pages was last seen at the site; None for a file.
        saved: where the answers are kept that it was read from.
        stale_because: why an earlier answer was read; None where nothing was earlier.
    """

    source: str
    origin: str
    statements: tuple[Statement, ...]
    as_of: datetime | None = None
    saved: tuple[str, ...] = ()
    stale_because: str | None = None


@dataclass
class _Seen:
    """Pages in which a source looks, with a note of what it was given."""

    pages: Pages
    given: list[Page] = field(default_factory=list)

    def get(self, url: str, *, missing_ok: bool = False) -> Page:
        page = self.pages.get(url, missing_ok=missing_ok)
        self.given.append(page)
        return page


def read_source(edition: Edition, source: ResultSource, store: Store, manners: Manners) -> Reading:
    """Read a source.

    Args:
        edition: whose rounds and folder.
        source: one of its sources.
        store: the data root, where answers are kept.
        manners: how to fetch.

    Raises:
        CatalogueError: it cannot be read, a `SourceError` or a `RosterError`; the message names
            the source and what to do.
    """
    words = Words(
        source=source.name,
        stages=Stages.of(edition.rounds, source.stages),
        prizes=source.prizes,
        origin=address(source),
    )
    if isinstance(source, RosterSource):
        return Reading(source.name, source.path, _roster_statements(edition, source))
    if isinstance(source, FileSource) and not source.is_web:
        path = edition.folder / source.path
        statements = read_table_file(_file_text(path, source), source, words.at(str(path)))
        return Reading(source.name, source.path, statements)
    with open_pages(source.name, store, answers_folder(edition, source), manners) as pages:
        return _read_pages(source, _Seen(pages), words)


def readable(edition: Edition, source: ResultSource, manners: Manners) -> str:
    """Read a source, keep nothing of it, and say in a sentence what came of it.

    Raises:
        CatalogueError: it cannot be read; the message says why.
    """
    if isinstance(source, CmsSource):  # some records are enough to see whether it can be read
        few = source.numbers.first + source.numbers.stop_after_missing
        last = min(source.numbers.last, few)
        numbers = source.numbers.model_copy(update={"last": last})
        source = source.model_copy(update={"numbers": numbers})
    with tempfile.TemporaryDirectory() as folder:
        reading = read_source(edition, source, Store.at(folder), manners)
    stages = sum(statement.reached_stage is not None for statement in reading.statements)
    prizes = sum(statement.prize is not None for statement in reading.statements)
    return (
        f"{reading.origin}: {len(reading.statements)} performers, {stages} with their stage, "
        f"{prizes} with a prize"
    )


def answers_folder(edition: Edition, source: ResultSource) -> str:
    """Relative path of the folder in which a source's answers are kept."""
    return f"competition_cache/{edition.id}/sources/{source.name}"


def address(source: ResultSource) -> str:
    """Where a source is, for a person."""
    if isinstance(source, HtmlSource):
        return ", ".join(page.url for page in source.pages)
    if isinstance(source, CmsSource):
        return source.index or source.url or ""
    return source.url if isinstance(source, WikipediaSource) else source.path


def _read_pages(source: WebSource, seen: _Seen, words: Words) -> Reading:
    statements: Sequence[Statement]
    if isinstance(source, WikipediaSource):
        statements = read_wikipedia(seen.get(source.url), words)
    elif isinstance(source, HtmlSource):
        statements = read_html([(page, seen.get(page.url)) for page in source.pages], source, words)
    elif isinstance(source, CmsSource):
        statements = read_cms(seen, source, words)
    else:
        page = seen.get(source.path)
        statements = read_table_file(page.text, source, words.at(page_origin(page)))
    given = [page for page in seen.given if page.status == 200]
    return Reading(
        source=source.name,
        origin=address(source),
        statements=tuple(statements),
        as_of=min((page.as_of for page in given), default=None),
        saved=tuple(page.saved for page in given),
        stale_because=next((page.stale_because for page in given if page.stale_because), None),
    )


def _roster_statements(edition: Edition, source: RosterSource) -> tuple[Statement, ...]:
    rows = read_roster_lines(edition.folder / source.path, round_ids=edition.round_ids)
    return tuple(
        Statement(
            source=source.name,
            performer=row.competitor.performer,
            country=row.competitor.country,
            reached_stage=row.competitor.reached_stage,
            prize=row.competitor.prize,
            withdrew=row.competitor.reached_stage not in row.competitor.stages_performed,
            stages_performed=row.competitor.stages_performed,
            aliases=row.competitor.aliases,
            confidence=row.competitor.confidence,
            where=f"{source.path}, line {row.line}",
        )
        for row in rows
    )


def _file_text(path: Path, source: FileSource) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise SourceError(f"source {source.name}: {path}: no such file") from None
    except UnicodeDecodeError as error:
        raise SourceError(
            f"source {source.name}: {path}: not UTF-8 ({error}); save it as UTF-8"
        ) from error
