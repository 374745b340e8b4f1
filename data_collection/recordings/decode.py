"""Decode an original to the one stored form: mono, 24 kHz, 24-bit FLAC.

What belongs here: reading any container by blocks, the downmix, the resampler, the FLAC file, and
finding out half a file. What does not: fetching it, cutting it.

Choices, each measured: pedalboard reads wav 5.8 and flac 2.3 times faster than PyAV; PyAV reads the
rest (pedalboard opens neither m4a nor webm, starts mp3 25 ms late, and can loop for ever on
Ogg). The downmix is the mean of the channels (swresample's is 3 dB louder). soxr is in phase.
24 bits, because 16-bit storage alone moves MuQ's output to cosine 0.992 on a quiet passage, and 24
bits leave 0.9999996. A truncated wav or flac comes out of pedalboard full length, ending in exact
zeros, without an error: a wav's head says where its samples should end, and where a flac has a run
of zeros, PyAV is asked as well, which stops where the file stops. Clipping and bandwidth are
measured on the way, before the downmix (`quality`).

A wav also decodes from a stream, while it comes: pedalboard looks around in its head and asks for
its length by going to the end, which costs nothing where going there is put off until something is
read there.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from data_collection.recordings.errors import ItemError, room_on
from data_collection.recordings.quality import SourceLevelMeter

SAMPLE_RATE_HZ = 24_000
STORED_SUBTYPE = "PCM_24"
RESAMPLER = "soxr HQ"
BLOCK_S = 10.0
SUSPECT_ZERO_S = 0.01
"""Pedalboard puts zeros where a file has ended, and for a damaged frame of flac (1,152 samples or
more); as long as that, zeros are looked at by the other decoder."""
COMPLETE_SHARE = 0.99
ROUNDING_S = 1.0
"""Listings round durations to whole seconds."""
PROBE_BYTES = 1 << 20
COPY_BYTES = 1 << 20
MAX_OGG_PAGE_BYTES = 65_307
OGG_END_OF_STREAM = 0x04
WAV_HEAD_BYTES = 1 << 16
WAV_PCM, WAV_FLOAT, WAV_EXTENSIBLE = 1, 3, 0xFFFE
WAV_UNKNOWN_SIZE = 0xFFFFFFFF
PEDALBOARD_GAIN = {f"int{bits}": 1.0 - 2.0 ** (1 - bits) for bits in (8, 16, 24)}
"""Pedalboard divides integers by 2^(bits-1) - 1, everybody else by 2^(bits-1): made equal here."""
CONTAINERS = "wav,w64,flac,mp3,mov,mp4,m4a,3gp,matroska,webm,ogg,aac,aiff,caf,flv,avi,asf,mpegts"
"""Formats that hold their own samples. Not `hls`, `concat` or `dash`, which open other files: what
a foreign server sends must not read this machine."""

Mono = npt.NDArray[np.float32]
Channels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """What was decoded and stored.

    Attributes:
        duration_s: seconds decoded, which may differ from what a header says.
        frames: samples stored, at 24 kHz.
        source_rate_hz: sampling rate of the original.
        source_channels: channels of the original.
        decoder: pedalboard or PyAV.
        peak: largest absolute sample after resampling; above 1 it was clipped.
        clipped_frames: samples that were clipped to fit.
        longest_zero_run_s: longest run of exact zeros in the original, in seconds.
        source_levels: clipping and bandwidth of each second of the original, columns as
            `quality.SOURCE_LEVELS_SCHEMA`.
    """

    duration_s: float
    frames: int
    source_rate_hz: int
    source_channels: int
    decoder: str
    peak: float
    clipped_frames: int
    longest_zero_run_s: float
    source_levels: pl.DataFrame = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Block:
    """Consecutive samples of an original: their mean, and each channel `[channels, n]`."""

    mono: Mono
    channels: Channels


@dataclass(slots=True)
class _Opened:
    """An open original: blocks at its own rate."""

    decoder: str
    rate_hz: int
    channels: int
    header_duration_s: float | None
    channel_blocks: Iterator[_Block]
    is_lossless: bool = True

    @property
    def blocks(self) -> Iterator[Mono]:
        """The same blocks, mono."""
        return (block.mono for block in self.channel_blocks)


@dataclass(slots=True)
class _ZeroRuns:
    """Longest and last run of exact zeros over consecutive blocks, in samples."""

    longest: int = 0
    tail: int = 0

    def add(self, block: Mono) -> None:
        sounding = np.flatnonzero(block)
        if sounding.size == 0:
            self.tail += block.size
            self.longest = max(self.longest, self.tail)
            return
        edges = np.concatenate(([-1 - self.tail], sounding))
        self.longest = max(self.longest, int(np.diff(edges).max()) - 1)
        self.tail = int(block.size - 1 - sounding[-1])
        self.longest = max(self.longest, self.tail)


class ByteStream(Protocol):
    """Bytes that can be read once, from front to end, such as a member of an archive."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, as many as asked for; fewer only at the end."""


