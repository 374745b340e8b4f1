"""Make the three short sounds that the tests of the sound scores need and numpy cannot make.

    python benchmarks/sounds_sample.py data_collection/sample/audio

`sounds_orchestra.opus`: a made-up progression for strings, winds and timpani, MuseScore General's
bank (MIT). `sounds_applause.opus`: the applause of that bank. `sounds_speech.opus`: espeak-ng (a
program's voice, nobody's) reading a made-up announcement. All are of the kind that the heads were
fitted on, so they show that the scorer works, not how well; docs/decisions/sounds.md has that.
Needs what `sounds_material` needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import soxr
from sounds_material import (
    MUSESCORE,
    RATE_HZ,
    Mono,
    Note,
    held_applause,
    level,
    rendered,
    spoken,
)

PROGRESSION = ((38, 57, 62, 65), (43, 58, 62, 67), (45, 57, 61, 64), (38, 57, 62, 65))
INSTRUMENTS = (43, 60, 48, 68)
SECONDS = 12
OPUS_RATE_HZ = 48_000
WORDS = (
    "Good evening. The next pianist is number forty two, "
    "and the programme begins with a prelude in C major."
)


def main() -> None:
    """Render and encode."""
    folder = Path(sys.argv[1])
    notes = []
    for index, chord in enumerate((PROGRESSION * 2)[:6]):
        for pitch, program in zip(chord, INSTRUMENTS, strict=True):
            notes.append(Note(index * 2.0, index * 2.0 + 2.1, pitch, 84, program))
            notes.append(Note(index * 2.0 + 1, index * 2.0 + 2.1, pitch + 12, 76, 49))
        notes.append(Note(index * 2.0, index * 2.0 + 1.5, 38, 90, 47))
    orchestra = rendered(sorted(notes, key=lambda note: note.onset_s), MUSESCORE)
    write(folder / "sounds_orchestra.opus", orchestra[: SECONDS * RATE_HZ], 32_000)
    applause = rendered(held_applause((55, 60, 64)), MUSESCORE)
    first, last = round(4 * RATE_HZ), round(10 * RATE_HZ)
    write(folder / "sounds_applause.opus", applause[first:last], 32_000)
    write(folder / "sounds_speech.opus", spoken(WORDS, "en-gb-scotland+f3", 150, 45), 24_000)


def write(path: Path, samples: Mono, bit_rate: int) -> None:
    """Encode as mono Opus; the same sound gives the same bytes."""
    resampled = soxr.resample(level(samples), RATE_HZ, OPUS_RATE_HZ)
    with av.open(path, "w", format="ogg", options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream("libopus", rate=OPUS_RATE_HZ, layout="mono")
        stream.bit_rate = bit_rate
        mono = np.ascontiguousarray(resampled, dtype=np.float32)[None]
        frame = av.AudioFrame.from_ndarray(mono, format="flt", layout="mono")
        frame.sample_rate = OPUS_RATE_HZ
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    print(f"{path.name}: {path.stat().st_size} bytes, {samples.size / RATE_HZ:.1f} s")


if __name__ == "__main__":
    main()
