"""How a server is entered and left: in the caller's event loop, or on a thread of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from lm_deluge.servers.background import Background

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Entered"]

T = TypeVar("T")


class Entered(ABC):
    """A server that ``async with`` runs in the caller's event loop, and ``with`` on a thread of its own.

    On a thread its methods can be called from any other, and awaited in any event loop.
    """

    _kind: ClassVar[str]
    """What it is, as its errors and its thread call it."""
    _background: Background | None = None

    @abstractmethod
    def _is_started(self) -> bool:
        """Whether it was started, and not stopped since."""

    @abstractmethod
    async def _open(self) -> None:
        """Listen."""

    @abstractmethod
    async def _close(self) -> None:
        """Stop; a second time does nothing."""

    def __enter__(self) -> Self:
        background = Background(self._enter, self._close, self._kind)
        background.open()
        self._background = background
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        background, self._background = self._background, None
        if background is not None:
            background.close()

    async def __aenter__(self) -> Self:
        await self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._here(self._close())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await one of its methods without an event loop: ``server.run(server.METHOD())``.

        Only within ``with``; ``RuntimeError`` otherwise, and on its own thread.
        """
        if self._background is None or self._background.is_here():
            coroutine.close()
            name = type(self).__name__
            raise RuntimeError(f"run() is for callers without an event loop, in `with {name}()`")
        return self._background.run_blocking(coroutine)

    async def _enter(self) -> None:
        """Listen. Raises ``RuntimeError`` where it does already."""
        if self._is_started():
            raise RuntimeError(f"the {self._kind} has been started already")
        await self._open()

    async def _here(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine in the event loop that it belongs to."""
        if self._background is None or self._background.is_here():
            return await coroutine
        return await self._background.run(coroutine)
