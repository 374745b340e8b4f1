"""Renders the sample recordings: public-domain pieces played by made-up pianists.

What belongs here: from a performance to a shipped file. What does not: the notes (`pieces`) and how
they are played (`pianists`). Run once by hand, from the repository root:

    python -m data_collection.sample.render.render_audio

Needs what the collection does not: Debian's `fluidsynth` and `musescore-general-soundfont-small`,
and the Python package `mido` (best in an environment of its own, together with numpy, av and
soundfile). The recordings it leaves in `data_collection/sample/audio` are shipped, so a reader or
a test needs none of these.

The same programs give the same files byte for byte. Other versions of fluidsynth or libopus give
other bytes of the same performances.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import mido  # type: ignore[import-not-found]
import numpy as np
import soundfile
from numpy.typing import NDArray

from data_collection.sample.render.pianists import PIANISTS, Performance, play
from data_collection.sample.render.pieces import PIECES, Piece

AUDIO_FOLDER = Path(__file__).resolve().parent.parent / "audio"
DEFAULT_SOUNDFONT = Path("/usr/share/sounds/sf3/default-GM.sf3")
# Licences of the banks this script has been run with, for the manifest.
SOUNDFONT_LICENCES = {"MuseScore_General_Lite.sf3": "MIT"}

SAMPLE_RATE_HZ = 48_000
SYNTH_GAIN = 0.7
# The same for every pianist: a louder player must stay louder.
OUTPUT_GAIN = 2.5
PEAK_RANGE = (0.15, 0.9)
# Variable: a piano takes about a fifth more than asked.
OPUS_BIT_RATE = 64_000
MAX_FILE_BYTES = 1_000_000
MAX_FOLDER_BYTES = 5_500_000

LONGEST_TAIL_S = 6.0
TAIL_ENDS_AT_DBFS = -60.0
FADE_OUT_S = 0.25

# With the MIDI default of 120 quarter notes a minute, a tick is half a millisecond.
TICKS_PER_BEAT = 1000
TICKS_PER_S = 2000
SUSTAIN_PEDAL = 64

Samples = NDArray[np.float32]
ManifestEntry = dict[str, str | float]

PIANISTS_BY_SLUG = {pianist.slug: pianist for pianist in PIANISTS}


@dataclass(frozen=True)
class Recording:
    """Who plays what in which round of the sample competition."""

    round: str
    pianist_slug: str
    piece_slug: str

    @property
    def file_name(self) -> str:
        """The name of the shipped file."""
        return f"{self.round}_{self.pianist_slug}.opus"


RECORDINGS = (
    *(Recording("stage1", pianist.slug, "bach_bwv846_prelude") for pianist in PIANISTS),
    *(Recording("final", pianist.slug, "chopin_op28_no4_prelude") for pianist in PIANISTS[:3]),
    Recording("encore", "sol", "petzold_anh114_minuet"),
)


def write_midi(performance: Performance, path: Path) -> None:
    """Writes a performance as a standard MIDI file with room for the last notes to ring."""
    # At one tick, keys come up before the pedal moves and the pedal moves before keys go down.
    events = []
    for note in performance.notes:
        on = mido.Message("note_on", note=note.pitch, velocity=note.velocity)
        off = mido.Message("note_off", note=note.pitch, velocity=64)
        events.append((round(note.onset_s * TICKS_PER_S), 2, note.pitch, on))
        events.append((round(note.release_s * TICKS_PER_S), 0, note.pitch, off))
    for move in performance.pedal:
        value = 127 if move.is_down else 0
        change = mido.Message("control_change", control=SUSTAIN_PEDAL, value=value)
        events.append((round(move.at_s * TICKS_PER_S), 1, value, change))
    events.sort(key=lambda event: event[:3])

    track = mido.MidiTrack([mido.Message("program_change", program=0)])
    tick = 0
    for at_tick, _, _, message in events:
        track.append(message.copy(time=at_tick - tick))
        tick = at_tick
    # The synthesiser stops where the track ends.
    track.append(mido.MetaMessage("end_of_track", time=round(LONGEST_TAIL_S * TICKS_PER_S)))
    mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track]).save(path)


def synthesise(
    performance: Performance, fluidsynth: str, soundfont: Path, work_folder: Path
) -> Samples:
    """Renders a performance through the sampled piano; returns stereo samples, frames first."""
    midi_path = work_folder / "performance.mid"
    wav_path = work_folder / "performance.wav"
    write_midi(performance, midi_path)
    command = [fluidsynth, "-q", "-ni", "-g", str(SYNTH_GAIN), "-r", str(SAMPLE_RATE_HZ)]
    # A piano has no chorus; the bank's reverberation stands in for the room.
    command += ["-C", "no", "-F", str(wav_path), "-T", "wav", str(soundfont), str(midi_path)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments
    samples, sample_rate_hz = soundfile.read(wav_path, dtype="float32", always_2d=True)
    if sample_rate_hz != SAMPLE_RATE_HZ:
        raise ValueError(f"fluidsynth wrote {sample_rate_hz} Hz, not {SAMPLE_RATE_HZ}")
    recorded: Samples = samples * np.float32(OUTPUT_GAIN)
    return recorded


def trim_tail(samples: Samples) -> Samples:
    """Ends the recording where the last notes have died away; the lead stays as played."""
    window = SAMPLE_RATE_HZ // 20
    whole = samples[: len(samples) // window * window]
    power = np.mean(whole.reshape(-1, window * 2).astype(np.float64) ** 2, axis=1)
    audible = np.flatnonzero(power > 10 ** (TAIL_ENDS_AT_DBFS / 10))
    kept = samples[: (int(audible[-1]) + 1) * window].copy()
    fade = round(FADE_OUT_S * SAMPLE_RATE_HZ)
    kept[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None]
    return kept


def check_level(samples: Samples, file_name: str) -> float:
    """Returns the peak.

    Raises:
        ValueError: The recording clips or is too quiet; the fixed gain needs another value.
    """
    peak = float(np.abs(samples).max())
    low, high = PEAK_RANGE
    if not low < peak < high:
        raise ValueError(f"{file_name} peaks at {peak:.2f}, outside {low}-{high}")
    return peak


def encode_opus(samples: Samples, path: Path, tags: dict[str, str]) -> None:
    """Writes Ogg/Opus, with a fixed stream number so that the same sound gives the same bytes."""
    with av.open(path, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        container.metadata.update(tags)
        stream = container.add_stream("libopus", rate=SAMPLE_RATE_HZ, layout="stereo")
        stream.bit_rate = OPUS_BIT_RATE
        stream.options = {"application": "audio", "vbr": "on", "compression_level": "10"}
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout="stereo"
        )
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def fluidsynth_version(fluidsynth: str) -> str:
    """The version of the synthesiser, such as "2.3.1"."""
    command = [fluidsynth, "--version"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    match = re.search(r"version (\d+(?:\.\d+)+)", answer.stdout)
    if match is None:
        raise ValueError(f"no version in what {fluidsynth} says: {answer.stdout!r}")
    return match.group(1)


class Renderer:
    """fluidsynth with one sound bank."""

    def __init__(self, soundfont: Path) -> None:
        """Finds the synthesiser.

        Raises:
            FileNotFoundError: fluidsynth or the sound bank is not installed.
        """
        fluidsynth = shutil.which("fluidsynth")
        if fluidsynth is None or not soundfont.exists():
            raise FileNotFoundError(f"needs fluidsynth on the path and a sound bank at {soundfont}")
        self._fluidsynth = fluidsynth
        self._soundfont = soundfont
        # The default is a link: the manifest names the bank behind it.
        bank = soundfont.resolve().name
        licence = SOUNDFONT_LICENCES.get(bank, "licence not recorded")
        self.description = f"fluidsynth {fluidsynth_version(fluidsynth)}, {bank} ({licence})"

    def render(self, recording: Recording, folder: Path) -> ManifestEntry:
        """Renders one recording into a folder and returns the manifest's entry."""
        piece = PIECES[recording.piece_slug]
        performance = play(piece, PIANISTS_BY_SLUG[recording.pianist_slug])
        with tempfile.TemporaryDirectory() as work_folder:
            samples = synthesise(performance, self._fluidsynth, self._soundfont, Path(work_folder))
        samples = trim_tail(samples)
        peak = check_level(samples, recording.file_name)
        path = folder / recording.file_name
        encode_opus(samples, path, self._tags(recording, piece))
        duration_s = round(len(samples) / SAMPLE_RATE_HZ, 3)
        print(f"{path.name:24} {path.stat().st_size:7} bytes {duration_s:7.3f} s, peak {peak:.2f}")
        return {
            "file": path.name,
            "round": recording.round,
            "pianist": recording.pianist_slug,
            "piece": piece.slug,
            "composer": piece.composer,
            "title": piece.title,
            "duration_s": duration_s,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "rendered_with": self.description,
        }

    def _tags(self, recording: Recording, piece: Piece) -> dict[str, str]:
        return {
            "title": piece.title,
            "composer": piece.composer,
            "artist": recording.pianist_slug,
            "comment": f"Made-up performer; rendered with {self.description}",
        }


def check_sizes(paths: Sequence[Path]) -> None:
    """Checks that the recordings are small enough to ship.

    Raises:
        ValueError: A file or the folder is too large.
    """
    sizes = {path.name: path.stat().st_size for path in paths}
    largest = max(sizes, key=lambda name: sizes[name])
    if sizes[largest] >= MAX_FILE_BYTES or sum(sizes.values()) > MAX_FOLDER_BYTES:
        raise ValueError(f"{largest} makes the sample too large; lower OPUS_BIT_RATE")


def main(arguments: Sequence[str] | None = None) -> None:
    """Renders the recordings and writes their manifest."""
    parser = argparse.ArgumentParser(description="Render the sample recordings.")
    parser.add_argument("--soundfont", type=Path, default=DEFAULT_SOUNDFONT)
    parser.add_argument("--folder", type=Path, default=AUDIO_FOLDER)
    options = parser.parse_args(arguments)
    renderer = Renderer(options.soundfont)
    options.folder.mkdir(parents=True, exist_ok=True)
    entries = [renderer.render(recording, options.folder) for recording in RECORDINGS]
    check_sizes([options.folder / recording.file_name for recording in RECORDINGS])
    text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
    (options.folder / "MANIFEST.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
