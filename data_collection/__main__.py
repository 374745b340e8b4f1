"""The commands: demo, collect, plan, doctor, recover, purge.

What belongs here: arguments and exit statuses. What does not: what the commands do.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from data_collection.headless import HeadlessError

TIERS = ("competition", "maestro")
DEFAULT_TIERS = ("competition",)
REFUSED = 2
INTERRUPTED = 130
TERMINATED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="data-collection", description=_first_line(__doc__))
    commands = parser.add_subparsers(dest="command", required=True)

    demo = commands.add_parser("demo", help="run the main job on a sample world on loopback")
    demo.add_argument("--folder", type=Path, default=Path("data/demo"), help="where it keeps data")
    demo.add_argument("--ui", action="store_true", help="leave the UI up on 127.0.0.1")
    demo.add_argument("--port", type=int, default=None, help="the UI's port")

    collect = commands.add_parser(
        "collect", help="run the main job once on the sources that the environment names"
    )
    collect.add_argument(
        "--tier",
        action="append",
        choices=TIERS,
        dest="tiers",
        help="what to collect, repeatable (default: competition; maestro moves about 100 GB)",
    )
    collect.add_argument("--port", type=int, default=None, help="the UI's port while it runs")
    collect.add_argument(
        "--daemon-interval",
        type=int,
        default=None,
        metavar="SECONDS",
        help="how often the daemon looks at the backfill (Dagster's own: 30)",
    )

    doctor = commands.add_parser("doctor", help="say what works on this machine and what does not")
    doctor.add_argument("--online", action="store_true", help="also ask the sources and the hub")

    recover = commands.add_parser(
        "recover", help="end runs whose process is gone, so that others need not wait for them"
    )
    recover.add_argument("--home", type=Path, default=None, help="instead of DAGSTER_HOME")

    _add_plan(commands)
    purge = commands.add_parser(
        "purge", help="say what was made of a source; with --really, remove it for good"
    )
    purge.add_argument("source_id", help="id or address of a source, or id of a recording")
    purge.add_argument("--really", action="store_true", help="otherwise nothing is changed")
    purge.add_argument("--reason", default="takedown", help="for its tombstone")

    chosen = parser.parse_args(arguments)
    # So that Dagster's processes end with this one: the default would end it without cleaning up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    console = Console(soft_wrap=True)
    try:
        if chosen.command == "demo":
            from data_collection.sample.demo import run_demo

            return run_demo(chosen.folder, ui=chosen.ui, console=console, port=chosen.port)
        if chosen.command == "collect":
            from data_collection.collect import run_collect

            return run_collect(
                chosen.tiers or DEFAULT_TIERS,
                console=console,
                port=chosen.port,
                daemon_interval_s=chosen.daemon_interval,
            )
        if chosen.command == "plan":
            from data_collection.plan_command import run_plan

            return run_plan(
                clips_per_second=chosen.clips_per_second, as_json=chosen.json, console=console
            )
        if chosen.command == "purge":
            from data_collection.purge_command import run_purge

            return run_purge(
                chosen.source_id, really=chosen.really, reason=chosen.reason, console=console
            )
        if chosen.command == "recover":
            return _recover(chosen.home, console)
        from data_collection.doctor import run_doctor

        return run_doctor(online=chosen.online, console=console)
    except HeadlessError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return REFUSED
    except KeyboardInterrupt:
        console.print("stopped; what is done is kept, and the same command goes on from there")
        return INTERRUPTED


def _add_plan(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    plan = commands.add_parser(
        "plan", help="say what collecting everything will take, before anything is fetched"
    )
    plan.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    plan.add_argument(
        "--clips-per-second",
        type=float,
        default=None,
        metavar="CLIPS",
        help="of 30 s, that the model embeds here (default: as measured)",
    )


def _recover(home: Path | None, console: Console) -> int:
    from data_collection.orphans import end_orphaned_runs_of
    from data_collection.settings import Settings

    for run_id in end_orphaned_runs_of(home or Settings().dagster_home or Path(".dagster")):
        console.print(f"run {run_id} is ended: its process was gone; what it had done is kept")
    return 0


def _first_line(text: str | None) -> str:
    return (text or "").splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
