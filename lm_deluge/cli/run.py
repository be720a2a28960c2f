"""``lm-deluge run``: many prompts against one or several models."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from lm_deluge import LLMClient
from lm_deluge.cli.command import Command, Finite, Whole
from lm_deluge.cli.files import OutputFile, distinct, holding
from lm_deluge.cli.options import (
    DEFAULT_MODEL,
    dialect_option,
    log_option,
    make_log,
    make_recorder,
    record_option,
)
from lm_deluge.cli.progress import RunProgress
from lm_deluge.cli.running.asking import Asking, RowOf
from lm_deluge.cli.running.batch_results import batch_row_of
from lm_deluge.cli.running.earlier import Earlier, from_log, from_results
from lm_deluge.cli.running.formats import FORMATS, RowSource
from lm_deluge.cli.running.lines import Choosing, PromptFile, Wanted
from lm_deluge.cli.running.looking import Job
from lm_deluge.cli.running.money import CostBound
from lm_deluge.cli.running.packed import opened
from lm_deluge.cli.running.results import Results, row_of
from lm_deluge.cli.running.showing import show
from lm_deluge.cli.running.targets import AskedModels
from lm_deluge.cli.running.template import Template
from lm_deluge.cli.schemas import check_one_form, schema_file
from lm_deluge.cli.terminal import OK
from lm_deluge.cli.throttle import Throttle
from lm_deluge.config import EFFORTS
from lm_deluge.errors import AuthenticationError

__all__ = ["run"]

_ROWS: Final = "rows"
_BATCH: Final = "batch"


def _template(_: click.Context, __: click.Parameter, value: str | None) -> Template | None:
    """Return what was typed for ``--prompt``; raises ``click.BadParameter`` for what makes no sense."""
    if value is None:
        return None
    try:
        return Template.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _encoding(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return the name of an encoding that Python knows; raises ``click.BadParameter`` for others."""
    if value is None:
        return None
    try:
        "".encode(value)
        return codecs.lookup(value).name
    except (LookupError, ValueError, TypeError):
        message = f"{value!r} is no encoding of text, as utf-8, utf-16 or cp1252."
        raise click.BadParameter(message) from None


