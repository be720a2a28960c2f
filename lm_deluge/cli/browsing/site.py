"""What the server of the page answers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from lm_deluge import __version__
from lm_deluge.cli.browsing.admission import COOKIE, PageGuard, PageRefusal
from lm_deluge.cli.browsing.asked import MOST_BYTES, read_asked
from lm_deluge.cli.browsing.choices import Partner
from lm_deluge.errors import StreamError
from lm_deluge_plugins.relay import Relay, aiohttp_web, plain_words

__all__ = ["STREAMS", "error_words", "listening", "make_app"]

#: Where streams are read, stopped and told of.
STREAMS: Final = "/streams"

_PAGE: Final = Path(__file__).parent / "page"

_KINDS: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

#: Nothing of any other host, no script and no style but the files of the page; text cannot become markup.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def error_words(error: StreamError) -> str:
    """Return a plain sentence, then a line with what the error says: who reads it started the server."""
    return f"{plain_words(error)}\n{' '.join(str(error).split())}"


def make_app(
    relay: Relay, choices: Sequence[Partner], guard: PageGuard, *, system: str | None, has_log: bool
) -> web.Application:
    """Return the application: the page, what it is told, what it asks, and its streams."""
    app = web.Application(middlewares=[_guarding(guard), _with_headers], client_max_size=MOST_BYTES)
    by_name = {choice.name: choice for choice in choices}
    about = {
        "version": __version__,
        "choices": [choice.shown() for choice in choices],
        "system": system,
        "log": has_log,
    }

    async def tell(request: web.Request) -> web.Response:
        return web.json_response(about, headers={"Cache-Control": "no-store"})

    async def ask(request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return _refusal(415, "a question is application/json")
        try:
            asked = read_asked(await request.read(), system)
        except ValueError as error:
            return _refusal(400, str(error))
        choice = by_name.get(asked.model)
        if choice is None:
            return _refusal(404, f"this page does not talk to {asked.model[:80]!r}")
        try:
            stream = choice.client.open_stream(asked.conversation)
            stream_id = await relay.publish(stream)
        except (ValueError, TypeError, StreamError) as error:
            return _refusal(400, " ".join(str(error).split()))
        return web.json_response({"id": stream_id})

    app.router.add_get("/about", tell)
    app.router.add_post("/ask", ask)
    for path in sorted(_PAGE.rglob("*")):
        if path.suffix in _KINDS:
            name = path.relative_to(_PAGE).as_posix()
            route = "/" if name == "index.html" else f"/page/{name}"
            app.router.add_get(route, _file(path.read_text("utf-8"), _KINDS[path.suffix]))
    aiohttp_web.add_routes(app, relay, STREAMS)
    return app


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve the application; yield its address.

    Raises ``ValueError`` for a host that is no address, ``OSError`` where host and port cannot be had.
    """
    if not host.strip("[] "):
        raise ValueError("--host: an address is expected, not an empty one")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host.strip("[]"), port).start()
        except (socket.gaierror, UnicodeError) as error:
            raise ValueError(f"--host: {host!r} is no address of this machine ({error})") from None
        name, number, *_ = runner.addresses[0]
        shown = "127.0.0.1" if name in ("0.0.0.0", "::") else name  # noqa: S104 - it is compared
        yield f"http://{f'[{shown}]' if ':' in shown else shown}:{number}/"
    finally:
        await runner.cleanup()


def _file(text: str, kind: str) -> _Handler:
    async def serve(request: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-cache"}
        return web.Response(text=text, content_type=kind, charset="utf-8", headers=headers)

    return serve


def _refusal(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)


def _guarding(guard: PageGuard) -> Any:
    @web.middleware
    async def guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
        changes = request.method not in ("GET", "HEAD")
        try:
            guard.check(request.headers, _reached(request), changes=changes)
        except PageRefusal as refused:
            return _refusal(refused.status, refused.why)
        if guard.token is None or guard.knows(request.cookies.get(COOKIE)):
            return await handler(request)
        if request.path == "/" and guard.knows(request.query.get("token")):
            # The token leaves the address bar, and with it the history.
            entered = web.Response(status=303, headers={"Location": "/"})
            entered.set_cookie(COOKIE, guard.token, httponly=True, samesite="Strict")
            return entered
        return _refusal(403, "the link that lm-deluge web printed lets you in")

    return guarded


def _reached(request: web.Request) -> str:
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return str(name[0]) if name else ""


@web.middleware
async def _with_headers(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response
