"""One request and its response, read as the bytes arrive."""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from typing import TYPE_CHECKING, Final

import aiohttp

from lm_deluge.errors import ConnectionLostError
from lm_deluge.http.connection import Tap
from lm_deluge.http.translation import BROKE, cause_of, translate_read
from lm_deluge.wire.headers import header_text

if TYPE_CHECKING:
    from lm_deluge.http.request import Request

__all__ = ["HttpExchange"]


class HttpExchange:
    """One request and its response.

    ``status``, ``headers``: of the response. ``content_type``: lower case, ``""`` if it names none.
    ``tap``: of the connection; ``None`` for a response that did not come from one. ``reused``: the
    connection has served another request.
    """

    __slots__ = (
        "_reader",
        "_response",
        "_taken",
        "_tap",
        "content_type",
        "headers",
        "request",
        "reused",
        "status",
    )

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        request: Request,
        tap: Tap | None = None,
        *,
        reused: bool = False,
    ) -> None:
        self.status: Final = response.status
        self.headers: Final = response.headers
        self.content_type: Final = (
            header_text(response.content_type.lower()) if "Content-Type" in response.headers else ""
        )
        self.request: Final = request
        self.reused: Final = reused
        self._response = response
        self._reader = response.content
        self._taken = 0
        self._tap = tap if tap is not None else Tap(None, None)
        self._tap.arrived = self._tap.arrived or perf_counter()
        self._tap.follow(response.content)

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
        self._tap.leave()
        connection = self._response.connection
        self._response.close()
        # aiohttp lets go of it unless its event loop is closed, and would complain later; at the first
        # time the transport wants to call that loop.
        for _ in range(2):
            if connection is not None and connection.protocol is not None:
                with contextlib.suppress(RuntimeError):
                    connection.close()
