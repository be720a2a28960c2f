"""What a whole client costs in each dialect, beside a bare loop and the provider's own package.

    python -m tests.bench.providers                 the table of docs/performance.md; --rounds N, --tokens N

Every client runs in a process of its own, all against one server process, in interleaved rounds: see
``tests/bench/run.py``. The bare loop is aiohttp, a split at blank lines and a typed msgspec decode of the
same bytes. Packages that are not installed are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "tests")]

from bench import bare as chat  # noqa: E402 - the path is set above
from bench.server import body as chat_body  # noqa: E402
from bench.wires import BARE, BODIES  # noqa: E402

Go = Callable[[], Awaitable[int]]

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
}
MODELS = {
    "chat": "gpt-5.5",
    "responses": "gpt-5.5",
    "messages": "claude-sonnet-5-5",
    "gemini": "gemini-3.8-flash",
}
PACKAGES = {
    "chat": "openai",
    "responses": "openai",
    "messages": "anthropic",
    "gemini": "google.genai",
}
_READERS = {"chat": chat.read, **BARE}
_BODIES = {"chat": chat_body, **BODIES}
_ASKED: Any = [{"role": "user", "content": "hi"}]


async def bare(dialect: str, url: str) -> Go:
    """The least that a client can do."""
    import aiohttp

    session, read = aiohttp.ClientSession(), _READERS[dialect]
    asked = {"model": MODELS[dialect], "messages": _ASKED, "stream": True}

    async def go() -> int:
        count, rest = 0, b""
        async with session.post(url + PATHS[dialect], json=asked) as response:
            async for data in response.content.iter_any():
                rest += data
                cut = rest.rfind(b"\n\n") + 2
                if cut > 1:
                    count += read(rest[:cut])
                    rest = rest[cut:]
        return count

    return go


def _client(dialect: str, url: str) -> Any:
    from lm_deluge import LLMClient

    base_url = url if dialect in ("messages", "gemini") else f"{url}/v1"
    return LLMClient(MODELS[dialect], dialect=dialect, base_url=base_url, api_key="k", printer=None)


async def stream(dialect: str, url: str) -> Go:
    """``client.stream`` with one handler."""

    class Count:
        def __init__(self) -> None:
            self.tokens = 0

        def on_token(self, stream: Any, token: Any) -> None:
            self.tokens += 1

    client = _client(dialect, url)

    async def go() -> int:
        count = Count()
        await client.stream("hi", handlers=[count])
        return count.tokens

    return go


async def chatting(dialect: str, url: str) -> Go:
    """A loop over ``stream_chat``."""
    from lm_deluge.api_requests.openai import stream_chat

    client = _client(dialect, url)

    async def go() -> int:
        count = 0
        async for piece in stream_chat(MODELS[dialect], "hi", client=client):
            count += type(piece) is str
        return count

    return go


async def package(dialect: str, url: str) -> Go:
    """The provider's own package, each of whose events is looked at."""
    if dialect == "gemini":
        from google import genai

        gemini: Any = genai.Client(api_key="k", http_options={"base_url": url})  # type: ignore[arg-type]

        async def ask_gemini() -> int:
            asked = {"model": MODELS[dialect], "contents": "hi"}
            chunks = await gemini.aio.models.generate_content_stream(**asked)
            return sum([bool(chunk.text) async for chunk in chunks])

        return ask_gemini
    asked: dict[str, Any] = {"model": MODELS[dialect], "stream": True}
    create: Any
    if dialect == "messages":
        import anthropic

        create = anthropic.AsyncAnthropic(base_url=url, api_key="k").messages.create
        asked |= {"messages": _ASKED, "max_tokens": 5000}
        kind = "content_block_delta"
    else:
        import openai

        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k")
        create = client.chat.completions.create if dialect == "chat" else client.responses.create
        asked |= {"messages": _ASKED} if dialect == "chat" else {"input": "hi"}
        kind = "response.output_text.delta"

    async def go() -> int:
        count = 0
        async for event in await create(**asked):
            if dialect == "chat":
                count += bool(event.choices and event.choices[0].delta.content)
            else:
                count += event.type == kind
        return count

    return go


