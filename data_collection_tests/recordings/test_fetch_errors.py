"""What yt-dlp says, as it says it, and whose fault that is."""

from __future__ import annotations

import pytest

from data_collection.recordings.errors import ItemError, RecordingError, SetupError, WorldError
from data_collection.recordings.fetch_errors import (
    FETCH_REASONS,
    fetch_error,
    is_transient,
    recognise,
)

YT = "ERROR: [youtube] dQw4w9WgXcQ: "
CASES: list[tuple[str, str, type[RecordingError]]] = [
    (YT + "Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies for the "
     "authentication.", "bot_check", WorldError),
    (YT + "Sign in to confirm you're not a bot. Use --cookies", "bot_check", WorldError),
    (YT + "Video unavailable. This content isn't available, try again later. The current session "
     "has been rate-limited by YouTube for up to an hour.", "rate_limited", WorldError),
    (YT + "Unable to download API page: HTTP Error 429: Too Many Requests (caused by <HTTPError "
     "429: Too Many Requests>)", "too_many_requests", WorldError),
    (YT + "Private video. Sign in if you've been granted access to this video. Use --cookies",
     "private", ItemError),
    (YT + "Private video. Sign in if you’ve been granted access to this video", "private",
     ItemError),
    (YT + "This video is private", "private", ItemError),
    (YT + "Join this channel to get access to members-only content like this video, and other "
     "exclusive perks.", "members_only", ItemError),
    (YT + "This video is available to this channel's members on level: Patron (or any higher "
     "level). Join this channel to get access to members-only content", "members_only", ItemError),
    (YT + "The uploader has not made this video available in your country", "geo_blocked",
     ItemError),
    (YT + "The uploader has not made this video available in your country\nThis video is available "
     "in Poland.\nYou might want to use a VPN or a proxy server (with --proxy) to workaround.",
     "geo_blocked", ItemError),
    (YT + "This video is not available from your location due to geo restriction", "geo_blocked",
     ItemError),
    (YT + "Video unavailable. This video is no longer available due to a copyright claim by Warner "
     "Classics", "copyright", ItemError),
    (YT + "Video unavailable. This video contains content from SME, who has blocked it in your "
     "country on copyright grounds", "copyright", ItemError),
    (YT + "Sign in to confirm your age. This video may be inappropriate for some users. Use "
     "--cookies", "age_restricted", ItemError),
    (YT + "Premieres in 3 hours", "not_yet_available", ItemError),
    (YT + "Premiere will begin shortly", "not_yet_available", ItemError),
    (YT + "This live event will begin in 5 days.", "not_yet_available", ItemError),
    (YT + "This live event will begin in a few moments.", "not_yet_available", ItemError),
    (YT + "This live stream recording is not available.", "not_yet_available", ItemError),
    ("ERROR: unable to download video data: HTTP Error 403: Forbidden", "forbidden_media",
     ItemError),
    (YT + "Requested format is not available. Use --list-formats for a list of available formats",
     "no_audio_format", ItemError),
    (YT + "Only images are available for download. use --list-formats to see them",
     "no_audio_format", ItemError),
    (YT + "No video formats found!; please report this issue on  https://github.com/yt-dlp/yt-dlp/"
     "issues?q=", "no_audio_format", ItemError),
    (YT + "This video is DRM protected", "drm", ItemError),
    ("ERROR: unable to write data: [Errno 28] No space left on device", "disk_full", SetupError),
    ("ERROR: unable to write data: [Errno 122] Disk quota exceeded", "disk_full", SetupError),
    ("ERROR: unable to write data: [Errno 27] File too large", "disk_full", SetupError),
    ("[download] Got error: 1048576 bytes read, 7340032 more expected. Giving up after 5 retries",
     "truncated", ItemError),
    ("ERROR: content too short (expected 7340032 bytes and served 1048576)", "truncated",
     ItemError),
    ("Downloaded 1048576 bytes, expected 7340032 bytes", "truncated", ItemError),
    ("ERROR: Did not get any data blocks", "truncated", ItemError),
    ("ERROR: The downloaded file is empty", "truncated", ItemError),
    (YT + "Unable to download webpage: HTTP Error 503: Service Unavailable", "server_error",
     WorldError),
    (YT + "Unable to download API page: HTTP Error 500: Internal Server Error", "server_error",
     WorldError),
    (YT + "Unable to download API page: The read operation timed out (caused by TransportError("
     "'The read operation timed out'))", "network", WorldError),
    (YT + "Unable to download webpage: <urlopen error [Errno -3] Temporary failure in name "
     "resolution>", "network", WorldError),
    (YT + "Unable to download webpage: [Errno -2] Name or service not known", "network",
     WorldError),
    (YT + "Unable to download webpage: [Errno 111] Connection refused", "network", WorldError),
    (YT + "Unable to download webpage: [Errno 101] Network is unreachable", "network", WorldError),
    ("ERROR: unable to download video data: [Errno 104] Connection reset by peer", "network",
     WorldError),
    ("ERROR: Remote end closed connection without response", "network", WorldError),
    (YT + "Unable to download webpage: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
     "unable to get local issuer certificate (_ssl.c:1006)", "network", WorldError),
    ("ERROR: Postprocessing: ffprobe and ffmpeg not found. Please install or provide the path "
     "using --ffmpeg-location", "tool_missing", SetupError),
    ("ERROR: You have requested merging of multiple formats but ffmpeg is not installed. Aborting",
     "tool_missing", SetupError),
    (YT + "Video unavailable. This video has been removed by the uploader", "removed", ItemError),
    (YT + "Video unavailable", "removed", ItemError),
    (YT + "This video is unavailable", "removed", ItemError),
    (YT + "This video is not available", "removed", ItemError),
    (YT + "Video unavailable. This video is no longer available because the YouTube account "
     "associated with this video has been terminated.", "removed", ItemError),
    (YT + "This video has been removed for violating YouTube's Terms of Service", "removed",
     ItemError),
    ("ERROR: [generic] Unable to download webpage: HTTP Error 404: Not Found", "removed",
     ItemError),
    ("ERROR: [generic] Unable to download webpage: HTTP Error 410: Gone", "removed", ItemError),
    ("ERROR: [generic] Unable to download webpage: HTTP Error 403: Forbidden", "login_required",
     ItemError),
    ("ERROR: Unsupported URL: https://example.org/page", "unsupported_source", ItemError),
    ("ERROR: something nobody has seen before", "unknown", ItemError),
]  # fmt: skip
STOPPING = {"bot_check", "rate_limited", "too_many_requests", "disk_full", "tool_missing"}
TRANSIENT = {"truncated", "server_error", "network", "forbidden_media"}


