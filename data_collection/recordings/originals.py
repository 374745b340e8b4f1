"""Where a tier's originals come from, behind one call: fetched and decoded, with what is known.

What belongs here: what every source gives, and yt-dlp's source, which most tiers have. What does
not: other sources (`maestro.originals`), receipts and what is stored (`stages`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from data_collection.recordings.decode import DecodedAudio, decode_to_flac
from data_collection.recordings.fetch import FetchOptions, fetch
from data_collection.recordings.store import Store
from data_collection.recordings.tier_rows import Recording
from data_collection.recordings.video_page import VideoPage

DECODING_TOOLS = ("av", "pedalboard", "soxr", "soundfile")


@dataclass(frozen=True, slots=True)
class Original:
    """A recording's original, decoded to the stored form.

    Attributes:
        decoded: what was written.
        sha256: of the original's bytes.
        size_bytes: of the original.
        format: container and codec, in the source's words.
        extractor: what read the source.
        licence: as the source states it; None where it does not.
        source_url: where it was read from.
        claimed_duration_s: what the source says it lasts, in seconds; None where it does not say.
        page: what a video's page said; None for other sources.
        facts: further numbers for the receipt.
        tools: packages whose versions matter.
    """

    decoded: DecodedAudio
    sha256: str
    size_bytes: int
    format: str
    extractor: str
    licence: str | None
    source_url: str
    claimed_duration_s: float | None
    page: VideoPage | None = None
    facts: Mapping[str, int | float | str] = field(default_factory=dict)
    tools: tuple[str, ...] = DECODING_TOOLS


OriginalSource = Callable[[Recording, Path, Path], Original]
"""Brings a recording's original: `(recording, flac, scratch)` writes the FLAC, and may leave
anything in the scratch folder. Raises `RecordingError`s."""

OpenOriginals = Callable[[Store, FetchOptions], AbstractContextManager[OriginalSource]]
"""Opens a source for a run. Raises a `RecordingError` only where no recording may be asked for now;
what is wrong with the source itself is told of the first recording that asks for it."""


@contextmanager
def videos(store: Store, options: FetchOptions) -> Iterator[OriginalSource]:
    """Everything that yt-dlp can read, one fetch a recording."""
    yield video_source(options)


def video_source(options: FetchOptions) -> OriginalSource:
    """Fetch a recording by yt-dlp and decode it."""

    def source(recording: Recording, flac: Path, scratch: Path) -> Original:
        fetched = fetch(recording.source_url, scratch, options)
        claimed_s = recording.duration_s if recording.cut_from is None else None
        claimed_s = fetched.page.duration_s or claimed_s
        return Original(
            decoded=decode_to_flac(fetched.path, flac, claimed_duration_s=claimed_s),
            sha256=fetched.sha256,
            size_bytes=fetched.size_bytes,
            format=fetched.format,
            extractor=fetched.extractor,
            licence=fetched.licence,
            source_url=recording.source_url,
            claimed_duration_s=claimed_s,
            page=fetched.page,
            tools=("yt-dlp", *DECODING_TOOLS),
        )

    return source
