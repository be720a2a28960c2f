"""An injected reply is the one that the simulator gives: the same head and body, of whatever wire."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import FileLogger
from support.raw_http import Asker

#: What each reply has of its own: moments, ids, and who serves it.
_OWN = re.compile(
    rb"(?im)^(?:date|server|x-request-id):.*\r\n|req_\w+|(?<=retry-after: )\w{3}, .*(?=\r\n)"
)

_WIRES = {
    "chat": "/v1/chat/completions",
    "azure": "/openai/deployments/d/chat/completions?api-version=1",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
    "gemini array": "/v1beta/models/gemini-3-pro:streamGenerateContent",
    "gemini whole": "/v1beta/models/gemini-3-pro:generateContent",
}

_FAULTS = [
    *(f"status:{code}" for code in (200, 400, 401, 402, 403, 404, 405, 408, 409, 413, 418, 422)),
    *(f"status:{code}" for code in (429, 499, 500, 501, 502, 503, 504, 529, 599)),
    "status:429:retry-after=7",
    "status:429:retry-after=0.5:should-retry=false",
    "status:503:retry-after-ms=150:should-retry=true",
    "status:503:retry-after-date=30",
    "status:503:html",
    "status:500:text",
    "status:502:empty",
    "status:401:echo",
    "redirect",
    "redirect:http://localhost:1/v1",
    "wrong-content-type",
    "wrong-content-type:text/plain",
    "json-error",
]


def _asked(path: str, *, connection: str = "close") -> bytes:
    body = b'{"stream": true}'
    return (
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-secret\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: %b\r\n\r\n%b"
    ) % (path.encode(), len(body), connection.encode(), body)


async def _answer(url: str, path: str) -> bytes:
    async with Asker(url) as asker:
        got, ending = await asker.ask(_asked(path))
    assert ending == "end"
    return got


@pytest.mark.parametrize("wire", _WIRES)
async def test_it_is_the_simulators(wire: str) -> None:
    for fault in _FAULTS:
        async with (
            Simulator(faults=fault) as simulator,
            Proxy("http://127.0.0.1:9", faults=fault) as proxy,
        ):
            direct = await _answer(simulator.url, _WIRES[wire])
            injected = await _answer(proxy.url, _WIRES[wire])
        assert _OWN.sub(b"", injected) == _OWN.sub(b"", direct), fault
        # What is left out is there, too.
        assert len(_OWN.findall(injected)) == len(_OWN.findall(direct)), fault


async def test_a_body_that_waits_to_be_asked_for_is_asked_for() -> None:
    async with Proxy("http://127.0.0.1:9", faults="status:503") as proxy, Asker(proxy.url) as asker:
        head, _, body = _asked("/v1/chat/completions").partition(b"\r\n\r\n")
        await asker.write(head + b"\r\nExpect: 100-Continue\r\n\r\n")
        assert await asker.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        got, _ = await asker.ask(body)
    assert got.startswith(b"HTTP/1.1 503 ")


async def test_it_leaves_the_connection_open_and_is_heard_as_any_other(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    logger = FileLogger(log)
    async with Proxy("http://127.0.0.1:9", faults="status:401:echo", handlers=[logger]) as proxy:
        async with Asker(proxy.url) as asker:
            for _ in range(3):
                await asker.write(_asked("/v1/chat/completions", connection="keep-alive"))
                head, body = await asker.answer()
                assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
                assert b"sk-secret" in body
    logger.close()
    text = log.read_text()
    assert "sk-secret" not in text
    rows = [json.loads(line) for line in text.splitlines() if line]
    assert [row["e"] for row in rows] == ["start", "error"] * 3
    assert {row["error"] for row in rows if row["e"] == "error"} == {"AuthenticationError"}
