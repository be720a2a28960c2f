"""Many streams at once, bounded: ``stream_many``, and what it is made of."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Iterable,
    Mapping,
)
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lm_deluge.client.arguments import listed_handlers
from lm_deluge.client.options import ManyOptions
from lm_deluge.errors import PromptError, StreamError
from lm_deluge.observers.stream import Stream
from lm_deluge.values.checks import checked_integer
from lm_deluge.values.conversation import Prompt
from lm_deluge.values.foreign import is_exit, message_of, type_name
from lm_deluge.values.response import APIResponse

if TYPE_CHECKING:
    from typing import Self, Unpack

__all__ = ["Outcome", "Tags", "as_they_finish", "stream_many"]

Outcome: TypeAlias = APIResponse | StreamError
"""How one of many streams ended."""

Tags: TypeAlias = "Mapping[str, Any] | Callable[[int, Prompt], Mapping[str, Any]]"
"""Tags of all streams, or a function of a prompt's index and the prompt."""

#: Outcomes that may wait for a slow consumer before no further stream is started.
_LOOK_AHEAD: Final = 16


async def stream_many(
    opener: Callable[..., Stream],
    prompts: Iterable[Prompt] | AsyncIterable[Prompt],
    *,
    concurrency: int = 32,
    tags: Tags | None = None,
    **options: Unpack[ManyOptions],
) -> AsyncGenerator[tuple[int, Outcome], None]:
    """Yield ``(index, outcome)`` as the streams end: see ``LLMClient.stream_many``.

    ``opener``: ``LLMClient.open_stream``. The names of ``options`` have been checked.
    """
    if isinstance(prompts, (str, bytes, Mapping)) or not isinstance(
        prompts, (Iterable, AsyncIterable)
    ):
        message = f"prompts must be an iterable of prompts, not {type_name(prompts)}"
        raise TypeError(message)
    if "handlers" in options:  # once: they may be an iterator
        options["handlers"] = listed_handlers(options["handlers"])
    # What is wrong with the settings is wrong with every prompt: it is raised, once, before the
    # first of them is taken.
    probe = opener("?", **options, tags=None if callable(tags) else tags)
    await probe.aclose()
    del probe

    def opening(index: int, prompt: Prompt) -> Callable[[], Stream]:
        own = tags(index, prompt) if callable(tags) else tags
        return lambda: opener(prompt, **options, tags=own)

    async with _Crowd(concurrency, prompts, opening) as crowd:
        while await crowd.something_finished():
            # No name holds an outcome while its consumer works on the next.
            yield crowd.finished.popleft()
            crowd.wake()


async def as_they_finish(
    openings: Iterable[Callable[[], Stream]] | AsyncIterable[Callable[[], Stream]],
    *,
    concurrency: int,
) -> AsyncGenerator[tuple[int, Outcome], None]:
    """Open and run streams, at most ``concurrency`` at a time; yield each outcome with its index.

    ``openings``: functions that return a new stream, taken one by one as there is room. An exception
    of one becomes a ``PromptError``. What the iterable itself raises is raised here, after the outcomes
    of the streams that ran by then; ``KeyboardInterrupt`` and ``SystemExit`` at once.

    Leaving it ends the streams that run and waits until they have ended.
    """
    async with _Crowd(concurrency, openings, lambda _, opening: opening) as crowd:
        while await crowd.something_finished():
            yield crowd.finished.popleft()
            crowd.wake()


class _Source:
    """The items of an iterable, sync or async, one at a time; ``None`` after the last."""

    def __init__(self, items: Iterable[Any] | AsyncIterable[Any]) -> None:
        self._async = aiter(items) if isinstance(items, AsyncIterable) else None
        self._sync = iter(items) if not isinstance(items, AsyncIterable) else None

    async def next(self) -> tuple[Any] | None:
        """Return the next item in a tuple. Each kind of iterable has one way only to say it is over."""
        if self._async is not None:
            try:
                return (await anext(self._async),)
            except StopAsyncIteration:
                return None
        assert self._sync is not None
        for item in self._sync:
            return (item,)
        return None


