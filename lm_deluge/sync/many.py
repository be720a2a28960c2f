"""``stream_many`` for code without ``async``: the prompts are taken in the thread that waits."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from lm_deluge.client.many import Outcome, Tags, stream_many
from lm_deluge.client.options import ManyOptions
from lm_deluge.sync.bridge import Work, items_of
from lm_deluge.sync.streams import Stream
from lm_deluge.values.conversation import Prompt

if TYPE_CHECKING:
    from typing import Unpack

__all__ = ["outcomes_of"]


def outcomes_of(
    opener: Callable[..., Stream],
    prompts: Iterable[Prompt] | AsyncIterable[Prompt],
    *,
    concurrency: int,
    tags: Tags | None,
    **options: Unpack[ManyOptions],
) -> Generator[tuple[int, Outcome], None, None]:
    """Yield ``(index, outcome)`` as the streams end: see ``LLMClient.stream_many``."""
    return items_of(
        lambda work: stream_many(
            opener, _taken(prompts, work), concurrency=concurrency, tags=tags, **options
        )
    )


def _taken(prompts: Any, work: Work) -> Any:
    """Return what gives the prompts to the background thread; what cannot, as it is, to be refused."""
    given: object = prompts
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        return prompts
    return _PromptsAsked(cast("Iterable[Prompt]", given), work)


class _PromptsAsked:
    """The prompts of an iterable that runs in the thread that waits: it may be a cursor of a database."""

    def __init__(self, prompts: Iterable[Prompt], work: Work) -> None:
        self._prompts = prompts
        self._work = work
        self._iterator: Iterator[Prompt] | None = None

    def __aiter__(self) -> _PromptsAsked:
        return self

    async def __anext__(self) -> Prompt:
        item = await self._work.ask(self._next)
        if item is None:
            raise StopAsyncIteration
        return item[0]

    def _next(self) -> tuple[Prompt] | None:
        if self._iterator is None:
            self._iterator = iter(self._prompts)
        for prompt in self._iterator:
            return (prompt,)
        return None
