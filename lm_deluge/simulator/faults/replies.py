"""Faults that replace the answer: nothing at all, an error status, something that is no stream."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate

import attrs

from lm_deluge.simulator.faults.arguments import (
    ErrorReply,
    FaultKind,
    a_duration,
    nothing,
    seconds,
    text,
)
from lm_deluge.simulator.saying.steps import (
    ABORT,
    HANG,
    RESET,
    Act,
    Overhead,
    Reply,
    Verbatim,
)
from lm_deluge.simulator.serving.received import ReceivedRequest

_ELSEWHERE = "http://another-host.invalid/v1/chat/completions"
_BODIES = ("json", "html", "text", "empty", "echo")


@attrs.frozen
class StatusFault:
    """The arguments of ``status``."""

    code: int
    body: str = "json"
    headers: tuple[tuple[str, str], ...] = ()
    date_after: float | None = None


def _parse_status(args: Sequence[str]) -> StatusFault:
    if not args or not args[0].isdecimal() or not 200 <= int(args[0]) <= 599:
        raise ValueError("takes a status from 200 to 599 first")
    body = "json"
    headers = []
    date_after = None
    for option in args[1:]:
        name, _, value = option.partition("=")
        if option in _BODIES:
            body = option
        elif name == "retry-after-date":
            date_after = a_duration(value)
        elif name in ("retry-after", "retry-after-ms"):
            a_duration(value)
            headers.append((name, value))
        elif name == "should-retry" and value in ("true", "false"):
            headers.append(("x-should-retry", value))
        else:
            raise ValueError(f"not an option of a status: {option!r}")
    return StatusFault(int(args[0]), body, tuple(headers), date_after)


def sent_key(record: ReceivedRequest) -> str:
    """The credentials of a request, for servers careless enough to repeat them."""
    for name in ("api-key", "x-api-key", "x-goog-api-key"):
        if name in record.headers:
            return record.headers[name]
    return record.headers.get("Authorization", "")


def _status(fault: StatusFault, record: ReceivedRequest, shape: ErrorReply) -> Reply:
    headers = dict(fault.headers)
    if fault.date_after is not None:
        headers["retry-after"] = formatdate(time.time() + fault.date_after, usegmt=True)
    message = None
    if fault.body in ("json", "echo"):
        if fault.body == "echo":
            key = sent_key(record)
            message = f"Incorrect API key provided: {key.removeprefix('Bearer ')}. Sent: {key}"
            headers["x-echo"] = key
        return shape(fault.code, message, headers)
    page = {
        "html": f"<html><head><title>{fault.code}</title></head>\r\n<body><center><h1>{fault.code}"
        "</h1></center><hr><center>cloudflare</center></body></html>\r\n",
        "text": f"upstream connect error or disconnect/reset before headers ({fault.code})",
        "empty": "",
    }[fault.body]
    kinds = {"html": "text/html", "text": "text/plain", "empty": None}
    return _body(page.encode(), kinds[fault.body], fault.code, headers)


def _body(data: bytes, kind: str | None, status: int, headers: dict[str, str]) -> Reply:
    return Reply(
        steps=(Overhead(data),),
        status=status,
        headers={"Content-Length": str(len(data)), **headers},
        content_type=kind,
        chunked=False,
    )


def _redirect(url: str, record: ReceivedRequest, shape: ErrorReply) -> Reply:
    return _body(b"", None, 307, {"Location": url})


def _wrong_type(kind: str, record: ReceivedRequest, shape: ErrorReply) -> Reply:
    page = b"<html><body>Welcome to the captive portal. Please sign in.</body></html>"
    return _body(page, kind, 200, {})


def _json_error(_: None, record: ReceivedRequest, shape: ErrorReply) -> Reply:
    return attrs.evolve(shape(503, None, {}), status=200, content_type="application/json")


def _silent(act: Act) -> FaultKind:
    def build(_: object, record: ReceivedRequest, shape: ErrorReply) -> Reply:
        return Reply(steps=(Verbatim(), act))

    return FaultKind(parse=nothing, early=build)


KINDS: dict[str, FaultKind] = {
    "refuse": attrs.evolve(_silent(RESET), parse=seconds(None)),
    "reset-before-headers": _silent(RESET),
    "close-before-headers": _silent(ABORT),
    "hang-before-headers": _silent(HANG),
    "status": FaultKind(parse=_parse_status, early=_status),
    "redirect": FaultKind(parse=text(_ELSEWHERE), early=_redirect),
    "wrong-content-type": FaultKind(parse=text("text/html; charset=utf-8"), early=_wrong_type),
    "json-error": FaultKind(parse=nothing, early=_json_error),
}
