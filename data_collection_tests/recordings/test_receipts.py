"""Receipts: what is done is skipped, what is not is redone, and who is at fault is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data_collection.recordings.errors import ItemError, RecordingError, SetupError, WorldError
from data_collection.recordings.receipts import (
    Fact,
    Parts,
    Receipt,
    Settled,
    StageResult,
    fingerprint,
    finished_receipt,
    read_receipt,
    receipt_path,
    settle,
    settle_by_parts,
)
from data_collection.recordings.store import Store

FOLDER = "t9_made/audio"
ID = "yt_abc"


@dataclass
class MadeStage:
    """A stage that writes files into the store and counts how often it was let to work."""

    store: Store
    inputs: dict[str, str] = field(default_factory=lambda: {"source_id": "abc"})
    parameters: dict[str, Fact] = field(default_factory=lambda: {"code_version": "1"})
    names: tuple[str, ...] = ("a.bin",)
    content: bytes = b"made"
    error: Exception | None = None
    filtered_because: str | None = None
    worked: int = 0

    def work(self) -> StageResult:
        """Do it, or fail as told."""
        self.worked += 1
        if self.error:
            raise self.error
        outputs = tuple(
            self.store.write_bytes(f"{FOLDER}/{name}", self.content) for name in self.names
        )
        return StageResult(
            outputs=outputs, facts={"n": 1.5}, filtered_because=self.filtered_because
        )

    def settle(
        self,
        *,
        inputs: Callable[[], Mapping[str, str]] | None = None,
        parameters: Callable[[], Mapping[str, Fact]] | None = None,
    ) -> Settled:
        """Settle it with its own inputs and parameters, or with others."""
        return settle(
            self.store,
            FOLDER,
            ID,
            inputs=inputs or (lambda: self.inputs),
            parameters=parameters or (lambda: self.parameters),
            work=self.work,
        )


@pytest.fixture
def stage(store: Store) -> MadeStage:
    return MadeStage(store)


def test_done_is_done_once(stage: MadeStage) -> None:
    """The second run finds the receipt, does nothing and changes nothing.

    Guards against fetching and embedding everything again on each run.
    """
    first = stage.settle()
    written = stage.store.path(receipt_path(FOLDER, ID)).read_bytes()
    second = stage.settle()
    assert (first.receipt.state, first.skipped) == ("done", False)
    assert (second.receipt, second.skipped) == (first.receipt, True)
    assert stage.worked == 1
    assert stage.store.path(receipt_path(FOLDER, ID)).read_bytes() == written


def test_the_receipt_on_disk_is_the_one_returned(stage: MadeStage) -> None:
    """Each state is written as it is told, field by field.

    Guards against a run's log that says something else than the collection's truth.
    """
    for error in (None, ItemError("private", "p"), WorldError("network", "n"), ValueError("v")):
        stage.error = error
        stage.inputs = {"source_id": str(error)}
        settled = stage.settle()
        assert read_receipt(stage.store, FOLDER, ID) == settled.receipt


def test_filtered_is_finished(stage: MadeStage) -> None:
    """A filtered recording is not tried again, and its reason stands.

    Guards against decoding silence anew every night.
    """
    stage.filtered_because = "no_usable_clip"
    assert stage.settle().receipt.state == "filtered"
    again = stage.settle()
    assert (again.skipped, again.receipt.reason, stage.worked) == (True, "no_usable_clip", 1)


@pytest.mark.parametrize(
    ("inputs", "parameters"),
    [
        ({"source_id": "other"}, {"code_version": "1"}),
        ({"source_id": "abc"}, {"code_version": "2"}),
        ({"source_id": "abc", "more": ""}, {"code_version": "1"}),
        ({"source_id": "abc"}, {"code_version": "1", "clip_s": None}),
        ({}, {"code_version": "1"}),
    ],
)
def test_another_input_or_parameter_is_done_anew(
    stage: MadeStage, inputs: dict[str, str], parameters: dict[str, Fact]
) -> None:
    """Whatever the output depends on makes it be done again when it changes, and back again.

    Guards against embeddings of old weights among those of new ones.
    """
    stage.settle()
    stage.inputs, stage.parameters = inputs, parameters
    assert not stage.settle().skipped
    assert stage.settle().skipped
    assert stage.worked == 2


@pytest.mark.parametrize("damage", ["gone", "shorter", "longer"])
def test_a_missing_or_cut_output_is_made_again(stage: MadeStage, damage: str) -> None:
    """A receipt counts only while its files are there with their sizes.

    Guards against a collection that calls itself complete after someone cleared a folder.
    """
    stage.names = ("a.bin", "b.bin")
    stage.settle()
    output = Path(str(stage.store.path(f"{FOLDER}/b.bin")))
    if damage == "gone":
        output.unlink()
    else:
        output.write_bytes(b"mad" if damage == "shorter" else b"made!")
    assert not stage.settle().skipped
    assert output.read_bytes() == b"made"


def test_failed_counts_attempts(stage: MadeStage) -> None:
    """The item's own faults add up, and a success counts as a try as well.

    Guards against items that are tried for ever because nobody counts.
    """
    stage.error = ItemError("truncated", "half of it")
    for expected in (1, 2, 3):
        receipt = stage.settle().receipt
        assert (receipt.state, receipt.reason, receipt.attempts) == (
            "failed",
            "truncated",
            expected,
        )
    stage.error = None
    assert stage.settle().receipt.attempts == 4


@pytest.mark.parametrize(
    ("error", "reason", "stops"),
    [
        (WorldError("network", "down"), "network", False),
        (WorldError("bot_check", "robot?", stops_batch=True), "bot_check", True),
        (SetupError("disk_full", "full"), "disk_full", True),
        (SetupError("upstream_not_done", "wait", stops_batch=False), "upstream_not_done", False),
        (KeyError("a bug"), "internal_error", False),
        (RuntimeError("a bug"), "internal_error", False),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bug"), "internal_error", False),
        (MemoryError(), "internal_error", False),
    ],
)
def test_faults_that_are_not_the_items_cost_it_nothing(
    stage: MadeStage, error: Exception, reason: str, stops: bool
) -> None:
    """World, setup and bugs block an item and leave its count where it was.

    Guards against an outage or a bad release that uses up the tries of ten thousand recordings.
    """
    stage.error = ItemError("truncated", "half of it")
    stage.settle()
    stage.error = error
    for _ in range(2):
        settled = stage.settle()
        assert (settled.receipt.state, settled.receipt.reason) == ("blocked", reason)
        assert settled.receipt.attempts == 1
        assert settled.stops_batch is stops
        assert type(error).__name__ in str(settled.receipt.detail) or isinstance(
            error, RecordingError
        )


def test_an_interrupt_is_not_swallowed(stage: MadeStage) -> None:
    """Ctrl-C and a run's termination end the run and leave no receipt.

    Guards against a run that cannot be stopped.
    """

    def interrupted() -> Mapping[str, str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.settle(inputs=interrupted)
    assert read_receipt(stage.store, FOLDER, ID) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"stage": 1}', b"\xff\xfe", b"null", b"[]", b'"text"', b"\0" * 300]
)
def test_an_unreadable_receipt_is_done_again(stage: MadeStage, content: bytes) -> None:
    """A receipt that cannot be read is as good as none.

    Guards against one damaged file that stops a whole batch.
    """
    stage.settle()
    stage.store.write_bytes(receipt_path(FOLDER, ID), content)
    assert read_receipt(stage.store, FOLDER, ID) is None
    settled = stage.settle()
    assert (settled.receipt.state, settled.skipped) == ("done", False)


def test_superseded_outputs_are_removed(stage: MadeStage) -> None:
    """Files that only the previous receipt names are gone after the new one.

    Guards against stale clips of another grid that training would read.
    """
    stage.names = ("seg0.pt", "seg1.pt", "seg2.pt")
    stage.settle()
    stage.names, stage.parameters = ("seg0.pt", "other.pt"), {"clip_s": 10.0}
    stage.settle()
    folder = Path(str(stage.store.path(FOLDER)))
    assert sorted(path.name for path in folder.glob("*.pt")) == ["other.pt", "seg0.pt"]


def test_superseded_outputs_are_removed_after_a_failure_between(stage: MadeStage) -> None:
    """A failure between two successes does not make the old files forgotten.

    Guards against orphans that no receipt names, which a purge of one source would miss.
    """
    stage.names = ("seg0.pt", "seg1.pt")
    stage.settle()
    stage.parameters, stage.error = {"clip_s": 10.0}, ItemError("corrupt_audio", "noise")
    stage.settle()
    stage.names, stage.error = ("seg0.pt",), None
    stage.settle()
    folder = Path(str(stage.store.path(FOLDER)))
    assert sorted(path.name for path in folder.glob("*.pt")) == ["seg0.pt"]


def test_finished_receipt_says_what_it_waits_for(stage: MadeStage) -> None:
    """A stage whose upstream is not done is blocked with words, and does not stop the batch.

    Guards against a missing audio that counts as this stage's failure.
    """
    with pytest.raises(SetupError, match=f"{FOLDER} of {ID} is not there") as missing:
        finished_receipt(stage.store, FOLDER, ID)
    assert (missing.value.reason, missing.value.stops_batch) == ("upstream_not_done", False)
    stage.error = ItemError("private", "p")
    stage.settle()
    with pytest.raises(SetupError, match=r"failed \(private\)"):
        finished_receipt(stage.store, FOLDER, ID)
    stage.error = None
    settled = stage.settle()
    assert finished_receipt(stage.store, FOLDER, ID) == settled.receipt


def test_a_setup_fault_keeps_what_is_done(stage: MadeStage) -> None:
    """One run with a missing model leaves finished recordings finished.

    Guards against a mistyped MUQ_CHECKPOINT that turns every done receipt into a blocked one: all
    is then embedded again, and `metadata.jsonl` is empty until it has been.
    """

    def missing() -> Mapping[str, Fact]:
        raise SetupError("checkpoint_missing", "no such folder")

    stage.settle()
    blocked = stage.settle(parameters=missing)
    assert blocked.receipt.reason == "checkpoint_missing"
    assert stage.settle().skipped
    assert stage.worked == 1


def test_a_blocked_stage_folder_is_a_state_not_an_exception(stage: MadeStage) -> None:
    """A receipt that cannot even be looked for blocks this item and is told as a state.

    Guards against an unreadable or foreign file in the data root that ends the batch for the other
    recordings; `settle` promises that faults are in the state, never raised.
    """
    folder = Path(str(stage.store.path(FOLDER)))
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"a file where the folder should be")
    settled = stage.settle()
    assert settled.receipt.state == "blocked"


def test_any_text_can_stand_in_a_receipt(stage: MadeStage) -> None:
    """A message with half a surrogate pair, as cut titles have, is written all the same.

    Guards against one odd title whose failure cannot be recorded and ends the batch.
    """
    stage.error = ItemError("private", "Ballade \ud83c – cut in the middle of an emoji")
    settled = stage.settle()
    assert (settled.receipt.state, settled.receipt.reason) == ("failed", "private")
    stored = read_receipt(stage.store, FOLDER, ID)
    assert stored is not None
    assert stored.attempts == 1


def test_fingerprint_is_equal_in_every_process() -> None:
    """The fingerprint does not depend on hash seeds or on the order of keys.

    Guards against redoing everything after each restart.
    """
    code = (
        "from data_collection.recordings.receipts import fingerprint\n"
        "names = list({'source_id', 'zeta', 'ż', 'alpha'})\n"
        "print(fingerprint({n: n for n in names}, {n: 0.1 for n in names}))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(printed) == 1


def test_fingerprint_tells_values_apart() -> None:
    """Different inputs or parameters never share a fingerprint by the way they are joined.

    Guards against a naive concatenation in which ('a', 'bc') equals ('ab', 'c').
    """
    cases: list[tuple[dict[str, str], dict[str, Fact]]] = [
        ({"a": "bc"}, {}),
        ({"ab": "c"}, {}),
        ({}, {"a": "bc"}),
        ({}, {"a": None}),
        ({}, {"a": "None"}),
        ({}, {"a": True}),
        ({}, {"a": 1}),
        ({}, {"a": "1"}),
        ({}, {}),
    ]
    assert len({fingerprint(*case) for case in cases}) == len(cases)


def test_a_redo_that_is_cut_short_is_not_taken_for_done(stage: MadeStage) -> None:
    """Going back to the old parameters after a killed redo makes the files again.

    Guards embeddings of two models under one receipt: their files have equal names and sizes.
    """
    stage.settle()
    stage.content = b"mode"  # as long as what was made first

    def killed() -> StageResult:
        stage.store.write_bytes(f"{FOLDER}/a.bin", stage.content)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        settle(
            stage.store,
            FOLDER,
            ID,
            inputs=lambda: stage.inputs,
            parameters=lambda: {"code_version": "2"},
            work=killed,
        )
    stage.content = b"made"
    again = stage.settle()
    assert not again.skipped
    assert stage.store.path(f"{FOLDER}/a.bin").read_bytes() == b"made"


@dataclass
class MadeParts:
    """A stage that makes a file after the other and can be cut short between any two."""

    store: Store
    names: tuple[str, ...] = ("a.bin", "b.bin", "c.bin")
    version: str = "1"
    error_before: str | None = None
    error: BaseException = field(default_factory=lambda: KeyboardInterrupt())
    made: list[str] = field(default_factory=list)

    def work(self, parts: Parts) -> StageResult:
        """Make what is not there."""
        stored = parts.begin([f"{FOLDER}/{name}" for name in self.names])
        for name in self.names:
            path = f"{FOLDER}/{name}"
            if path in stored:
                continue
            if name == self.error_before:
                raise self.error
            self.made.append(name)
            stored[path] = self.store.write_bytes(path, f"{name} {self.version}".encode())
            parts.save([stored[path]])
        return StageResult(outputs=tuple(stored[f"{FOLDER}/{name}"] for name in self.names))

    def settle(self, **changes: object) -> Settled:
        """Settle it, after changes to it."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.made.clear()
        return settle_by_parts(
            self.store,
            FOLDER,
            ID,
            inputs=lambda: {"source_id": "abc"},
            parameters=lambda: {"code_version": self.version},
            work=self.work,
        )

    def receipt(self) -> Receipt:
        """What lies there."""
        found = read_receipt(self.store, FOLDER, ID)
        assert found is not None
        return found


