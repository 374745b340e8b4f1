"""`data-collection doctor`: what works on this machine, what does not, and what to do about it.

What belongs here: one small function a thing that cannot be tested where the code was written. What
does not: repairing it. Offline it touches no network; `--online` asks the sources, the
channels and the hub, and fetches nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from upath import UPath

from data_collection.augmentation.recipe import read_recipe
from data_collection.augmentation.rooms import rooms_at
from data_collection.competition.editions import EditionError, read_edition
from data_collection.competition.roster import RosterError
from data_collection.competition.sources.pages import Manners
from data_collection.competition.sources.reading import readable
from data_collection.embedding.checkpoint import find_checkpoint
from data_collection.embedding.options import definite_device, definite_precision
from data_collection.maestro.archive import open_archive
from data_collection.maestro.metadata import read_metadata
from data_collection.maestro.performers import read_performer_overrides
from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.errors import CatalogueError, RecordingError, SetupError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.listing import ListingError, list_videos
from data_collection.recordings.sounds import SoundScorer
from data_collection.recordings.store import Store
from data_collection.settings import Settings
from data_collection.teacher.messages import client, read
from data_collection.teacher.pilot import read_pilot
from data_collection.teacher.prices import read_prices
from data_collection.teacher.rubric import read_rubric
from data_collection.youtube.channels import read_channels
from data_collection.youtube.discovery import verify_channel
from data_collection.youtube.gate import read_gate

Verdict = Literal["good", "note", "bad"]
YT_DLP_OLD_DAYS = 60
LOW_DISK_BYTES = 20 * 10**9
PINS = {"torch": "2.11.0", "torchaudio": "2.11.0", "transformers": "4.57.6", "muq": "0.1.0"}
COLOURS: dict[Verdict, str] = {"good": "green", "note": "yellow", "bad": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look gave."""

    what: str
    verdict: Verdict
    said: str


def run_doctor(*, online: bool, console: Console) -> int:
    """Print all findings; returns 1 where something is bad, 0 otherwise."""
    settings = Settings()
    looks: list[Callable[[Settings], Finding]] = [
        _data_root,
        _edition,
        _local_maestro,
        _channels,
        _gate,
        _yt_dlp,
        _javascript_runtime,
        _ffmpeg,
        _decoders,
        _pins,
        _device,
        _checkpoint,
        _sound_models,
        _dagster_home,
        _augmentation,
        _teacher,
        _pilot,
        _anthropic_key,
    ]
    if online:
        looks += [_listing, _result_sources, _maestro, _channels_online, _hub, _teacher_online]
    findings = [look(settings) for look in looks]
    table = Table(show_header=False, box=None)
    for finding in findings:
        table.add_row(
            f"[{COLOURS[finding.verdict]}]{finding.verdict}[/]", finding.what, escape(finding.said)
        )
    console.print(table)
    if not online:
        console.print(
            "Not looked at: YouTube, its channels, the sites of results, MAESTRO's server, the hub "
            "and the teacher's API; `data-collection doctor --online` does."
        )
    return 1 if any(finding.verdict == "bad" for finding in findings) else 0


def _data_root(settings: Settings) -> Finding:
    what = "data root"
    store = Store.at(settings.data_collection_root, settings.embeddings_root)
    try:
        store.write_bytes(".doctor", b"written by data-collection doctor\n")
        store.path(".doctor").unlink()
    except (OSError, SetupError, PermissionError) as error:
        return Finding(what, "bad", f"{store.root} cannot be written: {error}")
    if store.root.protocol not in ("", "file", "local"):
        return Finding(what, "good", f"{store.root} is writable")
    free = shutil.disk_usage(str(store.root)).free
    return Finding(
        what,
        "good" if free > LOW_DISK_BYTES else "note",
        f"{store.root} is writable, {free / 1e9:.0f} GB free",
    )


def _edition(settings: Settings) -> Finding:
    try:
        edition = read_edition(settings.competition_edition)
        if not any(source.source == "roster" for source in edition.results):
            return Finding("edition", "good", f"{edition.name}: results from the web only")
        roster = edition.roster()
    except (EditionError, RosterError) as error:
        return Finding("edition", "bad", str(error))
    recalled = sum(competitor.confidence == "recalled" for competitor in roster)
    note = f", {recalled} of them recalled, not sourced" if recalled else ""
    return Finding("edition", "good", f"{edition.name}: {len(roster)} competitors{note}")


def _local_maestro(settings: Settings) -> Finding:
    if settings.maestro_base_url.startswith("file:"):
        return _maestro(settings)
    said = "not asked now; all of its audio is about 100 GB of traffic"
    return Finding("MAESTRO", "note", f"{settings.maestro_base_url}: {said}")


