"""What a handler's method does that nobody would write on purpose: ``DEEDS``.

A deed is called with ``(stream, *payload)``; ``doing`` makes a handler of it.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock, Mock

from lm_deluge import StreamHandler, attach
from lm_deluge.observers.attach import process_roster
from support.hostile_errors import (
    BadSyntaxError,
    FatalWordsError,
    LiarError,
    NamelessError,
    NotesError,
    NumericError,
    Own,
    WordlessError,
)

METHODS = ("on_start", "on_token", "on_delta", "on_retry", "on_complete", "on_error")


class NoTruth:
    """Is neither true nor false, equal to nothing, and has no text and no attributes."""

    def __bool__(self) -> bool:
        raise ValueError("no truth")

    def __eq__(self, other: object) -> bool:
        raise ValueError("no equality")

    def __hash__(self) -> int:
        raise ValueError("no hash")

    def __repr__(self) -> str:
        raise ValueError("no text")

    def __getattr__(self, name: str) -> Any:
        raise ValueError("no attributes")


class BadAwaitable:
    """Says that it can be awaited."""

    def __await__(self) -> Any:
        return 7


class JunkAwaitable:
    """Yields to the event loop what it cannot use."""

    def __await__(self) -> Iterator[Any]:
        yield 7


async def nothing() -> None:
    """Return at once."""


def raising(make: Callable[[], BaseException]) -> Callable[..., Any]:
    def deed(stream: Any, *payload: Any) -> Any:
        raise make()

    return deed


def returning(make: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda stream, *payload: make(stream)


def deep() -> BaseException:
    error: BaseException = ValueError("deepest")
    for _ in range(200):
        error = ExceptionGroup("deeper", [error])  # type: ignore[list-item]
    return error


def circular() -> BaseException:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    return one


SAME = LookupError("the same one every time")


def recurse(stream: Any, *payload: Any) -> Any:
    return recurse(stream, *payload)


def reraise(stream: Any, *payload: Any) -> Any:
    if payload and isinstance(payload[0], BaseException):
        raise payload[0]
    raise LookupError("nothing to raise again")


def warn(stream: Any, *payload: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.warn("as an error", stacklevel=1)


def log(stream: Any, *payload: Any) -> Any:
    logging.getLogger("lm_deluge").error("%s %d", "too few")
    logging.getLogger("lm_deluge").error("mine %r", payload)
    raise ValueError("and fails")


def copy_it(stream: Any, *payload: Any) -> Any:
    for thing in payload:
        copy.copy(thing)
        pickle.loads(pickle.dumps(thing))
        copy.deepcopy(thing)
    copy.deepcopy(stream)


def come_and_go(stream: Any, *payload: Any) -> Any:
    with attach(Mock(), stream), attach(StreamHandler(), stream):
        attach(types.SimpleNamespace(on_token=lambda *_: 1 / 0), stream)


def leave(stream: Any, *payload: Any) -> Any:
    """Detach every handler like this one."""
    for attachment in (*process_roster.attachments, *stream.roster.attachments):
        if type(attachment.handler).__name__ == "Hostile":
            attachment.detach()


def clear_failures(stream: Any, *payload: Any) -> Any:
    for thing in payload:
        if hasattr(thing, "handler_failures"):
            thing.handler_failures.clear()
    raise ValueError("which is listed")


def close_loop(stream: Any, *payload: Any) -> Any:
    asyncio.get_running_loop().close()


def run_loop(stream: Any, *payload: Any) -> Any:
    coroutine = nothing()
    try:
        asyncio.run(coroutine)
    finally:
        coroutine.close()


def wait_in_a_task(stream: Any, *payload: Any) -> Any:
    task = asyncio.ensure_future(wait_for_the_stream(stream))
    task.add_done_callback(lambda task: task.cancelled() or task.exception())
    return task


def cancel_start(stream: Any, *payload: Any) -> Any:
    stream.start().cancel()


def generate(stream: Any, *payload: Any) -> Any:
    yield 1


DEEDS: dict[str, Callable[..., Any]] = {
    "raises ValueError": raising(lambda: ValueError("oh")),
    "raises without words": raising(WordlessError),
    "raises with a number for words": raising(NumericError),
    "raises with fatal words": raising(FatalWordsError),
    "raises a liar": raising(LiarError),
    "raises with bad notes": raising(NotesError),
    "raises a bad SyntaxError": raising(BadSyntaxError),
    "raises without a name": raising(NamelessError),
    "raises megabytes": raising(lambda: ValueError("x" * 3_000_000)),
    "raises half a character": raising(lambda: ValueError("half \ud83d a character")),
    "raises lines": raising(lambda: ValueError("one\ntwo\r\nthree")),
    "raises a deep group": raising(deep),
    "raises a circle": raising(circular),
    "raises the same": raising(lambda: SAME),
    "raises an own BaseException": raising(Own),
    "raises a group of own": raising(lambda: BaseExceptionGroup("g", [Own()])),
    "raises GeneratorExit": raising(GeneratorExit),
    "raises StopIteration": raising(lambda: StopIteration(1)),
    "raises StopAsyncIteration": raising(StopAsyncIteration),
    "raises CancelledError": raising(asyncio.CancelledError),
    "raises TimeoutError": raising(TimeoutError),
    "raises InvalidStateError": raising(asyncio.InvalidStateError),
    "raises MemoryError": raising(MemoryError),
    "raises what it was given": reraise,
    "recurses": recurse,
    "warns": warn,
    "logs": log,
    "copies": copy_it,
    "attaches and detaches": come_and_go,
    "detaches itself": leave,
    "clears the failures": clear_failures,
    "closes the loop": close_loop,
    "runs a loop": run_loop,
    "cancels the future of the end": cancel_start,
    "returns the stream": returning(lambda stream: stream),
    "returns the end": returning(lambda stream: stream.start()),
    "returns a task that waits for the end": wait_in_a_task,
    "returns a coroutine": returning(lambda stream: nothing()),
    "returns a failing coroutine": returning(lambda stream: failing()),
    "returns a generator": generate,
    "returns a Mock": returning(lambda stream: Mock()),
    "returns a MagicMock": returning(lambda stream: MagicMock()),
    "returns no truth": returning(lambda stream: NoTruth()),
    "returns a bad awaitable": returning(lambda stream: BadAwaitable()),
    "returns a junk awaitable": returning(lambda stream: JunkAwaitable()),
    "returns a future of another loop": returning(lambda stream: foreign_future()),
    "returns False": returning(lambda stream: False),
    "returns NotImplemented": returning(lambda stream: NotImplemented),
}


async def failing() -> None:
    """Fail at once."""
    raise ValueError("oh")


def foreign_future() -> Any:
    loop = asyncio.new_event_loop()
    try:
        return loop.create_future()
    finally:
        loop.close()


async def wait_for_the_stream(stream: Any, *payload: Any) -> Any:
    await stream


async def iterate_the_stream(stream: Any, *payload: Any) -> Any:
    async for _ in stream:
        pass


async def wait_with_a_limit(stream: Any, *payload: Any) -> Any:
    await asyncio.wait_for(stream, 5)


async def cancel_itself(stream: Any, *payload: Any) -> Any:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def return_a_stream(stream: Any, *payload: Any) -> Any:
    return stream


#: What only an ``async`` method can do.
ASYNC_DEEDS: dict[str, Callable[..., Any]] = {
    "awaits the stream": wait_for_the_stream,
    "iterates over the stream": iterate_the_stream,
    "awaits the stream with a limit": wait_with_a_limit,
    "cancels its task": cancel_itself,
    "returns the stream, async": return_a_stream,
}


def doing(deed: Callable[..., Any], kind: str, method: str) -> object:
    """Return a handler that does it in one method: ``"plain"``, or ``"async"``."""

    def plain(self: object, stream: Any, *payload: Any) -> Any:
        return deed(stream, *payload)

    async def later(self: object, stream: Any, *payload: Any) -> Any:
        result = deed(stream, *payload)
        if asyncio.iscoroutine(result):
            return await result
        return result

    function = later if kind == "async" else plain
    return type("Hostile", (StreamHandler,), {method: function})()
