"""`data-collection purge`: what is there of a source, and with `--really` no longer.

What belongs here: what a person is told, and the exit status. What does not: finding and removing
it (`recordings.purge`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from data_collection.recordings.errors import SetupError
from data_collection.recordings.purge import (
    OwnFile,
    PurgePlan,
    find_source,
    plan_purge,
    purge,
)
from data_collection.recordings.store import Store
from data_collection.recordings.tombstones import TOMBSTONES
from data_collection.settings import Settings

LEFT = 1
REFUSED = 2
SHOWN_IDS = 12


def run_purge(query: str, *, really: bool, reason: str, console: Console) -> int:
    """Print what is there of a source, and remove it if that is really meant.

    Args:
        query: an id or an address of the source.
        really: without it nothing is changed.
        reason: for the tombstone.
        console: where to print.

    Returns:
        0; 1 where something is left that a person has to look at; 2 where the source is not known.
    """
    settings = Settings()
    store = Store.at(settings.data_collection_root, settings.embeddings_root)
    try:
        source = find_source(store, query)
        plan = plan_purge(store, source)
        _print_plan(plan, store, console)
        if not really:
            console.print(
                f"\nnothing was changed; `data-collection purge {escape(query)} --really` does it"
            )
            return 0
        after = purge(store, source, reason, datetime.now(UTC))
    except SetupError as error:
        console.print(f"[red]{escape(error.detail)}[/]")
        return REFUSED
    return _print_outcome(after, store, console)


def _print_plan(plan: PurgePlan, store: Store, console: Console) -> None:
    source = plan.source
    console.print(f"[bold]{escape(', '.join(source.titles) or source.source_id)}[/]")
    ids = source.recording_ids
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    _say(console, f"source {source.source_id}: {', '.join(ids[:SHOWN_IDS])}{more}")
    for url in source.urls:
        _say(console, url)
    if plan.tombstone is not None:
        _say(console, f"purged {plan.tombstone.purged_at:%Y-%m-%d}: {plan.tombstone.reason}")
    if plan.is_empty:
        _say(console, "nothing of it is there")
    else:
        console.print(_table(plan))
    if plan.make_again:
        _say(console, f"afterwards materialize again: {', '.join(plan.make_again)}")
    if plan.same_sound:
        _say(
            console,
            "other sources hold some of the same performance and stay; purge them too where that "
            f"is meant: {', '.join(plan.same_sound)}",
        )
    for name, why in plan.left.items():
        _say(console, f"not touched: {name}: {why}")
    _say(console, f"data root {store.root}")


def _table(plan: PurgePlan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="underline")
    table.add_column("what goes", no_wrap=True)
    table.add_column("where", overflow="fold")
    for folder, files in _by_folder(plan.files).items():
        size = sum(file.size_bytes for file in files)
        table.add_row(f"{len(files):,} files, {decimal(size)}", escape(folder))
    for one in plan.aggregates:
        said = [f"{one.removed:,} rows"] if one.removed else []
        said += [f"parts of {one.changed:,} rows"] if one.changed else []
        table.add_row(", ".join(said), escape(one.name))
    return table


def _by_folder(files: Sequence[OwnFile]) -> dict[str, list[OwnFile]]:
    folders: dict[str, list[OwnFile]] = defaultdict(list)
    for file in files:
        folders[f"{file.name.rpartition('/')[0]}/"].append(file)
    return dict(sorted(folders.items()))


def _print_outcome(after: PurgePlan, store: Store, console: Console) -> int:
    place = store.path(TOMBSTONES)
    if after.is_empty and not after.left:
        _say(console, f"\ngone, and not fetched again: {place}")
        return 0
    console.print("\n[yellow]not all of it is gone[/]; it is not fetched again, says", end=" ")
    _say(console, str(place))
    for name in [file.name for file in after.files] + [one.name for one in after.aggregates]:
        _say(console, f"{name}: a run wrote it meanwhile; end the runs and purge again")
    for name, why in after.left.items():
        _say(console, f"{name}: {why}")
    return LEFT


def _say(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False)