class _Crowd:
    """The streams that run, and the outcomes that nobody has taken yet, in order of finishing.

    ``opening`` makes, of an item's index and the item, a function that returns a new stream.
    """

    def __init__(
        self,
        concurrency: int,
        items: Iterable[Any] | AsyncIterable[Any],
        opening: Callable[[int, Any], Callable[[], Stream]],
    ) -> None:
        concurrency = checked_integer("concurrency", concurrency, 1)
        self.finished: deque[tuple[int, Outcome]] = deque()
        self._items = items
        self._opening = opening
        self._failure: BaseException | None = None
        self._concurrency = concurrency
        self._running: dict[int, tuple[Stream, asyncio.Future[None]]] = {}
        self._fed = False
        self._left = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._feeder: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._feeder = asyncio.create_task(self._feed(), name="lm_deluge stream_many")
        self._feeder.add_done_callback(self._end_feeding)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what still runs, and wait for it; raise what the items raised."""
        self._left = True
        assert self._feeder is not None
        self._feeder.cancel()
        streams = [stream for stream, _ in self._running.values()]
        endings = [stream.leave("the loop over stream_many was left") for stream in streams]
        if endings:
            await asyncio.wait(endings)
        for stream in streams:
            self._failure = stream.take_passing() or self._failure
        del streams
        self._running.clear()
        self.finished.clear()
        await asyncio.wait([self._feeder])
        failure, self._failure = self._failure, None
        if failure is not None and (kind is None or is_exit(failure)):
            try:
                raise failure
            finally:
                del failure, self

    async def _feed(self) -> None:
        """Start one stream after the other, as there is room."""
        index = 0
        try:
            source = _Source(self._items)
            while True:
                await self._has_room()
                item = await source.next()
                if item is None:
                    return
                opening = self._opening(index, *item)
                self._start(index, opening)
                del opening, item
                index += 1
                # Those that run get their turn: opening thousands takes a while.
                await asyncio.sleep(0)
        except BaseException as error:  # noqa: BLE001 - the caller's iterable may raise anything
            if not self._left:
                # Without this frame, which holds the streams.
                trace = error.__traceback__
                self._failure = error.with_traceback(trace.tb_next if trace is not None else None)

    def _end_feeding(self, feeder: asyncio.Task[None]) -> None:
        if feeder.cancelled() and not self._left:  # before its first step
            self._failure = asyncio.CancelledError("the task of stream_many was cancelled")
        self._fed = True
        self._changed.set()

    async def something_finished(self) -> bool:
        """Wait until there is an outcome; ``False`` once there will be none any more."""
        while not self.finished:
            if self._fed and not self._running:
                return False
            if self._failure is not None and is_exit(self._failure):
                return False
            self._changed.clear()
            await self._changed.wait()
        return self._failure is None or not is_exit(self._failure)

    def wake(self) -> None:
        """An outcome was taken: there may be room again."""
        self._room.set()

    async def _has_room(self) -> None:
        while (
            len(self._running) >= self._concurrency
            or len(self._running) + len(self.finished) >= self._concurrency + _LOOK_AHEAD
        ):
            self._room.clear()
            await self._room.wait()

    def _start(self, index: int, opening: Callable[[], Stream]) -> None:
        try:
            stream = opening()
        except StreamError as error:  # the key has gone meanwhile
            self.finished.append((index, error.with_traceback(None)))
            self._changed.set()
            return
        except Exception as error:  # noqa: BLE001 - a prompt may be anything
            wrong = PromptError(f"prompt {index} makes no sense: {message_of(error)}")
            wrong.__cause__ = error.with_traceback(None)
            self.finished.append((index, wrong))
            self._changed.set()
            return
        ended = stream.until_end()
        self._running[index] = (stream, ended)
        ended.add_done_callback(lambda _: self._end(index))

    def _end(self, index: int) -> None:
        stream, _ = self._running.pop(index, (None, None))
        if stream is not None:
            self._failure = stream.take_passing() or self._failure
            outcome = stream.result()
            if isinstance(outcome, APIResponse) and outcome.form is not None:
                from lm_deluge.client.shaping import outcome_or_error

                outcome = outcome_or_error(outcome)
            self.finished.append((index, outcome))
        self._changed.set()
        self._room.set()
