"""Pages over real HTTP on loopback: good, slow to come, bad; and every answer kept as it came."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_collection.competition.sources.errors import SourceError, UnreachableError
from data_collection.competition.sources.kept_answers import Page
from data_collection.competition.sources.pages import Manners, open_pages
from data_collection.recordings.store import Store
from data_collection.sample.server import FixedPage, Site, serve

FOLDER = "competition_cache/test2021/sources/html"
QUICK = Manners(contact="lab@example.org", retry_wait_s=0.01, max_bytes=50_000)
PATH = "/results"
GOOD = FixedPage("<html><p>Ada Quill – pierwsza nagroda</p></html>")


@pytest.fixture
def site() -> Iterator[Site]:
    """A site with one good page."""
    with serve([], title="Site") as running:
        running.pages[PATH] = GOOD
        yield running


def _get(store: Store, url: str, manners: Manners = QUICK, *, missing_ok: bool = False) -> Page:
    with open_pages("html", store, FOLDER, manners) as pages:
        return pages.get(url, missing_ok=missing_ok)


def _kept(store: Store) -> list[Path]:
    folder = Path(str(store.path(FOLDER)))
    return sorted(p for p in folder.glob("*") if not p.name.endswith(".html.json"))


def test_an_answer_is_kept_exactly_as_it_came(site: Site, store: Store) -> None:
    """The file's bytes are the answer's, and beside it stand address, time, hash and headers."""
    page = _get(store, f"{site.url}{PATH}")
    (kept,) = _kept(store)
    assert str(kept) == page.saved
    assert kept.read_text("utf-8") == GOOD.content
    about = json.loads(Path(f"{kept}.json").read_text("utf-8"))
    assert about["url"] == f"{site.url}{PATH}"
    assert about["sha256"][:12] in kept.name
    assert about["headers"]["content-type"] == "text/html; charset=utf-8"
    assert page.stale_because is None
    assert "nagroda" in page.text


def test_the_same_answer_is_kept_once_and_noted_as_seen_again(site: Site, store: Store) -> None:
    """Twice the same gives one file with a later `confirmed_at`; another content gives two."""
    first = _get(store, f"{site.url}{PATH}")
    again = _get(store, f"{site.url}{PATH}")
    assert again.saved == first.saved
    assert again.as_of > first.as_of
    site.pages[PATH] = FixedPage("<html>other</html>")
    assert _get(store, f"{site.url}{PATH}").saved != first.saved
    assert len(_kept(store)) == 2


def test_a_page_known_by_its_etag_is_not_sent_again(site: Site, store: Store) -> None:
    """304 is answered from the HTTP cache, and asked for every time: no 200 lives for ever."""
    site.pages[PATH] = FixedPage(
        "<html>one</html>", headers={"etag": '"1"', "cache-control": "max-age=0"}
    )
    for _ in range(2):
        assert _get(store, f"{site.url}{PATH}").text == "<html>one</html>"
    site.pages[PATH] = FixedPage(
        "<html>two</html>", headers={"etag": '"2"', "cache-control": "max-age=0"}
    )
    assert _get(store, f"{site.url}{PATH}").text == "<html>two</html>"
    assert site.requests[PATH] == 3


def test_a_page_that_is_fresh_by_its_own_word_is_not_asked_for(site: Site, store: Store) -> None:
    """`max-age` is believed; the answer says as of when it is."""
    site.pages[PATH] = FixedPage("<html>one</html>", headers={"cache-control": "max-age=600"})
    first = _get(store, f"{site.url}{PATH}")
    assert _get(store, f"{site.url}{PATH}").as_of == first.as_of
    assert site.requests[PATH] == 1


@pytest.mark.parametrize(
    "fault",
    [
        FixedPage("slow down", status=429, headers={"retry-after": "0"}),
        FixedPage(
            "slow down", status=429, headers={"retry-after": "Mon, 01 Jan 2024 00:00:00 GMT"}
        ),
        FixedPage("later", status=503, headers={"retry-after": "soon"}),
        FixedPage("oops", status=500),
        FixedPage("<html><p>Ada", torn=True),
    ],
)
def test_what_passes_is_tried_again(fault: FixedPage, site: Site, store: Store) -> None:
    """A rate limit, a fault of the server, half a page: the next try is read, and it alone."""
    site.faults[PATH] = [fault]
    assert _get(store, f"{site.url}{PATH}").text == GOOD.content
    assert len(_kept(store)) == 1


def test_a_pause_that_is_asked_for_is_made(site: Site, store: Store) -> None:
    """Retry-After is obeyed: the second request comes no sooner."""
    site.faults[PATH] = [FixedPage("", status=429, headers={"retry-after": "1"})]
    before = time.monotonic()
    _get(store, f"{site.url}{PATH}")
    assert time.monotonic() - before >= 1.0


def test_a_pause_that_is_too_long_ends_the_tries(site: Site, store: Store) -> None:
    """An hour is not waited for, and nothing is asked before it: the source is for another run."""
    site.faults[PATH] = [FixedPage("", status=429, headers={"retry-after": "3600"})]
    with pytest.raises(UnreachableError, match=r"429 and asks for a pause of 3600 s"):
        _get(store, f"{site.url}{PATH}")
    assert site.requests[PATH] == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 451])
def test_what_does_not_pass_is_not_tried_again(status: int, site: Site, store: Store) -> None:
    """A refusal is final for this run, and named with its status."""
    site.pages[PATH] = FixedPage("no", status=status)
    with pytest.raises(UnreachableError, match=f"source html: .*{PATH} answered {status}"):
        _get(store, f"{site.url}{PATH}")
    assert site.requests[PATH] == 1
    assert not _kept(store)


def test_a_server_that_stays_broken_is_left_after_a_few_tries(site: Site, store: Store) -> None:
    """Three tries, then the source is down for all its pages: 400 pages cost no 1,200 requests."""
    site.pages[PATH] = FixedPage("", status=503)
    with open_pages("html", store, FOLDER, QUICK) as pages:
        for number in range(5):
            with pytest.raises(UnreachableError, match="answered 503"):
                pages.get(f"{site.url}{PATH}?page={number}")
    assert site.requests[PATH] == QUICK.attempts


def test_the_newest_kept_answer_stands_in_for_a_site_that_is_gone(store: Store) -> None:
    """With the server gone the page is the kept one, with its date and the reason."""
    with serve([], title="Site") as site:
        site.pages[PATH] = FixedPage("<html>old</html>")
        _get(store, f"{site.url}{PATH}")
        site.pages[PATH] = FixedPage("<html>new</html>")
        fresh = _get(store, f"{site.url}{PATH}")
        url = f"{site.url}{PATH}"
    stale = _get(store, url)
    assert stale.text == "<html>new</html>"
    assert stale.as_of == fresh.as_of
    assert stale.stale_because is not None
    assert "cannot be reached" in stale.stale_because


def test_a_damaged_kept_answer_is_not_read(store: Store) -> None:
    """A file that no longer has its hash, or a description that is none, stands in for nothing."""
    with serve([], title="Site") as site:
        site.pages[PATH] = GOOD
        page = _get(store, f"{site.url}{PATH}")
        url = f"{site.url}{PATH}"
    Path(page.saved).write_bytes(b"<html>tampered</html>")
    Path(f"{page.saved}.x.html.json").write_text("{", encoding="utf-8")
    with pytest.raises(UnreachableError, match="no earlier answer"):
        _get(store, url)


def test_robots_are_respected(site: Site, store: Store) -> None:
    """A wildcard, the longest rule, another robot's rules; what is forbidden is not asked for."""
    site.pages["/robots.txt"] = FixedPage(
        "User-agent: other\nDisallow: /\n\n"
        "User-agent: *\nDisallow: /*sults\nAllow: /results/open\n",
        content_type="text/plain",
    )
    site.pages["/results/open"] = GOOD
    with pytest.raises(UnreachableError, match=r"robots\.txt forbids"):
        _get(store, f"{site.url}{PATH}")
    assert _get(store, f"{site.url}/results/open").status == 200
    assert site.requests[PATH] == 0


