"""The channels that are collected: the YAML file that names them, read and checked.

What belongs here: the file's form, and which addresses a channel is listed at. What does not: how
its rules decide (`rules`), and listing it (`discovery`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data_collection.recordings.errors import CatalogueError
from data_collection.youtube.rules import Rules, is_youtube

BUNDLED_CHANNELS = Path(__file__).parent / "channels.yaml"
CHANNEL_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
CHANNEL_PATH = re.compile(r"/(?:@[^/]+|(?:channel|c|user)/[^/]+)", re.IGNORECASE)
CASE_MATTERS = re.compile(r"/channel/", re.IGNORECASE)
"""Only `UC…` ids; a handle is the same in any case."""

Category = Literal["pianist", "concerts", "competition", "school", "scores"]


class ChannelsError(CatalogueError):
    """The file of channels cannot be used; the message names file, channel, field, what to do."""


class Channel(BaseModel):
    """One channel, playlist or feed that is collected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=rf"^{CHANNEL_ID.pattern}$", description="partition key and file name, never renamed"
    )
    url: str = Field(description="its address: a channel's, a playlist's, or a feed's")
    name: str = Field(min_length=1, description="as it calls itself")
    category: Category
    rules: Rules = Field(default=Rules(), description="which of its videos are taken")
    nightly_budget: int = Field(ge=0, description="recordings fetched in one night at most")
    licence_note: str = Field(min_length=1, description="on whose terms its videos may be used")
    note: str | None = Field(default=None, description="what is known of it")
    newest_first: bool = Field(
        default=True,
        description="false for a listing that grows at its end, which is walked whole every time",
    )
    most_videos: int = Field(
        default=6000, ge=1, description="that are read of one listing at one time"
    )
    paused: bool = Field(default=False, description="neither listed nor fetched; nothing is lost")
    verified: bool = Field(default=False, description="somebody has asked YouTube for its address")

    @field_validator("url")
    @classmethod
    def _is_a_listing(cls, url: str) -> str:
        where = urlsplit(url)
        if where.scheme not in ("http", "https") or not where.hostname:
            raise ValueError(f"{url!r} is no web address")
        if is_youtube(url) and not _is_playlist(url):
            path = where.path.rstrip("/")
            if not CHANNEL_PATH.match(path):
                raise ValueError(
                    f"{url} is no channel; give …/@handle, …/channel/UC… or a playlist"
                )
            if not CHANNEL_PATH.fullmatch(path):
                raise ValueError(
                    f"{url} is one tab of a channel; leave it out: "
                    "`rules.live` and `rules.shorts` say which tabs are listed"
                )
        return url

    @model_validator(mode="after")
    def _a_playlist_grows_at_its_end(self) -> Channel:
        if _is_playlist(self.url) and "newest_first" not in self.model_fields_set:
            raise ValueError("newest_first: say whether this playlist grows at its beginning")
        return self

    @property
    def listings(self) -> tuple[str, ...]:
        """The addresses that together list what the rules may take, the main one first.

        A channel's own address lists its tabs one after the other, so that whoever stops at a known
        video never comes to the second; shorts and streams that no rule takes are not asked for.
        """
        if not is_youtube(self.url) or _is_playlist(self.url):
            return (self.url,)
        where = urlsplit(self.url)
        channel = f"https://www.youtube.com{where.path.rstrip('/')}"
        tabs = ("videos", *("streams",) * self.rules.live, *("shorts",) * self.rules.shorts)
        return tuple(f"{channel}/{tab}" for tab in tabs)

    @property
    def identity(self) -> str:
        """Equal for two spellings of one address."""
        if not is_youtube(self.url):
            return self.url.rstrip("/")
        where = urlsplit(self.url)
        if _is_playlist(self.url):
            return f"playlist {parse_qs(where.query)['list'][0]}"
        path = where.path.rstrip("/")
        return path if CASE_MATTERS.match(path) else path.casefold()


