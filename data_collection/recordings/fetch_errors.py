"""Recognise why a fetch failed, from what yt-dlp says.

What belongs here: one ordered table, first match wins, and nothing that touches the network. The
order matters: YouTube says "Video unavailable" on many pages, so that text comes last. Sources: the
messages of yt-dlp 2026.10.26 and its issue tracker; each row has a test with a real message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from data_collection.recordings.errors import (
    ItemError,
    RecordingError,
    SetupError,
    WorldError,
    disk_full,
)

Fault = Literal["item", "world", "us"]


@dataclass(frozen=True, slots=True)
class FetchReason:
    """One class of failure.

    Attributes:
        reason: its name in receipts.
        pattern: found anywhere in the message, case ignored, apostrophes made plain.
        fault: whose it is; only the item's costs an attempt.
        transient: trying again within the same run may help.
        stops_batch: the next recording would meet the same.
        advice: what a person can do.
    """

    reason: str
    pattern: re.Pattern[str]
    fault: Fault
    advice: str
    transient: bool = False
    stops_batch: bool = False


def _row(
    reason: str,
    pattern: str,
    fault: Fault,
    advice: str,
    *,
    transient: bool = False,
    stops_batch: bool = False,
) -> FetchReason:
    return FetchReason(
        reason, re.compile(pattern, re.IGNORECASE), fault, advice, transient, stops_batch
    )


ITEM_PREFIX = re.compile(r"^\[[^\]]+\] [^:\s]+: ")
"""`[extractor] id: ` before a message: an id may hold any word."""

NO_ROOM_PATTERN = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|\[Errno (?:28|122|27)\]"
)

FETCH_REASONS: tuple[FetchReason, ...] = (
    _row("rate_limited", r"try again later|rate-limited|rate limited", "world",
         "wait an hour and lower the fetch rate", stops_batch=True),
    _row("bot_check", r"not a bot|captcha", "world",
         "wait some hours; guest sessions are limited to about 300 videos an hour",
         stops_batch=True),
    _row("too_many_requests", r"HTTP Error 429|Too Many Requests", "world",
         "wait an hour and lower the fetch rate", stops_batch=True),
    _row("tool_missing", r"ffmpeg (?:is )?not (?:found|installed)|ffprobe and ffmpeg not found|"
         r"no (?:supported )?javascript runtime|please install", "us",
         "run `data-collection doctor`", stops_batch=True),
    _row("truncated", r"more expected|content too short|Downloaded \d+ bytes, expected|"
         r"Did not get any data blocks|downloaded file is empty", "item",
         "the file ended early; it is fetched anew on the next run", transient=True),
    _row("server_error", r"HTTP Error 5\d\d", "world",
         "the server has trouble; run again later", transient=True),
    _row("network", r"timed out|connection (?:refused|reset|aborted)|Remote end closed|"
         r"Name or service not known|name resolution|getaddrinfo|Network is unreachable|"
         r"No route to host|SSL|IncompleteRead|Broken pipe|Unable to connect|Connection broken|"
         r"EOF occurred|TransportError", "world",
         "check the network and run again", transient=True),
    _row("forbidden_media", r"unable to download video data: HTTP Error 403", "item",
         "the media address had expired or was refused", transient=True),
    _row("copyright", r"copyright", "item", "taken down for copyright; nothing to do"),
    _row("geo_blocked", r"not (?:made this video )?available in your (?:country|location)|"
         r"geo.?restrict|not available from your location|in your country|HTTP Error 451", "item",
         "not shown in this country; fetch it from another one"),
    _row("private", r"private video|video is private|is private", "item",
         "private; ask the uploader or leave it out"),
    _row("members_only", r"members-only|requires payment|Premium members|"
         r"join this channel|members of this channel", "item",
         "for paying members only; leave it out"),
    _row("age_restricted", r"confirm your age|age-restricted|inappropriate for some users", "item",
         "needs a signed-in account of age; leave it out"),
    _row("not_yet_available", r"premieres? (?:in|will)|live event will begin|will begin in|"
         r"is not (?:yet )?available yet|live stream (?:recording )?(?:is|has) not|is upcoming",
         "item", "not out yet; run again after its date"),
    _row("drm", r"\bDRM\b", "item", "protected; leave it out"),
    _row("no_audio_format", r"Requested format is not available|No video formats found|"
         r"Only images are available|no formats", "item",
         "no format is offered; where many items say so, suspect the JavaScript runtime "
         "(`data-collection doctor`)"),
    _row("login_required", r"HTTP Error 401|HTTP Error 403|sign in|log in|login required", "item",
         "the source refuses guests; leave it out"),
    _row("removed", r"removed|Video unavailable|video is (?:unavailable|not available)|"
         r"event has ended|HTTP Error (?:404|410)|no longer available|"
         r"account .*terminated|does not exist", "item", "gone; leave it out"),
    _row("unsupported_source", r"Unsupported URL|is not a valid URL|Unable to extract|"
         r"no suitable extractor", "item",
         "yt-dlp cannot read this page; check the address or update yt-dlp"),
)  # fmt: skip
"""First match wins."""

UNKNOWN = FetchReason(
    "unknown", re.compile(""), "item", "read the message; if it recurs, add it to FETCH_REASONS"
)


def recognise(message: str) -> FetchReason:
    """Find the class of a message from yt-dlp; `UNKNOWN` where no row fits."""
    plain = message.replace("’", "'")
    return next((row for row in FETCH_REASONS if row.pattern.search(plain)), UNKNOWN)


def fetch_error(message: str, *, what: str, folder: str) -> RecordingError:
    """Make the error for a failed fetch.

    Args:
        message: what yt-dlp said.
        what: the item, as a person would look it up (its URL).
        folder: where it was being written, for the error of a full disk.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", message).removeprefix("ERROR: ").strip()
    if NO_ROOM_PATTERN.search(text):
        return disk_full(folder, text)
    row = recognise(ITEM_PREFIX.sub("", text))
    detail = f"{what}: {text} — {row.advice}"
    kind = {"item": ItemError, "world": WorldError, "us": SetupError}[row.fault]
    return kind(row.reason, detail, stops_batch=row.stops_batch)


def is_transient(error: BaseException) -> bool:
    """Whether trying the same again within this run may help."""
    return isinstance(error, RecordingError) and any(
        row.transient for row in FETCH_REASONS if row.reason == error.reason
    )
