"""T4's own assets: the channels that are listed, the breaker that guards them, the gate.

What belongs here: keys, dependencies, what the UI shows. What does not: the work (`discovery`,
`shared_breaker`, `gate`), and the river that all tiers share (`recordings.assets`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from pydantic import Field

from data_collection.asset_pages import bar_chart, cell, column_schema, markdown_table, timeline
from data_collection.batching import tell_dagster
from data_collection.recordings.assets import OWNERS, failure
from data_collection.recordings.errors import RecordingError, WorldError
from data_collection.recordings.listing import ListingError
from data_collection.recordings.resources import FetchResource, StoreResource
from data_collection.recordings.tier import Tier
from data_collection.youtube.breaker import phase_spans
from data_collection.youtube.catalogue_rows import ChannelVideo
from data_collection.youtube.channels import Channel
from data_collection.youtube.discovery import (
    ChannelListing,
    RowsUnreadableError,
    list_channel,
    listing_failure,
)
from data_collection.youtube.gate import read_gate
from data_collection.youtube.shared_breaker import SharedBreaker
from data_collection.youtube.tier import shared_breaker

SHOWN_NIGHTS = timedelta(days=7)
PHASE_COLOURS = {"closed": "#8fb58f", "half_open": "#e0c060", "ramp": "#e0c060", "open": "#b5544d"}


class ChannelConfig(dg.Config):
    """How a channel is listed by hand."""

    accept_losses: bool = Field(
        default=False,
        description="believe a listing without most of the videos that were known: look first",
    )


def youtube_assets(
    tier: Tier, channels: Sequence[Channel], home: Path, metrics: Path | None, *, forced: bool
) -> list[dg.AssetsDefinition | dg.SourceAsset]:
    """Make channels, breaker and gate."""
    return [_channels(tier, channels, home), _breaker(tier, home), _gate(tier, metrics, forced)]


def channel_partitions(channels: Sequence[Channel]) -> dg.StaticPartitionsDefinition:
    """One partition a channel, paused ones too."""
    return dg.StaticPartitionsDefinition([channel.id for channel in channels])


def _channels(tier: Tier, channels: Sequence[Channel], home: Path) -> dg.AssetsDefinition:
    of_id = {channel.id: channel for channel in channels}

    @dg.asset(
        key=[*tier.key_prefix, "channels"],
        partitions_def=channel_partitions(channels),
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=tier.fetch_pool,
        group_name=tier.group,
        owners=OWNERS,
        kinds={"yt-dlp", "jsonl"},
        description=(
            f"**{tier.label}: what each channel lists.** New videos are read until the known ones; "
            "once a week all are, to notice what was removed. Each video stands with what the "
            "channel's rules say of it. A listing that fails, or that lacks most of what was "
            "known, changes nothing."
        ),
        metadata={
            "dagster/column_schema": column_schema(ChannelVideo),
            "path": f"{tier.folder('channels')}/<channel_id>.jsonl",
        },
    )
    def channels_(
        context: dg.AssetExecutionContext,
        config: ChannelConfig,
        store: StoreResource,
        fetcher: FetchResource,
    ) -> None:
        opened, options = store.open(), fetcher.options()
        breaker = shared_breaker(opened, home)
        described: dict[str, Mapping[str, dg.MetadataValue | str | int | float]] = {}
        bad: list[tuple[str, str, str]] = []
        for key in context.partition_keys:
            try:
                with breaker.asking(key):
                    try:
                        listing = list_channel(
                            of_id[key],
                            opened,
                            datetime.now(UTC),
                            options,
                            accept_losses=config.accept_losses,
                        )
                    except (ListingError, RowsUnreadableError) as error:
                        failed = listing_failure(of_id[key], error)
                        raise WorldError(
                            failed.reason, failed.detail, stops_batch=failed.stops_round
                        ) from error
            except RecordingError as error:
                context.log.warning(cell(f"{key}: {error}", 1000))
                bad.append((key, error.reason, error.detail))
                if error.stops_batch:
                    break
            else:
                described[key] = listing_page(listing)
        tell_dagster(context, described, _not_listed(bad, len(context.partition_keys)))

    return channels_


def _not_listed(bad: Sequence[tuple[str, str, str]], asked: int) -> dg.Failure | None:
    if not bad:
        return None
    said = f"{len(bad)} of {asked} channels could not be listed; first {bad[0][0]}: {bad[0][2]}"
    table = markdown_table(("channel", "reason", "detail"), [*bad])
    return dg.Failure(cell(said, 1000), metadata={"not_listed": table}, allow_retries=False)


def listing_page(listing: ChannelListing) -> dict[str, dg.MetadataValue | str | int | float]:
    """What a channel's partition shows of its last listing."""
    return {
        "videos": len(listing.videos),
        "videos_read": listing.walked,
        "ended": listing.ended,
        "new": len(listing.new),
        "gone": len(listing.gone),
        "back": len(listing.back),
        "newest": markdown_table(
            ("title", "seconds", "uploaded", "decision", "why"),
            [
                (row.title, row.duration_s, row.uploaded_on, row.decision, row.detail)
                for row in reversed(listing.videos[-20:])
            ],
        ),
        "plot": bar_chart(
            listing.decisions, title="What the rules say of its videos", unit="videos"
        ),
    }


