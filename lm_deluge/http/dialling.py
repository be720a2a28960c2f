"""Connections for those who speak HTTP over them themselves: opened by aiohttp, then handed over.

TLS, the authorities that the environment trusts and the proxies that it names are those of our own requests.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp
from attrs import frozen
from yarl import URL

from lm_deluge.errors import APIConnectionError
from lm_deluge.http.certificates import tls_of_environment
from lm_deluge.http.proxies import ForwardProxy, proxy_for
from lm_deluge.http.request import Request
from lm_deluge.http.socks import new_connector, require
from lm_deluge.http.translation import cause_of, translate_open

__all__ = ["Dialer", "Dialled"]

#: What opening a connection may raise, through connectors of our own.
_FAILURES: Final = (aiohttp.ClientError, OSError, UnicodeError)


@frozen(eq=False)
class Dialled:
    """A connection. ``before_path``: what stands before the path of each request's target where a proxy
    that speaks HTTP passes them on, else empty. ``authorization``: the value of ``Proxy-Authorization``
    for it, empty for none."""

    transport: asyncio.Transport
    before_path: bytes = b""
    authorization: bytes = b""


def _tls(url: str, proxy: ForwardProxy | None) -> ssl.SSLContext | bool:
    """Return whom to trust; reading that for the first time takes a tenth of a second."""
    speaks_tls = url.startswith("https:") or (proxy is not None and proxy.speaks_tls)
    return (tls_of_environment() if speaks_tls else None) or True


class Dialer:
    """Opens connections in one event loop, and keeps none of them."""

    def __init__(self) -> None:
        self._connectors: Final[dict[ForwardProxy | None, aiohttp.TCPConnector]] = {}

    def prepare(self, url: str) -> None:
        """Read now what the environment says of the way to a URL. Raises as ``dial`` does for it."""
        _tls(url, proxy_for(url))

    async def dial(self, url: str, protocol: asyncio.BaseProtocol) -> Dialled:
        """Open a connection to the host of a URL; what comes in on it is the protocol's.

        Raises:
            APIConnectionError: there is none to be had; the message says why, without credentials.
            ValueError, ImportError: the environment names a proxy or authorities that are none.
        """
        proxy = proxy_for(url)
        through = proxy if proxy is not None and proxy.is_socks else None
        if through is not None:
            require(through)
        connector = self._connectors.get(through)
        if connector is None:
            connector = self._connectors[through] = new_connector(through, limit=0)
        # Whoever waits for its end may stop waiting; how long that is, is the system's.
        by_http = proxy if through is None else None
        asked = aiohttp.ClientRequest(
            "GET",
            URL(url),
            loop=asyncio.get_running_loop(),
            ssl=_tls(url, proxy),
            proxy=URL(by_http.url) if by_http is not None else None,
        )
        try:
            inner = await connector._create_connection(  # noqa: SLF001 - it would keep what it gives away
                asked, [], aiohttp.ClientTimeout()
            )
        except _FAILURES as error:
            request = Request(url=url, shown_url=url, headers={}, body=b"", proxy=proxy)
            failure = translate_open(error, request, None)
            if not isinstance(failure, APIConnectionError):
                failure = APIConnectionError(str(failure), phase="connect")
            raise failure from cause_of(error, request)
        transport = inner.transport
        if transport is None:
            raise APIConnectionError(f"{url} closed the connection at once", phase="connect")
        transport.set_protocol(protocol)
        if by_http is None or url.startswith("https:"):
            return Dialled(transport)
        parts = urlsplit(by_http.url)
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        return Dialled(
            transport,
            before_path=url.encode("idna" if not url.isascii() else "ascii"),
            authorization=b"" if parts.username is None else b"Basic " + b64encode(pair.encode()),
        )

    async def close(self) -> None:
        """Let go of what opens connections; those that are open stay."""
        while self._connectors:
            await self._connectors.popitem()[1].close()
