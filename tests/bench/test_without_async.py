"""What a token costs more without async."""

from __future__ import annotations

import statistics

import pytest

from bench.without_async import CASES, differences, served

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "tokens", "pause"), CASES[:2], ids=[case[0] for case in CASES[:2]]
)
def test_a_token_costs_at_most_25_microseconds_more(name: str, tokens: int, pause: int) -> None:
    """With longer pauses both grow with what else fills the processor's caches."""
    with served() as port:
        found = differences(port, tokens, pause, rounds=15)
    more = [without - with_async for with_async, without in found]
    assert statistics.median(more) <= 25, f"{name}: {more}"
