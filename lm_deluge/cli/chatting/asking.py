"""How a message is asked for: at a terminal with editing and history, at a plain one, from a pipe."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Any

import click

from lm_deluge.cli.chatting.keeping import folder
from lm_deluge.cli.chatting.orders import ORDERS
from lm_deluge.cli.standard_input import Patience
from lm_deluge.cli.terminal import notice, wants_no_escapes
from lm_deluge_plugins.terminals import is_drawable

__all__ = ["Asker"]

_QUOTES = '"""'


class Asker:
    """Asks for messages; ``is_interactive`` where somebody sits at a terminal."""

    def __init__(self) -> None:
        # To ask for a message takes a terminal to read it from, and some place to ask.
        self.is_interactive = None not in (sys.stdin, sys.stdout) and sys.stdin.isatty()
        self._patience = Patience("waiting for a message, a line of standard input, or for its end")
        self._session: Any = None

    def prepare(self) -> None:
        """Get editing and history, as far as the terminal and what is installed have them."""
        if is_drawable(sys.stdout):
            with contextlib.suppress(ImportError):
                self._session = _session()
                return
        with contextlib.suppress(ImportError):
            # Gives input() line editing and history.
            readline = importlib.import_module("readline")
            if wants_no_escapes():  # by which it would mark what is pasted
                readline.parse_and_bind("set enable-bracketed-paste off")

    def ask(self) -> str | None:
        """Return what the user says, ``None`` to leave."""
        if not self.is_interactive:
            if sys.stdin is None:
                return None
            with self._patience:
                line = sys.stdin.readline()
            return _readable(line.strip()) if line else None
        try:
            click.echo()
            text = self._line("You: ").strip()
            if text.startswith(_QUOTES):
                text = self._several(text[len(_QUOTES) :])
        except EOFError:
            click.echo()
            return None
        return _readable(text)

    def _line(self, prompt: str) -> str:
        if self._session is None:
            return input(prompt)
        return str(self._session.prompt([("bold", prompt)]))

    def _several(self, first: str) -> str:
        lines = [first]
        while _QUOTES not in lines[-1]:
            lines.append(self._line("...: "))
        lines[-1] = lines[-1].partition(_QUOTES)[0]
        return "\n".join(lines).strip("\n")


def _session() -> Any:
    """Return prompt_toolkit's session: Enter sends, Alt-Enter begins a line, Tab completes orders."""
    os.environ.setdefault(
        "PROMPT_TOOLKIT_NO_CPR", "1"
    )  # it would wait for terminals that do not answer
    toolkit: Any = importlib.import_module("prompt_toolkit")
    histories: Any = importlib.import_module("prompt_toolkit.history")
    keys: Any = importlib.import_module("prompt_toolkit.key_binding").KeyBindings()
    words: Any = importlib.import_module("prompt_toolkit.completion").WordCompleter

    @keys.add("escape", "enter")  # type: ignore[untyped-decorator]  # it is imported by name
    def _(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("enter")  # type: ignore[untyped-decorator]  # it is imported by name
    def _(event: Any) -> None:
        event.current_buffer.validate_and_handle()

    history: Any = histories.InMemoryHistory()
    with contextlib.suppress(OSError):
        path = folder().parent / "history"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        history = histories.FileHistory(str(path))
    return toolkit.PromptSession(
        history=history,
        key_bindings=keys,
        multiline=True,
        completer=words(list(ORDERS), sentence=True),
        complete_while_typing=False,
    )


def _readable(text: str) -> str:
    """Replace what standard input could not read, and tell of it."""
    known = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if known != text:
        notice("lm-deluge: a message is not UTF-8; what cannot be read is replaced")
    return known
