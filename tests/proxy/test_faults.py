"""Every fault of the simulator on every wire: the same bytes and ending with the proxy and without."""

from __future__ import annotations

import asyncio
import json
import re
import time

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from support.fault_table import ROWS, said
from support.raw_http import Asker
from support.wires import WIRES

#: Faults whose answer comes to no end, and those that fall silent; all others end by themselves.
_ENDLESS = ("endless-", "comments-")
_SILENT = ("stall", "hang-", "bad-chunk-size")

#: Seconds: of an endless answer; without a byte, where an answer hangs; for whatever ends by itself.
_LONG = 0.6
_SILENCE = 0.3
_PATIENCE = 20.0

#: By default each fault is tried on one wire.
CELLS = [
    pytest.param(spec, wire, marks=[] if place % len(WIRES) == at else [pytest.mark.slow])
    for place, spec in enumerate(ROWS)
    if spec != "refuse"  # there is a 502 in its place: test_endings
    for at, wire in enumerate(WIRES)
]

_MOMENTS = re.compile(
    rb"\r\n(?:Date|retry-after): [^\r]* GMT|\"(?:created|created_at|completed_at)\": ?\d+"
)

_PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse",
}


def _request(wire: str) -> bytes:
    bodies = {
        "chat": {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hi"}]},
        "responses": {"model": "gpt-4o", "stream": True, "input": "Hi"},
        "messages": {"model": "claude-sonnet-5", "stream": True, "max_tokens": 90,
                     "messages": [{"role": "user", "content": "Hi"}]},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    }  # fmt: skip
    body = json.dumps(bodies[wire]).encode()
    keys = "Authorization: Bearer k\r\nx-api-key: k\r\nx-goog-api-key: k\r\nanthropic-version: 2023-06-01"
    head = (
        f"POST {_PATHS[wire]} HTTP/1.1\r\nHost: localhost\r\n{keys}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _heard(port: int, wire: str, spec: str, least: int) -> tuple[bytes, str]:
    """All that comes, and how it ends. A silence counts from ``least`` bytes on."""
    async with Asker(port) as asker:
        await asker.write(_request(wire))
        got, ending = b"", "endless"
        given_up = time.perf_counter() + (_LONG if spec.startswith(_ENDLESS) else _PATIENCE)
        try:
            while len(got) < 200_000 and time.perf_counter() < given_up:
                hangs = spec.startswith(_SILENT) and len(got) >= least
                async with asyncio.timeout(_SILENCE if hangs else _PATIENCE):
                    piece = await asker.reader.read(1 << 16)
                got += piece
                if not piece:
                    ending = "end"
                    break
        except ConnectionError:
            ending = "reset"
        except TimeoutError:
            ending = "silence"
    return got, ending


@pytest.mark.parametrize(("spec", "wire"), CELLS)
async def test_a_fault_is_what_it_is_without_the_proxy(spec: str, wire: str) -> None:
    ways: list[tuple[bytes, str]] = []
    for through in (False, True):
        async with (
            Simulator(text=lambda _: said("Hi"), faults=spec) as sim,
            Proxy(sim.url) as proxy,
        ):
            port = int((proxy.url if through else sim.url).rpartition(":")[2])
            least = len(ways[0][0]) if through else 0
            ways.append(await _heard(port, wire, spec, least))
    (direct, ending), (passed, same) = ((_MOMENTS.sub(b"", got), how) for got, how in ways)
    assert same == ending
    if ending == "endless":
        least = min(len(direct), len(passed)) - 100
        assert least > 0
        direct, passed = direct[:least], passed[:least]
    if spec == "drip":  # moments, too, come in single bytes
        direct, passed = (re.sub(rb"\d", b"0", data) for data in (direct, passed))
    assert passed == direct
