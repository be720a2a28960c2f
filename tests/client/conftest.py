"""What tests of clients share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lm_deluge.models.registry import unregister_model


@pytest.fixture
def registered() -> Iterator[list[str]]:
    """Names that the test registers; they are forgotten after it."""
    names: list[str] = []
    yield names
    for name in names:
        unregister_model(name)