class ChannelDefaults(BaseModel):
    """What holds for every channel that says nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nightly_budget: int = Field(default=20, ge=0)
    licence_note: str = Field(default="the uploader's; ask before publishing", min_length=1)
    rules: Rules = Field(
        default=Rules(), description="a channel's lists are added to these, its values hold instead"
    )


def read_channels(path: Path = BUNDLED_CHANNELS) -> tuple[Channel, ...]:
    """Read the file of channels.

    Args:
        path: YAML with `channels`, and `defaults` for what most of them share.

    Returns:
        The channels in the file's order, the paused ones too.

    Raises:
        ChannelsError: naming the file and, all at once, the channels and fields that are wrong.
    """
    content = _yaml_of(path)
    unknown = sorted(str(name) for name in set(content) - {"defaults", "channels"})
    if unknown:
        raise ChannelsError(f"channels {path}: {', '.join(unknown)}: no such field")
    try:
        defaults = ChannelDefaults.model_validate(content.get("defaults") or {})
    except ValidationError as error:
        raise ChannelsError(f"channels {path}: defaults: {_problems(error)}") from error
    stated = content.get("channels")
    if not isinstance(stated, list) or not stated:
        raise ChannelsError(f"channels {path}: `channels:` must list at least one channel")
    channels: list[Channel] = []
    wrong: list[str] = []
    for number, fields in enumerate(stated, start=1):
        try:
            channels.append(_channel_of(fields, defaults))
        except ValidationError as error:
            wrong.append(f"{_called(fields, number)}: {_problems(error)}")
    wrong += _stand_twice(channels)
    if wrong:
        raise ChannelsError(f"channels {path}: {'; '.join(wrong)}")
    return tuple(channels)


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping; PyYAML silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Make a mapping of unequal keys."""
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = [str(key) for key, times in Counter(map(str, keys)).items() if times > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(twice)} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


def _yaml_of(path: Path) -> dict[object, object]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceLoader)  # noqa: S506
    except (FileNotFoundError, IsADirectoryError):
        raise ChannelsError(
            f"channels {path}: no such file; set YOUTUBE_CHANNELS to a file of channels, "
            f"or unset it for the bundled one ({BUNDLED_CHANNELS})"
        ) from None
    except UnicodeDecodeError as error:
        raise ChannelsError(f"channels {path}: not UTF-8 ({error})") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2021-02-31
        raise ChannelsError(f"channels {path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ChannelsError(f"channels {path}: expected `channels:` with a list of channels")
    return content


def _channel_of(fields: object, defaults: ChannelDefaults) -> Channel:
    if not isinstance(fields, Mapping):
        return Channel.model_validate(fields)
    shared = defaults.model_dump(include={"nightly_budget", "licence_note"})
    channel = Channel.model_validate({**shared, **fields})
    return channel.model_copy(update={"rules": _joined(defaults.rules, channel.rules)})


def _joined(shared: Rules, own: Rules) -> Rules:
    """A channel's rules over those that all share.

    Raises:
        ValidationError: no video fulfils both.
    """
    values = shared.model_dump(exclude_unset=True)
    for name, value in own.model_dump(exclude_unset=True).items():
        values[name] = (*values.get(name, ()), *value) if isinstance(value, tuple) else value
    return Rules.model_validate(values)


def _stand_twice(channels: Sequence[Channel]) -> Iterator[str]:
    of_id: dict[str, Channel] = {}
    of_address: dict[str, Channel] = {}
    for channel in channels:
        if channel.id in of_id:
            yield f"channel {channel.id}: id: two channels have it"
        elif first := of_address.get(channel.identity):
            yield f"channel {channel.id}: url: {channel.url} is that of {first.id}"
        of_id.setdefault(channel.id, channel)
        of_address.setdefault(channel.identity, channel)


def _called(fields: object, number: int) -> str:
    name = fields.get("id") if isinstance(fields, Mapping) else None
    return f"channel {name}" if isinstance(name, str) else f"channel number {number}"


def _problems(error: ValidationError) -> str:
    return ", ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'fields'}: {item['msg']}"
        for item in error.errors()
    )


def _is_playlist(url: str) -> bool:
    where = urlsplit(url)
    return is_youtube(url) and where.path == "/playlist" and bool(parse_qs(where.query).get("list"))
