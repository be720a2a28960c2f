"""Readers of a relay that come back, and what they must have got in the end, in every format."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import aiohttp
from attrs import define

from lm_deluge_plugins.relay import FORMATS, Frame
from support.relaying import ENDINGS, Event, Front, check_log, events_in

__all__ = ["Reader", "check_bodies", "expected", "is_over", "read_on", "readers", "until_over"]

_COMMENT = b": heartbeat\n\n"


def expected(wire: str, events: Sequence[Event]) -> bytes:
    """Return what a format makes of a log that was read as ``events``."""
    encoder = FORMATS[wire]()
    frames = [
        Frame(each.id, each.data.encode(), each.items[-1]["kind"] in ENDINGS) for each in events
    ]
    return b"".join(encoder.encode(frame) for frame in frames)


def check_bodies(bodies: dict[str, bytes], *, ending: str = "complete") -> list[Event]:
    """All formats say the same frames, each once, in order, and one ending; return the frames."""
    events = events_in(bodies["events"])
    check_log(events, ending=ending)
    for wire, body in bodies.items():
        assert body == expected(wire, events), wire
        assert _endings(wire, body) == 1, wire
        assert is_over(wire, body), wire
    return events


def is_over(wire: str, body: bytes) -> bool:
    """Whether the last thing that a body says is its ending."""
    if wire == "ui-message":
        return body.endswith(b"data: [DONE]\n\n")
    return bool(body) and _endings(wire, body[body.rfind(b"\n\n", 0, -2) + 1 :]) == 1


def _endings(wire: str, body: bytes) -> int:
    found = events_in(body)
    if wire == "events":
        return sum(item["kind"] in ENDINGS for each in found for item in each.items)
    names = {"RUN_FINISHED", "RUN_ERROR", "finish", "abort", "error"}
    said = [json.loads(each.data) for each in found if each.data != "[DONE]"]
    return sum(each["type"] in names for each in said)


@define
class Reader:
    """One that comes back until it has the ending: as ``Last-Event-ID`` goes, or from the beginning."""

    wire: str
    stream_id: str
    body: bytes = b""
    #: How often the answer was that the log cannot be read for now, or that there is nothing.
    unavailable: int = 0
    nothing: int = 0

    @property
    def after(self) -> int:
        """The number of the newest whole frame it has."""
        events = events_in(self.body) if self.wire == "events" else []
        return events[-1].id if events else 0

    @property
    def is_over(self) -> bool:
        return is_over(self.wire, self.body)

    def take(self, data: bytes) -> None:
        """Keep what one connection brought, whole events of it, and hold it to what came before."""
        whole = data[: data.rfind(b"\n\n") + 2].replace(_COMMENT, b"") if b"\n\n" in data else b""
        whole = self._without_unavailable(whole)
        if self.wire == "events":
            self.body += whole
            return
        longer, shorter = sorted((whole, self.body), key=len, reverse=True)
        assert longer.startswith(shorter), f"{self.wire}: another beginning"
        self.body = longer

    def _without_unavailable(self, data: bytes) -> bytes:
        head, _, last = data.removesuffix(b"\n\n").rpartition(b"\n\n")
        if b"event: unavailable" in last or b"Redis" in last or b"the store was closed" in last:
            self.unavailable += 1
            return head + b"\n\n" if head else b""
        return data

    async def connect(self, front: Front, *, events: int | None = None) -> None:
        """Read one connection until it ends; with ``events`` until so many more of them came."""
        data = b""
        try:
            async with await front.read(self.stream_id, self.after, self.wire) as response:
                self.unavailable += response.status == 503
                self.nothing += response.status == 204
                if response.status != 200:
                    return
                async for more in response.content.iter_any():
                    data += more
                    if events is not None and data.count(b"\n\n") >= events:
                        response.close()
                        break
        except (aiohttp.ClientError, ConnectionError):
            pass
        finally:
            self.take(data)


def readers(stream_id: str) -> list[Reader]:
    """One reader of each format."""
    return [Reader(wire, stream_id) for wire in FORMATS]


async def read_on(reader: Reader, fronts: Sequence[Front], *, nothing: bool = False) -> bytes:
    """Let a reader come back, to one machine after the other, until it has the ending.

    ``nothing``: whether it may be told on the way that there is nothing.
    """
    turn = 0
    async with asyncio.timeout(40):
        while not reader.is_over:
            await reader.connect(fronts[turn % len(fronts)])
            assert nothing or not reader.nothing, f"{reader.wire}: told of nothing, not of the rest"
            turn += 1
            if not reader.is_over:
                await asyncio.sleep(0.02)
    return reader.body


async def until_over(
    stream_id: str, *fronts: Front, ending: str = "complete", nothing: bool = False
) -> list[Event]:
    """Read a stream in every format at once until its ending, and check what came."""
    those = readers(stream_id)
    await asyncio.gather(*(read_on(each, fronts, nothing=nothing) for each in those))
    return check_bodies({each.wire: each.body for each in those}, ending=ending)