def test_robots_that_cannot_be_read_forbid_all(site: Site, store: Store) -> None:
    """A server's fault in place of robots.txt is no permission."""
    site.pages["/robots.txt"] = FixedPage("", status=503)
    with pytest.raises(UnreachableError, match=r"robots\.txt answered 503"):
        _get(store, f"{site.url}{PATH}")
    assert site.requests[PATH] == 0


def test_the_user_agent_says_who_asks(site: Site, store: Store) -> None:
    """Name, version and contact go with each request."""
    assert QUICK.user_agent.startswith("data-collection/")
    assert "lab@example.org" in QUICK.user_agent
    site.pages["/robots.txt"] = FixedPage("User-agent: data-collection\nDisallow: /\n")
    with pytest.raises(UnreachableError, match="to data-collection"):
        _get(store, f"{site.url}{PATH}")


def test_an_answer_that_is_too_large_is_cut_off(site: Site, store: Store) -> None:
    """10 MB where 50 kB are allowed: an error that names the page, and nothing kept."""
    site.pages[PATH] = FixedPage(b"x" * 10_000_000)
    with pytest.raises(SourceError, match=f"{PATH} is larger than 50,000 bytes"):
        _get(store, f"{site.url}{PATH}")
    assert not _kept(store)


def test_a_circle_of_redirects_ends(site: Site, store: Store) -> None:
    """Two pages that point at each other are an error after a few steps."""
    site.pages["/a"] = FixedPage("", status=302, headers={"location": "/b"})
    site.pages["/b"] = FixedPage("", status=301, headers={"location": f"{site.url}/a"})
    with pytest.raises(SourceError, match="redirects more than 5 times"):
        _get(store, f"{site.url}/a")


