"""Times in a line of text: where in the video something starts, and what is only a clock's time.

What belongs here: stamps and clock times, and the line without them. What does not: what the line
says (`programme_lines`). All is linear in the line's length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from data_collection.repertoire.letters import clean

_STAMP = re.compile(r"(?<![\d:.,])(\d{1,3})[:：](\d{2})(?:[:：](\d{2}))?(?![\d:：]|\.\d)")
_MINUTES_SIGN = re.compile(r"(?<![\d:])(\d{1,3})['’′](\d{2})(?!\d)(?:[\"”″]|'')?")
_CLOCK_RANGE = re.compile(
    r"(?:godz(?:\.|ina|iny)?\s*|at\s+)?(?<![\d:.])([01]?\d|2[0-3])[.:]([0-5]\d)\s*"
    r"[-‐‑‒–—―−]\s*([01]?\d|2[0-3])[.:]([0-5]\d)(?![\d:.])(?:\s*(?:h|uhr))?",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(?:godz(?:\.|ina|iny)?\s*([01]?\d|2[0-3])[.:]([0-5]\d)"
    r"|([01]?\d|2[0-3])[.:]([0-5]\d)\s*(?:a\.?m|p\.?m|uhr|cest|cet|utc|gmt)\b)",
    re.IGNORECASE,
)
_DATED = re.compile(
    r"\b(?:19|20)\d\d\b|\b(?:january|february|march|april|may|june|july|august|september|october"
    r"|november|december|stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|wrzesnia"
    r"|września|pazdziernika|października|listopada|grudnia)\b",
    re.IGNORECASE,
)
_DASHES = "-‐‑‒–—―−"
_NUMBERING = re.compile(r"\s*\d{1,2}[.)]\s+(?=\S)")
_OPEN, _CLOSE = "([{（［", ")]}）］"


@dataclass(frozen=True)
class StampedText:
    """A line and its time.

    `start_s` is None where it has no stamp and where the stamp is `bad`, such as 99:99; `end_s` is
    there where a range is written. `text` is the line without them.
    """

    text: str
    start_s: float | None = None
    end_s: float | None = None
    bad: str | None = None
    bracketed: bool = False

    @property
    def is_stamped(self) -> bool:
        """Whether there is a stamp, a bad one too."""
        return self.start_s is not None or self.bad is not None


def seconds(stamp: str) -> float | None:
    """Read `8:38`, `75:30` or `1:02:07`; None where it is no time, such as `99:99`."""
    found = _STAMP.fullmatch(stamp.strip())
    if not found:
        return None
    first, second, third = (int(part) if part else None for part in found.groups())
    if first is None or second is None or second >= 60:
        return None
    if third is None:
        return float(60 * first + second)
    return float(3600 * first + 60 * second + third) if third < 60 else None


def clock_of(line: str) -> tuple[str, str] | None:
    """Find `10.00 – 10.40` or `godz. 10.00` at a line's start; gives it and the line's rest."""
    text = clean(line).strip(" \t*•·►▶-–—|")
    for pattern in (_CLOCK_RANGE, _CLOCK):
        found = pattern.match(text)
        if found:
            return found[0].strip(), text[found.end() :].strip(" \t|:-–—")
    return None


def read_stamp(line: str) -> StampedText:
    """Part a line from its stamp at its start, at its end or in brackets anywhere.

    A time in the midst of prose, or beside a date or a `godz.`, is a clock's and no stamp.
    """
    text = _MINUTES_SIGN.sub(r"\1:\2", _without_bullet(clean(line)))
    found = [
        m
        for m in _STAMP.finditer(text)
        if not text[: m.start()].lower().endswith(("hob. ", "hob."))
    ]
    if not found or _CLOCK.search(text):
        return StampedText(_without_numbering(text))
    groups = _ranges(text, found)
    leading = _is_bare(_without_numbering(text[: groups[0][0].start()], whole=True))
    trailing = _is_bare(text[groups[-1][-1].end() :])
    chosen = groups[0] if leading else groups[-1] if trailing else None
    if chosen is None and len(groups) == 1 and _is_bracketed(text, groups[0]):
        chosen = groups[0]
    if chosen is None:
        return StampedText(_without_numbering(text))
    bracketed = _is_bracketed(text, chosen)
    if not leading and not bracketed and _DATED.search(text):
        return StampedText(_without_numbering(text))
    if len({tuple(stamp[0] for stamp in group) for group in groups}) == 1:
        return _stamped(_without(text, groups), chosen, bracketed)
    rest = _without(text, [chosen, groups[-1]] if leading and trailing else [chosen])
    if len(groups) > 2 or (len(groups) == 2 and not (leading and trailing)):
        return StampedText(rest, bad="several stamps in one line", bracketed=bracketed)
    return _stamped(rest, chosen, bracketed)


def _stamped(rest: str, chosen: list[re.Match[str]], bracketed: bool) -> StampedText:
    start_s = seconds(chosen[0][0])
    if start_s is None:
        return StampedText(rest, bad=f"{chosen[0][0]} is no time", bracketed=bracketed)
    end_s = seconds(chosen[1][0]) if len(chosen) == 2 else None
    if len(chosen) == 2 and (end_s is None or end_s <= start_s):
        bad = f"{chosen[0][0]}-{chosen[1][0]} is no stretch of time"
        return StampedText(rest, bad=bad, bracketed=bracketed)
    return StampedText(rest, start_s, end_s, bracketed=bracketed)


def _ranges(text: str, found: list[re.Match[str]]) -> list[list[re.Match[str]]]:
    """Group `0:30 – 2:41`, which is one stretch."""
    groups: list[list[re.Match[str]]] = []
    for stamp in found:
        between = text[groups[-1][-1].end() : stamp.start()].strip() if groups else ""
        if groups and len(groups[-1]) == 1 and between and not between.strip(_DASHES):
            groups[-1].append(stamp)
        else:
            groups.append([stamp])
    return groups


def _is_bare(text: str) -> bool:
    return not any(c.isalnum() for c in text)


def _is_bracketed(text: str, group: list[re.Match[str]]) -> bool:
    before = text[: group[0].start()].rstrip()
    after = text[group[-1].end() :].lstrip()
    return before.endswith(tuple(_OPEN)) and after.startswith(tuple(_CLOSE))


def _without(text: str, groups: list[list[re.Match[str]]]) -> str:
    """Cut stamps out, with the brackets and the dash that held them."""
    for group in sorted(groups, key=lambda g: -g[0].start()):
        before = text[: group[0].start()].rstrip(f" \t{_OPEN}@")
        after = text[group[-1].end() :].lstrip(f" \t{_CLOSE}")
        text = f"{before} {after}" if after.strip() else before
    text = _without_numbering(_without_bullet(text.strip(f" \t{_DASHES}|:;,→=>~•·")))
    return text.strip(f" \t{_DASHES}|:;,")


def _without_bullet(text: str) -> str:
    """Leave out bullets, emoji and dashes that a line starts with."""
    at = 0
    while at < len(text) and not (text[at].isalnum() or text[at] in "([\"'„“«#@<（［"):
        at += 1
    return text[at:].rstrip()


def _without_numbering(text: str, *, whole: bool = False) -> str:
    """Leave out the `1.` of a numbered list; `whole`: where nothing else is in the text."""
    if whole:
        return re.sub(r"^\s*\d{1,2}[.)]\s*", "", text)
    return _NUMBERING.sub("", text, count=1) if _NUMBERING.match(text) else text
