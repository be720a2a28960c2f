"""The commands, put together; and how each kind of ending leaves the process."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Final, TextIO

import click
from click.shell_completion import get_completion_class

from lm_deluge import __version__
from lm_deluge.cli.terminal import FAILED, INTERRUPTED, MISFIT, OK, PIPE_CLOSED, USAGE, notice
from lm_deluge.errors import (
    AuthenticationError,
    SchemaError,
    StreamCancelled,
    StreamError,
    UnsupportedModelError,
)

__all__ = ["cli", "run"]

#: Each lives in the module of its name, which is imported when it is asked for.
_COMMANDS: Final = ("demo", "stream", "chat", "run", "simulate", "proxy", "web", "report", "replay")

#: click's name of the variable by which a shell asks.
_COMPLETE: Final = "_LM_DELUGE_COMPLETE"


class _Commands(click.Group):
    """A group that imports a command when it is used: what one needs, the others do without."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"lm_deluge.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 a whole answer; 1 the stream or a rule failed; 2 wrong usage or input; "
    "130 interrupted with Ctrl-C; 141 the output's pipe was closed.",
)
@click.version_option(__version__, prog_name="lm-deluge")
def cli() -> None:
    """Stream answers of language models, and look at how the streaming feels."""
    handler = _Notices()
    handler.setFormatter(_OneLine("lm-deluge: %(message)s"))
    logging.getLogger().addHandler(handler)


class _Notices(logging.Handler):
    """Tells records as the commands tell everything else, above a bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it to stderr."""
        try:
            notice(self.format(record))
        except Exception:  # noqa: BLE001 - a message that cannot be made ends no command
            self.handleError(record)


class _OneLine(logging.Formatter):
    """A record on one line; of a traceback in it, the last line, which says what happened."""

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = [line.strip() for line in super().format(record).split("\n") if line.strip()]
        return f"{first}: {rest[-1]}" if rest else first


def run() -> int:
    """Run the command line of this process; return the exit code."""
    code = _guarded(_run)
    # Here, where a closed pipe can be told from a crash; Python's own flush at exit cannot.
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)
        code = code or PIPE_CLOSED
    except OSError as error:
        _drop(sys.stdout)
        code = code or _say(f"the output cannot be written ({error})", FAILED)
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)
    return code


def _run() -> int:
    if asked := os.environ.get(_COMPLETE):  # a shell asks for completions, or for the script
        shell, _, what = asked.partition("_")
        if get_completion_class(shell) is None or what not in ("source", "complete"):
            message = f"{_COMPLETE} must be SHELL_source or SHELL_complete, not {asked!r}"
            raise click.UsageError(f"{message}; shells are bash, zsh and fish")
        cli.main(prog_name="lm-deluge")
    # Not cli.main(): it takes a closed pipe and Ctrl-C for its own.
    with cli.make_context("lm-deluge", sys.argv[1:]) as context:
        code = cli.invoke(context)
    return code if isinstance(code, int) else OK


def _guarded(function: Callable[[], int | None]) -> int:  # noqa: C901 - a table of endings
    """Call it; turn every way to fail into an exit code and a line that tells why."""
    try:
        return function() or OK
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return USAGE
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        return _say(f"{error.format_message()}{hint}", USAGE)
    except click.ClickException as error:
        return _say(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return PIPE_CLOSED
    except StreamCancelled as error:
        if isinstance(error.__cause__, OSError):  # the printer's: nobody reads what it writes
            return PIPE_CLOSED
        return _say(str(error), FAILED)
    except AuthenticationError as error:
        if error.missing_key is None:
            return _say(f"AuthenticationError: {error}", FAILED)
        # Without the library's other advice: a command line has no argument for the key.
        needed = f"no API key: set the environment variable {error.missing_key}"
        return _say(f"AuthenticationError: {needed}", FAILED)
    except SchemaError as error:
        return _say(f"SchemaError: {error}", MISFIT)
    except StreamError as error:
        return _say(f"{type(error).__name__}: {error}", FAILED)
    except UnsupportedModelError as error:
        return _say(_unsupported(error), USAGE)
    except (ValueError, TypeError) as error:
        return _say(str(error), USAGE)
    except (OSError, ImportError) as error:
        return _say(str(error), FAILED)


def _say(message: str, code: int) -> int:
    """Tell one line on stderr."""
    notice(f"lm-deluge: {' '.join(message.split())}")
    return code


def _unsupported(error: UnsupportedModelError) -> str:
    if error.provider is not None:
        own = f"ask for {error.suggestions[0]!r}; " if error.suggestions else ""
        return (
            f"{error.model!r} is a model of {error.provider}; {own}"
            "an OpenAI-compatible server that has it is given with --base-url URL"
        )
    near = " or ".join(map(repr, error.suggestions))
    instead = f"did you mean {near}? A" if near else "a"
    return f"no model {error.model!r} is known; {instead} server that has it is given with --base-url URL"


def _drop(file: TextIO) -> None:
    """Let what is still buffered go nowhere, instead of failing once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
