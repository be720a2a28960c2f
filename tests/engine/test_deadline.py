"""One lazy timer for all limits, on a loop whose clock the test moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lm_deluge.engine.deadline import Deadline


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Time stands still until ``advance``; ``armed`` counts the timers ever set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.armed = 0
        self._timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self.armed += 1
        self._timers.append(Timer(when, callback))
        return self._timers[-1]

    def call_soon(self, callback: Callable[..., None], *args: object) -> Timer:
        self._timers.append(Timer(self.now, lambda: callback(*args)))
        return self._timers[-1]

    @property
    def pending(self) -> list[Timer]:
        return [timer for timer in self._timers if not timer.cancelled]

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.pending if timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self._timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.callback()
        self.now = end


class Case:
    def __init__(self) -> None:
        self.loop = Loop()
        self.interruptions = 0
        loop: Any = self.loop
        self.deadline = Deadline(loop, self._interrupt)

    def _interrupt(self) -> None:
        self.interruptions += 1

    @property
    def seen(self) -> tuple[int, tuple[str, float] | None]:
        return self.interruptions, self.deadline.expired


@pytest.fixture
def case() -> Case:
    return Case()


def test_a_limit_that_passes_interrupts_once_and_is_named(case: Case) -> None:
    case.deadline.wait("first_token", 2.0)
    case.loop.advance(1.9)
    assert case.seen == (0, None)
    case.loop.advance(0.2)
    assert case.seen == (1, ("first_token", 2.0))
    case.loop.advance(100)
    assert case.interruptions == 1


def test_moving_a_limit_away_sets_no_further_timer(case: Case) -> None:
    for _ in range(1000):
        case.deadline.wait("between_tokens", 5.0)
        case.loop.advance(0.001)
    assert case.loop.armed == 1
    case.loop.advance(4.9)
    assert case.seen == (0, None)
    case.loop.advance(0.2)
    assert case.seen == (1, ("between_tokens", 5.0))


def test_a_shorter_limit_counts_at_once(case: Case) -> None:
    case.deadline.wait("first_token", 60.0)
    case.loop.advance(1)
    case.deadline.wait("tail", 0.5)
    case.loop.advance(0.6)
    assert case.seen == (1, ("tail", 0.5))
    assert case.deadline.phase == "tail"


def test_no_limit_is_waited_for_as_long_as_it_takes(case: Case) -> None:
    case.deadline.wait("first_token", 1.0)
    case.deadline.wait("between_tokens", None)
    case.loop.advance(1e6)
    assert case.seen == (0, None)
    assert case.loop.pending == []
    case.deadline.wait("tail", 1.0)
    case.loop.advance(1.1)
    assert case.seen == (1, ("tail", 1.0))


def test_the_total_limit_holds_whatever_is_waited_for(case: Case) -> None:
    case.deadline.start_total(10.0)
    for _ in range(30):
        case.deadline.wait("between_tokens", 1.0)
        case.loop.advance(0.4)
        if case.interruptions:
            break
    assert case.seen == (1, ("total", 10.0))
    assert case.loop.now == pytest.approx(110.0, abs=0.5)


def test_the_total_limit_wins_over_another_that_passes_with_it(case: Case) -> None:
    case.deadline.start_total(1.0)
    case.deadline.wait("first_token", 1.0)
    case.loop.advance(1.0)
    assert case.seen == (1, ("total", 1.0))


def test_a_total_limit_that_comes_later_does_not_move_an_earlier_one_away(case: Case) -> None:
    case.deadline.wait("first_token", 1.0)
    case.deadline.start_total(10.0)
    case.loop.advance(1.1)
    assert case.seen == (1, ("first_token", 1.0))


@pytest.mark.parametrize("limit", [None, 50.0])
def test_the_total_limit_still_holds_after_another_went_off_too_late(
    case: Case, limit: float | None
) -> None:
    case.deadline.start_total(10.0)
    case.deadline.wait("first_token", 1.0)
    case.loop.advance(1.1)
    case.deadline.wait("between_tokens", limit)
    case.loop.advance(10)
    assert case.seen == (2, ("total", 10.0))


def test_no_total_limit_sets_no_timer(case: Case) -> None:
    case.deadline.start_total(None)
    assert case.loop.armed == 0


def test_a_closed_deadline_is_silent(case: Case) -> None:
    case.deadline.start_total(2.0)
    case.deadline.wait("first_token", 1.0)
    case.deadline.close()
    assert case.loop.pending == []
    case.loop.advance(100)
    assert case.seen == (0, None)
    case.deadline.close()


def test_a_timer_that_goes_off_a_little_early_sleeps_on(case: Case) -> None:
    case.deadline.wait("first_token", 1.0)
    (timer,) = case.loop.pending
    timer.cancel()
    case.loop.now += 0.999
    timer.callback()
    case.loop.advance(0)
    assert case.seen == (0, None)
    case.loop.advance(0.01)
    assert case.seen == (1, ("first_token", 1.0))


def test_each_wait_begins_with_nothing_left_over(case: Case) -> None:
    for phase in ("first_token", "tail", "first_token"):
        case.deadline.wait(phase, 1.0)
        assert case.deadline.expired is None
        assert case.deadline.verdict() is None
        case.loop.advance(1.1)
        assert case.deadline.verdict() == (phase, 1.0)
    assert case.interruptions == 3


def test_a_limit_that_passes_while_bytes_are_there_is_put_off_until_they_are_looked_at(
    case: Case,
) -> None:
    """As after a suspension: each turn of the loop brings a read, and then one that is output."""
    reads = iter(range(10))
    case.deadline.heard = lambda: next(reads, 10)
    case.deadline.wait("first_token", 1.0)
    case.loop.now += 500
    for _ in range(9):
        for timer in case.loop.pending:
            timer.cancel()
            timer.callback()
    assert case.seen == (0, None)
    case.deadline.since = case.loop.now  # progress
    case.loop.advance(0.9)
    assert case.seen == (0, None)
    case.loop.advance(0.2)
    assert case.seen == (1, ("first_token", 1.0))


def test_a_server_that_never_pauses_does_not_put_a_limit_off_for_ever(case: Case) -> None:
    class Never:
        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

    case.deadline.heard = Never
    case.deadline.wait("first_token", 1.0)
    case.loop.advance(1.0)
    assert case.seen == (1, ("first_token", 1.0))


def test_progress_that_is_seen_after_a_limit_passed_takes_it_back(case: Case) -> None:
    case.deadline.wait("between_tokens", 1.0)
    case.loop.advance(1.1)
    case.deadline.since = case.loop.now
    assert case.deadline.verdict() is None
    case.loop.advance(0.9)
    assert case.deadline.expired is None
    case.loop.advance(0.2)
    assert case.deadline.verdict() == ("between_tokens", 1.0)


def test_no_progress_takes_the_total_limit_back(case: Case) -> None:
    case.deadline.start_total(1.0)
    assert case.deadline.total_left == pytest.approx(1.0)
    case.deadline.wait("between_tokens", 10.0)
    case.loop.advance(1.1)
    case.deadline.since = case.loop.now
    assert case.deadline.verdict() == ("total", 1.0)
    assert case.deadline.total_left < 0


def test_a_wait_can_be_shortened_and_never_gets_longer_by_it(case: Case) -> None:
    case.deadline.wait("first_token", 5.0)
    case.loop.advance(1)
    case.deadline.wait_no_longer(10.0)
    case.loop.advance(3.9)
    assert case.seen == (0, None)
    case.loop.advance(0.2)
    assert case.interruptions == 1
    case.deadline.wait("first_token", None)
    case.deadline.wait_no_longer(2.0)
    case.loop.advance(2.1)
    assert case.interruptions == 2
