"""Which of a channel's videos are taken, by what its listing says of them.

What belongs here: the rules' form, and the decision, which is pure. What does not: listing a
channel (`discovery`), and whether what was fetched is a solo piano, which only its sound tells. A
listing says little: no description, often no date, no length while a video is live or announced.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

SHORT_S = 60.0
"""The length that every short had until 2024; the longer ones of today tell by their address."""
NOT_YET_OUT = {
    "is_upcoming": "announced: a première, or a live stream to come",
    "is_live": "live at this moment",
    "post_live": "was live a moment ago and is still being processed",
}
"""yt-dlp's `live_status` of videos of which there is no recording yet."""
NOT_FOR_GUESTS = frozenset(("subscriber_only", "premium_only", "needs_auth", "private"))
"""yt-dlp's `availability` of videos that guests do not get."""
YOUTUBE_HOSTS = re.compile(r"(?:.+\.)?(?:youtube\.com|youtube-nocookie\.com|youtu\.be)")

_UNSPLIT = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i"})
_DIGRAPHS = str.maketrans({"þ": "th", "æ": "ae", "œ": "oe"})
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]")
"""Combining marks of Latin, Greek, Cyrillic, Hebrew and Arabic. Not those of kana, where they make
another letter (ピ is not ヒ), nor those of Indic scripts, which are the vowels."""
_WITHOUT_SPACES = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Burmese
    ("\u1780", "\u17ff"),  # Khmer
    ("\u3005", "\u3007"),
    ("\u3040", "\u30ff"),  # kana
    ("\u3400", "\u9fff"),  # Han
    ("\uac00", "\ud7af"),  # Hangul, whose compounds are written as one
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)
_SHORTS_HASHTAG = re.compile(r"#shorts?\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a title, folded: `“Étude” op.25` is `etude`, `op`, `25`.

    Case, accents and forms of letters (ﬁ, 𝐏, ｱ) are folded. Where a script has no spaces between
    words, each character counts as one, so that 協奏曲 is found within 第二番協奏曲.
    """
    split = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    plain = unicodedata.normalize("NFC", _ACCENTS.sub("", split))
    return tuple(_words(plain.translate(_UNSPLIT).translate(_DIGRAPHS)))


def _words(plain: str) -> Iterator[str]:
    begun = ""
    for character in plain:
        is_letter = unicodedata.category(character)[0] in "LMN"
        if is_letter and not _stands_alone(character):
            begun += character
            continue
        if begun:
            yield begun
            begun = ""
        if is_letter:
            yield character
    if begun:
        yield begun


def _stands_alone(character: str) -> bool:
    return any(first <= character <= last for first, last in _WITHOUT_SPACES)


def _has_words(phrase: str) -> str:
    if not words_of(phrase):
        raise ValueError(f"{phrase!r} holds no word, so it can never be found in a title")
    return phrase


Phrase = Annotated[str, AfterValidator(_has_words)]
"""Words that stand one after the other in a title; never a part of a word."""


class Rules(BaseModel):
    """Which of a channel's videos are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title_includes: tuple[Phrase, ...] = Field(
        default=(), description="a title must hold one of them; none: any title will do"
    )
    title_excludes: tuple[Phrase, ...] = Field(default=(), description="a title may hold none")
    title_exceptions: tuple[Phrase, ...] = Field(
        default=(),
        description="phrases in which an excluded word is meant otherwise, as `Italian Concerto`",
    )
    min_duration_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    max_duration_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    uploaded_from: date | None = Field(default=None, description="the first day that is taken")
    uploaded_to: date | None = Field(default=None, description="the last day that is taken")
    live: bool = Field(default=False, description="whether recordings of live streams are taken")
    shorts: bool = Field(default=False, description="whether shorts are taken")

    @model_validator(mode="after")
    def _ranges_hold_something(self) -> Self:
        shortest_s, longest_s = self.min_duration_s, self.max_duration_s
        if shortest_s is not None and longest_s is not None and shortest_s > longest_s:
            raise ValueError("min_duration_s is above max_duration_s: no video is taken")
        first, last = self.uploaded_from, self.uploaded_to
        if first is not None and last is not None and first > last:
            raise ValueError("uploaded_from is after uploaded_to: no video is taken")
        return self


