"""Who played a MAESTRO recording: the file names tell, each year in its own way.

What belongs here: the ten years' forms of names, the two recitals of 2017, and what a person
corrects by hand. What does not: anybody's name; the release has none. A name is two parts around
`--AUDIO`: the first names the MIDI file it was cut from (of a whole session, in some years), the
second the recording itself, whose number is right where the two contradict each other. It counts
the competitors of one year, so one number in two years is two people unless the file of overrides
says otherwise. A name of no known form gives nobody: one odd row stops no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data_collection.maestro.rows import MetadataRow, Performance
from data_collection.recordings.errors import CatalogueError

BUNDLED_OVERRIDES = Path(__file__).with_name("performers.yaml")

BOTH_PARTS_SAY = 0.99
ONE_PART_SAYS = 0.97
JOINED = 0.95
THE_PARTS_CONTRADICT = 0.9
"""Confidences: judgements, not measurements. They order the four cases."""

PERFORMER_ID = re.compile(r"\d{4}_(?:\d{2}|[1-9]\d{2})", re.ASCII)


class PerformerOverrideError(CatalogueError):
    """The file of overrides cannot be used; the message names the file, the entry and why."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How the file names of a year tell who played.

    Groups of either part: `number` of the competitor, `round`, `session` (a word for the round),
    `among` (the competitors of a session: a first and a last, or all of them).

    Attributes:
        midi: form of what stands before `--AUDIO`.
        audio: form of what stands after it.
        round_from_midi: whether the MIDI part's round is the right one where they contradict.
    """

    midi: re.Pattern[str]
    audio: re.Pattern[str]
    round_from_midi: bool = False


def _form(midi: str, audio: str, *, round_from_midi: bool = False) -> _Form:
    """A form; `#` is a digit, and every name may end with the number of a take."""
    number_and_round = r"(?P<number>##)_R(?P<round>[1-9])"
    midi, audio = (
        part.replace("NUMBER_ROUND", number_and_round).replace("#", r"\d") for part in (midi, audio)
    )
    return _Form(
        midi=re.compile(midi, re.ASCII),
        audio=re.compile(rf"{audio}(?:--\d+)?", re.ASCII | re.IGNORECASE),
        round_from_midi=round_from_midi,
    )


FORMS: Mapping[int, _Form] = {
    # Competitors 12 and 13 have the round as `01`. All nine recordings of competitor 20 have their
    # two rounds swapped in the AUDIO part: a Schubert sonata as R1 and a mixed recital as R2, where
    # the second round of the other eight was a Schubert sonata; the MIDI part has them right.
    2004: _form(
        r"MIDI-Unprocessed_(?:XP|SMF)_(?P<number>##)_[R0](?P<round>[1-9])_2004_##(?:-##)?_ORIG_MID",
        r"_NUMBER_ROUND_2004_##_Track##_wav",
        round_from_midi=True,
    ),
    2006: _form(
        r"MIDI-Unprocessed_NUMBER_ROUND_2006_##(?:-##)?_ORIG_MID",
        r"_NUMBER_ROUND_2006_(?:Disk#_)?##_Track##_wav",
    ),
    2008: _form(
        r"MIDI-Unprocessed_NUMBER_ROUND_2008_##(?:-##)?_ORIG_MID",
        r"_NUMBER_ROUND_2008_wav",
    ),
    2009: _form(
        r"MIDI-Unprocessed_NUMBER_ROUND_2009_##(?:-##)?_ORIG_MID",
        r"_NUMBER_ROUND_2009_(?P=number)_R(?P=round)_2009_##_WAV",
    ),
    # The recording's part has the round, a disc and a track, and nobody's number.
    2011: _form(
        r"MIDI-Unprocessed_NUMBER_ROUND_2011_MID",
        r"_R(?P<round>[1-9])-D#+_##_Track##_wav",
    ),
    # Session of the day and a date: 01_7_10_13.
    2013: _form(r"ORIG-MIDI_##_##?_##?_13_Group_+MID", r"_NUMBER_ROUND_2013_wav"),
    2014: _form(
        r"MIDI-UNPROCESSED_(?P<among>##(?:-##)*)_R(?P<round>[1-9])_2014_MID",
        r"_NUMBER_ROUND_2014_wav",
    ),
    2015: _form(
        r"MIDI-Unprocessed_R(?P<round>[1-9])_D#-(?P<among>##?(?:-##?)*)_mid",
        r"-from_mp3_NUMBER_ROUND_2015_wav",
    ),
    # A number of a recital, not of a competitor; the recording's part has a date and a place.
    2017: _form(
        r"MIDI-Unprocessed_(?P<number>###)_PIANO(?P=number)_MID",
        r"-split_##-##-17_Piano-e_#_?-##_wav",
    ),
    # The numbers of the Schubert and chamber sessions count the sessions' players.
    2018: _form(
        r"MIDI-Unprocessed_(?:(?P<session>Schubert|Chamber)##?(?:-##?)?"
        r"|Recital(?P<among>##?(?:-##?)?))_MID",
        r"_NUMBER_ROUND_2018_wav",
    ),
}

SESSION_ROUNDS = {"Schubert": 2, "Chamber": 3}

RECITALS_2017 = {1: range(41, 68), 2: range(70, 84)}
"""Numbers of the recitals of each round of 2017."""

FIRST_RECITAL_2017 = {
    70: 43, 71: 46, 72: 48, 73: 49, 74: 53, 75: 54, 78: 55, 79: 57, 80: 59, 81: 60, 82: 62, 83: 67,
}  # fmt: skip
"""Recital of the second round to the first-round recital of the same pianist."""


class SamePerson(BaseModel):
    """Performers of different years who are one person.

    Attributes:
        performer_ids: two or more; the first in order stands for all.
        confidence: 0 to 1.
        reason: how that is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    performer_ids: tuple[str, ...] = Field(min_length=2)
    confidence: float = Field(default=1.0, ge=0, le=1)
    reason: str = Field(min_length=1)

    @field_validator("performer_ids")
    @classmethod
    def _ids(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_checked_id(value) for value in values)


