"""Errors of the proxy itself, in the shape in which the wire's provider sends its own."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl
from uuid import uuid4

from lm_deluge.proxy.heads import AskedLine
from lm_deluge.proxy.routes import wire_of
from lm_deluge.servers.errors import ErrorReply, anthropic_error, google_error, openai_error

__all__ = ["refused"]

_CODES: Final = {
    400: "bad_request",
    403: "forbidden",
    404: "no_route",
    421: "unknown_host",
    502: "upstream_unreachable",
}


def _error(wire: str, path: str, query: str, status: int, message: str) -> ErrorReply:
    if wire == "messages":
        return anthropic_error(status, message, request_id=f"req_proxy_{uuid4().hex}")
    if wire == "gemini":
        return google_error(status, message, path=path, query=dict(parse_qsl(query)))
    code = _CODES.get(status, "refused")
    return openai_error(status, message, kind="proxy_error", code=code)


def refused(first: AskedLine | None, status: int, message: str) -> bytes:
    """Return a whole response, in the shape that the path's provider gives its errors.

    ``first``: the request's first line, ``None`` for one that has none.
    """
    path, _, query = ("" if first is None else first.target.decode("latin-1")).partition("?")
    error = _error(wire_of(path), path, query, status, f"lm-deluge proxy: {message}")
    body = json.dumps(error.body).encode()
    fields = {
        "Content-Type": error.content_type,
        "Content-Length": str(len(body)),
        **error.headers,
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    is_head = first is not None and first.method == b"HEAD"
    return head if is_head else head + body
