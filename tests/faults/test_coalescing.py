"""What comes of a response does not depend on how the network cuts it into reads, faults included."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from lm_deluge import APIResponse, LLMClient, RetryPolicy, Timeouts
from lm_deluge.errors import APIStatusError, StreamError
from support.aftermath import no_longer_than
from support.bare_server import BareServer
from support.promises import KEY, Ear, check_one_ending
from support.scripted import (
    CLOSE,
    DONE,
    END,
    HANG,
    HEADERS,
    RESET,
    delta,
    ending,
    events,
    http,
    sse,
)

ROLE = sse(delta("", role="assistant"))
SAID = ROLE + events("Häuser ", "🙂")
TEXT = "Häuser 🙂"
WHOLE = SAID + ending()
#: Seconds for what ends by silence alone; nothing here does but a tail.
PATIENT = Timeouts(first_token=20, between_tokens=20, tail=20)


def head(*lines: str, status: str = "HTTP/1.1 200 OK", kind: str = "text/event-stream") -> bytes:
    return "\r\n".join([status, f"Content-Type: {kind}", *lines, "", ""]).encode()


def sized(body: bytes, *lines: str, **kwargs: Any) -> bytes:
    return head(f"Content-Length: {len(body)}", *lines, **kwargs) + body


@attrs.frozen
class Case:
    """A response, what follows it on the connection, and what has to come of it."""

    name: str
    data: bytes
    end: Any = HANG
    error: str | None = None
    text: str = TEXT
    status: int | None = None

    def __str__(self) -> str:
        return self.name


PACKED = gzip.compress(WHOLE)
HALF = gzip.compress(SAID)
ERROR = b'{"error": {"message": "no such key"}}'

CASES = [
    Case("whole", HEADERS + http(SAID) + http(ending()) + END),
    Case("whole, closed", HEADERS + http(WHOLE) + END, CLOSE),
    Case("done, body open", HEADERS + http(WHOLE)),
    Case("whole by its length", sized(WHOLE)),
    Case("whole by its end", head() + WHOLE, CLOSE),
    Case("HTTP/1.0", head(status="HTTP/1.0 200 OK") + WHOLE, CLOSE),
    Case("bytes beyond the length", sized(WHOLE) + b"\r\nand more"),
    Case("another response behind it", sized(WHOLE) + sized(WHOLE)),
    Case("bytes beyond the last chunk", HEADERS + http(WHOLE) + END + b"garbage"),
    Case(
        "after interim heads", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 2 + sized(WHOLE)
    ),
    Case("packed", head("Content-Encoding: gzip", f"Content-Length: {len(PACKED)}") + PACKED),
    Case("a wrong type", sized(WHOLE, kind="application/json")),
    Case("a status of its own", sized(WHOLE, status="HTTP/1.1 201 Created")),
    Case("bad chunk size", HEADERS + http(SAID) + b"zz\r\n", HANG, "ConnectionLostError"),
    Case("bad chunk end", HEADERS + http(SAID)[:-2] + b"xx", HANG, "ConnectionLostError"),
    Case("bad chunk size at once", HEADERS + b"zz\r\n", HANG, "ConnectionLostError", ""),
    Case(
        "bad chunk size after interim heads",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
        + HEADERS
        + http(SAID)
        + b"zz\r\n",
        HANG,
        "ConnectionLostError",
    ),
    Case(
        "bad chunk size under a wrong type",
        HEADERS.replace(b"text/event-stream", b"text/plain") + http(SAID) + b"zz\r\n",
        HANG,
        "ConnectionLostError",
    ),
    Case("bad chunk size after the end", HEADERS + http(WHOLE) + b"zz\r\n"),
    Case("closed in a chunk", HEADERS + http(SAID)[:-2], CLOSE, "ConnectionLostError"),
    Case(
        "closed before its length",
        head("Content-Length: 9999") + SAID,
        CLOSE,
        "ConnectionLostError",
    ),
    Case("reset", HEADERS + http(SAID), RESET, "ConnectionLostError"),
    Case("cut", HEADERS + http(SAID) + END, HANG, "AnswerCutError"),
    Case("malformed event", HEADERS + http(SAID + b"data: {oops\n\n"), HANG, "ProtocolError"),
    Case("error frame", HEADERS + http(SAID + sse({"error": "no"})), HANG, "ProviderError"),
    Case(
        "error frame and bad chunk size",
        HEADERS + http(SAID + sse({"error": "no"})) + b"zz\r\n",
        HANG,
        "ProviderError",
    ),
    Case(
        "refused",
        sized(ERROR, status="HTTP/1.1 401 No", kind="application/json"),
        HANG,
        "AuthenticationError",
        "",
        401,
    ),
    Case(
        "refused, bad chunk size",
        head("Transfer-Encoding: chunked", status="HTTP/1.1 401 No", kind="application/json")
        + http(ERROR)
        + b"zz\r\n",
        HANG,
        "AuthenticationError",
        "",
        401,
    ),
    Case("not HTTP", b"220 mail.example.com ESMTP\r\n\r\n", HANG, "ProtocolError", ""),
    Case("closed in the head", HEADERS[:-9], CLOSE, "APIConnectionError", ""),
]


async def tried(case: Case, reads: list[bytes]) -> str | None:
    """Return what is wrong with what came of a case."""
    heard = Ear()
    async with BareServer([*reads, case.end], paced=4) as server:
        client = LLMClient(
            "gpt-4o",
            base_url=server.base_url,
            api_key=KEY,
            timeouts=PATIENT,
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
    check_one_ending(heard)
    received = ending.partial if isinstance(ending, StreamError) else ending
    assert received is not None
    error = type(ending).__name__ if isinstance(ending, StreamError) else None
    status = ending.status_code if isinstance(ending, APIStatusError) else None
    found = (error, received.completion, heard.text(), status)
    right = (case.error, case.text, case.text, case.status)
    return None if found == right else f"{[len(read) for read in reads]}: {found}: {ending}"


def ways(data: bytes, step: int) -> Iterator[list[bytes]]:
    """All in one read; cut in two at every ``step``-th place; and in reads of one byte."""
    yield [data]
    for at in range(1, len(data), step):
        yield [data[:at], data[at:]]
    yield [data[at : at + step] for at in range(0, len(data), step)]


async def check(case: Case, step: int) -> None:
    wrong: list[str] = []
    todo = ways(case.data, step)

    async def work() -> None:
        for reads in todo:
            fault = await tried(case, reads)
            if fault is not None:
                wrong.append(fault)

    async with no_longer_than(120, case.name), asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(work())
    assert not wrong, f"{len(wrong)} ways to cut it are wrong:\n" + "\n".join(wrong[:10])


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_outcome_does_not_depend_on_how_reads_coalesce(case: Case) -> None:
    await check(case, 29)


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_outcome_does_not_depend_on_any_cut_on_either_loop(case: Case, loop: str) -> None:
    pytest.importorskip(loop).run(check(case, 1))


async def test_done_followed_by_anything_in_the_same_read_is_a_whole_answer() -> None:
    for more in (b"data: {oops\n\n", DONE, sse({"error": "too late"}), b"\x00" * 99):
        case = Case("more", HEADERS + http(WHOLE + more))
        assert await tried(case, [case.data]) is None
