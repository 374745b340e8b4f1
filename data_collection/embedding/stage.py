"""The embedding stage for one recording.

What belongs here: reading the kept clips from the stored FLAC ahead of the model, and writing a
`.pt` for each behind it. What does not: the forward pass (`encoder`), which clips share one
(`batches`), and Dagster (`assets`).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_collection.embedding.batches import Clip, ClipBatches, Embedding
from data_collection.embedding.encoder import frame_count
from data_collection.embedding.progress import Amount, EmbeddingProgress
from data_collection.embedding.stored import embedding_file
from data_collection.recordings.decode import SAMPLE_RATE_HZ
from data_collection.recordings.errors import ItemError, SetupError
from data_collection.recordings.receipts import (
    Fact,
    Parts,
    Receipt,
    Settled,
    StageResult,
    finished_receipt,
    read_receipt,
    settle_by_parts,
)
from data_collection.recordings.stages import read_segments
from data_collection.recordings.store import Store, StoredFile, sha256_of_file
from data_collection.recordings.tier import Tier

CODE_VERSION = "2"
SHOWN_SEGMENTS = 5


@dataclass(frozen=True, slots=True)
class Concluded:
    """What a stage makes of a recording once all its clips are embedded."""

    outputs: tuple[StoredFile, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClipStage:
    """A stage that makes a `.pt` of each kept clip: of the clip itself, or of a version of it.

    Attributes:
        name: its folder in the tier's.
        hear: what of a clip is embedded: `(segment_id, samples) -> samples`; raises `ItemError`.
        inputs: hashes of what goes in beside audio and clips, by recording id.
        parameters: what the result depends on beside the model.
        further_paths: of the files that `conclude` makes of a recording.
        conclude: is given all embeddings of a recording, by segment id.
    """

    name: str
    hear: Callable[[str, Clip], Clip] = lambda segment_id, clip: clip
    inputs: Callable[[str], Mapping[str, str]] = lambda recording_id: {}
    parameters: Mapping[str, Fact] = field(default_factory=dict)
    further_paths: Callable[[str], Sequence[str]] = lambda recording_id: ()
    conclude: Callable[[str, Mapping[str, StoredFile]], Concluded] = lambda recording_id, made: (
        Concluded()
    )


CLEAN = ClipStage("muq_embeddings")


def planned(store: Store, tier: Tier, recording_ids: Sequence[str]) -> dict[str, Amount]:
    """The kept clips of recordings that are cut, whether they are embedded or not."""
    plan = {}
    for recording_id in recording_ids:
        receipt = read_receipt(store, tier.folder("segments"), recording_id)
        if receipt and receipt.state == "done":
            facts = receipt.facts
            plan[recording_id] = Amount(int(facts["clips_kept"] or 0), float(facts["kept_s"] or 0))
    return plan


def settle_embeddings(
    store: Store,
    tier: Tier,
    recording_id: str,
    *,
    parameters: Callable[[], Mapping[str, Fact]],
    batches: ClipBatches,
    progress: EmbeddingProgress,
    stage: ClipStage = CLEAN,
) -> Settled:
    """Embed every kept clip of one recording; may run in several threads for several recordings.

    A killed run's clips are kept; those of the next run begin where it stopped. A clip that fails
    keeps no other from being embedded.

    Args:
        store: the data root.
        tier: whose recording it is.
        recording_id: the recording.
        parameters: says what the numbers depend on beside the clips; raises `SetupError` where the
            weights are missing.
        batches: where clips are embedded; its model is loaded if one has to be.
        progress: told of every clip.
        stage: what is embedded, and where that goes.
    """

    def upstream(name: str) -> Receipt:
        return finished_receipt(store, tier.folder(name), recording_id)

    def inputs() -> Mapping[str, str]:
        audio, segments = upstream("audio"), upstream("segments")
        audio_sha256 = audio.outputs[0].sha256
        if segments.inputs["audio_sha256"] != audio_sha256:
            raise SetupError(
                "upstream_not_done",
                f"the clips of {recording_id} are of audio that was replaced; materialize "
                f"{tier.folder('segments')} first",
                stops_batch=False,
            )
        return {
            "audio_sha256": audio_sha256,
            "segments_sha256": segments.outputs[0].sha256,
            **stage.inputs(recording_id),
        }

    def work(parts: Parts) -> StageResult:
        if upstream("segments").state == "filtered":
            return StageResult(
                filtered_because="no_usable_clip", detail=upstream("segments").detail
            )
        recording = _Recording(store, tier, recording_id, stage, batches, parts, progress)
        return recording.embed(upstream("audio").outputs[0])

    settled = settle_by_parts(
        store,
        tier.folder(stage.name),
        recording_id,
        inputs=inputs,
        parameters=lambda: {"code_version": CODE_VERSION, **parameters(), **stage.parameters},
        work=work,
    )
    progress.ended(recording_id)
    return settled


@dataclass(frozen=True, slots=True)
class _Segment:
    """A kept clip: where it lies in the stored FLAC, in samples, and where its embedding goes."""

    segment_id: str
    start_frame: int
    frame_count: int
    path: str

    @property
    def amount(self) -> Amount:
        return Amount(1, self.frame_count / SAMPLE_RATE_HZ)


@dataclass(frozen=True, slots=True)
class _Recording:
    """One recording on its way through the model."""

    store: Store
    tier: Tier
    recording_id: str
    stage: ClipStage
    batches: ClipBatches
    parts: Parts
    progress: EmbeddingProgress

    def embed(self, audio: StoredFile) -> StageResult:
        """Embed what an earlier try has not.

        Raises:
            ItemError: some clips have no embedding; the message names them. The others are kept.
            SetupError: the model, the audio or the disk.
        """
        segments = self._kept_segments()
        further = self.stage.further_paths(self.recording_id)
        stored = self.parts.begin([*(segment.path for segment in segments), *further])
        encoder = self.batches.encoder
        missing = [segment for segment in segments if segment.path not in stored]
        self.progress.began(
            self.recording_id, sum((segment.amount for segment in missing), Amount())
        )
        failures: dict[str, ItemError] = {}
        if missing:
            if not self.store.holds(audio.path, audio.size_bytes):
                raise _unreadable(
                    audio.path, "it is gone, or has another size than its receipt says"
                )
            with self.store.local(audio.path) as flac:
                if sha256_of_file(flac) != audio.sha256:  # a torn disk decodes to noise, not errors
                    raise _unreadable(audio.path, "its content is not what its receipt says")
                stored |= self._embed_missing(missing, flac, failures)
        if failures:
            raise _of_segments(failures)
        frames = {segment.segment_id: self._frames(segment) for segment in segments}
        made = {segment.segment_id: stored[segment.path] for segment in segments}
        concluded = self.stage.conclude(self.recording_id, made)
        return StageResult(
            outputs=(*made.values(), *concluded.outputs),
            facts={
                "segments": len(segments),
                "frames": sum(frames.values()),
                "frames_by_segment": json.dumps(frames),
                "width": encoder.width,
                **concluded.facts,
            },
            versions=encoder.versions,
        )

    def _kept_segments(self) -> list[_Segment]:
        table = read_segments(self.store, self.tier, self.recording_id).filter(state="kept")
        return [
            _Segment(
                segment_id=row["segment_id"],
                start_frame=row["start_frame"],
                frame_count=row["frame_count"],
                path=f"{self.tier.folder(self.stage.name)}/{row['segment_id']}.pt",
            )
            for row in table.iter_rows(named=True)
        ]

    def _embed_missing(
        self, missing: Iterable[_Segment], flac: Path, failures: dict[str, ItemError]
    ) -> dict[str, StoredFile]:
        """Embed and publish clips, noting together those that came out of the model together."""
        stored: dict[str, StoredFile] = {}
        asked: deque[_Segment] = deque()

        def clips() -> Iterator[Clip]:
            for segment, clip in _read_clips(flac, missing):
                try:
                    heard = self.stage.hear(segment.segment_id, clip)
                except ItemError as error:
                    failures[segment.segment_id] = error
                    continue
                asked.append(segment)
                yield heard

        with closing(self.batches.embed_in_order(clips())) as groups:
            for group in groups:
                made: list[StoredFile] = []
                try:
                    for future in group:
                        segment = asked.popleft()
                        try:
                            made.append(self._publish(segment, future))
                        except ItemError as error:
                            failures[segment.segment_id] = error
                finally:
                    if made:
                        self.parts.save(made)
                stored |= {file.path: file for file in made}
        return stored

    def _publish(self, segment: _Segment, future: Future[Embedding]) -> StoredFile:
        embedding = future.result()
        expected = (self._frames(segment), self.batches.encoder.width)
        if embedding.shape != expected:
            raise RuntimeError(
                f"{segment.segment_id}: MuQ gave {embedding.shape}, expected {expected}"
            )
        if not np.isfinite(embedding).all():
            raise ItemError("non_finite_embedding", "MuQ gave NaN or infinity for this clip")
        file = self.store.write_bytes(segment.path, embedding_file(embedding))
        self.progress.embedded(self.recording_id, segment.amount)
        return file

    def _frames(self, segment: _Segment) -> int:
        return frame_count(segment.frame_count, self.batches.encoder.pool_frames)


def _read_clips(flac: Path, segments: Iterable[_Segment]) -> Iterator[tuple[_Segment, Clip]]:
    """Read clips from a stored FLAC by seeking, one in memory at a time.

    Raises:
        SetupError: `audio_unreadable`: it is damaged, or not what the clips were cut from.
    """
    import soundfile

    reading = "its head"
    try:
        with soundfile.SoundFile(flac) as file:
            if (file.samplerate, file.channels) != (SAMPLE_RATE_HZ, 1):
                raise _unreadable(flac.name, f"it is not mono at {SAMPLE_RATE_HZ} Hz")
            for segment in segments:
                reading = segment.segment_id
                file.seek(segment.start_frame)
                clip = file.read(segment.frame_count, dtype="float32")
                if clip.size != segment.frame_count:
                    raise _unreadable(flac.name, f"it ends within {reading}")
                yield segment, clip
    except soundfile.SoundFileError as error:
        raise _unreadable(flac.name, f"{reading}: {error}") from error


def _unreadable(name: str, problem: str) -> SetupError:
    return SetupError(
        "audio_unreadable",
        f"{name}: {problem}; delete it, then materialize the audio and the segments again",
        stops_batch=False,
    )


def _of_segments(failures: Mapping[str, ItemError]) -> ItemError:
    """One error for a recording of which some clips failed."""
    shown = [f"segment {name}: {error.detail}" for name, error in failures.items()]
    more = f"; and {len(shown) - SHOWN_SEGMENTS} more" if len(shown) > SHOWN_SEGMENTS else ""
    first = next(iter(failures.values()))
    return ItemError(first.reason, "; ".join(shown[:SHOWN_SEGMENTS]) + more)
