"""What one stream is to do, decided before it starts."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from attrs import field, frozen

from lm_deluge.config import Limits, ResolvedTimeouts, RetryPolicy
from lm_deluge.dialects.dialect import Ask, Dialect
from lm_deluge.errors import StreamError
from lm_deluge.http.request import Request
from lm_deluge.http.transport import Transport
from lm_deluge.models.registry import ModelInfo
from lm_deluge.observers.stream import Stream
from lm_deluge.values.locking import LOCK
from lm_deluge.values.prompt_facts import PromptFacts
from lm_deluge.values.redaction import Redactor

if TYPE_CHECKING:
    from lm_deluge.engine.prices import Pricing
    from lm_deluge.engine.resuming import Resumption
    from lm_deluge.structured.shape import Shape
    from lm_deluge.values.pieces import Delta

__all__ = ["ModelRequest", "Plan", "ReadRecorder", "Running", "Slots", "Without"]

Without: TypeAlias = "Callable[[StreamError, Ask], Ask | None]"


class ReadRecorder(Protocol):
    """Who hears the network reads of one stream's attempts. ``t``: seconds from t0."""

    def sent(self, request: Request, t: float, choices: int, dialect: str) -> None:
        """A request is about to be sent; it asks for so many ``choices`` in the ``dialect`` named."""

    def answered(
        self, request: Request, status: int, headers: Iterable[tuple[str, str]], t: float
    ) -> None:
        """The head of the response arrived."""

    def read(self, data: bytes, t: float) -> None:
        """A network read of the body arrived."""

    def closed(self, error: BaseException | None, t: float) -> None:
        """The attempt is over: with a whole answer, or with ``error``."""


@frozen(eq=False, kw_only=True)
class ModelRequest:
    """One model to ask, and the request that asks it. ``ask``: what it asks for, in our own words.
    ``recorder`` hears of every network read.
    ``choices``: how many answers it asks for. ``logprobs``: whether it asks for log probabilities.
    ``without``: each returns, for the error of an attempt without output and what was asked, what is to be
    asked once more without what nobody need answer; ``None``: the error is about something else, and the
    retry policy decides. ``write``: makes the request of that.
    ``resumption``: how its answer is taken up again after a lost connection; ``None``: it is not."""

    info: ModelInfo = field(repr=lambda info: info.name)
    dialect: Dialect = field(repr=lambda dialect: dialect.name)
    request: Request
    timeouts: ResolvedTimeouts
    ask: Ask | None = field(default=None, repr=False)
    choices: int = 1
    logprobs: bool = False
    recorder: ReadRecorder | None = None
    resumption: Resumption | None = field(default=None, repr=False)
    without: tuple[Without, ...] = field(default=(), repr=False)
    write: Callable[[Ask], Request] | None = field(default=None, repr=False)


@frozen(eq=False, kw_only=True)
class Plan:
    """``targets``: the model asked for, then its fallbacks. ``redactor``: of all their secrets.
    ``prompt``: what is told of it.
    ``handler_wait``: seconds the ending waits for ``async`` handlers.
    ``pricing``: says what an answer costs, instead of what is known of the model.
    ``carried``: results of tools that the request tells the model; heard after ``on_start``.
    ``shape``: what the answer was asked to be."""

    targets: tuple[ModelRequest, ...]
    transport: Transport
    slots: Slots
    running: Running
    policy: RetryPolicy
    limits: Limits
    redactor: Redactor = field(factory=Redactor, repr=False)
    tags: Mapping[str, Any] = field(factory=dict, repr=False)
    prompt: PromptFacts = field(factory=PromptFacts, repr=False)
    strict: bool = False
    handler_wait: float = 5.0
    pricing: Pricing | None = None
    carried: Sequence[Delta] = field(default=(), repr=False)
    shape: Shape | None = None


class Slots:
    """At most so many streams of one client at a time; the others wait in order.

    ``size=None`` is no bound. Counted for each event loop of its own.
    """

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._semaphores: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    @property
    def are_bounded(self) -> bool:
        """Whether a stream may have to wait for one."""
        return self._size is not None

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
        self._between: list[tuple[asyncio.AbstractEventLoop, Callable[[str], None]]] = []

    @contextmanager
    def between(self, stop: Callable[[str], None]) -> Iterator[None]:
        """While the block lasts, have ``end`` call ``stop``: for what is done between two streams."""
        entry = (asyncio.get_running_loop(), stop)
        self._between.append(entry)
        try:
            yield
        finally:
            self._between.remove(entry)

    def add(self, stream: Stream) -> None:
        """It begins."""
        key = id(stream)
        streams = self._streams
        streams[key] = weakref.ref(stream, lambda _: streams.pop(key, None))

    def discard(self, stream: Stream) -> None:
        """It has ended."""
        self._streams.pop(id(stream), None)

    async def end(self, reason: str) -> None:
        """End those of the running event loop, with a reason, and those of loops that are closed."""
        loop = asyncio.get_running_loop()
        mine: list[Stream] = []
        for stream in self.all():
            its = stream.loop
            if its is loop:
                stream.cancel(reason)
                mine.append(stream)
            elif its is not None and its.is_closed():
                stream.cancel("its event loop was closed")
        for its, stop in list(self._between):
            if its is loop:
                stop(reason)
        for stream in mine:
            await stream.aclose(reason)

    def all(self) -> list[Stream]:
        """Return those that run now."""
        found = [reference() for reference in list(self._streams.values())]
        return [stream for stream in found if stream is not None]
