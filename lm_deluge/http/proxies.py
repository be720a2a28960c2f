"""The proxy that the environment names for a URL: read whole, or refused with the variable's name.

The variables are those of curl and requests: ``http_proxy``, ``https_proxy``, ``all_proxy`` and
``no_proxy``. The spelling in small letters wins over the one in capitals, also when it is empty, and
``HTTP_PROXY`` is left alone in a CGI program (``REQUEST_METHOD`` is set), where a request's header
``Proxy`` would set it. Where the environment names no proxy, Windows' and macOS' settings are asked.
No message shows credentials.
"""

from __future__ import annotations

import fnmatch
import functools
import ipaddress
import os
import re
from typing import Final
from urllib.parse import quote, urlsplit

from attrs import field, frozen

from lm_deluge.values.addresses import Address, address_of

__all__ = ["PROXY_VARIABLES", "ForwardProxy", "proxy_for"]

#: What the answer depends on.
PROXY_VARIABLES: Final = tuple(
    spelled
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD")
    for spelled in dict.fromkeys((name, name.upper()))
)

_ACCEPTED: Final = (
    "accepted: http://, https://, socks5://, socks5h://, socks4://, socks4a:// or no scheme "
    "(host:port, which is http)"
)

#: The port where none is given. curl and requests agree for SOCKS; for HTTP it is the scheme's.
_PORTS: Final = {"http": 80, "https": 443}
_SOCKS_PORT: Final = 1080

#: The kind of SOCKS, and whether the proxy looks names up. ``socks`` is what desktops write.
_SOCKS: Final = {
    "socks": ("socks5", True),
    "socks4": ("socks4", False),
    "socks4a": ("socks4", True),
    "socks5": ("socks5", False),
    "socks5h": ("socks5", True),
}

_NAME: Final = re.compile(r"[\w.*?-]+")
_HOST: Final = re.compile(r"[\w.:%-]+")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,19}")


