"""What a request to a relay asks for, whatever the framework: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import frozen

__all__ = ["Refusal", "asked_after", "cors_headers", "preflight_headers", "refuse_origin"]

_LONGEST = 15

#: Seconds for which a browser need not ask again; Chromium takes two hours at most.
_REMEMBERED = 600


@frozen
class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request that is not answered: ``status`` of HTTP, and ``message`` for whoever wrote the client."""

    status: int
    message: str = ""


def asked_after(headers: Mapping[str, str], query: Mapping[str, str]) -> int:
    """Return the number of the frame after which a reader goes on, 0 for the beginning.

    It is that of ``?after=``, else of ``Last-Event-ID``.
    Raises ``Refusal`` 400 for what is no such number.
    """
    for name, value in (
        ("after", query.get("after")),
        ("Last-Event-ID", headers.get("Last-Event-ID")),
    ):
        if value is None or value == "":
            continue
        if not (value.isascii() and value.isdigit() and len(value) <= _LONGEST):
            raise Refusal(400, f"{name} must be the number of a frame, not {value[:50]!r}")
        return int(value)
    return 0


def refuse_origin(headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raise ``Refusal`` 403 for a page of an origin that is neither this server's own nor allowed.

    A request without ``Origin`` is no page's.
    """
    origin = headers.get("Origin")
    if origin is None or origin in allowed:
        return
    host = headers.get("Host", "")
    # Taken apart by hand: what strangers send need not be an address.
    if origin.partition("://")[2].lower() != host.lower() or not host:
        raise Refusal(403, "pages of this origin may not ask here")


def cors_headers(headers: Mapping[str, str], allowed: Collection[str]) -> dict[str, str]:
    """Return what lets a page of an allowed origin read the answer; ``{}`` for any other."""
    origin = headers.get("Origin")
    if origin is None or origin not in allowed:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "x-stream-id, x-stream-clock",
        "Vary": "Origin",
    }


def preflight_headers(headers: Mapping[str, str], allowed: Collection[str]) -> dict[str, str]:
    """Return the answer to what a browser asks before a page of another origin may ask with headers.

    What headers a page sends is its own business: those that it names are allowed. Raises ``Refusal`` 403 for
    a page of an origin that is not allowed.
    """
    refuse_origin(headers, allowed)
    granted = {
        **cors_headers(headers, allowed),
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Max-Age": str(_REMEMBERED),
    }
    named = headers.get("Access-Control-Request-Headers")
    return granted | ({"Access-Control-Allow-Headers": named} if named else {})