@click.command(
    cls=Command,
    epilog="PROMPTS: JSON Lines, JSON, CSV or TSV, Parquet, or text with a prompt a line; "
    "compressed or not. A line is asked by its prompt, messages, turns, input, or custom_id with body, "
    "or by --prompt. Its id, tags, tools, tool_choice, response_format and extra_body count, other "
    "columns are carried into the results. "
    "Exit codes: 0 every answer is whole, 1 some failed or --max-cost was reached, 2 wrong usage or "
    "input, 130 interrupted, 141 the output's pipe was closed.",
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
    help="Ask this model, as anthropic:NAME, gemini:NAME or NAME; given several times: each of them. "
    "Without it, lines of a batch are asked of their own models.",
)
@click.option(
    "--prompt",
    "template",
    callback=_template,
    metavar="TEXT",
    help="What to ask, with columns in it: '{question}\\nAnswer briefly.'; {{ is a brace, {a.b} what "
    "is in a column.",
)
@click.option("--id-by", metavar="COLUMN", help="The column that names a line, instead of id.")
@click.option(
    "--tag-by",
    multiple=True,
    metavar="COLUMN",
    help="Make this column a tag, by which a report can group; may be given several times.",
)
@click.option("--limit", type=Whole(min=1), metavar="N", help="Ask the first N lines only.")
@click.option("--sample", type=Whole(min=1), metavar="N", help="Ask N lines, taken at random.")
@click.option(
    "--seed", type=Whole(min=0), default=0, metavar="S", help="Another S takes other lines."
)
@click.option(
    "-n",
    "--samples",
    type=Whole(min=1),
    default=1,
    metavar="N",
    help="Ask each line N times; each answer is a row.",
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
@click.option(
    "--max-cost",
    type=Finite(min=0, min_open=True),
    metavar="USD",
    help="Start no further stream when this is spent, what is in --out included.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Send nothing: print what would be sent, and on stderr what it may cost. Needs no key.",
)
@log_option
@click.option(
    "--out",
    type=OutputFile("answers", dash=True, beside=("batch results",)),
    metavar="FILE",
    help="Append the answers to this file, as JSON Lines; without it they go to standard output.",
)
@click.option(
    "--out-format",
    type=click.Choice([_ROWS, _BATCH]),
    default=_ROWS,
    show_default=True,
    help="Rows, or results as the batch API writes them that PROMPTS is for.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Ask although the file holds answers under other parameters; nothing is removed.",
)
@record_option
@click.option("--format", "form", type=click.Choice(FORMATS), help="Of PROMPTS; by what is in it.")
@click.option("--encoding", callback=_encoding, metavar="NAME", help="Of PROMPTS, if not Unicode.")
@click.option("--system", metavar="TEXT", help="The system message, for every prompt.")
@click.option("--temperature", type=Finite(0, 2), metavar="NUMBER")
@click.option("--max-tokens", type=Whole(min=1), metavar="N", help="Of an answer.")
@click.option("--effort", type=click.Choice(EFFORTS), help="How hard a reasoning model thinks.")
@click.option("--json", "json_mode", is_flag=True, help="Ask for JSON objects.")
@click.option(
    "--schema",
    callback=schema_file,
    metavar="FILE",
    help="Ask for JSON that fits the JSON schema in this file: it is in a row's parsed; an answer that does "
    "not fit is a failure. A line's own response_format counts instead.",
)
@click.option(
    "--base-url",
    metavar="URL",
    help="Where to ask.  [env var: OPENAI_BASE_URL; of anthropic: and gemini:, ANTHROPIC_BASE_URL "
    "and GOOGLE_GEMINI_BASE_URL]",
)
@dialect_option
@click.option("--quiet", is_flag=True, help="No progress, no summary; failures are listed.")
def run(**options: Any) -> int:
    """Ask every prompt in the file PROMPTS ("-": standard input).

    The same command once more goes on where it stopped: what is complete in --out (without it, in
    --log) is not asked again. Ctrl-C starts no further stream and waits for those that run; a second
    one ends them at once.
    """
    _check_together(options)
    sampling = {
        "temperature": options["temperature"],
        "max_new_tokens": options["max_tokens"],
        "reasoning_effort": options["effort"],
        "json_mode": options["json_mode"],
    }
    throttle = Throttle(options["rpm"], options["tpm"], max_tokens=options["max_tokens"])
    targets = AskedModels(
        options["models"],
        chosen=_is_on_command_line("models"),
        dialect=options["dialect"],
        make=_maker(options, sampling, throttle),
        schema=options["schema"],
    )
    out, log = options["out"], options["log"]
    with opened(options["prompts"]) as file:
        template = options["template"]
        source = RowSource(
            file,
            options["prompts"],
            given=options["form"],
            encoding=options["encoding"],
            columns=[] if template is None else [_first_part(name) for name in template.columns],
        )
        job = Job(
            name=options["prompts"],
            lines=_prompt_file(source, options, sampling),
            targets=targets,
            earlier=from_results(out) if out else from_log(log) if log else Earlier(),
            given={"system": options["system"], "schema": options["schema"], **sampling},
            again=options["again"],
        )
        job.look_through()
        _check_prices(job, options["max_cost"])
        job.tell()
        if options["dry_run"]:
            show(job, options["max_tokens"])
            return OK
        asking = Asking(
            job=job,
            row_of=_row_maker(options["out_format"]),
            budget=CostBound(options["max_cost"], job.earlier.cost),
            throttle=throttle,
            results=_results(out),
            concurrency=options["concurrency"],
            most=options["max_tokens"],
            quiet=options["quiet"],
        )
        return asyncio.run(asking.run())


def _maker(
    options: dict[str, Any], sampling: dict[str, Any], throttle: Throttle
) -> Callable[[str, str | None], LLMClient]:
    """Return what makes a client of a model's name; nothing is written by that of a dry run."""
    dry = options["dry_run"]
    handlers = [throttle, *(() if dry else make_log(options["log"]))]
    recorder = None if dry else make_recorder(options["record"])

    def client(name: str, dialect: str | None, key: str | None = None) -> LLMClient:
        return LLMClient(
            name,
            base_url=options["base_url"],
            api_key=key,
            dialect=dialect,
            printer=None,
            handlers=handlers,
            record=recorder,
            **sampling,
        )

    def make(name: str, dialect: str | None) -> LLMClient:
        made = client(name, dialect)
        try:
            made.open_stream("?").cancel()
        except AuthenticationError:
            if not dry:
                raise
            return client(name, dialect, "dry-run")  # it is sent nowhere
        return made

    return make


def _prompt_file(
    source: RowSource, options: dict[str, Any], sampling: dict[str, Any]
) -> PromptFile:
    wanted = Wanted(
        system=options["system"],
        template=options["template"],
        id_by=options["id_by"],
        tag_by=options["tag_by"],
        samples=options["samples"],
        overridden=frozenset(
            name for name, value in sampling.items() if value is not None and value is not False
        ),
        all_tags=source.form == "csv",
    )
    return PromptFile(
        source, wanted, Choosing(options["limit"], options["sample"], options["seed"])
    )


def _first_part(column: str) -> str:
    return column.partition(".")[0]


def _row_maker(form: str) -> RowOf:
    if form == _ROWS:
        return row_of
    return lambda line, model, params, _, outcome: batch_row_of(line, model, params, outcome)


def _results(out: Path | None) -> Callable[[RunProgress], Results]:
    def make(progress: RunProgress) -> Results:
        try:
            return Results(out, write=progress.write)
        except OSError as error:
            raise click.BadParameter(str(error), param_hint="'--out'") from None

    return make


def _check_prices(job: Job, limit: float | None) -> None:
    """Raise ``UsageError`` where a bound of the cost would bound nothing."""
    for target in job.targets.known() if limit is not None else ():
        if target.info.input_price is None or target.info.output_price is None:
            raise click.UsageError(f"--max-cost: no price of {target.name} is known")


def _is_on_command_line(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _check_together(options: dict[str, Any]) -> None:
    """Raise ``UsageError`` for options that would be without effect, or harm a file."""
    models, prompts, out, log = (options[key] for key in ("models", "prompts", "out", "log"))
    twice = next((name for name in models if models.count(name) > 1), None)
    if twice is not None:
        raise click.UsageError(f"--model {twice} is given twice; for two answers each give -n 2")
    check_one_form(json_mode=options["json_mode"], schema=options["schema"])
    if options["again"] and out is None and log is None:
        raise click.UsageError("--again is about the answers in --out or --log: give one of them")
    if options["sample"] is None and _is_on_command_line("seed"):
        raise click.UsageError("--seed is of --sample: say with it how many lines to take")
    distinct(
        {"--log": log, "--out": out, "--record": options["record"]},
        reads={} if prompts == "-" else {"the file of prompts": prompts},
        stdin=prompts == "-",
        stdout=out is None,
    )
    there = None if out is None else holding(out)
    wanted = "batch results" if options["out_format"] == _BATCH else "answers"
    if there is not None and there != wanted:
        raise click.UsageError(
            f"--out: {out} holds {there}, to which no {wanted} are added; say --out-format "
            f"{_BATCH if there == 'batch results' else _ROWS}, or give another file"
        )
