"""Spellings of one person's name: folding them to plain letters and comparing two of them.

What belongs here: letters, tokens and the rules by which two spellings are one person. What does
not: titles and the words around a name (`titles`), and who is on the roster (`roster`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, permutations
from typing import Literal

from rapidfuzz.distance import DamerauLevenshtein


def word_set(text: str) -> frozenset[str]:
    """Write a word list as one line of text."""
    return frozenset(text.split())


# Letters that NFKD leaves whole; the lower case of each stands for both.
UNSPLIT_LETTERS = str.maketrans("łŁøØđĐðÐħĦı", "llooddddhhi") | str.maketrans(
    {"þ": "th", "Þ": "th", "ß": "ss", "ẞ": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe"}
)
UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ő": "oe", "ű": "ue",
     "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Ø": "Oe", "Å": "Aa", "Ő": "Oe", "Ű": "Ue"}
)  # fmt: skip
"""Written with two letters where there is no such key."""
APOSTROPHES = "'’‘ʼʻ`´′＇"
HYPHENS = "-‐‑‒–—―−－"
OPENING_BRACKETS = "([{（［【「"
CLOSING_BRACKETS = ")]}）］】」"
# Words that join two people or start another phrase; never somebody's middle name.
CONNECTORS = frozenset(
    [
        "and",
        "i",
        "und",
        "et",
        "y",
        "e",
        "vs",
        "versus",
        "with",
        "feat",
        "ft",
        "by",
        "of",
        "the",
        "z",
        "from",
        "for",
        "in",
        "plays",
    ]
)

PARTICLES = word_set(
    "de di da del della dela la le du van der den von zu st saint mc mac o al el ben"
)
GENERATIONS = word_set("jr sr")
"""What follows a family name and is none."""

COST_PER_EDIT = 10.0
COST_OF_MISSING_TOKEN = 8.0
COST_OF_EXTRA_TOKEN = 10.0
COST_OF_MIDDLE_INITIAL = 2.0
COST_OF_ABBREVIATED_TOKEN = 5.0
SCORE_OF_INITIALS_ONLY = 60.0
MOST_EDITS = 2
MOST_JOINED_TOKENS = 3
SHORTEST_MISSPELT, LONG, VERY_LONG = 4, 7, 9
"""Letters from which a token may be misspelt in a sound or a swap, lack a letter, have any slip."""

_APOSTROPHE = re.compile(f"[{APOSTROPHES}]")
_NAME_PART = re.compile(
    rf"[{re.escape(OPENING_BRACKETS)}]|[{re.escape(CLOSING_BRACKETS)}]"
    rf"|,|[^\W_]+(?:[{re.escape(HYPHENS)}][^\W_]+)*"
)
_HYPHEN = re.compile(f"[{re.escape(HYPHENS)}]")


def fold(text: str) -> str:
    """Fold to unaccented lower-case letters; punctuation other than apostrophes stays.

    Composed again at the end, so that a Hangul syllable counts as one letter and not as three,
    which would let a typo's worth of letters turn one short name into another.
    """
    plain = _APOSTROPHE.sub("", text).translate(UNSPLIT_LETTERS)
    split = unicodedata.normalize("NFKD", plain)
    unmarked = "".join(c for c in split if not unicodedata.category(c).startswith("M"))
    return unicodedata.normalize("NFC", unmarked.casefold().translate(UNSPLIT_LETTERS))


def normalised_name(name: str) -> str:
    """Give the plain form of a name: folded, hyphenated parts joined, single spaces."""
    return " ".join(_HYPHEN.sub("", p) for p in _NAME_PART.findall(fold(name)) if p[0].isalnum())


def most_edits(letters: str) -> int:
    """How many edits a typo may have in a token of this length."""
    return 0 if len(letters) < 5 else 1 if len(letters) < 9 else 2


def edits_between(written: str, meant: str, *, most: int) -> int | None:
    """Count the edits between two tokens; None if there are more than `most`."""
    if written == meant:
        return 0
    if not most or abs(len(written) - len(meant)) > most:
        return None
    distance = DamerauLevenshtein.distance(written, meant, score_cutoff=most)
    return distance if distance <= most else None


_SYLLABLE = (
    r"(?:zh|ch|sh|kk|tt|pp|ss|jj|[bpmfdtnlgkhjqxrzcswy])?"
    r"(?:yeo|yae|wae|woo|weo|eui|eo|eu|ae|ia|ie|io|iu|ua|ue|ui|uo|ai|ei|ao|ou|oo|ee|[aeiouy]|y[aeou]|w[aeio])"
    r"[aou]?(?:ng|n|k|l|m|p|h)?"
)
_ONE_SYLLABLE = re.compile(_SYLLABLE)
_SYLLABLES = re.compile(rf"(?:{_SYLLABLE}){{1,3}}")
_SAME_SOUND = (
    ("ks", "x"), ("ph", "f"), ("iy", "i"), ("yi", "i"), ("ij", "i"), ("ii", "i"), ("y", "i"),
    ("j", "i"), ("ck", "k"), ("c", "k"), ("w", "v"), ("th", "t"), ("dt", "t"),
)  # fmt: skip
_FEMININE = re.compile(r"(.+[scz]k)(?:aya|aja|aia|a)")
_MASCULINE = re.compile(r"(.+[scz]k)(?:iy|ij|ii|yy|yi|i|y)")


def spellings_of(name: str) -> tuple[str, ...]:
    """Give a name, and with `ue` for `ü` and the like where it has such letters."""
    composed = unicodedata.normalize("NFC", name)
    spelt_out = composed.translate(UMLAUTS)
    return (name,) if spelt_out == composed else (name, spelt_out)


def is_other_gender(written: str, meant: str, *, family: str) -> bool:
    """Whether a word is the other gender's form of a name, and so no misspelling of it.

    A family name that only lacks its `a` is still taken for misspelt, as no man is a Kowalsk,
    unless a man's name is left: Ivanov is not Ivanova.
    """
    for one, two in ((written, meant), (meant, written)):
        she, he = _FEMININE.fullmatch(one), _MASCULINE.fullmatch(two)
        if she and he and she[1] == he[1]:
            return True
    if written[:-1] == meant[:-1]:
        return {written[-1], meant[-1]} in ({"a", "i"}, {"a", "y"}, {"a", "o"}, {"a", "e"})
    if written + "a" == meant:
        return meant != family or meant.endswith(("ova", "eva", "ina", "yna"))
    return written == meant + "a"


def typing_errors(written: str, meant: str, *, family: bool) -> int | None:
    """Count the edits of a likely misspelling; None where it is likelier another name.

    Most names a letter apart are two people's: Marta and Maria, Jinho and Minho, Zhang and Zheng,
    Takashi and Takeshi. So a misspelling begins right and is one of these: the same sound in
    other letters, two letters swapped, a letter doubled; in a long token also one left out or put
    in, and in a very long one any. Given names of Chinese or Korean syllables are exact but for
    `ks` and a last `y`, and so is the end of a given name, which tells Gabriel from Gabriele.
    """
    if written == meant:
        return 0
    if not written or written[0] != meant[0] or min(len(written), len(meant)) < SHORTEST_MISSPELT:
        return None
    if not family and _SYLLABLES.fullmatch(meant):
        same = re.sub("y$", "i", written.replace("ks", "x")) == re.sub(
            "y$", "i", meant.replace("ks", "x")
        )
        return 1 if same else None
    if not family and (written[-1] == "a") != (meant[-1] == "a"):
        return None
    if _sound(written) == _sound(meant):
        return 1
    edits = edits_between(written, meant, most=most_edits(meant))
    if edits is None or (edits == 1 and not _is_slip(written, meant, family=family)):
        return None
    return edits


def _sound(word: str) -> str:
    """Write letters that stand for one sound the same; a doubled letter is one."""
    for letters, sound in _SAME_SOUND:
        word = word.replace(letters, sound)
    return "".join(c for at, c in enumerate(word) if at == 0 or word[at - 1] != c)


def _is_slip(written: str, meant: str, *, family: bool) -> bool:
    """Whether one edit is a slip of the finger in a token of this length."""
    start = next((i for i, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b), None)
    start = min(len(written), len(meant)) if start is None else start
    swapped = sorted(written) == sorted(meant)
    if swapped or len(meant) >= VERY_LONG:
        return True
    at_the_end = start >= min(len(written), len(meant)) - (len(written) == len(meant))
    one_more_or_less = len(written) != len(meant) and len(meant) >= LONG
    return one_more_or_less and (family or not at_the_end)


@dataclass(frozen=True)
class NameMatch:
    """How well a spelling fits a roster name, and why.

    `score` is 0 where it does not; 100 is the same name, 60 an initial with the family name.
    """

    score: float
    matched: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    edits: int = 0

    def __bool__(self) -> bool:
        return self.score > 0


NO_MATCH = NameMatch(0.0)


@dataclass(frozen=True)
class FoundName:
    """A name found among other tokens: which positions it takes and which of them it explains."""

    match: NameMatch
    start: int
    end: int
    positions: frozenset[int]


@dataclass(frozen=True)
class _Unit:
    """One token of a roster name; `place` is where it stands in the name."""

    letters: str
    place: int
    optional: bool
    family: bool


_Kind = Literal["same", "typo", "initial", "spelt_out"]


@dataclass(frozen=True)
class _Step:
    """Units and tokens that are each other's spelling."""

    units: tuple[_Unit, ...]
    tokens: tuple[int, ...]
    kind: _Kind
    edits: int = 0