def _breaker(tier: Tier, home: Path) -> dg.SourceAsset:
    @dg.observable_source_asset(
        name="breaker",
        key_prefix=[*tier.key_prefix],
        group_name=tier.group,
        description=(
            f"**{tier.label}: the breaker.** Shared by all runs and processes: a bot check, a "
            "429, a limit's text or an outage opens it for its class's time, then one probe, then "
            "a ramp. Items keep their attempts. Observe it for its state and the last nights."
        ),
        metadata={"path": "breakers/youtube.json"},
    )
    def breaker(store: StoreResource) -> dg.ObserveResult:
        try:
            found = shared_breaker(store.open(), home)
            return dg.ObserveResult(metadata=breaker_page(found, datetime.now(UTC)))
        except RecordingError as error:
            raise failure(error) from None

    return breaker


def breaker_page(
    breaker: SharedBreaker, now: datetime
) -> dict[str, dg.MetadataValue | str | int | float]:
    """State and history of a breaker, for its page."""
    record = breaker.read()
    allowance = breaker.allowance()
    bars = [
        (span.phase, span.start, span.end)
        for span in phase_spans(record.history, now - SHOWN_NIGHTS, now)
    ]
    return {
        "phase": record.state.phase,
        "may_begin": "any number" if allowance is None else allowance,
        "openings": sum(change.phase == "open" for change in record.history),
        "transitions": markdown_table(
            ("at", "phase", "reason", "recording", "detail"),
            [
                (f"{change.at:%Y-%m-%d %H:%M:%S}", change.phase, change.reason,
                 change.recording_id, change.detail)
                for change in reversed(record.history)
            ],
        ),
        "plot": timeline(bars, PHASE_COLOURS, title="The breaker in the last seven days (UTC)"),
    }  # fmt: skip


def _gate(tier: Tier, metrics: Path | None, forced: bool) -> dg.AssetsDefinition:
    @dg.asset(
        key=[*tier.key_prefix, "gate"],
        group_name=tier.group,
        owners=OWNERS,
        kinds={"json"},
        description=(
            f"**{tier.label}: whether they are wanted.** Open where an evaluation says that the "
            "model's accuracy drops by more than 10 % on augmented audio, or that its scores "
            "across conditions correlate below 0.9. Until then the night's schedules do nothing, "
            "unless they are forced."
        ),
        metadata={"path": tier.folder("gate")},
    )
    def gate() -> dg.MaterializeResult:  # type: ignore[type-arg]
        try:
            found = read_gate(metrics, forced=forced)
        except RecordingError as error:
            raise failure(error) from None
        figures = {}
        if found.metrics:
            figures = {
                "accuracy_drop": found.metrics.accuracy_drop,
                **found.metrics.model_dump(),
            }
        return dg.MaterializeResult(
            metadata={"is_open": found.is_open, "because": found.because, **figures}
        )

    return gate
