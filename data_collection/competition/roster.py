"""Who took part in a competition, how far each went and which prize each won.

A roster is a CSV file with at least `performer, country, reached_stage, prize`. What belongs here:
reading and validating that file. What does not: other sources of results (`sources`), turning them
into places (`placement`) and finding people in titles (`matching`).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from data_collection.competition.names import normalised_name
from data_collection.recordings.errors import CatalogueError

REQUIRED_COLUMNS = ("performer", "country", "reached_stage", "prize")
CONFIDENCES = ("sourced", "recalled")


class RosterError(CatalogueError):
    """The roster file cannot be used; the message names the file, the line and what to do."""


class Competitor(BaseModel):
    """One row of a roster."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    performer: str = Field(min_length=1, description="name as the competition writes it")
    country: str | None = Field(default=None, description="country or countries, `/` between")
    reached_stage: str = Field(min_length=1, description="id of the last round reached")
    prize: int | None = Field(default=None, ge=1, description="prize number; equal numbers tie")
    stages_performed: tuple[str, ...] = Field(
        default=(),
        description="ids of the rounds played, `;` between; empty: all up to the one reached",
    )
    aliases: tuple[str, ...] = Field(default=(), description="other spellings, `;` between")
    confidence: str | None = Field(default=None, description="sourced, recalled or empty")

    @field_validator("country", "prize", "confidence", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("aliases", "stages_performed", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(";") if part.strip())
        return value if value is not None else ()

    def performed_in(self, round_id: str, round_ids: Sequence[str]) -> bool:
        """Whether the competitor played in a round; one admitted may have withdrawn."""
        return round_id in (self.stages_performed or stages_up_to(self.reached_stage, round_ids))


@dataclass(frozen=True, slots=True)
class RosterLine:
    """A competitor and the line of the file that says so."""

    line: int
    competitor: Competitor


def stages_up_to(reached_stage: str, round_ids: Sequence[str]) -> tuple[str, ...]:
    """Ids of the rounds up to one of them, in the edition's order."""
    return tuple(round_ids[: list(round_ids).index(reached_stage) + 1])


def read_roster(path: Path, *, round_ids: tuple[str, ...]) -> tuple[Competitor, ...]:
    """Read and validate a roster.

    Args:
        path: the CSV file, UTF-8 with or without a byte order mark.
        round_ids: ids of the edition's rounds, in order.

    Returns:
        The competitors in the file's order, each with the rounds played.

    Raises:
        RosterError: for a missing file or column, an unknown round, a prize that is no number, a
            prize without having reached the last round, a round played beyond the one reached, or
            one person on two lines.
    """
    return tuple(row.competitor for row in read_roster_lines(path, round_ids=round_ids))


def read_roster_lines(path: Path, *, round_ids: tuple[str, ...]) -> tuple[RosterLine, ...]:
    """Read a roster as `read_roster` does, with the line of each competitor.

    Raises:
        RosterError: as `read_roster`.
    """
    reader = csv.DictReader(io.StringIO(_read_text(path)))
    columns = reader.fieldnames or []
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    if missing:
        raise RosterError(
            f"roster {path}: no column {', '.join(missing)} (found: {', '.join(columns) or 'none'})"
        )
    rows: list[RosterLine] = []
    line_of: dict[str, int] = {}
    for row in reader:
        where = f"roster {path}, line {reader.line_num}"
        competitor = _competitor(row, where, round_ids)
        for spelling in (competitor.performer, *competitor.aliases):
            key = " ".join(sorted(normalised_name(spelling).split()))
            if not key:
                raise RosterError(f"{where}: {spelling!r} has no letters that can be compared")
            if line_of.setdefault(key, reader.line_num) != reader.line_num:
                raise RosterError(
                    f"roster {path}, lines {line_of[key]} and {reader.line_num}: {spelling} stands "
                    "twice; keep one line a person"
                )
        rows.append(RosterLine(reader.line_num, competitor))
    if not rows:
        raise RosterError(f"roster {path}: no competitors")
    return tuple(rows)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise RosterError(f"roster {path}: no such file") from None
    except UnicodeDecodeError as error:
        raise RosterError(f"roster {path}: not UTF-8 ({error}); save it as UTF-8") from error


def _competitor(row: dict[str, str], where: str, round_ids: tuple[str, ...]) -> Competitor:
    try:
        read = Competitor.model_validate({k: v for k, v in row.items() if k is not None})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RosterError(f"{where}: {field}: {first['msg']} (got {first['input']!r})") from error
    if read.reached_stage not in round_ids:
        raise RosterError(
            f"{where}: {read.performer} reached {read.reached_stage!r}, which is no round of the "
            f"edition ({', '.join(round_ids)})"
        )
    if read.prize is not None and read.reached_stage != round_ids[-1]:
        raise RosterError(
            f"{where}: {read.performer} has prize {read.prize} but only reached "
            f"{read.reached_stage}"
        )
    reached = stages_up_to(read.reached_stage, round_ids)
    beyond = [stage for stage in read.stages_performed if stage not in reached]
    if beyond:
        raise RosterError(
            f"{where}: {read.performer} performed in {', '.join(beyond)}, which is no round up to "
            f"{read.reached_stage}"
        )
    performed = tuple(stage for stage in reached if stage in read.stages_performed) or reached
    return read.model_copy(update={"stages_performed": performed})


class Performed(Protocol):
    """Anyone of whom it is known which rounds they played."""

    @property
    def stages_performed(self) -> tuple[str, ...]:
        """Ids of those rounds."""
        ...


class ReachedStage(Protocol):
    """Anyone whose last round is known."""

    @property
    def reached_stage(self) -> str:
        """Id of the last round reached."""
        ...


def counts_by_stage(
    competitors: Sequence[ReachedStage], round_ids: Sequence[str]
) -> dict[str, int]:
    """Count who was admitted to each round: those whose last round is that one or a later one."""
    last = Counter(competitor.reached_stage for competitor in competitors)
    return {
        round_id: sum(last[later] for later in round_ids[index:])
        for index, round_id in enumerate(round_ids)
    }


def played_by_stage(competitors: Sequence[Performed], round_ids: Sequence[str]) -> dict[str, int]:
    """Count who played in each round; fewer than were admitted where somebody withdrew."""
    played = Counter(stage for competitor in competitors for stage in competitor.stages_performed)
    return {round_id: played[round_id] for round_id in round_ids}
