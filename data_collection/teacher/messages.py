"""The teacher's API, as the `anthropic` SDK speaks it: its client, its faults, when to try again.

What belongs here: who is at fault when a call fails, and whether the call may have been accepted,
which decides whether it may be made again. What does not: what is asked (`questions`), batches
(`batches`), and what is spent (`ledger`). The key is passed on and never told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import stamina

from data_collection.recordings.errors import RecordingError, SetupError, WorldError
from data_collection.recordings.retry_after import retry_after_s

if TYPE_CHECKING:
    from anthropic import Anthropic, APIStatusError

BASE_URL = "https://api.anthropic.com"
TIMEOUT_S = 300.0
"""Between two bytes: a single answer takes minutes where a model thinks."""
ATTEMPTS = 4
LONGEST_WAIT_S = 60.0
"""Who is asked to wait longer comes again in a later run."""
MOST_TOLD = 500
MAYBE_ACCEPTED = frozenset({408, 409, 499})
OVERLOADED = 529

T = TypeVar("T")


def client(api_key: str | None, base_url: str | None = None) -> Anthropic:
    """A client of the teacher's API that makes every call once: who may repeat it is decided here.

    Key and address are passed on explicitly; what the environment says of either is not read.

    Raises:
        SetupError: `teacher_key_missing`, or `teacher_url_unreadable`.
    """
    import anthropic

    key = (api_key or "").strip()
    if not key:
        raise SetupError(
            "teacher_key_missing",
            "there is no key for the teacher's API; set ANTHROPIC_API_KEY",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SetupError(
            "teacher_key_missing",
            "ANTHROPIC_API_KEY has characters that no key has; copy it anew",
        )
    address = (base_url or BASE_URL).strip()
    if not _is_web_address(address):
        raise SetupError(
            "teacher_url_unreadable", f"ANTHROPIC_BASE_URL {address!r} is no web address"
        )
    return anthropic.Anthropic(
        api_key=key, base_url=address.rstrip("/"), max_retries=0, timeout=TIMEOUT_S
    )


def _is_web_address(address: str) -> bool:
    try:
        where = urlsplit(address)
    except ValueError:  # half a bracket
        return False
    return where.scheme in ("http", "https") and bool(where.hostname)


def address_of(client: Anthropic) -> str:
    """Where a client asks, as the ledger writes it."""
    return str(client.base_url).rstrip("/")


def read(client: Anthropic, what: str, call: Callable[[], T]) -> T:
    """Make a call that changes nothing and costs nothing, again where its fault may pass.

    Args:
        client: whose call it is.
        what: is asked, for messages.
        call: makes it.

    Raises:
        SetupError: key, model or request are at fault.
        WorldError: the network or the API are.
    """
    import anthropic
    import httpx2

    try:
        return _retried(call, may_pass)
    except (anthropic.AnthropicError, httpx2.HTTPError, ValueError) as error:
        fault = fault_of(error, client, what)
    # Outside of the handler: an error that is told with its cause would tell headers or a body.
    raise fault


def post_once(
    client: Anthropic, what: str, call: Callable[[], T], *, creates: bool = False
) -> T | None:
    """Make a call that costs, again only where the one before was surely not accepted.

    Args:
        client: whose call it is.
        what: is asked, for messages.
        call: makes it.
        creates: something goes on running on the other side, which an error behind its creation
            does not undo.

    Returns:
        The answer; None where nobody can tell whether the call was accepted.

    Raises:
        SetupError: key, model or request are at fault; nothing was accepted.
        WorldError: the network or the API are; nothing was accepted.
    """
    import anthropic
    import httpx2

    def again(error: Exception) -> bool | float:
        return was_not_accepted(error, creates=creates) and may_pass(error)

    try:
        return _retried(call, again)
    except (anthropic.AnthropicError, httpx2.HTTPError, ValueError) as error:
        if not was_not_accepted(error, creates=creates):
            return None
        fault = fault_of(error, client, what)
    raise fault


def _retried(call: Callable[[], T], again: Callable[[Exception], bool | float]) -> T:
    for attempt in stamina.retry_context(on=again, attempts=ATTEMPTS, timeout=None, wait_max=30.0):
        with attempt:
            return call()
    raise AssertionError("stamina always returns or raises")


def was_not_accepted(error: Exception, *, creates: bool) -> bool:
    """Whether a call that failed so was surely not taken on, and so not paid for.

    A connection that was never made, and an answer that says no. An error of the server in its own
    words (5xx) is no answer to be paid, but may have come after a batch was made.
    """
    import anthropic
    import httpx2

    if isinstance(error, anthropic.APIStatusError):
        if error.status_code < 500:
            return error.status_code not in MAYBE_ACCEPTED
        return error.status_code == OVERLOADED or (not creates and _is_of_the_api(error))
    never_sent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
    return isinstance(error.__cause__, never_sent)


def may_pass(error: Exception) -> bool | float:
    """Whether trying again may help, and after how many seconds where the API says so."""
    import anthropic
    import httpx2

    if isinstance(error, anthropic.APIStatusError):
        if error.status_code not in {408, 409, 429} and error.status_code < 500:
            return False
        wait_s = retry_after_s(error.response.headers.get("retry-after"))
        if wait_s is None or wait_s == 0:
            return True
        return wait_s <= LONGEST_WAIT_S and wait_s
    return isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError)


def fault_of(error: Exception, client: Anthropic, what: str) -> RecordingError:
    """Who is at fault when a call failed, in words that hold no key."""
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return _fault_of_status(error, what, _told(error, client))
    reason = "teacher_unreachable"
    if not isinstance(error, anthropic.APIConnectionError):
        reason = "teacher_answer_unreadable"
    cause = error.__cause__ or error
    told = _told(cause, client) or type(cause).__name__
    return WorldError(
        reason,
        f"{what}: no answer from {address_of(client)} ({told}); run it again when the network is "
        "there: what was answered is kept",
        stops_batch=True,
    )


def _is_of_the_api(error: APIStatusError) -> bool:
    """Whether the API itself says it, and no gateway in between that gave up waiting."""
    body = error.body
    return isinstance(body, dict) and body.get("type") == "error"


def _fault_of_status(error: APIStatusError, what: str, told: str) -> RecordingError:
    status = error.status_code
    said = f"{what}: {status} {told}"
    if status == 401:
        return SetupError("teacher_key_refused", f"{said}; see ANTHROPIC_API_KEY")
    if status == 402 or "credit balance" in told:
        return SetupError("teacher_not_paid", f"{said}; see the account's credit")
    if status == 403:
        return SetupError("teacher_key_refused", f"{said}; the key may not do this")
    if status == 404:
        return SetupError(
            "teacher_not_found",
            f"{said}; where it is the model, it is misspelt or retired: choose another",
        )
    if status in {408, 409, 429} or status >= 500:
        wait_s = retry_after_s(error.response.headers.get("retry-after"))
        later = f"in {wait_s:.0f} s" if wait_s else "later"
        reason = "teacher_rate_limited" if status == 429 else "teacher_overloaded"
        return WorldError(
            reason, f"{said}; run it again {later}: what was answered is kept", stops_batch=True
        )
    return SetupError("teacher_request_refused", f"{said}; the request is not as the API wants it")


def _told(error: BaseException, client: Anthropic) -> str:
    """What an error says, short, without the key should the other side repeat it."""
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    said = inner.get("message") if isinstance(inner, dict) else None
    text = str(said or error)
    if client.api_key:
        text = text.replace(client.api_key, "<key>")
    return " ".join(text.split())[:MOST_TOLD]
