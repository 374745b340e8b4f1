"""What stands on the data card's pages, in their order: words and tables.

What belongs here: the card's text, and which figures stand in which table. What does not: the form
of a page (`card`, the templates) and finding figures (`card_figures`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from data_collection.training_set.card_rows import (
    CardFigures,
    Changes,
    Distribution,
    MeasureName,
)
from data_collection.training_set.manifest_rows import EXCLUDED, LOSS_TERMS, SPLITS

Cell = str | int | float | None
"""Numbers are aligned to the right."""

MEASURES: Final[Mapping[MeasureName, tuple[str, str]]] = {
    "recording_duration_s": ("Length of recordings", "seconds, as decoded"),
    "segment_duration_s": ("Length of segments", "seconds"),
    "loudness_lufs": ("Loudness of segments", "LUFS, integrated (ITU-R BS.1770-4)"),
    "source_bandwidth_hz": ("Bandwidth of the originals", "Hz, highest frequency with content"),
    "placement": ("Final places of the performers", "place, 1 the best; a value a performer"),
    "performers_per_piece": ("Performers of a piece", "performers; a value a piece"),
    "twin_cosine": ("Cosine of a segment and its augmented twin", "cosine of their means"),
}
TIER_NAMES: Final[Mapping[str, str]] = {
    "t1": "PercePiano: segments that people scored",
    "t2": "competition: recordings whose performers a jury ranked",
    "t3": "MAESTRO: the same works by many performers",
    "t4": "YouTube channels: recordings with augmented twins",
}
INTENDED_USE: Final = (
    "Training and testing models that judge how well a piece is played on the piano: by people's "
    "scores (regression), by a jury's order (ranking), by the same music from different hands "
    "(contrastive), and by one recording under different conditions (invariance).",
    "Research that is not commercial: several of the sources, and the weights that the embeddings "
    "are made with, allow nothing else.",
)
LIMITS: Final = (
    "Not for judging single people: a final place stands for a whole competition and is put on "
    "each of a performer's segments.",
    "The ranking holds within a round and for what those juries valued; competitors are a chosen "
    "few, and mostly play one composer.",
    "The test split is no fair draw: its people and pieces are those that hang together with few "
    "others, so that nothing crosses.",
    "Where performer or piece is not known, as in most of T4, no check can see a leak; the card "
    "counts those segments.",
    "A person of one tier who also plays in another under another name is not known to be one.",
    "Recordings come from halls, studios and channels of unlike sound; bandwidth and loudness "
    "differ by source, and a model may hear the source in place of the playing.",
    "A teacher's scores are a language model's reading of measured features, not of sound. They "
    "are targets only where the gate on them is open.",
    "Embeddings, not audio, are what is trained on: what MuQ does not keep is not there.",
)
CITATIONS: Final = (
    (
        "t1",
        "PercePiano",
        "Park et al. (2024): PercePiano: A Benchmark for Perceptual Evaluation of Piano "
        "Performance. Scientific Reports 14.",
        "on the terms of its authors",
    ),
    (
        "t2",
        "International Fryderyk Chopin Piano Competition",
        "The Fryderyk Chopin Institute (NIFC), Warsaw: recordings and results of the competition.",
        "the Institute's and the performers'; no licence to pass recordings on",
    ),
    (
        "t3",
        "MAESTRO v3.0.0",
        "Hawthorne et al. (2019): Enabling Factorized Piano Music Modeling and Generation with the "
        "MAESTRO Dataset. International Conference on Learning Representations.",
        "CC BY-NC-SA 4.0: name the source, not commercial, share alike",
    ),
    (
        "t4",
        "YouTube",
        "The uploaders, by the address of each recording in the rows' `source_url`.",
        "each uploader's; no licence to pass recordings on unless the row states one",
    ),
    (
        None,
        "MuQ",
        "Zhu et al. (2025): MuQ: Self-Supervised Music Representation Learning with Mel Residual "
        "Vector Quantization. arXiv:2501.01108.",
        "weights CC BY-NC 4.0, so all embeddings are for use that is not commercial; code MIT",
    ),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page.

    Attributes:
        columns: their heads.
        rows: all of them; a page may show the first ones only.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the card.

    Attributes:
        name: of its anchor.
        title: as it is headed.
        says: a line or two before the tables.
        points: a list before the tables.
        tables: in their order.
        measure: whose plot stands before the tables.
    """

    name: str
    title: str
    says: str = ""
    points: Sequence[str] = ()
    tables: Sequence[Table] = ()
    measure: MeasureName | None = None


def sections(card: CardFigures) -> list[Section]:
    """The card's parts, in order; those without anything to say say so."""
    return [
        Section("use", "Intended use", points=INTENDED_USE),
        Section("limits", "Limits", points=LIMITS),
        _notes(card),
        _changes(card.changes),
        _collected(card),
        _splits(card),
        _loss_terms(card),
        *_measures(card),
        _exclusions(card),
        _dead_links(card),
        _licences(card),
        _citations(),
        _leaks(card),
        _teachers(card),
        _versions(card),
        _external(card),
    ]


