"""Exchanges told by hand: to a proxy's watcher, and to our own client as if over a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any, Final

from multidict import CIMultiDict

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.errors import ConnectionLostError, StreamError
from lm_deluge.http.exchange import HttpExchange
from lm_deluge.http.request import Request
from lm_deluge.http.transport import Transport
from lm_deluge.proxy.exchange import Ending, RequestHead, WatchedExchange
from lm_deluge.proxy.telling import Note, PassedRequest
from lm_deluge.proxy.watcher import Watcher
from lm_deluge.values.response import APIResponse
from support.promises import KEY, Ear

BASE_URL: Final = "http://127.0.0.1:9/v1"
EVENTS: Final = (("Content-Type", "text/event-stream"),)

#: What follows the base URL, by wire.
PATHS: Final = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "messages": "/messages",
    "gemini": "/models/a-model:streamGenerateContent",
}

Headers = Sequence[tuple[str, str]]


class WatchingEar(Ear):
    """Hears one stream, and what a proxy tells besides."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[PassedRequest] = []
        self.notes: list[Note] = []

    def on_request(self, request: PassedRequest) -> None:
        self.requests.append(request)

    def on_note(self, note: Note) -> None:
        self.notes.append(note)

    @property
    def ending(self) -> APIResponse | StreamError:
        """The one ending."""
        (ending,) = self.endings
        return ending


def asks(wire: str = "chat", **fields: Any) -> dict[str, Any]:
    """Return the body of a request that streams, in the words of a wire."""
    if wire == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **fields}
    said = {"input": "hi"} if wire == "responses" else {}
    if not said:
        said = {"messages": [{"role": "user", "content": "hi"}]}
    return {"model": "a-model", "stream": True, **said, **fields}


def opened(
    watcher: Watcher,
    body: Any = None,
    *,
    wire: str | None = "chat",
    headers: Headers = (),
    target: str | None = None,
    method: str = "POST",
    fault: str | None = None,
) -> WatchedExchange:
    """Return an exchange whose request went upstream. ``body``: bytes, or what JSON is made of."""
    path = PATHS[wire or "chat"] if target is None else target
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = (
        ("Host", "127.0.0.1:4141"),
        ("Authorization", f"Bearer {KEY}"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(data))),
        *headers,
    )
    head = RequestHead(
        method=method,
        target=f"/v1{path}",
        headers=sent,
        base_url=BASE_URL,
        path=path,
        dialect=wire,
        fault=fault,
    )
    exchange = watcher.open(head)
    exchange.asked(0.0)
    if data:
        exchange.sent(data)
    return exchange


async def watched(
    reads: Iterable[bytes],
    how: Ending = "whole",
    *,
    status: int = 200,
    answered: Headers = EVENTS,
    body: Any = None,
    wire: str = "chat",
    cause: BaseException | None = None,
    **options: Any,
) -> WatchingEar:
    """Return what was heard of one exchange. ``options``: of ``opened``."""
    ear = WatchingEar()
    watcher = Watcher([ear])
    exchange = opened(watcher, asks(wire) if body is None else body, wire=wire, **options)
    exchange.head(status, answered)
    for data in reads:
        exchange.read(data, perf_counter())
    exchange.ended(how, cause)
    await watcher.aclose()
    return ear


class _Canned:
    """Stands for an ``HttpExchange``: reads that are there already, and then an end or a loss."""

    reused = False

    def __init__(
        self, request: Request, status: int, headers: Headers, reads: Sequence[bytes], *, lost: bool
    ) -> None:
        self.request = request
        self.status = status
        self.headers = CIMultiDict(headers)
        given = self.headers.get("Content-Type", "")
        self.content_type = given.partition(";")[0].strip().lower()
        self._reads = iter(reads)
        self._lost = lost
        self.arrived = perf_counter()

    def take(self) -> bytes:
        self.arrived = perf_counter()
        data = next(self._reads, None)
        if data is not None:
            return data
        if self._lost:
            raise ConnectionLostError("the connection broke before the answer was whole: so")
        return b""

    def wake(self) -> None: ...

    def heard(self) -> float:
        return self.arrived

    async def drain(self, limit: float) -> None: ...

    def close(self) -> None: ...


class CannedTransport(Transport):
    """Answers each request with the same reads, without a connection."""

    def __init__(
        self, reads: Sequence[bytes], *, status: int = 200, headers: Headers = EVENTS, lost: bool
    ) -> None:
        super().__init__()
        self._canned = (status, headers, reads)
        self._is_lost = lost

    async def open(self, request: Request, *, connect_timeout: float | None) -> HttpExchange:
        canned: Any = _Canned(request, *self._canned, lost=self._is_lost)
        await asyncio.sleep(0)
        exchange: HttpExchange = canned
        return exchange


async def by_our_client(
    reads: Sequence[bytes],
    *,
    lost: bool = False,
    status: int = 200,
    answered: Headers = EVENTS,
    wire: str = "chat",
    n: int = 1,
) -> WatchingEar:
    """Return what our own client makes of the same bytes."""
    ear = WatchingEar()
    client = LLMClient(
        "a-model",
        base_url=BASE_URL,
        dialect=wire,
        api_key=KEY,
        printer=None,
        retries=RetryPolicy.none(),
        handlers=[ear],
        transport=CannedTransport(reads, status=status, headers=answered, lost=lost),
        extra_body={"n": n} if n > 1 else {},
    )
    try:
        await client.stream("hi")
    except StreamError:
        pass
    return ear


def told(ear: Ear) -> dict[str, Any]:
    """Return all that was heard but for moments and the stream's id, to be compared."""
    (ending,) = ear.endings
    is_error = isinstance(ending, StreamError)
    received = ending.partial if isinstance(ending, StreamError) else ending
    assert received is not None
    content = received.to_dict()
    for name in ("ttft", "elapsed", "tags", "timeline", "stream_id"):
        content.pop(name, None)
    return {
        "calls": ear.calls,
        "tokens": [(one.text, one.index, one.read, one.choice) for one in ear.tokens],
        "deltas": [(one.kind, one.text, one.index, one.read, one.choice) for one in ear.deltas],
        "ending": type(ending).__name__,
        "message": str(ending) if is_error else "",
        "phase": ending.phase if isinstance(ending, StreamError) else None,
        "received": content,
    }
