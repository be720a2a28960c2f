"""The commands, put together; and how each kind of ending leaves the process."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

import click

from lm_deluge import __version__
from lm_deluge.cli.chat import chat
from lm_deluge.cli.demo import demo
from lm_deluge.cli.report import report
from lm_deluge.cli.simulate import simulate
from lm_deluge.cli.stream import stream
from lm_deluge.errors import StreamCancelled, StreamError

__all__ = ["cli", "run"]

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell shows it
PIPE_CLOSED: Final = 141  # 128 + SIGPIPE


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 a whole answer; 1 the stream or a rule failed; 2 wrong usage or input; "
    "130 interrupted with Ctrl-C; 141 the output's pipe was closed.",
)
@click.version_option(__version__, prog_name="lm-deluge")
def cli() -> None:
    """Stream answers of language models, and look at how the streaming feels."""
    logging.basicConfig(level=logging.WARNING, format="lm-deluge: %(message)s", stream=sys.stderr)


for command in (demo, stream, chat, simulate, report):
    cli.add_command(command)


def run() -> int:
    """Run the command line of this process; return the exit code."""
    try:
        code = cli.main(prog_name="lm-deluge", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        return _say(f"{error.format_message()}{hint}", USAGE)
    except click.ClickException as error:
        return _say(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return _leave_closed_pipe()
    except StreamCancelled as error:
        if "pipe" in error.reason:
            return _leave_closed_pipe()
        return _say(str(error), FAILED)
    except StreamError as error:
        return _say(f"{type(error).__name__}: {error}", FAILED)
    except (ValueError, TypeError) as error:
        return _say(str(error), USAGE)
    except OSError as error:
        return _say(str(error), FAILED)
    return code if isinstance(code, int) else OK


def _say(message: str, code: int) -> int:
    """Tell one line on stderr."""
    click.echo(f"lm-deluge: {' '.join(message.split())}", err=True)
    return code


def _leave_closed_pipe() -> int:
    # Or Python's own flush at exit complains about the same closed pipe.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED
