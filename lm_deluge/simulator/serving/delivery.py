"""What HTTP and browsers ask of a reply, whatever it says: versions, HEAD, expectations, CORS."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from lm_deluge.simulator.checks.refusals import Refused
from lm_deluge.simulator.saying.steps import Overhead, Reply
from lm_deluge.simulator.values import shown

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["CONTINUE", "Cors", "fitted", "refused_head"]

#: Tells a client that waits for it to send its body (RFC 9110, section 15.2.1).
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

#: Headers of replies that a page's script may read.
_EXPOSED: Final = "x-request-id, retry-after, retry-after-ms, x-should-retry"


@attrs.frozen
class Cors:
    """Which pages may ask (``Access-Control-*``, WHATWG Fetch section 3.2). ``origins``: ``None`` for
    every page, else those named, as ``"http://localhost:5173"``."""

    origins: frozenset[str] | None

    @classmethod
    def of(cls, given: bool | str | Collection[str]) -> Cors | None:  # noqa: FBT001 - the argument's own form
        """Return what the argument ``cors`` says; ``None`` for no CORS.

        Raises ``ValueError`` for what is neither a flag nor an origin nor several.
        """
        if given is False:
            return None
        if given is True or given == "*":
            return cls(None)
        origins = [given] if isinstance(given, str) else list(given)
        for origin in origins:
            if not isinstance(origin, str) or "://" not in origin or origin.count("/") > 2:
                raise ValueError(
                    f"cors must be True, '*' or origins like 'http://localhost:5173', not {shown(origin)}"
                )
        return cls(frozenset(origins))

    def headers(self, request: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a reply to a request with these headers."""
        origin = request.get("Origin")
        if self.origins is None:
            return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
        if origin is None or origin not in self.origins:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            "Vary": "Origin",
        }

    def preflight(self, request: Mapping[str, str]) -> Reply:
        """Return the reply to ``OPTIONS``, by which a browser asks whether it may ask."""
        headers = {
            **self.headers(request),
            "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
            "Access-Control-Allow-Headers": request.get("Access-Control-Request-Headers", "*"),
            "Access-Control-Max-Age": "600",
        }
        if request.get("Access-Control-Request-Private-Network") == "true":
            headers["Access-Control-Allow-Private-Network"] = "true"
        return Reply(status=204, headers=headers, content_type=None, chunked=False)


def refused_head(request: web.BaseRequest) -> Reply | None:
    """Return the reply to a request whose head alone is reason to refuse it, else ``None``."""
    expected = request.headers.get("Expect", "").strip().lower()
    if expected not in ("", "100-continue"):
        return Refused(417, f"Unknown expectation: {expected[:60]}").reply()
    codings = request.headers.get("Transfer-Encoding", "").strip().lower()
    if codings not in ("", "chunked"):
        return Refused(501, f"Transfer-Encoding not supported: {codings[:60]}").reply()
    return None


def fitted(reply: Reply, request: web.BaseRequest, cors: Cors | None) -> Reply:
    """Return a reply as the request's version and method, and its page, can take it.

    HTTP/1.0 knows no chunks: there the end of the connection is the end of the body.
    """
    if cors is not None:
        reply = attrs.evolve(reply, headers={**cors.headers(request.headers), **reply.headers})
    if request.version < (1, 1):
        reply = attrs.evolve(reply, chunked=False)
    if request.method == "HEAD":
        steps = (Overhead(b""),)
        headers = reply.headers if "Content-Length" in reply.headers else {
            **reply.headers, "Content-Length": "0"
        }  # fmt: skip
        reply = attrs.evolve(reply, steps=steps, chunked=False, headers=headers)
    return reply
