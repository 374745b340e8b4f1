"""The breaker between processes: its lock, its file, and the guard before each fetch."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import filelock
import pytest

from data_collection.recordings.errors import ItemError, SetupError, WorldError
from data_collection.recordings.fetch import FetchOptions
from data_collection.recordings.originals import Original, OriginalSource, video_source
from data_collection.recordings.receipts import Settled
from data_collection.recordings.stages import settle_audio
from data_collection.recordings.store import Store
from data_collection.recordings.tier import Tier
from data_collection.recordings.tier_rows import Recording
from data_collection.sample.server import FixedPage, Site, Video
from data_collection.youtube.breaker import (
    ANSWERED,
    LONGEST_DETAIL,
    BreakerOptions,
    Outcome,
    Permit,
    Transition,
)
from data_collection.youtube.shared_breaker import (
    KEPT_TRANSITIONS,
    BreakerRecord,
    SharedBreaker,
    guarded,
)

START = datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
BOT_CHECK = Outcome("refused", "bot_check", "not a bot")
ONCE = video_source(FetchOptions(attempts=1, retry_wait_s=0))
SPAWN = mp.get_context("spawn")


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime = START

    def __call__(self) -> datetime:
        """The time that was set."""
        return self.now

    def wait(self, **by: float) -> None:
        """Go on."""
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    """A clock at the night's beginning."""
    return Clock()


@pytest.fixture
def breaker(store: Store, clock: Clock) -> SharedBreaker:
    """A closed breaker in a data root of its own."""
    return SharedBreaker(store, "loopback", clock=clock)


def file_of(breaker: SharedBreaker) -> Path:
    return Path(str(breaker.store.path(breaker.relative_path)))


def refused(breaker: SharedBreaker) -> WorldError:
    with pytest.raises(WorldError) as raised:
        breaker.ask("yt_x")
    return raised.value


def open_it(breaker: SharedBreaker) -> None:
    breaker.report(breaker.ask(), BOT_CHECK, "yt_x")


def test_a_closed_breaker_writes_nothing(breaker: SharedBreaker) -> None:
    """A good night leaves no file behind: neither asking nor a success changes anything.

    Guards against two disk syncs a recording for a state that stays the same.
    """
    for _ in range(3):
        breaker.report(breaker.ask("yt_x"), ANSWERED, "yt_x")
    assert not file_of(breaker).exists()
    assert breaker.allowance() is None
    assert breaker.read() == BreakerRecord()


def test_a_night_is_told_by_its_history(breaker: SharedBreaker, clock: Clock) -> None:
    """Opening, probe, ramp and closing are noted with time, reason, words and recording.

    Guards against a morning on which nobody can say why the night fetched nothing.
    """
    open_it(breaker)
    clock.wait(hours=4)
    breaker.report(breaker.ask("yt_y"), ANSWERED, "yt_y")
    clock.wait(hours=1)
    record = SharedBreaker(breaker.store, "loopback", clock=clock).read()
    assert [(change.phase, change.recording_id) for change in record.history] == [
        ("open", "yt_x"),
        ("half_open", None),
        ("ramp", "yt_y"),
        ("closed", None),
    ]
    assert [change.at for change in record.history] == [
        START + timedelta(hours=hours) for hours in (0, 4, 4, 4.5)
    ]
    opened = record.history[0]
    assert (opened.reason, opened.detail) == ("bot_check", "not a bot")
    assert opened.until == START + timedelta(hours=4)


def test_the_history_is_bounded(breaker: SharedBreaker) -> None:
    """Years of bad nights keep the last transitions only, with short words.

    Guards against a state file that grows until every fetch reads megabytes.
    """
    notes = tuple(
        Transition(at=START - timedelta(hours=hours), phase="closed")
        for hours in range(KEPT_TRANSITIONS, 0, -1)
    )
    full = BreakerRecord(history=notes)
    breaker.store.write_bytes(breaker.relative_path, full.model_dump_json().encode())
    breaker.report(breaker.ask(), Outcome("refused", "bot_check", "x" * 10_000))
    history = breaker.read().history
    assert history[:-1] == notes[1:]
    assert len(history[-1].detail or "") == LONGEST_DETAIL


