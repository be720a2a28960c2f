"""The server of the benchmark: chat-completions streams, rendered beforehand, over real sockets.

``python server.py`` prints its port. ``POST /b/TOKENS/PAUSE/v1/chat/completions``: PAUSE 0 writes the
whole answer at once, -1 one token per write, above 0 one token every PAUSE microseconds. PAUSE ``t``
in front (``t50000``) puts the moment of the write (``time.perf_counter_ns``, one clock for all
processes of a machine) into each token.
"""

from __future__ import annotations

import asyncio
import json
import re
import time


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(content: str | None, *, finish: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    chunk = {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion.chunk",
        "created": 1741569952,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        "usage": None,
        "obfuscation": "aB3dE",
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
TOKENS = [_http_chunk(_event(f" word{number}")) for number in range(1000)]
BEFORE, AFTER = _event("@").split(b"@")


def _tail(tokens: int) -> bytes:
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
    last = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    return b"".join(
        _http_chunk(data) for data in (_event(None, finish="stop"), last, b"data: [DONE]\n\n")
    ) + b"0\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            received = time.perf_counter_ns()
            match = re.match(rb"POST /b/(\d+)/(t?)(-?\d+)/", head)
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert match is not None
            await reader.readexactly(int(length[1]) if length else 0)
            tokens, stamped, pause = int(match[1]), bool(match[2]), int(match[3])
            writer.write(HEAD)
            if stamped:
                writer.write(_http_chunk(BEFORE + b" %d" % received + AFTER))
            if pause == 0:
                for begin in range(0, tokens, 1000):
                    writer.write(b"".join(TOKENS[: min(1000, tokens - begin)]))
                    await writer.drain()
            else:
                await _paced(writer, tokens, pause, stamped=stamped)
            writer.write(_tail(tokens))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _paced(writer: asyncio.StreamWriter, tokens: int, pause: int, *, stamped: bool) -> None:
    begun = time.perf_counter()
    for number in range(tokens):
        if stamped:
            writer.write(_http_chunk(BEFORE + b" %d" % time.perf_counter_ns() + AFTER))
        else:
            writer.write(TOKENS[number % 1000])
        if pause > 0:
            left = begun + (number + 1) * pause / 1e6 - time.perf_counter()
            if left > 0:
                await asyncio.sleep(left)
        else:
            await writer.drain()
            await asyncio.sleep(0)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
