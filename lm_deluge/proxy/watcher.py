"""Who listens to all that a proxy passes on."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lm_deluge.config import Limits
from lm_deluge.observers.attach import attach
from lm_deluge.observers.handler_methods import methods_of
from lm_deluge.observers.method_names import BESIDE
from lm_deluge.proxy.asked import AppAsks, asks_of, target_of
from lm_deluge.proxy.exchange import RequestHead, WatchedExchange
from lm_deluge.proxy.keeping import Keeping
from lm_deluge.proxy.listening import Listening
from lm_deluge.proxy.planned import AppStream, WatchedPlan
from lm_deluge.proxy.tags import TAGS_HEADER, client_of, tags_in_body, tags_in_header
from lm_deluge.proxy.telling import Telling
from lm_deluge.proxy.watched import AppLife
from lm_deluge.values.addresses import redact_url
from lm_deluge.values.checks import checked_flag, checked_number, checked_tags
from lm_deluge.values.redaction import Redactor

if TYPE_CHECKING:
    from lm_deluge.recording import Recorder

__all__ = ["Watcher"]

#: Idempotency keys that are remembered, so that one that comes again is known.
_KEYS: Final = 10_000


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
        self.telling: Final = Telling(self.handlers)
        self.keeping: Final = Keeping()
        self._listeners = [one for one in self.handlers if _hears_streams(one)]
        self._tags = checked_tags("tags", tags)
        self._body_tags = checked_flag("body_tags", body_tags)
        self._record = record
        self._handler_wait = float(checked_number("handler_wait", handler_wait, 0))
        self._limits = Limits()
        self._keys: OrderedDict[int, int] = OrderedDict()
        self._ends: set[asyncio.Future[None]] = set()

    def prepare(self) -> None:
        """Load what streams of every wire need, so that no first one waits for it."""
        redactor = Redactor()
        for wire in ("chat", "responses", "messages", "gemini"):
            asks = asks_of(wire, "/", b"")
            target = target_of(asks, wire, "http://localhost", "/", redactor, b"")
            target.dialect.answer(
                choices=1, limits=self._limits, accept_eof=False, redactor=redactor
            )

    def open(self, head: RequestHead) -> WatchedExchange:
        """Return who is told of a request; its head is there, and nothing went upstream yet."""
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
    ) -> tuple[AppLife, AppStream]:
        """Return the life of a stream, and the stream, which has not started.

        ``began``: t0. ``known_as``: its id.
        """
        assert head.dialect is not None
        tags, wrong = self._tags_of(headers, asks, redactor)
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
            asks=asks,
            redactor=redactor,
            tags=tags,
            limits=self._limits,
            handler_wait=self._handler_wait,
        )
        watched = AppLife(
            plan, known_as=known_as, began=began, recorder=recorder, note=note, ends=self._ends
        )
        stream = AppStream(
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
        for handler in self._listeners:
            attach(handler, stream)
        for what in wrong:
            note(0, f"{TAGS_HEADER}: {what} was left out")
        return watched, stream

    def _tags_of(
        self, headers: Mapping[str, str], asks: AppAsks, redactor: Redactor
    ) -> tuple[dict[str, Any], list[str]]:
        """Return a stream's tags, and what was wrong with others: the nearer to the request, the stronger."""
        told: dict[str, Any] = {}
        agent = headers.get("user-agent")
        if agent is not None and (client := client_of(redactor.text(agent))) is not None:
            told["client"] = client
        if self._body_tags and asks.body is not None:
            told |= tags_in_body(asks.body)
        in_header, wrong = tags_in_header(headers.get(TAGS_HEADER, ""))
        return {**self._tags, **redactor.data({**told, **in_header})}, wrong

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


def _hears_streams(handler: object) -> bool:
    """Whether it is a handler of streams; raises ``TypeError`` for what is none of any kind."""
    try:
        methods_of(handler)
    except TypeError:
        if not any(callable(getattr(handler, name, None)) for name in BESIDE):
            raise
        return False
    return True