@dataclass(frozen=True)
class _Path:
    """A way to lay a roster name over tokens."""

    steps: tuple[_Step, ...] = ()
    missing: tuple[_Unit, ...] = ()
    extra: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Surroundings:
    """The tokens searched; no name goes on over a `breaks`, no middle name stands in `barred`."""

    tokens: Sequence[str]
    breaks: Collection[int] = frozenset()
    barred: Collection[int] = frozenset()
    lax: bool = False


@lru_cache(maxsize=4096)
def _units(name: str) -> tuple[_Unit, ...]:
    """Split a roster name; the last token outside brackets is the family name.

    Single letters in a row are one token: the literal `J J Jun Li Bui` is called JJ.
    """
    parts: list[tuple[str, bool]] = []
    depth = 0
    comma_at: int | None = None
    for part in _NAME_PART.findall(fold(name)):
        if part in OPENING_BRACKETS:
            depth += 1
        elif part in CLOSING_BRACKETS:
            depth = max(0, depth - 1)
        elif part == ",":
            comma_at = len(parts) if comma_at is None else comma_at
        elif part not in GENERATIONS:
            parts.append((_HYPHEN.sub("", part), depth > 0))
    if comma_at:
        parts = parts[comma_at:] + parts[:comma_at]
    joined: list[tuple[str, bool]] = []
    previous_single = False
    for letters, optional in parts:
        single = len(letters) == 1 and not optional
        if single and previous_single:
            joined[-1] = (joined[-1][0] + letters, False)
        else:
            joined.append((letters, optional))
        previous_single = single
    outside = [place for place, (_, optional) in enumerate(joined) if not optional]
    family = outside[-1] if outside else -1
    return tuple(_Unit(w, place, opt, place == family) for place, (w, opt) in enumerate(joined))


