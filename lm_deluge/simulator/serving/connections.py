"""The TCP side: who is connected, which requests are being answered, who has gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpProcessingError, RawRequestMessage

from lm_deluge.simulator.serving.received import ReceivedRequest

_log = logging.getLogger("lm_deluge.simulator")


def _is_ours(entry: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's is about this side. A client that speaks no HTTP is told so in a 400;
    that is no error of a server."""
    error = entry.exc_info[1] if isinstance(entry.exc_info, tuple) else None
    return not isinstance(error, HttpProcessingError)


_log.addFilter(_is_ours)

#: Bytes of a request's body, at most.
_MAX_BODY = 64 << 20


@attrs.define(eq=False)
class Connection:
    """One accepted TCP connection."""

    number: int
    transport: asyncio.Transport
    record: ReceivedRequest | None = None
    """The request that is being answered on it."""
    task: asyncio.Task[Any] | None = None
    """The task that answers it."""
    owner: asyncio.Task[Any] | None = None
    """aiohttp's task of the connection, known once it carried a request."""


class Sent(web.StreamResponse):
    """Tells aiohttp that the reply went out already, and whether to read another request."""

    def __init__(self, *, keep: bool) -> None:
        super().__init__()
        self._kept = keep

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return self._kept

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing to send."""

    async def write_eof(self, data: bytes | bytearray | memoryview = b"") -> None:
        """Nothing to send."""


class Connections(web.Server):
    """aiohttp's low-level server with a register of its connections.

    Requests are parsed by aiohttp; replies are written to the transport by us, because no
    framework lets its users break HTTP.
    """

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(
            handler,
            request_factory=self._new_request,
            access_log=None,
            logger=_log,
            lingering_time=0,
        )
        self.accepted = 0
        self.open: dict[Any, Connection] = {}
        self.none_open = asyncio.Event()
        self.none_open.set()
        self.closing = False

    def _new_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: Any,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        # aiohttp's own limit is 1 MiB, and prompts are longer.
        loop = asyncio.get_running_loop()
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY
        )

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Called by aiohttp's protocol for a new connection."""
        super().connection_made(handler, transport)
        self.accepted += 1
        self.open[handler] = Connection(self.accepted, transport)
        self.none_open.clear()
        if self.closing:
            transport.abort()

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Called by aiohttp's protocol when either side has closed, at once and not when we write."""
        connection = self.open.pop(handler, None)
        super().connection_lost(handler, exc)
        if connection is None:
            return
        record = connection.record
        if record is not None and not record.finished.is_set():
            if not self.closing:
                record.gone_at = time.perf_counter()
            if connection.task is not None:
                connection.task.cancel()
        if not self.open:
            self.none_open.set()

    async def close(self, limit: float) -> None:
        """Break all connections and wait until no task of theirs is left, ``limit`` seconds at most."""
        self.closing = True
        tasks = [
            task
            for connection in self.open.values()
            for task in (connection.task, connection.owner)
            if task is not None
        ]
        for connection in list(self.open.values()):
            if connection.task is not None:
                connection.task.cancel()
            connection.transport.abort()
        # aiohttp waits for idle connections unless they were told first.
        self.pre_shutdown()
        if tasks:
            await asyncio.wait(tasks, timeout=limit / 2)
        await self.shutdown(limit / 4)
        try:
            async with asyncio.timeout(limit / 4):
                await self.none_open.wait()
        except TimeoutError:
            _log.debug("connections still open after %s s: %s", limit, len(self.open))
