"""Run Dagster and its main job without a person at the UI: catalogue, backfill, metadata.

What belongs here: starting the webserver and the daemon as children, and asking them through
GraphQL for what a person would click. What does not: what the assets do. Everything shows in the
UI afterwards, since it is the same webserver, daemon and event log.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from data_collection.orphans import end_orphaned_runs_of

PROJECT = Path(__file__).resolve().parent.parent
MODULE = "data_collection.definitions"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.5
KILL_TIMEOUT_S = 2.0
PATIENCE_S = 180.0
RUN_ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
BACKFILL_ENDED = frozenset(
    {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
)

Progress = Callable[[str], None]

_LAUNCH_JOB = """
mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
  }
}"""
_RUN_STATUS = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"""
_LAUNCH_BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
    ... on PartitionKeysNotFoundError { message }
  }
}"""
_BACKFILL_STATUS = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill {
      status
      error { message }
      assetBackfillData {
        assetBackfillStatuses {
          ... on AssetPartitionsStatusCounts {
            assetKey { path }
            numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed
          }
        }
      }
    }
  }
}"""
_LOCATIONS = """
{ workspaceOrError { __typename
    ... on Workspace { locationEntries { loadStatus locationOrLoadError {
      __typename ... on PythonError { message causes { message } } } } } } }"""
_CHECKS = """
query ($key: AssetKeyInput!) {
  assetChecksOrError: assetNodeOrError(assetKey: $key) {
    ... on AssetNode { assetChecksOrError { ... on AssetChecks { checks {
      name
      executionForLatestMaterialization { status evaluation { severity description } }
    } } } }
  }
}"""


class HeadlessError(RuntimeError):
    """Dagster could not be started, or refused what it was asked."""


class RefusedError(HeadlessError):
    """Dagster answered with an error, which may pass: a locked database, a restart."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check said of the latest materialization."""

    asset: str
    name: str
    status: str
    severity: str | None
    description: str | None


@dataclass(slots=True)
class RunningDagster:
    """A webserver and a daemon that are up.

    Attributes:
        url: the UI's address.
        home: the instance's folder, with the log files.
        location: Dagster's name of the code location.
        children: the processes.
    """

    url: str
    home: Path
    location: str = MODULE
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def ask(self, query: str, variables: Mapping[str, object] | None = None) -> Any:
        """Send a GraphQL request; returns its data.

        Raises:
            RefusedError: the answer holds errors.
        """
        response = httpx.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": dict(variables or {})},
            timeout=60.0,
            trust_env=False,
        )
        answer = response.json()
        if answer.get("errors"):
            raise RefusedError(f"Dagster refused: {answer['errors'][0].get('message')}")
        return answer["data"]

    def run_job(self, job: str) -> str:
        """Run a job to its end; returns the run's status."""
        selector = {
            "jobName": job,
            "repositoryName": "__repository__",
            "repositoryLocationName": self.location,
        }
        answer = self.ask(_LAUNCH_JOB, {"params": {"selector": selector, "mode": "default"}})[
            "launchPipelineExecution"
        ]
        if answer["__typename"] != "LaunchRunSuccess":
            raise HeadlessError(f"job {job} was not launched: {answer}")
        run_id = answer["run"]["runId"]

        def status() -> str:
            return str(self.ask(_RUN_STATUS, {"id": run_id})["runOrError"]["status"])

        return self._wait(status, RUN_ENDED)

    def backfill(
        self,
        assets: Sequence[Sequence[str]],
        partitions: Sequence[str],
        *,
        title: str,
        progress: Progress,
    ) -> str:
        """Backfill partitions of some assets to the end; returns the backfill's status."""
        answer = self.ask(
            _LAUNCH_BACKFILL,
            {
                "params": {
                    "assetSelection": [{"path": list(path)} for path in assets],
                    "partitionNames": list(partitions),
                    "title": title,
                }
            },
        )["launchPartitionBackfill"]
        if answer["__typename"] != "LaunchBackfillSuccess":
            raise HeadlessError(f"the backfill was not launched: {answer}")
        told = ""

        def status() -> str:
            nonlocal told
            backfill = self.ask(_BACKFILL_STATUS, {"id": answer["backfillId"]})[
                "partitionBackfillOrError"
            ]
            if backfill.get("error"):
                raise HeadlessError(f"the backfill failed: {backfill['error']['message']}")
            line = _progress_line(backfill)
            if line and line != told:
                told = line
                progress(line)
            return str(backfill["status"])

        return self._wait(status, BACKFILL_ENDED)

    def checks(self, asset: Sequence[str]) -> list[CheckResult]:
        """What the checks of an asset said last."""
        node = self.ask(_CHECKS, {"key": {"path": list(asset)}})["assetChecksOrError"]
        found = (node.get("assetChecksOrError") or {}).get("checks") or []
        results = []
        for check in found:
            execution = check["executionForLatestMaterialization"] or {}
            evaluation = execution.get("evaluation") or {}
            results.append(
                CheckResult(
                    asset="/".join(asset),
                    name=check["name"],
                    status=execution.get("status") or "NOT_RUN",
                    severity=evaluation.get("severity"),
                    description=evaluation.get("description"),
                )
            )
        return results

    def alive(self) -> bool:
        """Whether all children are still running."""
        return all(child.poll() is None for child in self.children)

    def _wait(self, status: Callable[[], str], ended: frozenset[str]) -> str:
        answered = time.monotonic()
        while True:
            try:
                current = status()
                answered = time.monotonic()
            except (RefusedError, httpx.TransportError, ValueError):
                # A busy machine answers late; hours of work do not end for that.
                if time.monotonic() - answered > PATIENCE_S:
                    raise
                current = ""
            if current in ended:
                return current
            if not self.alive():
                raise HeadlessError(f"Dagster stopped by itself; its logs are in {self.home}")
            time.sleep(POLL_S)


