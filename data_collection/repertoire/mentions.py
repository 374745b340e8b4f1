"""What a wording says, word by word: composer, genre, number, tonality, catalogue, movement, names.

What belongs here: the grammar of a wording and its parts. What does not: which work that is
(`reading`). A wording is read once from left to right for each kind of part; a word that a part has
taken is free for no other, and the words that no part takes are kept, for they are a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from data_collection.repertoire.catalogue import Catalogue, Tonality, Work, number_books
from data_collection.repertoire.letters import Token, plain, tokenise, word_set
from data_collection.repertoire.words import (
    ACCIDENTALS,
    ALL_LANGUAGES,
    AND_WORDS,
    CARDINALS,
    COMPOSERS,
    ENCORE_WORDS,
    FILLERS,
    FOLLOWS,
    GENRES,
    GERMAN_TONES,
    GIVEN_NAMES,
    LANGUAGE_OF,
    LETTERS,
    MAJOR,
    MINOR,
    MOVEMENT_WORDS,
    NOISE,
    NUMBER_WORDS,
    ORDINAL_ENDINGS,
    ORDINALS,
    POSTHUMOUS,
    RANGE_WORDS,
    ROMANS,
    SHARP,
    SHORT_TONES,
    SOLFEGE,
    TEMPOS,
)

MOST_ITEMS = 110
MOST_NUMBER = 2000
_TWENTY = 20
_SYSTEMS = word_set("op opus bwv woo hob hoboken kk wn hwv sz kv k d s l m b brown")
_NEEDS_COMPOSER = {
    "k": ("mozart", "scarlatti"), "kv": ("mozart",), "d": ("schubert",), "s": ("liszt",),
    "l": ("debussy", "scarlatti"), "m": ("ravel", "franck"), "b": ("chopin",),
    "brown": ("chopin",), "kk": ("chopin",), "wn": ("chopin",), "sz": ("bartok",),
    "bwv": ("bach", "bach-busoni"), "hob": ("haydn",), "hwv": ("handel",),
}  # fmt: skip
_WITHOUT_OPUS = frozenset({"debussy", "ravel", "bach", "mozart", "liszt", "scarlatti"})
_SAME_SYSTEM = {"opus": "op", "kv": "k", "brown": "b", "hoboken": "hob"}
_THEME_WORDS = word_set("theme temat thema tema themes tematy motives")
_FROM_WORDS = frozenset({"from", "z", "aus"})
_LARGE_GENRES = frozenset(
    {"sonata", "sonate", "sonaty", "concerto", "koncertu", "konzert", "partita", "suite"}
)
_KOBYLANSKA = re.compile(r"(?:anh)?[ivx]+[a-c]?")
_QUOTES = frozenset('"“”„«»')
_YEAR = re.compile(r"1[5-9]\d\d|20\d\d")
_GLUED = re.compile(
    r"([a-h](?:is|es|s)?)(dur|moll?)|(major|minor|dur|moll)(op(?:us)?)|([a-g])(flat|sharp)"
)


@dataclass(frozen=True)
class Reference:
    """A catalogue's number: `op10` and the numbers asked for within it."""

    key: str
    items: tuple[int, ...] = ()


@dataclass
class Mention:
    """What a wording says of one or more works of one kind; `unexplained` are its other words."""

    composers: list[str] = field(default_factory=list)
    genres: list[str] = field(default_factory=list)
    plural: bool = False
    count: int | None = None
    numbers: tuple[int, ...] = ()
    tonalities: list[Tonality] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    posthumous: bool = False
    selection: bool = False
    part: bool = False
    names: list[tuple[tuple[str, ...], Work]] = field(default_factory=list)
    movements: list[int] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    tempos: list[str] = field(default_factory=list)
    languages: frozenset[str] = ALL_LANGUAGES
    wording: str = ""

    @property
    def names_a_work(self) -> bool:
        """Whether there is anything that a work is called by."""
        return bool(self.genres or self.references or self.names)

    @property
    def is_title(self) -> bool:
        """Whether it is nothing but tempos and kinds: `Scherzo. Molto vivace`."""
        told = self.composers or self.references or self.numbers or self.tonalities or self.count
        only = not (told or self.plural or self.posthumous or self.unexplained or self.noise)
        names = [word for name, _ in self.names for word in name]
        musical = all(word in TEMPOS or word in GENRES for word in names)
        return only and musical and bool(self.tempos or self.genres)


