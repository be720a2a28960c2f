"""HTTP: one session per event loop, one exchange per attempt, aiohttp's errors translated to ours.

This is the one border at which aiohttp's exceptions end. They are chained as the cause.
"""

from __future__ import annotations

import asyncio
import functools
import io
import os
import ssl
import urllib.request
import weakref
from collections.abc import AsyncGenerator, Mapping
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from attrs import define, field, frozen

from lm_deluge.errors import (
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    ProtocolError,
    StreamError,
)

__all__ = ["Exchange", "Request", "Transport"]

#: Seconds an idle connection is kept for the next turn. A chat user's pause; servers close earlier
#: if they want to, and a stale connection is noticed before any output.
_KEEPALIVE: Final = 60.0

#: Bytes of a body from which aiohttp asks for a file instead.
_LARGE_BODY: Final = 1 << 20


@frozen(kw_only=True)
class Request:
    """One POST, ready to be sent. ``secrets`` are what must not appear in any message."""

    url: str
    shown_url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: Mapping[str, str] = field(factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def redact(self, text: str) -> str:
        """Return ``text`` with every secret replaced."""
        for secret in self.secrets:
            text = text.replace(secret, "[redacted]")
        return text


@define(eq=False)
class _Session:
    """A session of one event loop, and the generator that closes it when the loop ends."""

    session: aiohttp.ClientSession
    owner: AsyncGenerator[None, None]


class Transport:
    """The connections of one client: a session for every event loop it is used in.

    Nothing needs closing: ``asyncio.run`` and its like close the async generators of their loop when
    they end, and one of those owns the session; a transport that is collected takes its sessions
    with it the same way. ``close()`` does it at once, for the running loop.

    ``connector``: an ``aiohttp`` connector of the caller's, who closes it; for one event loop only.
    ``ssl_context``: instead of the default one. ``trust_env``: use the proxies of the environment.
    """

    def __init__(
        self,
        *,
        connector: aiohttp.BaseConnector | None = None,
        ssl_context: ssl.SSLContext | bool = True,
        trust_env: bool = True,
    ) -> None:
        self._connector = connector
        self._ssl = ssl_context
        self._trust_env = trust_env
        self._sessions: dict[asyncio.AbstractEventLoop, _Session] = {}

    async def open(self, request: Request, *, connect_timeout: float | None) -> Exchange:
        """Send the request and return its exchange once the response's headers are there.

        Raises ``APIConnectionError``, ``APITimeoutError`` (phase ``"connect"``) or ``ProtocolError``.
        """
        session = await self._session()
        proxy = _proxy_for(request.url) if self._trust_env else None
        failure: StreamError
        cause: BaseException | None
        while True:
            connection = _Connection()
            try:
                response = await session.post(
                    request.url,
                    data=_sendable(request.body),
                    headers=request.headers,
                    params=request.query or None,
                    allow_redirects=False,  # a key must not follow to another host
                    timeout=_client_timeout(connect_timeout),
                    proxy=proxy,
                    trace_request_ctx=connection,
                )
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                if connection.reused and _is_disconnect(error):
                    continue  # the server had closed it while it was idle: no failed attempt
                if isinstance(error, RuntimeError) and not session.closed:
                    raise
                failure = _translate_open(error, request, connect_timeout)
                cause = _cause(error, request)
                break
            return Exchange(response, request)
        raise failure from cause

    async def close(self) -> None:
        """Close the running loop's session and its connections; the next request opens another."""
        entry = self._sessions.pop(asyncio.get_running_loop(), None)
        if entry is not None:
            await entry.owner.aclose()

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if loop not in self._sessions:
            # A loop that was closed without ``shutdown_asyncgens``: nobody else tidies up after it.
            for other in [other for other in self._sessions if other.is_closed()]:
                await self._sessions.pop(other).session.close()
        entry = self._sessions.get(loop)
        if entry is None or entry.session.closed:
            session = self._new_session()
            owner = _own(session, weakref.ref(self), loop)
            entry = self._sessions[loop] = _Session(session, owner)
            # The loop learns of a generator at its first step; it ends at once.
            await owner.asend(None)
        return entry.session

    def _new_session(self) -> aiohttp.ClientSession:
        connector = self._connector
        if connector is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE, ssl=self._ssl)
        return aiohttp.ClientSession(
            connector=connector,
            connector_owner=self._connector is None,
            timeout=aiohttp.ClientTimeout(total=None),
            # aiohttp's own would read ~/.netrc in a thread for every request, and fail where that
            # holds an entry for the host, because the key is in the same header.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_TRACES],
        )

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drop what is kept for an event loop that ends."""
        self._sessions.pop(loop, None)


@define
class _Connection:
    """What became known of a request's connection. ``reused``: it came from the pool."""

    reused: bool = False


async def _note_reuse(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: object
) -> None:
    context.trace_request_ctx.reused = True


_TRACES: Final = aiohttp.TraceConfig()
_TRACES.on_connection_reuseconn.append(_note_reuse)
_TRACES.freeze()