@pytest.fixture
def parts(store: Store) -> MadeParts:
    return MadeParts(store)


def test_a_stage_cut_short_goes_on_where_it_was(parts: MadeParts) -> None:
    """After a kill the files so far are kept, at no attempt, and named; the next try adds the rest.

    Guards against starting an hour's recording from its beginning.
    """
    with pytest.raises(KeyboardInterrupt):
        parts.settle(error_before="c.bin")
    left = parts.receipt()
    assert (left.state, left.reason, left.attempts) == ("blocked", "interrupted", 0)
    assert [output.path for output in left.outputs] == [f"{FOLDER}/a.bin", f"{FOLDER}/b.bin"]
    assert left.leftovers == (f"{FOLDER}/c.bin",)
    settled = parts.settle(error_before=None)
    assert (settled.receipt.state, settled.receipt.attempts) == ("done", 1)
    assert parts.made == ["c.bin"]
    assert settled.receipt.leftovers == ()
    assert parts.settle().skipped


@pytest.mark.parametrize(
    ("error", "state", "attempts"),
    [
        (ItemError("corrupt_audio", "noise"), "failed", 1),
        (SetupError("disk_full", "full"), "blocked", 0),
        (ValueError("a bug"), "blocked", 0),
    ],
)
def test_what_a_fault_leaves_is_kept(
    parts: MadeParts, error: Exception, state: str, attempts: int
) -> None:
    """A fault in the middle keeps the files before it, whoever is at fault.

    Guards against a clip that fails and takes a recording's good ones with it.
    """
    receipt = parts.settle(error_before="b.bin", error=error).receipt
    assert (receipt.state, receipt.attempts) == (state, attempts)
    assert [output.path for output in receipt.outputs] == [f"{FOLDER}/a.bin"]
    parts.settle(error_before=None)
    assert parts.made == ["b.bin", "c.bin"]


