"""What the server saw of a request, and of the client behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs

from lm_deluge.simulator.serving.flag import Flag


@attrs.define(eq=False, kw_only=True)
class ReceivedRequest:
    """A request as it arrived, and what became of its reply so far (the last fields are live).

    Moments are seconds of ``time.perf_counter``.
    """

    method: str
    path: str
    query: dict[str, str] = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    """Case-insensitive."""
    body: bytes = attrs.field(repr=False)
    json: Any = attrs.field(repr=False)
    """The parsed body, or ``None`` when it is not JSON."""
    connection: int
    """Number of the TCP connection it came on, from 1 in order of arrival."""
    index: int
    """Number of the request, from 0 in order of arrival."""
    at: float
    """When the head of the request had been read."""
    fault: str | None = None
    """The fault that was played on it, as on the command line."""
    status: int | None = None
    """Status that was sent; ``None`` before, or when none was."""
    sent: int = 0
    """Pieces written so far."""
    sent_at: list[float] = attrs.field(factory=list, repr=False)
    """When each piece was written."""
    finished: Flag = attrs.field(factory=Flag, repr=False)
    """Set when the reply is over, whoever ended it; ``await request.finished.wait()`` in any loop."""
    gone_at: float | None = None
    """When the server noticed that the client had closed its connection before the end."""

    @property
    def disconnected(self) -> bool:
        """Whether the client closed its connection before the reply was over."""
        return self.gone_at is not None


class ReceivedRequests:
    """The requests of one server: the latest of them, and how many there were.

    ``keep``: how many of the latest are kept; ``None``: all.
    """

    def __init__(self, keep: int | None) -> None:
        self.latest: list[ReceivedRequest] = []
        self.count = 0
        self._keep = keep
        self._arrived = asyncio.Condition()

    async def add(self, record: ReceivedRequest) -> None:
        """Count a request in."""
        async with self._arrived:
            self.count += 1
            self.latest.append(record)
            if self._keep is not None and len(self.latest) > self._keep:
                del self.latest[: len(self.latest) - self._keep]
            self._arrived.notify_all()

    async def wait(self, number: int, seconds: float) -> ReceivedRequest:
        """Wait until ``number`` requests ever arrived; return the latest. Raises `TimeoutError`."""
        try:
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait_for(lambda: self.count >= number)
        except TimeoutError:
            raise TimeoutError(f"{self.count} of {number} requests after {seconds} s") from None
        return self.latest[-1]
