"""What is told after bytes have passed: all that a turn of the loop brings goes on before any is told."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

__all__ = ["Afterwards"]

_log = logging.getLogger("lm_deluge.proxy")

#: Seconds of a turn of the loop after which what is left waits for the next one, behind the bytes that come.
_SLICE: Final = 0.0002

#: What may wait: calls, and bytes of theirs. Beyond that bytes wait for whoever watches.
_MOST_CALLS: Final = 4096
_MOST_BYTES: Final = 4 << 20


class Afterwards:
    """Calls of those who watch, in the order in which they were left, each once; none of them raises.

    They are made in turns of the loop that follow. While they take long, bytes still pass between them.
    """

    __slots__ = ("_bytes", "_is_due", "_loop", "_waiting")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: Final[deque[tuple[Callable[..., object], tuple[Any, ...]]]] = deque()
        self._bytes = 0
        self._is_due = False

    @property
    def is_behind(self) -> bool:
        """Whether there is anything that was not told."""
        return bool(self._waiting)

    def tell(self, call: Callable[..., object], *arguments: Any) -> None:
        """Leave a call for later."""
        waiting = self._waiting
        waiting.append((call, arguments))
        if not self._is_due:
            self._is_due = True
            self._loop = self._loop or asyncio.get_running_loop()
            self._loop.call_soon(self._turn)
        elif len(waiting) > _MOST_CALLS:
            self.all()

    def tell_bytes(self, call: Callable[..., object], data: bytes, *arguments: Any) -> None:
        """Leave a call with bytes of a body for later."""
        self._bytes += len(data)
        self.tell(call, data, *arguments)
        if self._bytes > _MOST_BYTES:
            self.all()

    def all(self) -> None:
        """Make every call that waits, now."""
        self._go_on(float("inf"))

    def _turn(self) -> None:
        self._go_on(perf_counter() + _SLICE)
        self._is_due = bool(self._waiting)
        if self._is_due:
            assert self._loop is not None
            self._loop.call_soon(self._turn)

    def _go_on(self, until: float) -> None:
        waiting = self._waiting
        while waiting:
            call, arguments = waiting.popleft()
            try:
                call(*arguments)
            except Exception:  # noqa: BLE001 - whatever it is, it is not the reader's
                _log.exception("watching failed; what passes goes on")
            if perf_counter() > until:
                break
        if not waiting:
            self._bytes = 0
