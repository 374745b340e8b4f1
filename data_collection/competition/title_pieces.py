"""Pieces of music within a title: which of its words say what is played.

What belongs here: the words of piano music and the rules by which they make a piece. What does not:
which work it is; a programme says that, a title only has to be read to its last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from itertools import takewhile

from data_collection.competition.names import word_set
from data_collection.competition.title_music import (
    COMPOSERS,
    GENRES,
    GIVEN_NAMES,
    KEYS,
    MODES,
    NAMES_TOO,
    PIECE_WORDS,
    TEMPOS,
    names_of_works,
    nicknames,
    words_of_names,
)
from data_collection.competition.title_tokens import Token, phrase_positions
from data_collection.competition.title_words import (
    AND_WORDS,
    COMPETITION_WORDS,
    PROSE_WORDS,
    WITH_WORDS,
)

CATALOGUES = word_set(
    "op opus no nos nr nrs n bwv wv k kv d hob woo l s sz bb wq h r rv p m twv hwv fs kk wn "
    "book books bk buch heft cahier volume vol zeszyt ks livre libro"
)
COUNTING = word_set("no nos nr nrs n")
"""They count anything, competitors too; beside other words of music they count works."""
WITH_ROMAN = word_set(
    "book books bk buch heft cahier volume vol zeszyt ks livre libro hob no nr concerto sonata"
)
PIECE_CONNECTORS = word_set(
    "in and i et & on a sur la de du from by of the en und y + to for w z with mit e ed le les "
    "para fur pour"
)
LINKED = {"ma": word_set("non"), "non": word_set("troppo tanto"),
          "con": word_set("fuoco brio moto spirito espressione anima variazioni bravura"),
          "alla": word_set("turca marcia polacca breve"), "concert": GENRES,
          "original": word_set("version theme")}  # fmt: skip

EVENT_WORDS = word_set(
    "festival academy society institute museum hall foundation school conservatory university "
    "prize award awards medal cup concours competition contest konkurs trio quartet club days "
    "year birthday tribute project tour talk documentary house talks evening artist"
)
"""What makes a composer's name an occasion: no piece goes on through them."""
MOST_WORDS_OF_A_WORK = 8
MUSIC_WORDS = GENRES | PIECE_WORDS | MODES | COMPOSERS | CATALOGUES

_NUMBER = re.compile(r"\d{1,4}[a-e]?")
_SMALL_NUMBER = re.compile(r"\d{1,2}")
_ROMAN = re.compile(r"(?=[ivxl])l?x{0,4}(?:ix|iv|v?i{0,3})")
_SMALL_ROMAN = re.compile(r"i{1,3}|iv|vi{0,3}")
_QUOTED = re.compile(r'"[^"]*"|[“„][^”“]*[”“]|«[^»]*»|(?<!\w)\'[^\']+\'(?!\w)')


def joins_somebody(tokens: Sequence[Token], title: str, at: int) -> bool:
    """Whether `with Jane` or `and Jane Roe` begins at a position: another player, no work."""
    strange = [
        title[token.start].isupper() and token.word not in MUSIC_WORDS | words_of_names()
        for token in tokens[at + 1 : at + 3]
    ]
    if tokens[at].word in WITH_WORDS - AND_WORDS - {"the"}:
        return bool(strange) and strange[0]
    return tokens[at].word in AND_WORDS and len(strange) > 1 and all(strange)


def catalogued(tokens: Sequence[Token]) -> frozenset[int]:
    """Positions of numbers that count works, as in `Op. 10 No. 12`, and of `Op.` itself."""
    found: set[int] = set()
    for at, token in enumerate(tokens[:-1]):
        parted = tokens[at + 1].after_break or tokens[at + 1].segment != token.segment
        if token.word not in CATALOGUES or parted or token.hyphenated:
            continue
        number = tokens[at + 1].word
        if _NUMBER.fullmatch(number):
            found |= {at, at + 1}
        elif token.word in WITH_ROMAN and _ROMAN.fullmatch(number):
            after = tokens[at + 2 : at + 3]
            of_hoboken = token.word == "hob" and after and _NUMBER.fullmatch(after[0].word)
            found |= {at, at + 1, at + 2} if of_hoboken else {at, at + 1}
    return frozenset(found)


def names_a_piece(tokens: Sequence[Token]) -> bool:
    """Whether a title speaks of music at all."""
    return bool(catalogued(tokens)) or any(token.word in GENRES for token in tokens)


