"""What tokens cost: a dated price list, and the cost of what an answer used.

What belongs here: reading the list, and arithmetic in `Decimal`, since a sum of floats is off by
the cent. What does not: how many tokens a question will use (`plans`), and what has been spent
(`ledger`). A model without a price is an error, never free.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from data_collection.recordings.errors import SetupError

BUNDLED_PRICES = Path(__file__).parent / "prices.yaml"
TOKENS_PER_PRICE = 1_000_000


def _as_written(value: object) -> object:
    """YAML reads 0.1 as a float; its shortest text is what was written."""
    return str(value) if isinstance(value, float) else value


Price = Annotated[Decimal, BeforeValidator(_as_written), Field(gt=0, lt=10_000)]
Factor = Annotated[Decimal, BeforeValidator(_as_written), Field(gt=0, le=10)]


class Usage(BaseModel):
    """Tokens of one answer, as the API counts them; each token is in one field, `thinking` apart.

    Attributes:
        input_tokens: read neither from a cache nor into one.
        cache_read_tokens: of the prompt, found in the cache.
        cache_write_5m_tokens: of the prompt, put into the cache for five minutes.
        cache_write_1h_tokens: of the prompt, put into the cache for an hour.
        output_tokens: all that the model wrote, what it thought included.
        thinking_tokens: how many of those it thought; zero where the API does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_tokens: int = Field(default=0, ge=0)
    cache_read_tokens: int = Field(default=0, ge=0)
    cache_write_5m_tokens: int = Field(default=0, ge=0)
    cache_write_1h_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    thinking_tokens: int = Field(default=0, ge=0)

    @property
    def prompt_tokens(self) -> int:
        """All that went in, from wherever."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            **{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields}
        )


class LongPrompt(BaseModel):
    """A prompt beyond a length costs more, each of its tokens and of its answer's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    over_tokens: int = Field(gt=0)
    factor: Factor


class ModelPrice(BaseModel):
    """One model's prices, in USD for a million tokens, outside of batches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Price
    output: Price
    cache_write_5m_factor: Factor
    cache_write_1h_factor: Factor
    cache_read_factor: Factor
    long_prompt: LongPrompt | None = None

    def cost_of(self, usage: Usage) -> Decimal:
        """USD of an answer that no batch made cheaper."""
        prompt = (
            usage.input_tokens
            + usage.cache_write_5m_tokens * self.cache_write_5m_factor
            + usage.cache_write_1h_tokens * self.cache_write_1h_factor
            + usage.cache_read_tokens * self.cache_read_factor
        )
        usd = (prompt * self.input + usage.output_tokens * self.output) / TOKENS_PER_PRICE
        is_long = self.long_prompt and usage.prompt_tokens > self.long_prompt.over_tokens
        return usd * self.long_prompt.factor if self.long_prompt and is_long else usd


class PriceList(BaseModel):
    """A dated list of prices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: date = Field(description="when the prices were those of the source")
    source: str = Field(min_length=1, description="where they are from")
    batch_factor: Annotated[Decimal, BeforeValidator(_as_written), Field(gt=0, le=1)]
    models: Mapping[str, ModelPrice] = Field(min_length=1)

    def price(self, model: str) -> ModelPrice:
        """A model's prices.

        Raises:
            SetupError: `teacher_price_unknown`: it is not listed, so nobody knows what it costs.
        """
        try:
            return self.models[model]
        except KeyError:
            raise SetupError(
                "teacher_price_unknown",
                f"no price of {model!r} as of {self.as_of}; listed are "
                f"{', '.join(sorted(self.models))}: choose one of them, or add it to the price "
                f"list ({self.source})",
            ) from None

    def cost(self, usage: Usage, model: str, *, batched: bool) -> Decimal:
        """USD of one answer, exact.

        Raises:
            SetupError: `teacher_price_unknown`.
        """
        usd = self.price(model).cost_of(usage)
        return usd * self.batch_factor if batched else usd


def read_prices(path: Path = BUNDLED_PRICES) -> PriceList:
    """Read a price list.

    Raises:
        SetupError: `teacher_prices_unreadable`: no such file, not YAML, or not of the form; the
            message names the field.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
        return PriceList.model_validate(content)
    except ValidationError as error:
        problem = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()
        )
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no UTF-8, no such date
        problem = str(error) or type(error).__name__
    raise SetupError("teacher_prices_unreadable", f"price list {path}: {problem}")