@dataclass(frozen=True, slots=True)
class ListedFacts:
    """What a listing says of a video, as far as rules ask.

    Attributes:
        title: as the source writes it.
        url: where to fetch it.
        duration_s: as the source claims; None where it does not.
        uploaded_on: the day; None where the listing does not say.
        live_status: yt-dlp's, such as `is_upcoming`, `is_live`, `was_live`; None where not said.
        availability: yt-dlp's, such as `subscriber_only`; None where not said.
    """

    title: str
    url: str
    duration_s: float | None = None
    uploaded_on: date | None = None
    live_status: str | None = None
    availability: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The video is taken."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Nobody can say yet; it is asked again whenever the video is listed."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The video is not taken."""

    reason: str
    detail: str


Decision = Taken | Pending | LeftOut


def decide(video: ListedFacts, rules: Rules) -> Decision:
    """Decide whether a video is taken.

    What is not out yet is pending, whatever the rules: its title, length and date are not final.
    """
    found = (
        _availability(video),
        _not_yet_out(video),
        _title(video.title, rules),
        _short(video, rules),
        _live(video, rules),
        _duration(video, rules),
        _date(video.uploaded_on, rules),
    )
    return next((decision for decision in found if decision is not None), Taken())


def is_youtube(url: str) -> bool:
    """Whether an address is YouTube's."""
    return bool(YOUTUBE_HOSTS.fullmatch(urlsplit(url).hostname or ""))


def is_shorts_address(url: str) -> bool:
    """Whether an address is that of a short."""
    return is_youtube(url) and urlsplit(url).path.startswith("/shorts/")


def _availability(video: ListedFacts) -> Decision | None:
    if video.availability in NOT_FOR_GUESTS:
        return LeftOut("not_for_guests", f"not shown to guests ({video.availability})")
    return None


def _not_yet_out(video: ListedFacts) -> Decision | None:
    if said := NOT_YET_OUT.get(video.live_status or ""):
        return Pending(video.live_status or "", said)
    if (
        video.duration_s is None
        and video.live_status is None
        and is_youtube(video.url)
        and not is_shorts_address(video.url)  # shorts are listed without their length
    ):
        return Pending("length_not_stated", "without a length: live, announced, or just uploaded")
    return None


def _title(title: str, rules: Rules) -> Decision | None:
    words = words_of(title)
    meant_otherwise = [span for _, *span in _found(rules.title_exceptions, words)]
    for phrase, start, end in _found(rules.title_excludes, words):
        if not any(first <= start and end <= last for first, last in meant_otherwise):
            return LeftOut("title_excluded", f"its title holds “{phrase}”")
    if rules.title_includes and not any(_found(rules.title_includes, words)):
        return LeftOut("title_not_included", "its title holds none of the words that are asked for")
    return None


def _found(phrases: tuple[str, ...], words: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Which phrases stand among words, and where: the first word and one past the last."""
    beginning_with = _by_first_word(phrases)
    for start, word in enumerate(words):
        for phrase, wanted in beginning_with.get(word, ()):
            end = start + len(wanted)
            if words[start:end] == wanted:
                yield phrase, start, end


@lru_cache(maxsize=256)
def _by_first_word(phrases: tuple[str, ...]) -> Mapping[str, list[tuple[str, tuple[str, ...]]]]:
    beginning_with: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for phrase in phrases:
        wanted = words_of(phrase)
        beginning_with.setdefault(wanted[0], []).append((phrase, wanted))
    return beginning_with


def _short(video: ListedFacts, rules: Rules) -> Decision | None:
    if rules.shorts:
        return None
    if is_shorts_address(video.url):
        return LeftOut("short", "its address is that of a short")
    if _SHORTS_HASHTAG.search(video.title):
        return LeftOut("short", "its title calls it a short")
    if video.duration_s is not None and video.duration_s <= SHORT_S:
        return LeftOut("short", f"{video.duration_s:.0f} s; up to {SHORT_S:.0f} s is a short")
    return None


def _live(video: ListedFacts, rules: Rules) -> Decision | None:
    if video.live_status == "was_live" and not rules.live:
        return LeftOut("live_recording", "the recording of a live stream")
    return None


def _duration(video: ListedFacts, rules: Rules) -> Decision | None:
    """A feed need not state lengths; the fetched audio has one then."""
    if video.duration_s is None:
        return None
    if rules.min_duration_s is not None and video.duration_s < rules.min_duration_s:
        return LeftOut("too_short", f"{video.duration_s:.0f} s, under {rules.min_duration_s:.0f} s")
    if rules.max_duration_s is not None and video.duration_s > rules.max_duration_s:
        return LeftOut("too_long", f"{video.duration_s:.0f} s, over {rules.max_duration_s:.0f} s")
    return None


def _date(uploaded_on: date | None, rules: Rules) -> Decision | None:
    if rules.uploaded_from is None and rules.uploaded_to is None:
        return None
    if uploaded_on is None:
        return Pending("date_not_stated", "the rules ask for a date, and the listing states none")
    if rules.uploaded_from is not None and uploaded_on < rules.uploaded_from:
        return LeftOut("too_old", f"uploaded on {uploaded_on}, before {rules.uploaded_from}")
    if rules.uploaded_to is not None and uploaded_on > rules.uploaded_to:
        return LeftOut("too_new", f"uploaded on {uploaded_on}, after {rules.uploaded_to}")
    return None