def read_mentions(text: str, catalogue: Catalogue) -> list[Mention]:
    """Read a wording of one language; another mention starts with a genre after a number."""
    written = plain(text)
    tokens = _split_glued(tokenise(written))
    parts = _parts(tokens, catalogue)
    mentions = [_Reader(part, catalogue).read() for part in parts]
    for mention, part in zip(mentions, parts, strict=True):
        if part:
            mention.wording = (
                text[part[0].start : part[-1].end]
                if text == written
                else " ".join(token.written for token in part)
            )
    return mentions


def _split_glued(tokens: list[Token]) -> list[Token]:
    """Part `cmoll`, `Asdur`, `Gflat` and `majorOp`."""
    parted: list[Token] = []
    for token in tokens:
        glued = _GLUED.fullmatch(token.word)
        if glued:
            first, second = filter(None, glued.groups())
            middle = token.start + len(first)
            head, tail = token.written[: len(first)], token.written[len(first) :]
            parted.append(Token(first, head, token.before, token.start, middle))
            parted.append(Token(second, tail, "", middle, token.end))
        else:
            parted.append(token)
    return parted


def _parts(tokens: list[Token], catalogue: Catalogue) -> list[list[Token]]:
    """Cut before a genre that follows a catalogue's number, as in `Op. 23, Scherzo Op. 31`."""
    starts, seen_number, depth, quotes = [0], False, 0, 0
    last_cut = 0
    for at, token in enumerate(tokens):
        depth += token.before.count("(") - token.before.count(")")
        quotes += sum(c in _QUOTES for c in token.before)
        word = catalogue.speller.correct(token.word)
        if word in _SYSTEMS and at + 1 < len(tokens) and tokens[at + 1].word.isdigit():
            seen_number = True
        elif word in GENRES and seen_number and not _is_movement_title(tokens, at):
            after_roman = tokens[at - 1].word in ROMANS and tokens[at - 1].written.isupper()
            if after_roman or depth > 0 or quotes % 2:
                continue
            cut = _start_of_phrase(tokens, at, last_cut)
            starts.append(cut)
            last_cut, seen_number = cut, False
    ends = [*starts[1:], len(tokens)]
    return [tokens[start:end] for start, end in zip(starts, ends, strict=True)]


def _start_of_phrase(tokens: Sequence[Token], at: int, lowest: int) -> int:
    """Go back over `Piano`, `and` or `4` to where the next work's wording starts."""
    lowest += 1
    while at > lowest and not set(tokens[at].before) & set(',;/+:-–—|()"“”'):
        before = tokens[at - 1].word
        if before.isdigit() and tokens[at - 2].word in NUMBER_WORDS | _SYSTEMS:
            break
        if before not in FILLERS | CARDINALS.keys() | COMPOSERS.keys() and not before.isdigit():
            break
        at -= 1
    return at


def _is_movement_title(tokens: Sequence[Token], at: int) -> bool:
    """Whether a genre is a movement's title, as in `II. Scherzo` or `Grave, Scherzo, Finale`."""
    genre = GENRES.get(tokens[at].word)
    if genre and genre.name not in ("scherzo", "march", "rondo", "fugue", "romance", "intermezzo"):
        return genre.name in ("allegretto",)
    after = tokens[at + 1 : at + 6]
    return not any(
        t.word in _SYSTEMS | NUMBER_WORDS | MAJOR | MINOR or t.word.isdigit() for t in after
    )


