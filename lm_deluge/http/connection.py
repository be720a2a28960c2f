"""One connection: what comes in on it, for which request, and its silence in between.

A connection belongs to a request from the moment at which that is written until its answer has come
in. What comes in before or after is nobody's answer.

    new, or Idle ──Sending is written──> Tap ──the body is whole──> Idle ──anything comes in──> closed
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import select
from logging import DEBUG
from time import monotonic, perf_counter
from typing import Any, Final

import aiohttp

from lm_deluge.values.foreign import log

__all__ = ["Sending", "Tap"]

#: Bytes of a body that are written in one go; the event loop goes on in between.
_PIECE: Final = 1 << 18

#: The empty line after a head (RFC 9112, section 2.2: a lone LF may be taken for a line's end).
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_INTERIM: Final = re.compile(rb"\s*HTTP/\d\.\d 1\d\d\b")


class NotSilentError(Exception):
    """The connection is not to be used: nothing was sent on it."""


class Sending(bytes):
    """The body of one request, which knows when it is written, and on which connection.

    ``tap``: of that connection, ``None`` before anything of the request was written. ``connected``:
    there is a connection. ``reused``: it has served another request. ``early``: bytes were there
    already when the request was written, on a new connection. ``transports``: the open connections,
    kept up to date; ``None`` where others may use them, too. ``idle_since``: one that has been idle for
    longer than that, by ``time.monotonic``, is not to be used.
    """

    tap: Tap | None = None
    connected = False
    reused = False
    early = False
    transports: set[asyncio.Transport] | None = None
    idle_since = 0.0

    def take(self, transport: asyncio.Transport | None) -> None:
        """Take a connection over for this request. Raises ``NotSilentError``."""
        if transport is None:
            raise NotSilentError
        protocol: Any = transport.get_protocol()
        if isinstance(protocol, Idle):
            self.reused = True
            inner, is_silent = (
                protocol.inner,
                protocol.is_silent and protocol.since >= self.idle_since,
            )
        else:
            inner, is_silent = protocol, True
        is_silent = is_silent and not getattr(inner, "should_close", False)
        if self.reused:
            if not is_silent or _is_readable(transport):
                transport.abort()
                raise NotSilentError
        else:
            # Under TLS bytes of its own may be there.
            is_plain = transport.get_extra_info("sslcontext") is None
            self.early = not is_silent or (is_plain and _is_readable(transport))
        self.tap = Tap(transport, inner, self.transports)


class _Payload(aiohttp.Payload):
    """How aiohttp writes a body that is a ``Sending``."""

    _value: Sending

    def __init__(self, value: Sending, **named: Any) -> None:
        super().__init__(value, content_type="application/json", **named)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: Any) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        body = self._value
        # The head is written with the first piece.
        body.take(writer.transport)
        if len(body) <= _PIECE:
            await writer.write(body)
            return
        for start in range(0, len(body), _PIECE):
            if start:
                await asyncio.sleep(0)
            await writer.write(body[start : start + _PIECE])


aiohttp.PAYLOAD_REGISTRY.register(_Payload, Sending)


class Tap(asyncio.Protocol):
    """Stands between a connection and aiohttp's protocol for it, from a request to the end of its answer.

    It notes when something comes in, before anything else is done with it, and wakes whoever reads.
    It passes the head of a response on by itself: aiohttp's parser throws a head away, and the
    beginning of the body with it, if the same read holds something that is not HTTP further on.
    The other way round, it stands between aiohttp's reader and that protocol and passes on only what
    changes something: aiohttp 3.14 would run the parser once more after every read.

    ``arrived``: when something came in last, by ``time.perf_counter``; 0 before the first bytes.
    ``is_over``: nothing follows. ``is_faulty``: because of what was not HTTP. ``transports``: see
    ``Sending``.
    """

    __slots__ = (
        "_head",
        "_inner",
        "_loop",
        "_paused",
        "_transport",
        "_transports",
        "_waiter",
        "arrived",
        "is_faulty",
        "is_over",
    )

    def __init__(
        self,
        transport: asyncio.Transport | None,
        inner: Any,
        transports: set[asyncio.Transport] | None = None,
    ) -> None:
        self.arrived = 0.0
        # As far as it has come; ``None`` once it is over.
        self._head: bytearray | None = bytearray()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        # What came with the headers may have been enough to be paused.
        self._paused = True
        self._transports = transports
        self._inner = inner
        self._transport = transport
        self.is_over = transport is None
        self.is_faulty = False
        if transport is not None:
            transport.set_protocol(self)
            if transports is not None:
                transports.add(transport)

    def follow(self, reader: aiohttp.StreamReader) -> None:
        """The head has come in, and the body is read by ``reader``."""
        self._head = None
        if self._transport is None:
            return
        if reader.is_eof():
            self.leave()
            return
        reader.on_eof(self._end)
        if hasattr(reader, "_protocol"):
            reader._protocol = self  # type: ignore[assignment]  # noqa: SLF001 - there is no other way

    def wait(self) -> asyncio.Future[None]:
        """Return a future that is done when something has come in."""
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def wake(self) -> None:
        """Let whoever waits go on."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def leave(self) -> None:
        """Leave the connection to whoever is next; close it unless it is as it was before."""
        self.is_over = True
        transport, self._transport = self._transport, None
        if transport is None or transport.get_protocol() is not self:
            return
        transport.set_protocol(Idle(transport, self._inner, self._transports))
        if _has_leftovers(self._inner):
            # That of a closed loop refuses: ``Sessions`` closes its socket.
            with contextlib.suppress(RuntimeError):
                transport.close()

    def _end(self) -> None:
        # Called by the parser: what follows in the same read is still to come.
        self.is_over = True

    # -- called by the connection

    def data_received(self, data: bytes) -> None:
        self.arrived = perf_counter()
        if self._head is None:
            self._inner.data_received(data)
        else:
            self._pass_by_heads(self._head, data)
        if self.is_over:
            self.leave()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

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

    def eof_received(self) -> bool | None:
        if self.arrived:
            self.arrived = perf_counter()
        return self._inner.eof_received()  # type: ignore[no-any-return]

    def connection_lost(self, error: Exception | None) -> None:
        if self.arrived:
            self.arrived = perf_counter()
        self.is_over = True
        self.is_faulty = self._inner.exception() is not None
        if self._transports is not None and self._transport is not None:
            self._transports.discard(self._transport)
        self._transport = None
        self._inner.connection_lost(error)
        self.wake()

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
            if self.is_over:
                self.leave()


