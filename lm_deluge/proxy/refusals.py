"""Errors of the proxy itself, in the shape in which the wire's provider sends its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

__all__ = ["error_reply", "refusal"]

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


#: How each provider calls what a status says; for others, what 400 and 500 are.
_OPENAIS: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "service_unavailable"),
}
_ANTHROPICS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_GOOGLES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_reply(wire: str, status: int, headers: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Return head and body of an error as a provider sends it, for a fault that is injected."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    message = f"{phrase} (injected by lm-deluge proxy)"
    said: dict[str, Any]
    if wire == "messages":
        kind = _ANTHROPICS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        said = {"type": "error", "error": {"type": kind, "message": message}}
    elif wire == "gemini":
        name = _GOOGLES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
        said = {"error": {"code": status, "message": message, "status": name}}
    else:
        other = ("server_error" if status >= 500 else "invalid_request_error", None)
        openai, code = _OPENAIS.get(status, other)
        said = {"error": {"message": message, "type": openai, "param": None, "code": code}}
    body = json.dumps(said).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join((*lines, "Connection: close")) + "\r\n\r\n").encode(), body
