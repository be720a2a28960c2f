"""A plain client for the simulator: nothing of lm_deluge takes part."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from lm_deluge.simulator import Simulator
from support.plain_client import Ask, Heard


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session:
        yield session


@pytest.fixture
def ask(session: aiohttp.ClientSession) -> Ask:
    """Send a chat request and take all that comes, for ``patience`` seconds at most."""

    async def ask(
        sim: Simulator,
        *,
        patience: float = 5.0,
        key: str | None = "sk-test",
        path: str = "/v1/chat/completions",
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        enough: int = 2_000_000,
        **body: Any,
    ) -> Heard:
        given = {"Content-Type": "application/json"}
        if key is not None:
            given["Authorization"] = f"Bearer {key}"
        given |= headers or {}
        body = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
        } | body
        body = {name: value for name, value in body.items() if value is not ...}
        data = json.dumps(body).encode() if raw is None else raw
        heard = Heard()
        try:
            async with (
                asyncio.timeout(patience),
                session.post(
                    sim.url + path, data=data, headers=given, allow_redirects=False
                ) as response,
            ):
                heard.status = response.status
                heard.headers = {k.lower(): v for k, v in response.headers.items()}
                async for read in response.content.iter_any():
                    heard.reads.append(read)
                    if len(heard.body) > enough:
                        break
        except (aiohttp.ClientError, TimeoutError) as error:
            heard.error = error
        return heard

    return ask
