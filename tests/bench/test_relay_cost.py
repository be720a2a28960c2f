"""A relay costs little beside a handler that writes prebuilt bytes."""

from __future__ import annotations

import pytest

from tests.bench.relaying import measure


@pytest.mark.slow
async def test_a_piece_costs_a_reader_less_than_twice_a_bare_handler_in_every_format() -> None:
    figures = await measure(readers=50, pieces=200, rounds=3)
    print(figures)
    ratios = {name: value for name, value in figures.items() if "/" in name}
    assert len(ratios) == 4
    assert max(ratios.values()) < 2, figures
