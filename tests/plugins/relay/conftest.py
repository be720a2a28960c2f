"""What tests of the relay share: a Redis of their own, and stores of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from lm_deluge_plugins.relay import Store
from support.relaying import RedisServer, redis_server, store_of

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    pytest.importorskip("redis")
    with redis_server() as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    redis = request.getfixturevalue("redis") if request.param == "redis" else None
    async with store_of(request.param, redis) as store:
        yield store


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs a framework that is not installed."""
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    for item in items:
        if missing and item.path.parent == HERE and "asgi" in item.name:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}"))
