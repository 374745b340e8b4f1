"""The sample world: a made-up competition, its six pianists, its channel with all that is on one.

What belongs here: which videos there are and the edition that describes them. What does not:
serving them (`server`). Everything is labelled as a sample wherever its data shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from data_collection.sample.media import AUDIO, Container, duration_s, encode
from data_collection.sample.server import Video

CHECKPOINT = Path(__file__).parent / "checkpoint"
CHANNEL_TITLE = "Sample Piano Competition (made up)"
SUFFIX = "Sample Piano Competition, Loopback"
DEAD_ON_PURPOSE = "smp-falk-r1"

ROSTER_CSV = """\
performer,country,reached_stage,prize,confidence
Anna (Mei) Lindqvist,Sweden,final,1,sourced
Martín Sol,Spain,final,2,sourced
Chidi Okafor,Nigeria,final,2,sourced
Jens-Peter Brandt,Germany,stage1,,sourced
Ondřej Růžička,Czech Republic,stage1,,sourced
T. J. Marlowe,United Kingdom,stage1,,sourced
Ida Falk,Denmark,stage1,,recalled
"""

_RECITALS: tuple[tuple[str, str, str, Container, bool], ...] = (
    ("smp-lindqvist-r1", f"ANNA (MEI) LINDQVIST – first round ({SUFFIX})", "stage1_lindqvist",
     "flac", False),
    ("smp-sol-r1", f"Martin Sol – first round ({SUFFIX})", "stage1_sol", "m4a", True),
    ("smp-okafor-r1", f"OKAFOR Chidi – first round ({SUFFIX})", "stage1_okafor", "webm", False),
    ("smp-brandt-r1", f"JENS PETER BRANDT – 1st round ({SUFFIX})", "stage1_brandt", "mp3", True),
    ("smp-ruzicka-r1", "Ondrej Ruzicka - first round, Sample Piano Competiton Loopback",
     "stage1_ruzicka", "flac", True),
    ("smp-marlowe-r1", f"T J MARLOWE – first round ({SUFFIX})", "stage1_marlowe", "webm", True),
    ("smp-lindqvist-f", f"ANNA LINDQVIST – final round ({SUFFIX})", "final_lindqvist", "m4a",
     False),
    ("smp-sol-f", f"MARTÍN SOL – final round ({SUFFIX})", "final_sol", "mp3", False),
    ("smp-okafor-f", f"CHIDI OKAFOR – final round ({SUFFIX})", "final_okafor", "webm", True),
)  # fmt: skip
_NEGATIVES: tuple[tuple[str, str], ...] = (
    ("smp-encore", f"MARTÍN SOL – encore at the gala concert ({SUFFIX})"),
    ("smp-session", f"First round, session 1: Lindqvist, Sol, Okafor ({SUFFIX})"),
    ("smp-portrait", f"Anna Lindqvist – a portrait ({SUFFIX})"),
    ("smp-results", f"Announcement of the results – final round ({SUFFIX})"),
)


def sample_videos(media_folder: Path) -> list[Video]:
    """The channel's videos, their media encoded into a folder.

    Nine recitals in four containers; one recital that is gone, on purpose; one listed twice; and
    four videos that are no recitals.
    """
    recitals = [
        _video(media_folder, id_, title, source, container, has_page=has_page)
        for id_, title, source, container, has_page in _RECITALS
    ]
    dead = Video(
        id=DEAD_ON_PURPOSE,
        title=f"IDA FALK – first round ({SUFFIX})",
        media=recitals[0].media,
        fault="gone",
        description="SAMPLE: this video is dead on purpose.",
    )
    others = [
        _video(media_folder, id_, title, "encore_sol", "mp3", has_page=False)
        for id_, title in _NEGATIVES
    ]
    return [*recitals[:3], dead, *recitals[3:], recitals[6], *others]


def write_edition(folder: Path, feed_url: str) -> Path:
    """Write the sample's edition and roster into a folder; returns the edition's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sample2021.csv").write_text(ROSTER_CSV, encoding="utf-8")
    edition = {
        "id": "sample2021",
        "name": CHANNEL_TITLE,
        "year": 2021,
        "sample": True,
        "rounds": [
            {"id": "stage1", "title_words": ["first"], "competitors": 7},
            {"id": "final", "title_words": ["final"], "competitors": 3},
        ],
        "channel": feed_url,
        "title_suffix": SUFFIX,
        "results": [{"source": "roster", "path": "sample2021.csv"}],
    }
    path = folder / "sample2021.yaml"
    path.write_text(yaml.safe_dump(edition, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def _video(
    media_folder: Path, id_: str, title: str, source: str, container: Container, *, has_page: bool
) -> Video:
    media = encode(AUDIO / f"{source}.opus", media_folder / f"{source}.{container}", container)
    return Video(
        id=id_,
        title=title,
        media=media,
        claimed_duration_s=duration_s(media),
        has_page=has_page,
        description="SAMPLE: a made-up pianist on a sampled piano.",
    )


def good_recitals() -> Sequence[str]:
    """Ids of the recitals that can be collected."""
    return [id_ for id_, *_ in _RECITALS]