@lru_cache(maxsize=4096)
def _orders(name: str) -> tuple[tuple[_Unit, ...], ...]:
    """Orders in which a name's tokens are written: rotations, or any where one is in brackets."""
    units = _units(name)
    if any(unit.optional for unit in units) and len(units) <= 4:
        return tuple(permutations(units))
    return tuple(units[at:] + units[:at] for at in range(len(units)))


def _step_kind(token: str, unit: _Unit, *, lax: bool) -> tuple[_Kind, int] | None:
    if token == unit.letters:
        return "same", 0
    if lax:
        most = max(most_edits(unit.letters), int(len(unit.letters) > 1))
        edits = edits_between(token, unit.letters, most=most)
    else:
        edits = typing_errors(token, unit.letters, family=unit.family)
    if edits is not None and len(token) > 1:
        return "typo", edits
    if unit.family or token[0] != unit.letters[0]:
        return None
    if len(token) == 1:
        return "initial", 0
    return ("spelt_out", 0) if len(unit.letters) == 1 and token.isalpha() else None


def _steps_at(around: _Surroundings, at: int, order: Sequence[_Unit]) -> Iterator[_Step]:
    """Every way to match the first of `order` with what stands at `at`."""
    tokens = around.tokens
    kind = _step_kind(tokens[at], order[0], lax=around.lax)
    if kind is not None:
        yield _Step((order[0],), (at,), *kind)
    letters = tokens[at]
    for end in range(at + 1, min(at + MOST_JOINED_TOKENS, len(tokens))):
        if end in around.breaks:
            break
        letters += tokens[end]
        if letters == order[0].letters:
            yield _Step((order[0],), tuple(range(at, end + 1)), "same")
    for count in range(2, min(MOST_JOINED_TOKENS, len(order)) + 1):
        units = tuple(order[:count])
        in_a_row = all(b.place == a.place + 1 for a, b in pairwise(units))
        # `DeSantis` joins a particle to the family name, as nothing else is joined to it.
        joins_family = any(unit.family for unit in units)
        if (joins_family and any(u.letters not in PARTICLES for u in units[:-1])) or not in_a_row:
            break
        if tokens[at] == "".join(unit.letters for unit in units):
            yield _Step(units, (at,), "same")


