"""``lm-deluge chat``: a conversation in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import click

from lm_deluge import Conversation, LLMClient, Message
from lm_deluge.cli.options import make_client, model_options
from lm_deluge.cli.summary import one_line
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge_plugins import ChunkCollector

__all__ = ["chat"]


@click.command()
@model_options
def chat(
    model: str,
    base_url: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int | None,
    effort: str | None,
    log: Path | None,
    quiet: bool,  # noqa: FBT001 - click calls by keyword
) -> None:
    """Talk to a model. Ctrl-C stops an answer, Ctrl-D or "quit" leaves."""
    client = make_client(
        model,
        base_url=base_url,
        temperature=temperature,
        max_tokens=max_tokens,
        effort=effort,
        log=log,
    )
    conversation = Conversation()
    if system is not None:
        conversation.system(system)
    interactive = sys.stdin.isatty()
    if interactive:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives input() line editing and history
        if not quiet:
            click.echo(f'Talking to {model}. Ctrl-C stops an answer, Ctrl-D or "quit" leaves.\n')
    with asyncio.Runner() as runner:
        while (text := _ask(interactive=interactive)) is not None:
            if text:
                conversation.user(text)
                _answer(runner, client, conversation, quiet=quiet)


def _ask(*, interactive: bool) -> str | None:
    """Return what the user says, ``None`` to leave."""
    try:
        text = input("You: " if interactive else "").strip()
    except (EOFError, KeyboardInterrupt):
        if interactive:
            click.echo()
        return None
    return None if text.lower() in ("quit", "exit") else text


def _answer(
    runner: asyncio.Runner, client: LLMClient, conversation: Conversation, *, quiet: bool
) -> None:
    """Stream one answer and add it; an answer stopped half way stays, as far as it was read."""
    said = ChunkCollector()
    try:
        response = runner.run(client.stream(conversation, handlers=[said]))
    except (KeyboardInterrupt, StreamCancelled) as error:
        if isinstance(error, StreamCancelled) and "pipe" in error.reason:
            raise
        click.echo(" [stopped]")
        _keep(conversation, said.text)
    except StreamError as error:
        click.echo()
        click.secho(f"lm-deluge: {type(error).__name__}: {error}", err=True, fg="red")
        _keep(conversation, said.text)
    else:
        conversation.add(response.content)
        click.echo()
        if not quiet and sys.stderr.isatty():
            click.secho(one_line(response), err=True, dim=True)


def _keep(conversation: Conversation, text: str) -> None:
    if text:
        conversation.add(Message.ai(text))
    else:
        conversation.messages.pop()