def piece_runs(
    tokens: Sequence[Token], free: Set[int], *, title: str, people: Set[str], namesake: Set[str]
) -> list[range]:
    """Find stretches that are a piece of music: a genre, a work or its number, and its details.

    Args:
        tokens: the title's words.
        free: positions that nothing else explains.
        title: the clean title, for capitals and quotation marks.
        people: words of the roster's names; a composer's name among them is no composer's.
        namesake: words of the edition's name; `Chopin Talk` is no piece in a Chopin competition.
    """
    reader = _Reader(tokens, free, title, people, namesake)
    nicknames = reader.nicknames()
    telling = reader.works() | reader.titled_works() | reader.called_works(nicknames)
    counts = reader.numbers | {at for at in free if reader.is_roman_number(at)}
    of_music = {at for at in free if reader.is_piece_word(at)} | (reader.numbers & free)
    runs = [
        _without_connectors(tokens, run, telling | counts)
        for run in reader.stretches(telling | of_music | nicknames)
    ]
    sure = [run for run in runs if any(reader.tells(at) or at in telling for at in run)]
    counted = [run for run in runs if run not in sure and set(run) & reader.numbers]
    lists = [run for run in runs if run not in sure and reader.lists_composers(run)]
    tempos = [run for run in runs if run not in sure and reader.is_heading(run)]
    kept = (
        sure + ([*counted, *(run for run in tempos if run not in counted)] if sure else []) + lists
    )
    return [range(run[0], run[-1] + 1) for run in sorted(kept) if run]


