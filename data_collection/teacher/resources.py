"""The resource that describes the teacher: who is asked, by which rubric, for how much money.

What belongs here: configuration. What does not: asking, and what a tier may spend (`ledger`). The
key is read from its environment variable when it is needed, so that it is in no configuration, log
or event.
"""

import os
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from data_collection.recordings.errors import SetupError
from data_collection.recordings.store import Store
from data_collection.teacher.label_stage import Repeats
from data_collection.teacher.ledger import Caps, Ledger
from data_collection.teacher.messages import client
from data_collection.teacher.pilot import Pilot, read_pilot
from data_collection.teacher.prices import BUNDLED_PRICES, PriceList, read_prices
from data_collection.teacher.questions import Teacher
from data_collection.teacher.rubric import BUNDLED_RUBRIC, Rubric, read_rubric, read_taxonomy

if TYPE_CHECKING:
    from anthropic import Anthropic

TAXONOMY = "composite_labels/taxonomy.json"
KEY_VARIABLE = "ANTHROPIC_API_KEY"


class TeacherResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Who judges segments, and what that may cost."""

    pilot: str | None = Field(
        default=None, description="path of the pilot's decision (JSON); without one nothing is go"
    )
    model: str = Field(default="claude-sonnet-5-5", description="as the API and the prices name it")
    max_tokens: int = Field(default=4096, gt=0, description="of an answer, thinking included")
    effort: str | None = Field(default="low", description="how much it thinks; null for its own")
    rubric: str = Field(default=str(BUNDLED_RUBRIC), description="path of the rubric's YAML")
    prices: str = Field(default=str(BUNDLED_PRICES), description="path of the price list's YAML")
    cap_usd: str = Field(default="0", description="what may be spent in all, ever; 0 for nothing")
    tier_caps_usd: dict[str, str] = Field(
        default_factory=dict,
        description="of each tier, by its Dagster group; a tier that is not named may spend what "
        "all may",
    )
    repeats: int = Field(default=2, ge=1, description="how often some segments are asked about")
    repeated_share: float = Field(default=0.1, ge=0, le=1, description="of the segments")
    decides_on: str = Field(default="strict", description="rule of the gate: strict or seed")
    wait_s: float = Field(default=0.0, ge=0, description="how long a run waits for a batch")
    poll_s: float = Field(default=30.0, gt=0, description="how often it asks meanwhile")
    base_url: str | None = Field(default=None, description="of the API; null for the public one")
    ledger_folder: str = Field(description="local folder of the ledger: money and answers")

    def read_pilot(self, inline: str | None = None) -> Pilot:
        """The pilot's decision.

        Raises:
            SetupError: `pilot_unreadable`.
        """
        return read_pilot(Path(self.pilot) if self.pilot else None, inline=inline)

    def read_rubric(self, store: Store) -> Rubric:
        """The rubric, which must have the dimensions of the lab's taxonomy where there is one.

        Raises:
            RubricError: either cannot be used.
        """
        taxonomy = store.path(TAXONOMY)
        if taxonomy.exists():
            with store.local(TAXONOMY) as path:
                return read_rubric(Path(self.rubric), read_taxonomy(path))
        return read_rubric(Path(self.rubric))

    def read_prices(self) -> PriceList:
        """The price list.

        Raises:
            SetupError: it cannot be read.
        """
        return read_prices(Path(self.prices))

    def teacher(self) -> Teacher:
        """Who is asked."""
        settings: dict[str, Any] = {"effort": self.effort}
        return Teacher(self.model, self.max_tokens, **settings)

    def asked_repeats(self) -> Repeats:
        """How many segments are asked about more than once."""
        return Repeats(self.repeats, self.repeated_share)

    def ledger(self, tiers: tuple[str, ...]) -> Ledger:
        """The ledger of all money.

        Args:
            tiers: names of all that may spend.

        Raises:
            SetupError: `teacher_cap_unreadable`.
        """
        unknown = sorted(set(self.tier_caps_usd) - set(tiers))
        if unknown:
            raise SetupError(
                "teacher_cap_unreadable",
                f"TEACHER_TIER_CAPS_USD names {unknown[0]}; the tiers are {', '.join(tiers)}",
            )
        total = _usd("TEACHER_CAP_USD", self.cap_usd)
        caps: Mapping[str, Decimal] = {
            tier: _usd(f"TEACHER_TIER_CAPS_USD of {tier}", self.tier_caps_usd.get(tier, str(total)))
            for tier in tiers
        }
        # Who set no tier's cap is told of the one that was set, or was not.
        names = {} if self.tier_caps_usd else {"tier_setting": "TEACHER_CAP_USD"}
        return Ledger(Path(self.ledger_folder), Caps(total, caps, **names))

    def client(self) -> "Anthropic":
        """The API's client.

        Raises:
            SetupError: `teacher_key_missing`, `teacher_url_unreadable`.
        """
        return client(os.environ.get(KEY_VARIABLE), self.base_url)


def _usd(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise SetupError(
            "teacher_cap_unreadable", f"{name} is {text!r}, which is no amount of USD"
        ) from error
