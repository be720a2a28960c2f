"""A connection to an upstream: what comes in on it goes on to the reader at once, and is told afterwards."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final, Protocol

from lm_deluge.http.dialling import Dialled
from lm_deluge.proxy.framing import Framing, FramingError, UntilClose, of_response
from lm_deluge.proxy.headers import forwarded_response, keeps_open, pairs
from lm_deluge.proxy.heads import HeaderField, StatusLine, find_response_end, read_response
from lm_deluge.proxy.meddling import Meddler
from lm_deluge.proxy.passing import Passing

__all__ = ["Before", "UpstreamSide"]

#: Bytes of a response's head; what is longer passes on unread.
_MAX_HEAD: Final = 256 << 10
_BEGINNING: Final = b"HTTP/1."


class Before(Protocol):
    """The reader's side, as its upstream sees it."""

    transport: asyncio.Transport

    def answer_is_whole(self, *, keep: bool) -> None:
        """The answer is whole; ``keep``: the upstream's connection may carry another request."""

    def tunnel_is_open(self) -> None:
        """Both sides speak something else from here on."""

    def upstream_is_gone(self, error: BaseException | None) -> None:
        """It closed its connection, or ``error`` broke it."""

    def upstream_is_full(self, *, is_full: bool) -> None:
        """It takes no more for now, or takes more again."""


