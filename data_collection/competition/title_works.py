"""Works in a title that its words alone do not explain: the repertoire is asked, or the form tells.

What belongs here: when a stretch such as `GIVEN SURNAME Name of the Work` is a work and no person,
news or occasion, and whose version is played. What does not: the words of music (`title_music`) and
pieces that they spell out (`title_pieces`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import takewhile

from data_collection.competition.names import word_set
from data_collection.competition.title_details import Line
from data_collection.competition.title_grammar import KNOWN_WORDS, ordinal
from data_collection.competition.title_music import (
    COMPOSERS,
    GENRES,
    GIVEN_NAMES,
    KEYS,
    MODES,
    NAMES_TOO,
    PIECE_WORDS,
)
from data_collection.competition.title_pieces import (
    CATALOGUES,
    COUNTING,
    EVENT_WORDS,
    MUSIC_WORDS,
    PIECE_CONNECTORS,
    catalogued,
    joins_somebody,
)
from data_collection.competition.title_words import (
    CARDINALS,
    COMPETITION_WORDS,
    CONDUCTOR_WORDS,
    FILLERS,
    ORCHESTRA_WORDS,
    PLAYING_WORDS,
    PROSE_WORDS,
)

SMALL_WORDS = word_set(
    "for of the in on from to with and an at over under by upon after without "
    "sur pour dans en au aux et sous sans une un des les du da de d l der die das dem den und auf "
    "mit im von zu per nel nella sulla su con y e ed los las el del di della le la il i z na w"
)
"""They stand in lower case within the names of works."""
ARTICLES = word_set("la le les a")
CREDIT_WORDS = word_set(
    "arr arranged arrangement transc transcr trans transcribed transcription cadenza cadenzas "
    "kadenz kadenzen ed edited completed orch opr oprac bearb"
)
CREDITED_PERSON = 3
"""A credit names somebody in so many words at most."""
LEAST_LETTERS = 3
_VOWELS = frozenset("aeiouy")


def versions(line: Line, free: Set[int]) -> frozenset[int]:
    """Positions of `(arr. Jane Roe)`, `with cadenzas by Jane Roe`: whose version is played."""
    found: set[int] = set()
    for at in sorted(free):
        if line.words[at] not in CREDIT_WORDS:
            continue
        after = at + 1
        while after in free and line.words[after] in {"by", "of", "von", "par", "and", "&"}:
            after += 1
        named = list(_credited(line, free, after))
        if named:
            before = at - 1
            with_it = before in free and line.words[before] in {"with", "in", "z", "mit"}
            found |= {*range(at - with_it, after), *named}
    return frozenset(found)


def _credited(line: Line, free: Set[int], start: int) -> Iterator[int]:
    for at in range(start, min(start + CREDITED_PERSON, len(line.tokens))):
        parted = at > start and line.tokens[at].segment != line.tokens[at - 1].segment
        barred = (
            line.people | PROSE_WORDS | EVENT_WORDS | COMPETITION_WORDS | MUSIC_WORDS - COMPOSERS
        )
        if at not in free or parted or not line.raw(at)[0].isupper() or line.words[at] in barred:
            return
        yield at


def works_of_repertoire(
    line: Line, free: Set[int], left: Set[int], composer: str | None
) -> list[range]:
    """Find stretches with a word in `left` that the repertoire reads as works to the last word.

    Args:
        line: the title.
        free: positions that a piece may take.
        left: those among them that nothing explains.
        composer: slug of whose works are meant where nobody is named.
    """
    stretches = [*_stretches(line, free), *_stretches(line, free, by_segment=True)]
    found: list[range] = []
    for stretch in stretches:
        taken = {at for known in found for at in known}
        if left - taken & set(stretch) and _is_read(line, stretch, left, composer):
            found.append(stretch)
    return found


def _stretches(line: Line, free: Set[int], *, by_segment: bool = False) -> list[range]:
    """Group positions that stand together, up to a dash, and to a bracket if asked."""
    runs: list[list[int]] = []
    for at in sorted(free):
        token = line.tokens[at]
        apart = token.after_break and line.gap(at) != "/"
        parted = apart or (by_segment and token.segment != line.tokens[at - 1].segment)
        if runs and runs[-1][-1] == at - 1 and not parted:
            runs[-1].append(at)
        else:
            runs.append([at])
    return [range(run[0], run[-1] + 1) for run in runs]


def _is_read(line: Line, stretch: range, left: Set[int], composer: str | None) -> bool:
    """Whether the repertoire knows the works and no word of the stretch can be a person's name."""
    from data_collection.repertoire.reading import read_wording  # its tables are opened when asked

    if not all(at not in left or _may_be_music(line, at) for at in stretch) or _goes_on(
        line, stretch
    ):
        return False
    credited = versions(line, set(stretch))
    text = "".join(
        (" " if at - 1 in credited else line.gap(at)) + line.raw(at)
        for at in stretch
        if at not in credited
    )
    reading = read_wording(text, default_composer=composer)
    allowed = MUSIC_WORDS | {line.words[at] for at in stretch if at not in left}
    return bool(reading.pieces) and allowed.issuperset(reading.unexplained)


