"""The sample world: a made-up competition, its pianists, jury and sites, and its channel.

What belongs here: which videos and pages there are and the edition that describes them. What does
not: serving them (`server`). Everything is labelled as a sample wherever its data shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from data_collection.sample.media import AUDIO, Container, duration_s, encode, join
from data_collection.sample.server import FixedPage, Video

CHECKPOINT = Path(__file__).parent / "checkpoint"
CHANNEL_TITLE = "Sample Piano Competition (made up)"
SUFFIX = "Sample Piano Competition, Loopback"
DEAD_ON_PURPOSE = "smp-falk-r1"
DEAD_RECORDING = ("Ida Falk", "stage1")

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

JURY_CSV = """\
juror;competitor;round;mark
Agata Sroka;LINDQVIST Anna;first;23,5
Agata Sroka;Martin Sol;first;22
Agata Sroka;Chidi Okafor;first;21,5
Agata Sroka;Jens Peter Brandt;first;18
Agata Sroka;Ondrej Ruzicka;first;16,5
Agata Sroka;T J Marlowe;first;15
Agata Sroka;Ida Falk;first;14
Benedikt Vogel;Anna Lindqvist;first;22
Benedikt Vogel;Martín Sol;first;s
Benedikt Vogel;Chidi Okafor;first;23
Benedikt Vogel;Jens-Peter Brandt;first;17
Benedikt Vogel;Ondřej Růžička;first;18
Benedikt Vogel;T. J. Marlowe;first;14,5
Benedikt Vogel;Ida Falk;first;15
Carla Nunes;Anna Lindqvist;first;24
Carla Nunes;Martín Sol;first;23
Carla Nunes;Chidi Okafor;first;20
Carla Nunes;Jens-Peter Brandt;first;19
Carla Nunes;Ondřej Růžička;first;15
Carla Nunes;T. J. Marlowe;first;16
Carla Nunes;Ida Falk;first;13
"""

BACH = "J. S. Bach: Preludium C-dur / Prelude in C major, BWV 846"
CHOPIN = "F. Chopin: Preludium e-moll op. 28 nr 4 / Prelude in E minor, Op. 28 No. 4"
MADE_UP = "SAMPLE: a made-up pianist on a sampled piano."
SESSION_ID = "smp-session-2"
SECOND_START_S = 53.0
SESSION = f"""\
{MADE_UP}

10.00 – 10.30
JENS PETER BRANDT (Niemcy / Germany)
{BACH} (0:00)