class _Reader:
    """One mention in the reading; `free` are the positions that no part has taken."""

    def __init__(self, tokens: list[Token], catalogue: Catalogue) -> None:
        self.tokens = tokens
        self.catalogue = catalogue
        correct = catalogue.speller.correct
        self.words = number_books([correct(token.word) for token in tokens])
        self.free = [True] * len(tokens)
        self.mention = Mention()
        self.last_reference_at = -1
        self.named_at: set[int] = set()
        self.languages = [LANGUAGE_OF[w] for w in self.words if w in LANGUAGE_OF]

    def read(self) -> Mention:
        self._read_names()
        self._read_references()
        self._read_tonalities()
        self._read_movements()
        self._read_composers()
        self._read_numbers()
        self._read_genres()
        self._read_rest()
        self.mention.part = self._names_a_part()
        common = ALL_LANGUAGES
        for languages in reversed(self.languages):  # genres tell more surely than small words
            common = common & languages or common
        self.mention.languages = common
        return self.mention

    def _word(self, at: int) -> str:
        return self.words[at] if 0 <= at < len(self.words) else ""

    def _before(self, at: int) -> str:
        return self.tokens[at].before if 0 <= at < len(self.tokens) else ""

    def _is_free(self, at: int) -> bool:
        return 0 <= at < len(self.words) and self.free[at]

    def _take(self, start: int, end: int) -> None:
        for at in range(start, min(end, len(self.free))):
            self.free[at] = False

    def _number_at(self, at: int) -> int | None:
        word = self._word(at)
        return int(word) if word.isascii() and word.isdigit() and len(word) <= 4 else None

    def _read_names(self) -> None:
        """Find the longest names of works; a genre's word within one stays free to be a genre."""
        at = 0
        while at < len(self.words):
            named = self.catalogue.names_by_first.get(self.words[at], ())
            found = [
                (name, work)
                for name, work in named
                if tuple(self.words[at : at + len(name)]) == name and self._may_be_name(name, work)
            ]
            longest = max((len(name) for name, _ in found), default=0)
            if not longest:
                at += 1
                continue
            self.mention.names += [(n, w) for n, w in found if len(n) == longest]
            if longest > 1 or self.words[at] not in TEMPOS:
                self.named_at |= set(range(at, at + longest))
            for position in range(at, at + longest):
                self.free[position] = self.words[position] in GENRES
            at += longest

    def _may_be_name(self, name: tuple[str, ...], work: Work) -> bool:
        """Whether `Handel` may be the name of variations, and `Largo` of a work and no tempo."""
        if all(word in TEMPOS for word in name):
            beside = set(self.words) - set(name)
            return bool(beside & (MAJOR | MINOR | GENRES.keys()))
        if len(name) > 1 or name[0] not in COMPOSERS:
            return True
        return any(w in GENRES and GENRES[w].name in work.genres for w in self.words)

    def _read_references(self) -> None:
        for at, word in enumerate(self.words):
            if word in _SYSTEMS and self.free[at]:
                self._read_reference(at, _SAME_SYSTEM.get(word, word))
        for at, word in enumerate(self.words):
            if word in POSTHUMOUS and self.free[at] and word != "oeuvre":
                self.mention.posthumous = True
                self._take(at, at + 1)

    def _read_reference(self, at: int, system: str) -> None:
        after = at + 1
        if self._before(after).strip(" .:"):
            return
        if system == "op" and self._word(after) in POSTHUMOUS:
            self.mention.posthumous = True
            self._take(at, after + 1)
            if self._number_at(after + 1) is None:
                return
            after += 1
        prefix = ""
        if system in ("hob", "kk"):
            volume = "".join(self.words[after : after + 1])
            if volume == "anh":
                after += 1
                prefix = "-anh"
                volume = self._word(after)
            if not _KOBYLANSKA.fullmatch(volume):
                return
            prefix += f"-{volume}-"
            after += 1
            if self._word(after) in NUMBER_WORDS:
                after += 1
        number = self._number_at(after)
        if number is None or number > MOST_NUMBER:
            return
        key, after = f"{system}{prefix}{number}", after + 1
        if self._word(after) in ("a", "b", "c") and not self._before(after):
            key, after = key + self._word(after), after + 1
        items, end = (
            ((), self._after_old_number(after)) if system == "k" else self._read_items(after)
        )
        self.last_reference_at = at
        self.mention.references.append(Reference(key, items))
        if self._word(at - 1) in ("from", "z", "aus") and not self._before(at).strip():
            self.mention.selection = not items
        self._take(at, end)

    def _after_old_number(self, at: int) -> int:
        """Skip the number of Köchel's later edition: `K. 333/315c`, `K. 310 (300d)`."""
        lettered = len(self._word(at + 1)) == 1 and not self._before(at + 1)
        if self._number_at(at) is None or self._before(at).strip() not in ("/", "("):
            return at
        return at + 2 if lettered else at + 1

    def _read_items(self, at: int) -> tuple[tuple[int, ...], int]:
        """Read `No. 4`, `/4`, `Nos. 1, 2 and 4`, `nr 1-4`; gives where they end."""
        start = at
        if self._word(at) in POSTHUMOUS:
            self.mention.posthumous = True
            at += 1
        if self._before(at).strip() == "/" and self._number_at(at) is not None:
            return self._read_list(at)
        if self._word(at) in NUMBER_WORDS and not set(self._before(at)) & set("/|)"):
            at = self._after_number_word(at)
            if self._number_at(at) is not None:
                return self._read_list(at)
        return (), start

    def _after_number_word(self, at: int) -> int:
        """Skip `No.`; also the two words of `n.º`."""
        split = (
            self._word(at) == "n"
            and self._word(at + 1) == "o"
            and self._before(at + 1) in (".", "")
        )
        return at + 2 if split else at + 1

    def _read_list(self, at: int) -> tuple[tuple[int, ...], int]:
        items: list[int] = []
        while True:
            number = self._number_at(at)
            if number is None or not 0 < number <= MOST_ITEMS:
                break
            items.append(number)
            at += 1
            following = self._next_in_list(at, items)
            if following is None:
                break
            at = following
        return tuple(items), at

    def _next_in_list(self, at: int, items: list[int]) -> int | None:
        """Where the next number of a list stands; a range is filled in."""
        gap, word = self._before(at).strip(), self._word(at)
        if gap == "-" or (word in RANGE_WORDS and not gap):
            last_at = at + (word in RANGE_WORDS)
            last = self._number_at(last_at)
            if last is None or not items[-1] < last <= MOST_ITEMS or self._counts(last_at):
                return None
            items.extend(range(items[-1] + 1, last))
            return last_at
        step = at
        if word in AND_WORDS and gap in ("", ","):
            step = at + 1
        elif gap not in (",", "+", "/", ", "):
            return None
        if self._word(step) in NUMBER_WORDS:
            step = self._after_number_word(step)
        return step if self._number_at(step) is not None and not self._counts(step) else None

    def _counts(self, at: int) -> bool:
        """Whether a number counts what follows, as in `24 Preludes`, or starts another line."""
        after, glued = self._word(at + 1), not self._before(at + 1)
        if glued and after in ORDINAL_ENDINGS:
            return True
        return (after in GENRES or after in TEMPOS) and not self._before(at + 1).strip()

    def _read_tonalities(self) -> None:
        at = 0
        while at < len(self.words):
            found = self._tonality_at(at) if self.free[at] else None
            if found is None:
                at += 1
                continue
            told, end = found
            if self._word(end) not in ("a", "b", "c") or self._before(end):
                self.mention.tonalities.append(told)
                self._take(at, end)
            at = end

    def _tonality_at(self, at: int) -> tuple[Tonality, int] | None:
        word = self.words[at]
        introduced = self._word(at - 1) in ("in", "en", "w") and not self._before(at).strip()
        note = LETTERS.get(word) or (SOLFEGE.get(word))
        tone, end = note, at + 1
        accidental = self._word(end)
        if note and accidental in ACCIDENTALS and self._near(end):
            tone = (note[0], 1 if accidental in SHARP else -1)
            end += 1
        elif word in SHORT_TONES and self._mode_at(end) is not None:
            tone = SHORT_TONES[word]
        elif word in SHORT_TONES and introduced:
            return Tonality(*SHORT_TONES[word], None), end
        mode = self._mode_at(end)
        if mode is not None and self._word(end) in ("dur", "moll", "mol"):
            tone = GERMAN_TONES.get(word, tone) if end == at + 1 else tone
        if tone is None:
            return None
        if mode is not None:
            return Tonality(*tone, mode), end + 1
        altered = end > at + 1
        if altered and (introduced or word in LETTERS):
            return Tonality(*tone, None), end
        return (
            (Tonality(*tone, None), end)
            if introduced and word in LETTERS and self._ends(end)
            else None
        )

    def _ends(self, at: int) -> bool:
        """Whether nothing runs on that would make a bare letter an article or an initial."""
        word = self._word(at)
        return (
            not word or bool(self._before(at).strip()) or word in _SYSTEMS or word in NUMBER_WORDS
        )

    def _near(self, at: int) -> bool:
        return self._before(at).strip() in ("", "-")

    def _mode_at(self, at: int) -> bool | None:
        word = self._word(at)
        if not self._near(at) or word not in MAJOR | MINOR:
            return None
        return word in MINOR

    def _read_movements(self) -> None:
        for at, word in enumerate(self.words):
            if not self.free[at]:
                continue
            if word in MOVEMENT_WORDS:
                self._read_movement_word(at)
            elif word in ROMANS and self._is_movement_roman(at):
                self.mention.movements.append(ROMANS[word])
                self._take(at, at + 1)
            elif word.isdigit() and self._is_movement_digit(at):
                self.mention.movements.append(int(word))
                self._take(at, at + 1)

    def _read_movement_word(self, at: int) -> None:
        after = self._word(at + 1)
        if after.isdigit() or (after in ROMANS and self.tokens[at + 1].written.isupper()):
            number = int(after) if after.isdigit() else ROMANS[after]
            self._take(at, at + 2)
            if 0 < number <= 20:
                self.mention.movements.append(number)
            return
        end, position, found = at, at - 1, []
        while position >= 0 and self.free[position]:
            step = self._ordinal_ending_at(position)
            if step is None:
                break
            number, start = step
            found.append(number)
            end, position = start, start - 1
            if self._word(position) in AND_WORDS:
                position -= 1
        self.mention.movements += sorted(found)
        self._take(end, at + 1)

    def _ordinal_ending_at(self, at: int) -> tuple[int, int] | None:
        """An ordinal that ends at a position, and where it starts: `3rd`, `third`, `III`, `3.`."""
        word = self._word(at)
        if word in ORDINALS:
            return ORDINALS[word], at
        if word in ROMANS and self.tokens[at].written.isupper():
            return ROMANS[word], at
        number = self._number_at(at)
        if number is not None and 0 < number <= 20:
            return number, at
        before = self._number_at(at - 1)
        if (
            word in ORDINAL_ENDINGS
            and before is not None
            and 0 < before <= 20
            and not self._before(at)
        ):
            return before, at - 1
        return None

    def _is_movement_digit(self, at: int) -> bool:
        """Whether it is the `1.` of `Op. 11 – 1. Allegro maestoso`."""
        separated = bool(set(self._before(at)) & set(",:;-(["))
        dotted = self._before(at + 1).strip() == "."
        return (
            at > 0
            and separated
            and dotted
            and self._word(at + 1) in TEMPOS
            and self.words[at] in "123456"
        )

    def _is_movement_roman(self, at: int) -> bool:
        """Whether `II` is a movement's: with a dot or a colon, before a tempo or a title."""
        if not self.tokens[at].written.isupper():
            return False
        dotted = self._before(at + 1).lstrip().startswith((".", ":", "-", ")"))
        after = self._word(at + 1)
        titled = after in GENRES and (dotted or _is_movement_title(self.tokens, at + 1))
        as_heading = titled and (at > 0 or _is_movement_title(self.tokens, at + 1))
        goes_on = after in TEMPOS or as_heading
        if dotted and goes_on:
            return True
        if self._word(at - 1) in GENRES:
            return False
        joined = self._word(at - 1) in AND_WORDS and bool(self.mention.movements)
        separated = bool(set(self._before(at)) & set(",:;-([")) or joined
        before_and = after in AND_WORDS and self._word(at + 2) in ROMANS
        last = at == len(self.words) - 1
        return goes_on or (separated and at > 0 and (dotted or last or before_and))

    def _read_composers(self) -> None:
        for at, word in enumerate(self.words):
            slug = COMPOSERS.get(word)
            if slug is None or not self.free[at]:
                continue
            subject = self._is_subject(at)
            if self._word(at + 1) == "s" and "'" in self._before(at + 1):
                self._take(at, at + 2)
                subject = subject or self._word(at - 1) in ("from", "on", "of")
            start = at
            while start and (self._word(start - 1) in GIVEN_NAMES or self._is_initial(start - 1)):
                start -= 1
            self._take(start, at + 1)
            if not subject and slug not in self.mention.composers:
                self.mention.composers.append(slug)

    def _is_subject(self, at: int) -> bool:
        """Whether it is whose theme is varied: `on a theme of Chopin`, `on Chopin's Etude`."""
        for position in range(at - 1, max(-1, at - 7), -1):
            if set(self._before(position + 1)) & set(",:;()|-/"):
                return False
            if self.words[position] in _THEME_WORDS:
                return True
        return False

    def _is_initial(self, at: int) -> bool:
        return self.free[at] and len(self.words[at]) == 1 and self._before(at + 1).startswith(".")

    def _read_numbers(self) -> None:
        for at, word in enumerate(self.words):
            if not self.free[at]:
                continue
            if word in NUMBER_WORDS:
                self._read_number(at)
            elif word in GENRES and GENRES[word].name == "variations":
                self._read_count(at)
            elif word in GENRES and not GENRES[word].plural:
                self._read_number_beside(at)
            elif word in GENRES:
                self._read_count(at)

    def _read_number(self, at: int) -> None:
        """Read `No. 4`; after `Op. 24: No. 1 in G minor` it is another of the set."""
        after = self._after_number_word(at)
        if self._number_at(after) is None:
            return
        numbers, end = self._read_list(after)
        references = self.mention.references
        if references and references[-1].items and at > self.last_reference_at:
            last = references[-1]
            references[-1] = Reference(last.key, (*last.items, *numbers))
        elif self.mention.numbers:
            return
        else:
            self.mention.numbers = numbers
        self._take(at, end)

    def _read_number_beside(self, at: int) -> None:
        """Read `1st Ballade`, `II Sonata` and `Scherzo 2`."""
        if self.mention.numbers:
            return
        number = self._number_at(at + 1)
        if (
            number is not None
            and self.free[at + 1]
            and not self._before(at + 1).strip()
            and number < 60
        ):
            self.mention.numbers = (number,)
            self._take(at + 1, at + 2)
            return
        position = at - 1
        while position > 0 and self._word(position) in ("piano", "grand", "wielki"):
            position -= 1
        if position < 0 or not self.free[position] or self._before(position + 1).strip(" ."):
            return
        found = self._ordinal_ending_at(position)
        plain_number = self._word(position).isdigit()
        if found and not plain_number:
            self.mention.numbers = (found[0],)
            self._take(found[1], position + 1)

    def _read_count(self, at: int) -> None:
        """Read the `24` of `24 Preludes` and of `Three New Études`."""
        for position in range(at - 1, max(-1, at - 4), -1):
            if self._before(position + 1).strip(' -"“”„'):
                return
            count = self._number_at(position) or CARDINALS.get(self.words[position])
            if count and self.free[position]:
                tens = CARDINALS.get(self._word(position - 1), 0)
                joined = tens == _TWENTY and count < 10 and self._near(position)
                self.mention.count = count + tens if joined else count
                self._take(position - joined, position + 1)
                return

    def _read_genres(self) -> None:
        mention = self.mention
        for at, word in enumerate(self.words):
            if not self.free[at]:
                continue
            two = FOLLOWS.get((word, self._word(at + 1))) or FOLLOWS.get(
                (GENRES[word].name, self._word(at + 1)) if word in GENRES else ("", "")
            )
            if two and self.free[at + 1] and word != "piano":
                mention.genres.append(two)
                mention.plural = mention.plural or word.endswith("s")
                self._take(at, at + 2)
            elif word in GENRES:
                genre = GENRES[word]
                self._take(at, at + 1)
                numbered = self._word(at - 1) in ROMANS and not self.free[at - 1]
                listed = _is_movement_title(self.tokens, at) and self._is_listed(at)
                titled = numbered and _is_movement_title(self.tokens, at)
                if mention.genres and self._is_manner(at):
                    continue
                if titled or (mention.genres and (numbered or listed)):
                    mention.tempos.append(word)
                    continue
                self.languages.append(genre.languages)
                mention.genres.append(genre.name)
                mention.plural = mention.plural or genre.plural

    def _is_manner(self, at: int) -> bool:
        """Whether a kind only says how: `à la mazurka`, `alla polacca`, `quasi sonata`."""
        before = self._word(at - 1)
        french = before == "la" and self._word(at - 2) == "a"
        return french or before in ("alla", "quasi")

    def _is_listed(self, at: int) -> bool:
        """Whether a title stands among tempos: `I. Grave, II. Scherzo`."""
        around = self.words[max(0, at - 3) : at] + self.words[at + 1 : at + 4]
        return bool(self.mention.movements) or any(w in TEMPOS for w in around)

    def _read_rest(self) -> None:
        self.mention.selection = self.mention.selection or self._is_excerpt()
        depth = 0
        for at, word in enumerate(self.words):
            gap = self.tokens[at].before
            depth = max(
                0, depth + gap.count("(") + gap.count("[") - gap.count(")") - gap.count("]")
            )
            if not self.free[at]:
                continue
            if word in NOISE:
                self.mention.noise.append(word)
            elif word in TEMPOS:
                self.mention.tempos.append(word)
            elif self._explains_itself(word, at):
                continue
            else:
                self.mention.unexplained.append(word)

    def _is_excerpt(self) -> bool:
        """Whether something is said to be from a sonata or the like: `Scherzo from Sonata`."""
        return any(
            word in _FROM_WORDS
            and at > 0
            and not _LARGE_GENRES.isdisjoint(self.words[at + 1 : at + 4])
            for at, word in enumerate(self.words)
        )

    def _names_a_part(self) -> bool:
        """Whether a title without a number follows a whole: `Sonata, Op. 58: Finale. Presto`.

        Several titles are a table of contents, and what follows a dash or stands in brackets may be
        a nickname or a pianist unless it is nothing but tempos.
        """
        for at in range(len(self.words) - 1, 0, -1):
            gap = self.tokens[at].before
            if set(gap) & set(",;/"):
                return False
            colon = ":" in gap
            if colon or "(" in gap or " - " in gap:
                return self._is_title(at, colon) and self._tells_before(at)
        return False

    def _is_title(self, at: int, colon: bool) -> bool:
        tail = range(at, len(self.words))
        musical = all(
            self.words[t] in TEMPOS
            or (self.words[t] in GENRES and _is_movement_title(self.tokens, t))
            for t in tail
        )
        if musical:
            return colon or not any(t in self.named_at for t in tail)
        strange = any(
            self.free[t] and not self._explains_itself(self.words[t], t)
            and self.words[t] not in TEMPOS | CARDINALS.keys()
            for t in tail
        )  # fmt: skip
        known = any(t in self.named_at or self._number_at(t) is not None for t in tail)
        return colon and strange and not known

    def _tells_before(self, at: int) -> bool:
        return any(
            word in GENRES or word in _SYSTEMS or position in self.named_at
            for position, word in enumerate(self.words[:at])
        )

    def _explains_itself(self, word: str, at: int) -> bool:
        return (
            word in FILLERS
            or word in ENCORE_WORDS
            or word in GIVEN_NAMES
            or bool(_YEAR.fullmatch(word))
            or (len(word) <= 2 and word.isalpha() and word not in ROMANS)
            or (
                at == 0
                and word.isdigit()
                and len(word) <= 2
                and self._before(1).startswith((".", ")"))
            )
            or (at == 0 and word in ROMANS and self._before(1).startswith((".", ")")))
        )


def may_use(system_key: str, composer: str) -> bool:
    """Whether a composer's works are counted by a catalogue: Mozart's by K., not by D."""
    letters = re.match(r"[a-z]+", system_key)
    system = letters[0] if letters else ""
    allowed = _NEEDS_COMPOSER.get(system)
    if system == "op" and composer in _WITHOUT_OPUS:
        return False
    return allowed is None or composer in allowed or "-" in composer


def composer_of_system(system_key: str) -> str | None:
    """Whose works a catalogue counts, where it is one person's: BWV, Hob."""
    letters = re.match(r"[a-z]+", system_key)
    allowed = _NEEDS_COMPOSER.get(letters[0]) if letters else None
    unmistakable = letters is not None and letters[0] in ("bwv", "hob", "hwv", "kk", "kv")
    return allowed[0] if allowed and unmistakable else None
