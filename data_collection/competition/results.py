"""Results of an edition from all its sources, each checked against the others.

What belongs here: joining what the sources say, choosing what counts, and finding where they
disagree. What does not: reading a source (`sources`), the arithmetic of places (`placement`). The
first source that states a thing decides it; that another one contradicts is never hidden.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from data_collection.competition.editions import Edition
from data_collection.competition.placement import placements
from data_collection.competition.roster import Competitor, stages_up_to
from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.pages import Manners
from data_collection.competition.sources.people import Fit, fits
from data_collection.competition.sources.reading import Reading, address, read_source
from data_collection.competition.sources.specs import ResultSource
from data_collection.competition.sources.statements import Statement
from data_collection.recordings.errors import CatalogueError
from data_collection.recordings.store import Store

logger = logging.getLogger(__name__)

NO_PRIZE = "no prize"
CHECKED_FIELDS = ("reached_stage", "prize")


class Result(BaseModel):
    """A row of `results.jsonl`: how one performer did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    performer: str = Field(description="name as the competition writes it")
    aliases: tuple[str, ...] = Field(description="other spellings, as the sources write the name")
    country: str | None = Field(description="country or countries; null where not known")
    reached_stage: str = Field(description="id of the last round reached")
    stages_performed: tuple[str, ...] = Field(
        description="ids of the rounds played; without the reached one where the performer withdrew"
    )
    prize: int | None = Field(description="prize number; null without a prize")
    placement: int = Field(ge=1, description="place, 1 the best; equal places are ties")
    confidence: str | None = Field(description="sourced or recalled; null where not stated")
    sources: tuple[str, ...] = Field(description="names of the sources that have this performer")
    sample: bool = Field(description="true in a made-up world")


class StatementRow(Statement):
    """A row of `statements.jsonl`: what one source says of one performer, and who that is."""

    person: str | None = Field(
        description="the performer under the name of the first source; null where not certain"
    )
    candidates: tuple[str, ...] = Field(
        description="whom the name fits, where it fits several or is somebody else's"
    )
    in_results: bool = Field(description="whether the performer is in `results.jsonl`")


class SourceRow(BaseModel):
    """A row of `sources.jsonl`: what became of one source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="its name")
    kind: str = Field(description="roster, file, cms, html or wikipedia")
    required: bool = Field(description="whether there are results without it")
    state: Literal["read", "read_from_kept", "not_read"] = Field(
        description="`read_from_kept`: the site could not be reached, an earlier answer was read"
    )
    origin: str = Field(description="its file or address")
    statements: int = Field(ge=0, description="how many performers it has")
    as_of: datetime | None = Field(description="when the site last gave this; null for a file")
    because: str | None = Field(description="why it was not read, or not read anew")
    saved: tuple[str, ...] = Field(description="where the answers are kept")


@dataclass(frozen=True, slots=True)
class Results:
    """Results and all that they rest on."""

    rows: tuple[Result, ...]
    statements: tuple[StatementRow, ...]
    sources: tuple[SourceRow, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Sources that contradict each other on one thing of one performer."""

    performer: str
    field: str
    values: tuple[tuple[str, str, str], ...]
    """Of each source its name, what it says, and where that stands."""

    def __str__(self) -> str:
        said = ", ".join(f"{source} says {value} ({where})" for source, value, where in self.values)
        return f"{self.performer}, {self.field}: {said}"


@dataclass(frozen=True, slots=True)
class LoneName:
    """A name that only one source has, or that could not be joined with certainty."""

    performer: str
    source: str
    where: str
    candidates: tuple[str, ...]


def gather_results(edition: Edition, store: Store, manners: Manners) -> Results:
    """Read all sources of an edition and check them against each other.

    Raises:
        SourceError: a required source cannot be read, or none can; the message names each of them
            and says why.
        SetupError: nothing can be written under the data root.
    """
    readings: list[Reading] = []
    rows: list[SourceRow] = []
    failed: dict[str, str] = {}
    for source in edition.results:
        try:
            reading = read_source(edition, source, store, manners)
        except CatalogueError as error:
            logger.warning("source %s was not read", source.name)
            failed[source.name] = str(error)
            rows.append(_source_row(source, None, str(error)))
        else:
            readings.append(reading)
            rows.append(_source_row(source, reading, reading.stale_because))
    needed = [s.name for s in edition.results if s.required and s.name in failed]
    if needed or not readings:
        causes = "; ".join(f"{name}: {failed[name]}" for name in needed or failed)
        kind = "required sources" if needed else "sources, all of them,"
        raise SourceError(f"{kind} could not be read. {causes}")
    results, statements = cross_check(edition, readings)
    return Results(results, statements, tuple(rows))


def cross_check(
    edition: Edition, readings: Sequence[Reading]
) -> tuple[tuple[Result, ...], tuple[StatementRow, ...]]:
    """Join what sources say and make results of it.

    Who took part is said by the required sources, or by the first one where none is required; what
    only another source has is reported and is no result.

    Args:
        edition: whose rounds and sources.
        readings: in the order of the edition's sources.

    Returns:
        The results in the order of the first source, and every statement with the person it is of.

    Raises:
        SourceError: nobody says how far a performer came.
    """
    required = {source.name for source in edition.results if source.required}
    members = required & {r.source for r in readings} or {readings[0].source}
    people, fit_of = _join(readings)
    states_prizes = _sources_with_prizes(s for r in readings for s in r.statements)
    chosen = [person for person in people if any(s.source in members for s in person)]
    competitors = [_competitor(person, states_prizes, edition) for person in chosen]
    place = placements(competitors, edition.round_ids)
    results = tuple(
        _result(competitor, person, place[competitor.performer], edition)
        for competitor, person in zip(competitors, chosen, strict=True)
    )
    names = {result.performer for result in results}
    return results, tuple(_statement_rows(readings, people, fit_of, names))


