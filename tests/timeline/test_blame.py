"""Who is blamed for what, from real streams over real sockets."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from lm_deluge import LLMClient, Stream, StreamHandler, Token
from lm_deluge.simulator import Gap, Simulator
from lm_deluge.timeline import Measured, findings_of, measure, read_timelines
from lm_deluge_plugins import FileLogger


class Slow(StreamHandler):
    """Holds the event loop for a while with every token."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def on_token(self, stream: Stream, token: Token) -> None:
        time.sleep(self._seconds)


async def measured(
    path: Path,
    *handlers: StreamHandler,
    gap: float,
    tokens: int,
    after: bool = False,
    streams: int = 2,
) -> Measured:
    """Stream a few answers with these handlers before the logger, or after it."""
    with FileLogger(path) as logger:
        order = [logger, *handlers] if after else [*handlers, logger]
        async with (
            Simulator(seed=1, tokens=tokens, ttft=0.01, gap=Gap.constant(gap)) as server,
            LLMClient("gpt-4o-mini", base_url=server.base_url, api_key="sk-test-0123456789",
                      handlers=order, printer=None) as client,
        ):  # fmt: skip
            for number in range(streams):
                await client.stream(f"Count to {number}.")
    return measure(read_timelines(path))


def blame(measured: Measured) -> tuple[bool, bool]:
    """Whether handlers, and whether the event loop, are blamed."""
    lines = findings_of(measured)
    return (
        any(line.startswith("Handlers") for line in lines),
        any(line.startswith("The event loop was late") for line in lines),
    )


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("gap", [0.0, 0.03])
async def test_slow_handlers_are_blamed_and_the_loop_is_not(
    tmp_path: Path, gap: float, after: bool
) -> None:
    found = await measured(tmp_path / "log", Slow(0.06), gap=gap, tokens=6, after=after)
    (group,) = found.groups.values()
    assert group.summary()["handlers"]["p50"] >= 0.06
    assert blame(found) == (True, False)


async def test_the_hold_of_a_last_read_is_logged_with_the_ending(tmp_path: Path) -> None:
    """All tokens come in one read: no other line could tell it."""
    found = await measured(tmp_path / "log", Slow(0.05), gap=0.0, tokens=4)
    (group,) = found.groups.values()
    assert group.summary()["handlers"]["max"] >= 0.05


@pytest.mark.slow
async def test_a_loop_held_by_the_application_is_said_to_be_late_and_handlers_are_not_blamed(
    tmp_path: Path,
) -> None:
    loop = asyncio.get_running_loop()

    def hold() -> None:
        nonlocal next_turn
        time.sleep(0.12)
        next_turn = loop.call_soon(hold)

    next_turn = loop.call_soon(hold)
    try:
        found = await measured(tmp_path / "log", gap=0.01, tokens=2, streams=1)
    finally:
        next_turn.cancel()
    (group,) = found.groups.values()
    assert group.summary()["loop_lag"]["p50"] >= 0.1
    assert blame(found) == (False, True)


async def test_nobody_is_blamed_for_a_slow_model(tmp_path: Path) -> None:
    assert blame(await measured(tmp_path / "log", gap=0.15, tokens=4)) == (False, False)
