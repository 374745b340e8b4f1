"""How many titles of recitals are read right, and how many of anything else are taken.

`python benchmarks/titles.py [--json]`: the bundled editions' rosters, and forms of titles as the
channels write them: names in capitals, reversed, without accents; rounds in two languages with a
typing error; pieces; a dropped bracket. The parser was not tuned on this file.
"""

from __future__ import annotations

import json
import random
import sys
import unicodedata
from collections.abc import Iterator

from data_collection.competition.editions import BUNDLED_EDITIONS, Edition, Round, read_edition
from data_collection.competition.roster import Competitor
from data_collection.competition.titles import TitleMatch, TitleParser

SEED = 20261122
EACH = 2
SUFFIXES = {
    "chopin2015": ("17th Chopin Competition, Warsaw", "Chopin Competition 2015"),
    "chopin2021": ("18th Chopin Competition, Warsaw",),
    "chopin2025": ("19th Chopin Competition, Warsaw",),
    "cliburn2022": (
        "2022 Cliburn Competition", "Sixteenth Van Cliburn International Piano Competition",
        "Cliburn 2022",
    ),
}  # fmt: skip
WORDS = {
    "stage1": ("first stage", "first round", "I etap", "1st stage", "stage I"),
    "stage2": ("second stage", "II etap", "2nd stage", "second round"),
    "stage3": ("third stage", "third round", "III etap", "3rd stage"),
    "preliminary": ("Preliminary Round", "Preliminary Round Recital", "preliminary round"),
    "quarterfinal": ("Quarterfinal Round", "Quarterfinal Round Recital", "Quarterfinals"),
    "semifinal": ("Semifinal Round", "Semifinal Round Recital", "Semifinals"),
    "final": ("final round", "Final", "Finals", "final stage"),
}
CHOPIN = (
    "Etude in C minor, Op. 10 No. 12", "Ballade in G minor, Op. 23", "Mazurkas Op. 59",
    "Nocturne in B major Op. 62 No. 1", "Polonaise in A flat major, Op. 53", "24 Preludes, Op. 28",
    "Sonata in B flat minor Op. 35", "Scherzo in E major, Op. 54", "Fantasy in F minor, Op. 49",
    "Andante spianato and Grand Polonaise Op. 22", "Barcarolle in F sharp major Op. 60",
    "Rondo à la mazur in F major, Op. 5", "Variations in B flat major Op. 12",
    "Polonaise-Fantasy in A flat major Op. 61", "Impromptu in G flat major, Op. 51",
    "Berceuse in D flat major Op. 57", "Tarantella in A flat major, Op. 43",
)  # fmt: skip
OTHERS = (
    "HAYDN Sonata in C Major, Hob. XVI:50", "LISZT Transcendental Etudes, S. 139",
    "BEETHOVEN Sonata No. 29 in B-flat Major, op. 106 (“Hammerklavier”)", "LIGETI Etudes",
    "PROKOFIEV Sonata No. 7 in B-flat Major, op. 83", "BACH Partita No. 4 in D Major, BWV 828",
    "RAVEL Gaspard de la nuit", "SCHUMANN Kreisleriana, op. 16", "BARTÓK Out of Doors",
    "BRAHMS Variations on a Theme by Paganini, op. 35", "FRANCK Prelude, Chorale, and Fugue",
    "STRAVINSKY Three Movements from Petrushka", "MUSSORGSKY Pictures at an Exhibition",
    "MESSIAEN Vingt regards sur l’Enfant-Jésus", "MEDTNER Sonata reminiscenza",
    "SCHUBERT Sonata in A Major, D. 959", "ALBÉNIZ Iberia, Book 1", "GINASTERA Sonata No. 1",
)  # fmt: skip
RECITALS = (
    "{name} – {round} ({suffix})", "{name} - {round} ({suffix})", "{name} – {round} {suffix}",
    "{name} {round} ({suffix})", "{name} – {round} ({suffix}", "{name} | {round} | {suffix}",
    "{name} – {piece} ({round}) – {suffix}", "{name} – {piece} – {round} ({suffix})",
    "{name} ({country}) – {round} ({suffix})", "{name} – {slip} ({suffix})",
    "{name}: {round}. {suffix}", "{suffix}: {name}, {round}", "{name}  –  {ROUND}  ({SUFFIX})",
)  # fmt: skip
ANYTHING_ELSE = (
    "{name} – portrait ({suffix})", "{name}: interview after the {round} ({suffix})",
    "{name} – behind the scenes, {round} ({suffix})", "{round}, session 3 ({suffix})",
    "Morning session – {round} ({suffix})", "{round} – results announcement ({suffix})",
    "{name} and {other} – {round} ({suffix})", "{name} – winner's concert ({suffix})",
    "Talk: {name} before the {round} ({suffix})", "{name} – gala concert, {suffix}",
    "Meet the competitors: {name} ({suffix})", "{name} practising for the {round} ({suffix})",
    "{name} – {round} (16th Chopin Competition, Warsaw)", "{family} – {round} ({suffix})",
    "{name} – {round}, Leeds International Piano Competition", "News: {name} in the {round}",
    "{name} – encore after the {round} ({suffix})", "{name} talks about the {round} ({suffix})",
    "Masterclass with {name} ({suffix})", "{name} – press conference, {round} ({suffix})",
    "Who is {name}? {round} ({suffix})", "{name} receives the prize – {round} ({suffix})",
    "The jury on {name} – {round} ({suffix})", "{name} at the airport ({suffix})",
    "{name} – rehearsal, {round} ({suffix})", "Top 10 moments of the {round} ({suffix})",
    "{round}, day 4: {name}, {other} ({suffix})", "{name} – {round} – trailer ({suffix})",
    "Marta Nowak – {round} ({suffix})", "{name}'s teacher – {round} ({suffix})",
    "{name} – drawing of lots ({suffix})", "{name} recital in Tokyo after the {suffix}",
)  # fmt: skip


