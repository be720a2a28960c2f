"""The attempts of one stream: a model is asked, again where that may help, and then its fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve

from lm_deluge.engine.attempt import Attempt
from lm_deluge.engine.deadline import Clock
from lm_deluge.engine.interruption import Interruption, out_of_time
from lm_deluge.engine.logging_lines import DEBUG, INFO, is_enabled_for, log_request, log_retry
from lm_deluge.engine.plan import ModelRequest, Plan
from lm_deluge.engine.retrying import falls_back, retry_delay
from lm_deluge.errors import APIStatusError, APITimeoutError, ProviderError, StreamError
from lm_deluge.observers.dispatch import Dispatcher
from lm_deluge.observers.retry import Retry
from lm_deluge.signals import on_retry
from lm_deluge.values.response import FailedAttempt

__all__ = ["Attempts"]


class Attempts:
    """One after the other, until one answers.

    ``current``: the one at hand; the first is there from the start, so that what was received can be
    asked for. ``number``: its 1-based number, 0 before the first is sent. ``failed``: those before it, as
    a response tells of them; ``errors``: the same, as exceptions.
    """

    __slots__ = (
        "_clock",
        "_dispatcher",
        "_interruption",
        "_plan",
        "_stream_id",
        "current",
        "errors",
        "failed",
        "number",
    )

    def __init__(
        self,
        plan: Plan,
        *,
        stream_id: str,
        dispatcher: Dispatcher,
        interruption: Interruption,
        clock: Clock,
    ) -> None:
        self._plan: Final = plan
        self._stream_id: Final = stream_id
        self._dispatcher: Final = dispatcher
        self._interruption: Final = interruption
        self._clock: Final = clock
        self.number = 0
        self.failed: list[FailedAttempt] = []
        self.errors: list[StreamError] = []
        self.current = self._new(plan.targets[0])

    async def run(self, bind: Callable[[StreamError], None]) -> None:
        """Return when ``current`` has a whole answer; raise the ``StreamError`` of the last attempt.

        ``bind`` gives an error all it tells of the stream, before anybody hears of the retry.
        """
        plan = self._plan
        for target, following in zip(plan.targets, (*plan.targets[1:], None), strict=True):
            failures = 0
            again: ModelRequest | None = target
            while again is target:
                if self._interruption.stopped is not None:
                    raise self._interruption.stopped
                if self.number > 0:
                    self.current = self._new(target)
                self.number += 1
                if is_enabled_for(DEBUG):
                    log_request(self._stream_id, target, self.number)
                try:
                    await self.current.run(plan.transport)
                    return
                except StreamError as error:
                    failures += 1
                    failure = error
                if self.current.answer.has_output or failure is self._interruption.stopped:
                    raise failure
                verdict = _verdict(target, failure)
                delay = retry_delay(plan.policy, failure, failures, verdict=verdict)
                without = None if target.instead is None else target.instead(failure)
                if without is not None:
                    target = again = evolve(target, request=without, instead=None)
                    delay = 0.0
                elif delay is None:
                    if following is None or not falls_back(plan.policy, failure, verdict=verdict):
                        raise failure
                    again = following
                bind(failure)
                await self._retry(failure, delay or 0.0, again)
        raise AssertionError("unreachable: the last target answers or raises")

    def _new(self, target: ModelRequest) -> Attempt:
        return Attempt(
            target,
            stream_id=self._stream_id,
            limits=self._plan.limits,
            dispatcher=self._dispatcher,
            interruption=self._interruption,
            clock=self._clock,
        )

    async def _retry(self, error: StreamError, delay: float, target: ModelRequest) -> None:
        """Tell the observers, then wait. Raises ``APITimeoutError`` if ``Timeouts.total`` forbids it."""
        self.errors.append(error)
        deadline = self._interruption.deadline
        failed = FailedAttempt(
            model=self.current.target.info.name,
            error=type(error).__name__,
            message=str(error),
            delay=delay,
        )
        if deadline.total_left <= delay:
            self.failed.append(evolve(failed, delay=0.0))
            raise self._no_time_left(error, delay)
        self.failed.append(failed)
        retry = Retry(error, self.number, delay, target.info.name)
        if is_enabled_for(INFO):
            log_retry(self._stream_id, failed.model, retry)
        self._dispatcher.emit(on_retry, retry)
        self._interruption.check()
        await self._interruption.sleep(delay)
        if deadline.total_left <= 0:
            raise self._no_time_left(error, delay)

    def _no_time_left(self, error: StreamError, delay: float) -> APITimeoutError:
        """Return the error for a retry that was due and has no time: what failed last is its cause."""
        self.current.decided = self._clock()
        failure = out_of_time(
            "total",
            self._interruption.deadline.total,
            f": attempt {self.number} failed ({type(error).__name__}), and the next one was due "
            f"{delay:.3g} s later",
        )
        failure.__cause__ = error
        return failure


def _verdict(target: ModelRequest, error: StreamError) -> bool | None:
    """Return what the dialect says of an error that its server reported."""
    if isinstance(error, (APIStatusError, ProviderError)):
        return target.dialect.is_passing(error)
    return None
