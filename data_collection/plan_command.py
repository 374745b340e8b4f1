"""`data-collection plan`: what collecting everything takes, told before anything is fetched.

What belongs here: where catalogues, budgets and prices are read, which join folders that do not
know each other, and how a plan is shown. What does not: the sums (`training_set.plan`). It asks no
network; the model is tried for some seconds where no receipt tells how fast it is.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from data_collection.competition.catalogue import competition_tier
from data_collection.competition.editions import EditionError, read_edition
from data_collection.competition.listing import ListedRow
from data_collection.maestro.archive_directory import KEPT_AT
from data_collection.maestro.archive_zip import Directory, find_member, open_directory
from data_collection.maestro.catalogue import maestro_tier
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow
from data_collection.recordings.collection import read_recordings
from data_collection.recordings.errors import CatalogueError, RecordingError, SetupError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.rows import read_rows
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.settings import Settings
from data_collection.teacher.labels import read_labels
from data_collection.teacher.prices import Usage, read_prices
from data_collection.teacher.rubric import read_rubric, system_text
from data_collection.training_set.plan import (
    EMBEDDING_BYTES_PER_S,
    GUEST_VIDEOS_PER_H,
    NUMBERS,
    Held,
    Limits,
    Nights,
    Rates,
    TierId,
    TierPlan,
    hold,
    nights_of_budgets,
    nights_on_a_line,
    plan_tier,
    totals,
    unknown_plan,
)
from data_collection.training_set.plan_catalogue import (
    Catalogued,
    evenly,
    measured_clips_per_s,
    read_catalogued,
)
from data_collection.youtube.catalogue_rows import YouTubeRecording
from data_collection.youtube.channels import read_channels
from data_collection.youtube.gate import read_gate
from data_collection.youtube.tier import youtube_tier

PASSED = 1
REFUSED = 2
MAESTRO_RECORDINGS = 1276
MAESTRO_DURATION_S = 198.65 * 3600
MAESTRO_BYTES_PER_S = 100e9 / MAESTRO_DURATION_S
"""The release is about 100 GB of WAV in a zip."""
CHARACTERS_PER_TOKEN = 3.5
"""Of the rubric's English, on the safe side."""
PACKET_TOKENS = 1000
"""A packet has under 2,000 characters, mostly digits: two of them a token."""
ANSWER_TOKENS = 700
"""Six scores with their confidence as JSON, and a little thinking before."""
TRIAL_S = 5.0
MOST_TRIAL_CLIPS = 8
CLIP_SAMPLES = 30 * 24_000


@dataclass(frozen=True, slots=True)
class KnownTier:
    """A tier, what is known of it, and what to assume beside that."""

    tier: Tier
    catalogued: Catalogued | None
    rates: Rates
    nights: Nights
    missing: str


def run_plan(*, clips_per_second: float | None, as_json: bool, console: Console) -> int:
    """Print what each tier takes, and hold it against the limits.

    Args:
        clips_per_second: that the model embeds here; None for what is measured.
        as_json: one document on stdout instead of tables.
        console: where to print.

    Returns:
        0; 1 where a limit is passed; 2 where a file that the plan needs cannot be used.
    """
    settings = Settings()
    store = Store.at(settings.data_collection_root, settings.embeddings_root)
    try:
        if clips_per_second is not None and not clips_per_second > 0:
            raise SetupError("pace_unusable", "--clips-per-second: give a number above 0")
        tiers = make_plans(settings, store, clips_per_second)
    except (EditionError, CatalogueError, RecordingError) as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]{escape(str(error))}[/]")
        return REFUSED
    held = hold(tiers, _limits(settings), _free_bytes(store))
    if as_json:
        sys.stdout.write(f"{json.dumps(as_document(tiers, held), ensure_ascii=False, indent=1)}\n")
    else:
        _print(tiers, held, console)
    return PASSED if any(one.is_passed for one in held) else 0


