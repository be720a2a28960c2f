"""``lm-deluge stream``: one prompt, one answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from lm_deluge import Conversation
from lm_deluge.cli.options import make_client, model_options
from lm_deluge.cli.summary import one_line
from lm_deluge.cli.terminal import LineEnd

__all__ = ["stream"]


@click.command()
@click.argument("prompt", required=False)
@model_options
@click.option("--json", "json_mode", is_flag=True, help="Ask for a JSON object.")
def stream(
    prompt: str | None,
    model: str,
    base_url: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int | None,
    effort: str | None,
    log: Path | None,
    json_mode: bool,
    quiet: bool,
) -> None:
    """Print the answer to PROMPT as it arrives.

    Without PROMPT, or with "-" in its place, the prompt is read from standard input.
    """
    conversation = Conversation()
    if system is not None:
        conversation.system(system)
    conversation.user(_prompt(prompt))
    client = make_client(
        model,
        base_url=base_url,
        temperature=temperature,
        max_tokens=max_tokens,
        effort=effort,
        log=log,
        quiet=quiet,
        json_mode=json_mode,
    )
    line = LineEnd()
    try:
        response = asyncio.run(client.stream(conversation, handlers=[line]))
    finally:
        line.close()
    for call in response.tool_calls:
        click.echo(f"[tool call] {call.name}({call.arguments})")
    if not quiet and sys.stderr.isatty():
        click.secho(one_line(response), err=True, dim=True)


def _prompt(given: str | None) -> str:
    """Return the prompt, from standard input where that is asked for."""
    if given is None and sys.stdin.isatty():
        raise click.UsageError('say what to ask: lm-deluge stream "Hello"')
    if given is None or given == "-":
        if sys.stdin.isatty():
            click.echo("lm-deluge: reading the prompt; Ctrl-D ends it", err=True)
        data = sys.stdin.buffer.read()
        given = data.decode("utf-8-sig", "replace").rstrip("\r\n")
    if not given.strip():
        raise click.UsageError("the prompt is empty")
    return given
