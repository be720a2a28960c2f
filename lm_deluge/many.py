"""Many streams at once, bounded: ``stream_many``, and what it is made of."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lm_deluge.config import SamplingParams, Timeouts
from lm_deluge.conversation import Prompt
from lm_deluge.errors import PromptError, StreamError
from lm_deluge.plain import plain_number
from lm_deluge.response import APIResponse
from lm_deluge.stream import Stream

if TYPE_CHECKING:
    from lm_deluge.client import LLMClient

__all__ = ["Outcome", "Tags", "as_they_finish", "stream_many"]

Outcome: TypeAlias = APIResponse | StreamError
"""How one of many streams ended."""

Tags: TypeAlias = "Mapping[str, Any] | Callable[[int, Prompt], Mapping[str, Any]]"
"""Tags of all streams, or a function of a prompt's index and the prompt."""

#: Outcomes that may wait for a slow consumer before no further stream is started.
_LOOK_AHEAD: Final = 16


async def stream_many(
    client: LLMClient,
    prompts: Iterable[Prompt] | AsyncIterable[Prompt],
    *,
    concurrency: int = 32,
    handlers: Sequence[object] = (),
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    response_format: Mapping[str, Any] | None = None,
    sampling_params: SamplingParams | None = None,
    extra_body: Mapping[str, Any] | None = None,
    timeouts: Timeouts | None = None,
    tags: Tags | None = None,
) -> AsyncGenerator[tuple[int, Outcome], None]:
    """Yield ``(index, outcome)`` as the streams end: see ``LLMClient.stream_many``."""
    if isinstance(prompts, (str, bytes, Mapping)) or not isinstance(
        prompts, (Iterable, AsyncIterable)
    ):
        message = f"prompts must be an iterable of prompts, not {type(prompts).__name__}"
        raise TypeError(message)
    given: dict[str, Any] = {
        "handlers": tuple(handlers),
        "tools": tools,
        "tool_choice": tool_choice,
        "response_format": response_format,
        "sampling_params": sampling_params,
        "extra_body": extra_body,
        "timeouts": timeouts,
    }
    # What is wrong with the settings is wrong with every prompt: it is raised, once, before the
    # first of them is taken.
    probe = client.open_stream("?", **given, tags=None if callable(tags) else tags)
    await probe.aclose()
    del probe

    def opening(index: int, prompt: Prompt) -> Callable[[], Stream]:
        own = tags(index, prompt) if callable(tags) else tags
        return lambda: client.open_stream(prompt, **given, tags=own)

    outcomes = as_they_finish(_openings(prompts, opening), concurrency=concurrency)
    try:
        async for numbered in outcomes:
            yield numbered
            del numbered
    finally:
        await outcomes.aclose()


async def as_they_finish(
    openings: Iterable[Callable[[], Stream]] | AsyncIterable[Callable[[], Stream]],
    *,
    concurrency: int,
) -> AsyncGenerator[tuple[int, Outcome], None]:
    """Open and run streams, at most ``concurrency`` at a time; yield each outcome with its index.

    ``openings``: functions that return a new stream, taken one by one as there is room. A
    ``ValueError`` or ``TypeError`` of one becomes a ``PromptError``. What the iterable itself raises
    is raised here, after the outcomes of the streams that ran by then.

    Leaving it ends the streams that run and waits until they have ended.
    """
    concurrency = plain_number(concurrency)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        message = f"concurrency must be an integer of at least 1, not {concurrency!r}"
        raise ValueError(message)
    crowd = _Crowd(concurrency)
    feeder = asyncio.create_task(crowd.feed(openings), name="lm_deluge stream_many")
    try:
        while await crowd.something_finished():
            # No name holds an outcome while its consumer works on the next.
            yield crowd.finished.popleft()
            crowd.wake()
        if crowd.failure is not None:
            raise crowd.failure
    finally:
        feeder.cancel()
        try:
            await crowd.close()
        finally:
            del crowd
        await asyncio.wait([feeder])


async def _openings(
    prompts: Iterable[Prompt] | AsyncIterable[Prompt],
    opening: Callable[[int, Prompt], Callable[[], Stream]],
) -> AsyncIterator[Callable[[], Stream]]:
    index = 0
    async for prompt in _each(prompts):
        yield opening(index, prompt)
        index += 1


async def _each(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class _Crowd:
    """The streams that run, and the outcomes that nobody has taken yet, in order of finishing."""

    def __init__(self, concurrency: int) -> None:
        self.finished: deque[tuple[int, Outcome]] = deque()
        self.failure: Exception | None = None
        self._concurrency = concurrency
        self._running: dict[int, tuple[Stream, asyncio.Future[None]]] = {}
        self._fed = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def feed(
        self, openings: Iterable[Callable[[], Stream]] | AsyncIterable[Callable[[], Stream]]
    ) -> None:
        """Start one stream after the other, as there is room."""
        source = _each(openings)
        index = 0
        try:
            while True:
                await self._has_room()
                try:
                    opening = await anext(source)
                except StopAsyncIteration:
                    return
                self._start(index, opening)
                del opening
                index += 1
                # Those that run get their turn: opening thousands takes a while.
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - the caller's iterable may raise anything
            self.failure = error
        finally:
            self._fed = True
            self._changed.set()

    async def something_finished(self) -> bool:
        """Wait until there is an outcome; ``False`` once there will be none any more."""
        while not self.finished:
            if self._fed and not self._running:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def wake(self) -> None:
        """An outcome was taken: there may be room again."""
        self._room.set()

    async def close(self) -> None:
        """End what still runs, and wait for it."""
        for stream, _ in list(self._running.values()):
            stream.cancel("the loop over stream_many was left")
        endings = [ended for _, ended in self._running.values()]
        if endings:
            await asyncio.wait(endings)
        self._running.clear()
        self.finished.clear()

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
        except (ValueError, TypeError) as error:
            wrong = PromptError(f"prompt {index} makes no sense: {error}")
            wrong.__cause__ = error.with_traceback(None)
            self.finished.append((index, wrong))
            self._changed.set()
            return
        except StreamError as error:  # the key has gone meanwhile
            self.finished.append((index, error.with_traceback(None)))
            self._changed.set()
            return
        ended = stream.start()
        self._running[index] = (stream, ended)
        ended.add_done_callback(lambda _: self._end(index))

    def _end(self, index: int) -> None:
        stream, _ = self._running.pop(index, (None, None))
        if stream is not None:
            self.finished.append((index, stream.result()))
        self._changed.set()
        self._room.set()
