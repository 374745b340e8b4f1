"""What a source says of one performer, in typed form, and how its mentions become one statement.

What belongs here: `Statement` and the merging of what one source says in several places. What does
not: comparing sources with each other (`competition.results`). Null means that the source does not
say; a source that names one prize names them all, so with it a null prize means none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from data_collection.competition.sources.errors import SourceError
from data_collection.competition.sources.people import fits, name_key
from data_collection.competition.sources.wording import (
    Stages,
    UnknownWordError,
    country_name,
    person_name,
    prize_number,
)

MOST_MENTIONS = 2000


class Statement(BaseModel):
    """What one source says of one performer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="name of the source")
    performer: str = Field(description="as the source writes it")
    country: str | None = Field(default=None, description="country or countries; null: not said")
    reached_stage: str | None = Field(
        default=None, description="last round reached; null: not said"
    )
    prize: int | None = Field(default=None, description="prize number; null: none, or not said")
    withdrew: bool = Field(default=False, description="admitted to a round but did not play in it")
    stages_performed: tuple[str, ...] | None = Field(
        default=None, description="ids of the rounds played; null: not said"
    )
    aliases: tuple[str, ...] = Field(default=(), description="other spellings by the same source")
    confidence: str | None = Field(default=None, description="sourced or recalled, in a roster")
    where: str = Field(description="where in the source it stands")


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where a source names a performer.

    Attributes:
        performer: cleaned name.
        where: place, for a person to find it.
        country: cleaned, or None.
        stage: id of a round that the performer reached, or None.
        prize: number, or None.
        withdrew: it says that the performer withdrew (from that round, where one is named).
        block: the table or page; two spellings in one block are two people.
    """

    performer: str
    where: str
    country: str | None = None
    stage: str | None = None
    prize: int | None = None
    withdrew: bool = False
    block: str = ""


@dataclass(frozen=True)
class Words:
    """How one source's words are read; errors name the source and where the word stands.

    Attributes:
        source: its name.
        stages: what it calls the rounds.
        prizes: what it calls the prizes, where stated.
        origin: address or file, and the kept answer, for messages.
    """

    source: str
    stages: Stages
    prizes: Mapping[str, int | None]
    origin: str = ""

    def at(self, origin: str) -> Words:
        """The same words, on another page."""
        return replace(self, origin=origin)

    def error(self, where: str, problem: object) -> SourceError:
        """An error at a place of the source."""
        return SourceError(f"source {self.source}, {self.origin}, {where}: {problem}")

    def name(self, raw: str, where: str) -> str:
        """Clean a name.

        Raises:
            SourceError: it is none.
        """
        try:
            return person_name(raw)
        except UnknownWordError as error:
            raise self.error(where, error) from error

    def stage(self, raw: str | None, where: str) -> str | None:
        """Id of a round; None where nothing is said.

        Raises:
            SourceError: the word is no round that is known.
        """
        words = (raw or "").strip(" -–—")
        if not words:
            return None
        found = self.stages.id_of(words) or self.stages.named_in(words)
        if found is None:
            raise self.error(
                where,
                f"{words[:60]!r} is no round of the edition "
                f"({', '.join(self.stages.round_ids)}); add it to the source's `stages`",
            )
        return found

    def prize(self, raw: str | None, where: str) -> int | None:
        """Number of a prize; None where there is none.

        Raises:
            SourceError: the word is no prize that is known.
        """
        try:
            return prize_number(raw or "", self.prizes)
        except UnknownWordError as error:
            raise self.error(where, f"{error}; add it to the source's `prizes`") from error

    def country(self, raw: str | None) -> str | None:
        """Clean a country."""
        return country_name(raw)


def merged(mentions: Sequence[Mention], words: Words) -> tuple[Statement, ...]:
    """Make one statement a performer of all mentions, in order of first mention.

    A performer reached the latest round that mentions him; a prize implies the last one.

    Raises:
        SourceError: nobody is mentioned, or the source contradicts itself.
    """
    if len(mentions) > MOST_MENTIONS:
        raise SourceError(
            f"source {words.source}, {words.origin}: {len(mentions)} names, more than any "
            "competition has; what is read is no list of competitors"
        )
    groups = _by_person(mentions)
    if not groups:
        raise SourceError(f"source {words.source}, {words.origin}: names nobody")
    return tuple(_statement(group, words) for group in groups)


def _by_person(mentions: Sequence[Mention]) -> list[list[Mention]]:
    """Group mentions: equal names, and one that fits exactly one person of other blocks."""
    groups: list[list[Mention]] = []
    known: dict[str, int] = {}
    for mention in mentions:
        key = name_key(mention.performer)
        at = known.get(key)
        if at is None:
            elsewhere = [
                number
                for number, group in enumerate(groups)
                if all(other.block != mention.block for other in group)
            ]
            spellings = [[other.performer for other in groups[number]] for number in elsewhere]
            person = fits([[mention.performer]], spellings)[0].person
            at = known[key] = len(groups) if person is None else elsewhere[person]
        if at == len(groups):
            groups.append([])
        groups[at].append(mention)
    return groups


def _statement(group: Sequence[Mention], words: Words) -> Statement:
    performer = group[0].performer
    prizes = {mention.prize: mention.where for mention in group if mention.prize is not None}
    if len(prizes) > 1:
        said = ", ".join(f"prize {prize} ({where})" for prize, where in prizes.items())
        raise words.error(group[0].where, f"{performer} has {said}: it contradicts itself")
    prize = next(iter(prizes), None)
    reached: str | None = None
    for mention in group:
        reached = words.stages.later(reached, mention.stage)
    last = words.stages.round_ids[-1]
    if prize is not None and reached not in (None, last):
        raise words.error(
            group[0].where, f"{performer} has prize {prize} but only reached {reached}"
        )
    reached = last if prize is not None else reached
    spellings = dict.fromkeys(mention.performer for mention in group)
    return Statement(
        source=words.source,
        performer=performer,
        country=next((mention.country for mention in group if mention.country), None),
        reached_stage=reached,
        prize=prize,
        withdrew=any(mention.withdrew for mention in group),
        stages_performed=_performed(group, reached, words.stages.round_ids),
        aliases=tuple(name for name in spellings if name != performer),
        where="; ".join(dict.fromkeys(mention.where for mention in group)),
    )


def _performed(
    group: Sequence[Mention], reached: str | None, round_ids: Sequence[str]
) -> tuple[str, ...] | None:
    """Rounds played, where the source says that one of them was not."""
    if reached is None or not any(mention.withdrew for mention in group):
        return None
    missed = {mention.stage or reached for mention in group if mention.withdrew}
    up_to = round_ids[: list(round_ids).index(reached) + 1]
    return tuple(stage for stage in up_to if stage not in missed)