@pytest.mark.parametrize(("message", "reason", "kind"), CASES)
def test_real_messages_are_recognised(
    message: str, reason: str, kind: type[RecordingError]
) -> None:
    """Each message gets its reason, its culprit, and whether it stops the batch or may pass.

    Guards against an outage that is counted against ten thousand items, a dead video that is
    tried for ever, and a bot check that is provoked further.
    """
    error = fetch_error(message, what="https://example.org/watch", folder="/data")
    assert (error.reason, type(error)) == (reason, kind)
    assert error.stops_batch is (reason in STOPPING)
    assert is_transient(error) is (reason in TRANSIENT)


def test_every_reason_has_a_real_message() -> None:
    """No row of the table is without an example here.

    Guards against patterns that nobody has seen match.
    """
    assert {row.reason for row in FETCH_REASONS} <= {reason for _, reason, _ in CASES}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("ERROR: [youtube] aSsLb_cdefg: Private video. Sign in if you've been granted", "private"),
        ("ERROR: [youtube] xx-DRM-yyyy: Video unavailable. This video has been removed", "removed"),
        (
            "ERROR: [generic] copyright-free-etude: Unable to download webpage: HTTP Error 404: "
            "Not Found",
            "removed",
        ),
        (
            "ERROR: [generic] captcha: Unable to download webpage: HTTP Error 404: Not Found",
            "removed",
        ),
    ],
)
def test_an_items_name_is_no_reason(message: str, reason: str) -> None:
    """The id in front of a message does not decide what kind of error it is.

    Guards against a removed video named `captcha` that stops the whole batch, and a private one
    whose id happens to hold the letters SSL and is tried again as a network fault.
    """
    assert fetch_error(message, what="u", folder="f").reason == reason


def test_both_apostrophes_and_any_case() -> None:
    """Typographic apostrophes and upper case change nothing.

    Guards against YouTube's change of one character that made every bot check "unknown".
    """
    for text in ("you’re not a bot", "you're not a bot", "YOU’RE NOT A BOT"):
        assert recognise(text).reason == "bot_check"


def test_the_detail_is_for_a_person() -> None:
    """The message names the item and the cure and holds no terminal colours.

    Guards against escape codes in receipts and errors that say neither what nor what to do.
    """
    error = fetch_error(
        "\x1b[0;31mERROR:\x1b[0m [youtube] x: Private video", what="https://u.example/x", folder="f"
    )
    assert "\x1b" not in error.detail
    assert error.detail.startswith("https://u.example/x: [youtube] x: Private video")
    assert "ask the uploader" in error.detail
