"""``Smooth``: the same text in a steady flow, and nothing of the stream changed."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import LLMClient, StreamHandler, Token
from lm_deluge.errors import StreamError
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import ChunkCollector, Smooth
from lm_deluge_plugins.smooth.pacing import STEP, Pacer
from lm_deluge_plugins.smooth.units import whole_units

TEXT = "The sea is blue because water takes red light in, and lets the blue pass. " * 4


class Heard(StreamHandler):
    """Notes what it hears, and when."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.tokens: list[Token] = []
        self.times: list[float] = []

    def note(self, name: str) -> None:
        if not self.names or self.names[-1] != name:
            self.names.append(name)

    def on_start(self, stream: Any) -> None:
        self.note("start")

    def on_token(self, stream: Any, token: Token) -> None:
        self.note("token")
        self.tokens.append(token)
        self.times.append(time.perf_counter())

    def on_delta(self, stream: Any, delta: Any) -> None:
        self.note(delta.kind)

    def on_complete(self, stream: Any, response: Any) -> None:
        self.note("complete")

    def on_error(self, stream: Any, error: Any) -> None:
        self.note("error")

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)


class HeardLater(Heard):
    """The same, ``async``, and slow."""

    async def on_token(self, stream: Any, token: Token) -> None:  # type: ignore[override]
        await asyncio.sleep(0.001)
        super().on_token(stream, token)

    async def on_complete(self, stream: Any, response: Any) -> None:  # type: ignore[override]
        await asyncio.sleep(0.001)
        super().on_complete(stream, response)


def client(simulator: Simulator, *handlers: Any, **kwargs: Any) -> LLMClient:
    return LLMClient(
        "gpt-4o", base_url=simulator.base_url, api_key="any", printer=None, handlers=list(handlers),
        **kwargs,
    )  # fmt: skip


@pytest.mark.parametrize("make", [Heard, HeardLater])
async def test_the_text_is_the_same_and_comes_before_the_ending(make: type[Heard]) -> None:
    heard, plain = make(), ChunkCollector()
    async with Simulator(text=[TEXT[:150], TEXT[150:]], gap=0.3) as simulator:
        response = await client(simulator, Smooth(heard), plain, strict=True).stream("?")
    assert heard.text == plain.text == response.completion == TEXT
    assert heard.names == ["start", "token", "complete"]
    assert [token.index for token in heard.tokens] == list(range(len(heard.tokens)))
    assert {token.read for token in heard.tokens} <= {token.read for token in plain.tokens}


async def test_a_long_piece_is_spread_over_the_time_until_the_next() -> None:
    heard = Heard()
    pieces = [TEXT[at : at + 40] for at in range(0, 240, 40)]
    async with Simulator(text=pieces, gap=0.25) as simulator:
        await client(simulator, Smooth(heard)).stream("?")
    assert len(heard.tokens) > 3 * len(pieces)
    gaps = [after - before for before, after in zip(heard.times, heard.times[1:], strict=False)]
    assert max(gaps) < 0.25


async def test_words_are_never_cut() -> None:
    heard = Heard()
    async with Simulator(
        text=[TEXT[at : at + 5] for at in range(0, len(TEXT), 5)], gap=0.01
    ) as simulator:
        await client(simulator, Smooth(heard)).stream("?")
    ends = {found.end() for found in re.finditer(r"\S+", TEXT)}
    at = 0
    for token in heard.tokens:
        at += len(token.text)
        assert at in ends or TEXT[at - 1].isspace()


@pytest.mark.parametrize("faults", [None, ["eof:2"]], ids=["whole", "cut"])
async def test_what_is_recorded_is_as_without(faults: Any) -> None:
    pieces = [TEXT[:100], TEXT[100:200], TEXT[200:]]

    async def arrivals(*handlers: Any) -> list[tuple[str, int]]:
        plain = ChunkCollector()
        async with Simulator(text=pieces, gap=0.02, faults=faults) as simulator:
            try:
                await client(simulator, *handlers, plain).stream("?")
            except StreamError:
                assert faults is not None
        return [(token.text, token.index) for token in plain.tokens]

    assert await arrivals(Smooth(Heard())) == await arrivals()


async def test_what_waits_goes_before_a_tool_call_and_before_the_ending() -> None:
    heard = Heard()
    async with Simulator(text=[TEXT], tool_calls=[("look", "{}")]) as simulator:
        await client(simulator, Smooth(heard)).stream("?")
    assert heard.text == TEXT
    assert heard.names == ["start", "token", "tool_call", "complete"]