def _goes_on(line: Line, stretch: range) -> bool:
    """Whether it is a part of more: `on Chopin's Sonata`, `Chopin Piano` before `Competition`."""
    contest = COMPETITION_WORDS - {"piano"}
    before = line.words[stretch[0] - 1] if stretch[0] else ""
    named = before in contest and not line.tokens[stretch[0]].after_break
    after = takewhile(
        lambda token: token.word in COMPETITION_WORDS and not token.after_break,
        line.tokens[stretch[-1] + 1 :],
    )
    goes_on = line.words[stretch[0]] in PIECE_CONNECTORS - ARTICLES
    return goes_on or named or any(token.word in contest for token in after)


def _may_be_music(line: Line, at: int) -> bool:
    """Whether a word may be music at all; the repertoire forgives short words and given names."""
    from data_collection.repertoire.catalogue import catalogue

    word = line.words[at]
    if word in line.people | EVENT_WORDS | PLAYING_WORDS or line.tokens[at].tagged:
        return False
    if word in MUSIC_WORDS | PIECE_CONNECTORS | KEYS | MODES or word[0].isdigit():
        return True
    if word in GIVEN_NAMES:
        after = line.words[at + 1] if at + 1 < len(line.words) else ""
        return after in COMPOSERS | GIVEN_NAMES
    if len(word) < LEAST_LETTERS:
        numeral = line.raw(at).isupper() and ordinal(word) is not None
        return numeral or len(word) == 1 or line.raw(at).islower()
    # `Franke` is nobody's misspelt Franck.
    return catalogue().speller.correct(word) not in COMPOSERS


def works_by_form(line: Line, free: Set[int], left: Set[int], own_words: Set[str]) -> list[range]:
    """Find `ART TATUM Tea for Two`, `JANE ROE Six Dances` and `Jane Roe: Toccata, Op. 3`.

    In a segment of its own, the composer stands in capitals or before a colon, and the work
    is capitalised, with a sign that it is no name: a word of music, a work's number, or a composer
    who is known. Prose, occasions and other players have none of it; `JANE ROE Night and Day`
    may be one of them. Only where anybody may be the composer and the title leaves no doubt
    otherwise.

    Args:
        line: the title.
        free: positions that a piece may take.
        left: those among them that nothing explains.
        own_words: what the edition calls itself and where it is held.
    """
    if line.text.upper() == line.text:
        return []
    form = _Form(line, free, own_words)
    by_colon = [run for run in form.composers_before_colons() if left & set(run)]
    stretches = [run for run in _stretches(line, free) if left & set(run)]
    return [run for run in stretches if form.is_work(run)] + by_colon