def make_plans(
    settings: Settings, store: Store, clips_per_s: float | None = None
) -> dict[TierId, TierPlan]:
    """The plans of all tiers.

    Raises:
        EditionError: the edition file cannot be used.
        CatalogueError: the file of channels cannot be used.
        RecordingError: a catalogue, labels, prices or the rubric are damaged.
    """
    known: dict[TierId, KnownTier] = {
        "t2": _competition(settings, store),
        "t3": _maestro(settings, store),
        "t4": _youtube(settings, store),
    }
    common = _with_pace(_with_price(Rates(), settings), settings, known.values(), clips_per_s)
    plans: dict[TierId, TierPlan] = {}
    for name, one in known.items():
        if one.catalogued is None:
            plans[name] = unknown_plan(one.missing)
            continue
        rates = replace(
            common,
            original_bytes_per_s=one.rates.original_bytes_per_s,
            keeps_original=one.rates.keeps_original,
            has_twins=one.tier.has_twins,
        )
        labelled = _labelled(store, one.tier)
        plans[name] = plan_tier(one.catalogued, rates, one.nights, labelled=labelled)
    return plans


def as_document(tiers: Mapping[TierId, TierPlan], held: Sequence[Held]) -> dict[str, object]:
    """The plan as JSON values: `tiers`, `total`, `limits`."""
    return {
        "tiers": {name: asdict(plan) for name, plan in tiers.items()},
        "total": totals(tiers),
        "limits": [{**asdict(one), "is_passed": one.is_passed} for one in held],
    }


# What is known of each tier


def _competition(settings: Settings, store: Store) -> KnownTier:
    tier = competition_tier(read_edition(settings.competition_edition), FetchOptions())
    listing = f"{tier.folder('listing')}.jsonl"
    rows = read_rows(store, listing, ListedRow) if store.path(listing).exists() else []
    durations = {row.recording_id: row.duration_s for row in rows if row.duration_s}
    pause_s = (settings.fetch_sleep_min_s + settings.fetch_sleep_max_s) / 2
    return KnownTier(
        tier=tier,
        catalogued=read_catalogued(store, tier, original_durations_s=durations),
        rates=Rates(),
        nights=nights_on_a_line(pause_s, GUEST_VIDEOS_PER_H),
        missing=f"no catalogue yet; the job {'_'.join(tier.key_prefix)}_catalogue makes it and "
        "fetches no audio",
    )


def _maestro(settings: Settings, store: Store) -> KnownTier:
    tier = maestro_tier(settings.maestro_base_url, settings.maestro_performers)
    catalogued = read_catalogued(store, tier)
    if catalogued is None:
        catalogued = evenly(MAESTRO_RECORDINGS, MAESTRO_DURATION_S)
    elif sizes := _member_sizes(store, tier):
        recordings = [
            replace(one, original_bytes=sizes.get(one.recording_id))
            for one in catalogued.recordings
        ]
        said = "originals: sizes as the archive's directory has them"
        catalogued = Catalogued(recordings, (*catalogued.notes, said))
    return KnownTier(
        tier=tier,
        catalogued=catalogued,
        rates=Rates(original_bytes_per_s=MAESTRO_BYTES_PER_S, keeps_original=False),
        nights=nights_on_a_line(),
        missing="",
    )


def _member_sizes(store: Store, tier: Tier) -> dict[str, int]:
    """Sizes in the archive by recording id, where its directory is kept; asks no network."""
    try:
        head, _, content = store.path(KEPT_AT).read_bytes().partition(b"\n")
        directory = Directory(int(json.loads(head)["start"]), content)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
    sizes: dict[str, int] = {}
    try:
        with open_directory(directory, place=KEPT_AT) as archive:
            for row in read_recordings(store, tier):
                if isinstance(row, MaestroCatalogueRow):
                    member = find_member(archive, row.audio_filename, place=KEPT_AT)
                    sizes[row.recording_id] = member.compress_size
    except RecordingError:  # of another release; the run that fetches reads it anew, and says so
        return {}
    return sizes


