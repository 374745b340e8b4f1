"""What of T3's alignments is there, and what each is worth.

What belongs here: the rows of `aligned_pairs.jsonl` beside the maps of `alignments.parquet`, and
which of them say that two recordings are different music. What does not: making them
(`alignment_stage`).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from data_collection.maestro.alignment import TimeMap, time_map_table
from data_collection.maestro.stored import ALIGNMENTS, FOLDER, read_alignments
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.store import Store, StoredFile

ALIGNED_PAIRS = f"{FOLDER}/aligned_pairs.jsonl"
CONFIDENT = 0.5
"""As `PairRules.min_alignment_confidence`: clips at knots below it are in no pair."""
DOUBTFUL = 0.5
"""A pair of a lower median confidence is likely of different music. Measured: 20 performances of
the Vienna 4x22 corpus on two sound banks, and the 10 of the sample. Median confidence of 58 pairs
of one piece 0.60 to 0.97 (0.51 if a part is sought), of 177 of different ones 0 to 0.44 (0.46). One
that plays the whole piece twice has 0 with one that plays it once, but a third of its knots above
`CONFIDENT`; half of it twice, 0.5 to 0.66."""


class AlignedPair(BaseModel):
    """A row of `aligned_pairs.jsonl`: what one of the maps in `alignments.parquet` is worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str = Field(description="recording id")
    second: str = Field(description="recording id, sorted after the first")
    works: tuple[str, ...] = Field(description="works that both hold")
    part: bool = Field(description="one holds more than the other, and the other was sought in it")
    median_confidence: float = Field(ge=0, le=1, description="of the knots of the map")
    confident_share: float = Field(ge=0, le=1, description="share of the knots above 0.5")
    knots: int = Field(gt=0, description="of the map, about one a second of what was aligned")
    first_duration_s: float = Field(gt=0, description="of the audio, in seconds")
    second_duration_s: float = Field(gt=0, description="of the audio, in seconds")
    first_audio_sha256: str = Field(description="hash of the stored FLAC that was aligned")
    second_audio_sha256: str = Field(description="the same of the second")
    code_version: str = Field(description="of the alignment")

    @property
    def key(self) -> tuple[str, str]:
        """By which its map is found."""
        return self.first, self.second

    @property
    def audio_s(self) -> float:
        """Mean duration of the two, in seconds."""
        return (self.first_duration_s + self.second_duration_s) / 2


def read_aligned_pairs(store: Store) -> list[AlignedPair]:
    """Read `aligned_pairs.jsonl`, sorted by the recordings' ids.

    Raises:
        SetupError: it has not been made, or a line is broken.
    """
    return read_rows(store, ALIGNED_PAIRS, AlignedPair)


def doubtful_pairs(rows: Iterable[AlignedPair]) -> list[AlignedPair]:
    """Pairs that are likely of different music, the least confident first."""
    found = [row for row in rows if row.median_confidence < DOUBTFUL]
    return sorted(found, key=lambda row: (row.median_confidence, row.key))


def suspects(rows: Iterable[AlignedPair]) -> list[tuple[str, int, int]]:
    """Recordings of which most pairs are doubtful: it is their works that are wrong.

    Returns:
        Recording id, its doubtful pairs, all its pairs (two or more); the most doubtful first. The
        two of a doubtful pair that have no other are not told apart, and not in it.
    """
    aligned = [*rows]
    pairs = Counter(recording for row in aligned for recording in row.key)
    doubtful = Counter(one for row in doubtful_pairs(aligned) for one in row.key)
    found = [(one, doubtful[one], n) for one, n in pairs.items() if n > 1 and 2 * doubtful[one] > n]
    return sorted(found, key=lambda row: (-row[1] / row[2], -row[1], row[0]))


class AlignmentBook:
    """The maps of all aligned pairs and their rows; a row has a map, and a map a row.

    Attributes:
        rows: by the ids of both recordings, in the order in which they were aligned.
        maps: likewise.
    """

    def __init__(
        self,
        rows: Iterable[AlignedPair] = (),
        maps: Mapping[tuple[str, str], TimeMap] | None = None,
    ) -> None:
        """Begin with what was aligned before; rows without a map are left out."""
        known = maps or {}
        self.rows = {row.key: row for row in rows if row.key in known}
        self.maps = {key: known[key] for key in self.rows}

    def add(self, row: AlignedPair, time_map: TimeMap) -> None:
        """Enter a pair that has been aligned."""
        self.rows[row.key] = row
        self.maps[row.key] = time_map

    def sorted_rows(self) -> tuple[AlignedPair, ...]:
        """All rows, by the recordings' ids."""
        return tuple(sorted(self.rows.values(), key=lambda row: row.key))

    def save(self, store: Store) -> StoredFile:
        """Write both files; maps first, so that a kill between them costs rows and no map.

        Returns:
            `alignments.parquet`, as stored.

        Raises:
            SetupError: no room is left.
        """
        buffer = io.BytesIO()
        time_map_table(self.maps).write_parquet(buffer)
        table = store.write_bytes(ALIGNMENTS, buffer.getvalue())
        write_rows(store, ALIGNED_PAIRS, self.sorted_rows())
        return table


def read_book(store: Store) -> AlignmentBook:
    """Read what was aligned before; empty where nothing was.

    Raises:
        SetupError: one of its files is damaged, or of an older form.
    """
    if not store.path(ALIGNED_PAIRS).exists():
        return AlignmentBook()
    return AlignmentBook(read_aligned_pairs(store), read_alignments(store))