def disagreements(rows: Sequence[StatementRow]) -> list[Disagreement]:
    """Where sources contradict each other on a stage or a prize, in the rows' order."""
    states_prizes = _sources_with_prizes(rows)
    found = []
    for performer, statements in _by_person(rows).items():
        for field in CHECKED_FIELDS:
            values = tuple(
                (row.source, value, row.where)
                for row in statements
                if (value := _stated(row, field, states_prizes)) is not None
            )
            if len({value for _, value, _ in values}) > 1:
                found.append(Disagreement(performer, field, values))
    return found


def lone_names(rows: Sequence[StatementRow]) -> list[LoneName]:
    """Names that only one source has, and those that fit several people or one twice."""
    return [
        LoneName(row.performer, row.source, row.where, row.candidates)
        for row in rows
        if row.person is None
    ] + [
        LoneName(performer, statements[0].source, statements[0].where, ())
        for performer, statements in _by_person(rows).items()
        if len({row.source for row in statements}) == 1
    ]


def _source_row(source: ResultSource, reading: Reading | None, because: str | None) -> SourceRow:
    if reading is None:
        state: Literal["read", "read_from_kept", "not_read"] = "not_read"
    else:
        state = "read_from_kept" if because else "read"
    return SourceRow(
        source=source.name,
        kind=source.source,
        required=source.required,
        state=state,
        origin=address(source),
        statements=len(reading.statements) if reading else 0,
        as_of=reading.as_of if reading else None,
        because=because,
        saved=reading.saved if reading else (),
    )


def _join(readings: Sequence[Reading]) -> tuple[list[list[Statement]], list[list[Fit]]]:
    """Put the statements of each person together.

    Returns:
        The people, each with statements in the order of the sources; and for every statement of
        every reading the person it is of, or those it might be of.
    """
    people: list[list[Statement]] = []
    fit_of: list[list[Fit]] = []
    for reading in readings:
        known = [_spellings(person) for person in people]
        found = fits([_spellings([statement]) for statement in reading.statements], known)
        joined = []
        for statement, fit in zip(reading.statements, found, strict=True):
            new = fit if fit != Fit() else Fit(person=len(people))
            if new.person == len(people):
                people.append([])
            if new.person is not None:
                people[new.person].append(statement)
            joined.append(new)
        fit_of.append(joined)
    return people, fit_of


def _spellings(statements: Sequence[Statement]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for s in statements for name in (s.performer, *s.aliases)))


def _sources_with_prizes(statements: Iterable[Statement]) -> set[str]:
    """Sources that name a prize: with them no prize is a statement too."""
    return {statement.source for statement in statements if statement.prize is not None}


def _stated(statement: Statement, field: str, states_prizes: set[str]) -> str | None:
    """What a statement says of a field; None where it says nothing."""
    if field == "prize":
        if statement.source not in states_prizes:
            return None
        return NO_PRIZE if statement.prize is None else f"prize {statement.prize}"
    return statement.reached_stage


def _competitor(
    person: Sequence[Statement], states_prizes: set[str], edition: Edition
) -> Competitor:
    """What the first source that says it says of each thing."""
    first = person[0]
    reached = next((s.reached_stage for s in person if s.reached_stage is not None), None)
    if reached is None:
        raise SourceError(
            f"no source says how far {first.performer} came ({first.source}: {first.where})"
        )
    performed = next(
        (
            s.stages_performed
            for s in person
            if s.stages_performed
            and set(s.stages_performed) <= set(edition.round_ids)
            and s.reached_stage == reached
        ),
        stages_up_to(reached, edition.round_ids),
    )
    return Competitor(
        performer=first.performer,
        country=next((s.country for s in person if s.country), None),
        reached_stage=reached,
        prize=next((s.prize for s in person if s.source in states_prizes), None),
        stages_performed=performed,
        aliases=tuple(name for name in _spellings(person) if name != first.performer),
        confidence=next((s.confidence for s in person if s.confidence), None),
    )


def _result(
    competitor: Competitor, person: Sequence[Statement], placement: int, edition: Edition
) -> Result:
    return Result(
        performer=competitor.performer,
        aliases=competitor.aliases,
        country=competitor.country,
        reached_stage=competitor.reached_stage,
        stages_performed=competitor.stages_performed,
        prize=competitor.prize,
        placement=placement,
        confidence=competitor.confidence,
        sources=tuple(dict.fromkeys(statement.source for statement in person)),
        sample=edition.sample,
    )


def _statement_rows(
    readings: Sequence[Reading],
    people: Sequence[Sequence[Statement]],
    fit_of: Sequence[Sequence[Fit]],
    in_results: set[str],
) -> Iterator[StatementRow]:
    for reading, found in zip(readings, fit_of, strict=True):
        for statement, fit in zip(reading.statements, found, strict=True):
            person = None if fit.person is None else people[fit.person][0].performer
            yield StatementRow(
                **statement.model_dump(),
                person=person,
                candidates=tuple(people[at][0].performer for at in fit.candidates),
                in_results=person in in_results,
            )


def _by_person(rows: Sequence[StatementRow]) -> dict[str, list[StatementRow]]:
    people: dict[str, list[StatementRow]] = {}
    for row in rows:
        if row.person is not None:
            people.setdefault(row.person, []).append(row)
    return people
