"""What tests of the relay share: a Redis of their own, and stores of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from lm_deluge_plugins.relay import Store
from support.relaying import RedisServer, redis_server, store_of


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    redis = request.getfixturevalue("redis") if request.param == "redis" else None
    async with store_of(request.param, redis) as store:
        yield store
