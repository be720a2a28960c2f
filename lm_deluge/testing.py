"""pytest fixtures for the tests of programs that stream: ``simulator`` and ``replay``.

Register them in ``conftest.py``::

    pytest_plugins = ["lm_deluge.testing"]

They are async; pytest needs a plugin that runs such tests (pytest-asyncio). Nothing else of lm_deluge
imports this module, or pytest.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

try:
    import pytest
    import pytest_asyncio
except ModuleNotFoundError as error:
    message = f"lm_deluge.testing needs {error.name}: pip install pytest pytest-asyncio"
    raise ModuleNotFoundError(message, name=error.name) from None

from lm_deluge.simulator import Simulator

__all__ = ["StartReplay", "replay", "simulator"]

StartReplay = Callable[..., Awaitable[Simulator]]
"""``await replay(path, speed="max", by="order")``: a running ``Simulator``."""


@pytest_asyncio.fixture
async def simulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Simulator]:
    """A running ``Simulator``; ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` lead to it.

    Its arguments can be given by a marker: ``@pytest.mark.simulator(text="Hi", faults="reset:2")``.
    """
    marker = request.node.get_closest_marker("simulator")
    arguments: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    async with Simulator(**arguments) as running:
        _lead(monkeypatch, running)
        yield running


@pytest_asyncio.fixture
async def replay(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StartReplay]:
    """Serve a recording: ``server = await replay("answers.rec")``.

    ``speed``: ``"max"`` by default; 1 for the recorded pace. ``by``: ``"order"``, ``"hash"`` or
    ``"loop"``. ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` lead to the one that was started last.
    """
    async with AsyncExitStack() as stack:

        async def start(
            path: str | os.PathLike[str], *, speed: Any = "max", by: Any = "order"
        ) -> Simulator:
            served = Simulator(replay=path, speed=speed, replay_by=by)
            running = await stack.enter_async_context(served)
            _lead(monkeypatch, running)
            return running

        yield start


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "simulator(**arguments): the arguments of the fixture `simulator`"
    )


def _lead(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-simulated")
