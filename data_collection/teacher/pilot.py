"""The pilot's decision: whether the teacher is worth asking at all.

What belongs here: reading the decision that a person wrote down. What does not: making it, and
what the labels of T2 say afterwards (`gate`). Nothing is a go unless somebody wrote so.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from data_collection.recordings.errors import SetupError

Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class PilotDecision(BaseModel):
    """What the file of a pilot says; JSON, with other fields left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    decision: Literal["go", "no_go"] = Field(description="whether T2 may be scored")
    report: Said = Field(description="what the pilot found, in words")
    date: datetime.date = Field(description="of the decision, such as 2026-11-23")
    by: Said = Field(description="who decided")


@dataclass(frozen=True, slots=True)
class Pilot:
    """Whether the teacher may be asked.

    Attributes:
        is_go: segments of T2 may be scored.
        because: why, or why not, in words for the UI.
        decision: what was written down; None where there is nothing yet.
    """

    is_go: bool
    because: str
    decision: PilotDecision | None = None


def read_pilot(path: Path | None, *, inline: str | None = None) -> Pilot:
    """Read a pilot's decision.

    Args:
        path: of its file; None where none is set.
        inline: the same JSON written into a run's configuration, which then decides alone.

    Returns:
        The decision. Without a file that is there, not go.

    Raises:
        SetupError: `pilot_unreadable`: something is there and is no decision.
    """
    if inline is not None:
        return _pilot(inline, "the run's configuration")
    if path is None:
        return Pilot(False, "no pilot was decided on: no decision file is set")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return Pilot(False, f"no pilot was decided on: {path} is not there")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(str(path), str(error)) from error
    return _pilot(text, str(path))


def _pilot(text: str, where: str) -> Pilot:
    try:
        decision = PilotDecision.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise _unreadable(f"{where}, {field}" if field else where, first["msg"]) from error
    said = f"{decision.by} decided {decision.decision} on {decision.date}: {decision.report}"
    return Pilot(decision.decision == "go", said, decision)


def _unreadable(where: str, problem: str) -> SetupError:
    return SetupError(
        "pilot_unreadable",
        f"pilot's decision, {where}: {problem}; write JSON with decision (go or no_go), report, "
        "date and by",
    )
