"""``lm-deluge run``: many prompts against one or several models."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import click
from attrs import define, field

from lm_deluge import APIResponse, LLMClient, Stream
from lm_deluge.cli.command import Command, Finite, Whole
from lm_deluge.cli.earlier import Earlier, from_log, from_results, job_of, params_of
from lm_deluge.cli.files import OutputFile, distinct
from lm_deluge.cli.options import (
    DEFAULT_MODEL,
    dialect_option,
    log_option,
    make_log,
    make_recorder,
    record_option,
)
from lm_deluge.cli.progress import Counts, RunProgress
from lm_deluge.cli.prompts import FORMATS, JOB, PromptFile, PromptLine, format_of, opened
from lm_deluge.cli.results import Results, row_of
from lm_deluge.cli.signals import heard
from lm_deluge.cli.terminal import FAILED, INTERRUPTED, OK, notice
from lm_deluge.cli.throttle import Taken, Throttle
from lm_deluge.cli.tokens import prompt_tokens
from lm_deluge.client.many import as_they_finish
from lm_deluge.config import EFFORTS
from lm_deluge.errors import AuthenticationError, StreamError

__all__ = ["run"]

#: Failures that are listed at the end, one a line; the file of results has all.
_LISTED: Final = 20


#: Differences of parameters that are named.
_NAMED: Final = 3


@click.command(
    cls=Command,
    epilog='PROMPTS: JSON Lines of {"prompt"} or {"messages"}, with "id", "tags", "tools", '
    '"tool_choice", "response_format" and "extra_body" if you like; '
    "CSV with a column prompt (id if you like, the others are tags); or text, a prompt a line. "
    "Exit codes: 0 every answer is whole, 1 some failed, 2 wrong usage or input, 130 interrupted, "
    "141 the output's pipe was closed.",
)
@click.argument(
    "prompts",
    metavar="PROMPTS",
    type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True),
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    default=(DEFAULT_MODEL,),
    show_default=True,
    envvar="LM_DELUGE_MODEL",
    show_envvar=True,
    metavar="NAME",
    help="Ask this model, as anthropic:NAME, gemini:NAME or NAME; given several times: each of them.",
)
@click.option(
    "--concurrency",
    type=Whole(min=1),
    default=16,
    show_default=True,
    metavar="N",
    help="Streams at a time, of all models together.",
)
@click.option("--rpm", type=Finite(min=0, min_open=True), metavar="N", help="Requests a minute.")
@click.option("--tpm", type=Finite(min=0, min_open=True), metavar="N", help="Tokens a minute.")
@log_option
@click.option(
    "--out",
    type=OutputFile("answers", dash=True),
    metavar="FILE",
    help="Append the answers to this file, as JSON Lines; without it they go to standard output.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Ask although the file holds answers under other parameters; nothing is removed.",
)
@record_option
@click.option("--format", "form", type=click.Choice(FORMATS), help="Of PROMPTS; by extension.")
@click.option("--system", metavar="TEXT", help="The system message, for every prompt.")
@click.option("--temperature", type=Finite(0, 2), metavar="NUMBER")
@click.option("--max-tokens", type=Whole(min=1), metavar="N", help="Of an answer.")
@click.option("--effort", type=click.Choice(EFFORTS), help="How hard a reasoning model thinks.")
@click.option("--json", "json_mode", is_flag=True, help="Ask for JSON objects.")
@click.option(
    "--base-url",
    metavar="URL",
    help="Where to ask.  [env var: OPENAI_BASE_URL; of anthropic: and gemini:, ANTHROPIC_BASE_URL "
    "and GOOGLE_GEMINI_BASE_URL]",
)
@dialect_option
@click.option("--quiet", is_flag=True, help="No progress, no summary; failures are listed.")
def run(
    prompts: str,
    models: tuple[str, ...],
    concurrency: int,
    rpm: float | None,
    tpm: float | None,
    log: Path | None,
    out: Path | None,
    again: bool,
    record: Path | None,
    form: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int | None,
    effort: str | None,
    json_mode: bool,
    base_url: str | None,
    dialect: str | None,
    quiet: bool,
) -> int:
    """Ask every prompt in the file PROMPTS ("-": standard input).

    The same command once more goes on where it stopped: what is complete in --out (without it, in
    --log) is not asked again. Ctrl-C starts no further stream and waits for those that run; a second
    one ends them at once.
    """
    _check_together(models, prompts, log=log, out=out, record=record, again=again)
    throttle = Throttle(rpm, tpm, max_tokens=max_tokens)
    handlers = [throttle, *make_log(log)]
    recorder = make_recorder(record)
    clients = {
        name: LLMClient(
            name,
            base_url=base_url,
            dialect=dialect,
            temperature=temperature,
            max_new_tokens=max_tokens,
            reasoning_effort=effort,  # type: ignore[arg-type]  # one of EFFORTS: click has checked
            json_mode=json_mode,
            printer=None,
            handlers=handlers,
            record=recorder,
        )
        for name in models
    }
    for client in clients.values():
        client.open_stream("?").cancel()  # a missing key or an unknown model is told before all
    with opened(prompts) as file:
        lines = PromptFile(file, prompts, format_of(prompts, form), system)
        job = _Run(
            clients=clients,
            lines=lines,
            earlier=from_results(out) if out else from_log(log) if log else Earlier(),
            kept=out or log,
            params={
                "system": system,
                "temperature": temperature,
                "max_new_tokens": max_tokens,
                "reasoning_effort": effort,
                "json_mode": json_mode,
            },
            throttle=throttle,
            out=out,
            concurrency=concurrency,
            again=again,
            quiet=quiet,
        )
        job.look_through()
        return asyncio.run(job.run())


def _check_together(
    models: tuple[str, ...],
    prompts: str,
    *,
    log: Path | None,
    out: Path | None,
    record: Path | None,
    again: bool,
) -> None:
    """Raise ``UsageError`` for options that would be without effect, or harm a file."""
    twice = next((name for name in models if models.count(name) > 1), None)
    if twice is not None:
        raise click.UsageError(f"--model {twice} is given twice; for two answers give two prompts")
    if again and out is None and log is None:
        raise click.UsageError("--again is about the answers in --out or --log: give one of them")
    distinct(
        {"--log": log, "--out": out, "--record": record},
        reads={} if prompts == "-" else {"the file of prompts": prompts},
        stdin=prompts == "-",
        stdout=out is None,
    )


@define(eq=False, kw_only=True)
class _Run:
    """One run of the command, from the check of the prompts to the summary.

    ``params``: what the command says of the answers, ``None`` where it says nothing. ``kept``: the
    file by which the same command goes on.
    """

    clients: dict[str, LLMClient]
    lines: PromptFile
    earlier: Earlier
    kept: Path | None
    params: dict[str, Any]
    throttle: Throttle
    out: Path | None
    concurrency: int
    again: bool
    quiet: bool
    _counts: Counts = field(factory=lambda: Counts(0), init=False)
    _asked: dict[int, tuple[PromptLine, str, str]] = field(factory=dict, init=False)
    _failures: list[str] = field(factory=list, init=False)
    _stopped: asyncio.Event = field(factory=asyncio.Event, init=False)
    _why: str | None = field(default=None, init=False)
    _task: asyncio.Task[Any] | None = field(default=None, init=False)

    def look_through(self) -> None:
        """Count what is to be asked; what makes no sense is told before anything is sent.

        Raises ``UsageError`` for a line that cannot be asked, for none at all, and, unless
        ``--again`` was given, where there are answers to the same prompts under other parameters.
        """
        differences: dict[str, None] = {}
        others = assumed = 0
        for line in self.lines:
            self._check(line)
            params = params_of(self.params, line)
            for model in self.clients:
                if self.earlier.has(line, model, params, again=self.again):
                    self._counts.skipped += 1
                    assumed += bool(params) and not self.earlier.has(
                        line, model, params, again=True
                    )
                    continue
                self._counts.total += 1
                found = self.earlier.differences(line, model, params)
                others += bool(found)
                if len(differences) < _NAMED:
                    differences |= dict.fromkeys(found)
        if not self._counts.total and not self._counts.skipped:
            raise click.UsageError("there are no prompts in the file")
        if others and not self.again:
            named = "; ".join(list(differences)[:_NAMED])
            raise click.UsageError(
                f"{self.kept} has answers to {others} of these under other parameters ({named}): "
                "with --again they are asked, too, and appended"
            )
        if self.earlier.unread:
            notice(
                f"lm-deluge: {self.kept} has {self.earlier.unread} lines that are no whole rows "
                f"of answers, the first is line {self.earlier.first}; they stay as they are"
            )
        if assumed:
            notice(
                f"lm-deluge: {assumed} answers in {self.kept} do not say their parameters; they are "
                "taken to be those of this command (--again asks them anew)"
            )

    def _check(self, line: PromptLine) -> None:
        """Let the client look at what only some lines have."""
        if not line.asked:
            return
        for client in self.clients.values():
            try:
                client.open_stream(line.messages, **line.asked).cancel()
            except (ValueError, TypeError) as error:
                raise self.lines.wrong(self.lines.number, str(error)) from None

    async def run(self) -> int:
        """Ask, show, write; return the exit code."""
        self._task = asyncio.current_task()
        progress = RunProgress(self._counts, quiet=self.quiet)
        try:
            results = Results(self.out, write=progress.write)
        except OSError as error:
            raise click.BadParameter(str(error), param_hint="'--out'") from None
        with contextlib.closing(results), self._interruptible(progress), progress:
            try:
                await self._ask(progress, results)
            except asyncio.CancelledError:
                if not self._stopped.is_set():
                    raise
        for client in self.clients.values():
            await client.close()
        progress.last()
        for failure in self._failures:
            progress.say(failure)
        if self._counts.failed > len(self._failures):
            progress.say(f"and {self._counts.failed - len(self._failures)} more")
        if self._why is not None:
            progress.say(f"stopped: {self._why}")
        ended = self._counts.ended == self._counts.total
        if self._stopped.is_set() and not ended:
            advice = "the same command again goes on from here"
            if self.kept is None:
                advice = "with --out FILE, the same command again could go on"
            progress.say(f"{self._counts.total - self._counts.ended} answers are missing: {advice}")
            return FAILED if self._why is not None else INTERRUPTED
        return FAILED if self._counts.failed or self._why is not None else OK

    async def _ask(self, progress: RunProgress, results: Results) -> None:
        outcomes = as_they_finish(self._openings(), concurrency=self.concurrency)
        async with contextlib.aclosing(outcomes):
            async for index, outcome in outcomes:
                line, model, base_url = self._asked.pop(index)
                self._count(line, model, outcome)
                params = params_of(self.params, line)
                await self._write(row_of(line, model, params, base_url, outcome), results, progress)
                progress.update()

    async def _write(self, row: dict[str, Any], results: Results, progress: RunProgress) -> None:
        """Write an answer; one that its file does not take is not lost, but it is the last."""
        try:
            await results.add(row)
        except OSError as error:
            if self.out is None:
                raise
            if not self._stopped.is_set():
                self._why = f"--out cannot be written, the answers go to standard output: {error}"
                self._stopped.set()
            await Results(None, write=progress.write).add(row)

    async def _openings(self) -> AsyncIterator[Callable[[], Stream]]:
        index = 0
        for line in self.lines:
            params = params_of(self.params, line)
            for model, client in self.clients.items():
                if self.earlier.has(line, model, params, again=self.again):
                    continue
                taken = await self._until_allowed(line)
                if self._stopped.is_set() or taken is None:
                    return
                tags = {**line.tags, JOB: job_of(line, params)}
                self._asked[index] = (line, model, "")
                yield self._opening(index, client, line, tags, taken)
                index += 1

    def _opening(
        self, index: int, client: LLMClient, line: PromptLine, tags: dict[str, Any], taken: Taken
    ) -> Callable[[], Stream]:
        def opening() -> Stream:
            stream = client.open_stream(line.messages, tags=tags, **line.asked)
            self.throttle.took(stream, taken)
            self._asked[index] = (line, client.model, stream.base_url)
            return stream

        return opening

    async def _until_allowed(self, line: PromptLine) -> Taken | None:
        """Wait for the limits and return what they are charged with; ``None`` after Ctrl-C."""
        tokens = prompt_tokens(line.messages) if self.throttle.counts_tokens else 0.0
        waiting = asyncio.ensure_future(self.throttle.wait(tokens))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((waiting, stopped), return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            waiting.cancel()
            stopped.cancel()

    def _count(self, line: PromptLine, model: str, outcome: APIResponse | StreamError) -> None:
        counts = self._counts
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
            self._why = f"nothing else would be answered: {outcome}"
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
