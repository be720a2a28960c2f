"""The run itself: streams started as there is room, rate and money for them, answers written."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Protocol

from attrs import define, field

from lm_deluge import APIResponse, Stream
from lm_deluge.cli.progress import Counts, RunProgress
from lm_deluge.cli.running.asked import JOB
from lm_deluge.cli.running.earlier import Params, job_of
from lm_deluge.cli.running.lines import PromptLine
from lm_deluge.cli.running.looking import Job, OpenQuestion
from lm_deluge.cli.running.money import CostBound, Estimate, estimate_of
from lm_deluge.cli.running.results import Results
from lm_deluge.cli.signals import heard
from lm_deluge.cli.terminal import FAILED, INTERRUPTED, OK
from lm_deluge.cli.throttle import Taken, Throttle
from lm_deluge.cli.tokens import prompt_tokens
from lm_deluge.client.many import as_they_finish
from lm_deluge.errors import AuthenticationError, StreamError

__all__ = ["Asking", "RowOf"]

#: Failures that are listed at the end, one a line; the file of results has all.
_LISTED: Final = 20


class RowOf(Protocol):
    """Makes the line of results of an answer, or of how it failed."""

    def __call__(
        self,
        line: PromptLine,
        model: str,
        params: Params,
        base_url: str,
        outcome: APIResponse | StreamError,
    ) -> dict[str, Any]:
        """Return an object that JSON can hold."""


@define(eq=False)
class _AskedNow:
    """A question that is asked. ``base_url``: where, once its stream is open."""

    work: OpenQuestion
    base_url: str = ""


@define(eq=False, kw_only=True)
class Asking:
    """One run, from its first request to its summary.

    ``most``: the most tokens of an answer, if the command says it. ``out``: the file of results.
    """

    job: Job
    row_of: RowOf
    budget: CostBound
    throttle: Throttle
    results: Callable[[RunProgress], Results]
    concurrency: int
    most: int | None
    quiet: bool
    _asked: dict[int, _AskedNow] = field(factory=dict, init=False)
    _later: deque[OpenQuestion] = field(factory=deque, init=False)
    _failures: list[str] = field(factory=list, init=False)
    _stopped: asyncio.Event = field(factory=asyncio.Event, init=False)
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)
    _why: str | None = field(default=None, init=False)
    _advice: str | None = field(default=None, init=False)
    _task: asyncio.Task[Any] | None = field(default=None, init=False)

    @property
    def counts(self) -> Counts:
        """How far it is."""
        return self.job.counts

    async def run(self) -> int:
        """Ask, show, write; return the exit code."""
        self._task = asyncio.current_task()
        progress = RunProgress(self.counts, quiet=self.quiet)
        results = self.results(progress)
        with contextlib.closing(results), self._interruptible(progress), progress:
            try:
                await self._ask(progress, results)
            except asyncio.CancelledError:
                if not self._stopped.is_set():
                    raise
        for target in self.job.targets.known():
            await target.client.close()
        return self._summary(progress)

    def _summary(self, progress: RunProgress) -> int:
        counts = self.counts
        progress.last()
        for failure in self._failures:
            progress.say(failure)
        if counts.failed > len(self._failures):
            progress.say(f"and {counts.failed - len(self._failures)} more")
        if self._why is not None:
            progress.say(f"stopped: {self._why}")
        if self._stopped.is_set() and counts.ended != counts.total:
            advice = self._advice or "the same command again goes on from here"
            if self.job.earlier.path is None:
                advice = "with --out FILE, the same command again could go on"
            progress.say(f"{counts.total - counts.ended} answers are missing: {advice}")
            return FAILED if self._why is not None else INTERRUPTED
        return FAILED if counts.failed or self._why is not None else OK

    async def _ask(self, progress: RunProgress, results: Results) -> None:
        outcomes = as_they_finish(self._openings(), concurrency=self.concurrency)
        async with contextlib.aclosing(outcomes):
            async for index, outcome in outcomes:
                running = self._asked[index]
                work = running.work
                self.budget.ended(index, work.target, outcome)
                self._count(work, outcome)
                row = self.row_of(
                    work.line, work.target.name, work.params, running.base_url, outcome
                )
                await self._write(row, results, progress)
                self._go_on(work, outcome)
                # Only now: as long as it is among them, a further turn may come.
                del self._asked[index]
                self._changed.set()
                progress.update()

    def _go_on(self, work: OpenQuestion, outcome: APIResponse | StreamError) -> None:
        """Have the next turn of a conversation asked; one that failed cannot go on."""
        if not work.line.turns:
            return
        if isinstance(outcome, APIResponse):
            line = work.line.after(outcome.content.to_openai())
            self._later.append(OpenQuestion(line, work.target, work.params))
            return
        left = len(work.line.turns)
        self.counts.failed += left
        if len(self._failures) < _LISTED:
            told = (
                "the turn that follows was" if left == 1 else f"the {left} turns that follow were"
            )
            self._failures.append(f"{work.line.id} {work.target.name}: {told} not asked")

    async def _write(self, row: dict[str, Any], results: Results, progress: RunProgress) -> None:
        """Write an answer; one that its file does not take is not lost, but it is the last."""
        try:
            await results.add(row)
        except OSError as error:
            if results.path is None:
                raise
            self._stop(f"--out cannot be written, the answers go to standard output: {error}")
            await Results(None, write=progress.write).add(row)

    def _stop(self, why: str, advice: str | None = None) -> None:
        """Start no further stream."""
        if not self._stopped.is_set():
            self._why, self._advice = why, advice
            self._stopped.set()
            self._changed.set()

    async def _openings(self) -> AsyncIterator[Callable[[], Stream]]:
        works = self.job.works()
        index = 0
        while (work := await self._next(works)) is not None:
            estimate = estimate_of(work.line, work.target, self.most)
            taken = await self._until_allowed(work.line, estimate)
            if taken is None:
                return
            self._asked[index] = _AskedNow(work)
            self.budget.started(index, estimate)
            yield self._opening(index, work, taken)
            index += 1

    async def _next(self, works: Iterator[OpenQuestion]) -> OpenQuestion | None:
        """Return what is to be asked next: turns that follow first, so that conversations end."""
        while True:
            self._changed.clear()
            if self._later:
                return self._later.popleft()
            if (work := next(works, None)) is not None:
                return work
            talking = any(running.work.line.turns for running in self._asked.values())
            if not talking or self._stopped.is_set():
                return None
            await self._changed.wait()

    def _opening(self, index: int, work: OpenQuestion, taken: Taken) -> Callable[[], Stream]:
        line = work.line
        tags = {**line.tags, JOB: job_of(line, work.params)}

        def opening() -> Stream:
            stream = work.target.open(line, tags=tags)
            self.throttle.took(stream, taken)
            self._asked[index].base_url = stream.base_url
            return stream

        return opening

    async def _until_allowed(self, line: PromptLine, estimate: Estimate) -> Taken | None:
        """Wait for room in the limits; return what they are charged with, ``None`` to start no more."""
        while not self._stopped.is_set() and not self.budget.has_room(estimate):
            if self.budget.is_spent:
                spent, limit = self.budget.spent, self.budget.limit
                self._stop(
                    f"${spent:.4f} of --max-cost {limit:g} are spent",
                    "the same command with a higher --max-cost goes on from here",
                )
                return None
            self._changed.clear()
            await self._changed.wait()
        tokens = prompt_tokens(line.messages) if self.throttle.counts_tokens else 0.0
        waiting = asyncio.ensure_future(self.throttle.wait(tokens))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((waiting, stopped), return_when=asyncio.FIRST_COMPLETED)
            if self._stopped.is_set() or not waiting.done():
                return None
            return waiting.result()
        finally:
            waiting.cancel()
            stopped.cancel()

    def _count(self, work: OpenQuestion, outcome: APIResponse | StreamError) -> None:
        counts = self.counts
        if isinstance(outcome, APIResponse):
            counts.done += 1
            if outcome.usage is not None and outcome.usage.output_tokens is not None:
                counts.tokens += outcome.usage.output_tokens
            if outcome.cost is not None:
                counts.cost = (counts.cost or 0.0) + outcome.cost
            return
        counts.failed += 1
        if len(self._failures) < _LISTED:
            text = " ".join(str(outcome).split())
            self._failures.append(
                f"{work.line.id} {work.target.name}: {type(outcome).__name__}: {text}"
            )
        if isinstance(outcome, AuthenticationError):
            self._stop(f"nothing else would be answered: {outcome}")

    @contextlib.contextmanager
    def _interruptible(self, progress: RunProgress) -> Iterator[None]:
        """Ctrl-C: no further streams; again: none at all; once more: what Python makes of it."""

        def interrupt() -> None:
            assert self._task is not None
            if self._stopped.is_set():
                listening.close()
                self._task.cancel()
            else:
                self._stopped.set()
                self._changed.set()
                running = len(self._asked)
                progress.say(f"waiting for {running} running answers; Ctrl-C again ends them")

        with contextlib.ExitStack() as listening:
            listening.enter_context(heard(signal.SIGINT, interrupt))
            yield
