"""Take a source out of the collection: every file and every row that was made of it.

What belongs here: finding the source, listing what is there of it, removing that. What does not:
keeping it out (`tombstones`), and what a tier is: everything is found on the disk, by what files
are called and what their rows name, so that nothing is missed that a tier has left or will add.

Three kinds of files. *Its own*, named `<recording_id>.…` or `<recording_id>_seg…`, whoever wrote
them, and all that its receipts name: removed. *Aggregates* (JSON lines, JSON, Parquet): rewritten
without its rows. *Listings* say what a source has: their rows stay, for a partition is never
renamed and the next listing would bring them back, but what a video's page said is taken out.
"""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
from pydantic import ValidationError
from upath import UPath

from data_collection.recordings.errors import SetupError
from data_collection.recordings.receipts import Receipt
from data_collection.recordings.store import Store
from data_collection.recordings.tombstones import (
    TOMBSTONES,
    Tombstone,
    read_tombstones,
    write_tombstones,
)

NOT_OURS = frozenset(
    {"percepiano_cache", "composite_labels", "pretrain_cache", "masterclass_cache"}
)
"""Folders that others write: looked through by name, never changed."""
SCRATCH = ".scratch"
LOCK = "purge.lock"
IDLE_S = 3600.0
"""Nobody is at work on a scratch folder in which nothing has changed for so long: a fetch writes
all the time, and waits for minutes at most."""
RECEIPT = ".receipt.json"
AUDIO_FOLDERS = frozenset({"audio", "originals"})
LISTINGS = frozenset({"recordings.jsonl", "listing.jsonl", "unmatched.jsonl", "in_doubt.jsonl"})
CHANNELS = "channels"
PAGE_FIELDS: Mapping[str, object] = {"page": None, "block": [], "block_problems": []}
"""What a listing's row has of a video's page, and what stands there once it is purged."""
FIGURES_OF_ALL = frozenset(
    {
        "duplicates.jsonl",
        "manifest.parquet",
        "pairs.parquet",
        "piece_performer_map.json",
        "problems.parquet",
        "teacher_gate.json",
    }
)
"""Aggregates whose other rows were chosen or weighed with those that go: to be made again."""
REPORTS = frozenset({".md", ".html"})
NOTES = frozenset({".csv", ".tsv", ".txt", ".yaml", ".yml"})
SHARED_SOUND = frozenset({"matches.jsonl", "duplicates.jsonl"})
YOUTUBE_ADDRESS = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)*(?:youtube(?:-nocookie)?\.com/(?:watch\?(?:[^#]*&)?v=|"
    r"(?:shorts|live|embed|v)/)|youtu\.be/)([\w-]{11})(?![\w-])"
)
NEAR_MATCHES = 5
NEAR_SCORE = 70


class UnknownSourceError(SetupError):
    """Nothing in the collection is called so."""


class AmbiguousSourceError(SetupError):
    """Several sources are called so: an id that was read off an address may stand for many."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording as some file of the collection names it.

    Attributes:
        recording_id: its id.
        original_id: of the whole that it is cut from, or its own.
        source_id: the source's own id; empty where the file does not say, as the rest.
        source_url: where it is fetched from.
        title: as the source writes it.
    """

    recording_id: str
    original_id: str
    source_id: str = ""
    source_url: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A source and all recordings made of it.

    Attributes:
        source_id: the source's own id.
        recording_ids: of the whole original and of every part cut from it, in all tiers, sorted.
        urls: where it was fetched from, sorted.
        titles: as it is listed, sorted.
        known: ids of all recordings, by which a longer id's files are told from this one's.
    """

    source_id: str
    recording_ids: tuple[str, ...]
    urls: tuple[str, ...]
    titles: tuple[str, ...]
    known: frozenset[str]

    def owner_of(self, text: str) -> str | None:
        """The known recording that a file's name, an id, or a path or key ending with one is of.

        One id may begin with another: the longest has it.
        """
        name = text.rpartition("/")[2]
        ends = [len(name), *(found.start() for found in re.finditer(r"\.|_seg", name))]
        return next((name[:end] for end in sorted(ends)[::-1] if name[:end] in self.known), None)

    def owns(self, text: str) -> bool:
        """Whether that recording is one of this source."""
        is_near = text.rpartition("/")[2].startswith(self.recording_ids)
        return is_near and self.owner_of(text) in self.recording_ids

    def is_named_in(self, content: bytes) -> bool:
        """Whether one of its ids stands anywhere in a text, if only as the beginning of another."""
        return any(id_.encode() in content for id_ in self.recording_ids)


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file that goes.

    Attributes:
        path: where it lies.
        name: the same below its root.
        size_bytes: its size.
    """

    path: UPath
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A file that holds rows of the source among others.

    Attributes:
        name: below the data root.
        removed: rows or entries that go.
        changed: rows that stay and lose something: in a listing what the video's page said, in a
            table an entry of a list.
    """

    name: str
    removed: int
    changed: int


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What is there of a source.

    Attributes:
        source: which.
        tombstone: the one that it has already; None before its first purge.
        files: to remove, receipts last.
        aggregates: to rewrite.
        make_again: assets whose other rows depend on those that go, and reports that go.
        same_sound: recordings of other sources that are known to hold some of the performance.
        left: files that are not touched and that somebody has to look at, and why.
    """

    source: Source
    tombstone: Tombstone | None
    files: Sequence[OwnFile]
    aggregates: Sequence[Aggregate]
    make_again: Sequence[str]
    same_sound: Sequence[str]
    left: Mapping[str, str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the source is there that can be taken out."""
        return not self.files and not self.aggregates


def find_source(store: Store, query: str) -> Source:
    """Find the source that an id or an address stands for.

    Args:
        store: the data root.
        query: a recording's id, a source's id, or an address, also YouTube's short forms. The id of
            a part stands for the whole that it is cut from: its sound is in that.

    Raises:
        UnknownSourceError: with what is called similarly.
        AmbiguousSourceError: with the ids of those it may mean.
        SetupError: the tombstones cannot be read.
    """
    listed = _with_originals([*_listed(store)])
    youtube = YOUTUBE_ADDRESS.match(query)
    wanted = {query, f"yt_{youtube[1]}"} if youtube else {query}
    ways: Sequence[Callable[[Listed], str]] = (
        lambda row: row.recording_id,
        lambda row: row.original_id,
        lambda row: row.source_url,
        lambda row: row.source_id,
    )
    found = (
        {row.original_id: row for row in listed if way(row) and way(row) in wanted} for way in ways
    )
    originals = next(filter(None, found), {})
    if not originals:
        raise UnknownSourceError("source_unknown", _nothing_like(query, listed))
    if len(originals) > 1:
        said = "; ".join(f"{id_} ({row.source_url})" for id_, row in sorted(originals.items()))
        raise AmbiguousSourceError(
            "source_ambiguous", f"{query} may be {said}: give one of these ids instead"
        )
    return _source(next(iter(originals)), listed)


def _source(original_id: str, listed: Sequence[Listed]) -> Source:
    rows = [row for row in listed if row.original_id == original_id]
    return Source(
        source_id=next((row.source_id for row in rows if row.source_id), original_id),
        recording_ids=tuple(sorted({original_id, *(row.recording_id for row in rows)})),
        urls=tuple(sorted({row.source_url for row in rows} - {""})),
        titles=tuple(sorted({row.title for row in rows} - {""})),
        known=frozenset({original_id, *(row.recording_id for row in listed)}),
    )


def plan_purge(store: Store, source: Source) -> PurgePlan:
    """Say what is there of a source; changes nothing.

    Raises:
        SetupError: the tombstones cannot be read.
    """
    findings = _Findings(store, source)
    for found in _walk(store):
        try:
            findings.add(found)
        except FileNotFoundError:  # a run has just moved or removed it
            continue
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            findings.left[found.name] = (
                f"cannot be read ({error}); delete it and materialize it again"
            )
    own_scratch, is_busy = _of_scratch(findings.scratch, source)
    if is_busy:
        findings.left[SCRATCH] = (
            "runs are at work, or were killed within the hour, and their unfinished files do not "
            "say what they are of; purge again once they have ended"
        )
    named = {str(file.path): file for file in _named_by_receipts(store, findings.files.values())}
    files = sorted([*(findings.files | named).values(), *own_scratch], key=_receipts_last)
    return PurgePlan(
        source=source,
        tombstone=_tombstone_of(read_tombstones(store), source),
        files=files,
        aggregates=sorted(findings.aggregates, key=lambda one: one.name),
        make_again=_to_make_again(files, findings.aggregates),
        same_sound=sorted(findings.same_sound),
        left=findings.left,
    )


def purge(store: Store, source: Source, reason: str, now: datetime) -> PurgePlan:
    """Remove all that is there of a source, and see to it that it is not fetched again.

    The tombstone comes first, receipts go after the files that they name, and what is to be removed
    is found on the disk each time: whoever is stopped here runs the same again.

    Args:
        store: the data root.
        source: as found.
        reason: in words, for the tombstone; that of an earlier purge stays.
        now: with its zone.

    Returns:
        What is left of it: nothing, unless a run wrote it meanwhile or somebody has to look.

    Raises:
        SetupError: the tombstones cannot be read, or there is no room to write.
    """
    with _one_at_a_time(store):
        _bury(store, source, reason, now)
        plan = plan_purge(store, source)
        for file in plan.files:
            file.path.unlink(missing_ok=True)
        for aggregate in plan.aggregates:
            before = store.path(aggregate.name).read_bytes()
            without = _without_source(before, aggregate.name, source)
            if without is not None and without.content is not None:
                store.write_bytes(aggregate.name, without.content)
        return plan_purge(store, source)


def _bury(store: Store, source: Source, reason: str, now: datetime) -> None:
    tombstones = read_tombstones(store)
    earlier = _tombstone_of(tombstones, source)
    made = Tombstone(
        source_id=source.source_id,
        recording_ids=source.recording_ids,
        source_urls=source.urls,
        purged_at=earlier.purged_at if earlier else now,
        reason=earlier.reason if earlier else reason,
    )
    if made != earlier:
        write_tombstones(store, [*(one for one in tombstones if one is not earlier), made])


def _tombstone_of(tombstones: Iterable[Tombstone], source: Source) -> Tombstone | None:
    ids = set(source.recording_ids)
    return next((one for one in tombstones if not ids.isdisjoint(one.recording_ids)), None)


def _one_at_a_time(store: Store) -> AbstractContextManager[object]:
    """Two purges at once would each write the tombstones without the other's."""
    if not _is_local(store.root):
        return nullcontext()
    import filelock

    folder = Path(str(store.root)) / SCRATCH
    folder.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folder / LOCK)


# Which recordings there are, and what is called how


@dataclass(frozen=True, slots=True)
class _Found:
    """A file under one of the roots; its path is made when it is asked for, since most are not."""

    root: UPath
    name: str

    @property
    def path(self) -> UPath:
        return self.root.joinpath(*self.name.split("/"))


def _walk(store: Store) -> Iterator[_Found]:
    """Every file under both roots, once."""
    seen: set[str] = set()
    for root in dict.fromkeys((store.root, store.embeddings_root)):
        for name in _names_below(root):
            whole = f"{root}/{name}"
            if whole not in seen:
                seen.add(whole)
                yield _Found(root, name)


def _names_below(root: UPath) -> Iterator[str]:
    if not _is_local(root):
        for path in root.rglob("*") if root.exists() else ():
            if path.is_file():
                yield str(path).removeprefix(str(root)).lstrip("/")
        return
    visited: set[tuple[int, int]] = set()
    # A tier's folder may be a link to a larger disk, and a link may lead back.
    for folder, folders, names in os.walk(str(root), followlinks=True):
        try:
            stat = Path(folder).stat()
        except FileNotFoundError:  # a run's scratch
            continue
        if (stat.st_dev, stat.st_ino) in visited:
            folders.clear()
            continue
        visited.add((stat.st_dev, stat.st_ino))
        below = folder.removeprefix(str(root)).lstrip("/")
        yield from (f"{below}/{name}" if below else name for name in names)


def _is_local(root: UPath) -> bool:
    return root.protocol in ("", "file", "local")


def _listed(store: Store) -> Iterator[Listed]:
    """All recordings that a listing, a receipt, or a tombstone names."""
    for found in _walk(store):
        name = found.name
        if name.startswith(f"{SCRATCH}/") or name.partition("/")[0] in NOT_OURS:
            continue
        if _is_listing(name):
            yield from _listed_in(found.path)
        elif name.endswith(RECEIPT):
            yield _of_receipt(found)
    for tombstone in read_tombstones(store):
        original = min(tombstone.recording_ids, key=len)
        for id_ in tombstone.recording_ids:
            for url in tombstone.source_urls or ("",):
                yield Listed(id_, original, tombstone.source_id, url)


def _listed_in(listing: UPath) -> Iterator[Listed]:
    for row in _rows_in(listing.read_bytes()):
        if recording_id := str(row.get("recording_id") or ""):
            stated = {
                name: str(row.get(name) or "") for name in ("source_id", "source_url", "title")
            }
            yield Listed(recording_id, str(row.get("cut_from") or recording_id), **stated)


def _of_receipt(found: _Found) -> Listed:
    """What a receipt tells; only those of audio know the source."""
    name = PurePosixPath(found.name)
    id_ = name.name.removesuffix(RECEIPT)
    receipt = _receipt(found.path) if name.parent.name in AUDIO_FOLDERS else None
    if receipt is None:
        return Listed(id_, id_)
    return Listed(
        recording_id=id_,
        original_id=str(receipt.facts.get("cut_from") or id_),
        source_id=receipt.inputs.get("source_id", ""),
        source_url=str(receipt.facts.get("source_url") or ""),
    )


def _receipt(path: UPath) -> Receipt | None:
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _with_originals(listed: Sequence[Listed]) -> list[Listed]:
    """The same, each with its whole: the receipt of a part that failed does not name it.

    A part that no catalogue has any more is known by its source, and by its id, which begins with
    that of the whole.
    """
    cut_from = {
        row.recording_id: row.original_id for row in listed if row.original_id != row.recording_id
    }
    of_source: dict[str, set[str]] = defaultdict(set)
    for row in listed:
        if row.source_id:
            of_source[row.source_id].add(cut_from.get(row.recording_id, row.original_id))
    for originals in of_source.values():
        for part in originals:
            wholes = [whole for whole in originals if part.startswith(f"{whole}_")]
            cut_from |= {part: min(wholes, key=len)} if wholes else {}
    return [
        replace(row, original_id=cut_from.get(row.recording_id, row.original_id)) for row in listed
    ]


def _rows_in(content: bytes) -> Iterator[dict[str, Any]]:
    """Rows of a JSON lines file; a line that is none is passed."""
    for line in content.split(b"\n"):
        try:
            row = json.loads(line) if line else None
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def _nothing_like(query: str, listed: Sequence[Listed]) -> str:
    from rapidfuzz import fuzz, process

    id_of = {
        name: row.recording_id
        for row in listed
        for name in (row.title, row.source_url, row.source_id, row.recording_id)
        if name
    }
    near = process.extract(
        query,
        [*id_of],
        scorer=fuzz.WRatio,
        processor=str.casefold,
        limit=NEAR_MATCHES,
        score_cutoff=NEAR_SCORE,
    )
    said = dict.fromkeys(
        id_of[name] if id_of[name] == name else f"{id_of[name]} ({name})" for name, _, _ in near
    )
    recordings = len({row.recording_id for row in listed})
    return (
        f"none of {recordings} recordings has {query!r} as its id, its source's id or its address"
        f"{'; similar are ' if said else ''}{', '.join(said)}"
    )


# Whose file it is


@dataclass(slots=True)
class _Findings:
    """What a walk has found of a source, as in `PurgePlan`."""

    store: Store
    source: Source
    files: dict[str, OwnFile] = field(default_factory=dict)
    aggregates: list[Aggregate] = field(default_factory=list)
    same_sound: set[str] = field(default_factory=set)
    left: dict[str, str] = field(default_factory=dict)
    scratch: list[OwnFile] = field(default_factory=list)

    def add(self, found: _Found) -> None:
        """Sort a file in.

        Raises:
            OSError: it cannot be read, or has gone.
            ValueError: it names the source and is not of the form that its ending says.
            PolarsError: likewise.
        """
        name, source = found.name, self.source
        if name.startswith(f"{SCRATCH}/"):
            self.scratch.append(_file(found.path, name))
        elif name.partition("/")[0] in NOT_OURS:
            if source.owns(name):
                self.left[name] = "others write that folder; take it out there"
        elif source.owns(name) or (_is_report(name) and _names_it(found, source)):
            self._add_own(found)
        elif _is_aggregate(self.store, found, source):
            self._add_aggregate(found)
        elif PurePosixPath(name).suffix in NOTES and _names_it(found, source):
            self.left[name] = "somebody wrote that file by hand, and it names the source"

    def _add_own(self, found: _Found) -> None:
        self.files[str(found.path)] = _file(found.path, found.name)

    def _add_aggregate(self, found: _Found) -> None:
        content = found.path.read_bytes()
        if found.name.rpartition("/")[2] in SHARED_SOUND:
            self.same_sound |= _same_sound(content, self.source)
        without = _without_source(content, found.name, self.source)
        if without is None:
            return
        if without.content is None:
            self._add_own(found)
        else:
            self.aggregates.append(without.aggregate)


def _file(path: UPath, name: str) -> OwnFile:
    return OwnFile(path, name, int(path.stat().st_size))


def _receipts_last(file: OwnFile) -> tuple[bool, str]:
    return file.name.endswith(RECEIPT), file.name


def _is_listing(name: str) -> bool:
    parts = name.split("/")
    return parts[-1] in LISTINGS or (parts[-2:-1] == [CHANNELS] and name.endswith(".jsonl"))


def _is_report(name: str) -> bool:
    """Pages that are made of the collection, and made again."""
    return "/" in name and not name.startswith(".") and PurePosixPath(name).suffix in REPORTS


def _names_it(found: _Found, source: Source) -> bool:
    """Whether a text names the source, and not only a recording of a longer id."""
    text = found.path.read_bytes().decode(errors="replace")
    ids = "|".join(map(re.escape, source.recording_ids))
    return any(source.owns(word[0]) for word in re.finditer(rf"(?:{ids})[\w-]*", text))


def _is_aggregate(store: Store, found: _Found, source: Source) -> bool:
    """Whether a file may hold rows of several recordings, and lies where it can be written."""
    name = found.name
    return (
        name.endswith((".jsonl", ".json", ".parquet"))
        and name != TOMBSTONES
        and not name.startswith(".")
        and source.owner_of(name) is None
        and str(store.path(name)) == str(found.path)
    )


def _of_scratch(files: Sequence[OwnFile], source: Source) -> tuple[list[OwnFile], bool]:
    """What killed runs left, and whether somebody may still be at work there.

    All of a folder in which one file is called after the source, since the original lies beside it
    under another name; and all that has been idle for an hour.
    """
    folders: dict[str, list[OwnFile]] = defaultdict(list)
    for file in files:
        if file.path.name != LOCK:
            folders["/".join(file.name.split("/")[:2])].append(file)
    gone: list[OwnFile] = []
    is_busy = False
    for inside in folders.values():
        if any(source.owns(file.name) for file in inside) or _is_idle(inside):
            gone += inside
        else:
            is_busy = True
    return gone, is_busy


def _is_idle(files: Iterable[OwnFile]) -> bool:
    try:
        return all(time.time() - file.path.stat().st_mtime > IDLE_S for file in files)
    except FileNotFoundError:
        return False


def _named_by_receipts(store: Store, files: Iterable[OwnFile]) -> list[OwnFile]:
    """Files that the source's receipts name, however they are called."""
    receipts = [_receipt(file.path) for file in files if file.name.endswith(RECEIPT)]
    named = {name: store.path(name) for one in receipts if one is not None for name in one.paths}
    return [_file(path, name) for name, path in named.items() if path.is_file()]


def _to_make_again(files: Sequence[OwnFile], aggregates: Sequence[Aggregate]) -> list[str]:
    names = [
        *(one.name for one in aggregates if one.name.rpartition("/")[2] in FIGURES_OF_ALL),
        *(file.name for file in files if _is_report(file.name)),
    ]
    return sorted({name.rpartition(".")[0] for name in names})


def _same_sound(content: bytes, source: Source) -> set[str]:
    """Other sources' recordings that matches say to hold some of the same performance."""
    found: set[str] = set()
    for row in _rows_in(content):
        fields = ("recording", "other", "recording_id", "duplicate_of")
        two = [str(row[field]).rpartition("/")[2] for field in fields if row.get(field)]
        if any(map(source.owns, two)):
            found |= {one for one in two if not source.owns(one)}
    return found


# Rows

_GONE = object()


@dataclass(frozen=True, slots=True)
class _Without:
    """An aggregate without the source; no content where all of it is the source's."""

    aggregate: Aggregate
    content: bytes | None


def _without_source(content: bytes, name: str, source: Source) -> _Without | None:
    """Take a source out of an aggregate; None where it is not in it.

    Raises:
        ValueError: it names the source and is not of the form that its ending says.
        PolarsError: likewise.
    """
    if name.endswith(".parquet"):
        return _table_without(content, name, source)
    if not source.is_named_in(content):
        return None
    if name.endswith(".jsonl"):
        return _lines_without(content, name, source)
    kept, removed = _without(json.loads(content), source)
    if not removed:
        return None
    return _Without(Aggregate(name, removed, 0), None if kept is _GONE else _document(kept))


def _lines_without(content: bytes, name: str, source: Source) -> _Without | None:
    """JSON lines: rows that name the source go; in a listing its rows stay, without their page.

    A line that is no JSON goes if it holds one of the ids, whatever it was.
    """
    lines: list[str] = []
    removed = changed = 0
    for line in content.decode().removesuffix("\n").split("\n"):
        if not any(id_ in line for id_ in source.recording_ids):
            lines.append(line)
            continue
        kept = _line_without(line, name, source)
        if kept is None:
            removed += 1
            continue
        changed += kept != line
        lines.append(kept)
    if not removed and not changed:
        return None
    without = "".join(f"{line}\n" for line in lines).encode()
    return _Without(Aggregate(name, removed, changed), without)


def _line_without(line: str, name: str, source: Source) -> str | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    kept = _without_page(row, source) if _is_listing(name) else _without(row, source)[0]
    if kept is _GONE:
        return None
    return line if kept == row else _json(kept)


def _without_page(row: Any, source: Source) -> Any:
    if not isinstance(row, dict) or not source.owns(str(row.get("recording_id"))):
        return row
    return {key: PAGE_FIELDS.get(key, value) for key, value in row.items()}


def _without(value: Any, source: Source) -> tuple[Any, int]:
    """A JSON value without what names the source, and how many entries went.

    An object goes with any of its plain fields; a list or a mapping only loses its entries.
    """
    if isinstance(value, str):
        return (_GONE, 1) if source.owns(value) else (value, 0)
    if isinstance(value, list):
        found = [_without(one, source) for one in value]
        return [kept for kept, _ in found if kept is not _GONE], sum(n for _, n in found)
    if not isinstance(value, dict):
        return value, 0
    if any(isinstance(field, str) and source.owns(field) for field in value.values()):
        return _GONE, 1
    kept: dict[str, Any] = {}
    removed = 0
    for key, one in value.items():
        without, gone = (_GONE, 1) if source.owns(key) else _without(one, source)
        removed += gone
        if without is not _GONE:
            kept[key] = without
    return kept, removed


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _document(value: object) -> bytes:
    """A JSON document as the collection writes them: a list's elements a line each."""
    if isinstance(value, list):
        body = ",\n".join(map(_json, value))
        return f"[\n{body}\n]\n".encode() if value else b"[]\n"
    return f"{json.dumps(value, ensure_ascii=False, indent=1)}\n".encode()


def _table_without(content: bytes, name: str, source: Source) -> _Without | None:
    """A table without rows that name the source, and without it in the lists of other rows."""
    table = pl.read_parquet(io.BytesIO(content))
    rows = lists = pl.repeat(False, table.height, eager=True)
    shortened: list[pl.Expr] = []
    for column in table.get_columns():
        is_list = column.dtype == pl.List(pl.String)
        if column.dtype != pl.String and not is_list:
            continue
        owned = _owned(column.explode() if is_list else column, source)
        if not owned:
            continue
        element = pl.element().is_in(owned)
        if is_list:
            lists |= column.list.eval(element).list.any().fill_null(value=False)
            shortened.append(pl.col(column.name).list.eval(pl.element().filter(~element)))
        else:
            rows |= column.is_in(owned).fill_null(value=False)
    aggregate = Aggregate(name, int(rows.sum()), int((lists & ~rows).sum()))
    if not aggregate.removed and not aggregate.changed:
        return None
    buffer = io.BytesIO()
    table.with_columns(shortened).filter(~rows).write_parquet(buffer)
    return _Without(aggregate, buffer.getvalue())


def _owned(values: pl.Series, source: Source) -> list[str]:
    some = values.drop_nulls().unique()
    near = some.filter(some.str.contains_any(list(source.recording_ids)))
    return [value for value in near.to_list() if source.owns(value)]
