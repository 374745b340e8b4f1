"""What a video's own page says of it: description, chapters, length.

What belongs here: reading them off yt-dlp's answer, bounded and cleaned. What does not: asking for
the answer (`fetch`, `listing`), and what a description means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_DESCRIPTION_CHARS = 250_000
"""YouTube allows 5,000; a feed may hold anything. More than any reader of programmes reads, so that
one sees that a text goes on: a session's last block ends where the next begins, read or not."""
MAX_CHAPTERS = 1_000
LONGEST_S = 100 * 86_400


class Chapter(BaseModel):
    """A chapter of a video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_s: float = Field(ge=0, description="seconds of the video")
    end_s: float | None = Field(description="seconds of the video; null where not stated")
    title: str = Field(description="as the page writes it")


class VideoPage(BaseModel):
    """What a page says of its video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str | None = Field(default=None, description="the text, its lines kept")
    chapters: tuple[Chapter, ...] = Field(default=(), description="in the page's order")
    duration_s: float | None = Field(default=None, description="seconds, as the page claims")


def page_of(info: Mapping[str, Any]) -> VideoPage:
    """Read yt-dlp's answer; what is missing or senseless in it is left out."""
    return VideoPage(
        description=description_of(info.get("description")),
        chapters=tuple(_chapters(info.get("chapters") or ())),
        duration_s=seconds_of(info.get("duration")) or None,
    )


def seconds_of(stated: object) -> float | None:
    """Seconds of a video: finite, not negative, under 100 days; None for anything else."""
    if not isinstance(stated, int | float) or not 0 <= stated < LONGEST_S:
        return None
    return float(stated)


def description_of(text: object) -> str | None:
    """A description that a file can hold: bounded, no half of a surrogate pair, no NUL."""
    if not isinstance(text, str) or not text.strip():
        return None
    clean = text.replace("\0", "").replace("\r\n", "\n")[:MAX_DESCRIPTION_CHARS]
    return clean.encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """One line that a file can hold: no line separators, no half of a surrogate pair."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _chapters(stated: Iterable[Mapping[str, Any]]) -> Iterator[Chapter]:
    for chapter in islice(stated, MAX_CHAPTERS):
        start_s = seconds_of(chapter.get("start_time"))
        if start_s is not None:
            yield Chapter(
                start_s=start_s,
                end_s=seconds_of(chapter.get("end_time")),
                title=one_line(str(chapter.get("title") or "")),
            )
