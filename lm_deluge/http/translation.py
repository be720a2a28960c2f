"""aiohttp's exceptions, translated to ours. This is the one border at which they end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp

from lm_deluge.errors import (
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    ProtocolError,
    StreamError,
)

if TYPE_CHECKING:
    from lm_deluge.http.request import Request

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


#: How aiohttp shows what TLS would be done with, also where there is none: a context is an address in memory.
_CONTEXT: Final = re.compile(r" ssl:(?:<[^>]*>|default|True|False)")


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


#: How aiohttp names a content encoding that it cannot read, and the package that could.
_ENCODING: Final = re.compile(
    r"content-encoding: *([^.\s]+(?: \([^)]*\))?)(?:.*install (\S+))?", re.S
)

#: The beginning of an alert of TLS, as aiohttp shows bytes that are not HTTP.
_ALERT: Final = r"b'\x15\x03"

_IS_HTTP: Final = "; the server speaks HTTP without TLS: its base_url begins with http://"
_MAYBE_HTTP: Final = "; if the server speaks HTTP without TLS, its base_url begins with http://"
_IS_TLS: Final = "; the server speaks TLS: its base_url begins with https://"
_MAYBE_TLS: Final = "; if the server speaks TLS, its base_url begins with https://"


def _protocol_hint(error: BaseException, request: Request) -> str:
    """Say that a server speaks TLS though the URL does not, or the other way round, if it looks so."""
    if request.proxy is not None:
        return ""
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    url = urlsplit(request.url)
    if url.scheme == "https":
        if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
            return _IS_HTTP
        # A server that takes the beginning of TLS for that of a request waits for the rest.
        is_silent = isinstance(error, TimeoutError) or _is_bare(error)
        return _MAYBE_HTTP if is_silent and url.port not in (None, 443) else ""
    if _ALERT in text:
        return _IS_TLS
    return _MAYBE_TLS if is_disconnect(error) and url.port not in (None, 80) else ""


def _is_bare(error: BaseException) -> bool:
    """Whether it is that of a connection which was closed while TLS was to begin."""
    return isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno is None


def translate_open(
    error: BaseException, request: Request, connect_timeout: float | None, *, reused: bool = False
) -> StreamError:
    """Return ours for what kept a request from being answered.

    ``connect_timeout``: in seconds. ``reused``: the connection has served another request.
    """
    hint = "" if reused else _protocol_hint(error, request)
    where = request.shown_url
    proxy = request.proxy.shown if request.proxy is not None else ""
    if isinstance(error, (aiohttp.ConnectionTimeoutError, TimeoutError)):
        limit = connect_timeout if connect_timeout is not None else 0.0
        return APITimeoutError(
            f"no connection to {where} within {limit:g} s (Timeouts.connect){hint}",
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
        message = _one_line(request.redact(error.message))
        answered = _undecodable(message) or f"something that is not HTTP: {message}"
        return ProtocolError(f"{where} answered with {answered}{hint}", phase="connect")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return APIConnectionError(
            f"{where} closed the connection without an answer{hint}", phase="connect"
        )
    detail = _detail(error, request)
    if _is_bare(error):
        detail = detail.replace("[None]", "[it was closed while TLS was to begin]")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return APIConnectionError(
            f"no connection to the proxy {proxy} (for {where}): {detail}",
            phase="connect",
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return APIConnectionError(f"no connection to {where}: {detail}{hint}", phase="connect")
    return APIConnectionError(f"the request to {where} failed: {detail}{hint}", phase="connect")


def translate_read(error: BaseException, request: Request) -> ConnectionLostError:
    """Return ours for what broke a body."""
    detail = _detail(error, request)
    undecodable = _undecodable(detail)
    return ConnectionLostError(f"{BROKE}: {f'it came in {undecodable}' if undecodable else detail}")


def _undecodable(message: str) -> str | None:
    """Name the content encoding that aiohttp cannot read, ``None`` if it is something else."""
    found = _ENCODING.search(message)
    if found is None:
        return None
    package = f" without {found[2]}" if found[2] else ""
    return (
        f"the content encoding {found[1]}, which cannot be read here{package}; the request asks for "
        "none (Accept-Encoding: identity)"
    )
