"""HTTP: one session per event loop, one exchange per attempt."""

from __future__ import annotations

import functools
import ssl
from time import monotonic
from types import SimpleNamespace
from typing import Final

import aiohttp

from lm_deluge.errors import APIConnectionError, StreamError
from lm_deluge.http.connection import Sending
from lm_deluge.http.exchange import HttpExchange
from lm_deluge.http.proxies import ForwardProxy
from lm_deluge.http.request import Request
from lm_deluge.http.resource_warnings import UnwarnedSession
from lm_deluge.http.sessions import Sessions
from lm_deluge.http.socks import new_connector
from lm_deluge.http.translation import cause_of, is_disconnect, translate_open

__all__ = ["Transport"]

#: What sending a request may raise, through connectors of our own.
_FAILURES: Final = (aiohttp.ClientError, OSError, UnicodeError)

#: Seconds an idle connection is kept for the next turn. A chat user's pause; servers close earlier
#: if they want to, and a stale connection is noticed before any output.
_KEEPALIVE: Final = 60.0


class Transport:
    """The connections of one client: a session for every event loop it is used in.

    Nothing needs closing: a session is closed when its loop ends or the transport is collected.
    ``close()`` does it at once, for the running loop and for what closed loops left. It may be used
    in any thread.

    ``connector``: an ``aiohttp`` connector of the caller's, who closes it; for one event loop only. What
    it raises, of whatever class, is an ``APIConnectionError``.
    ``ssl_context``: instead of the default one. ``socks``: the SOCKS proxy of all its connections.
    """

    def __init__(
        self,
        *,
        connector: aiohttp.BaseConnector | None = None,
        ssl_context: ssl.SSLContext | bool = True,
        socks: ForwardProxy | None = None,
    ) -> None:
        self._connector = connector
        self._ssl = ssl_context
        self._socks = socks
        #: A SOCKS proxy is the connector's, so each has a transport of its own.
        self._through: dict[ForwardProxy, Transport] = {}
        self._sessions: Final = Sessions()
        # Connections that have been idle for longer are not used; by ``time.monotonic``.
        self._idle_since = 0.0

    async def open(self, request: Request, *, connect_timeout: float | None) -> HttpExchange:
        """Send the request and return its exchange once the response's headers are there.

        Raises ``APIConnectionError``, ``APITimeoutError`` (phase ``"connect"``) or ``ProtocolError``.
        """
        proxy = request.proxy
        if proxy is not None and proxy.is_socks and self._socks is None:
            through = self._through.get(proxy)
            if through is None:
                through = Transport(ssl_context=self._ssl, socks=proxy)
                through = self._through.setdefault(proxy, through)
            return await through.open(request, connect_timeout=connect_timeout)
        entry = await self._sessions.get(self._new_session)
        session = entry.session
        failure: APIConnectionError | StreamError
        cause: BaseException | None = None
        while True:
            sending = Sending(request.body)
            sending.idle_since = self._idle_since
            if self._connector is None:
                sending.transports = entry.transports
            try:
                response = await session.request(
                    request.method,
                    request.url,
                    data=sending,
                    headers=request.headers,
                    params=request.query or None,
                    allow_redirects=False,  # a key must not follow to another host
                    timeout=_client_timeout(connect_timeout),
                    proxy=None if proxy is None or self._socks is not None else proxy.url,
                    ssl=True if request.tls is None else request.tls,
                    trace_request_ctx=sending,
                )
            except Exception as error:
                tap = sending.tap
                if tap is None and sending.reused:
                    continue  # it was closed, or not silent, while it was idle: nothing was sent
                known = isinstance(error, _FAILURES) or session.closed
                if not known and self._connector is None:
                    raise  # a connector of the caller's may raise anything
                failure = translate_open(error, request, connect_timeout, reused=sending.reused)
                cause = cause_of(error, request)
                if tap is not None and sending.reused and not tap.arrived and is_disconnect(error):
                    assert isinstance(failure, APIConnectionError)
                    failure.stale = True
                    # Those that were idle meanwhile are most likely as dead.
                    self._idle_since = monotonic()
                break
            tap = sending.tap
            if not sending.connected or (tap is not None and not (sending.early and response.ok)):
                return HttpExchange(response, request, tap, reused=sending.reused)
            response.close()
            if not sending.reused:
                failure = APIConnectionError(
                    f"{request.shown_url} sent an answer before it was asked", phase="connect"
                )
                break
        raise failure from cause

    async def close(self) -> None:
        """Close the connections of the running loop, and what closed loops left; the next request opens
        another.
        """
        await self._sessions.close()
        for transport in tuple(self._through.values()):
            await transport.close()

    def _new_session(self) -> aiohttp.ClientSession:
        connector = self._connector
        if connector is None:
            connector = new_connector(
                self._socks, limit=0, keepalive_timeout=_KEEPALIVE, ssl=self._ssl
            )
        return UnwarnedSession(
            connector=connector,
            connector_owner=self._connector is None,
            timeout=aiohttp.ClientTimeout(total=None),
            # aiohttp's own would read ~/.netrc in a thread for every request, and fail where that
            # holds an entry for the host, because the key is in the same header.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_TRACES],
        )


async def _note_connection(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: object
) -> None:
    context.trace_request_ctx.connected = True


async def _note_reuse(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: object
) -> None:
    context.trace_request_ctx.connected = context.trace_request_ctx.reused = True


_TRACES: Final = aiohttp.TraceConfig()
_TRACES.on_connection_create_end.append(_note_connection)
_TRACES.on_connection_reuseconn.append(_note_reuse)
_TRACES.freeze()


@functools.lru_cache(maxsize=64)
def _client_timeout(connect: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect)
