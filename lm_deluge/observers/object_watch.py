"""A stream's object for the ``on_object`` of its handlers: looked at every 50 ms at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

from lm_deluge.errors import SchemaError
from lm_deluge.observers.attach import Sender, process_roster
from lm_deluge.observers.handler_methods import takes_growth
from lm_deluge.structured.growing import Following, GrowingAnswer, wait_after
from lm_deluge.values.growth import Growth
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.response import APIResponse

__all__ = ["ObjectWatch"]


class ObjectWatch:
    """Hears the pieces of one stream and tells what grows of them.

    Where the answer was not asked to be JSON, only the arguments of tools are told. ``send_to`` calls a
    handler's method with what follows the stream.
    """

    def __init__(self, stream: Sender, send_to: Callable[..., None]) -> None:
        has_json = stream.shape is not None or _asks_json(stream)
        following = Following(answer=has_json, shape=stream.shape, tool="")
        self._growing = GrowingAnswer(following)
        self._roster = stream.roster
        self._send_to = send_to
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, stream: object, piece: Token | Delta) -> None:
        """Take a piece; look at once, or when it is time."""
        self._growing.feed(piece)
        if self._timer is not None:
            return
        wait = self._not_before - perf_counter()
        if wait <= 0:
            self._look()
        else:
            self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def finish(self, response: APIResponse) -> None:
        """Tell what a whole answer holds; of what is none, whoever waits for it hears."""
        self.close()
        try:
            for value, growth in self._growing.whole(response):
                self._tell(value, growth)
        except SchemaError:
            return

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.close()
        begun = perf_counter()
        found = self._growing.look()
        self._not_before = begun + wait_after(perf_counter() - begun)
        for value, growth in found:
            self._tell(value, growth)

    def _tell(self, value: Any, growth: Growth) -> None:
        for attachment in (*process_roster.attachments, *self._roster.attachments):
            method = attachment.methods.get("on_object")
            if method is not None:
                more = (growth,) if takes_growth(method) else ()
                self._send_to(attachment, "on_object", value, *more)


def _asks_json(stream: Any) -> bool:
    """Whether an answer in JSON was asked for, in words of parameters."""
    request = getattr(stream, "request", None)
    if request is None:
        return False
    said = request.parameters
    wanted = said.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    return said.get("json_mode") is True or kind in ("json_object", "json_schema")