def test_a_refusal_says_when_and_what_to_do(breaker: SharedBreaker) -> None:
    """The error names recording, source, time and file, and stops the batch.

    Guards against a hundred recordings that each find out by themselves, and a person who cannot.
    """
    open_it(breaker)
    error = refused(breaker)
    assert (error.reason, error.stops_batch) == ("breaker_open", True)
    for part in ("yt_x", "loopback", "2026-11-01 05:00", "bot_check", "no attempt"):
        assert part in error.detail
    assert str(file_of(breaker)) in error.detail
    file_of(breaker).unlink()
    assert breaker.allowance() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"state": {"phase": "ajar"}}',
        b'{"state": {"phase": "open"}}',
        b'{"state": {"phase": "open", "since": "2026-11-01T01:00:00", "until": null}}',
        b'{"state": {"phase": "closed", "openings": -1}}',
        b'{"state": {}, "of_a_later_version": 1}',
    ],
)
def test_a_damaged_file_opens_and_says_so(
    breaker: SharedBreaker,
    clock: Clock,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody knows what it said, so it is open for an hour; the file is kept aside.

    Guards against a torn disk that ends a block early, and against one that ends the night.
    """
    file_of(breaker).parent.mkdir(parents=True)
    file_of(breaker).write_bytes(content)
    assert "state_damaged" in refused(breaker).detail
    aside = file_of(breaker).with_name("loopback.damaged.json")
    assert aside.read_bytes() == content
    assert "loopback.damaged.json" in caplog.text
    history = breaker.read().history
    assert [change.reason for change in history] == ["state_damaged"]
    assert "loopback.damaged.json" in (history[0].detail or "")
    clock.wait(hours=1)
    breaker.report(breaker.ask(), ANSWERED)
    assert breaker.read().state.phase == "ramp"


def test_a_year_that_somebody_typed_does_not_hold(breaker: SharedBreaker, clock: Clock) -> None:
    """A file that says 'open until 9999' is open for a day at most.

    Guards against a breaker that is open for ever.
    """
    open_it(breaker)
    said = json.loads(file_of(breaker).read_text())
    said["state"]["until"] = "9999-12-31T00:00:00Z"
    file_of(breaker).write_text(json.dumps(said))
    refused(breaker)
    clock.wait(hours=24)
    assert breaker.ask().probe == 1


def test_a_root_without_locks_is_refused(tmp_path: Path) -> None:
    """An object store as the data root is refused with what to do instead.

    Guards against two runs that both believe to have the only probe.
    """
    breaker = SharedBreaker(Store.at("memory://root"))
    with pytest.raises(SetupError, match="DAGSTER_HOME") as raised:
        breaker.ask("yt_x")
    assert raised.value.reason == "breaker_unusable"
    SharedBreaker(Store.at(f"file://{tmp_path}")).ask("yt_x")


def test_a_folder_that_cannot_be_used_is_ours(store: Store) -> None:
    """A file in the folder's place is a setup error that names it.

    Guards against a fault of the disk that fails a recording.
    """
    store.write_bytes("breakers", b"")
    with pytest.raises(SetupError, match="breakers") as raised:
        SharedBreaker(store).ask("yt_x")
    assert (raised.value.reason, raised.value.stops_batch) == ("breaker_unusable", True)


def test_a_report_that_is_lost_loses_no_fetch(
    breaker: SharedBreaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the state cannot be written any more, what was fetched is kept and it is said.

    Guards against an hour's download thrown away for a line in a file.
    """
    open_it(breaker)
    clock.wait(hours=5)
    with breaker.asking("yt_x"):
        folder = file_of(breaker).parent
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        folder.write_bytes(b"")
    assert "could not be told" in caplog.text


def test_only_the_sources_own_answer_counts(breaker: SharedBreaker, clock: Clock) -> None:
    """An interrupt or a bug under way gives the probe back and goes on as it is.

    Guards against Ctrl-C that costs half an hour, and errors that the guard swallows.
    """
    open_it(breaker)
    clock.wait(hours=4)

    def interrupted(error: BaseException, number: int) -> None:
        with breaker.asking():
            assert breaker.read().state.probe == number
            refused(breaker)
            raise error

    for number, error in enumerate((KeyboardInterrupt(), ZeroDivisionError()), start=1):
        with pytest.raises(type(error)):
            interrupted(error, number)
        assert breaker.allowance() == 6


def audio_of(
    store: Store, tier: Tier, source: OriginalSource, address: str, name: str = "one"
) -> Settled:
    recording = Recording(recording_id=f"web_{name}", source_id=name, source_url=address, title="T")
    return settle_audio(store, tier, recording, source)


def test_recordings_keep_their_attempts(
    store: Store,
    tier: Tier,
    loopback: Site,
    media_folder: Path,
    breaker: SharedBreaker,
    clock: Clock,
) -> None:
    """A real 429 opens for the time it names; what waits asks nothing, costs and changes nothing.

    Guards against an outage that is counted against the recordings that were next, or that takes
    the place of what is known of them.
    """
    source = guarded(ONCE, breaker)
    good, bad = media_folder / "stage1_sol.flac", f"{loopback.url}/nowhere.mp3"
    loopback.videos["one"] = Video(id="one", title="T", media=good)
    failed = audio_of(store, tier, source, bad)
    assert (failed.receipt.state, failed.receipt.attempts) == ("failed", 1)
    loopback.pages["/busy.mp3"] = FixedPage("busy", status=429, headers={"retry-after": "300"})
    limited = audio_of(store, tier, source, f"{loopback.url}/busy.mp3", "two")
    assert (limited.receipt.reason, limited.receipt.attempts) == ("too_many_requests", 0)
    assert breaker.read().state.until == START + timedelta(seconds=300)
    asked = loopback.requests.total()
    address = f"{loopback.url}/media/one.flac"
    waiting = audio_of(store, tier, source, address)
    assert (waiting.receipt.state, waiting.receipt.reason) == ("failed", "removed")
    assert (waiting.receipt.attempts, waiting.stops_batch) == (1, True)
    new = audio_of(store, tier, source, address, "three")
    assert (new.receipt.state, new.receipt.reason) == ("blocked", "breaker_open")
    assert (new.receipt.attempts, new.stops_batch) == (0, True)
    assert loopback.requests.total() == asked
    clock.wait(seconds=301)
    done = audio_of(store, tier, source, address)
    assert (done.receipt.state, done.receipt.attempts) == ("done", 2)
    assert breaker.read().state.phase == "ramp"


def test_an_outage_is_found_out_and_ends(
    store: Store,
    tier: Tier,
    loopback: Site,
    media_folder: Path,
    breaker: SharedBreaker,
    clock: Clock,
) -> None:
    """A port that nobody listens at opens after three recordings; the next success ends it.

    Guards against a night of timeouts, and against a recording that is left failed after it.
    """
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/x.mp3"
        source = guarded(ONCE, breaker)
        ended = [audio_of(store, tier, source, dead, f"r{n}").receipt for n in range(4)]
    assert [receipt.reason for receipt in ended] == ["network"] * 3 + ["breaker_open"]
    assert {receipt.state for receipt in ended} == {"blocked"}
    assert {receipt.attempts for receipt in ended} == {0}
    clock.wait(minutes=15)
    loopback.videos["one"] = Video(id="one", title="T", media=media_folder / "stage1_sol.flac")
    address = f"{loopback.url}/media/one.flac"
    done = [audio_of(store, tier, source, address, f"r{n}").receipt for n in range(4)]
    assert [(receipt.state, receipt.attempts) for receipt in done] == [("done", 1)] * 4


def test_the_guard_changes_nothing_else(breaker: SharedBreaker, tmp_path: Path) -> None:
    """What the source returns and raises comes through as it is.

    Guards against a guard that turns a removed video into an outage.
    """
    error = ItemError("removed", "gone")

    def source(recording: Recording, flac: Path, scratch: Path) -> Original:
        raise error

    row = Recording(recording_id="yt_x", source_id="x", source_url="u", title="T")
    with pytest.raises(ItemError) as raised:
        guarded(source, breaker)(row, tmp_path / "x.flac", tmp_path)
    assert raised.value is error
    state = breaker.read().state
    assert (state.phase, state.streak_reason, state.streak) == ("closed", "removed", 1)


def _breaker_at(root: str, now: datetime, options: BreakerOptions) -> SharedBreaker:
    return SharedBreaker(Store.at(root), "loopback", options, clock=lambda: now)


def _ask_often(
    root: str, now: datetime, options: BreakerOptions, times: int, answers: Connection
) -> None:
    """A process: say that it is there, wait for the word, ask, and send what it was given."""
    breaker = _breaker_at(root, now, options)
    answers.send("ready")
    answers.recv()
    given = []
    for _ in range(times):
        try:
            given.append(breaker.ask().probe)
        except WorldError:
            continue
    answers.send(given)


def _in_processes(number: int, target: Callable[..., None], *arguments: object) -> list[int | None]:
    """What processes that begin at one moment are given, all together."""
    pipes = [SPAWN.Pipe() for _ in range(number)]
    processes = [SPAWN.Process(target=target, args=(*arguments, theirs)) for _, theirs in pipes]
    for process in processes:
        process.start()
    for ours, _ in pipes:
        assert ours.recv() == "ready"
    for ours, _ in pipes:
        ours.send("go")
    given = [probe for ours, _ in pipes for probe in ours.recv()]
    for process in processes:
        process.join()
    return given


def test_one_process_of_all_gets_the_probe(breaker: SharedBreaker) -> None:
    """Four processes ask ten times each at the moment it reopens: one permit, the probe's.

    Guards against a source that four runs try at once, minutes after it sent them away.
    """
    open_it(breaker)
    then = START + timedelta(hours=4)
    root = str(breaker.store.root)
    assert _in_processes(4, _ask_often, root, then, BreakerOptions(), 10) == [1]


def test_processes_share_the_ramps_budget(breaker: SharedBreaker) -> None:
    """Three processes that ask forty times each get a window's fifty fetches together, no more.

    Guards against changes that are lost between reading and writing.
    """
    options = BreakerOptions(ramp_fetches=(50,))
    open_it(breaker)
    then = START + timedelta(hours=4)
    root = str(breaker.store.root)
    other = _breaker_at(root, then, options)
    other.report(other.ask(), ANSWERED)
    given = _in_processes(3, _ask_often, root, then, options, 40)
    assert given == [None] * 50


def _change_for_ever(root: str, now: datetime, ready: Connection) -> None:
    """A process: open and close the breaker until it is killed."""
    ready.send("ready")
    for hours in range(0, 10**6, 48):
        breaker = _breaker_at(root, now + timedelta(hours=hours), BreakerOptions())
        with pytest.raises(WorldError), breaker.asking("yt_x"):
            raise WorldError("bot_check", "not a bot", stops_batch=True)
        later = _breaker_at(root, now + timedelta(hours=hours + 24), BreakerOptions())
        later.report(later.ask(), ANSWERED)


def test_a_killed_process_leaves_a_whole_file_and_no_lock(breaker: SharedBreaker) -> None:
    """Processes killed at any moment of a change leave a state that the next one goes on from.

    Guards against a half-written file after a power cut, and a lock that nobody holds.
    """
    root = str(breaker.store.root)
    for number in range(3):
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=_change_for_ever, args=(root, START, theirs))
        process.start()
        assert ours.recv() == "ready"
        while process.is_alive() and not file_of(breaker).exists():
            time.sleep(0.001)
        time.sleep(0.02 + 0.013 * number)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        record = BreakerRecord.model_validate_json(file_of(breaker).read_bytes())
        assert record.history
        assert {change.reason for change in record.history} <= {"bot_check", None}
    seen_at = record.state.seen_at
    assert seen_at is not None
    after_all = _breaker_at(root, seen_at + timedelta(days=2), BreakerOptions())
    assert isinstance(after_all.ask(), Permit)
    assert not file_of(breaker).with_name("loopback.damaged.json").exists()


def test_a_lock_that_is_never_given_back_is_said(
    breaker: SharedBreaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a stopped process gives up with a setup error, which costs no attempt.

    Guards against a run that hangs for ever on another one's debugger.
    """
    monkeypatch.setattr("data_collection.youtube.shared_breaker.LOCK_TIMEOUT_S", 0.05)
    breaker.read()
    with (
        filelock.FileLock(file_of(breaker).with_suffix(".lock")),
        pytest.raises(SetupError, match="stopped while it holds the lock"),
    ):
        breaker.ask("yt_x")
    breaker.ask("yt_x")
