"""How long the way to the provider took stands in the log: 0 over a connection that was open."""

from __future__ import annotations

import json
from pathlib import Path

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import FileLogger
from support.raw_http import Asker

BODY = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": true}'
ASK = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


def _rows(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line]


async def test_it_is_told_of_whole_answers_and_of_broken_ones(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    logger = FileLogger(log)
    faults = [None, None, "reset:1"]
    async with (
        Simulator(text="Good day", faults=faults) as simulator,
        Proxy(simulator.url, handlers=[logger]) as proxy,
        Asker(proxy.url) as asker,
    ):
        for _ in range(2):
            await asker.write(ASK)
            await asker.reader.readuntil(b"0\r\n\r\n")
        await asker.write(ASK)
        await asker.ending()
    logger.close()
    rows = [row for row in _rows(log) if row["e"] in ("complete", "error")]
    assert [row["e"] for row in rows] == ["complete", "complete", "error"]
    first, second, third = (row["connected"] for row in rows)
    assert isinstance(first, float)
    assert 0 < first < 5
    assert second == third == 0


async def test_where_there_was_no_connection_there_is_no_such_time(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    logger = FileLogger(log)
    async with Proxy("http://127.0.0.1:9", handlers=[logger]) as proxy, Asker(proxy.url) as asker:
        assert (await asker.ask(ASK))[0].startswith(b"HTTP/1.1 502 ")
    logger.close()
    row = _rows(log)[-1]
    assert row["error"] == "APIConnectionError"
    assert "connected" not in row
