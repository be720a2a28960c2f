"""So many requests and tokens a minute, over all streams of a run."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final

from attrs import frozen

from lm_deluge import APIResponse, Partial, Retry, Stream, StreamHandler
from lm_deluge.cli.tokens import CHARACTERS
from lm_deluge.errors import StreamError

__all__ = ["FIRST_GUESS", "Bucket", "Taken", "Throttle"]

#: Tokens that an answer is taken to have until the first one has told.
FIRST_GUESS: Final = 300.0


class Bucket:
    """Fills evenly, ``per_minute`` a minute by the monotonic clock; holds one second's worth.

    So in any minute at most ``per_minute`` and one second's worth (at least one) are taken, and what
    one request takes beyond it is owed: the next one waits until it is paid.
    """

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60
        self._holds = max(1.0, self._rate)
        self._level = self._holds
        self._at = monotonic()

    async def take(self, amount: float) -> None:
        """Wait until ``amount`` may be taken, and take it."""
        while (missing := min(amount, self._holds) - self._fill()) > 1e-9:  # noqa: ASYNC110 - for time to pass
            await asyncio.sleep(missing / self._rate)
        self._level -= amount

    def spend(self, amount: float) -> None:
        """Take without waiting, into debt; below 0, give back."""
        self._level = min(self._fill() - amount, self._holds)

    def _fill(self) -> float:
        now = monotonic()
        self._level = min(self._level + (now - self._at) * self._rate, self._holds)
        self._at = now
        return self._level


class Throttle(StreamHandler):
    """Waits before a stream starts; corrects the estimate of its tokens when it has ended.

    A handler of every stream of the run. ``requests``, ``tokens``: a minute, ``None`` for no limit.
    ``max_tokens``: of an answer, where that is bounded.
    """

    def __init__(
        self, requests: float | None, tokens: float | None, *, max_tokens: int | None = None
    ) -> None:
        self._requests = Bucket(requests) if requests is not None else None
        self._tokens = Bucket(tokens) if tokens is not None else None
        self._most = max_tokens
        self._answer = FIRST_GUESS
        self._taken: dict[str, Taken] = {}

    @property
    def counts_tokens(self) -> bool:
        """Whether the tokens of a prompt matter."""
        return self._tokens is not None

    async def wait(self, prompt: float) -> Taken:
        """Wait until a request with a prompt of so many tokens may go; return what it takes."""
        taken = Taken(prompt, prompt + self._expected())
        if self._requests is not None:
            await self._requests.take(1)
        if self._tokens is not None:
            await self._tokens.take(taken.total)
        return taken

    def took(self, stream: Stream, taken: Taken) -> None:
        """Say which stream was waited for."""
        if self._tokens is not None:
            self._taken[stream.id] = taken

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        """A further request, and its prompt once more unless it goes on with the answer."""
        if self._requests is not None:
            self._requests.spend(1)
        taken = self._taken.get(stream.id)
        if self._tokens is not None and taken is not None and not retry.resumed:
            self._tokens.spend(taken.prompt)

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        """Correct the estimate by the server's count."""
        self._correct(stream, response)

    def on_error(self, stream: Stream, error: StreamError) -> None:
        """Give back what was not received."""
        self._correct(stream, error.partial)

    def _expected(self) -> float:
        return self._answer if self._most is None else min(self._answer, self._most)

    def _correct(self, stream: Stream, received: APIResponse | Partial | None) -> None:
        taken = self._taken.pop(stream.id, None)
        if self._tokens is None or taken is None:
            return
        usage = received.usage if received is not None else None
        answer: float | None = usage.output_tokens if usage is not None else None
        total: float | None = usage.total_tokens if usage is not None else None
        prompt: float | None = usage.input_tokens if usage is not None else None
        if answer is None:
            said = received.completion if received is not None else ""
            answer = len(said) / CHARACTERS
        if total is None:
            total = (taken.prompt if prompt is None else prompt) + answer
        self._tokens.spend(total - taken.total)
        self._answer += (answer - self._answer) / 8  # follows what answers are like by now


@frozen
class Taken:
    """Tokens that were taken for a stream before it began: of its prompt, and in all."""

    prompt: float
    total: float
