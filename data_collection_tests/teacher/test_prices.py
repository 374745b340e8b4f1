"""Prices: what an answer costs, to the last digit, and that nothing is free by mistake."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.recordings.errors import SetupError
from data_collection.teacher.prices import BUNDLED_PRICES, Usage, read_prices

PRICES = read_prices()
TOKENS = st.integers(min_value=0, max_value=200_000)
USAGES = st.builds(
    Usage,
    input_tokens=TOKENS,
    cache_read_tokens=TOKENS,
    cache_write_5m_tokens=TOKENS,
    cache_write_1h_tokens=TOKENS,
    output_tokens=TOKENS,
)


def test_every_kind_of_token_has_its_price() -> None:
    """By hand, for a model whose cache reads are a twentieth; guards one factor for all models."""
    usage = Usage(
        input_tokens=1000,
        cache_read_tokens=2000,
        cache_write_5m_tokens=400,
        cache_write_1h_tokens=300,
        output_tokens=50,
    )
    # (1000 + 2000 · 0.05 + 400 · 1.25 + 300 · 2) · $2 + 50 · $10, for a million
    expected = Decimal("0.0049")
    assert PRICES.cost(usage, "claude-sonnet-5-5", batched=False) == expected
    assert PRICES.cost(usage, "claude-sonnet-5-5", batched=True) == expected / 2


def test_a_long_prompt_costs_more_with_all_its_tokens() -> None:
    """From the first token over the limit, output too; guards an estimate of a fifth."""
    at = Usage(input_tokens=60_000, cache_read_tokens=40_000, output_tokens=10)
    over = at.model_copy(update={"input_tokens": 60_001})
    model = "claude-haiku-5-5"
    assert PRICES.cost(at, model, batched=False) == Decimal("0.006405")
    assert PRICES.cost(over, model, batched=False) == 5 * Decimal("0.0064051")


@given(first=USAGES, second=USAGES)
def test_costs_add_up_exactly(first: Usage, second: Usage) -> None:
    """The cost of a sum is the sum of the costs; guards floats, which lose a cent in a thousand."""
    model = "claude-opus-5-5"
    each = [PRICES.cost(usage, model, batched=True) for usage in (first, second)]
    assert PRICES.cost(first + second, model, batched=True) == sum(each)
    assert all(cost >= 0 for cost in each)


def test_an_unknown_model_is_an_error() -> None:
    """Never free; guards a misspelt model that passes every cap."""
    with pytest.raises(SetupError, match=r"no price of 'claude-opus-9'.*claude-haiku-5-5") as told:
        PRICES.cost(Usage(), "claude-opus-9", batched=True)
    assert told.value.reason == "teacher_price_unknown"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "file"),
        ("as_of: [", "while parsing"),
        ("as_of: 2026-02-31", "day is out of range"),
        ("as_of: 2026-10-24\nsource: x\nbatch_factor: 0.5\nmodels: {}", "models"),
        ("{input: 0}", "models.claude-haiku-5-5.input: Input should be greater than 0"),
        ("{input: .nan}", "models.claude-haiku-5-5.input"),
        ("{inputs: 1}", "models.claude-haiku-5-5.inputs: Extra inputs"),
        ("{batch: 2}", "batch_factor"),
    ],
)
def test_a_price_list_that_is_wrong_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """With its field; guards a free model by a typing error."""
    path = tmp_path / "prices.yaml"
    whole = BUNDLED_PRICES.read_text("utf-8")
    changes = {
        "{input: 0}": ("input: 0.10", "input: 0"),
        "{input: .nan}": ("input: 0.10", "input: .nan"),
        "{inputs: 1}": ("    input: 0.10", "    input: 0.10\n    inputs: 1"),
        "{batch: 2}": ("batch_factor: 0.5", "batch_factor: 2"),
    }
    path.write_text(whole.replace(*changes[text]) if text in changes else text, "utf-8")
    with pytest.raises(SetupError) as told:
        read_prices(path)
    assert told.value.reason == "teacher_prices_unreadable"
    assert str(path) in told.value.detail
    assert problem in told.value.detail


def test_no_price_list_is_an_error(tmp_path: Path) -> None:
    """Guards a traceback where a path is misspelt."""
    with pytest.raises(SetupError, match=r"missing\.yaml"):
        read_prices(tmp_path / "missing.yaml")
