"""A made-up channel of uploads for T4: performances of its own, copies, and what is not wanted.

What belongs here: the channel's videos and the file that describes it. What does not: serving it
(`server`). The performances are the sample's, played back at other speeds: none of them is a
performance that the competition or the release has, and all are what they claim to be, a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from data_collection.sample.media import AUDIO, Container, duration_s, encode
from data_collection.sample.server import Video

CHANNEL_ID = "sample_uploads"
CHANNEL_TITLE = "Sample Uploads (made up)"
_UPLOADS: tuple[tuple[str, str, str, float, Container], ...] = (
    ("smp-up-1", "Prelude in C major at the upright", "stage1_lindqvist", 0.94, "m4a"),
    ("smp-up-2", "Bach, Prelude No. 1 – a slow one", "stage1_okafor", 0.91, "webm"),
    ("smp-up-3", "Chopin Prelude in E minor", "final_lindqvist", 1.05, "mp3"),
    ("smp-up-4", "C major Prelude, one take", "stage1_brandt", 1.07, "m4a"),
    ("smp-up-5", "Prelude Op. 28 No. 4", "final_okafor", 0.95, "webm"),
    ("smp-up-6", "Prelude in C, played for a friend", "stage1_ruzicka", 1.04, "mp3"),
)
KEPT = tuple(f"smp-up-{number}" for number in range(1, 7))
AGAIN = "smp-up-again"
"""One of them in another codec."""
OF_THE_COMPETITION = "smp-up-live"
"""A recital of the sample competition, in another codec."""
DEAD = "smp-up-gone"
NOT_WANTED = "smp-up-tutorial"


def sample_uploads(media_folder: Path) -> list[Video]:
    """The channel's videos, the newest first, their media encoded into a folder."""
    media_folder.mkdir(parents=True, exist_ok=True)
    uploads = [
        _video(id_, title, encode(_faster(source, speed, media_folder), media_folder /
               f"{id_}.{container}", container))
        for id_, title, source, speed, container in _UPLOADS
    ]  # fmt: skip
    source, speed = _UPLOADS[0][2:4]
    again = encode(_faster(source, speed, media_folder), media_folder / f"{AGAIN}.mp3", "mp3")
    live = encode(AUDIO / "final_sol.opus", media_folder / f"{OF_THE_COMPETITION}.m4a", "m4a")
    return [
        _video(NOT_WANTED, "How to play the Prelude in C: tutorial", uploads[0].media),
        _video(OF_THE_COMPETITION, "MARTIN SOL live at the competition", live),
        _video(AGAIN, "Prelude in C major at the upright (remastered)", again),
        *reversed(uploads),
        Video(id=DEAD, title="Prelude that is gone", media=uploads[0].media, fault="gone"),
    ]


def write_channels(folder: Path, feed_url: str) -> Path:
    """Write the file of channels; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    channel = {
        "id": CHANNEL_ID,
        "url": feed_url,
        "name": CHANNEL_TITLE,
        "category": "pianist",
        "nightly_budget": 20,
        "licence_note": "SAMPLE: of this project",
        "rules": {"title_excludes": ["tutorial"], "shorts": True},
    }
    path = folder / "channels.yaml"
    path.write_text(yaml.safe_dump({"channels": [channel]}, sort_keys=False), encoding="utf-8")
    return path


def uploads_by_state() -> dict[str, Sequence[str]]:
    """Which videos become what, by the state of their recordings."""
    return {"done": (*KEPT, AGAIN, OF_THE_COMPETITION), "failed": (DEAD,)}


def _video(id_: str, title: str, media: Path) -> Video:
    return Video(id=id_, title=title, media=media, claimed_duration_s=duration_s(media))


def _faster(source: str, speed: float, folder: Path) -> Path:
    """A recording played back at another speed, as a tape is: pitch goes with it."""
    import soundfile
    import soxr

    target = folder / f"{source}_at_{round(100 * speed)}_percent.flac"
    if not target.exists():
        samples, rate_hz = soundfile.read(AUDIO / f"{source}.opus", dtype="float32")
        played = soxr.resample(samples, rate_hz * speed, rate_hz)
        unfinished = target.with_suffix(".part.flac")
        soundfile.write(unfinished, played, rate_hz, subtype="PCM_16", format="FLAC")
        unfinished.replace(target)
    return target
