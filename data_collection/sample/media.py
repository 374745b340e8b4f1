"""The sample recordings in the containers that the web serves.

What belongs here: making flac, m4a, webm and mp3 from the shipped Opus files, by PyAV, whose wheel
carries the encoders. What does not: rendering the audio in the first place (`render`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Container = Literal["flac", "m4a", "webm", "mp3"]
AUDIO = Path(__file__).parent / "audio"
CODECS: dict[Container, tuple[str, int]] = {
    "flac": ("flac", 44_100),
    "m4a": ("aac", 44_100),
    "webm": ("libopus", 48_000),
    "mp3": ("libmp3lame", 48_000),
}
MEDIA_TYPES: dict[str, str] = {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
}


def encode(source: Path, target: Path, container: Container) -> Path:
    """Encode a recording in another container, stereo, at the rate that such files have.

    Args:
        source: any audio file.
        target: the file to write; an existing one is left as it is.
        container: which.

    Returns:
        The target.
    """
    import av
    from av.audio.stream import AudioStream

    if target.exists():
        return target
    codec, rate_hz = CODECS[container]
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(f".part{target.suffix}")
    options = {"movflags": "+faststart"} if container == "m4a" else {}
    with av.open(str(source)) as reading, av.open(str(unfinished), "w", options=options) as writing:
        stream = writing.add_stream(codec, rate=rate_hz, layout="stereo")
        if not isinstance(stream, AudioStream):
            raise TypeError(f"{codec} is no audio codec")
        context = stream.codec_context
        resampler = av.AudioResampler(
            format=context.format, layout="stereo", rate=rate_hz, frame_size=context.frame_size or 0
        )
        for frame in reading.decode(audio=0):
            for resampled in resampler.resample(frame):
                writing.mux(stream.encode(resampled))
        for resampled in resampler.resample(None):
            writing.mux(stream.encode(resampled))
        writing.mux(stream.encode(None))
    unfinished.replace(target)
    return target


def join(sources: Sequence[Path], target: Path, *, starts_s: Sequence[float]) -> Path:
    """Put recordings of one sampling rate into one FLAC file, silence between them.

    Args:
        sources: audio files that soundfile reads.
        target: the FLAC file to write; an existing one is left as it is.
        starts_s: where each begins, in seconds.
    """
    import numpy as np
    import soundfile

    if target.exists():
        return target
    parts = [soundfile.read(source, dtype="float32", always_2d=True) for source in sources]
    rate_hz = parts[0][1]
    at = [round(start_s * rate_hz) for start_s in starts_s]
    whole = np.zeros((at[-1] + len(parts[-1][0]), parts[0][0].shape[1]), np.float32)
    for first, (samples, _) in zip(at, parts, strict=True):
        whole[first : first + len(samples)] = samples
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part.flac")
    soundfile.write(unfinished, whole, rate_hz, subtype="PCM_16", format="FLAC")
    unfinished.replace(target)
    return target


def duration_s(path: Path) -> float:
    """How long a file is, by its packets, in seconds."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        last = max((p.pts or 0) + (p.duration or 0) for p in container.demux(stream) if p.size)
        return float(last * stream.time_base) if stream.time_base else 0.0
