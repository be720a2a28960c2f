"""``Smooth``, around any handler."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve

from lm_deluge import APIResponse, Delta, Retry, Stream, StreamHandler, Token, attach
from lm_deluge.config import checked_number
from lm_deluge.errors import StreamError
from lm_deluge_plugins.smooth.pacing import STEP, Pacer
from lm_deluge_plugins.smooth.units import graphemes

__all__ = ["Smooth", "checked_delay"]


class Smooth(StreamHandler):
    """Lets a handler hear text as a steady flow of words, however it arrives.

    The handler hears the same six methods, plain or ``async``. Its ``on_token`` hears the same text in
    order, cut anew: after words, or after characters where words are not written apart, and never within
    a character as people see it (a flag, a family, a letter with its accents) as long as its parts arrive
    within the delay. A ``Token`` that it hears counts from 0 in its own pieces (``index``), and tells the
    arrival of the last of its text (``arrived``, ``read``, ``choice``, ``phase``).

    The pace follows that of arrival, so that nothing piles up; the first word goes at once, and nothing
    waits longer than ``max_delay``. What waits is let through before anything else that the handler hears:
    reasoning, a tool call, a retry, and the ending, also that of a stream which was cancelled or broke. What
    is recorded of the stream is not changed: its timeline, its response and other handlers are as without.

    One ``Smooth`` may hear many streams. ``handler``: any handler. ``max_delay``: seconds, 0.05 to 0.4.

    Raises ``ImportError`` without regex (the extra ``smooth``), ``TypeError`` for what is no handler and
    ``ValueError`` for a delay out of range.
    """

    def __init__(self, handler: object, *, max_delay: float = 0.4) -> None:
        names = ("on_start", "on_token", "on_delta", "on_retry", "on_complete", "on_error")
        self._methods: dict[str, Callable[..., Any]] = {
            name: getattr(handler, name) for name in names if callable(getattr(handler, name, None))
        }
        attach(handler).detach()  # what is no handler is told here
        self._delay = checked_delay("max_delay", max_delay)
        self._flows: dict[str, _Flow] = {}

    def on_start(self, stream: Stream) -> Any:
        """Pass it on."""
        return self._flow(stream).pass_on("on_start")

    def on_token(self, stream: Stream, token: Token) -> None:
        """Take a piece; the handler hears it soon."""
        self._flow(stream).take(token)

    def on_delta(self, stream: Stream, delta: Delta) -> Any:
        """Let through what waits, and pass it on."""
        return self._flow(stream).pass_on("on_delta", delta)

    def on_retry(self, stream: Stream, retry: Retry) -> Any:
        """Let through what waits, and pass it on."""
        return self._flow(stream).pass_on("on_retry", retry)

    def on_complete(self, stream: Stream, response: APIResponse) -> Any:
        """Let through what waits, and pass it on."""
        flow = self._flow(stream)
        del self._flows[stream.id]
        return flow.pass_on("on_complete", response, last=True)

    def on_error(self, stream: Stream, error: StreamError) -> Any:
        """Let through what waits, and pass it on."""
        flow = self._flow(stream)
        del self._flows[stream.id]
        return flow.pass_on("on_error", error, last=True)

    def _flow(self, stream: Stream) -> _Flow:
        flow = self._flows.get(stream.id)
        if flow is None:
            flow = self._flows[stream.id] = _Flow(stream, self._methods, self._delay)
        return flow


def checked_delay(name: str, value: float) -> float:
    """Return the seconds for which text may be held back, an argument's value.

    Raises ``ImportError`` without regex, ``TypeError`` for what is no number and ``ValueError`` out of range.
    """
    delay = float(checked_number(name, value, 0.05, 0.4, unit="seconds"))
    graphemes("")  # what is missing is told here
    return delay


class _Flow:
    """What one stream says, on its way to the handler."""

    def __init__(
        self, stream: Stream, methods: dict[str, Callable[..., Any]], max_delay: float
    ) -> None:
        self._stream: Stream | None = stream
        self._methods = methods
        self._max_delay = max_delay
        self._pacers: dict[tuple[int, str | None], Pacer[Token]] = {}
        self._heard = 0
        self._timer: asyncio.TimerHandle | None = None
        self._failures: deque[BaseException] = deque()
        self._queue: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    def take(self, token: Token) -> None:
        """Take a piece that arrived."""
        key = (token.choice, token.phase)
        pacer = self._pacers.get(key)
        if pacer is None:
            self._let_through(everything=True)  # the phase before is over
            pacer = self._pacers[key] = Pacer(self._max_delay)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a signal sent by hand, where no loop runs
            pacer.feed(token.text, 0.0, token)
            self._let_through(everything=True)
        else:
            pacer.feed(token.text, loop.time(), token)
            if self._timer is None:
                self._step(loop)
        self._raise_failure()

    def pass_on(self, name: str, *payload: Any, last: bool = False) -> Awaitable[None] | None:
        """Let the handler hear all that waits, and then this; what it returns is to be awaited."""
        self._stop_timer()
        self._let_through(everything=True)
        self._call(name, *payload)
        worker = self._worker
        if last:
            self._stream = None
        if worker is not None:
            return self._settle(worker) if last else None
        self._raise_failure()
        return None

    async def _settle(self, worker: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(worker)
        except asyncio.CancelledError:
            worker.cancel()
            raise
        self._raise_failure()

    def _step(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._let_through(everything=False, now=loop.time())
        if any(not pacer.is_empty for pacer in self._pacers.values()):
            self._timer = loop.call_later(STEP, self._step, loop)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _let_through(self, *, everything: bool, now: float = 0.0) -> None:
        for pacer in list(self._pacers.values()):
            for text, token in pacer.flush() if everything else pacer.due(now):
                piece = evolve(token, text=text, index=self._heard)
                self._heard += 1
                self._call("on_token", piece)

    def _call(self, name: str, *payload: Any) -> None:
        """Call a method of the handler, in order; what fails is raised from the next call of ours."""
        method = self._methods.get(name)
        if method is None:
            return
        if self._worker is not None:  # behind what is still awaited
            self._queue.append((method, (self._stream, *payload)))
            return
        try:
            result = method(self._stream, *payload)
        except Exception as error:  # noqa: BLE001 - told with the stream's next call
            self._failures.append(error)
            return
        if inspect.isawaitable(result):
            self._worker = asyncio.ensure_future(self._work(result))

    async def _work(self, result: Awaitable[Any]) -> None:
        try:
            await self._heard_out(result)
            while self._queue:
                method, arguments = self._queue.popleft()
                try:
                    result = method(*arguments)
                except Exception as error:  # noqa: BLE001 - told with the stream's next call
                    self._failures.append(error)
                    continue
                if inspect.isawaitable(result):
                    await self._heard_out(result)
        finally:
            self._worker = None

    async def _heard_out(self, result: Awaitable[Any]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001 - told with the stream's next call
            self._failures.append(error)

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures.popleft()
