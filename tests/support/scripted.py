"""A server that does on the wire exactly what a test says, byte for byte, on a loopback socket."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Sequence
from typing import Any, Self

from support.loopback import LoopbackServer


class Act:
    """A step that is no bytes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


RESET = Act("RESET")
CLOSE = Act("CLOSE")
HANG = Act("HANG")

HEADERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"

Step = Any


def http(data: bytes) -> bytes:
    """Wrap bytes as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def sse(chunk: object) -> bytes:
    """Return an event whose data is JSON."""
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def delta(
    content: str | None = None,
    *,
    index: int = 0,
    finish: str | None = None,
    **fields: object,
) -> dict[str, Any]:
    """Return a chat-completions chunk with one choice."""
    body: dict[str, object] = {} if content is None else {"content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": index, "delta": body | fields, "finish_reason": finish}],
    }


USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def events(*texts: str) -> bytes:
    """Return an event for each text."""
    return b"".join(sse(delta(text)) for text in texts)


def ending(*, usage: bool = True) -> bytes:
    """Return the events that follow the last token of a whole answer."""
    final = sse({"id": "chatcmpl-1", "choices": [], "usage": USAGE}) if usage else b""
    return sse(delta(finish="stop")) + final + DONE


def answer(*texts: str) -> list[Step]:
    """Return the steps of a whole answer, one write per text."""
    return [HEADERS, *(http(events(text)) for text in texts), http(ending()) + END]


def reply(
    status: str, body: bytes | str, *, headers: str = "", kind: str = "application/json"
) -> list[Step]:
    """Return the steps of a reply with a length."""
    data = body.encode() if isinstance(body, str) else body
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{headers}\r\n"
    )
    return [head.encode() + data]


class Received:
    """One request, and what became of its connection."""

    def __init__(self, head: bytes, body: bytes, connection: int) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.line = first
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        self.body = body
        self.connection = connection
        self.gone = asyncio.Event()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ScriptedServer(LoopbackServer):
    """``async with ScriptedServer([steps], [steps]) as server``: a script per request, in order; the
    last one serves all further requests.

    A step is bytes (one write), seconds, an ``asyncio.Event`` to wait for, or one of ``RESET`` (RST),
    ``CLOSE`` (FIN), ``HANG`` (until the client goes). ``tls``: its side of TLS, if it speaks that.
    """

    def __init__(self, *scripts: Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        self.scripts = list(scripts)
        super().__init__(tls)
        self.requests: list[Received] = []
        self.connections = 0
        self.open_connections = 0
        self.changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.base_url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v1"
        return self

    async def until(self, condition: Any, *, within: float = 2.0) -> None:
        """Wait until ``condition()`` holds; looked at whenever something happens here."""
        async with asyncio.timeout(within), self.changed:
            await self.changed.wait_for(condition)

    async def all_gone(self, within: float = 1.0) -> None:
        """Wait until no connection is open."""
        await self.until(lambda: self.open_connections == 0, within=within)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        connection = self.connections
        try:
            while await self._request(reader, writer, connection):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            if self.requests and self.requests[-1].connection == connection:
                self.requests[-1].gone.set()
            writer.close()
            await self._notify()

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        received = Received(head, b"", connection)
        received.body = await reader.readexactly(int(received.headers.get("content-length", 0)))
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(received)
        await self._notify()
        watcher = asyncio.ensure_future(reader.read(1))
        try:
            for step in script:
                player = asyncio.ensure_future(self._play(step, writer))
                await asyncio.wait({player, watcher}, return_when=asyncio.FIRST_COMPLETED)
                if not player.done():
                    player.cancel()
                    return False
                if player.result() is False:
                    return False
            return not watcher.done()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    async def _play(self, step: Step, writer: asyncio.StreamWriter) -> bool:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
            await asyncio.sleep(0)
        elif isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, (int, float)):
            await asyncio.sleep(step)
        elif step is HANG:
            await asyncio.Event().wait()
        elif step is CLOSE:
            return False
        else:
            assert step is RESET
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        return True