def test_a_redirect_is_followed_and_may_not_leave_the_web(site: Site, store: Store) -> None:
    """The answer is kept under the address asked for; `file:` is no page."""
    site.pages["/old"] = FixedPage("", status=301, headers={"location": PATH})
    assert _get(store, f"{site.url}/old").url == f"{site.url}/old"
    site.pages["/bad"] = FixedPage("", status=302, headers={"location": "file:///etc/passwd"})
    with pytest.raises(SourceError, match="no web page"):
        _get(store, f"{site.url}/bad")


def test_a_missing_page_is_an_answer_where_that_is_allowed(site: Site, store: Store) -> None:
    """A number without a competitor is kept as a fact, so that a later parse meets it again."""
    page = _get(store, f"{site.url}/participants/13", missing_ok=True)
    assert page.status == 404


@contextmanager
def _raw_server(answer: bytes) -> Iterator[str]:
    """A server that sends these bytes to whoever connects, and closes; twenty times."""
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        for _ in range(20):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                asked = connection.recv(65536)
                robots = b"GET /robots.txt" in asked
                connection.sendall(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    if robots
                    else answer
                )

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "cannot be reached"),
        (b"rubbish\r\n\r\n", "cannot be reached"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><p>Ada",
            "ended before the page did",
        ),
    ],
)
def test_a_connection_that_tears_is_no_page(answer: bytes, said: str, store: Store) -> None:
    """No answer, no HTTP, and half a page without a length: none of them is kept."""
    with _raw_server(answer) as url, pytest.raises(UnreachableError, match=said):
        _get(store, f"{url}{PATH}")
    assert not _kept(store)


def test_a_host_that_does_not_exist_is_soon_over(store: Store) -> None:
    """A name that does not resolve is an error at once; guards minutes without a network."""
    with pytest.raises(UnreachableError, match="cannot be reached"):
        _get(store, "http://results.invalid/page")


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        ("Łódź".encode("iso-8859-2"), "text/html; charset=ISO-8859-2", "Łódź"),
        ('<meta charset="windows-1250">Łódź'.encode("cp1250"), "text/html", "Łódź"),
        ("\ufeffŁódź".encode(), "text/csv", "Łódź"),
        ("Łódź".encode(), "text/html; charset=nonsense", "Łódź"),
        (b"\xff\xfe Ada", "text/html; charset=utf-8", "Ada"),
    ],
)
def test_text_is_read_by_its_own_character_set(
    content: bytes, content_type: str, text: str, site: Site, store: Store
) -> None:
    """The header's, the page's, else UTF-8; rubbish bytes are no crash."""
    site.pages[PATH] = FixedPage(content, content_type=content_type)
    assert text in _get(store, f"{site.url}{PATH}").text
