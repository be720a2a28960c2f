"""What the commands do to the terminal around an answer."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

import click

from lm_deluge import Delta, Retry, Stream, StreamHandler, Token
from lm_deluge_plugins import StdoutPrinter

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "OK",
    "PIPE_CLOSED",
    "USAGE",
    "LineEnd",
    "Printer",
    "RetryNotice",
]

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell shows it
PIPE_CLOSED: Final = 141  # 128 + SIGPIPE


class Printer(StdoutPrinter):
    """Ends the stream when the output cannot be written, as on a full disk: it would be lost."""

    def on_token(self, stream: Stream, token: Token) -> None:
        """Write one token."""
        try:
            super().on_token(stream, token)
        except OSError as error:
            stream.cancel(f"the output cannot be written ({error})")


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
        if not sys.stderr.isatty():
            return
        model = "" if retry.next_model == stream.model else f" with {retry.next_model}"
        message = (
            f"attempt {retry.attempt} failed ({' '.join(str(retry.error).split())}); "
            f"trying again{model} in {retry.delay:.1f} s"
        )
        click.secho(f"lm-deluge: {message}", err=True, dim=True)
