"""``Stream``: the handle of a stream for code without ``async``."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lm_deluge.errors import StreamError
from lm_deluge.observers.attach import attach
from lm_deluge.observers.stream import Stream as AsyncStream
from lm_deluge.sync.background import LEFT_BEHIND, background, is_left_behind, running_background
from lm_deluge.sync.inbox import END, Inbox, PieceInbox, TokenInbox
from lm_deluge.values.checks import checked_number
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.response import APIResponse

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge.sync.objects import ObjectLoop

__all__ = ["Stream"]


class Stream(AsyncStream):
    """One stream, for code without ``async``. It exists before anything is sent.

    It starts at the first step of whoever consumes it, once::

        with client.open_stream(prompt) as stream:
            for token in stream:            # Token objects, as they arrive
                ...
        stream.response                     # the APIResponse, once whole

        response = client.open_stream(prompt).wait()    # the same without the tokens

    Leaving the loop or the ``with`` block before the end, by Ctrl-C too, ends the stream. All errors are
    ``StreamError``. Every thread may use it; one iterates it, once.

    It is the ``lm_deluge.Stream`` that handlers and signals know, and has all that one has. It runs in
    the background thread, and so do its handlers: there it is ended by ``cancel()``, and nothing
    of this class that waits can be called.
    """

    def wait(self, timeout: float | None = None) -> APIResponse:
        """Run the stream to its end; return the whole response, or raise the error that ended it.

        ``timeout``: seconds to wait at most. Raises ``TimeoutError`` after them; the stream goes on, and
        can be waited for again. Ctrl-C ends it.
        """
        deadline = None
        if timeout is not None:
            deadline = monotonic() + checked_number(
                "timeout", timeout, 0, unit="a number of seconds, or None,"
            )
        if not self._has_ended():
            self._wait(deadline)
        outcome = self.result()
        if isinstance(outcome, StreamError):
            try:
                raise outcome
            finally:
                del outcome, self
        return outcome

    def start(self) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - nobody here can await a future
        """Start the stream without consuming it, and return at once; a second time does nothing."""
        if not self._has_ended():
            background().post(self._join, None)

    def stop(self, reason: str = "stream.stop() was called") -> None:
        """End the stream if it runs; wait until it has ended and its handlers have heard of it.

        Without effect after the end. Whoever waits for it gets ``StreamCancelled``.
        """
        if self._finished is not None and not self._has_ended():
            if is_left_behind(self.loop):
                raise RuntimeError(LEFT_BEHIND)
            background()
        self._leave(reason)

    def __iter__(self) -> Generator[Token, None, None]:
        """Yield the ``Token``s as they arrive, of every choice; raise how the stream ended."""
        self._note_loop()
        return self._items(TokenInbox)

    def pieces(self) -> Generator[Token | Delta, None, None]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - the face of a loop without async
        """Yield all that arrives, ``Token``s and ``Delta``s in their order; raise how the stream ended."""
        self._note_loop()
        return self._items(PieceInbox)

    def objects(self, schema: Any = None, *, tool: str | bool | None = None) -> ObjectLoop:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - the face of a loop without async
        """Return the object in the answer as it grows, for ``for``: see ``lm_deluge.Stream.objects``."""
        from lm_deluge.sync.objects import ObjectLoop

        return ObjectLoop(super().objects(schema, tool=tool))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave("its with block was left", hurried=_is_exit(kind))

    def _items(self, kind: type[TokenInbox]) -> Generator[Any, None, None]:
        """Yield what an inbox of this kind hears of it; raise how it ended."""
        inbox = kind(background())
        items = inbox.items
        hurried = False
        attachment = attach(inbox, self)
        try:
            inbox.background.post(self._join, inbox)
            while inbox.wait():
                while (item := items.popleft()) is not END:
                    yield item
                    if not items:
                        break
                else:
                    break
            outcome = self.result()
        except GeneratorExit:
            raise
        except BaseException:
            hurried = True
            raise
        finally:
            attachment.detach()
            try:
                self._leave("its consumer walked away", hurried=hurried)
            finally:
                del self, inbox, items, attachment
        if isinstance(outcome, StreamError):
            try:
                raise outcome
            finally:
                del outcome

    def _has_ended(self) -> bool:
        return self._finished is not None and self._finished.done()

    def _wait(self, deadline: float | None) -> None:
        """Start it if need be and wait for its end; what interrupts that ends it."""
        inbox = Inbox(background())
        try:
            inbox.background.post(self._join, inbox)
            is_over = inbox.wait(deadline)
        except BaseException as error:
            self._leave(f"{type(error).__name__} was raised while it was waited for", hurried=True)
            raise
        if not is_over:
            raise TimeoutError(f"stream {self.id} has not ended in the time given")
        inbox.take()

    def _join(self, inbox: Inbox | None) -> None:
        """Start it if need be, in the background thread; close the inbox when it has ended."""
        close = _nobody_waits if inbox is None else inbox.close
        try:
            self._check_loop()
            end = self._begin() if inbox is None else self.until_end()
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            close(error)
            return
        if end.done():
            close()
        else:
            end.add_done_callback(lambda _: close())

    def _check_loop(self) -> None:
        if self.loop is None or self.loop is asyncio.get_running_loop():
            return
        if is_left_behind(self.loop):
            raise RuntimeError(LEFT_BEHIND)
        raise RuntimeError("this stream runs in another event loop: wait for it there")

    def _leave(self, reason: str, *, hurried: bool = False) -> None:
        """End it if it runs and wait for that, unless this code must not wait."""
        if self._finished is None:
            self.cancel(reason)
        if self._finished is None or self._has_ended() or is_left_behind(self.loop):
            return
        thread = running_background()
        if thread is None or thread.is_over or thread.is_here or self.loop is not thread.loop:
            self.cancel(reason)
            return
        inbox = Inbox(thread)
        thread.post(self._leave_there, reason, hurried, inbox)
        inbox.take()
        self._pass_on()

    def _leave_there(self, reason: str, hurried: bool, inbox: Inbox) -> None:  # noqa: FBT001 - called by the loop
        if hurried:
            self._life.hurry()
        self.leave(reason)
        self._join(inbox)


def _nobody_waits(error: BaseException | None = None) -> None:
    """What could not be started is told to whoever waits for the stream."""


def _is_exit(kind: type[BaseException] | None) -> bool:
    return kind is not None and not issubclass(kind, Exception)