def test_parts_of_another_version_are_made_again_and_removed(parts: MadeParts) -> None:
    """Files of an earlier fingerprint are never taken for these, however often it is cut short.

    Guards against embeddings of two models under one receipt, and against files of a larger grid
    that stay when a smaller one succeeds at its third try.
    """
    parts.settle(names=("a.bin", "b.bin", "c.bin", "d.bin"))
    for last in ("b.bin", "c.bin"):
        with pytest.raises(KeyboardInterrupt):
            parts.settle(version="2", names=("a.bin", "b.bin", "c.bin"), error_before=last)
    assert set(parts.receipt().paths) == {f"{FOLDER}/{name}.bin" for name in "abcd"}
    parts.settle(error_before=None)
    folder = Path(str(parts.store.path(FOLDER)))
    assert {path.name: path.read_bytes() for path in folder.glob("*.bin")} == {
        f"{name}.bin": f"{name}.bin 2".encode() for name in "abc"
    }


@pytest.mark.parametrize("damage", ["gone", "shorter", "other"])
def test_a_part_that_is_not_whole_is_made_again(parts: MadeParts, damage: str) -> None:
    """What a cut-short try has stored counts only with its content; guards torn files."""
    with pytest.raises(KeyboardInterrupt):
        parts.settle(error_before="c.bin")
    part = Path(str(parts.store.path(f"{FOLDER}/b.bin")))
    content = part.read_bytes()
    part.unlink()
    if damage != "gone":
        part.write_bytes(content[:-1] + (b"" if damage == "shorter" else b"X"))
    assert parts.settle(error_before=None).receipt.state == "done"
    assert parts.made == ["b.bin", "c.bin"]
    assert part.read_bytes() == content


def test_a_fault_before_the_work_keeps_what_was_begun(parts: MadeParts) -> None:
    """A try that does not come to work says why, and the next one goes on from the parts.

    Guards against one start with a wrong setting that forgets what a killed run had made.
    """
    with pytest.raises(KeyboardInterrupt):
        parts.settle(error_before="c.bin")

    def missing() -> Mapping[str, Fact]:
        raise SetupError("checkpoint_missing", "no such folder")

    settled = settle_by_parts(
        parts.store, FOLDER, ID, inputs=dict, parameters=missing, work=parts.work
    )
    assert (settled.receipt.state, settled.receipt.reason) == ("blocked", "checkpoint_missing")
    assert parts.receipt() == settled.receipt
    parts.settle(error_before=None)
    assert parts.made == ["c.bin"]


def test_a_receipt_of_an_older_version_is_read(stage: MadeStage) -> None:
    """A receipt without the list of leftovers, as there are thousands, holds as it is."""
    stage.settle()
    path = stage.store.path(receipt_path(FOLDER, ID))
    older = json.loads(path.read_bytes())
    del older["leftovers"]
    path.write_bytes(json.dumps(older).encode())
    assert stage.settle().skipped
