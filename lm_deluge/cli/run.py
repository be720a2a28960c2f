"""``lm-deluge run``: many prompts against one or several models."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

import click
from attrs import define, field

from lm_deluge import APIResponse, LLMClient, Stream
from lm_deluge.cli.options import make_log, make_recorder
from lm_deluge.cli.progress import Counts, RunProgress
from lm_deluge.cli.prompts import FORMATS, JOB, PromptFile, PromptLine, format_of
from lm_deluge.cli.results import Key, Results, complete_in_log, complete_in_results, key_of
from lm_deluge.cli.signals import heard
from lm_deluge.cli.terminal import FAILED, INTERRUPTED, OK
from lm_deluge.cli.throttle import Throttle
from lm_deluge.config import EFFORTS
from lm_deluge.errors import AuthenticationError, StreamError
from lm_deluge.many import as_they_finish

__all__ = ["run"]

#: Failures that are listed at the end, one a line; the file of results has all.
_LISTED: Final = 20


@click.command(
    epilog='PROMPTS: JSON Lines of {"prompt"} or {"messages"}, with "id" and "tags" if you like; '
    "CSV with a column prompt (id if you like, the others are tags); or text, a prompt a line. "
    "Exit codes: 0 every answer is whole, 1 some failed, 2 wrong usage or input, 130 interrupted."
)
@click.argument("prompts", metavar="PROMPTS")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    default=("gpt-4o-mini",),
    show_default="gpt-4o-mini",
    metavar="NAME",
    help="Ask this model; given several times: each of them.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    metavar="N",
    help="Streams at a time, of all models together.",
)
@click.option("--rpm", type=click.FloatRange(min=0, min_open=True), help="Requests a minute.")
@click.option("--tpm", type=click.FloatRange(min=0, min_open=True), help="Tokens a minute.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append the timelines to this file (see lm-deluge report).",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append the answers to this file, as JSON Lines.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append the raw bytes to this file (see lm-deluge simulate --replay).",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Of PROMPTS; by extension.")
@click.option("--system", metavar="TEXT", help="The system message, for every prompt.")
@click.option("--temperature", type=click.FloatRange(0, 2), metavar="NUMBER")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Of an answer.")
@click.option("--effort", type=click.Choice(EFFORTS), help="How hard a reasoning model thinks.")
@click.option("--base-url", metavar="URL", help="An OpenAI-compatible server.")
@click.option("--quiet", is_flag=True, help="No progress, no summary; failures are listed.")
def run(
    prompts: str,
    models: tuple[str, ...],
    concurrency: int,
    rpm: float | None,
    tpm: float | None,
    log: Path | None,
    out: Path | None,
    record: Path | None,
    form: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int | None,
    effort: str | None,
    base_url: str | None,
    quiet: bool,
) -> int:
    """Ask every prompt in the file PROMPTS ("-": standard input).

    The same command once more goes on where it stopped: what is complete in --out (without it, in
    --log) is not asked again. Ctrl-C starts no further stream and waits for those that run; a second
    one ends them at once.
    """
    if log is not None and out is not None and log.resolve() == out.resolve():
        raise click.UsageError("--log and --out are the same file")
    throttle = Throttle(rpm, tpm, max_tokens=max_tokens)
    handlers = [throttle, *make_log(log)]
    recorder = make_recorder(record)
    clients = {
        name: LLMClient(
            name,
            base_url=base_url,
            temperature=temperature,
            max_new_tokens=max_tokens,
            reasoning_effort=effort,  # type: ignore[arg-type]  # one of EFFORTS: click has checked
            printer=None,
            handlers=handlers,
            record=recorder,
        )
        for name in dict.fromkeys(models)
    }
    for client in clients.values():
        client.open_stream("?").cancel()  # a missing key or an unknown model is told before all
    with _opened(prompts) as file:
        lines = PromptFile(file, prompts, format_of(prompts, form), system)
        known = complete_in_results(out) if out else complete_in_log(log) if log else set()
        counts = Counts(0)
        for line in lines:  # a line that makes no sense is told before anything is sent
            for name in clients:
                if key_of(line, name) in known:
                    counts.skipped += 1
                else:
                    counts.total += 1
        try:
            results = Results(out) if out is not None else None
        except OSError as error:
            raise click.BadParameter(str(error), param_hint="'--out'") from None
        job = _Run(clients, lines, known, counts, throttle, results, concurrency, quiet=quiet)
        try:
            return asyncio.run(job.run(can_resume=out is not None or log is not None))
        finally:
            if results is not None:
                results.close()


def _opened(name: str) -> IO[bytes]:
    """Open the prompts so that they can be read twice; standard input is copied to the disk."""
    try:
        if name != "-":
            return Path(name).open("rb")
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        shutil.copyfileobj(sys.stdin.buffer, copy)
        return copy
    except OSError as error:
        raise click.UsageError(f"cannot read the prompts: {error}") from None


@define(eq=False)
class _Run:
    """One run of the command, from the first stream to the summary."""

    clients: dict[str, LLMClient]
    lines: PromptFile
    known: set[Key]
    counts: Counts
    throttle: Throttle
    results: Results | None
    concurrency: int
    quiet: bool = field(kw_only=True)
    _asked: dict[int, tuple[PromptLine, str]] = field(factory=dict)
    _failures: list[str] = field(factory=list)
    _stopped: asyncio.Event = field(factory=asyncio.Event)
    _refused: str | None = None
    _task: asyncio.Task[Any] | None = None

    async def run(self, *, can_resume: bool) -> int:
        """Ask, show, write; return the exit code."""
        self._task = asyncio.current_task()
        progress = RunProgress(self.counts, quiet=self.quiet)
        with self._interruptible(progress), progress:
            try:
                await self._ask(progress)
            except asyncio.CancelledError:
                if not self._stopped.is_set():
                    raise
        for client in self.clients.values():
            await client.close()
        progress.last()
        for failure in self._failures:
            progress.say(failure)
        if self.counts.failed > len(self._failures):
            progress.say(f"and {self.counts.failed - len(self._failures)} more")
        if self._refused is not None:
            progress.say(f"stopped, since nothing else would be answered: {self._refused}")
        ended = self.counts.ended == self.counts.total
        if self._stopped.is_set() and not ended:
            advice = "the same command again goes on from here"
            if not can_resume:
                advice = "nothing was kept; with --out FILE, the same command again could go on"
            progress.say(f"{self.counts.total - self.counts.ended} answers are missing: {advice}")
            return FAILED if self._refused is not None else INTERRUPTED
        return FAILED if self.counts.failed else OK

    async def _ask(self, progress: RunProgress) -> None:
        outcomes = as_they_finish(self._openings(), concurrency=self.concurrency)
        async with contextlib.aclosing(outcomes):
            async for index, outcome in outcomes:
                line, model = self._asked.pop(index)
                self._count(line, model, outcome)
                if self.results is not None:
                    await self.results.add(line, model, outcome)
                progress.update()

    async def _openings(self) -> AsyncIterator[Callable[[], Stream]]:
        index = 0
        for line in self.lines:
            for model, client in self.clients.items():
                if key_of(line, model) in self.known:
                    continue
                await self._until_allowed(line)
                if self._stopped.is_set():
                    return
                self._asked[index] = (line, model)
                index += 1
                yield _opening(client, line)

    async def _until_allowed(self, line: PromptLine) -> None:
        """Wait for the limits; not after Ctrl-C."""
        characters = sum(len(str(message.get("content") or "")) for message in line.messages)
        waiting = asyncio.ensure_future(self.throttle.wait(characters))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((waiting, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            stopped.cancel()

    def _count(self, line: PromptLine, model: str, outcome: APIResponse | StreamError) -> None:
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
            self._failures.append(f"{line.id} {model}: {type(outcome).__name__}: {text}")
        if isinstance(outcome, AuthenticationError):
            self._refused = str(outcome)
            self._stopped.set()

    @contextlib.contextmanager
    def _interruptible(self, progress: RunProgress) -> Any:
        """Ctrl-C: no further streams; again: none at all; once more: what Python makes of it."""

        def interrupt() -> None:
            assert self._task is not None
            if self._stopped.is_set():
                listening.close()
                self._task.cancel()
            else:
                self._stopped.set()
                running = len(self._asked)
                progress.say(f"waiting for {running} running answers; Ctrl-C again ends them")

        with contextlib.ExitStack() as listening:
            listening.enter_context(heard(signal.SIGINT, interrupt))
            yield


def _opening(client: LLMClient, line: PromptLine) -> Callable[[], Stream]:
    tags = {**line.tags, JOB: {"id": line.id, "prompt": line.digest}}
    messages: Sequence[dict[str, Any]] = line.messages
    return lambda: client.open_stream(messages, tags=tags)