async def _own(
    session: aiohttp.ClientSession,
    transport: weakref.ref[Transport],
    loop: asyncio.AbstractEventLoop,
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if (alive := transport()) is not None:
            alive.forget(loop)
        await session.close()


class Exchange:
    """One request and its response.

    ``status``, ``headers``: of the response. ``content_type``: lower case, ``""`` if it names none.
    """

    def __init__(self, response: aiohttp.ClientResponse, request: Request) -> None:
        self.status = response.status
        self.headers = response.headers
        self.content_type = (
            response.content_type.lower() if "Content-Type" in response.headers else ""
        )
        self.request = request
        self._response = response
        self._reader = response.content
        connection = response.connection
        protocol = connection.protocol if connection is not None else None
        self._closed = protocol.closed if protocol is not None else None
        if self._closed is not None:
            # One of these stays on the connection, or asyncio complains about a reset while it is
            # idle in the pool.
            self._closed.remove_done_callback(_retrieve)
            self._closed.add_done_callback(_retrieve)
            self._closed.add_done_callback(self._wake_reader)

    async def read(self) -> bytes:
        """Return the next bytes as they arrived, ``b""`` at the end of the body.

        Raises ``ConnectionLostError`` when the connection breaks; what had arrived before it is
        returned first.
        """
        failure: StreamError
        try:
            return await self._reader.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not self.is_gone:
                raise
            # aiohttp raises before it gives back what it had buffered.
            if data := self.salvage():
                return data
            failure = _translate_read(error, self.request)
            cause = _cause(error, self.request)
        raise failure from cause

    def salvage(self) -> bytes:
        """Return what has arrived and was not read yet, without waiting; never raises."""
        broken = self._reader.exception()
        if broken is not None:
            self._reader.set_exception(None)  # type: ignore[arg-type]  # the way past its own check
        try:
            return self._reader.read_nowait()
        except (aiohttp.ClientError, OSError, RuntimeError):
            return b""
        finally:
            if broken is not None:
                self._reader.set_exception(broken)

    @property
    def is_gone(self) -> bool:
        """Whether the connection is closed, whatever a hanging read has to say."""
        connection = self._response.connection
        if connection is None or connection.transport is None:
            return not self._reader.is_eof()
        return connection.transport.is_closing()

    async def drain(self, limit: float) -> None:
        """Read what is left for at most ``limit`` seconds, so that the connection can be reused."""
        if self._reader.is_eof():
            return
        try:
            async with asyncio.timeout(limit):
                while await self._reader.readany():
                    pass
        except (aiohttp.ClientError, OSError, RuntimeError, TimeoutError):
            pass

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if self._closed is not None:
            self._closed.remove_done_callback(self._wake_reader)
        self._response.close()

    def _wake_reader(self, closed: asyncio.Future[None]) -> None:
        """After a malformed chunk size aiohttp closes the connection and lets the read hang."""
        if not self._reader.is_eof() and self._reader.exception() is None:
            self._reader.set_exception(aiohttp.ClientPayloadError("the body is malformed"))


def _retrieve(closed: asyncio.Future[None]) -> None:
    if not closed.cancelled():
        closed.exception()


def _is_disconnect(error: BaseException) -> bool:
    return isinstance(error, (aiohttp.ServerDisconnectedError, ConnectionError)) and not isinstance(
        error, aiohttp.ClientConnectorError
    )


def _sendable(body: bytes) -> bytes | io.BytesIO:
    """Return a large body as what aiohttp sends in pieces, so that the event loop goes on meanwhile.

    Nor does it then leave a future behind, for asyncio to complain about, when the answer comes first.
    """
    return io.BytesIO(body) if len(body) > _LARGE_BODY else body


@functools.lru_cache(maxsize=64)
def _client_timeout(connect: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect)


def _proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL (``HTTPS_PROXY``, ``NO_PROXY``, ...)."""
    return _look_up_proxy(url, tuple(map(os.environ.get, _PROXY_VARIABLES)))


_PROXY_VARIABLES: Final = tuple(
    spelled
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD")
    for spelled in (name, name.upper())
)


@functools.lru_cache(maxsize=256)
def _look_up_proxy(url: str, settings: tuple[str | None, ...]) -> str | None:
    """Ask urllib, which reads the whole environment twice: a quarter of what sending a request costs.

    ``settings`` is what the answer depends on, so that a change is noticed.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is None or not proxy.startswith(("http://", "https://")):
        return None
    return None if urllib.request.proxy_bypass(parts.hostname or "") else proxy


def _cause(error: BaseException, request: Request) -> BaseException | None:
    """Return what may be chained to our error: nothing that shows a secret."""
    # Its repr shows the request's headers, and so the key.
    cause = error.__cause__ if isinstance(error, aiohttp.ClientResponseError) else error
    link = cause
    while link is not None:
        shown = f"{link!r} {link}"
        if request.redact(shown) != shown:
            return None
        link = link.__cause__ or link.__context__
    return cause


def _detail(error: BaseException, request: Request) -> str:
    text = request.redact(str(error)) or type(error).__name__
    return text.replace("\r", " ").replace("\n", " ")


def _translate_open(
    error: BaseException, request: Request, connect_timeout: float | None
) -> StreamError:
    where = request.shown_url
    if isinstance(error, (aiohttp.ConnectionTimeoutError, TimeoutError)):
        limit = connect_timeout if connect_timeout is not None else 0.0
        return APITimeoutError(
            f"no connection to {where} within {limit:g} s (Timeouts.connect)",
            phase="connect",
            limit=limit,
        )
    if isinstance(error, aiohttp.ClientResponseError):
        return ProtocolError(
            f"{where} answered with something that is not HTTP: {request.redact(error.message)}",
            phase="connect",
        )
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return APIConnectionError(
            f"{where} closed the connection without an answer", phase="connect"
        )
    detail = _detail(error, request)
    if isinstance(error, aiohttp.ClientConnectorError):
        return APIConnectionError(f"no connection to {where}: {detail}", phase="connect")
    return APIConnectionError(f"the request to {where} failed: {detail}", phase="connect")


def _translate_read(error: BaseException, request: Request) -> StreamError:
    detail = _detail(error, request)
    if isinstance(error, aiohttp.ClientPayloadError):
        return ConnectionLostError(f"the connection broke before the answer was whole: {detail}")
    return ConnectionLostError(
        f"the connection to {request.shown_url} broke before the answer was whole: {detail}"
    )
