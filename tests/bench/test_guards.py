"""What keeps ``docs/performance.md`` true: counts that do not depend on the machine, and a few ratios.

The bounds leave room for noise and other versions of Python, not for a new call per token.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import sys
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bench.clients import BARE, CLIENTS
from bench.instructions import (
    count,
    count_client,
    count_dialect,
    count_imports,
    count_stream,
)
from bench.measures import Bench, interleaved, row
from bench.server import body, serve
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.signals import StreamSignal

ROOT = str(Path(__file__).parents[2])
TOKENS = 1000


def events(tokens: int) -> list[bytes]:
    return [event + b"\n\n" for event in body(tokens).split(b"\n\n")[:-1]]


def reads(tokens: int) -> list[bytes]:
    data = body(tokens)
    return [data[at : at + 65_536] for at in range(0, len(data), 65_536)]


@contextlib.contextmanager
def calls_counted(*, own: bool) -> Iterator[Counter[str]]:
    """Count calls of Python functions, ``own`` ones only (lm_deluge and its plugins) or all and C's."""
    counted: Counter[str] = Counter()
    rooms = (f"{ROOT}/lm_deluge/", f"{ROOT}/plugins/")

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            code = frame.f_code
            if not own or code.co_filename.startswith((*rooms, "<attrs generated")):
                counted[code.co_qualname] += 1
        elif event == "c_call" and not own:
            counted[getattr(argument, "__name__", "?")] += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield counted
    finally:
        sys.setprofile(before)


def fed(pieces: list[bytes]) -> float:
    answer = ChatAnswer()
    with calls_counted(own=False) as counted:
        for data in pieces:
            answer.feed(data, 0.1)
    assert len(answer.arrivals) == TOKENS
    return counted.total() / TOKENS


def test_a_token_of_a_burst_costs_the_protocol_few_calls() -> None:
    assert fed(reads(TOKENS)) < 8


def test_a_read_of_one_token_costs_the_protocol_few_calls() -> None:
    assert fed(events(TOKENS)) < 22


@pytest.fixture
async def url() -> AsyncIterator[str]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/b/{TOKENS}/0/v1"
    finally:
        server.close()


async def measured(
    url: str, client: str, with_: Callable[[], Any], tmp_path: Path, patch: pytest.MonkeyPatch
) -> Any:
    """Return what ``with_`` yields around one stream of a client that is warm."""
    patch.setenv("BENCH_LOG", str(tmp_path / "log"))
    go, close = await CLIENTS[client](url, None)
    try:
        await go()
        with with_() as found:
            assert await go() == TOKENS
    finally:
        await close()
    return found