def _maestro(settings: Settings) -> Finding:
    what = "MAESTRO"
    store = Store.at(settings.data_collection_root, settings.embeddings_root)
    try:
        read_performer_overrides(settings.maestro_performers)
        rows = read_metadata(settings.maestro_base_url).rows
        with open_archive(settings.maestro_base_url, store, FetchOptions(attempts=1)) as archive:
            missing = archive.missing(row.audio_filename for row in rows)
    except (CatalogueError, RecordingError) as error:
        return Finding(what, "bad", str(error))
    if missing:
        said = f"{len(missing)} of {len(rows)} recordings are not there, such as {missing[0]}"
        return Finding(what, "bad", f"{archive.place}: {said}")
    return Finding(what, "good", f"{archive.place}: all {len(rows)} recordings can be read")


def _channels(settings: Settings) -> Finding:
    try:
        channels = read_channels(settings.youtube_channels)
    except CatalogueError as error:
        return Finding("YouTube channels", "bad", str(error))
    unverified = sum(not channel.verified for channel in channels)
    said = f"{len(channels)} channels, {sum(channel.paused for channel in channels)} paused"
    if unverified:
        note = f"{said}; nobody has asked YouTube for {unverified} of their addresses (--online)"
        return Finding("YouTube channels", "note", note)
    return Finding("YouTube channels", "good", said)


def _gate(settings: Settings) -> Finding:
    try:
        gate = read_gate(settings.youtube_metrics, forced=settings.youtube_forced)
    except SetupError as error:
        return Finding("YouTube gate", "bad", error.detail)
    return Finding("YouTube gate", "good" if gate.is_open else "note", gate.because)


def _channels_online(settings: Settings) -> Finding:
    what = "YouTube channels"
    said: list[str] = []
    verdict: Verdict = "good"
    try:
        channels = read_channels(settings.youtube_channels)
    except CatalogueError as error:
        return Finding(what, "bad", str(error))
    for channel in channels:
        try:
            said.append(f"{channel.id}: {verify_channel(channel)}")
        except ListingError as error:
            verdict = "bad"
            said.append(f"{channel.id}: {error}")
    return Finding(what, verdict, "\n".join(said))


def _yt_dlp(settings: Settings) -> Finding:
    version = importlib.metadata.version("yt-dlp")
    year, month, day = (int(part) for part in version.split(".")[:3])
    days = (datetime.now(UTC).date() - date(year, month, day)).days
    if days > YT_DLP_OLD_DAYS:
        said = f"{version} is {days} days old; YouTube changes often: raise the pin and try"
        return Finding("yt-dlp", "note", said)
    return Finding("yt-dlp", "good", f"{version}, {days} days old")


def _javascript_runtime(settings: Settings) -> Finding:
    import deno

    try:
        return Finding("JavaScript runtime", "good", _version([deno.find_deno_bin(), "--version"]))
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(
            "JavaScript runtime", "bad", f"deno does not run ({error}); YouTube needs it"
        )


def _ffmpeg(settings: Settings) -> Finding:
    import imageio_ffmpeg

    try:
        said = _version([imageio_ffmpeg.get_ffmpeg_exe(), "-version"])
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return Finding("ffmpeg for yt-dlp", "bad", f"it does not run ({error})")
    return Finding("ffmpeg for yt-dlp", "good", said)


def _version(command: list[str]) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)  # noqa: S603 - the packages' own programs
    return answer.stdout.splitlines()[0]


def _decoders(settings: Settings) -> Finding:
    import av

    missing = [name for name in ("aac", "opus", "mp3", "flac") if name not in av.codecs_available]
    if missing:
        return Finding("audio decoders", "bad", f"PyAV has no {', '.join(missing)}")
    return Finding("audio decoders", "good", f"PyAV {av.__version__}: aac, opus, mp3, flac")


def _pins(settings: Settings) -> Finding:
    found = {name: importlib.metadata.version(name) for name in PINS}
    wrong = [f"{name} {found[name]} ({PINS[name]} was tried)" for name in PINS
             if found[name].split("+")[0] != PINS[name]]  # fmt: skip
    if wrong:
        said = f"{', '.join(wrong)}; install with -c constraints.txt"
        return Finding("torch and muq", "bad", said)
    return Finding("torch and muq", "good", ", ".join(f"{k} {v}" for k, v in found.items()))


def _device(settings: Settings) -> Finding:
    import torch

    try:
        device = definite_device(settings.muq_device)
    except SetupError as error:
        return Finding("GPU", "bad", error.detail)
    precision = definite_precision(settings.muq_precision, device)
    said = f"embeddings on {device} in {precision}"
    if device.startswith("cuda"):
        return Finding("GPU", "good", f"{torch.cuda.get_device_name(device)}: {said}")
    if device == "mps":
        return Finding("GPU", "note", f"MPS, on which this was never tried: {said}")
    return Finding("GPU", "note", f"none: {said}; a 30 s clip takes about 7 s on two cores")


