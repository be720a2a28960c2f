"""An answer with a fault in it: what came is passed on up to that, and then as the fault says.

Its content passes event by event, in chunks of our own: what is to break is not passed byte for byte.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol

from lm_deluge.config import Limits
from lm_deluge.dialects import dialect_named
from lm_deluge.proxy.faults import INSERTED, InjectedFault
from lm_deluge.proxy.heads import HeaderField
from lm_deluge.proxy.injected import injected_event
from lm_deluge.proxy.passing import Passing
from lm_deluge.values.redaction import Redactor

if TYPE_CHECKING:
    from lm_deluge.dialects.dialect import AnswerReader

__all__ = ["Between", "Meddler"]

_EVENT_END: Final = re.compile(rb"\r?\n\r?\n")

_LAST: Final = b"0\r\n\r\n"

#: Bytes that wait, at most, before the upstream has to wait, too.
_HELD: Final = 1 << 20


class Between(Protocol):
    """The connection to an upstream, as its meddler sees it."""

    def pass_content(self, data: bytes, content: bytes, arrived: float) -> None:
        """Write bytes to the reader, and tell of the content in them."""

    def pass_end(self, data: bytes) -> None:
        """Write what ends the body: the answer is whole."""

    def break_off(self, how: str, data: bytes) -> None:
        """Write bytes and end the reader's connection: ``"eof"``, ``"reset"``, ``"drop"``, ``"half-close"``;
        ``"stall"`` leaves it open. The upstream is left."""

    def pause(self) -> None:
        """Let the upstream wait."""

    def resume(self) -> None:
        """Let it go on."""


class Meddler:
    """The fault of one answer to a request. Pieces are counted by its dialect; where there is none, reads."""

    def __init__(self, fault: InjectedFault, passing: Passing, between: Between) -> None:
        self._between = between
        self._dialect = passing.route.dialect
        self._event = b""
        self._loop = asyncio.get_running_loop()
        self._reader: AnswerReader | None = None
        self._held = bytearray()
        self._pieces = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_chunked = False
        self._is_whole = False
        self._is_over = False
        name, argument = fault.fault.name, fault.argument
        self._name = name
        self._seconds = 0.0
        self._after = 0
        self._act: Callable[[], None] = self._break
        if name == "pause":
            (self._seconds, self._after), self._act = argument, self._pause
        elif name == "buffer":
            self._seconds, self._after, self._act = argument, -1, self._pause
        elif name in INSERTED:
            (self._event, self._after), self._act = injected_event(passing, fault), self._insert
        elif name != "hang-before-first-token":
            self._after = argument

    def begin(self, fields: Sequence[HeaderField]) -> None:
        """The head of the answer was passed on."""
        found = {field.name: field.value.lower() for field in fields}
        self._is_chunked = b"transfer-encoding" in found
        is_read = found.get(b"content-type", b"").startswith(b"text/event-stream")
        if is_read and b"content-encoding" not in found and self._dialect is not None:
            self._reader = dialect_named(self._dialect).answer(
                choices=1, limits=Limits(), accept_eof=False, redactor=Redactor()
            )
        elif self._event:
            self._after = -1  # an answer without events has none more
        if self._after == 0:
            self._act()

    def take(self, content: bytes) -> None:
        """Content came."""
        if self._is_over or not content:
            return
        self._held += content
        if self._name == "buffer":
            if self._timer is None:
                self._timer = self._loop.call_later(self._seconds, self._release)
        elif self._timer is None:
            self._pass_events()
        if self._timer is not None and len(self._held) > _HELD:
            self._between.pause()

    def end(self) -> None:
        """The answer is whole upstream."""
        self._is_whole = True
        if self._timer is None and not self._is_over:
            self._finish()

    def close(self) -> None:
        """The upstream is gone: what is held goes on now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_over:
            return
        if self._is_whole:
            self._finish()
        else:
            self._pass_all()
            self._is_over = True

    def cancel(self) -> None:
        """Nobody reads any more."""
        self._is_over = True
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pass_events(self) -> None:
        """Pass on one event after the other, until it is time."""
        while self._held and not self._is_over and self._timer is None:
            if self._after < 0:
                self._pass_all()
                return
            end = len(self._held)
            if self._reader is not None:
                found = _EVENT_END.search(self._held)
                if found is None:
                    return
                end = found.end()
            event = bytes(self._held[:end])
            del self._held[:end]
            self._pass(event)
            self._pieces += 1 if self._reader is None else len(self._reader.feed(event, 0.0))
            if self._pieces >= self._after:
                self._act()

    def _pass_all(self) -> None:
        if self._held:
            held = bytes(self._held)
            self._held.clear()
            self._pass(held)

    def _pass(self, content: bytes) -> None:
        data = b"%x\r\n%b\r\n" % (len(content), content) if self._is_chunked else content
        self._between.pass_content(data, content, perf_counter())

    def _break(self) -> None:
        self._is_over = True
        self._held.clear()
        ends = self._name == "eof" and self._is_chunked
        self._between.break_off(self._name, _LAST if ends else b"")

    def _insert(self) -> None:
        """Tell an event of our own: an error is the last one, and the rest follows any other."""
        self._after = -1
        self._pass(self._event)
        if self._name == "error-frame":
            self._name = "eof"
            self._break()

    def _pause(self) -> None:
        self._after = -1
        self._timer = self._loop.call_later(self._seconds, self._release)

    def _release(self) -> None:
        self._timer = None
        self._pass_all()
        self._between.resume()
        if self._is_whole and not self._is_over:
            self._finish()

    def _finish(self) -> None:
        self._pass_all()
        self._is_over = True
        self._between.pass_end(_LAST if self._is_chunked else b"")
