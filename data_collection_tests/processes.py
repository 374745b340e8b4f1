"""Which processes of a Dagster instance are alive, for tests that start one."""

from __future__ import annotations

import contextlib
from pathlib import Path

HANGS_AFTER_S = 1200.0
"""A command that takes longer hangs; a busy machine takes ten times what an idle one does."""


def running_under(home: Path) -> list[bytes]:
    """Command lines of processes whose DAGSTER_HOME is a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            if f"DAGSTER_HOME={home}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" "))
    return found
