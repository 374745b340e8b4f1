"""Which clip of another recording plays a clip's music.

What belongs here: where in the other recording it would sound, by relative position or by an
alignment, and the clip that plays most of it there. What does not: which recordings are paired
(`recording_pairs`), and which of several positives are drawn (`pairs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from data_collection.maestro.alignment import TimeMap, TimeMaps, either_way
from data_collection.maestro.recording_pairs import KnownRecording, PairRules, RecordingPair
from data_collection.maestro.work_places import WorkPlaces

IN_WORK = "work"
IN_SAME_WORKS = "same_works"
IN_ESTIMATED_WORK = "estimated_work"
IN_ALIGNED = "aligned"
IN_RECORDING = "recording"
BY_POSITION = "relative_position"
BY_CHROMA = "chroma_dtw"


def targets_of(
    clips: pl.DataFrame,
    pairs: Iterable[RecordingPair],
    known: Mapping[str, KnownRecording],
    places: WorkPlaces,
    time_maps: TimeMaps,
) -> pl.DataFrame:
    """Where each clip would sound in each recording that its own is paired with.

    Returns:
        A row for each clip and other recording, both ways round of each pair: the clip with its
        times, the stretches in which it is placed (`*_from_s`, `*_to_s`, `position_in`), and
        `target_{start,middle,end}_s` in the other recording.
    """
    links = _links(pairs, known, places, time_maps)
    return _targets(_candidates(clips, links, known), time_maps)


def is_unplaced() -> pl.Expr:
    """Whether a target was found by whole recordings whose works differ."""
    return pl.col("position_in") == IN_RECORDING


def matched_clips(targets: pl.DataFrame, clips: pl.DataFrame, rules: PairRules) -> pl.DataFrame:
    """The clip on either side of the target that plays more of the anchor's music, if enough."""
    theirs = clips.select(
        positive="segment_id",
        positive_recording="recording_id",
        positive_start_s="start_s",
        positive_middle_s="middle_s",
        positive_end_s="end_s",
    ).sort("positive_middle_s", "positive")
    is_aligned = pl.col("alignment_confidence") >= rules.min_alignment_confidence
    usable = (
        targets.filter(pl.col("alignment_confidence").is_null() | is_aligned)
        .filter(pl.col("target_end_s") > pl.col("target_start_s"))
        .sort("target_middle_s")
    )
    common_s = pl.min_horizontal("target_end_s", "positive_end_s") - pl.max_horizontal(
        "target_start_s", "positive_start_s"
    )
    either_side = pl.concat(
        usable.join_asof(
            theirs,
            left_on="target_middle_s",
            right_on="positive_middle_s",
            by="positive_recording",
            strategy=strategy,
            coalesce=False,
            check_sortedness=False,
        )
        for strategy in ("backward", "forward")
    )
    return (
        either_side.drop_nulls("positive")
        .with_columns(
            shared_music=(common_s / (pl.col("target_end_s") - pl.col("target_start_s"))).clip(0, 1)
        )
        .filter(pl.col("shared_music") >= max(rules.min_shared_music, 1e-9))
        .sort(
            ["anchor", "positive_recording", "shared_music", "positive"],
            descending=[False, False, True, False],
        )
        .unique(["anchor", "positive_recording"], keep="first", maintain_order=True)
    )


_LINK_SCHEMA: dict[str, pl.DataType] = {
    "recording_id": pl.String(),
    "positive_recording": pl.String(),
    "work_id": pl.String(),
    "anchor_from_s": pl.Float64(),
    "anchor_to_s": pl.Float64(),
    "positive_from_s": pl.Float64(),
    "positive_to_s": pl.Float64(),
    "position_in": pl.String(),
}


def _links(
    pairs: Iterable[RecordingPair],
    known: Mapping[str, KnownRecording],
    places: WorkPlaces,
    time_maps: TimeMaps,
) -> pl.DataFrame:
    """Both directions of each pair: from which stretch to which, for one work or for all."""
    rows = []
    for pair in pairs:
        for anchor, positive in ((pair.first, pair.second), (pair.second, pair.first)):
            for work_id, of_anchor, of_positive, position_in in _stretches(
                pair,
                known[anchor],
                known[positive],
                places,
                either_way(time_maps, anchor, positive),
            ):
                rows.append((anchor, positive, work_id, *of_anchor, *of_positive, position_in))
    return pl.DataFrame(rows, schema=_LINK_SCHEMA, orient="row")


