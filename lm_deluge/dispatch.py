"""From a stream's pieces to its receivers: in order, isolated, timed.

Plain methods are called at once. ``async`` methods get a cursor of their own: a task that awaits them
in order, so that a slow one delays nobody.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from attrs import evolve

from lm_deluge.handlers import ROUTER_IDS, Attachment, process_roster
from lm_deluge.payloads import Delta, HandlerFailure, Token
from lm_deluge.redaction import Redactor
from lm_deluge.signals import StreamSignal, on_delta, on_token

if TYPE_CHECKING:
    from lm_deluge.stream import Stream

__all__ = ["Dispatcher"]

logger = logging.getLogger("lm_deluge")

#: A receiver ready to be called with (stream, payload), and what it is called in a failure.
Call = tuple[Callable[..., Any], "Attachment | str"]

#: Seconds that a cancelled handler gets to end before the stream goes on without it.
_CANCEL_GRACE = 1.0


class Dispatcher:
    """The receivers of one stream.

    ``failures``: what went wrong in handlers so far. ``busy``: seconds the inline receivers held the
    event loop for the last network read. ``fatal``: the first failure, if the client is strict.
    """

    __slots__ = (
        "_closed",
        "_cursors",
        "_for_pieces",
        "_for_pieces_at",
        "_interrupt",
        "_redactor",
        "_stream",
        "_strict",
        "busy",
        "failures",
        "fatal",
        "stopped",
    )

    def __init__(
        self,
        stream: Stream,
        *,
        strict: bool,
        interrupt: Callable[[], None],
        redactor: Redactor,
    ) -> None:
        self.failures: list[HandlerFailure] = []
        self.busy = 0.0
        self.fatal: HandlerFailure | None = None
        self.stopped = False
        self._closed = False
        self._stream = stream
        self._strict = strict
        self._interrupt = interrupt
        self._redactor = redactor
        self._cursors: dict[Attachment, _Cursor] = {}
        self._for_pieces: tuple[Sequence[Call], Sequence[Call]] = ((), ())
        self._for_pieces_at = -1

    def emit(self, signal: StreamSignal, *payload: Any) -> None:
        """Send a signal to everyone who listens; nobody's failure stops the others.

        What is no ``Exception`` (``SystemExit``, ``KeyboardInterrupt``) goes on after all have heard.
        """
        passing: BaseException | None = None
        for call, owner in self._calls(signal):
            try:
                result = call(self._stream, *payload)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a handler may raise anything
                self._failed(owner, signal.name, error)
            except BaseException as error:  # noqa: BLE001 - goes on after all have heard
                passing = passing or error
            else:
                if result is not None:
                    self._returned(owner, signal.name, result)
        if passing is not None:
            raise passing

    def emit_pieces(self, pieces: Sequence[Token | Delta]) -> None:
        """Send the pieces of one network read, in order."""
        stream = self._stream
        changes = StreamSignal.changes
        token_calls, delta_calls = (
            self._for_pieces if self._for_pieces_at == changes else self._resolve()
        )
        if not token_calls and not delta_calls:
            self.busy = 0.0
            return
        begun = perf_counter()
        for piece in pieces:
            for call, owner in token_calls if type(piece) is Token else delta_calls:
                try:
                    result = call(stream, piece)
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a handler may raise anything
                    name = "on_token" if type(piece) is Token else "on_delta"
                    self._failed(owner, name, error)
                else:
                    if result is not None:
                        name = "on_token" if type(piece) is Token else "on_delta"
                        self._returned(owner, name, result)
            if StreamSignal.changes != changes:
                if self.stopped:
                    break
                changes = StreamSignal.changes
                token_calls, delta_calls = self._resolve()
        self.busy = perf_counter() - begun

    def stop(self) -> None:
        """Send no further pieces, not even those of the read at hand."""
        self.stopped = True
        StreamSignal.changes += 1

    async def settle(self, limit: float) -> None:
        """Wait until the async handlers have heard everything, at most ``limit`` seconds."""
        tasks = {}
        for attachment, cursor in self._cursors.items():
            if (task := cursor.finish()) is not None:
                tasks[task] = (attachment, cursor)
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, timeout=limit)
        finally:
            late = [task for task in tasks if not task.done()]
            for task in late:
                attachment, cursor = tasks[task]
                text = f"still {cursor.behind} calls behind {limit:g} s after the stream ended"
                self._note(attachment.label, cursor.method, "HandlerLagging", text)
                task.cancel()
        if late:
            await asyncio.wait(late, timeout=_CANCEL_GRACE)

    def close(self) -> None:
        """Let go of every handler and of the stream's receivers."""
        self.stopped = True
        if self._closed:
            return
        for attachment in self._stream.roster.attachments:
            attachment.detach()
        self._cursors.clear()
        self._for_pieces, self._for_pieces_at = ((), ()), -1
        # Nothing is emitted from here on, and the stream and all it holds must go when its user lets
        # go of it, without waiting for the cycle collector.
        self._closed = True
        del self._stream, self._interrupt

    def deliver(self, attachment: Attachment, name: str, *payload: Any) -> None:
        """Call one method of an attached handler, isolated."""
        call, owner = self._call(attachment, name)
        try:
            result = call(self._stream, *payload)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a handler may raise anything
            self._failed(owner, name, error)
        else:
            if result is not None:
                self._returned(owner, name, result)

    def _resolve(self) -> tuple[Sequence[Call], Sequence[Call]]:
        """Return who hears tokens and who hears deltas; kept until somebody comes or goes."""
        changes = StreamSignal.changes
        token_calls, delta_calls = self._calls(on_token), self._calls(on_delta)
        # Raw receivers may be held weakly by blinker: keeping them would keep them alive.
        if all(isinstance(owner, Attachment) for _, owner in (*token_calls, *delta_calls)):
            self._for_pieces, self._for_pieces_at = (token_calls, delta_calls), changes
        return token_calls, delta_calls

    def _calls(self, signal: StreamSignal) -> Sequence[Call]:
        """Return who is to be called now, in order."""
        if not signal.receivers or signal.is_muted:
            return ()
        name = signal.name
        calls: list[Call] = [
            self._call(attachment, name)
            for roster in (process_roster, self._stream.roster)
            for attachment in roster.attachments
            if name in attachment.methods
        ]
        calls += [
            (_by_keyword(receiver, signal.payload), _label(receiver))
            for receiver in signal.receivers_for(self._stream)
            if id(receiver) not in ROUTER_IDS
        ]
        return calls

    def _call(self, attachment: Attachment, name: str) -> Call:
        method = attachment.methods[name]
        if name in attachment.queued:
            return partial(self._cursor(attachment).push, name, method), attachment
        return method, attachment

    def _cursor(self, attachment: Attachment) -> _Cursor:
        cursor = self._cursors.get(attachment)
        if cursor is None:
            cursor = self._cursors[attachment] = _Cursor(partial(self._failed, attachment))
        return cursor

    def _returned(self, owner: Attachment | str, name: str, result: object) -> None:
        """A plain function returned something: an awaitable is an ``async`` one in disguise."""
        if not inspect.isawaitable(result):
            return
        if isinstance(owner, Attachment):
            self._cursor(owner).push_awaitable(name, result)
            return
        if inspect.iscoroutine(result):
            result.close()
        advice = TypeError(
            "a coroutine function cannot be connected to a signal: "
            "attach an object with an async method (lm_deluge.attach)"
        )
        self._failed(owner, name, advice)

    def _failed(self, owner: Attachment | str, name: str, error: BaseException) -> None:
        label = owner.label if isinstance(owner, Attachment) else owner
        if self._note(label, name, type(error).__name__, str(error)):
            # As text: a log record that kept the exception would keep the stream.
            text = self._redactor.text("".join(traceback.format_exception(error)))
            logger.error("handler %s failed in %s of stream %s\n%s", label, name,
                         self._stream.id, text)  # fmt: skip

    def _note(self, label: str, method: str, kind: str, message: str) -> bool:
        """Count a failure in; return whether it is the first of its kind."""
        for position, known in enumerate(self.failures):
            if (known.handler, known.method, known.type) == (label, method, kind):
                self.failures[position] = evolve(known, count=known.count + 1)
                return False
        failure = HandlerFailure(label, method, kind, self._redactor.text(message))
        self.failures.append(failure)
        if self._strict and self.fatal is None:
            self.fatal = failure
            self.stop()
            self._interrupt()
        return True