def _checkpoint(settings: Settings) -> Finding:
    name = settings.muq_checkpoint
    licence = "its weights are CC BY-NC 4.0, so the embeddings are non-commercial"
    if not os.path.isdir(os.path.expanduser(name)):  # noqa: PTH111, PTH112 - may be a hub id
        return Finding(
            "MuQ checkpoint", "note", f"{name}: on the hub, fetched when needed; {licence}"
        )
    try:
        found = find_checkpoint(name)
    except SetupError as error:
        return Finding("MuQ checkpoint", "bad", error.detail)
    return Finding("MuQ checkpoint", "good", f"{found.folder}, {found.revision}; {licence}")


def _sound_models(settings: Settings) -> Finding:
    import numpy as np

    try:
        scores = SoundScorer().score_clip(np.zeros(SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ)
    except SetupError as error:
        return Finding("sound models", "bad", error.detail)
    return Finding("sound models", "good", f"they load; a second of silence: {scores.silence:.2f}")


def _dagster_home(settings: Settings) -> Finding:
    home = settings.dagster_home
    if home is None:
        return Finding("DAGSTER_HOME", "note", "not set; `make dev` uses .dagster/ of the project")
    if not (home / "dagster.yaml").is_file():
        return Finding("DAGSTER_HOME", "bad", f"{home} holds no dagster.yaml; copy the project's")
    return Finding("DAGSTER_HOME", "good", str(home))


def _augmentation(settings: Settings) -> Finding:
    try:
        recipe = read_recipe(settings.augmentation_recipe)
        rooms = rooms_at(settings.augmentation_rooms)
    except SetupError as error:
        return Finding("augmentation", "bad", error.detail)
    kind = "measured" if settings.augmentation_rooms else "made"
    said = f"recipe {recipe.name} {recipe.version}, {len(rooms.names)} {kind} rooms"
    return Finding("augmentation", "good", said)


def _teacher(settings: Settings) -> Finding:
    try:
        rubric = read_rubric(settings.teacher_rubric)
        prices = read_prices(settings.teacher_prices)
        prices.price(settings.teacher_model)
    except SetupError as error:
        return Finding("teacher", "bad", error.detail)
    said = (
        f"{settings.teacher_model}, rubric {rubric.version}, prices of {prices.as_of}; may spend "
        f"{settings.teacher_cap_usd} USD in all"
    )
    if not settings.teacher_cap_usd:
        return Finding("teacher", "note", f"{said}: set TEACHER_CAP_USD before it is asked")
    return Finding("teacher", "good", said)


def _pilot(settings: Settings) -> Finding:
    try:
        pilot = read_pilot(settings.teacher_pilot)
    except SetupError as error:
        return Finding("pilot", "bad", error.detail)
    return Finding("pilot", "good" if pilot.is_go else "note", pilot.because)


def _teacher_online(settings: Settings) -> Finding:
    key = settings.anthropic_api_key
    if key is None:
        return Finding("teacher's API", "note", "not asked: there is no key")
    try:
        asked = client(key.get_secret_value(), settings.anthropic_base_url)
        found = read(asked, "model", lambda: asked.models.retrieve(settings.teacher_model))
    except RecordingError as error:
        return Finding("teacher's API", "bad", error.detail)
    return Finding("teacher's API", "good", f"it knows {found.id}")


def _anthropic_key(settings: Settings) -> Finding:
    if settings.anthropic_api_key is None:
        return Finding("ANTHROPIC_API_KEY", "note", "not set; only the teacher needs it")
    return Finding("ANTHROPIC_API_KEY", "good", "set")


def _listing(settings: Settings) -> Finding:
    try:
        edition = read_edition(settings.competition_edition)
        url = next(iter(edition.playlists.values()), None) or edition.channel or ""
        first = list(islice(list_videos(url), 3))
    except (EditionError, ListingError) as error:
        return Finding("listing", "bad", str(error))
    if not first:
        return Finding("listing", "bad", f"{url} holds no videos")
    return Finding("listing", "good", f"{url}: {first[0].title!r} and more")


def _result_sources(settings: Settings) -> Finding:
    what = "sites of results"
    manners = Manners(contact=settings.source_contact)
    try:
        edition = read_edition(settings.competition_edition)
    except EditionError as error:
        return Finding(what, "bad", str(error))
    said: list[str] = []
    verdict: Verdict = "good"
    for source in edition.results:
        try:
            said.append(f"{source.name}: {readable(edition, source, manners)}")
        except CatalogueError as error:
            verdict = "bad" if source.required or verdict == "bad" else "note"
            said.append(f"{source.name}: {error}")
    return Finding(what, verdict, "\n".join(said))


def _hub(settings: Settings) -> Finding:
    name = settings.muq_checkpoint
    if UPath(name).exists():
        return Finding("hub", "note", "not asked: MUQ_CHECKPOINT is a folder")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        info = HfApi().model_info(name, revision=settings.muq_revision, timeout=20)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        return Finding("hub", "bad", f"{name}: {error}")
    return Finding("hub", "good", f"{name} at {info.sha}")
