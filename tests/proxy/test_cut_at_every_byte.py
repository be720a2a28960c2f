"""Either side gone after each byte: the other sees what it would have seen, and nothing is left behind."""

from __future__ import annotations

import asyncio
import logging

import pytest

from lm_deluge.proxy import Proxy
from support.raw_http import Asker, Side, Upstream, reset

BODY = b'{"model": "m", "stream": true}'
ASK = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-secret\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)
)


class _Ears:
    """An ear for each stream: what each heard, and how it ended."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = {}

    def _note(self, stream: object, what: str) -> None:
        self.heard.setdefault(stream.id, []).append(what)  # type: ignore[attr-defined]

    def on_start(self, stream: object) -> None:
        self._note(stream, "start")

    def on_complete(self, stream: object, response: object) -> None:
        self._note(stream, "end")

    def on_error(self, stream: object, error: object) -> None:
        assert "sk-secret" not in repr(error)
        self._note(stream, "end")


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_an_upstream_gone_after_each_byte_is_gone_for_the_app_after_the_same(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    cut = 0

    async def script(side: Side) -> None:
        await side.head()
        await side.exactly(len(BODY))
        await side.write(ANSWER[:cut])
        if how == "reset":
            await got_all.wait()
            reset(side.writer)

    ears = _Ears()
    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url, handlers=[ears]) as proxy,
        asyncio.timeout(100),
    ):
        for cut in range(len(ANSWER)):
            got_all = asyncio.Event()
            async with Asker(proxy.url) as asker:
                await asker.write(ASK)
                # A head that is not whole is held until it is, or its connection is gone.
                passed = cut if cut > ANSWER.index(b"\r\n\r\n") + 3 else 0
                first = await asker.exactly(passed)
                got_all.set()
                rest, ending = await asker.ending()
            assert first + rest == ANSWER[:cut]
            assert ending == ("reset" if how == "reset" else "end"), cut
        while proxy.running:
            await asyncio.sleep(0.001)
    assert list(ears.heard.values()) == [["start", "end"]] * len(ANSWER)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_an_app_gone_after_each_byte_leaves_nothing_behind(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(side: Side) -> None:
        await side.head()
        await side.exactly(len(BODY))
        await side.write(ANSWER[:-7])
        await side.rest()

    ears = _Ears()
    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url, handlers=[ears]) as proxy,
        asyncio.timeout(100),
    ):
        for cut in range(len(ASK) + 1):
            async with Asker(proxy.url) as asker:
                await asker.write(ASK[:cut])
                if cut == len(ASK):
                    await asker.exactly(len(ANSWER) - 7)
                if how == "reset":
                    reset(asker.writer)
                else:
                    asker.close()
        while proxy.running or not all(side.gone.is_set() for side in upstream.sides):
            await asyncio.sleep(0.001)
        # Nobody is asked before the head is there.
        assert len(upstream.sides) <= len(BODY) + 1
    assert all(heard == ["start", "end"] for heard in ears.heard.values())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
