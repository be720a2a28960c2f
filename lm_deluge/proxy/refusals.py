"""Errors of the proxy itself, in the shape in which the wire's provider sends its own."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

__all__ = ["refusal"]

_CODES: Final = {400: "bad_request", 403: "forbidden", 404: "no_route", 421: "unknown_host"}

#: Google's names (google.rpc.Code) for them.
_GOOGLE: Final = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
}


def _body(wire: str, status: int, message: str) -> dict[str, Any]:
    if wire == "messages":
        kind = "api_error" if status >= 500 else "invalid_request_error"
        return {"type": "error", "error": {"type": kind, "message": message}}
    if wire == "gemini":
        name = _GOOGLE.get(status, "FAILED_PRECONDITION")
        return {"error": {"code": status, "message": message, "status": name}}
    code = "upstream_unreachable" if status == 502 else _CODES.get(status, "refused")
    error = {"message": message, "type": "proxy_error", "param": None, "code": code}
    return {"error": error}


def refusal(wire: str, status: int, message: str, *, head_only: bool = False) -> bytes:
    """Return a whole response. ``wire``: the dialect whose shape it has. ``head_only``: to ``HEAD``."""
    body = json.dumps(_body(wire, status, f"lm-deluge proxy: {message}")).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)