class UpstreamSide(asyncio.Protocol):
    """One connection to the upstream of one reader; answers come on it one after the other.

    ``origin``: whose it is.
    """

    _meddled: Passing

    def __init__(self, before: Before, origin: str) -> None:
        self.origin: Final = origin
        self.dialled: Dialled | None = None
        self._transport: asyncio.Transport | None = None
        self._before = before
        self._passing: Passing | None = None
        # Of the present answer: its head as far as it is there, then how its body is framed.
        self._held = bytearray()
        self._framing: Framing | None = None
        self._keeps = False
        self._meddler: Meddler | None = None
        self._is_paused = False
        self._is_over = False

    def adopt(self, dialled: Dialled) -> None:
        """The connection is there."""
        self.dialled = dialled
        self._transport = dialled.transport

    @property
    def is_usable(self) -> bool:
        """Whether a request may be written on it."""
        return (
            not self._is_over and self._transport is not None and not self._transport.is_closing()
        )

    def ask(self, passing: Passing, head: bytes) -> None:
        """Write the head of a request; its answer is passed on."""
        self._passing = passing
        self._held.clear()
        self._framing = None
        self._meddler = None
        self.write(head)

    def write(self, data: bytes) -> None:
        """Write bytes of a request."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def request_is_whole(self) -> None:
        """All of the request was written: the upstream knows that itself."""

    def write_eof(self) -> None:
        """Nothing more is written; only of a tunnel."""
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def leave(self) -> None:
        """Close it at once: nobody reads what would come."""
        self._is_over = True
        self._passing = None
        if self._meddler is not None:
            self._meddler.cancel()
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Take nothing in until ``resume``: the reader is slower."""
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take in again."""
        if self._transport is not None and self._is_paused:
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # -- called by the connection

    def connection_made(self, transport: Any) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        arrived = perf_counter()
        passing = self._passing
        if passing is None:
            if not self._is_over:
                # An answer to nothing: the connection is of no more use.
                self._is_over = True
                assert self._transport is not None
                self._transport.abort()
                self._before.upstream_is_gone(None)
        elif self._framing is None:
            self._take_head(passing, data, arrived)
        else:
            self._take_body(passing, self._framing, b"", data, arrived)

    def eof_received(self) -> None:
        """See ``asyncio.Protocol``."""
        self._gone(None)
        # Closing would wait until what was written has gone, and nobody may be there to take it.
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._gone(exc)

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._before.upstream_is_full(is_full=True)

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self._before.upstream_is_full(is_full=False)

    # -- an answer

    def _take_head(self, passing: Passing, data: bytes, arrived: float) -> None:
        held = self._held
        known = len(held)
        held += data
        while True:
            if not _BEGINNING.startswith(held[: len(_BEGINNING)]):
                self._pass_unread(passing, arrived)
                return
            end = find_response_end(held, known)
            if end is None:
                if len(held) > _MAX_HEAD:
                    self._pass_unread(passing, arrived)
                return
            read = read_response(bytes(held[:end]))
            if read is None:
                self._pass_unread(passing, arrived)
                return
            first, fields = read
            if first.status >= 200 or first.status == 101:
                rest = bytes(held[end:])
                held.clear()
                self._begin(passing, first, fields, rest, arrived)
                return
            # Another head follows one that only informs (RFC 9110, section 15.2).
            self._write(passing, forwarded_response(first, fields))
            del held[:end]
            known = 0
            if not held:
                return

    def _begin(
        self,
        passing: Passing,
        first: StatusLine,
        fields: list[HeaderField],
        rest: bytes,
        arrived: float,
    ) -> None:
        head = forwarded_response(first, fields)
        passing.has_head(first.status, pairs(fields), arrived)
        if first.status == 101:
            passing.is_tunnel = True
            self._framing = UntilClose()
            self._write(passing, head + rest)
            self._before.tunnel_is_open()
            return
        framing = self._framing = of_response(passing.first.method, first, fields)
        self._keeps = keeps_open(first.minor, fields) and not isinstance(framing, UntilClose)
        if passing.fault is not None and first.status == 200 and not framing.done:
            self._write(passing, head)
            self._meddled = passing
            self._meddler = Meddler(passing.fault, passing, self)
            self._meddler.begin(fields)
            head = b""
        self._take_body(passing, framing, head, rest, arrived)

    def _take_body(
        self, passing: Passing, framing: Framing, head: bytes, data: bytes, arrived: float
    ) -> None:
        try:
            content, used = framing.feed(data)
        except FramingError as error:
            if self._meddler is not None:
                self._meddler.close()
            self._write(passing, head + data)
            if error.found:
                passing.has_read(error.found, arrived)
            # What it is from here on is the reader's to judge.
            passing.ended("reset", error, arrived)
            self._framing = UntilClose()
            return
        if used < len(data):
            self._keeps = False  # there is more than an answer: nobody can say whose that is
            data = data[:used]
        if self._meddler is not None:
            if framing.done:
                self._passing = None
            self._meddler.take(content)
            if framing.done:
                self._meddler.end()
            return
        self._write(passing, head + data if head else data)
        if content and not passing.is_tunnel and not passing.is_over:
            passing.has_read(content, arrived)
        if framing.done:
            self._passing = None
            passing.ended("whole", None, arrived)
            self._before.answer_is_whole(keep=self._keeps)

    # -- called by a meddler

    def pass_content(self, data: bytes, content: bytes, arrived: float) -> None:
        """See ``Between``."""
        passing = self._meddled
        self._write(passing, data)
        passing.has_read(content, arrived)

    def pass_end(self, data: bytes) -> None:
        """See ``Between``."""
        passing = self._meddled
        self._write(passing, data)
        passing.ended("whole")
        self._before.answer_is_whole(keep=self._keeps)

    def break_off(self, how: str, data: bytes) -> None:
        """See ``Between``."""
        passing = self._meddled
        self._write(passing, data)
        self.leave()
        if data:  # as if the answer had ended here
            passing.ended("whole")
            self._before.answer_is_whole(keep=False)
        elif how == "reset":
            error = ConnectionResetError("an injected fault reset the connection")
            passing.ended("reset", error)
            self._before.upstream_is_gone(error)
        elif how == "half-close":
            passing.ended("short")
            self._before.transport.write_eof()
        elif how in ("drop", "eof"):
            passing.ended("short")
            self._before.upstream_is_gone(None)

    def _pass_unread(self, passing: Passing, arrived: float) -> None:
        """What came is no HTTP: it passes on all the same, until the connection ends."""
        self._write(passing, bytes(self._held))
        self._held.clear()
        self._framing = UntilClose()
        passing.ended("unreachable", FramingError("the answer is no HTTP"), arrived)

    def _write(self, passing: Passing, data: bytes) -> None:
        transport = self._before.transport
        if data and not transport.is_closing():
            passing.begun = True
            transport.write(data)

    def _gone(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        passing, self._passing = self._passing, None
        if self._meddler is not None:
            self._meddler.close()
        if passing is not None:
            if self._framing is None:
                self._write(passing, bytes(self._held))  # of a head, what there is
                passing.ended("unreachable", error)
            elif error is not None:
                passing.ended("reset", error)
            else:
                whole = isinstance(self._framing, UntilClose)
                passing.ended("whole" if whole else "short")
        self._before.upstream_is_gone(error)
