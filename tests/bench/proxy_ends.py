"""The two ends of a pass-through that is measured: a server of streams and their reader, as cheap as can be.

    python tests/bench/proxy_ends.py serve RATE          prints its address, and serves until it is ended
    python tests/bench/proxy_ends.py read URL STREAMS SECONDS RATE       prints what it found, as JSON

A process each, without an event loop's machinery: epoll, one ``send`` or ``recv`` a piece, bytes that are
ready but for the moment in them. So little of the machine is theirs, and what a piece waits for is the proxy.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import random
import re
import select
import socket
import sys
from heapq import heappop, heappush
from time import perf_counter
from typing import Any, Final

HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
#: Every moment has as many digits, so that each piece is a chunk of the same size.
STAMP: Final = b"%017.6f"
_STAMPS: Final = re.compile(rb'"content": ?"(\d{10}\.\d{6}) ')
_PIECES: Final = re.compile(rb'"max_tokens": ?(\d+)')
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END: Final = b"\r\n0\r\n\r\n"

#: Seconds in which all streams have to run, and after which what has not ended is given up.
_PATIENCE: Final = 30.0

#: Streams that are begun in a second.
_BEGINNING: Final = 250.0


def _event(text: bytes, finish: bytes = b"null") -> bytes:
    return (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o",'
        b'"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}\n\n' % (text, finish)
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


BEFORE, AFTER = _chunk(_event(STAMP % 0 + b" token")).split(STAMP % 0)
LAST: Final = _chunk(_event(b"", b'"stop"')) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _be_punctual() -> None:
    """Let waits end when they are over, and not up to 50 µs later."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK


class _Serving:
    """Answers each request with ``max_tokens`` pieces, so many a second."""

    def __init__(self, rate: float) -> None:
        self._every = 1 / rate
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=8192)
        self._listening.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listening, select.EPOLLIN)
        self._links: dict[int, socket.socket] = {}
        self._held: dict[int, bytes] = {}
        # When the next piece is due, of which answer, on which connection, and how many are to come.
        self._due: list[tuple[float, int, int, int]] = []
        self._answers: dict[int, int] = {}
        self._asked = 0
        self._phase = random.Random(1)

    def run(self) -> None:
        print(f"http://127.0.0.1:{self._listening.getsockname()[1]}", flush=True)
        due, answers = self._due, self._answers
        while True:
            now = perf_counter()
            while due and due[0][0] <= now:
                at, answer, number, left = heappop(due)
                if answers.get(number) == answer:
                    data = BEFORE + STAMP % now + AFTER if left else LAST
                    if self._send(number, data) and left:
                        heappush(due, (at + self._every, answer, number, left - 1))
                now = perf_counter()
            # epoll itself would wait whole milliseconds.
            wait = due[0][0] - now if due else None
            if select.select([self._epoll], [], [], wait)[0]:
                for number, _ in self._epoll.poll(0):
                    self._accept() if number == self._listening.fileno() else self._take(number)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                link, _ = self._listening.accept()
                link.setblocking(False)
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._links[link.fileno()] = link
                self._held[link.fileno()] = b""
                self._epoll.register(link, select.EPOLLIN)

    def _take(self, number: int) -> None:
        try:
            data = self._links[number].recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(number)
            return
        held = self._held[number] = self._held[number] + data
        head, mark, body = held.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if mark and len(body) >= (int(length[1]) if length else 0):
            self._held[number] = b""
            pieces = _PIECES.search(body)
            if self._send(number, HEAD):
                begin = perf_counter() + self._phase.random() * self._every
                self._asked += 1
                self._answers[number] = self._asked
                heappush(self._due, (begin, self._asked, number, int(pieces[1]) if pieces else 10))

    def _send(self, number: int, data: bytes) -> bool:
        """Send all of it, or close: nobody here is slower than its pieces."""
        with contextlib.suppress(OSError):
            if self._links[number].send(data) == len(data):
                return True
        self._drop(number)
        return False

    def _drop(self, number: int) -> None:
        self._links.pop(number).close()
        del self._held[number]
        self._answers.pop(number, None)


class _Reading:
    """Reads so many streams at once; keeps how long each piece was under way while all of them run."""

    def __init__(self, url: str, streams: int, seconds: float, rate: float) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._address = (host, int(port))
        self._streams = streams
        self._seconds = seconds
        body = json.dumps(
            {
                "model": "gpt-4o",
                "stream": True,
                "max_tokens": int(rate * (seconds + 2 + streams / _BEGINNING)),
                "messages": [{"role": "user", "content": "How long is it?"}],
            }
        ).encode()
        self._request = (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-bench\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self._epoll = select.epoll()
        self._links: dict[int, socket.socket] = {}
        self._tails: dict[int, bytes] = {}
        self._running: set[int] = set()
        self._delays: list[float] = []
        self._whole = 0

    def run(self) -> dict[str, Any]:
        begun = perf_counter()
        for place in range(self._streams):
            self._open()
            self._read_until(begun + (place + 1) / _BEGINNING, lambda: False)
        self._read_until(perf_counter() + _PATIENCE, lambda: len(self._running) == self._streams)
        all_run = len(self._running) == self._streams
        self._delays.clear()
        print("begin", flush=True)
        begun = perf_counter()
        self._read_until(begun + self._seconds, lambda: False)
        took = perf_counter() - begun
        print("end", flush=True)
        delays = sorted(self._delays) or [0.0]
        self._read_until(perf_counter() + _PATIENCE, lambda: not self._links)
        return {
            "all": all_run,
            "pieces": len(delays),
            "seconds": took,
            "whole": self._whole,
            "p50": delays[len(delays) // 2],
            "p99": delays[int(len(delays) * 0.99)],
            "worst": delays[-1],
        }

    def _open(self) -> None:
        link = socket.create_connection(self._address)
        link.setblocking(False)
        link.send(self._request)
        number = link.fileno()
        self._links[number] = link
        self._tails[number] = b""
        self._epoll.register(link, select.EPOLLIN)

    def _read_until(self, until: float, is_done: Any) -> None:
        links, tails, delays, running = self._links, self._tails, self._delays, self._running
        while (left := until - perf_counter()) > 0 and not is_done():
            for number, _ in self._epoll.poll(left):
                try:
                    data = links[number].recv(262_144)
                except OSError:
                    data = b""
                now = perf_counter()
                stamps = _STAMPS.findall(data)
                if stamps:
                    running.add(number)
                    for stamp in stamps:
                        delays.append(now - float(stamp))
                tail = tails[number] = (tails[number] + data)[-7:]
                if not data or tail == _END:
                    self._whole += tail == _END
                    links.pop(number).close()


if __name__ == "__main__":
    _be_punctual()
    if sys.argv[1] == "serve":
        _Serving(float(sys.argv[2])).run()
    else:
        _, _, url, streams, seconds, rate = sys.argv
        print(json.dumps(_Reading(url, int(streams), float(seconds), float(rate)).run()))
