"""Who may ask: whatever runs here, and no page of the web.

A page can have its own name looked up as 127.0.0.1 (DNS rebinding) and then ask this proxy: its name
stands in ``Host``, and in ``Origin`` that of any other page that asks across.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from attrs import field, frozen

from lm_deluge.proxy.heads import AskedLine, BadRequestHead, HeaderField
from lm_deluge.servers.hosts import bare_host, host_in, is_ours

__all__ = ["Guard", "check_target"]


def check_target(first: AskedLine) -> None:
    """Raise ``BadRequestHead`` for a target that names a server: this proxy does not pass on to any."""
    if first.method.upper() == b"CONNECT":
        raise BadRequestHead(405, "this proxy opens no tunnels: it is given as a base URL")
    if not first.target.startswith(b"/"):
        raise BadRequestHead(
            400,
            "the request's target has to be a path: this proxy is given as a base URL, not as "
            "HTTP_PROXY or HTTPS_PROXY",
        )


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"allow_hosts: names of hosts are expected, not {type(name).__name__}")
    bare = bare_host(name)
    if bare is None:
        raise ValueError(
            f"allow_hosts: a host's name or address, without scheme and port, is expected, not {name!r}"
        )
    return bare


def _allowed_names(given: Iterable[str]) -> frozenset[str]:
    if isinstance(given, str):
        given = (given,)
    return frozenset(map(_checked_name, given))


@frozen
class Guard:
    """``allowed``: names of this proxy besides those of loopback and the address it was reached at."""

    allowed: frozenset[str] = field(default=frozenset(), converter=_allowed_names)

    def check(self, first: AskedLine, fields: Sequence[HeaderField], reached: str) -> None:
        """Raise ``BadRequestHead`` for a request that has no business here.

        ``reached``: the address of ours that the connection came to.
        """
        hosts = [entry.value for entry in fields if entry.name == b"host"]
        if len(hosts) > 1 or (not hosts and first.minor > 0):
            raise BadRequestHead(400, "a request has one Host")
        if hosts:
            name = host_in(hosts[0].decode("latin-1"))
            if name is None:
                raise BadRequestHead(400, "Host is no NAME:PORT")
            if not is_ours(name, self.allowed, reached):
                raise BadRequestHead(
                    421,
                    f"this proxy is not called {name[:80]!r} (a web page may ask by any name): "
                    f"--allow-host {name[:80]} lets it be",
                )
        origins = [entry.value.decode("latin-1") for entry in fields if entry.name == b"origin"]
        for origin in origins:
            if not self._is_our_page(origin, reached):
                raise BadRequestHead(
                    403,
                    f"pages of {origin[:80]!r} may not ask this proxy (Origin): --allow-host with their "
                    "host's name lets them",
                )
        sites = [entry.value.lower() for entry in fields if entry.name == b"sec-fetch-site"]
        if not origins and b"cross-site" in sites:
            raise BadRequestHead(403, "a page of another site may not ask this proxy")

    def _is_our_page(self, origin: str, reached: str) -> bool:
        try:
            parts = urlsplit(origin)
            name = parts.hostname
        except ValueError:
            return False
        is_origin = bool(parts.scheme) and not (parts.path or parts.query or parts.fragment)
        return is_origin and name is not None and is_ours(name, self.allowed, reached)
