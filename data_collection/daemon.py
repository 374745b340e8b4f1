"""Dagster's daemon, with another interval between its looks at backfills.

What belongs here: that one number. Dagster fixes it at 30 s; a person who watches a demo of a few
recordings should not wait that long between three stages. The name that is set is private, so a
Dagster that no longer has it is refused rather than silently run at 30 s. Production runs
`dagster-daemon` itself.
"""

from __future__ import annotations

import sys

from dagster._daemon import controller
from dagster._daemon.cli import cli


def main() -> None:
    """Run `dagster-daemon` after setting the interval: `python -m data_collection.daemon 2 run`."""
    interval_s = sys.argv.pop(1)
    if interval_s:
        if not hasattr(controller, "DEFAULT_DAEMON_INTERVAL_SECONDS"):
            raise SystemExit("this Dagster keeps its daemon's interval elsewhere")
        controller.DEFAULT_DAEMON_INTERVAL_SECONDS = int(interval_s)
    cli()


if __name__ == "__main__":
    main()
