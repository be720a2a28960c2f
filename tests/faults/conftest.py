"""What all tests of faults share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """Keep what was there before out of the collector's sight: these tests collect thousands of times."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """asyncio has nothing to complain of."""
    yield
    gc.collect()
    told = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    assert not [line for line in told if "took" not in line], told