10.30 – 11.00
T J MARLOWE (Wielka Brytania / United Kingdom)
{BACH} (0:53)
"""

_RECITALS: tuple[tuple[str, str, str, Container, bool, str], ...] = (
    ("smp-lindqvist-r1", f"ANNA (MEI) LINDQVIST – first round ({SUFFIX})", "stage1_lindqvist",
     "flac", False, f"{MADE_UP}\n\n{BACH} (0:00)\n"),
    ("smp-sol-r1", f"Martin Sol – first round ({SUFFIX})", "stage1_sol", "m4a", True, MADE_UP),
    ("smp-okafor-r1", f"OKAFOR Chidi – first round ({SUFFIX})", "stage1_okafor", "webm", False,
     f"{MADE_UP}\n{BACH} [00:00]\n#piano"),
    ("smp-ruzicka-r1", "Ondrej Ruzicka - first round, Sample Piano Competiton Loopback",
     "stage1_ruzicka", "flac", True, MADE_UP),
    ("smp-lindqvist-f", f"ANNA LINDQVIST – final round ({SUFFIX})", "final_lindqvist", "m4a",
     False, f"{MADE_UP}\n{CHOPIN} (00:00)"),
    ("smp-sol-f", f"MARTÍN SOL – final round ({SUFFIX})", "final_sol", "mp3", False,
     f"{MADE_UP}\n0:00 {CHOPIN}"),
    ("smp-okafor-f", f"CHIDI OKAFOR – final round ({SUFFIX})", "final_okafor", "webm", True,
     f"{MADE_UP}\n{CHOPIN} (0:00)"),
)  # fmt: skip
_CHAPTERS = {"smp-sol-r1": (BACH,)}
_NEGATIVES: tuple[tuple[str, str], ...] = (
    ("smp-encore", f"MARTÍN SOL – encore at the gala concert ({SUFFIX})"),
    ("smp-session", f"First round, session 1: Lindqvist, Sol, Okafor ({SUFFIX})"),
    ("smp-portrait", f"Anna Lindqvist – a portrait ({SUFFIX})"),
    ("smp-results", f"Announcement of the results – final round ({SUFFIX})"),
)


def sample_videos(media_folder: Path) -> list[Video]:
    """The channel's videos, their media encoded into a folder.

    Seven recitals in four containers; a session with two more pianists; one recital that is gone,
    on purpose; one listed twice; and four videos that are no recitals.
    """
    recitals = [
        _video(media_folder, id_, title, source, container, text, has_page=has_page)
        for id_, title, source, container, has_page, text in _RECITALS
    ]
    dead = Video(
        id=DEAD_ON_PURPOSE,
        title=f"IDA FALK – first round ({SUFFIX})",
        media=recitals[0].media,
        fault="gone",
        description="SAMPLE: this video is dead on purpose.",
    )
    both = join(
        [AUDIO / "stage1_brandt.opus", AUDIO / "stage1_marlowe.opus"],
        media_folder / "session.flac",
        starts_s=(0.0, SECOND_START_S),
    )
    media = encode(both, media_folder / "session.webm", "webm")
    session = Video(
        id=SESSION_ID,
        title=f"First round, session 2: Brandt, Marlowe ({SUFFIX})",
        media=media,
        claimed_duration_s=duration_s(media),
        has_page=True,
        description=SESSION,
    )
    others = [
        _video(media_folder, id_, title, "encore_sol", "mp3", MADE_UP, has_page=False)
        for id_, title in _NEGATIVES
    ]
    # The dead one first: between the others, it would divide each stage into two runs, since only
    # neighbouring partitions share one.
    return [dead, *recitals, session, recitals[5], *others]


def sample_pages() -> dict[str, FixedPage]:
    """The competition's own site and an encyclopedia's page of it, by path."""
    competitors = [line.split(",") for line in ROSTER_CSV.splitlines()[1:]]
    rounds = {"stage1": "First round", "final": "Final round"}
    site = "".join(
        f'<li class="competitor"><b class="name">{name}</b> <i class="country">{country}</i>'
        f'<span class="round">{rounds[stage]}</span><span class="prize">{prize}</span></li>'
        for name, country, stage, prize, _ in competitors
    )
    prizes = "".join(
        f"<tr><td>{prize}</td><td>{name}</td><td>{country}</td></tr>"
        for name, country, _, prize, _ in competitors
        if prize
    )
    return {
        "/competitors": FixedPage(f"<!doctype html><h1>{CHANNEL_TITLE}</h1><ul>{site}</ul>"),
        "/wiki/Sample_Piano_Competition": FixedPage(
            f'<!doctype html><html lang="en"><h1>{CHANNEL_TITLE}</h1><h2>Awards</h2>'
            '<table class="wikitable"><tr><th>Prize</th><th>Winner</th><th>Country</th></tr>'
            f"{prizes}</table></html>"
        ),
    }


def write_edition(folder: Path, feed_url: str) -> Path:
    """Write edition, roster and jury marks into a folder; returns the edition's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sample2021.csv").write_text(ROSTER_CSV, encoding="utf-8")
    (folder / "sample2021_jury.csv").write_text(JURY_CSV, encoding="utf-8")
    site = feed_url.rsplit("/", 1)[0]
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
        "jury_marks": "sample2021_jury.csv",
        "results": [
            {"source": "roster", "path": "sample2021.csv"},
            {
                "source": "html",
                "pages": [{"url": f"{site}/competitors"}],
                "row": "li.competitor",
                "performer": ".name",
                "country": ".country",
                "stage": ".round",
                "prize": ".prize",
            },
            {"source": "wikipedia", "url": f"{site}/wiki/Sample_Piano_Competition"},
        ],
    }
    path = folder / "sample2021.yaml"
    path.write_text(yaml.safe_dump(edition, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def _video(
    media_folder: Path,
    id_: str,
    title: str,
    source: str,
    container: Container,
    description: str,
    *,
    has_page: bool,
) -> Video:
    media = encode(AUDIO / f"{source}.opus", media_folder / f"{source}.{container}", container)
    length_s = duration_s(media)
    works = _CHAPTERS.get(id_, ())
    return Video(
        id=id_,
        title=title,
        media=media,
        claimed_duration_s=length_s,
        has_page=has_page,
        description=description,
        chapters=tuple((0.0, length_s, work) for work in works),
    )


def good_recordings() -> Sequence[tuple[str, str]]:
    """Performers and rounds of the recordings that can be collected."""
    first = (
        "Anna (Mei) Lindqvist", "Martín Sol", "Chidi Okafor", "Jens-Peter Brandt",
        "Ondřej Růžička", "T. J. Marlowe",
    )  # fmt: skip
    return [(name, "stage1") for name in first] + [(name, "final") for name in first[:3]]
