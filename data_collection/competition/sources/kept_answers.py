"""Every answer of a source, kept exactly as it came, so that a parse can be repeated.

What belongs here: the files under `<edition>/sources/<source>/`, each with a JSON file beside it,
and the newest of them for an address. What does not: fetching (`pages`) and what a page says.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_collection.recordings.store import Store

logger = logging.getLogger(__name__)

KEPT_HEADERS = (
    "age", "cache-control", "content-language", "content-type", "date", "etag", "last-modified",
    "server",
)  # fmt: skip
ENDING_OF = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/json": "json",
    "text/csv": "csv",
}
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)


class KeptAnswer(BaseModel):
    """What lies beside a kept answer: where it came from and when."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    final_url: str
    fetched_at: datetime = Field(description="when it first came, UTC")
    confirmed_at: datetime = Field(description="when the same was last seen at the site, UTC")
    status: int
    headers: dict[str, str]
    sha256: str
    bytes: int = Field(ge=0, description="of the content, after decompression")
    file: str = Field(description="name of the answer, in this folder")


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, fetched now or kept from before.

    Attributes:
        url: as asked for.
        status: 200, or 404 and 410 where those were allowed.
        content: as it came, decompressed.
        headers: those that are kept.
        as_of: when the site last gave this.
        saved: where it lies, for a message.
        stale_because: why it is a kept one; None for one that was fetched now.
    """

    url: str
    status: int
    content: bytes
    headers: Mapping[str, str]
    as_of: datetime
    saved: str
    stale_because: str | None = None

    @property
    def media_type(self) -> str:
        """Such as `text/html`; empty where the site does not say."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The content by its stated character set, else UTF-8; what does not fit shows as U+FFFD.

        A file's byte order mark is no part of it.
        """
        stated = re.search(
            r"charset=[\"']?([\w.:-]+)", self.headers.get("content-type", ""), re.IGNORECASE
        )
        in_page = _META_CHARSET.search(self.content[:2048])
        named = stated.group(1) if stated else in_page.group(1).decode() if in_page else "utf-8"
        try:
            return self.content.decode(named, errors="replace").removeprefix("\ufeff")
        except (LookupError, UnicodeError):  # no such character set, or no text at all
            return self.content.decode("utf-8", errors="replace").removeprefix("\ufeff")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came over the wire, redirects followed."""

    url: str
    status: int
    content: bytes
    headers: Mapping[str, str]
    from_cache: bool


@dataclass
class KeptAnswers:
    """Every answer of one source, each file with a JSON file beside it.

    Attributes:
        store: the data root.
        folder: relative path of the source's folder.
    """

    store: Store
    folder: str
    _known: list[KeptAnswer] | None = None

    def keep(self, url: str, answer: Answer) -> Page:
        """Keep an answer; one that is the same as before is only noted as seen again."""
        now = datetime.now(UTC)
        seen = _stated_date(answer, now) if answer.from_cache else now
        digest = hashlib.sha256(answer.content).hexdigest()
        same = [
            known
            for known in self._answers()
            if (known.url, known.status, known.sha256) == (url, answer.status, digest)
            and self._content(known) is not None
        ]
        if same:
            entry = same[0].model_copy(update={"confirmed_at": max(same[0].confirmed_at, seen)})
            self._answers().remove(same[0])
        else:
            entry = self._new_entry(url, answer, digest, seen)
            self.store.write_bytes(f"{self.folder}/{entry.file}", answer.content)
        self._answers().append(entry)
        text = entry.model_dump_json(indent=1)
        self.store.write_bytes(f"{self.folder}/{entry.file}.json", f"{text}\n".encode())
        return self._page(entry, answer.content, stale_because=None)

    def newest(self, url: str, *, because: str, missing_ok: bool) -> Page | None:
        """The newest whole answer of an address; None where none is kept."""
        for entry in sorted(self._answers(), key=lambda known: known.confirmed_at, reverse=True):
            if entry.url != url or (entry.status != 200 and not missing_ok):
                continue
            if (content := self._content(entry)) is not None:
                return self._page(entry, content, stale_because=because)
        return None

    def _new_entry(self, url: str, answer: Answer, digest: str, seen: datetime) -> KeptAnswer:
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        stem = f"{seen:%Y%m%dT%H%M%S.%fZ}_{digest[:12]}"
        taken = {known.file for known in self._answers()}
        ending = ENDING_OF.get(media_type, "txt" if media_type.startswith("text/") else "bin")
        name = f"{stem}.{ending}"
        for number in range(2, len(taken) + 3):
            if name not in taken:
                break
            name = f"{stem}_{number}.{ending}"
        return KeptAnswer(
            url=url,
            final_url=answer.url,
            fetched_at=seen,
            confirmed_at=seen,
            status=answer.status,
            headers={k: answer.headers[k] for k in KEPT_HEADERS if k in answer.headers},
            sha256=digest,
            bytes=len(answer.content),
            file=name,
        )

    def _answers(self) -> list[KeptAnswer]:
        if self._known is None:
            self._known = list(self._read_entries())
        return self._known

    def _read_entries(self) -> Iterator[KeptAnswer]:
        folder = self.store.path(self.folder)
        if not folder.exists():
            return
        for path in sorted(folder.iterdir(), key=str):
            if path.name.endswith(".json") and path.name.count(".") > 2:
                try:
                    yield KeptAnswer.model_validate_json(path.read_text(encoding="utf-8"))
                except (ValidationError, UnicodeDecodeError):
                    logger.warning("%s describes no kept answer and is left out", path)

    def _content(self, entry: KeptAnswer) -> bytes | None:
        """The bytes of a kept answer; None where they are gone or are no longer the same."""
        try:
            content = self.store.path(f"{self.folder}/{entry.file}").read_bytes()
        except (OSError, ValueError):
            return None
        return content if hashlib.sha256(content).hexdigest() == entry.sha256 else None

    def _page(self, entry: KeptAnswer, content: bytes, *, stale_because: str | None) -> Page:
        return Page(
            url=entry.url,
            status=entry.status,
            content=content,
            headers=entry.headers,
            as_of=entry.confirmed_at,
            saved=str(self.store.path(f"{self.folder}/{entry.file}")),
            stale_because=stale_because,
        )


def _stated_date(answer: Answer, now: datetime) -> datetime:
    """When the site gave a cached answer."""
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return now
    return min(date if date.tzinfo else date.replace(tzinfo=UTC), now)
