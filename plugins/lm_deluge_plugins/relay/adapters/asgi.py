"""A relay behind any ASGI server: FastAPI, Starlette, or plain."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from lm_deluge import Stream
from lm_deluge_plugins.relay.adapters import serving
from lm_deluge_plugins.relay.adapters.asking import (
    Refusal,
    cors_headers,
    preflight_headers,
)
from lm_deluge_plugins.relay.adapters.script import script_for
from lm_deluge_plugins.relay.adapters.serving import RelayRequest
from lm_deluge_plugins.relay.formats import Encoder, encoder_of
from lm_deluge_plugins.relay.policy import OnDisconnect
from lm_deluge_plugins.relay.relay import Relay

__all__ = ["app", "respond", "resume", "script", "seen", "stop"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Headers(Mapping[str, str]):
    """Headers of an ASGI scope, whatever the case of their letters."""

    def __init__(self, scope: Scope) -> None:
        self._values: dict[str, str] = {}
        for name, value in scope.get("headers", ()):
            self._values.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _ASGIPeer:
    def __init__(self, send: Send, receive: Receive) -> None:
        self._send = send
        # ASGI has no word for "close it though bytes wait", which a peer that never reads calls for;
        # uvicorn's ``receive`` is a method of what has the connection.
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        self._abort: Callable[[], object] | None = getattr(transport, "abort", None)
        self._gone = False
        self._watching = asyncio.ensure_future(self._watch(receive))

    async def _watch(self, receive: Receive) -> None:
        with contextlib.suppress(Exception):
            while (await receive())["type"] != "http.disconnect":
                pass
        self._gone = True

    async def write(self, data: bytes) -> None:
        if self._gone:
            raise ConnectionResetError("the reader is gone")
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except OSError as error:
            raise ConnectionResetError("the reader is gone") from error

    def is_gone(self) -> bool:
        return self._gone

    def abort(self) -> bool:
        self._gone = True
        if self._abort is None:
            return False
        self._abort()
        return True

    async def end(self) -> None:
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching


def respond(
    relay: Relay,
    stream: Stream,
    *,
    format: str | Encoder = "events",  # noqa: A002 - the word of the field
    key: str | None = None,
    on_disconnect: OnDisconnect | None = None,
) -> Any:
    """Return a response that publishes a stream and answers with it, for FastAPI and Starlette to return.

    Without Starlette it is an ASGI application. ``key``, ``on_disconnect``: see ``Relay.publish``.
    """
    encoder_of(format)  # a name that is none is told here

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        stream_id = await relay.publish(stream, key=key, on_disconnect=on_disconnect)
        await _serve(relay, scope, receive, send, stream_id, format, is_new=True)

    return _response(app)


def resume(
    relay: Relay,
    stream_id: str,
    *,
    format: str | Encoder = "events",  # noqa: A002 - the word of the field
) -> Any:
    """Return a response with a stream that was published before; 204 where there is nothing to read."""
    encoder_of(format)  # a name that is none is told here

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _serve(relay, scope, receive, send, stream_id, format, is_new=False)

    return _response(app)


def stop(relay: Relay, stream_id: str) -> Any:
    """Return a response that stops a stream: ``{"stopped": true}``, or ``false`` where it was not running."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked(scope)
        headers = cors_headers(asked.headers, relay.allowed_origins)
        try:
            stopped = await serving.stop(relay, asked, stream_id)
        except Refusal as refusal:
            await _say(send, refusal.status, {"error": refusal.message}, headers)
            return
        await _say(send, 200, {"stopped": stopped}, headers)

    return _response(app)


