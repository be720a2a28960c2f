"""Streams of several attempts, over all faults: each ends as the rules say, whatever came before."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence

import pytest

from lm_deluge import APIResponse, LLMClient, Retry, RetryPolicy, Stream, StreamHandler, Timeouts
from lm_deluge.errors import APIStatusError, APITimeoutError, StreamError
from support.aftermath import no_longer_than
from support.promises import KEY, Ear, check_one_ending
from support.sequences import FAULTS, KINDS, TEXT, TOTALS, Cell, End, Gate, expected

#: Seconds in which a server that works has answered. More where there are thousands of them: one of
#: those meets the moment in which a machine that is busy with other tests forgets this one.
SOON = 0.6
SURELY = 2.5
#: Most of them only wait for a server that says nothing.
AT_ONCE = 160

FALLBACKS = ("gpt-4o-mini", "gpt-4.1-mini")


def limits(cell: Cell, soon: float) -> Timeouts:
    """``soon``: seconds; half as much more at random, lest all that wait in vain go on at once."""
    soon *= 1 + 0.5 * random.random()
    if cell.total == "short":
        return Timeouts(first_token=30, between_tokens=30, total=2 * soon)
    return Timeouts(
        first_token=soon, between_tokens=soon, total=20 if cell.total == "no room" else None
    )


async def tried(cell: Cell, soon: float) -> End:
    """Run the stream of a cell; return how it ended, after the promises were checked."""
    heard = Ear()
    timeouts = limits(cell, soon)
    wait = 60.0 if cell.total == "no room" else 0.002
    with Gate([FAULTS[name] for name in cell.faults]) as gate:
        client = LLMClient(
            "gpt-4o",
            base_url=gate.base_url,
            api_key=KEY,
            timeouts=timeouts,
            retries=RetryPolicy(max_attempts=cell.max_attempts, initial_delay=wait, max_delay=wait),
            fallback_models=FALLBACKS[: cell.targets - 1],
            handlers=[heard, gate],
            printer=None,
        )
        ending: APIResponse | StreamError
        try:
            ending = await client.stream("hi")
        except StreamError as error:
            ending = error
        await client.close()
    check_one_ending(heard)
    assert heard.endings == [ending]
    retries = len(heard.retries)
    failed = tuple(attempt.error for attempt in ending.failed_attempts)
    if isinstance(ending, APIResponse):
        assert ending.completion == TEXT
        return End(None, None, ending.attempts, retries, failed)
    assert ending.__cause__ is None or not isinstance(ending.__cause__, asyncio.CancelledError)
    cause = ending.__cause__ if isinstance(ending, APITimeoutError) else None
    if isinstance(ending, APITimeoutError):
        assert f"Timeouts.{ending.phase}" in str(ending)
        assert ending.limit == getattr(timeouts, ending.phase or "")
    if isinstance(ending, APIStatusError):
        assert ending.status_code is not None
    return End(
        type(ending).__name__,
        ending.phase,
        ending.attempts,
        retries,
        failed,
        None if cause is None else type(cause).__name__,
    )


async def check_all(cells: Sequence[Cell], *, soon: float, at_once: int) -> None:
    """Assert that every cell ends as the oracle says."""
    wrong: list[str] = []
    todo = iter(cells)

    async def work() -> None:
        for cell in todo:
            try:
                end = await tried(cell, soon)
            except AssertionError as error:
                wrong.append(f"{cell}: {error}")
            else:
                if end != expected(cell):
                    wrong.append(f"{cell}:\n  {end}\n  {expected(cell)} expected")

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    assert not wrong, f"{len(wrong)} of {len(cells)} cells:\n" + "\n".join(wrong[:20])


def cells(names: Sequence[str], length: int) -> Iterator[Cell]:
    """Every sequence of faults by every limit, in turn by one model, by two and by three."""
    ways = itertools.cycle([(1, 3), (2, 2), (3, 1)])
    for faults in itertools.product(names, repeat=length):
        for total, (targets, attempts) in zip(TOTALS, ways, strict=False):
            yield Cell(faults, targets, attempts, total)
        next(ways)


@pytest.mark.slow
async def test_an_attempt_of_any_kind_ends_as_the_rules_say() -> None:
    async with no_longer_than(60, "every fault, again and again"):
        await check_all(list(cells(list(FAULTS), 1)), soon=SOON, at_once=24)


@pytest.mark.slow
async def test_some_sequences_of_attempts_end_as_the_rules_say() -> None:
    chosen = random.Random(13).sample(list(cells(KINDS, 3)), 24)
    async with no_longer_than(60, "a sample of sequences"):
        await check_all(chosen, soon=SOON, at_once=24)


@pytest.mark.slow
async def test_all_sequences_of_two_faults_end_as_the_rules_say() -> None:
    await check_all(list(cells(list(FAULTS), 2)), soon=SURELY, at_once=AT_ONCE)


@pytest.mark.slow
async def test_all_sequences_of_three_kinds_end_as_the_rules_say() -> None:
    await check_all(list(cells(KINDS, 3)), soon=SURELY, at_once=AT_ONCE)


async def test_a_total_limit_that_passes_while_a_handler_hears_of_a_retry_ends_the_stream() -> None:
    class Dawdling(StreamHandler):
        def on_retry(self, stream: Stream, retry: Retry) -> None:
            time.sleep(0.3)

    with Gate([FAULTS["503"]]) as gate:
        client = LLMClient(
            "gpt-4o",
            base_url=gate.base_url,
            api_key=KEY,
            timeouts=Timeouts(total=0.25),
            retries=RetryPolicy(initial_delay=0.001),
            handlers=[gate, Dawdling()],
            printer=None,
        )
        with pytest.raises(APITimeoutError) as caught:
            await client.stream("hi")
        await client.close()
    assert (caught.value.phase, caught.value.limit, caught.value.attempts) == ("total", 0.25, 1)
    assert isinstance(caught.value.__cause__, APIStatusError)
    assert [failed.error for failed in caught.value.failed_attempts] == ["InternalServerError"]