def decode_to_flac(
    original: Path, target: Path, *, claimed_duration_s: float | None = None
) -> DecodedAudio:
    """Decode an original and write it as mono 24 kHz 24-bit FLAC, ten seconds at a time.

    Args:
        original: any audio or video file.
        target: the FLAC file to write; the caller publishes it.
        claimed_duration_s: what the source says it lasts.

    Returns:
        What was stored.

    Raises:
        ItemError: `corrupt_audio`, `no_audio` or `truncated`.
        SetupError: no room for the FLAC.
    """
    if _is_wav_or_flac(original) and not _is_streamed_wav(original):
        stored = _store(original, target, claimed_duration_s, _open_with_pedalboard)
        if stored is not None:
            return stored
    stored = _store(original, target, claimed_duration_s, _open_with_pyav)
    if stored is None:
        raise AssertionError("PyAV never asks for a second opinion")
    return stored


def decode_stream_to_flac(
    stream: ByteStream,
    size_bytes: int,
    target: Path,
    *,
    name: str,
    claimed_duration_s: float | None = None,
) -> DecodedAudio:
    """Decode an original while it comes; the same file gives the same FLAC as by its path.

    A wav is decoded block by block. Any other form, and a wav whose head does not say where its
    samples lie, has to be looked around in: it is written beside the target first. So is what is no
    longer than a head, which pedalboard may take for something else.

    Args:
        stream: the original; read to its end before anything is concluded, so that what its owner
            finds out there (a wrong check sum) is raised before the FLAC is published.
        size_bytes: how many bytes it has.
        target: the FLAC file to write; the caller publishes it.
        name: of the original, for messages; its ending is kept where it is written down.
        claimed_duration_s: what the source says it lasts.

    Returns:
        What was stored.

    Raises:
        ItemError: as `decode_to_flac`.
        SetupError: no room.
        Exception: whatever reading the stream raises.
    """
    head = stream.read(WAV_HEAD_BYTES)
    layout = _wav_layout(head)
    if layout is None or len(head) >= size_bytes:
        return _decode_written_down(stream, head, target, name, claimed_duration_s)
    wav = _ForwardFile(head, stream, end=min(size_bytes, layout.data_end))
    with _open_stream_with_pedalboard(wav, name) as source:
        written = _write_flac(source, name, target)
    while stream.read(COPY_BYTES):
        pass
    read = layout.frames_there(size_bytes, written.read, source.rate_hz)
    return _checked(source, written, read, name, claimed_duration_s)


