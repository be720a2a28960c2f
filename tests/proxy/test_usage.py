"""``ask_usage``: the one word that is added to other people's requests, if they want it."""

from __future__ import annotations

import asyncio
import json

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.proxy.usage import with_usage
from lm_deluge.simulator import Simulator
from support.clients import Recorder
from support.raw_http import OK, Asker, Side, Upstream

ASKED = b'"stream_options":{"include_usage":true},'


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (
            b' \n{ "stream": true, "x": "\xc3\xa4"}',
            b" \n{" + ASKED + b' "stream": true, "x": "\xc3\xa4"}',
        ),
        (b'{"stream":false}', None),
        (b'{"stream":1}', None),
        (b'{"messages":[]}', None),
        (b'{"stream":true,"stream_options":null}', None),
        (b'{"stream":true,"stream_options":{"include_usage":false}}', None),
        (b'{"stream":true', None),
        (b'[{"stream":true}]', None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_only_a_stream_that_says_nothing_of_usage_is_made_to_ask(
    body: bytes, changed: bytes | None
) -> None:
    assert with_usage(body) == (body if changed is None else changed)


async def _passed(path: str, body: bytes, extra: bytes = b"", **options: bool) -> bytes:
    async def script(side: Side) -> None:
        head = await side.head()
        await side.exactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        await side.write(OK)

    async with Upstream(script) as upstream, Proxy(upstream.url, **options) as proxy:
        async with Asker(proxy.url) as asker, asyncio.timeout(5):
            await asker.write(
                b"POST %b HTTP/1.1\r\nHost: localhost\r\ncontent-LENGTH: %d\r\n%b\r\n"
                % (path.encode(), len(body), extra)
            )
            for at in range(0, len(body), 7):
                await asker.write(body[at : at + 7])
                await asyncio.sleep(0)
            await asker.answer()
        return upstream.sides[0].raw.partition(b"\r\n\r\n")[2]


async def test_a_chat_is_changed_and_nothing_else_and_nothing_without_the_word() -> None:
    body = b'{"stream":true,"messages":[]}'
    chat = "/v1/chat/completions"
    assert await _passed(chat, body) == body
    assert await _passed(chat, body, ask_usage=True) == b"{" + ASKED + body[1:]
    assert await _passed("/v1/responses", body, ask_usage=True) == body
    assert await _passed("/v1/messages", body, ask_usage=True) == body
    assert await _passed(chat, body, b"Content-Encoding: x\r\n", ask_usage=True) == body


async def test_usage_that_was_asked_for_is_heard() -> None:
    heard = Recorder()
    async with Simulator(text="Hello") as simulator:
        async with Proxy(simulator.url, handlers=[heard], ask_usage=True) as proxy:
            body = json.dumps(
                {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
            ).encode()
            async with Asker(proxy.url) as asker:
                got, _ = await asker.ask(
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
                    b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
            await proxy.finish()
    assert b'"usage":{' in got.replace(b" ", b"")
    (response,) = heard.endings
    assert response.usage is not None  # type: ignore[union-attr]
