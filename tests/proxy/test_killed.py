"""The command that is killed, and an app written with LangChain that goes through it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from support.logs import lines_of
from support.raw_http import Asker

BODY = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
ASKED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")
async def test_a_command_that_is_killed_leaves_whole_lines_of_all_but_its_last_batch(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log.jsonl"
    async with Simulator(text=["a "] * 400, gap=0.005) as simulator:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lm_deluge", "proxy", "--listen", "0", "--upstream", simulator.url,
            "--log", str(log), "--quiet",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert command.stdout is not None
        said = (await command.stdout.readline()).decode()
        url = next(word for word in said.split() if word.startswith("http://"))
        async with Asker(url) as asker, asyncio.timeout(10):
            await asker.write(ASKED)
            got = b""
            while got.count(b'"content"') < 150:
                piece = await asker.reader.read(1 << 16)
                assert piece, got
                got += piece
            command.send_signal(signal.SIGKILL)
            await command.wait()
    lines = lines_of(log)
    assert lines[0]["e"] == "start"
    # A batch is written every quarter of a second, or sooner.
    assert len(lines) > 100
    assert [line["i"] for line in lines if line["e"] == "token"] == list(range(len(lines) - 1))


@pytest.mark.slow
def test_langchain_streams_and_calls_as_without_it() -> None:
    langchain = pytest.importorskip(
        "langchain_openai", reason="langchain-openai is not installed (extra bench)"
    )
    heard = []
    with Simulator(text=["Hel", "lo"], tool_calls=[("weather", {"city": "東京"})]) as simulator:
        with Proxy(simulator.url) as proxy:
            for base_url in (simulator.base_url, proxy.base_url):
                for options in ({}, {"use_responses_api": True}):
                    model = langchain.ChatOpenAI(
                        model="gpt-4o", base_url=base_url, api_key="k", max_retries=0, **options
                    )
                    chunks = list(model.stream("Hi"))
                    whole = chunks[0]
                    for chunk in chunks[1:]:
                        whole += chunk
                    heard.append((len(chunks), str(whole.text), whole.tool_calls[0]["args"]))
    assert heard[:2] == heard[2:]
    assert heard[0][1:] == ("Hello", {"city": "東京"})
