"""A relay behind ``aiohttp.web``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from lm_deluge import Stream
from lm_deluge_plugins.relay.adapters import serving
from lm_deluge_plugins.relay.adapters.asking import (
    Refusal,
    cors_headers,
    preflight_headers,
)
from lm_deluge_plugins.relay.adapters.script import script_for
from lm_deluge_plugins.relay.adapters.serving import RelayRequest
from lm_deluge_plugins.relay.formats import Encoder
from lm_deluge_plugins.relay.policy import OnDisconnect
from lm_deluge_plugins.relay.relay import Relay

__all__ = ["add_routes", "respond", "resume", "script", "seen", "stop"]


class _WebPeer:
    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._transport = request.transport
        self._response = response

    async def write(self, data: bytes) -> None:
        await self._response.write(data)

    def is_gone(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def abort(self) -> bool:
        if self._transport is None:
            return False
        self._transport.abort()
        return True


async def respond(
    relay: Relay,
    request: web.Request,
    stream: Stream,
    *,
    format: str | Encoder = "events",  # noqa: A002 - the word of the field
    key: str | None = None,
    on_disconnect: OnDisconnect | None = None,
) -> web.StreamResponse:
    """Publish a stream and answer a request with it. ``key``, ``on_disconnect``: see ``Relay.publish``."""
    stream_id = await relay.publish(stream, key=key, on_disconnect=on_disconnect)
    return await _served(relay, request, stream_id, format, is_new=True)


async def resume(
    relay: Relay,
    request: web.Request,
    stream_id: str,
    *,
    format: str | Encoder = "events",  # noqa: A002 - the word of the field
) -> web.StreamResponse:
    """Answer with a stream that was published before, by its id or key; 204 where nothing is to be read."""
    return await _served(relay, request, stream_id, format, is_new=False)


async def stop(relay: Relay, request: web.Request, stream_id: str) -> web.Response:
    """Stop a stream; 200 with ``{"stopped": true}``, or ``false`` where it was not running."""
    headers = cors_headers(request.headers, relay.allowed_origins)
    try:
        stopped = await serving.stop(relay, _asked(request), stream_id)
    except Refusal as refusal:
        return _refused(refusal, headers)
    return web.json_response({"stopped": stopped}, headers=headers)


async def seen(relay: Relay, request: web.Request, stream_id: str) -> web.Response:
    """Take what a browser saw of a stream, as ``lm_deluge.js`` sends it; 200, or why it is refused."""
    headers = cors_headers(request.headers, relay.allowed_origins)
    try:
        clock = await serving.seen(relay, _asked(request), stream_id, _reading(request))
    except Refusal as refusal:
        response = _refused(refusal, headers)
        if not request.content.is_eof() or request.content.exception() is not None:
            response.force_close()
        return response
    return web.json_response({"clock": clock}, headers=headers)


async def script(request: web.Request) -> web.Response:
    """Answer with the module ``lm_deluge.js``, 304 where the browser has it."""
    found = script_for(request.headers)
    return web.Response(status=found.status, headers=found.headers, body=found.body or None)


def add_routes(app: web.Application, relay: Relay, prefix: str = "/streams") -> None:
    """Add a relay's routes: a stream is read at ``GET {prefix}/{id}?format=``, stopped at ``POST …/stop``.

    ``GET {prefix}/lm_deluge.js`` is the module for pages, which tells ``POST {prefix}/{id}/seen`` what was
    seen. Where pages of other origins are allowed, ``OPTIONS`` tells their browsers so. The relay is closed
    with the app.
    """

    async def read(request: web.Request) -> web.StreamResponse:
        wire = request.query.get("format", "events")
        try:
            return await resume(relay, request, request.match_info["id"], format=wire)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)

    async def end(request: web.Request) -> web.Response:
        return await stop(relay, request, request.match_info["id"])

    async def hear(request: web.Request) -> web.Response:
        return await seen(relay, request, request.match_info["id"])

    async def allow(request: web.Request) -> web.Response:
        try:
            granted = preflight_headers(request.headers, relay.allowed_origins)
        except Refusal as refusal:
            return _refused(refusal, {})
        return web.Response(status=204, headers=granted)

    async def close(app: web.Application) -> None:
        await relay.close()

    app.router.add_get(f"{prefix}/lm_deluge.js", script)
    # A head alone would be held back until the stream has ended.
    app.router.add_get(f"{prefix}/{{id}}", read, allow_head=False)
    app.router.add_post(f"{prefix}/{{id}}/stop", end)
    app.router.add_post(f"{prefix}/{{id}}/seen", hear)
    if relay.allowed_origins:
        for rest in ("", "/stop", "/seen"):
            app.router.add_options(f"{prefix}/{{id}}{rest}", allow)
    app.on_shutdown.append(close)


def _refused(refusal: Refusal, headers: Mapping[str, str]) -> web.Response:
    if not refusal.message:
        return web.Response(status=refusal.status, headers=headers)
    return web.json_response({"error": refusal.message}, status=refusal.status, headers=headers)


def _asked(request: web.Request) -> RelayRequest:
    return RelayRequest(request, request.headers, request.query)


def _reading(request: web.Request) -> Callable[[int], Awaitable[bytes]]:
    async def read(most: int) -> bytes:
        body = bytearray()
        try:
            while len(body) <= most and (data := await request.content.readany()):
                body += data
        except Exception:
            if request.content.exception() is not None:
                # aiohttp would look for the rest of it, and log at length that there is none.
                request.content.feed_eof()
            raise
        return bytes(body)

    return read


async def _served(
    relay: Relay, request: web.Request, stream_id: str, wire: str | Encoder, *, is_new: bool
) -> web.StreamResponse:
    response: Any = None

    async def begin(headers: Mapping[str, str]) -> _WebPeer:
        nonlocal response
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        return _WebPeer(request, response)

    try:
        await serving.serve(relay, _asked(request), stream_id, wire, begin, is_new=is_new)
    except Refusal as refusal:
        return _refused(refusal, cors_headers(request.headers, relay.allowed_origins))
    return response  # type: ignore[no-any-return]
