"""A wait ends by a limit, by a stop or from outside, alone or together, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lm_deluge.engine.deadline import Clock
from lm_deluge.engine.interruption import Interruption
from lm_deluge.errors import APITimeoutError, StreamCancelled

ENOUGH = StreamCancelled("enough")


@pytest.fixture
async def interruption() -> AsyncIterator[Interruption]:
    clock = Clock()
    clock.start()
    interruption = Interruption(clock)
    interruption.guard(asyncio.get_running_loop())
    yield interruption
    interruption.release()


async def forever() -> None:
    await asyncio.Event().wait()


def cancels() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


def cancel() -> None:
    """Cancel the task that runs the test, from outside."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)


async def test_what_was_waited_for_comes_out(interruption: Interruption) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "it"

    interruption.deadline.wait("connect", 5)
    assert await interruption.run(work()) == "it"
    with pytest.raises(KeyError):
        await interruption.run(failing(KeyError()))
    assert cancels() == 0


async def failing(error: Exception) -> None:
    await asyncio.sleep(0)
    raise error


async def test_a_limit_ends_the_wait_and_the_next_one_starts_clean(
    interruption: Interruption,
) -> None:
    for phase in ("connect", "first_token", "first_token"):
        interruption.deadline.wait(phase, 0.01)
        with pytest.raises(APITimeoutError) as caught:
            await interruption.run(forever())
        assert (caught.value.phase, caught.value.limit) == (phase, 0.01)
        assert cancels() == 0
        interruption.deadline.wait("first_token", 5)
        await interruption.run(asyncio.sleep(0.001))


async def test_a_stop_ends_the_wait(interruption: Interruption) -> None:
    asyncio.get_running_loop().call_soon(interruption.stop, ENOUGH)
    with pytest.raises(StreamCancelled, match="enough"):
        await interruption.run(forever())
    assert cancels() == 0
    with pytest.raises(StreamCancelled, match="enough"):
        interruption.check()


async def test_the_first_stop_counts(interruption: Interruption) -> None:
    interruption.stop(ENOUGH)
    interruption.stop(StreamCancelled("more"))
    assert interruption.stopped is ENOUGH


async def test_a_cancellation_from_outside_goes_on(interruption: Interruption) -> None:
    cancel()
    with pytest.raises(asyncio.CancelledError):
        await interruption.run(forever())
    assert cancels() == 1


async def test_a_cancellation_from_outside_goes_on_though_a_stop_came_with_it(
    interruption: Interruption,
) -> None:
    asyncio.get_running_loop().call_soon(interruption.stop, ENOUGH)
    cancel()
    with pytest.raises(asyncio.CancelledError):
        await interruption.run(forever())
    assert cancels() == 1


async def test_a_cancellation_from_before_is_not_taken_for_ours(interruption: Interruption) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    interruption.deadline.wait("connect", 0.01)
    with pytest.raises(APITimeoutError):
        await interruption.run(forever())
    assert cancels() == 1
    task.uncancel()


async def test_work_that_swallows_its_cancellation_has_its_way(interruption: Interruption) -> None:
    async def stubborn() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            pass
        return "done"

    interruption.deadline.wait("connect", 0.01)
    assert await interruption.run(stubborn()) == "done"
    assert cancels() == 0


async def test_a_pause_ends_by_its_time_by_a_stop_and_by_the_limit_over_all(
    interruption: Interruption,
) -> None:
    interruption.deadline.wait("first_token", 0.001)
    await interruption.sleep(0.02)
    assert interruption.deadline.verdict() is None, "the limit of the attempt before it"
    interruption.deadline.start_total(0.02)
    await interruption.sleep(60)
    assert interruption.deadline.verdict() == ("total", 0.02)
    asyncio.get_running_loop().call_soon(interruption.stop, ENOUGH)
    with pytest.raises(StreamCancelled):
        await interruption.sleep(60)


async def test_after_its_release_nothing_is_interrupted(interruption: Interruption) -> None:
    interruption.deadline.wait("connect", 0.01)
    interruption.release()
    interruption.stop(ENOUGH)
    await asyncio.sleep(0.03)
    assert interruption.deadline.expired is None
    assert cancels() == 0