@pytest.mark.parametrize(
    ("client", "most"),
    [
        ("stream", 3),
        ("stream + 4 handlers", 3),  # the handlers' own calls are not ours
        ("stream_chat", 6),
        ("stream + printer", 5),
        ("stream + printer + log", 11),
    ],
)
async def test_a_token_of_a_burst_costs_few_calls_of_ours(
    url: str, client: str, most: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = await measured(url, client, lambda: calls_counted(own=True), tmp_path, monkeypatch)
    assert counted.total() / TOKENS < most, counted.most_common(12)


async def test_a_stream_of_one_token_costs_few_calls_of_ours(url: str) -> None:
    go, close = await CLIENTS["stream + handler"](url.replace(f"/{TOKENS}/", "/1/"), None)
    await go()
    with calls_counted(own=True) as counted:
        assert await go() == 1
    await close()
    assert counted.total() < 300, counted.most_common(12)


async def test_receivers_are_resolved_a_few_times_a_stream_and_not_per_token(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str] = []
    resolve = StreamSignal.receivers_for

    def counting(self: StreamSignal, sender: Any) -> Any:
        resolved.append(self.name)
        return resolve(self, sender)

    monkeypatch.setattr(StreamSignal, "receivers_for", counting)
    go, close = await CLIENTS["stream + handler"](url, None)
    assert await go() == TOKENS
    await close()
    assert len(resolved) <= 6, resolved


async def test_a_stream_costs_no_task_and_no_timer_per_read(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    made: Counter[str] = Counter()
    go, close = await CLIENTS["stream_chat"](url.replace("/0/v1", "/-1/v1"), None)
    await go()
    create_task, call_at = loop.create_task, loop.call_at
    serving = serve.__code__.co_filename

    def counting_task(work: Any, **kwargs: Any) -> Any:
        made["tasks"] += getattr(getattr(work, "cr_code", None), "co_filename", "") != serving
        return create_task(work, **kwargs)

    def counting_timer(when: float, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        made["timers"] += 1
        return call_at(when, call, *args, **kwargs)

    monkeypatch.setattr(loop, "create_task", counting_task)
    monkeypatch.setattr(loop, "call_at", counting_timer)
    assert await go() == TOKENS
    await close()
    assert made["tasks"] <= 6, made
    assert made["timers"] <= 12, made


@pytest.mark.parametrize("cut", [reads, events], ids=["in bursts", "one a read"])
def test_an_answer_keeps_its_text_and_sixteen_bytes_a_token(
    cut: Callable[[int], list[bytes]],
) -> None:
    tokens = 20_000
    pieces = cut(tokens)
    ChatAnswer().feed(pieces[0], 0.1)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        answer = ChatAnswer()
        for data in pieces:
            answer.feed(data, 0.1)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    text = sum(map(len, (choice.completion for choice in answer.choices())))
    # The text grows in steps of a quarter; an answer without a token takes 5 kB.
    assert kept < 1.25 * text + 16 * tokens + 8_000


def test_one_event_of_four_megabytes_byte_by_byte_takes_linear_time() -> None:
    def calls(size: int) -> int:
        data = body(1).replace(b" word0", b"x" * size)
        answer = ChatAnswer()
        with calls_counted(own=False) as counted:
            for at in range(0, len(data), 64):
                answer.feed(data[at : at + 64], 0.1)
        return counted.total()

    assert calls(400_000) < 2.2 * calls(200_000)


# -- what needs time, quiet or valgrind --------------------------------------------------------


@pytest.mark.slow
@pytest.mark.instructions
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.skipif(sys.gettrace() is not None, reason="coverage would be counted")
def test_the_protocol_costs_few_times_the_bare_loops_instructions() -> None:
    counted = count()
    assert counted["burst"] < 1.5 * counted["bare"], counted  # 1.32 when this was written
    assert counted["live"] < 2.3 * counted["bare"], counted  # 2.22


@pytest.mark.slow
@pytest.mark.instructions
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.skipif(sys.gettrace() is not None, reason="coverage would be counted")
@pytest.mark.parametrize(
    ("dialect", "burst", "live"),
    # When this was written: 1.89 and 3.61, 2.4 and 4.01, 1.74 and 2.37.
    [("messages", 2.0, 3.8), ("responses", 2.5, 4.2), ("gemini", 1.85, 2.5)],
)
def test_another_wire_costs_few_times_its_bare_loops_instructions(
    dialect: str, burst: float, live: float
) -> None:
    counted = count_dialect(dialect)
    assert counted["burst"] < burst * counted["bare"], counted
    assert counted["live"] < live * counted["bare"], counted


@pytest.mark.slow
@pytest.mark.instructions
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.skipif(sys.gettrace() is not None, reason="coverage would be counted")
def test_a_live_token_costs_a_client_hardly_more_instructions_than_the_bare_loop() -> None:
    clients = {"stream + handler": 1.15, "stream_chat": 1.5}
    with Bench() as bench:
        bare = count_client(BARE, bench.port)
        counted = {client: count_client(client, bench.port) / bare for client in clients}
    # 1.11 to 1.13 and 1.4 when this was written.
    assert all(counted[client] < bound for client, bound in clients.items()), counted


@pytest.mark.slow
@pytest.mark.instructions
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.skipif(sys.gettrace() is not None, reason="coverage would be counted")
def test_a_short_answer_costs_few_times_the_bare_loops_instructions() -> None:
    """Of 20 tokens in one burst, the request included: what evaluation jobs send by the million."""
    bounds = {"stream": 2.35, "stream_chat": 2.6}
    with Bench() as bench:
        bare = count_stream(BARE, bench.port, 20)
        counted = {client: count_stream(client, bench.port, 20) / bare for client in bounds}
    # 2.24 and 2.47 when this was written; the aim is 1.35 and 1.7 of the time.
    assert all(counted[client] < bound for client, bound in bounds.items()), counted


@pytest.mark.slow
def test_the_ratios_of_a_burst(tmp_path: Path) -> None:
    bounds = {"stream_chat": 2.0, "stream + printer": 2.0, "stream + printer + log": 3.0}
    noise = float(os.environ.get("LM_DELUGE_BENCH_NOISE", "1.25"))
    with Bench() as bench, bench.clients([BARE, *bounds]) as ask:
        clients = [BARE, *bounds]
        for client in clients:
            ask(client, "warm", tokens=TOKENS, pause=0)
        each = {key: dict(tokens=TOKENS, pause=0, streams=8, concurrency=1) for key in clients}
        taken = interleaved(ask, clients, "cpu", 15, each)
    ratios = {client: row("", client, taken, "cpu_us", "µs")["ratio"] for client in bounds}
    assert all(ratios[client] < bound * noise for client, bound in bounds.items()), ratios


@pytest.mark.slow
@pytest.mark.instructions
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_the_import_takes_little_beyond_aiohttps() -> None:
    aiohttps, ours = count_imports()
    # 0.347 to 0.350, by what else is installed; 0.324 was 0.30 of its time (`run.py --only import`), by which
    # 60 ms of 181, the budget, are 0.357.
    assert ours < 0.357 * aiohttps, (aiohttps, ours)
