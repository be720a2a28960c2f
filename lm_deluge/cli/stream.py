"""``lm-deluge stream``: one prompt, one answer."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from lm_deluge import APIResponse, Conversation, LLMClient
from lm_deluge.cli import standard_input
from lm_deluge.cli.command import Command
from lm_deluge.cli.files import check_stdout, distinct
from lm_deluge.cli.options import ModelOptions, make_client, model_options
from lm_deluge.cli.schemas import check_one_form, print_value, schema_file
from lm_deluge.cli.standard_input import is_piped
from lm_deluge.cli.summary import one_line
from lm_deluge.cli.terminal import LineEnd, draws, echo_calls, notice

if TYPE_CHECKING:
    from typing import Unpack

__all__ = ["stream"]


@click.command(cls=Command)
@click.argument("prompt", required=False)
@model_options
@click.option("--json", "json_mode", is_flag=True, help="Ask for a JSON object.")
@click.option(
    "--schema",
    callback=schema_file,
    metavar="FILE",
    help="Ask for JSON that fits the JSON schema in this file, and print it when it is whole and fits; "
    "exit code 3 where it does not.",
)
@click.option(
    "--growing",
    is_flag=True,
    help="With --schema: print the JSON each time it has grown, a line each; the last is whole.",
)
@click.option("--no-stdin", is_flag=True, help="Ask PROMPT alone: standard input is not read.")
def stream(
    prompt: str | None,
    system: str | None,
    json_mode: bool,
    schema: dict[str, Any] | None,
    growing: bool,
    no_stdin: bool,
    **options: Unpack[ModelOptions],
) -> None:
    """Print the answer to PROMPT as it arrives.

    What is piped or redirected in is asked after PROMPT and a blank line; without PROMPT, or with
    "-" in its place, it is the prompt.
    """
    if growing and schema is None:
        raise click.UsageError("--growing prints what --schema asks for: give its FILE")
    check_one_form(json_mode=json_mode, schema=schema)
    reads = _reads_stdin(prompt, no_stdin=no_stdin)
    log, record = options["log"], options["record"]
    check_stdout(log, record)
    distinct({"--log": log, "--record": record}, stdin=reads)
    client = make_client(json_mode=json_mode, **options)
    client.open_stream("?").cancel()  # what cannot work is told before anything is waited for
    conversation = Conversation()
    if system is not None:
        conversation.system(system)
    conversation.user(_prompt(prompt) if reads else _checked(prompt or ""))
    if schema is not None:
        response = asyncio.run(_print_json(client, conversation, schema, growing=growing))
    else:
        response = _print_text(client, conversation, drawn=draws(plain=options["plain"]))
    if not options["quiet"] and sys.stderr is not None and sys.stderr.isatty():
        notice(one_line(response), dim=True)


def _print_text(client: LLMClient, conversation: Conversation, *, drawn: bool) -> APIResponse:
    """Ask, and print the answer as it arrives. ``drawn``: whether its calls are, too."""
    line = LineEnd()
    try:
        response = asyncio.run(client.stream(conversation, handlers=[] if drawn else [line]))
    finally:
        line.close()
    if not drawn:
        echo_calls(response)
    return response


async def _print_json(
    client: LLMClient, conversation: Conversation, schema: dict[str, Any], *, growing: bool
) -> APIResponse:
    """Ask, and print what fits the schema. Raises ``SchemaError`` for what does not."""
    if not growing:
        response = await client.stream(conversation, schema=schema, printer=None)
        print_value(response.parsed, indent=2)
        return response
    async with client.open_stream(conversation, schema=schema) as stream:
        async for value in stream.objects():
            print_value(value)
    return await stream


def _reads_stdin(prompt: str | None, *, no_stdin: bool) -> bool:
    """Say whether standard input is part of what is asked; raises ``UsageError`` if nothing is."""
    if no_stdin and (prompt is None or prompt == "-"):
        raise click.UsageError("--no-stdin leaves nothing to ask: give PROMPT")
    if prompt is None and not is_piped():
        raise click.UsageError('say what to ask: lm-deluge stream "Hello"')
    return not no_stdin and (prompt == "-" or is_piped())


def _prompt(given: str | None) -> str:
    """Return the prompt and what comes through standard input, as one text."""
    if sys.stdin is None:
        raise click.UsageError("the prompt is to be read, and standard input is closed")
    if given is None or given == "-":
        return _checked(standard_input.text("the prompt").rstrip("\r\n"))
    document = standard_input.text("what belongs to the prompt (--no-stdin: nothing does)")
    return _checked("\n\n".join(text for text in (given, document.rstrip()) if text.strip()))


def _checked(prompt: str) -> str:
    if not prompt.strip():
        raise click.UsageError("the prompt is empty")
    return prompt
