"""Several attempts of one stream: what a server does in each, and what the whole has to come to.

``Gate`` is a server that knows at which attempt a stream is, because it is one of its handlers; so it
can refuse connections in one attempt and answer in the next. ``expected`` is the oracle: the rules of
retries, fallbacks and limits, written down a second time and knowing nothing of the library.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Literal, Self

import attrs

from lm_deluge import Retry, Stream, StreamHandler
from support.bare_server import Connection
from support.scripted import CLOSE, END, HANG, RESET, delta, ending, events, http, sse
from support.scripted import HEADERS as KEPT

#: A step in the place of all others: nobody listens.
REFUSE = object()

TEXT = "It answers"

#: No connection serves two attempts, whatever becomes of the listener between them.
HEADERS = KEPT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@attrs.frozen
class Fault:
    """What a server does in one attempt, and what that attempt comes to.

    ``error``, ``phase``: of its error; ``None`` for an answer. ``again``: the same model is asked
    again. ``falls``: the next model is asked. ``silent``: until a limit passes, before the head or
    after it; ``hangs``: only the body of what is no answer is missing. ``output``: it failed after
    output. ``wait``: seconds asked for by the server.
    """

    steps: tuple[Any, ...]
    error: str | None = None
    phase: str = "first_token"
    again: bool = False
    falls: bool = False
    silent: bool = False
    hangs: bool = False
    output: bool = False
    wait: float | None = None


def _passing(*steps: Any, error: str, phase: str = "first_token", **more: Any) -> Fault:
    return Fault(steps, error, phase, again=True, falls=True, **more)


def _reply(status: str, body: bytes, *, kind: str = "application/json", headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"{headers}Connection: close\r\n\r\n"
    ).encode() + body


def _status(status: str, error: str, *, headers: str = "", code: str = "x", **more: Any) -> Fault:
    body = b'{"error": {"message": "no", "code": "%b"}}' % code.encode()
    data = _reply(status, body, headers=headers)
    if more.get("hangs"):
        return Fault((data[:-12], HANG), error, **more)
    return Fault((data,), error, **more)


_ROLE = http(sse(delta("", role="assistant")))
_PAGE = _reply("200 OK", b"<html>Please sign in.</html>", kind="text/html")
_AGAIN = {"again": True, "falls": True}


def _frame(**error: Any) -> bytes:
    return HEADERS + _ROLE + http(sse({"error": {"message": "no", **error}}))


FAULTS: dict[str, Fault] = {
    "healthy": Fault((HEADERS + http(events("It ", "answers")) + http(ending()) + END,)),
    "healthy in pieces": Fault(
        (HEADERS, _ROLE, http(events("It ")), http(events("answers")), http(ending()), END)
    ),
    "silent": _passing(HANG, error="APITimeoutError", silent=True),
    "head, silent": _passing(HEADERS, HANG, error="APITimeoutError", silent=True),
    "role, silent": _passing(HEADERS, _ROLE, HANG, error="APITimeoutError", silent=True),
    "refuse": _passing(REFUSE, error="APIConnectionError", phase="connect"),
    "reset": _passing(RESET, error="APIConnectionError", phase="connect"),
    "close": _passing(CLOSE, error="APIConnectionError", phase="connect"),
    "head, reset": _passing(HEADERS, RESET, error="ConnectionLostError"),
    "role, close": _passing(HEADERS + _ROLE, CLOSE, error="ConnectionLostError"),
    "bad chunk size": _passing(HEADERS + _ROLE + b"zz\r\n", HANG, error="ConnectionLostError"),
    "cut": _passing(HEADERS + _ROLE + END, error="AnswerCutError"),
    "malformed": _passing(HEADERS + _ROLE + http(b"data: {oops\n\n"), HANG, error="ProtocolError"),
    "not http": _passing(b"220 ready\r\n\r\n", HANG, error="ProtocolError", phase="connect"),
    "overloaded": _passing(_frame(type="overloaded_error"), HANG, error="InternalServerError"),
    "refused frame": Fault((_frame(type="invalid_request_error"), HANG), "BadRequestError"),
    "no money frame": Fault((_frame(code=402), HANG), "APIStatusError", falls=True),
    "400": _status("400 Bad", "BadRequestError"),
    "401": _status("401 No", "AuthenticationError"),
    "401, hangs": _status("401 No", "AuthenticationError", hangs=True),
    "402": _status("402 Pay", "APIStatusError", falls=True),
    "402, hangs": _status("402 Pay", "APIStatusError", falls=True, hangs=True),
    "404": _status("404 None", "NotFoundError", falls=True),
    "429": _status("429 Slow", "RateLimitError", **_AGAIN),
    "429, hangs": _status("429 Slow", "RateLimitError", hangs=True, **_AGAIN),
    "429 without money": _status("429 No", "RateLimitError", falls=True, code="insufficient_quota"),
    "500": _status("500 Oops", "InternalServerError", **_AGAIN),
    "503": _status("503 Busy", "InternalServerError", **_AGAIN),
    "503, hangs": _status("503 Busy", "InternalServerError", hangs=True, **_AGAIN),
    "503 at once": _status(
        "503 Busy", "InternalServerError", headers="Retry-After: 0\r\n", wait=0.0, **_AGAIN
    ),
    "503 in an hour": _status(
        "503 Busy", "InternalServerError", headers="Retry-After: 3600\r\n", falls=True
    ),
    "redirect": _status("307 There", "APIStatusError", headers="Location: http://x.invalid/\r\n"),
    "page": Fault((_PAGE,), "ProtocolError", falls=True),
    "page, hangs": Fault((_PAGE[:-12], HANG), "ProtocolError", falls=True, hangs=True),
    "text, reset": Fault(
        (HEADERS, http(events("It ")), RESET), "ConnectionLostError", "between_tokens", output=True
    ),
    "text, silent": Fault(
        (HEADERS, http(events("It ")), HANG),
        "APITimeoutError",
        "between_tokens",
        silent=True,
        output=True,
    ),
}

#: One of each kind.
KINDS = (
    "healthy in pieces",
    "silent",
    "role, silent",
    "refuse",
    "close",
    "cut",
    "malformed",
    "401, hangs",
    "402",
    "503",
    "503, hangs",
    "page",
)

#: ``"none"``: no limit over all. ``"short"``: it passes in the first wait for a silent server.
#: ``"no room"``: it passes in the first wait between two attempts.
Total = Literal["none", "short", "no room"]
TOTALS: tuple[Total, ...] = ("none", "short", "no room")


@attrs.frozen
class Cell:
    """A stream that is to be tried: the last fault goes on for ever."""

    faults: tuple[str, ...]
    targets: int
    max_attempts: int
    total: Total

    def __str__(self) -> str:
        limits = f"{self.targets} models, {self.max_attempts} attempts each, total {self.total}"
        return f"{' > '.join(self.faults)} ({limits})"


@attrs.frozen
class End:
    """How it ends. ``failed``: the classes of the attempts that are listed."""

    error: str | None
    phase: str | None
    attempts: int
    retries: int
    failed: tuple[str, ...]
    cause: str | None = None


def expected(cell: Cell) -> End:
    """What the rules say of a cell."""
    attempts = retries = 0
    failed: list[str] = []
    for left in reversed(range(cell.targets)):
        for failures in range(1, cell.max_attempts + 1):
            fault = FAULTS[cell.faults[min(attempts, len(cell.faults) - 1)]]
            attempts += 1
            if fault.error is None:
                return End(None, None, attempts, retries, tuple(failed))
            if fault.silent and cell.total == "short":
                return End("APITimeoutError", "total", attempts, retries, tuple(failed))
            again = fault.again and failures < cell.max_attempts
            if fault.output or not (again or (fault.falls and left)):
                return End(fault.error, fault.phase, attempts, retries, tuple(failed))
            failed.append(fault.error)
            is_over = fault.hangs and cell.total == "short"
            if is_over or (again and fault.wait is None and cell.total == "no room"):
                late = tuple(failed)
                return End("APITimeoutError", "total", attempts, retries, late, fault.error)
            retries += 1
            if not again:
                break
    raise AssertionError("the last model's last attempt ends the stream")


class Gate(StreamHandler):
    """``with Gate(faults) as gate``: a server, and a handler of the one stream that it serves."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._next = 0
        self._listener: socket.socket | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        # For ``Connection``.
        self.scripts: list[Sequence[Any]] = []
        self.requests = 0
        self.connections = 0
        self.paced = 4
        self.open: set[Connection] = set()
        self.is_closing = False

    def __enter__(self) -> Self:
        # It holds the port while nobody listens.
        self._holder = self._bound(0)
        self._port = self._holder.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self._port}/v1"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.is_closing = True
        self._shut()
        self._holder.close()
        for connection in list(self.open):
            connection.transport.abort()

    def on_start(self, stream: Stream) -> None:
        self._turn()

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        self._turn()

    def _turn(self) -> None:
        steps = self._faults[min(self._next, len(self._faults) - 1)].steps
        self._next += 1
        self._shut()
        if steps != (REFUSE,):
            self.scripts = [steps]
            self._listener = self._bound(self._port)
            self._listener.listen()
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        connected = self._loop.connect_accepted_socket(lambda: Connection(self), accepted)
        task = self._loop.create_task(connected)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _shut(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _bound(self, port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", port))
        return bound
