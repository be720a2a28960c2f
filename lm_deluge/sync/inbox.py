"""What the background thread hands to a thread that waits, with one wake-up for each network read."""

from __future__ import annotations

import sys
from _thread import allocate_lock
from collections import deque
from time import monotonic
from typing import Any, Final

from lm_deluge.observers.stream import Stream as AsyncStream
from lm_deluge.sync.background import LoopThread
from lm_deluge.values.pieces import Delta, Token

__all__ = ["END", "Inbox", "PieceInbox", "TokenInbox"]

#: What stands after the last item.
END: Final[Any] = object()

#: Seconds between two looks for Ctrl-C where it interrupts no wait; ``None``: it does.
_SLICE: Final = 0.1 if sys.platform == "win32" else None

#: Seconds that a lock can be waited for at once, and more than anybody waits.
_LONGEST: Final = 1e6


class Inbox:
    """Items from the background thread for one other. ``items``: those that nobody has taken yet.

    The last one is ``END``. ``failure``: why there are no others, if that is to be raised.

    The thread that takes them sleeps when there are none. An item wakes it if it may sleep: those of
    one network read are put while the background thread holds the interpreter, and wake it once.
    """

    __slots__ = ("_signal", "background", "failure", "items")

    def __init__(self, background: LoopThread) -> None:
        self.items: deque[Any] = deque()
        self.background = background
        self.failure: BaseException | None = None
        # Held, but for the moment between a wake-up and who takes it.
        self._signal = allocate_lock()
        self._signal.acquire()

    def put(self, item: Any) -> None:
        """Add an item and wake whoever waits; in the background thread."""
        self.items.append(item)
        self._wake()

    def close(self, failure: BaseException | None = None) -> None:
        """There will be no more; ``failure``: what whoever waits is to raise."""
        self.failure = failure
        self.put(END)

    def _wake(self) -> None:
        if self._signal.locked() and not self.background.is_over:
            self._signal.release()

    def wait(self, deadline: float | None = None) -> bool:
        """Wait until there is an item; ``False`` if there is none by ``deadline`` (``time.monotonic``).

        Raises ``failure``, and ``RuntimeError`` where nothing can come any more: in a child of the process.
        """
        while not self.items:
            if self.background.is_over:
                self.background.check()
            seconds = _LONGEST if deadline is None else deadline - monotonic()
            if seconds <= 0:
                return False
            if _SLICE is not None:
                seconds = min(seconds, _SLICE)
            self._signal.acquire(timeout=min(seconds, _LONGEST))
        if self.failure is not None:
            failure, self.failure = self.failure, None
            try:
                raise failure
            finally:
                del failure
        return True

    def take(self) -> Any:
        """Wait for an item and return it."""
        self.wait()
        return self.items.popleft()


class TokenInbox(Inbox):
    """Hears a stream's tokens as any handler does."""

    __slots__ = ()

    def on_token(self, stream: AsyncStream, token: Token) -> None:
        """Keep the token and wake whoever waits."""
        self.items.append(token)
        if self._signal.locked():
            self._wake()


class PieceInbox(TokenInbox):
    """Hears the other pieces, too."""

    __slots__ = ()

    def on_delta(self, stream: AsyncStream, delta: Delta) -> None:
        """Keep the piece and wake whoever waits."""
        self.put(delta)
