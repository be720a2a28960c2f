"""Coroutines of the background thread for a thread that waits, and questions from them to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Protocol, TypeVar

from lm_deluge.sync.background import background
from lm_deluge.sync.inbox import END, Inbox

__all__ = ["Work", "items_of", "result_of"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Leavable(Protocol[T_co]):
    """An async generator, or what can be looped over and left like one."""

    def __anext__(self) -> Coroutine[Any, Any, T_co]: ...
    def aclose(self) -> Coroutine[Any, Any, object]: ...


class Work:
    """Coroutines that run in the background thread, one after the other, for one thread that waits.

    While it waits, they can have functions called in its thread (``ask``). Raises ``RuntimeError``
    where nobody can wait.
    """

    def __init__(self) -> None:
        self._inbox = Inbox(background())
        self._task: asyncio.Task[Any] | None = None

    def result(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run what ``make`` returns; return its result, or raise what it raises.

        What is raised here meanwhile (Ctrl-C) cancels it, and goes on when it has ended.
        """
        try:
            self._inbox.background.post(self._begin, make)
            while (question := self._inbox.take()) is not END:
                question()
        except BaseException:
            self._cancel()
            raise
        task, self._task = self._task, None
        assert task is not None
        result: T = task.result()
        return result

    def leave(self, make: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run what ``make`` returns, and wait for its end where this code may wait."""
        thread = self._inbox.background
        if thread.is_here:
            self._begin(make)
        elif not thread.is_over:
            self.result(make)

    async def ask(self, function: Callable[[], T]) -> T:
        """Have a function called in the thread that waits, when it waits; return its result.

        An ``Exception`` is raised here, and what is none there.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._inbox.put(partial(self._answer, function, answer))
        return await answer

    def _begin(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._task = asyncio.get_running_loop().create_task(make())
        self._task.add_done_callback(lambda _: self._inbox.put(END))

    def _answer(self, function: Callable[[], T], answer: asyncio.Future[T]) -> None:
        if answer.done():  # whoever asked was cancelled
            return
        post = self._inbox.background.post
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - it is raised by whoever asked
            post(_settle, answer, answer.set_exception, error)
        else:
            post(_settle, answer, answer.set_result, result)

    def _cancel(self) -> None:
        """Cancel the coroutine that runs and wait for its end; nobody answers its questions."""
        thread = self._inbox.background
        if thread.is_over:
            return
        thread.post(self._cancel_there)
        while self._inbox.take() is not END:
            pass

    def _cancel_there(self) -> None:
        if self._task is None:  # it never began
            self._inbox.put(END)
        else:
            self._task.cancel()


def _settle(answer: asyncio.Future[Any], how: Callable[[Any], None], value: object) -> None:
    if not answer.done():
        how(value)


def result_of(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in the background thread; return its result, or raise what it raises."""
    return Work().result(make)


def items_of(
    make: Callable[[Work], Leavable[T]],
) -> Generator[T, None, None]:
    """Yield the items of an async generator that runs in the background thread while they are waited for."""
    work = Work()
    items = make(work)
    try:
        while (item := work.result(partial(_next_of, items))) is not None:
            yield item[0]
    finally:
        work.leave(items.aclose)


async def _next_of(items: Leavable[T]) -> tuple[T] | None:
    """Return the next item, so that no item means the end; ``None`` at the end."""
    try:
        return (await anext(items),)
    except StopAsyncIteration:
        return None
