"""Marks that jurors gave: reading a file of them, averaging them, and how far jurors agree.

What belongs here: the file's grammar, means per performer and round, and the noise ceiling (one
juror against the mean of the others). What does not: who took part (`roster`), how spellings of a
name compare (`names`), and pairs of recordings (`preferences`).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl
from pydantic import BaseModel, ConfigDict, Field
from rapidfuzz import fuzz, process

from data_collection.competition.names import compare_names, fold, normalised_name
from data_collection.competition.titles import MIN_MARGIN, THRESHOLD
from data_collection.recordings.errors import CatalogueError

REQUIRED_COLUMNS = ("juror", "competitor", "round", "mark")
VOTE_COLUMNS = ("advance", "yes")
"""Two names of one optional column: whether the juror wants the competitor in the next round."""
DELIMITERS = ",;\t"
LARGEST_MARK = 10_000.0
"""Scales end at 10, 25 or 100; a larger number is a slip, such as a lost decimal sign."""
FEWEST_COMPARED = 3
"""A rank correlation over fewer competitors is 1 or -1 whatever the jurors think."""

_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_NO_ENTRY = frozenset(["", "s", "-", "–", "—", "−"])
_YES = frozenset(["yes", "y", "true", "1", "tak"])
_NO = frozenset(["no", "n", "false", "0", "nie"])
_DECIMALS = 6
"""Means are rounded, so that equal ones tie however floating point added them up."""


class JuryMarksError(CatalogueError):
    """The file of marks cannot be used; the message names the file, the line and what to do."""


class JuryMark(BaseModel):
    """What one juror gave one performer in one round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    juror: str = Field(min_length=1, description="name as the file writes it first")
    performer: str = Field(min_length=1, description="name as the roster writes it")
    round: str = Field(min_length=1, description="id of the round")
    mark: float | None = Field(
        ge=-LARGEST_MARK,
        le=LARGEST_MARK,
        allow_inf_nan=False,
        description="on the competition's own scale; null where the juror did not mark",
    )
    advance: bool | None = Field(
        default=None, description="the juror's vote for the next round; null where not given"
    )


class MeanMark(BaseModel):
    """A performer's marks of a round, averaged in two ways.

    `mean` is what a competition publishes. It moves with who marked: where a strict juror skips
    his own student, that student's mean rises. `standardised_mean` first puts every juror's marks
    of the round on one scale (mean 0, standard deviation 1 over those he marked), so that severity
    and spread of a juror cancel and rounds with different scales compare. With few competitors it
    says little more than their order: of two, they are always 1 and -1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    round: str = Field(description="id of the round")
    performer: str = Field(description="name as the roster writes it")
    jurors: int = Field(ge=1, description="how many jurors marked")
    mean: float = Field(description="mean of the marks, on the competition's own scale")
    standardised_jurors: int = Field(
        ge=0, description="of those, how many gave more than one mark in the round"
    )
    standardised_mean: float | None = Field(
        description="mean of the jurors' z-scores within the round; null where nobody has one"
    )


class JurorAgreement(BaseModel):
    """One juror against the mean of the others, in one round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    round: str = Field(description="id of the round")
    juror: str = Field(description="name as the file writes it")
    competitors: int = Field(ge=0, description="marked by this juror and by another one")
    spearman: float | None = Field(
        ge=-1,
        le=1,
        description="rank correlation; null under three competitors or where one side is constant",
    )


class NoiseCeiling(BaseModel):
    """How well a juror agrees with the others: no model can be expected to agree better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    round: str | None = Field(description="id of the round; null for all rounds together")
    spearman: float | None = Field(description="mean over the jurors; null without any")
    spearman_sd: float | None = Field(
        description="standard deviation between the jurors; null under two"
    )
    jurors: int = Field(ge=0, description="how many jurors the mean is of")
    not_assessable: int = Field(
        ge=0, description="jurors with fewer than three common competitors, or constant marks"
    )
    competitors: int = Field(ge=0, description="performers (of each round) marked by two or more")


class MarkedCompetitor(Protocol):
    """Anyone who can be marked; a row of the roster is one."""

    @property
    def performer(self) -> str:
        """Name as the competition writes it."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other spellings."""
        ...

    @property
    def stages_performed(self) -> tuple[str, ...]:
        """Ids of the rounds played."""
        ...