def seen(relay: Relay, stream_id: str) -> Any:
    """Return a response that takes what a browser saw, as ``lm_deluge.js`` sends it, or refuses it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked(scope)
        headers = cors_headers(asked.headers, relay.allowed_origins)
        try:
            clock = await serving.seen(relay, asked, stream_id, _reading(receive))
        except Refusal as refusal:
            await _say(send, refusal.status, {"error": refusal.message}, headers)
            return
        await _say(send, 200, {"clock": clock}, headers)

    return _response(app)


def script() -> Any:
    """Return a response with the module ``lm_deluge.js``, 304 where the browser has it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found = script_for(_Headers(scope))
        head = dict(found.headers)
        if found.body:
            head["Content-Length"] = str(len(found.body))
        await send({"type": "http.response.start", "status": found.status, "headers": _raw(head)})
        body = b"" if scope.get("method") == "HEAD" else found.body
        await send({"type": "http.response.body", "body": body})

    return _response(app)


def app(relay: Relay) -> Any:
    """Return an ASGI application with a relay's routes, for ``app.mount("/streams", asgi.app(relay))``.

    They are ``GET /{id}?format=``, which reads on, ``POST /{id}/stop``, ``POST /{id}/seen`` and
    ``GET /lm_deluge.js``; where pages of other origins are allowed, ``OPTIONS`` tells their browsers so.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _routed(relay, scope)(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    return app


def _routed(relay: Relay, scope: Scope) -> App:
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    method = scope["method"]
    names = path.strip("/").split("/")
    found: Any = None
    if names == ["lm_deluge.js"] and method in ("GET", "HEAD"):
        found = script()
    elif len(names) == 1 and names[0] and method == "GET":
        try:
            query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
            found = resume(relay, names[0], format=query.get("format", "events"))
        except ValueError as error:
            found = _refusal(400, str(error))
    elif len(names) == 2 and method == "POST":
        found = {"stop": stop, "seen": seen}.get(names[1], _nothing)(relay, names[0])
    elif len(names) in (1, 2) and method == "OPTIONS" and relay.allowed_origins:
        found = _preflight(relay)
    return _refusal(404, "there is nothing here") if found is None else found


def _preflight(relay: Relay) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            granted = preflight_headers(_Headers(scope), relay.allowed_origins)
        except Refusal as refusal:
            await _say(send, refusal.status, {"error": refusal.message})
        else:
            await _say(send, 204, None, granted)

    return app


def _nothing(relay: Relay, stream_id: str) -> None:
    return None


def _refusal(status: int, message: str) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _say(send, status, {"error": message})

    return app


def _reading(receive: Receive) -> Callable[[int], Awaitable[bytes]]:
    async def read(most: int) -> bytes:
        body = bytearray()
        while len(body) <= most:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("whoever asked is gone")
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        return bytes(body)

    return read


async def _serve(
    relay: Relay,
    scope: Scope,
    receive: Receive,
    send: Send,
    stream_id: str,
    wire: str | Encoder,
    *,
    is_new: bool,
) -> None:
    asked = _asked(scope)
    peer: _ASGIPeer | None = None

    async def begin(headers: Mapping[str, str]) -> _ASGIPeer:
        nonlocal peer
        await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
        peer = _ASGIPeer(send, receive)
        return peer

    try:
        await serving.serve(relay, asked, stream_id, wire, begin, is_new=is_new)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except Refusal as refusal:
        said = {"error": refusal.message} if refusal.message else None
        await _say(send, refusal.status, said, cors_headers(asked.headers, relay.allowed_origins))
    finally:
        if peer is not None:
            await peer.end()


def _asked(scope: Scope) -> RelayRequest:
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
    request: Any = scope
    with contextlib.suppress(ImportError):
        from starlette.requests import Request

        request = Request(scope)
    return RelayRequest(request, _Headers(scope), query)


async def _say(
    send: Send, status: int, value: object | None, headers: Mapping[str, str] | None = None
) -> None:
    body = b"" if value is None else json.dumps(value).encode()
    head = dict(headers or {})
    if body:
        head |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": _raw(head)})
    await send({"type": "http.response.body", "body": body})


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
    ]


def _response(app: App) -> Any:
    """Return what FastAPI takes for a response, where Starlette is there."""
    try:
        from starlette.responses import Response
    except ImportError:
        return app

    class RelayResponse(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

    return RelayResponse()
