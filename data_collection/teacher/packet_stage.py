"""The packets of a tier, written once and kept: what is asked is what is paid for.

What belongs here: gathering the evidence of a tier's segments, their packets, and the search for
anything in them that gives a recording away. What does not: writing one packet (`packets`), and
asking (`label_stage`).

A percentile moves with every recording that joins its group, and a packet that is not the same to
the byte is another question. So a packet stays while the evidence of its segment does; renewing all
is asked for by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from data_collection.recordings.collection import read_recordings
from data_collection.recordings.errors import SetupError
from data_collection.recordings.rows import read_rows, write_rows
from data_collection.recordings.store import Store, StoredFile
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import SegmentRow
from data_collection.teacher.evidence import read_evidence
from data_collection.teacher.evidence_figures import EVIDENCE_SCHEMA, EVIDENCE_VERSION
from data_collection.teacher.packet_leaks import leaks
from data_collection.teacher.packets import ComparedWith, packets

PACKETS = "teacher_packets"
MIN_CLIP_S = 15.0
"""A shorter tail has no pulse, and is known by that."""


@dataclass(frozen=True, slots=True)
class Group:
    """With whom a segment is compared; none of it is shown.

    Attributes:
        performer: who is one person; a recording's id where nobody is known.
        piece: a key of what is played; None where that is not known.
        round: a key of the occasion; the same for all where a tier has none.
    """

    performer: str
    piece: str | None
    round: str


GroupOf = Callable[[SegmentRow], Group | None]
"""A row's group; None for a segment that is not judged, such as a concerto's."""


class PacketRow(BaseModel):
    """A row of `teacher_packets.jsonl`: what the teacher is shown of a segment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segment_id: str = Field(description="whose it is; never shown")
    compared_with: ComparedWith = Field(description="whom its percentiles are among")
    evidence_sha256: str = Field(description="of the evidence that it was written from")
    text: str = Field(description="the packet")


@dataclass(frozen=True, slots=True)
class WrittenPackets:
    """What writing a tier's packets gave.

    Attributes:
        rows: all packets, in the metadata's order.
        kept: how many are as they were written before.
        too_short: segments below `MIN_CLIP_S`.
        not_judged: segments without a group.
        file: as it was stored.
    """

    rows: Sequence[PacketRow]
    kept: int
    too_short: int
    not_judged: int
    file: StoredFile


def write_packets(
    store: Store, tier: Tier, group_of: GroupOf, *, renew: bool = False
) -> WrittenPackets:
    """Write the packets of all segments in a tier's metadata.

    Args:
        store: the data root.
        tier: whose.
        group_of: with whom a row's segment is compared.
        renew: write all anew; those that differ are paid for again.

    Raises:
        SetupError: `evidence_missing`, `packet_leaks`: nothing is written; rows cannot be read.
    """
    rows = read_rows(store, f"{tier.folder('metadata')}.jsonl", tier.row_model)
    groups = {row.segment_id: group for row in rows if (group := group_of(row)) is not None}
    long_enough = [row for row in rows if row.segment_end - row.segment_start >= MIN_CLIP_S]
    judged = [row for row in long_enough if row.segment_id in groups]
    evidence = _evidence(store, tier, judged)
    hashes = {row["segment_id"]: _sha256(row) for row in evidence.iter_rows(named=True)}
    before = {} if renew else {row.segment_id: row for row in read_packets(store, tier)}
    made: list[PacketRow] = []
    for packet in packets(evidence, _table(groups)) if judged else []:
        earlier = before.get(packet.segment_id)
        if earlier is not None and earlier.evidence_sha256 == hashes[packet.segment_id]:
            made.append(earlier)
        else:
            made.append(
                PacketRow(
                    segment_id=packet.segment_id,
                    compared_with=packet.compared_with,
                    evidence_sha256=hashes[packet.segment_id],
                    text=packet.text,
                )
            )
    _refuse_leaks(store, tier, judged, made)
    return WrittenPackets(
        rows=made,
        kept=sum(before.get(row.segment_id) == row for row in made),
        too_short=len(rows) - len(long_enough),
        not_judged=len(long_enough) - len(judged),
        file=write_rows(store, _path(tier), made),
    )


def read_packets(store: Store, tier: Tier) -> list[PacketRow]:
    """A tier's packets; none before they are written.

    Raises:
        SetupError: `rows_unreadable`.
    """
    path = _path(tier)
    return read_rows(store, path, PacketRow) if store.path(path).exists() else []


def _evidence(store: Store, tier: Tier, rows: Sequence[SegmentRow]) -> pl.DataFrame:
    """Evidence of the rows' segments, in their order."""
    wanted = [row.segment_id for row in rows]
    tables = [
        read_evidence(store, tier, recording_id)
        for recording_id in dict.fromkeys(row.recording_id for row in rows)
    ]
    found = pl.concat(tables) if tables else pl.DataFrame(schema=EVIDENCE_SCHEMA)
    missing = sorted(set(wanted) - set(found["segment_id"]))
    if missing:
        raise SetupError(
            "evidence_missing",
            f"{len(missing)} segments have no evidence, first {missing[0]}; materialize "
            f"{tier.folder('teacher_evidence')} again",
        )
    order = pl.DataFrame({"segment_id": wanted})
    return order.join(found, on="segment_id", how="left", maintain_order="left")


def _table(groups: Mapping[str, Group]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "segment_id": list(groups),
            "performer_group": [group.performer for group in groups.values()],
            "piece": [group.piece for group in groups.values()],
            "round": [group.round for group in groups.values()],
        },
        schema=dict.fromkeys(("segment_id", "performer_group", "piece", "round"), pl.String),
    )


def _sha256(row: Mapping[str, object]) -> str:
    content = json.dumps([EVIDENCE_VERSION, row], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _refuse_leaks(
    store: Store, tier: Tier, rows: Sequence[SegmentRow], made: Iterable[PacketRow]
) -> None:
    """Search every packet for all that is written of its recording.

    Raises:
        SetupError: `packet_leaks`.
    """
    catalogue = {row.recording_id: _words(row) for row in read_recordings(store, tier)}
    secrets = {row.segment_id: {*_words(row), *catalogue.get(row.recording_id, ())} for row in rows}
    for packet in made:
        found = leaks(packet.text, sorted(secrets[packet.segment_id]))
        if found:
            raise SetupError(
                "packet_leaks",
                f"the packet of {packet.segment_id} gives its recording away: {'; '.join(found)}; "
                "nothing is asked until it does not",
            )


def _words(row: BaseModel) -> set[str]:
    """Every text that stands in a row, hashes apart: they are of files and not of people."""
    return set(_texts(row.model_dump(mode="json", exclude=_hashes(type(row)))))


def _hashes(model: type[BaseModel]) -> set[str]:
    return {name for name in model.model_fields if name.endswith(("_sha256", "_revision"))}


def _texts(given: object) -> Iterable[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping):
        for value in given.values():
            yield from _texts(value)
    elif isinstance(given, Sequence):
        for value in given:
            yield from _texts(value)


def _path(tier: Tier) -> str:
    return f"{tier.folder(PACKETS)}.jsonl"