class RecordingOverride(BaseModel):
    """Who played one recording, whatever its name says.

    Attributes:
        audio_filename: as the metadata write it.
        performer_id: None where nobody can tell: the recording then makes no pair.
        round: counted from 1; None where unknown.
        confidence: 0 to 1.
        reason: how that is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    audio_filename: str = Field(min_length=1)
    performer_id: str | None
    round: int | None = Field(default=None, ge=1)
    confidence: float = Field(default=1.0, ge=0, le=1)
    reason: str = Field(min_length=1)

    @field_validator("performer_id", "round", mode="before")
    @classmethod
    def _null_is_none(cls, value: object) -> object:
        return None if value in ("", "null", "~") else value

    @field_validator("performer_id")
    @classmethod
    def _id(cls, value: str | None) -> str | None:
        return None if value is None else _checked_id(value)


class PerformerOverrides(BaseModel):
    """What a person knows beyond the file names.

    Attributes:
        people: who came back in another year.
        recordings: whose names mislead; applied before `people`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: tuple[SamePerson, ...] = ()
    recordings: tuple[RecordingOverride, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [id_ for person in self.people for id_ in person.performer_ids]
        names = [override.audio_filename for override in self.recordings]
        twice = sorted({value for value in ids + names if (ids + names).count(value) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands twice; write one entry for it")
        return self


def read_performer_overrides(path: Path = BUNDLED_OVERRIDES) -> PerformerOverrides:
    """Read a file of overrides; the bundled one shows its form.

    Raises:
        PerformerOverrideError: it is missing, no YAML, or not of that form.
    """
    try:
        # BaseLoader leaves scalars as text: YAML's own rules read 2008_03 as the number 200803.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    except OSError as error:
        raise PerformerOverrideError(f"performers {path}: cannot be read: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PerformerOverrideError(f"performers {path}: not YAML: {error}") from error
    try:
        return PerformerOverrides.model_validate(content or {})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()
        )
        raise PerformerOverrideError(f"performers {path}: {problems}") from error


def performers_of(
    rows: Iterable[MetadataRow], overrides: PerformerOverrides
) -> dict[str, Performance]:
    """Tell who played each recording.

    Args:
        rows: recordings; each is read on its own, so that others change nothing.
        overrides: what is known beyond the names; `PerformerOverrides()` for nothing.

    Returns:
        A performance by recording id, in the rows' order; `performer_id` is None where the name has
        no known form, with the reason as its evidence.
    """
    by_name = {override.audio_filename: override for override in overrides.recordings}
    by_id = {id_: person for person in overrides.people for id_ in person.performer_ids}
    found: dict[str, Performance] = {}
    for row in rows:
        override = by_name.get(row.audio_filename)
        performance = _overridden(override) if override else read_name(row.audio_filename, row.year)
        person = by_id.get(performance.performer_id or "")
        found[row.recording_id] = _as_one_person(performance, person) if person else performance
    return found


def unmet_overrides(rows: Iterable[MetadataRow], overrides: PerformerOverrides) -> tuple[str, ...]:
    """File names and performer ids of overrides that no row has: most likely typing errors."""
    rows = tuple(rows)
    names = {row.audio_filename for row in rows}
    only_recordings = overrides.model_copy(update={"people": ()})
    ids = {found.performer_id for found in performers_of(rows, only_recordings).values()}
    return (
        *(item.audio_filename for item in overrides.recordings if item.audio_filename not in names),
        *(id_ for item in overrides.people for id_ in item.performer_ids if id_ not in ids),
    )


def read_name(audio_filename: str, year: int) -> Performance:
    """Read who played from one file name.

    Args:
        audio_filename: such as `2008/MIDI-Unprocessed_03_R2_2008_….wav`.
        year: of the competition.
    """
    form = FORMS.get(year)
    if form is None:
        return _nobody(audio_filename, f"no form of file names is known for {year}")
    midi_part, _, audio_part = PurePosixPath(audio_filename).stem.partition("--AUDIO")
    midi, audio = form.midi.fullmatch(midi_part), form.audio.fullmatch(audio_part)
    if audio is None:
        return _nobody(audio_filename, f"what follows --AUDIO has no form of {year}")
    said_by_midi = midi.groupdict() if midi else {}
    said_by_audio = audio.groupdict()
    number = said_by_audio.get("number") or said_by_midi.get("number")
    if number is None or int(number) == 0:
        return _nobody(audio_filename, "no competitor's number in it")
    if year == 2017:
        return _recital_of_2017(audio_filename, int(number))
    audio_round = int(said_by_audio["round"])
    contradictions = tuple(_contradictions(said_by_midi, int(number), audio_round))
    both = {"number", "round"} <= said_by_midi.keys() & said_by_audio.keys()
    confidence = BOTH_PARTS_SAY if both else ONE_PART_SAYS
    return Performance(
        performer_id=_performer_id(year, int(number)),
        round=int(said_by_midi.get("round") or audio_round)
        if form.round_from_midi
        else audio_round,
        confidence=THE_PARTS_CONTRADICT if contradictions else confidence,
        evidence="; ".join((_read_from(midi_part, midi, audio_part, audio), *contradictions)),
    )


def _contradictions(
    said_by_midi: Mapping[str, str | None], number: int, round_: int
) -> Iterator[str]:
    """Where the MIDI part says something else than the AUDIO part."""
    other_number, other_round = said_by_midi.get("number"), said_by_midi.get("round")
    among = [int(part) for part in (said_by_midi.get("among") or "").split("-") if part]
    session = said_by_midi.get("session")
    if other_number is not None and int(other_number) != number:
        yield f"the MIDI part says {other_number}"
    if among and not among[0] <= number <= among[-1]:
        yield f"the MIDI part is of {said_by_midi['among']}"
    if other_round is not None and int(other_round) != round_:
        yield f"the MIDI part says round {other_round}"
    if session is not None and SESSION_ROUNDS[session] != round_:
        yield f"the MIDI part is of the {session} session, round {SESSION_ROUNDS[session]}"


def _read_from(
    midi_part: str, midi: re.Match[str] | None, audio_part: str, audio: re.Match[str]
) -> str:
    """The stretch of the name that number and round were read from."""
    if "number" in audio.groupdict() or midi is None:
        return f"AUDIO{audio_part[: audio.end('round')]}"
    return f"{midi_part[: midi.end('round')]}, AUDIO{audio_part[: audio.end('round')]}"


def _recital_of_2017(audio_filename: str, recital: int) -> Performance:
    """Who played a recital of 2017, where the numbers count recitals and not competitors.

    A recital of the second round that is in no list is somebody's second number: taken for a person
    of its own, it would pair that pianist with themselves.
    """
    round_ = next((round_ for round_, all_ in RECITALS_2017.items() if recital in all_), None)
    if round_ is None:
        return _nobody(audio_filename, f"recital {recital} of 2017 is of no known round")
    first = recital if round_ == 1 else FIRST_RECITAL_2017.get(recital)
    if first is None:
        return _nobody(
            audio_filename, f"whose second recital {recital} of 2017 is, is not known", round_
        )
    evidence = f"PIANO{recital:03d}"
    joined = f"{evidence}, second recital of PIANO{first:03d}"
    return Performance(
        performer_id=_performer_id(2017, first),
        round=round_,
        confidence=ONE_PART_SAYS if first == recital else JOINED,
        evidence=evidence if first == recital else joined,
    )


def _nobody(audio_filename: str, because: str, round_: int | None = None) -> Performance:
    return Performance(
        performer_id=None, round=round_, confidence=0.0, evidence=f"{audio_filename}: {because}"
    )


def _overridden(override: RecordingOverride) -> Performance:
    return Performance(
        performer_id=override.performer_id,
        round=override.round,
        confidence=0.0 if override.performer_id is None else override.confidence,
        evidence=f"override: {override.reason}",
    )


def _as_one_person(performance: Performance, person: SamePerson) -> Performance:
    first = min(person.performer_ids, key=_year_and_number)
    if performance.performer_id == first:
        return performance
    return performance.model_copy(
        update={
            "performer_id": first,
            "confidence": min(performance.confidence, person.confidence),
            "evidence": f"{performance.evidence}; the same person as {first}: {person.reason}",
        }
    )


def _performer_id(year: int, number: int) -> str:
    return f"{year}_{number:02d}"


def _year_and_number(performer_id: str) -> tuple[int, int]:
    year, _, number = performer_id.partition("_")
    return int(year), int(number)


def _checked_id(value: str) -> str:
    if not PERFORMER_ID.fullmatch(value):
        raise ValueError(f"{value!r} is no performer id such as 2008_03 (year and number)")
    return value
