"""Where requests go and what goes with them: base URLs, queries, headers and the key, checked.

What they hold may be secret: no message shows a header's value, any part of a key, or a URL's
credentials.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast
from urllib.parse import urlsplit, urlunsplit

from lm_deluge.values.checks import checked_text
from lm_deluge.values.plain import encodable, plain_text
from lm_deluge.values.secret_values import name_shown

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def redact_url(url: object) -> str:
    """The URL without credentials, query and fragment, to be shown; never raises."""
    if not isinstance(url, str):
        return "(no URL)"
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is none
        # An @ beyond the host: somebody's password has a slash in it.
        if parts.scheme and parts.hostname and "@" not in parts.path:
            host = parts.netloc.rpartition("@")[2]
            return urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        pass
    # Malformed: where its parts end is a guess, so rather too much is hidden than too little.
    _, at, rest = url.rpartition("@")
    shown = re.split(r"[?#]", rest)[0]
    if shown.startswith("sk-"):
        return "(hidden: it looks like an API key)"
    return f"…@{shown}" if at else shown


#: How the addresses of whole requests end, and what of it a dialect appends.
_APPENDED: Final = (
    ("/chat/completions", "/chat/completions"),
    ("/v1/responses", "/responses"),
    ("/v1/messages", "/messages"),
    ("/v1beta/models", "/models"),
    (":streamGenerateContent", "/models"),
    (":generateContent", "/models"),
)


def normalize_base_url(url: object, what: str = "base_url") -> str:
    """The URL to which a dialect's path, as `/chat/completions`, is appended, without a slash at its end.

    Raises:
        TypeError: not a str.
        ValueError: not `http(s)://host…`, or with a dialect's path, a query, a fragment, white space
            or control characters. No message shows credentials.
    """
    if not isinstance(url, str):
        raise TypeError(f"{what} must be a str, not {type(url).__name__}")
    url = cast("str", plain_text(url))
    shown = f"{what} {redact_url(url)!r}"
    if not url.strip():
        raise ValueError(f"{what} is empty")
    if any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError(f"{shown} has white space or control characters in it")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{shown} is malformed (its host or port)") from None
    if parts.scheme not in ("http", "https") or "://" not in url:
        raise ValueError(f"{shown} must begin with http:// or https://")
    if not host:
        raise ValueError(f"{shown} names no host")
    if parts.query or parts.fragment or url[-1] in "?#":
        raise ValueError(f"{shown} has a query or fragment; give query={{…}} to register_model")
    path = parts.path.rstrip("/")
    for end, appended in _APPENDED:
        if path.endswith(end):
            raise ValueError(f"{shown} must end before {appended}")
    return url.rstrip("/")


#: Networks that no address of the public internet is in: RFC 1918, RFC 6598 (shared, as overlay
#: networks use it), RFC 3927 and RFC 4291 (link-local), RFC 4193, and "this machine".
_PRIVATE: Final = tuple(
    map(
        ipaddress.ip_network,
        "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 127.0.0.0/8 0.0.0.0/32 "
        "fc00::/7 fe80::/10 ::1/128 ::/128".split(),
    )
)


def endpoint_of(base_url: str | None) -> str:
    """Return the host of whoever answers there, with the port if one is given; ``""`` for none."""
    try:
        return urlsplit(base_url or "").netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine by its name or address alone."""
    host = _host_of(url)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _plain_address_of(host)
    return address is not None and address.is_loopback


def is_local(url: str) -> bool:
    """Whether a URL's host is this machine or in its own network, by its name or address alone: loopback,
    a private address, a name of a single label or one that ends with `.local`.
    """
    host = _host_of(url)
    if (address := _plain_address_of(host)) is not None:
        return any(address in network for network in _PRIVATE)
    if re.fullmatch(r"(0x[0-9a-f]*|\d*)(\.(0x[0-9a-f]+|\d+))*", host):
        return False  # an address in a spelling of its own, or no host
    return "." not in host or host.endswith((".local", ".localhost"))


def _host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")


def address_of(host: str) -> Address | None:
    """The address that a host is written as, without its zone; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _plain_address_of(host: str) -> Address | None:
    address = address_of(host)
    return getattr(address, "ipv4_mapped", None) or address


def validate_query(query: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of the query; TypeError if it is no mapping of str to str."""
    given: Any = {} if query is None else query
    if not isinstance(given, Mapping):
        raise TypeError(f"query must be a dict of str to str, not {type(given).__name__}")
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, str):
            shown = name_shown(key) if isinstance(key, str) else repr(key)
            raise TypeError(f"query must be a dict of str to str; {shown} is not")
        encodable(key, "a name in query")
        encodable(value, f"query[{key!r}]")
    return {plain_text(key): plain_text(value) for key, value in given.items()}


# RFC 9110 §5.6.2 (token) and §5.5 (field values: no control characters but the tab).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def validate_headers(headers: Mapping[str, str] | None, what: str = "headers") -> dict[str, str]:
    """A copy of the headers, checked. Messages name a header and never show its value.

    Raises:
        TypeError: not a mapping of str to str.
        ValueError: a name that is no RFC 9110 token, or a value with CR, LF, NUL or another control
            character, or with a character that cannot be sent.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"{what} must be a dict of str to str, not {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str):
            raise TypeError(f"a name in {what} must be a str, not {type(name).__name__}")
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{what}: {name_shown(name)} is no header name")
        if not isinstance(value, str):
            raise TypeError(
                f"{what}: the value of {name_shown(name)} must be a str, not {type(value).__name__}"
            )
        if _UNSENDABLE.search(value):
            raise ValueError(f"{what}: the value of {name!r} has a control character (CR, LF, …)")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{what}: the value of {name!r} has a lone surrogate") from None
    return {plain_text(name): plain_text(value) for name, value in headers.items()}


def validate_header_name(name: object, what: str) -> str | None:
    """The name of a header, or None; ValueError if it is no RFC 9110 token, TypeError if it is no str."""
    checked: str | None = checked_text(what, name, optional=True)
    if checked is not None:
        validate_headers({checked: ""}, what)
    return checked


def validate_api_key(api_key: object, source: str = "api_key") -> str:
    """The key, checked; no message shows any of it. `source` says where it came from.

    Raises:
        TypeError: not a str.
        ValueError: empty, or with white space, control characters or others than ASCII.
    """
    if not isinstance(api_key, str):
        raise TypeError(f"{source} must be a str, not {type(api_key).__name__}")
    if not api_key:
        raise ValueError(f"{source} is empty")
    if api_key[0] in "\"'":
        raise ValueError(f"{source} begins with a quotation mark: give it without quotes")
    if any(not "!" <= character <= "~" for character in api_key):
        raise ValueError(
            f"{source} has white space, a control character or one that is not ASCII in it "
            "(a line end from a copied file?)"
        )
    return cast("str", plain_text(api_key))
