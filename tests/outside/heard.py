"""What our client hears of a server that nobody here wrote, in each dialect."""

from __future__ import annotations

from typing import Any

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.errors import StreamError
from lm_deluge.values.response import APIResponse
from support.promises import Ear

__all__ = ["DIALECTS", "WEATHER", "hear"]

#: A model for each dialect.
DIALECTS = {
    "chat": "gpt-4o",
    "responses": "gpt-4o",
    "messages": "claude-sonnet-5",
    "gemini": "gemini-3-pro-preview",
}

_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": _SCHEMA},
}


async def hear(
    dialect: str, base_url: str, prompt: Any, *, tools: Any = None, **options: Any
) -> APIResponse | StreamError:
    """Ask once, and return how the stream ended: once, whatever came, and with what was told before."""
    ear = Ear()
    settings: dict[str, Any] = {"retries": RetryPolicy.none(), "printer": None, "api_key": "k"}
    settings |= options
    async with LLMClient(
        DIALECTS[dialect], dialect=dialect, base_url=base_url, handlers=[ear], **settings
    ) as client:
        stream = client.stream(prompt, **({} if tools is None else {"tools": tools}))
        try:
            await stream
        except StreamError:
            pass
    (ending,) = ear.endings
    assert ear.calls.count("start") == 1
    if isinstance(ending, APIResponse):
        assert ear.shown == ending.completion
        thought = "".join(delta.text for delta in ear.deltas if delta.kind == "reasoning")
        assert thought == (ending.reasoning or "")
    return ending
