"""Servers between a model and a page, to be measured beside each other.

``python -m tests.bench.relay_peers KIND MODEL_URL [REDIS_PORT]`` prints its port. Each answers ``POST /chat``
with what the model says, asked anew each time. ``bare`` and ``bare asgi``: the least that aiohttp.web, and
Starlette on uvicorn, can be: what comes is split at blank lines, decoded into types, and written.
``relay``, ``relay asgi``: ours, with a store in memory; ``relay redis`` the same with Redis. ``openai``:
FastAPI and the package ``openai``, piped by hand as its documentation shows. The AI SDK's server is
``relay_peer.mjs``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from lm_deluge import LLMClient
from lm_deluge_plugins.relay import MemoryStore, RedisStore, Relay, aiohttp_web, asgi

__all__ = ["KINDS"]

_ASKED = {"model": "gpt-4.1-mini", "stream": True, "messages": [{"role": "user", "content": "hi"}]}


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta


class _Chunk(msgspec.Struct):
    choices: list[_Choice]


_decode = msgspec.json.Decoder(_Chunk).decode
_encode = msgspec.json.Encoder().encode
_SSE = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


async def _bare_events(session: aiohttp.ClientSession, model: str) -> AsyncIterator[bytes]:
    async with session.post(f"{model}/chat/completions", json=_ASKED) as answer:
        rest = b""
        async for data in answer.content.iter_any():
            *whole, rest = (rest + data).split(b"\n\n")
            out = []
            for event in whole:
                if event == b"data: [DONE]":
                    out.append(b"data: [DONE]\n\n")
                    continue
                out += [
                    b"data: " + _encode({"text": choice.delta.content}) + b"\n\n"
                    for choice in _decode(event[6:]).choices
                    if choice.delta.content
                ]
            if out:
                yield b"".join(out)


async def _bare(model: str, redis: int) -> web.Application:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=_SSE)
        await response.prepare(request)
        async for data in _bare_events(session, model):
            await response.write(data)
        return response

    return _web(chat)


async def _bare_asgi(model: str, redis: int) -> Any:
    from starlette.responses import StreamingResponse

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def chat(request: Any) -> Any:
        return StreamingResponse(_bare_events(session, model), headers=_SSE)

    return _starlette(chat)


async def _relay(model: str, redis: int) -> web.Application:
    client = LLMClient("gpt-4.1-mini", base_url=model, api_key="k")
    store: Any = MemoryStore(keep=5)
    if redis:
        from redis.asyncio import Redis

        store = RedisStore(Redis(port=redis), keep=60, patience=60)
    relay = Relay(store, on_disconnect="continue")

    async def chat(request: web.Request) -> web.StreamResponse:
        return await aiohttp_web.respond(relay, request, client.open_stream("hi"))

    app = _web(chat)
    aiohttp_web.add_routes(app, relay)
    return app


async def _relay_asgi(model: str, redis: int) -> Any:
    client = LLMClient("gpt-4.1-mini", base_url=model, api_key="k")
    relay = Relay(MemoryStore(keep=5), on_disconnect="continue")

    async def chat(request: Any) -> Any:
        return asgi.respond(relay, client.open_stream("hi"))

    return _starlette(chat)


async def _openai(model: str, redis: int) -> Any:
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=model, api_key="k", max_retries=0, timeout=600)
    app = FastAPI()

    async def events() -> AsyncIterator[str]:
        stream = await client.chat.completions.create(**_ASKED)  # type: ignore[call-overload]
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield f"data: {json.dumps({'text': chunk.choices[0].delta.content})}\n\n"
        yield "data: [DONE]\n\n"

    @app.post("/chat")
    async def chat() -> StreamingResponse:
        return StreamingResponse(events(), headers=_SSE)

    return app


KINDS = {
    "bare": _bare,
    "bare asgi": _bare_asgi,
    "relay": _relay,
    "relay asgi": _relay_asgi,
    "relay redis": _relay,
    "openai": _openai,
}


def _web(chat: Any) -> web.Application:
    app = web.Application()
    app.router.add_post("/chat", chat)
    return app


def _starlette(chat: Any) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Route

    return Starlette(routes=[Route("/chat", chat, methods=["POST"])])


async def _main(kind: str, model: str, redis: int) -> None:
    app = await KINDS[kind](model, redis)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    port = sock.getsockname()[1]
    if isinstance(app, web.Application):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        print(port, flush=True)
        await asyncio.Event().wait()
        return
    import uvicorn

    print(port, flush=True)
    config = uvicorn.Config(app, log_level="error", lifespan="off", loop="asyncio")
    await uvicorn.Server(config).serve([sock])


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else 0))
