"""The attempts of one stream: a model is asked, again where that may help, and then its fallbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import evolve

from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.engine.attempt import Attempt
from lm_deluge.engine.deadline import Clock
from lm_deluge.engine.interruption import Interruption, out_of_time
from lm_deluge.engine.logging_lines import DEBUG, INFO, is_enabled_for, log_request, log_retry
from lm_deluge.engine.plan import ModelRequest, Plan
from lm_deluge.engine.retrying import falls_back, retry_delay
from lm_deluge.errors import (
    APIStatusError,
    APITimeoutError,
    ProtocolError,
    ProviderError,
    StreamError,
)
from lm_deluge.observers.dispatch import Dispatcher
from lm_deluge.observers.retry import Retry
from lm_deluge.signals import on_retry
from lm_deluge.values.response import FailedAttempt

if TYPE_CHECKING:
    from lm_deluge.engine.resuming import Resumption

__all__ = ["Attempts"]


class Attempts:
    """One after the other, until one answers.

    ``current``: the one at hand; the first is there from the start, so that what was received can be
    asked for. ``number``: its 1-based number, 0 before the first is sent. ``failed``: those before it, as
    a response tells of them; ``errors``: the same, as exceptions. ``called_off``: what tells the servers
    of answers that nobody hears any more.
    """

    __slots__ = (
        "_clock",
        "_dispatcher",
        "_interruption",
        "_lost",
        "_place",
        "_plan",
        "_replaced",
        "_resumes",
        "_stream_id",
        "called_off",
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
        # Whether the next attempt goes on with the answer of this one, what it was lost by, and from
        # where the one at hand went on.
        self._resumes = False
        self._lost: StreamError | None = None
        self._place: tuple[str, int] | None = None
        # The answer that was called off last.
        self._replaced: AnswerReader | None = None
        self.called_off: list[asyncio.Task[None]] = []
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
                    self.current = self._resumed(target) if self._resumes else self._new(target)
                self.number += 1
                if is_enabled_for(DEBUG):
                    log_request(self._stream_id, target, self.number)
                try:
                    await self.current.run(plan.transport)
                    return
                except StreamError as error:
                    failures += 1
                    failure = error
                failure, again, delay = self._after(target, following, failure, failures)
                if again is None:
                    self.current.let_go()
                    raise failure
                if again is not following:
                    target = again
                bind(failure)
                await self._retry(failure, delay, again)
        raise AssertionError("unreachable: the last target answers or raises")

    def _after(
        self,
        target: ModelRequest,
        following: ModelRequest | None,
        error: StreamError,
        failures: int,
    ) -> tuple[StreamError, ModelRequest | None, float]:
        """Return what the attempt failed with, who is asked next, and in how many seconds.

        ``following``: the next fallback. ``None``: nobody is.
        """
        if error is self._interruption.stopped:
            return error, None, 0.0
        refused: StreamError | None = None
        if target.resumption is not None:
            pause, lost = self._going_on(target.resumption, error, failures)
            self._resumes = pause is not None
            if pause is not None:
                return error, target, pause
            if lost is not None:
                refused, error = error, lost
        again, delay = self._from_anew(target, following, error, failures)
        if refused is None:
            return error, again, delay
        if again is not None:
            # What broke the answer was told when the rest was asked for.
            return refused, again, delay
        error.add_note(f"it could not be resumed: {type(refused).__name__}: {refused}")
        self.failed.append(self._failed(refused, 0.0))
        return error, None, 0.0

    def _from_anew(
        self,
        target: ModelRequest,
        following: ModelRequest | None,
        error: StreamError,
        failures: int,
    ) -> tuple[ModelRequest | None, float]:
        """Return who is asked for another answer, and in how many seconds; arguments as in ``_after``."""
        if self.current.answer.has_output:
            return None, 0.0
        policy, verdict = self._plan.policy, _verdict(target, error)
        if target.without and (less := _asked_without(target, error)) is not None:
            return less, 0.0
        delay = retry_delay(policy, error, failures, verdict=verdict)
        if delay is not None:
            return target, delay
        falls = following is not None and falls_back(policy, error, verdict=verdict)
        return following if falls else None, 0.0

    def _new(self, target: ModelRequest, answer: AnswerReader | None = None) -> Attempt:
        return Attempt(
            target,
            stream_id=self._stream_id,
            limits=self._plan.limits,
            dispatcher=self._dispatcher,
            interruption=self._interruption,
            clock=self._clock,
            answer=answer,
        )

    def _going_on(
        self, resumption: Resumption, error: StreamError, failures: int
    ) -> tuple[float | None, StreamError | None]:
        """Return seconds until the answer is taken up again, ``None`` if it is not, and what broke it.

        The latter where ``error`` only refuses to go on with it, and so decides nothing.
        """
        from lm_deluge.engine.resuming import is_loss, is_resumable, only_refuses, resumption_delay

        answer = self.current.answer
        assert is_resumable(answer)
        if is_loss(error):
            self._lost = error
        if answer.place is not None and answer.known_at is not None:
            moved = answer.place != self._place
            delay = resumption_delay(self._plan.policy, error, failures, moved=moved)
            late = self._clock() + (delay or 0.0) - answer.known_at > resumption.within
            if delay is not None and not late:
                return delay, None
        lost, self._lost = self._lost, None
        # An error inside of the answer is one of the answer, whatever its class.
        is_its_own = answer.error is not None and not isinstance(error, ProtocolError)
        if lost is None or is_its_own or not only_refuses(error):
            return None, None
        return None, lost

    async def call_off(self, ending: object) -> None:
        """Have the server end what nobody hears any more, where the answer is made whoever listens."""
        from lm_deluge.engine.resuming import is_called_off

        if is_called_off(ending):
            self._replace()
        if self.called_off:
            await asyncio.wait(self.called_off)

    def _replace(self) -> None:
        """Begin to have the server end the current answer: nobody will hear the rest of it."""
        from lm_deluge.engine.resuming import cancel_upstream, is_made_on

        answer, resumption = self.current.answer, self.current.target.resumption
        if resumption is None or answer is self._replaced or not is_made_on(answer):
            return
        self._replaced = answer
        ending = cancel_upstream(answer, resumption, self._plan.transport)
        self.called_off.append(asyncio.create_task(ending))

    def _resumed(self, target: ModelRequest) -> Attempt:
        """Return the attempt that goes on with the answer of the current one."""
        from lm_deluge.engine.resuming import is_resumable

        answer = self.current.answer
        assert is_resumable(answer)
        assert answer.place is not None
        assert target.resumption is not None
        self._place = answer.place
        answer.resume()
        return self._new(evolve(target, request=target.resumption.again(*answer.place)), answer)

    def _failed(self, error: StreamError, delay: float) -> FailedAttempt:
        return FailedAttempt(
            model=self.current.target.info.name,
            error=type(error).__name__,
            message=str(error),
            delay=delay,
        )

    async def _retry(self, error: StreamError, delay: float, target: ModelRequest) -> None:
        """Tell the observers, then wait. Raises ``APITimeoutError`` if ``Timeouts.total`` forbids it."""
        self.errors.append(error)
        deadline = self._interruption.deadline
        failed = self._failed(error, delay)
        if deadline.total_left <= delay:
            self.failed.append(evolve(failed, delay=0.0))
            raise self._no_time_left(error, delay)
        self.failed.append(failed)
        retry = Retry(error, self.number, delay, target.info.name, self._resumes)
        if is_enabled_for(INFO):
            log_retry(self._stream_id, failed.model, retry)
        self._dispatcher.emit(on_retry, retry)
        self._interruption.check()
        if not self._resumes and self.current.target.resumption is not None:
            self._replace()
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


def _asked_without(target: ModelRequest, error: StreamError) -> ModelRequest | None:
    """Return the request without what an error refuses, ``None`` if it refuses nothing of the kind."""
    assert target.ask is not None
    assert target.write is not None
    for at, without in enumerate(target.without):
        ask = without(error, target.ask)
        if ask is not None:
            left = (*target.without[:at], *target.without[at + 1 :])
            return evolve(target, request=target.write(ask), ask=ask, without=left)
    return None


def _verdict(target: ModelRequest, error: StreamError) -> bool | None:
    """Return what the dialect says of an error that its server reported."""
    if isinstance(error, (APIStatusError, ProviderError)):
        return target.dialect.is_passing(error)
    return None
