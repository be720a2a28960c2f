"""aiohttp's exceptions, translated to ours. This is the one border at which they end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import aiohttp

from lm_deluge.errors import (
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    ProtocolError,
    StreamError,
)

if TYPE_CHECKING:
    from lm_deluge.transport import Request

__all__ = ["BROKE", "cause_of", "is_disconnect", "translate_open", "translate_read"]

BROKE: Final = "the connection broke before the answer was whole"


def cause_of(error: BaseException, request: Request) -> BaseException | None:
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


#: How aiohttp shows a context for TLS that is not its own: an address in memory.
_CONTEXT: Final = re.compile(r" ssl:<[^>]*>")


def _detail(error: BaseException, request: Request) -> str:
    text = _CONTEXT.sub("", request.redact(str(error)))
    return _one_line(text or type(error).__name__)


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def is_disconnect(error: BaseException) -> bool:
    """Whether a connection that was there has gone."""
    return isinstance(
        error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)
    ) and not isinstance(error, aiohttp.ClientConnectorError)


def translate_open(
    error: BaseException, request: Request, connect_timeout: float | None
) -> StreamError:
    """Return ours for what kept a request from being answered. ``connect_timeout``: in seconds."""
    where = request.shown_url
    proxy = request.proxy.shown if request.proxy is not None else ""
    if isinstance(error, (aiohttp.ConnectionTimeoutError, TimeoutError)):
        limit = connect_timeout if connect_timeout is not None else 0.0
        return APITimeoutError(
            f"no connection to {where} within {limit:g} s (Timeouts.connect)",
            phase="connect",
            limit=limit,
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        refused = APIConnectionError(
            f"the proxy {proxy} refused the connection to {where}: "
            f"{error.status} {_one_line(request.redact(error.message))}".rstrip(),
            phase="connect",
        )
        refused.status_code = error.status
        return refused
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
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return APIConnectionError(
            f"no connection to the proxy {proxy} (for {where}): {detail}",
            phase="connect",
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return APIConnectionError(f"no connection to {where}: {detail}", phase="connect")
    return APIConnectionError(f"the request to {where} failed: {detail}", phase="connect")


def translate_read(error: BaseException, request: Request) -> ConnectionLostError:
    """Return ours for what broke a body."""
    return ConnectionLostError(f"{BROKE}: {_detail(error, request)}")