def spreads_of(card: CardFigures, measure: MeasureName) -> list[Distribution]:
    """How one measure is spread, a tier each."""
    return [one for one in card.distributions if one.measure == measure]


def size(size_bytes: float) -> str:
    """A number of bytes as a person writes it."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:,.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.1f} TB"


def _notes(card: CardFigures) -> Section:
    says = "" if card.notes else "Every file that the card looks for is there and can be read."
    return Section("notes", "What could not be read", says, card.notes)


def _changes(changes: Changes | None) -> Section:
    title = "What changed"
    if changes is None:
        return Section("changes", title, "This is the first card.")
    since = f"{changes.since:%Y-%m-%d %H:%M %Z}"
    if changes.is_empty:
        return Section("changes", title, f"Nothing since the card of {since}.")
    return Section(
        "changes",
        title,
        f"Since the card of {since}.",
        tables=[
            Table(
                ("figure", "before", "after"),
                [(row.name.replace("_", " "), row.before, row.after) for row in changes.totals],
            ),
            Table(
                ("collection", "new recordings", "the first", "gone", "the first"),
                [
                    (
                        row.collection,
                        row.new,
                        ", ".join(row.first_new),
                        row.gone,
                        ", ".join(row.first_gone),
                    )
                    for row in changes.recordings
                ],
            ),
            Table(("file of other content",), [(path,) for path in changes.files]),
        ],
    )


def _collected(card: CardFigures) -> Section:
    counts: list[tuple[Cell, ...]] = []
    sizes: list[tuple[Cell, ...]] = []
    for row in card.collections:
        name = f"{row.tier.upper()} {row.label}"
        if row.off_because is not None:
            name += f" (off: {row.off_because})"
        counts.append(
            (name, row.recordings, row.done, row.filtered, row.failed, row.blocked, row.not_tried)
        )
        sizes.append(
            (
                name,
                row.audio_hours,
                size(row.audio_bytes),
                row.clips,
                row.clips_kept,
                row.clips_kept_hours,
                row.segments,
                row.segment_hours,
                row.twins,
                size(row.embedding_bytes),
            )
        )
    stands = ("recordings", "used", "filtered", "failed", "blocked", "to be made")
    holds = (
        "hours of audio",
        "audio",
        "clips",
        "kept",
        "hours kept",
        "segments",
        "hours of segments",
        "twins",
        "embeddings",
    )
    return Section(
        "collected",
        "What is collected",
        "A recording is used where it is embedded and no other stands for it; a segment is a row "
        "of its tier's metadata.",
        tables=[Table(("tier", *stands), counts), Table(("tier", *holds), sizes)],
    )


def _splits(card: CardFigures) -> Section:
    order = {split: at for at, split in enumerate((*SPLITS, EXCLUDED))}
    ordered = sorted(card.splits, key=lambda row: (row.tier, order.get(row.split, len(order))))
    rows = [
        (
            row.tier,
            row.split,
            row.segments,
            row.hours,
            None if row.share is None else f"{row.share:.1%}",
            row.recordings,
            row.performers,
            row.pieces,
        )
        for row in ordered
    ]
    columns = ("segments", "hours", "share", "recordings", "performers", "pieces")
    return Section(
        "splits",
        "Splits",
        "A performer, piece or recording belongs to one split; whether that holds stands under "
        "leaks. Excluded segments would cross, or are copies.",
        tables=[Table(("tier", "split", *columns), rows)],
    )


def _loss_terms(card: CardFigures) -> Section:
    found = {(row.tier, row.split, row.term): row.segments for row in card.loss_terms}
    places = list(dict.fromkeys((row.tier, row.split) for row in card.loss_terms))
    terms: list[tuple[Cell, ...]] = [
        (tier, split, *(found.get((tier, split, term), 0) for term in LOSS_TERMS))
        for tier, split in places
    ]
    targets = [
        (row.tier, row.split, row.regression_from, row.confidence_weight, row.segments)
        for row in card.targets
    ]
    return Section(
        "terms",
        "Loss terms and targets",
        "Segments that take part in each term; one may take part in several.",
        tables=[
            Table(("tier", "split", *LOSS_TERMS), terms),
            Table(("tier", "split", "targets from", "confidence weight", "segments"), targets),
        ],
    )


def _measures(card: CardFigures) -> Iterable[Section]:
    columns = ("tier", "values", "unknown", "lowest", "5 %", "median", "95 %", "highest", "mean")
    for measure, (title, of) in MEASURES.items():
        rows: list[tuple[Cell, ...]] = []
        for one in spreads_of(card, measure):
            ends = (one.low, one.p5, one.median, one.p95, one.high, one.mean)
            rows.append((one.tier, one.count, one.unknown, *ends))
        if rows:
            yield Section(
                measure, title, f"Unit: {of}.", tables=[Table(columns, rows)], measure=measure
            )


def _exclusions(card: CardFigures) -> Section:
    rows = [(row.tier, row.what, row.stage, row.reason, row.count) for row in card.exclusions]
    return Section(
        "exclusions",
        "What is left out, and why",
        "Videos that are no recording of the tier; recordings that are not used; segments that "
        "were filtered or whose keys cross the splits; what the manifest found at odds.",
        tables=[Table(("tier", "what", "where", "reason", "count"), rows)],
    )


def _dead_links(card: CardFigures) -> Section:
    by_reason: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for link in card.dead_links:
        counts = by_reason[link.tier, link.reason]
        counts[0] += 1
        counts[1] += link.is_collected
    return Section(
        "dead",
        "Dead links",
        "Recordings that their source no longer gives or lists, with the day on which that was "
        "found.",
        tables=[
            Table(
                ("tier", "reason", "recordings", "of these fetched before"),
                [
                    (tier, reason, counts[0], counts[1])
                    for (tier, reason), counts in sorted(by_reason.items())
                ],
            ),
            Table(
                ("tier", "found on", "reason", "recording", "title", "address", "fetched before"),
                [
                    (
                        link.tier,
                        f"{link.found_at:%Y-%m-%d}" if link.found_at else None,
                        link.reason,
                        link.recording_id,
                        link.title,
                        link.source_url,
                        "yes" if link.is_collected else "no",
                    )
                    for link in card.dead_links
                ],
            ),
        ],
    )


def _licences(card: CardFigures) -> Section:
    licences = [
        (row.tier, row.licence or "not stated", row.note, row.recordings, row.segments)
        for row in card.licences
    ]
    hosts = [(row.tier, row.host, row.recordings, row.segments) for row in card.sources]
    return Section(
        "licences",
        "Licences and sources",
        "A licence as the source states it. Where none is stated, nothing is permitted by it.",
        tables=[
            Table(("tier", "licence", "on whose terms", "recordings", "segments"), licences),
            Table(("tier", "fetched from", "recordings", "segments"), hosts),
        ],
    )


def _citations() -> Section:
    rows = [(tier or "all", name, cited, terms) for tier, name, cited, terms in CITATIONS]
    return Section(
        "cite",
        "How to cite, and on which terms",
        tables=[Table(("tier", "what", "cite", "terms"), rows)],
    )


def _leaks(card: CardFigures) -> Section:
    says = "No key lies in two splits, and no performance in two tiers."
    if not card.splits:
        says = "There is no manifest to look at."
    elif card.leaks:
        says = "These lie in two splits or two tiers: do not train on this set."
    return Section(
        "leaks",
        "Leaks",
        says,
        tables=[
            Table(
                ("kind", "keys", "segments"),
                [(row.kind, row.keys, row.segments) for row in card.leaks],
            ),
            Table(
                ("tier", "split", "not known", "segments that nobody can check"),
                [(row.tier, row.split, row.key, row.segments) for row in card.unknown_keys],
            ),
        ],
    )


def _teachers(card: CardFigures) -> Section:
    rows = [
        (
            row.tier,
            row.teacher_model,
            row.rubric_version,
            row.segments,
            f"{row.cost_usd:,.2f}",
            row.verdict or "not run",
        )
        for row in card.teachers
    ]
    return Section(
        "teacher",
        "The teacher's labels",
        "" if rows else "No segment has been scored by a teacher.",
        tables=[Table(("tier", "model", "rubric", "segments", "dollars", "gate"), rows)],
    )


def _versions(card: CardFigures) -> Section:
    made_with: defaultdict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for one in card.versions:
        made_with[one.stage, one.kind, one.name, one.value].append(f"{one.tier} {one.recordings:,}")
    versions = [(*key, ", ".join(tiers)) for key, tiers in sorted(made_with.items())]
    recipes = [
        (
            row.tier,
            row.recipe,
            row.recipe_version,
            None if row.seed is None else str(row.seed),
            row.twins,
        )
        for row in card.twin_recipes
    ]
    return Section(
        "versions",
        "Versions, seeds and hashes",
        "As the receipts have them, counted by recordings.",
        tables=[
            Table(("stage", "kind", "name", "value", "recordings"), versions),
            Table(("tier", "recipe of twins", "version", "seed", "twins"), recipes),
            Table(("seed or rule", "value"), list(card.seeds.items())),
            Table(
                ("file", "size", "SHA-256"),
                [(row.path, size(row.size_bytes), row.sha256) for row in card.files],
            ),
        ],
    )


def _external(card: CardFigures) -> Section:
    rows = [
        (
            row.folder,
            row.files if row.listing_sha256 else "not there",
            size(row.size_bytes),
            f"{row.newest:%Y-%m-%d}" if row.newest else None,
            row.listing_sha256,
        )
        for row in card.external
    ]
    columns = ("folder", "files", "size", "last changed", "SHA-256 of paths and sizes")
    return Section(
        "external",
        "Folders that others fill",
        "" if rows else "None was observed for this card.",
        tables=[Table(columns, rows)],
    )
