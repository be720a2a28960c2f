"""A plain client for the simulator: nothing of lm_deluge takes part."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import attrs
import pytest

from lm_deluge.simulator import Simulator

Ask = Callable[..., Coroutine[Any, Any, "Heard"]]


@attrs.define
class Heard:
    """What a client got: status, headers, body, the reads it came in, and how it ended."""

    status: int | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    reads: list[bytes] = attrs.field(factory=list)
    error: BaseException | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.reads)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """Data of the whole events; JSON where it is."""
        found: list[Any] = []
        for block in self.body.split(b"\n\n")[:-1]:
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    data = line[6:]
                    try:
                        found.append(json.loads(data))
                    except ValueError:
                        found.append(data)
        return found

    def text(self, choice: int = 0) -> str:
        return "".join(
            entry["delta"].get("content") or ""
            for event in self.events
            if isinstance(event, dict)
            for entry in event.get("choices") or ()
            if entry["index"] == choice
        )

    @property
    def finishes(self) -> list[str]:
        return [
            entry["finish_reason"]
            for event in self.events
            if isinstance(event, dict)
            for entry in event.get("choices") or ()
            if entry["finish_reason"]
        ]

    @property
    def done(self) -> bool:
        return b"[DONE]" in self.events


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a raw connection and wait until its socket is closed too."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


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