@contextmanager
def running_dagster(
    home: Path,
    environment: Mapping[str, str],
    *,
    port: int | None = None,
    daemon_interval_s: int | None = None,
) -> Iterator[RunningDagster]:
    """Run a webserver and a daemon on 127.0.0.1 for the while.

    Args:
        home: the instance's folder; made where it is not there, with the project's dagster.yaml
            where it has none.
        environment: variables for the code, beside this process's own.
        port: the UI's; a free one where none is given.
        daemon_interval_s: how often backfills are looked at; Dagster's own 30 s by default.

    Raises:
        HeadlessError: a child stopped, or the code does not load.
    """
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():  # a lab's own, with Postgres say, is left alone
        shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    _create_storage(home)
    end_orphaned_runs_of(home)
    port = port or _free_port()
    variables = {
        **os.environ,
        **environment,
        "DAGSTER_HOME": str(home.resolve()),
        "PYTHONUNBUFFERED": "1",
    }
    daemon = ["-m", "data_collection.daemon", str(daemon_interval_s or ""), "run", "-m", MODULE]
    web = ["-m", "dagster_webserver", "-m", MODULE, "-h", "127.0.0.1", "-p", str(port)]
    running = RunningDagster(url=f"http://127.0.0.1:{port}", home=home)
    try:
        for name, arguments in (("webserver", web), ("daemon", daemon)):
            with (home / f"{name}.log").open("ab") as log:
                running.children.append(
                    subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                        [sys.executable, *arguments],
                        env=variables,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        _wait_until_loaded(running)
        yield running
    finally:
        for child in running.children:
            _stop(child)
        end_orphaned_runs_of(home, nobody_launches=True)


def _create_storage(home: Path) -> None:
    """Create the instance's tables before two processes want to.

    On a fresh home webserver and daemon both do, and one of them may find the tables half made
    ("more than one head present").
    """
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs(limit=1)
        instance.get_dynamic_partitions("")
        instance.all_instigator_state()


def _wait_until_loaded(running: RunningDagster) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not running.alive():
            raise HeadlessError(f"Dagster did not start; its logs are in {running.home}")
        try:
            workspace = running.ask(_LOCATIONS)["workspaceOrError"]
        except (httpx.TransportError, ValueError):
            time.sleep(POLL_S)
            continue
        entries = workspace.get("locationEntries") or []
        if entries and all(entry["loadStatus"] == "LOADED" for entry in entries):
            for entry in entries:
                if entry["locationOrLoadError"]["__typename"] == "PythonError":
                    error = entry["locationOrLoadError"]
                    cause = (error["causes"] or [error])[0]
                    raise HeadlessError(cause["message"].strip())
            return
        time.sleep(POLL_S)
    raise HeadlessError(
        f"Dagster was not ready after {START_TIMEOUT_S:.0f} s; its logs are in {running.home}"
    )


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Stop a child and what it started, which is its own process group."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    deadline = time.monotonic() + KILL_TIMEOUT_S
    with contextlib.suppress(ProcessLookupError):  # the group is gone
        while time.monotonic() < deadline:
            os.killpg(child.pid, signal.SIGKILL)  # code servers and runs that outlived it
            time.sleep(POLL_S / 10)


def _progress_line(backfill: Mapping[str, Any]) -> str:
    statuses = (backfill.get("assetBackfillData") or {}).get("assetBackfillStatuses") or []
    parts = []
    for status in statuses:
        if not status:
            continue
        name = status["assetKey"]["path"][-1]
        done, failed = status["numPartitionsMaterialized"], status["numPartitionsFailed"]
        total = status["numPartitionsTargeted"]
        parts.append(f"{name} {done}/{total}" + (f" ({failed} not)" if failed else ""))
    return " · ".join(parts)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
