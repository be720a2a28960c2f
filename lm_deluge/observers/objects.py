"""``Objects``: the object in a stream's answer as it grows, for ``async for``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lm_deluge.errors import StreamError
from lm_deluge.observers.loops import PieceQueue
from lm_deluge.structured.growing import Following, GrowingAnswer, wait_after
from lm_deluge.structured.shape import Shape, shape_of
from lm_deluge.values.foreign import type_name
from lm_deluge.values.growth import Growth

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Objects", "objects_of"]


class Objects:
    """The object in an answer while it grows: plain dicts and lists, at the end what was asked for.

    ``growth``: what of the value that was yielded last is still open, and whose it is; ``None`` before the
    first.
    """

    def __init__(self, stream: Any, following: Following, shape: Shape | None) -> None:
        self._seen: list[Growth] = []
        self._values = _values_of(stream, following, shape, self._seen)

    @property
    def growth(self) -> Growth | None:
        """What is still open of the value that was yielded last; ``None`` before the first."""
        return self._seen[0] if self._seen else None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._values)

    async def aclose(self) -> None:
        """Look no more; the stream ends if it runs."""
        await self._values.aclose()


def objects_of(
    stream: Any,
    schema: Any,
    tool: str | bool | None,  # noqa: FBT001 - the argument's own form
    asked: Shape | None,
) -> Objects:
    """Return the objects of a stream: see ``Stream.objects``. ``asked``: what it was asked to be.

    Raises ``TypeError`` or ``ValueError`` for arguments that make no sense.
    """
    given: object = tool
    if given is not None and not isinstance(given, str | bool):
        raise TypeError(
            f"tool must be the name of a tool, True for any, or None, not {type_name(given)}"
        )
    if tool == "":
        raise ValueError("tool is empty: it must be the name of a tool, or True for any")
    shape = None if schema is None else shape_of(schema)
    if tool:
        name = tool if isinstance(tool, str) else ""
        following = Following(answer=False, tool=name, arguments=shape, choice=0)
        return Objects(stream, following, None)
    wanted = shape or asked
    either = asked is None and tool is None
    following = Following(
        shape=wanted, tool="" if either else None, arguments=shape, either=either, choice=0
    )
    return Objects(stream, following, wanted)


class ObjectQueue(PieceQueue):
    """What of a stream has arrived and was not looked at."""

    __slots__ = ()

    async def news(self, not_before: float) -> bool:
        """Wait until there is something new, and it is time; ``False`` once the stream has ended."""
        while await self.more():
            if self._end.done():
                return False
            wait = not_before - perf_counter()
            if wait <= 0:
                return True
            await asyncio.wait([self._end], timeout=wait)
        return False


async def _values_of(
    stream: Any, following: Following, shape: Shape | None, seen: list[Growth]
) -> AsyncGenerator[Any, None]:
    growing = GrowingAnswer(following)
    if stream.attempt:
        growing.seed(stream.partial.choices)
    arrived = ObjectQueue(stream)
    not_before = 0.0
    try:
        while await arrived.news(not_before):
            begun = perf_counter()
            while arrived.items:
                growing.feed(arrived.items.popleft())
            found = growing.look()
            ended = perf_counter()
            not_before = begun + wait_after(ended - begun)
            for value, growth in found:
                seen[:] = [growth]
                yield value
        outcome = stream.result()
    finally:
        try:
            await arrived.leave()
        finally:
            del stream, arrived
    if isinstance(outcome, StreamError):
        try:
            raise outcome
        finally:
            del outcome
    if outcome.form is None and shape is not None:
        from lm_deluge.structured.asked import AskedShape

        outcome.form = AskedShape(shape)
    for value, growth in growing.whole(outcome):
        seen[:] = [growth]
        yield value