@pytest.mark.parametrize("make", [Heard, HeardLater])
async def test_what_waits_goes_when_the_stream_is_cancelled(make: type[Heard]) -> None:
    heard = make()
    async with Simulator(text=[TEXT, *["word "] * 1000], gap=0.2) as simulator:
        async with client(simulator, Smooth(heard)).open_stream("?") as stream:
            async for _ in stream:
                break
        assert stream.partial.text == TEXT
    assert heard.text == TEXT
    assert heard.names == ["start", "token", "error"]


async def test_one_hears_many_streams_without_mixing_them() -> None:
    class Texts(StreamHandler):
        def __init__(self) -> None:
            self.of: dict[str, str] = {}

        def on_token(self, stream: Any, token: Token) -> None:
            self.of[stream.id] = self.of.get(stream.id, "") + token.text

    texts = Texts()
    async with Simulator(text=lambda body: body["messages"][-1]["content"] * 20) as simulator:
        asked = client(simulator, Smooth(texts))
        await asyncio.gather(*(asked.stream(f"{name} ") for name in "abcdefgh"))
    assert sorted(texts.of.values()) == [f"{name} " * 20 for name in "abcdefgh"]


async def test_a_failure_is_the_handlers_failure_and_no_text_is_lost() -> None:
    class Broken(Heard):
        def on_token(self, stream: Any, token: Token) -> None:
            super().on_token(stream, token)
            if len(self.tokens) == 2:
                raise RuntimeError("no disk")

    heard = Broken()
    async with Simulator(text=[TEXT[:100], TEXT[100:]], gap=0.2) as simulator:
        response = await client(simulator, Smooth(heard)).stream("?")
    (failure,) = response.handler_failures
    assert failure.message == "no disk"
    assert heard.text == response.completion


async def test_a_stream_that_broke_tells_what_it_had() -> None:
    heard = Heard()
    async with Simulator(text=TEXT, faults="reset:4") as simulator:
        with pytest.raises(StreamError) as caught:
            await client(simulator, Smooth(heard)).stream("?")
    assert caught.value.partial is not None
    assert heard.text == caught.value.partial.text
    assert heard.names[-1] == "error"


CLUSTERS = st.sampled_from(
    [
        "a",
        "e\u0301",
        "👩\u200d👩\u200d👧",
        "🇩🇪",
        "漢",
        "か\u3099",
        "שָׁ",
        " ",
        "\n",
        "word",
        "ก็",
        "👍🏽",
        "1",
        ".",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(CLUSTERS, max_size=40).map("".join), st.lists(st.integers(1, 5), max_size=40),
       st.lists(st.floats(0, 0.15), max_size=40))  # fmt: skip
def test_no_character_is_split_and_nothing_waits_too_long(
    text: str, sizes: list[int], gaps: list[float]
) -> None:
    """Pieces cut anywhere, within a character too, by a clock that the test moves."""
    pacer: Pacer[int] = Pacer(0.4)
    bounds = {found.end() for found in regex.finditer(r"\X", text)}
    now, at, fed, shown = 0.0, 0, [], 0
    pieces = list(zip(sizes, [*gaps, *[0.05] * len(sizes)], strict=False))
    for number, (size, gap) in enumerate([*pieces, (len(text), 0.05)]):
        piece = text[at : at + size]
        if not piece:
            continue
        at += len(piece)
        pacer.feed(piece, now, number)
        fed.append((at, now))
        until = now + gap
        while now <= until:
            for out, _ in pacer.due(now):
                shown += len(out)
                assert shown in bounds
            assert shown >= max((end for end, then in fed if now - then >= 0.4), default=0)
            now += STEP
    shown += sum(len(out) for out, _ in pacer.flush())
    assert shown == len(text)


@given(st.text())
def test_units_join_to_the_text(text: str) -> None:
    assert "".join(whole_units(text)) == text


def test_units() -> None:
    assert whole_units("Two words, 漢字 and 🇩🇪🇫🇷!") == [
        "Two", " words,", " 漢", "字", " and", " 🇩🇪", "🇫🇷", "!",
    ]  # fmt: skip


@pytest.mark.parametrize("handler", [None, 3, object(), Heard])
def test_what_is_no_handler_is_refused(handler: Any) -> None:
    with pytest.raises(TypeError, match="handler"):
        Smooth(handler)


@pytest.mark.parametrize("delay", [0, 0.5, float("nan")])
def test_a_delay_out_of_range_is_refused(delay: float) -> None:
    with pytest.raises(ValueError, match="max_delay must be"):
        Smooth(Heard(), max_delay=delay)
