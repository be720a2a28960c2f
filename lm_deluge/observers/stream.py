"""``Stream``: the sender of every signal, and the handle of whoever consumes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge.observers.attach import Sender
from lm_deluge.observers.life import Life
from lm_deluge.signals import StreamSignal
from lm_deluge.values.locking import LOCK
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.prompt_facts import PromptFacts
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.response import APIResponse, Partial

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge.observers.objects import Objects
    from lm_deluge.observers.stream_request import StreamRequest

__all__ = ["Stream", "outcome_of"]


class Stream(Sender):
    """One stream. It exists before anything is sent, so that receivers can be connected to it first.

    It starts at the first step of whoever consumes it, once::

        async with client.open_stream(prompt) as stream:
            async for token in stream:      # Token objects; stream.pieces(): Deltas, too
                ...
        stream.response                     # the APIResponse, once whole

        response = await client.open_stream(prompt)     # the same without the tokens

    Leaving the ``async with`` block, or the loop, before the end cancels the stream. All errors are
    ``StreamError``; ``stream.cancel()`` makes it ``StreamCancelled``.

    ``model``: the model asked for. ``base_url``: where it is served, without credentials. ``tags``:
    the caller's. ``redactor``: takes the stream's secrets out of what a handler writes down
    (``stream.redactor.text(text)``).
    """

    def __init__(
        self,
        life: Life,
        *,
        model: str,
        base_url: str,
        tags: Mapping[str, Any],
        prompt: PromptFacts,
        redactor: Redactor,
    ) -> None:
        super().__init__()
        self.model = model
        self.base_url = base_url
        self.tags = tags
        self.redactor = redactor
        self._prompt = prompt
        self._life = life
        life.dispatcher.serve(self)
        self._finished: asyncio.Future[None] | None = None
        self._iterated = False

    def __repr__(self) -> str:
        return f"<Stream {self.id} {self.model} {self.state}>"

    def __reduce__(self) -> NoReturn:
        message = (
            "a Stream cannot be copied or pickled: it belongs to its event loop; keep stream.id"
        )
        raise TypeError(message)

    @property
    def id(self) -> str:
        """Unique across machines."""
        return self._life.id

    @property
    def prompt_chars(self) -> int:
        """Characters of text in the prompt."""
        return self._prompt.chars

    @property
    def prompt(self) -> str:
        """How the last user message begins: up to 200 characters, without secrets; ``""`` without text."""
        return self._prompt.begins(self.redactor)

    @property
    def prompt_hash(self) -> str:
        """16 hex digits: the same for the same conversation, whichever model is asked and however.

        Worked out when it is first asked for, in a millisecond for a megabyte, from any thread.
        """
        return self._prompt.hash

    @property
    def request(self) -> StreamRequest:
        """What the model at hand is asked for: model, parameters, tools, messages, without secrets."""
        return self._life.request()

    @property
    def started_at(self) -> datetime | None:
        """Wall clock, UTC; ``None`` before ``on_start``."""
        return self._life.started_at

    @property
    def queued(self) -> float:
        """Seconds it waited for a free slot (``max_concurrent_streams``)."""
        return self._life.queued

    @property
    def attempt(self) -> int:
        """1-based number of the request at hand, 0 before the first."""
        return self._life.attempt

    @property
    def response(self) -> APIResponse | None:
        """The response, once whole."""
        ending = self._life.ending
        return ending if isinstance(ending, APIResponse) else None

    @property
    def error(self) -> StreamError | None:
        """How it ended, if any other way; also before its start, when nobody heard of it."""
        ending = self._life.ending or self._life.outcome
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
        return self._life.partial()

    @property
    def elapsed(self) -> float:
        """Seconds since t0 (just before the first request), monotonic clock; 0 before it."""
        return self._life.elapsed()

    @property
    def busy(self) -> float:
        """Seconds that plain receivers held the event loop for the network read before this one."""
        return self._life.dispatcher.busy

    def cancel(
        self, reason: str = "stream.cancel() was called", *, cause: BaseException | None = None
    ) -> None:
        """End the stream; whoever awaits it gets ``StreamCancelled``. Nothing happens after its end.

        Can be called from any thread, at any time; it never raises. ``cause``: the exception that is
        the reason; it becomes the error's ``__cause__``.
        """
        error = StreamCancelled(reason)
        error.__cause__ = cause
        with LOCK:
            if self._finished is None:
                self._life.outcome = self._life.outcome or error
                return
        self._life.stop(error)

    def start(self) -> asyncio.Future[None]:
        """Start the stream without consuming it; a second time does nothing.

        The future returned is done once the stream has ended and every handler was heard; the result
        is in ``response`` or ``error``. Inside a handler of the stream it is done once the ending was
        told. Cancelling it does nothing to the stream.
        """
        self._begin()
        return asyncio.shield(self._end())

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop it runs in; ``None`` before its start and after its end."""
        return self._life.loop

    def _begin(self) -> asyncio.Future[None]:
        if self._finished is not None:
            return self._finished
        loop = asyncio.get_running_loop()
        with LOCK:  # whoever cancels it meanwhile, in another thread, must not be missed
            is_cancelled = self._life.outcome is not None
            self._finished = finished = (
                loop.create_future() if is_cancelled else self._life.prepare(loop)
            )
        if is_cancelled:
            finished.set_result(None)
            self._life.dispatcher.close()
        else:
            self._life.start(self)
        return finished

    def _end(self) -> asyncio.Future[None]:
        """Return what this code can wait for: the end waits for what runs inside the handlers."""
        finished = self._finished or self._begin()
        if finished.done() or not self._life.dispatcher.is_inside():
            return finished
        return self._life.told()

    def until_end(self) -> asyncio.Future[None]:
        """Start it if need be; return what whoever consumes it waits for, before ``result``."""
        end = self._begin() if self._finished is None else self._end()
        self._life.is_awaited = True
        return end

    def _pass_on(self) -> None:
        """Raise the ``KeyboardInterrupt`` or ``SystemExit`` that ended the stream, once."""
        passing = self.take_passing()
        if passing is not None:
            try:
                raise passing
            finally:
                del passing

    def take_passing(self) -> BaseException | None:
        """Return what ended the stream and is to go on, to the first who asks; for ``stream_many``."""
        passing, self._life.passing = self._life.passing, None
        return passing

    def leave(self, reason: str) -> asyncio.Future[None]:
        """End the stream if it runs; return a future of its end.

        A task that was cancelled does not wait for handlers longer than 1 s.
        """
        if self._finished is None:
            self.cancel(reason)
            self._begin()
        end = self._end()
        if not end.done():
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                self._life.hurry()
            self._life.is_awaited = True
            self._life.stop(StreamCancelled(reason))
        return end

    def deliver(self, signal: StreamSignal, *payload: Any) -> None:
        """Let everyone who listens hear a signal that was sent by hand; see ``lm_deluge.signals``."""
        self._life.dispatcher.deliver(signal, *payload)

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
        self._note_loop()
        # Loaded with the first loop: an import of the package has a budget, and many only await.
        from lm_deluge.observers.loops import TokenQueue, looped

        return looped(self, TokenQueue)

    def pieces(self) -> AsyncGenerator[Token | Delta, None]:
        """Yield all that arrives, ``Token``s and ``Delta``s in their order; raise how the stream ended.

        None is dropped, however slowly they are taken. A stream has one loop, this or over its tokens
        (``RuntimeError`` for a second): leaving it early ends the stream. Of one that runs already
        it yields what is still to come.
        """
        self._note_loop()
        from lm_deluge.observers.loops import PieceQueue, looped

        return looped(self, PieceQueue)

    def _note_loop(self) -> None:
        if self._iterated:
            message = (
                "this stream was iterated already, and has one loop over its tokens or its pieces(); open "
                "another one, or attach a handler (ChunkCollector) to look at them again"
            )
            raise RuntimeError(message)
        self._iterated = True

    def objects(self, schema: Any = None, *, tool: str | bool | None = None) -> Objects:
        """Return the object in the answer as it grows, for ``async for``: looked at every 50 ms at most.

        ``schema``: what it is; without one that of ``schema=``, or any JSON. ``tool``: in the arguments of
        calls of the tool so named, or with ``True`` of any, instead of the text. Where the request had no
        ``schema=``, an answer that says nothing in JSON and calls tools is looked for in their arguments.

        Yields plain dicts and lists, not to be changed, and last what was asked for. At its end it raises
        ``SchemaError`` for what is none, and the ``StreamError`` that ended the stream.
        """
        # Few programs look at objects.
        from lm_deluge.observers.objects import objects_of

        return objects_of(self, schema, tool, self.shape)

    async def aclose(self, reason: str = "its consumer walked away") -> None:
        """End the stream if it runs and wait until it has ended. Without effect after the end."""
        end = self.leave(reason)
        if not end.done():
            await asyncio.shield(end)
            self._pass_on()

    def result(self) -> APIResponse | StreamError:
        """How it ended; for a stream that has (``RuntimeError`` otherwise).

        Raises the ``KeyboardInterrupt`` or ``SystemExit`` of a handler that ended it, once.
        """
        outcome, finished = self._life.outcome, self._finished
        if outcome is None or finished is None or not (finished.done() or self._end().done()):
            message = f"stream {self.id} has not ended yet"
            raise RuntimeError(message)
        if self._life.passing is not None:
            self._pass_on()
        return outcome


async def outcome_of(stream: Stream) -> APIResponse:
    """Run a stream to its end; return its response or raise its error.

    A cancellation of the waiting task cancels the stream and goes on when it has ended. None of the
    frames that an exception keeps holds the stream.
    """
    try:
        end = stream.until_end()
        try:
            await asyncio.shield(end)
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
