"""Count what the data root holds: every figure of the data card.

What belongs here: joining what was read of the tiers with manifest, receipts and labels, and
comparing with the card before. What does not: what a figure means (`card_rows`), pages and plots
(`card`). What is absent or half there gives fewer figures and a note, never an error.
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import polars as pl
from pydantic import ValidationError

from data_collection.recordings.collection import STAGES, Standing
from data_collection.recordings.errors import RecordingError
from data_collection.recordings.receipts import FINISHED, Receipt, read_receipt
from data_collection.recordings.store import Store, sha256_of_file
from data_collection.training_set.card_rows import (
    Bin,
    CardFigures,
    Changes,
    CollectionFigures,
    DeadLink,
    Distribution,
    Excluded,
    Exclusion,
    ExternalRow,
    FileRow,
    LeakRow,
    LicenceRow,
    LossTermRow,
    MeasureName,
    MovedRecordings,
    MovedTotal,
    SourceRow,
    SplitRow,
    TargetRow,
    TeacherRow,
    TwinRecipeRow,
    UnknownKeyRow,
    VersionRow,
    totals,
)
from data_collection.training_set.completion import PURGED, is_withheld
from data_collection.training_set.external import Observed
from data_collection.training_set.leaks import leaks, unverifiable
from data_collection.training_set.manifest import split_figures
from data_collection.training_set.manifest_files import PROBLEMS, SPLIT_KEYS
from data_collection.training_set.manifest_rows import (
    EXCLUDED,
    FOLDER,
    MANIFEST,
    PROBLEM_SCHEMA,
    TierId,
    manifest_schema,
)
from data_collection.training_set.tier_states import (
    READERS,
    ReadTier,
    TierState,
    json_lines_if_there,
    read_tier,
)

CARD = f"{FOLDER}/data_card.json"
TWINS = "augmented_muq_embeddings"
NO_LONGER_LISTED = "no_longer_listed"
FIRST_IDS = 10
"""So many ids of new and of gone recordings stand on the card."""
DECIMALS = 6
"""Sums and quantiles are rounded: threads add up in any order."""
BIN_WIDTHS: Final[Mapping[MeasureName, float]] = {
    "recording_duration_s": 120.0,
    "segment_duration_s": 5.0,
    "loudness_lufs": 2.0,
    "source_bandwidth_hz": 1000.0,
    "placement": 1.0,
    "performers_per_piece": 1.0,
    "twin_cosine": 0.02,
}
RIVER_FILES = (
    "results.jsonl",
    "recordings.jsonl",
    "jury_marks.jsonl",
    "programmes.jsonl",
    "metadata.jsonl",
    "preferences.parquet",
    "piece_performer_map.json",
    "pairs.parquet",
    "alignments.parquet",
    "duplicates.jsonl",
    "pairs.jsonl",
    "teacher_labels.json",
    "teacher_gate.json",
)
"""Files of a collection that training or its judge rests on, where they are there."""
MANIFEST_NEEDED = tuple(manifest_schema(dimensions=()))
"""Its columns, whatever is scored."""
OF_A_TIER = ("tier_off", "half_collected", "signal_missing")
"""Problems of the manifest that are said in words as well: they are of a whole tier."""
OF_ONE_RECORDING = frozenset({"source_start_s", "source_end_s"})
"""Parameters that say where a recording lies in its original: no version of anything."""

CLIP_SCHEMA: dict[str, pl.DataType] = {
    "start_s": pl.Float64(),
    "end_s": pl.Float64(),
    "state": pl.String(),
    "reason": pl.String(),
}
TWIN_SCHEMA: dict[str, pl.DataType] = {
    "segment_id": pl.String(),
    "recipe": pl.String(),
    "recipe_version": pl.String(),
    "seed": pl.Int64(),
    "cosine": pl.Float64(),
    "flag": pl.String(),
}
REASON_SCHEMA: dict[str, pl.DataType] = {"reason": pl.String()}
DUPLICATE_SCHEMA: dict[str, pl.DataType] = {"kind": pl.String(), "tier": pl.String()}
VIDEO_SCHEMA: dict[str, pl.DataType] = {
    "recording_id": pl.String(),
    "last_seen_at": pl.String(),
    "listed": pl.Boolean(),
    "decision": pl.String(),
    "reason": pl.String(),
}


@dataclass(frozen=True, slots=True)
class _Folder:
    """All that was read of one collection."""

    read: ReadTier
    clips: pl.DataFrame
    twins: pl.DataFrame
    twin_receipts: tuple[Receipt, ...]
    unmatched: pl.DataFrame
    in_doubt: pl.DataFrame
    duplicates: pl.DataFrame
    videos: pl.DataFrame

    @property
    def tier(self) -> TierId:
        return self.read.state.tier

    @property
    def name(self) -> str:
        return self.read.state.collection


@dataclass(frozen=True, slots=True)
class _TrainingSet:
    """The manifest and what stands beside it; None where it is not there."""

    table: pl.DataFrame | None
    problems: pl.DataFrame | None
    rules: Mapping[str, object] = field(default_factory=dict)


def card_figures(
    store: Store,
    tiers: Sequence[TierState],
    *,
    at: datetime,
    matches: Iterable[tuple[str, str]] = (),
    seeds: Mapping[str, int] | None = None,
    external: Iterable[Observed] = (),
) -> CardFigures:
    """Count everything that the card states.

    Args:
        store: the data root.
        tiers: every collection, an entry an edition of T2, also those that are off.
        at: when the card is made, with its time zone.
        matches: pairs of keys of recordings that hold one performance, for the leaks.
        seeds: further seeds by what they are of.
        external: folders that others fill, as they were observed.

    Returns:
        The same for the same data root, card before, and arguments.
    """
    notes: list[str] = []
    folders = [_read_folder(store, state, notes) for state in tiers]
    training = _read_training_set(store, notes)
    previous = read_last_card(store, notes)
    table = training.table
    figures = CardFigures(
        made_at=at,
        notes=(),
        collections=tuple(_collection_figures(folder) for folder in folders),
        splits=_splits(table),
        loss_terms=_loss_terms(table),
        targets=_targets(table),
        distributions=tuple(_distributions(folders, table)),
        exclusions=tuple(_exclusions(folders, training)),
        dead_links=tuple(link for folder in folders for link in _dead_links(folder)),
        licences=tuple(row for folder in folders for row in _licences(folder)),
        sources=_sources(folders),
        versions=_versions(folders),
        files=tuple(_files(store, tiers)),
        seeds=_seeds(training, seeds or {}),
        teachers=tuple(row for state in tiers for row in _teachers(store, state, notes)),
        twin_recipes=tuple(row for folder in folders for row in _twin_recipes(folder)),
        leaks=_leaks(table, matches),
        unknown_keys=_unknown_keys(table),
        external=tuple(_external(one) for one in external),
        recording_ids={
            folder.name: tuple(folder.read.collected["recording_id"].unique().sort().to_list())
            for folder in folders
        },
        changes=None,
    )
    changes = _changes(previous, figures) if previous is not None else None
    return figures.model_copy(update={"notes": tuple(notes), "changes": changes})


def read_last_card(store: Store, notes: list[str] | None = None) -> CardFigures | None:
    """Read the card that lies there; None, and a note, where there is none of this form."""
    path = store.path(CARD)
    try:
        return CardFigures.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        if notes is not None:
            problem = error.errors()[0]["msg"]
            notes.append(f"the last card cannot be compared with: {path}: {problem}")
        return None


def _read_folder(store: Store, state: TierState, notes: list[str]) -> _Folder:
    read = read_tier(store, state)
    notes += [f"{state.tier} {state.collection}: {reason}: {it}" for reason, it in read.problems]
    is_on = state.off_because is None

    def lines(name: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        try:
            if is_on:
                return json_lines_if_there(store, f"{state.river.folder(name)}.jsonl", schema)
        except RecordingError as error:
            notes.append(f"{state.tier}: {error.detail}")
        return pl.DataFrame(schema=schema)

    channels = store.path(state.river.folder("channels"))
    listed = sorted(at.stem for at in channels.glob("*.jsonl")) if channels.is_dir() else []
    videos = [lines(f"channels/{name}", VIDEO_SCHEMA) for name in listed]
    return _Folder(
        read=read,
        clips=_clips(store, read, notes),
        twins=lines("pairs", TWIN_SCHEMA),
        twin_receipts=_twin_receipts(store, read),
        unmatched=lines("unmatched", REASON_SCHEMA),
        in_doubt=lines("in_doubt", REASON_SCHEMA),
        duplicates=lines("duplicates", DUPLICATE_SCHEMA),
        videos=pl.concat([pl.DataFrame(schema=VIDEO_SCHEMA), *videos]),
    )


def _clips(store: Store, read: ReadTier, notes: list[str]) -> pl.DataFrame:
    """Every clip that was cut, filtered ones too; columns as `CLIP_SCHEMA`."""
    paths = [
        receipt.outputs[0].path
        for item in read.standings
        if item.reason != PURGED
        and (receipt := item.receipts.get("segments")) is not None
        and receipt.state in FINISHED
        and receipt.outputs
    ]

    def one(path: str) -> pl.DataFrame | None:
        try:
            content = io.BytesIO(store.path(path).read_bytes())
            return pl.read_parquet(content, columns=list(CLIP_SCHEMA)).cast(CLIP_SCHEMA)  # type: ignore[arg-type]
        except (OSError, pl.exceptions.PolarsError):
            return None

    with ThreadPoolExecutor(READERS) as threads:
        tables = list(threads.map(one, paths))
    unread = [path for path, table in zip(paths, tables, strict=True) if table is None]
    if unread:
        notes.append(f"{len(unread)} tables of clips cannot be read, the first is {unread[0]}")
    return pl.concat([pl.DataFrame(schema=CLIP_SCHEMA), *(t for t in tables if t is not None)])


def _twin_receipts(store: Store, read: ReadTier) -> tuple[Receipt, ...]:
    if not read.state.river.has_twins:
        return ()
    ids = [item.recording.recording_id for item in read.standings]
    with ThreadPoolExecutor(READERS) as threads:
        found = threads.map(partial(read_receipt, store, read.state.river.folder(TWINS)), ids)
        return tuple(receipt for receipt in found if receipt is not None)


def _read_training_set(store: Store, notes: list[str]) -> _TrainingSet:
    table = _parquet(store, MANIFEST, MANIFEST_NEEDED, notes)
    problems = _parquet(store, PROBLEMS, PROBLEM_SCHEMA, notes) if table is not None else None
    if problems is not None:
        of_a_tier = problems.filter(pl.col("kind").is_in(OF_A_TIER))
        said = of_a_tier.select("tier", "kind", "subject", "detail").iter_rows()
        notes += [f"{tier} in the manifest: {kind}: {of}: {it}" for tier, kind, of, it in said]
    rules: Mapping[str, object] = {}
    path = store.path(SPLIT_KEYS)
    if path.is_file():
        try:
            rules = dict(json.loads(path.read_bytes())["rules"])
        except (ValueError, KeyError, TypeError) as error:
            notes.append(f"{path} cannot be read: {error}")
    return _TrainingSet(table, problems, rules)


def _parquet(
    store: Store, relative: str, needed: Iterable[str], notes: list[str]
) -> pl.DataFrame | None:
    path = store.path(relative)
    try:
        table = pl.read_parquet(io.BytesIO(path.read_bytes()))
        lacking = [name for name in needed if name not in table.columns]
        if not lacking:
            return table
        notes.append(f"{path} has no column {', '.join(lacking)}; materialize it again")
    except FileNotFoundError:
        notes.append(f"{path} is not there; materialize {relative.rsplit('.', 1)[0]} first")
    except pl.exceptions.PolarsError as error:
        notes.append(f"{path} cannot be read ({str(error).splitlines()[0]}); materialize it again")
    return None


def _collection_figures(folder: _Folder) -> CollectionFigures:
    read, clips = folder.read, folder.clips
    states = Counter(item.state for item in read.standings)
    audio = _finished(read.standings, "audio")
    embedded = _finished(read.standings, STAGES[-1])
    kept = clips.filter(state="kept")
    rows = read.collected
    return CollectionFigures(
        tier=folder.tier,
        collection=folder.name,
        label=read.state.river.label,
        off_because=read.state.off_because,
        recordings=len(read.standings),
        done=states["done"],
        filtered=states["filtered"],
        failed=states["failed"],
        blocked=states["blocked"],
        not_tried=states["missing"],
        audio_hours=_hours(_duration_s(receipt) or 0.0 for receipt in audio),
        audio_bytes=_size_bytes(audio, ".flac"),
        clips=clips.height,
        clips_kept=kept.height,
        clips_kept_hours=_hours((kept["end_s"] - kept["start_s"]).to_list()),
        embedding_bytes=_size_bytes(embedded, ".pt"),
        segments=rows.height,
        segment_hours=_hours((rows["segment_end"] - rows["segment_start"]).drop_nulls().to_list()),
        twins=folder.twins.height,
    )


def _finished(standings: Iterable[Standing], stage: str) -> list[Receipt]:
    return [
        receipt
        for item in standings
        if item.reason != PURGED
        and (receipt := item.receipts.get(stage)) is not None
        and receipt.state in FINISHED
    ]


def _duration_s(audio: Receipt) -> float | None:
    value = audio.facts.get("duration_s")
    return float(value) if isinstance(value, int | float) else None


def _size_bytes(receipts: Iterable[Receipt], ending: str) -> int:
    return sum(
        output.size_bytes
        for receipt in receipts
        for output in receipt.outputs
        if output.path.endswith(ending)
    )


def _hours(seconds: Iterable[float]) -> float:
    return round(sum(seconds) / 3600, DECIMALS)


def _splits(table: pl.DataFrame | None) -> tuple[SplitRow, ...]:
    if table is None:
        return ()
    return tuple(
        SplitRow.model_validate(
            {
                **row,
                "hours": round(row["hours"] or 0.0, DECIMALS),
                "share": _rounded(row["share"]),
            }
        )
        for row in split_figures(table).iter_rows(named=True)
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, DECIMALS)


def _loss_terms(table: pl.DataFrame | None) -> tuple[LossTermRow, ...]:
    if table is None:
        return ()
    terms = table.select("tier", "split", term="loss_terms").explode("term").drop_nulls("term")
    counted = terms.group_by("tier", "split", "term").agg(pl.len().alias("segments"))
    return tuple(
        LossTermRow.model_validate(row)
        for row in counted.sort("tier", "split", "term").iter_rows(named=True)
    )


def _targets(table: pl.DataFrame | None) -> tuple[TargetRow, ...]:
    if table is None:
        return ()
    keys = ["tier", "split", "regression_from", "confidence_weight"]
    counted = table.drop_nulls("regression_from").group_by(keys).agg(pl.len().alias("segments"))
    return tuple(TargetRow.model_validate(row) for row in counted.sort(keys).iter_rows(named=True))


def _distributions(
    folders: Sequence[_Folder], table: pl.DataFrame | None
) -> Iterable[Distribution]:
    of_tier: defaultdict[TierId, list[_Folder]] = defaultdict(list)
    for folder in folders:
        of_tier[folder.tier].append(folder)
    for tier, parts in of_tier.items():
        rows = pl.concat([part.read.collected for part in parts])
        audio = [one for part in parts for one in _finished(part.read.standings, "audio")]
        people = rows.drop_nulls("placement").unique(["edition", "performer"])
        values: dict[MeasureName, pl.Series] = {
            "recording_duration_s": pl.Series(map(_duration_s, audio), dtype=pl.Float64),
            "segment_duration_s": rows["segment_end"] - rows["segment_start"],
            "loudness_lufs": rows["loudness_lufs"],
            "source_bandwidth_hz": rows["source_bandwidth_hz"],
            "placement": people["placement"],
            "twin_cosine": pl.concat([part.twins for part in parts])["cosine"],
        }
        yield from _spread_of(tier, values)
    for tier, counts in _performers_per_piece(table).items():
        yield from _spread_of(tier, {"performers_per_piece": counts})


def _performers_per_piece(table: pl.DataFrame | None) -> dict[TierId, pl.Series]:
    if table is None:
        return {}
    counted = (
        table.drop_nulls("performer")
        .select("tier", "performer", piece="pieces")
        .explode("piece")
        .drop_nulls("piece")
        .group_by("tier", "piece")
        .agg(pl.col("performer").n_unique().alias("performers"))
    )
    return {
        tier: part["performers"]
        for (tier,), part in sorted(counted.group_by("tier"), key=lambda one: str(one[0]))
    }


def _spread_of(tier: TierId, values: Mapping[MeasureName, pl.Series]) -> Iterable[Distribution]:
    for measure, series in values.items():
        numbers = series.cast(pl.Float64)
        numbers = numbers.filter(numbers.is_finite())
        if not numbers.is_empty():
            yield spread(measure, tier, numbers, unknown=series.len() - numbers.len())


def spread(measure: MeasureName, tier: TierId, numbers: pl.Series, *, unknown: int) -> Distribution:
    """Sum up finite numbers, one at least; quantiles are linear between neighbours."""
    width = BIN_WIDTHS[measure]
    at_column = (numbers / width).floor().cast(pl.Int64).alias("at")
    columns = at_column.value_counts(name="count").sort("at")
    low, p5, median, p95, high = (
        round(float(numbers.quantile(share, interpolation="linear") or 0.0), DECIMALS)
        for share in (0.0, 0.05, 0.5, 0.95, 1.0)
    )
    return Distribution(
        measure=measure,
        tier=tier,
        count=numbers.len(),
        unknown=unknown,
        low=low,
        p5=p5,
        median=median,
        p95=p95,
        high=high,
        mean=round(sum(numbers.sort().to_list()) / numbers.len(), DECIMALS),
        bin_width=width,
        bins=tuple(
            Bin(start=round(at * width, DECIMALS), count=count) for at, count in columns.iter_rows()
        ),
    )


def _exclusions(folders: Sequence[_Folder], training: _TrainingSet) -> list[Exclusion]:
    """All that is not trained on, by reason; what stands in two lists is counted in one.

    A copy is named by `duplicates.jsonl`, so that its standing is not counted as well.
    """
    found: Counter[tuple[TierId, Excluded, str, str]] = Counter()
    for folder in folders:
        tier = folder.tier
        for item in folder.read.standings:
            if item.state != "done" and (item.stage, item.reason) != ("metadata", "duplicate"):
                found[tier, "recording", item.stage, f"{item.state}: {item.reason}"] += 1
        left_out = folder.videos.filter(pl.col("decision") != "taken")
        video = left_out.select(
            reason=pl.concat_str("decision", pl.col("reason").fill_null("not said"), separator=": ")
        )
        copies = folder.duplicates.select(reason=pl.concat_str("kind", pl.lit(" of "), "tier"))
        filtered = folder.clips.filter(state="filtered")
        flagged = folder.twins.drop_nulls("flag").select(reason="flag")
        lists: tuple[tuple[Excluded, str, pl.DataFrame], ...] = (
            ("video", "catalogue", folder.unmatched),
            ("video", "channels", video),
            ("recording", "pairs", folder.in_doubt),
            ("recording", "duplicates", copies),
            ("segment", "segments", filtered),
            ("twin", "pairs", flagged),
        )
        for what, stage, rows in lists:
            for reason in rows["reason"].fill_null("not said"):
                found[tier, what, stage, reason] += 1
    for tier, what, stage, reason, count in _of_the_manifest(training):
        found[tier, what, stage, reason] += count
    return [
        Exclusion(tier=tier, what=what, stage=stage, reason=reason, count=count)
        for (tier, what, stage, reason), count in sorted(
            found.items(), key=lambda one: (one[0][:3], -one[1], one[0][3])
        )
    ]


def _of_the_manifest(
    training: _TrainingSet,
) -> Iterable[tuple[TierId, Excluded, str, str, int]]:
    if training.problems is not None:
        for tier, kind, count in training.problems.group_by("tier", "kind").len().iter_rows():
            yield tier, "problem", "manifest", kind, count
    if training.table is not None:
        because = pl.col("excluded_because").fill_null("not said")
        copied = (
            pl.when(because.str.starts_with("copy of ")).then(pl.lit("copy")).otherwise(because)
        )
        excluded = training.table.filter(pl.col("split") == EXCLUDED)
        for tier, reason, count in excluded.group_by("tier", reason=copied).len().iter_rows():
            yield tier, "segment", "split", reason, count


def _dead_links(folder: _Folder) -> Iterable[DeadLink]:
    unlisted = folder.videos.filter(~pl.col("listed")).sort("last_seen_at")
    last_seen = dict(unlisted.select("recording_id", "last_seen_at").iter_rows())
    for item in folder.read.standings:
        recording = item.recording
        found_at: datetime | None = None
        if item.state == "failed" and is_withheld(item):
            reason, found_at = str(item.reason), item.receipts[item.stage].finished_at
        elif not getattr(recording, "listed", True) and item.reason != PURGED:
            reason, seen = NO_LONGER_LISTED, last_seen.get(recording.recording_id)
            found_at = datetime.fromisoformat(seen) if seen else None
        else:
            continue
        yield DeadLink(
            tier=folder.tier,
            collection=folder.name,
            recording_id=recording.recording_id,
            title=recording.title,
            source_url=recording.source_url,
            reason=reason,
            found_at=found_at,
            is_collected=bool(_finished([item], "audio")),
        )


def _licences(folder: _Folder) -> Iterable[LicenceRow]:
    counted = folder.read.collected.group_by("licence", note="licence_note").agg(
        pl.col("recording_id").n_unique().alias("recordings"), pl.len().alias("segments")
    )
    ordered = counted.sort("segments", "licence", "note", descending=[True, False, False])
    for row in ordered.iter_rows(named=True):
        yield LicenceRow.model_validate({"tier": folder.tier, **row})


def _sources(folders: Sequence[_Folder]) -> tuple[SourceRow, ...]:
    recordings: Counter[tuple[TierId, str]] = Counter()
    segments: Counter[tuple[TierId, str]] = Counter()
    for folder in folders:
        counted = folder.read.collected.group_by("recording_id").agg(
            pl.col("source_url").first(), pl.len()
        )
        for _, url, count in counted.iter_rows():
            key = (folder.tier, _host(url))
            recordings[key] += 1
            segments[key] += count
    return tuple(
        SourceRow(tier=tier, host=host, recordings=count, segments=segments[tier, host])
        for (tier, host), count in sorted(recordings.items())
    )


def _host(url: str | None) -> str:
    try:
        parts = urlsplit(url or "")
        return parts.hostname or (f"{parts.scheme}:" if parts.scheme else "not known")
    except ValueError:
        return "not an address"


def _versions(folders: Sequence[_Folder]) -> tuple[VersionRow, ...]:
    found: Counter[tuple[TierId, str, str, str, str]] = Counter()
    for folder in folders:
        standings = folder.read.standings
        made = {stage: _finished(standings, stage) for stage in STAGES}
        made[TWINS] = [one for one in folder.twin_receipts if one.state in FINISHED]
        for stage, receipts in made.items():
            for receipt in receipts:
                for name, value in receipt.versions.items():
                    found[folder.tier, stage, "version", name, value] += 1
                for name, fact in receipt.parameters.items():
                    if name not in OF_ONE_RECORDING:
                        found[folder.tier, stage, "parameter", name, str(fact)] += 1
    names = ("tier", "stage", "kind", "name", "value")
    return tuple(
        VersionRow.model_validate({**dict(zip(names, key, strict=True)), "recordings": count})
        for key, count in sorted(found.items())
    )


def _files(store: Store, tiers: Sequence[TierState]) -> Iterable[FileRow]:
    wanted = [MANIFEST, PROBLEMS, SPLIT_KEYS]
    wanted += [f"{state.collection}/{name}" for state in tiers for name in RIVER_FILES]
    for relative in dict.fromkeys(wanted):
        path = store.path(relative)
        if path.is_file():
            size_bytes = int(path.stat().st_size)
            yield FileRow(path=relative, sha256=sha256_of_file(path), size_bytes=size_bytes)


def _seeds(training: _TrainingSet, further: Mapping[str, int]) -> dict[str, str]:
    of_split = {f"split {name}": json.dumps(value) for name, value in training.rules.items()}
    return dict(sorted({**of_split, **{name: str(seed) for name, seed in further.items()}}.items()))


def _teachers(store: Store, state: TierState, notes: list[str]) -> Iterable[TeacherRow]:
    path = store.path(f"{state.collection}/teacher_labels.json")
    if not path.is_file():
        return
    segments: Counter[tuple[str, str]] = Counter()
    cost: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    try:
        for label in json.loads(path.read_bytes()):
            by = (str(label["teacher_model"]), str(label["rubric_version"]))
            segments[by] += 1
            cost[by] += Decimal(str(label.get("cost_usd") or 0))
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation) as error:
        notes.append(f"{path} cannot be read: {type(error).__name__} {error}")
        return
    for (model, rubric), count in sorted(segments.items()):
        yield TeacherRow(
            tier=state.tier,
            collection=state.collection,
            teacher_model=model,
            rubric_version=rubric,
            segments=count,
            cost_usd=round(float(cost[model, rubric]), DECIMALS),
            verdict=state.teaching.verdict if state.teaching is not None else None,
        )


def _twin_recipes(folder: _Folder) -> Iterable[TwinRecipeRow]:
    keys = ["recipe", "recipe_version", "seed"]
    for row in folder.twins.group_by(keys).agg(twins=pl.len()).sort(keys).iter_rows(named=True):
        yield TwinRecipeRow.model_validate({"tier": folder.tier, **row})


def _leaks(table: pl.DataFrame | None, matches: Iterable[tuple[str, str]]) -> tuple[LeakRow, ...]:
    keys: Counter[str] = Counter()
    segments: Counter[str] = Counter()
    for leak in leaks(table, matches) if table is not None else ():
        keys[leak.kind] += 1
        segments[leak.kind] += leak.segments
    return tuple(
        LeakRow(kind=kind, keys=count, segments=segments[kind])
        for kind, count in sorted(keys.items())
    )


def _unknown_keys(table: pl.DataFrame | None) -> tuple[UnknownKeyRow, ...]:
    if table is None:
        return ()
    return tuple(
        UnknownKeyRow.model_validate(row) for row in unverifiable(table).iter_rows(named=True)
    )


def _external(observed: Observed) -> ExternalRow:
    facts = asdict(observed)
    return ExternalRow(
        folder=facts["folder"],
        files=facts["count"],
        size_bytes=facts["size_bytes"],
        listing_sha256=facts["listing_sha256"],
        newest=facts["newest"],
    )


def _changes(previous: CardFigures, now: CardFigures) -> Changes:
    """What moved; where nothing did, what the card before said, so that it is not forgotten."""
    before, after = totals(previous), totals(now)
    hashes_before, hashes_after = (
        {row.path: row.sha256 for row in card.files} for card in (previous, now)
    )
    changes = Changes(
        since=previous.made_at,
        totals=tuple(
            MovedTotal(name=name, before=before.get(name, 0.0), after=after.get(name, 0.0))
            for name in sorted({*before, *after})
            if before.get(name, 0.0) != after.get(name, 0.0)
        ),
        recordings=tuple(_moved_recordings(previous.recording_ids, now.recording_ids)),
        files=tuple(
            path
            for path in sorted({*hashes_before, *hashes_after})
            if hashes_before.get(path) != hashes_after.get(path)
        ),
    )
    return previous.changes if changes.is_empty and previous.changes else changes


def _moved_recordings(
    before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]
) -> Iterable[MovedRecordings]:
    for collection in sorted({*before, *after}):
        was, is_now = set(before.get(collection, ())), set(after.get(collection, ()))
        new, gone = sorted(is_now - was), sorted(was - is_now)
        if new or gone:
            yield MovedRecordings(
                collection=collection,
                new=len(new),
                gone=len(gone),
                first_new=tuple(new[:FIRST_IDS]),
                first_gone=tuple(gone[:FIRST_IDS]),
            )
