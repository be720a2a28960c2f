"""What tests of models share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lm_deluge.models.registry import (
    known_models,
    unregister_model,
)


@pytest.fixture(autouse=True)
def _forget_registrations() -> Iterator[None]:
    before = set(known_models())
    yield
    for name in (set(known_models()) - before) | {"gpt-4o"}:
        unregister_model(name)
