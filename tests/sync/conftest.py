"""What tests of lm_deluge.sync share: a client of a server in another thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from lm_deluge.sync import LLMClient
from support.clients import KEY

#: ``serve(text=…, **simulator's)``: a running simulator and a client of it.
Serve = Callable[..., tuple[Simulator, LLMClient]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start simulators; ``settings`` are the client's."""
    with ExitStack() as stack:

        def start(
            *, settings: dict[str, Any] | None = None, **arguments: Any
        ) -> tuple[Simulator, LLMClient]:
            server = stack.enter_context(Simulator(**arguments))
            client = LLMClient(
                "gpt-4o", base_url=server.base_url, api_key=KEY, printer=None, **settings or {}
            )
            stack.callback(client.close)
            return server, client

        yield start
