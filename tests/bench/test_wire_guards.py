"""What every wire promises of its cost, in counts: few calls a token, and nothing that grows."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from bench.providers import measure, ratios
from bench.wires import BODIES

TOKENS = 1000
READ = 65_536


def answer_of(dialect: str) -> Any:
    module = importlib.import_module(f"lm_deluge.dialects.{dialect}.answer")
    return getattr(module, f"{dialect.title()}Answer")()


def in_bursts(dialect: str, tokens: int) -> list[bytes]:
    data = BODIES[dialect](tokens)
    return [data[at : at + READ] for at in range(0, len(data), READ)]


def one_a_read(dialect: str, tokens: int) -> list[bytes]:
    return [event + b"\n\n" for event in BODIES[dialect](tokens).split(b"\n\n")[:-1]]


def calls(dialect: str, reads: list[bytes]) -> int:
    """How many functions are called, Python's and C's, to read an answer."""
    answer, counted = answer_of(dialect), 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        for data in reads:
            answer.feed(data, 0.1)
        answer.close(0.1)
    finally:
        sys.setprofile(before)
    assert answer.whole
    return counted


@pytest.mark.parametrize(
    ("dialect", "most"), [("messages", 5), ("responses", 5.2), ("gemini", 7.2)]
)
def test_a_token_of_a_burst_costs_the_protocol_few_calls(dialect: str, most: float) -> None:
    assert calls(dialect, in_bursts(dialect, TOKENS)) < most * TOKENS


@pytest.mark.parametrize("dialect", BODIES)
@pytest.mark.parametrize("cut", [in_bursts, one_a_read])
def test_calls_grow_with_the_answer_and_no_faster(
    dialect: str, cut: Callable[[str, int], list[bytes]]
) -> None:
    assert calls(dialect, cut(dialect, 4 * TOKENS)) < 4.1 * calls(dialect, cut(dialect, TOKENS))


@pytest.mark.parametrize("dialect", BODIES)
@pytest.mark.parametrize("cut", [in_bursts, one_a_read])
def test_an_answer_keeps_its_text_and_sixteen_bytes_a_token(
    dialect: str, cut: Callable[[str, int], list[bytes]]
) -> None:
    tokens = 10_000
    reads = cut(dialect, tokens)
    answer_of(dialect).feed(reads[0], 0.1)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        answer = answer_of(dialect)
        for data in reads:
            answer.feed(data, 0.1)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    text = sum(len(choice.completion) for choice in answer.choices())
    assert text == tokens * len(" token")
    # The text grows in steps of a quarter; an answer without a token takes 5 kB. The last read is kept, too:
    # Responses say all of the text in it once more.
    assert kept < 1.25 * text + 16 * tokens + 8_000 + len(reads[-1])


@pytest.mark.slow
def test_a_whole_client_takes_at_most_twice_the_time_of_a_bare_loop() -> None:
    noise = float(os.environ.get("LM_DELUGE_BENCH_NOISE", "1.25"))
    taken = measure(list(BODIES), rounds=9, tokens=TOKENS, packages=False)
    found = {dialect: ratios(seconds)["stream_chat"] for dialect, seconds in taken.items()}
    # 1.63 for Messages, 1.94 for Responses and 1.64 for Gemini when this was written.
    assert all(ratio < 2.0 * noise for ratio in found.values()), found