def _is_flac(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"fLaC"


def _is_wav_or_flac(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    is_wav = head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE"
    return is_wav or _is_flac(path)


def _is_streamed_wav(path: Path) -> bool:
    """Whether a wav was written to a pipe: its head then says 0 or 4 GiB, which nobody knows."""
    with path.open("rb") as file:
        head = file.read(WAV_HEAD_BYTES)
    data = head.find(b"data")
    size = int.from_bytes(head[data + 4 : data + 8], "little")
    return head[:4] == b"RIFF" and data > 0 and size in (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class _WavLayout:
    """Where a wav's samples lie, as its head says: in bytes, and bytes a frame of all channels."""

    data_start: int
    data_end: int
    frame_bytes: int

    def frames_there(self, size_bytes: int, read: int, rate_hz: int) -> int:
        """How many of the samples that were read are in a file of some size.

        Some writers put a size into the head that is off by the head's own: that little is let go.
        """
        there = max(0, size_bytes - self.data_start) // self.frame_bytes
        return there if read - there >= SUSPECT_ZERO_S * rate_hz else read


def _wav_layout(head: bytes) -> _WavLayout | None:
    """Read a wav's chunks up to its samples.

    None for anything else, for coded samples, and where the size is not known or the samples begin
    behind the head. RF64 (EBU Tech 3306) has its size in a chunk of its own.
    """
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    position, frame_bytes, long_size = 12, 0, WAV_UNKNOWN_SIZE
    while position + 8 <= len(head):
        kind, size = head[position : position + 4], _number(head, position + 4, 4)
        body = position + 8
        if kind == b"ds64":
            long_size = _number(head, body + 8, 8)
        elif kind == b"fmt " and _number(head, body, 2) in (WAV_PCM, WAV_FLOAT, WAV_EXTENSIBLE):
            frame_bytes = _number(head, body + 2, 2) * _number(head, body + 14, 2) // 8
        elif kind == b"data":
            known = long_size if size == WAV_UNKNOWN_SIZE else size
            if known in (0, WAV_UNKNOWN_SIZE) or not frame_bytes:
                return None
            return _WavLayout(body, body + known, frame_bytes)
        position = body + size + size % 2
    return None


def _number(head: bytes, start: int, size: int) -> int:
    return int.from_bytes(head[start : start + size], "little")


def _decode_written_down(
    stream: ByteStream, head: bytes, target: Path, name: str, claimed_duration_s: float | None
) -> DecodedAudio:
    with (
        room_on(target.parent),
        tempfile.TemporaryDirectory(dir=target.parent, prefix="original") as folder,
    ):
        original = Path(folder, Path(name).name)
        with original.open("xb") as file:
            block = head
            while block:
                file.write(block)
                block = stream.read(COPY_BYTES)
        return decode_to_flac(original, target, claimed_duration_s=claimed_duration_s)


def _is_unended_ogg(path: Path) -> bool:
    """Whether an Ogg file stops before its end: it has no length in its head, only an end mark."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, path.stat().st_size - MAX_OGG_PAGE_BYTES))
        tail = file.read()
    last_page = tail.rfind(b"OggS")
    flags = tail[last_page + 5 : last_page + 6]
    return last_page < 0 or not flags or not flags[0] & OGG_END_OF_STREAM


def _store(
    original: Path,
    target: Path,
    claimed_duration_s: float | None,
    opener: Callable[[Path], AbstractContextManager[_Opened]],
) -> DecodedAudio | None:
    """Decode with one decoder and store; None where pedalboard cannot read the file."""
    with opener(original) as source:
        written = _write_flac(source, original.name, target)
    read = written.read
    if source.decoder == "pedalboard":
        if read == 0:
            return None
        read = _frames_there(original, written, source.rate_hz)
    if _is_unended_ogg(original):
        raise ItemError(
            "truncated",
            f"{original.name}: {read / source.rate_hz:.2f} s decoded, and its last Ogg page is not "
            "marked as the end",
        )
    return _checked(source, written, read, original.name, claimed_duration_s)


def _frames_there(original: Path, written: _Written, rate_hz: int) -> int:
    """How many of the samples that pedalboard gave are in the file."""
    with original.open("rb") as file:
        layout = _wav_layout(file.read(WAV_HEAD_BYTES))
    if layout is not None:
        return layout.frames_there(original.stat().st_size, written.read, rate_hz)
    suspect = max(written.zeros.tail, written.zeros.longest if _is_flac(original) else 0)
    if suspect < SUSPECT_ZERO_S * rate_hz:
        return written.read
    return min(written.read, _frames_by_pyav(original))


@dataclass(frozen=True, slots=True)
class _Written:
    """What went into a FLAC: samples read at the original's rate, and written at 24 kHz."""

    read: int
    written: int
    peak: float
    clipped: int
    zeros: _ZeroRuns
    source_levels: pl.DataFrame


def _write_flac(source: _Opened, name: str, target: Path) -> _Written:
    """Downmixed already, resample an original's blocks into the stored form."""
    import soundfile
    import soxr

    zeros = _ZeroRuns()
    peak, clipped, read, written = 0.0, 0, 0, 0
    resampler = soxr.ResampleStream(source.rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    meter = SourceLevelMeter(source.rate_hz)
    with (
        _room_for_flac(target),
        soundfile.SoundFile(
            target, "w", SAMPLE_RATE_HZ, 1, subtype=STORED_SUBTYPE, format="FLAC"
        ) as flac,
    ):
        for block, last in _with_last(source.channel_blocks):
            mono = block.mono
            if not np.isfinite(mono).all():
                raise ItemError("corrupt_audio", f"{name}: samples that are no number")
            meter.add(block.channels)
            zeros.add(mono)
            read += mono.size
            resampled = resampler.resample_chunk(mono, last=last)
            if resampled.size:
                magnitude = np.abs(resampled)
                peak = max(peak, float(magnitude.max()))
                clipped += int(np.count_nonzero(magnitude > 1.0))
                flac.write(np.clip(resampled, -1.0, 1.0))
                written += resampled.size
    return _Written(read, written, peak, clipped, zeros, meter.table())


def _checked(
    source: _Opened, written: _Written, read: int, name: str, claimed_duration_s: float | None
) -> DecodedAudio:
    """Tell what was stored, where as many samples as are really there are enough."""
    duration_s = read / source.rate_hz
    _check_complete(name, duration_s, source, claimed_duration_s)
    return DecodedAudio(
        duration_s=duration_s,
        frames=written.written,
        source_rate_hz=source.rate_hz,
        source_channels=source.channels,
        decoder=source.decoder,
        peak=written.peak,
        clipped_frames=written.clipped,
        longest_zero_run_s=written.zeros.longest / source.rate_hz,
        source_levels=written.source_levels,
    )


@contextmanager
def _room_for_flac(target: Path) -> Iterator[None]:
    """Say 'disk full' where libsndfile, which keeps no error number, only says that it failed."""
    import soundfile

    try:
        yield
    except (soundfile.SoundFileError, AssertionError):
        with room_on(target.parent), target.open("ab") as probe:
            probe.write(bytes(PROBE_BYTES))
        raise


def _check_complete(name: str, decoded_s: float, source: _Opened, claimed_s: float | None) -> None:
    if decoded_s <= 0:
        raise ItemError("no_audio", f"{name}: it holds no audio samples")
    # A lossless header counts samples, and libav drops a damaged flac frame without a word; a lossy
    # one counts with its padding.
    header_s = source.header_duration_s
    share = 1.0 - 0.5 / (source.rate_hz * header_s) if source.is_lossless and header_s else None
    if header_s and decoded_s < (share or COMPLETE_SHARE) * header_s:
        raise ItemError(
            "truncated",
            f"{name}: {decoded_s:.2f} s decoded of {header_s:.2f} s in its header",
        )
    if claimed_s and decoded_s < COMPLETE_SHARE * claimed_s - ROUNDING_S:
        raise ItemError(
            "truncated",
            f"{name}: {decoded_s:.2f} s decoded of {claimed_s:.2f} s that the source says",
        )


def _with_last(blocks: Iterator[_Block]) -> Iterator[tuple[_Block, bool]]:
    """Mark the last block, which flushes the resampler."""
    previous: _Block | None = None
    for block in blocks:
        if previous is not None:
            yield previous, False
        previous = block
    if previous is not None:
        yield previous, True


@contextmanager
def _open_with_pedalboard(original: Path) -> Iterator[_Opened]:
    from pedalboard.io import AudioFile

    try:
        file = AudioFile(str(original))
    except (ValueError, RuntimeError, OSError):  # the other decoder says what is wrong with it
        yield _Opened("pedalboard", SAMPLE_RATE_HZ, 1, None, iter(()))
        return
    with file:
        yield _by_pedalboard(file)


def _by_pedalboard(file: Any, after_read: Callable[[], None] = lambda: None) -> _Opened:
    """What pedalboard has open; `after_read` is called before a block is believed."""
    rate_hz = int(file.samplerate)
    gain = np.float32(PEDALBOARD_GAIN.get(file.file_dtype, 1.0))

    def blocks() -> Iterator[_Block]:
        while file.tell() < file.frames:
            block = file.read(int(BLOCK_S * rate_hz))
            after_read()
            if block.shape[1] == 0:
                return
            mono = block.mean(axis=0, dtype=np.float32) * gain
            yield _Block(mono, np.multiply(block, gain, out=block))

    return _Opened("pedalboard", rate_hz, file.num_channels, file.frames / rate_hz, blocks())


class _ForwardFile:
    """A stream as pedalboard wants a file: it may go anywhere in the head, and then only forward.

    What reading raises must not go through pedalboard, which has been seen to swallow it or to ask
    for ever: it is kept, the file ends there, and `reraise` is called after each block.
    """

    def __init__(self, head: bytes, rest: ByteStream, *, end: int) -> None:
        self._head = head
        self._rest = rest
        self._end = end
        self._position = 0
        self._taken = len(head)
        self._error: Exception | None = None

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._position)
        wanted = left if size < 0 else min(size, left)
        if self._error is not None:
            return b""
        try:
            content = self._head[self._position : self._position + wanted]
            if len(content) < wanted:
                content += self._next(self._position + len(content), wanted - len(content))
        except Exception as error:  # noqa: BLE001 - kept for `reraise`, whatever it is
            self._error = error
            return b""
        self._position += len(content)
        return content

    def _next(self, position: int, wanted: int) -> bytes:
        if position < self._taken:
            raise io.UnsupportedOperation(f"byte {position} of a stream has gone by")
        while self._taken < position and (
            passed := self._rest.read(min(COPY_BYTES, position - self._taken))
        ):
            self._taken += len(passed)
        content = self._rest.read(wanted)
        self._taken += len(content)
        return content

    def reraise(self) -> None:
        if self._error is not None:
            raise self._error


@contextmanager
def _open_stream_with_pedalboard(wav: _ForwardFile, name: str) -> Iterator[_Opened]:
    from pedalboard.io import AudioFile

    try:
        file = AudioFile(cast(BinaryIO, wav))
    except (ValueError, RuntimeError, OSError) as error:
        wav.reraise()
        raise ItemError("corrupt_audio", f"{name}: its head is broken ({error})") from error
    with file:
        wav.reraise()
        yield _by_pedalboard(file, wav.reraise)


@dataclass(frozen=True, slots=True)
class _Stream:
    """An audio track that PyAV has open."""

    name: str
    container: Any
    stream: Any
    rate_hz: int
    channels: int
    header_duration_s: float | None
    is_lossless: bool

    def frames(self) -> Iterator[Any]:
        """Decode, frame by frame.

        Raises:
            ItemError: the decoder stops before the end, or the sampling rate changes.
        """
        from av.error import FFmpegError

        decoded = 0
        try:
            for frame in self.container.decode(self.stream):
                if frame.sample_rate != self.rate_hz:
                    raise ItemError(
                        "corrupt_audio",
                        f"{self.name}: its sampling rate changes from {self.rate_hz} to "
                        f"{frame.sample_rate} Hz",
                    )
                decoded += frame.samples
                yield frame
        except FFmpegError as error:
            stopped_s, header_s = decoded / self.rate_hz, self.header_duration_s
            is_short = header_s is not None and stopped_s < COMPLETE_SHARE * header_s
            of_all = f" of {header_s:.2f} s" if header_s else ""
            raise ItemError(
                "truncated" if is_short else "corrupt_audio",
                f"{self.name}: decoding stopped at {stopped_s:.2f} s{of_all} ({error})",
            ) from error


@contextmanager
def _pyav_stream(original: Path) -> Iterator[_Stream]:
    import av
    from av.error import FFmpegError

    try:
        container = av.open(str(original), options={"format_whitelist": CONTAINERS})
    except (FFmpegError, ValueError) as error:
        raise ItemError(
            "corrupt_audio",
            f"{original.name}: no known audio or video file, or its head is broken ({error})",
        ) from error
    with container:
        if not container.streams.audio:
            raise ItemError("no_audio", f"{original.name}: it holds no audio track")
        stream = container.streams.audio[0]
        rate_hz, channels = int(stream.rate or 0), int(stream.channels)
        if rate_hz <= 0 or channels <= 0:
            raise ItemError("corrupt_audio", f"{original.name}: no sampling rate in its header")
        is_lossless = _is_wav_or_flac(original)
        if is_lossless:  # otherwise libav decodes a damaged frame of flac to noise, without a word
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        header_s = _header_duration_s(original, container, stream)
        yield _Stream(original.name, container, stream, rate_hz, channels, header_s, is_lossless)


@contextmanager
def _open_with_pyav(original: Path) -> Iterator[_Opened]:
    import av

    with _pyav_stream(original) as source:

        def blocks() -> Iterator[_Block]:
            fifo = av.AudioFifo()  # joins frames of 1,024 samples natively
            for frame in source.frames():
                frame.pts = None  # gaps in time stamps are no gaps in the music
                fifo.write(frame)
                if fifo.samples >= BLOCK_S * source.rate_hz:
                    yield _block(fifo.read())
            rest = fifo.read(partial=True) if fifo.samples else None
            if rest is not None:
                yield _block(rest)

        yield _Opened(
            "PyAV",
            source.rate_hz,
            source.channels,
            source.header_duration_s,
            blocks(),
            source.is_lossless,
        )


def _frames_by_pyav(original: Path) -> int:
    """How many samples PyAV finds in a file whose zeros are suspect; it puts none of its own."""
    with _pyav_stream(original) as source:
        return sum(frame.samples for frame in source.frames())


def _header_duration_s(original: Path, container: Any, stream: Any) -> float | None:
    """What the header says; libav clamps a wav's to the file's size, pedalboard's does not."""
    if _is_streamed_wav(original):
        return None
    if _is_wav_or_flac(original):
        with _open_with_pedalboard(original) as opened:
            if opened.header_duration_s:
                return opened.header_duration_s
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _block(frame: Any) -> _Block:
    """A frame as float32 in [-1, 1], from any of libav's sample formats."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype == np.uint8:
        centred, scale = samples.astype(np.float64) - 128.0, 128.0
    elif np.issubdtype(samples.dtype, np.integer):
        centred, scale = samples.astype(np.float64), float(np.iinfo(samples.dtype).max) + 1.0
    else:
        centred, scale = samples, 1.0
    return _Block(
        mono=(centred.mean(axis=0) / scale).astype(np.float32),
        channels=(centred if scale == 1.0 else centred / scale).astype(np.float32, copy=False),
    )
