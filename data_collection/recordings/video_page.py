"""What a video's own page says of it: description, chapters, length.

What belongs here: reading them off yt-dlp's answer, bounded and cleaned. What does not: asking for
the answer (`fetch`, `listing`), and what a description means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_DESCRIPTION_CHARS = 100_000
"""YouTube allows 5,000; a feed may hold anything, and what comes after is nobody's programme."""
MAX_CHAPTERS = 1_000


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
    duration = info.get("duration")
    return VideoPage(
        description=description_of(info.get("description")),
        chapters=tuple(_chapters(info.get("chapters") or ())),
        duration_s=float(duration) if isinstance(duration, int | float) and duration > 0 else None,
    )


def description_of(text: object) -> str | None:
    """A description that a file can hold: bounded, no half of a surrogate pair, no NUL."""
    if not isinstance(text, str) or not text.strip():
        return None
    short = text[:MAX_DESCRIPTION_CHARS].encode("utf-8", "replace").decode()
    return short.replace("\0", "").replace("\r\n", "\n")


def one_line(text: str) -> str:
    """One line that a file can hold: no line separators, no half of a surrogate pair."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _chapters(stated: Iterable[Mapping[str, Any]]) -> Iterator[Chapter]:
    for chapter in islice(stated, MAX_CHAPTERS):
        start, end = chapter.get("start_time"), chapter.get("end_time")
        if isinstance(start, int | float) and start >= 0:
            yield Chapter(
                start_s=float(start),
                end_s=float(end) if isinstance(end, int | float) else None,
                title=one_line(str(chapter.get("title") or "")),
            )