class _Cursor:
    """The place of one handler's ``async`` methods in one stream."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self.method = ""
        self._failed = failed
        self._queue: deque[tuple[str, Callable[[], Awaitable[Any]]]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._finishing = False

    @property
    def behind(self) -> int:
        """Calls not finished yet."""
        return len(self._queue) + 1

    def push(
        self, name: str, method: Callable[..., Awaitable[Any]], stream: Stream, *payload: Any
    ) -> None:
        """Queue one call."""
        self._push(name, partial(method, stream, *payload))

    def push_awaitable(self, name: str, awaitable: Awaitable[Any]) -> None:
        """Queue what a plain method returned."""
        self._push(name, lambda: awaitable)

    def finish(self) -> asyncio.Task[None] | None:
        """Take no more calls; return the task that still works, ``None`` if all is done."""
        self._finishing = True
        self._wake()
        return self._task if self._task is not None and not self._task.done() else None

    def _push(self, name: str, call: Callable[[], Awaitable[Any]]) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        if not self._task.done():
            self._queue.append((name, call))
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _work(self) -> None:
        while True:
            while self._queue:
                self.method, call = self._queue.popleft()
                try:
                    await call()
                except asyncio.CancelledError as error:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    self._failed(self.method, error)
                except Exception as error:  # noqa: BLE001 - a handler may raise anything
                    self._failed(self.method, error)
            if self._finishing:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None


def _by_keyword(receiver: Callable[..., Any], keyword: str | None) -> Callable[..., Any]:
    """Make a raw receiver callable with (stream, payload), as handlers' methods are."""
    if keyword is None:
        return receiver
    return lambda stream, payload: receiver(stream, **{keyword: payload})


def _label(receiver: Callable[..., Any]) -> str:
    return getattr(receiver, "__qualname__", None) or type(receiver).__name__