class _Reader:
    """One title, read for music."""

    def __init__(
        self,
        tokens: Sequence[Token],
        free: Set[int],
        title: str,
        people: Set[str],
        namesake: Set[str],
    ) -> None:
        self._tokens = tokens
        self._words = [token.word for token in tokens]
        self._free = free
        self._title = title
        self._composers = COMPOSERS - people
        self._people = people
        self._namesake = namesake
        self.numbers = catalogued(tokens)

    def _word(self, at: int) -> str:
        return self._words[at] if 0 <= at < len(self._words) else ""

    def _beside(self, at: int, step: int) -> str:
        """Give the next or the last word of the same segment."""
        near = at + step
        same = (
            0 <= near < len(self._tokens) and self._tokens[near].segment == self._tokens[at].segment
        )
        return self._words[near] if same else ""

    def tells(self, at: int) -> bool:
        """Whether a word alone makes a stretch a piece."""
        word = self._word(at)
        counting = COUNTING | {"book", "volume", "vol"}
        before = self._word(at - 1)
        return word in GENRES or (
            at in self.numbers and word not in counting and before not in counting
        )

    def works(self) -> set[int]:
        """Positions of the titles of works, the composer's competition apart."""
        return {
            at
            for phrase in names_of_works()
            if phrase[0] in self._words
            for at in phrase_positions(self._words, phrase)
            if at in self._free and not self._of_a_competition(at)
        }

    def titled_works(self) -> set[int]:
        """Positions of `BARTÓK Out of Doors` or `Messiaen: Regard du silence`.

        The composer stands in capitals that the title has not elsewhere, or before a colon, or a
        work's number ends the words that follow; these are capitalised and nothing else's.
        """
        shouting = self._title.upper() == self._title
        found: set[int] = set()
        for at in sorted(self._free):
            word = self._word(at)
            if word not in self._composers or self._of_a_competition(at):
                continue
            token = self._tokens[at]
            raw = self._title[token.start : token.end]
            follows = list(self._title_words(at + 1))
            if not follows:
                continue
            ends_in_number = self._ends_in_number(follows[-1])
            marked = raw.isupper() and not shouting
            colon = self._title[token.end : token.end + 1] == ":"
            own = word.removesuffix("a") in self._namesake
            if word in NAMES_TOO and not any(self._word(after) in GENRES for after in follows):
                marked = colon = False
            if ends_in_number or ((marked or colon) and not own):
                found |= {at, *follows}
        return found

    def _ends_in_number(self, last: int) -> bool:
        after = last + 1
        return any(
            at in self.numbers and self._word(at) in CATALOGUES - COUNTING for at in (last, after)
        )

    def _title_words(self, start: int) -> Iterator[int]:
        """Positions from `start` that may be a work's title, up to a break or another's word."""
        words: list[int] = []
        for at in range(start, min(start + MOST_WORDS_OF_A_WORK, len(self._tokens))):
            token = self._tokens[at]
            parted = at > start and (
                token.after_break or token.segment != self._tokens[at - 1].segment
            )
            raw = self._title[token.start : token.end]
            capital = raw[0].isupper() or raw[0].isdigit()
            if parted or at not in self._free or at in self.numbers or token.tagged:
                break
            if (
                joins_somebody(self._tokens, self._title, at)
                or token.word in (EVENT_WORDS | COMPETITION_WORDS | PROSE_WORDS) - PIECE_WORDS
                or token.word in self._people
            ):
                return
            if not capital and token.word not in PIECE_CONNECTORS | self._lower_case_titles():
                break
            words.append(at)
        while words and self._word(words[-1]) in PIECE_CONNECTORS:
            words.pop()
        yield from words

    @staticmethod
    def _lower_case_titles() -> frozenset[str]:
        """Small words within the titles of works in French, German, Spanish and Italian."""
        return word_set(
            "une un le les des d l dans aux au du der die das im aus von y los el las del di e"
        )

    def nicknames(self) -> set[int]:
        """Positions in quotation marks, and of what pieces are called without them.

        They are music only beside a piece or right after a composer: `"Ocean"` alone is none.
        """
        spans = [found.span() for found in _QUOTED.finditer(self._title)]
        quoted = {
            at
            for at, token in enumerate(self._tokens)
            if any(a <= token.start and token.end <= b for a, b in spans)
        }
        called = {
            at
            for phrase in nicknames()
            if phrase[0] in self._words
            for at in phrase_positions(self._words, phrase)
        }
        barred = self._people | EVENT_WORDS
        return {at for at in (quoted | called) & self._free if self._word(at) not in barred}

    def called_works(self, nicknames: Set[int]) -> set[int]:
        """Positions of a composer with a nickname right after: `Ligeti L'escalier du diable`."""
        composers = self._composers - NAMES_TOO
        return {
            at
            for after in nicknames
            if self._word(after - 1) in composers and not self._of_a_competition(after - 1)
            for at in (after - 1, after)
            if at in self._free
        }

    def stretches(self, positions: Set[int]) -> list[list[int]]:
        """Group positions into stretches; `Haydn: Sonata` and `Etude "Ocean"` are one."""
        runs: list[list[int]] = []
        for at in sorted(positions):
            token = self._tokens[at]
            close = at > 0 and (
                token.segment == self._tokens[at - 1].segment
                or self._word(at - 1) in self._composers
                or (token.start - self._tokens[at - 1].end <= 3 and not token.after_break)
                or self._title[self._tokens[at - 1].end : token.start].strip() in (":", "/")
            )
            if runs and runs[-1][-1] == at - 1 and close:
                runs[-1].append(at)
            else:
                runs.append([at])
        return runs

    def lists_composers(self, run: Sequence[int]) -> bool:
        """Whether a stretch is `Bach, Haydn & Liszt`: two at least, else it may be an occasion."""
        composers = [at for at in run if self._word(at) in self._composers - NAMES_TOO]
        others = {self._word(at) for at in run} - self._composers - {"and", "&", "i", "et", "und"}
        beside = {self._word(run[0] - 1), self._word(run[-1] + 1)} if run else set()
        return (
            len(composers) > 1 and not others and beside.isdisjoint(EVENT_WORDS | COMPETITION_WORDS)
        )

    def is_heading(self, run: Sequence[int]) -> bool:
        """Whether a stretch is a movement's tempo, such as `Allegro maestoso`."""
        return bool(run) and TEMPOS.issuperset(self._word(at) for at in run)

    def is_piece_word(self, at: int) -> bool:
        """Whether a word can be a part of a piece's name where it stands."""
        word, before, after = self._word(at), self._word(at - 1), self._word(at + 1)
        if word in self._composers | GENRES or word.removesuffix("s") in self._composers:
            return word not in self._people and not self._of_a_competition(at)
        if word in LINKED:
            return after in LINKED[word]
        if word in KEYS and (
            after in MODES or (before in {"in", "en"} and word not in {"la", "a"})
        ):
            return True
        if word in PIECE_WORDS | MODES | PIECE_CONNECTORS:
            return True
        if word in GIVEN_NAMES:
            return after in self._composers | GIVEN_NAMES
        if len(word) == 1 and word.isalpha() and self._before_composer(at):
            return True
        if self.is_roman_number(at):
            return True
        if re.fullmatch(r"1[89]\d\d", word):
            return after == "version"
        before, after = self._beside(at, -1), self._beside(at, 1)
        follows = before in GENRES | {"and", "i", "&"} or _NUMBER.fullmatch(before) is not None
        counts = (follows and after not in COMPETITION_WORDS) or after in GENRES
        return counts and _SMALL_NUMBER.fullmatch(word) is not None

    def is_roman_number(self, at: int) -> bool:
        """Whether a word is the number of a movement, `III. Largo`, or of a work, `Concerto I`."""
        numbers_it = self._beside(at, -1) in GENRES and self._word(at + 1) not in COMPETITION_WORDS
        beside = self._word(at + 1) in TEMPOS or numbers_it
        return beside and _SMALL_ROMAN.fullmatch(self._word(at)) is not None

    def _before_composer(self, at: int) -> bool:
        """Whether an initial, and those after it, stand before a composer: `J.S. Bach`."""
        rest = self._words[at : at + 4]
        surname = next((word for word in rest if len(word) > 1), "")
        return surname in self._composers | {"van"}

    def _of_a_competition(self, at: int) -> bool:
        """Whether a word stands in `Tchaikovsky Piano Competition` or `Concerto Competition`.

        Such a word is no piece, and the competition perhaps another than the edition's.
        """
        contest = COMPETITION_WORDS - PIECE_WORDS
        segment = [t.word for t in self._tokens[at + 1 :] if t.segment == self._tokens[at].segment]
        after = takewhile(COMPETITION_WORDS.__contains__, segment)
        of_contest = self._word(at - 1) in contest and self._word(at) in COMPOSERS
        return of_contest or not contest.isdisjoint(after)


def _without_connectors(
    tokens: Sequence[Token], run: Sequence[int], telling: Set[int]
) -> list[int]:
    """Leave out the `in` or `and` that a run starts or ends with."""
    core = [at for at in run if at in telling or tokens[at].word not in PIECE_CONNECTORS]
    return [at for at in run if core and core[0] <= at <= core[-1]]