def spellings(name: str) -> Iterator[str]:
    """Ways in which a channel writes a name."""
    plain = name.replace("(", "").replace(")", "")
    given, family = plain.rsplit(" ", 1)
    letters = unicodedata.normalize("NFD", name)
    yield from (name, name.upper(), plain, f"{family.upper()} {given}", f"{given} {family.upper()}")
    yield "".join(c for c in letters if not unicodedata.combining(c)).replace("ł", "l")


def misspelt(text: str, chance: random.Random) -> str:
    """A phrase with a letter lost or two swapped in its longest word."""
    words = text.split()
    longest = max(range(len(words)), key=lambda at: len(words[at]))
    word = words[longest]
    at = chance.randrange(1, len(word) - 1)
    lost, swapped = (
        word[:at] + word[at + 1 :],
        f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}",
    )
    words[longest] = chance.choice([lost, swapped])
    return " ".join(words)


def title(
    form: str, edition: Edition, round_: Round, competitor: Competitor, chance: random.Random
) -> str:
    """One title of a form."""
    suffix, words = chance.choice(SUFFIXES[edition.id]), chance.choice(WORDS[round_.id])
    people = [other.performer for other in edition.roster() if other != competitor]
    concerto = "Piano Concerto in E minor, Op. 11"
    piece = concerto if not round_.solo else chance.choice(CHOPIN if edition.composer else OTHERS)
    return form.format(
        name=chance.choice([*spellings(competitor.performer)]),
        family=competitor.performer.split()[-1],
        other=chance.choice(people),
        country=(competitor.country or "Poland").split("/")[0],
        round=words,
        ROUND=words.upper(),
        slip=misspelt(words, chance),
        suffix=suffix,
        SUFFIX=suffix.upper(),
        piece=piece,
    )


def measure(edition: Edition) -> dict[str, int | float]:
    """Counts of one edition."""
    chance = random.Random(f"{SEED} {edition.id}")  # noqa: S311 - no secret
    roster = edition.roster()
    parser = TitleParser.for_edition(edition, roster)
    counts = {"recitals": 0, "right": 0, "wrong": 0, "others": 0, "others_taken": 0}
    for competitor in roster:
        for round_ in edition.rounds:
            if not competitor.performed_in(round_.id, edition.round_ids):
                continue
            for _ in range(EACH):
                written = title(chance.choice(RECITALS), edition, round_, competitor, chance)
                match = parser.parse(written)
                counts["recitals"] += 1
                if isinstance(match, TitleMatch):
                    is_right = (match.performer, match.round_id) == (
                        competitor.performer,
                        round_.id,
                    )
                    counts["right" if is_right else "wrong"] += 1
    for form in ANYTHING_ELSE:
        for round_ in edition.rounds:
            written = title(form, edition, round_, chance.choice(roster), chance)
            counts["others"] += 1
            counts["others_taken"] += isinstance(parser.parse(written), TitleMatch)
    return counts


def main() -> None:
    """Print a row an edition, or all of them as one line of JSON."""
    editions = [read_edition(BUNDLED_EDITIONS / f"{name}.yaml") for name in SUFFIXES]
    counts = {edition.id: measure(edition) for edition in editions}
    total = {name: sum(row[name] for row in counts.values()) for name in counts["chopin2021"]}
    found = {
        "recall": total["right"] / total["recitals"],
        "precision": total["right"] / (total["right"] + total["wrong"]),
        "others_rejected": 1 - total["others_taken"] / total["others"],
    }
    if "--json" in sys.argv:
        print(json.dumps({**total, **found}))
        return
    for name, row in counts.items():
        print(name, *(f"{what} {count}" for what, count in row.items()))
    print("all", *(f"{what} {count}" for what, count in {**total, **found}.items()))


if __name__ == "__main__":
    main()