_Stretch = tuple[float, float]


def _stretches(
    pair: RecordingPair,
    anchor: KnownRecording,
    positive: KnownRecording,
    places: WorkPlaces,
    time_map: TimeMap | None,
) -> Iterator[tuple[str | None, _Stretch, _Stretch, str]]:
    """Where to look, the surest first: known places, alignment, same works, estimated places."""
    placed = {
        work_id: (of_anchor, of_positive)
        for work_id in pair.shared_works
        if (of_anchor := places.get((anchor.recording_id, work_id)))
        and (of_positive := places.get((positive.recording_id, work_id)))
    }
    certain = {
        work_id
        for work_id, both in placed.items()
        if all(place.known != "estimated" for place in both)
    }
    whole, other_whole = (
        (0.0, known.recording.metadata.duration_s) for known in (anchor, positive)
    )
    if not certain and (stretches := _aligned(time_map)):
        yield None, *stretches, IN_ALIGNED
    elif not certain and pair.same_works:
        yield None, whole, other_whole, IN_SAME_WORKS
    elif not placed:
        yield None, whole, other_whole, IN_RECORDING
    else:
        for work_id, (one, other) in placed.items():
            position_in = IN_WORK if work_id in certain else IN_ESTIMATED_WORK
            yield work_id, (one.start_s, one.end_s), (other.start_s, other.end_s), position_in


def _aligned(time_map: TimeMap | None) -> tuple[_Stretch, _Stretch] | None:
    """The stretches that an alignment covers, if it covers any."""
    if time_map is None:
        return None
    first, second = ((float(s[0]), float(s[-1])) for s in (time_map.first_s, time_map.second_s))
    return (first, second) if first[0] < first[1] and second[0] < second[1] else None


def _candidates(
    clips: pl.DataFrame, links: pl.DataFrame, known: Mapping[str, KnownRecording]
) -> pl.DataFrame:
    """One row for each clip and each recording that may have its positive."""
    performers = pl.DataFrame(
        [(k.recording_id, k.performer_id) for k in known.values()],
        schema={"positive_recording": pl.String(), "positive_performer": pl.String()},
        orient="row",
    )
    of_work = clips.join(links.drop_nulls("work_id"), on=["recording_id", "work_id"])
    of_any = clips.join(
        links.filter(pl.col("work_id").is_null()).drop("work_id"), on="recording_id"
    )
    return (
        pl.concat([of_work.select(of_any.columns), of_any])
        .rename({"segment_id": "anchor", "recording_id": "anchor_recording"})
        .join(performers, on="positive_recording")
    )


def _targets(candidates: pl.DataFrame, time_maps: TimeMaps) -> pl.DataFrame:
    """Where in the positive's recording the anchor's start, middle and end would sound."""
    scale = (pl.col("positive_to_s") - pl.col("positive_from_s")) / (
        pl.col("anchor_to_s") - pl.col("anchor_from_s")
    )
    by_position = candidates.with_columns(
        (pl.col("positive_from_s") + (pl.col(f"{at}_s") - pl.col("anchor_from_s")) * scale).alias(
            f"target_{at}_s"
        )
        for at in ("start", "middle", "end")
    ).with_columns(alignment_confidence=pl.lit(None, pl.Float64()), matched_by=pl.lit(BY_POSITION))
    if not time_maps:
        return by_position
    return pl.concat(
        _by_alignment(rows, time_maps)
        for rows in by_position.partition_by("anchor_recording", "positive_recording")
    )


def _by_alignment(rows: pl.DataFrame, time_maps: TimeMaps) -> pl.DataFrame:
    """The same for the clips of one recording and those of another, by their alignment if any."""
    found = either_way(time_maps, rows["anchor_recording"][0], rows["positive_recording"][0])
    if found is None:
        return rows
    targets = {at: found.at(rows[f"{at}_s"].to_numpy()) for at in ("start", "middle", "end")}
    return rows.with_columns(
        *(pl.Series(f"target_{at}_s", target_s) for at, (target_s, _) in targets.items()),
        pl.Series("alignment_confidence", targets["middle"][1]),
        matched_by=pl.lit(BY_CHROMA),
    )
