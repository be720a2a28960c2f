"""Simulators that play one fault, and what they put on the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lm_deluge.simulator import Fault, Simulator
from support.plain_client import hang_up

WORDS = ["one", " two", " three", " four", " five"]
TEXT = "".join(WORDS)
THREE = "one two three"


async def over_the_wire(
    sim: Simulator, patience: float = 0.2, *, connection: str = "keep-alive", **body: Any
) -> tuple[bytes, str]:
    """All bytes that come, and how they end: "fin", "rst" or "open"."""
    reader, writer = await asyncio.open_connection(sim.host, sim.port)
    data = json.dumps(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True} | body
    ).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
        b"Connection: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % (connection.encode(), len(data))
        + data
    )
    got = b""
    try:
        async with asyncio.timeout(patience):
            while read := await reader.read(65536):
                got += read
        end = "fin"
    except TimeoutError:
        end = "open"
    except ConnectionResetError:
        end = "rst"
    await hang_up(writer)
    return got, end


def simulator(*faults: str | Fault | None, **more: Any) -> Simulator:
    return Simulator(text=WORDS, faults=faults, **more)