def _youtube(settings: Settings, store: Store) -> KnownTier:
    channels = read_channels(settings.youtube_channels)
    tier = youtube_tier(channels, settings.dagster_home or Path(".dagster"))
    budgets = {channel.id: channel.nightly_budget for channel in channels if not channel.paused}

    def is_wanted(row: Recording) -> bool:
        if not isinstance(row, YouTubeRecording):
            return False
        return row.is_collectable and row.channel_id in budgets

    catalogued = read_catalogued(
        store,
        tier,
        is_wanted=is_wanted,
        group_of=lambda row: row.channel_id if isinstance(row, YouTubeRecording) else "",
    )
    gate = read_gate(settings.youtube_metrics, forced=settings.youtube_forced)
    if catalogued is not None and not gate.is_open:
        note = f"not fetched now: {gate.because}"
        catalogued = Catalogued(catalogued.recordings, (*catalogued.notes, note))
    return KnownTier(
        tier=tier,
        catalogued=catalogued,
        rates=Rates(),
        nights=nights_of_budgets(budgets, settings.youtube_nightly_budget),
        missing="no catalogue yet; listing the channels and materializing "
        f"{tier.folder('recordings')} makes it and fetches no audio",
    )


def _labelled(store: Store, tier: Tier) -> int:
    try:
        return len(read_labels(store, f"{tier.folder('teacher_labels')}.json"))
    except SetupError as error:
        if error.reason == "labels_missing":
            return 0
        raise


# What a label costs, and how fast the model is


def _with_price(rates: Rates, settings: Settings) -> Rates:
    """Rates with the price of one question at the configured model's batch price."""
    rubric = system_text(read_rubric(settings.teacher_rubric))
    usage = Usage(
        cache_read_tokens=round(len(rubric) / CHARACTERS_PER_TOKEN),
        input_tokens=PACKET_TOKENS,
        output_tokens=ANSWER_TOKENS,
    )
    model = settings.teacher_model
    try:
        each = read_prices(settings.teacher_prices).cost(usage, model, batched=True)
    except SetupError as error:
        if error.reason != "teacher_price_unknown":
            raise
        return replace(rates, no_dollars=error.detail)
    said = (
        f"labels: {model} in batches, assumed {usage.cache_read_tokens:,} tokens of the prompt "
        f"from the cache, {PACKET_TOKENS:,} of a packet, {ANSWER_TOKENS:,} of the answer: "
        f"${each:.5f} each; teacher_plan has them counted"
    )
    return replace(rates, dollars_per_label=each, notes=(*rates.notes, said))


def _with_pace(
    rates: Rates, settings: Settings, known: Iterable[KnownTier], stated: float | None
) -> Rates:
    how, found = "as stated", stated
    if found is None:
        how, found = (
            "by the receipts",
            measured_clips_per_s(
                recording
                for one in known
                if one.catalogued is not None
                for recording in one.catalogued.recordings
            ),
        )
    why = ""
    if found is None:
        how = "tried just now"
        found, why = tried_clips_per_s(settings)
    said = () if found is None else (f"model: {found:.3g} clips a second, {how}",)
    return replace(
        rates,
        clips_per_s=found,
        no_clips_per_s=why,
        embedding_bytes_per_s=EMBEDDING_BYTES_PER_S / settings.muq_pool_frames,
        notes=(*rates.notes, *said),
    )


