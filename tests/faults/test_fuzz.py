"""Hostile bytes: no crash, bounded memory, linear time.

Each stream of bytes is endless; a test takes as many megabytes of it as it wants. The default run takes 5 MB
in all, the slow one 100 MB.
"""

from __future__ import annotations

import itertools
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lm_deluge import Limits
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.errors import (
    LimitExceededError,
    ProtocolError,
)
from lm_deluge.wire.sse import EventDecoder
from support.scripted import delta, sse

MB = 1024 * 1024


#: Small, so that a quarter of what a test feeds is many times the bound.
BOUND = 4 * 1024


#: Where memory is looked at: so large that what does not grow with it is nothing beside it.
LARGE = 128 * 1024


Stream = Iterator[bytes]


def fixed(piece: bytes, size: int = 16 * 1024) -> Callable[[random.Random], Stream]:
    """The same bytes for ever, in reads of one size."""

    def stream(rng: random.Random) -> Stream:
        data = piece * (size // len(piece) + 2)
        at = 0
        while True:
            yield data[at : at + size]
            at = (at + size) % len(piece)

    return stream


def noise(rng: random.Random) -> Stream:
    while True:
        yield rng.randbytes(rng.randint(1, 32 * 1024))


_WORDS = (b"data", b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"event", b"id", b"retry", b"\0", b"\xff",
          b"\xef\xbb\xbf", b"{}", b"[DONE] ", b"a" * 100, "🙂".encode(), b"data: ", b"1" * 30)  # fmt: skip


def words(rng: random.Random) -> Stream:
    """What the protocol is made of, in no order."""
    while True:
        yield b"".join(rng.choices(_WORDS, k=rng.randint(1, 500)))


def single_bytes(rng: random.Random) -> Stream:
    for block in words(rng):
        for at in range(len(block)):
            yield block[at : at + 1]


def growing(rng: random.Random) -> Stream:
    """Events ever larger, up to beyond the bound."""
    for size in itertools.cycle(range(1, BOUND + 2, 97)):
        yield b"data: " + b"x" * size + b"\n\n"


HOSTILE: dict[str, Callable[[random.Random], Stream]] = {
    "noise": noise,
    "words": words,
    "single bytes": single_bytes,
    "growing events": growing,
    "one line for ever": fixed(b"data: aaaaaaaaaaaaaaaaaa"),
    "one line without a name": fixed(b"a"),
    "one event of lines": fixed(b"data: x\n"),
    "one event of the shortest lines": fixed(b"a\n"),
    "one event of short reads": fixed(b"data: x\n", 13),
    "empty data lines": fixed(b"data\n"),
    "comments": fixed(b": keep-alive\n"),
    "comments in short reads": fixed(b": keep-alive\n", 7),
    "one comment for ever": fixed(b": keep-alive "),
    "blank lines": fixed(b"\n"),
    "carriage returns": fixed(b"\r"),
    "both in turn": fixed(b"\r\n", 1021),
    "tiny events": fixed(b"data:\n\n"),
    "tiny events in short reads": fixed(b"data:\n\n", 3),
    "unknown fields": fixed(b"field: value\n"),
    "ids": fixed(b"id: 12345678\ndata: x\n\n"),
    "retries": fixed(b"retry: 99999999999999999999\n\n"),
    "marks": fixed(b"\xef\xbb\xbf"),
    "comments within events": fixed(b"data: x\n: comment\n" * 50 + b"\n"),
}


def decode(
    make: Callable[[random.Random], Stream], size: int, seed: int, bound: int = BOUND
) -> float:
    """Decode ``size`` bytes, with a new decoder where one has given up; return seconds of processor time."""
    decoder = EventDecoder(bound)
    spent = 0.0
    fed = 0
    for data in make(random.Random(seed)):
        begun = time.process_time()
        found = decoder.feed(data)
        spent += time.process_time() - begun
        for event in found:
            assert len(event.data) <= bound
        fed += len(data)
        if decoder.error is not None:
            assert isinstance(decoder.error, LimitExceededError)
            assert decoder.error.name == "max_event_bytes"
            assert decoder.error.value > decoder.error.limit == bound
            assert decoder.feed(b"data: x\n\n") == []
            decoder = EventDecoder(bound)
        if fed >= size:
            break
    decoder.close()
    return spent


#: Kinds that come in so small reads that a test would only time its own loop.
_SMALL_READS = (
    "single bytes",
    "tiny events in short reads",
    "comments in short reads",
    "one event of short reads",
)


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_decoder_takes_hostile_bytes(kind: str) -> None:
    check_time(kind, 5 * MB // len(HOSTILE))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", HOSTILE)
def test_the_decoder_takes_100_mb_of_hostile_bytes(kind: str) -> None:
    check_time(kind, 100 * MB // len(HOSTILE))


def check_time(kind: str, size: int) -> None:
    """As many bytes at once as in four parts take the same time, if it is linear in the bytes.

    Time of the processor, and the best of several: other work on the machine only ever adds.
    """
    make = HOSTILE[kind]
    size = size // 8 if kind in _SMALL_READS else size
    decode(make, size // 8, seed=0)  # warm
    rounds = 3 if size < MB else 2
    parts = min(sum(decode(make, size // 4, seed) for seed in range(4)) for _ in range(rounds))
    whole = min(decode(make, size, seed) for seed in range(rounds))
    assert whole < 2.0 * parts + 0.003, f"{kind}: {parts:.4f} s in parts, {whole:.4f} s at once"
    limit = 10.0 if kind in _SMALL_READS else 2.0
    assert whole / size * MB < limit, f"{whole / size * MB:.2f} s per MB"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind not in _SMALL_READS])
def test_memory_stays_within_a_few_times_the_bound(kind: str) -> None:
    make = HOSTILE[kind]
    decode(make, 64 * 1024, seed=1)
    tracemalloc.start()
    try:
        decode(make, 3 * LARGE, seed=1, bound=LARGE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Twice the bound and one read, with a copy or two at a time, and the events of one read.
    assert peak < 6 * LARGE + MB, f"{peak / LARGE:.1f} times the bound"


def test_one_endless_event_stops_at_the_bound_and_not_later() -> None:
    for read in (1, 100, 4096):
        decoder = EventDecoder(10_000)
        fed = 0
        while decoder.error is None:
            decoder.feed(b"a" * read)
            fed += read
            assert fed < 30_000
        assert decoder._tail == b""


# -- answers

LIMITS = Limits(max_answer_chars=300, max_choices=8, max_tool_calls=16, max_event_bytes=BOUND)


def chunk(**fields: Any) -> bytes:
    return sse(delta(**fields))


def call(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "function": fields}


#: What a server can go on sending, one event each: every one has to end at a bound, or to cost nothing.
ENDLESS: dict[str, Callable[[int], bytes]] = {
    "text": lambda n: chunk(content="word "),
    "single characters": lambda n: chunk(content="é"),
    "reasoning": lambda n: chunk(reasoning_content="hmm "),
    "refusal": lambda n: chunk(refusal="no "),
    "choices": lambda n: chunk(content="a", index=n),
    "arguments": lambda n: chunk(tool_calls=[call(name="f", arguments="[0,")]),
    "calls": lambda n: chunk(tool_calls=[{"index": n, "id": f"c{n}", "function": {"name": "f"}}]),
    "calls by name": lambda n: chunk(
        tool_calls=[{"function": {"name": f"f{n}", "arguments": "{}"}}]
    ),
    "names": lambda n: chunk(tool_calls=[call(name=f"name-{n}-" * 20)]),
    "ids": lambda n: chunk(
        tool_calls=[{"index": n % 8, "id": f"{n % 8}" * 40_000, "function": {}}]
    ),
    "log probabilities": lambda n: sse(
        {
            "choices": [
                {"index": 0, "delta": {}, "logprobs": {"content": [{"token": "a" * 50}] * 20}}
            ]
        }
    ),
    "keys of log probabilities": lambda n: sse(
        {
            "choices": [
                {"index": 0, "delta": {}, "logprobs": {f"key{n}-{i}": [i] for i in range(50)}}
            ]
        }
    ),
    "usage": lambda n: sse({"choices": [], "usage": {f"field{n}": n}}),
    "ids of the answer": lambda n: sse({"id": "x" * 1000 + str(n), "choices": []}),
    "finish reasons": lambda n: chunk(finish=f"reason{n}" * 50),
    "empty deltas": lambda n: chunk(content=""),
    "role chunks": lambda n: chunk(role="assistant"),
    "surrogate halves": lambda n: chunk(content="\ud83d"),
    "halves in many places": lambda n: chunk(
        tool_calls=[{"index": n % 16, "function": {"arguments": "\ud83d"}}]
    ),
    "parts": lambda n: chunk(
        content=[{"type": "text", "text": "x"}, {"type": "thinking", "thinking": "y"}]
    ),
    "no choices": lambda n: sse({"object": "nothing"}),
    "comments": lambda n: b": nothing\n\n",
    "pings": lambda n: b"event: ping\ndata: {}x\n\n",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_answer_is_bounded(kind: str) -> None:
    make = ENDLESS[kind]
    answer = ChatAnswer(limits=LIMITS)
    sizes = []
    number = 0
    tracemalloc.start()
    try:
        for _ in range(4):
            for _ in range(400):
                answer.feed(make(number), 0.1)
                number += 1
            sizes.append(tracemalloc.get_traced_memory()[0])
            if answer.error is not None:
                break
    finally:
        tracemalloc.stop()
    if answer.error is not None:
        assert isinstance(answer.error, (LimitExceededError, ProtocolError)), answer.error
        assert sizes[-1] < 2 * MB
    else:
        grown = sizes[-1] - sizes[0]
        assert grown <= 32 * 1024, f"{grown:,} bytes more"


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_takes_linear_time(kind: str) -> None:
    make = ENDLESS[kind]
    big = Limits(max_answer_chars=10**9, max_choices=64, max_tool_calls=1024, max_event_bytes=MB)

    def spent(count: int) -> tuple[float, int]:
        data = [make(n) for n in range(count)]
        answer = ChatAnswer(limits=big)
        begun = time.process_time()
        for one in data:
            answer.feed(one, 0.1)
        answer.choices()
        return time.process_time() - begun, sum(map(len, data))

    spent(50)
    parts = min(sum(spent(150)[0] for _ in range(4)) for _ in range(3))
    large, size = min(spent(600) for _ in range(3))
    assert large < 2.0 * parts + 0.003, f"{parts:.4f} s in four answers, {large:.4f} s in one"
    assert large / size * MB < 3.0, f"{large / size * MB:.2f} s per MB"
