"""The clients that are compared. Each makes ``go() -> (tokens seen, texts)`` for one stream."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

MESSAGES = [{"role": "user", "content": "hi"}]
Go = Callable[[], Awaitable[int]]
Close = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Close nothing."""


async def bare(url: str, seen: Callable[[str], None] | None) -> tuple[Go, Close]:
    """The least that a client can do: aiohttp, a split, a typed decode."""
    import aiohttp
    import msgspec

    class Delta(msgspec.Struct):
        content: str | None = None

    class Choice(msgspec.Struct):
        delta: Delta
        index: int = 0
        finish_reason: str | None = None

    class Chunk(msgspec.Struct):
        choices: list[Choice]
        usage: dict[str, Any] | None = None

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    decode = msgspec.json.Decoder(Chunk).decode

    async def go() -> int:
        count = 0
        body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
        async with session.post(f"{url}/chat/completions", json=body) as response:
            rest = b""
            async for data in response.content.iter_any():
                rest += data
                *events, rest = rest.split(b"\n\n")
                for event in events:
                    if event[6:] == b"[DONE]":
                        continue
                    chunk = decode(event[6:])
                    if chunk.choices and (text := chunk.choices[0].delta.content):
                        count += 1
                        if seen is not None:
                            seen(text)
        return count

    return go, session.close


def ours(kind: str) -> Callable[..., Awaitable[tuple[Go, Close]]]:
    """lm_deluge: ``silent``, ``handler``, ``handlers4``, ``chat``, ``printer`` or ``logger``."""

    async def setup(url: str, seen: Callable[[str], None] | None) -> tuple[Go, Close]:
        from lm_deluge import LLMClient
        from lm_deluge.api_requests.openai import stream_chat
        from lm_deluge_plugins import FileLogger, StdoutPrinter

        client = LLMClient("gpt-4o", base_url=url, api_key="sk-benchmark")
        sink = Path(os.devnull).open("w")  # noqa: ASYNC230, SIM115 - lives as long as the process

        class Count:
            def __init__(self) -> None:
                self.tokens = 0

            def on_token(self, stream: Any, token: Any) -> None:
                self.tokens += 1
                if seen is not None:
                    seen(token.text)

        arguments: dict[str, Any] = {"printer": None}
        if kind in ("printer", "logger"):
            arguments["printer"] = StdoutPrinter(sink)
        if kind == "logger":
            arguments["handlers"] = [FileLogger(os.environ["BENCH_LOG"])]

        async def go() -> int:
            if kind == "chat":
                count = 0
                async for item in stream_chat("gpt-4o", "hi", client=client):
                    if type(item) is str:
                        count += 1
                        if seen is not None:
                            seen(item)
                return count
            own = dict(arguments)
            counters = [Count() for _ in range({"handler": 1, "handlers4": 4}.get(kind, 0))]
            if counters:
                own["handlers"] = counters
            response = await client.stream("hi", **own)
            return counters[0].tokens if counters else len(response.timeline or ())

        return go, client.close

    return setup


async def openai(url: str, seen: Callable[[str], None] | None) -> tuple[Go, Close]:
    """The official client."""
    import openai as package

    client = package.AsyncOpenAI(base_url=url, api_key="x", max_retries=0)

    async def go() -> int:
        count = 0
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                count += 1
                if seen is not None:
                    seen(text)
        return count

    return go, client.close


async def litellm(url: str, seen: Callable[[str], None] | None) -> tuple[Go, Close]:
    """LiteLLM's ``acompletion``."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm as package

    package.suppress_debug_info = True

    async def go() -> int:
        count = 0
        stream = await package.acompletion(
            model="openai/gpt-4o", api_base=url, api_key="x", messages=MESSAGES, stream=True
        )
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                count += 1
                if seen is not None:
                    seen(text)
        return count

    return go, nothing


async def langchain(url: str, seen: Callable[[str], None] | None) -> tuple[Go, Close]:
    """langchain-openai's ``astream`` with a callback handler."""
    from langchain_core.callbacks import AsyncCallbackHandler
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o", base_url=url, api_key="x", max_retries=0)

    class Count(AsyncCallbackHandler):
        def __init__(self) -> None:
            self.tokens = 0

        async def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            if token:
                self.tokens += 1
                if seen is not None:
                    seen(token)

    async def go() -> int:
        count = Count()
        async for _ in model.astream("hi", config={"callbacks": [count]}):
            pass
        return count.tokens

    return go, nothing


OURS = ("silent", "handler", "handlers4", "chat", "printer", "logger")
PEERS: dict[str, Callable[..., Awaitable[tuple[Go, Close]]]] = {
    "bare": bare,
    **{f"lm_deluge {kind}": ours(kind) for kind in OURS},
    "openai": openai,
    "litellm": litellm,
    "langchain": langchain,
}
PACKAGES = {"openai": "openai", "litellm": "litellm", "langchain": "langchain_openai"}