class NamedRound(Protocol):
    """A round by its names; a round of an edition is one."""

    @property
    def id(self) -> str:
        """Id of the round."""
        ...

    @property
    def title_words(self) -> tuple[str, ...]:
        """What else it is called."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of the file, as written."""

    where: str
    juror: str
    competitor: str
    round: str
    mark: str
    advance: str


def read_jury_marks(
    path: Path, competitors: Sequence[MarkedCompetitor], rounds: Sequence[NamedRound]
) -> tuple[JuryMark, ...]:
    """Read and validate a file of marks.

    A CSV with `juror, competitor, round, mark` and optionally `advance` (or `yes`), divided by
    commas, semicolons or tabs, in UTF-8 with or without a byte order mark. A mark is `21.5` or
    `21,5`; blank, `s` or a dash says that the juror did not mark, as one does with an own student.
    A round goes by its id or one of its title words, a competitor by any spelling that fits one
    person of the roster only. A juror's spellings that differ in case, accents or spaces are one
    juror; the first is kept. A line said twice counts once.

    Args:
        path: the file.
        competitors: the roster.
        rounds: the edition's rounds.

    Returns:
        The marks in the file's order. Those not given are kept with a null where the competitor
        played the round, and dropped where not.

    Raises:
        JuryMarksError: for a file that cannot be read or has no marks, a missing column, a name
            or round that is unknown or ambiguous, a mark that is no number, two marks for one
            thing, or a mark for a round that the competitor did not play.
    """
    roster = _Roster(competitors)
    round_ids = _round_ids(rounds)
    juror_names: dict[str, str] = {}
    kept: dict[tuple[str, str, str], tuple[JuryMark, _Entry]] = {}
    for entry in _entries(path):
        competitor = roster.find(entry.competitor, entry.where)
        mark = JuryMark(
            juror=juror_names.setdefault(_folded(entry.juror), entry.juror),
            performer=competitor.performer,
            round=_round_id(entry, round_ids),
            mark=_mark(entry),
            advance=_advance(entry),
        )
        if mark.round not in competitor.stages_performed:
            _require_blank(mark, competitor, entry)
            continue
        first, first_entry = kept.setdefault(
            (mark.juror, mark.performer, mark.round), (mark, entry)
        )
        if first != mark:
            raise JuryMarksError(
                f"{entry.where}: {mark.juror} gives {mark.performer} in {mark.round} "
                f"{_written(entry)}, but {_written(first_entry)} earlier ({first_entry.where}); "
                "keep one of the lines"
            )
    marks = tuple(mark for mark, _ in kept.values())
    if not any(mark.mark is not None for mark in marks):
        raise JuryMarksError(f"jury marks {path}: no mark in it; leave the file out of the edition")
    return marks


def mean_marks(marks: Iterable[JuryMark]) -> tuple[MeanMark, ...]:
    """Average each performer's marks of each round.

    Returns:
        A row for each performer and round with at least one mark, sorted by round and performer.
    """
    own_scale = ("round", "juror")
    spread = pl.col("mark").std(ddof=0).over(own_scale)
    varied = (pl.col("mark").n_unique().over(own_scale) > 1) & (spread > 0)
    z_score = (pl.col("mark") - pl.col("mark").mean().over(own_scale)) / spread
    rows = (
        _given(marks)
        .with_columns(z_score=pl.when(varied).then(z_score))
        .group_by("round", "performer")
        .agg(
            jurors=pl.len(),
            mean=_rounded(pl.col("mark").mean()),
            standardised_jurors=pl.col("z_score").count(),
            standardised_mean=_rounded(pl.col("z_score").mean()),
        )
        .sort("round", "performer")
    )
    return tuple(MeanMark.model_validate(row) for row in rows.iter_rows(named=True))


