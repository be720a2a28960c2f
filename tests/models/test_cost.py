"""What an answer costs, and when nobody knows."""

from __future__ import annotations

import attrs
import pytest

from lm_deluge.models.registry import (
    ModelInfo,
    cost_of,
    register_model,
)
from lm_deluge.models.resolving import resolve_model


@attrs.frozen
class Usage:
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None


def resolve(name: str) -> ModelInfo:
    return resolve_model(name, base_url=None, env_base_url=None)


def test_the_cost_counts_cached_input_apart() -> None:
    info = resolve("gpt-4o")
    million = 1_000_000
    assert cost_of(info, Usage(million, 0)) == pytest.approx(2.5)
    assert cost_of(info, Usage(0, million, 0)) == pytest.approx(10.0)
    assert cost_of(info, Usage(million, million, million)) == pytest.approx(11.25)
    assert cost_of(info, Usage(100, 50, 40)) == pytest.approx((60 * 2.5 + 40 * 1.25 + 500) / 1e6)
    assert cost_of(info, Usage(10, 0, 20)) == pytest.approx(12.5 / 1e6)


def test_cached_tokens_without_a_price_of_their_own_cost_what_others_do() -> None:
    assert cost_of(resolve("gpt-4"), Usage(1_000_000, 0, 500_000)) == pytest.approx(30.0)


def test_what_is_written_to_a_cache_has_a_price_of_its_own() -> None:
    info = resolve("anthropic:claude-sonnet-5-5")
    assert cost_of(info, Usage(100, 0, 60, 30)) == pytest.approx(
        (10 * 2 + 60 * 0.1 + 30 * 2.5) / 1e6
    )
    assert cost_of(info, Usage(100, 10)) == pytest.approx((100 * 2 + 10 * 10) / 1e6)
    assert cost_of(resolve("gpt-4o"), Usage(100, 0, 0, 30)) == pytest.approx(250 / 1e6)


def test_the_counts_of_a_cache_are_never_more_than_the_input() -> None:
    info = resolve("anthropic:claude-sonnet-5-5")
    assert cost_of(info, Usage(100, 0, 80, 80)) == pytest.approx((80 * 0.1 + 20 * 2.5) / 1e6)


def test_no_tokens_cost_nothing_which_is_not_none() -> None:
    assert cost_of(resolve("gpt-4o"), Usage(0, 0)) == 0.0


@pytest.mark.parametrize("usage", [None, Usage(None, 1), Usage(1, None)])
def test_an_unknown_usage_has_no_known_cost(usage: Usage | None) -> None:
    assert cost_of(resolve("gpt-4o"), usage) is None


def test_an_unknown_price_is_no_known_cost() -> None:
    assert cost_of(resolve("gpt-99"), Usage(1, 1)) is None
    assert cost_of(register_model("half", input_price=1), Usage(1, 1)) is None
    assert cost_of(resolve("gpt-5.4"), Usage(272_001, 1)) is None
    assert cost_of(resolve("gpt-5.4"), Usage(272_000, 0)) == pytest.approx(0.68)
