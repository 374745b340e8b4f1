"""Who took part in a competition, how far each went and which prize each won.

A roster is a CSV file with at least `performer, country, reached_stage, prize`. What belongs here:
reading and validating that file. What does not: turning it into places (`placement`) and finding
its people in titles (`matching`).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
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
    aliases: tuple[str, ...] = Field(default=(), description="other spellings, `;` between")
    confidence: str | None = Field(default=None, description="sourced, recalled or empty")

    @field_validator("country", "prize", "confidence", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("aliases", mode="before")
    @classmethod
    def _split_aliases(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(";") if part.strip())
        return value if value is not None else ()


def read_roster(path: Path, *, round_ids: tuple[str, ...]) -> tuple[Competitor, ...]:
    """Read and validate a roster.

    Args:
        path: the CSV file, UTF-8 with or without a byte order mark.
        round_ids: ids of the edition's rounds, in order.

    Returns:
        The competitors in the file's order.

    Raises:
        RosterError: for a missing file or column, an unknown round, a prize that is no number, a
            prize without having reached the last round, or one person on two lines.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RosterError(f"roster {path}: no such file") from None
    except UnicodeDecodeError as error:
        raise RosterError(f"roster {path}: not UTF-8 ({error}); save it as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or []
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    if missing:
        raise RosterError(
            f"roster {path}: no column {', '.join(missing)} (found: {', '.join(columns) or 'none'})"
        )
    competitors: list[Competitor] = []
    line_of: dict[str, int] = {}
    for row in reader:
        line = reader.line_num
        try:
            competitor = Competitor.model_validate({k: v for k, v in row.items() if k is not None})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RosterError(
                f"roster {path}, line {line}: {where}: {first['msg']} (got {first['input']!r})"
            ) from error
        if competitor.reached_stage not in round_ids:
            raise RosterError(
                f"roster {path}, line {line}: {competitor.performer} reached "
                f"{competitor.reached_stage!r}, which is no round of the edition "
                f"({', '.join(round_ids)})"
            )
        if competitor.prize is not None and competitor.reached_stage != round_ids[-1]:
            raise RosterError(
                f"roster {path}, line {line}: {competitor.performer} has prize "
                f"{competitor.prize} but only reached {competitor.reached_stage}"
            )
        for spelling in (competitor.performer, *competitor.aliases):
            key = " ".join(sorted(normalised_name(spelling).split()))
            if not key:
                raise RosterError(
                    f"roster {path}, line {line}: {spelling!r} has no letters that can be compared"
                )
            if line_of.setdefault(key, line) != line:
                raise RosterError(
                    f"roster {path}, lines {line_of[key]} and {line}: {spelling} stands twice; "
                    "keep one line a person"
                )
        competitors.append(competitor)
    if not competitors:
        raise RosterError(f"roster {path}: no competitors")
    return tuple(competitors)


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
