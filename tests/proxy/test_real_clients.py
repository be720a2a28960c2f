"""The providers' own packages, and curl, get through the proxy what they get without it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from support.programs import Run

CALLS = [("weather", {"city": "東京"})]
SAID: dict[str, Any] = {"text": ["Hel", "lo"], "reasoning": "Well,", "tool_calls": CALLS}
HI: list[Any] = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def through() -> Iterator[tuple[Simulator, Proxy]]:
    with Simulator(**SAID) as simulator, Proxy(simulator.url) as proxy:
        yield simulator, proxy


def test_openai_chats_and_responds(through: tuple[Simulator, Proxy]) -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")
    simulator, proxy = through
    heard = []
    for base_url in (simulator.base_url, proxy.base_url):
        with openai.OpenAI(base_url=base_url, api_key="k", max_retries=0) as client:
            chunks = list(client.chat.completions.create(model="gpt-4o", messages=HI, stream=True))
            with client.responses.stream(model="o4-mini", input="Hi") as stream:
                kinds = [event.type for event in stream]
            whole = client.chat.completions.create(model="gpt-4o", messages=HI)
            models = [model.id for model in client.models.list()]
            heard.append(
                ([c.choices and c.choices[0].delta for c in chunks], kinds, models, whole.choices)
            )
    direct, passed = heard
    assert repr(passed)[:200] == repr(direct)[:200]
    assert [len(part) for part in passed] == [len(part) for part in direct]
    asked, again = simulator.requests[0].headers, simulator.requests[4].headers
    mine = {"host", "x-stainless-read-timeout"}
    assert {k: v for k, v in asked.items() if k.lower() not in mine} == {
        k: v for k, v in again.items() if k.lower() not in mine
    }


def test_openai_raises_the_same_errors() -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")
    faults = ["reset:2", "drop:2", "reset-before-headers", "status:429", "error-frame:object:2"]
    heard: list[list[str]] = [[], []]
    with Simulator(text="one two three four", faults=faults * 2) as simulator:
        with Proxy(simulator.url) as proxy:
            for ends, base_url in zip(heard, (simulator.base_url, proxy.base_url), strict=True):
                for _ in faults:
                    with openai.OpenAI(base_url=base_url, api_key="k", max_retries=0) as client:
                        with pytest.raises(openai.APIError) as error:
                            list(
                                client.chat.completions.create(
                                    model="gpt-4o", messages=HI, stream=True
                                )
                            )
                    ends.append(f"{error.type.__name__}: {error.value} {error.value.__cause__!r}")
    assert heard[1] == heard[0]


def test_openai_takes_a_502_of_ours_for_an_error_of_its_own() -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed (extra test)")
    with Proxy("http://127.0.0.1:9") as proxy:
        with openai.OpenAI(base_url=proxy.base_url, api_key="k", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError, match="no connection to") as error:
                client.models.list()
    assert error.value.code == "upstream_unreachable"


def test_anthropic_streams_and_counts(through: tuple[Simulator, Proxy]) -> None:
    anthropic = pytest.importorskip("anthropic", reason="anthropic is not installed (extra test)")
    for base_url in (through[0].url, through[1].url):
        with anthropic.Anthropic(base_url=base_url, api_key="k", max_retries=0) as client:
            with client.messages.stream(
                model="claude-sonnet-5", max_tokens=90, messages=HI
            ) as stream:
                kinds = [event.type for event in stream]
                message = stream.get_final_message()
            assert kinds[-1] == "message_stop"
            assert message.content[-1].input == {"city": "東京"}


def test_google_streams_led_by_its_variable(
    through: tuple[Simulator, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    genai = pytest.importorskip("google.genai", reason="google-genai is not installed (extra test)")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", through[1].url)
    client = genai.Client(api_key="k")
    chunks = list(
        client.models.generate_content_stream(model="gemini-3-flash-preview", contents="Hi")
    )
    parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or ())]
    assert "".join(part.text or "" for part in parts if not part.thought) == "Hello"
    client.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0", "--http2"])
async def test_curl_uploads_and_downloads(run: Run, tmp_path: Path, version: str) -> None:
    """More than 1 MiB, for which curl asks with ``Expect: 100-continue``."""
    if version == "--http2" and "HTTP2" not in (await run("curl", "--version")).out:
        pytest.skip("this curl speaks no HTTP/2, which the proxy would decline")
    given = tmp_path / "given"
    given.write_bytes(bytes(range(256)) * 8192)
    seen = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if b"Expect: 100-continue" in head:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        body = await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    async with Proxy(f"http://127.0.0.1:{port}") as proxy:
        done = await run(
            "curl",
            "-sS",
            version,
            "--fail",
            "-T",
            given,
            "-o",
            tmp_path / "got",
            f"{proxy.url}/v1/files",
        )
    server.close()
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "got").read_bytes() == given.read_bytes()
    assert seen[0].startswith(b"PUT /v1/files HTTP/1." + (b"0" if version == "--http1.0" else b"1"))
