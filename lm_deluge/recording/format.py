"""The lines of a recording: a timeline log with the raw reads in the place of tokens.

The log is that of docs/design/metrics.md.

One JSON object a line, UTF-8. Every line has ``v`` (1), ``e`` (event), ``s`` (stream id) and ``t``
(seconds from the stream's t0, monotonic clock). ``start``, ``retry``, ``complete`` and ``error`` are the
log's own lines (``lm_deluge.timeline.record``); between them:

    request   an attempt's request is about to be sent: ``x`` attempt, 1-based; ``url`` without
              credentials and query; ``hash`` of the body (``request_hash``); ``n`` choices asked for;
              ``dialect`` of the request and its answer, left out where it is ``chat``;
              ``stream``, left out where the answer was asked for as a stream;
              ``body`` (text; left out with ``Recorder(body=False)``)
    head      the response's head arrived: ``x``, ``status``, ``headers`` (``HARMLESS_HEADERS`` alone)
    read      a network read of the body: ``x``, ``read`` ordinal within the attempt, 0-based, and its
              bytes as ``text`` where they are UTF-8, else as ``base64``
    close     the attempt is over: ``x`` and ``how`` (``How``)

A batch of lines is one ``write`` to a file opened for appending and begins with a newline, so that
several processes may append and a half line of a killed one harms none after it. Lines of several
streams mix; those of one stream are in order.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final, Literal

import msgspec

__all__ = [
    "HARMLESS_HEADERS",
    "RAW_EVENTS",
    "VERSION",
    "CloseLine",
    "HeadLine",
    "How",
    "ReadLine",
    "RequestLine",
    "is_harmless",
    "read_line",
    "request_hash",
]

VERSION: Final = 1
"""The ``v`` of every line."""

RAW_EVENTS: Final = frozenset({"request", "head", "read", "close"})
"""The events that a timeline log does not have."""

How = Literal["whole", "ended", "lost", "silent", "left"]
"""How an attempt ended: the answer was ``whole``, or an error was read; the body ``ended`` before it was;
the connection was ``lost``, or never there; the server was ``silent`` too long; the caller ``left``."""

HARMLESS_HEADERS: Final = frozenset(
    "cache-control content-encoding content-length content-type date openai-model "
    "openai-processing-ms openai-version request-id retry-after retry-after-ms server "
    "transfer-encoding via x-accel-buffering x-request-id x-should-retry".split()
)
"""Headers of a response that are kept, lower case, besides all that begin with ``x-ratelimit-``.
Cookies, organizations and projects are not among them."""


def is_harmless(name: str) -> bool:
    """Whether a response header is kept; ``name`` in lower case."""
    return name in HARMLESS_HEADERS or name.startswith("x-ratelimit-")


class RequestLine(msgspec.Struct, omit_defaults=True, gc=False):
    """A request is about to be sent."""

    v: int
    e: str
    s: str
    t: float
    x: int
    url: str
    hash: str
    n: int
    stream: bool = True
    body: str | None = None
    dialect: str = "chat"


class HeadLine(msgspec.Struct):
    """The head of the response arrived."""

    v: int
    e: str
    s: str
    t: float
    x: int
    status: int
    headers: dict[str, str]


class ReadLine(msgspec.Struct, omit_defaults=True, gc=False):
    """A network read; ``text`` or ``base64`` holds its bytes."""

    v: int
    e: str
    s: str
    t: float
    x: int
    read: int
    text: str | None = None
    base64: str | None = None

    @property
    def data(self) -> bytes:
        """The bytes. Raises ``ValueError`` for base64 that is none."""
        if self.base64 is not None:
            return base64.b64decode(self.base64, validate=True)
        return (self.text or "").encode()


class CloseLine(msgspec.Struct, gc=False):
    """The attempt is over."""

    v: int
    e: str
    s: str
    t: float
    x: int
    how: str


def read_line(stream: str, t: float, attempt: int, read: int, data: bytes) -> ReadLine:
    """Return the line of one network read."""
    line = ReadLine(VERSION, "read", stream, round(t, 6), attempt, read)
    try:
        line.text = data.decode()
    except UnicodeDecodeError:
        line.base64 = base64.b64encode(data).decode()
    return line


def request_hash(body: bytes | dict[str, Any]) -> str:
    """Return what tells one request from another: 16 hex digits of SHA-256.

    Of a JSON object the order of keys and the spaces do not count, nor do ``stream`` and
    ``stream_options``, which say how to deliver an answer, not which. Anything else counts byte for byte.
    Whoever guesses a short prompt can confirm the guess by its hash.
    """
    value: Any = body
    if isinstance(body, bytes):
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        return hashlib.sha256(body if isinstance(body, bytes) else b"").hexdigest()[:16]
    asked = {key: item for key, item in value.items() if key not in ("stream", "stream_options")}
    said = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