class _Form:
    """A title looked at for the form of its segments."""

    def __init__(self, line: Line, free: Set[int], own_words: Set[str]) -> None:
        self._line = line
        self._free = free
        self._numbers = catalogued(line.tokens)
        self._barred = (
            line.people | own_words | PROSE_WORDS | EVENT_WORDS | CONDUCTOR_WORDS | ORCHESTRA_WORDS
            | COMPETITION_WORDS | PLAYING_WORDS | (KNOWN_WORDS - MUSIC_WORDS - CARDINALS.keys())
        ) - PIECE_WORDS - SMALL_WORDS - FILLERS  # fmt: skip

    def is_work(self, run: range) -> bool:
        """Whether a stretch is a composer in capitals and a work."""
        line = self._line
        if not self._stands_alone(run):
            return False
        capitals = self._capitals(run)
        work = range(run[0] + capitals, run[-1] + 1)
        if not capitals or not work:
            return False
        composer = range(run[0], work[0])
        # `BRITTEN Holiday Diary, op. 5` is no talk: it has a number.
        free = (
            PROSE_WORDS if self._is_known(composer) and self._is_catalogued(work) else frozenset()
        )
        if any(self._is_barred(at) and line.words[at] not in free for at in run):
            return False
        if any(joins_somebody(line.tokens, line.text, at) for at in run):
            return False
        if line.raw(work[0])[0].islower():
            return False
        if self._is_known(composer) or line.words[work[0]] in GENRES:
            return not any(self._is_prose(at) for at in work)
        return self._is_titled(work) and self._is_no_name(composer, work)

    def composers_before_colons(self) -> Iterator[range]:
        """Find `Jane Roe:` at the start of a segment, before a genre or a work's number."""
        line = self._line
        for run in _stretches(line, self._free):
            after = run[-1] + 1
            colon = line.text[line.tokens[run[-1]].end :][:1] == ":"
            begins = not run[0] or line.tokens[run[0]].after_break
            if not (colon and begins and len(run) <= CREDITED_PERSON and after in self._free):
                continue
            follows = next(s for s in _stretches(line, self._free) if s[0] == after)
            named = all(
                line.raw(at)[0].isupper() and not self._is_barred(at) and at not in self._numbers
                for at in run
            )
            if named and self._has_music(follows):
                yield run

    def _stands_alone(self, run: range) -> bool:
        line = self._line
        first, after = line.tokens[run[0]], run[-1] + 1
        begins = not run[0] or first.after_break or line.gap(run[0]).strip().endswith(("(", "["))
        ends = (
            after >= len(line.tokens)
            or line.tokens[after].after_break
            or line.tokens[after].segment != line.tokens[run[-1]].segment
        )
        return begins and ends

    def _capitals(self, run: range) -> int:
        """Count the words of the composer, one of them of three letters at least."""
        raw = [self._line.raw(at) for at in run]
        count = next((i for i, word in enumerate(raw) if not _is_capitals(word)), len(raw))
        # `A` of `A Film` and `I` of `I. Allegro` belong to what follows.
        while count and len(raw[count - 1]) == 1 and raw[count - 1] in "AI":
            count -= 1
        longest = max((len(word) for word in raw[:count]), default=0)
        small = FILLERS | SMALL_WORDS
        sound = not any(self._line.words[at] in small for at in run[:count])
        return count if sound and longest >= LEAST_LETTERS else 0

    def _is_barred(self, at: int) -> bool:
        word = self._line.words[at]
        return word in self._barred or self._line.tokens[at].tagged

    def _is_titled(self, work: Sequence[int]) -> bool:
        """Whether a work's words are capitalised, small words and words of music apart."""
        small = SMALL_WORDS | FILLERS | MUSIC_WORDS | KEYS
        return all(
            not self._line.raw(at)[0].islower() or self._line.words[at] in small for at in work
        )

    def _is_prose(self, at: int) -> bool:
        """Whether a word is English prose in lower case: `explained`, `teaching`."""
        word = self._line.words[at]
        return self._line.raw(at).islower() and word.endswith(("ed", "ing", "ly")) and word != "ed"

    def _is_known(self, composer: range) -> bool:
        """Whether the composer is one: by a surname that is nobody else's, or as `TAN DUN`."""
        known = [self._line.words[at] for at in composer if self._line.words[at] in COMPOSERS]
        return len(known) > 1 or any(word not in NAMES_TOO for word in known)

    def _is_catalogued(self, run: range) -> bool:
        systems = CATALOGUES - COUNTING
        return any(at in self._numbers and self._line.words[at] in systems for at in run)

    def _has_music(self, run: range) -> bool:
        telling = GENRES | {"dances", "songs"}
        return any(
            self._line.words[at] in telling
            or (at in self._numbers and ordinal(self._line.words[at]))
            for at in run
        )

    def _is_no_name(self, composer: range, work: range) -> bool:
        words = [self._line.words[at] for at in work]
        longest = max((self._line.words[at] for at in composer), key=len)
        # `NPR From the Top` is a programme.
        abbreviated = len(longest) <= LEAST_LETTERS or _VOWELS.isdisjoint(longest)
        if words[0] in GIVEN_NAMES or (len(composer) == 1 and abbreviated):
            return False
        musical = any(
            self._line.raw(at).islower() and self._line.words[at] in PIECE_WORDS for at in work
        )
        return musical or self._has_music(work)


def _is_capitals(word: str) -> bool:
    return word.isalpha() and word.isupper()
