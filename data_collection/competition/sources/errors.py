"""Why a source of results could not be read.

What belongs here: the two classes. What does not: deciding what a missing source costs
(`competition.results`).
"""

from __future__ import annotations

from data_collection.recordings.errors import CatalogueError


class SourceError(CatalogueError):
    """A source cannot be read; the message names it, its address, and what was looked for."""


class UnreachableError(SourceError):
    """A source cannot be reached now: the network, a refusal, a fault of the site's."""
