"""What one stream is to do, decided before it starts."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lm_deluge.config import Limits, ResolvedTimeouts, RetryPolicy
from lm_deluge.locking import LOCK
from lm_deluge.models import ModelInfo
from lm_deluge.redaction import Redactor
from lm_deluge.transport import Request, Transport

if TYPE_CHECKING:
    from lm_deluge.recording.writer import StreamRecorder
    from lm_deluge.stream import Stream

__all__ = ["Plan", "Running", "Slots", "Target"]


@frozen(kw_only=True)
class Target:
    """One model to ask, and the request that asks it. ``recorder`` hears of every network read."""

    info: ModelInfo = field(repr=lambda info: info.name)
    request: Request
    timeouts: ResolvedTimeouts
    recorder: StreamRecorder | None = None


@frozen(kw_only=True)
class Plan:
    """``targets``: the model asked for, then its fallbacks. ``redactor``: of all their secrets.
    ``choices``: the ``n`` asked for. ``logprobs``: whether log probabilities were.
    ``prompt_chars``: characters of text in the prompt.
    ``handler_wait``: seconds the ending waits for ``async`` handlers."""

    targets: tuple[Target, ...]
    transport: Transport
    slots: Slots
    running: Running
    policy: RetryPolicy
    limits: Limits
    redactor: Redactor = field(factory=Redactor, repr=False)
    tags: Mapping[str, Any] = field(factory=dict, repr=False)
    choices: int = 1
    logprobs: bool = False
    prompt_chars: int = 0
    strict: bool = False
    handler_wait: float = 5.0


class Slots:
    """At most so many streams of one client at a time; the others wait in order.

    ``size=None`` is no bound. Counted for each event loop of its own.
    """

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._semaphores: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    async def acquire(self) -> None:
        """Wait for a free slot of the running loop."""
        if self._size is not None:
            await self._semaphore(self._size).acquire()

    def release(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the slot to the next in line of the event loop that it is of."""
        semaphore = self._semaphores.get(loop)
        if semaphore is not None and not loop.is_closed():
            semaphore.release()

    def _semaphore(self, size: int) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        semaphore = self._semaphores.get(loop)
        if semaphore is None:
            semaphore = asyncio.Semaphore(size)
            with LOCK:
                for other in [other for other in self._semaphores if other.is_closed()]:
                    del self._semaphores[other]
                self._semaphores[loop] = semaphore
        return semaphore


class Running:
    """The streams of one client that run, in whichever loop and thread."""

    def __init__(self) -> None:
        self._streams: dict[int, weakref.ref[Stream]] = {}

    def add(self, stream: Stream) -> None:
        """It begins."""
        key = id(stream)
        streams = self._streams
        streams[key] = weakref.ref(stream, lambda _: streams.pop(key, None))

    def discard(self, stream: Stream) -> None:
        """It has ended."""
        self._streams.pop(id(stream), None)

    def all(self) -> list[Stream]:
        """Return those that run now."""
        found = [reference() for reference in list(self._streams.values())]
        return [stream for stream in found if stream is not None]
