"""The page of ``lm-deluge web`` on a real socket, with models that a test makes up."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.cli.browsing.admission import PageGuard
from lm_deluge.cli.browsing.choices import Partner
from lm_deluge.cli.browsing.site import error_words, listening, make_app
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import MemoryStore, Relay
from support.relaying import Event, events_in

__all__ = ["KEY", "ask", "read", "serving_page"]

KEY = "sk-secret-of-the-owner-0123456789"


@contextlib.asynccontextmanager
async def serving_page(
    *models: Mapping[str, Any],
    guard: PageGuard | None = None,
    system: str | None = None,
    handlers: tuple[object, ...] = (),
) -> AsyncIterator[str]:
    """Serve the page for ``model-0``, ``model-1`` …, simulators with these settings; yield its address."""
    async with contextlib.AsyncExitStack() as stack:
        choices = []
        for at, settings in enumerate(models):
            name = f"model-{at}"
            simulator = await stack.enter_async_context(
                Simulator(models=[name], api_key=KEY, **settings)
            )
            client = LLMClient(
                name, base_url=simulator.base_url, api_key=KEY, printer=None,
                retries=RetryPolicy.none(), handlers=handlers,
            )  # fmt: skip
            stack.push_async_callback(client.close)
            choices.append(Partner(name, name, "", client, is_simulated=True))
        relay = Relay(MemoryStore(), on_disconnect="continue", words=error_words)
        app = make_app(relay, choices, guard or PageGuard(), system=system, has_log=False)
        url = await stack.enter_async_context(listening(app, "127.0.0.1", 0))
        yield url.rstrip("/")


async def ask(
    session: aiohttp.ClientSession, url: str, text: str = "Hi", **more: Any
) -> tuple[int, dict[str, Any]]:
    """Ask the first model; return the status and what was said."""
    body = {"model": "model-0", "messages": [{"role": "user", "content": text}], **more}
    headers = {"Content-Type": "application/json"}
    async with session.post(f"{url}/ask", data=json.dumps(body), headers=headers) as response:
        return response.status, await response.json()


async def read(session: aiohttp.ClientSession, url: str, stream_id: str) -> list[Event]:
    """Read a stream to its end."""
    async with session.get(f"{url}/streams/{stream_id}") as response:
        assert response.status == 200
        return events_in(await response.read())
