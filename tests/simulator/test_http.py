"""What independent clients ask of any server: versions, expectations, HEAD, chunks, pages."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Sequence
from typing import Any

import pytest

from lm_deluge.simulator import Simulator

BODY = json.dumps(
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
).encode()
HEADERS = "Host: x\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\n"
PATH = "/v1/chat/completions"


def request(line: str, headers: str = "", body: bytes = b"", *, length: bool = True) -> bytes:
    counted = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"{line}\r\n{HEADERS}{headers}{counted}\r\n".encode() + body


async def talk(sim: Simulator, *parts: bytes, until: bytes = b"") -> bytes:
    """Send bytes and return what comes until the server closes, or until it has said ``until``."""
    reader, writer = await asyncio.open_connection(sim.host, sim.port)
    heard = b""
    try:
        async with asyncio.timeout(5):
            for part in parts:
                writer.write(part)
            while not (until and until in heard) and (data := await reader.read(65536)):
                heard += data
    finally:
        writer.close()
    return heard


async def test_a_client_that_expects_100_continue_is_told_to_go_on() -> None:
    async with Simulator(text="Hi") as sim:
        reader, writer = await asyncio.open_connection(sim.host, sim.port)
        headers = f"Expect: 100-continue\r\nConnection: close\r\nContent-Length: {len(BODY)}\r\n"
        writer.write(request(f"POST {PATH} HTTP/1.1", headers, length=False))
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(BODY)
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_another_expectation_and_another_coding_are_refused_and_the_connection_closed() -> (
    None
):
    async with Simulator() as sim:
        odd = await talk(sim, request(f"POST {PATH} HTTP/1.1", "Expect: magic\r\n", BODY))
        assert odd.startswith(b"HTTP/1.1 417 ")
        coded = "Transfer-Encoding: gzip, chunked\r\n"
        packed = await talk(sim, request(f"POST {PATH} HTTP/1.1", coded, length=False))
        assert packed.startswith(b"HTTP/1.1 501 ")
        assert b"Connection: close" in packed


async def test_http_1_0_gets_a_body_without_chunks_that_ends_with_the_connection() -> None:
    async with Simulator(text="Hi there") as sim:
        heard = await talk(sim, request(f"POST {PATH} HTTP/1.0", body=BODY))
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")


async def test_http_1_0_keeps_a_connection_where_the_length_is_known() -> None:
    async with Simulator() as sim:
        ask = request("GET /v1/models/gpt-4o HTTP/1.0", "Connection: keep-alive\r\n")
        last = request("GET /v1/models/gpt-4o HTTP/1.0")
        heard = await talk(sim, ask, last)
        assert heard.count(b"HTTP/1.1 200 OK") == 2
        assert sim.connections == 1


async def test_a_body_in_chunks_is_read_with_its_trailers() -> None:
    chunks = b"5\r\n" + BODY[:5] + b"\r\n%x\r\n" % len(BODY[5:]) + BODY[5:]
    body = chunks + b"\r\n0\r\nX-Checksum: 1\r\n\r\n"
    async with Simulator(text="Hi") as sim:
        headers = "Transfer-Encoding: chunked\r\nConnection: close\r\n"
        heard = await talk(sim, request(f"POST {PATH} HTTP/1.1", headers, body, length=False))
        assert heard.startswith(b"HTTP/1.1 200 OK")
        assert sim.requests[0].body == BODY


async def test_head_is_answered_without_a_body() -> None:
    async with Simulator() as sim:
        head = request("HEAD /v1/models HTTP/1.1")
        heard = await talk(
            sim, head, request("GET /v1/models/o3 HTTP/1.1", "Connection: close\r\n")
        )
    first, second = re.split(rb"(?<=\r\n\r\n)(?=HTTP)", heard)
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert first.endswith(b"\r\n\r\n")
    assert json.loads(second.partition(b"\r\n\r\n")[2])["id"] == "o3"


@pytest.mark.parametrize("target", ["http://127.0.0.1/v1/models/o3", "/v1/models/o3"])
async def test_a_target_may_be_absolute(target: str) -> None:
    async with Simulator() as sim:
        heard = await talk(sim, request(f"GET {target} HTTP/1.1", "Connection: close\r\n"))
    assert heard.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "garbage", [b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\r\n\r\n"]
)
async def test_what_is_not_http_is_a_400_and_no_error_of_ours(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator() as sim:
        assert b" 400 " in (await talk(sim, garbage)).split(b"\r\n")[0]
    assert caplog.text == ""


# -- pages

PREFLIGHT = (
    "Origin: http://localhost:5173\r\nAccess-Control-Request-Method: POST\r\n"
    "Access-Control-Request-Headers: authorization,content-type\r\n"
)


def fields(heard: bytes) -> dict[str, str]:
    lines = heard.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


async def test_a_page_may_ask_where_cors_is_on() -> None:
    async with Simulator(text="Hi", cors=True) as sim:
        close = "Connection: close\r\n"
        asked = await talk(sim, request(f"OPTIONS {PATH} HTTP/1.1", PREFLIGHT + close))
        assert asked.startswith(b"HTTP/1.1 204 ")
        assert fields(asked)["access-control-allow-origin"] == "*"
        assert fields(asked)["access-control-allow-headers"] == "authorization,content-type"
        assert "POST" in fields(asked)["access-control-allow-methods"]
        answer = await talk(sim, request(f"POST {PATH} HTTP/1.1", close, BODY))
        assert fields(answer)["access-control-allow-origin"] == "*"
        assert "x-request-id" in fields(answer)["access-control-expose-headers"]


async def test_a_page_may_read_an_error_too() -> None:
    async with Simulator(cors=True, faults="status:429") as sim:
        heard = await talk(sim, request(f"POST {PATH} HTTP/1.1", "Connection: close\r\n", BODY))
    assert heard.startswith(b"HTTP/1.1 429 ")
    assert fields(heard)["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("cors", "allowed"),
    [
        ("http://localhost:5173", "http://localhost:5173"),
        (["http://a.test", "http://localhost:5173"], "http://localhost:5173"),
        ("http://a.test", None),
    ],
)
async def test_only_the_origins_named_may_ask(
    cors: str | Sequence[str], allowed: str | None
) -> None:
    async with Simulator(cors=cors) as sim:
        headers = PREFLIGHT + "Connection: close\r\n"
        heard = fields(await talk(sim, request(f"OPTIONS {PATH} HTTP/1.1", headers)))
    assert heard.get("access-control-allow-origin") == allowed
    assert heard["vary"] == "Origin"


async def test_without_cors_no_page_may_ask() -> None:
    async with Simulator() as sim:
        headers = PREFLIGHT + "Connection: close\r\n"
        heard = await talk(sim, request(f"OPTIONS {PATH} HTTP/1.1", headers))
    assert heard.startswith(b"HTTP/1.1 405 ")
    assert "access-control-allow-origin" not in fields(heard)


@pytest.mark.parametrize("cors", ["localhost", "http://a.test/", ["*.test"], [3]])
def test_an_origin_that_is_none_is_refused(cors: Any) -> None:
    with pytest.raises(ValueError, match="cors must be"):
        Simulator(cors=cors)


# -- clients that others wrote


def test_urllib_streams_from_it() -> None:
    with Simulator(text="Hi there") as sim:
        asked = urllib.request.Request(  # noqa: S310 - the simulator's own address
            sim.url + PATH, BODY,
            {"Authorization": "Bearer k", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(asked, timeout=10) as reply:  # noqa: S310
            lines = reply.read().split(b"\n")
    assert b"data: [DONE]" in lines


def test_the_openai_package_streams_from_it_without_async() -> None:
    openai = pytest.importorskip("openai", reason="needs the openai package (extra test)")
    with Simulator(text="Hi there", faults=[None, "status:429"]) as sim:
        client = openai.OpenAI(base_url=sim.base_url, api_key="k", max_retries=0)
        messages = [{"role": "user", "content": "Hi"}]
        stream = client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text == "Hi there"
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="gpt-4o", messages=messages)
        assert client.chat.completions.create(
            model="gpt-4o", messages=messages
        ).choices[0].message.content == "Hi there"  # fmt: skip
        client.close()


async def test_the_openai_package_streams_from_it_with_async() -> None:
    openai = pytest.importorskip("openai", reason="needs the openai package (extra test)")
    async with (
        Simulator(text="Hi there") as sim,
        openai.AsyncOpenAI(base_url=sim.base_url, api_key="k") as client,
    ):
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        text = "".join(
            [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        )
    assert text == "Hi there"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "options",
    [(), ("--http1.0",), ("-H", "Expect: 100-continue"), ("-H", "Transfer-Encoding: chunked")],
    ids=lambda options: " ".join(options) or "plain",
)
def test_curl_streams_from_it(options: Sequence[str]) -> None:
    with Simulator(text="Hi there") as sim:
        done = subprocess.run(
            ["curl", "-sSN", "--max-time", "10", *options, "-d", "@-", sim.url + PATH,
             "-H", "Authorization: Bearer k", "-H", "Content-Type: application/json"],
            input=BODY, capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout.endswith(b"data: [DONE]\n\n")
        assert sim.requests[0].body == BODY


NODE = """
const [url, body] = process.argv.slice(1);
const reply = await fetch(url, {method: "POST", body, headers: {
  "authorization": "Bearer k", "content-type": "application/json"}});
let text = "";
for await (const piece of reply.body.pipeThrough(new TextDecoderStream())) text += piece;
console.log(reply.status, text.trimEnd().split("\\n").at(-1));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_fetch_of_node_streams_from_it() -> None:
    with Simulator(text="Hi there") as sim:
        done = subprocess.run(
            ["node", "--input-type=module", "-e", NODE, sim.url + PATH, BODY.decode()],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
    assert done.stdout.split("\n")[0] == "200 data: [DONE]"
