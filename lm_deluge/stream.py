"""``Stream``: the sender of every signal, and the handle of whoever consumes it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Generator, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lm_deluge.engine import Engine
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge.handlers import Attachment, Sender, attach
from lm_deluge.payloads import Token
from lm_deluge.plan import Plan
from lm_deluge.redaction import Redactor
from lm_deluge.response import APIResponse, Partial

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Stream", "outcome_of"]


class Stream(Sender):
    """One stream. It exists before anything is sent, so that receivers can be connected to it first.

    It starts at the first step of whoever consumes it, once::

        async with client.open_stream(prompt) as stream:
            async for token in stream:      # Token objects
                ...
        stream.response                     # the APIResponse, once whole

        response = await client.open_stream(prompt)     # the same without the tokens

    Leaving the ``async with`` block, or the loop, before the end cancels the stream. All errors are
    ``StreamError``; ``stream.cancel()`` makes it ``StreamCancelled``.

    ``model``: the model asked for. ``base_url``: where it is served, without credentials. ``tags``:
    the caller's. ``prompt_chars``: characters of text in the prompt. ``redactor``: takes the stream's
    secrets out of what a handler writes down (``stream.redactor.text(text)``).
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        target = plan.targets[0]
        self.model = target.info.name
        self.base_url = target.request.shown_url
        self.tags: Mapping[str, Any] = plan.tags
        self.prompt_chars = plan.prompt_chars
        self.redactor: Redactor = plan.redactor
        self._engine = Engine(self, plan)
        self._finished: asyncio.Future[None] | None = None
        self._iterated = False

    def __repr__(self) -> str:
        return f"<Stream {self.id} {self.model} {self.state}>"

    @property
    def id(self) -> str:
        """Unique across machines."""
        return self._engine.id

    @property
    def started_at(self) -> datetime | None:
        """Wall clock, UTC; ``None`` before ``on_start``."""
        return self._engine.started_at

    @property
    def queued(self) -> float:
        """Seconds it waited for a free slot (``max_concurrent_streams``)."""
        return self._engine.queued

    @property
    def attempt(self) -> int:
        """1-based number of the request at hand, 0 before the first."""
        return self._engine.attempt

    @property
    def response(self) -> APIResponse | None:
        """The response, once whole."""
        ending = self._engine.ending
        return ending if isinstance(ending, APIResponse) else None

    @property
    def error(self) -> StreamError | None:
        """How it ended, if any other way; also before its start, when nobody heard of it."""
        ending = self._engine.ending or self._engine.outcome
        return ending if isinstance(ending, StreamError) else None

    @property
    def state(self) -> str:
        """``"new"``, ``"running"``, ``"complete"`` or ``"error"``."""
        if self.response is not None:
            return "complete"
        if self.error is not None:
            return "error"
        return "running" if self._finished is not None else "new"

    @property
    def partial(self) -> Partial:
        """All that has been received so far; a copy."""
        return self._engine.partial()

    @property
    def elapsed(self) -> float:
        """Seconds since t0 (just before the first request), monotonic clock; 0 before it."""
        return self._engine.elapsed()

    @property
    def busy(self) -> float:
        """Seconds that plain receivers held the event loop for the network read before this one."""
        return self._engine.dispatcher.busy

    def cancel(self, reason: str = "stream.cancel() was called") -> None:
        """End the stream; whoever awaits it gets ``StreamCancelled``. Nothing happens after its end.

        Can be called from any thread.
        """
        error = StreamCancelled(reason)
        if self._finished is None:
            self._engine.outcome = self._engine.outcome or error
        else:
            self._engine.stop(error)

    def start(self) -> asyncio.Future[None]:
        """Start the stream without consuming it; a second time does nothing.

        The future returned is done once the stream has ended and every handler was heard; the result
        is in ``response`` or ``error``.
        """
        if self._finished is None:
            if self._engine.outcome is not None:  # cancelled before its start
                self._finished = asyncio.get_running_loop().create_future()
                self._finished.set_result(None)
                self._engine.dispatcher.close()
            else:
                self._finished = self._engine.start()
        return self._finished

    def deliver(self, attachment: Attachment, name: str, *payload: Any) -> None:
        """Call one method of an attached handler, isolated; for the signals' router."""
        self._engine.dispatcher.deliver(attachment, name, *payload)

    def __await__(self) -> Generator[Any, None, APIResponse]:
        """Run the stream to its end and return the whole response, or raise how it ended."""
        return outcome_of(self).__await__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose("its async with block was left")

    def __aiter__(self) -> AsyncGenerator[Token, None]:
        """Yield the ``Token``s as they arrive, of every choice; raise how the stream ended."""
        if self._iterated:
            message = (
                "this stream's tokens were iterated already; open another one, or attach a "
                "handler (ChunkCollector) to look at them again"
            )
            raise RuntimeError(message)
        self._iterated = True
        return _tokens_of(self)

    async def aclose(self, reason: str = "its consumer walked away") -> None:
        """End the stream if it runs and wait until it has ended. Without effect after the end."""
        if self._finished is None:
            self.cancel(reason)
            self.start()
        elif not self._finished.done():
            self._engine.stop(StreamCancelled(reason))
            await asyncio.shield(self._finished)

    def result(self) -> APIResponse | StreamError:
        """How it ended; for a stream that has (``RuntimeError`` otherwise)."""
        outcome = self._engine.outcome
        if outcome is None or self._finished is None or not self._finished.done():
            message = f"stream {self.id} has not ended yet"
            raise RuntimeError(message)
        return outcome


async def outcome_of(stream: Stream) -> APIResponse:
    """Run a stream to its end; return its response or raise its error.

    A cancellation of the waiting task cancels the stream and goes on when it has ended. None of the
    frames that an exception keeps holds the stream.
    """
    try:
        finished = stream.start()
        try:
            await asyncio.shield(finished)
        except asyncio.CancelledError:
            await stream.aclose("the task that waited for it was cancelled")
            raise
        outcome = stream.result()
    finally:
        del stream
    if isinstance(outcome, StreamError):
        try:
            raise outcome
        finally:
            del outcome
    return outcome


class _TokenQueue:
    """What the consuming loop has not taken yet. Heard through the signals like any handler."""

    __slots__ = (
        "_waiter",
        "tokens",
    )

    def __init__(self) -> None:
        self.tokens: deque[Token] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def on_token(self, stream: Stream, token: Token) -> None:
        """Keep the token and wake the loop."""
        self.tokens.append(token)
        if self._waiter is not None:
            self.wake()

    def wake(self, finished: object = None) -> None:
        """Let ``wait`` return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None

    def wait(self) -> asyncio.Future[None]:
        """Return a future that is done at the next token or the end."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        return waiter


async def _tokens_of(stream: Stream) -> AsyncGenerator[Token, None]:
    queue = _TokenQueue()
    attachment = attach(queue, stream)
    tokens = queue.tokens
    try:
        finished = stream.start()
        finished.add_done_callback(queue.wake)
        while True:
            while tokens:
                yield tokens.popleft()
            if finished.done():
                break
            await queue.wait()
        outcome = stream.result()
    finally:
        attachment.detach()
        try:
            await stream.aclose()
        finally:
            del stream, attachment
    if isinstance(outcome, StreamError):
        try:
            raise outcome
        finally:
            del outcome