def tried_clips_per_s(settings: Settings) -> tuple[float | None, str]:
    """How many clips of noise the configured model embeds in a second, if it is on this machine.

    Returns:
        Clips a second; None with the reason.
    """
    import numpy as np

    from data_collection.embedding.checkpoint import find_checkpoint
    from data_collection.embedding.encoder import load_encoder
    from data_collection.embedding.options import EncoderOptions

    folder = _checkpoint_folder(settings)
    if folder is None:
        return None, (
            f"nothing was embedded yet, and {settings.muq_checkpoint} is not on this machine to be "
            "tried; give --clips-per-second"
        )
    layers = settings.muq_layers if settings.muq_layers == "last" else tuple(settings.muq_layers)
    options = EncoderOptions(
        engine=settings.muq_engine,
        device=settings.muq_device,
        precision=settings.muq_precision,
        batch_s=settings.muq_batch_s,
        layers=layers,
        pool_frames=settings.muq_pool_frames,
    )
    try:
        encoder = load_encoder(find_checkpoint(str(folder)), options)
    except SetupError as error:
        return None, f"the model cannot be tried: {error.detail}"
    count = max(1, min(MOST_TRIAL_CLIPS, int(encoder.batch_s // 30)))
    noise = np.random.default_rng(0).normal(0, 0.1, (count, CLIP_SAMPLES)).astype(np.float32)
    encoder.embed(noise[:1, : CLIP_SAMPLES // 10])
    began_s, passes = time.monotonic(), 0
    while not passes or time.monotonic() - began_s < TRIAL_S:
        encoder.embed(noise)
        passes += 1
    return passes * count / (time.monotonic() - began_s), ""


def _checkpoint_folder(settings: Settings) -> Path | None:
    """Where the configured weights lie on this machine; asks no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    folder = Path(settings.muq_checkpoint).expanduser()
    if folder.is_dir():
        return folder
    try:
        found = snapshot_download(
            settings.muq_checkpoint, revision=settings.muq_revision, local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    return Path(found)


# Limits, and what a person sees


def _limits(settings: Settings) -> Limits:
    return Limits(
        disk_bytes=settings.plan_max_disk_bytes,
        gpu_hours=settings.plan_max_gpu_hours,
        nights=settings.plan_max_nights,
        label_dollars=settings.plan_max_label_dollars,
    )


def _free_bytes(store: Store) -> int | None:
    """Free on the data root's disk; None where it lies on no disk of this machine."""
    if store.root.protocol not in ("", "file", "local"):
        return None
    place = Path(str(store.root))
    return shutil.disk_usage(next(one for one in (place, *place.parents) if one.exists())).free


LABELS = {
    "recordings": "recordings",
    "left": "left of them",
    "hours": "hours",
    "segments": "segments",
    "segments_left": "left to embed, twins too",
    "bytes_to_move": "to move",
    "disk_there_bytes": "on the disk now",
    "disk_rest_bytes": "on the disk at rest",
    "disk_peak_bytes": "on the disk at the peak",
    "gpu_hours": "hours of the model",
    "nights": "nights",
    "label_dollars": "labels",
}


def _print(tiers: Mapping[TierId, TierPlan], held: Sequence[Held], console: Console) -> None:
    total = totals(tiers)
    table = Table(box=None, pad_edge=False, header_style="underline")
    table.add_column("")
    for name in (*tiers, "all"):
        table.add_column(name, justify="right")
    for name in NUMBERS:
        values = [getattr(plan, name) for plan in tiers.values()]
        table.add_row(LABELS[name], *(_cell(name, value) for value in [*values, total[name]]))
    console.print(table)
    for tier, plan in tiers.items():
        for why, names in _by_reason(plan).items():
            console.print(escape(f"{tier}: {', '.join(names)} not known: {why}"), highlight=False)
    for note, where in _by_note(tiers).items():
        console.print(escape(f"{', '.join(where)}: {note}"), highlight=False)
    for one in held:
        mark = "[red]passed[/]" if one.is_passed else "[green]kept[/]"
        said = f"{LABELS[one.name]}: {_cell(one.name, one.total)} of "
        said += f"{_cell(one.name, one.limit)} ({one.setting})"
        said += f"; not known of {', '.join(one.unknown)}" if one.unknown else ""
        said += f": {one.change}" if one.is_passed else ""
        console.print(f"limit {mark} {escape(said)}", highlight=False)


def _by_reason(plan: TierPlan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, why in plan.because.items():
        found.setdefault(why, []).append(LABELS[name])
    return {
        why: names if len(names) < len(NUMBERS) else ["everything is"]
        for why, names in found.items()
    }


def _by_note(tiers: Mapping[TierId, TierPlan]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for tier, plan in tiers.items():
        for note in plan.notes:
            found.setdefault(note, []).append(tier)
    return found


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "?"
    if "bytes" in name:
        return decimal(round(value))
    if name == "label_dollars":
        return f"${value:,.2f}"
    return f"{value:,.1f}" if "hours" in name else f"{value:,.0f}"
