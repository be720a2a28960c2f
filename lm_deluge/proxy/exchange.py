"""What the pipe tells of one request and its answer, and what is made of it.

The pipe passes bytes on first and tells of them afterwards. Nothing here raises, awaits or touches what
is passed on. The methods of a ``WatchedExchange`` are called in this order::

    open ─> sent* ─┬─> asked ─> sent* ─> head ─> read* ─> ended
                   └─> ended("unreachable")
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import field, frozen

from lm_deluge.config import Limits
from lm_deluge.observers.attach import attach
from lm_deluge.observers.handler_methods import methods_of
from lm_deluge.proxy.asked import AppAsks, target_of
from lm_deluge.proxy.planned import WatchedPlan, WatchedStream
from lm_deluge.proxy.tags import TAGS_HEADER, client_of, tags_in_body, tags_in_header
from lm_deluge.proxy.telling import Telling
from lm_deluge.proxy.watched import Watched
from lm_deluge.values.addresses import redact_url
from lm_deluge.values.checks import checked_flag, checked_number, checked_tags
from lm_deluge.values.redaction import Redactor

if TYPE_CHECKING:
    from lm_deluge.recording import Recorder

__all__ = ["Ending", "RequestHead", "WatchedExchange", "Watcher"]

Ending: TypeAlias = Literal["whole", "short", "reset", "reader left", "unreachable", "cut by us"]
"""How an exchange ended. ``whole``: the answer's body came to its end. ``short``: its connection was closed
before that. ``reset``: it broke. ``reader left``: the app closed its own. ``unreachable``: there was
no connection to the upstream, or no head of an answer came over it. ``cut by us``: the proxy ended it."""


#: Idempotency keys that are remembered, so that one that comes again is known.
_KEYS: Final = 10_000


@frozen(eq=False, kw_only=True)
class RequestHead:
    """The head of a request, and where it goes.

    ``target``: path and query, as the app wrote them. ``headers``: as the app sent them, in order.
    ``base_url``: the upstream's, up to the version of its API. ``path``: what follows it, without query.
    ``dialect``: whose wire the path is, ``None`` for one that does not stream answers. ``fault``: the one
    that the proxy injects. ``received``: when the head was there, by ``time.perf_counter``.
    """

    method: str
    target: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    base_url: str = field(repr=False)
    path: str
    dialect: str | None = None
    fault: str | None = None
    received: float = field(factory=perf_counter)


class WatchedExchange:
    """One request and its answer, told by the pipe in order. No method raises, none waits.

    This one listens to nothing.
    """

    __slots__ = ()

    def sent(self, data: bytes) -> None:
        """Bytes of the request's body went upstream; ``b""``: it is whole."""

    def asked(self, connected: float) -> None:
        """The request's head was written just now, over a connection that took so many seconds; 0 for
        one that was open."""

    def head(
        self, status: int, headers: Sequence[tuple[str, str]], arrived: float | None = None
    ) -> None:
        """The head of the answer came; of none that is informational (1xx).

        ``arrived``: when, by ``time.perf_counter``, if not just now.
        """

    def read(self, data: bytes, arrived: float) -> None:
        """Bytes of the answer's body were passed on, without the framing of chunks.

        ``data``: as they came, compressed or not. ``arrived``: when, by ``time.perf_counter``.
        """

    def ended(
        self, how: Ending, cause: BaseException | None = None, arrived: float | None = None
    ) -> None:
        """It is over; once. ``cause``: what broke it. ``arrived``: when that was, if not just now."""


