"""T3's source of audio: one member of the release's archive for each recording.

What belongs here: joining the archive to the river. What does not: reading it (`archive`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from data_collection.maestro.archive import Archive, open_archive
from data_collection.maestro.catalogue_rows import MaestroCatalogueRow
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.originals import OpenOriginals, Original, OriginalSource
from data_collection.recordings.store import Store
from data_collection.recordings.tier_rows import Recording

LICENCE = "CC BY-NC-SA 4.0"
"""Of the release, as its page states it: https://magenta.tensorflow.org/datasets/maestro"""


def archive_members(base_url: str) -> OpenOriginals:
    """The archive at `MAESTRO_BASE_URL` as a source; one connection and directory for a run."""

    @contextmanager
    def opened(store: Store, options: FetchOptions) -> Iterator[OriginalSource]:
        archives: list[Archive] = []
        with ExitStack() as stack:

            def source(recording: Recording, flac: Path, scratch: Path) -> Original:
                if not isinstance(recording, MaestroCatalogueRow):
                    raise TypeError(f"{recording.recording_id} is no row of MAESTRO's catalogue")
                # At the first recording: what is wrong with the archive is told of a recording.
                if not archives:
                    archives.append(stack.enter_context(open_archive(base_url, store, options)))
                stored = archives[0].decode(
                    recording.audio_filename, flac, claimed_duration_s=recording.duration_s
                )
                return Original(
                    decoded=stored.decoded,
                    sha256=stored.sha256,
                    size_bytes=stored.size_bytes,
                    format=recording.audio_filename.rpartition(".")[2].lower(),
                    extractor="archive",
                    licence=LICENCE,
                    source_url=stored.source_url,
                    claimed_duration_s=recording.duration_s,
                    facts={
                        "compressed_bytes": stored.compressed_bytes,
                        "moved_bytes": stored.moved_bytes,
                    },
                )

            yield source

    return opened
