"""The server of the benchmark: chat-completions streams, rendered beforehand, over real sockets.

``python server.py`` prints its port. ``POST /b/TOKENS/PAUSE/v1/chat/completions``: PAUSE 0 writes the
whole answer as fast as it is taken, -1 one token per write, above 0 one token every PAUSE
microseconds. A PAUSE that begins with ``w`` (``w50000``) makes each token the moment of its write, one
with ``r`` the moment at which the request was received: ``time.perf_counter_ns``, which is one clock
for all processes of a machine.
"""

from __future__ import annotations

import asyncio
import json
import re
import time

BLOCK = 1000


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(content: str | None, *, finish: str | None = None) -> bytes:
    """Return one chunk as api.openai.com sends it."""
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


def ending(tokens: int) -> list[bytes]:
    """Return the events after the last token."""
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
    last = {"choices": [], "usage": usage}
    return [
        event(None, finish="stop"),
        b"data: " + json.dumps(last, separators=(",", ":")).encode() + b"\n\n",
        b"data: [DONE]\n\n",
    ]


def body(tokens: int) -> bytes:
    """Return a whole answer as one run of bytes, without HTTP around it."""
    words = (event(f" word{number % BLOCK}") for number in range(tokens))
    return b"".join([event(""), *words, *ending(tokens)])


HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
FIRST = _http_chunk(event(""))
TOKENS = [_http_chunk(event(f" word{number}")) for number in range(BLOCK)]
BEFORE, AFTER = event("@").split(b"@")


def _stamped(nanoseconds: int) -> bytes:
    return _http_chunk(BEFORE + b" %d" % nanoseconds + AFTER)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            received = time.perf_counter_ns()
            match = re.match(rb"POST /b/(\d+)/([rw]?)(-?\d+)/", head)
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert match is not None
            await reader.readexactly(int(length[1]) if length else 0)
            tokens, stamp, pause = int(match[1]), match[2], int(match[3])
            writer.write(HEAD + FIRST)
            if stamp == b"r":
                writer.write(_stamped(received) * tokens)
            elif pause:
                await _paced(writer, tokens, pause, stamped=bool(stamp))
            else:
                for begin in range(0, tokens, BLOCK):
                    writer.write(b"".join(TOKENS[: min(BLOCK, tokens - begin)]))
                    await writer.drain()
            writer.write(b"".join(map(_http_chunk, ending(tokens))) + b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _paced(writer: asyncio.StreamWriter, tokens: int, pause: int, *, stamped: bool) -> None:
    begun = time.perf_counter()
    for number in range(tokens):
        writer.write(_stamped(time.perf_counter_ns()) if stamped else TOKENS[number % BLOCK])
        if pause < 0:
            await writer.drain()
            await asyncio.sleep(0)
        elif (left := begun + (number + 1) * pause / 1e6 - time.perf_counter()) > 0:
            await asyncio.sleep(left)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
