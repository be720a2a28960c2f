"""Writing a reply: the only code that touches the transport."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

from aiohttp.abc import AbstractStreamWriter

from lm_deluge.simulator.saying.steps import (
    Act,
    Overhead,
    Paced,
    Reply,
    Step,
    Verbatim,
)
from lm_deluge.simulator.serving.received import ReceivedRequest

# Pieces written in one turn of the event loop when none has to wait: more would starve the client.
_BURST = 32
# Bytes the kernel has not taken yet, above which the reply waits for the client to read.
_HIGH_WATER = 64 * 1024
# Seconds between two looks at an event of another thread.
_LOOK = 0.005
# Turns of the event loop a client in the same loop needs from the socket to its own code.
_TURNS = 6

_NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


def head(reply: Reply, request_id: str, *, keep: bool) -> bytes:
    """Render the status line and headers of a reply."""
    try:
        reason = HTTPStatus(reply.status).phrase
    except ValueError:
        reason = "Unknown"
    fields = {"Date": formatdate(usegmt=True)}
    if reply.content_type is not None:
        fields["Content-Type"] = reply.content_type
    if reply.chunked:
        fields["Transfer-Encoding"] = "chunked"
    fields["Connection"] = "keep-alive" if keep else "close"
    if "request-id" not in reply.headers:
        # Where a service has a name of its own for it, that is the only one.
        fields["x-request-id"] = request_id
    fields["Server"] = "lm-deluge-simulator"
    fields |= reply.headers
    lines = [f"HTTP/1.1 {reply.status} {reason}", *(f"{k}: {v}" for k, v in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _plain(data: bytes) -> bytes:
    return data


class _Pump:
    """Writes pieces at their moments by timer callbacks: a task switch a piece would cost as much
    as the write itself, and thousands of replies run at once.
    """

    def __init__(self, player: Player, paced: Paced) -> None:
        self._player = player
        self._pieces = paced.pieces
        self._waits = paced.waits
        self._at = 0
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        if paced.pieces:
            self._due += paced.waits[0]
        self._handle: asyncio.Handle | None = None
        self._stopped: asyncio.Future[None]

    async def run(self) -> None:
        while self._at < len(self._pieces):
            self._stopped = self._loop.create_future()
            self._go()
            try:
                await self._stopped
            finally:
                if self._handle is not None:
                    self._handle.cancel()
                    self._handle = None
            await self._player.drained()

    def _go(self) -> None:
        self._handle = None
        if self._stopped.done():  # the reply was called off in this turn of the loop
            return
        burst = 0
        while self._at < len(self._pieces):
            if self._due > self._loop.time():
                self._handle = self._loop.call_at(self._due, self._go)
                return
            if burst == _BURST:
                self._handle = self._loop.call_soon(self._go)
                return
            burst += 1
            if self._player.lost:
                if not self._stopped.done():  # whoever waits may have been cancelled in this turn
                    self._stopped.set_exception(ConnectionResetError("the client has gone"))
                return
            self._player.write_piece(self._pieces[self._at])
            self._at += 1
            if self._at < len(self._pieces):
                self._due += self._waits[self._at]
            if self._player.congested:
                break
        if not self._stopped.done():
            self._stopped.set_result(None)


class Player:
    """Plays one reply on one connection."""

    def __init__(
        self, transport: asyncio.Transport, writer: AbstractStreamWriter, record: ReceivedRequest
    ) -> None:
        self._transport = transport
        self._writer = writer
        self._record = record
        self._frame: Callable[[bytes], bytes] = _plain
        # Overhead waits for the next write: a system call costs more than all the rest.
        self._held: list[bytes] = []

    async def play(self, reply: Reply, request_id: str, *, keep: bool) -> bool:
        """Write a reply; return whether the connection can be used for another.

        Raises:
            ConnectionError: the client went away while something was being written.
        """
        keep = keep and (reply.chunked or "Content-Length" in reply.headers)
        self._frame = _framed if reply.chunked else _plain
        opened = False
        wrote = False
        for step in reply.steps:
            if not opened:
                opened = True
                if not isinstance(step, Verbatim):
                    self._open(reply, request_id, keep=keep)
            if isinstance(step, Overhead):
                self._held.append(self._frame(step))
            elif isinstance(step, bytes):
                if wrote and reply.spacing is not None:
                    await _breathe(reply.spacing)
                self._write(step)
                wrote = True
                await self.drained()
            elif isinstance(step, Act):
                return await self._act(step, keep=keep)
            else:
                self._flush()
                await self.drained()
                await self._wait(step)
                wrote = False
        if not opened:
            self._open(reply, request_id, keep=keep)
        await self._end_body()
        return keep

    def _open(self, reply: Reply, request_id: str, *, keep: bool) -> None:
        self._record.status = reply.status
        self._held.append(head(reply, request_id, keep=keep))

    def _flush(self) -> None:
        if self._held:
            if self.lost:
                raise ConnectionResetError("the client has gone")
            self._transport.write(b"".join(self._held))
            self._held.clear()

    @property
    def lost(self) -> bool:
        """Whether writing is in vain; asyncio logs a warning for those who go on."""
        return self._transport.is_closing()

    @property
    def congested(self) -> bool:
        return self._transport.get_write_buffer_size() > _HIGH_WATER

    async def drained(self) -> None:
        if self.congested:
            await self._writer.drain()

    def write_piece(self, data: bytes) -> None:
        # Counted first: a client on another thread may be faster than we are after the write.
        self._record.sent += 1
        self._record.sent_at.append(time.perf_counter())
        self._transport.write(self._frame(data))

    def _write(self, data: bytes) -> None:
        self._flush()
        if self.lost:
            raise ConnectionResetError("the client has gone")
        if isinstance(data, Verbatim):
            self._transport.write(data)
        elif data:
            # An empty piece would be the chunk that ends the body.
            self.write_piece(data)

    async def _wait(self, step: Step) -> None:
        if isinstance(step, Paced):
            await _Pump(self, step).run()
        elif isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, threading.Event):
            # A thread that waited for it could not be told that the client has gone.
            while not step.is_set():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK)
        elif isinstance(step, (int, float)):
            await asyncio.sleep(step)
        else:
            raise TypeError(f"not a step of a reply: {step!r}")

    async def _end_body(self) -> None:
        if self._frame is _framed:
            self._held.append(b"0\r\n\r\n")
        self._flush()
        await self.drained()

    async def _act(self, act: Act, *, keep: bool) -> bool:
        if act is Act.EOF:
            await self._end_body()
            return keep
        self._flush()
        if act is Act.ABORT:
            self._transport.close()
        elif act is Act.RESET:
            await self._flushed()
            sock = self._transport.get_extra_info("socket")
            # Gone when the client was faster; then there is nothing left to reset.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()
        else:
            if act is Act.HALF_CLOSE:
                self._transport.write_eof()
            await asyncio.get_running_loop().create_future()
        return False

    async def _flushed(self) -> None:
        """Wait until the kernel has everything and a client had the chance to read it.

        A reset throws away what the other side has not read yet: without this, "k pieces, then a
        reset" would often be no piece at all.
        """
        self._transport.set_write_buffer_limits(high=0)
        await self._writer.drain()
        await _breathe(0.005)


async def _breathe(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
