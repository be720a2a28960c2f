"""The six ways to consume a stream, each kept as a ``Consumed``, and handlers that misbehave."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from lm_deluge import LLMClient, Stream, StreamHandler, Token
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge_plugins.stdout_printer import StdoutPrinter
from support.promises import Consumed, Ear, RawEar

#: Runs one stream to its end and fills in what it saw; what is no ``Exception`` goes on.
Consumer = Callable[[LLMClient, str, Sequence[object], Consumed], Awaitable[None]]


async def by_stream(
    client: LLMClient, prompt: str, handlers: Sequence[object], seen: Consumed
) -> None:
    """``await client.stream(prompt)``."""
    screen = io.StringIO()
    try:
        seen.response = await client.stream(
            prompt, handlers=handlers, printer=StdoutPrinter(screen)
        )
    except Exception as error:
        seen.error = error
    finally:
        seen.printed = screen.getvalue()


async def by_stream_chat(
    client: LLMClient, prompt: str, handlers: Sequence[object], seen: Consumed
) -> None:
    """``async for item in stream_chat(…)``."""
    seen.yielded = ""
    chat = stream_chat(client.model, prompt, client=client, handlers=handlers)
    try:
        async for item in chat:
            if isinstance(item, str):
                assert seen.response is None
                seen.yielded += item
            else:
                assert seen.response is None
                seen.response = item
    except Exception as error:
        seen.error = error


async def by_open_stream(
    client: LLMClient, prompt: str, handlers: Sequence[object], seen: Consumed
) -> None:
    """``async with client.open_stream(prompt) as stream: async for token in stream``."""
    seen.yielded = ""
    stream = client.open_stream(prompt, handlers=handlers)
    try:
        async with stream:
            async for token in stream:
                if token.choice == 0:
                    seen.yielded += token.text
        seen.response = stream.response
    except Exception as error:
        seen.error = error
    finally:
        # Our own frame is in the traceback; that it holds the stream is our own doing.
        del stream


async def by_pieces(
    client: LLMClient, prompt: str, handlers: Sequence[object], seen: Consumed
) -> None:
    """``async with client.open_stream(prompt) as stream: async for piece in stream.pieces()``."""
    seen.yielded = ""
    stream = client.open_stream(prompt, handlers=handlers)
    try:
        async with stream:
            async for piece in stream.pieces():
                if isinstance(piece, Token) and piece.choice == 0:
                    seen.yielded += piece.text
        seen.response = stream.response
    except Exception as error:
        seen.error = error
    finally:
        del stream


async def by_signals(
    client: LLMClient, prompt: str, handlers: Sequence[object], seen: Consumed
) -> None:
    """Plain functions connected to the signals, and ``await stream``."""
    stream = client.open_stream(prompt, handlers=handlers)
    raw = RawEar()
    raw.connect(stream)
    seen.ears = [*seen.ears, raw]
    try:
        seen.response = await stream
    except Exception as error:
        seen.error = error
    finally:
        raw.drop()
        del stream


async def by_stream_many(
    client: LLMClient, prompt: str, handlers: Sequence[object], seen: Consumed
) -> None:
    """``async for index, outcome in client.stream_many([prompt])``: errors are outcomes, too."""
    try:
        async for _, outcome in client.stream_many([prompt], handlers=handlers):
            assert seen.response is seen.error is None
            if isinstance(outcome, BaseException):
                seen.error = outcome
            else:
                seen.response = outcome
    except Exception as error:
        seen.error = error


CONSUMERS: dict[str, Consumer] = {
    "stream": by_stream,
    "stream_chat": by_stream_chat,
    "open_stream": by_open_stream,
    "pieces": by_pieces,
    "signals": by_signals,
    "stream_many": by_stream_many,
}


class Raising:
    """Raises in every method."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)

        def method(stream: Stream, payload: object = None) -> None:
            raise ValueError(f"from {name}")

        return method


class Odd(StreamHandler):
    """Raises what is not for handlers to raise."""

    def on_start(self, stream: Stream) -> None:
        raise asyncio.CancelledError

    def on_token(self, stream: Stream, token: object) -> None:
        raise StopIteration

    async def on_complete(self, stream: Stream, response: object) -> None:
        raise asyncio.CancelledError

    async def on_error(self, stream: Stream, error: object) -> None:
        raise asyncio.CancelledError


class Slow(StreamHandler):
    """Awaits in every method, and keeps what it heard."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def _slowly(self, name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.calls.append(name)

    async def on_start(self, stream: Stream) -> None:
        await self._slowly("start")

    async def on_token(self, stream: Stream, token: object) -> None:
        await self._slowly("token")

    async def on_delta(self, stream: Stream, delta: object) -> None:
        await self._slowly("delta")

    async def on_retry(self, stream: Stream, retry: object) -> None:
        await self._slowly("retry")

    async def on_complete(self, stream: Stream, response: object) -> None:
        await self._slowly("complete")

    async def on_error(self, stream: Stream, error: object) -> None:
        await self._slowly("error")


class Hanging(StreamHandler):
    """Never comes back from its first call."""

    async def on_start(self, stream: Stream) -> None:
        await asyncio.Event().wait()


class Cancelling(StreamHandler):
    """Cancels its own stream at its first token, and again at its ending."""

    def on_token(self, stream: Stream, token: object) -> None:
        stream.cancel("the handler has heard enough")

    def on_complete(self, stream: Stream, response: object) -> None:
        stream.cancel("too late")

    def on_error(self, stream: Stream, error: object) -> None:
        stream.cancel("too late")


class FailingAtTokens(StreamHandler):
    """Fails at each token; for strict clients."""

    def on_token(self, stream: Stream, token: object) -> None:
        raise LookupError("at a token")


class FailingAtTheEnd(StreamHandler):
    """Fails in the ending; for strict clients."""

    def on_complete(self, stream: Stream, response: object) -> None:
        raise LookupError("at the end")

    async def on_error(self, stream: Stream, error: object) -> None:
        raise LookupError("at the end")


#: Name: how to make the handler, and whether its client is strict.
HANDLERS: dict[str, tuple[Callable[[], object] | None, bool]] = {
    "none": (None, False),
    "raising": (Raising, False),
    "odd": (Odd, False),
    "slow": (Slow, False),
    "hanging": (Hanging, False),
    "cancelling": (Cancelling, False),
    "strict-tokens": (FailingAtTokens, True),
    "strict-ending": (FailingAtTheEnd, True),
}


async def consume(
    how: str, client: LLMClient, prompt: str, handler: object | None, name: str
) -> Consumed:
    """Consume one stream, with an ear before the handler and one after it."""
    before, after = Ear(), Ear()
    seen = Consumed(name=name, ears=[before, after])
    handlers = [before, after] if handler is None else [before, handler, after]
    await CONSUMERS[how](client, prompt, handlers, seen)
    return seen
