"""One request and its response, read as the bytes arrive."""

from __future__ import annotations

import asyncio
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from lm_deluge.aiohttp_errors import BROKE, cause_of, translate_read
from lm_deluge.errors import ConnectionLostError

if TYPE_CHECKING:
    from lm_deluge.transport import Request

__all__ = ["Exchange", "Response"]

#: The empty line after a head (RFC 9112, section 2.2: a lone LF may be taken for a line's end).
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_INTERIM: Final = re.compile(rb"HTTP/\d\.\d 1\d\d\b")


class Exchange:
    """One request and its response.

    ``status``, ``headers``: of the response. ``content_type``: lower case, ``""`` if it names none.
    """

    __slots__ = (
        "_reader",
        "_response",
        "_taken",
        "_tap",
        "content_type",
        "headers",
        "request",
        "status",
    )

    def __init__(self, response: aiohttp.ClientResponse, request: Request) -> None:
        self.status: Final = response.status
        self.headers: Final = response.headers
        self.content_type: Final = (
            response.content_type.lower() if "Content-Type" in response.headers else ""
        )
        self.request: Final = request
        self._response = response
        self._reader = response.content
        self._taken = 0
        self._tap = (response.tap if isinstance(response, Response) else None) or _Tap(
            response.connection
        )
        self._tap.read(response.content)

    @property
    def arrived(self) -> float:
        """When the last bytes, or the end of the connection, came in: by ``time.perf_counter``."""
        return self._tap.arrived

    def take(self) -> bytes | None:
        """Return the bytes that have arrived, ``b""`` at the end of the body, ``None`` if none are there.

        Raises ``ConnectionLostError`` when the connection broke; what had arrived before it is
        returned first.
        """
        reader = self._reader
        if reader.exception() is None:
            if reader.total_bytes != self._taken:
                data = reader.read_nowait()
                self._taken += len(data)
                return data
            if not self._tap.is_over:
                return None
        data = self.salvage()
        if not data and (lost := self.lost()) is not None:
            raise lost
        return data

    def more(self) -> asyncio.Future[None]:
        """Return a future that is done when ``take`` is to be asked again, or after ``wake``."""
        return self._tap.wait()

    def wake(self) -> None:
        """Let whoever waits for ``more`` go on."""
        self._tap.wake()

    def heard(self) -> float:
        """``arrived``, as a function: another value whenever something came in."""
        return self._tap.arrived

    async def read(self) -> bytes:
        """Wait for the next bytes and ``take`` them."""
        while (data := self.take()) is None:
            await self.more()
        return data

    def salvage(self) -> bytes:
        """Return what has arrived and was not taken yet; never raises."""
        reader = self._reader
        broken = reader.exception()
        if broken is not None:
            # aiohttp raises before it gives back what it had buffered.
            reader.set_exception(None)  # type: ignore[arg-type]  # the way past its own check
        data = reader.read_nowait()
        self._taken += len(data)
        if broken is not None:
            reader.set_exception(broken)
        return data

    def lost(self) -> ConnectionLostError | None:
        """Return why nothing can follow what has arrived, if the body was not whole by then."""
        reader = self._reader
        error = reader.exception()
        if error is not None:
            failure = translate_read(error, self.request)
            failure.__cause__ = cause_of(error, self.request)
            return failure
        if self._tap.is_over and not reader.is_eof():
            # aiohttp closes a connection on which a chunk's size is malformed, and tells no reader.
            why = "the body is malformed" if self._tap.is_faulty else "it was closed on this side"
            return ConnectionLostError(f"{BROKE}: {why}")
        return None

    async def drain(self, limit: float) -> None:
        """Read what is left for at most ``limit`` seconds, so that the connection can be reused."""
        if self._reader.is_eof():
            return
        try:
            async with asyncio.timeout(limit):
                while await self.read():
                    pass
        except (ConnectionLostError, TimeoutError):
            pass

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self._tap.end()
        self._response.close()


