"""Who may ask the page's server: this machine's browser, and no other page that it shows.

A page of the web can have its own name looked up as 127.0.0.1 (DNS rebinding) and then ask here: its
name stands in ``Host``, and that of a page that asks across in ``Origin``.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen

from lm_deluge.servers.hosts import bare_host, host_in, is_ours
from lm_deluge.values.addresses import address_of

__all__ = ["COOKIE", "PageGuard", "PageRefusal", "is_local"]

#: What holds the token of a browser that was let in.
COOKIE: Final = "lm_deluge_web"


@frozen
class PageRefusal(Exception):  # noqa: N818 - it is an answer
    """A request that has no business here: ``status`` of HTTP, and why."""

    status: int
    why: str


def is_local(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    address = address_of(host.strip("[]"))
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def _names(given: Iterable[str]) -> frozenset[str]:
    names = set()
    for name in given:
        bare = bare_host(name)
        if bare is None:
            raise ValueError(f"--allow-host: the name of a host is expected, not {name!r}")
        names.add(bare)
    return frozenset(names)


@frozen
class PageGuard:
    """``allowed``: names of this server besides those of loopback and the address it was reached at.

    ``token``: what a browser has to bring, where other machines reach the server; ``None``: nothing.
    """

    allowed: frozenset[str] = field(default=frozenset(), converter=_names)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, host: str, allow_hosts: Iterable[str] = ()) -> PageGuard:
        """Return the guard of a server that listens on ``host``; ``ValueError`` for a name that is none."""
        return cls(allow_hosts, None if is_local(host) else secrets.token_urlsafe(24))

    def check(self, headers: Mapping[str, str], reached: str, *, changes: bool) -> None:
        """Raise ``PageRefusal`` for a request of a page that is not this server's own.

        ``reached``: the address that the connection came to; ``changes``: whether the request does more
        than read, as any method but GET and HEAD.
        """
        name = host_in(headers.get("Host", ""))
        if name is None:
            raise PageRefusal(400, "Host is no NAME:PORT")
        if not is_ours(name, self.allowed, reached):
            name = name.rstrip(".").lower()
            raise PageRefusal(
                421,
                f"this server is not called {name[:80]!r} (a web page may ask by any name): "
                f"--allow-host {name[:80]} lets it be",
            )
        origin = headers.get("Origin")
        if origin is not None and not _is_same(origin, headers["Host"]):
            raise PageRefusal(403, f"pages of {origin[:80]!r} may not ask here")
        site = headers.get("Sec-Fetch-Site", "same-origin")
        if origin is None and changes and site not in ("same-origin", "none"):
            raise PageRefusal(403, "pages of other sites may not ask here")

    def knows(self, token: str | None) -> bool:
        """Whether this is the token, where one is needed."""
        if self.token is None:
            return True
        given = (token or "").encode("utf-8", "replace")
        return hmac.compare_digest(given, self.token.encode())


def _is_same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    rest = parts.path or parts.query or parts.fragment
    return parts.scheme in ("http", "https") and not rest and parts.netloc.lower() == host.lower()