@frozen
class ForwardProxy:
    """A proxy. ``shown``: its URL without credentials. ``variable``: who named it.

    ``kind``: ``"http"`` (its URL may begin with https), ``"socks4"`` or ``"socks5"``. ``resolves``:
    whether a SOCKS proxy is told names, instead of addresses that were looked up here.
    """

    url: str = field(repr=False)
    shown: str
    variable: str
    kind: str = "http"
    resolves: bool = True

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS, for which a package is needed."""
        return self.kind != "http"

    @property
    def speaks_tls(self) -> bool:
        """Whether the connection to the proxy itself is encrypted."""
        return self.url.startswith("https:")


def proxy_for(url: str) -> ForwardProxy | None:
    """Return the proxy that the environment names for a URL, ``None`` for the direct way.

    Raises ``ValueError`` that names the variable, for what is no proxy or no list of exceptions.
    """
    return _look_up(url, tuple(map(os.environ.get, PROXY_VARIABLES)))


@functools.lru_cache(maxsize=256)
def _look_up(url: str, settings: tuple[str | None, ...]) -> ForwardProxy | None:
    values = dict(zip(PROXY_VARIABLES, settings, strict=True))
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname or ""
    if not any(_setting(values, name)[1] for name in ("http_proxy", "https_proxy", "all_proxy")):
        return _of_the_system(scheme, host)
    variable, value = _setting(values, f"{scheme}_proxy")
    if not value:
        variable, value = _setting(values, "all_proxy")
    if not value:
        return None
    exceptions = _Exceptions(*_setting(values, "no_proxy"))
    if exceptions.cover(scheme, host, parts.port or _PORTS.get(scheme, 0)):
        return None
    return _proxy(variable, value)


def _setting(values: dict[str, str | None], name: str) -> tuple[str, str]:
    """Return the spelling that counts, and its value without white space around it."""
    small, capitals = values[name], values[name.upper()]
    if name == "http_proxy" and values["REQUEST_METHOD"] is not None:
        capitals = None
    if small is None and capitals is not None:
        return name.upper(), capitals.strip()
    return name, (small or "").strip()


def _of_the_system(scheme: str, host: str) -> ForwardProxy | None:
    """Ask Windows' registry or macOS' settings; elsewhere urllib knows the environment alone."""
    if os.name == "posix" and not _is_macos():
        return None
    import urllib.request  # takes its time

    proxies = urllib.request.getproxies()
    value = proxies.get(scheme) or proxies.get("all") or proxies.get("socks")
    if not value or urllib.request.proxy_bypass(host):
        return None
    return _proxy("the system's proxy setting", value)


def _is_macos() -> bool:
    return os.uname().sysname == "Darwin"


def _proxy(variable: str, value: str) -> ForwardProxy:
    scheme, separator, rest = value.partition("://")
    if separator:
        scheme = scheme.lower()
    else:
        scheme, rest = "http", value.removeprefix("//")
    if scheme not in _PORTS and scheme not in _SOCKS:
        known = f"{scheme}://" if _SCHEME.fullmatch(scheme) else "what it holds"
        raise ValueError(f"{variable}: {known} is no kind of proxy; {_ACCEPTED}")
    if any(c.isspace() or not c.isprintable() for c in rest):
        raise ValueError(f"{variable} has white space or control characters in it")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{variable} is malformed (its host or port); {_ACCEPTED}") from None
    if not host:
        raise ValueError(f"{variable} names no host; {_ACCEPTED}")
    if parts.query or parts.fragment:
        raise ValueError(
            f"{variable} has a '?' or '#' in it: in a user or password they are written %3F and %23"
        )
    try:
        host.encode("idna")
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host):
        raise ValueError(f"{variable} is malformed (its host); {_ACCEPTED}")
    kind, resolves = _SOCKS.get(scheme, ("http", True))
    written = f"[{host}]" if ":" in host else host
    where = f"{written}:{port or _PORTS.get(scheme, _SOCKS_PORT)}"
    credentials, at, _ = parts.netloc.rpartition("@")
    return ForwardProxy(
        url=f"{scheme if kind == 'http' else kind}://{quote(credentials, safe=_KEPT)}{at}{where}",
        shown=f"{scheme}://{where}",
        variable=variable,
        kind=kind,
        resolves=resolves,
    )


#: What a user and a password keep as it is; an @ in a user name, as companies write them, does not.
_KEPT: Final = "%:!$&'()*+,;=-._~"


class _Exceptions:
    """``NO_PROXY``: what is asked directly, as curl and requests read it.

    Entries stand between commas or white space, capitals are no matter. ``example.com``,
    ``.example.com`` and ``*.example.com`` cover the name and all under it; ``10.0.0.0/8`` and
    ``fd00::/8`` the addresses of a network, which no name is looked up for; ``::1`` and ``[::1]`` an
    address; ``host:8080`` one port; ``http://host`` one scheme; ``*`` everything; ``10.*`` what it
    looks like; ``<local>`` names without a dot.
    """

    def __init__(self, variable: str, value: str) -> None:
        self._variable = variable
        self._entries = [self._read(entry) for entry in re.split(r"[,\s]+", value) if entry]

    def cover(self, scheme: str, host: str, port: int) -> bool:
        """Whether a host is asked directly."""
        name = _ascii(host.rstrip("."))
        return any(entry.covers(scheme, name, address_of(name), port) for entry in self._entries)

    def _read(self, entry: str) -> _Exception:
        scheme, separator, rest = entry.lower().rpartition("://")
        if separator:
            rest = rest.removesuffix("/")
        if rest == "<local>":
            return _Exception(scheme=scheme, local=True)
        if "/" in rest:
            return _Exception(scheme=scheme, network=self._network(entry, rest))
        host, port = rest, ""
        if bracketed := re.fullmatch(r"\[(.*)\](?::(.*))?", rest):
            host, port = bracketed[1], bracketed[2] or ""
        elif rest.count(":") == 1:
            host, _, port = rest.partition(":")
        if port and not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise self._refusal(entry)
        number = int(port) if port else None
        if (address := address_of(host)) is not None:
            return _Exception(scheme=scheme, port=number, address=address)
        below = host.removeprefix("*.")
        name = _ascii((below if below and "*" not in below else host).strip("."))
        if not _NAME.fullmatch(name) or not name.strip("."):
            raise self._refusal(entry)
        return _Exception(scheme=scheme, port=number, name=name)

    def _network(self, entry: str, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        base, _, bits = text.partition("/")
        if re.fullmatch(r"\d+(\.\d+){0,2}", base):  # 169.254/16, as macOS writes it
            base += ".0" * (3 - base.count("."))
        try:
            return ipaddress.ip_network(f"{base.strip('[]')}/{bits}", strict=False)
        except ValueError:
            raise self._refusal(entry) from None

    def _refusal(self, entry: str) -> ValueError:
        return ValueError(
            f"{self._variable}: {entry.rpartition('@')[2]!r} is no host name, address or network; "
            "accepted, separated by commas: example.com, .example.com, host:8080, 10.0.0.0/8, "
            "[::1], *"
        )


@frozen(eq=False, kw_only=True)
class _Exception:
    """One entry of ``NO_PROXY``; what is empty or ``None`` does not matter to it."""

    scheme: str = ""
    port: int | None = None
    name: str = ""
    address: Address | None = None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    local: bool = False

    def covers(self, scheme: str, host: str, address: Address | None, port: int) -> bool:
        if self.scheme not in ("", "all", scheme) or self.port not in (None, port):
            return False
        if self.local:
            return address is None and "." not in host
        if self.network is not None:
            return address is not None and address in self.network
        if self.address is not None:
            return address == self.address
        if "*" in self.name or "?" in self.name:
            return fnmatch.fnmatchcase(host, self.name)
        return host == self.name or (address is None and host.endswith(f".{self.name}"))


def _ascii(name: str) -> str:
    """Return a name as DNS has it."""
    name = name.lower()
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name
