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
