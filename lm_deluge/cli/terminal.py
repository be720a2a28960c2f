"""What the commands do to the terminal around an answer."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Final, TextIO

import click
from rich.console import Console

from lm_deluge import APIResponse, Delta, Retry, Stream, StreamHandler, Token
from lm_deluge.errors import StreamError
from lm_deluge_plugins import RichPrinter, StdoutPrinter
from lm_deluge_plugins.terminals import (
    harmless,
    is_drawable,
    is_dumb,
    wants_no_escapes,
)

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "MISFIT",
    "OK",
    "PIPE_CLOSED",
    "USAGE",
    "LineEnd",
    "Printer",
    "RetryNotice",
    "draws",
    "echo_calls",
    "harmless_on",
    "is_dumb",
    "make_console",
    "make_printer",
    "notice",
    "wants_no_escapes",
]

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
MISFIT: Final = 3  # an answer is whole, and not what --schema asks for
INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell shows it
PIPE_CLOSED: Final = 141  # 128 + SIGPIPE

_ERASE_LINE: Final = "\r\x1b[K"


class _Console(Console):
    """Leaves what a closed pipe means to whoever writes; rich's own ends the process with 1."""

    def on_broken_pipe(self) -> None:
        """Go on with the error."""
        raise BrokenPipeError


def make_console(*, stderr: bool = False, **settings: Any) -> Console:
    """Return rich's console; it writes no escape sequences where ``NO_COLOR`` or ``TERM`` ask for that."""
    system = None if wants_no_escapes() else "auto"
    settings = {"highlight": False, "color_system": system, **settings}
    return _Console(stderr=stderr, **settings)


def harmless_on(text: str, file: TextIO | None) -> str:
    """Return ``text`` so that on a terminal none of its characters is obeyed."""
    return harmless(text) if file is not None and file.isatty() else text


def echo_calls(response: APIResponse) -> None:
    """Write an answer's tool calls to stdout, one a line."""
    for call in response.tool_calls:
        click.echo(harmless_on(f"[tool call] {call.name}({call.arguments})", sys.stdout))


def notice(text: str, *, nl: bool = True, **style: Any) -> None:
    """Write to stderr, in click's ``style`` where that is seen as one; if nobody listens, so be it."""
    if sys.stderr is None:
        return
    text = harmless_on(text, sys.stderr)
    if style and sys.stderr.isatty() and not wants_no_escapes():
        text = click.style(text, **style)
    with contextlib.suppress(OSError), _aside():
        click.echo(text, err=True, nl=nl)


def _aside() -> contextlib.AbstractContextManager[None]:
    """Make room for a line where an answer is drawn."""
    drawing = sys.modules.get("lm_deluge_plugins.rich_printer.stage")
    if drawing is None or sys.stdout is None or not sys.stderr.isatty():
        return contextlib.nullcontext()
    aside: contextlib.AbstractContextManager[None] = drawing.stage_of(sys.stdout).aside()
    return aside


def draws(*, plain: bool) -> bool:
    """Say whether answers are drawn as Markdown, unless they are to be ``plain``."""
    return not plain and is_drawable(sys.stdout)


def make_printer(*, plain: bool, quiet: bool) -> StreamHandler:
    """Return what prints answers; a ``quiet`` one says nothing of reasoning."""
    if draws(plain=plain):
        return RichPrinter(reasoning=not quiet)
    return Printer(thinking=not quiet)


class Printer(StdoutPrinter):
    """Ends the stream when the output cannot be written, as on a full disk: it would be lost.

    ``thinking``: while a model only reasons, a terminal says so, up to the first visible piece.
    """

    def __init__(self, *, thinking: bool = False) -> None:
        super().__init__()
        self._thinking = thinking
        self._said = ""
        self._spoken = False

    def on_start(self, stream: Stream) -> None:
        """Begin with nothing said."""
        self._spoken = False

    def on_token(self, stream: Stream, token: Token) -> None:
        """Write one token."""
        self._answer()
        try:
            super().on_token(stream, token)
        except OSError as error:
            stream.cancel(f"the output cannot be written ({error})")

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """Write refusal text; of reasoning, that there is some."""
        if delta.kind == "reasoning":
            if self._thinking and not self._spoken and not self._said and sys.stderr.isatty():
                self._think()
            return
        self._answer()
        super().on_delta(stream, delta)

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        """Take the word back if no text followed."""
        self._answer()
        super().on_complete(stream, response)

    def on_error(self, stream: Stream, error: StreamError) -> None:
        """Take the word back: what is said next is not a thought."""
        self._answer()
        super().on_error(stream, error)

    def _think(self) -> None:
        wide = "utf" in (getattr(sys.stderr, "encoding", None) or "").lower()
        self._said = "thinking…" if wide else "thinking..."
        with contextlib.suppress(OSError):
            notice(self._said, nl=is_dumb(), dim=True)
            sys.stderr.flush()

    def _answer(self) -> None:
        self._spoken = True
        if not self._said:
            return
        said, self._said = self._said, ""
        if is_dumb():  # it stands on a line of its own
            return
        with contextlib.suppress(OSError):
            sys.stderr.write(f"\r{' ' * len(said)}\r" if wants_no_escapes() else _ERASE_LINE)
            sys.stderr.flush()


class LineEnd(StreamHandler):
    """Knows whether what was printed so far ends in the middle of a line."""

    def __init__(self) -> None:
        self._is_open = False

    def on_token(self, stream: Stream, token: Token) -> None:
        """Look at the last character of what the printer prints."""
        if token.choice == 0:
            self._is_open = not token.text.endswith("\n")

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """The printer prints refusals, too."""
        if delta.kind == "refusal" and delta.choice == 0:
            self._is_open = not delta.text.endswith("\n")

    def close(self) -> None:
        """End the line, if there is one to end."""
        if self._is_open:
            self._is_open = False
            # Where this fails, the token before it did: that is what there is to tell.
            with contextlib.suppress(OSError):
                click.echo()


class RetryNotice(StreamHandler):
    """Tells whoever sits at the terminal why nothing happens yet."""

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        """Say what failed and what comes next."""
        if sys.stderr is None or not sys.stderr.isatty():
            return
        model = "" if retry.next_model == stream.model else f" with {retry.next_model}"
        message = (
            f"attempt {retry.attempt} failed ({' '.join(str(retry.error).split())}); "
            f"{'resuming' if retry.resumed else f'trying again{model}'} in {retry.delay:.1f} s"
        )
        notice(f"lm-deluge: {message}", dim=True)
