"""The base class of handlers."""

from __future__ import annotations

from typing import Any

from lm_deluge.errors import StreamError
from lm_deluge.observers.handler_methods import does_nothing
from lm_deluge.observers.retry import Retry
from lm_deluge.observers.stream import Stream
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.response import APIResponse

__all__ = ["StreamHandler"]


@does_nothing
class StreamHandler:
    """Base class of handlers: every method does nothing.

    A handler need not derive from it; any object with some of these methods will do. Methods may be
    plain or ``async def``. Plain ones run on the event loop and must not block; ``async`` ones run
    in order off the reading path. Neither can hurt the stream: what they raise is logged and listed
    in ``handler_failures``. Only ``KeyboardInterrupt`` and ``SystemExit`` go on, to whoever waits
    for the stream, after its ending was told.
    """

    def on_start(self, stream: Stream) -> Any:
        """The first attempt is about to be sent."""

    def on_token(self, stream: Stream, token: Token) -> Any:
        """A piece of visible answer text arrived."""

    def on_delta(self, stream: Stream, delta: Delta) -> Any:
        """A piece of reasoning, of a refusal or of a tool call arrived."""

    def on_object(self, stream: Stream, value: Any) -> Any:
        """An object grew: that of an answer in JSON, or the arguments of a tool call; at most every 50 ms.

        ``value``: plain dicts and lists, at the end what ``schema=`` asks for; not to be changed. A method
        with a third argument, ``growth``, is told what of it is open, and whose it is (``Growth``).
        """

    def on_retry(self, stream: Stream, retry: Retry) -> Any:
        """An attempt failed before any output, or is resumed, and another follows."""

    def on_complete(self, stream: Stream, response: APIResponse) -> Any:
        """The answer is whole."""

    def on_error(self, stream: Stream, error: StreamError) -> Any:
        """The stream ended any other way."""