def marks_for_margins(means: Iterable[MeanMark]) -> dict[tuple[str, str], float]:
    """Choose the mean that margins between two performers are taken of: the standardised one.

    A margin should not depend on which jurors happened to skip one of the two, and should mean the
    same in every round and edition: its unit is a juror's own standard deviation.

    Returns:
        The mean by (round, performer), where there is one.
    """
    return {
        (mean.round, mean.performer): mean.standardised_mean
        for mean in means
        if mean.standardised_mean is not None
    }


def juror_agreements(marks: Iterable[JuryMark]) -> tuple[JurorAgreement, ...]:
    """Correlate each juror with the mean of the others, by Spearman with ties at their mean rank.

    The others' mean is the raw one, as a competition adds it up, over those who marked the same
    performer in the same round.

    Returns:
        A row for each round and juror with at least one mark, sorted by both.
    """
    item = ("round", "performer")
    jurors = pl.len().over(item)
    others = (pl.col("mark").sum().over(item) - pl.col("mark")) / (jurors - 1)
    common = pl.col("others").is_not_null()
    mark, mean = pl.col("mark").filter(common), pl.col("others").filter(common)
    varied = (mark.n_unique() > 1) & (mean.n_unique() > 1)
    rows = (
        _given(marks)
        .with_columns(others=pl.when(jurors > 1).then(_rounded(others)))
        .group_by("round", "juror")
        .agg(
            competitors=common.sum(),
            spearman=pl.when(varied & (common.sum() >= FEWEST_COMPARED)).then(
                pl.corr(mark, mean, method="spearman").clip(-1, 1)
            ),
        )
        .sort("round", "juror")
    )
    return tuple(JurorAgreement.model_validate(row) for row in rows.iter_rows(named=True))


def noise_ceilings(marks: Iterable[JuryMark]) -> tuple[NoiseCeiling, ...]:
    """Average the jurors' agreement, a round at a time and over all rounds.

    Over all rounds a juror counts once, with the mean of his rounds weighted by the competitors
    compared. Rounds are not pooled into one ranking: their marks start anew, and the difference
    between two rounds would pass for agreement.

    Returns:
        A row for each round, sorted, then one with round null for all of them.
    """
    marks = tuple(marks)
    compared = _compared_performers(marks)
    by_round: dict[str, list[float | None]] = defaultdict(list)
    by_juror: dict[str, list[JurorAgreement]] = defaultdict(list)
    for agreement in juror_agreements(marks):
        by_round[agreement.round].append(agreement.spearman)
        by_juror[agreement.juror].append(agreement)
    return (
        *(_ceiling(round_id, found, compared[round_id]) for round_id, found in by_round.items()),
        _ceiling(None, [_over_rounds(a) for a in by_juror.values()], sum(compared.values())),
    )


def _compared_performers(marks: Iterable[JuryMark]) -> Mapping[str, int]:
    """How many performers of each round have marks of two jurors or more."""
    counts = _given(marks).group_by("round", "performer").len().filter(pl.col("len") > 1)
    return defaultdict(int, counts.group_by("round").len().iter_rows())


def _over_rounds(agreements: Sequence[JurorAgreement]) -> float | None:
    """A juror's coefficients, averaged with the number of competitors as weight."""
    found = [(a.spearman, a.competitors) for a in agreements if a.spearman is not None]
    weight = sum(competitors for _, competitors in found)
    return sum(spearman * n for spearman, n in found) / weight if weight else None


def _ceiling(
    round_id: str | None, coefficients: Sequence[float | None], competitors: int
) -> NoiseCeiling:
    found = pl.Series([value for value in coefficients if value is not None], dtype=pl.Float64())
    mean, deviation = found.mean(), found.std()
    return NoiseCeiling(
        round=round_id,
        spearman=mean if isinstance(mean, float) else None,
        spearman_sd=deviation if isinstance(deviation, float) else None,
        jurors=found.len(),
        not_assessable=len(coefficients) - found.len(),
        competitors=competitors,
    )


