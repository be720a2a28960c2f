"""Connectors: aiohttp's own, and those through a SOCKS proxy, by aiohttp-socks (the extra ``socks``)."""

from __future__ import annotations

import errno
import functools
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp

from lm_deluge.http.proxies import ForwardProxy
from lm_deluge.http.resource_warnings import Unwarned, UnwarnedConnector

__all__ = ["new_connector", "require"]


def require(proxy: ForwardProxy) -> None:
    """Raise ``ImportError`` that says what to install, if that is missing."""
    try:
        _connector_class()
    except ImportError as error:
        message = (
            f"{proxy.variable} names the SOCKS proxy {proxy.shown}, for which the package "
            "aiohttp-socks is needed: pip install aiohttp-socks (the extra socks)"
        )
        raise ImportError(message) from error


def new_connector(proxy: ForwardProxy | None, **kwargs: Any) -> aiohttp.TCPConnector:
    """Return a connector of the running event loop, all of whose connections go through a SOCKS proxy
    if one is given. ``kwargs``: those of ``TCPConnector``.
    """
    if proxy is None:
        return UnwarnedConnector(**kwargs)
    from aiohttp_socks import ProxyType

    parts = urlsplit(proxy.url)
    connector: aiohttp.TCPConnector = _connector_class()(
        shown=proxy.shown,
        host=parts.hostname,
        port=parts.port,
        proxy_type=ProxyType.SOCKS4 if proxy.kind == "socks4" else ProxyType.SOCKS5,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        rdns=proxy.resolves,
        **kwargs,
    )
    return connector


@functools.cache
def _connector_class() -> Any:
    """Return the connector, defined once its base can be imported."""
    from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError

    class Connector(Unwarned, ProxyConnector):
        """Tells what went wrong at the proxy as aiohttp tells of its own proxies."""

        def __init__(self, *, shown: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self._shown = shown

        async def _wrap_create_connection(
            self, *args: Any, req: aiohttp.ClientRequest, **kwargs: Any
        ) -> Any:
            try:
                return await super()._wrap_create_connection(*args, req=req, **kwargs)
            except ProxyConnectionError as error:
                words = f"no connection to the proxy {self._shown}: {error}"
            except ProxyTimeoutError:
                words = f"the proxy {self._shown} did not answer in time"
            except ProxyError as error:
                words = f"the proxy {self._shown} refused: {error}"
            except UnicodeError as error:
                words = f"the proxy {self._shown} cannot be asked for this host: {error}"
            failure = OSError(errno.ECONNREFUSED, words)
            raise aiohttp.ClientConnectorError(req.connection_key, failure)

    return Connector
