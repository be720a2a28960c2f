"""What a proxy hears is what our own client hears, over every fault of the simulator."""

from __future__ import annotations

import statistics

import pytest

from lm_deluge import APIResponse, LLMClient, RetryPolicy, SamplingParams
from lm_deluge.errors import (
    APITimeoutError,
    LimitExceededError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from support.exchanges import WatchingEar, told
from support.fault_table import ROWS, said
from support.promises import KEY, check_one_ending
from support.wires import WIRES

#: Where our client ends an answer by itself, its reader is gone, and nobody beyond it knows why.
_ITS_OWN = (APITimeoutError, LimitExceededError)

CELLS = [
    pytest.param(spec, wire, marks=[] if wire == "chat" else [pytest.mark.slow])
    for spec in ROWS
    for wire in WIRES
    if wire == "chat" or ROWS[spec].n == 1
]


async def heard_twice(spec: str, wire: str, **options: object) -> tuple[WatchingEar, WatchingEar]:
    """What our client hears, and what a proxy between it and the simulator hears."""
    row = ROWS[spec]
    mine, proxys = WatchingEar(), WatchingEar()
    async with (
        Simulator(text=lambda _: said("Hi"), faults=spec, models=["a-model"], **options) as sim,
        Proxy(sim.url, handlers=[proxys]) as proxy,
    ):
        client = LLMClient(
            "a-model",
            base_url=proxy.url + ("/v1beta" if wire == "gemini" else "/v1"),
            dialect=wire,
            api_key=KEY,
            printer=None,
            retries=RetryPolicy.none(),
            timeouts=row.timeouts,
            limits=row.limits,
            sampling_params=SamplingParams(n=row.n, max_new_tokens=900),
            handlers=[mine],
        )
        try:
            await client.stream("Hi")
        except StreamError:
            pass
        await client.close()
    return mine, proxys


@pytest.mark.parametrize(("spec", "wire"), CELLS)
async def test_the_proxy_hears_what_the_client_hears(spec: str, wire: str) -> None:
    mine, proxys = await heard_twice(spec, wire)
    check_one_ending(proxys)
    if wire == "chat" and spec != "refuse":
        assert isinstance(mine.ending, ROWS[spec].error or APIResponse)
    if isinstance(mine.ending, _ITS_OWN):
        assert type(proxys.ending) in (StreamCancelled, type(mine.ending))
        return
    if spec in ("refuse",):  # the client is told so by the proxy
        assert type(proxys.ending).__name__ == "APIConnectionError"
        return
    (ours, theirs) = told(mine), told(proxys)
    # Which URL, and what the system says of a lost connection, are those of each one's own.
    if not isinstance(mine.ending, APIResponse):
        ours.pop("message")
        theirs.pop("message")
    assert theirs == ours


async def test_the_moments_are_the_same_to_within_a_millisecond() -> None:
    medians: list[float] = []
    for _ in range(3):
        mine, proxys = await heard_twice("comments:5", "chat", gap=0.02)
        first = proxys.tokens[0].arrived - mine.tokens[0].arrived
        assert isinstance(mine.ending, APIResponse)
        assert isinstance(proxys.ending, APIResponse)
        pairs = zip(proxys.tokens, mine.tokens, strict=True)
        offs = [abs(seen.arrived - own.arrived - first) for seen, own in pairs]
        offs.append(abs(proxys.ending.elapsed - mine.ending.elapsed - first))
        medians.append(statistics.median(offs))
    # What a busy machine delays is delayed for both, by other pieces, and not in every round.
    assert min(medians) < 0.001