def _given(marks: Iterable[JuryMark]) -> pl.DataFrame:
    """The marks that were given, one row each; sorted, so that no sum depends on their order."""
    rows = [(m.round, m.performer, m.juror, m.mark) for m in marks if m.mark is not None]
    schema = {
        "round": pl.String(),
        "performer": pl.String(),
        "juror": pl.String(),
        "mark": pl.Float64(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row").sort("round", "performer", "juror")


def _rounded(value: pl.Expr) -> pl.Expr:
    """Rounded, and without the negative zero that rounding may leave."""
    return value.round(_DECIMALS) + 0.0


class _Roster:
    """Finds the one competitor whom a spelling means."""

    def __init__(self, competitors: Sequence[MarkedCompetitor]) -> None:
        self._competitors = competitors
        self._by_tokens: dict[str, list[MarkedCompetitor]] = defaultdict(list)
        for competitor in competitors:
            for tokens in {_tokens(name) for name in (competitor.performer, *competitor.aliases)}:
                self._by_tokens[tokens].append(competitor)
        self._found: dict[str, MarkedCompetitor] = {}

    def find(self, spelling: str, where: str) -> MarkedCompetitor:
        """Find a competitor.

        Raises:
            JuryMarksError: the spelling fits nobody, or more than one.
        """
        if spelling not in self._found:
            self._found[spelling] = self._one(spelling, where)
        return self._found[spelling]

    def _one(self, spelling: str, where: str) -> MarkedCompetitor:
        exact = self._by_tokens.get(_tokens(spelling), [])
        if len(exact) == 1:
            return exact[0]
        ranked = sorted(
            ((_best_score(spelling, c), c) for c in self._competitors), key=lambda pair: -pair[0]
        )
        likely = [(score, c) for score, c in ranked if score >= THRESHOLD]
        if not likely:
            raise JuryMarksError(
                f"{where}: {spelling!r} is nobody on the roster (nearest: "
                f"{', '.join(self._nearest(spelling)) or 'none'}); write the whole name, or add "
                "the spelling to the roster's aliases"
            )
        rivals = [c for score, c in likely if likely[0][0] - score < MIN_MARGIN]
        if len(rivals) > 1:
            raise JuryMarksError(
                f"{where}: {spelling!r} may be {' or '.join(c.performer for c in rivals)}; write "
                "the name as the roster does"
            )
        return rivals[0]

    def _nearest(self, spelling: str) -> list[str]:
        """The three names most like a spelling, for a person to look at; never used to match."""
        names = {c.performer: normalised_name(c.performer) for c in self._competitors}
        found = process.extract(
            normalised_name(spelling), names, scorer=fuzz.token_set_ratio, limit=3
        )
        return [name for _, _, name in found]


def _best_score(spelling: str, competitor: MarkedCompetitor) -> float:
    names = (competitor.performer, *competitor.aliases)
    return max(compare_names(spelling, name).score for name in names)


def _tokens(name: str) -> str:
    """A name's plain tokens in any order."""
    return " ".join(sorted(normalised_name(name).split()))


def _folded(text: str) -> str:
    return " ".join(fold(text).split())


def _round_ids(rounds: Sequence[NamedRound]) -> dict[str, list[str]]:
    """Ids of the rounds that each folded id or title word may mean; an id means itself only."""
    meant: dict[str, list[str]] = defaultdict(list)
    for round_ in rounds:
        for word in {_folded(word) for word in round_.title_words}:
            meant[word].append(round_.id)
    return {**meant, **{_folded(round_.id): [round_.id] for round_ in rounds}}


def _round_id(entry: _Entry, round_ids: Mapping[str, Sequence[str]]) -> str:
    meant = round_ids.get(_folded(entry.round), ())
    if len(meant) == 1:
        return meant[0]
    problem = f"may be {' or '.join(meant)}" if meant else "is no round of the edition"
    raise JuryMarksError(
        f"{entry.where}: {entry.round!r} {problem}; a round is one of {', '.join(round_ids)}"
    )


def _mark(entry: _Entry) -> float | None:
    if _folded(entry.mark) in _NO_ENTRY:
        return None
    mark = float(entry.mark.replace(",", ".")) if _NUMBER.fullmatch(entry.mark) else math.nan
    if abs(mark) <= LARGEST_MARK:
        return mark
    raise JuryMarksError(
        f"{entry.where}: mark {entry.mark[:40]!r} is no number up to {LARGEST_MARK:g}, such as "
        "21.5 or 21,5; leave it blank where the juror did not mark"
    )


def _advance(entry: _Entry) -> bool | None:
    vote = _folded(entry.advance)
    if vote in _NO_ENTRY:
        return None
    if vote in _YES or vote in _NO:
        return vote in _YES
    raise JuryMarksError(f"{entry.where}: vote {entry.advance[:40]!r} is neither yes nor no")


def _require_blank(mark: JuryMark, competitor: MarkedCompetitor, entry: _Entry) -> None:
    """Accept a line of a round that was not played only where it says nothing."""
    if mark.mark is None and mark.advance is None:
        return
    raise JuryMarksError(
        f"{entry.where}: {mark.juror} gives {mark.performer} {_written(entry)} in {mark.round}, "
        f"which {mark.performer} did not play (played: "
        f"{', '.join(competitor.stages_performed) or 'nothing'}); mend the line, or the roster"
    )


def _written(entry: _Entry) -> str:
    """What a line gives, as written."""
    return repr(f"{entry.mark} {entry.advance}".strip() or "blank")


def _entries(path: Path) -> Iterator[_Entry]:
    """The file's lines that say anything, every cell stripped.

    Raises:
        JuryMarksError: the file cannot be read, or is not a table with the columns.
    """
    text = _text(path)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [_folded(cell) for cell in next(reader, [])]
        at = _column_places(path, columns)
        for row in reader:
            cells = [" ".join(cell.split()) for cell in row]
            if not any(cells):
                continue
            where = f"jury marks {path}, line {reader.line_num}"
            if len(cells) != len(columns):
                raise JuryMarksError(
                    f"{where}: {len(cells)} cells under {len(columns)} columns; a cell that holds "
                    f"{delimiter!r}, as the mark 21,5 may, stands in double quotes"
                )
            yield _entry(where, {name: cells[place] for name, place in at.items()})
    except csv.Error as error:
        raise JuryMarksError(
            f"jury marks {path}, line {reader.line_num}: not CSV ({error})"
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise JuryMarksError(f"jury marks {path}: not UTF-8 ({error}); save it as UTF-8") from error
    except OSError as error:
        raise JuryMarksError(
            f"jury marks {path}: {error.strerror or error}; mend the edition's `jury_marks`"
        ) from error


def _delimiter(text: str) -> str:
    """The sign that divides the first line into most cells."""
    header = text.split("\n", 1)[0]
    return max(DELIMITERS, key=header.count)


def _column_places(path: Path, columns: Sequence[str]) -> dict[str, int]:
    """Where each column that is read stands.

    Raises:
        JuryMarksError: one is missing or stands twice.
    """
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise JuryMarksError(
            f"jury marks {path}: no column {', '.join(missing)} "
            f"(found: {', '.join(filter(None, columns)) or 'none'})"
        )
    wanted = (*REQUIRED_COLUMNS, *VOTE_COLUMNS)
    places = {name: columns.index(name) for name in wanted if name in columns}
    twice = [name for name in places if columns.count(name) > 1]
    if twice or all(name in places for name in VOTE_COLUMNS):
        raise JuryMarksError(
            f"jury marks {path}: column {', '.join(twice or VOTE_COLUMNS)} stands twice; keep one"
        )
    return places


def _entry(where: str, cells: Mapping[str, str]) -> _Entry:
    blank = [name for name in ("juror", "competitor", "round") if not cells[name]]
    if blank:
        raise JuryMarksError(f"{where}: {', '.join(blank)} is blank; every line names all three")
    return _Entry(
        where=where,
        juror=cells["juror"],
        competitor=cells["competitor"],
        round=cells["round"],
        mark=cells["mark"],
        advance=next((cells[name] for name in VOTE_COLUMNS if name in cells), ""),
    )
