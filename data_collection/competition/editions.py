"""An edition of a competition: the YAML file that says all that differs between two of them.

What belongs here: the file's form and its validation. What does not: any knowledge of one edition;
there is no `if edition == ...` anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_collection.competition.roster import Competitor, RosterError, read_roster
from data_collection.competition.sources.specs import ResultSource, RosterSource

BUNDLED_EDITIONS = Path(__file__).parent / "editions"


class EditionError(ValueError):
    """The edition file cannot be used; the message names the file, the field and what to do."""


class Round(BaseModel):
    """One round of a competition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title_words: tuple[str, ...] = Field(
        min_length=1, description="what a title calls it; any one of them is enough"
    )
    solo: bool = Field(default=True, description="false where others play too, as in a concerto")
    competitors: int | None = Field(
        default=None, ge=1, description="how many were admitted, to check the roster against"
    )
    played: int | None = Field(
        default=None, ge=0, description="how many of them played, where somebody withdrew"
    )
    one_video_per_performer: bool = Field(
        default=False, description="each performer has one video of this round at most"
    )


class Edition(BaseModel):
    """One edition of a competition, as its file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="folder and asset key")
    name: str = Field(min_length=1)
    year: int = Field(ge=1900, le=2200)
    rounds: tuple[Round, ...] = Field(min_length=1, description="in order")
    playlists: dict[str, str] = Field(default_factory=dict, description="listing by round id")
    channel: str | None = Field(default=None, description="one listing with everything")
    title_suffix: str | None = Field(default=None, description="what a recital's title ends with")
    titles_name_the_edition: bool = Field(
        default=False,
        description="a title is taken only if it names the edition or a playlist tells the round",
    )
    places: tuple[str, ...] = Field(
        default=(),
        description="cities, halls, hosts and orchestras that its titles may name",
    )
    composer: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9-]*$",
        description="slug of the composer that is meant where a programme names none",
    )
    programmes: str | None = Field(
        default=None,
        min_length=1,
        description="CSV or JSON file of programmes that override all others, relative to the file",
    )
    jury_marks: str | None = Field(
        default=None,
        min_length=1,
        description="CSV file of the jurors' marks, relative to the file",
    )
    results: tuple[ResultSource, ...] = Field(
        min_length=1, description="sources of results; the first that states a thing decides"
    )
    sample: bool = Field(default=False, description="a made-up world, labelled wherever it shows")
    folder: Path = Field(default=Path(), exclude=True, description="folder of the file itself")

    @property
    def round_ids(self) -> tuple[str, ...]:
        """Ids of the rounds, in order."""
        return tuple(round_.id for round_ in self.rounds)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = self.round_ids
        if len(set(ids)) != len(ids):
            raise ValueError(f"rounds: an id stands twice in {', '.join(ids)}")
        unknown = sorted(set(self.playlists) - set(ids))
        if unknown:
            raise ValueError(
                f"playlists: {', '.join(unknown)} is no round (rounds: {', '.join(ids)})"
            )
        if not self.playlists and not self.channel:
            raise ValueError("neither playlists nor channel: nowhere to look for recordings")
        for round_ in self.rounds:
            admitted, played = round_.competitors, round_.played
            if admitted is not None and played is not None and played > admitted:
                raise ValueError(
                    f"rounds: {round_.id}: {played} played, but only {admitted} were admitted"
                )
        self._check_sources()
        return self

    def _check_sources(self) -> None:
        """Raise `ValueError` where two sources share a name or one names an unknown round."""
        names = [source.name for source in self.results]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"results: two sources are called {', '.join(twice)}; give each a `name`"
            )
        for source in self.results:
            unknown = sorted(source.named_rounds() - set(self.round_ids))
            if unknown:
                raise ValueError(
                    f"results: {source.name}: {', '.join(unknown)} is no round "
                    f"(rounds: {', '.join(self.round_ids)})"
                )

    def roster(self) -> tuple[Competitor, ...]:
        """Read the first roster that this edition names.

        Raises:
            RosterError: the edition names none, or it cannot be used.
        """
        for source in self.results:
            if isinstance(source, RosterSource):
                return read_roster(self.folder / source.path, round_ids=self.round_ids)
        raise RosterError(
            f"edition {self.id}: no source `roster` among its results "
            f"({', '.join(source.name for source in self.results)})"
        )


def read_edition(path: Path) -> Edition:
    """Read and validate an edition file.

    Raises:
        EditionError: the file is missing, is not YAML, or does not have an edition's form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise EditionError(
            f"edition {path}: no such file; set COMPETITION_EDITION to an edition's YAML file "
            f"(bundled: {', '.join(sorted(p.name for p in BUNDLED_EDITIONS.glob('*.yaml')))})"
        ) from None
    except UnicodeDecodeError as error:
        raise EditionError(f"edition {path}: not UTF-8 ({error})") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise EditionError(f"edition {path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise EditionError(f"edition {path}: expected fields such as `id:` and `rounds:`")
    try:
        return Edition.model_validate({**content, "folder": path.resolve().parent})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}"
            for item in error.errors()
        )
        raise EditionError(f"edition {path}: {problems}") from error
