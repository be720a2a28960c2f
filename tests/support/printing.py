"""Streams that are printed, and a screen that keeps what is written."""

from __future__ import annotations

import io
from typing import Any

from lm_deluge import LLMClient, RetryPolicy
from support.scripted import (
    ScriptedServer,
)


def printing(server: ScriptedServer, **kwargs: Any) -> LLMClient:
    return LLMClient(
        "gpt-4o",
        base_url=server.base_url,
        api_key="sk-test-key-123456",
        retries=RetryPolicy.none(),
        **kwargs,
    )


class Screen(io.StringIO):
    """A file that notes what was written, and what had been flushed, at each flush."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self.flushed: list[str] = []
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def flush(self) -> None:
        self.flushed.append(self.getvalue())
