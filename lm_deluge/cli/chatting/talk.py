"""One conversation: who asks, who answers, and what is ordered in between."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

import click

from lm_deluge import APIResponse, Conversation, LLMClient, Message
from lm_deluge.cli.chatting.asking import Asker
from lm_deluge.cli.chatting.attaching import FilesWaiting
from lm_deluge.cli.chatting.keeping import Keeper, as_json, as_markdown, write_new
from lm_deluge.cli.chatting.orders import Order, help_text, order_of
from lm_deluge.cli.options import ModelOptions, make_client
from lm_deluge.cli.summary import one_line
from lm_deluge.cli.terminal import (
    FAILED,
    INTERRUPTED,
    OK,
    LineEnd,
    draws,
    echo_calls,
    harmless_on,
    notice,
)
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge_plugins import ChunkCollector

__all__ = ["ChatTalk"]


class ChatTalk:
    """A conversation on its way; ``run`` leads it to its end."""

    def __init__(
        self,
        options: ModelOptions,
        conversation: Conversation,
        attached: FilesWaiting,
        keeper: Keeper,
        *,
        template: str | None,
    ) -> None:
        self._options = options
        self._client = make_client(**options)
        self._conversation = conversation
        self._attached = attached
        self._keeper: Keeper | None = keeper
        self._template = template
        self._quiet = options["quiet"]
        self._drawn = draws(plain=options["plain"])
        self._asker = Asker()

    def set_system(self, text: str) -> None:
        """Let this be the system message."""
        messages = self._conversation.messages
        if messages and messages[0].role in ("system", "developer"):
            messages.pop(0)
        messages.insert(0, Message.system(text))

    def run(self) -> int:
        """Ask and answer until somebody leaves; return the exit code."""
        if isinstance(sys.stdin, io.TextIOWrapper):
            # What is no text is no reason to leave.
            sys.stdin.reconfigure(errors="surrogateescape")
        failed = False
        with asyncio.Runner() as runner:
            runner.run(_check(self._client))
            if self._asker.is_interactive:
                self._greet()
            try:
                while (text := self._asker.ask()) is not None:
                    order = order_of(text) if self._asker.is_interactive else None
                    if order is not None and order.name == "/quit":
                        break
                    if order is not None:
                        self._obey(order, runner)
                    elif text:
                        self._conversation.add(self._attached.take(self._asked(text)))
                        failed = not self._answer(runner) or failed
            except KeyboardInterrupt:
                click.echo()
                return INTERRUPTED
        return FAILED if failed and not self._asker.is_interactive else OK

    def _asked(self, text: str) -> str:
        if self._asker.is_interactive and text.startswith("//"):
            text = text[1:]
        return text if self._template is None else self._template.replace("{input}", text)

    def _greet(self) -> None:
        self._asker.prepare()
        if self._quiet:
            return
        said = sum(message.role == "user" for message in self._conversation.messages)
        goes_on = f", after {said} message{'s' * (said != 1)}" if said else ""
        click.echo(
            f"Talking to {self._client.model}{goes_on}. "
            'Ctrl-C stops an answer; Ctrl-D or "quit" leaves; /help shows more.'
        )

    def _obey(self, order: Order, runner: asyncio.Runner) -> None:
        """Do what is ordered; what cannot be done is told, and the talk goes on."""
        name, text = order
        try:
            match name:
                case "/help":
                    click.echo(help_text())
                case "/add":
                    notice(self._attached.add(_needed(text, "/add FILE")))
                case "/model":
                    self._ask_another(text, runner)
                case "/system":
                    self._change_system(text)
                case "/retry":
                    self._retry(runner)
                case "/save":
                    self._save(Path(_needed(text, "/save FILE")).expanduser())
                case "/new":
                    self._begin_anew()
                case _:
                    notice(f"lm-deluge: there is no {text}; /help shows what there is")
        except (OSError, ValueError, TypeError, StreamError) as error:
            notice(f"lm-deluge: {' '.join(str(error).split())}", fg="red")

    def _ask_another(self, name: str, runner: asyncio.Runner) -> None:
        if name:
            options: ModelOptions = {**self._options, "model": name}
            client = make_client(**options)
            runner.run(_check(client))
            before, self._client, self._options = self._client, client, options
            runner.run(before.close())
        notice(f"talking to {self._client.model}")

    def _change_system(self, text: str) -> None:
        if text:
            self.set_system(text)
            return
        messages = self._conversation.messages
        first = messages[0] if messages and messages[0].role in ("system", "developer") else None
        click.echo(harmless_on(first.completion, sys.stdout) if first else "no system message")

    def _retry(self, runner: asyncio.Runner) -> None:
        messages = self._conversation.messages
        asked = [at for at, message in enumerate(messages) if message.role == "user"]
        if not asked:
            raise ValueError("nothing was asked yet")
        del messages[asked[-1] + 1 :]
        self._answer(runner)

    def _save(self, path: Path) -> None:
        is_json = path.suffix.lower() == ".json"
        text = (
            as_json(self._conversation, self._client.model)
            if is_json
            else as_markdown(self._conversation)
        )
        write_new(path, text)
        notice(f"written to {path}")

    def _begin_anew(self) -> None:
        messages = self._conversation.messages
        system = messages[:1] if messages and messages[0].role in ("system", "developer") else []
        self._conversation, self._keeper = Conversation(), Keeper()
        self._conversation.messages.extend(system)
        notice("a new conversation")

    def _answer(self, runner: asyncio.Runner) -> bool:
        """Stream one answer and add it; one that stopped half way stays, as far as it was read."""
        said, line = ChunkCollector(), LineEnd()
        handlers = [said] if self._drawn else [said, line]
        stream = self._client.stream(self._conversation, handlers=handlers)
        try:
            response = runner.run(stream)
        except KeyboardInterrupt:
            if not self._asker.is_interactive:
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
        self._take(response)
        return True

    def _take(self, response: APIResponse) -> None:
        """Add a whole answer to the conversation, and say how it came."""
        if not self._drawn:
            echo_calls(response)
        if response.completion.strip() and not response.tool_calls:
            self._conversation.add(response.content)
            self._write()
        elif not self._keep(response.completion or response.refusal or ""):
            why = response.finish_reason or "not given"
            notice(f"lm-deluge: the answer has no text (finish reason: {why})")
        if not self._quiet and self._asker.is_interactive and sys.stderr.isatty():
            notice(one_line(response), dim=True)

    def _keep(self, text: str) -> bool:
        """Add an answer to the conversation; take the question back where there is no text of one.

        A server refuses a conversation that has an empty message in it, and with it all that follows.
        """
        if text.strip():
            self._conversation.add(Message.ai(text))
            self._write()
            return True
        self._conversation.messages.pop()
        return False

    def _write(self) -> None:
        """Keep the conversation on this machine, if somebody talks and it can be."""
        if self._keeper is None or not self._asker.is_interactive:
            return
        try:
            self._keeper.keep(self._conversation, self._client.model)
        except OSError as error:
            self._keeper = None
            notice(f"lm-deluge: the conversation cannot be kept for -c ({error})")


async def _check(client: LLMClient) -> None:
    """Raise now, not after the first message, if this model cannot be asked."""
    async with client.open_stream("Hello"):
        pass


def _needed(text: str, usage: str) -> str:
    if not text:
        raise ValueError(f"say which: {usage}")
    return text
