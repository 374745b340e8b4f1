"""Which works a title of the release means: composer and title to pieces, with what was read.

What belongs here: composers and arrangers, the release's own spellings, known errors, works that
only the release names. What does not: wordings of works in general (`repertoire`), and which parts
of a work a recording holds (`movements`, `works`). The composer's column is believed over the
title, an arranger is part of the composer, and a title in doubt means no piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from data_collection.maestro.rows import Certainty
from data_collection.recordings.errors import SetupError
from data_collection.repertoire.catalogue import catalogue, phrase
from data_collection.repertoire.letters import plain
from data_collection.repertoire.pieces import Piece
from data_collection.repertoire.reading import Reading, read_wording
from data_collection.repertoire.words import COMPOSERS

FOLDER = Path(__file__).parent
KNOWN_ERRORS = FOLDER / "works_known_errors.yaml"
NAMED = FOLDER / "works_named.yaml"

T = TypeVar("T")
STATED, NAMED_ONLY = 0.98, 0.9
_COUNTED_BY_THEMSELVES = frozenset({"liszt", "mozart"})
"""Whose arrangements and variations their own catalogue counts: S. 558, K. 179."""
_ARRANGED = re.compile(r",?\s*\(?\barr(?:\.|angement|anged)?\s+(?:by\s+)?([\w .]+?)\)?\s*$", re.I)
_SUITE = r"(?:English Suite|French Suite|Partita)\b"
_OPENING = r"(Prelude|Toccata|Sinfonia)"
_RESPELT: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"(?<=[a-z])(?=[A-Z][a-z])", " "),
        (r"\bSon\.\s", "Sonata "),
        (r"\bWTK", "WTC "),
        (r",?\s*Missing Opening!*(?=,|$)", ""),
        (rf"^{_OPENING} from (?:the )?({_SUITE}.*)", r"\2, I. \1"),
        (rf"({_SUITE}.*), {_OPENING}$", r"\1, I. \2"),
        (r"\((?:\d+(?:st|nd|rd|th)|\w+) [Ee]dition\)", ""),
    )
)
"""How the release writes what the repertoire reads otherwise."""
_SELECTION = re.compile(r"\bselections?\b", re.I)
_COMPLETE = re.compile(r"\(\s*complete\s*\)|^\s*complete\b", re.I)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Becomes(_Strict):
    composer: str | None = None
    title: str | None = None


class KnownError(_Strict):
    """A title that says something wrong, and what is meant."""

    composer: str
    title: str
    becomes: _Becomes | None = None
    reason: str = Field(min_length=10)
    confidence: float = Field(default=0.9, gt=0, le=1)


class _KnownErrors(_Strict):
    errors: tuple[KnownError, ...]


@dataclass(frozen=True)
class TitleReading:
    """What a title was read as.

    Attributes:
        pieces: the works in the title's order; none where it is in doubt.
        doubt: why there are none.
        candidates: works it may mean where it is in doubt.
        complete: whether it says that all of the work is played.
        certainty: `stated`, or `corrected` by the list of known errors.
        confidence: 0 to 1.
        evidence: what was read.
    """

    pieces: tuple[Piece, ...] = ()
    doubt: str = ""
    candidates: tuple[Piece, ...] = ()
    complete: bool = False
    certainty: Certainty = "stated"
    confidence: float = STATED
    evidence: str = ""


@dataclass(frozen=True)
class TitleReader:
    """Reads titles with the release's known errors and names.

    Attributes:
        errors: what is wrong, by composer and title as released.
        named: names of a composer's works as folded words, the longest first, and their keys.
    """

    errors: Mapping[tuple[str, str], KnownError]
    named: Mapping[str, Sequence[tuple[tuple[str, ...], str]]]

    def read(self, composer: str, title: str) -> TitleReading:
        """Read a title.

        Args:
            composer: such as `Franz Schubert / Franz Liszt`, as released.
            title: as released.
        """
        error = self.errors.get((composer, title))
        if error is None:
            return self._believed(composer, title)
        becomes = error.becomes or _Becomes()
        read = self._believed(becomes.composer or composer, becomes.title or title)
        return replace(
            read,
            certainty="corrected" if error.becomes else "stated",
            confidence=min(error.confidence, read.confidence),
            evidence=f"{read.evidence}; {error.reason}",
        )

    def _believed(self, composer: str, title: str) -> TitleReading:
        slug, title = _arranged(composer, title)
        wording = respelt(title)
        if _SELECTION.search(wording):
            return TitleReading(doubt="a selection, and not which", evidence=repr(title))
        wording = wording.replace("(Complete)", "").strip()
        complete = bool(_COMPLETE.search(title))
        reading = _by_repertoire(slug, wording)
        if reading.pieces:
            return TitleReading(reading.pieces, complete=complete, evidence=f"{title!r} by {slug}")
        named = self._named_in(slug, wording, reading.movements)
        if named:
            return TitleReading(
                named, complete=complete, confidence=NAMED_ONLY,
                evidence=f"{title!r} by {slug}, known by that name",
            )  # fmt: skip
        return TitleReading(
            doubt=reading.because, candidates=reading.candidates, evidence=f"{title!r} by {slug}"
        )

    def _named_in(self, slug: str, wording: str, movements: Sequence[int]) -> tuple[Piece, ...]:
        """Find named works in the order of their names; a name within a longer one counts not."""
        words = phrase(wording)
        found: dict[int, str] = {}
        taken: set[int] = set()
        for name, key in self.named.get(slug, ()):
            for at in range(len(words) - len(name) + 1):
                span = range(at, at + len(name))
                if words[at : at + len(name)] == name and not taken.intersection(span):
                    taken.update(span)
                    found[at] = key
        keys = list(dict.fromkeys(found[at] for at in sorted(found)))
        return tuple(_named_piece(slug, key, movements, wording) for key in keys)


def _named_piece(slug: str, key: str, movements: Sequence[int], title: str) -> Piece:
    work, _, movement = key.partition("/")
    if not movement and movements:
        first, last = min(movements), max(movements)
        movement = str(first) if first == last else f"{first}-{last}"
    return Piece(composer=slug, work=work, movement=movement or None, title=title)


def composer_of(composer: str) -> str:
    """Give the slug of a composer's column: `bach-busoni` of `Johann … Bach / Ferruccio Busoni`.

    Liszt's and Mozart's own catalogues count what they made of others' music, so it is theirs.
    """
    people = [_person(part) for part in composer.split("/") if phrase(part)]
    if not people:
        return "anonymous"
    own = people[-1] in _COUNTED_BY_THEMSELVES
    return people[-1] if own else "-".join(dict.fromkeys(people))


def _person(name: str) -> str:
    words = re.findall(r"[a-z]+", plain(name).lower())
    known = [COMPOSERS[word] for word in words if word in COMPOSERS]
    return known[-1] if known else words[-1] if words else "anonymous"


def _arranged(composer: str, title: str) -> tuple[str, str]:
    """Give slug and title, an arranger that the title names being moved to the composer."""
    found = _ARRANGED.search(title)
    if found:
        return composer_of(f"{composer} / {found[1]}"), title[: found.start()]
    return composer_of(composer), title


def respelt(title: str) -> str:
    """Write a title of the release as titles are written elsewhere."""
    for pattern, spelling in _RESPELT:
        title = pattern.sub(spelling, title)
    return " ".join(title.split())


def _by_repertoire(slug: str, wording: str) -> Reading:
    """Read a wording as a work of this composer only.

    An arrangement that the tables lack is that of the arranged work: `liszt-horowitz:s244-no15`.
    """
    reading = _of_composer(slug, wording)
    original = slug.partition("-")[0]
    if reading.pieces or original == slug or not catalogue().knows(original):
        return reading
    arranged = _of_composer(original, wording)
    pieces = tuple(piece.model_copy(update={"composer": slug}) for piece in arranged.pieces)
    return Reading(pieces=pieces) if pieces else reading


def _of_composer(slug: str, wording: str) -> Reading:
    reading = read_wording(wording, default_composer=slug)
    strangers = [piece for piece in reading.pieces if piece.composer != slug]
    if strangers:
        return Reading(because=f"{strangers[0].title} is not by {slug}")
    own = tuple(piece for piece in reading.candidates if piece.composer == slug)
    return Reading(
        pieces=reading.pieces, because=reading.because, candidates=own, movements=reading.movements
    )


@lru_cache(maxsize=1)
def title_reader() -> TitleReader:
    """Give the reader of the bundled files.

    Raises:
        SetupError: one of them is damaged.
    """
    listed = read_data(KNOWN_ERRORS, _KnownErrors.model_validate).errors
    adapter = TypeAdapter(dict[str, dict[str, tuple[str, ...]]])
    names = read_data(NAMED, adapter.validate_python)
    return TitleReader(
        errors={(error.composer, error.title): error for error in listed},
        named={
            slug: sorted(
                ((phrase(name), key) for key, known in works.items() for name in known),
                key=lambda entry: -len(entry[0]),
            )
            for slug, works in names.items()
        },
    )


def read_data(path: Path, validate: Callable[[Any], T]) -> T:
    """Read a bundled YAML file.

    Raises:
        SetupError: it cannot be read or is not of its form.
    """
    try:
        return validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError, ValueError) as error:
        raise SetupError("bad_works_file", f"{path}: {error}; restore it") from error
