"""The clients that are compared.

Each is a coroutine function ``setup(url, note)`` that returns ``(go, close)``. ``go()`` asks for one
answer and returns how many tokens it saw. ``note``, if given, is called with each token's text and
the moment at which the client says that it arrived (``time.perf_counter``).
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

MESSAGES = [{"role": "user", "content": "hi"}]

Note = Callable[[str, float], None]
Go = Callable[[], Awaitable[int]]
Close = Callable[[], Awaitable[None]]
Setup = Callable[[str, "Note | None"], Awaitable[tuple[Go, Close]]]


async def nothing() -> None:
    """Close nothing."""


async def bare(url: str, note: Note | None) -> tuple[Go, Close]:
    """The least that a client can do: aiohttp, a split at blank lines, a typed decode."""
    import aiohttp

    from bench.bare import decode

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def go() -> int:
        count = 0
        request = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
        async with session.post(f"{url}/chat/completions", json=request) as response:
            rest = b""
            async for data in response.content.iter_any():
                arrived = time.perf_counter()
                rest += data
                events = rest.split(b"\n\n")
                rest = events.pop()
                for event in events:
                    payload = event[6:]
                    if payload == b"[DONE]":
                        continue
                    chunk = decode(payload)
                    if chunk.choices and (text := chunk.choices[0].delta.content):
                        count += 1
                        if note is not None:
                            note(text, arrived)
        return count

    return go, session.close


class _Count:
    """A handler that does what a small handler does: one line of work a token."""

    def __init__(self) -> None:
        self.tokens = 0

    def on_token(self, stream: Any, token: Any) -> None:
        self.tokens += 1


class _NotingCount(_Count):
    def __init__(self, note: Note) -> None:
        super().__init__()
        self._note = note
        self._t0 = 0.0

    def on_start(self, stream: Any) -> None:
        self._t0 = time.perf_counter() - stream.elapsed

    def on_token(self, stream: Any, token: Any) -> None:
        self.tokens += 1
        self._note(token.text, self._t0 + token.arrived)


def streaming(handlers: int = 0, *, printer: bool = False, logger: bool = False) -> Setup:
    """``client.stream`` with that many small handlers, the printer, the log."""

    async def setup(url: str, note: Note | None) -> tuple[Go, Close]:
        from lm_deluge import LLMClient
        from lm_deluge_plugins import FileLogger, StdoutPrinter

        client = LLMClient("gpt-4o", base_url=url, api_key="sk-benchmark")
        sink = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process
        printing = StdoutPrinter(sink) if printer else None
        logging = [FileLogger(os.environ["BENCH_LOG"])] if logger else []

        async def go() -> int:
            counts = [_Count() for _ in range(handlers)]
            if note is not None:
                counts = [_NotingCount(note), *counts[1:]]
            response = await client.stream("hi", printer=printing, handlers=[*counts, *logging])
            return counts[0].tokens if counts else response.completion.count(" ")

        async def close() -> None:
            await client.close()
            for log in logging:
                log.close()
            sink.close()

        return go, close

    return setup


async def chatting(url: str, note: Note | None) -> tuple[Go, Close]:
    """``stream_chat``."""
    from lm_deluge import LLMClient
    from lm_deluge.api_requests.openai import stream_chat

    client = LLMClient("gpt-4o", base_url=url, api_key="sk-benchmark")

    async def go() -> int:
        count = 0
        async for item in stream_chat("gpt-4o", "hi", client=client):
            if type(item) is str:
                count += 1
                if note is not None:
                    note(item, time.perf_counter())
        return count

    return go, client.close


async def openai(url: str, note: Note | None) -> tuple[Go, Close]:
    """The official client."""
    import openai as package

    client = package.AsyncOpenAI(base_url=url, api_key="x", max_retries=0)

    async def go() -> int:
        count = 0
        chunks = await client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in chunks:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                count += 1
                if note is not None:
                    note(text, time.perf_counter())
        return count

    return go, client.close


async def litellm(url: str, note: Note | None) -> tuple[Go, Close]:
    """LiteLLM's ``acompletion``."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm as package

    package.suppress_debug_info = True

    async def go() -> int:
        count = 0
        chunks = await package.acompletion(
            model="openai/gpt-4o",
            api_base=url,
            api_key="x",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in chunks:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                count += 1
                if note is not None:
                    note(text, time.perf_counter())
        return count

    return go, nothing


async def langchain(url: str, note: Note | None) -> tuple[Go, Close]:
    """langchain-openai's ``astream`` with a callback handler."""
    from langchain_core.callbacks import AsyncCallbackHandler
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o", base_url=url, api_key="x", stream_usage=True, max_retries=0)

    class Count(AsyncCallbackHandler):
        def __init__(self) -> None:
            self.tokens = 0

        async def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            if token:
                self.tokens += 1
                if note is not None:
                    note(token, time.perf_counter())

    async def go() -> int:
        count = Count()
        async for _ in model.astream("hi", config={"callbacks": [count]}):
            pass
        return count.tokens

    return go, nothing


BARE = "bare loop"
CLIENTS: dict[str, Setup] = {
    BARE: bare,
    "stream": streaming(),
    "stream + handler": streaming(1),
    "stream + 4 handlers": streaming(4),
    "stream_chat": chatting,
    "stream + printer": streaming(printer=True),
    "stream + printer + log": streaming(printer=True, logger=True),
    "openai": openai,
    "litellm": litellm,
    "langchain-openai": langchain,
}
OURS = tuple(name for name in CLIENTS if name.startswith("stream"))
_PACKAGES = {"openai": "openai", "litellm": "litellm", "langchain-openai": "langchain_openai"}
PEERS = tuple(
    name for name, package in _PACKAGES.items() if importlib.util.find_spec(package) is not None
)
MODULES = {BARE: "aiohttp", "stream": "lm_deluge", **_PACKAGES}