def _paths(
    around: _Surroundings, at: int, order: Sequence[_Unit], path: _Path
) -> Iterator[tuple[int, _Path]]:
    """Every way to lay `order` over the tokens from `at`; a path ends with a matched token."""
    if not order:
        yield at, path
        return
    if not order[0].family:
        missing = _Path(path.steps, (*path.missing, order[0]), path.extra)
        yield from _paths(around, at, order[1:], missing)
    if at >= len(around.tokens) or (path.steps and at in around.breaks):
        return
    for step in _steps_at(around, at, order):
        longer = _Path((*path.steps, step), path.missing, path.extra)
        yield from _paths(around, step.tokens[-1] + 1, order[len(step.units) :], longer)
    if path.steps and at not in around.barred and len(path.extra) < 2:
        extra = _Path(path.steps, path.missing, (*path.extra, at))
        yield from _paths(around, at + 1, order, extra)


def _score(path: _Path, tokens: Sequence[str]) -> float:
    """Score a path; 0 where the rules do not let it be the name.

    A surname alone never decides: the family name and another, different token must be there. An
    inexact spelling excuses nothing else: with a typo no token is missing and none is extra.
    """
    family = next(step for step in path.steps if any(unit.family for unit in step.units))
    family_name = next(unit.letters for unit in family.units if unit.family)
    others = [step for step in path.steps if step is not family]
    words = [
        step
        for step in others
        if step.kind in ("same", "typo")
        and len(letters := "".join(unit.letters for unit in step.units)) > 1
        and letters != family_name
    ]
    edits = sum(step.edits for step in path.steps)
    extra_words = sum(len(tokens[at]) > 1 for at in path.extra)
    extra_initials = len(path.extra) - extra_words
    abbreviated = sum(step.kind == "initial" for step in others)
    missing_initials = sum(len(unit.letters) == 1 for unit in path.missing)
    by_other_name = any(unit.optional for step in words for unit in step.units)
    missing = sum(
        len(unit.letters) > 1 and not unit.optional and not by_other_name for unit in path.missing
    )
    # Where names are syllables, `Hyun Jin Choi` is not Hyun Choi, nor `Su Kim` Su Yeon Kim.
    if any(len(tokens[at]) > 1 and _ONE_SYLLABLE.fullmatch(tokens[at]) for at in path.extra):
        return 0.0
    cut = any(
        len(unit.letters) > 1 and not unit.optional and _ONE_SYLLABLE.fullmatch(unit.letters)
        for unit in path.missing
        if unit.letters not in PARTICLES
    )
    written = ("".join(tokens[at] for at in step.tokens) for step in words)
    if cut and not by_other_name and all(_ONE_SYLLABLE.fullmatch(word) for word in written):
        return 0.0
    if edits > MOST_EDITS or extra_words > 1 or (extra_initials and missing_initials):
        return 0.0
    if not words:
        plain = not (edits or path.extra)
        return (
            SCORE_OF_INITIALS_ONLY
            if plain and any(len(tokens[s.tokens[0]]) == 1 for s in others)
            else 0.0
        )
    if (missing and (edits or extra_words or abbreviated)) or (edits and extra_words):
        return 0.0
    spelt_out = sum(step.kind == "spelt_out" for step in others)
    cost = (
        COST_PER_EDIT * edits
        + COST_OF_MISSING_TOKEN * missing
        + COST_OF_EXTRA_TOKEN * extra_words
        + COST_OF_ABBREVIATED_TOKEN * abbreviated
        + COST_OF_MIDDLE_INITIAL * (missing_initials + extra_initials + spelt_out)
    )
    return max(0.0, 100.0 - cost)


def _as_match(path: _Path, score: float, tokens: Sequence[str]) -> NameMatch:
    return NameMatch(
        score=score,
        matched=tuple(
            (
                " ".join(tokens[at] for at in step.tokens),
                " ".join(unit.letters for unit in step.units),
            )
            for step in path.steps
        ),
        missing=tuple(unit.letters for unit in path.missing if not unit.optional),
        extra=tuple(tokens[at] for at in path.extra),
        edits=sum(step.edits for step in path.steps),
    )


