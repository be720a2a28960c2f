"""A limit that passes while the bytes it waits for are there already is none: something held us."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import attrs
import pytest

from lm_deluge import APIResponse, LLMClient, RetryPolicy, Timeouts
from lm_deluge.errors import APITimeoutError, AuthenticationError, StreamError
from support.clients import KEY, Recorder
from support.programs import ROOT
from support.scripted import DONE, END, HEADERS, USAGE, delta, ending, events, http, sse

Run = Callable[[Coroutine[Any, Any, None]], None]

#: Seconds that the event loop is held; no limit below is as long.
HELD = 0.25
LIMIT = 0.1


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return pytest.importorskip(request.param).run  # type: ignore[no-any-return]


@attrs.frozen
class Case:
    """``parts``: each is sent while the loop of the client is held; it goes on when it is there."""

    name: str
    parts: tuple[bytes, ...]
    timeouts: Timeouts
    text: str = "ab"
    error: type[StreamError] | None = None

    def __str__(self) -> str:
        return self.name


ROLE = http(sse(delta("", role="assistant")))
FINISH = http(sse(delta(finish="stop")))
USED = http(sse({"choices": [], "usage": USAGE}) + DONE)
REST = http(events("a", "b")) + http(ending()) + END
FIRST = Timeouts(first_token=LIMIT, between_tokens=20)
BETWEEN = Timeouts(first_token=20, between_tokens=LIMIT)
TOTAL = Timeouts(total=LIMIT)
REFUSED = b"HTTP/1.1 401 No\r\nContent-Length: 28\r\n\r\n"
#: More than an event loop reads at a time, and no output.
COMMENTS = http(b": keep-alive\n\n" * 50_000)

CASES = [
    Case("before the head", (HEADERS + REST,), FIRST),
    Case("role chunk", (HEADERS + ROLE + REST,), FIRST),
    Case("several reads", (HEADERS + COMMENTS + REST,), FIRST),
    Case(
        "between tokens", (HEADERS + http(events("a")), http(events("b") + ending()) + END), BETWEEN
    ),
    Case(
        "tail",
        (HEADERS + http(events("a", "b")), FINISH, USED + END),
        Timeouts(first_token=20, between_tokens=20, tail=LIMIT),
    ),
    Case("total, whole", (HEADERS + REST,), TOTAL),
    Case("total, finished", (HEADERS + http(events("a", "b")) + FINISH,), TOTAL),
    Case("total, not whole", (HEADERS + http(events("a", "b")),), TOTAL, "ab", APITimeoutError),
    Case("total, several reads", (HEADERS + COMMENTS + REST,), TOTAL),
    Case("total, no output", (HEADERS + ROLE,), TOTAL, "", APITimeoutError),
    Case("role alone", (HEADERS + ROLE,), FIRST, "", APITimeoutError),
    Case("half a head", (HEADERS[:20],), FIRST, "", APITimeoutError),
    Case(
        "an error's body",
        (REFUSED + b'{"error": {"message": "no"}}',),
        FIRST,
        "",
        AuthenticationError,
    ),
]


class Holding:
    """A server in a thread, which holds the client's event loop while it sends."""

    def __init__(self, parts: tuple[bytes, ...]) -> None:
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._over = threading.Event()

    def __enter__(self) -> str:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            request_of(connection)
            for part in self._parts:
                held, free = threading.Event(), threading.Event()
                self._loop.call_soon_threadsafe(self._hold, held, free)
                assert held.wait(5)
                connection.sendall(part)
                assert free.wait(5)
            self._over.wait(5)

    def _hold(self, held: threading.Event, free: threading.Event) -> None:
        held.set()
        time.sleep(HELD)  # the fault under test: a loop that is held up for longer than a limit
        free.set()


def request_of(connection: socket.socket) -> None:
    """Read one request to its end."""
    data = b""
    while not data.endswith(b"}"):
        data += connection.recv(65_536)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_there_when_a_held_loop_goes_on_is_in_time(case: Case, run: Run) -> None:
    async def main() -> None:
        heard = Recorder()
        with Holding(case.parts) as url:
            client = LLMClient(
                "gpt-4o",
                base_url=url,
                api_key=KEY,
                timeouts=case.timeouts,
                retries=RetryPolicy.none(),
                handlers=[heard],
                printer=None,
            )
            ending: APIResponse | StreamError
            try:
                ending = await client.stream("hi")
            except StreamError as error:
                ending = error
            await client.close()
        received = ending.partial if isinstance(ending, StreamError) else ending
        assert received is not None
        assert received.completion == case.text == heard.text
        if case.error is None:
            assert isinstance(ending, APIResponse), ending
            assert (ending.usage is None) == (case.name == "total, finished")
        else:
            assert type(ending) is case.error

    run(main())


PROGRAM = """
import asyncio, sys
from lm_deluge import LLMClient, RetryPolicy, Timeouts

async def main():
    client = LLMClient("gpt-4o", base_url=sys.argv[1], api_key="sk-1", printer=None,
                       retries=RetryPolicy.none(), timeouts=Timeouts(first_token=0.3))
    print((await client.stream("hi")).completion)

asyncio.run(main())
"""


@pytest.fixture
def suspended() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start the program above; it is ended whatever the test does."""
    programs: list[subprocess.Popen[str]] = []

    def start(url: str) -> subprocess.Popen[str]:
        programs.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, url], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
        )
        return programs[-1]

    yield start
    for program in programs:
        program.kill()
        program.communicate()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be suspended here")
def test_a_process_that_was_suspended_reads_what_came_meanwhile(suspended: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = suspended(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        listener.settimeout(20)
        connection, _ = listener.accept()
        with connection:
            request_of(connection)
            os.kill(program.pid, signal.SIGSTOP)
            connection.sendall(HEADERS + REST)
            time.sleep(
                0.5
            )  # the fault under test: suspended for longer than the limit of the first token
            os.kill(program.pid, signal.SIGCONT)
            out, _ = program.communicate(timeout=20)
    assert (program.returncode, out) == (0, "ab\n")