class Watcher:
    """Who listens to all exchanges of a proxy: the handlers hear of each stream, and of the rest.

    ``handlers``: as those of a client; besides the six methods they may have ``on_request`` and ``on_note``.
    ``tags``: of every stream. ``body_tags``: whether ``metadata`` and ``user`` of a request become tags.
    ``record``: the file of recordings that each stream goes into. ``handler_wait``: seconds that an ending
    waits for ``async`` handlers.

    Raises ``TypeError`` or ``ValueError`` naming an argument that makes no sense.
    """

    def __init__(
        self,
        handlers: Sequence[object] = (),
        *,
        tags: Mapping[str, Any] | None = None,
        body_tags: bool = False,
        record: Recorder | None = None,
        handler_wait: float = 5.0,
    ) -> None:
        self.handlers: Final = tuple(handlers)
        for handler in self.handlers:
            methods_of(handler)
        self.telling: Final = Telling(self.handlers)
        self._tags = checked_tags("tags", tags)
        self._body_tags = checked_flag("body_tags", body_tags)
        self._record = record
        self._handler_wait = float(checked_number("handler_wait", handler_wait, 0))
        self._limits = Limits()
        self._keys: OrderedDict[int, int] = OrderedDict()
        self._ends: set[asyncio.Future[None]] = set()

    def open(self, head: RequestHead) -> WatchedExchange:
        """Return who is told of a request; its head is there, and nothing went upstream yet."""
        from lm_deluge.proxy.listening import Listening  # it knows what is defined here

        return Listening(self, head)

    def watch(
        self,
        head: RequestHead,
        headers: Mapping[str, str],
        asks: AppAsks,
        *,
        began: float,
        known_as: str,
        redactor: Redactor,
        body: bytes,
        note: Callable[[int, str], object],
    ) -> tuple[Watched, WatchedStream]:
        """Return the life of a stream, and the stream, which has not started.

        ``began``: t0. ``known_as``: its id.
        """
        assert head.dialect is not None
        tags, wrong = self._tags_of(headers, asks)
        recorder = self._record.for_stream() if self._record is not None else None
        target = target_of(
            asks,
            head.dialect,
            head.base_url,
            head.path,
            redactor,
            body if recorder is not None else b"",
        )
        plan = WatchedPlan(
            targets=(target,),
            redactor=redactor,
            tags=tags,
            limits=self._limits,
            handler_wait=self._handler_wait,
        )
        watched = Watched(
            plan, known_as=known_as, began=began, recorder=recorder, note=note, ends=self._ends
        )
        stream = WatchedStream(
            watched,
            model=target.info.name,
            base_url=redact_url(head.base_url),
            tags=tags,
            prompt=asks.prompt,
            redactor=redactor,
        )
        stream.fault = head.fault
        stream.app_retry = self._retry_of(headers)
        if recorder is not None:
            attach(recorder, stream)
        for handler in self.handlers:
            attach(handler, stream)
        for what in wrong:
            note(0, f"{TAGS_HEADER}: {what} was left out")
        return watched, stream

    def _tags_of(
        self, headers: Mapping[str, str], asks: AppAsks
    ) -> tuple[dict[str, Any], list[str]]:
        """Return a stream's tags, and what was wrong with others: the nearer to the request, the stronger."""
        tags: dict[str, Any] = dict(self._tags)
        if (client := client_of(headers.get("user-agent"))) is not None:
            tags["client"] = client
        if self._body_tags and asks.body is not None:
            tags |= tags_in_body(asks.body)
        in_header, wrong = tags_in_header(headers.get(TAGS_HEADER, ""))
        return {**tags, **in_header}, wrong

    def _retry_of(self, headers: Mapping[str, str]) -> int | None:
        """Return which one of the app's own retries a request is; ``None`` for a first one."""
        told = headers.get("x-stainless-retry-count", "")
        if told.isascii() and told.isdigit() and len(told) < 6:
            return int(told) or None
        key = headers.get("idempotency-key")
        if not key:
            return None
        known = hash(key)
        count = self._keys.pop(known, -1) + 1
        self._keys[known] = count
        if len(self._keys) > _KEYS:
            self._keys.popitem(last=False)
        return count or None

    async def aclose(self) -> None:
        """Wait until every handler has heard the endings of all streams that were told."""
        while self._ends:
            await asyncio.wait(tuple(self._ends))
