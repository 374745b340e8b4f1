"""A small release in MAESTRO's real shape, made of the sample's own recordings.

What belongs here: which recordings it has, what its metadata say of them, and the archive. What
does not: serving it (`server`). Names of files, spellings of titles and splits have the forms of
the real release, traps included; composers, README and LICENSE say that it is a sample.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_collection.sample.media import AUDIO

RELEASE = "maestro-v3.0.0"
RATE_HZ = 44_100
WRITTEN_ON = (2021, 1, 1, 0, 0, 0)
"""In the archive: the same release is the same bytes."""

README = """\
SAMPLE: not MAESTRO. A release in its shape, of the sample's own recordings: six made-up pianists
play two preludes on a sampled piano. Nobody here exists, and nobody played any of it.
One recording is damaged on purpose: its checksum in the archive is not that of its bytes.
"""
LICENCE_TEXT = """\
SAMPLE: these recordings are the sample's own (data_collection/sample/audio/README.md). The licence
that a row names, CC BY-NC-SA 4.0, is that of the real release.
"""
MIDI = b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0"
"""A file of MIDI without a note; nothing here reads more of it."""

BACH = "Johann Sebastian Bach (SAMPLE)"
CHOPIN = "Frédéric Chopin (SAMPLE)"


@dataclass(frozen=True, slots=True)
class ReleaseRecording:
    """One recording of the release.

    Attributes:
        pianist: the made-up pianist; the release itself names nobody.
        name: of its files, with the year's folder and without an ending.
        source: which of the sample's recordings it is.
        composer: as the metadata write it.
        title: likewise.
        split: official split.
        length_s: how much of the source there is, in seconds; None for all.
        is_deflated: in the archive; stored otherwise, as in the real one.
        has_zip64: in the archive it has zip64's records, which all are free to have.
        is_damaged: one byte in the archive is not what its checksum says.
    """

    pianist: str
    name: str
    source: str
    composer: str
    title: str
    split: str = "train"
    length_s: float | None = None
    is_deflated: bool = False
    has_zip64: bool = False
    is_damaged: bool = False

    @property
    def audio_filename(self) -> str:
        """As the metadata write it."""
        return f"{self.name}.wav"

    @property
    def midi_filename(self) -> str:
        """Likewise."""
        return f"{self.name}.midi"

    @property
    def duration_s(self) -> float:
        """How long it is, in seconds."""
        import soundfile

        whole_s = float(soundfile.info(AUDIO / f"{self.source}.opus").duration)
        return whole_s if self.length_s is None else self.length_s


_BRANDT = ReleaseRecording(
    "brandt",
    "2004/MIDI-Unprocessed_SMF_17_R1_2004_01-03_ORIG_MID--AUDIO_20_R1_2004_02_Track02_wav",
    "stage1_brandt",
    BACH,
    "Prelude in C Major, WTC I, BWV 846",
)
_OKAFOR = ReleaseRecording(
    "okafor",
    "2008/MIDI-Unprocessed_05_R1_2008_01-04_ORIG_MID--AUDIO_05_R1_2008_wav--1",
    "stage1_okafor",
    BACH,
    "WTC I, Prelude No. 1 in C Major, BWV 846",
)
_OKAFOR_CHOPIN = ReleaseRecording(
    "okafor",
    "2008/MIDI-Unprocessed_05_R2_2008_01-02_ORIG_MID--AUDIO_05_R2_2008_wav--1",
    "final_okafor",
    CHOPIN,
    "Prelude Op. 28 No. 4 in E Minor",
)
AGAIN = ReleaseRecording(
    "okafor",
    "2008/MIDI-Unprocessed_05_R2_2008_01-02_ORIG_MID--AUDIO_05_R2_2008_wav--2",
    "stage1_okafor",
    BACH,
    "Prelude in C Major, BWV 846",
    length_s=45.0,
    is_deflated=True,
)
"""The same pianist with the same prelude once more: no pair with the first time."""
_RUZICKA = ReleaseRecording(
    "ruzicka",
    "2011/MIDI-Unprocessed_15_R1_2011_MID--AUDIO_R1-D6_09_Track09_wav",
    "stage1_ruzicka",
    BACH,
    "Prelude in C Major, WTC I, BWV 846",
)
IN_DOUBT = ReleaseRecording(
    "marlowe",
    "2015/MIDI-Unprocessed_R1_D1-1-8_mid--AUDIO-from_mp3_02_R1_2015_wav--3",
    "stage1_marlowe",
    "Anonymous (SAMPLE)",
    "Encore",
)
"""The prelude as well, but its title names nothing known."""
_LINDQVIST = ReleaseRecording(
    "lindqvist",
    "2017/MIDI-Unprocessed_043_PIANO043_MID--AUDIO-split_07-06-17_Piano-e_1-02_wav--1",
    "stage1_lindqvist",
    BACH,
    "Prelude in C Major, WTC I, BWV 846",
    has_zip64=True,
)
_LINDQVIST_CHOPIN = ReleaseRecording(
    "lindqvist",
    "2017/MIDI-Unprocessed_070_PIANO070_MID--AUDIO-split_07-08-17_Piano-e_1-02_wav--2",
    "final_lindqvist",
    CHOPIN,
    "Prelude in E Minor, Op. 28, No. 4",
)
_SOL = ReleaseRecording(
    "sol",
    "2018/MIDI-Unprocessed_Recital4_MID--AUDIO_04_R1_2018_wav--1",
    "stage1_sol",
    BACH,
    "Prelude in C Major, WTC I, BWV 846",
)
ELSEWHERE = ReleaseRecording(
    "sol",
    "2018/MIDI-Unprocessed_Recital4_MID--AUDIO_04_R1_2018_wav--3",
    "encore_sol",
    "Nobody (SAMPLE)",
    'Study in G Major, Op. 1, No. 1, "Loopback"',
    split="validation",
)
"""A made-up work (its sound is the sample's encore) that no other split has."""
_SOL_CHOPIN = ReleaseRecording(
    "sol",
    "2018/MIDI-Unprocessed_Schubert4-6_MID--AUDIO_04_R2_2018_wav--2",
    "final_sol",
    CHOPIN,
    "Prelude, Op. 28, No. 4",
)
BROKEN = ReleaseRecording(
    "falk",
    "2018/MIDI-Unprocessed_Schubert7-9_MID--AUDIO_16_R2_2018_wav--1",
    "final_lindqvist",
    CHOPIN,
    "Prelude in E Minor, Op. 28, No. 4",
    has_zip64=True,
    is_damaged=True,
)
"""Damaged on purpose. The last one, so that the good ones before it share a run."""

RECORDINGS = (
    _BRANDT, _OKAFOR, _OKAFOR_CHOPIN, AGAIN, _RUZICKA, IN_DOUBT, _LINDQVIST, _LINDQVIST_CHOPIN,
    _SOL, ELSEWHERE, _SOL_CHOPIN, BROKEN,
)  # fmt: skip
PAIRS = 60
"""Rows of `pairs.parquet` that come of it, by the default rules."""


def write_release(folder: Path, recordings: Iterable[ReleaseRecording] = RECORDINGS) -> Path:
    """Write metadata and archive into a folder; a release that is there already is left.

    Args:
        folder: where `maestro-v3.0.0.csv`, `.json` and `.zip` will lie.
        recordings: what it holds.

    Returns:
        The folder.
    """
    recordings = tuple(recordings)
    files = {
        f"{RELEASE}.csv": _csv(recordings),
        f"{RELEASE}.json": _json(recordings),
        "README": README.encode(),
        "LICENSE": LICENCE_TEXT.encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{RELEASE}.zip"
    is_there = archive.exists() and all(
        (folder / name).exists() and (folder / name).read_bytes() == content
        for name, content in files.items()
    )
    if not is_there:
        archive.unlink(missing_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        _write_archive(archive, files, recordings)
    return folder


def _rows(recordings: Iterable[ReleaseRecording]) -> list[dict[str, str | int | float]]:
    return [
        {
            "canonical_composer": recording.composer,
            "canonical_title": recording.title,
            "split": recording.split,
            "year": int(recording.name[:4]),
            "midi_filename": recording.midi_filename,
            "audio_filename": recording.audio_filename,
            "duration": recording.duration_s,
        }
        for recording in recordings
    ]


def _csv(recordings: Iterable[ReleaseRecording]) -> bytes:
    rows = _rows(recordings)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, tuple(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _json(recordings: Iterable[ReleaseRecording]) -> bytes:
    """The same, column by column; without the titles' quotes, as in the real release."""
    rows = [
        {**row, "canonical_title": str(row["canonical_title"]).replace('"', "")}
        for row in _rows(recordings)
    ]
    table = {column: {str(at): row[column] for at, row in enumerate(rows)} for column in rows[0]}
    return json.dumps(table, indent=4, ensure_ascii=False).encode()


def _write_archive(
    archive: Path, files: Mapping[str, bytes], recordings: Sequence[ReleaseRecording]
) -> None:
    unfinished = archive.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w") as opened:
        for name, content in files.items():
            opened.writestr(_member(name), content)
        for recording in recordings:
            opened.writestr(_member(recording.midi_filename), MIDI)
            info = _member(recording.audio_filename, is_deflated=recording.is_deflated)
            with opened.open(info, "w", force_zip64=recording.has_zip64) as member:
                member.write(wav_of(recording))
    for recording in recordings:
        if recording.is_damaged:
            _damage(unfinished, recording.audio_filename)
    unfinished.replace(archive)


def _member(name: str, *, is_deflated: bool = False) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{RELEASE}/{name}", WRITTEN_ON)
    info.compress_type = zipfile.ZIP_DEFLATED if is_deflated else zipfile.ZIP_STORED
    return info


def _damage(archive: Path, name: str) -> None:
    """Turn over the bits of a byte in the middle of a stored member."""
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo(f"{RELEASE}/{name}")
    with archive.open("r+b") as file:
        middle = info.header_offset + info.compress_size // 2
        file.seek(middle)
        (byte,) = file.read(1)
        file.seek(middle)
        file.write(bytes([byte ^ 0xFF]))


def wav_of(recording: ReleaseRecording) -> bytes:
    """A recording as the release has it: wav of 44.1 kHz, 16 bits, stereo."""
    import soundfile
    import soxr

    samples, rate_hz = soundfile.read(
        AUDIO / f"{recording.source}.opus", dtype="float32", always_2d=True
    )
    resampled = soxr.resample(samples, rate_hz, RATE_HZ)[: round(recording.duration_s * RATE_HZ)]
    buffer = io.BytesIO()
    soundfile.write(buffer, resampled, RATE_HZ, subtype="PCM_16", format="WAV")
    return buffer.getvalue()
