"""An edition of a competition: the YAML file that says all that differs between two of them.

What belongs here: the file's form and its validation. What does not: any knowledge of one edition;
there is no `if edition == ...` anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_collection.competition.roster import Competitor, read_roster

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
    one_video_per_performer: bool = Field(
        default=False, description="each performer has one video of this round at most"
    )


class ResultSource(BaseModel):
    """Where results come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["roster"]
    path: str = Field(min_length=1, description="relative to the edition file")


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
    results: tuple[ResultSource, ...] = Field(min_length=1)
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
        return self

    def roster(self) -> tuple[Competitor, ...]:
        """Read the roster that this edition names.

        Raises:
            RosterError: the roster cannot be used.
        """
        return read_roster(self.folder / self.results[0].path, round_ids=self.round_ids)


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