class Idle(asyncio.Protocol):
    """Stands in a tap's place while a connection waits for its next request, and closes it when anything
    comes in.

    ``inner``: aiohttp's protocol. ``since``: when it became idle, by ``time.monotonic``. ``transports``:
    see ``Sending``; where there are none, a session that is not ours may use the connection, too, and
    must find it as it left it.
    """

    __slots__ = ("_held", "_parser", "_transport", "_transports", "inner", "since")

    def __init__(
        self,
        transport: asyncio.Transport,
        inner: Any,
        transports: set[asyncio.Transport] | None,
    ) -> None:
        self.inner = inner
        self.since = monotonic()
        self._transport = transport
        self._transports = transports
        # aiohttp makes one for every request.
        self._parser = getattr(inner, "_parser", None)
        self._held = b""

    @property
    def is_silent(self) -> bool:
        """Whether nothing came in."""
        return not self._held and not self._transport.is_closing()

    def data_received(self, data: bytes) -> None:
        if self._transports is None and getattr(self.inner, "_parser", None) is not self._parser:
            # A request has the connection. One of ours takes it over before the loop's next turn.
            if not self._held:
                asyncio.get_running_loop().call_soon(self._pass_on)
            self._held += data
            return
        log(DEBUG, "%d bytes that nobody had asked for: their connection is closed", len(data))
        self._transport.abort()

    def _pass_on(self) -> None:
        """Give what came in to aiohttp, unless a request of ours came across it."""
        held, self._held = self._held, b""
        if held and self._transport.get_protocol() is self:
            self._transport.set_protocol(self.inner)
            self.inner.data_received(held)

    def eof_received(self) -> bool | None:
        self._pass_on()
        return self.inner.eof_received()  # type: ignore[no-any-return]

    def connection_lost(self, error: Exception | None) -> None:
        self._pass_on()
        if self._transports is not None:
            self._transports.discard(self._transport)
        self.inner.connection_lost(error)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


def _has_leftovers(inner: Any) -> bool:
    """Whether something is left of a connection's last answer, or came after it."""
    if inner.should_close:
        return True
    # Half a message is in the parser, which is not used again: each request has its own.
    parser = getattr(inner, "_parser", None)
    if parser is None:
        return False
    if getattr(parser, "_tail", b"") or getattr(parser, "_lines", ()):  # of the one in Python
        return True
    try:
        return parser.feed_eof() is not None
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it was no end
        return True


def _is_readable(transport: asyncio.Transport) -> bool:
    """Whether something is there that the event loop has not seen: bytes, an end, an error."""
    raw = transport.get_extra_info("socket")
    if raw is None:
        return False
    descriptor = raw.fileno()
    if descriptor < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])  # Windows
