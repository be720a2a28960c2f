"""A simulator that says JSON, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator

_DISHES = object()

MODELS = {
    "chat": "gpt-4.1",
    "responses": "gpt-4.1",
    "messages": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
}


@pytest.fixture
async def simulator() -> AsyncIterator[Any]:
    """Starts a simulator that says a text, ``TEXT`` unless told otherwise."""
    async with AsyncExitStack() as running:

        async def served(text: Any = _DISHES, **given: Any) -> Simulator:
            if text is _DISHES:
                # It needs pydantic; files of tests that do are left out where that is not installed.
                from support.dishes import TEXT as text  # noqa: N811
            server = Simulator(text=text, **{"ttft": 0, "gap": 0, **given})
            return await running.enter_async_context(server)

        yield served


@pytest.fixture
def client_of() -> Any:
    """Returns a client of a server by one of the four wires."""

    def made(server: Any, wire: str = "chat", **given: Any) -> LLMClient:
        return LLMClient(
            MODELS[wire],
            api_key="sk-test",
            base_url=server.base_url,
            dialect=wire,
            printer=None,
            **given,
        )

    return made
