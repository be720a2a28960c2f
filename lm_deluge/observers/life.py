"""What a stream is the handle of, as the stream sees it: the engine's run is one, an app's another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from lm_deluge.errors import StreamError
from lm_deluge.observers.dispatch import Dispatcher
from lm_deluge.values.response import APIResponse, Partial

if TYPE_CHECKING:
    from lm_deluge.observers.stream_request import StreamRequest

__all__ = ["Life", "let_out", "running_loop"]


class Life(Protocol):
    """What a ``Stream`` is the handle of: one run of the engine."""

    ending: APIResponse | StreamError | None
    is_awaited: bool
    outcome: APIResponse | StreamError | None
    passing: BaseException | None
    queued: float
    started_at: datetime | None

    @property
    def id(self) -> str:
        """Unique across machines."""

    @property
    def attempt(self) -> int:
        """1-based number of the request at hand, 0 before the first."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Through it everybody hears of the stream."""

    @property
    def elapsed(self) -> Callable[[], float]:
        """Seconds since t0."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop it runs in; ``None`` before its start and after its end."""

    def prepare(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Be ready to be started, and to be stopped; return a future of the end."""

    def start(self, stream: Any) -> None:
        """Start the task. ``stream``: its handle, a ``Stream``, which the task keeps alive."""

    def stop(self, error: StreamError) -> None:
        """End with ``error``; from any thread."""

    def hurry(self) -> None:
        """Let the end come soon, whatever handlers still do."""

    def partial(self) -> Partial:
        """Return what has been received so far."""

    def request(self) -> StreamRequest:
        """Return what the model at hand is asked for."""

    def told(self) -> asyncio.Future[None]:
        """Return a future that is done once everybody was told of the ending."""


def let_out(error: BaseException) -> None:
    """Let an error out of the event loop, which calls this: nobody waits for the stream that it ended."""
    raise error


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs this code; ``None`` where none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
