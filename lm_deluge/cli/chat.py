"""``lm-deluge chat``: a conversation in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
import sys
from typing import TYPE_CHECKING

import click

from lm_deluge import Conversation, LLMClient, Message
from lm_deluge.cli.command import Command
from lm_deluge.cli.files import check_stdout, distinct
from lm_deluge.cli.options import ModelOptions, make_client, model_options
from lm_deluge.cli.standard_input import Patience
from lm_deluge.cli.summary import one_line
from lm_deluge.cli.terminal import (
    FAILED,
    INTERRUPTED,
    OK,
    LineEnd,
    draws,
    echo_calls,
    notice,
    wants_no_escapes,
)
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge_plugins import ChunkCollector

if TYPE_CHECKING:
    from typing import Unpack

__all__ = ["chat"]


@click.command(cls=Command)
@model_options
def chat(system: str | None, **options: Unpack[ModelOptions]) -> int:
    """Talk to a model. Ctrl-C stops an answer; Ctrl-D or "quit" leaves.

    Without a terminal each line of standard input is one message, "quit" as well, and the exit code
    is 1 if any answer failed.
    """
    log, record = options["log"], options["record"]
    check_stdout(log, record)
    distinct({"--log": log, "--record": record}, stdin=True)
    client = make_client(**options)
    conversation = Conversation()
    if system is not None:
        conversation.system(system)
    drawn = draws(plain=options["plain"])
    return _Chat(client, conversation, quiet=options["quiet"], drawn=drawn).run()


class _Chat:
    """One conversation, and who takes part in it."""

    def __init__(
        self, client: LLMClient, conversation: Conversation, *, quiet: bool, drawn: bool
    ) -> None:
        self._client = client
        self._conversation = conversation
        self._quiet = quiet
        self._drawn = drawn
        # To ask for a message takes a terminal to read it from, and some place to ask.
        self._interactive = None not in (sys.stdin, sys.stdout) and sys.stdin.isatty()
        self._patience = Patience("waiting for a message, a line of standard input, or for its end")

    def run(self) -> int:
        """Ask and answer until somebody leaves; return the exit code."""
        if isinstance(sys.stdin, io.TextIOWrapper):
            # What is no text is no reason to leave.
            sys.stdin.reconfigure(errors="surrogateescape")
        failed = False
        with asyncio.Runner() as runner:
            runner.run(self._check())
            if self._interactive:
                self._greet()
            try:
                while (text := self._ask()) is not None:
                    if text:
                        self._conversation.user(text)
                        failed = not self._answer(runner) or failed
            except KeyboardInterrupt:
                click.echo()
                return INTERRUPTED
        return FAILED if failed and not self._interactive else OK

    async def _check(self) -> None:
        """Raise now, not after the first message, if this model cannot be asked."""
        async with self._client.open_stream("Hello"):
            pass

    def _greet(self) -> None:
        with contextlib.suppress(ImportError):
            # Gives input() line editing and history.
            readline = importlib.import_module("readline")
            if wants_no_escapes():  # by which it would mark what is pasted
                readline.parse_and_bind("set enable-bracketed-paste off")
        if not self._quiet:
            click.echo(
                f'Talking to {self._client.model}. Ctrl-C stops an answer; Ctrl-D or "quit" leaves.'
            )

    def _ask(self) -> str | None:
        """Return what the user says, ``None`` to leave."""
        if self._interactive:
            try:
                text = input("\nYou: ").strip()
            except EOFError:
                click.echo()
                return None
            return None if text.lower() in ("quit", "exit") else _readable(text)
        if sys.stdin is None:
            return None
        with self._patience:
            line = sys.stdin.readline()
        return _readable(line.strip()) if line else None

    def _answer(self, runner: asyncio.Runner) -> bool:
        """Stream one answer and add it; one that stopped half way stays, as far as it was read."""
        said, line = ChunkCollector(), LineEnd()
        handlers = [said] if self._drawn else [said, line]
        stream = self._client.stream(self._conversation, handlers=handlers)
        try:
            response = runner.run(stream)
        except KeyboardInterrupt:
            if not self._interactive:
                raise
            click.echo("[stopped]" if self._drawn else " [stopped]")
            self._keep(said.text)
            return False
        except StreamCancelled:  # nobody reads any more
            raise
        except StreamError as error:
            line.close()
            message = " ".join(str(error).split())
            notice(f"lm-deluge: {type(error).__name__}: {message}", fg="red")
            self._keep(said.text)
            return False
        line.close()
        if not self._drawn:
            echo_calls(response)
        if response.completion.strip() and not response.tool_calls:
            self._conversation.add(response.content)
        elif not self._keep(response.completion or response.refusal or ""):
            why = response.finish_reason or "not given"
            notice(f"lm-deluge: the answer has no text (finish reason: {why})")
        if not self._quiet and self._interactive and sys.stderr.isatty():
            notice(one_line(response), dim=True)
        return True

    def _keep(self, text: str) -> bool:
        """Add an answer to the conversation; take the question back where there is no text of one.

        A server refuses a conversation that has an empty message in it, and with it all that follows.
        """
        if text.strip():
            self._conversation.add(Message.ai(text))
            return True
        self._conversation.messages.pop()
        return False


def _readable(text: str) -> str:
    """Replace what standard input could not read, and tell of it."""
    known = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if known != text:
        notice("lm-deluge: a message is not UTF-8; what cannot be read is replaced")
    return known