class Response(aiohttp.ClientResponse):
    """aiohttp's response, with a tap on its connection from before its head arrives. ``tap``: there
    once it has started."""

    tap: _Tap | None = None

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Read the head."""
        tap = self.tap = _Tap(connection)
        try:
            return await super().start(connection)
        except BaseException:
            tap.end()
            raise


class _Tap(asyncio.Protocol):
    """Stands between a connection and aiohttp's protocol for it while a response is read.

    It notes when something comes in, before anything else is done with it, and wakes whoever reads.
    It passes the head of a response on by itself: aiohttp's parser throws a head away, and the
    beginning of the body with it, if the same read holds something that is not HTTP further on.
    The other way round, it stands between aiohttp's reader and that protocol and passes on only what
    changes something: aiohttp 3.14 would run the parser once more after every read.

    ``arrived``: when something came in last, by ``time.perf_counter``. ``is_over``: nothing follows.
    ``is_faulty``: because of what was not HTTP.
    """

    __slots__ = (
        "_head",
        "_inner",
        "_loop",
        "_paused",
        "_transport",
        "_waiter",
        "arrived",
        "is_faulty",
        "is_over",
    )

    def __init__(self, connection: Any) -> None:
        self.arrived = perf_counter()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        # What came with the headers may have been enough to be paused.
        self._paused = True
        self._inner: Any = None if connection is None else connection.protocol
        self._transport: Any = None if connection is None else connection.transport
        self._head: bytearray | None = bytearray()
        self.is_over = self._transport is None
        self.is_faulty = False
        if self._transport is not None:
            self._transport.set_protocol(self)

    def read(self, reader: aiohttp.StreamReader) -> None:
        """The head is there: stand behind the reader of the body, too."""
        self._head = None
        if self._transport is not None:
            reader.on_eof(self.end)
        if self._transport is not None and hasattr(reader, "_protocol"):
            reader._protocol = self  # type: ignore[assignment]  # noqa: SLF001 - there is no other way

    def wait(self) -> asyncio.Future[None]:
        """Return a future that is done when something has come in."""
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def wake(self) -> None:
        """Let whoever waits go on."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self) -> None:
        """Leave the connection as it was."""
        self.is_over = True
        transport, self._transport = self._transport, None
        if transport is not None and transport.get_protocol() is self:
            transport.set_protocol(self._inner)

    # -- called by the connection

    def data_received(self, data: bytes) -> None:
        self.arrived = perf_counter()
        if self._head is None:
            self._inner.data_received(data)
        else:
            self._pass_by_heads(self._head, data)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def eof_received(self) -> bool | None:
        self.arrived = perf_counter()
        return self._inner.eof_received()  # type: ignore[no-any-return]

    def connection_lost(self, error: Exception | None) -> None:
        self.arrived = perf_counter()
        self.is_over = True
        self.is_faulty = self._inner.exception() is not None
        self._transport = None
        self._inner.connection_lost(error)
        self.wake()

    def _pass_by_heads(self, head: bytearray, data: bytes) -> None:
        """Pass on each head by itself, and what follows the last one.

        An interim response (100 to 199; RFC 9110, section 15.2) is only a head, and another follows.
        ``head``: what came of the present one so far.
        """
        while data and self._head is not None:
            known = len(head)
            head += data
            found = _HEAD_END.search(head, max(0, known - 2))
            if found is None:
                break
            if _INTERIM.match(head) is None:
                self._head = None
            head.clear()
            cut = found.end() - known
            self._inner.data_received(data[:cut])
            data = data[cut:]
        if data:
            self._inner.data_received(data)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    # -- called by aiohttp's reader of the body

    def pause_reading(self) -> None:
        self._paused = True
        self._inner.pause_reading()

    def resume_reading(self, *args: Any, **named: Any) -> None:
        if self._paused:
            self._paused = False
            self._inner.resume_reading(*args, **named)

    @property
    def _reading_paused(self) -> bool:  # asked by aiohttp 3.13
        return self._paused