def _family_is_near(tokens: Sequence[str], name: str, *, lax: bool) -> bool:
    """Rule most names out quickly: without the family name there is nothing to lay."""
    family = next((unit for unit in _units(name) if unit.family), None)
    if family is None:
        return False
    letters = family.letters
    most = max(most_edits(letters), int(lax))
    if any(edits_between(token, letters, most=most) is not None for token in tokens):
        return True
    if any(token.endswith(letters) for token in tokens):
        return True
    # A token that starts the family name may be a part of it: `Mc Donald`, `Garcia-Garcia`.
    return any(letters.startswith(token) and len(token) < len(letters) for token in tokens)


def find_name(
    tokens: Sequence[str],
    name: str,
    *,
    breaks: Collection[int] = frozenset(),
    barred: Collection[int] = frozenset(),
    lax: bool = False,
) -> list[FoundName]:
    """Find a roster name among folded tokens.

    Args:
        tokens: folded tokens, hyphenated words split.
        name: the name as the roster writes it.
        breaks: positions before which a name ends, such as a dash.
        barred: positions whose token is no middle name, whatever stands around it.
        lax: allow a typo in short tokens too; to see whether somebody else may be meant.

    Returns:
        The best match for every stretch of tokens that can be read as the name.
    """
    if not _family_is_near(tokens, name, lax=lax):
        return []
    around = _Surroundings(tokens, breaks, barred, lax)
    best: dict[tuple[int, int], FoundName] = {}
    for order in _orders(name):
        for start in range(len(tokens)):
            for end, path in _paths(around, start, order, _Path()):
                if not path.steps or path.steps[-1].tokens[-1] != end - 1:
                    continue
                score = _score(path, tokens)
                known = best.get((start, end))
                if score and (known is None or score > known.match.score):
                    positions = frozenset(at for step in path.steps for at in step.tokens)
                    match = _as_match(path, score, tokens)
                    best[start, end] = FoundName(match, start, end, positions)
    return list(best.values())


def _candidate_tokens(candidate: str) -> tuple[list[str], set[int]]:
    """Split a spelling at hyphens too; the second value tells which tokens are in brackets."""
    tokens: list[str] = []
    bracketed: set[int] = set()
    depth = 0
    for part in _NAME_PART.findall(fold(candidate)):
        if part in OPENING_BRACKETS:
            depth += 1
        elif part in CLOSING_BRACKETS:
            depth = max(0, depth - 1)
        elif part != ",":
            for word in _HYPHEN.split(part):
                if depth:
                    bracketed.add(len(tokens))
                tokens.append(word)
    return tokens, bracketed


def _whole_match(tokens: Sequence[str], roster_name: str) -> NameMatch:
    barred = {at for at, token in enumerate(tokens) if not is_middle_name(token)}
    found = find_name(tokens, roster_name, barred=barred)
    whole = [f.match for f in found if f.start == 0 and f.end == len(tokens)]
    return max(whole, key=lambda match: match.score, default=NO_MATCH)


def is_middle_name(token: str) -> bool:
    """Whether a token may be somebody's middle name or initial."""
    return token.isalpha() and (len(token) == 1 or token not in CONNECTORS)


def compare_names(candidate: str, roster_name: str) -> NameMatch:
    """Compare a spelling with a roster name.

    The family name may stand first or last, bracketed names are optional, given names may be
    joined, split or hyphenated, a token may be slightly misspelt, a middle name may be extra. The
    last token of the roster name and another, different one must be there; an initial with the
    family name scores 60.

    Args:
        candidate: the spelling, nothing but a name.
        roster_name: the name as the roster writes it, given names first or `Family, Given`.

    Returns:
        The score, 0 to 100, and what it rests on.
    """
    tokens, bracketed = _candidate_tokens(candidate)
    match = _whole_match(tokens, roster_name)
    if match or not bracketed:
        return match
    outside = [token for at, token in enumerate(tokens) if at not in bracketed]
    without = _whole_match(outside, roster_name)
    if not without or without.missing or without.edits or without.extra:
        return NO_MATCH
    return NameMatch(
        score=max(0.0, without.score - COST_OF_EXTRA_TOKEN),
        matched=without.matched,
        extra=tuple(tokens[at] for at in sorted(bracketed)),
    )
