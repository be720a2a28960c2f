"""What one stream is to do, decided before it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lm_deluge.config import Limits, ResolvedTimeouts, RetryPolicy
from lm_deluge.models import ModelInfo
from lm_deluge.redaction import Redactor
from lm_deluge.transport import Request, Transport

if TYPE_CHECKING:
    from lm_deluge.recording.writer import StreamRecorder

__all__ = ["Plan", "Slots", "Target"]


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
    ``choices``: the ``n`` asked for. ``prompt_chars``: characters of text in the prompt.
    ``handler_wait``: seconds the ending waits for ``async`` handlers."""

    targets: tuple[Target, ...]
    transport: Transport
    slots: Slots
    policy: RetryPolicy
    limits: Limits
    redactor: Redactor = field(factory=Redactor, repr=False)
    tags: Mapping[str, Any] = field(factory=dict, repr=False)
    choices: int = 1
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
        """Wait for a free slot."""
        if self._size is not None:
            await self._semaphore(self._size).acquire()

    def release(self) -> None:
        """Give the slot to the next in line."""
        if self._size is not None:
            self._semaphore(self._size).release()

    def _semaphore(self, size: int) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        semaphore = self._semaphores.get(loop)
        if semaphore is None:
            for other in [other for other in self._semaphores if other.is_closed()]:
                del self._semaphores[other]
            semaphore = self._semaphores[loop] = asyncio.Semaphore(size)
        return semaphore
