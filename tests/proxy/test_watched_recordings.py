"""Recorded answers, however the network cuts them: a watched stream is what our own client makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge.proxy.exchange import Ending
from lm_deluge.proxy.watcher import Watcher
from support.dialects import FOLDERS, OWN
from support.exchanges import EVENTS, WatchingEar, asks, by_our_client, opened, told, watched
from support.promises import check_error, check_one_ending, check_response, check_tokens
from support.wires import BEGUN, ENDED, WIRES

#: Folders of recordings by the wire that they are of.
_WIRES = {
    "openai_chat": "chat",
    "openai_chat_reported": "chat",
    "openai_responses": "responses",
    "anthropic": "messages",
    "gemini": "gemini",
}

#: Bytes of a body that is cut into single ones; each cut is heard twice.
_SHORT = 3_000

FILES = [
    pytest.param(path, wire, id=f"{path.parent.name}-{path.stem}")
    for root in FOLDERS
    for folder, wire in _WIRES.items()
    for path in sorted((root / folder).glob("*.sse"))
]


def cuttings(body: bytes) -> Iterator[list[bytes]]:
    rng = random.Random(1)
    yield [body]
    sizes = (1,) if len(body) <= _SHORT else (len(body) // 200, len(body) // 90, len(body) // 40)
    for among in (sizes, (1, 2, 3, 50, 700, 4096)):
        at, reads = 0, []
        while at < len(body):
            size = rng.choice(among)
            reads.append(body[at : at + size])
            at += size
        yield reads


@pytest.mark.parametrize(("path", "wire"), FILES)
async def test_a_recording_is_heard_as_our_own_client_hears_it_however_it_is_cut(
    path: Path, wire: str
) -> None:
    body = path.read_bytes()
    n = 3 if "choices" in path.stem and OWN in path.parents else 1
    for reads in cuttings(body):
        asked = asks(wire, **({"n": n} if n > 1 else {}))
        ear = await watched(reads, wire=wire, body=asked)
        check_one_ending(ear)
        check_tokens(ear.tokens)
        assert told(ear) == told(await by_our_client(reads, wire=wire, n=n))


def test_there_are_recordings_of_every_wire() -> None:
    assert {param.values[1] for param in FILES} == set(WIRES)


_HOW: list[Ending] = ["whole", "short", "reset", "reader left", "cut by us", "unreachable"]


@pytest.mark.parametrize("wire", WIRES)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
async def test_whatever_comes_and_however_it_ends_there_is_one_ending(
    wire: str, data: st.DataObject
) -> None:
    body = BEGUN[wire] + ENDED[wire]
    body = body[: data.draw(st.integers(0, len(body)))] + data.draw(st.binary(max_size=12))
    places = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=6)))
    reads = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    status = data.draw(st.sampled_from([200, 201, 404, 500]))
    ear = await watched(
        reads,
        data.draw(st.sampled_from(_HOW)),
        status=status,
        answered=data.draw(
            st.sampled_from([EVENTS, (), (("content-type", "application/json"),)]),
        ),
        wire=wire,
    )
    check_one_ending(ear)
    check_tokens(ear.tokens)
    if ear.calls[-1] == "complete":
        check_response(ear.ending, ear)  # type: ignore[arg-type]
    else:
        check_error(ear.ending, ear)  # type: ignore[arg-type]


_STEPS = st.lists(st.sampled_from(["sent", "asked", "head", "read", "done", "ended"]), max_size=9)


@settings(deadline=None, max_examples=60)
@given(steps=_STEPS, how=st.sampled_from(_HOW))
async def test_no_order_of_calls_raises_or_tells_more_than_one_ending(
    steps: list[str], how: Ending
) -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    exchange = opened(watcher, asks())
    for step in steps:
        if step == "sent":
            exchange.sent(b"{")
        elif step == "asked":
            exchange.asked(0.0)
        elif step == "head":
            exchange.head(200, EVENTS)
        elif step == "read":
            exchange.read(BEGUN["chat"], perf_counter())
        elif step == "done":
            exchange.read(ENDED["chat"], perf_counter())
        else:
            exchange.ended(how)
    exchange.ended(how)
    exchange.read(BEGUN["chat"], perf_counter())
    await watcher.aclose()
    check_one_ending(ear)
