"""The proxy that the environment names for a URL."""

from __future__ import annotations

import functools
import os
import urllib.request
from typing import Final
from urllib.parse import urlsplit

__all__ = ["proxy_for"]

_VARIABLES: Final = tuple(
    spelled
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD")
    for spelled in (name, name.upper())
)


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL (``HTTPS_PROXY``, ``NO_PROXY``, ...)."""
    return _look_up(url, tuple(map(os.environ.get, _VARIABLES)))


@functools.lru_cache(maxsize=256)
def _look_up(url: str, settings: tuple[str | None, ...]) -> str | None:
    """Ask urllib, which reads the whole environment twice: a quarter of what sending a request costs.

    ``settings`` is what the answer depends on, so that a change is noticed.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is None or not proxy.startswith(("http://", "https://")):
        return None
    return None if urllib.request.proxy_bypass(parts.hostname or "") else proxy