CLIENTS = {"bare loop": bare, "stream": stream, "stream_chat": chatting, "package": package}


async def work(client: str, dialect: str, url: str, tokens: int) -> None:
    """Answer each line of stdin, a number of streams, with the CPU seconds that they took a token."""
    go = await CLIENTS[client](dialect, url)
    for _ in range(3):
        assert await go() == tokens
    loop = asyncio.get_running_loop()
    print(0, flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        streams = int(line)
        gc.collect()
        used = time.process_time()
        for _ in range(streams):
            assert await go() == tokens
        print((time.process_time() - used) / (streams * tokens), flush=True)
    os._exit(0)  # nobody closed the clients: that is not measured


async def serve(tokens: int) -> None:
    """Answer every request with its dialect's answer, each event a chunk of its own, in one burst."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    replies: dict[bytes, bytes] = {}
    for dialect, path in PATHS.items():
        events = [event + b"\n\n" for event in _BODIES[dialect](tokens).split(b"\n\n")[:-1]]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)
        replies[path.partition("?")[0].rpartition("/")[2].encode()] = head + chunks + b"0\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                fields = asked.lower().partition(b"content-length:")[2]
                await reader.readexactly(int(fields.split(b"\r\n")[0]))
                writer.write(replies[asked.split()[1].partition(b"?")[0].rpartition(b"/")[2]])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _started(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _asked(process: subprocess.Popen[str], streams: int) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    print(streams, file=process.stdin, flush=True)
    return float(process.stdout.readline())


def measure(
    dialects: list[str], *, rounds: int, tokens: int, packages: bool = True
) -> dict[str, dict[str, list[float]]]:
    """Return CPU seconds a token of each round, by dialect and client."""
    results: dict[str, dict[str, list[float]]] = {}
    server, port = _started("serve", str(tokens))
    try:
        for dialect in dialects:
            names = ["bare loop", "stream", "stream_chat"]
            names += ["package"] if packages and _there(PACKAGES[dialect]) else []
            address = f"http://127.0.0.1:{port}"
            workers = {
                name: _started("work", name, dialect, address, str(tokens))[0] for name in names
            }
            taken: dict[str, list[float]] = {name: [] for name in names}
            try:
                for number in range(rounds):
                    # Whoever runs after the heaviest finds cold caches: turn the order round each time.
                    for name in names if number % 2 else reversed(names):
                        streams = 1 if name == "package" else 15
                        taken[name].append(_asked(workers[name], streams))
            finally:
                for worker in workers.values():
                    worker.communicate(timeout=60)
            results[dialect] = taken
    finally:
        server.kill()
        server.communicate()
    return results


def ratios(taken: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each client's ratios to the bare loop of the same round."""
    base = taken["bare loop"]
    return {
        name: statistics.median(mine / floor for mine, floor in zip(values, base, strict=True))
        for name, values in taken.items()
    }


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--json", type=Path, metavar="OUT", help="save the seconds of every round")
    options = parser.parse_args()
    results = measure(list(PATHS), rounds=options.rounds, tokens=options.tokens)
    if options.json is not None:
        options.json.write_text(json.dumps(results))
    print("| dialect | bare loop µs | `client.stream` | `stream_chat` | its own package |")
    print("|---|---|---|---|---|")
    for dialect, taken in results.items():
        of = ratios(taken)
        floor = statistics.median(taken["bare loop"]) * 1e6
        peer = f"{PACKAGES[dialect]} × {of['package']:.0f}" if "package" in of else ""
        print(
            f"| {dialect} | {floor:.1f} | × {of['stream']:.2f} | × {of['stream_chat']:.2f} | {peer} |"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(int(sys.argv[2])))
    elif sys.argv[1:2] == ["work"]:
        asyncio.run(work(*sys.argv[2:5], int(sys.argv[5])))
    else:
        main()
